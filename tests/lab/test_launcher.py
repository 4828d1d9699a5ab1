"""The launcher, as bob uses it: plain ssh with a forward, a real client at his end, and what is left wherever it ends."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from batch import gridengine_jobs
from test_connect import rendered_on_a_node
from test_connect_ids import OF_DIALOG, guessed, of_pvserver

CLIENT = Path(__file__).parent / "client.py"
USER, UID = "bob", 20002
LOGIN, INSIDE = "login.lab.example", "198.18.2.1"
PROGRAM = "/usr/local/bin/paraview-launch"
SITE = "/etc/paraview-connect"
PLAY = "[{hosts: all, gather_facts: false, become: true, roles: [sciviz.paraview.launcher]}]\n"
# No pvserver of the lab draws without a display.
PVSERVER = "xvfb-run -a -s -noreset pvserver"
SECRET = 1987654321
MASTER = "/tmp/bob-master"
WITH_MASTER = ("-o", "ControlMaster=yes", "-o", f"ControlPath={MASTER}", "-o", "ControlPersist=60", "-o", "ExitOnForwardFailure=yes")
LATER = "--begin=now+1hour"


class Bob:
    """bob at his desk.

    Args:
        lab (Lab): from conftest.py.
    """

    def __init__(self, lab):
        self.lab = lab
        self.started = []

    def launch(self, direction, forwarded, *words, options=("-o", "ExitOnForwardFailure=yes"), bind="127.0.0.1", send=True, **settings):
        """ssh as ParaView's Connect dialog runs it."""
        settings = dict({"port": forwarded, "connect_id": SECRET, "version": self.lab.paraview, "pvserver": PVSERVER, "walltime": "10m"}, **settings)
        forward = ("-R", f"{bind}:{forwarded}:127.0.0.1:{forwarded}") if direction == "reverse" else ("-L", f"{forwarded}:127.0.0.1:{forwarded}")
        sent = ("-o", "SendEnv=LC_PARAVIEW_*") if send else ("-F", "/dev/null")
        ssh = ("ssh", "-T", "-o", "BatchMode=yes", *sent, *options, *forward, LOGIN, PROGRAM, direction, *words)
        return self.start("env", *(f"LC_PARAVIEW_{name.upper()}={value}" for name, value in settings.items()), *ssh, stdin=subprocess.DEVNULL,
                          stderr=subprocess.STDOUT)

    def start(self, *words, host="workstation", user="", **options):
        self.started.append(self.lab.start(host, *words, user=USER if user == "" else user, **options))
        return self.started[-1]

    def client(self, way, port):
        """A real one; one that is called listens when this returns, as ParaView's window does."""
        client = self.start("xvfb-run", "-a", "-s", "-noreset", "pvpython", f"--connect-id={SECRET}", "client.py", way, str(port),
                            f"/home/{USER}/picture.png", stderr=subprocess.STDOUT)
        if way == "reverse":
            self.lab.wait(lambda: f":{port} " in self.lab.on("workstation", "ss", "-Hltn").stdout, 30, "a client that listens")
        return client

    def jobs(self):
        slurm = self.lab.on("login", "squeue", "-h", "-u", USER, "-o", "%i").stdout.split()
        return slurm + gridengine_jobs(self.lab, USER)

    def processes(self, host):
        out = self.lab.on(host, "ps", "-u", USER, "-o", "pid=,args=", check=False).stdout
        return [line.strip() for line in out.splitlines() if not re.search(r"systemd --user|\[systemd\]|\(sd-pam\)|sshd: ", line)]

    def left(self):
        found = [f"job {one}" for one in self.jobs()]
        for host in ("workstation", "login", "compute1", "compute2"):
            found += [f"{host}: {one}" for one in self.processes(host) if host != "workstation" or re.search(r"paraview-launch|client\.py|bob-master", one)]
        look = f"ls -d /home/{USER}/.paraview-connect; find /tmp -maxdepth 1 -user {USER}; ss -Hltne | grep uid:{UID}; true"
        return found + self.lab.on("login", "sh", "-c", f"{{ {look}; }} 2>/dev/null").stdout.splitlines()

    def nothing_left(self, seconds=30):
        try:
            self.lab.wait(lambda: not self.left(), seconds, "nothing left")
        except AssertionError:
            raise AssertionError(f"left: {self.left()}")

    def end(self):
        # Its display ends with a client, and stays where that which began it is ended.
        self.lab.on("workstation", "pkill", "-u", USER, "-f", "pvpython.*client.py", check=False)
        self.lab.on("workstation", "ssh", "-O", "exit", "-S", MASTER, LOGIN, user=USER, check=False)
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(20)
        self.lab.on("login", "scancel", "-u", USER)
        self.lab.on("workstation", "rm", "-f", f"/home/{USER}/client.py", f"/home/{USER}/picture.png")


def role(lab, *words, check=True):
    command = f"cd && printf '[all]\\nlab ansible_host={LOGIN}\\n' > launcher.hosts && cat > launcher.yml && ansible-playbook -i launcher.hosts launcher.yml "
    command += " ".join(words) + "; code=$?; rm launcher.hosts launcher.yml; exit $code"
    done = lab.on("workstation", "sh", "-c", command, input=PLAY, check=False, timeout=120)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def changed(done):
    return int(re.search(r"(?m)^lab .*changed=(\d+)", done.stdout).group(1))


@pytest.fixture(scope="module", autouse=True)
def installed(lab):
    assert changed(role(lab)) == 2
    yield
    assert changed(role(lab, "-e", "paraview_launcher_state=absent")) == 2
    assert lab.on("login", "ls", PROGRAM, SITE, check=False).stdout == ""


@pytest.fixture
def bob(lab):
    bob = Bob(lab)
    lab.on("workstation", "sh", "-c", "cat > client.py", user=USER, input=CLIENT.read_text())
    yield bob
    bob.end()
    bob.nothing_left()


def told(process, pattern):
    """Reads what a process says up to a line, and returns the match."""
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError(f"not said: {pattern}\n{said}")


def rendered(client, node):
    out = client.communicate(timeout=60)[0]
    assert client.returncode == 0, out
    rendered_on_a_node(out, {"nodes": [node]})


def test_the_role_says_what_it_does_and_does_it_once(lab):
    assert changed(role(lab)) == 0
    said = lab.on("login", PROGRAM, "about", user=USER).stdout
    assert said.startswith("paraview-launch ") and "jmespath" in said
    assert lab.on("login", "stat", "-c", "%U:%G %a", PROGRAM).stdout == "root:root 755\n"
    assert f'launcher: "{PROGRAM}"' in lab.on("login", "cat", SITE + "/site.yml", user=USER).stdout
    checked = role(lab, "--check", "--diff", "-e", "'{paraview_launcher_defaults: {walltime: 30m}}'")
    assert changed(checked) == 1 and "walltime" not in lab.on("login", PROGRAM, "about").stdout
    refused = role(lab, "-e", "paraview_launcher_path=/tmp/paraview-launch", check=False)
    assert "users other than root can write to /tmp" in refused.stdout and changed(refused) == 0


def followed(bob, launched, port, route):
    """The node, once pvserver is connected to a client that listens."""
    told(launched, f"^route {route}$")
    told(launched, r"^job \S+ submitted: 1 node, 1 task, 0:10:00$")
    node = told(launched, r"^job \S+ running on (\S+)$").group(1)
    told(launched, rf"^pvserver on {node} is connected through login, 198\.18\.2\.1:\d+, to port {port} of this machine$")
    told(launched, r"^ready after .*: ParaView is connected\. Ends with the job at \d\d:\d\d")
    return node


@pytest.mark.everywhere
def test_reverse_on_the_clusters_side_and_on_loopback(bob):
    """One is dialled by pvserver itself, the other over a relay of bob's own, in Slurm and, where there is one, in Grid Engine."""
    clients = [bob.client("reverse", port) for port in (41101, 41102)]
    direct = bob.launch("reverse", 41101, bind=INSIDE)
    relayed = bob.launch("reverse", 41102, **({"scheduler": "sge"} if bob.lab.has("gridengine") else {}))
    nodes = [followed(bob, direct, 41101, "reverse_tunnel"), followed(bob, relayed, 41102, "reverse_tunnel_relay")]
    assert str(SECRET) not in bob.lab.on("login", "ps", "-eo", "args").stdout
    for client, node in zip(clients, nodes):
        rendered(client, node)
    assert direct.wait(20) == relayed.wait(20) == 0
    bob.nothing_left()


def test_over_the_sites_relay_and_forward_with_an_early_client(bob):
    port = 41103
    text = bob.lab.on("login", "cat", SITE + "/site.yml").stdout
    relay = ("python3", "-IS", "/tmp/relay-of-the-site", "--listen", f"{INSIDE}:{port}-{port + 1}", "--to", "127.0.0.1:same", "--allow", "198.18.2.0/24")
    program = (Path(__file__).resolve().parents[2] / "roles/relay/files/paraview-relay").read_text()
    bob.lab.on("login", "sh", "-c", "cat > /tmp/relay-of-the-site", input=program)
    bob.lab.on("login", "sh", "-c", f"cat > {SITE}/site.yml", input=text + f'relay: {{"address": "{INSIDE}", "ports": "{port}-{port + 1}"}}\n')
    site = bob.start(*relay, host="login", user=None, stderr=subprocess.DEVNULL)
    try:
        clients = [bob.client("reverse", port)]
        launched = bob.launch("reverse", port)
        node = followed(bob, launched, port, "reverse_tunnel_relay")
        assert not bob.lab.on("login", "find", "/tmp", "-maxdepth", "1", "-name", "paraview-relay.*").stdout, "no relay of bob's own"
        forward = bob.launch("forward", 41104)
        bob.lab.wait(lambda: "127.0.0.1:41104" in bob.lab.on("login", "ss", "-Hltn").stdout, 10, "the relay that holds")
        clients.append(bob.client("forward", 41104))
        other = told(forward, r"running on (\S+)$").group(1)
        told(forward, rf"^pvserver accepts connections on {other}:\d+$")
        told(forward, "^ParaView is connected$")
        for client, where in zip(clients, (node, other)):
            rendered(client, where)
        assert launched.wait(20) == forward.wait(20) == 0
    finally:
        site.terminate()
        bob.lab.on("login", "sh", "-c", f"rm /tmp/relay-of-the-site; cat > {SITE}/site.yml", input=text)
    bob.nothing_left()


def test_forward_that_leaves_a_guard(bob):
    port = 41105
    launched = bob.launch("forward", port, "--leave", options=WITH_MASTER)
    node = told(launched, r"running on (\S+)$").group(1)
    told(launched, "^ready after ")
    assert launched.wait(20) == 0
    rendered(bob.client("forward", port), node)
    bob.lab.wait(lambda: not bob.jobs() and not [one for one in bob.processes("login") if "sshd" not in one], 20, "the guard has gone")
    bob.lab.on("workstation", "ssh", "-O", "exit", "-S", MASTER, LOGIN, user=USER)
    bob.nothing_left()


def test_when_ssh_goes_so_does_everything(bob):
    """One waits in the queue, two run; of these one's master of a guard goes, and the other's launcher is killed itself."""
    waiting = bob.launch("forward", 41106, directives=LATER)
    killed = bob.launch("forward", 41107)
    guarded = bob.launch("forward", 41108, "--leave", options=WITH_MASTER)
    told(waiting, r"^job \d+ pending, ")
    told(killed, "^ready after ")
    told(guarded, "^ready after ")
    assert guarded.wait(20) == 0
    assert len(bob.jobs()) == 3
    waiting.send_signal(signal.SIGKILL)
    bob.lab.on("login", "pkill", "-KILL", "-f", "-u", USER, f"{PROGRAM} forward$")
    bob.lab.on("workstation", "ssh", "-O", "exit", "-S", MASTER, LOGIN, user=USER)
    began = time.monotonic()
    bob.nothing_left()
    assert time.monotonic() - began < 20


def test_a_squatter_is_refused_before_a_job_is_queued(bob):
    squatters = [bob.start("socat", f"TCP-LISTEN:41109,bind={address},fork,reuseaddr", "EXEC:cat", host="login", user="nobody")
                 for address in (INSIDE, "127.0.0.1")]
    bob.lab.wait(lambda: bob.lab.on("login", "ss", "-Hltn").stdout.count(":41109") == 2, 10, "the squatters")
    forward = bob.launch("forward", 41109)
    reverse = bob.launch("reverse", 41109, bind=INSIDE, options=())
    for launched, what in ((forward, "port 41109 of login is not available"), (reverse, "port 41109 of login belongs to another account")):
        said = launched.communicate(timeout=30)[0]
        assert launched.returncode == 1 and what in said and "no job was submitted" in said and "submitted:" not in said, said
    for squatter in squatters:
        squatter.terminate()


def test_no_guess_of_the_dialogs_connect_id_gets_into_pvserver(bob):
    launched = bob.launch("forward", 41114, connect_id=OF_DIALOG)
    found = told(launched, r"^pvserver accepts connections on (\S+):(\d+)$")
    assert of_pvserver(bob.lab, found.group(1)) != OF_DIALOG
    answers = guessed(bob.lab, found.group(1), found.group(2), "alice")
    assert OF_DIALOG in answers and "0" not in answers.values()
    launched.terminate()
    bob.nothing_left()


def test_nobody_else_comes_through_the_relay_that_holds(bob):
    launched = bob.launch("forward", 41110)
    told(launched, "^ready after ")
    stranger = "timeout 5 nc -N 127.0.0.1 41110 </dev/zero | wc -c"
    assert bob.lab.on("login", "sh", "-c", stranger, user="nobody").stdout.strip() == "0"
    assert bob.lab.on("login", "sh", "-c", "ss -Htn state established '( dport = :41110 )'", user="nobody").stdout == ""
    launched.terminate()
    bob.nothing_left()


@pytest.mark.parametrize(("settings", "words", "said"), [
    ({"queue": "debug;touch /tmp/pwned"}, (), "--queue: 'debug;touch /tmp/pwned' is not valid"),
    ({"version": "$(touch /tmp/pwned)"}, (), "--version: '$(touch /tmp/pwned)' is not valid"),
    ({"version": "5.9.1"}, (), "ParaView 5.9.1 here does not match"),
    ({"queue": "nosuch"}, (), "Slurm refused the job"), ({"nodes": "\x1b]0;x\x07"}, (), "--nodes: "), ({"port": ""}, (), "no port is given"),
    ({}, ("--queue", "'a b'"), "--queue: 'a b' is not valid")])
def test_what_cannot_be_is_three_lines(bob, settings, words, said):
    launched = bob.launch("forward", 41111, *words, **settings)
    out = launched.communicate(timeout=30)[0]
    assert launched.returncode == 1 and said in out and "Traceback" not in out and "\x1b" not in out, out
    assert bob.lab.on("login", "ls", "/tmp/pwned", check=False).returncode


def test_where_sshd_takes_nothing_along(bob):
    out = bob.launch("reverse", 41112, send=False).communicate(timeout=30)[0]
    assert "no port is given" in out and "AcceptEnv" in out
    on_the_line = bob.launch("forward", 41112, "--port", "41112", "--connect-id", str(SECRET), f"--directives={LATER}", send=False)
    told(on_the_line, r"^job \d+ pending, ")
    assert str(SECRET) not in bob.lab.on("login", "ps", "-eo", "args").stdout
    on_the_line.terminate()


def test_what_a_site_says_is_data(bob):
    text = bob.lab.on("login", "cat", SITE + "/site.yml").stdout
    hostile = text + 'message: "Hi\\u001b]0;x\\u0007 $(touch /tmp/pwned)"\nqueue: "debug$(touch /tmp/pwned)"\nmodules: ["$(touch /tmp/pwned)"]\nname: !!x\n'
    try:
        bob.lab.on("login", "sh", "-c", f"cat > {SITE}/site.yml", input=hostile)
        out = bob.launch("forward", 41113).communicate(timeout=30)[0]
        assert "Hi $(touch /tmp/pwned)" in out and "name ignored" in out and "\x1b" not in out and "Slurm refused the job" in out, out
        bob.lab.on("login", "chmod", "666", SITE + "/site.yml")
        launched = bob.launch("forward", 41113, directives=LATER)
        told(launched, "site.yml is ignored: only root may own and write it")
        told(launched, "pending")
        launched.terminate()
        assert bob.lab.on("login", "ls", "/tmp/pwned", check=False).returncode
    finally:
        bob.lab.on("login", "sh", "-c", f"chmod 644 {SITE}/site.yml; cat > {SITE}/site.yml", input=text)
