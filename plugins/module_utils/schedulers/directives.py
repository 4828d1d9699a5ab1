# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of a job script: what is requested of a batch system, in its own directives."""

import math
import re
import typing as t

from ..common import collection, durations
from ..common.errors import SessionError
from . import amounts
from .own_directives import OwnDirectives
from .tables.registry import Table

#: What a user may request; the variable of each is paraview_NAME.
OPTIONS = ("nodes", "tasks", "tasks_per_node", "cpus_per_task", "gpus_per_node", "gpus_per_task", "gpus", "gpu_type", "memory", "walltime", "queue", "account",
           "qos", "reservation", "constraint", "exclusive", "parallel_environment", "slurm_cluster")
_TASKS, _CORES = ("nodes", "tasks", "tasks_per_node"), ("nodes", "tasks", "tasks_per_node", "cpus_per_task")
# What a placeholder is computed from. One that is missing here is the option of its name.
_COMPUTED_FROM = {
    "tasks": _TASKS, "tasks_per_node": ("tasks", "tasks_per_node"), "cores": _CORES, "cores_per_node": _CORES[1:], "same_per_node": ("tasks", "tasks_per_node"),
    "gpus_per_node": amounts.GPU_NUMBERS, "gpus_per_task": amounts.GPU_NUMBERS, "gpus": amounts.GPU_NUMBERS,
    "memory_mb": ("memory",), "memory_total_mb": ("memory",), "memory_mb_per_task": ("memory",), "memory_mb_per_core": ("memory",),
    "walltime_hms": ("walltime",), "walltime_hm": ("walltime",), "walltime_min": ("walltime",), "walltime_s": ("walltime",), "output": (), "version": (),
}
# Placeholders of the templates for nodes with different numbers of processes: of the nodes that have more of them, and of the others.
_UNEVEN = tuple("{0}_{1}".format(which, what) for which in ("more", "fewer") for what in ("nodes", "tasks", "cores", "gpus"))
PLACEHOLDERS = tuple(dict.fromkeys(OPTIONS + tuple(_COMPUTED_FROM)))
#: Of the templates in ``directives.uneven``.
UNEVEN_PLACEHOLDERS = PLACEHOLDERS + _UNEVEN
#: How a batch system reads the value of a directive: with quotes as a shell has them, or as it stands.
QUOTING = ("shell", "literal")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_OPTIONAL = re.compile(r"<([^<>]*\{[a-z_]+\}[^<>]*)>")
# Every batch system gives at least one node and one process: a table needs no directive for them.
_LEAST = {"nodes": 1, "tasks": 1, "tasks_per_node": 1}


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
    lines = list(syntax.get("always", ())) + [_line(template, values, syntax) for template in _templates(syntax, values) if template]
    return [syntax["prefix"] + line for line in own.beside(lines, _is_one_core(options)) if line] + own.lines


def _own(table: Table, options: t.Dict[str, t.Any]) -> OwnDirectives:
    """The user's own directives, which a session's settings call directives, and a request extra."""
    return OwnDirectives(options.get("extra") or options.get("directives") or (), table["directives"], table["title"])


def _is_one_core(options: t.Dict[str, t.Any]) -> bool:
    numbers = amounts.of_the_job(options)
    return numbers["cores"] == 1 and not numbers["gpus"] and not options.get("constraint")


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
    own = _set_by_user(table, options)
    # Directives that set all tasks set tasks_per_node as well, and it is 0 if the nodes have different numbers.
    return dict(options, **dict(own, tasks=0) if "tasks" in own and own["tasks"] != options.get("tasks") else own)


def _set_by_user(table: Table, options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What the user's own directives set, with tasks if they leave another number than the option."""
    spread = amounts.ranks(options)
    own = _own(table, options).quantities(spread, "nodes" in _placeholders(table["directives"]), options.get("cpus_per_task") or 1)
    nodes, each = own.get("nodes", spread.nodes), own.get("tasks_per_node")
    # Without room for all tasks on the nodes, a directive has replaced them.
    if "tasks" not in own and options.get("tasks") and each and nodes and options["tasks"] > nodes * each:
        own["tasks"] = 0
    return own


def sized(table: Table, options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The options with nodes, tasks and tasks_per_node as far as the user's own directives set them in a way that can be read."""
    if options.get("job_id"):
        return dict(options)
    own = _set_by_user(table, options)
    read = dict(options, **{name: own[name] for name in ("nodes", "tasks_per_node") if own.get(name)})
    return dict(read, tasks=own.get("tasks", options.get("tasks")) or 0)


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
    names = _named(options)
    if not _given_gpus(options):
        names.discard("gpu_type")
    own = _own(table, options)
    for name, (amount, hint) in syntax.get("needs", {}).items():
        if amounts.of_the_job(options)[amount] > 1 and name not in names and not _replaces(syntax, own, name):
            raise SessionError("paraview_{0} is missing".format(name), "{0} needs it for more than one core".format(table["title"]),
                               "set it; " + hint)
    for one, other in syntax.get("apart", ()):
        if {one, other} <= names:
            raise SessionError("paraview_{0} and paraview_{1} cannot be combined".format(one, other), "{0} has one directive for both".format(table["title"]),
                               "leave one of them out")
    for name in sorted(names - _supported(syntax) - {"walltime"}):
        raise SessionError("paraview_{0}: {1!r} is not available".format(name, options[name]), "with {0} there is no such option".format(table["title"]),
                           "leave it out for this host, or add a directive of the batch system to paraview_directives")
    real = sized(table, options)
    # Only the user's own number of processes is held against the others, not what directives say.
    amounts.check(dict(real, tasks=real["tasks"] if options.get("tasks") and granted(table, options).get("nodes") != 0 else 0))
    _check_spread(table, own, real)
    _check_gpus(table, own, real)
    if {"'", '"'} <= set(options.get("constraint") or "") and syntax.get("quoting") != "literal":
        raise SessionError("paraview_constraint: {0!r} is not available".format(options["constraint"]),
                           "a directive of {0} cannot hold both kinds of quotes".format(table["title"]), "use one kind of quotes in it")
    own.check()


def _named(options: t.Dict[str, t.Any]) -> t.Set[str]:
    """The options that request more than every job gets."""
    return {name for name in OPTIONS if options.get(name) and options[name] != _LEAST.get(name)}


def variables(options: t.Dict[str, t.Any]) -> t.List[str]:
    """The variables by which a user, or the site, has requested something, for messages about a job that is refused."""
    names = _named(options)
    return ["paraview_" + name for name in OPTIONS if name in names] + (["paraview_directives"] if options.get("extra") else [])


def _check_spread(table: Table, own: OwnDirectives, options: t.Dict[str, t.Any]) -> None:
    """If a table has all processes and those of a node, but no nodes, the number of nodes follows from these two."""
    syntax, spread = table["directives"], amounts.ranks(options)
    if "nodes" in _placeholders(syntax) or "tasks_per_node" not in _placeholders(syntax) or _replaces(syntax, own, "tasks_per_node"):
        return
    nodes = -(-spread.tasks // spread.per_node)
    if nodes != spread.nodes:
        raise SessionError("paraview_tasks: {0} does not fit".format(spread.tasks), "{0} puts {1} processes on each node but the last, so they need {2} nodes, "
                           "not {3}".format(table["title"], spread.per_node, nodes, spread.nodes), "set paraview_nodes to {0}".format(nodes))


def _check_gpus(table: Table, own: OwnDirectives, options: t.Dict[str, t.Any]) -> None:
    """Checks that the number of GPUs can be given in the way of this batch system."""
    syntax, number = table["directives"], amounts.gpus(options)
    given = _given_gpus(options)
    offered = _placeholders(syntax) & set(amounts.GPU_NUMBERS)
    if not given or given in offered or not offered or any(_replaces(syntax, own, name) for name in offered):
        return
    if not any(number[name] for name in offered):
        spread = amounts.ranks(options)
        parts, variable = ((spread.tasks, "processes") if "gpus_per_task" in offered else (spread.nodes, "nodes"))
        raise SessionError("paraview_{0}: {1} is not available".format(given, options[given]),
                           "{0} gives each of {1} {2} the same number".format(table["title"], parts, variable),
                           "make {0} GPUs in all a multiple of the {1}, or choose another number of them".format(number["gpus"], variable))


def _given_gpus(options: t.Dict[str, t.Any]) -> str:
    """The option by which the number of GPUs is given; empty if there is none."""
    return next((name for name in amounts.GPU_NUMBERS if options.get(name)), "")


def _placeholders(syntax: t.Dict[str, t.Any]) -> t.Set[str]:
    return {name for template in syntax.get("lines", {}).values() for name in _PLACEHOLDER.findall(template or "")}


def _supported(syntax: t.Dict[str, t.Any]) -> t.Set[str]:
    """Options for which this table has directives."""
    options = {option for name in _placeholders(syntax) for option in _COMPUTED_FROM.get(name, (name,))}
    return options if syntax.get("exclusive") else options - {"exclusive"}


def _templates(syntax: t.Dict[str, t.Any], values: t.Dict[str, t.Any]) -> t.List[str]:
    """The templates of the lines. Of several that give the number of GPUs, the ones that give it as the user did."""
    lines = dict(syntax.get("lines", {}))
    if not values["same_per_node"]:
        lines.update({name: template for name, template in syntax.get("uneven", {}).items() if lines.get(name)})
    ways = [name for name in (values["given_gpus"],) + amounts.GPU_NUMBERS if name in _placeholders(syntax) and values[name]]
    others = set(amounts.GPU_NUMBERS) - set(ways[:1])

    def fits(template: str) -> bool:
        names = set(_PLACEHOLDER.findall(_OPTIONAL.sub("", template)))
        return not names & others or bool(names & set(ways[:1]))

    return [template for template in lines.values() if template and fits(template)]


def _values(syntax: t.Dict[str, t.Any], options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    values = dict({name: options.get(name) for name in OPTIONS}, exclusive=syntax.get("exclusive") if options.get("exclusive") else "")
    values.update(amounts.of_the_job(options), given_gpus=_given_gpus(options))
    values["gpu_type"] = values["gpu_type"] if values["given_gpus"] else ""
    values.update({name: None for name in ("nodes", "tasks_per_node") if not options.get(name) and not options.get("tasks")})
    seconds = options.get("walltime") or 0
    if seconds:
        minutes = math.ceil(seconds / 60.0)
        values.update(walltime=durations.clock(seconds), walltime_s=seconds, walltime_min=int(minutes),
                      walltime_hms="{0}:{1:02d}:{2:02d}".format(seconds // 3600, seconds % 3600 // 60, seconds % 60),
                      walltime_hm="{0}:{1:02d}".format(int(minutes) // 60, int(minutes) % 60))
    return values


def _line(template: str, values: t.Dict[str, t.Any], syntax: t.Dict[str, t.Any]) -> str:
    """A template with its placeholders filled in; empty if one of them was not requested. The parts between < and > are optional."""
    quoted = re.search(r"\"[^\"]*\{constraint\}[^\"]*\"", template)
    constraint = str(values.get("constraint") or "")
    if quoted and '"' in constraint:
        template = template.replace('"', "'")
    elif not quoted and syntax.get("quoting") != "literal":
        values = dict(values, constraint=_as_one_word(constraint))

    def filled(text: str) -> str:
        names = _PLACEHOLDER.findall(text)
        return _PLACEHOLDER.sub(lambda match: str(values[match.group(1)]), text) if all(values.get(name) for name in names) else ""

    return filled(_OPTIONAL.sub(lambda match: filled(match.group(1)), template))


def _as_one_word(value: str) -> str:
    """A value that the batch system reads as one word: with quotes around it if it has blanks or quotes."""
    if not re.search(r"[ '\"]", value):
        return value
    return "'{0}'".format(value) if '"' in value else '"{0}"'.format(value)


def requested(options: t.Dict[str, t.Any], site: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The options of a session that are requested of its batch system.

    Args:
        options: as settings.check() returns them.
        site: the site's own values.
    """
    # A reservation determines its queue.
    queue = options["queue"] or ("" if options["reservation"] else site.get("queue", ""))
    return dict({name: options.get(name) for name in OPTIONS}, queue=queue, extra=options["directives"])
