# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a job ended: from the end that it noted itself, and from the cause that its log names."""

import typing as t

from ..paraview import log_causes
from .status_file import Progress


class Ending(t.NamedTuple):
    """The end of a job.

    Attributes:
        state: ended, failed or cancelled, as a session's state.
        reason: one sentence, without capital and full stop.
        way_out: what the user can do about it; may be empty.
        line: the line of the log that names the cause; may be empty.
        known: the job, its log or pvserver named the cause.
        late: the job was killed, and the log may show the reason only some seconds later.
    """

    state: str
    reason: str
    way_out: str = ""
    line: str = ""
    known: bool = True
    late: bool = False


#: The reason of a normal end.
CLIENT_LEFT = "the client left"
#: The reason if the user's own job ended.
JOB_ENDED = "the job in which pvserver was started has ended"
# Reasons that the job notes when it ends itself.
_BY_ITSELF = {
    "idle": "no client came in time",
    "outage": "the connection was lost for longer than paraview_reconnect_timeout",
    "lost": "the data kept next to ParaView is lost",
    "job": JOB_ENDED,
}


def of(progress: Progress, log: str) -> Ending:
    """How a job ended, or pvserver in a job that is kept.

    Args:
        progress: what the job noted. If it was killed, it may not have noted its end.
        log: the end of its log.
    """
    left = None if progress.left is None else (progress.left, "pvserver")
    code, why = progress.ended or left or (None, "")
    if why in _BY_ITSELF:
        return _by_itself(why, log)
    cause = log_causes.explain(log, code if why == "pvserver" else None)
    # A fault after pvserver began to exit does no harm. Some MPI launchers exit with 0 although pvserver crashed.
    if progress.connected and why in ("pvserver", "attach", "") and (progress.exiting or code == 0 and not cause):
        return Ending("ended", CLIENT_LEFT)
    if why in ("walltime", "cancelled"):
        return _stopped(why, cause)
    state = "cancelled" if cause and cause.kind == "cancelled" else "ended" if cause and cause.kind == "time" else "failed"
    if cause:
        # A process that kills with this signal has a reason, which may appear in the log.
        return Ending(state, cause.what, cause.way_out, cause.line, late=cause.kind == "killed")
    return Ending("ended" if why == "pvserver" and code == 0 else "failed", _unexplained(code, why), known=False, late=code is None or code > 128)


def _by_itself(why: str, log: str) -> Ending:
    """The ending of a job that ended itself. If pvserver refused a client, that explains why none came."""
    cause = log_causes.explain(log) if why == "idle" else None
    if cause and cause.kind in ("versions", "connect_id"):
        return Ending("ended", "{0}; {1}".format(_BY_ITSELF[why], cause.what), cause.way_out, cause.line)
    return Ending("ended", _BY_ITSELF[why])


def _stopped(why: str, cause: t.Optional[log_causes.Cause]) -> Ending:
    """The ending of a job that was asked to end. The batch system may have logged why."""
    if cause and cause.kind in ("time", "memory", "node", "preempted"):
        return Ending("ended" if cause.kind == "time" else "failed", cause.what, cause.way_out, cause.line)
    if why == "walltime":
        return Ending("ended", "its wall time was over", "raise paraview_walltime")
    return Ending("cancelled", "the job was cancelled")


def _unexplained(code: t.Optional[int], why: str) -> str:
    if why == "attach":
        return "its step in the job ended without a message, with exit status {0}".format(code)
    return "" if code is None else "pvserver ended with exit status {0}".format(code)


def sentence(ending: Ending) -> str:
    """Reason and way out in one line."""
    return ending.reason + (": " + ending.way_out if ending.way_out else "")
