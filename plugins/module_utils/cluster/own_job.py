# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that the user has already, in which pvserver is started (paraview_job_id).

The batch system's answer names its owner, its nodes and the time that it has left. attach.sh runs on its root node: the batch system starts it there if it
has a command for that, else ssh does. A login on a node has nothing of the job's environment, so attach.sh takes that of the job's first process, and job.sh
ends when this process ends.
"""

import re
import shlex
import typing as t

from ..common import programs
from ..common.errors import SessionError
from ..common.text import one_line
from ..schedulers import answers, jobs, mpi, node_names
from ..schedulers.tables.registry import Table
from . import job_scripts
from .login_node import Run

#: What starts job.sh in the job.
SCRIPT = "attach.sh"
# An account may have no name.
_WHO = "printf '%s\\n' \"$(id -un 2>/dev/null)\" \"$(id -u)\""
_WAY_OUT = "name a running job of yours, or leave paraview_job_id out"


def find(queue: jobs.Jobs, run: Run, job_id: str) -> answers.JobState:
    """The state of the user's own job.

    Args:
        queue: the batch system.
        run: ``run(text, seconds) -> (code, out, err)`` on the login node.
        job_id: the job.
    Raises:
        SessionError: it does not run, or the batch system does not name the user as its owner.
    """
    job = queue.about(job_id)
    leaving = answers.is_one_of(job.native, queue.table.get("leaving", ()))
    if job.state != "running" or leaving:
        word = "ending" if job.state == "running" else job.state if job.native else "not known"
        raise _error(job_id, "it is {0}{1}".format(word, ": " + job.reason if job.reason else ""))
    if not job.root_node:
        source = "the answer of {0} has" if answers.offers(queue.table, "nodes") else "the table of {0} reads"
        raise SessionError(_what(job_id), "it runs, but {0} no nodes".format(source.format(queue.table["title"])),
                           "leave paraview_job_id out, or correct the field nodes of the questions in paraview_schedulers")
    if not job.owner:
        raise SessionError(_what(job_id), "{0} does not name its owner".format(queue.table["title"]),
                           "leave paraview_job_id out; if the table is your own, give one of its questions the field owner")
    user, uid = (run(_WHO, 15)[1].split("\n") + ["", ""])[:2]
    # PBS adds the host from which the job was submitted.
    if job.owner not in (user, uid) and job.owner.rpartition("@")[0] != user or not user:
        raise _error(job_id, "it belongs to {0}, and you are {1} there".format(one_line(job.owner, 80), one_line(user, 80) or "an account without a name"))
    return job


def dialled(table: Table, job_id: str, node: str, options: t.Dict[str, t.Any], site: t.Dict[str, t.Any]) -> str:
    """The name of a node for Jobs.attach(): where ssh starts the script, that under which the node is reached.

    Args:
        table: the batch system's table.
        job_id: the job. node: its root node.
        options: of the session. site: the site's own values.
    Raises:
        SessionError: the rule for the names of nodes makes no host name of it.
    """
    try:
        return node if table.get("attach") else node_names.reached(node, node_names.rule(options, site))
    except ValueError as error:
        raise SessionError(_what(job_id), one_line(str(error)), "correct paraview_node_name, or ask the site to correct node_name in site.yml")


def _what(job_id: str) -> str:
    return "pvserver cannot be started in job {0}".format(job_id)


def _error(job_id: str, why: str) -> SessionError:
    return SessionError(_what(job_id), why, _WAY_OUT)


def files(table: Table, directory: str, options: t.Dict[str, t.Any], job: answers.JobState, modules: t.List[str]) -> t.Dict[str, str]:
    """The files that pvserver needs in the user's own job: text by name.

    Args:
        table: the batch system's table.
        directory: the session's directory on the cluster, absolute.
        options: of the session.
        job: from find().
        modules: environment modules to load.
    Raises:
        SessionError: the job has fewer nodes than the options request.
    """
    job_id, use = options["job_id"], mpi.nodes_used(options, len(job.nodes))
    if use > len(job.nodes):
        raise SessionError(_what(job_id), "it has {0} node{1}, and paraview_nodes is {2}".format(len(job.nodes), "s" * (len(job.nodes) > 1), use),
                           "lower paraview_nodes, or leave it out to use all of the job's nodes")
    options = dict(options, nodes=use, walltime=job.time_left_s or 0)
    texts = job_scripts.files(table, directory, options, {"walltime": options["walltime"]}, modules, attached=True)
    texts["nodes"] = "".join(node + "\n" for node in job.nodes)
    texts[SCRIPT] = _script(table, directory, options, len(job.nodes))
    return texts


def _script(table: Table, directory: str, options: t.Dict[str, t.Any], all_nodes: int) -> str:
    """Text of SCRIPT."""
    by_login, variable = "attach" not in table, table.get("job_variable", "")
    number, _cluster = answers.number_and_cluster(table, options["job_id"])
    return programs.filled("connect", SCRIPT, {"login": by_login, "variable": by_login and bool(variable)}, {
        "DIR": shlex.quote(directory), "JOB_ID": shlex.quote(number), "USE": str(options["nodes"]), "EACH": str(options["tasks_per_node"]),
        "ALL": str(all_nodes), "MARK": shlex.quote(_mark(variable, number)), "STARTED": "0" if by_login else "1", "JOB_NODES": table["job_nodes"],
        "ATTACH_SETUP": table.get("attach_setup", ":")})


def _mark(variable: str, job_id: str) -> str:
    """A regular expression of grep for a variable that holds the job's id, with or without the name of a server."""
    return "{0}={1}\\(\\..*\\)\\{{0,1\\}}".format(variable, re.sub(r"([].*^$\\[])", r"\\\1", job_id.partition(".")[0]))
