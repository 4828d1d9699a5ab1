"""Many hosts in one run, whatever forks is: each session drives itself, and one asker and one login serve all of them."""

import json
import re
import signal

import pytest
from desk import Desk
from test_login import logins

HOSTS = [f"h{number:02}" for number in range(10)]
#: Jobs of one core that run at once on the lab's two nodes.
PLACES = 4
PVSERVER = "xvfb-run -a -s -noreset pvserver"


@pytest.fixture
def ten(desk):
    """alice's inventory has ten hosts in a group, all of them the same login node."""
    hosts = {name: {"ansible_host": "login.lab.example", "paraview_pvserver": PVSERVER} for name in HOSTS}
    desk.run("sh", "-c", "printf %s \"$1\" > ten.yml", "sh", json.dumps({"all": {"children": {"viz": {"hosts": hosts}}}}))
    yield desk
    desk.run("rm", "-f", "ten.yml")


def words(playbook, *more, host="viz", **settings):
    """The words of an ansible-playbook command with that inventory."""
    line = Desk.words(playbook, host, **settings)
    return [line[0], "-i", "ten.yml", *more, *line[1:]]


def states(desk):
    """The sessions' states, by host."""
    desk.run(*words("status", host=None))
    return {one["host"]: one["state"] for one in desk.reports()}


def once(desk, condition, seconds=90):
    """dict: the sessions' states, once they fulfil a condition."""
    found = {}

    def look():
        found.clear()
        found.update(states(desk))
        return condition(list(found.values()))

    try:
        desk.lab.wait(look, seconds, "the sessions' states")
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}, reasons: {[one['reason'] for one in desk.reports()]}") from None
    return found


def settle(desk):
    """dict: the sessions' states, once as many are ready as there are places, and the others wait in the queue."""
    return once(desk, lambda found: sorted(found) == ["pending"] * (10 - PLACES) + ["ready"] * PLACES)


def jobs_of(desk):
    return desk.lab.on("login", "squeue", "-h", "-u", "alice", "-o", "%i").stdout.split()


def until_all_are_submitted(desk, process):
    """Reads a connect's output until all hosts have their jobs."""
    assert any("submitted" in line and len(jobs_of(desk)) == len(HOSTS) for line in process.stdout)


@pytest.mark.parametrize("forks", ["1", pytest.param("5", marks=pytest.mark.torture)])
def test_ten_hosts_of_which_six_wait(ten, forks):
    """Those whose jobs run are ready although the others wait, and Ctrl-C ends all of them."""
    before = logins(ten.lab)
    process = ten.lab.start("workstation", *words("connect", "-f", forks), user="alice")
    ready, waits = set(), set()
    for line in process.stdout:
        host, _colon, text = line.partition(": ")
        ready |= {host} if text.startswith("ready after") else set()
        waits |= {host} if " pending, " in text else set()
        if len(ready) == PLACES and len(waits) >= 10 - PLACES:
            break
    assert not ready & (waits - ready) and ready | waits == set(HOSTS)
    assert logins(ten.lab) == before + 1, "one login serves them all"
    settle(ten)
    ten.lab.on("workstation", "pkill", "-INT", "-u", "alice", "-f", "bin/ansible-playbook")
    process.wait(60)
    once(ten, lambda found: found == ["ready"] * PLACES)
    assert len(jobs_of(ten)) == PLACES
    done = ten.run(*words("disconnect"))
    assert done.stdout.count("has left the queue") == PLACES
    ten.nothing_left()


def test_a_killed_playbook_leaves_each_session_where_it_is(ten):
    process = ten.lab.start("workstation", *words("connect"), user="alice")
    until_all_are_submitted(ten, process)
    ten.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-f", "bin/ansible-playbook")
    process.wait(30)
    found = settle(ten)
    one = next(host for host, state in found.items() if state == "ready")
    again = ten.run(*words("connect", host=one))
    assert f"{one}: ready after" in again.stdout
    ended = next(host for host, state in found.items() if state == "pending")
    ten.run(*words("disconnect", host=ended))
    assert len(jobs_of(ten)) == 9
    ten.run(*words("disconnect"))
    ten.nothing_left()


@pytest.mark.torture
def test_a_killed_daemon_disturbs_no_other_session(ten):
    process = ten.lab.start("workstation", *words("connect", "-f", "10"), user="alice")
    until_all_are_submitted(ten, process)
    victim = next(host for host in HOSTS if ten.record(host)["users_own_master"])
    job = ten.record(victim)["job_id"]
    ten.lab.on("workstation", "kill", "-KILL", str(ten.record(victim)["daemon"][0]))
    line = next(line for line in process.stdout if line.startswith(f"{victim}: the session of"))
    assert "was ended" in line
    assert job in jobs_of(ten), "the job keeps its place"
    found = once(ten, lambda found: found.count("ready") >= PLACES - 1)
    assert found[victim] == "unknown" and set(found.values()) <= {"unknown", "ready", "pending"}
    ten.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-f", "bin/ansible-playbook")
    process.wait(30)
    ten.run(*words("disconnect"))
    ten.nothing_left()


@pytest.mark.torture
def test_connections_that_are_lost_end_no_job(ten):
    """Every ssh on the workstation is killed while four sessions are ready and six wait: the four reconnect, and each job keeps its place."""
    process = ten.lab.start("workstation", *words("connect", "-f", "10"), user="alice")
    until_all_are_submitted(ten, process)
    settle(ten)
    jobs = jobs_of(ten)
    ten.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-x", "ssh")
    once(ten, lambda found: found.count("ready") == PLACES)
    assert jobs_of(ten) == jobs
    ten.lab.on("workstation", "pkill", "-KILL", "-u", "alice", "-f", "bin/ansible-playbook", check=False)
    process.wait(30)
    ten.run(*words("disconnect"), timeout=240)
    ten.nothing_left()


@pytest.fixture
def open_login_node(lab):
    """The login node lets users run pvserver on it."""
    lab.on("login", "sh", "-c", "mkdir -p /etc/paraview-connect && echo 'pvserver_on_login_node: true' > /etc/paraview-connect/site.yml")
    yield
    lab.on("login", "rm", "-r", "/etc/paraview-connect")
    lab.on("login", "systemctl", "start", "ssh")


@pytest.mark.usefixtures("open_login_node")
def test_ten_sessions_are_back_after_sshd_was_stopped(ten):
    ten.run(*words("connect", "-f", "10", scheduler="none"), timeout=300)
    assert states(ten) == dict.fromkeys(HOSTS, "ready")
    ten.lab.on("login", "sh", "-c", "systemctl stop ssh; pkill -KILL -u alice sshd")
    ten.lab.wait(lambda: all(ten.record(host).get("lost_at") for host in HOSTS), 60, "each session notices it")
    ten.lab.on("login", "systemctl", "start", "ssh")

    def back():
        ten.run(*words("status", host=None))
        return [(one["lifeline"]["state"], bool(one["lifeline"]["losses"])) for one in ten.reports()] == [("connected", True)] * len(HOSTS)
    ten.lab.wait(back, 120, "all sessions are back")
    assert "throttling" not in ten.lab.on("login", "sh", "-c", "journalctl -u ssh --since -5min || cat /var/log/auth.log").stdout
    ten.run(*words("disconnect"), timeout=240)
    ten.nothing_left()


def test_one_bad_host_disturbs_no_other(desk):
    """One does not exist, one does not answer, one refuses the login: the others are ready, and each has its own result."""
    good = {"ansible_host": "login.lab.example", "paraview_pvserver": PVSERVER}
    hosts = {"one": good, "two": good, "gone": {"ansible_host": "no-such-host.lab.example"}, "mute": {"ansible_host": "198.18.1.77", "ansible_ssh_timeout": 3},
             "closed": dict(good, ansible_user="bob", ansible_ssh_common_args="-oPasswordAuthentication=no -oKbdInteractiveAuthentication=no"),
             "wrong": dict(good, paraview_nodes=0)}
    desk.run("sh", "-c", "printf %s \"$1\" > ten.yml", "sh", json.dumps({"all": {"children": {"viz": {"hosts": hosts}}}}))
    done = desk.run(*words("connect", "-f", "1"), check=False)
    assert done.returncode == 2
    reports = {one["host"]: one for one in desk.reports()}
    assert {name: one["state"] for name, one in reports.items()} == {
        "one": "ready", "two": "ready", "gone": "failed", "mute": "failed", "closed": "failed", "wrong": "failed"}
    for name in ("gone", "mute", "closed", "wrong"):
        assert re.search(rf"^{name} .*failed=1 ", done.stdout, re.M)
    for name in ("one", "two"):
        assert re.search(rf"^{name} .*failed=0 ", done.stdout, re.M)
    desk.run(*words("disconnect"), check=False)
    desk.run("rm", "-f", "ten.yml")
    desk.nothing_left()


# --- one connection for several sessions ---


PAIR = {name: {"ansible_host": "login.lab.example", "paraview_pvserver": PVSERVER} for name in ("one", "two")}


@pytest.fixture
def pair(desk):
    desk.run("sh", "-c", "printf %s \"$1\" > ten.yml", "sh", json.dumps({"all": {"children": {"viz": {"hosts": PAIR}}}}))
    yield desk
    desk.run("rm", "-f", "ten.yml")


def test_a_second_session_rides_on_the_connection_of_the_first(pair):
    """The connection stays as long as one of them needs it, whichever ends first."""
    before = logins(pair.lab)
    pair.run(*words("connect", host="one"))
    pair.run(*words("connect", host="two"))
    assert logins(pair.lab) == before + 1
    pair.run(*words("disconnect", host="one"))
    pair.run(*words("status", host=None))
    (report,) = pair.reports()
    assert (report["host"], report["state"]) == ("two", "ready")
    assert pair.lab.on("login", "ss", "-Hltn", check=False).returncode == 0
    pair.client(report)
    pair.nothing_left()
    assert logins(pair.lab) == before + 1


@pytest.mark.torture
def test_where_sshd_allows_one_session_each_logs_in(pair):
    pair.lab.sshd_policy("login", "GatewayPorts clientspecified\nMaxSessions 1\n")
    try:
        before = logins(pair.lab)
        pair.run(*words("connect"))
        assert logins(pair.lab) == before + 2
        assert sorted(states(pair).values()) == ["ready", "ready"]
        pair.run(*words("disconnect"))
    finally:
        pair.lab.sshd_policy("login", None)
    pair.nothing_left()


@pytest.mark.torture
@pytest.mark.parametrize("step", ["route ", "submitted", "running on"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_playbook_that_ends_at_any_step(desk, step, number):
    """After Ctrl-C nothing is left. A playbook that is killed leaves a session that is ready some time later, or nothing if no job was submitted."""
    process = desk.lab.start("workstation", *desk.words("connect"), user="alice")
    next(line for line in process.stdout if step in line)
    desk.lab.on("workstation", "pkill", f"-{int(number)}", "-u", "alice", "-f", "bin/ansible-playbook")
    process.wait(30)
    desk.lab.wait(lambda: desk.record().get("state") in (None, "ready"), 60, "it has ended, or is ready")
    if number == signal.SIGINT:
        assert not desk.record() or desk.record()["owner"] is None, "it was handed over just then"
    assert desk.record() or not desk.jobs()
    desk.disconnect()
    desk.nothing_left()
