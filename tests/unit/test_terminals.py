# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal or the pipe that shows a program's output."""

import fcntl
import os
import pty
import struct
import termios
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import terminals


@pytest.fixture(name="output")
def _output(monkeypatch):
    """Makes an Output of a file descriptor, as if that was the standard output."""
    duplicate = os.dup

    def make(descriptor):
        monkeypatch.setattr(os, "dup", lambda _one: duplicate(descriptor))
        return terminals.Output()

    return make


@pytest.mark.parametrize(("size", "seen"), [((40, 120), (120, 40)), ((0, 0), (80, 24))])
def test_the_size_of_a_terminal(output, monkeypatch, size, seen):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    monkeypatch.setenv("TERM", "xterm")
    terminal = output(theirs)
    assert terminal.size() == seen and not terminal.closed(0)
    for term in ("dumb", "", "unknown"):
        monkeypatch.setenv("TERM", term)
        assert terminal.size() is None
    monkeypatch.delenv("TERM")
    assert terminal.size() is None
    os.close(ours)
    os.close(theirs)


def test_a_pipe_has_no_size_and_may_be_closed(output, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.pipe()
    pipe = output(theirs)
    assert pipe.size() is None and not pipe.closed(0)
    os.close(ours)
    begun = time.monotonic()
    assert pipe.closed(20) and time.monotonic() - begun < 10, "it does not wait any longer"
    os.close(theirs)


def test_a_file_is_never_closed(output, tmp_path):
    with open(tmp_path / "file", "w") as stream:
        assert not output(stream.fileno()).closed(0.01)


def test_without_a_standard_output(monkeypatch):
    def fail(_descriptor):
        raise OSError

    monkeypatch.setattr(os, "dup", fail)
    nothing = terminals.Output()
    assert nothing.size() is None and not nothing.closed(0)
