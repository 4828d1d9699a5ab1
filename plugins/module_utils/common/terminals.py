# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal at which a command was typed, for a line that comes after the command has ended."""

import os
import stat
import typing as t

from . import processes


def of_process(pid: int) -> t.Optional[list]:
    """The terminal of a process and whose it is, to be kept in a record; None where it has none, or this system does not tell.

    Args:
        pid: the process.
    """
    try:
        path = os.readlink("/proc/{0:d}/fd/1".format(pid))
        return [path, processes.identity(os.getsid(pid))] if path.startswith("/dev/pts/") else None
    except OSError:
        return None


def tell(process: t.Optional[list], line: str) -> None:
    """Shows a line there, if whoever sat there still does; what that is writing just now may get mixed up with it.

    Args:
        process: as of_process() gave it.
        line: without control characters.
    """
    if not process or not processes.alive(process[1]):
        return
    try:
        descriptor = os.open(process[0], os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        about = os.fstat(descriptor)
        if stat.S_ISCHR(about.st_mode) and about.st_uid == os.getuid():
            os.write(descriptor, "\r\n{0}\r\n".format(line).encode("utf-8", "replace"))
    except OSError:
        pass
    finally:
        os.close(descriptor)
