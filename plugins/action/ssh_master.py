# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the session's one authenticated connection; documented in plugins/modules/ssh_master.py."""

import shlex

from ansible_collections.sciviz.paraview.plugins.module_utils import sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.openssh import Target
from ansible_collections.sciviz.paraview.plugins.plugin_utils.login import log_in
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction

_DEFAULT_SSH_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s"


class ActionModule(SessionAction):
    def act(self, arguments):
        record = self.session.read()
        changed = not sessions.watched(record)
        if changed:
            record = log_in(self.session, self._target(), self.owner)
        return {"changed": changed, "control_path": record["control_path"]}

    def _target(self):
        connection = self._connection
        if getattr(connection, "transport", "") != "ssh":
            raise SessionError("cannot log in to {0} by connection {1}".format(self.name, getattr(connection, "transport", "unknown")),
                               "a tunnel is made of ssh", "leave ansible_connection out for this host, or set it to ssh")
        option = connection.get_option
        arguments = []
        for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
            value = option(name) or ""
            # Ansible's own default is about its own masters, and compresses.
            arguments += shlex.split(value) if value != _DEFAULT_SSH_ARGS else []
        if option("host_key_checking") is False:
            arguments += ["-o", "StrictHostKeyChecking=no"]
        return Target(executable=option("ssh_executable"), host=str(option("host")), user=_text(option("remote_user")),
                      port=option("port") or None, key=_text(option("private_key_file")), arguments=arguments, timeout=int(option("timeout") or 10))


def _text(value):
    return str(value) if value else None
