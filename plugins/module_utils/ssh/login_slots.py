# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of logins to one sshd at a time.

sshd drops connections at random once more than ten are not authenticated yet (MaxStartups, sshd_config(5)).
"""

import contextlib
import fcntl
import hashlib
import os
import time
import typing as t

_SLOTS = 8
_PAUSE = 0.05


@contextlib.contextmanager
def slot(directory: str, host: str) -> t.Iterator[None]:
    """Waits until fewer than eight logins of this user's sessions to a host are under way, and counts as one of them meanwhile.

    Args:
        directory: a private directory of the user that all sessions share.
        host: the host's name and port, as one word.
    """
    name = os.path.join(directory, "login-" + hashlib.sha256(host.encode()).hexdigest()[:12])
    paths = ["{0}.{1}".format(name, number) for number in range(_SLOTS)]
    while True:
        path, handle = next(((path, handle) for path, handle in ((path, _locked(path)) for path in paths) if handle is not None), ("", None))
        if handle is not None:
            break
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.unlink(path)
        os.close(handle)


def _locked(path: str) -> t.Optional[int]:
    """A descriptor of the locked file; None if another login has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The login that had it before may have removed the file in the meantime.
        if os.stat(path).st_ino == os.fstat(handle).st_ino:
            return handle
    except OSError:
        pass
    os.close(handle)
    return None
