# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of logins to one sshd at a time."""

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import login_turns

PLUGINS = Path(login_turns.__file__).parents[2]
LOGIN = """
import sys
sys.path.insert(0, {0!r})
from module_utils.ssh import login_turns
with login_turns.slot({1!r}, sys.argv[1]):
    print("in", flush=True)
    sys.stdin.read()
"""


class Logins:
    """Processes that log in."""

    def __init__(self, directory):
        self.code, self.started = LOGIN.format(str(PLUGINS), str(directory)), []

    def start(self, host="login:22"):
        process = subprocess.Popen([sys.executable, "-c", self.code, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started.append(process)
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def end(self):
        for process in self.started:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def under_way(process):
    return process.stdout.read() == b"in\n"


def test_eight_logins_to_a_host_at_a_time(tmp_path, until):
    logins = Logins(tmp_path)
    try:
        first = [logins.start() for _number in range(8)]
        for process in first:
            until(lambda process=process: under_way(process))
        ninth, elsewhere = logins.start(), logins.start("other:22")
        until(lambda: under_way(elsewhere))
        assert not under_way(ninth)
        first[3].stdin.close()
        until(lambda: under_way(ninth))
    finally:
        logins.end()
    assert not os.listdir(tmp_path), "no file is left"


def test_a_login_that_was_killed_holds_no_slot(tmp_path, until):
    logins = Logins(tmp_path)
    try:
        first = [logins.start() for _number in range(8)]
        for process in first:
            until(lambda process=process: under_way(process))
            process.kill()
            process.wait()
        ninth = logins.start()
        until(lambda: under_way(ninth))
    finally:
        logins.end()


TURN = """
import sys
sys.path.insert(0, {0!r})
from module_utils.ssh import login_turns
turn = login_turns.Turn({1!r}, "alice@login")
login_turns._PATIENCE = float(sys.argv[1])
turn.wait(lambda: False)
print("in", flush=True)
for line in sys.stdin:
    turn.note_prompt()
turn.over()
"""


class Turns(Logins):
    """Processes that log in to the same account one after the other."""

    def __init__(self, directory):
        super().__init__(directory)
        self.code = TURN.format(str(PLUGINS), str(directory))


def test_a_login_waits_for_another_to_the_same_account(tmp_path, until):
    turns = Turns(tmp_path)
    try:
        first = turns.start("1000")
        until(lambda: under_way(first))
        second, third, checks = turns.start("1000"), login_turns.Turn(str(tmp_path), "alice@login"), []
        third.wait(lambda: checks.append(1) or len(checks) > 5)
        assert len(checks) > 5 and not under_way(second)
        first.stdin.close()
        until(lambda: under_way(second))
    finally:
        turns.end()
    assert not os.listdir(tmp_path)


def test_a_login_that_hangs_is_not_waited_for_for_ever(tmp_path, until):
    turns = Turns(tmp_path)
    try:
        first = turns.start("1000")
        until(lambda: under_way(first))
        second = turns.start("0.2")
        until(lambda: under_way(second))
    finally:
        turns.end()


def test_a_login_that_prompts_its_user_is_waited_for(tmp_path, until):
    turns = Turns(tmp_path)
    try:
        first = turns.start("1000")
        until(lambda: under_way(first))
        first.stdin.write(b"\n")
        first.stdin.flush()
        until(lambda: any(path.read_bytes() == b"prompts" for path in tmp_path.iterdir()))
        second = turns.start("0.2")
        third = login_turns.Turn(str(tmp_path), "alice@login")
        checks = []
        third.wait(lambda: checks.append(1) or len(checks) > 20)
        assert len(checks) > 20 and not under_way(second), "it still waits after a second"
        first.stdin.close()
        until(lambda: under_way(second))
    finally:
        turns.end()
