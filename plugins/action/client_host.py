# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the connection to the host on which ParaView runs; documented in plugins/modules/client_host.py."""

import os

from ansible_collections.sciviz.paraview.plugins.module_utils.client import remote
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import one_line
from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline_route
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session import route as routing
from ansible_collections.sciviz.paraview.plugins.plugin_utils.client_login import log_in_on_client
from ansible_collections.sciviz.paraview.plugins.plugin_utils.login import password_of, target_of
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    def act(self, arguments):
        record = self.session.read()
        host = record.settings["client_host"]
        remote_client_host = record.remote_client_host or {}
        if not host or (remote_client_host and not sessions.lacks_client_host(record)):
            return {"changed": False, "control_path": remote_client_host.get("control_path", "")}
        channel = self.channel()
        remote_client_host = log_in_on_client(self.session, channel, target_of(self._connection, host), host, password_of(self._connection))
        name = os.path.basename(self.session.directory)
        channel.request("cleanup", script=remote.forget_script(name))
        code, out, err = channel.client_script(remote.keep_script(name, self.session.connect_id()))
        directory = out.strip()
        if code != 0 or not directory.startswith("/"):
            raise SessionError("cannot store the connect-id on {0}".format(host), one_line(err or out), "make ~/.local/state writable for you there")
        remote_client_host["connect_id_path"] = "{0}/{1}.connect_id".format(directory, name)
        self._restore_forwards(self.session.update(remote_client_host=remote_client_host), channel)
        return {"changed": True, "control_path": remote_client_host["control_path"]}

    def _restore_forwards(self, record, channel):
        """Sets up the forwards of a lost connection again."""
        if record.lifeline and record.stub:
            # In a reverse route, the forward is set up once ParaView listens.
            if not route_names.is_reverse(record.route):
                lifeline_route.forward_from_client(self.session, record, routing.client_of(record, channel))
        elif record.route:
            route = routing.load(record, channel, self.session)
            route.remove()
            self.session.update(route_opened_by=None, **route.kept())
