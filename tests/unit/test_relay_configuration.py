# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of paraview-relay: its own files, portfwd's, and the command line."""

import ipaddress
import os
import re
import resource
import socket
import tempfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from relay import interpreters, module, run

relay = module()

OWN = """\
# the site's relay
[relay]
status = /run/paraview-relay/status.sock
metrics = 127.0.0.1:9107, [::1]:9107
max_sessions = 500

[route paraview]           # one port for each user
listen = 192.0.2.1:11111-11113, [2001:db8::1]:11111
to = 127.0.0.1:same
allow = 10.1.0.0/16, 10.2.3.4
allow = 2001:db8::/32
allow_file = /etc/nodes
owner = required
authorize = /usr/libexec/of-a-job --strict
hold_s = 20
wait_s = off
idle_timeout_s = 3600

[route fixed]
listen = 192.0.2.1:22222
to = unix:/run/paraview.sock
allow = 10.0.0.0/8
"""

# Every construct of portfwd's grammar and examples, as far as TCP goes.
PORTFWD = """\
/* the wiki's, /* and a comment in it */ */
user nobody group nogroup
bind-address 127.0.0.1
tcp { 11111 { => client1:11111 } }
listen-on 192.0.2.1
tcp
{
  http, 8081 , 8082 {
    10.1.2.3/16, 10.9.0.1 => 127.0.0.1:http;
    :1024+2048 , 10.7.0.0/24:2000 => 127.0.0.2:23;
    :+1023 => 127.0.0.3:23;
    10.8.0.0/16:1024+ => 127.0.0.4:23 , 127.0.0.5:telnet;
    => localhost:23
  };
  9000 { => 127.0.0.1:9001 }
}
"""


def parse(text):
    return relay.parse_configuration(text if isinstance(text, bytes) else text.encode())


def error_of(text):
    with pytest.raises(relay.ConfigError) as caught:
        parse(text)
    return str(caught.value)


def route_of(**keys):
    keys = {**{"listen": "127.0.0.1:5000", "to": "127.0.0.1:5001", "allow": "127.0.0.0/8"}, **keys}
    text = "[route one]\n" + "".join("{0} = {1}\n".format(key, value) for key, value in keys.items() if value is not None)
    return parse(text).routes[0]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    hosts = {"client1": "192.0.2.77", "localhost": "127.0.0.1"}

    def resolve(host, *_arguments):
        if host not in hosts:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (hosts[host], 0))]
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_file_of_its_own_format():
    configuration = parse(OWN)
    first, second = configuration.routes
    assert (configuration.status, configuration.metrics, configuration.max_sessions) == (
        "/run/paraview-relay/status.sock", [("127.0.0.1", 9107), ("::1", 9107)], 500)
    assert first.listen == [("192.0.2.1", 11111), ("192.0.2.1", 11112), ("192.0.2.1", 11113), ("2001:db8::1", 11111)]
    assert [str(network) for network in first.allow] == ["10.1.0.0/16", "10.2.3.4/32", "2001:db8::/32"]
    assert (first.authorize, first.hold_s, first.wait_s, first.idle_timeout_s) == (["/usr/libexec/of-a-job", "--strict"], 20, 0, 3600)
    assert second.to[0].path == "/run/paraview.sock"
    assert (second.wait_s, second.idle_timeout_s, second.owner.text) == (300, 0, "any")


@pytest.mark.parametrize("keys, owner", [
    ({}, "any"),
    ({"listen": "127.0.0.1:5000-5001", "to": "127.0.0.2:same"}, "required"),
    ({"listen": "127.0.0.1:5000-5001", "to": "127.0.0.2:same", "owner": "any"}, "any"),
    ({"listen": "127.0.0.1:5000-5001", "to": "[::ffff:127.0.0.2]:same"}, "required"),
    ({"listen": "127.0.0.1:5000-5001", "to": "unix:/x"}, "required"),
    ({"listen": "127.0.0.1:5000-5001", "to": "192.0.2.9:same"}, "any"),
    ({"owner": "alice, @viz 1000"}, "alice, @viz 1000"),
])
def test_the_default_owner_of_a_range_is_an_ordinary_user(keys, owner):
    assert route_of(**keys).owner.text == owner


def test_owners_by_name_number_and_group():
    accepts = relay.Owners("nobody, @root 4711").accept
    assert [accepts(uid) for uid in (65534, 0, 4711, 4712, None)] == [True, True, True, False, False]
    required = relay.Owners("required").accept
    assert [required(uid) for uid in (0, relay.UID_MIN - 1, relay.UID_MIN, 65534, None)] == [False, False, True, False, False]


def test_user_names_are_cached(monkeypatch):
    queries = []
    getpwuid = relay.pwd.getpwuid
    monkeypatch.setattr(relay, "USER_NAMES", {})
    monkeypatch.setattr(relay.pwd, "getpwuid", lambda uid: queries.append(uid) or getpwuid(uid))
    assert [relay.user_name(uid) for uid in (0, 4294967, 0, 4294967, None)] == ["root", "4294967", "root", "4294967", "?"]
    assert queries == [0, 4294967]


@pytest.mark.parametrize("lines, line, why", [
    ("[route a\n", 1, "neither .relay. nor"),
    ("[relay]\n[relay]", 2, "has to be the first section"),
    ("[route a]\nlisten=127.0.0.1:1\nto=127.0.0.1:2\nallow=::/0\n[relay]", 5, "has to be the first section, and the only one"),
    ("[route a]\n[route a]", 2, "two routes named a"),
    ("[route a]\nlisten = 127.0.0.1:1\n", 1, "has no to"),
    ("\n[route a]\nto = 127.0.0.1:1\n", 2, "has no listen"),
    ("[route a]\nlisten = 127.0.0.1:1\nto = 127.0.0.1:2\n", 1, "neither allow nor allow_file"),
    ("[route a]\nlisten 127.0.0.1:1", 2, "KEY = VALUE"),
    ("[route a]\nlistens = 127.0.0.1:1", 2, "KEY = VALUE"),
    ("[relay]\nlisten = 127.0.0.1:1", 2, "KEY = VALUE"),
    ("[route a]\nlisten =", 2, "empty"),
    ("[route a]\nlisten = 127.0.0.1", 2, "HOST:PORT"),
    ("[route a]\nlisten = host:1", 2, "not an IP address"),
    ("[route a]\nlisten = 127.0.0.1:0", 2, "port 0"),
    ("[route a]\nlisten = 127.0.0.1:9-8", 2, "LOW from 1 to HIGH"),
    ("[route a]\nlisten = 127.0.0.1:1-65536", 2, "65535"),
    ("[route a]\nlisten = ::1:5", 2, "brackets"),
    ("[route a]\nlisten = 127.0.0.1:1-65535, 127.0.0.2:1-65535", 2, "more than"),
    ("[route a]\nto = 127.0.0.1", 2, "HOST:PORT"),
    ("[route a]\nto = 127.0.0.1:0", 2, "from 1 to"),
    ("[route a]\nto = 127.0.0.1:some", 2, "from 1 to"),
    ("[route a]\nto = 0.0.0.0:5", 2, "to connect to"),
    ("[route a]\nto = [::]:5", 2, "to connect to"),
    ("[route a]\nto = 127.1:5", 2, "neither"),
    ("[route a]\nto = unix:x", 2, "absolute path"),
    ("[route a]\nto = unix:/" + "x" * 107, 2, "107 bytes"),
    ("[route a]\nto = 127.0.0.1:1\nto = 127.0.0.1:2", 3, "set twice"),
    ("[route a]\nallow = 10.0.0.0/33", 2, "not an address or network"),
    ("[route a]\nallow = node7", 2, "not an address or network"),
    ("[route a]\nallow_file = nodes", 2, "absolute path"),
    ("[route a]\nowner = a b !", 2, "neither any nor required"),
    ("[route a]\nauthorize = yes", 2, "absolute path of a program"),
    ("[route a]\nauthorize =", 2, "absolute path of a program"),
    ("[route a]\nwait_s = -1", 2, "not a number from"),
    ("[route a]\nwait_s = 1.5", 2, "not a number from"),
    ("[route a]\nmax_sessions = 0", 2, "not a number from"),
    ("[route a]\nmax_sessions = ²", 2, "not a number from"),
    ("[relay]\nstatus = /" + "x" * 107, 2, "107 bytes"),
    ("", 1, "there is no .route NAME."),
    ("# nothing\n\n", 3, "there is no .route NAME."),
    ("[route a]\nlisten = 127.0.0.1:1\0", 2, "control character"),
    (b"[route a]\n\n\xff", 3, "UTF-8"),
    (b"x" * (1 << 20) + b"y", 1, "mebibyte"),
])
def test_an_error_is_reported_with_its_line(lines, line, why):
    error = error_of(lines)
    assert re.match(r"{0}: .*{1}".format(line, why), error), error


@pytest.mark.parametrize("second, line, why", [
    ("listen = 127.0.0.1:5000\nto = 127.0.0.1:2\nallow = ::/0", 5, "127.0.0.1:5000 is used by one and by two"),
    ("listen = 127.0.0.1:7, 127.0.0.1:5-9\nto = a:1\nallow = ::/0", 5, "twice"),
    ("listen = [::1]:5, [0:0::1]:5\nto = a:1\nallow = ::/0", 5, "twice"),
    ("listen = 127.0.0.1:6000\nto = 127.0.0.1:6000\nallow = ::/0", 5, "forwards to itself"),
    ("listen = 0.0.0.0:6000-6002\nto = localhost:same\nallow = ::/0", 5, "forwards to itself"),
    ("listen = 127.0.0.1:6000\nto = 192.0.2.1:1\nallow = ::/0\nowner = required", 5, "need targets on loopback or unix sockets"),
    ("listen = 127.0.0.1:6000\nto = 192.0.2.1:1\nallow = ::/0\nauthorize = /bin/true", 5, "need targets on loopback or unix sockets"),
])
def test_an_error_of_a_route_is_reported_with_its_line(second, line, why):
    error = error_of("[route one]\nlisten = 127.0.0.1:5000\nto = 127.0.0.1:5001\nallow = ::/0\n[route two]\n{0}\n[route three]\n"
                     "listen = 127.0.0.1:7000\nto = 127.0.0.1:7001\nallow = ::/0\n".format(second))
    assert error.startswith("{0}: ".format(line)), error
    assert why in error


def test_the_metrics_cannot_share_a_port_with_a_route():
    assert "used by" in error_of("[relay]\nmetrics = 127.0.0.1:5000\n[route one]\nlisten = 127.0.0.1:5000\nto = 127.0.0.1:2\nallow = ::/0\n")


def test_a_file_of_portfwd():
    client, web, last = parse(PORTFWD).routes
    assert client.listen == [("127.0.0.1", 11111)]
    assert [target.describe(1) for target in client.rules[0].targets] == ["client1:11111"]
    assert web.listen == [("192.0.2.1", 80), ("192.0.2.1", 8081), ("192.0.2.1", 8082)]
    assert last.listen == [("192.0.2.1", 9000)]

    def targets_of(address, port):
        return [target.describe(1) for target in web.rule_for(ipaddress.ip_address(address), port).targets]
    assert targets_of("10.1.255.255", 1) == ["127.0.0.1:80"]
    assert targets_of("10.9.0.1", 70) == ["127.0.0.1:80"]
    assert targets_of("192.168.0.1", 1024) == targets_of("192.168.0.1", 2048) == targets_of("10.7.0.9", 2000) == ["127.0.0.2:23"]
    assert targets_of("192.168.0.1", 1023) == ["127.0.0.3:23"]
    assert targets_of("10.8.0.1", 65535) == ["127.0.0.4:23", "127.0.0.5:23"]
    assert targets_of("192.168.0.1", 2049) == ["localhost:23"]


def test_a_source_without_a_matching_rule_of_portfwd_is_refused():
    route = parse("tcp { 5000 { 127.0.0.3/30 => a:23 } }").routes[0]
    assert route.rule_for(ipaddress.ip_address("127.0.0.1"), 1)
    assert route.rule_for(ipaddress.ip_address("127.0.0.4"), 1) is None
    assert route.rule_for(ipaddress.ip_address("::1"), 1) is None


@pytest.mark.parametrize("text, line, why", [
    ("udp { 1 { => a:1 } }", 1, "UDP is not relayed"),
    ("tcp { 1 { => a:1 } }\n\nudp { 1 { => a:1 } }", 3, "UDP is not relayed"),
    ("tcp { 21\nftp-active-mode-on host { => a:21 } }", 2, "FTP is not relayed"),
    ("tcp { 21 ftp-passive-mode-on host { => a:21 } }", 1, "FTP is not relayed"),
    ("source-address 10.0.0.1\ntcp { 1 { => a:1 } }", 1, "source address of connections cannot be set"),
    ("tcp { 1 { =>\n\n[ /usr/bin/director a b c ] } }", 3, "name the target"),
    ("tcp { 1 { => fragile a:1 } }", 1, "fragile is not supported"),
    ("fragile tcp { 1 { => a:1 } }", 1, "fragile is not supported"),
    ("tcp { 1 { => a:1 }", 1, "the file ends"),
    ("tcp { 1 { => a:1 }\n/* open /* inner */\n", 2, "comment is not closed"),
    ("tcp { 1 { => a:1 } ; }", 1, "but a port is expected"),
    ("tcp { }", 1, "but a port is expected"),
    ("tcp {\n nosuchservice { => a:1 } }", 2, "'nosuchservice' is not a TCP service"),
    ("tcp {\n 0 { => a:1 } }", 2, "'0' is not a number"),
    ("tcp { 1 { => a } }", 1, "HOST:PORT"),
    ("tcp { 1 { nosuchhost => a:1 } }", 1, "host 'nosuchhost' has no IPv4 address"),
    ("tcp { 1 { 10.0.0.0/40 => a:1 } }", 1, "not an address or network"),
    ("tcp { 1 { => 0.0.0.0:1 } }", 1, "to connect to"),
    ("tcp { 1, 2 { => a:1 } }\ntcp { 1 { => b:1 } }", 2, "is used by"),
    ("tcp { 1, 1 { => a:1 } }", 1, "twice"),
    ("listen-on nosuchhost tcp { 1 { => a:1 } }", 1, "host 'nosuchhost' has no"),
    ("listen-on 127.0.0.1 tcp { 1 { => localhost:1 } }", 1, "forwards to itself"),
    ("user nobody", 1, "no tcp"),
    ("tcp { 1 { => a:1 } } }", 1, "is found, but"),
    ("/* nothing */", 1, "no tcp"),
])
def test_unsupported_features_of_portfwd_are_reported_with_their_line(text, line, why):
    error = error_of(text)
    assert re.match(r"{0}: .*{1}".format(line, why), error), error


@pytest.mark.parametrize("text", [OWN, PORTFWD.replace("client1", "127.0.0.9")])
def test_a_valid_file_passes_the_check(tmp_path, text):
    path = tmp_path / "relay.conf"
    path.write_text(text)
    code, out, err = run("--check", "--config", path)
    assert (code, err) == (0, ""), err
    assert out.startswith("{0}: ".format(path))


@pytest.mark.parametrize("python", interpreters())
def test_an_invalid_file_is_reported_in_one_line_with_exit_status_2(tmp_path, python):
    path = tmp_path / "relay.conf"
    path.write_text(OWN.replace("hold_s = 20", "hold = 20"))
    for more in (["--check"], []):
        code, out, err = run(*more, "--config", path, python=python)
        assert (code, out) == (2, "")
        assert err.startswith("paraview-relay: {0}:15: ".format(path))
        assert err.count("\n") == 1


@pytest.mark.parametrize("arguments, why", [
    (["--config", "/nonexistent"], "/nonexistent: No such file"),
    (["--config", "/"], "/: Is a directory"),
    (["--config", "/dev/zero"], "/dev/zero:1: "),
    (["--config", "/x", "--to", "127.0.0.1:1"], "--config cannot be combined"),
    (["--config", "/x", "--no-wait"], "--config cannot be combined"),
    ([], "is required"),
    (["--listen", "127.0.0.1:1"], "is required"),
    (["--listen", "127.0.0.1:1", "--to", "127.0.0.1:2"], "nobody could use it"),
    (["--listen", "x", "--to", "127.0.0.1:2", "--allow", "::/0"], "--listen: 'x' is not HOST:PORT"),
    (["--listen", "127.0.0.1:1", "--to", "x\ny\udcff", "--allow", "::/0"], "--to: "),
    (["--listen", "127.0.0.1:1", "--to", "127.0.0.1:2", "--allow", "::/0", "--wait", "long"], "--wait: "),
    (["--listen", "127.0.0.1:1", "--to", "127.0.0.1:2", "--allow", "::/0", "--status", "here"], "not an absolute path"),
    (["--nonsense"], "usage:"),
])
def test_an_error_of_the_command_line_is_reported(capsys, arguments, why):
    try:
        code = relay.main(["--check", *arguments])
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert why in err


def test_a_valid_command_line_passes_the_check():
    assert run("--check", "--listen", "127.0.0.1:5000-5009", "--to", "localhost:23", "--allow", "10.0.0.0/8", "--allow", "::1,10.9.0.0/16", "--owner", "alice",
               "--no-wait", "--first-free", "--exit-on-eof") == (0, "the command line: 1 routes on 10 ports\n", "")


def test_a_file_whose_name_is_not_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff"
    with open(path, "w") as stream:
        stream.write(OWN)
    code, _out, err = run("--check", "--config", os.fsdecode(path), env=dict(os.environ, LC_ALL="C.UTF-8"))
    assert (code, err) == (0, "")


def test_a_used_port_is_reported(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        where = "127.0.0.1:{0}".format(other.getsockname()[1])
        code, out, err = run("--listen", where, "--to", "127.0.0.1:1", "--allow", "::/0")
    assert (code, out, err) == (1, "", "paraview-relay: cannot listen on {0}: Address already in use\n".format(where))


def test_more_ports_than_descriptors_are_reported():
    code, _out, err = run("--listen", "127.0.0.3:20000-20100", "--to", "127.0.0.1:same", "--allow", "::/0",
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)))
    assert code == 1
    assert re.match(r"paraview-relay: cannot listen on 127.0.0.3:\d+: Too many open files\n\Z", err), err


def test_a_status_socket_does_not_replace_a_file(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    code, _out, err = run("--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--allow", "::/0", "--status", path)
    assert (code, err) == (1, "paraview-relay: cannot listen on {0}: Address already in use\n".format(path))
    assert path.read_text() == "data"


# ---- random files: a configuration, or one error with a line ----

LIMIT = int(os.environ.get("EXAMPLES", "150"))
OWN_TOKENS = r"""[relay] [route\sa] [route\sb] [route ] = # \n \n \n \s , - : off any required @ unix:/x same 0 1 127.0.0.1:5 127.0.0.1:1-3 [::1]:4 [ ::
10.0.0.0/8 fe80::1%lo 99999999999 1e3 \t \r\n \\ é ' " /bin/true { %s {0}"""
PORTFWD_TOKENS = r"""tcp udp listen-on bind-address source-address user group fragile ftp-active-mode-on { } { } ; , => => : + / /* */ [ ] \s \n \t 1 80 65536
http localhost 127.0.0.1 10.0.0.0/8 10.0.0.1/33 a:1 :1+2 :+ = * é ² ::1 - _"""


def one_of(text, *more):
    escapes = {r"\s": " ", r"\n": "\n", r"\t": "\t", r"\r\n": "\r\n", r"[route\sa]": "[route a]", r"[route\sb]": "[route b]"}
    return st.sampled_from([escapes.get(token, token) for token in text.split()] + list(more))


own_tokens, portfwd_tokens = one_of(OWN_TOKENS, *relay.ROUTE_KEYS, *relay.RELAY_KEYS), one_of(PORTFWD_TOKENS)
mutations = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 5), st.one_of(own_tokens, portfwd_tokens, st.text(max_size=4))), max_size=8)
of_pieces = st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
                      st.lists(own_tokens, max_size=40).map("".join).map(str.encode), st.lists(portfwd_tokens, max_size=40).map(" ".join).map(str.encode),
                      st.lists(portfwd_tokens, max_size=40).map("".join).map(str.encode))


def damaged(text, changes):
    for at, length, new in changes:
        at %= len(text)
        text = text[:at] + new + text[at + length:]
    return text.encode("utf-8", "surrogatepass")


def try_a_file(raw):
    try:
        configuration = parse(raw)
    except relay.ConfigError as error:
        line = re.match(r"([1-9]\d*): .", str(error))
        assert line, error
        assert int(line.group(1)) <= raw.count(b"\n") + 1
    else:
        for route in configuration.routes:
            assert route.listen
            assert all(rule.targets for rule in route.rules)
            route.rule_for(ipaddress.ip_address("10.0.0.1"), 1024)


of_files = st.one_of(of_pieces, mutations.map(lambda changes: damaged(OWN, changes)), mutations.map(lambda changes: damaged(PORTFWD, changes)))


@settings(max_examples=LIMIT)
@given(raw=of_files)
@example(raw=b"tcp{1{/=>a:1}}")
@example(raw=b"[route a]\nlisten = [::1%lo]:1")
@example(raw=b"a/" * 1000)
@example(raw=b"/*" * 5000)
@example(raw=b"[" * 5000)
@example(raw="tcp { ² { => a:1 } }".encode())
@example(raw=b"tcp { 1 { => " + b"a." * 400 + b":1 } }")
@example(raw=b"tcp { 1 { " + b"a" * 400 + b" => a:1 } }")
def test_random_files(raw):
    try_a_file(raw)


@given(keys=st.dictionaries(st.sampled_from([key for key in relay.ROUTE_KEYS if key.startswith(("max_", "authorize_cache", "hold", "wait"))]),
                            st.one_of(st.integers(-5, 10 ** 12).map(str), st.sampled_from(["", "off", "1.5", "1e3", "0x10", " 7", "7 8", "\u0663", "-0"]))))
def test_random_limits(keys):
    """A number within the limits of its key, or an error with its name; an old file has none of the keys and is as valid as before."""
    text = "[route a]\nlisten = 127.0.0.1:5000-5003\nto = 127.0.0.2:same\nallow = ::/0\n" + "".join("{0} = {1}\n".format(*pair) for pair in keys.items())
    try:
        (route,) = parse(text.encode()).routes
    except relay.ConfigError as error:
        assert any("{0}: ".format(key) in str(error) for key in keys)
        return
    for key, definition in relay.ROUTE_KEYS.items():
        if key.startswith("max_"):
            assert getattr(route, key) == int(keys.get(key, definition.default))
            assert 1 <= getattr(route, key) <= 1000000


ADDRESS_TOKENS = ["10.0.0.0/8", "10.0.0.1", "::1", "::ffff:10.0.0.1", "\n", "#", " ", "/33", "/0", "10.0.0.1\n", ",", "\x00", "1" * 30]


@given(content=st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(ADDRESS_TOKENS), max_size=9).map("".join).map(str.encode)))
def test_random_files_of_addresses(content):
    """Each line allows what it names, or nothing, and no line makes the file unreadable."""
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(content)
        stream.flush()
        allowed = relay.AllowFile(stream.name).current()
    written = {line.partition(b"#")[0].strip() for line in content.split(b"\n")[:-1]}
    assert len(allowed) <= len(content.split(b"\n"))
    for network in allowed:
        assert any(network_of(text) == network for text in written)


def network_of(text):
    try:
        return relay.parse_network(text.decode("utf-8", "replace"))
    except relay.ConfigError:
        return None


@pytest.mark.torture
@settings(max_examples=int(os.environ.get("EXAMPLES", "20000")))
@given(raw=of_files)
def test_many_random_files(raw):
    try_a_file(raw)
