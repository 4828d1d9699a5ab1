# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as people write and read them."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.sciviz.paraview.plugins.filter.seconds import FilterModule
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10 ** 9))
def test_parse_reads_what_clock_writes(seconds):
    assert durations.parse(durations.clock(seconds)) == seconds


@given(st.one_of(st.text(), st.text("0123456789.-:smhd "), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_any_value_is_a_positive_number_or_an_error(value):
    try:
        assert durations.parse(value) >= 1
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(("value", "seconds"), [
    ("1:30:00", 5400), ("0:00:01", 1), ("100:00:00", 360000), ("2-00:00:00", 172800), ("1-1:00:00", 90000),
    ("90m", 5400), ("90 min", 5400), ("2h", 7200), ("2 H", 7200), ("45s", 45), ("1.5h", 5400), ("1d", 86400), ("20m", 1200),
    ("0.5m", 30), ("0.001s", 1), ("4:0:0", 14400), ("80:00:00", 288000), ("7-0", 604800), ("1-12", 129600), ("1-12:30", 131400), ("2-0:5:0", 173100),
    ("1h30m", 5400), ("1h 30m", 5400), ("1d12h", 129600), ("2 hours", 7200), ("1 day", 86400), ("90 Minutes", 5400), ("1hr", 3600), ("30sec", 30),
])
def test_good_forms(value, seconds):
    assert durations.parse(value) == seconds


@pytest.mark.parametrize("value", [
    "", "soon", "1:2", "1:60:00", "1:00:60", "-5", "0s", "0:00:00", "1h30", "1:00:00:00", "30m1h", "1h1h", "2 weeks", "20:00",
    "1-", "-1", "1-00:", "h", "1-30m", None, True, [], "1e3", "nan", "inf", "9" * 400 + "h"])
def test_errors_show_the_valid_forms(value):
    with pytest.raises(ValueError, match="write 90s, 15m, 2h, 3d, 1:30:00"):
        durations.parse(value)


@pytest.mark.parametrize(("value", "message"), [
    (20, "20 has no unit: 20s is 20 s, 20m is 20 min"), ("90", "'90' has no unit: 90s is 1 min 30 s, 90m is 1 h 30 min"),
    (0.5, "0.5 has no unit: 0.5s is 0 s, 0.5m is 30 s"),
    (3600, "3600 has no unit: 3600s is 1 h 0 min, 3600m is 60 h 0 min; YAML reads 1:00:00 without quotes as 3600, so put quotes around a time with colons"),
    (1200, "1200 has no unit: 1200s is 20 min, 1200m is 20 h 0 min; YAML reads 20:00 without quotes as 1200, so put quotes around a time with colons")])
def test_a_number_without_a_unit_is_refused_with_both_readings(value, message):
    with pytest.raises(ValueError) as caught:
        durations.parse(value)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["0s", "0m", "0:00:00"])
def test_zero_where_it_is_accepted(value):
    assert durations.parse(value, zero=True) == 0
    with pytest.raises(ValueError):
        durations.parse(value)


def test_the_filter_reads_durations_like_the_variables():
    seconds = FilterModule().filters()["seconds"]
    assert (seconds("2m"), seconds("0s", zero=True)) == (120, 0)
    with pytest.raises(AnsibleFilterError, match="120 has no unit"):
        seconds(120)


@pytest.mark.parametrize(("seconds", "clock", "in_words", "short"), [
    (4, "0:00:04", "4 s", "0:04"), (60, "0:01:00", "1 min", "1:00"), (372, "0:06:12", "6 min 12 s", "6:12"),
    (3130, "0:52:10", "52 min 10 s", "52:10"), (7500, "2:05:00", "2 h 5 min", "2:05:00"), (59.7, "0:00:59", "1 min", "0:59"),
    (90000, "1-01:00:00", "25 h 0 min", "1-01:00:00"),
])
def test_readable_forms(seconds, clock, in_words, short):
    assert (durations.clock(seconds), durations.in_words(seconds), durations.short(seconds)) == (clock, in_words, short)


def test_an_unknown_duration_is_a_dash():
    assert durations.short(None) == "-"
