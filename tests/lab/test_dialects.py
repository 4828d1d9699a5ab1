# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What single sites have that others have not: names of nodes, constraints, launchers, on the lab's own Slurm."""

import re

import pytest
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
