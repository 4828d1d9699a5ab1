# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's own tables: valid ones are accepted, and errors are named."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, directives, jobs, validation
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
