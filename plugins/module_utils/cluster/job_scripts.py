# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two scripts of a job, and the small files through which it communicates.

The batch system runs job.sh, which writes the status, enforces the time limits and ends what it started. Its child pvserver.sh
has a process group of its own: it sets up the environment, waits for the go file and becomes pvserver. Their templates are files
of the role connect. A job's files are in a directory on the cluster that only its owner may enter. Each file is written under a
temporary name, flushed and renamed, since homes are network file systems.

Files: ``status`` (an event a line, see status_file.py), ``beat`` (a sign of life every two or three seconds), ``go`` (an argument of pvserver a line),
``log`` (pvserver's output), ``log.old`` (that of the pvserver before it), ``next`` (``again`` or ``end``: what follows in a job that is kept),
``batch.log`` (the batch system's), ``rank.sh`` (rendering.py), ``host.NAME`` (ranks run on that host).
In a job of the user's own (own_job.py) also ``attach.sh``, ``nodes`` (a node a line), ``slots`` (a rank a line). With a lifeline (lifeline.py) also its
program, ``key``, ``agent.log``, and two addresses with port for the agent: ``pvserver`` (where pvserver waits) and ``line`` (where the line goes).
"""

import shlex
import typing as t

from ..common import programs
from ..paraview import rendering, version_probe, wrappers
from ..paraview.pvserver import STATUS_LINES, pvserver_program
from ..schedulers import directives, mpi
from ..schedulers.tables.registry import Table


def files(table: Table, directory: str, options: t.Dict[str, t.Any], requested: t.Dict[str, t.Any], modules: t.List[str],
          outage_s: int = 0, attached: bool = False) -> t.Dict[str, str]:
    """The files that a job needs when it is submitted: text by name.

    Args:
        table: the batch system's table.
        directory: the session's directory on the cluster, absolute.
        options: of the session.
        requested: what the job requests of the batch system, see directives.requested().
        modules: environment modules to load.
        outage_s: how long the lifeline may be disconnected; 0 for no lifeline. Its own files come from lifeline.files().
        attached: the scripts run in a job of the user's own (own_job.py).
    """
    sized = directives.sized(table, options)
    launcher = mpi.of_the_job(table, sized)
    return {
        # It exists before the job, so that it is private whatever umask the batch system uses.
        "batch.log": "",
        "job.sh": job_script(table, directory, requested, options["client_timeout"], options["walltime"] if table.get("on_login_node") else 0,
                             attached, options["keep_timeout"] if options.get("keep") else 0),
        "pvserver.sh": pvserver_script(directory, options, launcher, modules, outage_s),
        rendering.RANK_FILE: rendering.rank_script(),
    }


def job_script(table: Table, directory: str, options: t.Dict[str, t.Any], idle_s: int, limit_s: int = 0, attached: bool = False,
               keep_s: int = 0) -> str:
    """Text of job.sh.

    Args:
        table: the batch system's table.
        directory: the session's directory on the cluster, absolute.
        options: for directives.head().
        idle_s: seconds for which a running job waits for its client.
        limit_s: seconds after which the job ends itself, if no batch system ends it; 0 for none.
        attached: attach.sh starts it in a job of the user's own, whose nodes are in the file "nodes".
        keep_s: seconds for which the job waits for another client after one has left; 0 if it ends with its client.
    """
    head = [] if attached else directives.head(table, options, directory + "/batch.log")
    walltime = int(directives.granted(table, options).get("walltime") or 0)
    return programs.filled("connect", "job.sh", {"attached": attached}, {
        "DIRECTIVES": "\n".join(head), "DIR": shlex.quote(directory), "JOB_NODES": "cat nodes" if attached else table["job_nodes"],
        "JOB_SETUP": table.get("job_setup", ":"),
        "STATUS_LINES": shlex.quote(STATUS_LINES), "IDLE": str(int(idle_s)), "KEEP": str(int(keep_s)), "LIMIT": str(int(limit_s)), "WALLTIME": str(walltime),
        "LATE": str(walltime - min(30, walltime // 10))})


def pvserver_script(directory: str, options: t.Dict[str, t.Any], launcher: t.List[str], modules: t.Sequence[str] = (), outage_s: int = 0,
                    look: str = "") -> str:
    """Text of pvserver.sh.

    Args:
        directory: the session's directory on the cluster, absolute.
        options: of the session: pvserver (the command with its arguments; its first word may be a wrapper), setup (the user's shell lines, which run before
            pvserver; none if it is missing) and rendering (of rendering.CHOICES; auto if it is missing).
        launcher: the MPI launcher with its arguments; empty for none.
        modules: environment modules to load.
        outage_s: how long the lifeline may be disconnected; 0 for no lifeline.
        look: shell lines that run before the wait for the go file; their ``start`` starts a program in the way pvserver is started.
    """
    pvserver = options["pvserver"]
    parts, values = rendering.choice(options.get("rendering", "auto"), pvserver, launcher, directory)
    parts.update(modules=bool(modules), lifeline=bool(outage_s))
    values.update(
        DIR=shlex.quote(directory), MODULES=_quoted(modules), SETUP=options.get("setup", ""), LOOK=look, OUTAGE=str(int(outage_s)),
        OTHER_ROOTS=wrappers.OTHER_ROOTS, OWN_LIMIT="1" if any(word.startswith("--timeout") for word in pvserver) else "",
        LAUNCHER=mpi.in_shell(launcher), PVSERVER=wrappers.quoted(pvserver), NEEDED=wrappers.quoted(version_probe.looked_for(pvserver, launcher)))
    values.update(_questions(directory, version_probe.question_of(pvserver, launcher)))
    return programs.filled("connect", "pvserver.sh", parts, values)


def _questions(directory: str, words: t.List[str]) -> t.Dict[str, str]:
    """Blanks for what the job asks of pvserver before it starts.

    Args:
        directory: the session's.
        words: of version_probe.question_of().
    """
    direct = version_probe.is_direct(words)
    place = wrappers.pvserver_index(words)
    own = [pvserver_program(words)] if direct else []
    inside = words[:place] + [directory + "/left"] if place is not None and not direct else []
    return {"OWN_FILE": wrappers.quoted(own) or "''", "ASKED": wrappers.quoted(own or words), "INSIDE": wrappers.quoted(inside)}


def _quoted(words: t.Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def go_file(arguments: t.List[str]) -> str:
    """Text of the go file, an argument a line. ValueError if an argument has a newline, since it would be read as two."""
    if any("\n" in argument for argument in arguments):
        raise ValueError("an argument of pvserver contains a newline")
    return "".join(argument + "\n" for argument in arguments)
