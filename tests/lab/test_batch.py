"""Batch systems other than Slurm, through the whole cycle: Grid Engine for real, the others as stand-ins that print what was recorded."""

import pytest
from batch import StandIn
from desk import Desk
from test_connect import rendered_on_a_node

XVFB = "xvfb-run -a -s -noreset pvserver"


@pytest.fixture
def desk(lab):
    desk = Desk(lab)
    desk.clean_up()
    yield desk
    desk.clean_up()


@pytest.fixture(scope="module", params=["pbs", "torque", "lsf", "flux"])
def standin(lab, request):
    system = StandIn(lab, request.param)
    system.install()
    yield system
    system.remove()


@pytest.fixture(scope="module", params=["pbs"])
def pbs(standin):
    return standin


TITLES = {"pbs": "PBS", "torque": "Torque", "lsf": "LSF", "flux": "Flux"}
REFUSALS = {"pbs": "Unknown queue", "torque": "Unknown queue", "lsf": "Job not submitted", "flux": "Invalid queue nosuch"}


def test_a_whole_cycle(desk, standin):
    """auto finds it, two nodes render, status and disconnect work, nothing is left."""
    desk.connect(pvserver=XVFB, nodes=2, route="forward_tunnel")
    report, record = desk.report(), desk.record()
    assert record["scheduler"] == standin.name
    assert (report["state"], sorted(report["nodes"])) == ("ready", ["compute1", "compute2"])
    assert len(desk.jobs()) == 1
    desk.status()
    assert desk.report()["state"] == "ready"
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()
    desk.connect(nodes=1, queue="debug")
    job = desk.report()["job_id"]
    assert f"job {job} has left the queue" in desk.disconnect().stdout
    assert not desk.left()


def test_a_refusal_is_told_in_its_own_words(desk, standin):
    done = desk.connect(queue="nosuch", check=False)
    assert done.returncode != 0
    what, why, _way_out = desk.lines(done)[-3:]
    assert what == f"{TITLES[standin.name]} refused the job"
    assert REFUSALS[standin.name] in why
    desk.nothing_left()
