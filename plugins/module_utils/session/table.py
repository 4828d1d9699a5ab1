# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions as a table, and as a table that a terminal shows in place of the previous one."""

import collections
import time
import typing as t
import unicodedata

from ..cluster.job_flow import clock_time
from ..common import durations
from ..common.text import one_line
from . import wall_time

#: As record.Session.report() returns it.
Report = t.Dict[str, t.Any]
_EMPTY = "-"
# These columns appear only if a session has a value in them.
_OPTIONAL = ("preset", "waited", "starts")
# These columns change without an event.
_MOVING = ("waited", "left")


def width(text: str) -> int:
    """How many columns of a terminal a line of clean text takes."""
    return sum(_columns(char) for char in text)


def fitted(text: str, columns: int) -> str:
    """A line of clean text, cut to a number of columns; three dots stand for what is missing."""
    if width(text) <= columns:
        return text
    room, kept = columns - 3, ""
    for char in text:
        room -= _columns(char)
        if room < 0:
            break
        kept += char
    return (kept + "...")[:columns]


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def lines(reports: t.List[Report]) -> t.List[str]:
    """A table with aligned columns, the heads of the columns first."""
    if not reports:
        return ["no session"]
    cells = [_cells(report) for report in reports]
    shown = [name for name in cells[0] if name not in _OPTIONAL or any(one[name] != _EMPTY for one in cells)]
    rows = [shown] + [[one[name] for name in shown] for one in cells]
    widths = [max(width(row[column]) for row in rows) for column in range(len(shown))]
    table = ["  ".join(cell + " " * (most - width(cell)) for cell, most in zip(row, widths)).rstrip() for row in rows]
    return table + ["{0}: {1}".format(one_line(report["host"]), wall_time.sentence(one_line(report["job_id"]), report["time_left_s"]))
                    for report in reports if _ends_soon(report)]


def _ends_soon(report: Report) -> bool:
    """Whether the table warns of the end of the job's wall time."""
    return bool(report["job_id"] and report["time_left_s"]) and wall_time.is_near(report["time_left_s"])


def content(reports: t.List[Report]) -> t.List[t.List[str]]:
    """The part of a table that changes only if something has happened."""
    stable = []
    for report in reports:
        line = report.get("lifeline")
        cells = _cells(dict(report, lifeline=dict(line, waiting_bytes=0)) if line else report)
        # A warning is due anew at each of these times.
        warnings = [str(one) for one in wall_time.WARNINGS if _ends_soon(report) and report["time_left_s"] <= one]
        stable.append([cell for name, cell in cells.items() if name not in _MOVING] + warnings)
    return stable


def summary(reports: t.List[Report]) -> str:
    """``10 sessions: 1 failed, 6 pending, 3 connected``."""
    counts = collections.Counter(report["state"] for report in reports)
    return "{0} session{1}: {2}".format(len(reports), "" if len(reports) == 1 else "s", ", ".join(
        "{0} {1}".format(count, state) for state, count in sorted(counts.items()))) if reports else "no session"


def frame(reports: t.List[Report], now: float) -> t.List[str]:
    """The lines of a live table: the time, the number of sessions in each state, and the table.

    Args:
        reports: of the sessions.
        now: in seconds since 1970.
    """
    head = "{0}  {1}".format(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)), summary(reports))
    return [head] + (lines(reports) if reports else [])


class Rewriter:
    """Text that shows lines on a terminal in place of those that it showed before."""

    def __init__(self) -> None:
        self.height = 0
        self.size = (0, 0)

    def text(self, shown: t.List[str], size: t.Tuple[int, int]) -> str:
        """The text to write. The cursor is left at the start of the line below.

        Args:
            shown: the lines; those that do not fit are cut or left out.
            size: columns and lines of the terminal. If it has changed, the terminal has wrapped the earlier lines, so they are left alone.
        """
        columns, rows = size
        # The cursor needs a line, and a character in the last column would wrap on some terminals.
        shown = [fitted(line, max(1, columns - 1)) for line in _that_fit(shown, max(1, rows - 1))]
        up = "\x1b[{0}A".format(self.height) if self.height and size == self.size else ""
        self.height, self.size = len(shown), size
        return "\r" + up + "".join("{0}\x1b[K\n".format(line) for line in shown) + "\x1b[J"


def _that_fit(shown: t.List[str], rows: int) -> t.List[str]:
    if len(shown) <= rows:
        return shown
    return shown[:rows - 1] + ["... {0} more".format(len(shown) - rows + 1)]


def _cells(report: Report) -> t.Dict[str, str]:
    """A session's row, by the heads of the columns."""
    expected = report.get("expected_start")
    cells = collections.OrderedDict((
        ("host", report["host"]), ("route", report["route"]), ("preset", report.get("preset")), ("job", report["job_id"]), ("state", report["state"]),
        ("waited", durations.short(report.get("waited_s"))), ("starts", clock_time(expected) if expected else ""),
        ("nodes", _nodes(report["nodes"])), ("left", durations.short(report["time_left_s"])), ("url or reason", _result(report))))
    return collections.OrderedDict((name, one_line(cell or _EMPTY, 300) or _EMPTY) for name, cell in cells.items())


def _nodes(nodes: t.List[str]) -> str:
    """``c101 c102``, or ``c101 +7``: the root node is the one with the connection."""
    return " ".join(nodes) if len(nodes) <= 2 else "{0} +{1}".format(nodes[0], len(nodes) - 1)


def _result(report: Report) -> str:
    """The URL for ParaView, or why there is none yet or no more."""
    line = report.get("lifeline") or {}
    url, reason = report["url"], report["reason"]
    if line.get("state") == "outage":
        return "{0}; {1} kept".format(reason, _size(line["waiting_bytes"])) if line["waiting_bytes"] else reason
    if report["state"] == "starting" and url and reason:
        return "{0} ({1})".format(reason, url)
    if report["state"] == "ready" and url and reason:
        return "{0} ({1})".format(url, reason)
    if report["state"] not in ("starting", "ready", "connected") or not url:
        return reason
    losses = line.get("losses", 0)
    return "{0} (connection lost {1})".format(url, "once" if losses == 1 else "{0} times".format(losses)) if losses else url


def _size(count: int) -> str:
    return "{0} bytes".format(count) if count < 10000 else "{0:.1f} MB".format(count / 1e6)
