"""Figures, as ratios in one run: connect against the same work typed by hand, and what stays on the client host."""

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))

from conftest import Lab  # noqa: E402
from desk import Desk  # noqa: E402

RUNS = 5
# By hand it is a forward tunnel; node_tunnel is what `auto` tries first.
ROUTES = {"forward_tunnel": {}, "forward_tunnel, no lifeline": {"route": "forward_tunnel", "reconnect": False}, "node_tunnel": {}}


def timed(process, ready, end, wait=True):
    """Seconds until a line says that all is ready; then the end is let happen."""
    begin = time.monotonic()
    for line in process.stdout:
        if ready in line:
            took = time.monotonic() - begin
            break
    else:
        raise SystemExit(f"no {ready!r} was seen")
    end()
    if wait:
        process.wait(60)
    return took


def by_hand(lab, ends):
    process = lab.start("workstation", "sh", "by_hand.sh", "23457", user="alice", stderr=subprocess.DEVNULL)
    took = timed(process, "ready", lambda: None, wait=False)
    begin = time.monotonic()
    process.stdin.close()
    process.wait(60)
    ends.append(time.monotonic() - begin)
    return took


def by_connect(lab, desk, route, stay, ends):
    words = desk.words("connect", **{"route": route, "walltime": "0:10:00"} | ROUTES[route])
    process = lab.start("workstation", *words, user="alice", stderr=subprocess.DEVNULL)
    took = timed(process, "ready after", lambda: None)
    pids = [line.split()[0] for line in desk.processes("workstation")]
    memory = lab.on("workstation", "sh", "-c", "; ".join(f"cat /proc/{pid}/status /proc/{pid}/smaps_rollup" for pid in pids)).stdout
    stay.append((len(pids), *(sum(map(int, re.findall(rf"^{name}:\s+(\d+) kB", memory, re.M))) / 1000 for name in ("VmRSS", "Pss"))))
    begin = time.monotonic()
    desk.disconnect()
    ends.append(time.monotonic() - begin)
    return took


def main():
    lab = Lab()
    lab.up()
    desk = Desk(lab)
    desk.clean_up()
    lab.on("workstation", "sh", "-c", "cat > by_hand.sh", user="alice", input=(HERE / "by_hand.sh").read_text())
    stay = {route: [] for route in ROUTES}
    times = {name: [] for name in ("by hand", *ROUTES)}
    ends = {name: [] for name in times}
    for number in range(RUNS + 1):
        # The first of each warms up.
        for name, kept in times.items():
            lab.wait(lambda: lab.on("login", "sinfo", "-h", "-t", "idle", "-o", "%D").stdout.split() == ["2"], 60, "idle nodes")
            took = by_hand(lab, ends[name]) if name == "by hand" else by_connect(lab, desk, name, stay[name], ends[name])
            if number:
                kept.append(took)
    lab.on("workstation", "rm", "by_hand.sh", user="alice")
    desk.clean_up()
    for name, kept in times.items():
        ratio = statistics.median(kept) / statistics.median(times["by hand"])
        print(f"{name}: median {statistics.median(kept):.2f} s, {min(kept):.2f} to {max(kept):.2f} s; ratio of medians {ratio:.2f}")
    for name, kept in ends.items():
        ratio = statistics.median(kept[1:]) / statistics.median(ends["by hand"][1:])
        print(f"{name}, the end: median {statistics.median(kept[1:]):.2f} s; ratio of medians {ratio:.2f}")
    for name, kept in stay.items():
        count, resident, own = max(kept)
        print(f"{name}: stays on the client host: {count} processes, {resident:.1f} MB resident, {own:.1f} MB with shared pages divided")


if __name__ == "__main__":
    main()
