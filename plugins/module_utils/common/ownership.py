# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories that no other account could have written or can replace, by the rules of sshd's StrictModes."""

import errno
import os
import stat
import typing as t

from .errors import SessionError

_MOST_LINKS = 40


def writers(mode: int, is_private: bool) -> str:
    """Which other accounts can write to a file or directory, in words; empty if none can.

    Args:
        mode: its permissions. is_private: whether nobody but the user is in its group.
    """
    return "any account" if mode & stat.S_IWOTH else "its group" if mode & stat.S_IWGRP and not is_private else ""


def is_private_group(name: str, members: t.Iterable[str], user: str) -> bool:
    """Whether a user's group is the user's alone, as on systems where each account has a group of its own.

    Args:
        name: of the group. members: of the group. user: the account's name.
    """
    return name == user and all(member in ("", user) for member in members)


def fault(path: str, own: bool = True) -> str:
    """Why another account could have written what is in a directory, or could replace it; empty if none could.

    Args:
        path: of the directory. If it does not exist, the directories above it count. Each link on the way counts, too.
        own: whether it has to be the user's own; else it may be a shared one, such as /tmp, in which nobody can replace the files of others.
    """
    path = os.path.abspath(path)
    try:
        for place, status in _places(path):
            why = _replaceable(place, status)
            if why:
                return why
        if not own or not os.path.lexists(path):
            return ""
        status = os.stat(path)
    except OSError as error:
        return "{0} cannot be checked: {1}".format(path, error.strerror)
    return _foreign(path, status) if stat.S_ISDIR(status.st_mode) else "{0} is no directory".format(path)


def fault_below(path: str) -> str:
    """Why something in a directory may not be the user's; empty if all of it is."""
    for entry in os.scandir(path):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return "{0} is a link".format(entry.path)
        why = _foreign(entry.path, status)
        if not why and stat.S_ISDIR(status.st_mode):
            why = fault_below(entry.path)
        if why:
            return why
    return ""


def fault_of_entry(path: str) -> str:
    """Why another account could reach what is in a directory of the user; empty if none could."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    return "other accounts can enter it (mode {0:04o})".format(mode) if mode & 0o077 else ""


def make_private(path: str, what: str, way_out: str) -> None:
    """Makes a directory that only the user can enter, and what is missing above it.

    Args:
        path: of the directory. If it exists, its mode stays.
        what: what fails if that is not possible, for the message.
        way_out: what the user can do about it.
    Raises:
        SessionError: it cannot be made, or another account could have written what is in it; nothing was changed.
    """
    path = os.path.abspath(path)
    check(path, what, way_out)
    missing = []
    at = path
    while not os.path.lexists(at):
        missing.append(at)
        at = os.path.dirname(at)
    try:
        for one in reversed(missing):
            try:
                os.mkdir(one, 0o700)
            except FileExistsError:
                continue
            # The umask may have taken permissions of the owner.
            os.chmod(one, 0o700)
    except OSError as error:
        raise SessionError(what, error.strerror, way_out)
    # Another account could have been quicker.
    check(path, what, way_out)


def check(path: str, what: str, way_out: str) -> None:
    """Raises SessionError if another account could have written what is in a directory, or could replace it; see make_private()."""
    why = fault(path)
    if why:
        raise SessionError(what, why, way_out)


def open_own(path: str, flags: int = os.O_RDONLY) -> int:
    """Opens a file of the user alone, which is made with mode 0600 if the flags say so; it follows no link, and waits for no other process.

    Returns:
        The descriptor.
    Raises:
        OSError: it cannot be opened, is no regular file, or may be of another account.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(descriptor)
        why = _foreign(path, status) if stat.S_ISREG(status.st_mode) else "{0} is no regular file".format(path)
        if why:
            raise PermissionError(errno.EPERM, why, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_own(path: str) -> str:
    """The text of a file of the user alone; see open_own(). It raises UnicodeDecodeError, which is a ValueError, if the file is no text."""
    with os.fdopen(open_own(path), encoding="utf-8") as stream:
        return stream.read()


def fault_of_output(path: str) -> str:
    """Why a file should not be written: another account could replace it, or something else has its name; empty if it should.

    Args:
        path: of the file, which is written under another name and renamed.
    """
    why = fault(os.path.dirname(path), own=False)
    try:
        status = os.lstat(path)
    except OSError:
        return why
    if not why and status.st_uid != os.geteuid():
        return "it exists, and belongs to {0}".format(_account(status.st_uid))
    if not why and not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        return "it exists, and is no regular file"
    return why


def _places(path: str) -> t.Iterator[t.Tuple[str, os.stat_result]]:
    """Each directory and link that the system passes on the way to a path, as far as they exist, with its status."""
    at, links = "/", 0
    ahead = path.split("/")
    yield at, os.lstat(at)
    while ahead:
        name = ahead.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        place = os.path.join(at, name)
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return
        yield place, status
        if not stat.S_ISLNK(status.st_mode):
            at = place
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(place)
        ahead = target.split("/") + ahead
        at = "/" if target.startswith("/") else at


def _replaceable(place: str, status: os.stat_result) -> str:
    """Why another account could replace what is in a directory, or behind a link."""
    if status.st_uid not in (os.geteuid(), _root()):
        return "{0} belongs to {1}, which could replace what is in it".format(place, _account(status.st_uid))
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_ISVTX:
        return ""
    return _shared(place, status)


def _foreign(place: str, status: os.stat_result) -> str:
    """Why another account could have written a file, or what is in a directory."""
    if status.st_uid != os.geteuid():
        return "{0} belongs to {1}".format(place, _account(status.st_uid))
    return _shared(place, status) if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) else ""


def _shared(place: str, status: os.stat_result) -> str:
    who = writers(status.st_mode, bool(status.st_mode & stat.S_IWGRP) and _is_mine_alone(place, status.st_gid))
    return who and "{0} is writable for {1} (mode {2:04o})".format(place, who, stat.S_IMODE(status.st_mode))


def _is_mine_alone(place: str, gid: int) -> bool:
    """Whether nobody but the user is in the group of a file. With an access control list, the group's permissions are those of all whom it names."""
    import grp
    import pwd

    try:
        if any("acl" in name for name in getattr(os, "listxattr", lambda _path: ())(place)):
            return False
    except OSError:
        pass
    try:
        account, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == account.pw_gid and is_private_group(group.gr_name, group.gr_mem, account.pw_name)


def _root() -> int:
    """The uid under which root's files appear. In a container whose user namespace has the user alone, it is that of all other accounts of the host."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as stream:
            mapped = any(first <= 0 < first + count for first, _outside, count in (map(int, line.split()) for line in stream))
        if not mapped:
            with open("/proc/sys/fs/overflowuid", encoding="ascii") as stream:
                return int(stream.read())
    except (OSError, ValueError):
        pass  # There are no user namespaces.
    return 0


def _account(uid: int) -> str:
    import pwd

    try:
        return "{0} (uid {1})".format(pwd.getpwuid(uid).pw_name, uid)
    except KeyError:
        return "another account (uid {0})".format(uid)
