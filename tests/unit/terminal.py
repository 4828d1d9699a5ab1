# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal for tests: a program that runs in a pty, and what a user would see of it."""

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
import threading

from conftest import wait_until

_TOKEN = re.compile(r"\x1b\[(?P<numbers>[0-9;?]*)(?P<final>[A-Za-z])|\x1b[()].|(?P<char>[^\x1b])", re.DOTALL)


class Screen:
    """The rows of a terminal, with those that were scrolled out of it above."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.row, self.column, self.cursor_hidden = [""], 0, 0, False

    @property
    def top(self):
        """int: the number of the first visible row."""
        return max(0, len(self.lines) - self.rows)

    def feed(self, text):
        """Interprets output."""
        for token in _TOKEN.finditer(text):
            if token.group("char"):
                self._put(token.group("char"))
            elif token.group("final"):
                self._control(token.group("numbers"), token.group("final"))

    def _put(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._next_row()
        elif char >= " ":
            if self.column == self.columns:
                self.column = 0
                self._next_row()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + char + line[self.column + 1:]
            self.column += 1

    def _next_row(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _control(self, numbers, final):
        if final == "A":
            self.row = max(self.top, self.row - int(numbers or 1))
        elif final == "K":
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif final == "J":
            self.lines[self.row:] = [self.lines[self.row][:self.column]]
        elif final in "lh" and numbers == "?25":
            self.cursor_hidden = final == "l"
        else:
            assert final in "mlh", f"the test's terminal has no {final!r}"

    @property
    def text(self):
        """str: all rows."""
        return "\n".join(line.rstrip() for line in self.lines)


class Terminal:
    """A program in a pty.

    Args:
        command: the program. columns, rows: the size of the terminal.
        options: of subprocess.Popen.
    """

    def __init__(self, command, columns=80, rows=24, **options):
        self.master, slave = os.openpty()
        self.screen, self.raw, self.lock = Screen(columns, rows), "", threading.Lock()
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # Python 3.11 has no other way to give a program its terminal
            **options)
        os.close(slave)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with contextlib.suppress(OSError):
            for data in iter(lambda: os.read(self.master, 65536), b""):
                text = data.decode("utf-8", "replace")
                with self.lock:
                    self.raw += text
                    self.screen.feed(text)

    def resize(self, columns, rows):
        """Gives the terminal another size. The text on it stays as it is."""
        with self.lock:
            self.screen.columns, self.screen.rows = columns, rows
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        """Types text."""
        os.write(self.master, text.encode())

    @property
    def text(self):
        """str: what the user sees, and may scroll back to."""
        with self.lock:
            return self.screen.text

    def until(self, condition, seconds=60):
        """Waits until a condition of the text, or a text in it, is met; returns the text."""
        try:
            wait_until(lambda: condition in self.text if isinstance(condition, str) else condition(self.text), seconds)
        except BaseException:
            print(self.text)
            raise
        return self.text

    def end(self, seconds=60):
        """int: the exit code, once the program and its output have ended."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            print(self.text)
            raise
        self.thread.join(10)
        return code

    def close(self):
        """Ends the program."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.thread.join(10)
        os.close(self.master)
