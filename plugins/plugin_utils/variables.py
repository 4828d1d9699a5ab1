# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the collection's variables, and the check for names that are similar to them."""

import difflib
import functools
import typing as t
from pathlib import Path

import yaml

from ..module_utils.common.errors import SessionError
from ..module_utils.common.text import clean, distance

_ROLES = Path(__file__).resolve().parents[2] / "roles"
PREFIX = "paraview_"
#: Variables that no role has: playbooks read them, or they are only in a host's variables.
OUTSIDE_ROLES = ("paraview_answer", "paraview_dialog", "paraview_launcher_install", "paraview_relay_install")
#: A name with at most so many wrong, missing or extra letters is a misspelling.
_MISSPELLED = 2


@functools.lru_cache(maxsize=None)
def collection_variables() -> t.FrozenSet[str]:
    """Every variable of the roles and playbooks."""
    names = set(OUTSIDE_ROLES)
    for path in _ROLES.glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            names.update(entry.get("options", {}))
    return frozenset(name for name in names if name.startswith(PREFIX))


def check(variables: t.Iterable[str], given: t.Iterable[str]) -> t.List[str]:
    """Checks the names of variables.

    Args:
        variables: all names that a host has.
        given: those of the command line (``-e``).
    Returns:
        A warning for each name that may belong to another role.
    Raises:
        SessionError: a name on the command line is not a variable of the collection, or any name is a misspelling of one.
    """
    known = collection_variables()
    foreign = sorted(name for name in set(variables) | set(given) if name.startswith(PREFIX) and not name.startswith(PREFIX + "_") and name not in known)
    for name in foreign:
        if name in given or any(distance(name, other, _MISSPELLED) <= _MISSPELLED for other in known):
            raise SessionError("{0} is not a variable of sciviz.paraview".format(clean(name, 100)), "the nearest is {0}".format(nearest(name)),
                               "correct it on the command line; nothing was touched" if name in given else
                               "correct it in the inventory, or rename it if it belongs to another role; nothing was touched")
    return ["{0} is not a variable of sciviz.paraview; the nearest is {1}".format(clean(name, 100), nearest(name)) for name in foreign]


def nearest(name: str) -> str:
    """The collection's variable that is most similar to a name: one that has it as a word, a misspelling of it, one that contains it, or any other."""
    rest = name[len(PREFIX):]
    longer = sorted((other for other in collection_variables() if rest and rest in other[len(PREFIX):]), key=lambda other: (len(other), other))
    words = [other for other in longer if "_{0}_".format(rest) in other + "_"]
    misspelled = sorted((distance(name, other, _MISSPELLED), other) for other in collection_variables())
    # A name that is a word of others may lack a letter, but a letter that differs makes another word of it, such as gpus of cpus.
    if misspelled[0][0] <= (1 if words else _MISSPELLED) and not (words and len(misspelled[0][1]) == len(name)):
        return misspelled[0][1]
    return (words or longer or difflib.get_close_matches(name, sorted(collection_variables()), 1, 0))[0]
