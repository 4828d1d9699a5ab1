# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of sshd with a configuration, the lines that they come from, and calls of its daemon."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import program as sshd
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.program import Connection, Daemon, Effective
from login_node import LoginNode, real_sshd

MAIN = "/etc/ssh/sshd_config"
D = "/etc/ssh/sshd_config.d/"


@pytest.fixture(name="node")
def _node(tmp_path):
    return LoginNode(tmp_path / "node root")


def origin(node, keyword, user="alice", **fields):
    effective = node.effective(user, **fields)
    origin = effective.origin(keyword)
    return effective.value(keyword), origin and "{0}:{1}".format(origin.file, origin.line)


# --- values and where they come from ---

def test_default_has_no_origin(node):
    node.write(main="# nothing\n")
    assert origin(node, "AllowTcpForwarding") == ("yes", None)
    assert node.value("NoSuchKeyword") is None


def test_first_line_counts(node):
    node.write(main="\n# GatewayPorts no\nGatewayPorts clientspecified\ngatewayports yes\n")
    assert origin(node, "gatewayPorts") == ("clientspecified", MAIN + ":3")


def test_drop_in_before_main_file(node):
    node.write(main="Include {0}*.conf\nGatewayPorts no\n".format(D), b="GatewayPorts yes\n", a="# a\n\nGatewayPorts clientspecified\n")
    assert origin(node, "GatewayPorts") == ("clientspecified", D + "a.conf:3")


def test_match_before_global(node):
    node.write(main="Include {0}*.conf\nGatewayPorts yes\nMatch User alice\n  GatewayPorts no\n  X11Forwarding yes\n".format(D), a="GatewayPorts yes\n")
    assert origin(node, "GatewayPorts") == ("no", MAIN + ":4")
    assert origin(node, "GatewayPorts", "bob") == ("yes", D + "a.conf:1")
    assert origin(node, "X11Forwarding") == ("yes", MAIN + ":5")
    assert origin(node, "X11Forwarding", "bob") == ("no", None)


def test_first_match_counts(node):
    node.write(main="Match Group viz\n  GatewayPorts yes\nMatch User alice\n  GatewayPorts no\n")
    assert origin(node, "GatewayPorts") == ("yes", MAIN + ":2")
    assert origin(node, "GatewayPorts", "dave") == ("no", None)


def test_mask_comes_from_the_line_that_counts_for_this_sshd(node):
    """The last one for most versions."""
    node.write(main="Include {0}*.conf\nStreamLocalBindMask 0117\n".format(D), a="StreamLocalBindMask 0111\n")
    assert origin(node, "StreamLocalBindMask") in [("0117", MAIN + ":2"), ("0111", D + "a.conf:1")]


def test_nested_includes(node):
    node.write(main="# main\nInclude {0}a.conf\n".format(D), a="\n\nInclude {0}deep/*\nGatewayPorts no\n".format(D))
    (node.root / "etc/ssh/sshd_config.d/deep").mkdir()
    (node.root / "etc/ssh/sshd_config.d/deep/x y.conf").write_text("\nGatewayPorts yes\nMatch User alice\n\tAllowTcpForwarding local\n")
    assert origin(node, "GatewayPorts") == ("yes", D + "deep/x y.conf:2")
    assert origin(node, "AllowTcpForwarding") == ("local", D + "deep/x y.conf:4")


def test_include_under_a_match(node):
    node.write(main="Match User alice\n  Include {0}a.conf\nMatch all\n  GatewayPorts clientspecified\n".format(D), a="GatewayPorts yes\n")
    assert origin(node, "GatewayPorts") == ("yes", D + "a.conf:1")
    assert origin(node, "GatewayPorts", "bob") == ("clientspecified", MAIN + ":4")


def test_every_field_of_a_connection_counts(node):
    node.write(main="Match Address 198.18.0.0/15 LocalPort 2222 LocalAddress 10.0.0.1 Host *.example\n  GatewayPorts yes\n")
    fields = {"addr": "198.18.1.1", "laddr": "10.0.0.1", "lport": 2222}
    assert node.value("GatewayPorts", **fields) == "yes"
    for field, other in {"addr": "192.0.2.1", "laddr": "10.0.0.2", "lport": 22, "host": "x.invalid"}.items():
        assert node.value("GatewayPorts", **dict(fields, **{field: other})) == "no", field


def test_several_values_are_one_value(node):
    node.write(main="PermitListen 127.0.0.1:* localhost:8080\n")
    assert node.value("PermitListen").split() == ["127.0.0.1:*", "localhost:8080"]


def test_options_of_the_command_line_win(node):
    node.write(main="GatewayPorts no\nMatch User bob\n  GatewayPorts clientspecified\n")
    node.program.options = ["-o", "GatewayPorts=yes"]
    assert origin(node, "GatewayPorts") == ("yes", "command-line:0")
    assert origin(node, "GatewayPorts", "bob") == ("clientspecified", MAIN + ":3"), "a Match overrides the command line"


@pytest.mark.parametrize(("main", "message"), [
    ("GatewayPorts maybe\n", "/etc/ssh/sshd_config line 1: unsupported option \"maybe\""),
    ("\nNoSuchKeyword yes\n", "line 2: Bad configuration option: NoSuchKeyword"),
    ("Match User\n", "line 1"),
    ("Include {0}*.conf\n".format(D), D + "bad.conf line 3"),
])
def test_rejection_has_the_message_of_sshd(node, main, message):
    node.write(main=main, bad="\n\nPermitListen nonsense:x:y\n")
    with pytest.raises(sshd.Refused) as error:
        node.effective()
    assert message in str(error.value)
    assert "/tmp" not in str(error.value) and "debug" not in str(error.value)


def test_notices_do_not_hide_the_reason_of_a_rejection(node):
    deprecated = ("UsePrivilegeSeparation", "KeyRegenerationInterval", "ServerKeyBits", "RhostsRSAAuthentication")
    notices = "".join("{0} yes\n".format(keyword) for keyword in deprecated)
    node.write(main=notices + "UseLogin no\nShowPatchLevel no\nHPNDisabled no\n")
    with pytest.raises(SessionError) as error:
        node.effective()
    assert error.value.why.startswith("{0}: line 6: Bad configuration option: ShowPatchLevel".format(MAIN)), error.value.why
    assert "Deprecated" not in str(error.value)


def test_nothing_is_left_behind(node, monkeypatch, tmp_path):
    monkeypatch.setattr(sshd.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    node.write(main="GatewayPorts yes\n")
    node.effective()
    node.write(main="bad\n")
    with pytest.raises(sshd.Refused):
        node.effective()
    assert not list((tmp_path / "tmp").iterdir())
    assert sorted(node.files()) == ["etc/ssh/sshd_config"]


def test_host_without_keys(node):
    node.write(main="HostKey /nonexistent\nGatewayPorts yes\n")
    node.program = sshd.Program(real_sshd()[:-2])
    assert node.value("GatewayPorts") == "yes"


def test_missing_sshd_is_an_error(monkeypatch):
    monkeypatch.setattr(sshd, "_PATH", "/nonexistent")
    with pytest.raises(SessionError, match="sshd is not installed on this host\n.*/nonexistent\n.*nothing was changed"):
        sshd.Program()


def test_sshd_that_does_not_exist_is_an_error(node):
    node.write(main="")
    node.program = sshd.Program(["/nonexistent/sshd"])
    with pytest.raises(SessionError, match="/nonexistent/sshd: No such file"):
        node.effective()


def test_command_that_does_not_end():
    assert sshd.run([sys.executable, "-c", "input()"], 30)[0] == 1
    read, write = os.pipe()
    try:
        code, _out, err = sshd.run(["/bin/sh", "-c", "read x </proc/{0}/fd/{1}".format(os.getpid(), read)], 0.1)
    finally:
        os.close(read)
        os.close(write)
    assert (code, err) == (124, "/bin/sh took longer than 0.1 s")


# --- connections and addresses ---

def test_connection_in_the_form_of_sshd():
    assert sshd.spec(Connection()) == "user=nobody,host=host.example,addr=192.0.2.1,laddr=127.0.0.1,lport=22"
    assert sshd.spec(Connection("a", "h", "::1", "::1", 2222, "vrf")) == "user=a,host=h,addr=::1,laddr=::1,lport=2222,rdomain=vrf"


@pytest.mark.parametrize("field", Connection._fields)
@pytest.mark.parametrize("value", ["a,b", "a b", "a\tb", "a\n", "\x01"])
def test_connection_that_sshd_would_misread(field, value):
    with pytest.raises(SessionError, match="{0}=.* is not valid in a connection\n.*\ncorrect verify".format(field)):
        sshd.spec(Connection()._replace(**{field: value}))


def test_addresses_of_a_configuration(node):
    node.write(main="Port 2222\nListenAddress 10.1.2.3\nListenAddress [::1]:2200\nListenAddress 0.0.0.0\nListenAddress ::\n")
    assert sorted(sshd.addresses(node.effective())) == sorted([("10.1.2.3", 2222), ("::1", 2200), ("127.0.0.1", 2222), ("::1", 2222)])
    assert sshd.addresses(Effective({}, [])) == []
    assert sshd.addresses(Effective({"listenaddress": ("10.0.0.1:22 rdomain blue", "odd")}, [])) == []


# --- the daemon ---

class Systemd:
    """systemctl show of some units."""

    def __init__(self, code=0, **units):
        self.units, self.code, self.commands = {name.replace("_", "."): value for name, value in units.items()}, code, []

    def __call__(self, argv, _seconds):
        self.commands.append(argv)
        if argv[1] == "reload":
            return self.code, "", "Job for ssh.service failed.\n" if self.code else ""
        load, active, pid = self.units.get(argv[-1], ("not-found", "inactive", 0))
        shown = {"LoadState": load, "ActiveState": active, "UnitFileState": "enabled"}
        if argv[-1].endswith(".service"):
            shown["MainPID"] = pid
        return 0, "".join("{0}={1}\n".format(*item) for item in shown.items()), ""


@pytest.fixture(name="systemd")
def _systemd(monkeypatch):
    monkeypatch.setattr(sshd, "_systemd", lambda: True)


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize(("units", "unit", "pid", "waits"), [
    ({"ssh_service": ("loaded", "active", 7)}, "ssh.service", 7, False),
    ({"sshd_service": ("loaded", "active", 8)}, "sshd.service", 8, False),
    ({"ssh_service": ("loaded", "active", 7), "sshd_service": ("loaded", "inactive", 0)}, "ssh.service", 7, False),
    ({"sshd_service": ("loaded", "reloading", 8)}, "sshd.service", 8, False),
    ({"ssh_service": ("loaded", "inactive", 0), "ssh_socket": ("loaded", "active", 0)}, "ssh.service", 0, True),
    ({"ssh_service": ("loaded", "failed", 0)}, "ssh.service", 0, False),
    ({"ssh_service": ("masked", "inactive", 0)}, "", 0, False),
    ({}, "", 0, False),
])
def test_unit_of_the_daemon(units, unit, pid, waits):
    daemon = Daemon(Systemd(**units))
    assert daemon.unit == unit
    if unit:
        assert (daemon.pid(), daemon.waits_for_a_socket()) == (pid, waits)


@pytest.fixture(name="process")
def _process():
    """Starts a process that waits, with the given argv."""
    started = []

    def start(*argv, program=("-c", "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); print('up', flush=True); signal.pause()")):
        started.append(subprocess.Popen([argv[0], *program, *argv[1:]], executable=sys.executable, stdout=subprocess.PIPE))
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.stdout.close()
        one.wait()


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize(("arguments", "options"), [
    (["-D"], []),
    (["-D", "-oPort=2222", "-o", "GatewayPorts=no"], ["-o", "Port=2222", "-o", "GatewayPorts=no"]),
    (["-f", "/etc/other"], ["-f", "/etc/other"]),
    (["-f/etc/other", "-D", "[listener] 0 of 10-100 startups"], ["-f", "/etc/other"]),
    (["-o"], []),
])
def test_options_of_the_daemon(process, arguments, options):
    one = process("sshd", *arguments)
    assert Daemon(Systemd(ssh_service=("loaded", "active", one.pid))).options() == options


@pytest.mark.usefixtures("systemd")
def test_options_without_a_daemon():
    assert Daemon(Systemd()).options() == []
    assert Daemon(Systemd(ssh_service=("loaded", "active", 2 ** 22 + 7))).options() == []


@pytest.mark.usefixtures("systemd")
def test_reload_by_its_unit(process):
    # It executes itself again, as sshd does.
    again = "import os, sys, signal; signal.signal(signal.SIGHUP, lambda *_: os.execv(sys.executable, ['sshd', '-c', 'input()', *sys.argv[1:]])); \
print('up', flush=True); signal.pause()"
    one = process("sshd", program=("-c", again))
    systemd = Systemd(ssh_service=("loaded", "active", one.pid))

    def run(argv, seconds):
        if argv[1] == "reload":
            os.kill(one.pid, signal.SIGHUP)
        return systemd(argv, seconds)

    Daemon(run).reload()
    assert not [argv for argv in systemd.commands if "restart" in argv]


@pytest.mark.usefixtures("systemd")
def test_reload_that_fails(process):
    one = process("sshd")
    daemon = Daemon(Systemd(1, ssh_service=("loaded", "active", one.pid)))
    with pytest.raises(SessionError, match="ssh.service could not be reloaded\nJob for ssh.service failed.\nsee: systemctl status ssh.service"):
        daemon.reload()


@pytest.mark.usefixtures("systemd")
def test_daemon_that_ends_in_its_reload(process):
    one = process("sshd")
    systemd = Systemd(ssh_service=("loaded", "active", one.pid))

    def run(argv, seconds):
        if argv[1] == "reload":
            one.kill()
            one.wait()
            systemd.units["ssh.service"] = ("loaded", "failed", 0)
        return systemd(argv, seconds)

    with pytest.raises(SessionError, match="sshd ended when it was reloaded\nits process {0} has ended\n.*ssh.service".format(one.pid)):
        Daemon(run).reload()


@pytest.mark.usefixtures("systemd")
def test_reload_without_a_daemon_does_nothing():
    systemd = Systemd(ssh_service=("loaded", "inactive", 0))
    Daemon(systemd).reload()
    assert not [argv for argv in systemd.commands if argv[1] == "reload"]


@pytest.fixture(name="listener")
def _listener():
    """A port of this host that greets with some bytes."""
    opened = []

    def listen(greeting):
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        opened.append((server, thread))
        return server.getsockname()

    yield listen
    for server, thread in opened:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_daemon_answers(listener):
    daemon = Daemon(Systemd())
    good, bad = listener(b"SSH-2.0-OpenSSH_9.2\r\n"), listener(b"Exceeded MaxStartups\r\n")
    assert daemon.answers([good], 0)
    assert daemon.answers([bad, good], 0)
    assert not daemon.answers([bad], 0)
    assert not daemon.answers([listener(b"")], 0)
    assert not daemon.answers([], 0)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    assert not Daemon(Systemd()).answers([address], 0)


# --- the copy that sshd reads ---

def test_without_host_keys_a_temporary_key_makes_no_difference(node):
    """An image that has not booted yet has no host keys."""
    node.write(main="HostKey /nonexistent/key\n")
    node.program = sshd.Program(real_sshd()[:-2])
    plan = node.plan(match={"Group": "viz"}, allow_tcp_forwarding="local")
    assert plan.place
    assert plan.before[0].values["hostkey"] == plan.after[0].values["hostkey"]


def test_copy_is_in_the_requested_directory_and_is_removed(node, tmp_path, monkeypatch):
    node.write(main="GatewayPorts no\n")
    commands, run = [], sshd.run
    monkeypatch.setattr(sshd, "run", lambda argv, *rest: commands.append(argv) or run(argv, *rest))
    (tmp_path / "scratch").mkdir()
    node.program.scratch = str(tmp_path / "scratch")
    assert node.value("GatewayPorts") == "no"
    assert commands and all(argv[argv.index("-f") + 1].startswith(str(tmp_path / "scratch")) for argv in commands)
    assert not list((tmp_path / "scratch").iterdir())
