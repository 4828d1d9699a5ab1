# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in again without prompts, with a stand-in for ssh."""

import random
import select
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.session import reconnection, retry_pauses
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import client, login_turns

# Two targets: the session's login node (by its address), and any login node of the same name. A file for each decides what happens there.
SSH = """#!/bin/sh
case " $* " in *" -G "*) cat {0}/configuration; exit 0;; esac
target=name
case "$*" in *HostName=*) target=pinned;; esac
echo "$target $*" >> {0}/calls
case $(cat {0}/$target) in
  refused) echo "ssh: connect to host login port 22: Connection refused" >&2; exit 255;;
  asks) echo "alice@login: Permission denied (publickey,keyboard-interactive)." >&2; exit 255;;
  other) echo "Host key verification failed." >&2; exit 255;;
  boots) echo "System is booting up. Unprivileged users are not permitted to log in yet." >&2; exit 255;;
  hangs) exec sleep 1000;;
esac
exec /bin/sh
"""


@pytest.fixture(name="site")
def _site(tmp_path, short_path, program, monkeypatch):
    class Site:
        record = {
            "target": client.Target(program("ssh", SSH.format(tmp_path)), "login", "alice", None, None, [], 10)._asdict(),
            "facts": {"client_side": "198.18.3.10"}, "control_path": str(short_path / "c"), "scheduler": "slurm"}
        configuration = tmp_path / "configuration"
        pace = reconnection.Pace()

        def behave(self, **targets):
            for target, behaviour in targets.items():
                (tmp_path / target).write_text(behaviour)

        def calls(self, target=""):
            path = tmp_path / "calls"
            return [line for line in (path.read_text().splitlines() if path.exists() else []) if line.startswith(target)]

        def steps(self, seconds, until=lambda: False):
            """Calls step() like the daemon; returns the successful attempt and the number of calls."""
            end, turns, done = time.monotonic() + seconds, 0, None
            while time.monotonic() < end and done is None and not until():
                select.select(self.reconnection.streams(), [], [], 0.02)
                done, turns = self.reconnection.step(), turns + 1
            return done, turns

        def begin(self, **record):
            self.reconnection = reconnection.Reconnection(SessionRecord(**dict(self.record, **record)), self.pace)
            return self

    monkeypatch.setattr(reconnection, "_OTHER_NODES_AFTER", 0.3)
    monkeypatch.setattr(retry_pauses, "_FIRST", 0.1)
    monkeypatch.setattr(retry_pauses, "_SHORT", 0.5)
    site = Site()
    site.reconnection = None
    site.configuration.write_text("hostname login\nport 22\n")
    yield site
    if site.reconnection:
        site.reconnection.close()


def test_another_login_node_is_tried_if_the_first_does_not_answer(site):
    site.behave(pinned="refused", name="up")
    done, _turns = site.begin().steps(15)
    assert done is not None and done.begun()
    assert site.calls("pinned") and len(site.calls("name")) == 1
    done.close()


def test_a_site_sets_the_least_time_between_two_logins(site):
    site.behave(pinned="refused", name="refused")
    site.begin(facts={"client_side": "198.18.3.10", "site": {"reconnect_floor": 3600}})
    site.steps(10, lambda: site.calls() and not site.reconnection.streams())
    site.steps(1.5)
    assert len(site.calls()) == 1, "another login node of the same name is not tried either"
    site.reconnection.close()
    site.begin(facts={"site": {"reconnect_floor": 3600}}).steps(0.5)
    assert len(site.calls()) == 1, "after another loss of the connection, the time of the earlier login counts"


def test_after_a_refusal_no_attempt_begins_and_no_loop_spins(site):
    site.behave(pinned="refused", name="asks")
    site.begin(was_prompted=True)
    site.steps(10, lambda: site.reconnection.refused)
    assert "Permission denied" in site.reconnection.refused
    calls = len(site.calls())
    assert site.reconnection.streams() == []
    _done, turns = site.steps(0.5)
    assert len(site.calls()) == calls and turns < 50


def test_a_refused_login_is_repeated_if_the_first_one_prompted_for_nothing(site, monkeypatch):
    monkeypatch.setattr(reconnection, "_RETRY_REFUSED", (0.2, 0.4))
    site.behave(pinned="asks", name="asks")
    site.begin()
    site.steps(10, lambda: site.reconnection.refused)
    site.behave(pinned="up", name="up")
    done, _turns = site.steps(10)
    assert done is not None
    done.close()


def test_another_host_at_the_same_address_is_skipped(site):
    site.behave(pinned="other", name="up")
    done, _turns = site.begin().steps(15)
    assert done is not None and not site.reconnection.refused
    assert len(site.calls("pinned")) == 1
    done.close()


def test_pauses_grow_if_the_login_node_answers_and_the_login_fails(site):
    site.behave(pinned="boots", name="boots")
    site.begin().steps(4)
    assert 2 <= len(site.calls()) <= 6
    assert not site.reconnection.refused


def test_a_login_that_hangs_waits_for_the_user(site, monkeypatch):
    monkeypatch.setattr(reconnection, "_LOGIN_SECONDS", -2)
    monkeypatch.setattr(reconnection, "_PAUSE", 0.05)
    site.behave(pinned="hangs", name="hangs")
    site.begin(was_prompted=True)
    site.steps(10, lambda: site.reconnection.refused)
    assert site.reconnection.refused == "the login does not finish"


def test_a_jump_host_does_not_prompt_either(site):
    site.configuration.write_text("hostname login\nport 22\nproxyjump bob@gate:2222\n")
    site.behave(pinned="up", name="up")
    done, _turns = site.begin().steps(10)
    done.close()
    (call,) = site.calls("pinned")
    assert "ProxyCommand=" in call and "-o BatchMode=yes -l bob -p 2222 -W [%h]:%p -- gate" in call


@pytest.mark.parametrize(("line", "tried"), [("proxycommand nc %h %p", False), ("proxyjump a,b", False), ("proxyjump a", True)])
def test_no_attempt_is_made_if_a_host_on_the_way_could_prompt(site, line, tried):
    site.configuration.write_text("hostname login\nport 22\n{0}\n".format(line))
    site.behave(pinned="up", name="up")
    done, _turns = site.begin(was_prompted=True).steps(2)
    assert (done is not None) is tried
    assert bool(site.calls()) is tried
    if done:
        done.close()


def test_jump_options_of_the_command_line_are_removed():
    target = client.Target("ssh", "login", None, None, None, ["-o", "A=b", "-J", "gate", "-Jgate2", "-v"], 10)
    assert client._without_jump(target.arguments) == ["-o", "A=b", "-v"]


def test_a_job_without_a_batch_system_needs_its_own_login_node(site):
    site.behave(pinned="refused", name="up")
    done, _turns = site.begin(scheduler="none").steps(2)
    assert done is None and not site.calls("name")


def test_no_more_than_six_attempts_of_a_user_to_one_host_are_under_way(site, short_path):
    site.behave(pinned="up", name="up")
    slots = login_turns.slots(str(short_path), "login:")
    assert all(slot.take() for slot in slots)
    slots[7].release()  # for a login that the user begins
    done, _turns = site.begin().steps(1)
    assert done is None and not site.calls()
    slots[3].release()
    done, _turns = site.steps(15)
    assert done is not None
    assert slots[3].take(), "after the login another session can have its place"
    done.close()
    for slot in slots:
        slot.release()


def test_after_a_suspension_the_pauses_are_short_again(site, monkeypatch):
    site.behave(pinned="refused", name="refused")
    site.begin()
    site.reconnection._began -= 3600
    site.steps(15, lambda: len(site.calls("name")) == 1)
    calls = len(site.calls())
    site.steps(1)
    assert len(site.calls()) == calls, "the next attempt is about a minute away"
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600)
    site.behave(pinned="up")
    done, _turns = site.steps(15)
    assert done is not None
    done.close()


# ---- many sessions that lose their connection at the same time ----


def most_in_a_second(times):
    times = sorted(times)
    return max(sum(1 for other in times[at:at + 200] if other - first < 1) for at, first in enumerate(times))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("down_for", "most"), [(0, 100), (20, 95), (60, 45), (300, 20), (1200, 16)])
def test_the_logins_of_200_sessions_after_a_reboot_are_spread(seed, down_for, most):
    dice = random.Random(seed)
    logins = []
    for _session in range(200):
        at = retry_pauses.before_first(dice.random)
        while at < down_for:
            at += retry_pauses.before_next(at, dice.random)
        logins.append(at)
    assert most_in_a_second(logins) <= most
    assert max(logins) <= down_for + 1.5 * min(60, max(10, down_for / 10))
