# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one process that stays on the client host next to ssh: it holds a session's connection and ends it in time.

It is the parent of the control master, whose own session is a shell on the login node. It receives scripts for that shell over
a unix socket (channel.py). Until the job is submitted, it ends with the playbook that began it; from then on, with the job, or if the
user interrupts the playbook. Whatever ends it, the session is undone.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
import typing as t

from ..client import remote
from ..cluster import teardown
from ..cluster.job_directory import Directory
from ..common import processes, terminals
from ..common.errors import SessionError
from ..common.files import write_private
from ..common.text import one_line
from ..ssh.shell import ShellLost
from . import interruption, keeping, shared_queue
from .client_connection import ClientConnection
from .connection import Connection
from .driving import Driving
from .first_login import FirstLogin
from .job_monitor import JobMonitor
from .notification import Notifier
from .record import HELD, Session, has_guests, holds_work
from .recovery import Recovery
from .requests import Requests
from .sockets import Sockets

if t.TYPE_CHECKING:
    from ..cluster.session_record import SessionRecord
    from ..ssh.shell import Shell

_TICK = 1.0
_TICK_WHEN_BUSY = 0.1


class SessionDaemon:
    """Holds one session.

    Args:
        given: base, name, directory and session (of the record), socket and control_path (paths), owner (identity of the playbook's process), waiting
            (identity of the ParaView that the session is for, or None), libraries (directories of Python libraries, searched last), driver and restorer
            (lists: the commands of driver.main() and lifeline_route.main()), and leave_node (list: the command that ends the connection to the root node).
            A login adds master (the socket of the user's own control master, if that is used) and cancel_forward (list: the command that cancels one of
            its forwards, without the arguments that name the forward).
    """

    def __init__(self, given: t.Dict[str, t.Any]) -> None:
        self.given = given
        self.session = Session(given["base"], given["name"], directory=given["directory"], only=given["session"])
        self.stopping = self.undo_tried = self.terminated = False
        self.handed_over = False
        self.monitor = JobMonitor(self.session, self.run, self._end_with_job, self._stop, self._serve_again)
        self.login = FirstLogin()
        self.driving = Driving(self)
        self.notifier = Notifier(self.session, lambda: self.driving.given)
        self.connection: t.Optional[Connection] = None
        self.requests = Requests(self)
        self.sockets = Sockets(given["socket"], given["control_path"])
        self.client = ClientConnection(self.session, self.sockets.remove_forwards_to_client)
        #: Set if the session has a lifeline and was handed over.
        self.recovery: t.Optional[Recovery] = None

    @property
    def shell(self) -> t.Optional["Shell"]:
        """The shell on the login node; None while the connection is lost."""
        return self.connection.shell if self.connection else None

    def _stop(self) -> None:
        self.stopping = True

    def listen(self) -> None:
        """Listens for requests; the connection comes with a login."""
        self._leave_root_node()
        self.sockets.remove()
        self.requests.listen(self.given["socket"])

    def serve(self) -> None:
        """Answers requests and monitors the session until it is over."""
        while not self.stopping:
            ready = select.select(self._streams(), [], [], _TICK_WHEN_BUSY if self.recovery and self.recovery.busy else _TICK)[0]
            if self.stopping:
                break
            try:
                if self.requests.listener in ready:
                    self.requests.serve()
                if self.shell and not self.shell.drain():
                    raise ShellLost(self.connection.output)
                if self.recovery:
                    self._step_recovery()
                self._check_client_host()
                self.notifier.step()
                self.driving.step()
                if self.recovery and self.recovery.has_left:
                    self.monitor.hurry()
                if self.handed_over and self.shell and not self.driving.active:
                    self.monitor.check()
                if self.given["owner"] and not processes.alive(self.given["owner"]):
                    self._check_abandoned()
                self._check_waiting()
            except ShellLost as lost:
                if not self.recovery or self.recovery.disconnected:
                    self._end_lost(str(lost))
                    return
                self._begin_recovery(lost)
        self.undo()

    def _check_client_host(self) -> None:
        try:
            self.client.check()
        except (SessionError, OSError):
            pass  # The loss cannot be noted now; the next request to the client host notes it.

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
        streams = [self.requests.listener] + self.driving.streams() + (self.connection.streams if self.connection else [])
        return streams + (self.recovery.streams() if self.recovery else [])

    def leave_master(self, record: "SessionRecord") -> None:
        """Removes the session's connections and forwards from the user's own control master."""
        self._leave_root_node()
        self._cancel_forwards(record)

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
        except (SessionError, OSError):
            pass  # A home that does not answer proves nothing; the next check reads it again.

    def _abandoned(self) -> None:
        """The playbook ended before it handed the session over. The session continues if its job is submitted, unless the user interrupted the playbook."""
        record = self.session.read()
        interrupted = interruption.noted(self.session, self.given["owner"]) or bool(self.given.get("waiting"))
        if not record:
            self.stopping = True
        elif self.shell is None and not self.recovery and record.job_id:
            # The login was not finished, and nothing can be undone.
            self.session.update(owner=None, daemon=None, state="unknown", reason="nobody finished the login")
            self.leave()
        # A detached session stays in the queue for the next connect.
        elif holds_work(record) or record.detached or (record.job_id and not record.check and not interrupted):
            self.release()
        elif record.owner == self.given["owner"]:
            self.stopping = True
        else:
            self.given["owner"] = None

    def log(self, text: bytes) -> None:
        """Appends to the daemon's log, next to the record. If its disk is full, the text is lost."""
        with contextlib.suppress(OSError):
            os.write(2, text)

    def leave(self) -> None:
        """Ends without undoing anything."""
        self.undo_tried = self.stopping = True

    def close(self) -> None:
        """Ends the connection, and with it every forward."""
        self.driving.end()
        self.login.end()
        self.client.end()
        self._leave_root_node()
        if self.recovery:
            self.recovery.close()
        self.requests.close()
        if self.connection is not None:
            if self._has_guests():
                self._hold_for_guests(self.connection)
            # The session is over: channels that are still open need no more time.
            self.connection.end(3)
        self.sockets.remove()
        try:
            # A stub that is alive waits for the next daemon.
            if not processes.alive(self.session.read().stub):
                self.sockets.remove_at_stub()
            shared_queue.forget(self.given["base"])
        except (SessionError, OSError):
            pass
        self.notifier.close()

    def _has_guests(self) -> bool:
        """Whether another session uses this session's control master."""
        return has_guests(self.given["base"], self.given["control_path"])

    def _hold_for_guests(self, connection: Connection) -> None:
        """Waits until no other session uses the control master any more. ssh itself ends with its last channel."""
        write_private(self.given["control_path"] + HELD, json.dumps(processes.identity(os.getpid())))
        with contextlib.suppress(OSError):
            os.unlink(self.given["socket"])
        connection.process.stdin.close()
        self.terminated = False
        while not self.terminated and connection.process.ended() is None and self._has_guests():
            # Nobody reads what ssh prints.
            connection.shell.drain()
            time.sleep(_TICK)

    def _leave_root_node(self) -> None:
        """Ends the connection to the root node. The user's own control master would keep it open."""
        if os.path.lexists(self.given["control_path"] + ".n"):
            self._run_here(self.given["leave_node"])

    def _leave_root_node_inside(self, record: "SessionRecord") -> None:
        """Ends the login node's own connection to the root node."""
        if self.shell and (record.route_state or {}).get("inner"):
            with contextlib.suppress(ShellLost, SessionError):
                self.shell.here("command exec 9>&-\n", 5)

    @staticmethod
    def _run_here(command: t.List[str]) -> None:
        child = processes.Child(command)
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
        child.wait(5)

    def hand_over(self) -> None:
        """From now on the daemon follows the job, and restores the connection of a session that has a lifeline."""
        self.handed_over = True
        record = self.session.read()
        if record.detached:
            self.given["waiting"] = None
        if not record.owner:
            self.given["owner"] = None
        if record.lifeline and record.go_file_written and record.stub and self.shell and not self.recovery:
            self.recovery = Recovery(self, record)
            self.shell.meanwhile = self.recovery.check_silence

    def release(self) -> None:
        """The playbook follows the session no longer, and the session continues."""
        record = self.session.read()
        self.session.update(owner=None, waiting=None, detached=bool(record.detached or not self.handed_over))
        self.given["owner"] = self.given["waiting"] = None

    def undo(self) -> str:
        """Ends the session and removes its record; returns what could not be undone."""
        return self.end_session("", "")

    def end_session(self, state: str, reason: str) -> str:
        """Ends the session, and undoes everything that its record names.

        Args:
            state: the record's new state; if it is empty, the record is removed.
            reason: the reason for that state.
        Returns:
            Empty, or what could not be undone.
        """
        self.stopping = True
        if self.undo_tried:
            return ""
        self.driving.end()
        self._stop_restoring()
        record = self.session.read()
        if record.undone:
            return ""
        self.undo_tried = True
        # Slurm may count the connection to the root node as a process of the job, and wait for it.
        self._leave_root_node()
        self._leave_root_node_inside(record)
        try:
            objection = teardown.undo(record, self.run) if record else ""
        except (ShellLost, SessionError, ValueError) as error:
            objection = " ".join(str(error).split())
        self.client.end_client(record, True)
        self._cancel_forwards(record)
        # From the next line on, another connect may begin a session with another event log.
        if state:
            self._note_failure(objection and "could not be undone: " + objection)
        if objection:
            self.session.update(state="unknown", reason="could not be undone: " + objection, daemon=None, owner=None)
        elif record and state:
            self.session.forget_secrets()
            self.session.update(state=state, reason=reason, daemon=None, owner=None, job_over=True, undone=True, lost_at=None)
        elif record:
            self.session.remove()
        return objection

    def _note_failure(self, line: str) -> None:
        if line:
            self.session.events.append("line", text=line)
        self.session.events.append("failed", kept=False)

    def run(self, text: str, seconds: int) -> t.Tuple[int, str, str]:
        """Runs a script on the login node; raises ShellLost."""
        if self.shell is None:
            raise ShellLost("the connection to the login node is lost")
        return self.shell.run(text, seconds)

    def _cancel_forwards(self, record: "SessionRecord") -> None:
        """Cancels the forwards in the user's own control master, which stays open."""
        command = self.given.get("cancel_forward") if self.given.get("master") else self.given.get("cancel_own_forward")
        # Forwards end with the session's own control master, unless that stays for other sessions.
        for option, specification in record.forwards if command and (self.given.get("master") or (self.connection and self._has_guests())) else ():
            self._run_here(command + [option, specification, "--", "master"])

    def _stop_restoring(self) -> None:
        """Ends the recovery: nothing is to be restored any more."""
        if self.recovery:
            self.recovery.close()
            self.recovery = None

    def _end_lost(self, why: str) -> None:
        driven = self.driving.active
        self.driving.end()
        self._stop_restoring()
        reason, record = " ".join(why.split())[-300:], self.session.read()
        self._cancel_forwards(record)
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self.client.end_client(record, False)
        if driven:
            self.session.events.append("error", what="the connection to {0} is lost".format(self.session.name), why=reason or "ssh ended",
                                       way_out="connect again; a session that still exists is continued")
            self._note_failure("job {0} may still exist".format(record.job_id or "(unknown id)") if record.remote_directory else "")
        self.notifier.lost(reason or "ssh ended", processes.alive(record.owner))
        self.session.update(state="unknown", lost_at=None, reason="the connection was lost: " + reason, daemon=None, owner=None)
        if driven:
            self.driving.report()

    def _serve_again(self, why: str, died_at: t.List[float]) -> None:
        """Another pvserver waits in a job that is kept: the session gets its route again."""
        self._stop_restoring()
        record, now = self.session.read(), time.time()
        teardown.end_stub(record, 0.5)
        line = keeping.line(record, why, now)
        # The ParaView that the session was for has left; whatever comes next may be another one.
        self.given["waiting"] = None
        self.session.update(state="starting", reason=line, kept=line, kept_until=now + record.settings["keep_timeout"], restarts=record.restarts + 1,
                            died_at=died_at, go_file_written=False, accepting=None, agent=None, was_connected=False, route_opened_by=None, lost_at=None,
                            stub=None, client=None, remote_client=None, client_by=None, waiting=None)
        self.session.events.append("line", text=line)
        terminals.write(record.terminal, "{0}: {1}".format(one_line(record.name, 100), one_line(line, 400)))
        self.notifier.kept(line)
        self.driving.go_on()

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
        if self.driving.ended_line:
            self.session.events.append("ended", text=self.driving.ended_line)
        self.notifier.job_ended(state, reason)
        self.session.update(state=state, reason=reason, daemon=None, owner=None, lost_at=None)
        self.stopping = True


def main() -> None:
    """Reads its arguments from standard input, answers with one line, and keeps running."""
    given = json.load(sys.stdin)
    sys.path.extend(given.get("libraries", ()))
    daemon = SessionDaemon(given)
    remote.load()

    def stop(_number: int, _frame: t.Any) -> None:
        daemon.stopping = daemon.terminated = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        daemon.listen()
        answer = json.dumps({"daemon": processes.identity(os.getpid())}) + "\n"
        try:
            os.write(1, answer.encode())
        except BrokenPipeError:
            return  # The playbook ended.
        null_device = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(null_device, number)
        daemon.serve()
    finally:
        daemon.close()
