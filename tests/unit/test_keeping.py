# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows in a job that is kept."""

import json
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import endings
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.status_file import Progress
from ansible_collections.sciviz.paraview.plugins.module_utils.session import keeping

LEFT = endings.Ending("ended", endings.CLIENT_LEFT)
KILLED = endings.Ending("failed", "its memory was full", "raise paraview_memory")


def record(keep="crash", **fields):
    return SessionRecord(name="lab", job_id="17", nodes=["c1"], settings={"keep": keep, "keep_timeout": 900, "nodes": 1}, **fields)


@pytest.mark.parametrize(("keep", "left", "again"), [
    ("crash", "orderly", False), ("crash", "cut", True), ("crash", "", True), ("always", "orderly", True), ("always", "cut", True)])
def test_what_follows_after_paraview_has_left(keep, left, again):
    assert keeping.decide(record(keep), LEFT, left, 1000.0).again is again


def test_a_pvserver_that_dies_is_started_again_three_times_in_ten_minutes():
    died_at, seen = [], []
    for now in (0.0, 100.0, 200.0, 300.0, 750.0):
        found = keeping.decide(record(died_at=died_at), KILLED, "cut", 1000 + now)
        died_at = found.died_at
        seen.append(found.again)
    assert seen == [True, True, True, False, True]


def test_the_cause_of_its_death_is_named():
    found = keeping.decide(record(), KILLED, "", 0.0)
    assert "its memory was full" in found.why and "cannot go on" in found.why


def test_one_line_has_what_the_user_pays_for_and_how_to_end_it():
    line = keeping.line(record().with_(settings={"keep": "crash", "keep_timeout": 900, "nodes": 2, "gpus_per_node": 2}), "ParaView has left", 0.0)
    assert "job 17 on c1 (4 GPUs idle)" in line and "sciviz.paraview.disconnect -e host=lab" in line and "\n" not in line


@pytest.mark.parametrize(("code", "found"), [(0, "orderly"), (1, "cut"), (139, "cut")])
def test_the_exit_status_of_a_client_counts(tmp_path, code, found):
    """A script that ends without Disconnect() is no crash."""
    (tmp_path / "stub.json").write_text(json.dumps({"left": "cut"}))
    (tmp_path / "stub.json").chmod(0o600)
    done = subprocess.run(keeping.with_status(["sh", "-c", 'echo "$1"; exit $2', "x", "a b $HOME *", str(code)]), check=False, stdout=subprocess.PIPE)
    assert done.returncode == code and done.stdout.startswith(b"a b $HOME *\n")
    (tmp_path / "client.log").write_bytes(done.stdout)
    assert keeping.left(str(tmp_path), record(client=[1, "2"], lifeline=True)) == found


@pytest.mark.parametrize(("reported", "has_stub", "found"), [
    ('{"left": "orderly"}', True, "orderly"), ('{"left": "cut"}', True, "cut"), ('{"left": 17}', True, ""), ("{", True, ""), ('{"left": "cut"}', False, "")])
def test_how_paraview_has_left(tmp_path, reported, has_stub, found):
    (tmp_path / "stub.json").write_text(reported)
    (tmp_path / "stub.json").chmod(0o600)
    assert keeping.left(str(tmp_path), record(lifeline=has_stub)) == found


def test_pvserver_that_has_left_has_an_ending():
    progress = Progress("running c1\nround 3\nsaid Client connected.\nleft 0\n")
    assert (progress.round, progress.left, progress.ended) == (3, 0, None)
    assert endings.of(progress, "").reason == endings.CLIENT_LEFT
    died = Progress("running c1\nsaid Client connected.\nleft 139\n")
    assert (died.round, endings.of(died, "Segmentation fault").reason == endings.CLIENT_LEFT) == (1, False)
