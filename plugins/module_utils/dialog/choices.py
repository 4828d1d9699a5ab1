# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ParaView's Connect dialog offers of a cluster, drawn from the variables of its inventory host."""

import json
import re
import shlex
import typing as t

from ..common.errors import SessionError
from ..config import route_names, settings

#: The variable in which a host says what may be chosen.
VARIABLE = "paraview_dialog"
# What is offered where a host says nothing else, in the dialog's order.
_USUAL: t.Dict[str, t.Dict[str, t.Any]] = {
    "nodes": {"label": "Nodes", "type": "int", "min": 1, "max": 1024},
    "tasks_per_node": {"label": "Processes on each node", "type": "int", "min": 1, "max": 1024},
    "walltime": {"label": "Wall time"},
    "queue": {"label": "Queue"},
    "account": {"label": "Account"},
    "route": {"label": "Route"},
}
_KNOWN = ("label", "type", "default", "min", "max", "step", "choices")
_NOT_OFFERED = ("client_host", "client_port", "client_process", "client_program", "client_version", "connect_id", "json", "route_order", "schedulers",
                "start_client", "detach")
# Of Ansible's own variables those that say where a cluster is; who calls there is everybody's own business.
_CONNECTION = ("ansible_host", "ansible_port", "ansible_ssh_common_args", "ansible_ssh_extra_args")

_PERSONAL = re.compile(r"@|(?:^|\s)-[il]|(?i:user\b|identityfile|certificatefile)")


def directions(variables: t.Dict[str, t.Any]) -> t.List[str]:
    """The directions in which a route of this cluster may lead: forward, reverse.

    Args:
        variables: of its inventory host.
    """
    return [name for name in ("forward", "reverse") if ways(variables, name == "reverse")]


def options(variables: t.Dict[str, t.Any], reverse: bool) -> t.List[t.Dict[str, t.Any]]:
    """What server_config is to offer.

    Args:
        variables: of the inventory host.
        reverse: for the direction in which pvserver calls.
    Returns:
        In the form of server_config's options.
    Raises:
        SessionError: a wanted that cannot be.
    """
    options = variables.get(VARIABLE) or {}
    if not isinstance(options, dict):
        raise _wrong(options, "it is no mapping of variables")
    offered = dict(_USUAL, **{name: {} for name in options if name not in _USUAL})
    found = []
    for name, usual in offered.items():
        wanted = options.get(name, {})
        if wanted is False:
            continue
        about = _option(name, usual, wanted)
        if name == "route":
            fitting = ["auto"] + ways(variables, reverse)
            about["choices"] = [one for one in about.get("choices") or _choices(fitting) if one["value"] in fitting] or _choices(fitting)
        _fit(name, about, variables)
        found.append(about)
    return found


def _option(name: str, usual: t.Dict[str, t.Any], wanted: t.Any) -> t.Dict[str, t.Any]:
    if name not in settings.SPEC or name in _NOT_OFFERED:
        raise _wrong(name, "it is no variable that can be chosen")
    if isinstance(wanted, list):
        wanted = {"choices": wanted}
    if wanted is None or wanted is True:
        wanted = {}
    if not isinstance(wanted, dict) or set(wanted) - set(_KNOWN):
        raise _wrong({name: wanted}, "it is a list of choices, or a mapping of {0}, or false".format(", ".join(_KNOWN)))
    kind = {"int": "int", "bool": "bool"}.get(settings.SPEC[name]["type"], "str")
    about = dict({"label": name.replace("_", " ").capitalize(), "type": kind}, **usual)
    about.update(wanted, name=name)
    if name != "route" and settings.SPEC[name]["type"] == "str" and "choices" in settings.SPEC[name]:
        about.setdefault("choices", settings.SPEC[name]["choices"])
    if "choices" in about:
        about["choices"] = _choices(about["choices"])
    return about


def _choices(values: t.Any) -> t.List[t.Dict[str, str]]:
    if not isinstance(values, list) or not values or any(isinstance(one, dict) and "value" not in one for one in values):
        raise _wrong(values, "choices are a list of values, or of mappings of value and label")
    return [{key: str(text) for key, text in one.items()} if isinstance(one, dict) else {"value": str(one)} for one in values]


def _fit(name: str, about: t.Dict[str, t.Any], variables: t.Dict[str, t.Any]) -> None:
    """Gives an option its default, the host's own value, and its kind."""
    if "choices" in about:
        about["type"] = "choice"
    value = about.get("default", variables.get("paraview_" + name, settings.SPEC[name].get("default", "")))
    value = _text(name, value)
    if about["type"] == "choice":
        values = [one["value"] for one in about["choices"]]
        value = value if value in values else values[0]
    about["default"] = value


def _text(name: str, value: t.Any) -> str:
    """A value in the form in which connect takes it from a line of text."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    if settings.SPEC[name]["type"] == "list":
        if any("," in str(one) for one in value):
            raise _wrong({name: value}, "no line of text can hold it")
        return ",".join(str(one) for one in value)
    return " ".join(shlex.quote(str(one)) for one in value)


def ways(variables: t.Dict[str, t.Any], reverse: bool) -> t.List[str]:
    """The routes of one direction that the host leaves open."""
    named = variables.get("paraview_route", "auto")
    order = [named] if named != "auto" else list(variables.get("paraview_route_order") or route_names.ORDER)
    return [name for name in order if route_names.is_reverse(name) is bool(reverse)]


def inventory(clusters: t.Dict[str, t.Dict[str, t.Any]]) -> str:
    """An inventory for the playbook that an entry runs.

    Args:
        clusters: variables by host name.
    Returns:
        YAML, in which nothing is a template.
    Raises:
        SessionError: it would tell everybody who logs in there.
    """
    lines = ["# Written by sciviz.paraview.workstation; changes here are lost.\n", "all:\n", "  hosts:\n"]
    for name, variables in clusters.items():
        lines.append("    {0}:{1}\n".format(json.dumps(name), "" if kept(variables) else " {}"))
        for key, value in kept(variables).items():
            text = json.dumps(value, sort_keys=True)
            lines.append("      {0}: {1}{2}\n".format(key, "!unsafe " if re.search(r"\{[{%#]", text) else "", text))
    return "".join(lines)


def kept(variables: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What of a cluster's variables connect needs on another machine; SessionError where it names an account or its key."""
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        if _PERSONAL.search(str(variables.get(name, ""))):
            raise SessionError("{0}: {1!r} cannot be for everybody".format(name, variables[name]), "it names an account or a key",
                               "leave that to each user's ~/.ssh/config; nothing was changed")
    return {name: variables[name] for name in known_names() if name in variables}


def known_names() -> t.List[str]:
    """The variables that connect may need."""
    return list(_CONNECTION) + ["paraview_" + name for name in settings.SPEC if name not in _NOT_OFFERED or name in ("schedulers", "route_order")]


def _wrong(value: t.Any, why: str) -> SessionError:
    return SessionError("{0}: {1!r} cannot be".format(VARIABLE, value), why, "correct it in the inventory; nothing was changed")
