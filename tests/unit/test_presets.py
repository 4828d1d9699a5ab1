# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets, and the batch system's options in one line."""

import shlex

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import presets, settings
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import choices
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher import options as launcher_options
from hypothesis import given
from hypothesis import strategies as st

PRESETS = {"small": {"paraview_nodes": 1}, "gpu": {"paraview_gpus_per_node": 2, "paraview_queue": "viz"}, "bigmem": None}


def options(**own):
    return {name: about["default"] for name, about in settings.SPEC.items()} | {"presets": PRESETS} | own


def test_a_preset_replaces_the_inventory_and_the_command_line_replaces_the_preset():
    used = presets.applied(options(preset="gpu", queue="batch", nodes=4), ["paraview_queue"])
    assert (used["preset"], used["queue"], used["nodes"], used["gpus_per_node"]) == ("gpu", "batch", 4, 2)
    assert presets.applied(options(preset="bigmem"), [])["preset"] == "bigmem", "a preset may be empty"


@pytest.mark.parametrize("name", ["", "none", " none "])
def test_without_a_preset_nothing_changes(name):
    assert presets.applied(options(preset=name), []) == options(presets={}, preset="")


def test_an_unknown_preset_is_refused_with_those_that_exist():
    with pytest.raises(SessionError, match="no preset 'gqu'.*\n.*small, gpu, bigmem\n.*nothing was touched"):
        presets.applied(options(preset="gqu"), [])
    with pytest.raises(SessionError, match="no preset 'gpu'.*\n.*has none"):
        presets.applied(options(presets={}, preset="gpu"), [])


@pytest.mark.parametrize(("found", "why"), [
    ({"a": {"paraview_gpu_per_node": 1}}, "a: paraview_gpu_per_node is not a variable of the job; the nearest is paraview_gpus_per_node"),
    ({"a": {"nodes": 1}}, "the nearest is paraview_nodes"),
    ({"a": {"paraview_client_host": "x"}}, "a: paraview_client_host cannot be in a preset"), ({"a": {"paraview_connect_id": 5}}, "cannot be in a preset"),
    ({"a": {"paraview_preset": "b"}}, "cannot be in a preset"), ({"a": {"ansible_password": "x"}}, "not a variable of the job"),
    ({"a": {"paraview_start_client": "rm"}}, "cannot be in a preset"),
    ({"a": ["paraview_nodes"]}, "a has to be a mapping"), ("gpu", "it has to be a mapping"), ({"none": {}}, "'none' cannot be the name"),
    ({"": {}}, "cannot be the name"), ({"a\x1b[2J": {}}, "cannot be the name")])
def test_a_preset_that_is_not_valid_is_refused_even_if_another_one_is_used(found, why):
    with pytest.raises(SessionError, match="paraview_presets is not valid") as refused:
        presets.applied(options(presets=found, preset="none"), [])
    assert why in str(refused.value) and "\x1b" not in str(refused.value) and "nothing was touched" in str(refused.value)


def test_the_dialog_lists_presets_and_leaves_out_what_they_set():
    offered = {one["name"]: one for one in choices.options({"paraview_presets": PRESETS, "paraview_preset": "gpu"}, False)}
    assert list(offered) == ["preset", "tasks_per_node", "walltime", "account", "route"]
    assert [one["value"] for one in offered["preset"]["choices"]] == ["none", "small", "gpu", "bigmem"] and offered["preset"]["default"] == "gpu"
    requested = choices.options({"paraview_presets": PRESETS, "paraview_dialog": {"nodes": {"max": 4}, "preset": False}}, False)
    assert [one["name"] for one in requested] == ["nodes", "tasks_per_node", "walltime", "account", "route"]
    assert choices.kept({"paraview_presets": PRESETS})["paraview_presets"] == PRESETS
    with pytest.raises(SessionError, match="paraview_presets is not valid"):
        choices.options({"paraview_presets": {"a": {"paraview_nodse": 1}}}, False)


# Lines of the kind that job scripts have.
@pytest.mark.parametrize(("line", "directives"), [
    ("--gres=gpu:1 --constraint=40GB --exclude=node021,node071", ["--gres=gpu:1", "--constraint=40GB", "--exclude=node021,node071"]),
    ("-l select=1:ncpus=8 -M me@site.edu -m ae", ["-l select=1:ncpus=8", "-M me@site.edu", "-m ae"]),
    ("--comment 'a b' --no-requeue", ['--comment "a b"', "--no-requeue"]),
    ('-R "select[mem>4000] rusage[mem=4000]" -gpu num=1', ['-R "select[mem>4000] rusage[mem=4000]"', "-gpu num=1"]),
    ("--nice -1", ["--nice -1"]), ('--exclude="n1"', ["--exclude=n1"]), ("--comment='$HOME `id` \"x\"'", ["--comment='$HOME `id` \"x\"'"]), ("", [])])
def test_options_in_one_line_become_directives(line, directives):
    checked = settings.check(options(scheduler_arguments=line, directives=["--first"]))
    assert checked["directives"] == ["--first", *directives]


@pytest.mark.parametrize("line", ["comment=viz", "; rm -rf /", "--comment='open", "--a\n--b='\nrm'", "--a='\x1b[2J'", "--x='a'\"'$'"])
def test_a_line_that_is_not_valid_is_refused_before_anything_was_touched(line):
    with pytest.raises(SessionError, match=r"paraview_scheduler_arguments: .*(\n.*)*nothing was touched"):
        settings.check(options(scheduler_arguments=line))


@given(st.lists(st.text(min_size=1, max_size=20), max_size=4))
def test_words_arrive_as_they_are_or_are_refused(words):
    try:
        lines = settings.check(options(scheduler_arguments=["--first", *words]))["directives"]
    except SessionError:
        return
    assert [word for line in lines for word in shlex.split(line)] == ["--first", *words]


def test_the_launcher_has_the_line():
    line = {"port": "20000", "connect_id": "7", "scheduler_arguments": "--comment='a b' --exclude=n1"}
    read = launcher_options.read(launcher_options.parser().parse_args(["forward"]), line, {})
    assert read.job["directives"] == ['--comment="a b"', "--exclude=n1"]
    with pytest.raises(SessionError, match="scheduler_arguments"):
        launcher_options.read(launcher_options.parser().parse_args(["forward"]), dict(line, scheduler_arguments="$(id)"), {})
