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
from ..common.text import number, one_line

if t.TYPE_CHECKING:
    # At run time it would only use the daemon's memory.
    import subprocess

# Bytes of a script's output that are kept; of more output, the beginning is dropped.
_MOST = 4 * 1024 * 1024

_LIMIT = "limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 2 \"$@\"; else shift; \"$@\"; fi; }\n"


# The first lines for a shell. Start-up files that read from standard input may take some of them: a key or a line is a blank of the first line, and what
# takes more gets the lines again. If a start-up file has started a shell of another kind, in which $status is a variable, /bin/sh replaces that shell.
# The answer also proves that the definition has arrived whole.
_GREETING = " " * 64 + """
test -n "$status" && exec /bin/sh -c 'unset status; exec /bin/sh'
{limit}limit 20 /bin/sh -c 'printf "\\n%s 0\\n" {mark}; printf "\\n%s\\n" {mark} >&2' </dev/null
"""
# Seconds after which the first lines are sent again; each pause is longer than the one before.
_AGAIN, _LONGER, _LONGEST = 2.0, 1.5, 10.0
# The pipe to ssh holds so many, even if the user takes an hour to find a one-time code.
_MOST_GREETINGS = 50
# Seconds after an answer on standard output in which it has to arrive on standard error, too.
_STDERR_SECONDS = 5.0


class ShellLost(Exception):
    """The shell ended, or never answered; the text is its last output.

    Args:
        text: what ssh and the far side printed on standard error.
        printed: what the far side printed on standard output.
        without_stderr: the shell answers, and its standard error does not arrive.
    """

    def __init__(self, text: str, printed: str = "", without_stderr: bool = False) -> None:
        super().__init__(text)
        self.printed, self.without_stderr = printed, without_stderr


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
        # The first lines: how often they were sent since the last answer, when they are sent again, and when standard output answered.
        self._greetings, self._pause, self._again_at = 0, _AGAIN, 0.0
        self._half_answered_at = 0.0
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
        deadline = time.monotonic() + seconds
        try:
            self.ask()
            while not self.begun():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ShellLost("no answer within {0:.0f} s".format(seconds), self.printed)
                if self.meanwhile:
                    self.meanwhile()
                select.select([self.process.stdout, self.process.stderr], [self.process.stdin] if self.pending else [], [], min(left, 0.5))
        finally:
            self.meanwhile = None

    def ask(self) -> None:
        """Sends the first lines without waiting for the answer; see begun()."""
        self.buffers = {"out": b"", "err": b""}
        self.late, self._half_answered_at = os.urandom(12).hex(), 0.0
        self._pause = _AGAIN
        self._greet()

    def begun(self) -> bool:
        """Whether the shell has answered after ask(); raises ShellLost."""
        if not self.late:
            return True
        try:
            self._await(self.late, time.monotonic())
        except SessionError:
            if self._greetings:
                self._check_greeting()
            return False
        if self._greetings > 1:
            # Each of the first lines that arrived is answered, and the answers must not get into that of a script.
            self._greetings = 0
            self._request(":\n")
            return False
        self._greetings = 0
        return True

    @property
    def printed(self) -> str:
        """What the far side has printed on standard output since the last request."""
        return self.buffers["out"].decode("utf-8", "replace")

    def _greet(self) -> None:
        self.active_at = time.monotonic()
        self._greetings += 1
        self._again_at = self.active_at + self._pause
        self._pause = min(_LONGEST, _LONGER * self._pause)
        self.pending += _GREETING.format(limit=_LIMIT, mark=self.late).encode()
        self._write()

    def _check_greeting(self) -> None:
        """Sends the first lines again if it is time; raises ShellLost if standard error does not answer."""
        now = time.monotonic()
        if "\n{0} ".format(self.late).encode() in self.buffers["out"]:
            self._half_answered_at = self._half_answered_at or now
            if now - self._half_answered_at > _STDERR_SECONDS:
                raise ShellLost(self.messages.decode("utf-8", "replace"), without_stderr=True)
        elif now >= self._again_at and self._greetings < _MOST_GREETINGS and not self.pending:
            self._greet()

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
        return all([self._read("err"), self._read("out")])

    def _exchange(self, text: str, seconds: float) -> t.Tuple[int, str, str]:
        deadline = time.monotonic() + seconds
        if self.late:
            self._await(self.late, deadline)
        mark = self._request(text)
        out, rest, err = self._await(mark, deadline)
        code = number(rest.decode("ascii", "replace").partition("\n")[0])
        if code is None:
            printed = one_line(rest.decode("utf-8", "replace"), 100)
            raise SessionError("the login node's shell gave no exit status", printed or "its answer ends there", "connect again, or ask the site")
        return code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _request(self, text: str) -> str:
        """Sends lines, and returns the mark of their answer."""
        mark = os.urandom(12).hex()
        request = (text + "\nprintf '\\n%s %s\\n' {0} \"$?\"\nprintf '\\n%s\\n' {0} >&2\n".format(mark)).encode("utf-8", "surrogateescape")
        self.buffers = {"out": b"", "err": b""}
        self.late, self.active_at = mark, time.monotonic()
        self.pending += request
        return mark

    def _await(self, mark: str, deadline: float) -> t.Tuple[bytes, bytes, bytes]:
        """Returns the output before a mark, the rest of the mark's line, and stderr before the mark."""
        begun = time.monotonic()
        end_out, end_err = "\n{0} ".format(mark).encode(), "\n{0}\n".format(mark).encode()

        def arrived() -> bool:
            return end_out in self.buffers["out"] and self.buffers["out"].endswith(b"\n") and end_err in self.buffers["err"]

        while not arrived():
            if self.meanwhile:
                self.meanwhile()
            self._write()
            streams = [self.process.stdout, self.process.stderr]
            left = max(0.0, deadline - time.monotonic())
            select.select(streams, [self.process.stdin] if self.pending else [], [], min(left, 1.0) if self.meanwhile else left)
            if not self.drain():
                self._raise_lost()
            if time.monotonic() >= deadline and not arrived():
                raise SessionError("the login node does not answer", "no answer within {0:.0f} s".format(deadline - begun), "try again later")
        self.late = ""
        out, _mark, rest = self.buffers["out"].partition(end_out)
        return out, rest, self.buffers["err"].partition(end_err)[0]

    def _raise_lost(self) -> t.NoReturn:
        # Another process, such as a jump host's master, may keep stderr open for ever.
        for name, stream in (("out", self.process.stdout), ("err", self.process.stderr)):
            while select.select([stream], [], [], 0.5)[0] and self._read(name):
                pass
        raise ShellLost(self.messages.decode("utf-8", "replace"), self.printed)

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
