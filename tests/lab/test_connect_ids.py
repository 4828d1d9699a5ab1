"""The connect-id of ParaView's dialog is one of 2041: who guesses it gets neither to pvserver nor to ParaView."""

import contextlib
import re
from pathlib import Path

import pytest
from desk import STATE, long
from guesses import of_the_dialog

GUESSES = Path(__file__).parent / "guesses.py"
# What the dialog may have chosen.
OF_DIALOG = of_the_dialog()[1234]


def of_pvserver(lab, node):
    """int: the connect-id that pvserver has."""
    return int(re.search(r"--connect-id=(\d+)", lab.on(node, "ps", "-C", "pvserver", "-o", "args=").stdout).group(1))


def guessed(lab, host, port, user):
    """dict: the answers of a node's pvserver to all that the dialog could have chosen."""
    words = ["127.0.0.1", str(port), lab.series]
    said = lab.on(host, "python3", "-", *words, user=user, input=GUESSES.read_text(), timeout=300).stdout
    return {int(number): answer for number, answer in (line.split() for line in said.splitlines())}


@pytest.mark.everywhere
@pytest.mark.parametrize("reconnects", [True, False])
def test_no_guess_of_the_dialogs_connect_id_gets_into_pvserver(desk, reconnects):
    desk.connect(route="forward_tunnel", connect_id=OF_DIALOG, reconnect=reconnects, client_version=desk.lab.paraview)
    report, record = desk.report(), desk.record()
    node, port = record["root_node"], (record["accepting"] or record["agent"])[1]
    assert report["connect_id"] == OF_DIALOG and of_pvserver(desk.lab, node) != OF_DIALOG
    answers = guessed(desk.lab, node, port, "bob")
    assert OF_DIALOG in answers and len(answers) == 2040
    assert "0" not in answers.values()
    assert "distributed True" in desk.client(report).stdout
    desk.nothing_left()


@pytest.mark.torture
def test_a_guess_that_is_right_would_get_in(desk):
    """So that the other tests prove something."""
    desk.connect(route="forward_tunnel", connect_id=OF_DIALOG)
    record = desk.record()
    node = record["root_node"]
    right = of_pvserver(desk.lab, node)
    words = ["127.0.0.1", str(record["accepting"][1]), desk.lab.series, str(right)]
    process = desk.lab.start(node, "timeout", "60", "python3", "-c", GUESSES.read_text(), *words, user="bob")
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        assert process.stdout.readline().split() == [str(right), "0"]
    desk.nothing_left()


@pytest.mark.torture
def test_an_id_that_a_user_typed_stays_pvservers_where_nothing_stands_between(desk):
    desk.connect(route="forward_tunnel", connect_id=77, reconnect=False)
    assert of_pvserver(desk.lab, desk.record()["root_node"]) == 77
    assert not [one for one in desk.processes("workstation") if "paraview-lifeline" in one]
    assert "distributed True" in desk.client(desk.report()).stdout
    desk.nothing_left()


@pytest.mark.parametrize("route", ["reverse_tunnel", long("node_tunnel_reverse"), long("reverse_tunnel_relay")])
def test_a_pvserver_of_another_account_with_the_dialogs_connect_id_does_not_get_to_paraview(desk, route):
    words = desk.words("connect", route=route, connect_id=OF_DIALOG, reconnect=False, client_version=desk.lab.paraview, user_relay=True)
    process = desk.lab.start("workstation", *words, user="alice")
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        next(line for line in process.stdout if "start the client now" in line)
        record = desk.record()
        node, port = record["root_node"], str(record["route_state"]["port"])
        assert of_pvserver(desk.lab, node) != OF_DIALOG
        foreign = ["xvfb-run", "-a", "-s", "-noreset", "pvserver", "--reverse-connection", f"--client-host={record['route_state']['address']}",
                   f"--server-port={port}", f"--connect-id={OF_DIALOG}"]
        # A relay of alice's own lets in her job's nodes alone.
        bobs = [desk.lab.start(host, *foreign, user="bob") for host in ("compute1", "compute2")]
        for one in bobs:
            stack.callback(one.kill)
        for one in bobs:
            # pvserver also says that a client is connected if its handshake is cut off.
            assert any("Connecting to client" in line for line in one.stdout)
        done = desk.client({"connect_id": OF_DIALOG, "client_port": record["client_port"]}, way="reverse").stdout
        assert "server account 20001\n" in done and f"server host {node}\n" in done and "distributed True" in done
        process.stdout.read()
        assert process.wait(60) == 0
        for host in ("compute1", "compute2"):
            desk.lab.on(host, "pkill", "-KILL", "-u", "bob", check=False)
    assert str(OF_DIALOG) not in desk.run("sh", "-c", f"cat {STATE}/lab/*.log").stdout
    desk.nothing_left()


@pytest.mark.torture
def test_another_connect_id_at_the_proxy_is_refused_and_the_right_one_gets_in(desk):
    desk.connect(route="forward_tunnel", connect_id=OF_DIALOG, reconnect=False, client_version=desk.lab.paraview)
    report = desk.report()
    wrong = desk.client(dict(report, connect_id=OF_DIALOG ^ 1), check=False)
    assert "distributed" not in wrong.stdout
    secret = of_pvserver(desk.lab, desk.record()["root_node"])
    assert "distributed" not in desk.client(dict(report, connect_id=secret), check=False).stdout, "ParaView has the dialog's connect-id"
    for host in ("workstation", "login"):
        assert str(secret) not in desk.lab.on(host, "ps", "-eo", "args").stdout
    assert desk.run("sh", "-c", f"stat -c %a {STATE}/lab/pvserver_id {STATE}/lab/connect_ids").stdout == "600\n600\n"
    assert "distributed True" in desk.client(report).stdout
    desk.nothing_left()
    assert not desk.run("sh", "-c", f"ls {STATE}/lab | grep -E '_id'; true").stdout
