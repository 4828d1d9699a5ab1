"""ParaView's own Connect dialog on a machine without Ansible: an entry for the launcher is chosen, ssh or plink runs, ParaView is connected."""

import base64
import re
import shlex
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import pytest
from ansible_collections.sciviz.paraview.plugins.filter.launcher_servers import launcher_servers
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import launcher_entry
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import servers_file
from ansible_collections.sciviz.paraview.plugins.plugin_utils import launcher_archive
from screen import Screen
from test_guides import GUIDES, blocks, pattern_of, steps

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
SOURCES = r"sed -i 's,^\[General\]$,&\nPVSC_SOURCES=pvsc http://127.0.0.1:8078 The lab,' ~/.config/ParaView/*.ini"
DIALOG = "pqClientMainWindow/pqServerConnectDialog/stackedWidget/"
# What a hand does: fetch, import the first, choose the first, type, accept, leave.
HAND = [
    ("pqClientMainWindow/MainControlsToolbar/actionServerConnect", "activate", ""), (DIALOG + "page_choose/fetchServers", "activate", ""),
    (DIALOG + "page_fetch/importServersTable", "mousePress", "1,1,0,40,10,/0:0"),
    (DIALOG + "page_fetch/importServersTable", "mouseRelease", "1,0,0,40,10,/0:0"),
    (DIALOG + "page_fetch/importSelected", "activate", ""),
    (DIALOG + "page_choose/servers", "setCurrent", "0.0"), (DIALOG + "page_choose/connect", "activate", ""),
    ("pqClientMainWindow/1QDialog0/LC_PARAVIEW_ACCOUNT", "set_string", HOSTILE + " $HOME $PV_SERVER_PORT$"),
    ("pqClientMainWindow/1QDialog0/1QDialogButtonBox0/1QPushButton0", "activate", ""),
    ("pqClientMainWindow/menubar/menu_File", "activate", "actionFileExit")]


class Bob:
    """bob's desk."""

    def __init__(self, lab):
        self.lab = lab
        self.on("workstation", "sh", "-c", f"rm -rf ~/.config/ParaView; mkdir -p '{PLACE}/my tools'")
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
        self.write("workstation", f"{PLACE}/lab.pvsc", servers_file.Configuration(b"", "").put("The lab", text).decode())
        self.screen.choose(f"{PLACE}/lab.pvsc", "The lab", **(environment or {}))

    def recorded(self, host):
        """What the recording stand-in on a host was told: its words, its environment, and who listened."""
        self.lab.wait(lambda: self.read(host, f"{PLACE}/words"), 90, "the command runs")
        environment = dict(line.split("=", 1) for line in self.read(host, f"{PLACE}/environment").splitlines() if "=" in line)
        return self.read(host, f"{PLACE}/words").splitlines(), environment, self.read(host, f"{PLACE}/listeners")

    def left(self):
        """What is still to be seen of a session."""
        jobs = self.lab.on("login", "squeue", "-h", "-u", "bob", "-o", "%i").stdout.split()
        look = ("pgrep", "-u", "bob", "-a", "-f", "pvserver|/launch |/launch$")
        seen = [self.lab.on(host, *look, check=False).stdout for host in ("workstation", "login", "compute1")]
        return jobs + "".join(seen).splitlines() + self.lab.on("login", "sh", "-c", "ls -d /home/bob/.paraview-connect 2>/dev/null; true").stdout.split()

    def go(self):
        self.screen.close()
        print(self.read("workstation", f"{PLACE}/paraview.log"))
        # The master of a forward connection would stay for a minute.
        self.on("workstation", "pkill", "-f", "^ssh: .*/ParaView [0-9]* \\[mux\\]", check=False)
        for host in ("workstation", "login"):
            self.on(host, "sh", "-c", f"rm -rf {PLACE} ~/.config/ParaView ~/.putty")


@pytest.fixture
def bob(lab):
    bob = Bob(lab)
    yield bob
    bob.go()


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
    assert (said["--version"], said["--nodes"]) == (bob.lab.paraview, "2") and said["--connect-id"].isdigit()
    assert re.search(rf" 127\.0\.0\.1:{said['--port']} ", listeners)


def meaning(text):
    """What a server configuration says, whatever its form."""
    return [(one.tag, one.attrib) for one in ElementTree.fromstring(text).iter()]


def test_what_is_published_is_fetched_used_and_kept(bob):
    bob.write("workstation", f"{PLACE}/my tools/ssh", RECORD.format(PLACE))
    # The role has no other client but the system's.
    published = launcher_servers([{"name": "a cluster", "login": LOGIN, "user": "bob", "options": [
        {"name": "nodes", "type": "int", "default": "2"}, {"name": "account"}]}], "linux")
    published = published.replace('"/usr/bin/ssh"', f'"{PLACE}/my tools/ssh"')
    events = "".join("<pqevent object={0} command={1} arguments={2}/>".format(*map(quoteattr, one)) for one in HAND)
    web_place = f"{PLACE}/www/v{bob.lab.series.replace('.', '_')}/nix"
    bob.screen.been_here_before()
    bob.on("workstation", "sh", "-c", SOURCES)
    bob.on("workstation", "mkdir", "-p", web_place)
    for path, text in ((f"{web_place}/servers.pvsc", published), (f"{PLACE}/hand.xml", f"<pqevents>{events}</pqevents>")):
        bob.write("workstation", path, text)
    web = bob.lab.start("workstation", "python3", "-m", "http.server", "-b", "127.0.0.1", "-d", f"{PLACE}/www", "8078", user="bob")
    try:
        bob.screen.start("paraview", f"--test-script={PLACE}/hand.xml")
        words, environment, _listeners = bob.recorded("workstation")
    finally:
        web.kill()
        web.wait(10)
    port = environment["LC_PARAVIEW_PORT"]
    assert 20000 <= int(port) <= 32767
    assert words[:3] == ["-l", "bob", "-T"]
    assert words[-5:] == ["-R", f"127.0.0.1:{port}:127.0.0.1:{port}", LOGIN, "/usr/local/bin/paraview-launch", "reverse"]
    assert environment["LC_PARAVIEW_CONNECT_ID"] not in " ".join(words)
    assert {name: environment["LC_PARAVIEW_" + name] for name in ("VERSION", "NODES", "ACCOUNT")} == {
        "VERSION": bob.lab.paraview, "NODES": "2", "ACCOUNT": HOSTILE + " $HOME $PV_SERVER_PORT$"}
    bob.screen.started[-1].wait(20)
    assert meaning(bob.read("workstation", ".config/ParaView/servers.pvsc")) == meaning(published)


@pytest.mark.everywhere
@pytest.mark.parametrize("reverse", [True, pytest.param(False, marks=pytest.mark.torture)])
def test_paraview_is_connected_without_ansible(bob, reverse):
    # No pvserver of the lab draws without a display.
    program = base64.b64encode(launcher_archive.build("/usr/bin/python3", {"pvserver": "xvfb-run -a -s -noreset pvserver"})).decode()
    bob.on("login", "sh", "-c", f"base64 -d > {PLACE}/launch; chmod 755 {PLACE}/launch", input=program)
    bob.choose([{"name": "nodes", "type": "int", "default": "1"}, {"name": "setup", "default": "export SEEN=" + shlex.quote(HOSTILE)}], reverse,
               bind="198.18.2.1", path=f"{PLACE}/launch")
    said = ("grep", "-rl", "^Client connected", ".paraview-connect")
    bob.lab.wait(lambda: bob.on("login", *said, check=False).stdout, 90, "ParaView is connected")
    environment = bob.lab.on("compute1", "sh", "-c", "for p in $(pgrep -u bob -f '^pvserver'); do tr '\\0' '\\n' < /proc/$p/environ; done").stdout
    assert f"SEEN={HOSTILE}\n" in environment and "LC_PARAVIEW_" not in environment
    bob.screen.quit()
    bob.lab.wait(lambda: not bob.left(), 90, "nothing left")


def test_every_command_of_the_guide(lab):
    def run(*words, **more):
        return lab.on("workstation", *words, user="bob", **more).stdout

    try:
        for language, caption, lines in blocks((GUIDES / "guide_launcher.rst").read_text()):
            if caption:
                run("sh", "-c", f"cat > {caption}", input="\n".join(lines) + "\n")
            for command, said in steps(lines) if language == "console" else ():
                heard = run("sh", "-c", command)
                for line in said:
                    assert re.search(f"(?m)^{pattern_of(line)}$", heard), f"$ {command}\ndid not say: {line}\nbut:\n{heard}"
        assert 'name="frontera (PuTTY)"' in run("cat", "/home/bob/www/paraview/v5_13/win32/servers.pvsc")
    finally:
        run("rm", "-rf", "/home/bob/www", "/home/bob/publish.yml")
