# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of ours with other content, and answers of a login node with other text: an error of ours or nothing, never a traceback, and nothing hidden."""

import json
import os
import subprocess
import unicodedata

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import remote, start_script
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts, heartbeat, place, site_file, site_modules, status_file
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners, processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import drawing, probes
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import report as checks
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.caller import Caller
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import installed, log_causes, version_probe, versions
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.tables.registry import TABLES
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session import site_yaml, stub_report, table
from ansible_collections.sciviz.paraview.plugins.module_utils.session.follower import Screen, Viewer
from ansible_collections.sciviz.paraview.plugins.module_utils.session.live_screen import laid_out, live_text
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import messages
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.shell import Shell, ShellLost
from hypothesis import given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)
OF_ONES_OWN = {"id": "0123456789abcdef", "name": "lab", "state": "ready", "daemon": [os.getpid(), "1"], "nodes": ["c101"], "job_id": "17",
               "url": "cs://127.0.0.1:1", "lifeline": True, "ends_at": 2e9, "submitted_at": 1e9}
HIDDEN = "\u202e\u2066\u200f\ufeff\x1b[2J\x9b"


@pytest.fixture(name="session", scope="module")
def _session(tmp_path_factory):
    session = Session(str(tmp_path_factory.mktemp("state") / "base"), "lab")
    session.begin()
    return session


def write(session, name, text):
    with open(os.path.join(session.directory, name), "w", encoding="utf-8", errors="surrogatepass") as stream:
        stream.write(text)


# --- files of ours


def used(session):
    """What the playbooks do with a record; an error of ours if that is not possible."""
    record = session.read()
    session.report()
    table.lines([session.report()])
    for process in (record.owner, record.daemon, record.client, record.stub, record.waiting):
        processes.alive(process)
    sessions.has_daemon(record)
    sessions.is_lost(record)
    sessions.holds_work(record)
    sessions.readable_records(session.base)
    live_text(record.name, record, "", 2e9, 80)
    session.update(reason="changed")


@pytest.mark.parametrize("name", sorted(SessionRecord().as_dict()))
@settings(max_examples=30)
@given(value=JSON, version=st.sampled_from([1, 2, 3]))
def test_any_value_in_any_field_of_a_record(session, name, value, version):
    write(session, "session.json", json.dumps(dict(dict(OF_ONES_OWN, version=version), **{name: value})))
    try:
        used(session)
    except SessionError as error:
        assert len(error.lines()) == 3 and session.path in error.what


@given(JSON)
def test_a_record_that_is_any_json(session, value):
    write(session, "session.json", json.dumps(value))
    try:
        used(session)
    except SessionError as error:
        assert len(error.lines()) == 3


def test_a_record_that_is_cut_off_anywhere(session):
    text = json.dumps(OF_ONES_OWN, indent=1)
    for length in range(len(text)):
        write(session, "session.json", text[:length])
        with pytest.raises(SessionError, match="is damaged"):
            session.read()
        assert sessions.readable_records(session.base) == ([], True)


@pytest.mark.parametrize("name", ["daemon", "owner", "client", "stub"])
@pytest.mark.parametrize("value", [[-1, "1"], [0, "1"], ["1", "1"], [1], [1, "1", "1"], [True, "1"], [1, 1], [1 << 31, "1"], "ab"])
def test_no_signal_is_sent_to_what_is_no_process(session, name, value):
    """kill(-1) ends everything."""
    write(session, "session.json", json.dumps(dict(OF_ONES_OWN, **{name: value})))
    with pytest.raises(SessionError, match="is damaged"):
        session.read()


def test_every_record_of_ours_has_the_right_types(session):
    write(session, "session.json", SessionRecord(**OF_ONES_OWN).text())
    assert session.read() == SessionRecord(**OF_ONES_OWN)


def test_a_record_that_is_nested_too_deeply(session):
    write(session, "session.json", "[" * 200000)
    with pytest.raises(SessionError, match="is damaged"):
        session.read()


class Shown(Screen):
    def __init__(self):
        self.lines = []

    def line(self, name, text):
        self.lines.append(text)

    def error(self, name, lines):
        self.lines += lines


@given(st.lists(st.fixed_dictionaries({"kind": st.sampled_from(
    ["begun", "line", "prompt", "error", "ready", "ended", "detached", "open", "checked", "failed", "submitted", "new"])}, optional=dict.fromkeys(
        ("text", "owner", "id", "private", "what", "why", "way_out", "kept", "advice"), JSON)), max_size=4))
def test_any_event_is_shown_or_passed_over(session, events):
    write(session, "session.json", json.dumps(OF_ONES_OWN))
    owner = [1, "1"]
    write(session, "events.jsonl", "".join(json.dumps(event) + "\n" for event in [{"kind": "begun", "owner": owner}, *events]))
    shown = Shown()
    Viewer(session, owner, shown).step()
    assert all(isinstance(line, str) for line in shown.lines)


@given(st.binary(max_size=200))
def test_an_event_log_with_any_content(session, content):
    write(session, "events.jsonl", "")
    with open(session.events.path, "wb") as stream:
        stream.write(content)
    assert all(isinstance(event["kind"], str) for event in session.events.read()[0])


@given(JSON)
def test_a_report_of_the_stub_with_any_content(session, value):
    write(session, "session.json", json.dumps(OF_ONES_OWN))
    write(session, stub_report.NAME, json.dumps(value))
    assert table.lines([session.report()])
    write(session, stub_report.NAME, json.dumps(dict.fromkeys(["state", "reason", "waiting_bytes", "losses", "encrypted"], value)))
    assert table.lines([session.report()])


@given(JSON)
def test_an_earlier_report_with_any_content(session, value):
    path = os.path.join(os.path.dirname(session.base), "report.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream)
    sessions.write_report(session.base, path, [{"host": "lab"}])
    with open(path, encoding="utf-8") as stream:
        assert {"host": "lab"} in json.load(stream)


# --- answers of a site


def site_values(text):
    facts.settings(site_file.read(text)[0])
    try:
        facts.settings(site_yaml.load(text))
    except ValueError:
        pass


def gathered(text):
    try:
        facts.read(text, TABLES)
    except (KeyError, ValueError):
        pass  # facts_of() makes an error of ours of them.


READERS = {
    "facts": gathered, "site.yml": site_values, "source": facts.read_source, "look": place.read_look, "status": status_file.Progress,
    "status of pvserver": lambda text: status_file.Progress("said " + text), "listeners": listeners.parse, "identity": remote.read_identity,
    "start script": start_script.state, "ParaViews": installed.read, "version": versions.read,
    "version of a pvserver": lambda text: version_probe.read_answer(text, [], "pvserver"), "modules": site_modules.names,
    "the node's check": lambda text: probes.read_job(text, "c101", "login1", "pvserver"), "frame": lambda text: drawing.read(text, "c101", 1),
    "ssh": lambda text: (messages.explain("login", text), messages.explain_shell("login", "ended", text), messages.unreachable(text)),
    "log": log_causes.explain, "heartbeat": lambda text: heartbeat.Heartbeat().update(text),
}
WORDS = st.lists(st.sampled_from([
    "==", "host", "uid", "user", "over", "kind", "own", "real", "drawn", "-", "renderer", "gpus", "dial", "yes", "running", "nodes", "ended", "agent", "ranks",
    "0", "-1", "\u00b2", "\u0663", "9" * 30, "c101", "c[1-", "127.0.0.1", "999.1.1.1", ":", "\n", "\n==", " ", "\t", "LISTEN", "uid:", "[", "]", "{", "}",
    "limits:", "walltime", "closed:", "- ", "&a [*a]", "!!timestamp x", "!!int x", "!!bool x", "2001-99-99", HIDDEN]), max_size=30).map("".join)


@pytest.mark.parametrize("name", sorted(READERS))
@given(text=st.text(max_size=60) | WORDS)
def test_any_answer_of_a_site_is_read_or_passed_over(name, text):
    READERS[name](text)


@pytest.mark.parametrize("status", ["", "x", "-", "\u00b2", "1_0", "9" * 5000, "[]"])
def test_a_shell_that_answers_without_an_exit_status(status):
    """A login node may answer anything, even with the mark that ends an answer."""
    program = """
import re, sys
for line in sys.stdin:
    for mark in re.findall("printf .*([0-9a-f]{24}) .*[$]", line):
        print("\\n" + mark, sys.argv[1], flush=True)
        print("\\n" + mark, file=sys.stderr, flush=True)
"""
    process = subprocess.Popen(["python3", "-c", program, status], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with pytest.raises(SessionError, match="gave no exit status") as caught:
            Shell(process).run("true", 20)
        assert len(caught.value.lines()) == 3
    except ShellLost:
        pytest.fail("the stand-in ended")
    finally:
        process.kill()
        process.communicate()


# --- where a site's words are shown


def pieces(name):
    """A text of a site, shown at one place."""
    if name == "table":
        return "\n".join(table.lines([dict(dict.fromkeys(sessions.REPORT), host="lab", state="failed", nodes=["c" + HIDDEN], reason="a" + HIDDEN + "b")]))
    if name == "doctor's page":
        return checks.page("lab", [checks.Check("node", "pvserver", "failed", "a" + HIDDEN + "b", "c" + HIDDEN, "site", "d" + HIDDEN)])
    if name == "doctor's table":
        return "\n".join(checks.table([checks.failed("node", "pvserver", "a" + HIDDEN + "b", "site", "d", "c" + HIDDEN)]))
    if name == "the callback's live line":
        return live_text("lab", SessionRecord(state="starting", reason="a" + HIDDEN + "b"), "", 0, 80)
    if name == "the callback's lines":
        return "\n".join(laid_out("lab", "a" + HIDDEN + "b", 80))
    values = facts.settings({"message": "a" + HIDDEN + "b", "queue": "q" + HIDDEN, "modules": ["m" + HIDDEN]})
    return " ".join([values["message"], values["queue"]] + values["modules"])


@pytest.mark.parametrize("name", ["table", "doctor's page", "doctor's table", "the callback's live line", "the callback's lines", "site.yml"])
def test_nothing_hidden_is_shown(name):
    shown = pieces(name)
    assert "a" in shown and not [char for char in shown if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]


def test_nothing_hidden_is_shown_by_the_launcher(capfd):
    caller = Caller()
    caller.show("a" + HIDDEN + "b")
    caller.show_error("c" + HIDDEN + "d")
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("ab\n", "cd\n")
