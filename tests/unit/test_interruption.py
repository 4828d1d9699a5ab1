# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C is noted in the sessions of a playbook, and ends it even if Python drops the exception."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.session import interruption
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session

PLUGINS = Path(interruption.__file__).parents[2]
DROPS = """
import os, signal, sys, time
sys.path.insert(0, {0!r})
from module_utils.session import interruption
def drops(number, frame):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, drops)
interruption.note_on_sigint({1!r}, os.getpid(), {2})
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


def playbook(tmp_path, limit):
    process = subprocess.Popen([sys.executable, "-c", DROPS.format(str(PLUGINS), str(tmp_path), limit)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_playbook_that_drops_the_exception_ends_all_the_same(tmp_path):
    process = playbook(tmp_path, 0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == interruption.INTERRUPTED
    process.stdout.close()


def test_only_the_sessions_of_that_playbook_get_the_note(tmp_path, until):
    process = playbook(tmp_path, 0)
    mine, other = Session(str(tmp_path), "mine"), Session(str(tmp_path), "other")
    owner = processes.identity(process.pid)
    mine.begin(owner=owner)
    other.begin(owner=[1, "1"])
    process.send_signal(signal.SIGINT)
    until(lambda: os.path.exists(os.path.join(mine.directory, "interrupted")))
    process.kill()
    process.wait()
    process.stdout.close()
    assert not interruption.noted(other, [1, "1"])
    assert interruption.noted(mine, owner)
    assert not interruption.noted(mine, owner), "the note is read once"
