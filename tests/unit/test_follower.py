# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook shows of a session that drives itself."""

import subprocess
import threading

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session import follower as module
from ansible_collections.sciviz.paraview.plugins.module_utils.session.event_log import EventLog
from ansible_collections.sciviz.paraview.plugins.module_utils.session.follower import Follower, Screen
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.prompts import Asker

OWNER, OTHER = [17, "1"], [18, "2"]


class Seen(Screen):
    """Records all that is shown."""

    def __init__(self):
        self.lines = []

    def line(self, name, text):
        self.lines.append((name, text))

    def error(self, name, lines):
        self.lines.append((name, *lines))


class User(Asker):
    """Gives one answer to everything."""

    def __init__(self, answer):
        self.given, self.asked = answer, []

    def ask(self, text, private):
        self.asked.append((text, private))
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


@pytest.fixture(name="daemon")
def _daemon():
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture(name="session")
def _session(tmp_path, daemon):
    session = Session(str(tmp_path), "lab")
    session.begin(daemon=processes.identity(daemon.pid), socket=str(tmp_path / "socket"))
    (tmp_path / "socket").touch()
    session.events.append("begun", owner=OWNER)
    return session


def following(session, answer=b"", owner=None):
    return Follower(session, owner or OWNER, Seen(), User(answer))


def test_lines_are_shown_in_their_order_until_the_session_is_ready(session):
    session.events.append("line", text="route node_tunnel")
    follower = following(session)
    session.events.append("submitted")
    session.events.append("ready", text="ready after 3 s")
    session.events.append("line", text="never shown")
    assert follower.step()
    assert follower.screen.lines == [("lab", "route node_tunnel"), ("lab", "ready after 3 s")]
    assert follower.submitted and follower.over["kind"] == "ready" and follower.error is None
    assert not follower.step()


def test_only_events_since_this_playbook_came_are_shown(session):
    session.events.append("line", text="for the first")
    session.events.append("begun", owner=OTHER)
    session.events.append("line", text="resuming", owner=OTHER)
    session.events.append("line", text="for both")
    second, first = following(session, owner=OTHER), following(session)
    second.step()
    first.step()
    assert [text for _name, text in second.screen.lines] == ["resuming", "for both"]
    assert [text for _name, text in first.screen.lines] == ["for the first", "for both"]


def test_a_session_that_another_playbook_began_is_not_followed(session):
    assert not following(session, owner=OTHER).begun


def test_an_error_has_three_lines(session, daemon):
    follower = following(session)
    session.events.append("error", what="no route works", why="sshd forbids it", way_out="ask the site")
    session.update(state="failed", daemon=None)
    daemon.kill()
    daemon.wait()
    session.events.append("failed", kept=False)
    follower.step()
    assert follower.screen.lines == [("lab", "no route works", "sshd forbids it", "ask the site")]
    assert str(follower.error) == "no route works\nsshd forbids it\nask the site"
    follower.clear_up()
    assert not session.read(), "nothing is left of it"


@pytest.mark.parametrize("answer", [b"open sesame", None, b"\xff\xfe"])
def test_a_prompt_is_answered(session, monkeypatch, answer):
    requests = []
    monkeypatch.setattr(module.Channel, "request", lambda _self, operation, **given: requests.append((operation, given)))
    follower = following(session, answer)
    session.events.append("prompt", id="7", text="Password: ", private=True)
    follower.step()
    assert follower.asker.asked == [("Password: ", True)]
    ((operation, given),) = requests
    assert (operation, given["id"]) == ("answer", "7")
    assert (given["text"] if answer is None else given["text"].encode("utf-8", "surrogateescape")) == answer
    assert "sesame" not in str(session.events.read())


def test_a_prompt_that_is_interrupted_is_cancelled(session, monkeypatch):
    requests = []
    monkeypatch.setattr(module.Channel, "request", lambda _self, _operation, **given: requests.append(given))
    follower = following(session, SessionError("the login on lab was cancelled"))
    session.events.append("prompt", id="7", text="Password: ", private=True)
    follower.step()
    assert requests == [{"id": "7", "cancelled": True}]


def test_a_daemon_that_is_killed_is_an_error(session, daemon):
    follower = following(session)
    daemon.kill()
    daemon.wait()
    follower.step()
    assert follower.over["kind"] == "failed" and follower.error.what == "the session of lab was ended"


def test_of_a_killed_daemon_nothing_is_left(session, daemon, tmp_path):
    left = [tmp_path / name for name in ("socket", "master", "master.n", "master.a", "master.r1234")]
    for path in left:
        path.touch()
    other = tmp_path / "other"
    other.touch()
    session.update(control_path=str(tmp_path / "master"))
    follower = following(session)
    daemon.kill()
    daemon.wait()
    follower.step()
    follower.clear_up()
    assert not session.read()
    assert not [path for path in left if path.exists()] and other.exists()


def test_a_session_that_continues_under_another_daemon_is_followed(session, daemon, tmp_path):
    follower = following(session)
    daemon.kill()
    daemon.wait()
    other = subprocess.Popen(["sleep", "1000"])
    try:
        session.update(daemon=processes.identity(other.pid), socket=str(tmp_path / "socket"))
        follower.step()
        assert follower.over is None
    finally:
        other.kill()
        other.wait()


def test_a_log_is_read_by_complete_lines(tmp_path):
    log = EventLog(str(tmp_path / "events"))
    assert log.read() == ([], 0)
    log.append("line", text="one")
    with open(log.path, "ab") as stream:
        stream.write(b'{"kind": "li')
    events, offset = log.read()
    assert [event["text"] for event in events] == ["one"]
    with open(log.path, "ab") as stream:
        stream.write(b'ne", "text": "two"}\n')
    assert [event["text"] for event in log.read(offset)[0]] == ["two"]


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path):
    log = EventLog(str(tmp_path / "events"))

    def write(name):
        for number in range(200):
            log.append("line", text="{0} {1}".format(name, number), more="x" * 500)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [event["text"] for event in log.read()[0]]
    assert sorted(texts) == sorted("{0} {1}".format(name, number) for name in "ab" for number in range(200))


def test_the_log_of_a_removed_session_stays_removed(tmp_path):
    EventLog(str(tmp_path / "gone" / "events")).append("line", text="one")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("damage", [b'{"kind": "line", "te', b"\0\0\0\0", b"[]\n", b"\xff\n", b'{"text": "no kind"}\n'])
def test_a_damaged_line_costs_that_line_alone(tmp_path, damage):
    """The disk was full, or the power failed."""
    log = EventLog(str(tmp_path / "events"))
    log.append("line", text="one")
    with open(log.path, "ab") as stream:
        stream.write(damage)
    log.append("line", text="two")
    assert [event["text"] for event in log.read()[0]] == ["one", "two"]
