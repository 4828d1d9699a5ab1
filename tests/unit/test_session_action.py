# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disconnect while a session ends by itself, and a session that another ParaView requests."""

import subprocess
import types

import pytest
from ansible_collections.sciviz.paraview.plugins.action import session as action
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import ChannelLost


@pytest.fixture(name="ending")
def _ending(tmp_path, monkeypatch):
    """A session whose daemon ends at the moment when it is asked to stop."""
    daemon = subprocess.Popen(["sleep", "1000"])
    session = Session(str(tmp_path), "lab")
    session.begin(state="ready", job_id="11", target={"host": "login"}, daemon=processes.identity(daemon.pid), socket=str(tmp_path / "socket"))
    (tmp_path / "socket").touch()

    class Channel:
        requests = 0
        state = "ended"

        def __init__(self, _path, host):
            self.host = host

        def request(self, operation, **_arguments):
            assert operation == "stop"
            Channel.requests += 1
            session.update(state=Channel.state, daemon=None)
            daemon.kill()
            daemon.wait()
            raise ChannelLost("the connection to lab is gone", "Connection refused", "connect again")

    monkeypatch.setattr(action, "Channel", Channel)
    monkeypatch.setattr(action, "log_in", lambda *_arguments: pytest.fail("no login is needed"))
    ending = object.__new__(action.ActionModule)
    ending.session, ending.name, ending.channel = session, "lab", Channel
    yield ending
    daemon.kill()
    daemon.wait()


def test_disconnect_at_the_moment_when_the_session_ends(ending):
    ending._undo(ending.session.read())
    assert ending.channel.requests == 1


def test_disconnect_from_a_daemon_that_died(ending, monkeypatch):
    """Its session is not over, so disconnect logs in again, once, and undoes the session itself."""
    ending.channel.state = "ready"
    logins = []
    monkeypatch.setattr(action.ActionModule, "owner", [1, "1"])
    monkeypatch.setattr(action.ActionModule, "_password", lambda _self: "")
    monkeypatch.setattr(action.openssh, "Target", lambda **fields: fields)
    monkeypatch.setattr(action, "log_in", lambda *_arguments: logins.append(1) or {"daemon": [1, "gone"], "socket": "/nowhere"})
    with pytest.raises(ChannelLost):
        ending._undo(ending.session.read())
    assert logins == [1] and ending.channel.requests == 2


@pytest.fixture(name="open_session")
def _open_session(tmp_path):
    """A session for a ParaView at port 20001 with connect-id 17, and the action of another connect."""
    connect = object.__new__(action.ActionModule)
    connect.name = "lab"
    connect.session = Session(str(tmp_path), "lab")
    connect.session.begin(state="pending", job_id="11", client_port=20001, url="csrc://127.0.0.1:20001", route="reverse_tunnel", nodes=["c1"],
                          route_state={"client_port": 20001, "port": 4000, "address": "10.0.0.1"}, settings={"client_port": 20001})
    connect.session.keep_connect_id(17)
    return connect


OPTIONS = {"client_process": 1, "client_port": 20002, "connect_id": 18}


@pytest.mark.parametrize("options", [OPTIONS, dict(OPTIONS, client_port=20001), dict(OPTIONS, connect_id=17)])
def test_a_second_paraview_is_refused_the_session_of_another(open_session, options):
    with pytest.raises(SessionError, match="not for this ParaView\n.*job 11 on c1 is pending\n.*disconnect -e host=lab"):
        open_session._refuse_another(open_session.session.read(), options)


@pytest.mark.parametrize("options", [
    dict(OPTIONS, client_port=20001, connect_id=17), dict(OPTIONS, client_port=0, connect_id=None), dict(OPTIONS, client_process=0)])
def test_the_same_paraview_is_not_refused(open_session, options):
    open_session._refuse_another(open_session.session.read(), options)
    assert open_session._adopt(open_session.session.read(), options).client_port == 20001


def test_a_job_in_the_queue_is_refused_to_an_incompatible_paraview(open_session):
    """The entry in ParaView's Connect dialog sends its version."""
    record = open_session.session.update(server_version="5.11.0", login_node="login2")
    with pytest.raises(SessionError, match="ParaView 6.1.1 here does not match pvserver 5.11.0 on login2"):
        open_session._refuse_version(record, {"client_version": "6.1.1"})
    open_session._refuse_version(record, {"client_version": "5.11.2"})
    open_session._refuse_version(record, {"client_version": ""})
    open_session._refuse_version(open_session.session.update(server_version=""), {"client_version": "6.1.1"})


def test_before_pvserver_has_its_arguments_another_paraview_gets_the_session(open_session):
    record = open_session._adopt(open_session.session.read(), OPTIONS)
    assert (record.client_port, record.url, record.settings["client_port"]) == (20002, "csrc://127.0.0.1:20002", 20002)
    assert record.route_state == {"client_port": 20002, "port": None, "address": "10.0.0.1"}
    assert open_session.session.connect_id() == 18


@pytest.mark.parametrize(("given", "differs"), [(None, False), (17, True), (0, False)])
def test_pvserver_gets_another_connect_id_than_the_one_that_was_given(open_session, given, differs):
    open_session._keep_connect_id(given)
    record = open_session.session.update(lifeline=True)
    first, second = open_session.session.connect_id(), open_session.session.pvserver_id()
    assert record.has_pvserver_id is differs is (first != second)
    assert given in (None, first) and (second > 0) is (given != 0)


def test_a_paraview_that_takes_a_session_over_gets_a_new_connect_id_at_pvserver_too(open_session):
    open_session.session.update(proxy=True, route_state={"client_port": 5000, "port": 4000, "address": "10.0.0.1"})
    open_session._keep_connect_id(17)
    before = open_session.session.pvserver_id()
    record = open_session._adopt(open_session.session.read(), OPTIONS)
    assert open_session.session.connect_id() == 18 and open_session.session.pvserver_id() not in (18, before)
    assert (record.client_port, record.route_state["client_port"]) == (20002, 5000), "the route ends at the proxy"


def test_a_connect_that_resumes_a_session_changes_its_notifications_and_not_its_job(open_session, monkeypatch):
    defaults = {name: about["default"] for name, about in settings.SPEC.items()}
    before = settings.check(dict(defaults, client_port=20001, nodes=2))
    record = open_session.session.update(settings={name: value for name, value in before.items() if name != "notify"})
    lines = []
    monkeypatch.setattr(action.ActionModule, "owner", [1, "1"])
    monkeypatch.setattr(open_session, "show", lines.append)
    open_session._task = types.SimpleNamespace(check_mode=False)
    open_session._continue(record, settings.check(dict(defaults, client_port=20001, notify="notify.sh")))
    now = open_session.session.read().settings
    assert (now["notify"], now["nodes"]) == (["notify.sh"], 2)
    assert lines[1].endswith("disconnect first to change paraview_nodes")


def test_a_connect_that_resumes_a_session_does_not_report_what_the_site_has_changed(open_session, monkeypatch):
    options = settings.check(dict({name: about["default"] for name, about in settings.SPEC.items()}, client_port=20001))
    record = open_session.session.update(settings=dict(options, walltime=1800, reconnect=False), changed_by_site={"walltime": 3600, "reconnect": True})
    lines = []
    monkeypatch.setattr(action.ActionModule, "owner", [1, "1"])
    monkeypatch.setattr(open_session, "show", lines.append)
    open_session._task = types.SimpleNamespace(check_mode=False)
    open_session._continue(record, options)
    assert len(lines) == 1 and lines[0].startswith("resuming")
    assert open_session.session.read().settings["walltime"] == 1800
