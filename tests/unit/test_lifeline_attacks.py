# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-lifeline against hosts without the key, hosts between the ends, and hosts with the key that violate the protocol."""

import contextlib
import hashlib
import hmac
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from conftest import wait_until
from flood import Flood
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeline import PROGRAM, QUICK, End, Pair, module, new_key
from relay import Target, exactly, free_ports, to_the_end

lifeline = module()
AGENT, STUB = 1, 2
MEGABYTE = os.urandom(1 << 20)
OTHER = 61001
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


class Impostor:
    """Speaks the protocol over a socket, with or without the right key.

    Args:
        key (bytes). role (int). dials (bool): whether it sends its hello first.
    """

    def __init__(self, sock, key, role=STUB, dials=True, instance=None, flags=0):
        self.sock, self.handshake = sock, lifeline.Handshake(key, role, instance or os.urandom(16), dials, flags)
        self.instance = instance

    def greet(self):
        """Completes the handshake. Raises LineError if a check fails, EOFError if the connection is closed."""
        self.sock.sendall(self.handshake.begin())
        while not self.handshake.proved:
            self.sock.sendall(self.handshake.feed(self.read(self.handshake.expected)))
        self.incoming, self.outgoing = self.handshake.incoming, self.handshake.outgoing
        return self

    def read(self, count):
        got = b""
        while len(got) < count:
            try:
                more = self.sock.recv(count - len(got))
            except ConnectionResetError:
                more = b""
            if not more:
                raise EOFError
            got += more
        return got

    def send(self, kind, payload=b"", offset=0):
        header = lifeline.HEADER.pack(kind, len(payload), offset)
        self.sock.sendall(header + payload + self.outgoing.tag(header + payload, b""))

    def receive(self):
        header = self.read(lifeline.HEADER.size)
        kind, length, offset = lifeline.HEADER.unpack(header)
        payload, tag = self.read(length), self.read(lifeline.TAG)
        assert tag == self.incoming.tag(header + payload, b"")
        return kind, offset, payload

    def resume(self, received=0, delivered=0, window=1 << 24):
        """Sends RESUME, and returns the values of the other end's RESUME."""
        self.send(lifeline.RESUME, lifeline.RESUME_.pack(received, delivered, window))
        kind, _offset, payload = self.receive()
        assert kind == lifeline.RESUME
        return lifeline.RESUME_.unpack(payload)


@pytest.fixture(name="agent")
def _agent(tmp_path):
    """An agent that listens for its line, and the server to which it connects."""
    server = Target(backlog=1)
    end = End(tmp_path, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", "--ping", "2", "--dead", "5", key=new_key(tmp_path / "key"))
    end.key = lifeline.read_key(str(tmp_path / "key"))
    end.server = server
    yield end
    end.stop()
    server.close()


def dial(end):
    host, _colon, port = end.line.rpartition(":")
    sock = socket.create_connection((host, int(port)), 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def is_closed(sock):
    sock.settimeout(15)
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(1000):
            pass
    return True


def nobody_dialled(end):
    time.sleep(0.1)
    return end.server.nobody_came() and end.status["state"] == "waiting"


# ---- clients without the key ----


@pytest.mark.parametrize("content,message", [
    (b"GET / HTTP/1.0\r\n\r\n", "not send the hello of a lifeline"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not send the hello of a lifeline"),
    (b"\0", "not send the hello of a lifeline"),
    (bytes(range(7, 207)) * 25, "not send the hello of a lifeline"),
    (lifeline.HELLO.pack(b"PVLL", 9, STUB, 0, 0, bytes(16), bytes(32)), "version 9"),
    (lifeline.HELLO.pack(b"PVLL", 1, AGENT, 0, 0, bytes(16), bytes(32)), "it is an agent, too"),
    (lifeline.HELLO.pack(b"PVLL", 1, 7, 0, 0, bytes(16), bytes(32)), "neither agent nor stub"),
    (lifeline.HELLO.pack(b"PVLL", 1, STUB, 0, 0, bytes(16), bytes(32)) + bytes(range(32)), "does not have the key"),
])
def test_a_client_without_the_key_is_refused_and_logged(agent, content, message):
    sock = dial(agent)
    sock.sendall(content)
    assert is_closed(sock)
    agent.logged(message)
    assert nobody_dialled(agent)


def test_another_key_is_logged_at_both_ends(agent):
    stranger = Impostor(dial(agent), os.urandom(32))
    with pytest.raises(lifeline.LineError) as error:
        stranger.greet()
    assert error.value.args == ("it does not have the key", lifeline.NO_PROOF)
    stranger.sock.sendall(error.value.args[1])
    assert is_closed(stranger.sock)
    agent.logged("it has another key than this end")
    assert nobody_dialled(agent)


def test_two_real_ends_with_different_keys(tmp_path, agent):
    (tmp_path / "other").mkdir()
    stub = End(tmp_path / "other", "stub", "--listen", "127.0.0.1:0", "--line-to", agent.line, key=new_key(tmp_path / "other" / "key"))
    stub.logged("it does not have the key")
    agent.logged("it has another key than this end")
    stub.stop()
    assert nobody_dialled(agent)


def test_silent_clients_do_not_keep_others_out(agent):
    strangers = [dial(agent) for _number in range(200)]
    for sock in strangers[100:]:
        sock.sendall(b"PVLL")
    assert Impostor(dial(agent), agent.key).greet().resume() == (0, 0, 32 << 20)
    assert len(os.listdir("/proc/{0}/fd".format(agent.pid))) < 90
    for sock in strangers:
        sock.close()


class Distant(Impostor):
    """An end whose messages take a tenth of a second."""

    def read(self, count):
        time.sleep(0.1)
        return super().read(count)


def comes_through(end):
    """Whether a distant end with the key completes its handshake in one of some attempts, as a stub would make them."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(EOFError, OSError), dial(end) as sock:
            Distant(sock, end.key).greet().resume()
            return True
    return False


@pytest.mark.parametrize("source,content", [("127.0.0.1", ""), ("127.0.0.1", "hello"), ("127.0.0.2", "hello")])
def test_a_stub_comes_through_a_flood_of_connections(agent, source, content):
    """The flood comes from the address and the account of the stub, so only its handshake distinguishes the stub."""
    with Flood(int(agent.line.rpartition(":")[2]), source=source, content=content) as flood:
        assert comes_through(agent)
        assert flood.runs
    assert agent.memory_kib() < 40000
    assert len(agent.log.splitlines()) < 100


@as_root
def test_a_flood_of_another_account_does_not_hit_the_stubs_handshake(agent):
    with Flood(int(agent.line.rpartition(":")[2]), OTHER, content="hello") as flood:
        for _time in range(3):
            with dial(agent) as sock:
                assert Distant(sock, agent.key, instance=b"i" * 16).greet().resume() == (0, 0, 32 << 20)
        assert flood.runs


@as_root
def test_paraview_comes_through_a_flood_of_another_account(tmp_path):
    both = Pair(tmp_path)
    with Flood(both.stub.port, OTHER) as flood:
        near, far = both.open()
        near.sendall(b"x")
        assert exactly(far, 1) == b"x"
        assert flood.runs
    assert "comes from the account {0}".format(OTHER) in both.stub.log
    assert both.stub.status["refused"] == "comes from the account {0}".format(OTHER)
    both.close()


@as_root
def test_a_client_of_root_that_has_closed_its_connection_is_not_roots(tmp_path):
    """Another account connects and leaves, so the connection is reported as root's; the stub runs as root."""
    both = Pair(tmp_path).connected()
    os.kill(both.stub.pid, signal.SIGSTOP)
    code = "import os, socket; os.setuid({0}); s = socket.socket(); s.connect(('127.0.0.1', {1})); s.send(b'import os'); s.close()"
    subprocess.run([sys.executable, "-c", code.format(OTHER, both.stub.port)], check=True)
    os.kill(both.stub.pid, signal.SIGCONT)
    both.stub.logged("refused a connection to ParaView's port that has an unknown owner")
    near, far = both.open()
    near.sendall(b"x")
    assert exactly(far, 1) == b"x"
    both.close()


@pytest.mark.parametrize("uid,kernel,expected", [
    (0, "5.15.153.1-microsoft-standard-WSL2", "comes from the account 0; WSL does not report"),
    (None, "5.15.153.1-Microsoft", "has an unknown owner; WSL does not report"), (1001, "5.15.153.1-microsoft-standard-WSL2", "comes from the account 1001"),
    (0, "6.1.0-18-amd64", "comes from the account 0"), (None, "6.1.0-18-amd64", "has an unknown owner")])
def test_the_refusal_of_a_client_names_the_way_out(uid, kernel, expected):
    refused = lifeline.why_refused(uid, kernel, "stub")
    assert refused.startswith(expected)
    assert ("set paraview_reconnect to false" in refused) is ("WSL" in expected)
    of_a_proxy = lifeline.why_refused(uid, kernel, "proxy")
    assert of_a_proxy.startswith(expected) and "paraview_reconnect" not in of_a_proxy


def test_a_recorded_handshake_is_refused(tmp_path):
    both = Pair(tmp_path, keep=True)
    near, far = both.open()
    near.sendall(b"secret")
    assert exactly(far, 6) == b"secret"
    recorded = both.wire.seen["up"]
    sock = dial(both.agent)
    sock.sendall(recorded)
    assert is_closed(sock)
    both.agent.logged("sent an old hello again")
    # The old proof is also refused after a new hello, and in another session with the same key.
    sock = dial(both.agent)
    sock.sendall(recorded[:30] + os.urandom(26) + recorded[56:])
    assert is_closed(sock)
    both.agent.logged("does not have the key")
    both.close()
    server = Target(backlog=1)
    later = End(tmp_path, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", key=both.key)
    sock = dial(later)
    sock.sendall(recorded)
    assert is_closed(sock)
    later.logged("does not have the key")
    assert server.nobody_came()
    later.stop()
    server.close()


def test_the_agents_own_hello_is_refused(agent):
    first, second = dial(agent), dial(agent)
    first.sendall(lifeline.HELLO.pack(b"PVLL", 1, STUB, 0, 0, os.urandom(16), os.urandom(32)))
    answer = exactly(first, 88)
    second.sendall(answer)
    assert is_closed(second)
    agent.logged("it is an agent, too")
    first.close()


# ---- other listeners at the endpoint of the line ----


def squatter(answer):
    """A listening socket; a function answers each connection."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)

    def serve():
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            sock.settimeout(15)
            with contextlib.suppress(OSError, EOFError, lifeline.LineError):
                answer(sock)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # threads may be reading it
            sock.close()
    threading.Thread(target=serve, daemon=True).start()
    return listener


def greet_without_key(sock):
    Impostor(sock, os.urandom(32), AGENT, dials=False).greet()


def accept_any_proof(sock):
    other = Impostor(sock, os.urandom(32), AGENT, dials=False)
    other.handshake._check = lambda proof, label: None
    other.greet()
    other.resume()


@pytest.mark.parametrize("answer,message", [
    (lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n" + b"x" * 200), "not send the hello of a lifeline"),
    (lambda sock: sock.sendall(sock.recv(56)), "our own hello"),
    (lambda sock: sock.recv(56), "closed during the handshake"),
    (greet_without_key, "does not have the key"),
    (accept_any_proof, "does not have the key"),
])
def test_a_squatter_is_refused_and_logged(tmp_path, answer, message):
    seen = []

    def record(sock):
        inner, outer = socket.socketpair()
        inner.settimeout(15)

        def forward():
            with contextlib.suppress(OSError):
                for piece in iter(lambda: sock.recv(65536), b""):
                    seen.append(piece)
                    outer.sendall(piece)
            outer.close()

        def forward_back():
            with contextlib.suppress(OSError):
                for piece in iter(lambda: outer.recv(65536), b""):
                    sock.sendall(piece)
        threads = [threading.Thread(target=work, daemon=True) for work in (forward, forward_back)]
        for thread in threads:
            thread.start()
        try:
            answer(inner)
        finally:
            inner.close()
            threads[1].join(5)
    listener = squatter(record)
    stub = End(tmp_path, "stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(listener.getsockname()[1]), key=new_key(tmp_path / "key"))
    near = stub.connect()
    near.sendall(b"what is secret")
    stub.logged(message)
    stub.logged(message)
    assert b"what is secret" not in b"".join(seen)
    assert stub.status["state"] == "waiting"
    stub.stop()
    listener.close()


# ---- hosts between the ends ----


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("what", ["flip", "drop", "repeat"])
def test_a_changed_message_ends_the_line_and_is_not_delivered(tmp_path, way, what):
    both = Pair(tmp_path, plain=True)
    near, far = both.open()
    source, sink = (near, far) if way == "up" else (far, near)
    source.sendall(b"first")
    assert exactly(sink, 5) == b"first"
    hits = []

    def change(piece, its_way):
        if its_way != way or hits or b"second" not in piece:
            return piece
        hits.append(piece)
        return {"flip": piece.replace(b"second", b"Second"), "drop": b"", "repeat": piece + piece}[what]
    both.wire.change = change
    source.sendall(b"second")
    wait_until(lambda: hits)
    time.sleep(0.05)
    source.sendall(b"third")
    assert exactly(sink, 11) == b"secondthird"
    (both.agent if way == "up" else both.stub).logged("tampered")
    assert both.stub.status["losses"] == 1
    both.close()


@settings(max_examples=12)
@given(seed=st.integers(0, 1 << 30))
def test_a_change_of_any_bit_ends_the_handshake(agent_of_module, seed):
    """A host between the ends changes one bit of a handshake message."""
    agent = agent_of_module
    at, mine = seed % (8 * 88), (seed >> 12) % 2
    honest = Impostor(dial(agent), agent.key)
    hello = honest.handshake.begin()
    if mine:
        at %= 8 * 56
        hello = hello[:at // 8] + bytes([hello[at // 8] ^ 1 << at % 8]) + hello[at // 8 + 1:]
    honest.sock.sendall(hello)
    try:
        answer = honest.read(88)
    except EOFError:
        return
    if not mine:
        answer = answer[:at // 8] + bytes([answer[at // 8] ^ 1 << at % 8]) + answer[at // 8 + 1:]
    with pytest.raises(lifeline.LineError):
        honest.handshake.feed(answer[:56])
        honest.handshake.feed(answer[56:])
    honest.sock.close()


@pytest.fixture(name="agent_of_module", scope="module")
def _agent_of_module(tmp_path_factory):
    directory = tmp_path_factory.mktemp("agent")
    server = Target(backlog=1)
    end = End(directory, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", key=new_key(directory / "key"))
    end.key, end.server = lifeline.read_key(str(directory / "key")), server
    yield end
    end.stop()
    server.close()


# ---- only one pair in a session ----


def test_a_second_stub_is_refused(tmp_path):
    both = Pair(tmp_path)
    near, far = both.open()
    near.sendall(b"x")
    assert exactly(far, 1) == b"x"
    second = both.start("stub")
    assert second.ends() == 3
    assert "refused: this session has another stub" in second.log
    assert "refused another stub" in both.agent.log
    both.wire.cut()
    far.sendall(b"goes on")
    assert exactly(near, 7) == b"goes on"
    both.stub.kill()
    both.agent.becomes("outage")
    third = both.start("stub")  # it does not have the state of the first one
    assert third.ends() == 3
    both.close()


def test_a_second_agent_is_refused(tmp_path):
    both = Pair(tmp_path, agent_dials=True)
    near, far = both.open()
    near.sendall(b"x")
    assert exactly(far, 1) == b"x"
    second = both.start("agent")
    assert second.ends() == 3
    assert "refused: this session has another agent" in second.log
    far.sendall(b"goes on")
    assert exactly(near, 7) == b"goes on"
    both.close()


def test_ending_a_session_requires_the_key(tmp_path):
    both = Pair(tmp_path)
    near, far = both.open()
    near.sendall(b"x")
    assert exactly(far, 1) == b"x"
    (tmp_path / "other").mkdir()
    ender = End(tmp_path / "other", "stub", "--end", "--line-to", both.wire.address, "--wait", "1", *QUICK, key=new_key(tmp_path / "other" / "key"))
    assert ender.ends() == 4
    assert "does not have the key" in ender.log
    far.sendall(b"goes on")
    assert exactly(near, 7) == b"goes on"
    both.close()


# ---- protocol violations with the key ----


def test_a_peer_that_exceeds_the_window_is_disconnected(agent):
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    assert stub.resume() == (0, 0, 32 << 20)
    stub.send(lifeline.OPEN)
    far = agent.server.accept()
    at = 0
    with contextlib.suppress(EOFError, OSError):
        while at < 80 << 20:  # the server reads nothing
            stub.send(lifeline.DATA, MEGABYTE[:131072], at)
            at += 131072
    agent.logged("it sent more than was allowed")
    assert agent.memory_kib() < 20000 + 65536
    far.close()


def ask_and_never_read(agent, kind, payload, deadline):
    """A stub asks until its line is closed. Returns what it has sent as data."""
    stub, at = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet(), 0
    with contextlib.suppress(EOFError, OSError):
        at = stub.resume()[0]
        stub.send(lifeline.OPEN)
        while time.monotonic() < deadline:
            batch = b""
            for _time in range(200):
                header = lifeline.HEADER.pack(kind, len(payload), at if kind == lifeline.DATA else 0)
                batch += header + payload + stub.outgoing.tag(header + payload, b"")
                at += len(payload)
            stub.sock.sendall(batch)
    stub.sock.close()
    return at


@pytest.mark.parametrize("kind,payload", [(lifeline.PING, b""), (lifeline.DATA, b"x"), (lifeline.ACK, lifeline.ACK_.pack(0, 0))])
def test_a_peer_that_asks_and_never_reads_is_disconnected(tmp_path, kind, payload):
    server, size = Target(backlog=1), 14 << 20  # more than a connection takes
    agent = End(tmp_path, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", "--ping", "0.7", "--dead", "0.7", key=new_key(tmp_path / "key"))
    agent.key, before = lifeline.read_key(str(tmp_path / "key")), agent.memory_kib()

    def serve():
        far = server.accept()
        far.sendall((MEGABYTE * 14)[:size])
        to_the_end(far)
    threading.Thread(target=serve, daemon=True).start()
    deadline = time.monotonic() + 60
    while "the other end read nothing for 4 s" not in agent.log:  # on a busy machine the line may also be lost for another reason
        assert time.monotonic() < deadline, agent.log
        sent = ask_and_never_read(agent, kind, payload, deadline)
    assert agent.memory_kib() < before + (size >> 10) + 8000
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    assert stub.resume()[0] <= sent
    got = hashlib.sha256()
    at = 0
    while at < size:
        what, offset, content = stub.receive()
        if what == lifeline.DATA:
            assert offset == at
            got.update(content)
            at += len(content)
    assert got.digest() == hashlib.sha256(MEGABYTE * 14).digest()
    stub.sock.close()
    assert agent.stop() == 0
    server.close()


def test_many_lines_with_the_key_need_little_memory(agent):
    before, lines = agent.memory_kib(), []
    for number in range(120):
        with contextlib.suppress(EOFError):
            lines.append(Impostor(dial(agent), agent.key, instance=b"%16d" % number).greet())
    assert Impostor(dial(agent), agent.key).greet().resume() == (0, 0, 32 << 20)
    assert agent.memory_kib() < before + 12000
    for line in lines:
        line.sock.close()


def test_bytes_delivered_during_a_reconnection_are_acknowledged(agent):
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    stub.resume()
    stub.send(lifeline.OPEN)
    far = agent.server.accept()
    at = 0
    while at < 24 << 20:
        stub.send(lifeline.DATA, MEGABYTE[:131072], at)
        at += 131072
    wait_until(lambda: agent.status["received_bytes"] == at)
    stub.sock.close()
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    kind, _offset, payload = stub.receive()
    received, delivered, _window = lifeline.RESUME_.unpack(payload)
    assert (kind, received) == (lifeline.RESUME, at) and delivered < at
    exactly(far, at)
    time.sleep(0.2)
    stub.send(lifeline.RESUME, lifeline.RESUME_.pack(0, 0, 1 << 24))
    began = time.monotonic()
    while True:
        kind, _offset, payload = stub.receive()
        if kind == lifeline.ACK and lifeline.ACK_.unpack(payload) == (at, at):
            break
    assert time.monotonic() - began < 1  # long before a PING
    far.close()


def test_the_window_of_the_peer_is_respected(agent):
    stub = Impostor(dial(agent), agent.key).greet()
    stub.resume(window=131072)
    stub.send(lifeline.OPEN)
    far = agent.server.accept()
    threading.Thread(target=lambda: far.sendall(MEGABYTE), daemon=True).start()
    got = 0
    stub.sock.settimeout(1)
    with pytest.raises(socket.timeout):
        while True:
            kind, offset, payload = stub.receive()
            if kind == lifeline.DATA:
                assert offset == got
                got += len(payload)
    assert got == 131072
    far.close()


NONSENSE = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3) | st.integers(0, 2 ** 64 - 1), st.binary(max_size=40) | st.builds(
    lambda a, b, c: struct.pack("!QQQ", a, b, c)[:16], *[st.integers(0, 3) | st.integers(0, 2 ** 64 - 1)] * 3)), max_size=12)


@settings(max_examples=60)
@given(resumes=st.booleans(), messages=NONSENSE)
def test_invalid_messages_with_the_key_end_only_the_line(agent_of_module, resumes, messages):
    agent = agent_of_module
    if agent.process.poll() is not None:
        # A valid message has ended it.
        assert agent.process.returncode in (0, 3) and "Traceback" not in agent.log
        agent.process.stdout.close()
        fresh = End(agent.log_path.parent, "agent", "--to", agent.server.text, "--line-listen", "127.0.0.1:0", key=agent.log_path.parent / "key")
        agent.process, agent.pid, agent.line, agent.log_path = fresh.process, fresh.pid, fresh.line, fresh.log_path
    stub = Impostor(dial(agent), agent.key, instance=b"f" * 16)
    stub.greet()
    with contextlib.suppress(EOFError, OSError, AssertionError):
        if resumes:
            stub.resume()
        for kind, offset, payload in messages:
            if (kind, len(payload)) != (lifeline.BYE, 0) and kind not in (lifeline.RST, lifeline.BYE):
                stub.send(kind, payload, offset)
    stub.sock.close()
    assert "Traceback" not in agent.log


@settings(max_examples=40)
@given(length=st.integers(0, 56 + 32 + 16 + 24 + 16 + 300), pieces=st.integers(1, 4))
def test_a_line_may_end_after_any_byte(agent_of_module, length, pieces):
    """A stub sends up to some byte, in several pieces; afterwards another one can still connect."""
    agent, sent = agent_of_module, bytearray()
    stub = Impostor(dial(agent), agent.key, instance=b"f" * 16)
    inner = stub.sock

    class Short:
        def sendall(self, content):
            content = bytes(content[:max(0, length - len(sent))])
            sent.extend(content)
            for at in range(pieces):
                inner.sendall(content[at * len(content) // pieces:(at + 1) * len(content) // pieces])
            if len(sent) == length:
                inner.shutdown(socket.SHUT_WR)

        def __getattr__(self, name):
            return getattr(inner, name)
    stub.sock = Short()
    with contextlib.suppress(EOFError, OSError, AssertionError):
        stub.greet().send(lifeline.RESUME, lifeline.RESUME_.pack(0, 0, 1 << 24))
        stub.send(lifeline.PING)
        stub.send(lifeline.ACK, lifeline.ACK_.pack(0, 0))
    inner.close()
    assert agent.process.poll() is None and "Traceback" not in agent.log


@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=5), dials=st.booleans(), magic=st.booleans())
def test_a_handshake_accepts_no_random_bytes(pieces, dials, magic):
    handshake = lifeline.Handshake(bytes(32), AGENT, bytes(16), dials)
    content = (b"PVLL\x01\x02\x00\x00" if magic else b"") + b"".join(pieces)
    with contextlib.suppress(lifeline.LineError):
        while len(content) >= handshake.expected and not handshake.proved:
            taken, content = content[:handshake.expected], content[handshake.expected:]
            handshake.feed(taken)
    assert not handshake.proved


def test_tags():
    key, header, payload = os.urandom(32), b"h" * 16, bytearray(os.urandom(1000))
    for made, expected in (
            (lifeline.Sha(key), lambda content: hmac.new(key, content, hashlib.sha256).digest()[:16]),
            (lifeline.Blake(key), lambda content: hashlib.blake2b(content, key=key, digest_size=16).digest())):
        for count in range(3):
            assert made.tag(header, payload) == expected(struct.pack("!Q", count) + header + payload)


@pytest.mark.skipif(not lifeline.openssl(), reason="this Python has no OpenSSL of its own")
def test_tags_by_gmac():
    aead = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead")
    key = os.urandom(32)
    seal, large = lifeline.Gmac(key), memoryview(bytearray(MEGABYTE))[1:131073]
    for count, parts in enumerate([(b"h" * 16, bytearray(b"payload")), (b"h" * 16, large), (b"", bytearray(b"x")), (b"h", b"")]):
        nonce = bytes(4) + struct.pack("!Q", count)
        assert seal.tag(*parts) == aead.AESGCM(key).encrypt(nonce, b"", parts[0] + bytes(parts[1]))


@pytest.mark.parametrize("mine,other,made", [
    (0, 0, lifeline.Blake), (3, 0, lifeline.Blake), (2, 1, lifeline.Blake), (3, 1, lifeline.Sha), (3, 3, lifeline.Gmac), (255, 2, lifeline.Gmac)])
def test_the_tags_are_of_a_kind_that_both_ends_prefer(monkeypatch, mine, other, made):
    if made is lifeline.Gmac and not lifeline.openssl():
        pytest.skip("this Python has no OpenSSL of its own")
    ends = []
    for dials, preferred in ((True, mine), (False, other)):
        monkeypatch.setattr(lifeline, "preferred_tags", lambda preferred=preferred: preferred)
        ends.append(lifeline.Handshake(bytes(32), AGENT if dials else STUB, bytes(16), dials))
    answer = ends[1].feed(ends[0].begin())
    ends[0].feed(answer[:56])
    for one in ends:
        assert type(one.outgoing) is type(one.incoming) is made


@given(both_dial=st.booleans(), key=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32))
def test_two_handshakes_agree_if_their_keys_are_equal(both_dial, key, other):
    dialling, listening = lifeline.Handshake(key, AGENT, b"a" * 16, True), lifeline.Handshake(other, STUB, b"b" * 16, both_dial)
    try:
        answer = listening.feed(dialling.begin())
        dialling.feed(answer[:56])
        listening.feed(dialling.feed(answer[56:]))
    except (lifeline.LineError, struct.error):
        assert key != other or both_dial
        return
    assert key == other and not both_dial
    assert dialling.proved and listening.proved
    one, two, three, four = [tagger.tag(b"header and payload", b"") for tagger in (
        dialling.outgoing, listening.incoming, dialling.incoming, listening.outgoing)]
    assert one == two != three == four


# ---- the key ----


@pytest.mark.parametrize("text,mode,message", [
    (None, 0o640, "accessible to other accounts"), (None, 0o604, "accessible to other accounts"), (None, 0o620, "accessible to other accounts"),
    ("12" * 31 + "\n", 0o600, "64 hexadecimal digits"), ("12" * 32 + "\n\n", 0o600, "64 hexadecimal digits"), ("xy" * 32, 0o600, "64 hexadecimal digits"),
    (" ", 0o600, "64 hexadecimal digits"),
])
def test_an_invalid_key(tmp_path, text, mode, message):
    path = new_key(tmp_path / "key", text, mode)
    with pytest.raises(lifeline.UsageError) as error:
        lifeline.read_key(str(path))
    assert message in str(error.value)
    assert not text or text.strip() not in str(error.value) or text == " "


def test_a_key_of_another_account_or_behind_a_link_or_no_regular_file(tmp_path):
    path = new_key(tmp_path / "key")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(str(tmp_path / "fifo"), 0o600)
    for name, message in (("link", "symbolic links"), ("fifo", "no regular file"), ("nothing", "No such file")):
        with pytest.raises(lifeline.UsageError) as error:
            lifeline.read_key(str(tmp_path / name))
        assert message in str(error.value)
    if os.geteuid() == 0:
        os.chown(str(path), OTHER, OTHER)
        done = subprocess.run([sys.executable, "-IS", str(PROGRAM), "agent", "--to", "127.0.0.1:1", "--line-listen", "127.0.0.1:0", "--key", str(path)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
        assert done.returncode == 2 and b"belongs to another account" in done.stderr


# ---- bytes in memory ----


@given(st.lists(st.tuples(st.sampled_from(["add", "read", "free"]), st.integers(0, 700000)), max_size=30))
def test_a_store_returns_what_was_added(steps):
    store, begin, size = lifeline.Store(), 0, 0
    content = MEGABYTE * 20
    for what, number in steps:
        if what == "add":
            store.append(memoryview(content)[size:size + number])
            size += number
        elif what == "read" and number < size - begin:
            piece = store.at(begin + number, 131072)
            assert 0 < len(piece) <= 131072
            assert piece == content[begin + number:begin + number + len(piece)]
        elif what == "free":
            begin = min(size, begin + number)
            store.free(begin)
        assert (store.begin, store.end, len(store)) == (begin, size, size - begin)
        assert len(store.pieces) * lifeline.PIECE <= size - begin + 2 * lifeline.PIECE
    got, at = hashlib.sha256(), begin
    while at < size:
        piece = store.at(at, 131072)
        got.update(piece)
        at += len(piece)
    assert got.digest() == hashlib.sha256(content[begin:size]).digest()


def test_endpoints():
    assert lifeline.parse_endpoint("localhost:80").address == ("127.0.0.1", 80)
    assert lifeline.parse_endpoint("[::1]:80").family == socket.AF_INET6
    for text in ("", "host:80", "127.1:80", "1.2.3.4", "1.2.3.4:99999", "1.2.3.4:80 ", "unix:", "unix:a", "unix:/" + "a" * 101, "1.2.3.4:80\n", ":::1:80"):
        with pytest.raises(lifeline.UsageError):
            lifeline.parse_endpoint(text)


def test_nobody_listens_where_the_line_is_dialled(tmp_path):
    port, = free_ports()
    stub = End(tmp_path, "stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(port), key=new_key(tmp_path / "key"))
    stub.logged("Connection refused")
    near = stub.connect()
    stub.stop()
    assert to_the_end(near) == b""
