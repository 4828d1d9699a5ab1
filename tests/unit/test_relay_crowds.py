# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that take the places of others in paraview-relay: floods of them, peers that have gone, answers of yesterday's job."""

import collections
import contextlib
import os
import select
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay import Relay, Target, exactly, free_ports, module, reset, to_the_end
from test_relay import ANOTHER, OTHER, as_root, exchange, target_of

CROWD = "127.0.0.66"
NEWCOMER = "127.0.0.5"


@pytest.fixture(name="start")
def _start(tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Relay(tmp_path, *arguments, **options))
        return started[-1]
    yield start
    for relay in started:
        relay.stop()


@pytest.fixture(name="target")
def _target():
    target = Target(backlog=128)
    yield target
    target.close()


def listens(path):
    with socket.socket(socket.AF_UNIX) as sock:
        return not sock.connect_ex(str(path))


class Site:
    """A relay as a site has it: a range of ports, each of which leads to the same port of another loopback address.

    Args:
        keys: of its route, beside listen, to and allow.
    """

    def __init__(self, start, tmp_path, short_path, until, **keys):
        self.ports, self.until, self.crowd = free_ports(4), until, []
        config = tmp_path / "relay.conf"
        keys = dict({"listen": "127.0.0.1:{0}-{1}".format(self.ports[0], self.ports[-1]), "to": "127.0.0.2:same", "allow": "127.0.0.0/8", "owner": "any"},
                    **keys)
        config.write_text("[relay]\nstatus = {0}\n[route site]\n{1}".format(short_path / "s", "".join("{0} = {1}\n".format(*pair) for pair in keys.items())))
        self.relay = start(config=config, ready=lambda: listens(short_path / "s"))
        self.relay.status_path = short_path / "s"

    def come(self, count, port=0, sources=(CROWD,)):
        """Makes connections to one of the ports, from each source in turn; they stay."""
        for number in range(count):
            self.crowd.append(self.relay.connect(self.ports[port], source=sources[number % len(sources)]))

    def waiting(self, **what):
        """How many connections wait, of those with these properties in the status."""
        return sum(1 for one in self.relay.status()["sessions"] if one["state"] != "open" and all(one[key] == value for key, value in what.items()))

    def refused(self):
        return collections.Counter(self.relay.status()["routes"][0]["refused"])


@pytest.fixture(name="site")
def _site(start, tmp_path, short_path, until):
    return lambda **keys: Site(start, tmp_path, short_path, until, **keys)


def sources(count):
    return ["127.0.1.{0}".format(number) for number in range(1, count + 1)]


# ---- floods --------------------------------------------------------------------------------------------------------------------


def sent_bytes(sock):
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def passes(site, port=0, source=NEWCOMER):
    """A session of this source, whose user's forward comes after pvserver."""
    late = site.relay.connect(site.ports[port], source=source)
    late.sendall(b"early")
    target = Target(host="127.0.0.2", port=site.ports[port], backlog=300)
    watched, sink = [target.sock], None
    while not sink:  # the crowd comes too, and sends nothing
        ready = select.select(watched, [], [], 15)[0]
        assert ready, "the session does not pass"
        if target.sock in ready:
            watched.append(target.accept())
        else:
            watched = [one for one in watched if one not in ready]
            sink = next((one for one in ready if sent_bytes(one)), None)
    target.close()
    assert exactly(sink, 5) == b"early"
    exchange(late, sink)


def test_a_flood_from_one_source_keeps_no_other_source_out(site):
    flooded = site(max_sessions=40)
    flooded.come(400)
    flooded.until(lambda: sum(flooded.refused().values()) >= 380)
    assert flooded.waiting() == 20, "half of the sessions, at most"
    passes(flooded, port=1)
    passes(flooded, port=0)


def test_a_flood_on_one_port_is_bounded_for_all_sources_together(site):
    flooded = site(max_waiting_per_port=10)
    flooded.come(300, sources=sources(30))
    flooded.until(lambda: flooded.refused()["waiting_per_port"] >= 290)
    assert flooded.waiting() == 10
    passes(flooded, port=1)


def test_a_source_with_fewer_connections_gets_a_place_on_a_port_that_is_full(site):
    flooded = site(max_waiting_per_port=10)
    flooded.come(20)
    flooded.until(lambda: flooded.refused()["waiting_per_port"] == 10)
    flooded.come(3, sources=[NEWCOMER])
    flooded.until(lambda: flooded.refused()["gave_way"] == 3)
    assert flooded.waiting(port=flooded.ports[0]) == 10
    assert sum(one["source"].startswith(NEWCOMER + ":") for one in flooded.relay.status()["sessions"]) == 3
    passes(flooded)


def test_a_flood_from_many_sources_to_all_ports_leaves_a_place_for_one_more_source(site):
    flooded = site(max_sessions=40)
    for port in range(4):
        flooded.come(60, port, sources(19))
    flooded.until(lambda: sum(flooded.refused().values()) >= 200)
    assert flooded.waiting() == 40
    late = flooded.relay.connect(flooded.ports[2], source=NEWCOMER)
    flooded.until(lambda: flooded.refused()["gave_way"] >= 1)
    flooded.come(60, 3, sources(19))
    assert sum(one["source"].startswith(NEWCOMER + ":") for one in flooded.relay.status()["sessions"]) == 1, "it is not put out again"
    late.close()


def test_on_a_shared_node_a_flood_on_one_port_keeps_no_other_port_out(site):
    flooded = site(max_waiting_per_source=10)
    flooded.come(50)
    flooded.until(lambda: flooded.refused()["waiting_per_source"] == 40)
    passes(flooded, port=1, source=CROWD)


def test_connections_to_a_users_port_that_are_not_allowed_keep_the_users_own_out(site, program, tmp_path):
    """The flood dials the very port that leads to the user's listener."""
    script = program("authorize", '#!/bin/sh\n[ "$2" = {0} ]\n'.format(NEWCOMER))
    flooded = site(authorize=script, hold_s=600, max_waiting_per_owner=10, max_waiting_per_port=30)
    target = Target(host="127.0.0.2", port=flooded.ports[0], backlog=10)
    other = Target(host="127.0.0.2", port=flooded.ports[1], backlog=10)
    flooded.come(40, sources=sources(5))
    flooded.come(40, 1, sources=sources(5))
    flooded.until(lambda: sum(flooded.refused().values()) >= 70)
    assert flooded.waiting() == 10
    for port, listener in enumerate((target, other)):
        exchange(flooded.relay.connect(flooded.ports[port], source=NEWCOMER), listener.accept())
        assert listener.nobody_came()


def test_connections_from_very_many_nodes_to_a_users_port_keep_the_users_own_out_only_until_they_are_denied(site, program):
    """Each node has but one connection, so that none of them has more than the newcomer would."""
    script = program("authorize", '#!/bin/sh\n[ "$2" = {0} ]\n'.format(NEWCOMER))
    flooded = site(authorize=script, hold_s=600, max_waiting_per_port=10)
    target = Target(host="127.0.0.2", port=flooded.ports[0], backlog=10)
    flooded.come(10, sources=sources(10))
    flooded.until(lambda: flooded.waiting(state="waiting") == 10)
    exchange(flooded.relay.connect(flooded.ports[0], source=NEWCOMER), target.accept())
    assert flooded.refused() == {"gave_way": 1}


def test_places_are_kept_over_a_reload(site):
    flooded = site(max_waiting_per_port=10)
    flooded.come(20)
    flooded.until(lambda: flooded.refused()["waiting_per_port"] == 10)
    assert "10 sessions continue" in flooded.relay.reload()
    flooded.come(10)
    flooded.until(lambda: flooded.refused()["waiting_per_port"] == 20)
    assert flooded.waiting() == 10
    passes(flooded)


def test_the_sessions_with_listeners_of_one_user_are_limited(start, target):
    relay = start("--to", target.text, "--max-sessions-per-owner", "2", "--owner", str(os.geteuid()))
    ends = [(relay.connect(), target.accept()) for _one in range(2)]
    for end in ends:
        exchange(*end)
    assert relay.refuses()
    relay.logged("refused: there are too many sessions with listeners of this user")
    ends[0][0].close()
    ends[0][1].close()
    relay.logged("both sides closed|closed before")
    exchange(relay.connect(), target.accept())


def test_a_route_that_checks_no_owner_has_no_limit_for_one(start, target):
    relay = start("--to", target.text, "--max-sessions-per-owner", "1")
    kept = [(relay.connect(), target.accept()) for _one in range(3)]
    for end in kept:
        exchange(*end)


@as_root
def test_a_user_with_too_many_sessions_keeps_no_other_user_out(start):
    greedy, other = target_of(OTHER), target_of(ANOTHER)
    relay = start("--listen", "127.0.0.2:{0},127.0.0.2:{1}".format(greedy.port, other.port), "--to", "127.0.0.1:same", "--owner", "required",
                  "--max-sessions-per-owner", "2")
    relay.address = "127.0.0.2"
    kept = [(relay.connect(greedy.port), greedy.accept()) for _one in range(2)]
    assert relay.refuses(greedy.port)
    exchange(relay.connect(other.port), other.accept())
    del kept


def test_a_target_that_closes_all_connections_again_and_again_takes_no_more_places(start, target, short_path, until):
    """Each of them is open for a moment, and waits again."""
    relay = start("--to", target.text, "--max-waiting-per-port", "5", "--status", short_path / "s")
    crowd = []
    for _one in range(12):
        crowd.append(relay.connect(source=CROWD))
        crowd[-1].sendall(b"x")
        crowd.append(target.accept())
    for sink in crowd[1::2]:
        reset(sink)
    target.close()
    until(lambda: len(relay.status()["sessions"]) <= 5)
    assert set(relay.status()["routes"][0]["refused"]) <= {"waiting_per_port"}


# ---- who takes how many places -------------------------------------------------------------------------------------------------


class Waiter:
    def __init__(self, port=1):
        self.here = ("127.0.0.1", port)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=60), st.integers(1, 8))
def test_no_crowd_keeps_a_taker_without_a_place_out(steps, limit):
    places, held = module().Places(), []
    for taker, leaves in steps:
        if leaves and held:
            places.give_back(*held.pop(taker % len(held)))
            continue
        before = collections.Counter(one for _waiter, one in held)
        if places.taken >= limit:
            loser = places.surplus(taker)
            if loser is None:
                assert max(before.values()) <= before[taker] + 1, "nobody has more than the newcomer would"
                places.denied[held[0][0]] = True
                assert places.surplus(taker) is held[0][0], "then one gives way that was denied"
                del places.denied[held[0][0]]
                continue
            entry = next(pair for pair in held if pair[0] is loser)
            assert before[entry[1]] == max(before.values())
            assert before[entry[1]] - 1 >= before[taker] + 1
            held.remove(entry)
            places.give_back(*entry)
        held.append((Waiter(), taker))
        places.take(*held[-1])
        assert places.taken == len(held) <= limit
        assert {one: places.of(one) for _waiter, one in held} == collections.Counter(one for _waiter, one in held)
    assert places.taken == len(held)


def test_the_newest_on_the_fullest_port_gives_way():
    places = module().Places()
    waiters = [Waiter(port) for port in (7, 8, 8, 8, 9)]
    for waiter in waiters:
        places.take(waiter, "node")
    assert places.surplus("other") is waiters[3]


# ---- peers that have gone ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [socket.socket.close, reset, lambda sock: sock.shutdown(socket.SHUT_WR)], ids=["end", "reset", "half"])
# More than the relay keeps, and less than the kernel keeps besides: the end of a stream arrives only if all before it has arrived.
@pytest.mark.parametrize("sent", [b"", b"x", b"x" * 70000], ids=["nothing", "a byte", "much"])
@pytest.mark.parametrize("state", ["waiting", "held", "asking"])
def test_a_source_that_has_gone_gives_its_place_back(start, program, tmp_path, short_path, until, how, sent, state):
    target = Target(backlog=None if state == "waiting" else 5)
    more = {"waiting": [], "held": ["--allow-file", tmp_path / "nodes"], "asking": ["--authorize", program(
        "authorize", "#!/bin/sh\nwhile [ ! -e {0}/no ]; do sleep 0.05; done; exit 1\n".format(tmp_path)), "--authorize-timeout", "300"]}[state]
    relay = start("--to", target.text, "--wait", "86400", "--hold", "86400", "--status", short_path / "s", *more)
    source = relay.connect()
    source.sendall(sent)
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == [state])
    how(source)
    if state == "asking" and sent and how is not reset:
        (tmp_path / "no").touch()
    until(lambda: relay.status()["sessions"] == [])
    relay.logged("the source closed before the target was connected")
    if state != "asking":
        descriptors = relay.descriptors()
        for _one in range(20):
            other = relay.connect()
            with contextlib.suppress(OSError):  # the relay may have refused it, since the last ones are still there
                other.sendall(sent)
                how(other)
            other.close()
        until(lambda: relay.status()["sessions"] == [] and relay.descriptors() <= descriptors)


def test_a_source_that_closes_its_direction_while_it_is_asked_about_still_gets_its_answer(start, target, program, tmp_path, short_path, until):
    relay = start("--to", target.text, "--status", short_path / "s", "--authorize", program(
        "authorize", "#!/bin/sh\nwhile [ ! -e {0}/job ]; do sleep 0.05; done\n".format(tmp_path)))
    source = relay.connect()
    source.sendall(b"hello")
    source.shutdown(socket.SHUT_WR)
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["asking"])
    (tmp_path / "job").touch()
    sink = target.accept()
    assert to_the_end(sink) == b"hello"
    sink.sendall(b"back")
    sink.close()
    assert to_the_end(source) == b"back"


# ---- the answers of the batch system -------------------------------------------------------------------------------------------


def test_a_yes_for_a_job_that_has_ended_is_not_used_again(start, target, program, tmp_path):
    job = tmp_path / "job"
    job.touch()
    relay = start("--to", target.text, "--hold", "off", "--authorize-cache", "3600", "--authorize", program(
        "authorize", "#!/bin/sh\n[ -e {0} ]\n".format(job)))
    first, sink = relay.connect(), target.accept()
    exchange(first, sink)
    job.unlink()
    assert relay.refuses(), "whoever has the node now"
    assert target.nobody_came()
    exchange(first, sink)


class Commands:
    """Stands for the program's Command: each one runs until its answer is given."""

    def __init__(self, monkeypatch):
        self.running = []
        monkeypatch.setattr(module(), "Command", lambda _loop, argv, _timeout, answered: self.running.append((argv, answered)))

    def owners(self):
        return [argv[1] for argv, _answered in self.running]

    def end(self, at=0, code=0):
        self.running.pop(at)[1](code, "")


class Clock:
    now = 100.0


@pytest.fixture(name="asked")
def _asked(monkeypatch):
    """A function that asks for an owner and a source, and returns the list that gets the answer; and the commands that run."""
    commands = Commands(monkeypatch)
    authorizer = module().Authorizer(Clock(), module().Log())
    route = module().Route("site", {"listen": [], "authorize": ["/ask"]}, [])

    def ask(owner, source="10.1.0.1"):
        got = []
        authorizer.query(route, owner, (source, 4000), 11111, got.append)
        return got
    monkeypatch.setattr(module(), "user_name", str)
    return ask, commands


def test_a_connection_that_was_made_while_a_query_ran_gets_an_answer_of_its_own(asked):
    ask, commands = asked
    early = ask(1)
    late = [ask(1), ask(1), ask(1)]
    commands.end()
    assert (early, late) == ([True], [[], [], []])
    commands.end(code=1)
    assert late == [[False], [], []]
    assert commands.owners() == ["1"], "those that came meanwhile share one"
    commands.end(code=1)
    assert late == [[False], [False], [False]]


def test_a_no_is_kept_for_a_moment(asked):
    ask, commands = asked
    first = ask(1)
    commands.end(code=1)
    assert (first, ask(1), commands.owners()) == ([False], [False], [])
    assert ask(2) == []
    assert commands.owners() == ["2"]


def test_a_name_of_digits_is_not_taken_for_the_uid_of_another_account(asked, monkeypatch):
    ask, commands = asked
    monkeypatch.setattr(module(), "user_name", lambda _uid: "20002")
    ask(20001)
    assert commands.owners() == ["20001"]


def test_many_queries_about_one_user_keep_no_other_user_waiting(asked):
    ask, commands = asked
    for number in range(500):
        ask(1, "10.1.{0}.{1}".format(number // 250, number % 250))
    others = [ask(owner) for owner in (2, 3, 4)]
    assert commands.owners() == ["1", "1", "2", "3", "4"]
    for _one in others:
        commands.end(2)
    assert others == [[True]] * 3
    commands.end()
    assert commands.owners() == ["1", "1"], "each turn of it comes"


@given(steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from([0, 1, 2, None])), max_size=40))
def test_every_query_gets_one_answer(steps):
    patch = pytest.MonkeyPatch()
    try:
        commands = Commands(patch)
        patch.setattr(module(), "user_name", str)
        authorizer = module().Authorizer(Clock(), type("Silent", (), {"write": lambda *_words: None}))
        route = module().Route("site", {"listen": [], "authorize": ["/ask"]}, [])
        answers = []
        for owner, source, code in steps:
            got = []
            answers.append(got)
            authorizer.query(route, owner, (str(source), 1), 1, got.append)
            assert len(commands.running) <= authorizer.MOST_RUNNING
            assert max(collections.Counter(commands.owners()).values(), default=0) <= authorizer.MOST_RUNNING_PER_OWNER
            if code is not None and commands.running:
                commands.end(source % len(commands.running), code)
        while commands.running:
            commands.end()
        assert [len(got) for got in answers] == [1] * len(answers)
        assert not authorizer.queues and not authorizer.running
    finally:
        patch.undo()


def test_a_job_that_ends_leaves_nothing_that_waits(start, short_path, until):
    """The batch system kills what a job has left; the kernel then closes its connections."""
    relay = start("--to", Target().text, "--status", short_path / "s")
    job = subprocess.Popen([sys.executable, "-c", "import socket, sys, time\ns = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
                            "s.sendall(b'hello')\ntime.sleep(1000)\n", str(relay.port)])
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["waiting"])
    job.kill()
    job.wait()
    until(lambda: relay.status()["sessions"] == [])
