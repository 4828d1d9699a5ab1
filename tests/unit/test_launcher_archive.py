# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher as one file: its contents, and whole sessions on this host without a batch system."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.plugin_utils import launcher_archive
from conftest import TOP
from lifeline import handshake
from relay import free_ports, interpreters

SECRET = "1876543210"
PVSERVER = """#!{python} -IS
import signal, socket, sys
options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
if "mute" in options:
    signal.pause()
sock = socket.socket()
if "reverse-connection" in options:
    print("Connecting to client (reverse connection requested)...", flush=True)
    sock.connect((options["client-host"], int(options["server-port"])))
    peer = sock
else:
    sock.bind(("0.0.0.0", int(options["server-port"])))
    sock.listen(5)
    print("Waiting for client...\\nAccepting connection(s): {{0}}:{{1}}".format(socket.gethostname(), sock.getsockname()[1]), flush=True)
    peer = sock.accept()[0]
    received = b""
    while b"opengl2" not in received:
        received += peer.recv(1000)
    if ".connect_id.{{0}}.".format(options["connect-id"]).encode() not in received:
        sys.exit("another connect-id")
print("Client connected.", flush=True)
peer.sendall(("id " + options.get("connect-id", "none")).encode())
peer.recv(100)
print("Exiting...", flush=True)
"""


@pytest.fixture(name="packed", scope="module")
def _packed(tmp_path_factory):
    """Packs the program for an interpreter."""
    def pack(python=sys.executable, **options):
        path = tmp_path_factory.mktemp("packed") / "paraview-launch"
        path.write_bytes(launcher_archive.build(python, options))
        path.chmod(0o755)
        return path

    return pack


class Host:
    """This host as a login node, with a home of its own."""

    def __init__(self, directory, program):
        self.program = program
        self.home = directory / "home"
        self.home.mkdir()
        self.pvserver = directory / "pvserver"
        self.pvserver.write_text(PVSERVER.format(python=sys.executable))
        self.pvserver.chmod(0o755)
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LC_PARAVIEW_PVSERVER": str(self.pvserver), "LC_PARAVIEW_SCHEDULER": "none",
                            "LC_PARAVIEW_CONNECT_ID": SECRET}
        self.before = self.relays()

    def start(self, *words, python=sys.executable, **options):
        environment = dict(self.environment, **{"LC_PARAVIEW_" + name.upper(): str(value) for name, value in options.items()})
        return subprocess.Popen([python, "-IS", str(self.program), *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    @staticmethod
    def relays():
        return {name for name in os.listdir("/tmp") if name.startswith("paraview-relay.")}

    def processes(self):
        """Command lines of processes whose environment has the home."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/{0}/cmdline".format(pid), "rb") as line, open("/proc/{0}/environ".format(pid), "rb") as environment:
                    words = line.read().replace(b"\0", b" ").decode(errors="replace")
                    if str(self.home).encode() in environment.read() and int(pid) != os.getpid():
                        found.append(words)
            except OSError:
                pass
        return found

    def _files(self):
        """Directories may disappear meanwhile, which os.walk accepts."""
        return [(place, name) for place, directories, files in os.walk(str(self.home)) for name in directories + files]

    def left(self):
        return [os.path.join(*entry) for entry in self._files()] + sorted(self.relays() - self.before) + self.processes()


@pytest.fixture(name="host")
def _host(tmp_path, packed, until):
    host = Host(tmp_path, packed())
    yield host
    until(lambda: not host.left())


def client(port, until):
    """A connection to a port of loopback, as soon as there is a listener."""
    def connect():
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            return None
    return until(connect)


# --- its contents ---


def test_the_same_collection_gives_the_same_bytes():
    once, again = (launcher_archive.build("/usr/bin/python3", {"walltime": "30m"}) for _time in range(2))
    assert once == again
    assert once.startswith(b"#!/usr/bin/python3 -IS\nPK")
    assert launcher_archive.build("/usr/bin/python3") != once


def test_only_imported_files_are_packed():
    names = zipfile.ZipFile(io.BytesIO(launcher_archive.build("/usr/bin/python3"))).namelist()
    helpers = {name[len("sciviz_paraview/"):-3] for name in names if name.startswith("sciviz_paraview/") and name.endswith(".py")}
    assert {"launcher/main", "launcher/session", "schedulers/jobs", "schedulers/answers", "schedulers/tables/slurm", "routes/user_relay",
            "common/text"} < helpers
    assert not {name.split("/")[0] for name in helpers} & {"session", "sshd", "doctor", "dialog"}
    assert {"__main__.py", "sciviz_paraview/launcher/launcher.json"} < set(names)
    assert {"sciviz_paraview/common/relay/paraview-relay", "sciviz_paraview/common/connect/pvserver.sh"} < set(names)
    assert "jmespath/LICENSE" in names or "jmespath/__init__.py" not in names


def test_imports_of_every_kind_are_found():
    import ast

    text = "import os\nfrom . import choice\nfrom ..common import text, files as f\nfrom ..common.errors import SessionError\ndef f():\n" \
           "    from ..schedulers.tables.registry import TABLES\n    from x import y\n"
    assert sorted(launcher_archive.imported(ast.parse(text), "routes.relays")) == [
        "common.errors", "common.files", "common.text", "routes.choice", "schedulers.tables.registry"]


@pytest.mark.parametrize("python", ["python3", "/opt/my python/bin/python3", "/opt/" + "long" * 40, "/usr/bin/python3\n#"])
def test_a_first_line_that_the_kernel_would_not_accept(python):
    with pytest.raises(SessionError, match="cannot run the launcher"):
        launcher_archive.build(python)


def test_the_first_line_runs_it(packed):
    done = subprocess.run([str(packed(walltime="30m")), "about"], stdout=subprocess.PIPE, check=True, env={})
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("paraview-launch ") and 'walltime: "30m"' in lines


@pytest.mark.parametrize("python", interpreters())
def test_every_python_from_36(python, host):
    done = subprocess.run([python, "-IS", str(host.program), "about"], stdout=subprocess.PIPE, check=True, env={})
    assert b"of sciviz.paraview\nPython 3." in done.stdout
    done = subprocess.run([python, "-IS", str(host.program), "reverse", "--nodes", "\u00e9\x1b[2J"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, env=dict(host.environment, LC_ALL="C"))
    assert (done.returncode, done.stdout) == (1, b"") and len(done.stderr.splitlines()) == 3 and b"\x1b" not in done.stderr
    help_text = subprocess.run([python, "-IS", str(host.program), "forward", "--help"], stdout=subprocess.PIPE, check=True, env={}).stdout
    assert b"--connect-id" in help_text


# --- whole sessions ---


@pytest.mark.parametrize("python", sorted({interpreters()[0], interpreters()[1 % len(interpreters())], interpreters()[-1]}))
def test_forward_holds_the_client_until_pvserver_accepts_connections(host, until, python):
    (port,) = free_ports(1)
    process = host.start("forward", python=python, port=port)
    with client(port, until) as sock:
        sock.settimeout(20)
        sock.sendall(handshake(SECRET))
        word, _blank, connect_id = sock.recv(100).decode().partition(" ")
        assert word == "id" and connect_id != SECRET, "the connect-id of ParaView's dialog is easy to guess"
        lines = [process.stdout.readline().decode().strip() for _line in range(5)]
        assert lines[0] == "route forward_tunnel" and " submitted: 1 node, 1 task, 1:00:00" in lines[1] and " running on " in lines[2]
        assert lines[3].startswith("pvserver accepts connections on ")
        assert not [words for words in host.processes() if SECRET in words or (connect_id in words and "--server-port" not in words)]
        sock.sendall(b"end")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"") and b"ParaView has disconnected, and job " in out
    assert SECRET not in " ".join(lines) + out.decode() and connect_id not in " ".join(lines) + out.decode()
    until(lambda: not host.left())  # other tests have their own relays there for a while


def test_reverse_to_a_listener_of_the_user(host, until):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        listener.settimeout(30)
        process = host.start("reverse", port=listener.getsockname()[1])
        with listener.accept()[0] as sock:
            assert sock.recv(100).decode() == "id " + SECRET
            sock.sendall(b"end")
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert "ready after" in out.decode() and "route reverse_tunnel\n" in out.decode()
    until(lambda: not host.left())  # other tests have their own relays there for a while


@pytest.mark.parametrize("way", ["TERM", "HUP", "deaf", "KILL"])
def test_however_it_ends_nothing_is_left(host, until, way):
    (port,) = free_ports(1)
    process = host.start("forward", port=port, pvserver="{0} --mute".format(host.pvserver))
    until(lambda: b"running on" in process.stdout.readline())
    if way == "deaf":
        process.stdout.close()
        process.stdout = None
    else:
        process.send_signal(getattr(signal, "SIG" + way))
    until(lambda: process.poll() is not None, 30)
    assert process.returncode == (-signal.SIGKILL if way == "KILL" else 1)
    until(lambda: not host.left(), 30)
    process.stderr.close()


def test_if_its_shells_are_killed_nothing_is_left(host, until):
    (port,) = free_ports(1)
    process = host.start("forward", port=port, pvserver="{0} --mute".format(host.pvserver))
    until(lambda: b"running on" in process.stdout.readline())
    children = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], stdout=subprocess.PIPE, check=True).stdout.split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 1
    until(lambda: not host.left(), 30)


def test_a_connect_id_is_soon_removed_from_the_command_line(host, until):
    (port,) = free_ports(1)
    del host.environment["LC_PARAVIEW_CONNECT_ID"]
    process = host.start("forward", "--port", str(port), "--connect-id", SECRET, "--pvserver", "{0} --mute".format(host.pvserver))
    until(lambda: b"running on" in process.stdout.readline())
    assert host.processes() and not [words for words in host.processes() if SECRET in words and "--server-port" not in words]
    process.terminate()
    process.communicate(timeout=30)


def test_a_port_that_is_in_use(host):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        process = host.start("forward", port=taken.getsockname()[1])
        out, err = process.communicate(timeout=30)
    lines = err.decode().splitlines()
    assert (process.returncode, out, len(lines)) == (1, b"", 3)
    assert re.match(r"port [0-9]+ of \S+ is not available$", lines[0]) and lines[2] == "use another port; no job was submitted"


def test_leave_needs_ssh(host):
    process = host.start("forward", "--leave", port=free_ports(1)[0])
    assert b"--leave is not available here" in process.communicate(timeout=60)[1]


def test_with_leave_a_background_process_ends_the_session_with_ssh(host, until, tmp_path):
    """Here a shell called sshd replaces sshd's process. The session lasts as long as that shell."""
    shutil.copy(shutil.which("sh"), str(tmp_path / "sshd"))
    (port,) = free_ports(1)
    script = '"$0" -IS "$1" forward --leave >"$2/out" 2>&1; echo $? >>"$2/out"; exec 1>&- ; read forever'
    environment = dict(host.environment, LC_PARAVIEW_PORT=str(port))
    server = subprocess.Popen([str(tmp_path / "sshd"), "-c", script, sys.executable, str(host.program), str(tmp_path)], env=environment, stdin=subprocess.PIPE)
    output = until(lambda: (tmp_path / "out").exists() and re.search(r"(?s)(.*)\n([0-9]+)\n\Z", (tmp_path / "out").read_text()))
    assert "ready after" in output.group(1) and output.group(2) == "0"
    with client(port, until) as sock:
        sock.sendall(handshake(SECRET))
        assert sock.recv(100).decode().startswith("id ")
        server.stdin.close()
        server.wait()
        until(lambda: not host.left(), 30)


def test_a_session_that_fails_reports_why(host, until):
    process = host.start("forward", port=free_ports(1)[0], pvserver="/no/such/pvserver")
    out, err = process.communicate(timeout=30)
    lines = err.decode().splitlines()
    assert process.returncode == 1 and len(lines) == 3 and lines[0].startswith("pvserver was not found on ")
    assert "--pvserver" in lines[2] and "Traceback" not in err.decode()
    until(lambda: not host.left())  # other tests have their own relays there for a while


def test_versions_that_are_not_compatible(host):
    old = host.home.parent / "pvserver-5.9"
    old.write_text("#!/bin/sh\necho paraview version 5.9.1\n")
    old.chmod(0o755)
    process = host.start("forward", port=free_ports(1)[0], version="5.11.0", pvserver=old)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and err.decode().startswith("ParaView 5.11.0 here does not match pvserver 5.9.1 on ")
    assert b"submitted" not in out


def test_an_internal_error_is_no_traceback(packed, tmp_path):
    broken = tmp_path / "broken"
    program = packed().read_bytes()
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["sciviz_paraview/launcher/launcher.json"] = json.dumps({"version": "x"}).encode()
    broken.write_bytes(launcher_archive.packed(files))
    done = subprocess.run([sys.executable, "-IS", str(broken), "about"], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 3 and b"Traceback" not in done.stderr


def test_the_lookup_packs_it(tmp_path):
    play = tmp_path / "play.yml"
    play.write_text("[{hosts: localhost, gather_facts: false, tasks: [{ansible.builtin.copy: {src: \"{{ lookup('sciviz.paraview.launcher', '"
                    + sys.executable + "') }}\", dest: " + str(tmp_path / "there") + ", mode: '0755', validate: '" + sys.executable + " -IS %s about'}}]}]\n")
    environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(TOP / ".cache/collections"), ANSIBLE_LOCALHOST_WARNING="false")
    for changed in (1, 0):
        done = subprocess.run([shutil.which("ansible-playbook") or str(TOP / ".venv/bin/ansible-playbook"), "-i", "localhost,", "-c", "local", "-e",
                               "ansible_python_interpreter=" + sys.executable, str(play)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=environment)
        assert done.returncode == 0 and "changed={0} ".format(changed) in done.stdout.decode(), done.stdout.decode()
    assert (tmp_path / "there").read_bytes() == launcher_archive.build(sys.executable)
