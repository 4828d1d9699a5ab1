# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of sessions, once and rewritten in place."""

import re
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record, table


def report(host="frontera", state="connected", **fields):
    return dict(dict.fromkeys(record.REPORT), host=host, state=state, **dict({"nodes": [], "reason": ""}, **fields))


CONNECTED = report(route="node_tunnel", job_id="4712", nodes=["c101"], time_left_s=3561, url="cs://127.0.0.1:40125")
PENDING = report("b", "pending", job_id="17", waited_s=5000, expected_start=time.strftime("%Y-%m-%dT15:40:00"), reason="Priority", route="reverse_tunnel",
                 url="csrc://127.0.0.1:5")


def test_a_table_as_in_the_guide():
    assert table.lines([CONNECTED]) == ["host      route        job   state      nodes  left   url or reason",
                                        "frontera  node_tunnel  4712  connected  c101   59:21  cs://127.0.0.1:40125"]
    assert table.lines([]) == ["no session"]


def test_a_session_that_waits_has_columns_of_its_own():
    head, connected, pending = table.lines([CONNECTED, PENDING])
    assert head.split()[4:6] == ["waited", "starts"] and connected.split()[4:6] == ["-", "-"]
    assert pending.split() == ["b", "reverse_tunnel", "17", "pending", "1:23:20", "15:40", "-", "-", "Priority"]
    assert "starts" not in table.lines([dict(PENDING, expected_start=None)])[0]
    assert " 2031-02-03 04:05 " in table.lines([dict(PENDING, expected_start="2031-02-03T04:05:06")])[1]


@pytest.mark.parametrize(("fields", "last"), [
    ({"state": "failed", "reason": "job 17 died; no memory", "url": "cs://127.0.0.1:1"}, "job 17 died; no memory"),
    ({"state": "starting", "reason": "waiting for a client", "url": "csrc://127.0.0.1:1"}, "waiting for a client (csrc://127.0.0.1:1)"),
    ({"state": "starting", "url": "csrc://127.0.0.1:1"}, "csrc://127.0.0.1:1"),
    ({"state": "unknown", "reason": "the connection is lost", "url": "cs://127.0.0.1:1"}, "the connection is lost"),
    ({"url": "cs://127.0.0.1:1", "state": "ready", "reason": "ParaView has left"}, "cs://127.0.0.1:1 (ParaView has left)"),
    ({"url": "cs://127.0.0.1:1", "lifeline": {"state": "connected", "losses": 1, "waiting_bytes": 0}}, "cs://127.0.0.1:1 (connection lost once)"),
    ({"url": "cs://127.0.0.1:1", "lifeline": {"state": "connected", "losses": 2, "waiting_bytes": 0}}, "cs://127.0.0.1:1 (connection lost 2 times)"),
    ({"reason": "lost", "url": "x", "lifeline": {"state": "outage", "losses": 1, "waiting_bytes": 1204}}, "lost; 1204 bytes kept"),
    ({"reason": "lost", "url": "x", "lifeline": {"state": "outage", "losses": 1, "waiting_bytes": 12040000}}, "lost; 12.0 MB kept"),
    ({"reason": "two\nlines\x1b[2J\tand more"}, "two; lines and more"),
    ({}, "-"),
])
def test_the_last_column(fields, last):
    line = table.lines([report(**fields)])[1]
    assert line.endswith("  " + last) and "\x1b" not in line


def test_a_long_reason_keeps_its_beginning():
    assert "  job 17 died; xxx" in table.lines([report("a", "failed", reason="job 17 died; " + "x" * 1900)])[1]


def test_many_nodes_are_counted():
    assert " c1 c2 " in table.lines([report(nodes=["c1", "c2"])])[1]
    assert " c1 +15 " in table.lines([report(nodes=["c{0}".format(number) for number in range(1, 17)])])[1]


def test_columns_are_aligned_for_wide_characters():
    _head, one, other = table.lines([report("\u96fb\u7b97", job_id="1"), report("e\u0301a", job_id="1")])
    assert table.width(one) == table.width(other) and one.startswith("\u96fb\u7b97  ") and other.startswith("e\u0301a    ")


@pytest.mark.parametrize(("text", "columns", "cut"), [
    ("abcdef", 6, "abcdef"), ("abcdef", 5, "ab..."), ("abcdef", 2, ".."),
    ("\u96fb\u7b97\u6a5f", 5, "\u96fb..."), ("\u96fb\u7b97\u6a5f", 6, "\u96fb\u7b97\u6a5f")])
def test_a_line_that_is_cut(text, columns, cut):
    assert table.fitted(text, columns) == cut and table.width(cut) <= columns


def test_time_alone_is_no_change():
    outage = report(reason="lost", lifeline={"state": "outage", "losses": 1, "waiting_bytes": 12})
    before = table.content([CONNECTED, PENDING, outage])
    later = [dict(CONNECTED, time_left_s=3000), dict(PENDING, waited_s=6000), dict(outage, lifeline=dict(outage["lifeline"], waiting_bytes=99))]
    assert table.content(later) == before
    for changed in (dict(PENDING, reason="Resources"), dict(PENDING, state="starting"), dict(PENDING, expected_start=None)):
        assert table.content([CONNECTED, changed, outage]) != before


def test_the_head_of_a_live_table():
    head, *rest = table.frame([CONNECTED, PENDING, PENDING], 0)
    assert head[:4] in ("1969", "1970") and head.endswith("  3 sessions: 1 connected, 2 pending") and rest == table.lines([CONNECTED, PENDING, PENDING])
    assert table.frame([], 0) == [head[:19] + "  no session"]
    assert table.summary([PENDING]) == "1 session: 1 pending"


def test_lines_are_rewritten_in_place():
    rewriter = table.Rewriter()
    assert rewriter.text(["one", "two"], (80, 24)) == "\rone\x1b[K\ntwo\x1b[K\n\x1b[J"
    assert rewriter.text(["three"], (80, 24)) == "\r\x1b[2Athree\x1b[K\n\x1b[J"
    assert rewriter.text(["four"], (80, 24)) == "\r\x1b[1Afour\x1b[K\n\x1b[J"
    assert rewriter.text(["five"], (70, 24)) == "\rfive\x1b[K\n\x1b[J", "the size has changed"


def test_lines_that_a_terminal_has_no_room_for():
    rewriter = table.Rewriter()
    assert rewriter.text(["line {0}".format(number) for number in range(5)], (7, 4)) == "\rline 0\x1b[K\nline 1\x1b[K\n... ...\x1b[K\n\x1b[J".replace(
        "... ...", table.fitted("... 3 more", 6))
    assert rewriter.height == 3
    assert rewriter.text(["abc", "def"], (1, 1)).count("\n") == 1


def test_the_end_of_the_wall_time_is_a_line_of_its_own():
    soon = dict(CONNECTED, time_left_s=720)
    line = table.lines([CONNECTED, soon])[-1]
    assert re.match(r"frontera: job 4712 ends in 12 min, at [0-2][0-9]:[0-5][0-9]\Z", line)
    assert len(table.lines([CONNECTED])) == 2 and len(table.lines([dict(PENDING, time_left_s=None)])) == 2
    assert table.content([CONNECTED]) != table.content([soon]) == table.content([dict(soon, time_left_s=600)]) != table.content([dict(soon, time_left_s=290)])
