# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that an entry of ParaView's Connect dialog runs. A shell replaces ParaView, and a pseudo-terminal replaces the window."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from relay import interpreters

PROGRAM = Path(__file__).resolve().parents[2] / "roles/workstation/files/paraview-connect"
# A terminal: it runs its arguments on an own tty, and writes the output to a file.
TERMINAL = """#!{python}
import os, pty, sys
open({own!r}, "w").write(str(os.getpid()))
pid, line = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
typed = open({typed!r}, "rb").read()
with open({seen!r}, "wb", 0) as seen:
    while True:
        try:
            text = os.read(line, 1000)
        except OSError:
            break
        seen.write(text)
        if typed and b"Code:" in text:
            os.write(line, typed)
"""


class Desk:
    """A simulated ParaView, which runs the program and waits for it."""

    def __init__(self, place):
        self.place, self.seen, self.typed, self.terminal = place, place / "seen", place / "typed", place / "terminal"
        self.typed.write_text("")
        self.terminal.write_text(TERMINAL.format(python=sys.executable, typed=str(self.typed), seen=str(self.seen), own=str(self.place / "terminal.pid")))
        self.terminal.chmod(0o755)
        self.paraview = None

    def impatient(self):
        """The program with a shorter IDLE_SECONDS."""
        program = self.place / "impatient"
        text = PROGRAM.read_text()
        assert "IDLE_SECONDS = 15" in text
        program.write_text(text.replace("IDLE_SECONDS = 15", "IDLE_SECONDS = 2"))
        return program

    def start(self, script, window=True, program=PROGRAM, **environment):
        """Starts ParaView (here a shell, which the test can kill). It runs the program, with a shell script as the command."""
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(self.place), "TMPDIR": str(self.place), "PV_CONNECTION_SCHEME": "cs"}
        if window:
            variables.update(DISPLAY=":none", PARAVIEW_TERMINAL=f"{self.terminal} -e")
        variables.update(environment)
        self.paraview = subprocess.Popen(
            ["/bin/sh", "-c", '"$@"; echo "exit $?"', "sh", sys.executable, "-I", program, "/bin/sh", "-c", script, "sh", "host=frontera"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables, text=True)
        return self.paraview

    def ended(self):
        return self.paraview.communicate(timeout=20)[0]

    def left(self):
        return [one.name for one in self.place.glob("paraview-connect-*")]


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    if desk.paraview.poll() is None:
        desk.paraview.kill()
    # A window may wait for Return.
    window = desk.place / "terminal.pid"
    if window.exists() and running(window):
        os.kill(int(window.read_text()), signal.SIGKILL)


def until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.02)


def running(file):
    """Whether the process with the pid in a file runs."""
    return Path("/proc", Path(file).read_text().strip(), "exe").exists()


def test_a_command_in_a_window(desk):
    desk.start('tty; echo "job 4711 pending"; [ "$TERM" ]; exit 0')
    assert desk.ended() == "exit 0\n"
    assert "/dev/pts/" in desk.seen.read_text() and "job 4711 pending" in desk.seen.read_text()
    assert "\033]0;ParaView: frontera\007" in desk.seen.read_text()
    assert not desk.left()


def test_prompts_are_answered_in_the_window(desk):
    desk.typed.write_text("123456\n")
    desk.start('printf "Code: "; read -r code; test "$code" = 123456')
    assert desk.ended() == "exit 0\n"


def test_a_failure_is_reported_immediately_and_its_window_stays(desk):
    desk.start("echo cannot log in; exit 7")
    assert desk.ended() == "exit 7\n"
    until(lambda: "Press Return to close this window" in desk.seen.read_text())


@pytest.mark.parametrize("hangup", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_window_that_is_closed_ends_the_command(desk, hangup):
    """Also if ParaView was started with nohup."""
    before = signal.signal(signal.SIGHUP, hangup)
    try:
        desk.start("echo $$ > pid; echo begun; exec sleep 1000")
    finally:
        signal.signal(signal.SIGHUP, before)
    until(lambda: desk.seen.exists() and "begun" in desk.seen.read_text())
    os.kill(int((desk.place / "terminal.pid").read_text()), signal.SIGKILL)  # and the tty hangs up
    assert desk.ended() == "exit 1\n"
    until(lambda: not running("pid"))
    assert not desk.left()


@pytest.mark.parametrize("window", [True, False])
def test_if_paraview_is_killed_the_command_is_interrupted(desk, window):
    desk.start("trap 'echo interrupted > interrupted; exit' INT; echo begun > began; while :; do sleep 0.1; done", window)
    until(Path("began").exists)
    desk.paraview.kill()
    until(Path("interrupted").exists)
    until(lambda: not desk.left())


@pytest.fixture(autouse=True)
def _in_an_own_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the command also starts there, since it is the home directory


def test_cancel_of_a_paraview_that_listens(desk):
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(1)
        desk.start("echo $$ > pid; echo begun > began; exec sleep 1000", PV_CONNECTION_SCHEME="csrc", PV_SERVER_PORT=str(listener.getsockname()[1]))
        until(Path("began").exists)
    assert desk.ended() == "exit 1\n"
    assert not running("pid")


def test_cancel_of_a_paraview_that_keeps_listening_but_is_idle(desk):
    # ParaView 5.11 does this. Here it is a shell that waits.
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(1)
        desk.start("echo $$ > pid; exec sleep 1000", program=desk.impatient(), PV_CONNECTION_SCHEME="csrc", PV_SERVER_PORT=str(listener.getsockname()[1]))
        assert desk.ended() == "exit 1\n"
        assert not running("pid")


def test_a_paraview_that_is_connected_no_longer_listens(desk):
    listener = socket.socket()
    listener.bind(("0.0.0.0", 0))
    listener.listen(1)
    port = listener.getsockname()[1]
    desk.start("echo begun > began; until [ -e go ]; do sleep 0.1; done; sleep 2", PV_CONNECTION_SCHEME="csrc", PV_SERVER_PORT=str(port))
    until(Path("began").exists)
    with socket.create_connection(("127.0.0.1", port)), listener.accept()[0]:
        listener.close()
        Path("go").touch()
        assert desk.ended() == "exit 0\n"


def test_without_a_window_the_output_goes_to_paraview(desk):
    desk.start("echo 'job 4711 pending'; exit 3", window=False)
    assert desk.ended() == "job 4711 pending\nexit 3\n"


def test_if_the_terminal_does_not_work_the_command_runs_without(desk):
    desk.start("echo output", PARAVIEW_TERMINAL="/bin/false -e", PATH=str(desk.place))
    assert desk.ended() == "output\nexit 0\n"


def test_the_environment(desk):
    desk.start("env > seen", window=False, OMPI_COMM_WORLD="x", PMIX_RANK="0", PV_APPLICATION_DIR="/opt/ParaView/bin", PYTHONHOME="/opt/ParaView",
               LD_LIBRARY_PATH="/opt/ParaView/lib:/opt/other", PARAVIEW_ACCOUNT="a b; 'c'")
    assert desk.ended() == "exit 0\n"
    seen = dict(line.split("=", 1) for line in Path("seen").read_text().splitlines())
    assert not {"OMPI_COMM_WORLD", "PMIX_RANK", "PYTHONHOME"} & set(seen)
    assert seen["LD_LIBRARY_PATH"] == "/opt/other" and seen["PARAVIEW_ACCOUNT"] == "a b; 'c'"
    assert seen["PATH"] == "/usr/bin:/bin:/usr/local/bin"
    assert int(seen["PARAVIEW_CLIENT_PROCESS"]) == desk.paraview.pid


@pytest.mark.parametrize("place", ["x" * 90, "no/such/place"])
def test_a_directory_for_temporary_files_that_cannot_be_used(desk, place):
    if "/" not in place:
        (desk.place / place).mkdir()
    desk.start("tty >&2; exit 0", TMPDIR=str(desk.place / place))
    assert desk.ended() == "exit 0\n"
    assert "/dev/pts/" in desk.seen.read_text()


def test_if_the_terminal_has_an_unmatched_quote_the_command_runs_without(desk):
    desk.start("echo output", PARAVIEW_TERMINAL="'xterm -e", PATH=str(desk.place))
    assert desk.ended() == "output\nexit 0\n"


def test_a_program_that_is_killed_leaves_no_traceback_in_its_window(desk):
    desk.start("echo $$ > pid; echo begun; exec sleep 1000")
    until(lambda: desk.seen.exists() and "begun" in desk.seen.read_text())
    outer = subprocess.run(["pgrep", "-P", str(desk.paraview.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(outer[0]), signal.SIGKILL)
    until(lambda: "stopping the command" in desk.seen.read_text() and not running("pid"))
    until(lambda: not Path("/proc", (desk.place / "terminal.pid").read_text(), "exe").exists())
    assert "Traceback" not in desk.seen.read_text()


def test_a_current_directory_that_was_removed(desk, tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    desk.start("pwd", window=False)
    assert desk.ended() == f"{desk.place}\nexit 0\n"
    os.chdir(tmp_path)


def test_a_window_that_opens_too_late_closes_without_output(desk):
    done = subprocess.run([sys.executable, "-I", PROGRAM, "--inside", str(desk.place / "line")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    desk.start("true", window=False)


def test_no_value_is_in_a_process_list(desk):
    desk.start("echo begun; sleep 1000", PV_CONNECT_ID="1234567")
    until(lambda: desk.seen.exists() and "begun" in desk.seen.read_text())
    assert "1234567" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_command_that_does_not_exist(desk):
    done = subprocess.run([sys.executable, "-I", PROGRAM, "/no/such/command"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot run /no/such/command" in done.stderr and "Traceback" not in done.stderr
    desk.start("true")


@pytest.mark.parametrize("python", interpreters())
def test_it_runs_on_other_pythons(python):
    assert subprocess.run([python, "-I", PROGRAM, "/bin/true"], check=False).returncode == 0
