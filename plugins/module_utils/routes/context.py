# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a route works with."""

import contextlib
import shlex
import typing as t

from ..client.host import LocalClientHost
from ..cluster import facts as site
from ..cluster import site_file
from ..cluster.login_node import LoginNode
from ..common import listeners as endpoints
from ..common.errors import SessionError
from ..common.text import one_line
from ..schedulers import node_names
from ..ssh.master import ForwardRefused
from .unavailable import RouteUnavailable

# If a job has more nodes, only the first ones are looked up: pvserver's root process runs on the first.
_MOST_NODES = 32
# If the login node has no bash, the output is empty.
_REACH = r"""export LC_ALL=C; timeout 3 bash -c '{{ exec 3<>"$0"; }} && echo open' {0} 2>&1 | sed -n 's/^open$/open/p; s/.*refused.*/refused/p'"""


class RouteContext:
    """What a route works with.

    Args:
        master: the control master; None if there is none, as on the login node itself.
        login_node: the login node.
        facts: the login node's facts, as facts.read() returns them.
        options: client_port, login_ports, server_ports, on_login_node (bool: pvserver runs on the login node), user_relay (bool: the user allows one),
            client_timeout (seconds that a job waits for its client), users_own_master (bool: the master is the user's own), target (client.Target as a dict),
            node_name (the user's rule for the names of nodes, see node_names; may be missing).
        forwards: the forwards in the record.
        job: nodes (list) and addresses (list: the root node's own), once the job runs.
        client: the host where ParaView runs.
        store_forwards: function that stores the forwards before another one is requested. It is needed if forwards outlive the process that requests
            them.
    Attributes:
        forwards: options and specifications of the forwards that were set up.
    """

    def __init__(self, master: t.Any, login_node: LoginNode, facts: dict, options: dict, forwards: t.Iterable[t.Sequence[str]] = (),
                 job: t.Optional[dict] = None, client: t.Any = None,
                 store_forwards: t.Optional[t.Callable[[t.List[t.List[str]]], t.Any]] = None) -> None:
        self.master, self.login_node, self.facts, self.options = master, login_node, facts, options
        self.client = client or LocalClientHost()
        self.store_forwards = store_forwards or (lambda _forwards: None)
        self.job = job or {"nodes": [], "addresses": []}
        self.forwards = [list(forward) for forward in forwards]

    def forward(self, option: str, specification: str) -> t.Optional[int]:
        """Sets up a forward and records it; returns its port if sshd allocated one."""
        self.store_forwards(self.forwards + [[option, specification]])
        port = self.master.forward(option, specification)
        self.forwards.append([option, specification])
        return port

    @contextlib.contextmanager
    def forwarded(self, option: str, specification: str) -> t.Iterator[None]:
        """A forward for a short time; ForwardRefused if sshd forbids it."""
        self.forward(option, specification)
        try:
            yield
        finally:
            self.master.cancel(option, specification)
            self.forwards.remove([option, specification])
            self.store_forwards(self.forwards)

    def cancel_forwards(self) -> None:
        """Cancels every forward that was set up."""
        for option, specification in self.forwards:
            self.master.cancel(option, specification)
        self.forwards = []

    def reach(self, address: str, port: int) -> str:
        """Whether the login node reaches a port; returns the same values as master.Master.reach()."""
        if not self.options.get("users_own_master"):
            return self.master.reach(address, port, self.login_node.messages)
        answer = self.master.reach(address, port)
        if answer != "filtered":
            return answer
        # A control master that this session has not started does not report why a forward failed. So the login node itself tries the port, and a forward
        # to sshd's own port shows whether sshd forbids forwarding.
        output = self.login_node.run(_REACH.format(shlex.quote("/dev/tcp/{0}/{1:d}".format(address, port))), 15)[1].split()
        if not output:
            return "filtered"
        own = self.facts["client_side"], self.facts["client_side_port"]
        if not own[0] or self.master.reach(own[0], own[1]) != "open":
            return "forbidden"
        # sshd forwards over IPv6, and the login node itself reaches the port over IPv4.
        return "no IPv4" if ":" in own[0] and output[0] == "open" else output[0]

    def no_ipv4(self) -> str:
        """Why no forward reaches a node if reach() returns ``no IPv4``."""
        return "sshd on {0} forwards over IPv6 alone (AddressFamily inet6 in its sshd_config), and pvserver's nodes are reached over IPv4".format(
            self.login_node.name)

    def node_address(self, node: str) -> t.Tuple[str, str]:
        """A node's address as the login node resolves it, and the login node's own address on the route to it."""
        if self.options["on_login_node"]:
            return "127.0.0.1", "127.0.0.1"
        return site.read_source(self.login_node.run(site.source_probe(self.reached_by(node)), 15)[1]) if node else ("", "")

    def reached_by(self, node: str) -> str:
        """The name under which a node is reached; raises RouteUnavailable if the user's or the site's rule makes no host name of it."""
        try:
            return node_names.reached(node, node_names.rule(self.options, self.facts.get("site", {})))
        except ValueError as error:
            raise RouteUnavailable(one_line(str(error)))

    def reached_at(self, node: str) -> str:
        """Where a node is reached: its address, or its name if the login node does not resolve that."""
        return self.node_address(node)[0] or self.reached_by(node)

    def cluster_address(self, node: str) -> str:
        """The login node's own address that a node connects to; raises RouteUnavailable."""
        address = self.node_address(node)[1] or self.facts.get("cluster_address", "")
        if not address and node:
            raise RouteUnavailable("{0} does not report which of its addresses {1} can reach; the site can set cluster_address in {2}".format(
                self.login_node.name, node, site_file.PATH))
        if not address:
            # Good enough for a test before the node is known.
            inside = [own for own in self.facts["addresses"] if own != self.facts["client_side"]]
            address = (inside or self.facts["addresses"] or [""])[0]
        if not address:
            raise RouteUnavailable("{0} has no IPv4 address that nodes could connect to".format(self.login_node.name))
        return address

    def sources(self, node: str) -> t.List[str]:
        """Every known source address of connections from the job's nodes."""
        if self.options["on_login_node"]:
            return ["127.0.0.1"]
        names = list(dict.fromkeys([node] * bool(node) + self.job["nodes"]))[:_MOST_NODES]
        # A connection of a node's may come from the address of either name.
        names = list(dict.fromkeys(names + [self.reached_by(name) for name in names]))
        lookup = "for n in {0}; do getent ahostsv4 \"$n\"; done 2>/dev/null | sed 's/ .*//'".format(" ".join(shlex.quote(name) for name in names))
        found = self.login_node.run(lookup, 20)[1].split() if names else []
        return [address for address in dict.fromkeys(found + self.job["addresses"]) if site.addresses(address)]

    def remote_forward(self, address: str, ports: str, target: str) -> int:
        """Sets up a remote forward on one of these ports, or on any port if none are given; returns its port. Raises RouteUnavailable."""
        refusals = []
        for port in endpoints.shuffled(endpoints.parse_range(ports)) if ports else [0]:
            try:
                return self.forward("-R", "{0}:{1}:{2}".format(address, port, target)) or port
            except ForwardRefused as refused:
                refusals.append(str(refused))
        raise RouteUnavailable("sshd on {0} refuses a remote forward on {1}{2} ({3})".format(
            self.login_node.name, address, ", ports " + ports if ports else "", refusals[-1]))

    def check_listener(self, address: str, port: int) -> None:
        """Checks that the listener on the login node belongs to the user and has the requested address; raises RouteUnavailable."""
        fault = self.login_node.fault(address, port)
        if fault:
            raise RouteUnavailable(fault)


def port_taken(port: int, owner: t.Optional[int], client: t.Any = None, variable: str = "paraview_client_port") -> SessionError:
    """SessionError for a port of the client host that is in use."""
    client = client or LocalClientHost()
    whose = "another process" if owner == -1 else "your own account" if owner == client.uid else "another account (uid {0})".format(owner)
    return SessionError("port {0} on this host is taken".replace("this host", client.name or "this host").format(port), "{0} listens there".format(whose),
                        "choose another {0}, or leave it out".format(variable))


def require_local_client(context: RouteContext) -> None:
    """Raises RouteUnavailable if ParaView runs on another host: a route without a tunnel reaches only this machine."""
    if context.client.name:
        raise RouteUnavailable("it reaches only this machine, and ParaView runs on {0}".format(context.client.name))
