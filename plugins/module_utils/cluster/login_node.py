# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login node, as everything that works on it sees it."""

import typing as t

from ..common import listeners

#: ``script(text, seconds) -> (exit status, standard output, standard error)`` of a POSIX shell.
Run = t.Callable[[str, int], t.Tuple[int, str, str]]


class LoginNode:
    """The login node of a session.

    Args:
        name: how it calls itself.
        uid: of the user's account there.
        run: a shell on it.
        hold: a shell on it whose children end with the connection.
        messages: what its sshd and the local ssh printed since the last call.
    """

    def __init__(self, name: str, uid: int, run: Run, hold: t.Optional[Run] = None, messages: t.Callable[[], str] = lambda: "") -> None:
        self.name, self.uid, self.run, self.hold, self.messages = name, uid, run, hold or run, messages

    def listeners(self) -> t.List[listeners.Listener]:
        """Who listens on it now, over IPv4."""
        return listeners.parse(self.run(listeners.SCRIPT, 15)[1])

    def fault(self, address: str, port: int) -> str:
        """Why a dial of that address and port would not reach a listener of the user's; empty if it would."""
        return listeners.fault(self.listeners(), address, port, self.uid, self.name)

    def has(self, address: str, port: t.Optional[int]) -> bool:
        """Whether a dial of that address and port would reach a listener of the user's."""
        return bool(port) and not self.fault(address, port or 0)


class ThisHost(LoginNode):
    """The login node is the host on which this runs."""

    def listeners(self) -> t.List[listeners.Listener]:
        return listeners.local() or []
