# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of batch systems, and how a table interprets them, without a cluster.

A recording is a file of four parts, each below a line of its own: ``=== command``, ``=== exit code``, ``=== stdout``, ``=== stderr``.
A file may hold several recordings, one after another. The others then answer the table's further questions.
"""

import os
import re
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from .answers import JobState, command, number_and_cluster, unknown
from .jobs import Jobs
from .tables.registry import Table


class Recording(t.NamedTuple):
    """A command that was run, with its exit status and its output."""

    command: str
    code: int
    out: str
    err: str


_PARTS = re.compile(r"^=== command\n(.*?)\n=== exit code\n\s*(-?\d+)\s*\n=== stdout\n(.*?)=== stderr\n?(.*?)(?=^=== command\n|\Z)", re.DOTALL | re.MULTILINE)
_FORM = "it needs the four lines '=== command', '=== exit code', '=== stdout' and '=== stderr', each followed by its content"
# The exit code of a shell if a command does not exist.
_NOT_RECORDED = 127


def parse(data: bytes) -> t.List[Recording]:
    """The recordings in a file.

    Args:
        data: any bytes; those that are not UTF-8 are replaced.
    Raises:
        ValueError: the file holds no recording.
    """
    found = [Recording(command, int(code), out, err) for command, code, out, err in _PARTS.findall(data.decode("utf-8", "replace").replace("\r\n", "\n"))]
    if not found:
        raise ValueError("it holds no recorded answer: " + _FORM)
    return found


def question_for(table: Table, command: str) -> t.Optional[str]:
    """The name of the table's question that uses a command; None if there is none."""
    for name, question in table["ask"].items():
        program = os.path.basename(question["argv"][0])
        if re.search(question.get("like") or r"(?:^|[\s/]){0}(?:\s|\Z)".format(re.escape(program)), command):
            return name
    return None


def read(table: Table, name: str, job_id: str, recordings: t.List[Recording]) -> JobState:
    """The state of a job as a table reads it from recordings.

    Args:
        table: the table.
        name: its name.
        job_id: the job in question.
        recordings: answers.
    Raises:
        SessionError: no question of the table uses a recorded command.
    """
    answers = {}
    for recording in recordings:
        question = question_for(table, recording.command)
        if question is None:
            raise SessionError("{0} has no question like {1!r}".format(name, one_line(recording.command)), "its questions are {0}".format(
                "; ".join(" ".join(question["argv"]) for question in table["ask"].values())), "record the answer to one of them")
        answers[question] = recording
    commands = {tuple(command(table, table["ask"][question]["argv"], job_id=job_id)): recording for question, recording in answers.items()}

    def run(argv: t.List[str]) -> t.Tuple[int, str, str]:
        recording = commands.get(tuple(argv))
        return (recording.code, recording.out, recording.err) if recording else (_NOT_RECORDED, "", "")

    # Only questions with a recorded answer are asked; the first of them unconditionally.
    recorded = dict(table, ask={question: table["ask"][question] for question in table["ask"] if question in answers})
    job = Jobs(run, recorded).ask(job_id)
    cluster = number_and_cluster(table, job_id)[1]
    if job.gone and cluster and not any(re.search(r"[\s=,M]{0}(?:[\s,]|\Z)".format(re.escape(cluster)), one.command) for one in recordings):
        return unknown("", "the recorded command does not name cluster {0}".format(cluster))
    return job
