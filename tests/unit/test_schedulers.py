# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch systems read from what they were recorded to say."""

import sys
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils import schedulers
from ansible_collections.sciviz.paraview.plugins.module_utils.errors import SessionError
from hypothesis import given
from hypothesis import strategies as st

SLURM = schedulers.TABLES["slurm"]
NOTHING = {"reason": "", "never": False, "nodes": [], "root_node": "", "exit_status": None, "expected_start": None, "time_left_s": None}
TWO, FIRST, SECOND = ["node01", "node02"], ["node01"], ["node02"]
DOWN = "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions"

# What `scontrol -o show job` was recorded to say: case, our state, its own word, and whatever else is not empty.
RECORDED = [
    ("pending_resources", "pending", "PENDING", {"reason": "Resources", "expected_start": "2026-11-22T17:49:23"}),
    ("pending_priority", "pending", "PENDING", {"reason": "Priority", "expected_start": "2026-11-22T17:49:23"}),
    ("pending_begintime", "pending", "PENDING", {"reason": "BeginTime", "expected_start": "2026-11-22T18:46:23"}),
    ("pending_dependency", "pending", "PENDING", {"reason": "Dependency"}),
    ("pending_held_user", "pending", "PENDING", {"reason": "JobHeldUser"}),
    ("pending_nodesdown", "pending", "PENDING", {"reason": DOWN}),
    ("pending_n8", "pending", "PENDING", {"reason": "PartitionConfig", "never": True}),
    ("pending_partnodelimit", "pending", "PENDING", {"reason": "PartitionConfig", "never": True}),
    ("pending_parttimelimit", "pending", "PENDING", {"reason": "PartitionTimeLimit", "never": True}),
    ("pending_partdown", "pending", "PENDING", {"reason": "PartitionDown", "never": True}),
    ("configuring", "pending", "CONFIGURING", {"nodes": ["cloud1"], "root_node": "cloud1", "expected_start": "2026-11-22T17:46:26"}),
    ("running", "running", "RUNNING", {"nodes": TWO, "root_node": "node01", "time_left_s": 174}),
    ("completing", "running", "COMPLETING", {"nodes": FIRST, "root_node": "node01", "time_left_s": 598}),
    ("completed", "ended", "COMPLETED", {"nodes": FIRST, "root_node": "node01", "exit_status": 0}),
    ("acct_pending_qoslimit", "ended", "COMPLETED", {"nodes": FIRST, "root_node": "node01", "exit_status": 0}),
    ("failed3", "failed", "FAILED", {"reason": "NonZeroExitCode", "nodes": FIRST, "root_node": "node01", "exit_status": 3}),
    ("bad_interpreter", "failed", "FAILED", {"reason": "NonZeroExitCode", "nodes": SECOND, "root_node": "node02", "exit_status": 2}),
    ("killed9", "failed", "FAILED", {"reason": "JobLaunchFailure", "nodes": FIRST, "root_node": "node01", "exit_status": 137}),
    ("bad_workdir", "failed", "FAILED", {"reason": "JobLaunchFailure", "nodes": FIRST, "root_node": "node01", "exit_status": 181}),
    ("timeout", "failed", "TIMEOUT", {"reason": "TimeLimit", "nodes": FIRST, "root_node": "node01", "exit_status": 143}),
    ("cancelled_pending", "cancelled", "CANCELLED", {"reason": "Resources", "exit_status": 0}),
    ("cancelled_configuring", "cancelled", "CANCELLED", {"nodes": ["cloud1"], "root_node": "cloud1", "exit_status": 0}),
    ("cancelled_running", "cancelled", "CANCELLED", {"nodes": TWO, "root_node": "node01", "exit_status": 143}),
]
# A word of the sentence that we add to the batch system's own.
EXPLAINED = [
    ("pending_resources", "free"), ("pending_priority", "first"), ("pending_begintime", "begin time"), ("pending_held_user", "owner"),
    ("pending_n8", "paraview_nodes"), ("pending_parttimelimit", "paraview_walltime"), ("pending_partdown", "paraview_queue"),
    ("configuring", "started"), ("timeout", "wall time"), ("cancelled_pending", "cancelled"), ("cancelled_running", "cancelled"),
    ("cancelled_configuring", "cancelled"),
]
SUBMITTED = {
    "parsable": "11", "res": "12", "prio": "13", "hold": "14", "dep": "15", "begin": "16", "timelimit": "17", "nodelimit": "18",
    "downpart": "19", "cloud": "20", "n8": "21", "ok0": "22", "f3": "23", "k9": "24", "wd": "25", "badout": "26", "noint": "27",
    "timeout": "28", "nodesdown": "39", "reqnode": "40", "susp": "41", "trap": "42", "nf": "43", "bad_account_noacct": "2",
}


def read(answer):
    return schedulers.read_job(SLURM, answer.code, answer.out, answer.err)


@pytest.mark.parametrize(("case", "state", "native", "more"), RECORDED, ids=[one[0] for one in RECORDED])
def test_recorded_job(recorded, case, state, native, more):
    job = read(recorded(case + "_scontrol_o"))._asdict()
    job.pop("explanation")
    assert job == dict(NOTHING, state=state, native=native, **more)


@pytest.mark.parametrize(("case", "word"), EXPLAINED)
def test_recorded_job_is_explained(recorded, case, word):
    assert word in read(recorded(case + "_scontrol_o")).explanation


@pytest.mark.parametrize("case", ["unknown_scontrol_o", "unknown_scontrol"])
def test_a_job_that_is_no_longer_known(recorded, case):
    assert read(recorded(case)) is None


def test_a_controller_that_is_down_is_no_answer(recorded):
    job = read(recorded("down_scontrol"))
    assert (job.state, job.never, job.nodes) == ("unknown", False, [])
    assert "Unable to contact slurm controller" in job.reason


def test_silence_is_no_answer():
    job = schedulers.read_job(SLURM, 124, "", "")
    assert job.state == "unknown"
    assert "124" in job.reason


def test_a_state_of_a_newer_slurm_is_not_taken_for_an_end():
    assert schedulers.read_job(SLURM, 0, "JobState=NEVER_HEARD_OF Reason=None Dependency=(null)", "").state == "unknown"


@pytest.mark.parametrize(("case", "job_id"), SUBMITTED.items())
def test_recorded_job_id(recorded, case, job_id):
    assert schedulers.read_job_id(SLURM, recorded("sbatch_" + case).out) == job_id


@pytest.mark.parametrize(("out", "job_id"), [
    ("4711;cluster1\n", "4711"), ("Welcome\n\nsbatch: note: x\n4711\n", "4711"), ("\x1b[1m4711\x1b[0m\r\n", "4711"), ("", None),
    ("no id 4711 here\n", None), ("4711; rm -rf /\n", None)])
def test_a_job_id_among_other_words(out, job_id):
    assert schedulers.read_job_id(SLURM, out) == job_id


SCONTROL = st.lists(st.tuples(
    st.sampled_from(["JobState", "Reason", " NodeList", "BatchHost", "ExitCode", "StartTime", "RunTime", "TimeLimit", " Dependency"]),
    st.one_of(st.text(), st.text("0123456789-:\u00b2[]"), st.sampled_from(["RUNNING", "PENDING", "FAILED", "3:0", "1-00:00:00", "n[1-3]"])),
).map("=".join)).map(" ".join)


@given(st.sampled_from(sorted(schedulers.TABLES)), st.one_of(st.text(), SCONTROL), st.text(), st.integers(0, 255))
def test_no_answer_is_an_error(name, out, err, code):
    job = schedulers.read_job(schedulers.TABLES[name], code, out, err)
    assert job is None or job.state in schedulers.STATES


@pytest.mark.parametrize("answer", [
    "JobState=RUNNING RunTime=00:00:06 TimeLimit=" + "9" * 15 + "-00:00:00", "JobState=RUNNING RunTime=" + "9" * 6000 + ":00:00 TimeLimit=1:00:00",
    "JobState=FAILED ExitCode=" + "9" * 6000 + ":0", "JobState=FAILED ExitCode=\u0663:0", "JobState=RUNNING NodeList=n[" + "9" * 6000 + "]"],
    ids=["days", "hours", "exit", "arabic", "nodes"])
def test_absurd_numbers_are_no_error(answer):
    assert schedulers.read_job(SLURM, 0, answer, "").state in ("running", "failed")


@pytest.mark.parametrize(("text", "nodes"), [
    ("node01", ["node01"]), ("node[01-03]", ["node01", "node02", "node03"]), ("node[01,07],gpu1", ["node01", "node07", "gpu1"]),
    ("a1,b[8-11]", ["a1", "b8", "b9", "b10", "b11"]), ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ("c[098-101].site.edu", ["c098.site.edu", "c099.site.edu", "c100.site.edu", "c101.site.edu"]),
    ("(null)", []), ("", []), ("None assigned", []), ("n/a", []), ("-oProxyCommand=x", []), ("$(id)", []), ("a;b", []), ("[", []), ("n[3-1]", []),
])
def test_node_lists(text, nodes):
    assert schedulers.expand_nodes(text) == nodes


@given(st.one_of(st.text(), st.text("n0129[],-\u00b2\u0663 ")))
def test_no_node_list_is_an_error(text):
    for name in schedulers.expand_nodes(text):
        assert name == "".join(char for char in name if char.isalnum() or char in "._-")


_EXPAND = 'import sys; sys.path.insert(0, "{0}"); from module_utils.schedulers import expand_nodes; {1}'.format(
    Path(schedulers.__file__).parents[1], "assert len(expand_nodes(sys.stdin.read())) <= 20000")


@pytest.mark.parametrize("text", [
    "n" + "[1]" * 5000, "n[0-20000][0-20000]", "n[" + "9" * 5000 + "]", "n[0-99999999999]", "n[" + "0" * 5000 + "-20000]", "n[1-9]" + "[1-9]" * 50,
    "n[0-999999999][]",
], ids=["deep", "square", "long number", "many", "wide", "power", "empty"])
def test_a_node_list_does_not_exhaust_this_host(text, script):
    # In a process of its own with little memory, since what is tried here could take all there is.
    code, _out, err = script("ulimit -v 1000000; ulimit -t 10; exec {0} -I -c '{1}' <<'E'\n{2}\nE\n".format(
        sys.executable, _EXPAND, text), 60)
    assert (code, err) == (0, "")


def test_directives_of_slurm():
    lines = schedulers.directives(SLURM, {
        "nodes": 2, "tasks_per_node": 8, "cpus_per_task": 0, "gpus_per_node": 1, "memory": "4G", "walltime": "1:00:00", "queue": "debug",
        "account": None, "output": "/h/batch.log", "extra": ["--qos=high", "#SBATCH --exclusive"]})
    assert lines == [
        "#SBATCH --no-requeue", "#SBATCH --job-name=pvserver", "#SBATCH --output=/h/batch.log", "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=8", "#SBATCH --gres=gpu:1", "#SBATCH --mem=4G", "#SBATCH --time=1:00:00", "#SBATCH --partition=debug",
        "#SBATCH --qos=high", "#SBATCH --exclusive"]


@pytest.mark.parametrize(("name", "value"), [("queue", "debug"), ("account", "p1"), ("gpus_per_node", 1), ("memory", "4G")])
def test_a_wish_that_cannot_be_had_is_named(name, value):
    with pytest.raises(SessionError) as caught:
        schedulers.directives(schedulers.TABLES["none"], {name: value})
    assert "paraview_" + name in str(caught.value)
    assert repr(value) in str(caught.value)


def test_a_batch_system_that_nobody_knows():
    with pytest.raises(SessionError, match="'cron'") as caught:
        schedulers.table("cron")
    assert "slurm" in caught.value.why


def test_launchers():
    words = schedulers.launcher_command(schedulers.LAUNCHERS["srun"], 2, 8)
    assert words == ["srun", "--unbuffered", "--nodes=2", "--ntasks=16", "--ntasks-per-node=8"]
    assert schedulers.launcher_command(["mpirun", "-np", "{tasks}", "{x}", "{"], 2, 8) == ["mpirun", "-np", "16", "{x}", "{"]


def test_blanks_are_filled_once():
    assert schedulers.fill(["sbatch", "{script}", "{other}"], script="/a/{job_id}", job_id="1") == ["sbatch", "/a/{job_id}", "{other}"]


@pytest.mark.parametrize("name", sorted(schedulers.TABLES))
def test_every_table_is_whole(name):
    about = schedulers.TABLES[name]
    assert {"title", "submit", "ask", "cancel", "states", "directives", "job_nodes", "launcher"} <= set(about)
    assert set(about["states"].values()) <= set(schedulers.STATES)
    assert about["launcher"] in schedulers.LAUNCHERS
    assert "native" in about["ask"]["fields"]
