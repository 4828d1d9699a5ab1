# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in again after the connection was lost, as soon as the network is up, without prompting the user."""

import os
import time
import typing as t

from ..cluster.session_record import SessionRecord
from ..common import processes
from ..schedulers import answers
from ..ssh.shell import Shell, ShellLost
from . import retry_pauses

if t.TYPE_CHECKING:
    # An import at run time would stay in the daemon's memory.
    from ..ssh.client import Target
    from ..ssh.login_turns import Lock

# Seconds that a connection may take, try by try. Short ones connect soon after the network is up; the longer ones are for slow networks.
_SHORT = (2, 2, 5)
_LONG = (5, 15)
# Seconds that a login may take once the connection is up.
_LOGIN_SECONDS = 15
# If a login node answers and the login fails, the pauses also grow from attempt to attempt: the login node may be overloaded.
_PAUSE = 1.5
_LONGEST_PAUSE = 60.0
# So many places among the logins to a host are left for those that a user begins.
_LEFT_FREE = 2
# If the clocks differ by so many seconds more than before, the machine was suspended. The network may be another one now.
_SUSPENDED = 5.0
# Other login nodes of the same name are tried after so many seconds without an answer.
_OTHER_NODES_AFTER = 4.0
# A login node that has just started may refuse its users for a while. If the first login prompted for nothing, a refused login is repeated after
# so many seconds.
_RETRY_REFUSED = (60.0, 300.0)
#: Suffixes of the control sockets of attempts.
SOCKETS = (".1", ".2", ".3")


class Attempt:
    """One attempt to log in.

    Args:
        command: of a control master with a shell.
        path: its control socket.
        seconds: the time limit.
        master: the control master over which it logs in, if that exists already.
    """

    def __init__(self, command: t.List[str], path: str, seconds: float, master: str = "") -> None:
        self.path, self.master = path, master
        self.process = processes.Child(command)
        self.shell = Shell(self.process)
        self.deadline = time.monotonic() + seconds
        try:
            self.shell.ask()
        except ShellLost:
            pass  # begun() reports it

    def begun(self) -> bool:
        """Whether it is logged in; raises ShellLost with ssh's message."""
        return self.shell.begun()

    @property
    def overdue(self) -> bool:
        """Whether the time limit is over."""
        return time.monotonic() > self.deadline

    def output(self) -> str:
        """What ssh has printed so far."""
        return self.shell.messages.decode("utf-8", "replace")

    def state(self) -> t.Dict[str, t.Any]:
        """said (str), ssh's output; logged_in (bool), whether only the shell has to answer; and printed (str), the far side's standard output."""
        # ssh creates the socket after the authentication.
        return {"said": self.output(), "logged_in": os.path.exists(self.path), "printed": self.shell.printed[-4000:]}

    def streams(self) -> list:
        """Streams that become readable if ssh prints something."""
        return [self.process.stdout, self.process.stderr]

    def close(self) -> None:
        """Ends the attempt."""
        self.process.stdin.close()
        self.process.end(0.5)
        for stream in self.streams():
            stream.close()
        if os.path.lexists(self.path):
            os.unlink(self.path)


class _Destination:
    """One target, with the attempts to log in to it."""

    def __init__(self, target: "Target", path: str, timeouts: t.Sequence[int], not_before: float) -> None:
        self.target, self.path, self.timeouts = target, path, timeouts
        self.attempt: t.Optional[Attempt] = None
        # With it the attempt counts among the logins of this user's sessions to that host.
        self.slot: t.Optional[Lock] = None
        self.tries, self.not_before, self.pause, self.overdue = 0, not_before, _PAUSE, 0

    def begin(self, openssh: t.Any, login_turns: t.Any, old: bool, pace: "Pace") -> None:
        """Begins an attempt, if one is due and not too many logins to that host are under way."""
        if self.attempt is not None or time.monotonic() < self.not_before or not pace.due():
            return
        slots = login_turns.slots(os.path.dirname(self.path), "{0}:{1}".format(self.target.host, self.target.port or ""))
        self.slot = next((slot for slot in slots[:-_LEFT_FREE] if slot.take()), None)
        if self.slot is not None:
            pace.note()
            seconds = self.timeouts[self.tries % len(self.timeouts)]
            command = openssh.master_command(self.target._replace(timeout=seconds), self.path, old=old, asks=False)
            self.attempt = Attempt(command, self.path, seconds + _LOGIN_SECONDS)
            self.tries += 1

    def failed(self, lost_for: float, answered: bool) -> None:
        """Ends the attempt and postpones the next one.

        Args:
            lost_for: seconds since the loss.
            answered: whether a login node answered.
        """
        self.close()
        pause = retry_pauses.before_next(lost_for)
        if answered:
            pause = max(pause, retry_pauses.spread(self.pause))
            self.pause = min(_LONGEST_PAUSE, 2 * self.pause)
        else:
            self.pause = _PAUSE
        self.not_before = time.monotonic() + pause

    def close(self) -> None:
        """Ends the current attempt."""
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None
        if self.slot is not None:
            self.slot.release()
            self.slot = None


def _suspended() -> float:
    """Seconds since 1970 in which the machine did not run; the value grows while it is suspended."""
    return time.time() - time.monotonic()


class Pace:
    """When a session may try to log in again without the user. A site can set the least time between two tries (``reconnect_floor`` in its site.yml)."""

    def __init__(self) -> None:
        self.floor_s, self._last = 0.0, float("-inf")

    def due(self) -> bool:
        """Whether the next try may begin now."""
        return time.monotonic() - self._last >= self.floor_s

    def note(self) -> None:
        """A try begins."""
        self._last = time.monotonic()


class Reconnection:
    """Attempts to log in to the session's login node and, after some seconds, to any login node of the same name.

    Args:
        record: the session's.
        pace: of the session's attempts, earlier ones included.
    Attributes:
        refused: ssh's message if only the user can log in; no attempts are made then.
    """

    def __init__(self, record: SessionRecord, pace: Pace) -> None:
        # These modules cost memory, and most sessions never need them.
        from ..ssh import client, login_turns, messages

        self._ssh, self._login_turns, self._messages = client, login_turns, messages
        self._old, self._pace = False, pace
        pace.floor_s = float(record.facts.get("site", {}).get("reconnect_floor", 0))
        self.refused = ""
        self._retry_at: t.Optional[float] = None
        self._retry_pauses = [] if record.was_prompted else list(_RETRY_REFUSED)
        self._suspended = _suspended()
        self._began = time.monotonic()
        first = self._began + retry_pauses.before_first()
        target = self._ssh.Target(**record.target)
        pinned = self._ssh.pinned(target, record.facts.get("client_side", ""))
        path = record.control_path
        self._destinations = [_Destination(self._ssh.asking_nobody(pinned), path + SOCKETS[0], _SHORT, first)]
        # A job without a batch system is a process of its login node.
        if pinned == target or not answers.of(record).get("on_login_node"):
            timeouts = (_LONG[0], max(_LONG[1], target.timeout))
            other = first + retry_pauses.spread(_OTHER_NODES_AFTER)
            self._destinations.append(_Destination(self._ssh.asking_nobody(target), path + SOCKETS[1], timeouts, other))
        if record.was_prompted and not self._ssh.asks_nobody(target):
            self.refused = "a host on the way to it prompted you at the first login"

    def streams(self) -> list:
        """Streams that become readable if ssh prints something."""
        return [stream for destination in self._destinations if destination.attempt is not None for stream in destination.attempt.streams()]

    def step(self) -> t.Optional[Attempt]:
        """Begins and checks attempts.

        Returns:
            The attempt that is logged in, if any; the others are ended.
        """
        if self.refused and self._retry_at is not None and time.monotonic() >= self._retry_at:
            self.refused, self._retry_at = "", None
        self._note_suspension()
        for destination in list(self._destinations):
            if self.refused:
                break
            destination.begin(self._ssh, self._login_turns, self._old, self._pace)
            if destination.attempt is None:
                continue
            try:
                if destination.attempt.begun():
                    successful, destination.attempt = destination.attempt, None
                    self.close()
                    return successful
            except ShellLost as lost:
                self._failed(destination, str(lost))
                continue
            if destination.attempt.overdue:
                self._login_hangs(destination)
        return None

    @property
    def _lost_for(self) -> float:
        return time.monotonic() - self._began

    def _note_suspension(self) -> None:
        """Once the machine was suspended, the pauses are short again."""
        suspended = _suspended()
        if suspended - self._suspended > _SUSPENDED:
            self._began = time.monotonic()
            for destination in self._destinations:
                destination.not_before = min(destination.not_before, self._began + retry_pauses.before_first())
        self._suspended = suspended

    def _login_hangs(self, destination: _Destination) -> None:
        """The connection is up, but the login takes too long: a key has to be touched, a telephone confirms it, or the login node is slow."""
        destination.overdue += 1
        if destination.overdue >= 2:
            self._refuse("the login does not finish")
        else:
            destination.failed(self._lost_for, answered=True)

    def _failed(self, destination: _Destination, message: str) -> None:
        messages = self._messages
        if "Bad configuration option" in message:
            self._old = True
            destination.failed(0.0, answered=False)
        elif messages.distrusts(message) and len(self._destinations) > 1 and destination is self._destinations[0]:
            # Another host may have that address, for example behind address translation.
            destination.close()
            self._destinations.remove(destination)
        elif messages.refuses(message):
            self._refuse(message)
        else:
            destination.failed(self._lost_for, answered=not messages.silent(message))

    def _refuse(self, message: str) -> None:
        self.refused = message
        self.close()
        if self._retry_pauses:
            self._retry_at = time.monotonic() + self._retry_pauses.pop(0) * (1 + 0.5 * retry_pauses.chance())

    def close(self) -> None:
        """Ends all attempts."""
        for destination in self._destinations:
            destination.close()
