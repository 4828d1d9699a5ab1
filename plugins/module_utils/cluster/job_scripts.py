# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two scripts of a job, and the small files through which it talks.

job.sh is what the batch system runs: it reports, keeps the time and ends what it started. pvserver.sh is its child in a
process group of its own: it makes the environment, waits for the go file and becomes pvserver. Both lie in the files of the
role connect and are filled in here. A job's files lie in a directory on the cluster that only its owner may enter; a file is
written beside its place, flushed and renamed, since homes are network file systems.

Files: ``status`` (what happened, a line each), ``beat`` (a sign of life every two or three seconds),
``go`` (pvserver's arguments, a line each), ``log`` (pvserver's output),
``batch.log`` (the batch system's), ``rank.sh`` (rendering.py). With a lifeline (lifeline.py) also its program, ``key``, ``agent.log``, and what the agent is
told: ``pvserver`` (where pvserver waits) and ``line`` (where the line leads), an address and port each.
"""

import re
import shlex
import typing as t

from ..common import programs
from ..paraview import rendering
from ..paraview.pvserver import STATUS_LINES, pvserver_program
from ..schedulers import directives, hostlists, mpi
from ..schedulers.tables.registry import Table


def files(table: Table, directory: str, options: t.Dict[str, t.Any], asked: t.Dict[str, t.Any], modules: t.List[str], outage_s: int = 0) -> t.Dict[str, str]:
    """The files of a job by name, as they have to be there when it is submitted.

    Args:
        table: the batch system's table.
        directory: the session's directory on the cluster, absolute.
        options: a session's. asked: what of them the batch system is asked for, by directives.requested().
        modules: environment modules to load.
        outage_s: how long the lifeline may be away; 0 for no lifeline. Its own files come from lifeline.files().
    """
    launcher = mpi.command(mpi.chosen(table, options), options["nodes"], options["tasks_per_node"], options["cpus_per_task"])
    return {
        # Made beforehand, so that it is private whatever umask the batch system opens it with.
        "batch.log": "",
        "job.sh": job_script(table, directory, asked, options["client_timeout"], options["walltime"] if table.get("on_login_node") else 0),
        "pvserver.sh": pvserver_script(directory, launcher, options["pvserver"], modules, options["setup"], outage_s, options.get("rendering", "auto")),
        rendering.RANK_FILE: rendering.rank_script(),
    }


def job_script(table: Table, directory: str, options: t.Dict[str, t.Any], idle_s: int, limit_s: int = 0) -> str:
    """Text of job.sh.

    Args:
        table: the batch system's table.
        directory: the session's directory on the cluster, absolute.
        options: for directives.head().
        idle_s: seconds a started job waits for its client.
        limit_s: seconds after which the job ends itself, where no batch system does; 0 for none.
    """
    head = directives.head(table, options, directory + "/batch.log")
    walltime = int(options.get("walltime") or 0)
    return programs.filled("connect", "job.sh", {}, {
        "DIRECTIVES": "\n".join(head), "DIR": shlex.quote(directory), "JOB_NODES": table["job_nodes"], "JOB_SETUP": table.get("job_setup", ":"),
        "STATUS_LINES": shlex.quote(STATUS_LINES), "IDLE": str(int(idle_s)), "LIMIT": str(int(limit_s)), "WALLTIME": str(walltime),
        "LATE": str(walltime - min(30, walltime // 10))})


def pvserver_script(directory: str, launcher: t.List[str], pvserver: t.List[str], modules: t.Sequence[str] = (), setup: str = "", outage_s: int = 0,
                    draws_through: str = "auto", look: str = "") -> str:
    """Text of pvserver.sh.

    Args:
        directory: the session's directory on the cluster, absolute.
        launcher: the MPI launcher with its arguments; empty for none.
        pvserver: pvserver with its arguments; its first word may be a wrapper.
        modules: environment modules to load.
        setup: shell lines of the user's own, run before pvserver.
        outage_s: how long the lifeline may be away; 0 for no lifeline.
        draws_through: of rendering.CHOICES.
        look: shell lines that are run before the go file is waited for; ``start`` starts something there as pvserver is started.
    """
    program = pvserver_program(pvserver)
    parts, blanks = rendering.choice(draws_through, program, pvserver, launcher, directory)
    parts.update(modules=bool(modules), lifeline=bool(outage_s))
    blanks.update(
        DIR=shlex.quote(directory), MODULES=_quoted(modules), SETUP=setup, PROGRAM=shlex.quote(program), LOOK=look, OUTAGE=str(int(outage_s)),
        PVSERVER=_quoted(pvserver))
    return programs.filled("connect", "pvserver.sh", parts, blanks)


def _quoted(words: t.Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def go_file(arguments: t.List[str]) -> str:
    """Text of the go file; a line each, so that no argument can be taken for two."""
    if any("\n" in argument for argument in arguments):
        raise ValueError("an argument of pvserver holds a newline")
    return "".join(argument + "\n" for argument in arguments)


class Progress:
    """What the lines of the status file tell.

    Attributes:
        host: where the job script runs. nodes: its nodes. addresses: IPv4 addresses of that host.
        output: pvserver's status lines. connected: a client was there. leaving: pvserver goes.
        fault: what kept pvserver from being started, and the thing it concerns.
        display: what the job found on displays, for rendering.told(); empty for nothing.
        ended: exit status, and why: pvserver, idle, walltime, outage, lost or cancelled.
        elsewhere: pvserver accepts connections, but not on this host.
        lifeline: whether an agent can be there; None while that is not known.
        agent: where the lifeline's agent listens.
    """

    def __init__(self, text: str = "") -> None:
        self.host, self.elsewhere, self.display = "", False, ""
        self.nodes: t.List[str] = []
        self.addresses: t.List[str] = []
        self.output: t.List[str] = []
        self.fault: t.Optional[t.Tuple[str, str]] = None
        self.ended: t.Optional[t.Tuple[int, str]] = None
        self.lifeline: t.Optional[bool] = None
        self.agent: t.Optional[t.Tuple[str, int]] = None
        for line in text.split("\n"):
            self._read(line)

    @property
    def connected(self) -> bool:
        return any(line.startswith("Client connected") for line in self.output)

    @property
    def leaving(self) -> bool:
        return any(line.startswith("Exiting") for line in self.output)

    def _read(self, line: str) -> None:
        word, _blank, rest = line.partition(" ")
        if word == "running":
            self.host = "".join(hostlists.expand(rest)[:1])
        elif word == "nodes":
            self.nodes = [name for part in rest.split() for name in hostlists.expand(part)]
        elif word == "addresses":
            self.addresses = re.findall(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])", rest)[:32]
        elif word == "said":
            self.output.append(rest)
        elif word in ("missing", "module", "ports", "rendering"):
            self.fault = (word, rest)
        elif word == "elsewhere":
            self.elsewhere = True
        elif word == "display":
            self.display = rest
        elif word == "lifeline":
            self.lifeline = bool(rest)
        elif word == "agent":
            self._read_agent(rest)
        elif word == "ended":
            code, _blank, why = rest.partition(" ")
            self.ended = (int(code) if re.match(r"^[0-9]{1,9}\Z", code) else 1, why)

    def _read_agent(self, rest: str) -> None:
        match = re.match(r"^([0-9.]{7,15}) ([0-9]{1,5})\Z", rest)
        if match:
            self.agent = (match.group(1), int(match.group(2)))
        else:
            self.fault = ("agent", rest)
