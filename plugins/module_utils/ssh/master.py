# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenSSH control master, and requests to it."""

import os
import subprocess
import time
import typing as t

from ..common.text import number, one_line
from .client import Target, configuration


def guest_command(target: Target, control_path: str) -> t.List[str]:
    """The command of a remote shell over an existing control master.

    Args:
        target: the host that the master is connected to.
        control_path: its socket.
    """
    return Master(control_path, target.executable).command("-T", "-o", "ProxyCommand=false", remote="exec /bin/sh")


def live_master(target: Target) -> str:
    """The socket of the user's own control master for a target; empty if none answers."""
    path = os.path.expanduser(configuration(target).get("controlpath", "none"))
    if not os.path.isabs(path) or not os.path.exists(path) or os.stat(path).st_uid != os.getuid():
        return ""
    return path if Master(path, target.executable).check(5) else ""


class Master:
    """A control master's socket, and requests to the master.

    Args:
        control_path: the socket.
        executable: ssh.
    """

    def __init__(self, control_path: str, executable: str = "ssh") -> None:
        self.control_path = control_path
        self.executable = executable

    def command(self, *arguments: str, **more: str) -> t.List[str]:
        """A command line for this master, with the remote command as ``remote``."""
        # The master was started with the user's configuration; forwards and host names from it must not get into a request.
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
        """Whether the master exists and answers in time."""
        return self._request("-O", "check", timeout=seconds)[0] == 0

    def exit(self) -> None:
        """Ends the master, with all its forwards."""
        self._request("-O", "exit")

    def forward(self, option: str, specification: str) -> t.Optional[int]:
        """Sets up a forward.

        Args:
            option: ``-L`` or ``-R``.
            specification: as on ssh's command line, with a bind address.
        Returns:
            The port that the server allocated for ``-R ADDRESS:0:...``; None for any other forward.
        Raises:
            ForwardRefused: with ssh's message.
        """
        code, out, err = self._request("-O", "forward", option, specification)
        if code != 0:
            raise ForwardRefused(one_line(err) or "ssh ended with {0}".format(code))
        return number(out)

    def cancel(self, option: str, specification: str) -> None:
        """Removes a forward; if it does not exist, nothing happens."""
        self._request("-O", "cancel", option, specification)

    def reach(self, address: str, port: int, messages: t.Optional[t.Callable[[], str]] = None, seconds: float = 3.0) -> str:
        """Checks whether the login node reaches a port. A refused connection shows that it does.

        Args:
            address: a host, by its name or address on the login node.
            port: a port; no process has to listen on it.
            messages: returns the master's output since the last call, which is the only place that has the cause of a refusal. None if it is not
                available; then the answer is never ``refused`` or ``forbidden``.
            seconds: time limit.
        Returns:
            ``open``, ``refused``, ``filtered`` (no answer), ``forbidden`` (sshd forwards nothing for this user) or ``no IPv4`` (sshd forwards over IPv6
            alone).
        """
        host = "[{0}]".format(address) if ":" in address else address
        command = self.command("-o", "ProxyCommand=false", "-W", "{0}:{1}".format(host, port))
        if messages:
            messages()
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            return "filtered"
        if code == 0:
            return "open"
        message = _failure_message(messages) if messages else ""
        if "prohibited" in message:
            return "forbidden"
        if "Address family" in message:
            return "no IPv4"
        return "refused" if "refused" in message else "filtered"


def _failure_message(messages: t.Callable[[], str]) -> str:
    # The client may end a moment before the master prints its message.
    for _attempt in range(20):
        message = messages()
        if "open failed" in message:
            break
        time.sleep(0.02)
    return message


class ForwardRefused(Exception):
    """The server refused a forward; the text is ssh's message."""
