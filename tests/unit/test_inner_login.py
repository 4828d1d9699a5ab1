# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login node's own ssh to a node that does not accept the user's keys: a real shell is the login node, and its ssh is a stand-in."""

import glob
import os
import stat
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import inner_login, node_login, node_tunnels
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.inner_login import InnerLogin
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.shell import Shell
from test_node_tunnels import _make_context

#: The fixture make_context.
SHARED = _make_context
# A control master runs its remote command here; requests are noted, and a remote forward gets a port.
SSH = """#!/bin/sh
echo "$*" >> {home}/asked
for last; do :; done
case " $* " in
*" -O check "*) exit 0;;
*" -O forward -R "*) echo 40321;;
*" -O "*) exit 0;;
*" -M "*) {login}; eval "$last";;
*" exec /bin/sh -s ") cat >/dev/null; echo ' 0: 0100007F:9D81 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {owner} 0 1 1';;
esac
"""


class Far:
    """A login node."""

    def __init__(self, make_context, program, tmp_path, monkeypatch):
        self.make_context, self.program, self.tmp_path = make_context, program, tmp_path
        monkeypatch.setenv("PATH", "{0}/bin:{1}".format(tmp_path, os.environ["PATH"]))
        self.shells = []

    def ssh(self, login=":", owner=None):
        self.program("ssh", SSH.format(home=self.tmp_path, login=login, owner=os.getuid() if owner is None else owner))

    def connect(self):
        """A connection to the login node, with a shell of its own."""
        process = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        shell = Shell(process)
        self.shells.append(shell)
        shell.begin(10)
        context = self.make_context()
        context.login_node = LoginNode("login2", os.getuid(), shell.run, shell.here)
        return context

    def lose(self):
        """The connection ends."""
        shell = self.shells.pop()
        shell.process.stdin.close()
        shell.process.wait()
        shell.process.stdout.close()
        shell.process.stderr.close()

    @property
    def asked(self):
        return (self.tmp_path / "asked").read_text().splitlines()


@pytest.fixture(name="far")
def _far(make_context, program, tmp_path, monkeypatch, until):
    before = set(glob.glob("/tmp/paraview-node.*"))
    far = Far(make_context, program, tmp_path, monkeypatch)
    far.ssh()
    yield far
    while far.shells:
        far.lose()
    until(lambda: set(glob.glob("/tmp/paraview-node.*")) <= before)


def test_it_never_prompts_and_never_accepts_an_unknown_host_key(far):
    login = InnerLogin(far.connect(), "c101", {})
    login.open()
    words = far.asked[0].split()
    assert words[:4] == ["-T", "-a", "-x", "-M"]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    assert (options["BatchMode"], options["StrictHostKeyChecking"], options["PermitLocalCommand"], options["ControlPersist"]) == ("yes", "yes", "no", "no")
    assert words[words.index("--") + 1] == "c101"
    status = os.stat(login.directory)
    assert stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.getuid(), "no other account can connect to its sockets"


def test_the_directory_goes_while_ssh_ends(far):
    """What ssh's end writes comes while the directory is being removed."""
    far.program("rm", '#!/bin/sh\nfor last; do :; done\n[ -d "$last" ] || { sleep 0.3; exec /bin/rm "$@"; }\n'
                      '/bin/rm -f "$last"/*; sleep 1; exec rmdir "$last"\n')
    login = InnerLogin(far.connect(), "c101", {})
    login.open()
    far.lose()


def test_forwards_meet_at_sockets_in_its_directory(far):
    context = far.connect()
    login = InnerLogin(context, "c101", {})
    login.open()
    login.forward_to("127.0.0.1:40123", 33333)
    path = login.directory + "/33333"
    assert context.master.forwards == [("-L", "127.0.0.1:40123:" + path)]
    assert any("-O forward -L {0}:127.0.0.1:33333".format(path) in line for line in far.asked)


def test_the_listener_on_the_node_has_to_be_the_users_own(far):
    context = far.connect()
    login = InnerLogin(context, "c101", {})
    login.open()
    assert login.listen("127.0.0.1:40123") == 40321
    option, specification = context.master.forwards[0]
    assert option == "-R" and specification.startswith(login.directory + "/") and specification.endswith(":127.0.0.1:40123")
    far.ssh(owner=4711)
    with pytest.raises(RouteUnavailable, match="another account"):
        login.check_listener(40321)


@pytest.mark.parametrize("said", [
    "alice@c101: Permission denied (hostbased,publickey).", "No ED25519 host key is known for c101", "\\033[31mno\\033[0m access"])
def test_what_ssh_there_prints_is_reported(far, said):
    far.ssh(login="printf '{0}\\n' >&2; exit 255".format(said))
    saved = {}
    with pytest.raises(RouteUnavailable) as caught:
        InnerLogin(far.connect(), "c101", saved).open()
    assert str(caught.value) == "ssh from login2 to c101 fails ({0})".format(said.replace("\\033[31m", "").replace("\\033[0m", ""))
    assert "directory" not in saved


def test_it_ends_with_the_connection_and_a_new_connection_logs_in_again(far, until):
    saved = {}
    InnerLogin(far.connect(), "c101", saved).open()
    first = saved["directory"]
    far.lose()
    until(lambda: not os.path.exists(first))
    login = InnerLogin(far.connect(), "c101", saved)
    login.open()
    assert saved["directory"] != first and os.path.exists(saved["directory"])
    login.open()
    assert len([line for line in far.asked if " -M " in line]) == 2, "an existing connection is used"
    second = saved["directory"]
    login.close()
    assert not os.path.exists(second) and saved == {}


def test_one_of_a_lost_connection_is_not_used_even_if_it_still_answers(far):
    saved = {}
    InnerLogin(far.connect(), "c101", saved).open()
    first = saved["directory"]
    InnerLogin(far.connect(), "c101", saved).open()
    assert saved["directory"] != first


# --- when it is used ---


class Refusing:
    """Replaces NodeLogin."""

    error = node_login.KeysRefused("ssh to c101 fails (alice@c101: Permission denied (publickey).)")

    def __init__(self, _context, node):
        self.node = node

    def open(self, _address):
        raise self.error

    def close(self):
        pass


@pytest.mark.parametrize("route", [node_tunnels.NodeTunnel, node_tunnels.NodeTunnelReverse])
def test_a_node_that_refuses_the_users_own_keys(far, monkeypatch, route):
    monkeypatch.setattr(node_tunnels, "NodeLogin", Refusing)
    monkeypatch.setattr(inner_login.InnerLogin, "_answer", lambda self, _entrance: "connect failed: Connection refused")
    tunnel = route(far.connect(), {"client_port": 40123})
    tunnel.ready_for("c101")
    assert tunnel.explanation == ("c101 does not accept your own keys (alice@c101: Permission denied (publickey).); "
                                  "login2's own ssh to c101 carries the connection")
    directory = tunnel.saved["inner"]["directory"]
    tunnel.remove()
    assert not os.path.exists(directory) and "inner" not in tunnel.saved


@pytest.mark.parametrize(("answer", "message"), [
    ("administratively prohibited: open failed", "sshd on c101 forbids local forwarding"), ("", r"sshd on login2 does not forward to unix sockets")])
def test_a_site_that_forbids_the_forwards(far, monkeypatch, answer, message):
    monkeypatch.setattr(node_tunnels, "NodeLogin", Refusing)
    monkeypatch.setattr(inner_login.InnerLogin, "_answer", lambda self, _entrance: answer)
    tunnel = node_tunnels.NodeTunnel(far.connect())
    with pytest.raises(RouteUnavailable, match=message):
        tunnel.ready_for("c101")
    assert "inner" not in tunnel.saved and not tunnel.explanation


def test_both_refusals_are_reported(far, monkeypatch):
    monkeypatch.setattr(node_tunnels, "NodeLogin", Refusing)
    far.ssh(login="echo 'Permission denied (hostbased).' >&2; exit 255")
    with pytest.raises(RouteUnavailable) as caught:
        node_tunnels.NodeTunnel(far.connect()).ready_for("c101")
    assert str(caught.value) == ("ssh to c101 fails (alice@c101: Permission denied (publickey).), "
                                 "and ssh from login2 to c101 fails (Permission denied (hostbased).)")


def test_a_login_that_fails_for_another_reason_is_not_tried_from_the_login_node(far, monkeypatch):
    monkeypatch.setattr(node_tunnels, "NodeLogin", type("Unreachable", (Refusing,), {"error": RouteUnavailable("ssh to c101 fails (No route to host)")}))
    with pytest.raises(RouteUnavailable, match="No route to host"):
        node_tunnels.NodeTunnel(far.connect()).ready_for("c101")
    assert not (far.tmp_path / "asked").exists()


@pytest.mark.parametrize(("message", "kind"), [
    ("alice@c101: Permission denied (publickey,hostbased).", node_login.KeysRefused),
    ("Received disconnect from c101: Too many authentication failures", node_login.KeysRefused),
    ("Access denied by pam_slurm_adopt: you have no active jobs on this node", RouteUnavailable),
    ("Host key verification failed.", RouteUnavailable), ("kex_exchange_identification: read: Connection reset by peer", RouteUnavailable)])
def test_which_failures_are_about_keys(far, program, message, kind):
    program("ssh", "#!/bin/sh\ncase $* in *-G*) exit 0;; esac\necho '{0}' >&2\nexit 255\n".format(message))
    context = far.make_context()
    with pytest.raises(RouteUnavailable) as caught:
        node_login.NodeLogin(context, "c101").open("10.0.0.11")
    assert caught.value.__class__ is kind and message in str(caught.value)
