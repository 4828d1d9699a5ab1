# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: ways for the bytes between client and pvserver, and the choice among them.

Each route is one class. It tests the route before the job is submitted, sets up and checks its endpoints before pvserver
starts, and returns pvserver's arguments and the URL that the client opens. To add a route, add its class to ROUTES.
"""

import typing as t

from ..common.errors import SessionError
from .base import Route
from .direct import ForwardDirect, ReverseDirect
from .node_tunnels import NodeTunnel, NodeTunnelReverse
from .relays import ReverseRelay, ReverseTunnelRelay
from .tunnels import ForwardTunnel, ReverseTunnel
from .unavailable import RouteUnavailable

ROUTES: t.Dict[str, t.Type[Route]] = {route.name: route for route in (
    NodeTunnel, NodeTunnelReverse, ForwardTunnel, ReverseTunnel, ReverseTunnelRelay, ReverseRelay, ReverseDirect, ForwardDirect)}


def choose(names: t.Iterable[str], forbidden: t.Container[str], attempt: t.Callable[[str], Route]) -> t.Tuple[t.Optional[Route], t.List[t.Tuple[str, str]]]:
    """The first route that works.

    Args:
        names: in the order in which they are tried.
        forbidden: names of routes that the site does not offer.
        attempt: function that gets a name, and returns the route or raises RouteUnavailable.
    Returns:
        The route (None if none works), and the names of the routes that were passed over, each with its reason.
    """
    passed = []
    for name in names:
        if name in forbidden:
            passed.append((name, "this site does not offer it"))
            continue
        try:
            return attempt(name), passed
        except RouteUnavailable as unavailable:
            passed.append((name, str(unavailable)))
    return None, passed


def describe(passed: t.List[t.Tuple[str, str]]) -> str:
    """Text: which routes were passed over, and why. Routes with the same reason are listed together.

    Args:
        passed: names and reasons, as choose() returns them.
    """
    reasons: t.Dict[str, t.List[str]] = {}
    for name, reason in passed:
        reasons.setdefault(reason, []).append(name)
    return "; ".join("{0}: {1}".format(", ".join(names), reason) for reason, names in reasons.items())


def none_works(passed: t.List[t.Tuple[str, str]], named: str) -> SessionError:
    """SessionError if no route is left.

    Args:
        passed: names and reasons, as choose() returns them.
        named: the route that the user requested; ``auto`` for none.
    """
    what = "no route works here" if named == "auto" else "route {0} cannot work here".format(named)
    way = "ask the site to allow forwarding on its login node" if named == "auto" else "leave paraview_route out; then the first route that works is used"
    return SessionError(what, describe(passed), way)
