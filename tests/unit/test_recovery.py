# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session with a lifeline whose connection is lost: the real daemon, with stand-ins for ssh and for the restorer."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.session.lifeline import Stub
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import client
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import ChannelLost
from test_daemon import Held

# A stand-in for ssh: a file decides whether it is refused, gets no answer, or starts a shell. It records each call.
SSH = """#!/bin/sh
case " $* " in *" -G "*) exit 0;; esac
echo "$*" >> {0}/calls
for word; do
  case $word in ControlPath=*) : > "${{word#ControlPath=}}";; esac
  host=$word
done
case $(cat {0}/network) in
  down) echo "ssh: connect to host login port 22: Connection timed out" >&2; exit 255;;
  asks) echo "alice@login: Permission denied (publickey,keyboard-interactive)." >&2; exit 255;;
esac
echo $$ > {0}/shell
exec /bin/sh
"""
# A stand-in for the restorer: afterwards the stub is connected.
RESTORER = """
import json, os, sys
given = json.load(sys.stdin)
print(open("{0}/objection").read() if os.path.exists("{0}/objection") else "", end="")
with open("{0}/restored", "a") as stream: stream.write(given["session"] + "\\n")
if os.path.exists("{0}/objection"): sys.exit(1)
path = os.path.join(given["directory"], "stub.json")
with open(path + ".new", "w") as stream: json.dump(dict(state="connected", losses=1), stream)
os.rename(path + ".new", path)
"""


class Reconnecting(Held):
    """A session with a lifeline, handed over."""

    def begin_session(self, program, outage=3600, terminal=None):
        (self.tmp_path / "network").write_text("up")
        ssh = program("ssh", SSH.format(self.tmp_path))
        target = client.Target(executable=ssh, host="login", user=None, port=None, key=None, arguments=[], timeout=10)
        command = client.master_command(target, str(self.control))
        self.start(command, libraries=[], restorer=[sys.executable, "-IS", "-c", RESTORER.format(self.tmp_path)])
        self.submit(program)
        self.stub = Stub(self.session)
        self.stub_process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        self.started_stubs = [self.stub_process]
        self.report(state="connected")
        self.session.update(lifeline=True, go_file_written=True, stub=processes.identity(self.stub_process.pid), settings={"reconnect_timeout": outage},
                            target=target._asdict(),
                            control_path=str(self.control), ssh=ssh, login_node="login", terminal=terminal, state="ready")
        self.hand_over()

    def report(self, **status):
        """Writes the stub's status file."""
        path = self.stub.status_path
        with open(path + ".new", "w", encoding="utf-8") as stream:
            json.dump(status, stream)
        os.rename(path + ".new", path)

    def network(self, state):
        (self.tmp_path / "network").write_text(state)

    def lose(self):
        """Kills ssh; the stub reports the outage."""
        shell = self.tmp_path / "shell"
        pid = int(shell.read_text())
        shell.unlink()
        os.kill(pid, signal.SIGKILL)
        self.report(state="outage", reason="it was closed", losses=1, waiting_bytes=1234567)

    def calls(self):
        return len((self.tmp_path / "calls").read_text().splitlines())

    def reason(self):
        return self.session.read().reason

    def is_back(self):
        record = self.session.read()
        return (self.tmp_path / "shell").exists() and (self.tmp_path / "restored").exists() and record.lost_at is None and record.reason == ""

    def clean(self):
        super().clean()
        for process in self.started_stubs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(name="held")
def _held(tmp_path, short_path, session_directory):
    held = Reconnecting(tmp_path, short_path, session_directory)
    held.started_stubs = []
    yield held
    held.clean()


def test_a_killed_connection_and_its_route_are_restored(held, program, until):
    held.begin_session(program)
    held.lose()
    until(held.is_back)
    assert held.channel.script("echo there")[1] == "there\n"
    assert held.control.exists(), "requests to the master find the new one"
    assert held.process.poll() is None and processes.alive(held.session.read().stub)
    assert held.session.read().state in ("ready", "starting")


def test_while_the_network_is_down_the_session_reports_it_and_waits(held, program, until):
    held.begin_session(program)
    held.network("down")
    held.lose()
    until(lambda: held.reason().startswith("the connection was lost at"))
    until(lambda: held.calls() > 3)
    with pytest.raises(ChannelLost) as caught:
        held.channel.script("true")
    assert "the connection was lost" in caught.value.why
    report = held.session.report()
    assert (report["state"], report["lifeline"]["state"], report["lifeline"]["waiting_bytes"]) == ("ready", "outage", 1234567)
    assert held.channel.request("stop")["away"], "without a connection it cannot be ended"
    held.network("up")
    until(held.is_back)
    assert held.session.report()["lifeline"]["state"] == "connected"


def test_a_new_login_does_not_prompt_the_user(held, program, until):
    held.begin_session(program)
    held.lose()
    until(held.is_back)
    calls = (held.tmp_path / "calls").read_text().splitlines()
    assert "BatchMode=yes" not in calls[0] and "BatchMode=yes" in calls[-1]


def test_if_only_the_user_can_log_in_the_session_waits(held, program, until):
    held.begin_session(program)
    held.network("asks")
    held.lose()
    until(lambda: held.reason().startswith("waiting for you: login requires you to log in"))
    assert "Permission denied" in held.reason() and "sciviz.paraview.connect -e host=lab" in held.reason()
    calls = held.calls()
    held.network("up")
    # connect again: an interactive login.
    target = client.Target(**held.session.read().target)
    path = str(held.control) + ".3"
    held.channel.request("begin_login", command=client.master_command(target, path), environment={"SSH_ASKPASS": "/bin/false"}, path=path)
    until(lambda: held.channel.request("login_state").get("begun"))
    assert held.calls() == calls + 1, "no login was attempted meanwhile"
    until(held.is_back)
    assert held.channel.script("echo $SSH_ASKPASS")[1] == "/bin/false\n"


def test_a_failed_interactive_login_changes_nothing(held, program, until):
    held.begin_session(program)
    held.network("down")
    held.lose()
    until(lambda: held.session.read().lost_at)
    path = str(held.control) + ".3"
    held.channel.request("begin_login", command=["/bin/sh", "-c", "echo 'Connection refused' >&2; exit 255"], environment={}, path=path)
    until(lambda: "failed" in held.channel.request("login_state"))
    held.network("up")
    until(held.is_back)


def test_a_silent_connection_is_ended(held, program, until):
    """ssh would wait for a minute; the stub has noticed sooner."""
    held.begin_session(program)
    pid = int((held.tmp_path / "shell").read_text())
    (held.tmp_path / "shell").unlink()
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    held.report(state="outage", reason="nothing came for 10 s")
    until(held.is_back, 30)
    assert time.monotonic() - began < 20
    assert not os.path.exists("/proc/{0}".format(pid)), "the silent connection is ended"


def test_a_silent_connection_that_answers_again_is_used_again(held, program, until):
    """The laptop slept for a short time, and the site would prompt for a code: no new login is needed."""
    held.begin_session(program)
    shell = int((held.tmp_path / "shell").read_text())
    held.network("asks")
    os.kill(shell, signal.SIGSTOP)
    held.report(state="outage", reason="nothing came for 10 s")
    until(lambda: held.reason().startswith("waiting for you"), 30)
    held.stub.connect_to("/nothing")
    written = os.stat(held.stub.line_path)
    os.kill(shell, signal.SIGCONT)
    until(lambda: os.stat(held.stub.line_path).st_ino != written.st_ino)
    assert Path(held.stub.line_path).read_text() == "unix:/nothing\n", "the stub connects at once, since the file is new"
    held.report(state="connected", losses=1)
    until(lambda: held.session.read().lost_at is None and held.reason() == "")
    assert held.channel.hold("echo $$")[1].strip() == str(shell)
    assert held.control.exists() and not (held.tmp_path / "restored").exists()


def test_an_abandoned_interactive_login_is_ended(held, program, until):
    held.begin_session(program)
    held.network("down")
    held.lose()
    until(lambda: held.session.read().lost_at)
    path = str(held.control) + ".3"
    held.channel.request("begin_login", command=["/bin/sh", "-c", "echo 'Password:' >&2; exec sleep 1000"], environment={}, path=path)
    held.network("up")
    until(held.is_back, 30)


def test_a_playbook_that_is_killed_does_not_end_a_session_with_work(held, program, until):
    held.begin_session(program)
    held.session.update(was_connected=True, state="connected")
    other = subprocess.Popen(["sleep", "1000"])
    try:
        (held.tmp_path / "busy").touch()
        held.session.update(owner=processes.identity(other.pid))
        held.drive(processes.identity(other.pid))
    finally:
        other.kill()
        other.wait()
    until(lambda: held.session.read().owner is None)
    assert held.process.poll() is None and held.job_runs()
    held.lose()
    until(held.is_back)


def test_a_lost_route_is_restored_over_the_same_connection(held, program, until):
    held.begin_session(program)
    calls = held.calls()
    held.report(state="outage", reason="it was closed")
    until((held.tmp_path / "restored").exists)
    until(lambda: held.session.read().lost_at is None)
    assert held.calls() == calls


def test_a_line_that_returns_by_itself_is_not_restored(held, program, until):
    held.begin_session(program)
    held.report(state="outage", reason="it was closed")
    until(lambda: held.session.read().lost_at)
    held.report(state="connected", losses=1)
    until(lambda: held.session.read().lost_at is None)
    assert not (held.tmp_path / "restored").exists()


def test_a_failed_restoration_is_reported_and_repeated(held, program, until):
    held.begin_session(program)
    (held.tmp_path / "objection").write_text("sshd on login refuses a remote forward")
    held.lose()
    until(lambda: held.reason() == "the connection cannot be restored: sshd on login refuses a remote forward")
    (held.tmp_path / "objection").unlink()
    until(held.is_back)


def test_a_stub_that_ended_is_replaced(held, program, until):
    """It ends, for example, after a client that pvserver refused or another user's connection to its port."""
    held.begin_session(program)
    os.killpg(held.stub_process.pid, signal.SIGKILL)
    until((held.tmp_path / "restored").exists)
    assert held.session.read().lost_at is None and held.process.poll() is None


def test_an_outage_that_lasts_too_long_ends_the_session(held, program, until):
    held.begin_session(program, outage=-30)
    held.network("down")
    held.lose()
    held.over()
    record = held.session.read()
    assert (record.state, record.daemon) == ("unknown", None)
    assert "longer than paraview_reconnect_timeout" in record.reason
    until(lambda: not processes.alive(record.stub))


def test_disconnect_ends_the_stub(held, program, until):
    held.begin_session(program)
    assert not held.channel.request("stop", wait=60)["objection"]
    held.process.wait(30)
    until(lambda: held.stub_process.poll() is not None)
    assert not held.session.read()


def test_the_end_of_the_job_ends_the_stub(held, program, until):
    held.begin_session(program)
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    (held.tmp_path / "leave").write_text("0")
    until(lambda: held.state() == "ended")
    until(lambda: held.stub_process.poll() is not None)
    assert not os.path.exists(held.session.key_path)


def test_a_killed_job_is_reported_although_the_line_is_lost(held, program, until):
    """Its agent could not report its end to the stub."""
    held.begin_session(program)
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    held.report(state="outage", reason="it was closed")
    (held.tmp_path / "leave").write_text("0")
    until(lambda: held.state() == "ended")


def test_the_terminal_shows_once_that_paraviews_port_refused_a_connection(held, program, until):
    ours, theirs = pty.openpty()
    try:
        held.begin_session(program, terminal=[os.ttyname(theirs), processes.identity(os.getpid())])
        output = b""

        def shows(text):
            nonlocal output
            if select.select([ours], [], [], 0.05)[0]:
                output += os.read(ours, 4096)
            return text in output

        held.report(state="connected", refused="comes from the account 61001")
        until(lambda: shows(b"ParaView's port refused a connection that comes from the account 61001"))
        held.report(state="outage", reason="it was closed", refused="comes from the account 61001")
        until(lambda: shows(b"the connection was lost"))
        assert output.count(b"refused a connection") == 1
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_terminal_shows_one_line_at_the_loss_and_one_at_the_return(held, program, until):
    ours, theirs = pty.openpty()
    try:
        path = os.ttyname(theirs)
        held.begin_session(program, terminal=[path, processes.identity(os.getpid())])
        held.network("down")
        held.lose()
        output = b""

        def read():
            nonlocal output
            if select.select([ours], [], [], 0.05)[0]:
                output += os.read(ours, 4096)
            return output

        until(lambda: b"the connection was lost" in read())
        held.network("up")
        until(lambda: b"the connection is restored" in read())
        lines = [line for line in output.decode().splitlines() if line]
        assert len(lines) == 2
        assert lines[0].startswith("lab: the connection was lost at ") and lines[0].endswith("; ParaView waits until it is restored")
        assert lines[1].startswith("lab: the connection is restored after ")
    finally:
        os.close(ours)
        os.close(theirs)
