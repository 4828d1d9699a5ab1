# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program on a terminal of its own, and what that terminal shows."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

_PARTS = re.compile(r"\x1b\[(?P<number>\d*)(?P<command>[A-Za-z])|(?P<control>[\r\n\x08])|(?P<text>[^\x1b\r\n\x08]+)|.", re.DOTALL)


class Terminal:
    """A program that runs on a terminal.

    Args:
        command (list[str]): the program and its arguments.
        columns (int), rows (int): the size of the terminal.
        environment (dict): of the program.
    Attributes:
        output (str): what the program has written.
    """

    def __init__(self, command, columns=100, rows=30, **environment):
        self.output, self.columns, self.rows = "", columns, rows
        self.pid, self._line = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self._set_size(0, columns, rows)
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm", **environment})

    @staticmethod
    def _set_size(descriptor, columns, rows):
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self._set_size(self._line, columns, rows)

    def type(self, keys):
        os.write(self._line, keys)

    def read(self, seconds):
        """Reads what there is; returns False at the end."""
        if not select.select([self._line], [], [], max(0.0, seconds))[0]:
            return True
        try:
            data = os.read(self._line, 65536)
        except OSError:
            data = b""
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def until(self, condition, seconds=30):
        """Reads until a condition holds for the screen's lines, and returns them."""
        end = time.monotonic() + seconds
        while not condition(self.screen()):
            assert time.monotonic() < end and self.read(end - time.monotonic()), self.output
        return self.screen()

    def finish(self, seconds=30):
        """Reads to the end; returns the exit status."""
        end = time.monotonic() + seconds
        while self.read(end - time.monotonic()):
            assert time.monotonic() < end, self.output
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)

    def screen(self):
        """The lines that a terminal would show, with those that have scrolled out."""
        lines, row, column = [""], 0, 0
        for part in _PARTS.finditer(self.output):
            command, control, text = part.group("command", "control", "text")
            if text:
                lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text):]
                column += len(text)
            elif control == "\r":
                column = 0
            elif control == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif command == "A":
                row -= int(part.group("number"))
                assert row >= max(0, len(lines) - self.rows), "the cursor is above the screen"
            elif command == "K":
                lines[row] = lines[row][:column]
            elif command == "J":
                lines[row:] = [lines[row][:column]]
        return lines

    def close(self):
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._line)
