# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name under which a node is reached, if it is not the one that the batch system prints."""

import re
import typing as t

from .hostlists import named

_KEYS = ("pattern", "replacement")
# A replacement consists of characters of host names, and of groups of the pattern.
_PIECE = re.compile(r"[A-Za-z0-9._-]|\\(?:([1-9])|g<(\w{1,40})>)")
_MOST = 200
# A pattern that a site chooses, on a name that it chooses, must not take long: nothing may be repeated that consists of several parts.
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{)")
_REPEATS = re.compile(r"[*+{]")
_MOST_REPEATS = 3
_LONGEST_NAME = 100


def check(rule: t.Any) -> t.Dict[str, str]:
    """A rule in its final form: empty, or with pattern and replacement.

    Args:
        rule: of paraview_node_name, or of node_name in site.yml.
    Raises:
        ValueError: it is not valid.
    """
    if not rule:
        return {}
    if not isinstance(rule, dict) or set(rule) != set(_KEYS) or not all(isinstance(text, str) and 0 < len(text) <= _MOST for text in rule.values()):
        raise ValueError("it has to be a mapping of pattern and replacement, each a text of at most {0} characters".format(_MOST))
    try:
        pattern = re.compile(rule["pattern"])
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError("its pattern is not a regular expression: {0}".format(error))
    if _REPEATED_GROUP.search(rule["pattern"]) or len(_REPEATS.findall(rule["pattern"])) > _MOST_REPEATS:
        raise ValueError("its pattern may repeat single characters and classes of them only, and at most {0} of them".format(_MOST_REPEATS))
    if _PIECE.sub("", rule["replacement"]):
        raise ValueError("its replacement may hold letters, digits, . _ - and groups such as \\1 only")
    for number, name in _PIECE.findall(rule["replacement"]):
        if (number and int(number) > pattern.groups) or (name and not name.isdigit() and name not in pattern.groupindex) or (
                name.isdigit() and int(name) > pattern.groups):
            raise ValueError("its replacement names a group that its pattern does not have")
    return {key: str(rule[key]) for key in _KEYS}


def rule(options: t.Dict[str, t.Any], site: t.Dict[str, t.Any]) -> t.Optional[t.Dict[str, str]]:
    """The user's own rule, else that of the site; None or empty for none."""
    return options.get("node_name") or site.get("node_name")


def reached(node: str, own_rule: t.Optional[t.Dict[str, str]]) -> str:
    """The name under which a node is reached. A name that the whole pattern does not match stays as it is.

    Args:
        node: its name, as the batch system prints it.
        own_rule: as check() returns it.
    Raises:
        ValueError: the new name is no host name.
    """
    if own_rule and len(node) > _LONGEST_NAME:
        raise ValueError("the name {0!r}... of a node is longer than {1} characters".format(node[:40], _LONGEST_NAME))
    match = re.fullmatch(own_rule["pattern"], node) if own_rule and node else None
    if not match:
        return node
    name = match.expand(own_rule["replacement"] if own_rule else "")
    if not named(name) or len(name) > 253:
        raise ValueError("node_name makes {0!r} of {1}, which is no host name".format(name, node))
    return name
