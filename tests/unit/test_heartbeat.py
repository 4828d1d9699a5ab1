# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's sign of life."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import heartbeat


@pytest.fixture(name="clock")
def _clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    return clock


def test_a_job_that_never_gave_a_sign_is_not_missed(clock):
    felt = heartbeat.Heartbeat()
    assert not felt.update("")
    clock[0] += 1000
    assert (felt.missed, felt.overdue, felt.just_overdue, felt.fresh) == (0.0, False, False, False)


def test_a_job_that_falls_silent(clock):
    felt = heartbeat.Heartbeat()
    assert felt.update("17")
    clock[0] += heartbeat.OVERDUE - 1
    assert not felt.update("17") and felt.fresh and not felt.overdue
    assert felt.update("16"), "the node's clock was put back: a sign all the same"
    clock[0] += heartbeat.OVERDUE
    assert felt.overdue and felt.just_overdue and not felt.fresh
    clock[0] += 60
    assert felt.overdue and not felt.just_overdue, "a job that is only suspended is not asked about for ever"
    assert felt.update("18") and not felt.overdue


class Files:
    """A job's files that are looked at once a second: texts of its status, and its signs, the last of each for ever."""

    def __init__(self, clock, texts, beats):
        self.clock, self.texts, self.beats = clock, list(texts), list(beats)
        self.looks, self.beat = 0, ""

    def status(self, seen, seconds):
        self.clock[0] += seconds
        self.looks += 1
        self.beat = self.beats.pop(0) if len(self.beats) > 1 else self.beats[0]
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


RUNS = "nodes c101\nrunning c101\n"


@pytest.mark.parametrize(("texts", "beats", "lives"), [
    ([RUNS], ["17", "17", "17", "20"], True), ([RUNS], ["17"], False), ([RUNS], ["17", "16"], True), ([""], [""], False), ([RUNS], [""], False),
    ([RUNS + "ended 0 pvserver\n"], ["17", "20"], False), ([RUNS, RUNS, RUNS + "ended 143 cancelled\n"], ["17", "17", "20"], False)],
    ids=["alive", "killed", "clock put back", "never ran", "just began", "ended", "ends"])
def test_a_job_lives_where_it_gives_a_new_sign(clock, texts, beats, lives):
    files = Files(clock, texts, beats)
    began = clock[0]
    assert heartbeat.lives(files) is lives
    assert clock[0] - began <= heartbeat.OVERDUE + 1
