# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server forwards, and the login that finds it out."""

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import sys

import paramiko
import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import paramiko_login, probe, probe_report, probe_requests
from hypothesis import given
from hypothesis import strategies as st
from sshd_of_paramiko import Sshd

HOST_KEY, OTHER_KEY, USER_KEY = (paramiko.ECDSAKey.generate() for _number in range(3))
ADMIN_PROHIBITED = paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


@pytest.fixture(name="sshd")
def _sshd():
    server = Sshd(HOST_KEY)
    server.password = "geheim"
    yield server
    server.close()


@pytest.fixture(name="taken")
def _taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(name="login", autouse=True)
def _login(sshd, tmp_path, monkeypatch):
    """A login that succeeds unless an argument changes that."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    known = tmp_path / "known_hosts"
    known.write_text("[127.0.0.1]:{0} {1} {2}\n".format(sshd.port, HOST_KEY.get_name(), HOST_KEY.get_base64()))

    def login(**arguments):
        defaults = {"host": "127.0.0.1", "port": sshd.port, "user": "carol", "password": "geheim", "private_key": "", "passphrase": "", "agent": True,
                    "answers": [], "known_hosts": [str(known)], "host_key_checking": True, "timeout": 10}
        return paramiko_login.Login(**{**defaults, **arguments})

    return login


@pytest.fixture(name="probe_one")
def _probe_one(login):
    """Makes one request; returns its finding."""
    def probe_one(kind, request, **arguments):
        (found,) = probe.check(login(**arguments), probe_requests.parse(kind, [request]))["forwards"]
        return found

    return probe_one


def error_of(call, *arguments):
    with pytest.raises(SessionError) as caught:
        call(*arguments)
    assert len(caught.value.lines()) == 3
    return caught.value


def refuse(message):
    return lambda _address, _port=0: message


# --- requests ---

@pytest.mark.parametrize(("kind", "option", "written"), [
    ("remote", "127.0.0.1:0", "127.0.0.1:0"),
    ("remote", "[::1]:5000", "[::1]:5000"),
    ("remote", "[0:0::1]:5000", "[::1]:5000"),
    ("remote", "*:0", "*:0"),
    ("remote", ":0", "*:0"),
    ("remote", "localhost:65535", "localhost:65535"),
    ("remote", "/run/x y.sock", "/run/x y.sock"),
    ("remote", {}, "127.0.0.1:0"),
    ("remote", {"bind": ""}, "*:0"),
    ("remote", {"bind": "::1", "port": "12"}, "[::1]:12"),
    ("remote", {"socket": "/run/x"}, "/run/x"),
    ("local", "c101:11111", "c101:11111"),
    ("local", {"host": "c101", "port": 11111}, "c101:11111"),
    ("local", {"socket": "/run/x", "port": None}, "/run/x"),
])
def test_forms_of_a_request(kind, option, written):
    (request,) = probe_requests.parse(kind, [option])
    assert (request.kind, probe_requests.written(request), request.expect) == (kind, written, ())


@pytest.mark.parametrize(("kind", "option"), [
    ("remote", 11111), ("remote", ""), ("remote", "::1:5000"), ("remote", "localhost"), ("remote", "a:65536"), ("remote", "a b:1"), ("remote", None),
    ("remote", {"port": -1}), ("remote", {"port": True}), ("remote", {"host": "a"}), ("remote", {"socket": "relative"}), ("remote", "/" + "a" * 107),
    ("remote", {"socket": "/a", "port": 0}), ("remote", {"socket": "/a\nb"}), ("remote", {"bind": "a'b"}),
    ("local", "c101:0"), ("local", ":5"), ("local", {"host": "c101"}), ("local", {"port": 5}), ("local", {"bind": "c101", "port": 5}),
    ("local", {"host": "c101", "port": 5, "expect": "perhaps"}), ("local", {"host": "c101", "port": 5, "expect": {"allowed": True}}),
])
def test_invalid_requests(kind, option):
    assert repr(option) in error_of(probe_requests.parse, kind, [option]).what


@given(st.one_of(st.text(), st.dictionaries(
    st.sampled_from(["bind", "host", "port", "socket", "expect", "x"]), st.one_of(st.text(), st.integers(), st.none()))))
def test_an_odd_request_is_an_error_without_a_traceback(option):
    for kind in ("remote", "local"):
        try:
            (request,) = probe_requests.parse(kind, [option])
        except SessionError:
            continue
        assert probe_requests.parse(kind, [probe_requests.written(request)])[0] == request._replace(expect=())


def test_no_requests(login):
    assert "no forward to request" in error_of(probe.check, login(), []).what


# --- remote forwards ---

def test_a_forward_that_is_granted(sshd, probe_one):
    found = probe_one("remote", "127.0.0.1:0")
    (port,) = [port for _address, port in sshd.requested]
    assert port == 0
    assert re.match(r"127\.0\.0\.1:\d+\Z", found.pop("listens_on")[0])
    assert found == {"kind": "remote", "request": "127.0.0.1:0", "verdict": "allowed", "why": "", "as_asked": True, "reached": True, "expect": [],
                     "as_expected": None}
    assert sshd.listeners == {}


def test_every_address_is_requested_as_ssh_does(sshd, probe_one):
    probe_one("remote", "*:0")
    assert sshd.requested == [("", 0)]


def test_a_forward_on_another_address_than_requested(sshd, probe_one):
    found = probe_one("remote", "*:0")
    assert (found["verdict"], found["as_asked"], found["reached"]) == ("allowed", False, True)
    assert "GatewayPorts no" in found["why"]


def test_a_forward_that_is_open_to_everybody(sshd, probe_one):
    sshd.forward = lambda address, port: ("0.0.0.0",)
    found = probe_one("remote", "127.0.0.1:0")
    assert (found["verdict"], found["as_asked"], found["reached"]) == ("allowed", False, True)
    assert "GatewayPorts yes" in found["why"]


@pytest.mark.parametrize("seen", [True, False])
def test_a_forward_on_ipv6_alone(sshd, probe_one, taken, seen):
    sshd.forward = lambda address, port: ("::1",)
    sshd.shell = seen
    found = probe_one("remote", "localhost:{0}".format(taken), timeout=1)
    assert (found["verdict"], found["as_asked"], found["reached"]) == ("allowed", False, True)
    assert found["listens_on"] == ["[::1]:{0}".format(taken)]
    assert "another process listens" in found["why"]


def test_a_forward_that_listens_nowhere(sshd, probe_one):
    sshd.forward = lambda address, port: ()
    found = probe_one("remote", "127.0.0.1:{0}".format(listeners.free_port()))
    assert (found["verdict"], found["as_asked"], found["reached"], found["listens_on"]) == ("allowed", False, None, [])


@pytest.mark.parametrize("port", [0, 5000])
def test_a_refusal_with_a_reason(sshd, probe_one, port):
    sshd.forward = refuse("Server has disabled port forwarding.")
    found = probe_one("remote", "127.0.0.1:{0}".format(port))
    assert (found["verdict"], found["why"]) == ("refused", "sshd: Server has disabled port forwarding.")
    assert len(sshd.requested) == 1


def test_an_sshd_that_gives_reasons_and_gives_none_could_not_listen(sshd, probe_one, taken):
    sshd.forward = lambda address, port: ("127.0.0.1",) if address == "127.0.0.1" and port == 0 else None
    assert probe_one("remote", "127.0.0.1:{0}".format(taken))["why"] == "port taken: something listens on 127.0.0.1:{0} already".format(taken)
    found = probe_one("remote", "203.0.113.9:0")
    assert found["verdict"] == "failed"
    assert "203.0.113.9 is no address of that host" in found["why"]
    assert "no address of that host" in probe_one("remote", "203.0.113.9:5000")["why"]
    assert probe_one("remote", "127.0.0.1:80")["verdict"] == "refused"
    sshd.shell = False
    assert probe_one("remote", "127.0.0.1:{0}".format(taken))["why"].startswith("port taken")
    found = probe_one("remote", "127.0.0.1:{0}".format(listeners.free_port()))
    assert (found["verdict"], "in use by a listener that cannot be seen" in found["why"]) == ("failed", True)
    assert sshd.listeners == {}


def test_a_message_about_gateway_ports_is_no_refusal(sshd, probe_one):
    def forward(_address, port):
        sshd._send_debug('Forwarding listen address "127.0.0.1" overridden by server GatewayPorts')
        return None if port else ("0.0.0.0",)

    sshd.forward = forward
    assert "in use by a listener that cannot be seen" in probe_one("remote", "127.0.0.1:5000")["why"]
    sshd.shell = False
    found = probe_one("remote", "127.0.0.1:0")
    assert (found["verdict"], found["as_asked"], found["reached"]) == ("allowed", False, True)


def test_a_refusal_of_a_server_that_gives_no_reasons(sshd, probe_one, taken):
    sshd.version = "SSH-2.0-dropbear_2022.83"
    sshd.forward = lambda address, port: None if port else ("127.0.0.1",)
    assert probe_one("remote", "127.0.0.1:{0}".format(taken))["verdict"] == "failed"
    found = probe_one("remote", "127.0.0.1:{0}".format(listeners.free_port()))
    assert (found["verdict"], "another port is granted" in found["why"]) == ("refused", True)
    sshd.forward = refuse(None)
    for port in (0, taken, listeners.free_port()):
        assert probe_one("remote", "127.0.0.1:{0}".format(port))["verdict"] == "refused"


@pytest.mark.parametrize("shell", [False, "no command for you: COMMAND\n", "ready?\n"])
def test_without_commands_the_listener_is_dialled(sshd, probe_one, shell):
    sshd.shell = shell
    found = probe_one("remote", "localhost:0")
    assert (found["verdict"], found["as_asked"], found["reached"]) == ("allowed", True, True)
    assert probe_one("remote", "*:0")["as_asked"] is None
    sshd.forward = lambda address, port: ("127.0.0.2",)
    assert probe_one("remote", "127.0.0.1:0")["as_asked"] is False
    sshd.version = "SSH-2.0-dropbear_2022.83"
    assert probe_one("remote", "127.0.0.2:0")["as_asked"] is True
    sshd.forward = lambda address, port: ("0.0.0.0",)
    assert probe_one("remote", "127.0.0.2:0")["as_asked"] is False


def test_a_listener_that_cannot_be_checked_is_unknown(sshd, login):
    sshd.shell, sshd.direct = False, lambda host, port: ADMIN_PROHIBITED
    report = probe.check(login(), probe_requests.parse("remote", [{"expect": "allowed"}]))
    (found,) = report["forwards"]
    assert (found["verdict"], found["as_asked"], found["reached"], found["as_expected"]) == ("allowed", None, None, True)
    assert "unknown" in found["why"]
    assert "could not be checked" in report["warnings"][0]
    assert report["differences"] == 0


def test_silence_ends_the_connection_and_is_reported(sshd, login):
    sshd.forward = lambda address, port: "silence" if port else ("127.0.0.1",)
    report = probe.check(login(timeout=1), probe_requests.parse("remote", ["127.0.0.1:0", "127.0.0.1:5000", "127.0.0.1:0"]))
    assert [(one["verdict"], one["why"]) for one in report["forwards"][1:]] == [
        ("failed", "no answer within 1 s"), ("failed", "the connection is closed")]


def test_a_server_that_closes_the_connection(sshd, probe_one):
    sshd.forward = lambda address, port: sshd.transport.close()
    found = probe_one("remote", "127.0.0.1:0")
    assert (found["verdict"], "connection" in found["why"]) == ("failed", True)


# --- sockets ---

def test_a_socket_that_is_refused_or_cannot_be_made(sshd, probe_one, tmp_path):
    path = str(tmp_path / "s")
    sshd.socket_forward = refuse("Server has disabled streamlocal forwarding.")
    assert probe_one("remote", path)["verdict"] == "refused"
    sshd.socket_forward = refuse(None)
    assert probe_one("remote", path)["verdict"] == "failed"
    assert "directory" in probe_one("remote", "/nonexistent/s")["why"]
    sshd.version = "SSH-2.0-other"
    assert probe_one("remote", path)["verdict"] == "refused"


def test_an_existing_path_is_not_changed(sshd, probe_one, tmp_path):
    sshd.socket_forward = refuse("silence")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        found = probe_one("remote", str(tmp_path / name))
        assert (found["verdict"], found["why"].startswith("path taken")) == ("failed", True)
    sshd.shell, sshd.socket_direct = False, paramiko.OPEN_SUCCEEDED
    assert probe_one("remote", str(tmp_path / "file"))["why"].startswith("path taken")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_socket_is_checked_and_removed(sshd, login, tmp_path):
    path, made = tmp_path / "it's a s", []

    def forward(name):
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].bind(name)
        return True

    sshd.socket_forward = forward
    report = probe.check(login(), probe_requests.parse("remote", [str(path)]))
    (found,) = report["forwards"]
    made[0].close()
    assert (found["verdict"], found["as_asked"], found["listens_on"], report["warnings"]) == ("allowed", True, [str(path)], [])
    assert not path.exists()
    sshd.socket_forward = lambda name: True
    (found,) = probe.check(login(), probe_requests.parse("remote", [str(path)]))["forwards"]
    assert (found["verdict"], found["as_asked"], found["listens_on"]) == ("allowed", False, [])


def test_a_socket_that_cannot_be_removed_is_a_warning(sshd, login, tmp_path):
    sshd.shell = False
    report = probe.check(login(), probe_requests.parse("remote", [str(tmp_path / "s")]))
    assert report["forwards"][0]["as_asked"] is None
    assert "left behind" in report["warnings"][0]


def test_local_sockets(sshd, probe_one, tmp_path):
    path = str(tmp_path / "s")
    # Nothing exists there, and no other socket shows the reason.
    assert probe_one("local", "/nonexistent")["verdict"] == "failed"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        # The file alone is no proof that somebody listens.
        assert probe_one("local", path)["verdict"] == "failed"
        listener.listen(1)
        assert probe_one("local", path)["verdict"] == "refused"
    sshd.socket_direct = ADMIN_PROHIBITED
    assert probe_one("local", path)["verdict"] == "refused"
    sshd.socket_direct = paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE
    assert probe_one("local", path)["verdict"] == "failed"
    sshd.socket_direct = paramiko.OPEN_SUCCEEDED
    assert (probe_one("local", path)["verdict"], probe_one("local", path)["reached"]) == ("allowed", True)


def test_another_socket_shows_whether_sshd_connects_to_sockets(sshd, probe_one, monkeypatch, tmp_path):
    other = str(tmp_path / "other")
    monkeypatch.setattr(probe, "_SERVED", ("/nonexistent", other))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(other)
        listener.listen(1)
        assert probe_one("local", "/elsewhere")["verdict"] == "refused"
        codes = [paramiko.OPEN_FAILED_CONNECT_FAILED, paramiko.OPEN_FAILED_CONNECT_FAILED, paramiko.OPEN_SUCCEEDED]
        monkeypatch.setattr(Sshd, "check_channel_request", lambda self, kind, _id: 0 if kind == "session" else codes.pop(0))
        found = probe_one("local", "/elsewhere")
    assert (found["verdict"], found["reached"]) == ("allowed", False)


# --- local forwards ---

@pytest.mark.parametrize(("code", "verdict", "reached"), [
    (ADMIN_PROHIBITED, "refused", None),
    (paramiko.OPEN_FAILED_CONNECT_FAILED, "allowed", False),
    (paramiko.OPEN_FAILED_RESOURCE_SHORTAGE, "failed", None),
])
def test_a_local_forward_that_does_not_open(sshd, probe_one, code, verdict, reached):
    sshd.direct = lambda host, port: code
    found = probe_one("local", "c101:11111")
    assert (found["verdict"], found["reached"], found["as_asked"], bool(found["why"])) == (verdict, reached, None, True)


@pytest.mark.parametrize(("message", "verdict"), [
    ("Connection refused", "allowed"), ("open failed", "allowed"), ("No route to host", "failed"), ("Connection timed out", "failed"),
    ("Name or service not known", "failed"), ("Network is unreachable", "failed"),
])
def test_messages_of_a_server_that_cannot_connect(sshd, probe_one, monkeypatch, message, verdict):
    def log(self, level, *_more):
        # paramiko's server sends no message.
        if level == 40:
            _more = (_more[0].replace("FAILED: :", "FAILED: {0}:".format(message)),)
        self.logger.log(level, *_more)

    monkeypatch.setattr(paramiko_login.Connection, "_log", log)
    sshd.direct = lambda host, port: paramiko.OPEN_FAILED_CONNECT_FAILED
    found = probe_one("local", "c101:11111")
    assert found["verdict"] == verdict
    assert message in found["why"] or message == "open failed"


def test_a_local_forward_that_opens(probe_one, taken):
    assert probe_one("local", "127.0.0.1:{0}".format(taken))["reached"] is True


def test_a_dial_without_an_answer(sshd, probe_one):
    sshd.direct = lambda host, port: None
    found = probe_one("local", "c101:11111", timeout=1)
    assert (found["verdict"], "no answer within 1 s" in found["why"]) == ("failed", True)


# --- expectations, and the table ---

@pytest.mark.parametrize(("bind", "expect", "right"), [
    ("127.0.0.1", "allowed", True), ("127.0.0.1", "refused", False), ("127.0.0.1", ["failed", "allowed"], True),
    ("*", "allowed", False), ("*", "elsewhere", True), ("*", ["refused", "elsewhere"], True),
])
def test_expectations(sshd, login, bind, expect, right):
    report = probe.check(login(), probe_requests.parse("remote", [{"bind": bind, "expect": expect}]))
    assert report["forwards"][0]["as_expected"] is right
    assert report["differences"] == (0 if right else 1)


def test_the_table(sshd, login):
    sshd.direct = lambda host, port: ADMIN_PROHIBITED
    requests = probe_requests.parse("remote", [{"expect": "refused"}, "*:0"]) + probe_requests.parse("local", ["c101:11111"])
    report = probe.check(login(), requests)
    assert [re.sub(r"\d{5}", "N", line).split(None, 3)[:3] for line in report["table"]] == [
        ["kind", "request", "verdict"], ["remote", "127.0.0.1:0", "allowed"], ["remote", "*:0", "allowed"], ["local", "c101:N", "refused"]]
    column = report["table"][0].index("expected")
    assert [line[column:].split("  ")[0] for line in report["table"]] == ["expected", "NOT refused", "-", "-"]
    assert "GatewayPorts no" in report["table"][2]
    plain = probe_report.table([dict(one, expect=[], as_expected=None) for one in report["forwards"]])
    assert "expected" not in plain[0]


def test_the_version_of_the_server_is_cleaned(sshd, login):
    sshd.version = "SSH-2.0-evil\x1b[2J\u202e " + "x" * 200
    report = probe.check(login(), probe_requests.parse("remote", [{}]))
    assert report["server"].startswith("SSH-2.0-evil xx")
    assert len(report["server"]) < 120
    assert report["user"] == "carol"


@pytest.mark.parametrize(("bind", "mine", "others", "as_asked"), [
    ("127.0.0.1", ["127.0.0.1"], set(), True),
    ("127.0.0.1", ["127.0.0.1", "::1"], set(), False),
    ("127.0.0.1", [], {"127.0.0.1"}, False),
    ("localhost", ["127.0.0.1", "::1"], set(), True),
    ("localhost", ["127.0.0.1"], set(), True),
    ("localhost", ["127.0.0.1"], {"::1"}, False),
    ("localhost", ["::1"], set(), False),
    ("*", ["0.0.0.0", "::"], set(), True),
    ("*", ["0.0.0.0"], set(), True),
    ("*", ["0.0.0.0"], {"::1"}, False),
    ("*", ["::"], {"10.0.0.2"}, False),
    ("*", ["127.0.0.1", "::1"], set(), False),
    ("0.0.0.0", ["0.0.0.0", "::"], set(), False),
    ("10.0.0.2", ["10.0.0.2"], {"127.0.0.1"}, True),
    ("10.0.0.2", ["127.0.0.1", "::1"], set(), False),
    ("login2", ["10.0.0.2"], set(), None),
    ("login2", ["127.0.0.1"], set(), False),
    ("login2", ["0.0.0.0", "::"], set(), False),
])
def test_whether_a_listener_is_where_requested(bind, mine, others, as_asked):
    found, why = probe.judge(bind, 5000, mine, others)
    assert found is as_asked
    assert bool(why) is (as_asked is not True)


def test_ipv6_listeners_are_read():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        with open("/proc/net/tcp6", encoding="ascii") as stream:
            found = listeners.parse6(stream.read())
        assert listeners.Listener("::1", listener.getsockname()[1], os.getuid()) in found
    assert listeners.parse6("x\n 0: 0000:0016 0 0A 0 0 0 0 0\n") == []


# --- the login ---

def verdict_of(probe_one, **arguments):
    return probe_one("remote", "127.0.0.1:0", **arguments)["verdict"]


def failure(login, **arguments):
    return error_of(probe.check, login(**arguments), probe_requests.parse("remote", [{}]))


def test_a_password_is_tried_once(sshd, login):
    sshd.answers, sshd.prompts = ["geheim"], ["Password: "]
    found = failure(login, password="falsch")
    assert sshd.tried == ["password"]
    assert found.what == "127.0.0.1 refuses the login of carol"
    assert "password" in found.why
    assert "falsch" not in str(found)


def test_keyboard_interactive(sshd, probe_one):
    sshd.methods, sshd.answers, sshd.prompts = "keyboard-interactive", ["geheim", "123456"], [("Password: ", False), ("Code: ", True)]
    assert verdict_of(probe_one, answers=["", "123456"]) == "allowed"
    sshd.answers, sshd.prompts = ["geheim"], [("Password: ", False)]
    assert verdict_of(probe_one) == "allowed"


def test_a_key_and_then_a_code(sshd, probe_one, tmp_path):
    sshd.methods, sshd.both, sshd.user_key, sshd.answers, sshd.prompts = "publickey", True, USER_KEY, ["123456"], [("Code: ", True)]
    USER_KEY.write_private_key_file(str(tmp_path / "key"))
    assert verdict_of(probe_one, private_key=str(tmp_path / "key"), password="", answers=["123456"]) == "allowed"
    assert sshd.tried == ["publickey", "keyboard-interactive"]


@pytest.mark.parametrize("make", [lambda: paramiko.RSAKey.generate(2048), paramiko.ECDSAKey.generate, None])
def test_keys(sshd, probe_one, tmp_path, make):
    path = tmp_path / "key"
    if make:
        make().write_private_key_file(str(path), password="open sesame")
    else:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", path], check=True)
    sshd.user_key = paramiko_login._load(str(path), "open sesame")
    assert verdict_of(probe_one, private_key=str(path), passphrase="open sesame", password="") == "allowed"


def test_keys_that_ssh_would_try(sshd, probe_one, tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ecdsa").write_text("no key")
    USER_KEY.write_private_key_file(str(tmp_path / ".ssh/id_ed25519"))
    sshd.user_key = USER_KEY
    assert verdict_of(probe_one, password="") == "allowed"


def test_the_agent(sshd, probe_one, login, tmp_path, monkeypatch, short_path):
    USER_KEY.write_private_key_file(str(tmp_path / "key"))
    sshd.user_key = USER_KEY
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(short_path / "agent")], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(short_path / "agent"))
            while subprocess.run(["ssh-add", "-q", tmp_path / "key"], stderr=subprocess.DEVNULL, check=False).returncode:
                assert agent.poll() is None
            assert verdict_of(probe_one, password="") == "allowed"
            sshd.tried.clear()
            failure(login, password="", agent=False)
            assert sshd.tried == []
        finally:
            agent.terminate()


@pytest.mark.parametrize(("passphrase", "reason"), [("", "passphrase"), ("wrong", "passphrase is wrong")])
def test_a_key_with_a_passphrase(login, tmp_path, passphrase, reason):
    USER_KEY.write_private_key_file(str(tmp_path / "key"), password="open sesame")
    found = failure(login, private_key=str(tmp_path / "key"), passphrase=passphrase)
    assert reason in found.why
    assert not passphrase or passphrase not in found.what + found.way_out


def test_a_file_that_is_no_key(login, tmp_path):
    (tmp_path / "key").write_text("nonsense")
    assert "no private key" in failure(login, private_key=str(tmp_path / "key")).why
    assert failure(login, private_key="/nonexistent/key").why == "No such file or directory"


def test_a_login_without_an_answer(sshd, login, monkeypatch):
    monkeypatch.setattr(Sshd, "check_auth_password", lambda self, *_more: self.over.wait())
    assert "no answer within 1 s" in failure(login, timeout=1).why


# --- the connection ---

def test_nothing_listens(login):
    assert "nothing listens there" in failure(login, port=listeners.free_port()).why


def test_no_such_name(login):
    assert failure(login, host="no-such-host.invalid").why == "no such name"


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n", b"SSH-2.0-mute\r\n"])
def test_the_port_of_another_service(login, taken, greeting, sshd):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading
        held = []

        def greet():
            held.append(listener.accept()[0])
            held[0].sendall(greeting)

        threading.Thread(target=greet, daemon=True).start()
        found = failure(login, port=listener.getsockname()[1], timeout=1)
        held[0].close()
    assert found.what.startswith("cannot reach 127.0.0.1, port ")


# --- host keys ---

def line(key=HOST_KEY, name="[127.0.0.1]:PORT", marker=""):
    return "{0}{1} {2} {3} comment\n".format(marker, name, key.get_name(), key.get_base64())


def hashed(name):
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return "|1|{0}|{1}".format(base64.b64encode(salt).decode(), base64.b64encode(digest).decode())


@pytest.mark.parametrize(("text", "reason"), [
    ("", "not known here"),
    (line(name="[127.0.0.1]:1"), "not known here"),
    (line(name="*,!127.0.0.1,![127.0.0.1]:*"), "not known here"),
    (line(name="|1|bad|"), "not known here"),
    (line(marker="@cert-authority "), "authority"),
    (line(OTHER_KEY), "known_hosts:1 has another"),
    (line() + line(marker="@revoked "), "revoked"),
    (line(name="127.0.0.1") + line(OTHER_KEY), "has another"),
])
def test_host_keys_that_are_not_trusted(sshd, login, tmp_path, text, reason):
    (tmp_path / "known_hosts").write_text(text.replace("PORT", str(sshd.port)))
    found = failure(login)
    assert found.what.startswith("cannot trust 127.0.0.1")
    assert reason in found.why
    assert "SHA256:" in found.why
    assert sshd.tried == []


@pytest.mark.parametrize("text", [
    line(), line(name="127.0.0.1"), line(name="a.example,[127.0.0.*]:PORT"), line(name="127.0.0.?"), line(name="HASHED"),
    "# comment\n\nnonsense\n" + line(OTHER_KEY, "b.example") + line(),
    line(OTHER_KEY) + line(),
])
def test_host_keys_that_are_trusted(sshd, probe_one, tmp_path, text):
    text = text.replace("HASHED", hashed("[127.0.0.1]:{0}".format(sshd.port))).replace("PORT", str(sshd.port))
    (tmp_path / "known_hosts").write_text(text)
    assert verdict_of(probe_one) == "allowed"


def test_several_files_of_host_keys(sshd, probe_one, tmp_path):
    assert verdict_of(probe_one, known_hosts=["/nonexistent", str(tmp_path / "known_hosts")]) == "allowed"


def test_a_known_host_key_is_preferred(sshd, probe_one, tmp_path, monkeypatch):
    other = paramiko.RSAKey.generate(2048)
    serve = paramiko.Transport.start_server
    monkeypatch.setattr(paramiko.Transport, "start_server", lambda self, **more: self.add_server_key(other) or serve(self, **more))
    (tmp_path / "known_hosts").write_text(line(other, "127.0.0.1"))
    assert verdict_of(probe_one) == "allowed"


def test_host_keys_are_not_checked_without_host_key_checking(probe_one):
    assert verdict_of(probe_one, known_hosts=[], host_key_checking=False) == "allowed"


# --- the module ---

def run_module(sshd, check_mode=False, **arguments):
    """Runs the module as Ansible would; returns its exit status and its result."""
    given = {"host": "127.0.0.1", "port": sshd.port, "user": "carol", "password": "geheim", "known_hosts": os.environ["HOME"] + "/known_hosts",
             "_ansible_check_mode": check_mode, "_ansible_no_log": False, **arguments}
    code = ("import sys; from ansible.module_utils.testing import patch_module_args\n"
            "from ansible_collections.sciviz.paraview.plugins.modules import forwarding_check\n"
            "import json\nwith patch_module_args(json.load(sys.stdin)): forwarding_check.main()")
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(given), capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stdout, done.stderr
    assert "geheim" not in re.sub(r'"invocation".*', "", done.stdout)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_module(sshd, check_mode):
    code, result = run_module(sshd, check_mode, remote=["127.0.0.1:0", {"bind": "*", "expect": "elsewhere"}], local=["127.0.0.1:{0}".format(sshd.port)])
    assert (code, result["changed"], result["user"], result["server"]) == (0, False, "carol", sshd.version)
    assert [one["verdict"] for one in result["forwards"]] == ["allowed"] * 3
    assert len(result["table"]) == 4


def test_the_module_fails_if_an_expectation_is_not_met(sshd):
    code, result = run_module(sshd, remote=["127.0.0.1:0", {"bind": "*", "expect": "refused"}])
    assert (code, result["failed"]) == (1, True)
    first, *table = result["msg"].splitlines()
    assert first == "1 of 2 forwards of carol on 127.0.0.1 differ from what was expected"
    assert table == result["table"]
    assert [one["as_expected"] for one in result["forwards"]] == [None, False]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"password": "falsch", "remote": ["127.0.0.1:0"]}, "refuses the login of carol"),
    ({"known_hosts": "/nonexistent", "remote": ["127.0.0.1:0"]}, "cannot trust"),
    ({"remote": ["nonsense"]}, "is no forward"),
    ({"remote": []}, "no forward to request"),
    ({}, "one of the following is required: remote, local"),
])
def test_errors_of_the_module(sshd, arguments, message):
    code, result = run_module(sshd, **arguments)
    assert code == 1
    assert message in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert "falsch" not in json.dumps(result)


def test_the_module_without_paramiko(sshd, monkeypatch, tmp_path):
    (tmp_path / "paramiko.py").write_text("raise ImportError('none here')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    code, result = run_module(sshd, remote=["127.0.0.1:0"])
    assert code == 1
    assert "paramiko" in result["msg"]
