# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login node, as the launcher is on it: shells of its own, and the ssh connection over which it was called."""

import contextlib
import os
import select
import signal
import subprocess
import time

from . import durations, processes
from .channel import ChannelLost
from .shell import Shell, ShellLost
from .text import clean

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
# Seconds after which something is said in any case: a network that is gone is noticed by sshd only where it has something to send.
_SILENCE = 600
#: What a process of sshd's is called that serves one connection.
_SERVERS = ("sshd", "dropbear")


class HungUp(Exception):
    """Whoever called is gone, or wants an end; the text says how that was seen."""


class Line:
    """Whoever called, and what he is told.

    Attributes:
        server (list or None): processes.identity() of sshd's process for this connection.
        state (str): what goes on, to be said where nothing else is for long.
    """

    def __init__(self):
        self.server = processes.identity(server_of(os.getpid())) if server_of(os.getpid()) else None
        self.state = ""
        self._began = self._said_at = time.monotonic()
        self._signal = 0
        self._deaf = False
        self._silent = False

    def listen(self):
        """From now on signals are noticed by look() and end nothing by themselves."""
        for number in _SIGNALS:
            signal.signal(number, self._noted)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _noted(self, number, _frame):
        self._signal = number

    def look(self):
        """Raises HungUp where nobody is there any more. The end of standard input tells nothing: some callers have none."""
        if self._signal:
            raise HungUp("ended by {0}".format(signal.Signals(self._signal).name))
        if self.server and not processes.alive(self.server):
            raise HungUp("the ssh connection ended")
        if self._deaf:
            raise HungUp("nobody reads what is said")
        if not self._silent:
            poll = select.poll()
            poll.register(1, 0)
            if any(events & _GONE for _descriptor, events in poll.poll(0)):
                raise HungUp("nobody reads what is said")
            if self.state and time.monotonic() - self._said_at > _SILENCE:
                self.say("{0}, {1} after the beginning".format(self.state, durations.spoken(time.monotonic() - self._began)))

    def say(self, text):
        """A line for the user, at once."""
        self._write(1, text)

    def complain(self, text):
        """A line for the user, of an error."""
        self._write(2, text)

    def _write(self, descriptor, text):
        if self._silent:
            return
        self._said_at = time.monotonic()
        data = (clean(text) + "\n").encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(descriptor, data):]
        except OSError:
            self._deaf = True

    def leave(self):
        """Lets go of standard input and output: from now on nobody is told anything, and the ssh connection alone counts."""
        self._silent = True
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)

    def wait(self, seconds):
        """Sleeps, and looks meanwhile."""
        until = time.monotonic() + seconds
        while True:
            self.look()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))


def server_of(pid):
    """int: sshd's process that serves the connection to which a process belongs; 0 where it belongs to none."""
    for _step in range(64):
        name, parent = _stat(pid)
        if name.startswith(_SERVERS):
            return pid
        if parent <= 1:
            return 0
        pid = parent
    return 0


def _stat(pid):
    """tuple[str, int]: a process' name and its parent."""
    try:
        with open("/proc/{0:d}/stat".format(pid), encoding="utf-8", errors="replace") as stream:
            name, _bracket, rest = stream.read().partition("(")[2].rpartition(")")
        return name, int(rest.split()[1])
    except (OSError, ValueError, IndexError):
        return "", 0


class Shells:
    """Two shells on this host: one for scripts, and one that what has to end with this program hangs on.

    Both see the end of their standard input when this program ends, however that comes about.

    Args:
        line (Line): is looked at while one of them is waited for.
    """

    def __init__(self, line):
        self.line = line
        self._worker = self._keeper = None

    def script(self, text, seconds=30):
        """tuple[int, str, str]: what a script gave: exit code, stdout, stderr."""
        self._worker = self._worker or self._begun()
        try:
            return self._worker.run(text, seconds)
        except ShellLost as lost:
            self._worker = self._drop(self._worker)
            raise _lost(lost)

    def hold(self, text, seconds=30):
        """Runs lines in the shell whose end is the end of what they start; returns what script() does."""
        self._keeper = self._keeper or self._begun()
        try:
            return self._keeper.here(text, seconds)
        except ShellLost as lost:
            self._keeper = self._drop(self._keeper)
            raise _lost(lost)

    @contextlib.contextmanager
    def undisturbed(self):
        """What is begun in it comes to its end, whoever may be gone."""
        line, self.line = self.line, None
        self._look_by(None)
        try:
            yield
        finally:
            self.line = line
            self._look_by(line)

    def _look_by(self, line):
        for shell in (self._worker, self._keeper):
            if shell:
                shell.meanwhile = line.look if line else None

    def clear_up(self):
        """From now on nothing is looked at any more, and a script that is under way is not waited for."""
        self.line = None
        self._look_by(None)
        self._worker = self._drop(self._worker)

    def close(self):
        """Ends both."""
        self._worker, self._keeper = self._drop(self._worker), self._drop(self._keeper, 15)

    def _begun(self):
        home = os.path.expanduser("~")
        process = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                   start_new_session=True, cwd=home if os.path.isdir(home) else "/")
        shell = Shell(process)
        try:
            shell.begin(30)
        except ShellLost as lost:
            raise _lost(lost)
        if self.line:
            shell.meanwhile = self.line.look
        return shell

    @staticmethod
    def _drop(shell, patience=0.1):
        if shell:
            process = shell.process
            known = processes.identity(process.pid)
            process.stdin.close()
            # A guard is not the parent of what it took over, and cannot wait for it otherwise.
            if not processes.wait_gone(known, patience):
                processes.end(known)
            for stream in (process.stdout, process.stderr):
                stream.close()
            process.poll()


def _lost(lost):
    return ChannelLost("a shell on this login node ended", str(lost).strip() or "it said nothing", "try again")
