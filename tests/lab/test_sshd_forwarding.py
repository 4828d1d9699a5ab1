"""sshd_forwarding and what goes with it on a real login node: what clients may do afterwards, faults, kills, what others do to sshd."""

import contextlib
import json
import re
import subprocess
from collections import Counter, namedtuple
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/sshd"
GROUP = "lab-forwarders"
MAIN, DROP_INS = "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d"
OURS = f"{DROP_INS}/00-sciviz-paraview-viz.conf"
UNPACKED, SAVED, TRACE = "/root/sshd-forwarding-test", "/root/etc-ssh-saved", "/root/sshd-forwarding-trace"
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ControlPath=none")
INSIDE = "compute1:22"
# alice is the only member of the group: she may not do this any more, or may do nothing else.
REMOTE_ALONE = {"name": "viz", "match": {"Group": GROUP}, "allow_tcp_forwarding": "remote"}
ABSENT = {"name": "viz", "state": "absent"}

Answer = namedtuple("Answer", "code result text")
Point = namedtuple("Point", "call number line")


class Node:
    """The login node, its sshd, and what an admin and users do with them.

    Args:
        lab (Lab): from conftest.py.
    """

    def __init__(self, lab):
        self.lab = lab

    def sh(self, script, *words, input="", check=True):
        """Runs a script as root there; returns its output."""
        return self.lab.on("login", "sh", "-euc", script, "sh", *words, input=input, check=check).stdout

    # --- the admin ---

    def ansible(self, module="sshd_forwarding", options=(), env=(), **arguments):
        """The module as an admin runs it, over ssh."""
        words = ["env", *env, "ansible", "lab", "-m", f"sciviz.paraview.{module}", *options]
        words += ["-a", json.dumps(arguments)] if arguments else []
        done = self.lab.on("workstation", *words, check=False, timeout=120)
        found = re.search(r"^lab \| \S+ => (\{.*^\})", done.stdout, re.MULTILINE | re.DOTALL)
        assert found, done.stdout + done.stderr
        return Answer(done.returncode, json.loads(found[1]), done.stdout + done.stderr)

    def module(self, module="sshd_forwarding", under=(), check_mode=False, **arguments):
        """The module as Ansible runs it there, without the way to it."""
        given = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check_mode, **arguments}})
        words = (*under, "python3", "-m", f"ansible_collections.sciviz.paraview.plugins.modules.{module}")
        done = self.lab.on("login", "env", f"PYTHONPATH={UNPACKED}", *words, input=given, check=False, timeout=120)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return Answer(done.returncode, json.loads(lines[-1]) if lines else None, done.stdout + done.stderr)

    def set(self, **arguments):
        """A policy set or taken away, which has to succeed; returns the result."""
        done = self.module(**arguments)
        assert done.code == 0, done.text
        return done.result

    def refused(self, done):
        """The lines of a module's error, which has to be one that an admin can read."""
        assert done.code and done.result and "msg" in done.result, done.text
        assert "Traceback" not in done.text
        lines = done.result["msg"].splitlines()
        assert 1 < len(lines) <= 3, lines
        return lines

    # --- the node ---

    def state(self):
        """Everything below /etc/ssh by name, kind, mode, owner and content, and whatever lies elsewhere for a while."""
        return self.sh(r"""
            cd /etc/ssh
            find . -printf '%p %y %m %u:%g %l\n' | sort
            find . -type f -exec sha256sum {} + | sort
            ls -d /run/sciviz-paraview* /var/lib/sciviz-paraview* /run/sshd-* 2>/dev/null || true
            systemctl list-units --all --plain --no-legend 'paraview-sshd-*'""")

    def pid(self):
        return self.sh("systemctl show -p MainPID --value ssh").strip()

    def put(self, path, text):
        self.sh('mkdir -p "$(dirname "$1")"; cat >"$1"; chmod 644 "$1"', path, input=text)

    def reload(self):
        """Has sshd read its files, as somebody else would, and waits until it serves by them."""
        self.sh("""
            listener() { ss -Hltne 'sport = :22' | grep -o 'ino:[0-9]*' | sort | tr -d '\\n'; }
            before=$(listener)
            systemctl reload ssh
            for _ in $(seq 200); do
                now=$(listener)
                [ -z "$now" ] || [ "$now" = "$before" ] || exit 0
                sleep 0.05
            done
            exit 1""")

    def restore(self):
        """The node as it was, whatever a test did to it."""
        self.sh(f"""
            systemctl stop paraview-sshd-rollback.timer 2>/dev/null || true
            rm -rf /var/lib/sciviz-paraview /run/sciviz-paraview-sshd.* /tmp/sshd-*
            rsync -a --delete {SAVED}/ /etc/ssh/""")
        self.reload()

    # --- its users ---

    def logs_in(self, user="alice"):
        done = self.lab.on("workstation", *SSH, "login", "echo", "here", user=user, check=False)
        return done.stdout == "here\n" or done.stderr

    def local(self, user="alice", target=INSIDE):
        """Whether sshd brings a user to a place, by the kind of channel that -L has as well; in a new login."""
        done = self.lab.on("workstation", *SSH, "-W", target, "login", user=user, check=False)
        assert done.stdout.startswith("SSH-") is not ("administratively prohibited" in done.stderr), done.stdout + done.stderr
        return done.stdout.startswith("SSH-")

    def remote(self, user="alice", bind="127.0.0.1:0"):
        """Whether sshd grants a remote forward (-R); in a new login."""
        request = ("-o", "ExitOnForwardFailure=yes", "-R", f"{bind}:127.0.0.1:9")
        done = self.lab.on("workstation", *SSH, *request, "login", "true", user=user, check=False)
        assert done.returncode == 0 or "remote port forwarding failed" in done.stderr, done.stderr
        return done.returncode == 0

    def sound(self, pid):
        """What has to hold however a change ended: a valid configuration, the same daemon, a new login."""
        self.sh("/usr/sbin/sshd -t")
        # A reload that was asked for may still be under way.
        self.lab.wait(lambda: self.sh("systemctl is-active ssh || :") == "active\n", 30, "sshd runs")
        assert self.pid() == pid
        assert self.logs_in() is True


@pytest.fixture(scope="module")
def site(lab):
    """A fresh login node with a group that alice is in, and the modules unpacked there."""
    lab.sshd_policy("login", None)
    node = Node(lab)
    node.sh(f"groupadd -f {GROUP}; gpasswd -a alice {GROUP}; rm -rf {SAVED}; cp -a /etc/ssh {SAVED}")
    library = "$(python3 -c 'import ansible, os; print(os.path.dirname(os.path.dirname(ansible.__file__)))')"
    collections = "/usr/share/ansible/collections ansible_collections/sciviz/paraview/plugins"
    # Ansible's python is that of its own first line.
    lab.on("workstation", "sh", "-euc", f"""
        python3() {{ $(sed -n '1s/^#!//p' "$(command -v ansible)") "$@"; }}
        tar -c --exclude=__pycache__ -C {library} ansible/module_utils -C {collections} | ssh login.lab.example '
            rm -rf {UNPACKED}; mkdir {UNPACKED}; tar -x -C {UNPACKED}; touch {UNPACKED}/ansible/__init__.py'""")
    try:
        # All that Python writes for itself is there before the calls of a run are counted.
        node.set(**REMOTE_ALONE, confirm=300)
        node.module("sshd_forwarding_confirm", new_login=False)
        node.set(**ABSENT)
        yield node
    finally:
        node.sh(f"groupdel {GROUP}; rm -rf {SAVED} {UNPACKED} {TRACE}")
        lab.sshd_policy("login", None)


@pytest.fixture
def node(site):
    yield site
    site.restore()


# --- what it is for ---


def test_for_a_group_and_back(node):
    before, pid = node.state(), node.pid()
    tried = node.ansible(options=("--check", "--diff"), **REMOTE_ALONE)
    assert tried.result["changed"]
    assert [one[1:] for one in tried.text.splitlines() if one.startswith("+") and "+++" not in one][1:] == [
        f"Match Group {GROUP}", "    AllowTcpForwarding remote"]
    assert f"+++ after: {OURS}" in tried.text
    assert node.state() == before
    assert node.local()

    done = node.ansible(**REMOTE_ALONE)
    assert (done.code, done.result["place"], done.result["reloaded"]) == (0, f"drop-in {OURS}", True)
    assert [(one["path"], one["action"]) for one in done.result["files"]] == [(OURS, "created")]
    assert done.result["connections"][0]["about"] == "alice (matches the policy)"
    assert not node.local()
    assert node.remote()
    assert node.local("bob") and node.remote("bob")
    assert node.sh(f"stat -c '%a %U:%G' {OURS}") == "644 root:root\n"

    assert node.ansible(**REMOTE_ALONE).result["changed"] is False
    assert node.ansible(**ABSENT).result["changed"] is True
    assert node.state() == before
    assert node.local()
    assert node.pid() == pid


def test_for_a_user_at_an_address(node):
    before = node.state()
    # The second one is for alice as well, but does not come from there.
    elsewhere = {"name": "elsewhere", "match": {"User": "alice", "Address": "198.18.2.0/24"}, "allow_tcp_forwarding": False}
    here = {"name": "here", "match": {"User": "alice", "Address": "198.18.1.0/24"}, "permit_open": ["compute2:22"], "gateway_ports": False}
    node.set(**elsewhere)
    assert node.local() and node.remote(bind="*:0")
    node.set(**here)
    assert node.local(target="compute2:22")
    assert not node.local()
    assert node.local("bob")
    assert node.module(**elsewhere).result["changed"] is node.module(**here).result["changed"] is False
    node.set(name="elsewhere", state="absent")
    assert node.set(name="elsewhere", state="absent")["changed"] is False
    assert not node.local()
    node.set(name="here", state="absent")
    assert node.state() == before
    assert node.local()


def test_copies_are_kept_where_neither_sshd_nor_ssh_reads_them(node):
    before = node.state()
    # As on systems whose sshd reads every file of the directory.
    node.sh(f"sed -i 's,^Include .*,Include {DROP_INS}/*,' {MAIN}")
    start = node.state()
    node.set(**REMOTE_ALONE, backup=True)
    ours = node.sh(f"ls {DROP_INS}/*sciviz*").strip()
    old = node.sh(f"cat {ours}")
    done = node.set(**{**REMOTE_ALONE, "allow_tcp_forwarding": "no"}, backup=True)
    copy = done["files"][0]["backup_file"]
    assert copy.startswith("/var/lib/sciviz-paraview/sshd-backups" + ours)
    assert node.sh('cat "$1"', copy) == old
    assert not node.sh("find /etc -name '*sciviz*~'")
    assert not node.remote()
    node.set(**ABSENT, backup=True)
    assert node.local() and node.remote()
    node.sh("rm -r /var/lib/sciviz-paraview")
    assert node.state() == start
    node.sh(f"sed -i 's,^Include .*,Include {DROP_INS}/*.conf,' {MAIN}")
    assert Counter(node.state().split()) == Counter(before.split())


@pytest.mark.everywhere
def test_a_rule_for_the_site_one_for_a_group_and_a_user_more(node):
    """In any order, and with an sshd of each generation."""
    before = node.state()
    policies = {"site": {"allow_tcp_forwarding": "no"}, "viz": {"match": {"Group": GROUP}, "allow_tcp_forwarding": "local"},
                "more": {"match": {"User": "bob"}, "allow_tcp_forwarding": "yes"}}
    for order in (("site", "viz", "more"), ("more", "viz", "site")):
        for name in order:
            node.set(name=name, **policies[name])
        assert (node.local(), node.remote(), node.local("bob"), node.remote("bob")) == (True, False, True, True)
        for name in order:
            assert node.module(name=name, **policies[name]).result["changed"] is False
        found = node.module("sshd_forwarding_info", connections=[{"user": "alice"}, {"user": "bob"}, {"user": "carol"}]).result["connections"]
        assert [one["origins"]["allow_tcp_forwarding"]["policy"] for one in found] == ["viz", "more", "site"]
        assert [one["policies"] for one in found] == [["viz", "site"], ["more", "site"], ["site"]]
        for name in order:
            node.set(name=name, state="absent")
        assert node.state() == before
    assert node.remote()


def test_a_drop_in_spoilt_by_hand_is_mended(node):
    before = node.state()
    node.set(**REMOTE_ALONE)
    node.sh(f"echo 'AllowTcpForwarding perhaps' >>{OURS}")
    assert node.set(**REMOTE_ALONE)["changed"]
    assert not node.local()
    node.sh(f"echo 'AllowTcpForwarding perhaps' >>{OURS}")
    node.set(**ABSENT)
    assert node.state() == before


# --- what lives on ---


@contextlib.contextmanager
def running(lab, host, *words, user="alice"):
    """A command there, in the background, ended with the block."""
    with lab.start(host, *words, user=user, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()


def test_sessions_and_forwards_survive(node):
    lab, pid = node.lab, node.pid()
    echo = ("socat", "TCP-LISTEN:41941,bind=127.0.0.1,fork,reuseaddr", "EXEC:cat")
    forwards = ("-N", "-o", "ExitOnForwardFailure=yes", "-L", "127.0.0.1:41942:127.0.0.1:41941", "-R", "127.0.0.1:41943:127.0.0.1:41941")
    with contextlib.ExitStack() as stack:
        def run(*words, **options):
            return stack.enter_context(running(lab, *words, **options))

        def listens(host, port):
            lab.wait(lambda: lab.on(host, "ss", "-Hltn", f"sport = :{port}").stdout)

        for host in ("login", "workstation"):
            run(host, *echo)
            listens(host, 41941)
        run("workstation", *SSH, *forwards, "login")
        listens("workstation", 41942)
        listens("login", 41943)
        session = run("workstation", *SSH, "login", "cat")
        there = run("workstation", "nc", "-n", "127.0.0.1", "41942")
        back = run("login", "nc", "-n", "127.0.0.1", "41943")

        def passes(word):
            for process in (session, there, back):
                process.stdin.write(word + "\n")
                process.stdin.flush()
                assert process.stdout.readline() == word + "\n"

        passes("before")
        node.set(name="viz", match={"Group": GROUP}, disable_forwarding=True)
        assert not node.local() and not node.remote()
        passes("with the policy")
        node.set(**ABSENT)
        assert node.local() and node.remote()
        passes("without it")
    assert node.pid() == pid


# --- faults ---

# Name: what breaks it, what repairs it, the arguments, what the error names; the script has the state in which nothing may change.
FULL = f"mount -t tmpfs -o size=64k,mode=755 lab-full {DROP_INS}; cp -a {SAVED}/sshd_config.d/. {DROP_INS}; cat /dev/zero >{DROP_INS}/full 2>/dev/null || true"
NO_INODE = f"mount -t tmpfs -o nr_inodes=3,mode=755 lab-full {DROP_INS}; cp -a {SAVED}/sshd_config.d/. {DROP_INS}; : >{DROP_INS}/full"
NO_INCLUDE = f"sed -i /^Include/d {MAIN}"
UNIT = "/run/systemd/system/ssh.service.d"
NO_RELOAD = f"mkdir -p {UNIT}; printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' >{UNIT}/lab.conf; systemctl daemon-reload"
FAULTS = {
    "sshd is not where it is said to be": ("true", "true", {"sshd": "/nonexistent/sshd"}, "/nonexistent/sshd"),
    "sshd is missing": ("mv /usr/sbin/sshd /usr/sbin/sshd.away", "mv /usr/sbin/sshd.away /usr/sbin/sshd", {}, "sshd is not installed"),
    "a file of others is broken": (f"printf '\\nAllowTcpForwarding perhaps\\n' >{DROP_INS}/60-broken.conf", f"rm {DROP_INS}/60-broken.conf", {},
                                   f"{DROP_INS}/60-broken.conf line 2"),
    "disk full": (FULL, f"umount {DROP_INS}", {}, "No space left on device"),
    "no inode left": (NO_INODE, f"umount {DROP_INS}", {}, "No space left on device"),
    "read-only": ("mount --bind /etc/ssh /etc/ssh; mount -o remount,bind,ro /etc/ssh", "umount /etc/ssh", {}, "Read-only file system"),
    "immutable": (f"{NO_INCLUDE}; chattr +i {MAIN}", f"chattr -i {MAIN}", {}, "immutable"),
    "immutable directory": (f"chattr +i {DROP_INS}", f"chattr -i {DROP_INS}", {}, "immutable"),
    "mounted file": (f"{NO_INCLUDE}; mount --bind {MAIN} {MAIN}", f"umount {MAIN}", {}, "busy"),
    "reload fails": (NO_RELOAD, f"rm -r {UNIT}; systemctl daemon-reload", {}, "the old files were restored"),
    "forwarding disabled by another": (f"printf '\\n\\nMatch User alice\\n DisableForwarding yes\\n' >{DROP_INS}/60-site.conf", f"rm {DROP_INS}/60-site.conf",
                                       {"allow_tcp_forwarding": "yes"}, f"{DROP_INS}/60-site.conf:4 (DisableForwarding yes)"),
    "no such group": ("true", "true", {"match": {"Group": "no-such-group"}}, "no-such-group"),
    "override forbidden": (f"printf 'Match User alice\\n AllowTcpForwarding local\\n' >{DROP_INS}/60-site.conf", f"rm {DROP_INS}/60-site.conf",
                           {"override": False}, f"{DROP_INS}/60-site.conf:2"),
}


ALIKE = ("no inode left", "immutable directory", "mounted file", "no such group", "sshd is missing", "immutable", "read-only")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.torture] * (name in ALIKE)) for name in FAULTS])
def test_faults_change_nothing(node, name):
    breaks, repair, arguments, named = FAULTS[name]
    pid = node.pid()
    node.sh(breaks)
    try:
        before = node.state()
        lines = node.refused(node.module(**{**REMOTE_ALONE, **arguments}))
        assert named in "\n".join(lines)
        assert unmarked(node.state()) == before
        assert node.pid() == pid
        # sshd starts itself for each login.
        assert name == "sshd is missing" or node.logs_in() is True
    finally:
        node.sh(repair)
    node.sound(pid)
    # Where sshd could not be told, the next run tells it, and is a change.
    assert node.module(**ABSENT).result["changed"] is (name == "reload fails")
    assert node.state() == unmarked(node.state())
    assert node.local()


def unmarked(state):
    """A state without the mark that sshd still has to read its files."""
    return re.sub(r"(?m)^/run/sciviz-paraview-sshd\..*\n", "", state)


def test_a_fault_as_ansible_tells_it(node):
    node.put(f"{DROP_INS}/60-broken.conf", "GatewayPorts perhaps\n")
    before = node.state()
    lines = node.refused(node.ansible(options=("--check",), **REMOTE_ALONE))
    assert f"{DROP_INS}/60-broken.conf line 1" in lines[1]
    node.refused(node.ansible("sshd_forwarding_info"))
    assert node.state() == before


def test_the_policy_stays_where_it_cannot_be_taken_away(node):
    pid = node.pid()
    node.set(**REMOTE_ALONE)
    before = node.state()
    node.sh(f"chattr +i {DROP_INS}")
    try:
        node.refused(node.module(**ABSENT))
    finally:
        node.sh(f"chattr -i {DROP_INS}")
    assert node.state() == before
    node.sound(pid)
    assert node.set(**REMOTE_ALONE)["changed"] is False
    assert not node.local()


# --- killed ---

CALLS = "openat,write,close,fchown,fchmod,fsync,rename,unlink,mkdir,rmdir,vfork,clone,clone3"


def points(node, arguments):
    """The calls of a run, from the first that leaves a trace on the node: a kill comes in front of each."""
    done = node.module(under=("strace", "-o", TRACE, "-e", f"trace={CALLS}"), **arguments)
    assert done.code == 0, done.text
    counts, found, begun, opened, last = Counter(), [], False, "", ""
    for line in node.sh(f"cat {TRACE}").splitlines():
        call = re.match(r"(\w+)\(", line)
        if not call:
            continue
        call = call[1]
        counts[call] += 1
        opened = line if call == "openat" else opened
        begun = begun or "/run/sciviz-paraview" in line or "/var/lib/sciviz-paraview" in line
        copy = "/tmp/" in line or (call == "write" and "/tmp/" in opened)
        known = call != "openat" or re.search(r'"/(etc/ssh|run/sciviz|var/lib/sciviz|proc/\d+/stat)', line)
        if begun and not copy and known and (call != "close" or last in ("vfork", "clone", "clone3")):
            found.append(Point(call, counts[call], line))
        last = call
    return found


def telling(found):
    """Those of the points that differ most: around the first file put in place, during the reload, and at the end."""
    put = next(number for number, point in enumerate(found) if point.call in ("rename", "unlink"))
    starts = [number for number, point in enumerate(found) if point.call in ("vfork", "clone", "clone3")]
    last = max(number for number, point in enumerate(found) if point.call == "unlink")
    return [found[number] for number in sorted({put, put + 1, starts[-2] + 1, last})]


CHANGES = {
    "new drop-in": ((), {}),
    "another value": ("set", {"allow_tcp_forwarding": "local"}),
    "main file": ("main", {}),
    "two files": ("match first", {}),
    "taken away": ("absent", {}),
    "with a timer": ((), {"confirm": 300}),
}


@pytest.mark.parametrize(("name", "every"), [
    *(pytest.param(name, True, marks=pytest.mark.torture) for name in CHANGES),
    ("new drop-in", False), *(pytest.param(name, False, marks=pytest.mark.torture) for name in ("main file", "taken away")),
])
def test_killed_at_every_step(node, name, every):
    kind, more = CHANGES[name]
    wanted = {**REMOTE_ALONE, "allow_tcp_forwarding": "no", **more}
    run = ABSENT if kind == "absent" else wanted
    if kind == "main":
        node.sh(NO_INCLUDE)
    if kind == "match first":
        # A Match of another at the head: an included file goes before it.
        node.sh(f"{NO_INCLUDE}; sed -i '1i Match User alice\\n AllowTcpForwarding yes\\nMatch all' {MAIN}")
    node.reload()
    fresh, pid = node.state(), node.pid()

    def prepare():
        if kind in ("set", "absent"):
            node.set(**REMOTE_ALONE)

    def clean_up():
        if wanted.get("confirm"):
            node.module("sshd_forwarding_confirm", new_login=False)
        node.set(**ABSENT)
        assert node.state() == fresh, point
        node.sh("rm -rf /tmp/sshd-*")

    point = "nowhere"
    prepare()
    all_points = points(node, run)
    clean_up()
    chosen = sorted({*all_points[::1 + len(all_points) // 40], *telling(all_points)}, key=all_points.index) if every else telling(all_points)
    assert len(chosen) > 3
    for point in chosen:
        prepare()
        done = node.module(under=("strace", "-o", TRACE, "-e", f"trace={CALLS}", "-e", f"inject={point.call}:signal=SIGKILL:when={point.number}"), **run)
        assert done.code == 137, (point, done.text)
        node.sound(pid)
        if wanted.get("confirm"):
            # What the next run changes without a timer of its own is not undone by one that was begun.
            again = node.module(**{**run, "confirm": 0})
            assert not (again.result.get("files") and "paraview-sshd-rollback" in node.state()), (point, again.text)
        result = node.set(**run)
        assert (node.local(), node.remote()) == {"absent": (True, True), "set": (True, False)}.get(kind, (False, False)), (point, result)
        if not wanted.get("confirm"):
            assert node.set(**run)["changed"] is False, point
        clean_up()
    assert node.pid() == pid


# --- confirmed or taken back ---


def test_taken_back_by_itself(node):
    before, pid = node.state(), node.pid()
    node.set(**REMOTE_ALONE, confirm=7)
    assert node.state() != before
    assert not node.local()
    done = node.module(**{**REMOTE_ALONE, "allow_tcp_forwarding": "no"})
    assert "waits for its confirmation" in node.refused(done)[0]
    node.lab.wait(lambda: node.state() == before, 30, "the old files and no trace of the timer")
    node.sound(pid)
    assert node.local()
    assert node.module("sshd_forwarding_confirm", new_login=False).result["confirmed"] is False


def test_confirmed_over_a_new_login_alone(node):
    before = node.state()
    node.ansible(**REMOTE_ALONE, confirm=300)
    assert "paraview-sshd-rollback.timer" in node.state()
    refused = node.refused(node.ansible("sshd_forwarding_confirm"))
    assert refused[0] == "this login is older than the change"
    assert "paraview-sshd-rollback.timer" in node.state()
    anew = {"env": ("ANSIBLE_SSH_ARGS=-o ControlMaster=no",)}
    assert node.ansible("sshd_forwarding_confirm", **anew).result["confirmed"] is True
    assert node.module("sshd_forwarding_confirm").result["changed"] is False
    assert not node.local()
    node.set(**REMOTE_ALONE)
    node.set(**ABSENT)
    assert node.state() == before


def test_a_change_that_failed_arms_nothing(node):
    before = node.state()
    node.sh(NO_RELOAD)
    try:
        node.refused(node.module(**REMOTE_ALONE, confirm=300))
    finally:
        node.sh(FAULTS["reload fails"][1])
    assert unmarked(node.state()) == before
    assert node.local()


# --- beside others ---


def shaped(name):
    """Files as another collection writes them, such that the lab's root and its host keys go on to work, by path."""
    root = FIXTURES / name / "root"
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and "sshd_config" in str(path):
            text = path.read_text().replace("PermitRootLogin no\n", "PermitRootLogin prohibit-password\n").replace("ssh_host_rsa_key", "ssh_host_ecdsa_key")
            text = text.replace("/usr/libexec/openssh/sftp-server", "/usr/lib/openssh/sftp-server")
            found["/" + str(path.relative_to(root))] = re.sub("(?m)^(RevokedKeys|Include /etc/crypto-policies|GSSAPI).*\n", "", text)
    return found


# Lines of theirs that say otherwise of a member of the group.
SHAPES = {"devsec": [74], "devsec-match": [79], "willshersystems": [23, 24], "willshersystems-dropin": [6], "willshersystems-namespace": []}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.torture] * (name != "devsec")) for name in SHAPES])
def test_beside_others(node, name):
    theirs = shaped(name)
    ours = {"name": "viz", "match": {"Group": GROUP}, "allow_tcp_forwarding": "local", "permit_open": [INSIDE]}
    pid = node.pid()
    node.set(**ours)
    for _dummy in range(2):  # theirs after ours, and once more
        for path, text in theirs.items():
            node.put(path, text)
        node.reload()
        overridden = not node.local() or node.local(target="compute2:22")
        done = node.set(**ours)
        assert done["changed"] or not overridden
        assert [one["line"] for one in done["overrides"]] == SHAPES[name]
        for one in done["overrides"]:
            assert theirs[one["file"]].splitlines()[one["line"] - 1].split() == [one["keyword"], one["value"]]
        assert node.local() and not node.local(target="compute2:22") and not node.remote()
        assert node.set(**ours)["changed"] is False
    bob = node.module("sshd_forwarding_info", connections=[{"user": "bob", "addr": "198.18.1.10"}]).result["connections"][0]["policy"]
    assert node.local("bob") is (bob["allow_tcp_forwarding"] in ("yes", "local") and bob["permit_open"] == "any")
    node.set(**ABSENT)
    for path, text in theirs.items():
        assert node.sh('cat "$1"', path) == text
    assert node.sh("find /etc/ssh /run -name '*sciviz-paraview*'") == ""
    assert node.pid() == pid


def test_a_global_policy_beside_a_role_that_sorts_first(node):
    node.put(f"{DROP_INS}/00-ansible_system_role.conf", "#\n# system_role:sshd\nAllowTcpForwarding no\nMatch User bob\n  AllowTcpForwarding remote\n")
    node.reload()
    assert not node.local()
    ours = {"name": "everybody", "allow_tcp_forwarding": "local"}
    assert f"{DROP_INS}/00-ansible_system_role.conf:3" in "\n".join(node.refused(node.module(**ours, override=False)))
    done = node.set(**ours)
    assert [(one["file"], one["line"]) for one in done["overrides"]] == [(f"{DROP_INS}/00-ansible_system_role.conf", 3)]
    assert re.search("does not hold for Match User bob .*00-ansible_system", json.dumps(done["warnings"]))
    assert [(one["match_line"], one["line"], one["value"]) for one in done["exceptions"]] == [(4, 5, "remote")]
    assert node.local() and not node.remote()
    assert not node.local("bob") and node.remote("bob")


# --- sshd_forwarding_info ---


def test_info_tells_file_and_line(node):
    node.put(f"{DROP_INS}/60-site.conf", "# of the site\nMatch User alice\n\tPermitOpen compute1:22\n\n  PermitListen=127.0.0.1:*\n")
    node.sh(f"printf '\\n  allowstreamlocalforwarding no # of the main file' >>{MAIN}")
    last = len(node.sh(f"cat {MAIN}").splitlines())
    done = node.ansible("sshd_forwarding_info", connections=[{"user": "alice"}, {"user": "bob"}])
    assert (done.code, done.result["changed"]) == (0, False)
    alice, bob = done.result["connections"]

    def line(file, number, text):
        return {"file": file, "line": number, "text": text, "policy": ""}

    everybody = {"gateway_ports": line(f"{DROP_INS}/50-lab.conf", 1, "GatewayPorts clientspecified"),
                 "allow_stream_local_forwarding": line(MAIN, last, "allowstreamlocalforwarding no # of the main file")}
    match = {"permit_open": line(f"{DROP_INS}/60-site.conf", 3, "PermitOpen compute1:22"),
             "permit_listen": line(f"{DROP_INS}/60-site.conf", 5, "PermitListen=127.0.0.1:*")}
    assert bob["origins"] == everybody
    assert alice["origins"] == {**everybody, **match}
    assert (alice["policy"]["permit_open"], bob["policy"]["permit_open"]) == (INSIDE, "any")
    assert done.result["files"] == [MAIN, f"{DROP_INS}/50-lab.conf", f"{DROP_INS}/60-site.conf"]
