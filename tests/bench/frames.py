"""Frames there and back, and bulk, through each route of a real session, against a direct connection, in one run.

Unbounded, the lab's network is as fast as its processors, which both ends of ssh and of the lifeline share. SHAPED is the same route over a network
of its own speed. COPIES are the same route with two programs in place of the lifeline's ends that do nothing but copy, for what a way through any two may cost.
"""

import base64
import contextlib
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "bench"
sys.path.insert(0, str(HERE.parent / "lab"))

from conftest import Lab  # noqa: E402
from desk import STATE, Desk  # noqa: E402

SCRIPTS = ("peer.py", "copying.py")
FRAMES = 1000
ROUNDS = 3
PORT, TUNNEL = "24001", "24000"
ROUTES = ("forward_tunnel", "reverse_tunnel", "reverse_tunnel_relay")
COPIES = {"forward_tunnel, copied in C": "./traffic", "forward_tunnel, copied in Python": "python3 -IS copying.py"}
RATE = "1gbit"
SHAPED = f"forward_tunnel at {RATE}"
# Where the workstation's network is entered, from either side.
DOORS = (("workstation", "eth0"), ("login", "wan0"))


def figures(text):
    """Median and 99th percentile in ms, and MB/s up and down."""
    return tuple(map(float, text.split()[-4:]))


def session(desk, route, lifeline, copier=""):
    way = "forward" if route == "forward_tunnel" else "reverse"
    words = ["sh", "-c", f'COPIER={shlex.quote(copier)} exec python3 peer.py client {way} "$PV_SERVER_PORT" {FRAMES}']
    pvserver = ["env", f"COPIER={copier}", "python3", "peer.py", "pvserver"]
    desk.connect(route=route, pvserver=pvserver, start_client=words, walltime="0:05:00", reconnect=lifeline)
    desk.nothing_left()
    return figures(desk.run("cat", f"{STATE}/lab/client.log").stdout)


def compiled():
    """str: the load generator, which runs on each of the lab's hosts, in base64."""
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "traffic-static"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-pthread", "-static", "-o", str(program), str(HERE / "traffic.c")], check=True)
    return base64.b64encode(program.read_bytes()).decode()


@contextlib.contextmanager
def slower(lab):
    try:
        for host, door in DOORS:
            lab.on(host, "tc", "qdisc", "replace", "dev", door, "root", "tbf", "rate", RATE, "burst", "32kb", "latency", "20ms")
        yield
    finally:
        for host, door in DOORS:
            lab.on(host, "tc", "qdisc", "delete", "dev", door, "root", check=False)


def shaped(desk, lifeline):
    with slower(desk.lab):
        return session(desk, "forward_tunnel", lifeline)


def by_hand(lab, *tunnel):
    """A node that dials the workstation, by a tunnel of ssh's command line or directly."""
    far = ["198.18.2.1", TUNNEL] if tunnel else ["198.18.1.10", PORT]
    there = lab.start("workstation", "python3", "peer.py", "client", "reverse" if tunnel else "direct", PORT, str(FRAMES), user="alice")
    over = lab.start("workstation", *tunnel, user="alice", stderr=subprocess.DEVNULL) if tunnel else None
    node = lab.start("compute1", "python3", "/home/alice/peer.py", "back", "dial", *far, user="root")
    try:
        return figures(there.communicate(timeout=120)[0])
    finally:
        for one in (node, over, there):
            if one and one.poll() is None:
                one.terminate()
                one.wait(10)


def main():
    lab = Lab()
    lab.up()
    desk = Desk(lab)
    desk.clean_up()
    copier = compiled()
    for host in ("workstation", "login"):
        for name in SCRIPTS:
            lab.on(host, "sh", "-c", f"cat > {name}", user="alice", input=(HERE / name).read_text())
        lab.on(host, "sh", "-c", "base64 -d > traffic; chmod 700 traffic", user="alice", input=copier)
    lab.path("open", "compute1", "workstation")
    remote = ["-o", "ExitOnForwardFailure=yes", "-R", f"198.18.2.1:{TUNNEL}:127.0.0.1:{PORT}", "login.lab.example"]
    measures = {
        "direct": lambda: by_hand(lab), "ssh -N -R, typed by hand": lambda: by_hand(lab, "ssh", "-N", *remote),
        **{route: lambda route=route: session(desk, route, False) for route in ROUTES},
        **{f"{route}, lifeline": lambda route=route: session(desk, route, True) for route in ROUTES},
        **{name: lambda copier=copier: session(desk, "forward_tunnel", False, copier) for name, copier in COPIES.items()},
        **{f"{SHAPED}{end}": lambda end=end: shaped(desk, bool(end)) for end in ("", ", lifeline")},
    }
    found = {name: [] for name in measures}
    try:
        for _round in range(ROUNDS):
            for name, measure in measures.items():
                found[name].append(measure())
    finally:
        lab.path("reset", "compute1", "workstation")
        for host in ("workstation", "login"):
            lab.on(host, "rm", "-f", *SCRIPTS, "traffic", user="alice")
        desk.clean_up()
    best = {name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in found.items()}
    print("64 KiB there and back, p50 and p99, and bulk up and down; medians of rounds, times the direct connection's")
    for name, measured in best.items():
        ratios = " ".join(f"{one / of:7.2f}" for one, of in zip(measured, best["direct"], strict=True))
        print(f"{name:40} {ratios}   ({measured[0]:.2f} and {measured[1]:.2f} ms, {measured[2]:.0f} and {measured[3]:.0f} MB/s)")
    pairs = [(route, f"{route}, lifeline") for route in (*ROUTES, SHAPED)]
    for route, other in [*pairs, *((ROUTES[0], name) for name in COPIES)]:
        ratios = [one / of for one, of in zip(best[other], best[route], strict=True)]
        print("{}, times what it is without: 64 KiB p50 {:.2f}, p99 {:.2f}; bulk up {:.2f}, down {:.2f}".format(other, *ratios))
    stalls = [name for name, measured in best.items() if name.startswith(ROUTES) and measured[0] > 20]  # ssh -N does, by itself
    if stalls:
        raise SystemExit(f"these stall: {'; '.join(stalls)}")


if __name__ == "__main__":
    main()
