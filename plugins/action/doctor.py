# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks every hop between this machine and a node; documented in plugins/modules/doctor.py."""

import copy
import shutil
import socket
import tempfile
import time

from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_directory, job_faults, job_scripts, place, site_policy
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.batch_system import scheduler_of
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.facts import facts_of
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow
from ansible_collections.sciviz.paraview.plugins.module_utils.common import collection, files, processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import tail
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings, settings_table
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import drawing, probes
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import report as checks
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import pvserver as paraview
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import rendering, version_probe
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import adaptation, amounts, directives, mpi
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session import route
from ansible_collections.sciviz.paraview.plugins.module_utils.session.site_yaml import load
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel
from ansible_collections.sciviz.paraview.plugins.plugin_utils.login import log_in, password_of, target_of
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction

# Even a small job may have to wait in the queue.
_START_SECONDS = 60
# A job that is reported to run, and has written nothing for so many seconds, may not be able to write to the session's directory.
_SILENT_SECONDS = 30
# The job's time for the frame that it draws, and for pvserver.
_IDLE_SECONDS = 120 + drawing.SECONDS
_NODE = "node"


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = copy.deepcopy({**settings.SPEC, **settings_table.DOCTOR})

    def act(self, arguments):
        options = settings.check({name: arguments[name] for name in settings.SPEC})
        self.check_names(self.task_vars)
        self.found = []
        self.names = {self.name: "HOST"}
        # A separate session, so that one that is open stays unaffected.
        self.base = tempfile.mkdtemp(prefix="paraview-doctor-")
        self.session = sessions.Session(self.base, self.name)
        try:
            self._check(options, arguments["job"])
        finally:
            self._clear_up()
        return self._report(arguments)

    def _add(self, *more):
        self.found += more

    def _check(self, options, job):
        if options["preset"]:
            self.show("preset {0}".format(options["preset"]))
        target = target_of(self._connection, self.name)
        self.names.update({target.host: "LOGIN", target.user or "": "USER"})
        self._add(*probes.client(target.executable))
        self.clients, check = probes.paraview(options)
        self._add(check)
        self._add(*probes.network(target))
        if options["client_host"]:
            self._add(checks.unsure("client", "client host", "ParaView runs on {0}, but the checks run on this machine".format(options["client_host"])))
        # The test job is doctor's own, even if a session would use a job that exists.
        self.session.begin(owner=self.owner, settings=dict(options, connect_id=None, job_id=""), check=True, controller_host=socket.gethostname(),
                           job_id=None, daemon=None)
        try:
            log_in(self.session, target, self.owner, password_of(self._connection))
            self._add(probes.authentication())
            self._check_login_node(options, job)
        except SessionError as error:
            if any(one.name == "authentication" for one in self.found):
                self._add(checks.failed("login node", "answer", error.why or error.what, "you", error.way_out, error.what))
            else:
                self._add(probes.authentication(error))

    def _check_login_node(self, options, job):
        channel = Channel(self.session.read().socket, self.name)
        tables = adaptation.tables(options)
        facts = facts_of(self.name, channel.script, tables, self.show, load)
        self.names.update({facts["login_node"]: "LOGIN", facts["home"]: "HOME"})
        try:
            facts["remote_dir"] = place.place(options["remote_dir"], facts, channel.script)
        except SessionError as error:
            self._add(checks.failed("login node", "remote directory", error.why, "you", error.way_out, error.what))
            # What else can be found out needs no job.
            job = False
        if facts.get("remote_dir"):
            self.names[facts["remote_dir"]] = "DIRECTORY"
        self._add(*probes.site_values(facts, collection.version()))
        # connect would not submit a job either.
        job = job and not facts["site"].get("closed")
        scheduler, why = None, ""
        try:
            scheduler = scheduler_of(options["scheduler"], facts, tables)
        except SessionError as error:
            why = "{0} ({1})".format(error.what, error.why)
        table = adaptation.adapted(tables[scheduler], options, facts["site"]) if scheduler else None
        facts["first"] = facts["first_node"].get(scheduler, "")
        self.names[facts["first"]] = "NODE"
        record = self.session.update(
            facts=facts, scheduler=scheduler or "none", table=table, prelude=facts["prelude"], login_node=facts["login_node"], modules=[])
        login_node = probes.LoginNodeProbes(route.context_of(record, channel, self.session), self.name, table, facts["prelude"])
        self._add(login_node.shell(), login_node.home(), login_node.clock(), *login_node.batch_system(why))
        self._add(*login_node.forwarding(), login_node.relay(), *login_node.nodes(facts["first"]))
        found, modules = login_node.pvserver(self.clients, options)
        self._add(*found)
        if table:
            self._check_queue(login_node, options, facts, table, modules, job)

    def _check_queue(self, login_node, options, facts, table, modules, job):
        try:
            head = directives.requested(options, facts["site"])
            directives.check(table, head)
            walltime = directives.granted(table, options)["walltime"] or 0
            site_policy.within_limits(options, site_policy.given(options), facts["site"], facts["login_node"], walltime)
        except SessionError as error:
            self._add(checks.failed("login node", "queue", error.why, "you", error.way_out, error.what))
            return
        if not job:
            self._add(login_node.acceptance(job_scripts.job_script(table, "/tmp", head, 60)))
            return
        record = self.session.update(modules=modules, remote_directory=job_directory.directory(facts, self.session.read().id))
        try:
            self._run_test_job(login_node, record, table, head, options)
        except SessionError as error:
            self._add(checks.failed(_NODE, "job", error.why or error.what, "you", error.way_out, error.what))

    def _run_test_job(self, login_node, record, table, head, options):
        """Checks that are possible on a node only, by a small job."""
        context = login_node.context
        path = record.remote_directory
        flow = JobFlow.of(record, Channel(record.socket, self.name).script, self.show)
        program = version_probe.looked_for(options["pvserver"], options["mpi_launcher"])[0]
        endpoints = self._endpoints(context)
        setup = options["setup"] + "\n" + probes.job_lines(program, path, endpoints)
        frame = drawing.lines(options["pvserver"], path)
        sized = directives.sized(table, options)
        launcher = mpi.of_the_job(table, sized)
        job_id = flow.submit({
            "batch.log": "", "job.sh": job_scripts.job_script(table, path, head, _IDLE_SECONDS, _IDLE_SECONDS + 60 if table.get("on_login_node") else 0),
            "pvserver.sh": job_scripts.pvserver_script(path, dict(options, setup=setup), launcher, record.modules, look=frame),
            rendering.RANK_FILE: rendering.rank_script(), drawing.PROGRAM: drawing.TEXT}, head)
        record = self.session.update(job_id=job_id, submitted_at=time.time(), state="pending")
        self._add(checks.ok("login node", "queue", "accepted job {0}".format(job_id)))
        seconds = min(options["queue_timeout"], _START_SECONDS)
        for _news in flow.events(time.monotonic() + seconds):
            if flow.progress.host:
                break
        else:
            if flow.watch.silent_for >= _SILENT_SECONDS:
                raise job_faults.silent(job_id, " ".join(flow.watch.state.nodes[:1]) or "its node", path, flow.watch.silent_for, flow.directory.log())
            why = flow.watch.state.reason if flow.watch.state else ""
            self._add(checks.unsure(_NODE, "job", "it did not start within {0} s: {1}".format(seconds, why or "the batch system gives no reason")))
            return
        node = flow.progress.nodes[0] if flow.progress.nodes else flow.progress.host
        self.names[node] = "NODE"
        self._add(checks.ok(_NODE, "job", "runs on {0}".format(node)), login_node.ssh_to_node(node))
        flow.start(lambda: paraview.forward_arguments(context.options["server_ports"] or 0, paraview.new_connect_id()))
        self._wait_for_pvserver(flow, node, record, options)

    def _endpoints(self, context):
        """Endpoints on the login node for the node to connect to: one of sshd's, on its cluster address."""
        try:
            address = context.cluster_address(context.facts.get("first", ""))
            return ["{0}:{1}".format(address, context.remote_forward(address, context.options["login_ports"], "127.0.0.1:9"))]
        except RouteUnavailable:
            return []

    def _wait_for_pvserver(self, flow, node, record, options):
        accepting = None
        for _news in flow.events(time.monotonic() + _START_SECONDS + drawing.SECONDS):
            accepting = paraview.Status.of(flow.progress.output).accepting
            if accepting or flow.progress.ended:
                break
        program, fault = version_probe.looked_for(options["pvserver"], options["mpi_launcher"])[0], flow.progress.fault
        drawn = [] if fault else drawing.read(flow.directory.read(drawing.SEEN), node, amounts.gpus_on_a_node(options), options["pvserver"])
        # The drawn frame shows more than whether there is a display.
        certain = any(one.result != "cannot tell" for one in drawn)
        self._add(*(one for one in probes.read_job(flow.directory.read("doctor"), node, record.login_node, program) if one.name != "display" or not certain))
        self._add(*drawn)
        if accepting:
            self._add(checks.ok(_NODE, "pvserver starts", "it accepts connections on {0}:{1}".format(*accepting)))
            return
        if fault:
            error = job_faults.error(record.job_id, node, fault, options["pvserver"])
            self._add(checks.failed(_NODE, "pvserver starts", error.why, "you", error.way_out, error.what))
            return
        if flow.progress.ended:
            ending, log = flow.watch.wait_for_ending()
            cause, way_out = ending.reason, ending.way_out
        else:
            log = flow.directory.log()
            cause, way_out = "it printed nothing within {0} s".format(_START_SECONDS), ""
        self._add(checks.failed(_NODE, "pvserver starts", cause or "it does not start", "you",
                                (way_out or "look at paraview_pvserver and paraview_setup") + "; the end of its log:\n" + (tail(log, 6) or "(none)")))

    def _clear_up(self):
        """Ends the session, and removes its record."""
        record = self.session.read()
        if sessions.has_daemon(record):
            try:
                answer = Channel(record.socket, self.name).request("stop", wait=90)
                processes.wait_gone(record.daemon, 15)
                if answer.get("objection"):
                    self._add(checks.failed("login node", "clearing up", answer["objection"], "you", "check for job {0} there".format(record.job_id)))
            except SessionError as error:
                self._add(checks.failed("login node", "clearing up", error.why or error.what, "you", error.way_out))
        shutil.rmtree(self.base, ignore_errors=True)

    def _report(self, arguments):
        found = checks.Anonymizer(self.names).checks(self.found) if arguments["blank"] else self.found
        shown = "HOST" if arguments["blank"] else self.name
        for line in checks.table(found):
            self.show(line)
        self.show(checks.summary(found))
        report = dict(sessions.Session(self.base, shown).report(reason=checks.summary(found)), checks=[one._asdict() for one in found])
        sessions.write_report(sessions.state_directory(), arguments["json"], [report])
        if arguments["html"]:
            files.write_output(arguments["html"], checks.page("ParaView and {0}".format(shown), found), "paraview_html")
        result = {"changed": False, "checks": [one._asdict() for one in found]}
        why = checks.failure(found)
        return dict(result, failed=True, msg=why) if why else result

    def undo_own(self, end_detached):
        return ""
