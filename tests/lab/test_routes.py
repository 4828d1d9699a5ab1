"""Every route with a real client, what auto chooses under each policy of a site, and what speaks against a route that is named."""

import contextlib
import re

import pytest
from desk import long
from test_connect import rendered_on_a_node

CLIENT_SPECIFIED = "GatewayPorts clientspecified\n"
NODES = ("compute1", "compute2")


@pytest.fixture(autouse=True)
def _mended(lab):
    yield
    lab.path("reset")
    lab.sshd_policy("login", None)
    for node in NODES:
        lab.sshd_policy(node, None)


@contextlib.contextmanager
def site_says(desk, text):
    """What the site publishes, for a while."""
    desk.lab.on("login", "sh", "-euc", "mkdir -p /etc/paraview-connect; cat > /etc/paraview-connect/site.yml", input=text + "\n")
    try:
        yield
    finally:
        desk.lab.on("login", "rm", "-r", "/etc/paraview-connect")


# --- ssh to the node ---


def test_the_default_is_encrypted_to_the_node_itself(desk):
    assert "route node_tunnel" in desk.lines(desk.connect())


@pytest.mark.torture
def test_node_tunnel_reverse_comes_through_the_loopback_of_the_node(desk):
    done = desk.connect(route="node_tunnel_reverse", start_client=desk.client_command("reverse"))
    node = desk.report()["nodes"][0]
    assert any(line.startswith(f"pvserver on {node} is connected through its own loopback, 127.0.0.1:") for line in desk.lines(done))


def test_one_login_on_the_login_node_and_one_on_the_node(desk):
    before = {host: accepted(desk.lab, host) for host in ("login", *NODES)}
    desk.connect()
    node = desk.report()["nodes"][0]
    assert accepted(desk.lab, "login") == before["login"] + 1
    assert accepted(desk.lab, node) == before[node] + 1


def accepted(lab, host):
    """How many logins of alice's the sshd of a host has accepted."""
    return int(lab.on(host, "sh", "-c", "journalctl -q -u ssh -o cat | grep -c 'Accepted .* for alice'; true").stdout)


def test_a_node_whose_key_is_not_known_is_passed_over(desk):
    desk.lab.on("login", "mv", "/etc/ssh/ssh_known_hosts", "/root/known")
    try:
        done = desk.connect()
    finally:
        desk.lab.on("login", "mv", "/root/known", "/etc/ssh/ssh_known_hosts")
    assert "route forward_tunnel (passed over node_tunnel, node_tunnel_reverse: login has no host key of compute1)" in desk.lines(done)


@pytest.mark.torture
def test_a_node_that_lets_nobody_in_is_passed_over_when_the_job_runs(desk):
    """What is seen before the job may not hold for its node; the route changes then."""
    for node in NODES:
        desk.lab.sshd_policy(node, "DenyUsers alice\n")
    done = desk.connect()
    report = desk.report()
    assert report["route"] == "forward_tunnel"
    assert any(line.startswith(f"route node_tunnel does not reach {report['nodes'][0]} (ssh to {report['nodes'][0]} fails (") for line in desk.lines(done))
    desk.disconnect()
    named = desk.connect(route="node_tunnel", check=False)
    assert named.returncode != 0 and "route node_tunnel cannot work here" in named.stdout
    assert not desk.left()


# Nodes that do not accept the keys of users' own machines: the node's sshd, and what a user's ssh on the login node needs.
FROM_LOGIN = {
    "a key in the cluster's home": ("AuthorizedKeysFile /etc/ssh/cluster_keys\n", ""),
    "hostbased": ("PubkeyAuthentication no\nHostbasedAuthentication yes\n", "Host compute*\n  HostbasedAuthentication yes\n  EnableSSHKeysign yes\n"),
}


@pytest.fixture(params=[long(name) if name != "hostbased" else name for name in FROM_LOGIN])
def from_login(request, lab):
    policy, configuration = FROM_LOGIN[request.param]
    key = lab.on("login", "cat", "/home/alice/.ssh/id_ed25519.pub").stdout
    for node in NODES:
        lab.on(node, "sh", "-c", "cat > /etc/ssh/cluster_keys", input=key)
        lab.on(node, "sh", "-c", "cat > /etc/ssh/shosts.equiv", input="login\n198.18.2.1\n")
        lab.sshd_policy(node, policy)
    if configuration:
        # Else root's files decide alone; EnableSSHKeysign counts outside Host.
        lab.on("login", "sh", "-c", "cat > /etc/ssh/ssh_config.d/nodes.conf", input="EnableSSHKeysign yes\n" + configuration)
    yield
    for node in NODES:
        lab.on(node, "rm", "/etc/ssh/cluster_keys", "/etc/ssh/shosts.equiv")
    lab.on("login", "rm", "-f", "/etc/ssh/ssh_config.d/nodes.conf")


@pytest.mark.parametrize(("route", "lifeline"), [
    ("node_tunnel", True), *(pytest.param(*case, marks=pytest.mark.torture) for case in (
        ("node_tunnel", False), ("node_tunnel_reverse", True), ("node_tunnel_reverse", False)))])
def test_a_node_that_accepts_the_login_nodes_own_ssh_alone(desk, from_login, route, lifeline):
    start = {"start_client": desk.client_command("reverse")} if route.endswith("reverse") else {}
    done = desk.connect(route=route, reconnect=lifeline, **start)
    report = desk.report()
    node = report["nodes"][0]
    assert report["route"] == route
    assert any(re.match(rf"{node} does not accept your own keys \(.*Permission denied .*\); login's own ssh to {node} carries the connection", line)
               for line in desk.lines(done)), done.stdout
    assert desk.lab.on("login", "sh", "-c", "ls -d /tmp/paraview-node.*").stdout
    others = desk.lab.on("login", "sh", "-c", "ls /tmp/paraview-node.*", user="bob", check=False)
    assert others.returncode != 0 and "Permission denied" in others.stderr, "no other account can connect to its sockets"
    if not start:
        rendered_on_a_node(desk.client(report).stdout, report)
    desk.disconnect(check=False)
    desk.nothing_left()
    assert not desk.lab.on("login", "sh", "-c", "ls -d /tmp/paraview-node.*", check=False).stdout


def test_a_node_that_accepts_nobody_is_passed_over(desk, from_login):
    desk.lab.on("login", "mv", "/home/alice/.ssh/id_ed25519", "/home/alice/.ssh/away", user="alice")
    desk.lab.on("login", "rm", "-f", "/etc/ssh/ssh_config.d/nodes.conf")
    try:
        done = desk.connect()
    finally:
        desk.lab.on("login", "mv", "/home/alice/.ssh/away", "/home/alice/.ssh/id_ed25519", user="alice")
    report = desk.report()
    node = report["nodes"][0]
    assert report["route"] == "forward_tunnel"
    both = rf"route node_tunnel does not reach {node} \(ssh to {node} fails \(.*\), and ssh from login to {node} fails \(.*Permission denied"
    assert any(re.match(both, line) for line in desk.lines(done)), done.stdout


# --- without a tunnel ---


@pytest.mark.torture
@pytest.mark.parametrize("lifeline", [True, False])
def test_forward(desk, lifeline):
    refused = desk.connect(route="forward_unencrypted", check=False)
    assert refused.returncode != 0 and "this machine cannot reach a port of compute" in refused.stdout and "submitted" not in refused.stdout
    for node in NODES:
        desk.lab.path("open", "workstation", node)
    done = desk.connect(route="forward_unencrypted", reconnect=lifeline)
    report = desk.report()
    assert "route forward_unencrypted is not encrypted: hosts on the network path can read its data" in desk.lines(done)
    # With a lifeline ParaView calls its stub.
    there = "127.0.0.1" if lifeline else f"198.18.2.1{report['nodes'][0][-1]}"
    assert report["url"] == f"cs://{there}:{report['client_port']}"
    host = report["url"].split("//")[1].split(":")[0]
    rendered_on_a_node(desk.client(report, host=host).stdout, report)
    desk.nothing_left()


# --- what auto chooses ---

# Policy of the login node's sshd, paths that are closed, whether nodes are known: what auto takes, and a piece of why not something before it.
MATRIX = {
    "clientspecified": (CLIENT_SPECIFIED, (), True, "node_tunnel", ""),
    "yes": ("GatewayPorts yes\n", (), True, "node_tunnel", ""),
    "no": ("GatewayPorts no\n", (), True, "node_tunnel", ""),
    "no ssh to nodes": (CLIENT_SPECIFIED, (), False, "forward_tunnel", "node_tunnel, node_tunnel_reverse: login has no host key of compute1"),
    "no ssh to nodes, no": ("GatewayPorts no\n", (), False, "forward_tunnel", "login has no host key"),
    "remote": ("AllowTcpForwarding remote\n" + CLIENT_SPECIFIED, (), True, "reverse_tunnel", "sshd on login forbids local forwarding"),
    "remote, yes": ("AllowTcpForwarding remote\nGatewayPorts yes\n", (), True, "reverse_tunnel", "sshd on login forbids local forwarding"),
    "remote, no": ("AllowTcpForwarding remote\nGatewayPorts no\n", (), True, None, "put the forward on 127.0.0.1 instead of 198.18.2.1 (GatewayPorts no)"),
    "local": ("AllowTcpForwarding local\n" + CLIENT_SPECIFIED, (), True, "node_tunnel", ""),
    "local, no ssh to nodes": ("AllowTcpForwarding local\n" + CLIENT_SPECIFIED, (), False, "forward_tunnel", "login has no host key"),
    "none": ("AllowTcpForwarding no\n", (), True, None, "sshd on login refuses a remote forward"),
    "disabled": ("DisableForwarding yes\n", (), True, None, "sshd on login refuses a remote forward"),
    "permit listen": ("AllowTcpForwarding remote\nGatewayPorts clientspecified\nPermitListen 198.18.2.1:40001\n", (), True, None, "refuses a remote forward"),
    "nodes closed": (CLIENT_SPECIFIED, NODES, True, "reverse_tunnel", "login cannot reach a port of compute1"),
    "nodes closed, no": ("GatewayPorts no\n", NODES, True, None, "login cannot reach a port of compute1"),
}
SAMPLE = ("no ssh to nodes", "remote, no")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in SAMPLE else pytest.mark.torture) for name in MATRIX])
def test_what_auto_chooses_under_a_policy(desk, name):
    policy, closed, known, route, why = MATRIX[name]
    desk.lab.sshd_policy("login", policy)
    for node in closed:
        desk.lab.path("close", "login", node)
    if not known:
        desk.lab.on("login", "mv", "/etc/ssh/ssh_known_hosts", "/root/known")
    try:
        done = desk.run(*desk.words("connect"), "--check", check=False)
    finally:
        if not known:
            desk.lab.on("login", "mv", "/root/known", "/etc/ssh/ssh_known_hosts")
    assert why in done.stdout
    if route:
        assert any(line == f"route {route}" or line.startswith(f"route {route} (passed over ") for line in desk.lines(done)), done.stdout
        assert done.returncode == 0
    else:
        assert done.returncode != 0 and "no route works here" in done.stdout
    desk.nothing_left(10)


def test_a_site_can_forbid_routes(desk):
    with site_says(desk, "routes_forbidden: [node_tunnel, node_tunnel_reverse]"):
        done = desk.run(*desk.words("connect"), "--check")
    assert "route forward_tunnel (passed over node_tunnel, node_tunnel_reverse: this site does not offer it)" in desk.lines(done)


# --- versions ---


@pytest.mark.everywhere
def test_versions_that_differ_are_found_before_the_queue(desk):
    old = "#!/bin/sh\necho paraview version 5.9.0\n"
    desk.lab.on("login", "sh", "-euc", "mkdir -p /opt/old; cat > /opt/old/pvserver; chmod 755 /opt/old/pvserver", input=old)
    try:
        done = desk.connect(pvserver="/opt/old/pvserver", check=False)
    finally:
        desk.lab.on("login", "rm", "-r", "/opt/old")
    assert done.returncode != 0 and "submitted" not in done.stdout
    what, why, way_out = desk.lines(done)[-3:]
    assert what == f"ParaView {desk.lab.series} here does not match pvserver 5.9.0 on login"
    assert "first two numbers" in why and "ParaView 5.9" in way_out
    assert not desk.left()


def test_a_module_that_fits_the_client_is_taken(desk):
    """A site offers several; the one that goes with ParaView here is loaded."""
    with site_says(desk, f"pvserver_versions: [paraview/5.9, {desk.lab.module}, paraview/99.1]"):
        done = desk.connect(route="forward_tunnel")
    assert f"ParaView {desk.lab.series} here, {desk.lab.series} there (module {desk.lab.module})" in desk.lines(done)
    node = desk.report()["nodes"][0]
    environment = desk.lab.on(node, "sh", "-c", "tr '\\0' '\\n' < /proc/$(pgrep -u alice -o -f '^pvserver')/environ").stdout
    assert f"PARAVIEW_LAB_MODULE={desk.lab.series}\n" in environment


def test_a_module_that_fits_is_searched_for(desk):
    """By the site's own program for modules."""
    done = desk.connect(route="forward_tunnel", modules=["auto"])
    assert re.search(r"(?m)^lab: ParaView (\d+\.\d+)\S* here, \1\S* there \(module paraview/\1\S*\)$", done.stdout), done.stdout


def test_of_several_paraviews_here_the_one_that_fits_is_taken(desk):
    """The first one on the PATH is of another generation."""
    other = "#!/bin/sh\necho paraview version 4.4.0\n"
    desk.lab.on("workstation", "sh", "-euc", "cat > /usr/local/bin/paraview; chmod 755 /usr/local/bin/paraview", input=other)
    try:
        refused = desk.connect(client_program="/usr/local/bin/paraview", check=False)
        done = desk.connect()
    finally:
        desk.lab.on("workstation", "rm", "/usr/local/bin/paraview")
    assert re.search(r"(?m)^lab: ParaView \S+ here \(/usr/bin/paraview\), ", done.stdout)
    assert ": /usr/bin/paraview --server-url=" in desk.lines(done)[-1]
    assert refused.returncode != 0 and "ParaView 4.4.0 here does not match pvserver" in refused.stdout and "submitted" not in refused.stdout


def test_a_pvserver_that_does_not_tell_its_version_is_told_of(desk):
    silent = "#!/bin/sh\n[ \"$1\" = --version ] && exit 3\nexec pvserver \"$@\"\n"
    desk.lab.on("login", "sh", "-euc", "mkdir -p /opt/silent; cat > /opt/silent/pvserver; chmod 755 /opt/silent/pvserver", input=silent)
    try:
        done = desk.run(*desk.words("connect", "lab", pvserver="/opt/silent/pvserver"), "--check", check=False)
    finally:
        desk.lab.on("login", "rm", "-r", "/opt/silent")
    assert "here, pvserver's version there is not known (no answer from /opt/silent/pvserver --version)" in done.stdout


# --- a job of one's own ---


@pytest.mark.torture
def test_pvserver_in_a_job_that_is_there(desk):
    own = desk.lab.on("login", "sbatch", "--parsable", "-N1", "-o", "/dev/null", "--wrap", "exec sleep 600", user="alice").stdout.strip()
    desk.lab.wait(lambda: desk.lab.on("login", "squeue", "-h", "-j", own, "-o", "%T").stdout.strip() == "RUNNING", 20, "the job runs")
    done = desk.connect(job_id=own)
    report = desk.report()
    assert f"job {own} is yours: pvserver is started in it" in desk.lines(done)
    assert (report["job_id"], report["state"], desk.jobs()) == (own, "ready", [own])
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.lab.wait(lambda: desk.record().get("state") == "ended", 30, "the session ends with its client")
    assert desk.jobs() == [own], "the job is never cancelled by us"
    desk.connect(job_id=own)
    node = report["nodes"][0]
    desk.lab.on(node, "pkill", "-KILL", "-u", "alice", "-f", "job.sh")
    desk.told_over()
    desk.connect(job_id=own)
    desk.disconnect()
    assert desk.jobs() == [own]
    assert not [one for one in desk.processes(node) if "pvserver" in one]
    wrong = desk.connect(job_id="99999", check=False)
    assert wrong.returncode != 0 and "pvserver cannot be started in job 99999" in wrong.stdout


@pytest.mark.torture
def test_pvserver_in_an_interactive_allocation(desk):
    """salloc makes no process on the nodes. Ranks run on all of them, and end with the job."""
    own = re.search(r"allocation (\d+)", desk.lab.on("login", "sh", "-c", "salloc --no-shell -N2 -t 20 2>&1", user="alice").stdout).group(1)
    try:
        done = desk.connect(job_id=own)
        report = desk.report()
        assert (report["state"], sorted(report["nodes"])) == ("ready", ["compute1", "compute2"]) and report["time_left_s"] <= 1200
        assert "ranks run on" not in done.stdout
        for node in report["nodes"]:
            assert [one for one in desk.processes(node) if "pvserver" in one], node
        assert f"disconnected, pvserver in job {own} has ended; the job continues" in desk.disconnect().stdout
        desk.connect(job_id=own)
    finally:
        desk.lab.on("login", "scancel", own, user="alice")
    desk.told_over()
    for node in report["nodes"]:
        assert not [one for one in desk.processes(node) if "pvserver" in one], node
