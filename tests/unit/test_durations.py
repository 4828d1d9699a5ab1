# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans of time as people write and read them."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10 ** 9))
def test_what_clock_writes_is_read_again(seconds):
    assert durations.parse(durations.clock(seconds)) == seconds


@given(st.one_of(st.text(), st.text("0123456789.-:smhd "), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_anything_is_a_positive_number_or_an_error(value):
    try:
        assert durations.parse(value) >= 1
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(("value", "seconds"), [
    ("1:30:00", 5400), ("0:00:01", 1), ("100:00:00", 360000), ("2-00:00:00", 172800), ("1-1:00:00", 90000),
    ("90m", 5400), ("90 min", 5400), ("2h", 7200), ("2 H", 7200), ("45s", 45), ("1.5h", 5400), ("1d", 86400), (" 20 ", 1200),
    (20, 1200), (0.5, 30), (1440, 86400), ("0.001s", 1),
])
def test_good_forms(value, seconds):
    assert durations.parse(value) == seconds


@pytest.mark.parametrize("value", [
    "", "soon", "1:2", "1:60:00", "1:00:60", "-5", "0", "0s", "0:00:00", "1h30", "1:00:00:00", None, True, [], "1e3", "nan", "inf", "9" * 400 + "h"])
def test_wrong_forms_say_what_can_be_written(value):
    with pytest.raises(ValueError, match="write 1:30:00"):
        durations.parse(value)


def test_a_time_that_yaml_has_read_as_a_number_is_refused():
    with pytest.raises(ValueError, match="quotes"):
        durations.parse(3600)


@pytest.mark.parametrize(("seconds", "clock", "spoken", "short"), [
    (4, "0:00:04", "4 s", "0:04"), (60, "0:01:00", "1 min", "1:00"), (372, "0:06:12", "6 min 12 s", "6:12"),
    (3130, "0:52:10", "52 min 10 s", "52:10"), (7500, "2:05:00", "2 h 5 min", "2:05:00"), (59.7, "0:00:59", "1 min", "0:59"),
    (90000, "1-01:00:00", "25 h 0 min", "1-01:00:00"),
])
def test_readable_forms(seconds, clock, spoken, short):
    assert (durations.clock(seconds), durations.spoken(seconds), durations.short(seconds)) == (clock, spoken, short)


def test_a_span_that_is_not_known_is_a_dash():
    assert durations.short(None) == "-"
