# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes without any tunnel, for networks without a firewall between client and nodes. They are not encrypted, so they are used only if requested by name."""

import socket
import typing as t

from ..common import listeners
from ..paraview import pvserver
from .context import require_local_client
from .tunnels import TRIED_PORT, ForwardTunnel, ReverseRoute
from .unavailable import RouteUnavailable

_SECONDS = 4


class ForwardDirect(ForwardTunnel):
    """client → root node:Y."""

    name = "forward_unencrypted"
    section = "the other direction of Reverse Connection"

    def ready_for(self, node: str) -> None:
        """Checks that this host reaches the node; raises RouteUnavailable."""
        require_local_client(self.context)
        address = self._host(node)
        if not address:
            return
        ports = self.context.options["server_ports"]
        fault = _unreachable(address, listeners.parse_range(ports)[0] if ports else TRIED_PORT)
        if fault:
            raise RouteUnavailable("this machine cannot reach a port of {0} ({1})".format(node, fault))

    def _host(self, node: str) -> str:
        if self.context.options["on_login_node"]:
            return self.context.facts.get("client_side", "")
        return self.context.reached_at(node)

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """pvserver's own port, which the client connects to."""
        self.saved["host"] = self._host(node)
        return accepting[1]

    def url(self, port: int) -> str:
        """The URL that the client opens."""
        return pvserver.url(False, port, self.saved.get("host") or "127.0.0.1")


class ReverseDirect(ReverseRoute):
    """pvserver → client host:P."""

    name = "reverse_unencrypted"
    section = "Reverse Connection"
    place = "the network"

    def ready_for(self, _node: str) -> None:
        """Sets nothing up: pvserver connects to the source address of the ssh connection. Raises RouteUnavailable."""
        require_local_client(self.context)
        host = self.context.facts.get("client_address", "")
        if not host:
            raise RouteUnavailable("{0} does not report the source address of the ssh connection".format(self.context.login_node.name))
        self.address, self.port = host, self.saved["client_port"]


def _unreachable(address: str, port: int) -> str:
    """Why a host cannot be reached; empty if it answers. A refused connection is an answer."""
    try:
        with socket.create_connection((address, port), _SECONDS):
            return ""
    except ConnectionRefusedError:
        return ""
    except OSError as error:
        return str(error) or "no answer"
