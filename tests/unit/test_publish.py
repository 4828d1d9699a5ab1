# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role publish, and the filter that makes its files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.sciviz.paraview.plugins.filter.launcher_servers import launcher_servers

TOP = Path(__file__).resolve().parents[2]
CLUSTER = {"name": "frontera", "login": "login1.frontera.example.edu", "options": [{"name": "nodes", "type": "int"}, {"name": "account"}]}
LAYOUT = {"nix": "/bin/sh", "macos": "/bin/sh", "win32": r"C:\Windows\System32\OpenSSH\ssh.exe"}


def entries(text):
    return {server.get("name"): server for server in ElementTree.fromstring(text)}


def options(server):
    return [option.get("name") for option in server.iter("Option")]


def test_a_file_has_every_cluster():
    made = entries(launcher_servers([CLUSTER, dict(CLUSTER, name="vista", reverse=False)], "linux"))
    assert [server.get("resource").partition(":")[0] for server in made.values()] == ["csrc", "cs"] and list(made) == ["frontera", "vista"]
    assert "LC_PARAVIEW_ACCOUNT" in options(made["vista"])
    assert launcher_servers([], "linux") == '<?xml version="1.0" encoding="UTF-8"?>\n<Servers>\n</Servers>\n'


def test_plink_has_an_own_entry_without_free_text():
    made = entries(launcher_servers([dict(CLUSTER, windows_clients=["ssh", "plink"])], "windows"))
    assert list(made) == ["frontera", "frontera (PuTTY)"]
    assert options(made["frontera"])[3:] == ["LC_PARAVIEW_NODES", "LC_PARAVIEW_ACCOUNT"] and options(made["frontera (PuTTY)"])[3:] == ["LC_PARAVIEW_NODES"]
    assert list(entries(launcher_servers([dict(CLUSTER, windows_clients=["ssh", "plink"])], "macos"))) == ["frontera"]


@pytest.mark.parametrize("clusters", [[CLUSTER, CLUSTER], [dict(CLUSTER, login="a b")], [dict(CLUSTER, name="\x01")]])
def test_clusters_that_are_refused(clusters):
    with pytest.raises(AnsibleFilterError, match="frontera.*twice|no host name|XML"):
        launcher_servers(clusters, "linux")


@pytest.fixture(name="publish")
def _publish(tmp_path):
    """Runs the role; returns the host's counts of the play recap, or the output if the play failed."""
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "roles": ["sciviz.paraview.publish"]}]))

    def run(*more, **variables):
        defaults = {"paraview_publish_directory": str(tmp_path / "www"), "paraview_publish_clusters": [CLUSTER], "paraview_publish_versions": ["6.0"]}
        command = [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", "localhost,", "-c", "local", str(play), *more,
                   "-e", json.dumps({**defaults, "ansible_python_interpreter": sys.executable, **variables})]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=dict(
            os.environ, ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default", ANSIBLE_NOCOLOR="1", HOME=str(tmp_path)))
        text = done.stdout.decode()
        return dict(word.split("=") for word in text.rpartition("localhost")[2].split()[1:]) if not done.returncode else text

    return run


def test_the_role_writes_the_layout(publish, tmp_path):
    www = tmp_path / "www"
    assert publish("--check")["changed"] != "0" and not www.exists()
    assert publish(paraview_publish_versions=["5.11", "6.0"])["changed"] == "2"
    files = sorted(str(path.relative_to(www)) for path in www.rglob("*") if path.is_file())
    assert files == sorted("v{0}/{1}/servers.pvsc".format(version, system) for version in ("5_11", "6_0") for system in LAYOUT)
    for path in files:
        assert entries((www / path).read_text())["frontera"].find("CommandStartup/Command").get("exec") == LAYOUT[path.split("/")[1]]
        assert (www / path).stat().st_mode & 0o777 == 0o644
    assert publish()["changed"] == "0"
    counts = publish("--diff", paraview_publish_clusters=[dict(CLUSTER, name="vista")])
    assert counts["changed"] == "1" and list(entries((www / "v6_0/win32/servers.pvsc").read_text())) == ["vista"]


@pytest.mark.parametrize(("variables", "message"), [
    ({"paraview_publish_clusters": [{"name": "frontera"}]}, "missing required arguments: login"),
    ({"paraview_publish_clusters": [dict(CLUSTER, bind="0.0.0.0")]}, "all addresses of the login node"),
    ({"paraview_publish_clusters": [dict(CLUSTER, windows_clients=["telnet"])]}, "telnet")])
def test_what_the_role_refuses(publish, tmp_path, variables, message):
    assert message in publish(**variables)
    assert not list((tmp_path / "www").rglob("*.pvsc"))
