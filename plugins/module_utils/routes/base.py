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

    Before a job is queued, ready_for() tries the route with a node of the site, or with none. Once the job runs, ready_for() is called again with the job's
    root node, then before_start(), then pvserver starts with pvserver_arguments(). On a forward route after_start() follows as soon as pvserver accepts
    connections, on a reverse route let_through() as soon as ParaView listens, if client_may_be_late is true. take_back() may be called at any moment.

    A route is made anew from the session's record for each of these steps: what it needs later is in saved, address and port.

    Attributes:
        context: what the route works with.
        saved: what of it the record keeps.
        address: where pvserver calls; None on a forward route and before ready_for().
        port: the port there.
    """

    #: As users write it, and as config/route_names.py has it.
    name: str = ""
    #: Whether pvserver calls ParaView.
    reverse: bool = False
    #: The section of ParaView's wiki page that describes it by hand.
    section: str = ""
    #: Whether nothing is certain before the job runs: a node lets nobody in who has no job there.
    needs_job: bool = False
    #: Where pvserver's connection arrives, for the user's eyes; empty for the login node.
    place: str = ""

    def __init__(self, context: RouteContext, saved: t.Optional[dict] = None) -> None:
        self.context = context
        self.saved: t.Dict[str, t.Any] = saved or {}
        self.address: t.Optional[str] = self.saved.get("address")
        self.port: t.Optional[int] = self.saved.get("port")

    @property
    def client_may_be_late(self) -> bool:
        """Whether pvserver may be started before ParaView listens. Such a route has let_through()."""
        return False

    @property
    def note(self) -> str:
        """What the user should know of it before the job is queued; empty for nothing."""
        return "" if route_names.ALL[self.name].encrypted else "route {0} is not encrypted: whoever is on the way can read along".format(self.name)

    @property
    def line_address(self) -> str:
        """The address beside pvserver at which paraview-lifeline is called, if the session reconnects. Of forward routes alone."""
        raise NotImplementedError(self.name)

    @property
    def target(self) -> str:
        """Where a remote forward has to lead to come to ParaView. Of reverse routes alone."""
        raise NotImplementedError(self.name)

    def ready_for(self, node: str) -> None:
        """Tries the route for a node (empty where none is known), puts up what has to stand before pvserver, and leaves alone what stands already.

        Raises:
            RouteUnavailable: the route cannot work.
        """
        raise NotImplementedError(self.name)

    def take_back(self) -> None:
        """Takes back what was put up on the login node."""
        self.context.take_back()

    def client_port(self) -> int:
        """The port that ParaView listens on or calls on its host; free at this moment.

        Raises:
            SessionError: the port that the user named is taken.
        """
        raise NotImplementedError(self.name)

    def before_start(self, node: str) -> None:
        """Looks once more, at this moment, whether what pvserver calls stands and is ours. pvserver starts right after it.

        Raises:
            RouteUnavailable: the route cannot work. SessionError: ParaView does not listen any more, or somebody else does.
        """

    def pvserver_arguments(self, connect_id: int) -> t.List[str]:
        """Lines of the go file: pvserver's arguments for this route."""
        raise NotImplementedError(self.name)

    def after_start(self, accepting: t.Tuple[str, int], node: str) -> int:
        """Makes ParaView's end of the route.

        Args:
            accepting: host and port that pvserver itself names.
            node: the root node.
        Returns:
            ParaView's port on its host.
        """
        raise NotImplementedError(self.name)

    def check_again(self) -> None:
        """Looks once more, while pvserver is on its way, whether what it calls stands and is ours.

        Raises:
            RouteUnavailable: it does not.
        """

    def let_through(self, node: str) -> None:
        """Lets pvserver, which is held until now, through to ParaView, once that is seen to be ours.

        Raises:
            RouteUnavailable: the route cannot work.
        """
        raise NotImplementedError(self.name)

    def url(self, port: int) -> str:
        """What ParaView opens, if its port is this one."""
        return pvserver.url(self.reverse, port)

    def kept(self) -> t.Dict[str, t.Any]:
        """The record's fields of the route."""
        return {"route": self.name, "route_state": dict(self.saved, address=self.address, port=self.port), "forwards": self.context.forwards}
