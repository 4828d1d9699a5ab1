# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reason why a route cannot be used."""


class RouteUnavailable(Exception):
    """A route cannot work here. The text is the reason; messages put the route's name and a colon in front of it."""
