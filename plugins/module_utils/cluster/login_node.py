# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login node: a shell on it, and its listeners."""

import re
import shlex
import typing as t

from ..common import listeners

#: ``script(text, seconds) -> (exit status, standard output, standard error)`` of a POSIX shell.
Run = t.Callable[[str, int], t.Tuple[int, str, str]]


class LoginNode:
    """The login node of a session.

    Args:
        name: its own host name.
        uid: of the user's account there.
        run: runs a script in a shell there.
        hold: runs lines in a shell there whose children end with the connection.
        messages: returns what its sshd and the local ssh printed since the last call.
    """

    def __init__(self, name: str, uid: int, run: Run, hold: t.Optional[Run] = None, messages: t.Callable[[], str] = lambda: "") -> None:
        self.name, self.uid, self.run, self.hold, self.messages = name, uid, run, hold or run, messages

    def listeners(self) -> t.List[listeners.Listener]:
        """Its listeners over IPv4."""
        return listeners.parse(self.run(listeners.SCRIPT, 15)[1])

    def uid_of(self, account: str) -> t.Optional[int]:
        """The uid of an account; None if the login node does not know it."""
        out = self.run("id -u -- {0}".format(shlex.quote(account)), 15)[1].strip()
        return int(out) if re.match(r"[0-9]{1,10}\Z", out) else None

    def fault(self, address: str, port: int) -> str:
        """Why a connection to that address and port would not reach a listener of the user; empty if it would."""
        return listeners.fault(self.listeners(), address, port, self.uid, self.name)

    def has(self, address: str, port: t.Optional[int]) -> bool:
        """Whether a connection to that address and port would reach a listener of the user."""
        return bool(port) and not self.fault(address, port or 0)


class ThisHost(LoginNode):
    """The login node, if this program runs on it."""

    def listeners(self) -> t.List[listeners.Listener]:
        return listeners.local() or []
