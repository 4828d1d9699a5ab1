"""What everyone may rely on in the lab."""

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest
from names import NAME

HERE = Path(__file__).parent
WORKSTATION, LOGIN, COMPUTE1, COMPUTE2 = "198.18.1.10", "198.18.2.1", "198.18.2.11", "198.18.2.12"
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3")


@pytest.fixture
def network(lab):
    yield lab
    lab.path("reset")


@pytest.fixture
def policy(lab):
    yield lab
    lab.sshd_policy("login", None)


@pytest.fixture
def job(lab):
    """A running job of bob's on compute1."""
    number = lab.on("login", "sbatch", "--parsable", "-w", "compute1", "--wrap", "sleep 300", user="bob").stdout.strip()
    lab.wait(lambda: state(lab, number) == "RUNNING", 30, f"job {number} running")
    yield number
    lab.on("login", "scancel", number)
    lab.wait(lambda: state(lab, number) not in ("RUNNING", "COMPLETING"), 30, f"job {number} gone")


def state(lab, number):
    return lab.on("login", "squeue", "-h", "-j", number, "-o", "%T", check=False).stdout.strip()


def dial(lab, host, address, port=22):
    """Whether a connection comes about, and the last words of nc."""
    done = lab.on(host, "nc", "-nzvw1", address, str(port), check=False)
    return done.returncode == 0, done.stderr


def processes(lab, host, args):
    return lab.on(host, "pgrep", "-fx", args, check=False).stdout.split()


# --- on ---


def test_on_passes_input_and_exit_status(lab):
    assert lab.on("login", "cat", user="alice", input="a\nb").stdout == "a\nb"
    assert lab.on("compute1", "sh", "-c", "exit 7", check=False).returncode == 7
    assert lab.on("compute1", "sh", "-c", "kill -KILL $$", check=False).returncode == 137
    assert lab.on("compute1", "no-such-command", check=False).returncode == 127
    assert lab.on("nowhere", "true", check=False).returncode == 125


def test_on_starts_in_the_home_without_a_login_shell(lab):
    words = lab.on("login", "sh", "-c", "echo $PWD $HOME $USER $LOGNAME $PATH", user="alice").stdout.split()
    assert words == ["/home/alice", "/home/alice", "alice", "alice", "/usr/local/bin:/usr/bin:/bin"]
    assert lab.on("login", "sh", "-c", "pwd; id -un").stdout.split() == ["/root", "root"]


def test_on_is_in_every_namespace_of_the_host(lab):
    for kind in ("pid", "mnt", "net", "uts", "ipc", "cgroup"):
        inside, first = lab.on("compute2", "readlink", f"/proc/self/ns/{kind}", f"/proc/1/ns/{kind}").stdout.split()
        assert inside == first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_on_passes_signals(lab, number):
    with lab.start("login", "sleep", "7001", user="alice") as on:
        lab.wait(lambda: processes(lab, "login", "sleep 7001"))
        on.send_signal(number)
        assert on.wait(5) == 128 + number
    assert not processes(lab, "login", "sleep 7001")


def test_on_leaves_nothing_when_killed(lab):
    with lab.start("login", "sh", "-c", "setsid sleep 7002 & sleep 7002", user="alice", stdout=None) as on:
        lab.wait(lambda: len(processes(lab, "login", "sleep 7002")) == 2)
        on.kill()
    lab.wait(lambda: not processes(lab, "login", "sleep 7002"))


def test_on_leaves_what_the_command_left(lab):
    lab.on("login", "sh", "-c", "setsid sleep 7003 >/dev/null 2>&1 &", user="alice")
    (left,) = processes(lab, "login", "sleep 7003")
    lab.on("login", "kill", left)


def test_on_passes_the_terminal(lab):
    pid, terminal = pty.fork()
    if not pid:
        os.execv(HERE / "on", ["on", "-u", "alice", "login", "sh", "-c", "test -t 0 && echo terminal; exec sleep 7004"])
    assert b"terminal" in os.read(terminal, 100)
    lab.wait(lambda: processes(lab, "login", "sleep 7004"))
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)
    assert not processes(lab, "login", "sleep 7004")


# --- network ---


def test_fresh_network(lab):
    lab.path("reset")
    for host in ("login", "compute1", "compute2", "firewall"):
        assert not dial(lab, host, WORKSTATION)[0], host
    for node in (COMPUTE1, COMPUTE2):
        reached, words = dial(lab, "workstation", node)
        assert not reached
        assert "unreachable" in words
    assert dial(lab, "workstation", "198.18.3.10")[0]
    assert not dial(lab, "workstation", "198.18.3.10", 6817)[0]  # slurmctld listens there
    assert dial(lab, "login", COMPUTE1)[0]
    assert dial(lab, "compute1", LOGIN)[0]
    assert dial(lab, "compute2", COMPUTE1)[0]


@pytest.mark.parametrize(
    ("source", "target", "address", "other"),
    [
        ("workstation", "compute1", COMPUTE1, COMPUTE2),
        ("compute1", "workstation", WORKSTATION, None),
        ("login", "workstation", WORKSTATION, None),
    ],
)
def test_path_opens(network, source, target, address, other):
    for _dummy in range(2):
        network.path("open", source, target)
        assert dial(network, source, address)[0]
    assert not other or not dial(network, source, other)[0]
    assert not dial(network, "compute2", WORKSTATION)[0]
    network.path("reset", source, target)
    assert not dial(network, source, address)[0]


def test_path_opens_every_port_of_the_login_node(network):
    network.path("open", "workstation", "login")
    assert dial(network, "workstation", "198.18.3.10", 6817)[0]


def test_path_closes_without_an_answer(network):
    for _dummy in range(2):
        network.path("close", "login", "compute1")
        reached, words = dial(network, "login", COMPUTE1)
        assert not reached
        assert "timed out" in words
    assert dial(network, "login", COMPUTE2)[0]
    network.path("open", "login", "compute1")
    assert dial(network, "login", COMPUTE1)[0]


def test_path_cuts_a_live_connection(network):
    with network.start("workstation", *SSH, "login", "cat", user="alice") as ssh:
        os.set_blocking(ssh.stdout.fileno(), False)

        def echoed(word):
            ssh.stdin.write(word + "\n")
            ssh.stdin.flush()
            return network.wait(ssh.stdout.readline, 5, "an echo")

        assert echoed("one") == "one\n"
        network.path("close", "workstation", "login")
        with pytest.raises(AssertionError, match="an echo did not"):
            echoed("two")
        network.path("reset", "workstation", "login")
        assert network.wait(ssh.stdout.readline, 30, "what was under way") == "two\n"
        ssh.stdin.close()
        assert ssh.wait(5) == 0


# --- sshd ---


def test_sshd_policy(policy):
    forward = (*SSH, "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", "login", "true")
    drop_ins = ("sh", "-c", "cd /etc/ssh/sshd_config.d && head -v *")
    assert policy.on("workstation", *forward, user="alice", check=False).returncode == 0
    fresh = policy.on("login", *drop_ins).stdout
    assert fresh.split() == ["==>", "50-lab.conf", "<==", "GatewayPorts", "clientspecified"]

    policy.sshd_policy("login", "AllowTcpForwarding no\n")
    assert policy.on("workstation", *forward, user="alice", check=False).returncode == 255
    refused = policy.sshd_policy("login", "AllowTcpForwarding perhaps\n", check=False)
    assert refused.returncode
    assert "perhaps" in refused.stderr
    assert "AllowTcpForwarding no" in policy.on("login", *drop_ins).stdout

    policy.sshd_policy("login", None)
    assert policy.on("login", *drop_ins).stdout == fresh
    assert policy.on("workstation", *forward, user="alice", check=False).returncode == 0


def test_sshd_policy_keeps_sessions(policy):
    with policy.start("workstation", *SSH, "login", "cat", user="alice") as ssh:
        ssh.stdin.write("one\n")
        ssh.stdin.flush()
        assert ssh.stdout.readline() == "one\n"
        policy.sshd_policy("login", "GatewayPorts no\n")
        assert ssh.communicate("two\n", timeout=5)[0] == "two\n"


def test_login_has_a_user_manager(lab):
    words = 'test -d "$XDG_RUNTIME_DIR" && systemctl --user is-system-running'
    assert lab.on("workstation", *SSH, "login.lab.example", words, user="alice").stdout.strip() == "running"


def test_a_node_admits_users_with_a_job_there(lab, job):
    assert lab.on("login", *SSH, "compute1", "hostname", user="bob").stdout.strip() == "compute1"
    refused = lab.on("login", *SSH, "compute2", "true", user="bob", check=False)
    assert refused.returncode == 255
    assert "pam_slurm_adopt" in refused.stderr
    with lab.start("login", *SSH, "compute1", "sleep 7005", user="bob") as ssh:
        lab.wait(lambda: processes(lab, "compute1", "sleep 7005"))
        lab.on("login", "scancel", job)
        assert ssh.wait(20) == 255
    assert not processes(lab, "compute1", "sleep 7005")


# --- what runs there ---


def test_systemd_enforces_addresses(lab):
    """Without bpf in the host's system call filter systemd would not, and would not say so."""
    dialing = ("nc", "-nzw1", COMPUTE1, "22")
    assert lab.on("login", "systemd-run", "-qP", *dialing, check=False).returncode == 0
    assert lab.on("login", "systemd-run", "-qP", "-p", "IPAddressDeny=any", *dialing, check=False).returncode == 1


def test_homes_and_data(lab):
    lab.on("login", "sh", "-c", "echo here >lab-test", user="bob")
    assert lab.on("compute2", "cat", "lab-test", user="bob").stdout == "here\n"
    assert lab.on("workstation", "test", "-e", "lab-test", user="bob", check=False).returncode == 1
    lab.on("compute1", "rm", "lab-test", user="bob")
    for host in ("login", "compute1", "compute2"):
        assert lab.on(host, "head", "-c", "8", "/srv/data/wavelet.vti", user="bob").stdout == "<VTKFile"
    assert lab.on("workstation", "ls", "/srv/data").stdout == ""


def test_environment_modules(lab):
    load = ("bash", "-lc", f"module load {lab.module} && echo $PARAVIEW_LAB_MODULE")
    assert lab.on("login", *load, user="bob").stdout.strip() == lab.series


def test_a_job_that_can_never_start(lab):
    number = lab.on("login", "sbatch", "--parsable", "-p", "down", "--wrap", "true", user="bob").stdout.strip()
    lab.wait(lambda: "PartitionDown" in lab.on("login", "squeue", "-h", "-j", number, "-o", "%r").stdout)
    lab.on("login", "scancel", number)


@pytest.mark.parametrize("launcher", [pytest.param(("srun",), marks=pytest.mark.needs("pmix")), ("salloc", "-Q", "mpiexec")])
def test_mpi_over_two_nodes(lab, launcher):
    lab.on("login", "sh", "-c", "cat >ranks.py", user="bob", input=RANKS)
    command = (*launcher[:1], "-N2", "-n2", *launcher[1:], "pvbatch", "--sym", "ranks.py")
    lines = lab.on("login", *command, user="bob").stdout.split("\n")
    assert {line for line in lines if "rank" in line} == {"compute1: rank 0 of 2", "compute2: rank 1 of 2"}


RANKS = """
import socket
from vtkmodules.vtkParallelCore import vtkMultiProcessController
world = vtkMultiProcessController.GetGlobalController()
print(f"{socket.gethostname()}: rank {world.GetLocalProcessId()} of {world.GetNumberOfProcesses()}", flush=True)
"""


# --- Grid Engine ---

QSUB = ("qsub", "-terse", "-j", "y", "-o", "lab-test")


@pytest.fixture
def qsub(lab):
    """Submits a job of alice's, who finds its output in lab-test, and returns its number."""
    numbers = []

    def submit(script, *options):
        numbers.append(lab.on("login", *QSUB, *options, user="alice", input=script).stdout.strip())
        return numbers[-1]

    yield submit
    for number in numbers:
        lab.on("login", "qdel", number, user="alice", check=False)
        lab.wait(lambda number=number: not queued(lab, number), 30, f"job {number} gone")
    lab.on("login", "rm", "-f", "lab-test", user="alice")


def queued(lab, number):
    """What Grid Engine says of a job that waits or runs; nothing after its end."""
    done = lab.on("login", "qstat", "-j", number, user="alice", check=False)
    return "" if done.returncode else done.stdout


def account(lab, number):
    """What qacct says of a job, by name; nothing before its end. The master's record where it is a parallel job."""
    if queued(lab, number):
        return {}
    lines = lab.on("login", "qacct", "-j", number, user="alice", check=False).stdout.splitlines()
    return {line.split()[0]: line.split(None, 1)[1].strip() for line in lines if len(line.split()) > 1}


@pytest.mark.needs("gridengine")
def test_gridengine_runs_a_job_on_a_node(lab, qsub):
    number = qsub("hostname; id -un; exit 3")
    told = lab.wait(lambda: account(lab, number), 30, f"the end of job {number}")
    host, user = lab.on("login", "cat", "lab-test", user="alice").stdout.split()
    assert user == told["owner"] == "alice"
    assert host == told["hostname"]
    assert host in ("compute1", "compute2")
    assert (told["qname"], told["failed"], told["exit_status"]) == ("debug.q", "0", "3")


@pytest.mark.needs("gridengine")
def test_gridengine_is_there_for_a_shell_by_ssh(lab):
    words = "qsub -terse -o /dev/null -j y -b y true; qstat -u bob; qhost"
    said = lab.on("workstation", *SSH, "login", words, user="bob").stdout
    assert said.split()[0].isdigit()
    assert "compute2" in said


@pytest.mark.needs("gridengine")
def test_gridengine_says_why_a_job_never_starts(lab, qsub):
    number = qsub("true", "-q", "down.q")
    for node in ("compute1", "compute2"):
        why = f'queue instance "down.q@{node}" dropped because it is disabled'
        lab.wait(lambda why=why: why in queued(lab, number), 30, why)
    assert " qw " in lab.on("login", "qstat", user="alice").stdout


@pytest.mark.needs("gridengine")
@pytest.mark.parametrize(("environment", "slots"), [("mpi", 2), ("mpi1", 2), ("mpi2", 4)])
def test_gridengine_mpi_over_two_nodes(lab, qsub, environment, slots):
    number = qsub("mpiexec hostname", "-pe", environment, str(slots))
    told = lab.wait(lambda: account(lab, number), 30, f"the end of job {number}")
    # Open MPI warns, in brackets, where its child was quicker than itself to make a process group.
    lines = [line for line in lab.on("login", "cat", "lab-test", user="alice").stdout.splitlines() if not line.startswith("[")]
    assert sorted(lines) == sorted(["compute1", "compute2"] * (slots // 2))
    assert (told["granted_pe"], told["slots"], told["exit_status"]) == (environment, str(slots), "0")


@pytest.mark.needs("gridengine")
def test_gridengine_enforces_a_run_time(lab, qsub):
    number = qsub("sleep 7006", "-l", "h_rt=0:0:1")
    told = lab.wait(lambda: account(lab, number), 30, f"the end of job {number}")
    assert told["failed"].startswith("37 ")


@pytest.mark.needs("gridengine")
def test_gridengine_lets_only_its_owner_delete_a_job_which_leaves_nothing(lab, qsub):
    """The ranks are of process groups of their own, and one is beside another shepherd than the job's."""
    number = qsub("mpiexec sleep 7007", "-pe", "mpi1", "2")
    for node in ("compute1", "compute2"):
        lab.wait(lambda node=node: processes(lab, node, "sleep 7007"), 30, f"a rank on {node}")
    refused = lab.on("login", "qdel", number, user="bob", check=False)
    assert "bob - you do not have the necessary privileges to delete the job" in refused.stdout
    assert refused.returncode
    assert queued(lab, number)

    lab.on("login", "qdel", number, user="alice")
    told = lab.wait(lambda: account(lab, number), 30, f"the end of job {number}")
    assert told["failed"].startswith("100 ")
    for node in ("compute1", "compute2"):
        lab.wait(lambda node=node: not processes(lab, node, "sleep 7007"), 10, f"no rank on {node}")


def test_ansible_without_an_inventory_option(lab):
    listed = lab.on("workstation", "ansible", "lab", "-m", "ansible.builtin.ping", user="alice").stdout
    assert "SUCCESS" in listed
    assert "sciviz.paraview" in lab.on("workstation", "ansible-galaxy", "collection", "list", user="bob").stdout


# --- up and down; last, because they take the lab away for a while ---


def leaders(lab):
    return [lab.on(host, "cat", "/proc/sys/kernel/random/boot_id", "/etc/machine-id").stdout for host in lab.hosts]


def left():
    """What a lab that is down must not leave."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if re.search(rf"\b{re.escape(NAME)}[- /]", line)]
    names = list(Path("/run/netns").glob(f"{NAME}-*"))
    running = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"--machine={NAME}-".encode() in path.read_bytes():
                running.append(path)
        except OSError:
            pass  # ended meanwhile
    return mounts + names + groups(NAME) + running


def test_a_second_up_leaves_the_hosts_alone(lab):
    before = leaders(lab)
    lab.up()
    assert leaders(lab) == before


def test_a_collection_file_that_is_gone_from_the_checkout_is_gone_from_the_workstation(lab):
    place = "/usr/share/ansible/collections/ansible_collections/sciviz/paraview"
    lab.on("workstation", "touch", f"{place}/stale")
    lab.up()
    assert lab.on("workstation", "ls", "-A", place).stdout.split().count("stale") == 0


def test_down_and_up(lab):
    try:
        for _dummy in range(2):
            lab.down()
            assert left() == []
        assert lab.on("login", "true", check=False).returncode == 125
        killed_up(lab, "compute1")
        lab.down()
        assert left() == []
    finally:
        lab.up()
    assert lab.on("login", "true").returncode == 0


def groups(path):
    """A cgroup of the lab, wherever the hierarchy is mounted. Those of another lab come and go meanwhile."""
    return [one for place in ("", "*/") for one in Path("/sys/fs/cgroup").glob(place + path) if one.is_dir()]


def killed_up(lab, host):
    """Kill an up at the moment at which HOST begins to boot."""
    with subprocess.Popen([HERE / "up"], stdout=subprocess.DEVNULL) as up:
        lab.wait(lambda: up.poll() is not None or groups(f"{NAME}/{host}"), 300)
        up.kill()


@pytest.mark.torture
def test_up_killed_at_any_moment(lab):
    try:
        for tenth in range(0, 45, 3):
            with subprocess.Popen([HERE / "up"], stdout=subprocess.DEVNULL) as up:
                try:
                    up.wait(tenth / 10)
                except subprocess.TimeoutExpired:
                    up.kill()
            lab.down()
            assert left() == []
    finally:
        lab.up()
