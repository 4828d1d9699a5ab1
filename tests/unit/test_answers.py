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
            assert over or ("11" in text or name == "none") and any(native in text or re.search(native, text) for native in natives if native != "*")


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


def pending(reason, system="slurm"):
    """A job that waits, for a reason in the batch system's own words."""
    if system == "slurm":
        return scontrol("JobId=11 JobName=a=b JobState=PENDING Reason={0} Dependency=(null) Requeue=0".format(reason)).job
    if system == "pbs":
        return pbs("", job_state="Q", substate="10", comment=reason)
    table = schedulers.TABLES[system]
    text = json.dumps({"RECORDS": [{"JOBID": "11", "STAT": "PEND", "PEND_REASON": reason}]})
    return schedulers.read(table, table["ask"]["json"], "11", 0, text, "").job


# As Slurm's own list of reasons has them: (final, may pass, waits for a limit, held).
FINAL = [
    "PartitionTimeLimit", "PartitionConfig", "AccountNotAllowed", "InvalidAccount", "InvalidQOS", "QOSNotAllowed", "QOSTimeLimit", "MaxMemPerLimit",
    "AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit", "AssocMaxCpuPerJobLimit", "AssocMaxCpuMinutesPerJobLimit",
    "AssocMaxNodePerJobLimit", "AssocMaxMemPerJob", "AssocMaxGRESPerJob", "AssocMaxGRESMinutesPerJob", "AssocMaxBBPerJob", "AssocMaxBillingPerJob",
    "QOSMaxCpuPerJobLimit", "QOSMaxNodePerJobLimit", "QOSMaxMemoryPerJob", "QOSMaxGRESPerJob", "QOSMaxLicensePerJob", "QOSMaxUnknownMinutesPerJob",
    "AssocMaxCpuPerNode", "AssocMaxMemPerNode", "AssocMaxGRESPerNode", "AssocMaxUnknownPerNode", "QOSMaxCpuPerNode", "QOSMaxMemoryPerNode",
    "QOSMaxGRESPerNode", "QOSMaxEnergyPerNode", "QOSMinCpuNotSatisfied", "DependencyNeverSatisfied"]
PASSES = [
    "PartitionNodeLimit", "PartitionDown", "PartitionInactive", "BadConstraints", "QOSMinGRES", "QOSMinMemory", "QOSMinNode", "FrontEndDown", "NodeDown"]
LIMITS = [
    "AssocGrpCpuLimit", "AssocGrpCPURunMinutesLimit", "AssocGrpGRES", "AssocGrpJobsLimit", "AssocMaxJobsLimit", "AssocMaxSubmitJobLimit",
    "AssociationJobLimit", "AssociationResourceLimit", "QOSGrpNodeLimit", "QOSGrpMemoryRunMinutes", "QOSGrpLicense", "QOSMaxCpuPerUserLimit",
    "QOSMaxGRESPerUser", "QOSMaxJobsPerUserLimit", "QOSJobLimit", "QOSResourceLimit", "QOSUsageThreshold", "MaxJobsPerAccount", "MaxGRESPerAccount",
    "MaxSubmitJobsPerAccount", "JobArrayTaskLimit", "Job_is_at_or_exceeds_association_max_jobs_limit_with_2_for_acc=vis_user=ada_part=(null)"]
HELD = ["JobHeldUser", "JobHoldMaxRequeue", "launch_failed_requeued_held", "launch failed requeued held", "job_requeued_in_held_state",
        "user_env_retrieval_failed_requeued_held", "Reservation_scan_was_deleted"]


@pytest.mark.parametrize(("reason", "never", "warning"), [(one, True, False) for one in FINAL] + [(one, False, True) for one in PASSES]
                         + [(one, False, False) for one in LIMITS + HELD])
def test_only_a_reason_that_cannot_pass_ends_the_wait(reason, never, warning):
    job = pending(reason)
    assert (job.state, job.reason, job.never, job.warning) == ("pending", reason, never, warning)
    assert job.explanation


@pytest.mark.parametrize("reason", LIMITS)
def test_a_limit_on_all_jobs_of_an_account_passes(reason):
    assert pending(reason).explanation == "waits until a limit of the account or quality of service allows it"


@pytest.mark.parametrize("reason", HELD)
def test_how_to_release_a_held_job(reason):
    assert pending(reason).explanation == "held: release it with scontrol release 11"


def test_how_to_release_a_job_on_another_cluster():
    text = "JobId=11 JobState=PENDING Reason=JobHeldUser Dependency=(null)"
    job = schedulers.read(SLURM, SLURM["ask"]["scontrol"], "11;serial", 0, text, "").job
    assert job.explanation == "held: release it with scontrol -M serial release 11"


@pytest.mark.parametrize(("text", "reason"), [
    ("Reason=NodeDown FailedNode=n7 Dependency=(null)", "NodeDown"), ("Reason=Resources FailedNode=n[7-8] Dependency=afterok:4(unfulfilled)", "Resources"),
    ("Reason=why = not = this Dependency=(null)", "why = not = this"), ("Reason=None Dependency=(null)", "")])
def test_what_stands_behind_a_reason_is_not_part_of_it(text, reason):
    assert scontrol("JobId=11 JobState=PENDING " + text).job.reason == reason


@pytest.mark.parametrize("reason", ["ReqNodeNotAvail,_Reserved_for_maintenance", "ReqNodeNotAvail, Reserved for maintenance",
                                    "ReqNodeNotAvail,_UnavailableNodes:n[1-9],_Reserved_for_maintenance"])
def test_a_job_that_would_run_into_maintenance_could_be_shorter(reason):
    job = pending(reason)
    assert "paraview_walltime" in job.explanation and "maintenance" in job.explanation
    assert not job.never


@pytest.mark.parametrize(("comment", "never", "warning", "sentence"), [
    ("Can Never Run: Insufficient amount of server resource: scratch_fs (True != False)", False, True, "is not there now"),
    ("Can Never Run: Insufficient amount of queue resource: viz_open (True != False)", False, True, "is not there now"),
    ("Can Never Run: Insufficient amount of server resource: os (sles15 != sles12)", False, True, "is not there now"),
    ("Can Never Run: Insufficient amount of server resource: foo (R: 15 A: 10 T: 10)", True, False, "lower"),
    ("Can Never Run: Insufficient amount of resource: ncpus (R: 4 A: 2 T: 2)", True, False, "lower"),
    ("Can Never Run: Insufficient amount of resource: bigmem (True != False)", True, False, "lower"),
    ("Can Never Run: Not enough total nodes available", True, False, "paraview_nodes_on_demand"),
    ("Can Never Run: can't fit in the largest placement set, and can't span psets", True, False, "never start"),
    ("Can Never Run: No Select", True, False, "never start"),
    ("Not Running: Not enough of the right type of nodes are available", False, False, "free"),
    ("Not Running: Node is in an ineligible state: offline", False, False, "free"),
    ("Not Running: Host set host=n3 has too few free resources", False, False, "free"),
    ("Not Running: Insufficient amount of resource: ngpus (R:1 A:0)", False, False, "free"),
    ("Not Running: User has reached queue gpu running job limit.", False, False, "limit"),
    ("Not Running: Queue large per-user limit reached on resource ncpus", False, False, "limit"),
    ("Not Running: Job would cross dedicated time boundary", False, False, "reserved"),
    ("Not Running: Queue viz is not enabled", False, False, "queue"), ("Not Running: Queue not started.", False, False, "queue"),
    ("Job held, too many failed attempts to run", False, False, "held")])
def test_what_pbs_comments_on_a_job_that_waits(comment, never, warning, sentence):
    job = pending(comment, "pbs")
    assert (job.reason, job.never, job.warning) == (comment, never, warning)
    assert sentence in job.explanation


@pytest.mark.parametrize(("reason", "never", "sentence"), [
    ("Dependency condition invalid or never satisfied;", True, "paraview_directives"), ("Job dependency condition not satisfied;", False, "another job"),
    ("There are no suitable hosts for the job;", False, "paraview_nodes"), ("The queue is inactivated by its dispatch windows;", False, "queue"),
    ("Not enough hosts to meet the job's spanning requirement;", False, "free"), ("User has reached the per-user job slot limit of the queue;", False, ""),
    ("Job requirements for reserving resource (mem) not satisfied: 3 hosts;", False, "free")])
def test_why_a_job_of_lsf_waits(reason, never, sentence):
    job = pending(reason, "lsf")
    assert (job.state, job.never) == ("pending", never)
    assert sentence in job.explanation


# In the order in which Grid Engine prints the letters, of which each may be missing.
LETTERS = "dEShTRqrstwx"


@given(st.sets(st.sampled_from(LETTERS), min_size=1), st.randoms(use_true_random=False))
def test_letters_of_grid_engine_mean_the_same_in_every_order(letters, random):
    def state(text):
        listing = ('<job_info xmlns:xsd="x"><queue_info><job_list state="running"><JB_job_number>11</JB_job_number><state>{0}</state>'
                   '<queue_name>all.q@n1</queue_name></job_list></queue_info></job_info>').format(text)
        table = schedulers.TABLES["sge"]
        return schedulers.read(table, table["ask"]["listing"], "11", 0, listing, "").job

    printed, mixed = "".join(sorted(letters, key=LETTERS.index)), sorted(letters)
    random.shuffle(mixed)
    job, other = state(printed), state("".join(mixed))
    assert job._replace(native="") == other._replace(native="")
    expected = ("cancelled" if "d" in letters else "failed" if "E" in letters else "pending" if letters & set("qw") or letters <= set("hR") else "running")
    assert (job.state, job.native) == (expected, printed)
    assert (job.explanation == "suspended by the batch system") == (expected == "running" and bool(letters & set("sST")))
    assert ("qrls" in job.explanation) == (expected == "pending" and "h" in letters)
    assert schedulers.is_one_of(job.native, schedulers.TABLES["sge"]["leaving"]) == ("d" in letters)


def test_an_exiting_state_may_be_a_pattern():
    table = dict(schedulers.TABLES["pbs"], exiting=["[EX]"])
    for native in "EX":
        assert schedulers._exit_status(table, "running", native, {"exit_status": "3"}) == 3
    assert schedulers._exit_status(table, "running", "R", {"exit_status": "3"}) is None


@pytest.mark.parametrize(("state", "native", "gone", "left"), [
    ("running", "R", False, False), ("running", "E", False, False), ("ended", "E", False, False), ("ended", "F", False, True),
    ("unknown", "", False, False), ("unknown", "", True, True)])
def test_when_a_batch_system_has_let_go_of_a_job(state, native, gone, left):
    job = schedulers.unknown("", gone=gone)._replace(state=state, native=native)
    assert schedulers.has_left(dict(schedulers.TABLES["pbs"], leaving=["E"]), job) is left


@pytest.mark.parametrize("native", ["?", "Q7", "qwY", "ry"])
def test_a_letter_that_grid_engine_does_not_document_is_no_end(native):
    listing = "<job_info><job_list state='x'><JB_job_number>11</JB_job_number><state>{0}</state></job_list></job_info>".format(native)
    table = schedulers.TABLES["sge"]
    assert schedulers.read(table, table["ask"]["listing"], "11", 0, listing, "").job.state == "unknown"


@pytest.mark.parametrize("native", [
    "PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
    "COMPLETING", "CONFIGURING", "EXPEDITING", "LAUNCH_FAILED", "POWER_UP_NODE", "RECONFIG_FAIL", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING",
    "RESV_DEL_HOLD", "REVOKED", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "UPDATE_DB"])
def test_every_documented_state_of_slurm_has_a_meaning(native):
    assert scontrol("JobId=11 JobState={0} Reason=None Dependency=(null)".format(native)).job.state != "unknown"


SHOWN = ("JobId=31 ArrayJobId=30 ArrayTaskId=1 JobName=JobId=30 JobState=RUNNING Reason=None Dependency=(null) NodeList=n1 BatchHost=n1 NumNodes=1\n"
         "JobId=30 ArrayJobId=30 ArrayTaskId=2-7:2,9%4 JobName=x JobState=PENDING Reason=JobArrayTaskLimit Dependency=(null) NodeList=(null)\n")
TEAM = ("JobId=40 HetJobId=40 HetJobOffset=0 JobName=x JobState=RUNNING Reason=None Dependency=(null) NodeList=a1 BatchHost=a1 NumNodes=1\n"
        "JobId=41 HetJobId=40 HetJobOffset=1 JobName=x JobState=PENDING Reason=Priority Dependency=(null) NodeList=(null)\n")
TASKS = ('<job_info xmlns:xsd="x"><job_list state="running"><JB_job_number>60</JB_job_number><state>Eqw</state><tasks>2</tasks></job_list>'
         '<job_list state="running"><JB_job_number>60</JB_job_number><state>r</state><tasks>3</tasks></job_list></job_info>')


@pytest.mark.parametrize(("system", "question", "job_id", "out", "state"), [
    ("slurm", "scontrol", "30_1", SHOWN, "running"), ("slurm", "scontrol", "30_4", SHOWN, "pending"), ("slurm", "scontrol", "30_9", SHOWN, "pending"),
    ("slurm", "scontrol", "30_3", SHOWN, "unknown"), ("slurm", "scontrol", "30_8", SHOWN, "unknown"), ("slurm", "scontrol", "31", SHOWN, "running"),
    ("slurm", "scontrol", "40", TEAM, "running"), ("slurm", "scontrol", "40+0", TEAM, "running"), ("slurm", "scontrol", "40+1", TEAM, "pending"),
    ("slurm", "scontrol", "40+2", TEAM, "unknown"),
    ("slurm", "squeue", "30_1", "30_[2-7%2]|PENDING|Priority||n/a|N/A\n30_1|RUNNING|None|n1|n1|N/A\n", "running"),
    ("slurm", "squeue", "30_5", "30_[2-7%2]|PENDING|Priority||n/a|N/A\n30_1|RUNNING|None|n1|n1|N/A\n", "pending"),
    ("slurm", "squeue", "40", "40+0|RUNNING|None|a1|a1|N/A\n40+1|PENDING|None||n/a|N/A\n", "running"),
    ("slurm", "sacct", "30_2", "30_1|COMPLETED|0:0|0:0|n1|None\n30_2|FAILED|7:0|0:0|n2|None\n", "failed"),
    ("slurm", "sacct", "40+1", "40+0|COMPLETED|0:0|0:0|a1|None\n40+1|CANCELLED by 1000|0:0|0:0|b1|None\n", "cancelled"),
    ("lsf", "json", "50[3]", '{"RECORDS": [{"JOBID": "50", "JOBINDEX": "2", "STAT": "DONE"}, {"JOBID": "50", "JOBINDEX": "3", "STAT": "RUN"}]}', "running"),
    ("lsf", "json", "50[4]", '{"RECORDS": [{"JOBID": "50", "JOBINDEX": "2", "STAT": "DONE"}]}', "unknown"),
    ("lsf", "text", "50[3]", "50|RUN|h1|-|-|-|-|-|-\n", "running"), ("lsf", "text", "50[3]", "50[3]|PEND|-|-|-|-|-|-|-\n", "pending"),
    ("lsf", "text", "50[3]", "51|RUN|h1|-|-|-|-|-|-\n", "unknown"),
    ("pbs", "text", "77[3]", "Job Id: 77[3].srv\n    job_state = R\n    exec_host = n1/0\n", "running"),
    ("pbs", "json", "77[3].srv", '{"Jobs": {"77[3].srv": {"job_state": "R"}}}', "running"),
    ("pbs", "text", "77[3].srv", "Job Id: 77[4].srv\n    job_state = R\n", "unknown"), ("sge", "listing", "60.3", TASKS, "running"),
    ("sge", "listing", "60.2", TASKS, "failed"), ("sge", "listing", "60.7", TASKS.replace("<tasks>2<", "<tasks>4-9:1<"), "failed")])
def test_a_part_of_a_job(system, question, job_id, out, state):
    table = schedulers.TABLES[system]
    assert schedulers.read(table, table["ask"][question], job_id, 0, out, "").job.state == state


@given(st.text("0123456789_[]-,:%+.", max_size=30), st.text("0123456789_[]-,:%+.", max_size=30))
def test_no_id_raises_an_error(requested, reported):
    assert schedulers.same_job(requested, reported) in (True, False)


@pytest.mark.parametrize(("hosts", "nodes"), [
    ("gpu7@siteB", ["gpu7"]), ("4*gpu7@siteB:4*gpu8@siteB", ["gpu7", "gpu8"]), ("16*a1:16*b-2.site", ["a1", "b-2.site"]), ("a1", ["a1"])])
def test_a_job_of_lsf_on_another_cluster(hosts, nodes):
    table = schedulers.TABLES["lsf"]
    record = json.dumps({"RECORDS": [{"JOBID": "11", "STAT": "RUN", "EXEC_HOST": hosts}]})
    for question, text in (("json", record), ("text", "11|RUN|" + hosts + "|-|-|-|-|-|-")):
        job = schedulers.read(table, table["ask"][question], "11", 0, text, "").job
        assert (job.nodes, job.root_node) == (nodes, nodes[0])


@pytest.mark.parametrize(("code", "sentence"), [(-9, "it was killed by signal 9 (SIGKILL)"), (-15, "it was killed by signal 15 (SIGTERM)"),
                                                (137, "it was killed by signal 9 (SIGKILL)"), (-128, ""), (3, "")])
def test_how_a_job_of_flux_failed(code, sentence):
    table = schedulers.TABLES["flux"]
    for question, text in (("json", json.dumps({"id": 11, "status": "FAILED", "returncode": code})), ("text", "11|FAILED|16|n1|{0}|||".format(code))):
        job = schedulers.read(table, table["ask"][question], "11", 0, text, "").job
        assert (job.state, job.exit_status, job.explanation, job.reason) == ("failed", code, sentence, "")


@pytest.mark.parametrize(("status", "sentence"), [("-28", "processor time"), ("-27", "paraview_memory"), ("-26", "paraview_memory"), ("-25", "cores")])
def test_what_a_job_of_pbs_used_too_much(status, sentence):
    assert sentence in pbs("", Exit_status=status).explanation


JSON_REFUSED = [
    (2, "", "qstat: invalid option -- 'F'"), (255, "", "bjobs: Illegal option -- json"), (2, "", "flux-jobs: error: unrecognized arguments: --json"),
    (1, "", "unknown flag: --json"), (1, "", "json output is not supported in this release"), (0, "no JSON", "Warning: cannot connect to the license server"),
    (3, "", "Bad argument"), (0, '{"broken": ', ""), (0, "", ""), (64, "<html>", "what is json?"), (0, "\x00\x01", "try again later")]


@pytest.mark.parametrize("system", ["pbs", "lsf", "flux"])
@pytest.mark.parametrize("refusal", JSON_REFUSED)
def test_if_json_is_refused_the_text_is_requested(system, refusal):
    text = {"pbs": "Job Id: 11.srv\n    job_state = R\n    exec_host = n1/0\n", "lsf": "11|RUN|n1|-|-|-|-|-|-", "flux": "11|RUN|16|n1||||"}[system]
    table = schedulers.TABLES[system]
    job = jobs.Jobs(lambda argv: refusal if argv == jobs.answers.command(table, table["ask"]["json"]["argv"], job_id="11") else (0, text, ""), table).ask("11")
    assert (job.state, job.root_node) == ("running", "n1")


@pytest.mark.parametrize(("system", "out", "job_id"), [
    ("slurm", "  4711 \n", "4711"), ("slurm", "sbatch: Submitted batch job 4711\n", "4711"), ("slurm", "submitted batch job 4711.\n", "4711"),
    ("slurm", "SUBMITTED BATCH JOB 4711\n", "4711"), ("slurm", "[login2] INFO: Submitted batch job 4711 to viz\n", "4711"),
    ("slurm", "job 4711 was not submitted\n", None), ("slurm", "12 nodes\n", None), ("slurm", "3.5\n", None),
    ("slurm", "you have already submitted batch job 4711\n", None), ("lsf", "login2: JOB <99> IS SUBMITTED to queue <q>.\n", "99"),
    ("slurm", "You will use 3 nodes\n3\n4711\n", "4711"), ("slurm", "Submitted batch job 4711 on cluster serial\n", "4711"),
    ("pbs", " 77.srv\t\n", "77.srv"), ("pbs", "77\n", "77"), ("pbs", "project ab1\n\n77[].srv\n", "77[].srv"),
    ("pbs", "qsub: waiting for job 77.srv to start\n", None),
    ("torque", "\n  77[].srv\n", "77[].srv"), ("torque", "Moab.77\n", "Moab.77"), ("sge", " 88\n", "88"), ("sge", "88.1-9:2\n", "88"),
    ("sge", 'Your job-array 88.1-3:1 ("pvserver") has been submitted\n', "88"), ("lsf", " Job <99> submitted to <normal>.\n", "99"),
    ("lsf", "Job <99[1-4]> is submitted to default queue <normal>.\n", "99"), ("flux", "\u0192abC9 \n", "\u0192abC9")])
def test_the_id_in_what_a_submission_prints(system, out, job_id):
    assert schedulers.read_job_id(schedulers.TABLES[system], out) == job_id


def test_a_state_that_the_table_does_not_have_is_shown_by_its_name():
    job = scontrol("JobId=11 JobState=HIBERNATING Reason=None Dependency=(null)").job
    assert schedulers.waits(job) and schedulers.in_words(job) == "in state HIBERNATING"
    assert not schedulers.waits(scontrol("", 1, "slurm_load_jobs error: Unable to contact slurm controller").job)
    assert schedulers.in_words(pending("Priority")) == "other jobs come first"
    assert schedulers.in_words(pending("SomethingNew")) == "SomethingNew"
