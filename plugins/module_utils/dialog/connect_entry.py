# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a server configuration that runs connect.

The user's choices in ParaView's dialog are passed to the playbook by the environment, where blanks and quotes stay unchanged:
ParaView would split a command at them. Source: Qt/Components/pqServerLauncher.cxx, and measurements on 5.11.0.
"""

import re
import typing as t

from ..config import route_names
from ..paraview.entry_options import KINDS, PORTS, check_word, option, own, server, wrong
from ..paraview.servers_file import element

__all__ = ["KINDS", "entry"]

# Variables that the entry itself sets.
_SET_BY_ENTRY = ("client_port", "client_process", "client_program", "client_version", "connect_id", "start_client", "route_order")


def entry(name: str, host: str, reverse: bool, command: t.List[str], options: t.List[t.Dict[str, t.Any]], port: int = 0, order: t.Sequence[str] = ()) -> str:
    """The XML of an entry.

    Args:
        name: as ParaView shows it.
        host: connect's variable ``host``.
        reverse: pvserver connects to ParaView, which listens while connect runs.
        command: the full path of ansible-playbook, and arguments for it.
        options: ``name`` (a variable without ``paraview_``), ``label``, ``type`` (of KINDS), ``default``, ``min``, ``max``, ``step``,
            ``choices`` (list of dict: value, label).
        port: of this machine; 0 for a new one each time.
        order: the routes to try, all of this direction; by default those that auto tries.
    Raises:
        SessionError: ParaView would not pass a value on unchanged.
    """
    order = list(order) or [name for name in route_names.ORDER if route_names.is_reverse(name) == reverse]
    for route in order:
        _check_route(route, reverse)
    if not command or not command[0].startswith("/"):
        raise wrong("command", " ".join(command), "a ParaView that is started from a desktop has another PATH", "give the full path of ansible-playbook")
    dialog_options = own((port, port) if port else PORTS)
    words = list(command) + ["sciviz.paraview.connect", "-e", "host=" + host, "-e", "paraview_route_order=" + ",".join(order),
                             "-e", _from_environment("client_port", "PV_SERVER_PORT"), "-e", _from_environment("connect_id", "PV_CONNECT_ID"),
                             "-e", _from_environment("client_process", _environment("client_process"), 0),
                             "-e", _from_environment("client_version", "PV_VERSION_FULL", "")]
    seen = set()
    for about in options:
        variable = about["name"]
        if not re.match(r"^[a-z][a-z0-9_]*\Z", variable) or variable in _SET_BY_ENTRY or variable in seen:
            raise wrong("options", variable, "the dialog cannot offer a variable of this name, or it is repeated", "name each variable once, without paraview_")
        seen.add(variable)
        for route in _values(about) if variable == "route" else ():
            _check_route(route, reverse)
        dialog_options.append(option(_environment(variable), about.get("label") or variable, about.get("type") or "str", about, True))
        words += ["-e", _from_environment(variable, _environment(variable))]
    for word in words:
        check_word(word)
    # With a delay of -1 ParaView waits until the command has ended with status 0. In a reverse connection it must listen while the command runs.
    return server(name, reverse, dialog_options, words, "0" if reverse else "-1")


def _values(about: t.Dict[str, t.Any]) -> t.List[str]:
    """The choices of an option, or else its default, if any."""
    values = [str(choice["value"]) for choice in about.get("choices") or []]
    return values or [str(about["default"])] * bool(about.get("default"))


def _check_route(name: str, reverse: bool) -> None:
    """Refuses a route of the other direction, with which ParaView would wait for a connection in vain."""
    if name != "auto" and (route_names.is_reverse(name) is not reverse):
        raise wrong("options" if name in route_names.ALL else "route", name, "it is no route in which {0}".format(
            "pvserver connects to ParaView" if reverse else "ParaView connects to pvserver"), "use one of " + ", ".join(
            route for route in route_names.ALL if route_names.is_reverse(route) == reverse))


def ready_entry(name: str, url: str, connect_id: int) -> str:
    """The XML of an entry for a session that is ready: ParaView connects without a dialog. No process list shows the connect-id.

    Args:
        name: as ParaView shows it.
        url: the URL that ParaView opens.
        connect_id: 0 for none.
    """
    fixed = {"min": connect_id, "max": connect_id, "default": connect_id}
    # ParaView uses the value of a read-only option without a dialog.
    dialog_options = [option("PV_CONNECT_ID", "Connect-id", "int", fixed, False, readonly=True)] if connect_id else []
    start = [lambda indent: element("Options", (), dialog_options, indent)] if dialog_options else []
    return element("Server", [("name", name), ("resource", url), ("timeout", "-1" if url.startswith("csrc:") else "60")],
                   [lambda indent: element("ManualStartup", (), start, indent)])


def _environment(variable: str) -> str:
    return "PARAVIEW_" + variable.upper()


def _from_environment(variable: str, environment: str, otherwise: t.Union[str, int, None] = None) -> str:
    # No blanks and no double quotes, at which ParaView would split the word.
    default = "" if otherwise is None else ",default='{0}'".format(otherwise)
    return "paraview_{0}={{{{lookup('ansible.builtin.env','{1}'{2})}}}}".format(variable, environment, default)
