# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes through a relay, over a simulated login node."""

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
    """A login node: its sshd, its listeners, and its shell's output; serves as master, script and hold."""

    def __init__(self, sockets=True, relay_uid=ALICE, program="python /usr/bin/python3", reach="", socket_line="srw------- 1 1000 1000 0 Jan 1 00:00 x"):
        self.sockets, self.relay_uid, self.program, self.reach, self.socket_line = sockets, relay_uid, program, reach, socket_line
        self.site_relay, self.full, self.accounts = [], False, {"pvrelay": 990}
        self.forwards, self.taken, self.relay, self.allowed, self.started, self.stopped = {}, [], None, None, 0, 0

    def forward(self, option, specification):
        if specification.startswith("/"):
            if not self.sockets:
                raise ForwardRefused("remote port forwarding failed for listen path")
            self.forwards[option, specification] = None
            return None
        address, port = specification.split(":")[:2]
        if int(port) in [listener.port for listener in self.taken]:
            raise ForwardRefused("remote port forwarding failed for listen port " + port)
        self.forwards[option, specification] = Listener(address, int(port) or 41233, ALICE)
        return None if int(port) else 41233

    def cancel(self, option, specification):
        self.forwards.pop((option, specification), None)

    def listeners(self):
        return self.site_relay + self.taken + [listener for listener in self.forwards.values() if listener] + [self.relay] * bool(self.relay)

    def hold(self, text, _seconds):
        if "mktemp" in text:
            self.started += 1
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
                number, "".join("{0:02X}".format(int(part)) for part in reversed(listener.address.split("."))), listener.port, listener.uid)
                for number, listener in enumerate(self.listeners()))
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
        elif text.startswith("id -u -- "):
            uid = self.accounts.get(text.rpartition(" ")[2])
            return (1, "", "id: no such user\n") if uid is None else (0, "{0}\n".format(uid), "")
        elif "socket.socket" in text:
            out = self.reach
        elif "ended" in text:
            out = "listening 10.0.0.2:42000\n"
        else:
            out = ""
        return 0, out, ""


@pytest.fixture(name="make_context")
def _make_context():
    def make(login=None, site=None, user_relay=True, addresses=("10.0.0.11", "10.1.0.11"), **options):
        login = login or Login()
        facts = {"login_node": "login2", "uid": ALICE, "addresses": ["198.18.2.2", "10.0.0.2"], "client_side": "198.18.2.2", "client_address": "192.0.2.7",
                 "site": site or {}}
        options = dict({"client_port": 0, "login_ports": "", "server_ports": "", "on_login_node": False, "user_relay": user_relay,
                        "client_timeout": 1200}, **options)
        return RouteContext(login, LoginNode(facts["login_node"], facts["uid"], login.script, login.hold, str), facts, options, (),
                            {"nodes": ["c101"], "addresses": list(addresses)})

    return make


@pytest.fixture(name="client", autouse=True)
def _client(monkeypatch):
    monkeypatch.setattr(endpoints, "local_owner", lambda _port: os.getuid())


def tunnel(context):
    return ReverseTunnelRelay(context, {"client_port": 40123})


def test_the_users_own_relay_forwards_to_a_socket(make_context):
    context = make_context()
    route = tunnel(context)
    route.ready_for("c101")
    assert (route.address, route.port) == ("10.0.0.2", 42000)
    assert context.forwards == [["-R", DIRECTORY + "/client:127.0.0.1:40123"]]
    assert "--to unix:{0}/client ".format(DIRECTORY) in context.master.command and "--owner 1000" in context.master.command
    assert context.master.allowed is None, "no connection is let through before the client is checked"
    assert route.client_may_be_late
    route.before_start("c101")
    assert context.master.started == 1
    assert route.pvserver_arguments(17)[1:3] == ["--client-host=10.0.0.2", "--server-port=42000"]
    route.let_through("c101")
    assert context.master.allowed == ["10.0.0.11", "10.1.0.11"]


def test_pvserver_is_not_let_through_to_another_account(make_context, monkeypatch):
    context = make_context()
    route = tunnel(context)
    route.ready_for("c101")
    monkeypatch.setattr(endpoints, "local_owner", lambda _port: None)
    with pytest.raises(SessionError, match="no longer listens on port 40123"):
        route.let_through("c101")
    monkeypatch.setattr(endpoints, "local_owner", lambda _port: EVE)
    with pytest.raises(SessionError, match="port 40123 on this host is taken"):
        route.let_through("c101")
    assert context.master.allowed is None


def test_allowed_addresses_that_cannot_be_written(make_context):
    context = make_context()
    route = tunnel(context)
    route.ready_for("c101")
    context.master.full = True
    with pytest.raises(RouteUnavailable, match="own relay on login2 cannot be written .No space left on device."):
        route.let_through("c101")


@pytest.mark.parametrize("line", ["", "srw-rw-rw- 1 1000 1000 0 x", "srw------- 1 1001 1001 0 x", "-rw------- 1 1000 1000 0 x", "lrwxrwxrwx 1 1000 1000 0 x"])
def test_a_socket_that_others_can_open_is_refused(make_context, line):
    context = make_context(Login(socket_line=line))
    with pytest.raises(RouteUnavailable, match="did not create the socket"):
        tunnel(context).ready_for("c101")
    assert context.forwards == [] and context.master.relay is None


def test_if_sshd_allows_no_sockets_loopback_is_used(make_context):
    context = make_context(Login(sockets=False))
    route = tunnel(context)
    route.ready_for("c101")
    assert context.forwards == [["-R", "127.0.0.1:0:127.0.0.1:40123"]]
    assert "--to 127.0.0.1:41233 " in context.master.command and "--owner 1000" in context.master.command


def test_a_relay_of_another_account_is_refused(make_context):
    context = make_context(Login(relay_uid=EVE))
    with pytest.raises(RouteUnavailable, match="port 42000 of login2 belongs to another account"):
        tunnel(context).ready_for("c101")
    assert context.forwards == []


def test_a_lost_relay_is_started_again(make_context):
    context = make_context()
    route = tunnel(context)
    route.ready_for("c101")
    context.master.relay = None
    route.before_start("c101")
    assert context.master.started == 2 and len(context.forwards) == 1


def test_a_removed_route_leaves_nothing(make_context):
    context = make_context()
    route = tunnel(context)
    route.ready_for("c101")
    route.remove()
    assert (context.master.forwards, context.master.relay, route.port) == ({}, None, None)


@pytest.mark.parametrize("route", [ReverseTunnelRelay, ReverseRelay])
def test_no_relay_is_started_unless_the_user_allows_it(make_context, route):
    context = make_context(user_relay=False)
    with pytest.raises(RouteUnavailable, match="login2 offers no relay.*paraview_user_relay"):
        route(context, {"client_port": 40123}).ready_for("c101")
    assert context.master.started == 0


def test_a_route_without_encryption_has_a_note(make_context):
    assert "not encrypted" in ReverseRelay(make_context(), {"client_port": 40123}).note
    assert not tunnel(make_context()).note


def test_socat_accepts_one_source_and_cannot_hold_a_connection(make_context):
    context = make_context(Login(program="socat /usr/bin/socat"))
    route = tunnel(context)
    route.ready_for("c101")
    assert not route.client_may_be_late
    assert "range=10.0.0.11/32" in context.master.command
    assert "login2 has no Python" in route.note and "socat" in route.note
    context.job["addresses"] = []
    route.before_start("c101")
    assert context.master.started == 2, "its list of sources cannot be changed, so it is started again"


# --- over the site's relay ---


def test_the_sites_relay(make_context):
    login = Login()
    context = make_context(login, SITE, user_relay=False)
    login.site_relay = [Listener("10.0.0.2", port, SERVICE) for port in (11111, 11112, 11113)]
    login.taken = [Listener("127.0.0.1", 11111, EVE), Listener("127.0.0.1", 11113, EVE)]
    route = tunnel(context)
    route.ready_for("c101")
    assert (route.address, route.port) == ("10.0.0.2", 11112)
    assert context.forwards == [["-R", "127.0.0.1:11112:127.0.0.1:40123"]]
    assert not route.client_may_be_late, "the client behind its forward is checked before pvserver starts"
    assert login.started == 0
    route.before_start("c101")
    assert len(context.forwards) == 1
    login.site_relay = [Listener("10.0.0.2", 11112, EVE)]
    with pytest.raises(RouteUnavailable, match="belongs to another account .uid 1001., not to a service"):
        route.before_start("c101")
    assert context.forwards == []


NAMED = {"relay": dict(SITE["relay"], user="pvrelay")}


@pytest.mark.parametrize(("site", "uid", "refused"), [
    (NAMED, 990, ""), (NAMED, 991, "(uid 991) than the relay's, pvrelay (uid 990)"), (NAMED, SERVICE, "(uid 61200) than the relay's"), (NAMED, 0, "(uid 0)"),
    (NAMED, ALICE, "(uid 1000)"), (NAMED, 65534, "(uid 65534)"), (SITE, 991, ""), (SITE, SERVICE, ""), (SITE, 0, ""),
    (SITE, EVE, "(uid 1001), not to a service"), (SITE, 65534, "(uid 65534), not to a service")])
@pytest.mark.parametrize("address", ["10.0.0.2", "0.0.0.0"])
def test_who_listens_on_the_ports_of_the_sites_relay(make_context, site, uid, refused, address):
    """A site.yml that names the relay's account is held to it; that of an older role shows only that it has to be a service."""
    login = Login()
    login.site_relay = [Listener(address, port, uid) for port in (11111, 11112, 11113)]
    context = make_context(login, site, user_relay=False)
    route = tunnel(context)
    if refused:
        with pytest.raises(RouteUnavailable, match=re.escape(refused)):
            route.ready_for("c101")
        assert context.forwards == []
    else:
        route.ready_for("c101")
        assert route.port in (11111, 11112, 11113)


def test_a_listener_on_the_very_address_of_the_relay_counts_before_the_relay_on_all(make_context):
    login = Login()
    login.site_relay = [Listener("0.0.0.0", port, 990) for port in (11111, 11112, 11113)] + [Listener("10.0.0.2", port, 991) for port in (11111, 11112, 11113)]
    with pytest.raises(RouteUnavailable, match="uid 991"):
        tunnel(make_context(login, NAMED)).ready_for("c101")


def test_an_account_of_the_relay_that_the_login_node_does_not_know(make_context):
    login = Login()
    login.accounts = {}
    login.site_relay = [Listener("10.0.0.2", port, 990) for port in (11111, 11112, 11113)]
    with pytest.raises(RouteUnavailable, match="runs as the account pvrelay .site.yml., which login2 does not know"):
        tunnel(make_context(login, NAMED)).ready_for("c101")


def test_the_sites_relay_does_not_run(make_context):
    context = make_context(site=SITE)
    with pytest.raises(RouteUnavailable, match=r"the relay of login2 does not listen on 10.0.0.2:1111[123]"):
        tunnel(context).ready_for("c101")
    assert context.forwards == []


# --- to this machine without ssh ---


def test_a_relay_to_this_machine(make_context):
    context = make_context()
    route = ReverseRelay(context, {"client_port": 40123})
    route.ready_for("c101")
    assert "--to 192.0.2.7:40123 " in context.master.command and "--owner" not in context.master.command
    assert context.forwards == []
    route.let_through("c101")
    assert context.master.allowed == ["10.0.0.11", "10.1.0.11"]


def test_a_machine_that_the_login_node_cannot_reach(make_context):
    context = make_context(Login(reach="timed out\n"))
    with pytest.raises(RouteUnavailable, match="login2 cannot reach this machine at 192.0.2.7:40123 .timed out."):
        ReverseRelay(context, {"client_port": 40123}).ready_for("c101")
    assert context.master.relay is None
