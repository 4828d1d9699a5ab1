# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The route of a lifeline, and the command of its stub."""

import os
from types import SimpleNamespace

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import host
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline, lifeline_route
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps import pvserver_start

RECORD = SessionRecord(settings={"client_timeout": 60, "reconnect_timeout": 60}, lifeline=True)


class Context:
    options = {"server_ports": "", "on_login_node": False}
    client = host.StubEndpoint("/run/c")


@pytest.fixture
def session(tmp_path):
    made = Session(str(tmp_path / "state"), "lab")
    made.begin(login_node="login1", facts={"login_node": "login1", "client_address": "192.0.2.7"})
    return made


@pytest.mark.parametrize(("route", "place"), [
    ("reverse_tunnel", "unix:/run/c.r7000"), ("node_tunnel_reverse", "unix:/run/c.r7000"), ("reverse_unencrypted", "0.0.0.0:7000"),
    ("reverse_relay_unencrypted", "0.0.0.0:7000")])
def test_only_a_route_without_a_tunnel_opens_a_port_for_the_line(session, route, place):
    stub = lifeline.Stub(session)
    command = stub.command(choice.ROUTES[route](Context(), {"client_port": 7000}), host.LocalClientHost(), 11111, RECORD)
    assert command[command.index("--line-listen") + 1] == place
    target = command[command.index("--to") + 1]
    assert target.startswith("@") and not os.path.exists(target[1:]), "the stub would connect to ParaView before ParaView expects that"
    stub.forward_to_client(host.LocalClientHost(), 11111)
    with open(target[1:]) as stream:
        assert stream.read() == "127.0.0.1:11111\n"


@pytest.mark.parametrize("route", ["forward_tunnel", "forward_unencrypted", "node_tunnel"])
def test_paraview_is_served_on_loopback_alone(session, route):
    command = lifeline.Stub(session).command(choice.ROUTES[route](Context(), {}), host.LocalClientHost(), 7000, RECORD)
    assert command[command.index("--listen") + 1] == "127.0.0.1:7000"


PROXY = RECORD.with_(lifeline=False, proxy=True, has_pvserver_id=True)


@pytest.mark.parametrize("route", sorted(choice.ROUTES))
def test_a_proxy_takes_the_place_of_the_stub(session, route):
    """The connecting side is accepted, and the accepting side is dialled."""
    stub = lifeline.Stub(session)
    taken = choice.ROUTES[route](Context(), {"client_port": 7000})
    of_stub, of_proxy = (stub.command(taken, host.LocalClientHost(), 7001, record) for record in (RECORD, PROXY))
    assert "proxy" in of_proxy and "--key" not in of_proxy and "--connect-ids" not in of_stub
    reverse = choice.ROUTES[route].reverse
    line, local = ("--listen", "--to") if reverse else ("--to", "--listen")
    assert of_proxy[of_proxy.index(line) + 1] == of_stub[of_stub.index("--line" + line[1:]) + 1]
    assert of_proxy[of_proxy.index(local) + 1] == of_stub[of_stub.index(local) + 1]
    assert of_proxy[of_proxy.index("--connect-ids") + 1] == session.ids_path


@pytest.mark.parametrize(("reverse", "line"), [(False, "17 4711\n"), (True, "4711 17\n")])
def test_the_connect_id_of_the_connecting_side_comes_first(session, reverse, line):
    session.keep_connect_id(17, 4711)
    session.update(proxy=True)
    lifeline.Stub(session).keep_connect_ids(reverse)
    with open(session.ids_path) as stream:
        assert stream.read() == line
    assert os.stat(session.ids_path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("fields", "settings", "needed"), [
    ({}, {"client_version": "5.11.0"}, True), ({}, {"client_process": 17}, True), ({}, {}, False),
    ({"has_pvserver_id": False}, {"client_version": "5.11.0"}, False), ({"route": "reverse_unencrypted"}, {"client_version": "5.11.0"}, False),
    ({"route": "reverse_unencrypted"}, {"client_version": "5.11.0", "reconnect_port": 7000}, True),
    ({"route": "forward_unencrypted"}, {"client_version": "5.11.0"}, True)])
def test_which_session_without_reconnection_has_a_proxy(fields, settings, needed):
    record = SessionRecord(**dict({"route": "reverse_tunnel", "has_pvserver_id": True, "settings": dict(settings, client_port=20000)}, **fields))
    assert lifeline.needs_proxy(record) is needed


@pytest.mark.parametrize(("route", "warns", "proxy"), [("reverse_unencrypted", True, False), ("reverse_tunnel", False, True)])
def test_connect_warns_where_pvserver_has_the_connect_id_of_the_dialog(session, monkeypatch, route, warns, proxy):
    session.keep_connect_id(17, 4711)
    session.update(lifeline=False, route=route, route_state={"client_port": 20000, "port": 4000},
                   settings={"client_port": 20000, "client_version": "5.11.0", "job_id": "", "walltime": 60})
    monkeypatch.setattr(pvserver_start.routing, "load", lambda *_arguments: SimpleNamespace(reverse=True))
    monkeypatch.setattr(pvserver_start.PvserverStart, "granted", staticmethod(lambda record: record.settings))
    lines = []
    flow = SimpleNamespace(nodes=["c1"], progress=SimpleNamespace(addresses=[]))
    pvserver_start.PvserverStart(session, SimpleNamespace(), lines.append).job_runs(flow)
    record = session.read()
    assert ["easy to guess" in line for line in lines] == [True] * warns and record.proxy is proxy
    assert session.pvserver_id() == (4711 if proxy else 17)
    assert (record.route_state["client_port"] != 20000) is proxy, "the proxy needs a port of its own"


class OtherHost:
    """Another host, on which ParaView runs."""

    name, uid = "bigscreen", 1000

    def __init__(self, owner=None):
        self.other_owner, self.forwarded = owner, []

    def owner(self, port):
        return 1000 if port in self.forwarded else self.other_owner

    def forward(self, port):
        self.forwarded.append(port)


def test_a_port_of_another_host_is_forwarded_to_the_stub_once(session):
    session.update(client_port=40123, remote_client_host={"name": "bigscreen"})
    side = OtherHost()
    for _time in range(2):
        lifeline_route.forward_from_client(session, session.read(), side)
    assert side.forwarded == [40123]
    session.update(remote_client_host={"name": "bigscreen"})  # after a new login
    with pytest.raises(SessionError, match="port 40123 on bigscreen is taken"):
        lifeline_route.forward_from_client(session, session.read(), OtherHost(owner=1000))


class Channel:
    def __init__(self, output):
        self.output = output

    def script(self, _text, _seconds=0):
        return 0, self.output, ""


@pytest.mark.parametrize(("output", "address"), [
    ("login1\n198.18.1.9 50000 198.18.2.2 22\n", "198.18.1.9"), ("login1\n\n", "192.0.2.7"), ("login1\nfe80::1 50000 fe80::2 22\n", "192.0.2.7")])
def test_a_new_address_of_this_machine_is_used(session, output, address):
    """If the cluster connects to this machine, another host may have the old address."""
    assert lifeline_route.check_login_node(session, session.read(), Channel(output)).facts["client_address"] == address
    assert session.read().facts["client_address"] == address
