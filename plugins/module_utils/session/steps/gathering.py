# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that gathers the login node's facts, and chooses ParaView here and pvserver there."""

import typing as t

from ...cluster import facts as site
from ...cluster.batch_system import batch_system
from ...cluster.pairing import Pair, Pairing
from ...cluster.session_record import SessionRecord
from ...paraview import installed
from ...schedulers import validation
from ..site_yaml import load
from .base import Step


class Gathering(Step):
    """The login node's facts, gathered again if another daemon has the connection."""

    def run(self) -> None:
        """Raises SessionError if no batch system or no pvserver fits."""
        record = self.record
        if not record.facts:
            self._gather(record.settings)
        elif record.facts_gathered_by != record.daemon:
            self._gather_again(record)

    def _gather(self, options: t.Dict[str, t.Any]) -> None:
        tables = validation.tables(options["schedulers"])
        facts = site.facts_of(self.session.name, self.channel.script, tables, self.show, load)
        scheduler = batch_system(options, facts, tables)
        pair = self._pair(options, facts)
        self.session.update(facts=facts, facts_gathered_by=self.record.daemon, scheduler=scheduler, modules=pair.modules,
                            client_program=pair.client.program, client_version=pair.client.version, server_version=pair.server.version,
                            table=tables[scheduler] if scheduler in options["schedulers"] else None,
                            prelude=facts["prelude"], login_node=facts["login_node"])

    def _gather_again(self, record: SessionRecord) -> None:
        """Gathers the facts after the connection was lost: the new one may go to another login node of the site."""
        facts = site.facts_of(self.session.name, self.channel.script, validation.tables(record.settings["schedulers"]), self.show, load)
        if facts["login_node"] != record.login_node:
            self.show("continuing through {0}, since {1} does not answer".format(facts["login_node"], record.login_node))
        self.session.update(facts=facts, login_node=facts["login_node"], facts_gathered_by=record.daemon)

    def _pair(self, options: t.Dict[str, t.Any], facts: t.Dict[str, t.Any]) -> Pair:
        """Chooses a ParaView here and the modules there, and shows both versions."""
        far = self.record.remote_client_host
        clients = installed.clients(options, self.channel.client_script, far["name"]) if far else installed.clients(options)
        pair = Pairing(self.channel.script, clients, options, facts["site"], facts["login_node"], "on " + far["name"] if far else "here").pair()
        self.show(pair.line)
        return pair
