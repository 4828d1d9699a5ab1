# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the collection's variables, and what is wrong with others that look like them."""

import difflib
import functools
import typing as t
from pathlib import Path

import yaml

from ..module_utils.common.errors import SessionError
from ..module_utils.common.text import clean, distance

_ROLES = Path(__file__).resolve().parents[2] / "roles"
PREFIX = "paraview_"
#: What playbooks read themselves, and what is a key of a host's variables alone.
BESIDE_ROLES = ("paraview_answer", "paraview_dialog", "paraview_launcher_install", "paraview_relay_install")
#: So many letters wrong, left out, or too many are a slip.
_SLIP = 2


@functools.lru_cache(maxsize=None)
def ours() -> t.FrozenSet[str]:
    """Every variable of the roles and playbooks."""
    names = set(BESIDE_ROLES)
    for path in _ROLES.glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            names.update(entry.get("options", {}))
    return frozenset(name for name in names if name.startswith(PREFIX))


def check(variables: t.Iterable[str], given: t.Iterable[str]) -> t.List[str]:
    """Looks at the names of variables.

    Args:
        variables: all names that a host has.
        given: those of the command line (``-e``).
    Returns:
        A warning for each name that another role may own.
    Raises:
        SessionError: a name on the command line is none of ours, or one is a slip of one of ours.
    """
    foreign = sorted(name for name in set(variables) | set(given) if name.startswith(PREFIX) and not name.startswith(PREFIX + "_") and name not in ours())
    for name in foreign:
        near = nearest(name)
        if name in given or distance(name, near, _SLIP) <= _SLIP:
            raise SessionError("{0} is no variable of sciviz.paraview".format(clean(name, 100)), "the nearest is {0}".format(near),
                               "correct it {0}; nothing was touched".format("on the command line" if name in given else "in the inventory"))
    return ["{0} is no variable of sciviz.paraview; the nearest is {1}".format(clean(name, 100), nearest(name)) for name in foreign]


def nearest(name: str) -> str:
    """The variable of ours that is most like a name."""
    close = min(ours(), key=lambda one: (distance(name, one, _SLIP), one))
    if distance(name, close, _SLIP) <= _SLIP:
        return close
    return difflib.get_close_matches(name, sorted(ours()), 1, 0)[0]
