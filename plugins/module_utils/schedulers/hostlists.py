# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of host names as batch systems write them."""

import itertools
import re
import typing as t


def named(value: t.Optional[str]) -> str:
    """A host's name, or nothing where it is none: a name is an argument of commands."""
    return value if value and re.match(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", value) and value != "n/a" else ""


def expand(text: str, most: int = 10000) -> t.List[str]:
    """Node names of a compressed list such as ``node[01-02,07],gpu1``.

    Returns:
        In order; empty for ``(null)`` or what is no list.
    """
    names: t.List[str] = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text.strip()[:100000]):
        names.extend(itertools.islice(_expand(part), max(0, most - len(names))))
    return [name for name in names if named(name)]


def _expand(part: str) -> t.Iterator[str]:
    """Names of one entry; lazily, since what a site says may stand for more of them than memory holds."""
    pieces = re.split(r"(\[[^\]]*\])", part, maxsplit=4)
    choices = [_choices(piece) for piece in pieces]
    if any(next(iter(one()), None) is None for one in choices):
        return iter(())
    return ("".join(words) for words in _product(choices))


def _product(choices: t.List[t.Callable[[], t.Iterable[str]]]) -> t.Iterator[t.Tuple[str, ...]]:
    if not choices:
        yield ()
        return
    for first in choices[0]():
        for rest in _product(choices[1:]):
            yield (first,) + rest


def _choices(piece: str) -> t.Callable[[], t.Iterable[str]]:
    if not piece.startswith("["):
        return lambda: (piece,)

    def numbers() -> t.Iterator[str]:
        for low, high in re.findall(r"(?<![^,\[])([0-9]{1,9})(?:-([0-9]{1,9}))?(?=[,\]])", piece):
            for number in range(int(low), int(high or low) + 1):
                yield str(number).zfill(len(low))

    return numbers
