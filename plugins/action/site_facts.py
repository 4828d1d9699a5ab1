# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the facts of a login node in one round trip; documented in plugins/modules/site_facts.py."""

from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.batch_system import batch_system
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.pairing import Pairing
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import installed
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import validation
from ansible_collections.sciviz.paraview.plugins.plugin_utils.gathering import facts_of
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    def act(self, arguments):
        record = self.session.read()
        if not record.facts:
            record = self._gather(record.settings)
        elif record.facts_gathered_by != record.daemon:
            record = self._gather_again(record)
        return {"changed": False, "site": record.facts, "scheduler": record.scheduler}

    def _gather(self, options):
        tables = validation.tables(options["schedulers"])
        facts = facts_of(self.name, self.channel(), tables, self.show)
        scheduler = batch_system(options, facts, tables)
        pair = self._pair(options, facts)
        return self.session.update(facts=facts, facts_gathered_by=self.session.read().daemon, scheduler=scheduler, modules=pair.modules,
                                   client_program=pair.client.program, client_version=pair.client.version, server_version=pair.server.version,
                                   table=tables[scheduler] if scheduler in options["schedulers"] else None,
                                   prelude=facts["prelude"], login_node=facts["login_node"])

    def _gather_again(self, record):
        """Gathers the facts after the connection was lost: the new one may go to another login node of the site."""
        facts = facts_of(self.name, self.channel(), validation.tables(record.settings["schedulers"]), self.show)
        if facts["login_node"] != record.login_node:
            self.show("continuing through {0}, since {1} does not answer".format(facts["login_node"], record.login_node))
        return self.session.update(facts=facts, login_node=facts["login_node"], facts_gathered_by=record.daemon)

    def _pair(self, options, facts):
        """Chooses a ParaView here and the modules there, and shows both versions."""
        channel, far = self.channel(), self.session.read().remote_client_host
        clients = installed.clients(options, channel.client_script, far["name"]) if far else installed.clients(options)
        pair = Pairing(channel.script, clients, options, facts["site"], facts["login_node"], "on " + far["name"] if far else "here").pair()
        self.show(pair.line)
        return pair
