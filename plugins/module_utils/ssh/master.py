# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenSSH control master, and what is asked of it."""

import os
import subprocess
import time
import typing as t

from ..common.text import one_line
from .client import Target, configuration


def guest_command(target: Target, control_path: str) -> t.List[str]:
    """The command of a remote shell over a control master that is there.

    Args:
        target: whom the master called.
        control_path: its socket.
    """
    return Master(control_path, target.executable).command("-T", "-o", "ProxyCommand=false", remote="exec /bin/sh")


def live_master(target: Target) -> str:
    """The socket of a control master of the user's own that leads to a target, empty where none answers."""
    path = os.path.expanduser(configuration(target).get("controlpath", "none"))
    if not os.path.isabs(path) or not os.path.exists(path) or os.stat(path).st_uid != os.getuid():
        return ""
    return path if Master(path, target.executable).check(5) else ""


class Master:
    """A control master's socket, and the requests one may make of it.

    Args:
        control_path: the socket.
        executable: ssh.
    """

    def __init__(self, control_path: str, executable: str = "ssh") -> None:
        self.control_path = control_path
        self.executable = executable

    def command(self, *arguments: str, **more: str) -> t.List[str]:
        """A command line for this master, with the remote command as ``remote``."""
        # The user's configuration has been heard when the master was made; its own forwards or names have no place in a request.
        path = self.control_path.replace("%", "%%")
        words = [self.executable, "-F", os.devnull, "-o", "LogLevel=INFO", "-S", path] + list(arguments) + ["--", "master"]
        return words + [more["remote"]] if "remote" in more else words

    def _request(self, *arguments: str, **keywords: float) -> t.Tuple[int, str, str]:
        command = self.command(*arguments)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=keywords.get("timeout", 20), check=False)
        except subprocess.TimeoutExpired:
            return 255, "", "no answer within {0} s".format(keywords.get("timeout", 20))
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def check(self, seconds: float = 20) -> bool:
        """Whether the master is there and answers within some seconds."""
        return self._request("-O", "check", timeout=seconds)[0] == 0

    def exit(self) -> None:
        """Asks the master to end, with all its forwards."""
        self._request("-O", "exit")

    def forward(self, option: str, specification: str) -> t.Optional[int]:
        """Asks for a forward.

        Args:
            option: ``-L`` or ``-R``.
            specification: as on ssh's command line, with a bind address.
        Returns:
            The port that the server allocated for ``-R ADDRESS:0:...``; None for any other forward.
        Raises:
            ForwardRefused: with ssh's words.
        """
        code, out, err = self._request("-O", "forward", option, specification)
        if code != 0:
            raise ForwardRefused(one_line(err) or "ssh ended with {0}".format(code))
        return int(out) if out.strip().isdigit() else None

    def cancel(self, option: str, specification: str) -> None:
        """Takes a forward back; one that is not there is no error."""
        self._request("-O", "cancel", option, specification)

    def reach(self, address: str, port: int, messages: t.Callable[[], str], seconds: float = 3.0) -> str:
        """Whether the login node reaches a port: a refused connection is an answer, too.

        Args:
            address: a host as the login node knows it.
            port: a port; that nobody listens on it does not matter.
            messages: returns what the master said since the last call; it alone is told the cause of a refusal.
            seconds: how long an answer may take.
        Returns:
            ``open``, ``refused``, ``filtered`` (no answer) or ``forbidden`` (sshd forwards nothing for this user).
        """
        command = self.command("-o", "ProxyCommand=false", "-W", "{0}:{1}".format(address, port))
        messages()
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            return "filtered"
        if code == 0:
            return "open"
        said = _first_word(messages)
        if "prohibited" in said:
            return "forbidden"
        return "refused" if "refused" in said else "filtered"


def _first_word(messages: t.Callable[[], str]) -> str:
    # The client may end a moment before the master's message is there.
    for _attempt in range(20):
        said = messages()
        if "open failed" in said:
            break
        time.sleep(0.02)
    return said


class ForwardRefused(Exception):
    """The server did not grant a forward; the text is ssh's."""
