# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a route is."""

import typing as t

from ..config import route_names
from ..paraview import pvserver
from .context import RouteContext


class Route:
    """A way for the bytes between ParaView and pvserver. Each kind of route is a subclass, listed in choice.py.

    Before the job is submitted, ready_for() tries the route, with a node of the site or without one. Once the job runs, ready_for() is called again with
    the job's root node, then before_start(). Then pvserver starts with pvserver_arguments(). On a forward route, after_start() is called as soon as pvserver
    accepts connections. On a reverse route, let_through() is called as soon as ParaView listens, if client_may_be_late is true. remove() may be called at
    any time.

    For each of these steps a new object is created from the session's record. State for later steps is in saved, address and port.

    Attributes:
        context: the login node, the control master, forwards and options.
        saved: the route's state in the record.
        address: the address that pvserver connects to; None on a forward route and before ready_for().
        port: the port there.
    """

    #: The name that users write; also the key in config/route_names.py.
    name: str = ""
    #: Whether pvserver connects to ParaView.
    reverse: bool = False
    #: The section of ParaView's wiki page that describes how to set it up by hand.
    section: str = ""
    #: Whether the route can be tested only after the job has started, because a node accepts logins only from users who have a job there.
    needs_job: bool = False
    #: The place to which pvserver connects, for messages; empty for the login node.
    place: str = ""

    def __init__(self, context: RouteContext, saved: t.Optional[dict] = None) -> None:
        self.context = context
        self.saved: t.Dict[str, t.Any] = saved or {}
        self.address: t.Optional[str] = self.saved.get("address")
        self.port: t.Optional[int] = self.saved.get("port")

    @property
    def client_may_be_late(self) -> bool:
        """Whether pvserver may start before ParaView listens. A route for which this is true implements let_through()."""
        return False

    @property
    def note(self) -> str:
        """A warning for the user before the job is submitted; empty for none."""
        return "" if route_names.ALL[self.name].encrypted else "route {0} is not encrypted: hosts on the network path can read its data".format(self.name)

    @property
    def explanation(self) -> str:
        """How the route reaches the job's node, if that is not what the user expects; empty for nothing to explain."""
        return ""

    @property
    def line_address(self) -> str:
        """The address on the root node on which paraview-lifeline listens, if the session reconnects. Only forward routes have it."""
        raise NotImplementedError(self.name)

    @property
    def target(self) -> str:
        """The target of a remote forward that ends at ParaView. Only reverse routes have it."""
        raise NotImplementedError(self.name)

    def ready_for(self, node: str) -> None:
        """Tries the route for a node (empty if no node is known), and sets up what pvserver needs before it starts. Endpoints that already exist are kept.

        Raises:
            RouteUnavailable: the route cannot work.
        """
        raise NotImplementedError(self.name)

    def remove(self) -> None:
        """Removes what was set up on the login node."""
        self.context.cancel_forwards()

    def client_port(self) -> int:
        """The port on ParaView's host that ParaView listens on or connects to; it is free at this moment.

        Raises:
            SessionError: the port that the user chose is in use.
        """
        raise NotImplementedError(self.name)

    def before_start(self, node: str) -> None:
        """Checks again, immediately before pvserver starts, that the endpoint of pvserver's connection exists and belongs to the user.

        Raises:
            RouteUnavailable: the route cannot work. SessionError: ParaView no longer listens, or another account does.
        """

    def pvserver_arguments(self, connect_id: int) -> t.List[str]:
        """pvserver's arguments for this route, as lines of the go file."""
        raise NotImplementedError(self.name)

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """Sets up ParaView's end of the route.

        Args:
            accepting: host and port that pvserver reports.
            node: the root node.
        Returns:
            ParaView's port on its host.
        """
        raise NotImplementedError(self.name)

    def check_again(self) -> None:
        """Checks again, while pvserver connects, that the endpoint of its connection exists and belongs to the user.

        Raises:
            RouteUnavailable: the endpoint does not exist, or belongs to another account.
        """

    def let_through(self, node: str) -> None:
        """Checks that ParaView's port belongs to the user, then lets pvserver's connection, which was held until now, through to it.

        Raises:
            RouteUnavailable: the route cannot work.
        """
        raise NotImplementedError(self.name)

    def url(self, port: int) -> str:
        """The URL that ParaView opens, for its port."""
        return pvserver.url(self.reverse, port)

    def kept(self) -> t.Dict[str, t.Any]:
        """The fields of the record that describe the route."""
        return {"route": self.name, "route_state": dict(self.saved, address=self.address, port=self.port), "forwards": self.context.forwards}
