# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A remote shell that reads scripts from its standard input, one after the other."""

import os
import select
import time
import typing as t

from ..common.errors import SessionError
from ..common.processes import Child

if t.TYPE_CHECKING:
    # At run time it would only use the daemon's memory.
    import subprocess

# Bytes of a script's output that are kept; of more output, the beginning is dropped.
_MOST = 4 * 1024 * 1024

_LIMIT = "limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 2 \"$@\"; else shift; \"$@\"; fi; }\n"


class ShellLost(Exception):
    """The shell ended; the text is its last output."""


class Shell:
    """A running ``ssh ... /bin/sh``.

    Scripts are passed as here-documents, so that no process list shows them. Each script runs in a shell of its own,
    so that it cannot end the channel. A random word marks the end of an answer.

    Args:
        process: with pipes, in binary mode.
    """

    def __init__(self, process: t.Union["subprocess.Popen[bytes]", Child]) -> None:
        self.process = process
        self.messages = b""
        self.buffers = {"out": b"", "err": b""}
        self.pending = b""
        # The mark of an answer that did not arrive in time.
        self.late = ""
        self.meanwhile: t.Optional[t.Callable[[], t.Any]] = None
        #: Time of the last output or, if it is later, of the last request (time.monotonic()).
        self.active_at = time.monotonic()
        for stream in (process.stdout, process.stderr, process.stdin):
            os.set_blocking(stream.fileno(), False)

    def begin(self, seconds: float, meanwhile: t.Optional[t.Callable[[], t.Any]] = None) -> None:
        """Waits until the shell answers; earlier output of the login is discarded.

        Args:
            seconds: time limit.
            meanwhile: called after each output of ssh, and every second.
        Raises:
            ShellLost: it ended, or did not answer in time.
        """
        self.meanwhile = meanwhile
        try:
            self._exchange(_LIMIT, seconds)
        except SessionError as error:
            raise ShellLost(error.why)
        finally:
            self.meanwhile = None

    def ask(self) -> None:
        """Does the same without waiting for the answer; see begun()."""
        try:
            self._exchange(_LIMIT, 0)
        except SessionError:
            pass

    def begun(self) -> bool:
        """Whether the shell has answered after ask(); raises ShellLost."""
        if self.late:
            try:
                self._await(self.late, time.monotonic())
            except SessionError:
                return False
        return True

    def run(self, text: str, seconds: int) -> t.Tuple[int, str, str]:
        """Runs a script.

        Returns:
            Exit code, stdout and stderr.
        Raises:
            ShellLost: the shell ended.
            SessionError: no answer in time. A late answer is discarded, since only ssh decides whether the connection is lost.
        """
        word = _delimiter(text)
        # A script may outlive the channel, so it must not inherit the descriptor that here() keeps open.
        return self._exchange("limit {0:d} /bin/sh 9>&- <<'{1}'\n{2}\n{1}\n".format(seconds, word, text), seconds + 10)

    def here(self, text: str, seconds: float) -> t.Tuple[int, str, str]:
        """Runs lines in the channel's own shell, so that processes that they start, and files that they open, can end with it.

        Args:
            text: lines that neither end the shell nor wait. If they keep a file open, it is descriptor 9.
        Returns and raises the same as run().
        """
        return self._exchange(text, seconds)

    def drain(self) -> bool:
        """Reads all output that is available; False once the shell has ended."""
        return self._read("err") and self._read("out")

    def _exchange(self, text: str, seconds: float) -> t.Tuple[int, str, str]:
        mark = os.urandom(12).hex()
        deadline = time.monotonic() + seconds
        if self.late:
            self._await(self.late, deadline)
        request = (text + "\nprintf '\\n%s %s\\n' {0} \"$?\"\nprintf '\\n%s\\n' {0} >&2\n".format(mark)).encode("utf-8", "surrogateescape")
        self.buffers = {"out": b"", "err": b""}
        self.late, self.active_at = mark, time.monotonic()
        self.pending += request
        out, rest, err = self._await(mark, deadline)
        return int(rest.split()[0]), out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _await(self, mark: str, deadline: float) -> t.Tuple[bytes, bytes, bytes]:
        """Returns the output before a mark, the rest of the mark's line, and stderr before the mark."""
        begun = time.monotonic()
        end_out, end_err = "\n{0} ".format(mark).encode(), "\n{0}\n".format(mark).encode()
        while not (end_out in self.buffers["out"] and self.buffers["out"].endswith(b"\n") and end_err in self.buffers["err"]):
            if self.meanwhile:
                self.meanwhile()
            self._write()
            streams = [self.process.stdout, self.process.stderr]
            left = max(0.0, deadline - time.monotonic())
            select.select(streams, [self.process.stdin] if self.pending else [], [], min(left, 1.0) if self.meanwhile else left)
            if not self.drain():
                self._raise_lost()
            if time.monotonic() >= deadline:
                raise SessionError("the login node does not answer", "no answer within {0:.0f} s".format(deadline - begun), "try again later")
        self.late = ""
        out, _mark, rest = self.buffers["out"].partition(end_out)
        return out, rest, self.buffers["err"].partition(end_err)[0]

    def _raise_lost(self) -> t.NoReturn:
        # Another process, such as a jump host's master, may keep stderr open for ever.
        while select.select([self.process.stderr], [], [], 0.5)[0] and self._read("err"):
            pass
        raise ShellLost(self.messages.decode("utf-8", "replace"))

    def _write(self) -> None:
        if not self.pending:
            return
        try:
            self.pending = self.pending[os.write(self.process.stdin.fileno(), self.pending[:32768]):]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.pending = b""

    def _read(self, name: str) -> bool:
        """Reads the available output of a stream; False at its end."""
        stream = self.process.stdout if name == "out" else self.process.stderr
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return True
        self.active_at = time.monotonic()
        self.buffers[name] = (self.buffers[name] + data)[-_MOST:]
        if name == "err":
            self.messages = (self.messages + data)[-8000:]
        return bool(data)


def _delimiter(text: str) -> str:
    """A word for a here-document that holds a text.

    If a line begins like the delimiter, dash loses a byte of a character that is not ASCII and stands behind what they have in common.
    """
    first = next((mark for mark in "_.:,+@%=^" if "\n" + mark not in "\n" + text), "_")
    return first + os.urandom(12).hex()
