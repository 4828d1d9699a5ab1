# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment modules of a site that hold ParaView, as Lmod, Environment Modules and their forerunners list them."""

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
    """A shell script that prints what names() understands.

    Args:
        modules: to load first.
    """
    return version_probe.load_modules(list(modules)) + version_probe.module_command() + _LIST


def names(text: str) -> t.List[str]:
    """The modules with ParaView in a listing, in its order; a module's decorations, directories and columns are taken off.

    Args:
        text: what ``module avail`` or ``module spider`` printed, terse or not.
    """
    found = []
    for line in clean(text.partition("==modules\n")[2] or text, len(text) + 1).splitlines():
        # Columns have two blanks between them, a module and its marks one.
        for column in re.split(r"\s{2,}|\t|,\s", line.strip()):
            if not _FORBIDDEN.search(column):
                found += [name for name in map(_plain, column.split()) if name and name not in found]
    return found


def _plain(word: str) -> str:
    """A module's name without marks such as ``(default)`` or ``(@alias)``; empty for what is none."""
    word = re.sub(r"[(<\[{].*", "", word).rstrip(":,;") if not word.endswith(":") else ""
    if not _NAME.match(word) or word.endswith("/") or "paraview" not in word.lower() or "=" in word:
        return ""
    return word
