# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a job while its sources contradict one another, fail, and recover."""

import copy
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_watch
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_watch import JobWatch
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, jobs
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs, Polling
from ansible_collections.sciviz.paraview.plugins.module_utils.session import job_monitor
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import ChannelLost

SLURM = dict(answers.TABLES["slurm"], ask={"scontrol": answers.TABLES["slurm"]["ask"]["scontrol"]})
LONG_AGO = time.time() - 1000
RUNS = "running node01\n"


def given(value):
    """A value that a test set; if it is an error, that is raised."""
    if isinstance(value, Exception):
        raise value
    return value


class Files:
    """A job's directory: a text, a beat, a log. Text and log may be an error instead."""

    path = "/home/x/.paraview-connect/0123456789abcdef"

    def __init__(self):
        self.text, self.beat, self.words = RUNS, "", ""

    def status(self, _seen, _seconds, _pause=0.1):
        return given(self.text)

    def read_log(self):
        return given(self.words)


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(job_watch.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(jobs, "poll_pause", lambda _waited: 1)
    return clock


@pytest.fixture(name="job")
def _job(recorded, clock):
    """A job whose batch system answers with the recorded case `job.case`, or raises it."""
    class Job:
        case = "running_scontrol_o"
        queries = 0

        def __init__(self):
            self.files = Files()
            self.watch = JobWatch("11", Jobs(self.run, SLURM), self.files, Polling(LONG_AGO), 1)

        def run(self, _argv):
            Job.queries += 1
            answer = recorded(given(self.case)).mine("11")
            return answer.code, answer.out, answer.err

        def step(self, seconds=1):
            clock[0] += seconds
            return self.watch.step()

    Job.queries = 0
    return Job()


HANGS = SessionError("cannot read it", "no answer within 15 s")


def vanish(job):
    """The batch system reports the end of a job that gave one sign of life, until the watch accepts it."""
    job.files.beat = "1"
    job.step()
    job.case = "unknown_scontrol_o"
    for _second in range(10):
        job.step()
    assert job.watch.vanished


def test_an_end_that_was_wrongly_reported_is_taken_back(job):
    vanish(job)
    job.case, job.files.beat = "running_scontrol_o", "2"
    job.step()
    assert not job.watch.over
    for _second in range(30):
        job.step()
        assert not job.watch.over, "the sign of life stays out, and the batch system reports that the job runs"


def test_a_new_sign_of_life_takes_an_end_back_even_if_the_batch_system_is_down(job):
    vanish(job)
    job.case, job.files.beat = HANGS, "2"
    job.step()
    assert not job.watch.over


def test_an_answer_proves_nothing_while_the_files_of_a_running_job_cannot_be_read(job):
    job.step()
    before, job.case, job.files.text = job.queries, "unknown_scontrol_o", HANGS
    for _second in range(60):
        assert job.step() is False
    assert not job.watch.over and job.queries == before and job.watch.unread_for >= 59
    job.files.text = RUNS
    job.step()
    assert job.watch.unread is None and job.watch.unread_for == 0


def test_a_directory_that_is_gone_takes_nothing_back(job):
    job.files.text = RUNS + "said Client connected.\nended 0 pvserver"
    job.step()
    job.files.text = ""
    job.step()
    assert job.watch.progress.ended and job.watch.progress.connected


def test_a_lost_connection_is_no_missing_log(job):
    job.files.text = RUNS + "ended 9 pvserver"
    job.step()
    job.files.words = ChannelLost("the connection is lost", "ssh ended", "connect again")
    with pytest.raises(ChannelLost):
        job.watch.wait_for_ending()


def test_a_job_that_was_cancelled_in_the_queue_has_no_log_to_wait_for(job, monkeypatch):
    monkeypatch.setattr(job_watch.time, "sleep", lambda _seconds: pytest.fail("it waits"))
    job.files.text, job.case = "", "cancelled_pending_scontrol_o"
    job.step()
    assert job.watch.vanished and job.watch.wait_for_ending()[0].state == "failed"


def test_a_table_without_nodes_does_not_show_that_a_cancelled_job_never_ran(job):
    table = copy.deepcopy(job.watch.queue.table)
    for question in table["ask"].values():
        question["fields"].pop("nodes", None)
    job.watch.queue.table = table
    job.files.text, job.case = "", "cancelled_pending_scontrol_o"
    job.step()
    assert not job.watch.vanished, "its last words may still appear"
    for _second in range(30):
        job.step()
    assert job.watch.vanished


@pytest.mark.parametrize("floor", [0, 60])
def test_a_missing_sign_of_life_does_not_break_the_sites_pace(clock, floor):
    polling = Polling(LONG_AGO, floor)
    polling.put_off(20)
    polling.hurry(3)
    clock[0] += max(3, floor) - 0.1
    assert not polling.due()
    clock[0] += 0.2
    assert polling.due()


@pytest.fixture(name="monitor")
def _monitor(job, monkeypatch):
    """The daemon's monitor of the job; `ends` are the ends of the session that it reported, `updates` those of its record."""
    record = SessionRecord(id="0" * 16, job_id="11", remote_directory=Files.path, state="connected")
    ends, updates = [], []

    class Session:
        def read(self):
            return record

        def update(self, **fields):
            updates.append(fields)

    class Flow:
        progress = property(lambda self: self.watch.progress)

        @staticmethod
        def released():
            return True

        @staticmethod
        def end_with_job():
            """The job is not the user's own."""

    flow = Flow()
    flow.watch, flow.directory, flow.queue = job.watch, job.files, job.watch.queue
    monitor = job_monitor.JobMonitor(Session(), None, lambda *end: ends.append(end), lambda: pytest.fail("the record is there"),
                                     lambda why, died_at: pytest.fail("no job is kept"))
    monitor.flow, monitor.ends, monitor.updates = flow, ends, updates
    monkeypatch.setattr(job_monitor.time, "monotonic", job_watch.time.monotonic)
    return monitor


def test_an_end_that_could_not_be_finished_is_tried_again(monitor, job, clock):
    job.files.text = RUNS + "said Client connected.\nended 0 pvserver"
    failures = [SessionError("the login node does not answer", "no answer within 30 s")] * 2

    def end(*words):
        if failures:
            raise failures.pop()
        monitor.ends.append(words)

    monitor.end = end
    for _second in range(100):
        clock[0] += 1
        monitor.check()
    assert monitor.ends == [("ended", "the client left", True)]


def test_a_session_whose_home_hangs_ends_once_its_files_can_be_removed(monitor, job, clock):
    job.files.text = RUNS + "ended 0 pvserver"
    job.files.words = HANGS
    clock[0] += 1
    monitor.check()
    job.files.text = HANGS
    for _second in range(200):
        clock[0] += 1
        monitor.check()
    assert not monitor.ends
    job.files.text, job.files.words = RUNS + "ended 0 pvserver", ""
    for _second in range(60):
        clock[0] += 1
        monitor.check()
    assert len(monitor.ends) == 1


def test_the_record_is_not_written_for_a_second_more_or_less(monitor, job, clock, monkeypatch):
    monkeypatch.setattr(job_monitor.time, "time", lambda: clock[0])
    record = monitor.session.read()
    for _second in range(30):
        clock[0] += 1
        monitor.check()
        for fields in monitor.updates:
            for name, value in fields.items():
                setattr(record, name, value)
    times = [fields["ends_at"] for fields in monitor.updates if "ends_at" in fields]
    assert len(times) >= 1 and all(abs(one - other) > 2 for one, other in zip(times, times[1:]))


def test_an_old_answer_does_not_move_the_end_of_the_wall_time(monitor, job, clock):
    for _second in range(30):
        clock[0] += 1
        monitor.check()
    told = [fields for fields in monitor.updates if "ends_at" in fields]
    job.case = HANGS
    for _second in range(200):
        clock[0] += 1
        monitor.check()
    assert [fields for fields in monitor.updates if "ends_at" in fields] == told
