# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins of several sessions at the same time: how many to one sshd, and one after the other to the same account, so that the later ones need none.

sshd drops connections at random once more than ten are not authenticated yet (MaxStartups, sshd_config(5)).
"""

import contextlib
import fcntl
import hashlib
import os
import time
import typing as t

# Logins to one sshd at a time.
_MOST = 8
_PAUSE = 0.05
# Seconds between two checks of the condition at first.
_CHECK_EVERY = 0.25
# Seconds to wait for another login to the same account, unless that waits for its user.
_PATIENCE = 20.0
_PROMPTS = b"prompts"


class Lock:
    """A lock among the processes of this user, by a file that goes away with it.

    Args:
        path: the file, in a private directory of the user.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.handle: t.Optional[int] = None

    def take(self) -> bool:
        """Takes the lock, unless another process has it; returns whether it did."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process that had it before may have removed the file in the meantime.
            if os.stat(self.path).st_ino == os.fstat(handle).st_ino:
                self.handle = handle
                return True
        except OSError:
            pass
        os.close(handle)
        return False

    def release(self) -> None:
        """Gives the lock back, if it was taken."""
        if self.handle is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            os.close(self.handle)
            self.handle = None


def slots(directory: str, host: str) -> t.List[Lock]:
    """The locks of which a login to an sshd needs one.

    Args:
        directory: a private directory of the user that all sessions share.
        host: the host's name and port, as one word.
    """
    name = os.path.join(directory, "login-" + hashlib.sha256(host.encode()).hexdigest()[:12])
    return [Lock("{0}.{1}".format(name, number)) for number in range(_MOST)]


@contextlib.contextmanager
def slot(directory: str, host: str) -> t.Iterator[None]:
    """Waits until fewer than eight logins of this user's sessions to a host are under way, and counts as one of them meanwhile. Arguments as of slots()."""
    locks = slots(directory, host)
    while not any(lock.take() for lock in locks):
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        for lock in locks:
            lock.release()


class Turn:
    """The turn of one session among those that do the same at this moment, such as a login to the same account.

    Args:
        directory: a private directory of the user that all sessions share.
        account: all that distinguishes it from what other sessions do, as one text.
    """

    def __init__(self, directory: str, account: str) -> None:
        self._lock = Lock(os.path.join(directory, "turn-" + hashlib.sha256(account.encode()).hexdigest()[:12]))

    def wait(self, done: t.Callable[[], bool] = lambda: False) -> None:
        """Waits until no other login is under way, or a condition holds; no longer than some seconds, unless the other login waits for its user.
        It does not wait if this session has the turn already.

        Args:
            done: the condition, which is checked now and then.
        """
        if self.taken:
            return
        waited, passed, next_check = 0.0, 0.0, 0.0
        while waited < _PATIENCE:
            if passed >= next_check:
                if done():
                    return
                # With many sessions a check takes long, and all of them check.
                next_check = passed + max(_CHECK_EVERY, passed / 4)
            if self._lock.take():
                return
            waited += 0 if self._other_prompts() else _PAUSE
            passed += _PAUSE
            time.sleep(_PAUSE)

    @property
    def taken(self) -> bool:
        """Whether this session has the turn."""
        return self._lock.handle is not None

    def _other_prompts(self) -> bool:
        try:
            with open(self._lock.path, "rb") as stream:
                return stream.read() == _PROMPTS
        except OSError:
            return False

    def note_prompt(self) -> None:
        """Notes for the others that this login waits for its user."""
        if self._lock.handle is not None:
            os.pwrite(self._lock.handle, _PROMPTS, 0)

    def over(self) -> None:
        """The login is over."""
        self._lock.release()
