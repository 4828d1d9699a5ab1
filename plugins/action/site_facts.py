# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the facts of a login node in one round trip; documented in plugins/modules/site_facts.py."""

from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps.gathering import Gathering
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    def act(self, arguments):
        Gathering(self.session, self.channel(), self.show).run()
        record = self.session.read()
        return {"changed": False, "site": record.facts, "scheduler": record.scheduler}
