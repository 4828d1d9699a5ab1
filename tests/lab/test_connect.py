"""connect, disconnect and status, on a real cluster, as a scientist sees them."""

import json
import re
import signal
import time

import pytest
from desk import REPORT, STATE


def rendered_on_a_node(done, report):
    """A picture alone proves nothing: the server drew, had a renderer, and was where the job is."""
    assert "distributed True" in done
    assert f"server host {report['nodes'][0]}" in done
    assert int(re.search(r"capabilities (\d+)", done).group(1)) > 1
    assert int(re.search(r"cells (\d+)", done).group(1)) >= 1000000
    # One process on each node: pvserver's own are on the job's hosts, and each has drawn its part.
    assert f"ranks {' '.join(report['nodes'])}\n" in done
    assert f"drawn by ranks 0 {len(report['nodes']) - 1}\n" in done
    assert int(re.search(r"minutes left (\d+)", done).group(1)) > 0, "ParaView is told when the wall time is over"


# --- the two routes, with a real client ---


def test_forward_tunnel(desk):
    done = desk.connect(route="forward_tunnel")
    report = desk.report()
    lines = desk.lines(done)
    assert lines[:2] == [f"ParaView {desk.lab.series} here, {desk.lab.series} there", "route forward_tunnel"]
    assert re.match(r"job \d+ submitted: 1 node, 1 task, 1:00:00$", lines[2])
    assert f"job {report['job_id']} running on {report['nodes'][0]}" in lines
    assert lines[-1].startswith("ready after ")
    assert (report["state"], report["route"], report["host"], report["login_node"]) == ("ready", "forward_tunnel", "lab", "login")
    assert report["url"] == f"cs://127.0.0.1:{report['client_port']}"
    assert 3000 < report["time_left_s"] <= 3600

    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()
    desk.status()
    assert desk.report()["state"] == "ended"


def test_reverse_tunnel_starts_the_client_and_ends_with_it(desk):
    done = desk.connect(route="reverse_tunnel", start_client=desk.client_command("reverse"))
    report = desk.report()
    assert report["url"] == f"csrc://127.0.0.1:{report['client_port']}"
    assert report["state"] in ("connected", "ended")
    assert any("pvserver on" in line and "198.18.2.1:" in line for line in desk.lines(done))
    desk.nothing_left()
    rendered_on_a_node(desk.run("cat", f"{STATE}/lab/client.log").stdout, report)


@pytest.mark.torture
def test_forward_tunnel_starts_the_client(desk):
    desk.connect(route="forward_tunnel", start_client=desk.client_command("forward"))
    assert desk.report()["state"] in ("connected", "ended")
    desk.nothing_left()


@pytest.mark.torture
def test_reverse_tunnel_waits_for_a_client_before_pvserver_starts(desk):
    process = desk.lab.start("workstation", *desk.words("connect", route="reverse_tunnel", connect_id=77, reconnect=False), user="alice")
    line = next(line for line in process.stdout if "start the client now" in line)
    assert "--server-url=csrc://127.0.0.1:" in line
    assert "77" not in line.split("--connect-id")[1], "the connect-id is given by reference"
    record = desk.record()
    assert not record.get("go_file_written")
    assert not desk.lab.on("login", "sh", "-c", f"ls {record['remote_directory']}/go; true").stdout
    assert not [one for one in desk.processes(record["root_node"]) if "--reverse-connection" in one]
    report = {"connect_id": 77, "client_port": record["client_port"]}
    desk.client(report, way="reverse")
    assert process.wait(60) == 0
    desk.nothing_left()


@pytest.mark.torture
def test_auto_takes_the_next_route_where_sshd_forbids_the_first(desk):
    desk.lab.sshd_policy("login", "AllowTcpForwarding remote\nGatewayPorts clientspecified\n")
    try:
        done = desk.connect(start_client=desk.client_command("reverse"))
        forbidden = "node_tunnel, node_tunnel_reverse, forward_tunnel: sshd on login forbids local forwarding"
        assert f"route reverse_tunnel (passed over {forbidden})" in desk.lines(done)
        desk.nothing_left()
    finally:
        desk.lab.sshd_policy("login", None)


@pytest.mark.torture
def test_auto_takes_the_next_route_where_the_node_cannot_be_reached(desk):
    for node in ("compute1", "compute2"):
        desk.lab.path("close", "login", node)
        desk.lab.path("open", node, "login")
    try:
        words = desk.words("connect", route="forward_tunnel")
        done = desk.run(*words, check=False)
        assert done.returncode != 0
        assert "login cannot reach a port of compute" in done.stdout
    finally:
        desk.lab.path("reset")
    desk.nothing_left()


# --- what stays, what goes ---


def memory(desk, processes):
    """kB that these processes take."""
    pss = desk.lab.on("workstation", "sh", "-c", f"cat {' '.join(f'/proc/{line.split()[0]}/smaps_rollup' for line in processes)}").stdout
    return sum(int(kilobytes) for kilobytes in re.findall(r"^Pss: +(\d+) kB", pss, re.M))


def test_only_the_master_a_small_watcher_and_the_stub_stay(desk):
    desk.connect(route="forward_tunnel")
    stay = desk.processes("workstation")
    stub = [line for line in stay if "paraview-lifeline" in line]
    others = [line for line in stay if line not in stub]
    assert (len(stub), len(others)) == (1, 2), stay
    assert memory(desk, stub) < 20000
    assert memory(desk, others) < 20000
    assert not [one for one in desk.processes("login") if "/bin/sh" not in one and "sshd" not in one]
    desk.disconnect()
    assert not desk.left(), "all is gone as soon as disconnect returns"


@pytest.mark.torture
def test_disconnect_twice(desk):
    desk.connect()
    job = desk.report()["job_id"]
    assert f"job {job} has left the queue" in desk.disconnect().stdout
    assert desk.report()["state"] == "cancelled"
    again = desk.disconnect()
    assert "nothing to disconnect" in again.stdout
    assert "changed=0" in again.stdout
    assert desk.report()["state"] == "gone"


@pytest.mark.torture
def test_disconnect_from_the_record_alone(desk):
    desk.connect()
    record = desk.record()
    desk.lab.on("workstation", "kill", "-KILL", str(record["daemon"][0]))
    desk.lab.wait(lambda: not desk.masters(), 10, "the master ends with its daemon")
    desk.status()
    assert desk.report()["state"] == "unknown"
    desk.run("ansible-playbook", "-i", "/dev/null", *desk.words("disconnect")[1:])
    assert not desk.left()


@pytest.mark.parametrize("end", ["scancel", pytest.param("kill", marks=pytest.mark.torture)])
def test_everything_goes_when_the_job_ends(desk, end):
    desk.connect()
    report = desk.report()
    if end == "scancel":
        desk.lab.on("login", "scancel", report["job_id"], user="alice")
    else:
        desk.lab.on(report["nodes"][0], "pkill", "-KILL", "-u", "alice")
    desk.told_over()
    desk.nothing_left(30)
    desk.status()
    assert desk.report()["state"] in ("cancelled", "failed", "ended")
    assert desk.report()["reason"]


def test_a_job_that_is_killed_before_pvserver_runs(desk):
    """It reports no end of its own, and connect waits for that no longer than it has to."""
    process = desk.lab.start("workstation", *desk.words("connect", pvserver="sleep 1000", route="forward_tunnel"), user="alice")
    line = next(line for line in process.stdout if " running on " in line)
    desk.lab.wait(lambda: desk.lab.on("login", "sh", "-c", "cat /home/alice/.paraview-connect/*/beat", check=False).stdout, 10, "the job lives")
    desk.lab.on(line.split()[-1], "pkill", "-KILL", "-u", "alice")
    killed = time.monotonic()
    assert any("died" in line for line in process.stdout)
    assert time.monotonic() - killed < 10
    assert process.wait(30) != 0
    desk.nothing_left(30)


def stopped_while_it_waits_for_a_client(desk, number):
    """A connect that gets a signal once its job runs."""
    process = desk.lab.start("workstation", *desk.words("connect", route="reverse_tunnel"), user="alice")
    next(line for line in process.stdout if "start the client now" in line)
    assert desk.jobs()
    desk.lab.on("workstation", "pkill", f"-{int(number)}", "-u", "alice", "-f", "bin/ansible-playbook")
    process.wait(30)


def test_a_connect_that_is_interrupted_leaves_nothing(desk):
    stopped_while_it_waits_for_a_client(desk, signal.SIGINT)
    desk.nothing_left(30)
    assert not desk.record()


@pytest.mark.parametrize("number", [signal.SIGKILL, *(pytest.param(one, marks=pytest.mark.torture) for one in (signal.SIGTERM, signal.SIGHUP))])
def test_a_connect_that_is_killed_leaves_its_session_detached(desk, number):
    stopped_while_it_waits_for_a_client(desk, number)
    record = desk.lab.wait(lambda: desk.record().get("detached") and desk.record(), 10, "detached")
    assert desk.jobs() == [record["job_id"]]
    desk.status()
    assert desk.report()["reason"] == "waiting for a client"
    report = {"connect_id": int(desk.run("cat", f"{STATE}/lab/connect_id").stdout), "client_port": record["client_port"]}
    desk.client(report, way="reverse")
    desk.nothing_left()


@pytest.mark.torture
def test_idle_ends_a_job_whose_client_never_came(desk):
    desk.connect(client_timeout="10s")
    desk.nothing_left(45)
    desk.status()
    assert (desk.report()["state"], desk.report()["reason"]) == ("ended", "no client came in time")


# --- again, later, many ---


def test_connect_again_says_so_and_changes_nothing(desk):
    desk.connect()
    first = desk.report()
    again = desk.connect()
    assert "a session is open already" in again.stdout
    assert "changed=0" in again.stdout
    assert desk.report()["client_port"] == first["client_port"]
    assert desk.report()["connect_id"] == first["connect_id"]
    assert desk.jobs() == [first["job_id"]]
    wrong = desk.connect(nodes=0, check=False)
    assert wrong.returncode != 0
    assert desk.jobs() == [first["job_id"]], "a wrong input loses nothing"


def test_detach_and_take_up(desk):
    desk.connect(detach=True)
    detached = desk.report()
    assert detached["state"] in ("pending", "starting")
    assert desk.jobs() == [detached["job_id"]]
    assert "resuming the session" in desk.connect().stdout
    report = desk.report()
    assert (report["state"], report["job_id"]) == ("ready", detached["job_id"])
    desk.client(report)
    desk.nothing_left()


@pytest.mark.torture
def test_ctrl_c_leaves_a_detached_job_detached(desk):
    desk.connect(detach=True, route="reverse_tunnel")
    job = desk.report()["job_id"]
    process = desk.lab.start("workstation", *desk.words("connect", route="reverse_tunnel"), user="alice")
    next(line for line in process.stdout if "start the client now" in line)
    desk.lab.on("workstation", "pkill", "-INT", "-u", "alice", "-f", "bin/ansible-playbook")
    process.wait(30)
    desk.lab.wait(lambda: desk.record().get("owner") is None, 10, "detached again")
    assert desk.jobs() == [job]
    desk.disconnect()
    assert not desk.left()


@pytest.mark.torture
def test_a_take_up_that_fails_loses_no_place_in_the_queue(desk):
    desk.connect(detach=True)
    job = desk.report()["job_id"]
    done = desk.connect(start_client="no-such-client", check=False)
    assert done.returncode != 0
    assert desk.jobs() == [job]
    desk.connect()
    assert (desk.report()["state"], desk.report()["job_id"]) == ("ready", job)


@pytest.mark.torture
def test_connect_right_after_the_client_left(desk):
    desk.connect()
    first = desk.report()
    desk.client(first)
    desk.connect()
    assert desk.report()["state"] == "ready"
    assert desk.report()["job_id"] != first["job_id"]


def test_take_up_after_the_connection_was_lost(desk):
    desk.connect(detach=True)
    job = desk.report()["job_id"]
    desk.lab.on("workstation", "pkill", "-KILL", "-u", "alice")
    assert desk.jobs() == [job], "losing the connection costs status, never the job"
    desk.connect()
    assert (desk.report()["state"], desk.report()["job_id"]) == ("ready", job)


def test_status_shows_every_session(desk):
    assert "no session" in desk.status().stdout
    desk.connect()
    report = desk.report()
    out = desk.status().stdout
    row = next(line for line in out.splitlines() if line.startswith("lab ")).split()
    assert row[:5] == ["lab", "node_tunnel", report["job_id"], "ready", report["nodes"][0]]
    assert row[6] == report["url"]
    assert re.match(r"^5\d:\d\d$", row[5])
    assert desk.report()["connect_id"] == report["connect_id"]


def test_a_group_gets_a_session_each_and_one_bad_host_harms_no_other(desk):
    inventory = {"all": {"children": {"viz": {"hosts": {
        "one": {"ansible_host": "login.lab.example", "paraview_pvserver": "xvfb-run -a -s -noreset pvserver"},
        "two": {"ansible_host": "login.lab.example", "paraview_pvserver": "xvfb-run -a -s -noreset pvserver"},
        "off": {"ansible_host": "198.18.1.77", "ansible_ssh_timeout": 2}}}}}}
    desk.run("sh", "-c", "printf %s \"$1\" > viz.yml", "sh", json.dumps(inventory))
    done = desk.run("ansible-playbook", "-i", "viz.yml", *desk.words("connect", "viz")[1:], check=False)
    assert done.returncode != 0
    reports = {one["host"]: one for one in desk.reports()}
    assert {name: one["state"] for name, one in reports.items()} == {"one": "ready", "two": "ready", "off": "failed"}
    assert "cannot reach login node 198.18.1.77" in reports["off"]["reason"]
    assert reports["one"]["client_port"] != reports["two"]["client_port"]
    desk.run("ansible-playbook", "-i", "viz.yml", *desk.words("disconnect", "viz")[1:])
    assert not desk.left()


def test_without_an_inventory(desk):
    done = desk.run("ansible-playbook", "-i", "localhost,", *desk.words("connect", "alice@login.example", pvserver="xvfb-run -a -s -noreset pvserver")[1:])
    assert desk.report()["host"] == "alice@login.example"
    assert any(line.startswith("ready") for line in desk.lines(done, "alice@login.example"))
    desk.run("ansible-playbook", *desk.words("disconnect", "alice@login.example")[1:])
    assert not desk.left()


# --- the job ---


def test_the_job_is_what_was_asked_for(desk):
    done = desk.connect(nodes=2, memory="500M", queue="debug", walltime="0:20:00", directives=["--comment=\"lab test\""],
                        modules=[desk.lab.module], setup='export PROOF="it\'s $PARAVIEW_LAB_MODULE"')
    report = desk.report()
    assert "2 nodes, 2 tasks, 0:20:00" in done.stdout
    assert sorted(report["nodes"]) == ["compute1", "compute2"]
    about = desk.lab.on("login", "scontrol", "-o", "show", "job", report["job_id"]).stdout
    assert "TimeLimit=00:20:00" in about and "Comment=lab test" in about and "NumNodes=2" in about
    assert re.search(r"MinMemoryNode=500M", about)
    environment = desk.lab.on(report["nodes"][0], "sh", "-c", "tr '\\0' '\\n' < /proc/$(pgrep -u alice -o -f '^pvserver')/environ").stdout
    assert f"PROOF=it's {desk.lab.series}" in environment
    pvserver = desk.lab.on(report["nodes"][0], "sh", "-c", "cat /proc/$(pgrep -u alice -o -f '^pvserver')/status").stdout
    own = desk.run("ssh", "login.lab.example", "umask").stdout.strip()
    assert re.search(rf"Umask:\s+{own}", pvserver), "what is saved on the cluster has the user's own rights"
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


def test_a_host_without_a_batch_system(desk):
    site = "pvserver_on_login_node: true\n"
    desk.lab.on("login", "sh", "-c", "mkdir -p /etc/paraview-connect && cat > /etc/paraview-connect/site.yml", input=site)
    try:
        desk.connect(scheduler="none")
        report = desk.report()
        assert (report["nodes"], report["state"]) == (["login"], "ready")
        assert "distributed True" in desk.client(report, check=False).stdout
        desk.nothing_left()
        desk.connect(scheduler="none", route="reverse_tunnel", start_client=desk.client_command("reverse"))
        desk.nothing_left()
        desk.connect(scheduler="none")
        desk.disconnect()
        assert not desk.left()
    finally:
        desk.lab.on("login", "rm", "-r", "/etc/paraview-connect")


def test_no_python_is_needed_on_the_login_node(desk):
    hide = 'mkdir -p /root/hidden; for p in /usr/bin/python3*; do mv "$p" /root/hidden/; done'
    desk.lab.on("login", "sh", "-c", hide)
    try:
        assert desk.lab.on("login", "sh", "-c", "command -v python3 || command -v python", user="alice", check=False).returncode != 0
        desk.connect()
        assert desk.report()["state"] == "ready"
        desk.disconnect()
        assert not desk.left()
    finally:
        desk.lab.on("login", "sh", "-c", "mv /root/hidden/* /usr/bin/; rmdir /root/hidden")


def test_server_ports_bound_the_port_on_the_node(desk):
    desk.connect(server_ports="11111-11113")
    node = desk.report()["nodes"][0]
    ports = desk.lab.on(node, "sh", "-c", "ss -Hltne | grep uid:20001").stdout
    assert re.search(r":1111[123] ", ports)


# --- secrets ---


def test_the_connect_id_stays_private(desk):
    done = desk.run("env", "ANSIBLE_LOG_PATH=/home/alice/ansible.log", *desk.words("connect"), "-vvv")
    secret = str(desk.report()["connect_id"])
    assert secret not in done.stdout
    assert secret not in desk.run("cat", "ansible.log").stdout
    for host, places in (("workstation", "/tmp /home/alice /run/user/20001"), ("login", "/tmp /home/alice /run/user/20001 /var/log")):
        seen = desk.lab.on(host, "sh", "-c", f"find {places} -type f -perm /044 -exec grep -lF {secret} {{}} + 2>/dev/null; true").stdout
        assert not seen, f"world-readable on {host}"
    for host in ("workstation", "login"):
        assert secret not in desk.lab.on(host, "ps", "-eo", "args").stdout
    modes = desk.run("stat", "-c", "%a %n", STATE, f"{STATE}/lab", f"{STATE}/lab/connect_id", f"{STATE}/lab/session.json", REPORT).stdout
    assert [line.split()[0] for line in modes.splitlines()] == ["700", "700", "600", "600", "600"]
    directory = desk.record()["remote_directory"]
    assert desk.lab.on("login", "ls", directory, user="bob", check=False).returncode != 0


# --- errors: each names the thing, the cause and the way out, and leaves nothing ---

ERRORS = {
    "unknown host": ({"host": "typo"}, ["no host is called 'typo'", "it is neither in the inventory nor in the name service"]),
    "pattern without a match": ({"host": "node*"}, ["no host is called 'node*'"]),
    "no host": ({"host": ""}, ["no host was named", "-e host=NAME"]),
    "unknown route": ({"route": "teleport"}, ["paraview_route: 'teleport' is not valid", "forward_tunnel"]),
    "wrong type": ({"nodes": "two"}, ["paraview_nodes: 'two' is not valid"]),
    "out of range": ({"tasks_per_node": 0}, ["paraview_tasks_per_node: 0 is not valid"]),
    "wrong duration": ({"walltime": "soon"}, ["paraview_walltime: 'soon' is not valid", "1:30:00"]),
    "wrong port": ({"client_port": 70000}, ["paraview_client_port: 70000 is not valid"]),
    "wrong connect-id": ({"connect_id": "abc"}, ["paraview_connect_id: 'abc' is not valid"]),
    "injected directive": ({"directives": ["--x\ntouch /tmp/pwned"]}, ["paraview_directives", "each entry has to be one line"]),
    "no batch system": ({"scheduler": "none"}, ["would run pvserver on the login node login", "pvserver_on_login_node"]),
    "refused by the batch system": ({"queue": "nosuch"}, ["Slurm refused the job", "invalid partition specified: nosuch"]),
    "too long": ({"walltime": "9:00:00"}, ["can never run", "PartitionTimeLimit", "paraview_walltime"]),
    "no pvserver": ({"pvserver": "pvserver-nowhere"}, ["pvserver was not found on compute", "'pvserver-nowhere'", "paraview_modules"]),
    "no module": ({"modules": ["paraview/0.0"]}, ["module paraview/0.0 cannot be loaded on compute", "module avail"]),
    "a job that dies": ({"setup": "echo last words >&2; exit 3"}, ["died", "exit status 3", "last words"]),
    "no such client": ({"start_client": "no-such-client"}, ["cannot start the client 'no-such-client'", "paraview_start_client"]),
    "a client that dies": ({"start_client": ["sh", "-c", "echo no display; exit 1"]}, ["the client ended before it was connected", "no display"]),
}


# What is refused before a login, and by the same means as another, is in the long run alone.
LONG = ("pattern without a match", "out of range", "wrong duration", "wrong port", "wrong connect-id", "no pvserver", "no such client")


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.torture] * (case in LONG)) for case in ERRORS])
def test_errors(desk, case):
    settings, words = ERRORS[case]
    done = desk.connect(check=False, **settings)
    assert done.returncode != 0
    for word in words:
        assert word in done.stdout, f"{word!r} is not in\n{done.stdout}"
    assert "Traceback" not in done.stdout + done.stderr
    assert not desk.left()
    report = desk.report()
    assert report["state"] == "failed"
    assert words[0] in report["reason"]
    assert not desk.record()


def test_a_job_waits_for_a_partition_that_is_down_for_a_while(desk):
    """Slurm gives the same reason for a partition that comes back: it is a warning, and no end."""
    process = desk.lab.start("workstation", *desk.words("connect", queue="down"), user="alice")
    try:
        assert any("PartitionDown (warning: waits until the partition is up again" in line for line in process.stdout)
        desk.lab.on("login", "scontrol", "update", "PartitionName=down", "State=UP")
        assert any("ready after" in line for line in process.stdout)
        assert process.wait(30) == 0
    finally:
        desk.lab.on("login", "scontrol", "update", "PartitionName=down", "State=DOWN")
        process.stdout.close()
        process.wait(60)
    desk.disconnect()
    desk.nothing_left()


def test_the_deadline_cancels_a_pending_job(desk):
    full = desk.lab.on("login", "sbatch", "--parsable", "--exclusive", "-N2", "--wrap", "sleep 600", user="bob").stdout.strip()
    try:
        done = desk.connect(queue_timeout="4s", check=False)
        assert done.returncode != 0
        assert re.search(r"lab: job \d+ pending, (Resources|Priority)", done.stdout)
        assert "did not start within 4 s" in done.stdout
        assert "it was cancelled" in done.stdout
        assert desk.report()["state"] == "cancelled"
        assert not desk.left()
    finally:
        desk.lab.on("login", "scancel", full)


def test_a_login_that_is_refused(desk):
    done = desk.run(*desk.words("connect"), "-e", "ansible_user=bob", check=False)
    assert done.returncode != 0
    assert "no key was enough, ssh prompts \"bob@login.lab.example's password:\", and there is no terminal to show the prompt" in done.stdout
    assert "check ansible_user" in done.stdout
    assert not desk.left()


def test_an_unknown_host_key(desk):
    done = desk.run(*desk.words("connect"), "-e", "ansible_ssh_common_args='-o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=/dev/null'", check=False)
    assert done.returncode != 0
    assert "cannot trust login node" in done.stdout
    assert not desk.left()


@pytest.mark.parametrize("route,policy,words", [
    ("forward_tunnel", "AllowTcpForwarding no\n", "sshd on login forbids local forwarding"),
    pytest.param("reverse_tunnel", "AllowTcpForwarding local\n", "sshd on login refuses a remote forward", marks=pytest.mark.torture),
    ("reverse_tunnel", "GatewayPorts no\n", "put the forward on 127.0.0.1 instead of 198.18.2.1 (GatewayPorts no)"),
    ("auto", "AllowTcpForwarding no\n", "no route works here"),
])
def test_forwarding_refused_by_sshd(desk, route, policy, words):
    desk.lab.sshd_policy("login", policy)
    try:
        done = desk.connect(route=route, check=False)
    finally:
        desk.lab.sshd_policy("login", None)
    assert done.returncode != 0
    assert words in done.stdout
    assert "submitted" not in done.stdout, "a route that cannot work is refused before a job is queued"
    assert not desk.left()


@pytest.mark.parametrize("route", ["forward_tunnel", "reverse_tunnel"])
def test_a_local_port_that_is_taken(desk, route):
    squatter = desk.lab.start("workstation", "nc", "-lk", "127.0.0.1", "23456", user="bob")
    desk.lab.wait(lambda: "23456" in desk.run("ss", "-Hltn").stdout)
    try:
        done = desk.connect(route=route, client_port=23456, check=False)
    finally:
        squatter.terminate()
        squatter.wait()
    assert done.returncode != 0
    assert "port 23456 on this host is taken" in done.stdout
    assert "another account (uid 20002)" in done.stdout
    assert not desk.left()


def test_a_remote_port_that_somebody_else_holds(desk):
    squatter = desk.lab.start("login", "nc", "-lk", "198.18.2.1", "34567", user="bob")
    desk.lab.wait(lambda: "34567" in desk.lab.on("login", "ss", "-Hltn").stdout)
    try:
        done = desk.connect(route="reverse_tunnel", login_ports="34567", check=False)
    finally:
        squatter.terminate()
        squatter.wait()
    assert done.returncode != 0
    assert "ports 34567" in done.stdout
    assert "submitted" not in done.stdout
    assert not desk.left()
