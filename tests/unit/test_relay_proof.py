# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever users put into their jobs, paraview-relay-authorize accepts no node that the batch system did not give.

A stand-in for each batch system prints what its jobs hold, as real ones do or worse: without escaping anything.
"""

import json
import time
from xml.sax.saxutils import escape

import pytest
from conftest import TOP
from hypothesis import example, given, settings
from hypothesis import strategies as st
from programs import loaded

PROGRAM = TOP / "roles/relay/files/paraview-relay-authorize"
authorize = loaded(PROGRAM)
EVIL = "evilnode"


def nodes_of(system, commands, owner):
    """The nodes that are accepted, by user; those of other users too if owner is None."""
    found = {}
    try:
        for batch in authorize.SYSTEMS[system](commands, owner):
            for user, nodes in batch:
                found.setdefault(user, set()).update(node.name for node in nodes)
    except authorize.Unanswered as unanswered:
        commands.doubts.append(str(unanswered))
    return {user: names for user, names in found.items() if names}


# ---- PBS -----------------------------------------------------------------------------------------------------------------------


class Job:
    """A job of PBS: what its server knows, and what its user chose."""

    def __init__(self, job="7.pbs9", owner="mallory", host="n3/0", state="R", **chosen):
        self.id, self.owner, self.host, self.state, self.chosen = job, owner, host, state, chosen

    def fields(self):
        """The fields in the order in which PBS prints them."""
        given = self.chosen.get
        fields = [("Job_Name", given("name", "viz")), ("Job_Owner", self.owner + "@login7"), ("job_state", self.state), ("queue", "workq")]
        fields += [("Account_Name", given("account"))] if "account" in self.chosen else []
        fields += [("Error_Path", "login7:" + given("path", "/home/m/viz.e7"))]
        fields += [("exec_host", self.host)] if self.state != "Q" else []
        fields += [("Resource_List", {"ncpus": "1", "select": given("select", "1:ncpus=1")})]
        fields += [("Variable_List", {"PBS_O_HOME": "/home/m", given("variable", "X"): given("value", "1")}), ("comment", given("comment", "Job run"))]
        return fields + [("Submit_arguments", given("arguments", "viz.sh")), ("project", given("project", "_pbs_project_default"))]

    def text(self, fold):
        lines = ["Job Id: " + self.id]
        for name, value in self.fields():
            if name == "Resource_List":
                lines += ["    {0}.{1} = {2}".format(name, part, one) for part, one in value.items()]
            else:
                value = ",".join("{0}={1}".format(*pair) for pair in value.items()) if isinstance(value, dict) else value
                line = "    {0} = {1}".format(name, value)
                lines.append("\n\t".join(line[at:at + 60] for at in range(0, len(line), 60)) if fold else line)
        return "\n".join(lines) + "\n\n"

    def json(self, quote, space):
        def shown(value):
            if not isinstance(value, dict):
                return quote(value)
            return "{" + space + ("," + space).join("{0}:{1}".format(quote(name), quote(one)) for name, one in value.items()) + space + "}"
        return "{0}:{{{1}{2}{1}}}".format(quote(self.id), space, ("," + space).join(quote(name) + ":" + shown(value) for name, value in self.fields()))


QUOTES = {"escaped": json.dumps, "raw": '"{0}"'.format, "half": lambda text: '"{0}"'.format(text.replace('"', '\\"').replace("\n", "\\n")),
          "lines": lambda text: '"{0}"'.format(text.replace("\n", "\\n"))}


class Pbs:
    """qselect and qstat of a server.

    Args:
        jobs (list[Job])
        ended (tuple): ids that qselect still prints, but qstat no longer knows.
        quotes (str): how the JSON is made, or none.
        unfolded (bool): whether qstat knows -w.
        code (int): exit status of qstat if it does not know a job.
    """

    def __init__(self, jobs, ended=(), quotes="escaped", unfolded=True, space="\n\t\t", code=153):
        self.jobs, self.ended, self.quotes, self.unfolded, self.space, self.code = {job.id: job for job in jobs}, ended, quotes, unfolded, space, code
        self.doubts, self.has_json, self.slow, self.runs = [], True, set(), 1000

    def left(self):
        return self.runs

    def run(self, name, *arguments):
        self.runs = max(0, self.runs - 1)
        if name == "qselect":
            whose = [job.id for job in self.jobs.values() if job.state == "R" and arguments[1] in (job.owner, "R")]
            return 0, "".join(one + "\n" for one in whose + list(self.ended)), ""
        if arguments == ("-B",):
            return 0, "Server Max\npbs9 0\n", ""
        if "-F" in arguments and not self.quotes or "-w" in arguments and not self.unfolded:
            return 2, "", "usage: qstat\n"
        asked = [word for word in arguments if word[0].isdigit()]
        known = [self.jobs[one] for one in asked if one in self.jobs]
        err = "".join("qstat: Unknown Job Id {0}\n".format(one) for one in asked if one not in self.jobs)
        if "-F" in arguments:
            jobs = ("," + self.space).join(job.json(QUOTES[self.quotes], self.space) for job in known)
            out = '{{{0}"pbs_version":"19.1.1",{0}"Jobs":{{{0}{1}{0}}}{0}}}'.format(self.space, jobs)
        else:
            out = "".join(job.text("-w" not in arguments) for job in known)
        return self.code if err else 0, out, err


# One that closes its own string and object, hides the true fields in another object, and closes that one further down.
HIDES = 'x","exec_host":"{0}/0","hidden":{{"a":"b'.format(EVIL)
CLOSES = '1"}},"rest":{"c":"d'
JOB = 'x"}},"8.pbs9":{{"Job_Owner":"mallory@x","job_state":"R","exec_host":"{0}/0","z":"y'.format(EVIL)
FIELD = "    exec_host = {0}/0".format(EVIL)
PIECES = [
    "\n", "\n\t", "\r", "\v", "\x85", "\u2028", "\0", "\x1b[1m", " ", "    ", FIELD, "\n" + FIELD, "\r" + FIELD, "\n    job_state = R",
    "\n    Job_Owner = alice@x", "\nJob Id: 8.pbs9", "\nJob Id: 9.pbs9\n    Job_Owner = alice@x\n    job_state = R\n" + FIELD,
    '"', '":"', '","', "\\", '\\"', "{", "}", "}}", ",", ":", "[", "]", '"exec_host":"{0}/0"'.format(EVIL), '"exec\\u005fhost":"{0}/0"'.format(EVIL),
    '"hidden":{"a":"b', '"hidden":"', '"8.pbs9":{', '"Jobs":{', "alice", "R", '"Job_Owner":"alice@x","job_state":"R","exec_host":"{0}/0"'.format(EVIL),
    "exec_host", HIDES, CLOSES, JOB, "$(id)", "\u00e9", EVIL, "1e999", "NaN"]
HOSTILE = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=9).map("".join)
CHOSEN = st.dictionaries(st.sampled_from(["name", "account", "path", "select", "variable", "value", "comment", "arguments", "project"]), HOSTILE, max_size=4)


@settings(max_examples=600, deadline=None)
@given(chosen=st.lists(CHOSEN, min_size=1, max_size=3), state=st.sampled_from(["R", "R", "R", "Q", "E"]), quotes=st.sampled_from([None] + sorted(QUOTES)),
       unfolded=st.booleans(), space=st.sampled_from(["\n\t\t", "", " "]), ended=st.sampled_from([(), ("8.pbs9",), ("8.pbs9", "9.pbs9")]),
       code=st.sampled_from([153, 35, 0]), everybody=st.booleans())
@example([{"account": "x\n" + FIELD}], "R", None, True, "\n", (), 153, False)
@example([{"account": "x\n" + FIELD}], "R", "raw", False, "\n", (), 153, False)
@example([{"account": HIDES, "value": CLOSES}], "R", "raw", True, "\n\t\t", (), 153, False)
@example([{"account": HIDES, "value": CLOSES}], "R", "raw", True, "", (), 153, False)
@example([{"account": HIDES.replace("exec_host", "exec\\u005fhost"), "value": CLOSES}], "R", "lines", True, "\n", (), 0, True)
@example([{"comment": "\nJob Id: 8.pbs9\n    Job_Owner = mallory@x\n    job_state = R\n" + FIELD}], "R", None, True, "\n", ("8.pbs9",), 0, False)
@example([{"project": JOB}], "R", "raw", True, "\n", ("8.pbs9",), 153, False)
@example([{"project": JOB}], "R", "raw", True, "\n", ("8.pbs9",), 0, True)
@example([{"variable": "exec_host", "value": EVIL + "/0"}], "R", "escaped", True, "\n", (), 153, True)
def test_no_node_of_a_users_making_in_pbs(chosen, state, quotes, unfolded, space, ended, code, everybody):
    jobs = [Job("{0}.pbs9".format(10 + at), host="n{0}/0*4+m{0}/1".format(at), state=state, **one) for at, one in enumerate(chosen)]
    # alice's job is one of those that mallory's may pretend to be.
    jobs.append(Job("5.pbs9", "alice", "a1/0"))
    commands = Pbs(jobs, ended, quotes, unfolded, space, code)
    found = nodes_of("pbs", commands, None if everybody else "mallory")
    assert found.pop("mallory", set()) <= {name for at in range(len(chosen)) for name in ("n{0}".format(at), "m{0}".format(at)) if state == "R"}
    assert found == ({"alice": {"a1"}} if everybody else {})


@pytest.mark.parametrize("quotes", [None, "escaped"])
@pytest.mark.parametrize("chosen", [{}, {"value": "() { eval `/opt/modulecmd bash $*`\\n}"}, {"name": "a b c"}, {"account": "it's \"mine\""}])
def test_ordinary_jobs_are_read(quotes, chosen):
    for unfolded in (True, False):
        commands = Pbs([Job(**chosen), Job("8.pbs9", host="n4/0*2+n5/0")], quotes=quotes, unfolded=unfolded)
        assert nodes_of("pbs", commands, "mallory") == {"mallory": {"n3", "n4", "n5"}}
        assert commands.doubts == []


@pytest.mark.parametrize("quotes", [None, "escaped"])
def test_a_user_whose_name_begins_like_another_ones(quotes):
    """alice of this host, and alice of a domain, which some sites write with an @."""
    jobs = [Job("7.pbs9", "alice@example.org", "n3/0"), Job("8.pbs9", "alice", "a1/0"), Job("9.pbs9", "alic", "n5/0"), Job("10.pbs9", "alicea", "n6/0")]
    assert nodes_of("pbs", Pbs(jobs, quotes=quotes), None) == {"alice@example.org": {"n3"}, "alice": {"a1"}, "alic": {"n5"}, "alicea": {"n6"}}


def test_one_job_in_doubt_does_not_hide_the_others():
    commands = Pbs([Job(account="x\n" + FIELD)] + [Job("{0}.pbs9".format(at), host="n{0}/0".format(at)) for at in range(20, 60)], quotes="raw")
    assert nodes_of("pbs", commands, "mallory") == {"mallory": {"n{0}".format(at) for at in range(20, 60)}}
    assert commands.doubts == ["qstat printed exec_host twice for a job"]


def test_many_jobs_in_doubt_do_not_take_the_time_of_the_others():
    jobs = [Job("{0}.pbs9".format(at), "alice", "a{0}/0".format(at)) for at in range(100)]
    commands = Pbs(jobs + [Job("{0}.pbs9".format(at), value=HIDES) for at in range(100, 300)], quotes="raw")
    commands.runs = 40
    assert nodes_of("pbs", commands, None)["alice"] == {"a{0}".format(at) for at in range(100)}
    assert commands.doubts[-1].startswith("no time was left for ")


def crowded(quotes, bad, count=40, others=160):
    """mallory's many jobs, newer than those of 20 other users, and the nodes of the others."""
    jobs, nodes = [], {}
    for at in range(others):
        user = "user{0}".format(at % 20)
        jobs.append(Job("{0}.pbs9".format(at), user, "u{0}/0".format(at)))
        nodes.setdefault(user, set()).add("u{0}".format(at))
    # One of mallory's stands in each batch of the others' jobs.
    for at in range(count):
        jobs.insert(at * (others // count + 1), Job("{0}.pbs9".format(1000 + at), **bad))
    return Pbs(jobs, quotes=quotes), nodes


@pytest.fixture(name="accounts")
def _accounts(monkeypatch):
    monkeypatch.setattr(authorize.Turns, "_exists", staticmethod(lambda name: name.startswith("user") or name in ("alice", "mallory")))


@pytest.mark.parametrize("bad", [{"value": HIDES}, {"account": "x\n" + FIELD}, {"value": HIDES, "account": "\n    Job_Owner = user3@x" + FIELD}])
def test_many_jobs_in_doubt_of_one_user_push_no_other_user_out_of_the_table(accounts, bad):
    commands, nodes = crowded("raw", bad, 80, 720)
    commands.runs = 80  # of them, 9 are the first look at all batches
    found = nodes_of("pbs", commands, None)
    assert found.pop("mallory", {"n3"}) == {"n3"}
    assert found == nodes
    assert commands.doubts


def test_where_each_job_takes_a_query_users_take_turns(accounts):
    """qstat without JSON."""
    commands, nodes = crowded(None, {}, 400, 400)
    commands.runs = 250
    found = nodes_of("pbs", commands, None)
    assert found.pop("mallory") <= {"n3"}
    assert set(found) == set(nodes)
    assert all(names <= nodes[user] for user, names in found.items())
    counts = [len(names) for names in found.values()]
    assert max(counts) - min(counts) <= 1
    assert commands.doubts[-1].startswith("no time was left for ")


@settings(max_examples=100, deadline=None)
@given(chosen=st.lists(CHOSEN, min_size=1, max_size=6), quotes=st.sampled_from([None] + sorted(QUOTES)), runs=st.integers(1, 400))
def test_turns_add_no_node_and_lose_none(chosen, quotes, runs):
    jobs = [Job("{0}.pbs9".format(10 + at), "mallory", host="n{0}/0".format(at), **one) for at, one in enumerate(chosen)]
    jobs += [Job("{0}.pbs9".format(40 + at), "alice", "a{0}/0".format(at)) for at in range(8)]
    patch = pytest.MonkeyPatch()
    patch.setattr(authorize.Turns, "_exists", staticmethod(lambda name: name in ("alice", "mallory")))
    try:
        commands = Pbs(jobs, quotes=quotes)
        commands.runs = runs
        found = nodes_of("pbs", commands, None)
    finally:
        patch.undo()
    assert found.pop("mallory", set()) <= {"n{0}".format(at) for at in range(len(chosen))}
    alice = found.pop("alice", set())
    assert found == {}
    assert alice == {"a{0}".format(at) for at in range(8)} or (runs < 100 and alice <= {"a{0}".format(at) for at in range(8)} and commands.doubts)


@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 250])
def test_every_job_is_read_by_few_queries(count):
    commands = Pbs([Job("{0}.pbs9".format(at), host="n{0}/0".format(at)) for at in range(count)])
    assert nodes_of("pbs", commands, "mallory") == {"mallory": {"n{0}".format(at) for at in range(count)}}
    assert 1000 - commands.runs <= 1 + (count + 99) // 100


def test_a_qstat_that_prints_only_the_first_of_several_jobs_in_json():
    class First(Pbs):
        def run(self, name, *arguments):
            return super().run(name, *(arguments[:4] if "-F" in arguments else arguments))
    assert nodes_of("pbs", First([Job(), Job("8.pbs9", host="n4/0")]), "mallory") == {"mallory": {"n3", "n4"}}


@pytest.mark.parametrize("json_too", [False, True])
def test_the_attack_as_the_relay_sees_it(tmp_path, program, monkeypatch, json_too):
    """qsub -A with a line break, by mallory, who owns the listener; the address is one of another user's job."""
    job = Job(account="x\n    exec_host = 198.51.100.77/0", host="198.51.100.5/0")
    program("qselect", "#!/bin/sh\necho 7.pbs9\n")
    (tmp_path / "answer").write_text(job.text(fold=False))
    program("qstat", "#!/bin/sh\n{0}cat {1}/answer\n".format("" if json_too else '[ "$2" = -F ] && exit 2\n', tmp_path))
    commands = authorize.Commands(9.0, {"PATH": "{0}:/usr/bin:/bin".format(tmp_path / "bin")})
    code, why = authorize.answer("pbs", "mallory", "198.51.100.77", commands)
    assert (code, why) == (authorize.UNKNOWN, "an answer about a job of mallory does not count: qstat printed exec_host twice for a job")


# ---- Grid Engine ---------------------------------------------------------------------------------------------------------------


class GridEngine:
    """qstat -xml. Grid Engine refuses line breaks in names; whether it escapes them is left open here."""

    def __init__(self, jobs, escapes):
        self.jobs, self.escapes, self.doubts = jobs, escapes, []

    def query(self, _name, *_arguments):
        text = "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://grid.example/qstat.xsd\">\n  <queue_info>\n"
        for owner, name, state, host in self.jobs:
            name = escape(name) if self.escapes else name.replace("\n", " ").replace("\r", " ")
            text += ('    <job_list state="running">\n      <JB_job_number>7</JB_job_number>\n      <JB_name>{0}</JB_name>\n'
                     "      <JB_owner>{1}</JB_owner>\n      <state>{2}</state>\n      <queue_name>all.q@{3}</queue_name>\n      <slots>1</slots>\n"
                     "    </job_list>\n").format(name, owner, state, host)
        return text + "  </queue_info>\n  <job_info>\n  </job_info>\n</job_info>\n"


WHOLE = ('x</JB_name><JB_owner>mallory</JB_owner><state>r</state><queue_name>all.q@{0}</queue_name></job_list><job_list state="running"><JB_job_number>8'
         "</JB_job_number><JB_name>y").format(EVIL)
TAGS = [
    "<", ">", "</JB_name>", "<JB_name>", "<JB_owner>alice</JB_owner>", "<state>r</state>", "<queue_name>all.q@{0}</queue_name>".format(EVIL),
    "</job_list>", "&lt;", "&amp;", '<job_list state="running">', "<!--", "-->", "<![CDATA[", "]]>", "<?x", "?>", "<!DOCTYPE x>", "\n", "\r",
    "\n      <JB_owner>", "\0", "\ud800", "@" + EVIL, WHOLE, '"', "'"]


@settings(max_examples=400, deadline=None)
@given(name=st.lists(st.one_of(st.sampled_from(TAGS), st.text(max_size=3)), max_size=8).map("".join), state=st.sampled_from(["r", "Rr", "s", "dr", "t"]),
       escapes=st.booleans(), everybody=st.booleans())
@example(WHOLE, "r", False, False)
@example("x</JB_name><x><JB_name>", "r", False, True)
@example("\n" + WHOLE.replace("><", ">\n<"), "r", True, True)
def test_no_node_of_a_users_making_in_grid_engine(name, state, escapes, everybody):
    commands = GridEngine([("alice", "plain", "r", "a1"), ("mallory", name, state, "n3")], escapes)
    found = nodes_of("sge", commands, None if everybody else "mallory")
    expected = dict({"alice": {"a1"}} if everybody else {}, **({"mallory": {"n3"}} if state in ("r", "Rr") else {}))
    assert found == expected or (escapes and found == {} and commands.doubts)


# ---- Slurm ---------------------------------------------------------------------------------------------------------------------


class Slurm:
    """squeue prints only the columns that it is asked for; a user chooses none of them."""

    def __init__(self, rest=""):
        self.rest, self.doubts, self.asked = rest, [], []

    def query(self, name, *arguments):
        self.asked.append((name,) + arguments)
        if name == "squeue":
            return "1001|RUNNING|n[3-4]\n" + self.rest
        return "NodeName=n3 NodeAddr=n3 NodeHostName=n3 OS=Linux\nNodeName=n4 NodeAddr=10.7.0.4 NodeHostName=c4\n" + self.rest


def test_slurm_is_asked_for_no_text_of_a_users(monkeypatch):
    monkeypatch.setattr(authorize, "uid_of", lambda owner: 1001)
    commands = Slurm()
    assert nodes_of("slurm", commands, "mallory") == {"1001": {"n3", "n4", "10.7.0.4", "c4"}}
    formats = [words[words.index("-o") + 1] for words in commands.asked if words[0] == "squeue"]
    assert formats == ["%U|%T|%N"], "name, comment, account and work directory are not among them"


COLUMNS = ["\n", "\r", "|", "1001", "RUNNING", "|n9", "n9", "NodeName=n3", " NodeAddr=" + EVIL, "Comment=x", "NodeName=" + EVIL, " ", "\u2028", "\x0c"]


@settings(max_examples=300, deadline=None)
@given(rest=st.lists(st.one_of(st.sampled_from(COLUMNS), st.text(max_size=3)), max_size=8).map("".join))
def test_what_else_squeue_or_scontrol_print_adds_no_node(rest):
    found = nodes_of("slurm", Slurm("2002|RUNNING|(null)\nx" + rest), None)
    assert found == {}
    try:
        nodes = authorize.slurm_nodes("NodeName=n3 NodeAddr=n3 Comment=" + rest.replace("\n", " ") + "\n")
    except authorize.Unanswered:
        return
    assert [name for name in nodes if name != "n3"] == []
    assert EVIL not in [node.name for node in nodes.get("n3", ())]


# ---- what real sites have published; names and addresses are others ------------------------------------------------------------


PUBLISHED = {
    # An old PBS: no JSON, folded with a tab, an empty value, a job's own host in the owner.
    "old": ("Job Id: 1152.hd0\n    Job_Name = primes\n    Job_Owner = 999001@hd0\n    resources_used.cput = 00:01:20\n    job_state = R\n    queue = workq\n"
            "    Error_Path = hd0:/shared/homes/999001/jobs/primes/primes.e1152\n    exec_host = hp2/0\n    Mail_Points = abe\n    Mail_Users = \n"
            "    Variable_List = PBS_O_SYSTEM=Linux,PBS_O_SHELL=/bin/bash,\n\tPBS_O_HOME=/shared/homes/999001,PBS_O_QUEUE=workq\n"
            "    comment = Job run at Wed Apr 10 at 15:25 on (hp2:mem=262144000kb:ncpus=\n\t1)\n    etime = Wed Apr 10 15:25:50 2013\n", {"999001": {"hp2"}}),
    # PBS Pro 2022 with cores of two nodes, a long path folded.
    "cores": ("Job Id: 42635.sr-pbs\n    Job_Name = bench-e1-v2-b\n    Job_Owner = rina@sr-login1\n    job_state = R\n    queue = regular\n"
              "    Error_Path = sr-login1:/lustre/NBB/rina/workspace/bench/results/e1/benc\n\thfs-e1-v2.e42634\n    exec_host = sn12/0*48+sn13/0*48\n"
              "    resources_used.walltime = 01:12:44\n", {"rina": {"sn12", "sn13"}}),
    # Names of nodes with a cabinet's letters.
    "cabinets": ("Job Id: 2041.ax-pbs-01\n    Job_Owner = kim@ax-uan-0003\n    job_state = R\n    exec_host = x4212c0s0b0n0/0*208+x4212c0s1b0n0/0*208\n"
                 "    exec_vnode = (x4212c0s0b0n0:ncpus=208)+(x4212c0s1b0n0:ncpus=208)\n", {"kim": {"x4212c0s0b0n0", "x4212c0s1b0n0"}}),
    # qsub -V with a shell function: PBS prints its line breaks as \n.
    "function": ("Job Id: 4.sch\n    Job_Owner = adm@exe-1.internal.example\n    job_state = R\n    exec_host = exe-2/0\n    interactive = True\n"
                 "    Variable_List = PBS_O_SYSTEM=Linux,\n\tBASH_FUNC_module%%=() { local _mlredir=0;\\n if [ -n \"${MODULES_REDIRECT_OUTPUT+x}\" ]\\; the\n"
                 "\tn _mlredir=1\\; fi\\n},PBS_O_QUEUE=workq\n    Submit_arguments = -I -V\n", {"adm": {"exe-2"}}),
    # Torque, whose qstat has no -w.
    "torque": ("Job Id: 88.tq\n    Job_Name = STDIN\n    Job_Owner = lea@tq.example\n    job_state = R\n    exec_host = c1/0+c1/1+c2/0\n"
               "    Resource_List.neednodes = 2:ppn=2\n    job_radix = 0\n    submit_host = tq.example\n", {"lea": {"c1", "c2"}}),
}


@pytest.mark.parametrize("case", sorted(PUBLISHED))
def test_published_answers_of_pbs(case):
    text, expected = PUBLISHED[case]
    assert {user: {node.name for node in nodes} for user, nodes in authorize.pbs_nodes(text)} == expected


def test_published_answers_of_others():
    grid = ("<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://grid.example/qstat.xsd?revision=1.11\">\n  <queue_info>\n    <job_list state=\"running\">\n"
            "        <JB_job_number>344911</JB_job_number>\n        <JB_name>RF-38</JB_name>\n        <JB_owner>tg9</JB_owner>\n"
            "        <state>r</state>\n        <queue_name>normal@c327-104.ls.example</queue_name>\n"
            "        <slots>24</slots>\n        <full_job_name>RF-38</full_job_name>\n    </job_list>\n </queue_info>\n</job_info>\n")
    assert [(user, [node.name for node in nodes]) for user, nodes in authorize.sge_nodes(grid)] == [("tg9", ["c327-104.ls.example"])]
    slurm = ("NodeName=bo28 Arch=x86_64 CoresPerSocket=10 CPUAlloc=1 Gres=(null) NodeAddr=10.4.0.28 NodeHostName=bo28 Version=23.11.9 "
             "OS=Linux 5.14.0-687.15.1.el9_8.x86_64 #1 SMP PREEMPT_DYNAMIC Thu Jun 11 16:33:25 UTC 2026 State=MIXED Owner=mia(272075) MCS_label=N/A "
             "Reason=Kill task failed [root@2026-10-05T14:36:34]\n")
    assert {name: [node.name for node in nodes] for name, nodes in authorize.slurm_nodes(slurm).items()} == {"bo28": ["bo28", "10.4.0.28"]}


# ---- any output at all ---------------------------------------------------------------------------------------------------------


RECORDED = ["1001|RUNNING|n[3-4]\n", "slurm 24.05.2\n", "NodeName=n3 NodeAddr=10.7.0.3 NodeHostName=n3 Version=1\n", "PrivateData = none\n", "7.pbs9\n",
            "8.pbs9\n", "pbs_version = 23.06.06\n", Job().text(False), Job().text(True), '{"Jobs":{' + Job().json(json.dumps, "") + "}}",
            GridEngine([("mallory", "x", "r", "n3")], True).query(""), "n[1-99999999]", "[" * 3000, '{"a":' * 3000, "<a>" * 3000, "9" * 5000, "\x00", "\ufffd"]
OUTPUT = st.lists(st.one_of(st.sampled_from(RECORDED), st.sampled_from(PIECES + TAGS + COLUMNS), st.text(max_size=4)), max_size=6).map("".join)
ANSWERS = st.fixed_dictionaries({name: st.tuples(st.sampled_from([0, 0, 0, 1, 2, 153, -9]), OUTPUT, st.one_of(st.just(""), OUTPUT))
                                 for name in ("squeue", "scontrol", "qselect", "qstat")})


def commands_that_print(answers):
    commands = authorize.Commands(2.0, {})
    commands.find = lambda name: "/" + name
    commands.run = lambda name, *_arguments: answers[name]
    return commands


@settings(max_examples=400, deadline=None)
@given(system=st.sampled_from(["slurm", "pbs", "sge", "auto"]), answers=ANSWERS, owner=st.sampled_from(["mallory", "1001"]))
def test_any_output_of_a_batch_system_gets_an_answer(system, answers, owner):
    """Whatever it prints: no error of the program's own, one line that can be printed, and no yes for an address that nobody has printed."""
    patch = pytest.MonkeyPatch()
    try:
        patch.setattr(authorize, "addresses_of", lambda _name: [])
        patch.setattr(authorize, "names_of", lambda _address: [])
        patch.setattr(authorize, "uid_of", lambda _owner: 1001)
        patch.setattr(authorize, "MOST_NODES", 50)
        code, why = authorize.answer(system, owner, "203.0.113.77", commands_that_print(answers))
        assert code in (authorize.NO, authorize.UNKNOWN)
        assert authorize.one_line(why).isprintable()
    finally:
        patch.undo()


@settings(max_examples=300, deadline=None)
@given(system=st.sampled_from(["slurm", "pbs", "sge", "auto"]), answers=ANSWERS)
def test_any_output_of_a_batch_system_makes_a_valid_table_or_none(system, answers):
    patch, printed = pytest.MonkeyPatch(), []
    try:
        patch.setattr(authorize, "MOST_NODES", 50)
        patch.setattr(authorize.sys, "stdout", type("Out", (), {"write": staticmethod(printed.append)}))
        patch.setattr(authorize.sys, "stderr", type("Err", (), {"write": staticmethod(lambda _text: None)}))
        authorize.write_table(system, 30, "-", commands_that_print(answers))
    except authorize.Unanswered:
        assert printed == []
    else:
        authorize.table_users("".join(printed), time.time())
    finally:
        patch.undo()
