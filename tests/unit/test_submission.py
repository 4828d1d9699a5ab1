# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether connect resumes the job of an earlier session."""

import threading
from types import SimpleNamespace

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import heartbeat
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps.submission import Submission

NONE = answers.TABLES["none"]


@pytest.fixture(name="earlier")
def _earlier(tmp_path, session_directory, script):
    """A session whose batch system reports the end of its job. `lines` is the output of connect."""
    session_directory.mkdir(parents=True)
    session = Session(str(tmp_path / "state"), "lab")
    ask = {"process": dict(NONE["ask"]["process"], argv=["/bin/sh", "-c", "echo GONE", "sh", "{job_id}"])}
    session.begin(state="unknown", job_id="11", scheduler="none", table=dict(NONE, ask=ask), prelude="", remote_directory=str(session_directory))
    lines = []
    earlier = Submission(session, SimpleNamespace(script=script), lines.append)
    earlier.lines = lines
    return earlier


@pytest.fixture(name="beats")
def _beats(session_directory):
    """A job that gives signs of life."""
    over = threading.Event()

    def beat():
        count = 0
        while not over.wait(0.2):
            count += 1
            (session_directory / "beat.new").write_text(str(count))
            (session_directory / "beat.new").rename(session_directory / "beat")

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("beats")
def test_a_job_that_gives_signs_of_life_still_exists(earlier, session_directory, until):
    (session_directory / "status").write_text("running c101\n")
    until((session_directory / "beat").exists)
    assert earlier.job_exists(earlier.session.read())
    assert not earlier.lines and session_directory.exists()


@pytest.mark.parametrize("status", ["", "running c101\nended 0 pvserver\n", "running c101\n"], ids=["never ran", "ended", "killed"])
def test_a_job_that_gives_no_signs_of_life_is_over(earlier, session_directory, status, monkeypatch):
    monkeypatch.setattr(heartbeat, "OVERDUE", 0.5)
    (session_directory / "status").write_text(status)
    (session_directory / "beat").write_text("17\n")
    assert not earlier.job_exists(earlier.session.read())
    assert earlier.lines == ["job 11 of the earlier session is over; starting a new one"]
    assert not session_directory.exists() and earlier.session.read().job_id is None
