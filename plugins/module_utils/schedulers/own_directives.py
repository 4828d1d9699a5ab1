# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own directives: what they set in place of ours, and what of it can be read."""

import math
import re
import typing as t

from ..common import durations
from ..common.errors import SessionError
from . import option_lines
from .amounts import Ranks

#: What may be read of directives.
QUANTITIES = ("walltime", "queue", "nodes", "tasks", "tasks_per_node")
_UNREAD: t.Dict[str, t.Any] = {"walltime": 0, "queue": "", "nodes": 0, "tasks": 0, "tasks_per_node": 0}
# The job's script is written for sh. Other shells, zsh among them, split words in another way.
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh")
_NUMBER = re.compile(r"^([0-9]{1,6})(?:-\1)?\Z")
_SECONDS = re.compile(r"^(?:(?:(?P<h>[0-9]{1,6}):)?(?P<m>[0-9]{1,6}):)?(?P<s>[0-9]{1,8})(?:\.[0-9]*)?\Z")
_MINUTES = re.compile(r"^(?:(?P<h>[0-9]{1,6}):)?(?P<m>[0-9]{1,8})\Z")
_SLURM = re.compile(r"^(?:(?P<days>[0-9]{1,5})-)?([0-9]{1,8})(?::([0-9]{1,6}))?(?::([0-9]{1,6}))?\Z")
_GRID_ENGINE = re.compile(r"^(?P<h>[0-9]{0,6}):(?P<m>[0-9]{0,6}):(?P<s>[0-9]{0,8})\Z|^(?P<seconds>[1-9][0-9]{0,8})\Z")


class OwnDirectives:
    """The user's lines for the head of a job script.

    Args:
        lines: of paraview_directives, with or without the batch system's prefix.
        syntax: the table's entry ``directives``.
        title: the batch system's name in messages.
    Attributes:
        lines: the same with the prefix.
        named: everything that they set or replace, such as ``--time`` or ``-l walltime``.
    """

    def __init__(self, lines: t.Sequence[str], syntax: t.Dict[str, t.Any], title: str) -> None:
        self.syntax, self.title = syntax, title
        self.options: option_lines.Syntax = syntax.get("options") or {}
        known = {name for line in syntax.get("lines", {}).values() if line for name in re.findall(r"--[a-z-]+", line)}
        prefix = syntax["prefix"].strip()
        written = re.compile(self.options.get("prefix", re.escape(prefix)))
        bare = [written.sub("", line.strip(), 1).strip() if written.match(line.strip()) else line.strip() for line in lines]
        # A line with the prefix stays as it is.
        self.lines = [line if line.startswith(prefix) else syntax["prefix"] + text for line, text in zip(lines, bare)]
        self._parsed = [(line, option) for line, text in zip(lines, bare) for option in option_lines.parse(text, syntax.get("options"), known)]
        self.named = option_lines.keys(option for _line, option in self._parsed)
        self.named |= {ours for key in self.named for ours in self.options.get("instead", {}).get(key, ())}

    def beside(self, lines: t.Iterable[str], one_core: bool) -> t.List[str]:
        """Our lines without what the user's own ones replace; a line of which nothing is left is empty.

        Args:
            lines: without the prefix.
            one_core: the job is one process on one core.
        """
        named = set(self.named)
        if one_core:
            named |= {ours for key in self.named for ours in self.options.get("instead_on_one_core", {}).get(key, ())}
        return [option_lines.without(line, named, self.syntax.get("options")) for line in lines]

    def replaces(self, template: str) -> bool:
        """Whether they replace a line of ours, given as its template."""
        return not any(self.beside([template], False)) if self.named and template else False

    def check(self) -> None:
        """Raises SessionError for a directive with which our job does not work."""
        prefix = self.syntax["prefix"].strip()
        for line in self.lines:
            text = line[len(prefix):].strip()
            if text.endswith("\\"):
                raise self._refused(line, "a backslash at its end would make the next line of the script a part of it", "write it as one line")
            if text.startswith("#"):
                raise SessionError("paraview_directives: {0!r} is not a directive of {1}".format(text, self.title), "its directives begin with {0}".format(
                    prefix), "write the option alone, such as --name=value; the prefix is added to it")
        for line, option in self._parsed:
            for item in option.items:
                for key in item.keys:
                    text = "{0} {1}".format(key, item.value).strip()
                    for pattern, why in self.options.get("refused", {}).items():
                        if re.match("(?:{0})\\Z".format(pattern), text):
                            raise self._refused(line, why, "leave it out")
                    if key == self.options.get("shell"):
                        self._check_shell(line, item.value)

    def _check_shell(self, line: str, value: str) -> None:
        for path in value.split(","):
            program = re.sub(r"^[^/]*:|@[^/]*\Z", "", path.strip())
            if program.rpartition("/")[2] not in _SHELLS:
                raise self._refused(line, "the job's script is written for sh, and {0} cannot run it".format(program or "no shell"),
                                    "leave it out, or name one of {0}; paraview_setup may start another shell".format(", ".join(_SHELLS)))

    def _refused(self, line: str, why: str, way_out: str) -> SessionError:
        return SessionError("paraview_directives: {0!r} is not available with {1}".format(line, self.title), why, way_out + "; nothing was submitted")

    # -- the quantities that they set

    def quantities(self, ours: Ranks, has_nodes: bool, cpus: int = 1) -> t.Dict[str, t.Any]:
        """What the job gets by these directives: of walltime (seconds), queue, nodes, tasks and tasks_per_node the ones that they set.

        What cannot be read is 0 or empty, and tasks_per_node is 0 if the nodes have different numbers.

        Args:
            ours: the processes without these directives.
            has_nodes: our own lines set the number of nodes by itself.
            cpus: cores of each process. A batch system that counts slots gives each process so many of them.
        """
        found = {quantity: self._read(quantity) for quantity in QUANTITIES}
        result = {name: found[name] for name in ("walltime", "queue") if found[name] is not None}
        nodes, tasks, each = (found[name] for name in ("nodes", "tasks", "tasks_per_node"))
        if tasks and "slots" in self.options.get("quantities", {}).get("tasks", {}).values():
            tasks = max(1, tasks // cpus)
        if tasks is not None:
            result["tasks"] = tasks
        if tasks is None and not has_nodes and "tasks" in self.options.get("quantities", {}) and (nodes, each) != (None, None):
            tasks = ours.tasks
        if tasks is not None:
            if nodes is None and not has_nodes:
                width = ours.per_node if each is None else each
                nodes = math.ceil(tasks / float(width)) if width else 0
                each = width if not nodes or tasks == nodes * width or nodes == 1 else 0
                each = tasks if nodes == 1 else each
            elif each is None:
                number = ours.nodes if nodes is None else nodes
                each = 0 if not number or tasks % number else tasks // number
        nodes = self._spread(ours.nodes, nodes)
        result.update({name: value for name, value in (("nodes", nodes), ("tasks_per_node", each)) if value is not None})
        return result

    def _spread(self, ours: int, nodes: t.Optional[int]) -> t.Optional[int]:
        """The number of nodes. If several chunks may share a node, it is unknown."""
        for key, word in self.options.get("spread", {}).items():
            place = self._value(key)
            if place is not None and word not in place.split(":") and (ours if nodes is None else nodes) > 1:
                return 0
        return nodes

    def _read(self, quantity: str) -> t.Any:
        """A quantity as the directives set it; None if they do not."""
        for key, form in self.options.get("quantities", {}).get(quantity, {}).items():
            value = self._value(key)
            read = FORMS[form](value) if value else None
            if read is not None:
                return read
            if value == "":
                return _UNREAD[quantity]
        # A directive that replaces ours, and that is not understood, leaves it unknown.
        if any(key in self.named and self._value(key) is None for key in self.options.get("quantities", {}).get(quantity, {})) and quantity != "tasks_per_node":
            return _UNREAD[quantity]
        return None

    def _value(self, key: str) -> t.Optional[str]:
        """The value that counts if a key stands in several lines; None if it stands in none, empty if it is unknown which one counts."""
        values = [item.value for _line, option in self._parsed for item in option.items if key in item.keys]
        if len(set(values)) < 2:
            return values[0] if values else None
        repeated = self.options.get("repeated", {})
        counts = repeated.get(key.partition(" ")[0], repeated.get("*"))
        return {"first": values[0], "last": values[-1]}.get(counts, "")


def _number(value: str) -> int:
    match = _NUMBER.match(value)
    return int(match.group(1)) if match else 0


def _text(value: str) -> str:
    return value if re.match(r"[\w.@:,+-]+\Z", value) else ""


def _unknown(_value: str) -> int:
    return 0


def _parts(match: t.Any) -> t.Dict[str, int]:
    return {name: int(number or 0) for name, number in match.groupdict().items()}


def _seconds(value: str) -> int:
    """``[[H:]M:]S``."""
    match = _SECONDS.match(value)
    parts = _parts(match) if match else {"h": 0, "m": 0, "s": 0}
    return parts["h"] * 3600 + parts["m"] * 60 + parts["s"]


def _minutes(value: str) -> int:
    """``[H:]M``. A time on a host of a certain speed has a slash, and is not read."""
    match = _MINUTES.match(value)
    return _parts(match)["h"] * 3600 + _parts(match)["m"] * 60 if match else 0


def _slurm_time(value: str) -> int:
    """``M``, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M`` or ``D-H:M:S``."""
    match = _SLURM.match(value)
    if not match:
        return 0
    numbers = [int(number) for number in match.groups()[1:] if number is not None]
    if match.group("days") is not None:
        return int(match.group("days")) * 86400 + sum(number * unit for number, unit in zip(numbers, (3600, 60, 1)))
    return sum(number * unit for number, unit in zip(numbers, ((60,), (60, 1), (3600, 60, 1))[len(numbers) - 1]))


def _grid_engine_time(value: str) -> int:
    """Seconds, or ``H:M:S`` of which each number may be missing."""
    match = _GRID_ENGINE.match(value)
    parts = _parts(match) if match else {"h": 0, "m": 0, "s": 0, "seconds": 0}
    return parts["seconds"] or parts["h"] * 3600 + parts["m"] * 60 + parts["s"]


def _flux_time(value: str) -> int:
    """Minutes, or a number with a unit."""
    try:
        return durations.parse(value + "m" if re.match(r"[0-9.]+\Z", value) else value)
    except ValueError:
        return 0


def _slots(value: str) -> int:
    """The slots in ``NAME SLOTS`` of a parallel environment; 0 for a range of them."""
    match = re.match(r"\S+ +([0-9]{1,7})(?:-\1)?\Z", value.strip())
    return int(match.group(1)) if match else 0


def _chunks(value: str) -> int:
    """The number of chunks of ``2:ncpus=4+ncpus=8``, or of nodes of ``2:ppn=4`` or ``c1+c2``."""
    counts = [re.match(r"\s*([0-9]{1,6})\s*(?::|\Z)", chunk) for chunk in value.split("+")]
    return sum(int(count.group(1)) if count else 1 for count in counts)


def _of_each_chunk(name: str) -> t.Callable[[str], t.Optional[int]]:
    """Reads a number that each chunk sets; None if none does, 0 if they differ."""
    def read(value: str) -> t.Optional[int]:
        numbers = {number for chunk in value.split("+") for number in re.findall(r":{0}=([0-9]{{1,6}})(?=:|\Z)".format(name), ":" + chunk) or [""]}
        if numbers == {""}:
            return None
        return int(numbers.pop()) if len(numbers) == 1 else 0

    return read


def _of_span(name: str) -> t.Callable[[str], t.Optional[int]]:
    """Reads a number in LSF's section ``span``."""
    def read(value: str) -> t.Optional[int]:
        match = re.search(r"\b{0}\s*=\s*([^\s,\]]+)".format(name), value)
        if not match or match.group(1).startswith("-"):
            return None
        return _number(match.group(1))

    return read


#: How a value is read, by name. 0 or an empty text: it cannot be read; None: it does not set the quantity.
FORMS: t.Dict[str, t.Callable[[str], t.Any]] = {
    "number": _number, "text": _text, "unknown": _unknown, "slots": _slots, "seconds": _seconds, "minutes": _minutes, "slurm_time": _slurm_time,
    "grid_engine_time": _grid_engine_time, "flux_time": _flux_time, "chunks": _chunks, "mpiprocs": _of_each_chunk("mpiprocs"),
    "ppn": _of_each_chunk("ppn"), "ptile": _of_span("ptile"), "hosts": _of_span("hosts"),
}
