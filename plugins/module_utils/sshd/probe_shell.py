# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell on the login node, for checks of the requested forwards."""

import time
import typing as t

from .paramiko_login import Connection, paramiko


class Shell:
    """One shell for all commands, since some servers allow a single session."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self.connection = connection
        self.timeout = timeout
        self.channel: t.Any = None
        self.number = 0

    def start(self, with_timeout: t.Callable[[], t.ContextManager[None]]) -> None:
        """Tries to start the shell. If sshd runs another command instead (ForceCommand), nothing is sent to it."""
        try:
            with with_timeout():
                self.channel = self.connection.open_session(timeout=self.timeout)
                # The quotes distinguish a shell from a command that only repeats its arguments.
                self.channel.exec_command("echo; echo ready-''to-run; exec /bin/sh")
        except paramiko.SSHException:
            self._end()
            return
        if self._until("ready-to-run") is None:
            self._end()

    def run(self, text: str) -> t.Optional[str]:
        """The output of a script, or None."""
        if self.channel is None:
            return None
        self.number += 1
        mark = "end-of-answer-{0}".format(self.number)
        try:
            self.channel.sendall("{{ {0}; }} 2>/dev/null </dev/null\necho\necho {1}\n".format(text, mark).encode("utf-8", "surrogateescape"))
        except OSError:
            self._end()
            return None
        output = self._until(mark)
        if output is None:
            self._end()
        # The script ends with an empty line before the mark.
        return None if output is None else output[:-1]

    def _until(self, mark: str, most: int = 16 * 1024 * 1024) -> t.Optional[str]:
        output, end = b"", time.monotonic() + self.timeout
        ending = "\n{0}\n".format(mark).encode()
        while not (b"\n" + output).endswith(ending):
            try:
                self.channel.settimeout(max(0.01, end - time.monotonic()))
                data = self.channel.recv(65536)
            except OSError:
                return None
            if not data or len(output) > most:
                return None
            output += data
        return output[:len(output) - len(ending) + 1].decode("utf-8", "replace")

    def _end(self) -> None:
        if self.channel is not None:
            self.channel.close()
        self.channel = None
