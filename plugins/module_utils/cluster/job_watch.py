# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one job, from its three sources: the status file that it writes, its sign of life, and its batch system.

The playbook, the daemon and the launcher all follow their job with a JobWatch, so that all of them use the same rules for its end.
"""

import time
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from ..schedulers import answers
from ..schedulers.jobs import Polling
from ..ssh.channel import ChannelLost
from . import endings
from .heartbeat import Heartbeat
from .job_directory import Directory
from .status_file import Progress

# Seconds that a batch system may take to list a job that it has just accepted.
_NOT_YET_LISTED = 20
# Seconds that a network file system may take to show what a job wrote before it ended, and that the log's reason for the end may take to appear.
_LATE = 5
# If the home hangs, the end of a job is reported without its log after so many seconds.
_HANGING = 60
# Seconds that may pass before pvserver prints that its client left, and those that pvserver's processes may take to end after that.
_LEFT_SILENTLY = 3
_LEAVING = 20
# Seconds between two reads of a log whose last lines may be late.
_READ_AGAIN = 0.5
# Seconds between two queries of the batch system while the sign of life is missing.
_WHEN_OVERDUE = 3
# Seconds between two queries while a job is reported to run and has written nothing.
_WHEN_SILENT = 5
# Seconds until the next query if another session queries the batch system at this moment.
_OTHER_ASKS = 0.5


class JobWatch:
    """The state of one job. Each step() updates it.

    Args:
        job_id: the job.
        queue: its batch system (jobs.Jobs or session.shared_queue.SharedQueue).
        directory: its files.
        polling: when the batch system is queried.
        while_running: seconds between two queries at least, once the job runs.
    Attributes:
        text: the status file, as it was read last; progress: its contents.
        state: the batch system's last answer; None before the first.
        heartbeat: the job's signs of life.
        vanished: the batch system reports that the job is over, and the job neither noted an end nor gives a sign of life.
        contradicted: the batch system reports that the job is over, and the job gives signs of life.
        waited: the last that the batch system reported of the job is that it waited in the queue.
        over_reports: how often the batch system has reported so, one answer after the other.
        unread: why the status file or the batch system could not be read; None if the last step read both.
    """

    def __init__(self, job_id: str, queue: t.Any, directory: Directory, polling: Polling, while_running: float = 10) -> None:
        self.job_id, self.queue, self.directory, self.polling, self.while_running = job_id, queue, directory, polling, while_running
        self.text = ""
        self.progress = Progress()
        self.state: t.Optional[answers.JobState] = None
        self.heartbeat = Heartbeat()
        self.vanished = self.contradicted = self._never_ran = False
        self.over_reports = 0
        self.waited = False
        self.unread: t.Optional[SessionError] = None
        self._queried = False
        self._unread_since: t.Optional[float] = None
        self._over_since: t.Optional[float] = None
        self._silent_since: t.Optional[float] = None

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return bool(self.progress.ended) or self.vanished

    @property
    def is_new(self) -> bool:
        """Whether the job was submitted so recently that its batch system may not list it yet."""
        return time.time() - self.polling.submitted_at < _NOT_YET_LISTED

    @property
    def unread_for(self) -> float:
        """Seconds since the job could be read last; 0 if the last step read it."""
        return 0.0 if self._unread_since is None else time.monotonic() - self._unread_since

    @property
    def silent_for(self) -> float:
        """Seconds for which the batch system has reported that the job runs, while the job has written nothing; 0 if it has, or if that is not known."""
        return 0.0 if self._silent_since is None else time.monotonic() - self._silent_since

    def step(self, seconds: float = 0, pause: float = 0.1) -> bool:
        """Reads the status file, and queries the batch system if that is due.

        Args:
            seconds: how long to wait for a change of the status file.
            pause: seconds between two reads meanwhile.
        Returns:
            Whether the batch system answered a query.
        Raises:
            ChannelLost: the connection to the login node is lost.
        """
        # A home that hangs, or a batch system that does not answer, proves nothing about the job. Without its files, no answer proves the end of a running job.
        unread = self._attempt(lambda: self._read(seconds, pause))
        due = not self.progress.ended and not (unread and self.progress.host) and self.polling.due()
        unanswered = self._attempt(self._query) if due else None
        self.unread = unanswered or unread
        if self.unread or self.text or self.directory.beat:
            self._silent_since = None
        self._unread_since = (self._unread_since or time.monotonic()) if self.unread else None
        if self.progress.ended:
            self._over_since = self._over_since or time.monotonic()
        return due and not unanswered and self._queried

    @staticmethod
    def _attempt(step: t.Callable[[], None]) -> t.Optional[SessionError]:
        try:
            step()
        except ChannelLost:
            raise
        except SessionError as error:
            return error
        return None

    def _read(self, seconds: float, pause: float) -> None:
        text = self.directory.status(self.text, seconds, pause)
        if self.heartbeat.update(self.directory.beat):
            self.vanished = False
        if self.heartbeat.just_overdue:
            self.polling.hurry(_WHEN_OVERDUE)
        # A directory that is gone, or shown late, takes nothing back.
        if text and text != self.text:
            self.text, self.progress = text, Progress(text)

    def _query(self) -> None:
        state = self.queue.ask(self.job_id)
        self._queried = state is not None
        if state is None:
            self.polling.soon(_OTHER_ASKS)
            return
        if self.progress.host:
            self.polling.put_off(self.while_running)
        if state.gone and self.is_new and not (self.heartbeat.fresh or self.heartbeat.overdue):
            return
        self.state, self.contradicted, self.vanished = state, False, False
        self._note_silence(state)
        self.waited = state.state == "pending" or self.waited and state.gone
        over = state.gone or state.state in answers.OVER
        self.over_reports = self.over_reports + 1 if over else 0
        if over:
            # The job may have noted its end in the meantime.
            self._read(0, 0.1)
            if not self.progress.ended:
                self._reported_over(state)
        else:
            self._over_since = None

    def _note_silence(self, state: answers.JobState) -> None:
        """Notes since when a job has been reported to run without a sign of its own. A job with an explanation, such as a suspended one, does not run."""
        if state.state != "running" or state.explanation or self.text or self.directory.beat:
            self._silent_since = None
            return
        self._silent_since = self._silent_since or time.monotonic()
        self.polling.hurry(_WHEN_SILENT)

    def _reported_over(self, state: answers.JobState) -> None:
        """Handles an end that only the batch system reports. One answer may be wrong, and the job's files may be late."""
        if self.heartbeat.fresh:
            self.contradicted, self._over_since = True, None
            return
        now = time.monotonic()
        self._over_since = self._over_since or now
        never_had_nodes = not state.nodes and answers.offers(self.queue.table, "nodes")
        self._never_ran = state.state == "cancelled" and never_had_nodes and not self.progress.host
        self.vanished = self._never_ran or max(now - self._over_since, self.heartbeat.missed) >= _LATE
        self.polling.soon(1)

    def ending(self) -> t.Optional[t.Tuple[endings.Ending, str]]:
        """Why a job that is over has ended, and the end of its log; None while the reason may still appear in the log."""
        waited = max(time.monotonic() - (self._over_since or time.monotonic()), self.heartbeat.missed)
        try:
            log = self.directory.read_log()
        except ChannelLost:
            raise
        except SessionError:
            if waited < _HANGING:
                return None
            log = ""
        ending = endings.of(self.progress, log)
        return None if ending.late and waited < _LATE and not self._never_ran else (ending, log)

    def wait_for_ending(self) -> t.Tuple[endings.Ending, str]:
        """Waits for the same until it is complete, or for some seconds; then it returns what is available."""
        deadline = time.monotonic() + _LATE
        while True:
            complete = self.ending()
            if complete:
                return complete
            if time.monotonic() >= deadline:
                log = self.directory.log()
                return endings.of(self.progress, log), log
            time.sleep(_READ_AGAIN)

    def contradiction(self) -> str:
        """One sentence on a batch system that reports the end of a job which gives signs of life."""
        return "{0} does not list job {1} any more, and the job gives signs of life".format(self.queue.table["title"], self.job_id)

    def no_answer(self) -> str:
        """One sentence on what could not be read; empty if nothing is missing that matters."""
        if self.unread:
            return "no news of job {0}: {1}".format(self.job_id, one_line(self.unread.why, 120))
        waits = not self.progress.host and self.state and not self.state.gone
        if waits and self.state.state == "unknown" and not self.state.native:
            return "{0} does not answer about job {1}{2}".format(
                self.queue.table["title"], self.job_id, ": " + one_line(self.state.reason, 120) if self.state.reason else "")
        return ""


def ends_soon(directory: Directory) -> bool:
    """Whether a job whose client may just have left is over, or ends within some seconds.

    Args:
        directory: the job's files.
    """
    text, began = directory.status("", 0), time.monotonic()
    while not Progress(text).ended:
        if Progress(text).left is not None:
            return False
        seconds = _LEAVING if Progress(text).exiting else _LEFT_SILENTLY
        if not Progress(text).connected or time.monotonic() - began >= seconds:
            return False
        text = directory.status(text, 1)
    return True
