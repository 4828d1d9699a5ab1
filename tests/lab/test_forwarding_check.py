"""What forwarding_check tells of an sshd, against what ssh can do there and against where listeners really stand."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_guides import Terminal, blocks, pattern_of, steps

GUIDE = Path(__file__).resolve().parents[2] / "docs/docsite/rst/guide_check_forwarding.rst"
MODULE = "sciviz.paraview.forwarding_check"
INSIDE, NODE = "198.18.2.1", "compute1"
TAKEN, FREE = 41998, 41999
SOCKET = "/home/alice/forwarding-check.sock"
SSH = ("ssh", "-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes")
POLICIES = {
    "GatewayPorts no": "GatewayPorts no",
    "GatewayPorts yes": "GatewayPorts yes",
    "GatewayPorts clientspecified": "GatewayPorts clientspecified",
    "AllowTcpForwarding no": "AllowTcpForwarding no",
    "AllowTcpForwarding local": "AllowTcpForwarding local\nGatewayPorts clientspecified",
    "AllowTcpForwarding remote": "AllowTcpForwarding remote\nGatewayPorts clientspecified",
    "PermitListen an address": f"GatewayPorts clientspecified\nPermitListen {INSIDE}:* localhost:{FREE}",
    "PermitListen loopback": f"GatewayPorts clientspecified\nPermitListen 127.0.0.1:* localhost:{TAKEN}",
    "PermitOpen": f"PermitOpen {NODE}:22",
    "nothing permitted": "PermitOpen none\nPermitListen none",
    "AllowStreamLocalForwarding no": "AllowStreamLocalForwarding no",
    "AllowStreamLocalForwarding local": "AllowStreamLocalForwarding local",
    "AllowStreamLocalForwarding remote": "AllowStreamLocalForwarding remote",
    "DisableForwarding": "GatewayPorts yes\nDisableForwarding yes",
    "Match for alice": "AllowTcpForwarding no\nMatch User alice\n AllowTcpForwarding yes\n GatewayPorts clientspecified",
    "Match against alice": "GatewayPorts yes\nMatch User alice\n AllowTcpForwarding remote\n PermitListen 127.0.0.1:*\n GatewayPorts no",
    "AddressFamily inet": "AddressFamily inet\nGatewayPorts clientspecified",
    "no session": "GatewayPorts yes\nMaxSessions 0",
    "another command": "GatewayPorts clientspecified\nForceCommand echo $SSH_ORIGINAL_COMMAND",
}
REMOTE = ["127.0.0.1:0", "localhost:0", "*:0", "0.0.0.0:0", f"{INSIDE}:0", "[::1]:0", f"127.0.0.1:{FREE}", f"localhost:{FREE}", f"127.0.0.1:{TAKEN}",
          f"localhost:{TAKEN}", f"*:{TAKEN}", "127.0.0.1:80", SOCKET, "/nonexistent/s"]
LOCAL = [f"{NODE}:22", f"{NODE}:1", "localhost:22", "no-such-name:22", "/run/dbus/system_bus_socket", "/nonexistent/s"]
STANDS = {"localhost": {"127.0.0.1", "[::1]"}, "*": {"0.0.0.0", "[::]"}}


@pytest.fixture(scope="module")
def site(lab):
    """The lab, and a listener of another user's in the way."""
    with lab.start("login", "nc", "-lkn", "127.0.0.1", str(TAKEN), user="bob", stdin=subprocess.DEVNULL) as listener:
        lab.wait(lambda: lab.on("login", "ss", "-Hltn", f"sport = :{TAKEN}").stdout)
        yield lab
        listener.terminate()
    lab.sshd_policy("login", None)


@pytest.fixture
def policy(site):
    yield site
    site.sshd_policy("login", None)
    site.on("login", "rm", "-f", SOCKET)


def check(lab, expected_code=0, **arguments):
    """Runs the module as alice; returns its result."""
    given = json.dumps({"host": "login", **arguments})
    done = lab.on("workstation", "ansible", "localhost", "-m", MODULE, "-a", given, user="alice", check=False, timeout=180)
    assert done.returncode == expected_code, done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("=> ") + 3:])


def listeners(lab, *which):
    """Addresses and ports that alice's sshd listens on."""
    lines = lab.on("login", "ss", "-Hltne", *which).stdout.splitlines()
    return {line.split()[3] for line in lines if "uid:20001" in line}


def ssh_remote(lab, request):
    """What ssh makes of a remote forward: None where it is refused, else the addresses that listen."""
    with lab.start("workstation", *SSH, "-v", "-R", request + ":127.0.0.1:9", "login", user="alice", stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as ssh:
        granted = r"Allocated port (\d+)" if request.endswith(":0") else "remote forward success"
        found = next(filter(None, (re.search(granted, line) for line in ssh.stdout)), None)
        if not found:
            return None
        port = found[1] if found.groups() else request.rpartition(":")[2]
        if request.startswith("/"):
            stands = {request} if lab.on("login", "test", "-S", request, check=False).returncode == 0 else set()
            lab.on("login", "rm", "-f", request)
        else:
            stands = {one.rpartition(":")[0] for one in listeners(lab, f"sport = :{port}")}
        ssh.terminate()
        ssh.stdout.read()
    lab.wait(lambda: not listeners(lab, f"sport = :{port}") if port.isdigit() else True)
    return stands


def ssh_local(lab, request):
    """What ssh's channel to a place comes to: ``open``, ``prohibited``, or the server's words."""
    local = "/home/alice/forwarding-check." + re.sub(r"\W", "-", request)
    lab.on("workstation", "rm", "-f", local)
    with lab.start("workstation", *SSH, "-vv", "-L", f"{local}:{request}", "login", user="alice", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE) as ssh:
        lab.wait(lambda: lab.on("workstation", "test", "-S", local, check=False).returncode == 0)
        dialling = lab.start("workstation", "nc", "-U", local, user="alice", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        said = "open"
        for line in ssh.stderr:
            # "open confirm" comes where the far end took the call.
            found = re.search(r"open failed: (.*)|open confirm", line)
            if found:
                said = (found[1] or "open").strip()
                break
        dialling.terminate()
        dialling.communicate()
        ssh.terminate()
        ssh.stderr.read()
    lab.on("workstation", "rm", "-f", local)
    return "prohibited" if "administratively" in said else said


def ssh(lab, kind, request):
    return ssh_remote(lab, request) if kind == "remote" else ssh_local(lab, request)


# A third of them each time, all in the long run.
SAMPLE = [name for number, name in enumerate(POLICIES) if number % 5 == 0 and name != "another command"]


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.torture) for name in POLICIES])
def test_the_same_as_ssh(policy, name):
    policy.sshd_policy("login", POLICIES[name])
    told = check(policy, remote=REMOTE, local=LOCAL)
    assert told["user"] == "alice"
    assert not listeners(policy)
    blind = name in ("no session", "another command")
    assert (policy.on("login", "test", "-e", SOCKET, check=False).returncode == 0) is blind
    policy.on("login", "rm", "-f", SOCKET)
    # What does not get into each other's way at the same time; sshd takes no more than ten strangers at once.
    settings = [(found["kind"], found["request"]) for found in told["forwards"]]
    apart = [one for one in settings if one[0] == "remote" and not one[1].endswith(":0")]
    with ThreadPoolExecutor(4) as pool:
        truths = dict(zip(settings, pool.map(lambda one: None if one in apart else ssh(policy, *one), settings)))
    truths.update((one, ssh(policy, *one)) for one in apart)
    problems = [(found, truths[found["kind"], found["request"]]) for found in told["forwards"]
                if not agree(found, truths[found["kind"], found["request"]], name == "AddressFamily inet", blind)]
    assert not problems, "\n".join([*told["table"], *map(str, problems)])


def agree(found, truth, ipv4_alone, blind):
    """Whether a finding is what ssh and the login node's own list of listeners say."""
    verdict, request = found["verdict"], found["request"]
    if found["kind"] == "local":
        return {"allowed": truth == "open" or "refused" in truth or "open failed" in truth, "refused": truth in ("prohibited", "connect failed: open failed"),
                "failed": truth not in ("open", "prohibited")}[verdict]
    if truth is None or verdict != "allowed":
        return truth is None and verdict != "allowed"
    if blind and found["as_asked"] is None:
        return True
    if request.startswith("/"):
        return found["as_asked"] is (truth == {request})
    bind = request.rpartition(":")[0]
    wanted = {one for one in STANDS.get(bind, {bind}) if not (ipv4_alone and "[" in one)}
    return found["as_asked"] is (truth == wanted) and (blind or {one.rpartition(":")[0] for one in found["listens_on"]} == truth)


# --- expectations, ways to log in, what may go wrong ---


def test_a_difference_is_a_failure(policy):
    settings = [{"bind": "127.0.0.1", "expect": "allowed"}, {"bind": "*", "expect": ["refused", "elsewhere"]}]
    found = check(policy, 2, remote=settings)
    assert found["msg"].splitlines() == ["1 of 2 forwards of alice on login differ from what was expected", *found["table"]]
    assert [one["as_expected"] for one in found["forwards"]] == [True, False]
    policy.sshd_policy("login", "GatewayPorts no")
    assert not check(policy, remote=settings)["changed"]


def test_silence_on_the_way(policy):
    policy.path("close", "login", NODE)
    try:
        (found,) = check(policy, local=[f"{NODE}:22"], timeout=2)["forwards"]
    finally:
        policy.path("reset", "login", NODE)
    assert (found["verdict"], found["why"]) == ("failed", "no answer within 2 s: something on the way there drops it")


@pytest.fixture
def password(policy):
    """A password that alice has on the login node while this lasts."""
    before = policy.on("login", "getent", "shadow", "alice").stdout.split(":")[1]
    policy.on("login", "chpasswd", input="alice:open sesame\n")
    yield "open sesame"
    policy.on("login", "usermod", "-p", before, "alice")


@pytest.mark.parametrize("method", [pytest.param("password", marks=pytest.mark.torture), "keyboard-interactive"])
def test_passwords(policy, password, method):
    text = "AuthenticationMethods {0}\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n"
    policy.sshd_policy("login", text.format(method))
    assert check(policy, remote=["127.0.0.1:0"], password=password)["forwards"][0]["as_asked"] is True
    answers = {"answers": [password]} if method == "keyboard-interactive" else {}
    assert check(policy, remote=["127.0.0.1:0"], **(answers or {"password": password}))["forwards"][0]["reached"] is True
    refused = check(policy, 2, remote=["127.0.0.1:0"], password="wrong words")
    assert "refuses the login of alice" in refused["msg"]
    assert "wrong words" not in json.dumps(refused)
    policy.sshd_policy("login", text.format("publickey," + method))
    assert check(policy, remote=["127.0.0.1:0"], password=password)["forwards"][0]["verdict"] == "allowed"


def test_a_path_where_something_is_stays_as_it_is(policy):
    policy.sshd_policy("login", "StreamLocalBindUnlink yes")
    policy.on("login", "sh", "-c", f"echo mine > {SOCKET}", user="alice")
    (found,) = check(policy, remote=[SOCKET])["forwards"]
    assert (found["verdict"], found["why"].startswith("path taken")) == ("failed", True)
    assert policy.on("login", "cat", SOCKET).stdout == "mine\n"


# --- the guide ---

SUBSTITUTES = {r"login\.frontera\.example\.edu": "login.lab.example", r"\bmember\b": "alice", r"\bordinary\b": "bob", r"\b10\.0\.0\.2\b": INSIDE,
               r"\bc101\b": NODE, "visualization": "alice"}


def test_the_guide(policy):
    text = GUIDE.read_text()
    for pattern, instead in SUBSTITUTES.items():
        text = re.sub(pattern, instead, text)
    home = "/home/alice/check-guide"
    policy.on("workstation", "sh", "-c", f"rm -rf {home}; mkdir -p {home}/.ssh", user="alice")
    for user in ("alice", "bob"):
        policy.on("workstation", "install", "-m", "600", "-o", "alice", f"/home/{user}/.ssh/id_ed25519", f"{home}/.ssh/{user}")
    terminal = Terminal(policy)
    try:
        terminal.type(f"export HOME={home}; cd")
        commands = 0
        for language, caption, lines in blocks(text):
            if caption.startswith("/etc/ssh/"):
                policy.sshd_policy("login", "\n".join(lines) + "\n")
            elif caption:
                policy.on("workstation", "sh", "-c", f"cat > {caption.replace('~', home)}", user="alice", input="\n".join(lines) + "\n")
            for command, said in steps(lines) if language == "console" else ():
                code, heard = terminal.type(command)
                commands += 1
                assert code == (2 if any("differ from" in line for line in said) else 0), f"$ {command}\n{heard}"
                rest = heard
                for line in said:
                    found = re.search(f"^ *{pattern_of(line.strip())},?$", rest, re.M)
                    assert found, f"$ {command}\ndid not say: {line}\nbut:\n{heard}"
                    rest = rest[found.end():]
        assert commands == 5
    finally:
        terminal.close()
        policy.on("workstation", "rm", "-rf", home)


def test_the_errors_that_it_names_are_said():
    top = GUIDE.parents[3] / "plugins"
    sources = "\n".join((top / name).read_text() for name in (
        "module_utils/sshd/probe.py", "module_utils/sshd/probe_requests.py", "module_utils/sshd/paramiko_login.py", "modules/forwarding_check.py"))
    rows = re.findall(r"^``([^`]+)``  +\S", GUIDE.read_text().split("it says ")[-1], re.M)
    assert len(rows) == 7
    for words in rows:
        for part in re.split(r"[A-Z]{2,}", words):
            assert part.strip() in sources, f"nothing says {part!r} (of {words!r})"
