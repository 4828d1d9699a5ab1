# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's part of the job flow: once a session is handed over, the daemon follows its job and keeps the record up to date."""

import time
import typing as t

from ..cluster import endings
from ..cluster.job_flow import JobFlow
from ..cluster.login_node import Run
from ..cluster.session_record import SessionRecord
from ..schedulers import answers
from ..ssh.shell import ShellLost
from . import keeping
from .record import Session, lacks_client_host
from .shared_queue import SharedQueue

# Seconds between two reads of the status file, and between two queries of the batch system while the job runs.
_STATUS_EVERY = 2.0
_QUERY_EVERY = 20.0
# Seconds that a batch system may take to deliver the output of a job.
_DELIVERY = 300.0
# Seconds within which the user's own job may be reported over after its processes have ended.
_JOB_FOLLOWS = 10
# Seconds by which two answers may differ on the end of the wall time, since both are rounded.
_CLOCKS_DIFFER = 2.0
# Seconds until the next check once ParaView has left, and those that the cause of pvserver's death may take to appear in its log.
_SOON = 0.2
_LATE_CAUSE = 1.5


class JobMonitor:
    """Follows the job of one session.

    Args:
        session: the session that the job belongs to.
        run: a shell on the login node; raises ShellLost.
        end: called once the job is over, with the session's new state, the reason, and whether ParaView was connected.
        stop: called if the record is gone.
        serve_again: called once the job has started another pvserver, with the reason and the times at which pvserver itself has died.
    """

    def __init__(self, session: Session, run: Run, end: t.Callable[[str, str, bool], None], stop: t.Callable[[], None],
                 serve_again: t.Callable[[str, t.List[float]], None]) -> None:
        self.session, self.run, self.end, self.stop, self.serve_again = session, run, end, stop, serve_again
        self.flow: t.Optional[JobFlow] = None
        self.next_step = 0.0
        self.ended = False
        self.over_since = 0.0
        #: What follows in a job that is kept, as soon as that is decided.
        self.next: t.Optional[keeping.Next] = None
        self.left_since = 0.0

    def hurry(self) -> None:
        """ParaView has left: the next check is soon."""
        self.next_step = min(self.next_step, time.monotonic() + _SOON)

    def check(self) -> None:
        """Checks the job if a check is due; raises only ShellLost."""
        if time.monotonic() < self.next_step or self.ended:
            return
        self.next_step = time.monotonic() + _STATUS_EVERY
        try:
            self._check()
        except ShellLost:
            raise
        except Exception:
            # A failed check, for example an unforeseen answer, is no evidence about the job. The job is checked again.
            self.next_step = time.monotonic() + _QUERY_EVERY

    def _check(self) -> None:
        record = self.session.read()
        if not record:
            self.stop()
            return
        if self.flow is None or (self.flow.watch.job_id, self.flow.directory.path) != (record.job_id, record.remote_directory):
            self.flow = JobFlow.of(record, self.run, while_running=_QUERY_EVERY, shared=lambda jobs: SharedQueue(jobs, record, self.session))
        watch = self.flow.watch
        queried = watch.step()
        if watch.unread:
            self.next_step = time.monotonic() + _QUERY_EVERY
        if watch.over:
            # The session's files could not be removed from a home that hangs.
            if not watch.unread:
                self._note_end(record)
            return
        if watch.progress.left is not None:
            self._decide_next(record)
            return
        if watch.progress.round > record.restarts + 1:
            # If an earlier daemon was killed after its decision, the reason is unknown.
            self.serve_again(*(self.next[1:] if self.next else ("pvserver was started again", record.died_at)))
            self.next, self.left_since = None, 0.0
            return
        self._note_progress(record)
        self.flow.end_with_job()
        if watch.contradicted:
            self._give_reason(record, watch.contradiction())
        elif queried and watch.state:
            self._note_state(record, watch.state)

    def _decide_next(self, record: SessionRecord) -> None:
        """Decides what follows in a job that is kept, and writes that for the job."""
        self.hurry()
        self.left_since = self.left_since or time.monotonic()
        if self.next is not None:
            return
        ending = endings.of(self.flow.progress, self.flow.directory.read_log())
        if ending.late and time.monotonic() - self.left_since < _LATE_CAUSE:
            return
        found = keeping.decide(record, ending, keeping.left(self.session.directory, record), time.time())
        self.flow.directory.put("next", "again" if found.again else "end")
        self.next = found
        if not found.again and found.died_at != record.died_at:
            self.session.events.append("line", text=found.why)

    def _note_progress(self, record: SessionRecord) -> None:
        progress = self.flow.progress
        if progress.connected and record.state != "connected":
            self.session.update(state="connected", was_connected=True, reason="", kept_until=None)
        elif progress.host and record.state == "pending":
            self.session.update(state="starting", nodes=progress.nodes, reason="the job runs and waits for connect")

    def _note_state(self, record: SessionRecord, job: answers.JobState) -> None:
        if answers.waits(job) and record.state == "pending":
            self.session.update(reason=answers.in_words(job), expected_start=job.expected_start)
        elif job.state == "running":
            ends_at = None if job.time_left_s is None else time.time() + job.time_left_s
            if ends_at is not None and abs(ends_at - (record.ends_at or 0)) > _CLOCKS_DIFFER:
                self.session.update(ends_at=ends_at)
            if self.flow.progress.host:
                self._give_reason(record, job.explanation)

    def _give_reason(self, record: SessionRecord, reason: str) -> None:
        """Notes a reason, unless there is one that matters more to the user."""
        reason = reason or record.waits_because
        if record.reason != reason and not lacks_client_host(record) and not record.lost_at:
            self.session.update(reason=reason)

    def _released(self, record: SessionRecord) -> bool:
        """Whether the batch system no longer needs the session's files. Where it does not answer, it may."""
        self.over_since = self.over_since or time.monotonic()
        if record.settings.get("job_id") or time.monotonic() - self.over_since > _DELIVERY or self.flow.released():
            return True
        self._give_reason(record, "over; {0} still delivers its output".format(self.flow.table["title"]))
        return False

    def _note_end(self, record: SessionRecord) -> None:
        """Ends the session. The cause is read first: the log is removed together with the job's directory."""
        watch = self.flow.watch
        found = watch.ending()
        if found is None or not self._released(record):
            self.next_step = time.monotonic() + _STATUS_EVERY / 2
            return
        ending = found[0]
        state, reason = ending.state, endings.sentence(ending)
        if watch.progress.ended and ending.late:
            job = self.flow.queue.ask(record.job_id)
            reason = job.explanation if job.state in ("failed", "cancelled") and job.explanation else reason
            if watch.progress.ended[1] == "attach":
                # The user's own job may have ended, and pvserver with it.
                if job.gone or job.state in answers.OVER or answers.is_one_of(job.native, self.flow.table.get("leaving", ())):
                    state, reason = (job.state, reason) if job.state == "cancelled" else ("ended", endings.JOB_ENDED)
                elif time.monotonic() - (self.over_since or 0) < _JOB_FOLLOWS:
                    self.next_step = time.monotonic() + _STATUS_EVERY
                    return
        elif not watch.progress.ended and (not ending.known or watch.state.state == "cancelled"):
            state, reason = "ended" if watch.state.gone else watch.state.state, watch.state.explanation or watch.state.reason
        self.end(state, reason, watch.progress.connected or bool(record.was_connected))
        self.ended = True
