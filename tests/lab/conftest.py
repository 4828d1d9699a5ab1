"""The lab as a pytest fixture. PARAVIEW_LAB=skip leaves its tests out; where CI is set a lab that does not come up fails them."""

import functools
import os
import platform
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from names import NAME, WORKER

HERE = Path(__file__).parent
# What a test needs that not every generation has: a file of the login node, and why it may be missing.
NEEDS = {"gridengine": ("/usr/bin/qstat", "Debian has no Grid Engine from forky on"),
         "pmix": ("/usr/lib/*/slurm*/mpi_pmix.so", "Debian's Slurm has no mpi/pmix from forky on, and OpenMPI 5 speaks nothing else that srun has")}
# Why some things are not tried on an old login node: its own Slurm is that of its age, which later ones do not understand.
TOO_OLD = "the commands of Slurm 20.11 do not reach a later Slurm than 22.05"

# Started in the background of a script these are ignored, and so they would be by every command of the lab.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


class Lab:
    """The commands of tests/lab, as functions."""

    def __init__(self):
        self.known = {}

    hosts = ("workstation", "firewall", "login", "login2", "compute1", "compute2")

    @staticmethod
    def command(name, *args, check=True, timeout=60, text_input=None):
        """Run one of the lab's own commands."""
        done = subprocess.run(
            [HERE / name, *args], input=text_input, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            words = " ".join(str(word) for word in (name, *args))
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def up(self, *args, check=True):
        # the first one builds
        return self.command("up", *args, check=check, timeout=1800)

    def down(self):
        return self.command("down", timeout=120)

    def on(self, host, *cmd, user=None, input=None, check=True, timeout=60):
        """Run CMD on HOST; returns what subprocess.run does."""
        options = ("-u", user) if user else ()
        return self.command("on", *options, host, *cmd, check=check, timeout=timeout, text_input=input or "")

    def start(self, host, *cmd, user=None, **options):
        """Start CMD on HOST; returns what subprocess.Popen does, text and pipes unless told otherwise."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True} | options
        return subprocess.Popen([HERE / "on", *(("-u", user) if user else ()), host, *cmd], **options)

    def path(self, *args):
        self.command("path", *args)

    def sshd_policy(self, host, policy, check=True):
        """Make POLICY (text) the only drop-in of HOST's sshd; None: as in a fresh lab."""
        if policy is None:
            return self.command("sshd-policy", host, "--reset", check=check)
        return self.command("sshd-policy", host, "-", check=check, text_input=policy)

    @property
    def suite(self):
        """str: the lab's generation."""
        return Path("/run", NAME, "ready").read_text().strip()

    @functools.cached_property
    def paraview(self):
        """str: the version of ParaView on all hosts, such as 5.11.0."""
        said = self.on("login", "dpkg-query", "-W", "-f", "${Version}", "paraview").stdout
        return re.match(r"(?:\d+:)?(\d+\.\d+\.\d+)", said).group(1)

    @property
    def series(self):
        """str: what of that both sides have to share, such as 5.11."""
        return self.paraview.rpartition(".")[0]

    @property
    def module(self):
        """str: the environment module of the lab's ParaView."""
        return f"paraview/{self.series}"

    @functools.cached_property
    def python(self):
        """str: the login node's own Python, by a name that has its version."""
        return self.on("login", "readlink", "-f", "/usr/bin/python3").stdout.strip()

    def has(self, thing):
        """Whether the lab's generation has a thing of NEEDS."""
        if thing not in self.known:
            self.known[thing] = self.on("login", "sh", "-c", "ls " + NEEDS[thing][0], check=False).returncode == 0
        return self.known[thing]

    @staticmethod
    def wait(condition, seconds=10, what="the condition"):
        """Wait until CONDITION() is true, and return what it returned."""
        end = time.monotonic() + seconds
        result = condition()
        while not result:
            assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
            time.sleep(0.05)
            result = condition()
        return result


@pytest.fixture(scope="session")
def lab():
    """The lab, up, with the checkout's collection on its workstation."""
    if os.environ.get("PARAVIEW_LAB") == "skip":
        pytest.skip("PARAVIEW_LAB=skip")
    give_up = pytest.fail if os.environ.get("CI") else pytest.skip
    if platform.system() != "Linux" or os.getuid():
        give_up("the lab needs Linux and root")
    the_lab = Lab()
    done = the_lab.up(check=False)
    if done.returncode:
        give_up(f"the lab does not come up: {done.stderr.strip()[-2000:]}")
    yield the_lab
    if WORKER:
        the_lab.down()


@pytest.fixture(scope="module")
def oldlogin(lab):
    """str: the name of an old login node that has joined the cluster."""
    lab.command("oldlogin", "join", timeout=900)
    yield "oldlogin"
    lab.command("oldlogin", "leave")


@pytest.fixture(scope="module")
def oldslurm(lab, oldlogin):
    """The same, where its batch system is to be had."""
    if lab.on(oldlogin, "squeue", "-h", check=False).returncode:
        pytest.skip(TOO_OLD)
    return oldlogin


@pytest.fixture(autouse=True)
def _needs(request):
    for marker in request.node.iter_markers("needs"):
        for thing in marker.args:
            if not request.getfixturevalue("lab").has(thing):
                pytest.skip(NEEDS[thing][1])


@pytest.fixture
def desk(lab):
    """alice at her desk, with nothing there of an earlier session, nor afterwards."""
    from desk import Desk

    desk = Desk(lab)
    desk.clean_up()
    yield desk
    desk.clean_up()
