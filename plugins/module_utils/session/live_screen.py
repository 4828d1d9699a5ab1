# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook shows of sessions that it follows: lines that stay and, on a terminal, one line for each session below them, which is rewritten in place."""

import time
import typing as t

from ..cluster import job_flow
from ..cluster.session_record import SessionRecord
from ..common import columns, durations
from ..common.errors import SessionError
from ..common.text import clean, one_line
from .follower import Screen, Viewer
from .record import Session

# Control sequences: to the first of some rows above, to the end of the row, to the end of the screen (ECMA-48, also the Linux console's).
_UP, _CLEAR_ROW, _CLEAR_BELOW = "\x1b[{0}A", "\x1b[K", "\x1b[J"


class Live(t.NamedTuple):
    """A live line and the state of its session."""

    state: str
    text: str


def described(record: SessionRecord, waits: str = "") -> str:
    """What a session does at this moment.

    Args:
        record: of the session.
        waits: the last line on its job in the queue; empty if there is none.
    """
    if record.state == "pending":
        return waits or ", ".join(part for part in (
            "job {0} pending".format(record.job_id), record.reason, record.expected_start and "expected " + job_flow.clock_time(record.expected_start)) if part)
    if record.reason:
        return "{0}, {1}".format(record.state, record.reason)
    if record.state != "starting":
        return record.state
    if not record.facts:
        return "querying the login node" if record.control_path and record.login_node else "logging in"
    if not record.job_id:
        return "submitting the job" if record.route else "choosing a route"
    return "waiting for ParaView" if record.accepting else "starting pvserver"


def live_text(name: str, record: SessionRecord, waits: str, now: float, width: int) -> str:
    """The live line of a session: what it does, and for how long, on at most so many columns.

    Args:
        name: the session's.
        record: of the session. waits: as in described().
        now: seconds since 1970.
        width: columns. The description is cut, the duration is not.
    """
    since = record.submitted_at if record.state == "pending" else record.created
    duration = ", {0}{1}".format("waiting " if record.state == "pending" else "", durations.in_words(max(0, now - since))) if since else ""
    text = "{0}: {1}".format(one_line(name, 100), one_line(described(record, waits), 1000))
    return columns.cut(columns.cut(text, width - columns.width(duration)) + duration, width)


def fitting(lines: t.Sequence[Live], width: int, rows: int) -> t.List[str]:
    """The lines that a terminal can show. If there are more, the last row summarizes the others.

    Args:
        lines: of all sessions.
        width: columns of the terminal.
        rows: of the terminal.
    """
    # The cursor is in the row below, and a line as wide as the terminal could move it one row further.
    most, width = max(1, rows - 1), width - 1
    if len(lines) <= most:
        return [columns.cut(line.text, width) for line in lines]
    shown, others = lines[:most - 1], lines[most - 1:]
    states = sorted({line.state for line in others})
    summary = "{0}{1} hosts: {2}".format("and " if shown else "", "{0} more".format(len(others)) if shown else len(others), ", ".join(
        "{0} {1}".format(sum(line.state == state for line in others), state) for state in states))
    return [columns.cut(text, width) for text in [line.text for line in shown] + [summary]]


class LiveScreen:
    """Lines at the bottom of a terminal. The cursor is always in the row below them, so that whatever ends this process leaves the terminal usable.

    Args:
        write: writes a text to the terminal.
        size: returns the columns and rows that the terminal has now.
    """

    def __init__(self, write: t.Callable[[str], t.Any], size: t.Callable[[], t.Tuple[int, int]]) -> None:
        self.write, self.size = write, size
        #: How many rows the lines take.
        self.height = 0

    def _to_top(self, rows: int) -> str:
        # Some terminals wrap the lines anew if they become narrower. Then this is too low, and a part of an old line stays. Lines above are never lost.
        height = min(self.height, rows - 1)
        return "\r" + (_UP.format(height) if height else "")

    def draw(self, lines: t.Sequence[Live]) -> None:
        """Shows lines in place of those that are shown."""
        width, rows = self.size()
        fit = fitting(lines, width, rows) if lines else []
        if fit or self.height:
            self.write(self._to_top(rows) + "".join(line + _CLEAR_ROW + "\n" for line in fit) + _CLEAR_BELOW)
        self.height = len(fit)

    def erase(self) -> None:
        """Removes the lines, so that other text can be written in their place."""
        self.draw(())


def laid_out(name: str, text: str, width: int) -> t.List[str]:
    """A line of a session as rows of the output: a long command at its end stands below, wrapped so that it can be copied.

    Args:
        name: the session's.
        text: the line.
        width: columns.
    """
    rows = []
    for line in clean(text).splitlines() or [""]:
        sentence, command = columns.split_command("{0}: {1}".format(clean(name, 100), line.rstrip()))
        rows += columns.with_command(sentence, command, width) if command else [sentence]
    return rows


class Sessions(Screen):
    """Every session that one playbook follows.

    Args:
        owner: processes.identity() of the playbook.
        show: shows rows that stay; its second argument is whether they are an error.
        width: returns the columns for these rows.
        live: whether live lines are shown. Then no line stays that a later one replaces.
    """

    def __init__(self, owner: t.List[t.Any], show: t.Callable[[t.List[str], bool], t.Any], width: t.Callable[[], int], live: bool) -> None:
        self.owner, self.show, self.width, self.live = owner, show, width, live
        self.viewers: t.Dict[str, Viewer] = {}
        self.waits: t.Dict[str, str] = {}
        #: The sessions whose viewers have shown an error.
        self.failed: t.Set[str] = set()
        self._errors: t.Set[t.Tuple[str, str]] = set()

    def add(self, session: Session) -> bool:
        """Shows a session from now on, if the playbook has begun to follow it; returns whether it has."""
        try:
            viewer = Viewer(session, self.owner, self)
        except SessionError:
            return False
        if viewer.begun:
            self.viewers[session.directory] = viewer
            self.waits.pop(session.name, None)
            self.failed.discard(session.name)
        return viewer.begun

    @property
    def open(self) -> t.List[Viewer]:
        """The sessions whose connect is not over."""
        return [viewer for viewer in list(self.viewers.values()) if viewer.over is None]

    def step(self, check: bool = False) -> bool:
        """Shows what has happened since the last step; returns whether something has.

        Args:
            check: as in Viewer.step().
        """
        happened = [self._step(viewer, check) for viewer in self.open]
        return any(happened)

    def _step(self, viewer: Viewer, check: bool) -> bool:
        try:
            happened = viewer.step(check)
        except SessionError as error:
            viewer.fail(error)
            happened = True
        if viewer.error:
            self.failed.add(viewer.session.name)
        return happened or viewer.over is not None

    def clear_up(self, names: t.Optional[t.Collection[str]] = None) -> t.List[str]:
        """Forgets sessions. If one has failed, and nothing else is left of it, its record is removed: its error has been shown.

        Args:
            names: sessions that no task follows any more; None for all whose connect is over.
        Returns:
            The directories of these sessions.
        """
        forgotten = [viewer for viewer in self.viewers.values() if (viewer.over is not None if names is None else viewer.session.name in names)]
        for viewer in forgotten:
            del self.viewers[viewer.session.directory]
            try:
                viewer.clear_up()
            except SessionError:
                pass  # The record is damaged. That error has been shown, too.
        return [viewer.session.directory for viewer in forgotten]

    def lines(self, width: int) -> t.List[Live]:
        """The live lines at this moment."""
        found = []
        for viewer in sorted(self.open, key=lambda viewer: viewer.session.name):
            try:
                record = viewer.session.read()
            except SessionError:
                continue
            if record:
                name = viewer.session.name
                found.append(Live(record.state, live_text(name, record, self.waits.get(name, ""), time.time(), width)))
        return found

    def event(self, name: str, event: t.Dict[str, t.Any]) -> None:
        if not event.get("advice"):
            self.line(name, event["text"])
            return
        rows = []
        for sentence, command in event["advice"]:
            rows += columns.with_command("{0}: {1}".format(clean(name, 100), clean(sentence)), one_line(command, 2000), self.width())
        self.show(rows, False)

    def line(self, name: str, text: str) -> None:
        if self.live and job_flow.is_waiting(text):
            self.waits[name] = text
        else:
            self.show(laid_out(name, text, self.width()), False)

    def error(self, name: str, lines: t.List[str]) -> None:
        """Shows an error once, also if a task reports it that comes later."""
        key = (name, "\n".join(lines))
        if key not in self._errors:
            self._errors.add(key)
            self.show([row for line in lines for row in laid_out(name, line, self.width())], True)
