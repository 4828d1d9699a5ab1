# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lifeline's agent in a job: the job's scripts and the real program, with a simulated pvserver."""

import shutil
import socket
import subprocess
import sys

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_scripts, status_file
from ansible_collections.sciviz.paraview.plugins.module_utils.common import programs
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline
from test_job_scripts import NONE, SHELLS, Job

KEY = "5a" * 32
# Prints its address, then answers each connection; the input `leave` ends it.
WAITS = """#!{python} -ISu
import os, socket
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(5)
print("Waiting for client...")
print("Accepting connection(s): {{0}}:{{1}}".format("{host}", listener.getsockname()[1]))
while True:
    line = listener.accept()[0]
    data = line.recv(100)
    line.sendall(b"received " + data)
    line.close()
    if data == b"leave": raise SystemExit(0)
"""
CALLS = """#!{python} -ISu
import socket, sys
print("Connecting to client (reverse connection requested)...")
port = [word.partition("=")[2] for word in sys.argv if word.startswith("--server-port=")][0]
line = socket.create_connection(("127.0.0.1", int(port)))
line.sendall(b"server")
print("Client connected." if line.recv(100) == b"client" else "Exiting...")
line.recv(1)
"""
PROGRAM = programs.path("connect", "paraview-lifeline")


class AgentJob(Job):
    """A job with a lifeline."""

    def begin(self, pvserver, outage=60, path=""):
        self.start([pvserver], path=path, outage=outage, files=lifeline.files(KEY))

    def stub(self, tmp_path, *words):
        """Starts a stub in the same way as connect; returns its port."""
        key = tmp_path / "stub.key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        process = subprocess.Popen([sys.executable, "-IS", PROGRAM, "stub", "--key", str(key), "--outage", "60", "--wait", "0", *words],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.stubs.append(process)
        return int(process.stdout.readline().decode().rpartition(":")[2])

    def clean(self):
        for process in self.stubs:
            process.kill()
            process.wait()
            process.stdout.close()
        super().clean()


@pytest.fixture(name="job", params=SHELLS)
def _job(request, tmp_path):
    job = AgentJob(tmp_path / "home" / "job", tmp_path / "home", request.param)
    job.stubs = []
    yield job
    job.clean()


def exchange(port, text):
    """Sends text to a local port; returns the answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(text)
        line.settimeout(20)
        return b"".join(iter(lambda: line.recv(100), b""))


def test_the_job_reports_whether_an_agent_is_possible_before_it_waits_for_the_go_file(job, program, until):
    job.begin(program("pvserver", "#!/bin/sh\necho ran\n"))
    until(lambda: job.progress().lifeline is not None)
    assert job.progress().lifeline is True
    assert job.progress().agent is None and "ran" not in job.log()


def test_a_node_without_python_reports_it_and_continues(job, program, until, tmp_path):
    for name in ("python3", "python3.13", "python3.14", "pvpython", "timeout"):
        program(name, "#!/bin/sh\nexit 127\n")
    job.begin(program("pvserver", "#!/bin/sh\necho ran\n"), path=str(tmp_path / "bin") + ":")
    until(lambda: job.progress().lifeline is not None)
    assert job.progress().lifeline is False
    job.go()
    assert job.wait() == 0 and "ran" in job.log()


def test_paraviews_own_python_is_sufficient(job, program, until, tmp_path):
    program("timeout", '#!/bin/sh\ncase $2 in *pvpython) shift; exec "$@";; esac\nexit 1\n')
    program("pvpython", '#!/bin/sh\nexec {0} "$@"\n'.format(sys.executable))
    job.begin(program("pvserver", "#!/bin/sh\necho ran\n"), path=str(tmp_path / "bin") + ":")
    until(lambda: job.progress().lifeline is not None)
    assert job.progress().lifeline is True


def test_forward(job, program, until, tmp_path):
    """The agent connects to the address that pvserver reports, one connection after the other. If pvserver ends, the agent ends."""
    job.begin(program("pvserver", WAITS.format(python=sys.executable, host=socket.gethostname())))
    job.go(["@take 127.0.0.1 0", "--server-port=0"])
    until(lambda: job.progress().agent)
    host, port = job.progress().agent
    assert host == "127.0.0.1"
    until(lambda: job.progress().output[1:])
    assert not job.progress().elsewhere
    line = ("--line-to", "127.0.0.1:{0}".format(port), "--listen", "127.0.0.1:0")
    assert exchange(job.stub(tmp_path, *line), b"first") == b"received first"
    assert exchange(job.stub(tmp_path, *line), b"second") == b"received second", "after a refused client, another client can connect"
    assert exchange(job.stub(tmp_path, *line), b"leave") == b"received leave"
    assert job.wait() == 0
    assert job.progress().ended == (0, "pvserver")
    assert not job.left()


def test_forward_on_a_port_of_a_range(job, program, until):
    job.begin(program("pvserver", WAITS.format(python=sys.executable, host="c101")))
    job.go(["@take 127.0.0.1 23000-23999", "--server-port=0"])
    until(lambda: job.progress().agent)
    assert 23000 <= job.progress().agent[1] <= 23999
    (job.directory / "stop").touch()
    job.wait()
    assert not job.left()


@pytest.mark.parametrize("named", ["c102", "127.0.0.1"])
def test_a_pvserver_that_listens_on_another_host_is_detected(job, program, until, named):
    """The host name that pvserver reports does not matter, only whether a process listens on this host."""
    job.begin(program("pvserver", "#!/bin/sh\necho 'Accepting connection(s): {0}:1'\nexec sleep 600\n".format(named)))
    job.go(["@take 127.0.0.1 0", "--server-port=0"])
    until(lambda: job.progress().output)
    assert job.progress().elsewhere
    (job.directory / "stop").touch()
    job.wait()


def test_no_port_of_a_range_is_free(job, program):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        job.begin(program("pvserver", "#!/bin/sh\necho never\n"))
        job.go(["@take 127.0.0.1 {0}-{0}".format(port), "--server-port=0"])
        assert job.wait() == 98
    assert job.progress().fault == ("ports", "{0}-{0}".format(port))


def test_reverse(job, program, until, tmp_path):
    """pvserver connects to its agent, which connects to the address in the file `line`."""
    job.begin(program("pvserver", CALLS.format(python=sys.executable)))
    with socket.socket() as paraview:
        paraview.bind(("127.0.0.1", 0))
        paraview.listen(1)
        port = job.stub(tmp_path, "--line-listen", "127.0.0.1:0", "--to", "127.0.0.1:{0}".format(paraview.getsockname()[1]))
        (job.directory / "line").write_text("127.0.0.1:{0}\n".format(port))
        job.go(["@make", "--reverse-connection", "--client-host=127.0.0.1", "--server-port=@agent"])
        paraview.settimeout(20)
        line = paraview.accept()[0]
        with line:
            assert line.recv(100) == b"server"
            line.sendall(b"client")
            until(lambda: job.progress().connected)
    assert job.wait() == 0
    assert not job.left()


def test_an_outage_that_lasts_too_long_ends_the_job_and_is_reported(job, program, until, tmp_path):
    job.begin(program("pvserver", WAITS.format(python=sys.executable, host="c101")), outage=1)
    job.go(["@take 127.0.0.1 0", "--server-port=0"])
    until(lambda: job.progress().agent)
    job.stub(tmp_path, "--line-to", "127.0.0.1:{0}".format(job.progress().agent[1]), "--listen", "127.0.0.1:0")
    until(lambda: "connected over" in (job.directory / "agent.log").read_text())
    job.stubs[0].kill()
    assert job.wait() == 0
    assert job.progress().ended == (0, "outage")
    assert not job.left()


def test_if_the_session_is_lost_the_job_ends_and_reports_it(job, program, until):
    job.begin(program("pvserver", WAITS.format(python=sys.executable, host="c101")))
    job.go(["@take 127.0.0.1 0", "--server-port=0"])
    until(lambda: job.progress().agent)
    (job.directory / "lost").touch()
    assert job.wait() == 0
    assert job.progress().ended == (0, "lost")
    assert not job.left()


@pytest.mark.parametrize("go", [["@take 127.0.0.1 0", "--server-port=0"], ["@make", "--reverse-connection", "--server-port=@agent"]])
def test_an_agent_that_cannot_start_is_reported(job, program, until, tmp_path, go):
    """Also if its message arrives after the job's end."""
    program("tail", '#!/bin/sh\ncase $3 in agent.log) /bin/sleep 1;; esac\nexec /usr/bin/tail "$@"\n')
    job.begin(program("pvserver", "#!/bin/sh\nsleep 1000\n"), path=str(tmp_path / "bin") + ":")
    until(lambda: job.progress().lifeline is not None)
    (job.directory / "key").chmod(0o644)
    job.go(go)
    word, why = until(lambda: job.progress().fault)
    assert word == "agent" and "0600" in why
    (job.directory / "stop").touch()
    job.wait()
    assert not job.left()


def test_a_job_without_a_lifeline_has_no_code_for_it():
    script = job_scripts.pvserver_script("/home/alice/.paraview-connect/0123456789abcdef", {"pvserver": ["pvserver"]}, [])
    assert "lifeline" not in script and "agent" not in script
    assert "lifeline" not in "".join(job_scripts.files(NONE, "/d", OPTIONS, {}, []))


OPTIONS = {"nodes": 1, "tasks_per_node": 1, "cpus_per_task": 0, "mpi_launcher": [], "client_timeout": 60, "walltime": 60,
           "pvserver": ["pvserver"], "setup": "",
           "client_host": "", "job_id": "", "client_port": 0, "reconnect_port": 0}


@pytest.mark.parametrize(("options", "route", "reason"), [
    ({}, "forward_tunnel", ""), ({}, "reverse_tunnel", ""), ({}, "reverse_unencrypted", ""), ({"client_port": 11111}, "reverse_tunnel", ""),
    ({"client_port": 11111}, "reverse_unencrypted", "only port 11111"), ({"client_port": 11111}, "reverse_relay_unencrypted", "paraview_reconnect_port"),
    ({"client_port": 11111, "reconnect_port": 11112}, "reverse_relay_unencrypted", ""), ({"client_host": "bigscreen"}, "forward_tunnel", ""),
    ({"mpi_launcher": ["mpirun", "--nolocal"], "nodes": 2}, "reverse_tunnel", "starts the connecting process"),
    ({"mpi_launcher": ["mpirun", "--nolocal"], "nodes": 2}, "forward_tunnel", ""),
    ({"job_id": "17"}, "forward_tunnel", "processes started in job 17 end with the connection"),
    ({"pvserver": ["pvserver", "--multi-clients"]}, "forward_tunnel", "several clients")])
def test_sessions_that_cannot_reconnect(options, route, reason):
    assert reason in lifeline.why_not(dict(OPTIONS, **options), route)
    assert bool(reason) == bool(lifeline.why_not(dict(OPTIONS, **options), route))


@pytest.mark.parametrize(("status", "reason"), [
    ("nodes c101 c102\nrunning c101.site\nlifeline /usr/bin/python3\n", ""), ("running c101\nlifeline\n", "c101 has no Python"),
    ("nodes c101\nrunning mom1\nlifeline python3\n", "runs on mom1, and pvserver on c101")])
def test_jobs_that_cannot_reconnect(status, reason):
    assert reason in lifeline.why_not_in_job(status_file.Progress(status))
    assert bool(reason) == bool(lifeline.why_not_in_job(status_file.Progress(status)))


class Context:
    options = {"server_ports": "11111-11120", "on_login_node": False}
    client = None


@pytest.mark.parametrize(("route", "first", "rest"), [
    ("forward_tunnel", "@take 0.0.0.0 11111-11120", ["--server-port=0", "--connect-id=17", "?--bind-address=127.0.0.1"]),
    ("node_tunnel", "@take 127.0.0.1 11111-11120", ["--server-port=0", "--connect-id=17", "?--bind-address=127.0.0.1"]),
    ("reverse_tunnel", "@make", ["--reverse-connection", "--client-host=127.0.0.1", "--server-port=@agent", "--connect-id=17"])])
def test_the_lines_of_the_go_file(route, first, rest):
    assert lifeline.pvserver_arguments(choice.ROUTES[route](Context(), {}), 17) == [first, *rest]


def test_the_program_is_found_and_runs():
    assert set(lifeline.files(KEY)) == {"paraview-lifeline", "key"}
    done = subprocess.run([shutil.which("python3"), "-IS", PROGRAM, "--version"], stdout=subprocess.PIPE, check=True)
    assert done.stdout[:1].isdigit()
