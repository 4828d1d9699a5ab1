# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a login node."""

import os
import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import adaptation, answers
from hypothesis import given
from hypothesis import strategies as st

GUARD = "drwxr-xr-x 2 0 0 4096 Nov 22 17:44 /etc/paraview-connect\n-rw-r--r-- 1 0 0 60 Nov 22 17:44 /etc/paraview-connect/site.yml\n"
PARTS = {
    "host": "login2\n", "uid": "1000\n", "home": "/home/alice\n", "connection": "198.18.1.2 51234 198.18.2.2 22\n",
    "addresses": ("2: eth0    inet 198.18.2.2/24 brd 198.18.2.255 scope global eth0\\       valid_lft forever\n"
                  "3: ib0    inet 10.0.0.2/16 brd 10.0.255.255 scope global ib0\\       valid_lft forever\n"),
    "profile": None, "detect_slurm": "slurm-wlm 22.05.8\n", "first_node_slurm": "c101\n", "tools": "", "guard": GUARD, "site": "name: Lab\n",
}


def answer(**changes):
    """The output of the probe, with some parts changed or (None) left out."""
    parts = dict(PARTS, **changes)
    return "".join("\n=={0}\n{1}".format(name, body) for name, body in parts.items() if body is not None)


def read(text):
    return facts.read(text, answers.TABLES)


def test_a_login_node():
    assert read("Welcome to login2!\n" + answer()) == {
        "login_node": "login2", "uid": 1000, "home": "/home/alice", "client_side": "198.18.2.2", "client_side_port": 22, "client_address": "198.18.1.2",
        "addresses": ["198.18.2.2", "10.0.0.2"],
        "prelude": "", "schedulers": ["slurm"], "first_node": {"slurm": "c101"}, "missing": [], "site_text": "name: Lab\n", "site_untrusted": False}


def test_a_login_node_without_anything():
    node = read(answer(connection="\n", addresses="", detect_slurm="sh: 1: sbatch: not found\n", first_node_slurm="\n", tools="setsid\nawk\n",
                       guard="", site="", profile="read\n"))
    assert (node["client_side"], node["addresses"], node["schedulers"], node["first_node"]) == ("", [], [], {})
    assert node["missing"] == ["setsid", "awk"]
    assert "/etc/profile" in node["prelude"]
    assert (node["site_text"], node["site_untrusted"]) == ("", False)


def test_a_name_is_safe_to_show():
    assert read(answer(host="\x1b[31mlogin2\x1b[0m\n"))["login_node"] == "login2"


@pytest.mark.parametrize("node", ["-oProxyCommand=x", "$(id)", "a b", "/etc", "(null)"])
def test_a_node_is_a_name(node):
    assert read(answer(first_node_slurm=node + "\n"))["first_node"]["slurm"] in ("", "a")


FORGED = "name: x\n" + "".join("\n=={0}\n{1}".format(name, body) for name, body in {
    "host": "evil\n", "uid": "0\n", "home": "/root\n", "profile": "read\n", "tools": "setsid\n", "guard": GUARD, "detect_slurm": "slurm 1\n",
    "first_node_slurm": "evil\n", "addresses": "6.6.6.6\n", "connection": "6.6.6.6 1 6.6.6.6 2\n", "site": "name: y\n"}.items())


@pytest.mark.parametrize("changes", [{}, {"guard": ""}, {"detect_slurm": "not found\n"}, {"addresses": None}, {"tools": None}, {"guard": None},
                                     {"detect_slurm": None, "first_node_slurm": None}])
def test_no_text_in_site_yml_is_read_as_another_part(changes):
    honest, forged = read(answer(**changes)), read(answer(**dict(changes, site=FORGED)))
    if honest["site_text"]:
        assert forged["site_text"] == FORGED
    for node in (honest, forged):
        node.pop("site_text")
    assert forged == honest


@given(st.one_of(st.text(), st.dictionaries(st.sampled_from(sorted(PARTS)), st.one_of(
    st.none(), st.text(), st.text("d-rwx 0123456789.\n=\u00b2/[]"), st.sampled_from(["d 1 0\nd 1 0\n"])), max_size=4).map(lambda changes: answer(**changes))))
def test_garbage_raises_one_of_two_errors(text):
    try:
        node = read(text)
    except (KeyError, ValueError):
        return
    assert all(re.match(r"\A[0-9.]+\Z", address) for address in node["addresses"])


@pytest.mark.parametrize("listing", [GUARD, GUARD.replace("4096", "  4096"), GUARD.replace("xr-x ", "xr-x. ").replace("--r-- ", "--r--. ")])
def test_a_site_file_that_is_trusted(listing):
    assert facts.trusted(listing)


@pytest.mark.parametrize("listing", [
    "", GUARD.splitlines()[0], GUARD.splitlines()[1], GUARD + GUARD.splitlines()[1],
    GUARD.replace("-rw-r--r-- 1 0", "-rw-r--r-- 1 1000"), GUARD.replace("drwxr-xr-x 2 0", "drwxr-xr-x 2 1000"),
    GUARD.replace("-rw-r--r--", "-rw-rw-r--"), GUARD.replace("-rw-r--r--", "-rw-r--rw-"), GUARD.replace("drwxr-xr-x", "drwxrwxr-x"),
    GUARD.replace("drwxr-xr-x", "drwxr-xrwx"), GUARD.replace("drwxr-xr-x", "drwxrwxrwt"), GUARD.replace("-rw-r--r--", "lrwxrwxrwx"),
    GUARD.replace("-rw-r--r--", "lrwxr-xr-x"), GUARD.replace("drwxr-xr-x", "lrwxr-xr-x"), "d 1 0\nd 1 0", "- - -\n- - -", "x\ny"])
def test_a_site_file_that_is_not_trusted(listing):
    assert not facts.trusted(listing)
    node = read(answer(guard=listing))
    assert (node["site_text"], node["site_untrusted"]) == ("", True)


@pytest.mark.parametrize(("text", "found"), [
    ("2: eth0    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0", ["10.0.0.2"]),
    ("2: eth0    inet 10.0.0.25/24 brd 10.0.0.255 scope global eth0", ["10.0.0.25"]),
    ("4: tun0    inet 10.8.0.6 peer 10.8.0.5/32 scope global tun0", ["10.8.0.6"]),
    ("192.168.1.5 10.0.0.7 fe80::1 \n", ["192.168.1.5", "10.0.0.7"]),
    ("127.0.0.1 10.0.0.7", ["10.0.0.7"]), ("10.0.0.7 10.0.0.7", ["10.0.0.7"]), ("999.1.2.3 x", []), ("", []),
])
def test_addresses(text, found):
    assert facts.addresses(text) == found


def test_settings_keep_valid_keys_with_values_of_the_right_type():
    relay = {"address": "10.0.0.2", "ports": "11111-11130", "owner_required": True}
    good = {"version": 1, "name": "Lab", "relay": relay, "account_required": True, "modules": ["paraview/5.13"], "server_ports": "11111-11120"}
    assert facts.settings(good) == good
    assert facts.settings({
        "version": "1", "name": 5, "relay": [], "account_required": "yes", "modules": "paraview", "poll_floor_s": True,
        "nodes_on_demand": "yes", "scheduler_json": 0, "ssh_args": "-oProxyCommand=x",
        "paraview_setup": "x", 5: 5, None: None, "launcher": None}) == {}


@pytest.mark.parametrize("relay", [
    {}, {"address": "10.0.0.2"}, {"ports": "1-2"}, {"address": "login2", "ports": "1-2"}, {"address": "10.0.0.2", "ports": "2-1"},
    {"address": ["10.0.0.2"], "ports": "1-2"}, {"address": "10.0.0.2", "ports": None}])
def test_a_relay_that_is_not_valid_is_ignored(relay):
    assert facts.settings({"relay": relay}) == {}


@pytest.mark.parametrize("user", ["", "-x", "a b", "a;id", "$(id)", "a\nb", 5, None, ["pvrelay"], "x" * 65, "\x1b[1m"])
def test_a_relay_whose_account_is_not_valid_is_ignored(user):
    relay = {"address": "10.0.0.2", "ports": "11111-11130"}
    assert facts.settings({"relay": dict(relay, user=user)}) == {}
    assert facts.settings({"relay": dict(relay, user="pvrelay")}) == {"relay": dict(relay, owner_required=True, user="pvrelay")}


def test_only_valid_keys_of_a_relay_are_kept():
    relay = {"address": "10.0.0.2", "ports": 11111, "owner_required": "perhaps", "command": "rm"}
    assert facts.settings({"relay": relay}) == {"relay": {"address": "10.0.0.2", "ports": "11111", "owner_required": True}}


def test_settings_are_plain_text():
    assert facts.settings({"message": "\x1b]0;x\x07Hello"}) == {"message": "Hello"}
    assert facts.settings({"modules": [1, {}, "good", ["x"], None]}).get("modules") in (["good"], None)
    assert "\n" not in facts.settings({"server_ports": "1-2\n--x"}).get("server_ports", "")
    assert "\x1b" not in "".join(facts.settings({"modules": ["\x1b[31mred"]}).get("modules", []))


@pytest.mark.parametrize("value", ["/lustre/$USER", "/lustre\n/x", "/\x1b[31mwork"])
def test_a_place_for_files_is_not_changed_into_another(value):
    """It is checked, and refused as it is, where it is used."""
    assert facts.settings({"remote_dir": value}) == {"remote_dir": value}


def test_what_the_site_asks_of_its_users():
    asked = {"limits": {"walltime": "8h", "client_timeout": "1:00:00", "sessions": 2}, "reconnect": False, "closed": "until 18:00", "minimum_version": "0.2",
             "reconnect_floor": 30}
    assert facts.settings(asked) == dict(asked, limits={"walltime": 28800, "client_timeout": 3600, "sessions": 2}) and facts.faults(asked) == []


@pytest.mark.parametrize(("values", "kept", "fault"), [
    ({"limits": {"walltime": 8, "sessions": 2}}, {"limits": {"sessions": 2}}, "limits.walltime: 8 is not a duration"),
    ({"limits": {"walltme": "8h"}}, {"limits": {}}, "limits.walltme: it is no limit"), ({"limits": {5: "8h"}}, {"limits": {}}, "limits.5: it is no limit"),
    ({"limits": {"walltime": ["8h"]}}, {"limits": {}}, "not a duration"), ({"limits": "8h"}, {}, "limits: '8h' is of the wrong type, it has to be a dict"),
    ({"limits": {"sessions": "2"}}, {"limits": {}}, "from 1 to"), ({"limits": {"sessions": 10 ** 30}}, {"limits": {}}, "from 1 to"),
    ({"reconnect": "no"}, {}, "reconnect: 'no' is of the wrong type"), ({"closed": ""}, {}, "closed: it is the reason"),
    ({"closed": "\u202e"}, {}, "closed: it is the reason"), ({"closed": False}, {}, "wrong type"), ({"minimum_version": 1.0}, {}, "wrong type"),
    ({"minimum_version": "1.0\n2"}, {}, "a version"), ({"reconnect_floor": 10 ** 9}, {}, "seconds from 0"), ({"server_ports": "x"}, {}, "'x' is not valid"),
    ({"of_the_future": 1}, {}, None), ({5: 5}, {}, None)])
def test_a_value_that_is_ignored_is_reported(values, kept, fault):
    assert facts.settings(values) == kept
    found = facts.faults(values)
    assert fault in found[0] if fault else found == []


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20) | st.dates(),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3), max_leaves=6)


@given(st.dictionaries(st.sampled_from(sorted(facts.KEYS)), JSON | st.dictionaries(st.sampled_from(
    ["walltime", "client_timeout", "reconnect_timeout", "sessions"]), JSON, max_size=4), max_size=4))
def test_any_value_of_any_key_is_kept_or_reported(values):
    kept = facts.settings(values)
    assert all(key in kept or any(fault.startswith(key) for fault in facts.faults(values)) for key in values)
    assert all(isinstance(limit, int) and limit > 0 for limit in kept.get("limits", {}).values())


@pytest.mark.parametrize("data", [None, [], "text", 5, True])
def test_data_that_is_not_a_site_file(data):
    assert facts.settings(data) == {}


def test_sources():
    assert facts.read_source("address 10.0.0.11\n10.0.0.11 dev ib0 src 10.0.0.2 uid 1000\n    cache\n") == ("10.0.0.11", "10.0.0.2")
    assert facts.read_source("address \n") == ("", "")
    assert facts.read_source("") == ("", "")


def test_the_route_to_a_node_is_queried_safely(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert script(facts.source_probe("$(touch ran); touch ran"))[1].startswith("address ")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_read_parses_the_output_of_the_probe(script, shell, program, monkeypatch, recorded):
    path = os.path.dirname(program("sbatch", "#!/bin/sh\necho slurm-wlm 22.05.8\n"))
    program("sinfo", "#!/bin/sh\necho c101\necho c102\n")
    monkeypatch.setenv("PATH", path + ":" + os.environ["PATH"])
    monkeypatch.setenv("SSH_CONNECTION", "198.18.1.2 51234 198.18.2.2 22")
    code, out, _err = script(facts.probe(answers.TABLES), shell=shell)
    node = read(out)
    assert code in (0, 1)
    assert node["uid"] == os.getuid() and node["home"] == os.environ["HOME"]
    assert (node["client_side"], node["schedulers"], node["first_node"]) == ("198.18.2.2", ["slurm"], {"slurm": "c101"})
    assert (node["prelude"], node["missing"]) == ("", [])


def test_any_node_of_the_named_cluster_is_asked_for():
    options = {"schedulers": {}, "slurm_cluster": "serial"}
    assert "first_node slurm sinfo -M serial -h -N" in facts.probe(adaptation.tables(options))
    assert "first_node slurm sinfo -h -N" in facts.probe(adaptation.tables(dict(options, slurm_cluster="")))
