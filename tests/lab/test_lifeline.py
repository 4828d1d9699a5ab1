"""Sessions that outlive their connection: a client that renders in a loop, while what carries it is taken away."""

import collections
import contextlib
import json
import re
import shlex
import time
from pathlib import Path

import pytest
from desk import STATE, long
from names import NAME
from test_guides import GUIDES, HOME, blocks, said, steps, terminal

__all__ = ["terminal"]

HERE = Path(__file__).parent
ROUTES = ("forward_tunnel", "reverse_tunnel", "reverse_tunnel_relay")
# Pictures go on within some seconds of the network's return; the pauses between the logins grow with the outage.
RETURN_S = 10
GROUP = "/sys/fs/cgroup"


class Pictures:
    """A client that renders the same round of pictures over and over, on the workstation or on another host."""

    def __init__(self, desk, host, route, big=False, there="workstation", **settings):
        self.desk, self.host, self.there = desk, host, there
        self.on_its_host("rm", "-f", "pictures.txt", "stop", "frame.png")
        self.on_its_host("sh", "-c", "cat > pictures.py", input=(HERE / "pictures.py").read_text())
        way = "forward" if route in ("forward_tunnel", "node_tunnel", "forward_unencrypted") else "reverse"
        script = f'exec pvpython --connect-id="$PV_CONNECT_ID" pictures.py {way} "$PV_SERVER_PORT" {"big" if big else ""}'
        self.done = desk.connect(host, route=route, user_relay=True, start_client=["xvfb-run", "-a", "-s", "-noreset", "sh", "-c", script], **settings)
        self.more()

    def on_its_host(self, *words, **options):
        return self.desk.lab.on(self.there, *words, user="alice", **options)

    def seen(self):
        """list[tuple]: number in the round, sha256 and time of each picture so far."""
        text = self.on_its_host("cat", "pictures.txt", check=False).stdout
        return [(int(number), digest, float(at)) for number, digest, at in (line.split() for line in text.splitlines(keepends=False) if line.count(" ") == 2)]

    def more(self, count=12, seconds=60):
        """Waits until so many more pictures are there than now."""
        wanted = len(self.seen()) + count
        self.desk.lab.wait(lambda: len(self.seen()) >= wanted, seconds, f"{count} more pictures")

    def stand_still(self, seconds=30):
        """Waits until no more pictures come; the line is away."""
        self.desk.lab.wait(lambda: self.line()["state"] == "outage", seconds, "the loss is noticed")

    def go_on(self, since, seconds=RETURN_S):
        """Waits for pictures that are newer than the network's return; returns how long that took."""
        begun = self.desk.lab.wait(lambda: [at for _number, _digest, at in self.seen() if at > since], seconds + 10, "pictures again")[0]
        assert begun - since <= seconds, f"the pause lasted {begun - since:.1f} s longer than the outage"
        self.more(3)
        return begun - since

    def line(self):
        """What the record and the stub say of the line."""
        record = self.desk.record(self.host)
        told = json.loads(self.desk.run("cat", f"{STATE}/{self.host}/stub.json").stdout)
        return dict(told, state="outage" if record.get("lost_at") else told["state"])

    def end(self):
        """Ends it; every picture was the same as the one of its number in every other round."""
        self.on_its_host("touch", "stop")
        self.desk.lab.wait(lambda: self.desk.record(self.host).get("state") == "ended", 60, "the client left")
        kinds = collections.defaultdict(set)
        for number, digest, _at in self.seen():
            kinds[number].add(digest)
        assert len(kinds) >= 12
        assert {number: len(digests) for number, digests in kinds.items()} == dict.fromkeys(kinds, 1)
        self.desk.nothing_left()


@pytest.fixture
def pictures(desk):
    """Begins a client that renders in a loop."""
    begun = []

    def begin(route, host="lab", **settings):
        begun.append(Pictures(desk, host, route, **settings))
        return begun[-1]

    yield begin
    desk.lab.path("reset")
    for one in begun:
        one.on_its_host("touch", "stop")


def cut(lab):
    """Every packet between workstation and login node is dropped without a word."""
    lab.path("close", "workstation", "login")
    lab.path("close", "login", "workstation")


def heal(lab):
    lab.path("reset")
    return time.time()


def kill_ssh(lab):
    lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-x", "ssh")


def kill_sshd(lab):
    lab.on("login", "pkill", "-KILL", "-u", "alice", "sshd")


def open_network(lab, route):
    """What a route without a tunnel needs of it."""
    for node in ("compute1", "compute2"):
        if route == "forward_unencrypted":
            lab.path("open", "workstation", node)
        if route == "reverse_unencrypted":
            lab.path("open", node, "workstation")
    if route == "reverse_relay_unencrypted":
        lab.path("open", "login", "workstation")


@pytest.mark.everywhere
@pytest.mark.parametrize("route", ["forward_tunnel", *(long(one) for one in (
    "reverse_tunnel", "reverse_tunnel_relay", "node_tunnel", "node_tunnel_reverse", "forward_unencrypted", "reverse_unencrypted",
    "reverse_relay_unencrypted"))])
def test_ssh_is_killed_at_both_ends(desk, pictures, route):
    open_network(desk.lab, route)
    client = pictures(route)
    for kill in (kill_ssh, kill_sshd):
        began = time.time()
        kill(desk.lab)
        client.go_on(began)
    status = desk.status().stdout
    # Without a tunnel there is nothing of the line to be killed.
    losses = client.line()["losses"]
    assert losses == (0 if route in ("forward_unencrypted", "reverse_unencrypted") else 2)
    assert ("(connection lost 2 times)" in status) == (losses == 2)
    client.end()


@pytest.mark.everywhere
@pytest.mark.parametrize("route", ["reverse_tunnel", *(long(one) for one in ("forward_tunnel", "reverse_tunnel_relay", "node_tunnel"))])
@pytest.mark.parametrize("seconds", [15, long(30), long(300)])
def test_packets_are_dropped_silently(desk, pictures, route, seconds):
    client = pictures(route)
    cut(desk.lab)
    began = time.time()
    client.stand_still()
    assert re.search(r"the connection was lost at [0-9:]+ .*; ParaView waits until it is restored", desk.status().stdout)
    report = desk.report()
    assert (report["state"], report["lifeline"]["state"]) == ("connected", "outage")
    desk.lab.wait(lambda: time.time() - began >= seconds, seconds + 1, "the outage")
    client.go_on(heal(desk.lab), RETURN_S + seconds / 10)
    assert desk.record()["reason"] == ""
    # The old connection, which sshd would have kept for hours, is not there any more.
    desk.lab.wait(lambda: len([one for one in desk.processes("login") if "sshd" in one]) == 1, 20, "one connection")
    client.end()


@pytest.mark.torture
@pytest.mark.parametrize("route", ["reverse_unencrypted", "forward_unencrypted"])
def test_packets_are_dropped_silently_without_a_tunnel(desk, pictures, route):
    open_network(desk.lab, route)
    client = pictures(route)
    node = desk.record()["root_node"]
    desk.lab.path("close", node, "workstation")
    desk.lab.path("close", "workstation", node)
    client.stand_still()
    desk.lab.path("reset")
    open_network(desk.lab, route)
    client.go_on(time.time())
    assert client.line()["losses"] == 1
    client.end()


@pytest.mark.parametrize("route", ["reverse_tunnel", long("forward_tunnel"), long("node_tunnel")])
def test_paraview_on_another_host(desk, pictures, route):
    """The line ends on the host of the playbook; what leads on from there is not lost."""
    client = pictures(route, there="login2", client_host="bigscreen")
    for count in (1, 2):
        began = time.time()
        kill_sshd(desk.lab)
        client.go_on(began)
        assert client.line()["losses"] == count
    assert not desk.run("sh", "-c", "ss -Hltn | grep 127.0.0.1; true").stdout, "no port of the controller is open to its other users"
    client.end()
    client.on_its_host("rm", "-f", "pictures.py", "pictures.txt", "stop", "frame.png")


@pytest.mark.parametrize("port", [11111, long(0)])
def test_the_port_that_the_network_leaves_open(desk, port):
    """One is ParaView's or the line's; with two there is a lifeline."""
    open_network(desk.lab, "reverse_unencrypted")
    settings = {"route": "reverse_unencrypted", "start_client": desk.client_command("reverse"), "client_port": 11112}
    done = desk.connect(reconnect_port=port, **settings)
    said = "no reconnection, since a firewall may leave only port 11112 open, and ParaView uses it (set paraview_reconnect_port to another port)"
    assert (said in done.stdout) == (not port)
    desk.nothing_left()
    if port:
        listens = f"import socket; s = socket.create_server(('', {port})); print('there', flush=True); s.accept()"
        listener = desk.lab.start("workstation", "python3", "-c", listens)
        try:
            assert listener.stdout.readline() == "there\n"
            done = desk.connect(reconnect_port=port, check=False, **settings)
            said = done.stdout + done.stderr
            assert done.returncode and f"port {port} on this host is taken" in said and "another paraview_reconnect_port" in said
        finally:
            listener.kill()


@pytest.mark.torture
@pytest.mark.parametrize("route", ROUTES)
def test_sshd_is_started_anew(desk, pictures, route):
    client = pictures(route)
    began = time.time()
    desk.lab.on("login", "sh", "-c", "systemctl restart ssh && pkill -KILL -u alice sshd")
    client.go_on(began)
    client.end()


@pytest.mark.torture
@pytest.mark.parametrize("route", ROUTES)
def test_the_login_node_is_lost_and_another_one_is_there(desk, pictures, route):
    """Its power is gone: it answers nobody, and the nodes do not reach it either."""
    client = pictures(route, "any")
    assert desk.record("any")["login_node"] in ("login", "login2")
    gone = desk.record("any")["login_node"]
    other = {"login": "login2", "login2": "login"}[gone]
    try:
        for host in ("workstation", "compute1", "compute2"):
            desk.lab.path("close", host, gone)
            desk.lab.path("close", gone, host)
        began = time.time()
        client.stand_still()
        client.go_on(began, 40)
        assert desk.record("any")["login_node"] == other
    finally:
        desk.lab.path("reset")
    desk.lab.on(gone, "sh", "-c", "pkill -KILL -u alice; rm -rf /tmp/paraview-relay.*")
    client.end()


def freezer(lab, host):
    """The file that freezes all processes of a host."""
    with open("/proc/self/mounts", encoding="ascii") as mounts:
        where = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
    return Path(where) / NAME / host / "payload" / "cgroup.freeze"


@pytest.mark.torture
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("seconds", [20, 120])
def test_the_workstation_sleeps(desk, pictures, route, seconds):
    client = pictures(route)
    switch = freezer(desk.lab, "workstation")
    switch.write_text("1")
    try:
        began = time.monotonic()
        desk.lab.wait(lambda: time.monotonic() - began >= seconds, seconds + 1, "the sleep")
    finally:
        switch.write_text("0")
        woke = time.time()
    client.go_on(woke)
    client.end()


@pytest.mark.torture
@pytest.mark.parametrize("route", ROUTES)
def test_ten_losses_with_much_on_its_way(desk, pictures, route):
    client = pictures(route, big=True, walltime="0:30:00")
    for turn in range(10):
        began = time.time()
        (kill_ssh, kill_sshd)[turn % 2](desk.lab)
        client.go_on(began, 60)
        client.more(1 + turn, 120)
    client.end()


@pytest.mark.torture
def test_paraview_leaves_while_the_line_is_away(desk, pictures):
    """Everything ends once the network is back, and no sooner than that can anybody know."""
    client = pictures("reverse_tunnel")
    cut(desk.lab)
    client.stand_still()
    desk.run("pkill", "-KILL", "-x", "pvpython")
    heal(desk.lab)
    desk.lab.wait(lambda: desk.record().get("state") == "ended", 40, "the end is told")
    desk.nothing_left()


@pytest.mark.torture
def test_the_job_ends_while_the_line_is_away(desk, pictures):
    client = pictures("forward_tunnel")
    cut(desk.lab)
    client.stand_still()
    desk.lab.on("login", "scancel", "-u", "alice")
    heal(desk.lab)
    desk.lab.wait(lambda: desk.record().get("state") in ("cancelled", "ended"), 40, "the end is told")
    desk.nothing_left()


@pytest.mark.torture
def test_an_outage_is_bounded(desk, pictures):
    """The job ends by itself, and so does all that waits here."""
    client = pictures("reverse_tunnel", reconnect_timeout="0:00:15")
    job = desk.report()["job_id"]
    cut(desk.lab)
    client.stand_still()
    desk.lab.wait(lambda: job not in desk.jobs(), 60, "the job ends by itself")
    heal(desk.lab)
    desk.lab.wait(lambda: desk.record().get("state") in ("ended", "unknown"), 60, "the end is told")
    desk.lab.wait(lambda: not [one for one in desk.processes("workstation") if "lifeline" in one], 30, "the stub ends")
    desk.disconnect()
    desk.nothing_left()


@pytest.mark.torture
def test_disconnect_in_an_outage_says_what_it_cannot_do(desk, pictures):
    client = pictures("reverse_tunnel")
    cut(desk.lab)
    client.stand_still()
    done = desk.disconnect(check=False)
    assert done.returncode and "cannot reach login node login.lab.example" in done.stdout + done.stderr
    heal(desk.lab)
    desk.lab.wait(lambda: client.line()["state"] == "connected", 30, "the line is back")
    assert "has left the queue" in desk.disconnect().stdout
    desk.nothing_left()


@pytest.mark.torture
def test_a_watcher_that_was_killed_is_replaced(desk, pictures):
    """The stub has what is on its way; connect again takes it up."""
    client = pictures("reverse_tunnel")
    desk.lab.on("workstation", "kill", "-KILL", str(desk.record()["daemon"][0]))
    desk.lab.wait(lambda: not desk.masters(), 10, "ssh ends with its daemon")
    desk.status()
    assert desk.report()["state"] == "unknown"
    done = desk.connect(route="reverse_tunnel", user_relay=True)
    assert "ready after" in done.stdout and "ParaView is connected" in done.stdout
    client.more()
    client.end()


@pytest.mark.torture
def test_a_stub_that_was_killed_lets_the_job_go(desk, pictures):
    client = pictures("reverse_tunnel")
    desk.run("pkill", "-KILL", "-f", "paraview-lifeline stub", check=False)
    desk.lab.on("workstation", "pkill", "-KILL", "-f", "[p]araview-lifeline stub", check=False)
    desk.told_over(30)
    assert "is lost" in desk.record(client.host)["reason"]
    desk.nothing_left()


def test_without_a_lifeline_a_session_ends_with_its_connection(desk):
    desk.connect(route="forward_tunnel", reconnect=False)
    assert desk.report()["lifeline"] is None
    assert not [one for one in desk.processes("workstation") if "lifeline" in one]
    kill_ssh(desk.lab)
    desk.lab.wait(lambda: desk.record().get("state") == "unknown", 10, "the loss is seen")


@pytest.fixture
def no_python(desk):
    """The nodes have none, neither ParaView's own."""
    hidden = "for f in /usr/bin/python3 /usr/bin/pvpython; do mount --bind /bin/false $f; done"
    for node in ("compute1", "compute2"):
        desk.lab.on(node, "sh", "-c", hidden)
    yield
    for node in ("compute1", "compute2"):
        desk.lab.on(node, "umount", "/usr/bin/python3", "/usr/bin/pvpython")


@pytest.mark.torture
@pytest.mark.parametrize("route", ["forward_tunnel", long("reverse_tunnel")])
def test_a_node_without_python_goes_on_without(desk, no_python, route):
    more = {"start_client": desk.client_command("reverse")} if route == "reverse_tunnel" else {}
    done = desk.connect(route=route, **more)
    assert re.search(r"no reconnection, since compute\d has no Python 3.6 or newer: the session ends with its connection", done.stdout)
    if not more:
        assert "distributed True" in desk.client(desk.report()).stdout
    desk.nothing_left()


def test_a_client_that_is_refused_leaves_room_for_the_right_one(desk):
    desk.connect(route="forward_tunnel")
    report = desk.report()
    wrong = desk.client(dict(report, connect_id=report["connect_id"] ^ 1), check=False)
    assert "distributed" not in wrong.stdout
    desk.lab.wait(lambda: desk.lab.on("workstation", "ss", "-Hltn", f"sport = :{report['client_port']}").stdout, 30, "the port is open again")
    assert "distributed True" in desk.client(report).stdout
    desk.nothing_left()


@pytest.mark.torture
def test_order_does_not_matter(desk):
    """A client that begins long after pvserver, on a reverse route."""
    process = desk.lab.start("workstation", *desk.words("connect", route="reverse_tunnel"), user="alice")
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        line = next(line for line in process.stdout if "start the client now" in line)
        assert "--server-url=csrc://127.0.0.1:" in line
        record = desk.record()
        assert record["go_file_written"] and [one for one in desk.processes(record["root_node"]) if "--reverse-connection" in one], "pvserver is there already"
        known = int(desk.run("cat", f"{STATE}/lab/connect_id").stdout)
        assert "distributed True" in desk.client({"connect_id": known, "client_port": record["client_port"]}, way="reverse").stdout
        assert process.wait(60) == 0
    desk.nothing_left()


def test_a_line_at_the_terminal_tells_of_the_loss_and_one_of_the_return(desk):
    line = " ".join(shlex.quote(word) for word in desk.words("connect", route="forward_tunnel"))
    process = desk.lab.start("workstation", "script", "-qfc", f"{line}; echo done; read enter", "/dev/null", user="alice")
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        assert any("done" in one for one in process.stdout)
        kill_ssh(desk.lab)
        assert re.match(r"lab: the connection was lost at [0-9:]+ \(.*\); ParaView waits until it is restored\s*$", next(filter(str.strip, process.stdout)))
        assert re.match(r"lab: the connection is restored after \d+ s\s*$", next(filter(str.strip, process.stdout)))
        process.stdin.write("\n")
        process.stdin.close()
        assert process.wait(20) == 0


def test_every_command_of_the_guide(lab, desk, terminal):
    inventory = "all:\n  hosts:\n    frontera:\n      ansible_host: login.lab.example\n"
    lab.on("workstation", "sh", "-c", f"cat > {HOME}/clusters.yml", user="alice", input=inventory)
    terminal.type("export ANSIBLE_INVENTORY=~/clusters.yml")

    def state():
        return (desk.record("frontera").get("lost_at") and "lost") or "there"

    def lose():
        cut(lab)
        lab.wait(lambda: state() == "lost", 30, "the loss is seen")

    def find():
        heal(lab)
        lab.wait(lambda: state() == "there", 30, "the return is seen")

    def end():
        desk.disconnect("frontera")

    consoles = [one for one in blocks((GUIDES / "guide_reconnect.rst").read_text()) if one[0] == "console"]
    try:
        for before, (_language, _caption, lines) in zip([lambda: None, lose, find, end], consoles, strict=True):
            before()
            for command, wanted in steps(lines):
                said(terminal, command, wanted)
    finally:
        lab.path("reset")


# --- a host that does not have the key ---


# Hundreds of connections a second, half of them with a hello; it ends by itself.
FLOOD = """
import collections, os, socket, sys, time
kept, began, count = collections.deque(maxlen=300), time.monotonic(), 0
while time.monotonic() - began < 60:
    if count > 500 * (time.monotonic() - began):
        time.sleep(0.002)
        continue
    sock = socket.socket()
    sock.settimeout(0.2)
    try:
        sock.connect((sys.argv[1], int(sys.argv[2])))
        sock.sendall(b"PVLL" + bytes([1, 2, 0, 0]) + os.urandom(48) if count % 2 else b"")
    except OSError:
        pass
    kept.append(sock)
    count += 1
    if count == 500:
        print("runs", flush=True)
"""


def test_a_flood_from_the_login_node_does_not_keep_a_session_from_coming_back(desk, pictures):
    """It has the address from which the session's own connection comes."""
    client = pictures("forward_tunnel")
    node, port = desk.record()["root_node"], desk.record()["agent"][1]
    flood = desk.lab.start("login", "python3", "-ISc", FLOOD, node, str(port), user="bob")
    try:
        assert flood.stdout.readline() == "runs\n"
        began = time.time()
        kill_ssh(desk.lab)
        client.go_on(began, 30)
        assert flood.poll() is None
    finally:
        flood.terminate()
        flood.wait()
    client.end()


def test_another_user_of_the_workstation_gets_nothing(desk):
    """Neither where ParaView connects, nor where the line comes in."""
    desk.connect(route="forward_tunnel")
    port = desk.report()["client_port"]
    asked = f"import socket\ntry:\n  print('got', socket.create_connection(('127.0.0.1', {port}), 5).recv(10))\nexcept OSError as error:\n  print(error)"
    assert "reset by peer" in desk.lab.on("workstation", "python3", "-c", asked, user="bob").stdout
    assert "comes from the account" in desk.run("cat", f"{STATE}/lab/stub.log").stdout
    assert "distributed True" in desk.client(desk.report()).stdout, "the right one is served afterwards"
    desk.nothing_left()
