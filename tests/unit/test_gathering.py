# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that share a connection gather the login node's facts once."""

import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps.gathering import Gathering

SETTINGS = {"modules": ["paraview"], "setup": "", "pvserver": ["pvserver"], "client_host": "", "nodes": 1}
GATHERED = {"facts": {"login_node": "login2", "home": "/home/alice"}, "scheduler": "slurm", "modules": ["paraview/5.13"], "client_program": "paraview",
            "server_version": "5.13.2", "login_node": "login2", "gathering_lines": ["a message of the site", "ParaView 5.13.2 here, 5.13.2 there"]}


@pytest.fixture(name="begin")
def _begin(tmp_path, short_path, monkeypatch):
    """Begins a session, and takes its step; returns the record and the lines. A session that gathers itself has the lines `gathered`."""
    monkeypatch.setattr(Gathering, "_gather", lambda self, _settings: self.show("gathered"))

    def begin(name, settings=None, **fields):
        session = Session(str(tmp_path), name)
        session.begin(settings=dict(SETTINGS, **(settings or {})), control_path=str(short_path / name), **fields)
        lines = []
        Gathering(session, None, lines.append).run()
        return session.read(), lines

    return begin


def earlier(begin, short_path, **fields):
    """Another session that has gathered over its own connection."""
    return begin("one", **dict(GATHERED, gathered_at=time.time(), state="ready"), **fields)[0]


def test_a_session_over_the_same_connection_has_the_same_facts(begin, short_path):
    one = earlier(begin, short_path)
    record, lines = begin("two", {"nodes": 8}, users_own_master=one.control_path)
    assert lines == GATHERED["gathering_lines"]
    for name, value in GATHERED.items():
        assert getattr(record, name) == value


@pytest.mark.parametrize(("settings", "fields"), [
    ({}, {}), ({"modules": ["paraview/6.0"]}, {"same": True}), ({"remote_dir": "/lustre"}, {"same": True}),
    ({"setup": "module purge"}, {"same": True}), ({"client_host": "bigscreen"}, {"same": True})],
    ids=["another connection", "other modules", "another directory", "another setup", "another client host"])
def test_a_session_that_differs_gathers_itself(begin, short_path, settings, fields):
    one = earlier(begin, short_path)
    _record, lines = begin("two", settings, users_own_master=one.control_path if fields else "")
    assert lines == ["gathered"]


def test_old_facts_and_those_of_a_session_that_is_over_are_gathered_again(begin, tmp_path, short_path):
    one = earlier(begin, short_path)
    Session(str(tmp_path), "one").update(state="ended")
    assert begin("two", users_own_master=one.control_path)[1] == ["gathered"]
    Session(str(tmp_path), "one").update(state="ready", gathered_at=time.time() - 1000)
    assert begin("three", users_own_master=one.control_path)[1] == ["gathered"]


@pytest.mark.parametrize(("note", "shown"), [
    ("not tried there", ["not tried there"]), ("from the site's page,\nread in November\n", ["from the site's page,; read in November"]),
    ("\x1b[31mred\x1b[0m {{ lookup('pipe', 'id') }}", ["red {{ lookup('pipe', 'id') }}"]), ("", []), (" \n", [])],
    ids=["plain", "two lines", "colours and a template", "none", "blank"])
def test_the_note_of_a_host_is_the_first_line(begin, note, shown):
    assert begin("one", {"note": note})[1] == [*shown, "gathered"]


def test_a_session_shows_its_own_note_once(begin, short_path):
    one = earlier(begin, short_path)
    record, lines = begin("two", {"note": "not tried there"}, users_own_master=one.control_path)
    assert lines == ["not tried there", *GATHERED["gathering_lines"]]
    assert begin("three", {"note": "not tried there"}, facts=record.facts, facts_gathered_by=None)[1] == []
