# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A remote shell that is spoken to over its standard input, one script after the other."""

import os
import select
import time

# What a script may print; a site that prints more is cut off, not believed.
_MOST = 4 * 1024 * 1024


class ShellLost(Exception):
    """The shell ended, or did not answer in time; the text is what it said last."""


class Shell:
    """A running ``ssh ... /bin/sh``.

    Scripts go in as here-documents, so that nothing of them is seen in a process list, and each runs in a shell of its own,
    so that none can end the channel. A random word marks where an answer ends.

    Args:
        process (subprocess.Popen): with pipes, in binary mode.
    """

    def __init__(self, process):
        self.process = process
        self.messages = b""
        for stream in (process.stdout, process.stderr, process.stdin):
            os.set_blocking(stream.fileno(), False)

    def begin(self, seconds):
        """Waits until the shell answers; what a login prints before that is thrown away.

        Raises:
            ShellLost
        """
        self._exchange("limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 2 \"$@\"; else shift; \"$@\"; fi; }\n", seconds)

    def run(self, text, seconds):
        """tuple[int, str, str]: exit code, stdout and stderr of a script; ShellLost if the shell is gone."""
        word = os.urandom(12).hex()
        return self._exchange("limit {0:d} /bin/sh <<'{1}'\n{2}\n{1}\n".format(seconds, word, text), seconds + 10)

    def drain(self):
        """Takes in what ssh said meanwhile; False once the shell is gone."""
        return self._read(self.process.stderr) is not None and self._read(self.process.stdout) is not None

    def _exchange(self, text, seconds):
        mark = os.urandom(12).hex()
        text += "\nprintf '\\n%s %s\\n' {0} \"$?\"\nprintf '\\n%s\\n' {0} >&2\n".format(mark)
        end_out, end_err = "\n{0} ".format(mark).encode(), "\n{0}\n".format(mark).encode()
        pending, out, err = text.encode("utf-8", "surrogateescape"), b"", b""
        deadline = time.monotonic() + seconds
        while not (end_out in out and out.endswith(b"\n") and end_err in err):
            pending = self._write(pending)
            streams = [self.process.stdout, self.process.stderr]
            if not select.select(streams, [self.process.stdin] if pending else [], [], max(0.0, deadline - time.monotonic()))[0] \
                    and time.monotonic() >= deadline:
                raise ShellLost("no answer within {0:.0f} s".format(seconds))
            more_out, more_err = self._read(self.process.stdout), self._read(self.process.stderr)
            out, err = (out + (more_out or b""))[-_MOST:], (err + (more_err or b""))[-_MOST:]
            if more_out is None:
                self._gone()
        out, _mark, rest = out.partition(end_out)
        err = err.partition(end_err)[0]
        return int(rest.split()[0]), out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _gone(self):
        # Whoever else holds stderr, such as a master of a jump host, may keep it open for ever.
        while select.select([self.process.stderr], [], [], 0.5)[0] and self._read(self.process.stderr):
            pass
        raise ShellLost(self.messages.decode("utf-8", "replace"))

    def _write(self, pending):
        if not pending:
            return pending
        try:
            return pending[os.write(self.process.stdin.fileno(), pending[:32768]):]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            return b""

    def _read(self, stream):
        """bytes, empty if there is nothing now; None at the end."""
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return b""
        if stream is self.process.stderr:
            self.messages = (self.messages + data)[-8000:]
        return data or None
