# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's own directives beside those of the tables."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import batch_system, job_flow, job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.common import collection
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.session import LauncherSession
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, directives, option_lines, own_directives, validation
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps import pvserver_start
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps.submission import Submission
from ansible_collections.sciviz.paraview.plugins.plugin_utils import launcher_archive
from hypothesis import given
from hypothesis import strategies as st

REQUEST = {"nodes": 2, "tasks_per_node": 4, "cpus_per_task": 2, "memory": "8G", "walltime": 5400, "queue": "viz", "account": "p1"}
DEFAULTS = {name: about["default"] for name, about in settings.SPEC.items()}
# What our own head has for REQUEST, by a short name.
OURS = {
    "slurm": {"requeue": "--no-requeue", "name": "--job-name=pvserver", "comment": "--comment=sciviz.paraview-3.2.1", "output": "--output=/o",
              "nodes": "--nodes=2",
              "each": "--ntasks-per-node=4", "cpus": "--cpus-per-task=2", "memory": "--mem=8192M", "time": "--time=1:30:00", "queue": "--partition=viz",
              "account": "--account=p1"},
    "pbs": {"name": "-N sciviz.paraview", "shell": "-S /bin/sh", "join": "-j oe", "rerun": "-r n", "output": "-o /o",
            "select": "-l select=2:ncpus=8:mpiprocs=4:mem=8192mb", "place": "-l place=scatter", "time": "-l walltime=1:30:00", "queue": "-q viz",
            "account": "-A p1"},
    "torque": {"name": "-N sciviz.paraview", "shell": "-S /bin/sh", "join": "-j oe", "rerun": "-r n", "output": "-o /o", "nodes": "-l nodes=2:ppn=8",
               "memory": "-l pmem=2048mb", "time": "-l walltime=1:30:00", "queue": "-q viz", "account": "-A p1"},
    "sge": {"shell": "-S /bin/sh", "join": "-j y", "rerun": "-r n", "notify": "-notify", "name": "-N sciviz.paraview-3.2.1", "output": "-o /o",
            "slots": "-pe mpi 16", "memory": "-l mem_free=1024M", "time": "-l h_rt=1:30:00", "queue": "-q viz", "account": "-P p1"},
    "lsf": {"name": "-J pvserver", "rerun": "-rn", "description": "-Jd sciviz.paraview-3.2.1", "output": "-o /o", "tasks": "-n 8",
            "span": '-R "span[ptile=4]"', "cpus": '-R "affinity[core(2)]"', "memory": '-R "rusage[mem=8192MB]"', "time": "-W 1:30", "queue": "-q viz",
            "account": "-P p1"},
    "flux": {"name": "--job-name=pvserver", "comment": "--setattr=user.comment=sciviz.paraview-3.2.1", "output": "--output=/o", "nodes": "--nodes=2",
             "tasks": "--nslots=8", "cpus": "--cores-per-slot=2", "time": "--time-limit=5400s", "queue": "--queue=viz", "account": "--bank=p1"},
}


def request(name, lines, **changes):
    options = dict(REQUEST, extra=lines, **changes)
    if name == "sge":
        options["parallel_environment"] = "mpi"
    if name == "flux":
        options["memory"] = ""
    return options


def bare(name, lines, **changes):
    """list[str]: the head without the prefix."""
    table = answers.TABLES[name]
    prefix = table["directives"]["prefix"]
    head = directives.head(table, request(name, lines, **changes), "/o", "3.2.1")
    assert all(line.startswith(prefix.strip()) for line in head)
    return [line[len(prefix.strip()):].strip() for line in head]


def granted(name, lines, **changes):
    said = directives.granted(answers.TABLES[name], request(name, lines, **changes))
    return {key: said[key] for key in ("nodes", "tasks_per_node", "walltime", "queue")}


@pytest.mark.parametrize(("name", "line", "gone"), [
    ("pbs", "-l select=3:ncpus=4", "select"), ("pbs", "-lselect=3", "select"), ("pbs", "-l place=pack:shared", "place"), ("pbs", "-l walltime=20:00", "time"),
    ("pbs", "-l WALLTIME=20:00", "time"), ("pbs", "#PBS -l walltime=20:00,select=1", "time select"), ("pbs", "#PBS   -N mine -A other", "name account"),
    ("pbs", "-V -q short", "queue"), ("pbs", "-Vq short", "queue"), ("pbs", "-o /scratch/out", "output"), ("pbs", "-j n", "join"), ("pbs", "-r n", "rerun"),
    ("pbs", "-S /bin/bash", "shell"), ("pbs", "-l nodes=1:ppn=4", "select place"), ("pbs", "-l filesystems=home:eagle", ""), ("pbs", "-W umask=077", ""),
    ("pbs", "-N \"a name\" # -q of no account", "name"), ("pbs", "-l walltime=1:00:00,mem=2gb", "time"),
    ("slurm", "--time=10", "time"), ("slurm", "--time 10", "time"), ("slurm", "-t 10", "time"), ("slurm", "-t10", "time"), ("slurm", "--tim=10", "time"),
    ("slurm", "--time-min=10", ""), ("slurm", "#SBATCH -Ht10", "time"), ("slurm", "-N 3 -p gpu --account other", "nodes queue account"),
    ("slurm", "-n 16", "each"), ("slurm", "--tasks-per-node=2", "each"), ("slurm", "--mem-per-cpu=2G", "memory"), ("slurm", "--comment='for -t 10'",
                                                                                                                   "comment"),
    ("slurm", "--nodelist=c[1-2]", ""), ("slurm", "-J x -o out.%j", "name output"), ("slurm", "--no-requeue", "requeue"), ("slurm", "-c4", "cpus"),
    ("slurm", "--qos=high --mail-user=a@b.org", ""),
    ("torque", "-l nodes=4:ppn=4,walltime=0:10:00", "nodes time"), ("torque", "-l procs=12", "nodes"), ("torque", "-l pmem=1gb -q short", "memory queue"),
    ("sge", "-pe orte 8", "slots"), ("sge", "-l h_rt=600", "time"), ("sge", "-l gpu=1,h_rt=600", "time"), ("sge", "-l mf=2G,h_rt=::600", "memory time"),
    ("sge", "-N a -j n", "name join"), ("sge", "-l h_vmem=4G -P q", "account"), ("sge", "-cwd -notify", "notify"), ("sge", "-ac who=me", ""),
    ("lsf", "-n 16", "tasks"), ("lsf", "-n16", "tasks"), ("lsf", '-R "span[hosts=1]"', "span"), ("lsf", '-R"span[hosts=1]"', "span"), ("lsf", "-W 30",
                                                                                                                                       "time"),
    ("lsf", "-R 'select[mem>100] rusage[mem=4G:tmp=1] span[ptile=2]'", "span memory"), ("lsf", '-R "rusage[tmp=10]"', ""), ("lsf", "-oo out", "output"),
    ("lsf", "-nnodes 2", "tasks span cpus"), ("lsf", "-Jd mine", "description"), ("lsf", "-J mine", "name"), ("lsf", "-R gpu", ""), ("lsf", "-rn", "rerun"),
    ("flux", "-N 2", "nodes"), ("flux", "-N2", "nodes"), ("flux", "-t 30m", "time"), ("flux", "--time=30m", "time"), ("flux", "--setattr=user.comment=x",
                                                                                                                      "comment"),
    ("flux", "--setattr=system.site=x", ""), ("flux", "# flux: -q debug -B other", "queue account"), ("flux", "-xn 8", "tasks"), ("flux",
                                                                                                                                  "-o cpu-affinity=off", ""),
])
def test_a_directive_replaces_ours_and_no_other(name, line, gone):
    text = line.replace("#PBS", "").replace("#SBATCH", "").replace("# flux:", "").strip()
    assert set(gone.split()) <= set(OURS[name])
    assert bare(name, [line]) == [ours for key, ours in OURS[name].items() if key not in gone.split()] + [text]


@pytest.mark.parametrize("name", sorted(OURS))
def test_without_directives_nothing_is_missing(name):
    assert bare(name, []) == list(OURS[name].values())


@pytest.mark.parametrize(("name", "line", "expected"), [
    ("pbs", "-l select=3:ncpus=8:mpiprocs=2", {"nodes": 3, "tasks_per_node": 2}), ("pbs", "-l select=1:ncpus=8+2:ncpus=4", {"nodes": 3}),
    ("pbs", "-l select=1:mpiprocs=8+2:mpiprocs=4", {"nodes": 3, "tasks_per_node": 0}), ("pbs", "-l select=2:ncpus=4 -l place=pack", {"nodes": 0}),
    ("pbs", "-l place=scatter:excl", {}), ("pbs", "-l place=vscatter", {"nodes": 0}), ("pbs", "-l walltime=20:00", {"walltime": 1200}),
    ("pbs", "-l walltime=90", {"walltime": 90}), ("pbs", "-l walltime=soon", {"walltime": 0}), ("pbs", "-l walltime=10 -l walltime=20", {"walltime": 10}),
    ("pbs", "-q a -q b", {"queue": "b"}), ("pbs", "-l nodes=c1:ppn=4+c2:ppn=4", {"nodes": 2, "tasks_per_node": 4}), ("pbs", "-l ncpus=96", {"nodes": 0}),
    ("slurm", "-t 10", {"walltime": 600}), ("slurm", "-t 1-0:30", {"walltime": 88200}), ("slurm", "-t 10:30", {"walltime": 630}),
    ("slurm", "-t 1-2:3:4", {"walltime": 93784}), ("slurm", "-t UNLIMITED", {"walltime": 0}), ("slurm", "-t 0", {"walltime": 0}),
    ("slurm", "-t 5 --time=7", {"walltime": 420}), ("slurm", "-N 2-4", {"nodes": 0}), ("slurm", "-N 3-3", {"nodes": 3}), ("slurm",
                                                                                                                          "-p a,b", {"queue": "a,b"}),
    ("slurm", "-n 16", {"tasks_per_node": 8}), ("slurm", "-n 5", {"tasks_per_node": 0}), ("slurm", "-N 4 -n 16", {"nodes": 4}),
    ("slurm", "--comment=-N9", {}), ("slurm", "--comment=a#b -N 9", {}), ("slurm", "--comment='#' -N 9", {"nodes": 9}), ("pbs", "-A a#b -q c", {"queue": "c"}),
    ("sge", "-l h_rt=1::30", {"walltime": 3630}), ("sge", "-l h_rt=7200", {"walltime": 7200}), ("sge", "-l h_rt=INFINITY", {"walltime": 0}),
    ("sge", "-l h_rt=10 -l h_rt=20", {"walltime": 0}), ("sge", "-pe orte 32", {"nodes": 0, "tasks_per_node": 0}),
    ("lsf", "-n 16", {"nodes": 4}), ("lsf", "-n 6", {"tasks_per_node": 0}), ("lsf", "-n 4,8", {"nodes": 0}),
    ("lsf", '-R "span[hosts=1]"', {"nodes": 1, "tasks_per_node": 8}),
    ("lsf", '-R "span[ptile=2]"', {"nodes": 4, "tasks_per_node": 2}), ("lsf", '-R "span[ptile=16]"', {"nodes": 1, "tasks_per_node": 8}),
    ("lsf", '-n 6 -R "span[ptile=3]"', {"tasks_per_node": 3}), ("lsf", "-R \"span[ptile='!']\"", {"nodes": 0, "tasks_per_node": 0}),
    ("lsf", "-n 3", {"nodes": 1, "tasks_per_node": 3}), ("lsf", "-W 90/fast", {"walltime": 0}), ("lsf", "-W 2:30", {"walltime": 9000}),
    ("torque", "-l nodes=4:ppn=2,walltime=0:10:00", {"nodes": 4, "tasks_per_node": 2, "walltime": 600}), ("torque", "-l procs=9", {"nodes": 0}),
    ("torque", "-l walltime=1:0:0:0", {"walltime": 0}),
    ("flux", "-N 4", {"nodes": 4}), ("flux", "-t 30", {"walltime": 1800}), ("flux", "-t 1.5h", {"walltime": 5400}), ("flux", "-t inf", {"walltime": 0}),
    ("flux", "-n 12", {"tasks_per_node": 6}), ("none", "nodes=7", {}),
])
def test_what_directives_say(name, line, expected):
    changes = {"nodes": 1, "queue": "viz"} if name == "none" else {}
    assert granted(name, [line], **changes) == dict({"nodes": 2, "tasks_per_node": 4, "walltime": 5400, "queue": "viz"}, **dict(changes, **expected))


def test_our_other_directives_follow_what_is_said():
    assert "--nslots=16" in bare("flux", ["-N 4"])
    assert "-l pmem=4096mb" in bare("torque", ["-l nodes=2:ppn=2"])


# Heads of job scripts that sites and users have published, with other names.
@pytest.mark.parametrize(("name", "lines", "expected"), [
    ("slurm", ["-p debug", "-t 2-20:00:00", "-n 48", "--mail-type=NONE         # Mail events (NONE, BEGIN, END, FAIL, ALL)"],
     {"walltime": 244800, "queue": "debug", "tasks_per_node": 24}),
    ("lsf", ["-a poe", "-P abc", "-q small", "-W 0:40", "-x", "-J test", "-o test.stdout.%J", "-e test.stderr.%J", "-n 16", '-R "span[ptile=16]"'],
     {"nodes": 1, "tasks_per_node": 16, "walltime": 2400, "queue": "small"}),
    ("lsf", ["-nnodes 2000", "-W 1440  # run for 24 hours.", "-alloc_flags nvme smt2  # one or two hyper-threads per core. default is four."],
     {"nodes": 2000, "tasks_per_node": 0, "walltime": 86400}),
    ("sge", ["-cwd", "-pe PE_Multi_IB 160", "-N run1", "-j y", "-o logH.$JOB_ID.out", "-m e", "-l h_rt=36:00:00", "-S /bin/bash"],
     {"nodes": 0, "tasks_per_node": 0, "walltime": 129600}),
    ("flux", ["-N=3", "--queue=valhalla  --qos=valhalla", "-t=7200"], {"nodes": 3, "queue": "valhalla", "walltime": 432000}),
    ("pbs", ["-N pvserver", "-l mppwidth=32", "-l mppnppn=32", "-l walltime=01:00:00", "-A e277", "-v HOST_IP", "-m a"], {"nodes": 0, "walltime": 3600}),
    ("pbs", ["-l select=2:ncpus=32:mpiprocs=4:system=polaris", "-l place=scatter", "-l walltime=0:30:00", "-q debug", "-l filesystems=home:eagle"],
     {"walltime": 1800, "queue": "debug"}),
])
def test_published_heads(name, lines, expected):
    head = bare(name, lines)
    assert head[-len(lines):] == lines
    syntax = answers.TABLES[name]["directives"]["options"]
    ours, theirs = (option_lines.keys(option for line in part for option in option_lines.parse(line, syntax)) for part in (head[:-len(lines)], lines))
    assert not ours & theirs
    assert granted(name, lines) == dict({"nodes": 2, "tasks_per_node": 4, "walltime": 5400, "queue": "viz"}, **expected)


@pytest.mark.parametrize(("name", "line", "why"), [
    ("pbs", "-S /bin/tcsh", "cannot run it"), ("sge", "-S /usr/bin/python3", "cannot run it"), ("pbs", "-S /bin/bash@c1,/bin/csh", "cannot run it"),
    ("pbs", "-r y", "starts again"), ("slurm", "--requeue", "starts again"), ("sge", "-r yes # job can be rerun", "starts again"), ("lsf", "-r",
                                                                                                                                    "starts again"),
    ("slurm", "-a 1-4", "several"), ("slurm", "--array=1-4", "several"), ("pbs", "-J 1-4", "several"), ("torque", "-t 0-3", "several"), ("sge", "-t 1-4",
                                                                                                                                         "several"),
    ("lsf", '-J "a[1-4]"', "several"), ("slurm", "-W", "only when the job is over"), ("pbs", "-W umask=7,block=true", "only when the job is over"),
    ("pbs", "-l walltime=9 \\", "backslash"), ("pbs", "-I", "terminal"), ("lsf", "-Is", "terminal"), ("lsf", "-K", "only when the job is over"),
])
def test_a_directive_with_which_no_session_works_is_refused(name, line, why):
    with pytest.raises(SessionError) as caught:
        directives.check(answers.TABLES[name], request(name, [line]))
    shown = "#PBS " + line if why == "backslash" else line
    assert caught.value.what == "paraview_directives: {0!r} is not available with {1}".format(shown, answers.TABLES[name]["title"])
    assert why in caught.value.why and "nothing was submitted" in caught.value.way_out


@pytest.mark.parametrize(("name", "line"), [
    ("pbs", "-S /usr/bin/ksh"), ("pbs", "-W block=false"), ("sge", "-S /bin/dash"), ("sge", "-r n"), ("lsf", "-J plain"), ("sge", "-sync n")])
def test_harmless_ones_are_accepted(name, line):
    directives.check(answers.TABLES[name], request(name, [line]))


def test_memory_alone_replaces_the_chunks_of_a_job_of_one_core():
    lines = bare("pbs", ["-l mem=2gb"], nodes=1, tasks_per_node=1, cpus_per_task=0)
    assert not [line for line in lines if "select" in line or "place" in line]


def test_what_a_directive_sets_need_not_be_set():
    options = dict(REQUEST, account="", parallel_environment="", extra=["-pe orte 16"])
    assert "#$ -pe orte 16" in directives.head(answers.TABLES["sge"], options)
    facts = {"schedulers": ["slurm"], "login_node": "login1", "site": {"account_required": True}, "first_node": {}}
    chosen = dict(settings.check(dict(DEFAULTS, directives=["-A p7"])), scheduler="slurm")
    assert batch_system.batch_system(chosen, facts, answers.TABLES) == "slurm"
    with pytest.raises(SessionError, match="paraview_account is missing"):
        batch_system.batch_system(dict(chosen, directives=[]), facts, answers.TABLES)


def test_the_job_follows_its_directives():
    options = settings.check(dict(DEFAULTS, scheduler="pbs", directives=["-l select=2:ncpus=4:mpiprocs=4,walltime=0:20:00"], walltime="2h"))
    table = answers.TABLES["pbs"]
    files = job_scripts.files(table, "/h/s", options, directives.requested(options, {}), [])
    assert "walltime_s=1200 " in files["job.sh"] and "mpiexec -n 8 " in files["pvserver.sh"]
    assert job_flow.submitted("7.srv", directives.granted(table, options)) == "job 7.srv submitted: 2 nodes, 8 tasks, 0:20:00"


@pytest.mark.parametrize(("lines", "line"), [
    (["-N 2-4 -t UNLIMITED"], "job 7 submitted"), (["-N 2-4"], "job 7 submitted: 1:00:00"), (["-N 3 -p gpu -t0"], "job 7 submitted to gpu: 3 nodes, 3 tasks"),
    (["-n 3 -N 2"], "job 7 submitted: 2 nodes, 1:00:00")])
def test_what_is_unknown_is_not_reported(lines, line):
    options = settings.check(dict(DEFAULTS, scheduler="slurm", directives=lines, walltime="1h"))
    assert job_flow.submitted("7", directives.granted(answers.TABLES["slurm"], options)) == line


def test_directives_do_not_change_a_job_that_exists():
    options = settings.check(dict(DEFAULTS, scheduler="slurm", directives=["-N 7"], job_id="12"))
    assert directives.granted(answers.TABLES["slurm"], options) == options


@pytest.mark.parametrize(("line", "missing"), [
    ("-L node=4", "-L node=2"), ("-L node=4,elapse=5", "-L node=2 -L elapse=90"), ('-L "elapse=5"', "-L elapse=90"), ("-L freq=2000", ""), ("-g other",
                                                                                                                                            "-g p1"),
    ("--mpi proc=8", "--mpi proc=8"), ("hosts=3", "hosts=2")])
def test_a_table_that_does_not_describe_its_options(line, missing):
    own = {"pjm": {"based_on": "slurm", "title": "PJM", "directives": {
        "prefix": "#PJM ", "always": None, "options": None, "lines": dict(dict.fromkeys(answers.TABLES["slurm"]["directives"]["lines"]), **{
            "nodes": "-L node={nodes}", "walltime": "-L elapse={walltime_min}", "account": "-g {account}", "tasks": "--mpi proc={tasks}",
            "memory": "hosts={nodes}",
            "queue": "-q {queue}"})}}}
    table = validation.tables(own)["pjm"]
    lines = directives.head(table, {"nodes": 2, "tasks_per_node": 4, "walltime": 5400, "account": "p1", "queue": "viz", "extra": [line]})
    ours = ["-L node=2", "-L elapse=90", "-g p1", "--mpi proc=8", "hosts=2", "-q viz"]
    assert sorted(lines) == sorted("#PJM " + one for one in [*(one for one in ours if one not in missing), line])


def test_part_of_a_line_of_a_table_is_replaced():
    lines = {"select": None, "place": None, "walltime": "-l walltime={walltime_hms},mem={memory_mb}mb"}
    table = validation.tables({"pbs": {"directives": {"lines": lines}}})["pbs"]
    head = directives.head(table, {"memory": "8G", "walltime": 5400, "extra": ["-l mem=9gb"]})
    assert "#PBS -l walltime=1:30:00" in head and "#PBS -l mem=9gb" in head


@pytest.mark.parametrize(("entry", "why"), [
    ({"style": "short"}, "letters"), ({"quantities": {"nodes": {"--nodes": "digits"}}}, "number"), ({"quantities": {"memory": {}}}, "no such entry"),
    ({"refused": {"(": "x"}}, "regular expression"), ({"resources": {"-l": "comma"}}, "list")])
def test_a_wrong_description_is_refused(entry, why):
    with pytest.raises(SessionError) as caught:
        validation.tables({"slurm": {"directives": {"options": entry}}})
    assert "slurm.directives.options" in caught.value.what and why in caught.value.why


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_key_of_a_table_is_one_that_its_lines_can_have(name):
    syntax = answers.TABLES[name]["directives"]
    known = option_lines.keys(option for line in OURS[name].values() for option in option_lines.parse(line, syntax["options"]))
    replaced = {ours for many in syntax["options"].get("instead", {}).values() for ours in many}
    assert replaced - {"--gres"} <= known
    assert {form for forms in syntax["options"]["quantities"].values() for form in forms.values()} <= set(own_directives.FORMS)


_TEXT = st.text(st.sampled_from("-lnNtRWS=,:[]\"'\\ #@1a2selctwaim{}+"), min_size=1, max_size=40)


@given(st.sampled_from(sorted(OURS)), st.lists(_TEXT.filter(str.strip), max_size=3))
def test_any_text_stays_as_it_is(name, lines):
    try:
        head = bare(name, lines)
    except SessionError as error:
        assert error.what.startswith("paraview_directives: ") and error.way_out
        return
    assert head[len(head) - len(lines):] == [line.strip() for line in lines]
    assert all(isinstance(value, (int, str)) for value in granted(name, lines).values())


@given(st.sampled_from(["pbs", "torque", "sge"]), st.dictionaries(st.sampled_from(["walltime", "select", "nodes", "h_rt", "mem_free", "place", "mem"]),
                                                                  st.text(st.sampled_from("ab1:+"), min_size=1), min_size=1))
def test_no_resource_is_requested_twice(name, resources):
    line = "-l " + ",".join("{0}={1}".format(*one) for one in resources.items())
    ours = " ".join(bare(name, [line])[:-1])
    assert not [resource for resource in resources if " {0}=".format(resource) in ours]


def test_the_version_of_this_collection():
    head = directives.head(answers.TABLES["slurm"], REQUEST)
    assert collection.version() and "#SBATCH --comment=sciviz.paraview-" + collection.version() in head


@pytest.fixture(name="session_with")
def _session_with(tmp_path):
    """Begins a session with directives on PBS, for two hours and three nodes."""
    def begin(lines):
        session = Session(str(tmp_path / "state"), "lab")
        session.begin(state="pending", job_id="7.srv", scheduler="pbs", lifeline=False, route="reverse_tunnel", modules=[], prelude="",
                      facts={"home": "/home/alice", "site": {}, "first_node": {}},
                      settings=settings.check(dict(DEFAULTS, scheduler="pbs", directives=lines, walltime="2h", nodes=3)))
        return session

    return begin


@pytest.mark.parametrize(("lines", "seconds"), [([], 7200), (["-l walltime=0:10:00"], 600), (["-l walltime=$TIME"], None)])
def test_the_end_of_a_job(session_with, lines, seconds, monkeypatch):
    session = session_with(lines)
    monkeypatch.setattr(pvserver_start.routing, "load", lambda *_: SimpleNamespace(reverse=True))
    flow = SimpleNamespace(nodes=["c1"], progress=SimpleNamespace(addresses=[]))
    pvserver_start.PvserverStart(session, SimpleNamespace(), print).job_runs(flow)
    ends_at = session.read().ends_at
    assert ends_at is None if seconds is None else abs(ends_at - time.time() - seconds) < 30


def test_check_mode_shows_the_result(session_with):
    diff = Submission(session_with(["-l select=2:ncpus=4:mpiprocs=4", "-l walltime=0:10:00"]), SimpleNamespace(), print).diff()["after"]
    assert [line for line in diff.splitlines() if line.startswith("#PBS -l")] == [
        "#PBS -l place=scatter", "#PBS -l select=2:ncpus=4:mpiprocs=4", "#PBS -l walltime=0:10:00"]
    assert "mpiexec -n 8 " in diff


def test_the_launcher_reports_no_time_that_it_does_not_know():
    assert LauncherSession._end_note(SimpleNamespace(ends_at=0.0)) == ". Ends with the job, or when you end ssh"
    assert LauncherSession._end_note(SimpleNamespace(ends_at=86400.0)).startswith(". Ends with the job at ")


def test_the_launcher_knows_its_version(tmp_path):
    path = tmp_path / "paraview-launch"
    path.write_bytes(launcher_archive.build(sys.executable))
    code = f"import sys; sys.path.insert(0, {os.fspath(path)!r}); from sciviz_paraview.common import collection; print(collection.version())"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == collection.version()


@pytest.mark.parametrize(("line", "cpus", "ranks"), [("-pe smp 4", 4, 1), ("-pe smp 8", 4, 2), ("-pe smp 8", 0, 8), ("-pe smp 2", 4, 1)])
def test_a_process_has_as_many_slots_as_cores(line, cpus, ranks):
    """Grid Engine counts slots: a parallel environment of four of them is one process of four cores."""
    options = dict(REQUEST, nodes=1, tasks_per_node=1, cpus_per_task=cpus, extra=[line])
    assert directives.sized(answers.TABLES["sge"], options)["tasks"] == ranks
