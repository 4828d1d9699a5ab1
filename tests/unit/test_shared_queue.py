# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of one user on one login node take turns in querying the batch system, and share the answers."""

import fcntl
import json
import os

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs
from ansible_collections.sciviz.paraview.plugins.module_utils.session import shared_queue
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.shared_queue import SharedQueue

SLURM = answers.TABLES["slurm"]
ROW = "{0}|{1}|{2}|c{0}|c{0}|2026-11-30T15:40:58|1:00:00|0:01\n"


class Cluster:
    """Slurm with these jobs, by id: state and reason. It records each question."""

    def __init__(self, **jobs):
        self.jobs, self.asked = {one[1:]: state for one, state in jobs.items()}, []

    def run(self, argv):
        self.asked.append(argv)
        if argv[0] == "squeue":
            return 0, "".join(ROW.format(one, *self.jobs[one]) for one in argv[3].split(",") if one in self.jobs), ""
        if argv[0] == "scontrol" and argv[-1] in self.jobs:
            state, reason = self.jobs[argv[-1]]
            return 0, "JobId={0} JobState={1} Reason={2} Dependency=(null) NodeList=c{0}\n".format(argv[-1], state, reason), ""
        return 1, "", "slurm_load_jobs error: Invalid job id specified"


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(shared_queue.time, "time", lambda: clock[0])
    return clock


@pytest.fixture(name="queue_of")
def _queue_of(tmp_path, clock):
    """Makes the queue of a session with this name and job."""
    assert clock

    def make(cluster, name, job_id, table=None, floor=0, login_node="login1", target=None):
        session = Session(str(tmp_path), name)
        socket = tmp_path / "socket"
        socket.touch()
        record = session.begin(job_id=job_id, scheduler="slurm", table=table, login_node=login_node, facts={"uid": 17, "site": {"poll_floor_s": floor}},
                               daemon=processes.identity(os.getpid()), socket=str(socket), target=target or {})
        return SharedQueue(Jobs(cluster.run, table or SLURM), record, session)

    return make


def test_one_question_answers_for_all_sessions(queue_of, clock):
    cluster = Cluster(_1=("PENDING", "Resources"), _2=("RUNNING", "None"), _3=("PENDING", "Priority"))
    one, two, three = (queue_of(cluster, "h" + job, job) for job in "123")
    clock[0] += 10
    assert (one.ask("1").state, one.ask("1").reason) == ("pending", "Resources")
    assert (two.ask("2").state, two.ask("2").nodes, two.ask("2").time_left_s) == ("running", ["c2"], 3599)
    assert three.ask("3").reason == "Priority"
    assert [argv[:4] for argv in cluster.asked] == [["squeue", "-h", "-j", "1,2,3"]]


def test_an_old_answer_is_not_used(queue_of, clock):
    cluster = Cluster(_1=("PENDING", "Resources"), _2=("PENDING", "Resources"))
    one, two = queue_of(cluster, "a", "1"), queue_of(cluster, "b", "2")
    clock[0] += 10
    one.ask("1")
    cluster.jobs["2"] = ("RUNNING", "None")
    clock[0] += 8
    assert two.ask("2").state == "pending", "8 of 18 seconds old"
    clock[0] += 8
    assert two.ask("2").state == "running"


@pytest.mark.parametrize("state", [None, ("PENDING", ""), ("FAILED", "NonZeroExitCode")])
def test_what_needs_further_questions_is_asked_alone(queue_of, clock, state):
    """The job is not listed, gives no reason, or is over."""
    cluster = Cluster(_1=("RUNNING", "None"), **({"_2": state} if state else {}))
    queue_of(cluster, "a", "1")
    two = queue_of(cluster, "b", "2")
    clock[0] += 10
    answer = two.ask("2")
    assert ["scontrol", "-o", "show", "job", "2"] in cluster.asked
    assert answer.gone if state is None else answer.native == state[0]


def test_a_batch_system_that_answers_about_one_job_at_a_time(queue_of, clock):
    cluster = Cluster(_1=("RUNNING", "None"), _2=("RUNNING", "None"))
    alone = {name: entry for name, entry in SLURM.items() if name != "ask_together"}
    one, two = queue_of(cluster, "a", "1", alone), queue_of(cluster, "b", "2", alone)
    clock[0] += 10
    assert one.ask("1").state == two.ask("2").state == "running"
    assert [argv[-1] for argv in cluster.asked] == ["1", "2"]


def test_the_sites_minimum_is_for_all_sessions_together(queue_of, clock):
    cluster = Cluster(_1=("RUNNING", "None"), _2=("RUNNING", "None"))
    alone = {name: entry for name, entry in SLURM.items() if name != "ask_together"}
    one, two = queue_of(cluster, "a", "1", alone, 30), queue_of(cluster, "b", "2", alone, 30)
    clock[0] += 100
    assert one.ask("1").state == "running"
    assert two.ask("2") is None
    clock[0] += 31
    assert two.ask("2").state == "running"
    assert len(cluster.asked) == 2


def test_a_session_does_not_wait_for_another_that_asks(queue_of):
    cluster = Cluster(_1=("RUNNING", "None"))
    one = queue_of(cluster, "a", "1")
    with open(one.path, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert one.ask("1") is None and not cluster.asked
    assert one.ask("1").state == "running"


def test_other_login_nodes_have_their_own_answers(queue_of, clock):
    cluster = Cluster(_1=("RUNNING", "None"), _2=("RUNNING", "None"))
    one, two = queue_of(cluster, "a", "1"), queue_of(cluster, "b", "2", login_node="login2")
    clock[0] += 10
    one.ask("1")
    two.ask("2")
    assert len(cluster.asked) == 2 and one.path != two.path


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"1": {"at": "soon"}}', '{"1": {"at": 1009, "state": {"state": "running"}}}', json.dumps({"1": 5})])
def test_a_damaged_file_is_replaced(queue_of, clock, text):
    cluster = Cluster(_1=("RUNNING", "None"))
    one = queue_of(cluster, "a", "1")
    with open(one.path, "w") as stream:
        stream.write(text)
    clock[0] += 10
    assert one.ask("1").state == "running"
    assert list(json.load(open(one.path))) == ["1"]  # noqa: SIM115


def test_the_last_session_removes_the_answers(queue_of, tmp_path):
    cluster = Cluster(_1=("RUNNING", "None"))
    one = queue_of(cluster, "a", "1")
    one.ask("1")
    assert os.stat(one.path).st_mode & 0o077 == 0
    shared_queue.forget(str(tmp_path))
    assert os.path.exists(one.path)
    Session(str(tmp_path), "a").update(daemon=None)
    shared_queue.forget(str(tmp_path))
    assert not os.path.exists(one.path)


def test_clusters_that_name_themselves_alike_share_no_answers(queue_of, clock):
    """What a site says of itself proves nothing; the user's own target does."""
    cluster = Cluster(_1=("RUNNING", "None"))
    one, two = queue_of(cluster, "a", "1", target={"host": "a.example"}), queue_of(cluster, "b", "1", target={"host": "b.example"})
    clock[0] += 10
    assert one.ask("1").state == two.ask("1").state == "running"
    assert len(cluster.asked) == 2 and one.path != two.path


def test_a_record_that_cannot_be_read_disturbs_no_other_session(queue_of, clock, tmp_path):
    cluster = Cluster(_1=("RUNNING", "None"))
    one = queue_of(cluster, "a", "1")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/session.json").write_text("{")
    clock[0] += 10
    assert one.ask("1").state == "running"
