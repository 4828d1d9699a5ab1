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
import time

from ..client import remote, socket_names
from ..cluster import endings, teardown
from ..cluster.heartbeat import Pulse
from ..cluster.job_directory import Directory
from ..cluster.job_scripts import Progress
from ..common import processes
from ..common.errors import SessionError
from ..schedulers import answers
from ..schedulers.jobs import Jobs, over, polling
from ..ssh.shell import Shell, ShellLost
from . import reconnection
from .record import Session, holds_work, lacks_client_host
from .recovery import Endurance

_TICK = 1.0
_TICK_WHEN_BUSY = 0.1
_STATUS_EVERY = 2.0
_ASK_EVERY = 20.0
_ASK_AGAIN = 3.0
# Seconds for which the words of whoever killed a job may be late, and those for which a home that hangs may keep its log.
_LAST_WORDS = 5.0
_HANGING = 60.0
# What lies beside the control socket: node_login.py and the playbook's questions.
_SOCKETS = ("", ".n", ".l", ".k")
_QUESTIONS = (".a",)
# What needs the login node.
_THERE = ("run", "hold", "messages", "begin_client", "run_client")


class Watcher:
    """Holds one session.

    Args:
        wish (dict): command (list), base, name, directory and session (of the record), socket and control_path (paths), owner (identity of the playbook's
            process), waiting (identity of the ParaView that the session is for, or None), seconds (for the login), libraries (directories with Python's own
            libraries behind), mender (list: the command of lifeline_route.main()), environment (dict: more of it, for ssh), master (the socket of the user's
            own control master, if that is used) and take_back (list: the command that cancels a forward of it, without its end).
    """

    def __init__(self, wish):
        self.wish = wish
        self.session = Session(wish["base"], wish["name"], wish["directory"], wish["session"])
        self.stopping = self.tried = False
        self.handed = False
        self.seen = self.said = ""
        self.next_status = 0.0
        self.polling = None
        self.pulse = Pulse()
        self.gone = False
        self.running = False
        self.ended_since = None
        self.process = self.shell = self.listener = None
        # The connection to the client host, where that is another one, and what is to be done there at the end.
        self.client_process = self.client_shell = None
        self.farewell = ""
        #: Where the session has a lifeline and was handed over.
        self.endurance = None

    def log_in(self):
        """Calls the login node; ShellLost with ssh's words if that fails."""
        self._leave_node()
        self._unlink(_SOCKETS)
        os.environ.update(self.wish.get("environment", {}))
        if self.wish.get("master"):
            os.symlink(self.wish["master"], self.wish["control_path"])
        self.process = processes.Child(self.wish["command"])
        self.shell = Shell(self.process)
        self.shell.begin(self.wish["seconds"], self._meanwhile)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.wish["socket"])
        os.chmod(self.wish["socket"], 0o600)
        self.listener.listen(8)

    def _meanwhile(self):
        """While the login is under way: passes on what ssh says, and looks whether anybody still waits for it."""
        said = self.shell.messages.decode("utf-8", "replace")
        if said != self.said:
            self.said = said
            _say({"said": said})
        self._still_wanted()

    def _still_wanted(self):
        if self.stopping or not processes.alive(self.wish["owner"]):
            raise ShellLost("the playbook ended")

    def serve(self):
        """Answers requests and looks after the session until it is over."""
        while not self.stopping:
            ready = select.select(self._streams(), [], [], _TICK_WHEN_BUSY if self.endurance and self.endurance.busy else _TICK)[0]
            if self.stopping:
                break
            try:
                if self.listener in ready:
                    self._answer()
                if self.shell and not self.shell.drain():
                    raise ShellLost(self.shell.messages.decode("utf-8", "replace"))
                if self.endurance:
                    self._endure_patiently()
                if self.client_shell and self.farewell and not self.client_shell.drain():
                    self._client_host_lost()
                if self.handed:
                    if self.shell:
                        self._look_patiently()
                elif not processes.alive(self.wish["owner"]):
                    self._abandoned_patiently()
                self._look_at_waiting()
            except ShellLost as lost:
                if not self.endurance or self.endurance.away:
                    self._lost(str(lost))
                    return
                self._bear_patiently(lost)
        self._undo()

    def _endure_patiently(self):
        try:
            self.endurance.step()
        except (SessionError, OSError):
            pass  # a home that does not answer, or no process to be had: it is looked at again

    def _bear_patiently(self, lost):
        try:
            self.endurance.bear(lost)
        except (SessionError, OSError):
            pass  # what could not be noted is noted when it is over

    def _streams(self):
        streams = [self.listener] + ([self.process.stdout, self.process.stderr] if self.shell else [])
        return streams + (self.endurance.streams() if self.endurance else [])

    def leave_master(self, record):
        """Takes back what a control master of the user's own would go on with."""
        self._leave_node()
        self._take_back(record)

    def forget_sockets(self):
        """Takes away what a connection left that was lost."""
        for path in (self.wish["control_path"] + end for end in _SOCKETS):
            if os.path.lexists(path):
                os.unlink(path)

    def _look_at_waiting(self):
        """Whoever clicked Connect has gone; a ParaView that was connected takes pvserver along by itself."""
        if not self.wish.get("waiting") or processes.alive(self.wish["waiting"]):
            return
        try:
            record = self.session.read()
        except SessionError:
            return  # it is looked at again
        # One that was left to the queue waits there for whoever comes next.
        if not record.get("was_connected") and not record.get("detached"):
            self.stopping = True

    def _abandoned_patiently(self):
        try:
            self._abandoned()
        except SessionError:
            pass  # a home that does not answer tells nothing; it is asked again

    def _abandoned(self):
        """The playbook ended before it handed the session over; one that had been detached goes back to that, one with somebody's work in it goes on."""
        record = self.session.read()
        if record.get("detached") or holds_work(record):
            self.session.update(owner=None, waiting=None)
            self.wish["waiting"] = None
            self._do_hand_over({})
        else:
            self.stopping = True

    def close(self):
        """Ends the connection, and with it every forward."""
        self._end_client_host()
        self._leave_node()
        if self.endurance:
            self.endurance.close()
        for stream in (self.process and self.process.stdin, self.listener):
            if stream is not None:
                stream.close()
        # The master would wait for channels that are still open; the session they belong to is over.
        if self.process is not None:
            self.process.end(3)
        self._unlink(_SOCKETS + _QUESTIONS + reconnection.SOCKETS)
        self._unlink_at_stub()

    def _unlink(self, ends):
        # What was killed leaves its sockets, and ssh would refuse to be a master. There is one watcher a session.
        for path in [self.wish["socket"]] + [self.wish["control_path"] + end for end in ends]:
            if os.path.lexists(path):
                os.unlink(path)
        self._unlink_lead()

    def _unlink_lead(self):
        """The sockets through which a client host is reached."""
        self._unlink_those(socket_names.TO_CLIENT)
        if os.path.lexists(self.wish["control_path"] + ".c"):
            os.unlink(self.wish["control_path"] + ".c")

    def _unlink_at_stub(self):
        """What leads to a stub or from it; one that lives waits for the next watcher."""
        try:
            lives = processes.alive(self.session.read().get("stub"))
        except SessionError:
            lives = True
        if not lives:
            self._unlink_those(socket_names.STUB)
            self._unlink_those(socket_names.FROM_CLIENT)

    def _unlink_those(self, kind):
        """Sockets of host.py, each of which has a port in its name."""
        directory, name = os.path.split(self.wish["control_path"])
        # It may have been cleared away, as by a logout.
        for one in os.listdir(directory) if os.path.isdir(directory) else ():
            if one.startswith(name + kind):
                os.unlink(os.path.join(directory, one))

    def _leave_node(self):
        """Ends the connection to a node, which a user's own control master would carry on."""
        if os.path.lexists(self.wish["control_path"] + ".n"):
            self._run_here(self.wish["leave_node"])

    @staticmethod
    def _run_here(command):
        child = processes.Child(command)
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
        child.wait(5)

    def _answer(self):
        connection = self.listener.accept()[0]
        with connection:
            connection.settimeout(5)
            try:
                asked = json.loads(connection.makefile("rb").readline().decode())
                if self.shell is None and asked["op"] in _THERE:
                    self._send(connection, {"lost": self.session.read().get("reason", "")})
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
    def _send(connection, answer):
        # Whoever asked may be gone; what was asked for has been done all the same.
        try:
            connection.settimeout(5)
            connection.sendall(json.dumps(answer).encode())
        except OSError:
            pass

    def _do_run(self, asked):
        code, out, err = self.shell.run(asked["script"], int(asked["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_hold(self, asked):
        """Lines for the connection's own shell, whose end is the end of what they start."""
        code, out, err = self.shell.here(asked["script"], int(asked["seconds"]))
        return {"code": code, "out": out, "err": err}

    def _do_begin_client(self, asked):
        """Begins a login on the client host; client_state tells how it goes."""
        self._end_client_host()
        os.environ.update(asked["environment"])
        self.client_process = processes.Child(asked["command"])
        self.client_shell = Shell(self.client_process)
        try:
            self.client_shell.ask()
        except ShellLost:
            pass  # that is told next
        return {}

    def _do_client_state(self, _asked):
        if self.client_shell is None:
            return {"failed": "ssh ended"}
        try:
            return {"begun": self.client_shell.begun(), "said": self.client_shell.messages.decode("utf-8", "replace")}
        except ShellLost as lost:
            self._end_client_host()
            return {"failed": str(lost)}

    def _do_end_client(self, _asked):
        self._end_client_host()
        return {}

    def _do_farewell(self, asked):
        """Takes a script that the client host is left with."""
        self.farewell = asked["script"]
        return {}

    def _do_run_client(self, asked):
        if self.client_shell is None:
            return {"failed": "ssh ended"}
        try:
            code, out, err = self.client_shell.run(asked["script"], int(asked["seconds"]))
        except ShellLost as lost:
            self._client_host_lost()
            return {"failed": str(lost)}
        return {"code": code, "out": out, "err": err}

    def _client_host_lost(self):
        """connect logs in there again; ParaView has lost pvserver in any case."""
        self._end_client_host()
        record = self.session.read()
        known = record.get("client_side")
        if known:
            # The way for a lifeline ends at this host.
            opened = record.get("opened") if record.get("lifeline") else None
            self.session.update(client_side=dict(known, watcher=None), opened=opened, reason="the connection to {0} was lost".format(known["name"]))

    def _end_client_there(self, record, connected_too):
        """Ends a client that we started there, as teardown.end_client() does here."""
        if record.get("client_there") and self.client_shell and (connected_too or not record.get("was_connected")):
            try:
                self.client_shell.run(remote.end_script(record["client_there"]), 10)
            except (ShellLost, SessionError):
                pass

    def _end_client_host(self):
        """Leaves the client host, and nothing there."""
        if self.client_process is None:
            return
        try:
            if self.farewell:
                self.client_shell.run(self.farewell, 5)
        except (ShellLost, SessionError):
            pass
        self._unlink_lead()
        self.client_process.stdin.close()
        self.client_process.end(3)
        self.client_process = self.client_shell = None
        self.farewell = ""

    def _do_hand_over(self, _asked):
        self.handed = True
        record = self.session.read()
        if record.get("detached"):
            self.wish["waiting"] = None
        if record.get("lifeline") and record.get("go") and record.get("stub") and not self.endurance:
            self.endurance = Endurance(self, record)
            self.shell.meanwhile = self.endurance.check_silence
        return {}

    def _do_begin_login(self, asked):
        """Begins a login in place of the connection that was lost; login_state tells how it goes."""
        if self.endurance and self.endurance.away:
            self.endurance.begin_login(asked["command"], asked["environment"], asked["path"])
        return {}

    def _do_login_state(self, _asked):
        return self.endurance.login_state() if self.endurance else {"begun": True, "said": ""}

    def _do_end_login(self, _asked):
        if self.endurance:
            self.endurance.end_login()
        return {}

    def _do_own(self, asked):
        """A playbook takes the session up again, and answers for it until it hands it over."""
        if self.shell is None:
            return {}
        self.wish["owner"] = asked["owner"]
        self.handed = False
        self.wish["waiting"] = asked.get("waiting")
        return {}

    def _do_messages(self, _asked):
        """What the master said since this was asked last."""
        self.shell.drain()
        said, self.shell.messages = self.shell.messages, b""
        return {"messages": said.decode("utf-8", "replace")}

    def _do_stop(self, _asked):
        if self.shell is None:
            return {"objection": "the connection to the login node is away", "away": True}
        self.stopping = True
        far_left = bool(self.session.read().get("client_side")) and self.client_shell is None
        return {"objection": self._undo(), "far_left": far_left}

    def _do_end_client_there(self, _asked):
        """Ends a client that was started on the client host, and lives there."""
        self._end_client_there(self.session.read(), True)
        self.session.update(client_there=None)
        return {}

    def _undo(self):
        if self.tried:
            return ""
        self._stop_mending()
        record = self.session.read()
        if record.get("undone"):
            return ""
        self.tried = True
        try:
            objection = teardown.undo(record, self._run) if record else ""
        except (ShellLost, SessionError, ValueError) as error:
            objection = " ".join(str(error).split())
        self._end_client_there(record, True)
        self._take_back(record)
        if objection:
            self.session.update(state="unknown", reason="could not be undone: " + objection, watcher=None)
        elif record:
            self.session.remove()
        return objection

    def _run(self, text, seconds):
        if self.shell is None:
            raise ShellLost("the connection to the login node is away")
        return self.shell.run(text, seconds)

    def _take_back(self, record):
        """Takes the forwards back where the connection stays: it is the user's own."""
        for option, specification in record.get("forwards", ()) if self.wish.get("master") else ():
            self._run_here(self.wish["take_back"] + [option, specification, "--", "master"])

    def _stop_mending(self):
        """What is being made anew is not wanted any more."""
        if self.endurance:
            self.endurance.close()
            self.endurance = None

    def _lost(self, why):
        self._stop_mending()
        record = self.session.update(state="unknown", lost_at=None, reason="the connection was lost: " + " ".join(why.split())[-300:], watcher=None)
        self._take_back(record)
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self._end_client_there(record, False)

    def _look_patiently(self):
        try:
            self._look()
        except ShellLost:
            raise
        except Exception:
            # A home that hangs, a batch system that is down, an answer that nobody foresaw: none says anything about the job. It is asked again.
            self.next_status = time.monotonic() + _ASK_EVERY

    def _look(self):
        now = time.monotonic()
        asking = self.polling is None or self.polling.due()
        if now < self.next_status and not asking:
            return
        record = self.session.read()
        if not record:
            self.stopping = True
            return
        if now >= self.next_status:
            directory = Directory(self.shell.run, record["remote_directory"])
            text = directory.status(self.seen, 0)
            self.next_status = now + (_STATUS_EVERY if self.pulse.feel(directory.beat) else _STATUS_EVERY / 2)
            if text != self.seen:
                self.seen = text
                self._note(record, Progress(text))
            if self.pulse.alarming and self.polling is not None:
                self.polling.hurry(_ASK_AGAIN)
                asking = asking or self.polling.due()
        if not self.stopping and asking:
            self._ask(record)

    def _note(self, record, progress):
        self.running = bool(progress.host)
        connected = progress.connected
        if progress.ended:
            self._note_end(record, progress, connected)
        elif connected and record.get("state") != "connected":
            self.session.update(state="connected", was_connected=True, reason="")
        elif self.running and record.get("state") == "pending":
            self.session.update(state="starting", nodes=progress.nodes, reason="the job runs and waits for connect")

    def _note_end(self, record, progress, connected):
        """Its log goes with its directory, so the cause is read before."""
        # Until it is over, the same text is news once more.
        self.seen = ""
        ending = self._ending(record, progress)
        if ending is None:
            return
        reason = endings.told(ending)
        if ending.late:
            job = self._queue(record).ask(record["job_id"])
            reason = job.explanation if job.state in ("failed", "cancelled") and job.explanation else reason
        self._over(ending.state, reason, connected)

    def _ending(self, record, progress):
        """endings.Ending; None where its log cannot be read yet, or is not complete yet."""
        now = time.monotonic()
        self.ended_since = self.ended_since or now
        try:
            ending = endings.of(progress, Directory(self.shell.run, record["remote_directory"]).last_words())
        except SessionError:
            return endings.of(progress, "") if time.monotonic() - self.ended_since >= _HANGING else None
        # One that has long given no sign of life has had this time already.
        return None if ending.late and max(now - self.ended_since, self.pulse.missed) < _LAST_WORDS else ending

    def _queue(self, record):
        return Jobs(over(self.shell.run, record.get("prelude", "")), answers.of(record))

    def _ask(self, record):
        if self.polling is None:
            self.polling = polling(record)
            self.polling.due()
        if self.running:
            self.polling.put_off(_ASK_EVERY)
        job = self._queue(record).ask(record["job_id"])
        self.gone = self.gone and job.gone
        if job.gone or job.state in answers.OVER:
            self._hear_of_the_end(record, job)
        elif job.state == "pending" and record.get("state") == "pending":
            self.session.update(reason=job.explanation or job.reason, expected_start=job.expected_start)
        elif job.state == "running":
            fields = {} if job.time_left_s is None else {"ends_at": time.time() + job.time_left_s}
            if self.running and record.get("reason", "") != job.explanation and not lacks_client_host(record) and not record.get("lost_at"):
                fields["reason"] = job.explanation
            if fields:
                self.session.update(**fields)

    def _hear_of_the_end(self, record, job):
        """By the batch system the job is over. Its own words are better; they may just have been written."""
        directory = Directory(self.shell.run, record["remote_directory"])
        progress = Progress(directory.status(self.seen, 0))
        self.pulse.feel(directory.beat)
        if progress.ended:
            self._note(record, progress)
        elif self.pulse.fresh:
            # The batch system is asked again in its turn, or as soon as the signs stay out.
            reason = "{0} does not list job {1} any more, and the job gives signs of life".format(answers.of(record)["title"], record["job_id"])
            if record.get("reason") != reason and not lacks_client_host(record) and not record.get("lost_at"):
                self.session.update(reason=reason)
        elif job.gone and not self.gone and not self.pulse.faint:
            # A session is not given up for one wrong word.
            self.gone = True
            self.polling.soon(_ASK_AGAIN)
        else:
            self._vanished(record, job, progress)

    def _vanished(self, record, job, progress):
        """It had no time to note its end; its log may tell."""
        ending = self._ending(record, progress)
        if ending is None:
            self.polling.soon(1)
        elif ending.known:
            self._over(ending.state, endings.told(ending), bool(record.get("was_connected")))
        else:
            self._over("ended" if job.gone else job.state, job.explanation or job.reason, bool(record.get("was_connected")))

    def _over(self, state, reason, connected):
        self._stop_mending()
        # Only when nothing of it is left may another session take its place.
        record = self.session.update(was_connected=connected, job_over=True, undone=True)
        self._take_back(record)
        Directory(self.shell.run, record["remote_directory"]).remove()
        teardown.end_client(record, False)
        teardown.end_stub(record)
        self._end_client_there(record, False)
        self.session.forget_secrets()
        self.session.update(state=state, reason=reason, watcher=None, lost_at=None)
        self.stopping = True


def main():
    """Reads the wish from standard input, answers with one line, and stays."""
    wish = json.load(sys.stdin)
    sys.path.extend(wish.get("libraries", ()))
    watcher = Watcher(wish)

    def stop(_number, _frame):
        watcher.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        try:
            watcher.log_in()
        except (ShellLost, OSError) as error:
            _say({"error": str(error)})
            return
        _say({"watcher": processes.identity(os.getpid())})
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(nowhere, number)
        watcher.serve()
    finally:
        watcher.close()


def _say(answer):
    """One line for the playbook, which may be gone."""
    try:
        os.write(1, (json.dumps(answer) + "\n").encode())
    except BrokenPipeError:
        raise ShellLost("the playbook ended")
