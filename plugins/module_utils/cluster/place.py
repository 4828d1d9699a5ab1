# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of sessions' files on the cluster, if it is not the home: found out and checked before a session writes anything there."""

import re
import shlex
import typing as t

from ..common import ownership, programs
from ..common.errors import SessionError
from ..common.text import number, one_line
from ..config import remote_directory
from . import job_directory
from .login_node import Run

# A line of ``ls -ldn``: type, permissions, owner, group.
_LISTED = re.compile(r"^([dl])([r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-]\+?)[.@]?\s+\d+\s+(\d+)\s+(\d+)\s", re.MULTILINE)
# Start-up files of a shell may be slow.
_ASK_SECONDS = 40
_LOOK_SECONDS = 30
_MINE = "nothing was touched"


def place(requested: str, facts: t.Dict[str, t.Any], script: Run) -> str:
    """The directory for sessions' files.

    Args:
        requested: the setting remote_dir; empty for the site's.
        facts: as facts.facts_of() returns them.
        script: ``script(text, seconds) -> (code, out, err)`` on the login node.
    Returns:
        An absolute path; empty for the home.
    Raises:
        SessionError: the value is not valid, the directory is not usable, or another account could replace what is in it.
    """
    value = requested or facts["site"].get("remote_dir", "")
    if not value:
        return ""
    login = facts["login_node"]
    where = "your login shell on " + login
    try:
        value = remote_directory.check(value)
        names = remote_directory.names(value)
        known = read_names(script(ask_names(names), _ASK_SECONDS)[1], names, where) if names else {}
        path = remote_directory.filled(value, known, where)
        code, out, err = script(look(path, facts["uid"]), _LOOK_SECONDS)
        fault = read_look(out)
        if fault is None:
            fault = "it cannot be checked: " + (_literal(err or out) or "no answer within {0} s".format(_LOOK_SECONDS) if code else "the answer is incomplete")
    except ValueError as error:
        raise _refused(requested, value, str(error))
    if fault:
        raise _refused(requested, value, fault.format(path="it" if path == value else path, login=login))
    return path


def _refused(requested: str, value: str, why: str) -> SessionError:
    what = "paraview_remote_dir: {0!r} cannot be used" if requested else "remote_dir of this site, {0!r}, cannot be used"
    way_out = "name a directory that exists, is yours, and is on the login node and on the compute nodes (-e paraview_remote_dir=...); " + _MINE
    return SessionError(what.format(value), why, way_out)


def ask_names(names: t.List[str]) -> str:
    """A script whose output read_names() reads.

    Args:
        names: of environment variables.
    """
    return programs.filled("connect", "login_shell.sh", {}, {"VARIABLES": " ".join(names)})


def read_names(text: str, names: t.List[str], where: str) -> t.Dict[str, str]:
    """The values of environment variables; that of a name which is not set is empty.

    Args:
        text: what the script of ask_names() printed.
        names: its argument.
        where: whose values these are, for messages.
    Raises:
        ValueError: the login shell did not answer.
    """
    mark, _newline, rest = text.partition("\n")
    shell, _newline, answer = rest.partition("\n")
    values = {}
    for name in names:
        found = re.search(r"^{0} {1}\n(.*?)\n{0} end$".format(re.escape(mark), name), answer, re.DOTALL | re.MULTILINE)
        if not mark or not found:
            raise ValueError("{0} ({1}) does not print the value of ${2}: its start-up files end it, wait for input or start another shell; write the path "
                             "itself".format(where, one_line(shell, 100) or "unknown", name))
        values[name] = found.group(1)
    return values


def look(path: str, uid: int) -> str:
    """A script whose output read_look() reads.

    Args:
        path: of a directory. uid: of the user.
    """
    return programs.filled("connect", "place.sh", {}, {"PATH": shlex.quote(path), "OWN": shlex.quote(job_directory.parent(path, uid))})


def read_look(text: str) -> t.Optional[str]:
    """Why a directory is not usable, with ``{path}`` and ``{login}`` to fill in; empty if it is usable, None if that is not known.

    Args:
        text: what the script of look() printed.
    """
    parts = dict((chunk.partition("\n")[::2]) for chunk in re.split(r"(?m)^==", text)[1:])
    user = parts.get("user", "").split()
    uid, gid = [number(word) for word in user[:2]] if len(user) == 3 else (None, None)
    if "over" not in parts or uid is None or gid is None:
        return None
    kind = parts.get("kind", "").strip()
    if kind != "directory":
        return "{path} is no directory on {login}" if kind == "other" else "{path} cannot be found on {login}: " + _literal(kind)
    own = _LISTED.search(parts.get("own", ""))
    if parts.get("own", "").strip() and (not own or own.group(1) != "d" or int(own.group(3)) != uid):
        return "the directory in it for your sessions exists already, and it is a link or belongs to another account: " + _literal(parts["own"])
    if not own and not parts.get("writes", "").strip():
        return "you cannot write to {path} on {login}"
    real = _LISTED.findall(parts.get("real", ""))
    named = _LISTED.findall(parts.get("named", ""))
    if not real or not named:
        return None
    private = gid if _is_private(parts.get("group", ""), user[2], gid) else -1
    for found in [real, named]:
        for above, (form, mode, owner, group) in enumerate(found):
            fault = _replaceable(form, mode, int(owner), int(group) == private, uid, above == 0)
            if fault:
                return fault.format("{path}" if above == 0 else "a directory above {path}")
    return ""


def _literal(text: str) -> str:
    return one_line(text).replace("{", "(").replace("}", ")")


def _is_private(entry: str, user: str, gid: int) -> bool:
    """Whether the user's group is the user's alone, as on systems where each account has a group of its own.

    Args:
        entry: of the group data base. user: the account's name. gid: of its group.
    """
    fields = entry.strip().split(":")
    return len(fields) == 4 and fields[2] == str(gid) and ownership.is_private_group(fields[0], fields[3].split(","), user)


def _replaceable(form: str, mode: str, owner: int, private: bool, uid: int, is_last: bool) -> str:
    """Why another account could replace what is in a directory, with ``{0}`` for the directory; empty if none could."""
    if form == "l":
        return "" if owner in (0, uid) else "{0} is a link of another account (uid " + str(owner) + ")"
    if is_last and owner not in (0, uid):
        return "another account (uid " + str(owner) + ") owns {0} and could replace the session's files: name a directory of your own in it"
    if mode[8] in "tT":
        return ""
    # With an access control list, the group's permissions are those of all whom it names.
    who = ownership.writers((0o020 if mode[4] == "w" else 0) | (0o002 if mode[7] == "w" else 0), private and len(mode) == 9)
    return who and "{0} is writable for " + who + ", which could replace the session's files: its owner can prevent that by chmod +t"
