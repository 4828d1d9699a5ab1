# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The caller of the launcher: the ssh connection that runs it, and its output."""

import os
import select
import signal
import time
import typing as t

from ..common import durations, processes
from ..common.text import clean

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
# After so many seconds without output a line is printed: sshd notices a lost network only when it sends something.
_SILENCE = 600
#: Names of the processes that serve one ssh connection.
_SERVERS = ("sshd", "dropbear")


class HungUp(Exception):
    """The caller has disconnected, or ends the launcher. The text is the reason."""


class Caller:
    """The caller's connection, and the output to it.

    Attributes:
        server: processes.identity() of sshd's process for this connection.
        state: the text that is printed if there is no other output for long.
    """

    def __init__(self) -> None:
        self.server = processes.identity(server_of(os.getpid())) if server_of(os.getpid()) else None
        self.state = ""
        self._began = self._shown_at = time.monotonic()
        self._signal = 0
        self._unread = False
        self._released = False

    def catch_signals(self) -> None:
        """From now on a signal only makes check() raise HungUp."""
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _on_signal(self, number: int, _frame: t.Any) -> None:
        self._signal = number

    def check(self) -> None:
        """Raises HungUp if the caller has disconnected. The end of standard input proves nothing: some callers have none."""
        if self._signal:
            raise HungUp("ended by {0}".format(signal.Signals(self._signal).name))
        if self.server and not processes.alive(self.server):
            raise HungUp("the ssh connection ended")
        if self._unread:
            raise HungUp("nobody reads the output")
        if not self._released:
            poll = select.poll()
            poll.register(1, 0)
            if any(events & _GONE for _descriptor, events in poll.poll(0)):
                raise HungUp("nobody reads the output")
            if self.state and time.monotonic() - self._shown_at > _SILENCE:
                self.show("{0}, {1} after the start".format(self.state, durations.in_words(time.monotonic() - self._began)))

    def show(self, text: str) -> None:
        """Prints a line for the user immediately."""
        self._write(1, text)

    def show_error(self, text: str) -> None:
        """Prints a line of an error for the user."""
        self._write(2, text)

    def _write(self, descriptor: int, text: str) -> None:
        if self._released:
            return
        self._shown_at = time.monotonic()
        data = (clean(text) + "\n").encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(descriptor, data):]
        except OSError:
            self._unread = True

    def release(self) -> None:
        """Releases standard input and output. From now on there is no output, and only the ssh connection is checked."""
        self._released = True
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)

    def wait(self, seconds: float) -> None:
        """Sleeps, and checks the caller meanwhile."""
        until = time.monotonic() + seconds
        while True:
            self.check()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))


def server_of(pid: int) -> int:
    """The sshd process that serves the connection to which a process belongs; 0 if there is none."""
    for _step in range(64):
        name, parent = _stat(pid)
        if name.startswith(_SERVERS):
            return pid
        if parent <= 1:
            return 0
        pid = parent
    return 0


def _stat(pid: int) -> t.Tuple[str, int]:
    """The name and the parent of a process."""
    try:
        with open("/proc/{0:d}/stat".format(pid), encoding="utf-8", errors="replace") as stream:
            name, _bracket, rest = stream.read().partition("(")[2].rpartition(")")
        return name, int(rest.split()[1])
    except (OSError, ValueError, IndexError):
        return "", 0
