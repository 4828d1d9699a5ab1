# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the launcher decides that a job with a connected client is over."""

import time
import types

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_watch import JobWatch
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher import session
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.options import Options
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs, Polling

SLURM = answers.TABLES["slurm"]
RUNS = "running node01\nsaid Client connected."


class Job:
    """A job's files, its batch system and the line to the user, with a clock that advances when the launcher waits.

    Args:
        answer: the recorded answer of the batch system, for ever. killed_at (float): when the job gives its last sign.
    """

    def __init__(self, answer, killed_at, ended_at=1e9):
        self.answer, self.killed_at, self.ended_at = answer, killed_at, ended_at
        self.clock, self.queries, self.lines, self.beat = 1000.0, 0, [], ""
        self.hangs = (1e9, 1e9)

    def run(self, _argv):
        self.queries += 1
        return self.answer.code, self.answer.out, self.answer.err

    def status(self, _seen, _seconds, _pause=0.1):
        if self.hangs[0] <= self.clock < self.hangs[1]:
            raise SessionError("cannot read it", "no answer within 15 s")
        self.beat = str(int(min(self.clock, self.killed_at)) // 3) if self.killed_at else ""
        return RUNS + ("\nended 0 pvserver" if self.clock >= self.ended_at else "")

    def show(self, line):
        self.lines.append(line)

    def wait(self, seconds):
        self.clock += seconds
        assert self.clock < 2000, "the job is never over"


@pytest.fixture(name="wait_for_end")
def _wait_for_end(recorded, monkeypatch):
    """Waits until a job is over; returns the job."""
    def wait_for_end(case, killed_at, ended_at=1e9, hangs=(1e9, 1e9)):
        job = Job(recorded(case), killed_at, ended_at)
        job.hangs = hangs
        monkeypatch.setattr(time, "monotonic", lambda: job.clock)
        table = dict(SLURM, ask={"scontrol": SLURM["ask"]["scontrol"]})
        launch = session.LauncherSession(None, job, None)
        launch.record.job_id = recorded(case).command.split()[-1]
        launch.flow = JobFlow(None, table, "", "/home/x/.paraview-connect/0123456789abcdef", show=job.show)
        launch.flow.watch = JobWatch(launch.record.job_id, Jobs(job.run, table), job, Polling(time.time() - 1000), session._QUERY_EVERY)
        launch._wait_for_job_end()
        return job

    return wait_for_end


@pytest.mark.parametrize("case", ["unknown_scontrol_o", "completed_scontrol_o", "failed3_scontrol_o"])
def test_a_job_that_gives_signs_of_life_is_not_over(wait_for_end, case):
    job = wait_for_end(case, 1300)
    assert job.queries > 5
    assert 1300 <= job.clock <= 1310, "its end is noticed all the same"


def test_a_job_that_gives_no_signs_is_over_once_the_batch_system_repeats_its_end(wait_for_end):
    job = wait_for_end("unknown_scontrol_o", 0)
    assert job.queries > 1 and job.clock <= 1100


def test_a_job_that_has_ended_itself(wait_for_end):
    job = wait_for_end("unknown_scontrol_o", 1e9, ended_at=1200)
    assert job.clock <= 1202 and not job.lines


def test_a_missing_sign_and_a_missing_answer_are_no_end(wait_for_end):
    assert wait_for_end("down_scontrol", 1100, ended_at=1800).clock >= 1800


def test_a_home_that_hangs_does_not_confirm_an_end(wait_for_end):
    assert wait_for_end("unknown_scontrol_o", 1e9, ended_at=1800, hangs=(1100, 1700)).clock >= 1800


@pytest.fixture(name="prepare")
def _prepare(monkeypatch):
    """Prepares a job on a site with these values, as far as its batch system; returns the settings and the lines."""
    def prepare(site, given=(), **values):
        job = Job(None, 0)
        checked = settings.check(dict({name: about["default"] for name, about in settings.SPEC.items()}, **values))
        launch = session.LauncherSession(Options("reverse", 11111, 17, "", False, checked, given), job, types.SimpleNamespace(script=None))
        found = {"login_node": "login2", "site": facts.settings(site), "prelude": ""}
        monkeypatch.setattr(session, "facts_of", lambda *_arguments: found)
        monkeypatch.setattr(session.place, "place", lambda *_arguments: "")
        monkeypatch.setattr(session.batch_system, "batch_system", lambda *_arguments: "slurm")
        pair = types.SimpleNamespace(client=types.SimpleNamespace(version=""), server=types.SimpleNamespace(version=""), modules=[])
        monkeypatch.setattr(session, "Pairing", lambda *_arguments: types.SimpleNamespace(pair=lambda: pair))
        launch._prepare()
        return launch.options.job, job.lines

    return prepare


def test_the_launcher_complies_with_the_site(prepare):
    assert prepare({"reconnect": False, "limits": {"reconnect_timeout": "1m", "sessions": 1}})[1] == []
    job, lines = prepare({"limits": {"walltime": "30m"}})
    assert job["walltime"] == 1800 and lines == ["--walltime is 0:30:00 on login2, the limit that the site has set"]
    for site, given, cause in (({"closed": "maintenance"}, (), "maintenance"), ({"minimum_version": "999"}, (), "later paraview-launch"),
                               ({"limits": {"walltime": "30m"}}, ["walltime"], "limits.walltime")):
        with pytest.raises(SessionError) as caught:
            prepare(site, given)
        assert cause in str(caught.value) and "nothing was submitted" in caught.value.way_out


def test_a_default_of_the_sites_launcher_is_lowered_too(prepare):
    assert prepare({"limits": {"walltime": "1h"}}, walltime="2h")[0]["walltime"] == 3600
