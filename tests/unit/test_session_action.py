# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a session, while it comes to its end by itself."""

import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.action import session as action
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import ChannelLost


@pytest.fixture(name="ending")
def _ending(tmp_path, monkeypatch):
    """A session whose daemon leaves in the moment in which it is asked to stop."""
    daemon = subprocess.Popen(["sleep", "1000"])
    session = Session(str(tmp_path), "lab")
    session.begin(state="ready", job_id="11", target={"host": "login"}, daemon=processes.identity(daemon.pid), socket=str(tmp_path / "socket"))
    (tmp_path / "socket").touch()

    class Channel:
        asked = 0
        state = "ended"

        def __init__(self, _path, host):
            self.host = host

        def request(self, operation, **_arguments):
            assert operation == "stop"
            Channel.asked += 1
            session.update(state=Channel.state, daemon=None)
            daemon.kill()
            daemon.wait()
            raise ChannelLost("the connection to lab is gone", "Connection refused", "connect again")

    monkeypatch.setattr(action, "Channel", Channel)
    monkeypatch.setattr(action, "log_in", lambda *_arguments: pytest.fail("nothing is left to log in for"))
    ending = object.__new__(action.ActionModule)
    ending.session, ending.name, ending.channel = session, "lab", Channel
    yield ending
    daemon.kill()
    daemon.wait()


def test_disconnect_in_the_moment_in_which_the_session_ends(ending):
    ending._undo(ending.session.read())
    assert ending.channel.asked == 1


def test_disconnect_of_a_watcher_that_died(ending, monkeypatch):
    """It did not say that it was over: disconnect logs in anew, once, and does it itself."""
    ending.channel.state = "ready"
    logins = []
    monkeypatch.setattr(action.ActionModule, "owner", [1, "1"])
    monkeypatch.setattr(action.ActionModule, "_password", lambda _self: "")
    monkeypatch.setattr(action.openssh, "Target", lambda **fields: fields)
    monkeypatch.setattr(action, "log_in", lambda *_arguments: logins.append(1) or {"daemon": [1, "gone"], "socket": "/nowhere"})
    with pytest.raises(ChannelLost):
        ending._undo(ending.session.read())
    assert logins == [1] and ending.channel.asked == 2


@pytest.fixture(name="open_session")
def _open_session(tmp_path):
    """A session for a ParaView at port 20001 with connect-id 17, and the action of another connect."""
    taking = object.__new__(action.ActionModule)
    taking.name = "lab"
    taking.session = Session(str(tmp_path), "lab")
    taking.session.begin(state="pending", job_id="11", client_port=20001, url="csrc://127.0.0.1:20001", route="reverse_tunnel", nodes=["c1"],
                         route_state={"client_port": 20001, "port": 4000, "address": "10.0.0.1"}, settings={"client_port": 20001})
    taking.session.keep_connect_id(17)
    return taking


WISHES = {"client_process": 1, "client_port": 20002, "connect_id": 18}


@pytest.mark.parametrize("wishes", [WISHES, dict(WISHES, client_port=20001), dict(WISHES, connect_id=17)])
def test_a_second_paraview_is_told_that_the_session_is_anothers(open_session, wishes):
    with pytest.raises(SessionError, match="not for this ParaView\n.*job 11 on c1 is pending\n.*disconnect -e host=lab"):
        open_session._refuse_another(open_session.session.read(), wishes)


@pytest.mark.parametrize("wishes", [
    dict(WISHES, client_port=20001, connect_id=17), dict(WISHES, client_port=0, connect_id=None), dict(WISHES, client_process=0)])
def test_whoever_is_no_other_paraview_is_not_refused(open_session, wishes):
    open_session._refuse_another(open_session.session.read(), wishes)
    assert open_session._adopt(open_session.session.read(), wishes).client_port == 20001


def test_a_job_in_the_queue_is_not_for_a_paraview_of_another_version(open_session):
    """The Connect dialog of a ParaView says which one asks."""
    record = open_session.session.update(server_version="5.11.0", login_node="login2")
    with pytest.raises(SessionError, match="ParaView 6.1.1 here does not match pvserver 5.11.0 on login2"):
        open_session._refuse_version(record, {"client_version": "6.1.1"})
    open_session._refuse_version(record, {"client_version": "5.11.2"})
    open_session._refuse_version(record, {"client_version": ""})
    open_session._refuse_version(open_session.session.update(server_version=""), {"client_version": "6.1.1"})


def test_before_pvserver_has_its_arguments_the_session_becomes_another_paraviews(open_session):
    record = open_session._adopt(open_session.session.read(), WISHES)
    assert (record.client_port, record.url, record.settings["client_port"]) == (20002, "csrc://127.0.0.1:20002", 20002)
    assert record.route_state == {"client_port": 20002, "port": None, "address": "10.0.0.1"}
    assert open_session.session.connect_id() == 18
