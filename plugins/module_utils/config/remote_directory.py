# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The setting remote_dir: a directory on the cluster, in which names such as $USER stand for what the user's login shell has."""

import re
import typing as t

_NAME = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
# The path stands in directives, where some batch systems read other characters in their own way: % in Slurm, a colon in PBS, braces in Flux.
_OTHER = re.compile(r"[^A-Za-z0-9_./+@-]")
_LONGEST = 1000


def check(value: str) -> str:
    """A value without blanks around it; ValueError, which names the cause, if it is not valid."""
    text = value.strip(" ")
    _check_characters(_NAME.sub("", text))
    if text and not text.startswith(("/", "$")):
        raise ValueError("it has to begin with / or with a name such as $HOME")
    return text


def names(value: str) -> t.List[str]:
    """The names in a value, each once."""
    return list(dict.fromkeys(one or other for one, other in _NAME.findall(value)))


def filled(value: str, known: t.Mapping[str, t.Optional[str]], where: str) -> str:
    """The path that a value stands for.

    Args:
        value: as check() returns it; not empty.
        known: the values of its names; None or empty if a name is not set.
        where: whose values these are, for messages.
    Returns:
        An absolute path without ``..``, without empty parts and without a slash at its end.
    Raises:
        ValueError: a name is not set, or the path is not valid.
    """
    for name in names(value):
        if not known.get(name):
            raise ValueError("${0} is not set in {1}".format(name, where))
    path = _NAME.sub(lambda match: known[match.group(1) or match.group(2)] or "", value)
    try:
        _check_characters(path)
        if not path.startswith("/"):
            raise ValueError("it has to begin with /")
    except ValueError as error:
        if not names(value):
            raise
        raise ValueError("in {0} it is {1!r}: {2}".format(where, path[:_LONGEST], error))
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _check_characters(text: str) -> None:
    other = _OTHER.search(text)
    if other and other.group() == "$":
        raise ValueError("behind $ only a name is read, as in $USER or ${USER}")
    if other and not other.group().isprintable():
        raise ValueError("it contains a newline or another control character")
    if other:
        raise ValueError("it contains {0!r}, which batch systems read in ways of their own".format(other.group()))
    if ".." in text.split("/"):
        raise ValueError("it contains ..")
    if len(text) > _LONGEST:
        raise ValueError("it is longer than {0} characters".format(_LONGEST))
