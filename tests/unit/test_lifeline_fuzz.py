# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of paraview-lifeline, against messages that are random, cut, too long, repeated, or in another order; afterwards the right end still connects."""

import contextlib
import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeline import End, module, new_key
from relay import Target
from test_lifeline_attacks import AGENT, STUB, Impostor, dial

lifeline = module()
RIGHT = b"f" * 16  # the instance of the right end


class Listening:
    """An agent that listens for its line; the test is the stub."""

    def __init__(self, directory):
        self.server = Target(backlog=1)
        self.end = End(directory, "agent", "--to", self.server.text, "--line-listen", "127.0.0.1:0", key=new_key(directory / "key"))
        self.key = self.end.key = lifeline.read_key(str(directory / "key"))

    def connect(self, instance=RIGHT, key=None):
        return Impostor(dial(self.end), key or self.key, STUB, instance=instance)

    def close(self):
        assert self.end.stop() == 0
        self.server.close()


class Dialling:
    """A stub that dials its line; the test is the agent."""

    def __init__(self, directory):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(15)
        self.where = directory / "where"
        self.end = End(directory, "stub", "--listen", "127.0.0.1:0", "--line-to", "@{0}".format(self.where), key=new_key(directory / "key"))
        self.key = lifeline.read_key(str(directory / "key"))

    def connect(self, instance=RIGHT, key=None):
        new = self.where.with_name("new")
        new.write_text("127.0.0.1:{0}\n".format(self.listener.getsockname()[1]))
        new.rename(self.where)  # it is dialled at once
        sock = self.listener.accept()[0]
        sock.settimeout(15)
        return Impostor(sock, key or self.key, AGENT, dials=False, instance=instance)

    def close(self):
        assert self.end.stop() == 0
        self.listener.close()


@pytest.fixture(name="one", params=[Listening, Dialling], ids=lambda kind: kind.__name__.lower(), scope="module")
def _one(request, tmp_path_factory):
    made = request.param(tmp_path_factory.mktemp("end"))
    # A session belongs to the end with which it was used; until then, another one may replace that.
    first = made.connect()
    first.greet().resume()
    first.send(lifeline.OPEN)
    first.sock.close()
    made.memory = made.end.memory_kib()
    yield made
    # The limit is that of the buffers of one session.
    assert made.end.memory_kib() < made.memory + 40000
    made.close()


def right_end_connects(one):
    """The right end completes its handshake, and the positions fit."""
    for _time in range(5):
        other = one.connect()
        with contextlib.suppress(EOFError, OSError):  # the one before may still be open at the other end
            received, delivered, window = other.greet().resume()
            assert 0 <= delivered <= received and window == 32 << 20
            other.sock.close()
            return True
        other.sock.close()
    return False


# What a right end may send, and how it is spoilt. RST and BYE would end the session, as they should.
KINDS = st.sampled_from([lifeline.RESUME, lifeline.DATA, lifeline.ACK, lifeline.PING, lifeline.OPEN, 0, 10, 255])
SMALL_OR_ANY = st.integers(0, 3) | st.integers(0, 2 ** 64 - 1)
PAYLOADS = st.binary(max_size=60) | st.builds(lifeline.RESUME_.pack, SMALL_OR_ANY, SMALL_OR_ANY, SMALL_OR_ANY) | st.builds(
    lifeline.ACK_.pack, SMALL_OR_ANY, SMALL_OR_ANY)
FRAMES = st.lists(st.tuples(KINDS, PAYLOADS, SMALL_OR_ANY), min_size=1, max_size=8)
SPOILT = st.lists(st.one_of(
    st.tuples(st.just("repeat"), st.integers(0, 9), st.integers(0, 9)), st.tuples(st.just("swap"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("cut"), st.integers(0, 9), st.integers(0, 80)), st.tuples(st.just("flip"), st.integers(0, 9), st.integers(0, 900)),
    st.tuples(st.just("length"), st.integers(0, 9), st.integers(0, 2 ** 32 - 1)), st.tuples(st.just("insert"), st.integers(0, 9), st.binary(max_size=200)),
), max_size=3)


def spoil(messages, what, at, value):
    at %= len(messages)
    one = messages[at]
    if what == "repeat":
        messages[at:at] = [one] * (value + 1)
    elif what == "swap":
        other = value % len(messages)
        messages[at], messages[other] = messages[other], one
    elif what == "cut":
        messages[at] = one[:value]
    elif what == "flip" and one:
        bit = value % (8 * len(one))
        messages[at] = one[:bit // 8] + bytes([one[bit // 8] ^ 1 << bit % 8]) + one[bit // 8 + 1:]
    elif what == "length":
        messages[at] = one[:4] + value.to_bytes(4, "big") + one[8:]
    elif what == "insert":
        messages.insert(at, value)


@settings(max_examples=40)
@given(resumes=st.booleans(), known=st.booleans(), frames=FRAMES, spoilt=SPOILT)
def test_spoilt_messages_of_an_end_with_the_key(one, resumes, known, frames, spoilt):
    # A new agent without state ends the session of the first one, as it should.
    other = one.connect(RIGHT if known or isinstance(one, Dialling) else os.urandom(16))
    with contextlib.suppress(EOFError, OSError, AssertionError):
        other.greet()
        if resumes:
            other.resume()
        messages = []
        for kind, payload, offset in frames:
            header = lifeline.HEADER.pack(kind, len(payload), offset)
            messages.append(header + payload + other.outgoing.tag(header + payload, b""))
        for each in spoilt:
            spoil(messages, *each)
        other.sock.sendall(b"".join(messages))
    other.sock.close()
    assert one.end.process.poll() is None and "Traceback" not in one.end.log
    assert right_end_connects(one)


@settings(max_examples=30)
@given(content=st.binary(max_size=400), magic=st.booleans(), spoilt=SPOILT, has_key=st.booleans())
def test_spoilt_handshakes(one, content, magic, spoilt, has_key):
    other = one.connect(key=None if has_key else os.urandom(32))
    with contextlib.suppress(EOFError, OSError, lifeline.LineError):
        messages = [other.handshake.begin(), content]
        if not has_key:
            messages = [b"PVLL\1" * magic, content]
        elif not other.handshake.dials:
            answer = other.handshake.feed(other.read(other.handshake.expected))
            messages = [answer[:lifeline.HELLO.size], answer[lifeline.HELLO.size:], content]
        for each in spoilt or [("insert", 0, content)]:
            spoil(messages, *each)
        other.sock.sendall(b"".join(messages))
    other.sock.close()
    assert one.end.process.poll() is None and "Traceback" not in one.end.log
    assert right_end_connects(one)


@pytest.mark.parametrize("kind", range(12))
@pytest.mark.parametrize("length", [1, 131072, 131073, 2 ** 31, 2 ** 32 - 1])
def test_a_message_of_any_length_needs_bounded_memory(one, kind, length):
    """Only its header and some bytes arrive."""
    other = one.connect()
    with contextlib.suppress(EOFError, OSError):
        other.greet().resume()
        other.sock.sendall(lifeline.HEADER.pack(kind, length, 0) + bytes(1000))
    other.sock.close()
    assert one.end.process.poll() is None
    assert right_end_connects(one)
