# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in again after the connection was lost, as soon as the network is there, without asking anybody."""

import os
import random
import time
import typing as t

from ..cluster.session_record import SessionRecord
from ..common import processes
from ..schedulers import answers
from ..ssh.shell import Shell, ShellLost

if t.TYPE_CHECKING:
    # It would stay in the daemon's memory.
    from ..ssh.client import Target

# Seconds that a connection may take. Short ones try often, so that one is there soon after the network is; a longer one is for slow networks.
_SHORT = (2, 2, 5)
_LONG = (5, 15)
# What a login takes once the connection stands.
_LOGIN_SECONDS = 15
# Where nobody answers, the next attempt comes soon; where somebody does and a login fails, later and later, as the login node may have enough to do.
_PAUSE = 1.5
_LONGEST_PAUSE = 60.0
# Another login node is tried once the same one has not answered for so long.
_ELSEWHERE_AFTER = 4.0
# A login node that was just started may refuse for a moment whom it knows. Where the first login asked nothing, it is tried again after so long.
_ONCE_MORE = (60.0, 300.0)
#: How paths of sockets end at which attempts are made.
SOCKETS = (".1", ".2", ".3")


class Attempt:
    """One login under way.

    Args:
        command: a control master with a shell.
        path: the control socket that it makes.
        seconds: how long it may take.
    """

    def __init__(self, command: t.List[str], path: str, seconds: float) -> None:
        self.path = path
        self.process = processes.Child(command)
        self.shell = Shell(self.process)
        self.deadline = time.monotonic() + seconds
        try:
            self.shell.ask()
        except ShellLost:
            pass  # that is told by begun()

    def begun(self) -> bool:
        """Whether it is logged in; raises ShellLost with what ssh said."""
        return self.shell.begun()

    @property
    def overdue(self) -> bool:
        """Whether it took longer than it may."""
        return time.monotonic() > self.deadline

    def said(self) -> str:
        """What ssh said so far."""
        return self.shell.messages.decode("utf-8", "replace")

    def streams(self) -> list:
        """What becomes readable when there is news."""
        return [self.process.stdout, self.process.stderr]

    def close(self) -> None:
        """Ends it."""
        self.process.stdin.close()
        self.process.end(0.5)
        for stream in self.streams():
            stream.close()
        if os.path.lexists(self.path):
            os.unlink(self.path)


class _Way:
    """One target that is tried again and again."""

    def __init__(self, target: "Target", path: str, timeouts: t.Sequence[int], begins: float) -> None:
        self.target, self.path, self.timeouts = target, path, timeouts
        self.attempt: t.Optional[Attempt] = None
        self.tries, self.begins, self.pause, self.overdue = 0, begins, _PAUSE, 0

    def begin(self, openssh: t.Any, old: bool) -> None:
        """Begins an attempt, if it is time for one."""
        if self.attempt is None and time.monotonic() >= self.begins:
            seconds = self.timeouts[self.tries % len(self.timeouts)]
            command = openssh.master_command(self.target._replace(timeout=seconds), self.path, old=old, asks=False)
            self.attempt = Attempt(command, self.path, seconds + _LOGIN_SECONDS)
            self.tries += 1

    def failed(self, soon: bool) -> None:
        """Puts the next attempt off."""
        self.close()
        if soon:
            self.pause = _PAUSE
            self.begins = time.monotonic() + min(_PAUSE, 0.25 * self.tries)
        else:
            self.begins = time.monotonic() + self.pause * random.uniform(0.7, 1.3)
            self.pause = min(_LONGEST_PAUSE, 2 * self.pause)

    def close(self) -> None:
        """Ends the attempt that is under way."""
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None


class Reconnection:
    """Attempts to log in, at the login node that the session was on and, after some seconds, at any of its name.

    Args:
        record: the session's.
    Attributes:
        refused: what ssh said where only the user can log in; nothing is tried then.
    """

    def __init__(self, record: SessionRecord) -> None:
        # These cost memory, and most sessions never need them.
        from ..ssh import client, messages

        self._ssh, self._messages = client, messages
        self._old = False
        self.refused = ""
        self._again_at: t.Optional[float] = None
        self._once_more = [] if record.asked else list(_ONCE_MORE)
        begun = time.monotonic()
        target = self._ssh.Target(**record.target)
        pinned = self._ssh.pinned(target, record.facts.get("client_side", ""))
        path = record.control_path
        self._ways = [_Way(self._ssh.asking_nobody(pinned), path + SOCKETS[0], _SHORT, begun)]
        # A job without a batch system is a process of that one login node.
        if pinned == target or not answers.of(record).get("on_login_node"):
            self._ways.append(_Way(self._ssh.asking_nobody(target), path + SOCKETS[1], _LONG, begun + _ELSEWHERE_AFTER))
        if record.asked and not self._ssh.asks_nobody(target):
            self.refused = "a host on the way there asked when you logged in"

    def streams(self) -> list:
        """What becomes readable when there is news."""
        return [stream for way in self._ways if way.attempt is not None for stream in way.attempt.streams()]

    def step(self) -> t.Optional[Attempt]:
        """Goes on.

        Returns:
            The one that is logged in, if any; the others are ended.
        """
        if self.refused and self._again_at is not None and time.monotonic() >= self._again_at:
            self.refused, self._again_at = "", None
        for way in list(self._ways):
            if self.refused:
                break
            way.begin(self._ssh, self._old)
            if way.attempt is None:
                continue
            try:
                if way.attempt.begun():
                    done, way.attempt = way.attempt, None
                    self.close()
                    return done
            except ShellLost as lost:
                self._failed(way, str(lost))
                continue
            if way.attempt.overdue:
                self._hangs(way)
        return None

    def _hangs(self, way: _Way) -> None:
        """It is connected and does not come to an end: a key wants to be touched, a telephone to be looked at, or the login node is slow."""
        way.overdue += 1
        if way.overdue >= 2:
            self._refuse("the login does not come to its end")
        else:
            way.failed(soon=False)

    def _failed(self, way: _Way, said: str) -> None:
        messages = self._messages
        if "Bad configuration option" in said:
            self._old = True
            way.failed(soon=True)
        elif messages.distrusts(said) and len(self._ways) > 1 and way is self._ways[0]:
            # At that address somebody else may be, as behind a translation of addresses.
            way.close()
            self._ways.remove(way)
        elif messages.refuses(said):
            self._refuse(said)
        else:
            way.failed(soon=messages.silent(said))

    def _refuse(self, said: str) -> None:
        self.refused = said
        self.close()
        if self._once_more:
            self._again_at = time.monotonic() + self._once_more.pop(0)

    def close(self) -> None:
        """Ends all attempts."""
        for way in self._ways:
            way.close()
