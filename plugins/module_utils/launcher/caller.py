# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login node, as the launcher is on it: shells of its own, and the ssh connection over which it was called."""

import os
import select
import signal
import time
import typing as t

from ..common import durations, processes
from ..common.text import clean

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
# Seconds after which something is said in any case: a network that is gone is noticed by sshd only where it has something to send.
_SILENCE = 600
#: What a process of sshd's is called that serves one connection.
_SERVERS = ("sshd", "dropbear")


class HungUp(Exception):
    """Whoever called is gone, or wants an end; the text says how that was seen."""


class Line:
    """The caller of the launcher: its connection, and what is printed for it.

    Attributes:
        server: processes.identity() of sshd's process for this connection.
        state: what goes on, to be said where nothing else is for long.
    """

    def __init__(self) -> None:
        self.server = processes.identity(server_of(os.getpid())) if server_of(os.getpid()) else None
        self.state = ""
        self._began = self._shown_at = time.monotonic()
        self._signal = 0
        self._deaf = False
        self._silent = False

    def listen(self) -> None:
        """From now on signals are noticed by look() and end nothing by themselves."""
        for number in _SIGNALS:
            signal.signal(number, self._noted)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _noted(self, number: int, _frame: t.Any) -> None:
        self._signal = number

    def look(self) -> None:
        """Raises HungUp where nobody is there any more. The end of standard input proves nothing: some callers have none."""
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
            if self.state and time.monotonic() - self._shown_at > _SILENCE:
                self.show("{0}, {1} after the beginning".format(self.state, durations.spoken(time.monotonic() - self._began)))

    def show(self, text: str) -> None:
        """A line for the user, at once."""
        self._write(1, text)

    def complain(self, text: str) -> None:
        """A line for the user, of an error."""
        self._write(2, text)

    def _write(self, descriptor: int, text: str) -> None:
        if self._silent:
            return
        self._shown_at = time.monotonic()
        data = (clean(text) + "\n").encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(descriptor, data):]
        except OSError:
            self._deaf = True

    def leave(self) -> None:
        """Lets go of standard input and output: from now on nobody is told anything, and the ssh connection alone counts."""
        self._silent = True
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)

    def wait(self, seconds: float) -> None:
        """Sleeps, and looks meanwhile."""
        until = time.monotonic() + seconds
        while True:
            self.look()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))


def server_of(pid: int) -> int:
    """sshd's process that serves the connection to which a process belongs; 0 where it belongs to none."""
    for _step in range(64):
        name, parent = _stat(pid)
        if name.startswith(_SERVERS):
            return pid
        if parent <= 1:
            return 0
        pid = parent
    return 0


def _stat(pid: int) -> t.Tuple[str, int]:
    """A process' name and its parent."""
    try:
        with open("/proc/{0:d}/stat".format(pid), encoding="utf-8", errors="replace") as stream:
            name, _bracket, rest = stream.read().partition("(")[2].rpartition(")")
        return name, int(rest.split()[1])
    except (OSError, ValueError, IndexError):
        return "", 0
