# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that starts pvserver on the endpoints of its route, once the job runs."""

import time
import typing as t

from ...cluster.job_flow import JobFlow
from ...cluster.session_record import SessionRecord
from ...config import route_names
from ...routes import choice
from ...routes.base import Route
from ...routes.unavailable import RouteUnavailable
from .. import lifeline, lifeline_route
from .. import route as routing
from .base import Step


class PvserverStart(Step):
    """The start of pvserver in a job that runs."""

    def job_runs(self, flow: JobFlow) -> None:
        """Notes the job's nodes and whether the session reconnects; on a forward route, which needs nothing else, pvserver starts."""
        record = self.record
        nodes = flow.nodes
        walltime = self.granted(record)["walltime"]
        # The time that the user's own job has left was known when pvserver was started in it.
        ends_at = record.ends_at if record.settings["job_id"] else time.time() + walltime if walltime else None
        record = self.session.update(state="starting", nodes=nodes, root_node=nodes[0], addresses=flow.progress.addresses, running_at=time.time(),
                                     ends_at=ends_at, reason="")
        if record.lifeline is None:
            record = self._decide_lifeline(record, flow)
        record = self.decide_proxy()
        if record.has_pvserver_id and not record.has_stub and lifeline.from_dialog(record):
            self.show("pvserver has the connect-id of ParaView's dialog, which is easy to guess, since {0}".format(lifeline.one_port_left(record.settings)))
        self._start_forward(record, routing.load(record, self.channel, self.session), flow)

    def _decide_lifeline(self, record: SessionRecord, flow: JobFlow) -> SessionRecord:
        flow.wait_until_prepared(record.settings["pvserver"])
        why_not = lifeline.why_not_in_job(flow.progress, record.settings["pvserver"] + (record.settings.get("mpi_launcher") or []))
        if why_not:
            self.show(lifeline.without(why_not))
            return self.session.update(lifeline=False)
        return self.session.update(lifeline=True, route_state=self._to_stub(record))

    @staticmethod
    def _to_stub(record: SessionRecord) -> t.Dict[str, t.Any]:
        """The state of a route that ends at the stub. On a reverse route, the stub connects to ParaView."""
        if not route_names.is_reverse(record.route):
            return record.route_state
        return dict(record.route_state, client_port=lifeline.line_port(record.settings, record.route), port=None)

    def decide_proxy(self) -> SessionRecord:
        """The record, after the decision whether a session that does not reconnect has a proxy. Another ParaView may have taken the session over meanwhile."""
        record = self.record
        if record.go_file_written or record.has_stub or not lifeline.needs_proxy(record):
            return record
        return self.session.update(proxy=True, route_state=self._to_stub(record))

    def _start_forward(self, record: SessionRecord, route: Route, flow: JobFlow) -> None:
        """If the route does not reach this node, the next step chooses another route."""
        if route.reverse:
            return
        try:
            if route.needs_job or record.root_node != record.facts["first_node"].get(record.scheduler):
                route.ready_for(record.root_node)
                self.session.update(**route.kept())
                self.explain(route)
            flow.start(lambda: self._endpoints(record, route, flow))
            self.session.update(go_file_written=True)
        except RouteUnavailable:
            pass

    def _endpoints(self, record: SessionRecord, route: Route, flow: JobFlow) -> t.List[str]:
        """Opens the endpoints that pvserver needs, and returns pvserver's arguments; raises RouteUnavailable."""
        connect_id = self.session.pvserver_id()
        if not record.has_stub:
            route.before_start(record.root_node)
            return route.pvserver_arguments(connect_id)
        if record.lifeline:
            record = self.session.update(server=lifeline_route.server_of(record, self.channel))
        record = lifeline_route.begin(self.session, record, route, routing.client_of(record, self.channel))
        lifeline_route.set_up(route, record, flow.directory)
        return lifeline.pvserver_arguments(route, connect_id) if record.lifeline else route.pvserver_arguments(connect_id)

    def run(self) -> None:
        """Starts pvserver, and waits until it accepts connections or its connection is on the way; raises SessionError."""
        record = self.record
        if record.accepting or record.was_connected:
            return
        route = routing.load(record, self.channel, self.session)
        flow = self.flow(record)
        if not record.go_file_written:
            try:
                flow.start(lambda: self._endpoints(record, route, flow))
                self.session.update(go_file_written=True)
            except RouteUnavailable as unavailable:
                raise choice.none_works([(route.name, str(unavailable))], route.name)
            finally:
                self.session.update(**route.kept())
        status = flow.wait_for_pvserver(route, record.settings["pvserver"], lifeline=record.lifeline,
                                        held=record.has_stub)
        flow.show_ranks(self.granted(record))
        self.session.update(accepting=status.accepting, agent=flow.progress.agent, was_connected=status.connected)
        self.show(self._line(record, route, status))

    @staticmethod
    def _line(record: SessionRecord, route: Route, status: t.Any) -> str:
        if not route.reverse:
            return "pvserver accepts connections on {0}:{1}".format(*status.accepting)
        if status.connected:
            return routing.connected_line(record, route)
        if record.has_stub:
            return "pvserver on {0} waits for the client; it is reached through {1}, {2}:{3}".format(
                record.root_node, route.place or record.login_node, route.address, route.port)
        return "pvserver on {0} connects to {1}:{2}, where the relay on {3} holds it for the client".format(
            record.root_node, route.address, route.port, record.login_node)
