# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes over ssh to the root node, and routes without any tunnel."""

import array
import os
import shlex
import socket
import stat
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import direct, node_login, node_tunnels
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import RouteContext
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused, Master

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ5mB0f8cGk3z6b9y1mJx4u2o0b1n7Y3c5Z8w9qTtest"
SOURCE = "address 10.0.0.11\n10.0.0.11 dev ib0 src 10.0.0.2 uid 1000\n"
TARGET = {"executable": "ssh", "host": "login.example", "user": "alice", "port": 22, "key": None, "arguments": ["-o", "ProxyJump=bastion"], "timeout": 10}
OPTIONS = {"client_port": 0, "login_ports": "", "server_ports": "", "on_login_node": False, "target": TARGET}
FACTS = {"login_node": "login2", "uid": os.getuid(), "addresses": ["10.0.0.2"], "client_side": "198.18.2.2", "client_address": "198.18.1.9"}
KNOWN = "# Host c101 found: line 1 \nc101,10.0.0.11 ssh-ed25519 {0}\n".format(KEY)


class Login(Master):
    """A simulated control master."""

    def __init__(self, path, reached="open"):
        super().__init__(str(path))
        self.reached, self.tried, self.forwards = reached, [], []

    def reach(self, address, port, messages=None, seconds=3.0):
        self.tried.append((address, port))
        return self.reached

    def forward(self, option, specification):
        self.forwards.append((option, specification))

    def cancel(self, option, specification):
        self.forwards.remove((option, specification))


@pytest.fixture(name="make_context")
def _make_context(tmp_path):
    def make(known=KNOWN, reached="open", nodes=("c101",), **options):
        def script(text, _seconds):
            return 0, known if "ssh-keygen" in text else SOURCE, ""

        job = {"nodes": list(nodes), "addresses": []}
        return RouteContext(Login(tmp_path / "m", reached), LoginNode(FACTS["login_node"], FACTS["uid"], script, messages=str), dict(FACTS),
                            dict(OPTIONS, **options), (), job)

    return make


class Node:
    """Replaces NodeLogin."""

    refuses = ""
    loopback = True
    owner = os.getuid()
    made = None

    def __init__(self, _context, node):
        self.node, self.opened, self.closed, self.forwards, self.master = node, [], 0, [], self
        Node.made = self

    def can_be_tried(self, address):
        if self.refuses:
            raise RouteUnavailable(self.refuses)

    def open(self, address):
        if self.refuses:
            raise RouteUnavailable(self.refuses)
        self.opened.append(address)

    def close(self):
        self.closed += 1

    def check_target_is_loopback(self):
        if not self.loopback:
            raise RouteUnavailable("sshd on c101 forbids local forwarding")

    def forward(self, option, specification):
        self.forwards.append((option, specification))

    def forward_to(self, entrance, port):
        self.forward("-L", "{0}:127.0.0.1:{1}".format(entrance, port))

    def listen(self, target):
        self.forwards.append(("-R", target))
        return 40000

    def check_listener(self, port):
        if self.owner != os.getuid():
            raise RouteUnavailable("port {0} of c101 belongs to another account (uid {1})".format(port, self.owner))


@pytest.fixture(name="node")
def _node(monkeypatch):
    kind = type("OneNode", (Node,), {})
    monkeypatch.setattr(node_tunnels, "NodeLogin", kind)
    return kind


def test_a_node_tunnel(make_context, node, monkeypatch):
    route = node_tunnels.NodeTunnel(make_context())
    route.ready_for("c101")
    assert Node.made.opened == ["10.0.0.11"]
    assert route.saved == {"node": "c101"}
    assert route.pvserver_arguments(17) == ["--server-port=0", "--connect-id=17", "?--bind-address=127.0.0.1"]
    monkeypatch.setattr(listeners, "local_owner", lambda _port: os.getuid())
    monkeypatch.setattr(listeners, "free_port", lambda: 40123)
    assert route.after_start(("c101", 33333), "c101") == 40123
    assert Node.made.forwards == [("-L", "127.0.0.1:40123:127.0.0.1:33333")]
    assert route.url(40123) == "cs://127.0.0.1:40123"


def test_before_the_job_no_connection_is_opened(make_context, node):
    node_tunnels.NodeTunnel(make_context(nodes=())).ready_for("c101")
    assert Node.made.opened == []
    node.refuses = "login2 has no host key of c101"
    with pytest.raises(RouteUnavailable, match="no host key"):
        node_tunnels.NodeTunnel(make_context(nodes=())).ready_for("c101")
    node_tunnels.NodeTunnel(make_context(nodes=())).ready_for("")


@pytest.mark.parametrize("route", [node_tunnels.NodeTunnel, node_tunnels.NodeTunnelReverse])
def test_a_node_that_refuses_the_login(make_context, node, route):
    node.refuses = "ssh to c101 fails (Access denied: no job here)"
    tunnel = route(make_context(), {"client_port": 40123})
    with pytest.raises(RouteUnavailable, match="no job here"):
        tunnel.ready_for("c101")
    assert Node.made.closed == 1
    assert "node" not in tunnel.saved


def test_a_node_that_forbids_forwarding(make_context, node):
    node.loopback = False
    route = node_tunnels.NodeTunnel(make_context())
    with pytest.raises(RouteUnavailable, match="forbids local forwarding"):
        route.ready_for("c101")
    assert Node.made.closed == 1


def test_pvserver_on_the_login_node_needs_no_node_tunnel(make_context, node):
    with pytest.raises(RouteUnavailable, match="on the login node itself"):
        node_tunnels.NodeTunnel(make_context(on_login_node=True)).ready_for("login2")


def test_a_reverse_node_tunnel(make_context, node, monkeypatch):
    monkeypatch.setattr(listeners, "local_owner", lambda _port: os.getuid())
    route = node_tunnels.NodeTunnelReverse(make_context(), {"client_port": 40123})
    route.ready_for("c101")
    assert (route.address, route.port) == ("127.0.0.1", 40000)
    route.before_start("c101")
    assert route.pvserver_arguments(17) == ["--reverse-connection", "--client-host=127.0.0.1", "--server-port=40000", "--connect-id=17"]
    assert route.url(40123) == "csrc://127.0.0.1:40123"
    node.owner = 4711
    route.ready_for("c101")
    assert Node.made.forwards == [("-R", "127.0.0.1:40123")], "an endpoint of another account is replaced"


# --- the connection to the node ---


def test_host_keys_come_from_the_login_node_and_only_those_of_this_node(make_context):
    known = KNOWN + "@cert-authority *.cluster ssh-rsa {0}\n@revoked c101 ssh-rsa {0}\n|1|abc=|def= ecdsa-sha2-nistp256 {0} comment\nevil $(id)\n".format(KEY)
    login = node_login.NodeLogin(make_context(known=known), "c101")
    assert login._host_keys("10.0.0.11").splitlines() == [
        "c101 ssh-ed25519 " + KEY, "@cert-authority c101 ssh-rsa " + KEY, "@revoked c101 ssh-rsa " + KEY, "c101 ecdsa-sha2-nistp256 " + KEY]


@pytest.mark.parametrize(("known", "reached", "message"), [
    ("", "open", "login2 has no host key of c101"), (KNOWN, "forbidden", "sshd on login2 forbids local forwarding"),
    (KNOWN, "filtered", "no sshd on c101 answers"), (KNOWN, "no IPv4", r"login2 forwards over IPv6 alone \(AddressFamily inet6"),
    (KNOWN, "refused", "no sshd on c101 answers")])
def test_reasons_against_a_node_before_there_is_a_job(make_context, known, reached, message):
    with pytest.raises(RouteUnavailable, match=message):
        node_login.NodeLogin(make_context(known=known, reached=reached), "c101").can_be_tried("10.0.0.11")


def test_the_command_accepts_only_known_host_keys_and_does_not_prompt(make_context):
    login = node_login.NodeLogin(make_context(), "c101")
    command = login._command()
    options = dict(word.partition("=")[::2] for word in command if "=" in word)
    assert command[:3] == ["ssh", "-F", os.devnull] and command[-2:] == ["--", "c101"]
    assert (options["StrictHostKeyChecking"], options["BatchMode"], options["HostKeyAlias"], options["ForwardAgent"]) == ("yes", "yes", "c101", "no")
    assert options["UserKnownHostsFile"] == login.keys and options["GlobalKnownHostsFile"] == os.devnull
    assert options["ProxyUseFdpass"] == "yes"
    assert shlex.split(options["ProxyCommand"].replace("%%", "%"))[-1] == login.entrance
    assert options["User"] if "User" in options else options["user"] == "alice"
    assert not [word for word in command if "bastion" in word], "options on how to reach the login node do not hold for the node"


def test_if_ssh_fails_its_message_is_reported_and_no_file_is_left(make_context, tmp_path, program):
    fake = program("ssh", "#!/bin/sh\ncase $* in *-G*) exit 0;; esac\necho 'Access denied by pam_slurm_adopt: you have no active jobs' >&2\nexit 255\n")
    context = make_context(target=dict(TARGET, executable=fake))
    login = node_login.NodeLogin(context, "c101")
    with pytest.raises(RouteUnavailable, match=r"ssh to c101 fails \(Access denied by pam_slurm_adopt: you have no active jobs\)"):
        login.open("10.0.0.11")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]
    assert not context.master.forwards and not context.forwards


def test_files_of_the_connection_are_private(make_context, tmp_path, program):
    fake = program("ssh", "#!/bin/sh\nexit 0\n")
    login = node_login.NodeLogin(make_context(target=dict(TARGET, executable=fake)), "c101")
    old = os.umask(0)
    try:
        login.open("10.0.0.11")
    finally:
        os.umask(old)
    assert all(stat.S_IMODE(os.stat(path).st_mode) == 0o600 for path in (login.keys, login.log))
    login.close()
    assert not os.path.exists(login.keys)


# --- no tunnel at all ---


def test_a_direct_connection(make_context, monkeypatch):
    tried = []
    monkeypatch.setattr(direct, "_unreachable", lambda address, port: tried.append((address, port)) or "")
    route = direct.ForwardDirect(make_context(server_ports="11111-11115"))
    route.ready_for("c101")
    assert tried == [("10.0.0.11", 11111)]
    assert route.after_start(("c101", 11113), "c101") == 11113
    assert route.url(11113) == "cs://10.0.0.11:11113"
    monkeypatch.setattr(direct, "_unreachable", lambda _address, _port: "timed out")
    with pytest.raises(RouteUnavailable, match=r"this machine cannot reach a port of c101 \(timed out\)"):
        route.ready_for("c101")
    assert "not encrypted" in route.note


def test_a_refused_port_is_an_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert direct._unreachable("127.0.0.1", port) == ""
    assert direct._unreachable("127.0.0.1", port) == ""
    assert direct._unreachable("no.such.host.invalid", port)


def test_a_direct_reverse_connection(make_context, monkeypatch):
    route = direct.ReverseDirect(make_context(), {"client_port": 40123})
    route.ready_for("c101")
    assert route.pvserver_arguments(0) == ["--reverse-connection", "--client-host=198.18.1.9", "--server-port=40123"]
    context = make_context()
    context.facts["client_address"] = ""
    with pytest.raises(RouteUnavailable, match="source address"):
        direct.ReverseDirect(context, {"client_port": 40123}).ready_for("c101")


def test_refusals_of_a_node_are_reported(make_context, monkeypatch):
    login = node_login.NodeLogin(make_context(), "c101")

    def refuse(*_words):
        raise ForwardRefused("remote port forwarding failed")

    monkeypatch.setattr(login.master, "forward", refuse)
    with pytest.raises(RouteUnavailable, match="sshd on c101 refuses a remote forward on its loopback"):
        login.listen("127.0.0.1:40123")
    monkeypatch.setattr(login, "_listeners", list)
    with pytest.raises(RouteUnavailable, match="put the forward on nothing that listens over IPv4 instead of 127.0.0.1"):
        login.check_listener(40123)
    monkeypatch.setattr(login, "_listeners", lambda: [listeners.Listener("127.0.0.1", 40123, 4711)])
    with pytest.raises(RouteUnavailable, match="another account .uid 4711."):
        login.check_listener(40123)


def test_the_connection_to_the_nodes_sshd_is_passed_to_ssh(make_context, short_path):
    """No process stays between ssh and the socket that is forwarded to the node."""
    login = node_login.NodeLogin(make_context(), "c101")
    login.entrance = str(short_path / "it's e")
    command = next(word.partition("=")[2] for word in login._command() if word.startswith("ProxyCommand="))
    with socket.socket(socket.AF_UNIX) as sshd:
        sshd.bind(login.entrance)
        sshd.listen()
        ours, theirs = socket.socketpair()
        with ours, subprocess.Popen(["/bin/sh", "-c", command.replace("%%", "%")], stdout=theirs) as program:
            theirs.close()
            _data, ancillary, _flags, _address = ours.recvmsg(1, socket.CMSG_SPACE(4))
            assert program.wait(20) == 0
        (descriptor,) = array.array("i", ancillary[0][2])
        with socket.socket(fileno=descriptor) as connection, sshd.accept()[0] as there:
            connection.sendall(b"SSH-2.0-")
            assert there.recv(8) == b"SSH-2.0-"


def test_a_node_that_the_login_node_cannot_reach_is_named_with_the_masters_message(make_context, program):
    fake = program("ssh", "#!/bin/sh\ncase $* in *-G*) exit 0;; esac\necho 'Connection closed by UNKNOWN port 65535' >&2\nexit 255\n")
    context = make_context(target=dict(TARGET, executable=fake))
    context.login_node.messages = lambda: "channel 3: open failed: connect failed: No route to host\r\n"
    with pytest.raises(RouteUnavailable, match=r"ssh to c101 fails \(connect failed: No route to host\)"):
        node_login.NodeLogin(context, "c101").open("10.0.0.11")
