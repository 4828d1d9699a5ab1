# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding policies, case by case: valid values, sample connections, and the report for the admin."""

import grp
import itertools
import os
import pwd
import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import config, own_policies, planner, program, reports
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import policy as forwarding
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.policy import body, criteria, policy
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.samples import Accounts as HostAccounts
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.samples import Derived, named
from hypothesis import given
from hypothesis import strategies as st
from login_node import Accounts, LoginNode

MAIN = "/etc/ssh/sshd_config"
D = "/etc/ssh/sshd_config.d/"
DROP_IN = D + "00-sciviz-paraview-viz.conf"
INCLUDE = "Include {0}*.conf\n".format(D)
VIZ = {"match": {"Group": "viz"}, "allow_tcp_forwarding": "local"}


@pytest.fixture(name="node")
def _node(tmp_path):
    return LoginNode(tmp_path)


def refused(node, *texts, **options):
    """A plan that fails with a message that has these texts, and changes no file."""
    before = node.files()
    with pytest.raises(SessionError) as error:
        node.plan(**options)
    for text in texts:
        assert text in str(error.value)
    assert node.files() == before
    return error.value


# --- values of a policy ---

@pytest.mark.parametrize(("option", "value", "way_out"), [
    ("allow_tcp_forwarding", "maybe", "use one of local, no, remote, yes"),
    ("gateway_ports", "all", "use one of clientspecified, no, yes"),
    ("allow_stream_local_forwarding", "", "use one of local, no, remote, yes"),
    ("stream_local_bind_unlink", "local", "use one of no, yes"),
    ("disable_forwarding", 1, "use one of no, yes"),
    ("stream_local_bind_mask", "0o177", 'write it with quotes, as in "0177"'),
    ("stream_local_bind_mask", "0188", 'write it with quotes, as in "0177"'),
    ("stream_local_bind_mask", 127.5, 'write it with quotes, as in "0177"'),
    ("permit_listen", [], "list what is allowed, or use [none], or leave the option out"),
    ("permit_open", "", "list what is allowed, or use [none], or leave the option out"),
    ("permit_open", ["any", "c101:22"], "remove that word or the other entries"),
    ("permit_listen", ["8080", "none"], "remove that word or the other entries"),
    ("permit_open", ["c101"], "write it as in"),
    ("permit_open", ["22"], "write it as in"),
    ("permit_open", ["c101:0"], "write it as in"),
    ("permit_open", ["c101:65536"], "write it as in"),
    ("permit_open", ["c101:http"], "write it as in"),
    ("permit_listen", ["::1:8080"], "write it as in 127.0.0.1:8080, [::1]:8080, localhost:*, 8080"),
    ("permit_listen", ["127.0.0.1"], "write it as in"),
    ("permit_listen", ["127.0.0.1:80\nPermitRootLogin yes"], "write it as in"),
    ("permit_listen", ["a b:80"], "write it as in"),
    ("permit_listen", ['"x":80'], "write it as in"),
])
def test_value_that_is_refused(option, value, way_out):
    with pytest.raises(SessionError) as error:
        policy({option: value})
    assert error.value.what.startswith(option)
    shown = value if not isinstance(value, list) else value[-1] if len(value) == 1 else " ".join(value)
    assert not shown or str(shown) in str(error.value) or repr(shown) in str(error.value)
    assert way_out in error.value.way_out


@pytest.mark.parametrize(("option", "value", "line"), [
    ("allow_tcp_forwarding", True, "AllowTcpForwarding yes"), ("allow_tcp_forwarding", False, "AllowTcpForwarding no"),
    ("allow_tcp_forwarding", "True", "AllowTcpForwarding yes"), ("allow_tcp_forwarding", " LOCAL ", "AllowTcpForwarding local"),
    ("allow_tcp_forwarding", "all", "AllowTcpForwarding yes"), ("gateway_ports", "ClientSpecified", "GatewayPorts clientspecified"),
    ("stream_local_bind_unlink", "no", "StreamLocalBindUnlink no"), ("disable_forwarding", "False", "DisableForwarding no"),
    ("permit_listen", "127.0.0.1:*, localhost:*", "PermitListen 127.0.0.1:* localhost:*"), ("permit_listen", "8080 8081", "PermitListen 8080 8081"),
    ("permit_listen", [8080], "PermitListen 8080"), ("permit_open", ["[2001:db8::1]:22", "*:443"], "PermitOpen [2001:db8::1]:22 *:443"),
    ("permit_open", ["none"], "PermitOpen none"), ("permit_listen", "any", "PermitListen any"), ("permit_listen", ["*"], "PermitListen *"),
    ("stream_local_bind_mask", "0177", "StreamLocalBindMask 0177"), ("stream_local_bind_mask", "177", "StreamLocalBindMask 0177"),
    ("stream_local_bind_mask", 117, "StreamLocalBindMask 0117"),
])
def test_value_that_sshd_accepts(node, option, value, line):
    assert body(policy({option: value}), {}) == [line]
    node.write(main=line + "\n")
    keyword, _blank, value = line.partition(" ")
    assert sorted(node.value(keyword).split()) == sorted(value.split()) or line in ("PermitListen 8080", "PermitListen 8080 8081", "PermitListen *")


def test_option_that_is_not_given_is_left_out():
    assert not policy(dict.fromkeys(forwarding.KEYWORDS))
    assert not policy({"name": "x", "state": "present"})


@given(st.sampled_from(["permit_listen", "permit_open"]), st.text(max_size=20))
def test_no_text_adds_a_second_line(option, text):
    try:
        values = policy({option: [text]})
    except SessionError as error:
        assert option in error.what
        return
    [line] = body(values, {})
    assert len(config.lines(line)) == 1 and not re.search(r"[^ -~]", line)


@given(st.sampled_from(forwarding.CRITERIA), st.text(max_size=20))
def test_no_text_adds_a_second_criterion(name, text):
    try:
        match = criteria({name: [text]})
    except SessionError as error:
        assert name in error.what
        return
    [line] = config.lines(body({}, match)[0])
    assert line.keyword == "match"
    assert config.arguments(line.rest) == [name, text.strip()]


@pytest.mark.parametrize(("match", "what"), [
    ({"Grp": "viz"}, "match: 'Grp' is not a criterion\nuse one of User, Group, Host"), ({"all": ""}, "'all' is not a criterion"),
    ({"Group": []}, "match: Group is empty"), ({"Group": ""}, "match: Group is empty"), ({"User": ["a", ""]}, "match: User is empty"),
    ({"Group": "my group"}, "match: Group 'my group' cannot be written to sshd_config"), ({"User": ["a,b"]}, "User 'a,b' cannot be written"),
    ({"User": 'a"'}, "cannot be written to sshd_config"), ({"User": "a#b"}, "cannot be written to sshd_config"), ({"User": "a\nMatch"}, "cannot be written"),
    ({"Address": "198.18.0.1/15"}, "match: Address '198.18.0.1/15' is no network\n.*host bits"), ({"LocalAddress": "10.0.0.0/40"}, "is no network"),
    ({"LocalPort": "ssh"}, "match: LocalPort 'ssh' is no port"), ({"LocalPort": [22, 2222]}, "LocalPort '22,2222' is no port"),
    ({"LocalPort": 65536}, "is no port"), ({"LocalPort": "!22"}, "is no port"),
    ({"User": "!root"}, 'match: User !root matches nobody\n.*\nadd "\\*"'), ({"Group": ["!a", "!b"]}, "Group !a,!b matches nobody"),
])
def test_match_that_is_refused(match, what):
    with pytest.raises(SessionError, match=what):
        criteria(match)


def test_spelling_and_order_of_criteria_are_fixed():
    match = criteria({"localport": 2222, "ADDRESS": "198.18.0.0/15,!198.18.9.0/24", "group": ["viz", "staff"]})
    assert list(match.items()) == [("Group", ["viz", "staff"]), ("LocalPort", ["2222"]), ("Address", ["198.18.0.0/15", "!198.18.9.0/24"])]
    assert body(policy({"gateway_ports": "no"}), match) == [
        "Match Group viz,staff LocalPort 2222 Address 198.18.0.0/15,!198.18.9.0/24", "    GatewayPorts no"]
    assert criteria(None) == criteria({}) == {}


@pytest.mark.parametrize("name", ["", "a b", "../x", "a.b", "-a", "x" * 65, "a\n", "\xe9"])
def test_name_that_is_refused(name):
    with pytest.raises(SessionError, match="use letters, digits, - and _"):
        forwarding.check_name(name)


@pytest.mark.parametrize("name", ["viz", "Viz_2-b", "0", "x" * 64])
def test_name_that_is_accepted(name):
    forwarding.check_name(name)


def test_connections_by_name():
    [one] = named([{"user": "alice", "addr": "", "lport": 2222, "must": {"gateway_ports": True}, "must_not": {"permit_listen": "any"}}])
    assert one.connection == program.Connection("alice", lport="2222")
    assert (dict(one.must), dict(one.must_not)) == ({"GatewayPorts": "yes"}, {"PermitListen": "any"})
    with pytest.raises(SessionError, match="correct verify"):
        named([{"user": "alice,bob"}])
    with pytest.raises(SessionError, match="gateway_ports: 'x' is not a valid value"):
        named([{"must": {"gateway_ports": "x"}}])


# --- sample connections ---

def derived(**match):
    return Derived(criteria(match), Accounts())


@pytest.mark.parametrize(("match", "first", "users"), [
    ({"Group": "viz"}, "alice", {"alice", "carol"}), ({"Group": ["viz", "staff"]}, "alice", {"alice", "carol", "dave"}),
    ({"Group": ["!staff", "*"]}, None, {"alice", "bob", "sftpuser", "nobody", "root"}), ({"Group": "v?z"}, "alice", {"alice", "carol"}),
    ({"Group": "alice"}, "alice", {"alice"}), ({"Group": "viz", "User": "c*"}, "carol", {"carol"}), ({"User": "dave"}, "dave", {"dave"}),
    ({"User": ["a*", "!alice"]}, "ax", {"ax"}), ({"User": ["!root", "*"]}, None, {"alice", "bob", "carol", "dave", "sftpuser", "nobody", "sshd"}),
    ({"User": "new-one"}, "new-one", {"new-one"}),
])
def test_users_of_a_match(match, first, users):
    found = derived(**match)
    assert set(found.users) >= users - {"nobody", "sshd"} and set(found.users) <= users | {"sshd", "nobody", "root"}
    assert first in (None, found.users[0])
    assert not found.stand_in


def test_members_are_those_that_sshd_finds(node):
    """The sample users of a group are those to whom sshd applies the Match."""
    for groups in (["viz"], ["viz", "!staff"], ["*", "!viz"], ["s*", "!sftponly"]):
        match = criteria({"Group": groups})
        node.write(main="\n".join(body(policy({"gateway_ports": "yes"}), match)) + "\n")
        derived_ = Derived(match, Accounts())
        for user in ("alice", "bob", "carol", "dave", "sftpuser", "root", "nobody"):
            assert (node.value("GatewayPorts", user) == "yes") == (user in derived_.users), (groups, user)


def test_group_that_does_not_exist():
    with pytest.raises(SessionError, match="group nope, nor does not exist on this host\ncreate it, or correct match; nothing was changed"):
        derived(Group=["viz", "nope", "nor"])


def test_group_without_members_is_tested_with_another_user(node):
    node.write(main=INCLUDE)
    plan = node.plan(match={"Group": "wheel"}, gateway_ports="clientspecified")
    assert plan.warnings == ["wheel has no member yet: the policy was tested with alice instead"]
    assert "Match Group wheel\n" in plan.changes[DROP_IN]
    node.apply(plan)
    assert {node.value("GatewayPorts", user) for user in ("alice", "root", "nobody")} == {"no"}


@pytest.mark.parametrize(("match", "field", "value"), [
    ({"Address": "198.18.0.0/15"}, "addr", "198.18.0.1"), ({"Address": ["198.18.0.0/15", "!198.18.0.1"]}, "addr", "198.19.255.255"),
    ({"Address": ["!10.0.0.1", "10.0.0.0/31"]}, "addr", "10.0.0.0"), ({"Address": "10.0.0.7/32"}, "addr", "10.0.0.7"),
    ({"Address": "10.1.*"}, "addr", "10.1.1"), ({"Address": "2001:db8::/32"}, "addr", "2001:db8::1"), ({"LocalAddress": "10.9.8.7"}, "laddr", "10.9.8.7"),
    ({"LocalPort": 2222}, "lport", "2222"), ({"Host": ["!x.example", "*.example"]}, "host", "y.example"), ({"RDomain": "vrf*"}, "rdomain", "vrfx"),
])
def test_connection_that_matches(match, field, value):
    assert getattr(derived(**match).inside("alice"), field) == value


def test_one_connection_outside_for_each_criterion(node):
    match = criteria({"User": "a*", "Address": "198.18.0.0/15", "LocalAddress": "10.0.0.0/8", "LocalPort": 2222, "Host": "*.example"})
    derived_ = Derived(match, Accounts())
    outside = dict(derived_.outside("alice"))
    assert list(outside) == ["User", "Address", "LocalAddress", "Host", "LocalPort"]
    node.write(main="\n".join(body(policy({"gateway_ports": "yes"}), match)) + "\n")
    tree = config.Tree(node.view, MAIN)
    found = node.program.effective(tree, [derived_.inside("alice"), *outside.values()])
    assert [one.value("GatewayPorts") for one in found] == ["yes"] + ["no"] * 5
    for connection in outside.values():
        assert sum(one != other for one, other in zip(connection, derived_.inside("alice"))) == 1


def test_no_connection_is_outside_everybody():
    assert derived(User="*").outside("alice") == []
    assert derived(Address=["0.0.0.0/0", "::/0"]).outside("alice") == []


# --- verify ---

def test_named_connections_are_tested(node):
    node.write(main=INCLUDE)
    plan = node.plan(**VIZ, verify=[{"user": "alice", "must": {"allow_tcp_forwarding": "local"}}, {"user": "bob", "must": {"allow_tcp_forwarding": "yes"}}])
    assert [(before.value("AllowTcpForwarding"), after.value("AllowTcpForwarding")) for before, after in zip(plan.before, plan.after)] == [
        ("yes", "local"), ("yes", "yes")]
    report = planner.report(plan)
    assert report[0]["before"]["allow_tcp_forwarding"] == "yes" and report[0]["after"]["allow_tcp_forwarding"] == "local"
    assert report[0]["origins"] == {"allow_tcp_forwarding": DROP_IN + ":4"}


def test_must_that_is_not_met(node):
    node.write(main="# first\nGatewayPorts yes\n" + INCLUDE)
    refused(node, "user=alice", "must have GatewayPorts no, but would have yes, from {0}:2 (GatewayPorts yes)".format(MAIN),
            **VIZ, verify=[{"user": "alice", "must": {"gateway_ports": "no"}}])
    refused(node, "user=bob", "must have GatewayPorts clientspecified", **VIZ,
            verify=[{"user": "alice"}, {"user": "bob", "must": {"gateway_ports": "clientspecified"}}])


def test_must_not_that_is_not_met(node):
    node.write(main=INCLUDE)
    refused(node, "user=alice", "must not have AllowTcpForwarding local, but would have it, from {0}:4 (AllowTcpForwarding local)".format(DROP_IN),
            writable=False, **VIZ, verify=[{"user": "alice", "must_not": {"allow_tcp_forwarding": "local"}}])
    refused(node, "must not have AllowTcpForwarding yes, but would have it, sshd's default",
            **VIZ, verify=[{"user": "alice"}, {"user": "bob", "must_not": {"allow_tcp_forwarding": "yes"}}])


def test_absent_has_to_meet_verify(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ))
    with pytest.raises(SessionError, match="without the policy viz sshd would not meet verify\n.*must have AllowTcpForwarding no, but would have yes"):
        node.planner().absent(named([{"user": "alice", "must": {"allow_tcp_forwarding": "no"}}]))
    plan = node.planner().absent(named([{"user": "alice", "must": {"allow_tcp_forwarding": "yes"}}]))
    assert plan.changes == {DROP_IN: None}
    assert (plan.before[0].value("AllowTcpForwarding"), plan.after[0].value("AllowTcpForwarding")) == ("local", "yes")


def test_verify_that_misses_the_policy(node):
    node.write(main=INCLUDE)
    refused(node, "it applies to none of the connections in verify", **VIZ, verify=[{"user": "bob"}])


# --- other people's lines ---

def test_overridden_lines_are_reported(node):
    node.write(main="# 1\n" + INCLUDE + "GatewayPorts no\nMatch Group viz\n# 5\n  AllowTcpForwarding no\n", other="\n\nGatewayPorts yes\n")
    plan = node.plan(**VIZ, gateway_ports="clientspecified")
    reported = {(one["file"], one["line"], one["keyword"], one["value"]) for one in plan.overrides}
    assert reported == {(MAIN, 6, "AllowTcpForwarding", "no"), (D + "other.conf", 3, "GatewayPorts", "yes")}
    assert all("user=alice" in text or "user=carol" in text for one in plan.overrides for text in one["connections"])
    assert node.view.read(MAIN).split("\n")[5] == "  AllowTcpForwarding no"


def test_lines_are_numbered_as_they_are_now(node):
    """Without drop-ins our own block moves the lines. The reported numbers are those of the file on disk, before and after."""
    node.write(main="GatewayPorts no\nMatch Group viz\n  AllowTcpForwarding no\n")
    for _time in range(2):
        plan = node.plan(**VIZ)
        [override] = plan.overrides
        assert node.view.read(MAIN).split("\n")[override["line"] - 1] == "  AllowTcpForwarding no"
        node.apply(plan)


def test_override_false_names_the_lines(node):
    node.write(main=INCLUDE + "Match Group viz\n  AllowTcpForwarding no\n")
    error = refused(node, "{0}:3 has AllowTcpForwarding no".format(MAIN), "override: false forbids", override=False, **VIZ)
    assert error.way_out == "change {0} yourself, or allow override; nothing was changed".format(MAIN)
    node.write(main=INCLUDE + "Match Group viz\n  AllowTcpForwarding local\n")
    assert node.plan(override=False, **VIZ).overrides == [], "a line with the same value is not overridden"


@pytest.mark.parametrize(("texts", "where"), [
    ({"main": INCLUDE + "\nDisableForwarding yes\n"}, MAIN + ":3 (DisableForwarding yes)"),
    ({"main": INCLUDE, "hard": "# cis\nDisableForwarding=yes\n"}, D + "hard.conf:2 (DisableForwarding=yes)"),
    ({"main": "Match Group viz\n\tDisableForwarding yes # no\n"}, MAIN + ":2 (DisableForwarding yes # no)"),
])
def test_disabled_forwarding_of_others_is_named(node, texts, where):
    node.write(**texts)
    refused(node, "no place in sshd's configuration makes the policy viz effective", "DisableForwarding yes, from " + where, "overrides all", **VIZ)


def test_disabled_forwarding_may_be_enabled_explicitly(node):
    node.write(main=INCLUDE + "DisableForwarding yes\n")
    plan = node.apply(node.plan(**VIZ, disable_forwarding=False))
    assert [(one["line"], one["keyword"]) for one in plan.overrides] == [(2, "DisableForwarding")]
    assert (node.value("DisableForwarding"), node.value("DisableForwarding", "bob")) == ("no", "yes")


def test_disabled_forwarding_does_not_prevent_a_policy_that_forbids(node):
    node.write(main=INCLUDE + "DisableForwarding yes\n")
    assert node.plan(match={"Group": "viz"}, allow_tcp_forwarding="no").changes


def test_exceptions_of_others_stay_and_are_reported(node):
    node.write(main=INCLUDE + "Match User alice\n  AllowTcpForwarding yes\n")
    plan = node.apply(node.plan(allow_tcp_forwarding="no"))
    assert plan.warnings == ["the policy viz does not hold for Match User alice ({0}:2), which has AllowTcpForwarding yes".format(MAIN)]
    assert [(one["file"], one["line"], one["match_line"], one["policy"]) for one in plan.exceptions] == [(MAIN, 3, 2, "")]
    assert (node.value("AllowTcpForwarding"), node.value("AllowTcpForwarding", "bob")) == ("yes", "no")
    node.write(main=INCLUDE + "Match all\n  AllowTcpForwarding yes\n")
    refused(node, MAIN + ":3", allow_tcp_forwarding="no", writable=False)


# --- several policies ---

@pytest.mark.parametrize("main", [INCLUDE, "Match User bob\r\n  X11Forwarding yes"])
def test_several_policies_together(node, main):
    before = node.write(main=main).files()
    policies = {"a": {"gateway_ports": "clientspecified"}, "b": VIZ, "c": {"match": {"User": "alice"}, "permit_open": ["c101:*"]}}
    for name, options in policies.items():
        node.apply(node.plan(name, **options))
    assert [node.value(keyword) for keyword in ("GatewayPorts", "AllowTcpForwarding", "PermitOpen")] == ["clientspecified", "local", "c101:*"]
    for name, options in policies.items():
        assert not node.plan(name, **options).changes
    node.absent("a")
    assert [node.value(keyword) for keyword in ("GatewayPorts", "AllowTcpForwarding", "PermitOpen")] == ["no", "local", "c101:*"]
    node.absent("b")
    assert [node.value(keyword) for keyword in ("GatewayPorts", "AllowTcpForwarding", "PermitOpen")] == ["no", "yes", "c101:*"]
    node.absent("c")
    assert node.files() == before


@pytest.mark.parametrize("main", ["X11Forwarding no", "X11Forwarding no\r\n# of all\r\nMatch all\r\n  AllowTcpForwarding no\r\n"])
def test_policies_in_the_main_file_in_any_order(node, main):
    """In any order, a second run changes nothing, and each policy can be removed alone."""
    before = node.write(main=main).files()
    policies = {"z": {"gateway_ports": "yes"}, "c": VIZ, "b": {"match": {"User": "bob"}, "allow_tcp_forwarding": "remote"},
                "a": {"stream_local_bind_unlink": True}}
    for name, options in policies.items():
        node.apply(node.plan(name, **options))
    after = node.files()
    for name, options in policies.items():
        assert not node.plan(name, **options).changes, name
    for name in ("c", "z"):
        node.absent(name)
        node.apply(node.plan(name, **policies[name]))
    assert node.files() == after
    for name in ("b", "z", "a", "c"):
        node.absent(name)
    assert node.files() == before


def test_policy_for_all_is_not_added_inside_the_block_of_another(node):
    before = node.write(main="X11Forwarding no\nMatch all\n  PermitOpen none\n").files()
    node.apply(node.plan("viz", match={"Group": "viz"}, gateway_ports="yes"))
    node.apply(node.plan("all", permit_open=["c101:*"]))
    assert (node.value("PermitOpen"), node.value("GatewayPorts")) == ("c101:*", "yes")
    node.absent("viz")
    assert node.value("PermitOpen", "bob") == "c101:*"
    node.absent("all")
    assert node.files() == before


PLACES = pytest.mark.parametrize("main", [INCLUDE, "X11Forwarding no\n"])


@PLACES
def test_two_policies_that_cannot_both_hold(node, main):
    """In either order, the one that is set last is refused, before anything is changed."""
    for first, second in itertools.permutations([VIZ, dict(VIZ, allow_tcp_forwarding="yes")]):
        node.write(main=main)
        node.apply(node.plan("first", **first))
        refused(node, "the policies second and first cannot both hold", "AllowTcpForwarding is {0} by the policy first, from".format(
            first["allow_tcp_forwarding"]), name="second", **second)
        node.absent("first")
    node.apply(node.plan("all", gateway_ports="no"))
    refused(node, "for everybody", name="every", gateway_ports="yes")
    assert node.plan("every", gateway_ports="no", permit_open=["c101:*"]).changes, "the same value is no conflict"


ORDERS = [pytest.param(order, marks=pytest.mark.torture if number % 7 else ()) for number, order in enumerate(
    itertools.permutations(["z-site", "m-viz", "n-alice", "a-inside"]))]


@PLACES
@pytest.mark.parametrize("order", ORDERS)
def test_the_more_specific_policy_counts_in_any_order(node, main, order):
    """A rule for the site, one for a group, a user more, and an address."""
    before = node.write(main=main).files()
    options = {"z-site": {"allow_tcp_forwarding": "no"}, "m-viz": {"match": {"Group": "viz"}, "allow_tcp_forwarding": "local"},
               "n-alice": {"match": {"User": "alice"}, "allow_tcp_forwarding": "yes", "gateway_ports": "clientspecified"},
               "a-inside": {"match": {"Address": "198.18.0.0/15"}, "allow_tcp_forwarding": "remote"}}
    for name in order:
        node.apply(node.plan(name, **options[name]))
    found = [node.value("AllowTcpForwarding", user, addr=address) for address in ("192.0.2.1", "198.18.1.10") for user in ("alice", "carol", "bob")]
    assert found == ["yes", "local", "no", "yes", "local", "remote"]
    assert (node.value("GatewayPorts"), node.value("GatewayPorts", "carol")) == ("clientspecified", "no")
    for name in order:
        assert not node.plan(name, **options[name]).changes, "a second run changes nothing"
    node.apply(node.plan("m-viz", match={"Group": "viz"}, allow_tcp_forwarding="remote"))
    assert (node.value("AllowTcpForwarding"), node.value("AllowTcpForwarding", "carol")) == ("yes", "remote")
    for name in reversed(order):
        node.absent(name)
    assert node.files() == before


def test_an_exception_of_others_to_a_global_policy_stays_one_beside_a_policy_for_a_group(node):
    node.write(main="X11Forwarding yes\nMatch User bob,carol\n  AllowTcpForwarding no\n")
    node.apply(node.plan("site", permit_listen=["none"], allow_tcp_forwarding="local"))
    node.apply(node.plan("viz", match={"Group": ["viz", "staff"]}, permit_listen=["any"]))
    assert [(node.value("AllowTcpForwarding", user), node.value("PermitListen", user)) for user in ("alice", "bob", "carol")] == [
        ("local", "any"), ("no", "none"), ("no", "any")]


def test_what_counts_is_reported_before_anything_is_written(node):
    node.write(main=INCLUDE)
    node.apply(node.plan("site", allow_tcp_forwarding="no"))
    node.apply(node.plan(**VIZ))
    plan = node.plan("more", match={"User": "alice"}, allow_tcp_forwarding="yes")
    assert plan.warnings == ["where the policies more and site both apply, more counts (AllowTcpForwarding)",
                             "where the policies more and viz both apply, more counts (AllowTcpForwarding)"]
    assert {"keyword": "AllowTcpForwarding", "policy": "more", "value": "yes", "over": "viz", "over_value": "local"} in plan.precedence
    node.apply(plan)
    assert node.plan("more", match={"User": "alice"}, allow_tcp_forwarding="yes").warnings == []
    tree = config.Tree(node.view, MAIN)
    assert reports.sources(node.effective(), tree)["allow_tcp_forwarding"]["policy"] == "more"
    assert own_policies.applied(tree, node.effective("carol")) == ["viz", "site"]


# --- later runs ---

def test_next_run_moves_the_policy_before_a_new_drop_in(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ))
    node.write(**{"00-admin": "Match Group viz\n  AllowTcpForwarding no\n"})
    assert node.value("AllowTcpForwarding") == "no"
    plan = node.apply(node.plan(**VIZ))
    assert plan.changes[DROP_IN] is None and len(plan.changes) == 2, "the policy moved"
    assert [(one["file"], one["line"]) for one in plan.overrides] == [(D + "00-admin.conf", 2)]
    assert node.value("AllowTcpForwarding") == "local"
    assert not node.plan(**VIZ).changes
    node.absent()
    assert set(node.files()) == {MAIN[1:], D[1:] + "00-admin.conf"}


def test_drop_in_that_nothing_can_precede_is_named(node):
    node.write(main=INCLUDE, **{"!first": "Match Group viz\n  AllowTcpForwarding no\n"})
    refused(node, "alice (matches the policy) would have AllowTcpForwarding no, from {0}!first.conf:2 (AllowTcpForwarding no)".format(D), writable=False, **VIZ)


def test_values_change_in_place(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ, gateway_ports="yes"))
    plan = node.apply(node.plan(match={"Group": "viz"}, allow_tcp_forwarding="remote"))
    assert list(plan.changes) == [DROP_IN]
    assert (node.value("AllowTcpForwarding"), node.value("GatewayPorts")) == ("remote", "no")
    assert plan.overrides == [], "its own old lines are not lines of others"


@pytest.mark.parametrize("main", [INCLUDE, "X11Forwarding no\n"])
def test_match_changes_in_place(node, main):
    before = node.write(main=main).files()
    node.apply(node.plan(**VIZ))
    plan = node.apply(node.plan(match={"User": "bob"}, allow_tcp_forwarding="local"))
    assert len(plan.changes) == 1
    assert (node.value("AllowTcpForwarding"), node.value("AllowTcpForwarding", "bob")) == ("yes", "local")
    node.absent()
    assert node.files() == before


def test_edit_by_hand_is_undone(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ))
    path = str(node.root) + DROP_IN
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("local", "yes") + "X11Forwarding yes\n")
    assert node.plan(**VIZ).changes == {DROP_IN: text}


def test_drop_in_of_others_by_our_name_is_not_removed(node):
    node.write(main=INCLUDE, **{"00-sciviz-paraview-viz": "# mine\nX11Forwarding no\n"})
    assert not node.planner().absent([]).changes


def test_absent_without_a_policy(node):
    node.write(main=INCLUDE)
    assert not node.planner().absent([]).changes
    assert node.planner().made_directories() == []


def test_absent_removes_only_the_policy_of_that_name(node):
    node.write(main="X11Forwarding no\n")
    for name in ("viz-2", "viz"):
        node.apply(node.plan(name, **VIZ))
    node.absent("viz")
    assert not node.plan("viz-2", **VIZ).changes
    assert node.value("AllowTcpForwarding") == "local"


# --- places ---

def test_vendor_file_is_not_changed(node):
    before = node.write(main=INCLUDE + "AllowTcpForwarding no\n").files()
    plan = node.apply(node.plan(**VIZ, writable=False))
    assert list(plan.changes) == [DROP_IN]
    node.absent()
    assert node.files() == before
    node.write(main="AllowTcpForwarding no\n")
    refused(node, "{0} belongs to the vendor and includes no directory".format(MAIN), writable=False, **VIZ)


def test_missing_directory_is_created_and_marked(node):
    node.write(main=INCLUDE)
    assert not os.path.exists(str(node.root) + D)
    node.apply(node.plan(**VIZ))
    assert node.planner().made_directories() == [D[:-1]]
    assert not node.plan(**VIZ).changes, "a second run changes nothing"
    node.apply(node.plan(match={"Group": "viz"}, allow_tcp_forwarding="no"))
    assert node.planner().made_directories() == [D[:-1]], "a change of values keeps the mark"


def test_directory_of_others_is_not_marked(node):
    node.write(main=INCLUDE, other="X11Forwarding no\n")
    node.apply(node.plan(**VIZ))
    assert node.planner().made_directories() == []


def test_main_file_that_is_missing(node):
    with pytest.raises(SessionError, match="there is no {0}\ncorrect path; nothing was changed".format(MAIN)):
        node.plan(**VIZ)


def test_broken_configuration_is_not_touched(node):
    node.write(main=INCLUDE, other="\nAllowTcpForwarding perhaps\n")
    refused(node, "sshd rejects {0} as it is".format(MAIN), D + "other.conf line 2", "fix it first (sshd -t); nothing was changed", **VIZ)


def test_mask_and_other_values_may_need_two_places(node):
    before = node.write(main=INCLUDE, **{"50-site": "StreamLocalBindMask 0111\nGatewayPorts no\n"}).files()
    plan = node.apply(node.plan(gateway_ports="yes", stream_local_bind_mask="0117"))
    assert (node.value("GatewayPorts"), node.value("StreamLocalBindMask")) == ("yes", "0117")
    assert {one["keyword"] for one in plan.overrides} == {"GatewayPorts", "StreamLocalBindMask"}
    node.absent()
    assert node.files() == before


# --- reports ---

def test_sources_of_values(node):
    node.write(main=INCLUDE + "\n  GatewayPorts = yes # \x1b[31mred\n", a="# a\n\nMatch User alice\n\tAllowTcpForwarding local\n")
    tree = config.Tree(node.view, MAIN)
    effective = node.effective()
    assert reports.sources(effective, tree) == {
        "gateway_ports": {"file": MAIN, "line": 3, "text": "GatewayPorts = yes # red", "policy": ""},
        "allow_tcp_forwarding": {"file": D + "a.conf", "line": 4, "text": "AllowTcpForwarding local", "policy": ""}}
    assert reports.values(effective)["permit_open"] == "any"
    assert reports.origins(node.effective("bob")) == {"gateway_ports": MAIN + ":3"}


def test_the_accounts_of_the_host_are_listed_once(monkeypatch):
    """A directory service may have thousands of them."""
    users, groups, calls = pwd.getpwall(), grp.getgrall(), []
    monkeypatch.setattr(pwd, "getpwall", lambda: calls.append("users") or users)
    monkeypatch.setattr(grp, "getgrall", lambda: calls.append("groups") or groups)
    found = Derived(criteria({"Group": ["*", "!nosuch"]}), HostAccounts())
    found.outside(found.users[0])
    assert sorted(calls) == ["groups", "users"]
