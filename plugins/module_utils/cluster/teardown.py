# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing a session: its job, its files on the cluster, its client. Forwards end with the connection."""

from ..common import processes
from .job_flow import JobFlow
from .login_node import Run
from .session_record import SessionRecord


def undo(record: SessionRecord, script: Run, client_too: bool = True) -> str:
    """Undoes everything that a session's record names.

    Args:
        record: the session's record.
        script: ``script(text, seconds) -> (code, out, err)`` on the login node.
        client_too: the client that the session started ends even if it was connected.
    Returns:
        Empty, or what could not be undone.
    """
    objection = ""
    if record.remote_directory:
        flow = JobFlow.of(record, script)
        if not record.job_over:
            objection = flow.end(attached=bool(record.settings.get("job_id")))
        if not objection:
            flow.directory.remove()
    end_client(record, client_too)
    if not objection:
        # Its agent has ended with the job, so there is nothing that it could wait for.
        end_stub(record, 0.5)
    return objection


def end_client(record: SessionRecord, connected_too: bool) -> None:
    """Ends the client that the session started. A client that was connected may contain unsaved work, so it ends only if connected_too is true."""
    if record.client and (connected_too or not record.was_connected):
        processes.end(record.client)


def end_stub(record: SessionRecord, patience: float = 3.0) -> None:
    """Ends the lifeline's stub, which forwards to ParaView what it still has.

    Args:
        record: the session's record.
        patience: seconds that this may take.
    """
    if record.stub:
        processes.end(record.stub, patience)
