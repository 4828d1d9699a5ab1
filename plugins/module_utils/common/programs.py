# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in the ``files`` of roles. Some have placeholders that are filled in before they run.

The launcher is one archive without roles; the programs that it needs are packed next to this module. No module of the collection can use
this one: Ansible does not send a role's files with a module.
"""

import functools
import os
import pkgutil
import re
import typing as t

#: What the launcher needs: role and name of each.
OF_THE_LAUNCHER = (
    ("connect", "answer.sh"), ("connect", "job.sh"), ("connect", "login_node.sh"), ("connect", "login_shell.sh"), ("connect", "modules.sh"),
    ("connect", "paraview-lifeline"), ("connect", "place.sh"), ("connect", "pvserver.sh"), ("connect", "pvserver_version.sh"),
    ("connect", "rank.sh"), ("relay", "paraview-relay"))
_ROLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "roles")
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")
_PART = re.compile(r"^ *# BEGIN (\w+)\n(.*?)^ *# END \1\n", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?:#(?!!).*)?\n", re.MULTILINE)


def path(role: str, name: str) -> str:
    """The path of a program; not inside the launcher's archive."""
    return os.path.join(_ROLES, role, "files", name)


@functools.lru_cache(maxsize=None)
def text(role: str, name: str) -> str:
    """The text of a program, from its role or from the launcher's archive."""
    try:
        with open(path(role, name), encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return pkgutil.get_data(__package__, role + "/" + name).decode("utf-8")


def load() -> None:
    """Reads all programs that the launcher needs; text() keeps them."""
    for role, name in OF_THE_LAUNCHER:
        text(role, name)


def filled(role: str, name: str, parts: t.Mapping[str, bool], values: t.Mapping[str, str]) -> str:
    """A shell program with its placeholders filled in, without comments and empty lines.

    Args:
        role, name: as in text().
        parts: by NAME, whether to keep the lines between ``# BEGIN NAME`` and ``# END NAME``.
        values: by NAME, the text that replaces ``@NAME@``; nothing in it is removed or replaced.
    """
    kept = _PART.sub(lambda match: match.group(2) if parts[match.group(1)] else "", text(role, name))
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], _COMMENT.sub("", kept))
