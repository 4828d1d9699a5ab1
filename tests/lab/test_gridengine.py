"""Grid Engine, for real, through the whole cycle and its errors."""

import re

import pytest
from batch import PATIENT
from desk import STATE
from test_connect import rendered_on_a_node

SGE = {"scheduler": "sge"}
pytestmark = pytest.mark.needs("gridengine")


def test_forward_tunnel(desk):
    done = desk.connect(**SGE, route="forward_tunnel")
    report = desk.report()
    lines = desk.lines(done)
    assert f"job {report['job_id']} running on {report['nodes'][0]}" in lines
    assert report["state"] == "ready"
    desk.status()
    assert desk.report()["state"] == "ready"
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()
    desk.status()
    assert desk.report()["state"] == "ended"


@pytest.mark.torture
def test_two_nodes_by_reverse_tunnel(desk):
    desk.connect(**SGE, nodes=2, parallel_environment="mpi1", route="reverse_tunnel", setup=PATIENT, start_client=desk.client_command("reverse"))
    report = desk.report()
    assert sorted(report["nodes"]) == ["compute1", "compute2"]
    desk.nothing_left(60)
    rendered_on_a_node(desk.run("cat", f"{STATE}/lab/client.log").stdout, report)


def test_job_is_cancelled_by_disconnect(desk):
    desk.connect(**SGE)
    job = desk.report()["job_id"]
    assert f"job {job} has left the queue" in desk.disconnect().stdout
    assert not desk.left()


@pytest.mark.torture
def test_job_that_somebody_deletes(desk):
    desk.connect(**SGE)
    desk.lab.on("login", "qdel", desk.report()["job_id"], user="alice")
    record = desk.told_over()
    assert (record["state"], record["reason"]) == ("cancelled", "the job was cancelled")
    desk.nothing_left()


@pytest.mark.torture
def test_job_that_is_killed_without_last_words(desk):
    desk.connect(**SGE)
    desk.lab.on(desk.report()["nodes"][0], "pkill", "-KILL", "-u", "alice")
    assert desk.told_over()["reason"]
    desk.nothing_left()


def test_tells_why_a_job_waits(desk):
    done = desk.connect(**SGE, queue="down.q", queue_timeout="4s", check=False)
    assert done.returncode != 0
    assert any(re.match(r"job \d+ pending, .*\(its queue is disabled\)$", line) for line in desk.lines(done))
    assert any(re.match(r"job \d+ did not start within 4 s$", line) for line in desk.lines(done))
    assert not desk.left()


@pytest.mark.parametrize(("settings", "words"), [
    ({"queue": "nosuch.q"}, 'unknown queue "nosuch.q"'), ({"nodes": 2}, "paraview_parallel_environment is missing"),
    ({"nodes": 2, "parallel_environment": "nosuch"}, 'the requested parallel environment "nosuch" does not exist'),
    ({"gpus_per_node": 1}, "paraview_gpus_per_node: 1")])
def test_what_grid_engine_cannot_give(desk, settings, words):
    done = desk.connect(**SGE, **settings, check=False)
    assert done.returncode != 0
    assert words in done.stdout
    assert not desk.left()


@pytest.mark.torture
def test_kills_a_job_whose_wall_time_is_over(desk):
    desk.connect(**SGE, walltime="15s")
    desk.nothing_left(40)
    desk.status()
    assert "wall time" in desk.report()["reason"]


@pytest.mark.torture
def test_pvserver_in_an_interactive_job(desk):
    """A node admits only users with a job of Slurm's, so alice has one there too. Grid Engine's job has the environment."""
    lab = desk.lab
    door = lab.on("login", "sbatch", "--parsable", "-N2", "-o", "/dev/null", "--wrap", "exec sleep 600", user="alice").stdout.strip()
    process = lab.start("login", "qrsh", "-now", "y", "-l", "h_rt=600", "echo ready $JOB_ID; exec sleep 600", user="alice")
    try:
        job = re.search(r"ready (\d+)", process.stdout.readline()).group(1)
        desk.connect(**SGE, job_id=job)
        assert desk.report()["state"] == "ready" and 0 < desk.report()["time_left_s"] <= 600
        assert f"disconnected, pvserver in job {job} has ended; the job continues" in desk.disconnect().stdout
        desk.connect(**SGE, job_id=job)
        node = desk.report()["nodes"][0]
        lab.on("login", "qdel", job, user="alice")
        desk.told_over()
        assert not [one for one in desk.processes(node) if "pvserver" in one]
    finally:
        lab.on("login", "scancel", door, check=False)
        process.kill()
        process.stdout.close()
        process.wait(30)
