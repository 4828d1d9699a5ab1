# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies a plan for sshd's configuration: files first, then the daemon. If a step fails, both are restored."""

import hashlib
import os
import typing as t

from ..common import files as changes
from ..common.errors import SessionError
from . import program as sshd
from .config import Tree, View
from .planner import Plan
from .rollback import Rollback

#: The vendor's own file, by the path that is the admin's.
VENDOR = {"/etc/ssh/sshd_config": "/usr/etc/ssh/sshd_config"}

#: Where backups are kept: no program reads files there. Beside the file, an Include of sshd or ssh could match one.
BACKUPS = "/var/lib/sciviz-paraview/sshd-backups"


def main_file(path: str, root: str = "") -> t.Tuple[str, bool]:
    """The main file that sshd reads.

    Args:
        path: the path that the user gives.
        root: prefix of every path.
    Returns:
        The file, and whether it may be edited; a vendor's file may not.
    """
    vendor = VENDOR.get(path, "")
    if vendor and not os.path.exists(root + path) and os.path.exists(root + vendor):
        return vendor, False
    return path, True


def program_for(path: str, executable: str, daemon: sshd.Daemon, scratch: t.Optional[str] = None) -> t.Tuple[sshd.Program, t.List[str]]:
    """The sshd program that reads a configuration.

    Args:
        path: the main file.
        executable: the program; empty to search for it.
        daemon: the running sshd.
        scratch: directory for copies of the configuration.
    Returns:
        The program with the options of the daemon's command line, and warnings.
    """
    if executable and not os.access(executable, os.X_OK):
        raise SessionError("there is no program {0}".format(executable), "", "correct the option sshd, or leave it out; nothing was changed")
    running = daemon.options()
    options, other = [], ""
    for flag, value in zip(running[::2], running[1::2]):
        if flag == "-f":
            other = value
        else:
            options += [flag, value]
    warnings = []
    if other and os.path.realpath(other) != os.path.realpath(path):
        warnings.append("the running sshd reads {0}, not {1}".format(other, path))
        options = []
    return sshd.Program([executable] if executable else (), options, scratch), warnings


class Pending:
    """A mark outside the configuration. It exists while files are changed and the daemon has not read them yet."""

    def __init__(self, path: str, directory: str = "/run") -> None:
        self.file = os.path.join(directory, "sciviz-paraview-sshd.{0}".format(hashlib.sha256(path.encode()).hexdigest()[:12]))

    def exists(self) -> bool:
        return os.path.exists(self.file)

    def set(self) -> None:
        try:
            os.close(os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            pass

    def clear(self) -> None:
        if self.exists():
            os.unlink(self.file)


class Change:
    """Applies a plan.

    Args:
        program: the sshd program.
        view: the files.
        path: the main file.
        daemon: the sshd to reload; None for none.
        pending: the mark for a reload that is still to be done.
    Attributes:
        backups: the backup copies, by path.
        warnings: for the user.
    """

    def __init__(self, program: sshd.Program, view: View, path: str, daemon: t.Optional[sshd.Daemon], pending: Pending) -> None:
        self.program, self.view, self.path, self.daemon, self.pending = program, view, path, daemon, pending
        self.backups: t.Dict[str, str] = {}
        self.warnings: t.List[str] = []
        self.addresses: t.List[t.Tuple[str, int]] = []
        self.answered = False

    def apply(self, plan: Plan, backup: bool = False, rollback: t.Optional[Rollback] = None, seconds: int = 0, tidy: t.Iterable[str] = ()) -> None:
        """Changes the files, then reloads the daemon.

        Args:
            plan: the plan.
            backup: whether to keep copies of the old files.
            rollback: the timer to arm before the first change.
            seconds: time until that timer restores the old files; 0 for no timer.
            tidy: directories to remove if they are empty after the change.
        Raises:
            SessionError: a step failed; the old state is restored.
        """
        texts = {self.view.real(path): text for path, text in plan.changes.items()}
        files = changes.Changes(texts, self.view.real(self.path))
        self._note_addresses(plan)
        armed_before = rollback is None or rollback.armed
        if rollback is not None and seconds and texts:
            rollback.arm(files.old, seconds, self.daemon.unit if self.daemon else "", sshd.run)
        try:
            if backup:
                self._keep_copies(plan)
            if self.daemon:
                self.pending.set()
            files.put()
            for directory in tidy:
                self._remove_empty(directory)
            self._verify(plan)
            self._reload()
        except BaseException as error:
            restored = self._restore(files)
            if not armed_before:
                rollback.confirm(sshd.run, need_login=False)
            if isinstance(error, SessionError):
                raise SessionError(error.what, error.why, restored + error.way_out)
            raise
        self.pending.clear()

    def _keep_copies(self, plan: Plan) -> None:
        for path in plan.changes:
            copy = changes.keep_copy(self.view.real(path), self.view.root + BACKUPS, path)
            if copy:
                self.backups[path] = copy

    @staticmethod
    def _remove_empty(directory: str) -> None:
        try:
            os.rmdir(directory)
        except OSError:
            pass

    def _note_addresses(self, plan: Plan) -> None:
        """Notes the addresses where sshd listens, and whether it answers there now.

        The addresses come from the planned files, since the current ones may be broken; no plan changes them.
        """
        if self.daemon:
            planned = Tree(self.view.with_changes(plan.changes), self.path)
            self.addresses = sshd.addresses(self.program.effective(planned, [sshd.Connection()])[0])
            self.answered = bool(self.daemon.pid() or self.daemon.waits_for_a_socket()) and self.daemon.answers(self.addresses, 3)

    def _verify(self, plan: Plan) -> None:
        """Checks that sshd has the planned values from the files as they are now."""
        if plan.stand_in:
            # The group has no member for whom sshd could be tested.
            return
        current = self.program.effective(Tree(View(self.view.root), self.path), [sample.connection for sample in plan.samples])
        for sample, planned, found in zip(plan.samples, plan.after, current):
            if planned.values != found.values:
                raise SessionError("sshd's configuration is not what was written", "it differs for {0}".format(sample.label),
                                   "check whether another program writes these files")

    def _reload(self) -> None:
        if not self.daemon:
            return
        if not self.daemon.pid():
            if not self.daemon.waits_for_a_socket():
                self.warnings.append("sshd does not run on this host: it was not reloaded")
            return
        self.daemon.reload()
        if self.answered and not self.daemon.answers(self.addresses):
            raise SessionError("sshd does not answer any more",
                               "no ssh greeting on " + ", ".join("{0}:{1}".format(*one) for one in self.addresses), "see the log of sshd")

    def _restore(self, files: changes.Changes) -> str:
        """Restores files and daemon, and returns a sentence that reports it."""
        files.restore()
        if self.daemon and self.daemon.pid():
            try:
                self.daemon.reload()
            except SessionError as error:
                # The mark stays, so the next run reloads the daemon.
                return "the old files were restored, but sshd may not have read them ({0}). ".format(error.what)
        self.pending.clear()
        return "the old configuration was restored. "
