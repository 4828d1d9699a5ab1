# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each process of a session is killed at each step of connect, and what a session needs goes away. disconnect then leaves nothing; no traceback is shown."""

import base64
import queue
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from batch import StandIn
from desk import STATE, long

# Words of connect's line at which a step is over.
STEPS = {"gathered": "ParaView ", "route": ": route ", "submitted": " submitted: ", "running": " running on ", "listening": "accepts connections",
         "ready": ": ready after"}
NODES = ("compute1", "compute2")
# A directory on a small disk of its own.
SMALL = "/home/alice/small"
# For each victim: where it is, the first step at which it exists, and the command that kills it.
VICTIMS = {
    "playbook": ("workstation", "gathered", ["pkill", "-KILL", "-u", "alice", "-f", "bin/ansible-playbook"]),
    "daemon": ("workstation", "gathered", None),
    "driver": ("workstation", "gathered", None),
    "ssh": ("workstation", "gathered", ["pkill", "-KILL", "-u", "alice", "-x", "ssh"]),
    "stub": ("workstation", "listening", None),
    "all of the workstation": ("workstation", "gathered", ["pkill", "-KILL", "-u", "alice"]),
    "sshd": ("login", "gathered", ["pkill", "-KILL", "-u", "alice", "sshd"]),
    "shell": ("login", "gathered", ["pkill", "-KILL", "-u", "alice", "-x", "sh"]),
    "all of the login node": ("login", "gathered", ["pkill", "-KILL", "-u", "alice"]),
    "job.sh": ("node", "running", ["pkill", "-KILL", "-u", "alice", "-f", "job.sh|slurm_script"]),
    "pvserver.sh": ("node", "running", ["pkill", "-KILL", "-u", "alice", "-f", "pvserver"]),
    "agent": ("node", "listening", ["pkill", "-KILL", "-u", "alice", "-f", "paraview-lifeline"]),
    "sshd of the node": ("node", "listening", ["pkill", "-KILL", "-u", "alice", "sshd"]),
    "all of the node": ("node", "running", ["pkill", "-KILL", "-u", "alice"]),
}
SAMPLE = {("daemon", "submitted"), ("all of the login node", "running"), ("driver", "running")}


def points():
    """Victims with the steps at which they exist."""
    order, found = list(STEPS), []
    for victim, (_host, first, _command) in VICTIMS.items():
        for step in order[order.index(first):]:
            # Once pvserver listens, the driver is about to end.
            if (victim, step) not in (("driver", "listening"), ("driver", "ready")):
                found.append((victim, step) if (victim, step) in SAMPLE else long(victim, step))
    return found


class Connect:
    """A connect that runs, whose lines are read as they come."""

    def __init__(self, desk, environment=(), **settings):
        self.desk, self.lines, self.text = desk, queue.Queue(), ""
        self.process = desk.lab.start("workstation", "env", *environment, *desk.words("connect", **settings), user="alice", stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def until(self, words, seconds=90):
        """Reads up to a line with these words."""
        end = time.monotonic() + seconds
        while True:
            line = self.lines.get(timeout=max(0.1, end - time.monotonic()))
            self.text += line
            if not line:
                raise AssertionError(f"connect ended before {words!r}:\n{self.text}")
            if line.startswith("lab: ") and words in line:
                return

    def over(self, seconds=150):
        """Waits until it has ended by itself, or was killed; returns all that it printed."""
        self.process.wait(seconds)
        while True:
            line = self.lines.get(timeout=10)
            if not line:
                return self.text
            self.text += line


def children(desk, pid, words):
    """Processes of a parent whose command has these words."""
    listing = desk.lab.on("workstation", "ps", "-o", "pid=,args=", "--ppid", str(pid), check=False).stdout.splitlines()
    return [line.split()[0] for line in listing if words in line]


def kill(desk, victim):
    host, _first, command = VICTIMS[victim]
    record = desk.record()
    if victim in ("daemon", "stub"):
        command = ["kill", "-KILL", str((record.get(victim) or [0])[0])]
    elif victim == "driver":
        command = ["kill", "-KILL", *(children(desk, record["daemon"][0], "python") or ["0"])]
    hit = [desk.lab.on(name, *command, check=False).returncode == 0 for name in (record["nodes"] or NODES if host == "node" else [host])]
    assert any(hit), f"there is no {victim} to be killed"


def clean(text):
    assert "Traceback" not in text and "Exception" not in text, text


def nothing_is_left(desk):
    """status and disconnect are what a user has."""
    status = desk.status(host="lab")
    clean(status.stdout + status.stderr)
    done = desk.disconnect(check=False)
    clean(done.stdout + done.stderr)
    if done.returncode:
        # It says why, and the same command works once that has passed.
        assert re.search(r"^lab: .*(disconnect|cannot|lost)", done.stdout, re.M), done.stdout
        desk.disconnect()
    desk.nothing_left(60)
    assert not desk.run("ls", f"{STATE}/lab", check=False).stdout


@pytest.fixture(scope="module", params=["slurm", pytest.param("pbs", marks=pytest.mark.torture)])
def system(lab, request):
    if request.param == "slurm":
        yield None
        return
    stand_in = StandIn(lab, request.param)
    stand_in.install()
    stand_in.set("no_history")
    yield stand_in
    stand_in.remove()


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(("victim", "step"), points())
def test_a_process_is_killed(desk, victim, step):
    connect = Connect(desk)
    connect.until(STEPS[step])
    kill(desk, victim)
    clean(connect.over())
    nothing_is_left(desk)


def network(lab, gone):
    for way in (("workstation", "login"), ("login", "workstation")):
        lab.path("close" if gone else "reset", *way)


def login_node(lab, gone):
    """It stops all at once, and is there again with its sshd."""
    if gone:
        lab.on("login", "systemctl", "stop", "ssh.service", "ssh.socket", check=False)
        lab.on("login", "pkill", "-KILL", "-u", "alice", check=False)
    else:
        lab.on("login", "systemctl", "start", "ssh")


def node(lab, gone):
    for name in NODES:
        for way in (("login", name), (name, "login")):
            lab.path("close" if gone else "reset", *way)


def scheduler(lab, gone):
    lab.on("login", "systemctl", "stop" if gone else "start", "slurmctld")
    if not gone:
        lab.wait(lambda: lab.on("login", "squeue", "-h", check=False).returncode == 0, 30, "it answers")


def disk(lab, gone):
    """The disk with the session's record is full."""
    lab.on("workstation", "sh", "-c", f"head -c 10M /dev/zero > {SMALL}/fill || :" if gone else f"rm -f {SMALL}/fill", user="alice")


FAULTS = {"network": network, "login node": login_node, "node": node, "scheduler": scheduler, "disk": disk}


@pytest.fixture
def small_disk(lab):
    lab.on("workstation", "sh", "-c", f"mkdir -p {SMALL} && mount -t tmpfs -o size=1m,mode=700,uid=20001,gid=20001 none {SMALL}")
    yield
    lab.on("workstation", "sh", "-c", f"umount -l {SMALL}; rmdir {SMALL}")


@pytest.mark.usefixtures("system", "small_disk")
@pytest.mark.parametrize("step", [long(step) if step != "submitted" else step for step in ("route", "submitted", "running", "ready")])
@pytest.mark.parametrize("fault", [long(fault) if fault != "scheduler" else fault for fault in FAULTS])
def test_something_is_gone_for_a_while(desk, fault, step):
    """Afterwards the session is ready, or over with a reason, and in either case disconnect leaves nothing."""
    settings = {"state_dir": f"{SMALL}/state"} if fault == "disk" else {}
    connect = Connect(desk, **settings)
    connect.until(STEPS[step])
    FAULTS[fault](desk.lab, True)
    try:
        if connect.process.poll() is None:
            # Whatever it does within this time, it is to go on, or to end with a reason.
            threading.Event().wait(8)
    finally:
        FAULTS[fault](desk.lab, False)
    clean(connect.over())
    if settings:
        done = desk.disconnect(check=False, **settings)
        clean(done.stdout + done.stderr)
        desk.nothing_left(60)
    else:
        nothing_is_left(desk)


@pytest.fixture
def clock(lab, tmp_path):
    """Sets the clock that alice's programs on the workstation see, and what they have to be started with. The clock that nobody can set stays."""
    if not shutil.which("gcc"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "gcc", "libc6-dev"], stdout=subprocess.DEVNULL, check=True)
    library = tmp_path / "clock.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(Path(__file__).parent / "clock.c")], check=True)
    lab.on("workstation", "sh", "-c", "base64 -d > /opt/clock.so; chmod 755 /opt/clock.so", input=base64.b64encode(library.read_bytes()).decode())

    def set_clock(seconds):
        lab.on("workstation", "sh", "-c", "echo \"$1\" > clock.new && mv clock.new clock", "sh", str(seconds), user="alice")

    set_clock(0)
    yield set_clock, ["LD_PRELOAD=/opt/clock.so", "CLOCK=/home/alice/clock"]
    lab.on("workstation", "rm", "-f", "/opt/clock.so", "/home/alice/clock")


@pytest.mark.torture
@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("offset", [-3600, 3600])
@pytest.mark.parametrize("step", ["route", "submitted", "running", "listening"])
def test_the_clock_is_set(desk, clock, step, offset):
    """No time limit of a session depends on it."""
    set_clock, environment = clock
    connect = Connect(desk, environment)
    connect.until(STEPS[step])
    before = int(desk.run("env", *environment, "date", "+%s").stdout)
    set_clock(offset)
    assert abs(int(desk.run("env", *environment, "date", "+%s").stdout) - before) > 3000
    connect.until(STEPS["ready"])
    clean(connect.over())
    nothing_is_left(desk)
