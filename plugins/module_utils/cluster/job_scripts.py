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


def files(about, directory, options, asked, modules, outage_s=0):
    """dict[str, str]: the files of a job by name, as they have to be there when it is submitted.

    Args:
        about (dict): the batch system's table.
        directory (str): the session's directory on the cluster, absolute.
        options (dict): a session's. asked (dict): what of them the batch system is asked for, by directives.asked().
        modules (list[str]): environment modules to load.
        outage_s (int): how long the lifeline may be away; 0 for no lifeline. Its own files come from lifeline.files().
    """
    launcher = mpi.command(mpi.chosen(about, options), options["nodes"], options["tasks_per_node"], options["cpus_per_task"])
    return {
        # Made beforehand, so that it is private whatever umask the batch system opens it with.
        "batch.log": "",
        "job.sh": job_script(about, directory, asked, options["client_timeout"], options["walltime"] if about.get("on_login_node") else 0),
        "pvserver.sh": pvserver_script(directory, launcher, options["pvserver"], modules, options["setup"], outage_s, options.get("rendering", "auto")),
        rendering.RANK_FILE: rendering.rank_script(),
    }


def job_script(about, directory, options, idle_s, limit_s=0):
    """Text of job.sh.

    Args:
        about (dict): the batch system's table.
        directory (str): the session's directory on the cluster, absolute.
        options (dict): for directives.head().
        idle_s (int): seconds a started job waits for its client.
        limit_s (int): seconds after which the job ends itself, where no batch system does; 0 for none.
    Returns:
        str
    """
    head = directives.head(about, options, directory + "/batch.log")
    walltime = int(options.get("walltime") or 0)
    return programs.filled("connect", "job.sh", {}, {
        "DIRECTIVES": "\n".join(head), "DIR": shlex.quote(directory), "JOB_NODES": about["job_nodes"], "JOB_SETUP": about.get("job_setup", ":"),
        "STATUS_LINES": shlex.quote(STATUS_LINES), "IDLE": str(int(idle_s)), "LIMIT": str(int(limit_s)), "WALLTIME": str(walltime),
        "LATE": str(walltime - min(30, walltime // 10))})


def pvserver_script(directory, launcher, pvserver, modules=(), setup="", outage_s=0, draws_through="auto", look=""):
    """Text of pvserver.sh.

    Args:
        directory (str): the session's directory on the cluster, absolute.
        launcher (list[str]): the MPI launcher with its arguments; empty for none.
        pvserver (list[str]): pvserver with its arguments; its first word may be a wrapper.
        modules (list[str]): environment modules to load.
        setup (str): shell lines of the user's own, run before pvserver.
        outage_s (int): how long the lifeline may be away; 0 for no lifeline.
        draws_through (str): of rendering.CHOICES.
        look (str): shell lines that are run before the go file is waited for; ``start`` starts something there as pvserver is started.
    Returns:
        str
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


def go_file(arguments):
    """Text of the go file; a line each, so that no argument can be taken for two."""
    if any("\n" in argument for argument in arguments):
        raise ValueError("an argument of pvserver holds a newline")
    return "".join(argument + "\n" for argument in arguments)


class Progress:
    """What the lines of the status file tell.

    Attributes:
        host (str): where the job script runs. nodes (list[str]). addresses (list[str]): IPv4 addresses of that host.
        said (list[str]): pvserver's status lines. connected (bool): a client was there. leaving (bool): pvserver goes.
        fault (tuple[str, str] or None): what kept pvserver from being started, and the thing it concerns.
        display (str): what the job found on displays, for rendering.told(); empty for nothing.
        ended (tuple[int, str] or None): exit status, and why: pvserver, idle, walltime, outage, lost or cancelled.
        elsewhere (bool): pvserver accepts connections, but not on this host.
        lifeline (bool or None): whether an agent can be there; None while that is not known.
        agent (tuple[str, int] or None): where the lifeline's agent listens.
    """

    def __init__(self, text=""):
        self.host, self.nodes, self.addresses, self.said, self.fault, self.ended = "", [], [], [], None, None
        self.lifeline, self.agent, self.elsewhere, self.display = None, None, False, ""
        for line in text.split("\n"):
            self._read(line)

    @property
    def connected(self):
        return any(line.startswith("Client connected") for line in self.said)

    @property
    def leaving(self):
        return any(line.startswith("Exiting") for line in self.said)

    def _read(self, line):
        word, _blank, rest = line.partition(" ")
        if word == "running":
            self.host = "".join(hostlists.expand(rest)[:1])
        elif word == "nodes":
            self.nodes = [name for part in rest.split() for name in hostlists.expand(part)]
        elif word == "addresses":
            self.addresses = re.findall(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])", rest)[:32]
        elif word == "said":
            self.said.append(rest)
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

    def _read_agent(self, rest):
        match = re.match(r"^([0-9.]{7,15}) ([0-9]{1,5})\Z", rest)
        if match:
            self.agent = (match.group(1), int(match.group(2)))
        else:
            self.fault = ("agent", rest)
