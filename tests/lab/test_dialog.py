"""ParaView's own Connect dialog, with its real window: an entry that server_config wrote is chosen and accepted, and ParaView is connected."""

import json
import shlex

import pytest
from screen import Screen
from terminal import Terminal
from test_guides import GUIDES, VARIABLES, blocks, pattern_of, steps, substituted

PLACE = "/home/alice/dialog"
# Without a $, which the file cannot hold.
HOSTILE = """it's; `touch x` & "a"  b \\ \N{LATIN SMALL LETTER E WITH ACUTE}"""


@pytest.fixture
def screen(desk):
    desk.run("mkdir", "-p", PLACE)
    screen = Screen(desk.lab, "alice", ":77", PLACE)
    yield screen
    screen.close()
    desk.run("sh", "-c", f"rm -rf {PLACE} ~/.config/ParaView")


@pytest.mark.parametrize("reverse", [False, True])
def test_an_entry_is_chosen_and_paraview_is_connected(desk, screen, reverse):
    wishes = {"path": f"{PLACE}/lab.pvsc", "name": "The lab", "host": "lab", "reverse": reverse, "command": ["/usr/local/bin/ansible-playbook"], "options": [
        {"name": "nodes", "type": "int", "min": 1, "max": 2, "default": "1"}, {"name": "walltime", "type": "choice", "choices": [{"value": "0:20:00"}]},
        {"name": "setup", "default": "export SEEN=" + shlex.quote(HOSTILE)}]}
    desk.run("ansible", "localhost", "-m", "sciviz.paraview.server_config", "-a", json.dumps(wishes))
    screen.choose(f"{PLACE}/lab.pvsc", "The lab")
    desk.lab.wait(lambda: desk.record().get("state") == "connected", 40, "ParaView is connected")
    record = desk.record()
    assert record["route"] == ("node_tunnel_reverse" if reverse else "node_tunnel")
    assert 20000 <= record["client_port"] <= 32767
    assert record["settings"]["walltime"] == 1200
    node = record["nodes"][0]
    environment = desk.lab.on(node, "sh", "-c", "tr '\\0' '\\n' < /proc/$(pgrep -u alice -o -f '^pvserver')/environ").stdout
    assert f"SEEN={HOSTILE}\n" in environment
    screen.quit()
    desk.told_over()
    screen.close()
    desk.nothing_left()


def test_every_command_of_the_guide(desk):
    home = "/home/alice/"
    inventory = f"all:\n  hosts:\n    frontera:\n      ansible_host: login.lab.example\n      {VARIABLES}"
    desk.lab.on("workstation", "sh", "-c", f"cat > {home}clusters.yml", user="alice", input=inventory)
    try:
        for language, caption, lines in blocks((GUIDES / "guide_connect_dialog.rst").read_text()):
            if caption:
                desk.lab.on("workstation", "sh", "-c", f"cat > {caption.replace('~/', home)}", user="alice", input=substituted("\n".join(lines) + "\n"))
            for command, said in steps(lines) if language == "console" else ():
                with Terminal("sh", "-c", command) as terminal:
                    for line in said:
                        terminal.until(pattern_of(line))
                    assert terminal.end() == 0
        assert 'name="frontera"' in desk.run("cat", home + "clusters.pvsc").stdout
    finally:
        desk.run("rm", "-f", home + "clusters.yml", home + "clusters.pvsc", home + "workstation.yml")
