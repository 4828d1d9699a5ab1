# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site asks of the sessions of its users, in its site.yml. Clients comply with it, and nothing enforces it."""

import re
import typing as t

from ..common import durations
from ..common.errors import SessionError
from ..config import settings_table
from . import site_file

Site = t.Dict[str, t.Any]
#: How a user gets a later version of the collection.
UPGRADE = "upgrade it: ansible-galaxy collection install --upgrade sciviz.paraview"
_NOTHING = "nothing was submitted"


def admit(site: Site, login: str, version: str, way_out: str = UPGRADE) -> None:
    """Raises SessionError if the site accepts no new sessions, or none of this version of the collection.

    Args:
        site: its values, from facts.settings(). login: name of the login node.
        version: of this collection; empty if it is unknown.
        way_out: how to get a later one.
    """
    if site.get("closed"):
        raise SessionError("{0} accepts no new sessions".format(login), "the site gives the reason: " + site["closed"],
                           "connect again later; sessions that are open continue, and {0}".format(_NOTHING))
    required = site.get("minimum_version", "")
    if version and required and _numbers(version) < _numbers(required):
        raise SessionError("{0} requires sciviz.paraview {1} or later".format(login, required), "this is version {0}".format(version),
                           "{0}; {1}".format(way_out, _NOTHING))


def given(options: t.Dict[str, t.Any]) -> t.List[str]:
    """Names of the settings with a limit that are not at their defaults."""
    return [name for name in site_file.DURATIONS if options[name] != durations.parse(settings_table.SPEC[name]["default"])]


def within_limits(options: t.Dict[str, t.Any], own: t.Container[str], site: Site, login: str, walltime: float) -> t.Tuple[t.Dict[str, t.Any], t.List[str]]:
    """The settings that the site's limits have changed.

    Args:
        options: from settings.check().
        own: names of the settings that the user has set. Others are lowered to the limit.
        site: its values. login: name of the login node.
        walltime: seconds that the job requests, which directives of the user's own may set; 0 if that is unknown, or if no job is submitted.
    Returns:
        The changed settings, and lines for the user.
    Raises:
        SessionError: a value of the user's is beyond a limit.
    """
    changed: t.Dict[str, t.Any] = {}
    lines = []
    limits = site.get("limits", {})
    for name in site_file.DURATIONS:
        limit = limits.get(name, 0)
        if not limit or (name == "reconnect_timeout" and not options["reconnect"]):
            continue
        value = walltime if name == "walltime" else options[name]
        if value <= limit:
            continue
        if name in own or value != options[name]:
            raise _beyond(name, durations.clock(value), durations.clock(limit), login)
        changed[name] = limit
        lines.append("paraview_{0} is {1} on {2}, the limit that the site has set".format(name, durations.clock(limit), login))
    return changed, lines


def check_number(others: t.List[str], site: Site, login: str) -> None:
    """Raises SessionError if the user has as many sessions as the site allows.

    Args:
        others: names of the user's other sessions there. site: its values. login: name of the login node.
    """
    limit = site.get("limits", {}).get(site_file.SESSIONS, 0)
    if limit and len(others) >= limit:
        raise SessionError("you have {0} session{1} on {2} already: {3}".format(len(others), "s"[len(others) == 1:], login, ", ".join(sorted(others))),
                           "the site has set limits.sessions to {0} in {1}".format(limit, site_file.PATH),
                           "disconnect one: ansible-playbook sciviz.paraview.disconnect -e host={0}; {1}".format(sorted(others)[0], _NOTHING))


def _beyond(name: str, value: str, limit: str, login: str) -> SessionError:
    return SessionError("paraview_{0}: {1} is beyond the limit of {2}".format(name, value, login),
                        "the site has set limits.{0} to {1} in {2}".format(name, limit, site_file.PATH),
                        "set paraview_{0} to {1} or less{2}; {3}".format(
                            name, limit, ", in paraview_directives too" if name == "walltime" else "", _NOTHING))


def _numbers(version: str) -> t.List[int]:
    """The numbers at the start of a version, without zeros at their end."""
    numbers = [int(part) for part in (re.match(r"[0-9.]*", version).group() or "0").split(".") if part]  # type: ignore[union-attr]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
