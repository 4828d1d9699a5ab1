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
from .connection import Connection, failure
from .record import Session


class ClientConnection:
    """It exists between begin() and end().

    Args:
        session: the session whose client host it connects to.
        remove_sockets: removes the sockets of forwards to the client host.
    """

    def __init__(self, session: Session, remove_sockets: t.Callable[[], None]) -> None:
        self.session, self.remove_sockets = session, remove_sockets
        self.connection: t.Optional[Connection] = None
        self.path = ""
        #: A script that is run on the host before the connection ends.
        self.cleanup = ""

    def begin(self, command: t.List[str], environment: t.Dict[str, str], path: str) -> None:
        """Begins a login; state() returns its result.

        Args:
            command: ssh's.
            environment: variables for ssh.
            path: the control socket that ssh creates after the authentication.
        """
        self.end()
        self.path = path
        os.environ.update(environment)
        self.connection = Connection(processes.Child(command))
        try:
            self.connection.shell.ask()
        except ShellLost:
            pass  # state() reports it

    def state(self) -> t.Dict[str, t.Any]:
        """The state of the login: what failure() returns; or begun (bool), and what Attempt.state() returns."""
        if self.connection is None:
            return {"failed": "ssh ended"}
        try:
            shell = self.connection.shell
            return {"begun": shell.begun(), "said": self.connection.output, "logged_in": os.path.exists(self.path), "printed": shell.printed[-4000:]}
        except ShellLost as lost:
            failed = failure(self.connection.process, lost)
            self.end()
            return failed

    def run(self, script: str, seconds: int) -> t.Dict[str, t.Any]:
        """Runs a script there: code, out and err; or failed (str)."""
        if self.connection is None:
            return {"failed": "ssh ended"}
        try:
            code, out, err = self.connection.shell.run(script, seconds)
        except ShellLost as lost:
            self._note_loss()
            return {"failed": str(lost)}
        return {"code": code, "out": out, "err": err}

    def check(self) -> None:
        """If ssh has ended since begin(), the record notes it."""
        if self.connection and self.cleanup and not self.connection.shell.drain():
            self._note_loss()

    def _note_loss(self) -> None:
        """Notes the loss in the record; connect logs in there again. ParaView has lost pvserver in any case."""
        self.end()
        record = self.session.read()
        remote_client_host = record.remote_client_host
        if remote_client_host:
            # If a session has a stub, its route ends at this host and stays open.
            opened_by = record.route_opened_by if record.has_stub else None
            self.session.update(remote_client_host=dict(remote_client_host, daemon=None), route_opened_by=opened_by,
                                reason="the connection to {0} was lost".format(remote_client_host["name"]))

    def end_client(self, record: SessionRecord, connected_too: bool) -> None:
        """Ends a client that was started there, as teardown.end_client() does here."""
        if record.remote_client and self.connection and (connected_too or not record.was_connected):
            try:
                self.connection.shell.run(remote.end_script(record.remote_client), 10)
            except (ShellLost, SessionError):
                pass

    def end(self) -> None:
        """Runs the cleanup script and ends the connection."""
        if self.connection is None:
            return
        try:
            if self.cleanup:
                self.connection.shell.run(self.cleanup, 5)
        except (ShellLost, SessionError):
            pass
        self.remove_sockets()
        self.connection.end(3)
        self.connection, self.cleanup = None, ""
