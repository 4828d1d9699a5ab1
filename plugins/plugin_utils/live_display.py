# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's display, with live lines below what it shows."""

import atexit
import contextlib
import os
import sys
import threading
import time
import typing as t

from ansible import constants

from ..module_utils.common import terminals
from ..module_utils.session.live_screen import Live, LiveScreen, Sessions, laid_out
from . import lines_callback

# Seconds between two reads of the event logs, and between two redraws in which nothing but the time has changed.
_EVERY = 0.1
_REDRAW = 1.0


class LiveDisplay:
    """Shows sessions through Ansible's display, while tasks run.

    Whatever else appears passes the display's methods in the process of the playbook: they are replaced by methods that remove the live lines before. One
    lock, the display's own, is held for each output. Ansible holds it too while it forks and while a prompt is open, so that no worker begins with half of an
    output, and no live line gets into a prompt.

    Args:
        display: Ansible's.
        live: whether to show live lines, if standard output is a terminal.
        owner: processes.identity() of this process.
    """

    def __init__(self, display: t.Any, live: bool, owner: t.List[t.Any]) -> None:
        self.display, self.pid = display, os.getpid()
        self.lock = getattr(display, "_lock", None) or threading.RLock()
        self.screen = LiveScreen(self._write, lambda: terminals.size(sys.stdout)) if live and terminals.rewrites(sys.stdout, os.environ) else None
        self.sessions = Sessions(owner, self._show, lambda: terminals.size(sys.stdout)[0] if sys.stdout.isatty() else 80, live=self.screen is not None)
        self.lines: t.List[Live] = []
        self.drawn_at, self.busy = 0.0, 0
        self.stopped = threading.Event()
        self.thread: t.Optional[threading.Thread] = None
        lines_callback.activate()
        for name in ("display", "prompt_until", "prompt"):
            setattr(display, name, self._above(getattr(display, name), prompts=name != "display"))
        atexit.register(self.stop)

    def _above(self, method: t.Callable, prompts: bool) -> t.Callable:
        """A method of the display that removes the live lines before."""
        def replacement(*arguments: t.Any, **keywords: t.Any) -> t.Any:
            if os.getpid() != self.pid:
                # A worker sends its output to the process of the playbook.
                return method(*arguments, **keywords)
            with self._held():
                if prompts:
                    # Lines that came before the prompt appear before it.
                    self.sessions.step()
                return method(*arguments, **keywords)

        return replacement

    @contextlib.contextmanager
    def _held(self) -> t.Iterator[None]:
        """Nothing else is shown meanwhile; the live lines are removed, and drawn again when the outermost of these ends."""
        with self.lock:
            self.busy += 1
            try:
                if self.screen:
                    self.screen.erase()
                yield
            finally:
                self.busy -= 1
                if not self.busy:
                    if self.screen and not self.stopped.is_set():
                        self.screen.draw(self.lines)
                    sys.stdout.flush()

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _show(self, rows: t.List[str], error: bool) -> None:
        self.display.display("\n".join(rows), color=constants.COLOR_ERROR if error else None)

    def add(self, session: t.Any) -> bool:
        """Shows a session from now on, if this playbook has begun to follow it; returns whether it has."""
        with self.lock:
            added = self.sessions.add(session)
        if added:
            lines_callback.add(session.directory)
        if added and not self.thread:
            self.thread = threading.Thread(target=self._watch, daemon=True)
            self.thread.start()
        return added

    def step(self, check: bool = False) -> None:
        """Shows what has happened since the last step.

        Args:
            check: as in Viewer.step().
        """
        with self.lock:
            self.busy += 1
            try:
                happened = self.sessions.step(check)
            finally:
                self.busy -= 1
            if self.screen and not self.busy and not self.stopped.is_set() and (happened or time.monotonic() > self.drawn_at + _REDRAW):
                self.drawn_at = time.monotonic()
                self.lines = self.sessions.lines(self.screen.size()[0] - 1)
                self.screen.draw(self.lines)

    def line(self, name: str, text: str) -> None:
        """Shows a line that stays."""
        with self.lock:
            self._show(laid_out(name, text, self.sessions.width()), False)

    def error(self, name: str, lines: t.List[str]) -> None:
        """Shows an error, unless it was shown."""
        with self.lock:
            self.sessions.error(name, lines)

    def catch_up(self, names: t.Optional[t.Collection[str]] = None) -> None:
        """Shows what has happened, since a task that followed sessions has ended.

        Args:
            names: as in Sessions.clear_up().
        """
        with self.lock:
            self.step(check=True)
            for directory in self.sessions.clear_up(names):
                lines_callback.remove(directory)
            self.drawn_at = 0.0
            self.step()

    def _watch(self) -> None:
        while not self.stopped.wait(_EVERY):
            try:
                self.step()
            except (OSError, ValueError):
                return  # Standard output is closed.

    def stop(self) -> None:
        """Removes the live lines for good."""
        if os.getpid() != self.pid or self.stopped.is_set():
            return
        self.stopped.set()
        with self.lock:
            try:
                if self.screen:
                    self.screen.erase()
                sys.stdout.flush()
            except (OSError, ValueError):
                pass
