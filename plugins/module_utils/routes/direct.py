# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes without any tunnel, for networks without a firewall between client and nodes. Nothing of them is encrypted: they are taken by name alone."""

import socket
import typing as t

from ..common import listeners
from ..paraview import pvserver
from .context import not_from_afar
from .tunnels import TRIED_PORT, ForwardTunnel, ReverseRoute
from .unavailable import RouteUnavailable

_SECONDS = 4


class ForwardDirect(ForwardTunnel):
    """client → root node:Y."""

    name = "forward_unencrypted"
    section = "the other direction of Reverse Connection"

    def ready_for(self, node: str) -> None:
        """Looks whether this host reaches the node; raises RouteUnavailable."""
        not_from_afar(self.context)
        address = self._host(node)
        if not address:
            return
        ports = self.context.options["server_ports"]
        said = _refused_or_open(address, listeners.parse_range(ports)[0] if ports else TRIED_PORT)
        if said:
            raise RouteUnavailable("this machine cannot reach a port of {0} ({1})".format(node, said))

    def _host(self, node: str) -> str:
        if self.context.options["on_login_node"]:
            return self.context.facts.get("client_side", "")
        return self.context.node_address(node)[0] or node

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """pvserver's own port, which the client dials."""
        self.saved["host"] = self._host(node)
        return accepting[1]

    def url(self, port: int) -> str:
        """What the client opens."""
        return pvserver.url(False, port, self.saved.get("host") or "127.0.0.1")


class ReverseDirect(ReverseRoute):
    """pvserver → client host:P."""

    name = "reverse_unencrypted"
    section = "Reverse Connection"
    place = "the network"

    def ready_for(self, _node: str) -> None:
        """Nothing is put up; the address is the one from which the login node was called. Raises RouteUnavailable."""
        not_from_afar(self.context)
        host = self.context.facts.get("client_address", "")
        if not host:
            raise RouteUnavailable("{0} does not tell from where it was called".format(self.context.login_node.name))
        self.address, self.port = host, self.saved["client_port"]


def _refused_or_open(address: str, port: int) -> str:
    """Empty where a host answers, else why not. That nobody listens on the port does not matter."""
    try:
        with socket.create_connection((address, port), _SECONDS):
            return ""
    except ConnectionRefusedError:
        return ""
    except OSError as error:
        return str(error) or "no answer"
