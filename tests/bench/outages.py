"""How soon pictures come again after the network is back, on each route, against the time that a login and a way take by themselves, in one run."""

import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))

from conftest import Lab  # noqa: E402
from desk import Desk  # noqa: E402
from test_lifeline import ROUTES, Pictures, cut, heal, kill_ssh  # noqa: E402

ROUNDS = 3
DROPPED_S = 20


def login_s(lab):
    """Seconds that a login takes, typed by hand."""
    began = time.monotonic()
    lab.on("workstation", "ssh", "-o", "ControlPath=none", "login.lab.example", "true", user="alice")
    return time.monotonic() - began


def killed(lab, client):
    began = time.time()
    kill_ssh(lab)
    return client.go_on(began, 30)


def dropped(lab, client):
    cut(lab)
    client.stand_still()
    began = time.monotonic()
    lab.wait(lambda: time.monotonic() - began > DROPPED_S, DROPPED_S + 1, "the outage")
    return client.go_on(heal(lab), 30)


def main():
    lab = Lab()
    lab.up()
    desk = Desk(lab)
    desk.clean_up()
    login = statistics.median(login_s(lab) for _round in range(5))
    print(f"a login by hand: {login:.2f} s")
    try:
        for route in ROUTES:
            client = Pictures(desk, "lab", route, walltime="0:30:00")
            for name, lose in (("ssh killed", killed), (f"packets dropped for {DROPPED_S} s and more", dropped)):
                pauses = [lose(lab, client) for _round in range(ROUNDS)]
                print(f"{route}, {name}: pictures again after {min(pauses):.1f} to {max(pauses):.1f} s, median {statistics.median(pauses) / login:.1f} logins")
            client.end()
    finally:
        lab.path("reset")
        desk.run("touch", "stop")
        desk.clean_up()


if __name__ == "__main__":
    main()
