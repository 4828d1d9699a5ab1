# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvserver in containers and behind wrappers, with as many ranks as a user requests, on real nodes."""

import re

import pytest
from desk import long
from test_connect import rendered_on_a_node
from test_rendering import pvservers

HOME = "/home/alice"
# The root of the image has the host's system and its own /opt, where pvserver is; the host has no such directory.
CONTAINER = r"""#!/bin/sh
PATH=$PATH:/usr/sbin:/sbin
[ "${0##*/}" = shifter ] || shift
while :; do case $1 in --image=*) image=${1#*=}; shift;; -*) shift;; *) break;; esac; done
[ -n "$image" ] || { image=$1; shift; }
export image here="$(pwd)"
exec unshare --map-current-user --keep-caps -m --propagation private sh -c '
  for place in usr proc sys dev tmp home etc run srv; do mkdir -p "$image/$place"; mount --rbind "/$place" "$image/$place" || exit 125; done
  for place in bin sbin lib lib64; do [ -e "$image/$place" ] || ln -s "usr/$place" "$image/$place"; done
  exec chroot "$image" sh -c "PATH=/opt/paraview/bin:/usr/bin:/bin; cd \"$here\"; exec \"\$@\"" sh "$@"' sh "$@"
"""
IN_IMAGE = '#!/bin/sh\nexport IMAGE=1\nexec xvfb-run -a -s -noreset /usr/bin/pvserver "$@"\n'
BIND_GPU = '#!/bin/sh\n# A site\'s script that gives each process its own device.\nexport BOUND=${OMPI_COMM_WORLD_LOCAL_RANK:-${SLURM_LOCALID:-0}}\nexec "$@"\n'
XVFB = 'exec xvfb-run -a -s -noreset /usr/bin/pvserver "$@"'
MACHINE_FILE = {"nodes": 2, "tasks": 3, "mpi_launcher": "mpirun --oversubscribe --map-by node -machinefile $MACHINES -np {tasks}",
                "setup": 'MACHINES=$(mktemp); export MACHINES; scontrol show hostnames > "$MACHINES"'}
APPTAINER, IMAGE = f"{HOME}/tools/apptainer", f"{HOME}/pv.sif"


@pytest.fixture(scope="module")
def tools(lab):
    """A container runtime, an image, and a site's script, in the user's home."""
    programs = {"tools/apptainer": CONTAINER, "tools/shifter": CONTAINER, "tools/bind-gpu": BIND_GPU, "pv.sif/opt/paraview/bin/pvserver": IN_IMAGE}
    for name, text in programs.items():
        lab.on("login", "sh", "-c", 'mkdir -p "${1%/*}"; cat > "$1"; chmod 755 "$1"', "sh", f"{HOME}/{name}", user="alice", input=text)
    yield
    lab.on("login", "rm", "-rf", f"{HOME}/tools", IMAGE, user="alice")


def environment(desk, node, name):
    """The values of a variable in the environments of alice's pvservers on a node."""
    found = desk.lab.on(node, "sh", "-c", 'for pid in $(pgrep -u alice -f /usr/bin/pvserver); do tr "\\0" "\\n" < /proc/$pid/environ | grep "^$1="; done; true',
                        "sh", name).stdout.split()
    return {one.partition("=")[2] for one in found}


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("pvserver", [
    [APPTAINER, "exec", "--nv", IMAGE, "pvserver"], long(f"{APPTAINER} exec {IMAGE} /opt/paraview/bin/pvserver"),
    long([f"{HOME}/tools/shifter", f"--image={IMAGE}", "pvserver"])], ids=["apptainer", "path", "shifter"])
def test_a_pvserver_in_a_container(desk, pvserver):
    """Its version is that of the container's pvserver, and what is looked for on the node is the container runtime."""
    done = desk.connect(route="forward_tunnel", pvserver=pvserver)
    report = desk.report()
    assert "No such file" not in done.stdout and "does not exist" not in done.stdout
    assert environment(desk, report["nodes"][0], "IMAGE") == {"1"}
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


@pytest.mark.usefixtures("tools")
def test_an_image_that_is_not_there(desk):
    done = desk.connect(route="forward_tunnel", pvserver=[f"{HOME}/tools/none", "exec", IMAGE, "pvserver"], check=False)
    assert done.returncode != 0
    assert f"{HOME}/tools/none" in "\n".join(desk.lines(done)[-3:])
    assert not desk.left()


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("pvserver", [
    long(["sh", "-c", "export WRAPPED=1; " + XVFB, "sh"]),
    [f"{HOME}/tools/bind-gpu", "xvfb-run", "-a", "-s", "-noreset", "/usr/bin/pvserver"]], ids=["shell", "script"])
def test_a_pvserver_behind_a_wrapper(desk, pvserver):
    desk.connect(route="node_tunnel", pvserver=pvserver)
    report = desk.report()
    node = report["nodes"][0]
    assert environment(desk, node, "WRAPPED" if pvserver[0] == "sh" else "BOUND") == ({"1"} if pvserver[0] == "sh" else {"0"})
    drawn = desk.client(report).stdout
    # A shell may start any pvserver, so the job does not know whether that one can run the program for the time left.
    rendered_on_a_node(drawn if pvserver[0] != "sh" else drawn + "\nminutes left 1\n", report)
    desk.nothing_left()


@pytest.mark.parametrize(("settings", "ranks"), [
    ({"nodes": 2, "tasks": 3}, 3), long({"nodes": 2, "tasks_per_node": 2}, 4), long(MACHINE_FILE, 3)], ids=["tasks", "each", "machinefile"])
def test_as_many_ranks_as_requested(desk, settings, ranks):
    """In all or on each node, started by the batch system's launcher or by one with a machine file of the job."""
    done = desk.connect(route="forward_tunnel", **settings)
    report = desk.report()
    assert f"2 nodes, {ranks} tasks" in done.stdout
    found = {node: [line for line in pvservers(desk, node) if "/usr/bin/pvserver" in line or " pvserver --" in line] for node in report["nodes"]}
    assert sorted(found) == ["compute1", "compute2"] and all(found.values())
    drawn = desk.client(report).stdout
    places = re.search("^ranks (.*)$", drawn, re.M).group(1).split()
    assert len(places) == ranks and set(places) == {"compute1", "compute2"} and f"drawn by ranks 0 {ranks - 1}\n" in drawn
    desk.nothing_left()


def test_ranks_that_cannot_be_spread_are_refused_before_the_queue(desk):
    done = desk.connect(nodes=2, tasks=5, tasks_per_node=2, check=False)
    assert done.returncode != 0 and "paraview_tasks" in done.stdout
    assert not desk.left()
