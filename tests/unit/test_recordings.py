# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded answer of a batch system is read as tests/fixtures/expected.yml describes."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, jobs, recordings
from hypothesis import given
from hypothesis import strategies as st

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = {"gridengine": "sge"}
EXPECTED = yaml.safe_load((FIXTURES / "expected.yml").read_text())
NOTHING = {"native": "", "reason": "", "never": False, "warning": False, "nodes": [], "root_node": "", "exit_status": None, "expected_start": None}


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
    existing = {str(path.relative_to(FIXTURES).with_suffix("")) for path in FIXTURES.glob("*/*.txt")}
    assert existing == set(EXPECTED)


def check(name, about):
    job = ask(name, about["job"])
    expected = {key: value for key, value in about.items() if key not in ("job", "explained")}
    assert {key: value for key, value in job._asdict().items() if key in NOTHING or key == "state"} == {**NOTHING, **expected}
    assert not job.gone
    assert about.get("explained", "") in job.explanation.lower()
    assert job.explanation or not job.never


@pytest.mark.parametrize("name", cases("job"))
def test_a_job(name):
    check(name, EXPECTED[name])


@pytest.mark.parametrize("name", cases("jobs"))
def test_a_listing(name):
    for about in EXPECTED[name]["jobs"]:
        if "gone" in about:
            job = ask(name, about["gone"])
            assert (job.state, job.gone) == ("unknown", True)
        else:
            check(name, about)


@pytest.mark.parametrize("name", cases("gone"))
def test_a_job_that_is_gone(name):
    job = ask(name, EXPECTED[name]["gone"])
    assert (job.state, job.gone, job.nodes, job.exit_status) == ("unknown", True, [], None)
    assert "has no record of this job" in job.explanation


@pytest.mark.parametrize("name", cases("over"))
def test_a_job_that_is_over(name):
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
    objection = jobs.Jobs(lambda _argv: recorded(name)[1:], table(name)).cancel("1")
    if "objected" in EXPECTED[name]:
        assert EXPECTED[name]["objected"] in objection
    else:
        assert objection == ""


@pytest.mark.parametrize("name", cases("detected"))
def test_a_version_shows_its_system(name):
    recording = recorded(name)
    found = [system for system, about in answers.TABLES.items() if "detect" in about and re.search(
        about["detect"]["pattern"], recording.out + recording.err, re.MULTILINE)]
    expected = EXPECTED[name]["detected"]
    assert found == [NAMES.get(expected, expected)] * bool(expected)


@pytest.mark.parametrize("name", cases("not_asked"))
def test_the_answer_to_a_question_that_no_table_has(name):
    """A listing, or a format without stable contents: it is refused, or the state stays unknown."""
    try:
        job = ask(name, "1")
    except SessionError as error:
        assert "has no question like" in str(error)
        return
    assert job.state == "unknown"


def question(*argv, **more):
    return dict({"argv": list(argv), "fields": {"native": "(?P<value>x)"}}, **more)


TWO = {
    "oarstat": {"text": question("oarstat", "-f", "-j", "{job_id}"), "json": question("oarstat", "-f", "-J", "-j", "{job_id}"),
                "state": question("oarstat", "-s", "-j", "{job_id}")},
    "pjstat": {"now": question("pjstat", "-s", "--choose=jid,st", "--filter", "jid={job_id}"),
               "history": question("pjstat", "-H", "-s", "--choose=jid,st", "--filter", "jid={job_id}")},
    "shell": {"one": question("/bin/sh", "-c", "show -l \"$1\"", "sh", "{job_id}"), "other": question("/opt/x/list", "{job_id}")},
    "like": {"any": question("qstat", "{job_id}"), "json": question("qstat", "-f", "-F", "json", "{job_id}", like=r"-F json"),
             "never": question("qstat", "-x", "{job_id}", like=r"^$")},
}


@pytest.mark.parametrize(("system", "command", "name"), [
    ("oarstat", "oarstat -f -j 11", "text"), ("oarstat", "oarstat -f -J -j 11", "json"), ("oarstat", "oarstat -fJ -j 11", "json"),
    ("oarstat", "oarstat -j 11 -J", "json"), ("oarstat", "/usr/bin/oarstat -fj 11", "text"), ("oarstat", "LC_ALL=C oarstat -s -j 11", "state"),
    ("oarstat", "oarstat -j 11", "text"), ("oarstat", "oarstat 'unclosed -J", "json"), ("oarstat", "oardel 11", None), ("oarstat", "xoarstat 11", None),
    ("pjstat", "pjstat -s --choose=jid,st --filter jid=238", "now"), ("pjstat", "pjstat -H -s --choose=jid,st --filter jid=238", "history"),
    ("pjstat", "pjstat -s --choose=jid,st,ec,rsn --filter jid=238 -H", "history"), ("pjstat", "pjstat --filter jid=238", "now"),
    ("shell", "show -l 11", "one"), ("shell", "/bin/sh -c 'show -l \"$1\"' sh 11", "one"), ("shell", "list 11", "other"),
    ("like", "qstat -f -F json 11", "json"), ("like", "qstat -x 11", "any")])
def test_a_command_is_that_of_the_question_with_the_most_words_in_common(system, command, name):
    assert recordings.question_for({"ask": TWO[system]}, command) == name


@pytest.mark.parametrize("system", sorted(answers.TABLES))
def test_every_question_is_found_by_its_own_command(system):
    """And, of a table with one question a command, without `like` too."""
    for name, about in answers.TABLES[system]["ask"].items():
        command = " ".join(answers.fill(about["argv"], job_id="11"))
        found = recordings.question_for(answers.TABLES[system], command)
        assert found == name or answers.TABLES[system]["ask"][found].get("like") == about.get("like")


PIECES = st.sampled_from(["oarstat", "-f", "-J", "-j", "-fJ", "--choose=jid", "pjstat", "{job_id}", "'", '"', "\\", "(", "\n", "/", ""])


@given(st.sampled_from(sorted(TWO)), st.lists(st.one_of(PIECES, st.text(max_size=5))).map(" ".join))
def test_no_command_raises_an_error(system, command):
    assert recordings.question_for({"ask": TWO[system]}, command) in [None, *TWO[system]]
