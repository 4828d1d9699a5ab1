# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's own tables: valid ones are accepted, and errors are named."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, directives, jobs, recordings, validation
from hypothesis import given
from hypothesis import strategies as st

GUIDE = (Path(__file__).resolve().parents[2] / "docs/docsite/rst/guide_batch_systems.rst").read_text()
# The home-made batch system of the guide, in YAML alone.
OWN = yaml.safe_load((Path(__file__).resolve().parents[1] / "fixtures" / "own_scheduler" / "tables.yml").read_text())["paraview_schedulers"]


def refused(given):
    with pytest.raises(SessionError) as caught:
        validation.tables(given)
    assert caught.value.why and "nothing was touched" in caught.value.way_out
    return caught.value


def changed(path, value):
    own = copy.deepcopy(OWN)
    place = own
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return own


def test_a_batch_system_needs_no_python(tmp_path):
    """A job with the guide's table: submitted, queried and cancelled."""
    table = validation.tables(OWN)["spool"]
    assert directives.head(table, {"nodes": 2, "tasks_per_node": 4, "walltime": 3600, "queue": "fast"}, "/o") == [
        "#SPOOL log=/o", "#SPOOL hosts=2", "#SPOOL slots=4", "#SPOOL minutes=60", "#SPOOL lane=fast"]
    answer = iter([(0, "accepted as s-17\n", ""), (0, "s-17 W 0 - lane is closed\n", ""), (0, "s-17 X 0 c3,c4 -\n", ""), (0, "s-17 D 3 c3,c4 -\n", ""),
                   (1, "", "no task s-17"), (0, "", "")])
    queue = jobs.Jobs(lambda _argv: next(answer), table)
    assert queue.submit("job.sh") == "s-17"
    waiting, running, over, gone = (queue.ask("s-17") for _each in range(4))
    assert (waiting.state, waiting.reason, waiting.never, waiting.explanation) == ("pending", "lane is closed", True, "choose another paraview_queue")
    assert (running.state, running.nodes, running.root_node) == ("running", ["c3", "c4"], "c3")
    assert (over.state, over.exit_status) == ("failed", 3)
    assert gone.gone
    assert queue.cancel("s-17") == ""


def block(caption):
    """A file that the guide shows."""
    (text,) = re.findall(r"   :caption: {0}\n\n((?:   .*\n|\n)+)".format(re.escape(caption)), GUIDE)
    return text.replace("\n   ", "\n")[3:]


def test_the_guide_shows_the_table_of_these_tests():
    assert yaml.safe_load(block("~/spool.yml"))["paraview_schedulers"] == OWN
    changes = yaml.safe_load(block("~/group_vars/all.yml"))["paraview_schedulers"]
    assert validation.tables(changes)["slurm"]["launcher"][1] == "--mpi=pmix"


def guide_tries():
    """Yields each command in the guide that tries a table: its table, job id, recorded answers, and the line that it prints."""
    command = (r"^   \$ ansible-playbook sciviz\.paraview\.try_scheduler -e @(\S+) -e paraview_scheduler=(\S+) -e paraview_job_id=(\S+) "
               r"-e paraview_answer=(\S+)\n   (.*)$")
    for file, name, job_id, answer, line in re.findall(command, GUIDE, re.MULTILINE):
        table = validation.tables(yaml.safe_load(block("~/" + file))["paraview_schedulers"])[name]
        yield table, name, job_id, recordings.parse(block("~/" + answer).encode()), line


def test_what_the_guide_tries_is_read_as_it_shows():
    assert len(list(guide_tries())) == 8
    for table, name, job_id, answered, line in guide_tries():
        assert not any("like" in question for question in table["ask"].values())
        job = recordings.read(table, name, job_id, answered)._asdict()
        shown = "{0}: {1}".format(name, json.dumps({field: value for field, value in job.items() if field not in ("time_left_s", "gone")}))
        assert re.fullmatch(".*".join(re.escape(part) for part in line.split("...")), shown), shown


def test_the_job_script_of_the_guides_own_table():
    table = validation.tables(yaml.safe_load(block("~/oar.yml"))["paraview_schedulers"])["oar2"]
    head = directives.head(table, {"nodes": 2, "tasks_per_node": 8, "walltime": 3600}, "/o")
    shown = re.findall(r"^   \.\.\.(#OAR .*)$", GUIDE, re.MULTILINE)
    assert len(shown) == 2 and set(shown) <= set(head)
    assert head == directives.head(answers.TABLES["oar"], {"nodes": 2, "tasks_per_node": 8, "walltime": 3600}, "/o")


def test_the_guide_names_what_a_batch_system_has_to_offer():
    section = GUIDE.split("What a batch system has to offer\n")[1].split("A whole table\n")[0]
    needed, optional = section.split("has nothing for")
    assert set(re.findall(r"``(\w+)``", re.sub(r"(?m)^    .*$", "", needed))) == {"submit", "ask", "states", "cancel", "job_nodes"}
    for name in re.findall(r"(?m)^``(\w+)``", optional):
        own = copy.deepcopy(OWN)
        own["spool"].pop(name, None)
        assert name not in validation.tables(own)["spool"] or name in ("launcher", "directives")


def test_the_guide_names_every_entry():
    class Names(validation._Checker):
        """Collects the names of all entries."""

        def __init__(self):
            super().__init__("")
            self.names = set()

        def _entries(self, path, given, kinds, required=()):
            self.names |= set(kinds)
            return super()._entries(path, given, kinds, required)

    checker = Names()
    checker.table(copy.deepcopy(answers.TABLES["sge"]))
    assert {"argv", "fields", "silence", "needs", "node"} <= checker.names
    assert not {name for name in checker.names - {"pattern"} - set(directives.OPTIONS) if not re.search(r"``{0}[`:]".format(name), GUIDE)}
    assert not [name for name in directives.PLACEHOLDERS if "``{0}``".format(name) not in GUIDE and "``paraview_{0}``".format(name) not in GUIDE]


def test_a_sites_own_system_is_detected_first():
    assert list(validation.tables(OWN)) == ["spool"] + list(answers.TABLES)


def test_single_entries_are_overridden_and_removed():
    tables = validation.tables({"slurm": {
        "launcher": ["srun", "--mpi=pmix", "-n", "{tasks}"], "ask": {"sacct": None}, "never": {"Priority": "it will not get better"},
        "directives": {"lines": {"gpus_per_node": "--gpus-per-node={gpus_per_node}"}}}})
    assert list(tables["slurm"]["ask"]) == ["scontrol", "squeue"]
    assert "#SBATCH --gpus-per-node=2" in directives.head(tables["slurm"], {"gpus_per_node": 2})
    assert tables["slurm"]["states"] == answers.TABLES["slurm"]["states"]
    assert "Priority" not in answers.TABLES["slurm"]["never"], "the shipped table does not change"
    assert "sacct" in answers.TABLES["slurm"]["ask"]


def test_a_new_table_is_based_on_a_shipped_one():
    tables = validation.tables({"night": {"based_on": "pbs", "title": "Night queue", "submit": {"argv": ["nqsub", "{script}"]}}})
    assert tables["night"]["ask"] == answers.TABLES["pbs"]["ask"]
    assert tables["night"]["submit"]["argv"] == ["nqsub", "{script}"]


@pytest.mark.parametrize(("path", "value", "named", "why"), [
    (["spool", "submit", "argv"], "spool add {script}", "paraview_schedulers.spool.submit.argv: 'spool add {script}'", "a list of words"),
    (["spool", "submit", "argv"], ["spool", "add"], "spool.submit.argv", "{script} is missing"),
    (["spool", "submit", "job_id"], r"s-\d+", "spool.submit.job_id", "(?P<job_id>...) is missing"),
    (["spool", "submit", "job_id"], "(", "spool.submit.job_id: '('", "not a regular expression"),
    (["spool", "submit", "jobid"], "x", "spool.submit.jobid", "is job_id meant?"),
    (["spool", "ask", "show", "argv"], ["spool", "show"], "spool.ask.show.argv", "{job_id} is missing"),
    (["spool", "ask", "show", "fields"], {}, "spool.ask.show.fields.native", "missing"),
    (["spool", "ask", "show", "fields", "natve"], "x", "spool.ask.show.fields.natve", "is native meant?"),
    (["spool", "ask", "show", "fields", "nodes"], ["(?P<value>x)", "x"], "spool.ask.show.fields.nodes[1]", "(?P<value>...) is missing"),
    (["spool", "ask", "show", "format"], "yaml", "spool.ask.show.format: 'yaml'", "text, xml, json"),
    (["spool", "ask", "show", "when"], "later", "spool.ask.show.when", "unreadable"),
    (["spool", "ask", "show", "record"], "(?P<body>.*)", "spool.ask.show.record", "(?P<id>...)"),
    (["spool", "ask"], {}, "spool.ask", "it has no question"),
    (["spool", "states"], {"W": "waiting"}, "spool.states.W: 'waiting'", "pending, running, ended"),
    (["spool", "states"], {True: "pending"}, "spool.states: True", "quotes"),
    (["spool", "cancel"], None, "spool.cancel", "missing"),
    (["spool", "directives", "lines", "hosts"], "hosts={node}", "spool.directives.lines.hosts: 'hosts={node}'", "is {nodes} meant?"),
    (["spool", "directives", "lines", "hosts"], "a\nb", "spool.directives.lines.hosts", "one line"),
    (["spool", "directives", "needs"], {"queue": "tasks"}, "spool.directives.needs.queue", "a list of two"),
    (["spool", "launcher"], "mpiexec.hydra -n {tasks}", "spool.launcher", "list of words"),
    (["spool", "never"], {"(": "x"}, "spool.never.(", "not a regular expression"),
    (["spool", "may_pass"], {"(": "x"}, "spool.may_pass.(", "not a regular expression"),
    (["spool", "on_demand"], {"[": "x"}, "spool.on_demand.[", "not a regular expression"),
    (["spool", "states"], {"(": "pending"}, "spool.states.(", "not a regular expression"),
    (["spool", "leaving"], ["("], "spool.leaving: '('", "not a regular expression"),
    (["spool", "cluster"], ["-M"], "spool.cluster", "{cluster} is missing"),
    (["spool", "ask", "show", "other_ids"], ["x"], "spool.ask.show.other_ids", "a list of pairs"),
    (["spool", "ask", "show", "other_ids"], [["(a)", r"\2"]], "spool.ask.show.other_ids", "its pattern has 1 groups"),
    (["spool", "ask", "show", "other_ids"], [["(a)", r"\g<x>"]], "spool.ask.show.other_ids", "no other"),
    (["spool", "signals_from"], "128", "spool.signals_from", "whole number"),
    (["spool", "title"], "", "spool.title", "set it to null"),
    (["spool", "on_login_node"], "yes", "spool.on_login_node", "true or false"),
    (["spool", "sates"], {}, "spool.sates", "is states meant?"),
    (["spool", "based_on"], "cron", "spool.based_on: 'cron'", "slurm"),
    (["spool", "ask", "show", "when"], "gone", "spool.ask.show.when: 'gone'", "asked first"),
    (["spool", "ask", "more"], {"argv": ["x", "{job_id}"], "fields": {"native": "(?P<value>x)"}}, "spool.ask.more.when", "every further one"),
    (["spool", "ask", "show", "every"], ["noedes"], "spool.ask.show.every: 'noedes'", "nodes"),
    (["spool", "ask", "show", "otherwise"], {"x": "y"}, "spool.ask.show.otherwise.x", "no such entry"),
    (["spool", "ask", "show", "fields", "native"], [], "spool.ask.show.fields.native", "empty"),
    (["spool", "directives"], None, "spool.directives", "missing"), (["spool", "job_nodes"], None, "spool.job_nodes", "missing"),
    (["spool", "launcher"], None, "spool.launcher", "missing"),
    (["spool", "directives", "always"], ["log={output}"], "spool.directives.always", "without placeholders"),
    (["spool", "directives", "needs"], {"foo": ["tasks", "x"]}, "spool.directives.needs.foo", "no such entry"),
    (["spool", "directives", "apart"], [["queue"]], "spool.directives.apart", "pairs"),
    (["spool"], ["x"], "paraview_schedulers.spool", "a mapping"),
    (["Spool it"], {}, "paraview_schedulers: 'Spool it'", "lower-case"), (["auto"], {}, "paraview_schedulers: 'auto'", "lower-case")])
def test_an_error_is_named(path, value, named, why):
    error = refused(changed(path, value))
    assert named in error.what
    assert why in error.why


@pytest.mark.parametrize(("path", "value", "place", "name", "known"), [
    (["submit", "argv"], ["spool", "add", "{scirpt}", "{script}"], "submit.argv[2]: '{scirpt}'", "{scirpt}", "{script}"),
    (["submit", "argv"], ["sh", "-c", "spool --cores {cores_per_nodes} $1", "sh", "{script}"], "submit.argv[2]", "{cores_per_nodes}", "{script}"),
    (["ask", "show", "argv"], ["spool", "show", "{jobid}", "{job_id}"], "ask.show.argv[2]", "{jobid}", "is {job_id} meant?"),
    (["ask", "show", "argv"], ["spool", "show", "--of={JOB_ID}"], "ask.show.argv[2]", "{JOB_ID}", "is {job_id} meant?"),
    (["cancel", "argv"], ["spool", "remove", "{job_id}", "{node}"], "cancel.argv[3]", "{node}", "the placeholders here are {job_id}"),
    (["cancel", "force"], ["spool", "remove", "{job_id}", "{ job_id }"], "cancel.force[3]", "{ job_id }", "is {job_id} meant?"),
    (["detect", "argv"], ["spool", "{job_id}"], "detect.argv[1]", "{job_id}", "without placeholders"),
    (["first_node"], {"argv": ["spool", "hosts", "{queue}"], "pattern": "(?P<value>x)"}, "first_node.argv[2]", "{queue}", "{cluster}"),
    (["attach"], ["spool", "join", "{job-id}", "{script}"], "attach[2]", "{job-id}", "{script}, {job_id}, {node}"),
    (["would_take"], ["spool", "try", "{script}", "{queue}"], "would_take[3]", "{queue}", "{script}"),
    (["job_nodes"], "spool hosts {job_id}", "job_nodes", "{job_id}", "without placeholders"),
    (["job_setup"], "export HOSTS={nodes}", "job_setup", "{nodes}", "without placeholders"),
    (["launcher"], ["mpiexec", "-n", "{task}"], "launcher[2]", "{task}", "is {tasks} meant?"),
    (["directives", "prefix"], "#SPOOL {queue} ", "directives.prefix", "{queue}", "without placeholders"),
    (["directives", "exclusive"], "only={nodes}", "directives.exclusive", "{nodes}", "without placeholders"),
    (["directives", "lines", "slots"], "slots={cores_per_nodes}", "directives.lines.slots", "{cores_per_nodes}", "is {cores_per_node} meant?"),
    (["directives", "lines", "slots"], "slots={Tasks}", "directives.lines.slots", "{Tasks}", "is {tasks} meant?")])
def test_an_unknown_placeholder_is_refused_wherever_it_stands(path, value, place, name, known):
    error = refused(changed(["spool"] + path, value))
    assert "paraview_schedulers.spool." + place in error.what
    assert name + " is not a placeholder here" in error.why and known in error.why


@pytest.mark.parametrize("change", [
    {"record": r"^{job_id}(?P<id>\d+)(?P<body>.*)$"}, {"gone": "^no task {job_id}$"},
    {"format": "json", "record": None, "jobs": "[?id=='{job_id}']", "fields": {"native": "state"}}])
def test_a_pattern_with_a_placeholder_is_refused(change):
    own = copy.deepcopy(OWN)
    own["spool"]["ask"]["show"].update(change)
    assert "{job_id} is not filled in here" in refused(own).why


@pytest.mark.parametrize(("path", "value"), [
    (["job_nodes"], "awk '!seen[$0]++ {print}' \"${SPOOL_HOSTS}\" | awk '/^c/ { next } {exit}' | xargs -I{} echo {}"),
    (["job_setup"], "for n in ${hosts}; do { echo; }; done; : ${x%{y}}"),
    (["ask", "show", "argv"], ["sh", "-c", "spool show ${1} -o %{state} {a,b}", "sh", "{job_id}"]),
    (["directives", "lines", "hosts"], "-l {gpu='YES' and mem > 64}/hosts={nodes}<:{constraint}>"),
    (["directives", "always"], ["-p {type = 'default'}"])])
def test_braces_of_other_languages_are_left_alone(path, value):
    table = validation.tables(changed(["spool"] + path, value))["spool"]
    for key in path:
        table = table[key]
    assert table == value


def test_a_name_in_braces_may_belong_to_the_command_itself():
    argv = ["spool", "show", "-o", "{state}|{HostList}", "{job_id}"]
    own = changed(["spool", "ask", "show", "argv"], argv)
    assert "add state to verbatim" in refused(own).why
    own["spool"]["verbatim"] = ["state", "HostList"]
    table = validation.tables(own)["spool"]
    assert answers.fill(table["ask"]["show"]["argv"], job_id="s-1") == argv[:-1] + ["s-1"]


WORDS = st.text(st.sampled_from("abz_AZ09-. {}$%'\"=/<>"), max_size=20)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(st.sampled_from(["a", "z"]), max_size=2))
def test_what_is_accepted_has_no_name_in_braces_that_stays_as_it_is(words, verbatim):
    own = changed(["spool", "cancel", "argv"], ["spool", "remove", "{job_id}"] + words)
    own["spool"]["verbatim"] = verbatim
    try:
        validation.tables(own)
    except SessionError as error:
        assert "is not a placeholder here" in error.why
    else:
        assert not {name for word in words for name in re.findall(r"(?<![$%])\{([a-z_]+)\}", word)} - set(verbatim) - {"job_id"}


@pytest.mark.parametrize(("entry", "why"), [
    ("submit", "no job can be submitted"), ("ask", "the state of a job is unknown"), ("cancel", "disconnect cannot end a job"),
    ("states", "no native state has a meaning"), ("job_nodes", "taken for one of one node")])
def test_what_a_batch_system_has_to_offer(entry, why):
    own = copy.deepcopy(OWN)
    del own["spool"][entry]
    error = refused(own)
    assert "paraview_schedulers.spool.{0} is not valid".format(entry) in error.what
    assert "missing" in error.why and why in error.why


@pytest.mark.parametrize(("states", "gone", "why"), [
    ({"W": "pending", "D": "ended"}, "x", "none of them is running"), ({"W": "pending", "X": "running"}, None, "nothing shows that a job is over")])
def test_a_table_shows_that_a_job_runs_and_that_it_is_over(states, gone, why):
    own = changed(["spool", "states"], states)
    own["spool"]["ask"]["show"]["gone"] = gone
    assert why in refused(own).why


@pytest.mark.parametrize("entry", ["title", "detect", "launcher", "directives", "never", "explanations"])
def test_what_a_batch_system_may_leave_out(entry):
    own = copy.deepcopy(OWN)
    del own["spool"][entry]
    table = validation.tables(own)["spool"]
    assert directives.head(table, {"nodes": 1, "tasks_per_node": 1, "walltime": 60}) is not None
    del own["spool"]["ask"]["show"]["fields"]["nodes"]
    table = validation.tables(own)["spool"]
    state = answers.read(table, table["ask"]["show"], "s-17", 0, "s-17 X 0 c3,c4 -", "").job
    assert (state.state, state.nodes, state.root_node, answers.offers(table, "nodes")) == ("running", [], "", False)


def test_a_query_that_is_not_jmespath():
    question = {"argv": ["x", "{job_id}"], "format": "json", "jobs": "jobs[", "fields": {"native": "state"}}
    error = refused({"mine": dict(OWN["spool"], ask={"json": question})})
    assert "paraview_schedulers.mine.ask.json.jobs: 'jobs['" in error.what
    assert "JMESPath" in error.why
    assert "missing" in refused({"mine": dict(OWN["spool"], ask={"json": {name: question[name] for name in ("argv", "format", "fields")}})}).why


@pytest.mark.parametrize("change", [
    {"fields": {"native": "^(?:R|(?P<value>X))"}}, {"record": "^(?P<id>z)?(?P<body>.*)$"}, {"record": "^(?P<id>s-17)(?P<body> X)?"}, {"unwrap": "(?i)x"}])
def test_a_pattern_with_an_optional_group_raises_no_error(change):
    own = copy.deepcopy(OWN)
    own["spool"]["ask"]["show"].update(change)
    own["spool"].update(node="R|(?P<value>c[0-9])", never={"(?i)LANE.*": "x"}, first_node={"argv": ["x"], "pattern": "(?P<value>a)?b"})
    table = validation.tables(own)["spool"]
    for out in ("s-17 X 0 c3,c4 -", "s-17 R 0 c3 -", "s-17 W 0 - lane is closed", "R", "X", ""):
        assert answers.read(table, table["ask"]["show"], "s-17", 0, out, "").job.state in answers.STATES
    assert facts._first_node(table, "xb") == ""


def test_tables_that_are_not_a_mapping():
    assert "a mapping of" in refused(["slurm"]).why


ANY = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)), lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(["argv", "ask", "fields", "native", "states", "lines", "x"]), inner, max_size=3)), max_leaves=10)


@given(st.sampled_from(sorted(set(answers.TABLES["slurm"]) | {"based_on", "x"})), ANY)
def test_no_value_causes_a_traceback(entry, value):
    try:
        tables = validation.tables({"slurm": {entry: value}})
    except SessionError as error:
        assert error.what.startswith("paraview_schedulers")
    else:
        assert set(tables) == set(answers.TABLES)
