# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a route works with."""

import shlex
import typing as t

from ..client.host import Here
from ..cluster import facts as site
from ..cluster import site_file
from ..cluster.login_node import LoginNode
from ..common import listeners as endpoints
from ..common.errors import SessionError
from ..ssh.master import ForwardRefused
from .unavailable import RouteUnavailable

# Of a job of very many nodes the first few are asked for: pvserver's root process runs on the first.
_MOST_NODES = 32
# Where there is no bash, nothing is known.
_REACH = r"""export LC_ALL=C; timeout 3 bash -c '{{ exec 3<>"$0"; }} && echo open' {0} 2>&1 | sed -n 's/^open$/open/p; s/.*refused.*/refused/p'"""


class RouteContext:
    """What a route works with.

    Args:
        master: the control master; None where there is none, as on the login node itself.
        login_node: the login node.
        facts: what facts.read() gives of the login node.
        options: client_port, login_ports, server_ports, on_login_node (bool: pvserver runs on the login node), user_relay (bool: the user allows one),
            client_timeout (seconds that a job waits for its client), guest (bool: the master is the user's own), target (client.Target as a dict).
        forwards: of the record.
        job: nodes (list) and addresses (list: what the root node calls its own), once it runs.
        client: where ParaView runs.
        noted: is given the forwards before one more is asked for, if they would outlive the process that asks.
    Attributes:
        forwards: options and specifications of the forwards that were put up.
    """

    def __init__(self, master: t.Any, login_node: LoginNode, facts: dict, options: dict, forwards: t.Iterable[t.Sequence[str]] = (),
                 job: t.Optional[dict] = None, client: t.Any = None, noted: t.Optional[t.Callable[[t.List[t.List[str]]], t.Any]] = None) -> None:
        self.master, self.login_node, self.facts, self.options = master, login_node, facts, options
        self.client = client or Here()
        self.noted = noted or (lambda _forwards: None)
        self.job = job or {"nodes": [], "addresses": []}
        self.forwards = [list(one) for one in forwards]

    def forward(self, option: str, specification: str) -> t.Optional[int]:
        """The port allocated for a forward that is now up and on record."""
        self.noted(self.forwards + [[option, specification]])
        port = self.master.forward(option, specification)
        self.forwards.append([option, specification])
        return port

    def take_back(self) -> None:
        """Takes back every forward that was put up."""
        for option, specification in self.forwards:
            self.master.cancel(option, specification)
        self.forwards = []

    def reach(self, address: str, port: int) -> str:
        """Whether the login node reaches a port; returns what master.Master.reach() does."""
        answer = self.master.reach(address, port, self.login_node.messages)
        if answer != "filtered" or not self.options.get("guest"):
            return answer
        # A control master of the user's own tells nobody why it could not: the login node is asked itself, and sshd by its own port.
        seen = self.login_node.run(_REACH.format(shlex.quote("/dev/tcp/{0}/{1:d}".format(address, port))), 15)[1].split()
        if not seen:
            return "filtered"
        own = self.facts["client_side"], self.facts["client_side_port"]
        return seen[0] if own[0] and self.master.reach(own[0], own[1], self.login_node.messages) == "open" else "forbidden"

    def node_address(self, node: str) -> t.Tuple[str, str]:
        """A node's address as the login node sees it, and the login node's own address towards it."""
        if self.options["on_login_node"]:
            return "127.0.0.1", "127.0.0.1"
        return site.read_source(self.login_node.run(site.source_probe(node), 15)[1]) if node else ("", "")

    def cluster_address(self, node: str) -> str:
        """The login node's own address that a node dials; raises RouteUnavailable."""
        address = self.node_address(node)[1] or self.facts.get("cluster_address", "")
        if not address and node:
            raise RouteUnavailable("{0} does not tell which of its addresses faces {1}; the site can, as cluster_address in {2}".format(
                self.login_node.name, node, site_file.PATH))
        if not address:
            # Good enough for a trial before the node is known.
            inside = [one for one in self.facts["addresses"] if one != self.facts["client_side"]]
            address = (inside or self.facts["addresses"] or [""])[0]
        if not address:
            raise RouteUnavailable("{0} has no IPv4 address that nodes could dial".format(self.login_node.name))
        return address

    def sources(self, node: str) -> t.List[str]:
        """Every address that the job's nodes are known to call from."""
        if self.options["on_login_node"]:
            return ["127.0.0.1"]
        names = list(dict.fromkeys([node] * bool(node) + self.job["nodes"]))[:_MOST_NODES]
        asked = "for n in {0}; do getent ahostsv4 \"$n\"; done 2>/dev/null | sed 's/ .*//'".format(" ".join(shlex.quote(name) for name in names))
        found = self.login_node.run(asked, 20)[1].split() if names else []
        return [one for one in dict.fromkeys(found + self.job["addresses"]) if site.addresses(one)]

    def remote_forward(self, address: str, ports: str, target: str) -> int:
        """The port of a remote forward that is now up, on one of some ports, or on any if none are given; raises RouteUnavailable."""
        refusals = []
        for wanted in endpoints.shuffled(endpoints.parse_range(ports)) if ports else [0]:
            try:
                return self.forward("-R", "{0}:{1}:{2}".format(address, wanted, target)) or wanted
            except ForwardRefused as refused:
                refusals.append(str(refused))
        raise RouteUnavailable("sshd on {0} refuses a remote forward on {1}{2} ({3})".format(
            self.login_node.name, address, ", ports " + ports if ports else "", refusals[-1]))

    def look_at(self, address: str, port: int) -> None:
        """Looks whether what listens on the login node is ours, and where it was asked for; raises RouteUnavailable."""
        fault = self.login_node.fault(address, port)
        if fault:
            raise RouteUnavailable(fault)


def port_taken(port: int, owner: t.Optional[int], client: t.Any = None, variable: str = "paraview_client_port") -> SessionError:
    """SessionError for a port of the client host that is in use."""
    client = client or Here()
    whose = "somebody" if owner == -1 else "your own account" if owner == client.uid else "another account (uid {0})".format(owner)
    return SessionError("port {0} on this host is taken".replace("this host", client.name or "this host").format(port), "{0} listens there".format(whose),
                        "choose another {0}, or leave it out".format(variable))


def not_from_afar(context: RouteContext) -> None:
    """Raises RouteUnavailable where ParaView runs on another host: a route without a tunnel leads to this machine alone."""
    if context.client.name:
        raise RouteUnavailable("it leads to this machine, and ParaView runs on {0}".format(context.client.name))
