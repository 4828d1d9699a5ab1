# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stdout callback: what a user sees of playbooks in a terminal and in a pipe."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.sciviz.paraview.plugins.callback import lines
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from conftest import TOP, wait_until
from terminal import Terminal

PLAYBOOK = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
DISCONNECT = "ansible-playbook sciviz.paraview.disconnect -e host=lab"


class Daemon:
    """Stands for the daemons of sessions: it accepts each request, and its sessions do what a test writes into their event logs."""

    def __init__(self, directory):
        self.path, self.requests = str(directory / "socket"), []
        self.process = subprocess.Popen(["sleep", "1000"])
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            with connection:
                self.requests.append(json.loads(connection.makefile("rb").readline().decode()))
                connection.sendall(b"{}")

    def asked(self, operation):
        """list[dict]: the requests of one kind."""
        return [request for request in self.requests if request["op"] == operation]

    def end(self):
        """Ends the daemons' process."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends everything."""
        self.end()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Desk:
    """A user with an inventory and sessions that others have begun."""

    def __init__(self, directory):
        self.home, self.daemon, self.terminals = directory, Daemon(directory), []
        self.base = directory / ".local/state/paraview-connect"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PARAVIEW_", "XDG_")) and name != "NO_COLOR"},
            "HOME": str(directory), "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".cache/collections"), "ANSIBLE_STDOUT_CALLBACK": "sciviz.paraview.lines",
            "ANSIBLE_INVENTORY": str(directory / "clusters.yml"), "ANSIBLE_NOCOWS": "1", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1", "ANSIBLE_HOME": str(directory / ".ansible"), "ANSIBLE_DEVEL_WARNING": "0"}

    def session(self, name="lab", **fields):
        """Session: one of a host of the inventory, which a connect continues."""
        session = Session(str(self.base), name)
        options = settings.check({option: about.get("default") for option, about in settings.SPEC.items()})
        session.begin(settings=dict(options, connect_id=None), daemon=processes.identity(self.daemon.process.pid), socket=self.daemon.path,
                      controller_host=socket.gethostname(), **fields)
        return session

    def inventory(self, *names):
        (self.home / "clusters.yml").write_text(json.dumps({"all": {"hosts": {name: {"ansible_host": "login.invalid"} for name in names}}}))

    def _command(self, arguments):
        return [PLAYBOOK, *(arguments or ["sciviz.paraview.connect", "-e", "host=all"])]

    def terminal(self, *arguments, columns=80, rows=24, **environment):
        """Terminal: a playbook in a terminal; connect to all hosts if no other one is given."""
        terminal = Terminal(self._command(arguments), columns, rows, env={**self.environment, **environment}, cwd=str(self.home))
        self.terminals.append(terminal)
        return terminal

    def pipe(self, *arguments, **environment):
        """subprocess.Popen: the same, with its output in a pipe."""
        return subprocess.Popen(self._command(arguments), env={**self.environment, **environment}, cwd=str(self.home), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def followed(self, *sessions):
        """Waits until the playbook follows the sessions."""
        wait_until(lambda: all(any(event["kind"] == "begun" for event in session.events.read()[0]) for session in sessions)
                   and len(self.daemon.asked("drive")) >= len(sessions), 60)

    def close(self):
        for terminal in self.terminals:
            terminal.close()
        self.daemon.close()


@pytest.fixture(name="desk")
def _desk(tmp_path):
    desk = Desk(tmp_path)
    desk.inventory("lab")
    yield desk
    desk.close()


def ready(session, client=True):
    """What a driver appends when ParaView is connected, or may be started."""
    path = os.path.join(session.directory, "connect_id")
    command = f'paraview --server-url=cs://127.0.0.1:40123 --connect-id="$(cat {path})"'
    session.update(state="connected" if client else "ready", reason="", route="node_tunnel", job_id="4711")
    end = "ready after 8 s. Ends with the job at 15:38, or by"
    session.events.append("ready", text=f"ready after 8 s: {command}. Ends with the job at 15:38, or by: {DISCONNECT}",
                          advice=[[end, DISCONNECT]] + ([] if client else [["start ParaView with", command]]))


def pending(session, reason):
    """What a daemon appends while a job waits."""
    session.update(state="pending", job_id="4711", submitted_at=time.time() - 372, reason=reason)
    session.events.append("line", text=f"job 4711 pending, {reason}, expected 14:32")


def fail(desk, session):
    """What a driver and a daemon append when a step fails and the session ends."""
    session.events.append("error", what="no route works here", why="node_tunnel: no ssh to nodes", way_out="send this line to the site")
    session.update(state="failed", daemon=None, reason="no route works here")
    desk.daemon.end()
    session.events.append("failed", kept=False)


def test_a_host_that_waits_has_one_line_that_is_rewritten(desk):
    session = desk.session()
    terminal = desk.terminal()
    desk.followed(session)
    session.events.append("line", text="route node_tunnel")
    pending(session, "Priority")
    terminal.until("lab: job 4711 pending, Priority, expected 14:32, waiting 6 min")
    first = re.search("waiting .*", terminal.text).group()
    terminal.until(lambda text: re.search("waiting .*", text).group() != first)
    pending(session, "Resources")
    terminal.until("lab: job 4711 pending, Resources")
    assert terminal.text.count("pending") == 1
    session.events.append("line", text="job 4711 running on c101")
    session.update(state="starting", reason="waiting for a client")
    terminal.until("lab: starting, waiting for a client")
    ready(session)
    assert terminal.end() == 0
    assert terminal.text.splitlines() == [
        "lab: route node_tunnel", "lab: job 4711 running on c101", "lab: ready after 8 s. Ends with the job at 15:38, or by:", "    " + DISCONNECT]
    assert terminal.screen.column == 0 and not terminal.screen.cursor_hidden


@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"ANSIBLE_NOCOLOR": "1"}, False)])
def test_an_error_appears_once_in_three_lines(desk, environment, colored):
    session = desk.session()
    terminal = desk.terminal(**environment)
    desk.followed(session)
    session.events.append("line", text="ParaView 5.13 here, 5.13 there")
    fail(desk, session)
    assert terminal.end() == 2
    assert terminal.text.splitlines() == ["lab: ParaView 5.13 here, 5.13 there", "lab: no route works here", "lab: node_tunnel: no ssh to nodes",
                                          "lab: send this line to the site"]
    assert not session.read(), "the record of a session that failed is removed"
    assert bool(re.search(r"\x1b\[[0-9;]*31m", terminal.raw)) == colored


def test_no_line_gets_into_a_prompt(desk):
    desk.inventory("lab", "other")
    session, other = desk.session(), desk.session("other")
    terminal = desk.terminal()
    desk.followed(session, other)
    terminal.until("other: logging in")
    session.events.append("line", text="the login node needs a password")
    session.events.append("prompt", id="7", text="Password: ", private=True)
    terminal.until("lab: Password:")
    pending(other, "Priority")
    other.events.append("line", text="that is news")
    # Nothing may happen in this time, which is longer than the live lines need to be drawn again.
    time.sleep(1.5)
    assert terminal.text.splitlines() == ["lab: the login node needs a password", "lab: Password:"]
    terminal.type("open sesame\r")
    wait_until(lambda: desk.daemon.asked("answer"))
    assert desk.daemon.asked("answer")[0]["text"] == "open sesame"
    terminal.until("other: job 4711 pending")
    ready(session)
    ready(other)
    assert terminal.end() == 0
    assert "sesame" not in terminal.raw and "pending" not in terminal.text and "other: that is news" in terminal.text


def test_more_hosts_than_rows(desk):
    names = ["host{0:02d}".format(number) for number in range(9)]
    desk.inventory(*names)
    sessions = [desk.session(name) for name in names]
    terminal = desk.terminal(rows=6)
    desk.followed(*sessions)
    for session in sessions[4:]:
        pending(session, "Priority")
    terminal.until("and 5 more hosts: 5 pending")
    assert len(terminal.text.rstrip().splitlines()) == 5
    terminal.resize(40, 12)
    text = terminal.until(lambda text: "host08" in text and "more hosts" not in text)
    assert all(len(line) < 40 for line in text.splitlines()[-9:]), text
    for session in sessions:
        ready(session)
    assert terminal.end() == 0
    assert sorted(line.partition(":")[0] for line in terminal.text.splitlines() if "ready" in line) == names
    assert "pending" not in terminal.text and "more hosts" not in terminal.text


def test_ctrl_c_leaves_the_terminal_usable(desk):
    session = desk.session()
    terminal = desk.terminal()
    desk.followed(session)
    pending(session, "Priority")
    terminal.until("waiting 6 min")
    terminal.type("\x03")
    assert terminal.end() != 0
    assert (Path(session.directory) / "interrupted").exists()
    assert "pending" not in terminal.text and terminal.screen.column == 0 and not terminal.screen.cursor_hidden


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"PARAVIEW_PLAIN": "1"}])
def test_a_dumb_terminal_and_a_screen_reader_have_each_line_once(desk, environment):
    session = desk.session()
    terminal = desk.terminal(**environment)
    desk.followed(session)
    pending(session, "Priority")
    terminal.until("pending, Priority")
    pending(session, "Resources")
    ready(session)
    assert terminal.end() == 0
    assert [line for line in terminal.text.splitlines() if "4711" in line] == [
        "lab: job 4711 pending, Priority, expected 14:32", "lab: job 4711 pending, Resources, expected 14:32"]
    assert "\x1b" not in terminal.raw


@pytest.mark.parametrize(("environment", "colored"), [({}, False), ({"ANSIBLE_FORCE_COLOR": "1"}, True)])
def test_a_pipe_has_each_line_once(desk, environment, colored):
    session = desk.session()
    playbook = desk.pipe(**environment)
    desk.followed(session)
    pending(session, "Priority")
    session.events.append("line", text="a\x1b[2Jb\r\x07c")
    fail(desk, session)
    output = playbook.communicate(timeout=60)[0]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert plain.splitlines() == ["lab: job 4711 pending, Priority, expected 14:32", "lab: ab", "lab: c", "lab: no route works here",
                                  "lab: node_tunnel: no ssh to nodes", "lab: send this line to the site"]
    assert (output != plain) == colored and playbook.returncode == 2


def test_a_session_that_somebody_ends_is_one_error(desk):
    session = desk.session()
    terminal = desk.terminal()
    desk.followed(session)
    pending(session, "Priority")
    terminal.until("waiting 6 min")
    desk.daemon.end()
    session.remove()
    assert terminal.end() == 2
    assert terminal.text.splitlines() == ["lab: the session of lab was ended", "lab: the process that held it is gone",
                                          "lab: connect again; a session that still exists is continued"]


def test_a_detached_session_ends_with_the_command_to_follow_it(desk):
    session = desk.session()
    terminal = desk.terminal("sciviz.paraview.connect", "-e", "host=lab", "-e", "paraview_detach=true")
    desk.followed(session)
    session.events.append("line", text="job 4711 submitted: 1 node, 1 task, 1:00:00")
    pending(session, "Priority")
    session.events.append("submitted")
    assert terminal.end() == 0
    assert terminal.text.splitlines() == ["lab: job 4711 submitted: 1 node, 1 task, 1:00:00",
                                          "lab: detached; once the job runs, it waits 20 min for ParaView. To follow it:",
                                          "    ansible-playbook sciviz.paraview.connect -e host=lab"]
    assert desk.daemon.asked("release")


def test_the_role_in_a_playbook_of_the_users_own(desk):
    desk.inventory("lab", "other")
    sessions = [desk.session(), desk.session("other")]
    (desk.home / "site.yml").write_text(json.dumps([{"name": "Mine", "hosts": "all", "gather_facts": False, "roles": ["sciviz.paraview.connect"]}]))
    terminal = desk.terminal("site.yml")
    desk.followed(*sessions)
    pending(sessions[0], "Priority")
    terminal.until(lambda text: "lab: job 4711 pending" in text and "other: logging in" in text)
    ready(sessions[1])
    terminal.until("other: ready")
    fail(desk, sessions[0])
    assert terminal.end() == 2
    assert terminal.text.splitlines() == ["other: ready after 8 s. Ends with the job at 15:38, or by:", "    " + DISCONNECT, "lab: no route works here",
                                          "lab: node_tunnel: no ssh to nodes", "lab: send this line to the site"]


def test_a_session_whose_result_is_hidden_is_shown_by_its_task(desk):
    session = desk.session()
    (desk.home / "site.yml").write_text(json.dumps([{"name": "Mine", "hosts": "lab", "gather_facts": False, "tasks": [
        {"name": "Begin", "sciviz.paraview.session": {"state": "started"}, "no_log": True}, {"name": "Wait", "sciviz.paraview.session_wait": {}}]}]))
    playbook = desk.pipe("site.yml")
    desk.followed(session)
    session.events.append("line", text="route node_tunnel")
    fail(desk, session)
    assert playbook.communicate(timeout=60)[0].splitlines() == ["lab: route node_tunnel", "lab: no route works here", "lab: node_tunnel: no ssh to nodes",
                                                                "lab: send this line to the site"]


def test_a_failure_is_passed_over_only_in_a_block_that_rescues_it():
    tasks = [SimpleNamespace(_uuid=str(number), _parent=None) for number in range(3)]
    outer = SimpleNamespace(_uuid="outer", rescue=[tasks[1]], _parent=None)
    inner = SimpleNamespace(_uuid="inner", block=[tasks[0]], rescue=[], _parent=outer)
    outer.block = [inner]
    tasks[0]._parent, tasks[1]._parent = inner, outer
    assert [lines._is_rescued(task) for task in tasks] == [True, False, False]


def test_a_difference_appears_without_a_title(desk):
    (desk.home / "site.yml").write_text(json.dumps([{"name": "Site", "hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [
        {"name": "Publish", "sciviz.paraview.site_file": {"path": str(desk.home / "published.yml"), "owned": ["queue"], "values": {"queue": "viz"}}}]}]))
    playbook = desk.pipe("site.yml", "--check", "--diff")
    output = playbook.communicate(timeout=60)[0]
    assert '+queue: "viz"' in output and "Publish" not in output and playbook.returncode == 0, output


def test_commands_can_be_copied(desk):
    session = desk.session()
    playbook = desk.pipe()
    desk.followed(session)
    ready(session, client=False)
    rows = playbook.communicate(timeout=60)[0].splitlines()
    start = rows.index("lab: start ParaView with:")
    assert rows[:start] == ["lab: ready after 8 s. Ends with the job at 15:38, or by:", "    " + DISCONNECT]
    command = "\n".join(rows[start + 1:]).replace("paraview", "printf '%s\\n'", 1)
    (Path(session.directory) / "connect_id").write_text("17\n")
    assert subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines() == [
        "--server-url=cs://127.0.0.1:40123", "--connect-id=17"]


def test_verbose_output_is_the_default_callbacks(desk):
    session = desk.session()
    terminal = desk.terminal("sciviz.paraview.connect", "-e", "host=lab", "-v")
    desk.followed(session)
    pending(session, "Priority")
    fail(desk, session)
    assert terminal.end() == 2
    assert "TASK [Follow the sessions]" in terminal.text and "PLAY RECAP" in terminal.text and "fatal: [lab]" in terminal.text
    assert terminal.text.count("lab: no route works here") == 1 and "lab: job 4711 pending, Priority" in terminal.text


def test_without_the_callback_connect_says_once_that_there_is_one(desk):
    for times in (1, 0):
        session = desk.session()
        playbook = desk.pipe(ANSIBLE_STDOUT_CALLBACK="default")
        desk.followed(session)
        desk.daemon.requests.clear()
        ready(session)
        output = playbook.communicate(timeout=60)[0]
        assert "lab: ready after 8 s" in output and "TASK [Follow the sessions]" in output
        assert output.count("ANSIBLE_STDOUT_CALLBACK=sciviz.paraview.lines") == times
        session.remove()


def test_other_tasks_keep_their_titles_and_errors(desk):
    (desk.home / "site.yml").write_text(json.dumps([{
        "name": "Site", "hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [
            {"name": "Show the sessions", "sciviz.paraview.session_info": {"table": True}},
            {"name": "Misspelled", "sciviz.paraview.session_info": {"tabel": True}, "ignore_errors": True},
            {"name": "Undefined", "sciviz.paraview.session_info": {"table": "{{ nothing }}"}, "ignore_errors": True},
            {"name": "Of the site", "ansible.builtin.command": "sh -c 'echo no licence >&2; exit 3'"}]}]))
    desk.session(state="ready", route="node_tunnel", job_id="4711")
    desk.daemon.end()
    playbook = desk.pipe("site.yml")
    output = playbook.communicate(timeout=60)[0]
    ours, site = output.split("\nPLAY [Site]")
    assert ours.splitlines()[0].split() == ["host", "route", "job", "state", "nodes", "left", "url", "or", "reason"]
    assert "localhost: tabel is not an option of this action" in ours and "nothing" in ours and "{" not in ours and "[ERROR]" not in ours
    assert "TASK [Of the site]" in site and "no licence" in site and "PLAY RECAP" in site and "TASK [Show" not in site
    assert playbook.returncode == 2


def test_disconnect_shows_its_line_alone(desk):
    desk.session(state="ended")
    playbook = desk.pipe("sciviz.paraview.disconnect", "-e", "host=lab")
    assert playbook.communicate(timeout=60)[0] == "lab: the session was over; nothing is left on either side\n"


def test_a_misspelled_host_is_an_error_in_three_lines(desk):
    playbook = desk.pipe("sciviz.paraview.connect", "-e", "host=lba")
    rows = playbook.communicate(timeout=60)[0].splitlines()
    assert len(rows) == 3 and rows[0] == "lba: no host is called 'lba'" and rows[1].endswith("is lab meant?") and playbook.returncode == 2
