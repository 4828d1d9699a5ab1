# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks of ours in a main file: an edit keeps every other byte."""

import os

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import blocks, config, program
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.blocks import with_block, without_block
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.config import Tree
from hypothesis import given, settings
from hypothesis import strategies as st
from login_node import LoginNode

MAIN = "/etc/ssh/sshd_config"


@pytest.fixture(name="node")
def _node(tmp_path):
    return LoginNode(tmp_path / "node root")


def block_lines(text, name):
    return {number for block in blocks.blocks(text) if block.name == name for number in range(block.first, block.last + 1)}


NAMES = ("viz", "viz-reverse", "a")
FREE = st.text(alphabet=st.characters(blacklist_categories=())) | st.lists(
    st.sampled_from(["GatewayPorts yes", "", "# note", "Match User x", "\tX11Forwarding no", "\r", "\xe9\udcff"]), max_size=6).flatmap(
        lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda newline: newline.join(lines)))


@settings(max_examples=int(os.environ.get("EXAMPLES", "300")))
@given(text=FREE, steps=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["end", "head", "match"])), min_size=1, max_size=4),
       order=st.permutations(NAMES))
def test_blocks_leave_no_byte_behind(text, steps, order):
    now = text
    for name, where in steps:
        now = without_block(now, name)
        before = {"end": None, "head": 1, "match": next((number for number, line in enumerate(now.split("\n"), 1) if line.startswith("Match ")), None)}[where]
        # As the planner does: a block that would be inside another is added before that one.
        before = before - 1 if where == "match" and before in blocks.ours(now) else before
        now = with_block(now, name, ["Match Group {0}".format(name), "    GatewayPorts yes", "Match all"], before)
        inside = block_lines(now, name)
        assert len(inside) == 5
        assert [line.rstrip("\r") for number, line in enumerate(now.split("\n"), 1) if number in inside][1] == "Match Group " + name
        read = [line.rest for line in config.lines(now) if line.number in inside and line.keyword == "match"]
        assert read == ["Group " + name, "all"], "sshd sees the lines of the block"
    for name in order:
        now = without_block(now, name)
    assert now == text


@given(text=FREE, appended=st.sampled_from(["\n", "\nPermitTTY no", "\nPermitTTY no\n"]))
def test_text_that_others_append_after_a_block_stays(text, appended):
    if text and not text.endswith("\n"):
        assert without_block(with_block(text, "a", ["GatewayPorts yes"]) + appended, "a") == text + appended
    else:
        assert without_block(with_block(text, "a", ["GatewayPorts yes"]) + appended[1:], "a") == text + appended[1:]


def test_block_has_the_line_ends_of_its_file():
    assert with_block("A 1\r\nB 2\r\n", "a", ["X 1"]).count("\r\n") == 5
    assert with_block("A 1\nB 2\r\nC 3\n", "a", ["X 1"]).count("\r\n") == 1


def test_blocks_of_others_stay():
    text = with_block(with_block("A 1\n", "viz", ["X 1"]), "viz-reverse", ["Y 1"])
    assert without_block(text, "viz") == with_block("A 1\n", "viz-reverse", ["Y 1"])
    assert without_block(text, "reverse") == text


BLOCK = with_block("", "a", ["GatewayPorts yes"])
BEGIN, END = BLOCK.splitlines()[0], BLOCK.splitlines()[-1]


@pytest.mark.parametrize("text", [
    BEGIN + "\nGatewayPorts yes\n", "GatewayPorts yes\n" + END + "\n", END + "\n" + BEGIN + "\n", END, BEGIN, END + "\r\n" + BEGIN + "\r\n",
    BEGIN + "\nGatewayPorts yes\nPermitRootLogin no\n" + BLOCK, BLOCK + "PermitRootLogin no\n" + END + "\n",
    BEGIN + "\n" + with_block("", "other", ["X 1"]) + END + "\n",
])
def test_broken_markers_are_refused(text):
    with pytest.raises(SessionError, match="the block of a in sshd_config is incomplete\n(.*\n)*.*nothing was changed"):
        without_block(text, "a")


@pytest.mark.parametrize("text", ["#" + BEGIN + "\n", " " + BEGIN + "\n", BEGIN + " \n", "see " + END + "\n", BEGIN + "b\n" + END + "b\n"])
def test_line_that_resembles_a_marker_stays(text):
    assert without_block(text, "a") == text
    assert block_lines(text, "a") == set()


def test_lines_of_a_block():
    text = with_block("A 1\nMatch User x\nB 1\n", "a", ["X 1", "Y 1"], 2)
    assert block_lines(text, "a") == {2, 3, 4, 5}
    assert block_lines(text, "b") == set()
    assert sorted(block_lines(with_block("A 1", "a", ["X 1"]), "a")) == [2, 3, 4]
    assert sorted(block_lines(with_block("A 1\r\n", "a", ["X 1"]), "a")) == [2, 3, 4]


def test_sshd_accepts_a_block(node):
    node.write(main="GatewayPorts no\r\nMatch User bob\r\n  X11Forwarding no")
    main = with_block(node.view.read(MAIN), "a", ["Match User alice", "    GatewayPorts yes", "Match all"])
    effective = node.program.effective(Tree(node.view.with_changes({MAIN: main}), MAIN), [program.Connection("alice"), program.Connection("bob")])
    assert [one.value("GatewayPorts") for one in effective] == ["yes", "no"]
    assert without_block(main, "a") == node.view.read(MAIN)
