"""A frame's way there and back through each route of a real session, against a direct connection, in one run."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))

from conftest import Lab  # noqa: E402
from desk import STATE, Desk  # noqa: E402

FRAMES = 1000
ROUNDS = 3
PORT, TUNNEL = "24001", "24000"
ROUTES = ("forward_tunnel", "reverse_tunnel", "reverse_tunnel_relay")


def figures(text):
    """Median and 99th percentile, in ms."""
    median, late = text.split()[-2:]
    return float(median), float(late)


def session(desk, route, lifeline):
    way = "forward" if route == "forward_tunnel" else "reverse"
    words = ["sh", "-c", f'exec python3 peer.py client {way} "$PV_SERVER_PORT" {FRAMES}']
    desk.connect(route=route, pvserver=["python3", "peer.py", "pvserver"], start_client=words, walltime="0:05:00", lifeline=lifeline)
    desk.nothing_left()
    return figures(desk.run("cat", f"{STATE}/lab/client.log").stdout)


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
    for host in ("workstation", "login"):
        lab.on(host, "sh", "-c", "cat > peer.py", user="alice", input=(HERE / "peer.py").read_text())
    lab.path("open", "compute1", "workstation")
    remote = ["-o", "ExitOnForwardFailure=yes", "-R", f"198.18.2.1:{TUNNEL}:127.0.0.1:{PORT}", "login.lab.example"]
    measures = {
        "direct": lambda: by_hand(lab), "ssh -N -R, typed by hand": lambda: by_hand(lab, "ssh", "-N", *remote),
        **{route: lambda route=route: session(desk, route, False) for route in ROUTES},
        **{f"{route}, lifeline": lambda route=route: session(desk, route, True) for route in ROUTES},
    }
    found = {name: [] for name in measures}
    try:
        for _round in range(ROUNDS):
            for name, measure in measures.items():
                found[name].append(measure())
    finally:
        lab.path("reset", "compute1", "workstation")
        for host in ("workstation", "login"):
            lab.on(host, "rm", "-f", "peer.py", user="alice")
        desk.clean_up()
    best = {name: tuple(sorted(one[at] for one in times)[len(times) // 2] for at in (0, 1)) for name, times in found.items()}
    print("64 KiB there and back, medians of rounds: p50 and p99, times the direct connection's")
    for name, (median, late) in best.items():
        print(f"{name:32} {median / best['direct'][0]:7.1f} {late / best['direct'][1]:7.1f}   ({median:.2f} and {late:.2f} ms)")
    for route in ROUTES:
        print(f"{route}: with a lifeline {best[f'{route}, lifeline'][0] / best[route][0]:.2f} of the time without")
        if max(best[route][0], best[f"{route}, lifeline"][0]) > 20:
            raise SystemExit(f"{route} stalls")


if __name__ == "__main__":
    main()
