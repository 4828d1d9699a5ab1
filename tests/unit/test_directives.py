# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's requests as directives of each batch system."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, directives, mpi
from hypothesis import given
from hypothesis import strategies as st

MUCH = {
    "nodes": 2, "tasks_per_node": 8, "cpus_per_task": 2, "gpus_per_node": 8, "memory": "4G", "walltime": 90000, "queue": "debug", "account": "p1",
    "qos": "high", "reservation": "r1", "constraint": "gpu", "exclusive": True,
    "parallel_environment": "mpi16",
}
HEADS = {
    "slurm": ["--no-requeue", "--job-name=pvserver", "--comment=sciviz.paraview-7.8.9", "--output=/h/batch.log",
              "--nodes=2", "--ntasks-per-node=8", "--cpus-per-task=2", "--gres=gpu:8",
              "--mem=4096M", "--time=1-01:00:00", "--partition=debug", "--account=p1", "--qos=high", "--reservation=r1", "--constraint=gpu", "--exclusive"],
    "pbs": ["-N sciviz.paraview", "-S /bin/sh", "-j oe", "-r n", "-o /h/batch.log",
            "-l select=2:ncpus=16:mpiprocs=8:ngpus=8:mem=4096mb:gpu", "-l place=scatter:excl",
            "-l walltime=25:00:00", "-A p1", "-q r1"],
    "torque": ["-N sciviz.paraview", "-S /bin/sh", "-j oe", "-r n", "-o /h/batch.log", "-l nodes=2:ppn=16:gpus=8:gpu", "-l pmem=512mb", "-l walltime=25:00:00",
               "-q debug", "-A p1", "-l qos=high", "-W x=FLAGS:ADVRES:r1", "-n"],
    "sge": ["-S /bin/sh", "-j y", "-r n", "-notify", "-N sciviz.paraview-7.8.9", "-o /h/batch.log", "-pe mpi16 32",
            "-l mem_free=256M", "-l h_rt=25:00:00", "-q debug",
            "-P p1", "-ar r1", "-l gpu"],
    "lsf": ["-J pvserver", "-rn", "-Jd sciviz.paraview-7.8.9", "-o /h/batch.log", "-n 16",
            '-R "span[ptile=8]"', '-R "affinity[core(2)]"', '-gpu "num=8"', '-R "rusage[mem=4096MB]"',
            "-W 25:00", "-q debug", "-P p1", "-sla high", "-U r1", '-R "select[gpu]"', "-x"],
    "flux": ["--job-name=pvserver", "--setattr=user.comment=sciviz.paraview-7.8.9", "--output=/h/batch.log", "--nodes=2",
             "--nslots=16", "--cores-per-slot=2", "--gpus-per-slot=1", "--time-limit=90000s",
             "--queue=debug", "--bank=p1", "--requires=gpu", "--exclusive"],
    "oar": ["-n sciviz.paraview", "-O /h/batch.log", "-E /h/batch.log", "-l /nodes=2/core=16,walltime=25:00:00", "-q debug", "--project p1", "-p gpu"],
}
LITTLE = {
    "slurm": ["--comment=sciviz.paraview", "--output=/o", "--nodes=1", "--ntasks-per-node=1", "--time=1:00:30"],
    "pbs": ["-o /o", "-l select=1:ncpus=1:mpiprocs=1", "-l place=scatter", "-l walltime=1:00:30"],
    "torque": ["-o /o", "-l nodes=1:ppn=1", "-l walltime=1:00:30"],
    "sge": ["-N sciviz.paraview", "-o /o", "-l h_rt=1:00:30"],
    "lsf": ["-Jd sciviz.paraview", "-o /o", "-n 1", '-R "span[ptile=1]"', "-W 1:01"],
    "flux": ["--setattr=user.comment=sciviz.paraview", "--output=/o", "--nodes=1", "--nslots=1", "--time-limit=3630s"],
    "oar": ["-O /o", "-E /o", "-l /nodes=1/core=1,walltime=1:00:30"],
}
# Options for which a batch system has no directive.
LACKS = {
    "pbs": ["qos", "parallel_environment"], "slurm": ["parallel_environment"], "torque": ["parallel_environment"], "lsf": ["parallel_environment"],
    "sge": ["qos", "gpus_per_node", "exclusive"], "flux": ["memory", "qos", "reservation", "parallel_environment"],
    "oar": ["gpus_per_node", "memory", "qos", "reservation", "exclusive", "parallel_environment"],
    "none": ["gpus_per_node", "memory", "queue", "account", "qos", "reservation", "constraint", "exclusive", "parallel_environment"],
}


def test_every_batch_system_is_tested():
    assert set(HEADS) == set(LITTLE) == set(answers.TABLES) - {"none"}
    assert set(LACKS) == set(answers.TABLES)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_all_options_that_a_system_supports(name):
    table = answers.TABLES[name]
    options = {option: value for option, value in MUCH.items() if option not in LACKS[name] and (name, option) != ("pbs", "queue")}
    assert directives.head(table, dict(options, extra=["-l more", table["directives"]["prefix"] + "-l most"]), "/h/batch.log", "7.8.9") == [
        table["directives"]["prefix"] + line for line in HEADS[name] + ["-l more", "-l most"]
        # In OAR, a second -l would be an alternative to the first.
        if name != "oar" or not line.startswith("-l /")]


@pytest.mark.parametrize("name", sorted(LITTLE))
def test_options_that_are_not_requested_are_left_out(name):
    table = answers.TABLES[name]
    options = dict.fromkeys(MUCH, "") | {"nodes": 1, "tasks_per_node": 1, "cpus_per_task": 0, "gpus_per_node": 0, "walltime": 3630, "exclusive": False}
    always = len(table["directives"]["always"])
    assert directives.head(table, options, "/o", "")[always:] == [table["directives"]["prefix"] + line for line in LITTLE[name]]


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, lacking in LACKS.items() for option in lacking])
def test_an_option_without_a_directive_is_named(name, option):
    with pytest.raises(SessionError) as caught:
        directives.check(answers.TABLES[name], {option: MUCH[option]})
    assert "paraview_{0}: {1!r} is not available".format(option, MUCH[option]) in str(caught.value)
    assert answers.TABLES[name]["title"] in caught.value.why
    assert "paraview_directives" in caught.value.way_out


@pytest.mark.parametrize(("name", "options", "message"), [
    ("none", {"nodes": 2}, "paraview_nodes: 2"),
    ("sge", {"tasks_per_node": 2}, "paraview_parallel_environment is missing"),
    ("sge", {"cpus_per_task": 2}, "paraview_parallel_environment is missing"),
    ("flux", {"gpus_per_node": 3, "tasks_per_node": 2}, "paraview_gpus_per_node: 3"),
    ("pbs", {"queue": "a", "reservation": "R1"}, "paraview_queue and paraview_reservation"), ("slurm", {"extra": ["#PBS -q x"]}, "#PBS -q x"),
    ("pbs", {"extra": ["# a remark"]}, "a remark")])
def test_options_that_cannot_be_combined_are_refused(name, options, message):
    with pytest.raises(SessionError) as caught:
        directives.check(answers.TABLES[name], options)
    assert message in str(caught.value)
    assert caught.value.way_out


@pytest.mark.parametrize(("memory", "megabytes"), [
    ("4G", 4096), ("500M", 500), ("500", 500), ("500MB", 500), ("1.5G", 1536), ("1T", 1048576), ("1K", 1), ("2000K", 2)])
def test_memory_in_whole_megabytes(memory, megabytes):
    assert "mem={0}mb".format(megabytes) in directives.head(answers.TABLES["pbs"], {"nodes": 1, "tasks_per_node": 1, "memory": memory})[4]


@given(st.sampled_from(sorted(HEADS)), st.text(st.sampled_from("ab1.,_@:+=&|*()[]!<>/-"), min_size=1, max_size=20), st.integers(1, 10 ** 7))
def test_every_line_is_a_directive_and_one_line(name, constraint, walltime):
    table = answers.TABLES[name]
    lines = directives.head(table, {"nodes": 1, "tasks_per_node": 1, "walltime": walltime, "constraint": constraint}, "/h/batch.log")
    assert all(line.startswith(table["directives"]["prefix"]) and "\n" not in line for line in lines)
    assert any(constraint in line for line in lines)


@pytest.mark.parametrize(("launcher", "command"), [
    ("srun", "srun --unbuffered --nodes=2 --ntasks=16 --ntasks-per-node=8"), ("mpiexec", "mpiexec -n 16"), ("mpirun", "mpirun -np 16"),
    ("aprun", "aprun -n 16 -N 8 -d 2"), ("flux", "flux run --nodes=2 --ntasks=16 --cores-per-task=2"), ("none", ""),
    (["ibrun", "-n", "{tasks}", "{x}", "{"], "ibrun -n 16 {x} {")])
def test_launchers(launcher, command):
    assert mpi.command(mpi.words(launcher), 2, 8, 2) == command.split()


def test_a_launcher_by_name_in_a_list():
    assert mpi.words(["aprun"]) == mpi.LAUNCHERS["aprun"]
    assert "-d 1" in " ".join(mpi.command(mpi.words("aprun"), 1, 1))
