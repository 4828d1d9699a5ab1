# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes through a relay, over a login node of our own making."""

import os
import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners as endpoints
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.listeners import Listener
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import RouteContext
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.relays import ReverseRelay, ReverseTunnelRelay
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused

ALICE, EVE, SERVICE = 1000, 1001, 61200
DIRECTORY = "/tmp/paraview-relay.0123456789"
SITE = {"relay": {"address": "10.0.0.2", "ports": "11111-11113", "owner_required": True}}


class Login:
    """A login node: its sshd, its listeners, and what its shell answers; master, script and hold in one."""

    def __init__(self, sockets=True, relay_uid=ALICE, program="python /usr/bin/python3", reach="", socket_line="srw------- 1 1000 1000 0 Jan 1 00:00 x"):
        self.sockets, self.relay_uid, self.program, self.reach, self.socket_line = sockets, relay_uid, program, reach, socket_line
        self.site_relay, self.full = [], False
        self.up, self.taken, self.relay, self.allowed, self.begun, self.stopped = {}, [], None, None, 0, 0

    def forward(self, option, specification):
        if specification.startswith("/"):
            if not self.sockets:
                raise ForwardRefused("remote port forwarding failed for listen path")
            self.up[option, specification] = None
            return None
        address, port = specification.split(":")[:2]
        if int(port) in [one.port for one in self.taken]:
            raise ForwardRefused("remote port forwarding failed for listen port " + port)
        self.up[option, specification] = Listener(address, int(port) or 41233, ALICE)
        return None if int(port) else 41233

    def cancel(self, option, specification):
        self.up.pop((option, specification), None)

    def listeners(self):
        return self.site_relay + self.taken + [one for one in self.up.values() if one] + [self.relay] * bool(self.relay)

    def hold(self, text, _seconds):
        if "mktemp" in text:
            self.begun += 1
            return 0, "directory " + DIRECTORY + "\n", ""
        if "--listen" in text:
            self.relay = Listener(re.search(r"--listen ([0-9.]+):", text).group(1), 42000, self.relay_uid)
            self.command = text
        elif "LISTEN" in text:
            port, address = re.search(r"TCP4-LISTEN:(\d+),bind=([0-9.]+)", text).groups()
            self.relay = Listener(address, int(port), self.relay_uid)
            self.command = text
        else:
            self.relay = None
            self.stopped += 1
        return 0, "", ""

    def script(self, text, _seconds):
        if text == endpoints.SCRIPT:
            out = "\n".join("{0}: {1}:{2:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {3} 0 1".format(
                number, "".join("{0:02X}".format(int(part)) for part in reversed(one.address.split("."))), one.port, one.uid)
                for number, one in enumerate(self.listeners()))
        elif "platform-python" in text:
            out = self.program + "\n"
        elif "ip -4 route get" in text:
            out = "address 10.0.0.11\n10.0.0.11 dev ib0 src 10.0.0.2 uid 1000\n"
        elif "getent ahostsv4" in text:
            out = "10.0.0.11\n10.0.0.11\n"
        elif text.startswith("ls -ldn"):
            out = self.socket_line
        elif "/allow" in text:
            if self.full:
                return 1, "", "No space left on device"
            self.allowed = re.findall(r"\d+\.\d+\.\d+\.\d+", text)
            out = ""
        elif "socket.socket" in text:
            out = self.reach
        elif "ended" in text:
            out = "listening 10.0.0.2:42000\n"
        else:
            out = ""
        return 0, out, ""


@pytest.fixture(name="around")
def _around():
    def make(login=None, site=None, user_relay=True, addresses=("10.0.0.11", "10.1.0.11"), **wishes):
        login = login or Login()
        facts = {"login_node": "login2", "uid": ALICE, "addresses": ["198.18.2.2", "10.0.0.2"], "client_side": "198.18.2.2", "client_address": "192.0.2.7",
                 "site": site or {}}
        wishes = dict({"client_port": 0, "login_ports": "", "server_ports": "", "on_login_node": False, "user_relay": user_relay,
                       "client_timeout": 1200}, **wishes)
        return RouteContext(login, LoginNode(facts["login_node"], facts["uid"], login.script, login.hold, str), facts, wishes, (),
                            {"nodes": ["c101"], "addresses": list(addresses)})

    return make


@pytest.fixture(name="client", autouse=True)
def _client(monkeypatch):
    monkeypatch.setattr(endpoints, "local_owner", lambda _port: os.getuid())


def tunnel(surroundings):
    return ReverseTunnelRelay(surroundings, {"client_port": 40123})


def test_a_relay_of_ones_own_leads_to_a_socket(around):
    surroundings = around()
    route = tunnel(surroundings)
    route.ready_for("c101")
    assert (route.address, route.port) == ("10.0.0.2", 42000)
    assert surroundings.forwards == [["-R", DIRECTORY + "/client:127.0.0.1:40123"]]
    assert "--to unix:{0}/client ".format(DIRECTORY) in surroundings.master.command and "--owner 1000" in surroundings.master.command
    assert surroundings.master.allowed is None, "nobody gets through before the client is seen"
    assert route.client_may_be_late
    route.before_start("c101")
    assert surroundings.master.begun == 1
    assert route.pvserver_arguments(17)[1:3] == ["--client-host=10.0.0.2", "--server-port=42000"]
    route.let_through("c101")
    assert surroundings.master.allowed == ["10.0.0.11", "10.1.0.11"]


def test_pvserver_is_let_through_to_nobody_else(around, monkeypatch):
    surroundings = around()
    route = tunnel(surroundings)
    route.ready_for("c101")
    monkeypatch.setattr(endpoints, "local_owner", lambda _port: None)
    with pytest.raises(SessionError, match="no longer listens on port 40123"):
        route.let_through("c101")
    monkeypatch.setattr(endpoints, "local_owner", lambda _port: EVE)
    with pytest.raises(SessionError, match="port 40123 on this host is taken"):
        route.let_through("c101")
    assert surroundings.master.allowed is None


def test_a_relay_that_cannot_be_told_whom_to_let_through(around):
    surroundings = around()
    route = tunnel(surroundings)
    route.ready_for("c101")
    surroundings.master.full = True
    with pytest.raises(RouteUnavailable, match="login2 cannot be told whom to let through .No space left on device."):
        route.let_through("c101")


@pytest.mark.parametrize("line", ["", "srw-rw-rw- 1 1000 1000 0 x", "srw------- 1 1001 1001 0 x", "-rw------- 1 1000 1000 0 x", "lrwxrwxrwx 1 1000 1000 0 x"])
def test_a_socket_that_is_not_ones_own_alone_is_refused(around, line):
    surroundings = around(Login(socket_line=line))
    with pytest.raises(RouteUnavailable, match="did not make the socket"):
        tunnel(surroundings).ready_for("c101")
    assert surroundings.forwards == [] and surroundings.master.relay is None


def test_loopback_serves_where_sshd_allows_no_sockets(around):
    surroundings = around(Login(sockets=False))
    route = tunnel(surroundings)
    route.ready_for("c101")
    assert surroundings.forwards == [["-R", "127.0.0.1:0:127.0.0.1:40123"]]
    assert "--to 127.0.0.1:41233 " in surroundings.master.command and "--owner 1000" in surroundings.master.command


def test_a_relay_that_another_account_has_in_its_place_is_refused(around):
    surroundings = around(Login(relay_uid=EVE))
    with pytest.raises(RouteUnavailable, match="port 42000 of login2 belongs to another account"):
        tunnel(surroundings).ready_for("c101")
    assert surroundings.forwards == []


def test_a_relay_that_was_lost_is_begun_again(around):
    surroundings = around()
    route = tunnel(surroundings)
    route.ready_for("c101")
    surroundings.master.relay = None
    route.before_start("c101")
    assert surroundings.master.begun == 2 and len(surroundings.forwards) == 1


def test_taken_back_it_leaves_nothing(around):
    surroundings = around()
    route = tunnel(surroundings)
    route.ready_for("c101")
    route.take_back()
    assert (surroundings.master.up, surroundings.master.relay, route.port) == ({}, None, None)


@pytest.mark.parametrize("route", [ReverseTunnelRelay, ReverseRelay])
def test_no_relay_is_started_that_the_user_did_not_allow(around, route):
    surroundings = around(user_relay=False)
    with pytest.raises(RouteUnavailable, match="login2 offers no relay.*paraview_user_relay"):
        route(surroundings, {"client_port": 40123}).ready_for("c101")
    assert surroundings.master.begun == 0


def test_a_route_without_encryption_says_so(around):
    assert "not encrypted" in ReverseRelay(around(), {"client_port": 40123}).note
    assert not tunnel(around()).note


def test_socat_takes_one_source_and_cannot_wait(around):
    surroundings = around(Login(program="socat /usr/bin/socat"))
    route = tunnel(surroundings)
    route.ready_for("c101")
    assert not route.client_may_be_late
    assert "range=10.0.0.11/32" in surroundings.master.command
    assert "login2 has no Python" in route.note and "socat" in route.note
    surroundings.job["addresses"] = []
    route.before_start("c101")
    assert surroundings.master.begun == 2, "its list cannot be changed, so that it is begun again"


# --- over the site's relay ---


def test_the_sites_relay(around):
    login = Login()
    surroundings = around(login, SITE, user_relay=False)
    login.site_relay = [Listener("10.0.0.2", port, SERVICE) for port in (11111, 11112, 11113)]
    login.taken = [Listener("127.0.0.1", 11111, EVE), Listener("127.0.0.1", 11113, EVE)]
    route = tunnel(surroundings)
    route.ready_for("c101")
    assert (route.address, route.port) == ("10.0.0.2", 11112)
    assert surroundings.forwards == [["-R", "127.0.0.1:11112:127.0.0.1:40123"]]
    assert not route.client_may_be_late, "its forward has to lead to a client that is ours before pvserver starts"
    assert login.begun == 0
    route.before_start("c101")
    assert len(surroundings.forwards) == 1
    login.site_relay = [Listener("10.0.0.2", 11112, EVE)]
    with pytest.raises(RouteUnavailable, match="belongs to another account .uid 1001., not to a service"):
        route.before_start("c101")
    assert surroundings.forwards == []


def test_a_relay_of_the_site_that_does_not_run(around):
    surroundings = around(site=SITE)
    with pytest.raises(RouteUnavailable, match=r"the relay of login2 does not listen on 10.0.0.2:1111[123]"):
        tunnel(surroundings).ready_for("c101")
    assert surroundings.forwards == []


# --- to this machine without ssh ---


def test_a_relay_to_this_machine(around):
    surroundings = around()
    route = ReverseRelay(surroundings, {"client_port": 40123})
    route.ready_for("c101")
    assert "--to 192.0.2.7:40123 " in surroundings.master.command and "--owner" not in surroundings.master.command
    assert surroundings.forwards == []
    route.let_through("c101")
    assert surroundings.master.allowed == ["10.0.0.11", "10.1.0.11"]


def test_a_machine_that_the_login_node_cannot_reach(around):
    surroundings = around(Login(reach="timed out\n"))
    with pytest.raises(RouteUnavailable, match="login2 cannot reach this machine at 192.0.2.7:40123 .timed out."):
        ReverseRelay(surroundings, {"client_port": 40123}).ready_for("c101")
    assert surroundings.master.relay is None
