# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd lets one connection forward, by the options of the modules."""

import typing as t

from ..common.text import clean
from . import own_policies
from .config import Tree
from .policy import KEYWORDS
from .program import Effective


def values(effective: Effective) -> t.Dict[str, str]:
    """The forwarding policy of one connection, by option name."""
    return {option: effective.value(keyword) for option, (keyword, _choices) in KEYWORDS.items() if effective.value(keyword) is not None}


def origins(effective: Effective) -> t.Dict[str, str]:
    """File and line of each value that does not come from sshd's defaults, by option name."""
    found = {option: effective.origin(keyword) for option, (keyword, _choices) in KEYWORDS.items()}
    return {option: "{0}:{1}".format(origin.file, origin.line) for option, origin in found.items() if origin is not None}


def sources(effective: Effective, tree: Tree) -> t.Dict[str, t.Dict[str, t.Any]]:
    """File, line and text of each value's origin, and the policy of ours that it belongs to, by option name."""
    found = {}
    for option, (keyword, _choices) in KEYWORDS.items():
        origin = effective.origin(keyword)
        if origin is not None:
            found[option] = {"file": origin.file, "line": origin.line, "text": clean(tree.line_text(origin.file, origin.line)),
                             "policy": own_policies.owner(tree, origin)}
    return found
