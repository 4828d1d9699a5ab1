# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ParaView's server configuration files (.pvsc): one entry is added, changed or removed, everything else stays byte for byte.

Source: Qt/Core/pqServerConfiguration.cxx, pqServerConfigurationCollection.cxx.
"""

import html
import os
import re
import subprocess
import typing as t
from xml.parsers import expat

from ..common.errors import SessionError

EMPTY = b'<?xml version="1.0" encoding="UTF-8"?>\n<Servers>\n</Servers>\n'
# Characters that XML 1.0 does not allow, not even as a reference.
_INVALID = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# A start tag; a value may contain a ``>``.
_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")

#: A function that returns an element's text for an indent.
Child = t.Callable[[int], str]


class Place(t.NamedTuple):
    """An entry's name, the offsets of its first byte and of the byte after its last, and the program that it runs (empty for none)."""

    name: str
    start: int
    end: t.Optional[int]
    command: str


class Configuration:
    """The content of a file.

    Args:
        data: the content; empty for a file that does not exist.
        path: for messages.
    Attributes:
        places: the entries, in their order.
    Raises:
        SessionError: it is no server configuration; the message names the line.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        self.data = data if data.strip() else EMPTY
        self.places: t.List[Place] = []
        self._open: t.List[t.Tuple[str, int]] = []
        self._outer: t.Optional[t.Match[bytes]] = None
        self._inner_end: t.Optional[int] = None
        if b"\0" in self.data or self.data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            self._refuse(1, "it is in UTF-16, and must be in UTF-8")
        self._parse()

    def _parse(self) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda name, attributes: self._start(parser, name, attributes)
        parser.EndElementHandler = lambda name: self._end(parser)
        parser.StartDoctypeDeclHandler = lambda *_about: self._refuse(parser.CurrentLineNumber, "a document type is not allowed in it")
        parser.XmlDeclHandler = lambda _version, encoding, _alone: self._encoding(parser, encoding)
        try:
            parser.Parse(self.data, True)
        except expat.ExpatError as error:
            self._refuse(error.lineno, expat.ErrorString(error.code))

    def _refuse(self, line: int, why: str) -> t.NoReturn:
        raise SessionError("{0} is no server configuration of ParaView's".format(self.path), "line {0}: {1}".format(line, why),
                           "correct that line, or move the file away; nothing was changed")

    def _encoding(self, parser: t.Any, encoding: t.Optional[str]) -> None:
        if encoding and encoding.lower() not in ("utf-8", "us-ascii", "iso-8859-1", "latin1"):
            self._refuse(parser.CurrentLineNumber, "it is in {0}, and must be in UTF-8".format(encoding))

    def _start(self, parser: t.Any, name: str, attributes: t.Dict[str, str]) -> None:
        if not self._open and name != "Servers":
            self._refuse(parser.CurrentLineNumber, "it begins with <{0}> and not with <Servers>".format(name))
        if len(self._open) == 1 and name == "Server":
            self.places.append(Place(attributes.get("name", ""), parser.CurrentByteIndex, None, ""))
        if name == "Command" and len(self._open) > 2:
            self.places[-1:] = [one._replace(command=attributes.get("exec", "")) for one in self.places[-1:]]
        self._open.append((name, parser.CurrentByteIndex))

    def _end(self, parser: t.Any) -> None:
        name, start = self._open.pop()
        if len(self._open) > 1 or (self._open and name != "Server"):
            return
        tag = _TAG.match(self.data, start)
        # For an empty element, the parser reports the position after the element as its end.
        empty = tag.group(0).endswith(b"/>")
        if not self._open:
            self._outer, self._inner_end = tag, None if empty else parser.CurrentByteIndex
        else:
            end = tag.end() if empty else self.data.index(b">", parser.CurrentByteIndex) + 1
            self.places[-1] = self.places[-1]._replace(end=end)

    def names(self) -> t.List[str]:
        """The names of the entries, in their order."""
        return [one.name for one in self.places]

    def commands(self) -> t.Dict[str, str]:
        """The program that each entry runs, by its name; empty for none."""
        return {one.name: one.command for one in self.places}

    def put(self, name: str, text: str) -> bytes:
        """Returns the file with an entry added or replaced.

        Args:
            name: of the entry. Since ParaView uses the last of several entries with this name, that one is replaced, and the others are removed.
            text: the entry's XML, ASCII only, its lines indented.
        """
        mine = [one for one in self.places if one.name == name]
        new = text.strip().encode("ascii")
        if not mine:
            return self._append(new)
        last = mine[-1]
        return self._without(mine[:-1], self.data[:last.start] + new + self.data[last.end:])

    def remove(self, name: str) -> bytes:
        """Returns the file without an entry."""
        return self._without([one for one in self.places if one.name == name], self.data)

    @staticmethod
    def _without(places: t.List[Place], data: bytes) -> bytes:
        for one in reversed(places):
            start = one.start
            # The line break and the indent before the entry are removed, too.
            blank = re.search(rb"\r?\n[ \t]*\Z", data[:start])
            start = blank.start() if blank else start
            data = data[:start] + data[one.end:]
        return data

    def _append(self, new: bytes) -> bytes:
        if self._inner_end is None:
            head = self._outer.group(0)[:-2].rstrip()
            return self.data[:self._outer.start()] + head + b">\n  " + new + b"\n</Servers>" + self.data[self._outer.end():]
        before = self.data[:self._inner_end]
        line = re.search(rb"\n[ \t]*\Z", before)
        if line:
            return before[:line.start() + 1] + b"  " + new + b"\n" + before[line.start() + 1:] + self.data[self._inner_end:]
        return before + b"\n  " + new + b"\n" + self.data[self._inner_end:]


def element(name: str, attributes: t.Iterable[t.Tuple[str, str]] = (), children: t.Sequence[Child] = (), indent: int = 1) -> str:
    """An XML element, ASCII only.

    Args:
        name: its name.
        attributes: in their order.
        children: each returns its text for an indent.
        indent: its level.
    Raises:
        ValueError: a value contains a character that XML does not allow.
    """
    blank = "  " * indent
    words = "".join(" {0}={1}".format(key, _quoted(value)) for key, value in attributes)
    if not children:
        return "{0}<{1}{2}/>\n".format(blank, name, words)
    return "{0}<{1}{2}>\n{3}{0}</{1}>\n".format(blank, name, words, "".join(child(indent + 1) for child in children))


def _quoted(value: str) -> str:
    found = _INVALID.search(value)
    if found:
        raise ValueError("{0!r} contains {1!r}, which XML does not allow".format(value, found.group(0)))
    return '"{0}"'.format("".join(char if 32 <= ord(char) < 128 else "&#{0:d};".format(ord(char)) for char in html.escape(value)))


def refuse_while_it_runs(path: str) -> None:
    """Raises SessionError if a running ParaView will overwrite the file when it ends.

    Args:
        path: the file. If it does not exist, the owner of the nearest existing directory counts as its owner.
    """
    if not path.endswith(os.path.join(".config", "ParaView", os.path.basename(path))):
        return
    existing = path
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    number = _running(os.stat(existing).st_uid)
    if number:
        raise SessionError("{0} cannot be changed now".format(path), "ParaView is running (process {0}) and overwrites it when it ends".format(number),
                           "end ParaView first, or write a file for all users, or one for paraview --servers-file; nothing was changed")


def _running(owner: int) -> str:
    """The process id of a ParaView that an account runs; empty for none."""
    if not os.path.isdir("/proc/self"):
        listing = subprocess.run(["ps", "-axo", "pid=,uid=,comm="], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False)
        rows = [line.split(None, 2) for line in listing.stdout.decode("utf-8", "replace").splitlines()]
        return next((row[0] for row in rows if len(row) == 3 and row[1] == str(owner) and os.path.basename(row[2]).lower().startswith("paraview")), "")
    for number in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open("/proc/{0}/comm".format(number), "rb") as stream:
                if stream.read().startswith(b"paraview") and os.stat("/proc/" + number).st_uid == owner:
                    return number
        except OSError:
            continue
    return ""
