# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What carries a lifeline, and how its stub is started for it."""

import os

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import host
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline, lifeline_route
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session

WISHES = {"client_timeout": 60, "reconnect_timeout": 60}


class Around:
    options = {"server_ports": "", "on_login_node": False}
    client = host.AtStub("/run/c")


@pytest.fixture
def session(tmp_path):
    made = Session(str(tmp_path / "state"), "lab")
    made.begin(login_node="login1", facts={"login_node": "login1", "client_address": "192.0.2.7"})
    return made


@pytest.mark.parametrize(("route", "place"), [
    ("reverse_tunnel", "unix:/run/c.r7000"), ("node_tunnel_reverse", "unix:/run/c.r7000"), ("reverse_unencrypted", "0.0.0.0:7000"),
    ("reverse_relay_unencrypted", "0.0.0.0:7000")])
def test_only_a_route_without_a_tunnel_here_opens_a_port_for_the_line(session, route, place):
    stub = lifeline.Stub(session)
    words = stub.command(choice.ROUTES[route](Around(), {"client_port": 7000}), host.Here(), 11111, WISHES)
    assert words[words.index("--line-listen") + 1] == place
    where = words[words.index("--to") + 1]
    assert where.startswith("@") and not os.path.exists(where[1:]), "ParaView is called before it expects that"
    stub.forward_to_client(host.Here(), 11111)
    with open(where[1:]) as stream:
        assert stream.read() == "127.0.0.1:11111\n"


@pytest.mark.parametrize("route", ["forward_tunnel", "forward_unencrypted", "node_tunnel"])
def test_paraview_is_served_on_loopback_alone(session, route):
    words = lifeline.Stub(session).command(choice.ROUTES[route](Around(), {}), host.Here(), 7000, WISHES)
    assert words[words.index("--listen") + 1] == "127.0.0.1:7000"


class Far:
    """Another host on which ParaView is to run."""

    name, uid = "bigscreen", 1000

    def __init__(self, owner=None):
        self.whose, self.led = owner, []

    def owner(self, port):
        return 1000 if port in self.led else self.whose

    def forward(self, port):
        self.led.append(port)


def test_a_port_of_another_host_is_led_to_the_stub_once(session):
    session.update(client_port=40123, client_side={"name": "bigscreen"})
    far = Far()
    for _time in range(2):
        lifeline_route.forward_from_client(session, session.read(), far)
    assert far.led == [40123]
    session.update(client_side={"name": "bigscreen"})  # it was logged in to anew
    with pytest.raises(SessionError, match="port 40123 on bigscreen is taken"):
        lifeline_route.forward_from_client(session, session.read(), Far(owner=1000))


class Channel:
    def __init__(self, said):
        self.said = said

    def script(self, _text, _seconds=0):
        return 0, self.said, ""


@pytest.mark.parametrize(("said", "address"), [
    ("login1\n198.18.1.9 50000 198.18.2.2 22\n", "198.18.1.9"), ("login1\n\n", "192.0.2.7"), ("login1\nfe80::1 50000 fe80::2 22\n", "192.0.2.7")])
def test_a_laptop_that_comes_back_with_another_address_is_called_there(session, said, address):
    """A route on which the cluster calls this machine would lead to whoever has its old address."""
    assert lifeline_route.look_around(session, session.read(), Channel(said)).facts["client_address"] == address
    assert session.read().facts["client_address"] == address
