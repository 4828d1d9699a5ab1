# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns the other end of a connection within this host, as paraview-lifeline and paraview-relay see it: from the kernel, or from /proc."""

import builtins
import os
import socket
import struct

import lifeline
import pytest
import relay
from conftest import wait_until
from flood import Flood

OTHER = 61001  # an account that need not exist
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
PROGRAMS = {"lifeline": lifeline.module(), "relay": relay.module()}
CLOSE_WAIT = 8


def owner(program, sock):
    if program is PROGRAMS["lifeline"]:
        return program.peer_owner(sock)
    return program.connection_owner(sock.getpeername()[:2], sock.getsockname()[:2])


def refuse(*_arguments):
    raise OSError(1, "not permitted")


@pytest.fixture(name="program", params=[(name, way) for name in PROGRAMS for way in ("kernel", "proc")], ids=" by ".join)
def _program(request, monkeypatch):
    """A program that can only use one way."""
    name, way = request.param
    program = PROGRAMS[name]
    if way == "proc":
        monkeypatch.setattr(program.SockDiag, "_query" if name == "lifeline" else "_ask", refuse)
    else:
        monkeypatch.setattr(builtins, "open", refuse)
        monkeypatch.setattr(program.SockDiag, "works", True)
    return program


class Connection:
    """A connection within this host: source, sink (accepted), and the listener."""

    def __init__(self, family=socket.AF_INET, uid=None, accepts=True):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.listener.settimeout(15)
        address = self.listener.getsockname()
        os.seteuid(os.geteuid() if uid is None else uid)
        try:
            self.source = socket.socket(family)
        finally:
            if uid is not None:
                os.seteuid(0)
        self.source.connect(("::ffff:" + address[0], address[1]) if family == socket.AF_INET6 else address)
        self.sink = self.listener.accept()[0] if accepts else None

    def close(self):
        for sock in (self.listener, self.source, self.sink):
            if sock:
                sock.close()


@pytest.fixture(name="connection")
def _connection():
    made = []

    def connection(*arguments, **options):
        made.append(Connection(*arguments, **options))
        return made[-1]
    yield connection
    for one in made:
        one.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_an_open_connection_belongs_to_its_process(program, connection, family):
    one = connection(family)
    assert owner(program, one.sink) == os.geteuid()
    assert program is not PROGRAMS["lifeline"] or family != socket.AF_INET or owner(program, one.source) == os.geteuid()


@as_root
def test_a_connection_of_another_account(program, connection):
    assert owner(program, connection(uid=OTHER).sink) == OTHER


def test_a_connection_that_was_closed_belongs_to_nobody(program, connection):
    """Its owner would be root, as in /proc."""
    one = connection()
    one.source.close()
    wait_until(lambda: one.sink.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSE_WAIT)
    assert owner(program, one.sink) is None


def test_a_connection_that_its_other_end_has_not_accepted_belongs_to_nobody(program, connection):
    assert owner(program, connection(accepts=False).source) is None


def test_many_connections_in_proc_do_not_matter(connection, monkeypatch):
    """/proc is not read where the kernel answers, even for the first query."""
    one = connection()
    program = PROGRAMS["lifeline"]
    monkeypatch.setattr(program.SockDiag, "works", False)
    monkeypatch.setattr(builtins, "open", refuse)
    assert program.peer_owner(one.sink) == os.geteuid()
    assert program.SockDiag.works
    one.source.close()
    wait_until(lambda: one.sink.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSE_WAIT)
    assert program.peer_owner(one.sink) is None


@pytest.mark.parametrize("answer", [
    struct.pack("=LHHLLi", 36, 2, 0, 1, 0, -2),  # no such connection, or no such query
    struct.pack("=LHHLLi", 36, 2, 0, 1, 0, -1),
    struct.pack("=LHHLL", 124, 20, 0, 99, 0) + bytes(108),  # of another query
])
def test_a_kernel_that_does_not_know_the_query(connection, monkeypatch, answer):
    one = connection()
    for program in PROGRAMS.values():
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        near.setblocking(False)
        far.send(answer)
        for name, value in (("sock", near), ("works", False), ("sequence", 0)):
            monkeypatch.setattr(program.SockDiag, name, value)
        assert owner(program, one.sink) == os.geteuid()
        far.close()


@as_root
def test_a_launchers_relay_serves_its_user_while_strangers_connect(tmp_path):
    target = relay.Target(backlog=8)
    one = relay.Relay(tmp_path, "--to", target.text, "--source-owner", "root")
    try:
        with Flood(one.port, OTHER) as flood:
            source = one.connect()
            sink = target.accept()
            source.sendall(b"hello")
            assert relay.exactly(sink, 5) == b"hello"
            assert flood.runs
        one.logged("belongs to an account that this route does not serve")
        source.close()
        sink.close()
    finally:
        one.stop()
        target.close()
