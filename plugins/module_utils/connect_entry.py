# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a server configuration that runs connect.

What the user chooses in ParaView's dialog reaches the playbook by the environment, where blanks and quotes stay as they are:
ParaView takes words of a command apart. Source: Qt/Components/pqServerLauncher.cxx, and what was measured on 5.11.0.
"""

import re

from .errors import SessionError
from .pvsc import element

#: How an option may be chosen: what it is called here.
KINDS = ("int", "str", "bool", "choice", "file")
_ROUTES = {False: "node_tunnel,forward_tunnel", True: "node_tunnel_reverse,reverse_tunnel,reverse_tunnel_relay"}
# Ports that neither services nor, mostly, the kernel hand out by themselves.
_PORTS = ("20000", "32767")
_HIGHEST_ID = "2147483647"
# What the entry itself sets.
_OURS = ("client_port", "client_process", "connect_id", "start_client", "route_order")


def entry(name, host, reverse, command, options, port=0):
    """The XML of an entry.

    Args:
        name (str): as ParaView shows it.
        host (str): what connect is told as ``host``.
        reverse (bool): pvserver calls ParaView, which then listens while connect runs.
        command (list[str]): ansible-playbook, by its full path, with arguments of its own.
        options (list[dict]): ``name`` (a variable without ``paraview_``), ``label``, ``type`` (of KINDS), ``default``, ``min``, ``max``, ``step``,
            ``choices`` (list of dict: value, label).
        port (int): of this machine; 0 for another one each time.
    Returns:
        str
    Raises:
        SessionError: what ParaView would not pass on as it is.
    """
    if not command or not command[0].startswith("/"):
        raise _wrong("command", " ".join(command), "ParaView that is started from a desktop has another PATH", "give the full path of ansible-playbook")
    ports = (str(port), str(port)) if port else _PORTS
    asked = [_option("PV_SERVER_PORT", "Port of this machine", "int", {"min": ports[0], "max": ports[1], "default": ports[0] if port else "random"}, False),
             _option("PV_CONNECT_ID", "Connect-id", "int", {"min": "1", "max": _HIGHEST_ID, "default": "random"}, False)]
    words = list(command) + ["sciviz.paraview.connect", "-e", "host=" + host, "-e", "paraview_route_order=" + _ROUTES[reverse],
                             "-e", _handed_on("client_port", "PV_SERVER_PORT"), "-e", _handed_on("connect_id", "PV_CONNECT_ID"),
             "-e", _handed_on("client_process", _environment("client_process"), 0)]
    seen = set()
    for about in options:
        variable = about["name"]
        if not re.match(r"^[a-z][a-z0-9_]*\Z", variable) or variable in _OURS or variable in seen:
            raise _wrong("options", variable, "it is no variable that can be chosen, or comes twice", "name each variable once, without paraview_")
        seen.add(variable)
        asked.append(_option(_environment(variable), about.get("label") or variable, about.get("type") or "str", about, True))
        words += ["-e", _handed_on(variable, _environment(variable))]
    for word in words:
        _check_word(word)
    # With a delay of -1 ParaView waits until the command has ended well; a listening one has to listen meanwhile.
    start = [lambda indent: element("Options", (), asked, indent), lambda indent: element(
        "Command", [("exec", words[0]), ("delay", "0" if reverse else "-1")],
        [lambda deeper: element("Arguments", (), [_argument(word) for word in words[1:]], deeper)], indent)]
    resource = "{0}://{1}:11111".format("csrc" if reverse else "cs", "127.0.0.1")
    return element("Server", [("name", _no_variable("name", name)), ("resource", resource), ("timeout", "-1" if reverse else "60")],
                   [lambda indent: element("CommandStartup", (), start, indent)])


def ready_entry(name, url, connect_id):
    """The XML of an entry for a session that is ready: ParaView connects and asks nothing. No process list shows the connect-id.

    Args:
        name (str): as ParaView shows it.
        url (str): what it opens.
        connect_id (int): 0 for none.
    Returns:
        str
    """
    fixed = {"min": str(connect_id), "max": str(connect_id), "default": str(connect_id)}
    # What cannot be changed is not asked for, and taken all the same.
    asked = [_option("PV_CONNECT_ID", "Connect-id", "int", fixed, False, readonly=True)] if connect_id else []
    start = [lambda indent: element("Options", (), asked, indent)] if asked else []
    return element("Server", [("name", name), ("resource", url), ("timeout", "-1" if url.startswith("csrc:") else "60")],
                   [lambda indent: element("ManualStartup", (), start, indent)])


def _environment(variable):
    return "PARAVIEW_" + variable.upper()


def _handed_on(variable, environment, otherwise=None):
    # Without blanks or double quotes, which ParaView takes a word apart at.
    default = "" if otherwise is None else ",default='{0}'".format(otherwise)
    return "paraview_{0}={{{{lookup('ansible.builtin.env','{1}'{2})}}}}".format(variable, environment, default)


def _argument(word):
    return lambda indent: element("Argument", [("value", word)], (), indent)


def _option(name, label, kind, about, keep, readonly=False):
    """A callable that gives an Option's text at an indent."""
    default = about.get("default")
    if kind == "int":
        low, high = str(about.get("min", 0)), str(about.get("max", _HIGHEST_ID))
        what = [("Range", [("type", "int"), ("min", low), ("max", high), ("step", str(about.get("step") or 1)),
                           ("default", str(low if default is None else default))], ())]
    elif kind == "bool":
        on = str(default).lower() in ("true", "yes", "1", "on")
        what = [("Boolean", [("true", "true"), ("false", "false"), ("default", "true" if on else "false")], ())]
    elif kind == "choice":
        choices = about.get("choices") or []
        if not choices or (default is not None and str(default) not in [str(one["value"]) for one in choices]):
            raise _wrong("options", about["name"], "its default is none of its choices" if choices else "it has no choices", "list them in choices")
        entries = [_choice(one) for one in choices]
        what = [("Enumeration", [("default", str(choices[0]["value"] if default is None else default))], entries)]
    else:
        what = [("File" if kind == "file" else "String", [("default", "" if default is None else str(default))], ())]
    for _tag, attributes, _children in what:
        for _key, value in attributes:
            _no_variable("options", value)
    (tag, attributes, children), = what
    head = [("name", name), ("label", _no_variable("options", label)), ("save", "true" if keep else "false")] + [("readonly", "true")] * readonly
    return lambda indent: element("Option", head, [lambda deeper: element(tag, attributes, children, deeper)], indent)


def _choice(one):
    value, label = _no_variable("options", str(one["value"])), _no_variable("options", str(one.get("label") or one["value"]))
    return lambda indent: element("Entry", [("value", value), ("label", label)], (), indent)


def _check_word(word):
    if re.search(r"[\s\"]", word):
        raise _wrong("command", word, "ParaView takes words apart at blanks and double quotes",
                     "put what has them into the inventory, or a link without them in the place of a path")
    _no_variable("command", word)


def _no_variable(option, value):
    if "$" in value:
        raise _wrong(option, value, "ParaView would put something else in the place of what stands between two $", "leave the $ out")
    return value


def _wrong(option, value, why, way_out):
    return SessionError("{0}: {1!r} cannot be in a server configuration".format(option, value), why, way_out + "; nothing was changed")
