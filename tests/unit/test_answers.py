# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tables interpret the answers of batch systems."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers as schedulers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import hostlists, jobs, validation
from hypothesis import given
from hypothesis import strategies as st

SLURM = schedulers.TABLES["slurm"]


def answers(table, job_id="11"):
    """Interprets one answer by each of a table's questions: (code, out, err) -> list[answers.Answer]."""
    return lambda code, out, err: [schedulers.read(table, question, job_id, code, out, err) for question in table["ask"].values()]


def scontrol(out, code=0, err=""):
    return schedulers.read(SLURM, SLURM["ask"]["scontrol"], "11", code, out, err)


def test_silence_is_no_answer():
    answer = scontrol("", 124)
    assert (answer.kind, answer.job.state, answer.job.gone) == ("nothing", "unknown", False)
    assert "time limit" in answer.job.reason


def test_an_unknown_state_of_a_newer_slurm_is_not_an_end():
    assert scontrol("JobId=11 JobState=NEVER_HEARD_OF Reason=None Dependency=(null)").job.state == "unknown"


def test_an_answer_about_another_job_is_ignored():
    assert scontrol("JobId=12 JobState=RUNNING Reason=None Dependency=(null)").job.state == "unknown"


@pytest.mark.parametrize(("out", "job_id"), [
    ("4711;cluster1\n", "4711"), ("Welcome\n\nsbatch: note: x\n4711\n", "4711"), ("\x1b[1m4711\x1b[0m\r\n", "4711"), ("", None),
    ("no id 4711 here\n", None), ("4711; rm -rf /\n", None)])
def test_a_job_id_among_other_output(out, job_id):
    assert schedulers.read_job_id(SLURM, out) == job_id


SCONTROL = st.lists(st.tuples(
    st.sampled_from(["JobState", "Reason", " NodeList", "BatchHost", "ExitCode", "StartTime", "RunTime", "TimeLimit", " Dependency"]),
    st.one_of(st.text(), st.text("0123456789-:\u00b2[]"), st.sampled_from(["RUNNING", "PENDING", "FAILED", "3:0", "1-00:00:00", "n[1-3]"])),
).map("=".join)).map(" ".join)


# Pieces that outputs are made of, so that what is generated is often nearly one.
WORDS = st.sampled_from([
    "Job Id: 11.server\n", "    job_state = R\n", "    exec_host = n1/0\n", "\t", "\n", '{"Jobs": {', '"11.server": {', '"job_state": "F"', "}", "}}", ",",
    "[", "]", "<job_list state=\"running\">", "<JB_job_number>11</JB_job_number>", "<state>r</state>", "</job_list>", "</job_info>", "<unknown_jobs >",
    "11|RUNNING|",
    "jobnumber 11\n", "failed 0\n", "exit_status 0\n", "=====\n", '{"RECORDS": [{"JOBID": "11", "STAT": "RUN"}]}', '{"id": 11, "status": "RUN"}', "JobId=11",
    " JobState=RUNNING", "RUNNING", "COMPLETED", "11"])
PIECES = st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=12).map("".join)


@given(st.sampled_from(sorted(schedulers.TABLES)), st.one_of(st.text(), SCONTROL, PIECES, st.binary().map(lambda data: data.decode("utf-8", "replace"))),
       st.text(), st.integers(0, 255))
def test_no_answer_raises_an_error(name, out, err, code):
    for answer in answers(schedulers.TABLES[name])(code, out, err):
        assert answer.job.state in schedulers.STATES
        assert answer.kind in ("state", "over", "gone", "nothing", "unreadable")
        assert answer.job.gone == (answer.kind == "gone")
        json.dumps(answer.job._asdict())


@given(st.sampled_from(sorted(schedulers.TABLES)), st.binary(), st.binary(), st.integers(0, 255))
def test_without_a_native_state_no_job_is_running_or_over(name, out, err, code):
    """Evidence is a native state of that very job."""
    table = schedulers.TABLES[name]
    text, message = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
    natives = {state.partition("/")[0] for states in [table["states"]] + [question.get("states", {}) for question in table["ask"].values()] for state in states}
    for question, answer in zip(table["ask"].values(), answers(table)(code, text, message)):
        if answer.job.state in ("running", "ended", "failed", "cancelled"):
            over = question.get("over") and re.search(question["over"], text + message)
            assert over or ("11" in text or name == "none") and any(native in text for native in natives)


@pytest.mark.parametrize("name", sorted(set(schedulers.TABLES) - {"none"}))
@pytest.mark.parametrize("out", [
    "", "\n", "\0" * 100, "{}", "[]", "null", "0", '{"Jobs": null}', '{"Jobs": {"11.server": null}}', '{"Jobs": {"11.server": {}}}',
    '{"Jobs": {"12.server": {"job_state": "R"}}}', '{"RECORDS": {}}', '{"RECORDS": [null, {}]}', "<job_info>", "[" * 10000, "{" * 10000,
    '{"id": 12, "status": "RUN"', "\ufeff{}"])
def test_an_answer_without_the_job_leaves_its_state_unknown(name, out):
    for answer in answers(schedulers.TABLES[name])(0, out, ""):
        assert answer.job.state == "unknown"


@pytest.mark.parametrize(("name", "text"), [
    ("sge", "<job_list state='x'>" * 100000), ("sge", "<job_list " * 100000), ("sge", "<QIM_message>" * 100000),
    ("sge", "<JB_job_number>11</JB_job_number><MES_message>" * 50000),
    ("slurm", "JobId=11 JobState=PENDING " + "Reason=x " * 100000), ("pbs", "Job Id: 11\n" * 100000),
    ("pbs", '{"Jobs":{"11.s":{"job_state":' + "[" * 900 + "]" * 900 + "}}}"),
    ("lsf", "11|" * 300000), ("flux", "11|" * 300000), ("torque", "Job Id: 11\n" + "    comment = \n\t" * 100000), ("sge", "=\n" * 300000)])
def test_every_answer_is_read_quickly(name, text, script):
    """In a separate process with a time limit: a busy daemon would answer nobody."""
    code = ("import sys; sys.path.insert(0, {0!r}); from module_utils.schedulers import answers; table = answers.TABLES[{1!r}]; "
            "text = sys.stdin.read(); {2}").format(
        str(Path(schedulers.__file__).parents[2]), name, "[answers.read(table, question, '11', 0, text, '') for question in table['ask'].values()]")
    done = subprocess.run([sys.executable, "-c", code], input=text.encode(), stderr=subprocess.PIPE, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("reason", "never"), [
    ("QOSMaxCpuPerJobLimit", True), ("AssocMaxNodePerJobLimit", True), ("QOSMaxGRESPerJob", True), ("QOSMaxJobsPerUserLimit", False),
    ("AssocGrpCpuLimit", False),
    ("QOSMinGRES", False), ("MaxJobsPerAccount", False)])
def test_limits_of_one_job_differ_from_limits_of_all_jobs(reason, never):
    job = scontrol("JobId=11 JobState=PENDING Reason={0} Dependency=(null)".format(reason)).job
    assert (job.state, job.never) == ("pending", never)


@pytest.mark.parametrize("answer", [
    "JobState=RUNNING RunTime=00:00:06 TimeLimit=" + "9" * 15 + "-00:00:00", "JobState=RUNNING RunTime=" + "9" * 6000 + ":00:00 TimeLimit=1:00:00",
    "JobState=FAILED ExitCode=" + "9" * 6000 + ":0", "JobState=FAILED ExitCode=\u0663:0", "JobState=RUNNING NodeList=n[" + "9" * 6000 + "]"],
    ids=["days", "hours", "exit", "arabic", "nodes"])
def test_absurd_numbers_raise_no_error(answer):
    assert scontrol("JobId=11 " + answer).job.state in ("running", "failed")


@pytest.mark.parametrize(("number", "sentence"), [
    (9, "killed by signal 9 (SIGKILL)"), (15, "killed by signal 15 (SIGTERM)"), (63, "killed by signal 63"), (53, "could not be opened")])
def test_a_signal_is_named(number, sentence):
    assert sentence in scontrol("JobId=11 JobState=FAILED Reason=JobLaunchFailure Dependency=(null) ExitCode=0:{0}".format(number)).job.explanation


def pbs(text, **changes):
    fields = dict({"job_state": "F", "substate": "93"}, **changes)
    text += "Job Id: 11.server\n" + "".join("    {0} = {1}\n".format(*field) for field in fields.items())
    return schedulers.read(schedulers.TABLES["pbs"], schedulers.TABLES["pbs"]["ask"]["text"], "11", 0, text, "").job


@pytest.mark.parametrize(("fields", "state", "sentence"), [
    ({"Exit_status": "-29"}, "failed", "wall time"), ({"Exit_status": "265"}, "failed", "signal 9"), ({"Exit_status": "254"}, "failed", "shell"),
    ({"substate": "91"}, "cancelled", "cancelled"), ({"substate": "91", "Exit_status": "271"}, "cancelled", "cancelled"),
    ({"job_state": "S", "substate": "43"}, "running", "suspended"), ({"substate": "92", "Exit_status": "0"}, "ended", ""),
    ({"job_state": "Q", "substate": "10", "comment": "Can Never Run: Not Running: Job would cross dedicated time boundary"}, "pending", "never start")])
def test_how_a_job_of_pbs_ended(fields, state, sentence):
    job = pbs("", **fields)
    assert (job.state, job.never) == (state, "Never" in fields.get("comment", ""))
    assert sentence in job.explanation


WAIT_STATUS = {"argv": ["x", "{job_id}"], "fields": {"native": r"^(?P<value>[A-Z])", "wait_status": r"^[A-Z] (?P<value>\S+)"}}


@pytest.mark.parametrize(("text", "state", "exit_status", "sentence"), [
    ("0", "ended", 0, ""), ("768", "failed", 3, ""), ("65280", "failed", 255, ""), ("15", "failed", 143, "signal 15 (SIGTERM)"),
    ("9", "failed", 137, "signal 9 (SIGKILL)"), ("139", "failed", 139, "signal 11 (SIGSEGV)"), ("134", "failed", 134, "signal 6 (SIGABRT)"),
    ("127", "ended", None, ""), ("255", "ended", None, ""), ("5503", "ended", None, ""), ("65536", "ended", None, ""), ("-1", "ended", None, ""),
    ("-", "ended", None, ""), ("NaN", "ended", None, ""), ("3.0", "ended", None, "")])
def test_a_wait_status_is_divided(text, state, exit_status, sentence):
    table = {"title": "x", "states": {"D": "ended", "R": "running"}, "ask": {"it": WAIT_STATUS}}
    job = schedulers.read(table, WAIT_STATUS, "11", 0, "D " + text, "").job
    assert (job.state, job.exit_status) == (state, exit_status)
    assert sentence in job.explanation and bool(sentence) == bool(job.explanation)
    assert schedulers.read(table, WAIT_STATUS, "11", 0, "R " + text, "").job.exit_status is None


@given(st.integers(0, 255), st.integers(0, 64), st.booleans())
def test_a_wait_status_agrees_with_the_systems_own_reading(code, number, core):
    status = code << 8 if number == 0 else number | 128 * core
    divided = schedulers._divided(str(status))
    assert (int(divided["exit_status"]), int(divided["signal"])) == (
        (os.WEXITSTATUS(status), 0) if os.WIFEXITED(status) else (0, os.WTERMSIG(status)))


def test_a_users_variable_does_not_change_the_jobs_state():
    job = pbs("", job_state="Q", substate="10", Variable_List="X=one\n    job_state = R\n    substate = 42\n    exec_host = evil/0")
    assert (job.state, job.native) == ("pending", "Q")


QACCT = "{0}\nhostname     node02\njobnumber    11\nfailed       {1}\nexit_status  {2}\nru_wallclock {3}s\ncategory     {4}\n"


@pytest.mark.parametrize(("failed", "code", "seconds", "category", "state", "sentence"), [
    ("100 : assumedly after job", "137                  (Killed)", 3, "-l h_rt=3", "failed", "wall time"),
    ("100 : assumedly after job", "137                  (Killed)", 3, "-l h_rt=3600", "cancelled", "cancelled"),
    ("100 : assumedly after job", "137                  (Killed)", 3, "NONE", "cancelled", "cancelled"),
    ("0", "9", 3, "-l h_rt=3", "failed", "wall time"), ("0", "0", 3, "-l h_rt=3", "ended", ""),
    ("26 : opening input/output file", "0", 0, "NONE", "failed", "")])
def test_a_deleted_job_of_grid_engine_differs_from_one_at_its_wall_time(failed, code, seconds, category, state, sentence):
    table = schedulers.TABLES["sge"]
    job = schedulers.read(table, table["ask"]["accounting"], "11", 0, QACCT.format("=" * 30, failed, code, seconds, category), "").job
    assert job.state == state
    assert sentence in job.explanation


def test_the_newest_of_several_jobs_with_one_id_counts():
    table = schedulers.TABLES["sge"]
    text = QACCT.format("=" * 30, "0", "3", 1, "NONE") + QACCT.format("=" * 30, "0", "0", 1, "NONE")
    assert schedulers.read(table, table["ask"]["accounting"], "11", 0, text, "").job.state == "ended"


@pytest.mark.parametrize(("text", "moment"), [
    ("2026-11-22T17:49:23", "2026-11-22T17:49:23"), ("Sun Nov 22 17:35:12 2026", "2026-11-22T17:35:12"), ("Sun Nov  1 07:35:12 2026", "2026-11-01T07:35:12"),
    ("Unknown", None), ("N/A", None), ("", None), ("-", None), ("Sun Foo 22 17:35:12 2026", None), ("99999999999999999999", None)])
def test_expected_start(text, moment):
    out = "JobId=11 JobState=PENDING Reason=Priority Dependency=(null)"
    fields = dict(SLURM["ask"]["scontrol"]["fields"], expected_start=r"start<(?P<value>[^>]*)>")
    assert schedulers.read(SLURM, {"fields": fields}, "11", 0, out + " start<" + text + ">", "").job.expected_start == moment


def test_a_day_without_its_year_is_the_next_one():
    table = schedulers.TABLES["lsf"]
    for shift in (-2, 2):
        day = time.localtime(time.time() + shift * 86400)
        text = json.dumps({"RECORDS": [{"JOBID": "11", "STAT": "PEND", "ESTIMATED_START_TIME": time.strftime("%b %d 19:56 L", day)}]})
        job = schedulers.read(table, table["ask"]["json"], "11", 0, text, "").job
        assert job.expected_start == time.strftime("{0}-%m-%dT19:56:00".format(day.tm_year + (shift < 0)), day)


@pytest.mark.parametrize(("text", "nodes"), [
    ("node01", ["node01"]), ("node[01-03]", ["node01", "node02", "node03"]), ("node[01,07],gpu1", ["node01", "node07", "gpu1"]),
    ("a1,b[8-11]", ["a1", "b8", "b9", "b10", "b11"]), ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ("c[098-101].site.edu", ["c098.site.edu", "c099.site.edu", "c100.site.edu", "c101.site.edu"]),
    ("(null)", []), ("", []), ("None assigned", []), ("n/a", []), ("-oProxyCommand=x", []), ("$(id)", []), ("a;b", []), ("[", []), ("n[3-1]", []),
])
def test_node_lists(text, nodes):
    assert hostlists.expand(text) == nodes


@given(st.one_of(st.text(), st.text("n0129[],-\u00b2\u0663 ")))
def test_no_node_list_raises_an_error(text):
    for name in hostlists.expand(text):
        assert name == "".join(char for char in name if char.isalnum() or char in "._-")


_EXPAND = 'import sys; sys.path.insert(0, "{0}"); from module_utils.schedulers.hostlists import expand; {1}'.format(
    Path(hostlists.__file__).parents[2], "assert len(expand(sys.stdin.read())) <= 20000")


@pytest.mark.parametrize("text", [
    "n" + "[1]" * 5000, "n[0-20000][0-20000]", "n[" + "9" * 5000 + "]", "n[0-99999999999]", "n[" + "0" * 5000 + "-20000]", "n[1-9]" + "[1-9]" * 50,
    "n[0-999999999][]",
], ids=["deep", "square", "long number", "many", "wide", "power", "empty"])
def test_a_node_list_does_not_exhaust_this_host(text, script):
    # In a separate process with little memory, since these lists could use up all of it.
    code, _out, err = script("ulimit -v 1000000; ulimit -t 10; exec {0} -I -c '{1}' <<'E'\n{2}\nE\n".format(
        sys.executable, _EXPAND, text), 60)
    assert (code, err) == (0, "")


def test_an_unknown_batch_system():
    with pytest.raises(SessionError, match="'cron'") as caught:
        schedulers.table("cron")
    assert "slurm" in caught.value.why


def test_placeholders_are_filled_once():
    assert schedulers.fill(["sbatch", "{script}", "{other}"], script="/a/{job_id}", job_id="1") == ["sbatch", "/a/{job_id}", "{other}"]


def test_every_shipped_table_passes_the_check_of_site_tables():
    assert validation.tables({name: {} for name in schedulers.TABLES}) == schedulers.TABLES


def test_oar_without_a_job_is_believed_only_if_it_answers():
    """Its questions about one job print nothing if it has no such job; one of them prints an empty list."""
    table = schedulers.TABLES["oar"]

    def ask(*outputs):
        left = list(outputs)
        return jobs.Jobs(lambda _argv: (0, left.pop(0) if left else "", ""), table).ask("11")

    assert ask("", "", "{}\n").gone
    assert not ask("").gone and ask("").state == "unknown"
    assert not ask("", "", '{\n   "12" : "Running"\n}\n').gone
    running = ask("", "", '{\n   "11" : "Running"\n}\n')
    assert (running.state, running.gone) == ("running", False)
    assert ask("Can't locate JSON.pm", "Job_Id: 11\n    state = Running\n").state == "running"


@pytest.mark.parametrize("own", [{}, {"OMPI_MCA_plm_rsh_agent": "ssh -q", "HYDRA_HOST_FILE": ""}])
def test_an_mpi_launcher_gets_the_nodes_of_a_job_of_oar(tmp_path, own):
    (tmp_path / "nodes").write_text("c10\nc10\nc2\nc2\n")
    (tmp_path / "oarsh").write_text("#!/bin/sh\n")
    (tmp_path / "oarsh").chmod(0o755)
    environment = dict(own, PATH="{0}:/usr/bin:/bin".format(tmp_path), OAR_NODEFILE=str(tmp_path / "nodes"))
    table = schedulers.TABLES["oar"]
    printed = subprocess.run(["/bin/sh", "-euc", "{job_setup}\n{job_nodes}\nenv".format(**table)], env=environment, stdout=subprocess.PIPE, check=True)
    lines = printed.stdout.decode().splitlines()
    assert lines[:2] == ["c10", "c2"], "the root node first, and each once"
    nodes = environment["OAR_NODEFILE"]
    expected = {"OMPI_MCA_orte_default_hostfile": nodes, "OMPI_MCA_plm_rsh_agent": "oarsh", "HYDRA_HOST_FILE": nodes}
    assert {"{0}={1}".format(*pair) for pair in dict(expected, **own).items()} <= set(lines[2:])


@pytest.mark.parametrize("name", ["pbs", "lsf", "flux"])
def test_without_jmespath_the_text_format_is_requested(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "jmespath", None)
    table = schedulers.TABLES[name]
    commands = []

    def run(argv):
        commands.append(argv)
        return 0, "{}", ""

    assert jobs.Jobs(run, table).ask("11").state == "unknown"
    assert [argv[:-1] for argv in commands] == [question["argv"][:-1] for question in table["ask"].values() if question.get("when") != "gone"]
