# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of the launcher: from the first look at the login node until nothing of it is left."""

import os
import shlex
import time
import typing as t

from ..cluster import batch_system, endings, job_directory, job_scripts, site_file, teardown
from ..cluster.facts import facts_of
from ..cluster.job_flow import JobFlow, submitted
from ..cluster.pairing import Pairing
from ..cluster.session_record import SessionRecord
from ..common import durations
from ..common.errors import SessionError
from ..paraview.installed import Installed
from ..paraview.pvserver import Status
from ..routes.base import Route
from ..routes.unavailable import RouteUnavailable
from ..schedulers import answers, directives, hostlists, validation
from .caller import Line
from .holding_relay import HoldingRelay
from .options import Options
from .routes import HeldForward, context_here, given
from .shells import Shells

# From pvserver's first word of a client to that client's answer.
_CONNECT_SECONDS = 75
# What a client has after it started ssh until it listens.
_HEAD_START = 3
# How long a job that has ended may stay in the queue.
_LEAVING_SECONDS = 30
# Seconds between two reads of the status file, and between two queries of the batch system, while the client is connected.
_WHILE_CONNECTED = 2
_ASK_EVERY = 20
# What the keeper's shell does where this program was killed and could not.
_UNDO = """paraview_undo() {{
command exec 9>&-
{prelude}
{cancel} </dev/null >/dev/null 2>&1
n=0; while [ -e {path}/status ] && ! grep -q '^ended' {path}/status && [ $n -lt 20 ]; do sleep 1; n=$((n + 1)); done
rm -rf -- {path}; rmdir -- {parent}
}} 2>/dev/null
trap paraview_undo EXIT
"""


class Launch:
    """One job for one client.

    Args:
        options: what the client asks for.
        line: to the client.
        shells: of this host.
    Attributes:
        connected: a client was there.
    """

    def __init__(self, options: Options, line: Line, shells: Shells) -> None:
        self.options, self.line, self.shells = options, line, shells
        self.name = os.uname().nodename.partition(".")[0]
        self.connected = False
        self.began = time.time()
        self.record = SessionRecord()
        self.route: t.Optional[Route] = None
        self.holder: t.Optional[HoldingRelay] = None
        self.flow: t.Any = None
        self.ends_at = 0.0

    # -- until pvserver waits or is connected

    def start(self) -> None:
        """Everything until pvserver has found its client, or waits for it; raises SessionError."""
        if self.options.direction == "forward":
            # Before all else: ParaView may be dialling already.
            self.holder = HoldingRelay(self.shells, self.name, self.options.port)
            self.holder.listen()
        facts, table, modules = self._survey()
        self.route = self._route(facts, table)
        self._try(lambda: self._first_look(facts))
        self._submit(facts, table, modules)
        self.line.state = "job {0} waits".format(self.record.job_id)
        nodes = self.flow.wait_until_running(self.options.job["queue_timeout"], self.options.job["nodes"])
        self.ends_at = time.time() + self.options.job["walltime"]
        self.line.state = "job {0} runs".format(self.record.job_id)
        self.route.context.job = {"nodes": nodes, "addresses": self.flow.progress.addresses}
        self._try(lambda: self._go(nodes[0]))
        self._try(lambda: self._meet(self.flow.wait_for_pvserver(self.route, self.options.job["pvserver"], self.route.check_again), nodes[0]))

    def _survey(self) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any], t.List[str]]:
        job = self.options.job
        tables = validation.tables(job["schedulers"])
        facts = facts_of(self.name, self.shells.script, tables, self.line.show, self._site_values)
        self.name = facts["login_node"]
        scheduler = batch_system.batch_system(job, facts, tables)
        self.record.scheduler, self.record.table, self.record.prelude = scheduler, tables[scheduler], facts["prelude"]
        client = Installed("", self.options.version, "" if self.options.version else "it was not sent along")
        pair = Pairing(self.shells.script, [client], job, facts["site"], facts["login_node"]).pair()
        if pair.client.version or pair.server.version:
            self.line.show(pair.line)
        return facts, tables[scheduler], pair.modules

    def _site_values(self, text: str) -> t.Dict[str, t.Any]:
        values, unread = site_file.read(text)
        if unread:
            self.line.show("{0}: {1} passed over, it is not written simply".format(site_file.PATH, ", ".join(unread)))
        return values

    def _route(self, facts: t.Dict[str, t.Any], table: t.Dict[str, t.Any]) -> Route:
        job = self.options.job
        context = context_here(self.shells, facts, {
            "client_port": self.options.port, "server_ports": job["server_ports"] or facts["site"].get("server_ports", ""),
            "on_login_node": bool(table.get("on_login_node")), "client_timeout": job["client_timeout"]})
        if self.holder:
            route: Route = HeldForward(context, self.holder)
            if route.name in facts["site"].get("routes_forbidden", []):
                raise SessionError("route {0} cannot be had on {1}".format(route.name, facts["login_node"]), "this site does not offer it",
                                   "ask the site which one it offers; no job was submitted")
        else:
            route = given(context, self.options.port, self.line.show)
        self.line.show("route " + route.name)
        return route

    def _try(self, step: t.Callable[[], t.Any]) -> None:
        """A step of the route; what it cannot do is an error, since there is no other route."""
        try:
            step()
        except RouteUnavailable as unavailable:
            raise SessionError("route {0} cannot work here".format(self.route.name), str(unavailable), "ask the site how pvserver can reach you, or you it")

    def _first_look(self, facts: t.Dict[str, t.Any]) -> None:
        """Before a job is queued, with a node that may become its own."""
        first = facts["first_node"].get(self.record.scheduler, "")
        if self.route.reverse:
            self.route.ready_for(first)
            return
        self.route.before_start(first)
        try:
            self.route.ready_for(first)
        except RouteUnavailable as unavailable:
            # That node may be down, and the job's own be another.
            self.line.show("{0}; it goes on, since the job's own node may do better".format(unavailable))

    def _submit(self, facts: t.Dict[str, t.Any], table: t.Dict[str, t.Any], modules: t.List[str]) -> None:
        job = self.options.job
        path = job_directory.directory(facts["home"], os.urandom(8).hex())
        self.record.remote_directory = path
        self.flow = JobFlow(self.shells.script, table, facts["prelude"], path, facts["site"].get("poll_floor_s", 0), self.line.show)
        requested = directives.requested(job, facts["site"])
        with self.shells.undisturbed():
            self.record.job_id = self.flow.submit(job_scripts.files(table, path, job, requested, modules), _ASK_EVERY)
            self._insure(table, self.record.job_id, path)
        self.line.show(submitted(self.record.job_id, dict(job, queue=requested["queue"])))

    def _insure(self, table: t.Dict[str, t.Any], job_id: str, path: str) -> None:
        cancel = " ".join(shlex.quote(word) for word in answers.fill(table["cancel"]["argv"], job_id=job_id))
        self.shells.hold(_UNDO.format(prelude=self.record.prelude or ":", cancel=cancel, path=shlex.quote(path),
                                      parent=shlex.quote(os.path.dirname(path))), 15)

    def _go(self, node: str) -> None:
        """At this moment the endpoint is looked at, and then pvserver may start."""
        if not self.route.reverse:
            self.route.ready_for(node)
        elif not self.route.client_may_be_late:
            # The client starts ssh first and listens then, and nobody here can see whether it does yet.
            self.line.wait(max(0.0, self.began + _HEAD_START - time.time()))
        self.flow.start(lambda: self._endpoints(node))

    def _endpoints(self, node: str) -> t.List[str]:
        self.route.before_start(node)
        return self.route.pvserver_arguments(self.options.connect_id)

    def _meet(self, status: Status, node: str) -> None:
        if not self.route.reverse:
            self.route.after_start(status.accepting, node)
            self.line.show("pvserver accepts connections on {0}:{1}".format(*status.accepting))
            self.line.show("{0}: ParaView on your machine comes through port {1} of {2}{3}".format(self._took(), self.options.port, self.name, self._ends()))
            return
        if not status.connected:
            self.route.let_through(node)
            self._wait_for_client(_CONNECT_SECONDS)
        self.connected = True
        self.line.show("pvserver on {0} came through {1}, {2}:{3}, to this machine's port {4}".format(
            hostlists.named(node), self.name, self.route.address, self.route.port, self.options.port))
        self.line.show("{0}: ParaView is connected{1}".format(self._took(), self._ends()))

    def _took(self) -> str:
        return "ready after {0}".format(durations.spoken(time.time() - self.began))

    def _ends(self) -> str:
        return ". Ends with the job at {0}, or when you end ssh".format(time.strftime("%H:%M", time.localtime(self.ends_at)))

    def _wait_for_client(self, seconds: t.Optional[float]) -> None:
        if not self.flow.wait_for_client(seconds):
            raise SessionError("the client did not connect within {0}".format(durations.spoken(_CONNECT_SECONDS)),
                               "pvserver dials {0}:{1}".format(self.route.address, self.route.port),
                               "ParaView has to listen (a reverse connection) on port {0} of your machine".format(self.options.port))
        if not self.flow.progress.connected:
            raise self.flow.died()
        self.connected = True

    # -- until its end

    def attend(self) -> None:
        """Waits until pvserver ends; raises SessionError where no client ever came."""
        if not self.connected:
            self._wait_for_client(None)
            self.line.show("ParaView is connected")
        self._wait_until_over()
        self._show_ending()

    def _show_ending(self) -> None:
        """A job that ended under its client's hands is an error; a client that left is none."""
        ending, _log = self.flow.watch.wait_for_ending()
        if ending.state != "ended":
            raise self.flow.died()
        if ending.reason == endings.CLIENT_LEFT:
            self.line.show("ParaView has left, and job {0} ends".format(self.record.job_id))
        else:
            self.line.show("job {0} is over: {1}".format(self.record.job_id, endings.told(ending)))

    def _wait_until_over(self) -> None:
        """A connected client may work for a day, so the job is checked seldom."""
        while True:
            self.flow.watch.step()
            if self.flow.watch.over:
                return
            self.line.wait(_WHILE_CONNECTED)

    def clear_up(self) -> str:
        """Takes everything back: relay, job, files.

        Returns:
            What is left; empty for nothing.
        """
        self.shells.clear_up()
        try:
            # A relay that cannot be ended is no reason to leave the job.
            left = [one for one in (self._undone(self._end_relay), self._undone(self._end_job)) if one]
            if not left:
                self._undone(lambda: self.shells.hold("trap - EXIT", 15))
        finally:
            self.shells.close()
        return "; ".join(left)

    @staticmethod
    def _undone(step: t.Callable[[], t.Any]) -> str:
        """What a step of clearing up could not."""
        try:
            left = step()
        except SessionError as error:
            left = "; ".join(error.lines())
        return left if isinstance(left, str) else ""

    def _end_relay(self) -> None:
        if self.holder:
            self.holder.stop()
        elif self.route:
            self.route.remove()

    def _end_job(self) -> str:
        # A job that has noted its end leaves the queue by itself.
        if self.record.job_id and self.flow.watch.progress.ended:
            self.record.job_over = self.flow.wait_until_released(_LEAVING_SECONDS)
        return teardown.undo(self.record, self.shells.script, False)
