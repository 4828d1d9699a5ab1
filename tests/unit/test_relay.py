# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-relay as a running program: forwarding, waiting, access control."""

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
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can use other accounts")


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
    """Starts a relay, and returns both ends of a connection through it."""
    def pair(*arguments, relay=None, **options):
        relay = relay or start("--to", target.text, *arguments, **options)
        source = relay.connect()
        return relay, source, target.accept()
    return pair


def exchange(source, sink, content=b"hello"):
    """Sends some bytes in each direction."""
    source.sendall(content)
    assert exactly(sink, len(content)) == content
    sink.sendall(content[::-1])
    assert exactly(source, len(content)) == content[::-1]


def send_in_thread(sock, content, end=True):
    """Sends in a thread, so that the other end can be read meanwhile."""
    def send():
        sock.sendall(content)
        if end:
            sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def fill(sock):
    """Sends until the connection is full, and returns the bytes that were sent."""
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
def test_every_python_forwards_bytes_fin_and_rst_and_reloads(start, short_path, python):
    target = Target(short_path / "t", backlog=8)
    relay = start("--to", target.text, "--status", short_path / "s", "--listen", "[::1]:0", "--allow", "::1", python=python)
    source, other = relay.connect(), relay.connect()
    sink, its_sink = target.accept(), target.accept()
    exchange(source, sink)
    exchange(other, its_sink)
    for _time in range(2):
        assert "2 sessions continue" in relay.reload()
        thread = send_in_thread(source, MEGABYTE * 3, end=False)
        assert exactly(sink, 3 << 20) == MEGABYTE * 3
        thread.join()
    other.sendall(b"unread")
    assert its_sink.recv(1, socket.MSG_PEEK)
    its_sink.close()
    assert is_reset(other)
    sink.shutdown(socket.SHUT_WR)
    assert to_the_end(source) == b""
    send_in_thread(source, MEGABYTE * 2)
    assert to_the_end(sink) == MEGABYTE * 2
    relay.logged("both sides closed")
    assert relay.stop() == 0
    assert sorted(os.listdir(short_path)) == ["t"]


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_a_source_that_closed_its_direction_still_receives(pair, wait):
    _relay, source, sink = pair(*wait)
    source.sendall(b"a question")
    source.shutdown(socket.SHUT_WR)
    assert to_the_end(sink) == b"a question"
    send_in_thread(sink, MEGABYTE)
    assert to_the_end(source) == MEGABYTE


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_a_target_that_closed_its_direction_still_receives(pair, wait):
    _relay, source, sink = pair(*wait)
    send_in_thread(sink, MEGABYTE)
    assert to_the_end(source) == MEGABYTE
    send_in_thread(source, MEGABYTE)
    assert to_the_end(sink) == MEGABYTE


@pytest.mark.parametrize("half_closed", [False, True], ids=["open", "half-closed"])
@pytest.mark.parametrize("by", ["source", "target"])
def test_a_reset_is_forwarded(pair, until, by, half_closed):
    relay, *ends = pair()
    exchange(*ends)
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
def test_a_reset_after_the_last_bytes_is_not_forwarded_as_fin(pair, wait):
    relay, source, sink = pair(*wait)
    exchange(source, sink)
    relay.signal(signal.SIGSTOP)
    source.sendall(b"too late")
    source.shutdown(socket.SHUT_WR)
    sink.sendall(b"bye")
    reset(sink)
    relay.signal(signal.SIGCONT)
    assert exactly(source, 3) == b"bye"
    assert is_reset(source)


def test_a_paused_reader_stalls_no_other_session_and_loses_no_bytes(pair):
    relay, source, sink = pair()
    exchange(source, sink)
    sent = fill(source)
    _relay, *others = pair(relay=relay)
    before = time.monotonic()
    for _turn in range(200):
        exchange(*others)
    assert time.monotonic() - before < 2
    source.shutdown(socket.SHUT_WR)
    assert to_the_end(sink) == sent


def test_an_internal_error_ends_only_one_connection(pair, tmp_path):
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
    exchange(other, its_sink)
    relay.logged(r"internal error in line \d+, ZeroDivisionError: x")
    assert "Traceback" not in relay.log


def test_both_directions_simultaneously(pair):
    _relay, source, sink = pair()
    threads = [send_in_thread(source, MEGABYTE * 8), send_in_thread(sink, MEGABYTE[::-1] * 8)]
    got = []
    reader = threading.Thread(target=lambda: got.append(to_the_end(sink)), daemon=True)
    reader.start()
    assert to_the_end(source) == MEGABYTE[::-1] * 8
    for thread in [*threads, reader]:
        thread.join(15)
    assert got == [MEGABYTE * 8]


class FakeSocket:
    """A socket that returns given pieces, and then EOF."""

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
def test_fin_is_forwarded_after_any_number_of_reads(monkeypatch, count):
    flow = module().Flow(FakeSocket(*[bytes(module().BUFFER)] * count), FakeSocket())
    monkeypatch.setattr(flow.pipes, "take", lambda: None)
    for _turn in range(3):
        flow.pump()
        if flow.eof:
            break
    assert flow.dst.ended


# ---- a target that does not listen ----


def test_without_waiting_a_source_is_refused_immediately(start):
    target = Target()
    relay = start("--to", target.text, "--no-wait")
    before = time.monotonic()
    assert relay.refuses()
    assert time.monotonic() - before < 0.5
    assert "Connection refused" in relay.log


@pytest.mark.parametrize("kind", ["tcp", "unix", "stale unix"])
def test_a_target_that_listens_later_receives_bytes_sent_before(start, short_path, until, kind):
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
    exchange(source, sink)


@pytest.mark.parametrize("how, reads", [
    (socket.socket.close, True), (reset, False), pytest.param(socket.socket.close, False, marks=pytest.mark.torture),
    pytest.param(reset, True, marks=pytest.mark.torture)])
def test_a_target_that_closes_before_it_sends_a_byte_is_tried_again(start, target, how, reads):
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
    exchange(source, sink)


def test_a_source_that_has_closed_does_not_wait_for_the_next_attempt(start, target):
    relay = start("--to", target.text)
    source = relay.connect()
    source.sendall(b"all")
    source.shutdown(socket.SHUT_WR)
    reset(target.accept())
    assert is_reset(source)
    relay.logged("the source closed before the target was connected")
    assert target.nobody_came()


def test_waiting_has_a_time_limit(start):
    relay = start("--to", Target().text, "--wait", "1")
    before = time.monotonic()
    assert relay.refuses()
    assert 0.9 < time.monotonic() - before < 2.5
    assert relay.logged("refused: .*Connection refused, for 1 s")


def test_bytes_that_a_target_read_to_the_end_are_not_sent_again(start, target):
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


def test_bytes_that_a_target_sent_before_a_reset_are_forwarded(start, target):
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


def test_more_bytes_than_the_replay_limit_are_not_sent_again(pair):
    relay, source, sink = pair()
    source.sendall(MEGABYTE[:200000])
    assert exactly(sink, 200000) == MEGABYTE[:200000]
    sink.close()
    assert source.recv(1) == b""
    source.close()
    relay.logged("200000 bytes up")


@pytest.mark.parametrize("how", [socket.socket.close, reset], ids=["end", "reset"])
def test_a_source_that_closed_before_it_sent_a_byte_is_not_connected_to_the_target(start, how):
    target = Target()
    relay = start("--to", target.text)
    how(relay.connect())
    relay.logged("the source closed before the target was connected")
    source = relay.connect()
    source.sendall(b"alive")
    sink = target.listen().accept()
    assert exactly(sink, 5) == b"alive"


def test_a_socket_that_connected_to_itself_is_recognized():
    with socket.socket() as sock, Target(backlog=1).sock as other:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert module().is_self_connection(sock, sock.getsockname()[1])
        with socket.create_connection(other.getsockname()) as normal:
            assert not module().is_self_connection(normal, other.getsockname()[1])


def test_an_attempt_to_connect_has_a_time_limit(start):
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


def test_several_targets_take_turns(start):
    targets = [Target(backlog=4), Target(backlog=4)]
    relay = start("--to", " ".join(target.text for target in targets))
    for _time in range(2):
        for target in targets[::-1]:
            source = relay.connect()
            exchange(source, target.accept())


def test_a_host_name_is_resolved(start, target):
    relay = start("--to", "localhost:{0}".format(target.port))
    exchange(relay.connect(), target.accept())
    relay = start("--to", "no-such-host.invalid:1", "--no-wait")
    assert relay.refuses()
    relay.logged("host no-such-host.invalid has no address")


def test_an_idle_session_ends_if_a_limit_is_set(pair):
    relay, source, sink = pair("--idle-timeout", "1")
    before = time.monotonic()
    while time.monotonic() - before < 1.1:
        exchange(source, sink)
        time.sleep(0.1)
    assert is_reset(source)
    assert is_reset(sink)
    relay.logged("it was idle for 1 s")


# ---- access control ----


def test_a_source_that_is_not_allowed_is_refused_with_a_reset(start, target):
    relay = start("--to", target.text, "--allow", "127.0.0.2,127.1.0.0/16")
    assert relay.refuses()
    for source in ("127.0.0.2", "127.1.2.3"):
        exchange(relay.connect(source=source), target.accept())
    assert relay.logged(r"127.0.0.1:\d+ -> 127.0.0.1:\d+ refused: this source is not allowed")


@pytest.mark.parametrize("listen, to", [("[::1]:0", "127.0.0.1"), ("127.0.0.1:0", "::1"), ("[::]:0", "::1")])
def test_ipv4_and_ipv6(start, listen, to):
    target = Target(host=to, backlog=4)
    relay = start("--listen", listen, "--to", target.text, "--allow", "::1,127.0.0.1")
    exchange(relay.connect(), target.accept())


def test_an_ipv4_mapped_address_is_treated_as_ipv4(start, target):
    relay = start("--listen", "[::]:0", "--to", target.text, "--allow", "127.0.0.3")
    relay.address = "127.0.0.1"
    exchange(relay.connect(source="127.0.0.3"), target.accept())
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


def test_a_changed_allow_file_is_read_again(start, target, tmp_path):
    allowed = tmp_path / "nodes"
    relay = start("--to", target.text, "--allow-file", allowed, "--hold", "off")
    for text, allowed_now in [(None, False), ("127.0.0.1\n", True), ("127.0.0.2\n", False), ("127.0.0.1", False), ("127.0.0.1\n", True), ("nonsense\n", False)]:
        if text:
            allowed.write_text(text)
        if allowed_now:
            exchange(relay.connect(), target.accept())
        else:
            assert relay.refuses()
    relay.logged(r"not allowed \({0}: line 1: 'nonsense' is not an address".format(allowed))


def test_an_incomplete_line_of_the_allow_file_is_ignored(start, target, tmp_path, short_path, until):
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
    exchange(source, target.accept())


@pytest.mark.torture
def test_holding_has_a_time_limit(start, tmp_path):
    relay = start("--to", "127.0.0.1:9", "--allow-file", tmp_path / "nodes", "--hold", "1")
    before = time.monotonic()
    assert relay.refuses()
    assert 0.9 < time.monotonic() - before < 2.5


def test_many_held_connections_of_one_source_do_not_block_others(start, target, tmp_path, short_path, until):
    allowed = tmp_path / "nodes"
    relay = start("--to", target.text, "--allow-file", allowed, "--hold", "600", "--status", short_path / "s")
    crowd = [relay.connect(source="127.0.0.66") for _one in range(60)]
    until(lambda: relay.status()["routes"][0]["refused"].get("source", 0) > 20)
    source = relay.connect(source="127.0.0.5")
    allowed.write_text("127.0.0.5\n")
    exchange(source, target.accept())
    del crowd


def test_an_allow_file_that_is_a_fifo_does_not_block_the_relay(start, target, tmp_path):
    os.mkfifo(str(tmp_path / "nodes"))
    relay = start("--to", target.text, "--allow", "127.0.0.1", "--allow-file", tmp_path / "nodes", "--hold", "off")
    assert relay.refuses(source="127.0.0.2")
    exchange(relay.connect(), target.accept())


def test_the_sessions_of_a_route_are_limited(start, target):
    relay = start("--to", target.text, "--max-sessions", "2")
    ends = [(relay.connect(), target.accept()) for _one in range(2)]
    assert relay.refuses()
    ends[0][0].close()
    ends[0][1].close()
    relay.logged("both sides closed|closed before")
    exchange(relay.connect(), target.accept())
    exchange(*ends[1])
    relay.logged("refused: there are too many sessions\n")


def test_the_sessions_of_a_source_are_limited(start, target):
    relay = start("--to", target.text, "--max-sessions-per-source", "2")
    ends = [(relay.connect(), target.accept()) for _one in range(2)]
    assert relay.refuses()
    exchange(relay.connect(source="127.0.0.2"), target.accept())
    exchange(*ends[0])
    relay.logged("too many sessions from this source")


def test_waiting_connections_count_as_sessions(start):
    relay = start("--to", Target().text, "--max-sessions", "3")
    waiting = [relay.connect(source="127.0.0.{0}".format(one)) for one in range(5, 8)]
    assert relay.refuses()
    relay.logged("refused: too many connections wait for this port\n")
    del waiting


@contextlib.contextmanager
def as_account(uid):
    """Sockets that are made in this context belong to another account."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def target_of(uid, **options):
    with as_account(uid):
        return Target(backlog=8, **options)


@as_root
@pytest.mark.parametrize("owner, allowed", [("required", True), (OTHER, True), ("root {0}".format(OTHER), True), (ANOTHER, False), ("root", False)])
def test_the_owner_of_a_target_port_decides(start, owner, allowed):
    other = target_of(OTHER)
    relay = start("--to", other.text, "--owner", owner)
    source = relay.connect()
    if allowed:
        sink = other.accept()
        exchange(source, sink)
        reset(sink)
        relay.logged("owner {0}:".format(OTHER))
    else:
        assert is_reset(source)
        relay.logged("belongs to {0}, which this route does not allow".format(OTHER))
        assert other.nobody_came()


@as_root
@pytest.mark.parametrize("owner, allowed", [("required", True), (OTHER, True), ("root {0}".format(OTHER), True), (ANOTHER, False), ("root", False)])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_owner_of_a_local_connection_decides(start, target, address, owner, allowed):
    relay = start("--to", target.text, "--listen", "[::1]:0" if ":" in address else "127.0.0.1:0", "--allow", "127.0.0.0/8,::1", "--source-owner", owner)
    with as_account(OTHER):
        source = relay.connect()
    if allowed:
        exchange(source, target.accept())
    else:
        assert is_reset(source)
        relay.logged("refused: it belongs to an account that this route does not serve")
        assert target.nobody_came()


def test_a_connection_from_another_host_has_no_owner():
    with socket.socket() as listener, socket.socket() as source:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        source.connect(listener.getsockname())
        sock = listener.accept()[0]
        assert module().connection_owner(sock.getpeername(), sock.getsockname()) == os.getuid()
        assert module().connection_owner(("192.0.2.1", 1), sock.getsockname()) is None
        sock.close()


@as_root
def test_a_range_of_ports_requires_targets_of_ordinary_users(start, target):
    other = target_of(OTHER)
    relay = start("--listen", "127.0.0.2:{0},127.0.0.2:{1}".format(other.port, target.port), "--to", "127.0.0.1:same")
    exchange(relay.connect(other.port), other.accept())
    assert relay.refuses(target.port)
    relay.logged("belongs to root, which this route does not allow")
    assert target.nobody_came()


@as_root
def test_the_owner_of_a_unix_socket_has_to_be_its_listener(start, short_path):
    short_path.chmod(0o777)
    other = target_of(OTHER, path=short_path / "t")
    relay = start("--to", other.text, "--owner", OTHER, "--no-wait")
    exchange(relay.connect(), other.accept())
    os.chown(str(short_path / "t"), ANOTHER, ANOTHER)
    assert relay.refuses()
    relay.logged("belongs to {0}, which".format(ANOTHER))
    relay = start("--to", other.text, "--owner", ANOTHER, "--no-wait")
    assert relay.refuses()
    relay.logged("another process listens on .* now")
    assert other.accept().recv(1) == b""


@pytest.mark.parametrize("function", ["listening", "listening_in_proc"])
@pytest.mark.parametrize("on, dialled, only_new", [
    ("127.0.0.1", "127.0.0.1", 0), ("0.0.0.0", "127.0.0.1", 0), ("::1", "::1", 0), ("::", "::1", 1), ("::", "127.0.0.1", 0),
    ("::ffff:127.0.0.1", "127.0.0.1", 0), ("127.0.0.2", None, 0), ("::1", None, 0)])
def test_the_owner_of_a_listener(function, on, dialled, only_new):
    with socket.socket(socket.AF_INET6 if ":" in on else socket.AF_INET) as sock:
        if ":" in on:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_new)
        sock.bind((on, 0))
        arguments = (dialled or "127.0.0.1", sock.getsockname()[1])
        if function == "listening_in_proc":
            arguments = (module().unmapped(arguments[0]), arguments[1])
        assert getattr(module(), function)(*arguments) is None
        sock.listen(1)
        expected = (os.geteuid(), os.fstat(sock.fileno()).st_ino) if dialled else None
        assert getattr(module(), function)(*arguments) == expected


# ---- authorize ----


@pytest.fixture(name="authorize")
def _authorize(program, tmp_path):
    def write(text):
        return program("authorize", "#!/bin/sh\necho \"$@\" >> {0}/queries\n{1}\n".format(tmp_path, text))
    write.queries = tmp_path / "queries"
    return write


def test_a_program_may_allow_and_is_run_once_for_each_connection(start, target, authorize):
    relay = start("--to", target.text, "--authorize", authorize("exit 0") + " --strict")
    sources = []
    for _time in range(3):
        sources.append(relay.connect())
        reset(target.accept())
        exchange(sources[-1], target.accept())
    lines = authorize.queries.read_text().splitlines()
    assert len(lines) == 3, "further attempts of a connection need no further answer"
    for line, source in zip(lines, sources):
        assert line.split() == ["--strict", module().user_name(os.geteuid()), "127.0.0.1", str(source.getsockname()[1]), str(relay.port)]


@pytest.mark.parametrize("text, why", [
    ("exit 1", "this source is not authorized for"), ("echo broken; exit 3", "ended with 3: broken"), ("kill -9 $$", "ended with -9"),
    ("exec sleep 100", "took too long"),
])
def test_only_exit_status_0_allows(start, target, authorize, text, why):
    relay = start("--to", target.text, "--authorize", authorize(text), "--authorize-timeout", "1", "--hold", "off")
    before = time.monotonic()
    assert relay.refuses()
    assert time.monotonic() - before < 3
    assert relay.logged(why)
    assert relay.logged("this source is not authorized for")
    assert target.nobody_came()


def test_a_program_that_cannot_be_run_does_not_allow(start, target):
    relay = start("--to", target.text, "--authorize", "/nonexistent", "--hold", "off")
    assert relay.refuses()
    relay.logged("/nonexistent failed: .*No such file")


@pytest.mark.torture
def test_why_there_is_no_answer_is_logged_once_and_cleaned(start, target, authorize):
    """The program's words are data: no control characters, no text that runs backwards, no second line."""
    relay = start("--to", target.text, "--hold", "6", "--authorize", authorize(
        "printf 'no server\\nsite: 1.2.3.4 allowed \\033[2J\\342\\200\\256\\000end' >&2; exit 2"))
    source = relay.connect()
    assert relay.logged(r"this source is not authorized for \S+: authorize gave no answer")
    assert is_reset(source)
    assert len(authorize.queries.read_text().splitlines()) > 1
    (line,) = [line for line in relay.log.splitlines() if "no server" in line]
    assert line.endswith("ended with 2: no server site: 1.2.3.4 allowed ?[2J??end")


def test_a_source_is_held_until_the_program_allows_it(start, target, authorize, tmp_path):
    relay = start("--to", target.text, "--authorize", authorize("[ -e {0}/job ]".format(tmp_path)))
    source = relay.connect()
    source.sendall(b"early")
    queries = authorize.queries
    while not queries.exists():
        time.sleep(0.01)
    (tmp_path / "job").touch()
    assert exactly(target.accept(), 5) == b"early"


def test_a_slow_program_stalls_no_other_session(start, target, authorize, tmp_path):
    config = tmp_path / "relay.conf"
    ports = free_ports(2)
    other = Target(backlog=4)
    config.write_text("[route slow]\nlisten = 127.0.0.1:{0}\nto = {2}\nallow = ::/0, 0.0.0.0/0\nauthorize = {4}\n[route other]\n"
                      "listen = 127.0.0.1:{1}\nto = {3}\nallow = 0.0.0.0/0\n".format(*ports, other.text, target.text, authorize("exec sleep 100")))
    relay = start(config=config, ready=lambda: can_connect(ports[1]))
    relay.address = "127.0.0.1"
    target.accept()
    held = relay.connect(ports[0])
    while not authorize.queries.exists():
        time.sleep(0.01)
    before = time.monotonic()
    exchange(relay.connect(ports[1]), target.accept())
    assert time.monotonic() - before < 1
    del held


@as_root
def test_a_port_that_gets_another_owner_during_the_query_receives_no_bytes(start, authorize, tmp_path, until):
    honest = target_of(OTHER)
    relay = start("--to", honest.text, "--hold", "off",
                  "--authorize", authorize("[ \"$1\" = {1} ] || exit 1; touch {0}/now; while [ ! -e {0}/done ]; do sleep 0.01; done".format(tmp_path, OTHER)))
    source = relay.connect()
    source.sendall(b"secret")
    until((tmp_path / "now").exists)
    honest.close()
    thief = target_of(ANOTHER, port=honest.port)
    (tmp_path / "done").touch()
    assert is_reset(source)
    relay.logged("this source is not authorized for")
    assert thief.accept().recv(6) == b""
    assert thief.nobody_came()
    assert [line.split()[0] for line in authorize.queries.read_text().splitlines()] == [str(OTHER), str(ANOTHER)]


def can_connect(port):
    with socket.socket() as sock:
        return not sock.connect_ex(("127.0.0.1", port))


# ---- resources ----


def test_blocked_and_waiting_connections_need_no_cpu_time(start, target, tmp_path, short_path, until):
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
    # What is measured is the processor's time in a second.
    time.sleep(1)
    assert relay.cpu_s() - used <= 0.03
    del held


def test_many_waiting_connections_need_little_cpu_time(start, short_path, until):
    relay = start("--to", Target().text, "--status", short_path / "s", "--listen", "127.0.0.4:0",
                  "--max-waiting-per-source", "500", "--max-waiting-per-port", "500")
    waiting = [relay.connect() for _one in range(300)]
    until(lambda: len([one for one in relay.status()["sessions"] if one["age_s"] > 0.7]) == 300)
    used = relay.cpu_s()
    time.sleep(0.5)
    assert relay.cpu_s() - used < 0.15
    del waiting


def test_without_descriptors_connections_wait_and_are_served_later(start, target):
    relay = start("--to", target.text, "--wait", "2")
    first = relay.connect(), target.accept()
    exchange(*first)  # and kept, so that none of the descriptors counted here becomes free
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
    exchange(source, sink)


def test_the_limit_of_descriptors_limits_the_sessions(start, target):
    relay = start("--to", target.text, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (90, 90)))
    ends = []
    for _one in range(12):
        ends.append((relay.connect(), target.accept()))
    assert relay.refuses()
    relay.logged("too many sessions")
    threads = [send_in_thread(source, MEGABYTE * 6) for source, _sink in ends] + [send_in_thread(sink, MEGABYTE) for _source, sink in ends]
    assert "12 sessions continue" in relay.reload()
    for source, sink in ends:
        assert to_the_end(source) == MEGABYTE
        assert to_the_end(sink) == MEGABYTE * 6
    for thread in threads:
        thread.join(15)


AS_ACCOUNT = "import os, sys; os.setuid(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"


def python_for(uid):
    """A Python that another user may run, with the program."""
    for python in [*interpreters(), "/usr/bin/python3"]:
        if not subprocess.run([sys.executable, "-c", AS_ACCOUNT, str(uid), python, "-I", str(PROGRAM), "--version"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode:
            return python
    return None


@as_root
def test_without_pipes_bytes_are_copied(pair, tmp_path):
    python = python_for(OTHER)
    if not python:
        pytest.skip("no Python that other accounts may run")
    code = "import fcntl, os, sys; os.setuid({0})\n{1}print(flush=True); sys.stdin.read()".format(
        OTHER, "try:\n    while True: fcntl.fcntl(os.pipe()[1], 1031, 1 << 20)\nexcept OSError: pass\n")
    holder = subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    relay, source, sink = pair(python=python, preexec_fn=lambda: os.setuid(OTHER))
    thread = send_in_thread(source, MEGABYTE * 10)
    assert to_the_end(sink) == MEGABYTE * 10
    thread.join()
    links = [os.readlink("/proc/{0}/fd/{1}".format(relay.pid, fd)) for fd in os.listdir("/proc/{0}/fd".format(relay.pid))]
    assert sum("pipe:" in link for link in links) <= 4
    holder.communicate()


def test_a_flood_of_refused_connections_stalls_no_session_and_fills_no_log(start, target):
    relay = start("--to", target.text, "--allow", "127.0.0.1")
    source, sink = relay.connect(), target.accept()
    for _one in range(1500):
        relay.connect(source="127.0.0.9").close()
    exchange(source, sink)
    exchange(relay.connect(), target.accept())
    assert relay.log.count("refused") < 200
    assert relay.descriptors() < 30


# ---- start and end ----


def test_it_ends_when_its_input_ends(start, target):
    relay = start("--to", target.text, "--exit-on-eof", stdin=subprocess.PIPE)
    exchange(relay.connect(), target.accept())
    relay.process.stdin.write(b"this input is ignored")
    relay.process.stdin.flush()
    pair = relay.connect(), target.accept()
    assert "continue" in relay.reload()
    exchange(*pair)
    relay.process.stdin.close()
    assert relay.process.wait(5) == 0
    assert pair[0].recv(1) == b""


@pytest.mark.parametrize("for_journal", [True, False])
def test_only_lines_for_the_journal_have_a_priority(start, tmp_path, monkeypatch, for_journal):
    with open(tmp_path / "journal", "wb") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", "{0}:{1}".format(status.st_dev, status.st_ino + (not for_journal)))
        relay = start("--to", "127.0.0.1:9", "--allow", "127.0.0.9", stderr=stream)
        assert relay.refuses()
    assert (tmp_path / "journal").read_text().startswith("<4>relay: 127.0.0.1:" if for_journal else "paraview-relay: relay: 127.0.0.1:")


def test_it_removes_its_status_socket_at_the_end(start, target, short_path):
    relay = start("--to", target.text, "--status", short_path / "s")
    exchange(relay.connect(), target.accept())
    assert stat.S_IMODE((short_path / "s").stat().st_mode) == 0o600
    assert relay.stop() == 0
    assert not (short_path / "s").exists()


def test_the_log_is_never_written_into_a_connection(start, target, tmp_path):
    """If standard streams are closed, no socket may get their numbers."""
    port = free_ports()[0]
    relay = start("--listen", "127.0.0.1:{0}".format(port), "--to", target.text, "--allow", "127.0.0.1", stderr=None, ready=lambda: can_connect(port),
                  preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
    relay.address, relay.port = "127.0.0.1", port
    target.accept()
    source, sink = relay.connect(), target.accept()
    for _one in range(5):
        assert relay.refuses(source="127.0.0.2")
    exchange(source, sink)
    source.close()
    assert to_the_end(sink) == b""
    links = {fd: os.readlink("/proc/{0}/fd/{1}".format(relay.pid, fd)) for fd in range(3)}
    assert set(links.values()) == {os.devnull}, links


def test_a_log_that_nobody_reads_does_not_block_the_relay(start, target):
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
    exchange(relay.connect(), target.accept())
    os.close(reader)
    assert relay.refuses(source="127.0.0.2")
    exchange(relay.connect(), target.accept())
    os.close(writer)
