"""ParaView's own Connect dialog on a machine without Ansible: an entry for the launcher is chosen, ssh or plink runs, ParaView is connected."""

import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils import launcher_entry, pvsc
from screen import Screen

PLACE = "/home/bob/launcher"
LOGIN = "login.lab.example"
# Without a $, which the file cannot hold.
HOSTILE = """it's; `touch x` & "a"  b \\ \N{LATIN SMALL LETTER E WITH ACUTE}"""
RECORD = """#!/bin/sh
tr '\\0' '\\n' < /proc/$$/environ > {0}/environment
ss -Hltn > {0}/listeners
for word; do printf '%s\\n' "$word"; done > {0}/words
exit 1
"""


class Bob:
    """bob's desk."""

    def __init__(self, lab):
        self.lab = lab
        self.on("workstation", "mkdir", "-p", f"{PLACE}/my tools")
        self.on("login", "mkdir", "-p", PLACE)
        self.screen = Screen(lab, "bob", ":78", PLACE)

    def on(self, host, *words, **more):
        return self.lab.on(host, *words, user="bob", **more)

    def write(self, host, path, text):
        self.on(host, "sh", "-c", 'cat > "$0"; chmod 755 "$0"', path, input=text)

    def read(self, host, path):
        return self.on(host, "cat", path, check=False).stdout

    def choose(self, options=(), reverse=True, environment=None, **launcher):
        text = launcher_entry.entry("The lab", {"login": LOGIN, **launcher}, reverse, options)
        self.write("workstation", f"{PLACE}/lab.pvsc", pvsc.Configuration(b"", "").put("The lab", text).decode())
        self.screen.choose(f"{PLACE}/lab.pvsc", "The lab", **(environment or {}))

    def recorded(self, host):
        """What the recording stand-in on a host was told: its words, its environment, and who listened."""
        self.lab.wait(lambda: self.read(host, f"{PLACE}/words"), 15, "the command runs")
        environment = dict(line.split("=", 1) for line in self.read(host, f"{PLACE}/environment").splitlines() if "=" in line)
        return self.read(host, f"{PLACE}/words").splitlines(), environment, self.read(host, f"{PLACE}/listeners")

    def go(self):
        self.screen.close()
        for host in ("workstation", "login"):
            self.on(host, "sh", "-c", f"rm -rf {PLACE} ~/.config/ParaView ~/.putty")


@pytest.fixture
def bob(lab):
    bob = Bob(lab)
    yield bob
    bob.go()


def test_ssh_gets_what_the_dialog_says(bob):
    bob.write("workstation", f"{PLACE}/my tools/ssh", RECORD.format(PLACE))
    bob.choose([{"name": "nodes", "type": "int", "default": "2"}, {"name": "account", "default": HOSTILE}], user="bob", ssh_path=f"{PLACE}/my tools/ssh")
    words, environment, _listeners = bob.recorded("workstation")
    port = environment["LC_PARAVIEW_PORT"]
    assert 20000 <= int(port) <= 32767
    assert words[:3] == ["-l", "bob", "-T"]
    assert words[-5:] == ["-R", f"127.0.0.1:{port}:127.0.0.1:{port}", LOGIN, "/usr/local/bin/paraview-launch", "reverse"]
    assert environment["LC_PARAVIEW_CONNECT_ID"] not in " ".join(words)
    assert {name: environment["LC_PARAVIEW_" + name] for name in ("VERSION", "NODES", "ACCOUNT")} == {"VERSION": "5.11.0", "NODES": "2", "ACCOUNT": HOSTILE}


def test_plink_makes_the_forward_and_runs_the_launcher(bob):
    bob.on("workstation", "ln", "-s", "/usr/bin/plink", f"{PLACE}/my tools/plink")
    bob.write("login", f"{PLACE}/launch", RECORD.format(PLACE))
    script = f"eval $(ssh-agent -a {PLACE}/agent) >/dev/null; ssh-add -q ~/.ssh/id_ed25519; echo y | plink -ssh bob@{LOGIN} true; echo $SSH_AGENT_PID"
    agent = bob.on("workstation", "env", f"SSH_AUTH_SOCK={PLACE}/agent", "sh", "-c", script).stdout.split()[-1]
    try:
        bob.choose([{"name": "nodes", "type": "int", "default": "2"}], user="bob", client="plink", ssh_path=f"{PLACE}/my tools/plink", path=f"{PLACE}/launch",
                   environment={"SSH_AUTH_SOCK": f"{PLACE}/agent"})
        words, _environment, listeners = bob.recorded("login")
    finally:
        bob.on("workstation", "kill", agent)
    said = dict(word.split("=", 1) for word in words[1:])
    assert words[0] == "reverse" and list(said) == ["--port", "--connect-id", "--version", "--nodes"]
    assert (said["--version"], said["--nodes"]) == ("5.11.0", "2") and said["--connect-id"].isdigit()
    assert re.search(rf" 127\.0\.0\.1:{said['--port']} ", listeners)
