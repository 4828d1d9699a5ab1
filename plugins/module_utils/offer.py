# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ParaView's Connect dialog offers of a cluster, drawn from the variables of its inventory host."""

import json
import re

from . import routes, settings
from .errors import SessionError

#: The variable in which a host says what may be chosen.
VARIABLE = "paraview_dialog"
# What is offered where a host says nothing else, in the dialog's order.
_USUAL = {
    "nodes": {"label": "Nodes", "type": "int", "min": 1, "max": 1024},
    "tasks_per_node": {"label": "Processes on each node", "type": "int", "min": 1, "max": 1024},
    "walltime": {"label": "Wall time"},
    "queue": {"label": "Queue"},
    "account": {"label": "Account"},
    "route": {"label": "Route"},
}
_KNOWN = ("label", "type", "default", "min", "max", "step", "choices")
_NOT_OFFERED = ("client_host", "client_port", "client_process", "connect_id", "json", "route_order", "schedulers", "start_client", "detach")
# Of Ansible's own variables those that say where a cluster is; who calls there is everybody's own business.
_CONNECTION = ("ansible_host", "ansible_port", "ansible_ssh_common_args", "ansible_ssh_extra_args")


def directions(variables):
    """list[str]: the directions in which a route of this cluster may lead: forward, reverse.

    Args:
        variables (dict): of its inventory host.
    """
    return [name for name in ("forward", "reverse") if _routes(variables, name == "reverse")]


def options(variables, reverse):
    """What server_config is to offer.

    Args:
        variables (dict): of the inventory host.
        reverse (bool): for the direction in which pvserver calls.
    Returns:
        list[dict]: in the form of server_config's options.
    Raises:
        SessionError: a wish that cannot be.
    """
    wishes = variables.get(VARIABLE) or {}
    if not isinstance(wishes, dict):
        raise _wrong(wishes, "it is no mapping of variables")
    offered = dict(_USUAL, **{name: {} for name in wishes if name not in _USUAL})
    found = []
    for name, usual in offered.items():
        wish = wishes.get(name, {})
        if wish is False:
            continue
        about = _option(name, usual, wish)
        if name == "route" and "choices" not in about:
            about["choices"] = _choices(["auto"] + _routes(variables, reverse))
        _fit(name, about, variables)
        found.append(about)
    return found


def _option(name, usual, wish):
    if name not in settings.SPEC or name in _NOT_OFFERED:
        raise _wrong(name, "it is no variable that can be chosen")
    if isinstance(wish, list):
        wish = {"choices": wish}
    if wish is None or wish is True:
        wish = {}
    if not isinstance(wish, dict) or set(wish) - set(_KNOWN):
        raise _wrong({name: wish}, "it is a list of choices, or a mapping of {0}, or false".format(", ".join(_KNOWN)))
    kind = {"int": "int", "bool": "bool"}.get(settings.SPEC[name]["type"], "str")
    about = dict({"label": name.replace("_", " ").capitalize(), "type": kind}, **usual)
    about.update(wish, name=name)
    if "choices" in about:
        about["choices"] = _choices(about["choices"])
    return about


def _choices(values):
    return [{key: str(text) for key, text in one.items()} if isinstance(one, dict) else {"value": str(one)} for one in values]


def _fit(name, about, variables):
    """Gives an option its default, the host's own value, and its kind."""
    if "choices" in about:
        about["type"] = "choice"
    value = about.get("default", variables.get("paraview_" + name, settings.SPEC[name].get("default", "")))
    if about["type"] == "choice":
        values = [one["value"] for one in about["choices"]]
        value = str(value) if str(value) in values else values[0] if values else ""
    about["default"] = str(value)


def _routes(variables, reverse):
    """list[str]: the routes of one direction that the host leaves open."""
    named = variables.get("paraview_route", "auto")
    order = [named] if named != "auto" else list(variables.get("paraview_route_order") or routes.ORDER)
    return [name for name in order if name in routes.ROUTES and routes.ROUTES[name].reverse == reverse]


def inventory(clusters):
    """An inventory for the playbook that an entry runs.

    Args:
        clusters (dict): variables (dict) by host name.
    Returns:
        str: YAML, in which nothing is a template.
    """
    lines = ["# Written by sciviz.paraview.client; changes here are lost.\n", "all:\n", "  hosts:\n"]
    for name, variables in clusters.items():
        lines.append("    {0}:{1}\n".format(json.dumps(name), "" if kept(variables) else " {}"))
        for key, value in kept(variables).items():
            text = json.dumps(value, sort_keys=True)
            lines.append("      {0}: {1}{2}\n".format(key, "!unsafe " if re.search(r"\{[{%#]", text) else "", text))
    return "".join(lines)


def kept(variables):
    """dict: what of a cluster's variables connect needs on another machine."""
    names = list(_CONNECTION) + ["paraview_" + name for name in settings.SPEC if name not in _NOT_OFFERED or name in ("schedulers", "route_order")]
    return {name: variables[name] for name in names if name in variables}


def _wrong(value, why):
    return SessionError("{0}: {1!r} cannot be".format(VARIABLE, value), why, "correct it in the inventory; nothing was changed")
