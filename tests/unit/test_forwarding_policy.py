# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding policies, case by case: what may be asked for, whom it is tried for, and what a change tells the admin."""

import grp
import os
import pwd
import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import config, planner, program
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


def refused(node, *words, **wishes):
    """A plan that fails, says these words, and leaves every file alone."""
    before = node.files()
    with pytest.raises(SessionError) as error:
        node.plan(**wishes)
    for word in words:
        assert word in str(error.value)
    assert node.files() == before
    return error.value


# --- what may be asked for ---

@pytest.mark.parametrize(("option", "value", "way_out"), [
    ("allow_tcp_forwarding", "maybe", "take one of local, no, remote, yes"),
    ("gateway_ports", "all", "take one of clientspecified, no, yes"),
    ("allow_stream_local_forwarding", "", "take one of local, no, remote, yes"),
    ("stream_local_bind_unlink", "local", "take one of no, yes"),
    ("disable_forwarding", 1, "take one of no, yes"),
    ("stream_local_bind_mask", "0o177", 'write it with quotes, as in "0177"'),
    ("stream_local_bind_mask", "0188", 'write it with quotes, as in "0177"'),
    ("stream_local_bind_mask", 127.5, 'write it with quotes, as in "0177"'),
    ("permit_listen", [], "name what is allowed, or [none], or leave it out"),
    ("permit_open", "", "name what is allowed, or [none], or leave it out"),
    ("permit_open", ["any", "c101:22"], "take one of them away"),
    ("permit_listen", ["8080", "none"], "take one of them away"),
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
def test_value_that_sshd_takes(node, option, value, line):
    assert body(policy({option: value}), {}) == [line]
    node.write(main=line + "\n")
    keyword, _blank, wanted = line.partition(" ")
    assert sorted(node.value(keyword).split()) == sorted(wanted.split()) or line in ("PermitListen 8080", "PermitListen 8080 8081", "PermitListen *")


def test_what_is_not_asked_for_is_left_out():
    assert not policy(dict.fromkeys(forwarding.KEYWORDS))
    assert not policy({"name": "x", "state": "present"})


@given(st.sampled_from(["permit_listen", "permit_open"]), st.text(max_size=20))
def test_no_text_gets_a_second_line_in(option, text):
    try:
        asked = policy({option: [text]})
    except SessionError as error:
        assert option in error.what
        return
    [line] = body(asked, {})
    assert len(config.lines(line)) == 1 and not re.search(r"[^ -~]", line)


@given(st.sampled_from(forwarding.CRITERIA), st.text(max_size=20))
def test_no_criterion_gets_a_second_one_in(name, text):
    try:
        match = criteria({name: [text]})
    except SessionError as error:
        assert name in error.what
        return
    [line] = config.lines(body({}, match)[0])
    assert line.keyword == "match"
    assert config.arguments(line.rest) == [name, text.strip()]


@pytest.mark.parametrize(("match", "what"), [
    ({"Grp": "viz"}, "match: 'Grp' is not known\ntake one of User, Group, Host"), ({"all": ""}, "'all' is not known"),
    ({"Group": []}, "match: Group is empty"), ({"Group": ""}, "match: Group is empty"), ({"User": ["a", ""]}, "match: User is empty"),
    ({"Group": "my group"}, "match: Group 'my group' cannot stand in sshd_config"), ({"User": ["a,b"]}, "User 'a,b' cannot stand"),
    ({"User": 'a"'}, "cannot stand in sshd_config"), ({"User": "a#b"}, "cannot stand in sshd_config"), ({"User": "a\nMatch"}, "cannot stand"),
    ({"Address": "198.18.0.1/15"}, "match: Address '198.18.0.1/15' is no network\n.*host bits"), ({"LocalAddress": "10.0.0.0/40"}, "is no network"),
    ({"LocalPort": "ssh"}, "match: LocalPort 'ssh' is no port"), ({"LocalPort": [22, 2222]}, "LocalPort '22,2222' is no port"),
    ({"LocalPort": 65536}, "is no port"), ({"LocalPort": "!22"}, "is no port"),
    ({"User": "!root"}, 'match: User !root matches nobody\n.*\nadd "\\*"'), ({"Group": ["!a", "!b"]}, "Group !a,!b matches nobody"),
])
def test_match_that_is_refused(match, what):
    with pytest.raises(SessionError, match=what):
        criteria(match)


def test_criteria_have_one_spelling_and_order():
    match = criteria({"localport": 2222, "ADDRESS": "198.18.0.0/15,!198.18.9.0/24", "group": ["viz", "staff"]})
    assert list(match.items()) == [("Group", ["viz", "staff"]), ("LocalPort", ["2222"]), ("Address", ["198.18.0.0/15", "!198.18.9.0/24"])]
    assert body(policy({"gateway_ports": "no"}), match) == [
        "Match Group viz,staff LocalPort 2222 Address 198.18.0.0/15,!198.18.9.0/24", "    GatewayPorts no"]
    assert criteria(None) == criteria({}) == {}


@pytest.mark.parametrize("name", ["", "a b", "../x", "a.b", "-a", "x" * 65, "a\n", "\xe9"])
def test_name_that_is_refused(name):
    with pytest.raises(SessionError, match="take letters, digits, - and _"):
        forwarding.check_name(name)


@pytest.mark.parametrize("name", ["viz", "Viz_2-b", "0", "x" * 64])
def test_name_that_is_taken(name):
    forwarding.check_name(name)


def test_connections_by_name():
    [one] = named([{"user": "alice", "addr": "", "lport": 2222, "must": {"gateway_ports": True}, "must_not": {"permit_listen": "any"}}])
    assert one.connection == program.Connection("alice", lport="2222")
    assert (dict(one.must), dict(one.must_not)) == ({"GatewayPorts": "yes"}, {"PermitListen": "any"})
    with pytest.raises(SessionError, match="correct verify"):
        named([{"user": "alice,bob"}])
    with pytest.raises(SessionError, match="gateway_ports: 'x' is not known"):
        named([{"must": {"gateway_ports": "x"}}])


# --- whom it is tried for ---

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


def test_every_member_that_sshd_lets_in_is_one(node):
    """Who may stand for a group is who sshd takes for its member."""
    for groups in (["viz"], ["viz", "!staff"], ["*", "!viz"], ["s*", "!sftponly"]):
        match = criteria({"Group": groups})
        node.write(main="\n".join(body(policy({"gateway_ports": "yes"}), match)) + "\n")
        known = Derived(match, Accounts())
        for user in ("alice", "bob", "carol", "dave", "sftpuser", "root", "nobody"):
            assert (node.value("GatewayPorts", user) == "yes") == (user in known.users), (groups, user)


def test_group_that_does_not_exist():
    with pytest.raises(SessionError, match="group nope, nor does not exist on this host\ncreate it, or correct match; nothing was changed"):
        derived(Group=["viz", "nope", "nor"])


def test_group_without_members_is_tried_with_a_stand_in(node):
    node.write(main=INCLUDE)
    plan = node.plan(match={"Group": "wheel"}, gateway_ports="clientspecified")
    assert plan.warnings == ["wheel has no member yet: it was tried with nobody in its place"]
    assert "Match Group wheel\n" in plan.changes[DROP_IN]
    node.apply(plan)
    assert {node.value("GatewayPorts", user) for user in ("alice", "root", "nobody")} == {"no"}


@pytest.mark.parametrize(("match", "field", "value"), [
    ({"Address": "198.18.0.0/15"}, "addr", "198.18.0.1"), ({"Address": ["198.18.0.0/15", "!198.18.0.1"]}, "addr", "198.19.255.255"),
    ({"Address": ["!10.0.0.1", "10.0.0.0/31"]}, "addr", "10.0.0.0"), ({"Address": "10.0.0.7/32"}, "addr", "10.0.0.7"),
    ({"Address": "10.1.*"}, "addr", "10.1.1"), ({"Address": "2001:db8::/32"}, "addr", "2001:db8::1"), ({"LocalAddress": "10.9.8.7"}, "laddr", "10.9.8.7"),
    ({"LocalPort": 2222}, "lport", "2222"), ({"Host": ["!x.example", "*.example"]}, "host", "y.example"), ({"RDomain": "vrf*"}, "rdomain", "vrfx"),
])
def test_connection_that_a_match_is_for(match, field, value):
    assert getattr(derived(**match).inside("alice"), field) == value


def test_one_beside_it_for_each_criterion(node):
    match = criteria({"User": "a*", "Address": "198.18.0.0/15", "LocalAddress": "10.0.0.0/8", "LocalPort": 2222, "Host": "*.example"})
    known = Derived(match, Accounts())
    outside = dict(known.outside("alice"))
    assert list(outside) == ["User", "Address", "LocalAddress", "Host", "LocalPort"]
    node.write(main="\n".join(body(policy({"gateway_ports": "yes"}), match)) + "\n")
    tree = config.Tree(node.view, MAIN)
    found = node.program.effective(tree, [known.inside("alice"), *outside.values()])
    assert [one.value("GatewayPorts") for one in found] == ["yes"] + ["no"] * 5
    for connection in outside.values():
        assert sum(one != other for one, other in zip(connection, known.inside("alice"))) == 1


def test_nobody_is_beside_everybody():
    assert derived(User="*").outside("alice") == []
    assert derived(Address=["0.0.0.0/0", "::/0"]).outside("alice") == []


# --- verify ---

def test_named_connections_are_tried(node):
    node.write(main=INCLUDE)
    plan = node.plan(**VIZ, verify=[{"user": "alice", "must": {"allow_tcp_forwarding": "local"}}, {"user": "bob", "must": {"allow_tcp_forwarding": "yes"}}])
    assert [(before.value("AllowTcpForwarding"), after.value("AllowTcpForwarding")) for before, after in zip(plan.before, plan.after)] == [
        ("yes", "local"), ("yes", "yes")]
    told = planner.told(plan)
    assert told[0]["before"]["allow_tcp_forwarding"] == "yes" and told[0]["after"]["allow_tcp_forwarding"] == "local"
    assert told[0]["origins"] == {"allow_tcp_forwarding": DROP_IN + ":4"}


def test_must_that_does_not_come_true(node):
    node.write(main="# first\nGatewayPorts yes\n" + INCLUDE)
    refused(node, "user=alice", "must have GatewayPorts no, and would have yes, from {0}:2 (GatewayPorts yes)".format(MAIN),
            **VIZ, verify=[{"user": "alice", "must": {"gateway_ports": "no"}}])
    refused(node, "user=bob", "must have GatewayPorts clientspecified", **VIZ,
            verify=[{"user": "alice"}, {"user": "bob", "must": {"gateway_ports": "clientspecified"}}])


def test_must_not_that_comes_true(node):
    node.write(main=INCLUDE)
    refused(node, "user=alice", "must not have AllowTcpForwarding local, which it would, from {0}:4 (AllowTcpForwarding local)".format(DROP_IN), writable=False,
            **VIZ, verify=[{"user": "alice", "must_not": {"allow_tcp_forwarding": "local"}}])
    refused(node, "must not have AllowTcpForwarding yes, which it would, sshd's default",
            **VIZ, verify=[{"user": "alice"}, {"user": "bob", "must_not": {"allow_tcp_forwarding": "yes"}}])


def test_absent_has_to_leave_what_verify_says(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ))
    with pytest.raises(SessionError, match="without the policy viz sshd would not do as verify says\n.*must have AllowTcpForwarding no, and would have yes"):
        node.planner().absent(named([{"user": "alice", "must": {"allow_tcp_forwarding": "no"}}]))
    plan = node.planner().absent(named([{"user": "alice", "must": {"allow_tcp_forwarding": "yes"}}]))
    assert plan.changes == {DROP_IN: None}
    assert (plan.before[0].value("AllowTcpForwarding"), plan.after[0].value("AllowTcpForwarding")) == ("local", "yes")


def test_verify_that_misses_the_policy(node):
    node.write(main=INCLUDE)
    refused(node, "it is for none of the connections in verify", **VIZ, verify=[{"user": "bob"}])


# --- other people's lines ---

def test_overridden_lines_are_reported(node):
    node.write(main="# 1\n" + INCLUDE + "GatewayPorts no\nMatch Group viz\n# 5\n  AllowTcpForwarding no\n", other="\n\nGatewayPorts yes\n")
    plan = node.plan(**VIZ, gateway_ports="clientspecified")
    told = {(one["file"], one["line"], one["keyword"], one["value"]) for one in plan.overrides}
    assert told == {(MAIN, 6, "AllowTcpForwarding", "no"), (D + "other.conf", 3, "GatewayPorts", "yes")}
    assert all("user=alice" in text or "user=carol" in text for one in plan.overrides for text in one["connections"])
    assert node.view.read(MAIN).split("\n")[5] == "  AllowTcpForwarding no"


def test_lines_are_numbered_as_they_are_now(node):
    """Without drop-ins our own block moves the lines: those of the file on the disk are told, before and after."""
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
    assert node.plan(override=False, **VIZ).overrides == [], "a line that says the same is none in the way"


@pytest.mark.parametrize(("texts", "where"), [
    ({"main": INCLUDE + "\nDisableForwarding yes\n"}, MAIN + ":3 (DisableForwarding yes)"),
    ({"main": INCLUDE, "hard": "# cis\nDisableForwarding=yes\n"}, D + "hard.conf:2 (DisableForwarding=yes)"),
    ({"main": "Match Group viz\n\tDisableForwarding yes # no\n"}, MAIN + ":2 (DisableForwarding yes # no)"),
])
def test_disabled_forwarding_of_others_is_named(node, texts, where):
    node.write(**texts)
    refused(node, "no place in sshd's configuration makes the policy viz hold", "DisableForwarding yes, from " + where, "overrides all", **VIZ)


def test_disabled_forwarding_may_be_lifted_in_so_many_words(node):
    node.write(main=INCLUDE + "DisableForwarding yes\n")
    plan = node.apply(node.plan(**VIZ, disable_forwarding=False))
    assert [(one["line"], one["keyword"]) for one in plan.overrides] == [(2, "DisableForwarding")]
    assert (node.value("DisableForwarding"), node.value("DisableForwarding", "bob")) == ("no", "yes")


def test_disabled_forwarding_is_no_matter_to_a_policy_that_forbids(node):
    node.write(main=INCLUDE + "DisableForwarding yes\n")
    assert node.plan(match={"Group": "viz"}, allow_tcp_forwarding="no").changes


def test_exceptions_of_others_stay_and_are_told(node):
    node.write(main=INCLUDE + "Match User alice\n  AllowTcpForwarding yes\n")
    plan = node.apply(node.plan(allow_tcp_forwarding="no"))
    assert any("a Match of others goes before the policy: alice" in text and MAIN + ":3 (AllowTcpForwarding yes)" in text for text in plan.warnings)
    assert (node.value("AllowTcpForwarding"), node.value("AllowTcpForwarding", "bob")) == ("yes", "no")
    node.write(main=INCLUDE + "Match all\n  AllowTcpForwarding yes\n")
    refused(node, MAIN + ":3", allow_tcp_forwarding="no", writable=False)


# --- several policies ---

@pytest.mark.parametrize("main", [INCLUDE, "Match User bob\r\n  X11Forwarding yes"])
def test_two_policies_live_together(node, main):
    before = node.write(main=main).files()
    wishes = {"a": {"gateway_ports": "clientspecified"}, "b": VIZ, "c": {"match": {"User": "alice"}, "permit_open": ["c101:*"]}}
    for name, asked in wishes.items():
        node.apply(node.plan(name, **asked))
    assert [node.value(keyword) for keyword in ("GatewayPorts", "AllowTcpForwarding", "PermitOpen")] == ["clientspecified", "local", "c101:*"]
    for name, asked in wishes.items():
        assert not node.plan(name, **asked).changes
    node.absent("a")
    assert [node.value(keyword) for keyword in ("GatewayPorts", "AllowTcpForwarding", "PermitOpen")] == ["no", "local", "c101:*"]
    node.absent("b")
    assert [node.value(keyword) for keyword in ("GatewayPorts", "AllowTcpForwarding", "PermitOpen")] == ["no", "yes", "c101:*"]
    node.absent("c")
    assert node.files() == before


@pytest.mark.parametrize("main", ["X11Forwarding no", "X11Forwarding no\r\n# of all\r\nMatch all\r\n  AllowTcpForwarding no\r\n"])
def test_policies_in_the_main_file_in_any_order(node, main):
    """Whichever came first: a second run changes nothing, and each goes without the others."""
    before = node.write(main=main).files()
    wishes = {"z": {"gateway_ports": "yes"}, "c": VIZ, "b": {"match": {"User": "bob"}, "allow_tcp_forwarding": "remote"},
              "a": {"stream_local_bind_unlink": True}}
    for name, asked in wishes.items():
        node.apply(node.plan(name, **asked))
    after = node.files()
    for name, asked in wishes.items():
        assert not node.plan(name, **asked).changes, name
    for name in ("c", "z"):
        node.absent(name)
        node.apply(node.plan(name, **wishes[name]))
    assert node.files() == after
    for name in ("b", "z", "a", "c"):
        node.absent(name)
    assert node.files() == before


def test_policy_for_all_does_not_go_into_the_block_of_another(node):
    before = node.write(main="X11Forwarding no\nMatch all\n  PermitOpen none\n").files()
    node.apply(node.plan("viz", match={"Group": "viz"}, gateway_ports="yes"))
    node.apply(node.plan("all", permit_open=["c101:*"]))
    assert (node.value("PermitOpen"), node.value("GatewayPorts")) == ("c101:*", "yes")
    node.absent("viz")
    assert node.value("PermitOpen", "bob") == "c101:*"
    node.absent("all")
    assert node.files() == before


@pytest.mark.parametrize("main", [INCLUDE, "X11Forwarding no\n"])
def test_a_policy_never_overrides_another(node, main):
    node.write(main=main)
    node.apply(node.plan("first", **VIZ))
    refused(node, "AllowTcpForwarding local by the policy first, from ", name="second", match={"User": "alice"}, allow_tcp_forwarding="no")
    refused(node, "by the policy first", name="a", match={"Group": "viz"}, allow_tcp_forwarding="yes")


# --- later runs ---

def test_policy_goes_on_to_hold_behind_a_new_drop_in(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ))
    node.write(**{"00-admin": "Match Group viz\n  AllowTcpForwarding no\n"})
    assert node.value("AllowTcpForwarding") == "no"
    plan = node.apply(node.plan(**VIZ))
    assert plan.changes[DROP_IN] is None and len(plan.changes) == 2, "it moved"
    assert [(one["file"], one["line"]) for one in plan.overrides] == [(D + "00-admin.conf", 2)]
    assert node.value("AllowTcpForwarding") == "local"
    assert not node.plan(**VIZ).changes
    node.absent()
    assert set(node.files()) == {MAIN[1:], D[1:] + "00-admin.conf"}


def test_drop_in_that_nothing_can_precede_is_named(node):
    node.write(main=INCLUDE, **{"!first": "Match Group viz\n  AllowTcpForwarding no\n"})
    refused(node, "alice (who it is for) would have AllowTcpForwarding no, from {0}!first.conf:2 (AllowTcpForwarding no)".format(D), writable=False, **VIZ)


def test_values_change_in_place(node):
    node.write(main=INCLUDE)
    node.apply(node.plan(**VIZ, gateway_ports="yes"))
    plan = node.apply(node.plan(match={"Group": "viz"}, allow_tcp_forwarding="remote"))
    assert list(plan.changes) == [DROP_IN]
    assert (node.value("AllowTcpForwarding"), node.value("GatewayPorts")) == ("remote", "no")
    assert plan.overrides == [], "its own old lines are nobody else's"


@pytest.mark.parametrize("main", [INCLUDE, "X11Forwarding no\n"])
def test_match_changes_in_place(node, main):
    before = node.write(main=main).files()
    node.apply(node.plan(**VIZ))
    plan = node.apply(node.plan(match={"User": "bob"}, allow_tcp_forwarding="local"))
    assert len(plan.changes) == 1
    assert (node.value("AllowTcpForwarding"), node.value("AllowTcpForwarding", "bob")) == ("yes", "local")
    node.absent()
    assert node.files() == before


def test_what_was_edited_by_hand_is_put_right(node):
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


def test_absent_of_what_is_not_there(node):
    node.write(main=INCLUDE)
    assert not node.planner().absent([]).changes
    assert node.planner().made_directories() == []


def test_absent_takes_another_policy_by_its_full_name_alone(node):
    node.write(main="X11Forwarding no\n")
    for name in ("viz-2", "viz"):
        node.apply(node.plan(name, **VIZ))
    node.absent("viz")
    assert not node.plan("viz-2", **VIZ).changes
    assert node.value("AllowTcpForwarding") == "local"


# --- places ---

def test_vendor_file_is_left_alone(node):
    before = node.write(main=INCLUDE + "AllowTcpForwarding no\n").files()
    plan = node.apply(node.plan(**VIZ, writable=False))
    assert list(plan.changes) == [DROP_IN]
    node.absent()
    assert node.files() == before
    node.write(main="AllowTcpForwarding no\n")
    refused(node, "{0} belongs to the vendor and includes no directory".format(MAIN), writable=False, **VIZ)


def test_directory_that_is_missing_is_made_and_said_so(node):
    node.write(main=INCLUDE)
    assert not os.path.exists(str(node.root) + D)
    node.apply(node.plan(**VIZ))
    assert node.planner().made_directories() == [D[:-1]]
    assert not node.plan(**VIZ).changes, "twice is once"
    node.apply(node.plan(match={"Group": "viz"}, allow_tcp_forwarding="no"))
    assert node.planner().made_directories() == [D[:-1]], "a change of values does not forget it"


def test_directory_of_others_is_none_of_ours(node):
    node.write(main=INCLUDE, other="X11Forwarding no\n")
    node.apply(node.plan(**VIZ))
    assert node.planner().made_directories() == []


def test_main_file_that_is_missing(node):
    with pytest.raises(SessionError, match="there is no {0}\ncorrect path; nothing was changed".format(MAIN)):
        node.plan(**VIZ)


def test_broken_configuration_is_not_touched(node):
    node.write(main=INCLUDE, other="\nAllowTcpForwarding perhaps\n")
    refused(node, "sshd does not take {0} as it is".format(MAIN), D + "other.conf line 2", "mend it first (sshd -t); nothing was changed", **VIZ)


def test_mask_and_others_go_to_two_places_where_they_must(node):
    before = node.write(main=INCLUDE, **{"50-site": "StreamLocalBindMask 0111\nGatewayPorts no\n"}).files()
    plan = node.apply(node.plan(gateway_ports="yes", stream_local_bind_mask="0117"))
    assert (node.value("GatewayPorts"), node.value("StreamLocalBindMask")) == ("yes", "0117")
    assert {one["keyword"] for one in plan.overrides} == {"GatewayPorts", "StreamLocalBindMask"}
    node.absent()
    assert node.files() == before


# --- what is told ---

def test_sources_of_values(node):
    node.write(main=INCLUDE + "\n  GatewayPorts = yes # \x1b[31mred\n", a="# a\n\nMatch User alice\n\tAllowTcpForwarding local\n")
    tree = config.Tree(node.view, MAIN)
    effective = node.effective()
    assert forwarding.sources(effective, tree) == {
        "gateway_ports": {"file": MAIN, "line": 3, "text": "GatewayPorts = yes # red"},
        "allow_tcp_forwarding": {"file": D + "a.conf", "line": 4, "text": "AllowTcpForwarding local"}}
    assert forwarding.values(effective)["permit_open"] == "any"
    assert forwarding.origins(node.effective("bob")) == {"gateway_ports": MAIN + ":3"}


def test_the_accounts_of_the_host_are_listed_once(monkeypatch):
    """A directory service may have thousands of them."""
    users, groups, asked = pwd.getpwall(), grp.getgrall(), []
    monkeypatch.setattr(pwd, "getpwall", lambda: asked.append("users") or users)
    monkeypatch.setattr(grp, "getgrall", lambda: asked.append("groups") or groups)
    derived = Derived(criteria({"Group": ["*", "!nosuch"]}), HostAccounts())
    derived.outside(derived.users[0])
    assert sorted(asked) == ["groups", "users"]
