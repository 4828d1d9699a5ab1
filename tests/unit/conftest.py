# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of the helpers: a local shell in place of a login node, recorded answers, waiting for a condition."""

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(TOP / ".cache" / "hypothesis"))
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile(
    "unit", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "100")), database=None, derandomize="EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
hypothesis_settings.load_profile("unit")

# A shell starts a command in the background with SIGINT ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Answer(collections.namedtuple("Answer", "command code out err")):
    """A recorded answer."""

    def mine(self, job_id, recorded_id=None):
        """The same answer with another job id."""
        recorded_id = recorded_id or self.command.split()[-1]
        return self._replace(out=re.sub(r"\b{0}\b".format(re.escape(recorded_id)), job_id, self.out))


def run_local(text, seconds=30, shell="/bin/sh"):
    """``script(text, seconds)`` on this host."""
    done = subprocess.run([shell], input=text.encode("utf-8", "surrogateescape"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=seconds, check=False, start_new_session=True)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def wait_until(condition, seconds=20.0):
    """Waits until a condition returns a true value, and returns that value; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "the condition was not met in time: {0}".format(condition)
        time.sleep(0.01)


@pytest.fixture(name="script")
def _script():
    return run_local


@pytest.fixture(name="until")
def _until():
    return wait_until


@pytest.fixture(name="program")
def _program(tmp_path):
    """Writes a program and returns its path."""
    def write(name, text):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture(name="recorded", scope="session")
def _recorded():
    """Reads a recorded answer of a batch system."""
    def read(case, scheduler="slurm"):
        text = (TOP / "tests" / "fixtures" / scheduler / (case + ".txt")).read_bytes().decode("utf-8", "replace")
        parts = re.search(r"=== command\n(.*?)\n=== exit code\n(\d+)\n=== stdout\n(.*?)=== stderr\n?(.*)\Z", text, re.DOTALL)
        return Answer(parts.group(1), int(parts.group(2)), parts.group(3), parts.group(4))

    return read


@pytest.fixture(name="short_path")
def _short_path():
    """A directory whose name is short enough for sockets in it."""
    path = tempfile.mkdtemp(prefix="u", dir="/tmp")
    yield Path(path)
    # What a test has ended may still remove its own files.
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(name="held")
def _held(tmp_path, short_path, session_directory):
    """A session's daemon, its ssh and its job."""
    from test_daemon import Held  # noqa: PLC0415 (it takes this module's functions)

    held = Held(tmp_path, short_path, session_directory)
    yield held
    held.clean()


@pytest.fixture(name="session_directory")
def _session_directory(tmp_path):
    """The directory of a session's files, in a home below this test's directory; it does not exist yet."""
    return tmp_path / "a 'home'" / ".paraview-connect" / "0123456789abcdef"
