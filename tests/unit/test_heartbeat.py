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


def test_a_job_that_never_gave_a_sign_is_not_overdue(clock):
    signs = heartbeat.Heartbeat()
    assert not signs.update("")
    clock[0] += 1000
    assert (signs.missed, signs.overdue, signs.just_overdue, signs.fresh) == (0.0, False, False, False)


def test_a_job_that_stops_giving_signs(clock):
    signs = heartbeat.Heartbeat()
    assert signs.update("17")
    clock[0] += heartbeat.OVERDUE - 1
    assert not signs.update("17") and signs.fresh and not signs.overdue
    assert signs.update("16"), "the node's clock was set back, and it is a sign all the same"
    clock[0] += heartbeat.OVERDUE
    assert signs.overdue and signs.just_overdue and not signs.fresh
    clock[0] += 60
    assert signs.overdue and not signs.just_overdue, "the batch system is not queried for ever about a suspended job"
    assert signs.update("18") and not signs.overdue


class Files:
    """A job's files, which are read once a second: each read returns the next status text and the next sign, and then the last of each for ever."""

    def __init__(self, clock, texts, beats):
        self.clock, self.texts, self.beats = clock, list(texts), list(beats)
        self.beat = ""

    def status(self, seen, seconds):
        self.clock[0] += seconds
        self.beat = self.beats.pop(0) if len(self.beats) > 1 else self.beats[0]
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


RUNS = "nodes c101\nrunning c101\n"


@pytest.mark.parametrize(("texts", "beats", "lives"), [
    ([RUNS], ["17", "17", "17", "20"], True), ([RUNS], ["17"], False), ([RUNS], ["17", "16"], True), ([""], [""], False), ([RUNS], [""], False),
    ([RUNS + "ended 0 pvserver\n"], ["17", "20"], False), ([RUNS, RUNS, RUNS + "ended 143 cancelled\n"], ["17", "17", "20"], False)],
    ids=["alive", "killed", "clock set back", "never ran", "just began", "ended", "ends"])
def test_a_job_lives_if_it_gives_a_new_sign(clock, texts, beats, lives):
    files = Files(clock, texts, beats)
    began = clock[0]
    assert heartbeat.lives(files) is lives
    assert clock[0] - began <= heartbeat.OVERDUE + 1
