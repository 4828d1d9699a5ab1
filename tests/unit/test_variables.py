# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables that are not the collection's."""

import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import distance
from ansible_collections.sciviz.paraview.plugins.plugin_utils import variables
from conftest import TOP
from hypothesis import given
from hypothesis import strategies as st

SHORT = st.text("abc", max_size=6)


@pytest.mark.parametrize(("one", "other", "steps"), [
    ("", "", 0), ("a", "", 1), ("nodes", "node", 1), ("nodes", "ndoes", 1), ("walltime", "waltime", 1), ("queue", "queues", 1), ("idle", "lifeline", 5),
    ("kitten", "sitting", 3)])
def test_distance_of_names(one, other, steps):
    assert distance(one, other) == distance(other, one) == steps


@given(SHORT, SHORT, SHORT)
def test_properties_of_a_distance(one, other, third):
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, third) <= distance(one, other) + distance(other, third) + 1, "a swap may be counted twice"


@given(SHORT, SHORT, st.integers(0, 4))
def test_distance_above_a_limit(one, other, enough):
    exact, quick = distance(one, other), distance(one, other, enough)
    assert quick == exact or (quick > enough and exact > enough)


@pytest.mark.parametrize(("name", "correct"), [
    ("paraview_node", "paraview_nodes"), ("paraview_waltime", "paraview_walltime"), ("paraview_gpu_per_node", "paraview_gpus_per_node"),
    ("paraview_start_clinet", "paraview_start_client")])
def test_a_misspelling_is_reported_with_the_correct_name(name, correct):
    with pytest.raises(SessionError) as caught:
        variables.check(["inventory_hostname", name], [])
    assert caught.value.lines() == [
        f"{name} is not a variable of sciviz.paraview", f"the nearest is {correct}",
        "correct it in the inventory, or rename it if it belongs to another role; nothing was touched"]


@pytest.mark.parametrize(("name", "longer"), [
    ("paraview_mem", "paraview_memory"), ("paraview_cpus", "paraview_cpus_per_task"), ("paraview_launcher", "paraview_mpi_launcher"),
    ("paraview_time", "paraview_walltime"), ("paraview_port", "paraview_client_port"), ("paraview_job", "paraview_job_id")])
def test_a_shortened_name_is_found_in_the_full_one(name, longer):
    assert variables.nearest(name) == longer


@pytest.mark.parametrize("name", ["paraview_lifeline", "paraview_idle", "paraview_deadline", "paraview_x\x1b[2J"])
def test_on_the_command_line_every_unknown_name_is_an_error(name):
    with pytest.raises(SessionError, match="is not a variable of sciviz.paraview") as caught:
        variables.check([name], [name])
    assert "paraview_" in caught.value.why and "command line" in caught.value.way_out and "\x1b" not in str(caught.value)


def test_a_name_may_belong_to_another_role():
    (line,) = variables.check(["paraview_licence_server", "paraview__own", "paraview_nodes", "other"], ["host", "paraview_nodes"])
    assert line.startswith("paraview_licence_server is not a variable of sciviz.paraview; the nearest is paraview_")


def test_every_name_of_ours_is_accepted():
    for name in variables.collection_variables():
        assert variables.check([name], [name]) == []


def test_every_name_in_the_documentation_exists():
    texts = [path.read_text() for path in (TOP / "README.md", *(TOP / "docs/docsite/rst").glob("*.rst"), *(TOP / "roles").glob("*/README.md"))]
    shown = set(re.findall(r"-e '?\{?\"?(paraview_[a-z_]+)", "\n".join(texts))) | set(re.findall(r"\n *\"?(paraview_[a-z_]+)\"?: ", "\n".join(texts)))
    assert len(shown) > 10 and shown <= variables.collection_variables(), shown - variables.collection_variables()
    read = set(re.findall(r"\bparaview_[a-z_]+", "".join(path.read_text() for path in (TOP / "playbooks").glob("*.yml"))))
    assert {name for name in read if not name.startswith("paraview__")} - {"paraview_selected"} <= variables.collection_variables()
