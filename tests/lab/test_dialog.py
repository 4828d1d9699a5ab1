"""ParaView's own Connect dialog, with its real window: an entry that server_config wrote is chosen and accepted, and ParaView is connected."""

import json
import re
import shlex
import time

import pytest
from desk import STATE, long
from screen import Screen
from terminal import Terminal
from test_guides import GUIDES, VARIABLES, blocks, pattern_of, steps, substituted
from test_lifeline import open_network

SCREEN = ":77"
PLACE = "/home/alice/dialog"
# What the role workstation installed.
CONNECT = "/opt/paraview-connect/connect"
# Without a $, which the file cannot hold.
HOSTILE = """it's; `touch x` & "a"  b \\ \N{LATIN SMALL LETTER E WITH ACUTE}\n\tand \N{SMILING FACE WITH OPEN MOUTH} """


@pytest.fixture
def screen(desk):
    desk.run("mkdir", "-p", PLACE)
    screen = Screen(desk.lab, "alice", SCREEN, PLACE)
    yield screen
    screen.close()
    desk.lab.path("reset")
    desk.run("sh", "-c", f"rm -rf {PLACE} ~/.config/ParaView")


@pytest.fixture
def full(desk):
    """Somebody else has both nodes."""
    job = desk.lab.on("login", "sbatch", "--parsable", "--exclusive", "-N2", "--wrap", "sleep 600", user="bob").stdout.strip()
    desk.lab.wait(lambda: desk.lab.on("login", "squeue", "-h", "-j", job, "-o", "%T").stdout.strip() == "RUNNING", 90, "the other's job")
    yield
    desk.lab.on("login", "scancel", job)


@pytest.mark.everywhere
@pytest.mark.parametrize(("route", "reconnects"), [
    ("forward_tunnel", True), ("forward_tunnel", False), ("reverse_tunnel", False), long("reverse_tunnel", True), long("reverse_tunnel_relay", True),
    long("node_tunnel", False), long("node_tunnel_reverse", False), long("reverse_tunnel_relay", False), long("forward_unencrypted", False)])
def test_an_entry_is_chosen_and_a_picture_is_rendered_on_the_node(desk, screen, route, reconnects):
    settings = {"path": f"{PLACE}/lab.pvsc", "name": "The lab", "host": "lab", "reverse": "reverse" in route, "command": [CONNECT], "options": [
        {"name": "nodes", "type": "int", "min": 1, "max": 2, "default": "1"}, {"name": "walltime", "type": "choice", "choices": [{"value": "0:20:00"}]},
        {"name": "user_relay", "type": "bool", "default": "true"}, {"name": "reconnect", "type": "bool", "default": str(reconnects).lower()},
        {"name": "route", "default": route}, {"name": "setup", "default": "export SEEN=" + shlex.quote(HOSTILE)}]}
    desk.run("ansible", "localhost", "-m", "sciviz.paraview.server_config", "-a", json.dumps(settings))
    open_network(desk.lab, route)
    screen.paraview(f"--servers-file={PLACE}/lab.pvsc", "--server=The lab", "--script=/home/alice/client.py", PICTURE=f"{PLACE}/picture.png")
    screen.accept("Connection Options")
    desk.lab.wait(lambda: screen.windows("^ParaView: lab"), 90, "the window with connect's progress")
    desk.lab.wait(lambda: desk.record().get("state") == "connected", 90, "ParaView is connected")
    said = desk.lab.wait(lambda: re.search(r"(?s).*^cells.*", desk.run("cat", f"{PLACE}/picture.png.txt", check=False).stdout, re.M), 90, "the picture").group()
    record = desk.record()
    node = record["nodes"][0]
    assert f"server host {node}\n" in said and "distributed True" in said
    assert int(desk.run("stat", "-c", "%s", f"{PLACE}/picture.png").stdout) > 10000
    assert (record["route"], record["settings"]["walltime"]) == (route, 1200)
    assert 20000 <= record["client_port"] <= 32767
    # The dialog's connect-id is easy to guess.
    assert re.search(r"--connect-id=(\d+)", desk.lab.on(node, "ps", "-C", "pvserver", "-o", "args=").stdout).group(1) != desk.run(
        "cat", f"{STATE}/lab/connect_id").stdout.strip()
    assert f"SEEN={HOSTILE}\n" in desk.lab.on(node, "sh", "-c", "tr '\\0' '\\n' < /proc/$(pgrep -u alice -o -f '^pvserver')/environ").stdout
    desk.lab.wait(lambda: not screen.windows("^ParaView: lab"), 90, "the end of the window with connect's progress")
    screen.quit()
    desk.told_over()
    screen.close()
    desk.nothing_left()


@pytest.mark.torture
def test_cancel_in_the_connect_dialog_cancels_the_job(desk, screen, full):
    screen.paraview()
    screen.pick(1)
    screen.accept("Connection Options for .lab .reverse")
    desk.lab.wait(lambda: desk.record().get("state") == "pending", 90, "the job waits")
    for _attempt in range(4):  # a key may be lost on its way
        screen.press("Escape", "^ParaView [0-9]")
        # ParaView has to be still for a quarter of a minute, and each key wakes it.
        end = time.monotonic() + 25
        while desk.record() and time.monotonic() < end:
            time.sleep(0.5)
        if not desk.record():
            break
    assert not desk.record(), "Cancel did not end the session"
    screen.close()
    desk.nothing_left()


@pytest.mark.parametrize("end", ["the window", long("ParaView")])
def test_what_ends_while_the_job_waits_cancels_it(desk, screen, full, end):
    screen.paraview("--server=lab")
    screen.accept("Connection Options for .lab")
    desk.lab.wait(lambda: desk.record().get("state") == "pending", 90, "the job waits")
    if end == "the window":
        screen.type("windowkill", *screen.windows("^ParaView: lab"))
    else:
        desk.run("pkill", "-KILL", "-u", "alice", "-x", "paraview")
    desk.lab.wait(lambda: not desk.record(), 90, "the end of the session")
    if end == "the window":
        desk.lab.wait(lambda: "Command aborted" in desk.run("cat", f"{PLACE}/paraview.log").stdout, 90, "ParaView knows")
    screen.close()
    desk.nothing_left()


@pytest.mark.torture
def test_a_question_is_answered_in_the_window(desk, screen):
    desk.run("sh", "-c", "cd ~/.ssh && rm -f locked* && cp id_ed25519 locked && ssh-keygen -q -p -P '' -N 'open sesame' -f locked")
    try:
        command = [CONNECT, "-e", "ansible_ssh_private_key_file=/home/alice/.ssh/locked", "-e", "ansible_ssh_common_args=-oIdentitiesOnly=yes"]
        desk.run("ansible", "localhost", "-m", "sciviz.paraview.server_config", "-a", json.dumps(
            {"path": f"{PLACE}/lab.pvsc", "name": "The lab", "host": "lab", "reverse": True, "command": command}))
        screen.paraview(f"--servers-file={PLACE}/lab.pvsc", "--server=The lab")
        screen.accept("Connection Options")
        mode = "stty -a -F $(readlink /proc/$(pgrep -o -f bin/ansible-playbook)/fd/0)"
        desk.lab.wait(lambda: "-icanon" in desk.run("sh", "-c", mode, check=False).stdout, 90, "the window asks")
        window = screen.windows("^ParaView: lab")[0]
        screen.type("windowfocus", window)
        screen.type("type", "--delay", "30", "open sesame")
        screen.type("key", "Return", "Return")  # one may be lost between two windows
        desk.lab.wait(lambda: desk.record().get("state") == "connected", 90, "ParaView is connected")
    finally:
        desk.run("rm", "-f", "/home/alice/.ssh/locked", "/home/alice/.ssh/locked.pub")
    screen.quit()
    desk.told_over()
    screen.close()
    desk.nothing_left()


@pytest.mark.torture
def test_a_second_paraview_is_told_whose_the_session_is(desk, screen):
    desk.connect(route="forward_tunnel")
    screen.paraview("--server=lab")
    screen.accept("Connection Options for .lab")
    desk.lab.wait(lambda: "Command aborted" in desk.run("cat", f"{PLACE}/paraview.log").stdout, 90, "ParaView knows")
    assert screen.windows("^ParaView: lab"), "the window stays, with the reason"
    assert desk.record()["state"] == "ready"


def running(desk, host="workstation"):
    """alice's ParaViews on a host."""
    return [one for one in desk.processes(host) if re.match(r"\d+ \S*paraview ", one)]


def connected(desk, connect, said="ParaView is connected"):
    """A connect that was started has ended well, its ParaView is connected, and no process list but that of pvserver's own node shows the connect-id."""
    out = connect.communicate(timeout=150)[0]
    assert said in out, out
    report = desk.report()
    assert report["state"] == "connected"
    for host in ("workstation", "login", "login2"):
        assert str(report["connect_id"]) not in desk.lab.on(host, "ps", "-eo", "args").stdout
    return report


@pytest.mark.parametrize(("route", "user"), [
    ("forward_tunnel", "new"), ("reverse_tunnel", "new"), long("reverse_tunnel_relay", "new"), long("node_tunnel_reverse", "new"),
    long("forward_tunnel", "known"), long("reverse_tunnel", "known")])
def test_paraview_that_connect_starts_is_connected_without_a_key(desk, screen, route, user):
    if user == "known":
        screen.been_here_before()
    connect = desk.lab.start("workstation", "env", f"DISPLAY={SCREEN}", *desk.words("connect", route=route, start_client=True), user="alice")
    report = connected(desk, connect)
    (words,) = running(desk)
    assert words.endswith(f"paraview --script={STATE}/lab/client.py")
    assert desk.run("stat", "-c", "%a", f"{STATE}/lab/client.py").stdout == "600\n"
    assert desk.lab.on("workstation", "ss", "-Htn", f"( sport = :{report['client_port']} or dport = :{report['client_port']} )").stdout
    if user == "new":
        # It greets its user, who may leave that until later.
        desk.lab.wait(lambda: screen.windows("Welcome to ParaView"), 90, "the greeting")
        screen.accept("Welcome to ParaView")
    screen.leave(lambda: not running(desk))
    desk.told_over()
    assert not desk.run("sh", "-c", f"ls {STATE}/lab | grep client.py; true").stdout
    screen.close()
    desk.nothing_left()


@pytest.mark.torture
@pytest.mark.parametrize("route", ["forward_tunnel", "reverse_tunnel"])
def test_disconnect_ends_the_paraview_that_connect_started(desk, screen, route):
    connect = desk.lab.start("workstation", "env", f"DISPLAY={SCREEN}", *desk.words("connect", route=route, start_client=True), user="alice")
    connected(desk, connect)
    desk.disconnect()
    assert not running(desk)
    screen.close()
    desk.nothing_left()


@pytest.mark.torture
@pytest.mark.parametrize("route", ["forward_tunnel", "reverse_tunnel"])
def test_a_paraview_whose_python_lacks_its_modules_asks(desk, screen, route):
    """As where a distribution packs them apart."""
    lacking = "raise ImportError('not installed')\n"
    desk.lab.on("workstation", "sh", "-c", f"mkdir -p {PLACE}/lacking && cat > {PLACE}/lacking/paraview.py", user="alice", input=lacking)
    wrapper = f'#!/bin/sh\nPYTHONPATH={PLACE}/lacking exec /usr/bin/paraview "$@"\n'
    desk.lab.on("workstation", "sh", "-c", f"cat > {PLACE}/paraview && chmod 755 {PLACE}/paraview", user="alice", input=wrapper)
    screen.been_here_before()
    words = desk.words("connect", route=route, start_client=[f"{PLACE}/paraview"])
    connect = desk.lab.start("workstation", "env", f"DISPLAY={SCREEN}", *words, user="alice")
    screen.accept("Connection Options")
    connected(desk, connect, said="not installed): press OK in its window")
    desk.disconnect()
    screen.close()
    desk.nothing_left()


def test_every_command_of_the_guide(desk):
    home = "/home/alice/"
    inventory = f"all:\n  hosts:\n    frontera:\n      ansible_host: login.lab.example\n      {VARIABLES}"
    desk.lab.on("workstation", "sh", "-c", f"cat > {home}clusters.yml", user="alice", input=inventory)
    try:
        for language, caption, lines in blocks((GUIDES / "guide_connect_dialog.rst").read_text()):
            if caption.startswith("~"):
                desk.lab.on("workstation", "sh", "-c", f"cat > {caption.replace('~/', home)}", user="alice", input=substituted("\n".join(lines) + "\n"))
            for command, said in steps(lines) if language == "console" and "inventory.yml" not in lines[0] else ():
                with Terminal("sh", "-c", command) as terminal:
                    for line in said:
                        terminal.until(pattern_of(line))
                    assert terminal.end() == 0
        assert 'name="frontera"' in desk.run("cat", home + "clusters.pvsc").stdout
    finally:
        desk.run("rm", "-f", home + "clusters.yml", home + "clusters.pvsc", home + "workstation.yml")
