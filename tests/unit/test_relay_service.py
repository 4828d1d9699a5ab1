# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-relay as a service: it replaces itself without losing a session, reports its status, and works with systemd."""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import threading
import time

import pytest
from relay import PROGRAM, Relay, Target, exactly, free_ports, interpreters, is_reset, module, reset, run, status_of, to_the_end

CHUNK = os.urandom(1 << 20)


@pytest.fixture(name="start")
def _start(tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Relay(tmp_path, *arguments, **options))
        return started[-1]
    yield start
    for relay in started:
        relay.stop()


@pytest.fixture(name="target")
def _target():
    target = Target(backlog=128)
    yield target
    target.close()


class Site:
    """A relay with a configuration of routes to one target."""

    def __init__(self, start, target, directory, socket_directory):
        self.target, self.path, self.status = target, directory / "relay.conf", socket_directory / "s"
        self.start = start

    def write(self, *ports, more="", relay="", **keys):
        text = "[relay]\nstatus = {0}\n{1}\n".format(self.status, relay)
        for port in ports:
            text += "[route r{0}]\nlisten = 127.0.0.1:{0}\nto = {1}\nallow = 127.0.0.0/8\n{2}\n".format(port, self.target.text, more)
            text += "".join("{0} = {1}\n".format(key, value) for key, value in keys.items())
        self.path.write_text(text)

    def begin(self, *ports, options=None, **keys):
        self.write(*ports, **keys)
        self.relay = self.start(config=self.path, ready=self.status.exists, **(options or {}))
        self.relay.status_path, self.relay.address = self.status, "127.0.0.1"
        return self.relay

    def pair(self, port):
        return self.relay.connect(port), self.target.accept()


@pytest.fixture(name="site")
def _site(start, target, tmp_path, short_path):
    return Site(start, target, tmp_path, short_path)


def exchanges(source, sink):
    source.sendall(b"hello")
    assert exactly(sink, 5) == b"hello"
    sink.sendall(b"back")
    assert exactly(source, 4) == b"back"
    return True


class Stream:
    """Sends from one end to the other until end(), and compares checksums."""

    def __init__(self, sender, receiver):
        self.active, self.sent, self.got = True, hashlib.sha256(), hashlib.sha256()
        self.count = 0
        self.threads = [threading.Thread(target=self._send, args=(sender,), daemon=True), threading.Thread(target=self._receive, args=(receiver,), daemon=True)]
        for thread in self.threads:
            thread.start()

    def _send(self, sock):
        while self.active:
            chunk = CHUNK[self.count % 1000:]
            sock.sendall(chunk)
            time.sleep(0.003)  # leaves the processor to the others
            self.sent.update(chunk)
            self.count += len(chunk)
        sock.shutdown(socket.SHUT_WR)

    def _receive(self, sock):
        for got in iter(lambda: sock.recv(1 << 18), b""):
            self.got.update(got)

    def end(self):
        self.active = False
        for thread in self.threads:
            thread.join(15)
        assert self.sent.digest() == self.got.digest()
        return self.count


# ---- reload: another configuration, another program ----


def test_transfers_continue_during_a_replacement(site):
    port = free_ports()[0]
    relay = site.begin(port)
    ends = [site.pair(port) for _one in range(4)]
    streams = [Stream(*pair) for pair in ends] + [Stream(*pair[::-1]) for pair in ends[:2]]
    pid, descriptors = relay.pid, []
    for count in range(1, 3):
        assert "4 sessions continue" in relay.reload()
        descriptors.append(relay.descriptors())
        assert relay.status()["reloads"] == count
    assert all(stream.end() > 1 << 20 for stream in streams)
    assert relay.status()["pid"] == pid
    relay.reload()
    assert len(os.listdir("/proc/{0}/fd".format(pid))) <= min(descriptors)


def test_unread_bytes_survive_a_reload(site):
    port = free_ports()[0]
    relay = site.begin(port)
    source, sink = site.pair(port)
    source.settimeout(0.1)
    sent = 0
    with pytest.raises(socket.timeout):
        while True:
            sent += source.send(CHUNK)
    relay.reload()
    relay.reload()
    source.shutdown(socket.SHUT_WR)
    assert len(to_the_end(sink)) == sent
    sink.sendall(b"thanks")
    assert exactly(source, 6) == b"thanks"


def test_half_closed_sessions_survive_a_reload(site):
    port = free_ports()[0]
    relay = site.begin(port)
    ends = [site.pair(port) for _one in range(3)]
    assert all(exchanges(*pair) for pair in ends)
    ends[0][0].shutdown(socket.SHUT_WR)
    ends[1][1].shutdown(socket.SHUT_WR)
    assert (ends[0][1].recv(1), ends[1][0].recv(1)) == (b"", b"")
    relay.reload()
    ends[0][1].sendall(b"still")
    ends[1][0].sendall(b"still")
    assert (exactly(ends[0][0], 5), exactly(ends[1][1], 5)) == (b"still", b"still")
    reset(ends[2][0])
    assert is_reset(ends[2][1])
    ends[0][1].close()
    ends[1][0].close()
    assert (ends[0][0].recv(1), ends[1][1].recv(1)) == (b"", b"")


def test_bytes_for_a_target_that_is_not_ready_survive_a_reload(site, until):
    port = free_ports()[0]
    relay = site.begin(port)
    source = relay.connect(port)
    source.sendall(b"kept ")
    sink = site.target.accept()
    assert exactly(sink, 5) == b"kept "
    site.target.close()
    reset(sink)
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["waiting"])
    relay.reload()
    source.sendall(b"too")
    sink = Target(port=site.target.port, backlog=1).accept()
    assert exactly(sink, 8) == b"kept too"
    assert exchanges(source, sink)


def test_a_held_source_survives_a_reload(start, tmp_path, target, short_path, until):
    relay = start("--to", target.text, "--allow-file", tmp_path / "nodes", "--status", short_path / "s", "--hold", "60")
    source = relay.connect()
    source.sendall(b"early")
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["held"])
    relay.reload()
    (tmp_path / "nodes").write_text("127.0.0.1\n")
    assert exactly(target.accept(), 5) == b"early"


def test_an_invalid_configuration_changes_nothing(site, until):
    port, new = free_ports(2)
    relay = site.begin(port)
    pair = site.pair(port)
    descriptors = relay.descriptors()
    site.write(port, new, more="nonsense = 1")
    assert re.search(r"not reloaded, the relay keeps its old configuration: .*relay.conf:8: 'nonsense = 1' is not KEY = VALUE", relay.reload())
    assert exchanges(*pair)
    assert exchanges(*site.pair(port))
    assert relay.status()["reloads"] == 0
    os.unlink(str(site.path))
    for _time in range(3):
        assert "No such file" in relay.reload()
    pair[0].close()
    pair[1].close()
    until(lambda: relay.descriptors() <= descriptors)
    pair = site.pair(port)
    site.write(port)
    assert "continue" in relay.reload()
    assert exchanges(*pair)


def test_a_used_port_changes_nothing(site):
    port, used, new = free_ports(3)
    relay = site.begin(port)
    pair = site.pair(port)
    with Target(port=used, backlog=1).sock:
        site.write(port, new, used)
        assert "not reloaded, the relay keeps its old configuration: cannot listen on 127.0.0.1:{0}: Address already in use".format(used) in relay.reload()
        assert exchanges(*pair)
        with pytest.raises(ConnectionRefusedError):
            relay.connect(new)
    assert "continue" in relay.reload()
    assert exchanges(*site.pair(new))


def test_sessions_survive_changes_of_the_routes(site):
    old, new = free_ports(2)
    relay = site.begin(old)
    pair = site.pair(old)
    assert exchanges(*pair)
    for ports in ([new], [new], [old, new]):
        site.write(*ports)
        relay.reload()
        assert exchanges(*pair)
        assert exchanges(*site.pair(new))
        if old not in ports:
            with pytest.raises(ConnectionRefusedError):
                relay.connect(old)
    names = {one["name"]: one for one in relay.status()["routes"]}
    assert names["r{0}".format(old)]["open"] == 1
    assert exchanges(*site.pair(old))


def test_a_waiting_connection_of_a_removed_route_is_refused(site, until):
    old, new = free_ports(2)
    site.target.close()
    relay = site.begin(old)
    source = relay.connect(old)
    until(lambda: [one["state"] for one in relay.status()["sessions"]] == ["waiting"])
    site.write(new)
    relay.reload()
    assert is_reset(source)


def test_several_hangups_in_short_time(site, until):
    port = free_ports()[0]
    relay = site.begin(port)
    pair = site.pair(port)
    for _time in range(2):
        before = relay.status()["reloads"]
        for _one in range(3):
            relay.signal(signal.SIGHUP)
        until(lambda was=before: relay.status()["reloads"] > was)
        assert exchanges(*pair)


def test_a_configuration_that_becomes_invalid_during_a_reload_ends_no_session(site, until):
    port = free_ports()[0]
    relay = site.begin(port)
    pair = site.pair(port)
    good = site.path.read_text()
    for pause in range(5):
        site.path.write_text(good)
        relay.signal(signal.SIGHUP)
        time.sleep(pause * 0.03)
        site.path.write_text("broken")
        relay.signal(signal.SIGHUP)
        assert exchanges(*pair)
    until(lambda: re.findall(r"(\S+) reloaded,", relay.log)[-1:] == ["not"])
    assert exchanges(*site.pair(port))


def test_a_new_program_replaces_the_old_one_and_a_broken_one_does_not(start, tmp_path, target, monkeypatch):
    copy = tmp_path / "paraview-relay"
    shutil.copy(str(PROGRAM), str(copy))
    monkeypatch.setattr("relay.PROGRAM", copy)
    relay = start("--to", target.text)
    pair = relay.connect(), target.accept()
    text = copy.read_text()
    for broken in ("raise SystemExit('broken')\n", text.replace("    STATE = 1 ", "    STATE = 99 ")):
        copy.write_text(broken)
        assert "not reloaded" in relay.reload()
        assert exchanges(*pair)
    copy.write_text(text.replace("sessions continue", "sessions are in the new program"))
    assert "1 sessions are in the new program" in relay.reload()
    assert exchanges(*pair)
    copy.unlink()
    assert "not reloaded" in relay.reload()
    assert exchanges(*pair)


def test_a_relay_without_a_file_keeps_its_port_after_a_reload(start, target):
    low = free_ports(3)[0]
    with Target(port=low, backlog=1).sock:
        first_free = start("--to", target.text, "--first-free", "--listen", "127.0.0.1:{0}-{1}".format(low, low + 2), "--owner", "any")
    assert first_free.port == low + 1
    any_port = start("--to", target.text)
    for relay in (first_free, any_port):
        pair = relay.connect(), target.accept()
        for _time in range(2):
            assert "1 sessions continue" in relay.reload()
            assert exchanges(*pair)
            assert exchanges(relay.connect(), target.accept())
            relay.logged("both sides closed")


def test_the_required_owner_stays_the_same_after_a_reload(start, target, until):
    """With --first-free, a range of ports requires an ordinary user, also after the reload with one port."""
    low = free_ports(2)[0]
    relay = start("--to", target.text, "--first-free", "--listen", "127.0.0.1:{0}-{1}".format(low, low + 1), "--no-wait")
    outcome = relay.refuses() if os.geteuid() < module().UID_MIN else exchanges(relay.connect(), target.accept())
    relay.reload()
    assert outcome == (relay.refuses() if os.geteuid() < module().UID_MIN else exchanges(relay.connect(), target.accept()))


@pytest.mark.torture
def test_thousands_of_ports_survive_a_reload(start, target, tmp_path, short_path):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < 6000:
        pytest.skip("too few descriptors")
    low, high = 20001, 24500
    path = tmp_path / "relay.conf"
    path.write_text("[relay]\nstatus = {0}\n[route many]\nlisten = 127.44.0.1:{1}-{2}\nto = {3}\nallow = 127.0.0.0/8\nowner = any\n".format(
        short_path / "s", low, high, target.text))
    relay = start(config=path, ready=(short_path / "s").exists)
    relay.address = "127.44.0.1"
    pair = relay.connect(high), target.accept()
    assert "1 sessions continue" in relay.reload()
    assert exchanges(*pair)
    assert exchanges(relay.connect(low), target.accept())
    assert status_of(short_path / "s")["routes"][0]["listen"] == ["127.44.0.1:20001-24500"]


def test_the_old_status_socket_is_removed_if_its_path_changes(site, short_path):
    port = free_ports()[0]
    relay = site.begin(port)
    before, site.status = site.status, short_path / "elsewhere"
    site.write(port)
    relay.reload()
    assert status_of(site.status)["reloads"] == 1
    assert not before.exists()


def test_the_status_socket_of_a_killed_relay_is_replaced(start, target, short_path):
    Target(short_path / "s", backlog=1).close()
    relay = start("--to", target.text, "--status", short_path / "s")
    assert relay.status()["pid"] == relay.pid
    code, out, err = run("--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--allow", "::/0", "--status", short_path / "s")
    assert (code, out) == (1, "")
    assert "Address already in use" in err
    assert relay.status()["pid"] == relay.pid


# ---- status ----


def test_the_status_of_a_session(site):
    port = free_ports()[0]
    relay = site.begin(port)
    source, sink = site.pair(port)
    source.sendall(bytes(1000))
    sink.sendall(bytes(50))
    exactly(sink, 1000)
    exactly(source, 50)
    status = relay.status()
    assert status["version"] == module().VERSION
    session, = status["sessions"]
    assert session.pop("age_s") < 10
    assert session == {"route": "r{0}".format(port), "source": module().endpoint(source.getsockname()), "port": port, "target": site.target.text,
                       "owner": module().user_name(os.geteuid()), "state": "open", "why": "", "bytes_up": 1000, "bytes_down": 50}
    route, = status["routes"]
    assert route == {"name": "r{0}".format(port), "listen": ["127.0.0.1:{0}".format(port)], "sessions": 1, "open": 1, "total": 1, "refused": {},
                     "bytes_up": 1000, "bytes_down": 50}
    code, out, err = run("status", "--socket", site.status)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:2] == ["pid", str(relay.pid) + ","]
    assert lines[2] == ["r{0}".format(port), "127.0.0.1:{0}".format(port), "1", "0", "1", "0", "1000", "50"]
    assert lines[4][:4] == [session["route"], session["source"], str(port), session["target"]]
    assert json.loads(run("status", "--socket", site.status, "--json")[1])["pid"] == relay.pid


def test_the_status_has_the_chosen_port(start, target, short_path):
    relay = start("--to", target.text, "--status", short_path / "s")
    for _time in range(2):
        assert relay.status()["routes"][0]["listen"] == ["127.0.0.1:{0}".format(relay.port)]
        relay.reload()


def test_the_status_of_a_relay_that_does_not_run(short_path):
    code, out, err = run("status", "--socket", short_path / "none")
    assert (code, out) == (1, "")
    assert err == "paraview-relay: no answer from {0}: No such file or directory\n".format(short_path / "none")


SAMPLE = re.compile(r'(paraview_relay_[a-z_]+)(?:\{((?:[a-z]+="[^"\\\n]*",?)+)\})? ([0-9]+(?:\.[0-9]+)?)')


def test_metrics_in_the_format_of_prometheus(site):
    port, metrics = free_ports(2)
    relay = site.begin(port, relay="metrics = 127.0.0.1:{0}".format(metrics), max_sessions=1)
    pair = site.pair(port)
    assert exchanges(*pair)
    assert relay.refuses(port)
    for where in (site.status, ("127.0.0.1", metrics)):
        head, _empty, body = status_of(where, "/metrics").partition("\n\n")
        assert head.startswith("HTTP/1.0 200 OK")
        assert "text/plain; version=0.0.4" in head
        types, samples = {}, {}
        for line in body.splitlines():
            if line.startswith("# TYPE "):
                types[line.split()[2]] = line.split()[3]
            elif not line.startswith("# HELP "):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                assert name in types, line
                samples[name, labels] = float(value)
        label = 'route="r{0}"'.format(port)
        assert samples["paraview_relay_refused_total", label + ',cause="limit"'] == 1
        assert samples["paraview_relay_sessions_total", label] == 1
        assert samples["paraview_relay_bytes_total", label + ',direction="up"'] == 5
        assert types["paraview_relay_sessions"] == "gauge"
    assert status_of(("127.0.0.1", metrics)).startswith("HTTP/1.0 404")


def test_invalid_requests_do_not_disturb_the_relay(site, until):
    port, metrics = free_ports(2)
    relay = site.begin(port, relay="metrics = 127.0.0.1:{0}".format(metrics))
    relay.status()  # the answer comes after every listener was opened
    before = relay.descriptors()
    waiting = []
    for content in (b"", b"\n\n", b"GET\r\n\r\n", b"POST /status HTTP/1.0\r\n\r\n", b"\0\xff" * 5000, b"GET /metrics", b"GET /../status HTTP/1.0\r\n\r\n"):
        for _one in range(20):
            waiting.append(socket.create_connection(("127.0.0.1", metrics)))
            waiting[-1].sendall(content)
    assert relay.status()["pid"] == relay.pid
    assert exchanges(*site.pair(port))
    for sock in waiting:
        sock.close()
    until(lambda: relay.descriptors() <= before + 3)
    assert status_of(("127.0.0.1", metrics), "/metrics").startswith("HTTP/1.0 200")


# ---- systemd ----


@pytest.fixture(name="manager")
def _manager(short_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(15)
        sock.bind(str(short_path / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(short_path / "n"))
        yield lambda: dict(line.split("=", 1) for line in sock.recv(4096).decode().splitlines())


def test_the_service_manager_is_notified(start, target, manager):
    relay = start("--to", target.text)
    assert manager() == {"READY": "1", "STATUS": "1 ports"}
    relay.reload()
    message = manager()
    assert message["RELOADING"] == "1"
    assert int(message["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
    assert manager()["READY"] == "1"
    relay.stop()
    assert manager() == {"STOPPING": "1"}


def test_the_service_manager_is_notified_of_a_failed_reload(site, manager):
    port = free_ports()[0]
    relay = site.begin(port)
    assert manager()["READY"] == "1"
    site.path.write_text("[broken")
    relay.reload()
    assert manager()["RELOADING"] == "1"
    message = manager()
    assert message["READY"] == "1"
    assert "relay.conf:1: '[broken' is neither" in message["STATUS"]


@pytest.mark.parametrize("reloads", [pytest.param(0, marks=pytest.mark.torture), 1])
def test_the_watchdog_is_notified(start, target, manager, monkeypatch, reloads):
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    relay = start("--to", target.text)
    for _time in range(reloads):
        relay.reload()
    times = []
    while len(times) < 4:
        if manager() == {"WATCHDOG": "1"}:
            times.append(time.monotonic())
    assert times[-1] - times[1] < 2 * 0.3


@pytest.mark.parametrize("python", interpreters())
def test_sockets_of_the_service_manager_are_used(start, target, python, short_path):
    listening, status = Target(host="::1", backlog=8), Target(short_path / "s", backlog=8)

    def pass_sockets():
        os.dup2(listening.sock.fileno(), 3)
        os.dup2(status.sock.fileno(), 4)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")
    relay = start("--listen", "[::1]:{0}".format(listening.port), "--to", target.text, "--allow", "::1", "--status", short_path / "s", python=python,
                  pass_fds=(3, 4), preexec_fn=pass_sockets)
    for _time in range(2):
        assert exchanges(relay.connect(), target.accept())
        assert relay.status()["pid"] == relay.pid
        relay.reload()
