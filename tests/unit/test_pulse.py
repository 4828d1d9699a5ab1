# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's sign of life."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils import pulse


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: clock[0])
    return clock


def test_a_job_that_never_gave_a_sign_is_not_missed(clock):
    felt = pulse.Pulse()
    assert not felt.feel("")
    clock[0] += 1000
    assert (felt.missed, felt.faint, felt.alarming) == (0.0, False, False)


def test_a_job_that_falls_silent(clock):
    felt = pulse.Pulse()
    assert felt.feel("17")
    clock[0] += pulse.FAINT - 1
    assert not felt.feel("17") and not felt.faint
    assert felt.feel("16"), "the node's clock was put back: a sign all the same"
    clock[0] += pulse.FAINT
    assert felt.faint and felt.alarming
    clock[0] += 60
    assert felt.faint and not felt.alarming, "a job that is only suspended is not asked about for ever"
    assert felt.feel("18") and not felt.faint
