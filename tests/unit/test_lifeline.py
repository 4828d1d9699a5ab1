# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-lifeline as running programs: what a loss of the line does to bytes, ends and buffers, and in which order things may start."""

import collections
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from conftest import wait_until
from lifeline import EAGER, PROGRAM, QUICK, End, Pair, Wire, module, new_key
from relay import Target, exactly, free_ports, interpreters, is_reset, reset, to_the_end

MEGABYTE = os.urandom(1 << 20)
WAYS = [(reverse, agent_dials) for reverse in (False, True) for agent_dials in (False, True)]
OTHER = 61001  # an account that need not exist
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture(name="pair")
def _pair(tmp_path):
    made = []

    def pair(*arguments, **options):
        made.append(Pair(tmp_path, *arguments, **options))
        return made[-1]
    yield pair
    for one in made:
        one.close()


@pytest.fixture(name="start")
def _start(tmp_path):
    """Starts one end alone."""
    made = []

    def start(role, *arguments, key=None, **options):
        key = key or (tmp_path / "key" if (tmp_path / "key").exists() else new_key(tmp_path / "key"))
        made.append(End(tmp_path, role, *arguments, key=key, **options))
        return made[-1]
    yield start
    for one in made:
        one.stop()


def talk(near, far, word=b"hello"):
    """Sends a word in each direction."""
    near.sendall(word)
    assert exactly(far, len(word)) == word
    far.sendall(word[::-1])
    assert exactly(near, len(word)) == word[::-1]


@contextlib.contextmanager
def sending(sock, content, end=True):
    def send():
        sock.sendall(content)
        if end:
            sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    yield
    thread.join(15)
    assert not thread.is_alive()


def fill(sock, seconds=0.25):
    """Sends until nothing more is accepted for a while, and returns the number of bytes."""
    sock.settimeout(seconds)
    sent = 0
    try:
        while sent < 1 << 28:
            sent += sock.send(MEGABYTE[sent % len(MEGABYTE):])
        pytest.fail("it accepts more and more")
    except socket.timeout:
        sock.settimeout(15)
        return sent


def repeated(count):
    return (MEGABYTE * (count // len(MEGABYTE) + 1))[:count]


# ---- bytes and losses ----


@pytest.mark.parametrize("reverse,agent_dials", WAYS)
def test_a_loss_of_the_line_is_only_a_pause(pair, reverse, agent_dials):
    both = pair(reverse, agent_dials)
    near, far = both.open()
    talk(near, far)
    both.wire.cut()
    talk(near, far, b"after a loss")
    assert both.stub.status["losses"] == both.agent.status["losses"] == 1
    with sending(far, MEGABYTE * 3, end=False):
        assert exactly(near, 1 << 20) == MEGABYTE
        both.wire.cut()
        assert exactly(near, 2 << 20) == MEGABYTE * 2
    near.close()
    assert to_the_end(far) == b""
    far.close()
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]
    for end in (both.agent, both.stub):
        assert "lost the line over" in end.log and "reconnected after" in end.log and "both sides closed" in end.log


@pytest.mark.parametrize("python", interpreters())
def test_each_python_runs_the_program(pair, python):
    both = pair(python={"agent": python}, stub=("--buffer", "1"))
    near, far = both.open()
    with sending(far, MEGABYTE * 2):
        assert exactly(near, 100000) == MEGABYTE[:100000]
        both.wire.cut()
        assert to_the_end(near) == (MEGABYTE * 2)[100000:]
    with sending(near, MEGABYTE):
        assert to_the_end(far) == MEGABYTE
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


@pytest.mark.parametrize("loss", [False, True])
def test_the_end_of_one_direction_leaves_the_other_open(pair, loss):
    both = pair()
    near, far = both.open()
    talk(near, far)
    if loss:
        both.wire.down = True
        both.wire.cut()
    near.sendall(b"a question")
    near.shutdown(socket.SHUT_WR)
    both.wire.down = False
    assert to_the_end(far) == b"a question"
    answer = MEGABYTE * 2
    with sending(far, answer):
        if loss:
            both.wire.cut()
        assert to_the_end(near) == answer
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


def test_the_last_bytes_of_a_server_that_ends_first_arrive(pair):
    both = pair()
    near, far = both.open()
    talk(near, far)
    far.sendall(b"last bytes")
    far.close()
    assert to_the_end(near) == b"last bytes"
    near.close()
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


@pytest.mark.parametrize("of_client", [True, False])
@pytest.mark.parametrize("line_lost", [False, True])
def test_a_reset_is_forwarded(pair, of_client, line_lost):
    both = pair()
    near, far = both.open()
    talk(near, far)
    if line_lost:
        both.wire.down = True
        both.wire.cut()
        both.agent.becomes("outage")
        both.stub.becomes("outage")
    reset(near if of_client else far)
    if line_lost:
        time.sleep(0.2)
        both.wire.down = False
    assert is_reset(far if of_client else near)
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


def test_bytes_from_before_a_reset_arrive(pair):
    both = pair()
    near, far = both.open()
    near.sendall(b"unread")
    far.sendall(b"last bytes")
    wait_until(lambda: far.recv(6, socket.MSG_PEEK) == b"unread")
    far.close()  # with bytes unread: a reset
    assert exactly(near, 10) == b"last bytes"
    assert is_reset(near)


def test_a_full_buffer_stops_the_sender_and_loses_nothing(pair):
    both = pair(options=(*QUICK, "--buffer", "1"))
    near, far = both.open()
    talk(near, far)
    sent = fill(far, 1.2)  # longer than --dead
    assert both.stub.status["losses"] == 0
    for end in (both.agent, both.stub):
        assert end.status["waiting_bytes"] <= 1 << 19
        assert end.memory_kib() < 20000 + 1024
    near.sendall(b"the other way is free")
    assert exactly(far, 21) == b"the other way is free"
    assert exactly(near, sent) == repeated(sent)
    talk(near, far)


def test_a_full_buffer_while_the_line_is_lost(pair):
    both = pair(agent=("--buffer", "2"), stub=("--buffer", "8"))
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.wire.cut()
    sent = [fill(near), fill(far)]
    for end in (both.agent, both.stub):
        assert end.becomes("outage").status["waiting_bytes"] <= 1 << 20
    both.wire.down = False
    with sending(near, b"!"), sending(far, b"?"):
        assert to_the_end(far) == repeated(sent[0]) + b"!"
        assert to_the_end(near) == repeated(sent[1]) + b"?"


def test_short_messages_need_little_memory_while_the_line_is_lost(pair):
    both = pair(agent=("--buffer", "4"), stub=("--buffer", "4"))
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.wire.cut()
    both.stub.becomes("outage")
    before = both.stub.memory_kib()
    for _time in range(20000):
        near.send(b"0123456789abcdef")
    assert both.stub.memory_kib() - before < 1500
    both.wire.down = False
    assert exactly(far, 320000) == b"0123456789abcdef" * 20000


def test_memory_stays_within_the_buffer_and_20_mb(pair):
    both = pair(options=(*EAGER, "--buffer", "16"))
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.wire.cut()
    sent = fill(near), fill(far)
    assert min(sent) > 8 << 20
    both.wire.down = False
    both.connected()
    time.sleep(0.3)
    for end in (both.agent, both.stub):
        assert end.memory_kib() < 20000 + (16 << 10)


# ---- the order of starts ----


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("last", ["line", "server or client that listens", "agent", "stub"])
def test_any_order_of_starts(tmp_path, start, reverse, last):
    port, = free_ports()
    wire, target = Wire(), Target()
    accepting, dialling = ("agent", "stub") if reverse else ("stub", "agent")
    arguments = {accepting: ["--listen", "127.0.0.1:0"], dialling: ["--to", target.text]}
    arguments["agent"] += ["--line-listen", "127.0.0.1:{0}".format(port)]
    arguments["stub"] += ["--line-to", wire.address]
    wire.to = "127.0.0.1:{0}".format(port)
    wire.down = last == "line"
    ends = {role: start(role, *arguments[role], *EAGER) for role in ("agent", "stub") if role != last}
    if last == dialling or last == "line":
        dialled = ends[accepting].connect()
        dialled.sendall(b"early")
    if last in ("agent", "stub"):
        time.sleep(0.4)
        ends[last] = start(last, *arguments[last], *EAGER)
    if last not in (dialling, "line"):
        dialled = ends[accepting].connect()
        dialled.sendall(b"early")
    if last.startswith("server"):
        ends[dialling].logged("nobody listens")
    target.listen()
    wire.down = False
    other = target.accept()
    assert exactly(other, 5) == b"early"
    talk(dialled, other)
    wire.close()
    target.close()


def test_target_files_are_read_for_each_attempt(tmp_path, start):
    server, wires = Target(backlog=1), [Wire(), Wire()]
    line, to = tmp_path / "line", tmp_path / "to"
    line.write_text("127.0.0.1:1")  # not complete yet
    agent = start("agent", "--to", "@{0}".format(to), "--line-listen", "127.0.0.1:0", *EAGER)
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", "@{0}".format(line), *EAGER)
    for wire in wires:
        wire.to = agent.line
    near = stub.connect()
    stub.logged("no line yet: .*no complete line")
    line.write_text("nonsense\n")
    stub.logged("neither ADDRESS:PORT nor unix:PATH")
    line.write_text(wires[0].address + "\nthe first forward\n")
    stub.becomes("connected")
    agent.logged("ParaView's connection waits: .*No such file")
    to.write_text(server.text + "\n")
    far = server.accept()
    talk(near, far)
    wires[0].close()
    stub.becomes("outage")
    line.write_text(wires[1].address + "\n")
    talk(near, far)
    assert wires[1].accepted == 1
    wires[1].close()
    server.close()


def deaf(backlog=8):
    """A socket whose connections nobody accepts. With a backlog of 0 it is full, and no connection is made at all."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(backlog)
    text = "127.0.0.1:{0}".format(listener.getsockname()[1])
    waiting = [socket.socket() for _one in range(0 if backlog else 4)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
    return text, [listener, *waiting]


@pytest.mark.parametrize("backlog", [8, 0])
def test_a_new_endpoint_is_dialled_immediately_although_the_old_one_is_silent(tmp_path, start, backlog):
    server, wire, where = Target(backlog=1), Wire(), tmp_path / "where"
    (silent, kept) = deaf(backlog)
    agent = start("agent", "--to", server.text, "--line-listen", "127.0.0.1:0", *EAGER)
    wire.to = agent.line
    where.write_text(wire.address + "\n")
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", "@{0}".format(where), *EAGER)
    near = stub.connect()
    far = server.accept()
    talk(near, far)
    where.write_text(silent + "\n")
    wire.cut()
    stub.logged("dials {0} now".format(silent))
    began = time.monotonic()
    (tmp_path / "new").write_text(wire.address + "\nanother forward\n")
    (tmp_path / "new").rename(where)
    talk(near, far)
    assert time.monotonic() - began < 5  # an attempt lasts 10 s
    assert len(stub.log.splitlines()) == 6, stub.log  # connected, ParaView's, lost, two endpoints, reconnected
    for one in [wire, server, *kept]:
        one.close()


def test_a_working_line_is_kept_although_the_file_names_another_endpoint(tmp_path, start):
    server, wires, where = Target(backlog=1), [Wire(), Wire()], tmp_path / "where"
    agent = start("agent", "--to", server.text, "--line-listen", "127.0.0.1:0", *EAGER)
    for wire in wires:
        wire.to = agent.line
    where.write_text(wires[0].address + "\n")
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", "@{0}".format(where), *EAGER)
    near = stub.connect()
    far = server.accept()
    talk(near, far)
    where.write_text(wires[1].address + "\n")
    time.sleep(0.8)  # longer than the interval of the checks
    talk(near, far)
    assert (stub.status["losses"], wires[1].accepted) == (0, 0)
    wires[0].cut()
    talk(near, far)
    assert (wires[0].accepted, wires[1].accepted) == (1, 1)
    for one in (*wires, server):
        one.close()


class FakeLoop:
    """A fake loop: records the calls and their delays."""

    now = 0.0

    def __init__(self):
        self.soon, self.handlers = {}, {}

    def at(self, name, delay, call):
        self.soon[name] = (delay, call)

    def cancel(self, name):
        self.soon.pop(name, None)


def test_a_new_endpoint_starts_with_the_shortest_pause(tmp_path):
    program, loop, logged = module(), FakeLoop(), []
    session = types.SimpleNamespace(loop=loop, line=None, redial_s=0.25, log=types.SimpleNamespace(write=lambda text, _kind: logged.append(text)),
                                    dial_failed=lambda reason: None)
    where = tmp_path / "where"
    where.write_text("unix:{0}/nothing\n".format(tmp_path))
    dialer = program.LineDialer(session, program.DialTarget("@{0}".format(where), program.check_dialable))
    for _time in range(6):
        loop.soon.pop("dial")[1]()
    for lost_for, longest in ((0, 2), (59, 2), (61, 10), (599, 10), (601, 60), (30000, 60)):
        loop.now = lost_for
        for _time in range(10):
            loop.soon.pop("dial")[1]()
        assert longest / 2 <= loop.soon["dial"][0] <= longest * 1.5
    where.write_text("unix:{0}/another\n".format(tmp_path))
    delay, check = loop.soon["look"]
    check()
    assert delay <= 0.5 and loop.soon["dial"][0] == 0
    loop.soon.pop("dial")[1]()
    assert loop.soon["dial"][0] < 0.5
    assert logged == ["dials unix:{0}/another now, no longer unix:{0}/nothing".format(tmp_path)]
    for _time in range(10):
        loop.soon.pop("dial")[1]()
    loop.soon["look"][1]()
    assert loop.soon["dial"][0] >= 1
    os.utime(str(where), (1, 1))  # the same endpoint, written anew
    loop.soon["look"][1]()
    assert loop.soon["dial"][0] == 0
    dialer.close()
    assert not loop.soon


def test_a_file_that_appears_only_when_its_directory_is_listed_is_found(tmp_path, monkeypatch):
    """Network file systems behave so."""
    program, listed = module(), os.listdir
    monkeypatch.setattr(program.os, "listdir", lambda path: ((tmp_path / "where").write_text("127.0.0.1:7\n"), listed(path))[1])
    assert program.DialTarget("@{0}/where".format(tmp_path), program.check_dialable).endpoint().text == "127.0.0.1:7"


def test_a_line_over_a_unix_socket(start, short_path):
    server = Target(backlog=1)
    socket.socket(socket.AF_UNIX).bind(str(short_path / "line"))  # of an earlier process
    agent = start("agent", "--to", server.text, "--line-listen", "unix:{0}".format(short_path / "line"))
    assert stat.S_IMODE(os.stat(str(short_path / "line")).st_mode) == 0o600
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", "unix:{0}".format(short_path / "line"))
    near = stub.connect()
    talk(near, server.accept())
    second = start("agent", "--to", server.text, "--line-to", "unix:{0}".format(short_path / "nothing"))
    second.logged("no line yet: .*No such file")
    assert stub.stop() == 0
    assert agent.ends() == 0
    assert not (short_path / "line").exists()
    server.close()


def test_a_socket_whose_file_was_removed_is_opened_again(start, short_path):
    """As after a cleanup of /tmp. The line and ParaView can still connect."""
    server = Target(backlog=1)
    places = {name: short_path / name / "socket" for name in ("line", "paraview")}
    for place in places.values():
        place.parent.mkdir()
    start("agent", "--to", server.text, "--line-listen", "unix:{0}".format(places["line"]))
    stub = start("stub", "--listen", "unix:{0}".format(places["paraview"]), "--line-to", "unix:{0}".format(short_path / "nothing"))
    for place in places.values():
        place.unlink()
        place.parent.rmdir()
    stub.logged("no line yet")
    for place in places.values():
        place.parent.mkdir()
    wait_until(lambda: all(place.exists() for place in places.values()))
    stub.stop()
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", "unix:{0}".format(places["line"]))
    talk(stub.connect(), server.accept())
    server.close()


def test_a_socket_that_cannot_be_opened_again_yet_ends_nothing(short_path):
    program, place = module(), short_path / "directory" / "socket"
    place.parent.mkdir()
    loop = program.Loop()
    listener = program.Listener(loop, program.parse_endpoint("unix:{0}".format(place)), lambda _events: None)
    place.unlink()
    place.parent.rmdir()
    place.parent.write_text("somebody else's")
    listener.reopen()
    place.parent.unlink()
    place.parent.mkdir()
    listener.reopen()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(place))
    listener.close()
    assert not place.exists()


def test_paraview_connects_over_a_unix_socket(start, short_path):
    """As if ssh forwards the connection from the host of ParaView."""
    place = str(short_path / "paraview")
    socket.socket(socket.AF_UNIX).bind(place)  # of an earlier process
    server = Target(backlog=1)
    agent = start("agent", "--to", server.text, "--line-listen", "127.0.0.1:0")
    stub = start("stub", "--listen", "unix:" + place, "--line-to", agent.line)
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    near = socket.socket(socket.AF_UNIX)
    near.connect(place)
    far = server.accept()
    talk(near, far)
    assert not os.path.exists(place), "only one connection"
    near.close()
    assert to_the_end(far) == b""
    far.close()
    assert [agent.ends(), stub.ends()] == [0, 0]
    server.close()


def test_a_unix_socket_that_other_accounts_can_access_is_not_dialled(start, short_path):
    where, place = short_path / "client", str(short_path / "paraview")
    agent = start("agent", "--listen", "127.0.0.1:0", "--line-listen", "127.0.0.1:0")
    stub = start("stub", "--to", "@{0}".format(where), "--line-to", agent.line)
    near = agent.connect()
    stub.logged("ParaView's connection waits: .*No such file")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(1)
    os.chmod(place, 0o666)
    where.write_text("unix:{0}\n".format(place))
    stub.logged("no socket that only this account can access")
    os.chmod(place, 0o600)
    talk(near, listener.accept()[0])
    listener.close()


def test_a_client_that_disconnects_immediately_ends_the_session(pair):
    both = pair()
    both.connected()
    near, far = both.open()
    near.close()
    assert to_the_end(far) == b""
    far.close()
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


def test_time_limits(start):
    port, = free_ports()
    nobody = start("stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(port), "--wait", "0.5", *QUICK)
    agent = start("agent", "--to", "127.0.0.1:{0}".format(port), "--line-listen", "127.0.0.1:0", "--wait", "1", *QUICK)
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", agent.line, *QUICK)
    near = stub.connect()
    assert nobody.ends() == 4
    assert "the other end did not connect" in nobody.log and "Connection refused" in nobody.log
    assert agent.ends() == 4
    assert "could not be made: nobody listens" in agent.log
    assert stub.ends() == 0
    assert near.recv(1) == b""


# ---- silent and long losses ----


def test_a_silent_loss_is_noticed(pair):
    both = pair(options=QUICK)
    near, far = both.open()
    talk(near, far)
    both.wire.stall()
    near.sendall(b"into the void")
    began = time.monotonic()
    both.stub.logged("nothing was received for 1 s")
    assert time.monotonic() - began < 2
    both.wire.cut()
    assert exactly(far, 13) == b"into the void"
    talk(near, far)


def test_an_idle_line_is_kept(pair, until):
    both = pair(options=QUICK)
    near, far = both.open()
    talk(near, far)
    passed = collections.Counter()

    def count(piece, way):
        passed[way] += 1
        return piece

    both.wire.change = count
    # As many signs of life as come in more than the time after which the line would be lost.
    until(lambda: min(passed["up"], passed["down"]) >= 5)
    assert both.stub.status["losses"] == 0
    talk(near, far)


class FakeLine:
    """Records the calls."""

    def __init__(self, last_received):
        self.last_received, self.pinged, self.calls = last_received, None, []

    def send(self, kind):
        self.calls.append(kind)

    def close(self, reason):
        self.calls.append(reason)

    def push(self):
        pass

    def unread_s(self):
        return 0.0


@pytest.mark.parametrize("slept", [0, 5000])
def test_a_suspended_machine_sends_a_ping_before_it_closes_the_line(slept):
    program = module()
    session = program.Session.__new__(program.Session)
    session.ping_s, session.dead_s, session.loop = 3.0, 10.0, types.SimpleNamespace(now=100.0)
    line = FakeLine(100.0)
    began = session.loop.now + slept
    history = []
    for second in range(1, 20):
        session.loop.now = began + second
        session._heartbeat(line)
        history.append((second, line.calls[:]))
        if len(line.calls) == 2:
            break
    assert line.calls == [program.PING, "nothing was received for {0} s".format(slept + second)]
    assert second == (4 if slept else 10)
    assert next(at for at, calls in history if calls) == (1 if slept else 3)


def test_the_clock_counts_suspended_time():
    program = module()
    assert abs(program.clock() - float(Path("/proc/uptime").read_text().split()[0])) < 1 or program.BOOTTIME is None


def test_a_loss_of_the_line_has_a_limit(pair):
    both = pair(options=(*QUICK, "--outage", "0.7"))
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.wire.cut()
    began = time.monotonic()
    assert [both.agent.ends(), both.stub.ends()] == [4, 4]
    assert 0.6 < time.monotonic() - began < 3
    assert is_reset(near) and is_reset(far)
    assert both.agent.status["state"] == "ended"
    assert "the line was lost for" in both.agent.status["reason"]


def test_the_pause_between_attempts_grows_until_a_line_is_stable(pair, until):
    both = pair(options=())
    near, far = both.open()
    talk(near, far)
    both.wire.change = lambda piece, way: piece[:-1] + bytes([piece[-1] ^ 1]) if way == "down" and len(piece) < 90 else piece
    before = both.wire.accepted
    near.sendall(b"x")
    until(lambda: both.wire.accepted >= before + 4)
    attempts = both.wire.times[before:]
    assert attempts[3] - attempts[2] > attempts[1] - attempts[0]
    both.wire.change = None
    both.wire.cut()
    assert exactly(far, 1) == b"x"
    talk(near, far)


# ---- ends ----


@pytest.mark.parametrize("role", ["agent", "stub"])
def test_a_signal_to_one_end_ends_both(pair, role):
    both = pair()
    near, far = both.open()
    far.sendall(b"something")
    assert exactly(near, 9) == b"something"
    getattr(both, role).kill(signal.SIGTERM)
    assert near.recv(1) == far.recv(1) == b""
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]
    for end in (both.agent, both.stub):
        assert end.status["state"] == "ended"
        assert "the {0} received a signal to end".format(role) in end.status["reason"]


def test_bytes_that_were_read_are_forwarded_before_the_end(pair):
    both = pair()
    near, far = both.open()
    talk(near, far)
    far.sendall(MEGABYTE)
    time.sleep(0.1)
    both.agent.kill(signal.SIGTERM)
    assert to_the_end(near) == MEGABYTE


def test_a_stub_ends_with_its_standard_input(start):
    server = Target(backlog=1)
    agent = start("agent", "--to", server.text, "--line-listen", "127.0.0.1:0")
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", agent.line, "--exit-on-eof", stdin=subprocess.PIPE)
    near = stub.connect()
    far = server.accept()
    stub.process.stdin.write(b"not the end\n")
    stub.process.stdin.flush()
    talk(near, far)
    stub.process.stdin.close()
    assert near.recv(1) == far.recv(1) == b""
    assert [agent.ends(), stub.ends()] == [0, 0]
    assert "the standard input of the stub ended" in agent.log
    server.close()


@pytest.mark.parametrize("role", ["agent", "stub"])
def test_the_partner_of_a_killed_end_can_be_ended(pair, role):
    both = pair()
    near, far = both.open()
    talk(near, far)
    getattr(both, role).kill()
    killed_side, (survivor, held) = (near, (both.agent, far)) if role == "stub" else (far, (both.stub, near))
    with contextlib.suppress(ConnectionResetError):
        assert killed_side.recv(1) == b""
    survivor.becomes("outage")
    if role == "stub":
        ender = End(both.directory, "stub", "--end", "--line-to", both.wire.address, key=both.key)
    else:
        ender = End(both.directory, "agent", "--end", "--line-listen", both.wire.to, key=both.key)
    both.ends.append(ender)
    assert ender.ends() == 0
    assert survivor.ends() == 0
    assert "the {0} requested the end".format(role) in survivor.log
    assert held.recv(1) == b""


@pytest.mark.parametrize("agent_dials", [False, True])
def test_a_restarted_agent_ends_the_session_of_the_first_one(pair, agent_dials):
    both = pair(agent_dials=agent_dials)
    near, far = both.open()
    talk(near, far)
    both.agent.kill()
    assert far.recv(1) == b""
    both.stub.becomes("outage")
    again = both.start("agent")
    both.wire.to = again.line or both.stub.line
    assert both.stub.ends() == 5
    assert is_reset(near)
    assert "the agent lost its state; the session cannot continue" in both.stub.log
    assert (both.stub.status["state"], both.stub.status["reason"]) == ("ended", "the agent lost its state; the session cannot continue")
    # It serves another session.
    again.becomes("waiting")
    other = both.start("stub")
    both.wire.to = again.line or other.line
    near = other.connect()
    talk(near, both.target.accept())


def test_a_restarted_agent_waits_until_the_silent_line_of_the_first_one_is_closed(pair):
    both = pair(agent_dials=True, options=QUICK)
    near, far = both.open()
    talk(near, far)
    both.agent.kill(signal.SIGSTOP)  # as if its host failed
    again = both.start("agent")
    assert both.stub.ends() == 5
    assert "nothing was received for 1 s" in both.stub.log
    assert is_reset(near)
    assert again.process.poll() is None and "refused:" not in again.log
    both.agent.kill(signal.SIGCONT)
    again.kill(signal.SIGTERM)
    assert again.ends() == 0
    both.agent.kill()


def test_another_stub_while_the_line_is_lost_does_not_disturb_the_session(pair):
    both = pair()
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.wire.cut()
    for end in (both.agent, both.stub):
        end.becomes("outage")
    other = End(both.directory, "stub", "--listen", "127.0.0.1:0", "--line-to", both.agent.line, *EAGER, key=both.key)
    both.ends.append(other)
    assert other.ends() == 3
    assert "this session has another stub" in other.log
    both.wire.down = False
    talk(near, far)


def test_an_agent_in_use_by_another_stub_does_not_end_the_session(pair, tmp_path):
    both = pair(options=(*EAGER, "--outage", "60"))
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.wire.cut()
    (tmp_path / "other").mkdir()
    target = Target(backlog=1)
    agent = End(tmp_path / "other", "agent", "--to", target.text, "--line-listen", "127.0.0.1:0", *EAGER, key=both.key)
    stub = End(tmp_path / "other", "stub", "--listen", "127.0.0.1:0", "--line-to", agent.line, *EAGER, key=both.key)
    both.ends += [agent, stub]
    first = stub.connect()
    second = target.accept()
    talk(first, second)
    both.wire.to = agent.line
    both.wire.down = False
    both.stub.logged("this session has another stub")
    assert both.stub.status["state"] == "outage"
    talk(first, second)
    both.wire.to = both.agent.line
    talk(near, far)
    target.close()


@pytest.mark.parametrize("role", ["agent", "stub"])
def test_paraviews_connection_breaks_after_the_other_end_was_killed(pair, role):
    both = pair(options=(*EAGER, "--outage", "2"))
    near, far = both.open()
    talk(near, far)
    survivor, other, held = (both.agent, both.stub, far) if role == "agent" else (both.stub, both.agent, near)
    both.wire.down = True
    other.kill()
    both.wire.cut()
    survivor.becomes("outage")
    reset(held)
    survivor.logged("ends: ParaView's connection broke at the {0}".format(role))
    assert survivor.ends() == 4
    assert survivor.status["reason"].endswith("the {0} could not be informed".format(other.status["role"]))


def test_the_time_for_the_notice_of_a_break_is_limited():
    program = module()
    session = program.Session.__new__(program.Session)
    session.loop, session.outage_s = types.SimpleNamespace(now=1000.0), 3600.0
    times = []
    for lost_at in (None, 1000.0, 1000.0 - 3400, 1000.0 - 3599):
        session.lost_at = lost_at
        times.append(session._notice_time())
    assert times == [300, 300, 200, 2]


@pytest.mark.parametrize("agent_dials", [False, True])
def test_after_a_break_a_restarted_agent_ends_the_session_immediately(pair, agent_dials):
    both = pair(agent_dials=agent_dials)
    near, far = both.open()
    talk(near, far)
    both.wire.down = True
    both.agent.kill()
    both.stub.becomes("outage")
    reset(near)
    both.stub.logged("ends: ParaView's connection broke at the stub")
    again = both.start("agent")
    both.wire.to = again.line or both.stub.line
    both.wire.down = False
    assert both.stub.ends() == 4
    assert "the agent could not be informed" in both.stub.log


def test_ending_an_unreachable_session_times_out(start):
    port, = free_ports()
    ender = start("stub", "--end", "--line-to", "127.0.0.1:{0}".format(port), "--wait", "0.5", *QUICK)
    assert ender.ends() == 4


def test_an_unused_session_accepts_another_stub(pair):
    both = pair()
    both.connected()
    both.stub.kill()
    both.agent.becomes("outage")
    both.stub = both.start("stub")
    talk(*both.open())


# ---- status and usage ----


def test_status(pair):
    both = pair()
    assert both.agent.becomes("connected").status["paraview"] == "waiting"
    near, far = both.open()
    talk(near, far)
    status = both.stub.status
    assert (status["role"], status["pid"], status["losses"], status["listening"]) == ("stub", both.stub.pid, 0, "127.0.0.1:{0}".format(both.stub.port))
    assert stat.S_IMODE(os.stat(str(both.stub.status_path)).st_mode) == 0o600
    both.wire.down = True
    both.wire.cut()
    near.sendall(MEGABYTE[:300000])
    wait_until(lambda: both.stub.status["waiting_bytes"] >= 300000)
    status = both.stub.status
    assert (status["state"], status["losses"]) == ("outage", 1)
    assert abs(status["since"] - time.time()) < 5
    wait_until(lambda: "closed" in both.stub.status["reason"])
    assert sorted(os.listdir(str(both.directory)))[-1] == "stub.0.log"  # no incomplete file is left
    key = both.key.read_text().strip()
    assert key not in both.agent.log + both.stub.log
    assert key.encode() not in Path("/proc/{0}/cmdline".format(both.stub.pid)).read_bytes()


@pytest.mark.parametrize("arguments,message", [
    (["agent", "--line-listen", "127.0.0.1:0"], "either --listen or --to"),
    (["agent", "--to", "127.0.0.1:1", "--line-listen", "somewhere:0"], "neither ADDRESS:PORT"),
    (["agent", "--to", "10.0.0.1:1", "--line-listen", "127.0.0.1:0"], "does not leave its host"),
    (["stub", "--listen", "0.0.0.0:0", "--line-to", "127.0.0.1:1"], "does not leave its host"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:0"], "no port to connect to"),
    (["stub", "--end", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:1"], "--end allows neither"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "unix:here"], "no absolute path"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:1", "--dead", "1"], "shorter than --ping"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:1", "--buffer", "0"], "invalid mebibytes"),
    (["stub", "--listen", "127.0.0.1:0"], "required"),
])
def test_invalid_arguments(tmp_path, arguments, message):
    done = subprocess.run([sys.executable, "-IS", str(PROGRAM), *arguments, "--key", str(new_key(tmp_path / "key"))], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 2
    assert message in done.stderr.decode()


def test_a_port_in_use(start, tmp_path):
    taken = Target(backlog=1)
    done = subprocess.run([sys.executable, "-IS", str(PROGRAM), "agent", "--to", "127.0.0.1:1", "--line-listen", taken.text,
                           "--key", str(new_key(tmp_path / "key"))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=30, check=False)
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr
    taken.close()


# ---- owners of connections ----


@as_root
def test_the_connection_of_another_account_is_refused(pair):
    both = pair()
    code = "import os, socket; os.setuid({0}); s = socket.socket(); s.settimeout(9); s.connect(('127.0.0.1', {1})); print(s.recv(1))"
    done = subprocess.run([sys.executable, "-c", code.format(OTHER, both.stub.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert b"ConnectionResetError" in done.stderr
    assert "comes from the account {0}".format(OTHER) in both.stub.log
    talk(*both.open())


@as_root
def test_the_listener_of_another_account_is_not_dialled(start):
    code = ("import os, socket; os.setuid({0}); s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1); print(s.getsockname()[1], flush=True);"
            "s.settimeout(0.8); print(s.accept())")
    with subprocess.Popen([sys.executable, "-c", code.format(OTHER)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as other:
        port = int(other.stdout.readline())
        agent = start("agent", "--to", "127.0.0.1:{0}".format(port), "--line-listen", "127.0.0.1:0")
        near = start("stub", "--listen", "127.0.0.1:0", "--line-to", agent.line).connect()
        agent.logged("belongs to another account")
        assert other.communicate()[0] == b""
        near.close()


def test_only_one_connection_of_paraview_is_accepted(pair):
    both = pair()
    near, far = both.open()
    talk(near, far)
    with pytest.raises(ConnectionRefusedError):
        both.stub.connect()


@pytest.mark.torture
def test_the_other_end_is_informed_of_the_end_although_bytes_are_left(pair):
    both = pair(agent=("--buffer", "16"), stub=("--buffer", "16"))
    near, far = both.open()
    talk(near, far)
    passed = threading.Event()
    both.wire.change = lambda piece, way: (passed.wait(0.15 if len(piece) > 1000 else 0), piece)[1]  # a slow line
    fill(far)
    both.agent.kill(signal.SIGTERM)
    assert both.agent.ends() == both.stub.ends() == 0
    assert "the agent received a signal to end" in both.stub.log
    assert both.stub.status["received_bytes"] < both.agent.status["sent_bytes"]
