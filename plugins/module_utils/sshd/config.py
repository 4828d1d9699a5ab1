# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads sshd_config and the files that it includes, as sshd does.

Source: servconf.c and misc.c of OpenSSH 8.0 to 10 (strdelim, argv_split, the Include case).
"""

import collections
import fnmatch
import glob
import os
import re
import typing as t

from ..common.errors import SessionError

#: Where relative Include patterns begin.
DIRECTORY = "/etc/ssh"
_DEPTH = 16
_BLANKS = " \t\r\n\f"


class Line(t.NamedTuple):
    """A line of a file: its number from 1, its keyword in lower case, and the text after the keyword."""

    number: int
    keyword: str
    rest: str


class Head(t.NamedTuple):
    """A Match line and its file."""

    file: str
    line: Line


def _split_keyword(text: str) -> t.Tuple[str, str]:
    """Splits a line into its keyword and the rest, as sshd's strdelim does: at blanks, at one equals sign, or at a quote."""
    keyword = re.match(r"[^ \t\r\n=\"]*", text).group(0)
    rest = text[len(keyword):]
    if rest.startswith('"'):
        quoted, closed, rest = rest[1:].partition('"')
        # sshd ignores a line whose keyword has no closing quote.
        return (keyword + quoted).lower() if closed else "", rest.lstrip(" \t\r\n")
    return keyword.lower(), re.sub(r"\A[ \t\r\n]*=?[ \t\r\n]*", "", rest)


def lines(text: str) -> t.List[Line]:
    """The lines of a file that have a keyword; blank lines and comments are left out."""
    found = []
    for number, raw in enumerate(text.split("\n"), 1):
        stripped = raw.strip(_BLANKS)
        if stripped and not stripped.startswith("#"):
            keyword, rest = _split_keyword(stripped[1:] if stripped.startswith("=") else stripped)
            if keyword:
                found.append(Line(number, keyword, rest))
    return found


def arguments(rest: str) -> t.List[str]:
    """The arguments of a line, split as sshd's argv_split does: without quotes and without a trailing comment."""
    found: t.List[str] = []
    word, quoted, place = None, "", 0
    while place < len(rest):
        char, after = rest[place], rest[place + 1:place + 2]
        place += 1
        if word is None and char == "#":
            break
        if not quoted and char in " \t":
            found += [] if word is None else [word]
            word = None
            continue
        word = word or ""
        if char == "\\" and after and (after in "'\"\\" or (after == " " and not quoted)):
            word += after
            place += 1
        elif not quoted and char in "'\"":
            quoted = char
        elif quoted and char == quoted:
            quoted = ""
        else:
            word += char
    return rest.split() if quoted else found + ([] if word is None else [word])


def quote(word: str) -> str:
    """Quotes an argument for sshd_config, if it needs quotes."""
    if re.search(r"[\"\\\x00-\x1f\x7f]", word):
        raise SessionError("{0!r} cannot be written to sshd_config".format(word),
                           "it contains a quote, a backslash or a control character", "remove that character")
    return '"{0}"'.format(word) if re.search(r"[\s#']", word) else word


class View:
    """The files below a root directory, with planned changes; it writes nothing.

    Args:
        root: prefix of every path; empty for the files of this host.
        changes: new texts by path; None if the file is removed.
    """

    def __init__(self, root: str = "", changes: t.Optional[t.Dict[str, t.Optional[str]]] = None) -> None:
        self.root = root
        self.changes = dict(changes or {})

    def read(self, path: str) -> t.Optional[str]:
        """A file's text (bytes that are not UTF-8 become surrogates); None if there is no file."""
        if path in self.changes:
            return self.changes[path]
        try:
            with open(self.real(path), "rb") as file:
                return file.read().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise SessionError("cannot read {0}".format(path), error.strerror or str(error), "nothing was changed; run it as root")

    def real(self, path: str) -> str:
        """The path on this host, with symbolic links resolved within the root."""
        for _step in range(40):
            parts = path.split("/")
            for count in range(2, len(parts) + 1):
                head = "/".join(parts[:count])
                if os.path.islink(self.root + head):
                    target = os.readlink(self.root + head)
                    path = os.path.normpath(os.path.join(os.path.dirname(head), target, *parts[count:]))
                    break
            else:
                return self.root + path
        raise SessionError("cannot read {0}".format(path), "its symbolic links form a loop", "fix the links; nothing was changed")

    def matching(self, pattern: str) -> t.List[str]:
        """The paths that match a pattern of an Include line, in sshd's order."""
        found = {path[len(self.root):] for path in glob.glob(glob.escape(self.root) + pattern)}
        if self.root:
            # An absolute symbolic link points to a path within the root.
            directory = os.path.dirname(pattern)
            there = self.real(directory) if not glob.has_magic(directory) else ""
            if there and there != self.root + directory:
                found |= {directory + path[len(there):] for path in glob.glob(glob.escape(there) + pattern[len(directory):])}
            found |= {directory + "/" + name for name in self._dangling(there) if fnmatch.fnmatchcase(name, os.path.basename(pattern))}
        found |= {path for path in self.changes if _matches(path, pattern)}
        return sorted((path for path in found if self.changes.get(path, "") is not None), key=os.fsencode)

    @staticmethod
    def _dangling(directory: str) -> t.List[str]:
        if not directory or not os.path.isdir(directory):
            return []
        return [name for name in os.listdir(directory) if os.path.islink(os.path.join(directory, name)) and not name.startswith(".")]

    def with_changes(self, changes: t.Dict[str, t.Optional[str]]) -> "View":
        """This view with further changes."""
        return View(self.root, dict(self.changes, **changes))


def _matches(path: str, pattern: str) -> bool:
    names, parts = path.split("/"), pattern.split("/")
    return len(names) == len(parts) and all(
        fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith(".")) for name, part in zip(names, parts))


def patterns(line: Line) -> t.List[str]:
    """The absolute patterns of an Include line."""
    return [os.path.normpath(word) if word.startswith("/") else DIRECTORY + "/" + word for word in arguments(line.rest)]


class Tree:
    """A configuration as sshd reads it.

    Args:
        view: the files.
        path: the main file.
    Attributes:
        files: the texts by path, the main file first.
    """

    def __init__(self, view: View, path: str) -> None:
        self.view, self.path = view, path
        self.files: t.Dict[str, str] = collections.OrderedDict()
        self._read(path, 0)

    def _read(self, path: str, depth: int) -> None:
        text = self.view.read(path)
        if text is None or path in self.files:
            return
        if depth > _DEPTH:
            raise SessionError("{0} is included too deeply".format(path), "more than {0} files include one another".format(_DEPTH), "fix the Include lines")
        self.files[path] = text
        for line in lines(text):
            if line.keyword == "include":
                for pattern in patterns(line):
                    for found in self.view.matching(pattern):
                        self._read(found, depth + 1)

    def reading(self, path: str = "", head: t.Optional[Head] = None, depth: int = 0) -> t.Iterator[t.Tuple[str, Line, t.Optional[Head]]]:
        """Yields (file, Line, the Match that the line is under) in the order in which sshd reads them."""
        path = path or self.path
        for line in lines(self.files.get(path, "")) if depth <= _DEPTH else []:
            if line.keyword == "match":
                head = Head(path, line)
            elif line.keyword == "include":
                for pattern in patterns(line):
                    for found in self.view.matching(pattern):
                        yield from self.reading(found, head, depth + 1)
            yield path, line, head

    def mirror(self, directory: str) -> str:
        """Writes a copy in which every Include points into the copy.

        Args:
            directory: an empty directory; it becomes the prefix of every path in the copy.
        Returns:
            Path of the main file in the copy.
        """
        for path, text in self.files.items():
            copy = directory + path
            if not os.path.isdir(os.path.dirname(copy)):
                os.makedirs(os.path.dirname(copy), 0o700)
            with open(copy, "wb") as file:
                file.write(_redirected(text, directory).encode("utf-8", "surrogateescape"))
            os.chmod(copy, 0o600)
        return directory + self.path

    def line_text(self, file: str, number: int) -> str:
        """The text of a line of a file; empty if there is no such line."""
        text = self.files.get(file, "").split("\n")
        return text[number - 1].strip() if 0 < number <= len(text) else ""

    def drop_in_patterns(self) -> t.List[str]:
        """The Include patterns for drop-ins that the main file has before its first Match, in order."""
        found = []
        for line in lines(self.files.get(self.path, "")):
            if line.keyword == "match":
                break
            if line.keyword == "include":
                found += [pattern for pattern in patterns(line) if glob.has_magic(os.path.basename(pattern)) and not glob.has_magic(os.path.dirname(pattern))]
        return found


def _redirected(text: str, directory: str) -> str:
    raw = text.split("\n")
    for line in lines(text):
        if line.keyword == "include":
            raw[line.number - 1] = "Include " + " ".join('"{0}{1}"'.format(directory, pattern) for pattern in patterns(line))
    return "\n".join(raw)
