# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of a batch system, over any run(argv)."""

import os
import signal
import threading

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import adaptation, directives, jobs, validation
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers as schedulers
from conftest import Answer

SLURM = schedulers.TABLES["slurm"]
NONE = schedulers.TABLES["none"]
REFUSED = {
    "sbatch_bad_partition": "invalid partition specified: nosuch", "sbatch_bad_constraint": "Invalid feature specification",
    "sbatch_bad_gres": "Invalid generic resource", "sbatch_bad_mem": "Memory specification can not be satisfied",
    "sbatch_bad_option": "unrecognized option", "sbatch_bad_reservation": "Requested reservation is invalid",
    "sbatch_bad_time": "Invalid --time specification", "sbatch_crlf": "DOS line breaks", "sbatch_group_denied": "not permitted",
    "sbatch_no_file": "Unable to open file", "sbatch_no_shebang": "does not look like a batch script", "down_sbatch": "Unable to contact",
}
SGE, PBS = schedulers.TABLES["sge"], schedulers.TABLES["pbs"]


class Fake:
    """A run(argv) that returns recorded answers in turn, and then always the last one."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.commands = []

    def __call__(self, argv):
        self.commands.append(argv)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer.code, answer.out, answer.err


def test_submit(recorded):
    run = Fake(recorded("sbatch_parsable"))
    assert jobs.Jobs(run, SLURM).submit("/h/a b/job.sh") == "11"
    assert run.commands == [["sbatch", "--parsable", "/h/a b/job.sh"]]


def test_an_older_qsub_is_used_without_the_option_that_it_lacks():
    run = Fake(Answer("", 2, "", "qsub: invalid option -- 'f'\nusage: qsub [-a date_time] ...\n"), Answer("", 0, "77.srv\n", ""))
    assert jobs.Jobs(run, PBS).submit("/h/job.sh") == "77.srv"
    assert run.commands == [["qsub", "-f", "/h/job.sh"], ["qsub", "/h/job.sh"]]


def test_a_refused_job_is_submitted_once():
    run = Fake(Answer("", 188, "", "qsub: Job violates queue and/or server resource limits\n"))
    with pytest.raises(SessionError, match="violates"):
        jobs.Jobs(run, PBS).submit("/h/job.sh")
    assert len(run.commands) == 1


def test_a_batch_system_that_does_not_answer_is_reported_while_it_is_waited_for(monkeypatch):
    monkeypatch.setattr(jobs, "SLOW", 0.01)
    reported = threading.Event()

    def script(_text, _seconds):
        assert reported.wait(10), "nothing was reported"
        return 124, "", ""

    assert jobs.over(script, slow=reported.set)(["qsub", "x"]) == (124, "", "")


def test_a_batch_system_that_answers_is_not_reported(monkeypatch):
    monkeypatch.setattr(jobs, "SLOW", 0.2)
    reported = threading.Event()
    jobs.over(lambda _text, _seconds: (0, "", ""), slow=reported.set)(["qsub", "x"])
    assert not reported.wait(0.5)


def test_a_job_that_was_cancelled_in_the_queue_has_no_log():
    state = schedulers.JobState("cancelled", "CANCELLED", "", "it was cancelled", False, [], "", None, None, None, False)
    error = jobs.ended_error("11", state, "", "", True)
    assert not [line for line in error.lines() if "log" in line]


@pytest.mark.parametrize(("case", "message"), REFUSED.items())
def test_a_refusal_has_the_batch_systems_message(recorded, case, message):
    with pytest.raises(SessionError, match="Slurm refused the job") as caught:
        jobs.Jobs(Fake(recorded(case)), SLURM).submit("job.sh")
    assert message in caught.value.why
    assert caught.value.way_out


def test_a_refusal_names_what_was_requested(recorded):
    """Slurm's own message does not: it says that the requested node configuration is not available."""
    options = {"nodes": 1, "tasks_per_node": 4, "gpus_per_node": 2, "gpu_type": "h200", "walltime": 3600, "extra": ["-w c7"], "queue": "", "exclusive": False}
    variables = ["paraview_tasks_per_node", "paraview_gpus_per_node", "paraview_gpu_type", "paraview_walltime", "paraview_directives"]
    assert directives.variables(options) == variables
    with pytest.raises(SessionError) as caught:
        jobs.Jobs(Fake(recorded(next(iter(REFUSED)))), SLURM).submit("job.sh", variables)
    assert caught.value.way_out == "change what the message names; the job requests " + ", ".join(variables)


def test_success_without_an_id_may_still_be_a_job(recorded):
    with pytest.raises(SessionError, match="refused the job, or printed its id in an unknown format") as caught:
        jobs.Jobs(Fake(recorded("scancel_pending")), SLURM).submit("job.sh")
    assert "check whether it has the job" in caught.value.way_out


def test_a_submission_that_hangs_is_no_refusal(recorded):
    with pytest.raises(SessionError, match="PBS does not answer") as caught:
        jobs.Jobs(Fake(recorded("hung_qstat", "pbs")), PBS).submit("job.sh")
    assert "time limit" in caught.value.why


def test_a_hung_server_is_queried_once(recorded):
    run = Fake(recorded("hung_qstat", "pbs"))
    assert jobs.Jobs(run, PBS).ask("39").state == "unknown"
    assert len(run.commands) == 1


@pytest.mark.parametrize("message", [
    "flux-mini: ERROR: [Errno 2] Unable to connect to Flux: No such file or directory", "/usr/bin/env: 'python3': No such file or directory"])
def test_a_flux_broker_that_is_down_does_not_mean_that_the_job_is_gone(message):
    run = Fake(Answer("flux jobs", 1, "", message))
    queue = jobs.Jobs(run, schedulers.TABLES["flux"])
    assert not queue.ask("4711").gone
    assert queue.cancel("4711") != ""


def test_an_error_of_lsf_is_not_the_end_of_the_job():
    text = '{"RECORDS":[{"JOBID":"1","ERROR":"Failed in an LSF library call: Batch daemon internal error"}]}'
    assert not jobs.Jobs(Fake(Answer("bjobs", 255, text, "")), schedulers.TABLES["lsf"]).ask("1").gone


def test_a_listing_without_its_beginning_or_end_is_not_complete(recorded):
    answer = recorded("running_multi_xml", "gridengine")
    for out in (answer.out[answer.out.index("<job_list"):], answer.out[:-20]):
        assert not jobs.Jobs(Fake(answer._replace(out=out)), SGE).ask("4711").gone


def test_ask(recorded):
    run = Fake(recorded("running_scontrol_o"))
    assert jobs.Jobs(run, SLURM).ask("11").state == "running"
    assert run.commands == [["scontrol", "-o", "show", "job", "11"]]


@pytest.mark.parametrize(("case", "objection"), [
    ("scancel_pending", ""), ("scancel_running", ""), ("scancel_cf", ""), ("scancel_notowner", "Access/permission denied"),
    ("down_scancel", "Unable to contact slurm controller")])
def test_cancel(recorded, case, objection):
    run = Fake(recorded(case))
    result = jobs.Jobs(run, SLURM).cancel("11")
    assert objection in result and bool(result) == bool(objection)
    assert run.commands == [["scancel", "11"]]


@pytest.mark.parametrize("last", ["cancelled_running_scontrol_o", "completed_scontrol_o"])
def test_cancel_waits_until_the_queue_has_released_the_job(recorded, last):
    run = Fake(recorded("scancel_running"), recorded("running_scontrol_o"), recorded("completing_scontrol_o").mine("11"), recorded(last).mine("11"))
    assert jobs.Jobs(run, SLURM).cancel_and_wait("11", pause=lambda _seconds: None) == ""
    assert len(run.commands) == 4


def test_cancel_of_a_job_that_is_gone(recorded):
    run = Fake(recorded("scancel_running"), recorded("unknown_scontrol_o"))
    assert jobs.Jobs(run, SLURM).cancel_and_wait("11", pause=lambda _seconds: None) == ""


def test_grid_engine_releases_a_job_when_the_node_has_confirmed(recorded):
    def listing(state):
        answer = recorded("running_xml", "gridengine")
        return answer._replace(out=answer.out.replace("<state>r</state>", "<state>{0}</state>".format(state)))

    over = recorded("empty_xml", "gridengine"), recorded("unknown_qacct", "gridengine")
    run = Fake(recorded("qdel_run", "gridengine"), listing("r"), listing("dr"), listing("dr"), *over)
    assert jobs.Jobs(run, SGE).cancel_and_wait("2", pause=lambda _seconds: None) == ""
    assert len(run.commands) == 6
    run = Fake(recorded("qdel_run", "gridengine"), listing("dr"))
    queue = jobs.Jobs(run, SGE)
    assert queue.cancel_and_wait("2", seconds=0, pause=lambda _seconds: None) == "", "a lost node confirms nothing"
    assert queue.ask("2").state == "cancelled"


def test_a_job_of_pbs_on_a_dead_node_is_cancelled_by_force(recorded):
    run = Fake(recorded("qdel_lostnode", "pbs"), recorded("qdel_force_user", "pbs"))
    assert jobs.Jobs(run, PBS).cancel("75.login1") == ""
    assert run.commands == [["qdel", "75.login1"], ["qdel", "-W", "force", "75.login1"]]
    run = Fake(recorded("hung_qstat", "pbs"))
    assert jobs.Jobs(run, PBS).cancel("75.login1") == "exit code 124"
    assert len(run.commands) == 1, "a server that hangs is not waited for twice"


def test_after_malformed_json_the_text_is_requested(recorded):
    run = Fake(recorded("rel230606_esc_num_.5_json", "pbs"), recorded("esc_newline_f", "pbs").mine("60.login1", "25.login1"))
    job = jobs.Jobs(run, PBS).ask("60.login1")
    assert run.commands == [["qstat", "-f", "-F", "json", "60.login1"], ["qstat", "-f", "-w", "60.login1"]]
    assert (job.state, job.native) == ("pending", "H")


USAGE = "usage: \nqstat [-f] [-J] [-p] [-t] [-x] [ job_identifier... | destination... ]\n"
NO_F, NO_W = "qstat: invalid option -- 'F'\n" + USAGE, "qstat: conflicting options.\n" + USAGE
TABLE = ("\nserver: \nJob ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time\n"
         "--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----\n"
         "7.login1        alice    workq    pvserver      118   1   1    --  00:05 R 00:00\n")
STATES = {"waits": "queued", "runs": "running_qstat", "ends": "exiting"}


class Qstat:
    """qstat of PBS, made from recordings: one job that waits, runs, ends, is over or never existed.

    Args:
        recorded: the fixture. release: whether it supports -F and -w. history: whether the server keeps it. job: the job's state.
    """

    def __init__(self, recorded, job="runs", history=False, release="now"):
        self.recorded, self.job, self.history, self.release = recorded, job, history, release
        self.commands = []

    def case(self, options):
        json = "_json" if "-F" in options else ""
        if "-x" in options and not self.history:
            return "nohist_running_x_f_json"
        if self.job == "over" and self.history:
            return "finished_x_f" + json if "-x" in options else "finished_no_x" + ("" if json else "_plain")
        return STATES[self.job] + "_f" + json if self.job in STATES else "unknown_job" + ("_f_json" if json else "")

    def __call__(self, argv):
        self.commands.append(" ".join(argv[1:-1]))
        if "-F" in argv and self.release in ("12", "14"):
            return 2, "", NO_F
        if "-w" in argv and self.release == "12":
            return 2, "", NO_W
        if "-w" in argv and self.release == "14":
            return 0, TABLE, ""
        answer = self.recorded(self.case(argv), "pbs")
        out = answer.mine("7.login1").out if "Job" in answer.out else answer.out
        if "-F" in argv and self.release == "malformed" and "Jobs" in out:
            out = out.replace('"Priority":\t0', '"Priority":\t+.5')
        return answer.code, out if "-F" in argv or "Job Id" in out else "", answer.err


READABLE = {"now": ["-f -F json"], "malformed": ["-f -F json", "-f -w"], "14": ["-f -F json", "-f -w", "-f"], "12": ["-f -F json", "-f -w", "-f"]}


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("release", sorted(READABLE))
@pytest.mark.parametrize(("job", "state", "native", "nodes"), [
    ("waits", "pending", "Q", []), ("runs", "running", "R", ["node01"]), ("ends", "running", "E", ["node01"])])
def test_pbs_is_read_correctly_with_and_without_a_history(recorded, job, state, native, nodes, release, history):
    """By default, a server keeps none, and refuses -x for every job."""
    run = Qstat(recorded, job, history, release)
    result = jobs.Jobs(run, PBS).ask("7.login1")
    assert (result.state, result.native, result.nodes, result.gone) == (state, native, nodes, False)
    assert "free nodes" in result.reason or job != "waits"
    assert run.commands == READABLE[release], "no unnecessary queries"


@pytest.mark.parametrize("release", sorted(READABLE))
def test_with_a_history_pbs_reports_how_a_job_ended(recorded, release):
    run = Qstat(recorded, "over", True, release)
    result = jobs.Jobs(run, PBS).ask("7.login1")
    assert (result.state, result.native, result.exit_status, result.nodes) == ("ended", "F", 0, ["node02"])
    assert run.commands[-1] == "-x -f"
    assert jobs.Jobs(run, PBS).cancel_and_wait("7.login1", pause=lambda _seconds: None) == ""


@pytest.mark.parametrize("release", sorted(READABLE))
@pytest.mark.parametrize(("job", "history"), [("over", False), ("never there", False), ("never there", True)])
def test_a_job_that_pbs_does_not_know(recorded, job, history, release):
    result = jobs.Jobs(Qstat(recorded, job, history, release), PBS).ask("7.login1")
    assert (result.state, result.gone) == ("unknown", True)


def test_without_an_answer_from_the_history_the_job_is_still_over(recorded):
    """The server reports that the job has finished; then it goes down, forgets the job or hangs."""
    for after in ("down_qstat", "unknown_job", "hung_qstat", "nohist_running_x_f_json", "noconf_qstat"):
        run = Fake(recorded("finished_no_x", "pbs"), recorded(after, "pbs"))
        result = jobs.Jobs(run, PBS).ask("20.login1")
        assert (result.state, result.gone, len(run.commands)) == ("ended", False, 2), after


def test_a_refused_history_leaves_the_state_of_the_job_unknown(recorded):
    for answer in (recorded("nohist_running_x_f_json", "pbs"), Answer("qstat", 0, "", "qstat: PBS is not configured to maintain job history 1000.login")):
        result = jobs.Jobs(Fake(answer), PBS).ask("1000.login")
        assert (result.state, result.gone) == ("unknown", False)
        assert "not configured" in result.reason


def test_a_job_that_was_moved_to_another_server_is_not_over(recorded):
    moved = Answer("qstat -x -f 20.login1", 0, "Job Id: 20.login1\n    Job_Name = pvserver\n    job_state = M\n    substate = 94\n", "")
    result = jobs.Jobs(Fake(recorded("finished_no_x", "pbs"), moved), PBS).ask("20.login1")
    assert (result.state, result.native, result.explanation) == ("pending", "M", "it was moved to another server")


def test_a_table_of_an_inventory_uses_its_own_questions(recorded):
    """A table that changes a shipped one, and a site's own table."""
    ask = {"json": {"argv": ["/opt/site/qstat", "-f", "-F", "json", "{job_id}"]}, "text": None, "history": None}
    changed = validation.tables({"pbs": {"ask": ask}})["pbs"]
    run = Fake(recorded("running_qstat_f_json", "pbs"))
    assert jobs.Jobs(run, changed).ask("0.login1").state == "running"
    assert run.commands == [["/opt/site/qstat", "-f", "-F", "json", "0.login1"]]
    own = dict(SLURM, ask={"one": dict(SLURM["ask"]["scontrol"], over="is over"), "two": dict(SLURM["ask"]["sacct"]),
                           "three": dict(SLURM["ask"]["scontrol"], when="unreadable")})
    for first, count in (((0, "JobId=11 JobState=RUNNING Reason=None Dependency=", ""), 1), ((0, "what?", ""), 2), ((1, "", "11 is over"), 2),
                         ((1, "", "Invalid job id specified"), 2), ((1, "", "down"), 1)):
        run = Fake(Answer("", *first), Answer("", 0, "", ""))
        jobs.Jobs(run, own).ask("11")
        assert len(run.commands) == count, first


def test_a_server_that_is_down_is_queried_once(recorded):
    run = Fake(recorded("down_qstat_f_json", "pbs"))
    job = jobs.Jobs(run, PBS).ask("39")
    assert len(run.commands) == 1
    assert (job.state, job.gone) == ("unknown", False)
    assert "cannot connect to server" in job.reason


def test_why_a_job_of_grid_engine_waits(recorded):
    run = Fake(recorded("list_states_xml", "gridengine"), recorded("never_j_xml", "gridengine"))
    job = jobs.Jobs(run, SGE).ask("9")
    assert (job.state, job.native, job.never) == ("pending", "qw", False)
    assert job.reason.startswith('cannot run in PE "smp" because it only offers 0 slots')
    assert "paraview_nodes" in job.explanation
    run = Fake(recorded("list_states_xml", "gridengine"), recorded("eqw_j_xml", "gridengine"))
    job = jobs.Jobs(run, SGE).ask("13")
    assert (job.state, job.native) == ("failed", "Eqw")
    assert "can't open output file" in job.reason


def test_how_a_job_of_grid_engine_ended(recorded):
    run = Fake(recorded("list_states_xml", "gridengine"), recorded("finished_fail3_qacct", "gridengine"))
    job = jobs.Jobs(run, SGE).ask("18")
    assert (job.state, job.exit_status, job.nodes) == ("failed", 3, ["node02"])


def test_a_job_that_still_exists_is_reported(recorded):
    run = Fake(recorded("scancel_running"), recorded("running_scontrol_o"))
    assert jobs.Jobs(run, SLURM).cancel_and_wait("11", seconds=0, pause=lambda _seconds: None) == "job 11 is still RUNNING"
    run = Fake(recorded("scancel_running"), recorded("completing_scontrol_o").mine("11"))
    assert jobs.Jobs(run, SLURM).cancel_and_wait("11", seconds=0, pause=lambda _seconds: None) == "", "an epilog may take long"
    run = Fake(recorded("scancel_notowner"), recorded("running_scontrol_o"))
    assert "permission denied" in jobs.Jobs(run, SLURM).cancel_and_wait("11", seconds=0, pause=lambda _seconds: None)


def test_queries_become_less_frequent():
    assert 0.9 <= jobs.poll_pause(-5) <= 1.1
    assert 0.9 <= jobs.poll_pause(0) <= 1.1
    assert 9 <= jobs.poll_pause(120) <= 11
    assert 54 <= jobs.poll_pause(1800) <= 66
    assert 54 <= jobs.poll_pause(10 ** 6) <= 66


@pytest.mark.parametrize(("floor", "waited", "least"), [(0, 0, 0.9), (0, 120, 9), (30, 0, 30), (30, 1800, 54)])
def test_a_site_is_never_queried_more_often_than_it_allows(floor, waited, least, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(jobs.time, "time", lambda: now[0])
    polling = jobs.Polling(now[0] - waited, floor)
    assert polling.due()
    now[0] += least - 0.01
    assert not polling.due()
    now[0] += 0.3 * least
    assert polling.due()
    polling.put_off(0.1)
    now[0] += 0.2
    assert not polling.due(), "a later time that is already set stays"
    polling.soon(0.1)
    now[0] += 0.2
    assert polling.due() == (floor == 0)


@pytest.mark.parametrize(("interval", "floor", "every"), [(30, 0, 30), (5, 0, 5), (5, 20, 20), (90, 20, 90)])
def test_a_poll_interval_of_the_users_own(monkeypatch, interval, floor, every):
    """It holds however long the job waits, but never below the site's minimum."""
    now = [1000.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(jobs.time, "time", lambda: now[0])
    for waited in (0, 100, 5000):
        polling = jobs.Polling(now[0] - waited, floor, interval)
        assert polling.due()
        polling.hurry(0.5)
        now[0] += every - 0.1
        assert not polling.due()
        now[0] += 0.2
        assert polling.due()


def test_errors_of_jobs(recorded):
    def state(case):
        answer = recorded(case)
        return jobs.Jobs(Fake(answer), SLURM).ask(answer.command.split()[-1])

    never = state("pending_parttimelimit_scontrol_o")
    assert "PartitionTimeLimit: it requests more time" in jobs.never_error("17", never).why
    error = jobs.ended_error("28", state("timeout_scontrol_o"), "", "one\n\x1b[31mtwo\n")
    assert error.what == "job 28 died"
    assert error.why == "its wall time was over; exit status 143; the end of its log:\n    one\n    two"
    nothing = schedulers.unknown("")
    assert jobs.ended_error("1", nothing, "", "").why == "no reason is known; its log is empty"
    assert jobs.ended_error("1", nothing, "pvserver was not found", "").why.startswith("pvserver was not found")
    cancelled = jobs.ended_error("12", state("cancelled_pending_scontrol_o"), "", "")
    assert "it was cancelled" in cancelled.why and cancelled.cancelled
    assert "killed by signal 9 (SIGKILL); exit status 137" in jobs.ended_error("24", state("killed9_scontrol_o"), "", "").why
    assert "FAILED NonZeroExitCode; exit status 3" in jobs.ended_error("23", state("failed3_scontrol_o"), "", "").why


def test_over_a_shell(script, tmp_path):
    kept = tmp_path / "it's kept"
    run = jobs.over(script, "greeting=hello", str(kept))
    odd = "a b'\"$HOME`id`\\"
    assert run(["printf", "%s", odd]) == (0, odd, "")
    assert kept.read_text() == odd
    assert run(["sh", "-c", 'echo "$greeting$LC_ALL"; echo wrong >&2; exit 3']) == (3, "\n", "wrong\n"), "a job does not inherit our locale"
    assert jobs.over(script)(["sh", "-c", 'echo "$LC_ALL"']) == (0, "C\n", "")
    assert jobs.over(script, "greeting=hello; export greeting")(["sh", "-c", "echo $greeting"]) == (0, "hello\n", "")


def test_a_detached_process(script, tmp_path, until):
    """The batch system 'none': a real job is submitted, queried and cancelled."""
    path = tmp_path / "it's a job.sh"
    path.write_text("trap 'echo over > \"$0.log\"; exit 0' TERM\necho began > \"$0.log\"\nwhile :; do sleep 0.05; done\n")
    log = tmp_path / "it's a job.sh.log"
    queue = jobs.Jobs(jobs.over(script), NONE)
    job_id = queue.submit(str(path))
    try:
        until(lambda: log.exists() and log.read_text() == "began\n")
        state = queue.ask(job_id)
        assert (state.state, state.native, state.never) == ("running", "RUNNING", False)
    finally:
        assert queue.cancel_and_wait(job_id) == ""
    assert log.read_text() == "over\n"
    assert queue.ask(job_id).gone
    assert queue.cancel(job_id) == ""


def test_another_process_with_the_same_id_is_neither_reported_nor_ended(script, tmp_path):
    path = tmp_path / "job.sh"
    path.write_text("sleep 1000\n")
    queue = jobs.Jobs(jobs.over(script), NONE)
    job_id = queue.submit(str(path))
    other = job_id.partition(".")[0] + ".1"
    try:
        assert queue.ask(other).gone
        assert queue.cancel(other) == ""
        assert queue.ask(job_id).state == "running"
    finally:
        os.killpg(int(job_id.partition(".")[0]), signal.SIGKILL)


def told(*arguments, code=1, name="slurm"):
    """Why a submission that printed (out, err) was refused."""
    with pytest.raises(SessionError) as caught:
        jobs.Jobs(Fake(Answer("", code, *arguments)), schedulers.TABLES[name]).submit("job.sh")
    return caught.value


RULE = "=" * 70
BANNER = "\n".join([RULE, "            Welcome to Lonely Mountain", RULE, "", "No reservation for this job"] + [
    "--> Checking {0}...OK".format(what) for what in ("the submit host (login3)", "the name of the job", "ssh keys", "the quota of /home")])


@pytest.mark.parametrize("code", [0, 1, 255])
@pytest.mark.parametrize(("out", "err", "cause"), [
    (BANNER + "\n--> Checking queue (huge)...FAILED\n\n  [*] There is no queue huge; there are: normal, long\n\n", "",
     "[*] There is no queue huge; there are: normal, long"),
    (BANNER + "\n--> Checking budget (PROJ7)...FAILED\n\n   [*] PROJ7 has expired\n",
     "sbatch: error: Batch job submission failed: Unspecified error\n", "PROJ7 has expired"),
    ("", BANNER + "\n--> Submission error: please name the number of nodes\n", "please name the number of nodes"),
    (BANNER, "sbatch: error: Batch job submission failed: Invalid qos\n" + RULE, "Invalid qos"),
    ("", "sbatch: unrecognized option '--foo'\nUsage: sbatch [OPTIONS]\n" + "  --x   y\n" * 50, "unrecognized option '--foo'"),
    ("", "\x1b[31m" + "x" * 2000 + " is not a project\x1b[0m", "is not a project")])
def test_the_end_of_a_refusal_is_shown(out, err, cause, code):
    error = told(out, err, code=code)
    assert cause in error.why
    assert "Welcome" not in error.why and len(error.why) < 1000 and "\n" not in error.why and "\x1b" not in error.why
    assert "change what the message names" in error.way_out


def test_an_id_on_the_other_stream_counts():
    assert jobs.Jobs(Fake(Answer("", 0, "", "sbatch: Submitted batch job 12\n")), SLURM).submit("job.sh") == "12"


@pytest.mark.parametrize(("out", "job_id"), [
    ("4711;serial\n", "4711;serial"), ("Submitted batch job 4711 on cluster serial\n", "4711;serial"), ("4711\n", "4711"), ("4711;c 1\n", "4711;c")])
def test_an_id_keeps_its_cluster(out, job_id):
    assert jobs.Jobs(Fake(Answer("", 0, out, "")), SLURM).submit("job.sh") == job_id


def test_every_command_about_a_job_names_its_cluster():
    run = Fake(Answer("", 1, "", "slurm_load_jobs error: Invalid job id specified"), Answer("", 0, "", ""), Answer("", 0, "", ""), Answer("", 0, "", ""))
    queue = jobs.Jobs(run, SLURM)
    assert queue.ask("4711;serial").gone
    assert queue.cancel("4711;serial") == ""
    queue.ask_together(["4711;serial", "12", "4712;serial"])
    assert [argv[:3] for argv in run.commands] == [[program, "-M", "serial"] for program in ("scontrol", "sacct", "scancel", "squeue")]
    assert run.commands[2][3:] == ["4711"] and "4711,4712" in run.commands[3]
    attach = queue.attach("4711;serial", "n1", "/h/job.sh")
    assert attach[2:6] == ["srun", "-M", "serial", "--jobid=4711"]
    assert queue.attach("4711", "n1", "/h/job.sh")[2:4] == ["srun", "--jobid=4711"]


def test_a_job_of_the_same_number_on_another_cluster_is_not_the_job():
    """Of several jobs in one answer, each is about its own cluster."""
    run = Fake(Answer("", 0, "4711|RUNNING|None|n1|n1|N/A|1:00:00|1:00\n4712|RUNNING|None|n2|n2|N/A|1:00:00|1:00\n", ""))
    assert set(jobs.Jobs(run, SLURM).ask_together(["4711;serial", "4711", "4712;serial"])) == {"4711;serial", "4712;serial"}


def test_a_cluster_that_the_user_names(recorded):
    table = adaptation.adapted(SLURM, {"slurm_cluster": "serial"}, {})
    run = Fake(recorded("sbatch_parsable"), recorded("scancel_pending"))
    queue = jobs.Jobs(run, table)
    assert queue.submit("job.sh") == "11;serial"
    assert queue.cancel("11;serial") == "" and queue.cancel("12") == "" and queue.cancel("13;inter") == ""
    assert run.commands[1:] == [["scancel", "-M", "serial", "11"], ["scancel", "-M", "serial", "12"], ["scancel", "-M", "inter", "13"]]
    assert schedulers.command(table, table["first_node"]["argv"])[:4] == ["sinfo", "-M", "serial", "-h"]
    assert adaptation.for_record("slurm", table) == table
    assert adaptation.for_record("slurm", adaptation.adapted(SLURM, {"slurm_cluster": ""}, {})) is None


def test_a_semicolon_of_another_batch_system_is_part_of_the_id():
    assert schedulers.command(PBS, ["qdel", "{job_id}"], job_id="7;x") == ["qdel", "7;x"]


@pytest.mark.parametrize(("options", "site"), [({"nodes_on_demand": True}, {}), ({"nodes_on_demand": False}, {"nodes_on_demand": True})])
@pytest.mark.parametrize("comment", [
    "Can Never Run: Not enough total nodes available", "Can Never Run: Insufficient amount of resource: ncpus (R: 120 A: 0 T: 0)",
    "Can Never Run: can't fit in the largest placement set, and can't span psets"])
def test_a_site_that_makes_nodes_lets_a_job_wait_for_them(options, site, comment):
    text = "Job Id: 7.srv\n    job_state = Q\n    substate = 10\n    comment = {0}\n".format(comment)
    run = Fake(Answer("", 0, "no JSON", ""), Answer("", 0, text, ""))
    job = jobs.Jobs(run, adaptation.adapted(PBS, options, site)).ask("7.srv")
    assert (job.state, job.never, job.warning) == ("pending", False, True)
    assert "made its nodes" in job.explanation
    run = Fake(Answer("", 0, "no JSON", ""), Answer("", 0, text, ""))
    assert jobs.Jobs(run, adaptation.adapted(PBS, {}, {})).ask("7.srv").never


def test_on_such_a_site_too_a_job_that_cannot_run_does_not_wait():
    text = "Job Id: 7.srv\n    job_state = Q\n    substate = 10\n    comment = Can Never Run: No Select\n"
    assert jobs.Jobs(Fake(Answer("", 0, text, "")), adaptation.adapted(PBS, {"nodes_on_demand": True, "scheduler_json": False}, {})).ask("7.srv").never


@pytest.mark.parametrize("name", ["pbs", "lsf", "flux", "slurm"])
@pytest.mark.parametrize(("options", "site"), [({"scheduler_json": False}, {}), ({"scheduler_json": True}, {"scheduler_json": False})])
def test_a_site_turns_json_off(name, options, site):
    table = adaptation.adapted(schedulers.TABLES[name], options, site)
    run = Fake(Answer("", 1, "", "connection refused"))
    jobs.Jobs(run, table).ask("7")
    assert len(run.commands) == 1 and not any("json" in word for word in run.commands[0])
    assert validation.tables({name: {"ask": {"json": None}}})[name]["ask"] == table["ask"]


@pytest.mark.parametrize(("changes", "reason", "never", "warning"), [
    ({"never": {"PartitionDown": "ask the site"}}, "PartitionDown", True, False),
    ({"may_pass": {"PartitionTimeLimit": "it is raised at night"}}, "PartitionTimeLimit", False, True),
    ({"may_pass": {"QOSMax.*": "it is raised at night"}}, "QOSMaxNodePerJobLimit", False, True),
    ({"may_pass": {"QOSMax.*": "it is raised at night"}}, "AssocMaxNodePerJobLimit", True, False),
    ({"never": {"Partition.*": "ask the site"}}, "PartitionInactive", True, False),
    ({"never": {"Partition.*": "ask the site"}, "may_pass": {"PartitionInactive": "it is back soon"}}, "PartitionInactive", False, True),
    ({"never": {"Priority": "it will not get better"}}, "Priority", True, False), ({"never": {"PartitionConfig": None}}, "PartitionConfig", False, False),
    ({"may_pass": {"PartitionDown": None}}, "PartitionDown", False, False)])
def test_a_sites_table_moves_a_reason(changes, reason, never, warning):
    table = validation.tables({"slurm": changes})["slurm"]
    text = "JobId=11 JobState=PENDING Reason={0} Dependency=(null)".format(reason)
    job = jobs.Jobs(Fake(Answer("", 0, text, "")), table).ask("11")
    assert (job.never, job.warning) == (never, warning)
    own = {**(changes.get("never") or {}), **(changes.get("may_pass") or {})}
    assert not (never or warning) or job.explanation in own.values() or "Assoc" in reason


def test_an_unknown_state_is_no_end():
    run = Fake(Answer("", 0, "JobId=11 JobState=TELEPORTING Reason=None Dependency=(null)", ""))
    job = jobs.Jobs(run, SLURM).ask("11")
    assert (job.state, job.native, job.gone, len(run.commands)) == ("unknown", "TELEPORTING", False, 1)
    assert jobs.Jobs(run, SLURM).cancel_and_wait("11", seconds=0, pause=lambda _seconds: None) == "job 11 is still TELEPORTING"
