# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""status with paraview_watch: a real ansible-playbook on a terminal, in a pipe, and without either."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from watcher import Terminal


class Watched:
    """Session records, and a playbook that shows them."""

    def __init__(self, path):
        self.base, self.path = path / "state", path
        self.daemon = subprocess.Popen(["sleep", "1000"])
        (path / "socket").touch()
        self.environment = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "false",
                            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false", "ANSIBLE_LOG_PATH": str(path / "log"), "HOME": str(path)}

    def begin(self, name, state="pending", **fields):
        session = Session(str(self.base), name)
        session.begin(**dict({"state": state, "job_id": "17", "submitted_at": time.time() - 60, "daemon": processes.identity(self.daemon.pid),
                              "socket": str(self.path / "socket")}, **fields))
        return session

    def command(self, **variables):
        return [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "sciviz.paraview.status", "-e",
                json.dumps(dict({"paraview_state_dir": str(self.base), "paraview_watch": True}, **variables))]

    def on_terminal(self, columns=100, rows=30, term="xterm", **variables):
        return Terminal(self.command(**variables), columns, rows, **dict(self.environment, TERM=term))

    def piped(self, watch=True, **more):
        return subprocess.Popen(self.command(paraview_watch=watch), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                env=dict(os.environ, **self.environment), **more)


@pytest.fixture(name="watched")
def _watched(tmp_path):
    watched = Watched(tmp_path)
    yield watched
    watched.daemon.kill()
    watched.daemon.wait()


@pytest.fixture(name="terminal")
def _terminal(watched):
    opened = []

    def start(**given):
        opened.append(watched.on_terminal(**given))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def shows(*words):
    """A condition: one line of the screen has these words at its start."""
    return lambda screen: any(line.split()[:len(words)] == list(words) for line in screen)


def test_a_table_that_is_rewritten_in_place(watched, terminal):
    session = watched.begin("a", reason="Priority")
    watched.begin("b", "failed", reason="job 98 died; out of memory")
    terminal = terminal()
    terminal.until(lambda screen: any("Priority" in line for line in screen))
    session.update(state="connected", nodes=["c101"], url="cs://127.0.0.1:40001", reason="")
    screen = terminal.until(lambda screen: any("cs://127.0.0.1:40001" in line for line in screen))
    (head,) = [number for number, line in enumerate(screen) if line.startswith("host ")]
    assert screen[head - 1].endswith("2 sessions: 1 connected, 1 failed")
    assert [line.split()[0] for line in screen[head + 1:head + 3]] == ["a", "b"] and screen[head + 3:] == [""], "there is no other table above or below"
    session.remove()
    screen = terminal.until(lambda screen: screen[head - 1].endswith("1 session: 1 failed"))
    assert screen[head + 1].startswith("b ") and screen[head + 2:] == [""]


@pytest.mark.parametrize("owned", [False, True])
def test_ctrl_c_ends_it_and_no_session(watched, terminal, owned):
    session = watched.begin("a", owner=processes.identity(os.getpid()) if owned else None)
    before = session.read()
    terminal = terminal()
    terminal.until(shows("a"))
    terminal.type(b"\x03")
    assert terminal.finish() == 99
    screen = terminal.screen()
    assert "User interrupted execution" in screen[-2] and "Traceback" not in terminal.output
    assert screen[-3].startswith("a "), "the last table stays, and the message is below it"
    assert session.read() == before and sorted(os.listdir(session.directory)) == ["session.json"]
    assert processes.alive(before.daemon)
    log = (watched.path / "log").read_text()
    assert "TASK [" in log and "\x1b" not in log and "pending" not in log


def test_lines_are_cut_to_the_terminal(watched, terminal):
    for number in range(20):
        watched.begin("host{0:02d}".format(number), reason="x" * 200)
    terminal = terminal(columns=60, rows=10)
    screen = terminal.until(lambda screen: any("more" in line for line in screen))
    (head,) = [number for number, line in enumerate(screen) if line.startswith("host ")]
    assert screen[head + 7:] == ["... 14 more", ""] and all(len(line) < 60 for line in screen[head:])
    # The count of what is left out changes with the size.
    terminal.rows = 12
    terminal.resize(60, 12)
    terminal.until(lambda screen: "... 12 more" in screen)


def test_a_dumb_terminal_gets_plain_tables(watched, terminal):
    session = watched.begin("a", reason="Priority")
    terminal = terminal(term="dumb")
    terminal.until(lambda screen: any("Priority" in line for line in screen))
    session.update(reason="Resources")
    screen = terminal.until(lambda screen: any("Resources" in line for line in screen))
    assert "\x1b" not in terminal.output and sum(line.startswith("host ") for line in screen) == 2


def test_a_pipe_gets_a_table_for_each_change(watched, until):
    session = watched.begin("a", reason="Priority")
    process = watched.piped(start_new_session=True)
    lines = iter(process.stdout.readline, b"")
    try:
        assert next(line for line in lines if b"Priority" in line).startswith(b"a ")
        log = watched.path / "log"
        until(lambda: "Priority" in log.read_text())
        session.update(reason="Resources")
        between = []
        for line in lines:
            between.append(line)
            if b"Resources" in line:
                break
        assert len(between) == 3 and between[0].endswith(b"1 session: 1 pending\n") and between[1].startswith(b"host "), between
    finally:
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 99 and b"\x1b" not in rest


@pytest.mark.parametrize(("watch", "last"), [(True, b"a "), (True, b"PLAY"), (True, b"host "), (False, b"PLAY")])
def test_a_reader_that_closes_the_pipe_ends_it(watched, watch, last):
    """As head does. Ansible would wait forever for the result of a worker whose lines it could not write."""
    watched.begin("a")
    process = watched.piped(watch=watch, stderr=subprocess.PIPE)
    assert any(line.startswith(last) for line in iter(process.stdout.readline, b""))
    process.stdout.close()
    with process.stderr as stream:
        errors = stream.read()
    process.wait(20)
    assert b"Traceback" not in errors, errors


def test_the_report_follows(watched, terminal, until):
    session, path = watched.begin("a"), watched.path / "report.json"
    terminal = terminal(paraview_json=str(path))
    terminal.until(shows("a"))
    session.update(state="failed", reason="job 17 died")
    terminal.until(lambda screen: any("job 17 died" in line for line in screen))
    assert [(one["host"], one["state"]) for one in json.loads(path.read_text())] == [("a", "failed")]


def test_a_damaged_record_is_a_row(watched, terminal):
    watched.begin("a")
    damaged = watched.begin("b")
    with open(damaged.path, "w") as stream:
        stream.write("{")
    terminal = terminal()
    terminal.until(shows("b", "-", "-", "unknown"))
    assert shows("a")(terminal.screen())


def test_a_killed_playbook_leaves_no_process(watched, terminal, until):
    watched.begin("a")
    terminal = terminal()
    terminal.until(shows("a"))
    playbook = terminal.pid
    (worker,) = [int(pid) for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(playbook)], stdout=subprocess.PIPE, check=True).stdout.split()]
    identity = processes.identity(worker)
    os.kill(playbook, signal.SIGKILL)
    until(lambda: not processes.alive(identity))
