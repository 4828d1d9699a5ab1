# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell on the login node beside the forwards that are tried."""

import time
import typing as t

from .paramiko_login import Connection, paramiko


class Shell:
    """One shell over there for all commands: some servers grant a single session."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self.connection = connection
        self.timeout = timeout
        self.channel: t.Any = None
        self.number = 0

    def start(self, in_time: t.Callable[[], t.ContextManager[None]]) -> None:
        """Tries to get one; a command that sshd forces on the user is not spoken to."""
        try:
            with in_time():
                self.channel = self.connection.open_session(timeout=self.timeout)
                # Quoted so that a command which only repeats what it was given does not look like a shell.
                self.channel.exec_command("echo; echo ready-''to-look; exec /bin/sh")
        except paramiko.SSHException:
            self._end()
            return
        if self._until("ready-to-look") is None:
            self._end()

    def run(self, text: str) -> t.Optional[str]:
        """What a script prints, or None."""
        if self.channel is None:
            return None
        self.number += 1
        mark = "end-of-answer-{0}".format(self.number)
        try:
            self.channel.sendall("{{ {0}; }} 2>/dev/null </dev/null\necho\necho {1}\n".format(text, mark).encode("utf-8", "surrogateescape"))
        except OSError:
            self._end()
            return None
        said = self._until(mark)
        if said is None:
            self._end()
        # The empty line before the mark is ours.
        return None if said is None else said[:-1]

    def _until(self, mark: str, most: int = 16 * 1024 * 1024) -> t.Optional[str]:
        said, end = b"", time.monotonic() + self.timeout
        ending = "\n{0}\n".format(mark).encode()
        while not (b"\n" + said).endswith(ending):
            try:
                self.channel.settimeout(max(0.01, end - time.monotonic()))
                data = self.channel.recv(65536)
            except OSError:
                return None
            if not data or len(said) > most:
                return None
            said += data
        return said[:len(said) - len(ending) + 1].decode("utf-8", "replace")

    def _end(self) -> None:
        if self.channel is not None:
            self.channel.close()
        self.channel = None
