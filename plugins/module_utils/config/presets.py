# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: variables of the job, under a name for each group of them."""

import difflib
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from . import settings_table

#: The name that stands for no preset.
NONE = "none"
_PREFIX = "paraview_"


def applied(options: t.Dict[str, t.Any], given: t.Container[str]) -> t.Dict[str, t.Any]:
    """A session's options, with the values of the preset that they name. Their types are not checked yet.

    Args:
        options: as the action got them.
        given: names of the variables on the command line, which stay.
    Raises:
        SessionError: a preset is not valid, or there is none of this name.
    """
    found = options.get("presets") or {}
    try:
        check(found)
    except ValueError as error:
        raise SessionError("paraview_presets is not valid", str(error), "correct it in the inventory; nothing was touched")
    name = str(options.get("preset") or "").strip()
    if name in ("", NONE):
        return dict(options, presets={}, preset="")
    values = {str(key): value or {} for key, value in found.items()}.get(name)
    if values is None:
        raise SessionError("there is no preset {0!r} for this host".format(one_line(name, 100)), _existing(found),
                           "name one of them (-e paraview_preset=...), or describe it in paraview_presets; nothing was touched")
    own = {key[len(_PREFIX):]: value for key, value in values.items() if key not in given}
    return dict(options, presets={}, preset=name, **own)


def names(presets: t.Dict[t.Any, t.Any]) -> t.List[str]:
    """The names of valid presets."""
    return [str(name) for name in presets]


def variables(presets: t.Dict[t.Any, t.Any]) -> t.Set[str]:
    """The variables that any of the presets sets, without their prefix."""
    return {name[len(_PREFIX):] for values in presets.values() for name in values or {}}


def check(presets: t.Any) -> t.Dict[t.Any, t.Any]:
    """The presets; ValueError if a name or a variable is not valid."""
    if not isinstance(presets, dict):
        raise ValueError("it has to be a mapping of names to mappings of variables")
    for name, values in presets.items():
        shown = one_line(name, 100)
        if shown != str(name) or not shown.strip() or shown != shown.strip() or shown == NONE:
            raise ValueError("{0!r} cannot be the name of a preset".format(shown))
        if values is not None and not isinstance(values, dict):
            raise ValueError("{0} has to be a mapping of variables, such as {{paraview_gpus_per_node: 1}}".format(shown))
        for variable in values or {}:
            _check_variable(shown, str(variable))
    return presets


def _check_variable(preset: str, variable: str) -> None:
    allowed = [_PREFIX + name for name in settings_table.PRESET]
    if variable in allowed:
        return
    shown = one_line(variable, 100)
    if variable.startswith(_PREFIX) and variable[len(_PREFIX):] in settings_table.SPEC:
        raise ValueError("{0}: {1} cannot be in a preset, since it is no variable of the job".format(preset, shown))
    near = _PREFIX + shown if _PREFIX + shown in allowed else difflib.get_close_matches(shown, allowed, 1, 0)[0]
    raise ValueError("{0}: {1} is not a variable of the job; the nearest is {2}".format(preset, shown, near))


def _existing(presets: t.Dict[t.Any, t.Any]) -> str:
    if not presets:
        return "paraview_presets has none"
    return "paraview_presets has " + ", ".join(names(presets))
