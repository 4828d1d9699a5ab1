# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a cluster in ParaView's Connect dialog, generated from the variables of its inventory host."""

import json
import re
import shlex
import typing as t

from ..common.errors import SessionError
from ..config import presets, route_names, settings

#: The host's variable that sets the options.
VARIABLE = "paraview_dialog"
# The default options, in the dialog's order.
_DEFAULTS: t.Dict[str, t.Dict[str, t.Any]] = {
    "nodes": {"label": "Nodes", "type": "int", "min": 1, "max": 1024},
    "tasks_per_node": {"label": "Processes on each node", "type": "int", "min": 1, "max": 1024},
    "walltime": {"label": "Wall time"},
    "queue": {"label": "Queue"},
    "account": {"label": "Account"},
    "route": {"label": "Route"},
}
_KEYS = ("label", "type", "default", "min", "max", "step", "choices")
_NOT_OFFERED = ("client_host", "client_port", "client_process", "client_program", "client_version", "connect_id", "json", "route_order", "schedulers",
                "start_client", "notify", "detach", "node_name", "presets")
# Ansible's variables for the address of a cluster. Variables for the user's account are left out.
_CONNECTION = ("ansible_host", "ansible_port", "ansible_ssh_common_args", "ansible_ssh_extra_args")

_PERSONAL = re.compile(r"@|(?:^|\s)-[il]|(?i:user\b|identityfile|certificatefile)")


def directions(variables: t.Dict[str, t.Any]) -> t.List[str]:
    """The directions for which this cluster has a route: forward, reverse.

    Args:
        variables: of its inventory host.
    """
    return [name for name in ("forward", "reverse") if ways(variables, name == "reverse")]


def options(variables: t.Dict[str, t.Any], reverse: bool) -> t.List[t.Dict[str, t.Any]]:
    """The options for server_config.

    Args:
        variables: of the inventory host.
        reverse: for the direction in which pvserver connects.
    Returns:
        In the format of server_config's options.
    Raises:
        SessionError: the host's variable is not valid.
    """
    requested = variables.get(VARIABLE) or {}
    if not isinstance(requested, dict):
        raise _wrong(requested, "it is no mapping of variables")
    offered = dict(_offered_first(variables, requested), **{name: {} for name in requested if name not in _DEFAULTS})
    found = []
    for name, default in offered.items():
        if requested.get(name, {}) is False:
            continue
        about = _option(name, default, requested.get(name, {}))
        if name == "route":
            fitting = ["auto"] + ways(variables, reverse)
            about["choices"] = [choice for choice in about.get("choices") or _choices(fitting) if choice["value"] in fitting] or _choices(fitting)
        _set_default(name, about, variables)
        found.append(about)
    return found


def _offered_first(variables: t.Dict[str, t.Any], requested: t.Dict[str, t.Any]) -> t.Dict[str, t.Dict[str, t.Any]]:
    """The default options. With presets, a list of them is the first, and what they set is offered only if it is requested: a choice of the dialog is on the
    command line of connect, and would replace that of the preset."""
    try:
        found = presets.check(variables.get("paraview_presets") or {})
    except ValueError as error:
        raise SessionError("paraview_presets is not valid", str(error), "correct it in the inventory; nothing was changed")
    if not found:
        return _DEFAULTS
    own = presets.variables(found)
    listed = {"label": "Preset", "choices": [presets.NONE] + presets.names(found), "default": variables.get("paraview_preset") or presets.NONE}
    return dict({"preset": listed}, **{name: about for name, about in _DEFAULTS.items() if name not in own or name in requested})


def _option(name: str, default: t.Dict[str, t.Any], requested: t.Any) -> t.Dict[str, t.Any]:
    if name not in settings.SPEC or name in _NOT_OFFERED:
        raise _wrong(name, "the dialog cannot offer a variable of this name")
    if isinstance(requested, list):
        requested = {"choices": requested}
    if requested is None or requested is True:
        requested = {}
    if not isinstance(requested, dict) or set(requested) - set(_KEYS):
        raise _wrong({name: requested}, "it must be a list of choices, or a mapping of {0}, or false".format(", ".join(_KEYS)))
    kind = {"int": "int", "bool": "bool"}.get(settings.SPEC[name]["type"], "str")
    about = dict({"label": name.replace("_", " ").capitalize(), "type": kind}, **default)
    about.update(requested, name=name)
    if name != "route" and settings.SPEC[name]["type"] == "str" and "choices" in settings.SPEC[name]:
        about.setdefault("choices", settings.SPEC[name]["choices"])
    if "choices" in about:
        about["choices"] = _choices(about["choices"])
    return about


def _choices(values: t.Any) -> t.List[t.Dict[str, str]]:
    if not isinstance(values, list) or not values or any(isinstance(one, dict) and "value" not in one for one in values):
        raise _wrong(values, "choices must be a list of values, or of mappings of value and label")
    return [{key: str(text) for key, text in one.items()} if isinstance(one, dict) else {"value": str(one)} for one in values]


def _set_default(name: str, about: t.Dict[str, t.Any], variables: t.Dict[str, t.Any]) -> None:
    """Sets an option's type, and the host's own value as its default."""
    if "choices" in about:
        about["type"] = "choice"
    value = about.get("default", variables.get("paraview_" + name, settings.SPEC[name].get("default", "")))
    value = _text(name, value)
    if about["type"] == "choice":
        values = [one["value"] for one in about["choices"]]
        value = value if value in values else values[0]
    about["default"] = value


def _text(name: str, value: t.Any) -> str:
    """A value as the line of text that connect parses."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    if settings.SPEC[name]["type"] == "list":
        if any("," in str(one) for one in value):
            raise _wrong({name: value}, "an item with a comma cannot be typed in the dialog")
        return ",".join(str(one) for one in value)
    return " ".join(shlex.quote(str(one)) for one in value)


def ways(variables: t.Dict[str, t.Any], reverse: bool) -> t.List[str]:
    """The routes of one direction that the host's variables allow."""
    named = variables.get("paraview_route", "auto")
    order = [named] if named != "auto" else list(variables.get("paraview_route_order") or route_names.ORDER)
    return [name for name in order if route_names.is_reverse(name) is bool(reverse)]


def inventory(clusters: t.Dict[str, t.Dict[str, t.Any]]) -> str:
    """An inventory for the playbook that an entry runs.

    Args:
        clusters: variables by host name.
    Returns:
        YAML without templates.
    Raises:
        SessionError: it would contain an account or its key, which all users could read.
    """
    lines = ["# Written by sciviz.paraview.workstation; changes here are lost.\n", "all:\n", "  hosts:\n"]
    for name, variables in clusters.items():
        lines.append("    {0}:{1}\n".format(json.dumps(name), "" if kept(variables) else " {}"))
        for key, value in kept(variables).items():
            text = json.dumps(value, sort_keys=True)
            lines.append("      {0}: {1}{2}\n".format(key, "!unsafe " if re.search(r"\{[{%#]", text) else "", text))
    return "".join(lines)


def kept(variables: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The variables of a cluster that connect needs on another machine; SessionError if they name an account or its key."""
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        if _PERSONAL.search(str(variables.get(name, ""))):
            raise SessionError("{0}: {1!r} cannot be used for all users".format(name, variables[name]), "it names an account or a key",
                               "leave accounts and keys to each user's ~/.ssh/config; nothing was changed")
    return {name: variables[name] for name in known_names() if name in variables}


def known_names() -> t.List[str]:
    """The names of the variables that connect may need."""
    kept_too = ("schedulers", "route_order", "node_name", "presets")
    return list(_CONNECTION) + ["paraview_" + name for name in settings.SPEC if name not in _NOT_OFFERED or name in kept_too]


def _wrong(value: t.Any, why: str) -> SessionError:
    return SessionError("{0}: {1!r} is not valid".format(VARIABLE, value), why, "correct it in the inventory; nothing was changed")
