# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait for a client that is quicker than what is told of it."""

import json

import pytest
from ansible_collections.sciviz.paraview.plugins.action import paraview_client as action
from ansible_collections.sciviz.paraview.plugins.module_utils import lifeline, processes
from ansible_collections.sciviz.paraview.plugins.module_utils.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sessions import Session

# The process of a client that has ended.
GONE = [1, "0"]


class Directory:
    """The job's, whose words come some looks late."""

    def __init__(self, *texts):
        self.texts = list(texts)

    def status(self, _seen, _seconds):
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


@pytest.fixture(name="waiting")
def _waiting(tmp_path, monkeypatch):
    session = Session(str(tmp_path), "lab")
    session.begin(route="reverse_tunnel", go=True, lifeline=True, client_port=1, client=GONE, remote_directory="/d", job_id="11",
                  settings={"start_client": False, "idle": 60, "json": "", "client_port": 1}, url="csrc://127.0.0.1:1")
    session.keep_connect_id(0)
    waiting = object.__new__(action.ActionModule)
    waiting.session, waiting.name, waiting.log, waiting.left_at, waiting.said = session, "lab", str(tmp_path / "log"), None, []
    monkeypatch.setattr(action.ActionModule, "say", lambda self, line: self.said.append(line))
    monkeypatch.setattr(action, "_LATE_NEWS", 5)
    return waiting


def stub_says(session, paraview):
    with open(lifeline.Stub(session).status_path, "w") as stream:
        json.dump({"state": "connected", "paraview": paraview}, stream)


class Here:
    """Nobody listens any more."""

    uid, pause, name = 0, 0.01, ""

    def owner(self, _port):
        return None

    def lives(self, record):
        return processes.alive(record["client"])

    def last_words(self, _log, _session):
        return "server host c101"


def test_a_client_that_came_and_left_before_the_job_told_of_it(waiting):
    stub_says(waiting.session, "closed")
    directory = Directory("running c101\n", "running c101\n", "running c101\nsaid Client connected.\n")
    assert waiting._wait_connected(waiting.session.read(), directory, Here()).connected


def test_a_client_that_ended_and_was_never_there(waiting):
    stub_says(waiting.session, "waiting")
    with pytest.raises(SessionError, match="the client ended before it was connected") as caught:
        waiting._wait_connected(waiting.session.read(), Directory("running c101\n"), Here())
    assert "server host c101" in caught.value.why


def test_a_client_that_the_stub_met_before_we_saw_it_listen(waiting, monkeypatch):
    """It listens for a moment only."""
    stub_says(waiting.session, "connected")
    monkeypatch.setattr(action.routing, "client_of", lambda _record, _channel: Here())
    assert waiting._listening(waiting.session.read(), None) is False
