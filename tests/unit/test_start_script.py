# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script by which ParaView connects when it starts. In the lab, ParaView itself runs it."""

import subprocess
import sys

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import start_script

URL = "csrc://127.0.0.1:40123"


def run(text, tail=""):
    """Runs a script in a Python without ParaView; returns its standard output and standard error."""
    done = subprocess.run([sys.executable, "-I", "-c", text + tail], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    return done.stdout.decode(), done.stderr.decode()


def test_a_python_without_paraviews_modules_prints_a_note():
    out, err = run(start_script.text(URL, 17), "print(sorted(name for name in globals() if not name.startswith('__')))")
    state, why = start_script.state(err)
    assert state == "unable" and "No module named 'paraview'" in why
    assert "is not connected" in err.splitlines()[-1], "for the user, in ParaView's window"
    assert out == "[]\n", "nothing is left in the user's Python shell"


@pytest.mark.parametrize("url", ["cs://127.0.0.1:1'); import os; os._exit(3)  #", 'cs://"""\n', "cs://\\", "cs://\N{SNOWMAN}:1"])
def test_a_url_is_never_run_as_code(url):
    text = start_script.text(url, 0)
    assert text.isascii() if hasattr(text, "isascii") else text.encode("ascii")
    assert start_script.state(run(text)[1])[0] == "unable"


def test_the_last_lines_have_the_url_and_the_connect_id():
    assert start_script.text(URL, 2147483647).endswith("\n_connect_at_start('csrc://127.0.0.1:40123', 2147483647)\ndel _connect_at_start\n")


@pytest.mark.parametrize(("log", "state", "why"), [
    ("", "", ""),
    ("QStandardPaths: XDG_RUNTIME_DIR not set\n", "", ""),
    ("paraview-connect: begun\n", "begun", ""),
    ("paraview-connect: begun\nAccepting connection(s): desk:40123\nparaview-connect: listening\n", "listening", ""),
    ("paraview-connect: listening\nparaview-connect: stranger Connection failed during handshake.\nparaview-connect: listening\n", "listening", ""),
    ("paraview-connect: begun\nparaview-connect: connected\n", "connected", ""),
    ("paraview-connect: refused pvserver at cs://127.0.0.1:5: it has another connect-id\nThis ParaView is not connected\n", "refused",
     "pvserver at cs://127.0.0.1:5: it has another connect-id"),
    ("paraview-connect: unable ImportError: \x1b[31mlibGL\x07\n", "unable", "ImportError: libGL"),
    ("critical: In pqCommandLineOptionsBehavior.cxx, line 261\ncritical: Python support not enabled. Cannot run python scripts.\n", "unable",
     "it was built without Python"),
    ("Python path configuration:\n  PYTHONHOME = '/opt/conda'\n  PYTHONPATH = (not set)\n", "unable",
     "its Python does not start; PYTHONHOME may point to another Python"),
    ("a user's own program says paraview-connect: refused\n", "", ""),
])
def test_the_reported_state(log, state, why):
    assert start_script.state(log) == (state, why)
