# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the session's one authenticated connection; documented in plugins/modules/ssh_master.py."""

from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.plugin_utils.login import log_in, password_of, target_of
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    def act(self, arguments):
        record = self.session.read()
        changed = not sessions.has_daemon(record) or sessions.is_lost(record)
        if changed:
            log_in(self.session, target_of(self._connection, self.name), self.owner, password_of(self._connection))
        return {"changed": changed, "control_path": self.session.read().control_path}
