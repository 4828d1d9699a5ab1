# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon of a session learns of its job: signs of life in its directory, and the batch system's answers."""

import time
import typing as t

from ..cluster import endings
from ..cluster.heartbeat import Heartbeat
from ..cluster.job_directory import Directory
from ..cluster.job_scripts import Progress
from ..cluster.session_record import SessionRecord
from ..common.errors import SessionError
from ..schedulers import answers
from ..schedulers.jobs import Jobs, over, polling
from ..ssh.shell import ShellLost
from .record import Session, lacks_client_host

_STATUS_EVERY = 2.0
_ASK_EVERY = 20.0
_ASK_AGAIN = 3.0
# Seconds for which the words of whoever killed a job may be late, and those for which a home that hangs may keep its log.
_LAST_WORDS = 5.0
_HANGING = 60.0


class JobMonitor:
    """Follows the job of one session that was handed over.

    Args:
        session: whose job it is.
        run: a shell on the login node, ``run(text, seconds)``; raises ShellLost.
        end: is called once the job is over, with the session's new state, the reason, and whether ParaView was connected.
        leave: is called if the record is gone.
    """

    def __init__(self, session: Session, run: t.Callable, end: t.Callable[[str, str, bool], None], leave: t.Callable[[], None]) -> None:
        self.session, self.run, self.end, self.leave = session, run, end, leave
        self.seen = ""
        self.next_status = 0.0
        self.polling: t.Any = None
        self.heartbeat = Heartbeat()
        self.gone = self.running = self.ended = False
        self.ended_since: t.Optional[float] = None

    def look(self) -> None:
        """Looks at the job if it is time to; raises ShellLost alone."""
        try:
            self._look()
        except ShellLost:
            raise
        except Exception:
            # A home that hangs, a batch system that is down, an answer that nobody foresaw: none means anything for the job. It is asked again.
            self.next_status = time.monotonic() + _ASK_EVERY

    def _look(self) -> None:
        now = time.monotonic()
        asking = self.polling is None or self.polling.due()
        if now < self.next_status and not asking:
            return
        record = self.session.read()
        if not record:
            self.leave()
            return
        if now >= self.next_status:
            directory = Directory(self.run, record.remote_directory)
            text = directory.status(self.seen, 0)
            self.next_status = now + (_STATUS_EVERY if self.heartbeat.update(directory.beat) else _STATUS_EVERY / 2)
            if text != self.seen:
                self.seen = text
                self._note(record, Progress(text))
            if self.heartbeat.just_overdue and self.polling is not None:
                self.polling.hurry(_ASK_AGAIN)
                asking = asking or self.polling.due()
        if not self.ended and asking:
            self._ask(record)

    def _note(self, record: SessionRecord, progress: Progress) -> None:
        self.running = bool(progress.host)
        connected = progress.connected
        if progress.ended:
            self._note_end(record, progress, connected)
        elif connected and record.state != "connected":
            self.session.update(state="connected", was_connected=True, reason="")
        elif self.running and record.state == "pending":
            self.session.update(state="starting", nodes=progress.nodes, reason="the job runs and waits for connect")

    def _note_end(self, record: SessionRecord, progress: Progress, connected: bool) -> None:
        """Its log goes with its directory, so the cause is read before."""
        # Until it is over, the same text is news once more.
        self.seen = ""
        ending = self._ending(record, progress)
        if ending is None:
            return
        reason = endings.told(ending)
        if ending.late:
            job = self._queue(record).ask(record.job_id)
            reason = job.explanation if job.state in ("failed", "cancelled") and job.explanation else reason
        self._end(ending.state, reason, connected)

    def _ending(self, record: SessionRecord, progress: Progress) -> t.Optional[endings.Ending]:
        """The end; None where its log cannot be read yet, or is not complete yet."""
        now = time.monotonic()
        self.ended_since = self.ended_since or now
        try:
            ending = endings.of(progress, Directory(self.run, record.remote_directory).last_words())
        except SessionError:
            return endings.of(progress, "") if time.monotonic() - self.ended_since >= _HANGING else None
        # One that has long given no sign of life has had this time already.
        return None if ending.late and max(now - self.ended_since, self.heartbeat.missed) < _LAST_WORDS else ending

    def _queue(self, record: SessionRecord) -> Jobs:
        return Jobs(over(self.run, record.prelude), answers.of(record))

    def _ask(self, record: SessionRecord) -> None:
        if self.polling is None:
            self.polling = polling(record)
            self.polling.due()
        if self.running:
            self.polling.put_off(_ASK_EVERY)
        job = self._queue(record).ask(record.job_id)
        self.gone = self.gone and job.gone
        if job.gone or job.state in answers.OVER:
            self._hear_of_the_end(record, job)
        elif job.state == "pending" and record.state == "pending":
            self.session.update(reason=job.explanation or job.reason, expected_start=job.expected_start)
        elif job.state == "running":
            fields: t.Dict[str, t.Any] = {} if job.time_left_s is None else {"ends_at": time.time() + job.time_left_s}
            if self.running and record.reason != job.explanation and not lacks_client_host(record) and not record.lost_at:
                fields["reason"] = job.explanation
            if fields:
                self.session.update(**fields)

    def _hear_of_the_end(self, record: SessionRecord, job: answers.JobState) -> None:
        """By the batch system the job is over. Its own words are better; they may just have been written."""
        directory = Directory(self.run, record.remote_directory)
        progress = Progress(directory.status(self.seen, 0))
        self.heartbeat.update(directory.beat)
        if progress.ended:
            self._note(record, progress)
        elif self.heartbeat.fresh:
            # The batch system is asked again in its turn, or as soon as the signs stay out.
            reason = "{0} does not list job {1} any more, and the job gives signs of life".format(answers.of(record)["title"], record.job_id)
            if record.reason != reason and not lacks_client_host(record) and not record.lost_at:
                self.session.update(reason=reason)
        elif job.gone and not self.gone and not self.heartbeat.overdue:
            # A session is not given up for one wrong word.
            self.gone = True
            self.polling.soon(_ASK_AGAIN)
        else:
            self._vanished(record, job, progress)

    def _vanished(self, record: SessionRecord, job: answers.JobState, progress: Progress) -> None:
        """It had no time to note its end; its log may tell."""
        ending = self._ending(record, progress)
        if ending is None:
            self.polling.soon(1)
        elif ending.known:
            self._end(ending.state, endings.told(ending), bool(record.was_connected))
        else:
            self._end("ended" if job.gone else job.state, job.explanation or job.reason, bool(record.was_connected))

    def _end(self, state: str, reason: str, connected: bool) -> None:
        self.ended = True
        self.end(state, reason, connected)
