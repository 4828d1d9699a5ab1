# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows after pvserver has ended in a job that is kept: another pvserver, or the end of the job."""

import os
import re
import time
import typing as t

from ..client import local
from ..cluster import endings
from ..cluster.session_record import SessionRecord
from ..schedulers import amounts
from . import stub_report

# If pvserver itself dies more often than this within so many seconds, the job is not kept.
_MOST_DEATHS, _DEATHS_WITHIN = 3, 600.0
# The last line of the log of a client that connect has started.
_STATUS = "paraview-connect: exit status "
_EXIT_STATUS = re.compile(r"^{0}0$\s*\Z".format(_STATUS), re.M)


class Next(t.NamedTuple):
    """What follows.

    Attributes:
        again: whether another pvserver starts.
        why: how pvserver has ended, a sentence for the user.
        died_at: when pvserver itself died, in seconds since 1970.
    """

    again: bool
    why: str
    died_at: t.List[float]


def decide(record: SessionRecord, ending: endings.Ending, left: str, now: float) -> Next:
    """What follows.

    Args:
        record: the session's.
        ending: how pvserver has ended.
        left: how ParaView has left: orderly, cut, or empty if nothing shows it.
        now: in seconds since 1970.
    """
    if ending.reason != endings.CLIENT_LEFT:
        died_at = [moment for moment in record.died_at if now - moment < _DEATHS_WITHIN] + [now]
        why = "pvserver has ended by itself ({0})".format(ending.reason)
        if len(died_at) > _MOST_DEATHS:
            return Next(False, "{0} for the {1}th time in ten minutes, so the job is not kept".format(why, len(died_at)), died_at)
        return Next(True, "{0}; the ParaView that was connected cannot go on".format(why), died_at)
    if left == "orderly":
        return Next(record.settings.get("keep") == "always", "ParaView has disconnected", record.died_at)
    why = "ParaView has left without disconnecting" if left else "ParaView has left; nothing shows whether it crashed"
    return Next(True, why, record.died_at)


def left(directory: str, record: SessionRecord) -> str:
    """How ParaView has left: orderly, cut, or empty if nothing shows it.

    Args:
        directory: of the session's record.
        record: the session's.
    """
    # A script that ends without Disconnect() is no crash.
    if record.client and _EXIT_STATUS.search(local.last_words(os.path.join(directory, "client.log"))):
        return "orderly"
    return stub_report.read(os.path.join(directory, stub_report.NAME)).get("left", "") if record.has_stub else ""


def line(record: SessionRecord, why: str, now: float) -> str:
    """The line for the user whose job is kept: why, what is idle, until when, and how to end it.

    Args:
        record: the session's.
        why: of Next.
        now: in seconds since 1970.
    """
    gpus = amounts.gpus(record.settings)["gpus"]
    return "{0}; job {1} on {2}{3} waits for ParaView until {4}; to end it now: ansible-playbook sciviz.paraview.disconnect -e host={5}".format(
        why, record.job_id, " ".join(record.nodes[:4]) + (" ..." if len(record.nodes) > 4 else ""),
        " ({0} GPU{1} idle)".format(gpus, "" if gpus == 1 else "s") if gpus else "",
        time.strftime("%H:%M", time.localtime(now + record.settings["keep_timeout"])), record.name)


def with_status(command: t.List[str]) -> t.List[str]:
    """A command that starts another one, and appends the other one's exit status to its output."""
    return ["/bin/sh", "-c", '"$@"; code=$?; echo "{0}$code"; exit $code'.format(_STATUS), "sh"] + command
