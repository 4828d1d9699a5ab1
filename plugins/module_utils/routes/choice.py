# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: ways for the bytes between client and pvserver, and the choice among them.

A route is one class. It tries itself before a job is queued, puts its endpoints up and looks at them before pvserver may
start, knows pvserver's arguments and what the client opens. A new route is one more class in ROUTES.
"""

import typing as t

from ..common.errors import SessionError
from .direct import ForwardDirect, ReverseDirect
from .node_tunnels import NodeTunnel, NodeTunnelReverse
from .relays import ReverseRelay, ReverseTunnelRelay
from .tunnels import ForwardTunnel, ReverseTunnel
from .unavailable import RouteUnavailable

ROUTES = {one.name: one for one in (
    NodeTunnel, NodeTunnelReverse, ForwardTunnel, ReverseTunnel, ReverseTunnelRelay, ReverseRelay, ReverseDirect, ForwardDirect)}


def choose(names, forbidden, attempt):
    """The first route that works.

    Args:
        names (list[str]): in the order to try.
        forbidden (list[str]): what the site does not offer.
        attempt (callable): takes a name; returns the route or raises RouteUnavailable.
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
        except RouteUnavailable as unavailable:
            passed.append((name, str(unavailable)))
    return None, passed


def told(passed):
    """str: routes that were passed over, and why; those for one reason together.

    Args:
        passed (list): names and reasons, as choose() gives them.
    """
    reasons: t.Dict[str, t.List[str]] = {}
    for name, reason in passed:
        reasons.setdefault(reason, []).append(name)
    return "; ".join("{0}: {1}".format(", ".join(names), reason) for reason, names in reasons.items())


def none_works(passed, named):
    """SessionError where no route is left.

    Args:
        passed (list): names and reasons, as choose() gives them.
        named (str): the route that was asked for; ``auto`` if none was.
    """
    what = "no route works here" if named == "auto" else "route {0} cannot work here".format(named)
    way = "ask the site to allow forwarding on its login node" if named == "auto" else "leave paraview_route out, and the first route that works is taken"
    return SessionError(what, told(passed), way)
