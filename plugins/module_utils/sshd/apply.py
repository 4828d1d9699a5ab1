# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan for sshd's configuration put in place: files, then the daemon; whatever fails brings both back."""

import hashlib
import os
import typing as t

from ..common import files as changes
from ..common.errors import SessionError
from . import program as sshd
from .config import Tree, View
from .planner import Plan
from .rollback import Rollback

#: Vendors keep their own configuration here and leave the first path to the admin.
VENDOR = {"/etc/ssh/sshd_config": "/usr/etc/ssh/sshd_config"}


def main_file(path: str, root: str = "") -> t.Tuple[str, bool]:
    """The main file that sshd reads.

    Args:
        path: as the user names it.
        root: what stands before every path.
    Returns:
        The file, and whether it may be edited; a vendor's own may not.
    """
    other = VENDOR.get(path, "")
    if other and not os.path.exists(root + path) and os.path.exists(root + other):
        return other, False
    return path, True


def program_for(path: str, executable: str, daemon: sshd.Daemon, scratch: t.Optional[str] = None) -> t.Tuple[sshd.Program, t.List[str]]:
    """The sshd that a configuration is for.

    Args:
        path: the main file.
        executable: the program; empty to look for it.
        daemon: the running one.
        scratch: directory for copies of the configuration.
    Returns:
        It, with what the daemon has on its command line, and warnings.
    """
    if executable and not os.access(executable, os.X_OK):
        raise SessionError("there is no program {0}".format(executable), "", "correct sshd, or leave it out; nothing was changed")
    words = daemon.options()
    options, other = [], ""
    for flag, value in zip(words[::2], words[1::2]):
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
    """A mark, outside of the configuration, that files were changed and the daemon has not read them yet."""

    def __init__(self, path: str, directory: str = "/run") -> None:
        self.file = os.path.join(directory, "sciviz-paraview-sshd.{0}".format(hashlib.sha256(path.encode()).hexdigest()[:12]))

    def there(self) -> bool:
        return os.path.exists(self.file)

    def set(self) -> None:
        try:
            os.close(os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            pass

    def clear(self) -> None:
        if self.there():
            os.unlink(self.file)


class Change:
    """Puts a plan in place.

    Args:
        program: whom to ask.
        view: the files.
        path: the main file.
        daemon: what is to read them; None for nobody.
        pending: the mark.
    Attributes:
        backups: the copies that were kept, by path.
        warnings: what the user should know.
    """

    def __init__(self, program: sshd.Program, view: View, path: str, daemon: t.Optional[sshd.Daemon], pending: Pending) -> None:
        self.program, self.view, self.path, self.daemon, self.pending = program, view, path, daemon, pending
        self.backups: t.Dict[str, str] = {}
        self.warnings: t.List[str] = []
        self.addresses: t.List[t.Tuple[str, int]] = []
        self.greeted = False

    def apply(self, plan: Plan, backup: bool = False, rollback: t.Optional[Rollback] = None, seconds: int = 0, tidy: t.Iterable[str] = ()) -> None:
        """Files and daemon as planned.

        Args:
            plan: what to do.
            backup: whether to keep copies of what is there.
            rollback: armed for this many seconds before anything is touched.
            tidy: directories to remove once they are empty.
        Raises:
            SessionError: all is as before.
        """
        texts = {self.view.real(path): text for path, text in plan.changes.items()}
        files = changes.Changes(texts, self.view.real(self.path))
        self._look(plan)
        armed = rollback is None or rollback.armed
        if rollback is not None and seconds and texts:
            rollback.arm(files.old, seconds, self.daemon.unit if self.daemon else "", sshd.run)
        try:
            if backup:
                self.backups = {path: copy for path, copy in ((path, changes.keep_copy(self.view.real(path))) for path in plan.changes) if copy}
            if self.daemon:
                self.pending.set()
            files.put()
            for directory in tidy:
                self._remove_empty(directory)
            self._look_again(plan)
            self._reload()
        except BaseException as error:
            now = self._take_back(files)
            if not armed:
                rollback.confirm(sshd.run, need_login=False)
            if isinstance(error, SessionError):
                raise SessionError(error.what, error.why, now + error.way_out)
            raise
        self.pending.clear()

    @staticmethod
    def _remove_empty(directory: str) -> None:
        try:
            os.rmdir(directory)
        except OSError:
            pass

    def _look(self, plan: Plan) -> None:
        """Where sshd listens, and whether it can be asked there at all. No plan changes where; what is there now may be spoilt."""
        if self.daemon:
            planned = Tree(self.view.with_changes(plan.changes), self.path)
            self.addresses = sshd.addresses(self.program.effective(planned, [sshd.Connection()])[0])
            self.greeted = bool(self.daemon.pid() or self.daemon.waits_for_a_socket()) and self.daemon.answers(self.addresses, 3)

    def _look_again(self, plan: Plan) -> None:
        """What lies there now is what was planned."""
        if plan.stand_in:
            # sshd cannot be asked for a member there is not.
            return
        now = self.program.effective(Tree(View(self.view.root), self.path), [one.connection for one in plan.tried])
        for one, wanted, got in zip(plan.tried, plan.after, now):
            if wanted.values != got.values:
                raise SessionError("sshd's configuration is not what was written", "it differs for {0}".format(one.label), "is something else writing it?")

    def _reload(self) -> None:
        if not self.daemon:
            return
        if not self.daemon.pid():
            if not self.daemon.waits_for_a_socket():
                self.warnings.append("sshd does not run on this host: it was not reloaded")
            return
        self.daemon.reload()
        if self.greeted and not self.daemon.answers(self.addresses):
            raise SessionError("sshd does not answer any more",
                               "nobody greets on " + ", ".join("{0}:{1}".format(*one) for one in self.addresses), "see its log")

    def _take_back(self, files: changes.Changes) -> str:
        """What is back."""
        files.restore()
        if self.daemon and self.daemon.pid():
            try:
                self.daemon.reload()
            except SessionError as error:
                # The mark stays: the next run has it read them.
                return "the old files are back, but sshd may not have read them ({0}). ".format(error.what)
        self.pending.clear()
        return "the old configuration is back. "
