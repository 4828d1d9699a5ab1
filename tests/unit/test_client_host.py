# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client host, as routes use it: this machine and another one."""

import os
import socket
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import host, remote
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.listeners import Listener
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused

UMASK = os.umask(0)
os.umask(UMASK)


class Far:
    """Another host: its sshd and its listeners; master and script in one."""

    def __init__(self, bind="127.0.0.1", refuse=False):
        self.bind, self.refuse = bind, refuse
        self.requests, self.cancelled, self.listeners = [], [], [Listener("127.0.0.1", 5000, 2001)]

    def forward(self, option, specification):
        if self.refuse:
            raise ForwardRefused("Port forwarding failed")
        self.requests.append((option, specification))
        if option == "-L":
            open(specification.split(":")[0], "w").close()
        else:
            self.listeners.append(Listener(self.bind, int(specification.split(":")[1]), 1000))

    def cancel(self, option, specification):
        self.cancelled.append((option, specification))

    def script(self, _text, _seconds):
        return 0, "".join("{0}: {1}:{2:04X} 00000000:0000 0A 0:0 0:0 0 {3} 0 1\n".format(
            number, socket.inet_aton(one.address)[::-1].hex().upper(), one.port, one.uid) for number, one in enumerate(self.listeners)), ""


@pytest.fixture(name="there")
def _there(tmp_path):
    def make(**sshd):
        far = Far(**sshd)
        return host.RemoteClientHost("bigscreen", 1000, far, far.script, str(tmp_path / "c")), far

    return make


def test_listeners_there(there):
    client, _far = there()
    assert (client.owner(5000), client.owner(5001)) == (2001, None)
    assert client.free_port() != 5000


def test_a_remote_forward_ends_at_a_port_there(there, tmp_path):
    client, far = there()
    path = str(tmp_path / "c.t") + "40123"
    assert client.target(40123) == client.target(40123) == path
    assert far.requests == [("-L", path + ":127.0.0.1:40123")], "once"


def test_a_port_there_is_forwarded_to_a_local_forward(there, tmp_path):
    client, far = there()
    path = str(tmp_path / "c.s") + "40123"
    open(path, "w").close()
    assert client.entrance(40123) == path
    assert not os.path.exists(path), "ssh creates no socket if a file exists"
    client.forward(40123)
    assert far.requests == [("-R", "127.0.0.1:40123:" + path)] and client.owner(40123) == 1000


def test_the_sockets_of_a_stub(tmp_path):
    stub = host.StubEndpoint(str(tmp_path / "c"))
    assert stub.owner(7000) is None
    with socket.socket(socket.AF_UNIX) as taken, socket.socket() as port:
        taken.bind(stub.target(7000))
        assert stub.owner(7000) == os.getuid()
        port.bind(("127.0.0.1", 0))
        port.listen(1)
        assert stub.owner(port.getsockname()[1]) == os.getuid(), "if nodes connect to this machine directly"
    (tmp_path / "c.w").touch()
    assert stub.entrance(7001) == stub.target(7001)
    assert [one.name for one in tmp_path.iterdir()] == ["c.w"], "only sockets of an earlier connection are removed"


def test_a_port_that_would_be_open_to_the_network_is_closed(there):
    client, far = there(bind="0.0.0.0")
    with pytest.raises(SessionError, match="open to the network") as caught:
        client.forward(40123)
    assert far.cancelled == far.requests and "GatewayPorts" in caught.value.way_out


@pytest.mark.parametrize("way", ["target", "forward"])
def test_an_sshd_there_that_forwards_nothing(there, way):
    client, _far = there(refuse=True)
    with pytest.raises(SessionError, match="cannot set up a tunnel to bigscreen") as caught:
        getattr(client, way)(40123)
    assert "AllowTcpForwarding" in caught.value.way_out


@pytest.fixture(name="home")
def _home(tmp_path, monkeypatch):
    """A shell of another host, whose home is a test directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    def script(text, _seconds):
        done = subprocess.run(["/bin/sh", "-s"], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return host.RemoteClientHost("bigscreen", os.getuid(), None, script, str(tmp_path / "c"))


def test_a_client_there(home, program, until, tmp_path):
    words = ["it's", "a b", "$x", "\n"]
    command = program("paraview", '#!/bin/sh\nprintf "%s|" "$PV_CONNECT_ID" "$@"; umask\nexec sleep 1000\n')
    state = home.script(remote.keep_script("lab", 17), 5)[1].strip()
    assert state == str(tmp_path / ".local/state/paraview-connect")
    path = tmp_path / ".local/state/paraview-connect/lab.connect_id"
    assert path.read_text() == "17\n" and path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    for ending in (".py", ".pvsc"):
        kept = home.keep("/here/client" + ending, "lab", "it's $HOME\n")
        assert kept == str(path.parent / ("lab" + ending)) and os.stat(kept).st_mode & 0o077 == 0
        with open(kept) as stream:
            assert stream.read() == "it's $HOME\n"
    record = SessionRecord(**home.start([command, *words], {"PV_CONNECT_ID": "17", "PV_CONNECTION_URI": "csrc://127.0.0.1:5"}, None, "lab"))
    until(lambda: home.last_words(None, "lab") == "17|it's|a b|$x|\n|{0:04o}\n".format(UMASK))
    assert home.lives(record)
    process_list = subprocess.run(["ps", "-o", "args=", "-p", str(record.remote_client[0])], stdout=subprocess.PIPE, check=True).stdout
    assert b"PV_CONNECT_ID" not in process_list
    assert not home.lives(SessionRecord(remote_client=[record.remote_client[0], "another"])), "a process id that is used again"
    home.script(remote.end_script([record.remote_client[0], "another"]), 5)
    assert home.lives(record)
    home.end(record)
    assert not home.lives(record)
    home.script(remote.forget_script("lab"), 5)
    assert not path.parent.exists()


@pytest.mark.parametrize("plant", ["writable", "group", "foreign", "link"])
def test_a_directory_there_that_others_can_write_to_is_refused(home, tmp_path, plant):
    """They could replace the script that ParaView runs."""
    if plant in ("foreign", "link") and os.getuid():
        pytest.skip("only root can make a directory of another account")
    state = tmp_path / "planted"
    (tmp_path / "real").mkdir(mode=0o700)
    state.symlink_to("real") if plant == "link" else state.mkdir(mode=0o700)
    if plant in ("foreign", "link"):
        os.chown(tmp_path / "real" if plant == "link" else state, 65533, 65533)
    else:
        state.chmod(0o777 if plant == "writable" else 0o770)
    text = remote.keep_script("lab", 17).replace("${XDG_STATE_HOME:-$HOME/.local/state}/paraview-connect", str(state))
    code, out, err = home.script(text, 5)
    assert code == 1 and out == "" and "others can write to it" in err and os.listdir(state) == []


def test_a_link_there_is_not_followed(home, tmp_path):
    (tmp_path / "victim").write_text("mine")
    state = home.script(remote.keep_script("lab", 17), 5)[1].strip()
    for name, script in (("lab.connect_id", remote.keep_script("lab", 18)), ("lab.py", remote.file_script("lab.py", "text"))):
        path = os.path.join(state, name)
        if os.path.exists(path):
            os.unlink(path)
        os.symlink(str(tmp_path / "victim"), path)
        assert home.script(script, 5)[0] == 0
        assert not os.path.islink(path) and os.stat(path).st_mode & 0o777 == 0o600
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_client_that_does_not_exist(home, until):
    home.script(remote.keep_script("it's", 0), 5)
    record = SessionRecord(**home.start(["/nowhere/paraview"], {}, None, "it's"))
    until(lambda: not home.lives(record))
    assert "/nowhere/paraview" in home.last_words(None, "it's")


def test_this_machine_needs_no_forward():
    client = host.LocalClientHost()
    assert client.target(5) == client.entrance(5) == "127.0.0.1:5"
    assert client.forward(5) is None
    assert client.uid == os.getuid()
