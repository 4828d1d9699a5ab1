# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a cluster in the Connect dialog, generated from the variables of its host."""

import json

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.sciviz.paraview.plugins.filter.offer import FilterModule
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import choices, connect_entry
from hypothesis import given
from hypothesis import strategies as st


def by_name(variables, reverse=False):
    return {one["name"]: one for one in choices.options(variables, reverse)}


def test_default_options():
    offered = by_name({})
    assert list(offered) == ["nodes", "tasks_per_node", "walltime", "queue", "account", "route"]
    assert offered["nodes"] == {"name": "nodes", "label": "Nodes", "type": "int", "min": 1, "max": 1024, "default": "1"}
    assert offered["walltime"]["default"] == "1:00:00" and offered["queue"]["default"] == ""
    assert [one["value"] for one in offered["route"]["choices"]] == ["auto", "node_tunnel", "forward_tunnel"]
    assert [one["value"] for one in by_name({}, True)["route"]["choices"]] == ["auto", "node_tunnel_reverse", "reverse_tunnel", "reverse_tunnel_relay"]


def test_the_hosts_own_values_are_the_defaults():
    offered = by_name({"paraview_nodes": 4, "paraview_queue": "viz", "paraview_walltime": "2:00:00"})
    assert (offered["nodes"]["default"], offered["queue"]["default"], offered["walltime"]["default"]) == ("4", "viz", "2:00:00")


def test_options_that_a_host_sets():
    offered = by_name({"paraview_queue": "viz", "paraview_dialog": {
        "nodes": {"max": 16, "label": "How many nodes"}, "queue": ["debug", "viz"], "account": False, "memory": None, "exclusive": True,
        "gpus_per_node": {"max": 4},
        "walltime": {"choices": [{"value": "1:00:00", "label": "an hour"}, {"value": "8:00:00"}]}}})
    assert (offered["nodes"]["max"], offered["nodes"]["min"], offered["nodes"]["label"]) == (16, 1, "How many nodes")
    assert offered["queue"]["type"] == "choice" and offered["queue"]["default"] == "viz"
    assert "account" not in offered
    assert offered["memory"] == {"name": "memory", "label": "Memory", "type": "str", "default": ""}
    assert offered["exclusive"]["type"] == "bool" and offered["gpus_per_node"]["type"] == "int"
    assert by_name({"paraview_dialog": {"rendering": {}}, "paraview_rendering": "egl"})["rendering"] == {
        "name": "rendering", "label": "Rendering", "type": "choice", "default": "egl",
        "choices": [{"value": one} for one in ("auto", "glx", "egl", "osmesa", "xvfb")]}
    assert offered["walltime"]["choices"][0] == {"value": "1:00:00", "label": "an hour"}


@pytest.mark.parametrize("value", [
    [1], {"no_such": {}}, {"nodes": 3}, {"nodes": {"maximum": 3}}, {"start_client": {}}, {"notify": {}}, {"connect_id": {}}, "nodes",
    {"queue": []}, {"queue": {"choices": "viz"}}, {"queue": [{"label": "no value"}]}])
def test_invalid_options_are_refused(value):
    with pytest.raises(SessionError, match="paraview_dialog.*\n.*\n.*nothing was changed"):
        choices.options({"paraview_dialog": value}, False)


def test_routes_of_the_other_direction_are_not_offered():
    host = {"paraview_dialog": {"route": ["auto", "forward_tunnel", "reverse_tunnel"]}}
    assert [one["value"] for one in by_name(host)["route"]["choices"]] == ["auto", "forward_tunnel"]
    assert [one["value"] for one in by_name(host, True)["route"]["choices"]] == ["auto", "reverse_tunnel"]
    entries = filters()["cluster_entries"](["x"], {"x": {"paraview_route_order": ["forward_tunnel", "reverse_tunnel"]}})
    assert [one["routes"] for one in entries] == [["forward_tunnel"], ["reverse_tunnel"]]


@pytest.mark.parametrize(("name", "value", "text"), [
    ("modules", ["paraview/5.13", "mesa"], "paraview/5.13,mesa"), ("pvserver", ["xvfb-run", "-s", "-a b", "pvserver"], "xvfb-run -s '-a b' pvserver"),
    ("pvserver", "pvserver", "pvserver")])
def test_a_list_is_offered_as_the_text_that_connect_parses(name, value, text):
    assert by_name({"paraview_" + name: value, "paraview_dialog": {name: {}}})[name]["default"] == text


@pytest.mark.parametrize(("name", "value"), [
    ("ansible_ssh_common_args", "-J admin@gate"), ("ansible_ssh_extra_args", "-o User=admin"), ("ansible_ssh_common_args", "-i /home/admin/key"),
    ("ansible_ssh_common_args", "-oIdentityFile=x"), ("ansible_ssh_common_args", "-l admin")])
def test_accounts_and_keys_are_refused(name, value):
    with pytest.raises(AnsibleFilterError, match=f"frontera: {name}.*all users.*ssh/config"):
        filters()["cluster_inventory"](["frontera"], {"frontera": {name: value}})


def test_values_in_a_vault_are_refused():
    secret = type("EncryptedString", (str,), {})("echo token")
    with pytest.raises(AnsibleFilterError, match="frontera: paraview_setup is kept in a vault"):
        filters()["cluster_inventory"](["frontera"], {"frontera": {"paraview_setup": secret}})


@pytest.mark.parametrize(("variables", "directions"), [
    ({}, ["forward", "reverse"]), ({"paraview_route": "reverse_tunnel"}, ["reverse"]), ({"paraview_route_order": ["forward_tunnel"]}, ["forward"]),
    ({"paraview_route": "forward_unencrypted"}, ["forward"])])
def test_directions(variables, directions):
    assert choices.directions(variables) == directions


def filters():
    return FilterModule().filters()


def test_entries_of_clusters():
    hostvars = {"frontera": {"ansible_host": "login.example", "paraview_nodes": 2}, "lassen": {"paraview_route": "reverse_tunnel"}}
    entries = filters()["cluster_entries"](["frontera", "lassen"], hostvars)
    assert [(one["name"], one["host"], one["reverse"]) for one in entries] == [
        ("frontera", "frontera", False), ("frontera (reverse)", "frontera", True), ("lassen", "lassen", True)]
    for one in entries:
        assert connect_entry.entry(one["name"], one["host"], one["reverse"], ["/x"], one["options"])
    assert len(filters()["cluster_entries"](["frontera"], hostvars, ["reverse"])) == 1


def test_errors_name_the_cluster():
    with pytest.raises(AnsibleFilterError, match="frontera: paraview_dialog"):
        filters()["cluster_entries"](["frontera"], {"frontera": {"paraview_dialog": [1]}})
    with pytest.raises(AnsibleFilterError, match="no host of the inventory"):
        filters()["cluster_inventory"](["nowhere"], {})


def test_an_inventory_for_all_users():
    text = filters()["cluster_inventory"](["frontera"], {"frontera": {
        "ansible_host": "login.example", "ansible_user": "admin", "ansible_password": "secret", "ansible_ssh_private_key_file": "/root/key",
        "ansible_ssh_common_args": "-J gate", "paraview_relay_ports": "1-2", "paraview_nodes": 2, "paraview_connect_id": 5, "paraview_modules": ["paraview"]}})
    (variables,) = yaml.safe_load(text)["all"]["hosts"].values()
    assert variables == {"ansible_host": "login.example", "ansible_ssh_common_args": "-J gate", "paraview_nodes": 2, "paraview_modules": ["paraview"]}


def test_the_inventory_contains_no_template():
    text = choices.inventory({"x": {"paraview_setup": "echo {{ lookup('pipe', 'id') }}", "paraview_pvserver": ["a", "{% raw %}"]}})
    assert text.count("!unsafe") == 2
    assert yaml.safe_load(choices.inventory({"x": {}}))["all"]["hosts"] == {"x": {}}


@given(st.dictionaries(st.sampled_from(["paraview_setup", "paraview_account", "ansible_host"]), st.text() | st.integers() | st.lists(st.text(), max_size=3)))
def test_every_value_is_read_back(variables):
    text = choices.inventory({"x": variables}).replace("!unsafe ", "")
    assert json.loads(json.dumps(yaml.safe_load(text)["all"]["hosts"]["x"])) == variables
