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
FAINT = 5.0
# Seconds for which the batch system is asked more often than usual. A job that is only suspended gives no sign either.
_ALARM = 20.0


class Pulse:
    """The signs of life of one job, by the clock of whoever looks: clocks on a cluster may differ."""

    def __init__(self) -> None:
        self._beat = ""
        self._felt_at: t.Optional[float] = None

    def feel(self, beat: str) -> bool:
        """Takes note of a sign.

        Args:
            beat: what the job wrote last; empty where it wrote none yet.
        Returns:
            Whether it is a new one.
        """
        if not beat or beat == self._beat:
            return False
        self._beat, self._felt_at = beat, time.monotonic()
        return True

    @property
    def missed(self) -> float:
        """Seconds since the last new sign; 0 where there never was one."""
        return 0.0 if self._felt_at is None else time.monotonic() - self._felt_at

    @property
    def fresh(self) -> bool:
        """A new sign came just now: the job lives, whatever its batch system answers."""
        return self._felt_at is not None and not self.faint

    @property
    def faint(self) -> bool:
        """The job may have been killed."""
        return self.missed >= FAINT

    @property
    def alarming(self) -> bool:
        """It may have been killed just now."""
        return FAINT <= self.missed < FAINT + _ALARM


def lives(directory: Directory) -> bool:
    """Whether a job gives a new sign of life, which is waited for.

    Args:
        directory: its files.
    Returns:
        False where it never ran, has said that it is over, or gives no new sign for FAINT seconds.
    Raises:
        SessionError: its files cannot be read.
    """
    pulse, signs, text = Pulse(), 0, ""
    while not pulse.faint:
        text = directory.status(text, 0 if signs == 0 else 1)
        progress = Progress(text)
        if progress.ended or not (progress.host and directory.beat):
            return False
        signs += pulse.feel(directory.beat)
        if signs > 1:
            return True
    return False
