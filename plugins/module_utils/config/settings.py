# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may ask of a session: the checks that types alone do not make. The settings stand in meta/settings.yml, and settings_table.py is made from it."""

import json
import re
import shlex
import typing as t

from ..common import durations, listeners
from ..common.errors import SessionError
from ..paraview import installed, pvserver, rendering
from ..schedulers import directives, mpi, validation
from ..schedulers.directives import asked
from . import route_names, settings_table

#: The options of the session action, in the form of Ansible's argument specs; a variable is its name behind paraview_.
SPEC = settings_table.SPEC
#: The word of modules, in their last place, that has a module searched for.
AUTO = "auto"
_WORDS_FOR_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "": False}


def check(options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """Options with every value in its final form.

    Args:
        options: names and types of SPEC.
    Returns:
        walltime, queue_timeout, client_timeout and reconnect_timeout in seconds; mpi_launcher (None: the batch system's), pvserver and start_client
        (False, True or a list) as lists of words; connect_id an int, None for a random one.
    Raises:
        SessionError: a value that cannot be; it names the variable, the value and the way out.
    """
    known = dict(options)
    for name, form in settings_table.FORMS.items():
        try:
            known[name] = _READERS[form](known[name])
        except ValueError as error:
            raise wrong(name, options[name], str(error))
    for name, (lowest, highest, why) in settings_table.NUMBERS.items():
        if known[name] < lowest or (highest is not None and known[name] > highest):
            raise wrong(name, known[name], why)
    if known["reconnect_port"] and known["reconnect_port"] == known["client_port"]:
        raise wrong("reconnect_port", known["reconnect_port"], "ParaView has that port (paraview_client_port)")
    if known["client_process"] and known["client_host"]:
        raise wrong("client_process", known["client_process"], settings_table.NUMBERS["client_process"][-1])
    for name, (_pattern, why) in settings_table.PATTERNS.items():
        if known[name] and not fits(name, known[name]):
            raise wrong(name, known[name], why)
    for name in ("directives", "modules"):
        for value in known[name]:
            if re.search(r"[\n\r\0]", value) or not value.strip():
                raise wrong(name, value, "each entry is one line that says something")
    if not known["route_order"]:
        raise wrong("route_order", known["route_order"], "it names no route; known are " + ", ".join(route_names.ORDER))
    if known["rendering"] not in rendering.CHOICES:
        raise wrong("rendering", known["rendering"], "it is one of " + ", ".join(rendering.CHOICES))
    if not known["pvserver"]:
        raise wrong("pvserver", options["pvserver"], "it names no command")
    if known["mpi_launcher"] == [] and known["nodes"] * known["tasks_per_node"] > 1:
        raise wrong("mpi_launcher", options["mpi_launcher"], "{0} processes need one".format(known["nodes"] * known["tasks_per_node"]))
    if known["job_id"] and known["scheduler"] == "none":
        raise wrong("job_id", known["job_id"], "without a batch system there are no jobs")
    tables = validation.tables(known["schedulers"])
    # As the session's record gives it back.
    known["schedulers"] = json.loads(json.dumps(known["schedulers"]))
    if known["scheduler"] in tables:
        directives.check(tables[known["scheduler"]], asked(known, {}))
    elif known["scheduler"] != "auto":
        raise wrong("scheduler", known["scheduler"], "known are auto, {0}; another one is described in paraview_schedulers".format(", ".join(sorted(tables))))
    return known


def fits(name: str, value: str) -> bool:
    """Whether a text matches the pattern of that setting."""
    return re.match("^(?:" + settings_table.PATTERNS[name][0] + r")\Z", value) is not None


def wrong(name: str, value: t.Any, why: str) -> SessionError:
    """SessionError for a variable's value."""
    return SessionError("paraview_{0}: {1!r} cannot be".format(name, value), why,
                        "correct it in the inventory or on the command line (-e paraview_{0}=...); nothing was touched".format(name))


def _ports(value: t.Any) -> str:
    if value:
        listeners.parse_range(value)
    return str(value).replace(" ", "")


def _command(value: t.Any) -> t.List[str]:
    if isinstance(value, (list, tuple)) and all(isinstance(word, (str, int, float)) for word in value):
        words = [str(word) for word in value]
    elif isinstance(value, str):
        words = shlex.split(value)
    else:
        raise ValueError("a command is a text or a list of words")
    if any(re.search(r"[\n\r\0]", word) for word in words):
        raise ValueError("a word of a command holds a newline")
    return words


def _modules(value: t.List[str]) -> t.List[str]:
    words = [word.strip().lower() if word.strip().lower() == AUTO else word for word in value]
    if AUTO in words[:-1]:
        raise ValueError("auto stands behind the modules that are loaded before the search, once")
    return words


def _launcher(value: t.Any) -> t.Optional[t.List[str]]:
    if value in ("", None):
        return None
    return mpi.words(_command(value))


def _start_client(value: t.Any) -> t.Union[bool, t.List[str]]:
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _WORDS_FOR_BOOL:
        return _WORDS_FOR_BOOL[value.strip().lower()]
    return _command(value)


def _connect_id(value: t.Union[str, int]) -> t.Optional[int]:
    return None if str(value).strip().lower() == "random" else pvserver.parse_connect_id(value)


_READERS: t.Dict[str, t.Callable[[t.Any], t.Any]] = {
    "duration": durations.parse, "ports": _ports, "program": installed.check, "command": _command, "launcher": _launcher, "modules": _modules,
    "start_client": _start_client, "connect_id": _connect_id}
