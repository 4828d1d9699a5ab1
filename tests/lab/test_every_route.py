"""A session by every route, with and without what makes a lost connection good, with a real client that renders on the cluster."""

import pytest
from desk import STATE
from test_connect import rendered_on_a_node

NODES = ("compute1", "compute2")
# What the network has to leave open for a route, FROM TO.
PATHS = {
    "node_tunnel": (), "forward_tunnel": (), "node_tunnel_reverse": (), "reverse_tunnel": (), "reverse_tunnel_relay": (),
    "forward_unencrypted": [("workstation", node) for node in NODES], "reverse_unencrypted": [(node, "workstation") for node in NODES],
    "reverse_relay_unencrypted": [("login", "workstation")],
}


@pytest.mark.everywhere
@pytest.mark.parametrize("lifeline", [True, pytest.param(False, marks=pytest.mark.torture)])
@pytest.mark.parametrize("route", PATHS)
def test_every_route(desk, route, lifeline):
    reverse = "reverse" in route
    for hosts in PATHS[route]:
        desk.lab.path("open", *hosts)
    try:
        done = desk.connect(route=route, reconnect=lifeline, user_relay=True, start_client=desk.client_command("reverse") if reverse else False)
        report = desk.report()
        assert report["route"] == route
        assert any(line.startswith(f"route {route} is not encrypted") for line in desk.lines(done)) is bool(PATHS[route])
        said = "" if reverse else desk.client(report, host=report["url"].split("//")[1].split(":")[0]).stdout
        desk.nothing_left(60)
    finally:
        desk.lab.path("reset")
    rendered_on_a_node(said or desk.run("cat", f"{STATE}/lab/client.log").stdout, report)
