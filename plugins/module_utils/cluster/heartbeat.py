# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's sign of life. If a job is killed, it notes no end, and its sign of life stops.

A new sign overrides a batch system that reports the job as over: such an answer may be wrong, and on some servers it always is.
"""

import time
import typing as t

from .job_directory import Directory
from .status_file import Progress

# If a job gives no sign for so many seconds, its batch system is queried. The job script gives one every two or three seconds.
OVERDUE = 5.0
# Seconds for which the batch system is queried more often than usual. They are limited, since a suspended job gives no sign either.
_ALARM = 20.0


class Heartbeat:
    """The signs of life of one job, by the clock of this host: clocks on a cluster may differ."""

    def __init__(self) -> None:
        self._beat = ""
        self._seen_at: t.Optional[float] = None

    def update(self, beat: str) -> bool:
        """Records a sign.

        Args:
            beat: the sign that the job wrote last; empty before the first.
        Returns:
            Whether it is a new sign.
        """
        if not beat or beat == self._beat:
            return False
        self._beat, self._seen_at = beat, time.monotonic()
        return True

    @property
    def missed(self) -> float:
        """Seconds since the last new sign; 0 if there was none."""
        return 0.0 if self._seen_at is None else time.monotonic() - self._seen_at

    @property
    def fresh(self) -> bool:
        """Whether a sign came recently: the job is alive, whatever its batch system answers."""
        return self._seen_at is not None and not self.overdue

    @property
    def overdue(self) -> bool:
        """Whether the job may have been killed."""
        return self.missed >= OVERDUE

    @property
    def just_overdue(self) -> bool:
        """Whether the job may have been killed just now."""
        return OVERDUE <= self.missed < OVERDUE + _ALARM


def lives(directory: Directory) -> bool:
    """Waits for a new sign of life of a job.

    Args:
        directory: the job's files.
    Returns:
        Whether one came. False if the job never ran, has noted its end, or gives no new sign for OVERDUE seconds.
    Raises:
        SessionError: the files cannot be read.
    """
    heartbeat, signs, text = Heartbeat(), 0, ""
    while not heartbeat.overdue:
        text = directory.status(text, 0 if signs == 0 else 1)
        progress = Progress(text)
        if progress.ended or not (progress.host and directory.beat):
            return False
        signs += heartbeat.update(directory.beat)
        if signs > 1:
            return True
    return False
