# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay that holds a client on the login node until pvserver accepts connections.

ParaView connects as soon as its ssh runs, and gives up after a minute. A job may wait longer than that. So the relay accepts
the connection immediately, and gets its target later. It accepts only connections from the user's own sshd. Its program is paraview-lifeline as a
proxy: pvserver has a connect-id that ParaView does not know.
"""

import os
import re
import sys

from ..cluster.login_node import ThisHost
from ..common import programs
from ..common.errors import SessionError
from ..common.files import write_private
from ..common.text import one_line
from ..paraview import pvserver
from ..routes.context import RouteContext
from ..routes.unavailable import RouteUnavailable
from ..routes.user_relay import UserRelay
from .shells import Shells

# A day in seconds: that long it waits for pvserver.
_DAY = 86400


class HoldingRelay(UserRelay):
    """A relay on loopback that holds each connection until connect_to().

    Args:
        shells: of this host.
        name: of this host.
        port: on which it listens.
        connect_id: ParaView's.
    Attributes:
        pvserver_id: the connect-id that pvserver has instead.
    """

    FILE = "paraview-lifeline"

    def __init__(self, shells: Shells, name: str, port: int, connect_id: int) -> None:
        super().__init__(RouteContext(None, ThisHost(name, os.getuid(), shells.script, shells.hold), {}, {}), {"kind": "python", "program": sys.executable})
        self.port, self.connect_id, self.pvserver_id = port, connect_id, pvserver.new_connect_id()

    def listen(self) -> None:
        """Starts it; raises SessionError if it does not listen."""
        try:
            directory = self.begin()
        except RouteUnavailable as unavailable:
            raise SessionError("your client cannot be held on this login node", str(unavailable), "ask the site")
        write_private(directory + "/connect_ids", "{0:d} {1:d}\n".format(self.connect_id, self.pvserver_id))
        output = self._run([self.saved["program"], "-IS", directory + "/" + self.FILE, "proxy", "--listen", "127.0.0.1:{0:d}".format(self.port),
                            "--to", "@" + self._target, "--connect-ids", directory + "/connect_ids", "--wait", str(_DAY), "--exit-on-eof"])
        if not re.search(r"(?m)^listening ", output):
            why = one_line(re.sub(r"(?m)^ended$|^paraview-lifeline: ", "", output))
            raise SessionError("port {0} of {1} is not available".format(self.port, self.context.login_node.name), why or "the relay on it does not start",
                               "use another port; no job was submitted")

    @staticmethod
    def _program() -> str:
        return programs.text("connect", "paraview-lifeline")

    @property
    def _target(self) -> str:
        """The file that names pvserver's address to it."""
        return self.saved["directory"] + "/target"

    def check(self, context: RouteContext) -> None:
        """Checks that it still listens, and belongs to the user; raises RouteUnavailable."""
        if re.search(r"(?m)^ended", self._output()):
            raise RouteUnavailable("the relay that holds your client ended ({0})".format(one_line(self._output()[-400:], 200)))
        context.check_listener("127.0.0.1", self.port)

    def _output(self) -> str:
        try:
            with open(self.saved["directory"] + "/said", encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return "ended\nits directory is gone"

    def connect_to(self, host: str, port: int) -> None:
        """From now on it forwards to this address.

        Args:
            host: an IPv4 address.
            port: of that host.
        """
        write_private(self._target, "{0}:{1:d}\n".format(host, port))
