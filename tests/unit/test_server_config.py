# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of ParaView's Connect dialog that run connect, and the module that writes them."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import connect_entry, launcher_entry
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import servers_file
from ansible_collections.sciviz.paraview.plugins.modules import server_config
from test_documentation import documentation
from test_sshd_modules import comparable

PLAYBOOK = "/opt/ansible/bin/ansible-playbook"
OPTIONS = [
    {"name": "nodes", "label": "Nodes", "type": "int", "min": 1, "max": 64, "default": "2"}, {"name": "account"},
    {"name": "walltime", "type": "choice", "choices": [{"value": "1:00:00", "label": "an hour"}, {"value": "8:00:00"}], "default": "8:00:00"},
    {"name": "exclusive", "type": "bool", "default": "true"}, {"name": "setup", "type": "file"}]


def made(**arguments):
    defaults = {"name": "frontera", "host": "frontera", "reverse": False, "command": [PLAYBOOK, "-i", "/etc/clusters.yml"], "options": OPTIONS}
    return ElementTree.fromstring(connect_entry.entry(**{**defaults, **arguments}))


def words(server):
    return [one.get("value") for one in server.findall("CommandStartup/Command/Arguments/Argument")]


def test_an_entry():
    server = made()
    assert (server.get("name"), server.get("resource"), server.get("timeout")) == ("frontera", "cs://127.0.0.1:11111", "60")
    command = server.find("CommandStartup/Command")
    assert (command.get("exec"), command.get("delay")) == (PLAYBOOK, "-1")
    options = {one.get("name"): one for one in server.findall("CommandStartup/Options/Option")}
    assert list(options) == ["PV_SERVER_PORT", "PV_CONNECT_ID", *("PARAVIEW_" + one["name"].upper() for one in OPTIONS)]
    assert options["PV_CONNECT_ID"].get("save") == "false" and options["PARAVIEW_NODES"].get("save") == "true"
    assert options["PV_CONNECT_ID"].find("Range").get("default") == options["PV_SERVER_PORT"].find("Range").get("default") == "random"
    assert options["PARAVIEW_NODES"].find("Range").attrib == {"type": "int", "min": "1", "max": "64", "step": "1", "default": "2"}
    assert [(one.get("value"), one.get("label")) for one in options["PARAVIEW_WALLTIME"].iter("Entry")] == [("1:00:00", "an hour"), ("8:00:00", "8:00:00")]
    assert options["PARAVIEW_WALLTIME"].find("Enumeration").get("default") == "8:00:00"
    assert options["PARAVIEW_EXCLUSIVE"].find("Boolean").attrib == {"true": "true", "false": "false", "default": "true"}
    assert words(server)[:4] == ["-i", "/etc/clusters.yml", "sciviz.paraview.connect", "-e"]
    assert "paraview_nodes={{lookup('ansible.builtin.env','PARAVIEW_NODES')}}" in words(server)
    assert "paraview_route_order=node_tunnel,forward_tunnel" in words(server)
    # pvserver must match the ParaView that runs the entry, and not the one on the PATH.
    assert "paraview_client_version={{lookup('ansible.builtin.env','PV_VERSION_FULL',default='')}}" in words(server)


def test_routes_to_try():
    assert "paraview_route_order=forward_tunnel" in words(made(order=["forward_tunnel"]))
    for arguments in ({"order": ["reverse_tunnel"]}, {"order": ["no_such"]}, {"options": [{"name": "route", "default": "reverse_tunnel"}]},
                      {"options": [{"name": "route", "type": "choice", "choices": [{"value": "auto"}, {"value": "reverse_tunnel"}]}]}):
        with pytest.raises(SessionError, match="no route in which ParaView connects to pvserver"):
            made(**arguments)


def test_an_entry_for_the_other_direction():
    server = made(reverse=True, port=40123)
    assert (server.get("resource"), server.get("timeout"), server.find("CommandStartup/Command").get("delay")) == ("csrc://127.0.0.1:11111", "-1", "0")
    assert server.find("CommandStartup/Options/Option/Range").attrib == {"type": "int", "min": "40123", "max": "40123", "step": "1", "default": "40123"}
    assert "paraview_route_order=node_tunnel_reverse,reverse_tunnel,reverse_tunnel_relay" in words(server)


@pytest.mark.parametrize("arguments", [
    {"command": ["ansible-playbook"]}, {"command": []}, {"command": ["/opt/my ansible/ansible-playbook"]},
    {"command": [PLAYBOOK, "-i", "/etc/my clusters.yml"]}, {"command": [PLAYBOOK, "-e", 'x="y"']},
    {"command": [PLAYBOOK, "$PV_HOST$"]}, {"name": "$5 a node"}, {"host": "a b"}, {"options": [{"name": "nodes"}, {"name": "nodes"}]},
    {"options": [{"name": "connect_id"}]},
    {"options": [{"name": "client_version"}]}, {"options": [{"name": "no-name"}]}, {"options": [{"name": "queue", "default": "$x"}]},
    {"options": [{"name": "queue", "type": "choice"}]}, {"options": [{"name": "queue", "type": "choice", "choices": [{"value": "a"}], "default": "b"}]}])
def test_values_that_paraview_would_change_are_refused(arguments):
    with pytest.raises(SessionError, match="cannot be in a server configuration"):
        made(**arguments)


def test_characters_that_xml_does_not_allow_are_refused():
    with pytest.raises(ValueError, match="XML"):
        made(name="a\x01")


# --- the module ---


@pytest.fixture(name="run")
def _run(tmp_path):
    """Runs the module with Ansible; returns its result."""
    def run(*more, **arguments):
        words = [os.path.join(os.path.dirname(sys.executable), "ansible"), "localhost", "-i", "localhost,", "-c", "local",
                 "-m", "sciviz.paraview.server_config", "-e", "ansible_python_interpreter=" + sys.executable, "-a", json.dumps(arguments), *more]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=dict(
            os.environ, ANSIBLE_STDOUT_CALLBACK="ansible.builtin.oneline", HOME=str(tmp_path), ANSIBLE_LOCALHOST_WARNING="false", ANSIBLE_NOCOLOR="1"))
        text = done.stdout.decode()
        assert "Traceback" not in text
        return json.JSONDecoder().raw_decode(text[text.index("=> {") + 3:])[0]

    return run


def test_the_module_adds_and_removes_an_entry(run, tmp_path):
    path = tmp_path / "new" / "servers.pvsc"
    arguments = {"path": str(path), "name": "frontera", "command": [PLAYBOOK], "options": [{"name": "nodes", "type": "int"}]}
    assert run("--check", **arguments)["changed"] and not path.exists()
    assert run(**arguments)["changed"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert servers_file.Configuration(path.read_bytes(), "").names() == ["frontera"]
    assert not run(**arguments)["changed"]
    result = run("--diff", **dict(arguments, host="other"))
    assert result["changed"] and result["names"] == ["frontera"]
    assert run(**dict(arguments, state="absent"))["names"] == []
    assert not run(**dict(arguments, state="absent"))["changed"]


def test_the_module_adds_an_entry_for_the_launcher(run, tmp_path):
    path = tmp_path / "servers.pvsc"
    arguments = {"path": str(path), "name": "frontera", "reverse": True, "launcher": {"login": "login1.example.edu"}, "options": [{"name": "account"}]}
    old = b"<Servers >\r\n<!-- mine -->\t<Server  name='a' resource='cs://b'><ManualStartup/></Server>\r\n</Servers>"
    path.write_bytes(old)
    assert run("--check", **arguments)["changed"] and path.read_bytes() == old
    assert run(**arguments)["changed"] and not run(**arguments)["changed"]
    entry = launcher_entry.entry("frontera", arguments["launcher"], True, arguments["options"])
    assert path.read_bytes() == old.replace(b"</Servers>", b"  " + entry.strip().encode() + b"\n</Servers>")
    assert "mutually exclusive" in run(command=[PLAYBOOK], **arguments)["msg"]
    assert "it is no host name" in run(**dict(arguments, launcher={"login": "a b"}))["msg"]


def test_the_module_leaves_a_malformed_file_alone(run, tmp_path):
    path = tmp_path / "servers.pvsc"
    path.write_text("<Servers>\n<Server name='a'>\n</Servers>\n")
    result = run(path=str(path), name="frontera", command=[PLAYBOOK])
    assert "line 3: mismatched tag" in result["msg"]
    assert path.read_text() == "<Servers>\n<Server name='a'>\n</Servers>\n"


def test_all_users_can_read_a_new_file_and_a_link_stays_a_link(run, tmp_path):
    real, link = tmp_path / "dotfiles" / "servers.pvsc", tmp_path / "servers.pvsc"
    link.symlink_to(real)
    before = os.umask(0o077)
    try:
        assert run(path=str(link), name="frontera", command=[PLAYBOOK])["changed"]
    finally:
        os.umask(before)
    assert link.is_symlink() and b"frontera" in real.read_bytes()
    assert real.stat().st_mode & 0o777 == 0o644 and real.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("trap", ["the directory", "the file"])
def test_in_a_users_home_root_has_only_the_users_rights(run, trap):
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        home, away = Path(top, "home"), Path(top, "away")
        home.mkdir()
        away.mkdir()
        os.chown(home, 65534, 65534)
        path = home / "ParaView" / "servers.pvsc"
        result = run(path=str(path), name="frontera", command=[PLAYBOOK])
        assert result["changed"] and path.stat().st_uid == path.parent.stat().st_uid == 65534
        if trap == "the directory":
            trapped = home / "trapped"
            trapped.symlink_to(away)
            path = trapped / "servers.pvsc"
        else:
            path = home / "servers.pvsc"
            path.symlink_to(away / "servers.pvsc")
        result = run(path=str(path), name="frontera", command=[PLAYBOOK])
        assert "Permission denied" in result["msg"] and not list(away.iterdir())
        assert os.geteuid() == 0


@pytest.mark.parametrize("arguments", [{"name": ""}, {"name": " "}, {"name": "a\x07"}])
def test_an_invalid_name_changes_nothing(run, tmp_path, arguments):
    path = tmp_path / "servers.pvsc"
    assert "nothing was changed" in run(path=str(path), host="frontera", command=[PLAYBOOK], **arguments)["msg"]
    assert not path.exists()


def test_a_relative_path(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--check", path=".config/ParaView/servers.pvsc", name="frontera", command=[PLAYBOOK])["changed"]


def test_a_file_that_paraview_will_overwrite_is_not_changed(tmp_path, program, until):
    path = tmp_path / ".config/ParaView/servers.pvsc"
    servers_file.refuse_while_it_runs(str(path))
    paraview = subprocess.Popen([program("paraview-real", "#!/bin/sh\nsleep 1000 & wait\n")], start_new_session=True)
    try:
        until(lambda: Path("/proc/{0}/comm".format(paraview.pid)).read_text() == "paraview-real\n")
        with pytest.raises(SessionError, match="cannot be changed now") as caught:
            servers_file.refuse_while_it_runs(str(path))
        assert str(paraview.pid) in caught.value.why
        servers_file.refuse_while_it_runs(str(tmp_path / "servers.pvsc"))
    finally:
        os.killpg(paraview.pid, 9)
        paraview.wait()


def test_an_entry_for_a_session_that_is_ready():
    server = ElementTree.fromstring(connect_entry.ready_entry("a (session 1)", "csrc://127.0.0.1:5", 17))
    option = server.find("ManualStartup/Options/Option")
    assert (server.get("resource"), server.get("timeout"), option.get("name"), option.get("readonly")) == ("csrc://127.0.0.1:5", "-1", "PV_CONNECT_ID", "true")
    assert option.find("Range").get("default") == "17"
    assert ElementTree.fromstring(connect_entry.ready_entry("a", "cs://127.0.0.1:5", 0)).find("ManualStartup/Options") is None


def test_options_are_the_documented_ones():
    assert comparable(documentation("server_config")["options"], "suboptions").items() >= comparable(server_config.SPEC, "options").items()


def test_the_examples_are_valid():
    for task in yaml.safe_load(server_config.EXAMPLES):
        arguments = task["sciviz.paraview.server_config"]
        if arguments.get("launcher"):
            assert launcher_entry.entry(arguments["name"], arguments["launcher"], arguments["reverse"], arguments["options"])
        elif arguments.get("state") != "absent":
            made(name=arguments["name"], host=arguments["name"], command=arguments["command"], options=arguments["options"])
