# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a route works with, and the reason it gives where it cannot work."""

import shlex

from ..client.host import Here
from ..cluster import facts as site
from ..cluster import site_file
from ..common import listeners as endpoints
from ..common.errors import SessionError
from ..ssh.master import ForwardRefused
from .base import Unfit

# Of a job of very many nodes the first few are asked for: pvserver's root process runs on the first.
_MOST_NODES = 32
# Where there is no bash, nothing is known.
_REACH = r"""export LC_ALL=C; timeout 3 bash -c '{{ exec 3<>"$0"; }} && echo open' {0} 2>&1 | sed -n 's/^open$/open/p; s/.*refused.*/refused/p'"""


class Surroundings:
    """What a route works with.

    Args:
        master (master.Master): the control master.
        script (callable): ``script(text, seconds)`` on the login node.
        messages (callable): what the master said since the last call.
        facts (dict): what facts.read() told of the login node.
        wishes (dict): client_port, login_ports, server_ports, on_login_node (bool: pvserver runs on the login node), user_relay (bool: the
            user allows one), idle (seconds a job waits for its client).
        forwards (list): of the record.
        hold (callable): ``hold(text, seconds)`` in the connection's own shell, so that what it starts ends with the connection.
        client (host.Here or host.There): where ParaView runs.
        noted (callable): is told of the forwards before one more is asked for, where they would outlive whoever asked.
        job (dict): nodes (list) and addresses (list: what the root node calls its own), once it runs.
    Attributes:
        forwards (list[list[str]]): options and specifications of the forwards that were put up.
    """

    def __init__(self, master, script, messages, facts, wishes, forwards=(), hold=None, job=None, client=None, noted=None):
        self.hold = hold
        self.client = client or Here()
        self.noted = noted or (lambda _forwards: None)
        self.job = job or {"nodes": [], "addresses": []}
        self.master = master
        self.script = script
        self.messages = messages
        self.facts = facts
        self.wishes = wishes
        self.forwards = [list(one) for one in forwards]

    def forward(self, option, specification):
        """int or None: the port allocated for a forward that is now up and on record."""
        self.noted(self.forwards + [[option, specification]])
        port = self.master.forward(option, specification)
        self.forwards.append([option, specification])
        return port

    def take_back(self):
        """Takes back every forward that was put up."""
        for option, specification in self.forwards:
            self.master.cancel(option, specification)
        self.forwards = []

    def reach(self, address, port):
        """Whether the login node reaches a port; returns what master.Master.reach() does."""
        answer = self.master.reach(address, port, self.messages)
        if answer != "filtered" or not self.wishes.get("guest"):
            return answer
        # A control master of the user's own tells nobody why it could not: the login node is asked itself, and sshd by its own port.
        seen = self.script(_REACH.format(shlex.quote("/dev/tcp/{0}/{1:d}".format(address, port))), 15)[1].split()
        if not seen:
            return "filtered"
        own = self.facts["client_side"], self.facts["client_side_port"]
        return seen[0] if own[0] and self.master.reach(own[0], own[1], self.messages) == "open" else "forbidden"

    def listeners(self):
        """list[listeners.Listener]: who listens on the login node now."""
        return endpoints.parse(self.script(endpoints.SCRIPT, 15)[1])

    def node_address(self, node):
        """tuple[str, str]: a node's address as the login node sees it, and the login node's own address towards it."""
        if self.wishes["on_login_node"]:
            return "127.0.0.1", "127.0.0.1"
        return site.read_source(self.script(site.source_probe(node), 15)[1]) if node else ("", "")

    def cluster_address(self, node):
        """str: the login node's own address that a node dials; raises Unfit."""
        address = self.node_address(node)[1] or self.facts.get("cluster_address", "")
        if not address and node:
            raise Unfit("{0} does not tell which of its addresses faces {1}; the site can, as cluster_address in {2}".format(
                self.facts["login_node"], node, site_file.PATH))
        if not address:
            # Good enough for a trial before the node is known.
            inside = [one for one in self.facts["addresses"] if one != self.facts["client_side"]]
            address = (inside or self.facts["addresses"] or [""])[0]
        if not address:
            raise Unfit("{0} has no IPv4 address that nodes could dial".format(self.facts["login_node"]))
        return address

    def sources(self, node):
        """list[str]: every address that the job's nodes are known to call from."""
        if self.wishes["on_login_node"]:
            return ["127.0.0.1"]
        names = list(dict.fromkeys([node] * bool(node) + self.job["nodes"]))[:_MOST_NODES]
        asked = "for n in {0}; do getent ahostsv4 \"$n\"; done 2>/dev/null | sed 's/ .*//'".format(" ".join(shlex.quote(name) for name in names))
        found = self.script(asked, 20)[1].split() if names else []
        return [one for one in dict.fromkeys(found + self.job["addresses"]) if site.addresses(one)]

    def remote_forward(self, address, ports, target):
        """int: the port of a remote forward that is now up, on one of some ports, or on any if none are given; raises Unfit."""
        refusals = []
        for wish in endpoints.shuffled(endpoints.parse_range(ports)) if ports else [0]:
            try:
                return self.forward("-R", "{0}:{1}:{2}".format(address, wish, target)) or wish
            except ForwardRefused as refused:
                refusals.append(str(refused))
        raise Unfit("sshd on {0} refuses a remote forward on {1}{2} ({3})".format(
            self.facts["login_node"], address, ", ports " + ports if ports else "", refusals[-1]))

    def look_at(self, address, port):
        """Looks whether what listens on the login node is ours, and where it was asked for; raises Unfit."""
        login = self.facts["login_node"]
        listeners = self.listeners()
        hits = endpoints.covering(listeners, address, port)
        if not hits:
            elsewhere = sorted({one.address for one in listeners if one.port == port})
            raise Unfit("sshd on {0} put the forward on {1} instead of {2} (GatewayPorts no)".format(
                login, " and ".join(elsewhere) or "nothing that listens over IPv4", address))
        if hits[0].uid != self.facts["uid"]:
            raise Unfit("port {0} of {1} belongs to another account (uid {2})".format(port, login, hits[0].uid))


def port_taken(port, owner, client=None, variable="paraview_client_port"):
    """SessionError for a port of the client host that is in use."""
    client = client or Here()
    whose = "somebody" if owner == -1 else "your own account" if owner == client.uid else "another account (uid {0})".format(owner)
    return SessionError("port {0} on this host is taken".replace("this host", client.name or "this host").format(port), "{0} listens there".format(whose),
                        "choose another {0}, or leave it out".format(variable))


def not_from_afar(around):
    """Raises Unfit where ParaView runs on another host: a route without a tunnel leads to this machine alone."""
    if around.client.name:
        raise Unfit("it leads to this machine, and ParaView runs on {0}".format(around.client.name))
