# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of host names as batch systems write them."""

import itertools
import re
import typing as t


def named(value: t.Optional[str]) -> str:
    """A host name, or an empty text if it is not valid: a host name becomes an argument of commands."""
    return value if value and re.match(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", value) and value != "n/a" else ""


def expand(text: str, most: int = 10000) -> t.List[str]:
    """Node names of a compressed list such as ``node[01-02,07],gpu1``.

    Returns:
        In order; empty for ``(null)`` and for text that is not a list.
    """
    names: t.List[str] = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text.strip()[:100000]):
        names.extend(itertools.islice(_expand(part), max(0, most - len(names))))
    return [name for name in names if named(name)]


def _expand(part: str) -> t.Iterator[str]:
    """Names of one entry. They are generated lazily: there may be more than fit into memory."""
    pieces = re.split(r"(\[[^\]]*\])", part, maxsplit=4)
    choices = [_choices(piece) for piece in pieces]
    if any(next(iter(choice()), None) is None for choice in choices):
        return iter(())
    return ("".join(parts) for parts in _product(choices))


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
