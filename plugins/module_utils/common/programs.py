# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that lie among the files of a role, and those of them that are filled in before they run.

The launcher is one archive without roles; what it needs of them is packed beside this module. No module of the collection can use this:
Ansible does not send a role's files with it.
"""

import functools
import os
import pkgutil
import re
import typing as t

#: What the launcher needs: role and name of each.
OF_THE_LAUNCHER = (
    ("connect", "answer.sh"), ("connect", "job.sh"), ("connect", "login_node.sh"), ("connect", "modules.sh"), ("connect", "pvserver.sh"),
    ("connect", "pvserver_version.sh"), ("connect", "rank.sh"), ("relay", "paraview-relay"))
_ROLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "roles")
_BLANK = re.compile(r"@([A-Z_]+)@")
_PART = re.compile(r"^ *# BEGIN (\w+)\n(.*?)^ *# END \1\n", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?:#(?!!).*)?\n", re.MULTILINE)


def path(role: str, name: str) -> str:
    """Where a program lies; not in the launcher's archive."""
    return os.path.join(_ROLES, role, "files", name)


@functools.lru_cache(maxsize=None)
def text(role: str, name: str) -> str:
    """A program, of its role or of the archive."""
    try:
        with open(path(role, name), encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return pkgutil.get_data(__package__, role + "/" + name).decode("utf-8")


def load() -> None:
    """Reads all that the launcher needs, which text() does not look for again."""
    for role, name in OF_THE_LAUNCHER:
        text(role, name)


def filled(role: str, name: str, parts: t.Mapping[str, bool], blanks: t.Mapping[str, str]) -> str:
    """A shell program without comments and empty lines, filled in.

    Args:
        role, name: as in text().
        parts: whether what stands between ``# BEGIN NAME`` and ``# END NAME`` is to be in it.
        blanks: what takes the place of each ``@NAME@``; it stays as it is.
    """
    kept = _PART.sub(lambda match: match.group(2) if parts[match.group(1)] else "", text(role, name))
    return _BLANK.sub(lambda match: blanks[match.group(1)], _COMMENT.sub("", kept))
