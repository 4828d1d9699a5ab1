# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terminals: what they can show, the one that shows a program's output, and the one from which a command was started, for a line after it has ended."""

import os
import select
import stat
import typing as t

from . import processes


def rewrites(stream: t.Any, environment: t.Mapping[str, str]) -> bool:
    """Whether a stream is a terminal that can rewrite its lines.

    Args:
        stream: to write to.
        environment: its TERM names the kind of terminal.
    """
    try:
        return environment.get("TERM", "dumb") not in ("", "dumb", "unknown") and os.isatty(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False


def size(stream: t.Any) -> t.Tuple[int, int]:
    """Columns and rows of the terminal behind a stream at this moment; 80 and 24 if it has none, or does not show them."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        columns, rows = 0, 0
    return columns or 80, rows or 24


def of_process(pid: int) -> t.Optional[list]:
    """The terminal of a process and the leader of its login session, for a record; None if it has none, or if this system does not show it.

    Args:
        pid: the process.
    """
    try:
        path = os.readlink("/proc/{0:d}/fd/1".format(pid))
        return [path, processes.identity(os.getsid(pid))] if path.startswith("/dev/pts/") else None
    except OSError:
        return None


def write(terminal: t.Optional[list], line: str) -> None:
    """Writes a line to a terminal, if the same login session still has it. Other output of that moment may get mixed up with the line.

    Args:
        terminal: as of_process() returned it.
        line: without control characters.
    """
    if not terminal or not processes.alive(terminal[1]):
        return
    try:
        descriptor = os.open(terminal[0], os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        status = os.fstat(descriptor)
        if stat.S_ISCHR(status.st_mode) and status.st_uid == os.getuid():
            os.write(descriptor, "\r\n{0}\r\n".format(line).encode("utf-8", "replace"))
    except OSError:
        pass
    finally:
        os.close(descriptor)


class Output:
    """The standard output of a program, kept for its forked children, whose own standard output may be another file."""

    def __init__(self) -> None:
        try:
            self._descriptor = os.dup(1)
        except OSError:
            self._descriptor = -1

    def size(self) -> t.Optional[t.Tuple[int, int]]:
        """Columns and lines of a terminal that can move its cursor; None if it is a dumb terminal or no terminal."""
        if self._descriptor < 0 or not os.isatty(self._descriptor) or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
            return None
        try:
            columns, rows = os.get_terminal_size(self._descriptor)
        except OSError:
            return None
        # A serial line may not have a size.
        return columns or 80, rows or 24

    def closed(self, seconds: float) -> bool:
        """Waits until the process that reads a pipe has closed it, and returns whether it has.

        Args:
            seconds: to wait at most.
        """
        poll = select.poll()
        # Not every system can poll a terminal, and if it is closed, the program itself is ended.
        if self._descriptor >= 0 and not os.isatty(self._descriptor):
            poll.register(self._descriptor, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in poll.poll(1000 * seconds))
