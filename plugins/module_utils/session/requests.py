# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to a session's daemon over its socket (ssh/channel.py), and the operations that they name."""

import json
import os
import socket
import time
import typing as t

from ..cluster.job_flow import JobFlow
from ..common import processes
from ..common.errors import SessionError
from ..ssh.shell import ShellLost

# Operations that need the login node.
_ON_LOGIN_NODE = ("run", "hold", "messages", "begin_client", "run_client")


class Requests:
    """The socket of a daemon.

    Args:
        daemon: the daemon.SessionDaemon. Each operation is a method _do_NAME() that gets the request and returns the answer.
    """

    def __init__(self, daemon: t.Any) -> None:
        self.daemon = daemon
        self.listener: t.Optional[socket.socket] = None

    def listen(self, path: str) -> None:
        """Creates the socket, which only its owner can use."""
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o600)
        self.listener.listen(64)

    def close(self) -> None:
        """Accepts no more requests."""
        if self.listener is not None:
            self.listener.close()

    def serve(self) -> None:
        """Answers one request; raises ShellLost."""
        connection = self.listener.accept()[0]
        with connection:
            connection.settimeout(5)
            try:
                request = json.loads(connection.makefile("rb").readline().decode())
                if self.daemon.shell is None and request["op"] in _ON_LOGIN_NODE:
                    self._send(connection, {"lost": self.daemon.session.read().reason})
                    return
                answer = getattr(self, "_do_" + request["op"])(request)
            except ShellLost as lost:
                self._send(connection, {"lost": str(lost)})
                raise
            except SessionError as error:
                answer = {"error": " ".join(str(error).split())}
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                answer = {"error": str(error)}
            self._send(connection, answer)

    @staticmethod
    def _send(connection: socket.socket, answer: t.Dict[str, t.Any]) -> None:
        # The requester may be gone; its request was served nevertheless.
        try:
            connection.settimeout(5)
            connection.sendall(json.dumps(answer).encode())
        except OSError:
            pass

    def _do_run(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        code, out, err = self.daemon.shell.run(request["script"], int(request["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_hold(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Runs lines in the connection's own shell; processes that they start end with it."""
        code, out, err = self.daemon.shell.here(request["script"], int(request["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_begin_client(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Begins a login on the client host; client_state returns its result."""
        self.daemon.client.begin(request["command"], request["environment"], request.get("path", ""))
        return {}

    def _do_client_state(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.daemon.client.state()

    def _do_end_client(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.daemon.client.end()
        return {}

    def _do_cleanup(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Stores the script to run on the client host before its connection ends."""
        self.daemon.client.cleanup = request["script"]
        return {}

    def _do_run_client(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.daemon.client.run(request["script"], int(request["seconds"]))

    def _do_release(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """The playbook follows the session no longer, and the session continues."""
        self.daemon.release()
        return {}

    def _do_drive(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """A playbook lets the session be driven, and owns it until it is handed over."""
        self.daemon.given["owner"], self.daemon.given["waiting"] = request["owner"], request.get("waiting")
        if self.daemon.shell is not None:
            self.daemon.handed_over = False
        self.daemon.driving.begin(request["given"])
        return {}

    def _do_leave(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.daemon.leave()
        return {}

    def _do_halt(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Ends the driver, so that the record can be changed; drive or go_on continues."""
        self.daemon.driving.end()
        return {}

    def _do_go_on(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.daemon.driving.go_on()
        return {}

    def _do_connected(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return {"connected": self.daemon.shell is not None}

    def _do_answer(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Keeps the user's answer to a prompt for the driver: text (None if there is no terminal), or cancelled."""
        self.daemon.driving.answers[request["id"]] = {name: request[name] for name in ("text", "cancelled") if name in request}
        return {}

    def _do_take_answer(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        answer = self.daemon.driving.answers.pop(request["id"], {})
        if self.daemon.recovery:
            self.daemon.recovery.requested_at = time.monotonic()
        # A playbook that has ended shows no prompt.
        return answer or ({} if processes.alive(self.daemon.given["owner"]) else {"cancelled": True})

    def _do_begin_login(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Begins a login, the first one or one that replaces the lost connection; login_state returns its result."""
        if self.daemon.recovery:
            if self.daemon.recovery.disconnected:
                self.daemon.given["cancel_forward"] = request.get("cancel_forward", [])
                self.daemon.recovery.begin_login(request["command"], request["environment"], request["path"], request.get("master", ""))
        elif self.daemon.connection is None:
            self.daemon.given["master"], self.daemon.given["cancel_forward"] = request.get("master", ""), request.get("cancel_forward", [])
            self.daemon.login.begin(request["command"], request["environment"], request["path"], self.daemon.given["master"])
        return {}

    def _do_login_state(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.daemon.recovery:
            return self.daemon.recovery.login_state()
        self.daemon.connection = self.daemon.connection or self.daemon.login.connection()
        return {"begun": True, "said": ""} if self.daemon.connection else self.daemon.login.state()

    def _do_end_login(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.daemon.recovery:
            self.daemon.recovery.end_login()
        else:
            self.daemon.login.end()
        return {}

    def _do_messages(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """What the master printed since the last such request."""
        self.daemon.shell.drain()
        messages, self.daemon.shell.messages = self.daemon.shell.messages, b""
        return {"messages": messages.decode("utf-8", "replace")}

    def _do_stop(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.daemon.shell is None and (self.daemon.recovery or self.daemon.session.read().remote_directory):
            return {"objection": "the connection to the login node is lost", "away": True}
        self.daemon.stopping = True
        client_host_lost = bool(self.daemon.session.read().remote_client_host) and self.daemon.client.connection is None
        record = self.daemon.session.read()
        own = {"job_continues": self._own_job_continues(record)} if record.settings.get("job_id") and record.job_id else {}
        return dict(own, objection=self.daemon.undo(), far_left=client_host_lost)

    def _own_job_continues(self, record: t.Any) -> t.Optional[bool]:
        """Whether the user's own job, in which pvserver was started, continues without it; None if that is unknown."""
        if self.daemon.shell is None:
            return None
        try:
            job = JobFlow.of(record, self.daemon.run).queue.ask(record.job_id)
        except (ShellLost, SessionError):
            return None
        return None if job.state == "unknown" and not job.gone else job.state == "running"
