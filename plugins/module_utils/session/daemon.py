# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one process that stays on the client host beside ssh: it holds a session's connection and ends it in time.

It is the parent of the control master, whose own session is a shell on the login node. Scripts for that shell come in over
a unix socket (channel.py). Until the session is handed over it lives no longer than the playbook that began it; from then
on no longer than the job. Whatever ends it, the session is undone.
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
# What lies beside the control socket: node_login.py and the playbook's questions.
_SOCKETS = ("", ".n", ".l", ".k")
_QUESTIONS = (".a",)
# What needs the login node.
_THERE = ("run", "hold", "messages", "begin_client", "run_client")


class SessionDaemon:
    """Holds one session.

    Args:
        given: command (list), base, name, directory and session (of the record), socket and control_path (paths), owner (identity of the playbook's
            process), waiting (identity of the ParaView that the session is for, or None), seconds (for the login), libraries (directories with Python's own
            libraries behind), mender (list: the command of lifeline_route.main()), environment (dict: more of it, for ssh), master (the socket of the user's
            own control master, if that is used) and take_back (list: the command that cancels a forward of it, without its end).
    """

    def __init__(self, given: t.Dict[str, t.Any]) -> None:
        self.given = given
        self.session = Session(given["base"], given["name"], directory=given["directory"], only=given["session"])
        self.stopping = self.tried = False
        self.handed = False
        self.said = ""
        self.monitor = JobMonitor(self.session, self._run, self._over, self._stop)
        self.connection: t.Optional[Connection] = None
        self.listener: t.Optional[socket.socket] = None
        self.client = ClientConnection(self.session, self._unlink_forwards_to_client)
        #: Where the session has a lifeline and was handed over.
        self.recovery: t.Optional[Recovery] = None

    @property
    def shell(self) -> t.Optional["Shell"]:
        """The one on the login node; None while the connection is lost."""
        return self.connection.shell if self.connection else None

    def _stop(self) -> None:
        self.stopping = True

    def log_in(self) -> None:
        """Calls the login node; ShellLost with ssh's words if that fails."""
        self._leave_node()
        self._unlink(_SOCKETS)
        os.environ.update(self.given.get("environment", {}))
        if self.given.get("master"):
            os.symlink(self.given["master"], self.given["control_path"])
        self.connection = Connection(processes.Child(self.given["command"]))
        self.shell.begin(self.given["seconds"], self._meanwhile)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.given["socket"])
        os.chmod(self.given["socket"], 0o600)
        self.listener.listen(8)

    def _meanwhile(self) -> None:
        """While the login is under way: passes on what ssh says, and looks whether anybody still waits for it."""
        said = self.connection.said
        if said != self.said:
            self.said = said
            _say({"said": said})
        self._still_wanted()

    def _still_wanted(self) -> None:
        if self.stopping or not processes.alive(self.given["owner"]):
            raise ShellLost("the playbook ended")

    def serve(self) -> None:
        """Answers requests and looks after the session until it is over."""
        while not self.stopping:
            ready = select.select(self._streams(), [], [], _TICK_WHEN_BUSY if self.recovery and self.recovery.busy else _TICK)[0]
            if self.stopping:
                break
            try:
                if self.listener in ready:
                    self._answer()
                if self.shell and not self.shell.drain():
                    raise ShellLost(self.connection.said)
                if self.recovery:
                    self._recover_patiently()
                self.client.look()
                if self.handed:
                    if self.shell:
                        self.monitor.look()
                elif not processes.alive(self.given["owner"]):
                    self._abandoned_patiently()
                self._look_at_waiting()
            except ShellLost as lost:
                if not self.recovery or self.recovery.away:
                    self._lost(str(lost))
                    return
                self._bear_patiently(lost)
        self._undo()

    def _recover_patiently(self) -> None:
        try:
            self.recovery.step()
        except (SessionError, OSError):
            pass  # a home that does not answer, or no process to be had: it is looked at again

    def _bear_patiently(self, lost: ShellLost) -> None:
        try:
            self.recovery.bear(lost)
        except (SessionError, OSError):
            pass  # what could not be noted is noted when it is over

    def _streams(self) -> list:
        streams = [self.listener] + (self.connection.streams if self.connection else [])
        return streams + (self.recovery.streams() if self.recovery else [])

    def leave_master(self, record: "SessionRecord") -> None:
        """Takes back what a control master of the user's own would go on with."""
        self._leave_node()
        self._take_back(record)

    def forget_sockets(self) -> None:
        """Takes away what a connection left that was lost."""
        for path in (self.given["control_path"] + end for end in _SOCKETS):
            if os.path.lexists(path):
                os.unlink(path)

    def _look_at_waiting(self) -> None:
        """Whoever clicked Connect has gone; a ParaView that was connected takes pvserver along by itself."""
        if not self.given.get("waiting") or processes.alive(self.given["waiting"]):
            return
        try:
            record = self.session.read()
        except SessionError:
            return  # it is looked at again
        # One that was left to the queue waits there for whoever comes next.
        if not record.was_connected and not record.detached:
            self.stopping = True

    def _abandoned_patiently(self) -> None:
        try:
            self._abandoned()
        except SessionError:
            pass  # a home that does not answer proves nothing; it is asked again

    def _abandoned(self) -> None:
        """The playbook ended before it handed the session over; one that had been detached goes back to that, one with somebody's work in it goes on."""
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
        self._leave_node()
        if self.recovery:
            self.recovery.close()
        if self.listener is not None:
            self.listener.close()
        # The session to which open channels belong is over.
        if self.connection is not None:
            self.connection.end(3)
        self._unlink(_SOCKETS + _QUESTIONS + reconnection.SOCKETS)
        self._unlink_at_stub()

    def _unlink(self, ends: t.Iterable[str]) -> None:
        # What was killed leaves its sockets, and ssh would refuse to be a master. There is one daemon a session.
        for path in [self.given["socket"]] + [self.given["control_path"] + end for end in ends]:
            if os.path.lexists(path):
                os.unlink(path)
        self._unlink_forwards_to_client()

    def _unlink_forwards_to_client(self) -> None:
        """The sockets through which a client host is reached."""
        self._unlink_those(socket_names.TO_CLIENT)
        if os.path.lexists(self.given["control_path"] + ".c"):
            os.unlink(self.given["control_path"] + ".c")

    def _unlink_at_stub(self) -> None:
        """What leads to a stub or from it; one that lives waits for the next daemon."""
        try:
            lives = processes.alive(self.session.read().stub)
        except SessionError:
            lives = True
        if not lives:
            self._unlink_those(socket_names.STUB)
            self._unlink_those(socket_names.FROM_CLIENT)

    def _unlink_those(self, kind: str) -> None:
        """Sockets of host.py, each of which has a port in its name."""
        directory, name = os.path.split(self.given["control_path"])
        # It may have been cleared away, as by a logout.
        for one in os.listdir(directory) if os.path.isdir(directory) else ():
            if one.startswith(name + kind):
                os.unlink(os.path.join(directory, one))

    def _leave_node(self) -> None:
        """Ends the connection to a node, which a user's own control master would carry on."""
        if os.path.lexists(self.given["control_path"] + ".n"):
            self._run_here(self.given["leave_node"])

    @staticmethod
    def _run_here(command: t.List[str]) -> None:
        child = processes.Child(command)
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
        child.wait(5)

    def _answer(self) -> None:
        connection = self.listener.accept()[0]
        with connection:
            connection.settimeout(5)
            try:
                asked = json.loads(connection.makefile("rb").readline().decode())
                if self.shell is None and asked["op"] in _THERE:
                    self._send(connection, {"lost": self.session.read().reason})
                    return
                answer = getattr(self, "_do_" + asked["op"])(asked)
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
        # Whoever asked may be gone; what was asked for has been done all the same.
        try:
            connection.settimeout(5)
            connection.sendall(json.dumps(answer).encode())
        except OSError:
            pass

    def _do_run(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        code, out, err = self.shell.run(asked["script"], int(asked["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_hold(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Lines for the connection's own shell, whose end is the end of what they start."""
        code, out, err = self.shell.here(asked["script"], int(asked["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_begin_client(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Begins a login on the client host; client_state has its result."""
        self.client.begin(asked["command"], asked["environment"])
        return {}

    def _do_client_state(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.client.state()

    def _do_end_client(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.client.end()
        return {}

    def _do_cleanup(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Takes a script that the client host is left with."""
        self.client.cleanup = asked["script"]
        return {}

    def _do_run_client(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.client.run(asked["script"], int(asked["seconds"]))

    def _do_hand_over(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.handed = True
        record = self.session.read()
        if record.detached:
            self.given["waiting"] = None
        if record.lifeline and record.go and record.stub and not self.recovery:
            self.recovery = Recovery(self, record)
            self.shell.meanwhile = self.recovery.check_silence
        return {}

    def _do_begin_login(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Begins a login in place of the connection that was lost; login_state shows how it goes."""
        if self.recovery and self.recovery.away:
            self.recovery.begin_login(asked["command"], asked["environment"], asked["path"])
        return {}

    def _do_login_state(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        return self.recovery.login_state() if self.recovery else {"begun": True, "said": ""}

    def _do_end_login(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.recovery:
            self.recovery.end_login()
        return {}

    def _do_own(self, asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """A playbook takes the session up again, and answers for it until it hands it over."""
        if self.shell is None:
            return {}
        self.given["owner"] = asked["owner"]
        self.handed = False
        self.given["waiting"] = asked.get("waiting")
        return {}

    def _do_messages(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """What the master said since this was asked last."""
        self.shell.drain()
        said, self.shell.messages = self.shell.messages, b""
        return {"messages": said.decode("utf-8", "replace")}

    def _do_stop(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        if self.shell is None:
            return {"objection": "the connection to the login node is away", "away": True}
        self.stopping = True
        far_left = bool(self.session.read().client_side) and self.client.connection is None
        return {"objection": self._undo(), "far_left": far_left}

    def _do_end_client_there(self, _asked: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Ends a client that was started on the client host, and lives there."""
        self.client.end_client(self.session.read(), True)
        self.session.update(client_there=None)
        return {}

    def _undo(self) -> str:
        if self.tried:
            return ""
        self._stop_restoring()
        record = self.session.read()
        if record.undone:
            return ""
        self.tried = True
        try:
            objection = teardown.undo(record, self._run) if record else ""
        except (ShellLost, SessionError, ValueError) as error:
            objection = " ".join(str(error).split())
        self.client.end_client(record, True)
        self._take_back(record)
        if objection:
            self.session.update(state="unknown", reason="could not be undone: " + objection, daemon=None)
        elif record:
            self.session.remove()
        return objection

    def _run(self, text: str, seconds: int) -> t.Tuple[int, str, str]:
        if self.shell is None:
            raise ShellLost("the connection to the login node is away")
        return self.shell.run(text, seconds)

    def _take_back(self, record: "SessionRecord") -> None:
        """Takes the forwards back where the connection stays: it is the user's own."""
        for option, specification in record.forwards if self.given.get("master") else ():
            self._run_here(self.given["take_back"] + [option, specification, "--", "master"])

    def _stop_restoring(self) -> None:
        """What is being made anew is not wanted any more."""
        if self.recovery:
            self.recovery.close()
            self.recovery = None

    def _lost(self, why: str) -> None:
        self._stop_restoring()
        record = self.session.update(state="unknown", lost_at=None, reason="the connection was lost: " + " ".join(why.split())[-300:], daemon=None)
        self._take_back(record)
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self.client.end_client(record, False)

    def _over(self, state: str, reason: str, connected: bool) -> None:
        self._stop_restoring()
        # Only when nothing of it is left may another session take its place.
        record = self.session.update(was_connected=connected, job_over=True, undone=True)
        self._take_back(record)
        Directory(self.shell.run, record.remote_directory).remove()
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self.client.end_client(record, False)
        self.session.forget_secrets()
        self.session.update(state=state, reason=reason, daemon=None, lost_at=None)
        self.stopping = True


def main() -> None:
    """Reads what it is given from standard input, answers with one line, and stays."""
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
            _say({"error": str(error)})
            return
        _say({"daemon": processes.identity(os.getpid())})
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(nowhere, number)
        daemon.serve()
    finally:
        daemon.close()


def _say(answer: t.Dict[str, t.Any]) -> None:
    """One line for the playbook, which may be gone."""
    try:
        os.write(1, (json.dumps(answer) + "\n").encode())
    except BrokenPipeError:
        raise ShellLost("the playbook ended")
