# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MPI launchers, which start pvserver's processes in a job."""

import re
import shlex
import typing as t

from ..common.errors import SessionError
from . import amounts
from .tables.registry import Table

#: Values in the words of a launcher.
PLACEHOLDERS = ("nodes", "tasks", "per_node", "same_per_node", "cpus_per_task", "gpus_per_node", "gpus_per_task", "gpus", "gpu_type", "memory_mb",
                "memory_total_mb")
#: By name, with these placeholders. A word in < > is left out if its placeholder has no value. A batch system's own launcher gets its nodes from the job.
LAUNCHERS = {
    "none": [],
    "srun": ["srun", "--unbuffered", "--nodes={nodes}", "--ntasks={tasks}", "<--ntasks-per-node={same_per_node}>"],
    "mpiexec": ["mpiexec", "-n", "{tasks}"],
    "mpirun": ["mpirun", "-np", "{tasks}"],
    "aprun": ["aprun", "-n", "{tasks}", "-N", "{per_node}", "-d", "{cpus_per_task}"],
    # Without GPUs for each task, Flux hides those of the job from them.
    "flux": ["flux", "run", "--nodes={nodes}", "--ntasks={tasks}", "--cores-per-task={cpus_per_task}", "<--gpus-per-task={gpus_per_task}>"],
    # It starts as many processes as the job has.
    "ibrun": ["ibrun"],
}
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_SHELL = re.compile(r"(?:.*/)?(?:sh|bash|dash|ash|ksh|ksh93|mksh|zsh)\Z")
_SCRIPT_FOLLOWS = re.compile(r"-[A-Za-z]*c\Z")


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
    return [] if amounts.ranks(options).tasks == 1 else words(table["launcher"])


def of_the_job(table: Table, options: t.Dict[str, t.Any]) -> t.List[str]:
    """The command line that starts the processes of a job.

    Args:
        table: the batch system's table.
        options: a session's, as directives.sized() returns them.
    Raises:
        SessionError: a placeholder stands for a number of GPUs that is no whole number.
    """
    return _filled(chosen(table, options), options)


def command(launcher: t.List[str], nodes: int, tasks_per_node: int, cpus_per_task: int = 0, **more: t.Any) -> t.List[str]:
    """A launcher's command line with its numbers filled in.

    Args:
        launcher: its command.
        nodes, tasks_per_node, cpus_per_task: as requested; without a number of cores, each task has one.
        more: further options of a session: tasks, gpus_per_node, gpus_per_task, gpus, gpu_type, memory.
    """
    return _filled(launcher, dict(more, nodes=nodes, tasks_per_node=tasks_per_node, cpus_per_task=cpus_per_task))


def nodes_used(options: t.Dict[str, t.Any], nodes: int) -> int:
    """Number of nodes of the user's own job on which pvserver gets ranks: all, unless the user sets fewer, or wants one process without a launcher.

    Args:
        options: a session's.
        nodes: number of the job's nodes.
    """
    return options["nodes"] if options["nodes"] > 1 or options["mpi_launcher"] == [] else max(1, nodes)


def _filled(launcher: t.List[str], options: t.Dict[str, t.Any]) -> t.List[str]:
    values = amounts.of_the_job(options)
    values.update(per_node=values["tasks_per_node"], cpus_per_task=options.get("cpus_per_task") or 1, gpu_type=options.get("gpu_type") or "")
    filled = []
    for word in launcher:
        names = _PLACEHOLDER.findall(word)
        optional = word.startswith("<") and word.endswith(">") and names
        if optional and not all(values.get(name) for name in names):
            continue
        filled.append(_PLACEHOLDER.sub(lambda match: _text(match.group(1), values), word[1:-1] if optional else word))
    return filled


def _text(name: str, values: t.Dict[str, t.Any]) -> str:
    """A value as text. What was not requested is 0, and a type that was not is empty."""
    if name in amounts.GPU_NUMBERS and values[name] is None:
        raise SessionError("paraview_mpi_launcher: {{{0}}} has no value".format(name),
                           "{0} GPUs cannot be divided into whole numbers for it".format(values["gpus"]),
                           "use another placeholder, or another number of GPUs; nothing was submitted")
    value = values.get(name)
    return str(("" if name == "same_per_node" else 0) if value is None else value)


def in_shell(launcher: t.Sequence[str]) -> str:
    """The words of a launcher as a shell reads them. $NAME and ${NAME} are variables of the job; nothing else is special.

    A variable that the job does not have ends the shell with a message. The text after sh -c is the script of another shell, and stays as it is.
    """
    return " ".join(shlex.quote(word) if _is_script(launcher, position) else _quoted(word) for position, word in enumerate(launcher))


def _is_script(launcher: t.Sequence[str], position: int) -> bool:
    return position > 1 and bool(_SCRIPT_FOLLOWS.match(launcher[position - 1]) and any(_SHELL.match(word) for word in launcher[:position - 1]))


def _quoted(word: str) -> str:
    if not _VARIABLE.search(word):
        return shlex.quote(word)
    parts, end = [], 0
    for match in _VARIABLE.finditer(word):
        parts.append(shlex.quote(word[end:match.start()]) if match.start() > end else "")
        parts.append('"${{{0}?paraview_mpi_launcher names this variable, and the job does not have it}}"'.format(match.group(1) or match.group(2)))
        end = match.end()
    return "".join(parts) + (shlex.quote(word[end:]) if end < len(word) else "")
