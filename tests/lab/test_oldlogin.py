"""A login node that is older than everything else of the cluster: what an admin puts on it works, and so does a session through it."""

import json
import subprocess

import pytest
from desk import STATE, long
from test_connect import rendered_on_a_node
from test_provision import administered, changed, the_profile_gateway

HOST, ADDRESS, LOGIN = "oldlogin", "198.18.2.3", "oldlogin.lab.example"
PORT = 11112
OLDEST = "/opt/sciviz/oldest/bin/ansible-playbook"


@pytest.fixture
def admin(lab, oldlogin):
    with administered(lab, host=HOST, node=oldlogin, address=ADDRESS) as admin:
        yield admin


@pytest.mark.everywhere
def test_its_sshd_is_provisioned(admin):
    the_profile_gateway(admin)


def test_its_sshd_is_provisioned_by_the_oldest_ansible(admin):
    before = admin.tree()
    settings = json.dumps({"paraview_sshd_profile": "forward_only"})
    command = f"{OLDEST} sciviz.paraview.provision -e host={HOST} -e '{settings}'"
    assert changed(admin.run(command), HOST)
    assert (admin.value("allowtcpforwarding", "alice"), changed(admin.run(command), HOST)) == ("local", 0)
    admin.provision(sshd_state="absent")
    assert admin.tree() == before


def test_forwarding_check_and_ssh_agree_on_it(lab, oldlogin):
    """What the running sshd lets a user do, from one that forwards everything and from one that forwards nothing."""
    for policy, remote, local in (("GatewayPorts clientspecified", "allowed", "allowed"), ("AllowTcpForwarding local", "refused", "allowed"),
                                  ("AllowTcpForwarding no", "refused", "refused")):
        lab.sshd_policy(oldlogin, policy)
        try:
            given = json.dumps({"host": LOGIN, "remote": ["127.0.0.1:0"], "local": ["compute1:22"]})
            done = lab.on("workstation", "ansible", "localhost", "-m", "sciviz.paraview.forwarding_check", "-a", given, user="alice", check=False)
        finally:
            lab.sshd_policy(oldlogin, None)
        told = json.loads(done.stdout[done.stdout.index("=> ") + 3:])
        assert [one["verdict"] for one in told["forwards"]] == [remote, local], (policy, done.stdout)


@pytest.mark.torture
def test_its_relay_is_installed_and_taken_away(admin):
    """The service runs hardened under an old systemd and an old Python, and lets nobody through who has no job."""
    lab, before = admin.lab, admin.tree()
    # A later Slurm does not answer its squeue; then a program that knows no job stands for it.
    authorize = "/usr/bin/false" if lab.on(admin.node, "squeue", "-h", check=False).returncode else "auto"
    settings = {"relay_authorize": authorize, "relay_install": True, "relay_networks": ["198.18.2.0/24"], "cluster_address": ADDRESS,
                "login_ports": f"11111-{PORT}"}
    assert changed(admin.provision(**settings), HOST)
    assert changed(admin.provision(**settings), HOST) == 0
    assert lab.on(admin.node, "systemctl", "is-active", "paraview-relay").stdout == "active\n"
    status = json.loads(lab.on(admin.node, "paraview-relay", "status", "--json").stdout)
    assert status["pid"] > 1
    assert lab.on("compute1", "sh", "-c", f"echo hello | timeout 20 nc -N {ADDRESS} {PORT}", check=False).stdout == "", "nobody has a job there"
    admin.provision(sshd_state="absent", relay_state="absent")
    assert admin.tree() == before
    assert "could not be found" in lab.on(admin.node, "systemctl", "status", "paraview-relay", check=False).stderr


def test_its_relay_lets_a_user_with_a_job_through(admin, oldslurm):
    lab = admin.lab
    admin.provision(sshd_profile="relay", relay_install=True, relay_networks=["198.18.2.0/24"], cluster_address=ADDRESS, login_ports=f"11111-{PORT}")
    job = lab.on("login", "sbatch", "--parsable", "-w", "compute1", "-o", "/dev/null", "--wrap", "exec sleep 600", user="alice").stdout.strip()
    ends = [lab.start("workstation", "socat", "TCP-LISTEN:40007,bind=127.0.0.1,fork,reuseaddr", "EXEC:cat", user="alice", stdin=subprocess.DEVNULL),
            lab.start("workstation", "ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{PORT}:127.0.0.1:40007", LOGIN, user="alice",
                      stdin=subprocess.DEVNULL)]
    try:
        lab.wait(lambda: f"127.0.0.1:{PORT}" in lab.on(oldslurm, "ss", "-Hltn").stdout, 20, "alice's forward")
        lab.wait(lambda: lab.on("login", "squeue", "-h", "-j", job, "-o", "%T").stdout.strip() == "RUNNING", 20, "alice's job")
        dial = ("sh", "-c", f"echo hello | timeout 20 nc -N {ADDRESS} {PORT}")
        lab.wait(lambda: lab.on("compute1", *dial, check=False).stdout == "hello\n", 30, "alice's job is let through")
        assert lab.on("compute2", *dial, check=False).stdout == "", "no job of hers runs there"
    finally:
        for process in ends:
            process.terminate()
            process.wait(20)
        lab.on("login", "scancel", job)
        admin.provision(sshd_state="absent", relay_state="absent")


def test_the_launcher_runs_on_it(lab, oldlogin):
    play = "[{hosts: all, gather_facts: false, become: true, roles: [sciviz.paraview.launcher]}]\n"
    command = ("printf '[all]\\nold ansible_host={0}\\n' > old.hosts && cat > old.yml && ansible-playbook -i old.hosts old.yml {1}; code=$?; "
               "rm old.hosts old.yml; exit $code")
    lab.on("workstation", "sh", "-c", "cd && " + command.format(LOGIN, ""), input=play, timeout=120)
    try:
        said = lab.on(oldlogin, "/usr/local/bin/paraview-launch", "about", user="bob").stdout
        assert said.startswith("paraview-launch ")
    finally:
        lab.on("workstation", "sh", "-c", "cd && " + command.format(LOGIN, "-e paraview_launcher_state=absent"), input=play, timeout=120)
    assert lab.on(oldlogin, "ls", "/usr/local/bin/paraview-launch", check=False).stdout == ""


@pytest.mark.parametrize("route", ["reverse_tunnel", *(long(one) for one in ("node_tunnel", "forward_tunnel", "reverse_tunnel_relay"))])
def test_a_session_through_it(desk, oldslurm, route):
    reverse = route.startswith("reverse")
    desk.connect(HOST, route=route, user_relay=route.endswith("relay"), start_client=desk.client_command("reverse") if reverse else False)
    report = desk.report()
    assert (report["route"], report["login_node"]) == (route, oldslurm)
    said = "" if reverse else desk.client(report).stdout
    desk.lab.wait(lambda: desk.record(HOST).get("state") == "ended", 40, "the end of the session")
    rendered_on_a_node(said or desk.run("cat", f"{STATE}/{HOST}/client.log").stdout, report)
    desk.nothing_left()
    assert not desk.processes(oldslurm)
