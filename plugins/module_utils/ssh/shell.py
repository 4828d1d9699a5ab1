# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A remote shell that is spoken to over its standard input, one script after the other."""

import os
import select
import time
import typing as t

from ..common.errors import SessionError
from ..common.processes import Child

if t.TYPE_CHECKING:
    # It would stay in the daemon's memory.
    import subprocess

# What a script may print; a site that prints more is cut off, not believed.
_MOST = 4 * 1024 * 1024

_LIMIT = "limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 2 \"$@\"; else shift; \"$@\"; fi; }\n"


class ShellLost(Exception):
    """The shell ended; the text is what it said last."""


class Shell:
    """A running ``ssh ... /bin/sh``.

    Scripts go in as here-documents, so that nothing of them is seen in a process list, and each runs in a shell of its own,
    so that none can end the channel. A random word marks where an answer ends.

    Args:
        process: with pipes, in binary mode.
    """

    def __init__(self, process: t.Union["subprocess.Popen[bytes]", Child]) -> None:
        self.process = process
        self.messages = b""
        self.buffers = {"out": b"", "err": b""}
        self.pending = b""
        # The mark of an answer that did not come in time.
        self.late = ""
        self.meanwhile: t.Optional[t.Callable[[], t.Any]] = None
        #: When it said something last, or was asked when it had nothing to say (time.monotonic()).
        self.heard_at = time.monotonic()
        for stream in (process.stdout, process.stderr, process.stdin):
            os.set_blocking(stream.fileno(), False)

    def begin(self, seconds: float, meanwhile: t.Optional[t.Callable[[], t.Any]] = None) -> None:
        """Waits until the shell answers; what a login prints before that is thrown away.

        Args:
            seconds: how long that may take.
            meanwhile: called whenever ssh said something, and every second.
        Raises:
            ShellLost: it ended, or said nothing in time.
        """
        self.meanwhile = meanwhile
        try:
            self._exchange(_LIMIT, seconds)
        except SessionError as error:
            raise ShellLost(error.why)
        finally:
            self.meanwhile = None

    def ask(self) -> None:
        """Begins without waiting for the answer; see begun()."""
        try:
            self._exchange(_LIMIT, 0)
        except SessionError:
            pass

    def begun(self) -> bool:
        """Whether the shell that was asked has answered; raises ShellLost."""
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
            ShellLost: the shell is gone.
            SessionError: no answer in time; whether the line is dead is ssh's to decide, and a late answer is passed over.
        """
        word = os.urandom(12).hex()
        # What here() keeps open is not for scripts, which may outlive the channel.
        return self._exchange("limit {0:d} /bin/sh 9>&- <<'{1}'\n{2}\n{1}\n".format(seconds, word, text), seconds + 10)

    def here(self, text: str, seconds: float) -> t.Tuple[int, str, str]:
        """Runs lines in the channel's own shell, so that what they start or open can end with it.

        Args:
            text: lines that cannot end the shell, nor wait. What they keep open is descriptor 9.
        Returns and raises what run() does.
        """
        return self._exchange(text, seconds)

    def drain(self) -> bool:
        """Takes in what ssh said meanwhile; False once the shell is gone."""
        return self._take("err") and self._take("out")

    def _exchange(self, text: str, seconds: float) -> t.Tuple[int, str, str]:
        mark = os.urandom(12).hex()
        deadline = time.monotonic() + seconds
        if self.late:
            self._await(self.late, deadline)
        asked = (text + "\nprintf '\\n%s %s\\n' {0} \"$?\"\nprintf '\\n%s\\n' {0} >&2\n".format(mark)).encode("utf-8", "surrogateescape")
        self.buffers = {"out": b"", "err": b""}
        self.late, self.heard_at = mark, time.monotonic()
        self.pending += asked
        out, rest, err = self._await(mark, deadline)
        return int(rest.split()[0]), out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _await(self, mark: str, deadline: float) -> t.Tuple[bytes, bytes, bytes]:
        """Output before a mark, what follows it on its line, and stderr before it."""
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
                self._gone()
            if time.monotonic() >= deadline:
                raise SessionError("the login node does not answer", "no answer within {0:.0f} s".format(deadline - begun), "try again later")
        self.late = ""
        out, _mark, rest = self.buffers["out"].partition(end_out)
        return out, rest, self.buffers["err"].partition(end_err)[0]

    def _gone(self) -> t.NoReturn:
        # Whoever else holds stderr, such as a master of a jump host, may keep it open for ever.
        while select.select([self.process.stderr], [], [], 0.5)[0] and self._take("err"):
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

    def _take(self, name: str) -> bool:
        """Takes in what a stream has; False at its end."""
        stream = self.process.stdout if name == "out" else self.process.stderr
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return True
        self.heard_at = time.monotonic()
        self.buffers[name] = (self.buffers[name] + data)[-_MOST:]
        if name == "err":
            self.messages = (self.messages + data)[-8000:]
        return bool(data)
