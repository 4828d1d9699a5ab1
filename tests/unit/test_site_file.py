# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml with several writers, each with keys of its own."""

import re

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.site_file import is_others, merge, read
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from hypothesis import given
from hypothesis import strategies as st

OURS = ["cluster_address", "gateway_ports", "forwarding_group", "login_ports"]
OTHERS = "# by hand\nname: A site\nmodules:\n  - paraview/5.13  # the new one\n  - mesa\nrelay: {address: 198.18.2.1}\n"


def test_a_new_file():
    text = merge(None, OURS, {"forwarding_group": "viz", "login_ports": "11111-11120"})
    assert yaml.safe_load(text) == {"forwarding_group": "viz", "login_ports": "11111-11120"}
    assert merge(text, OURS, {"forwarding_group": "viz", "login_ports": "11111-11120"}) == text
    assert merge(text, OURS, {}) is None, "no key is left"


def test_the_text_of_other_writers_stays_unchanged():
    text = merge(OTHERS, OURS, {"gateway_ports": "clientspecified"})
    assert text.startswith(OTHERS)
    assert yaml.safe_load(text)["gateway_ports"] == "clientspecified"
    assert merge(text, OURS, {}) == OTHERS


def test_a_changed_value_stays_in_its_place():
    text = merge(OTHERS + "gateway_ports: 'no'\nqueue: viz\n", OURS, {"gateway_ports": "clientspecified"})
    assert text == OTHERS + 'gateway_ports: "clientspecified"\nqueue: viz\n'


def test_a_last_line_without_its_end():
    text = merge("queue: viz", OURS, {"forwarding_group": "viz"})
    assert yaml.safe_load(text) == {"queue": "viz", "forwarding_group": "viz"}


@pytest.mark.parametrize(("owned", "values", "message"), [
    (["shell"], {}, "'shell' is not a key of site.yml"), (OURS, {"queue": "viz"}, "queue is not among the owned keys"),
    (OURS, {"forwarding_group": ["viz"]}, "wrong type"), (["poll_floor_s"], {"poll_floor_s": True}, "wrong type"),
    (["limits"], {"limits": {"walltime": 3600}}, "limits: .* is not valid"), (["limits"], {"limits": {"walltime": "8"}}, "has no unit"),
    (["limits"], {"limits": {"walltme": "8h"}}, "it is no limit"), (["limits"], {"limits": {"sessions": 0}}, "from 1 to"),
    (["limits"], {"limits": {"sessions": True}}, "from 1 to"), (["limits"], {"limits": ["8h"]}, "wrong type"),
    (["reconnect"], {"reconnect": "no"}, "wrong type"),
    (["closed"], {"closed": " "}, "not empty"), (["closed"], {"closed": True}, "wrong type"), (["minimum_version"], {"minimum_version": 1.2}, "wrong type"),
    (["minimum_version"], {"minimum_version": "latest"}, "has to be a version"), (["reconnect_floor"], {"reconnect_floor": -1}, "seconds from 0"),
    (["reconnect_floor"], {"reconnect_floor": "30s"}, "wrong type"),
    (["remote_dir"], {"remote_dir": "/lustre/../x"}, "remote_dir: '/lustre/../x' is not valid")])
def test_an_error_names_the_key(owned, values, message):
    with pytest.raises(SessionError) as caught:
        merge(OTHERS, owned, values)
    assert re.search(message, str(caught.value))


@pytest.mark.parametrize("value", ["$SCRATCH/paraview", "/lustre/${PROJECT}/$USER"])
def test_names_in_a_path_are_read_without_a_library(value):
    for text in ("remote_dir: {0}\n".format(value), merge(None, ["remote_dir"], {"remote_dir": value})):
        assert read(text) == ({"remote_dir": value}, []) and yaml.safe_load(text) == {"remote_dir": value}


@given(st.text(), st.text())
def test_any_value_is_read_back(group, address):
    text = merge(OTHERS, OURS, {"forwarding_group": group, "cluster_address": address})
    values = yaml.safe_load(text)
    assert (values["forwarding_group"], values["cluster_address"]) == (group, address)
    assert merge(text, OURS, {}) == OTHERS


@given(st.text(), st.lists(st.text()), st.integers(-10 ** 9, 10 ** 9), st.booleans())
def test_written_values_are_read_without_a_library(name, modules, floor, account):
    values = {"name": name, "modules": modules, "poll_floor_s": floor, "account_required": account, "relay": {"address": name, "ports": "1-2"}}
    text = merge(None, list(values), values)
    assert read(text) == (yaml.safe_load(text), []) == (values, [])


SIMPLE = """---
# a comment
name: Frontera  # the old one
queue: 'viz''s'
modules:
  - paraview/5.11   # the newest
  - "a b"

login_ports: 11111-11130
message: Visualization jobs belong in the queue viz, see https://hpc.example.edu/viz (or ask us!)
pvserver_versions: [paraview/5.13.2, paraview/5.11]
routes_forbidden: [forward_tunnel]
poll_floor_s: 5
account_required: true
"""


def test_simple_lines_that_people_write_are_read():
    assert read(SIMPLE) == (yaml.safe_load(SIMPLE), [])


@pytest.mark.parametrize("value", ["no", "on", "~", "null", "|\n  text", ">-\n  text", "[a, [b]]", "[a, ]", "[ , a]", "{a: b}", "&x y", "*x", "!!str y",
                                   "a: b", "1.5", "0x10", "1_0", "1e5", "2020-01-01", "010",
                                   "\"open", "'a'b'", "\n  x: [a: b]", "", "\n- a\n  b", "2020-01-01x: y", "%a", "@a", "`a"])
def test_any_other_value_is_reported_and_not_guessed(value):
    values, unread = read("queue: {0}\nname: x\n".format(value))
    assert values == {"name": "x"} and unread == ["queue"]


def test_mappings_that_people_write_are_read():
    for text in ("limits:\n  walltime: 8h\n  sessions: 2\n", "limits:   # ours\n    walltime: '8h'\n\n    # jobs\n    sessions: 2\nqueue: viz\n",
                 merge(None, ["limits"], {"limits": {"walltime": "8h", "sessions": 2}})):
        values, unread = read(text)
        assert values == yaml.safe_load(text) and values["limits"] == {"walltime": "8h", "sessions": 2} and unread == []


@pytest.mark.parametrize("block", [
    "\n  walltime: 8h\n   sessions: 2", "\n  walltime: 8h\n sessions: 2", "\n  walltime: 1:30:00", "\n  yes: 2", "\n  a: b: c", "\n  a:\n    b: c",
    "\n  a: 1\n  - b", " x\n  walltime: 8h", "\n  'a': 1"])
def test_any_other_mapping_is_reported_and_not_guessed(block):
    assert read("limits:{0}\nname: x\n".format(block)) == ({"name": "x"}, ["limits"])


@given(st.text(alphabet="ab:-12'\" \n#[]y,", max_size=24))
def test_a_mapping_is_read_as_yaml_reads_it_or_not_at_all(block):
    text = "limits:\n" + "".join("  " + line + "\n" for line in block.split("\n"))
    values, unread = read(text)
    if unread or set(values) != {"limits"}:
        return
    try:
        assert values == yaml.safe_load(text)
    except yaml.YAMLError:
        pass


@given(st.text(alphabet="ab:-'\"[]{}#\n \\U0,&*!|>%@`~", max_size=40))
def test_no_text_is_an_error(text):
    values, _unread = read(text)
    assert isinstance(values, dict)


@given(st.text(alphabet="abno019:-.+_~=/ '\"#\\[],{}é", max_size=12))
def test_a_value_is_read_as_yaml_reads_it_or_not_at_all(value):
    text = "queue: {0}\n".format(value)
    values, unread = read(text)
    if unread or not values:
        return
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:
        expected = None
    assert values == expected


@pytest.mark.parametrize(("text", "writer", "others"), [
    (None, "viz", False), ("queue: viz\n", "viz", False), ("cluster_address: 10.0.0.1\n", "viz", True), ("cluster_address: 10.0.0.1\n", "forwarding", False),
    ("forwarding_policy: viz\n", "viz", False), ("forwarding_policy: viz\n", "forwarding", True), ("forwarding_policy: gone\n", "more", False),
    ("forwarding_policy: viz\n", "", False)])
def test_of_several_policies_one_describes_the_site(text, writer, others):
    assert is_others(text, ["cluster_address"], writer, ["viz", "more", "forwarding"]) is others
