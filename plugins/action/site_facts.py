# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what a login node has, in one round trip; documented in plugins/modules/site_facts.py."""

from ansible_collections.sciviz.paraview.plugins.module_utils import jobscript, scheduler_checks, versions
from ansible_collections.sciviz.paraview.plugins.module_utils.surveys import batch_system
from ansible_collections.sciviz.paraview.plugins.plugin_utils.gathering import facts_of
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    def act(self, arguments):
        record = self.session.read()
        if not record.get("facts"):
            record = self._gather(record["settings"])
        elif record.get("looked_by") != record["watcher"]:
            record = self._look_again(record)
        return {"changed": False, "site": record["facts"], "scheduler": record["scheduler"]}

    def _gather(self, wishes):
        tables = scheduler_checks.tables(wishes["schedulers"])
        facts = facts_of(self.name, self.channel(), tables, self.say)
        scheduler = batch_system(wishes, facts, tables)
        modules = self._versions(wishes, facts)
        return self.session.update(facts=facts, looked_by=self.session.read()["watcher"], scheduler=scheduler, modules=modules,
                                   table=tables[scheduler] if scheduler in wishes["schedulers"] else None,
                                   prelude=facts["prelude"], login_node=facts["login_node"])

    def _look_again(self, record):
        """The connection was lost, and the new one may lead to another login node of the site."""
        facts = facts_of(self.name, self.channel(), scheduler_checks.tables(record["settings"]["schedulers"]), self.say)
        if facts["login_node"] != record["login_node"]:
            self.say("goes on through {0}, since {1} does not answer".format(facts["login_node"], record["login_node"]))
        return self.session.update(facts=facts, login_node=facts["login_node"], looked_by=record["watcher"])

    def _versions(self, wishes, facts):
        """Looks whether both ParaViews go together; returns the modules that the job loads."""
        program = jobscript.pvserver_program(wishes["pvserver"])
        channel = self.channel()
        far = self.session.read().get("client_side")
        client = versions.read(channel.client_script(versions.probe([], "paraview"), 60)[1]) if far else versions.here("paraview")
        modules = versions.modules_for(client, wishes, facts["site"], program)
        server = versions.read(channel.script(versions.probe(modules, program), 60)[1])
        # Lines of the user's own may yet choose another one.
        if not wishes["setup"] and not versions.go_together(client, server):
            raise versions.differ(client, server, facts["login_node"], facts["site"].get("pvserver_versions", []))
        if client and server:
            where = "on " + far["name"] if far else "here"
            self.say("ParaView {0} {1}, {2} there{3}".format(client, where, server, " (module {0})".format(modules[-1]) if modules else ""))
        return modules
