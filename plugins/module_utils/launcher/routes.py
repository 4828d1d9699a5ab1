# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes whose forward the client's own ssh has made: what it made is found, looked at and used, never changed."""

import socket
import sys
import time
import typing as t

from ..cluster.login_node import ThisHost
from ..common import listeners as endpoints
from ..common.errors import SessionError
from ..routes.context import RouteContext
from ..routes.relays import ReverseTunnelRelay
from ..routes.tunnels import TRIED_PORT, ForwardTunnel, ReverseTunnel
from ..routes.unavailable import RouteUnavailable
from .holding_relay import HoldingRelay
from .shells import Shells

_REACH_SECONDS = 4
# Seconds that a forward may take to be there.
_PATIENCE = 2


class Elsewhere:
    """The client is at the other end of an ssh connection that cannot be looked through."""

    name = ""
    pause = 0.05
    uid = -1

    @staticmethod
    def owner(_port: int) -> int:
        """Somebody, and nobody can tell who."""
        return -1


def context_here(shells: Shells, facts: t.Dict[str, t.Any], options: t.Dict[str, t.Any]) -> RouteContext:
    """RouteContext: what a route works with that is on the login node itself.

    Args:
        shells: of this host.
        facts: as cluster.facts.facts_of() gives them.
        options: client_port, server_ports, on_login_node, idle.
    """
    given = dict({"login_ports": facts["site"].get("login_ports", ""), "user_relay": True}, **options)
    return RouteContext(None, ThisHost(facts["login_node"], facts["uid"], shells.script, shells.hold), facts, given, client=Elsewhere())


class GivenTunnel(ReverseTunnel):
    """pvserver → login node:Q ⇒ the client's ssh -R ⇒ client:P."""

    def ready_for(self, node: str) -> None:
        """Looks whether the forward stands where this node dials; raises RouteUnavailable."""
        facing = self.context.node_address(node)[1]
        if self.saved["everywhere"]:
            self.address = facing or self.context.cluster_address(node)
        elif facing and self.address not in (facing, self.context.facts["cluster_address"]):
            raise RouteUnavailable("your forward is on {0}, and nodes dial {1}".format(self.address, facing))
        self.context.check_listener(self.address, self.port)

    def check_again(self) -> None:
        """Looks once more, while pvserver is on its way to it; raises RouteUnavailable."""
        self.context.check_listener(self.address, self.port)

    def remove(self) -> None:
        """It is the client's."""


class GivenTunnelRelay(ReverseTunnelRelay):
    """pvserver → login node:Q, relay → its loopback ⇒ the client's ssh -R ⇒ client:P."""

    def check_again(self) -> None:
        """Looks once more, while pvserver is on its way to it; raises RouteUnavailable."""
        self.context.check_listener("127.0.0.1", self.saved["client_port"])

    def _target_for_relay(self, _directory: str) -> str:
        return "127.0.0.1:{0:d}".format(self.saved["client_port"])

    @property
    def over_site(self) -> t.Dict[str, t.Any]:
        """The site's relay where it serves this port; empty where a relay of the user's own does."""
        return self._site()

    def _site(self) -> t.Dict[str, t.Any]:
        relay = super()._site()
        if not relay:
            return {}
        low, high = endpoints.parse_range(relay["ports"])
        return relay if low <= self.saved["client_port"] <= high else {}

    def remove(self) -> None:
        if not self._site():
            super().remove()


def given(context: RouteContext, port: int, show: t.Callable[[str], t.Any]) -> t.Union[GivenTunnel, GivenTunnelRelay]:
    """The reverse route to which a forward belongs that is there already.

    Args:
        context: what the route works with.
        port: of the forward.
        show: takes a line for the user.
    Raises:
        SessionError: there is none, it is somebody else's, or where it is the site does not want it.
    """
    facts = context.facts
    listeners = _listeners(context, port)
    ours = [one for one in listeners if one.uid == facts["uid"]]
    if not listeners:
        raise SessionError("nobody listens on port {0} of {1} over IPv4".format(port, facts["login_node"]),
                           "your ssh made no remote forward to it (-R), or sshd refused it",
                           "look at what your ssh says; -o ExitOnForwardFailure=yes ends it where sshd refuses")
    if not ours:
        raise SessionError("port {0} of {1} belongs to another account".format(port, facts["login_node"]),
                           "uid {0} listens there".format(listeners[0].uid), "take another port; no job was submitted")
    at = {one.address for one in ours}
    if context.options["on_login_node"] and "127.0.0.1" in at:
        return _permitted(GivenTunnel(context, {"address": "127.0.0.1", "port": port, "client_port": port, "everywhere": False}), facts)
    inside = [one for one in ([facts["cluster_address"]] + facts["addresses"]) if one in at]
    if inside:
        return _permitted(GivenTunnel(context, {"address": inside[0], "port": port, "client_port": port, "everywhere": False}), facts)
    if "0.0.0.0" in at:
        _everywhere(port, facts, show)
        return _permitted(GivenTunnel(context, {"port": port, "client_port": port, "everywhere": True}), facts)
    route = GivenTunnelRelay(context, {"client_port": port, "relay": {"kind": "python", "program": sys.executable}})
    if route.over_site:
        route.address, route.port = route.over_site["address"], port
    return _permitted(route, facts)


def _listeners(context: RouteContext, port: int) -> t.List[endpoints.Listener]:
    """Who listens on a port; a forward may take a moment."""
    until = time.monotonic() + _PATIENCE
    while True:
        found = [one for one in context.login_node.listeners() if one.port == port]
        if found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def _permitted(route: t.Union[GivenTunnel, GivenTunnelRelay], facts: t.Dict[str, t.Any]) -> t.Union[GivenTunnel, GivenTunnelRelay]:
    if route.name in facts["site"].get("routes_forbidden", []):
        raise SessionError("route {0} cannot be had on {1}".format(route.name, facts["login_node"]), "this site does not offer it",
                           "ask the site which one it offers; no job was submitted")
    return route


def _everywhere(port: int, facts: t.Dict[str, t.Any], show: t.Callable[[str], t.Any]) -> None:
    """Only an sshd with GatewayPorts yes has an excuse for it."""
    policy = facts["site"].get("gateway_ports", "")
    if policy and policy != "yes":
        raise SessionError("your forward listens on every address of {0}, port {1}".format(facts["login_node"], port),
                           "your ssh asked for that (-R *:{0}: or -R 0.0.0.0:{0}:)".format(port),
                           "ask for {0} instead; no job was submitted".format(facts["cluster_address"] or "127.0.0.1"))
    show("your forward listens on every address of {0}, which lets others dial it; {1}".format(
        facts["login_node"], "the site has it so" if policy else "its sshd may have GatewayPorts yes, or your ssh asked for it"))


class HeldForward(ForwardTunnel):
    """client → the client's ssh -L ⇒ login node:P, a relay that holds it there until pvserver waits → root node:Y."""

    def __init__(self, context: RouteContext, relay: HoldingRelay) -> None:
        super().__init__(context)
        self.relay = relay

    def ready_for(self, node: str) -> None:
        """Looks whether this host reaches the node; raises RouteUnavailable."""
        address = self.context.node_address(node)[0] or node
        ports = self.context.options["server_ports"]
        if node and not reached(address, endpoints.parse_range(ports)[0] if ports else TRIED_PORT):
            raise RouteUnavailable("{0} cannot reach a port of {1}".format(self.context.login_node.name, node))

    def before_start(self, _node: str) -> None:
        self.relay.look(self.context)

    def check_again(self) -> None:
        """Looks once more whether the client would be held; raises RouteUnavailable."""
        self.relay.look(self.context)

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """Leads what is held, and what comes, to where pvserver waits."""
        same = accepting[0].partition(".")[0] == node.partition(".")[0] or self.context.options["on_login_node"]
        host = (self.context.node_address(node)[0] if same else "") or self.context.node_address(accepting[0])[0]
        if not host:
            raise RouteUnavailable("{0} does not know {1}, where pvserver waits".format(self.context.login_node.name, accepting[0]))
        self.relay.look(self.context)
        self.relay.connect_to(host, accepting[1])
        return self.relay.port


def reached(address: str, port: int) -> bool:
    """Whether a host answers on a port, if only that nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_REACH_SECONDS)
        try:
            probe.connect((address, port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True
