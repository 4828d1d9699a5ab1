# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of a job script: what is asked of a batch system, in its own words."""

import math
import re
import typing as t

from ..common import durations
from ..common.errors import SessionError
from .tables.registry import Table

#: What a user may ask for; each is a variable behind paraview_.
OPTIONS = ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "memory", "walltime", "queue", "account", "qos", "reservation", "constraint",
           "exclusive", "parallel_environment")
# What a template may name besides: numbers and spellings made of the options.
_MADE_OF = {
    "tasks": ("nodes", "tasks_per_node"), "cores": ("nodes", "tasks_per_node", "cpus_per_task"), "cores_per_node": ("tasks_per_node", "cpus_per_task"),
    "gpus_per_task": ("gpus_per_node",), "memory_mb": ("memory",), "memory_mb_per_task": ("memory",), "memory_mb_per_core": ("memory",),
    "walltime_hms": ("walltime",), "walltime_hm": ("walltime",), "walltime_min": ("walltime",), "walltime_s": ("walltime",), "output": (),
}
BLANKS = OPTIONS + tuple(_MADE_OF)
_BLANK = re.compile(r"\{([a-z_]+)\}")
_OPTIONAL = re.compile(r"<([^<>]*\{[a-z_]+\}[^<>]*)>")
# Every batch system gives at least one node, one process and some time: no table has to have a word for them.
_LEFT_UNSAID = {"nodes": 1, "tasks_per_node": 1}
_MEMORY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?\Z")
_MEGABYTES = {"K": 1.0 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}


def head(table: Table, options: t.Dict[str, t.Any], output: str = "") -> t.List[str]:
    """Lines for the head of a job script.

    Args:
        table: the batch system's table.
        options: of OPTIONS: walltime in seconds, memory as 4G or 500M (on each node), exclusive a bool, the others numbers or text;
            None, 0 and empty ones are not asked for. And extra (list of lines, with or without the system's own prefix).
        output: path of the file for what the job prints.
    Raises:
        SessionError: a wanted for which this system has no word, or one that it cannot have beside the others.
    """
    words = table["directives"]
    check(table, options)
    values = dict(_values(words, options), output=output)
    lines = list(words.get("always", ())) + [_line(template, values) for template in words.get("lines", {}).values() if template]
    return [words["prefix"] + line for line in lines if line] + [
        line if line.startswith(words["prefix"].strip()) else words["prefix"] + line for line in options.get("extra") or ()]


def check(table: Table, options: t.Dict[str, t.Any]) -> None:
    """Raises SessionError for what this batch system cannot give; nothing has to be there yet."""
    words = table["directives"]
    if table.get("on_login_node") and (options.get("nodes") or 1) > 1:
        raise SessionError("paraview_nodes: {0} cannot be had".format(options["nodes"]), "without a batch system there is one node, the login node",
                           "leave paraview_nodes out")
    asked = {name for name in OPTIONS if options.get(name) and options[name] != _LEFT_UNSAID.get(name)}
    for name, (amount, hint) in words.get("needs", {}).items():
        if _amounts(options)[amount] > 1 and name not in asked:
            raise SessionError("paraview_{0} is missing".format(name), "{0} gives more than one core only through one".format(table["title"]),
                               "set it; " + hint)
    for one, other in words.get("apart", ()):
        if {one, other} <= asked:
            raise SessionError("paraview_{0} and paraview_{1} cannot be had together".format(one, other), "{0} has one word for both".format(table["title"]),
                               "leave one of them out")
    for name in sorted(asked - _spoken(words) - {"walltime"}):
        raise SessionError("paraview_{0}: {1!r} cannot be had".format(name, options[name]), "with {0} there is no such thing".format(table["title"]),
                           "leave it out for this host, or say it in {0}'s own words in paraview_directives".format(table["title"]))
    if "gpus_per_task" in _named(words) and (options.get("gpus_per_node") or 0) % (options.get("tasks_per_node") or 1):
        raise SessionError("paraview_gpus_per_node: {0} cannot be had".format(options["gpus_per_node"]), "{0} gives each of {1} processes as many".format(
            table["title"], options["tasks_per_node"]), "make it a multiple of paraview_tasks_per_node")
    for line in options.get("extra") or ():
        if line.startswith("#") and not line.startswith(words["prefix"].strip()):
            raise SessionError("paraview_directives: {0!r} is none of {1}".format(line, table["title"]), "its lines begin with {0}".format(
                words["prefix"].strip()), "write the option alone, such as --name=value; the prefix is put before it")


def _named(words: t.Dict[str, t.Any]) -> t.Set[str]:
    return {name for template in words.get("lines", {}).values() for name in _BLANK.findall(template or "")}


def _spoken(words: t.Dict[str, t.Any]) -> t.Set[str]:
    """Options that this table has words for."""
    named = _named(words)
    return {wanted for name in named for wanted in _MADE_OF.get(name, (name,))} - ({"exclusive"} if not words.get("exclusive") else set())


def _amounts(options: t.Dict[str, t.Any]) -> t.Dict[str, int]:
    nodes, tasks, cpus = (options.get(name) or 1 for name in ("nodes", "tasks_per_node", "cpus_per_task"))
    return {"tasks": nodes * tasks, "cores": nodes * tasks * cpus, "cores_per_node": tasks * cpus}


def _values(words: t.Dict[str, t.Any], options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    values = dict({name: options.get(name) for name in OPTIONS}, exclusive=words.get("exclusive") if options.get("exclusive") else "", **_amounts(options))
    seconds = options.get("walltime") or 0
    if seconds:
        minutes = math.ceil(seconds / 60.0)
        values.update(walltime=durations.clock(seconds), walltime_s=seconds, walltime_min=int(minutes),
                      walltime_hms="{0}:{1:02d}:{2:02d}".format(seconds // 3600, seconds % 3600 // 60, seconds % 60),
                      walltime_hm="{0}:{1:02d}".format(int(minutes) // 60, int(minutes) % 60))
    memory = _MEMORY.match(options.get("memory") or "")
    if memory:
        amount = float(memory.group(1)) * _MEGABYTES[memory.group(2)]
        tasks = options.get("tasks_per_node") or 1
        values.update(memory_mb=int(math.ceil(amount)), memory_mb_per_task=int(math.ceil(amount / tasks)),
                      memory_mb_per_core=int(math.ceil(amount / values["cores_per_node"])))
    if options.get("gpus_per_node"):
        values["gpus_per_task"] = options["gpus_per_node"] // (options.get("tasks_per_node") or 1)
    return values


def _line(template: str, values: t.Dict[str, t.Any]) -> str:
    """A template with its blanks filled in; empty where one of them was not asked for. What stands between < and > may be left out."""
    def filled(text: str) -> str:
        names = _BLANK.findall(text)
        return _BLANK.sub(lambda match: str(values[match.group(1)]), text) if all(values.get(name) for name in names) else ""

    return filled(_OPTIONAL.sub(lambda match: filled(match.group(1)), template))


def asked(options: t.Dict[str, t.Any], site: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What of a session's options its batch system is asked for.

    Args:
        options: as check() gives them.
        site: the site's own values.
    """
    # A reservation knows where it is.
    queue = options["queue"] or ("" if options["reservation"] else site.get("queue", ""))
    return dict({name: options[name] for name in OPTIONS}, queue=queue, extra=options["directives"])
