# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of several files. Each file is replaced in one step, and all can be restored."""

import collections
import contextlib
import errno
import fcntl
import glob
import itertools
import os
import shutil
import stat
import time
import typing as t

from . import ownership
from .errors import SessionError

_TEMPORARY = ".sciviz-paraview-"
_LOCK = ".lock"
_NUMBERS = itertools.count()


class Old(t.NamedTuple):
    """A file before a change: bytes, stat and extended attributes. If there was no file, content and stat are None."""

    content: t.Optional[bytes]
    stat: t.Optional[os.stat_result]
    attributes: t.Dict[str, bytes]


@contextlib.contextmanager
def lock(directory: str, seconds: float = 120.0) -> t.Iterator[None]:
    """Allows one change of a directory's files at a time, without a lock file."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise SessionError("cannot open {0}".format(directory), error.strerror or str(error), "correct path; nothing was changed")
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SessionError("another process is changing {0}".format(directory), "it stayed locked for {0:.0f} s".format(seconds), "try again")
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def read_old(path: str) -> Old:
    """The present state of a path."""
    try:
        with open(path, "rb") as file:
            content = file.read()
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        return Old(None, None, {})
    return Old(content, status, _attributes(path))


def _attributes(path: str) -> t.Dict[str, bytes]:
    found: t.Dict[str, bytes] = {}
    with contextlib.suppress(OSError, AttributeError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                found[name] = os.getxattr(path, name)
    return found


def replace(path: str, content: bytes, like: Old) -> None:
    """Replaces a file in one step, flushed to disk, with the owner, mode and extended attributes of ``like``.

    Args:
        path: the caller has resolved links.
        content: the new content.
        like: where owner, mode and extended attributes come from.
    Raises:
        OSError: nothing was changed.
    """
    temporary = _staged(path, content, like)
    try:
        os.rename(temporary, path)
    except BaseException:
        _drop(temporary)
        raise
    _flush(os.path.dirname(path))


def _staged(path: str, content: bytes, like: Old) -> str:
    """Path of a complete temporary file in the directory of a file, flushed to disk, that only has to be renamed."""
    temporary = os.path.join(os.path.dirname(path), "{0}{1}-{2}.tmp".format(_TEMPORARY, os.getpid(), next(_NUMBERS)))
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if like.stat is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), like.stat.st_uid, like.stat.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(like.stat.st_mode))
            for name, value in like.attributes.items():
                with contextlib.suppress(OSError):
                    os.setxattr(file.fileno(), name, value)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _drop(temporary)
        raise
    return temporary


def _drop(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _flush(directory: str) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Changes:
    """New texts for files.

    Args:
        texts: by path, with links resolved; None removes the file.
        like: a file whose owner, mode and SELinux context new files get.
    """

    def __init__(self, texts: t.Dict[str, t.Optional[str]], like: str) -> None:
        self.texts = collections.OrderedDict(sorted(texts.items(), key=lambda item: (item[1] is None, os.path.exists(item[0]), item[0])))
        self.old = {path: read_old(path) for path in self.texts}
        status = read_old(like)
        kept = {name: value for name, value in status.attributes.items() if name == "security.selinux"}
        self.like = status._replace(attributes=kept)
        self.made: t.List[str] = []

    def put(self) -> None:
        """Writes all files: new ones first, removals last. If one cannot be written, it raises SessionError, and nothing is changed.

        Every new text is on the disk before the first file is replaced. If the disk gets full, no file has been replaced yet.
        """
        staged = {}
        try:
            for path, text in self.texts.items():
                if text is not None:
                    staged[path] = self._stage(path, text)
            for path in self.texts:
                if path in staged:
                    os.rename(staged[path], path)
                else:
                    os.unlink(path)
                _flush(os.path.dirname(path))
        except BaseException as error:
            for temporary in staged.values():
                _drop(temporary)
            self.restore()
            if isinstance(error, OSError):
                raise SessionError("cannot write {0}".format(path), _why(error), "nothing was changed")
            raise

    def _stage(self, path: str, text: str) -> str:
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            os.mkdir(directory, 0o755)
            self.made.append(directory)
        old = self.old[path]
        return _staged(path, text.encode("utf-8", "surrogateescape"), self.like if old.content is None else old)

    def restore(self) -> None:
        """Restores the old files."""
        for path, old in self.old.items():
            if read_old(path).content == old.content:
                continue
            if old.content is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            else:
                replace(path, old.content, old)
        for directory in self.made:
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _why(error: OSError) -> str:
    reasons = {errno.EPERM: "Operation not permitted: is the file immutable (lsattr)?", errno.ENOSPC: "No space left on device",
               errno.EROFS: "Read-only file system"}
    return reasons.get(error.errno, error.strerror or str(error))


def sweep(directories: t.Iterable[str]) -> None:
    """Removes temporary files that a killed change left; the caller holds the lock."""
    for directory in directories:
        for path in glob.glob(os.path.join(glob.escape(directory), _TEMPORARY + "*.tmp")):
            with contextlib.suppress(OSError):
                os.unlink(path)


def keep_copy(path: str, directory: str, name: str) -> str:
    """Makes a backup of a file, with its owner and mode, in a directory of its owner alone, and returns its path; empty if there is no file.

    Args:
        path: the file. directory: where backups are kept; it is made if it is missing. name: path of the backup below it, without the time.
    """
    if not os.path.exists(path):
        return ""
    plain = "{0}.{1}".format(os.path.join(directory, name.lstrip("/")), time.strftime("%Y-%m-%d@%H:%M:%S"))
    missing = []
    place = os.path.dirname(plain)
    while not os.path.isdir(place):
        missing.append(place)
        place = os.path.dirname(place)
    for one in reversed(missing):
        os.mkdir(one, 0o755 if one == os.path.dirname(directory) else 0o700)
    copy = next(one for one in itertools.chain([plain + "~"], ("{0}.{1}~".format(plain, number) for number in itertools.count(2))) if not os.path.lexists(one))
    old = read_old(path)
    replace(copy, old.content, old)
    shutil.copystat(path, copy)
    return copy


def publish(path: str, text: t.Optional[str]) -> None:
    """Writes a file that everybody may read and only the owner may write; its directory is made likewise. None removes the file, and an empty directory."""
    directory = os.path.dirname(path)
    if text is None:
        os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(directory)
        return
    if not os.path.isdir(directory):
        os.mkdir(directory)
        os.chmod(directory, 0o755)
    replace(path, text.encode("utf-8", "surrogateescape"), Old(None, None, {}))
    os.chmod(path, 0o644)


def write_private(path: str, text: str) -> None:
    """Writes a file with mode 0600 under a temporary name, flushes it and renames it."""
    temporary = "{0}.{1}".format(path, os.urandom(4).hex())
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_output(path: str, text: str, setting: str) -> None:
    """Writes a file that the user has named; see write_private().

    Args:
        path: of the file. text: its content. setting: the variable that names it.
    Raises:
        SessionError: it cannot be written, or another account could replace it.
    """
    path = output_path(path, setting)
    try:
        write_private(path, text)
    except OSError as error:
        raise _not_written(path, setting, error.strerror)


def output_path(path: str, setting: str) -> str:
    """The absolute path of such a file; SessionError if another account could replace the file, or if something else has its name."""
    path = os.path.abspath(os.path.expanduser(path))
    why = ownership.fault_of_output(path) or ("" if os.path.isdir(os.path.dirname(path)) else "its directory does not exist")
    if why:
        raise _not_written(path, setting, why)
    return path


def _not_written(path: str, setting: str, why: str) -> SessionError:
    return SessionError("cannot write {0}: {1}".format(setting, path), why, "name a file in a directory that only you can write to")


@contextlib.contextmanager
def locked(directory: str) -> t.Iterator[None]:
    """Holds a lock on a directory itself, so that no lock file is left. If other accounts can open that, and so could lock it, a file in it is locked."""
    if os.stat(directory).st_mode & (stat.S_IRGRP | stat.S_IROTH):
        descriptor = ownership.open_own(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CREAT)
    else:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
