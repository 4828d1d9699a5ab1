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
from . import retry_pauses
from .connection import Connection, failure
from .lifeline import Stub
from .reconnection import Attempt, Pace, Reconnection
from .record import lacks_client_host

# Seconds for which the login node may be silent once the line is lost: after a probe of the connection, and while another command runs.
_SILENCE = 3.0
_LONG_SILENCE = 15.0
# Seconds that a line may take to return over a route that is up, and over one that was just restored.
_RETURN_SECONDS = 1.0
_RETURN_SECONDS_RESTORED = 10.0
# Seconds that pvserver may take to end after its client.
_ENDING = 3.0
# If restoring the route takes more seconds, it is ended. The pause before the next try grows.
_RESTORING = 150.0
_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
# The stub ends the session after paraview_reconnect_timeout. If it does not, the daemon ends it so many seconds later.
_GRACE = 30.0
# If no playbook has requested the state of an interactive login for so many seconds, the login is ended.
_ABANDONED_AFTER = 20.0
# Seconds before another login if the last one reached the wrong login node.
_OTHER_LOGIN_NODE_PAUSE = 20.0
# Exit status of the restorer if the login reached another login node than the one on which pvserver runs.
OTHER_LOGIN_NODE = 3


class NotResponding(ShellLost):
    """The shell does not answer; it may answer later."""


class Recovery:
    """Restores the connection of one session that was handed over.

    Args:
        daemon: the daemon.SessionDaemon that holds the connection.
        record: the session's.
    """

    def __init__(self, daemon: t.Any, record: SessionRecord) -> None:
        self.daemon, self.session = daemon, daemon.session
        self.stub, self.stub_process = Stub(daemon.session), record.stub
        self.outage_s, self.terminal = record.settings["reconnect_timeout"], record.terminal
        # The last report of the stub.
        self.reported: t.Dict[str, t.Any] = {}
        # A silent connection may answer again before a new one is up.
        self.silent: t.Optional[Connection] = None
        self.reconnection: t.Optional[Reconnection] = None
        self.pace = Pace()
        self.attempt: t.Optional[Attempt] = None
        self.attempt_failed: t.Dict[str, t.Any] = {}
        self.requested_at = 0.0
        self.login_prompt, self.login_at = "", 0.0
        self.restorer: t.Optional[processes.Child] = None
        self.restore_at, self.restored_at, self.pause = 0.0, time.monotonic(), _PAUSE
        self.lost_at: t.Optional[float] = None
        self.gone_at = 0.0
        self.refusal_shown = False

    # -- called by the daemon

    @property
    def disconnected(self) -> bool:
        """Whether there is no connection to the login node."""
        return self.daemon.shell is None

    def streams(self) -> list:
        """Streams that become readable if a process prints something."""
        streams: list = self.reconnection.streams() if self.reconnection else []
        streams += self.attempt.streams() if self.attempt else []
        streams += self.silent.streams if self.silent else []
        return streams + ([self.restorer.stdout] if self.restorer else [])

    @property
    def has_left(self) -> bool:
        """Whether ParaView has left."""
        return bool(self.reported.get("left"))

    @property
    def busy(self) -> bool:
        """Whether step() has to be called often."""
        return self.disconnected or self.lost_at is not None

    def begin(self, why: ShellLost) -> None:
        """Begins the recovery of a connection that is lost or silent."""
        daemon = self.daemon
        connection, daemon.connection = daemon.connection, None
        connection.shell.meanwhile = None
        if isinstance(why, NotResponding):
            self.silent = connection
        else:
            self._end(connection)
        self._end_restorer()
        self._note_loss(one_line(str(why).strip().rpartition("\n")[2]) or "ssh ended")

    def step(self) -> None:
        """Checks and continues the recovery; ShellLost if the connection cannot be restored any more, or does not answer."""
        self._check_stub()
        self.daemon.notifier.check_connection(self.lost_at is not None, self.login_prompt)
        if self.disconnected:
            self._log_in()
        elif self.restorer is not None:
            self._check_restorer()
        elif time.monotonic() >= self.restore_at and self._needs_restoring():
            self._probe_login_node()
            self._restore()

    def check_silence(self) -> None:
        """Called during the wait for an answer: ShellLost if the line is lost and the login node silent."""
        self._check_stub()
        if self.lost_at is not None and time.monotonic() - self.daemon.shell.active_at > _LONG_SILENCE:
            raise NotResponding("no answer from the login node")

    def begin_login(self, command: t.List[str], environment: t.Dict[str, str], path: str, master: str = "") -> None:
        """Begins an interactive login, whose prompts the user answers. Arguments as of FirstLogin.begin()."""
        self.end_login()
        if self.reconnection is not None:
            self.reconnection.close()
        os.environ.update(environment)
        if master:
            os.symlink(master, path)
        self.attempt, self.attempt_failed, self.requested_at = Attempt(command, path, 3600, master), {}, time.monotonic()

    def login_state(self) -> t.Dict[str, t.Any]:
        """The state of the interactive login, as of FirstLogin.state()."""
        self.requested_at = time.monotonic()
        if self.disconnected:
            self._check_attempt()
        if not self.disconnected:
            return {"begun": True, "said": ""}
        if self.attempt is None:
            return self.attempt_failed or {"failed": "ssh ended"}
        return dict(self.attempt.state(), begun=False)

    def end_login(self) -> None:
        """Ends the interactive login."""
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None

    def close(self) -> None:
        """Ends every process of the recovery."""
        self._end_restorer()
        self.end_login()
        if self.reconnection is not None:
            self.reconnection.close()
        if self.silent is not None:
            self._end(self.silent)

    # -- the stub

    def _check_stub(self) -> None:
        self.reported = self.stub.status()
        if self.reported.get("refused") and not self.refusal_shown:
            self.refusal_shown = True
            self._print("ParaView's port refused a connection that {0}".format(self.reported["refused"]))
        if self.reported.get("state") == "connected":
            self.pause = _PAUSE
        if self.reported.get("state") == "outage":
            self._note_loss(self.reported.get("reason", ""))
        elif self.lost_at is not None and not self.disconnected and self.restorer is None and self.reported.get("state") in ("connected", "ended"):
            self._note_return()

    def _note_loss(self, why: str) -> None:
        if self.lost_at is not None:
            return
        self.lost_at = time.time()
        line = "the connection was lost at {0} ({1}); ParaView waits until it is restored".format(time.strftime("%H:%M:%S"), one_line(why, 120))
        self.session.update(lost_at=self.lost_at, reason=line)
        self._print(line)

    def _note_return(self) -> None:
        took = durations.in_words(max(1, time.time() - self.lost_at))
        self.lost_at = None
        record = self.session.read()
        self.session.update(
            lost_at=None, reason="the connection to {0} was lost".format(record.remote_client_host["name"]) if lacks_client_host(record) else "")
        if self.reported["state"] == "connected":
            self._print("the connection is restored after {0}".format(took))
            self.daemon.notifier.restored(took)
        else:
            self._print("the connection has ended: {0}".format(one_line(self.reported.get("reason", ""), 200)))

    def _print(self, line: str) -> None:
        terminals.write(self.terminal, "{0}: {1}".format(one_line(self.session.name, 100), one_line(line, 400)))

    # -- the login

    def _log_in(self) -> None:
        if self.lost_at is not None and time.time() - self.lost_at > self.outage_s + _GRACE:
            raise ShellLost("restoring it took longer than paraview_reconnect_timeout; pvserver ends by itself")
        if self._check_silent() or self.attempt is not None:
            if self.disconnected:
                self._check_attempt()
            return
        if self.reconnection is None:
            if time.monotonic() < self.login_at:
                return
            record = self.session.read()
            if not record:
                self.daemon.stopping = True
                return
            self.reconnection = Reconnection(record, self.pace)
        attempt = self.reconnection.step()
        if attempt is not None:
            self._adopt(attempt)
        elif self.reconnection.refused and not self.login_prompt:
            self.login_prompt = "waiting for you: {0} requires you to log in ({1}); connect again: ansible-playbook sciviz.paraview.connect -e host={2}".format(
                self.session.read().login_node, one_line(self.reconnection.refused.strip().rpartition("\n")[2], 120), self.session.name)
            self.session.update(reason=self.login_prompt)
            self._print(self.login_prompt)

    def _check_silent(self) -> bool:
        """Uses the silent connection again, if it answers; returns whether it does."""
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
        self._use(connection)
        self.stub.connect_at_once()
        self.restored_at = time.monotonic()
        return True

    def _check_attempt(self) -> None:
        if self.attempt is None:
            return
        try:
            if self.attempt.begun():
                attempt, self.attempt = self.attempt, None
                self._adopt(attempt)
                return
        except ShellLost as lost:
            self.attempt_failed = failure(self.attempt.process, lost)
            self.end_login()
            return
        if time.monotonic() - self.requested_at > _ABANDONED_AFTER:
            self.end_login()

    def _adopt(self, attempt: Attempt) -> None:
        """Replaces the lost connection by a new one."""
        if self.silent is not None:
            self._end(self.silent)
            self.silent = None
        self.daemon.sockets.remove_of_connection()
        try:
            os.rename(attempt.path, self.daemon.given["control_path"])
        except OSError:
            attempt.close()
            raise
        self.daemon.given["master"] = attempt.master
        self._use(Connection(attempt.process, attempt.shell))
        # The old forwards ended with the connection.
        self.session.update(forwards=[], users_own_master=attempt.master)
        self._restore()

    def _use(self, connection: Connection) -> None:
        self.end_login()
        if self.reconnection is not None:
            self.reconnection.close()
            self.reconnection = None
        self.daemon.connection, self.login_prompt = connection, ""
        connection.shell.meanwhile = self.check_silence

    def _end(self, connection: Connection) -> None:
        """Ends a connection, and removes what it would leave in the user's own control master."""
        if self.daemon.given.get("master"):
            self.daemon.leave_master(self.session.read())
        connection.end(0.5)
        self.daemon.sockets.remove_of_connection()

    def _probe_login_node(self) -> None:
        """NotResponding if the login node does not answer soon; ssh itself would wait for a minute."""
        if self.lost_at is None:
            return
        try:
            self.daemon.shell.here(":", _SILENCE)
        except SessionError:
            raise NotResponding("no answer from the login node")

    # -- the route

    def _needs_restoring(self) -> bool:
        """Whether the stub has ended, or its line has been lost for longer than it needs to return by itself."""
        if not processes.alive(self.stub_process):
            self.stub_process = self.session.read().stub
            self.gone_at = self.gone_at or time.monotonic()
            # If ParaView has ended, pvserver and the job end too, and need no new stub.
            return not processes.alive(self.stub_process) and (self.reported.get("state") != "ended" or time.monotonic() - self.gone_at > _ENDING)
        self.gone_at = 0.0
        if self.reported.get("state") not in ("outage", "waiting") or time.monotonic() - self.restored_at < _RETURN_SECONDS_RESTORED:
            return False
        return self.lost_at is None or time.time() - self.lost_at > _RETURN_SECONDS

    def _restore(self) -> None:
        given = self.daemon.given
        self.restorer = processes.Child(given["restorer"])
        self.restored_at = time.monotonic()
        with self.restorer.stdin as stdin:
            stdin.write(json.dumps({name: given[name] for name in ("base", "name", "directory", "session", "libraries")}).encode())

    def _check_restorer(self) -> None:
        code = self.restorer.ended()
        if code is None and time.monotonic() - self.restored_at < _RESTORING:
            return
        output = self._restorer_output() if code is not None else "it took too long"
        self._end_restorer()
        # The pauses grow until the line is up: the login node and the batch system serve other users too.
        self.restore_at = time.monotonic() + retry_pauses.spread(self.pause)
        self.pause = min(_LONGEST_PAUSE, 2 * self.pause)
        if code == 0:
            self.stub_process = self.session.read().stub
            self.restored_at = time.monotonic()
            return
        self.restored_at = 0.0
        self.session.update(reason="the connection cannot be restored: {0}".format(one_line(output, 300)))
        if code == OTHER_LOGIN_NODE:
            self.login_at = time.monotonic() + retry_pauses.spread(_OTHER_LOGIN_NODE_PAUSE)
            raise ShellLost(output)

    def _restorer_output(self) -> str:
        output, errors = (os.read(stream.fileno(), 65536).decode("utf-8", "replace").strip() for stream in (self.restorer.stdout, self.restorer.stderr))
        return output or errors.rpartition("\n")[2] or "no reason given"

    def _end_restorer(self) -> None:
        if self.restorer is not None:
            self.restorer.end(0.5)
            for stream in (self.restorer.stdout, self.restorer.stderr):
                stream.close()
            self.restorer = None
