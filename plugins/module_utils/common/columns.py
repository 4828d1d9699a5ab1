# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that fit a terminal: text by its columns, and shell commands that wrap so that they can be copied."""

import re
import typing as t
import unicodedata

# The command with which one of our lines ends, after a colon.
_COMMAND = re.compile(r"^(?P<sentence>.*?): (?P<command>(?:(?:\S*/)?ansible-playbook \S|(?:'[^']*'|\S+) --server-url=).*)\Z")
_INDENT = "    "
_GOES_ON = " \\"


def width(text: str) -> int:
    """The columns that a text takes in a terminal."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """A text without its end if it takes more columns than there are."""
    if width(text) <= columns:
        return text
    kept, left = "", columns - 3
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept += char
    return (kept.rstrip() + "...")[:max(0, columns)]


def split_command(text: str) -> t.Tuple[str, str]:
    """The sentence of a line and the command with which it ends; the command is empty if there is none."""
    found = _COMMAND.match(text)
    return (found.group("sentence"), found.group("command")) if found else (text, "")


def with_command(sentence: str, command: str, columns: int) -> t.List[str]:
    """A sentence and its command: on one line if they fit, else the command stands below, wrapped.

    Args:
        sentence: without a colon at its end.
        command: for a shell, on one line.
        columns: of the terminal.
    """
    line = "{0}: {1}".format(sentence, command)
    return [line] if width(line) <= columns else [sentence + ":"] + wrapped(command, columns)


def wrapped(command: str, columns: int) -> t.List[str]:
    """A shell command, indented, on lines that fit and that a shell joins again. It wraps only at blanks between words; a word may be too long for its line.

    Args:
        command: on one line.
        columns: of the terminal.
    """
    lines = [""]
    for word in _pieces(command, 0):
        # A word that no line can hold may still have blanks in a command substitution.
        for piece in [word] if _fits("", word, columns) else _pieces(word, None):
            if lines[-1] and not _fits(lines[-1], piece, columns):
                lines.append("")
            lines[-1] += (" " if lines[-1] else "") + piece
    return [_INDENT * (2 if number else 1) + line + (_GOES_ON if number < len(lines) - 1 else "") for number, line in enumerate(lines)]


def _fits(line: str, piece: str, columns: int) -> bool:
    return 2 * len(_INDENT) + width(line) + (1 if line else 0) + width(piece) + len(_GOES_ON) <= columns


def _pieces(command: str, depth: t.Optional[int]) -> t.List[str]:
    """The command, divided at blanks that a shell takes for the space between words.

    Args:
        command: for a shell.
        depth: how many command substitutions may be around the blank; None for any number.
    """
    pieces, start = [], 0
    for position, inside in _blanks(command):
        if depth is not None and inside > depth:
            continue
        if position > start:
            pieces.append(command[start:position])
        start = position + 1
    return pieces + ([command[start:]] if command[start:] else [])


def _blanks(command: str) -> t.Iterator[t.Tuple[int, int]]:
    """The positions of blanks outside of quotes, each with the number of command substitutions around it."""
    # What is open: a double quote or a command substitution.
    around: t.List[str] = []
    position = 0
    while position < len(command):
        char, quoted = command[position], bool(around) and around[-1] == '"'
        if char == "\\":
            position += 1
        elif char == '"':
            around = around[:-1] if quoted else around + ['"']
        elif char == "'" and not quoted:
            position = command.find("'", position + 1) % (len(command) + 1)
        elif char == "`":
            position = command.find("`", position + 1) % (len(command) + 1)
        elif command.startswith("$(", position):
            around, position = around + ["("], position + 1
        elif char == ")" and around and not quoted:
            around = around[:-1]
        elif char == " " and not quoted:
            yield position, around.count("(")
        position += 1
