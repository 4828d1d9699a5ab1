# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that logs in to the host on which ParaView runs, if that is another host."""

import os
import typing as t

from ...client import remote
from ...cluster.session_record import SessionRecord
from ...common.errors import SessionError
from ...common.text import one_line
from ...config import route_names
from ...ssh.client import Target
from .. import lifeline_route
from .. import record as sessions
from .. import route as routing
from ..login import Login
from .base import Step


class ClientHostLogin(Step):
    """The connection to the client host."""

    @property
    def needed(self) -> bool:
        """Whether there is a client host, and no connection to it."""
        record = self.record
        return bool(record.settings["client_host"]) and (not record.remote_client_host or sessions.lacks_client_host(record))

    def run(self, login: Login, target: Target, password: str) -> None:
        """Logs in, stores the connect-id there, and sets up the forwards of a lost connection again.

        Args:
            login: of the session.
            target: the host to connect to.
            password: as for Login.to_login_node().
        Raises:
            SessionError: the login failed, or no file can be written there.
        """
        host = self.record.settings["client_host"]
        remote_client_host = login.to_client_host(target, host, password)
        name = os.path.basename(self.session.directory)
        self.channel.request("cleanup", script=remote.forget_script(name))
        code, out, err = self.channel.client_script(remote.keep_script(name, self.session.connect_id()))
        directory = out.strip()
        if code != 0 or not directory.startswith("/"):
            raise SessionError("cannot store the connect-id on {0}".format(host), one_line(err or out),
                               "make ~/.local/state/paraview-connect writable for you alone there")
        remote_client_host["connect_id_path"] = "{0}/{1}.connect_id".format(directory, name)
        self._restore_forwards(self.session.update(remote_client_host=remote_client_host))

    def _restore_forwards(self, record: SessionRecord) -> None:
        if record.has_stub and record.stub:
            # In a reverse route, the forward is set up once ParaView listens.
            if not route_names.is_reverse(record.route):
                lifeline_route.forward_from_client(self.session, record, routing.client_of(record, self.channel))
        elif record.route:
            route = routing.load(record, self.channel, self.session)
            route.remove()
            self.session.update(route_opened_by=None, **t.cast(t.Dict[str, t.Any], route.kept()))
