# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's route, rebuilt from its record."""

import typing as t

from ..client.host import LocalClientHost, RemoteClientHost, StubEndpoint
from ..cluster.login_node import LoginNode
from ..cluster.session_record import SessionRecord
from ..routes import choice
from ..routes.base import Route
from ..routes.context import RouteContext
from ..schedulers import answers
from ..ssh.channel import Channel
from ..ssh.master import Master
from .record import Session


def context_of(record: SessionRecord, channel: Channel, session: t.Optional[Session] = None) -> RouteContext:
    """The context of this session's route.

    Args:
        record: the session's.
        channel: to the login node.
        session: if the user's own control master is used, each forward is written to its record before it is requested; None: no record.
    """
    options = record.settings
    # With a stub the route ends there, at any port.
    return RouteContext(
        Master(record.control_path, record.ssh),
        LoginNode(record.facts["login_node"], record.facts["uid"], channel.script, channel.hold, lambda: channel.request("messages")["messages"]),
        record.facts,
        {"client_port": 0 if record.has_stub else options["client_port"],
         "login_ports": options["login_ports"] or record.facts["site"].get("login_ports", ""),
         "server_ports": options["server_ports"] or record.facts["site"].get("server_ports", ""),
         "on_login_node": bool(answers.of(record).get("on_login_node")),
         "user_relay": options["user_relay"] or options["route"] != "auto", "client_timeout": options["client_timeout"], "target": record.target,
         "users_own_master": bool(record.users_own_master), "node_name": options.get("node_name")},
        record.forwards, {"nodes": record.nodes, "addresses": record.addresses},
        StubEndpoint(record.control_path) if record.has_stub else client_of(record, channel),
        (lambda forwards: session.update(forwards=forwards)) if session and record.users_own_master else None)


def client_of(record: SessionRecord, channel: Channel) -> t.Union[LocalClientHost, RemoteClientHost]:
    """Where ParaView runs."""
    host = record.remote_client_host
    if not host:
        return LocalClientHost()
    return RemoteClientHost(host["name"], host["uid"], Master(host["control_path"], record.ssh), channel.client_script, record.control_path)


def load(record: SessionRecord, channel: Channel, session: t.Optional[Session] = None) -> Route:
    """The route (of choice.ROUTES) that the session's record names; arguments as of context_of()."""
    return choice.ROUTES[record.route](context_of(record, channel, session), record.route_state)


def connected_line(record: SessionRecord, route: Route) -> str:
    """The line for the user once pvserver is connected to its client."""
    return "pvserver on {0} is connected through {1}, {2}:{3}, to port {4} of {5}".format(
        record.root_node, route.place or record.login_node, route.address, route.port, record.client_port,
        record.remote_client_host["name"] if record.remote_client_host else "this machine")
