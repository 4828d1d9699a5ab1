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


def timed(process, ready, end):
    """Seconds until a line says that all is ready; then the end is let happen."""
    begin = time.monotonic()
    for line in process.stdout:
        if ready in line:
            took = time.monotonic() - begin
            break
    else:
        raise SystemExit(f"no {ready!r} was seen")
    end()
    process.wait(60)
    return took


def by_hand(lab):
    process = lab.start("workstation", "sh", "by_hand.sh", "23457", user="alice", stderr=subprocess.DEVNULL)
    return timed(process, "ready", process.stdin.close)


def by_connect(lab, desk, stay):
    process = lab.start("workstation", *desk.words("connect", route="forward_tunnel", walltime="0:10:00"), user="alice", stderr=subprocess.DEVNULL)
    took = timed(process, "ready after", lambda: None)
    pids = [line.split()[0] for line in desk.processes("workstation")]
    memory = lab.on("workstation", "sh", "-c", "; ".join(f"cat /proc/{pid}/status /proc/{pid}/smaps_rollup" for pid in pids)).stdout
    stay.append((len(pids), *(sum(map(int, re.findall(rf"^{name}:\s+(\d+) kB", memory, re.M))) / 1000 for name in ("VmRSS", "Pss"))))
    desk.disconnect()
    return took


def main():
    lab = Lab()
    lab.up()
    desk = Desk(lab)
    desk.clean_up()
    lab.on("workstation", "sh", "-c", "cat > by_hand.sh", user="alice", input=(HERE / "by_hand.sh").read_text())
    hand, connect, stay = [], [], []
    for number in range(RUNS + 1):
        # The first of each warms up.
        for times, measure in ((hand, lambda: by_hand(lab)), (connect, lambda: by_connect(lab, desk, stay))):
            lab.wait(lambda: lab.on("login", "sinfo", "-h", "-t", "idle", "-o", "%D").stdout.split() == ["2"], 60, "idle nodes")
            took = measure()
            if number:
                times.append(took)
    lab.on("workstation", "rm", "by_hand.sh", user="alice")
    desk.clean_up()
    for name, times in (("by hand", hand), ("connect", connect)):
        print(f"{name}: median {statistics.median(times):.2f} s, {min(times):.2f} to {max(times):.2f} s")
    print(f"ratio of medians: {statistics.median(connect) / statistics.median(hand):.2f}")
    count, resident, own = max(stay)
    print(f"stays on the client host: {count} processes, {resident:.1f} MB resident, {own:.1f} MB with shared pages divided")


if __name__ == "__main__":
    main()
