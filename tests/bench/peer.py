"""Both ends of a session for the bench: instead of pictures they pass frames of 64 KiB.

usage: peer.py pvserver OPTIONS...   speaks pvserver's status lines, and says back what it is told
       peer.py client forward|reverse PORT COUNT
       peer.py back listen|dial HOST PORT
With COPIER in the environment a session forward passes that program at each end, which does nothing but copy.
The client prints median and 99th percentile of a round trip, in milliseconds, and how fast much goes to pvserver and comes from there, in MB/s.
"""

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import time

FRAME = 64 * 1024
MUCH = 256 * 1000 * 1000
# What a frame's first byte asks for: itself, that much be taken, that much be sent.
ECHO, TAKE, SEND = range(3)
SETTLE_S = 3  # until connect has ended, which works on the same processors


def exactly(connection, count):
    got = bytearray()
    while len(got) < count:
        data = connection.recv(count - len(got))
        if not data:
            return b""
        got += data
    return bytes(got)


def say_back(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for frame in iter(lambda: exactly(connection, FRAME), b""):
        if frame[0] == SEND:
            send_much(connection)
            continue
        if frame[0] == TAKE:
            take_much(connection)
        connection.sendall(frame)


def send_much(connection):
    content = memoryview(bytes(1 << 20))
    left = MUCH
    while left:
        left -= connection.send(content[:min(left, 262144)])


def take_much(connection):
    content = memoryview(bytearray(1 << 20))
    left = MUCH
    while left:
        got = connection.recv_into(content, min(left, 262144))
        if not got:
            raise SystemExit("it ended in the middle")
        left -= got


def accept(host, port, tell=lambda _port: None):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1)
        tell(listener.getsockname()[1])
        return listener.accept()[0]


def dial(host, port):
    while True:
        try:
            return socket.create_connection((host, port))
        except ConnectionRefusedError:
            time.sleep(0.1)


STAYS = contextlib.ExitStack()


@contextlib.contextmanager
def copied(host, port):
    """int: a port that leads to that one."""
    copier = os.environ.get("COPIER")
    if not copier:
        yield port
        return
    with subprocess.Popen([*shlex.split(copier), "copy", host, "0", str(port)], stdout=subprocess.PIPE) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def pvserver(options):
    given = dict(option.lstrip("-").partition("=")[::2] for option in options)
    port = int(given.get("server-port", "0"))
    if "reverse-connection" in given:
        print("Connecting to client (reverse connection requested)...", flush=True)
        connection = dial(given["client-host"], port)
    else:
        print("Waiting for client...", flush=True)
        connection = accept("0.0.0.0", port, announce)
    connection.sendall(b"h")
    exactly(connection, 1)
    print("Client connected.", flush=True)
    say_back(connection)


def announce(port):
    print(f"Accepting connection(s): {socket.gethostname()}:{STAYS.enter_context(copied('0.0.0.0', port))}", flush=True)


def client(way, port, count):
    if way == "forward":
        connection = dial("127.0.0.1", STAYS.enter_context(copied("127.0.0.1", port)))
    else:
        connection = accept("127.0.0.1" if way == "reverse" else "0.0.0.0", port)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if exactly(connection, 1):
            connection.sendall(b"h")
        time.sleep(SETTLE_S)
        times = []
        frame = bytes(FRAME)
        for _number in range(count):
            begin = time.perf_counter()
            connection.sendall(frame)
            exactly(connection, FRAME)
            times.append(1000 * (time.perf_counter() - begin))
        rates = [MUCH / 1e6 / much(connection, what) for what in (TAKE, SEND)]
    times = sorted(times[count // 10:])
    print(f"{times[len(times) // 2]:.3f} {times[int(len(times) * 0.99)]:.3f} {rates[0]:.1f} {rates[1]:.1f}", flush=True)


def much(connection, what):
    """Seconds that much takes on its way."""
    begin = time.perf_counter()
    connection.sendall(bytes([what]) + bytes(FRAME - 1))
    if what == TAKE:
        send_much(connection)
        exactly(connection, FRAME)
    else:
        take_much(connection)
    return time.perf_counter() - begin


def main(mode, *rest):
    if mode == "pvserver":
        pvserver(rest)
    elif mode == "client":
        client(rest[0], int(rest[1]), int(rest[2]))
    else:
        with dial(rest[1], int(rest[2])) if rest[0] == "dial" else accept(rest[1], int(rest[2])) as peer:
            peer.sendall(b"h")
            exactly(peer, 1)
            say_back(peer)


with STAYS:
    main(*sys.argv[1:])
