# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MPI launchers, which start pvserver's processes in a job."""

import re
import typing as t

from .tables.registry import Table

#: Numbers in the words of a launcher.
PLACEHOLDERS = ("nodes", "tasks", "per_node", "cpus_per_task")
#: By name, with these placeholders. A batch system's own launcher gets its nodes from the job.
LAUNCHERS = {
    "none": [],
    "srun": ["srun", "--unbuffered", "--nodes={nodes}", "--ntasks={tasks}", "--ntasks-per-node={per_node}"],
    "mpiexec": ["mpiexec", "-n", "{tasks}"],
    "mpirun": ["mpirun", "-np", "{tasks}"],
    "aprun": ["aprun", "-n", "{tasks}", "-N", "{per_node}", "-d", "{cpus_per_task}"],
    "flux": ["flux", "run", "--nodes={nodes}", "--ntasks={tasks}", "--cores-per-task={cpus_per_task}"],
}


def words(launcher: t.Union[str, t.List[str]]) -> t.List[str]:
    """A launcher's command as a list of words; it is given by name or as such a list."""
    if isinstance(launcher, str):
        return LAUNCHERS[launcher]
    return LAUNCHERS[launcher[0]] if len(launcher) == 1 and launcher[0] in LAUNCHERS else list(launcher)


def chosen(table: Table, options: t.Dict[str, t.Any]) -> t.List[str]:
    """The launcher that the user named, otherwise the batch system's own; a single process needs none.

    Args:
        table: the batch system's table.
        options: a session's.
    """
    if options["mpi_launcher"] is not None:
        return options["mpi_launcher"]
    return [] if options["nodes"] * options["tasks_per_node"] == 1 else words(table["launcher"])


def command(launcher: t.List[str], nodes: int, tasks_per_node: int, cpus_per_task: int = 0) -> t.List[str]:
    """A launcher's command line with its numbers filled in.

    Args:
        launcher: its command.
        nodes, tasks_per_node, cpus_per_task: as requested; without a number of cores, each task has one.
    """
    numbers = {"nodes": nodes, "tasks": nodes * tasks_per_node, "per_node": tasks_per_node, "cpus_per_task": cpus_per_task or 1}
    return [re.sub(r"\{(" + "|".join(PLACEHOLDERS) + r")\}", lambda match: str(numbers[match.group(1)]), word) for word in launcher]


def nodes_used(options: t.Dict[str, t.Any], nodes: int) -> int:
    """Number of nodes of the user's own job on which pvserver gets ranks: all, unless the user sets fewer, or wants one process without a launcher.

    Args:
        options: a session's.
        nodes: number of the job's nodes.
    """
    return options["nodes"] if options["nodes"] > 1 or options["mpi_launcher"] == [] else max(1, nodes)
