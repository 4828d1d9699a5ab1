# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a login node, and the choice of its batch system."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import batch_system
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts as site
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.tables.registry import TABLES
from conftest import run_local

OPTIONS = {"scheduler": "auto", "account": "", "queue": "", "reservation": "", "directives": [], **dict.fromkeys(
    ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node"), 1), **dict.fromkeys(("memory", "qos", "constraint", "parallel_environment"), ""),
    "walltime": 60, "exclusive": False, "gpus_per_node": 0}
SLURM = {"login_node": "login", "schedulers": ["slurm", "sge"], "site": {}}


def test_this_host():
    facts = site.facts_of("here", run_local, TABLES, pytest.fail, lambda text: {})
    assert facts["login_node"] and facts["site"] == {} and facts["cluster_address"] == ""


def gathering(monkeypatch, **facts):
    answer = dict({"missing": [], "site_untrusted": False, "site_text": ""}, **facts)
    monkeypatch.setattr(site, "read", lambda _out, _tables: dict(answer))
    shown = []
    return shown, lambda load: site.facts_of("here", lambda _text, _seconds: (0, "", ""), {}, shown.append, load)


def test_values_of_the_site_are_used_and_its_message_is_shown(monkeypatch):
    shown, facts_of = gathering(monkeypatch, site_text="x")
    facts = facts_of(lambda text: {"message": "hi\x1b[2J", "cluster_address": "10.0.0.1", "shell": "/bin/sh"})
    assert (facts["site"], facts["cluster_address"], shown) == ({"message": "hi", "cluster_address": "10.0.0.1"}, "10.0.0.1", ["hi"])


def test_a_site_file_that_cannot_be_read_is_ignored(monkeypatch):
    def load(_text):
        raise ValueError("it is not YAML")
    shown, facts_of = gathering(monkeypatch, site_untrusted=True)
    assert facts_of(load)["site"] == {}
    assert [line.partition(" is ")[2] for line in shown] == ["ignored: only root may own and write it and its directory", "ignored: it is not YAML"]


def test_missing_tools(monkeypatch):
    with pytest.raises(SessionError, match="here lacks sed"):
        gathering(monkeypatch, missing=["sed"])[1](lambda text: {})


def test_an_answer_that_is_not_valid():
    with pytest.raises(SessionError, match="cannot gather facts of here"):
        site.facts_of("here", lambda _text, _seconds: (0, "welcome", ""), TABLES, pytest.fail, lambda text: {})


@pytest.mark.parametrize(("site_values", "chosen"), [({}, "slurm"), ({"scheduler": "sge"}, "sge"), ({"scheduler": "pbs"}, "slurm")])
def test_the_site_chooses_if_there_are_several_batch_systems(site_values, chosen):
    assert batch_system.batch_system(OPTIONS, dict(SLURM, site=site_values), TABLES) == chosen


def test_an_account_that_is_required():
    facts = dict(SLURM, site={"account_required": True})
    with pytest.raises(SessionError, match="paraview_account is missing"):
        batch_system.batch_system(OPTIONS, facts, TABLES)
    assert batch_system.batch_system(dict(OPTIONS, account="me"), facts, TABLES) == "slurm"
    assert batch_system.batch_system(dict(OPTIONS, job_id="4711"), facts, TABLES) == "slurm", "nothing is submitted"


@pytest.mark.parametrize(("requested", "message"), [("none", "would run pvserver on the login node"), ("pbs", "was not found on login")])
def test_a_batch_system_that_is_not_available(requested, message):
    with pytest.raises(SessionError, match=message):
        batch_system.batch_system(dict(OPTIONS, scheduler=requested), SLURM, TABLES)
