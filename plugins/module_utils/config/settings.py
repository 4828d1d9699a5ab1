# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a user's settings that go beyond types. meta/settings.yml has the settings; settings_table.py is generated from it."""

import json
import re
import shlex
import typing as t

from ..common import durations, listeners, text
from ..common.errors import SessionError
from ..paraview import installed, pvserver, rendering
from ..schedulers import amounts, directives, mpi, node_names, validation
from ..schedulers.directives import requested
from . import presets, remote_directory, route_names, settings_table

#: The options of the session action, in the form of Ansible's argument specs; the variable of each is paraview_NAME.
SPEC = settings_table.SPEC
#: If this is the last of the modules, a module is searched for.
AUTO = "auto"
# Quotes come in pairs. A blank is inside of them, or next to an operator: in no batch system are two words with a blank between them a condition.
_SIGNS = r"A-Za-z0-9_.,@:+=&|*()!<>/\[\]%~-"
_OPERATORS = ("and", "or", "not", "in", "is", "like", "AND", "OR", "NOT", "IN", "IS", "LIKE")
_CONSTRAINT = re.compile(r"(?! )(?:" + "|".join(
    ["[" + _SIGNS + "]", "'[ \"" + _SIGNS + "]*'", "\"[ '" + _SIGNS + "]*\"", r" (?=[=<>&|!()'\"]|(?:" + "|".join(_OPERATORS) + r")\b)",
     r"(?<=[=<>&|!(),'\"]) "] + [r"(?<=\b{0}) ".format(word) for word in _OPERATORS]) + r")+(?<! )\Z")
_NAME = re.compile(r"^(?:--?[A-Za-z][A-Za-z0-9_-]*=)?")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "": False}


def check(options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """Options with every value in its final form.

    Args:
        options: names and types of SPEC.
    Returns:
        walltime, queue_timeout, client_timeout and reconnect_timeout in seconds; mpi_launcher (None: the batch system's) and pvserver as lists of
        words; start_client and notify False, True or a list of words; connect_id an int, None for a random one.
    Raises:
        SessionError: a value is not valid. The error names the variable, the value and the way out.
    """
    checked = dict(options)
    for name, form in settings_table.FORMS.items():
        try:
            checked[name] = _READERS[form](checked[name])
        except ValueError as error:
            raise wrong(name, options[name], str(error))
    for name, (lowest, highest, why) in settings_table.NUMBERS.items():
        if checked[name] < lowest or (highest is not None and checked[name] > highest):
            raise wrong(name, checked[name], why)
    if checked["reconnect_port"] and checked["reconnect_port"] == checked["client_port"]:
        raise wrong("reconnect_port", checked["reconnect_port"], "ParaView uses that port (paraview_client_port)")
    if checked["client_process"] and checked["client_host"]:
        raise wrong("client_process", checked["client_process"], settings_table.NUMBERS["client_process"][-1])
    for name, (_pattern, why) in settings_table.PATTERNS.items():
        if checked[name] and not fits(name, checked[name]):
            raise wrong(name, checked[name], why)
    # The lines of one field are read once; the session's record has them among the others.
    checked["directives"] = list(checked["directives"]) + checked["scheduler_arguments"]
    checked["scheduler_arguments"] = []
    for name in ("directives", "modules"):
        for value in checked[name]:
            if re.search(r"[\n\r\0]", value) or not value.strip():
                raise wrong(name, value, "each entry has to be one line that is not empty")
    if not checked["route_order"]:
        raise wrong("route_order", checked["route_order"], "it names no route; the routes are " + ", ".join(route_names.ORDER))
    if checked["rendering"] not in rendering.CHOICES:
        raise wrong("rendering", checked["rendering"], "it has to be one of " + ", ".join(rendering.CHOICES))
    if not checked["pvserver"]:
        raise wrong("pvserver", options["pvserver"], "it names no command")
    tasks = amounts.ranks(checked).tasks
    if checked["mpi_launcher"] == [] and tasks > 1:
        raise wrong("mpi_launcher", options["mpi_launcher"], "{0} processes need a launcher".format(tasks))
    if not checked["directives"]:
        # Directives may set the nodes.
        amounts.check(checked)
    _check_own_job(checked)
    if checked["job_id"] and checked["scheduler"] == "none":
        raise wrong("job_id", checked["job_id"], "without a batch system there are no jobs")
    tables = validation.tables(checked["schedulers"])
    # The form in which the session's record returns it.
    checked["schedulers"] = json.loads(json.dumps(checked["schedulers"]))
    if checked["scheduler"] in tables:
        # For a job of the user's own, nothing is requested.
        if not checked["job_id"]:
            directives.check(tables[checked["scheduler"]], requested(checked, {}))
    elif checked["scheduler"] != "auto":
        raise wrong("scheduler", checked["scheduler"], "it has to be auto or one of {0}; another one is described in paraview_schedulers".format(
            ", ".join(sorted(tables))))
    return checked


def fits(name: str, value: str) -> bool:
    """Whether a text matches the pattern of a setting."""
    return re.match("^(?:" + settings_table.PATTERNS[name][0] + r")\Z", value) is not None


def wrong(name: str, value: t.Any, why: str) -> SessionError:
    """SessionError for a variable's value."""
    return SessionError("paraview_{0}: {1!r} is not valid".format(name, value), why,
                        "correct it in the inventory or on the command line (-e paraview_{0}=...); nothing was touched".format(name))


def _ports(value: t.Any) -> str:
    if value:
        listeners.parse_range(value)
    return str(value).replace(" ", "")


def _check_own_job(options: t.Dict[str, t.Any]) -> None:
    if options.get("job_id") and options.get("tasks"):
        raise SessionError("paraview_job_id and paraview_tasks cannot be combined",
                           "in a job of yours pvserver gets paraview_tasks_per_node ranks on each node",
                           "set paraview_tasks_per_node, and leave paraview_tasks out; nothing was started")


def _command(value: t.Any) -> t.List[str]:
    if isinstance(value, (list, tuple)) and all(isinstance(word, (str, int, float)) for word in value):
        words = [str(word) for word in value]
    elif isinstance(value, str):
        words = shlex.split(value)
    else:
        raise ValueError("a command has to be a text or a list of words")
    if any(re.search(r"[\n\r\0]", word) for word in words):
        raise ValueError("a word of a command contains a newline")
    return words


def _scheduler_arguments(value: t.Any) -> t.List[str]:
    """Lines of directives, one for each option."""
    lines: t.List[str] = []
    for word in _command(value):
        if word.startswith("-") and not re.match(r"-[0-9]", word):
            lines.append(_quoted(word))
        elif lines:
            lines[-1] += " " + _quoted(word)
        else:
            raise ValueError("it has to begin with an option of the batch system, such as --comment=viz, and {0!r} is none".format(word))
    return lines


def _quoted(word: str) -> str:
    """A word as every batch system reads it in a directive."""
    if text.clean(word, len(word)) != word or "\t" in word:
        raise ValueError("{0!r} contains a control character".format(word))
    if re.match(r"[A-Za-z0-9_.,:=+@%/^\[\]{}~-]+\Z", word):
        return word
    # The name of an option stays outside, so that the line can be read.
    name = "".join(_NAME.findall(word)[:1])
    value = word[len(name):]
    if not re.search(r'["$`\\]', value):
        return '{0}"{1}"'.format(name, value)
    if "'" not in value:
        return "{0}'{1}'".format(name, value)
    raise ValueError("no quotes fit around {0!r}; write such an option in paraview_directives".format(word))


def _modules(value: t.List[str]) -> t.List[str]:
    words = [word.strip().lower() if word.strip().lower() == AUTO else word for word in value]
    if AUTO in words[:-1]:
        raise ValueError("auto may occur once, after the modules that are loaded before the search")
    return words


def _launcher(value: t.Any) -> t.Optional[t.List[str]]:
    if value in ("", None):
        return None
    return mpi.words(_command(value))


def _bool_or_command(value: t.Any) -> t.Union[bool, t.List[str]]:
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    return _command(value)


def _keep(value: t.Any) -> str:
    """crash or always; empty if the job is not kept."""
    word = str(value).strip().lower()
    if _BOOLEANS.get(word) is False or value is None:
        return ""
    if word not in ("crash", "always"):
        raise ValueError("it has to be false, crash or always")
    return word


def _node_name(value: t.Any) -> t.Dict[str, str]:
    return node_names.check(value)


def _constraint(value: str) -> str:
    if value and not _CONSTRAINT.match(value):
        raise ValueError("it may hold letters, digits, . , _ @ : + - = & | * ( ) [ ] ! < > / % ~, quotes in pairs, and blanks inside quotes or beside an "
                         "operator")
    return value


def _interval(value: t.Any) -> int:
    """Seconds; 0 if it is empty."""
    return durations.parse(value) if str(value).strip() not in ("", "0") else 0


def _connect_id(value: t.Union[str, int]) -> t.Optional[int]:
    return None if str(value).strip().lower() == "random" else pvserver.parse_connect_id(value)


_READERS: t.Dict[str, t.Callable[[t.Any], t.Any]] = {
    "duration": durations.parse, "ports": _ports, "program": installed.check, "command": _command, "launcher": _launcher, "modules": _modules,
    "bool_or_command": _bool_or_command, "node_name": _node_name, "constraint": _constraint, "interval": _interval, "connect_id": _connect_id,
    "directory": remote_directory.check, "keep": _keep, "presets": presets.check, "scheduler_arguments": _scheduler_arguments}
