# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bob does on alice's machine before or during a session of hers, and where."""

import pytest
from desk import STATE

SOCKETS = "/tmp/paraview-connect-20001"


@pytest.fixture(name="bob")
def _bob(desk):
    """Runs shell lines as bob on alice's machine; what they made in /tmp is removed."""
    yield lambda text: desk.lab.on("workstation", "sh", "-c", text, user="bob")
    desk.clean_up()
    desk.lab.on("workstation", "sh", "-c", f"rm -rf {SOCKETS} /tmp/report.json /tmp/state /tmp/page.html; chmod 700 /home/alice")


def refused(desk, words, **settings):
    """The run is refused, and names the thing and the way out; no job was submitted and no login was made."""
    done = desk.connect(check=False, **settings)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in done.stdout, done.stdout
    assert desk.jobs() == [] and desk.masters() == []
    return done


@pytest.mark.parametrize("plant", ["mkdir -m 777 {0}", "mkdir -m 700 {0}", "ln -s /tmp {0}", "touch {0}", "ln -s nowhere {0}"])
def test_the_directory_of_sockets(desk, bob, plant):
    bob(plant.format(SOCKETS))
    refused(desk, [f"cannot keep the connection's socket in {SOCKETS}", "bob (uid 20002)"])


@pytest.mark.parametrize("plant", [
    "mkdir -p -m 777 {0}/lab && echo '{{\"id\": \"0123456789abcdef\", \"daemon\": [1, \"1\"]}}' > {0}/lab/session.json", "ln -s /home/bob {0}"])
def test_a_directory_of_records_in_a_shared_directory(desk, bob, plant):
    bob(plant.format("/tmp/state"))
    refused(desk, ["cannot keep session records in /tmp/state", "bob (uid 20002)"], state_dir="/tmp/state")
    done = desk.run(*desk.words("status", None, state_dir="/tmp/state"), check=False)
    assert done.returncode == 2 and "cannot keep session records in /tmp/state" in done.stdout


def test_a_home_that_bob_can_write_to(desk, bob):
    desk.run("mkdir", "-p", STATE)
    desk.run("chmod", "777", "/home/alice")
    refused(desk, ["/home/alice is writable for any account (mode 0777)", "chmod go-w"])
    desk.run("chmod", "755", "/home/alice")
    assert desk.status().returncode == 0


@pytest.mark.parametrize("plant", ["echo '[]' > {0}", "ln -s /home/alice/.bashrc {0}", "mkfifo -m 666 {0}", "mkdir -m 777 {0}"])
def test_a_report_in_a_shared_directory(desk, bob, plant):
    before = desk.run("cat", ".bashrc").stdout
    bob(plant.format("/tmp/report.json"))
    refused(desk, ["cannot write paraview_json: /tmp/report.json", "belongs to bob (uid 20002)", "directory that only you can write to"],
            json="/tmp/report.json")
    assert desk.run("cat", ".bashrc").stdout == before


def test_a_session_goes_on_while_bob_holds_the_locks(desk, bob):
    """He can lock each directory that he can open, such as /tmp."""
    lock = "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print('locked', flush=True); time.sleep(600)"
    holder = desk.lab.start("workstation", "python3", "-c", lock, "/tmp", user="bob")
    try:
        assert holder.stdout.readline().strip() in ("locked", b"locked")
        desk.connect(json="/tmp/report.json", route="forward_tunnel")
        assert bob("cat /tmp/report.json 2>&1 || true").stdout.endswith("Permission denied\n")
        assert bob("rm -f /tmp/report.json 2>&1 || true").stdout
        desk.disconnect(json="/tmp/report.json")
        desk.nothing_left()
    finally:
        holder.kill()
        holder.wait()


def test_everything_is_made_private_with_an_open_umask(desk):
    desk.run("sh", "-c", "umask 0; exec \"$@\"", "sh", *desk.words("connect", route="forward_tunnel"))
    modes = desk.run("stat", "-c", "%a", SOCKETS, STATE, f"{STATE}/lab", "/home/alice/.cache/paraview-connect").stdout.split()
    assert modes == ["700"] * 4
    assert desk.run("sh", "-c", f"find {STATE} -type f -perm /077").stdout == ""
    desk.disconnect()
    desk.nothing_left()
