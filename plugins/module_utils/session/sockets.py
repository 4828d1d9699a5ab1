# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets of a session's daemon, and the files next to them."""

import os

from ..client import socket_names
from ..common import processes
from . import reconnection
from .record import HELD, Session, holder_of

# Suffixes of the control socket and of sockets next to it: those of node_login.py.
_CONNECTION = ("", ".n", ".l", ".k", ".e")
# The socket for prompts to the user, and those of attempts to log in again.
_OTHERS = (".a", ".c.a", reconnection.SOCKETS[2] + ".a", HELD) + reconnection.SOCKETS


def remove_session(session: Session) -> None:
    """Removes the record of a session that has no daemon any more, and the sockets that a killed daemon has left.

    Args:
        session: the session, of which nothing else is left.
    """
    record = session.read()
    if record.control_path and not processes.alive(record.daemon) and not processes.alive(holder_of(record.control_path)):
        sockets = Sockets(record.socket, record.control_path)
        sockets.remove()
        sockets.remove_at_stub()
    session.remove()


class Sockets:
    """The sockets of one session. All are in one private directory.

    Args:
        requests: the path of the socket for requests.
        control_path: the path of the control socket; the others' begin with it.
    """

    def __init__(self, requests: str, control_path: str) -> None:
        self.requests, self.control_path = requests, control_path

    def remove(self) -> None:
        """Removes all that a daemon leaves, or a killed one has left."""
        # A killed process leaves its sockets, and ssh refuses to become a master if its socket exists. A session has only one daemon.
        for path in [self.requests] + [self.control_path + suffix for suffix in _CONNECTION + _OTHERS]:
            if os.path.lexists(path):
                os.unlink(path)
        self.remove_forwards_to_client()

    def remove_forwards_to_client(self) -> None:
        """Removes the sockets of forwards to the client host."""
        self._remove_kind(socket_names.TO_CLIENT)
        if os.path.lexists(self.control_path + ".c"):
            os.unlink(self.control_path + ".c")

    def remove_at_stub(self) -> None:
        """Removes the sockets of the stub."""
        self._remove_kind(socket_names.STUB)
        self._remove_kind(socket_names.FROM_CLIENT)

    def _remove_kind(self, kind: str) -> None:
        """Removes the sockets of this kind. host.py makes them, with a port in each name."""
        directory, name = os.path.split(self.control_path)
        # The directory may be gone, for example after a logout.
        for file_name in os.listdir(directory) if os.path.isdir(directory) else ():
            if file_name.startswith(name + kind):
                os.unlink(os.path.join(directory, file_name))

    def remove_of_connection(self) -> None:
        """Removes the sockets of a connection that was lost."""
        for path in (self.control_path + suffix for suffix in _CONNECTION):
            if os.path.lexists(path):
                os.unlink(path)
