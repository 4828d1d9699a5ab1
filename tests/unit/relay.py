# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-relay for the tests: the program as a module and as a process, and the source and target of its connections."""

import functools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from conftest import TOP, wait_until
from programs import PATIENCE, Running, loaded

PROGRAM = TOP / "roles/relay/files/paraview-relay"


def module():
    """The program as a module."""
    return loaded(PROGRAM)


@functools.lru_cache(maxsize=None)
def interpreters():
    """Every Python from 3.6 on that this machine has, this one first."""
    paths = {minor: shutil.which("python3.{0}".format(minor)) for minor in range(6, 16) if (3, minor) != sys.version_info[:2]}
    checks = [subprocess.Popen([path, "-c", "import sys; print(sys.executable)"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
              for path in paths.values() if path]
    found = [process.communicate()[0].decode().strip() for process in checks]
    return [sys.executable] + [path for path, process in zip(found, checks) if not process.returncode]


class Reset(socket.socket):
    """A connection that was reset before connect() had returned."""

    def recv(self, *_arguments):
        raise ConnectionResetError


class Relay(Running):
    """The real program.

    Args:
        arguments: its command line; defaults are --listen 127.0.0.1:0 and --allow 127.0.0.0/8.
        config (Path): a configuration instead of a route on the command line.
    """

    def __init__(self, directory, *arguments, config=None, python=sys.executable, ready=None, program=None, **options):
        arguments = [str(argument) for argument in arguments]
        if config:
            arguments += ["--config", str(config)]
        else:
            arguments += [] if "--listen" in arguments else ["--listen", "127.0.0.1:0"]
            arguments += [] if "--allow" in arguments or "--allow-file" in arguments else ["--allow", "127.0.0.0/8"]
        self.status_path = Path(arguments[arguments.index("--status") + 1]) if "--status" in arguments else None
        self.address = "127.0.0.1"
        self.log_path = Path(directory) / "relay.{0}.log".format(len(list(Path(directory).glob("relay.*.log"))))
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(self.log_path, "wb") as stderr:
            stderr = options.pop("stderr", stderr)
            self.process = subprocess.Popen([python, "-I", "-S", str(program or PROGRAM)] + arguments, stdout=subprocess.PIPE, stderr=stderr, **options)
        self.pid = self.process.pid
        if ready:
            wait_until(lambda: self.process.poll() is not None or ready())
        else:
            line = self.process.stdout.readline().decode()
            assert line.startswith("listening "), self.log
            self.address = module().split_port(line.split()[1])[0]
            self.port = int(line.rpartition(":")[2])
        assert self.process.poll() is None, self.log

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def logged(self, what, seconds=PATIENCE):
        """Waits for a line of the log and returns the match."""
        return wait_until(lambda: re.search(what, self.log), seconds)

    def connect(self, port=None, source=None):
        sock = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
        sock.settimeout(PATIENCE)
        if source:
            sock.bind((source, 0))
        try:
            sock.connect((self.address, port or self.port))
        except ConnectionResetError:
            sock.close()
            return Reset()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def refuses(self, *port, **source):
        """Whether the relay ends a connection with RST."""
        return is_reset(self.connect(*port, **source))

    def status(self, what="/status"):
        try:
            return status_of(self.status_path, what)
        except ConnectionError:  # the program replaced itself meanwhile
            return status_of(self.status_path, what)

    def signal(self, number):
        os.kill(self.pid, number)

    def reload(self):
        """Reloads the relay, and returns the log line about it."""
        seen = len(re.findall("reloaded", self.log))
        self.signal(signal.SIGHUP)
        wait_until(lambda: len(re.findall("reloaded", self.log)) > seen)
        return [line for line in self.log.splitlines() if "reloaded" in line][-1]

    def descriptors(self):
        return len(os.listdir("/proc/{0}/fd".format(self.pid)))

    def memory_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/{0}/status".format(self.pid)).read_text()).group(1))


def run(*arguments, python=sys.executable, **options):
    """Exit status, standard output and standard error of a program that ends by itself."""
    done = subprocess.run([python, "-I", "-S", str(PROGRAM)] + [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False, **options)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def status_of(path, what="/status"):
    """The answer of a status socket: a dict, or text."""
    with socket.socket(socket.AF_UNIX) if isinstance(path, (str, Path)) else socket.socket() as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path) if isinstance(path, Path) else path)
        sock.sendall("GET {0} HTTP/1.0\r\n\r\n".format(what).encode())
        head, _empty, body = b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")
    if b"application/json" in head:
        return json.loads(body.decode())
    return (head + b"\n\n" + body).decode()


class Target:
    """The target of a relay: a port on loopback, or the path of a unix socket. It listens only after listen()."""

    def __init__(self, path=None, host="127.0.0.1", port=0, backlog=None):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.settimeout(PATIENCE)
        if not path:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((host, port))
            self.port = self.sock.getsockname()[1]
        self.text = "unix:{0}".format(path) if path else module().endpoint(self.sock.getsockname())
        if backlog is not None:
            self.listen(backlog)

    def listen(self, backlog=128):
        if self.path:
            self.sock.bind(str(self.path))
        self.sock.listen(backlog)
        return self

    def accept(self):
        sock = self.sock.accept()[0]
        sock.settimeout(PATIENCE)
        return sock

    def nobody_came(self):
        self.sock.setblocking(False)
        try:
            self.sock.accept()
        except BlockingIOError:
            return True
        return False

    def close(self):
        self.sock.close()


def free_ports(count=1):
    """Adjacent ports on which nobody listens."""
    while True:
        socks = []
        try:
            for at in range(count):
                sock = socket.socket()
                socks.append(sock)
                sock.bind(("127.0.0.1", socks[0].getsockname()[1] + at if at else 0))
            return [sock.getsockname()[1] for sock in socks]
        except (OSError, OverflowError):
            pass
        finally:
            for sock in socks:
                sock.close()


def reset(sock):
    """Closes a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def exactly(sock, count):
    got = b""
    while len(got) < count:
        more = sock.recv(count - len(got))
        assert more, "the connection ended after {0} of {1} bytes".format(len(got), count)
        got += more
    return got


def to_the_end(sock):
    return b"".join(iter(lambda: sock.recv(1 << 20), b""))


def is_reset(sock):
    """Whether a connection ends with RST."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False
