# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own blocks in sshd's main file, one for each policy; every byte outside them stays as it is."""

import re
import typing as t

from ..common.errors import SessionError

_BEGIN = "# BEGIN sciviz.paraview sshd_forwarding "
_END = "# END sciviz.paraview sshd_forwarding "
_JOINED = ", joined to the line before"


class Block(t.NamedTuple):
    """A complete block: its policy's name, its first and its last line from 1, and whether the line end before it is ours."""

    name: str
    first: int
    last: int
    joined: bool


def blocks(text: str) -> t.List[Block]:
    """The complete blocks of a main file."""
    found: t.List[Block] = []
    begun = None
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        begin = re.match(r"{0}([^ ,]+)({1})?\Z".format(re.escape(_BEGIN), re.escape(_JOINED)), line)
        if begin:
            begun = (number, begin.group(1), bool(begin.group(2)))
        elif begun and line == _END + begun[1]:
            found.append(Block(begun[1], begun[0], number, begun[2]))
            begun = None
    return found


def ends(line: str) -> bool:
    """Whether a line is the last one of a block."""
    return line.startswith(_END)


def begun(text: str) -> t.List[str]:
    """The names of all blocks in a main file, complete or not."""
    found = re.findall(r"(?m)^(?:{0}|{1})([^ ,\r\n]+)(?:{2})?\r?$".format(re.escape(_BEGIN), re.escape(_END), re.escape(_JOINED)), text)
    return list(dict.fromkeys(found))


def body(text: str, name: str) -> t.List[t.Tuple[int, str]]:
    """The numbers and texts of the lines between the marks of the block of that name."""
    raw = text.split("\n")
    return [(number, raw[number - 1].rstrip("\r")) for block in blocks(text) if block.name == name for number in range(block.first + 1, block.last)]


def without_block(text: str, name: str) -> str:
    """The text without the block of that name, byte for byte as before the block was added."""
    begin = r"{0}{1}(?P<joined>{2})?".format(re.escape(_BEGIN), re.escape(name), re.escape(_JOINED))
    end = re.escape(_END + name)
    # If another block begins within this one, a mark of one of them is missing.
    inner = r"(?:(?!{0})[^\n]*\n)*?".format(re.escape(_BEGIN))
    mark = re.compile(r"(?P<before>\r?\n|\A){0}(?P<newline>\r?\n){1}{2}(?P<after>\r?\n|\Z)".format(begin, inner, end))
    while True:
        found = mark.search(text)
        if not found:
            break
        kept = found.group("before")
        if found.group("joined"):
            # Text that was added after a joined block keeps the line end before it.
            kept = kept[:len(kept) - len(found.group("newline"))] + found.group("after")
        text = text[:found.start()] + kept + text[found.end():]
    if re.search(r"(?m)^({0}|{1})\r?$".format(begin, end), text):
        raise SessionError("the block of {0} in sshd_config is incomplete".format(name), "its BEGIN line or its END line is missing",
                           "remove the remaining lines of the block by hand; nothing was changed")
    return text


def with_block(text: str, name: str, lines: t.List[str], before: t.Optional[int] = None) -> str:
    """The text with a block added.

    Args:
        text: a main file.
        name: the policy's name.
        lines: the block's lines.
        before: number of the line before which the block is added; None for the end.
    """
    newline = "\r\n" if "\r\n" in text and text.count("\r\n") * 2 > text.count("\n") else "\n"
    raw = text.split("\n")
    place = len(raw) + (raw[-1] != "") if before is None else before
    # A block before a joined block is joined too: the line end between them is ours.
    joined = place > len(raw) or any(block.first == place and block.joined for block in blocks(text))
    begin = "{0}{1}{2}".format(_BEGIN, name, _JOINED if joined else "")
    block = newline.join([begin] + list(lines) + [_END + name])
    if place > len(raw):
        return text + newline + block
    head = "\n".join(raw[:place - 1])
    return head + ("\n" if place > 1 else "") + block + newline + "\n".join(raw[place - 1:])


def ours(text: str) -> t.Set[int]:
    """Numbers of the lines that belong to any of our blocks."""
    return {number for block in blocks(text) for number in range(block.first, block.last + 1)}


def block_at(text: str, number: int) -> str:
    """Name of our block that a line belongs to; empty if there is none."""
    return next((block.name for block in blocks(text) if block.first <= number <= block.last), "")
