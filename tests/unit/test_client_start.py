# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait for a client, whose end may precede the reports about it."""

import json
import os
import stat
import time
from types import SimpleNamespace

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import host
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_watch import JobWatch
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Polling
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps import client_start

# The process of a client that has ended.
GONE = [1, "0"]


class Directory:
    """The job's directory, whose status file is late by some reads."""

    beat = ""

    def __init__(self, *texts):
        self.texts = list(texts)

    def status(self, _seen, _seconds, _pause=0.1):
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


def flow_of(*texts):
    """The flow of a job with these successive contents of its status file; the last one stays."""
    table = answers.TABLES["none"]
    flow = JobFlow(None, table, "", "/home/x/.paraview-connect/0123456789abcdef")
    polling = Polling(time.time())
    polling.put_off(1000)
    flow.watch = JobWatch("11", None, Directory(*texts), polling)
    return flow


@pytest.fixture(name="waiting")
def _waiting(tmp_path, monkeypatch):
    session = Session(str(tmp_path), "lab")
    session.begin(route="reverse_tunnel", go_file_written=True, lifeline=True, client_port=1, client=GONE, remote_directory="/d", job_id="11",
                  settings={"start_client": False, "client_timeout": 60, "json": "", "client_port": 1}, url="csrc://127.0.0.1:1")
    session.keep_connect_id(0)
    lines = []
    waiting = client_start.ClientStart(session, SimpleNamespace(script=None), lines.append)
    waiting.lines = lines
    monkeypatch.setattr(client_start, "_LATE_REPORT", 5)
    return waiting


def stub_reports(session, paraview):
    with open(lifeline.Stub(session).status_path, "w") as stream:
        json.dump({"state": "connected", "paraview": paraview}, stream)


class LocalClientHost:
    """A host on which no client listens any more."""

    uid, pause, name = 0, 0.01, ""

    def owner(self, _port):
        return None

    def lives(self, record):
        return processes.alive(record.client)

    def last_words(self, _log, _session):
        return "server host c101"


def test_a_client_that_ended_before_the_job_reported_it(waiting):
    stub_reports(waiting.session, "closed")
    flow = flow_of("running c101\n", "running c101\n", "running c101\nsaid Client connected.\n")
    waiting._wait_connected(waiting.session.read(), flow, LocalClientHost())
    assert flow.progress.connected


def test_a_client_that_ended_without_a_connection(waiting):
    stub_reports(waiting.session, "waiting")
    with pytest.raises(SessionError, match="the client ended before it was connected") as caught:
        waiting._wait_connected(waiting.session.read(), flow_of("running c101\n"), LocalClientHost())
    assert "server host c101" in caught.value.why


def test_a_client_that_reached_the_stub_need_not_be_seen_listening(waiting, monkeypatch):
    """It listens for a moment only."""
    stub_reports(waiting.session, "connected")
    monkeypatch.setattr(client_start.routing, "client_of", lambda _record, _channel: LocalClientHost())
    waiting._wait_until_it_listens(waiting.session.read())


class Listening(LocalClientHost):
    """A ParaView that listens and whose script reports its progress, one output for each read."""

    def __init__(self, *outputs):
        self.outputs = list(outputs)

    def owner(self, _port):
        return self.uid

    def lives(self, _record):
        return True

    def last_words(self, _log, _session):
        return self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]


def test_pvserver_connects_once_paraview_has_the_connect_id(waiting, monkeypatch):
    client = Listening("", "paraview-connect: begun\n", "paraview-connect: begun\nparaview-connect: listening\n")
    monkeypatch.setattr(client_start.routing, "client_of", lambda _record, _channel: client)
    monkeypatch.setattr(JobFlow, "of", lambda *_arguments, **_keywords: flow_of(""))
    waiting.session.update(client_by="script", settings=dict(waiting.session.read().settings, start_client=["paraview"]))
    waiting._wait_until_it_listens(waiting.session.read())
    assert client.outputs == ["paraview-connect: begun\nparaview-connect: listening\n"]


def test_another_account_on_paraviews_port_is_an_error_of_three_lines(waiting, monkeypatch):
    stranger = Listening("")
    stranger.owner = lambda _port: 4711
    monkeypatch.setattr(client_start.routing, "client_of", lambda _record, _channel: stranger)
    with pytest.raises(SessionError) as caught:
        waiting._wait_until_it_listens(waiting.session.read())
    assert caught.value.lines() == [
        "port 1 on this host is taken", "another account (uid 4711) listens there", "choose another paraview_client_port, or leave it out"]


@pytest.fixture(name="starting")
def _starting(waiting, program):
    """Starts a shell script in place of ParaView, as start_client requests."""
    started = []

    def start(text, url="cs://127.0.0.1:40123", own_command=None):
        path = program("paraview", "#!/bin/sh\n" + text)
        waiting.session.update(url=url, client=None, lifeline=False, settings=dict(waiting.session.read().settings, start_client=own_command or [path]))
        waiting.session.keep_connect_id(4711)
        record = waiting._start(waiting.session.read(), host.LocalClientHost())
        started.append(record.client)
        return record

    yield start
    for one in started + [waiting.session.read().client]:
        processes.end(one)


def watch(waiting, until, record, condition):
    """Checks the client like the step, until a condition of the record and the client's log holds; returns the record."""
    records = [record]

    def check():
        waiting.read_at = 0
        records.append(waiting._check_client(records[-1], host.LocalClientHost(), before_pvserver=False))
        return condition(records[-1], host.LocalClientHost().last_words(waiting.log, ""))

    until(check)
    return records[-1]


def test_paraview_connects_by_a_script_that_only_its_owner_can_read(waiting, starting, until):
    record = starting('echo "$#" "$@"; exec sleep 1000\n')
    path = waiting.session.script_path
    watch(waiting, until, record, lambda _record, log: log == "1 --script={0}\n".format(path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path) as stream:
        assert "'cs://127.0.0.1:40123', 4711" in stream.read()
    waiting.session.forget_secrets()
    assert not os.path.exists(path)


ASKS = 'case $1 in --script=*) {0};; esac; echo "asks: $*"; exec sleep 1000\n'


@pytest.mark.parametrize("no_script", [
    "echo 'critical: Python support not enabled. Cannot run python scripts.'; exec sleep 1000",
    "echo 'paraview-connect: unable ImportError: libGL' >&2; exec sleep 1000",
    "echo 'Python path configuration:' >&2; exit 1",
])
def test_a_paraview_that_runs_no_script_prompts_its_user(waiting, starting, until, no_script):
    first = starting(ASKS.format(no_script))
    record = watch(waiting, until, first, lambda _record, log: "asks: " in log)
    output = host.LocalClientHost().last_words(waiting.log, "")
    assert "--servers-file=" in output and "--server=lab (session " in output and "4711" not in output
    assert not processes.alive(first.client) and processes.alive(record.client)
    (line,) = waiting.lines
    assert "press OK" in line


def test_a_refused_paraview_is_reported(waiting, starting, until):
    record = starting("echo 'paraview-connect: refused pvserver at cs://127.0.0.1:40123: it has another connect-id' >&2; exec sleep 1000\n")
    with pytest.raises(SessionError, match="ParaView did not connect to cs://127.0.0.1:40123") as caught:
        watch(waiting, until, record, lambda _record, _log: False)
    assert caught.value.why.endswith("it has another connect-id") and "paraview_start_client" in caught.value.way_out


def test_output_of_the_users_own_command_is_not_parsed(waiting, starting, until):
    record = starting("", own_command=["sh", "-c", "echo 'paraview-connect: refused x'; echo \"$PV_CONNECT_ID\"; exec sleep 1000"])
    watch(waiting, until, record, lambda _record, log: "4711" in log)
    assert not waiting.lines
