# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that chooses a session's route."""

import typing as t

from ...cluster.session_record import SessionRecord
from ...config import route_names
from ...routes import choice, tunnels
from ...routes.base import Route
from ...routes.context import RouteContext
from ...routes.unavailable import RouteUnavailable
from .. import lifeline
from .. import route as routing
from .base import Step


class RouteChoice(Step):
    """The first route that works: chosen before the job is submitted, and confirmed for the job's root node."""

    def run(self) -> None:
        """Chooses the first route that works for a node of the site; SessionError if none does."""
        record = self.record
        if not record.route:
            self._choose(record, self._names(record), record.facts["first_node"].get(record.scheduler, ""))

    def confirm(self) -> None:
        """The job runs: if the route does not work for its root node, chooses another one. SessionError if none works."""
        record = self.record
        if record.go_file_written:
            return
        route = routing.load(record, self.channel, self.session)
        try:
            route.ready_for(record.root_node)
            self.session.update(**route.kept())
            self.explain(route)
            return
        except RouteUnavailable as unavailable:
            self.session.update(**route.kept())
            if record.settings["route"] != "auto":
                raise choice.none_works([(route.name, str(unavailable))], route.name)
            self.show("route {0} does not reach {1} ({2})".format(route.name, record.root_node, unavailable))
        self._choose(self.record, [name for name in self._names(record) if name != route.name], record.root_node)

    @staticmethod
    def _names(record: SessionRecord) -> t.List[str]:
        requested = record.settings["route"]
        return record.settings["route_order"] if requested == "auto" else [requested]

    @staticmethod
    def _line_port(record: SessionRecord, name: str) -> int:
        """The port that a firewall has to leave open for a lifeline; 0 if that is ParaView's port."""
        options = record.settings
        needed = route_names.ALL[name].exposed and options.get("reconnect") and not record.job_id and not lifeline.why_not(Step.granted(record), name)
        return lifeline.line_port(options, name) if needed else 0

    def _paraview_port(self, record: SessionRecord, context: RouteContext) -> int:
        """The port on which ParaView has to listen."""
        context.options["client_port"], context.client = record.settings["client_port"], routing.client_of(record, self.channel)
        return tunnels.port_to_listen_on(context)

    def _choose(self, record: SessionRecord, names: t.List[str], node: str) -> None:
        context = routing.context_of(record, self.channel, self.session)
        ports: t.Dict[str, int] = {}

        def attempt(name: str) -> Route:
            route = choice.ROUTES[name](context)
            ports[name] = route.client_port()
            if route.reverse:
                route.saved["client_port"] = self._line_port(record, name) or ports[name]
            route.ready_for(node)
            return route

        try:
            route, passed = choice.choose(names, record.facts["site"].get("routes_forbidden", []), attempt)
        finally:
            self.session.update(forwards=context.forwards)
        if route is None:
            raise choice.none_works(passed, record.settings["route"])
        if not record.job_id:
            # The job may be pending for hours, while no client listens: the endpoints are closed, and opened again for the job's root node.
            route.remove()
        port: t.Optional[int] = ports[route.name] if route.reverse else None
        if route.reverse and record.has_stub:
            # The port of the route is the stub's, so ParaView needs another one.
            port = self._paraview_port(record, context)
        elif route.reverse:
            # Whether there is a stub becomes clear when the job runs.
            route.saved["client_port"] = port
        self.session.update(client_port=port, url=route.url(port) if route.reverse else None, **route.kept())
        self.show("route {0}{1}".format(route.name, " (passed over {0})".format(choice.describe(passed)) if passed else ""))
        if route.note:
            self.show(route.note)
        if record.job_id:
            self.explain(route)
