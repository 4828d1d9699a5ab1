# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every answer that was recorded of a batch system, and what a user is told of it: tests/fixtures/expected.yml says what that is."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, jobs, recordings

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = {"gridengine": "sge"}
EXPECTED = yaml.safe_load((FIXTURES / "expected.yml").read_text())
NOTHING = {"native": "", "reason": "", "never": False, "nodes": [], "root_node": "", "exit_status": None, "expected_start": None}


def cases(*kinds):
    return sorted(name for name, about in EXPECTED.items() if any(kind in about for kind in kinds))


def table(name):
    system = name.partition("/")[0]
    return answers.TABLES[NAMES.get(system, system)]


def recorded(name):
    (only,) = recordings.parse((FIXTURES / (name + ".txt")).read_bytes())
    return only


def ask(name, job_id):
    return recordings.read(table(name), name, str(job_id), [recorded(name)])


def test_every_recording_has_its_expectation():
    there = {str(path.relative_to(FIXTURES).with_suffix("")) for path in FIXTURES.glob("*/*.txt")}
    assert there == set(EXPECTED)


def told(name, about):
    job = ask(name, about["job"])
    expected = {key: value for key, value in about.items() if key not in ("job", "explained")}
    assert {key: value for key, value in job._asdict().items() if key in NOTHING or key == "state"} == {**NOTHING, **expected}
    assert not job.gone
    assert about.get("explained", "") in job.explanation.lower()
    assert job.explanation or not job.never


@pytest.mark.parametrize("name", cases("job"))
def test_a_job(name):
    told(name, EXPECTED[name])


@pytest.mark.parametrize("name", cases("jobs"))
def test_a_listing(name):
    for about in EXPECTED[name]["jobs"]:
        if "gone" in about:
            job = ask(name, about["gone"])
            assert (job.state, job.gone) == ("unknown", True)
        else:
            told(name, about)


@pytest.mark.parametrize("name", cases("gone"))
def test_a_job_that_is_not_known(name):
    job = ask(name, EXPECTED[name]["gone"])
    assert (job.state, job.gone, job.nodes, job.exit_status) == ("unknown", True, [], None)
    assert "has no record of this job" in job.explanation


@pytest.mark.parametrize("name", cases("over"))
def test_a_job_that_is_over_somehow(name):
    job = ask(name, EXPECTED[name]["over"])
    assert (job.state, job.exit_status, job.gone) == ("ended", None, False)
    assert "over" in job.explanation


@pytest.mark.parametrize("name", cases("silent"))
def test_no_answer_about_the_job(name):
    job = ask(name, EXPECTED[name]["silent"])
    assert (job.state, job.gone, job.never, job.nodes) == ("unknown", False, False, [])
    assert re.sub(r"\s+", " ", EXPECTED[name]["said"]) in re.sub(r"\s+", " ", job.reason + job.explanation)


@pytest.mark.parametrize("name", cases("submitted", "refused"))
def test_a_submission(name):
    queue = jobs.Jobs(lambda _argv: recorded(name)[1:], table(name))
    if "submitted" in EXPECTED[name]:
        assert queue.submit("/home/alice/job.sh") == str(EXPECTED[name]["submitted"])
        return
    with pytest.raises(SessionError, match="refused the job|does not answer") as caught:
        queue.submit("/home/alice/job.sh")
    assert EXPECTED[name]["refused"] in caught.value.why or recorded(name).code in answers.TIME_LIMIT
    assert caught.value.way_out


@pytest.mark.parametrize("name", cases("cancelled", "objected", "already"))
def test_a_cancellation(name):
    said = jobs.Jobs(lambda _argv: recorded(name)[1:], table(name)).cancel("1")
    if "objected" in EXPECTED[name]:
        assert EXPECTED[name]["objected"] in said
    else:
        assert said == ""


@pytest.mark.parametrize("name", cases("detected"))
def test_a_version_shows_its_system(name):
    one = recorded(name)
    found = [known for known, about in answers.TABLES.items() if "detect" in about and re.search(
        about["detect"]["pattern"], one.out + one.err, re.MULTILINE)]
    expected = EXPECTED[name]["detected"]
    assert found == [NAMES.get(expected, expected)] * bool(expected)


@pytest.mark.parametrize("name", cases("not_asked"))
def test_what_is_never_asked_is_not_taken_for_an_answer(name):
    """A listing, or a form that is not to be relied on: a site that records it is told so, or it reads as no answer."""
    try:
        job = ask(name, "1")
    except SessionError as error:
        assert "has no question like" in str(error)
        return
    assert job.state == "unknown"
