# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH's client: command lines, requests, and the meaning of its messages."""

import os
import re
import stat

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import ownership
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import client, control_path, messages
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused, Master, guest_command, live_master
from hypothesis import given
from hypothesis import strategies as st

TARGET = client.Target("ssh", "login.site.edu", "alice", 2222, "/home/a b/key", ["-o", "ProxyJump=gate"], 10)

# Recorded output of ssh, and text that the three lines for the user must contain.
FAILURES = [
    ("ssh: Could not resolve hostname nosuch: Name or service not known\r\n", "cannot reach", "no such name", "ansible_host"),
    ("ssh: connect to host 198.18.2.2 port 22: Connection refused\r\n", "cannot reach", "nothing listens", "ansible_port"),
    ("ssh: connect to host 198.18.2.2 port 22: Connection timed out\r\n", "cannot reach", "no answer", "VPN"),
    ("ssh: connect to host 198.18.2.2 port 22: No route to host\r\n", "cannot reach", "no answer", "firewall"),
    ("ssh: connect to host fe80::1 port 22: Network is unreachable\r\n", "cannot reach", "no answer", "firewall"),
    ("Connection timed out during banner exchange\r\n", "cannot reach", "no answer", "ansible_timeout"),
    ("kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 198.18.2.2 port 22\r\n", "cannot reach", "closed", "ssh -v"),
    ("alice@login: Permission denied (publickey,password).\r\n", "refuses this login", "refused", "ssh-add"),
    ("Received disconnect from 198.18.2.2 port 22:2: Too many authentication failures\r\n", "refuses this login", "refused", "ssh-add"),
    ("No ED25519 host key is known for login and you have requested strict checking.\r\nHost key verification failed.\r\n",
     "cannot trust", "not in known_hosts", "fingerprint"),
    ("@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@@@@@@@\r\nHost key verification failed.\r\n",
     "cannot trust", "differs from", "ssh-keygen -R login.site.edu"),
    ("Bad owner or permissions on /home/alice/.ssh/config\r\n", "cannot log in", "Bad owner", "ssh -v"),
    ("", "cannot log in", "without a message", "ssh -v"),
]


@pytest.mark.parametrize(("output", "what", "why", "way_out"), FAILURES)
def test_a_failed_login_is_explained(output, what, why, way_out):
    error = messages.explain("login.site.edu", output)
    assert what in error.what and "login.site.edu" in error.what
    assert why in error.why
    assert way_out in error.way_out
    assert len(str(error).splitlines()) == 3


@given(st.text(), st.sampled_from(["", "Permission denied ", "Connection refused\n", "{0} {host} {"]))
def test_any_output_becomes_three_plain_lines(output, before):
    error = messages.explain("{host}", before + output)
    assert len(error.lines()) == 3 == len(str(error).splitlines())
    assert "\x1b" not in str(error)


def test_the_masters_command():
    command = client.master_command(TARGET, "/run/user/1000/100%/x")
    options = [value for option, value in zip(command, command[1:]) if option == "-o"]
    assert command[:2] == ["ssh", "-T"]
    assert command[-10:] == ["ProxyJump=gate", "-i", "/home/a b/key", "-p", "2222", "-l", "alice", "--", "login.site.edu", "exec /bin/sh"]
    assert {"ControlMaster=yes", "ControlPersist=no", "ClearAllForwardings=yes", "ControlPath=/run/user/1000/100%%/x", "ConnectTimeout=10",
            "SessionType=default", "StdinNull=no"} <= set(options)
    # ssh uses the first value of an option, so ours come before the user's own.
    assert options.index("ControlMaster=yes") < options.index("ProxyJump=gate")


def test_the_masters_command_for_an_old_ssh():
    words = " ".join(client.master_command(TARGET, "/x", old=True))
    assert "SessionType" not in words and "StdinNull" not in words and "ForkAfterAuthentication" not in words and "ControlMaster=yes" in words


def test_a_host_is_never_an_option():
    bare = client.Target("ssh", "-oProxyCommand=x", None, None, None, [], 10)
    assert client.destination_arguments(bare) == ["--", "-oProxyCommand=x"]


@pytest.mark.parametrize(("output", "version"), [("OpenSSH_9.2p1 Debian-2", (9, 2)), ("OpenSSH_for_Windows_8.6p1", (8, 6)), ("OpenSSH_10.0p2", (10, 0)),
                                                 ("Dropbear v2020.81", (0, 0))])
def test_versions(program, output, version):
    assert client.version(program("ssh", "#!/bin/sh\necho '{0}' >&2\n".format(output))) == version


@pytest.fixture(name="master")
def _master(program, tmp_path):
    """A master whose ssh records its arguments and runs the test's commands."""
    def make(text):
        return Master("/run/a b", program("ssh", '#!/bin/sh\nprintf "%s\\n" "$@" > {0}/arguments\n{1}\n'.format(tmp_path, text)))

    return make


def _arguments(tmp_path):
    return (tmp_path / "arguments").read_text().splitlines()[2:]


def test_a_forward_with_a_port_of_the_servers_choice(master, tmp_path):
    assert master("echo 41233").forward("-R", "10.0.0.2:0:127.0.0.1:5") == 41233
    assert _arguments(tmp_path)[-8:] == ["-S", "/run/a b", "-O", "forward", "-R", "10.0.0.2:0:127.0.0.1:5", "--", "master"]
    assert master("").forward("-L", "127.0.0.1:5:c101:6") is None


def test_a_forward_that_is_refused(master):
    message = "mux_client_forward: forwarding request failed: Port forwarding failed"
    with pytest.raises(ForwardRefused, match=message):
        master("printf '{0}\\r\\n' >&2; exit 255".format(message)).forward("-R", "x")
    with pytest.raises(ForwardRefused, match="255"):
        master("exit 255").forward("-R", "x")


def test_requests(master, tmp_path):
    assert master("exit 0").check() and not master("exit 255").check()
    master("exit 255").cancel("-R", "spec")
    assert _arguments(tmp_path)[-6:] == ["-O", "cancel", "-R", "spec", "--", "master"]
    master("exit 255").exit()
    assert _arguments(tmp_path)[-4:] == ["-O", "exit", "--", "master"]


def test_a_master_that_hangs(master):
    hung = master("exec sleep 1000")
    assert hung._request("-O", "check", timeout=0.2)[0] == 255


@pytest.mark.parametrize(("text", "message", "expected"), [
    ("exit 0", "", "open"), ("exit 255", "channel 3: open failed: connect failed: Connection refused\r\n", "refused"),
    ("exit 255", "channel 3: open failed: administratively prohibited: open failed\r\n", "forbidden"), ("exec sleep 1000", "", "filtered"),
    ("exit 255", "channel 3: open failed: connect failed: No route to host\r\n", "filtered"),
    ("exit 255", "channel 3: open failed: connect failed: Connection timed out\r\n", "filtered"),
    ("exit 255", "channel 3: open failed: connect failed: Temporary failure in name resolution\r\n", "filtered"),
    ("exit 255", "channel 3: open failed: connect failed: open failed\r\n", "filtered"),
    ("exit 255", "channel 3: open failed: connect failed: Address family for hostname not supported\r\n", "no IPv4"),
])
def test_whether_a_port_is_reached(master, tmp_path, text, message, expected):
    """Only the master prints the cause, and not its client."""
    messages_of_master = ["an earlier failure: administratively prohibited", message]
    answer = master("echo 'Stdio forwarding request failed: Session open refused by peer' >&2\n" + text).reach(
        "c101", 45871, lambda: messages_of_master.pop(0) if messages_of_master else "", 0.5)
    assert answer == expected
    assert (tmp_path / "arguments").read_text().splitlines()[-4:] == ["-W", "c101:45871", "--", "master"]


def test_an_ipv6_address_is_not_mixed_up_with_a_port(master, tmp_path):
    assert master("exit 0").reach("2001:db8::7", 22) == "open"
    assert (tmp_path / "arguments").read_text().splitlines()[-4:] == ["-W", "[2001:db8::7]:22", "--", "master"]


@pytest.fixture(name="runtime")
def _runtime(short_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    return short_path


def test_the_directory_of_sockets(runtime):
    before = os.umask(0)
    try:
        path = control_path.control_directory()
    finally:
        os.umask(before)
    assert path == str(runtime / "paraview-connect") == control_path.control_directory()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert os.path.dirname(control_path.control_path("a")) == path
    assert control_path.control_path("a") == control_path.control_path("a") != control_path.control_path("b")
    assert len(control_path.control_path("a")) <= 90


@pytest.mark.parametrize(("make", "why"), [
    (lambda path: path.mkdir(mode=0o755), "can enter it (mode 0755)"), (lambda path: (path.mkdir(), path.chmod(0o710)), "can enter it (mode 0710)"),
    (lambda path: (path.mkdir(), path.chmod(0o777)), "writable for any account (mode 0777)"), (lambda path: path.write_text(""), "is no directory"),
    (lambda path: path.symlink_to("/"), "can enter it"), (lambda path: path.symlink_to("nowhere"), "No such file")])
def test_a_directory_that_is_not_private_is_refused(runtime, make, why):
    make(runtime / "paraview-connect")
    with pytest.raises(SessionError) as caught:
        control_path.control_directory()
    assert str(runtime / "paraview-connect") in caught.value.what and why in caught.value.why and "XDG_RUNTIME_DIR" in caught.value.way_out


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a directory of another account")
def test_a_directory_of_another_user_is_refused(runtime):
    (runtime / "paraview-connect").mkdir(mode=0o700)
    os.chown(runtime / "paraview-connect", 12345, 12345)
    with pytest.raises(SessionError) as caught:
        control_path.control_directory()
    assert "another account (uid 12345)" in caught.value.why


@pytest.mark.parametrize("value", ["", "/nonexistent", "/tmp/" + "x" * 60])
def test_without_a_runtime_directory_it_is_tmp(monkeypatch, value):
    made = []
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    monkeypatch.setattr(os, "getuid", lambda: 4294967294)
    monkeypatch.setattr(ownership, "make_private", lambda path, *_texts: made.append(path))
    monkeypatch.setattr(ownership, "fault_of_entry", lambda _path: "")
    assert control_path.control_directory() == "/tmp/paraview-connect-4294967294"
    assert made == ["/tmp/paraview-connect-4294967294"]


@pytest.mark.parametrize(("configuration", "hostname", "alias"), [
    ("hostname login.site.edu\nport 22\nuser alice\n", "198.18.3.10", "login.site.edu"),
    ("hostname login.site.edu\nport 2222\n", "198.18.3.10", "[login.site.edu]:2222"),
    ("hostname login.site.edu\nport 22\nhostkeyalias site\n", "198.18.3.10", "site"), ("", "198.18.3.10", "login"),
    ("hostname login\nport 22\n", "2001:db8::1", "login")])
def test_a_target_fixed_to_one_address(program, configuration, hostname, alias):
    ssh = program("ssh", "#!/bin/sh\nprintf '{0}'\n".format(configuration.replace("\n", "\\n")))
    target = client.Target(ssh, "login", None, None, None, ["-o", "HostName=elsewhere"], 10)
    pinned = client.pinned(target, hostname)
    assert pinned.host == "login"
    assert pinned.arguments == ["-o", "HostName=" + hostname, "-o", "HostKeyAlias=" + alias, "-o", "HostName=elsewhere"]
    assert client.names(pinned) == {"login"} | set(re.findall("(?:hostname|hostkeyalias) (.*)", configuration))


@pytest.mark.parametrize("text", ["", "$(touch /tmp/x)", "198.18.3.10;true", "login2", "-oProxyCommand=true", "198.18.3.10\n", "fe80::1%$(id)"])
def test_only_an_ip_address_is_used(text):
    """The address that a login node reports gets into a ProxyCommand, which a shell runs."""
    target = client.Target("ssh", "login", None, None, None, [], 10)
    assert client.pinned(target, text) == target


@pytest.mark.parametrize(("version", "configuration", "may_get_it"), [
    ("OpenSSH_8.4p1", "proxyjump bastion", False), ("OpenSSH_8.4p1", "proxycommand nc %h", False),
    ("OpenSSH_8.4p1", "", True), ("OpenSSH_8.5p1", "proxyjump bastion", True)])
def test_a_jump_host_does_not_get_the_password(program, version, configuration, may_get_it):
    """The prompt of an older ssh does not name the host."""
    ssh = program("ssh", "#!/bin/sh\ncase $1 in -V) echo {0} >&2;; *) printf 'hostname login\n{1}\n';; esac\n".format(version, configuration))
    assert client.names(client.Target(ssh, "login", None, None, None, [], 10)) == ({"login"} if may_get_it else set())


@pytest.mark.parametrize(("output", "unreachable"), [
    ("ssh: connect to host login port 22: Connection timed out", True), ("ssh: connect to host login port 22: No route to host", True),
    ("alice@login: Permission denied (publickey).", False), ("Host key verification failed.", False), ("", False)])
def test_whether_a_host_is_unreachable(output, unreachable):
    assert messages.unreachable(output) is unreachable


@pytest.mark.parametrize(("check", "exists", "found"), [
    ("exit 0", True, True), ("exit 255", True, False), ("exit 0", False, False), ("exec sleep 1000", True, False)])
def test_a_control_master_of_the_users_own(program, tmp_path, monkeypatch, check, exists, found):
    socket = tmp_path / "master 1"
    if exists:
        socket.touch()
    ssh = program("ssh", "#!/bin/sh\ncase $1 in -G) printf 'user alice\\ncontrolpath {0}\\n';; *) {1};; esac\n".format(socket, check))
    monkeypatch.setattr(Master, "check", lambda self, _seconds: self._request("-O", "check", timeout=0.3)[0] == 0)
    target = client.Target(ssh, "login", None, None, None, [], 10)
    assert live_master(target) == (str(socket) if found else "")


def test_without_a_control_path_there_is_no_master(program):
    ssh = program("ssh", "#!/bin/sh\nprintf 'controlpath none\\n'\n")
    assert live_master(client.Target(ssh, "login", None, None, None, [], 10)) == ""


def test_a_shell_over_an_existing_master():
    command = guest_command(client.Target("ssh", "login", None, None, None, ["-o", "RemoteForward=1 x:2"], 10), "/home/alice/.ssh/cm-%x")
    assert command[command.index("-S") + 1] == "/home/alice/.ssh/cm-%%x"
    assert command[-3:] == ["--", "master", "exec /bin/sh"]
    assert not [word for word in command if "RemoteForward" in word]
