# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections for which a global policy does not hold, from the Match lines that come before it."""

import typing as t

from ..common.text import clean
from . import own_policies
from .config import Head, Line, Tree
from .policy import OPTIONS, Policy, allows_forwarding, same, spelled
from .program import Origin

_MOST = 6


def find(tree: Tree, policy: Policy) -> t.List[t.Dict[str, t.Any]]:
    """Lines under a Match that set another value than a global policy.

    Args:
        tree: the configuration with the policy.
        policy: the policy.
    Returns:
        For each line ``file``, ``line``, ``match`` (the Match line), ``match_file`` and ``match_line`` (where it is), ``keyword``, ``value``, and
        ``policy``, the name of the policy of ours that it belongs to, empty for a line of others.
    """
    found: t.List[t.Dict[str, t.Any]] = []
    decided: t.Set[t.Tuple[Head, str]] = set()
    for file, line, head in tree.reading():
        name = own_policies.owner(tree, Origin(file, line.number, bool(head)))
        if name == policy.name:
            if head:
                # A policy under Match all overrides all that comes after it.
                break
            continue
        if head is None or (head, line.keyword) in decided or not _differs(line, policy):
            continue
        decided.add((head, line.keyword))
        keyword, value = spelled(line)
        found.append({"file": file, "line": line.number, "match": clean(tree.line_text(head.file, head.line.number)), "match_line": head.line.number,
                      "match_file": head.file, "keyword": keyword, "value": clean(value), "policy": name})
    return found


def _differs(line: Line, policy: Policy) -> bool:
    if line.keyword not in OPTIONS:
        return False
    keyword, value = spelled(line)
    if keyword in policy.requested:
        return not same(keyword, value, policy.requested[keyword])
    return keyword == "DisableForwarding" and value == "yes" and allows_forwarding(policy.requested)


def warnings(policy: Policy, exceptions: t.List[t.Dict[str, t.Any]]) -> t.List[str]:
    """A warning for each Match of others, each of at most 300 characters."""
    by_head: t.Dict[t.Tuple[str, int, str], t.List[str]] = {}
    for one in exceptions:
        if not one["policy"]:
            by_head.setdefault((one["match_file"], one["match_line"], one["match"]), []).append("{keyword} {value}".format(**one))
    form = "the policy {0} does not hold for {1} ({2}:{3}), which has {4}"
    texts = [form.format(policy.name, _cut(match, 80), _cut(file, 60), line, _cut(", ".join(values), 90)) for (file, line, match), values in by_head.items()]
    if len(texts) > _MOST:
        texts = texts[:_MOST] + ["the policy {0} does not hold for {1} more Match lines, which are in exceptions".format(policy.name, len(texts) - _MOST)]
    return texts


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most - 3] + "..."
