# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that outlives ParaView: clients are killed and come back, pvserver is killed, and in the end nothing is left."""

import re
import subprocess

import pytest
from batch import StandIn
from desk import STATE, long
from test_guides import GUIDES, HOME, blocks, said, steps, terminal

__all__ = ["terminal"]

FORWARD, REVERSE = ("node_tunnel", "forward_tunnel"), ("reverse_tunnel", "reverse_tunnel_relay", "node_tunnel_reverse")

PICTURE = "/home/alice/picture.png"


class Clients:
    """Clients of one session, one after the other."""

    def __init__(self, desk, host="lab", **settings):
        desk.lab.on("workstation", "rm", "-f", PICTURE)
        desk.connect(host, keep_timeout="5m", **settings)
        self._follow(desk, host)

    @classmethod
    def of(cls, desk, host):
        """Clients of a session that exists."""
        self = cls.__new__(cls)
        self._follow(desk, host)
        return self

    def _follow(self, desk, host):
        self.desk, self.lab, self.host = desk, desk.lab, host
        self.report, self.job = desk.record(host), desk.record(host)["job_id"]
        self.connect_id = desk.run("cat", f"{STATE}/{host}/connect_id").stdout.strip()
        self.way = "reverse" if self.report["url"].startswith("csrc") else "forward"

    def record(self):
        return self.desk.record(self.host)

    def words(self, *more):
        return ["xvfb-run", "-a", "-s", "-noreset", "pvpython", f"--connect-id={self.connect_id}", "client.py", self.way,
                str(self.report["client_port"]), PICTURE, *more]

    def begin(self):
        """A client that stays."""
        self.lab.on("workstation", "rm", "-f", PICTURE)
        self.lab.start("workstation", *self.words("wait"), user="alice", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.drawn()

    def drawn(self):
        self.lab.wait(lambda: self.lab.on("workstation", "test", "-s", PICTURE, check=False).returncode == 0, 60, "it has drawn a picture")
        self.lab.wait(lambda: self.record()["state"] == "connected", 20, "it is connected")

    def kill(self, lives=True):
        self.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-f", "client.py", check=lives)
        self.lab.on("workstation", "pkill", "-u", "alice", "Xvfb", check=False)

    def ready_again(self, restarts, seconds=60):
        record = self.lab.wait(lambda: self.record() if (self.record().get("restarts"), self.record().get("state")) == (restarts, "ready") else None,
                               seconds, "another pvserver is ready")
        assert (record["job_id"], record["url"]) == (self.job, self.report["url"])
        return record

    def draw(self):
        """A client that draws a picture and disconnects."""
        assert "cells 1000000" in self.lab.on("workstation", *self.words(), user="alice").stdout

    def over(self, reason="the client left"):
        record = self.lab.wait(lambda: self.record() if self.record().get("state") not in ("ready", "connected", "starting") else None, 60, "it is over")
        assert (record["state"], record["reason"]) == ("ended", reason)
        self.desk.disconnect(self.host)
        self.desk.nothing_left()


@pytest.mark.everywhere
def test_a_client_that_is_killed_and_one_that_disconnects(desk):
    clients = Clients(desk, keep="crash")
    clients.begin()
    clients.kill()
    kept = clients.ready_again(1)
    assert re.search(r"^ParaView has left without disconnecting; job \S+ on \S+ waits for ParaView until \d\d:\d\d; to end it now: .*disconnect",
                     kept["reason"])
    assert "ParaView has left without disconnecting" in desk.status(host="lab").stdout
    clients.draw()
    clients.over()


@pytest.mark.parametrize("reconnect", [long(True), long(False)])
@pytest.mark.parametrize("route", [long(route) if route != "reverse_tunnel" else route for route in FORWARD + REVERSE])
def test_each_route(desk, route, reconnect):
    clients = Clients(desk, keep="crash", route=route, reconnect=reconnect, user_relay=True, **(
        {"start_client": desk.client_command("reverse", "wait")} if route in REVERSE else {}))
    if route in FORWARD:
        clients.begin()
    clients.drawn()
    for restarts in (1, 2):
        clients.kill()
        clients.ready_again(restarts)
        if restarts == 1:
            clients.begin()
    clients.draw()
    clients.over()


@pytest.mark.torture
def test_every_command_of_the_guide(lab, desk, terminal):
    inventory = "all:\n  hosts:\n    frontera:\n      ansible_host: login.lab.example\n"
    lab.on("workstation", "sh", "-c", f"cat > {HOME}/clusters.yml", user="alice", input=inventory)
    terminal.type("export ANSIBLE_INVENTORY=~/clusters.yml")

    def crash():
        clients = Clients.of(desk, "frontera")
        clients.begin()
        clients.kill()
        clients.ready_again(1)

    consoles = [one for one in blocks((GUIDES / "guide_keep.rst").read_text()) if one[0] == "console"]
    for before, (_language, _caption, lines) in zip([lambda: None, crash, lambda: None], consoles, strict=True):
        before()
        for command, wanted in steps(lines):
            said(terminal, command, wanted)


@pytest.mark.torture
def test_ten_clients_are_killed_in_one_job(desk):
    clients = Clients(desk, keep="crash")
    for restarts in range(10):
        clients.begin()
        clients.kill()
        clients.ready_again(restarts + 1)
    clients.draw()
    clients.over()


@pytest.mark.torture
def test_always(desk):
    clients = Clients(desk, keep="always")
    for restarts in (1, 2):
        clients.draw()
        assert clients.ready_again(restarts)["reason"].startswith("ParaView has disconnected; job ")
    desk.disconnect()
    desk.nothing_left()


@pytest.mark.torture
def test_pvserver_is_killed(desk):
    clients = Clients(desk, keep="crash")
    for restarts in (1, 2, 3):
        clients.begin()
        clients.lab.on("compute1", "pkill", "-KILL", "-u", "alice", "-x", "pvserver")
        assert clients.ready_again(restarts)["reason"].startswith("pvserver has ended by itself (")
        clients.kill(lives=False)
    clients.begin()
    clients.lab.on("compute1", "pkill", "-KILL", "-u", "alice", "-x", "pvserver")
    record = clients.lab.wait(lambda: clients.record() if clients.record().get("state") == "failed" else None, 60, "the fourth time ends it")
    assert record["restarts"] == 3
    clients.kill(lives=False)
    desk.disconnect()
    desk.nothing_left()


@pytest.mark.torture
def test_the_connection_is_lost_while_the_client_is_killed(desk):
    clients = Clients(desk, keep="crash")
    clients.begin()
    for way in (("workstation", "login"), ("login", "workstation")):
        clients.lab.path("close", *way)
    try:
        clients.kill()
        clients.lab.wait(lambda: clients.record()["lost_at"], 60, "the loss is noticed")
    finally:
        for way in (("workstation", "login"), ("login", "workstation")):
            clients.lab.path("reset", *way)
    clients.ready_again(1, 120)
    clients.draw()
    clients.over()


@pytest.mark.torture
def test_the_daemon_is_killed_while_the_job_is_kept(desk):
    clients = Clients(desk, keep="crash")
    clients.begin()
    clients.kill()
    clients.ready_again(1)
    clients.lab.on("workstation", "kill", "-KILL", str(clients.record()["daemon"][0]))
    desk.connect(keep="crash", keep_timeout="5m")
    job, clients = clients.job, Clients.of(desk, "lab")
    assert clients.job == job
    clients.draw()
    clients.over()


@pytest.mark.torture
def test_nobody_comes_back(desk):
    desk.connect(keep="crash", keep_timeout="10s")
    clients = Clients.of(desk, "lab")
    clients.begin()
    clients.kill()
    clients.over("no client came in time")


@pytest.mark.torture
@pytest.mark.parametrize("system", ["pbs", "sge"])
def test_other_batch_systems(desk, lab, system):
    if system == "pbs":
        stand_in = StandIn(lab, "pbs")
        stand_in.install()
    try:
        clients = Clients(desk, keep="crash", **({"scheduler": "sge"} if system == "sge" else {}))
        clients.begin()
        clients.kill()
        clients.ready_again(1)
        clients.draw()
        clients.over()
    finally:
        if system == "pbs":
            stand_in.remove()


@pytest.fixture
def paraviews(lab):
    """Starts what stands for a ParaView whose user has clicked Connect; returns its process id."""
    started = []

    def start():
        started.append(lab.start("workstation", "sh", "-c", "echo $$; exec sleep 600", user="alice"))
        return int(started[-1].stdout.readline())

    yield start
    lab.on("workstation", "pkill", "-u", "alice", "-x", "sleep", check=False)
    for one in started:
        one.wait(10)


@pytest.mark.torture
@pytest.mark.parametrize("reconnect", [True, False])
def test_the_dialog_of_a_new_paraview(desk, paraviews, reconnect):
    """Each ParaView's dialog chooses another connect-id. That of the crashed one is refused from then on."""
    first, second, port = paraviews(), paraviews(), 23456
    clients = Clients(desk, keep="crash", reconnect=reconnect, client_process=first, connect_id=1234567, client_port=port)
    clients.begin()
    desk.lab.on("workstation", "kill", str(first))
    clients.kill()
    clients.ready_again(1)
    done = desk.connect(keep="crash", keep_timeout="5m", reconnect=reconnect, client_process=second, connect_id=7654321, client_port=port)
    assert "a session is open already" in done.stdout
    refused = desk.lab.on("workstation", *clients.words(), user="alice", check=False)
    assert "cells" not in refused.stdout
    # A refused ParaView has used the program beside it; the daemon starts it again.
    desk.lab.wait(lambda: desk.lab.on("workstation", "ss", "-Hltn", "sport", "=", f":{port}").stdout, 30, "the port is open again")
    clients.ready_again(1)
    clients.connect_id = "7654321"
    clients.draw()
    desk.lab.on("workstation", "kill", str(second))
    clients.over()
