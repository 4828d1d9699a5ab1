# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own relay, in a real shell; the listeners and processes are this machine's."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import RouteContext
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.user_relay import UserRelay
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.shell import Shell


def wait(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.02)


class Login:
    """A login node's shell, as the daemon has it."""

    def __init__(self, shell):
        self.process = subprocess.Popen([shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.shell = Shell(self.process)
        self.shell.begin(10)
        facts = {"login_node": "login2", "uid": os.getuid()}
        self.context = RouteContext(None, LoginNode(facts["login_node"], facts["uid"], self.shell.run, self.shell.here), facts,
                                    {"client_timeout": 60, "on_login_node": False})

    def processes(self):
        """list[int]: the running processes that the shell started, the newest last."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/{0}/stat".format(pid), encoding="ascii", errors="replace") as stream:
                    state, _parent, _group, session = stream.read().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.process.pid != int(pid) and state != "Z":
                found.append(int(pid))
        return sorted(found)

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture(name="login", params=["dash", "bash"])
def _login(request):
    login = Login(request.param)
    yield login
    login.close()


def echo(connection):
    for data in iter(lambda: connection.recv(1000), b""):
        connection.sendall(data)


@pytest.fixture(name="target")
def _target():
    """A server on loopback that echoes its input."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    echo(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "127.0.0.1:{0}".format(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def started(login, target, kind=None, sources=(), ports=""):
    relay = UserRelay(login.context, {"kind": kind, "program": shutil.which(kind)} if kind else {})
    directory = relay.begin()
    return relay, directory, relay.start("127.0.0.1", ports, target, list(sources))


def echoed(port, seconds=10):
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(b"hello")
        return connection.recv(100)


def nothing_left(login, directory, port):
    wait(lambda: not os.path.exists(directory) and not login.processes())
    assert not listeners.covering(listeners.local(), "127.0.0.1", port)


def test_it_holds_a_connection_until_its_source_is_allowed(login, target):
    relay, directory, port = started(login, target)
    assert relay.holds
    with socket.create_connection(("127.0.0.1", port), timeout=10) as held:
        held.sendall(b"early")
        relay.allow(["127.0.0.1"])
        assert held.recv(100) == b"early"
    relay.stop()
    nothing_left(login, directory, port)


def stranger(port):
    """A connection from another address, which may be refused at any moment."""
    connection = socket.socket()
    connection.bind(("127.0.0.2", 0))
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


def test_strangers_do_not_use_up_the_places_for_held_connections(login, target):
    relay, _directory, port = started(login, target)
    strangers = [stranger(port) for _number in range(50)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as held:
        held.sendall(b"early")
        relay.allow(["127.0.0.1"])
        assert held.recv(100) == b"early"
    for connection in strangers:
        connection.close()
    relay.stop()


def test_a_port_of_a_range(login, target):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        low = taken.getsockname()[1]
        relay, _directory, port = started(login, target, ports="{0}-{1}".format(low, low + 5))
        assert low < port <= low + 5
        relay.stop()


def test_no_port_is_free(login, target):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        relay = UserRelay(login.context, {})
        directory = relay.begin()
        with pytest.raises(RouteUnavailable, match="does not start .*cannot listen on 127.0.0.1"):
            relay.start("127.0.0.1", str(taken.getsockname()[1]), target, [])
        relay.stop()
        wait(lambda: not os.path.exists(directory))


def test_files_are_private(login, target):
    relay, directory, _port = started(login, target)
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert {os.stat(os.path.join(directory, name)).st_uid for name in os.listdir(directory)} == {os.getuid()}
    relay.stop()


@pytest.mark.parametrize("kind", [None, "socat", "ncat"])
def test_it_ends_with_the_connection(login, target, kind):
    if kind and not shutil.which(kind):
        pytest.skip(kind + " is not here")
    _relay, directory, port = started(login, target, kind, ["127.0.0.1"])
    login.process.stdin.close()
    nothing_left(login, directory, port)


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("kind", [None, "socat", "ncat"])
def test_if_one_process_is_killed_none_is_left_after_the_connection_ends(login, target, kind, which):
    if kind and not shutil.which(kind):
        pytest.skip(kind + " is not here")
    _relay, directory, port = started(login, target, kind, ["127.0.0.1"])
    os.kill(login.processes()[which], signal.SIGKILL)
    login.process.kill()
    wait(lambda: not login.processes())
    assert not listeners.covering(listeners.local(), "127.0.0.1", port)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("kind", ["socat", "ncat"])
def test_socat_and_ncat_replace_it(login, target, kind):
    if not shutil.which(kind):
        pytest.skip(kind + " is not here")
    relay, directory, port = started(login, target, kind, ["127.0.0.1"])
    assert not relay.holds
    assert echoed(port) == b"hello"
    relay.stop()
    nothing_left(login, directory, port)


def test_it_ends_although_a_job_is_still_running(login, target):
    """Without a batch system, the job is a child of the connection's shell, and outlives the shell."""
    _relay, directory, port = started(login, target)
    login.shell.run("setsid sleep 30 </dev/null >/dev/null 2>&1 & echo $! > {0}.pid".format(directory), 10)
    with open(directory + ".pid", encoding="ascii") as stream:
        sleeper = int(stream.read())
    try:
        login.process.stdin.close()
        nothing_left(login, directory, port)
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.unlink(directory + ".pid")


def test_no_program_for_it():
    context = RouteContext(None, LoginNode("login2", 1000, lambda text, seconds: (0, "", "")), {}, {})
    with pytest.raises(RouteUnavailable, match="login2 has neither Python 3.6 or newer nor socat nor ncat"):
        UserRelay(context, {}).find()


@pytest.mark.parametrize("answer", ["python relative", "python /bin/py thon", "perl /usr/bin/perl", "python", "python \x1b/x"])
def test_an_unexpected_answer_is_not_run(answer):
    context = RouteContext(None, LoginNode("login2", 1000, lambda text, seconds: (0, answer + "\n", "")), {}, {})
    with pytest.raises(RouteUnavailable):
        UserRelay(context, {}).find()


@pytest.mark.parametrize("answer", ["", "directory /home/eve\n", "directory /tmp/paraview-relay.0123456789; rm\n"])
def test_an_unexpected_directory_is_not_used(answer):
    context = RouteContext(None, LoginNode("login2", 1000, lambda text, seconds: (0, answer, "No space left on device")), {}, {})
    with pytest.raises(RouteUnavailable, match="No space left"):
        UserRelay(context, {"kind": "python", "program": "/usr/bin/python3"}).begin()
