# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-lifeline with encryption: what a host between the ends can see or change, and ends that cannot encrypt."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import wait_until
from lifeline import EAGER, PROGRAM, QUICK, End, Pair, encrypting, module, new_key
from relay import Target, exactly, interpreters, to_the_end
from test_lifeline_attacks import AGENT, STUB, Impostor, dial, is_closed

lifeline = module()
PYTHON = (encrypting() or [None])[0]
WORD = b"a message from ParaView to pvserver"
MEGABYTE = os.urandom(1 << 20)
pytestmark = pytest.mark.skipif(not PYTHON, reason="no Python here can encrypt a line; 3.13 is required")


@pytest.fixture(name="pair")
def _pair(tmp_path):
    made = []

    def pair(**options):
        options.setdefault("python", {"agent": PYTHON, "stub": PYTHON})
        made.append(Pair(tmp_path, **options))
        return made[-1]
    yield pair
    for one in made:
        one.close()


def talk(both, near, far):
    """Sends more than a megabyte in each direction."""
    for source, sink in ((near, far), (far, near)):
        thread = threading.Thread(target=source.sendall, args=(WORD + MEGABYTE + WORD,), daemon=True)
        thread.start()
        assert exactly(sink, 2 * len(WORD) + len(MEGABYTE)) == WORD + MEGABYTE + WORD
        thread.join(15)


@pytest.mark.parametrize("agent_dials", [False, True])
def test_a_recording_of_the_line_shows_no_content(pair, agent_dials):
    both = pair(agent_dials=agent_dials, keep=True)
    near, far = both.open()
    talk(both, near, far)
    both.wire.cut()
    talk(both, near, far)
    seen = both.wire.seen["up"] + both.wire.seen["down"]
    assert len(seen) > 4 << 20
    for secret in (WORD, MEGABYTE[:100], MEGABYTE[-100:], MEGABYTE[500000:500100]):
        assert secret not in seen
    for end in (both.agent, both.stub):
        assert end.status["encrypted"] is True
        assert ", encrypted\n" in end.log and "reconnected after" in end.log and "not encrypted" not in end.log
    near.close()
    assert to_the_end(far) == b""
    far.close()
    assert [both.agent.ends(), both.stub.ends()] == [0, 0]


@pytest.mark.parametrize("role", ["agent", "stub"])
@pytest.mark.parametrize("python", [*interpreters()[:1], *interpreters()[1:2]])
def test_the_line_is_not_encrypted_if_one_end_cannot_encrypt(pair, role, python):
    if python in encrypting():
        pytest.skip("it can")
    both = pair(python={"agent": PYTHON, "stub": PYTHON, role: python}, keep=True)
    near, far = both.open()
    talk(both, near, far)
    assert WORD in both.wire.seen["up"] and WORD in both.wire.seen["down"]
    for end in (both.agent, both.stub):
        assert end.status["encrypted"] is False
        assert ", not encrypted" in end.log


def test_a_lost_line_does_not_count_as_encrypted(pair):
    both = pair()
    near, far = both.open()
    talk(both, near, far)
    both.wire.down = True
    both.wire.cut()
    assert both.stub.becomes("outage").status["encrypted"] is False


@pytest.mark.parametrize("ways", [("up",), ("down",), ("up", "down")])
def test_nobody_can_turn_encryption_off(pair, ways):
    both = pair(keep=True)
    both.stub.becomes("connected")
    hits = []

    def change(piece, way):
        if way in ways and piece[:4] == b"PVLL":
            hits.append(way)
            return piece[:6] + bytes([piece[6] & ~lifeline.ENCRYPTS]) + piece[7:]
        return piece
    both.wire.change = change
    both.wire.cut()
    near = both.stub.connect()
    near.sendall(WORD)
    both.stub.logged("does not have the key")
    wait_until(lambda: len(hits) > 3)
    assert both.stub.status["state"] == both.agent.status["state"] == "outage"
    both.wire.change = None
    far = both.target.accept()
    assert exactly(far, len(WORD)) == WORD
    assert both.stub.status["encrypted"] is True
    assert WORD not in both.wire.seen["up"]


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("what", ["flip", "drop", "repeat"])
def test_what_is_changed_on_the_way_is_noticed_and_nothing_is_lost(pair, way, what):
    both = pair()
    near, far = both.open()
    talk(both, near, far)
    source, sink = (near, far) if way == "up" else (far, near)
    hits = []

    def change(piece, its_way):
        if its_way != way or hits or len(piece) < 1000:
            return piece
        hits.append(piece)
        return {"flip": piece[:500] + bytes([piece[500] ^ 1]) + piece[501:], "drop": b"", "repeat": piece + piece}[what]
    both.wire.change = change
    thread = threading.Thread(target=source.sendall, args=(MEGABYTE * 4,), daemon=True)
    thread.start()
    assert exactly(sink, 4 << 20) == MEGABYTE * 4
    thread.join(15)
    assert hits
    (both.agent if way == "up" else both.stub).logged("tampered")
    assert both.stub.status["losses"] == 1
    assert both.stub.status["encrypted"] is True


def certificate(directory):
    """ssl.SSLContext: of a server with a self-signed certificate."""
    path = directory / "certificate"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=lifeline",
                    "-keyout", str(path) + ".key", "-out", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(path), str(path) + ".key")
    return context


def test_a_host_that_forwards_the_proofs_and_encrypts_itself_is_refused(tmp_path, pair):
    """The proofs are real. Afterwards each end talks to the host in the middle, which has a certificate but no key."""
    if PYTHON is None or not os.access("/usr/bin/openssl", os.X_OK):
        pytest.skip("there is no openssl")
    server, client = certificate(tmp_path), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    agent = End(tmp_path, "agent", "--to", "127.0.0.1:1", "--line-listen", "127.0.0.1:0", key=new_key(tmp_path / "key"), python=PYTHON)
    outcomes, listener = [], socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)

    def between():
        while True:
            try:
                near, far = listener.accept()[0], dial(agent)
            except OSError:
                return
            for sock in (near, far):
                sock.settimeout(15)
            for source, sink, count in ((near, far, 56), (far, near, 88), (near, far, 32)):
                sink.sendall(exactly(source, count))
            for sock, context, mine in ((near, server, True), (far, client, False)):
                try:
                    with context.wrap_socket(sock, server_side=mine) as inner:
                        outcomes.append(inner.read(1) or None)
                except OSError as error:
                    outcomes.append(error)
    threading.Thread(target=between, daemon=True).start()
    stub = End(tmp_path, "stub", "--listen", "127.0.0.1:0", "--line-to", "127.0.0.1:{0}".format(listener.getsockname()[1]), *EAGER,
               key=tmp_path / "key", python=PYTHON)
    try:
        for end in (stub, agent):
            end.logged("it could not be encrypted")
            assert end.status["state"] == "waiting" and "connected over" not in end.log
        assert not [one for one in outcomes if isinstance(one, bytes)]
    finally:
        listener.close()
        stub.stop()
        agent.stop()


@pytest.mark.parametrize("content", [b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(600), os.urandom(40000)])
def test_invalid_bytes_instead_of_tls(tmp_path, content):
    server = Target(backlog=1)
    agent = End(tmp_path, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", key=new_key(tmp_path / "key"), python=PYTHON)
    try:
        impostor = Impostor(dial(agent), lifeline.read_key(str(tmp_path / "key")), STUB, flags=lifeline.ENCRYPTS).greet()
        with contextlib.suppress(OSError):
            impostor.sock.sendall(content)
        assert is_closed(impostor.sock)
        agent.logged("it could not be encrypted")
        assert agent.status["state"] == "waiting"
    finally:
        agent.stop()
        server.close()


# An end with the key that asks for new keys of TLS, and never reads the answers. Python's ssl cannot do that, so OpenSSL is called.
NEW_KEYS = """
import _ssl, ctypes, os, runpy, socket, ssl, sys
lifeline = runpy.run_path(sys.argv[1])
host, _colon, port = sys.argv[3].rpartition(":")
sock = socket.create_connection((host, int(port)))
handshake = lifeline["Handshake"](lifeline["read_key"](sys.argv[2]), 2, os.urandom(16), True, lifeline["ENCRYPTS"])
sock.sendall(handshake.begin())
while not handshake.proved:
    sock.sendall(handshake.feed(sock.recv(handshake.expected, socket.MSG_WAITALL)))
tls = lifeline["Tls"](ssl, handshake.secret, True)
while not tls.done:
    tls.handshake_step()
    sock.sendall(tls.outgoing.read())
    if not tls.done:
        tls.incoming.write(sock.recv(65536))
tls.inner.write(lifeline["HEADER"].pack(1, 24, 0) + lifeline["RESUME_"].pack(0, 0, 1 << 24))
library, inner = ctypes.CDLL(_ssl.__file__), ctypes.c_void_p.from_address(id(tls.inner._sslobj) + object.__basicsize__ + 8)
try:
    for number in range(100000):
        assert library.SSL_key_update(inner, 1) == 1
        library.SSL_do_handshake(inner)
        if number % 500 == 0:
            sock.sendall(tls.outgoing.read())
except OSError:
    print("closed")
"""


def test_an_end_that_asks_for_new_keys_for_ever_is_disconnected(tmp_path):
    server = Target(backlog=1)
    agent = End(tmp_path, "agent", "--to", server.text, "--line-listen", "127.0.0.1:0", key=new_key(tmp_path / "key"), python=PYTHON)
    done = subprocess.run([PYTHON, "-ISc", NEW_KEYS, str(PROGRAM), str(tmp_path / "key"), agent.line], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    assert (done.stdout, done.stderr) == (b"closed\n", b"")
    agent.logged("it asked for too many answers")
    agent.stop()
    server.close()


def test_memory_stays_within_the_buffer_and_20_mb(pair):
    both = pair(options=(*QUICK, "--buffer", "8"))
    near, far = both.open()
    talk(both, near, far)
    sent, size = 0, len(MEGABYTE)
    far.settimeout(0.5)
    with contextlib.suppress(socket.timeout):
        while True:
            sent += far.send(MEGABYTE[sent % size:])
    far.settimeout(15)
    got = exactly(near, sent)
    assert got == (MEGABYTE * (sent // size + 1))[:sent]
    for end in (both.agent, both.stub):
        assert end.memory_kib() < 22000 + (8 << 10)


def test_each_connection_has_its_own_key_of_the_encryption():
    made = []
    for _time in range(2):
        key = bytes(32)
        dialling = lifeline.Handshake(key, AGENT, b"a" * 16, True, lifeline.ENCRYPTS)
        listening = lifeline.Handshake(key, STUB, b"b" * 16, False, lifeline.ENCRYPTS)
        answer = listening.feed(dialling.begin())
        dialling.feed(answer[:56])
        listening.feed(dialling.feed(answer[56:]))
        assert dialling.secret == listening.secret
        made.append(dialling.secret)
    assert len({bytes(32), *made}) == 3
    for flags in ((0, 2), (2, 0), (0, 0)):
        one, other = (lifeline.Handshake(key, role, bytes(16), role == AGENT, each) for role, each in zip((AGENT, STUB), flags))
        other.feed(one.begin())
        assert other.secret == b""
