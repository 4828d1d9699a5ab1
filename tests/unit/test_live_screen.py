# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live lines, and lines that fit a terminal."""

import shlex
import string
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import is_waiting
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common import columns
from ansible_collections.sciviz.paraview.plugins.module_utils.session.live_screen import Live, LiveScreen, Sessions, fitting, laid_out, live_text
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from hypothesis import given
from hypothesis import strategies as st
from terminal import Screen

OWNER = [17, "1"]
WORDS = st.text(st.sampled_from(string.ascii_letters + "  '\"\\$()`;&|<>*?#~{}=é\U0001f600"), max_size=30)


def words_of(command):
    """list[str]: the words that a shell finds in a command."""
    done = subprocess.run(["sh", "-c", "printf '%s\\0' " + command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\0")[:-1]


@given(st.lists(WORDS, min_size=1, max_size=8), st.integers(20, 100))
def test_a_wrapped_command_has_the_same_words(words, width):
    command = " ".join(shlex.quote(word) for word in words)
    assert words_of("\n".join(columns.wrapped(command, width))) == words


@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(20, 60))
def test_a_command_substitution_keeps_its_words(words, width):
    inner = " ".join(shlex.quote(word) for word in words)
    command = 'x --id="$(printf %s, {0})" "a  b"'.format(inner)
    assert words_of("\n".join(columns.wrapped(command, width))) == ["x", "--id=" + "".join(word + "," for word in words), "a  b"]


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=20), min_size=1, max_size=20), st.integers(40, 100))
def test_wrapped_lines_fit(words, width):
    lines = columns.wrapped(" ".join(words), width)
    assert all(len(line) <= width for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1]) and not lines[-1].endswith("\\")


def test_a_word_too_long_for_its_line_is_divided_in_its_command_substitution():
    path = "/home/alice/.local/state/paraview-connect/frontera/connect_id"
    assert columns.wrapped('paraview --server-url=cs://127.0.0.1:40123 --connect-id="$(cat {0})"'.format(path), 80) == [
        '    paraview --server-url=cs://127.0.0.1:40123 --connect-id="$(cat \\', "        {0})\"".format(path)]


@pytest.mark.parametrize(("text", "command"), [
    ("the route: node_tunnel", ""),
    ("connect first: ansible-playbook sciviz.paraview.connect -e host=x", "ansible-playbook sciviz.paraview.connect -e host=x"),
    ("start the client now, pvserver waits for it: paraview --server-url=cs://127.0.0.1:1", "paraview --server-url=cs://127.0.0.1:1"),
    ("start it: '/opt/my ParaView/paraview' --server-url=cs://127.0.0.1:1", "'/opt/my ParaView/paraview' --server-url=cs://127.0.0.1:1"),
])
def test_the_command_at_the_end_of_a_line(text, command):
    sentence, found = columns.split_command(text)
    assert found == command and (sentence + ": " + found if found else sentence) == text


def test_a_short_command_stays_on_its_line():
    assert laid_out("lab", "connect first: ansible-playbook x -e host=lab", 80) == ["lab: connect first: ansible-playbook x -e host=lab"]


@given(st.text(), st.integers(4, 100))
def test_cut_text_fits(text, width):
    kept = columns.cut(text, width)
    assert columns.width(kept) <= width and (kept == text or kept.endswith("..."))


def test_wide_characters_take_two_columns():
    assert columns.width("node 節点") == 9 and columns.width("e\u0301") == 1
    assert columns.cut("節点節点節点", 9) == "節点節..."


@pytest.mark.parametrize(("fields", "text"), [
    ({"state": "starting"}, "lab: logging in, 1 min"),
    ({"state": "starting", "facts": {"x": 1}}, "lab: choosing a route, 1 min"),
    ({"state": "starting", "facts": {"x": 1}, "route": "node_tunnel"}, "lab: submitting the job, 1 min"),
    ({"state": "pending", "job_id": "7", "submitted_at": 70.0, "reason": "Priority"}, "lab: job 7 pending, Priority, waiting 30 s"),
    ({"state": "starting", "facts": {"x": 1}, "route": "r", "job_id": "7"}, "lab: starting pvserver, 1 min"),
    ({"state": "starting", "reason": "waiting for a client"}, "lab: starting, waiting for a client, 1 min"),
    ({"state": "unknown", "reason": "a\x1b[2J\nb\u202ec"}, "lab: unknown, a; bc, 1 min"),
])
def test_what_a_live_line_contains(fields, text):
    assert live_text("lab", SessionRecord(id="1", created=40.0, **fields), "", 100.0, 79) == text


@given(st.text(), st.text(), st.integers(10, 120))
def test_a_live_line_fits_and_keeps_its_duration(name, reason, width):
    record = SessionRecord(id="1", state="pending", submitted_at=1.0, created=1.0, job_id="4711")
    text = live_text(name, record, "job 4711 pending, " + reason, 31.0, width)
    assert columns.width(text) <= width and "\n" not in text and "\x1b" not in text
    assert width < 20 or text.endswith(", waiting 30 s")


@given(st.lists(st.tuples(st.sampled_from(["pending", "starting"]), st.text(string.ascii_letters, max_size=100)), max_size=30), st.integers(50, 100),
       st.integers(2, 30))
def test_live_lines_fit_the_rows(lines, width, rows):
    fit = fitting([Live(*line) for line in lines], width, rows)
    assert len(fit) == min(len(lines), rows - 1) and all(columns.width(line) < width for line in fit)
    if len(lines) > rows - 1:
        assert sum(int(number) for number in fit[-1].partition(": ")[2].replace(",", "").split()[::2]) == len(lines) - rows + 2


@given(st.lists(st.one_of(st.lists(st.text(string.ascii_letters, min_size=1, max_size=90), max_size=12), st.text(string.digits, min_size=1, max_size=70)),
                max_size=20), st.integers(3, 15))
def test_lines_above_stay_whatever_is_drawn_below(steps, rows):
    screen, above, drawn = Screen(72, rows), [], []
    # A terminal's driver adds the carriage returns.
    live = LiveScreen(lambda text: screen.feed(text.replace("\n", "\r\n")), lambda: (72, rows))
    for step in steps:
        if isinstance(step, str):
            live.erase()
            screen.feed(step + "\r\n")
            above.append(step)
            drawn = []
        else:
            drawn = [Live("pending", text) for text in step]
            live.draw(drawn)
        assert screen.text.rstrip().splitlines() == above + fitting(drawn, 72, rows) if above or drawn else not screen.text.strip()
        assert screen.column == 0


def test_a_window_that_becomes_smaller_loses_no_line_above():
    screen, size = Screen(72, 20), [72, 20]
    live = LiveScreen(lambda text: screen.feed(text.replace("\n", "\r\n")), lambda: tuple(size))
    screen.feed("stays\r\n")
    live.draw([Live("pending", "x" * 70)] * 10)
    size[:] = [30, 5]
    screen.columns, screen.rows = size
    live.draw([Live("pending", "y" * 70)] * 10)
    assert screen.lines[0] == "stays"


@pytest.mark.parametrize(("line", "waits"), [
    ("job 4711 pending, Priority", True), ("job 4711 pending", True), ("job 4711 is in state HELD", True), ("job 4711 running on c101", False),
    ("job 4711 submitted: 1 node", False), ("no news of job 4711: timeout; still waiting", False)])
def test_lines_that_a_later_one_replaces(line, waits):
    assert is_waiting(line) == waits


@pytest.fixture(name="shown")
def _shown(tmp_path):
    shown = Sessions(OWNER, lambda rows, error: shown.rows.append((rows, error)), lambda: 80, live=True)
    shown.rows = []
    shown.session = Session(str(tmp_path), "lab")
    shown.session.begin(job_id="7")
    return shown


def test_a_session_of_another_playbook_is_not_shown(shown):
    shown.session.events.append("begun", owner=[18, "2"])
    assert not shown.add(shown.session) and not shown.open


def test_an_error_that_a_result_repeats_appears_once(shown):
    shown.session.events.append("begun", owner=OWNER)
    assert shown.add(shown.session)
    shown.session.events.append("error", what="no route", why="", way_out="ask")
    shown.session.events.append("failed", kept=False)
    shown.step()
    shown.error("lab", ["no route", "ask"])
    assert shown.rows == [(["lab: no route", "lab: ask"], True)]
    shown.session.update(state="failed")
    shown.clear_up()
    assert not shown.session.read() and not shown.viewers


def test_a_damaged_record_is_an_error_of_its_session(shown):
    shown.session.events.append("begun", owner=OWNER)
    shown.add(shown.session)
    with open(shown.session.path, "w") as stream:
        stream.write("{")
    shown.step()
    assert shown.rows and "is damaged" in shown.rows[0][0][0] and not shown.open and not shown.lines(80)


def test_a_session_that_no_task_follows_any_more_has_no_live_line(shown):
    shown.session.events.append("begun", owner=OWNER)
    shown.add(shown.session)
    assert [line.text.partition(",")[0] for line in shown.lines(80)] == ["lab: logging in"]
    assert shown.clear_up() == [] and shown.clear_up(["other"]) == []
    assert shown.clear_up(["lab"]) == [shown.session.directory]
    assert not shown.lines(80) and shown.session.read(), "a record that has not failed is kept"
