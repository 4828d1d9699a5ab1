# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes over an ssh forward between the client and the login node."""

import typing as t

from ..common import listeners
from ..common.errors import SessionError
from ..paraview import pvserver
from ..ssh.master import ForwardRefused
from .base import Route
from .context import RouteContext, port_taken
from .unavailable import RouteUnavailable

# The port of a node with which a login node's connection to it is tested. Nothing is expected to listen there: "refused" also shows that the node is reached.
TRIED_PORT = 45871


class ForwardTunnel(Route):
    """client → localhost:Z ⇒ ssh -L ⇒ login node → root node:Y."""

    name = "forward_tunnel"
    section = "Forward Connection Over an ssh Tunnel"

    def ready_for(self, node: str) -> None:
        """Checks that the login node forwards to this node; raises RouteUnavailable."""
        address = self.context.reached_at(node)
        if not address:
            return
        ports = self.context.options["server_ports"]
        answer = self.context.reach(address, listeners.parse_range(ports)[0] if ports else TRIED_PORT)
        if answer == "forbidden":
            raise RouteUnavailable("sshd on {0} forbids local forwarding".format(self.context.login_node.name))
        if answer == "no IPv4":
            raise RouteUnavailable(self.context.no_ipv4())
        if answer == "filtered":
            raise RouteUnavailable("{0} cannot reach a port of {1}".format(self.context.login_node.name, node))

    def client_port(self) -> int:
        """The local end of the tunnel, free at this moment."""
        requested, client = self.context.options["client_port"], self.context.client
        owner = client.owner(requested) if requested else None
        if owner is not None:
            raise port_taken(requested, owner, client)
        return requested or client.free_port()

    @property
    def line_address(self) -> str:
        """The address on the root node that accepts connections."""
        return "127.0.0.1" if self.context.options["on_login_node"] else "0.0.0.0"

    def pvserver_arguments(self, connect_id: int) -> t.List[str]:
        return pvserver.forward_arguments(self.context.options["server_ports"] or 0, connect_id)

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """Forwards a local port to pvserver.

        Args:
            accepting: host and port that pvserver reports.
            node: the root node.
        Returns:
            The local port.
        """
        requested, client = self.context.options["client_port"], self.context.client
        for attempt in range(5):
            port = self.client_port()
            try:
                self._forward(client.entrance(port), accepting, node)
                client.forward(port)
                break
            except ForwardRefused as refused:
                if requested or attempt == 4:
                    raise SessionError("cannot open port {0} here for the tunnel".format(port), str(refused),
                                       "choose another paraview_client_port, or leave it out")
        owner = client.owner(port)
        if owner is None:
            raise SessionError("cannot open port {0} here for the tunnel".format(port), "ssh reported success, but nothing listens there over IPv4",
                               "choose another paraview_client_port, or leave it out")
        if owner not in (client.uid, -1):
            raise port_taken(port, owner, client)
        return port

    def _forward(self, entrance: str, accepting: t.Tuple[str, int], node: str) -> None:
        # pvserver reports its host's own name, which the login node may not resolve. The root node's address was tested.
        reached = self.context.reached_by(node)
        same = accepting[0].partition(".")[0] in (node.partition(".")[0], reached.partition(".")[0]) or self.context.options["on_login_node"]
        host = (self.context.node_address(node)[0] if same else "") or (reached if same and reached != node else accepting[0])
        self.context.forward("-L", "{0}:{1}:{2}".format(entrance, host, accepting[1]))


def port_to_listen_on(context: RouteContext) -> int:
    """The port of its host that ParaView has to listen on; SessionError if another account listens on the port that the user chose."""
    requested, client = context.options["client_port"], context.client
    owner = client.owner(requested) if requested else None
    if owner not in (None, -1, client.uid):
        raise port_taken(requested, owner, client)
    return requested or client.free_port()


class ReverseRoute(Route):
    """The part that routes share in which pvserver connects to the client."""

    reverse = True

    def remove(self) -> None:
        """Removes what was set up on the login node."""
        super().remove()
        self.port = None

    def client_port(self) -> int:
        """The port that the client has to listen on."""
        return port_to_listen_on(self.context)

    @property
    def target(self) -> str:
        """The target of a remote forward that ends at the client."""
        return self.context.client.target(self.saved["client_port"])

    def before_start(self, node: str) -> None:
        """Checks again that both ends exist and belong to the user."""
        self.ready_for(node)
        if not self.client_may_be_late:
            self.check_client()

    def check_client(self) -> None:
        """Checks that the client listens, and that its port belongs to the user; raises SessionError."""
        owner = self.context.client.owner(self.saved["client_port"])
        if owner is None:
            raise SessionError("the client no longer listens on port {0}".format(self.saved["client_port"]), "it ended, or stopped waiting",
                               "start it again, and connect again")
        if owner not in (-1, self.context.client.uid):
            raise port_taken(self.saved["client_port"], owner, self.context.client)

    def pvserver_arguments(self, connect_id: int) -> t.List[str]:
        return pvserver.reverse_arguments(self.address, self.port, connect_id)

    def after_start(self, _accepting: t.Tuple[str, int], _node: str) -> int:
        """The client's port, to which pvserver has connected."""
        return self.saved["client_port"]


class ReverseTunnel(ReverseRoute):
    """pvserver → login node:Q ⇒ ssh -R ⇒ client:P."""

    name = "reverse_tunnel"
    section = "Reverse Connection Over an ssh Tunnel"

    def ready_for(self, node: str) -> None:
        """Sets up the endpoint and checks it; raises RouteUnavailable."""
        address = self.context.cluster_address(node)
        # A recorded forward may have ended with an earlier connection.
        if not (address == self.address and self.context.login_node.has(address, self.port)):
            self.remove()
            self.address = address
            self.port = self.context.remote_forward(address, self.context.options["login_ports"], self.target)
        try:
            self.context.check_listener(self.address, self.port)
        except RouteUnavailable:
            self.context.cancel_forwards()
            raise
