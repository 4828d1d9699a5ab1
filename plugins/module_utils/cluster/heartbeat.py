# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's sign of life. If a job is killed, it notes no end, and its sign of life stops.

A new sign contradicts a batch system by which the job is over: an answer may be wrong, and some servers never answer this right.
"""

import time
import typing as t

from .job_directory import Directory
from .job_scripts import Progress

# Seconds without a sign after which a job is asked about; job_scripts.py gives one every two or three.
OVERDUE = 5.0
# Seconds for which the batch system is asked more often than usual. A job that is only suspended gives no sign either.
_ALARM = 20.0


class Heartbeat:
    """The signs of life of one job, by the clock of whoever looks: clocks on a cluster may differ."""

    def __init__(self) -> None:
        self._beat = ""
        self._seen_at: t.Optional[float] = None

    def update(self, beat: str) -> bool:
        """Takes note of a sign.

        Args:
            beat: what the job wrote last; empty where it wrote none yet.
        Returns:
            Whether it is a new one.
        """
        if not beat or beat == self._beat:
            return False
        self._beat, self._seen_at = beat, time.monotonic()
        return True

    @property
    def missed(self) -> float:
        """Seconds since the last new sign; 0 where there never was one."""
        return 0.0 if self._seen_at is None else time.monotonic() - self._seen_at

    @property
    def fresh(self) -> bool:
        """A new sign came just now: the job lives, whatever its batch system answers."""
        return self._seen_at is not None and not self.overdue

    @property
    def overdue(self) -> bool:
        """The job may have been killed."""
        return self.missed >= OVERDUE

    @property
    def just_overdue(self) -> bool:
        """It may have been killed just now."""
        return OVERDUE <= self.missed < OVERDUE + _ALARM


def lives(directory: Directory) -> bool:
    """Whether a job gives a new sign of life, which is waited for.

    Args:
        directory: its files.
    Returns:
        False where it never ran, has said that it is over, or gives no new sign for OVERDUE seconds.
    Raises:
        SessionError: its files cannot be read.
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
