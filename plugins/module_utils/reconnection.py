# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in again after the connection was lost, as soon as the network is there, without asking anybody."""

import os
import time

from . import processes
from .shell import Shell, ShellLost

# Seconds that a connection may take. Short ones try often, so that one is there soon after the network is; a longer one is for slow networks.
_SHORT = (2, 2, 5)
_LONG = (5, 15)
# What a login takes once the connection stands.
_LOGIN_SECONDS = 15
# Where nobody answers at all the next attempt waits a moment, up to so long.
_PAUSE = 1.5
# Another login node is tried once the same one has not answered for so long.
_ELSEWHERE_AFTER = 4.0
#: How paths of sockets end at which attempts are made.
SOCKETS = (".1", ".2", ".3")


class Attempt:
    """One login under way.

    Args:
        command (list[str]): a control master with a shell.
        path (str): the control socket that it makes.
        seconds (float): how long it may take.
    """

    def __init__(self, command, path, seconds):
        self.path = path
        self.process = processes.Child(command)
        self.shell = Shell(self.process)
        self.deadline = time.monotonic() + seconds
        try:
            self.shell.ask()
        except ShellLost:
            pass  # that is told by begun()

    def begun(self):
        """bool: whether it is logged in; raises ShellLost with what ssh said."""
        if self.shell.begun():
            return True
        if time.monotonic() > self.deadline:
            raise ShellLost("Connection timed out: " + self.said())
        return False

    def said(self):
        """str: what ssh said so far."""
        return self.shell.messages.decode("utf-8", "replace")

    def close(self):
        """Ends it."""
        self.process.stdin.close()
        self.process.end(0.5)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        if os.path.lexists(self.path):
            os.unlink(self.path)


class _Way:
    """One target that is tried again and again."""

    def __init__(self, target, path, timeouts, begins):
        self.target, self.path, self.timeouts = target, path, timeouts
        self.tries, self.attempt, self.begins = 0, None, begins

    def step(self, openssh, old):
        """Attempt or None: one that is logged in; raises ShellLost where one failed."""
        if self.attempt is None:
            if time.monotonic() < self.begins:
                return None
            seconds = self.timeouts[self.tries % len(self.timeouts)]
            command = openssh.master_command(self.target._replace(timeout=seconds), self.path, old=old, asks=False)
            self.attempt = Attempt(command, self.path, seconds + _LOGIN_SECONDS)
            self.tries += 1
        try:
            return self.attempt if self.attempt.begun() else None
        except ShellLost:
            self.close()
            self.begins = time.monotonic() + min(_PAUSE, 0.25 * self.tries)
            raise

    def close(self):
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None


class Reconnection:
    """Attempts to log in, at the login node that the session was on and, after some seconds, at any of its name.

    Args:
        record (dict): the session's.
    Attributes:
        refused (str): what ssh said where only the user can log in; nothing more is tried then.
    """

    def __init__(self, record):
        # These cost memory, and most sessions never need them.
        from . import openssh

        self._openssh = openssh
        self._old = False
        self.refused = ""
        self.begun = time.monotonic()
        target = openssh.Target(**record["target"])
        pinned = openssh.pinned(target, record.get("facts", {}).get("client_side", ""))
        path = record["control_path"]
        self._ways = [_Way(pinned, path + SOCKETS[0], _SHORT, self.begun), _Way(target, path + SOCKETS[1], _LONG, self.begun + _ELSEWHERE_AFTER)]

    def streams(self):
        """list: what becomes readable when there is news."""
        attempts = [way.attempt for way in self._ways if way.attempt is not None]
        return [stream for one in attempts for stream in (one.process.stdout, one.process.stderr)]

    def step(self):
        """Goes on.

        Returns:
            Attempt or None: the one that is logged in; the others are ended.
        """
        for way in self._ways if not self.refused else ():
            try:
                done = way.step(self._openssh, self._old)
            except ShellLost as lost:
                self._failed(str(lost))
                continue
            if done is not None:
                way.attempt = None
                self.close()
                return done
        return None

    def _failed(self, said):
        if "Bad configuration option" in said:
            self._old = True
        elif not self._openssh.unreachable(said) and self._openssh.refuses(said):
            self.refused = said
            self.close()

    def close(self):
        """Ends all attempts."""
        for way in self._ways:
            way.close()
