"""Batch systems that the lab does not have, as stand-ins that print what was recorded, through the whole cycle."""

import re

import pytest
from batch import PLACE, StandIn


def says(process, words):
    """Waits for a line of a connect that runs, and returns it."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return line.split(": ", 1)[1].rstrip()
    raise AssertionError(f"it never said {words!r}:\n{''.join(seen)}")


TITLES = {"pbs": "PBS", "torque": "Torque", "lsf": "LSF", "flux": "Flux"}
REFUSALS = {"pbs": "Unknown queue", "torque": "Unknown queue", "lsf": "Job not submitted", "flux": "Invalid queue nosuch"}


# Torque has PBS's commands.
@pytest.fixture(scope="module", params=["pbs", *(pytest.param(one, marks=pytest.mark.torture) for one in ("torque", "lsf", "flux"))])
def standin(lab, request):
    system = StandIn(lab, request.param)
    system.install()
    yield system
    system.remove()


def test_a_whole_cycle(desk, standin):
    """auto finds it, a job of two nodes is submitted, followed, told of and cancelled, and nothing is left."""
    # What the released qstat prints for some variables of the environment is no JSON; its text is read instead.
    standin.set("malformed")
    done = desk.connect(nodes=2)
    report = desk.report()
    assert desk.record()["scheduler"] == standin.name
    assert (report["state"], sorted(report["nodes"])) == ("ready", ["compute1", "compute2"])
    assert any(re.match(r"job \S+ submitted: 2 nodes, 2 tasks, 1:00:00$", line) for line in desk.lines(done))
    assert len(desk.jobs()) == 1
    desk.status()
    assert (desk.report()["state"], desk.report()["job_id"]) == ("ready", report["job_id"])
    assert f"job {report['job_id']} has left the queue" in desk.disconnect().stdout
    assert not desk.left()


def test_a_refusal_is_told_in_its_own_words(desk, standin):
    done = desk.connect(queue="nosuch", check=False)
    assert done.returncode != 0
    what, why, way_out = desk.lines(done)[-3:]
    assert what == f"{TITLES[standin.name]} refused the job"
    assert REFUSALS[standin.name] in why
    assert "paraview_queue" in way_out
    assert not desk.left()


# --- the wiki page's interactive allocation: qsub -I, bsub -Is, flux alloc ---

INTERACTIVE = {"pbs": "qsub -I -l select=2", "torque": "qsub -I -l nodes=2", "lsf": "bsub -Is -n 2", "flux": "flux alloc --nodes=2"}


@pytest.fixture(name="allocation")
def _allocation(desk, standin):
    """An interactive job of alice's on two nodes: its id. It lasts as long as the command that made it."""
    command = f"PATH={PLACE}/{standin.name}/bin:$PATH exec {INTERACTIVE[standin.name]}"
    process = desk.lab.start("login", "sh", "-c", f"sleep 600 | ({command})", user="alice")
    job = re.search(r"job (\S+) ready", process.stdout.readline()).group(1)
    yield job
    desk.lab.on("login", f"{PLACE}/slurm/scancel", job.partition(".")[0], check=False)
    process.kill()
    process.stdout.close()
    process.wait(30)


def test_pvserver_in_an_interactive_job(desk, allocation):
    """Ranks run on all of its nodes, and the job is left alone."""
    done = desk.connect(job_id=allocation, setup="export OMPI_MCA_mpi_yield_when_idle=1")
    report = desk.report()
    assert (report["state"], sorted(report["nodes"])) == ("ready", ["compute1", "compute2"])
    assert "ranks run on" not in done.stdout
    for node in report["nodes"]:
        assert [one for one in desk.processes(node) if "pvserver" in one], node
    assert f"disconnected, pvserver in job {allocation} has ended; the job continues" in desk.disconnect().stdout
    assert desk.jobs() == [allocation.partition(".")[0]]


def test_pvserver_ends_with_an_interactive_job(desk, allocation):
    desk.connect(job_id=allocation)
    nodes = desk.report()["nodes"]
    desk.lab.on("login", f"{PLACE}/slurm/scancel", allocation.partition(".")[0], user="alice")
    over = desk.told_over()
    assert over["state"] in ("ended", "cancelled"), over["reason"]
    for node in nodes:
        assert not [one for one in desk.processes(node) if "pvserver" in one], node


def test_an_interactive_job_of_somebody_else_is_refused(desk, standin):
    theirs = desk.lab.on("login", f"{PLACE}/slurm/sbatch", "--parsable", "-o", "/dev/null", "--wrap", "exec sleep 600", user="bob").stdout.strip()
    try:
        desk.lab.wait(lambda: "RUNNING" in desk.lab.on("login", f"{PLACE}/slurm/scontrol", "-o", "show", "job", theirs).stdout, 20, "bob's job runs")
        done = desk.connect(job_id=theirs, check=False)
    finally:
        desk.lab.on("login", f"{PLACE}/slurm/scancel", theirs)
    assert done.returncode != 0 and f"pvserver cannot be started in job {theirs}" in done.stdout and "you are alice there" in done.stdout


PBS_ALONE = pytest.mark.parametrize("standin", ["pbs"], indirect=True, scope="module")


@PBS_ALONE
def test_a_server_that_is_down_is_waited_for(desk, standin):
    """A job is not lost because nobody answers for a while."""
    lab = desk.lab
    filler = lab.on("login", f"{PLACE}/slurm/sbatch", "--parsable", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "exec sleep 600").stdout.strip()
    process = lab.start("workstation", *desk.words("connect"), user="alice")
    try:
        assert "Not Running: Not enough free nodes available (waits for nodes to become free)" in says(process, " pending, ")
        standin.set("down")
        assert re.match(r"PBS does not answer about job \S+: .*cannot connect to server login1 .*; still waiting$", says(process, "does not answer"))
        standin.set("down", False)
        lab.on("login", "scancel", filler)
        says(process, "ready after ")
        assert process.wait(30) == 0
    finally:
        standin.set("down", False)
        lab.on("login", "scancel", filler, check=False)
        process.stdout.close()
        process.wait(60)


@PBS_ALONE
def test_a_job_that_can_never_run_is_given_up_at_once(desk, standin):
    done = desk.connect(queue="down", check=False)
    assert done.returncode != 0
    what, why, _way_out = desk.lines(done)[-3:]
    assert re.match(r"job \S+ can never run$", what)
    assert why.startswith("Can Never Run: Insufficient amount of resource: ncpus")
    desk.nothing_left()


@PBS_ALONE
def test_a_select_of_ones_own_takes_the_place_of_ours(desk, standin):
    """Of two lines -l select, PBS heeds the first one and is silent about the other."""
    done = desk.connect(directives=["-l select=2:ncpus=1:mpiprocs=1", "#PBS -l walltime=0:20:00"])
    report = desk.report()
    assert sorted(report["nodes"]) == ["compute1", "compute2"]
    assert any(re.match(r"job \S+ submitted: 2 nodes, 2 tasks, 0:20:00$", line) for line in desk.lines(done))
    assert report["time_left_s"] <= 20 * 60
    desk.disconnect()
    desk.nothing_left()


@pytest.fixture(name="no_history")
def _no_history(standin):
    """PBS as it is installed: it refuses -x for every job, and knows none that is over."""
    standin.set("malformed", False)
    standin.set("no_history")
    yield standin
    standin.set("no_history", False)


@PBS_ALONE
def test_a_session_stays_up_where_no_history_is_kept(desk, no_history):
    """However often its job is asked about; its client ends it."""
    desk.connect()
    report = desk.report()
    asked = len(no_history.asked("qstat"))
    desk.lab.wait(lambda: len(no_history.asked("qstat")) >= asked + 2, 120, "two more questions")
    desk.status()
    assert (desk.report()["state"], desk.jobs()) == ("ready", [report["job_id"].partition(".")[0]])
    assert not [line for line in no_history.asked("qstat")[asked:] if " -x " in line]
    desk.client(report)
    record = desk.told_over()
    assert (record["state"], record["reason"]) == ("ended", "the client left")
    desk.nothing_left()


@PBS_ALONE
@pytest.mark.parametrize(("end", "state"), [
    ("scancel", "cancelled"), pytest.param("kill", "ended", marks=pytest.mark.torture), pytest.param("disconnect", None, marks=pytest.mark.torture)])
def test_the_end_of_a_job_is_noticed_where_no_history_is_kept(desk, no_history, end, state):
    desk.connect()
    report = desk.report()
    if end == "scancel":
        desk.lab.on("login", f"{PLACE}/slurm/scancel", report["job_id"].partition(".")[0], user="alice")
    elif end == "kill":
        desk.lab.on(report["nodes"][0], "pkill", "-KILL", "-u", "alice")
    else:
        assert f"job {report['job_id']} has left the queue" in desk.disconnect().stdout
        assert not desk.left()
    if state:
        assert desk.told_over(30)["state"] == state
    desk.nothing_left()


@PBS_ALONE
@pytest.mark.parametrize("end", ["disconnect", "client", pytest.param("qdel", marks=pytest.mark.torture)])
def test_pbs_delivers_the_output_and_nothing_stays_in_its_spool(desk, no_history, end):
    """Whoever ends the job: its directory exists until then, no process outlives its session, and no mail reaches the user."""
    desk.connect()
    report = desk.report()
    deleted = no_history.asked("qdel")
    if end == "disconnect":
        done = desk.disconnect()
        assert f"ending job {report['job_id']}; PBS releases it once its output is delivered" in done.stdout
        assert no_history.asked("qdel") == deleted, "it ended by itself"
        assert not desk.left()
    elif end == "client":
        desk.client(report)
        assert desk.told_over()["state"] == "ended"
    else:
        desk.lab.on("login", f"{PLACE}/pbs/bin/qdel", report["job_id"], user="alice")
        assert desk.told_over(30)["state"] == "cancelled"
    assert not no_history.spooled()
    desk.nothing_left()


@PBS_ALONE
def test_a_job_that_waits_is_told_of_where_no_history_is_kept(desk, no_history):
    lab = desk.lab
    filler = lab.on("login", f"{PLACE}/slurm/sbatch", "--parsable", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "exec sleep 600").stdout.strip()
    process = lab.start("workstation", *desk.words("connect"), user="alice")
    try:
        assert "Not Running: Not enough free nodes available (waits for nodes to become free)" in says(process, " pending, ")
        lab.on("login", "scancel", filler)
        says(process, "ready after ")
        assert process.wait(30) == 0
    finally:
        lab.on("login", "scancel", filler, check=False)
        process.stdout.close()
        process.wait(60)
