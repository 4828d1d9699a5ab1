# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several policies of ours counts where more than one applies.

sshd uses the first Match that sets a value, and any Match before a global line. So the more specific policy comes first: users before groups, groups before
addresses and the like, more criteria before fewer, fewer values before more. The name decides between equals.
"""

import fnmatch
import ipaddress
import re
import typing as t

from .policy import Policy, same

_WILD = re.compile(r"[!*?]")
_EVERYTHING = 1 << 130


def key(policy: Policy) -> t.Tuple[t.Any, ...]:
    """The sort key of a policy: the first one counts."""
    return _rank(policy.match), -len(policy.match), sum(_size(name, values) for name, values in policy.match.items()), policy.name


def _rank(match: t.Dict[str, t.List[str]]) -> int:
    if not match:
        return 4
    literal = [name for name in ("User", "Group") if name in match and not any(_WILD.search(value) for value in match[name])]
    if literal:
        return 0 if "User" in literal else 1
    return 2 if "User" in match or "Group" in match else 3


def _size(name: str, values: t.List[str]) -> int:
    """How many connections values match, roughly."""
    if name in ("Address", "LocalAddress"):
        return sum(_addresses(value) for value in values if not value.startswith("!"))
    return sum(_EVERYTHING if _WILD.search(value) else 1 for value in values)


def _addresses(value: str) -> int:
    try:
        return ipaddress.ip_network(value).num_addresses
    except ValueError:
        return _EVERYTHING


def covers(wide: t.Dict[str, t.List[str]], narrow: t.Dict[str, t.List[str]]) -> bool:
    """Whether each connection that ``narrow`` matches is one that ``wide`` matches too, as far as the criteria themselves show."""
    return all(name in narrow and (values == narrow[name] or _contains(name, values, narrow[name])) for name, values in wide.items())


def _contains(name: str, wide: t.List[str], narrow: t.List[str]) -> bool:
    if any(value.startswith("!") for value in narrow) or any(value.startswith("!") for value in wide):
        return False
    if name in ("Address", "LocalAddress"):
        return all(any(_within(value, other) for other in wide) for value in narrow)
    return not any(_WILD.search(value) for value in narrow) and all(any(fnmatch.fnmatchcase(value, other) for other in wide) for value in narrow)


def _within(value: str, other: str) -> bool:
    if value == other:
        return True
    try:
        inner, outer = ipaddress.ip_network(value), ipaddress.ip_network(other)
    except ValueError:
        return False
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.supernet(new_prefix=outer.prefixlen) == outer


def disjoint(one: t.Dict[str, t.List[str]], other: t.Dict[str, t.List[str]]) -> bool:
    """Whether no connection matches both, as far as the criteria themselves show."""
    return any(_apart(name, one[name], other[name]) for name in one if name in other)


def _apart(name: str, one: t.List[str], other: t.List[str]) -> bool:
    if name == "Group" or any(value.startswith("!") for value in one + other):
        # One user may be in several groups.
        return False
    if name in ("Address", "LocalAddress"):
        return not any(_within(value, place) or _within(place, value) or "*" in value + place or "?" in value + place for value in one for place in other)
    if any(_WILD.search(value) for value in one + other):
        return False
    return not set(one) & set(other)


def differing(one: Policy, other: Policy) -> t.List[str]:
    """The keywords that both policies set to different values."""
    return [keyword for keyword, value in one.requested.items() if keyword in other.requested and not same(keyword, value, other.requested[keyword])]
