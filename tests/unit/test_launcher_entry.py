# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of ParaView's Connect dialog that run a login node's launcher, executed in the same way as ParaView."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import launcher_entry

LOGIN = "login1.frontera.example.edu"
OPTIONS = [{"name": "nodes", "type": "int", "min": 1, "max": 64, "default": "2"},
           {"name": "queue", "type": "choice", "choices": [{"value": ""}, {"value": "debug"}]}]
TEXT = [{"name": "account"}]
HOSTILE = """it's; `touch x` $(touch x) & "a"  b \\ \N{LATIN SMALL LETTER E WITH ACUTE}"""
ANSWERS = {"PV_SERVER_PORT": "23456", "PV_CONNECT_ID": "4711", "PV_VERSION_FULL": "5.11.0", "PARAVIEW_USER": "carol", "LC_PARAVIEW_NODES": "3",
           "LC_PARAVIEW_QUEUE": "debug"}
STAND_IN = "#!{0}\nimport json, os, sys\nprint(json.dumps([sys.argv, dict(os.environ)]))\n".format(sys.executable)


def made(options=tuple(OPTIONS), reverse=True, port=0, **launcher):
    text = launcher_entry.entry("frontera", dict({"login": LOGIN}, **launcher), reverse, options, port)
    assert text.isascii()
    return ElementTree.fromstring(text)


def command(server, answers):
    """The words into which ParaView splits a command, by Qt/Core/pqServerConfiguration.cxx, Qt/Components/pqServerLauncher.cxx and QProcess::splitCommand."""
    about = server.find("CommandStartup/Command")
    values = [one.get("value") for one in about.findall("Arguments/Argument")]
    text = " ".join([about.get("exec")] + ['"{0}"'.format(value) if re.search(r"\s", value) else value for value in values])
    while True:
        found = re.search(r"\$([^$ ]*)\$", text)
        if not found:
            return split(text)
        text = text.replace(found.group(0), answers.get(found.group(1), found.group(1)))


def split(text):
    words, word, quotes, quoted = [], "", 0, False
    for char in text + " ":
        if char == '"':
            quotes += 1
            if quotes == 3:
                quotes, word = 0, word + char
            continue
        if quotes == 1:
            quoted = not quoted
        quotes = 0
        if quoted or not char.isspace():
            word += char
        elif word:
            words, word = words + [word], ""
    return words


@pytest.fixture(name="run")
def _run(program):
    """Runs a command with a stand-in for the client; returns the stand-in's arguments and environment."""
    client = program("a client", STAND_IN)

    def run(reverse=True, answers=None, options=(), **launcher):
        environment = dict(ANSWERS, HOME="/home/carol", **(answers or {}))
        server = made(options, reverse, ssh_path=str(client), **launcher)
        done = subprocess.run(command(server, environment), stdout=subprocess.PIPE, env=environment, check=True)
        return json.loads(done.stdout.decode())

    return run


@pytest.mark.parametrize("system", ["linux", "macos"])
def test_reverse_over_ssh(run, system):
    words, environment = run(options=OPTIONS, bind="192.0.2.1", system=system)
    assert words[1:] == ["-l", "carol", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15", "-o", "SendEnv=LC_PARAVIEW_*",
                         "-o", "ControlMaster=no", "-R", "192.0.2.1:23456:127.0.0.1:23456", LOGIN, "/usr/local/bin/paraview-launch", "reverse"]
    assert {name: value for name, value in environment.items() if name.startswith("LC_PARAVIEW_")} == {
        "LC_PARAVIEW_PORT": "23456", "LC_PARAVIEW_CONNECT_ID": "4711", "LC_PARAVIEW_VERSION": "5.11.0", "LC_PARAVIEW_NODES": "3", "LC_PARAVIEW_QUEUE": "debug"}
    server = made(bind="192.0.2.1", system=system)
    assert (server.get("resource"), server.get("timeout"), server.find("CommandStartup/Command").get("delay")) == ("csrc://127.0.0.1:11111", "-1", "5")


def test_forward_over_ssh_leaves_the_connection_to_a_master(run):
    words, _environment = run(False, {"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert words[1:5] == ["-S", "/run/user/1000/ParaView 23456", "-l", "carol"]
    assert words[-8:] == ["ControlMaster=yes", "-o", "ControlPersist=60", "-L", "127.0.0.1:23456:127.0.0.1:23456", LOGIN, "/usr/local/bin/paraview-launch",
                          "forward", "--leave"][-8:]
    assert run(False)[0][2] == "/home/carol/.ssh/ParaView 23456"
    server = made(reverse=False)
    assert (server.get("resource"), server.get("timeout"), server.find("CommandStartup/Command").get("delay")) == ("cs://127.0.0.1:11111", "60", "-1")


@pytest.mark.parametrize("client", ["ssh", "plink"])
def test_forward_without_a_master_holds(run, client):
    words, _environment = run(False, system="windows", client=client)
    assert "forward" in words and "--leave" not in words
    assert made([], False, system="windows", client=client).find("CommandStartup/Command").get("delay") == "15"
    assert made([], False, system="windows", client=client, delay=40).find("CommandStartup/Command").get("delay") == "40"


def test_over_ssh_on_windows(run):
    words, environment = run(options=OPTIONS, system="windows")
    assert words[9:] == ["SetEnv=LC_PARAVIEW_PORT=23456 LC_PARAVIEW_CONNECT_ID=4711 LC_PARAVIEW_VERSION=5.11.0", "-oUser=carol",
                         "-R", "127.0.0.1:23456:127.0.0.1:23456", LOGIN, "/usr/local/bin/paraview-launch", "reverse"]
    assert environment["LC_PARAVIEW_NODES"] == "3"


def test_over_plink(run):
    words, _environment = run(options=OPTIONS, system="windows", client="plink")
    assert words[1:] == ["-ssh", "-batch", "-T", "-R", "127.0.0.1:23456:127.0.0.1:23456", "carol@" + LOGIN, "/usr/local/bin/paraview-launch", "reverse",
                         "--port=23456", "--connect-id=4711", "--version=5.11.0", "--nodes=3", "--queue=debug"]


def test_programs_of_each_system():
    def exec_of(**launcher):
        return made([], **launcher).find("CommandStartup/Command").get("exec")

    assert exec_of(system="windows") == r"C:\Windows\System32\OpenSSH\ssh.exe"
    assert exec_of(system="windows", client="plink") == r'"C:\Program Files\PuTTY\plink.exe"'
    assert split(exec_of(system="windows", client="plink")) == [r"C:\Program Files\PuTTY\plink.exe"]
    assert exec_of() == "/bin/sh" and command(made([]), ANSWERS)[3] == "/usr/bin/ssh"


@pytest.mark.parametrize("reverse", [True, False])
def test_typed_text_stays_unchanged(run, reverse):
    words, environment = run(reverse, {"LC_PARAVIEW_ACCOUNT": HOSTILE, "PARAVIEW_USER": HOSTILE}, TEXT)
    assert environment["LC_PARAVIEW_ACCOUNT"] == HOSTILE
    assert words[words.index("-l") + 1] == HOSTILE and not [word for word in words if "4711" in word]


@pytest.mark.parametrize(("user", "on_windows"), [("", "-oUser="), ("a b", "-oUser=a b")])
def test_user_names_that_ssh_refuses_itself(run, user, on_windows):
    assert on_windows in run(answers={"PARAVIEW_USER": user}, system="windows")[0]
    assert "{0}@{1}".format(user, LOGIN) in run(answers={"PARAVIEW_USER": user}, client="plink")[0]


def test_without_a_user_name_ssh_uses_its_configuration(run):
    assert "-l" not in run(answers={"PARAVIEW_USER": ""})[0]


def test_the_options_of_the_dialog():
    options = {one.get("name"): one for one in made(OPTIONS + TEXT, user="carol", ports="30000-30010").findall("CommandStartup/Options/Option")}
    assert list(options) == ["PARAVIEW_USER", "PV_SERVER_PORT", "PV_CONNECT_ID", "LC_PARAVIEW_NODES", "LC_PARAVIEW_QUEUE", "LC_PARAVIEW_ACCOUNT"]
    assert options["PARAVIEW_USER"].find("String").get("default") == "carol" and options["PARAVIEW_USER"].get("save") == "true"
    assert options["PV_SERVER_PORT"].find("Range").attrib == {"type": "int", "min": "30000", "max": "30010", "step": "1", "default": "random"}
    assert made(port=30005).find("CommandStartup/Options/Option/Range").get("default") == "30005"


@pytest.mark.parametrize("arguments", [
    {"login": ""}, {"login": "-oProxyCommand=x"}, {"login": "a b"}, {"login": "$PV_HOST$"}, {"login": "a;b"}, {"user": "a b"}, {"user": "-x"}, {"user": 'a"'},
    {"user": "$USER$"}, {"path": "paraview-launch"}, {"path": "/opt/a b"}, {"path": "/opt/a;b"}, {"path": "/opt/$x"}, {"bind": "localhost"}, {"bind": "*"},
    {"bind": "0.0.0.0"}, {"bind": "1.2.3"}, {"bind": "1.2.3.4.5"}, {"bind": "1.2.3.256"}, {"bind": "::1"}, {"ports": "80-90"}, {"ports": "30000-20000"},
    {"ports": "all"}, {"ports": "20000-70000"}, {"system": "beos"}, {"client": "telnet"}, {"ssh_path": "ssh"}, {"ssh_path": 'C:\\a"b'}, {"ssh_path": "/a/$x$"},
    {"ssh_path": "/a\nb"}, {"delay": -1}, {"options": [{"name": "account", "type": "file"}]}, {"options": [{"name": "connect_id"}]},
    {"options": [{"name": "nodes"}, {"name": "nodes"}]}, {"options": [{"name": "queue", "default": "$x"}]}, {"client": "plink", "options": TEXT},
    {"client": "plink", "options": [{"name": "queue", "type": "choice", "choices": [{"value": "a;b"}]}]}])
def test_invalid_values_are_refused(arguments):
    with pytest.raises(SessionError, match="cannot be in a server configuration"):
        made(**arguments)


def test_the_launcher_has_every_option():
    launcher_options = pytest.importorskip("ansible_collections.sciviz.paraview.plugins.module_utils.launcher.options")
    assert set(launcher_entry.OPTIONS) <= set(launcher_options.JOB_OPTIONS)
