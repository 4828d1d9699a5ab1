# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of batch systems, and what a table makes of them without a cluster.

A recording is a file of four parts, each below a line of its own: ``=== command``, ``=== exit code``, ``=== stdout``, ``=== stderr``.
It may hold several, one behind the other: the table's further questions are then answered too.
"""

import os
import re
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from .answers import JobState, fill
from .jobs import Jobs
from .tables.registry import Table


class Recording(t.NamedTuple):
    """A command that was run, with its exit status and what it printed."""

    command: str
    code: int
    out: str
    err: str


_PARTS = re.compile(r"^=== command\n(.*?)\n=== exit code\n\s*(-?\d+)\s*\n=== stdout\n(.*?)=== stderr\n?(.*?)(?=^=== command\n|\Z)", re.DOTALL | re.MULTILINE)
_FORM = "it has the four lines '=== command', '=== exit code', '=== stdout' and '=== stderr', each with what belongs to it below"
# The exit code of a shell for a command that is not there.
_NOT_RECORDED = 127


def parse(data: bytes) -> t.List[Recording]:
    """What a file holds.

    Args:
        data: any; what is not UTF-8 is replaced.
    Raises:
        ValueError: it holds no recording.
    """
    found = [Recording(command, int(code), out, err) for command, code, out, err in _PARTS.findall(data.decode("utf-8", "replace").replace("\r\n", "\n"))]
    if not found:
        raise ValueError("it holds no recorded answer: " + _FORM)
    return found


def question_for(table: Table, command: str) -> t.Optional[str]:
    """The name of the table's question that a command asks; None where it is none of them."""
    for name, question in table["ask"].items():
        program = os.path.basename(question["argv"][0])
        if re.search(question.get("like") or r"(?:^|[\s/]){0}(?:\s|\Z)".format(re.escape(program)), command):
            return name
    return None


def read(table: Table, name: str, job_id: str, recordings: t.List[Recording]) -> JobState:
    """What a table makes of recordings.

    Args:
        table: the table.
        name: its name.
        job_id: the job that they are asked about.
        recordings: answers.
    Raises:
        SessionError: the table asks nothing of the kind.
    """
    answers = {}
    for one in recordings:
        question = question_for(table, one.command)
        if question is None:
            raise SessionError("{0} asks nothing like {1!r}".format(name, one_line(one.command)), "its questions are {0}".format(
                "; ".join(" ".join(question["argv"]) for question in table["ask"].values())), "record the answer to one of them")
        answers[question] = one
    commands = {tuple(fill(table["ask"][question]["argv"], job_id=job_id)): one for question, one in answers.items()}

    def run(argv: t.List[str]) -> t.Tuple[int, str, str]:
        one = commands.get(tuple(argv))
        return (one.code, one.out, one.err) if one else (_NOT_RECORDED, "", "")

    # Those that are recorded are asked, each as if what comes before it had asked for it.
    asked = dict(table, ask={question: table["ask"][question] for question in table["ask"] if question in answers})
    return Jobs(run, asked).ask(job_id)
