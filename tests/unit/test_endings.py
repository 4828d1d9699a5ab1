# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a job ended: its own notes together with its log."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import endings
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.status_file import Progress

WAITS = "running c101\nsaid Waiting for client...\nsaid Accepting connection(s): c101:40123\n"
CALLS = "running c101\nsaid Connecting to client (reverse connection requested)...\n"
CONNECTED = WAITS + "said Client connected.\n"
OOM = "slurmstepd: error: Detected 1 oom_kill event in StepId=77.0.\n"
LATE = "slurmstepd: error: *** JOB 77 ON c101 CANCELLED AT 2026-11-30T02:00:00 DUE TO TIME LIMIT ***\n"
CANCELLED = "slurmstepd: error: *** JOB 77 ON c101 CANCELLED AT 2026-11-30T02:00:00 ***\n"
PREEMPTED = "slurmstepd: error: *** JOB 77 ON c101 CANCELLED AT 2026-11-30T02:00:00 DUE TO PREEMPTION ***\n"
CRASH = "Client connected.\nLoguru caught a signal: SIGSEGV\n"
OTHER_ID = "( 3.5s) [pvserver        ]vtkTCPNetworkAccessMana:572    ERR| vtkTCPNetworkAccessManager (0x5): Client and server connection ids do not match\n"


@pytest.mark.parametrize(("status", "log", "state", "reason"), [
    (CONNECTED + "said Exiting...\nended 0 pvserver", "", "ended", "the client left"),
    # A fault at the exit of an MPI does no harm.
    (CONNECTED + "said Exiting...\nended 139 pvserver", CRASH, "ended", "the client left"),
    (CONNECTED + "ended 0 pvserver", "", "ended", "the client left"),
    (CONNECTED + "said Exiting...\n", "", "ended", "the client left"),
    (CONNECTED + "ended 0 pvserver", CRASH, "failed", "pvserver crashed (signal 11, segmentation fault)"),
    (CONNECTED + "ended 139 pvserver", CRASH, "failed", "pvserver crashed (signal 11, segmentation fault)"),
    (CONNECTED + "ended 1 pvserver", OOM, "failed", "the job ran out of memory"),
    (CONNECTED + "ended 9 pvserver", "", "failed", "pvserver ended with exit status 9"),
    (CONNECTED + "ended 143 cancelled", OOM, "failed", "the job ran out of memory"),
    (CONNECTED + "ended 143 cancelled", LATE, "ended", "its wall time was over"),
    (CONNECTED + "ended 143 cancelled", PREEMPTED, "failed", "another job took its place"),
    (CONNECTED + "ended 143 cancelled", CANCELLED, "cancelled", "the job was cancelled"),
    (CONNECTED + "ended 143 cancelled", CRASH, "cancelled", "the job was cancelled"),
    (CONNECTED + "ended 143 walltime", CANCELLED, "ended", "its wall time was over"),
    (WAITS + "ended 0 idle", CANCELLED, "ended", "no client came in time"),
    (WAITS + "ended 0 idle", "srun: error: c101: task 0: Killed", "ended", "no client came in time"),
    (WAITS + "ended 0 idle", OTHER_ID, "ended", "no client came in time; client and pvserver did not agree: the client has another connect-id"),
    (CONNECTED + "ended 0 outage", "", "ended", "the connection was lost for longer than paraview_reconnect_timeout"),
    (CONNECTED + "ended 0 lost", "", "ended", "the data kept next to ParaView is lost"),
    (CALLS + "said Exiting...\nended 0 pvserver", "Connecting to client (reverse connection requested)...\nExiting...\n", "failed",
     "the client closed the connection to pvserver: its connect-id or its version of ParaView differs"),
    ("running c101\nended 137 attach", "", "failed", "its step in the job ended without a message, with exit status 137"),
    ("running c101\nended 137 attach", OOM, "failed", "the job ran out of memory"),
    (CONNECTED, LATE, "ended", "its wall time was over"), (CONNECTED, CANCELLED, "cancelled", "it was cancelled"), (CONNECTED, "", "failed", ""),
])
def test_why_a_job_ended(status, log, state, reason):
    ending = endings.of(Progress(status), log)
    assert (ending.state, ending.reason) == (state, reason)
    assert endings.sentence(ending).startswith(reason)


@pytest.mark.parametrize(("status", "log", "late"), [
    ("ended 137 pvserver", "", True), ("ended 143 pvserver", "", True), ("", "", True), ("ended 3 pvserver", "", False), ("ended 139 pvserver", "", False),
    ("ended 137 pvserver", OOM, False), ("ended 0 idle", "", False), ("ended 143 cancelled", "", False)])
def test_whether_the_reason_may_appear_late(status, log, late):
    assert endings.of(Progress(status), log).late is late
