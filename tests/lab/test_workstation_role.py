# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role workstation, which offers clusters in the ParaView of a workstation."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from desk import Desk
from test_guides import ARCHIVE, GUIDES, TOP, blocks, pattern_of, steps, substituted

PLACE = "/opt/paraview-connect-trial"
FILE = PLACE + ".pvsc"
OTHERS = '<?xml version="1.0"?>\n<!-- ours -->\n<Servers>\n  <Server  name=\'other\' resource="cs://other:11111"><ManualStartup/></Server>\n</Servers>\n'
INVENTORY = {"all": {"children": {"clusters": {"hosts": {
    "frontera": {"ansible_host": "login.lab.example", "ansible_user": "somebody", "paraview_nodes": 2, "paraview_dialog": {"queue": ["debug", "viz"]}},
    "lassen": {"ansible_host": "login2.lab.example", "paraview_route": "reverse_tunnel"}}}}}}


class Workstation:
    """The workstation, as its admin has it."""

    def __init__(self, lab):
        self.lab = lab

    def write(self, path, text):
        self.lab.on("workstation", "sh", "-c", f"cat > {path}", input=text)

    def read(self, path):
        return self.lab.on("workstation", "cat", path).stdout

    def play(self, *words, timeout=240, **variables):
        """Runs the role; returns what it said."""
        settings = {"paraview_workstation_directory": PLACE, "paraview_workstation_servers_file": FILE,
                    "paraview_workstation_playbook": "/usr/local/bin/ansible-playbook", **variables}
        # As on a host that was hardened.
        command = ["sh", "-c", 'umask 077; exec "$@"', "sh", "ansible-playbook", "-i", "/root/clusters.json", "/etc/ansible/workstation.yml"]
        return self.lab.on("workstation", *command, "-e", json.dumps(settings), *words, timeout=timeout).stdout

    def names(self):
        return re.findall(r"<Server +name=[\"']([^\"']*)", self.read(FILE))


@pytest.fixture(name="workstation")
def _workstation(lab):
    workstation = Workstation(lab)
    workstation.write("/root/clusters.json", json.dumps(INVENTORY))
    yield workstation
    lab.on("workstation", "rm", "-rf", PLACE, FILE, "/root/clusters.json", "/root/inventory.yml", "/root/workstations.yml")


def test_clusters_are_offered_and_taken_back(workstation):
    workstation.write(FILE, OTHERS)
    said = workstation.play("--check", "--diff")
    assert '+  <Server name="frontera"' in said and workstation.read(FILE) == OTHERS
    assert "failed=0" in workstation.play()
    assert workstation.names() == ["other", "frontera", "frontera (reverse)", "lassen"]
    text = workstation.read(FILE)
    assert text.startswith(OTHERS[:OTHERS.index("</Servers>")])
    assert '<Entry value="viz" label="viz"/>' in text and '<Range type="int" min="1" max="1024" step="1" default="2"/>' in text
    assert "somebody" not in workstation.read(f"{PLACE}/clusters.yml")
    assert "changed=0" in workstation.play()
    workstation.play(paraview_workstation_group="lassen", paraview_workstation_terminal="xterm -e")
    assert workstation.names() == ["other", "lassen"]
    assert "PARAVIEW_TERMINAL=${PARAVIEW_TERMINAL:-'xterm -e'}" in workstation.read(f"{PLACE}/connect")
    workstation.write(f"{PLACE}/mine", "")
    workstation.play(paraview_workstation_state="absent")
    assert workstation.read(FILE) == OTHERS
    assert workstation.lab.on("workstation", "ls", "-A", PLACE).stdout.split() == ["mine"], "what is not its own is left alone"


@pytest.mark.parametrize(("settings", "words"), [({"paraview_workstation_group": "nowhere"}, "no host of the inventory matches nowhere"),
                                                 ({"paraview_workstation_directory": "/opt/a b"}, "/opt/a b cannot be")])
def test_an_invalid_setting_changes_nothing(workstation, settings, words):
    with pytest.raises(AssertionError, match=words):
        workstation.play(**settings)
    assert workstation.lab.on("workstation", "ls", FILE, check=False).returncode


def test_what_others_have_is_not_replaced(workstation):
    workstation.write(FILE, OTHERS.replace("'other'", "'lassen'"))
    with pytest.raises(AssertionError, match="entries with these names that are not this role's: lassen"):
        workstation.play()
    with pytest.raises(AssertionError, match="/usr/share exists, and holds other files"):
        workstation.play(paraview_workstation_directory="/usr/share", paraview_workstation_group="frontera")
    assert "lassen" in workstation.read(FILE) and "frontera" not in workstation.read(FILE)


@pytest.mark.torture
def test_it_brings_its_own_ansible(workstation):
    subprocess.run([TOP / "tests/tools/build"], check=True, capture_output=True, timeout=120)
    archive = f"{PLACE}.tar.gz"
    subprocess.run([Path(__file__).parent / "on", "workstation", "sh", "-c", f"cat > {archive}"], check=True, input=(TOP / "build" / ARCHIVE).read_bytes())
    try:
        said = workstation.play(paraview_workstation_playbook="", paraview_workstation_collection=archive,
                                paraview_workstation_pip_arguments=["--no-index", "--find-links=/opt/sciviz/wheels"])
        assert "failed=0" in said
        status = Desk(workstation.lab).run(f"{PLACE}/connect", "sciviz.paraview.status").stdout
        assert "no session" in status
    finally:
        workstation.lab.on("workstation", "rm", "-f", archive)


@pytest.mark.torture
def test_the_guide_of_the_role(lab, workstation):
    """What an admin types; the files of a user of one's own are in test_dialog."""
    try:
        for language, caption, lines in blocks((GUIDES / "guide_connect_dialog.rst").read_text()):
            if caption and not caption.startswith("~"):
                workstation.write(f"/root/{caption}", substituted("\n".join(lines) + "\n"))
            for command, said in steps(lines) if language == "console" and "inventory.yml" in lines[0] else ():
                heard = lab.on("workstation", "sh", "-c", command).stdout
                for line in said:
                    assert re.search(f"(?m)^{pattern_of(line)}$", heard), heard
        assert 'name="frontera (reverse)"' in workstation.read("/usr/share/ParaView/servers.pvsc")
    finally:
        lab.on("workstation", "ansible-playbook", "/etc/ansible/workstation.yml")
    assert 'name="lab"' in workstation.read("/usr/share/ParaView/servers.pvsc") and "frontera" not in workstation.read("/usr/share/ParaView/servers.pvsc")
