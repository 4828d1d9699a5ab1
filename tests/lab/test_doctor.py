"""doctor, on a cluster that is whole and on one that is broken in each of many ways."""

import json

import pytest

SETTINGS = "GatewayPorts clientspecified\n"
PAGE = "/home/alice/doctor.html"


class Patient:
    """A cluster that can be broken, and repaired."""

    def __init__(self, desk):
        self.desk, self.lab, self.repairs = desk, desk.lab, []

    def sshd(self, policy):
        self.lab.sshd_policy("login", policy)
        self.repairs.append(lambda: self.lab.sshd_policy("login", None))

    def shell(self, host, breaking, repairs, user=None):
        self.lab.on(host, "sh", "-euc", breaking, user=user)
        self.repairs.append(lambda: self.lab.on(host, "sh", "-c", repairs, user=user))

    def path(self, *words):
        self.lab.path(*words)
        self.repairs.append(lambda: self.lab.path("reset"))

    def program(self, name, text):
        """A program that comes first on the login node's PATH."""
        self.shell("login", f"mkdir -p /opt/broken && cat > /opt/broken/{name} <<'E'\n{text}\nE\nchmod 755 /opt/broken/{name}", "rm -rf /opt/broken")
        self.sshd(SETTINGS + "SetEnv PATH=/opt/broken:/usr/local/bin:/usr/bin:/bin\n")

    def repair(self):
        while self.repairs:
            self.repairs.pop()()


@pytest.fixture
def patient(desk):
    patient = Patient(desk)
    yield patient
    patient.repair()


def look(desk, more=(), **settings):
    """Checks by name, as doctor reports them. The exit status is 2 if a check has failed."""
    done = desk.run(*desk.words("doctor", **settings), *more, check=False)
    assert done.returncode in (0, 2), done.stdout
    (report,) = desk.reports()
    assert done.returncode == (2 if any(one["result"] == "failed" for one in report["checks"]) else 0), done.stdout
    assert report["host"] == ("HOST" if settings.get("anonymize") else "lab")
    return {one["name"]: one for one in report["checks"]}, done


@pytest.mark.everywhere
def test_a_whole_cluster(desk):
    seen, done = look(desk, test_job=True, html=PAGE, modules=[desk.lab.module])
    assert not [one for one in seen.values() if one["result"] == "failed"]
    assert {"ssh", "name", "port", "authentication", "shell start-up", "home", "clock", "batch system", "remote forwarding to the cluster", "local forwarding",
            "login node to node", "version", "queue", "node to login node", "renderer",
            "pvserver starts"} <= {name for name, one in seen.items() if one["result"] == "ok"}
    assert any(line.endswith("0 failed, 3 cannot tell") for line in desk.lines(done)), done.stdout
    page = desk.run("cat", PAGE).stdout
    assert "<svg" in page and "198.18.2.1" in page
    assert not desk.left(), "it leaves nothing"
    look(desk, html=PAGE, anonymize=True)
    page, report = desk.run("cat", PAGE).stdout, json.dumps(desk.reports())
    assert not [word for word in ("198.18.", "compute1", "login.lab") if word in page.replace("ADDRESS", "") or word in report]


def test_the_login_nodes_own_ssh_to_nodes_is_reported(desk, patient):
    key = desk.lab.on("login", "cat", "/home/alice/.ssh/id_ed25519.pub").stdout
    for node in ("compute1", "compute2"):
        desk.lab.on(node, "sh", "-c", "cat > /etc/ssh/cluster_keys", input=key)
        desk.lab.sshd_policy(node, "AuthorizedKeysFile /etc/ssh/cluster_keys\n")
        patient.repairs.append(lambda node=node: desk.lab.sshd_policy(node, None))
    seen, _done = look(desk, test_job=True)
    check = seen["ssh to nodes"]
    assert check["result"] == "ok" and "does not accept your own keys" in check["said"] and "login's own ssh" in check["said"], check
    patient.repair()
    seen, _done = look(desk, test_job=True)
    assert seen["ssh to nodes"]["result"] == "ok" and "accepts your own keys" in seen["ssh to nodes"]["said"]
    assert not desk.left()


def test_a_session_that_is_open_is_left_alone(desk):
    desk.connect()
    # The batch system's own end of the wall time may be noted meanwhile.
    record = {**desk.record(), "ends_at": None}
    look(desk)
    assert {**desk.record(), "ends_at": None} == record
    assert desk.jobs() == [record["job_id"]]


def name_is_wrong(patient):
    return {"more": ("-e", "ansible_host=nosuch.invalid")}


def port_is_wrong(patient):
    return {"more": ("-e", "ansible_port=2222")}


def host_key_is_unknown(patient):
    return {"more": ("-e", "ansible_ssh_common_args='-o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=/dev/null'")}


def login_is_refused(patient):
    return {"more": ("-e", "ansible_user=nobody")}


def shell_prints(patient):
    patient.shell("login", "sed -i '1i echo Welcome to frontera' /home/alice/.bashrc", "sed -i 1d /home/alice/.bashrc")


def home_is_full(patient):
    patient.shell("login", "chmod 555 /home/alice", "chmod 755 /home/alice")


def nothing_is_forwarded(patient):
    patient.sshd("AllowTcpForwarding no\n")


def gateway_ports_no(patient):
    patient.sshd("GatewayPorts no\n")


def no_local_forwarding(patient):
    patient.sshd("AllowTcpForwarding remote\n" + SETTINGS)


def no_remote_forwarding(patient):
    patient.sshd("AllowTcpForwarding local\n" + SETTINGS)


def nodes_are_closed(patient):
    for node in ("compute1", "compute2"):
        patient.path("close", "login", node)


def batch_system_is_down(patient):
    patient.program("scontrol", "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2\nexit 1")


def batch_system_is_not_there(patient):
    there = "$(ls /usr/bin/sbatch /usr/bin/qstat 2>/dev/null)"
    patient.shell("login", f"chmod 0 {there}", f"chmod 755 {there}")


def queue_is_wrong(patient):
    return {"queue": "nosuch"}


def setting_is_not_available(patient):
    return {"parallel_environment": "mpi"}


def clock_is_wrong(patient):
    patient.program("date", "#!/bin/sh\necho 1000000000")


def relay_is_down(patient):
    site = "relay: {address: 198.18.2.1, ports: 11111-11130, owner_required: true}"
    patient.shell("login", f"mkdir -p /etc/paraview-connect && echo '{site}' > /etc/paraview-connect/site.yml", "rm -r /etc/paraview-connect")


def version_is_another(patient):
    patient.program("pvserver", "#!/bin/sh\necho 'paraview version 5.9.0'")


def pvserver_is_not_on_nodes(patient):
    return {"test_job": True, "pvserver": "/opt/nosuch/pvserver"}


# What is broken: the check that has to fail, who can fix it, a word of the cause, and a word of the way out.
BROKEN = {
    name_is_wrong: ("name", "you", "cannot be resolved", "ansible_host"), port_is_wrong: ("port", "you", "2222", "firewall"),
    host_key_is_unknown: ("authentication", "you", "host key is not in known_hosts", "fingerprint"),
    login_is_refused: ("authentication", "you", "no key was enough", "ssh-add"),
    shell_prints: ("shell start-up", "you", "print", ".bashrc"), home_is_full: ("home", "you", "/home/alice", "quota"),
    nothing_is_forwarded: ("remote forwarding to loopback", "site", "refuses a remote forward", "AllowTcpForwarding yes"),
    gateway_ports_no: ("remote forwarding to the cluster", "site", "instead of 198.18.2.1", "GatewayPorts clientspecified"),
    no_local_forwarding: ("local forwarding", "site", "forbids local forwarding", "AllowTcpForwarding yes"),
    no_remote_forwarding: ("remote forwarding to the cluster", "site", "refuses a remote forward", "provision"),
    nodes_are_closed: ("login node to node", "site", "does not reach", "reverse_tunnel"),
    batch_system_is_down: ("batch system", "site", "Unable to contact slurm controller", "does not answer"),
    batch_system_is_not_there: ("batch system", "you", "no batch system was found", "paraview_schedulers"),
    queue_is_wrong: ("queue", "you", "would not accept", "paraview_queue"), setting_is_not_available: ("queue", "you", "no such option", "leave it out"),
    clock_is_wrong: ("clock", "you", "differ by", "clock"), relay_is_down: ("relay", "site", "nothing listens on 198.18.2.1", "systemctl status"),
    version_is_another: ("version", "you", "does not match pvserver 5.9.0", "ParaView 5.9"),
    pvserver_is_not_on_nodes: ("pvserver", "you", "not on the PATH", "paraview_modules"),
}
# In each run of the tests; the others are long together.
SAMPLE = (login_is_refused, shell_prints, gateway_ports_no, nodes_are_closed, version_is_another, pvserver_is_not_on_nodes)


@pytest.mark.parametrize("broken", [pytest.param(one, id=one.__name__, marks=[] if one in SAMPLE else pytest.mark.torture) for one in BROKEN])
def test_the_cause_is_named(desk, patient, broken):
    settings = dict(broken(patient) or {})
    seen, done = look(desk, settings.pop("more", ()), **settings)
    name, who, cause, way_out = BROKEN[broken]
    check = seen[name]
    assert check["result"] == "failed", check
    assert check["who"] == who
    assert cause in check["cause"] + check["said"]
    assert way_out in check["way_out"]
    assert any(line.startswith(f"failed       {name}") for line in desk.lines(done))
    patient.repair()
    assert not desk.left()
