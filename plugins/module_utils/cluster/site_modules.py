# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment modules of a site that contain ParaView, as Lmod, Environment Modules and their predecessors list them."""

import re
import typing as t

from ..common.text import clean
from ..paraview import version_probe

_LIST = r"""echo ==modules
{ module -t avail 2>&1 </dev/null; [ -z "$LMOD_CMD$LMOD_VERSION" ] || module -t spider paraview 2>&1 </dev/null; } |
  tr '\r' '\n' | grep -aiE 'paraview' | head -n 400
"""
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+@/=~-]*\Z")
_FORBIDDEN = re.compile(r"<(?:F|NF)>|\((?:[a-zA-Z]+[,:])*(?:F|forbidden)(?:[,:][a-zA-Z]+)*\)")


def listing(modules: t.Iterable[str] = ()) -> str:
    """A shell script that prints the listing for names().

    Args:
        modules: to load first.
    """
    return version_probe.load_modules(list(modules)) + version_probe.module_command() + _LIST


def names(text: str) -> t.List[str]:
    """The modules with ParaView in a listing, in its order, without marks and headings.

    Args:
        text: output of ``module avail`` or ``module spider``, terse or not.
    """
    found = []
    for line in clean(text.partition("==modules\n")[2] or text, len(text) + 1).splitlines():
        # Two blanks separate columns; one blank separates a module from its marks.
        for column in re.split(r"\s{2,}|\t|,\s", line.strip()):
            if not _FORBIDDEN.search(column):
                found += [name for name in map(_plain, column.split()) if name and name not in found]
    return found


def _plain(word: str) -> str:
    """A module's name without marks like ``(default)`` or ``(@alias)``; empty if the word is not a module with ParaView."""
    word = re.sub(r"[(<\[{].*", "", word).rstrip(":,;") if not word.endswith(":") else ""
    if not _NAME.match(word) or word.endswith("/") or "paraview" not in word.lower() or "=" in word:
        return ""
    return word
