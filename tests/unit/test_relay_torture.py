# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers of random sizes through paraview-relay, with half-closes, resets, stalls and reloads, each byte compared."""

import functools
import os
import random
import select
import socket
import threading
import time

import pytest
from relay import Relay, Target, free_ports, interpreters, reset, status_of

NOISE = os.urandom(1 << 22)
PATIENCE = 30
AGAIN = (BlockingIOError, InterruptedError)


class End:
    """One end of a transfer: it sends random pieces, and compares the bytes that it receives."""

    def __init__(self, sock, dice, most):
        self.sock, self.dice = sock, dice
        sock.setblocking(False)
        size = int(most ** dice.random()) if dice.random() < 0.95 else 0
        self.start, self.size = dice.randrange(len(NOISE) // 2), size
        self.piece = max(size // 200, dice.choice([100, 4000, 65536, 1 << 20]))
        self.sent = self.got = 0
        self.shut = self.ended = self.broken = False
        self.read_after = self.write_after = 0
        self.reads_most = max(most // 200, dice.choice([1000, 65536, 1 << 20]))
        self.breaks_at = None
        self.pauses = dice.choice([0, 0, 1, 4])

    def _until(self, now):
        """The time at which it continues: now, unless it pauses."""
        if self.pauses and self.dice.random() < 0.1:
            self.pauses -= 1
            return now + self.dice.random() * 0.05
        return now

    def step(self, other, now):
        """Whether it sent or received anything."""
        return self._read(other, now) | self._write(now)

    def _read(self, other, now):
        if self.ended or self.broken or now < self.read_after:
            return False
        try:
            piece = self.sock.recv(self.reads_most)
        except AGAIN:
            return False
        except OSError:
            self.broken = True
            return True
        self.read_after = self._until(now)
        if piece:
            assert piece == NOISE[other.start + self.got:other.start + self.got + len(piece)], "other bytes at {0}".format(self.got)
            self.got += len(piece)
        else:
            self.ended = True
        return True

    def _write(self, now):
        if self.shut or self.broken or now < self.write_after:
            return False
        try:
            if self.breaks_at is not None and self.sent >= self.breaks_at:
                reset(self.sock)
                self.broken = True
            elif self.sent == self.size:
                self.sock.shutdown(socket.SHUT_WR)
                self.shut = True
            else:
                until = min(self.size, self.sent + self.piece)
                self.sent += self.sock.send(NOISE[self.start + self.sent:self.start + until])
        except AGAIN:
            return False
        except OSError:
            self.broken = True
        self.write_after = self._until(now)
        return True

    def __repr__(self):
        return "sent {0.sent} of {0.size} got {0.got} shut {0.shut} ended {0.ended} broken {0.broken} breaks at {0.breaks_at}".format(self)

    @property
    def done(self):
        return self.broken or (self.shut and self.ended)


class Transfers(threading.Thread):
    """Transfers over one route, one after the other."""

    def __init__(self, relay, port, target, count, seed, most, waits):
        super().__init__(daemon=True)
        self.relay, self.port, self.target, self.count, self.most, self.waits = relay, port, target, count, most, waits
        self.dice, self.failure, self.done, self.bytes, self.resets = random.Random(seed), None, 0, 0, 0

    def run(self):
        try:
            for _one in range(self.count):
                self._transfer()
                self.done += 1
        except Exception as error:  # the test reports it
            self.failure = error

    def _transfer(self):
        dice = self.dice
        source = self.relay.connect(self.port)
        if self.waits:
            # A target that is not ready, such as ssh -R without a client.
            for _time in range(dice.choice([0, 0, 0, 1, 2])):
                dice.choice([reset, socket.socket.close])(self.target.accept())
        ends = [End(source, dice, self.most), End(self.target.accept(), dice, self.most)]
        breaks = dice.random() < 0.1
        if self.waits:
            ends[1].size += not ends[1].size  # a target that sends no byte would be tried again
        if breaks:
            end = ends[0] if self.waits else dice.choice(ends)
            end.breaks_at = dice.randrange(end.size + 1)
            self.resets += 1
        deadline = time.monotonic() + PATIENCE
        while not all(end.done for end in ends):
            now = time.monotonic()
            assert now < deadline, "a transfer hangs: {0}".format(ends)
            if not ends[0].step(ends[1], now) | ends[1].step(ends[0], now):
                self._pause(ends, now)
        for end in ends:
            end.sock.close()
        self.bytes += ends[0].got + ends[1].got
        if not breaks:
            assert [end.got for end in ends] == [end.size for end in ends[::-1]]
            assert not any(end.broken for end in ends)
        elif not self.target.path:  # a unix socket has no RST
            assert all(end.broken for end in ends), "a reset was not forwarded: {0}".format(ends)

    @staticmethod
    def _pause(ends, now):
        readers = [end.sock for end in ends if not end.ended and not end.broken and now >= end.read_after]
        writers = [end.sock for end in ends if not end.shut and not end.broken and now >= end.write_after]
        select.select(readers, writers, [], 0.01)


def are_done(workers, count):
    return sum(worker.done for worker in workers) >= count or any(worker.failure for worker in workers)


def run_transfers(tmp_path, short_path, until, count, reloads, most, seed, **options):
    routes = 6
    ports, targets = free_ports(routes), [Target(backlog=16) for _one in range(routes - 1)] + [Target(short_path / "t", backlog=16)]
    config = tmp_path / "relay.conf"
    config.write_text("[relay]\nstatus = {0}\n".format(short_path / "s") + "".join(
        "[route r{0}]\nlisten = 127.0.0.1:{1}\nto = {2}\nallow = 127.0.0.1\nwait_s = {3}\n".format(
            at, ports[at], targets[at].text, "60" if at % 2 else "off") for at in range(routes)))
    relay = Relay(tmp_path, config=config, ready=(short_path / "s").exists, **options)
    try:
        status_of(short_path / "s")  # when it answers, it has opened every descriptor that it needs
        descriptors, memory = relay.descriptors(), []
        for turn in range(2):  # the first turn is for warming up
            part = count // 5 if turn == 0 else count - count // 5
            workers = [Transfers(relay, ports[at], targets[at], part // routes, seed + turn * routes + at, most, at % 2) for at in range(routes)]
            for worker in workers:
                worker.start()
            for reload in range(reloads):
                until(functools.partial(are_done, workers, part * reload // (reloads + 1)), 600)
                assert "continue" in relay.reload()
            for worker in workers:
                worker.join(600)
                assert not worker.failure, "{0} after {1}: {2!r}".format(worker.name, worker.done, worker.failure)
                assert not worker.is_alive()
            until(lambda: not status_of(short_path / "s")["sessions"])
            memory.append(relay.memory_kib())
        until(lambda: relay.descriptors() <= descriptors + 32)  # spare pipes
        relay.reload()
        until(lambda: relay.descriptors() <= descriptors)
        assert memory[1] < memory[0] + 6000, memory
        return [worker.bytes for worker in workers], sum(worker.resets for worker in workers), memory, reload
    finally:
        relay.stop()
        for target in targets:
            target.close()


def test_random_transfers(tmp_path, short_path, until):
    run_transfers(tmp_path, short_path, until, 150, 2, 1 << 18, 1)


@pytest.mark.torture
@pytest.mark.parametrize("python", interpreters())
def test_ten_thousand_random_transfers(tmp_path, short_path, until, python):
    count = int(os.environ.get("EXAMPLES", "10000")) // (1 if python == interpreters()[0] else 5)
    print(run_transfers(tmp_path, short_path, until, count, 20, 1 << 20, random.randrange(1 << 30), python=python))
