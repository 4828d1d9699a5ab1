# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The route for a forward that the client's ssh has opened, and whether the forward belongs to the user."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.listeners import Listener
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher import routes
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.routes import CallersReverseTunnel, CallersReverseTunnelRelay, RouteContext, given
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable

INSIDE, OUTSIDE, PORT, BOB = "10.0.0.1", "192.0.2.1", 41000, 1001


class Login(LoginNode):
    """A login node with these listeners."""

    found: list

    def listeners(self):
        return self.found


class Context(RouteContext):
    """The context of a route on a login node with these listeners."""

    def __init__(self, *found, site=None, facing=INSIDE, on_login_node=False):
        site = site or {}
        facts = {"login_node": "login", "uid": BOB, "addresses": [OUTSIDE, INSIDE], "site": site, "cluster_address": site.get("cluster_address", ""),
                 "client_side": OUTSIDE}
        node = Login("login", BOB, lambda _text, _seconds: (0, "", ""))
        node.found = self.found = [Listener(address, PORT, uid) for address, uid in found]
        super().__init__(None, node, facts, {"on_login_node": on_login_node, "user_relay": True, "client_timeout": 60, "client_port": PORT, "login_ports": ""},
                         client=routes.UncheckedClientHost())
        self.facing = facing

    def node_address(self, node):
        return ("10.0.0.7", self.facing) if node else ("", "")


def chosen(*found, **options):
    shown = []
    context = Context(*found, **options)
    return given(context, PORT, shown.append), shown, context


def test_pvserver_connects_directly_to_a_forward_on_the_cluster_network():
    route, shown, _context = chosen((INSIDE, BOB))
    assert isinstance(route, CallersReverseTunnel) and (route.address, route.port, shown) == (INSIDE, PORT, [])
    route.before_start("c1")
    assert route.pvserver_arguments(7) == ["--reverse-connection", "--client-host=" + INSIDE, "--server-port=41000", "--connect-id=7"]


def test_a_forward_on_loopback_needs_a_relay():
    route, _shown, _context = chosen(("127.0.0.1", BOB))
    assert isinstance(route, CallersReverseTunnelRelay) and not route.site_relay and route.client_may_be_late


def test_the_sites_relay_is_used_if_it_serves_the_port():
    relay = {"address": INSIDE, "ports": "41000-41010", "owner_required": True}
    route, _shown, context = chosen(("127.0.0.1", BOB), site={"relay": relay})
    assert route.site_relay and (route.address, route.port) == (INSIDE, PORT)
    with pytest.raises(RouteUnavailable, match="does not listen"):
        route.ready_for("c1")
    context.found.append(Listener(INSIDE, PORT, 61200))
    route.ready_for("c1")
    context.found[-1] = Listener(INSIDE, PORT, 1002)
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.before_start("c1")
    assert not chosen(("127.0.0.1", BOB), site={"relay": dict(relay, ports="1-5")})[0].site_relay


def test_pvserver_on_the_login_node_connects_to_loopback():
    route, _shown, _context = chosen(("127.0.0.1", BOB), on_login_node=True)
    assert isinstance(route, CallersReverseTunnel) and route.address == "127.0.0.1"


def test_nobody_listens(monkeypatch):
    monkeypatch.setattr(routes, "_PATIENCE", 0)
    with pytest.raises(SessionError, match="nobody listens on port 41000"):
        chosen()


@pytest.mark.parametrize("address", [INSIDE, "127.0.0.1", "0.0.0.0"])
def test_a_port_of_another_account_is_reported_before_a_job_is_submitted(address):
    with pytest.raises(SessionError) as caught:
        chosen((address, 1002))
    assert caught.value.lines() == ["port 41000 of login belongs to another account", "uid 1002 listens there", "use another port; no job was submitted"]


def test_a_listener_of_another_account_on_a_second_address():
    route, _shown, context = chosen(("0.0.0.0", BOB))
    context.found.append(Listener(INSIDE, PORT, 1002))
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.before_start("c1")


def test_a_forward_that_another_account_replaces_before_the_go_file():
    route, _shown, context = chosen((INSIDE, BOB))
    context.found[:] = [Listener(INSIDE, PORT, 1002)]
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.before_start("c1")
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.check_again()
    context.found[:] = []
    with pytest.raises(RouteUnavailable):
        route.before_start("c1")
    with pytest.raises(RouteUnavailable):
        route.check_again()


def test_a_forward_on_every_address_needs_gateway_ports_yes():
    route, shown, _context = chosen(("0.0.0.0", BOB))
    assert "listens on every address of login" in shown[0]
    route.before_start("c1")
    assert route.address == INSIDE
    assert "the site's sshd has GatewayPorts yes" in chosen(("0.0.0.0", BOB), site={"gateway_ports": "yes"})[1][0]
    with pytest.raises(SessionError, match="listens on every address"):
        chosen(("0.0.0.0", BOB), site={"gateway_ports": "clientspecified"})


def test_an_address_to_which_nodes_do_not_connect():
    route, _shown, context = chosen((OUTSIDE, BOB))
    with pytest.raises(RouteUnavailable, match="your forward is on 192.0.2.1, and nodes connect to 10.0.0.1"):
        route.ready_for("c1")
    chosen((OUTSIDE, BOB), site={"cluster_address": OUTSIDE})[0].ready_for("c1")
    context.facing = ""
    route.ready_for("c1")


@pytest.mark.parametrize(("address", "name"), [(INSIDE, "reverse_tunnel"), ("127.0.0.1", "reverse_tunnel_relay")])
def test_what_the_site_forbids(address, name):
    with pytest.raises(SessionError, match="route {0} is not available on login".format(name)):
        chosen((address, BOB), site={"routes_forbidden": [name]})


def test_a_host_is_reached_if_it_answers():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        assert routes.reached("127.0.0.1", listener.getsockname()[1])
        listener.listen(1)
        assert routes.reached("127.0.0.1", listener.getsockname()[1])
    assert not routes.reached("no.such.host.invalid", 1)
