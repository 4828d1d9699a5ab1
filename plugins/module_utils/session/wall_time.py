# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of the end of a job's wall time."""

import time

from ..common import durations

#: Seconds of wall time that are left at a warning.
WARNINGS = (900, 300)


def sentence(job_id: str, left: float) -> str:
    """``job 4711 ends in 12 min, at 14:05``.

    Args:
        job_id: of the job.
        left: seconds until its wall time is over.
    """
    return "job {0} ends in {1}, at {2}".format(
        job_id, durations.in_words(60 * max(1, round(left / 60))), time.strftime("%H:%M", time.localtime(time.time() + left)))


def is_near(left: float) -> bool:
    """Whether so little is left that a warning is due."""
    return left <= WARNINGS[0]
