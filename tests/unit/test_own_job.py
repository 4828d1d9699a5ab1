# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvserver in a job that the user has already: whose job it is, its nodes, its environment, and its end."""

import collections
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import own_job
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.status_file import Progress
from ansible_collections.sciviz.paraview.plugins.module_utils.common import programs
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, jobs
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.tables.registry import TABLES
from hypothesis import given, settings
from hypothesis import strategies as st
from test_job_scripts import SHELLS

# Tests that run at the same time must not find each other's processes.
ID = str(os.getpid() + 10 ** 8)
OPTIONS = {"job_id": ID, "nodes": 1, "tasks_per_node": 1, "cpus_per_task": 0, "mpi_launcher": None, "client_timeout": 60, "walltime": 3600,
           "pvserver": ["pvserver"], "setup": "", "rendering": "auto"}
# Prints its environment, and accepts connections until the file `leave` exists.
PVSERVER = """#!/bin/sh
[ "$1" != --help ] || exit 0
env -0 > "$HOME/environment.new"
mv "$HOME/environment.new" "$HOME/environment"
printf '%s\\n' "$@" > "$HOME/arguments"
echo 'Accepting connection(s): c101:40123'
while [ ! -e "$HOME/leave" ]; do sleep 0.02; done
"""


def running(nodes=("c1",), left=None, owner=""):
    return answers.unknown("")._replace(state="running", native="R", nodes=list(nodes), root_node=nodes[0], time_left_s=left, owner=owner)


# --- whose job it is ---


class Site:
    """A batch system that prints recorded answers: by the program and its first option."""

    def __init__(self, table, *recorded, user="pbsuser"):
        self.left, self.user, self.asked = collections.deque(recorded), user, []
        self.queue = jobs.Jobs(self.run, table)

    def run(self, argv):
        self.asked.append(argv)
        return self.left.popleft()

    def script(self, text, _seconds):
        assert "id -un" in text
        return 0, self.user + "\n7101\n", ""

    def find(self, job_id):
        return own_job.find(self.queue, self.script, job_id)


def out(text):
    return 0, text, ""


def recording(recorded, case, scheduler):
    answer = recorded(case, scheduler)
    return answer.code, answer.out, answer.err


# An interactive job of Slurm without a limit, and one of 18 nodes: from public reports.
UNLIMITED = ("JobId=119 JobName=sh UserId=mol(7261) GroupId=mol(7261) Priority=4294901736 Nice=0 Account=(null) QOS=(null) JobState=RUNNING Reason=None "
             "Dependency=(null) Requeue=1 Restarts=0 BatchFlag=0 Reboot=0 ExitCode=0:0 RunTime=00:00:07 TimeLimit=UNLIMITED TimeMin=N/A "
             "StartTime=2016-03-04T12:05:52 EndTime=Unknown Partition=cpu AllocNode:Sid=head:7040 ReqNodeList=(null) ExcNodeList=(null) NodeList=tcpu[01-02] "
             "BatchHost=tcpu01 NumNodes=2 NumCPUs=2 CPUs/Task=1 Command=(null) WorkDir=/home/mol Power= SICP=0\n")
MANY = ("JobId=120 JobName=a UserId=user(123) GroupId=g(10067) JobState=RUNNING Reason=None Dependency=(null) RunTime=03:51:56 TimeLimit=06:00:00 "
        "NodeList=r2i2n[4-17],r5i2n[0-3] BatchHost=r2i2n4 NumNodes=18\n")


@pytest.mark.parametrize(("scheduler", "case", "job_id", "nodes", "left"), [
    ("pbs", "running_qstat_f_json", "0", ["node01"], 300), ("pbs", "running_qstat_f_json", "0.login1", ["node01"], 300),
    ("pbs", "running_multichunk_f_json", "11", ["node01", "node02"], None), ("slurm", "running_scontrol_o", "11", ["node01", "node02"], 174)])
def test_a_job_of_ones_own(recorded, scheduler, case, job_id, nodes, left):
    more = [recording(recorded, "unknown_squeue", "slurm")]
    job = Site(TABLES[scheduler], recording(recorded, case, scheduler), *more).find(job_id)
    assert (job.nodes, job.root_node, job.time_left_s) == (nodes, nodes[0], left)


def test_a_job_without_a_limit():
    site = Site(TABLES["slurm"], out(UNLIMITED), out("119|RUNNING|mol|UNLIMITED|0:07\n"), user="mol")
    job = site.find("119")
    assert (job.nodes, job.time_left_s) == (["tcpu01", "tcpu02"], None)


def test_a_job_of_many_nodes():
    job = Site(TABLES["slurm"], out(MANY), user="user").find("120")
    assert (len(job.nodes), job.root_node, job.time_left_s) == (18, "r2i2n4", 2 * 3600 + 8 * 60 + 4)


@pytest.mark.parametrize(("scheduler", "case", "job_id"), [
    ("pbs", "running_qstat_f_json", "0"), ("slurm", "running_scontrol_o", "11")])
@pytest.mark.parametrize("user", ["bob", "pbsuse", "login1", ""])
def test_a_job_of_somebody_else_is_refused(recorded, scheduler, case, job_id, user):
    site = Site(TABLES[scheduler], recording(recorded, case, scheduler), user=user)
    with pytest.raises(SessionError, match="pvserver cannot be started in job " + job_id) as caught:
        site.find(job_id)
    assert re.match("it belongs to pbsuser(@login1)?, and you are {0} there$".format(user or "an account without a name"), caught.value.why)
    assert "name a running job of yours" in caught.value.way_out


def test_an_answer_without_an_owner_is_no_proof():
    with pytest.raises(SessionError, match="pvserver cannot be started in job 5") as caught:
        Site(TABLES["slurm"], out("JobId=5 JobState=RUNNING NodeList=n1 BatchHost=n1\n"), (1, "", "squeue: error: down")).find("5")
    assert caught.value.why == "Slurm does not name its owner"


@pytest.mark.parametrize(("fields", "why"), [
    ((), "it runs, but the table of Slurm reads no nodes"), (("nodes", "root_node"), "it runs, but the answer of Slurm has no nodes")])
def test_a_job_whose_nodes_are_not_known(fields, why):
    question = dict(TABLES["slurm"]["ask"]["scontrol"])
    question["fields"] = {name: query for name, query in question["fields"].items() if name not in {"nodes", "root_node"} - set(fields)}
    site = Site(dict(TABLES["slurm"], ask={"scontrol": question}), out("JobId=5 UserId=mol(7) JobState=RUNNING Reason=None RunTime=0 TimeLimit=60\n"))
    with pytest.raises(SessionError, match="pvserver cannot be started in job 5") as caught:
        site.find("5")
    assert caught.value.why == why and "leave paraview_job_id out" in caught.value.way_out


def test_parts_of_jobs_and_other_clusters():
    """Each further question is about the same part on the same cluster."""
    part = ("JobId=4713 ArrayJobId=4711 ArrayTaskId=2 JobName=a UserId=(null) JobState=RUNNING Reason=None Dependency=(null) NodeList=n1 BatchHost=n1\n")
    site = Site(TABLES["slurm"], out(part), out("CLUSTER: inter\n4711_1|RUNNING|bob|2:00|1:00\n4711_2|RUNNING|mol|3:00:00|1:00:00\n"), user="mol")
    site.queue.table = dict(TABLES["slurm"], ask=dict(TABLES["slurm"]["ask"], scontrol=dict(
        TABLES["slurm"]["ask"]["scontrol"], fields={name: query for name, query in TABLES["slurm"]["ask"]["scontrol"]["fields"].items() if name != "owner"})))
    job = site.find("4711_2;inter")
    assert (job.owner, job.time_left_s) == ("mol", 7200)
    assert [argv[:3] for argv in site.asked] == [["scontrol", "-M", "inter"], ["squeue", "-M", "inter"]]
    assert site.queue.attach("4711_2;inter", "n1", "/a b/attach.sh")[2:6] == ["srun", "-M", "inter", "--jobid=4711_2"]


def test_an_element_of_an_array_of_lsf():
    listing = '{"RECORDS":[{"JOBID":"91","JOBINDEX":"7","STAT":"RUN","EXEC_HOST":"h1:h2"}]}'
    job = Site(TABLES["lsf"], out(listing), out("91[6]|RUN|bob|0:01 L\n91[7]|RUN|carol|0:10 L\n"), user="carol").find("91[7]")
    assert (job.root_node, job.time_left_s) == ("h1", 600)


@pytest.mark.parametrize("case", ["run_json", "run"])
def test_a_job_of_oar(recorded, case, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1751979909 + 60)
    answer = recorded(case, "oar")
    site = Site(dict(TABLES["oar"], ask=dict(list(TABLES["oar"]["ask"].items())[case == "run":][:1])), (0, answer.out, ""), user="alice")
    assert site.find(answer.command.split()[-1]).owner == "alice"


@pytest.mark.parametrize(("scheduler", "case", "job_id", "why"), [
    ("pbs", "exiting_f_json", None, "it is ending"), ("pbs", "queued_f_json", None, "it is pending: "),
    ("slurm", "completing_scontrol_o", None, "it is ending"), ("slurm", "unknown_scontrol_o", "99999", "it is not known")])
def test_a_job_that_does_not_run_is_refused(recorded, scheduler, case, job_id, why):
    answer = recorded(case, scheduler)
    more = [(1, "", "slurm_load_jobs error: Invalid job id specified")] * 2
    with pytest.raises(SessionError) as caught:
        Site(TABLES[scheduler], (answer.code, answer.out, answer.err), *more).find(job_id or answer.command.split()[-1])
    assert caught.value.why.startswith(why)


def test_grid_engine_names_owner_and_limit(monkeypatch):
    listing = ("<?xml version='1.0'?>\n<job_info  xmlns:xsd='x'><queue_info><job_list state='running'><JB_job_number>21</JB_job_number>"
               "<JB_name>QRLOGIN</JB_name><JB_owner>carol</JB_owner><state>r</state><queue_name>all.q@n02</queue_name>\n"
               "<master>MASTER</master></job_list></queue_info></job_info>\n")
    details = ("<detailed_job_info><djob_info><element><JB_job_number>21</JB_job_number><JB_owner>carol</JB_owner><JB_hard_resource_list>"
               "<qstat_l_requests><CE_name>mem_free</CE_name><CE_stringval>1G</CE_stringval></qstat_l_requests>"
               "<qstat_l_requests><CE_name>h_rt</CE_name><CE_valtype>3</CE_valtype>"
               "<CE_stringval>3600</CE_stringval></qstat_l_requests></JB_hard_resource_list><JAT_status>128</JAT_status>"
               "<JAT_start_time>1795369308</JAT_start_time></element></djob_info></detailed_job_info>")
    monkeypatch.setattr(time, "time", lambda: 1795369308 + 600.5)
    job = Site(TABLES["sge"], out(listing), out(details), user="carol").find("21")
    assert (job.root_node, job.time_left_s) == ("n02", 3000)


@pytest.mark.parametrize(("left", "seconds"), [("1:05 L", 3900), ("0:00 L", 0), ("2:10 E", None), ("-", None)])
def test_lsf_names_owner_and_time_left(recorded, left, seconds):
    job = Site(TABLES["lsf"], recording(recorded, "run_json", "lsf"), out("12345|RUN|carol|{0}\n".format(left)), user="carol").find("12345")
    assert (job.nodes, job.time_left_s) == (["hostA", "hostB"], seconds)


def test_flux_names_owner_and_end(recorded, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 4841438671 - 90)
    assert Site(TABLES["flux"], recording(recorded, "run", "flux"), user="flux").find("15032385536").time_left_s == 90


# --- in the job ---


class Attached:
    """pvserver in a job of a batch system: a process of this host is the job's own."""

    def __init__(self, directory, shell, program):
        self.directory, self.shell, self.program = directory, shell, program
        self.home = directory.parents[1]
        self.processes = []
        self.home.mkdir()
        self.bin = os.path.dirname(program("pvserver", PVSERVER))
        program("sync", "#!/bin/sh\n")
        self.environment = {"HOME": str(self.home), "PATH": self.bin + ":/usr/local/bin:/usr/bin:/bin"}

    def own_process(self, **environment):
        """Starts a process of the job."""
        process = subprocess.Popen(["sleep", "1000"], env=dict(self.environment, **environment))
        self.processes.append(process)
        # Its environment can be read once it runs the program.
        while b"sleep" not in Path("/proc/{0}/cmdline".format(process.pid)).read_bytes():
            time.sleep(0.01)
        return process

    def files(self, table, job=None, **options):
        return own_job.files(table, str(self.directory), dict(OPTIONS, **options), job or running(), [])

    def start(self, table, job=None, **options):
        self.directory.mkdir(parents=True)
        for name, text in self.files(table, job, **options).items():
            (self.directory / name).write_text(text)
        self.go()
        process = subprocess.Popen([self.shell, str(self.directory / own_job.SCRIPT)], env=self.environment, stdin=subprocess.DEVNULL, start_new_session=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def go(self):
        (self.directory / "go").write_text("--server-port=0\n")

    def progress(self):
        path = self.directory / "status"
        return Progress(path.read_text() if path.exists() else "")

    def seen(self):
        """The environment that pvserver has."""
        path = self.home / "environment"
        text = path.read_text() if path.exists() else ""
        return dict(one.split("=", 1) for one in text.split("\0") if one)

    def leave(self, process=None):
        (self.home / "leave").touch()
        return (process or self.processes[-1]).wait(20)

    def clean(self):
        self.home.joinpath("leave").touch()
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        if (self.directory / "pid").exists():
            try:
                os.killpg(int((self.directory / "pid").read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture(name="attached", params=SHELLS)
def _attached(request, session_directory, program):
    attached = Attached(session_directory, request.param, program)
    yield attached
    attached.clean()


# What real jobs have in their environments, from public reports (Torque, PBS Pro): names and shapes.
REAL = {
    "PBS_ENVIRONMENT": "PBS_INTERACTIVE", "PBS_JOBID": ID + ".manage.cluster", "PBS_JOBCOOKIE": "D2C01A2A13513BE20A1EC27B2B67FF5F", "PBS_MOMPORT": "15003",
    "PBS_TASKNUM": "1", "PBS_NODENUM": "0", "_LMFILES__modshare": "/apps/modules/tools/python/3.6:1:/opt/modules/pbspro/default:2:/a",
    "LESS_TERMCAP_se": "\033[0m", "LESS_TERMCAP_mb": "\033[01;31m", "BASH_FUNC_module()": "() {  eval `/usr/bin/modulecmd bash $*`\n}",
    "LS_COLORS": "rs=0:di=01;34:*.tar=01;31:", "CVS_RSH": "ssh -oConnectTimeout=10 -oForwardX11=no", "EMPTY": "", "F90": "it's",
    "LINES_OF": "one\n\ntwo 'three'\n", "BACK": "a\\b\\\\c $HOME `id` \"q\"", "_": "/usr/bin/printenv", "SHLVL": "3", "UID_OF": "1", "BASHOPTS": "checkwinsize",
    "SHELLOPTS": "braceexpand:hashall", "IFS": "x", "PPID": "1", "UID": "5", "job_id": "mine", "use": "9", "slots": "s", "PWD": "/nowhere"}
NOT_TAKEN = {"BASH_FUNC_module()", "_", "SHLVL", "BASHOPTS", "SHELLOPTS", "IFS", "PPID", "UID", "PWD", "job_id", "use", "slots"}


def test_the_environment_is_that_of_the_jobs_own_process(attached, until, tmp_path):
    nodes = tmp_path / "8120.manage.cluster"
    nodes.write_text("n1.cluster\nn1.cluster\nn2.cluster\nn2.cluster\n")
    attached.own_process(**dict(REAL, PBS_JOBID=ID + "0.manage.cluster", BACK="another job"))
    attached.own_process(**dict(REAL, PBS_NODEFILE=str(nodes)))
    attached.own_process(**dict(REAL, PBS_NODEFILE=str(nodes), BACK="a later process of the job"))
    attached.program("mpiexec", '#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/launched"\nshift 2\nexec "$@"\n')
    attached.start(TABLES["pbs"], running(["n1", "n2"]), tasks_per_node=2)
    until(lambda: attached.progress().output)
    seen = attached.seen()
    assert {name: seen.get(name) for name in set(REAL) - NOT_TAKEN} == {name: value for name, value in REAL.items() if name not in NOT_TAKEN}
    assert seen["PBS_NODEFILE"] == str(nodes)
    # An MPI that does not know PBS gets all nodes, by the names that the job itself uses, and a line for each rank.
    assert Path(seen["OMPI_MCA_orte_default_hostfile"]).read_text().split() == ["n1.cluster"] * 2 + ["n2.cluster"] * 2
    assert (attached.home / "launched").read_text().split()[:2] == ["-n", "4"]
    assert attached.progress().nodes == ["n1.cluster", "n2.cluster"] and not attached.progress().unwatched
    attached.leave()
    assert attached.progress().ended == (0, "pvserver")


@pytest.mark.parametrize(("asked", "theirs", "found"), [
    ("7", "7", True), ("7", "7.login.site.edu", True), ("7.login", "7.login.site.edu", True), ("7.login", "7", True), ("7", "77.login", False),
    ("7", "7x", False), ("7", "17.login", False), ("7[3].login", "7[3].login", True), ("7[3]", "73.login", False), ("7[]", "7[].login", True)])
def test_which_process_is_the_jobs(attached, until, asked, theirs, found):
    attached.own_process(PBS_JOBID=theirs.replace("7", ID, 1), GREETING="hello")
    attached.start(TABLES["pbs"], job_id=asked.replace("7", ID, 1))
    until(attached.seen)
    assert (attached.seen().get("GREETING") == "hello") is found
    until(lambda: attached.progress().unwatched is not found)


def test_what_an_earlier_session_has_left_is_not_the_job(attached, until):
    """It was started in the job, and has the job's environment."""
    attached.start(TABLES["pbs"])
    until(attached.seen)
    attached.own_process(**attached.seen())
    attached.leave(attached.processes[0])
    shutil.rmtree(str(attached.directory))
    (attached.home / "leave").unlink()
    attached.start(TABLES["pbs"])
    until(lambda: attached.progress().unwatched)


def test_pvserver_ends_with_the_job(attached, until):
    """No batch system ends what a login on a node has started."""
    own = attached.own_process(PBS_JOBID=ID + ".login")
    attached.start(TABLES["pbs"], running(left=600))
    until(lambda: attached.progress().output)
    pvserver = int((attached.directory / "pid").read_text())
    own.kill()
    own.wait()
    attached.processes[-1].wait(20)
    assert attached.progress().ended == (143, "job")
    with pytest.raises(ProcessLookupError):
        os.killpg(pvserver, 0)


def test_a_job_whose_processes_are_not_readable(attached, until):
    attached.start(TABLES["pbs"], running(["n1", "n2"], left=5), mpi_launcher=["env"])
    until(lambda: attached.progress().output)
    seen = attached.seen()
    assert Path(seen["PBS_NODEFILE"]).read_text() == "n1\nn2\n" and seen["PBS_JOBID"] == ID
    assert "PBS_ENVIRONMENT" not in seen, "no MPI launcher may take this for a process of the batch system"
    until(lambda: attached.progress().unwatched, 60)
    attached.processes[-1].wait(20)
    assert attached.progress().ended[1] == "walltime", "nothing shows the end of the job, but its time is over"


def test_a_file_that_the_nodes_do_not_have(attached, until):
    attached.own_process(PBS_JOBID=ID, PBS_NODEFILE="/var/spool/torque/aux//7.gone")
    attached.start(TABLES["torque"], running(["n1", "n2"]), mpi_launcher=["env"], tasks_per_node=2)
    until(lambda: attached.progress().output)
    assert Path(attached.seen()["PBS_NODEFILE"]).read_text().split() == ["n1", "n1", "n2", "n2"]


def test_an_element_of_an_array_is_found_by_its_index(attached, until):
    common = {"LSB_JOBID": ID, "LSB_HOSTS": "n1"}
    attached.own_process(**dict(common, LSB_JOBINDEX="1", LSB_BATCH_JID=ID + "[1]", GREETING="another"))
    attached.own_process(**dict(common, LSB_JOBINDEX="2", LSB_BATCH_JID=ID + "[2]", GREETING="hello"))
    attached.start(TABLES["lsf"], job_id=ID + "[2]")
    until(attached.seen)
    assert attached.seen()["GREETING"] == "hello"


def test_files_that_the_user_saves_have_the_users_own_mode(attached, until):
    attached.own_process(PBS_JOBID=ID, mask="0777")
    attached.program("pvserver", PVSERVER.replace("env -0", 'umask > "$HOME/umask"\nenv -0'))
    before = os.umask(0o027)
    try:
        attached.start(TABLES["pbs"])
    finally:
        os.umask(before)
    until(attached.seen)
    assert (attached.home / "umask").read_text() == "0027\n"
    assert (attached.directory / "log").stat().st_mode & 0o777 == 0o600


def test_grid_engines_own_environment(attached, until, tmp_path):
    hosts = tmp_path / "pe_hostfile"
    hosts.write_text("n2.site 2 all.q@n2.site UNDEFINED\nn1.site 2 all.q@n1.site UNDEFINED\n")
    attached.own_process(JOB_ID=ID, PE_HOSTFILE=str(hosts), NSLOTS="4")
    attached.start(TABLES["sge"], running(["n2", "n1"]), mpi_launcher=["env"])
    until(lambda: attached.progress().output)
    assert attached.progress().nodes == ["n2.site", "n1.site"]
    # Grid Engine's MPI launchers read PE_HOSTFILE.
    assert "OMPI_MCA_orte_default_hostfile" not in attached.seen()


def test_a_step_of_slurm_sees_the_whole_job(attached, until):
    attached.program("scontrol", "#!/bin/sh\nprintf 'n1\\nn2\\n'\n")
    attached.environment.update(SLURM_JOB_NODELIST="n[1-2]", SLURM_NODELIST="n1", SLURM_NNODES="1", SLURM_NTASKS="1", SLURM_TASKS_PER_NODE="1")
    attached.program("srun", '#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/launched"\nfor last; do :; done\nexec pvserver\n')
    attached.start(TABLES["slurm"], running(["n1", "n2"], left=600), tasks_per_node=2)
    until(lambda: attached.progress().output)
    seen = attached.seen()
    assert (seen["SLURM_NNODES"], seen["SLURM_NTASKS"], seen["SLURM_TASKS_PER_NODE"], seen["SLURM_NODELIST"]) == ("2", "4", "2(x2)", "n[1-2]")
    assert {"--nodes=2", "--ntasks=4"} <= set((attached.home / "launched").read_text().split())
    assert not attached.progress().unwatched, "Slurm ends its step"


@settings(max_examples=25)
@given(st.dictionaries(st.from_regex(r"[A-Z]{1,3}_[a-z0-9_]{0,5}", fullmatch=True), st.text(st.characters(
    blacklist_characters="\0\1", blacklist_categories=("Cs",)), max_size=40), max_size=4))
@pytest.mark.parametrize("shell", SHELLS)
def test_any_value_is_taken_as_it_is(shell, values):
    text = programs.filled("connect", own_job.SCRIPT, {"variable": True, "login": False}, collections.defaultdict(str, MARK="x", DIR="/"))
    functions = text[text.index("environment_of()"):text.index("\nfind_process\n")]
    process = subprocess.Popen(["sleep", "100"], env=dict(values, PATH=os.environ["PATH"]))
    try:
        while b"sleep" not in Path("/proc/{0}/cmdline".format(process.pid)).read_bytes():
            time.sleep(0.002)
        done = subprocess.run([shutil.which(shell), "-c", functions + '\neval "$(environment_of "$1")"; env -0', "sh", str(process.pid)],
                              env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, check=True)
    finally:
        process.kill()
        process.wait()
    seen = dict(one.split("=", 1) for one in done.stdout.decode("utf-8").split("\0") if one)
    assert {name: seen[name] for name in values} == values


def test_how_much_of_the_job_is_used(attached):
    two = running(["n1", "n2", "n3"])
    assert '-n 3' in attached.files(TABLES["pbs"], two)["pvserver.sh"], "all of its nodes"
    assert '-n 4' in attached.files(TABLES["pbs"], two, nodes=2, tasks_per_node=2)["pvserver.sh"]
    assert 'mpiexec' not in attached.files(TABLES["pbs"], two, mpi_launcher=[])["pvserver.sh"]
    with pytest.raises(SessionError, match="pvserver cannot be started in job " + ID) as caught:
        attached.files(TABLES["pbs"], two, nodes=4)
    assert caught.value.why == "it has 3 nodes, and paraview_nodes is 4"


def test_the_scripts_request_nothing_and_have_the_jobs_own_time(attached):
    files = attached.files(TABLES["pbs"], running(left=754))
    assert "#PBS" not in files["job.sh"] and "walltime_s=754 " in files["job.sh"]
    assert "walltime_s=0 " in attached.files(TABLES["pbs"])["job.sh"], "a job without a limit, whatever paraview_walltime is"


SSH = """#!/bin/sh
# The login shell of the node reads the words after the node's name once more.
while [ "$1" = -o ]; do shift 2; done
[ "$1" = c1 ] || exit 255
shift
exec env -i HOME="$HOME" PATH="$PATH" sh -c "$*"
"""


def test_it_is_started_by_ssh(attached, until, script, monkeypatch):
    attached.program("ssh", SSH)
    for name, value in attached.environment.items():
        monkeypatch.setenv(name, value)
    attached.own_process(PBS_JOBID=ID + ".login", GREETING="hello")
    flow = JobFlow(script, TABLES["pbs"], "", str(attached.directory))
    flow.attach(ID, "c1", attached.files(TABLES["pbs"]), lambda text, _seconds: (subprocess.run(
        ["/bin/sh", "-c", text], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode, "", ""))
    attached.go()
    until(lambda: attached.progress().output)
    assert attached.seen()["GREETING"] == "hello"
    assert flow.end(attached=True) == ""
    assert attached.progress().ended == (143, "cancelled")
