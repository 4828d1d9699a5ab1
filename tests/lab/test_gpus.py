# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with GPUs: the lab's Slurm has two of them on each node, whose device files nothing draws with, so that Mesa draws."""

import re

import pytest
from desk import long
from test_doctor import look
from test_rendering import chooses, pvservers

NODES = ("compute1", "compute2")
HOSTS = ("login", "login2", *NODES)
# Slurm accepts a file only if it is a device. Those of /dev/null and of /dev/zero can be opened.
DEVICES = "rm -f /dev/nvidia*; mknod -m 666 /dev/nvidia0 c 1 3; mknod -m 666 /dev/nvidia1 c 1 5"
WITH = """cd /etc/slurm && cp -p slurm.conf slurm.conf.plain && sed -i 's/^NodeName=.*/& Gres=gpu:a100:2/; $a GresTypes=gpu' slurm.conf &&
echo 'NodeName=compute[1-2] Name=gpu Type=a100 File=/dev/nvidia[0-1]' > gres.conf"""
WITHOUT = "cd /etc/slurm && mv -f slurm.conf.plain slurm.conf; rm -f gres.conf"
INDEX = "VTK_DEFAULT_EGL_DEVICE_INDEX"


def restart(lab):
    """Slurm reads its nodes' GPUs when it starts. A node that reports fewer of them than it is to have is drained."""
    for node in NODES:
        lab.on(node, "systemctl", "stop", "slurmd")
    lab.on("login", "systemctl", "restart", "slurmctld")
    for node in NODES:
        lab.on(node, "systemctl", "start", "slurmd")
    lab.wait(lambda: lab.on("login", "sinfo", "-h", "-N", "-p", "debug", "-o", "%T", check=False).stdout.split() == ["idle", "idle"], 60, "the nodes are idle")


@pytest.fixture(scope="module")
def gpus(lab):
    for node in NODES:
        lab.on(node, "sh", "-c", DEVICES)
    for host in HOSTS:
        lab.on(host, "sh", "-c", WITH)
    restart(lab)
    yield
    for host in HOSTS:
        lab.on(host, "sh", "-c", WITHOUT)
    for node in NODES:
        lab.on(node, "sh", "-c", "rm -f /dev/nvidia*")
    restart(lab)


def devices(desk, node, name=INDEX):
    """The values of a variable in the environments of the ranks on a node, in order."""
    command = 'for pid in $(pgrep -u alice -x pvserver); do tr "\\0" "\\n" < /proc/$pid/environ | sed -n "s/^$1=//p"; done; true'
    return sorted(desk.lab.on(node, "sh", "-c", command, "sh", name).stdout.split())


def given(lab, report):
    """The GPUs that Slurm has given to a job, on each of its nodes."""
    details = lab.on("login", "scontrol", "show", "job", "-d", report["job_id"]).stdout
    return re.findall(r"^ +Nodes=\S+ .*GRES=(\S+)", details, re.M)


def log(desk):
    return desk.lab.on("login", "sh", "-c", "cat /home/alice/.paraview-connect/*/log").stdout


@pytest.mark.everywhere
@pytest.mark.usefixtures("gpus")
def test_each_rank_of_a_node_draws_with_a_gpu_of_its_own(desk, lab):
    desk.connect(route="forward_tunnel", pvserver="pvserver", nodes=2, tasks_per_node=2, gpus_per_node=2, gpu_type="a100")
    report = desk.report()
    assert sorted(report["nodes"]) == list(NODES)
    assert given(lab, report) in (["gpu:a100:2(IDX:0-1)"], ["gpu:a100:2(IDX:0-1)"] * 2)
    for node in NODES:
        assert devices(desk, node) == ["0", "1"]
    drawn = desk.client(report).stdout
    assert "distributed True" in drawn and "ranks compute1 compute1 compute2 compute2\n" in drawn and "drawn by ranks 0 3\n" in drawn
    if chooses(lab):
        # Mesa has one device alone, so it is the second index that it does not find.
        assert "EGL device index: 1 could not be initialized" in log(desk) and "index: 0 could" not in log(desk)
    desk.nothing_left()


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("settings", [long({"gpus_per_task": 1}), long({"gpus": 4, "gpu_type": "a100"})], ids=["task", "all"])
def test_gpus_that_are_counted_otherwise(desk, lab, settings):
    desk.connect(route="forward_tunnel", pvserver="pvserver", nodes=2, tasks_per_node=2, **settings)
    report = desk.report()
    assert given(lab, report) in (["gpu:a100:2(IDX:0-1)"], ["gpu:a100:2(IDX:0-1)"] * 2)
    for node in NODES:
        assert devices(desk, node) == ["0", "1"]
    desk.disconnect()
    assert not desk.left()


@pytest.mark.usefixtures("gpus")
def test_gpus_of_other_jobs_are_not_used(desk):
    """The batch system gives one GPU of two to a job, and both ranks draw with that one."""
    other = desk.lab.start("login", "srun", "-N1", "--overcommit", "-n1", "-w", "compute1", "--gres=gpu:1", "sleep", "120", user="alice")
    try:
        desk.lab.wait(lambda: desk.lab.on("login", "squeue", "-h", "-u", "alice", "-t", "running").stdout, 30, "the other job runs")
        desk.connect(route="forward_tunnel", pvserver="pvserver", gpus_per_node=1, directives=["-w compute1"])
        given = devices(desk, "compute1", "CUDA_VISIBLE_DEVICES")
        assert given == ["1"] and devices(desk, "compute1") == given
        desk.disconnect()
    finally:
        other.terminate()
        other.communicate()


@pytest.mark.torture
@pytest.mark.usefixtures("gpus")
def test_a_choice_of_the_users_own_stays(desk):
    desk.connect(route="forward_tunnel", pvserver="pvserver", nodes=1, tasks=2, gpus_per_node=2, setup=f"export {INDEX}=0")
    (node,) = desk.report()["nodes"]
    assert devices(desk, node) == ["0", "0"]
    assert pvservers(desk, node)
    desk.disconnect()
    assert not desk.left()


@pytest.mark.usefixtures("gpus")
def test_the_doctor_says_that_no_gpu_draws(desk):
    """The devices are there, and what draws is software."""
    seen, done = look(desk, test_job=True, pvserver="pvserver", gpus_per_node=2, gpu_type="a100")
    assert "(software)" in seen["renderer"]["said"], done.stdout
    assert seen["renderer"]["result"] == "warning" and seen["renderer"]["way_out"], seen["renderer"]
    assert not desk.left()


@pytest.mark.usefixtures("gpus")
def test_a_type_that_the_site_does_not_have(desk):
    done = desk.connect(route="forward_tunnel", gpus_per_node=1, gpu_type="h200", check=False)
    assert done.returncode != 0
    assert "the job requests paraview_gpus_per_node, paraview_gpu_type, paraview_walltime" in "\n".join(desk.lines(done)[-3:])
    assert not desk.left()
