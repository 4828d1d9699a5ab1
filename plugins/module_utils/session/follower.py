# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a session by its event log until a connect is over, and shows what happens."""

import os
import time
import typing as t

from ..common import processes
from ..common.errors import SessionError
from ..ssh.channel import Channel
from ..ssh.prompts import Asker
from .event_log import OVER
from .record import HELD, Session, has_daemon, wait_left
from .sockets import remove_session

# Seconds that a daemon may take to end after a session that has failed or ended.
_LEAVING = 30
# Seconds between two checks whether the daemon lives.
_CHECK_EVERY = 1.0


class Screen:
    """Where a viewer shows what happens."""

    def event(self, name: str, event: t.Dict[str, t.Any]) -> None:
        """Shows an event that has a line for the user."""
        self.line(name, event["text"])

    def line(self, name: str, text: str) -> None:
        """Shows a line of a session."""
        raise NotImplementedError

    def error(self, name: str, lines: t.List[str]) -> None:
        """Shows an error of a session."""
        raise NotImplementedError


class Nowhere(Screen):
    """Shows nothing, since another program does."""

    def line(self, name: str, text: str) -> None:
        pass

    def error(self, name: str, lines: t.List[str]) -> None:
        pass


class Viewer:
    """Shows what happens in one session that a playbook has begun to follow. It does not act on the session.

    Args:
        session: the session.
        owner: processes.identity() of that playbook.
        screen: where to show what happens.
    Attributes:
        begun: the playbook began to follow the session.
        submitted: the job is submitted.
        over: the event that ended this connect; None before.
        error: the error, if it failed.
    """

    def __init__(self, session: Session, owner: t.List[t.Any], screen: Screen) -> None:
        self.session, self.owner, self.screen = session, owner, screen
        #: The record, as it was when the daemon was seen last.
        self.record = session.read()
        self.submitted = False
        self.over: t.Optional[t.Dict[str, t.Any]] = None
        self.error: t.Optional[SessionError] = None
        events, self.offset = session.events.read()
        begun = [number for number, event in enumerate(events) if event["kind"] == "begun" and event["owner"] == owner]
        self.begun = bool(begun)
        self.pending = events[begun[-1] + 1:] if begun else []
        self.check_at = 0.0

    def step(self, check: bool = False) -> bool:
        """Shows what has happened since the last step; returns whether something has.

        Args:
            check: check now whether the daemon lives, also if that was checked just before.
        """
        was_alive = not (check or time.monotonic() >= self.check_at) or (
            processes.alive(self.record.daemon) and not os.path.exists(self.record.control_path + HELD))
        events, self.offset = self.session.events.read(self.offset)
        events, self.pending = self.pending + events, []
        for event in events:
            if self.over is None:
                self._read(event)
        if self.over is None and not events:
            if not was_alive:
                self._note_vanished()
            elif time.monotonic() >= self.check_at:
                self.check_at = time.monotonic() + _CHECK_EVERY
        return bool(events)

    def _note_vanished(self) -> None:
        """The daemon has ended without an event."""
        record = self.session.read()
        if record.id == self.record.id and has_daemon(record):
            self.record = record
            return
        reason = record.reason if record.id == self.record.id else ""
        self.fail(SessionError("the session of {0} was ended".format(self.session.name), reason or "the process that held it is gone",
                               "connect again; a session that still exists is continued"))

    def fail(self, error: SessionError) -> None:
        """Ends following with an error."""
        self.error, self.over = error, {"kind": "failed", "kept": True}
        self.screen.error(self.session.name, error.lines())

    def _read(self, event: t.Dict[str, t.Any]) -> None:
        kind = event["kind"]
        if event.get("owner", self.owner) != self.owner:
            return
        if kind == "submitted":
            self.submitted = True
        elif kind == "error":
            self.error = SessionError(event["what"], event["why"], event["way_out"])
            self.screen.error(self.session.name, self.error.lines())
        elif "text" in event and kind != "prompt":
            self.screen.event(self.session.name, event)
        elif kind == "prompt":
            self._prompt(event)
        if kind in OVER:
            self._end(event)

    def _end(self, event: t.Dict[str, t.Any]) -> None:
        self.over = event

    def _prompt(self, event: t.Dict[str, t.Any]) -> None:
        """ssh prompts the user. Only a follower answers."""

    def clear_up(self) -> None:
        """Removes the record of a session that has failed, of which nothing else is left."""
        record = self.session.read()
        if record.id == self.record.id and self.error and (record.over or not (record.remote_directory or has_daemon(record))):
            remove_session(self.session)


class Follower(Viewer):
    """Follows one session for one playbook: it also answers ssh's prompts, and waits until the daemon of a session that is over has ended.

    Args:
        session: the session. owner: processes.identity() of the playbook. screen: where to show what happens.
        asker: the way to the user, for prompts.
    """

    def __init__(self, session: Session, owner: t.List[t.Any], screen: Screen, asker: Asker) -> None:
        super().__init__(session, owner, screen)
        self.asker = asker

    def _end(self, event: t.Dict[str, t.Any]) -> None:
        super()._end(event)
        if event["kind"] == "ended" or (event["kind"] == "failed" and not event["kept"]):
            wait_left(self.session.base, self.record, _LEAVING)

    def _prompt(self, event: t.Dict[str, t.Any]) -> None:
        channel = Channel(self.session.read().socket, self.session.name)
        try:
            answer = self.asker.ask(event["text"], event["private"])
        except SessionError:
            channel.request("answer", id=event["id"], cancelled=True)
            return
        channel.request("answer", id=event["id"], text=None if answer is None else answer.decode("utf-8", "surrogateescape"))
