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
SETTINGS = {"cluster_address": ADDRESS, "relay_networks": ["198.18.2.0/24"]}
TABLE = "/run/paraview-relay-nodes/table"
PLAY = "[{hosts: login, gather_facts: false, become: true, roles: [sciviz.paraview.relay]}]\n"


class Site:
    """root on the workstation, and the cluster with which the relay is tried.

    Args:
        lab (Lab): from conftest.py.
    """

    def __init__(self, lab):
        self.lab = lab
        self.started = []
        self.since = "@" + lab.on("login", "date", "+%s").stdout.strip()

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
        """str: the files of the role, without what the timer renews."""
        return re.sub(r"(?m)^.* ?run/paraview-relay-nodes/table.*\n", "", self.lab.on("login", "sh", "-c", TREE).stdout)

    def units(self):
        """str: the units of the role that systemd has heard of, failed ones among them."""
        return self.lab.on("login", "systemctl", "list-units", "--all", "--plain", "--no-legend", "paraview-relay*").stdout

    def journal(self, unit):
        """str: what the unit has logged in this test."""
        return self.lab.on("login", "journalctl", "-q", "-o", "cat", "-u", unit, "--since", self.since).stdout

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
        "systemctl stop paraview-sshd-rollback.timer;"
        " for unit in paraview-relay paraview-relay-firewall paraview-relay-nodes.timer; do systemctl disable --now $unit; done;"
        " systemctl stop paraview-relay-nodes; systemctl reset-failed; rm -rf /run/paraview-relay-nodes; rm -f /etc/systemd/system/paraview-relay*"
        " /usr/local/sbin/paraview-relay* /etc/paraview-relay.conf; nft delete table inet filter; systemctl daemon-reload;"
        " for user in pvrelay pvother; do userdel $user; done;"
        " rm -rf /var/lib/sciviz-paraview /etc/paraview-connect; groupdel paraview; true"))
    lab.sshd_policy("login", None)
    lab.wait(lambda: not lab.on("login", "squeue", "-h").stdout, 30, "an empty queue")


def changed(done):
    return int(re.search(r"(?m)^login1 .*changed=(\d+)", done.stdout).group(1))


@pytest.fixture
def hide_jobs(lab):
    """A function: whether Slurm shows a job to its own user and to root alone."""
    file = "/etc/slurm/slurm.conf"
    text = lab.on("login", "cat", file).stdout

    def hide(yes):
        lab.on("login", "sh", "-c", f"cat > {file} && scontrol reconfigure", input=text + ("PrivateData=jobs\n" if yes else ""))
        lab.wait(lambda: bool(re.search(r"(?m)^PrivateData *= jobs$", lab.on("login", "scontrol", "show", "config", check=False).stdout)) == yes, 30,
                 "another PrivateData")
    yield hide
    hide(False)


def dial(port=PORT):
    """The words of a command that sends a word to the relay and prints what comes back."""
    # It does not close before the answer: the relay keeps no place for a source that has gone.
    return "sh", "-c", f"echo hello | timeout 40 nc -W 1 {ADDRESS} {port}"


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
    about = site.lab.on("login", "systemctl", "show", "-p", "User,MainPID,Type,NRestarts,WatchdogUSec", "paraview-relay").stdout
    assert "User=pvrelay" in about and "Type=notify" in about and "WatchdogUSec=1min" in about
    pid = re.search(r"MainPID=(\d+)", about).group(1)
    assert site.lab.on("login", "stat", "-c", "%U", f"/proc/{pid}").stdout.strip() == "pvrelay"
    assert '"user": "pvrelay"' in site.lab.on("login", "cat", "/etc/paraview-connect/site.yml").stdout
    ports = {line.split()[3] for line in site.lab.on("login", "ss", "-Hltnp").stdout.splitlines() if f"pid={pid}," in line}
    assert ports == {f"{ADDRESS}:{port}" for port in range(11111, 11131)}, "it listens nowhere else"


def who_is_let_through(site):
    """alice's job reaches alice's listener; nobody else does, and nobody reaches root's."""
    listeners(site)
    refused = [site.start("compute2", *dial(), stderr=subprocess.DEVNULL), site.start("compute1", *dial(ROOTS_PORT), stderr=subprocess.DEVNULL),
               site.start("login", "srun", "-w", "compute2", *dial(), user="bob", stderr=subprocess.DEVNULL)]
    assert site.lab.on("login", "srun", "-w", "compute1", *dial(), user="alice").stdout == "hello\n"
    assert [one.communicate(timeout=60)[0] for one in refused] == ["", "", ""]
    counts = site.status()["routes"][0]["refused"]
    assert counts["owner"] == 1 and counts["authorization"] == 2
    journal = site.journal("paraview-relay")
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
        runs = pool.map(lambda settings: site.role(check=False, **{**SETTINGS, **settings}),
                        [settings for settings, _said in WRONG])
        for done, (settings, said) in zip(runs, WRONG):
            assert done.returncode != 0, settings
            told = re.sub(r"\\n|\s+", " ", done.stdout + done.stderr)
            assert said in told and "nothing was changed" in told, done.stdout
            assert "Traceback" not in done.stdout + done.stderr
    assert site.tree() == before


# How the table stops being one, by a command with the table as its $0, and what the log of the relay says then.
NO_ANSWER = [
    ('sed -i "1s/written [0-9]*/written $(($(date +%s) - 16))/" "$0"', r"was written at [-0-9]+ [:0-9]+ UTC and counts for 15 s: what renews it does not run"),
    ('sed -i "1s/written [0-9]*/written $(($(date +%s) + 60))/" "$0"', r"was written at .*: the clock of this host was set back"),
    ('chmod o+w "$0"', rf"{TABLE} belongs to uid 0 with mode 642: others than root could have written the table"),
    ('chown alice "$0"', rf"{TABLE} belongs to uid 20001 with mode 640: others than root could have written the table"),
    ('chmod 777 "${0%/*}"', rf"{Path(TABLE).parent} belongs to uid 0 with mode 777: others than root could have written the table"),
    ('chown alice "${0%/*}"', rf"{Path(TABLE).parent} belongs to uid 20001 with mode 755: others than root could have written the table"),
    ('truncate -s -1 "$0"', "the table of nodes is damaged"),
    ('rm "$0"', f"the table {TABLE} cannot be read: No such file or directory")]


def a_table_is_renewed_and_hidden(site):
    def written():
        return int(site.lab.on("login", "sh", "-c", f"sed -n '1s/.* written \\([0-9]*\\) .*/\\1/p' {TABLE}").stdout)

    first = written()
    site.lab.wait(lambda: written() > first, 30, "another table")
    assert site.lab.on("login", "cat", TABLE, user="alice", check=False).returncode, "a user reads of no jobs that are hidden from him"
    assert not re.search("authorize:|Start|Finish", site.journal("paraview-relay-nodes")), "what works needs no lines"


def a_table_that_counts_for_nothing(site):
    """A connection is held while the table is no answer, and goes on when root has renewed it."""
    site.lab.on("login", "systemctl", "stop", "paraview-relay-nodes.timer", "paraview-relay-nodes.service")
    for harm, said in NO_ANSWER:
        site.lab.on("login", "sh", "-c", harm, TABLE)
        held = site.start("compute1", *dial())
        site.lab.wait(lambda said=said: re.search(f"site: .* ended with 2: paraview-relay-authorize: .*{said}", site.journal("paraview-relay")), 20, said)
        assert held.poll() is None, harm
        site.lab.on("login", "systemctl", "start", "paraview-relay-nodes.service")
        assert held.communicate(timeout=30)[0] == "hello\n", harm
    assert len(re.findall("what renews it does not run", site.journal("paraview-relay"))) == 1, "one line a minute for one reason"


def a_renewal_fails(site):
    site.lab.on("login", "sh", "-c", "cd /etc/slurm && mv slurm.conf away; systemctl start paraview-relay-nodes.service; mv away slurm.conf", check=False)
    assert re.search("paraview-relay-authorize: squeue ended with .* and gave no answer", site.journal("paraview-relay-nodes"))
    assert "paraview-relay-nodes.service loaded failed" in re.sub(" +", " ", site.units())


@pytest.mark.torture
def test_a_table_of_roots_where_slurm_hides_jobs(site, hide_jobs):
    site.put("group_vars/all.yml", "paraview_relay_settings: {authorize_cache_s: 0}\n")
    before, table = site.tree(), {**SETTINGS, "relay_authorize": "table", "relay_table_period": "10s"}
    hide_jobs(True)
    refused = site.role(check=False, relay_authorize="slurm", **SETTINGS).stdout
    assert "slurm does not answer the relay" in refused
    assert "Slurm shows a job only to its own user (PrivateData=jobs)" in refused
    done = site.role("--check", "--diff", **table)
    assert changed(done) == 4, "group, account, files, site.yml"
    assert "+OnUnitActiveSec=10" in done.stdout
    assert site.tree() == before, "a check changes nothing"

    site.role(**table)
    assert changed(site.role(**table)) == 0, "a second run changes nothing"
    the_service_is_hardened(site)
    who_is_let_through(site)
    a_table_is_renewed_and_hidden(site)
    session = a_session(site)
    a_table_that_counts_for_nothing(site)
    done = site.role("--check", "--diff", **table)
    assert changed(done) == 1, "its timer does not run"
    assert changed(site.role(**table)) == 1

    hide_jobs(False)
    a_renewal_fails(site)
    tree = site.tree()
    assert changed(site.role("--check", "--diff", relay_authorize="slurm", **SETTINGS)) > 0
    assert site.tree() == tree
    site.role(relay_authorize="slurm", **SETTINGS)
    says(session, "asked")
    assert site.lab.on("compute1", *dial()).stdout == "hello\n"
    assert "paraview-relay-nodes" not in site.tree() + site.units(), "nothing is left of the table"
    assert changed(site.role(relay_authorize="slurm", **SETTINGS)) == 0

    site.role(**table)
    says(session, "read")
    assert site.lab.on("compute1", *dial()).stdout == "hello\n"
    a_renewal_fails(site)
    tree = site.tree()
    site.role("--check", "--diff", relay_state="absent")
    assert site.tree() == tree, "a check changes nothing"
    site.role(relay_state="absent")
    assert site.tree() == before, "to the byte"
    assert site.units() == ""
    assert site.lab.on("login", "getent", "passwd", "pvrelay", check=False).stdout == ""
    assert changed(site.role(relay_state="absent")) == 0


def accounts(site):
    """The accounts of the service that exist, the one that runs it, and the one that site.yml names."""
    existing = [name for name in ("pvrelay", "pvother") if site.lab.on("login", "getent", "passwd", name, check=False).stdout]
    pid = site.status()["pid"]
    named = re.search(r'"user": "(\w+)"', site.lab.on("login", "cat", "/etc/paraview-connect/site.yml").stdout)
    return existing, site.lab.on("login", "stat", "-c", "%U", f"/proc/{pid}").stdout.strip(), named and named.group(1)


@pytest.mark.torture
def test_the_account_of_the_relay(site):
    """site.yml never names an account under which the relay does not run yet, and an earlier account stays as long as it runs."""
    before = site.tree()
    site.role(**SETTINGS)
    assert accounts(site) == (["pvrelay"], "pvrelay", "pvrelay")
    assert changed(site.role(**SETTINGS)) == 0
    other = dict(SETTINGS, relay_user="pvother")
    done = site.role(**other)
    assert "systemctl restart paraview-relay.service. Then run this again" in re.sub(r"\s+", " ", done.stdout)
    assert accounts(site) == (["pvrelay", "pvother"], "pvrelay", None)
    assert changed(site.role(**other)) == 0
    site.lab.on("login", "systemctl", "restart", "paraview-relay")
    assert changed(site.role(**other)) == 2
    assert accounts(site) == (["pvother"], "pvother", "pvother")
    assert changed(site.role(**other)) == 0
    site.role(relay_state="absent")
    assert site.tree() == before
    assert site.lab.on("login", "getent", "passwd", "pvother", check=False).stdout == ""
    assert site.lab.on("login", "getent", "group", "pvother", check=False).stdout == ""

    # An account that was there before stays.
    site.lab.on("login", "useradd", "--system", "--user-group", "pvother")
    site.role(**other)
    assert accounts(site) == (["pvother"], "pvother", "pvother")
    site.role(relay_state="absent")
    assert site.lab.on("login", "getent", "passwd", "pvother", check=False).stdout


@pytest.mark.torture
def test_a_relay_of_an_older_role_that_still_runs(site):
    """Its account existed only while it ran."""
    site.role(**SETTINGS)
    site.lab.on("login", "sh", "-c", "cd /etc/systemd/system && sed -i 's/^User=pvrelay/DynamicUser=yes/; s/PARAVIEW_RELAY_UNIT=.*/PARAVIEW_RELAY_UNIT=older/'"
                " paraview-relay.service && systemctl daemon-reload && systemctl restart paraview-relay && userdel pvrelay")
    site.role(**SETTINGS)
    existing, _running, named = accounts(site)
    assert (existing, named) == (["pvrelay"], None)
    site.lab.on("login", "systemctl", "restart", "paraview-relay")
    assert changed(site.role(**SETTINGS)) == 1
    assert accounts(site) == (["pvrelay"], "pvrelay", "pvrelay")


# PBS without munge, as far as the relay sees of it: pbs_iff, a setuid program, shows the server who asks.
PBS = {
    "lib/pbs_iff": None,
    "bin/qselect": """if ! id -un >/dev/null 2>&1; then echo 'qselect: cannot connect to server (errno=0)' >&2; exit 0; fi
[ "$(/usr/local/lib/pbs_iff -u)" = 0 ] || { echo 'qselect: pbs_iff: error returned: 15019' >&2; exit 2; }
echo 7.login
""",
    "bin/qstat": """case $* in
    --version) echo pbs_version = 23.06.06 ;;
    *) echo '{"Jobs":{"7.login":{"Job_Owner":"alice@login","job_state":"R","exec_host":"compute1/0"}}}' ;;
esac
"""}


@pytest.fixture
def pbs(lab):
    for name, text in PBS.items():
        lab.on("login", "sh", "-c", 'cat > "$0" && chmod 755 "$0"' if text else 'cp /usr/bin/id "$0" && chmod 4755 "$0"', f"/usr/local/{name}",
               input=text and "#!/bin/sh\n" + text)
    yield
    lab.on("login", "rm", "-f", *(f"/usr/local/{name}" for name in PBS))


@pytest.mark.torture
def test_a_table_of_roots_where_pbs_has_no_munge(site, pbs):
    """The account of the service has no name in the lab (no libnss-systemd), and setuid programs have no power there."""
    before = site.tree()
    assert site.lab.on("login", "qselect", "-s", "R", user="alice").stdout == "7.login\n", "PBS serves users"
    refused = site.role(check=False, relay_authorize="pbs", **SETTINGS).stdout
    for words in ("pbs does not answer the relay", "cannot connect to server (errno=0) (PBS serves only accounts that have a name",
                  "set paraview_relay_authorize to table"):
        assert words in refused
    named = "#!/bin/sh\n" + PBS["bin/qselect"].partition("\n")[2]
    site.lab.on("login", "sh", "-c", "cat > /usr/local/bin/qselect", input=named)
    refused = site.role(check=False, relay_authorize="pbs", **SETTINGS).stdout
    assert "pbs_iff: error returned: 15019" in refused
    assert site.tree() == before

    site.role(relay_authorize="table", relay_table_system="pbs", **SETTINGS)
    listeners(site)
    assert site.lab.on("compute1", *dial()).stdout == "hello\n"
    assert site.lab.on("compute2", *dial(), check=False).stdout == ""
    site.role(relay_state="absent")
    assert site.tree() == before
