# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""If the connection of a session is lost, the daemon logs in again and restores the route."""

import json
import os
import time
import typing as t

from ..cluster.session_record import SessionRecord
from ..common import durations, processes, terminals
from ..common.errors import SessionError
from ..common.text import one_line
from ..ssh.shell import ShellLost
from .connection import Connection
from .lifeline import Stub
from .reconnection import Attempt, Reconnection
from .record import lacks_client_host

# Seconds for which the login node may be silent once the line is known to be away: when it is asked for a sign of life, and in the middle of something.
_SILENCE = 3.0
_LONG_SILENCE = 15.0
# Seconds that a line may take to come back over a way that stands, and over one that was just made.
_BY_ITSELF = 1.0
_COMES_BACK = 10.0
# Seconds that pvserver has to go after its client.
_ENDING = 3.0
# If restoring the route takes more seconds, it is ended. The pause before the next try grows.
_RESTORING = 150.0
_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
# The stub ends the session after paraview_reconnect_timeout. If it does not, the daemon does so many seconds later.
_GRACE = 30.0
# A login that the user answers for is given up when nobody has asked about it for so long.
_NOBODY_ASKS = 20.0
# Seconds before another login where that came to the wrong login node.
_ELSEWHERE_PAUSE = 20.0
# Exit status of a mending that came to another login node than pvserver runs on.
ELSEWHERE = 3


class Silence(ShellLost):
    """The shell does not answer; it may do so yet."""


class Recovery:
    """Restores the connection of one session that was handed over.

    Args:
        daemon: holds the connection: daemon.SessionDaemon.
        record: the session's.
    """

    def __init__(self, daemon: t.Any, record: SessionRecord) -> None:
        self.daemon, self.session = daemon, daemon.session
        self.stub, self.stub_process = Stub(daemon.session), record.stub
        self.outage_s, self.terminal = record.settings["reconnect_timeout"], record.terminal
        self.told: t.Dict[str, t.Any] = {}
        # A silent connection may answer again before a new one is there.
        self.silent: t.Optional[Connection] = None
        self.reconnection: t.Optional[Reconnection] = None
        self.attempt: t.Optional[Attempt] = None
        self.attempt_failed, self.asked_at = "", 0.0
        self.asks, self.login_at = "", 0.0
        self.mender: t.Optional[processes.Child] = None
        self.restore_at, self.restored_at, self.pause = 0.0, time.monotonic(), _PAUSE
        self.lost_at: t.Optional[float] = None
        self.gone_at = 0.0

    # -- what the daemon asks

    @property
    def away(self) -> bool:
        """Whether there is no connection to the login node."""
        return self.daemon.shell is None

    def streams(self) -> list:
        """What becomes readable when there is news."""
        streams: list = self.reconnection.streams() if self.reconnection else []
        streams += self.attempt.streams() if self.attempt else []
        streams += self.silent.streams if self.silent else []
        return streams + ([self.mender.stdout] if self.mender else [])

    @property
    def busy(self) -> bool:
        """Whether something is under way that has to be looked at often."""
        return self.away or self.lost_at is not None

    def bear(self, why: ShellLost) -> None:
        """The connection is lost or silent; a new one is made."""
        daemon = self.daemon
        connection, daemon.connection = daemon.connection, None
        connection.shell.meanwhile = None
        if isinstance(why, Silence):
            self.silent = connection
        else:
            self._end(connection)
        self._drop_mender()
        self._lost(one_line(str(why).strip().rpartition("\n")[2]) or "ssh ended")

    def step(self) -> None:
        """One step; ShellLost if the connection cannot be restored any more, or does not answer."""
        self._look_at_stub()
        if self.away:
            self._log_in()
        elif self.mender is not None:
            self._look_at_mender()
        elif time.monotonic() >= self.restore_at and self._needs_restoring():
            self._ask_the_login_node()
            self._restore()

    def check_silence(self) -> None:
        """ShellLost where the line is away and the login node silent: it is called while an answer is waited for."""
        self._look_at_stub()
        if self.lost_at is not None and time.monotonic() - self.daemon.shell.active_at > _LONG_SILENCE:
            raise Silence("no answer from the login node")

    def begin_login(self, command: t.List[str], environment: t.Dict[str, str], path: str) -> None:
        """Begins a login that the user answers for."""
        self.end_login()
        if self.reconnection is not None:
            self.reconnection.close()
        os.environ.update(environment)
        self.attempt, self.attempt_failed, self.asked_at = Attempt(command, path, 3600), "", time.monotonic()

    def login_state(self) -> t.Dict[str, t.Any]:
        """How it goes: failed (str), or begun (bool) and said (str)."""
        self.asked_at = time.monotonic()
        if self.away:
            self._look_at_attempt()
        if not self.away:
            return {"begun": True, "said": ""}
        if self.attempt is None:
            return {"failed": self.attempt_failed or "ssh ended"}
        return {"begun": False, "said": self.attempt.said()}

    def end_login(self) -> None:
        """Ends a login that the user answers for."""
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None

    def close(self) -> None:
        """Ends all that is under way."""
        self._drop_mender()
        self.end_login()
        if self.reconnection is not None:
            self.reconnection.close()
        if self.silent is not None:
            self._end(self.silent)

    # -- the stub

    def _look_at_stub(self) -> None:
        self.told = self.stub.status()
        if self.told.get("state") == "connected":
            self.pause = _PAUSE
        if self.told.get("state") == "outage":
            self._lost(self.told.get("reason", ""))
        elif self.lost_at is not None and not self.away and self.mender is None and self.told.get("state") in ("connected", "ended"):
            self._back()

    def _lost(self, why: str) -> None:
        if self.lost_at is not None:
            return
        self.lost_at = time.time()
        line = "the connection was lost at {0} ({1}); ParaView waits until it is restored".format(time.strftime("%H:%M:%S"), one_line(why, 120))
        self.session.update(lost_at=self.lost_at, reason=line)
        self._say(line)

    def _back(self) -> None:
        took = durations.spoken(max(1, time.time() - self.lost_at))
        self.lost_at = None
        record = self.session.read()
        self.session.update(lost_at=None, reason="the connection to {0} was lost".format(record.client_side["name"]) if lacks_client_host(record) else "")
        if self.told["state"] == "connected":
            self._say("the connection is restored after {0}".format(took))
        else:
            self._say("the connection has ended: {0}".format(one_line(self.told.get("reason", ""), 200)))

    def _say(self, line: str) -> None:
        terminals.write(self.terminal, "{0}: {1}".format(one_line(self.session.name, 100), one_line(line, 400)))

    # -- the login

    def _log_in(self) -> None:
        if self.lost_at is not None and time.time() - self.lost_at > self.outage_s + _GRACE:
            raise ShellLost("it was away for longer than paraview_reconnect_timeout; pvserver ends by itself")
        if self._look_at_silent() or self.attempt is not None:
            if self.away:
                self._look_at_attempt()
            return
        if self.reconnection is None:
            if time.monotonic() < self.login_at:
                return
            record = self.session.read()
            if not record:
                self.daemon.stopping = True
                return
            self.reconnection = Reconnection(record)
        attempt = self.reconnection.step()
        if attempt is not None:
            self._adopt(attempt)
        elif self.reconnection.refused and not self.asks:
            self.asks = "waiting for you: {0} wants to know who you are ({1}); connect again: ansible-playbook sciviz.paraview.connect -e host={2}".format(
                self.session.read().login_node, one_line(self.reconnection.refused.strip().rpartition("\n")[2], 120), self.session.name)
            self.session.update(reason=self.asks)
            self._say(self.asks)

    def _look_at_silent(self) -> bool:
        """Whether the connection that was silent answers again."""
        if self.silent is None:
            return False
        connection = self.silent
        try:
            if not connection.shell.begun():
                return False
        except ShellLost:
            self._end(self.silent)
            self.silent = None
            return False
        self.silent = None
        self._found(connection)
        self.restored_at = time.monotonic()
        return True

    def _look_at_attempt(self) -> None:
        if self.attempt is None:
            return
        try:
            if self.attempt.begun():
                attempt, self.attempt = self.attempt, None
                self._adopt(attempt)
                return
        except ShellLost as lost:
            self.attempt_failed = str(lost)
            self.end_login()
            return
        if time.monotonic() - self.asked_at > _NOBODY_ASKS:
            self.end_login()

    def _adopt(self, attempt: Attempt) -> None:
        """Takes a new connection for the one that was lost."""
        if self.silent is not None:
            self._end(self.silent)
            self.silent = None
        self.daemon.forget_sockets()
        try:
            os.rename(attempt.path, self.daemon.given["control_path"])
        except OSError:
            attempt.close()
            raise
        self.daemon.given["master"] = ""
        self._found(Connection(attempt.process, attempt.shell))
        # What was put up went with the connection, and one of the user's own is not used any more.
        self.session.update(forwards=[], guest="")
        self._restore()

    def _found(self, connection: Connection) -> None:
        self.end_login()
        if self.reconnection is not None:
            self.reconnection.close()
            self.reconnection = None
        self.daemon.connection, self.asks = connection, ""
        connection.shell.meanwhile = self.check_silence

    def _end(self, connection: Connection) -> None:
        """Ends a connection, and takes back what it would leave in a control master of the user's own."""
        if self.daemon.given.get("master"):
            self.daemon.leave_master(self.session.read())
        connection.end(0.5)
        self.daemon.forget_sockets()

    def _ask_the_login_node(self) -> None:
        """A connection over which nothing comes back is none; ssh itself would wait for a minute."""
        if self.lost_at is None:
            return
        try:
            self.daemon.shell.here(":", _SILENCE)
        except SessionError:
            raise Silence("no answer from the login node")

    # -- the way

    def _needs_restoring(self) -> bool:
        """The stub is gone, or its line has been away for longer than it needs to come back."""
        if not processes.alive(self.stub_process):
            self.stub_process = self.session.read().stub
            self.gone_at = self.gone_at or time.monotonic()
            # With ParaView goes pvserver, and the job.
            return not processes.alive(self.stub_process) and (self.told.get("state") != "ended" or time.monotonic() - self.gone_at > _ENDING)
        self.gone_at = 0.0
        if self.told.get("state") not in ("outage", "waiting") or time.monotonic() - self.restored_at < _COMES_BACK:
            return False
        return self.lost_at is None or time.time() - self.lost_at > _BY_ITSELF

    def _restore(self) -> None:
        given = self.daemon.given
        self.mender = processes.Child(given["mender"])
        self.restored_at = time.monotonic()
        with self.mender.stdin as stdin:
            stdin.write(json.dumps({name: given[name] for name in ("base", "name", "directory", "session", "libraries")}).encode())

    def _look_at_mender(self) -> None:
        code = self.mender.ended()
        if code is None and time.monotonic() - self.restored_at < _RESTORING:
            return
        said = self._last_words() if code is not None else "it took too long"
        self._drop_mender()
        # Ever later, until the line has stood: a login node and a batch system have others to serve.
        self.restore_at = time.monotonic() + self.pause
        self.pause = min(_LONGEST_PAUSE, 2 * self.pause)
        if code == 0:
            self.stub_process = self.session.read().stub
            self.restored_at = time.monotonic()
            return
        self.restored_at = 0.0
        self.session.update(reason="the connection cannot be restored: {0}".format(one_line(said, 300)))
        if code == ELSEWHERE:
            self.login_at = time.monotonic() + _ELSEWHERE_PAUSE
            raise ShellLost(said)

    def _last_words(self) -> str:
        said, wrong = (os.read(stream.fileno(), 65536).decode("utf-8", "replace").strip() for stream in (self.mender.stdout, self.mender.stderr))
        return said or wrong.rpartition("\n")[2] or "no reason given"

    def _drop_mender(self) -> None:
        if self.mender is not None:
            self.mender.end(0.5)
            for stream in (self.mender.stdout, self.mender.stderr):
                stream.close()
            self.mender = None
