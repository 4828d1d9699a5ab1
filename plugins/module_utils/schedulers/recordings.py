# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of batch systems, and how a table interprets them, without a cluster.

A recording is a file of four parts, each below a line of its own: ``=== command``, ``=== exit code``, ``=== stdout``, ``=== stderr``.
A file may hold several recordings, one after another. The others then answer the table's further questions.
"""

import os
import re
import shlex
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
    """The name of the table's question that uses a command; None if there is none.

    A question whose ``like`` matches comes first, then the one whose words have the most in common with those of the command.
    """
    words = _words(command)
    likeness: t.Dict[str, t.Tuple[bool, float]] = {}
    for name, question in table["ask"].items():
        like = question.get("like")
        if like and re.search(like, command):
            likeness[name] = (True, 0.0)
        elif not like and _programs(question["argv"]) & {os.path.basename(word) for word in words}:
            likeness[name] = (False, _in_common(question["argv"], words))
    return max(likeness, key=lambda name: likeness[name]) if likeness else None


def _words(command: str) -> t.List[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _programs(argv: t.List[str]) -> t.Set[str]:
    """The names of the programs that a command starts: its own, and that of a shell's text."""
    text = argv[2].split() if len(argv) > 2 and argv[1] == "-c" else []
    return {os.path.basename(word) for word in argv[:1] + text[:1]}


def _in_common(argv: t.List[str], words: t.List[str]) -> float:
    """How many words of a question a command has, less those that it lacks. Options may be joined, and in another order."""
    letters = {"-" + letter for word in words if re.match(r"-[A-Za-z]+\Z", word) for letter in word[1:]}
    names = {word.partition("=")[0] for word in words}
    total = 0.0
    for word in argv[1:]:
        if re.match(r"\{[a-z_]+\}\Z", word):
            continue
        joined = re.match(r"-[A-Za-z]+\Z", word) and all("-" + letter in letters for letter in word[1:])
        pattern = ".+".join(re.escape(part) for part in re.split(r"\{[a-z_]+\}", word))
        if joined or any(re.match(pattern + r"\Z", one, re.DOTALL) for one in words):
            total += 1
        else:
            # Another value of the same option counts less than the same value, and more than no such option.
            total += -0.5 if word.startswith("--") and word.partition("=")[0] in names else -1
    return total


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
