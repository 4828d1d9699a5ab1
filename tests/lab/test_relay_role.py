"""The relay as an admin installs it: every command of its guide, and what the service does between them for jobs, users and their sessions."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_guides import blocks, steps

TOP = Path(__file__).resolve().parents[2]
GUIDE = TOP / "docs/docsite/rst/guide_relay.rst"
PROGRAM = "/usr/share/ansible/collections/ansible_collections/sciviz/paraview/roles/relay/files/paraview-relay"
PLACES = ("etc/ssh etc/paraview-connect etc/paraview-relay.conf etc/systemd/system usr/local/sbin var/lib/sciviz-paraview run/sciviz-paraview* "
          "run/paraview-relay*")
TREE = f"cd / && find {PLACES} -printf '%p %M %u %g\\n' -type f -exec sha256sum {{}} + 2>/dev/null; nft list ruleset; true"
ADDRESS, PORT, ROOTS_PORT = "198.18.2.1", 11112, 11113
# Beside what the guide says: a no is a no at once, and nothing is asked twice.
MORE = "paraview_relay_settings: {hold_s: 1, authorize_cache_s: 1}\n"
WALL = f"add table inet filter; add chain inet filter input {{ type filter hook input priority 0; }}; add rule inet filter input ip daddr {ADDRESS} " \
       "tcp dport 11111-11130 ct state new drop"
PLAY = "[{hosts: login, gather_facts: false, become: true, roles: [sciviz.paraview.relay]}]\n"


class Site:
    """root on the workstation, and the cluster with which the relay is tried.

    Args:
        lab (Lab): from conftest.py.
    """

    def __init__(self, lab):
        self.lab = lab
        self.started = []

    def run(self, command, check=True, timeout=180):
        command = f"mkdir -p relay && cd relay && export ANSIBLE_INVENTORY=hosts ANSIBLE_PIPELINING=1 && {command}"
        done = self.lab.on("workstation", "sh", "-c", command, check=False, timeout=timeout)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def put(self, name, text):
        self.lab.on("workstation", "sh", "-c", f"mkdir -p relay/group_vars && cat > relay/{name}", input=text)

    def role(self, *words, check=True, **settings):
        settings = {f"paraview_{name}": value for name, value in settings.items()}
        return self.run(f"ansible-playbook play.yml {' '.join(words)} -e '{json.dumps(settings)}'", check)

    def tree(self):
        return self.lab.on("login", "sh", "-c", TREE).stdout

    def start(self, host, *words, **options):
        self.started.append(self.lab.start(host, *words, **options))
        return self.started[-1]

    def status(self):
        return json.loads(self.lab.on("login", "paraview-relay", "status", "--json").stdout)

    def end(self):
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(20)


@pytest.fixture
def site(lab):
    site = Site(lab)
    lab.sshd_policy("login", None)
    lab.on("login", "groupadd", "-f", "paraview")
    lab.on("login", "usermod", "-aG", "paraview", "alice")
    lab.on("workstation", "sh", "-c", f"cp {PROGRAM} /root/paraview-relay.orig")
    site.put("hosts", "[login]\nlogin1 ansible_host=login.lab.example\n")
    site.put("group_vars/all.yml", MORE)
    site.put("play.yml", PLAY)
    yield site
    site.end()
    lab.on("workstation", "sh", "-c", f"cat /root/paraview-relay.orig > {PROGRAM}; rm -rf relay /root/paraview-relay.orig")
    for user in ("alice", "bob"):
        lab.on("login", "scancel", "-u", user, user=user)
    lab.on("login", "sh", "-c", (
        "systemctl stop paraview-sshd-rollback.timer; for unit in paraview-relay paraview-relay-firewall; do systemctl disable --now $unit; done;"
        " rm -f /etc/systemd/system/paraview-relay*"
        " /usr/local/sbin/paraview-relay* /etc/paraview-relay.conf; nft delete table inet filter; systemctl daemon-reload;"
        " rm -rf /var/lib/sciviz-paraview /etc/paraview-connect; groupdel paraview; true"))
    lab.sshd_policy("login", None)
    lab.wait(lambda: not lab.on("login", "squeue", "-h").stdout, 30, "an empty queue")


def changed(done):
    return int(re.search(r"(?m)^login1 .*changed=(\d+)", done.stdout).group(1))


def dial(port=PORT):
    """The words of a command that sends a word to the relay and prints what comes back."""
    return "sh", "-c", f"echo hello | timeout 20 nc -N {ADDRESS} {port}"


def listeners(site):
    """alice's end on the workstation, her remote forward to it, and a listener of root's."""
    echo = "EXEC:cat"
    site.start("workstation", "socat", "TCP-LISTEN:40007,bind=127.0.0.1,fork,reuseaddr", echo, user="alice")
    site.start("workstation", "ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{PORT}:127.0.0.1:40007", "login.lab.example", user="alice")
    site.start("login", "socat", f"TCP-LISTEN:{ROOTS_PORT},bind=127.0.0.1,fork,reuseaddr", echo)
    site.lab.wait(lambda: all(f"127.0.0.1:{port}" in site.lab.on("login", "ss", "-Hltn").stdout for port in (PORT, ROOTS_PORT)), 20, "both listeners")


def the_service_is_hardened(site):
    said = site.lab.on("login", "systemd-analyze", "security", "--no-pager", "paraview-relay").stdout
    assert float(re.search(r"Overall exposure level.*: ([0-9.]+)", said).group(1)) <= 2.0
    about = site.lab.on("login", "systemctl", "show", "-p", "DynamicUser,MainPID,Type,NRestarts,WatchdogUSec", "paraview-relay").stdout
    assert re.search(r"DynamicUser=yes", about) and "Type=notify" in about and "WatchdogUSec=1min" in about
    pid = re.search(r"MainPID=(\d+)", about).group(1)
    assert site.lab.on("login", "stat", "-c", "%u", f"/proc/{pid}").stdout.strip() != "0"
    ports = {line.split()[3] for line in site.lab.on("login", "ss", "-Hltnp").stdout.splitlines() if f"pid={pid}," in line}
    assert ports == {f"{ADDRESS}:{port}" for port in range(11111, 11131)}, "it listens nowhere else"


def who_is_let_through(site):
    """alice's job reaches alice's listener; nobody else does, and nobody reaches root's."""
    listeners(site)
    refused = [site.start("compute2", *dial(), stderr=subprocess.DEVNULL), site.start("compute1", *dial(ROOTS_PORT), stderr=subprocess.DEVNULL),
               site.start("login", "srun", "-w", "compute2", *dial(), user="bob", stderr=subprocess.DEVNULL)]
    assert site.lab.on("login", "srun", "-w", "compute1", *dial(), user="alice").stdout == "hello\n"
    assert [one.communicate(timeout=40)[0] for one in refused] == ["", "", ""]
    counts = site.status()["routes"][0]["refused"]
    assert counts["owner"] == 1 and counts["authorization"] == 2
    journal = site.lab.on("login", "journalctl", "-q", "-o", "cat", "-u", "paraview-relay").stdout
    assert re.search(rf"site: 198\.18\.2\.11:\d+ -> {ADDRESS}:{PORT} -> 127\.0\.0\.1:{PORT}, owner alice: 6 bytes up, 6 down", journal)
    assert f"127.0.0.1:{ROOTS_PORT} belongs to root, which this route does not allow" in journal
    assert f"this source is not authorized for 127.0.0.1:{PORT}" in journal


def a_session(site):
    """A session of a job of alice's that stays."""
    site.lab.on("login", "sbatch", "--parsable", "-o", "/dev/null", "-w", "compute1", "--wrap", "sleep 600", user="alice")
    site.lab.wait(lambda: "RUNNING" in site.lab.on("login", "squeue", "-h", "-u", "alice", "-o", "%T").stdout, 30, "a job of alice's")
    session = site.start("compute1", "nc", ADDRESS, str(PORT), user="alice")
    says(session, "before")
    assert [one["owner"] for one in site.status()["sessions"]] == ["alice"]
    return session


def says(session, word):
    session.stdin.write(word + "\n")
    session.stdin.flush()
    assert session.stdout.readline() == word + "\n"


@pytest.mark.torture
def test_every_command_of_the_guide(site):
    before, session, pid = site.tree(), None, 0
    for language, caption, lines in blocks(GUIDE.read_text()):
        if caption:
            site.put(caption, "\n".join(lines) + "\n")
        for command, said in steps(lines) if language == "console" else ():
            if "relay_wait" in command:
                session, pid = a_session(site), site.status()["pid"]
                # Everything is new at once: the program, its configuration, and a firewall that lets nobody in.
                site.lab.on("workstation", "sh", "-c", f"echo '# newer' >> {PROGRAM}")
                site.lab.on("login", "nft", WALL)
                assert site.lab.on("compute1", *dial(), check=False).stdout == ""
                tree = site.tree()
                assert changed(site.role("--check", "--diff", relay_wait="10m", relay_firewall="nftables")) == 2
                assert site.tree() == tree, "a check changes nothing"
                command += " -e paraview_relay_firewall=nftables -e paraview_relay_python=" + site.lab.python
            done = site.run(command)
            place = 0
            for line in said:
                place = re.sub(" +", " ", done.stdout).find(re.sub(" +", " ", line.strip()), place)
                assert place >= 0, (command, line, done.stdout)
            if "--check" in command:
                assert site.tree() == before, "a check changes nothing"
            elif "authorize" in command:
                the_service_is_hardened(site)
                who_is_let_through(site)
            elif "relay_wait" in command:
                says(session, "after")
                assert (site.status()["pid"], site.status()["reloads"]) == (pid, 1)
                assert site.lab.on("compute1", *dial()).stdout == "hello\n", "the firewall is open"
                assert "systemctl restart paraview-relay.service" in done.stdout, "the service's own settings are the admin's to change"
                again = site.role(relay_wait="10m", relay_firewall="nftables", relay_python=site.lab.python)
                assert changed(again) == 0, "a second run changes nothing"
                says(session, "still")
    site.lab.on("login", "nft", "delete table inet filter")
    assert site.tree() == before, "to the byte"
    assert "could not be found" in site.lab.on("login", "systemctl", "status", "paraview-relay", check=False).stderr


WRONG = [
    ({"relay_networks": []}, "paraview_relay_networks is not valid"),
    ({"relay_ports": "80-90"}, "paraview_relay_ports is not valid"),
    ({"cluster_address": "198.18.2.9"}, "it has no address 198.18.2.9"),
    ({"relay_settings": {"wait_s": "long"}}, "wait_s = long: wait_s: value 'long' is not a number from 0 to 86400"),
    ({"relay_firewall": "nftables"}, "nftables has no chain inet filter input"),
    ({"relay_python": "/bin/false"}, "/bin/false is not Python 3.6 or newer")]


def test_a_wrong_setting_changes_nothing(site):
    before = site.tree()
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda settings: site.role(check=False, **{"cluster_address": ADDRESS, "relay_networks": ["198.18.2.0/24"], **settings}),
                        [settings for settings, _said in WRONG])
        for done, (settings, said) in zip(runs, WRONG):
            assert done.returncode != 0, settings
            told = re.sub(r"\\n|\s+", " ", done.stdout + done.stderr)
            assert said in told and "nothing was changed" in told, done.stdout
            assert "Traceback" not in done.stdout + done.stderr
    assert site.tree() == before
