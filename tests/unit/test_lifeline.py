# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-lifeline as running programs: what a loss does to bytes, ends and buffers, and in which order things may come up."""

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
    """A word each way."""
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
    """Sends until nothing more is taken for a while, and returns how much was."""
    sock.settimeout(seconds)
    sent = 0
    try:
        while sent < 1 << 28:
            sent += sock.send(MEGABYTE[sent % len(MEGABYTE):])
        pytest.fail("it takes more and more")
    except socket.timeout:
        sock.settimeout(15)
        return sent


def repeated(count):
    return (MEGABYTE * (count // len(MEGABYTE) + 1))[:count]


# ---- bytes and losses ----


@pytest.mark.parametrize("reverse,agent_dials", WAYS)
def test_a_loss_is_a_pause_in_each_direction_of_both_connections(pair, reverse, agent_dials):
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
        assert "lost the line over" in end.log and "back after" in end.log and "both sides closed" in end.log


@pytest.mark.parametrize("python", interpreters())
def test_every_python_is_either_end(pair, python):
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
def test_an_end_one_way_leaves_the_other_way_open(pair, loss):
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
    talk_back = MEGABYTE * 2
    with sending(far, talk_back):
        if loss:
            both.wire.cut()
        assert to_the_end(near) == talk_back
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


def test_a_server_that_ends_first_has_its_last_words_passed_on(pair):
    both = pair()
    near, far = both.open()
    talk(near, far)
    far.sendall(b"last words")
    far.close()
    assert to_the_end(near) == b"last words"
    near.close()
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


@pytest.mark.parametrize("of_client", [True, False])
@pytest.mark.parametrize("away", [False, True])
def test_a_reset_passes_through(pair, of_client, away):
    both = pair()
    near, far = both.open()
    talk(near, far)
    if away:
        both.wire.down = True
        both.wire.cut()
        both.agent.becomes("outage")
        both.stub.becomes("outage")
    reset(near if of_client else far)
    if away:
        time.sleep(0.2)
        both.wire.down = False
    assert is_reset(far if of_client else near)
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


def test_what_was_said_before_a_reset_still_arrives(pair):
    both = pair()
    near, far = both.open()
    near.sendall(b"unread")
    far.sendall(b"last words")
    wait_until(lambda: far.recv(6, socket.MSG_PEEK) == b"unread")
    far.close()  # with bytes unread: a reset
    assert exactly(near, 10) == b"last words"
    assert is_reset(near)


def test_a_full_buffer_holds_the_sender_back_and_loses_nothing(pair):
    both = pair(options=(*QUICK, "--buffer", "1"))
    near, far = both.open()
    talk(near, far)
    sent = fill(far, 1.2)  # longer than a line that is not read would live
    assert both.stub.status["losses"] == 0
    for end in (both.agent, both.stub):
        assert end.status["waiting_bytes"] <= 1 << 19
        assert end.memory_kib() < 20000 + 1024
    near.sendall(b"the other way is free")
    assert exactly(far, 21) == b"the other way is free"
    assert exactly(near, sent) == repeated(sent)
    talk(near, far)


def test_a_full_buffer_in_an_outage(pair):
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


def test_small_words_in_an_outage_take_little_room(pair):
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


# ---- what comes up when ----


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("last", ["line", "server or client that listens", "agent", "stub"])
def test_whatever_comes_up_last(tmp_path, start, reverse, last):
    port, = free_ports()
    wire, target = Wire(), Target()
    accepting, dialling = ("agent", "stub") if reverse else ("stub", "agent")
    words = {accepting: ["--listen", "127.0.0.1:0"], dialling: ["--to", target.text]}
    words["agent"] += ["--line-listen", "127.0.0.1:{0}".format(port)]
    words["stub"] += ["--line-to", wire.address]
    wire.to = "127.0.0.1:{0}".format(port)
    wire.down = last == "line"
    ends = {role: start(role, *words[role], *EAGER) for role in ("agent", "stub") if role != last}
    if last == dialling or last == "line":
        dialled = ends[accepting].connect()
        dialled.sendall(b"early")
    if last in ("agent", "stub"):
        time.sleep(0.4)
        ends[last] = start(last, *words[last], *EAGER)
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


def test_targets_are_read_anew(tmp_path, start):
    server, wires = Target(backlog=1), [Wire(), Wire()]
    line, to = tmp_path / "line", tmp_path / "to"
    line.write_text("127.0.0.1:1")  # not all of it yet
    agent = start("agent", "--to", "@{0}".format(to), "--line-listen", "127.0.0.1:0", *EAGER)
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", "@{0}".format(line), *EAGER)
    for wire in wires:
        wire.to = agent.line
    near = stub.connect()
    stub.logged("no line yet: .*no whole line")
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
    assert wires[1].taken == 1
    wires[1].close()
    server.close()


def deaf(backlog=8):
    """A socket to which connections are made that nobody takes; with a backlog of 0 not even that, once it is full."""
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
def test_a_new_place_is_dialled_at_once_although_the_old_one_keeps_silent(tmp_path, start, backlog):
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
    assert len(stub.log.splitlines()) == 6, stub.log  # connected, ParaView's, lost, two places, back
    for one in [wire, server, *kept]:
        one.close()


def test_a_line_that_stands_is_not_left_for_another_place(tmp_path, start):
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
    time.sleep(0.8)  # longer than until the file is looked at
    talk(near, far)
    assert (stub.status["losses"], wires[1].taken) == (0, 0)
    wires[0].cut()
    talk(near, far)
    assert (wires[0].taken, wires[1].taken) == (1, 1)
    for one in (*wires, server):
        one.close()


class Moments:
    """In place of a loop: what shall be done, and how soon."""

    now = 0.0

    def __init__(self):
        self.soon, self.handlers = {}, {}

    def at(self, name, delay, call):
        self.soon[name] = (delay, call)

    def cancel(self, name):
        self.soon.pop(name, None)


def test_a_new_place_is_dialled_as_eagerly_as_the_first_one(tmp_path):
    program, loop, said = module(), Moments(), []
    session = types.SimpleNamespace(loop=loop, line=None, redial_s=0.25, log=types.SimpleNamespace(say=lambda text, _kind: said.append(text)),
                                    no_line=lambda reason: None)
    where = tmp_path / "where"
    where.write_text("unix:{0}/nothing\n".format(tmp_path))
    dialer = program.LineDialer(session, program.Whereto("@{0}".format(where), program.dialable))
    for _time in range(6):
        loop.soon.pop("dial")[1]()
    assert loop.soon["dial"][0] == program.LONGEST_PAUSE_S
    where.write_text("unix:{0}/another\n".format(tmp_path))
    delay, look = loop.soon["look"]
    look()
    assert delay <= 0.5 and loop.soon["dial"][0] == 0
    loop.soon.pop("dial")[1]()
    assert loop.soon["dial"][0] < 0.5
    assert said == ["dials unix:{0}/another now, no longer unix:{0}/nothing".format(tmp_path)]
    dialer.close()
    assert not loop.soon


def test_a_file_that_shows_only_in_its_directory_is_found(tmp_path, monkeypatch):
    """As network file systems have it."""
    program, listed = module(), os.listdir
    monkeypatch.setattr(program.os, "listdir", lambda path: ((tmp_path / "where").write_text("127.0.0.1:7\n"), listed(path))[1])
    assert program.Whereto("@{0}/where".format(tmp_path), program.dialable).place().text == "127.0.0.1:7"


def test_the_line_is_a_unix_socket(start, short_path):
    server = Target(backlog=1)
    socket.socket(socket.AF_UNIX).bind(str(short_path / "line"))  # was left behind
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


def test_a_socket_whose_name_was_cleared_away_is_made_anew(start, short_path):
    """As where somebody tidies /tmp; the line comes and ParaView does all the same."""
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


def test_a_socket_that_cannot_be_made_anew_yet_ends_nothing(short_path):
    program, place = module(), short_path / "directory" / "socket"
    place.parent.mkdir()
    loop = program.Loop()
    door = program.Door(loop, program.parse_place("unix:{0}".format(place)), lambda _events: None)
    place.unlink()
    place.parent.rmdir()
    place.parent.write_text("somebody else's")
    door.keep()
    place.parent.unlink()
    place.parent.mkdir()
    door.keep()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(place))
    door.close()
    assert not place.exists()


def test_paraview_comes_by_a_unix_socket(start, short_path):
    """As where ssh leads on to the host on which it runs."""
    place = str(short_path / "paraview")
    socket.socket(socket.AF_UNIX).bind(place)  # was left behind
    server = Target(backlog=1)
    agent = start("agent", "--to", server.text, "--line-listen", "127.0.0.1:0")
    stub = start("stub", "--listen", "unix:" + place, "--line-to", agent.line)
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    near = socket.socket(socket.AF_UNIX)
    near.connect(place)
    far = server.accept()
    talk(near, far)
    assert not os.path.exists(place), "one connection alone"
    near.close()
    assert to_the_end(far) == b""
    far.close()
    assert [agent.ends(), stub.ends()] == [0, 0]
    server.close()


def test_paraview_is_called_by_a_unix_socket_of_ours_alone(start, short_path):
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
    stub.logged("no socket of this account alone")
    os.chmod(place, 0o600)
    talk(near, listener.accept()[0])
    listener.close()


def test_a_client_that_comes_and_goes_before_all_else_ends_the_session(pair):
    both = pair()
    both.connected()
    near = both.stub.connect()
    near.close()
    far = both.target.accept()
    assert to_the_end(far) == b""
    far.close()
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


def test_deadlines(start):
    port, = free_ports()
    nobody = start("stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(port), "--wait", "0.5", *QUICK)
    agent = start("agent", "--to", "127.0.0.1:{0}".format(port), "--line-listen", "127.0.0.1:0", "--wait", "1", *QUICK)
    stub = start("stub", "--listen", "127.0.0.1:0", "--line-to", agent.line, *QUICK)
    near = stub.connect()
    assert nobody.ends() == 4
    assert "the other end did not come" in nobody.log and "Connection refused" in nobody.log
    assert agent.ends() == 4
    assert "could not be made: nobody listens" in agent.log
    assert stub.ends() == 0
    assert near.recv(1) == b""


# ---- losses that nobody tells of, and long ones ----


def test_a_silent_loss_is_noticed(pair):
    both = pair(options=QUICK)
    near, far = both.open()
    talk(near, far)
    both.wire.stall()
    near.sendall(b"into the void")
    began = time.monotonic()
    both.stub.logged("nothing came for 1 s")
    assert time.monotonic() - began < 2
    both.wire.cut()
    assert exactly(far, 13) == b"into the void"
    talk(near, far)


def test_an_idle_line_is_kept(pair):
    both = pair(options=QUICK)
    near, far = both.open()
    talk(near, far)
    time.sleep(1.3)
    assert both.stub.status["losses"] == 0
    talk(near, far)


class Told:
    """In place of a line: what it was told."""

    def __init__(self, heard):
        self.heard, self.pinged, self.said = heard, None, []

    def say(self, kind):
        self.said.append(kind)

    def lost(self, reason):
        self.said.append(reason)

    def push(self):
        pass


@pytest.mark.parametrize("slept", [0, 5000])
def test_who_has_slept_asks_before_it_gives_a_line_up(slept):
    program = module()
    session = program.Session.__new__(program.Session)
    session.ping_s, session.dead_s, session.loop = 3.0, 10.0, types.SimpleNamespace(now=100.0)
    line = Told(100.0)
    began = session.loop.now + slept
    told = []
    for second in range(1, 20):
        session.loop.now = began + second
        session._heartbeat(line)
        told.append((second, line.said[:]))
        if len(line.said) == 2:
            break
    assert line.said == [program.PING, "nothing came for {0} s".format(slept + second)]
    assert second == (4 if slept else 10)
    assert next(at for at, said in told if said) == (1 if slept else 3)


def test_the_time_that_a_machine_sleeps_counts():
    program = module()
    assert abs(program.clock() - float(Path("/proc/uptime").read_text().split()[0])) < 1 or program.BOOTTIME is None


def test_an_outage_has_a_limit(pair):
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
    assert "the line was away" in both.agent.status["reason"]


def test_the_line_is_dialled_ever_more_slowly_until_it_is_good(pair):
    both = pair(options=())
    near, far = both.open()
    talk(near, far)
    both.wire.change = lambda piece, way: piece[:-1] + bytes([piece[-1] ^ 1]) if way == "down" and len(piece) < 90 else piece
    before = both.wire.taken
    near.sendall(b"x")
    time.sleep(1.6)
    assert both.wire.taken - before <= 3  # and not six
    both.wire.change = None
    both.wire.cut()
    assert exactly(far, 1) == b"x"
    talk(near, far)


# ---- ends ----


@pytest.mark.parametrize("role", ["agent", "stub"])
def test_told_to_end_both_end(pair, role):
    both = pair()
    near, far = both.open()
    far.sendall(b"something")
    assert exactly(near, 9) == b"something"
    getattr(both, role).kill(signal.SIGTERM)
    assert near.recv(1) == far.recv(1) == b""
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]
    for end in (both.agent, both.stub):
        assert end.status["state"] == "ended"
        assert "the {0} was told to end".format(role) in end.status["reason"]


def test_what_was_read_is_passed_on_before_the_end(pair):
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
def test_an_end_that_was_killed_does_not_hold_the_other(pair, role):
    both = pair()
    near, far = both.open()
    talk(near, far)
    getattr(both, role).kill()
    gone, (left, held) = (near, (both.agent, far)) if role == "stub" else (far, (both.stub, near))
    with contextlib.suppress(ConnectionResetError):
        assert gone.recv(1) == b""
    left.becomes("outage")
    if role == "stub":
        ender = End(both.directory, "stub", "--end", "--line-to", both.wire.address, key=both.key)
    else:
        ender = End(both.directory, "agent", "--end", "--line-listen", both.wire.to, key=both.key)
    both.ends.append(ender)
    assert ender.ends() == 0
    assert left.ends() == 0
    assert "by order of the {0}".format(role) in left.log
    assert held.recv(1) == b""


@pytest.mark.parametrize("agent_dials", [False, True])
def test_an_agent_that_was_started_anew_ends_the_session_of_the_first_one(pair, agent_dials):
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
    assert "the agent lost its state; the session cannot go on" in both.stub.log
    assert (both.stub.status["state"], both.stub.status["reason"]) == ("ended", "the agent lost its state; the session cannot go on")
    # It serves another one.
    again.becomes("waiting")
    other = both.start("stub")
    both.wire.to = again.line or other.line
    near = other.connect()
    talk(near, both.target.accept())


def test_an_agent_that_was_started_anew_waits_until_the_silent_line_of_the_first_one_is_given_up(pair):
    both = pair(agent_dials=True, options=QUICK)
    near, far = both.open()
    talk(near, far)
    both.agent.kill(signal.SIGSTOP)  # as where its host has died
    again = both.start("agent")
    assert both.stub.ends() == 5
    assert "nothing came for 1 s" in both.stub.log
    assert is_reset(near)
    assert again.process.poll() is None and "refused:" not in again.log
    both.agent.kill(signal.SIGCONT)
    again.kill(signal.SIGTERM)
    assert again.ends() == 0
    both.agent.kill()


def test_another_stub_in_an_outage_leaves_the_session_alone(pair):
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
def test_a_break_in_an_outage_whose_other_end_has_gone(pair, role):
    both = pair(options=(*EAGER, "--outage", "2"))
    near, far = both.open()
    talk(near, far)
    left, other, held = (both.agent, both.stub, far) if role == "agent" else (both.stub, both.agent, near)
    both.wire.down = True
    other.kill()
    both.wire.cut()
    left.becomes("outage")
    reset(held)
    left.logged("ends: ParaView's connection broke at the {0}".format(role))
    assert left.ends() == 4
    assert left.status["reason"].endswith("the {0} could not be told".format(other.status["role"]))


def test_bad_news_is_not_carried_about_for_ever():
    program = module()
    session = program.Session.__new__(program.Session)
    session.loop, session.outage_s = types.SimpleNamespace(now=1000.0), 3600.0
    told = []
    for lost_at in (None, 1000.0, 1000.0 - 3400, 1000.0 - 3599):
        session.lost_at = lost_at
        told.append(session._time_for_bad_news())
    assert told == [300, 300, 200, 2]


@pytest.mark.parametrize("agent_dials", [False, True])
def test_a_break_in_an_outage_ends_at_once_where_the_agent_was_started_anew(pair, agent_dials):
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
    assert "the agent could not be told" in both.stub.log


def test_ending_what_is_not_there_gives_up(start):
    port, = free_ports()
    ender = start("stub", "--end", "--line-to", "127.0.0.1:{0}".format(port), "--wait", "0.5", *QUICK)
    assert ender.ends() == 4


def test_a_session_that_nobody_used_may_begin_with_another_stub(pair):
    both = pair()
    both.connected()
    both.stub.kill()
    both.agent.becomes("outage")
    both.stub = both.start("stub")
    talk(*both.open())


# ---- what it tells ----


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
    assert sorted(os.listdir(str(both.directory)))[-1] == "stub.0.log"  # nothing half written is left
    key = both.key.read_text().strip()
    assert key not in both.agent.log + both.stub.log
    assert key.encode() not in Path("/proc/{0}/cmdline".format(both.stub.pid)).read_bytes()


@pytest.mark.parametrize("words,complaint", [
    (["agent", "--line-listen", "127.0.0.1:0"], "either --listen or --to"),
    (["agent", "--to", "127.0.0.1:1", "--line-listen", "somewhere:0"], "neither ADDRESS:PORT"),
    (["agent", "--to", "10.0.0.1:1", "--line-listen", "127.0.0.1:0"], "does not leave its host"),
    (["stub", "--listen", "0.0.0.0:0", "--line-to", "127.0.0.1:1"], "does not leave its host"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:0"], "no port to dial"),
    (["stub", "--end", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:1"], "--end takes neither"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "unix:here"], "no absolute path"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:1", "--dead", "1"], "shorter than --ping"),
    (["stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:1", "--buffer", "0"], "invalid mebibytes"),
    (["stub", "--listen", "127.0.0.1:0"], "required"),
])
def test_wrong_words(tmp_path, words, complaint):
    done = subprocess.run([sys.executable, "-IS", str(PROGRAM), *words, "--key", str(new_key(tmp_path / "key"))], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()


def test_a_port_in_use(start, tmp_path):
    taken = Target(backlog=1)
    done = subprocess.run([sys.executable, "-IS", str(PROGRAM), "agent", "--to", "127.0.0.1:1", "--line-listen", taken.text,
                           "--key", str(new_key(tmp_path / "key"))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=30, check=False)
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr
    taken.close()


# ---- whose connections they are ----


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


def test_there_is_one_connection_of_paraviews(pair):
    both = pair()
    near, far = both.open()
    talk(near, far)
    with pytest.raises(ConnectionRefusedError):
        both.stub.connect()


@pytest.mark.torture
def test_the_other_end_is_told_of_the_end_although_much_is_left(pair):
    both = pair(agent=("--buffer", "16"), stub=("--buffer", "16"))
    near, far = both.open()
    talk(near, far)
    passed = threading.Event()
    both.wire.change = lambda piece, way: (passed.wait(0.15 if len(piece) > 1000 else 0), piece)[1]  # a slow line
    fill(far)
    both.agent.kill(signal.SIGTERM)
    assert both.agent.ends() == both.stub.ends() == 0
    assert "the agent was told to end" in both.stub.log
    assert both.stub.status["received_bytes"] < both.agent.status["sent_bytes"]
