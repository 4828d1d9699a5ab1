# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that keep a job from running pvserver, as errors of three lines."""

import re
import typing as t

from ..common import durations
from ..common.errors import SessionError
from ..common.text import one_line, tail
from ..paraview import pvserver as paraview
from ..paraview import rendering, wrappers
from ..schedulers import amounts, mpi
from ..schedulers.answers import JobState
from .status_file import Progress

#: The exit status of job.sh on a node that cannot write to the session's directory.
CANNOT_WRITE = 73
# What job.sh prints then.
_CANNOT_WRITE_LINE = re.compile(r"(?m)^job\.sh: (\S+) cannot write to ")
_OTHER_DIRECTORY = "set paraview_remote_dir to a directory that the login node and the compute nodes share and that a job can write to, such as /scratch/$USER"


def error(job_id: str, host: str, fault: t.Tuple[str, str], pvserver: t.List[str]) -> SessionError:
    """The SessionError for a fault that kept a job from starting pvserver.

    Args:
        job_id: the job. host: its node.
        fault: as in status_file.Progress.
        pvserver: the command that was requested.
    """
    kind, thing = fault
    if kind == "missing":
        return _missing(job_id, host, one_line(thing), pvserver)
    if kind == "module":
        return SessionError("module {0} cannot be loaded on {1}".format(one_line(thing), host), "module load failed in job {0}".format(job_id),
                            "list the modules with: module avail paraview; then set paraview_modules", end_detached=True)
    if kind == "rendering":
        return rendering.error(job_id, host, thing)
    if kind == "agent":
        return SessionError("paraview-lifeline ended on {0}".format(host), one_line(thing) or "it printed nothing",
                            "set paraview_reconnect to false for this host", end_detached=True)
    return SessionError("no port is free on {0}".format(host), "all ports of {0} are in use".format(one_line(thing)), "widen paraview_server_ports",
                        end_detached=True)


def _missing(job_id: str, host: str, thing: str, pvserver: t.List[str]) -> SessionError:
    """The SessionError for a program that is not on the PATH of a job: pvserver, or what starts it."""
    what = "pvserver was not found on {0}: {1!r}" if wrappers.is_pvserver(thing) else "pvserver cannot be started on {0}: {1!r}"
    if "/" in thing:
        why, way_out = "{0} does not exist there, or may not be executed", "correct paraview_pvserver"
    else:
        why, way_out = "{0} is not on the PATH of job {1}", "let paraview_modules or paraview_setup put it there, or give its full path in paraview_pvserver"
    return SessionError(what.format(host, " ".join(pvserver)), why.format(thing, job_id), way_out, end_detached=True)


def unwritable(job_id: str, table: t.Dict[str, t.Any], state: JobState, ended: t.Optional[t.Tuple[int, str]], directory: str,
               log: str) -> t.Optional[SessionError]:
    """The SessionError for a job that ended since its node cannot write to the session's directory; None if nothing shows that.

    Args:
        job_id: the job. table: of its batch system. state: what that reports. ended: as in status_file.Progress.
        directory: the session's. log: the end of the batch system's output, if there is one.
    """
    line = _CANNOT_WRITE_LINE.search(log)
    # The batch system opens the job's output file in this directory before it runs the job.
    sentences = dict(table.get("explanations", {}), **table.get("exits", {}))
    unopened = state.state == "failed" and state.explanation in [sentences[key] for key in table.get("unwritable", ()) if key in sentences]
    if not (line or unopened or CANNOT_WRITE in (state.exit_status, (ended or (None, ""))[0])):
        return None
    node = line.group(1) if line else " ".join(state.nodes[:1]) or "its node"
    return _no_sound("job {0} cannot write to {1} on {2}".format(job_id, directory, one_line(node, 100)),
                     state.explanation if unopened else "the directory is missing there, read-only, full or of another account", log)


def may_be_unwritable(directory: str) -> str:
    """The way out for a job that ended without a trace: the most frequent cause is a node that cannot write to the session's directory."""
    return "connect again; if the job ends again, its node may not be able to write to {0}: {1}".format(directory, _OTHER_DIRECTORY)


def silent(job_id: str, node: str, directory: str, seconds: float, log: str) -> SessionError:
    """The SessionError for a job that its batch system reports to run, and that has written nothing for too long.

    Args:
        job_id: the job. node: its first node. directory: the session's. seconds: for how long.
        log: the end of the batch system's output, if there is one.
    """
    return _no_sound("job {0} on {1} has written nothing to {2}".format(job_id, node, directory),
                     "the batch system has reported for {0} that it runs".format(durations.in_words(seconds)), log)


def _no_sound(what: str, why: str, log: str) -> SessionError:
    shown = tail(log)
    return SessionError(what, why + ("; the end of its output:\n" + shown if shown else ""), _OTHER_DIRECTORY, end_detached=True)


def reachable(accepting: t.Tuple[str, int], progress: Progress, lifeline: bool, pvserver: t.Sequence[str] = ()) -> t.Tuple[str, int]:
    """Host and port of a pvserver that accepts connections; SessionError if the session cannot reach it.

    Since 6.1 pvserver names the address that it is bound to. If that is loopback or 0.0.0.0, it is replaced by the job's host.

    Args:
        accepting: host and port, as pvserver printed them.
        progress: of the job.
        lifeline: whether an agent of reconnection connects to pvserver.
        pvserver: the command that was requested.
    """
    host, port = accepting
    nameless = paraview.is_nameless(host)
    if progress.elsewhere and wrappers.has_own_network(pvserver):
        raise SessionError("pvserver cannot be reached in its container on {0}".format(progress.host),
                           "no process of {0} itself listens on port {1}: the container has a network of its own".format(progress.host, port),
                           "add --network=host to the command in paraview_pvserver", end_detached=True)
    if progress.elsewhere and (lifeline or nameless):
        where = "no process of yours listens on port {0} of {1}, where the job's script runs{2}".format(
            port, progress.host, "" if nameless else ": pvserver runs on {0}".format(host))
        if lifeline:
            raise SessionError("the reconnecting connection does not reach pvserver", where, "set paraview_reconnect to false for this host", end_detached=True)
        raise SessionError("pvserver is not on the job's first node", where,
                           "let the MPI launcher start rank 0 on the node where the job's script runs (paraview_mpi_launcher)", end_detached=True)
    return (progress.host, port) if nameless else accepting


def refuse_separate_servers(job_id: str, status: paraview.Status) -> None:
    """Raises SessionError if the MPI launcher started several pvservers of one rank each instead of one with several ranks."""
    if status.servers > 1:
        raise SessionError("pvserver was started {0} times in job {1}, as a server of its own each time".format(status.servers, job_id),
                           "the MPI launcher and pvserver's MPI are not compatible, so its ranks do not find each other",
                           "set paraview_mpi_launcher to the launcher of the MPI that pvserver was built with (mpiexec, or srun with its --mpi option)",
                           end_detached=True)


def few_hosts(table: t.Dict[str, t.Any], options: t.Dict[str, t.Any], nodes: t.List[str], progress: Progress, attached: bool = False) -> str:
    """The line for the user if ranks run on fewer hosts than the job has nodes for them; empty if they do not, or if that is unknown.

    Args:
        table: the batch system's table.
        options: of the session, as directives.granted() returns them.
        nodes: of the job.
        progress: of the job.
        attached: the job is the user's own.
    """
    use = mpi.nodes_used(options, len(nodes)) if attached else len(nodes)
    tasks = amounts.tasks(dict(options, nodes=use, tasks=0) if attached else options)
    expected = min(use, tasks)
    if not progress.ranks or progress.ranks >= expected:
        return ""
    return "pvserver's {0} ranks run on {1} of {2} nodes: {3}".format(tasks, progress.ranks, expected, _spread(table, options, use, tasks))


def _spread(table: t.Dict[str, t.Any], options: t.Dict[str, t.Any], nodes: int, tasks: int) -> str:
    """Why ranks do not run on all nodes, and what to do about it."""
    own = mpi.words(table["launcher"])
    if options["mpi_launcher"] and own and options["mpi_launcher"][0] != own[0]:
        return "{0} does not start them on the others; leave paraview_mpi_launcher out, which then is {1}, or give {0} the job's nodes".format(
            one_line(options["mpi_launcher"][0], 80), own[0])
    launcher = one_line((options["mpi_launcher"] or own or ["the MPI launcher"])[0], 80)
    file = table.get("node_file", "")
    each = -(-tasks // nodes)
    return ("{0} has no support for {1}; {2}").format(launcher, table["title"], (
        "if it is Open MPI's, put this line into paraview_setup: export OMPI_MCA_orte_default_hostfile=${0} "
        "PRTE_MCA_prte_default_hostfile=${0}; and set paraview_mpi_launcher to: {1} -n {2} --map-by ppr:{3}:node".format(
            file, launcher, tasks, each) if file else
        "set paraview_mpi_launcher to a launcher that does, or that is given the job's nodes"))
