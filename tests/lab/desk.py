"""A scientist's desk in the lab: what alice types on the workstation, and what is to be seen afterwards."""

import json
import re
import shlex
from pathlib import Path

import pytest
from batch import gridengine_jobs

STATE = "/home/alice/.local/state/paraview-connect"
REPORT = "/home/alice/report.json"


def long(*values):
    """Values of a parametrized test for the long tests alone."""
    return pytest.param(*values, marks=pytest.mark.torture)


class Desk:
    """alice's commands and what they left.

    Args:
        lab (Lab): from conftest.py.
    """

    def __init__(self, lab):
        self.lab = lab
        lab.on("workstation", "sh", "-c", "cat > client.py", user="alice", input=(Path(__file__).parent / "client.py").read_text())

    def run(self, *words, check=True, timeout=120, env=None):
        """Types a command; returns what subprocess.run does."""
        setting = [f"{name}={value}" for name, value in (env or {}).items()]
        return self.lab.on("workstation", "env", *setting, *words, user="alice", check=check, timeout=timeout)

    @staticmethod
    def words(playbook, host="lab", **settings):
        """The words of an ansible-playbook command; settings are variables without paraview_."""
        words = ["ansible-playbook", f"sciviz.paraview.{playbook}"] + ([f"-ehost={host}"] if host else [])
        settings.setdefault("json", REPORT)
        return [*words, "-e", json.dumps({f"paraview_{name}": value for name, value in settings.items()})]

    def connect(self, host="lab", check=True, timeout=120, env=None, **settings):
        """connect.yml; returns what subprocess.run does."""
        return self.run(*self.words("connect", host, **settings), check=check, timeout=timeout, env=env)

    def disconnect(self, host="lab", check=True, **settings):
        return self.run(*self.words("disconnect", host, **settings), check=check)

    def status(self, host=None, **settings):
        return self.run(*self.words("status", host, **settings))

    def reports(self):
        """What paraview_json holds."""
        return json.loads(self.run("cat", REPORT).stdout)

    def report(self):
        (only,) = self.reports()
        return only

    def lines(self, done, host="lab"):
        """The lines for the user that a run printed, without the host's name."""
        return [line.split(": ", 1)[1] for line in done.stdout.splitlines() if line.startswith(f"{host}: ")]

    def record(self, host="lab"):
        text = self.run("cat", f"{STATE}/{host}/session.json", check=False).stdout
        return json.loads(text) if text else {}

    def client(self, report, *more, way="forward", picture="/home/alice/picture.png", check=True, host="127.0.0.1"):
        """A real client that renders on the cluster and leaves; returns what subprocess.run does."""
        return self.run("xvfb-run", "-a", "-s", "-noreset", "pvpython", f"--connect-id={report['connect_id']}", "client.py", way,
                        str(report["client_port"]), picture, *more, check=check, env={"PVSERVER_HOST": host})

    @staticmethod
    def client_command(way="reverse", more=""):
        """A value of paraview_start_client that does the same."""
        script = f'exec pvpython --connect-id="$PV_CONNECT_ID" client.py {way} "$PV_SERVER_PORT" picture.png {more}'
        return ["xvfb-run", "-a", "-s", "-noreset", "sh", "-c", script]

    def jobs(self):
        """alice's jobs in the queue."""
        slurm = self.lab.on("login", "squeue", "-h", "-u", "alice", "-o", "%i").stdout.split()
        return slurm + gridengine_jobs(self.lab, "alice")

    def processes(self, host):
        """alice's processes on a host, but for her user manager, which lingers, and the asking itself."""
        out = self.lab.on(host, "ps", "-u", "alice", "-o", "pid=,args=", check=False).stdout
        return [line.strip() for line in out.splitlines() if not re.search(r"systemd --user|\[systemd\]|\(sd-pam\)", line)]

    def masters(self):
        """alice's connections from the workstation."""
        return [one for one in self.processes("workstation") if one.split()[1].rpartition("/")[2] in ("ssh", "ssh:")]

    def left(self):
        """list[str]: everything of a session that is still to be seen anywhere; empty where nothing is left."""
        found = [f"job {one}" for one in self.jobs()]
        for host in ("workstation", "login", "login2", "compute1", "compute2"):
            found += [f"{host}: {one}" for one in self.processes(host)]
        sockets = "for p in /tmp/paraview-connect-20001 /run/user/20001/paraview-connect; do ls $p 2>/dev/null; done; true"
        found += [f"socket {one}" for one in self.lab.on("workstation", "sh", "-c", sockets).stdout.split()]
        files = self.lab.on("login", "sh", "-c", "ls -d /home/alice/.paraview-connect /scratch/.paraview-connect-* 2>/dev/null; true").stdout.split()
        owned = self.lab.on("login", "sh", "-c", "ss -Hltne | grep uid:20001; true").stdout.splitlines()
        return found + files + owned

    def nothing_left(self, seconds=30):
        """Waits until nothing of a session is left on any host."""
        try:
            self.lab.wait(lambda: not self.left(), seconds, "nothing left")
        except AssertionError:
            raise AssertionError(f"left: {self.left()}")

    def told_over(self, seconds=10):
        """dict: the record, once it says that the session is over; that is promised within 10 s of the job's end."""
        return self.lab.wait(lambda: self.record().get("state") in ("ended", "failed", "cancelled") and self.record(), seconds, "the end is told")

    def clean_up(self):
        """Whatever a test left: nothing of it is there for the next."""
        for name in self.run("ls", STATE, check=False).stdout.split():
            if self.record(name).get("state") not in ("ended", "failed", "cancelled"):
                self.disconnect(name, check=False)
        self.lab.on("workstation", "sh", "-c", f"rm -rf {shlex.quote(STATE)} {REPORT} /tmp/paraview-connect-20001 /run/user/20001/paraview-connect")
        self.lab.on("login", "scancel", "-u", "alice")
        if any(job.startswith("sge") for job in self.jobs()):
            self.lab.on("login", "qdel", "-u", "alice")
        self.lab.on("login", "rm", "-rf", "/home/alice/.paraview-connect", "/scratch/.paraview-connect-20001")
