# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a job requests: its processes and how they are spread over the nodes, its GPUs, its memory."""

import math
import re
import typing as t

from ..common.errors import SessionError

#: The options that give the number of GPUs; at most one of them is set.
GPU_NUMBERS = ("gpus_per_node", "gpus_per_task", "gpus")
_MEMORY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?\Z")
_MEGABYTES = {"K": 1.0 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}


class Ranks(t.NamedTuple):
    """pvserver's processes.

    Attributes:
        nodes: the number of nodes.
        tasks: the number of all processes.
        per_node: of processes on the nodes that have the most of them.
    """

    nodes: int
    tasks: int
    per_node: int

    @property
    def even(self) -> bool:
        """Whether each node has the same number."""
        return self.tasks == self.nodes * self.per_node

    @property
    def more_nodes(self) -> int:
        """The number of nodes that have per_node processes; the others have one less."""
        return self.tasks - self.nodes * (self.per_node - 1)


def ranks(options: t.Dict[str, t.Any]) -> Ranks:
    """The processes that options request: tasks, or tasks_per_node on each of the nodes."""
    nodes = options.get("nodes") or 1
    tasks = options.get("tasks") or nodes * (options.get("tasks_per_node") or 1)
    return Ranks(nodes, tasks, -(-tasks // nodes))


def tasks(options: t.Dict[str, t.Any]) -> int:
    """The number of all processes of options as directives.granted() returns them; 0 if it is unknown."""
    return options.get("tasks") or options["nodes"] * options["tasks_per_node"]


def check(options: t.Dict[str, t.Any]) -> None:
    """Raises SessionError if the numbers of processes, or those of GPUs, contradict each other."""
    _check_tasks(options)
    given = [name for name in GPU_NUMBERS if options.get(name)]
    if len(given) > 1:
        raise SessionError("paraview_{0} and paraview_{1} cannot be combined".format(*given[:2]), "each of them gives the number of GPUs",
                           "leave one of them out, or set it to 0; nothing was submitted")


def _check_tasks(options: t.Dict[str, t.Any]) -> None:
    nodes, tasks, each = options.get("nodes") or 1, options.get("tasks") or 0, options.get("tasks_per_node") or 1
    if not tasks:
        return
    what = "paraview_tasks: {0} does not fit".format(tasks)
    if tasks < nodes:
        raise SessionError(what, "each of {0} nodes needs at least one process (paraview_nodes)".format(nodes),
                           "set paraview_nodes to at most {0}, or paraview_tasks to at least {1}; nothing was submitted".format(tasks, nodes))
    # One process on each node is the default: then paraview_tasks alone counts.
    if each > 1 and tasks > nodes * each:
        raise SessionError(what, "{0} with at most {1} processes each have {2} (paraview_nodes, paraview_tasks_per_node)".format(
            "one node" if nodes == 1 else "{0} nodes".format(nodes), each, nodes * each),
            "set paraview_nodes to at least {0}, or paraview_tasks_per_node to 1; nothing was submitted".format(-(-tasks // each)))


def gpus(options: t.Dict[str, t.Any]) -> t.Dict[str, t.Optional[int]]:
    """The numbers of GPUs by GPU_NUMBERS: 0 if none are requested; None if it is no whole number, or not the same everywhere.

    Args:
        options: nodes, tasks or tasks_per_node, and at most one of GPU_NUMBERS.
    """
    spread = ranks(options)
    by_node, by_task, total = (options.get(name) or 0 for name in GPU_NUMBERS)
    if by_task:
        # A node with fewer processes has GPUs that are not used, unless the batch system knows what each node gets.
        by_node, total = by_task * spread.per_node, by_task * spread.tasks
        return {"gpus_per_node": by_node, "gpus_per_task": by_task, "gpus": total}
    total = total or by_node * spread.nodes
    return {"gpus_per_node": _share(total, spread.nodes), "gpus_per_task": _share(total, spread.tasks), "gpus": total}


def _share(total: int, parts: int) -> t.Optional[int]:
    return None if total % parts else total // parts


def gpus_on_a_node(options: t.Dict[str, t.Any]) -> int:
    """The number of GPUs of a node: the least one, if the batch system spreads them as it likes."""
    number = gpus(options)
    return number["gpus_per_node"] or int(bool(number["gpus"]))


def of_the_job(options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The values of placeholders that are numbers; None where there is no such number.

    Args:
        options: as the functions above take them, and cpus_per_task and memory.
    """
    spread, cpus, number = ranks(options), options.get("cpus_per_task") or 1, gpus(options)
    fewer = spread.per_node - 1
    values: t.Dict[str, t.Any] = {
        "nodes": spread.nodes, "tasks": spread.tasks, "tasks_per_node": spread.per_node, "cores": spread.tasks * cpus,
        "cores_per_node": spread.per_node * cpus, "same_per_node": spread.per_node if spread.even else None,
        "more_nodes": spread.more_nodes, "more_tasks": spread.per_node, "more_cores": spread.per_node * cpus,
        "fewer_nodes": spread.nodes - spread.more_nodes, "fewer_tasks": fewer, "fewer_cores": fewer * cpus,
        "more_gpus": number["gpus_per_node"], "fewer_gpus": fewer * options["gpus_per_task"] if options.get("gpus_per_task") else number["gpus_per_node"],
    }
    values.update(number)
    memory = _MEMORY.match(options.get("memory") or "")
    if memory:
        amount = float(memory.group(1)) * _MEGABYTES[memory.group(2)]
        values.update(memory_mb=int(math.ceil(amount)), memory_total_mb=int(math.ceil(amount * spread.nodes)),
                      memory_mb_per_task=int(math.ceil(amount / spread.per_node)), memory_mb_per_core=int(math.ceil(amount / values["cores_per_node"])))
    return values
