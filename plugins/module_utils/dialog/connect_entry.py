# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a server configuration that runs connect.

What the user chooses in ParaView's dialog reaches the playbook by the environment, where blanks and quotes stay as they are:
ParaView takes words of a command apart. Source: Qt/Components/pqServerLauncher.cxx, and what was measured on 5.11.0.
"""

import re
import typing as t

from ..config import route_names
from ..paraview.entry_options import KINDS, PORTS, check_word, option, own, server, wrong
from ..paraview.servers_file import element

__all__ = ["KINDS", "entry"]

# What the entry itself sets.
_OURS = ("client_port", "client_process", "client_program", "client_version", "connect_id", "start_client", "route_order")


def entry(name: str, host: str, reverse: bool, command: t.List[str], options: t.List[t.Dict[str, t.Any]], port: int = 0, order: t.Sequence[str] = ()) -> str:
    """The XML of an entry.

    Args:
        name: as ParaView shows it.
        host: what connect is told as ``host``.
        reverse: pvserver calls ParaView, which then listens while connect runs.
        command: ansible-playbook, by its full path, with arguments of its own.
        options: ``name`` (a variable without ``paraview_``), ``label``, ``type`` (of KINDS), ``default``, ``min``, ``max``, ``step``,
            ``choices`` (list of dict: value, label).
        port: of this machine; 0 for another one each time.
        order: the routes to try, those of the direction; by default all of them that auto tries.
    Raises:
        SessionError: what ParaView would not pass on as it is.
    """
    order = list(order) or [one for one in route_names.ORDER if route_names.is_reverse(one) == reverse]
    for route in order:
        _check_route(route, reverse)
    if not command or not command[0].startswith("/"):
        raise wrong("command", " ".join(command), "ParaView that is started from a desktop has another PATH", "give the full path of ansible-playbook")
    asked = own((port, port) if port else PORTS)
    words = list(command) + ["sciviz.paraview.connect", "-e", "host=" + host, "-e", "paraview_route_order=" + ",".join(order),
                             "-e", _handed_on("client_port", "PV_SERVER_PORT"), "-e", _handed_on("connect_id", "PV_CONNECT_ID"),
                             "-e", _handed_on("client_process", _environment("client_process"), 0),
                             "-e", _handed_on("client_version", "PV_VERSION_FULL", "")]
    seen = set()
    for about in options:
        variable = about["name"]
        if not re.match(r"^[a-z][a-z0-9_]*\Z", variable) or variable in _OURS or variable in seen:
            raise wrong("options", variable, "it is no variable that can be chosen, or comes twice", "name each variable once, without paraview_")
        seen.add(variable)
        for route in _values(about) if variable == "route" else ():
            _check_route(route, reverse)
        asked.append(option(_environment(variable), about.get("label") or variable, about.get("type") or "str", about, True))
        words += ["-e", _handed_on(variable, _environment(variable))]
    for word in words:
        check_word(word)
    # With a delay of -1 ParaView waits until the command has ended well; a listening one has to listen meanwhile.
    return server(name, reverse, asked, words, "0" if reverse else "-1")


def _values(about: t.Dict[str, t.Any]) -> t.List[str]:
    """What an option has its user choose from, as far as it says so."""
    named = [str(one["value"]) for one in about.get("choices") or []]
    return named or [str(about["default"])] * bool(about.get("default"))


def _check_route(name: str, reverse: bool) -> None:
    """In the other direction ParaView would wait for what never comes."""
    if name != "auto" and (route_names.is_reverse(name) is not reverse):
        raise wrong("options" if name in route_names.ALL else "route", name, "it is no route in which {0}".format(
            "pvserver calls ParaView" if reverse else "ParaView calls pvserver"), "take one of " + ", ".join(
            one for one in route_names.ALL if route_names.is_reverse(one) == reverse))


def ready_entry(name: str, url: str, connect_id: int) -> str:
    """The XML of an entry for a session that is ready: ParaView connects and asks nothing. No process list shows the connect-id.

    Args:
        name: as ParaView shows it.
        url: what it opens.
        connect_id: 0 for none.
    """
    fixed = {"min": connect_id, "max": connect_id, "default": connect_id}
    # What cannot be changed is not asked for, and taken all the same.
    asked = [option("PV_CONNECT_ID", "Connect-id", "int", fixed, False, readonly=True)] if connect_id else []
    start = [lambda indent: element("Options", (), asked, indent)] if asked else []
    return element("Server", [("name", name), ("resource", url), ("timeout", "-1" if url.startswith("csrc:") else "60")],
                   [lambda indent: element("ManualStartup", (), start, indent)])


def _environment(variable: str) -> str:
    return "PARAVIEW_" + variable.upper()


def _handed_on(variable: str, environment: str, otherwise: t.Union[str, int, None] = None) -> str:
    # Without blanks or double quotes, which ParaView takes a word apart at.
    default = "" if otherwise is None else ",default='{0}'".format(otherwise)
    return "paraview_{0}={{{{lookup('ansible.builtin.env','{1}'{2})}}}}".format(variable, environment, default)
