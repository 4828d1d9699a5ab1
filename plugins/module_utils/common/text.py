# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from other hosts and programs, made safe for a terminal."""

import re
import typing as t

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])")
# Unicode's categories Cc (except for the newline and the tab), Cf, Zl and Zp, and the code points that it reserves for such characters. A terminal interprets
# controls. A character of the other categories is invisible, or changes the direction or the order of what stands next to it, on a web page too.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
                       "\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")
_EMPTY = re.compile(r"^\s*$")
_WORD = re.compile(r"\w")
_NUMBER = re.compile(r"^\s*[0-9]{1,18}\s*\Z")
_USAGE = re.compile(r"(?i)^usage\b")


def clean(text: t.Any, limit: int = 2000) -> str:
    """Text from another side, without anything that a terminal would interpret.

    Args:
        text: anything; bytes are decoded as UTF-8, invalid ones are replaced.
        limit: characters to keep. The end is kept, since a cause is usually there.
    Returns:
        The text without control characters other than newlines and tabs.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = _CONTROLS.sub("", _ESCAPES.sub("", str(text).replace("\r\n", "\n").replace("\r", "\n")))
    text = "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
    return text if len(text) <= limit else "..." + text[-limit:]


def one_line(text: t.Any, limit: int = 300) -> str:
    """The same on a single line: the lines that are not empty, joined by semicolons."""
    lines = [line.strip() for line in clean(text, 10 * limit).splitlines() if not _EMPTY.match(line)]
    joined = "; ".join(lines).replace("\t", " ")
    return joined if len(joined) <= limit else joined[:limit] + "..."


def last_lines(text: t.Any, limit: int = 400, lines: int = 4) -> str:
    """The end of what a program printed, on a single line: whole lines, without rules and banners before them, and without a usage text after them."""
    kept = [line.strip().replace("\t", " ") for line in clean(text, 20000).splitlines() if _WORD.search(line)]
    usage = next((number for number, line in enumerate(kept) if number and _USAGE.match(line)), len(kept))
    shown: t.List[str] = []
    for line in reversed(kept[:usage][-lines:]):
        if shown and sum(map(len, shown)) + len(line) > limit:
            break
        shown.insert(0, line if len(line) <= limit else "..." + line[-limit:])
    return "; ".join(shown)


def tail(text: t.Union[str, bytes], lines: int = 12) -> str:
    """The last lines of a log, cleaned and indented, to follow a message."""
    kept = [line.rstrip() for line in clean(text, 8000).splitlines() if not _EMPTY.match(line)]
    return "\n".join("    " + line[:400] for line in kept[-lines:])


def number(text: str) -> t.Optional[int]:
    """The number that a program printed; None if it printed something else, such as a digit that is not ASCII."""
    return int(text) if _NUMBER.match(text) else None


def distance(one: str, other: str, enough: int = 1000) -> int:
    """How many insertions, deletions, changes of a letter or swaps of neighbours turn one text into another.

    Args:
        one: a text.
        other: another.
        enough: for a distance above this, the result may be any number above this.
    """
    if abs(len(one) - len(other)) > enough:
        return enough + 1
    before: t.List[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, against in enumerate(other, 1):
            steps = min(last[column] + 1, now[column - 1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                steps = min(steps, before[column - 2] + 1)
            now.append(steps)
        before, last = last, now
    return last[-1]
