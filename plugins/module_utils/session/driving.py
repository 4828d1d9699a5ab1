# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's part in driving a session: it starts the process that takes the steps, waits in the queue, and acts on the outcome."""

import json
import os
import typing as t

from ..cluster import teardown
from ..common import processes
from ..common.errors import SessionError
from ..common.text import one_line
from .queue_wait import QueueWait
from .record import holds_work, write_report


class Driving:
    """Drives one session.

    Args:
        daemon: the daemon.SessionDaemon.
    """

    def __init__(self, daemon: t.Any) -> None:
        self.daemon, self.session = daemon, daemon.session
        self.process: t.Optional[processes.Child] = None
        #: What the driver has printed, and its streams that have not ended.
        self.output: t.Dict[str, bytes] = {}
        self.open: t.Dict[str, t.Any] = {}
        #: What the driver has achieved, until the daemon has acted on it.
        self.outcome: t.Dict[str, t.Any] = {}
        self.wait: t.Optional[QueueWait] = None
        self.given: t.Dict[str, t.Any] = {}
        #: The user's answers to prompts, by the prompts' ids, until the driver takes them.
        self.answers: t.Dict[str, t.Dict[str, t.Any]] = {}
        #: The line for the user once nothing is left of a session whose client has left again.
        self.ended_line = ""

    @property
    def active(self) -> bool:
        """Whether a step is under way or the job is waited for."""
        return self.process is not None or self.wait is not None or bool(self.outcome)

    def begin(self, given: t.Dict[str, t.Any]) -> None:
        """Begins to drive. What is under way begins again, so that the playbook sees it and can answer its prompts; only a submission is not interrupted.

        Args:
            given: logins (as for driver.Driver), and environment and working_directory of the playbook.
        """
        self.daemon.notifier.followed()
        if self.process is None or self.daemon.shell is None or self.session.read().job_id:
            self.end()
            self.given = given
            self._start()

    def go_on(self) -> None:
        """Continues to drive after end()."""
        self._start()

    def _start(self) -> None:
        daemon = self.daemon.given
        given = dict(self.given, **{name: daemon[name] for name in ("base", "name", "directory", "session", "libraries")})
        # The login is over by the time that another process is started.
        self.given = dict(self.given, logins={})
        self.process = processes.Child(daemon["driver"])
        self.output, self.open = {"out": b"", "err": b""}, {"out": self.process.stdout, "err": self.process.stderr}
        for stream in self.open.values():
            os.set_blocking(stream.fileno(), False)
        with self.process.stdin as stdin:
            stdin.write(json.dumps(given).encode())

    def streams(self) -> list:
        """Streams that become readable if the driver prints something or ends."""
        return list(self.open.values())

    def step(self) -> None:
        """Acts on what has happened since the last step; raises ShellLost. What cannot be done now, for example since a home hangs, is tried again."""
        try:
            if self.process is not None:
                self._check_process()
            elif self.wait is not None:
                self._check_wait()
            if self.outcome:
                self._act_on(self.outcome)
                self.outcome = {}
        except (SessionError, OSError):
            pass

    def _check_process(self) -> None:
        for name in list(self.open):
            self._read(name)
        if "out" not in self.open:
            self._end_process()
            self.outcome = self._outcome()

    def _read(self, name: str) -> None:
        try:
            data = os.read(self.open[name].fileno(), 1 << 20)
        except BlockingIOError:
            return
        self.output[name] += data
        if not data:
            self.open.pop(name).close()

    def _outcome(self) -> t.Dict[str, t.Any]:
        try:
            outcome = json.loads(self.output["out"].decode())
            return dict(outcome, outcome=outcome["outcome"])
        except (ValueError, KeyError):
            last = self.output["err"].decode("utf-8", "replace").strip().rpartition("\n")[2]
            self.daemon.log(self.output["err"])
            error = SessionError("the session of {0} cannot continue".format(self.session.name), one_line(last, 300) or "the process that drives it was ended",
                                 "connect again; if that fails too, report it")
            return {"outcome": "failed", "error": error.__dict__}

    def _act_on(self, outcome: t.Dict[str, t.Any]) -> None:
        kind = outcome["outcome"]
        if kind == "failed":
            self._fail(outcome)
        elif kind == "waiting":
            self.wait = QueueWait(self.session, self.daemon.run)
        elif kind == "checked":
            self.session.events.append("checked", diff=outcome["diff"])
        else:
            record = self.session.read()
            # If the rest has to be done again, the record has no owner any more.
            outcome.setdefault("followed", processes.alive(record.owner))
            self.session.update(owner=None, detached=record.detached and not processes.alive(record.owner))
            self.report()
            self.ended_line = outcome["text"] if kind == "ended" else ""
            self.daemon.hand_over()
            if kind == "ready":
                self.session.events.append("ready", text=outcome["text"], advice=outcome.get("advice", []))
                self.daemon.notifier.ready(outcome["followed"])

    def _check_wait(self) -> None:
        try:
            over = self.wait.over()
        except SessionError as error:
            self.wait, self.outcome = None, {"outcome": "failed", "error": error.__dict__}
            return
        if over:
            self._start()
            self.wait = None
            self.daemon.notifier.job_started()

    def report(self, **changes: t.Any) -> None:
        """Writes the session's entry in paraview_json."""
        record = self.session.read()
        try:
            if record:
                write_report(self.session.base, record.settings.get("json", ""), [self.session.report(**changes)])
        except SessionError as error:
            self.session.events.append("line", text=error.what)

    def _fail(self, outcome: t.Dict[str, t.Any]) -> None:
        """A step has failed: the session ends, unless it holds the user's work or keeps its place in the queue."""
        record, events, error = self.session.read(), self.session.events, SessionError(**outcome["error"])
        state, reason = "cancelled" if error.cancelled else "failed", one_line(str(error), 2000)
        if not outcome.get("reported"):
            events.append("error", what=error.what, why=error.why, way_out=error.way_out)
            self.report(state=state, reason=reason)
            self.daemon.notifier.failed(error, processes.alive(record.owner))
            outcome["reported"] = True
        if self.daemon.recovery and self.daemon.recovery.disconnected:
            # The daemon goes on trying to restore the connection.
            self.session.update(owner=None, waiting=None)
        elif self.daemon.shell is None and (holds_work(record) or record.job_id):
            # The login failed. The session that it was for still exists.
            self.session.update(owner=None, daemon=None, waiting=None, state="unknown", reason=reason)
            self.daemon.leave()
        elif holds_work(record):
            self.session.update(owner=None, waiting=None)
            self.daemon.hand_over()
        elif outcome.get("other_login_node"):
            self.session.update(owner=None, daemon=None)
            self.daemon.leave()
        elif record.job_id and record.detached and not error.end_detached:
            # The job keeps its place in the queue, since the next connect may succeed.
            teardown.end_client(record, True)
            self.daemon.client.end_client(record, True)
            self.session.update(owner=None, client=None, remote_client=None, waiting=None, reason=reason)
            self.daemon.hand_over()
        else:
            self.daemon.end_session(state, reason)
            return
        events.append("failed", kept=True)

    def _end_process(self) -> None:
        """Waits for a driver that has closed its output, or ends it."""
        if "out" in self.open:
            self.process.end(3)
        else:
            self.process.wait(3)
            if "err" in self.open:
                self._read("err")
        for stream in self.open.values():
            stream.close()
        self.process, self.open = None, {}

    def end(self) -> None:
        """Ends the driver and the wait."""
        self.wait, self.outcome, self.answers = None, {}, {}
        if self.process is not None:
            self._end_process()
