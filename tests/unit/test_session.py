# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Session records."""

import ast
import json
import os
import signal
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import session_record
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common import files, processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from conftest import TOP
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.one_of(st.text(min_size=1, max_size=30), st.text("./~%\\ \n\0-@:+,", min_size=1, max_size=10), st.sampled_from([".", "..", "...", "a/..", "%2E"]))


@pytest.fixture(name="base")
def _base(tmp_path):
    return str(tmp_path / "base")


@pytest.fixture(name="session")
def _session(base):
    return Session(base, "lab")


def _mode(path):
    return os.stat(path).st_mode & 0o777


def test_a_record_is_private(session, base):
    before = os.umask(0)
    try:
        session.begin(job_id=None)
        session.keep_connect_id(17)
        session.update(state="pending")
    finally:
        os.umask(before)
    assert _mode(base) == _mode(session.directory) == 0o700
    assert _mode(session.path) == _mode(session.connect_id_path) == 0o600
    assert sorted(os.listdir(session.directory)) == ["connect_id", "session.json"]


def test_a_record_is_stored(session):
    record = session.begin(job_id="17")
    assert record.state == "starting" and record.name == "lab" and len(record.id) == 16
    assert session.read() == record
    assert session.update(nodes=["c\u00e91"]) == record.with_(nodes=["c\u00e91"]) == session.read()


def test_a_record_keeps_the_order_of_a_table(session):
    """A batch system is queried in the order of its table."""
    session.begin(table={"ask": {"z": {}, "a": {}, "m": {}}})
    session.update(state="pending")
    assert list(session.read().table["ask"]) == ["z", "a", "m"]


def test_no_record(session, base):
    assert not session.read()
    assert session.report()["state"] == "gone"
    assert sessions.all_sessions(base) == []
    assert session.connect_id() == 0
    session.remove()
    session.forget_secrets()


def test_two_connects_do_not_share_a_record(session):
    first = session.begin()
    with pytest.raises(SessionError, match="another connect to lab"):
        Session(session.base, "lab").begin()
    assert session.read() == first


@pytest.mark.parametrize("state", session_record.OVER)
def test_a_record_that_is_over_is_replaced(session, state):
    first = session.begin()
    session.update(state=state)
    assert session.begin().id != first.id


def test_a_removed_record_stays_removed(session):
    session.begin()
    session.remove()
    assert not os.path.exists(session.directory)
    assert not session.update(state="connected")
    assert not session.read()


OLD = {"version": 1, "id": "0123456789abcdef", "name": "lab", "state": "connected", "route": "reverse_relay", "lifeline": True, "somebody_else": 5,
       "client_host": "desk", "go": True,
       "settings": {"lifeline": True, "outage": 3600, "line_port": 0, "deadline": 60, "idle": 1200, "launcher": None, "route": "forward", "nodes": 2,
                    "client_host": "bigscreen"}}


def test_a_record_of_an_older_version_is_read_and_keeps_its_format(session):
    """The daemon of that version still reads the record."""
    session.begin()
    with open(session.path, "w") as stream:
        json.dump(OLD, stream)
    record = session.read()
    assert (record.id, record.route, record.lifeline) == ("0123456789abcdef", "reverse_relay_unencrypted", True)
    assert (record.controller_host, record.go_file_written, record.settings["client_host"]) == ("desk", True, "bigscreen")
    assert record.settings == {"reconnect": True, "reconnect_timeout": 3600, "reconnect_port": 0, "queue_timeout": 60, "client_timeout": 1200,
                               "mpi_launcher": None, "route": "forward_unencrypted", "nodes": 2, "client_host": "bigscreen"}
    assert session.update(state="ready").state == "ready"
    with open(session.path) as stream:
        assert json.load(stream) == dict(OLD, state="ready")
    session.update(settings=dict(record.settings, queue_timeout=90), route="forward_unencrypted", go_file_written=False)
    with open(session.path) as stream:
        kept = json.load(stream)
    assert (kept["settings"], kept["route"], kept["go"]) == (dict(OLD["settings"], deadline=90), "forward", False), "a session that connect continues"
    assert set(kept) == set(OLD)
    assert session.read().settings == dict(record.settings, queue_timeout=90)


SECOND = {"version": 2, "id": "0123456789abcdef", "name": "lab", "state": "connected", "route": "forward_unencrypted", "watcher": [7, "1"],
          "route_known": {"port": 5, "relay": {}}, "client_side": {"name": "desk", "watcher": [8, "1"], "led": 4}, "settings": {"reconnect": True},
          "client_host": "here", "client_there": [9, "1"], "guest": "/run/master", "looked_by": [7, "1"], "asked": True, "go": True, "opened": [7, "1"]}
RENAMED = {"client_host": "controller_host", "client_there": "remote_client", "guest": "users_own_master", "looked_by": "facts_gathered_by",
           "asked": "was_prompted", "go": "go_file_written", "opened": "route_opened_by"}


def test_a_record_of_the_second_format_is_read_and_keeps_it(session):
    session.begin()
    with open(session.path, "w") as stream:
        json.dump(SECOND, stream)
    record = session.read()
    assert (record.daemon, record.route_state, record.settings) == ([7, "1"], {"port": 5, "relay": {}}, {"reconnect": True})
    assert record.remote_client_host == {"name": "desk", "daemon": [8, "1"], "forwarded": 4}
    session.update(daemon=None, remote_client_host=dict(record.remote_client_host, daemon=None), route_state={"port": 6})
    with open(session.path) as stream:
        assert json.load(stream) == dict(SECOND, watcher=None, client_side=dict(SECOND["client_side"], watcher=None), route_known={"port": 6})
    assert session.read().daemon is None


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_field_that_has_another_name_in_the_second_format(session, old, new):
    session.begin()
    with open(session.path, "w") as stream:
        json.dump(SECOND, stream)
    assert getattr(session.read(), new) == SECOND[old]
    session.update(**{new: None})
    with open(session.path) as stream:
        assert json.load(stream) == dict(SECOND, **{old: None})
    assert getattr(session.read(), new) is None


@pytest.mark.parametrize("version", [session_record.VERSION + 1, "2", None])
def test_a_record_of_a_newer_version_is_refused(session, version):
    session.begin()
    with open(session.path, "w") as stream:
        json.dump(dict(OLD, version=version), stream)
    with pytest.raises(SessionError, match="has form {0}".format(version)):
        session.read()


def test_a_record_has_only_declared_fields(session):
    session.begin()
    with pytest.raises(TypeError, match="no field stat"):
        session.update(stat="ready")
    assert session.read().state == "starting"


def test_every_field_that_is_written_is_declared():
    declared = set(SessionRecord().as_dict())
    for path in (TOP / "plugins").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ("update", "begin", "with_"):
                whose = ast.unparse(call.func.value)
                if whose == "session" or whose.endswith(".session"):
                    assert {one.arg for one in call.keywords if one.arg} <= declared, f"{path}:{call.lineno}"


def test_sessions_of_one_host_do_not_share_a_record(base):
    ones = [Session(base, "lab"), Session(base, "lab", "second"), Session(base, "lab=second")]
    for one in ones:
        one.begin()
    assert len({one.directory for one in ones}) == 3
    assert {(one.name, one.session) for one in sessions.all_sessions(base)} == {("lab", ""), ("lab", "second"), ("lab=second", "")}
    assert ones[1].read().session == "second"


@pytest.mark.parametrize("text", ["", "{", "\xff\xfe", "{\"state\": }"])
def test_a_damaged_record_is_reported(session, text):
    session.begin()
    with open(session.path, "w", encoding="latin-1") as stream:
        stream.write(text)
    for touch in (session.read, session.begin, session.report):
        with pytest.raises(SessionError, match="is damaged") as caught:
            touch()
        assert session.path in caught.value.what and session.directory in caught.value.way_out


def test_a_state_directory_that_is_not_valid(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="paraview_state_dir"):
        Session(str(tmp_path / "file"), "lab").begin()


@given(NAMES)
def test_odd_names_stay_below_the_state_directory(name):
    session = Session("/b", name)
    assert os.path.dirname(os.path.normpath(session.directory)) == "/b"
    assert os.path.dirname(session.path) == session.directory


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_odd_names_do_not_share_a_directory(names):
    assert len({os.path.normpath(Session("/b", name).directory) for name in names}) == 2


@pytest.mark.parametrize("name", ["lab", "alice@login.site.edu", "a b", "a/b", "../../x", "..", ".", "caf\u00e9", "%2F", "-rf", "a\nb", "[2001:db8::1]", "*"])
def test_odd_names_are_found_again(base, tmp_path, name):
    session = Session(base, name)
    (tmp_path / "bystander").write_text("")
    record = session.begin()
    Session(base, "other").begin()
    assert Session(base, name).read() == record
    assert sorted(one.name for one in sessions.all_sessions(base)) == sorted([name, "other"])
    assert sorted(os.listdir(tmp_path)) == ["base", "bystander"]
    session.remove()
    assert [one.name for one in sessions.all_sessions(base)] == ["other"]
    assert (tmp_path / "bystander").exists()


def test_connect_id(session):
    session.begin()
    session.keep_connect_id(2147483647)
    assert session.connect_id() == session.report()["connect_id"] == 2147483647
    assert "2147483647" not in session.read().text()
    session.forget_secrets()
    with pytest.raises(SessionError, match="connect-id of lab cannot be read"):
        session.connect_id()
    assert session.report()["connect_id"] is None


def test_pvserver_has_another_connect_id_than_paraview_where_a_stub_replaces_it(session):
    session.begin()
    session.keep_connect_id(17, 4711)
    assert (session.connect_id(), session.pvserver_id()) == (17, 17)
    for with_stub in ({"lifeline": True}, {"lifeline": False, "proxy": True}):
        session.update(**with_stub)
        assert (session.connect_id(), session.pvserver_id(), session.report()["connect_id"]) == (17, 4711, 17)
    assert "4711" not in session.read().text() and _mode(session.pvserver_id_path) == 0o600
    session.forget_secrets()
    with pytest.raises(SessionError, match="connect-id of lab cannot be read"):
        session.pvserver_id()
    session.keep_connect_id(18)
    assert session.pvserver_id() == 18


def test_no_connect_id(session):
    session.begin()
    session.keep_connect_id(0)
    assert session.connect_id() == 0


def test_the_record_of_a_later_session_is_not_touched(session):
    first = session.begin().id
    session.keep_connect_id(17)
    old = sessions.Session(session.base, session.name, only=first)
    session.update(state="ended")
    session.begin()
    session.keep_connect_id(18)
    old.forget_secrets()
    old.remove()
    assert not old.read() and not old.update(state="unknown")
    assert session.connect_id() == 18 and session.read().state == "starting"


def test_a_report_has_every_field(session):
    session.begin(route="reverse_tunnel", job_id="17", nodes=["c101"], client_port=5, url="csrc://127.0.0.1:5", login_node="login2",
                  ends_at=time.time() + 1000, socket="/s")
    report = session.report(state="ready")
    assert list(report) == list(sessions.REPORT) == [
        "host", "route", "state", "job_id", "nodes", "url", "client_port", "connect_id", "login_node", "time_left_s", "waited_s",
        "expected_start", "reason", "lifeline", "preset"]
    assert report["host"] == "lab" and report["state"] == "ready" and report["nodes"] == ["c101"]
    assert 900 < report["time_left_s"] <= 1000 and isinstance(report["time_left_s"], int)
    assert session.report(connect_id=None)["connect_id"] is None


def test_time_left():
    assert sessions.time_left(SessionRecord(state="ready", ends_at=time.time() - 5)) == 0
    assert sessions.time_left(SessionRecord(state="ended", ends_at=time.time() + 50)) is None
    assert sessions.time_left(SessionRecord(state="pending")) is None
    assert sessions.time_left(SessionRecord()) is None


def test_a_report_of_a_session_that_waits(session):
    session.begin(state="pending", job_id="17", submitted_at=time.time() - 100, expected_start="2026-06-12T15:40:00")
    report = session.report()
    assert 100 <= report["waited_s"] < 120 and report["expected_start"] == "2026-06-12T15:40:00"
    session.update(state="starting")
    assert (session.report()["waited_s"], session.report()["expected_start"]) == (None, None)


def test_has_daemon(tmp_path):
    assert sessions.has_daemon(SessionRecord(daemon=processes.identity(os.getpid()), socket=str(tmp_path)))
    assert not sessions.has_daemon(SessionRecord(daemon=processes.identity(os.getpid()), socket=str(tmp_path / "gone"))), "it cannot be reached"
    assert not sessions.has_daemon(SessionRecord(daemon=None)) and not sessions.has_daemon(SessionRecord())


def test_the_directory_of_records(monkeypatch):
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    assert sessions.state_directory() == "/home/u/.local/state/paraview-connect"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert sessions.state_directory("") == "/state/paraview-connect"
    assert sessions.state_directory("~/mine") == "/home/u/mine"


def test_reports_of_other_hosts_stay(tmp_path, base):
    path = tmp_path / "report.json"
    path.write_text("[]")
    path.chmod(0o644)
    sessions.write_report(base, str(path), [{"host": "a", "state": "ready"}, {"host": "b", "state": "ready"}])
    assert _mode(path) == 0o600
    sessions.write_report(base, str(path), [{"host": "c", "state": "ready"}, {"host": "a", "state": "gone"}])
    assert json.loads(path.read_text()) == [{"host": "a", "state": "gone"}, {"host": "b", "state": "ready"}, {"host": "c", "state": "ready"}]
    sessions.write_report(base, str(path), [{"host": "d"}], fresh=True)
    assert json.loads(path.read_text()) == [{"host": "d"}]
    assert sorted(os.listdir(tmp_path)) == ["base", "report.json"]


@pytest.mark.parametrize("text", ["", "{", "{}", "5", "null", "[5, {}, [1]]", "\xff"])
def test_a_damaged_report_is_replaced(tmp_path, base, text):
    path = tmp_path / "report.json"
    path.write_text(text, encoding="latin-1")
    sessions.write_report(base, str(path), [{"host": "a"}])
    assert json.loads(path.read_text()) == [{"host": "a"}]


def test_no_report_is_requested():
    sessions.write_report("/nowhere", "", [{"host": "a"}])


def test_a_report_that_cannot_be_written(tmp_path, base):
    with pytest.raises(SessionError, match="paraview_json"):
        sessions.write_report(base, str(tmp_path / "missing" / "report.json"), [{"host": "a"}])
    (tmp_path / "directory").mkdir()
    with pytest.raises(SessionError, match="paraview_json"):
        sessions.write_report(base, str(tmp_path / "directory"), [{"host": "a"}])
    assert os.listdir(tmp_path) == ["directory"]


def test_many_writers_lose_nothing(tmp_path, base):
    """Each in a process of its own, as the hosts of a play are."""
    path = tmp_path / "report.json"
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                sessions.write_report(base, str(path), [{"host": str(number)}])
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert sorted(one["host"] for one in json.loads(path.read_text())) == [str(number) for number in range(8)]


def test_a_killed_process_releases_its_lock(session):
    session.begin()
    ours, theirs = os.pipe()
    holder = os.fork()
    if holder == 0:
        with files.locked(session.base):
            os.write(theirs, b"locked")
            signal.pause()
    os.read(ours, 6)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    os.close(ours)
    os.close(theirs)
    assert session.update(state="pending").state == "pending"
