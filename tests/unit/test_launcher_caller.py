# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shells on the login node, and how the launcher notices that its caller has disconnected."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher import caller
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.caller import Caller, HungUp
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.shells import Shells
from conftest import TOP

WAIT = """
import sys, time
sys.path.insert(0, {0!r})
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.caller import Caller, HungUp
caller = Caller()
caller.catch_signals()
sys.stderr.write("ready\\n"); sys.stderr.flush()
try:
    caller.wait(float(sys.argv[1]))
    sys.stderr.write("still there\\n")
except HungUp as gone:
    sys.stderr.write(str(gone) + "\\n")
""".format(str(TOP / ".cache/collections"))


@pytest.fixture(name="shells")
def _shells():
    class Connected:
        def check(self):
            """The caller is connected."""
    shells = Shells(Connected())
    yield shells
    shells.close()


def waiting(seconds=20, **streams):
    options = dict({"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}, **streams)
    process = subprocess.Popen([sys.executable, "-c", WAIT, str(seconds)], stderr=subprocess.PIPE, **options)
    assert process.stderr.readline() == b"ready\n"
    return process


def reason(process):
    """Why it ended."""
    return process.communicate(timeout=20)[1].decode().strip()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signals_are_noticed(number):
    process = waiting()
    process.send_signal(number)
    assert reason(process) == "ended by {0}".format(signal.Signals(number).name)


def test_a_pipe_that_nobody_reads():
    process = waiting(stdout=subprocess.PIPE)
    process.stdout.close()
    process.stdout = None
    assert reason(process) == "nobody reads the output"


def test_a_socket_whose_other_end_is_gone():
    ours, theirs = socket.socketpair()
    process = waiting(stdin=theirs, stdout=theirs)
    theirs.close()
    ours.close()
    assert reason(process) == "nobody reads the output"


def test_the_end_of_input_does_not_end_it():
    ours, theirs = socket.socketpair()
    process = waiting(0.5, stdin=theirs, stdout=theirs)
    theirs.close()
    ours.shutdown(socket.SHUT_WR)  # as sshd does if the client has no input
    assert reason(process) == "still there"
    ours.close()
    assert reason(waiting(0.1, stdin=subprocess.DEVNULL)) == "still there"


def test_the_end_of_the_connections_sshd_is_noticed(tmp_path, monkeypatch, until):
    server = tmp_path / "sshd-session"
    server.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(server), "30"])
    until(lambda: caller.server_of(process.pid) == process.pid)
    this_caller = Caller()
    this_caller.server = processes.identity(process.pid)
    this_caller.check()
    process.kill()
    process.wait()
    with pytest.raises(HungUp, match="the ssh connection ended"):
        this_caller.check()


def test_a_process_without_sshd_above_it():
    process = subprocess.Popen(["sleep", "30"], start_new_session=True)
    assert caller.server_of(process.pid) in (0, caller.server_of(os.getpid()))
    process.kill()
    process.wait()
    assert caller.server_of(process.pid) == 0


def test_output_has_no_terminal_controls(capfd):
    Caller().show("a\x1b[2Jb\r\x07c\u202e")
    assert capfd.readouterr().out == "ab\nc\n"


def test_a_line_is_printed_after_a_long_silence(capfd, monkeypatch):
    monkeypatch.setattr(caller, "_SILENCE", 0)
    this_caller = Caller()
    this_caller.check()
    assert capfd.readouterr().out == "", "there is no state to print yet"
    this_caller.state = "job 7 waits"
    this_caller.check()
    assert capfd.readouterr().out == "job 7 waits, 0 s after the start\n"


def test_scripts_and_children_of_the_shells(shells, tmp_path, until):
    assert shells.script("echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert shells.hold("cd /; kept=1", 5)[0] == 0
    assert shells.hold("pwd; echo $kept", 5)[1] == "/\n1\n"
    shells.hold("trap 'touch {0}/ended' EXIT".format(tmp_path), 5)
    shells.close()
    until((tmp_path / "ended").exists)


def test_a_caller_who_disconnects_interrupts_a_script(shells):
    shells.script("true")
    checks = []

    def check():
        checks.append(1)
        if len(checks) > 1:
            raise HungUp("gone")
    shells.caller.check = check
    shells._check_meanwhile(shells.caller)
    with pytest.raises(HungUp):
        shells.script("sleep 20")
    with shells.uninterrupted():
        assert shells.hold("echo on", 5)[1] == "on\n"
    shells.clear_up()
    assert shells.script("echo still", 5)[1] == "still\n"


def test_a_shell_that_is_killed_is_an_error(shells):
    with pytest.raises(SessionError, match="a shell on this login node ended"):
        shells.hold("kill -9 $$", 5)
    assert shells.hold("echo another", 5)[1] == "another\n"
