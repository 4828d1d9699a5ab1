# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's connection to the client host, if ParaView runs on another host than the playbook."""

import os
import typing as t

from ..client import remote
from ..cluster.session_record import SessionRecord
from ..common import processes
from ..common.errors import SessionError
from ..ssh.shell import ShellLost
from .connection import Connection
from .record import Session


class ClientConnection:
    """It is there between begin() and end().

    Args:
        session: whose client host it leads to.
        forget_sockets: takes away the sockets through which the client host is reached.
    """

    def __init__(self, session: Session, forget_sockets: t.Callable[[], None]) -> None:
        self.session, self.forget_sockets = session, forget_sockets
        self.connection: t.Optional[Connection] = None
        #: A script that the host is left with.
        self.cleanup = ""

    def begin(self, command: t.List[str], environment: t.Dict[str, str]) -> None:
        """Begins a login; state() has its result."""
        self.end()
        os.environ.update(environment)
        self.connection = Connection(processes.Child(command))
        try:
            self.connection.shell.ask()
        except ShellLost:
            pass  # state() has it

    def state(self) -> t.Dict[str, t.Any]:
        """How the login goes: failed (str), or begun (bool) and said (str)."""
        if self.connection is None:
            return {"failed": "ssh ended"}
        try:
            return {"begun": self.connection.shell.begun(), "said": self.connection.said}
        except ShellLost as lost:
            self.end()
            return {"failed": str(lost)}

    def run(self, script: str, seconds: int) -> t.Dict[str, t.Any]:
        """Runs a script there: code, out and err; or failed (str)."""
        if self.connection is None:
            return {"failed": "ssh ended"}
        try:
            code, out, err = self.connection.shell.run(script, seconds)
        except ShellLost as lost:
            self.lost()
            return {"failed": str(lost)}
        return {"code": code, "out": out, "err": err}

    def look(self) -> None:
        """If ssh has ended since begin(), that is noted."""
        if self.connection and self.cleanup and not self.connection.shell.drain():
            self.lost()

    def lost(self) -> None:
        """connect logs in there again; ParaView has lost pvserver in any case."""
        self.end()
        record = self.session.read()
        there = record.client_side
        if there:
            # The way of a session that reconnects ends at this host.
            opened = record.opened if record.lifeline else None
            self.session.update(client_side=dict(there, daemon=None), opened=opened, reason="the connection to {0} was lost".format(there["name"]))

    def end_client(self, record: SessionRecord, connected_too: bool) -> None:
        """Ends a client that was started there, as teardown.end_client() does here."""
        if record.client_there and self.connection and (connected_too or not record.was_connected):
            try:
                self.connection.shell.run(remote.end_script(record.client_there), 10)
            except (ShellLost, SessionError):
                pass

    def end(self) -> None:
        """Leaves the client host, and nothing there."""
        if self.connection is None:
            return
        try:
            if self.cleanup:
                self.connection.shell.run(self.cleanup, 5)
        except (ShellLost, SessionError):
            pass
        self.forget_sockets()
        self.connection.end(3)
        self.connection, self.cleanup = None, ""
