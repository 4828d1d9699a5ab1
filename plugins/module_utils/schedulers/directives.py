# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of a job script: what is requested of a batch system, in its own directives."""

import math
import re
import typing as t

from ..common import collection, durations
from ..common.errors import SessionError
from .own_directives import OwnDirectives
from .tables.registry import Table

#: What a user may request; the variable of each is paraview_NAME.
OPTIONS = ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "memory", "walltime", "queue", "account", "qos", "reservation", "constraint",
           "exclusive", "parallel_environment", "slurm_cluster")
# Further placeholders of templates: numbers and formats that are computed from these options.
_COMPUTED_FROM = {
    "tasks": ("nodes", "tasks_per_node"), "cores": ("nodes", "tasks_per_node", "cpus_per_task"), "cores_per_node": ("tasks_per_node", "cpus_per_task"),
    "gpus_per_task": ("gpus_per_node",), "memory_mb": ("memory",), "memory_mb_per_task": ("memory",), "memory_mb_per_core": ("memory",),
    "walltime_hms": ("walltime",), "walltime_hm": ("walltime",), "walltime_min": ("walltime",), "walltime_s": ("walltime",), "output": (), "version": (),
}
PLACEHOLDERS = OPTIONS + tuple(_COMPUTED_FROM)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_OPTIONAL = re.compile(r"<([^<>]*\{[a-z_]+\}[^<>]*)>")
# Every batch system gives at least one node and one process: a table needs no directive for them.
_LEAST = {"nodes": 1, "tasks_per_node": 1}
_MEMORY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?\Z")
_MEGABYTES = {"K": 1.0 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}


def head(table: Table, options: t.Dict[str, t.Any], output: str = "", version: t.Optional[str] = None) -> t.List[str]:
    """Lines for the head of a job script. The user's own directives replace ours that set the same.

    Args:
        table: the batch system's table.
        options: of OPTIONS: walltime in seconds, memory as 4G or 500M (on each node), exclusive a bool, the others numbers or text;
            None, 0 and empty ones are not requested. And extra (list of lines, with or without the system's own prefix).
        output: path of the file for the job's output.
        version: the collection's version, as the job carries it; None for the version of this one.
    Raises:
        SessionError: this system has no directive for a requested option, or cannot combine it with the others.
    """
    syntax = table["directives"]
    check(table, options)
    own = _own(table, options)
    # Without a number of nodes of its own, a table has their product with the tasks, which a directive on either does not change.
    values = _values(syntax, sized(table, options) if "nodes" in _placeholders(syntax) else options)
    values.update(output=output, version=collection.version() if version is None else version)
    lines = list(syntax.get("always", ())) + [_line(template, values) for template in syntax.get("lines", {}).values() if template]
    return [syntax["prefix"] + line for line in own.beside(lines, _is_one_core(options)) if line] + own.lines


def _own(table: Table, options: t.Dict[str, t.Any]) -> OwnDirectives:
    """The user's own directives, which a session's settings call directives, and a request extra."""
    return OwnDirectives(options.get("extra") or options.get("directives") or (), table["directives"], table["title"])


def _is_one_core(options: t.Dict[str, t.Any]) -> bool:
    return _amounts(options)["cores"] == 1 and not options.get("gpus_per_node") and not options.get("constraint")


def granted(table: Table, options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The options with nodes, tasks_per_node, walltime and queue as the user's own directives set them.

    Args:
        table: the batch system's table.
        options: a session's settings, or a request, of a new job.
    Returns:
        The same options if no directive sets one of these. What a directive sets in a way that cannot be read is 0 or empty.
    """
    if options.get("job_id"):
        # The job exists already, and directives do not change it.
        return dict(options)
    amounts = {"nodes": options.get("nodes") or 1, "tasks_per_node": options.get("tasks_per_node") or 1}
    return dict(options, **_own(table, options).says(amounts, "nodes" in _placeholders(table["directives"])))


def sized(table: Table, options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The options with nodes and tasks_per_node as far as the user's own directives set them in a way that can be read."""
    said = granted(table, options)
    return dict(options, **{name: said[name] for name in ("nodes", "tasks_per_node") if said.get(name)})


def replaces(table: Table, options: t.Dict[str, t.Any], name: str) -> bool:
    """Whether the user's own directives set what an option such as account would set."""
    return _replaces(table["directives"], _own(table, options), name)


def _replaces(syntax: t.Dict[str, t.Any], own: OwnDirectives, name: str) -> bool:
    return any(own.replaces(template) for template in syntax.get("lines", {}).values() if template and "{" + name + "}" in template)


def check(table: Table, options: t.Dict[str, t.Any]) -> None:
    """Raises SessionError if this batch system cannot provide an option. No cluster is needed for that."""
    syntax = table["directives"]
    if table.get("on_login_node") and (options.get("nodes") or 1) > 1:
        raise SessionError("paraview_nodes: {0} is not available".format(options["nodes"]), "without a batch system there is one node, the login node",
                           "leave paraview_nodes out")
    names = {name for name in OPTIONS if options.get(name) and options[name] != _LEAST.get(name)}
    own = _own(table, options)
    for name, (amount, hint) in syntax.get("needs", {}).items():
        if _amounts(options)[amount] > 1 and name not in names and not _replaces(syntax, own, name):
            raise SessionError("paraview_{0} is missing".format(name), "{0} needs it for more than one core".format(table["title"]),
                               "set it; " + hint)
    for one, other in syntax.get("apart", ()):
        if {one, other} <= names:
            raise SessionError("paraview_{0} and paraview_{1} cannot be combined".format(one, other), "{0} has one directive for both".format(table["title"]),
                               "leave one of them out")
    for name in sorted(names - _supported(syntax) - {"walltime"}):
        raise SessionError("paraview_{0}: {1!r} is not available".format(name, options[name]), "with {0} there is no such option".format(table["title"]),
                           "leave it out for this host, or add a directive of the batch system to paraview_directives")
    tasks = sized(table, options).get("tasks_per_node") or 1
    if "gpus_per_task" in _placeholders(syntax) and (options.get("gpus_per_node") or 0) % tasks and not _replaces(syntax, own, "gpus_per_task"):
        raise SessionError("paraview_gpus_per_node: {0} is not available".format(options["gpus_per_node"]),
                           "{0} gives each of {1} processes the same number".format(table["title"], tasks),
                           "make it a multiple of paraview_tasks_per_node")
    own.check()


def _placeholders(syntax: t.Dict[str, t.Any]) -> t.Set[str]:
    return {name for template in syntax.get("lines", {}).values() for name in _PLACEHOLDER.findall(template or "")}


def _supported(syntax: t.Dict[str, t.Any]) -> t.Set[str]:
    """Options for which this table has directives."""
    options = {option for name in _placeholders(syntax) for option in _COMPUTED_FROM.get(name, (name,))}
    return options if syntax.get("exclusive") else options - {"exclusive"}


def _amounts(options: t.Dict[str, t.Any]) -> t.Dict[str, int]:
    nodes, tasks, cpus = (options.get(name) or 1 for name in ("nodes", "tasks_per_node", "cpus_per_task"))
    return {"tasks": nodes * tasks, "cores": nodes * tasks * cpus, "cores_per_node": tasks * cpus}


def _values(syntax: t.Dict[str, t.Any], options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    values = dict({name: options.get(name) for name in OPTIONS}, exclusive=syntax.get("exclusive") if options.get("exclusive") else "", **_amounts(options))
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
    """A template with its placeholders filled in; empty if one of them was not requested. The parts between < and > are optional."""
    def filled(text: str) -> str:
        names = _PLACEHOLDER.findall(text)
        return _PLACEHOLDER.sub(lambda match: str(values[match.group(1)]), text) if all(values.get(name) for name in names) else ""

    return filled(_OPTIONAL.sub(lambda match: filled(match.group(1)), template))


def requested(options: t.Dict[str, t.Any], site: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The options of a session that are requested of its batch system.

    Args:
        options: as settings.check() returns them.
        site: the site's own values.
    """
    # A reservation determines its queue.
    queue = options["queue"] or ("" if options["reservation"] else site.get("queue", ""))
    return dict({name: options.get(name) for name in OPTIONS}, queue=queue, extra=options["directives"])
