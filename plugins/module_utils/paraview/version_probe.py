# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query for the version of a pvserver, and its answer.

A library's name contains the version. If no such library is found, the session's command is run with --version, with all its wrappers.
"""

import os
import re
import shlex
import typing as t

from ..common import programs
from ..common.text import clean, one_line
from . import versions, wrappers
from .pvserver import pvserver_program

#: Seconds that a program may take to answer.
ANSWER_SECONDS = 20
_MISSING = " is not found there"
_LAUNCHERS = re.compile(r"^(?:srun|salloc|sbatch|qsub|bsub|mpiexec|mpirun|orterun|prun|prterun|aprun|ibrun|jsrun|lrun|ccc_mprun|poe|flux|ssh)(?:[.-].*)?\Z")
_LAUNCHER_WITHIN = re.compile(r"\s(?:\S*/)?(?:srun|mpiexec|mpirun|aprun|ibrun|jsrun|flux)\s|^(?:\S*/)?(?:srun|mpiexec|mpirun|aprun|ibrun|jsrun|flux)\s")

_LINES = (r"^==ended|paraview|pvserver|-pv[0-9]+\.[0-9]+|^[^a-z]*[0-9]+\.[0-9]+\.[0-9]+[^ ]*[^a-z]*$"
          r"|error|cannot|could not|not found|no such|denied|fail|abort|refus|illegal|not allowed")


class Answer(t.NamedTuple):
    """The answer to the query for pvserver's version.

    Attributes:
        version: as ``5.11`` or ``5.11.0``; empty if it is unknown.
        why: why it is unknown, on one line.
        fault: ``unloaded`` if the modules cannot be loaded, ``missing`` if pvserver is not found; else empty.
        needs: modules that Lmod requires to be loaded before, one list for each alternative.
    """

    version: str
    why: str
    fault: str
    needs: t.List[t.List[str]]


def shell_functions() -> str:
    """Shell functions, among them ``answer``. Each call returns them with a new mark for the processes that they start."""
    return programs.filled("connect", "answer.sh", {}, {"MARK": os.urandom(8).hex(), "LINES": _LINES})


def load_modules(names: t.List[str]) -> str:
    """Shell lines that load environment modules. If that fails, they print why and end the script.

    Args:
        names: modules, in their order; empty for no lines.
    """
    if not names:
        return ""
    blanks = {"NAMES": " ".join(shlex.quote(name) for name in names), "LAST": shlex.quote(names[-1])}
    return programs.filled("connect", "modules.sh", {"load": True}, blanks)


def module_command() -> str:
    """Shell lines that define the command ``module``, if the host has it."""
    return programs.filled("connect", "modules.sh", {"load": False}, {})


def probe(modules: t.List[str], pvserver: t.Union[str, t.List[str]]) -> str:
    """A shell script that queries the version where pvserver is installed, and prints what read_answer() parses.

    It runs the command with its wrappers, but without an MPI launcher.

    Args:
        modules: environment modules to load first.
        pvserver: pvserver, or its command.
    """
    words = question(pvserver)
    if not words:
        return ":\n"
    program = pvserver_program(words)
    direct = is_direct(words)
    # A wrapper may be installed on nodes only.
    commands = [words] + ([[program]] if direct and words[0] != program else [])
    return shell_functions() + load_modules(modules) + programs.filled("connect", "pvserver_version.sh", {"library": direct}, {
        "PROGRAM": wrappers.quoted([program]), "SECONDS": str(ANSWER_SECONDS),
        "ASK": "\n".join("ask " + wrappers.quoted(command) for command in commands)})


def question(pvserver: t.Union[str, t.Sequence[str]]) -> t.List[str]:
    """The part of a pvserver command that is run with --version. It has no MPI launcher, which must not be started on a login node.

    It is empty if only the launcher determines which pvserver it starts, and if the question would leave a container behind.

    Args:
        pvserver: its command.
    """
    words = [pvserver] if isinstance(pvserver, str) else list(pvserver)
    if wrappers.leaves_container(words):
        return []
    place = wrappers.pvserver_index(words)
    # pvserver's own options do not matter for its version, and some of them have side effects.
    if place is not None and os.path.basename(words[place]) == "pvserver":
        words = words[:place + 1]
    program = wrappers.first_word(words) if place is None else place
    launchers = [number for number, word in enumerate(words[:program + 1]) if _LAUNCHERS.match(os.path.basename(word))]
    if any(_LAUNCHER_WITHIN.search(word) for word in words) or program in launchers or "ssh" in words[:program]:
        return []
    if not launchers:
        return words
    behind = [number for number in range(launchers[-1] + 1, program) if wrappers.is_container(words[number]) or wrappers.is_transparent(words[number])]
    rest = behind[0] if behind else program
    if wrappers.chooses_pvserver(words[launchers[0]:rest]):
        return []
    # The launcher may itself be in the container.
    before = words[:launchers[0]] if wrappers.contains(words[:launchers[0]]) else []
    return before + words[rest:]


def question_of(pvserver: t.List[str], launcher: t.Optional[t.Sequence[str]]) -> t.List[str]:
    """The question for a command and the MPI launcher of its own that the session has; see question().

    Args:
        pvserver: the command.
        launcher: the launcher's command; may be None.
    """
    return question(list(launcher or []) + pvserver if wrappers.chooses_pvserver(launcher) else pvserver)


def looked_for(pvserver: t.List[str], launcher: t.Optional[t.Sequence[str]] = None) -> t.List[str]:
    """The programs that have to be on the PATH of a node for a command to start. What is inside a container or behind a wrapper cannot be seen from there.

    Args:
        pvserver: the command.
        launcher: the MPI launcher's command; may be None.
    """
    if wrappers.chooses_pvserver(launcher):
        return [launcher[wrappers.first_word(launcher)]]
    first = pvserver[wrappers.first_word(pvserver)]
    words = question(pvserver)
    return [first] + ([pvserver_program(words)] if _LAUNCHERS.match(os.path.basename(first)) and is_direct(words) else [])


def is_direct(words: t.Sequence[str]) -> bool:
    """Whether a command starts the host's own pvserver, and not one in a container or of an unknown wrapper.

    Args:
        words: the command; may be empty.
    """
    return bool(words) and wrappers.pvserver_index(words) == wrappers.first_word(words)


def by_path(pvserver: t.List[str]) -> bool:
    """Whether an environment module may determine which pvserver a command starts.

    Args:
        pvserver: the command.
    """
    words = question(pvserver)
    place = wrappers.pvserver_index(words)
    return bool(words) and not wrappers.contains(words) and "/" not in words[wrappers.first_word(words) if place is None else place]


def ask(script: t.Callable[[str, int], t.Tuple[int, str, str]], modules: t.List[str], pvserver: t.List[str]) -> Answer:
    """Queries pvserver's version on the host on which a script runs.

    Args:
        script: ``script(text, seconds) -> (code, out, err)``.
        modules: environment modules to load first.
        pvserver: its command.
    """
    code, out, _err = script(probe(modules, pvserver), 3 * ANSWER_SECONDS)
    return read_answer(out, modules, pvserver, code == 124)


def read_answer(text: str, modules: t.List[str], pvserver: t.Union[str, t.List[str]], cut_off: bool = False) -> Answer:
    """Parses the output of probe(); cut_off: the script took too long."""
    unloaded = re.search(r"(?m)^==unloaded(.*)$", text)
    if unloaded:
        message = one_line(unloaded.group(1), 160)
        why = "module {0} cannot be loaded there{1}".format(" ".join(modules), ": " + message if message else "")
        return Answer("", why, "unloaded", _needs(text))
    version = versions.read(text)
    why = "" if version else _why_unknown(text, question(pvserver), cut_off)
    return Answer(version, why, "missing" if why.endswith(_MISSING) else "", [])


def _why_unknown(text: str, words: t.List[str], cut_off: bool) -> str:
    """Why the version is unknown."""
    if not words:
        return "an MPI launcher is not started to query it"
    command = one_line(" ".join(words + ["--version"]), 120)
    ended = re.search(r"(?m)^==ended (\d+)$", text)
    if cut_off or (ended and ended.group(1) in ("124", "137", "143")):
        return "no answer from {0} within {1} s".format(command, 3 * ANSWER_SECONDS if cut_off else ANSWER_SECONDS)
    if not ended:
        return one_line(words[0], 120) + _MISSING
    message = one_line("\n".join([line for line in clean(text, 4000).splitlines() if line.strip() and not line.startswith("==")][-1:]), 120)
    return "no answer from {0}{1}".format(command, ": " + message if message else "")


def _needs(text: str) -> t.List[t.List[str]]:
    """The modules that a module requires, from Lmod's description of it."""
    lines = [line[len("==needs "):].strip() for line in text.splitlines() if line.startswith("==needs ")]
    # The list follows a sentence of one or more lines, and a blank line.
    below = lines[lines.index(""):] if "" in lines else []
    ways = [re.split(r"\s+", line) for line in below if re.match(r"[A-Za-z0-9_][^\s:]*(?:\s+[A-Za-z0-9_][^\s:]*)*\Z", line)]
    return ways[:3]
