# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What single sites have that others have not: names of nodes, constraints, launchers, on the lab's own Slurm."""

import re
import time

import pytest
from batch import StandIn
from desk import long
from test_connect import rendered_on_a_node

IBRUN = '#!/bin/sh\n# A site\'s launcher takes the number of processes from the batch system alone.\nexec mpirun -np "$SLURM_NTASKS" "$@"\n'
XVFB = ["xvfb-run", "-a", "-s", "-noreset", "pvserver"]
NODES = ("compute1", "compute2")
SECOND = "198.18.2.2"


@pytest.fixture
def nodes_by_another_name(lab):
    """Each node has a second address, under its name with an i behind it, and the known host keys have that name alone."""
    for number, node in enumerate(NODES, 1):
        lab.on(node, "sh", "-euc", f"ip addr add {SECOND}{number}/24 dev $(ip -o -4 addr show to 198.18.2.1{number} | cut -d' ' -f2)")
    rename = r"""cp -p /etc/ssh/ssh_known_hosts /etc/ssh/known.plain; sed -i 's/^compute\([12]\),\S*/compute\1i/' /etc/ssh/ssh_known_hosts
      cp -p /etc/hosts /etc/hosts.plain; printf '%s1 compute1i\n%s2 compute2i\n' "$1" "$1" >> /etc/hosts"""
    lab.on("login", "sh", "-euc", rename, "sh", SECOND)
    yield
    lab.on("login", "sh", "-c", "cat /etc/hosts.plain > /etc/hosts; rm /etc/hosts.plain; mv /etc/ssh/known.plain /etc/ssh/ssh_known_hosts")
    for number, node in enumerate(NODES, 1):
        lab.on(node, "sh", "-c", f"ip addr del {SECOND}{number}/24 dev $(ip -o -4 addr show to {SECOND}{number} | cut -d' ' -f2)")


@pytest.fixture
def features(lab):
    """Slurm's features of the two nodes."""
    for node, words in zip(NODES, ("rome,fast,nvme", "milan,slow,nvme")):
        lab.on("login", "scontrol", "update", f"nodename={node}", f"availablefeatures={words}", f"activefeatures={words}")
    yield
    for node in NODES:
        lab.on("login", "scontrol", "update", f"nodename={node}", "availablefeatures=", "activefeatures=")


@pytest.mark.usefixtures("nodes_by_another_name")
def test_nodes_that_are_reached_by_another_name(desk, lab):
    """The login to the node, pvserver's address and reconnection use that name; the report has the batch system's."""
    done = desk.connect(node_name={"pattern": "(compute[0-9]+)(.*)", "replacement": r"\1i\2"})
    report = desk.report()
    (node,) = report["nodes"]
    assert "route node_tunnel" in desk.lines(done) and desk.record()["lifeline"]
    logins = lab.on(node, "ss", "-Htn", "state", "established", "sport", "=", ":22").stdout.split()
    assert f"{SECOND}{NODES.index(node) + 1}:22" in logins, logins
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


@pytest.mark.torture
@pytest.mark.usefixtures("nodes_by_another_name")
def test_without_a_rule_the_batch_systems_name_is_used(desk):
    """No host key is known under it, so auto passes over the routes that log in on the node."""
    done = desk.connect()
    assert any(line.startswith("route forward_tunnel (passed over node_tunnel, ") and "host key" in line for line in desk.lines(done)), done.stdout
    desk.disconnect()
    assert not desk.left()


@pytest.mark.usefixtures("features")
@pytest.mark.parametrize(("constraint", "node"), [long("milan&nvme", "compute2"), long("[rome|fast]", "compute1"), ("(milan|slow)&nvme", "compute2")])
def test_a_constraint_with_signs_of_the_shell(desk, constraint, node):
    desk.connect(route="forward_tunnel", constraint=constraint)
    assert desk.report()["nodes"] == [node]
    desk.disconnect()
    assert not desk.left()


@pytest.mark.parametrize("launcher", [long("srun"), long("srun --mpi=pmix -n {tasks} --cpu-bind=none"), "/home/alice/ibrun"], ids=["srun", "options", "ibrun"])
def test_launchers_of_sites(desk, lab, launcher):
    if launcher.startswith("srun") and not lab.has("pmix"):
        pytest.skip("OpenMPI speaks nothing that this Slurm has")
    lab.on("login", "sh", "-c", "cat > ibrun; chmod 755 ibrun", user="alice", input=IBRUN)
    done = desk.connect(route="forward_tunnel", nodes=2, tasks_per_node=1, mpi_launcher=launcher, pvserver=XVFB)
    report = desk.report()
    assert "2 nodes, 2 tasks" in done.stdout
    drawn = desk.client(report).stdout
    rendered_on_a_node(drawn, report)
    assert sorted(re.search("^ranks (.*)$", drawn, re.M).group(1).split()) == list(NODES)
    desk.nothing_left()
    lab.on("login", "rm", "-f", "ibrun", user="alice")


# A site's filter: what users may not request is refused before it is in the queue, in the words of such sites. $1 may be a script.
FILTER = r"""#!/bin/sh
script=$(mktemp); trap 'rm -f "$script"' EXIT
for last; do :; done
if [ -f "$last" ]; then cat "$last" > "$script"; else cat > "$script"; fi
if grep -q '^#SBATCH.* --mem' "$script"; then
  echo "sbatch: error: --mem is not allowed: each node is yours alone, with all of its memory" >&2
  echo "sbatch: error: Batch job submission failed: Memory required by task is not available" >&2
  exit 1
fi
if [ -f "$last" ]; then exec /usr/bin/sbatch "$@"; else exec /usr/bin/sbatch "$@" < "$script"; fi
"""


@pytest.fixture
def site_without_memory(lab):
    lab.on("login", "sh", "-c", "cat > /usr/local/bin/sbatch; chmod 755 /usr/local/bin/sbatch", input=FILTER)
    yield
    lab.on("login", "rm", "/usr/local/bin/sbatch")


@pytest.mark.torture
@pytest.mark.usefixtures("site_without_memory")
def test_a_site_that_refuses_requests_for_memory(desk):
    """By default none is made. The refusal of one names the variable that made it."""
    refused = desk.connect(check=False, route="forward_tunnel", memory="500M")
    assert refused.returncode and "--mem is not allowed" in refused.stdout and "paraview_memory" in refused.stdout, refused.stdout
    assert not desk.left()
    desk.connect(route="forward_tunnel")
    rendered_on_a_node(desk.client(desk.report()).stdout, desk.report())
    desk.nothing_left()


@pytest.mark.torture
def test_a_site_that_counts_the_whole_job(desk, lab):
    """PBS with totals: the job requests the sums, and nothing by node."""
    stand_in = StandIn(lab, "pbs")
    stand_in.install()
    lines = {"select": None, "place": None, "cores": "-l ncpus={cores}", "memory": "-l mem={memory_total_mb}mb", "gpus": "-l ngpus={gpus}"}
    try:
        desk.connect(route="forward_tunnel", nodes=1, tasks_per_node=1, cpus_per_task=2, memory="300M", gpus_per_node=2,
                     schedulers={"pbs": {"directives": {"lines": lines}}})
        directives = lab.on("login", "sh", "-c", "grep -h '^#PBS -l' /home/alice/.paraview-connect/*/job.sh").stdout.splitlines()
        assert {"#PBS -l ncpus=2", "#PBS -l mem=300mb", "#PBS -l ngpus=2"} < set(directives) and not [one for one in directives if "select" in one]
        rendered_on_a_node(desk.client(desk.report()).stdout, desk.report())
        desk.nothing_left(60)
    finally:
        stand_in.remove()


@pytest.mark.torture
def test_a_poll_interval_of_the_users_own(desk, lab):
    """While a job waits in the queue, its batch system is queried no more often than that."""
    count = '#!/bin/sh\ncase $* in *"show job"*) echo "$*" >> /home/alice/asked;; esac\nexec /usr/bin/scontrol "$@"\n'
    lab.on("login", "sh", "-c", "cat > /usr/local/bin/scontrol; chmod 755 /usr/local/bin/scontrol", input=count)
    lab.on("login", "sh", "-c", ": > asked", user="alice")

    def asked():
        return len(lab.on("login", "cat", "/home/alice/asked").stdout.splitlines())

    try:
        desk.connect(route="forward_tunnel", detach=True, queue="down", poll_interval="30s")
        lab.wait(lambda: desk.record()["state"] == "pending", 30, "it waits")
        lab.wait(asked, 90, "a query")
        before, began = asked(), time.monotonic()
        lab.wait(lambda: time.monotonic() - began > 40, 60, "time passes")
        assert asked() - before <= 2
        desk.disconnect()
        desk.nothing_left()
    finally:
        lab.on("login", "rm", "-f", "/usr/local/bin/scontrol", "/home/alice/asked")


@pytest.fixture
def sshd_on_ipv6_alone(lab, request):
    """Another sshd of the login node, which a login through the first one reaches at [::1]:2222."""
    lab.on("login", "systemd-run", "--unit=sshd6", "/usr/sbin/sshd", "-D", "-o", f"AddressFamily={getattr(request, 'param', 'any')}",
           "-o", "ListenAddress=[::1]:2222", "-o", "PidFile=none")
    lab.wait(lambda: lab.on("login", "ss", "-Hltn", "sport", "=", ":2222").stdout, 10, "it listens")
    yield
    lab.on("login", "systemctl", "stop", "sshd6")


@pytest.fixture
def six(lab):
    """The environment with an inventory of that sshd."""
    inventory = ("all:\n  hosts:\n    lab:\n      ansible_host: '::1'\n      ansible_port: 2222\n"
                 "      ansible_ssh_common_args: -J login.lab.example -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/home/alice/known6\n")
    lab.on("workstation", "sh", "-c", "cat > six.yml", user="alice", input=inventory)
    yield {"ANSIBLE_INVENTORY": "/home/alice/six.yml"}
    lab.on("workstation", "rm", "-f", "six.yml", "known6", user="alice")


@pytest.mark.torture
@pytest.mark.usefixtures("sshd_on_ipv6_alone")
@pytest.mark.parametrize("route", ["auto", "forward_tunnel", "reverse_tunnel_relay"])
def test_an_sshd_on_ipv6_alone(desk, six, route):
    settings = {"start_client": desk.client_command("reverse", "wait")} if route.startswith("reverse") else {}
    try:
        desk.connect(route=route, env=six, user_relay=True, **settings)
        report = desk.report()
        if settings:
            assert report["state"] == "connected"
        else:
            rendered_on_a_node(desk.client(report).stdout, report)
    finally:
        desk.run(*desk.words("disconnect"), env=six, check=False)
    desk.nothing_left()


@pytest.mark.torture
@pytest.mark.usefixtures("sshd_on_ipv6_alone")
@pytest.mark.parametrize("sshd_on_ipv6_alone", ["inet6"], indirect=True)
def test_an_sshd_that_forwards_over_ipv6_alone(desk, six):
    """pvserver listens on IPv4: the route is refused before the job is submitted."""
    refused = desk.connect(check=False, route="forward_tunnel", env=six)
    assert refused.returncode and "forwards over IPv6 alone (AddressFamily inet6" in refused.stdout
    assert not desk.left()
