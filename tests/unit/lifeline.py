# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-lifeline for the tests: as a module, as processes, and with a line between them that a test can cut."""

import functools
import json
import marshal
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from conftest import TOP, wait_until
from programs import PATIENCE, Running, loaded
from relay import Target

PROGRAM = TOP / "roles/connect/files/paraview-lifeline"
EAGER = ("--redial", "0.05")
QUICK = (*EAGER, "--ping", "0.3", "--dead", "1")  # only for tests of silence: on a busy machine a second is short


# What the connecting side of ParaView and pvserver sends before its text.
GREETING = b"<<<<\1\0\0\0\0"
BEFORE = b">>>>\4\0\0\0d\0\0\0" + b"????!\0\0\x005e7a24e1e7033d8c49830a3775623523\0" + b"====\4\0\0\0\1\0\0\0"


def identity(text):
    """bytes: a text of a handshake, with its length."""
    return struct.pack("<LLLLL", 99991, 4, len(text), 99991, len(text)) + text


def handshake(connect_id, version="6.1"):
    """bytes: what the connecting side sends; connect_id may be None."""
    word = "" if connect_id is None else ".connect_id.{0}".format(connect_id)
    return GREETING + BEFORE + identity("paraview-{0}{1}.renderingbackend.opengl2\0".format(version, word).encode())


def module():
    """The program as a module."""
    return loaded(PROGRAM)


@functools.lru_cache(maxsize=None)
def compiled():
    """bytes: the compiled program; to compile it takes half of its start."""
    return marshal.dumps(compile(PROGRAM.read_bytes(), str(PROGRAM), "exec"))


@functools.lru_cache(maxsize=None)
def encrypting():
    """list[str]: the Python programs of this machine that can encrypt a line."""
    code = "import runpy, sys; print(sys.executable if runpy.run_path(sys.argv[1])['encryption']() else '')"
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    pythons = [sys.executable] + [python for minor in range(13, 16) for python in [shutil.which("python3.{0}".format(minor)), *sorted(
        str(path) for path in versions.glob("3.{0}.*/bin/python3.{0}".format(minor)))] if python]
    results = [subprocess.run([python, "-IS", "-c", code, str(PROGRAM)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False) for python in pythons]
    return sorted({result.stdout.decode().strip() for result in results if not result.returncode} - {""})


def command_of(directory, python, plain):
    """list[str]: the command of the program. With a given Python, it is run uncompiled.

    Args:
        plain (bool): as with a Python that cannot encrypt.
    """
    if python:
        return [python, "-I", "-S", str(PROGRAM)]
    path = Path(directory) / "compiled"
    if not path.exists():
        path.write_bytes(compiled())
    code = "import marshal, sys; del sys.argv[0]; {0}exec(marshal.loads(open(sys.argv[0], 'rb').read()))"
    return [sys.executable, "-I", "-S", "-c", code.format("sys.modules['ssl'] = None; " if plain else ""), str(path)]


def new_key(path, text=None, mode=0o600):
    path.write_text(text or os.urandom(32).hex() + "\n")
    path.chmod(mode)
    return path


class End(Running):
    """One end as a process. port and line: where it listens for ParaView and for the other end. A proxy has no key."""

    def __init__(self, directory, role, *arguments, key, python=None, plain=False, **options):
        number = len(list(Path(directory).glob("{0}.*.log".format(role))))
        self.log_path = Path(directory) / "{0}.{1}.log".format(role, number)
        self.status_path = Path(directory) / "{0}.{1}.json".format(role, number)
        arguments = [str(argument) for argument in arguments]
        keys = ["--key", str(key)] if key else []
        command = [*command_of(directory, python, plain), role, *keys, "--status", str(self.status_path)] + arguments
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(self.log_path, "wb") as stderr:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, **options)
        self.pid = self.process.pid
        found = {}
        for _option in [argument for argument in arguments if argument in ("--listen", "--line-listen")]:
            word, _blank, where = self.process.stdout.readline().decode().strip().partition(" ")
            assert where, self.log
            found[word] = where
        self.port = int(found["listening"].rpartition(":")[2]) if not found.get("listening", "unix:").startswith("unix:") else None
        self.line = found.get("line")

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def logged(self, what, seconds=PATIENCE):
        """Waits for a match in the log, and returns it."""
        return wait_until(lambda: re.search(what, self.log) or self._check_running(what), seconds)

    def _check_running(self, what):
        assert self.process.poll() is None or re.search(what, self.log), "ended without {0!r}:\n{1}".format(what, self.log)

    @property
    def status(self):
        return json.loads(self.status_path.read_text())

    def becomes(self, state, seconds=PATIENCE):
        wait_until(lambda: self.status_path.exists() and self.status["state"] == state, seconds)
        return self

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def ends(self, seconds=PATIENCE):
        """Waits until the process ends, and returns its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("it is still running:\n" + self.log)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def memory_kib(self, what="VmHWM"):
        return int(re.search(what + r":\s+(\d+)", Path("/proc/{0}/status".format(self.pid)).read_text()).group(1))


class Wire:
    """A port whose connections are forwarded to another port, and can be cut, kept down, or stalled.

    Attributes:
        change (callable or None): may replace the bytes that pass. Its arguments are the bytes and their direction, up or down.
        seen (dict): if keep is true, the bytes that passed, by direction.
    """

    def __init__(self, to=None, keep=False):
        self.to, self.keep, self.change, self.seen = to, keep, None, {"up": b"", "down": b""}
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.address = "127.0.0.1:{0}".format(self.listener.getsockname()[1])
        self.flows, self.lock = threading.Event(), threading.Lock()
        self.flows.set()
        self.socks, self.down, self.times = [], False, []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def accepted(self):
        """int: how many connections there have been."""
        return len(self.times)

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = None
            try:
                if not self.down and self.to:
                    host, _colon, port = self.to.rpartition(":")
                    far = socket.create_connection((host, int(port)), 5)
            except OSError:
                pass
            if not far:
                near.close()
                continue
            self.times.append(time.monotonic())
            for sock in (near, far):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.socks += [near, far]
            for source, sink, way in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self._pump, args=(source, sink, way), daemon=True).start()

    def _pump(self, source, sink, way):
        try:
            for piece in iter(lambda: source.recv(1 << 18), b""):
                self.flows.wait()
                if self.change:
                    piece = self.change(piece, way)
                if self.keep:
                    self.seen[way] += piece
                sink.sendall(piece)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            socks, self.socks = self.socks, []
        for sock in socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.flows.set()

    def stall(self):
        """Stops all bytes without closing a connection."""
        self.flows.clear()

    def close(self):
        self.down = True
        self.listener.close()
        self.cut()


class Pair:
    """Both ends, a wire between them, and the connections of ParaView and pvserver.

    Args:
        reverse (bool): pvserver dials. agent_dials (bool): the agent dials the line.
        agent, stub (sequence): more options. python (dict): the Python program by role. plain (bool): neither can encrypt.
    """

    def __init__(self, directory, reverse=False, agent_dials=False, agent=(), stub=(), options=EAGER, python=None, keep=False, plain=False):
        self.directory, self.reverse = directory, reverse
        self.key = new_key(directory / "key")
        self.target = Target(backlog=1)
        self.wire = Wire(keep=keep)
        self.ends = []
        to, listen = ("--to", self.target.text), ("--listen", "127.0.0.1:0")
        line_to, line_listen = ("--line-to", self.wire.address), ("--line-listen", "127.0.0.1:0")
        self.arguments = {"agent": [*(listen if reverse else to), *(line_to if agent_dials else line_listen), *options, *agent],
                          "stub": [*(to if reverse else listen), *(line_listen if agent_dials else line_to), *options, *stub]}
        python, self.plain = python or {}, plain
        order = ("stub", "agent") if agent_dials else ("agent", "stub")
        made = {role: self.start(role, python=python.get(role)) for role in order}
        self.agent, self.stub = made["agent"], made["stub"]

    def start(self, role, *more, key=None, **options):
        end = End(self.directory, role, *self.arguments[role], *more, key=key or self.key, plain=self.plain, **options)
        self.ends.append(end)
        if end.line and not self.wire.to:
            self.wire.to = end.line
        return end

    def open(self):
        """tuple[socket, socket]: ParaView's socket, and pvserver's."""
        near = (self.agent if self.reverse else self.stub).connect()
        far = self.target.accept()
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return (far, near) if self.reverse else (near, far)

    def connected(self):
        for end in (self.agent, self.stub):
            end.becomes("connected")
        return self

    def close(self):
        try:
            for end in self.ends:
                end.stop()
        finally:
            for end in self.ends:
                if end.process.poll() is None:
                    end.process.kill()
                    end.process.wait()
            self.wire.close()
            self.target.close()
