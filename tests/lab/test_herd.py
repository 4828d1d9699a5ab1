# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients that have lost the same login node, and log in again by the pauses of a session."""

import json
import time

import pytest

OUTAGE = 60
# Each client tries again and again, and logs in once the login node is back. It ends by itself.
HERD = """
import json, subprocess, sys, threading, time
sys.path.insert(0, "/usr/share/ansible/collections/ansible_collections/sciviz/paraview/plugins")
from module_utils.session import retry_pauses
began, logins, lock = time.monotonic(), [], threading.Lock()
LOGIN = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ControlPath=none", "login.lab.example", "true"]


def client():
    time.sleep(retry_pauses.before_first())
    failed = 0
    while time.monotonic() - began < 300:
        if PORT.is_set():
            if subprocess.run(LOGIN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                with lock:
                    logins.append((time.monotonic() - began, failed))
                return
            failed += 1
        time.sleep(retry_pauses.before_next(time.monotonic() - began + float(sys.argv[2])))

PORT = threading.Event()
clients = [threading.Thread(target=client) for _number in range(int(sys.argv[1]))]
for one in clients:
    one.start()
print("lost", flush=True)
sys.stdin.readline()
back = time.monotonic() - began
PORT.set()
for one in clients:
    one.join()
print(json.dumps({"back": back, "logins": sorted(logins)}), flush=True)
"""


@pytest.mark.torture
@pytest.mark.parametrize(("clients", "earlier"), [(100, 0), (200, 0), (200, 240)])
def test_the_logins_after_a_reboot_are_spread(lab, clients, earlier):
    """All are back, and the account stays usable. The pauses are those of a loss that has lasted so many seconds longer.

    The lab takes about ten logins a second, clients included. Of 200 after a minute, that is twice as many, sshd drops some, which try again.
    """
    lab.on("login", "systemctl", "restart", "ssh")
    since = lab.on("login", "date", "+%s").stdout.strip()
    herd = lab.start("workstation", "/opt/sciviz/venv/bin/python3", "-c", HERD, str(clients), str(earlier), user="alice")
    assert herd.stdout.readline() == "lost\n"
    # This is how long the login node is away.
    time.sleep(OUTAGE)
    out, _err = herd.communicate("\n", timeout=300)
    told = json.loads(out)
    logins = [at - told["back"] for at, _failed in told["logins"]]
    assert len(logins) == clients
    log = lab.on("login", "journalctl", "-q", "-u", "ssh", "-o", "cat", "--since", f"@{since}").stdout
    if clients <= 100 or earlier:
        assert "MaxStartups" not in log and not sum(failed for _at, failed in told["logins"])
    assert lab.on("workstation", "ssh", "login.lab.example", "true", user="alice").returncode == 0
    print("back within", round(max(logins)), "s; tried again", sum(failed for _at, failed in told["logins"]))
