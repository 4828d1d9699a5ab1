"""The same as `traffic copy`, in Python: the least that a program on the way can cost in the language of the lifeline.

usage: copying.py copy ADDRESS PORT TO   leads one connection on to that port, and prints where it listens
"""

import socket
import sys
import threading

BLOCK = 1 << 20


def copy(there, here):
    block = memoryview(bytearray(BLOCK))
    got = there.recv_into(block)
    while got:
        here.sendall(block[:got])
        got = there.recv_into(block)
    here.shutdown(socket.SHUT_WR)


def main(address, port, to):
    with socket.socket() as listener:
        listener.bind((address, int(port)))
        listener.listen(1)
        print(listener.getsockname()[1], flush=True)
        near = listener.accept()[0]
    far = socket.create_connection((address, int(to)))
    for sock in (near, far):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=copy, args=(far, near), daemon=True).start()
    copy(near, far)


main(*sys.argv[2:])
