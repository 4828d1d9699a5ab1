# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications: the real daemon, with stand-ins for the programs that show them."""

import json
import os
import signal
import sys
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session import notification
from ansible_collections.sciviz.paraview.plugins.module_utils.session.notification import Notifier, command_of
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from test_daemon import ERROR, driver
from test_recovery import Reconnecting

# Writes its arguments and some of its environment as one line of JSON.
SHOW = """#!{0} -IS
import json, os, sys
names = ("PARAVIEW_NOTIFY_TITLE", "PARAVIEW_NOTIFY_TEXT", "DBUS_SESSION_BUS_ADDRESS")
line = json.dumps([sys.argv[1:], [os.environ.get(name) for name in names], os.getcwd()])
with open("{1}/shown", "a") as stream:
    stream.write(line + "\\n")
print("x" * 100000)
"""
# The first driver's outcome is that the job waits, the second one's is in a file.
TWICE = 'cat >/dev/null; echo >> {0}/drivers; [ $(wc -l < {0}/drivers) != 1 ] && cat {0}/outcome || printf %s \'{{"outcome": "waiting"}}\''
READY = {"outcome": "ready", "text": "ready"}
FAILED = {"outcome": "failed", "error": ERROR}
STARTED, IS_READY = "job {0} has started", "the session is ready: ParaView can connect to cs://127.0.0.1:7"
HAS_FAILED = "the session has failed: no route works; sshd forbids it"


class Shown:
    """What was shown."""

    def __init__(self, tmp_path, program):
        self.tmp_path, self.path = tmp_path, tmp_path / "shown"
        self.program = lambda name: program(name, SHOW.format(sys.executable, tmp_path))

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def texts(self):
        return [arguments[-1] for arguments, _environment, _directory in self.lines()]


@pytest.fixture(name="shown")
def _shown(tmp_path, program):
    return Shown(tmp_path, program)


@pytest.fixture(name="reconnecting")
def _reconnecting(tmp_path, short_path, session_directory):
    held = Reconnecting(tmp_path, short_path, session_directory)
    held.started_stubs = []
    yield held
    held.clean()


def log_in(held, program, shown, command, **fields):
    """A session with a job, whose driver has this command."""
    held.begin(driver=command)
    held.control.touch()
    held.channel.request("begin_login", command=["/bin/sh"], environment={}, path=str(held.control))
    assert held.logged_in()["begun"]
    held.submit(program)
    settings = {"queue_timeout": 60, "nodes": 1, "notify": [shown.program("show")]}
    held.session.update(**{"settings": settings, "url": "cs://127.0.0.1:7", **fields})


def begin(held, program, shown):
    """A session that is handed over while a playbook follows it. The daemon has seen that much wall time is left."""
    log_in(held, program, shown, driver(READY), ends_at=time.time() + 4000)
    held.hand_over()


def end(held):
    """Disconnects. The daemon ends after all commands have ended."""
    held.channel.request("stop", wait=90)
    held.over()


# --- what the user is notified of ---


@pytest.mark.parametrize(("outcome", "text"), [(READY, IS_READY), (FAILED, HAS_FAILED)])
def test_a_job_that_has_waited_in_the_queue(held, program, until, shown, outcome, text):
    (held.tmp_path / "outcome").write_text(json.dumps(outcome))
    log_in(held, program, shown, ["/bin/sh", "-c", TWICE.format(held.tmp_path)])
    held.drive()
    until(lambda: held.events("ready", "failed"))
    if outcome is READY:
        end(held)
    else:
        held.over()
    assert sorted(shown.texts()) == sorted([STARTED.format(held.job), text])
    assert {arguments[0] for arguments, _environment, _directory in shown.lines()} == {"ParaView: lab"}


@pytest.mark.parametrize(("outcome", "text"), [(READY, IS_READY), (FAILED, HAS_FAILED)])
@pytest.mark.parametrize("followed", [True, False])
def test_a_job_that_starts_at_once(held, program, until, shown, outcome, text, followed):
    """The user who follows the session looks at the terminal."""
    log_in(held, program, shown, driver(outcome))
    if not followed:
        held.session.update(owner=None)
    held.drive()
    until(lambda: held.events("ready", "failed"))
    if outcome is READY:
        end(held)
    else:
        held.over()
    assert shown.texts() == ([] if followed else [text])


def test_a_playbook_that_follows_a_session_whose_job_has_started(held, program, until, shown):
    """Its user looks at the terminal, although the job has waited before."""
    (held.tmp_path / "outcome").write_text(json.dumps(READY))
    waits = "[ ! -e {0}/drivers ] || [ -e {0}/goes ] || exec sleep 1000; ".format(held.tmp_path)
    log_in(held, program, shown, ["/bin/sh", "-c", waits + TWICE.format(held.tmp_path)])
    held.drive()
    until(shown.texts)
    (held.tmp_path / "goes").touch()
    held.drive()
    until(lambda: held.events("ready"))
    end(held)
    assert shown.texts() == [STARTED.format(held.job)]


def test_the_end_of_a_session_whose_paraview_left_is_no_news(held, program, until, shown):
    begin(held, program, shown)
    (held.tmp_path / "client").touch()
    until(lambda: held.state() == "connected")
    (held.tmp_path / "leave").write_text("0")
    held.over()
    assert (held.state(), shown.texts()) == ("ended", [])


def test_an_unexpected_end(held, program, until, shown):
    begin(held, program, shown)
    (held.tmp_path / "leave").write_text("9")
    (held.tmp_path / "client").touch()
    held.over()
    assert held.state() == "failed"
    assert shown.texts() == ["the session has failed: " + held.session.read().reason]


def test_a_lost_connection_that_ends_the_session(held, program, until, shown):
    begin(held, program, shown)
    until(lambda: held.state() == "starting")
    os.kill(int(held.channel.script("ps -o ppid= -p $PPID")[1]), signal.SIGKILL)
    held.over()
    (text,) = shown.texts()
    assert text.startswith("the session has ended: the connection was lost (")


def test_a_lost_connection_that_is_restored(reconnecting, program, until, shown):
    reconnecting.begin_session(program)
    reconnecting.session.update(settings=dict(reconnecting.session.read().settings, notify=[shown.program("show")]))
    lost, restored = "the connection is lost; ParaView waits until it is restored", "the connection is restored after "
    for number in (1, 2):
        reconnecting.network("down")
        reconnecting.lose()
        until(lambda count=2 * number - 1: len(shown.texts()) == count)
        reconnecting.network("up")
        until(reconnecting.is_back)
        until(lambda count=2 * number: len(shown.texts()) == count)
        reconnecting.report(state="connected", losses=number)
        until(lambda: reconnecting.session.read().lost_at is None)
    assert [text[:len(restored)] if text.startswith(restored) else text for text in shown.texts()] == 2 * [lost, restored]


def test_a_short_loss_is_no_news(reconnecting, program, until, shown):
    reconnecting.begin_session(program)
    reconnecting.session.update(settings=dict(reconnecting.session.read().settings, notify=[shown.program("show")]))
    reconnecting.report(state="outage", reason="it was closed")
    until(lambda: reconnecting.session.read().lost_at)
    reconnecting.report(state="connected", losses=1)
    until(lambda: reconnecting.session.read().lost_at is None)
    reconnecting.channel.request("stop", wait=60)
    reconnecting.process.wait(30)
    assert shown.texts() == []


def test_a_login_that_only_the_user_can_finish(reconnecting, program, until, shown):
    reconnecting.begin_session(program)
    reconnecting.session.update(settings=dict(reconnecting.session.read().settings, notify=[shown.program("show")]))
    reconnecting.network("asks")
    reconnecting.lose()
    # On a slow machine the loss is shown before the first attempt has been refused.
    until(lambda: any(text.startswith("waiting for you: login requires you to log in") for text in shown.texts()))
    assert "sciviz.paraview.connect -e host=lab" in shown.texts()[-1]


def test_a_login_prompt_after_the_loss_was_shown(tmp_path, until, shown, monkeypatch):
    monkeypatch.setattr(notification, "_LONG_LOSS", 0.0)
    session = Session(str(tmp_path / "state"), "lab")
    session.begin(settings={"notify": [shown.program("show")]})
    notifier = Notifier(session, dict)
    for prompt in ("", "", "waiting for you: 1", "waiting for you: 2", ""):
        notifier.check_connection(True, prompt)
        notifier.close()
    notifier.restored("1 min")
    notifier.close()
    assert shown.texts() == ["the connection is lost; ParaView waits until it is restored", "waiting for you: 1", "the connection is restored after 1 min"]


def test_the_end_of_the_wall_time(held, program, until, shown):
    begin(held, program, shown)
    ends_at = time.time() + 890
    held.session.update(ends_at=ends_at)
    until(shown.texts)
    end(held)
    assert shown.texts() == ["job {0} ends in 15 min, at {1}".format(held.job, time.strftime("%H:%M", time.localtime(ends_at)))]


@pytest.mark.parametrize(("seconds_left", "minutes"), [
    ([3600, 901, 899, 890, 301, 299, 290, 0], [15, 5]),
    ([600, 590, 299], [5]),
    ([899, 890], []),
    ([200, 100], []),
    ([3600, 200, 100], [3]),
    ([901, 10], [1]),
    ([3600, 0], []),
    ([901, 899, 910, 899], [15]),
    ([901, 899, 4000, 890], [15, 15]),
    ([None, 901, 899, None, 299], [15, 5])])
def test_each_time_that_is_left_is_news_once(tmp_path, until, shown, seconds_left, minutes):
    """If the machine has slept, the daemon notices both times at once. If the job was extended, both lie ahead again."""
    session = Session(str(tmp_path / "state"), "lab")
    session.begin(settings={"notify": [shown.program("show")]}, job_id="17")
    notifier = Notifier(session, dict)
    for left in seconds_left:
        session.update(ends_at=None if left is None else time.time() + left + 0.5)
        notifier.next_check = 0.0
        notifier.step()
        notifier.close()
    warnings = ["job 17 ends in {0} min".format(one) for one in minutes]
    assert [text.partition(", at ")[0] for text in shown.texts()] == warnings
    events = [event["text"].partition(", at ")[0] for event in session.events.read()[0] if event["kind"] == "line"]
    assert events == warnings, "a playbook that follows the session shows them"


@pytest.mark.parametrize("follows", [True, False])
def test_the_end_of_the_wall_time_in_the_terminal(tmp_path, monkeypatch, follows):
    """It appears without paraview_notify, and once: a playbook that follows the session shows it by itself."""
    written = []
    monkeypatch.setattr(notification.terminals, "write", lambda terminal, line: written.append((terminal, line)))
    session = Session(str(tmp_path / "state"), "lab")
    owner = processes.identity(os.getpid()) if follows else None
    session.begin(settings={}, job_id="17", ends_at=time.time() + 1000, terminal=["/dev/pts/9", None], owner=owner)
    notifier = Notifier(session, dict)
    notifier.step()
    session.update(ends_at=time.time() + 720)
    notifier.next_check = 0.0
    notifier.step()
    assert [(terminal, line.partition(", at ")[0]) for terminal, line in written] == [
        (["/dev/pts/9", None], "lab: job 17 ends in 12 min")] * (not follows)


# --- how the user is notified ---


@pytest.fixture(name="notifier")
def _notifier(tmp_path):
    """A Notifier with a setting; it notifies of a failure with a reason."""
    class Failing(Notifier):
        environment = dict(os.environ, DBUS_SESSION_BUS_ADDRESS="unix:path=/x")

        def __init__(self, setting):
            session = Session(str(tmp_path / "state"), "lab")
            session.begin(settings={} if setting is None else {"notify": setting})
            super().__init__(session, lambda: {"environment": self.environment, "working_directory": str(tmp_path)})

        def fail(self, what, why=""):
            self.failed(SessionError(what, why, "look"), is_followed=False)
            self.close()

    return Failing


def test_a_command_of_the_users_own(notifier, shown, tmp_path):
    notifier([shown.program("show"), "-x", "$HOME; id"]).fail("it's over")
    text = "the session has failed: it's over"
    assert shown.lines() == [[["-x", "$HOME; id", "ParaView: lab", text], ["ParaView: lab", text, "unix:path=/x"], str(tmp_path)]]


def test_text_of_the_site_is_data(notifier, shown):
    notifier([shown.program("show")]).fail("a\x1b[31m\x07\nb\u202e\x00 \ud800 $(id)\t`id`", "because " + 1000 * "x")
    (text,) = shown.texts()
    assert text.startswith("the session has failed: a; b \ufffd $(id) `id`; because xxx") and len(text) < 310


def test_a_log_is_no_text_for_a_desktop(notifier, shown):
    notifier([shown.program("show")]).fail("job 17 died", "out of memory; the end of its log:\n   secret")
    assert shown.texts() == ["the session has failed: job 17 died; out of memory"]


@pytest.mark.parametrize("setting", [None, False, [], ["/no/such/program"], True])
def test_nothing_happens_without_a_program(notifier, shown, tmp_path, setting):
    notifier.environment = {"PATH": str(tmp_path / "bin"), "DISPLAY": ":0"}
    one = notifier(setting)
    one.fail("over")
    assert one.running == [] and shown.lines() == []


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", ""])
def test_notify_send_needs_a_desktop(notifier, shown, tmp_path, variable):
    shown.program("notify-send")
    notifier.environment = {"PATH": str(tmp_path / "bin"), variable or "TERM": "1"}
    notifier(True).fail("-o <b>a</b> & \\074")
    text = "the session has failed: -o &lt;b&gt;a&lt;/b&gt; &amp; \\\\074"
    assert [line[0] for line in shown.lines()] == ([["--app-name=ParaView", "--", "ParaView: lab", text]] if variable else [])


def test_osascript_gets_the_text_as_an_argument(notifier, shown, tmp_path):
    shown.program("osascript")
    notifier.environment = {"PATH": str(tmp_path / "bin")}
    notifier(True).fail('" & (do shell script "id") & "')
    (words,) = [line[0] for line in shown.lines()]
    assert words == ["-e", "on run argv", "-e", "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run",
                     "ParaView: lab", 'the session has failed: " & (do shell script "id") & "']


def test_a_desktop_has_one_program(tmp_path, program):
    program("notify-send", ""), program("osascript", "")
    found = command_of(True, "title", "text", {"PATH": "/nowhere:" + str(tmp_path / "bin"), "DISPLAY": ":0"})
    assert found[0] == "notify-send"


def test_a_command_that_hangs_is_killed_and_delays_nothing(held, program, until, shown):
    """It has started another process, and ignores SIGTERM."""
    begin(held, program, shown)
    pids = held.tmp_path / "pids"
    hangs = program("hangs", "#!/bin/sh\ntrap '' TERM\nsleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait\n".format(pids))
    held.session.update(settings={"notify": [hangs]}, ends_at=time.time() + 890)
    until(pids.exists)
    began = time.monotonic()
    assert held.channel.script("echo here")[1] == "here\n"
    assert time.monotonic() - began < 3
    command, other = pids.read_text().split()
    until(lambda: not os.path.exists("/proc/" + command))  # a zombie would still be there
    until(lambda: processes.started(int(other)) is None)
    assert held.process.poll() is None


def test_a_session_ends_although_its_last_command_hangs(held, program, shown):
    begin(held, program, shown)
    hangs = program("hangs", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n")
    held.session.update(settings={"notify": [hangs]})
    (held.tmp_path / "leave").write_text("9")
    (held.tmp_path / "client").touch()
    held.over()
    assert held.state() == "failed" and not held.left()
