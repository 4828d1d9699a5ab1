# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the user ended a playbook with Ctrl-C. If its terminal is closed or it is killed, its sessions continue; after Ctrl-C they end."""

import os
import signal
import typing as t

from ..common import ownership, processes
from ..common.errors import SessionError
from ..common.files import write_private
from .record import Session, all_sessions

#: The exit status of ansible-playbook after Ctrl-C.
INTERRUPTED = 99


def _path(session: Session) -> str:
    return os.path.join(session.directory, "interrupted")


def note(base: str, pid: int) -> None:
    """Notes in each session that a playbook works on that the user interrupted it.

    Args:
        base: the directory of all records.
        pid: the playbook's process id.
    """
    owner = processes.identity(pid)
    for session in all_sessions(base):
        try:
            if session.read().owner == owner:
                # In one step: the playbook and its workers note it at the same time, and the daemon may read it just then.
                write_private(_path(session), str(owner[1]))
        except (OSError, SessionError):
            continue


def noted(session: Session, owner: t.Optional[list]) -> bool:
    """Whether the user interrupted the playbook that worked on a session. The note is removed.

    Args:
        session: the session.
        owner: the playbook's processes.identity().
    """
    try:
        found = bool(owner) and ownership.read_own(_path(session)) == str(owner[1])
        os.unlink(_path(session))
    except (OSError, ValueError):
        return False
    return found


def note_on_sigint(base: str, pid: int, limit: float = 0) -> None:
    """From now on a SIGINT of this process is noted for a playbook, before what happened until now happens.

    Args:
        base: the directory of all records.
        pid: the playbook's process id; this process is the playbook or one of its workers.
        limit: seconds after which the process ends in any case; 0 for no limit.
    """
    earlier = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: t.Any) -> t.Any:
        if limit:
            # Python drops an exception that a handler raises at some moments, such as a fork. Then Ansible would wait for its workers forever.
            signal.signal(signal.SIGALRM, lambda _number, _frame: os._exit(INTERRUPTED))
            signal.setitimer(signal.ITIMER_REAL, limit)
        note(base, pid)
        if callable(earlier):
            return earlier(number, frame)
        signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
        os.kill(os.getpid(), number)
        return None

    signal.signal(signal.SIGINT, handle)
