# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit-confirm on the node itself: a timer restores the old files, unless a new login disarms it."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import typing as t

from ..common import processes
from ..common.errors import SessionError
from ..common.files import Old, replace
from ..common.text import one_line
from .program import Run

DIRECTORY = "/var/lib/sciviz-paraview/sshd-rollback"
UNIT = "paraview-sshd-rollback"

_SCRIPT = r"""#!/bin/sh
# Restores sshd's files as they were before a change that no new login has confirmed.
cd {directory} || exit 1
put() {{ {{ cp -a "$1" "$2.rollback" 2>/dev/null || cp -p "$1" "$2.rollback"; }} && mv -f "$2.rollback" "$2"; }}
{restore}
sync
{reload}
logger -t paraview-sshd "no new login confirmed the change: the old configuration of sshd was restored" 2>/dev/null
cd / && rm -rf {directory} && rmdir {parent} 2>/dev/null
"""
_RELOAD_PLAIN = "for f in /run/sshd.pid /var/run/sshd.pid; do [ -s $f ] && kill -HUP \"$(cat $f)\" && break; done"


class Rollback:
    """The rollback of a host; armed or not.

    Args:
        directory: where the old files are kept.
    """

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = directory

    @property
    def armed(self) -> bool:
        """Whether a change waits for its confirmation."""
        return os.path.exists(os.path.join(self.directory, "armed"))

    def arm(self, old: t.Dict[str, Old], seconds: int, unit: str, run: Run) -> None:
        """Keeps the old files and starts the timer. If an earlier change is unconfirmed, the timer undoes both.

        Args:
            old: the current files, by path.
            seconds: time until the old files are restored.
            unit: sshd's systemd unit; empty to reload it by a signal.
            run: runs commands, as program.run() does.
        Raises:
            SessionError: the timer cannot be started; nothing is armed.
        """
        os.makedirs(self.directory, 0o700, exist_ok=True)
        os.chmod(self.directory, 0o700)
        kept = self._kept()
        for path, one in old.items():
            if path not in kept:
                kept[path] = str(len(kept)) if one.content is not None else ""
                if kept[path]:
                    replace(os.path.join(self.directory, kept[path]), one.content, one)
        restore = "\n".join("{0} {1}".format("put " + number if number else "rm -f", shlex.quote(path)) for path, number in kept.items())
        again = "systemctl reload {0}".format(shlex.quote(unit)) if unit else _RELOAD_PLAIN
        self._write("restore", _SCRIPT.format(directory=shlex.quote(self.directory), parent=shlex.quote(os.path.dirname(self.directory)),
                                              restore=restore, reload=again))
        self._write("kept", json.dumps(kept))
        self._stop(run)
        try:
            self._start(seconds, unit, run)
        except SessionError:
            self._forget()
            raise
        self._write("armed", json.dumps({"uptime": _uptime(), "boot": _boot(), "seconds": seconds}))

    def _kept(self) -> t.Dict[str, str]:
        if not self.armed:
            return {}
        with open(os.path.join(self.directory, "kept")) as file:
            return json.load(file)

    def _write(self, name: str, text: str) -> None:
        replace(os.path.join(self.directory, name), text.encode("utf-8", "surrogateescape"), Old(None, None, {}))

    def _start(self, seconds: int, unit: str, run: Run) -> None:
        script = os.path.join(self.directory, "restore")
        if unit:
            code, _out, err = run(["systemd-run", "--quiet", "--collect", "--unit=" + UNIT, "--on-active={0}s".format(seconds),
                                   "--timer-property=AccuracySec=1s", "/bin/sh", script], 60)
            if code:
                raise SessionError("the timer that would restore the old files cannot be started", one_line(err), "see systemd's journal; nothing was changed")
            return
        process = subprocess.Popen(["/bin/sh", "-c", "sleep {0}; exec /bin/sh {1}".format(int(seconds), shlex.quote(script))], start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        self._write("process", json.dumps(processes.identity(process.pid)))

    def _stop(self, run: Run) -> None:
        if os.path.isdir("/run/systemd/system"):
            run(["systemctl", "stop", UNIT + ".timer"], 60)
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(self.directory, "process")) as file:
                processes.end(json.load(file))

    def confirm(self, run: Run, need_login: bool = True) -> bool:
        """Disarms the timer.

        Args:
            run: runs commands, as program.run() does.
            need_login: whether the ssh login that runs this must be younger than the change.
        Returns:
            Whether there was a change to confirm.
        Raises:
            SessionError: the login is older than the change, or there is no ssh login.
        """
        if not self.armed:
            return False
        with open(os.path.join(self.directory, "armed")) as file:
            armed = json.load(file)
        if need_login:
            start = _login_start()
            if start is None:
                raise SessionError("this process does not run in an ssh login", "no parent of it is sshd",
                                   "confirm over ssh; otherwise the old files are restored")
            if armed["boot"] == _boot() and start < armed["uptime"]:
                raise SessionError("this login is older than the change", "it does not prove that a new login works",
                                   "log in again and confirm; otherwise the old files are restored")
        self._stop(run)
        self._forget()
        return True

    def sweep(self, run: Run) -> None:
        """Stops a timer that an interrupted arm() left, since it would undo the next change. Call it under the lock.

        Args:
            run: runs commands, as program.run() does.
        """
        if not self.armed:
            if os.path.isdir(self.directory):
                self._stop(run)
            self._forget()

    def _forget(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self.directory))


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _uptime() -> float:
    with open("/proc/uptime") as file:
        return float(file.read().split()[0])


def _login_start() -> t.Optional[float]:
    """Uptime at which the nearest sshd among the parents of this process started; None if there is none."""
    pid = os.getpid()
    while pid > 1:
        try:
            with open("/proc/{0}/stat".format(pid)) as file:
                text = file.read()
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        if text[text.index("(") + 1:].startswith("sshd"):
            return int(fields[19]) / float(os.sysconf("SC_CLK_TCK"))
        pid = int(fields[1])
    return None
