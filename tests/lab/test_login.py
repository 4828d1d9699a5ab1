"""Logging in: what ssh asks reaches the user, whatever it is, once a session, or not at all where a master is there already."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest
from desk import Desk, long
from terminal import Terminal
from test_guides import GUIDES, VARIABLES, blocks, pattern_of, steps, substituted

KEY = b"12345678901234567890"
PASSWORD = "it's a \\ $ecret"
BANNER = "Only for members of the lab."
POLICY = """GatewayPorts clientspecified
KbdInteractiveAuthentication yes
PasswordAuthentication no
AuthenticationMethods keyboard-interactive
Banner /etc/ssh/banner
"""
PAM = """auth required pam_unix.so
auth required pam_oath.so usersfile=/etc/users.oath window=20 digits=6
account required pam_unix.so
session required pam_limits.so
"""
ANSIBLES = {"newest": "ansible-playbook", "oldest": "/opt/sciviz/oldest/bin/ansible-playbook"}


@pytest.fixture(autouse=True)
def _plain(desk):
    """Nothing of a test stays in alice's configuration of ssh."""
    yield
    desk.run("sh", "-c", "rm -rf ~/.ssh/locked* ~/.ssh/known ~/.ssh/config ~/.ssh/cm")


class Codes:
    """One-time codes (RFC 4226) of alice's token."""

    def __init__(self):
        self.count = 0

    def next(self):
        digest = hmac.new(KEY, self.count.to_bytes(8, "big"), hashlib.sha1).digest()
        self.count += 1
        start = digest[-1] & 15
        return f"{(int.from_bytes(digest[start:start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


@pytest.fixture
def codes(lab):
    """The login node wants a password and a one-time code, and says who is welcome."""
    lab.on("login", "sh", "-c", "cp -p /etc/shadow /etc/pam.d/sshd /root; chpasswd; echo 'HOTP alice - '$0 > /etc/users.oath; chmod 600 /etc/users.oath",
           KEY.hex(), input=f"alice:{PASSWORD}\n")
    lab.on("login", "sh", "-c", "cat > /etc/pam.d/sshd", input=PAM)
    lab.on("login", "sh", "-c", "cat > /etc/ssh/banner", input=BANNER + "\n")
    lab.sshd_policy("login", POLICY)
    yield Codes()
    lab.sshd_policy("login", None)
    lab.on("login", "sh", "-c", "mv /root/shadow /etc/shadow; mv /root/sshd /etc/pam.d/sshd; rm -f /etc/users.oath /etc/ssh/banner")


def words(playbook, ansible="newest", **more):
    """A command line with variables of Ansible's own beside the project's."""
    settings = {name: value for name, value in more.items() if not name.startswith("ansible_")}
    line = Desk.words(playbook, **settings)
    return [ANSIBLES[ansible], *line[1:], "-e", json.dumps({name: value for name, value in more.items() if name.startswith("ansible_")})]


def logins(lab, host="login"):
    """How often alice was let in on a login node so far."""
    journal = lab.on(host, "journalctl", "-q", "-o", "cat", "-u", "ssh", "--no-pager", "-g", "Accepted .* for alice", check=False).stdout
    return len(journal.splitlines())


@pytest.mark.parametrize("ansible", ["newest", long("oldest")])
def test_password_and_one_time_code(desk, codes, ansible):
    before = logins(desk.lab)
    with Terminal(*words("connect", ansible)) as terminal:
        assert BANNER in terminal.seen + terminal.until(r"lab: \(alice@login.lab.example\) Password: ?\n").string
        terminal.type(PASSWORD)
        terminal.until(r"lab: \(alice@login.lab.example\) One-time password \(OATH\) for .*\n")
        code = codes.next()
        terminal.type(code)
        terminal.until(r"lab: ready")
        assert terminal.end() == 0
        assert PASSWORD not in terminal.seen and code not in terminal.seen
    report = desk.report()
    assert report["state"] == "ready"
    assert logins(desk.lab) == before + 1
    desk.client(report)
    assert desk.disconnect().returncode == 0
    assert logins(desk.lab) == before + 1, "one login a session"
    desk.nothing_left()


def answer_everything(terminal, codes):
    """Answers what the site asks at each login."""
    terminal.until("Password: ?\n")
    terminal.type(PASSWORD)
    terminal.until("One-time password.*\n")
    terminal.type(codes.next())


def test_a_line_that_was_lost_waits_for_the_user(desk, codes):
    """The site asks for a code at each login; ParaView's work is not lost for that."""
    with Terminal(*words("connect", route="reverse_tunnel", start_client=desk.client_command(more="wait"))) as terminal:
        answer_everything(terminal, codes)
        terminal.until("lab: ready after .*: ParaView is connected")
        assert terminal.end() == 0
    desk.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-x", "ssh")
    desk.lab.wait(lambda: "waiting for you" in desk.status().stdout, 20, "it says so")
    with Terminal(*words("connect")) as terminal:
        terminal.until("lab: the connection to login has been lost since .*; connecting again")
        answer_everything(terminal, codes)
        terminal.until("lab: ready after .*: ParaView is connected")
        assert terminal.end() == 0
    desk.status()
    assert desk.report()["lifeline"]["state"] == "connected"
    assert desk.processes("workstation"), "ParaView has its session still"
    assert desk.disconnect().returncode == 0
    desk.nothing_left()


def test_a_second_session_needs_no_second_code(desk, codes):
    """Two names of the same login node: the second session rides on the first one's connection, and both are ready."""
    hosts = {name: {"ansible_host": "login.lab.example", "paraview_pvserver": "xvfb-run -a -s -noreset pvserver"} for name in ("one", "two")}
    desk.run("sh", "-c", "printf %s \"$1\" > two.yml", "sh", json.dumps({"all": {"hosts": hosts}}))
    before = logins(desk.lab)
    line = words("connect", host="all")
    with Terminal(line[0], "-i", "two.yml", *line[1:]) as terminal:
        answer_everything(terminal, codes)
        terminal.until("(one|two): ready after")
        terminal.until("(one|two): ready after")
        assert terminal.end() == 0
        assert terminal.seen.count("Password:") == 1
    assert logins(desk.lab) == before + 1
    desk.run("ansible-playbook", "-i", "two.yml", *Desk.words("disconnect", "all")[1:])
    desk.run("rm", "two.yml")
    desk.nothing_left()


@pytest.mark.torture
def test_a_wrong_answer_is_asked_for_again(desk, codes):
    with Terminal(*words("connect")) as terminal:
        terminal.until("Password: ?\n")
        terminal.type("not mine")
        terminal.until("One-time password.*\n")
        terminal.type(codes.next())
        terminal.until("Password: ?\n")
        terminal.type(PASSWORD)
        terminal.until("One-time password.*\n")
        terminal.type(codes.next())
        terminal.until("lab: ready")
        assert terminal.end() == 0


@pytest.mark.torture
def test_the_inventorys_password_answers_for_itself(desk, codes):
    with Terminal(*words("connect", ansible_password=PASSWORD)) as terminal:
        terminal.until("One-time password.*\n")
        assert "Password:" not in terminal.seen
        terminal.type(codes.next())
        terminal.until("lab: ready")
        assert terminal.end() == 0


def test_without_a_terminal_the_question_is_told(desk, codes):
    assert codes
    done = desk.connect(check=False)
    assert done.returncode != 0
    assert "lab: cannot log in to login.lab.example" in done.stdout + done.stderr
    assert "no key was enough, ssh prompts '(alice@login.lab.example) Password:', and there is no terminal to show the prompt" in done.stdout + done.stderr
    assert not desk.left() and not desk.record()


def test_a_playbook_that_is_killed_while_it_asks_leaves_nothing(desk, codes):
    assert codes
    with Terminal(*words("connect")) as terminal:
        terminal.until("Password: ?\n")
        desk.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-f", "bin/ansible-playbook")
        # A terminal that is closed before that would take all that runs in it along, the daemon too.
        assert terminal.end() != 0
    desk.nothing_left()


@pytest.mark.parametrize("at_once", [False, True])
def test_a_user_who_breaks_off_leaves_nothing(desk, codes, at_once):
    assert codes
    with Terminal(*words("connect")) as terminal:
        terminal.until("Password: ?\n")
        if at_once:  # before the question is really open it is for Ansible, which wants to hear it again
            terminal.press(b"\x03", at_once=True)
        terminal.press(b"\x03")
        assert terminal.end() != 0
        assert "Traceback" not in terminal.seen
    desk.nothing_left()


def test_passphrase_of_a_key(desk):
    desk.run("sh", "-c", "cd ~/.ssh && cp id_ed25519 locked && ssh-keygen -q -p -P '' -N 'open sesame' -f locked")
    with Terminal(*words("connect", ansible_ssh_private_key_file="/home/alice/.ssh/locked")) as terminal:
        terminal.until(r"lab: Enter passphrase for key '/home/alice/.ssh/locked': ?\n")
        terminal.type("open sesame")
        terminal.until("lab: ready")
        assert terminal.end() == 0


def test_an_unknown_host_key_is_for_the_user_to_accept(desk):
    options = "-o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=/home/alice/.ssh/known"
    print_ = desk.lab.on("login", "ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").stdout.split()[1]
    with Terminal(*words("connect", ansible_ssh_common_args=options)) as terminal:
        assert print_ in terminal.until(r"(?s)lab: The authenticity of host .* \(yes/no/\[fingerprint\]\)\? ?\n").group(0)
        terminal.type("no")
        terminal.until("lab: cannot trust login node login.lab.example")
        assert terminal.end() != 0
    assert not desk.left()
    with Terminal(*words("connect", ansible_ssh_common_args=options)) as terminal:
        terminal.until(r"\(yes/no/\[fingerprint\]\)\? ?\n")
        terminal.type("yes")
        terminal.until("lab: ready")
        assert terminal.end() == 0
    assert "ssh-ed25519" in desk.run("cat", "/home/alice/.ssh/known").stdout


def test_a_login_node_as_people_leave_it(desk):
    """The start-up file there asks a question, and ssh's configuration here is made for a tunnel."""
    desk.run("sh", "-c", "printf 'Host login.lab.example\\n  StdinNull yes\\n  ForkAfterAuthentication yes\\n  SessionType none\\n' > ~/.ssh/config")
    line = "read -r -p 'Do you accept the terms of use? ' answer"
    desk.lab.on("login", "sh", "-c", "cp -p .bashrc .bashrc.kept; { echo \"$0\"; cat .bashrc.kept; } > .bashrc", line, user="alice")
    try:
        done = desk.connect()
        desk.disconnect()
        desk.lab.on("login", "sh", "-c", "echo 'echo This account is for transfers; exit 1' > .bashrc", user="alice")
        refused = desk.connect(check=False)
    finally:
        desk.lab.on("login", "sh", "-c", "mv .bashrc.kept .bashrc", user="alice")
    assert "route node_tunnel" in desk.lines(done)
    assert refused.returncode != 0 and "it printed: This account is for transfers" in refused.stdout and "~/.bashrc" in refused.stdout
    assert not desk.left()


@pytest.mark.torture
@pytest.mark.parametrize(("line", "words"), [
    ("exec tcsh", "~/.bashrc"), ("exec 2>/dev/null", "standard error"), ("exec 2>&1", "standard error"), ("exec bash --norc", ""),
    ("echo Welcome; stty -echo", "")])
def test_a_start_up_file_that_changes_the_shell(desk, line, words):
    """Either the session works all the same, or the message says what to change where, long before the login's time limit."""
    desk.lab.on("login", "sh", "-c", "cp -p .bashrc .bashrc.kept; { echo \"$0\"; cat .bashrc.kept; } > .bashrc", line, user="alice")
    try:
        done = desk.connect(check=False, timeout=60)
        desk.disconnect(check=False)
    finally:
        desk.lab.on("login", "sh", "-c", "mv .bashrc.kept .bashrc", user="alice")
    assert (done.returncode == 0) == (not words), done.stdout
    assert words in done.stdout and "try it by hand: ssh -v" not in done.stdout
    assert not desk.left()


@pytest.mark.torture
def test_a_site_that_answers_after_eleven_seconds(desk):
    """The user's own ConnectTimeout is kept."""
    slow = 'Host login.lab.example\n  ConnectTimeout 60\n  ProxyCommand sh -c "sleep 11; exec nc %h %p"\n'
    desk.run("sh", "-c", "printf %s \"$1\" > ~/.ssh/config", "sh", slow)
    desk.connect()
    desk.disconnect()
    assert not desk.left()


@pytest.mark.torture
def test_every_command_of_the_guide(desk, codes):
    """Until it comes to a master, the site asks."""
    home = "/home/alice/"
    inventory = (f"all:\n  hosts:\n    frontera:\n      ansible_host: login.lab.example\n      {VARIABLES}"
                 "    bigscreen:\n      ansible_host: login2.lab.example\n")
    desk.lab.on("workstation", "sh", "-c", f"cat > {home}clusters.yml", user="alice", input=inventory)
    try:
        for language, caption, lines in blocks((GUIDES / "guide_login.rst").read_text()):
            if caption:
                text = substituted("\n".join(lines) + "\n")
                desk.lab.on("workstation", "sh", "-c", f"umask 077; cat > {caption.replace('~/', home)}", user="alice", input=text)
                desk.lab.sshd_policy("login", None)
            for command, said in steps(lines) if language == "console" else ():
                with Terminal("env", f"ANSIBLE_INVENTORY={home}clusters.yml", "sh", "-c", substituted(command)) as terminal:
                    for line in said:
                        terminal.until(pattern_of(line))
                        if line.endswith((":", ": ")):
                            terminal.type(PASSWORD if "Password" in line else codes.next())
                    assert terminal.end() == 0, terminal.seen
                if command.startswith("ssh -fNM"):
                    assert not desk.run("ssh", "-O", "check", "login.lab.example").returncode
                elif "connect" in command and "ssh -fNM" not in "".join(lines):
                    desk.disconnect("frontera", check=False)
        assert desk.run("ssh", "-O", "exit", "login.lab.example").returncode == 0, "the master was not ours"
        desk.nothing_left()
    finally:
        desk.run("ssh", "-O", "exit", "login.lab.example", check=False)
        desk.run("rm", home + "clusters.yml")


# --- a control master that is there already ---


@pytest.fixture
def master(desk):
    """alice is logged in already, and her configuration says so."""
    desk.run("sh", "-c", "umask 077; mkdir -p ~/.ssh/cm; printf 'Host login*\\n  ControlPath ~/.ssh/cm/%%C\\n' > ~/.ssh/config")
    desk.run("sh", "-c", "exec ssh -fNM login.lab.example >/dev/null 2>&1")
    yield desk
    desk.run("ssh", "-O", "exit", "login.lab.example", check=False)


@pytest.mark.parametrize("route", ["auto", *(long(one) for one in ("forward_tunnel", "reverse_tunnel", "reverse_tunnel_relay"))])
def test_a_master_of_the_users_own_is_used(master, route):
    before, listeners = logins(master.lab), "ss -Hltnp | grep -c ssh; true"
    more = {"start_client": master.client_command()} if route.startswith("reverse") else {}
    done = master.connect(route=route, user_relay=True, **more)
    report = master.report()
    assert report["route"] == (route if route != "auto" else "node_tunnel"), done.stdout
    if more:
        master.lab.wait(lambda: master.record().get("state") == "ended", 40, "the client came and left")
    else:
        master.client(report)
        master.told_over()
    assert logins(master.lab) == before, "nobody logged in anew"
    master.disconnect()
    assert master.run("ssh", "-O", "check", "login.lab.example").returncode == 0, "the master stays, it is not ours"
    assert master.run("sh", "-c", listeners).stdout.strip() == "0"
    assert not [one for one in master.lab.on("login", "ss", "-Hltne").stdout.splitlines() if "uid:20001" in one]


@pytest.mark.torture
def test_a_policy_is_seen_through_a_master_of_the_users_own(master):
    """It tells nobody why sshd refused; that is found out otherwise."""
    master.lab.path("close", "login", "compute1")
    master.lab.path("close", "login", "compute2")
    try:
        done = master.connect(route="forward_tunnel", check=False)
    finally:
        master.lab.path("reset")
    assert "login cannot reach a port of compute1" in done.stdout
    master.run("ssh", "-O", "exit", "login.lab.example", check=False)
    master.lab.sshd_policy("login", "AllowTcpForwarding remote\nGatewayPorts clientspecified\n")
    try:
        master.run("sh", "-c", "exec ssh -fNM login.lab.example >/dev/null 2>&1")
        done = master.connect(route="forward_tunnel", check=False)
    finally:
        master.lab.sshd_policy("login", None)
    assert "sshd on login forbids local forwarding" in done.stdout


@pytest.mark.torture
def test_a_master_that_hangs_is_passed_over(master):
    pid = master.run("pgrep", "-u", "alice", "-f", "ssh -fNM").stdout.split()[0]
    master.run("kill", "-STOP", pid)
    try:
        before = logins(master.lab)
        master.connect()
        assert master.report()["state"] == "ready"
        assert logins(master.lab) == before + 1
    finally:
        master.run("kill", "-CONT", pid)


# --- several login nodes behind one name, and one behind another ---


@pytest.fixture
def named(desk):
    """Says in which order the addresses of the name `any` come, as name servers do in turn."""
    def order(*addresses):
        desk.lab.on("workstation", "sh", "-c", "sed -i '/ any.lab.example/d' /etc/hosts; printf '%s any.lab.example\\n' \"$@\" >> /etc/hosts", "sh", *addresses)

    yield order
    order("198.18.3.10", "198.18.4.10")


@pytest.mark.parametrize(("first", "second", "login", "inside"), [
    long("198.18.3.10", "198.18.4.10", "login", "198.18.2.1"), ("198.18.4.10", "198.18.3.10", "login2", "198.18.2.2")])
@pytest.mark.torture
def test_pvserver_is_told_the_login_node_that_was_reached(desk, named, first, second, login, inside):
    named(first, second)
    done = desk.connect("any", route="reverse_tunnel", start_client=desk.client_command())
    assert re.search(rf"is connected through {login}, {inside}:\d+, to port \d+ of this machine", done.stdout)
    desk.lab.wait(lambda: desk.record("any").get("state") == "ended", 40, "the client came and left")
    desk.nothing_left()


@pytest.mark.torture
def test_disconnect_goes_back_to_the_login_node_that_was_reached(desk, named):
    named("198.18.3.10", "198.18.4.10")
    desk.connect("any")
    desk.lab.on("workstation", "kill", "-KILL", str(desk.record("any")["daemon"][0]))
    desk.lab.wait(lambda: not desk.masters(), 10, "the master ends with its daemon")
    named("198.18.4.10", "198.18.3.10")
    before = logins(desk.lab), logins(desk.lab, "login2")
    desk.disconnect("any")
    assert (logins(desk.lab), logins(desk.lab, "login2")) == (before[0] + 1, before[1])
    desk.nothing_left()


@pytest.mark.torture
def test_a_session_goes_on_through_another_login_node(desk, named):
    """The one that it was on is down."""
    named("198.18.3.10", "198.18.4.10")
    desk.connect("any", detach=True)
    job = desk.report()["job_id"]
    desk.lab.on("workstation", "kill", "-KILL", str(desk.record("any")["daemon"][0]))
    named("198.18.4.10")
    desk.lab.path("close", "workstation", "login")
    try:
        done = desk.connect("any", route="auto")
        assert "continuing through login2, since login does not answer" in desk.lines(done, "any")
        assert (desk.report()["job_id"], desk.report()["state"], desk.report()["login_node"]) == (job, "ready", "login2")
        desk.client(desk.report())
    finally:
        desk.lab.path("reset")
    desk.nothing_left()


@pytest.mark.torture
def test_a_login_node_behind_another(desk):
    before = logins(desk.lab, "login2")
    desk.connect("behind")
    report = desk.report()
    assert (report["login_node"], report["state"]) == ("login2", "ready")
    desk.client(report)
    desk.disconnect("behind")
    assert logins(desk.lab, "login2") == before + 1
    desk.nothing_left()


# --- ParaView on another host than Ansible ---


@pytest.fixture
def far(desk):
    """A desk whose ParaView runs on login2."""
    desk.lab.on("login2", "sh", "-c", "cat > client.py", user="alice", input=(Path(__file__).parent / "client.py").read_text())
    yield desk
    desk.lab.on("login2", "rm", "-f", "client.py", "picture.png", "seen.txt", user="alice")


def client_there(desk, report, way):
    """A client that renders, typed on login2, with what is there to read."""
    known = '--connect-id="$(cat ~/.local/state/paraview-connect/lab.connect_id)"'
    line = f"exec xvfb-run -a -s -noreset pvpython {known} client.py {way} {report['client_port']} picture.png"
    return desk.lab.on("login2", "sh", "-c", line, user="alice", timeout=60).stdout


@pytest.mark.parametrize("route", ["node_tunnel", long("forward_tunnel")])
def test_a_client_on_another_host_calls(far, route):
    done = far.connect(client_host="bigscreen", route=route)
    report = far.report()
    assert f"ParaView {far.lab.series} on bigscreen, {far.lab.series} there" in done.stdout
    assert f"on bigscreen, paraview --server-url=cs://127.0.0.1:{report['client_port']} --connect-id=" in done.stdout
    listeners = far.lab.on("login2", "ss", "-Hltn", f"sport = :{report['client_port']}").stdout.split()
    assert listeners[3] == f"127.0.0.1:{report['client_port']}"
    assert not far.run("sh", "-c", "ss -Hltn | grep 127.0.0.1; true").stdout, "no port of the controller is open to its other users"
    assert far.report()["nodes"][0] in client_there(far, report, "forward")
    far.told_over()
    far.disconnect()
    far.nothing_left()
    assert not far.lab.on("login2", "sh", "-c", "ls ~/.local/state/paraview-connect 2>/dev/null; true", user="alice").stdout


@pytest.mark.parametrize("route", ["reverse_tunnel", long("reverse_tunnel_relay"), long("node_tunnel_reverse")])
def test_a_client_on_another_host_is_called(far, route):
    done = far.connect(client_host="bigscreen", route=route, start_client=far.client_command(more="> seen.txt"))
    assert re.search(r"to port \d+ of bigscreen", done.stdout)
    far.lab.wait(lambda: far.record().get("state") == "ended", 40, "the client came and left")
    assert f"server host {far.report()['nodes'][0]}" in far.lab.on("login2", "cat", "seen.txt", user="alice").stdout
    far.nothing_left()


@pytest.mark.torture
def test_a_client_that_is_started_by_hand_on_another_host(far):
    process = far.lab.start("workstation", *far.words("connect", client_host="bigscreen", route="reverse_tunnel"), user="alice")
    assert any("start the client now, pvserver waits for it: on bigscreen, paraview" in line for line in process.stdout)
    report = {"client_port": far.record()["client_port"]}
    assert "compute" in client_there(far, report, "reverse")
    assert process.wait(30) == 0
    far.told_over()


def lose(far):
    """The connection to bigscreen is lost, that to the login node is not."""
    far.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-f", "ControlPath=.*[.]c ")
    far.lab.wait(lambda: far.record().get("reason") == "the connection to bigscreen was lost", 10, "the loss is seen")


@pytest.mark.torture
@pytest.mark.parametrize("route", ["node_tunnel", long("forward_tunnel")])
def test_a_client_host_that_was_lost_is_reached_again(far, route):
    far.connect(client_host="bigscreen", route=route)
    job = far.report()["job_id"]
    lose(far)
    done = far.connect(client_host="bigscreen", route=route)
    report = far.report()
    assert (report["job_id"], report["state"]) == (job, "ready"), done.stdout
    assert report["nodes"][0] in client_there(far, report, "forward")
    far.told_over()
    far.nothing_left()


@pytest.mark.torture
def test_what_may_be_left_on_a_client_host_is_told(far):
    far.connect(client_host="bigscreen")
    lose(far)
    assert "bigscreen was not reached: /home/alice/.local/state/paraview-connect/lab.connect_id" in far.disconnect().stdout
    far.lab.on("login2", "rm", "-r", "/home/alice/.local/state/paraview-connect", user="alice")
    far.nothing_left()


@pytest.mark.torture
def test_a_client_on_another_host_ends_with_disconnect(far):
    far.connect(client_host="bigscreen", route="reverse_tunnel", start_client=far.client_command(more="wait"))
    assert far.report()["state"] == "connected"
    far.disconnect()
    far.nothing_left()


@pytest.mark.parametrize(("settings", "words"), [
    ({"client_host": "nowhere"}, "paraview_client_host: 'nowhere' is not valid"),
    ({"client_host": "bigscreen", "route": "reverse_unencrypted"}, "it reaches only this machine, and ParaView runs on bigscreen")])
def test_what_cannot_be_with_a_client_on_another_host(far, settings, words):
    done = far.connect(**settings, check=False)
    assert done.returncode != 0
    assert words in done.stdout
    far.nothing_left()
