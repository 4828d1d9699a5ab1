# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's directory, in a local shell."""

import threading

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_directory
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError

ODD = "it's \"odd\" $(touch ran) `touch ran` \\n %s\n\n-e\n\ttabs\r\n# EOF caf\u00e9\n"


@pytest.fixture(name="directory")
def _directory(script, session_directory):
    return job_directory.Directory(script, str(session_directory))


def test_the_path():
    home = {"home": "/home/u/", "uid": 1000}
    assert job_directory.directory(home, "0123456789abcdef") == "/home/u/.paraview-connect/0123456789abcdef"
    elsewhere = dict(home, remote_dir="/lustre/project/u")
    assert job_directory.directory(elsewhere, "0123456789abcdef") == "/lustre/project/u/.paraview-connect-1000/0123456789abcdef"


def test_files_are_created_unchanged_and_private(directory, session_directory):
    directory.create({"job.sh": ODD, "it's": "", "pvserver.sh": "x" * 200000})
    assert {path.name: path.read_bytes().decode() for path in session_directory.iterdir()} == {
        "job.sh": ODD, "it's": "", "pvserver.sh": "x" * 200000}
    assert session_directory.stat().st_mode & 0o777 == session_directory.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in session_directory.iterdir()} == {0o600}


def test_an_existing_directory_is_not_used(directory, session_directory):
    directory.create({"a": "1"})
    with pytest.raises(SessionError, match="cannot create") as caught:
        directory.create({"a": "2"})
    assert "exists" in caught.value.why
    assert (session_directory / "a").read_text() == "1"


def test_put_replaces(directory, session_directory):
    directory.create({"go": "none\n"})
    directory.put("go", "one\n")
    directory.put("go", ODD)
    assert directory.read("go") == ODD
    assert [path.name for path in session_directory.iterdir()] == ["go"]


def test_put_without_a_directory(directory, session_directory):
    with pytest.raises(SessionError, match="cannot write go in") as caught:
        directory.put("go", "")
    assert str(session_directory) in caught.value.what
    assert caught.value.way_out


def test_a_missing_file_is_empty(directory):
    assert (directory.read("x"), directory.log(), directory.status("", 0)) == ("", "", "")
    directory.create({"go": ""})
    assert (directory.read("x"), directory.log(), directory.status("", 0)) == ("", "", "")
    directory.remove()


def test_status_waits_for_a_change(directory, session_directory, until):
    directory.create({"status": "running c101\n"})
    first = directory.status("", 10)
    assert first == "running c101"
    assert directory.status(first, 0) == first
    texts = []
    waiting = threading.Thread(target=lambda: texts.append(directory.status(first, 20)))
    waiting.start()
    with open(session_directory / "status", "a") as status:
        status.write("said $(id) 'x'\n\n")
    waiting.join()
    assert texts == ["running c101\nsaid $(id) 'x'"]
    assert directory.status(texts[0], 0) == texts[0]


def test_log_has_the_end_of_both_logs(directory, session_directory):
    directory.create({"log": "pvserver's\n", "batch.log": "x\n" * 900000 + "slurmstepd's\n"})
    shown = directory.log()
    assert "pvserver's" in shown and "slurmstepd's" in shown and "==>" not in shown
    assert len(shown) < 300000
    assert directory.read_log() == shown
    (session_directory / "batch.log").unlink()
    assert directory.log() == "pvserver's\n"


def test_a_log_that_cannot_be_read_is_not_taken_for_empty():
    hanging = job_directory.Directory(lambda _text, _seconds: (124, "", ""), "/home/u/.paraview-connect/0123456789abcdef")
    assert hanging.log() == ""
    with pytest.raises(SessionError, match="cannot read the log"):
        hanging.read_log()


def test_remove(directory, session_directory):
    directory.create({"a": "1"})
    (session_directory / "sub").mkdir()
    other = session_directory.parent / "fedcba9876543210"
    other.mkdir()
    directory.remove()
    assert not session_directory.exists() and other.exists()
    other.rmdir()
    directory.remove()
    assert not session_directory.parent.exists() and session_directory.parents[1].exists()


@pytest.mark.parametrize("path", [
    "", "/", "/home/u", "/home/u/.paraview-connect", "/home/u/.paraview-connect/", "/home/u/.paraview-connect/0123",
    "relative/.paraview-connect/0123456789abcdef",
    "/home/u/.paraview-connect/0123456789abcdef/", "/home/u/.paraview-connect/0123456789abcdef/..", "/home/u/.paraview-connect/0123456789ABCDEF",
    "/home/u/.paraview-connect/../0123456789abcdef", "/home/u/.paraview-connect/0123456789abcdef\n", "/home/u\n/.paraview-connect/0123456789abcdef",
    "/home/u/x.paraview-connect/0123456789abcdef", "~/.paraview-connect/0123456789abcdef", "/home/u/.paraview-connect/0123456789abcdef -rf /"])
def test_any_other_path_is_refused(path):
    def never(_text, _seconds):
        raise AssertionError("a script ran")

    with pytest.raises((ValueError, SessionError)):
        job_directory.Directory(never, path).remove()
