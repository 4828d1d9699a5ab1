# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses a session's route, confirms it and opens it; documented in plugins/modules/route.py."""

from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import pvserver
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice, tunnels
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline, lifeline_route
from ansible_collections.sciviz.paraview.plugins.module_utils.session import route as routing
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    SPEC = {"state": {"type": "str", "default": "chosen", "choices": ["chosen", "confirmed", "opened"]}}

    def act(self, arguments):
        record = self.session.read()
        changed = getattr(self, "_" + arguments["state"])(record, self.channel())
        record = self.session.read()
        return {"changed": changed, "route": record.route, "reverse": route_names.is_reverse(record.route),
                "client_port": record.client_port, "url": record.url}

    def _chosen(self, record, channel):
        """Before the job: chooses the first route that works for a node of the site."""
        if record.route:
            return False
        node = record.facts["first_node"].get(record.scheduler, "")
        self._choose(record, channel, self._names(record), node)
        return True

    def _confirmed(self, record, channel):
        """The job runs: the chosen route has to work for its root node."""
        if record.go_file_written:
            return False
        route = routing.load(record, channel, self.session)
        try:
            route.ready_for(record.root_node)
            self.session.update(**route.kept())
            return False
        except RouteUnavailable as unavailable:
            self.session.update(**route.kept())
            if record.settings["route"] != "auto":
                raise choice.none_works([(route.name, str(unavailable))], route.name)
            self.show("route {0} does not reach {1} ({2})".format(route.name, record.root_node, unavailable))
        names = [name for name in self._names(record) if name != route.name]
        self._choose(self.session.read(), channel, names, record.root_node)
        return True

    def _opened(self, record, channel):
        """pvserver runs: opens the client's end of the route."""
        if record.lifeline:
            return self._opened_for_line(record, channel)
        if record.route_opened_by == record.daemon:
            return False
        route = routing.load(record, channel, self.session)
        try:
            port = route.after_start(record.accepting, record.root_node)
        except RouteUnavailable as unavailable:
            raise choice.none_works([(route.name, str(unavailable))], route.name)
        finally:
            self.session.update(forwards=route.context.forwards)
        self.session.update(client_port=port, url=route.url(port), route_opened_by=record.daemon, **route.kept())
        return not route.reverse

    def _opened_for_line(self, record, channel):
        stub = lifeline.Stub(self.session)
        opened_by = record.route_opened_by
        try:
            if opened_by is None:
                route = routing.load(record, channel, self.session)
                try:
                    lifeline_route.connect_stub(route, record, stub)
                finally:
                    self.session.update(**route.kept())
            elif opened_by != record.daemon:
                lifeline_route.restore(self.session, record, channel)
        except RouteUnavailable as unavailable:
            raise choice.none_works([(record.route, str(unavailable))], record.route)
        lifeline_route.await_line(stub, self.session.read())
        reverse = route_names.is_reverse(record.route)
        self.session.update(route_opened_by=record.daemon, lost_at=None, url=pvserver.url(reverse, self.session.read().client_port))
        return opened_by != record.daemon

    @staticmethod
    def _names(record):
        requested = record.settings["route"]
        return record.settings["route_order"] if requested == "auto" else [requested]

    @staticmethod
    def _line_port(record, name):
        """int: the port that a firewall has to leave open for a lifeline; 0 if that is ParaView's port."""
        options = record.settings
        needed = route_names.ALL[name].exposed and options.get("reconnect") and not record.job_id and not lifeline.why_not(options, name)
        return lifeline.line_port(options, name) if needed else 0

    @staticmethod
    def _paraview_port(record, context, channel):
        """int: the port on which ParaView has to listen."""
        context.options["client_port"], context.client = record.settings["client_port"], routing.client_of(record, channel)
        return tunnels.port_to_listen_on(context)

    def _choose(self, record, channel, names, node):
        context = routing.context_of(record, channel, self.session)
        ports = {}

        def attempt(name):
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
        port = ports[route.name] if route.reverse else None
        if route.reverse and record.lifeline:
            # The port of the route is the stub's, so ParaView needs another one.
            port = self._paraview_port(record, context, channel)
        elif route.reverse:
            # Whether there is a stub becomes clear when the job runs.
            route.saved["client_port"] = port
        self.session.update(client_port=port, url=route.url(port) if route.reverse else None, **route.kept())
        self.show("route {0}{1}".format(route.name, " (passed over {0})".format(choice.describe(passed)) if passed else ""))
        if route.note:
            self.show(route.note)
