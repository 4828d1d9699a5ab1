# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's part of the job flow: it follows the job of a session that was handed over, and keeps the record up to date."""

import time
import typing as t

from ..cluster import endings
from ..cluster.job_flow import JobFlow
from ..cluster.login_node import Run
from ..cluster.session_record import SessionRecord
from ..schedulers import answers
from ..ssh.shell import ShellLost
from .record import Session, lacks_client_host

# Seconds between two reads of the status file, and between two queries of the batch system while the job runs.
_STATUS_EVERY = 2.0
_ASK_EVERY = 20.0


class JobMonitor:
    """Follows the job of one session.

    Args:
        session: whose job it is.
        run: a shell on the login node; raises ShellLost.
        end: is called once the job is over, with the session's new state, the reason, and whether ParaView was connected.
        leave: is called if the record is gone.
    """

    def __init__(self, session: Session, run: Run, end: t.Callable[[str, str, bool], None], leave: t.Callable[[], None]) -> None:
        self.session, self.run, self.end, self.leave = session, run, end, leave
        self.flow: t.Optional[JobFlow] = None
        self.next_step = 0.0
        self.ended = False

    def look(self) -> None:
        """Checks the job if it is time to; raises ShellLost alone."""
        if time.monotonic() < self.next_step or self.ended:
            return
        self.next_step = time.monotonic() + _STATUS_EVERY
        try:
            self._look()
        except ShellLost:
            raise
        except Exception:
            # Whatever went wrong, such as an answer that nobody foresaw, says nothing about the job. It is checked again.
            self.next_step = time.monotonic() + _ASK_EVERY

    def _look(self) -> None:
        record = self.session.read()
        if not record:
            self.leave()
            return
        if self.flow is None or (self.flow.watch.job_id, self.flow.directory.path) != (record.job_id, record.remote_directory):
            self.flow = JobFlow.of(record, self.run, while_running=_ASK_EVERY)
        watch = self.flow.watch
        asked = watch.step()
        if watch.unread:
            self.next_step = time.monotonic() + _ASK_EVERY
        if watch.over:
            self._note_end(record)
            return
        self._note_progress(record)
        if watch.contradicted:
            self._give_reason(record, watch.contradiction())
        elif asked and watch.state:
            self._note_state(record, watch.state)

    def _note_progress(self, record: SessionRecord) -> None:
        progress = self.flow.progress
        if progress.connected and record.state != "connected":
            self.session.update(state="connected", was_connected=True, reason="")
        elif progress.host and record.state == "pending":
            self.session.update(state="starting", nodes=progress.nodes, reason="the job runs and waits for connect")

    def _note_state(self, record: SessionRecord, job: answers.JobState) -> None:
        if job.state == "pending" and record.state == "pending":
            self.session.update(reason=job.explanation or job.reason, expected_start=job.expected_start)
        elif job.state == "running":
            if job.time_left_s is not None:
                self.session.update(ends_at=time.time() + job.time_left_s)
            if self.flow.progress.host:
                self._give_reason(record, job.explanation)

    def _give_reason(self, record: SessionRecord, reason: str) -> None:
        """Notes a reason, unless there is one that matters more to the user."""
        if record.reason != reason and not lacks_client_host(record) and not record.lost_at:
            self.session.update(reason=reason)

    def _note_end(self, record: SessionRecord) -> None:
        """The log is removed with the job's directory, so the cause is read before."""
        watch = self.flow.watch
        found = watch.ending()
        if found is None:
            self.next_step = time.monotonic() + _STATUS_EVERY / 2
            return
        ending = found[0]
        state, reason = ending.state, endings.told(ending)
        if watch.progress.ended and ending.late:
            job = self.flow.queue.ask(record.job_id)
            reason = job.explanation if job.state in ("failed", "cancelled") and job.explanation else reason
        elif not watch.progress.ended and not ending.known:
            state, reason = "ended" if watch.state.gone else watch.state.state, watch.state.explanation or watch.state.reason
        self.ended = True
        self.end(state, reason, watch.progress.connected or bool(record.was_connected))
