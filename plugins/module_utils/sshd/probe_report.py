# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings of all forwards as a table."""

import typing as t


def table(forwards: t.List[t.Dict[str, t.Any]]) -> t.List[str]:
    """The findings as lines with aligned columns."""
    expected = any(one["expect"] for one in forwards)
    rows = [["kind", "request", "verdict"] + ["expected"] * expected + ["listens on", "as asked", "why"]]
    answers = {True: "yes", False: "no", None: "-"}
    for one in forwards:
        expectation = " or ".join(one["expect"]) or "-"
        rows.append([one["kind"], one["request"], one["verdict"]] + [("NOT " if one["as_expected"] is False else "") + expectation] * expected
                    + [" ".join(one["listens_on"]) or "-", answers[one["as_asked"]], one["why"]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
