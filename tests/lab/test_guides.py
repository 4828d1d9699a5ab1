"""Every command of the guide for the first connection, typed in its order by alice on the workstation.

A ``$`` line of a ``console`` block is a command; lines below it are what it has to say, where numbers and names of nodes are
free, ``...`` stands for anything, and other lines may stand between. A block with a ``:caption:`` is a file. A comment
``.. not run: reason`` in front of a block leaves it out.
"""

import base64
import os
import re
import select
import subprocess
import time
from pathlib import Path

import pytest
from desk import Desk

TOP = Path(__file__).resolve().parents[2]
GUIDES = TOP / "docs/docsite/rst"
GUIDE = GUIDES / "guide_first_connection.rst"
HOME = "/home/alice/guide"
ARCHIVE = "sciviz-paraview-0.1.0.tar.gz"

# What the guide says, and what is typed instead.
SUBSTITUTES = {
    "login.frontera.example.edu": "login.lab.example",
    "login.stampede.example.edu": "login.example",  # another name of the same login node
    "pip install ansible-core jmespath": "ln -s /usr/local/bin/ansible* ~/ansible/bin/",  # the lab has no package index
    "~/.ansible/collections/": "/usr/share/ansible/collections/",
    "paraview_tasks_per_node: 8": "paraview_tasks_per_node: 1",  # nor the cores
    "2 nodes, 16 tasks": "2 nodes, 2 tasks",
}
# Commands that need a human or a screen, and what stands first on the PATH in their place.
STAND_INS = {
    "pvpython": 'exec xvfb-run -a -s -noreset /usr/bin/pvpython "$@"',
    # Started by connect it stays until it is ended, as somebody at work would.
    "paraview": r"""
case $1 in
  --version) exec ldd /usr/bin/paraview ;;
  --server-url=*) url=${1#*=} ;;
  --script=*)
    set -- $(sed -n "s/^_connect_at_start('\([^']*\)', \([0-9]*\))$/\1 --connect-id=\2/p" "${1#*=}")
    url=$1 ;;
  *) exit 2 ;;
esac
case $2 in --connect-id=[0-9]*) ;; *) exit 2 ;; esac
cat > ~/client.py <<'END'
import os, signal, sys
from paraview.simple import *
way, _slashes, port = sys.argv[1].partition("://127.0.0.1:")
print("paraview-connect: listening" if way == "csrc" else "paraview-connect: begun", file=sys.stderr, flush=True)
ReverseConnect(port) if way == "csrc" else Connect("127.0.0.1", int(port))
Sphere().UpdatePipeline()
if "PV_CONNECTION_URI" in os.environ:
    signal.pause()  # until connect ends it
Disconnect()
END
exec xvfb-run -a -s -noreset /usr/bin/pvpython "$2" ~/client.py "$url"
""",
}
# No pvserver of the lab draws without a display.
VARIABLES = "paraview_pvserver: xvfb-run -a -s -noreset pvserver\n"
# What may differ in what a command says: a pattern of the guide's words, and one of what is really said.
FREE = {
    r"ParaView \d[\d.]* here, \d[\d.]* there": r"ParaView \d[\d.]* here, \d[\d.]* there",
    r"\.\.\.": ".*", r"after \d+ s": "after .*?", r"\bc\d+\b|\blogin\d\b": r"\w+", r"/home/alice/": r"\S+/", r"\d+": r"\d+", r" +": " +",
}
OVER = ("ended", "failed", "cancelled", "gone")


def blocks(text):
    """Yields language, caption and lines of each code block that is to be run."""
    pattern = r"(\.\. not run: .*\n\n)?^\.\. code-block:: (\w+)\n(?: +:caption: (.*)\n)?\n((?: +.*\n|\n)+)"
    for skipped, language, caption, body in re.findall(pattern, text, re.M):
        lines = body.rstrip().splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        if not skipped:
            yield language, caption, [line[indent:] for line in lines]


def steps(lines):
    """Yields each command with the lines that it has to say."""
    command, said = None, []
    for line in lines:
        if line.startswith("$ "):
            if command:
                yield command, said
            command, said = line[2:], []
        else:
            said.append(line)
    if command:
        yield command, said


def substituted(text):
    for words, instead in SUBSTITUTES.items():
        text = text.replace(words, instead)
    return text


def pattern_of(line):
    """What a line of the guide stands for."""
    return "".join(next((free for known, free in FREE.items() if re.fullmatch(known, word)), re.escape(word))
                   for word in re.split("(" + "|".join(FREE) + ")", substituted(line)))


class Terminal:
    """One shell of alice's, so that what a command exports counts for the next."""

    def __init__(self, lab):
        self.process = lab.start("workstation", "bash", user="alice", stderr=subprocess.STDOUT)
        self.heard = ""

    def type(self, command, seconds=90):
        """Runs a command; returns its exit status and what it said."""
        mark = f"--{os.urandom(8).hex()}--"
        self.process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n%s %s\\n' {mark} $?\n")
        self.process.stdin.flush()
        said, end, found = b"", time.monotonic() + seconds, None
        while not found:
            ready = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"{command}\nsaid nothing more within {seconds} s:\n{said.decode()}"
            said += data
            found = re.search(rf"\n{mark} (\d+)\n".encode(), said)
        self.heard = said[: found.start()].decode()
        return int(found[1]), self.heard

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def terminal(lab):
    desk = Desk(lab)
    desk.clean_up()
    subprocess.run([TOP / "tests/tools/build"], check=True, capture_output=True, timeout=120)
    # A home of its own keeps the collection that is installed here away from other tests; session records lie where they always do.
    bare = f"rm -rf {HOME}; mkdir -p {HOME}/bin {HOME}/.local {HOME}/group_vars .local/state; ln -s /home/alice/.local/state {HOME}/.local/state"
    desk.run("sh", "-c", bare)
    # Not every Slurm of the lab starts ranks by srun; its inventory names the launcher that does.
    launcher = desk.run("grep", "-s", "^paraview_mpi_launcher:", "/etc/ansible/group_vars/all.yml", check=False).stdout
    files = {"group_vars/all.yml": VARIABLES + launcher, **{f"bin/{name}": "#!/bin/sh\n" + text for name, text in STAND_INS.items()}}
    for name, text in files.items():
        lab.on("workstation", "sh", "-c", f"cat > {HOME}/{name}; chmod 755 {HOME}/{name}", user="alice", input=text)
    archive = base64.b64encode((TOP / "build" / ARCHIVE).read_bytes()).decode()
    lab.on("workstation", "sh", "-c", f"base64 -d > {HOME}/{ARCHIVE}", user="alice", input=archive)
    terminal = Terminal(lab)
    try:
        terminal.type(f"export HOME={HOME} PATH={HOME}/bin:$PATH; cd")
        yield terminal
    finally:
        terminal.close()
        desk.clean_up()
        desk.run("rm", "-rf", HOME, check=False)


def said(terminal, command, wanted, port=""):
    """Types a command, and looks whether it says what is wanted; returns all that it said."""
    code, heard = terminal.type(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", substituted(command)))
    assert code == 0, f"$ {command}\n{heard}"
    rest = heard
    for line in wanted:
        found = re.search(f"^{pattern_of(line)}$", rest, re.M)
        assert found, f"$ {command}\ndid not say: {line}\nbut:\n{heard}"
        rest = rest[found.end():]
    return heard


def follow(lab, desk, terminal, guide):
    """Types everything that a guide says, and looks whether that is answered as it says."""
    port = ""
    for language, caption, lines in blocks(guide.read_text()):
        if caption:
            text = substituted("\n".join(lines) + "\n")
            lab.on("workstation", "sh", "-c", f"cat > {caption.replace('~', HOME)}", user="alice", input=text)
        for command, wanted in steps(lines) if language == "console" else ():
            heard = said(terminal, command, wanted, port)
            port = "".join(re.findall(r"ready after .*//127\.0\.0\.1:(\d+)", heard)[-1:]) or port
            if command.startswith(("paraview ", "pvpython ")):
                lab.wait(lambda: all(desk.record(name).get("state", "gone") in OVER for name in ("frontera", "stampede")), 30, "the end of the session")


def test_first_connection(lab, terminal):
    desk = Desk(lab)
    follow(lab, desk, terminal, GUIDE)
    assert desk.run("sh", "-c", f"head -c 4 {HOME}/picture.png | tail -c 3").stdout == "PNG"
    terminal.close()
    desk.nothing_left()


@pytest.mark.torture
@pytest.mark.parametrize("guide", ["guide_batch_systems", "guide_doctor", "guide_my_cluster"])
def test_shorter_guides(lab, terminal, guide):
    inventory = "all:\n  hosts:\n    frontera:\n      ansible_host: login.lab.example\n"
    lab.on("workstation", "sh", "-c", f"cat > {HOME}/clusters.yml", user="alice", input=inventory)
    terminal.type("export ANSIBLE_INVENTORY=~/clusters.yml")
    follow(lab, Desk(lab), terminal, GUIDES / f"{guide}.rst")


def test_the_errors_that_it_names_are_said():
    sources = "\n".join(one.read_text() for folder in ("action", "module_utils", "plugin_utils") for one in (TOP / "plugins" / folder).rglob("*.py"))
    rows = re.findall(r"^``([^`]+)``  +\S", GUIDE.read_text().split("it says ")[1], re.M)
    assert len(rows) > 15
    for words in rows:
        for part in re.split(r"[A-Z]{2,}", words):
            assert part.strip() in sources, f"nothing says {part!r} (of {words!r})"
