# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Submits the job, waits for it and starts pvserver; documented in plugins/modules/pvserver_job.py."""

import time

from ansible_collections.sciviz.paraview.plugins.module_utils.client.host import LocalClientHost
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import heartbeat, job_directory, job_scripts, status_file, teardown
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow, submitted
from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import port_taken
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, directives
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline, lifeline_route
from ansible_collections.sciviz.paraview.plugins.module_utils.session import route as routing
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction, no_job


class ActionModule(SessionAction):
    SPEC = {"state": {"type": "str", "default": "submitted", "choices": ["submitted", "running", "started"]}}

    def act(self, arguments):
        record = self.session.read()
        if self._task.check_mode and arguments["state"] != "submitted":
            return {"changed": True, "job_id": record.job_id, "nodes": record.nodes, "root_node": record.root_node}
        if arguments["state"] != "submitted" and not record.job_id:
            raise no_job(self.name)
        result = getattr(self, "_" + arguments["state"])(record, self.channel())
        record = self.session.read()
        return dict(result, job_id=record.job_id, nodes=record.nodes, root_node=record.root_node)

    def _submitted(self, record, channel):
        if record.job_id and self._job_exists(record, channel):
            return {"changed": False}
        options = record.settings
        table = answers.of(record)
        path = job_directory.directory(record.facts["home"], record.id)
        why_not = lifeline.why_not(options, record.route)
        reconnects = options.get("reconnect") and not why_not
        files = job_scripts.files(table, path, options, directives.requested(options, record.facts["site"]), record.modules,
                                  options["reconnect_timeout"] if reconnects else 0)
        diff = {"before": "", "after": files["job.sh"] + "\n" + files["pvserver.sh"], "after_header": path + "/job.sh, pvserver.sh"}
        if self._task.check_mode:
            self.show("would {0} now".format("start pvserver in job " + options["job_id"] if options["job_id"] else "submit the job"))
            return {"changed": True, "diff": diff}
        flow = JobFlow.of(record.with_(remote_directory=path), channel.script, self.show)
        node = flow.root_node_of(options["job_id"]) if options["job_id"] else ""
        if reconnects:
            self._check_line_port(options, record.route)
        if options.get("reconnect") and why_not:
            self._without_lifeline(why_not)
        elif reconnects:
            key = lifeline.new_key()
            lifeline.Stub(self.session).keep_key(key)
            files.update(lifeline.files(key))
        # None: the job reports it when it runs.
        self.session.update(remote_directory=path, lifeline=None if reconnects else False)
        if options["job_id"]:
            flow.attach(options["job_id"], node, files, channel.hold)
        else:
            flow.submit(files)
        job_id = flow.watch.job_id
        self.session.update(job_id=job_id, submitted_at=flow.watch.polling.submitted_at, state="pending")
        self.show("job {0} is yours: pvserver is started in it".format(job_id) if options["job_id"] else submitted(job_id, options))
        return {"changed": True, "diff": diff}

    @staticmethod
    def _check_line_port(options, route):
        """Raises SessionError if the port for the line is in use."""
        port = options.get("reconnect_port")
        owner = LocalClientHost().owner(port) if port and route_names.ALL[route].exposed else None
        if owner is not None:
            raise port_taken(port, owner, variable="paraview_reconnect_port")

    def _without_lifeline(self, why):
        self.show("no reconnection, since {0}: the session ends with its connection".format(why))

    def _job_exists(self, record, channel):
        flow = self._flow(record, channel)
        job = flow.queue.ask(record.job_id)
        # A job of the user's own goes on when pvserver in it has ended.
        ended = record.settings.get("job_id") and status_file.Progress(flow.directory.read("status")).ended
        if not ended and ((not job.gone and job.state not in answers.OVER) or heartbeat.lives(flow.directory)):
            return True
        self.show("job {0} of the earlier session is over; starting a new one".format(record.job_id))
        flow.directory.remove()
        teardown.end_stub(record)
        self.session.update(client=None, stub=None, created=time.time(), detached=False, job_id=None, nodes=[], root_node=None, accepting=None,
                            go_file_written=False, agent=None, route_opened_by=None, lost_at=None, was_connected=False, job_over=False, undone=False)
        return False

    def _flow(self, record, channel):
        return JobFlow.of(record, channel.script, self.show)

    def _running(self, record, channel):
        if record.root_node:
            return {"changed": False}
        flow = self._flow(record, channel)
        nodes = flow.wait_until_running(record.settings["queue_timeout"], record.settings["nodes"])
        record = self.session.update(state="starting", nodes=nodes, root_node=nodes[0], addresses=flow.progress.addresses, running_at=time.time(),
                                     ends_at=time.time() + record.settings["walltime"], reason="")
        if record.lifeline is None:
            record = self._decide_lifeline(record, flow)
        self._start_forward(record, routing.load(record, channel, self.session), channel, flow)
        return {"changed": True}

    def _decide_lifeline(self, record, flow):
        flow.wait_until_prepared(record.settings["pvserver"])
        why_not = lifeline.why_not_in_job(flow.progress)
        if why_not:
            self._without_lifeline(why_not)
            return self.session.update(lifeline=False)
        state = record.route_state
        if route_names.is_reverse(record.route):
            # The route ends at the stub, which connects to ParaView.
            state = dict(state, client_port=lifeline.line_port(record.settings, record.route), port=None)
        return self.session.update(lifeline=True, route_state=state)

    def _start_forward(self, record, route, channel, flow):
        """Starts pvserver on a forward route, which needs nothing before. If the route does not reach this node, the next task chooses another route."""
        if route.reverse:
            return
        try:
            if route.needs_job or record.root_node != record.facts["first_node"].get(record.scheduler):
                route.ready_for(record.root_node)
                self.session.update(**route.kept())
            flow.start(lambda: self._endpoints(record, route, channel, flow))
            self.session.update(go_file_written=True)
        except RouteUnavailable:
            pass

    def _endpoints(self, record, route, channel, flow):
        """list[str]: opens the endpoints that pvserver needs, and returns pvserver's arguments; raises RouteUnavailable."""
        connect_id = self.session.connect_id()
        if record.lifeline:
            record = lifeline_route.begin(self.session, self.session.update(server=lifeline_route.server_of(record, channel)), route,
                                          routing.client_of(record, channel))
            lifeline_route.set_up(route, record, flow.directory)
            return lifeline.pvserver_arguments(route, connect_id)
        route.before_start(record.root_node)
        return route.pvserver_arguments(connect_id)

    def _started(self, record, channel):
        if record.accepting or record.was_connected:
            return {"changed": False}
        route = routing.load(record, channel, self.session)
        flow = self._flow(record, channel)
        if not record.go_file_written:
            try:
                flow.start(lambda: self._endpoints(record, route, channel, flow))
                self.session.update(go_file_written=True)
            except RouteUnavailable as unavailable:
                raise choice.none_works([(route.name, str(unavailable))], route.name)
            finally:
                self.session.update(**route.kept())
        status = flow.wait_for_pvserver(route, record.settings["pvserver"], lifeline=record.lifeline)
        self.session.update(accepting=status.accepting, agent=flow.progress.agent, was_connected=status.connected)
        if status.connected and route.reverse:
            self.show(routing.connected_line(record, route))
        elif route.reverse and record.lifeline:
            self.show("pvserver on {0} waits for the client; it is reached through {1}, {2}:{3}".format(
                record.root_node, route.place or record.login_node, route.address, route.port))
        elif route.reverse:
            self.show("pvserver on {0} connects to {1}:{2}, where the relay on {3} holds it for the client".format(
                record.root_node, route.address, route.port, record.login_node))
        else:
            self.show("pvserver accepts connections on {0}:{1}".format(*status.accepting))
        return {"changed": True}
