# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications for a user who does not look at the terminal (paraview_notify)."""

import os
import time
import typing as t

from ..cluster.endings import CLIENT_LEFT
from ..cluster.session_record import SessionRecord
from ..common import processes, terminals
from ..common.errors import SessionError
from ..common.text import one_line
from . import wall_time
from .record import Session, time_left

# Seconds after which the command of a notification is killed.
_LONGEST = 10.0
# Seconds between two checks of the wall time.
_EVERY = 5.0
# Seconds for which the connection has to be lost. Most losses are shorter, for example after the laptop has slept.
_LONG_LOSS = 60.0
# Batch systems may round the time that is left to minutes. If it grows by more seconds than these, the job was extended.
_EXTENDED = 120
# The beginning of a text, by the state in which the session ends.
_OVER = {"ended": "the session has ended", "failed": "the session has failed", "cancelled": "the session was cancelled"}
# notify-send and the daemon that shows the text find the desktop by one of these.
_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")
# The text is an argument, so that AppleScript never interprets it.
_APPLE_SCRIPT = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")


class Notifier:
    """Notifies the user of what happens in one session. No method raises an error or waits, except close().

    Args:
        session: the session.
        given: returns what the last playbook has given: its environment and working_directory.
    """

    def __init__(self, session: Session, given: t.Callable[[], t.Dict[str, t.Any]]) -> None:
        self.session, self.given = session, given
        #: Commands that have not ended.
        self.running: t.List[processes.QuietChild] = []
        #: The job has waited in the queue since the last playbook began to follow the session.
        self.waited = False
        self.lost_since: t.Optional[float] = None
        #: What was shown of the present loss: the loss itself, and that only the user can log in.
        self.loss_shown = self.login_shown = False
        #: The entries of wall_time.WARNINGS that lie ahead; None before the end of the wall time is known.
        self.ahead: t.Optional[t.Set[int]] = None
        self.next_check = 0.0

    # -- what happens

    def followed(self) -> None:
        """A playbook begins to follow the session, so the user looks at the terminal."""
        self.waited = False

    def job_started(self) -> None:
        """The job has waited in the queue, and runs."""
        self.waited = True
        record = self._record()
        self._notify(record, "job {0} has started".format(record.job_id))

    def ready(self, is_followed: bool) -> None:
        """The session is ready.

        Args:
            is_followed: whether a playbook follows the session.
        """
        record = self._record()
        if self._may_be_missed(is_followed):
            how = "ParaView is connected" if record.was_connected else "ParaView can connect to {0}".format(record.url)
            self._notify(record, "the session is ready: {0}".format(how))

    def failed(self, error: SessionError, is_followed: bool) -> None:
        """A step has failed."""
        if self._may_be_missed(is_followed):
            reason, newline, _log = error.why.partition("\n")
            # The last words before a log introduce the log.
            reason = reason.rpartition("; ")[0] if newline else reason
            self._notify(self._record(), "{0}: {1}".format(_OVER["failed"], "; ".join(part for part in (error.what, reason) if part)))

    def lost(self, reason: str, is_followed: bool) -> None:
        """The connection is lost, and the session ends for that reason."""
        if self._may_be_missed(is_followed):
            self._notify(self._record(), "{0}: the connection was lost ({1})".format(_OVER["ended"], reason))

    def job_ended(self, state: str, reason: str) -> None:
        """The job is over, and the session with it."""
        if (state, reason) != ("ended", CLIENT_LEFT):
            self._notify(self._record(), "{0}: {1}".format(_OVER.get(state, _OVER["ended"]), reason or "no reason is known"))

    def kept(self, line: str) -> None:
        """The job is kept without ParaView."""
        self._notify(self._record(), line)

    def check_connection(self, is_lost: bool, login_prompt: str) -> None:
        """Has to be called often while the connection is lost.

        Args:
            is_lost: whether it is.
            login_prompt: not empty if only the user can log in.
        """
        if not is_lost:
            self.lost_since, self.loss_shown, self.login_shown = None, False, False
            return
        # This clock stands still while the machine sleeps. A connection that is lost in that time returns soon afterwards.
        now = time.monotonic()
        self.lost_since = now if self.lost_since is None else self.lost_since
        if now - self.lost_since >= _LONG_LOSS and (not self.loss_shown or (login_prompt and not self.login_shown)):
            self.loss_shown, self.login_shown = True, bool(login_prompt)
            self._notify(self._record(), login_prompt or "the connection is lost; ParaView waits until it is restored")

    def restored(self, took: str) -> None:
        """The connection is restored.

        Args:
            took: for how long it was lost.
        """
        if self.loss_shown:
            self._notify(self._record(), "the connection is restored after {0}".format(took))
        self.check_connection(False, "")

    def _may_be_missed(self, is_followed: bool) -> bool:
        return self.waited or not is_followed

    def _check_wall_time(self) -> None:
        record = self._record()
        left = time_left(record)
        if left is None:
            return
        if self.ahead is None:
            self.ahead = {one for one in wall_time.WARNINGS if one < left}
        reached = {one for one in self.ahead if left <= one}
        self.ahead = self.ahead - reached | {one for one in wall_time.WARNINGS if one + _EXTENDED < left}
        if reached and left > 0:
            self._warn(record, wall_time.sentence(record.job_id or "", left))

    def _warn(self, record: SessionRecord, text: str) -> None:
        """Notifies the user, and shows a line to the playbook that follows the session, or in the terminal of the one that has ended."""
        self._notify(record, text)
        self.session.events.append("line", text=text)
        if not processes.alive(record.owner):
            terminals.write(record.terminal, "{0}: {1}".format(one_line(self.session.name, 100), text))

    # -- the commands

    def step(self) -> None:
        """Checks the wall time if a check is due, and commands that run."""
        self.running = [child for child in self.running if not child.check()]
        if time.monotonic() >= self.next_check:
            self.next_check = time.monotonic() + _EVERY
            self._check_wall_time()

    def close(self) -> None:
        """Waits for commands that run, and kills those whose time is over. Otherwise they would end with this process."""
        deadline = time.monotonic() + _LONGEST + 1
        while self.running and time.monotonic() < deadline:
            self.running = [child for child in self.running if not child.check()]
            time.sleep(0.02)

    def _record(self) -> SessionRecord:
        """The record; a false one if it cannot be read now. A false record has no settings, so nobody is notified."""
        try:
            return self.session.read()
        except SessionError:
            return SessionRecord()

    def _notify(self, record: SessionRecord, text: str) -> None:
        given = self.given()
        title, line = one_line("ParaView: {0}".format(self.session.name), 100), one_line(text, 300)
        environment = dict(given.get("environment") or os.environ, PARAVIEW_NOTIFY_TITLE=title, PARAVIEW_NOTIFY_TEXT=line)
        command = command_of(record.settings.get("notify"), title, line, environment)
        if not command:
            return
        try:
            self.running.append(processes.QuietChild(command, environment, given.get("working_directory") or "/", _LONGEST))
        except OSError:
            pass  # There can be no more processes now.


def command_of(setting: t.Any, title: str, text: str, environment: t.Mapping[str, str]) -> t.List[str]:
    """The command that shows a notification.

    Args:
        setting: False, True or a command, as settings.check() returns it; None in the record of an older version.
        title, text: one line each. Both begin with a letter, so that no program takes them for an option.
        environment: of the user's desktop.
    Returns:
        Empty if nothing can show it.
    """
    if not setting:
        return []
    if setting is not True:
        return list(setting) + [title, text]
    if _on_path("notify-send", environment) and any(environment.get(name) for name in _DESKTOP):
        return ["notify-send", "--app-name=ParaView", "--", title, _escaped(text)]
    if _on_path("osascript", environment):
        return ["osascript"] + [word for line in _APPLE_SCRIPT for word in ("-e", line)] + [title, text]
    return []


def _escaped(text: str) -> str:
    """A text for notify-send: it interprets backslashes, and the desktop interprets markup."""
    for character, escaped in (("\\", "\\\\"), ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    return text


def _on_path(name: str, environment: t.Mapping[str, str]) -> bool:
    return any(os.access(os.path.join(directory, name), os.X_OK) for directory in os.get_exec_path(environment))
