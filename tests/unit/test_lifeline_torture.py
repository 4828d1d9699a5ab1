# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers in both directions through paraview-lifeline while its line is cut after any byte, or becomes silent. Each byte is compared."""

import os
import random
import socket
import threading
import time

import pytest
from conftest import wait_until
from lifeline import QUICK, Pair, encrypting
from relay import interpreters

NOISE = os.urandom((1 << 22) + 1)
CUTS = int(os.environ.get("CUTS", "1000"))
SESSIONS = 20
LONGEST_S = 1500


class Stream:
    """One direction: sends bytes at a random pace, and compares what arrives."""

    def __init__(self, source, sink, dice, until):
        self.source, self.sink, self.dice, self.until = source, sink, dice, until
        self.sent = self.got = 0
        self.failure = None
        self.threads = [threading.Thread(target=self._run, args=(work,), daemon=True) for work in (self._send, self._receive)]
        for thread in self.threads:
            thread.start()

    def _run(self, work):
        try:
            work()
        except Exception as error:  # finish() checks it
            self.failure = "{0!r} after {1} of {2} bytes".format(error, self.got, self.sent)

    def _send(self):
        self.source.settimeout(120)
        while not self.until.is_set():
            size = int((1 << 21) ** self.dice.random())
            start = self.sent % len(NOISE)
            piece = NOISE[start:start + size]
            self.source.sendall(piece)
            self.sent += len(piece)
            time.sleep(self.dice.choice([0, 0, 0.001, 0.02]))
        self.source.shutdown(socket.SHUT_WR)

    def _receive(self):
        self.sink.settimeout(120)
        while True:
            start = self.got % len(NOISE)
            piece = self.sink.recv(self.dice.choice([1000, 65536, 1 << 20]))
            if not piece:
                return
            first = NOISE[start:start + len(piece)]
            assert piece == first + NOISE[:len(piece) - len(first)]
            self.got += len(piece)
            if self.dice.random() < 0.01:
                time.sleep(0.05)


class Cutter:
    """Cuts each connection of a wire after a number of bytes: within a handshake, a header, a tag, or later."""

    def __init__(self, wire, dice, count):
        self.wire, self.dice, self.left = wire, dice, count
        self.connection, self.passed, self.limit = -1, 0, 0
        self.lock = threading.Lock()
        self.done = threading.Event()
        wire.change = self.change

    def change(self, piece, _way):
        with self.lock:
            if self.wire.accepted != self.connection:
                self.connection, self.passed = self.wire.accepted, 0
                self.limit = self.dice.choice([self.dice.randrange(1, 400), int((1 << 23) ** self.dice.random())])
            room = self.limit - self.passed
            if room <= 0:
                return b""  # it is being cut
            if self.left <= 0:
                return piece
            self.passed += len(piece)
            if self.passed < self.limit:
                return piece
            self.left -= 1
            if self.left <= 0:
                self.done.set()
        threading.Timer(0, self.wire.cut).start()
        return piece[:room]


def finish(both, streams, until, seconds=120):
    """Ends both streams, and checks what arrived."""
    until.set()
    for stream in streams:
        for thread in stream.threads:
            thread.join(seconds)
            assert not thread.is_alive(), both.agent.log[-3000:] + both.stub.log[-3000:]
        assert stream.failure is None
        assert stream.got == stream.sent > 0
    assert [both.agent.ends(70), both.stub.ends(70)] == [0, 0]
    assert "tampered" not in both.agent.log + both.stub.log
    assert "does not" not in both.agent.log + both.stub.log


@pytest.mark.torture
def test_no_byte_is_lost_or_doubled_in_a_thousand_cuts(tmp_path):
    seed = int(os.environ.get("SEED", "1"))
    pairs, cutters, streams, until = [], [], [], threading.Event()
    pythons = [{"agent": one} for one in interpreters()] + [{"agent": one, "stub": one} for one in encrypting()]
    try:
        for number in range(SESSIONS):
            dice = random.Random("{0} {1}".format(seed, number))
            (tmp_path / str(number)).mkdir()
            both = Pair(tmp_path / str(number), reverse=number % 2 == 1, agent_dials=number % 4 > 1, options=("--buffer", "4"),
                        python=pythons[number % len(pythons)])
            pairs.append(both)
            near, far = both.open()
            streams.append([Stream(one, other, random.Random(dice.random()), until) for one, other in ((near, far), (far, near))])
            cutters.append(Cutter(both.wire, dice, CUTS // SESSIONS))
        deadline = time.monotonic() + LONGEST_S
        for cutter, both, two in zip(cutters, pairs, streams):
            while not cutter.done.wait(1):
                assert time.monotonic() < deadline, "{0} cuts are left\n{1}".format(cutter.left, both.stub.log[-2000:])
                assert not [one.failure for one in two if one.failure]
        for both, two in zip(pairs, streams):
            finish(both, two, until)
        print("{0} cuts, {1:.0f} MB".format(CUTS, sum(one.got for two in streams for one in two) / 1e6))
    finally:
        for both in pairs:
            both.close()


@pytest.mark.torture
def test_ten_silent_losses(tmp_path):
    until = threading.Event()
    both = Pair(tmp_path, options=QUICK)
    near, far = both.open()
    streams = [Stream(one, other, random.Random(number), until) for number, (one, other) in enumerate(((near, far), (far, near)))]
    try:
        for number in range(1, 11):
            time.sleep(random.Random(number).random())
            before = both.stub.status["losses"]
            both.wire.stall()
            both.stub.logged("(nothing was received for 1 s(.|\n)*){{{0}}}".format(number), 30)
            wait_until(lambda before=before: both.stub.status["losses"] == before + 1)
            both.wire.cut()
            both.stub.becomes("connected")
            both.agent.becomes("connected")
        finish(both, streams, until)
    finally:
        both.close()
