# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first login of a session's daemon."""

import os
import typing as t

from ..ssh.shell import ShellLost
from .connection import Connection, failure
from .reconnection import Attempt

# Seconds; enough for a user who has to find a one-time code. The login node's own time limit is shorter.
_LONGEST = 3600


class FirstLogin:
    """At most one attempt at a time."""

    def __init__(self) -> None:
        self.attempt: t.Optional[Attempt] = None
        self.failed: t.Dict[str, t.Any] = {}

    def begin(self, command: t.List[str], environment: t.Dict[str, str], path: str, master: str) -> None:
        """Begins an attempt.

        Args:
            command: ssh's.
            environment: variables for ssh.
            path: the control socket of the connection.
            master: the socket of the user's own control master, to which the path will lead; empty if ssh creates the control socket.
        """
        self.end()
        os.environ.update(environment)
        if master:
            os.symlink(master, path)
        self.attempt, self.failed = Attempt(command, path, _LONGEST), {}

    def connection(self) -> t.Optional[Connection]:
        """The connection, as soon as it is logged in; it belongs to the caller from then on."""
        try:
            if self.attempt is None or not self.attempt.begun():
                return None
        except ShellLost as lost:
            self.failed = failure(self.attempt.process, lost)
            self.end()
            return None
        attempt, self.attempt = self.attempt, None
        return Connection(attempt.process, attempt.shell)

    def state(self) -> t.Dict[str, t.Any]:
        """What failure() returns; or begun (bool), and what Attempt.state() returns."""
        if self.attempt is None:
            return self.failed or {"failed": "ssh ended"}
        return dict(self.attempt.state(), begun=False)

    def end(self) -> None:
        """Ends an attempt that is under way."""
        if self.attempt is not None:
            self.attempt.close()
            self.attempt = None
