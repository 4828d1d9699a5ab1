"""Many hosts in one run, as ratios: ten of which six wait in the queue against one alone, thirty against the same as hand-written scripts."""

import json
import re
import statistics
import subprocess
import time

from run import HERE, timed

from conftest import Lab  # isort: skip
from desk import REPORT, Desk  # isort: skip

# Jobs of one core that run at once on the lab's two nodes.
PLACES = 4
TEN, MANY = 10, 30
RUNS = 3
SITE = "pvserver_on_login_node: true\n"


def inventory(desk, count, **variables):
    """Writes an inventory whose group `all` is so many hosts, all of them the lab's login node."""
    hosts = {f"h{number:02}": {"ansible_host": "login.lab.example", **variables} for number in range(count)}
    desk.lab.on("workstation", "sh", "-c", "cat > many.yml", user="alice", input=json.dumps({"all": {"hosts": hosts}}))


def words(playbook, host="all", **settings):
    line = Desk.words(playbook, host, **settings)
    return [line[0], "-i", "many.yml", *line[1:]]


def ready(desk, count, host="all", **settings):
    """Seconds until so many sessions are ready; the rest of the run is ended then."""
    begin = time.monotonic()
    process = desk.lab.start("workstation", *words("connect", host, **settings), user="alice", stderr=subprocess.DEVNULL)
    seen = 0
    for line in process.stdout:
        seen += bool(re.match(r"h\d+: ready after", line))
        if seen == count:
            took = time.monotonic() - begin
            break
    else:
        raise SystemExit(f"{seen} of {count} sessions are ready")
    if process.poll() is None:
        desk.lab.on("workstation", "pkill", "-INT", "-u", "alice", "-f", "bin/ansible-playbook", check=False)
    process.wait(120)
    return took


def playbook(desk, *line, timeout=900):
    begin = time.monotonic()
    desk.run(*line, timeout=timeout, check=False)
    return time.monotonic() - begin


def gone(desk):
    desk.lab.wait(lambda: not desk.left(), 120, "nothing left")


def ten(desk):
    inventory(desk, TEN, paraview_pvserver="xvfb-run -a -s -noreset pvserver")
    alone, together = [], []
    for number in range(RUNS + 1):
        # The first of each warms up.
        for kept, count, host in ((alone, 1, "h00"), (together, PLACES, "all")):
            took = ready(desk, count, host, walltime="0:10:00")
            if number:
                kept.append(took)
            playbook(desk, *words("disconnect"))
            gone(desk)
    ratio = statistics.median(together) / statistics.median(alone)
    print(f"ten hosts, six of them pending: {PLACES} ready after {statistics.median(together):.2f} s, one alone after {statistics.median(alone):.2f} s; "
          f"ratio {ratio:.2f}", flush=True)


def many(lab, desk):
    lab.on("login", "sh", "-c", "mkdir -p /etc/paraview-connect && cat > /etc/paraview-connect/site.yml", input=SITE)
    lab.on("workstation", "sh", "-c", "cat > by_hand_many.sh", user="alice", input=(HERE / "by_hand_many.sh").read_text())
    inventory(desk, MANY, paraview_pvserver="xvfb-run -a -s -noreset pvserver", paraview_scheduler="none", paraview_route="forward_tunnel")
    try:
        process = lab.start("workstation", "sh", "by_hand_many.sh", str(MANY), user="alice", stderr=subprocess.DEVNULL)
        by_hand = timed(process, "ready", process.stdin.close)
        gone(desk)
        ours = ready(desk, MANY, walltime="0:20:00")
        print(f"{MANY} sessions without a batch system: {ours:.2f} s, as scripts in parallel {by_hand:.2f} s; ratio {ours / by_hand:.2f}", flush=True)
        for name, host in (("status", None), ("doctor", "all"), ("disconnect", "all")):
            took = playbook(desk, *words(name, host, **({"test_job": False} if name == "doctor" else {})))
            print(f"{name} of {MANY}: {took:.2f} s, {took / by_hand:.2f} times the scripts", flush=True)
        gone(desk)
    finally:
        lab.on("login", "rm", "-r", "/etc/paraview-connect")
        lab.on("workstation", "rm", "-f", "by_hand_many.sh", "many.yml", REPORT, user="alice")


def main():
    lab = Lab()
    lab.up()
    desk = Desk(lab)
    desk.clean_up()
    ten(desk)
    many(lab, desk)
    desk.clean_up()


if __name__ == "__main__":
    main()
