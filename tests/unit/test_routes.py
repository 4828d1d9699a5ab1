# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes, over a simulated login node."""

import os
import socket

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.listeners import Listener
from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import RouteContext
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.tunnels import ForwardTunnel, ReverseTunnel
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused

ALICE, EVE = 1000, 1001
FACTS = {"login_node": "login2", "uid": ALICE, "addresses": ["198.18.2.2", "10.0.0.2"], "client_side": "198.18.2.2"}
OPTIONS = {"client_port": 0, "login_ports": "", "server_ports": "", "on_login_node": False}


class Login:
    """A login node: its sshd's policy, its listeners and its connection to the nodes; serves as master and script."""

    def __init__(self, bind=None, uid=ALICE, reached="refused", source="address 10.0.0.11\n10.0.0.11 dev ib0 src 10.0.0.2 uid 1000\n", refuse=(), local=True):
        self.bind, self.uid, self.reached, self.source, self.refuse, self.local = bind, uid, reached, source, refuse, local
        self.forwards, self.tried, self.sockets = {}, [], []

    def forward(self, option, specification):
        address, port = specification.split(":")[:2]
        if int(port) in self.refuse or "all" in self.refuse:
            raise ForwardRefused("remote port forwarding failed for listen port " + port)
        if option == "-L":
            if self.local:
                self.sockets.append(socket.create_server((address, int(port))))
            self.forwards[option, specification] = None
            return None
        self.forwards[option, specification] = Listener(self.bind or address, int(port) or 41233, self.uid)
        return None if int(port) else 41233

    def cancel(self, option, specification):
        self.forwards.pop((option, specification), None)

    def reach(self, address, port, messages=None):
        assert messages is None or messages() == ""
        self.tried.append((address, port))
        return self.reached

    def script(self, text, _seconds):
        if text != listeners.SCRIPT:
            return 0, self.source, ""
        lines = ["{0}: {1}:{2:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {3} 0 1".format(
            number, "".join("{0:02X}".format(int(part)) for part in reversed(listener.address.split("."))), listener.port, listener.uid)
            for number, listener in enumerate(listener for listener in self.forwards.values() if listener)]
        return 0, "\n".join(lines), ""


@pytest.fixture(name="make_context")
def _make_context():
    logins = []

    def make(login=None, facts=None, **options):
        logins.append(login or Login())
        all_facts = dict(FACTS, **(facts or {}))
        login_node = LoginNode(all_facts["login_node"], all_facts["uid"], logins[-1].script, messages=str)
        return RouteContext(logins[-1], login_node, all_facts, dict(OPTIONS, **options))

    yield make
    for login in logins:
        for sock in login.sockets:
            sock.close()


@pytest.fixture(name="taken")
def _taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def reverse(context):
    return ReverseTunnel(context, {"client_port": 40123})


def test_a_reverse_tunnel(make_context, monkeypatch):
    monkeypatch.setattr(listeners, "local_owner", lambda _port: os.getuid())
    context = make_context()
    route = reverse(context)
    route.ready_for("c101")
    assert (route.address, route.port) == ("10.0.0.2", 41233)
    assert context.forwards == [["-R", "10.0.0.2:0:127.0.0.1:40123"]]
    route.before_start("c101")
    assert len(context.forwards) == 1
    assert route.pvserver_arguments(17) == ["--reverse-connection", "--client-host=10.0.0.2", "--server-port=41233", "--connect-id=17"]
    assert route.after_start(None, "c101") == 40123
    monkeypatch.setattr(listeners, "local_owner", lambda _port: None)
    with pytest.raises(SessionError, match="no longer listens on port 40123"):
        route.before_start("c101")
    monkeypatch.setattr(listeners, "local_owner", lambda _port: EVE)
    with pytest.raises(SessionError, match="port 40123 on this host is taken"):
        route.before_start("c101")


def test_a_bind_to_all_addresses_is_accepted(make_context):
    route = reverse(make_context(Login(bind="0.0.0.0")))
    route.ready_for("c101")
    assert route.port == 41233


@pytest.mark.parametrize("bind", ["127.0.0.1", "198.18.2.2"])
def test_a_bind_to_another_address_is_refused_and_cancelled(make_context, bind):
    context = make_context(Login(bind=bind))
    with pytest.raises(RouteUnavailable, match="on {0} instead of 10.0.0.2.*GatewayPorts".format(bind)):
        reverse(context).ready_for("c101")
    assert context.forwards == [] and context.master.forwards == {}


def test_a_port_of_another_account_is_refused(make_context):
    context = make_context(Login(uid=EVE))
    with pytest.raises(RouteUnavailable, match="uid 1001"):
        reverse(context).ready_for("c101")
    assert context.forwards == [] and context.master.forwards == {}


def test_a_more_specific_listener_of_another_account_is_refused(make_context):
    login = Login(bind="0.0.0.0")
    login.forwards["eve"] = Listener("10.0.0.2", 41233, EVE)
    with pytest.raises(RouteUnavailable, match="uid 1001"):
        reverse(make_context(login)).ready_for("c101")


def test_an_endpoint_that_another_account_took_meanwhile_is_refused(make_context):
    """The last check, immediately before pvserver starts."""
    context = make_context()
    route = reverse(context)
    route.ready_for("c101")
    context.master.forwards = {"eve": Listener("10.0.0.2", 41233, EVE)}
    with pytest.raises(RouteUnavailable):
        route.before_start("c101")


def test_a_lost_endpoint_is_set_up_again(make_context):
    """The connection was lost while the job was queued, and was replaced."""
    context = make_context()
    route = ReverseTunnel(context, {"client_port": 40123, "address": "10.0.0.2", "port": 40999})
    route.ready_for("c101")
    assert route.port == 41233 and len(context.master.forwards) == 1


def test_if_the_address_changes_the_endpoint_is_set_up_again(make_context):
    context = make_context()
    route = reverse(context)
    route.ready_for("c101")
    context.master.source = "address 10.1.0.11\n10.1.0.11 dev ib1 src 10.1.0.2 uid 1000\n"
    route.ready_for("d101")
    assert list(context.master.forwards) == [("-R", "10.1.0.2:0:127.0.0.1:40123")]
    assert context.forwards == [["-R", "10.1.0.2:0:127.0.0.1:40123"]]


@pytest.mark.parametrize(("facts", "address"), [
    ({}, "10.0.0.2"), ({"cluster_address": "10.9.9.9"}, "10.9.9.9"), ({"addresses": ["198.18.2.2"]}, "198.18.2.2")])
def test_the_login_nodes_address_if_no_node_is_known(make_context, facts, address):
    route = reverse(make_context(Login(source="address \n"), facts))
    route.ready_for("")
    assert route.address == address


def test_without_an_address_the_route_is_unavailable(make_context):
    with pytest.raises(RouteUnavailable, match="no IPv4 address"):
        reverse(make_context(Login(source=""), {"addresses": []})).ready_for("")


def test_pvserver_on_the_login_node_needs_loopback_only(make_context):
    route = reverse(make_context(on_login_node=True))
    route.ready_for("login2")
    assert route.address == "127.0.0.1"


def test_login_ports_are_tried_until_one_is_free(make_context):
    context = make_context(Login(refuse=[40000, 40001, 40003]), login_ports="40000-40003")
    route = reverse(context)
    route.ready_for("c101")
    assert route.port == 40002
    assert context.forwards == [["-R", "10.0.0.2:40002:127.0.0.1:40123"]]


@pytest.mark.parametrize("ports", ["", "40000-40003"])
def test_a_refusal_has_sshs_message(make_context, ports):
    with pytest.raises(RouteUnavailable, match="login2 refuses a remote forward on 10.0.0.2.*remote port forwarding failed") as caught:
        reverse(make_context(Login(refuse=["all"]), login_ports=ports)).ready_for("c101")
    assert ports in str(caught.value)


def test_a_reverse_clients_port(make_context, taken):
    assert reverse(make_context()).client_port() > 0
    # The user's ParaView may listen there already.
    assert reverse(make_context(client_port=taken)).client_port() == taken


@pytest.mark.parametrize("route", [ForwardTunnel, ReverseTunnel])
def test_a_client_port_of_another_account_is_refused(make_context, taken, monkeypatch, route):
    monkeypatch.setattr(listeners, "local", lambda: [Listener("127.0.0.1", taken, os.getuid() + 1)])
    with pytest.raises(SessionError, match="port {0} on this host is taken".format(taken)) as caught:
        route(make_context(client_port=taken)).client_port()
    assert "uid {0}".format(os.getuid() + 1) in caught.value.why


def test_a_forward_tunnel(make_context):
    context = make_context()
    route = ForwardTunnel(context)
    route.ready_for("c101")
    assert context.master.tried[0][0] == "10.0.0.11"
    route.before_start("c101")
    assert context.forwards == []
    assert route.pvserver_arguments(17) == ["--server-port=0", "--connect-id=17"]
    port = route.after_start(("c101", 11111), "c101")
    assert context.forwards == [["-L", "127.0.0.1:{0}:10.0.0.11:11111".format(port)]], "the address that was tested"


def test_a_forward_tunnel_with_ports_that_a_firewall_allows(make_context):
    assert ForwardTunnel(make_context(server_ports="11111-11120")).pvserver_arguments(0) == ["--server-port=11111-11120"]


def test_a_forward_tunnel_to_the_login_node_itself(make_context):
    context = make_context(on_login_node=True)
    port = ForwardTunnel(context).after_start(("login2", 11111), "login2")
    assert context.forwards == [["-L", "127.0.0.1:{0}:127.0.0.1:11111".format(port)]]


@pytest.mark.parametrize(("reached", "reason"), [("forbidden", "login2 forbids local forwarding"), ("filtered", "login2 cannot reach a port of c101")])
def test_a_node_that_cannot_be_reached(make_context, reached, reason):
    with pytest.raises(RouteUnavailable, match=reason):
        ForwardTunnel(make_context(Login(reached=reached))).ready_for("c101")


def test_if_a_nodes_address_is_unknown_its_name_is_used(make_context):
    context = make_context(Login(source=""))
    ForwardTunnel(context).ready_for("c101")
    ForwardTunnel(context).ready_for("")
    assert [address for address, _port in context.master.tried] == ["c101"]


def test_a_forward_clients_port_must_be_free(make_context, taken):
    with pytest.raises(SessionError, match="port {0} on this host is taken".format(taken)) as caught:
        ForwardTunnel(make_context(client_port=taken)).client_port()
    assert "your own account" in caught.value.why and "paraview_client_port" in caught.value.way_out


def test_a_local_port_that_ssh_cannot_open(make_context):
    with pytest.raises(SessionError, match="cannot open port") as caught:
        ForwardTunnel(make_context(Login(refuse=["all"]))).after_start(("c101", 5), "c101")
    assert "forwarding failed" in caught.value.why


def test_a_local_listener_that_does_not_appear(make_context):
    with pytest.raises(SessionError) as caught:
        ForwardTunnel(make_context(Login(local=False))).after_start(("c101", 5), "c101")
    assert "None" not in str(caught.value)


def _attempt(unavailable):
    def attempt(name):
        if name in unavailable:
            raise RouteUnavailable(unavailable[name])
        return name.upper()

    return attempt


def test_the_first_route_that_works_is_chosen():
    assert choice.choose(["a", "b", "c"], ["a"], _attempt({"b": "no way"})) == ("C", [("a", "this site does not offer it"), ("b", "no way")])
    assert choice.choose(["a"], [], _attempt({})) == ("A", [])
    assert choice.choose(["a"], [], _attempt({"a": "no"})) == (None, [("a", "no")])


def test_no_route_works():
    error = choice.none_works([("a", "no"), ("b", "never")], "auto")
    assert (error.what, error.why) == ("no route works here", "a: no; b: never")
    error = choice.none_works([("a", "no")], "a")
    assert error.what == "route a cannot work here" and "paraview_route" in error.way_out


def test_routes_with_the_same_reason_are_listed_together():
    assert choice.describe([("a", "no"), ("b", "never"), ("c", "no")]) == "a, c: no; b: never"


def test_the_table():
    assert all(route.name == name for name, route in choice.ROUTES.items())
    assert all((route.reverse, route.name) == (route_names.ALL[name].reverse, name) for name, route in choice.ROUTES.items())
    assert list(choice.ROUTES) == list(route_names.ALL)
    by_name = set(choice.ROUTES) - set(route_names.ORDER)
    assert by_name == {name for name in choice.ROUTES if name.endswith("_unencrypted")}, "a route without encryption is used only if requested by name"
    # The sections of ParaView's wiki page "Reverse connection and port forwarding", each of which is a route of this collection.
    assert {name: route.section for name, route in choice.ROUTES.items()} == {
        "node_tunnel": "Forward Connection Over an ssh Tunnel: create a tunnel directly to the compute node",
        "node_tunnel_reverse": "Reverse Connection Over an ssh Tunnel: create a tunnel directly to the compute node",
        "forward_tunnel": "Forward Connection Over an ssh Tunnel", "reverse_tunnel": "Reverse Connection Over an ssh Tunnel",
        "reverse_tunnel_relay": "Reverse Connection over a Reverse ssh Tunnel with portfwd", "reverse_relay_unencrypted": "Reverse Connection with portfwd",
        "reverse_unencrypted": "Reverse Connection", "forward_unencrypted": "the other direction of Reverse Connection"}


@pytest.mark.parametrize(("output", "own", "answer"), [
    ("refused\nrefused\n", "open", "refused"), ("open\n", "open", "open"), ("refused\n", "filtered", "forbidden"), ("", "open", "filtered")])
def test_the_users_own_master_does_not_report_the_reason(make_context, output, own, answer):
    """The login node itself tries the port, and a forward to sshd's own port shows whether sshd forbids forwarding."""
    class Guest(Login):
        def reach(self, address, port, messages=None):
            super().reach(address, port, messages)
            return own if (address, port) == ("198.18.2.2", 2222) else "filtered"

        def script(self, text, seconds):
            return (0, output, "") if "/dev/tcp/10.0.0.11/45871" in text else super().script(text, seconds)

    context = make_context(Guest(), facts=dict(FACTS, client_side_port=2222), users_own_master=True)
    assert context.reach("10.0.0.11", 45871) == answer
    assert make_context(Guest(), facts=dict(FACTS, client_side_port=2222)).reach("10.0.0.11", 45871) == "filtered"
    # The same over IPv6: if the login node reaches an IPv4 address and its sshd forwards to its own IPv6 address alone, that is the cause.
    Guest.reach = lambda _self, address, _port, _messages=None: own if address == "2001:db8::2" else "filtered"
    context = make_context(Guest(), facts=dict(FACTS, client_side="2001:db8::2", client_side_port=2222), users_own_master=True)
    assert context.reach("10.0.0.11", 45871) == ("no IPv4" if answer == "open" else answer)
