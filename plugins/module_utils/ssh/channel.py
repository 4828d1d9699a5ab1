# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's channel: it runs scripts in the remote shell of the session's one connection.

The daemon (daemon.py) holds the connection. Any process of the same user sends requests to it over a unix socket; a request and
its answer are one line of JSON each.
"""

import json
import socket
import typing as t

from ..common.errors import SessionError


class ChannelLost(SessionError):
    """The connection to the login node is lost."""


class Channel:
    """Requests to a session's daemon.

    Args:
        path: its socket.
        host: the session's name, for messages.
    """

    def __init__(self, path: str, host: str) -> None:
        self.path = path
        self.host = host

    def request(self, operation: str, wait: float = 60.0, **arguments: t.Any) -> t.Dict[str, t.Any]:
        """Sends one request.

        Args:
            operation: one of the daemon (its methods _do_OPERATION).
            wait: seconds to wait for the answer.
        Returns:
            The answer.
        Raises:
            ChannelLost: the daemon has ended, or the connection to the login node is lost.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(wait)
                connection.connect(self.path)
                connection.sendall(json.dumps(dict(arguments, op=operation)).encode() + b"\n")
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            raise self._lost(str(error))
        if not answer:
            raise self._lost("the connection ended")
        answer = json.loads(answer.decode())
        if "lost" in answer:
            raise self._lost(answer["lost"])
        if "error" in answer:
            raise SessionError("the connection to {0} did not accept a request".format(self.host), answer["error"], "connect again")
        return answer

    def _lost(self, why: str) -> ChannelLost:
        return ChannelLost("the connection to {0} is lost".format(self.host), why or "ssh ended",
                           "connect again; a session that still exists is continued")

    def script(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs a POSIX shell script on the login node. No process list there shows the script.

        Args:
            text: the script.
            seconds: its time limit, at which it ends with exit code 124.
        Returns:
            Exit code, stdout, stderr.
        """
        return self._run("run", text, seconds)

    def client_script(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs a script on a client host other than this machine; returns the same as script(), and raises SessionError."""
        answer = self.request("run_client", script=text, seconds=seconds, wait=seconds + 30)
        if "failed" in answer:
            raise SessionError("the connection to the client host of {0} is lost".format(self.host), answer["failed"], "disconnect, and connect again")
        return answer["code"], answer["out"], answer["err"]

    def hold(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs lines in the connection's own shell, so that processes that they start end with the connection; returns the same as script()."""
        return self._run("hold", text, seconds)

    def _run(self, operation: str, text: str, seconds: int) -> t.Tuple[int, str, str]:
        answer = self.request(operation, wait=seconds + 30, script=text, seconds=seconds)
        return answer["code"], answer["out"], answer["err"]
