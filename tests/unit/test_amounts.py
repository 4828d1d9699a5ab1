# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, GPUs and memory: what a user requests, as each batch system and MPI launcher reads it."""

import os
import shlex
import shutil
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_flow, job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings, settings_table
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import amounts, directives, mpi, validation
from hypothesis import given
from hypothesis import strategies as st

DEFAULTS = {name: about["default"] for name, about in settings_table.SPEC.items()}
# A site that refuses directives of memory, and one that counts memory and GPUs of the whole job.
NO_MEMORY = {"slurm": {"directives": {"lines": {"memory": None}}}}
TOTALS = {"pbs": {"directives": {"lines": {"select": None, "place": None, "cores": "-l ncpus={cores}", "memory": "-l mem={memory_total_mb}mb",
                                           "gpus": "-l ngpus={gpus}"}}}}


def checked(name, tables=None, **changes):
    """tuple: a table and the settings, as connect has them before it submits a job."""
    options = settings.check(dict(DEFAULTS, scheduler=name, schedulers=tables or {}, **changes))
    return validation.tables(options["schedulers"])[name], options


def lines(name, tables=None, **changes):
    """list[str]: the directives of a job, without the prefix."""
    table, options = checked(name, tables, **changes)
    prefix = table["directives"]["prefix"]
    return [line[len(prefix):] for line in directives.head(table, directives.requested(options, {}), "/o")]


def start(name, tables=None, **changes):
    """str: the command that starts pvserver's processes."""
    table, options = checked(name, tables, **changes)
    return " ".join(mpi.of_the_job(table, directives.sized(table, options)))


def refused(*args, **changes):
    with pytest.raises(SessionError) as caught:
        lines(*args, **changes)
    assert caught.value.why and caught.value.way_out
    return str(caught.value)


# -- processes

@pytest.mark.parametrize(("name", "requested"), [
    ("slurm", ["--nodes=11", "--ntasks=250"]), ("pbs", ["-l select=8:ncpus=23:mpiprocs=23+3:ncpus=22:mpiprocs=22", "-l place=scatter"]),
    ("torque", ["-l nodes=8:ppn=23+3:ppn=22"]), ("sge", ["-pe round 250"]), ("lsf", ["-n 250", '-R "span[ptile=23]"']),
    ("flux", ["--nodes=11", "--nslots=250"]), ("oar", ["-l /nodes=11/core=23,walltime=1:00:00"])])
def test_processes_that_the_nodes_cannot_share_evenly(name, requested):
    more = {"parallel_environment": "round"} if name == "sge" else {}
    head = lines(name, nodes=11, tasks=250, **more)
    assert [line for line in requested if line not in head] == []
    assert not any("ntasks-per-node" in line for line in head)
    command = start(name, nodes=11, tasks=250, **more)
    assert "250" in command and "--ntasks-per-node" not in command
    table, options = checked(name, nodes=11, tasks=250, **more)
    assert job_flow.submitted("5", directives.granted(table, options)) == "job 5 submitted: 11 nodes, 250 tasks, 1:00:00"


@pytest.mark.parametrize("name", ["slurm", "pbs", "torque", "lsf", "flux", "oar"])
def test_an_even_number_is_the_same_as_one_for_each_node(name):
    assert lines(name, nodes=3, tasks=12) == lines(name, nodes=3, tasks_per_node=4)
    assert start(name, nodes=3, tasks=12) == start(name, nodes=3, tasks_per_node=4)


@given(st.integers(1, 300), st.integers(1, 5000))
def test_every_process_has_a_place(nodes, tasks):
    spread = amounts.ranks({"nodes": nodes, "tasks": max(tasks, nodes)})
    rest = nodes - spread.more_nodes
    assert spread.more_nodes * spread.per_node + rest * (spread.per_node - 1) == spread.tasks and spread.more_nodes > 0 <= rest


@pytest.mark.parametrize(("changes", "words"), [
    ({"nodes": 3, "tasks": 25, "tasks_per_node": 8}, ["paraview_tasks: 25", "have 24", "at least 4"]),
    ({"nodes": 4, "tasks": 3}, ["paraview_tasks: 3", "each of 4 nodes", "at most 3"]),
    ({"tasks": 9, "tasks_per_node": 8}, ["one node with at most 8", "at least 2"])])
@pytest.mark.parametrize("name", ["slurm", "auto"])
def test_numbers_that_contradict_each_other(name, changes, words):
    """With a batch system that is not known yet, too: no login is needed for it."""
    with pytest.raises(SessionError) as caught:
        settings.check(dict(DEFAULTS, scheduler=name, **changes))
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_node_may_have_fewer_than_the_most():
    assert "--ntasks=23" in lines("slurm", nodes=3, tasks=23, tasks_per_node=8)


def test_lsf_cannot_use_more_nodes_than_its_span_needs():
    assert "set paraview_nodes to 5" in refused("lsf", nodes=6, tasks=10)


def test_the_users_own_directives_decide():
    assert start("slurm", directives=["-N 11 -n 250"]) == "srun --unbuffered --nodes=11 --ntasks=250"
    assert start("pbs", nodes=11, tasks=250, directives=["-l select=3:ncpus=2:mpiprocs=2"]) == "mpiexec -n 6"
    assert start("slurm", tasks=250, directives=["--nodes=11"]) == "srun --unbuffered --nodes=11 --ntasks=250"


def test_a_line_of_the_sites_own_is_not_replaced_by_the_shipped_one():
    own = {"pbs": {"directives": {"lines": {"select": "-l select={nodes}:vntype=big:ncpus={cores_per_node}:mpiprocs={tasks_per_node}"}}}}
    assert "-l select=11:vntype=big:ncpus=23:mpiprocs=23" in lines("pbs", own, nodes=11, tasks=250)
    own["pbs"]["directives"]["uneven"] = {"select": "-l select={more_nodes}:mpiprocs={more_tasks}+{fewer_nodes}:mpiprocs={fewer_tasks}"}
    assert "-l select=8:mpiprocs=23+3:mpiprocs=22" in lines("pbs", own, nodes=11, tasks=250)


# -- GPUs and memory

@pytest.mark.parametrize(("name", "changes", "line"), [
    ("slurm", {"gpus_per_node": 3, "gpu_type": "h100"}, "--gres=gpu:h100:3"), ("slurm", {"gpus_per_node": 3}, "--gres=gpu:3"),
    ("slurm", {"gpus_per_task": 1, "gpu_type": "h100"}, "--gpus-per-task=h100:1"), ("slurm", {"gpus": 5, "gpu_type": "h100"}, "--gpus=h100:5"),
    ("pbs", {"gpus_per_node": 3, "gpu_type": "h100"}, "-l select=2:ncpus=3:mpiprocs=3:ngpus=3:gpu_type=h100"),
    ("pbs", {"gpus_per_task": 2}, "-l select=2:ncpus=3:mpiprocs=3:ngpus=6"), ("pbs", {"gpus": 6}, "-l select=2:ncpus=3:mpiprocs=3:ngpus=3"),
    ("torque", {"gpus_per_task": 1, "gpu_type": "h100"}, "-l nodes=2:ppn=3:gpus=3:h100"),
    ("lsf", {"gpus": 6, "gpu_type": "H100"}, '-gpu "num=3:gmodel=H100"'), ("lsf", {"gpus_per_task": 1}, '-gpu "num=3"'),
    ("flux", {"gpus_per_task": 1}, "--gpus-per-slot=1"), ("flux", {"gpus": 6}, "--gpus-per-slot=1"), ("flux", {"gpus_per_node": 6}, "--gpus-per-slot=2")])
def test_gpus_in_the_words_of_each_batch_system(name, changes, line):
    head = lines(name, nodes=2, tasks_per_node=3, **changes)
    assert line in head
    # One way to give the number, not several.
    assert sum("gpu" in one for one in head) == 1


def test_each_chunk_has_the_gpus_of_its_processes():
    assert "-l select=1:ncpus=3:mpiprocs=3:ngpus=3+1:ncpus=2:mpiprocs=2:ngpus=2" in lines("pbs", nodes=2, tasks=5, gpus_per_task=1)
    assert "-l select=1:ncpus=3:mpiprocs=3:ngpus=4:mem=2048mb+1:ncpus=2:mpiprocs=2:ngpus=4:mem=2048mb" in lines(
        "pbs", nodes=2, tasks=5, gpus_per_node=4, memory="2G")


@pytest.mark.parametrize("name", ["pbs", "slurm", "oar", "none"])
def test_a_type_alone_requests_nothing(name):
    assert lines(name, gpu_type="h100") == lines(name)


@pytest.mark.parametrize(("name", "changes", "words"), [
    ("auto", {"gpus_per_node": 1, "gpus": 2}, "paraview_gpus_per_node and paraview_gpus cannot be combined"),
    ("slurm", {"gpus_per_task": 1, "gpus": 2}, "paraview_gpus_per_task and paraview_gpus cannot be combined"),
    ("pbs", {"gpus": 5}, "paraview_gpus: 5 is not available"), ("flux", {"gpus_per_node": 1}, "paraview_gpus_per_node: 1 is not available"),
    ("flux", {"gpus": 6, "gpu_type": "h100"}, "paraview_gpu_type: 'h100' is not available"), ("sge", {"gpus": 1}, "paraview_gpus: 1 is not available"),
    ("slurm", {"gpus": 1, "gpu_type": "h100:2"}, "paraview_gpu_type: 'h100:2' is not valid")])
def test_gpus_that_cannot_be_requested(name, changes, words):
    with pytest.raises(SessionError) as caught:
        settings.check(dict(DEFAULTS, scheduler=name, parallel_environment="mpi" if name == "sge" else "", nodes=2, tasks_per_node=3, **changes))
    assert words in str(caught.value) and caught.value.way_out


def test_a_site_renames_what_it_names_in_its_own_way():
    by_node = {"slurm": {"directives": {"lines": {"gpus_per_node": "--gpus-per-node=<{gpu_type}:>{gpus_per_node}", "gpus_per_task": None, "gpus": None}}}}
    assert "--gpus-per-node=h100:3" in lines("slurm", by_node, nodes=2, tasks_per_node=3, gpus_per_task=1, gpu_type="h100")
    resource = {"sge": {"directives": {"lines": {"gpus": "-l gpus={gpus}<,gpu_model={gpu_type}>"}}}}
    assert "-l gpus=4,gpu_model=v100" in lines("sge", resource, gpus_per_node=4, gpu_type="v100")


def test_a_site_that_counts_the_whole_job():
    head = lines("pbs", TOTALS, nodes=2, tasks_per_node=4, cpus_per_task=12, gpus_per_node=4, memory="190G")
    assert {"-l ncpus=96", "-l mem=389120mb", "-l ngpus=8"} < set(head) and not any("select" in line or "place" in line for line in head)
    assert "-l ncpus=7" in lines("pbs", TOTALS, nodes=2, tasks=7)


def test_a_site_that_refuses_memory():
    assert not any("mem" in line for line in lines("slurm", NO_MEMORY, nodes=2))
    assert "paraview_memory: '4G' is not available" in refused("slurm", NO_MEMORY, memory="4G")


@pytest.mark.parametrize(("changes", "number"), [({"gpus_per_node": 4}, 4), ({"gpus_per_task": 1, "tasks_per_node": 3}, 3), ({"gpus": 8, "nodes": 2}, 4),
                                                 ({"gpus": 3, "nodes": 2}, 1), ({}, 0)])
def test_how_many_gpus_a_node_has(changes, number):
    assert amounts.gpus_on_a_node(changes) == number


# -- constraints

@pytest.mark.parametrize(("name", "constraint", "line"), [
    ("slurm", "[rack1|rack2]", "--constraint=[rack1|rack2]"), ("slurm", "'big mem'&ib", "--constraint=\"'big mem'&ib\""),
    ("oar", "cluster = 'big' and cores > 8", "-p cluster = 'big' and cores > 8"), ("flux", "host:a or not host:b", '--requires="host:a or not host:b"'),
    ("lsf", "type==any && mem>100", '-R "select[type==any && mem>100]"'), ("lsf", 'defined("big mem")', "-R 'select[defined(\"big mem\")]'"),
    ("pbs", 'note="big mem"', "-l select=1:ncpus=1:mpiprocs=1:'note=\"big mem\"'"), ("sge", "os='el 9'", "-l \"os='el 9'\"")])
def test_constraints_with_quotes_and_blanks(name, constraint, line):
    assert line in lines(name, constraint=constraint)


@pytest.mark.parametrize("constraint", [
    "gpu='YES' and gpumem>=12000", "gpu_count >= 2 AND gpu_mem >= 20000", 'smp AND nodetype like "BIG512Gb"', "host='gpu10.site.example'", "gpudevice='-1'",
    "cluster in ('a', 'b') and not wattmeter = 'NO'", "SMALL|BIG|CARD1080Ti", "CPU_EXT:AVX-512", "A100.4g.40gb|A100.3g.40gb", "2.60GHz", "gpu,ss11,hbm80g",
    "[a5000|a6000|3090]", "(rack1&ib)|rack2*4"])
def test_conditions_of_public_job_scripts(constraint):
    assert "-p " + constraint in lines("oar", constraint=constraint)


@pytest.mark.parametrize(("launcher", "command"), [
    ("/usr/local/bin/mpiexec -np {tasks} -machinefile $PBS_NODEFILE", ["/usr/local/bin/mpiexec", "-np", "6", "-machinefile", "/spool/1.srv"]),
    ("mpirun --hostfile ${LSB_DJOB_HOSTFILE} -np ${LSB_DJOB_NUMPROC}", ["mpirun", "--hostfile", "/spool/hosts", "-np", "6"]),
    ("mpirun -r rsh -machinefile $PBS_NODEFILE -n {tasks}", ["mpirun", "-r", "rsh", "-machinefile", "/spool/1.srv", "-n", "6"]),
    ("srun --uenv tool/25.5:v1 --view=all -n {tasks}", ["srun", "--uenv", "tool/25.5:v1", "--view=all", "-n", "6"]),
    ("mpiexec -rf ${LSB_RANK_HOSTFILE}", ["mpiexec", "-rf", "/spool/ranks"])])
def test_launchers_of_public_job_scripts(launcher, command):
    words = start("pbs", nodes=2, tasks_per_node=3, mpi_launcher=launcher).split()
    job = {"PBS_NODEFILE": "/spool/1.srv", "LSB_DJOB_HOSTFILE": "/spool/hosts", "LSB_DJOB_NUMPROC": "6", "LSB_RANK_HOSTFILE": "/spool/ranks"}
    assert read_by("sh", words, **job)[1] == command


@pytest.mark.parametrize("constraint", ["a b", "a'", '"', " a", "a ", "a\n", "$(id)", "`id`", "a;b", "a\\", "'a\n'", "a\tb"])
def test_constraints_that_are_none(constraint):
    assert "paraview_constraint: " in refused("slurm", constraint=constraint)


def test_both_kinds_of_quotes_have_no_place_within_quotes():
    assert "both kinds of quotes" in refused("slurm", constraint="a='b'&c=\"d\"")
    assert "-p a='b' and c=\"d\"" in lines("oar", constraint="a='b' and c=\"d\"")


@given(st.text(st.sampled_from("ab='\" &|>()[]<"), min_size=1, max_size=15))
def test_a_shell_reads_the_constraint_as_the_user_wrote_it(constraint):
    try:
        head = lines("flux", constraint=constraint)
    except SessionError as error:
        assert error.what.startswith("paraview_constraint: ")
        return
    assert "--requires=" + constraint in shlex.split(head[-1])


# -- launchers

@pytest.mark.parametrize(("launcher", "changes", "command"), [
    ("ibrun", {}, "ibrun"), ("mpiexec -n {tasks} --ppn {per_node} --depth={cpus_per_task}", {}, "mpiexec -n 6 --ppn 3 --depth=1"),
    ("srun --mpi=pmix -n {tasks}", {}, "srun --mpi=pmix -n 6"),
    ("flux", {"gpus_per_task": 1}, "flux run --nodes=2 --ntasks=6 --cores-per-task=1 --gpus-per-task=1"),
    ("flux", {}, "flux run --nodes=2 --ntasks=6 --cores-per-task=1"),
    ("jsrun -g {gpus_per_task} --smpiargs={gpu_type}/{gpus}/{gpus_per_node}", {"gpus": 12, "gpu_type": "v100"}, "jsrun -g 2 --smpiargs=v100/12/6"),
    ("x --mem={memory_mb}/{memory_total_mb} <--type={gpu_type}> {gpus}", {"memory": "2G"}, "x --mem=2048/4096 0"),
    (["x", "<{gpus}", "<>", "<a>", "{none}"], {}, "x <0 <> <a> {none}")])
def test_placeholders_of_a_launcher(launcher, changes, command):
    assert start("slurm", nodes=2, tasks_per_node=3, mpi_launcher=launcher, **changes) == command


def test_a_placeholder_that_has_no_whole_number():
    with pytest.raises(SessionError) as caught:
        start("slurm", nodes=2, tasks_per_node=3, gpus=4, mpi_launcher="x -g {gpus_per_task}")
    assert "{gpus_per_task} has no value" in caught.value.what and caught.value.way_out


def read_by(shell, launcher, **environment):
    """tuple[int, list[str], str]: the words that a program gets from a launcher's words in a job, and what the shell prints."""
    done = subprocess.run([shell, "-c", "set -- {0}; for word; do printf '%s\\0' \"$word\"; done".format(mpi.in_shell(launcher))], env=dict(
        environment, PATH=os.environ["PATH"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode().split("\0")[:-1], done.stderr.decode()


@pytest.mark.parametrize("shell", [name for name in ("sh", "bash") if shutil.which(name)])
@pytest.mark.parametrize(("word", "expected"), [
    ("$FILE", "/a b/*"), ("${FILE}", "/a b/*"), ("--hostfile=$FILE", "--hostfile=/a b/*"), ("${FILE}.$N,x", "/a b/*.3,x"), ("'$N'", "'3'"),
    ("$(id)", "$(id)"), ("`id`$N", "`id`3"), ("${N:-x}", "${N:-x}"), ("${N", "${N"), ("$1$?$$", "$1$?$$"), ("$", "$"), ("$N;id", "3;id"), ("\\$N", "\\3"),
    ("~", "~"), ("*", "*"), ('"$N" ', '"3" '), ("$EVIL", "$(id)`id`\"'")])
def test_only_a_plain_variable_of_the_job_is_replaced(shell, word, expected):
    environment = {"FILE": "/a b/*", "N": "3", "EVIL": "$(id)`id`\"'"}
    assert read_by(shell, ["mpirun", word, "-n"], **environment) == (0, ["mpirun", expected, "-n"], "")


@given(st.lists(st.text(st.sampled_from("ab${}()`'\"\\;&|*?~ \t#!<>=N1"), max_size=12), min_size=1, max_size=3))
def test_no_word_of_a_launcher_runs_anything(words):
    values = {name: "<{0}>".format(name) for name in ("a", "b", "N", "ab", "aN", "bN", "Na")}
    code, got, said = read_by("sh", ["x"] + words, **values)
    if code:
        assert "the job does not have it" in said
    else:
        assert len(got) == len(words) + 1
        assert all("$" in word or one == word for word, one in zip(words, got[1:]))


def test_a_variable_that_the_job_does_not_have_ends_it_with_a_message():
    code, words, said = read_by("sh", ["mpirun", "-machinefile", "$NODES_OF_THE_JOB"])
    assert code and not words and "NODES_OF_THE_JOB: paraview_mpi_launcher names this variable, and the job does not have it" in said


def test_the_script_of_another_shell_stays_as_it_is():
    script = 'for n in 1 2; do echo $n $GONE; done; exec "$@"'
    assert read_by("sh", ["env", "A=1", "/bin/bash", "-ec", script, "sh"])[1][4] == script


def test_the_job_script_has_the_variable():
    table, options = checked("oar", nodes=2, mpi_launcher="mpirun -machinefile ${OAR_NODEFILE} -np {tasks}")
    text = job_scripts.files(table, "/h/s", options, directives.requested(options, {}), [])["pvserver.sh"]
    assert 'mpirun -machinefile "${OAR_NODEFILE?' in text and "' -np 2" not in text and ' -np 2 "$@"' in text
