# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that opens the client's end of the route, once pvserver runs."""

import typing as t

from ...cluster.session_record import SessionRecord
from ...common import processes
from ...config import route_names
from ...paraview import pvserver
from ...routes import choice
from ...routes.unavailable import RouteUnavailable
from .. import lifeline, lifeline_route
from .. import route as routing
from .base import Step


class RouteOpening(Step):
    """The client's end of the route. After a loss it is opened again by the new connection."""

    def run(self) -> None:
        """Raises SessionError if the route cannot be opened."""
        record = self.record
        if record.lifeline:
            self._open_for_line(record)
        elif record.proxy:
            self._open_for_proxy(record)
        elif record.route_opened_by != record.daemon:
            self._open(record)

    def close_of_earlier_pvserver(self) -> None:
        """If another pvserver was started in the job, closes what was opened for the one before it. A connection to the node stays open."""
        record = self.record
        if not record.restarts or record.go_file_written:
            return
        route = routing.load(record, self.channel, self.session)
        try:
            if route.reverse:
                route.remove()
            else:
                route.context.cancel_forwards()
        finally:
            self.session.update(**route.kept())

    def _open(self, record: SessionRecord) -> None:
        route = routing.load(record, self.channel, self.session)
        try:
            port = route.after_start(t.cast(t.Tuple[str, int], record.accepting), record.root_node)
        except RouteUnavailable as unavailable:
            raise choice.none_works([(route.name, str(unavailable))], route.name)
        finally:
            self.session.update(forwards=route.context.forwards)
        self.session.update(client_port=port, url=route.url(port), route_opened_by=record.daemon, **route.kept())

    def _open_for_proxy(self, record: SessionRecord) -> None:
        if record.route_opened_by == record.daemon:
            return
        route = routing.load(record, self.channel, self.session)
        if not processes.alive(record.stub):
            # It ended with an earlier connection.
            record = lifeline_route.begin(self.session, record, route, routing.client_of(record, self.channel))
        try:
            lifeline_route.connect_stub(route, record, lifeline.Stub(self.session))
        except RouteUnavailable as unavailable:
            raise choice.none_works([(route.name, str(unavailable))], route.name)
        finally:
            self.session.update(forwards=route.context.forwards)
        self.session.update(url=pvserver.url(route.reverse, self.record.client_port), route_opened_by=record.daemon, **route.kept())

    def _open_for_line(self, record: SessionRecord) -> None:
        stub = lifeline.Stub(self.session)
        try:
            if record.route_opened_by is None:
                route = routing.load(record, self.channel, self.session)
                try:
                    lifeline_route.connect_stub(route, record, stub)
                finally:
                    self.session.update(**route.kept())
            elif record.route_opened_by != record.daemon:
                lifeline_route.restore(self.session, record, self.channel)
        except RouteUnavailable as unavailable:
            raise choice.none_works([(record.route, str(unavailable))], record.route)
        lifeline_route.await_line(stub, self.record)
        reverse = route_names.is_reverse(record.route)
        self.session.update(route_opened_by=record.daemon, lost_at=None, url=pvserver.url(reverse, self.record.client_port))
