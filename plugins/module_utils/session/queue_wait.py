# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's wait for a job that is pending in the queue."""

import time

from ..cluster.job_flow import JobFlow
from ..cluster.login_node import Run
from ..common.errors import SessionError
from ..schedulers import answers, directives
from .record import Session
from .shared_queue import SharedQueue

# Seconds between two reads of the status file. It shows the job's start; the batch system is queried less often.
_EVERY = 2.0


class QueueWait:
    """Waits until the job of a session runs.

    Args:
        session: the session.
        run: a shell on the login node; raises ShellLost.
    """

    def __init__(self, session: Session, run: Run) -> None:
        self.session = session
        record = session.read()
        self.flow = JobFlow.of(record, run, self._show, shared=lambda jobs: SharedQueue(jobs, record, session))
        lines = [event["text"] for event in session.events.read()[0] if event["kind"] == "line"]
        self.flow.shown = lines[-1] if lines else ""
        self.next_step = 0.0

    def _show(self, line: str) -> None:
        self.session.events.append("line", text=line)

    def over(self) -> bool:
        """Takes a step if one is due, and returns whether the wait is over, since the job runs.

        Raises:
            SessionError: the job did not start in time, died, or can never run.
        """
        if time.monotonic() < self.next_step:
            return False
        self.next_step = time.monotonic() + _EVERY
        try:
            record = self.session.read()
        except SessionError:
            return False  # A record that cannot be read now proves nothing about the job.
        self.flow.step(0)
        watch = self.flow.watch
        if watch.progress.host:
            return True
        if record:
            self.flow.runs(record.settings["queue_timeout"], directives.granted(answers.of(record), record.settings)["nodes"])
        if record and watch.state and answers.waits(watch.state):
            reason = answers.in_words(watch.state)
            if (record.reason, record.expected_start) != (reason, watch.state.expected_start):
                self.session.update(reason=reason, expected_start=watch.state.expected_start)
        return False
