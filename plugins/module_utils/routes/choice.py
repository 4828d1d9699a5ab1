# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: ways for the bytes between client and pvserver, and the choice among them.

A route is one class. It tries itself before a job is queued, puts its endpoints up and looks at them before pvserver may
start, knows pvserver's arguments and what the client opens. A new route is one more class in ROUTES.
"""

import typing as t

from ..common.errors import SessionError
from .base import Route
from .direct import ForwardDirect, ReverseDirect
from .node_tunnels import NodeTunnel, NodeTunnelReverse
from .relays import ReverseRelay, ReverseTunnelRelay
from .tunnels import ForwardTunnel, ReverseTunnel
from .unavailable import RouteUnavailable

ROUTES: t.Dict[str, t.Type[Route]] = {one.name: one for one in (
    NodeTunnel, NodeTunnelReverse, ForwardTunnel, ReverseTunnel, ReverseTunnelRelay, ReverseRelay, ReverseDirect, ForwardDirect)}


def choose(names: t.Iterable[str], forbidden: t.Container[str], attempt: t.Callable[[str], Route]) -> t.Tuple[t.Optional[Route], t.List[t.Tuple[str, str]]]:
    """The first route that works.

    Args:
        names: in the order to try.
        forbidden: what the site does not offer.
        attempt: takes a name; returns the route or raises RouteUnavailable.
    Returns:
        The route (None if none works), and names and reasons of those passed over.
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


def told(passed: t.List[t.Tuple[str, str]]) -> str:
    """Routes that were passed over, and why; those for one reason together.

    Args:
        passed: names and reasons, as choose() gives them.
    """
    reasons: t.Dict[str, t.List[str]] = {}
    for name, reason in passed:
        reasons.setdefault(reason, []).append(name)
    return "; ".join("{0}: {1}".format(", ".join(names), reason) for reason, names in reasons.items())


def none_works(passed: t.List[t.Tuple[str, str]], named: str) -> SessionError:
    """SessionError where no route is left.

    Args:
        passed: names and reasons, as choose() gives them.
        named: the route that was asked for; ``auto`` if none was.
    """
    what = "no route works here" if named == "auto" else "route {0} cannot work here".format(named)
    way = "ask the site to allow forwarding on its login node" if named == "auto" else "leave paraview_route out, and the first route that works is taken"
    return SessionError(what, told(passed), way)
