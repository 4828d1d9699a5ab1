# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher's shells on the login node."""

import contextlib
import os
import subprocess
import typing as t

from ..common import processes
from ..ssh.channel import ChannelLost
from ..ssh.shell import Shell, ShellLost
from .caller import Caller


class Shells:
    """Two shells on this host: one runs scripts; the children of the other end with this program.

    However this program ends, the standard input of both shells ends with it.

    Args:
        caller: of this program, which is checked during each wait for a shell.
    """

    def __init__(self, caller: t.Optional[Caller]) -> None:
        self.caller = caller
        self._worker: t.Optional[Shell] = None
        self._keeper: t.Optional[Shell] = None

    def script(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs a script; returns its exit code, stdout and stderr."""
        self._worker = self._worker or self._start()
        try:
            return self._worker.run(text, seconds)
        except ShellLost as lost:
            self._worker = self._drop(self._worker)
            raise _lost(lost)

    def hold(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs lines in the shell whose children end with this program; returns the same as script()."""
        self._keeper = self._keeper or self._start()
        try:
            return self._keeper.here(text, seconds)
        except ShellLost as lost:
            self._keeper = self._drop(self._keeper)
            raise _lost(lost)

    @contextlib.contextmanager
    def uninterrupted(self) -> t.Iterator[None]:
        """Scripts in this context run to their end, even if the caller disconnects."""
        caller, self.caller = self.caller, None
        self._check_meanwhile(None)
        try:
            yield
        finally:
            self.caller = caller
            self._check_meanwhile(caller)

    def _check_meanwhile(self, caller: t.Optional[Caller]) -> None:
        for shell in (self._worker, self._keeper):
            if shell:
                shell.meanwhile = caller.check if caller else None

    def clear_up(self) -> None:
        """Ends the script that runs. From now on the caller is not checked any more."""
        self.caller = None
        self._check_meanwhile(None)
        self._worker = self._drop(self._worker)

    def close(self) -> None:
        """Ends both shells."""
        self._worker, self._keeper = self._drop(self._worker), self._drop(self._keeper, 15)

    def _start(self) -> Shell:
        home = os.path.expanduser("~")
        process = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                   start_new_session=True, cwd=home if os.path.isdir(home) else "/")
        shell = Shell(process)
        try:
            shell.begin(30)
        except ShellLost as lost:
            raise _lost(lost)
        if self.caller:
            shell.meanwhile = self.caller.check
        return shell

    @staticmethod
    def _drop(shell: t.Optional[Shell], patience: float = 0.1) -> None:
        if shell:
            process: t.Any = shell.process
            identity = processes.identity(process.pid)
            process.stdin.close()
            # With --leave, this process is not the parent of the shell, and cannot wait for it in another way.
            if not processes.wait_gone(identity, patience):
                processes.end(identity)
            for stream in (process.stdout, process.stderr):
                stream.close()
            process.poll()


def _lost(lost: ShellLost) -> ChannelLost:
    return ChannelLost("a shell on this login node ended", str(lost).strip() or "it printed nothing", "try again")
