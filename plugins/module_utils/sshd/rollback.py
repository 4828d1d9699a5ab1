# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit-confirm on the node itself: a timer puts the old files back unless a new login disarms it."""

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
# Puts sshd's files back as they were before a change that no new login has confirmed.
cd {directory} || exit 1
put() {{ {{ cp -a "$1" "$2.rollback" 2>/dev/null || cp -p "$1" "$2.rollback"; }} && mv -f "$2.rollback" "$2"; }}
{restore}
sync
{reload}
logger -t paraview-sshd "no new login came: the old configuration of sshd is back" 2>/dev/null
cd / && rm -rf {directory} && rmdir {parent} 2>/dev/null
"""
_RELOAD_PLAIN = "for f in /run/sshd.pid /var/run/sshd.pid; do [ -s $f ] && kill -HUP \"$(cat $f)\" && break; done"


class Rollback:
    """The armed rollback of a host, if there is one.

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
        """Keeps the old files and starts the timer. A change on top of an unconfirmed one goes back to before both.

        Args:
            old: what the paths hold now.
            seconds: until the old files come back.
            unit: of sshd under systemd; empty for a reload by signal.
            run: runs commands, as program.run() does.
        Raises:
            SessionError: no timer could be started; nothing is armed.
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
                raise SessionError("the timer that would put the old files back cannot be started", one_line(err), "see systemd's journal; nothing was changed")
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
            need_login: whether the login over which this runs has to be younger than the change.
        Returns:
            Whether there was something to confirm.
        Raises:
            SessionError: the login is older.
        """
        if not self.armed:
            return False
        with open(os.path.join(self.directory, "armed")) as file:
            armed = json.load(file)
        if need_login:
            began = _login_began()
            if began is None:
                raise SessionError("this is no login over sshd", "no parent of this process is sshd", "confirm over ssh; else the old files come back")
            if armed["boot"] == _boot() and began < armed["uptime"]:
                raise SessionError("this login is older than the change", "it cannot show that a new one works",
                                   "log in anew to confirm; else the old files come back")
        self._stop(run)
        self._forget()
        return True

    def sweep(self, run: Run) -> None:
        """Ends a timer whose arming was killed half-way, which would undo what comes next; to be called under the lock.

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


def _login_began() -> t.Optional[float]:
    """Uptime at which the sshd above this process was started for it; None where no sshd is above it."""
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
