# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-relay-authorize, with recorded outputs of batch systems and stand-ins for their commands."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TOP
from hypothesis import given
from hypothesis import strategies as st
from programs import loaded
from relay import interpreters

PROGRAM = TOP / "roles/relay/files/paraview-relay-authorize"
YES, NO, UNKNOWN = 0, 1, 2
SOURCE, OTHER = "198.18.2.11", "198.18.2.99"
ADDRESSES = {"node01": [SOURCE], "node02": ["198.18.2.12", "fd00::12"], "gpu1": ["10.0.0.1"]}


authorize = loaded(PROGRAM)


@pytest.fixture(name="names")
def _names(monkeypatch):
    """A name service that resolves only the nodes of ADDRESSES."""
    def resolve(host, *_arguments, **_named):
        if authorize.is_address(host):
            return [(2, 1, 6, "", (host, 0))]
        if host not in ADDRESSES:
            raise OSError("no such host")
        return [(2, 1, 6, "", (address, 0)) for address in ADDRESSES[host]]
    monkeypatch.setattr(authorize.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(authorize.socket, "gethostbyaddr", resolve)
    monkeypatch.setattr(authorize, "uid_of", lambda owner: {"pbsuser": 7101, "alice": 20001, "bob": 20002}[owner])


@pytest.fixture(name="check")
def _check(names, tmp_path, program):
    """Runs the check with stand-ins for commands: scripts by name."""
    def check(system, commands, owner="pbsuser", source=SOURCE, seconds=9.0, **environment):
        for name, text in commands.items():
            program(name, "#!/bin/sh\n" + text)
        given = {"PATH": "{0}:/usr/bin:/bin".format(tmp_path / "bin"), **environment}
        return authorize.answer(system, owner, source, authorize.Commands(seconds, given))
    return check


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch):
    monkeypatch.setattr(authorize, "USUAL_PLACES", ())
    monkeypatch.setattr(authorize, "ROOT", -1)


def printing(text, code=0, err=""):
    return "cat <<'END'\n{0}END\ncat >&2 <<'END'\n{1}END\nexit {2}\n".format(text, err and err.rstrip("\n") + "\n", code)


def hosts(jobs, owner="pbsuser"):
    """The nodes of the owner's jobs, in their order."""
    return list(dict.fromkeys(node.name for user, nodes in jobs if user == owner for node in nodes))


def slurm_line(recorded, case, uid=7101):
    """The output of squeue in the format that the program requests, made from a recording in another format."""
    fields = recorded(case).out.split("|")
    return "{0}|{1}|{2}\n".format(uid, fields[1], fields[3])


CONFIG = "PriorityType            = priority/multifactor\nPrivateData             = {0}\nProctrackType           = proctrack/cgroup\n"
NODES = ("NodeName=node01 Arch=x86_64 NodeAddr=198.18.2.11 NodeHostName=node01 Version=22.05.8\n"
         "NodeName=node02 Arch=x86_64 NodeAddr=ib02 NodeHostName=node02 Version=22.05.8\n")


# ---- Slurm ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "nodes"), [
    ("running_squeue_o", ["node[01-02]"]), ("configuring_squeue_o", []), ("completing_squeue_o", []), ("pending_resources_squeue_o", [])])
def test_slurm_recorded(recorded, case, nodes):
    assert authorize.slurm_jobs(slurm_line(recorded, case)) == [("7101", text) for text in nodes]


@pytest.mark.parametrize("line", ["7101|RUNNING|-o", "7101|RUNNING|a b", "7101|RUNNING", "7101|RUNNING|node01|x", "x|RUNNING|node01", "7101|RUNNING|\x1b[1m",
                                  "slurm_load_jobs error", "7101|RUNNING|node01\r7101|RUNNING|node02"])
def test_invalid_lines_of_squeue(check, line):
    """No column holds a text of the user's; whatever else stands there, squeue has not answered."""
    code, why = check("slurm", {"squeue": printing("7101|RUNNING|node01\n" + line + "\n"), "scontrol": printing(NODES)})
    assert (code, why.partition(":")[0]) == (UNKNOWN, "squeue printed a line that is none of a job")


def test_a_job_of_slurm_without_nodes():
    assert authorize.slurm_jobs("7101|RUNNING|(null)\n7101|RUNNING|\n\n7101|RUNNING|n1\n") == [("7101", "n1")]


@pytest.mark.parametrize(("text", "names"), [
    ("node01", ["node01"]), ("node[01-03,7],gpu1", ["node01", "node02", "node03", "node7", "gpu1"]), ("a[1-2]b[3,4]", ["a1b3", "a1b4", "a2b3", "a2b4"]),
    ("(null)", []), ("a[", []), ("a[1", []), ("node[09-11]", ["node09", "node10", "node11"]), ("", [])])
def test_node_lists(text, names):
    assert list(authorize.expand(text)) == names


def test_a_node_list_that_does_not_fit_into_memory():
    assert len(list(authorize.expand("n[1-999999999]x[1-999999999]"))) == authorize.MOST_NODES


@given(st.text(alphabet="node[]0123456789,-.()\n", max_size=60))
def test_random_node_lists(text):
    for name in authorize.expand(text):
        assert authorize.is_name(name)


@pytest.mark.parametrize(("source", "code"), [(SOURCE, YES), ("198.18.2.12", YES), ("fd00::12", YES), ("::ffff:198.18.2.12", YES), (OTHER, NO)])
def test_slurm(check, recorded, source, code):
    commands = {"squeue": printing(slurm_line(recorded, "running_squeue_o")), "scontrol": printing(NODES)}
    assert check("slurm", commands, source=source)[0] == code


def test_other_addresses_of_a_node_in_slurm(check, recorded, monkeypatch):
    monkeypatch.setitem(ADDRESSES, "ib02", ["10.9.0.12"])
    commands = {"squeue": printing(slurm_line(recorded, "running_squeue_o")), "scontrol": printing(NODES)}
    assert check("slurm", commands, source="10.9.0.12") == (YES, "10.9.0.12 is a node of a running job of pbsuser")
    assert check("slurm", commands, source="10.9.0.13")[0] == NO


def test_a_reason_that_looks_like_an_address(check, recorded):
    """Administrators write comments and reasons of nodes."""
    nodes = NODES.replace("Version=22.05.8", "Version=22.05.8 Reason=moved from NodeAddr=198.18.2.99 [root@2026-11-02T10:00:00]")
    commands = {"squeue": printing(slurm_line(recorded, "running_squeue_o")), "scontrol": printing(nodes)}
    assert check("slurm", commands, source=OTHER)[0] == NO
    assert check("slurm", commands)[0] == YES


@pytest.mark.parametrize(("private", "code"), [
    ("none", NO), ("(null)", NO), ("accounts,users", NO), ("jobs", UNKNOWN), ("accounts,jobs,nodes", UNKNOWN), ("all", UNKNOWN)])
def test_a_user_without_a_job_and_jobs_that_slurm_hides(check, private, code):
    commands = {"squeue": "exit 0\n", "scontrol": '[ "$*" = "show config" ] || exit 1\n' + printing(CONFIG.format(private))}
    found, why = check("slurm", commands)
    assert found == code
    assert why == ("198.18.2.11 is not a node of a running job of pbsuser: the user has none" if code == NO else
                   "Slurm shows a job only to its own user (PrivateData={0})".format(private))


@pytest.mark.parametrize("answer", ["exit 1\n", "exit 0\n", printing(CONFIG.format("none") * 2)])
def test_an_empty_answer_of_squeue_that_nothing_confirms(check, answer):
    assert check("slurm", {"squeue": "exit 0\n", "scontrol": answer})[0] == UNKNOWN


@pytest.mark.parametrize("case", ["down_sinfo", "noconf_squeue"])
def test_slurm_that_does_not_answer(check, recorded, case):
    done = recorded(case)
    code, why = check("slurm", {"squeue": printing(done.out, done.code, done.err)})
    assert code == UNKNOWN
    assert why.startswith("squeue ended with 1 and gave no answer: s")


# ---- PBS -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "names"), [
    ("running_qstat_f", ["node01"]), ("running_multichunk_f", ["node01", "node02"]), ("running_first_f", ["node01"]), ("exiting_f", []), ("finished_x_f", []),
    ("queued_f", []), ("esc_newline_f", [])])
def test_pbs_recorded(recorded, case, names):
    assert hosts(authorize.pbs_nodes(recorded(case, "pbs").out)) == names
    assert hosts(authorize.pbs_nodes(recorded(case, "pbs").out), "pbsuse") == []


@pytest.mark.parametrize(("case", "names"), [
    ("running_multichunk_f_json", ["node01", "node02"]), ("running_qstat_f_json", ["node01"]), ("exiting_f_json", []), ("queued_f_json", []),
    ("array_f_json", [])])
def test_json_of_pbs_recorded(recorded, case, names):
    text = recorded(case, "pbs").out
    assert hosts(authorize.pbs_json(text, list(json.loads(text)["Jobs"]))) == names


def test_every_recorded_answer_of_pbs_is_read_or_none(recorded):
    """Also those with control characters, backslashes and JSON that is not valid."""
    for path in sorted((TOP / "tests/fixtures/pbs").glob("*.txt")):
        for read in (authorize.pbs_nodes, lambda text: authorize.pbs_json(text, re.findall(r"(?m)^\s*\"([0-9][^\"]*)\":\s*{", text))):
            try:
                names = hosts(read(recorded(path.stem, "pbs").out))
            except authorize.Unclear:
                continue
            assert set(names) <= {"node01", "node02"}, path


def test_pbs_names_with_ports_and_cores():
    text = "Job Id: 1.s\n    Job_Owner = a@s\n    job_state = R\n    exec_host = node01/0*2+node02.x.org:15002/1+node01/3+;rm/1\n"
    assert hosts(authorize.pbs_nodes(text), "a") == ["node01", "node02.x.org"]


@pytest.mark.parametrize(("source", "code"), [(SOURCE, YES), ("198.18.2.12", YES), (OTHER, NO)])
def test_pbs(check, recorded, source, code):
    qselect = '[ "$*" = "-u pbsuser -s R" ] || exit 9\necho 11.login1\n'
    for words, case in (("-f 11.login1", "running_multichunk_f"), ("-f -F json 11.login1", "running_multichunk_f_json")):
        qstat = '[ "$*" = "{0}" ] || exit 9\n'.format(words) + printing(recorded(case, "pbs").out)
        assert check("pbs", {"qselect": qselect, "qstat": qstat}, source=source)[0] == code


def test_a_job_of_pbs_that_ended_meanwhile(check, recorded):
    ended = recorded("unknown_and_known", "pbs")
    assert ended.code
    assert check("pbs", {"qselect": "echo 99999.login1; echo 0.login1\n", "qstat": printing("", ended.code, ended.err)})[0] == NO


def test_pbs_that_does_not_answer(check, recorded):
    done = recorded("down_qstat", "pbs")
    code, why = check("pbs", {"qselect": printing(done.out, done.code, done.err)})
    assert (code, why.split(":")[0]) == (UNKNOWN, "qselect ended with 255 and gave no answer")
    code, why = check("pbs", {"qselect": "echo 1.login1\n", "qstat": printing(done.out, done.code, done.err)})
    assert (code, why.split(":")[0]) == (UNKNOWN, "qstat ended with 255 and gave no answer")


SERVER = "Server             Max   Tot   Que   Run   Hld   Wat   Trn   Ext Status\nlogin1               0     0     0     0     0     0     0     0 Active\n"


@pytest.mark.parametrize(("said", "server", "code"), [
    ("", printing(SERVER), NO), ("", "exit 0\n", UNKNOWN), ("", printing("", 255, "Connection refused\n"), UNKNOWN),
    ("qselect: cannot connect to server pbs9 (errno=0)\n", printing(SERVER), UNKNOWN)])
def test_a_qselect_that_ends_with_0_has_not_answered_yet(check, said, server, code):
    found, why = check("pbs", {"qselect": printing("", 0, said), "qstat": '[ "$*" = -B ] || exit 9\n' + server})
    assert found == code
    assert (said.strip() or "Connection refused" if "refused" in server else said.strip()) in why


def test_what_pbs_needs_of_the_account_stands_in_the_reason(check, monkeypatch):
    def nobody(_uid):
        raise KeyError
    unknown = {"qselect": printing("", 0, "qselect: cannot connect to server  (errno=0)\n"), "qstat": "exit 1\n"}
    unauthenticated = {"qselect": printing("", 255, "auth: Unable to authenticate connection (pbs9:15001)\nqselect: cannot connect to server pbs9\n")}
    assert "libmunge.so" in check("pbs", unauthenticated)[1]
    monkeypatch.setattr(authorize.pwd, "getpwuid", nobody)
    for commands in (unknown, unauthenticated):
        assert "nsswitch.conf needs systemd after files" in check("pbs", commands)[1]


# ---- Grid Engine ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "names"), [("running_multi_xml", ["node01", "node02"]), ("list_xml", ["node02", "node01"]), ("empty_xml", [])])
def test_sge_recorded(recorded, case, names):
    assert hosts(authorize.sge_nodes(recorded(case, "gridengine").out)) == names
    assert hosts(authorize.sge_nodes(recorded(case, "gridengine").out), "other") == []


@pytest.mark.parametrize(("state", "runs"), [("r", True), ("Rr", True), ("hr", True), ("t", False), ("s", False), ("S", False), ("dr", False), ("Eqw", False)])
def test_states_of_sge(recorded, state, runs):
    text = recorded("running_multi_xml", "gridengine").out.replace("<state>r<", "<state>{0}<".format(state))
    assert bool(hosts(authorize.sge_nodes(text))) is runs


@pytest.mark.parametrize(("source", "code"), [(SOURCE, YES), (OTHER, NO)])
def test_sge(check, recorded, source, code):
    qstat = '[ "$*" = "-u pbsuser -s r -g t -xml" ] || exit 9\n' + printing(recorded("running_multi_xml", "gridengine").out)
    assert check("sge", {"qstat": qstat}, source=source)[0] == code


def test_sge_is_found_below_sge_root(names, tmp_path, recorded):
    place = tmp_path / "sge" / "bin" / "lx-amd64"
    place.mkdir(parents=True)
    (place / "qstat").write_text("#!/bin/sh\n[ -n \"$SGE_ROOT\" ] || exit 9\n" + printing(recorded("running_multi_xml", "gridengine").out))
    (place / "qstat").chmod(0o755)
    commands = authorize.Commands(9.0, {"PATH": "/usr/bin:/bin", "SGE_ROOT": str(tmp_path / "sge")})
    assert authorize.answer("sge", "pbsuser", SOURCE, commands)[0] == YES


def test_sge_that_does_not_answer(check, recorded):
    done = recorded("down_qstat", "gridengine")
    code, why = check("sge", {"qstat": printing(done.out, done.code, done.err)})
    assert (code, why.split(":")[0]) == (UNKNOWN, "qstat ended with 1 and gave no answer")
    assert check("sge", {"qstat": "exit 0\n"}) == (UNKNOWN, "qstat printed no valid XML")


# ---- all of them ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scripts", "system"), [
    ({"squeue": ("slurm", "version")}, "slurm"), ({"qstat": ("pbs", "version_qstat")}, "pbs"), ({"qstat": ("gridengine", "version_qstat")}, "sge"),
    ({"squeue": ("slurm", "version"), "qstat": ("pbs", "version_qstat")}, "slurm")])
def test_detection(tmp_path, program, recorded, scripts, system):
    for name, (scheduler, case) in scripts.items():
        done = recorded(case, scheduler)
        program(name, "#!/bin/sh\n" + printing(done.out, done.code, done.err))
    assert authorize.detected(authorize.Commands(9.0, {"PATH": "{0}:/usr/bin:/bin".format(tmp_path / "bin")})) == system


def test_detection_without_a_batch_system(tmp_path):
    with pytest.raises(authorize.Unanswered, match="neither Slurm nor PBS nor Grid Engine"):
        authorize.detected(authorize.Commands(9.0, {"PATH": str(tmp_path)}))


@pytest.mark.parametrize("system", ["slurm", "pbs", "sge", "auto"])
def test_a_command_that_hangs(check, monkeypatch, tmp_path, until, system):
    monkeypatch.setattr(authorize, "COMMAND_S", 0.3)
    hanging = "sleep 60 &\necho $! >> {0}/pids\nwait\n".format(tmp_path)
    start = time.monotonic()
    code, why = check(system, {"squeue": hanging, "qselect": hanging, "qstat": hanging})
    assert code == UNKNOWN
    assert "gave no answer" in why
    assert time.monotonic() - start < 5
    (pid,) = (tmp_path / "pids").read_text().split()
    stat = Path("/proc", pid, "stat")
    until(lambda: not stat.exists() or ") Z " in stat.read_text())


def test_a_resolver_that_hangs(check, recorded, monkeypatch):
    monkeypatch.setattr(authorize.socket, "getaddrinfo", lambda *_arguments, **_named: time.sleep(3) or [])
    commands = {"squeue": printing(slurm_line(recorded, "running_squeue_o"))}
    assert check("slurm", commands, seconds=0.5) == (UNKNOWN, "the names of the nodes could not be resolved in time")


def test_many_nodes_and_a_slow_resolver(check, monkeypatch):
    """The name of the source in reverse DNS only decides which node is tried first."""
    def slowly(host, *_arguments, **_named):
        time.sleep(0.01)
        return [(2, 1, 6, "", (SOURCE if host == "n377" else "10.0.0.1", 0))]
    monkeypatch.setattr(authorize.socket, "getaddrinfo", slowly)
    commands = {"squeue": "echo '7101|RUNNING|n[1-400]'\n", "scontrol": printing(NODES)}
    monkeypatch.setattr(authorize.socket, "gethostbyaddr", lambda _address: ("n377.cluster", [], []))
    start = time.monotonic()
    assert check("slurm", commands)[0] == YES
    assert time.monotonic() - start < 1
    monkeypatch.setattr(authorize.socket, "gethostbyaddr", lambda _address: ("n5", [], []))
    assert check("slurm", commands)[0] == YES
    assert check("slurm", commands, source=OTHER)[0] == NO


def test_a_long_name_of_which_only_the_short_form_can_be_resolved(check):
    text = ('<job_info>\n<queue_info>\n<job_list state="running">\n<JB_owner>alice</JB_owner>\n<state>r</state>\n'
            "<queue_name>all.q@node01.far.away</queue_name>\n</job_list>\n</queue_info>\n</job_info>\n")
    assert check("sge", {"qstat": printing(text)}, owner="alice")[0] == YES


@pytest.mark.parametrize("owner", ["", "-u", "a b", "../a", "a\n", "a;b", "a" * 256, "ä", "*"])
def test_invalid_owners(check, owner):
    code, why = check("slurm", {"squeue": "exit 0\n"}, owner=owner)
    assert (code, why.endswith("is not a user name")) == (UNKNOWN, True)


@pytest.mark.parametrize(("source", "code"), [("", UNKNOWN), ("node01", UNKNOWN), ("127.0.0.1", NO), ("::1", NO), ("0.0.0.0", NO), ("1.2.3", UNKNOWN)])
def test_invalid_sources(check, source, code):
    assert check("slurm", {"squeue": printing("7101|RUNNING|localhost\n"), "scontrol": printing("")}, source=source)[0] == code


def test_the_environment_cannot_change_the_query(check, tmp_path):
    check("slurm", {"squeue": "env > {0}/env\n".format(tmp_path)}, SQUEUE_FORMAT="x", SQUEUE_USERS="bob", SLURM_CONF="/etc/x", LD_PRELOAD="/nowhere")
    environment = (tmp_path / "env").read_text()
    assert "SLURM_CONF=/etc/x\n" in environment
    assert "LC_ALL=C\n" in environment
    assert not re.search("SQUEUE|LD_PRELOAD", environment)


@pytest.mark.parametrize("arguments", [[], ["slurm"], ["lsf", "alice", SOURCE, "1", "2"], ["slurm", "alice", SOURCE, "1", "2", "3"], ["--help"]])
def test_usage(arguments):
    done = subprocess.run([sys.executable, str(PROGRAM)] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.split(b" ")[0]) == (UNKNOWN, b"usage:")


@pytest.mark.parametrize("python", interpreters())
def test_as_the_relay_runs_it(tmp_path, program, python):
    program("squeue", '#!/bin/sh\n[ "$3" = 0 ] && echo "0|RUNNING|node[01-02]"; exit 0\n')
    program("scontrol", "#!/bin/sh\n" + printing(NODES))
    results = []
    for owner, source in (("root", SOURCE), ("root", OTHER), ("nosuchuserhere", SOURCE)):
        done = subprocess.run([python, "-IS", str(PROGRAM), "slurm", owner, source, "40000", "11111"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=20, env={"PATH": "{0}:/usr/bin:/bin".format(tmp_path / "bin")})
        results.append((done.returncode, done.stdout.count(b"\n"), done.stderr.count(b"\n")))
    assert results == [(YES, 1, 0), (NO, 1, 0), (UNKNOWN, 0, 1)]
