# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of the launcher, from the check of the login node until everything is removed."""

import os
import shlex
import time
import typing as t

from ..cluster import batch_system, endings, job_directory, job_scripts, place, site_file, site_policy, status_file, teardown
from ..cluster.facts import facts_of
from ..cluster.job_flow import JobFlow, submitted
from ..cluster.pairing import Pairing
from ..cluster.session_record import SessionRecord
from ..common import collection, durations
from ..common.errors import SessionError
from ..paraview.installed import Installed
from ..paraview.pvserver import Status
from ..routes.base import Route
from ..routes.unavailable import RouteUnavailable
from ..schedulers import adaptation, answers, directives, hostlists
from .caller import Caller
from .holding_relay import HoldingRelay
from .options import Options, with_option_names
from .routes import CallersForwardTunnel, context_here, given
from .shells import Shells

# Seconds from the start of pvserver's connection to the client's answer.
_CONNECT_SECONDS = 75
# Seconds that a client may take to listen after it started ssh.
_HEAD_START = 3
# Seconds for which a job that has ended may stay in the queue.
_LEAVING_SECONDS = 30
# Seconds between two reads of the status file, and between two queries of the batch system, while the client is connected.
_WHILE_CONNECTED = 2
_QUERY_EVERY = 20
# If this program is killed, the shell of Shells.hold() undoes the session.
_UNDO = """paraview_undo() {{
command exec 9>&-
{prelude}
{cancel} </dev/null >/dev/null 2>&1
n=0; while [ -e {path}/status ] && ! grep -q '^ended' {path}/status && [ $n -lt 20 ]; do sleep 1; n=$((n + 1)); done
rm -rf -- {path}; rmdir -- {parent}
}} 2>/dev/null
trap paraview_undo EXIT
"""


class LauncherSession:
    """One job for one client.

    Args:
        options: of this run.
        caller: of this program.
        shells: of this host.
    Attributes:
        connected: a client has connected.
    """

    def __init__(self, options: Options, caller: Caller, shells: Shells) -> None:
        self.options, self.caller, self.shells = options, caller, shells
        self.name = os.uname().nodename.partition(".")[0]
        self.connected = False
        self.began = time.time()
        self.record = SessionRecord()
        self.route: t.Optional[Route] = None
        self.holder: t.Optional[HoldingRelay] = None
        self.flow: t.Optional[JobFlow] = None
        self.ends_at = 0.0

    # -- until pvserver accepts connections or is connected

    def start(self) -> None:
        """Runs the session until pvserver is connected to its client, or accepts connections; raises SessionError."""
        if self.options.direction == "forward":
            # This comes first, since ParaView may be connecting already.
            self.holder = HoldingRelay(self.shells, self.name, self.options.port, self.options.connect_id)
            self.holder.listen()
        facts, table, modules = self._prepare()
        self.route = self._route(facts, table)
        self._try(lambda: self._check_route(facts))
        self._submit(facts, table, modules)
        self.caller.state = "job {0} waits".format(self.record.job_id)
        granted = directives.granted(table, self.options.job)
        self.flow.wait_until_running(self.options.job["queue_timeout"], granted["nodes"])
        nodes = self.flow.nodes
        self.ends_at = time.time() + granted["walltime"] if granted["walltime"] else 0.0
        self.caller.state = "job {0} runs".format(self.record.job_id)
        self.route.context.job = {"nodes": nodes, "addresses": self.flow.progress.addresses}
        self._try(lambda: self._start_pvserver(nodes[0]))
        self._try(lambda: self._finish_route(self.flow.wait_for_pvserver(self.route, self.options.job["pvserver"], self.route.check_again), nodes[0]))
        self.flow.show_ranks(granted)

    def _prepare(self) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any], t.List[str]]:
        job = self.options.job
        tables = adaptation.tables(job)
        facts = facts_of(self.name, self.shells.script, tables, self.caller.show, self._site_values)
        self.name = facts["login_node"]
        site_policy.admit(facts["site"], self.name, collection.version(), "ask the site to install a later paraview-launch")
        facts["remote_dir"] = place.place(job["remote_dir"], facts, self.shells.script)
        scheduler = batch_system.batch_system(job, facts, tables)
        table = adaptation.adapted(tables[scheduler], job, facts["site"])
        self.record.scheduler, self.record.table, self.record.prelude = scheduler, table, facts["prelude"]
        # This program does not reconnect.
        changed, lines = site_policy.within_limits(
            dict(job, reconnect=False), self.options.given, facts["site"], self.name, directives.granted(table, job)["walltime"] or 0)
        for line in lines:
            self.caller.show(with_option_names(line))
        job.update(changed)
        client = Installed("", self.options.version, "" if self.options.version else "the client did not send it")
        pair = Pairing(self.shells.script, [client], job, facts["site"], facts["login_node"]).pair()
        if pair.client.version or pair.server.version:
            self.caller.show(pair.line)
        return facts, table, pair.modules

    def _site_values(self, text: str) -> t.Dict[str, t.Any]:
        values, unread = site_file.read(text)
        if unread:
            self.caller.show("{0}: {1} ignored, since the launcher reads only simple YAML".format(site_file.PATH, ", ".join(unread)))
        return values

    def _route(self, facts: t.Dict[str, t.Any], table: t.Dict[str, t.Any]) -> Route:
        job = self.options.job
        context = context_here(self.shells, facts, {
            "node_name": job["node_name"], "client_port": self.options.port, "server_ports": job["server_ports"] or facts["site"].get("server_ports", ""),
            "on_login_node": bool(table.get("on_login_node")), "client_timeout": job["client_timeout"]})
        if self.holder:
            route: Route = CallersForwardTunnel(context, self.holder)
            if route.name in facts["site"].get("routes_forbidden", []):
                raise SessionError("route {0} is not available on {1}".format(route.name, facts["login_node"]), "this site does not offer it",
                                   "ask the site which one it offers; no job was submitted")
        else:
            route = given(context, self.options.port, self.caller.show)
        self.caller.show("route " + route.name)
        return route

    def _try(self, step: t.Callable[[], t.Any]) -> None:
        """Runs a step of the route. If the route is unavailable, that is an error, since there is no other one."""
        try:
            step()
        except RouteUnavailable as unavailable:
            raise SessionError("route {0} cannot work here".format(self.route.name), str(unavailable),
                               "ask the site which ports are open between your machine and its nodes")

    def _check_route(self, facts: t.Dict[str, t.Any]) -> None:
        """Checks the route before a job is submitted, with a node that the job may get."""
        first = facts["first_node"].get(self.record.scheduler, "")
        if self.route.reverse:
            self.route.ready_for(first)
            return
        self.route.before_start(first)
        try:
            self.route.ready_for(first)
        except RouteUnavailable as unavailable:
            # That node may be down, and the job may get another one.
            self.caller.show("{0}; continuing, since the job may get another node".format(unavailable))

    def _submit(self, facts: t.Dict[str, t.Any], table: t.Dict[str, t.Any], modules: t.List[str]) -> None:
        job = self.options.job
        path = job_directory.directory(facts, os.urandom(8).hex())
        self.record.remote_directory = path
        self.flow = JobFlow(self.shells.script, table, facts["prelude"], path, facts["site"].get("poll_floor_s", 0), self.caller.show,
                            poll_interval=job["poll_interval"])
        requested = directives.requested(job, facts["site"])
        with self.shells.uninterrupted():
            self.record.job_id = self.flow.submit(job_scripts.files(table, path, job, requested, modules), requested, _QUERY_EVERY)
            self._set_undo(table, self.record.job_id, path)
        self.caller.show(submitted(self.record.job_id, directives.granted(table, dict(job, queue=requested["queue"]))))

    def _set_undo(self, table: t.Dict[str, t.Any], job_id: str, path: str) -> None:
        cancel = " ".join(shlex.quote(word) for word in answers.command(table, table["cancel"]["argv"], job_id=job_id))
        self.shells.hold(_UNDO.format(prelude=self.record.prelude or ":", cancel=cancel, path=shlex.quote(path),
                                      parent=shlex.quote(os.path.dirname(path))), 15)

    def _start_pvserver(self, node: str) -> None:
        """Checks the route for this node, and starts pvserver."""
        if not self.route.reverse:
            self.route.ready_for(node)
        elif not self.route.client_may_be_late:
            # The client starts ssh before it listens, and this host cannot check whether it listens yet.
            self.caller.wait(max(0.0, self.began + _HEAD_START - time.time()))
        self.flow.start(lambda: self._endpoints(node))

    def _endpoints(self, node: str) -> t.List[str]:
        self.route.before_start(node)
        return self.route.pvserver_arguments(self.holder.pvserver_id if self.holder else self.options.connect_id)

    def _finish_route(self, status: Status, node: str) -> None:
        if not self.route.reverse:
            self.route.after_start(status.accepting, node)
            self.caller.show("pvserver accepts connections on {0}:{1}".format(*status.accepting))
            self.caller.show("{0}: ParaView on your machine connects through port {1} of {2}{3}".format(
                self._ready_after(), self.options.port, self.name, self._end_note()))
            return
        if not status.connected:
            self.route.let_through(node)
            self._wait_for_client(_CONNECT_SECONDS)
        self.connected = True
        self.caller.show("pvserver on {0} is connected through {1}, {2}:{3}, to port {4} of this machine".format(
            hostlists.named(node), self.name, self.route.address, self.route.port, self.options.port))
        self.caller.show("{0}: ParaView is connected{1}".format(self._ready_after(), self._end_note()))

    def _ready_after(self) -> str:
        return "ready after {0}".format(durations.in_words(time.time() - self.began))

    def _end_note(self) -> str:
        return ". Ends with the job{0}, or when you end ssh".format(time.strftime(" at %H:%M", time.localtime(self.ends_at)) if self.ends_at else "")

    def _wait_for_client(self, seconds: t.Optional[float]) -> None:
        if not self.flow.wait_for_client(seconds):
            raise SessionError("the client did not connect within {0}".format(durations.in_words(_CONNECT_SECONDS)),
                               "pvserver connects to {0}:{1}".format(self.route.address, self.route.port),
                               "ParaView must listen (a reverse connection) on port {0} of your machine".format(self.options.port))
        if not self.flow.progress.connected:
            raise self.flow.died()
        self.connected = True

    # -- until the end

    def wait_until_over(self) -> None:
        """Waits until pvserver ends; raises SessionError if no client has connected."""
        if not self.connected:
            self._wait_for_client(None)
            self.caller.show("ParaView is connected")
        self._wait_for_job_end()
        self._show_ending()

    def _show_ending(self) -> None:
        """Shows why the job ended. If it ended while the client was connected, that is an error."""
        ending, _log = self.flow.watch.wait_for_ending()
        if ending.state != "ended":
            raise self.flow.died()
        if ending.reason == endings.CLIENT_LEFT:
            self.caller.show("ParaView has disconnected, and job {0} ends".format(self.record.job_id))
        else:
            self.caller.show("job {0} is over: {1}".format(self.record.job_id, endings.sentence(ending)))

    def _wait_for_job_end(self) -> None:
        """Waits until the job is over. It is checked rarely, since a client may work for a day."""
        while True:
            self.flow.watch.step()
            if self.flow.watch.over:
                return
            self.caller.wait(_WHILE_CONNECTED)

    def clear_up(self) -> str:
        """Ends the relay and the job, and removes the files.

        Returns:
            What could not be undone; empty if nothing is left.
        """
        self.shells.clear_up()
        try:
            # The job ends even if the relay cannot be ended.
            left = [text for text in (self._failure(self._end_relay), self._failure(self._end_job)) if text]
            if not left:
                self._failure(lambda: self.shells.hold("trap - EXIT", 15))
        finally:
            self.shells.close()
        return "; ".join(left)

    @staticmethod
    def _failure(step: t.Callable[[], t.Any]) -> str:
        """Runs a step of clear_up(); returns what it could not undo."""
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
        if self.record.job_id and status_file.Progress(self.flow.directory.read("status")).ended:
            self.record.job_over = self.flow.wait_until_released(_LEAVING_SECONDS)
        return teardown.undo(self.record, self.shells.script, False)
