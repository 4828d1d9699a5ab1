# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in again without anybody to answer, with programs of ours in place of ssh."""

import select
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.session import reconnection
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import client

# Two targets stand for the login node that the session was on (by its address) and for any of its name; a file says how each fares.
SSH = """#!/bin/sh
case " $* " in *" -G "*) cat {0}/configuration; exit 0;; esac
way=name
case "$*" in *HostName=*) way=pinned;; esac
echo "$way $*" >> {0}/calls
case $(cat {0}/$way) in
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

        def fares(self, **ways):
            for way, how in ways.items():
                (tmp_path / way).write_text(how)

        def calls(self, way=""):
            path = tmp_path / "calls"
            return [line for line in (path.read_text().splitlines() if path.exists() else []) if line.startswith(way)]

        def steps(self, seconds, until=lambda: False):
            """Steps as the daemon does; returns what was logged in and how often something was looked at."""
            end, turns, done = time.monotonic() + seconds, 0, None
            while time.monotonic() < end and done is None and not until():
                select.select(self.tries.streams(), [], [], 0.02)
                done, turns = self.tries.step(), turns + 1
            return done, turns

        def begin(self, **record):
            self.tries = reconnection.Reconnection(SessionRecord(**dict(self.record, **record)))
            return self

    monkeypatch.setattr(reconnection, "_ELSEWHERE_AFTER", 0.3)
    site = Site()
    site.tries = None
    site.configuration.write_text("hostname login\nport 22\n")
    yield site
    if site.tries:
        site.tries.close()


def test_another_login_node_is_tried_where_the_first_does_not_answer(site):
    site.fares(pinned="refused", name="up")
    done, _turns = site.begin().steps(15)
    assert done is not None and done.begun()
    assert site.calls("pinned") and len(site.calls("name")) == 1
    done.close()


def test_once_it_was_refused_nothing_more_is_begun_and_nothing_spins(site):
    site.fares(pinned="refused", name="asks")
    site.begin(asked=True)
    site.steps(10, lambda: site.tries.refused)
    assert "Permission denied" in site.tries.refused
    calls = len(site.calls())
    assert site.tries.streams() == []
    _done, turns = site.steps(0.5)
    assert len(site.calls()) == calls and turns < 50


def test_a_node_that_was_just_started_is_asked_once_more_where_nobody_had_to_answer(site, monkeypatch):
    monkeypatch.setattr(reconnection, "_ONCE_MORE", (0.2, 0.4))
    site.fares(pinned="asks", name="asks")
    site.begin()
    site.steps(10, lambda: site.tries.refused)
    site.fares(pinned="up")
    done, _turns = site.steps(10)
    assert done is not None
    done.close()


def test_somebody_else_at_that_address_is_passed_over(site):
    site.fares(pinned="other", name="up")
    done, _turns = site.begin().steps(15)
    assert done is not None and not site.tries.refused
    assert len(site.calls("pinned")) == 1
    done.close()


def test_a_login_node_that_has_enough_to_do_is_left_alone_ever_longer(site):
    site.fares(pinned="boots", name="boots")
    site.begin().steps(4)
    assert 2 <= len(site.calls()) <= 6
    assert not site.tries.refused


def test_a_login_that_hangs_is_for_the_user(site, monkeypatch):
    monkeypatch.setattr(reconnection, "_LOGIN_SECONDS", -2)
    monkeypatch.setattr(reconnection, "_PAUSE", 0.05)
    site.fares(pinned="hangs", name="hangs")
    site.begin(asked=True)
    site.steps(10, lambda: site.tries.refused)
    assert site.tries.refused == "the login does not come to its end"


def test_a_host_on_the_way_is_not_asked_to_answer_anything_either(site):
    site.configuration.write_text("hostname login\nport 22\nproxyjump bob@gate:2222\n")
    site.fares(pinned="up", name="up")
    done, _turns = site.begin().steps(10)
    done.close()
    (call,) = site.calls("pinned")
    assert "ProxyCommand=" in call and "-o BatchMode=yes -l bob -p 2222 -W [%h]:%p -- gate" in call


@pytest.mark.parametrize(("line", "tried"), [("proxycommand nc %h %p", False), ("proxyjump a,b", False), ("proxyjump a", True)])
def test_where_somebody_on_the_way_could_ask_nothing_is_tried(site, line, tried):
    site.configuration.write_text("hostname login\nport 22\n{0}\n".format(line))
    site.fares(pinned="up", name="up")
    done, _turns = site.begin(asked=True).steps(2)
    assert (done is not None) is tried
    assert bool(site.calls()) is tried
    if done:
        done.close()


def test_jump_of_the_command_line_gives_way():
    target = client.Target("ssh", "login", None, None, None, ["-o", "A=b", "-J", "gate", "-Jgate2", "-v"], 10)
    assert client._without_jump(target.arguments) == ["-o", "A=b", "-v"]


def test_a_job_without_a_batch_system_is_sought_on_its_own_login_node_alone(site):
    site.fares(pinned="refused", name="up")
    done, _turns = site.begin(scheduler="none").steps(2)
    assert done is None and not site.calls("name")
