# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: ways for the bytes between client and pvserver, and the choice among them.

A route is one class. It tries itself before a job is queued, puts its endpoints up and looks at them before pvserver may
start, knows pvserver's arguments and what the client opens. A new route is one more class in ROUTES.
"""

import os

from . import endpoints, paraview, site, site_file
from .errors import SessionError
from .openssh import ForwardRefused

# Where login nodes are tried for their way to a node: nobody is expected to listen there, and "refused" is an answer.
_TRIED_PORT = 45871


class Unfit(Exception):
    """A route cannot work here; the text is the reason, to follow the route's name and a colon."""


class Surroundings:
    """What a route works with.

    Args:
        master (openssh.Master): the control master.
        script (callable): ``script(text, seconds)`` on the login node.
        messages (callable): what the master said since the last call.
        facts (dict): what site.read() told of the login node.
        wishes (dict): client_port, login_ports, server_ports, on_login_node (bool: pvserver runs on the login node).
    Attributes:
        forwards (list[list[str]]): options and specifications of the forwards that were put up.
    """

    def __init__(self, master, script, messages, facts, wishes, forwards=()):
        self.master = master
        self.script = script
        self.messages = messages
        self.facts = facts
        self.wishes = wishes
        self.forwards = [list(one) for one in forwards]

    def forward(self, option, specification):
        """int or None: the port allocated for a forward that is now up and on record."""
        port = self.master.forward(option, specification)
        self.forwards.append([option, specification])
        return port

    def take_back(self):
        """Takes back every forward that was put up."""
        for option, specification in self.forwards:
            self.master.cancel(option, specification)
        self.forwards = []

    def listeners(self):
        """list[endpoints.Listener]: who listens on the login node now."""
        return endpoints.parse(self.script(endpoints.SCRIPT, 15)[1])

    def node_address(self, node):
        """tuple[str, str]: a node's address as the login node sees it, and the login node's own address towards it."""
        if self.wishes["on_login_node"]:
            return "127.0.0.1", "127.0.0.1"
        return site.read_source(self.script(site.source_probe(node), 15)[1]) if node else ("", "")


class ForwardTunnel:
    """client → localhost:Z ⇒ ssh -L ⇒ login node → root node:Y."""

    name = "forward_tunnel"
    reverse = False
    section = "Forward Connection Over an ssh Tunnel"

    def __init__(self, surroundings, known=None):
        self.around = surroundings
        self.known = known or {}

    def ready_for(self, node):
        """Looks whether the login node forwards to this node; raises Unfit."""
        address = self.around.node_address(node)[0] or node
        if not address:
            return
        ports = self.around.wishes["server_ports"]
        answer = self.around.master.reach(address, endpoints.parse_range(ports)[0] if ports else _TRIED_PORT, self.around.messages)
        if answer == "forbidden":
            raise Unfit("sshd on {0} forbids local forwarding".format(self.around.facts["login_node"]))
        if answer == "filtered":
            raise Unfit("{0} cannot reach a port of {1}".format(self.around.facts["login_node"], node))

    def client_port(self):
        """int: the local end of the tunnel, free at this moment."""
        wish = self.around.wishes["client_port"]
        owner = endpoints.local_owner(wish) if wish else None
        if owner is not None:
            raise port_taken(wish, owner)
        return wish or endpoints.free_port()

    def before_start(self, _node):
        """Nothing has to stand before pvserver: it is the one that waits."""

    def pvserver_arguments(self, connect_id):
        """list[str]"""
        return paraview.forward_arguments(self.around.wishes["server_ports"] or 0, connect_id)

    def after_start(self, accepting, node):
        """Leads a local port to where pvserver waits.

        Args:
            accepting (tuple[str, int]): host and port of pvserver's own words.
            node (str): the root node.
        Returns:
            int: the local port.
        """
        # pvserver names its host as that calls itself; what the login node was seen to reach is the root node's address.
        same = accepting[0].partition(".")[0] == node.partition(".")[0] or self.around.wishes["on_login_node"]
        host = (self.around.node_address(node)[0] if same else "") or accepting[0]
        wish = self.around.wishes["client_port"]
        for attempt in range(5):
            port = self.client_port()
            try:
                self.around.forward("-L", "127.0.0.1:{0}:{1}:{2}".format(port, host, accepting[1]))
                break
            except ForwardRefused as refused:
                if wish or attempt == 4:
                    raise SessionError("cannot open port {0} here for the tunnel".format(port), str(refused),
                                       "choose another paraview_client_port, or leave it out")
        owner = endpoints.local_owner(port)
        if owner is None:
            raise SessionError("cannot open port {0} here for the tunnel".format(port), "ssh said it would, but nothing listens there over IPv4",
                               "choose another paraview_client_port, or leave it out")
        if owner not in (os.getuid(), -1):
            raise port_taken(port, owner)
        return port


class ReverseTunnel:
    """pvserver → login node:Q ⇒ ssh -R ⇒ client:P."""

    name = "reverse_tunnel"
    reverse = True
    section = "Reverse Connection Over an ssh Tunnel"

    def __init__(self, surroundings, known=None):
        self.around = surroundings
        self.known = known or {}
        self.address = self.known.get("address")
        self.port = self.known.get("port")

    def ready_for(self, node):
        """Puts the endpoint up and looks at it; raises Unfit."""
        address = self._cluster_address(node)
        # A forward on record may have gone with an earlier connection.
        ours = self.around.facts["uid"]
        if self.port and address == self.address and any((one.port, one.uid) == (self.port, ours) for one in self.around.listeners()):
            self._check()
            return
        self.around.take_back()
        self.address, self.port = address, None
        target = "127.0.0.1:{0}".format(self.known["client_port"])
        refusals = []
        ports = self.around.wishes["login_ports"]
        for wish in endpoints.shuffled(endpoints.parse_range(ports)) if ports else [0]:
            try:
                self.port = self.around.forward("-R", "{0}:{1}:{2}".format(address, wish, target)) or wish
            except ForwardRefused as refused:
                refusals.append(str(refused))
                continue
            self._check()
            return
        raise Unfit("sshd on {0} refuses a remote forward on {1}{2} ({3})".format(
            self.around.facts["login_node"], address, ", ports " + ports if ports else "", refusals[-1]))

    def _cluster_address(self, node):
        address = self.around.node_address(node)[1] or self.around.facts.get("cluster_address", "")
        if not address and node:
            raise Unfit("{0} does not tell which of its addresses faces {1}; the site can, as cluster_address in {2}".format(
                self.around.facts["login_node"], node, site_file.PATH))
        if not address:
            # Good enough for a trial before the node is known.
            inside = [one for one in self.around.facts["addresses"] if one != self.around.facts["client_side"]]
            address = (inside or self.around.facts["addresses"] or [""])[0]
        if not address:
            raise Unfit("{0} has no IPv4 address that nodes could dial".format(self.around.facts["login_node"]))
        return address

    def _check(self):
        login = self.around.facts["login_node"]
        listeners = self.around.listeners()
        hits = endpoints.covering(listeners, self.address, self.port)
        if not hits:
            elsewhere = sorted({one.address for one in listeners if one.port == self.port})
            self.around.take_back()
            raise Unfit("sshd on {0} put the forward on {1} instead of {2} (GatewayPorts no)".format(
                login, " and ".join(elsewhere) or "nothing that listens over IPv4", self.address))
        if hits[0].uid != self.around.facts["uid"]:
            self.around.take_back()
            raise Unfit("port {0} of {1} belongs to another account (uid {2})".format(self.port, login, hits[0].uid))

    def client_port(self):
        """int: where the client has to listen."""
        wish = self.around.wishes["client_port"]
        owner = endpoints.local_owner(wish) if wish else None
        if owner not in (None, -1, os.getuid()):
            raise port_taken(wish, owner)
        return wish or endpoints.free_port()

    def before_start(self, node):
        """Looks once more, at this moment, whether both ends stand and are ours."""
        self.ready_for(node)
        owner = endpoints.local_owner(self.known["client_port"])
        if owner is None:
            raise SessionError("the client no longer listens on port {0}".format(self.known["client_port"]), "it ended, or gave up",
                               "start it again, and connect again")
        if owner not in (-1, os.getuid()):
            raise port_taken(self.known["client_port"], owner)

    def pvserver_arguments(self, connect_id):
        """list[str]"""
        return paraview.reverse_arguments(self.address, self.port, connect_id)

    def after_start(self, _accepting, _node):
        """int: the client's port; pvserver has found its way there by itself."""
        return self.known["client_port"]


ROUTES = {one.name: one for one in (ForwardTunnel, ReverseTunnel)}
ORDER = ("forward_tunnel", "reverse_tunnel")


def port_taken(port, owner):
    """SessionError for a port of this host that is in use."""
    whose = "somebody" if owner == -1 else "your own account" if owner == os.getuid() else "another account (uid {0})".format(owner)
    return SessionError("port {0} on this host is taken".format(port), "{0} listens there".format(whose),
                        "choose another paraview_client_port, or leave it out")


def choose(names, forbidden, attempt):
    """The first route that works.

    Args:
        names (list[str]): in the order to try.
        forbidden (list[str]): what the site does not offer.
        attempt (callable): takes a name; returns the route or raises Unfit.
    Returns:
        tuple: the route (None if none works), and list of (name, reason) for those passed over.
    """
    passed = []
    for name in names:
        if name in forbidden:
            passed.append((name, "this site does not offer it"))
            continue
        try:
            return attempt(name), passed
        except Unfit as unfit:
            passed.append((name, str(unfit)))
    return None, passed


def none_works(passed, named):
    """SessionError where no route is left.

    Args:
        passed (list): names and reasons, as choose() gives them.
        named (str): the route that was asked for; ``auto`` if none was.
    """
    what = "no route works here" if named == "auto" else "route {0} cannot work here".format(named)
    way = "ask the site to allow forwarding on its login node" if named == "auto" else "leave paraview_route out, and the first route that works is taken"
    return SessionError(what, "; ".join("{0}: {1}".format(*one) for one in passed), way)
