# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which route a forward belongs to that the client's ssh has made, and whether it is the user's own."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.listeners import Listener
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher import routes
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher.routes import GivenTunnel, GivenTunnelRelay, RouteContext, given
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable

INSIDE, OUTSIDE, PORT, BOB = "10.0.0.1", "192.0.2.1", 41000, 1001


class Found(LoginNode):
    """A login node with these listeners."""

    found: list

    def listeners(self):
        return self.found


class Around(RouteContext):
    """A login node that answers as it is told."""

    def __init__(self, *found, site=None, facing=INSIDE, on_login_node=False):
        site = site or {}
        facts = {"login_node": "login", "uid": BOB, "addresses": [OUTSIDE, INSIDE], "site": site, "cluster_address": site.get("cluster_address", ""),
                 "client_side": OUTSIDE}
        node = Found("login", BOB, lambda _text, _seconds: (0, "", ""))
        node.found = self.found = [Listener(address, PORT, uid) for address, uid in found]
        super().__init__(None, node, facts, {"on_login_node": on_login_node, "user_relay": True, "client_timeout": 60, "client_port": PORT, "login_ports": ""},
                         client=routes.Elsewhere())
        self.facing = facing

    def node_address(self, node):
        return ("10.0.0.7", self.facing) if node else ("", "")


def chosen(*found, **about):
    said = []
    around = Around(*found, **about)
    return given(around, PORT, said.append), said, around


def test_on_the_clusters_side_it_is_dialled_directly():
    route, said, _around = chosen((INSIDE, BOB))
    assert isinstance(route, GivenTunnel) and (route.address, route.port, said) == (INSIDE, PORT, [])
    route.before_start("c1")
    assert route.pvserver_arguments(7) == ["--reverse-connection", "--client-host=" + INSIDE, "--server-port=41000", "--connect-id=7"]


def test_on_loopback_a_relay_is_needed():
    route, _said, _around = chosen(("127.0.0.1", BOB))
    assert isinstance(route, GivenTunnelRelay) and not route.over_site and route.client_may_be_late


def test_the_sites_relay_is_taken_where_it_serves_the_port():
    relay = {"address": INSIDE, "ports": "41000-41010", "owner_required": True}
    route, _said, around = chosen(("127.0.0.1", BOB), site={"relay": relay})
    assert route.over_site and (route.address, route.port) == (INSIDE, PORT)
    with pytest.raises(RouteUnavailable, match="does not listen"):
        route.ready_for("c1")
    around.found.append(Listener(INSIDE, PORT, 61200))
    route.ready_for("c1")
    around.found[-1] = Listener(INSIDE, PORT, 1002)
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.before_start("c1")
    assert not chosen(("127.0.0.1", BOB), site={"relay": dict(relay, ports="1-5")})[0].over_site


def test_pvserver_on_the_login_node_dials_loopback():
    route, _said, _around = chosen(("127.0.0.1", BOB), on_login_node=True)
    assert isinstance(route, GivenTunnel) and route.address == "127.0.0.1"


def test_nobody_listens(monkeypatch):
    monkeypatch.setattr(routes, "_PATIENCE", 0)
    with pytest.raises(SessionError, match="nobody listens on port 41000"):
        chosen()


@pytest.mark.parametrize("address", [INSIDE, "127.0.0.1", "0.0.0.0"])
def test_a_squatter_is_told_before_anything_is_queued(address):
    with pytest.raises(SessionError) as caught:
        chosen((address, 1002))
    assert caught.value.lines() == ["port 41000 of login belongs to another account", "uid 1002 listens there", "take another port; no job was submitted"]


def test_a_squatter_beside_it():
    route, _said, around = chosen(("0.0.0.0", BOB))
    around.found.append(Listener(INSIDE, PORT, 1002))
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.before_start("c1")


def test_a_forward_that_changes_hands_until_the_go():
    route, _said, around = chosen((INSIDE, BOB))
    around.found[:] = [Listener(INSIDE, PORT, 1002)]
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.before_start("c1")
    with pytest.raises(RouteUnavailable, match="belongs to another account"):
        route.check_again()
    around.found[:] = []
    with pytest.raises(RouteUnavailable):
        route.before_start("c1")
    with pytest.raises(RouteUnavailable):
        route.check_again()


def test_everywhere_needs_an_excuse():
    route, said, _around = chosen(("0.0.0.0", BOB))
    assert "listens on every address of login" in said[0]
    route.before_start("c1")
    assert route.address == INSIDE
    assert "the site has it so" in chosen(("0.0.0.0", BOB), site={"gateway_ports": "yes"})[1][0]
    with pytest.raises(SessionError, match="listens on every address"):
        chosen(("0.0.0.0", BOB), site={"gateway_ports": "clientspecified"})


def test_an_address_that_nodes_do_not_dial():
    route, _said, around = chosen((OUTSIDE, BOB))
    with pytest.raises(RouteUnavailable, match="your forward is on 192.0.2.1, and nodes dial 10.0.0.1"):
        route.ready_for("c1")
    chosen((OUTSIDE, BOB), site={"cluster_address": OUTSIDE})[0].ready_for("c1")
    around.facing = ""
    route.ready_for("c1")


@pytest.mark.parametrize(("address", "name"), [(INSIDE, "reverse_tunnel"), ("127.0.0.1", "reverse_tunnel_relay")])
def test_what_the_site_forbids(address, name):
    with pytest.raises(SessionError, match="route {0} cannot be had on login".format(name)):
        chosen((address, BOB), site={"routes_forbidden": [name]})


def test_a_host_is_reached_if_it_answers():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        assert routes.reached("127.0.0.1", listener.getsockname()[1])
        listener.listen(1)
        assert routes.reached("127.0.0.1", listener.getsockname()[1])
    assert not routes.reached("no.such.host.invalid", 1)
