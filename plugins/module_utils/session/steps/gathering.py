# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that gathers the login node's facts, and chooses ParaView here and pvserver there."""

import json
import os
import time
import typing as t
from concurrent import futures

from ...cluster import facts as site
from ...cluster import place, site_policy
from ...cluster.batch_system import batch_system
from ...cluster.pairing import Pair, Pairing
from ...cluster.session_record import SessionRecord
from ...common import collection
from ...common.text import one_line
from ...paraview import installed
from ...schedulers import adaptation
from ...ssh.login_turns import Lock, Turn
from .. import lifeline
from ..record import readable_records
from ..site_yaml import load
from .base import Step

# Seconds for which what one session has gathered is good enough for another.
_FRESH = 300.0
# Settings that decide what is gathered, such as the modules and the ParaView that are chosen.
_CHOOSING = ("modules", "setup", "pvserver", "mpi_launcher", "gpus_per_node", "gpus_per_task", "gpus", "scheduler", "schedulers", "scheduler_json",
             "slurm_cluster", "nodes_on_demand", "client_host", "client_program", "client_version", "remote_dir", "start_client")
# What is gathered, by the names of the record's fields.
_GATHERED = ("facts", "scheduler", "modules", "client_program", "client_version", "server_version", "table", "prelude", "login_node", "gathered_at",
             "gathering_lines")


class Gathering(Step):
    """The login node's facts, gathered again if another daemon has the connection."""

    #: The search for ParaViews on this machine, which begins before the login.
    search: t.Optional["futures.Future[t.List[installed.Installed]]"] = None

    #: Of several sessions that begin at the same time, the one that has the lock searches.
    search_lock: t.Optional[Lock] = None

    def begin(self) -> None:
        """Begins what needs no connection; end() has to follow."""
        record = self.record
        if record.facts or record.settings["client_host"]:
            return
        lock = Lock(os.path.join(os.path.dirname(record.control_path), "search"))
        if lock.take():
            self.search_lock = lock
            pool = futures.ThreadPoolExecutor(1)
            self.search = pool.submit(installed.clients, record.settings)
            pool.shutdown(wait=False)

    def end(self) -> None:
        """Another session may search."""
        if self.search_lock:
            self.search_lock.release()

    def run(self) -> None:
        """Raises SessionError if no batch system or no pvserver fits."""
        record = self.record
        if record.facts:
            if record.facts_gathered_by != record.daemon:
                self._gather_again(record)
            return
        if record.settings.get("preset"):
            self.show("preset {0}".format(record.settings["preset"]))
        note = one_line(record.settings.get("note", ""))
        if note:
            self.show(note)
        # Sessions that begin at the same time and share a connection gather once.
        turn = Turn(os.path.dirname(record.control_path), json.dumps([_connection(record)] + [record.settings.get(name) for name in _CHOOSING]))
        try:
            turn.wait()
            twin = self._twin(record)
            if twin:
                self._copy(twin)
            else:
                self._gather(record.settings)
        finally:
            turn.over()
        self._comply(self.session.read())

    def _comply(self, record: SessionRecord) -> None:
        """Complies with the site's limits for a session; raises SessionError if the user's settings go beyond them."""
        options, site_values, login = record.settings, record.facts.get("site", {}), record.login_node or ""
        if not site_values.get("limits") and site_values.get("reconnect") is not False:
            return
        site_policy.check_number(self._others(record), site_values, login)
        walltime = 0 if options["job_id"] else self.granted(record)["walltime"] or 0
        changed, lines = site_policy.within_limits(options, site_policy.given(options), site_values, login, walltime)
        if site_values.get("reconnect") is False and options.get("reconnect"):
            changed["reconnect"] = False
            lines.append(lifeline.without("the site permits no logins without you"))
        for line in lines:
            self.show(line)
        if changed:
            self.session.update(settings=dict(options, **changed), changed_by_site={name: options[name] for name in changed})

    def _others(self, record: SessionRecord) -> t.List[str]:
        """The names of the user's other sessions on the same site, as far as this machine knows them. Of those that begin at the same time, the first ones
        count."""
        return [session.name for session, other in readable_records(self.session.base)[0]
                if other.id != record.id and not other.over and (other.created, other.id) < (record.created, record.id) and _same_site(other, record)]

    def _twin(self, record: SessionRecord) -> t.Optional[SessionRecord]:
        """The record of another session over the same connection, with the same settings, that has just gathered the same."""
        for _session, other in readable_records(self.session.base)[0]:
            if (other.id != record.id and other.facts and not other.over and _connection(other) == _connection(record)
                    and time.time() - other.gathered_at < _FRESH
                    and all(other.settings.get(name) == record.settings.get(name) for name in _CHOOSING)):
                return other
        return None

    def _copy(self, twin: SessionRecord) -> None:
        for line in twin.gathering_lines:
            self.show(line)
        self.session.update(facts_gathered_by=self.record.daemon, **{name: getattr(twin, name) for name in _GATHERED})

    def _gather(self, options: t.Dict[str, t.Any]) -> None:
        lines: t.List[str] = []

        def show(line: str) -> None:
            lines.append(line)
            self.show(line)

        tables = adaptation.tables(options)
        facts = site.facts_of(self.session.name, self.channel.script, tables, show, load)
        site_policy.admit(facts["site"], facts["login_node"], collection.version())
        facts["remote_dir"] = place.place(options.get("remote_dir", ""), facts, self.channel.script)
        scheduler = batch_system(options, facts, tables)
        pair = self._pair(options, facts)
        show(pair.line)
        self.session.update(facts=facts, facts_gathered_by=self.record.daemon, scheduler=scheduler, modules=pair.modules,
                            client_program=pair.client.program, client_version=pair.client.version, server_version=pair.server.version,
                            table=adaptation.for_record(scheduler, adaptation.adapted(tables[scheduler], options, facts["site"])),
                            prelude=facts["prelude"], login_node=facts["login_node"], gathered_at=time.time(), gathering_lines=lines)

    def _gather_again(self, record: SessionRecord) -> None:
        """Gathers the facts after the connection was lost: the new one may go to another login node of the site."""
        facts = site.facts_of(self.session.name, self.channel.script, adaptation.tables(record.settings), self.show, load)
        facts["remote_dir"] = record.facts.get("remote_dir", "")
        if facts["login_node"] != record.login_node:
            self.show("continuing through {0}, since {1} does not answer".format(facts["login_node"], record.login_node))
        self.session.update(facts=facts, login_node=facts["login_node"], facts_gathered_by=record.daemon)

    def _pair(self, options: t.Dict[str, t.Any], facts: t.Dict[str, t.Any]) -> Pair:
        """Chooses a ParaView here and the modules there."""
        far = self.record.remote_client_host
        if far:
            clients = installed.clients(options, self.channel.client_script, far["name"])
        else:
            clients = self.search.result() if self.search else installed.clients(options)
        return Pairing(self.channel.script, clients, options, facts["site"], facts["login_node"], "on " + far["name"] if far else "here").pair()


def _same_site(one: SessionRecord, other: SessionRecord) -> bool:
    """Whether two sessions are of the same account on the same site: by the login that they ask for, or by what the site publishes."""
    login = [(record.target.get("host"), record.target.get("user")) for record in (one, other)]
    site_names = [(record.facts.get("site", {}).get("name"), record.facts.get("uid")) for record in (one, other)]
    return (login[0] == login[1] and bool(login[0][0])) or (site_names[0] == site_names[1] and bool(site_names[0][0]))


def _connection(record: SessionRecord) -> str:
    """The control master whose connection the session uses."""
    return record.users_own_master or record.control_path
