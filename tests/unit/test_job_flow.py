# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of one job."""

import collections
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_faults, job_flow, job_watch, status_file
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow, clock_time
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_watch import JobWatch
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, directives
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs, Polling

SLURM = answers.TABLES["slurm"]
LONG_AGO = time.time() - 1000


class Files:
    """A session's directory. Each read of its status file returns the next text."""

    path = "/home/x/.paraview-connect/0123456789abcdef"

    def __init__(self, *texts):
        self.texts = collections.deque(texts)
        self.beat = ""

    def status(self, _seen, _seconds, _pause=0.1):
        return self.texts.popleft() if len(self.texts) > 1 else self.texts[0]

    def log(self):
        return "the end of its log\n"

    def read_log(self):
        return self.log()


@pytest.fixture(name="follow")
def _follow(recorded, monkeypatch):
    """The flow of a job with these texts of its status file and these recorded answers, the last of each for ever. `lines` is its output."""
    monkeypatch.setattr(job_flow, "_STRETCH", 0)
    monkeypatch.setattr(job_watch, "_LATE", 0)
    monkeypatch.setattr(job_flow.jobs, "poll_pause", lambda _waited: 0)

    def make(texts, cases, submitted_at=None):
        left = collections.deque(recorded(case).mine("11") for case in cases)

        def run(_argv):
            answer = left.popleft() if len(left) > 1 else left[0]
            return answer.code, answer.out, answer.err

        lines = []
        # One query an answer: other queries of the table do not matter here.
        table = dict(SLURM, ask={"scontrol": SLURM["ask"]["scontrol"]})
        flow = JobFlow(None, table, "", "/home/x/.paraview-connect/0123456789abcdef", show=lines.append)
        flow.lines, flow.directory, flow.queue = lines, Files(*texts), Jobs(run, table)
        flow.watch = JobWatch("11", flow.queue, flow.directory, Polling(submitted_at or time.time()))
        return flow

    return make


def test_a_job_that_waits_and_runs(follow):
    flow = follow([""] * 6 + ["running node01\nnodes node01 node02"],
                  ["pending_priority_scontrol_o", "pending_priority_scontrol_o", "pending_resources_scontrol_o", "down_scontrol", "running_scontrol_o"])
    for _news in flow.events():
        if flow.progress.host:
            break
    assert flow.progress.nodes == ["node01", "node02"]
    assert flow.lines == [
        "job 11 pending, Priority, expected {0}".format(clock_time("2026-11-22T17:49:23")),
        "job 11 pending, Resources, expected {0}".format(clock_time("2026-11-22T17:49:23")),
        "Slurm does not answer about job 11: slurm_load_jobs error: Unable to contact slurm controller (connect failure); still waiting"]


class Cluster:
    """A session's directory, and the job in it, of a batch system that needs time to cancel a job."""

    table = dict(answers.TABLES["pbs"], ask={"text": answers.TABLES["pbs"]["ask"]["text"]})

    def __init__(self, status, obeys=True):
        self.text, self.obeys, self.commands = status, obeys, []

    def status(self, _seen, _seconds, _pause=0.1):
        return self.text

    def read(self, name):
        return self.text if name == "status" else "77.srv\n"

    def put(self, name, _text):
        assert name == "stop"
        if self.obeys:
            self.text += "\nended 143 cancelled"

    def run(self, argv):
        self.commands.append(argv[0])
        if argv[0] == "qdel":
            self.text += "\nended 143 cancelled"
        if "ended" in self.text:
            return 153, "", "qstat: Unknown Job Id 77.srv\n"
        return 0, "Job Id: 77.srv\n    job_state = R\n    substate = 42\n    exec_host = c1/0\n", ""

    def flow(self):
        flow = JobFlow(None, self.table, "", "/home/x/.paraview-connect/0123456789abcdef")
        flow.directory, flow.queue = self, Jobs(self.run, self.table)
        return flow


def test_a_job_that_runs_ends_by_itself_before_it_is_cancelled():
    cluster = Cluster("running c1\nnodes c1")
    assert cluster.flow().end() == ""
    assert "qdel" not in cluster.commands


def test_a_job_whose_directory_is_full_is_cancelled():
    cluster = Cluster("running c1\nnodes c1")

    def put(_name, _text):
        raise SessionError("cannot write stop", "Disk quota exceeded")

    cluster.put = put
    assert cluster.flow().end() == ""
    assert "qdel" in cluster.commands


def test_a_job_that_is_being_prepared_has_started_in_time(follow):
    """The batch system reports that it runs, a moment before the time for the queue is over."""
    flow = follow([""], ["running_scontrol_o"], LONG_AGO)
    flow.step(0)
    assert flow.runs(60, 1) is False


@pytest.mark.parametrize("status", ["", "running c1\nnodes c1"])
def test_a_job_that_cannot_end_by_itself_is_cancelled(monkeypatch, status):
    monkeypatch.setattr(job_flow, "_ENDING_SOON", 0)
    cluster = Cluster(status, obeys=False)
    assert cluster.flow().end() == ""
    assert "qdel" in cluster.commands


def test_pbs_has_not_released_a_job_whose_output_it_delivers():
    cluster = Cluster("running c1\nended 0 pvserver")
    flow = cluster.flow()
    flow.follow("77.srv", LONG_AGO)
    cluster.run = None
    for state, released in (("E\n    substate = 51", False), ("R\n    substate = 42", False), ("F\n    substate = 92", True)):
        flow.queue = Jobs(lambda _argv, state=state: (0, "Job Id: 77.srv\n    job_state = {0}\n".format(state), ""), cluster.table)
        assert flow.released() is released
    flow.queue = Jobs(lambda _argv: (124, "", ""), cluster.table)
    assert flow.released() is False, "no answer is no answer"


def test_a_reason_is_explained(follow):
    flow = follow([""], ["pending_held_user_scontrol_o"])
    events = flow.events()
    next(events)
    next(events)
    assert flow.lines == ["job 11 pending, JobHeldUser (held: release it with scontrol release 11)"]


def test_a_job_that_may_wait_in_vain_waits_with_a_warning(follow):
    flow = follow([""], ["pending_partdown_scontrol_o"])
    for number, _news in enumerate(flow.events()):
        if number > 3:
            break
    assert flow.lines == ["job 11 pending, PartitionDown (warning: waits until the partition is up again: or choose another paraview_queue)"]
    flow.watch.polling.submitted_at = LONG_AGO
    with pytest.raises(SessionError, match="did not start within") as caught:
        flow.runs(60, 1)
    assert "waits until the partition is up again" in caught.value.why


def test_a_job_that_can_never_run(follow):
    with pytest.raises(SessionError, match="job 11 can never run") as caught:
        list(follow([""], ["pending_parttimelimit_scontrol_o"]).events())
    assert "PartitionTimeLimit" in caught.value.why and "paraview_walltime" in caught.value.why


@pytest.mark.parametrize(("case", "why", "cancelled"), [
    ("failed3_scontrol_o", "exit status 3", False), ("timeout_scontrol_o", "wall time", False),
    ("cancelled_pending_scontrol_o", "it was cancelled", True), ("cancelled_running_scontrol_o", "it was cancelled", True),
    ("unknown_scontrol_o", "no reason is known", False)])
def test_a_job_that_died_in_the_queue(follow, case, why, cancelled):
    with pytest.raises(SessionError, match="job 11 died") as caught:
        list(follow([""], [case], LONG_AGO).events())
    assert why in caught.value.why and "the end of its log" in caught.value.why
    assert caught.value.cancelled is cancelled


@pytest.mark.parametrize(("status", "case", "log", "parts"), [
    ("", "failed3_scontrol_o", "job.sh: c7 cannot write to /home/x/.paraview-connect/0123456789abcdef, where the login node", ["on c7", "read-only, full"]),
    ("", "bad_workdir_scontrol_o", "", ["on node01", "could not be opened on the node"]),
    ("ended 73 attach", "running_scontrol_o", "", ["on node01", "read-only, full"])])
def test_a_job_whose_node_cannot_write_to_the_directory(follow, status, case, log, parts):
    flow = follow([status], [case], LONG_AGO)
    flow.directory.log = lambda: log
    with pytest.raises(SessionError, match="job 11 cannot write to /home/x/.paraview-connect/0123456789abcdef on ") as caught:
        for _news in flow.events():
            flow.runs(1e9, 1)
    assert all(part in str(caught.value) for part in parts + log[:20].split()) and "set paraview_remote_dir to" in caught.value.way_out


def test_a_job_that_ended_without_a_trace(follow):
    flow = follow([""], ["unknown_scontrol_o"], LONG_AGO)
    flow.directory.log = lambda: ""
    with pytest.raises(SessionError, match="job 11 died") as caught:
        list(flow.events())
    assert "may not be able to write to /home/x/.paraview-connect/0123456789abcdef" in caught.value.way_out


@pytest.fixture(name="seconds")
def _seconds(monkeypatch):
    """A clock that a test moves on, and queries as they are paused in a long queue."""
    clock = [1000.0]
    monkeypatch.setattr(job_watch.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(job_flow.jobs, "poll_pause", lambda _waited: 40)
    return clock


def run_silently(flow, clock, seconds):
    """Follows a job for some seconds; returns the seconds after which the last line was shown, and the lines."""
    began, shown = clock[0], 0.0
    events = flow.events()
    while clock[0] < began + seconds:
        before = len(flow.lines)
        next(events)
        shown = clock[0] - began if len(flow.lines) > before else shown
        clock[0] += 1
    return shown, flow.lines


def test_a_job_that_runs_and_writes_nothing_is_shown_within_30_seconds(follow, seconds):
    flow = follow([""], ["running_scontrol_o"], LONG_AGO)
    shown, lines = run_silently(flow, seconds, 600)
    assert len(lines) == 1 and shown <= 30
    assert all(part in lines[0] for part in ("job 11 runs on node01", Files.path, "set paraview_remote_dir", "still waiting"))


def test_a_job_that_writes_nothing_for_long_is_given_up(follow, seconds):
    flow = follow([""], ["running_scontrol_o"], LONG_AGO)
    with pytest.raises(SessionError, match="job 11 on node01 has written nothing to " + Files.path) as caught:
        run_silently(flow, seconds, 3000)
    assert seconds[0] < 2000 and "15 min" in caught.value.why and "the end of its log" in caught.value.why and "paraview_remote_dir" in caught.value.way_out


@pytest.mark.parametrize("case", ["pending_resources_scontrol_o", "configuring_scontrol_o"])
def test_a_job_whose_nodes_are_started_is_not_silent(follow, seconds, case):
    flow = follow([""], [case], LONG_AGO)
    run_silently(flow, seconds, 2000)
    assert not [line for line in flow.lines if "paraview_remote_dir" in line]


def test_a_directory_that_cannot_be_read_proves_no_silence(follow, seconds, monkeypatch):
    flow = follow([""], ["running_scontrol_o"], LONG_AGO)

    def hang(*_arguments):
        raise SessionError("cannot read it", "no answer within 15 s")

    monkeypatch.setattr(job_flow, "_PATIENCE", 1e9)
    monkeypatch.setattr(flow.directory, "status", hang)
    run_silently(flow, seconds, 2000)
    assert flow.lines == ["no news of job 11: no answer within 15 s; still waiting"]


def test_a_suspended_job_is_not_silent(follow, seconds):
    flow = follow([""], ["running_scontrol_o"], LONG_AGO)
    flow.queue.table = dict(SLURM, explanations={"RUNNING": "suspended by the batch system"})
    run_silently(flow, seconds, 2000)
    assert flow.lines == ["job 11 running (suspended by the batch system)"]


def test_a_job_that_writes_late_runs(follow, seconds):
    flow = follow([""] * 300 + ["running node01\nnodes node01"], ["running_scontrol_o"], LONG_AGO)
    run_silently(flow, seconds, 400)
    assert flow.runs(1e9, 1) and flow.watch.silent_for == 0


def test_pbs_reports_the_exit_status_of_a_job_before_it_has_released_it():
    """For half a minute it tries to deliver an output that it cannot deliver."""
    cluster = Cluster("")
    cluster.path, cluster.beat, cluster.log, cluster.read_log = Files.path, "", lambda: "", lambda: ""
    cluster.run = lambda _argv: (0, "Job Id: 77.srv\n    job_state = E\n    substate = 51\n    Exit_status = 73\n    exec_host = c1/0\n", "")
    flow = cluster.flow()
    flow.follow("77.srv", LONG_AGO)
    flow.watch.polling.soon(0)
    with pytest.raises(SessionError, match="job 77.srv cannot write to {0} on c1".format(Files.path)):
        list(flow.events(time.monotonic() + 20))


def test_a_job_is_submitted_where_it_can_see_its_files():
    """Some batch systems refuse one that is submitted in a home which its nodes do not have."""
    scripts = []

    def run(text, _seconds):
        scripts.append(text)
        return 0, "4711\n", ""

    for directory, inside in (("/lustre/p/.paraview-connect-1000/0123456789abcdef", True), (Files.path, False)):
        JobFlow(run, SLURM, "", directory).submit({"job.sh": ""}, {})
        assert ("cd {0} || exit\n".format(directory) in scripts[-1]) is inside


def test_a_job_that_was_just_accepted_may_not_be_listed_yet(follow):
    flow = follow([""] * 4 + ["running node01"], ["unknown_scontrol_o"])
    for _news in flow.events():
        if flow.progress.host:
            break
    assert not flow.lines


def test_a_home_may_show_late_what_the_job_wrote(follow, monkeypatch):
    monkeypatch.setattr(job_watch, "_LATE", 60)
    monkeypatch.setattr(Polling, "soon", lambda _self, _seconds: None)
    flow = follow([""] * 9 + ["running node01\nended 0 pvserver"], ["unknown_scontrol_o"], LONG_AGO)
    for _news in flow.events():
        if flow.progress.ended:
            break
    assert flow.progress.ended == (0, "pvserver")


def test_a_suspended_job_is_shown(follow, monkeypatch):
    flow = follow([""], ["running_scontrol_o"])
    suspended = dict(SLURM["states"], RUNNING="running")
    flow.queue.table = dict(SLURM, states=suspended, explanations={"RUNNING": "suspended by the batch system"})
    events = flow.events()
    next(events)
    next(events)
    assert flow.lines == ["job 11 running (suspended by the batch system)"]


def test_a_short_job_is_not_reported_as_dead(follow):
    """The batch system reports the end, and the job's status file has just arrived."""
    flow = follow(["", "running node01\nended 0 pvserver"], ["completed_scontrol_o"], LONG_AGO)
    for _news in flow.events():
        if flow.progress.ended:
            break
    assert flow.progress.ended == (0, "pvserver")


def test_a_deadline(follow):
    assert len(list(follow([""], ["pending_resources_scontrol_o"]).events(time.monotonic()))) == 1


def test_a_job_that_has_ended_itself(follow):
    for text, why in (("ended 0 idle", "no client came in time"), ("ended 1 walltime", "its wall time was over"), ("ended 9 pvserver", "exit status 9")):
        flow = follow(["running c101\n" + text], ["unknown_scontrol_o"])
        next(flow.events())
        assert why in flow.died().why
        assert not flow.died().cancelled
    flow = follow(["running c101\nended 143 cancelled"], ["unknown_scontrol_o"])
    next(flow.events())
    assert flow.died().cancelled
    assert flow.died("another reason").why.startswith("the job was cancelled")
    flow = follow(["running c101\nended 9 pvserver"], ["unknown_scontrol_o"])
    next(flow.events())
    assert flow.died("another reason").why.startswith("another reason")


def test_the_log_names_the_cause_of_the_end(follow):
    """The line that names it is shown, however much follows it."""
    flow = follow(["running c101\nended 1 pvserver"], ["unknown_scontrol_o"])
    line = "The following argument was not expected: --frobnicate=1"
    flow.directory.log = lambda: line + "\n" + "usage\n" * 100
    next(flow.events())
    error = flow.died()
    assert error.why.startswith("pvserver does not have the option --frobnicate") and "    " + line in error.why
    assert "paraview_pvserver" in error.way_out and error.why.count("\n") < 20


def test_the_batch_systems_line_in_the_log_may_be_late(follow, monkeypatch):
    clock = [1000.0]
    logs = ["", "", "slurmstepd: error: Detected 1 oom_kill event in StepId=11.batch.\n"]
    monkeypatch.setattr(job_watch, "_LATE", 5)
    monkeypatch.setattr(job_watch.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(job_watch.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    flow = follow(["running c101\nended 137 pvserver"], ["unknown_scontrol_o"])
    flow.directory.log = lambda: logs.pop(0) if len(logs) > 1 else logs[0]
    next(flow.events())
    assert flow.died().why.startswith("the job ran out of memory")
    logs[:] = [""]
    assert "signal 9" in flow.died().why and clock[0] < 1007


def test_a_node_that_is_lost_before_pvserver_starts(follow):
    """The job reported that it runs, and nothing after that."""
    flow = follow(["running node01\nnodes node01"], ["running_scontrol_o", "failed3_scontrol_o"], LONG_AGO)
    flow.watch.while_running = 0
    with pytest.raises(SessionError, match="job 11 died") as caught:
        list(flow.events())
    assert "exit status 3" in caught.value.why


def test_a_query_that_hangs_does_not_end_the_wait(follow, monkeypatch):
    flow = follow([""] * 3 + ["running node01"], ["running_scontrol_o"])

    def hang(_job_id):
        raise SessionError("the login node does not answer", "no answer within 40 s", "try again later")

    monkeypatch.setattr(flow.queue, "ask", hang)
    for _news in flow.events():
        if flow.progress.host:
            break
    assert flow.lines == ["no news of job 11: no answer within 40 s; still waiting"]


def test_clock_times():
    assert clock_time(time.strftime("%Y-%m-%d") + "T14:32:10") == "14:32"
    assert clock_time("2020-01-02T14:32:10") == "2020-01-02 14:32"


@pytest.mark.parametrize(("fault", "parts"), [
    (("missing", "pvserver"), ["not found on c101", "xvfb-run -a -s -noreset pvserver", "paraview_modules"]),
    (("module", "paraview/9\x1b[31m"), ["module paraview/9 cannot be loaded on c101", "module avail", "paraview_modules"]),
    (("rendering", "egl build GLX\x1b[31m"), ["pvserver on c101 cannot draw with paraview_rendering: egl", "built for GLX alone", "at auto"]),
    (("ports", "11111-11120"), ["no port is free on c101", "11111-11120", "paraview_server_ports"])])
def test_faults(fault, parts):
    error = job_faults.error("11", "c101", fault, ["xvfb-run", "-a", "-s", "-noreset", "pvserver"])
    assert all(part in str(error) for part in parts)
    assert len(error.lines()) == 3 and "\x1b" not in str(error)


def test_a_job_that_is_killed_notes_no_end(follow, monkeypatch):
    """It gives no sign of life any more, so the batch system is queried earlier than planned, and there is no wait for late files."""
    clock = [1000.0]
    monkeypatch.setattr(job_watch, "_LATE", 5)
    monkeypatch.setattr(job_watch.time, "monotonic", lambda: clock[0])
    flow = follow(["running node01"], ["running_scontrol_o", "failed3_scontrol_o"])
    flow.directory.beat = "17"
    flow.watch.polling.put_off(1000)
    with pytest.raises(SessionError, match="job 11 died"):
        for _news in flow.events():
            clock[0] += 1
    assert clock[0] <= 1010


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(job_watch, "_LATE", 5)
    monkeypatch.setattr(job_watch.time, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.parametrize("case", [
    "unknown_scontrol_o", "completed_scontrol_o", "cancelled_running_scontrol_o", "cancelled_pending_scontrol_o", "failed3_scontrol_o"])
def test_a_job_that_gives_signs_of_life_is_not_over(follow, clock, case, monkeypatch):
    """Whatever the batch system answers, and however often. Once the signs stop, it is over within 10 s."""
    monkeypatch.setattr(job_flow.jobs, "poll_pause", lambda _waited: 1)
    flow = follow(["running node01"], [case], LONG_AGO)
    events = flow.events()
    for second in range(100):
        flow.directory.beat = str(second // 3)
        clock[0] += 1
        next(events)
    assert flow.lines == ["Slurm does not list job 11 any more, and the job gives signs of life; still waiting"]
    killed = clock[0]
    with pytest.raises(SessionError, match="job 11 died"):
        for _news in events:
            clock[0] += 1
    assert clock[0] - killed <= 10


def test_a_home_that_hangs_does_not_confirm_an_end(follow, clock, monkeypatch):
    """The signs of life are missing because they cannot be read."""
    flow = follow(["running node01"], ["unknown_scontrol_o"], LONG_AGO)
    flow.directory.beat = "17"
    events = flow.events()
    next(events)

    def hang(*_arguments):
        raise SessionError("cannot read it", "no answer within 15 s")

    with monkeypatch.context() as hanging:
        hanging.setattr(flow.directory, "status", hang)
        for _second in range(60):
            clock[0] += 1
            next(events)
    flow.directory.beat = "77"
    clock[0] += 1
    next(events)
    assert "no news of job 11: no answer within 15 s; still waiting" in flow.lines


def test_a_missing_sign_and_a_missing_answer_are_no_end(follow, clock):
    flow = follow(["running node01"], ["down_scontrol"], LONG_AGO)
    flow.directory.beat = "17"
    events = flow.events()
    for _second in range(300):
        clock[0] += 1
        next(events)


@pytest.mark.parametrize(("display", "parts"), [("display xvfb\n", ["c101 has none", "xvfb-run"]), ("display none Xvfb\n", ["nor Xvfb"]), ("", [])])
def test_the_display_of_pvserver_is_shown_once_pvserver_runs(follow, display, parts):
    class Route:
        reverse = client_may_be_late = False

    flow = follow(["running c101\n" + display + "said Accepting connection(s): c101:40123\n"], ["running_scontrol_o"])
    assert flow.wait_for_pvserver(Route, ["pvserver"]).accepting == ("c101", 40123)
    assert len(flow.lines) == (1 if parts else 0)
    assert all(part in flow.lines[0] for part in parts)


CONNECTED = "running c101\nsaid Client connected."


@pytest.mark.parametrize(("texts", "over"), [
    ([CONNECTED, CONNECTED + "\nsaid Exiting...", CONNECTED + "\nsaid Exiting...\nended 0 pvserver"], True),
    ([CONNECTED + "\nended 0 pvserver"], True), ([CONNECTED], False), (["running c101\nsaid Accepting connection(s): c101:40123"], False), ([""], False)])
def test_a_client_that_may_just_have_left(texts, over, monkeypatch):
    """pvserver prints that it exits some time before its last process has ended."""
    clock = [1000.0]
    monkeypatch.setattr(job_watch.time, "monotonic", lambda: clock.__setitem__(0, clock[0] + 2.5) or clock[0])
    assert job_watch.ends_soon(Files(*texts)) is over


FORWARD = choice.ROUTES["forward_tunnel"]
NODE_TUNNEL = choice.ROUTES["node_tunnel"]
RUNNING = "running c101\nagent 127.0.0.1 40865\nsaid Waiting for client...\n"


@pytest.mark.parametrize(("line", "reached"), [
    ("said Accepting connection(s): c101:40123", "c101"), ("said Accepting connection(s): c101i.site.edu:40123", "c101i.site.edu"),
    ("said Accepting connection(s): 127.0.0.1:40123", "c101"), ("said Accepting connection(s): 0.0.0.0:40123", "c101"),
    ("said Accepting connection(s): 10.1.2.3:40123", "10.1.2.3")])
@pytest.mark.parametrize("lifeline", [True, False])
def test_pvserver_names_its_host_or_the_address_that_it_is_bound_to(follow, line, reached, lifeline):
    """Before 6.1 it names the host, by the host's own name. Since then it names the address if there is one."""
    flow = follow([RUNNING + line], ["running_scontrol_o"])
    assert flow.wait_for_pvserver(FORWARD, ["pvserver"], lifeline=lifeline).accepting == (reached, 40123)


@pytest.mark.parametrize("named", ["c102", "127.0.0.1"])
def test_a_lifeline_does_not_reach_a_pvserver_on_another_node(follow, named):
    lines = "elsewhere 40123\nsaid Accepting connection(s): {0}:40123".format(named)
    with pytest.raises(SessionError, match="the reconnecting connection does not reach pvserver") as caught:
        follow([RUNNING + lines], ["running_scontrol_o"]).wait_for_pvserver(FORWARD, ["pvserver"], lifeline=True)
    assert "port 40123 of c101" in caught.value.why and "paraview_reconnect" in caught.value.way_out


def test_a_route_follows_pvserver_to_another_node_if_pvserver_names_it(follow):
    flow = follow([RUNNING + "elsewhere 40123\nsaid Accepting connection(s): c102:40123"], ["running_scontrol_o"])
    assert flow.wait_for_pvserver(FORWARD, ["pvserver"]).accepting == ("c102", 40123)
    flow = follow([RUNNING + "elsewhere 40123\nsaid Accepting connection(s): 127.0.0.1:40123"], ["running_scontrol_o"])
    with pytest.raises(SessionError, match="pvserver is not on the job's first node"):
        flow.wait_for_pvserver(NODE_TUNNEL, ["pvserver"])


@pytest.mark.parametrize("lines", [
    "said Accepting connection(s): c101:40123\nsaid Accepting connection(s): c102:40123", "said Connecting to client (reverse connection requested)...\n" * 2])
def test_ranks_that_do_not_find_each_other(follow, lines):
    """Without the PMI of pvserver's MPI, srun starts one pvserver a rank, and ParaView would get one of them."""
    with pytest.raises(SessionError, match="pvserver was started 2 times in job 11") as caught:
        follow([RUNNING + lines], ["running_scontrol_o"]).wait_for_pvserver(FORWARD, ["pvserver"])
    assert "paraview_mpi_launcher" in caught.value.way_out


def test_a_second_server_may_start_late(follow):
    late = RUNNING + "said Accepting connection(s): c101:40123\n"
    flow = follow([late, late, late + "said Accepting connection(s): c102:40123"], ["running_scontrol_o"])
    assert flow.wait_for_pvserver(FORWARD, ["pvserver"]).accepting == ("c101", 40123)
    with pytest.raises(SessionError, match="started 2 times"):
        flow.wait_for_client(10)


def ranks(hosts, names, attached=False, table=answers.TABLES["pbs"], **options):
    """The line about ranks on too few hosts."""
    progress = status_file.Progress("" if hosts is None else "ranks {0}".format(hosts))
    return job_faults.few_hosts(table, dict({"nodes": len(names), "tasks_per_node": 2, "mpi_launcher": None}, **options), names, progress, attached)


@pytest.mark.parametrize(("hosts", "names", "options"), [
    (2, ["a", "b"], {}), (3, ["a", "b"], {}), (None, ["a", "b"], {}), (0, ["a", "b"], {}), (1, ["a"], {}), (1, ["a", "b"], {"nodes": 1, "tasks_per_node": 1}),
    (2, ["a", "b", "c"], {"nodes": 2, "attached": True}), (1, ["a", "b"], {"nodes": 1, "mpi_launcher": [], "attached": True, "tasks_per_node": 1})])
def test_ranks_on_all_nodes_need_no_line(hosts, names, options):
    assert ranks(hosts, names, **options) == ""


def test_all_ranks_are_counted_as_they_were_requested():
    line = ranks(1, ["a", "b", "c"], nodes=3, tasks=8, tasks_per_node=4)
    assert "8 ranks run on 1 of 3 nodes" in line and "mpiexec -n 8 --map-by ppr:3:node" in line


def test_ranks_are_counted_against_what_the_users_own_directives_request():
    table, options = answers.TABLES["pbs"], {"nodes": 1, "tasks_per_node": 1, "mpi_launcher": None}
    read = directives.granted(table, dict(options, directives=["-l select=2:mpiprocs=4"]))
    assert ranks(1, ["a", "b"], **read).startswith("pvserver's 8 ranks run on 1 of 2 nodes")
    unread = directives.granted(table, dict(options, directives=["-l select=1:mpiprocs=1+1:mpiprocs=4"]))
    assert ranks(1, ["a", "b"], **unread) == "", "it is not known how many there should be"


def test_ranks_on_fewer_hosts_than_nodes_are_shown_with_the_way_out():
    line = ranks(1, ["a", "b"])
    assert line.startswith("pvserver's 4 ranks run on 1 of 2 nodes: mpiexec has no support for PBS; ")
    assert "export OMPI_MCA_orte_default_hostfile=$PBS_NODEFILE" in line and "mpiexec -n 4 --map-by ppr:2:node" in line
    assert "4 ranks run on 1 of 2 nodes" in ranks(1, ["a", "b"], nodes=1, attached=True), "all nodes of the user's own job"
    assert "leave paraview_mpi_launcher out, which then is srun" in ranks(1, ["a", "b"], table=SLURM, mpi_launcher=["mpiexec", "-n", "4"])
    assert "2 of 3 nodes: mpiexec has no support for Grid Engine; set paraview_mpi_launcher to a launcher that does" in ranks(
        2, ["a", "b", "c"], table=answers.TABLES["sge"])


def test_pvserver_in_the_users_own_job_ends_once_two_answers_report_the_jobs_end(follow):
    flow = follow(["running node01"], ["completed_scontrol_o"], LONG_AGO)
    written = []
    flow.attached, flow.directory.put = True, lambda name, text: written.append(name)
    flow.watch.while_running = 0
    flow.watch.heartbeat.update("1")
    flow.step(0)
    assert not written, "one answer may be wrong"
    flow.watch.heartbeat.update("2")
    flow.step(0)
    assert written == ["stop"]


def test_the_end_of_pvserver_in_the_users_own_job_is_not_the_jobs(follow):
    flow = follow(["running node01\nended 3 pvserver"], ["running_scontrol_o"], LONG_AGO)
    flow.attached = True
    flow.step(0)
    error = flow.died()
    assert (error.what, error.cancelled) == ("pvserver in job 11 has ended", False)
    assert "exit status 3" in error.why and "job 11 died" not in str(error)
