# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's channel: scripts handed to the shell at the other end of its one connection.

The daemon (daemon.py) holds the connection; any process of the same user asks it over a unix socket, one JSON object a
line each way.
"""

import json
import socket
import typing as t

from ..common.errors import SessionError


class ChannelLost(SessionError):
    """The connection to the login node is gone."""


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
        """One request.

        Args:
            operation: run, hold, own, hand_over, stop, messages, and those for a client host.
            wait: seconds until an answer must be there.
        Returns:
            The answer.
        Raises:
            ChannelLost: the daemon is gone, or the login node is.
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
            raise SessionError("the connection to {0} did not take a request".format(self.host), answer["error"], "connect again")
        return answer

    def _lost(self, why: str) -> ChannelLost:
        return ChannelLost("the connection to {0} is gone".format(self.host), why or "ssh ended",
                           "connect again; it takes up what is still there")

    def script(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs a POSIX shell script on the login node; it is in no process list there.

        Args:
            text: the script.
            seconds: its time limit; then its exit code is 124.
        Returns:
            Exit code, stdout, stderr.
        """
        return self._asked("run", text, seconds)

    def client_script(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs a script on the client host, where that is another one; returns what script() does, and raises SessionError."""
        answer = self.request("run_client", script=text, seconds=seconds, wait=seconds + 30)
        if "failed" in answer:
            raise SessionError("the connection to the client host of {0} is gone".format(self.host), answer["failed"], "disconnect, and connect again")
        return answer["code"], answer["out"], answer["err"]

    def hold(self, text: str, seconds: int = 30) -> t.Tuple[int, str, str]:
        """Runs lines in the connection's own shell, so that what they start ends with the connection; returns what script() does."""
        return self._asked("hold", text, seconds)

    def _asked(self, operation: str, text: str, seconds: int) -> t.Tuple[int, str, str]:
        answer = self.request(operation, wait=seconds + 30, script=text, seconds=seconds)
        return answer["code"], answer["out"], answer["err"]
