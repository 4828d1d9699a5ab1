# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes' names, and the properties of each that several packages use. The package routes has what a route does."""

import collections
import typing as t


class RouteProperties(t.NamedTuple):
    """Properties of a route that several packages use.

    Attributes:
        reverse: pvserver connects to the client.
        encrypted: the bytes cross no network in clear. A route without encryption is used only if the user names it.
        exposed: the network has to leave a port of the client host open.
    """

    reverse: bool
    encrypted: bool
    exposed: bool


#: Every route, the least exposed first.
ALL: t.Dict[str, RouteProperties] = collections.OrderedDict([
    ("node_tunnel", RouteProperties(reverse=False, encrypted=True, exposed=False)),
    ("node_tunnel_reverse", RouteProperties(reverse=True, encrypted=True, exposed=False)),
    ("forward_tunnel", RouteProperties(reverse=False, encrypted=True, exposed=False)),
    ("reverse_tunnel", RouteProperties(reverse=True, encrypted=True, exposed=False)),
    ("reverse_tunnel_relay", RouteProperties(reverse=True, encrypted=True, exposed=False)),
    ("reverse_relay_unencrypted", RouteProperties(reverse=True, encrypted=False, exposed=True)),
    ("reverse_unencrypted", RouteProperties(reverse=True, encrypted=False, exposed=True)),
    ("forward_unencrypted", RouteProperties(reverse=False, encrypted=False, exposed=False)),
])
#: What ``auto`` tries, in this order.
ORDER = tuple(name for name, route in ALL.items() if route.encrypted)


def is_reverse(name: t.Optional[str]) -> t.Optional[bool]:
    """Whether pvserver connects to the client on this route; None if there is no route of that name."""
    return ALL[name].reverse if name in ALL else None
