"""Batch systems of the lab besides Slurm: Grid Engine for real, and stand-ins for those that it does not have."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = "/home/standin"
# Open MPI's processes wait with all their might, which two of them on one processor cannot afford: shell lines for a job.
PATIENT = "export OMPI_MCA_mpi_yield_when_idle=1"
COMMANDS = {"pbs": ("qsub", "qstat", "qdel", "pbs_mom"), "torque": ("qsub", "qstat", "qdel"), "lsf": ("bsub", "bjobs", "bkill"), "flux": ("flux",)}


def gridengine_jobs(lab, user):
    """list[str]: a user's jobs in Grid Engine; none where the lab's generation has no Grid Engine."""
    if not lab.has("gridengine"):
        return []
    listing = lab.on("login", "sh", "-c", f"SGE_ROOT=/var/lib/gridengine exec /usr/lib/gridengine/qstat -u {user}").stdout.splitlines()
    return [f"sge {line.split()[0]}" for line in listing[2:]]


class StandIn:
    """A batch system whose commands come first on the login node's PATH and print what was recorded (standin).

    Args:
        lab (Lab): from conftest.py. name (str): of COMMANDS.
    """

    def __init__(self, lab, name):
        self.lab, self.name = lab, name

    def install(self):
        """Puts it on the login node. Slurm's own commands are hidden there: its jobs run under another name."""
        pack = subprocess.run(["tar", "-C", HERE.parent, "-c", "fixtures/" + self.name, "lab/standin"], stdout=subprocess.PIPE, check=True).stdout
        self.lab.on("login", "sh", "-euc", f"""
            rm -rf {PLACE}; mkdir -p {PLACE}/slurm {PLACE}/spool {PLACE}/{self.name}/bin; chmod -R 755 {PLACE}; cd {PLACE}
            cp /usr/bin/sbatch /usr/bin/scontrol /usr/bin/scancel /usr/bin/srun slurm/
            base64 -d | tar -x --no-same-owner
            for command in {' '.join(COMMANDS[self.name])}; do cp lab/standin {self.name}/bin/$command; done
            : > {self.name}/asked; chmod -R go+rX .; chmod 1777 spool; chmod 666 {self.name}/asked""", input=encoded(pack))
        self.lab.sshd_policy("login", f"GatewayPorts clientspecified\nSetEnv PATH={PLACE}/{self.name}/bin:/usr/local/bin:/usr/bin:/bin\n")
        self.hide(True)

    def remove(self):
        self.hide(False)
        self.lab.sshd_policy("login", None)
        self.lab.on("login", "rm", "-rf", PLACE)

    def hide(self, hidden):
        """The batch systems that are there come before it where they answer."""
        there = {"sbatch", "qstat"} if self.lab.has("gridengine") else {"sbatch"}
        for command in there - set(COMMANDS[self.name]):
            self.lab.on("login", "chmod", "0" if hidden else "755", f"/usr/bin/{command}")

    def set(self, flag, on=True):
        """Makes it answer as one that is `down`, whose JSON is `malformed`, or that keeps `no_history`."""
        self.lab.on("login", *(["touch"] if on else ["rm", "-f"]), f"{PLACE}/{self.name}/{flag}")

    def spooled(self):
        """list[str]: what is left in the nodes' spool: output that was not delivered, mails about that, and processes that outlived their job."""
        return self.lab.on("login", "sh", "-c", f"cd {PLACE}/spool && grep -H '' ./* /dev/null || :").stdout.split("\n")[:-1]

    def asked(self, command):
        """list[str]: how often and how a command of its was called since it was put there."""
        lines = self.lab.on("login", "cat", f"{PLACE}/{self.name}/asked").stdout.splitlines()
        return [line for line in lines if line.split()[0] == command]


def encoded(data):
    import base64

    return base64.b64encode(data).decode()
