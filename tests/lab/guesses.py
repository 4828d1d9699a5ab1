"""Guesses pvserver's connect-id, as whoever reaches its port may do: prints what pvserver answered to each.

usage: guesses.py HOST PORT VERSION FIRST...
The ids are those that ParaView's dialog can choose, after FIRST. An answer of 0 means that the guess was right.
"""

import socket
import struct
import sys

HIGHEST = 2147483647
GREETING = b"<<<<\1\0\0\0\0"
IDENTITY = 99991


def of_the_dialog():
    """The ids that an option with the default "random" can have: the seed is a sum of eight bytes (vtkMath::Random, pqServerLauncher)."""
    ids = []
    for seed in range(1, 8 * 255 + 1):
        value = seed
        for _time in range(3):
            value = 16807 * value % HIGHEST
        ids.append(1 + value)
    return ids


def exactly(sock, size):
    """Reads so many bytes; fewer if the connection ends."""
    received = b""
    while len(received) < size:
        piece = sock.recv(size - len(received))
        if not piece:
            break
        received += piece
    return received


def message(sock, payload=b""):
    """Receives a message of pvserver's, whose tag is that of its answer, and sends it back if there is no payload."""
    head = exactly(sock, 8)
    return head, exactly(sock, struct.unpack("<LL", head)[1])


def versions(sock, mine):
    """Sends the socket's own versions, which have to be the same on both sides, and returns pvserver's up to the first one that differs."""
    sock.sendall(GREETING)
    exactly(sock, len(GREETING))
    theirs = []
    for one in mine:
        sock.sendall(one)
        theirs.append(b"".join(message(sock)))
        if theirs[-1] != one:
            break
    return theirs


def of_this_pvserver(host, port):
    """The versions that pvserver wants: one of them is a digest of its source."""
    mine = [b">>>>\4\0\0\0d\0\0\0", b"????!\0\0\0" + bytes(32) + b"\0", b"====\4\0\0\0\1\0\0\0"]
    with socket.create_connection((host, port), 10) as sock:
        mine[1] = versions(sock, mine)[1]
    return mine


def answer(host, port, mine, version, number):
    """What pvserver answers to an id."""
    with socket.create_connection((host, port), 10) as sock:
        assert versions(sock, mine) == mine
        text = "paraview-{0}.connect_id.{1}.renderingbackend.opengl2\0".format(version, number).encode()
        sock.sendall(struct.pack("<LLLLL", IDENTITY, 4, len(text), IDENTITY, len(text)) + text)
        payload = message(sock)[1]
        return struct.unpack("<l", payload)[0] if len(payload) == 4 else None


if __name__ == "__main__":
    place, number_of_port, series = sys.argv[1:4]
    first, port_of_pvserver = [int(word) for word in sys.argv[4:]], int(number_of_port)
    agreed = of_this_pvserver(place, port_of_pvserver)
    for each in first + of_the_dialog():
        print(each, answer(place, port_of_pvserver, agreed, series, each), flush=True)
