"""A terminal of the lab's workstation, at which somebody types."""

import contextlib
import os
import pty
import re
import select
import signal
import termios
import time
from pathlib import Path

ON = str(Path(__file__).parent / "on")


class Terminal:
    """A command that runs at a terminal.

    Args:
        words (list[str]): the command.
        user (str): who types it.
        host (str): where.
    Attributes:
        seen (str): all that was to be seen so far.
    """

    def __init__(self, *words, user="alice", host="workstation"):
        self.seen = ""
        self._read_to = 0
        self.pid, self._line = pty.fork()
        if self.pid == 0:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.environ["TERM"] = "dumb"
            os.execv(ON, [ON, "-u", user, host, *words])

    def __enter__(self):
        return self

    def __exit__(self, *_why):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._line)

    def _look(self, seconds):
        """Takes in what there is; False at the end of it."""
        if select.select([self._line], [], [], max(0.0, seconds))[0]:
            try:
                data = os.read(self._line, 65536)
            except OSError:
                return False
            self.seen += data.decode("utf-8", "replace").replace("\r\n", "\n")
            return bool(data)
        return True

    def until(self, pattern, seconds=40):
        """Waits until what is new matches; returns the match."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.seen[self._read_to:])
            if match:
                self._read_to += match.end()
                return match
            assert self._look(end - time.monotonic()), f"{pattern!r} never came: {self.seen}"
            assert time.monotonic() < end, f"{pattern!r} did not come within {seconds} s: {self.seen}"

    def type(self, text):
        """Types a line once it is asked for: before that it would be thrown away."""
        self._enter(text.encode() + b"\r")

    def _enter(self, keys, seconds=10):
        """Types, and types again where nobody took notice: whoever begins to read throws away what was typed until then."""
        end = time.monotonic() + seconds
        while self._idle():
            assert time.monotonic() < end, f"nobody reads: {self.seen}"
            self._look(0.02)
        while True:
            seen, again = self.seen, time.monotonic() + 2
            os.write(self._line, keys)
            while time.monotonic() < again:
                # What is asked next may be asked at once.
                if self._idle() or not self._look(0.02) or (self.seen != seen and not self._echoes()):
                    return
            assert time.monotonic() < end, f"it was not taken: {self.seen}"

    def _idle(self):
        """Whether the terminal is as it is while nobody asks."""
        return termios.tcgetattr(self._line)[3] & termios.ICANON

    def _echoes(self):
        return termios.tcgetattr(self._line)[3] & termios.ECHO

    def press(self, key, at_once=False):
        """A single key, such as Ctrl-C; once it is read, or at once."""
        if at_once:
            os.write(self._line, key)
        else:
            self._enter(key)

    def end(self, seconds=60):
        """Waits for the command's end; returns its exit status."""
        end = time.monotonic() + seconds
        while self._look(end - time.monotonic()):
            assert time.monotonic() < end, f"it does not end: {self.seen}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
