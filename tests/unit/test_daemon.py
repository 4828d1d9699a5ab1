# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that holds a session's connection, with a local shell in place of ssh."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_directory import Directory
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs, over
from ansible_collections.sciviz.paraview.plugins.module_utils.session import daemon, interruption
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session, wait_left
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel, ChannelLost

NONE = answers.TABLES["none"]
# The command of the playbook, with shorter intervals and timeouts.
START = ("import sys; sys.path.insert(0, {0!r}); from module_utils.session import daemon, job_monitor, notification, recovery; "
         "from module_utils.schedulers import jobs; from module_utils.cluster import heartbeat; daemon._TICK = 0.05; "
         "recovery._ABANDONED_AFTER = 1.0; notification._EVERY = 0.0; notification._LONG_LOSS = 2.0; notification._LONGEST = 4.0; "
         "job_monitor._STATUS_EVERY = 0.1; "
         "job_monitor._QUERY_EVERY = {1}; jobs.poll_pause = lambda waited: {1}; heartbeat.OVERDUE = 3.5; "
         "jobs.Jobs.cancel_and_wait.__defaults__ = (10.0, jobs.time.sleep); daemon.main()")
PVSERVER = """#!/bin/sh
echo 'Accepting connection(s): c101:40123'
while [ ! -e {0}/client ]; do sleep 0.02; done
echo 'Client connected.'
while [ ! -e {0}/leave ]; do sleep 0.02; done
exit $(cat {0}/leave)
"""


def driver(outcome, busy="/nowhere"):
    """The command of a driver with this outcome, which does not end if a file exists."""
    return ["/bin/sh", "-c", "cat >/dev/null; [ ! -e \"$1\" ] || exec sleep 1000; printf %s \"$0\"", json.dumps(outcome), str(busy)]


class Held:
    """A session with its daemon, its owner and, after submit(), a real job on this host."""

    def __init__(self, tmp_path, short_path, directory):
        self.tmp_path, self.directory = tmp_path, directory
        self.session = Session(str(tmp_path / "state"), "lab")
        self.socket, self.control = short_path / "w", short_path / "c"
        self.owner = subprocess.Popen(["sleep", "1000"])
        self.waiting = None
        self.started, self.job = [], None
        self.log = subprocess.PIPE

    def start(self, command=("/bin/sh",), path="", ask_every=0.3, stub=None, master="", cancel_forward=(), **more):
        """Starts the daemon and logs in; returns the final state of the login."""
        self.waiting = more.get("waiting")
        self.begin(path, ask_every, stub, **more)
        if not master:
            self.control.touch()
        self.channel.request("begin_login", command=list(command), environment={}, path=str(self.control), master=master, cancel_forward=list(cancel_forward))
        return self.logged_in()

    def begin(self, path="", ask_every=0.3, stub=None, **more):
        """Starts the daemon without a login."""
        record = self.session.begin(scheduler="none", prelude="", stub=stub, settings={}, owner=processes.identity(self.owner.pid))
        given = {"base": self.session.base, "name": "lab", "directory": self.session.directory, "session": record.id, "socket": str(self.socket),
                 "control_path": str(self.control), "owner": processes.identity(self.owner.pid), "libraries": [],
                 "driver": driver({"outcome": "ready", "text": "ready"}, self.tmp_path / "busy"), **more}
        self.launch(given, path, ask_every)

    def start_again(self, command):
        """Another login."""
        self.control.touch()
        self.channel.request("begin_login", command=command, environment={}, path=str(self.control))
        return self.logged_in()

    def logged_in(self):
        self.reported = []
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            state = self.channel.request("login_state")
            if state.get("begun") or "failed" in state:
                return state
            self.reported.append(state["said"])
            time.sleep(0.02)
        raise AssertionError("the login does not finish")

    def hand_over(self):
        """The driver has taken all steps."""
        self.drive()
        deadline = time.monotonic() + 10
        while not any(event["kind"] == "ready" for event in self.session.events.read()[0]):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def drive(self, owner=None):
        owner = processes.identity(self.owner.pid) if owner is None else owner
        self.channel.request("drive", owner=owner, waiting=self.waiting, given={"logins": {}, "environment": dict(os.environ), "working_directory": "/"})

    def events(self, *kinds):
        return [event for event in self.session.events.read()[0] if event["kind"] in kinds]

    def launch(self, given, path, ask_every):
        shims = self.tmp_path / "shims"
        shims.mkdir()
        (shims / "sync").symlink_to("/bin/true")  # the disk's speed is irrelevant here
        code = START.format(str(Path(daemon.__file__).parents[2]), ask_every)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            start_new_session=True, cwd="/", env=dict(os.environ, PATH="{0}{1}:{2}".format(path, shims, os.environ["PATH"])))
        self.process.stderr = self.process.stderr or io.BytesIO()
        self.started.append(self.process)
        with self.process.stdin as stdin:
            stdin.write(json.dumps(given).encode())
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        answer = json.loads(line.decode())
        if given.get("session"):
            self.session.update(daemon=answer["daemon"], socket=str(self.socket))
        self.channel = Channel(str(self.socket), "lab")
        return answer

    def submit(self, program, text=PVSERVER):
        """A job of the batch system `none`, already past its go file."""
        self.directory.parents[1].mkdir(exist_ok=True)
        pvserver = program("pvserver", text.format(self.tmp_path))
        path = str(self.directory)
        Directory(self.channel.script, path).create({
            "job.sh": job_scripts.job_script(NONE, path, {}, 60), "pvserver.sh": job_scripts.pvserver_script(path, {"pvserver": [pvserver]}, []),
            "go": job_scripts.go_file(["--server-port=0"])})
        self.job = Jobs(over(self.channel.script), NONE).submit(path + "/job.sh")
        self.session.update(remote_directory=path, job_id=self.job, state="pending")

    def job_runs(self):
        pid, began = self.job.split(".")
        return processes.alive([int(pid), began])

    def left(self):
        """Processes of the job: those with this test's directory in their command, or as working directory, as pvserver.sh has."""
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            try:
                command = Path("/proc/{0}/cmdline".format(pid)).read_bytes() + b"\0" + os.readlink("/proc/{0}/cwd".format(pid)).encode()
            except OSError:
                continue
            if str(self.tmp_path).encode() + b"/" in command:
                found.append(pid)
        return found

    def state(self):
        return self.session.read().state

    def over(self):
        """Waits for the daemon's end. It must leave no socket and print no error."""
        self.process.wait(30)
        assert self.process.stderr.read().decode() == ""
        assert not self.socket.exists() and not self.control.exists()

    def over_with_log(self):
        """Waits for the daemon's end after an error that belongs into its log."""
        self.process.wait(30)
        return self.process.stderr.read().decode()

    def clean(self):
        self.owner.kill()
        self.owner.wait()
        for process in self.started:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        while self.left():  # a process may have started another one meanwhile
            for pid in self.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_scripts_are_run(held):
    held.start(["/bin/sh", "-c", "echo motd; exec /bin/sh"])
    assert held.session.read().daemon[0] == held.process.pid
    assert held.channel.script("echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert held.channel.script("kill -9 $$; echo never")[1] == ""
    assert held.channel.script("printf %s \"it's\"; head -c 500000 /dev/zero | tr '\\0' x") == (0, "it's" + "x" * 500000, "")
    assert os.stat(held.socket).st_mode & 0o077 == 0


def test_output_of_ssh_during_the_login_is_forwarded(held):
    held.start(["/bin/sh", "-c", "echo 'What is 3 + 4?' >&2; sleep 0.2; echo again >&2; sleep 0.2; exec /bin/sh"])
    assert any(one == "What is 3 + 4?\nagain\n" for one in held.reported)


def test_a_login_whose_playbook_is_killed_ends(held):
    """The playbook was killed while ssh prompted for a password."""
    held.begin()
    held.channel.request("begin_login", command=["/bin/sh", "-c", "sleep 1000"], environment={}, path=str(held.control))
    held.owner.kill()
    held.owner.wait()
    held.over()
    assert not held.session.read()


def test_messages_of_ssh(held, until):
    held.start(["/bin/sh", "-c", "echo 'channel 3: open failed' >&2; exec /bin/sh"])
    until(lambda: "open failed" in held.channel.request("messages")["messages"])


BAD = [b"\n", b"nonsense\n", b"[]\n", b'{"op": "no such"}\n', b'{"op": 5}\n', b'{"op": "run"}\n', b'{"op": "run", "script": 5, "seconds": 5}\n', b"\xff\n", b"",
       b'{"op": "run", "script": "true", "seconds": null}\n', b'{"op": "run", "script": "\\ud800", "seconds": 5}\n']


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_request_does_not_end_the_daemon(held, bad):
    held.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(held.socket))
        connection.sendall(bad)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert held.channel.script("echo on")[1] == "on\n"


def test_a_login_that_fails_is_reported(held):
    answer = held.start(["/bin/sh", "-c", "echo 'alice@login: Permission denied (publickey).' >&2; exit 255"])
    assert "Permission denied" in answer["failed"]
    assert held.start_again(["/bin/sh"])["begun"], "another attempt may follow"


def test_a_missing_ssh_is_reported(held):
    assert "no-such-ssh" in held.start(["no-such-ssh"])["failed"]


@pytest.mark.parametrize("how", ["stop", "interrupted", "TERM"])
def test_a_session_is_undone_with_its_playbook(held, program, how):
    held.start()
    held.submit(program)
    if how == "stop":
        assert held.channel.request("stop") == {"objection": "", "far_left": False}
    elif how == "interrupted":
        interruption.note(held.session.base, held.owner.pid)
        held.owner.kill()
        held.owner.wait()
    else:
        held.process.terminate()
    held.over()
    assert not held.session.read()
    assert not os.path.exists(held.session.directory)
    assert not held.left() and not held.directory.parent.exists()


def test_a_playbook_that_is_killed_before_the_job_is_submitted_leaves_nothing(held):
    held.start()
    held.owner.kill()
    held.owner.wait()
    held.over()
    assert not held.session.read()


def test_a_playbook_that_is_killed_later_leaves_its_session_detached(held, program, until):
    held.start()
    held.submit(program)
    held.owner.kill()
    held.owner.wait()
    until(lambda: held.session.read().detached)
    assert held.session.read().owner is None and held.job_runs()
    assert held.channel.script("echo on")[1] == "on\n"
    held.hand_over()
    (held.tmp_path / "leave").write_text("0")


def test_a_playbook_is_interrupted_while_another_one_follows_the_session(held, program):
    """The note is on the playbook that began to follow last."""
    held.start()
    held.submit(program)
    second = subprocess.Popen(["sleep", "1000"])
    held.session.update(owner=processes.identity(second.pid))
    held.drive(processes.identity(second.pid))
    interruption.note(held.session.base, held.owner.pid)
    held.owner.kill()
    held.owner.wait()
    assert held.channel.script("echo on")[1] == "on\n"
    assert not interruption.noted(held.session, processes.identity(second.pid))
    second.kill()
    second.wait()


@pytest.mark.parametrize("handed", [False, True])
def test_a_paraview_that_ends_before_it_is_connected_ends_the_session(held, program, until, handed):
    waiting = subprocess.Popen(["sleep", "1000"])
    held.start(waiting=processes.identity(waiting.pid))
    held.submit(program)
    until(held.job_runs)
    if handed:
        held.hand_over()
    waiting.kill()
    waiting.wait()
    held.over()
    assert not held.session.read() and not held.left()


@pytest.mark.parametrize("handed", [False, True])
def test_a_detached_session_waits_for_another_paraview(held, program, until, handed):
    waiting = subprocess.Popen(["sleep", "1000"])
    held.start(waiting=processes.identity(waiting.pid))
    held.submit(program)
    until(held.job_runs)
    held.session.update(detached=True)
    held.owner.kill()
    held.owner.wait()
    if handed:
        held.hand_over()
    waiting.kill()
    waiting.wait()
    until(lambda: handed or held.session.read().owner is None)
    assert held.channel.script("echo here")[1] == "here\n" and held.job_runs()
    held.channel.request("stop")
    held.over()


def test_pvserver_ends_with_a_paraview_that_was_connected(held, program, until):
    waiting = subprocess.Popen(["sleep", "1000"])
    held.start(waiting=processes.identity(waiting.pid))
    held.submit(program)
    held.hand_over()
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    waiting.kill()
    waiting.wait()
    (held.tmp_path / "leave").write_text("0")
    held.over()
    assert (held.state(), held.session.read().reason) == ("ended", "the client left")


def test_the_shell_ends_with_the_daemon(held):
    held.start()
    shell = int(held.channel.script("echo $PPID; ps -o ppid= -p $PPID")[1].split()[-1])
    held.channel.request("stop")
    held.over()
    assert processes.started(shell) is None


def test_a_session_that_was_handed_over_lives_as_long_as_its_job(held, program, until):
    held.start()
    held.submit(program)
    held.hand_over()
    held.owner.kill()
    held.owner.wait()
    until(lambda: held.state() == "starting")
    held.session.update(state="ready")
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    held.session.keep_connect_id(17)
    (held.tmp_path / "leave").write_text("0")
    held.over()
    record = held.session.read()
    assert (record.state, record.reason, record.job_over) == ("ended", "the client left", True)
    assert held.session.report()["connect_id"] is None
    assert not held.left() and not held.directory.exists()


def test_a_pvserver_that_fails_is_reported(held, program):
    held.start()
    held.submit(program, "#!/bin/sh\nexit 9\n")
    held.hand_over()
    held.over()
    assert (held.state(), held.session.read().reason) == ("failed", "pvserver ended with exit status 9")


CRASHES = """#!/bin/sh
echo 'Accepting connection(s): c101:40123'
while [ ! -e {0}/client ]; do sleep 0.02; done
echo 'Client connected.'
while [ ! -e {0}/leave ]; do sleep 0.02; done
cat {0}/leave
exit 137
"""


@pytest.mark.parametrize(("output", "reason"), [
    ("slurmstepd: error: Detected 1 oom_kill event in StepId=77.0.", "the job ran out of memory"),
    ("(  4.7s) [pvserver        ]vtkXOpenGLRenderWindow.:465    ERR| vtkXOpenGLRenderWindow (0x5): bad X server connection. DISPLAY=", "no display"),
    ("an unknown message", "pvserver was killed (signal 9)")])
def test_a_session_that_ends_under_its_client_names_the_cause(held, program, until, output, reason):
    held.start()
    held.submit(program, CRASHES)
    held.hand_over()
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    (held.tmp_path / "leave").write_text(output + "\n")
    held.over()
    assert held.state() == "failed" and reason in held.session.read().reason
    assert not held.directory.exists()


def test_a_log_that_cannot_be_read_is_read_again(held, program, until):
    """A home that hangs for a while."""
    flag = held.tmp_path / "broken"
    text = "#!/bin/sh\ncase $* in *log*) [ ! -e {0} ] || {{ echo >> {0}; kill -9 $PPID; }};; esac\nexec /usr/bin/tail \"$@\"\n"
    path = os.path.dirname(program("tail", text.format(flag)))
    held.start(path=path + ":")
    held.submit(program, CRASHES)
    held.hand_over()
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    flag.touch()
    (held.tmp_path / "leave").write_text("slurmstepd: error: Detected 1 oom_kill event in StepId=77.0.\n")
    until(flag.read_text)
    assert held.state() == "connected" and held.directory.exists()
    flag.unlink()
    held.over()
    assert "memory" in held.session.read().reason


def test_a_cancelled_job_is_reported(held, program, until):
    held.start()
    held.submit(program)
    held.hand_over()
    until(lambda: held.state() == "starting")
    Jobs(over(held.channel.script), NONE).cancel(held.job)
    held.over()
    assert (held.state(), held.session.read().reason) == ("cancelled", "the job was cancelled")
    assert not held.left()


@pytest.mark.parametrize("ask_every", [0.3, 10000])
def test_a_job_that_vanished_is_reported(held, program, until, ask_every):
    """It wrote no end. The batch system reports it; it is queried because a query is due, or because the job gives no sign of life."""
    held.start(ask_every=ask_every)
    held.submit(program)
    held.hand_over()
    until(lambda: held.state() == "starting")
    until((held.directory / "pid").exists)
    group = int((held.directory / "pid").read_text())
    os.kill(int(held.job.split(".")[0]), 9)
    os.killpg(group, 9)
    held.over()
    assert held.state() == "failed" and "killed" in held.session.read().reason
    assert not held.directory.exists()


FORGETFUL = {"gone": "echo GONE", "over": "echo OVER"}


@pytest.mark.parametrize("answer", sorted(FORGETFUL))
def test_a_job_that_gives_signs_of_life_is_not_over(held, program, until, answer):
    """Its batch system keeps answering that it is over; once the job is killed, the answer is right."""
    queries = held.tmp_path / "asked"
    argv = ["/bin/sh", "-c", "echo >> '{0}'; {1}".format(queries, FORGETFUL[answer]), "sh", "{job_id}"]
    ask = {"process": dict(NONE["ask"]["process"], argv=argv, fields={"native": "^(?P<value>OVER)"})}
    held.start()
    held.submit(program)
    held.session.update(table=dict(NONE, title="Spool", ask=ask, states={"OVER": "failed"}))
    until(lambda: (held.directory / "beat").exists() and (held.directory / "beat").read_text().strip())
    held.hand_over()
    until(lambda: queries.exists() and len(queries.read_text()) > 12)
    assert held.process.poll() is None and held.job_runs()
    assert held.session.read().reason == "Spool does not list job {0} any more, and the job gives signs of life".format(held.job)
    group = int((held.directory / "pid").read_text())
    os.kill(int(held.job.split(".")[0]), 9)
    os.killpg(group, 9)
    held.over()
    assert held.state() == "failed"
    assert not held.directory.exists()


def test_a_job_that_survives_its_removal_from_the_batch_system_is_ended(held, program, until):
    """disconnect: if the batch system does not list a cancelled job any more, a file requests the job to end."""
    held.start()
    held.submit(program)
    cancel = {"argv": ["/bin/sh", "-c", "echo Unknown Job Id >&2; exit 153", "sh", "{job_id}"], "over": "Unknown Job Id"}
    ask = {"process": dict(NONE["ask"]["process"], argv=["/bin/sh", "-c", "echo GONE", "sh", "{job_id}"])}
    held.session.update(table=dict(NONE, cancel=cancel, ask=ask))
    until(lambda: (held.directory / "beat").exists() and (held.directory / "beat").read_text().strip())
    assert held.channel.request("stop", wait=90) == {"objection": "", "far_left": False}
    held.over()
    assert not held.job_runs() and not held.left()
    assert not held.session.read() and not held.directory.exists()


@pytest.mark.parametrize("handed", [False, True])
def test_a_lost_connection_keeps_the_record(held, program, until, handed):
    held.start(["/bin/sh", "-c", "echo $$ > {0}; exec /bin/sh".format(held.tmp_path / "shell")])
    held.submit(program)
    if handed:
        held.hand_over()
        until(lambda: held.state() == "starting")
    os.kill(int((held.tmp_path / "shell").read_text()), 9)
    held.over()
    record = held.session.read()
    assert (record.state, record.daemon, record.job_id) == ("unknown", None, held.job)
    assert "connection was lost" in record.reason
    assert held.job_runs() and held.directory.exists()
    with pytest.raises(ChannelLost):
        held.channel.script("true")


def test_the_last_message_of_ssh_is_the_reason(held):
    held.start(["/bin/sh", "-c", "/bin/sh; echo 'Timeout, server login not responding.' >&2; exit 255"])
    with pytest.raises(ChannelLost) as caught:
        held.channel.script("kill -9 $(ps -o ppid= -p $PPID)")
    held.over()
    assert "not responding" in held.session.read().reason
    assert caught.value.why


def test_a_check_that_fails_once_does_not_end_the_session(held, program, until):
    """A home that hangs for a while: the time limit ends the script that checks the job."""
    flag = held.tmp_path / "broken"
    path = os.path.dirname(program("timeout", "#!/bin/sh\n[ ! -e {0} ] || {{ echo >> {0}; exit 124; }}\nexec /usr/bin/timeout \"$@\"\n".format(flag)))
    held.start(path=path + ":")
    held.submit(program)
    held.hand_over()
    until(lambda: held.state() == "starting" and (held.directory / "pid").exists())
    flag.touch()
    until(lambda: flag.read_text() or held.process.poll() is not None)
    flag.unlink()
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected" or held.process.poll() is not None)
    assert held.process.poll() is None
    assert held.state() == "connected"


def test_a_missing_record_stops_the_daemon_instead_of_a_query(tmp_path):
    made = daemon.SessionDaemon({"base": str(tmp_path), "name": "lab", "directory": str(tmp_path / "lab"), "session": "0" * 16, "owner": None,
                                 "socket": "", "control_path": ""})
    made.monitor.check()
    assert made.stopping


def test_a_playbook_that_ends_after_its_record_was_removed_ends_the_daemon(held):
    held.start()
    held.session.remove()
    held.owner.kill()
    held.owner.wait()
    held.over()


def test_a_removed_record_ends_the_daemon(held, program, until):
    held.start()
    held.submit(program)
    held.hand_over()
    until(lambda: held.state() == "starting")
    held.session.remove()
    held.over()


def test_a_session_that_cannot_be_undone_keeps_its_record(held, program):
    held.start()
    held.submit(program)
    held.session.update(scheduler="slurm")
    path = os.path.dirname(program("scancel", "#!/bin/sh\necho >> {0}; echo 'Access/permission denied' >&2; exit 210\n".format(held.tmp_path / "asked")))
    program("scontrol", "#!/bin/sh\necho 'JobId=11 JobState=RUNNING Reason=None Dependency='\n")
    held.session.update(prelude="PATH={0}:$PATH".format(path))
    answer = held.channel.request("stop", wait=90)
    assert "permission denied" in answer["objection"]
    held.process.wait(60)
    record = held.session.read()
    assert record.state == "unknown" and "permission denied" in record.reason
    assert held.directory.exists()
    assert (held.tmp_path / "asked").read_text() == "\n"


# --- the client host ---


def begin_client(held, until, command):
    """Logs in there; returns the final state of the login."""
    held.channel.request("begin_client", command=list(command), environment={"ASKED": "set by the playbook"})
    return until(lambda: [state for state in [held.channel.request("client_state")] if state.get("begun") or "failed" in state])[0]


def test_a_client_host_is_connected_and_cleaned_up(held, until):
    held.start()
    left = held.tmp_path / "left"
    assert begin_client(held, until, ["/bin/sh"])["begun"]
    assert held.channel.client_script("echo $ASKED; echo err >&2; exit 3") == (3, "set by the playbook\n", "err\n")
    held.channel.request("cleanup", script="touch {0}".format(left))
    forward = held.control.parent / (held.control.name + ".t40123")
    forward.touch()
    held.channel.request("stop", wait=90)
    held.over()
    assert left.exists() and not forward.exists()


def test_a_prompt_of_the_client_host_does_not_block_the_login_node(held, until):
    held.start()
    held.channel.request("begin_client", command=["/bin/sh", "-c", "echo 'What is 3 + 4?' >&2; sleep 1000"], environment={})
    assert until(lambda: "3 + 4" in held.channel.request("client_state")["said"])
    assert not held.channel.request("client_state")["begun"]
    assert held.channel.script("echo here")[1] == "here\n"
    held.channel.request("end_client")
    assert "failed" in held.channel.request("client_state")


def test_a_client_host_that_refuses(held, until):
    held.start()
    assert "not mine" in begin_client(held, until, ["/bin/sh", "-c", "echo not mine >&2; exit 255"])["failed"]
    with pytest.raises(SessionError, match="client host of lab is lost"):
        held.channel.client_script("true")
    assert held.channel.script("echo the login node is there still")[0] == 0


def test_a_lost_client_host_is_reported(held, until):
    held.start()
    begin_client(held, until, ["/bin/sh"])
    held.session.update(remote_client_host={"name": "bigscreen", "daemon": [1, "1"]})
    held.channel.request("cleanup", script="true")
    os.kill(int(held.channel.client_script("ps -o ppid= -p $PPID")[1]), 9)
    until(lambda: held.session.read().reason == "the connection to bigscreen was lost")
    assert held.session.read().remote_client_host == {"name": "bigscreen", "daemon": None}, "connect logs in there again"
    assert held.channel.script("echo still")[1] == "still\n"


@pytest.mark.parametrize("connected", [False, True])
def test_a_connected_client_on_the_client_host_survives_the_session(held, program, until, connected):
    """It holds its user's work. If the session ends by itself, the client stays; disconnect ends it."""
    held.start()
    begin_client(held, until, ["/bin/sh"])
    client = processes.identity(held.owner.pid)
    held.submit(program)
    held.session.update(remote_client=client)
    held.hand_over()
    until(lambda: held.state() == "starting")
    if connected:
        (held.tmp_path / "client").touch()
        until(lambda: held.state() == "connected")
    Jobs(over(held.channel.script), NONE).cancel(held.job)
    held.over()
    assert (held.owner.poll() is None) is connected


def test_a_removed_directory_of_sockets_does_no_harm(held):
    """A logout or a cleaner of temporary files removes it."""
    held.start()
    for path in held.control.parent.iterdir():
        path.unlink()
    held.control.parent.rmdir()
    os.kill(held.process.pid, signal.SIGTERM)
    held.over()
    held.control.parent.mkdir()  # the fixture removes it


@pytest.mark.parametrize("lives", [True, False])
def test_a_daemon_whose_login_fails_leaves_the_socket_of_a_stub_that_waits(held, lives):
    """The stub's ParaView is connected, and the next login uses the stub again."""
    stub = subprocess.Popen(["sleep", "60"])
    try:
        line = held.control.parent / (held.control.name + ".r7000")
        line.touch()
        held.begin(stub=processes.identity(stub.pid) if lives else None)
        held.channel.request("leave")
        held.over()
        assert line.exists() == lives
        if lives:
            line.unlink()
    finally:
        stub.kill()
        stub.wait()


def test_the_ssh_of_a_node_is_ended_with_the_session(held, tmp_path):
    held.start(leave_node=["touch", str(tmp_path / "ended")])
    (held.control.parent / (held.control.name + ".n")).touch()
    held.channel.request("stop", wait=90)
    held.over()
    assert (tmp_path / "ended").exists()


def test_forwards_in_the_users_own_master_are_cancelled(held, tmp_path):
    master = tmp_path / "master"
    master.touch()
    held.start(master=str(master), cancel_forward=["sh", "-c", 'echo "$@" >> {0}'.format(tmp_path / "cancelled"), "sh"])
    assert os.readlink(held.control) == str(master)
    held.session.update(forwards=[["-L", "127.0.0.1:1:c101:2"], ["-R", "127.0.0.1:0:127.0.0.1:3"]])
    held.channel.request("stop", wait=90)
    held.over()
    assert (tmp_path / "cancelled").read_text() == "-L 127.0.0.1:1:c101:2 -- master\n-R 127.0.0.1:0:127.0.0.1:3 -- master\n"
    assert master.exists(), "it is the user's"


# --- the steps of a connect ---


def drive_to(held, program, outcome, **fields):
    """A session whose driver ends with an outcome."""
    held.begin(driver=driver(outcome))
    held.control.touch()
    held.channel.request("begin_login", command=["/bin/sh"], environment={}, path=str(held.control))
    assert held.logged_in()["begun"]
    held.submit(program)
    held.session.update(**fields)
    held.drive()


ERROR = {"what": "no route works", "why": "sshd forbids it", "way_out": "ask the site", "cancelled": False, "end_detached": False}


def test_a_session_whose_step_fails_is_undone_and_keeps_the_reason(held, program):
    drive_to(held, program, {"outcome": "failed", "error": ERROR})
    held.over()
    assert not held.left() and not held.directory.exists()
    record = held.session.read()
    assert (record.state, record.reason) == ("failed", "no route works; sshd forbids it; ask the site")
    error, failed = held.events("error", "failed")
    assert (error["what"], error["why"], error["way_out"], failed["kind"]) == ("no route works", "sshd forbids it", "ask the site", "failed")


def test_a_job_that_was_cancelled_is_no_failure(held, program):
    drive_to(held, program, {"outcome": "failed", "error": dict(ERROR, cancelled=True)})
    held.over()
    assert held.state() == "cancelled"


@pytest.mark.parametrize("ends", [False, True])
def test_a_detached_session_keeps_its_place_in_the_queue_unless_its_job_is_useless(held, program, until, ends):
    drive_to(held, program, {"outcome": "failed", "error": dict(ERROR, end_detached=ends)}, detached=True)
    if ends:
        held.over()
        assert held.state() == "failed" and not held.left()
        return
    until(lambda: held.events("failed"))
    assert held.job_runs() and held.session.read().owner is None
    assert held.channel.script("echo on")[1] == "on\n"


def test_a_driver_that_crashes_is_an_error_of_three_lines(held, program):
    drive_to(held, program, {})
    held.over_with_log()
    (error,) = held.events("error")
    assert error["what"] == "the session of lab cannot continue" and error["why"] and error["way_out"]
    assert held.state() == "failed" and not held.left()


def test_a_driver_that_crashes_while_the_disk_with_the_log_is_full(held, program):
    with open("/dev/full", "w") as held.log:
        drive_to(held, program, {})
    held.over()
    (error,) = held.events("error")
    assert error["what"] == "the session of lab cannot continue"
    assert held.state() == "failed" and not held.left()


def test_a_pending_job_is_waited_for_and_then_driven_on(held, program, until):
    """The driver ends while the job waits, and is started again once it runs."""
    count = held.tmp_path / "drivers"
    text = ('cat >/dev/null; echo >> {0}; [ $(wc -l < {0}) = 1 ] && printf %s \'{{"outcome": "waiting"}}\' '
            '|| printf %s \'{{"outcome": "ready", "text": "ready"}}\'').format(count)
    held.begin(driver=["/bin/sh", "-c", text])
    held.control.touch()
    held.channel.request("begin_login", command=["/bin/sh"], environment={}, path=str(held.control))
    assert held.logged_in()["begun"]
    held.submit(program)
    held.session.update(settings={"queue_timeout": 60, "nodes": 1})
    held.drive()
    until(lambda: held.events("ready"))
    assert len(count.read_text().splitlines()) == 2
    (held.tmp_path / "client").touch()
    (held.tmp_path / "leave").write_text("0")
    held.over()


def test_a_job_that_waits_too_long_is_cancelled(held, until):
    held.start(driver=driver({"outcome": "waiting"}))
    held.directory.parents[1].mkdir(exist_ok=True)
    Directory(held.channel.script, str(held.directory)).create({"batch.log": ""})
    cancelled = held.tmp_path / "cancelled"
    ask = {"process": dict(NONE["ask"]["process"], argv=["/bin/sh", "-c", "[ -e {0} ] && echo GONE || echo WAITS".format(cancelled), "sh", "{job_id}"],
                           fields={"native": "^(?P<value>WAITS)"})}
    held.session.update(table=dict(NONE, title="Spool", ask=ask, states={"WAITS": "pending"}, cancel={"argv": ["touch", str(cancelled), "{job_id}"]}),
                        remote_directory=str(held.directory), job_id=str(held.tmp_path / "eleven"), submitted_at=time.time(), state="pending",
                        settings={"queue_timeout": 3, "nodes": 1})
    held.drive()
    until(lambda: held.events("failed"))
    held.over()
    (error,) = held.events("error")
    assert error["what"].endswith("did not start within 3 s")
    assert held.state() == "cancelled" and cancelled.exists() and not held.directory.exists()


def test_an_answer_reaches_the_driver_once(held):
    held.start()
    assert held.channel.request("take_answer", id="7") == {}
    held.channel.request("answer", id="7", text="open sesame")
    assert held.channel.request("take_answer", id="7") == {"text": "open sesame"}
    assert held.channel.request("take_answer", id="7") == {}


@pytest.mark.parametrize("detached", [False, True])
def test_a_login_that_fails_ends_no_session_that_has_a_job(held, program, detached):
    """The job waits for a connect that succeeds, and no daemon without a connection is left."""
    held.begin(driver=driver({"outcome": "failed", "error": dict(ERROR, cancelled=True)}))
    held.session.update(job_id="11", remote_directory=str(held.directory), detached=detached, state="pending")
    held.drive()
    held.process.wait(30)
    record = held.session.read()
    assert (record.state, record.daemon, record.job_id) == ("unknown", None, "11")
    assert [event["kept"] for event in held.events("failed")] == [True]


def test_a_prompt_that_no_playbook_shows_any_more_is_cancelled(held):
    held.start()
    assert held.channel.request("take_answer", id="7") == {}
    held.owner.kill()
    held.owner.wait()
    with contextlib.suppress(ChannelLost):  # it ends at once, since there is no job
        assert held.channel.request("take_answer", id="7") == {"cancelled": True}


def test_a_daemon_whose_master_others_use_stays_until_they_end(held, until):
    """disconnect need not wait for that, and forwards of the session that is over are cancelled."""
    cancelled = held.tmp_path / "cancelled"
    held.start(["/bin/sh", "-c", "/bin/sh; exec sleep 1000"], cancel_own_forward=["sh", "-c", 'echo "$@" >> {0}'.format(cancelled), "sh"])
    held.session.update(forwards=[["-L", "127.0.0.1:1:c101:2"]], control_path=str(held.control))
    guest = Session(held.session.base, "guest")
    (held.tmp_path / "guest.w").touch()
    guest.begin(users_own_master=str(held.control), daemon=processes.identity(held.owner.pid), socket=str(held.tmp_path / "guest.w"))
    record, record_of_guest = held.session.read(), guest.read()
    held.channel.request("stop")
    assert wait_left(held.session.base, record, 10)
    assert held.process.poll() is None and held.control.exists() and not held.socket.exists()
    assert cancelled.read_text() == "-L 127.0.0.1:1:c101:2 -- master\n"
    assert not wait_left(held.session.base, record_of_guest, 0.1), "its own daemon runs"
    # Once the last session that uses the master ends, the disconnect of that one waits for the daemon that held it.
    guest.update(daemon=None)
    held.owner.kill()
    held.owner.wait()
    assert wait_left(held.session.base, record_of_guest, 10)
    assert held.process.poll() is not None
    assert not list(held.control.parent.iterdir())


def test_a_daemon_that_holds_its_master_for_nobody_is_waited_for(held):
    held.start(["/bin/sh", "-c", "/bin/sh; exec sleep 1000"])
    held.session.update(control_path=str(held.control))
    held.control.with_name(held.control.name + ".h").touch()
    assert not wait_left(held.session.base, held.session.read(), 0.1)
    held.channel.request("stop")
    held.over()
