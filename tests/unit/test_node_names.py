# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are reached under another name than the one that the batch system prints."""

import os

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts, own_job, site_file
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.login_node import LoginNode
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings, settings_table
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import probes
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import node_login, tunnels
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import RouteContext
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, node_names
from hypothesis import given
from hypothesis import strategies as st

DEFAULTS = {name: about["default"] for name, about in settings_table.SPEC.items()}
WITH_I = {"pattern": r"(n[0-9]+)(\..*)?", "replacement": r"\1i\2"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5mB0f8cGk3z6b9y1mJx4u2o0b1n7Y3c5Z8w9qTtest"


@pytest.mark.parametrize(("node", "name"), [("n017", "n017i"), ("n017.cluster", "n017i.cluster"), ("viz1", "viz1"), ("xn017", "xn017"), ("", "")])
def test_the_name_under_which_a_node_is_reached(node, name):
    assert node_names.reached(node, node_names.check(WITH_I)) == name
    assert node_names.reached(node, {}) == node_names.reached(node, None) == node


@pytest.mark.parametrize("rule", [
    "x", [1], {"pattern": "a"}, {"pattern": "a", "replacement": 1}, {"pattern": "(", "replacement": "a"}, {"pattern": "a", "replacement": r"\1"},
    {"pattern": "(a)", "replacement": r"\g<b>"}, {"pattern": "a", "replacement": "b c"}, {"pattern": "a", "replacement": "$(id)"},
    {"pattern": "a", "replacement": ""},
    {"pattern": "a", "replacement": "b\n"}, {"pattern": "a" * 201, "replacement": "b"}, {"pattern": "a", "replacement": "b", "user": "root"},
    {"pattern": "(a)", "replacement": "\\g<9>"}, {"pattern": "a", "replacement": "-oProxyCommand=x"}])
def test_a_rule_that_is_not_valid(rule):
    with pytest.raises(SessionError) as caught:
        settings.check(dict(DEFAULTS, node_name=rule))
    assert caught.value.what.startswith("paraview_node_name: ") and caught.value.why
    assert facts.settings({"node_name": rule}) == {}


@given(st.text(st.sampled_from("a1-.\\(g<>)+*?|$"), max_size=8), st.text(st.sampled_from("a1-.\\g<>_"), max_size=8), st.text("ab1-.", min_size=1, max_size=8))
def test_the_result_is_a_host_name(pattern, replacement, node):
    try:
        name = node_names.reached(node, node_names.check({"pattern": pattern, "replacement": replacement}))
    except ValueError:
        return
    assert name == node or not name.startswith("-") and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_")


def test_the_site_publishes_its_rule():
    text = site_file.merge(None, ["node_name"], {"node_name": WITH_I})
    values, unread = site_file.read(text)
    assert facts.settings(values) == {"node_name": WITH_I} and not unread


@pytest.fixture(name="context")
def _context():
    """A route's context; the login node resolves only names with an i, and has the keys of these names."""
    class Reached:
        control_path, executable = "/nowhere", "ssh"
        tried, forwards = [], []

        def reach(self, address, port, *_more):
            self.tried.append((address, port))
            return "open"

        def forward(self, option, specification):
            self.forwards.append(specification)

    scripts = []

    def script(text, _seconds):
        scripts.append(text)
        if "ssh-keygen" in text:
            return 0, "n017i " + KEY + "\n" if " n017i " in text or " n017i;" in text else "", ""
        return (0, "address 10.0.0.17\n10.0.0.17 dev ib0 src 10.0.0.2\n", "") if "n017i" in text else (0, "address \n", "")

    def make(options, site):
        login = {"login_node": "login2", "uid": os.getuid(), "addresses": ["10.0.0.2"], "client_side": "198.18.2.2", "site": site, "cluster_address": ""}
        context = RouteContext(Reached(), LoginNode("login2", os.getuid(), script, messages=str), login, dict(
            {"client_port": 0, "login_ports": "", "server_ports": "", "on_login_node": False}, **options), (), {"nodes": ["n017"], "addresses": []})
        context.scripts = scripts
        return context

    return make


@pytest.mark.parametrize(("options", "site"), [({"node_name": WITH_I}, {}), ({}, {"node_name": WITH_I}),
                                               ({"node_name": WITH_I}, {"node_name": {"pattern": "(.*)", "replacement": r"\1x"}})])
def test_routes_use_that_name(context, options, site):
    """The setting counts before the site's rule."""
    context = context(options, site)
    assert context.node_address("n017") == ("10.0.0.17", "10.0.0.2") and context.cluster_address("n017") == "10.0.0.2"
    context.sources("n017")
    assert " n017 n017i" in context.scripts[-1]
    route = tunnels.ForwardTunnel(context)
    route.ready_for("n017")
    assert context.master.tried[-1][0] == "10.0.0.17"
    # pvserver reports its host's own name.
    for own in ("n017.cluster", "n017i.cluster", "n017"):
        route._forward("/e", (own, 4711), "n017")
        assert context.master.forwards[-1] == "/e:10.0.0.17:4711"
    node_login.NodeLogin(context, "n017").can_be_tried("10.0.0.17")


def test_without_a_rule_the_name_stays(context):
    context = context({}, {})
    assert context.reached_at("n017") == "n017"
    with pytest.raises(RouteUnavailable, match="no host key of n017"):
        node_login.NodeLogin(context, "n017").can_be_tried("10.0.0.17")


def test_a_rule_that_makes_no_host_name(context):
    context = context({"node_name": {"pattern": "n(.*)", "replacement": r"-\1"}}, {})
    with pytest.raises(RouteUnavailable, match="'-017' of n017, which is no host name"):
        tunnels.ForwardTunnel(context).ready_for("n017")
    found = probes.LoginNodeProbes.nodes(type("Doctor", (), {"context": context, "login": "login2", "host": "c"})(), "n017")
    assert [one.result for one in found] == ["failed"] and "paraview_node_name" in found[0].way_out


def test_ssh_to_a_node_of_a_job_of_the_users_own():
    options = settings.check(dict(DEFAULTS, scheduler="pbs", node_name=WITH_I))
    assert own_job.dialled(answers.TABLES["pbs"], "4.srv", "n017", options, {}) == "n017i"
    assert own_job.dialled(answers.TABLES["pbs"], "4.srv", "n017", DEFAULTS, {"node_name": WITH_I}) == "n017i"
    assert own_job.dialled(answers.TABLES["pbs"], "4.srv", "n017", DEFAULTS, {}) == "n017"
    assert own_job.dialled(answers.TABLES["slurm"], "4", "n017", options, {}) == "n017", "Slurm has names of its own"


@pytest.mark.parametrize("pattern", ["([a-z]+)+!", "(a|a)*b", "(?:x*){2}", "a*b*c*d*"])
def test_a_pattern_that_could_take_for_ever_is_refused(pattern):
    with pytest.raises(ValueError, match="repeat single characters"):
        node_names.check({"pattern": pattern, "replacement": "x"})


def test_a_name_that_is_too_long_for_a_pattern():
    with pytest.raises(ValueError, match="longer than"):
        node_names.reached("n" * 101, node_names.check(WITH_I))
    assert node_names.reached("n" * 101, {}) == "n" * 101
