# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection's shells on the login node, as the launcher has them."""

import contextlib
import os
import subprocess
import typing as t

from ..common import processes
from ..ssh.channel import ChannelLost
from ..ssh.shell import Shell, ShellLost
from .caller import Line


class Shells:
    """Two shells on this host: one for scripts, and one that what has to end with this program hangs on.

    Both see the end of their standard input when this program ends, however that comes about.

    Args:
        line: is looked at while one of them is waited for.
    """

    def __init__(self, line: t.Optional[Line]) -> None:
        self.line = line
        self._worker: t.Optional[Shell] = None
        self._keeper: t.Optional[Shell] = None

    def script(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """What a script gave: exit code, stdout, stderr."""
        self._worker = self._worker or self._begun()
        try:
            return self._worker.run(text, seconds)
        except ShellLost as lost:
            self._worker = self._drop(self._worker)
            raise _lost(lost)

    def hold(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs lines in the shell whose end is the end of what they start; returns what script() does."""
        self._keeper = self._keeper or self._begun()
        try:
            return self._keeper.here(text, seconds)
        except ShellLost as lost:
            self._keeper = self._drop(self._keeper)
            raise _lost(lost)

    @contextlib.contextmanager
    def undisturbed(self) -> t.Iterator[None]:
        """What is begun in it comes to its end, whoever may be gone."""
        line, self.line = self.line, None
        self._look_by(None)
        try:
            yield
        finally:
            self.line = line
            self._look_by(line)

    def _look_by(self, line: t.Optional[Line]) -> None:
        for shell in (self._worker, self._keeper):
            if shell:
                shell.meanwhile = line.look if line else None

    def clear_up(self) -> None:
        """From now on nothing is looked at any more, and a script that is under way is not waited for."""
        self.line = None
        self._look_by(None)
        self._worker = self._drop(self._worker)

    def close(self) -> None:
        """Ends both."""
        self._worker, self._keeper = self._drop(self._worker), self._drop(self._keeper, 15)

    def _begun(self) -> Shell:
        home = os.path.expanduser("~")
        process = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                   start_new_session=True, cwd=home if os.path.isdir(home) else "/")
        shell = Shell(process)
        try:
            shell.begin(30)
        except ShellLost as lost:
            raise _lost(lost)
        if self.line:
            shell.meanwhile = self.line.look
        return shell

    @staticmethod
    def _drop(shell: t.Optional[Shell], patience: float = 0.1) -> None:
        if shell:
            process: t.Any = shell.process
            identity = processes.identity(process.pid)
            process.stdin.close()
            # A guard is not the parent of what it took over, and cannot wait for it otherwise.
            if not processes.wait_gone(identity, patience):
                processes.end(identity)
            for stream in (process.stdout, process.stderr):
                stream.close()
            process.poll()


def _lost(lost: ShellLost) -> ChannelLost:
    return ChannelLost("a shell on this login node ended", str(lost).strip() or "it said nothing", "try again")
