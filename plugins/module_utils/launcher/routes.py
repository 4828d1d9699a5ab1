# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes whose forward the client's own ssh has opened: the launcher finds, checks and uses it, and never changes it."""

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
# Seconds that a forward may take to open.
_PATIENCE = 2


class UncheckedClientHost:
    """The client is at the other end of an ssh connection, where nothing can be checked."""

    name = ""
    pause = 0.05
    uid = -1

    @staticmethod
    def owner(_port: int) -> int:
        """An unknown owner."""
        return -1


def context_here(shells: Shells, facts: t.Dict[str, t.Any], options: t.Dict[str, t.Any]) -> RouteContext:
    """The RouteContext of a route that runs on the login node itself.

    Args:
        shells: of this host.
        facts: as cluster.facts.facts_of() returns them.
        options: client_port, server_ports, on_login_node, idle.
    """
    given = dict({"login_ports": facts["site"].get("login_ports", ""), "user_relay": True}, **options)
    return RouteContext(None, ThisHost(facts["login_node"], facts["uid"], shells.script, shells.hold), facts, given, client=UncheckedClientHost())


class CallersReverseTunnel(ReverseTunnel):
    """pvserver → login node:Q ⇒ the client's ssh -R ⇒ client:P."""

    def ready_for(self, node: str) -> None:
        """Checks that the forward listens where this node connects; raises RouteUnavailable."""
        facing = self.context.node_address(node)[1]
        if self.saved["everywhere"]:
            self.address = facing or self.context.cluster_address(node)
        elif facing and self.address not in (facing, self.context.facts["cluster_address"]):
            raise RouteUnavailable("your forward is on {0}, and nodes connect to {1}".format(self.address, facing))
        self.context.check_listener(self.address, self.port)

    def check_again(self) -> None:
        """Checks the forward again while pvserver connects to it; raises RouteUnavailable."""
        self.context.check_listener(self.address, self.port)

    def remove(self) -> None:
        """The forward belongs to the client."""


class CallersReverseTunnelRelay(ReverseTunnelRelay):
    """pvserver → login node:Q, relay → its loopback ⇒ the client's ssh -R ⇒ client:P."""

    def check_again(self) -> None:
        """Checks the forward again while pvserver connects to it; raises RouteUnavailable."""
        self.context.check_listener("127.0.0.1", self.saved["client_port"])

    def _target_for_relay(self, _directory: str) -> str:
        return "127.0.0.1:{0:d}".format(self.saved["client_port"])

    @property
    def site_relay(self) -> t.Dict[str, t.Any]:
        """The site's relay if it serves this port; empty if a relay of the user serves it."""
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


CallersReverseRoute = t.Union[CallersReverseTunnel, CallersReverseTunnelRelay]


def given(context: RouteContext, port: int, show: t.Callable[[str], t.Any]) -> CallersReverseRoute:
    """The reverse route for the forward that the client's ssh has opened.

    Args:
        context: of the route.
        port: of the forward.
        show: shows the user a line.
    Raises:
        SessionError: there is no forward, another account has the port, or the site does not allow the forward's address.
    """
    facts = context.facts
    listeners = _listeners(context, port)
    own = [listener for listener in listeners if listener.uid == facts["uid"]]
    if not listeners:
        raise SessionError("nobody listens on port {0} of {1} over IPv4".format(port, facts["login_node"]),
                           "your ssh made no remote forward to it (-R), or sshd refused it",
                           "check the output of your ssh; with -o ExitOnForwardFailure=yes it ends if sshd refuses")
    if not own:
        raise SessionError("port {0} of {1} belongs to another account".format(port, facts["login_node"]),
                           "uid {0} listens there".format(listeners[0].uid), "use another port; no job was submitted")
    addresses = {listener.address for listener in own}
    if context.options["on_login_node"] and "127.0.0.1" in addresses:
        return _permitted(CallersReverseTunnel(context, {"address": "127.0.0.1", "port": port, "client_port": port, "everywhere": False}), facts)
    inside = [address for address in [facts["cluster_address"]] + facts["addresses"] if address in addresses]
    if inside:
        return _permitted(CallersReverseTunnel(context, {"address": inside[0], "port": port, "client_port": port, "everywhere": False}), facts)
    if "0.0.0.0" in addresses:
        _check_every_address(port, facts, show)
        return _permitted(CallersReverseTunnel(context, {"port": port, "client_port": port, "everywhere": True}), facts)
    route = CallersReverseTunnelRelay(context, {"client_port": port, "relay": {"kind": "python", "program": sys.executable}})
    if route.site_relay:
        route.address, route.port = route.site_relay["address"], port
    return _permitted(route, facts)


def _listeners(context: RouteContext, port: int) -> t.List[endpoints.Listener]:
    """The listeners on a port, after a short wait if there is none."""
    until = time.monotonic() + _PATIENCE
    while True:
        found = [listener for listener in context.login_node.listeners() if listener.port == port]
        if found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def _permitted(route: CallersReverseRoute, facts: t.Dict[str, t.Any]) -> CallersReverseRoute:
    if route.name in facts["site"].get("routes_forbidden", []):
        raise SessionError("route {0} is not available on {1}".format(route.name, facts["login_node"]), "this site does not offer it",
                           "ask the site which one it offers; no job was submitted")
    return route


def _check_every_address(port: int, facts: t.Dict[str, t.Any], show: t.Callable[[str], t.Any]) -> None:
    """Refuses a forward on every address, unless sshd may have GatewayPorts yes."""
    policy = facts["site"].get("gateway_ports", "")
    if policy and policy != "yes":
        raise SessionError("your forward listens on every address of {0}, port {1}".format(facts["login_node"], port),
                           "your ssh requested that (-R *:{0}: or -R 0.0.0.0:{0}:)".format(port),
                           "request {0} instead; no job was submitted".format(facts["cluster_address"] or "127.0.0.1"))
    show("your forward listens on every address of {0}, so others can connect to it; {1}".format(
        facts["login_node"], "the site's sshd has GatewayPorts yes" if policy else "its sshd may have GatewayPorts yes, or your ssh requested it"))


class CallersForwardTunnel(ForwardTunnel):
    """client → the client's ssh -L ⇒ login node:P, a relay that holds it until pvserver accepts connections → root node:Y."""

    def __init__(self, context: RouteContext, relay: HoldingRelay) -> None:
        super().__init__(context)
        self.relay = relay

    def ready_for(self, node: str) -> None:
        """Checks that this host reaches the node; raises RouteUnavailable."""
        address = self.context.reached_at(node)
        ports = self.context.options["server_ports"]
        if node and not reached(address, endpoints.parse_range(ports)[0] if ports else TRIED_PORT):
            raise RouteUnavailable("{0} cannot reach a port of {1}".format(self.context.login_node.name, node))

    def before_start(self, _node: str) -> None:
        self.relay.check(self.context)

    def check_again(self) -> None:
        """Checks again that the relay would hold the client; raises RouteUnavailable."""
        self.relay.check(self.context)

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """Forwards held and new connections to pvserver."""
        same = accepting[0].partition(".")[0] == node.partition(".")[0] or self.context.options["on_login_node"]
        host = (self.context.node_address(node)[0] if same else "") or self.context.node_address(accepting[0])[0]
        if not host:
            raise RouteUnavailable("{0} cannot resolve {1}, where pvserver waits".format(self.context.login_node.name, accepting[0]))
        self.relay.check(self.context)
        self.relay.connect_to(host, accepting[1])
        return self.relay.port


def reached(address: str, port: int) -> bool:
    """Whether a host answers on a port. It may also refuse the connection, since nobody has to listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_REACH_SECONDS)
        try:
            probe.connect((address, port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True
