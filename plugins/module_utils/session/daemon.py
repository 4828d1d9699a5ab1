# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one process that stays on the client host next to ssh: it holds a session's connection and ends it in time.

It is the parent of the control master, whose own session is a shell on the login node. It receives scripts for that shell over
a unix socket (channel.py). Until the session is handed over, it ends with the playbook that began it; from then on, with the job.
Whatever ends it, the session is undone.
"""

import json
import os
import select
import signal
import socket
import sys
import typing as t

from ..client import remote, socket_names
from ..cluster import teardown
from ..cluster.job_directory import Directory
from ..common import processes
from ..common.errors import SessionError
from ..ssh.shell import ShellLost
from . import reconnection
from .client_connection import ClientConnection
from .connection import Connection
from .job_monitor import JobMonitor
from .record import Session, holds_work
from .recovery import Recovery

if t.TYPE_CHECKING:
    from ..cluster.session_record import SessionRecord
    from ..ssh.shell import Shell

_TICK = 1.0
_TICK_WHEN_BUSY = 0.1
# Suffixes of the control socket and of sockets next to it: those of node_login.py, and the one for prompts to the user.
_SOCKETS = ("", ".n", ".l", ".k")
_PROMPTS = (".a",)
# Operations that need the login node.
_ON_LOGIN_NODE = ("run", "hold", "messages", "begin_client", "run_client")


class SessionDaemon:
    """Holds one session.

    Args:
        given: command (list), base, name, directory and session (of the record), socket and control_path (paths), owner (identity of the playbook's
            process), waiting (identity of the ParaView that the session is for, or None), seconds (for the login), libraries (directories of Python libraries,
            searched last), restorer (list: the command of lifeline_route.main()), environment (dict: variables to add, for ssh), master (the socket of the
            user's own control master, if that is used) and cancel_forward (list: the command that cancels one of its forwards, without the arguments that name
            the forward).
    """

    def __init__(self, given: t.Dict[str, t.Any]) -> None:
        self.given = given
        self.session = Session(given["base"], given["name"], directory=given["directory"], only=given["session"])
        self.stopping = self.undo_tried = False
        self.handed_over = False
        self.output = ""
        self.monitor = JobMonitor(self.session, self._run, self._end_with_job, self._stop)
        self.connection: t.Optional[Connection] = None
        self.listener: t.Optional[socket.socket] = None
        self.client = ClientConnection(self.session, self._unlink_forwards_to_client)
        #: Set if the session has a lifeline and was handed over.
        self.recovery: t.Optional[Recovery] = None

    @property
    def shell(self) -> t.Optional["Shell"]:
        """The shell on the login node; None while the connection is lost."""
        return self.connection.shell if self.connection else None

    def _stop(self) -> None:
        self.stopping = True

    def log_in(self) -> None:
        """Logs in to the login node; ShellLost with ssh's message if that fails."""
        self._leave_root_node()
        self._unlink(_SOCKETS)
        os.environ.update(self.given.get("environment", {}))
        if self.given.get("master"):
            os.symlink(self.given["master"], self.given["control_path"])
        self.connection = Connection(processes.Child(self.given["command"]))
        self.shell.begin(self.given["seconds"], self._during_login)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.given["socket"])
        os.chmod(self.given["socket"], 0o600)
        self.listener.listen(8)

    def _during_login(self) -> None:
        """Forwards ssh's output to the playbook, and checks whether the playbook still waits."""
        output = self.connection.output
        if output != self.output:
            self.output = output
            _answer({"said": output})
        self._check_owner()

    def _check_owner(self) -> None:
        if self.stopping or not processes.alive(self.given["owner"]):
            raise ShellLost("the playbook ended")

    def serve(self) -> None:
        """Answers requests and monitors the session until it is over."""
        while not self.stopping:
            ready = select.select(self._streams(), [], [], _TICK_WHEN_BUSY if self.recovery and self.recovery.busy else _TICK)[0]
            if self.stopping:
                break
            try:
                if self.listener in ready:
                    self._serve_request()
                if self.shell and not self.shell.drain():
                    raise ShellLost(self.connection.output)
                if self.recovery:
                    self._step_recovery()
                self.client.check()
                if self.handed_over:
                    if self.shell:
                        self.monitor.check()
                elif not processes.alive(self.given["owner"]):
                    self._check_abandoned()
                self._check_waiting()
            except ShellLost as lost:
                if not self.recovery or self.recovery.disconnected:
                    self._end_lost(str(lost))
                    return
                self._begin_recovery(lost)
        self._undo()

    def _step_recovery(self) -> None:
        try:
            self.recovery.step()
        except (SessionError, OSError):
            pass  # If a home does not answer or no process can be started, the next step tries again.

    def _begin_recovery(self, lost: ShellLost) -> None:
        try:
            self.recovery.begin(lost)
        except (SessionError, OSError):
            pass  # If the record cannot be written now, it is written once the connection is restored.

    def _streams(self) -> list:
        streams = [self.listener] + (self.connection.streams if self.connection else [])
        return streams + (self.recovery.streams() if self.recovery else [])

    def leave_master(self, record: "SessionRecord") -> None:
        """Removes the session's connections and forwards from the user's own control master."""
        self._leave_root_node()
        self._cancel_forwards(record)

    def remove_sockets(self) -> None:
        """Removes the sockets of a connection that was lost."""
        for path in (self.given["control_path"] + suffix for suffix in _SOCKETS):
            if os.path.lexists(path):
                os.unlink(path)

    def _check_waiting(self) -> None:
        """If the ParaView whose user clicked Connect has ended, the session ends. If it was connected, pvserver ends by itself."""
        if not self.given.get("waiting") or processes.alive(self.given["waiting"]):
            return
        try:
            record = self.session.read()
        except SessionError:
            return  # The next check reads it again.
        # A detached session stays in the queue for the next ParaView.
        if not record.was_connected and not record.detached:
            self.stopping = True

    def _check_abandoned(self) -> None:
        try:
            self._abandoned()
        except SessionError:
            pass  # A home that does not answer proves nothing; the next check reads it again.

    def _abandoned(self) -> None:
        """The playbook ended before it handed the session over. If the session was detached or holds a user's work, it continues; otherwise it ends."""
        record = self.session.read()
        if record.detached or holds_work(record):
            self.session.update(owner=None, waiting=None)
            self.given["waiting"] = None
            self._do_hand_over({})
        else:
            self.stopping = True

    def close(self) -> None:
        """Ends the connection, and with it every forward."""
        self.client.end()
        self._leave_root_node()
        if self.recovery:
            self.recovery.close()
        if self.listener is not None:
            self.listener.close()
        # The session is over: channels that are still open need no more time.
        if self.connection is not None:
            self.connection.end(3)
        self._unlink(_SOCKETS + _PROMPTS + reconnection.SOCKETS)
        self._unlink_at_stub()

    def _unlink(self, suffixes: t.Iterable[str]) -> None:
        # A killed process leaves its sockets, and ssh refuses to become a master if its socket exists. A session has only one daemon.
        for path in [self.given["socket"]] + [self.given["control_path"] + suffix for suffix in suffixes]:
            if os.path.lexists(path):
                os.unlink(path)
        self._unlink_forwards_to_client()

    def _unlink_forwards_to_client(self) -> None:
        """Removes the sockets of forwards to the client host."""
        self._unlink_kind(socket_names.TO_CLIENT)
        if os.path.lexists(self.given["control_path"] + ".c"):
            os.unlink(self.given["control_path"] + ".c")

    def _unlink_at_stub(self) -> None:
        """Removes the sockets of the stub, unless the stub is alive and waits for the next daemon."""
        try:
            alive = processes.alive(self.session.read().stub)
        except SessionError:
            alive = True
        if not alive:
            self._unlink_kind(socket_names.STUB)
            self._unlink_kind(socket_names.FROM_CLIENT)

    def _unlink_kind(self, kind: str) -> None:
        """Removes the sockets of this kind. host.py makes them, with a port in each name."""
        directory, name = os.path.split(self.given["control_path"])
        # The directory may be gone, for example after a logout.
        for file_name in os.listdir(directory) if os.path.isdir(directory) else ():
            if file_name.startswith(name + kind):
                os.unlink(os.path.join(directory, file_name))

    def _leave_root_node(self) -> None:
        """Ends the connection to the root node. The user's own control master would keep it open."""
        if os.path.lexists(self.given["control_path"] + ".n"):
            self._run_here(self.given["leave_node"])

    @staticmethod
    def _run_here(command: t.List[str]) -> None:
        child = processes.Child(command)
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
        child.wait(5)

    def _serve_request(self) -> None:
        connection = self.listener.accept()[0]
        with connection:
            connection.settimeout(5)
            try:
                request = json.loads(connection.makefile("rb").readline().decode())
                if self.shell is None and request["op"] in _ON_LOGIN_NODE:
                    self._send(connection, {"lost": self.session.read().reason})
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
        code, out, err = self.shell.run(request["script"], int(request["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_hold(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Runs lines in the connection's own shell; processes that they start end with it."""
        code, out, err = self.shell.here(request["script"], int(request["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_begin_client(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Begins a login on the client host; client_state returns its result."""
        self.client.begin(request["command"], request["environment"])
        return {}

    def _do_client_state(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.client.state()

    def _do_end_client(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.client.end()
        return {}

    def _do_cleanup(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Stores the script to run on the client host before its connection ends."""
        self.client.cleanup = request["script"]
        return {}

    def _do_run_client(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.client.run(request["script"], int(request["seconds"]))

    def _do_hand_over(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.handed_over = True
        record = self.session.read()
        if record.detached:
            self.given["waiting"] = None
        if record.lifeline and record.go_file_written and record.stub and not self.recovery:
            self.recovery = Recovery(self, record)
            self.shell.meanwhile = self.recovery.check_silence
        return {}

    def _do_begin_login(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Begins a login that replaces the lost connection; login_state returns its result."""
        if self.recovery and self.recovery.disconnected:
            self.recovery.begin_login(request["command"], request["environment"], request["path"])
        return {}

    def _do_login_state(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.recovery.login_state() if self.recovery else {"begun": True, "said": ""}

    def _do_end_login(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.recovery:
            self.recovery.end_login()
        return {}

    def _do_own(self, request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """A playbook becomes the owner of the session again, until it hands the session over."""
        if self.shell is None:
            return {}
        self.given["owner"] = request["owner"]
        self.handed_over = False
        self.given["waiting"] = request.get("waiting")
        return {}

    def _do_messages(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """What the master printed since the last such request."""
        self.shell.drain()
        messages, self.shell.messages = self.shell.messages, b""
        return {"messages": messages.decode("utf-8", "replace")}

    def _do_stop(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.shell is None:
            return {"objection": "the connection to the login node is lost", "away": True}
        self.stopping = True
        client_host_lost = bool(self.session.read().remote_client_host) and self.client.connection is None
        return {"objection": self._undo(), "far_left": client_host_lost}

    def _do_end_client_there(self, _request: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Ends a client that was started on the client host."""
        self.client.end_client(self.session.read(), True)
        self.session.update(remote_client=None)
        return {}

    def _undo(self) -> str:
        if self.undo_tried:
            return ""
        self._stop_restoring()
        record = self.session.read()
        if record.undone:
            return ""
        self.undo_tried = True
        try:
            objection = teardown.undo(record, self._run) if record else ""
        except (ShellLost, SessionError, ValueError) as error:
            objection = " ".join(str(error).split())
        self.client.end_client(record, True)
        self._cancel_forwards(record)
        if objection:
            self.session.update(state="unknown", reason="could not be undone: " + objection, daemon=None)
        elif record:
            self.session.remove()
        return objection

    def _run(self, text: str, seconds: int) -> t.Tuple[int, str, str]:
        if self.shell is None:
            raise ShellLost("the connection to the login node is lost")
        return self.shell.run(text, seconds)

    def _cancel_forwards(self, record: "SessionRecord") -> None:
        """Cancels the forwards in the user's own control master, which stays open."""
        for option, specification in record.forwards if self.given.get("master") else ():
            self._run_here(self.given["cancel_forward"] + [option, specification, "--", "master"])

    def _stop_restoring(self) -> None:
        """Ends the recovery: nothing is to be restored any more."""
        if self.recovery:
            self.recovery.close()
            self.recovery = None

    def _end_lost(self, why: str) -> None:
        self._stop_restoring()
        record = self.session.update(state="unknown", lost_at=None, reason="the connection was lost: " + " ".join(why.split())[-300:], daemon=None)
        self._cancel_forwards(record)
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self.client.end_client(record, False)

    def _end_with_job(self, state: str, reason: str, connected: bool) -> None:
        self._stop_restoring()
        # Another session may not replace this one before nothing of it is left.
        record = self.session.update(was_connected=connected, job_over=True, undone=True)
        self._cancel_forwards(record)
        Directory(self.shell.run, record.remote_directory).remove()
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self.client.end_client(record, False)
        self.session.forget_secrets()
        self.session.update(state=state, reason=reason, daemon=None, lost_at=None)
        self.stopping = True


def main() -> None:
    """Reads its arguments from standard input, answers with one line, and keeps running."""
    given = json.load(sys.stdin)
    sys.path.extend(given.get("libraries", ()))
    daemon = SessionDaemon(given)
    remote.load()

    def stop(_number: int, _frame: t.Any) -> None:
        daemon.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        try:
            daemon.log_in()
        except (ShellLost, OSError) as error:
            _answer({"error": str(error)})
            return
        _answer({"daemon": processes.identity(os.getpid())})
        null_device = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(null_device, number)
        daemon.serve()
    finally:
        daemon.close()


def _answer(answer: t.Dict[str, t.Any]) -> None:
    """Sends one line to the playbook, which may be gone."""
    try:
        os.write(1, (json.dumps(answer) + "\n").encode())
    except BrokenPipeError:
        raise ShellLost("the playbook ended")
