"""The routes through a relay, with batch jobs and a real client, where sshd keeps remote forwards on loopback."""

import re
import signal

import pytest
from desk import STATE, Desk, long
from test_relay_role import site  # noqa: F401  # pylint: disable=unused-import

NO_GATEWAY = "GatewayPorts no\nAllowTcpForwarding remote\n"


@pytest.fixture
def desk(lab):
    desk = Desk(lab)
    desk.clean_up()
    lab.sshd_policy("login", NO_GATEWAY)
    yield desk
    desk.clean_up()
    lab.sshd_policy("login", None)
    lab.path("reset", "login", "workstation")


def waiting(desk, **settings):
    """A connect that waits for its client, and the line that says so."""
    process = desk.lab.start("workstation", *desk.words("connect", **settings), user="alice")
    return process, next(line for line in process.stdout if "start the client now" in line)


def let_end(process):
    """Its exit status, once the rest of its output has been read."""
    process.stdout.read()
    return process.wait(60)


def rendered(desk, record):
    done = desk.client({"connect_id": 77, "client_port": record["client_port"]}, way="reverse").stdout
    assert "distributed True" in done and f"server host {record['root_node']}" in done and "cells 1000000" in done


def relays(desk):
    return [one for one in desk.processes("login") if "paraview-relay" in one]


@pytest.mark.torture
def test_a_relay_of_ones_own_holds_pvserver_until_the_client_is_there(desk):
    process, line = waiting(desk, route="reverse_tunnel_relay", connect_id=77, reconnect=False)
    assert "77" not in line.split("--connect-id")[1]
    record = desk.record()
    assert [one for one in desk.processes(record["root_node"]) if "--reverse-connection" in one], "pvserver runs already"
    assert record["route_state"]["target"].startswith("unix:/tmp/paraview-relay.")
    (listener,) = desk.lab.on("login", "sh", "-c", f"ss -Hltne sport = :{record['route_state']['port']}").stdout.splitlines()
    assert "198.18.2.1:" in listener and "uid:20001" in listener
    stranger = desk.lab.on("compute2", "sh", "-c", f"timeout 5 socat -u TCP:198.18.2.1:{record['route_state']['port']} - ; echo $?", user="bob")
    assert not stranger.stdout.startswith("paraview")
    rendered(desk, record)
    assert let_end(process) == 0
    desk.nothing_left()
    assert not desk.lab.on("login", "sh", "-c", "ls -d /tmp/paraview-relay.*; true").stdout


@pytest.mark.everywhere
@pytest.mark.parametrize("lifeline", [True, long(False)])
def test_auto_takes_the_sites_relay(desk, site, lifeline):  # noqa: F811
    site.role(cluster_address="198.18.2.1", relay_networks=["198.18.2.0/24"])
    desk.lab.sshd_policy("login", NO_GATEWAY)
    process, _line = waiting(desk, connect_id=77, reconnect=lifeline)
    record = desk.record()
    assert record["route"] == "reverse_tunnel_relay"
    assert bool(record.get("go_file_written")) is lifeline, "behind the site's relay the client stands before pvserver, or the lifeline's stub"
    assert 11111 <= record["route_state"]["port"] <= 11130
    assert not relays(desk)
    rendered(desk, record)
    assert let_end(process) == 0
    desk.nothing_left()
    (route,) = site.status()["routes"]
    assert (route["total"], route["refused"]) == (1, {})


@pytest.mark.torture
@pytest.mark.parametrize("uid", [61300, 970], ids=["of systemd's range", "of the system's range"])
def test_an_account_that_squats_on_the_ports_of_the_sites_relay(desk, site, uid):  # noqa: F811
    """The relay is away for a moment. The uid looks like that of a service."""
    site.role(cluster_address="198.18.2.1", relay_networks=["198.18.2.0/24"], relay_ports="11111-11112")
    desk.lab.sshd_policy("login", NO_GATEWAY)
    desk.lab.on("login", "systemctl", "stop", "paraview-relay")
    for port in (11111, 11112):
        site.start("login", "setpriv", "--reuid", str(uid), "--clear-groups", "socat", f"TCP-LISTEN:{port},bind=198.18.2.1,fork", "EXEC:cat")
    desk.lab.wait(lambda: desk.lab.on("login", "ss", "-Hltn").stdout.count("198.18.2.1:1111") == 2, 20, "the squatter")
    refused = desk.connect(check=False, route="reverse_tunnel_relay")
    assert refused.returncode != 0
    assert re.search(rf"198\.18\.2\.1:1111[12] of login belongs to another account \(uid {uid}\) than the relay's, pvrelay \(uid \d+\)", refused.stdout)
    desk.nothing_left()


@pytest.mark.torture
def test_auto_starts_one_only_if_the_user_says_so(desk):
    refused = desk.connect(check=False)
    assert refused.returncode != 0
    assert "reverse_tunnel_relay: login offers no relay, and your own relay is started only if you set paraview_user_relay to true" in refused.stdout
    desk.nothing_left()
    done = desk.connect(user_relay=True, start_client=desk.client_command("reverse"))
    assert any(line.startswith("route reverse_tunnel_relay (passed over node_tunnel, node_tunnel_reverse, forward_tunnel: ") for line in desk.lines(done))
    assert desk.report()["route"] == "reverse_tunnel_relay"
    desk.nothing_left()


@pytest.mark.torture
def test_loopback_serves_where_sshd_allows_no_unix_sockets(desk):
    desk.lab.sshd_policy("login", NO_GATEWAY + "AllowStreamLocalForwarding no\n")
    done = desk.connect(route="reverse_tunnel_relay", start_client=desk.client_command("reverse", "wait"))
    assert any("is connected through login, 198.18.2.1:" in line for line in desk.lines(done))
    assert re.match(r"127\.0\.0\.1:\d+$", desk.record()["route_state"]["target"])
    desk.disconnect()
    desk.nothing_left()


@pytest.mark.parametrize("victim", ["relay", *(pytest.param(one, marks=pytest.mark.torture) for one in ("sshd", "daemon", "ssh", "shell"))])
def test_whatever_is_killed_no_process_stays_on_the_login_node(desk, victim):
    desk.connect(route="reverse_tunnel_relay", start_client=desk.client_command("reverse", "wait"))
    assert relays(desk)
    if victim in ("daemon", "ssh"):
        pattern = "module_utils.session.daemon" if victim == "daemon" else "ControlMaster=yes"
        host, found = "workstation", [one for one in desk.processes("workstation") if re.search(pattern, one)]
    else:
        pattern = {"sshd": r"sshd(-session)?: alice", "relay": r"paraview-relay --listen", "shell": r"\d+ /bin/sh$"}[victim]
        host, found = "login", [one for one in desk.processes("login") if re.search(pattern, one)]
    assert found
    for one in found:
        desk.lab.on(host, "kill", f"-{signal.SIGKILL.value}", one.split()[0], check=False)
    if victim == "relay":
        desk.lab.wait(lambda: not relays(desk), 10, "no relay")
        desk.disconnect()
        desk.nothing_left()
    else:
        desk.lab.wait(lambda: not desk.processes("login"), 40, "no process on the login node")


@pytest.mark.torture
def test_socat_takes_its_place_where_there_is_no_python(desk):
    python = desk.lab.on("login", "readlink", "-f", "/usr/bin/python3").stdout.strip()
    desk.lab.on("login", "mount", "--bind", "/bin/false", python)
    try:
        done = desk.connect(route="reverse_tunnel_relay", start_client=desk.client_command("reverse"))
    finally:
        desk.lab.on("login", "umount", python)
    assert any(line.startswith("login has no Python for the relay, socat is used instead: one connection") for line in desk.lines(done))
    desk.nothing_left(90)
    assert "cells 1000000" in desk.run("cat", f"{STATE}/lab/client.log").stdout


@pytest.mark.torture
def test_reverse_relay_without_ssh(desk):
    refused = desk.connect(route="reverse_relay_unencrypted", check=False)
    assert refused.returncode != 0 and "login cannot reach this machine at 198.18.1.10:" in refused.stdout
    assert not desk.jobs()
    desk.lab.path("open", "login", "workstation")
    process, _line = waiting(desk, route="reverse_relay_unencrypted", connect_id=77)
    rendered(desk, desk.record())
    assert let_end(process) == 0
    desk.nothing_left()
