# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that users see: what failed and where, why, what to do."""


class SessionError(Exception):
    """A failure that is told in three lines and never as a traceback.

    Args:
        what (str): what failed, naming the thing and the value.
        why (str): the cause, in the other side's own words where it has any.
        way_out (str): what the reader can do about it.
        cancelled (bool): the job was cancelled rather than failed.
        hopeless (bool): the job is of no further use, even to a session that was detached.
    """

    def __init__(self, what, why="", way_out="", cancelled=False, hopeless=False):
        super().__init__(what)
        self.what = what
        self.why = why
        self.way_out = way_out
        self.cancelled = cancelled
        self.hopeless = hopeless

    def lines(self):
        """list[str]: what, why and way out; empty ones are left out."""
        return [line for line in (self.what, self.why, self.way_out) if line]

    def __str__(self):
        return "\n".join(self.lines())
