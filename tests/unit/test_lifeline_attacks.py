# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-lifeline against who does not know the key, who is in the way, and who knows the key but talks nonsense."""

import contextlib
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from conftest import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeline import PROGRAM, QUICK, End, Pair, module, new_key
from relay import Target, exactly, free_ports, to_the_end

lifeline = module()
AGENT, STUB = 1, 2
MEGABYTE = os.urandom(1 << 20)
OTHER = 61001


class Impostor:
    """Speaks the protocol over a socket, by its own hand; without the right key, or as it likes.

    Args:
        key (bytes). role (int). dials (bool): whether it says hello first.
    """

    def __init__(self, sock, key, role=STUB, dials=True, instance=None, flags=0):
        self.sock, self.handshake = sock, lifeline.Handshake(key, role, instance or os.urandom(16), dials, flags)
        self.instance = instance

    def greet(self):
        """Handshake to its end; raises Broken for what it does not like, EOFError where it was thrown out."""
        self.sock.sendall(self.handshake.begin())
        while not self.handshake.proved:
            said = self.read(self.handshake.wants)
            self.sock.sendall(self.handshake.feed(said))
        self.opens, self.seals = self.handshake.hears, self.handshake.speaks
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

    def say(self, kind, payload=b"", offset=0):
        header = lifeline.HEADER.pack(kind, len(payload), offset)
        self.sock.sendall(header + payload + self.seals.tag(header + payload, b""))

    def hear(self):
        header = self.read(lifeline.HEADER.size)
        kind, length, offset = lifeline.HEADER.unpack(header)
        payload, tag = self.read(length), self.read(lifeline.TAG)
        assert tag == self.opens.tag(header + payload, b"")
        return kind, offset, payload

    def resume(self, received=0, delivered=0, window=1 << 24):
        """Says what it has, and returns what the other end has."""
        self.say(lifeline.RESUME, lifeline.RESUME_.pack(received, delivered, window))
        kind, _offset, payload = self.hear()
        assert kind == lifeline.RESUME
        return lifeline.RESUME_.unpack(payload)

    def is_out(self):
        """Whether it was thrown out."""
        try:
            while True:
                self.read(1)
        except EOFError:
            return True


@pytest.fixture(name="agent")
def _agent(tmp_path):
    """An agent that listens for its line, and the server that it leads to."""
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


def thrown_out(sock):
    sock.settimeout(15)
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(1000):
            pass
    return True


def nobody_dialled(end):
    time.sleep(0.1)
    return end.server.nobody_came() and end.status["state"] == "waiting"


# ---- who dials without the key ----


@pytest.mark.parametrize("said,named", [
    (b"GET / HTTP/1.0\r\n\r\n", "no hello of a lifeline"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "no hello of a lifeline"),
    (b"\0", "no hello of a lifeline"),
    (bytes(range(7, 207)) * 25, "no hello of a lifeline"),
    (lifeline.HELLO.pack(b"PVLL", 9, STUB, 0, 0, bytes(16), bytes(32)), "version 9"),
    (lifeline.HELLO.pack(b"PVLL", 1, AGENT, 0, 0, bytes(16), bytes(32)), "it is a agent, too|it is an agent, too"),
    (lifeline.HELLO.pack(b"PVLL", 1, 7, 0, 0, bytes(16), bytes(32)), "neither agent nor stub"),
    (lifeline.HELLO.pack(b"PVLL", 1, STUB, 0, 0, bytes(16), bytes(32)) + bytes(range(32)), "does not know the key"),
])
def test_who_does_not_know_the_key_gets_nothing_and_is_named(agent, said, named):
    sock = dial(agent)
    sock.sendall(said)
    assert thrown_out(sock)
    agent.logged(named)
    assert nobody_dialled(agent)


def test_another_key_is_named_at_both_ends(agent):
    stranger = Impostor(dial(agent), os.urandom(32))
    with pytest.raises(lifeline.Broken) as broken:
        stranger.greet()
    assert broken.value.args == ("it does not know the key", lifeline.NO_PROOF)
    stranger.sock.sendall(broken.value.args[1])
    assert thrown_out(stranger.sock)
    agent.logged("it has another key than this end")
    assert nobody_dialled(agent)


def test_another_key_with_two_real_ends(tmp_path, agent):
    (tmp_path / "other").mkdir()
    stub = End(tmp_path / "other", "stub", "--listen", "127.0.0.1:0", "--line-to", agent.line, key=new_key(tmp_path / "other" / "key"))
    stub.logged("it does not know the key")
    agent.logged("it has another key than this end")
    stub.stop()
    assert nobody_dialled(agent)


def test_strangers_that_say_nothing_keep_nobody_out(agent):
    strangers = [dial(agent) for _one in range(40)]
    for sock in strangers[20:]:
        sock.sendall(b"PVLL")
    assert Impostor(dial(agent), agent.key).greet().resume() == (0, 0, 32 << 20)
    assert len(os.listdir("/proc/{0}/fd".format(agent.pid))) < 40
    for sock in strangers:
        sock.close()


def test_a_recorded_handshake_is_of_no_use(tmp_path):
    both = Pair(tmp_path, keep=True)
    near, far = both.open()
    near.sendall(b"secret")
    assert exactly(far, 6) == b"secret"
    recorded = both.wire.seen["up"]
    sock = dial(both.agent)
    sock.sendall(recorded)
    assert thrown_out(sock)
    both.agent.logged("repeats an old hello")
    # With a hello of its own in front, and in another session under the same key, the old proof is worth nothing either.
    sock = dial(both.agent)
    sock.sendall(recorded[:30] + os.urandom(26) + recorded[56:])
    assert thrown_out(sock)
    both.agent.logged("does not know the key")
    both.close()
    server = Target(backlog=1)
    later = End(tmp_path, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", key=both.key)
    sock = dial(later)
    sock.sendall(recorded)
    assert thrown_out(sock)
    later.logged("does not know the key")
    assert server.nobody_came()
    later.stop()
    server.close()


def test_what_it_says_itself_does_not_pass_as_another(agent):
    first, second = dial(agent), dial(agent)
    first.sendall(lifeline.HELLO.pack(b"PVLL", 1, STUB, 0, 0, os.urandom(16), os.urandom(32)))
    answer = exactly(first, 88)
    second.sendall(answer)
    assert thrown_out(second)
    agent.logged("it is an agent, too")
    first.close()


# ---- who waits where the line is dialled ----


def squatter(answer):
    """A listening socket whose connections are handed to a function."""
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
            with contextlib.suppress(OSError, EOFError, lifeline.Broken):
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


@pytest.mark.parametrize("answer,named", [
    (lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n" + b"x" * 200), "no hello of a lifeline"),
    (lambda sock: sock.sendall(sock.recv(56)), "our own hello"),
    (lambda sock: sock.recv(56), "closed during the handshake"),
    (greet_without_key, "does not know the key"),
    (accept_any_proof, "does not know the key"),
])
def test_a_squatter_gets_nothing_and_is_named(tmp_path, answer, named):
    seen = []

    def record(sock):
        inner, outer = socket.socketpair()
        inner.settimeout(15)

        def pass_on():
            with contextlib.suppress(OSError):
                for piece in iter(lambda: sock.recv(65536), b""):
                    seen.append(piece)
                    outer.sendall(piece)
            outer.close()

        def pass_back():
            with contextlib.suppress(OSError):
                for piece in iter(lambda: outer.recv(65536), b""):
                    sock.sendall(piece)
        threads = [threading.Thread(target=one, daemon=True) for one in (pass_on, pass_back)]
        for one in threads:
            one.start()
        try:
            answer(inner)
        finally:
            inner.close()
            threads[1].join(5)
    listener = squatter(record)
    stub = End(tmp_path, "stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(listener.getsockname()[1]), key=new_key(tmp_path / "key"))
    near = stub.connect()
    near.sendall(b"what is secret")
    stub.logged(named)
    stub.logged(named)
    assert b"what is secret" not in b"".join(seen)
    assert stub.status["state"] == "waiting"
    stub.stop()
    listener.close()


# ---- who is in the way ----


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("what", ["flip", "drop", "repeat"])
def test_a_changed_message_ends_the_line_and_reaches_nobody(tmp_path, way, what):
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
def test_every_bit_of_a_handshake_counts(agent_of_module, seed):
    """A middleman changes one bit of what one end says during the handshake; nothing comes of it."""
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
    with pytest.raises(lifeline.Broken):
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


# ---- one session, one pair ----


def test_a_second_stub_is_told_that_it_is_one_too_many(tmp_path):
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
    third = both.start("stub")  # what the first one had cannot be known to another
    assert third.ends() == 3
    both.close()


def test_a_second_agent_is_told_that_it_is_one_too_many(tmp_path):
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


def test_to_end_a_session_takes_the_key(tmp_path):
    both = Pair(tmp_path)
    near, far = both.open()
    near.sendall(b"x")
    assert exactly(far, 1) == b"x"
    (tmp_path / "other").mkdir()
    ender = End(tmp_path / "other", "stub", "--end", "--line-to", both.wire.address, "--wait", "1", *QUICK, key=new_key(tmp_path / "other" / "key"))
    assert ender.ends() == 4
    assert "does not know the key" in ender.log
    far.sendall(b"goes on")
    assert exactly(near, 7) == b"goes on"
    both.close()


# ---- who knows the key and talks nonsense ----


def test_a_window_is_not_overrun(agent):
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    assert stub.resume() == (0, 0, 32 << 20)
    stub.say(lifeline.OPEN)
    far = agent.server.accept()
    at = 0
    with contextlib.suppress(EOFError, OSError):
        while at < 80 << 20:  # the server reads nothing
            stub.say(lifeline.DATA, MEGABYTE[:131072], at)
            at += 131072
    agent.logged("it sent more than was allowed")
    assert agent.memory_kib() < 20000 + 65536
    far.close()


def test_what_was_passed_on_while_a_line_came_back_is_told(agent):
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    stub.resume()
    stub.say(lifeline.OPEN)
    far = agent.server.accept()
    at = 0
    while at < 24 << 20:
        stub.say(lifeline.DATA, MEGABYTE[:131072], at)
        at += 131072
    wait_until(lambda: agent.status["received_bytes"] == at)
    stub.sock.close()
    stub = Impostor(dial(agent), agent.key, instance=b"i" * 16).greet()
    kind, _offset, payload = stub.hear()
    received, delivered, _window = lifeline.RESUME_.unpack(payload)
    assert (kind, received) == (lifeline.RESUME, at) and delivered < at
    exactly(far, at)
    time.sleep(0.2)
    stub.say(lifeline.RESUME, lifeline.RESUME_.pack(0, 0, 1 << 24))
    began = time.monotonic()
    while True:
        kind, _offset, payload = stub.hear()
        if kind == lifeline.ACK and lifeline.ACK_.unpack(payload) == (at, at):
            break
    assert time.monotonic() - began < 1  # long before it is asked
    far.close()


def test_a_peer_with_a_small_window_is_given_no_more(agent):
    stub = Impostor(dial(agent), agent.key).greet()
    stub.resume(window=131072)
    stub.say(lifeline.OPEN)
    far = agent.server.accept()
    threading.Thread(target=lambda: far.sendall(MEGABYTE), daemon=True).start()
    got = 0
    stub.sock.settimeout(1)
    with pytest.raises(socket.timeout):
        while True:
            kind, offset, payload = stub.hear()
            if kind == lifeline.DATA:
                assert offset == got
                got += len(payload)
    assert got == 131072
    far.close()


NONSENSE = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3) | st.integers(0, 2 ** 64 - 1), st.binary(max_size=40) | st.builds(
    lambda a, b, c: struct.pack("!QQQ", a, b, c)[:16], *[st.integers(0, 3) | st.integers(0, 2 ** 64 - 1)] * 3)), max_size=12)


@settings(max_examples=60)
@given(resumes=st.booleans(), said=NONSENSE)
def test_nonsense_under_the_right_key_ends_a_line_and_nothing_else(agent_of_module, resumes, said):
    agent = agent_of_module
    if agent.process.poll() is not None:
        # A reset, a goodbye or nonsense that was none has ended it.
        assert agent.process.returncode in (0, 3) and "Traceback" not in agent.log
        agent.process.stdout.close()
        fresh = End(agent.said.parent, "agent", "--to", agent.server.text, "--line-listen", "127.0.0.1:0", key=agent.said.parent / "key")
        agent.process, agent.pid, agent.line, agent.said = fresh.process, fresh.pid, fresh.line, fresh.said
    stub = Impostor(dial(agent), agent.key, instance=b"f" * 16)
    stub.greet()
    with contextlib.suppress(EOFError, OSError, AssertionError):
        if resumes:
            stub.resume()
        for kind, offset, payload in said:
            if (kind, len(payload)) != (lifeline.BYE, 0) and kind not in (lifeline.RST, lifeline.BYE):
                stub.say(kind, payload, offset)
    stub.sock.close()
    assert "Traceback" not in agent.log


@settings(max_examples=40)
@given(length=st.integers(0, 56 + 32 + 16 + 24 + 16 + 300), pieces=st.integers(1, 4))
def test_a_line_may_end_anywhere(agent_of_module, length, pieces):
    """What one stub says, up to some byte, in several pieces; another one may come after it."""
    agent, said = agent_of_module, bytearray()
    stub = Impostor(dial(agent), agent.key, instance=b"f" * 16)
    inner = stub.sock

    class Short:
        def sendall(self, content):
            content = bytes(content[:max(0, length - len(said))])
            said.extend(content)
            for at in range(pieces):
                inner.sendall(content[at * len(content) // pieces:(at + 1) * len(content) // pieces])
            if len(said) == length:
                inner.shutdown(socket.SHUT_WR)

        def __getattr__(self, name):
            return getattr(inner, name)
    stub.sock = Short()
    with contextlib.suppress(EOFError, OSError, AssertionError):
        stub.greet().say(lifeline.RESUME, lifeline.RESUME_.pack(0, 0, 1 << 24))
        stub.say(lifeline.PING)
        stub.say(lifeline.ACK, lifeline.ACK_.pack(0, 0))
    inner.close()
    assert agent.process.poll() is None and "Traceback" not in agent.log


@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=5), dials=st.booleans(), magic=st.booleans())
def test_a_handshake_takes_anything(pieces, dials, magic):
    one = lifeline.Handshake(bytes(32), AGENT, bytes(16), dials)
    content = (b"PVLL\x01\x02\x00\x00" if magic else b"") + b"".join(pieces)
    with contextlib.suppress(lifeline.Broken):
        while len(content) >= one.wants and not one.proved:
            taken, content = content[:one.wants], content[one.wants:]
            one.feed(taken)
    assert not one.proved


def test_tags():
    key, header, payload = os.urandom(32), b"h" * 16, bytearray(os.urandom(1000))
    for made, expected in (
            (lifeline.Sha(key), lambda said: hmac.new(key, said, hashlib.sha256).digest()[:16]),
            (lifeline.Blake(key), lambda said: hashlib.blake2b(said, key=key, digest_size=16).digest())):
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
def test_the_tags_are_those_that_both_ends_like(monkeypatch, mine, other, made):
    if made is lifeline.Gmac and not lifeline.openssl():
        pytest.skip("this Python has no OpenSSL of its own")
    ends = []
    for dials, liked in ((True, mine), (False, other)):
        monkeypatch.setattr(lifeline, "liked_tags", lambda liked=liked: liked)
        ends.append(lifeline.Handshake(bytes(32), AGENT if dials else STUB, bytes(16), dials))
    answer = ends[1].feed(ends[0].begin())
    ends[0].feed(answer[:56])
    for one in ends:
        assert type(one.speaks) is type(one.hears) is made


@given(both_dial=st.booleans(), key=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32))
def test_two_handshakes_agree_when_their_keys_do(both_dial, key, other):
    dialling, listening = lifeline.Handshake(key, AGENT, b"a" * 16, True), lifeline.Handshake(other, STUB, b"b" * 16, both_dial)
    try:
        answer = listening.feed(dialling.begin())
        dialling.feed(answer[:56])
        listening.feed(dialling.feed(answer[56:]))
    except (lifeline.Broken, struct.error):
        assert key != other or both_dial
        return
    assert key == other and not both_dial
    assert dialling.proved and listening.proved
    one, two, three, four = [seal.tag(b"header and payload", b"") for seal in (dialling.speaks, listening.hears, dialling.hears, listening.speaks)]
    assert one == two != three == four


# ---- the key ----


@pytest.mark.parametrize("text,mode,complaint", [
    (None, 0o640, "may be read by others"), (None, 0o604, "may be read by others"), (None, 0o620, "may be read by others"),
    ("12" * 31 + "\n", 0o600, "64 hexadecimal digits"), ("12" * 32 + "\n\n", 0o600, "64 hexadecimal digits"), ("xy" * 32, 0o600, "64 hexadecimal digits"),
    (" ", 0o600, "64 hexadecimal digits"),
])
def test_a_key_that_will_not_do(tmp_path, text, mode, complaint):
    path = new_key(tmp_path / "key", text, mode)
    with pytest.raises(lifeline.Wrong) as wrong:
        lifeline.read_key(str(path))
    assert complaint in str(wrong.value)
    assert not text or text.strip() not in str(wrong.value) or text == " "


def test_a_key_of_another_or_behind_a_link_or_no_file(tmp_path):
    path = new_key(tmp_path / "key")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(str(tmp_path / "fifo"), 0o600)
    for name, complaint in (("link", "symbolic links"), ("fifo", "no file"), ("nothing", "No such file")):
        with pytest.raises(lifeline.Wrong) as wrong:
            lifeline.read_key(str(tmp_path / name))
        assert complaint in str(wrong.value)
    if os.geteuid() == 0:
        os.chown(str(path), OTHER, OTHER)
        done = subprocess.run([sys.executable, "-IS", str(PROGRAM), "agent", "--to", "127.0.0.1:1", "--line-listen", "127.0.0.1:0", "--key", str(path)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
        assert done.returncode == 2 and b"belongs to another account" in done.stderr


# ---- what is kept ----


@given(st.lists(st.tuples(st.sampled_from(["add", "read", "free"]), st.integers(0, 700000)), max_size=30))
def test_a_store_keeps_what_it_is_given(steps):
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


def test_places():
    assert lifeline.parse_place("localhost:80").address == ("127.0.0.1", 80)
    assert lifeline.parse_place("[::1]:80").family == socket.AF_INET6
    for text in ("", "host:80", "127.1:80", "1.2.3.4", "1.2.3.4:99999", "1.2.3.4:80 ", "unix:", "unix:a", "unix:/" + "a" * 101, "1.2.3.4:80\n", ":::1:80"):
        with pytest.raises(lifeline.Wrong):
            lifeline.parse_place(text)


def test_a_free_port_is_no_squatter(tmp_path):
    port, = free_ports()
    stub = End(tmp_path, "stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(port), key=new_key(tmp_path / "key"))
    stub.logged("Connection refused")
    near = stub.connect()
    stub.stop()
    assert to_the_end(near) == b""
