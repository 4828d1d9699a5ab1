# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process is identified by its id and its start."""

import os
import signal
import subprocess
import sys

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes


@pytest.fixture(name="start")
def _start():
    started = []

    def start(text):
        started.append(subprocess.Popen(["/bin/sh", "-c", text], stdout=subprocess.PIPE, start_new_session=True))
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


def test_ourselves_are_alive():
    assert processes.alive(processes.identity(os.getpid()))


@pytest.mark.parametrize("process", [None, [], [os.getpid(), None], [os.getpid(), "1"], [2 ** 22 + 1, "1"]])
def test_not_alive(process):
    assert not processes.alive(process)


def test_a_zombie_is_gone(start):
    process = start("echo")
    another = [process.pid, processes.started(os.getpid())]
    assert processes.wait_gone(another, 10)
    process.stdout.read()
    assert processes.wait_gone(processes.identity(process.pid), 10)


def test_end_ends_the_whole_group(start, until):
    process = start("sleep 1000 & echo; wait")
    child = int(subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], stdout=subprocess.PIPE, check=True).stdout)
    processes.end(processes.identity(process.pid))
    assert process.wait(10) == -15
    until(lambda: processes.started(child) is None)


def test_end_kills_a_process_that_ignores_sigterm(start):
    process = start("trap '' TERM; echo; while :; do sleep 0.05; done")
    processes.end(processes.identity(process.pid), patience=0.05)
    assert process.wait(10) == -9


def test_end_kills_a_process_that_ignores_sigterm_and_outlives_its_leader(start, until):
    """The leader, such as xvfb-run, ends immediately; a program that it started ignores SIGTERM."""
    process = start("(trap '' TERM; while :; do sleep 0.1; done) & echo; echo $!; exec sleep 600")
    stubborn = processes.identity(int(process.stdout.readline()))
    processes.end(processes.identity(process.pid), patience=0.3)
    until(lambda: not processes.alive(stubborn), 5)


def test_another_process_with_the_same_id_is_not_ended(start):
    process = start("echo; sleep 1000")
    processes.end([process.pid, "1"])
    assert process.poll() is None


def test_wait_gone_gives_up(start):
    assert not processes.wait_gone(processes.identity(start("echo; sleep 1000").pid), 0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent is killed")
def test_a_child_ends_once_nobody_reads_its_output():
    child = processes.Child(["sh", "-c", "while :; do echo; done"])
    child.stdout.close()
    child.wait(10)
    assert child.ended() == 128 + signal.SIGPIPE
    for stream in (child.stdin, child.stderr):
        stream.close()


def test_a_child_ends_with_a_parent_that_is_killed(until):
    plugins = os.path.dirname(os.path.dirname(os.path.dirname(processes.__file__)))
    text = f"""import sys; sys.path.insert(0, {plugins!r}); from module_utils.common import processes
print(processes.Child(['sleep', '1000']).pid, flush=True); input()"""
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = processes.identity(int(parent.stdout.readline()))
        parent.kill()
    until(lambda: not processes.alive(child))
