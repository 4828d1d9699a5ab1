# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-relay as a running program: what it does to bytes, when it waits, whom it lets through."""

import contextlib
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest
from relay import PROGRAM, Relay, Target, exactly, free_ports, interpreters, is_reset, module, reset, to_the_end

MEGABYTE = os.urandom(1 << 20)
OTHER, ANOTHER = 61001, 61002  # accounts that need not exist
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


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


@pytest.fixture(name="pair")
def _pair(start, target):
    """Makes a relay, and gives both ends of connections through it."""
    def pair(*arguments, relay=None, **options):
        relay = relay or start("--to", target.text, *arguments, **options)
        source = relay.connect()
        return relay, source, target.accept()
    return pair


def answered(source, sink, word=b"hello"):
    """A word each way."""
    source.sendall(word)
    assert exactly(sink, len(word)) == word
    sink.sendall(word[::-1])
    assert exactly(source, len(word)) == word[::-1]


def sent_beside(sock, content, end=True):
    """Sends in a thread, so that the other end can be read meanwhile."""
    def send():
        sock.sendall(content)
        if end:
            sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def fill(sock):
    """Sends until nothing more is taken, and returns what was sent."""
    sock.settimeout(0.1)
    sent = bytearray()
    try:
        while True:
            sent += MEGABYTE[:sock.send(MEGABYTE)]
    except socket.timeout:
        sock.settimeout(15)
        return bytes(sent)


# ---- bytes ----


@pytest.mark.parametrize("python", interpreters())
def test_every_python_passes_bytes_ends_and_resets_and_reloads(start, short_path, python):
    target = Target(short_path / "t", backlog=8)
    relay = start("--to", target.text, "--status", short_path / "s", "--listen", "[::1]:0", "--allow", "::1", python=python)
    source, other = relay.connect(), relay.connect()
    sink, its_sink = target.accept(), target.accept()
    answered(source, sink)
    answered(other, its_sink)
    for _time in range(2):
        assert "2 sessions continue" in relay.reload()
        thread = sent_beside(source, MEGABYTE * 3, end=False)
        assert exactly(sink, 3 << 20) == MEGABYTE * 3
        thread.join()
    other.sendall(b"unread")
    assert its_sink.recv(1, socket.MSG_PEEK)
    its_sink.close()
    assert is_reset(other)
    sink.shutdown(socket.SHUT_WR)
    assert to_the_end(source) == b""
    sent_beside(source, MEGABYTE * 2)
    assert to_the_end(sink) == MEGABYTE * 2
    relay.logged("both sides closed")
    assert relay.stop() == 0
    assert sorted(os.listdir(short_path)) == ["t"]


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_an_end_one_way_leaves_the_other_way_open(pair, wait):
    _relay, source, sink = pair(*wait)
    source.sendall(b"a question")
    source.shutdown(socket.SHUT_WR)
    assert to_the_end(sink) == b"a question"
    sent_beside(sink, MEGABYTE)
    assert to_the_end(source) == MEGABYTE


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_an_end_back_leaves_the_way_forth_open(pair, wait):
    _relay, source, sink = pair(*wait)
    sent_beside(sink, MEGABYTE)
    assert to_the_end(source) == MEGABYTE
    sent_beside(source, MEGABYTE)
    assert to_the_end(sink) == MEGABYTE


@pytest.mark.parametrize("half_closed", [False, True], ids=["open", "half-closed"])
@pytest.mark.parametrize("by", ["source", "target"])
def test_a_reset_is_passed_on(pair, until, by, half_closed):
    relay, *ends = pair()
    answered(*ends)
    first, second = ends if by == "source" else ends[::-1]
    if half_closed:
        first.shutdown(socket.SHUT_WR)
        assert second.recv(1) == b""
    reset(first)
    if half_closed:
        until(lambda: second.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    else:
        assert is_reset(second)
    relay.logged("reset by peer|Broken pipe")


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_a_reset_that_crosses_bytes_is_no_end(pair, wait):
    relay, source, sink = pair(*wait)
    answered(source, sink)
    relay.signal(signal.SIGSTOP)
    source.sendall(b"too late")
    source.shutdown(socket.SHUT_WR)
    sink.sendall(b"bye")
    reset(sink)
    relay.signal(signal.SIGCONT)
    assert exactly(source, 3) == b"bye"
    assert is_reset(source)


def test_a_reader_that_pauses_stalls_nobody_and_loses_nothing(pair):
    relay, source, sink = pair()
    answered(source, sink)
    sent = fill(source)
    _relay, *others = pair(relay=relay)
    before = time.monotonic()
    for _turn in range(200):
        answered(*others)
    assert time.monotonic() - before < 2
    source.shutdown(socket.SHUT_WR)
    assert to_the_end(sink) == sent


def test_an_error_of_its_own_ends_one_connection_alone(pair, tmp_path):
    faulty = tmp_path / "faulty"
    line = "        self.active = self.relay.loop.now\n        try:\n"
    fault = line.replace("try:", "if self.up.count == 666:\n            raise ZeroDivisionError('x')\n        try:")
    assert PROGRAM.read_text().count(line) == 1
    faulty.write_text(PROGRAM.read_text().replace(line, fault))
    relay, source, sink = pair(program=faulty)
    _relay, other, its_sink = pair(relay=relay)
    source.sendall(bytes(666))
    exactly(sink, 666)
    source.sendall(b"more")
    assert is_reset(source) and is_reset(sink)
    answered(other, its_sink)
    relay.logged(r"internal error in line \d+, ZeroDivisionError: x")
    assert "Traceback" not in relay.log


def test_both_ways_at_once(pair):
    _relay, source, sink = pair()
    threads = [sent_beside(source, MEGABYTE * 8), sent_beside(sink, MEGABYTE[::-1] * 8)]
    got = []
    reader = threading.Thread(target=lambda: got.append(to_the_end(sink)), daemon=True)
    reader.start()
    assert to_the_end(source) == MEGABYTE[::-1] * 8
    for thread in [*threads, reader]:
        thread.join(15)
    assert got == [MEGABYTE * 8]


class Canned:
    """A socket that gives certain pieces, and then ends."""

    def __init__(self, *pieces):
        self.pieces, self.ended = list(pieces), False

    def recv_into(self, buffer):
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[:len(piece)] = piece
        return len(piece)

    def send(self, content):
        return len(content)

    def shutdown(self, _how):
        self.ended = True


@pytest.mark.parametrize("count", range(12))
def test_an_end_is_passed_on_whenever_it_comes(monkeypatch, count):
    flow = module().Flow(Canned(*[bytes(module().BUFFER)] * count), Canned())
    monkeypatch.setattr(flow.pipes, "take", lambda: None)
    for _turn in range(3):
        flow.pump()
        if flow.eof:
            break
    assert flow.dst.ended


# ---- a target that is not there ----


def test_without_waiting_a_refusal_comes_at_once(start):
    target = Target()
    relay = start("--to", target.text, "--no-wait")
    before = time.monotonic()
    assert relay.refuses()
    assert time.monotonic() - before < 0.5
    assert "Connection refused" in relay.log


@pytest.mark.parametrize("kind", ["tcp", "unix", "stale unix"])
def test_a_target_that_listens_later_gets_what_was_sent_meanwhile(start, short_path, until, kind):
    path = short_path / "t" if "unix" in kind else None
    if "stale" in kind:
        Target(path, backlog=1).close()
    target = Target(path)
    relay = start("--to", target.text, "--status", short_path / "s")
    source = relay.connect()
    source.sendall(b"first ")
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["waiting"])
    source.sendall(b"second")
    if "stale" in kind:
        path.unlink()
    sink = target.listen().accept()
    assert exactly(sink, 12) == b"first second"
    answered(source, sink)


@pytest.mark.parametrize("how, reads", [
    (socket.socket.close, True), (reset, False), pytest.param(socket.socket.close, False, marks=pytest.mark.torture),
    pytest.param(reset, True, marks=pytest.mark.torture)])
def test_a_target_that_accepts_and_closes_without_a_word_is_tried_again(start, target, how, reads):
    relay = start("--to", target.text)
    source = relay.connect()
    sent = b""
    for turn in range(3):
        source.sendall(b"%d" % turn)
        sent += b"%d" % turn
        sink = target.accept()
        if reads:
            assert exactly(sink, len(sent)) == sent
        how(sink)
    sink = target.accept()
    assert exactly(sink, 3) == sent
    answered(source, sink)


def test_the_end_of_a_source_is_sent_again_too(start, target):
    source = start("--to", target.text).connect()
    source.sendall(b"all")
    source.shutdown(socket.SHUT_WR)
    reset(target.accept())
    sink = target.accept()
    assert to_the_end(sink) == b"all"
    sink.sendall(b"answer")
    sink.close()
    assert to_the_end(source) == b"answer"


def test_waiting_has_a_deadline(start):
    relay = start("--to", Target().text, "--wait", "1")
    before = time.monotonic()
    assert relay.refuses()
    assert 0.9 < time.monotonic() - before < 2.5
    assert relay.logged("refused: .*Connection refused, for 1 s")


def test_what_a_target_took_to_the_end_is_not_sent_again(start, target):
    relay = start("--to", target.text)
    source = relay.connect()
    source.sendall(b"done")
    source.shutdown(socket.SHUT_WR)
    sink = target.accept()
    assert to_the_end(sink) == b"done"
    sink.close()
    assert to_the_end(source) == b""
    relay.logged("4 bytes up, 0 down.*both sides closed")
    assert target.nobody_came()


def test_what_a_target_said_before_it_broke_off_is_passed_on(start, target):
    relay = start("--to", target.text)
    source = relay.connect()
    source.sendall(b"one")
    sink = target.accept()
    relay.signal(signal.SIGSTOP)
    source.sendall(b"two")
    sink.sendall(b"busy")
    sink.close()
    relay.signal(signal.SIGCONT)
    assert exactly(source, 4) == b"busy"
    relay.logged("down, .* s: ")


def test_much_that_was_sent_is_not_kept(pair):
    relay, source, sink = pair()
    source.sendall(MEGABYTE[:200000])
    assert exactly(sink, 200000) == MEGABYTE[:200000]
    sink.close()
    assert source.recv(1) == b""
    source.close()
    relay.logged("200000 bytes up")


@pytest.mark.parametrize("how", [socket.socket.close, reset], ids=["end", "reset"])
def test_a_source_that_left_before_it_said_anything_is_not_led_to_the_target(start, how):
    target = Target()
    relay = start("--to", target.text)
    how(relay.connect())
    relay.logged("the source closed before the target was connected")
    source = relay.connect()
    source.sendall(b"alive")
    sink = target.listen().accept()
    assert exactly(sink, 5) == b"alive"


def test_one_who_connected_to_himself_is_recognized():
    with socket.socket() as sock, Target(backlog=1).sock as other:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert module().is_self_connection(sock, sock.getsockname()[1])
        with socket.create_connection(other.getsockname()) as honest:
            assert not module().is_self_connection(honest, other.getsockname()[1])


def test_an_attempt_to_connect_has_a_deadline(start):
    target = Target(backlog=0)
    fillers = []
    for _one in range(4):
        fillers.append(socket.socket())
        fillers[-1].setblocking(False)
        fillers[-1].connect_ex(("127.0.0.1", target.port))
    relay = start("--to", target.text, "--no-wait", "--connect-timeout", "1")
    before = time.monotonic()
    assert relay.refuses()
    assert 0.9 < time.monotonic() - before < 2.5
    relay.logged("did not answer within 1 s")


def test_a_unix_socket_whose_queue_is_full_is_tried_again(start, short_path, until):
    target = Target(short_path / "t", backlog=0)
    fillers = []
    while True:
        fillers.append(socket.socket(socket.AF_UNIX))
        fillers[-1].setblocking(False)
        if fillers[-1].connect_ex(str(short_path / "t")):
            break
    relay = start("--to", target.text, "--no-wait", "--status", short_path / "s")
    source = relay.connect()
    source.sendall(b"hello")
    until(lambda: [one["why"] for one in relay.status()["sessions"] if one["state"] == "waiting"])
    for _one in fillers[1:]:
        target.accept()
    assert exactly(target.accept(), 5) == b"hello"


def test_of_several_targets_each_has_its_turn(start):
    targets = [Target(backlog=4), Target(backlog=4)]
    relay = start("--to", " ".join(target.text for target in targets))
    for _time in range(2):
        for target in targets[::-1]:
            source = relay.connect()
            answered(source, target.accept())


def test_a_host_name_is_looked_up(start, target):
    relay = start("--to", "localhost:{0}".format(target.port))
    answered(relay.connect(), target.accept())
    relay = start("--to", "no-such-host.invalid:1", "--no-wait")
    assert relay.refuses()
    relay.logged("host no-such-host.invalid has no address")


def test_a_session_without_a_word_ends_where_a_limit_is_set(pair):
    relay, source, sink = pair("--idle-timeout", "1")
    before = time.monotonic()
    while time.monotonic() - before < 1.1:
        answered(source, sink)
        time.sleep(0.1)
    assert is_reset(source)
    assert is_reset(sink)
    relay.logged("it was idle for 1 s")


# ---- who is let through ----


def test_a_source_that_is_not_on_the_list_is_refused_with_a_reset(start, target):
    relay = start("--to", target.text, "--allow", "127.0.0.2,127.1.0.0/16")
    assert relay.refuses()
    for source in ("127.0.0.2", "127.1.2.3"):
        answered(relay.connect(source=source), target.accept())
    assert relay.logged(r"127.0.0.1:\d+ -> 127.0.0.1:\d+ refused: this source is not allowed")


@pytest.mark.parametrize("listen, to", [("[::1]:0", "127.0.0.1"), ("127.0.0.1:0", "::1"), ("[::]:0", "::1")])
def test_both_kinds_of_addresses(start, listen, to):
    target = Target(host=to, backlog=4)
    relay = start("--listen", listen, "--to", target.text, "--allow", "::1,127.0.0.1")
    answered(relay.connect(), target.accept())


def test_an_old_address_that_came_over_the_new_protocol_is_what_it_is(start, target):
    relay = start("--listen", "[::]:0", "--to", target.text, "--allow", "127.0.0.3")
    relay.address = "127.0.0.1"
    answered(relay.connect(source="127.0.0.3"), target.accept())
    assert relay.refuses(source="127.0.0.4")
    relay.logged(r"127.0.0.4:\d+ -> .* refused")
    relay.address = "::1"
    assert relay.refuses()


def test_a_source_is_held_until_a_file_allows_it(start, target, tmp_path):
    allowed = tmp_path / "nodes"
    relay = start("--to", target.text, "--allow-file", allowed)
    source = relay.connect()
    source.sendall(b"early")
    allowed.write_text("# nodes\n10.0.0.1\n127.0.0.0/28 # and this one\n")
    assert exactly(target.accept(), 5) == b"early"


def test_a_file_of_sources_is_read_anew(start, target, tmp_path):
    allowed = tmp_path / "nodes"
    relay = start("--to", target.text, "--allow-file", allowed, "--hold", "off")
    for text, through in [(None, False), ("127.0.0.1\n", True), ("127.0.0.2\n", False), ("127.0.0.1", False), ("127.0.0.1\n", True), ("nonsense\n", False)]:
        if text:
            allowed.write_text(text)
        if through:
            answered(relay.connect(), target.accept())
        else:
            assert relay.refuses()
    relay.logged(r"not allowed \({0}: line 1: 'nonsense' is not an address".format(allowed))


def test_a_line_that_is_still_being_written_does_not_count(start, target, tmp_path, short_path, until):
    allowed = tmp_path / "nodes"
    allowed.write_text("10.0.0.1\n127.0.0.1")
    relay = start("--to", target.text, "--allow-file", allowed, "--status", short_path / "s")
    source = relay.connect()
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["held"])
    with allowed.open("a") as stream:
        stream.write("28\n")
    assert until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["held"])
    with allowed.open("a") as stream:
        stream.write("127.0.0.1\n")
    answered(source, target.accept())


@pytest.mark.torture
def test_a_source_is_not_held_for_ever(start, tmp_path):
    relay = start("--to", "127.0.0.1:9", "--allow-file", tmp_path / "nodes", "--hold", "1")
    before = time.monotonic()
    assert relay.refuses()
    assert 0.9 < time.monotonic() - before < 2.5


def test_a_crowd_that_is_held_leaves_room_for_others(start, target, tmp_path, short_path, until):
    allowed = tmp_path / "nodes"
    relay = start("--to", target.text, "--allow-file", allowed, "--hold", "600", "--status", short_path / "s")
    crowd = [relay.connect(source="127.0.0.66") for _one in range(60)]
    until(lambda: relay.status()["routes"][0]["refused"].get("source", 0) > 20)
    source = relay.connect(source="127.0.0.5")
    allowed.write_text("127.0.0.5\n")
    answered(source, target.accept())
    del crowd


def test_a_list_that_is_no_file_stops_nothing(start, target, tmp_path):
    os.mkfifo(str(tmp_path / "nodes"))
    relay = start("--to", target.text, "--allow", "127.0.0.1", "--allow-file", tmp_path / "nodes", "--hold", "off")
    assert relay.refuses(source="127.0.0.2")
    answered(relay.connect(), target.accept())


def test_a_route_takes_so_many_sessions_and_no_more(start, target):
    relay = start("--to", target.text, "--max-sessions", "2")
    ends = [(relay.connect(), target.accept()) for _one in range(2)]
    assert relay.refuses()
    ends[0][0].close()
    ends[0][1].close()
    relay.logged("both sides closed|closed before")
    answered(relay.connect(), target.accept())
    answered(*ends[1])
    relay.logged("refused: there are too many sessions\n")


def test_a_source_has_so_many_sessions_and_no_more(start, target):
    relay = start("--to", target.text, "--max-sessions-per-source", "2")
    ends = [(relay.connect(), target.accept()) for _one in range(2)]
    assert relay.refuses()
    answered(relay.connect(source="127.0.0.2"), target.accept())
    answered(*ends[0])
    relay.logged("too many sessions from this source")


def test_connections_that_still_wait_count(start):
    relay = start("--to", Target().text, "--max-sessions", "3")
    waiting = [relay.connect() for _one in range(3)]
    assert relay.refuses()
    del waiting


@contextlib.contextmanager
def being(uid):
    """Sockets that are made meanwhile belong to somebody else."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def somebody(uid, **options):
    with being(uid):
        return Target(backlog=8, **options)


@as_root
@pytest.mark.parametrize("owner, through", [("required", True), (OTHER, True), ("root {0}".format(OTHER), True), (ANOTHER, False), ("root", False)])
def test_a_port_is_led_to_if_it_belongs_to_the_right_user(start, owner, through):
    other = somebody(OTHER)
    relay = start("--to", other.text, "--owner", owner)
    source = relay.connect()
    if through:
        sink = other.accept()
        answered(source, sink)
        reset(sink)
        relay.logged("owner {0}:".format(OTHER))
    else:
        assert is_reset(source)
        relay.logged("belongs to {0}, which this route does not allow".format(OTHER))
        assert other.nobody_came()


@as_root
@pytest.mark.parametrize("owner, through", [("required", True), (OTHER, True), ("root {0}".format(OTHER), True), (ANOTHER, False), ("root", False)])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_connection_of_this_host_is_let_in_by_who_made_it(start, target, address, owner, through):
    relay = start("--to", target.text, "--listen", "[::1]:0" if ":" in address else "127.0.0.1:0", "--allow", "127.0.0.0/8,::1", "--source-owner", owner)
    with being(OTHER):
        source = relay.connect()
    if through:
        answered(source, target.accept())
    else:
        assert is_reset(source)
        relay.logged("refused: it belongs to an account that this route does not serve")
        assert target.nobody_came()


def test_a_connection_from_elsewhere_belongs_to_nobody_who_is_known():
    with socket.socket() as listener, socket.socket() as source:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        source.connect(listener.getsockname())
        sock = listener.accept()[0]
        assert module().connection_owner(sock.getpeername(), sock.getsockname()) == os.getuid()
        assert module().connection_owner(("192.0.2.1", 1), sock.getsockname()) is None
        sock.close()


@as_root
def test_an_ordinary_user_is_required_behind_a_range_of_ports(start, target):
    other = somebody(OTHER)
    relay = start("--listen", "127.0.0.2:{0},127.0.0.2:{1}".format(other.port, target.port), "--to", "127.0.0.1:same")
    answered(relay.connect(other.port), other.accept())
    assert relay.refuses(target.port)
    relay.logged("belongs to root, which this route does not allow")
    assert target.nobody_came()


@as_root
def test_a_unix_socket_is_led_to_if_its_listener_is_its_owner(start, short_path):
    short_path.chmod(0o777)
    other = somebody(OTHER, path=short_path / "t")
    relay = start("--to", other.text, "--owner", OTHER, "--no-wait")
    answered(relay.connect(), other.accept())
    os.chown(str(short_path / "t"), ANOTHER, ANOTHER)
    assert relay.refuses()
    relay.logged("belongs to {0}, which".format(ANOTHER))
    relay = start("--to", other.text, "--owner", ANOTHER, "--no-wait")
    assert relay.refuses()
    relay.logged("another process listens on .* now")
    assert other.accept().recv(1) == b""


@pytest.mark.parametrize("ask", ["listening", "listening_in_proc"])
@pytest.mark.parametrize("on, dialled, only_new", [
    ("127.0.0.1", "127.0.0.1", 0), ("0.0.0.0", "127.0.0.1", 0), ("::1", "::1", 0), ("::", "::1", 1), ("::", "127.0.0.1", 0),
    ("::ffff:127.0.0.1", "127.0.0.1", 0), ("127.0.0.2", None, 0), ("::1", None, 0)])
def test_who_listens_is_known_from_the_kernel(ask, on, dialled, only_new):
    with socket.socket(socket.AF_INET6 if ":" in on else socket.AF_INET) as sock:
        if ":" in on:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_new)
        sock.bind((on, 0))
        arguments = (dialled or "127.0.0.1", sock.getsockname()[1])
        if ask == "listening_in_proc":
            arguments = (module().unmapped(arguments[0]), arguments[1])
        assert getattr(module(), ask)(*arguments) is None
        sock.listen(1)
        expected = (os.geteuid(), os.fstat(sock.fileno()).st_ino) if dialled else None
        assert getattr(module(), ask)(*arguments) == expected


# ---- a program that decides ----


@pytest.fixture(name="authorize")
def _authorize(program, tmp_path):
    def write(text):
        return program("authorize", "#!/bin/sh\necho \"$@\" >> {0}/asked\n{1}\n".format(tmp_path, text))
    write.asked = tmp_path / "asked"
    return write


def test_a_program_may_allow_and_is_asked_once(start, target, authorize):
    relay = start("--to", target.text, "--authorize", authorize("exit 0") + " --strict")
    for _time in range(3):
        source = relay.connect()
        answered(source, target.accept())
    said = authorize.asked.read_text().split("\n")
    assert len(said) == 2
    flag, owner, address, port, here = said[0].split()
    assert (flag, owner, address, here) == ("--strict", module().user_name(os.geteuid()), "127.0.0.1", str(relay.port))
    assert 0 < int(port) < 65536


@pytest.mark.parametrize("text, why", [
    ("exit 1", "this source is not authorized for"), ("echo broken; exit 3", "ended with 3: broken"), ("kill -9 $$", "ended with -9"),
    ("exec sleep 100", "took too long"),
])
def test_all_but_a_yes_is_a_no(start, target, authorize, text, why):
    relay = start("--to", target.text, "--authorize", authorize(text), "--authorize-timeout", "1", "--hold", "off")
    before = time.monotonic()
    assert relay.refuses()
    assert time.monotonic() - before < 3
    assert relay.logged(why)
    assert relay.logged("this source is not authorized for")
    assert target.nobody_came()


def test_a_program_that_cannot_be_run_is_a_no(start, target):
    relay = start("--to", target.text, "--authorize", "/nonexistent", "--hold", "off")
    assert relay.refuses()
    relay.logged("/nonexistent failed: .*No such file")


@pytest.mark.torture
def test_a_source_is_held_until_the_program_knows_it(start, target, authorize, tmp_path):
    relay = start("--to", target.text, "--authorize", authorize("[ -e {0}/job ]".format(tmp_path)))
    source = relay.connect()
    source.sendall(b"early")
    relay_asked = authorize.asked
    while not relay_asked.exists():
        time.sleep(0.01)
    (tmp_path / "job").touch()
    assert exactly(target.accept(), 5) == b"early"


def test_a_slow_answer_stalls_nobody(start, target, authorize, tmp_path):
    config = tmp_path / "relay.conf"
    ports = free_ports(2)
    other = Target(backlog=4)
    config.write_text("[route slow]\nlisten = 127.0.0.1:{0}\nto = {2}\nallow = ::/0, 0.0.0.0/0\nauthorize = {4}\n[route other]\n"
                      "listen = 127.0.0.1:{1}\nto = {3}\nallow = 0.0.0.0/0\n".format(*ports, other.text, target.text, authorize("exec sleep 100")))
    relay = start(config=config, ready=lambda: can_connect(ports[1]))
    relay.address = "127.0.0.1"
    target.accept()
    held = relay.connect(ports[0])
    while not authorize.asked.exists():
        time.sleep(0.01)
    before = time.monotonic()
    answered(relay.connect(ports[1]), target.accept())
    assert time.monotonic() - before < 1
    del held


@as_root
def test_a_port_that_changes_hands_while_it_is_asked_for_gets_nothing(start, authorize, tmp_path, until):
    honest = somebody(OTHER)
    relay = start("--to", honest.text, "--hold", "off",
                  "--authorize", authorize("[ \"$1\" = {1} ] || exit 1; touch {0}/now; while [ ! -e {0}/done ]; do sleep 0.01; done".format(tmp_path, OTHER)))
    source = relay.connect()
    source.sendall(b"secret")
    until((tmp_path / "now").exists)
    honest.close()
    thief = somebody(ANOTHER, port=honest.port)
    (tmp_path / "done").touch()
    assert is_reset(source)
    relay.logged("this source is not authorized for")
    assert thief.accept().recv(6) == b""
    assert thief.nobody_came()
    assert [line.split()[0] for line in authorize.asked.read_text().splitlines()] == [str(OTHER), str(ANOTHER)]


def can_connect(port):
    with socket.socket() as sock:
        return not sock.connect_ex(("127.0.0.1", port))


# ---- what is used up ----


def test_blocked_and_waiting_connections_cost_no_time(start, target, tmp_path, short_path, until):
    relay = start("--to", target.text, "--allow", "127.0.0.1", "--allow-file", tmp_path / "nodes", "--status", short_path / "s")
    ends = [(relay.connect(), target.accept()) for _one in range(6)]
    fill(ends[0][0])
    fill(ends[1][1])
    fill(ends[2][0])
    fill(ends[2][1])
    ends[3][0].shutdown(socket.SHUT_WR)
    ends[4][1].sendall(b"x")
    ends[4][1].shutdown(socket.SHUT_WR)
    fill(ends[5][0])
    ends[5][0].shutdown(socket.SHUT_WR)
    reset(ends[0][0])
    reset(ends[1][1])
    held = relay.connect(source="127.0.0.2")
    until(lambda: len(relay.status()["sessions"]) >= 5)
    used = relay.cpu_s()
    time.sleep(1)
    assert relay.cpu_s() - used <= 0.03
    del held


def test_many_that_wait_cost_little(start, short_path, until):
    relay = start("--to", Target().text, "--status", short_path / "s", "--listen", "127.0.0.4:0")
    waiting = [relay.connect() for _one in range(300)]
    until(lambda: len([one for one in relay.status()["sessions"] if one["age_s"] > 0.7]) == 300)
    used = relay.cpu_s()
    time.sleep(0.5)
    assert relay.cpu_s() - used < 0.15
    del waiting


def test_without_descriptors_connections_wait_and_are_served_later(start, target):
    relay = start("--to", target.text, "--wait", "2")
    first = relay.connect(), target.accept()
    answered(*first)  # and kept, so that none of the descriptors counted here becomes free
    count = relay.descriptors()
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (count, 4096))
    source = relay.connect()
    source.sendall(b"later")
    relay.logged("connections wait: Too many open files")
    used = relay.cpu_s()
    time.sleep(0.5)
    assert relay.cpu_s() - used <= 0.03
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    sink = target.accept()
    assert exactly(sink, 5) == b"later"
    answered(source, sink)


def test_few_descriptors_are_shared_out_beforehand(start, target):
    relay = start("--to", target.text, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (90, 90)))
    ends = []
    for _one in range(12):
        ends.append((relay.connect(), target.accept()))
    assert relay.refuses()
    relay.logged("too many sessions")
    threads = [sent_beside(source, MEGABYTE * 6) for source, _sink in ends] + [sent_beside(sink, MEGABYTE) for _source, sink in ends]
    assert "12 sessions continue" in relay.reload()
    for source, sink in ends:
        assert to_the_end(source) == MEGABYTE
        assert to_the_end(sink) == MEGABYTE * 6
    for thread in threads:
        thread.join(15)


AS_SOMEBODY = "import os, sys; os.setuid(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"


def may_run(uid):
    """A Python that another user may run, with the program."""
    for python in [*interpreters(), "/usr/bin/python3"]:
        if not subprocess.run([sys.executable, "-c", AS_SOMEBODY, str(uid), python, "-I", str(PROGRAM), "--version"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode:
            return python
    return None


@as_root
def test_without_pipes_bytes_are_copied(pair, tmp_path):
    python = may_run(OTHER)
    if not python:
        pytest.skip("no Python that everybody may run")
    code = "import fcntl, os, sys; os.setuid({0})\n{1}print(flush=True); sys.stdin.read()".format(
        OTHER, "try:\n    while True: fcntl.fcntl(os.pipe()[1], 1031, 1 << 20)\nexcept OSError: pass\n")
    holder = subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    relay, source, sink = pair(python=python, preexec_fn=lambda: os.setuid(OTHER))
    thread = sent_beside(source, MEGABYTE * 10)
    assert to_the_end(sink) == MEGABYTE * 10
    thread.join()
    links = [os.readlink("/proc/{0}/fd/{1}".format(relay.pid, fd)) for fd in os.listdir("/proc/{0}/fd".format(relay.pid))]
    assert sum("pipe:" in link for link in links) <= 4
    holder.communicate()


def test_a_flood_of_strangers_stops_nobody_and_fills_no_log(start, target):
    relay = start("--to", target.text, "--allow", "127.0.0.1")
    source, sink = relay.connect(), target.accept()
    for _one in range(1500):
        relay.connect(source="127.0.0.9").close()
    answered(source, sink)
    answered(relay.connect(), target.accept())
    assert relay.log.count("refused") < 200
    assert relay.descriptors() < 30


# ---- beginning and end ----


def test_it_ends_when_its_input_ends(start, target):
    relay = start("--to", target.text, "--exit-on-eof", stdin=subprocess.PIPE)
    answered(relay.connect(), target.accept())
    relay.process.stdin.write(b"what is said does not matter")
    relay.process.stdin.flush()
    pair = relay.connect(), target.accept()
    assert "continue" in relay.reload()
    answered(*pair)
    relay.process.stdin.close()
    assert relay.process.wait(5) == 0
    assert pair[0].recv(1) == b""


@pytest.mark.parametrize("mine", [True, False])
def test_the_journal_is_told_how_grave_a_line_is_and_others_are_not(start, tmp_path, monkeypatch, mine):
    with open(tmp_path / "journal", "wb") as stream:
        about = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", "{0}:{1}".format(about.st_dev, about.st_ino + (not mine)))
        relay = start("--to", "127.0.0.1:9", "--allow", "127.0.0.9", stderr=stream)
        assert relay.refuses()
    assert (tmp_path / "journal").read_text().startswith("<4>relay: 127.0.0.1:" if mine else "paraview-relay: relay: 127.0.0.1:")


def test_it_ends_in_good_order(start, target, short_path):
    relay = start("--to", target.text, "--status", short_path / "s")
    answered(relay.connect(), target.accept())
    assert stat.S_IMODE((short_path / "s").stat().st_mode) == 0o600
    assert relay.stop() == 0
    assert not (short_path / "s").exists()


def test_what_it_says_never_gets_into_a_connection(start, target, tmp_path):
    """Without standard streams their numbers must not be those of sockets."""
    port = free_ports()[0]
    relay = start("--listen", "127.0.0.1:{0}".format(port), "--to", target.text, "--allow", "127.0.0.1", stderr=None, ready=lambda: can_connect(port),
                  preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
    relay.address, relay.port = "127.0.0.1", port
    target.accept()
    source, sink = relay.connect(), target.accept()
    for _one in range(5):
        assert relay.refuses(source="127.0.0.2")
    answered(source, sink)
    source.close()
    assert to_the_end(sink) == b""
    links = {fd: os.readlink("/proc/{0}/fd/{1}".format(relay.pid, fd)) for fd in range(3)}
    assert set(links.values()) == {os.devnull}, links


def test_a_log_that_nobody_reads_stops_nothing(start, target):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    relay = start("--to", target.text, "--allow", "127.0.0.1", stderr=writer)
    for _one in range(3):
        assert relay.refuses(source="127.0.0.2")
    answered(relay.connect(), target.accept())
    os.close(reader)
    assert relay.refuses(source="127.0.0.2")
    answered(relay.connect(), target.accept())
    os.close(writer)
