# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that users see: what failed and where, why, what to do."""

import typing as t


class SessionError(Exception):
    """A failure that the user sees as three lines, never as a traceback.

    Args:
        what: what failed, naming the thing and the value.
        why: the cause; the other side's own message if there is one.
        way_out: what the user can do about it.
        cancelled: the job was cancelled; it did not fail.
        end_detached: a detached session ends too, since its job is of no further use.
    """

    def __init__(self, what: str, why: str = "", way_out: str = "", cancelled: bool = False, end_detached: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.way_out = way_out
        self.cancelled = cancelled
        self.end_detached = end_detached

    def lines(self) -> t.List[str]:
        """What, why and way out, without empty ones."""
        return [line for line in (self.what, self.why, self.way_out) if line]

    def __str__(self) -> str:
        return "\n".join(self.lines())
