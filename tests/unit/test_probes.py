# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of the hops between the client and a node."""

import os
import socket
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import probes
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import installed
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import RouteContext
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers as schedulers
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.client import Target
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused
from test_routes import FACTS, Login
from test_routes import OPTIONS as ROUTE_OPTIONS

OPTIONS = settings.check({name: about["default"] for name, about in settings.SPEC.items()})


def target(host="127.0.0.1", port=None, executable="ssh"):
    return Target(executable, host, "alice", port, None, ["-F", os.devnull], 10)


def results(checks):
    return {one.name: one.result for one in checks}


def test_tools_here(program):
    assert results(probes.client("ssh", ":0"))["ssh"] == "ok"
    broken = probes.client(program("ssh", "#!/bin/sh\necho 'PuTTY'\n"), ":0")[0]
    assert (broken.result, broken.who) == ("failed", "you") and "OpenSSH" in broken.cause
    assert probes.client("no such program", ":0")[0].result == "failed"
    assert results(probes.client("ssh", ""))["display"] == "cannot tell"


def test_name_and_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert results(probes.network(target(port=port))) == {"name": "ok", "port": "ok"}
    closed = probes.network(target(port=port))
    assert (closed[-1].name, closed[-1].result, closed[-1].who) == ("port", "failed", "you") and "nothing listens" in closed[-1].cause
    unknown = probes.network(target("no.such.host.invalid"))
    assert results(unknown) == {"name": "failed"} and "ansible_host" in unknown[0].way_out


def test_a_host_behind_a_jump_host_is_not_checked():
    jump = target("login.invalid")._replace(arguments=["-F", os.devnull, "-o", "ProxyJump=bastion"])
    (one,) = probes.network(jump)
    assert one.result == "cannot tell" and "bastion" in one.said


def test_the_check_of_a_failed_login_has_its_message():
    one = probes.authentication(SessionError("login2 refuses this login", "Permission denied (publickey)", "load the key with ssh-add"))
    assert (one.result, one.cause, one.way_out) == ("failed", "Permission denied (publickey)", "load the key with ssh-add")


class Host(Login):
    """A login node with canned answers to commands."""

    control_path, executable = "/nonexistent", "ssh"

    def __init__(self, answers=None, **settings_of_sshd):
        super().__init__(**settings_of_sshd)
        self.answers = answers or {}

    def script(self, text, seconds):
        for pattern, answer in self.answers.items():
            if pattern in text:
                return answer
        return super().script(text, seconds)


def context(host, facts):
    return RouteContext(host, LoginNode(facts["login_node"], facts["uid"], host.script), facts, dict(ROUTE_OPTIONS))


@pytest.fixture(name="look")
def _look():
    def make(host=None, facts=None, scheduler="slurm"):
        host = host or Host()
        facts = dict(FACTS, home="/home/alice", site={}, cluster_address="", first="c101", **(facts or {}))
        return probes.LoginNodeProbes(context(host, facts), "frontera", schedulers.TABLES.get(scheduler), "")

    return make


def test_home(look):
    assert look(Host({"dd if": (0, "", "")})).home().result == "ok"
    full = look(Host({"dd if": (1, "", "dd: error writing: Disk quota exceeded")})).home()
    assert (full.result, full.who) == ("failed", "you") and "quota exceeded" in full.said


def test_the_directory_that_takes_the_homes_place(look, script, tmp_path):
    """Also if only a directory of ours in it is writable."""
    for name in ("work", "work/.paraview-connect-{0}".format(os.getuid())):
        (tmp_path / name).mkdir()
        probe = look(Host())
        probe.context.facts.update(uid=os.getuid(), remote_dir=str(tmp_path / "work"))
        probe.context.login_node.run = script
        assert (probe.home().result, probe.home().name, probe.home().said) == ("ok", "remote directory", str(tmp_path / "work"))
    probe.context.facts["remote_dir"] = str(tmp_path / "none")
    assert probe.home().result == "failed" and "paraview_remote_dir" in probe.home().way_out
    assert not list((tmp_path / "work").rglob("*.*.*"))


@pytest.mark.parametrize(("out", "result"), [("{0:.0f}\n", "ok"), ("1000\n", "failed"), ("what?\n", "cannot tell")])
def test_clock(look, out, result):
    assert look(Host({"date": (0, out.format(time.time()), "")})).clock().result == result


@pytest.mark.parametrize(("answer", "result"), [
    ((1, "", "slurm_load_jobs error: Invalid job id specified"), "ok"), ((1, "", "Unable to contact slurm controller (connect failure)"), "failed"),
    ((124, "", ""), "failed")])
def test_the_batch_system_answers(look, answer, result):
    (one,) = look(Host({"scontrol": answer, "squeue": answer, "sacct": (1, "", "disabled")})).batch_system()
    assert one.result == result
    if result == "failed":
        assert one.who == "site" and "Slurm does not answer" in one.cause


def test_no_batch_system(look):
    (one,) = look(scheduler=None).batch_system("no batch system was found on login2 (none of its commands is on the PATH)")
    assert (one.result, one.who) == ("failed", "you") and "PATH" in one.cause


def test_a_queue_is_checked_without_a_job(look):
    refused = look(Host({"sbatch": (1, "", "allocation failure: Invalid account or account/partition combination specified")})).acceptance("#!/bin/sh\n")
    assert refused.result == "failed" and "paraview_account" in refused.way_out and "Invalid account" in refused.said
    banner = "\n".join("--> Checking limit {0} of the site...OK".format(number) for number in range(30))
    refused = look(Host({"sbatch": (1, banner + "\n[*] There is no queue huge\n", "allocation failure")})).acceptance("#!/bin/sh\n")
    assert "[*] There is no queue huge" in refused.said and "limit 2 " not in refused.said
    assert look(Host({"sbatch": (0, "", "Job 5 to start at ...")})).acceptance("#!/bin/sh\n").result == "ok"
    assert look(scheduler="pbs").acceptance("#!/bin/sh\n").result == "cannot tell"


def test_listeners_of_forwards_are_checked(look):
    assert [one.result for one in look().forwarding()] == ["ok", "ok"]
    loopback = look(Host(bind="127.0.0.1")).forwarding()
    assert [one.result for one in loopback] == ["ok", "failed"]
    assert loopback[1].who == "site" and "GatewayPorts clientspecified" in loopback[1].way_out and "provision -e host=frontera" in loopback[1].way_out
    refused = look(Host(refuse=("all",))).forwarding()
    assert [one.result for one in refused] == ["failed", "failed"] and "AllowTcpForwarding yes" in refused[0].way_out


def test_test_forwards_are_removed(look):
    host = Host()
    look(host).forwarding()
    assert host.forwards == {}


@pytest.mark.parametrize(("way", "local", "nodes"), [("refused", "ok", "ok"), ("filtered", "ok", "failed"), ("forbidden", "failed", "cannot tell")])
def test_ways_to_the_nodes(look, way, local, nodes):
    found = results(look(Host({"ssh-keygen": (0, "", "")}, reached=way)).nodes("c101"))
    assert (found["local forwarding"], found["login node to node"], found["ssh to nodes"]) == (local, nodes, "cannot tell")
    assert results(look().nodes("")) == {"login node to node": "cannot tell"}


def test_the_sites_relay(look, monkeypatch):
    assert look().relay().result == "cannot tell"
    relay, host = {"address": "10.0.0.2", "ports": "11111-11115"}, Host()

    def check():
        return probes.LoginNodeProbes(context(host, dict(FACTS, site={"relay": relay})), "frontera", None, "").relay()
    assert check().result == "failed" and "paraview_relay_install=true" in check().way_out
    host.forward("-R", "10.0.0.2:11112:127.0.0.1:9")
    assert check().result == "failed" and "belongs to another account" in check().cause
    relay["user"] = "pvrelay"
    for uid, result in ((FACTS["uid"], "ok"), (990, "failed"), (None, "failed")):
        monkeypatch.setattr(LoginNode, "uid_of", lambda _node, _account, uid=uid: uid)
        assert check().result == result


@pytest.mark.parametrize(("output", "client", "found"), [
    ("", "5.11", {"pvserver": "cannot tell", "version": "cannot tell"}), ("libvtkRemotingCore-pv5.11.so.1 => /x", "5.11", {"pvserver": "ok", "version": "ok"}),
    ("paraview version 5.13.2", "5.11", {"pvserver": "ok", "version": "failed"}),
    ("paraview version 5.13.2", "", {"pvserver": "ok", "version": "cannot tell"})])
def test_pvserver_and_its_version(look, output, client, found):
    clients = [installed.Installed("paraview", client, "")] if client else []
    checks, modules = look(Host({"vtkRemotingCore": (0, output, ""), "avail": (0, "", "")})).pvserver(clients, OPTIONS)
    assert (results(checks), modules) == (found, [])


def test_the_module_of_the_test_job(look):
    """The doctor's own job loads the module that auto chooses."""
    host = Host({"module load paraview/5.13.2": (0, "paraview version 5.13.2", ""), "module load paraview/5.13.3": (0, "==unloaded x", ""),
                 "avail": (0, "==modules\nparaview/5.13.2\nparaview/5.13.3\n", "")})
    checks, modules = look(host).pvserver([installed.Installed("paraview", "5.13.0", "")], dict(OPTIONS, modules=["auto"]))
    assert (results(checks), modules) == ({"pvserver": "ok", "version": "ok"}, ["paraview/5.13.2"])


def test_paraview_here(program, tmp_path, monkeypatch):
    path = program("paraview", "#!/bin/sh\necho paraview version 5.12.1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "{0}:{1}".format(os.path.dirname(path), os.environ["PATH"]))
    clients, check = probes.paraview(OPTIONS)
    assert clients[0].version == "5.12.1" and check.result == "ok" and "5.12.1 (paraview)" in check.said
    clients, check = probes.paraview(dict(OPTIONS, client_program="/no/such/paraview"))
    assert clients == [] and (check.result, check.who) == ("failed", "you") and "paraview_client_program" in check.said
    clients, check = probes.paraview(dict(OPTIONS, client_host="bigscreen"))
    assert clients[0].why == check.said == "it runs on bigscreen, which is not checked from this machine"


def test_results_of_a_job(script, tmp_path, program):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = "127.0.0.1:{0}".format(listener.getsockname()[1])
        lines = probes.job_lines(program("pvserver", "#!/bin/sh\n"), str(tmp_path), [there, "127.0.0.1:1"])
        assert script(lines)[0] == 0
    found = probes.read_job((tmp_path / "doctor").read_text(), "c101", "login2", "pvserver")
    assert [(one.name, one.result) for one in found if one.name != "display"] == [
        ("pvserver", "ok"), ("node to login node", "ok"), ("node to login node", "failed")]
    assert "127.0.0.1:1" in found[-1].cause and found[-1].who == "site"
    assert (tmp_path / "doctor").stat().st_mode & 0o077 == 0


def test_faults_that_a_job_finds():
    found = probes.read_job("pvserver\nmissing libosmesa.so.8\ndisplay no\ngarbage\ndial \n", "c101", "login2", "pvserver")
    assert [(one.name, one.result) for one in found] == [("pvserver", "failed"), ("libraries", "failed"), ("display", "cannot tell")]
    assert "paraview_modules" in found[0].way_out and "libosmesa.so.8" in found[1].cause


def test_a_refused_forward_has_sshs_message(look):
    class Refusing(Host):
        def forward(self, option, specification):
            raise ForwardRefused("remote port forwarding failed for listen port 0")

    assert "remote port forwarding failed" in look(Refusing()).forwarding()[0].cause
