# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of connections a second to a port of this host, from another process; it ends by itself."""

import os
import subprocess
import sys

SECONDS = 40
PROGRAM = """
import collections, os, socket, sys, time
port, uid, source, content = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
os.setuid(uid)
kept, began, count = collections.deque(maxlen=300), time.monotonic(), 0
while time.monotonic() - began < {seconds}:
    if count > 500 * (time.monotonic() - began):
        time.sleep(0.002)
        continue
    sock = socket.socket()
    sock.settimeout(0.2)
    try:
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", port))
        if content == "hello":
            sock.sendall(b"PVLL" + bytes([1, 2, 0, 0]) + os.urandom(48))
    except OSError:
        pass
    kept.append(sock)
    count += 1
    if count == 500:
        print("runs", flush=True)
"""


class Flood:
    """A context in which strangers connect.

    Args:
        port (int). uid (int): their account. source (str): their address. content (str): hello, or nothing.
    """

    def __init__(self, port, uid=None, source="127.0.0.1", content=""):
        self.command = [sys.executable, "-ISc", PROGRAM.format(seconds=SECONDS), str(port), str(os.getuid() if uid is None else uid), source, content]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline() == b"runs\n"
        return self

    @property
    def runs(self):
        return self.process.poll() is None

    def __exit__(self, *_error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
