# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the entries of a server configuration have in common: the options that ParaView's dialog shows, and the words of a command.

Source: Qt/Components/pqServerLauncher.cxx, Qt/Core/pqServerConfiguration.cxx, and what was measured on 5.11.0.
"""

import re
import typing as t

from ..common.errors import SessionError
from .servers_file import Child, element

#: How an option may be chosen: what it is called here.
KINDS = ("int", "str", "bool", "choice", "file")
#: Ports that neither services nor, mostly, the kernel hand out by themselves.
PORTS = (20000, 32767)
HIGHEST = 2147483647


def own(ports: t.Tuple[int, int]) -> t.List[Child]:
    """The options that ParaView itself heeds, new ones each time.

    Args:
        ports: the least and the greatest port of the user's machine; where they are one, it is that.
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
        keep: ParaView remembers what was chosen.
        readonly: the dialog does not let it be changed.
    Raises:
        SessionError: a value that cannot be in it.
    """
    default = about.get("default")
    what: t.List[t.Tuple[str, t.List[t.Tuple[str, str]], t.Sequence[Child]]]
    if kind == "int":
        low, high = str(about.get("min", 0)), str(about.get("max", HIGHEST))
        what = [("Range", [("type", "int"), ("min", low), ("max", high), ("step", str(about.get("step") or 1)),
                           ("default", str(low if default is None else default))], ())]
    elif kind == "bool":
        on = str(default).lower() in ("true", "yes", "1", "on")
        what = [("Boolean", [("true", "true"), ("false", "false"), ("default", "true" if on else "false")], ())]
    elif kind == "choice":
        choices = about.get("choices") or []
        if not choices or (default is not None and str(default) not in [str(one["value"]) for one in choices]):
            raise wrong("options", about["name"], "its default is none of its choices" if choices else "it has no choices", "list them in choices")
        entries = [_choice(one) for one in choices]
        what = [("Enumeration", [("default", str(choices[0]["value"] if default is None else default))], entries)]
    else:
        what = [("File" if kind == "file" else "String", [("default", "" if default is None else str(default))], ())]
    for _tag, attributes, _children in what:
        for _key, value in attributes:
            no_variable("options", value)
    (tag, attributes, children), = what
    head = [("name", name), ("label", no_variable("options", label)), ("save", "true" if keep else "false")] + [("readonly", "true")] * readonly
    return lambda indent: element("Option", head, [lambda deeper: element(tag, attributes, children, deeper)], indent)


def _choice(one: t.Dict[str, t.Any]) -> Child:
    value, label = no_variable("options", str(one["value"])), no_variable("options", str(one.get("label") or one["value"]))
    return lambda indent: element("Entry", [("value", value), ("label", label)], (), indent)


def server(name: str, reverse: bool, options: t.Sequence[Child], words: t.List[str], delay: str) -> str:
    """The XML of an entry.

    Args:
        name: as ParaView shows it.
        reverse: pvserver calls ParaView.
        options: as option() gives them.
        words: the command, in the form in which ParaView is to find them.
        delay: seconds until ParaView goes on; -1: until the command has ended well.
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
    """SessionError for a word that ParaView would not pass on as it is."""
    if re.search(r"[\s\"]", word):
        raise wrong("command", word, "ParaView takes words apart at blanks and double quotes",
                    "put what has them into the inventory, or a link without them in the place of a path")
    no_variable("command", word)


def no_variable(name: str, value: str) -> str:
    """A value without a ``$``; SessionError for another."""
    if "$" in value:
        raise wrong(name, value, "ParaView would put something else in the place of what stands between two $", "leave the $ out")
    return value


def wrong(name: str, value: t.Any, why: str, way_out: str) -> SessionError:
    """SessionError for an option's value."""
    return SessionError("{0}: {1!r} cannot be in a server configuration".format(name, value), why, way_out + "; nothing was changed")
