# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes over an ssh connection to the root node itself. pvserver's bytes leave the node only over ssh, so they are encrypted on the whole path."""

import typing as t

from ..paraview import pvserver
from .base import Route
from .inner_login import InnerLogin
from .node_login import KeysRefused, NodeLogin
from .tunnels import ForwardTunnel, ReverseRoute
from .unavailable import RouteUnavailable


class _OnNode(Route):
    """The part that both directions share: the connection to the node."""

    def _login(self, node: str) -> t.Union[NodeLogin, InnerLogin]:
        """The connection to a node; raises RouteUnavailable if pvserver runs on the login node."""
        if self.context.options["on_login_node"]:
            raise RouteUnavailable("pvserver runs on the login node itself")
        return InnerLogin(self.context, node, self.saved["inner"]) if "inner" in self.saved else NodeLogin(self.context, node)

    @property
    def explanation(self) -> str:
        """Which ssh carries the bytes to the node, if it is the login node's own."""
        if "inner" not in self.saved:
            return ""
        return "{0} does not accept your own keys ({1}); {2}'s own ssh to {0} carries the connection".format(
            self.saved["node"], self.saved["inner"]["why"], self.context.login_node.name)

    def _address(self, node: str) -> str:
        return self.context.reached_at(node)

    def remove(self) -> None:
        """Removes what was set up."""
        super().remove()
        inner = self.saved.pop("inner", None)
        if self.saved.pop("node", None):
            NodeLogin(self.context, "").close()
        if inner:
            InnerLogin(self.context, "", inner).close()

    def _reach(self, node: str) -> t.Union[NodeLogin, InnerLogin, None]:
        """The connection to the job's node, opened if necessary; None before there is a job. Raises RouteUnavailable."""
        login: t.Union[NodeLogin, InnerLogin] = self._login(node)
        if not self.context.job["nodes"]:
            # A node accepts logins only from users who have a job there. So the login itself is tried once the job runs.
            if node:
                NodeLogin(self.context, node).can_be_tried(self._address(node))
            return None
        self.saved["node"] = node
        try:
            login.open(self._address(node))
        except KeysRefused as refused:
            login = self._inner(node, refused)
        except RouteUnavailable:
            self.remove()
            raise
        return login

    def _inner(self, node: str, refused: KeysRefused) -> InnerLogin:
        """The login node's own connection to a node that does not accept the user's own keys; raises RouteUnavailable."""
        message = str(refused).partition("(")[2].rpartition(")")[0]
        self.saved["inner"] = {"why": message}
        login = InnerLogin(self.context, node, self.saved["inner"])
        try:
            login.open()
        except RouteUnavailable as unavailable:
            self.remove()
            raise RouteUnavailable("{0}, and {1}".format(refused, unavailable))
        return login


class NodeTunnel(_OnNode, ForwardTunnel):
    """client → localhost:Z ⇒ ssh through the login node to the root node ⇒ its loopback:Y."""

    name = "node_tunnel"
    section = "Forward Connection Over an ssh Tunnel: create a tunnel directly to the compute node"
    needs_job = True

    @property
    def line_address(self) -> str:
        """Connections arrive over the root node's loopback."""
        return "127.0.0.1"

    def ready_for(self, node: str) -> None:
        """Checks that ssh can forward to this node; raises RouteUnavailable."""
        login = self._reach(node)
        if login is None:
            return
        try:
            login.check_target_is_loopback()
        except RouteUnavailable:
            self.remove()
            raise

    def pvserver_arguments(self, connect_id: int) -> t.List[str]:
        """If pvserver's version has the option, pvserver listens only on the loopback."""
        return super().pvserver_arguments(connect_id) + [pvserver.where_known("--bind-address=127.0.0.1")]

    def _forward(self, entrance: str, accepting: t.Tuple[str, int], node: str) -> None:
        login = self._login(node)
        login.open(self._address(node))
        login.forward_to(entrance, accepting[1])


class NodeTunnelReverse(_OnNode, ReverseRoute):
    """pvserver → loopback:Q of its node ⇒ ssh -R through the login node ⇒ client:P."""

    name = "node_tunnel_reverse"
    section = "Reverse Connection Over an ssh Tunnel: create a tunnel directly to the compute node"
    needs_job = True
    place = "its own loopback"

    def ready_for(self, node: str) -> None:
        """Sets up the endpoint on the node and checks it; raises RouteUnavailable."""
        login = self._reach(node)
        if login is None:
            return
        try:
            if not self.port or not self._is_up(login):
                self.address, self.port = "127.0.0.1", login.listen(self.target)
        except RouteUnavailable:
            self.remove()
            raise

    def _is_up(self, login: t.Union[NodeLogin, InnerLogin]) -> bool:
        try:
            login.check_listener(self.port)
        except RouteUnavailable:
            return False
        return True
