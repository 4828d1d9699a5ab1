# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this host, identified by process id and start: the system may use a process id again."""

import contextlib
import os
import signal
import time
import typing as t

_PR_SET_PDEATHSIG = 1


def started(pid: int) -> t.Optional[str]:
    """When a process started.

    Returns:
        Clock ticks since boot (Linux) or a date (elsewhere); None if there is no such process, or only a zombie.
    """
    try:
        with open("/proc/{0:d}/stat".format(pid), encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else fields[19]
    except OSError:
        if os.path.exists("/proc/self/stat"):
            return None
    import subprocess

    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            stdin=subprocess.DEVNULL, check=False)
    return answer.stdout.decode("ascii", "replace").strip() or None


def identity(pid: int) -> list:
    """Process id and start of a process, for a record."""
    return [pid, started(pid)]


def alive(process: t.Optional[list]) -> bool:
    """Whether the process with this identity() still runs."""
    return bool(process) and process[1] is not None and started(process[0]) == process[1]


def wait_gone(process: t.Optional[list], seconds: float) -> bool:
    """Waits for the end of a process, and returns whether it ended in time."""
    deadline = time.monotonic() + seconds
    while alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(process: t.Optional[list], patience: float = 3.0) -> None:
    """Ends a process group that we started, by SIGTERM and then by SIGKILL. Does nothing if its leader is gone.

    Args:
        process: identity() of the group's leader.
        patience: seconds between the two signals.
    """
    if not alive(process):
        return
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
        try:
            os.killpg(process[0], number)
        except (ProcessLookupError, PermissionError):
            return
        if _group_gone(process, seconds):
            return


def _group_gone(process: list, seconds: float) -> bool:
    """Waits for the end of a process group, and returns whether it ended in time; its leader may end before the others."""
    deadline = time.monotonic() + seconds
    while alive(process) or _has_members(process[0]):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _has_members(group: int) -> bool:
    """Whether a process group has a process that is not a zombie. Without /proc: whether the group exists."""
    if not os.path.exists("/proc/self/stat"):
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/{0}/stat".format(pid), encoding="utf-8", errors="replace") as stream:
                fields = stream.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[2] == str(group) and fields[0] not in "ZX":
            return True
    return False


def exit_on_sigterm() -> None:
    """From now on SIGTERM ends this process by SystemExit, so that its ``finally`` clauses run."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(_number: int, _frame: t.Any) -> t.NoReturn:
    raise SystemExit(1)


@contextlib.contextmanager
def unterminated() -> t.Iterator[None]:
    """A SIGTERM for this process takes effect at the end, so that a process that is started here is also recorded."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Forked:
    """A child process that was forked. With the module subprocess, the daemon's memory would grow by twice as much.

    Attributes:
        pid: its process id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: t.Optional[int] = None

    def end(self, patience: float) -> None:
        """Sends SIGTERM, and SIGKILL if the process does not end in time."""
        self._kill(signal.SIGTERM)
        self.wait(patience)

    def wait(self, patience: float) -> None:
        """Waits for the end of the process, and sends SIGKILL if it does not end in time."""
        deadline = time.monotonic() + patience
        while self.ended() is None:
            if time.monotonic() > deadline:
                self._kill(signal.SIGKILL)
                self._status = os.waitpid(self.pid, 0)[1]
                return
            time.sleep(0.02)

    def ended(self) -> t.Optional[int]:
        """Its exit status; 128 plus the signal if it was killed; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        if self._status is None:
            return None
        return os.WEXITSTATUS(self._status) if os.WIFEXITED(self._status) else 128 + os.WTERMSIG(self._status)

    def _kill(self, number: int) -> None:
        if self._status is not None:
            return
        try:
            self._signal(number)
        except ProcessLookupError:
            pass

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)


class Child(_Forked):
    """A child process with pipes, which ends with this process.

    Args:
        command: found on the PATH.
    Attributes:
        stdin, stdout, stderr: our ends of its pipes.
    """

    def __init__(self, command: t.List[str]) -> None:
        child_in, own_in = os.pipe()
        own_out, child_out = os.pipe()
        own_err, child_err = os.pipe()
        parent = os.getpid()
        super().__init__(os.fork())
        if self.pid == 0:
            _end_with(parent)
            _become(command, (child_in, child_out, child_err), os.environ)
        for descriptor in (child_in, child_out, child_err):
            os.close(descriptor)
        self.stdin, self.stdout, self.stderr = os.fdopen(own_in, "wb", 0), os.fdopen(own_out, "rb", 0), os.fdopen(own_err, "rb", 0)


class QuietChild(_Forked):
    """A child process without input and output, for a limited time. It has a process group of its own.

    Args:
        command: found on the PATH of the environment.
        environment: all of its environment.
        directory: its working directory; if that does not exist any more, this process's.
        seconds: after so many seconds, check() kills its process group.
    """

    def __init__(self, command: t.List[str], environment: t.Mapping[str, str], directory: str, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        parent = os.getpid()
        super().__init__(os.fork())
        if self.pid == 0:
            _become_quiet(command, environment, directory, parent)
        try:
            # Both processes set the group, so that it exists whichever of them is first.
            os.setpgid(self.pid, self.pid)
        except OSError:
            pass  # The command runs already.

    def check(self) -> bool:
        """Whether it has ended. Does not wait for that."""
        if self.ended() is None and time.monotonic() > self.deadline:
            self._kill(signal.SIGKILL)
        return self.ended() is not None

    def _signal(self, number: int) -> None:
        os.killpg(self.pid, number)


def _end_with(parent: int) -> None:
    """In the child, on Linux: if the parent is killed, the child ends too. A control master stays as long as a channel is open."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(127)


def _become_quiet(command: t.List[str], environment: t.Mapping[str, str], directory: str, parent: int) -> None:
    """In the child: runs the command of a QuietChild. Never returns."""
    try:
        os.setpgid(0, 0)
        _end_with(parent)
        # A program expects the default actions, and the daemon ignores these two.
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.chdir(directory)
        except OSError:
            pass
        null_device = os.open(os.devnull, os.O_RDWR)
        _become(command, (null_device, null_device, null_device), environment)
    finally:
        os._exit(127)


def _become(command: t.List[str], standard: t.Tuple[int, int, int], environment: t.Mapping[str, str]) -> None:
    """In the child: runs the command, or writes one line to stderr if that fails. Never returns."""
    try:
        # Python ignores it. A shell that inherits that does not end once nobody reads its output.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.execvpe(command[0], command, environment)
    except OSError as error:
        os.write(2, "cannot start {0}: {1}\n".format(command[0], error.strerror).encode("utf-8", "replace"))
    finally:
        os._exit(127)
