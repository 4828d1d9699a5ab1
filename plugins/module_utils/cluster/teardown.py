# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing a session: its job, its files on the cluster, its client. Forwards end with the connection."""

import time

from ..common import processes
from ..schedulers import answers
from ..schedulers.jobs import Jobs, over
from .heartbeat import lives
from .job_directory import Directory
from .job_scripts import Progress
from .login_node import Run
from .session_record import SessionRecord

_LEAVING_SECONDS = 20


def undo(record: SessionRecord, script: Run, client_too: bool = True) -> str:
    """Undoes what a session's record names.

    Args:
        record: the session's record.
        script: ``script(text, seconds) -> (code, out, err)`` on the login node.
        client_too: end the client that we started even if it was connected.
    Returns:
        Empty, or what could not be undone.
    """
    objection = ""
    if record.remote_directory:
        directory = Directory(script, record.remote_directory)
        objection = _undo_job(record, script, directory)
        if not objection:
            directory.remove()
    end_client(record, client_too)
    if not objection:
        end_stub(record)
    return objection


def end_client(record: SessionRecord, connected_too: bool) -> None:
    """Ends the client that we started; one that was connected holds somebody's work, so it ends only when asked for."""
    if record.client and (connected_too or not record.was_connected):
        processes.end(record.client)


def end_stub(record: SessionRecord) -> None:
    """Ends the lifeline's end beside ParaView; what it still has for it is passed on."""
    if record.stub:
        processes.end(record.stub)


def _undo_job(record: SessionRecord, script: Run, directory: Directory) -> str:
    jobs = Jobs(over(script, record.prelude), answers.of(record))
    # A connect that died between the submission and the next line knows no id; the cluster's file does.
    job_id = record.job_id or answers.read_job_id(jobs.table, directory.read("submitted"))
    if not job_id or record.job_over:
        return ""
    if record.settings.get("job_id"):
        return _leave(directory)
    return jobs.cancel_and_wait(job_id) or _end_what_lives_on(job_id, jobs.table["title"], directory)


def _end_what_lives_on(job_id: str, title: str, directory: Directory) -> str:
    """Ends a job by its own file that its batch system has let go, and that gives signs of life all the same.

    Returns:
        Empty, or why it is still there.
    """
    deadline = time.monotonic() + _LEAVING_SECONDS
    while lives(directory):
        if time.monotonic() > deadline:
            return "{0} does not list job {1} any more, and the job gives signs of life".format(title, job_id)
        directory.put("stop", "")
    return ""


def _leave(directory: Directory) -> str:
    """Ends what was started in a job that is the user's own, and waits for it; the job stays."""
    text = directory.read("status")
    if not text or Progress(text).ended:
        return ""
    directory.put("stop", "")
    deadline = time.monotonic() + _LEAVING_SECONDS
    while not Progress(text).ended:
        if time.monotonic() > deadline:
            return "pvserver in the job does not end"
        text = directory.status(text, 2)
    return ""
