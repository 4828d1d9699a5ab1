# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from another side is shown without anything that a terminal would interpret."""

import re
import sys
import unicodedata

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import text
from hypothesis import given
from hypothesis import strategies as st

ANYTHING = st.one_of(st.text(st.characters()), st.binary(), st.text("\x1b[]()\\P\x07\x9b\x85\u2028\u202e\u061c;0mA\r\n\t "))
#: What a terminal interprets, what is invisible, and what changes the direction or the order of the text next to it.
UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")


@given(ANYTHING)
def test_clean_leaves_no_control_character(raw):
    shown = text.clean(raw)
    assert not [char for char in shown if char not in "\n\t" and unicodedata.category(char) in UNSAFE]
    shown.encode("utf-8")


def test_no_format_character_is_left_anywhere_in_unicode():
    unsafe = [chr(number) for number in range(sys.maxunicode + 1) if unicodedata.category(chr(number)) in UNSAFE and chr(number) not in "\n\t"]
    left = [hex(ord(char)) for char in unsafe if char in text.one_line("a" + char + "b")]
    assert not left
    assert text.one_line("\u202eadmin\u202c\u2066x\u2069 job\u200f 17\ufeff\u00ad") == "adminx job 17"


def test_ordinary_characters_of_any_writing_are_left():
    kept = "caf\u00e9 \u65e5\u672c \u0627\u0644 \u05e9 \u0928\u093f \u2192 \U0001f600"
    assert text.one_line(kept) == kept


@pytest.mark.parametrize(("printed", "value"), [
    ("1000\n", 1000), (" 0 ", 0), ("", None), ("-1", None), ("\u00b2", None), ("\u0663", None), ("1_0", None), ("1 2", None), ("9" * 19, None), ("0x1", None)])
def test_a_number(printed, value):
    assert text.number(printed) == value


@given(ANYTHING, st.integers(1, 200))
def test_one_line_is_one_line(raw, limit):
    shown = text.one_line(raw, limit)
    assert len(shown.splitlines()) <= 1
    assert "\t" not in shown
    assert len(shown) <= limit + len("...")


@given(ANYTHING)
def test_tail_is_indented_throughout(raw):
    assert all(line.startswith("    ") and line.strip() for line in text.tail(raw).splitlines())


@pytest.mark.parametrize(("raw", "shown"), [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b]0;title\x07rest", "rest"),
    ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("50%\r100%", "50%\n100%"),
    ("dos\r\nlines", "dos\nlines"),
    (b"caf\xe9", "caf\ufffd"),
    (b"caf\xc3\xa9", "caf\u00e9"),
    ("a\tb\nc", "a\tb\nc"),
    (42, "42"),
])
def test_clean(raw, shown):
    assert text.clean(raw) == shown


def test_long_text_keeps_its_end():
    assert text.clean("x" * 5000 + "the cause", 100).endswith("the cause")
    assert len(text.clean("x" * 5000, 100)) < 110


def test_one_line_joins_lines_that_are_not_empty():
    assert text.one_line("\n error: no such partition \n\n\tsee the manual\n") == "error: no such partition; see the manual"
    assert text.one_line("") == ""


def test_tail_keeps_the_last_lines():
    assert text.tail("\n".join("line {0}".format(number) for number in range(50)), 2) == "    line 48\n    line 49"


@given(ANYTHING, st.integers(1, 500), st.integers(1, 9))
def test_the_last_lines_are_one_short_line_without_controls(given_text, limit, lines):
    shown = text.last_lines(given_text, limit, lines)
    assert len(shown) <= limit + 3 + 2 * lines
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)


@pytest.mark.parametrize(("given_text", "shown"), [
    ("a\n\n b \n=====\nc", "a; b; c"), ("1\n2\n3\n4\n5\n6", "3; 4; 5; 6"), ("-----\n\n", ""), ("cause\nusage: x [-a]\n  -a  b", "cause"),
    ("usage: x [-a]\nx: error: cause", "usage: x [-a]; x: error: cause"), ("x" * 500, "..." + "x" * 400), ("a" * 300 + "\n" + "b" * 300, "b" * 300)])
def test_the_end_of_what_a_program_printed(given_text, shown):
    assert text.last_lines(given_text) == shown
