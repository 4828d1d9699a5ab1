# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of directives, read as the options and resources that they set.

A table's ``directives.options`` describes how the batch system reads a line. Without it, a line is read as words: ``-x value``, ``--x=value`` or ``x=value``,
and if the value of an option is a list such as ``a=1,b=2``, each entry is a resource of its own.
"""

import re
import typing as t

#: How a batch system reads options: ``-x value`` and ``-xvalue``; these and ``--name=value``; ``-name value ...``.
STYLES = ("letters", "long", "words")
#: How the value of an option is divided: entries separated by commas; LSF's sections; not at all, but its name belongs to the option.
DIVISIONS = ("list", "sections", "name")
#: The entries of ``directives.options``.
Syntax = t.Dict[str, t.Any]

_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\\.|[^\s"'\\])+""")
# The first # that is not quoted.
_COMMENT = re.compile(r"""^((?:"[^"]*"|'[^']*'|\\.|[^#"'\\])*)#""")
_QUOTED = re.compile(r""""([^"]*)"|'([^']*)'|\\(.)""")
_OPTION = re.compile(r"--?[A-Za-z]")
_SECTION = re.compile(r"\b(select|order|rusage|span|same|cu|affinity)\s*\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")


class Item(t.NamedTuple):
    """Part of a value: the keys that it sets (such as ``-l walltime``), their value, and the part as it stands in the line."""

    keys: t.Tuple[str, ...]
    value: str
    text: str


class Option(t.NamedTuple):
    """An option in a line: its name there, its words, how its value is divided, and the parts of the value."""

    name: str
    text: str
    division: str
    items: t.List[Item]


def parse(line: str, syntax: t.Optional[Syntax], known: t.Iterable[str] = ()) -> t.List[Option]:
    """The options in a line of directives. A comment at the end of the line is ignored; Slurm and Flux let it begin inside a word.

    Args:
        line: without the batch system's prefix.
        syntax: the table's ``directives.options``.
        known: long options that may be abbreviated.
    """
    comment = _COMMENT.match(line) if (syntax or {}).get("style") == "long" else None
    if comment:
        line = comment.group(1)
    words = []
    for match in _WORD.finditer(line):
        if match.group().startswith("#"):
            break
        words.append(match.group())
    return list(_Reader(syntax, known).options(words))


def keys(options: t.Iterable[Option]) -> t.Set[str]:
    """Everything that options set."""
    return {key for option in options for item in option.items for key in item.keys}


def without(line: str, named: t.Set[str], syntax: t.Optional[Syntax]) -> str:
    """A line without the options, and without the parts of their lists, that set what is named; empty if nothing is left."""
    options = parse(line, syntax)
    if not keys(options) & named:
        return line
    return " ".join(filter(None, (_without(option, named) for option in options)))


def _without(option: Option, named: t.Set[str]) -> str:
    kept = [item for item in option.items if not set(item.keys) <= named]
    if len(kept) == len(option.items) or not kept:
        return option.text if kept else ""
    return "{0} {1}".format(option.name, ",".join(item.text for item in kept)) if option.division == "list" else '{0} "{1}"'.format(
        option.name, " ".join(item.text for item in kept))


class _Reader:
    """Reads words as options.

    Args:
        syntax, known: as of parse().
    """

    def __init__(self, syntax: t.Optional[Syntax], known: t.Iterable[str]) -> None:
        self.divided = syntax is not None
        self.syntax = syntax or {}
        self.style = self.syntax.get("style", "words")
        self.same = self.syntax.get("same", {})
        self.known = set(known) | set(self.same.values()) | set(self.syntax.get("instead", {})) | set(self.syntax.get("flags", ()))

    def options(self, words: t.List[str]) -> t.Iterator[Option]:
        """The options, in order."""
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if not _OPTION.match(_plain(word)):
                if self.divided:
                    # What stands before the next option belongs to no option.
                    continue
                name, _equals, value = _plain(word).partition("=")
                yield Option(name, word, "", [Item((name,), value, word)])
            elif self.style == "letters" or (self.style == "long" and not _plain(word).startswith("--")):
                yield from self._letters(word, rest)
            else:
                yield self._named(word, rest)

    def _letters(self, word: str, rest: t.List[str]) -> t.Iterator[Option]:
        """``-x value``, ``-xvalue``, or options without values in front, as in ``-Vx value``."""
        letters = word[1:]
        while letters:
            name, letters = "-" + letters[0], letters[1:]
            if name in self.syntax.get("flags", ()):
                yield self._option(name, name, "")
                continue
            if letters or not rest or _OPTION.match(_plain(rest[0])):
                yield self._option(name, name + letters, letters[1:] if self.style == "long" and letters.startswith("=") else letters)
            else:
                value = rest.pop(0)
                yield self._option(name, "{0} {1}".format(name, value), value)
            return

    def _named(self, word: str, rest: t.List[str]) -> Option:
        """``--name=value``, ``--name value``, or ``-name value ...``."""
        name, equals, value = word.partition("=")
        if self.style == "words" and (self.divided or not re.match(r"--?[\w-]+\Z", name)):
            name, value, equals = _attached(word) + ("",)
        if equals or value:
            return self._option(name, word, value)
        values: t.List[str] = []
        while rest and not _OPTION.match(_plain(rest[0])) and not (values and self.style == "long"):
            values.append(rest.pop(0))
        return self._option(name, " ".join([word] + values), " ".join(values))

    def _option(self, name: str, text: str, value: str) -> Option:
        whole = self._whole(name)
        division = self.syntax.get("resources", {}).get(whole, "")
        if not self.divided and re.match(r"[\w.-]+=", _plain(value)):
            division = "list"
        return Option(name, text, division, [
            item._replace(keys=tuple(self.same.get(key, key) for key in item.keys)) for item in _items(whole, value, division)])

    def _whole(self, name: str) -> str:
        """The name for which this one stands."""
        if name in self.same or name in self.known or not name.startswith("--"):
            return self.same.get(name, name)
        longer = {self.same.get(one, one) for one in self.known if one.startswith(name)}
        return longer.pop() if len(longer) == 1 else name


def _plain(word: str) -> str:
    """A word without its quotes."""
    return _QUOTED.sub(lambda match: match.group(1) or match.group(2) or match.group(3) or "", word)


def _attached(word: str) -> t.Tuple[str, str]:
    """Name and value of ``-n4`` or ``-R"span[...]"``. A letter after the first one belongs to a longer name."""
    return (word[:2], word[2:]) if re.match(r"-[A-Za-z][^A-Za-z-]", word) or _SECTION.match(_plain(word)[2:]) else (word, "")


def _items(name: str, value: str, division: str) -> t.List[Item]:
    plain = _plain(value)
    if division == "list":
        parts = [part.strip() for part in plain.split(",")]
        return [Item(("{0} {1}".format(name, part.partition("=")[0].strip().lower()),), part.partition("=")[2].strip(), part) for part in parts if part]
    if division == "name":
        return [Item(("{0} {1}".format(name, plain.partition("=")[0]),), plain.partition("=")[2], value)]
    if division == "sections":
        return _sections(name, plain)
    return [Item((name,), plain, value)]


def _sections(name: str, text: str) -> t.List[Item]:
    """The sections of a resource requirement; what is in none of them is a select section."""
    items = []
    for match in _SECTION.finditer(text):
        section, body = match.groups()
        names = re.findall(r"([A-Za-z_]\w*)\s*=", body) if section == "rusage" else []
        items.append(Item(tuple("{0} {1} {2}".format(name, section, one) for one in names) or ("{0} {1}".format(name, section),), body, match.group()))
    bare = _SECTION.sub(" ", text).strip()
    if re.search(r"\w", bare) and "{" not in text:
        items.append(Item((name + " select",), bare, bare))
    return items
