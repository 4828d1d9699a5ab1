# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of a session in one stream."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_directory import Directory
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.session import logs
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def shell(text, seconds=30):
    done = subprocess.run(["sh"], input=text.encode(), capture_output=True, timeout=seconds, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


@pytest.fixture
def remote(tmp_path):
    path = tmp_path / ".paraview-connect/0123456789abcdef"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def session(tmp_path, remote, monkeypatch):
    """A session whose connection is a shell of this machine."""
    found = sessions.Session(str(tmp_path / "state"), "demo")
    found.begin(remote_directory=str(remote), login_node="login1", daemon=processes.identity(os.getpid()), socket=str(remote))
    found.keep_connect_id(1234567)
    monkeypatch.setattr(logs, "Channel", lambda _path, _name: type("Channel", (), {"script": staticmethod(shell)}))
    return found


def texts(lines):
    return [(line.source, line.text) for line in lines]


def test_every_source_has_its_name_and_only_new_lines_are_read(session, remote):
    (remote / "log").write_text("Waiting for client...\nAccepting conn")
    Path(session.directory, "client.log").write_text("a warning\n")
    session.events.append("line", text="logged in")
    stream = logs.Logs(session)
    assert sorted(texts(stream.read(final=False))) == [("client", "a warning"), ("pvserver", "Waiting for client..."), ("session", "logged in")]
    with (remote / "log").open("a") as log:
        log.write("ection(s): c101:5\n")
    assert texts(stream.read(final=False)) == [("pvserver", "Accepting connection(s): c101:5")]
    assert stream.read() == [] and stream.missing == []


def test_the_order_is_that_of_the_times(session, remote):
    (remote / "batch.log").write_text("slurmstepd: error: *** JOB 4 ON c1 CANCELLED AT 2031-01-02T03:04:05Z DUE TO TIME LIMIT ***\nafter it\n")
    (remote / "log").write_text("2031-01-02 05:04:04+0200 first\n")
    found = logs.Logs(session).read()
    assert [line.source for line in found] == ["pvserver", "job", "job"]
    assert found[1].at == found[2].at == 1925089445


@pytest.mark.parametrize("text", ["pvserver --connect-id=1234567", "id 1234567", "connect_id.77 refused", '{"connect-id": 77}', "--Connect-ID 77"])
def test_no_connect_id_is_shown(session, remote, text):
    (remote / "log").write_text(text + "\n")
    (line,) = logs.Logs(session).read()
    assert "***" in line.text and "77" not in line.text.replace("***", "") and "1234567" not in line.text


def test_a_large_file_is_bounded_and_a_shorter_one_is_read_again(session, remote):
    (remote / "log").write_text("x" * 99 + "\n" * 1 + ("y" * 99 + "\n") * 10000)
    stream = logs.Logs(session)
    lines = stream.read()
    assert len(lines) <= logs.LIMIT // 100 + 1 and all("x" not in line.text for line in lines)
    (remote / "log").write_text("new\n")
    assert texts(stream.read()) == [("pvserver", "new")]


def test_a_file_that_another_account_could_choose_is_not_read(session, remote, tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    Path(session.directory, "client.log").symlink_to(tmp_path / "secret")
    assert logs.Logs(session).read() == []


@pytest.mark.parametrize(("fields", "why"), [
    ({"state": "failed"}, "were removed with .* on login1 when the session ended"), ({"daemon": None}, "the connection is lost.*connect continues"),
    ({"remote_directory": None}, "no job was submitted")])
def test_what_cannot_be_read_is_reported(session, fields, why):
    session.update(**fields)
    session.events.append("error", what="it failed", why="a cause", way_out="a way out")
    stream = logs.Logs(session)
    assert texts(stream.read()) == [("session", "error: it failed; a cause; a way out")]
    (sentence,) = stream.missing
    assert re.search(why, sentence)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.binary(max_size=300))
def test_anything_in_a_file_is_shown_without_controls(session, remote, data):
    (remote / "log").write_bytes(data)
    for line in logs.Logs(session).read():
        assert line.text.strip() and not set(line.text) & {chr(code) for code in range(32)} - {"\t"}


def test_names_and_offsets_of_files(remote):
    (remote / "a").write_text("one\ntwo\n")
    read = Directory(shell, str(remote)).read_on({"a": 4, "none": 0}, 100)
    assert read == {"a": ("two\n", 8)}
