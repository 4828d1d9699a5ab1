# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connect-id in ParaView's handshake, which paraview-lifeline replaces: as a stub with a line, and as a proxy without one."""

import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_until
from hypothesis import given
from hypothesis import strategies as st
from lifeline import BEFORE, GREETING, PROGRAM, End, Pair, handshake, identity, module
from relay import Target, exactly, is_reset, to_the_end

lifeline = module()
# As recorded from ParaView 5.11.0.
RECORDED = BEFORE + (b"\x97\x86\1\0\4\0\0\x007\0\0\0\x97\x86\1\x007\0\0\0paraview-5.11.connect_id.4242.renderingbackend.opengl2\0")
OF_DIALOG, OF_PVSERVER = 4242, 2147483646
OTHER = 61001  # an account that need not exist
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
connect_ids = st.integers(1, 2 ** 31 - 1)


def exchange(given_id, expected_id):
    return lifeline.ConnectIds(str(given_id).encode(), str(expected_id).encode())


def fed(ids, content, cuts):
    """bytes: what passes of a content that arrives in pieces."""
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return b"".join(ids.feed(content[begin:end]) for begin, end in zip(places, places[1:]))


def test_the_recorded_handshake():
    assert handshake(4242, "5.11") == GREETING + RECORDED
    assert exchange(4242, 7).feed(GREETING + RECORDED) == handshake(7, "5.11")


@given(connect_ids, connect_ids, st.binary(max_size=600), st.lists(st.integers(0, 2000), max_size=30), st.sampled_from(["5.11", "5.13", "6.1", "10.20"]))
def test_whatever_the_pieces_the_connect_id_is_replaced(sent, expected, rest, cuts, version):
    ids = exchange(sent, expected)
    assert fed(ids, handshake(sent, version) + rest, cuts) == handshake(expected, version) + rest
    assert ids.done and not ids.held


@given(connect_ids, connect_ids, st.one_of(st.none(), connect_ids), st.lists(st.integers(0, 400), max_size=20))
def test_another_connect_id_and_none_pass_unchanged_but_not_that_of_the_accepting_side(sent, expected, other, cuts):
    content, ids = handshake(other) + b"more", exchange(sent, expected)
    if other == expected != sent:
        with pytest.raises(lifeline.HandshakeError):
            fed(ids, content, cuts)
    elif other != sent:
        assert fed(ids, content, cuts) == content


@given(st.one_of(st.binary(max_size=3000), st.binary(max_size=3000).map(lambda rest: GREETING + rest),
                 st.lists(st.tuples(st.sampled_from([0, 99991, 0x3e3e3e3e]), st.binary(max_size=300)), max_size=20).map(
                     lambda messages: GREETING + b"".join(struct.pack("<LL", tag, len(text)) + text for tag, text in messages))),
       st.lists(st.integers(0, 3000), max_size=30))
def test_garbage_ends_or_passes_unchanged_and_little_is_kept(content, cuts):
    ids, passed = exchange(5, 6), b""
    try:
        for byte in (content[at:at + 1] for at in range(len(content))):
            passed += ids.feed(byte)
            assert len(ids.held) <= 2 * (lifeline.SHORT + lifeline.TAGGED.size)
    except lifeline.HandshakeError:
        return
    assert passed + ids.held == content
    assert fed(exchange(5, 6), content, cuts) == passed


@pytest.mark.parametrize("text", [
    b"paraview-6.1.connect_id.05.renderingbackend.opengl2\0", b"paraview-6.1.connect_id.+5.x\0", b"paraview-6.1.connect_id. 5.x\0",
    b"paraview-6.1.connect_id.5x.y\0", b"paraview-6.1.connect_id.6.connect_id.5.x\0", b"paraview-6.1.x.connect_id.5\0", b"paraview-6.1.connect_id.5",
    b"paraview-6.1.connect_id.5\0\0", b"paraview-6.1.connect_id.5\0.connect_id.6\0", b"paraview-6.1.connect_id.99999999999.x\0", b"\0", b""])
def test_no_other_spelling_of_a_connect_id_passes(text):
    """The accepting side might read it as its own."""
    with pytest.raises(lifeline.HandshakeError):
        exchange(6, 5).feed(GREETING + identity(text))


@pytest.mark.parametrize("more", [
    struct.pack("<LLL", 99991, 3, 5) + b"\0" * 50,
    struct.pack("<LLLLL", 99991, 4, 9, 99991, 8) + b"paraview", struct.pack("<LLLLL", 99991, 4, 9, 5, 9) + b"paraview\0",
    struct.pack("<LL", 5, 257), struct.pack("<LL", 5, 0) * 9])
def test_what_is_no_handshake_of_paraview_ends_the_connection(more):
    with pytest.raises(lifeline.HandshakeError):
        exchange(6, 5).feed(GREETING + more)


# ---- as programs ----


@pytest.fixture(name="ids_file")
def _ids_file(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "connect_ids"
        path.write_text(text)
        path.chmod(mode)
        return str(path)
    return write


@pytest.fixture(name="proxy")
def _proxy(tmp_path, ids_file):
    """Starts a proxy of a direction, by default to a target that listens."""
    made = []

    def proxy(*options, reverse=False, to=None, listen="127.0.0.1:0"):
        ids = (OF_PVSERVER, OF_DIALOG) if reverse else (OF_DIALOG, OF_PVSERVER)
        made.append(End(tmp_path, "proxy", "--listen", listen, "--to", to, "--connect-ids", ids_file("{0} {1}\n".format(*ids)), *options, key=None))
        return made[-1]
    yield proxy
    for one in made:
        one.stop()


@pytest.fixture(name="target")
def _target():
    target = Target(backlog=8)
    yield target
    target.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_stub_replaces_the_connect_id(tmp_path, ids_file, reverse):
    ids = (OF_PVSERVER, OF_DIALOG) if reverse else (OF_DIALOG, OF_PVSERVER)
    pair = Pair(tmp_path, reverse, stub=("--connect-ids", ids_file("{0} {1}\n".format(*ids))))
    try:
        paraview, server = pair.open()
        caller, called = (server, paraview) if reverse else (paraview, server)
        sent, expected = handshake(ids[0]) + b"more", handshake(ids[1]) + b"more"
        for byte in (sent[at:at + 1] for at in range(0, len(sent))):
            caller.sendall(byte)
        assert exactly(called, len(expected)) == expected
        called.sendall(GREETING + handshake(ids[0]))
        assert exactly(caller, len(GREETING + handshake(ids[0]))) == GREETING + handshake(ids[0]), "what the accepting side sends passes unchanged"
        megabytes = os.urandom(3 << 20)
        _send_all(caller, megabytes, called)
        _send_all(called, megabytes, caller)
        assert str(OF_PVSERVER) not in pair.stub.log and str(OF_DIALOG) not in pair.stub.log
    finally:
        pair.close()


def test_another_paraview_than_the_one_that_was_expected(tmp_path, ids_file):
    """The file is read for each connection that is accepted."""
    pair = Pair(tmp_path, False, stub=("--connect-ids", ids_file("7 {0}\n".format(OF_PVSERVER))))
    try:
        ids_file("{0} {1}\n".format(OF_DIALOG, OF_PVSERVER))
        paraview, server = pair.open()
        paraview.sendall(handshake(OF_DIALOG))
        expected = handshake(OF_PVSERVER)
        assert exactly(server, len(expected)) == expected
    finally:
        pair.close()


def seen_by(sock):
    """bytes: what a socket receives until its connection ends or breaks."""
    received = b""
    try:
        for piece in iter(lambda: sock.recv(65536), b""):
            received += piece
    except ConnectionResetError:
        pass
    return received


def _send_all(source, content, sink):
    """Sends a content from one socket to another one, and checks it."""
    at, received = 0, b""
    source.setblocking(False)
    while len(received) < len(content):
        try:
            at += source.send(content[at:at + 65536])
        except BlockingIOError:
            pass
        if at > len(received):
            received += exactly(sink, min(65536, at - len(received)))
    source.settimeout(15)
    assert received == content


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("content", [handshake(OF_PVSERVER), b"GET / HTTP/1.1\r\n\r\n", GREETING + b"\xff" * 100])
def test_a_stub_ends_a_session_whose_handshake_is_not_acceptable(tmp_path, ids_file, reverse, content):
    ids = (7, OF_PVSERVER)
    pair = Pair(tmp_path, reverse, stub=("--connect-ids", ids_file("{0} {1}\n".format(*ids))))
    try:
        paraview, server = pair.open()
        caller, called = (server, paraview) if reverse else (paraview, server)
        caller.sendall(content + b"import os")
        pair.stub.logged("its handshake is not accepted")
        assert pair.stub.ends() == 0 and pair.agent.ends() == 0
        seen = seen_by(called)
        assert b"import" not in seen and b"connect_id" not in seen
    finally:
        pair.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_proxy_replaces_the_connect_id_for_each_client(proxy, target, reverse):
    ids = (OF_PVSERVER, OF_DIALOG) if reverse else (OF_DIALOG, OF_PVSERVER)
    end = proxy(to=target.text, reverse=reverse)
    assert end.status["paraview"] == "waiting"
    for _client in range(2):
        caller = end.connect()
        caller.sendall(GREETING)
        called = target.accept()
        assert exactly(called, len(GREETING)) == GREETING
        called.sendall(GREETING)
        assert exactly(caller, len(GREETING)) == GREETING
        caller.sendall(handshake(ids[0])[len(GREETING):] + b"more")
        expected = handshake(ids[1])[len(GREETING):] + b"more"
        assert exactly(called, len(expected)) == expected
        wait_until(lambda: end.status["paraview"] == "connected")
        megabytes = os.urandom(3 << 20)
        _send_all(caller, megabytes, called)
        _send_all(called, megabytes, caller)
        caller.shutdown(socket.SHUT_WR)
        assert to_the_end(called) == b""
        called.sendall(b"the end")
        called.close()
        assert to_the_end(caller) == b"the end"
        caller.close()
        wait_until(lambda: end.status["paraview"] == "closed")
    assert str(OF_PVSERVER) not in end.log
    assert str(OF_PVSERVER).encode() not in Path("/proc/{0}/cmdline".format(end.pid)).read_bytes()


CLOSING = struct.pack("<3L", 1, 16, 0xd94a) + 16 * b"\1"


@pytest.mark.parametrize(("last", "left"), [([CLOSING], "orderly"), ([b"much" * 50000, CLOSING[:5], CLOSING[5:]], "orderly"), ([b"picture"], "cut"),
                                            ([], "cut"), ([CLOSING, b"and goes on"], "cut")])
@pytest.mark.parametrize("reverse", [False, True])
def test_how_paraview_leaves(proxy, target, reverse, last, left):
    ids = (OF_PVSERVER, OF_DIALOG) if reverse else (OF_DIALOG, OF_PVSERVER)
    end = proxy(to=target.text, reverse=reverse)
    caller = end.connect()
    caller.sendall(handshake(ids[0]))
    called = target.accept()
    exactly(called, len(handshake(ids[1])))
    wait_until(lambda: end.status["paraview"] == "connected")
    assert end.status["left"] == ""
    paraview, pvserver = (called, caller) if reverse else (caller, called)
    for part in last:
        _send_all(paraview, part, pvserver)
    paraview.close()
    to_the_end(pvserver)
    pvserver.close()
    wait_until(lambda: end.status["paraview"] == "closed")
    assert end.status["left"] == left


def test_several_clients_at_the_same_time(proxy, target):
    end, pairs = proxy(to=target.text), []
    for _client in range(3):
        caller = end.connect()
        caller.sendall(handshake(OF_DIALOG))
        pairs.append((caller, target.accept()))
        assert exactly(pairs[-1][1], len(handshake(OF_PVSERVER))) == handshake(OF_PVSERVER)
    for number, (caller, called) in enumerate(pairs):
        called.sendall(b"%d" % number)
        assert exactly(caller, 1) == b"%d" % number
    pairs[0][1].close()
    assert to_the_end(pairs[0][0]) == b""
    pairs[1][0].sendall(b"still")
    assert exactly(pairs[1][1], 5) == b"still"


def test_a_foreign_pvserver_does_not_get_to_paraview_with_the_connect_id_of_the_dialog(proxy, target):
    end = proxy(to=target.text, reverse=True)
    foreign = end.connect()
    foreign.sendall(GREETING)
    called = target.accept()
    foreign.sendall(handshake(OF_DIALOG)[len(GREETING):] + b"more")
    assert b"paraview" not in seen_by(called)
    end.logged("its handshake is not accepted")
    right = end.connect()
    right.sendall(handshake(OF_PVSERVER))
    assert exactly(target.accept(), len(handshake(OF_DIALOG))) == handshake(OF_DIALOG)


def test_all_guesses_of_the_dialogs_connect_id_fail_at_pvserver(proxy, target):
    """What pvserver sees of another connect-id is that one, which it refuses."""
    end = proxy(to=target.text)
    for guess in (1, OF_DIALOG - 1, OF_DIALOG + 1, 2 ** 31 - 1):
        with end.connect() as caller:
            caller.sendall(handshake(guess))
            with target.accept() as called:
                assert exactly(called, len(handshake(guess))) == handshake(guess)


def test_a_silent_connection_does_not_reach_paraview_and_does_not_keep_others_out(proxy, target):
    end = proxy(to=target.text, reverse=True)
    silent = [end.connect() for _connection in range(20)]
    right = end.connect()
    right.sendall(handshake(OF_PVSERVER))
    assert exactly(target.accept(), len(handshake(OF_DIALOG))) == handshake(OF_DIALOG)
    assert target.nobody_came()
    for sock in silent:
        sock.close()


def test_too_many_that_wait_do_not_push_the_first_one_out(proxy, tmp_path, target):
    place = tmp_path / "client"
    end = proxy(to="@{0}".format(place), reverse=True)
    right = end.connect()
    right.sendall(GREETING)
    others = [end.connect() for _connection in range(80)]
    end.logged("others have not finished their handshakes")
    place.write_text(target.text + "\n")
    called = target.accept()
    right.sendall(handshake(OF_PVSERVER)[len(GREETING):])
    assert exactly(called, len(handshake(OF_DIALOG))) == handshake(OF_DIALOG)
    for sock in others:
        sock.close()


def test_a_proxy_holds_pvserver_until_paraview_listens(proxy, tmp_path, target):
    place = tmp_path / "client"
    end = proxy(to="@{0}".format(place), reverse=True)
    caller = end.connect()
    caller.sendall(GREETING)
    end.logged("ParaView's connection waits")
    place.write_text(target.text + "\n")
    called = target.accept()
    called.sendall(GREETING)
    assert exactly(caller, len(GREETING)) == GREETING
    caller.sendall(handshake(OF_PVSERVER)[len(GREETING):])
    assert exactly(called, len(handshake(OF_DIALOG))) == handshake(OF_DIALOG)


def test_a_handshake_that_reaches_nobody_is_no_connection(proxy, tmp_path, target):
    """Whoever sends everything at once does not pass for ParaView's connection, nor fill the memory."""
    place = tmp_path / "client"
    end = proxy(to="@{0}".format(place), reverse=True)
    callers = [end.connect(), end.connect()]
    for caller, connect_id in zip(callers, (OF_PVSERVER, 7)):
        caller.setblocking(False)
        content = handshake(connect_id) + bytes(1 << 20)
        try:
            while content:
                content = content[caller.send(content):]
        except BlockingIOError:
            pass
    end.logged("ParaView's connection waits")
    assert end.status["paraview"] == "waiting"
    place.write_text(target.text + "\n")
    called = [target.accept() for _connection in range(2)]
    texts = [exactly(sock, len(handshake(7))) for sock in called]
    assert sorted(text.count(str(OF_DIALOG).encode()) for text in texts) == [0, 1]
    wait_until(lambda: end.status["paraview"] == "connected")


def test_a_reset_of_one_side_reaches_the_other_one(proxy, target):
    end = proxy(to=target.text)
    caller = end.connect()
    caller.sendall(handshake(OF_DIALOG))
    called = target.accept()
    exactly(called, len(handshake(OF_PVSERVER)))
    called.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    called.close()
    assert is_reset(caller)


@as_root
def test_a_proxy_refuses_other_accounts(proxy, target):
    end = proxy(to=target.text)
    code = "import os, socket; os.setuid({0}); s = socket.socket(); s.settimeout(9); s.connect(('127.0.0.1', {1})); print(s.recv(1))"
    done = subprocess.run([sys.executable, "-c", code.format(OTHER, end.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert b"ConnectionResetError" in done.stderr
    assert "comes from the account {0}".format(OTHER) in end.log


def test_a_proxy_ends_with_a_signal_and_when_nobody_uses_it(proxy, target):
    end = proxy(to=target.text)
    caller = end.connect()
    caller.sendall(handshake(OF_DIALOG))
    called = target.accept()
    exactly(called, len(handshake(OF_PVSERVER)))
    end.kill(signal.SIGTERM)
    end.logged("received a signal to end")
    caller.close()
    called.close()
    assert end.ends() == 0 and end.status["state"] == "ended"
    unused = proxy("--wait", "0.1", to=target.text)
    assert unused.ends() == 4


@pytest.mark.parametrize(("text", "mode", "message"), [
    ("1 2\n", 0o644, "accessible to other accounts"), ("1\n", 0o600, "not one line of two numbers"), ("0 1\n", 0o600, "not one line of two numbers"),
    ("1 2", 0o600, "not one line of two numbers")])
def test_a_file_of_connect_ids_that_is_not_valid_is_refused(ids_file, text, mode, message):
    words = [sys.executable, "-IS", str(PROGRAM), "proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--connect-ids", ids_file(text, mode)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and message in done.stderr.decode()


@pytest.mark.parametrize("more", [[], ["--line-to", "127.0.0.1:1"], ["--key", "/x", "--to", "127.0.0.1:1"]])
def test_a_proxy_has_both_ends_and_no_line(ids_file, more):
    words = [sys.executable, "-IS", str(PROGRAM), "proxy", "--listen", "127.0.0.1:0", "--connect-ids", ids_file("1 2\n"), *more]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and b"a proxy requires" in done.stderr
