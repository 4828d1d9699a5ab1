# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all entries of a server configuration share: the options that ParaView's dialog shows, and the command.

Source: Qt/Components/pqServerLauncher.cxx, Qt/Core/pqServerConfiguration.cxx, and measurements on 5.11.0.
"""

import re
import typing as t

from ..common.errors import SessionError
from .servers_file import Child, element

#: Types of an option.
KINDS = ("int", "str", "bool", "choice", "file")
#: Ports outside the ranges of system services and, mostly, of the kernel's automatic choice.
PORTS = (20000, 32767)
HIGHEST = 2147483647


def own(ports: t.Tuple[int, int]) -> t.List[Child]:
    """Returns new Option elements for the variables that ParaView itself reads.

    Args:
        ports: the lowest and the highest port of the user's machine; if they are equal, this port is fixed.
    """
    low, high = ports
    return [option("PV_SERVER_PORT", "Port of this machine", "int", {"min": low, "max": high, "default": low if low == high else "random"}, False),
            option("PV_CONNECT_ID", "Connect-id", "int", {"min": 1, "max": HIGHEST, "default": "random"}, False)]


def option(name: str, label: str, kind: str, about: t.Dict[str, t.Any], keep: bool, readonly: bool = False) -> Child:
    """An Option of the dialog.

    Args:
        name: of the environment variable.
        label: as the dialog shows it.
        kind: of KINDS.
        about: ``name`` (for messages), ``default``, ``min``, ``max``, ``step``, ``choices`` (list of dict: value, label).
        keep: ParaView saves the user's choice.
        readonly: the user cannot change it in the dialog.
    Raises:
        SessionError: a value is not valid in a server configuration.
    """
    default = about.get("default")
    content: t.List[t.Tuple[str, t.List[t.Tuple[str, str]], t.Sequence[Child]]]
    if kind == "int":
        low, high = str(about.get("min", 0)), str(about.get("max", HIGHEST))
        content = [("Range", [("type", "int"), ("min", low), ("max", high), ("step", str(about.get("step") or 1)),
                              ("default", str(low if default is None else default))], ())]
    elif kind == "bool":
        on = str(default).lower() in ("true", "yes", "1", "on")
        content = [("Boolean", [("true", "true"), ("false", "false"), ("default", "true" if on else "false")], ())]
    elif kind == "choice":
        choices = about.get("choices") or []
        if not choices or (default is not None and str(default) not in [str(choice["value"]) for choice in choices]):
            raise wrong("options", about["name"], "its default is none of its choices" if choices else "it has no choices", "list them in choices")
        entries = [_choice(choice) for choice in choices]
        content = [("Enumeration", [("default", str(choices[0]["value"] if default is None else default))], entries)]
    else:
        content = [("File" if kind == "file" else "String", [("default", "" if default is None else str(default))], ())]
    for _tag, attributes, _children in content:
        for _key, value in attributes:
            no_variable("options", value)
    (tag, attributes, children), = content
    head = [("name", name), ("label", no_variable("options", label)), ("save", "true" if keep else "false")] + [("readonly", "true")] * readonly
    return lambda indent: element("Option", head, [lambda deeper: element(tag, attributes, children, deeper)], indent)


def _choice(about: t.Dict[str, t.Any]) -> Child:
    value, label = no_variable("options", str(about["value"])), no_variable("options", str(about.get("label") or about["value"]))
    return lambda indent: element("Entry", [("value", value), ("label", label)], (), indent)


def server(name: str, reverse: bool, options: t.Sequence[Child], words: t.List[str], delay: str) -> str:
    """The XML of an entry.

    Args:
        name: as ParaView shows it.
        reverse: pvserver connects to ParaView.
        options: as option() returns them.
        words: the command's words, escaped for ParaView.
        delay: seconds until ParaView continues; -1: until the command has ended with status 0.
    """
    command = [lambda indent: element("Options", (), options, indent), lambda indent: element(
        "Command", [("exec", words[0]), ("delay", delay)],
        [lambda deeper: element("Arguments", (), [_argument(word) for word in words[1:]], deeper)], indent)]
    resource = "{0}://127.0.0.1:11111".format("csrc" if reverse else "cs")
    return element("Server", [("name", no_variable("name", name)), ("resource", resource), ("timeout", "-1" if reverse else "60")],
                   [lambda indent: element("CommandStartup", (), command, indent)])


def _argument(word: str) -> Child:
    return lambda indent: element("Argument", [("value", word)], (), indent)


def check_word(word: str) -> None:
    """Raises SessionError if ParaView would not pass a word on unchanged."""
    if re.search(r"[\s\"]", word):
        raise wrong("command", word, "ParaView splits a command at blanks and double quotes",
                    "put values with blanks or quotes into the inventory, and replace such a path by a symbolic link without them")
    no_variable("command", word)


def no_variable(name: str, value: str) -> str:
    """Returns the value; raises SessionError if it contains a ``$``."""
    if "$" in value:
        raise wrong(name, value, "ParaView replaces text between two $ by a variable's value", "leave the $ out")
    return value


def wrong(name: str, value: t.Any, why: str, way_out: str) -> SessionError:
    """SessionError for an option's value."""
    return SessionError("{0}: {1!r} cannot be in a server configuration".format(name, value), why, way_out + "; nothing was changed")
