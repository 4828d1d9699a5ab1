# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login node tells of itself, and which of its batch systems is meant."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import batch_system
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts as site
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.tables.registry import TABLES
from conftest import run_local

WISHES = {"scheduler": "auto", "account": "", "queue": "", "reservation": "", "directives": [], **dict.fromkeys(
    ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node"), 1), **dict.fromkeys(("memory", "qos", "constraint", "parallel_environment"), ""),
    "walltime": 60, "exclusive": False, "gpus_per_node": 0}
SLURM = {"login_node": "login", "schedulers": ["slurm", "sge"], "site": {}}


def test_this_host():
    facts = site.facts_of("here", run_local, TABLES, pytest.fail, lambda text: {})
    assert facts["login_node"] and facts["site"] == {} and facts["cluster_address"] == ""


def answering(monkeypatch, **facts):
    told = dict({"missing": [], "site_untrusted": False, "site_text": ""}, **facts)
    monkeypatch.setattr(site, "read", lambda _out, _tables: dict(told))
    said = []
    return said, lambda load: site.facts_of("here", lambda _text, _seconds: (0, "", ""), {}, said.append, load)


def test_what_the_site_says_counts_and_is_shown(monkeypatch):
    said, facts_of = answering(monkeypatch, site_text="x")
    facts = facts_of(lambda text: {"message": "hi\x1b[2J", "cluster_address": "10.0.0.1", "shell": "/bin/sh"})
    assert (facts["site"], facts["cluster_address"], said) == ({"message": "hi", "cluster_address": "10.0.0.1"}, "10.0.0.1", ["hi"])


def test_what_cannot_be_read_is_passed_over(monkeypatch):
    def load(_text):
        raise ValueError("it is no YAML")
    said, facts_of = answering(monkeypatch, site_untrusted=True)
    assert facts_of(load)["site"] == {}
    assert [line.partition(" is ")[2] for line in said] == ["passed over: root alone should own and write it and its directory", "passed over: it is no YAML"]


def test_tools_that_are_needed(monkeypatch):
    with pytest.raises(SessionError, match="here lacks sed"):
        answering(monkeypatch, missing=["sed"])[1](lambda text: {})


def test_an_answer_that_is_none():
    with pytest.raises(SessionError, match="cannot make out what here is"):
        site.facts_of("here", lambda _text, _seconds: (0, "welcome", ""), TABLES, pytest.fail, lambda text: {})


@pytest.mark.parametrize(("site_values", "taken"), [({}, "slurm"), ({"scheduler": "sge"}, "sge"), ({"scheduler": "pbs"}, "slurm")])
def test_the_sites_word_counts_where_there_are_several(site_values, taken):
    assert batch_system.batch_system(WISHES, dict(SLURM, site=site_values), TABLES) == taken


def test_an_account_that_is_required():
    facts = dict(SLURM, site={"account_required": True})
    with pytest.raises(SessionError, match="paraview_account is missing"):
        batch_system.batch_system(WISHES, facts, TABLES)
    assert batch_system.batch_system(dict(WISHES, account="me"), facts, TABLES) == "slurm"


@pytest.mark.parametrize(("wish", "said"), [("none", "would run pvserver on the login node"), ("pbs", "was not found on login")])
def test_what_cannot_be_had(wish, said):
    with pytest.raises(SessionError, match=said):
        batch_system.batch_system(dict(WISHES, scheduler=wish), SLURM, TABLES)
