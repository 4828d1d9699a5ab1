# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding policies in sshd's configuration, judged by a real sshd: a corpus of trees, generated ones, and single cases."""

import os
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import config, program, reports
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import policy as forwarding
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.apply import main_file
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from login_node import LoginNode

TOP = Path(__file__).resolve().parents[2]
CORPUS = sorted(path.parent for path in (TOP / "tests/fixtures/sshd").glob("*/about.yml"))

POLICIES = {
    "group": {"match": {"Group": "viz"}, "allow_tcp_forwarding": "local"},
    "gateway": {"match": {"Group": "viz"}, "allow_tcp_forwarding": "yes", "gateway_ports": "clientspecified",
                "permit_listen": ["198.18.2.1:*", "127.0.0.1:*", "localhost:*"]},
    "user": {"match": {"User": ["alice", "bob"], "Address": ["198.18.0.0/15"]}, "gateway_ports": "yes", "stream_local_bind_unlink": True},
    "global": {"allow_tcp_forwarding": "no", "stream_local_bind_mask": "0117"},
}
INSIDE = {"addr": "198.18.1.10", "laddr": "198.18.2.1"}
CONNECTIONS = [program.Connection("alice"), program.Connection("alice", **INSIDE),
               program.Connection("carol", addr="2001:db8::7", host="node7.cluster.example"), program.Connection("bob"),
               program.Connection("bob", **INSIDE), program.Connection("dave", **INSIDE), program.Connection("sftpuser"), program.Connection("root")]


@pytest.fixture(name="node")
def _node(tmp_path):
    return LoginNode(tmp_path)


GROUPS = {"alice": {"viz"}, "carol": {"viz", "staff"}, "dave": {"staff"}}


def applies(options, connection):
    """Whether a policy applies to a connection, as the test computes it."""
    match = {name: [value] if isinstance(value, str) else value for name, value in (options.get("match") or {}).items()}
    return (set(match.get("Group", [])) & GROUPS.get(connection.user, set()) or "Group" not in match) and (
        connection.user in match.get("User", [connection.user])) and ("Address" not in match or connection.addr.startswith("198.18."))


def everybody(node):
    return dict(zip(CONNECTIONS, node.program.effective(config.Tree(node.view, node.path), CONNECTIONS)))


def check_effect(node, options, before):
    """Checks a policy: its values where it applies, everything else as before."""
    requested = forwarding.policy(options)
    keywords = {keyword.lower() for keyword in requested}
    after = everybody(node)
    for connection, now in after.items():
        old = before[connection]
        others = {name: value for name, value in now.values.items() if name not in keywords}
        assert others == {name: value for name, value in old.values.items() if name not in keywords}, connection
        if not applies(options, connection):
            assert now.values == old.values, connection
        elif options.get("match"):
            found = reports.values(now)
            for option, (keyword, _choices) in forwarding.KEYWORDS.items():
                if keyword in requested:
                    assert sorted(found[option].split()) == sorted(requested[keyword].split()), connection


def corpus():
    """Every tree with every policy. A normal run has half of the trees with one policy each, a torture run has all."""
    for number, tree in enumerate(CORPUS):
        for place, policy in enumerate(POLICIES):
            sampled = number % 2 == 0 and (number // 2 + place) % len(POLICIES) == 0
            yield pytest.param(tree, policy, id=f"{tree.name}-{policy}", marks=() if sampled else pytest.mark.torture)


@pytest.mark.parametrize(("tree", "policy"), list(corpus()))
def test_corpus(node, tree, policy):
    about = yaml.safe_load((tree / "about.yml").read_text())
    node.copy(tree / "root")
    for link, target in about.get("links", {}).items():
        (node.root / link).symlink_to(target)
    node.path, writable = main_file(about.get("path", node.path), str(node.root))
    bytes_before = node.files()
    options = POLICIES[policy]
    if about.get("broken"):
        with pytest.raises(SessionError, match="as it is"):
            node.plan(**options)
        return
    before = everybody(node)
    refused = about.get("refuses", {}).get(policy)
    if refused:
        with pytest.raises(SessionError) as error:
            node.plan(writable=writable, **options)
        assert refused in str(error.value)
        assert node.files() == bytes_before
        return
    node.apply(node.plan(writable=writable, **options))
    assert node.files() != bytes_before
    check_effect(node, options, before)
    assert not node.plan(writable=writable, **options).changes, "a second run changes nothing"
    node.absent()
    assert node.files() == bytes_before


# --- generated trees ---

KEYWORDS = {
    "AllowTcpForwarding": ("yes", "no", "local", "remote"), "GatewayPorts": ("yes", "no", "clientspecified"), "X11Forwarding": ("yes", "no"),
    "PermitTTY": ("yes", "no"), "AllowStreamLocalForwarding": ("yes", "no", "local"), "PermitListen": ("any", "none", "127.0.0.1:*", "*:8080 localhost:*"),
    "PermitOpen": ("any", "none", "c101:*"), "StreamLocalBindMask": ("0177", "0117"), "StreamLocalBindUnlink": ("yes", "no"),
    "MaxSessions": ("2", "10"), "Banner": ("none", "/etc/issue"), "DisableForwarding": ("no",),
}
MATCHES = ("all", "User alice", "User bob,carol", "Group viz", "Group staff", "Group !viz,*", "Address 198.18.0.0/15", "User !root,*",
           "Address 198.18.1.10 User alice", "Host *.example", "LocalAddress 198.18.2.1")
BLANKS = st.sampled_from(["", " ", "\t", "    "])


@st.composite
def setting(draw):
    keyword = draw(st.sampled_from(sorted(KEYWORDS)))
    value = draw(st.sampled_from(KEYWORDS[keyword]))
    spelled = draw(st.sampled_from([keyword, keyword.lower(), keyword.upper()]))
    parted = draw(st.sampled_from([" ", "\t", " = ", "=", "  "]))
    return draw(BLANKS) + spelled + parted + value + draw(st.sampled_from(["", "", " ", " # why"]))


def comment():
    return st.sampled_from(["", "# a comment", "#GatewayPorts yes", "   # Match User alice", "# \xe9\u2028"])


@st.composite
def file_text(draw, include=""):
    """A file: global lines, an Include among them, then Match blocks, with any kind of line end."""
    found = draw(st.lists(setting() | comment(), max_size=5))
    if include:
        found.insert(draw(st.integers(0, len(found))), include)
    for _number in range(draw(st.integers(0, 3))):
        found.append(draw(BLANKS) + "Match " + draw(st.sampled_from(MATCHES)))
        found += draw(st.lists(setting() | comment(), min_size=1, max_size=3))
    newline = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
    return newline.join(found) + draw(st.sampled_from([newline, newline, "", newline * 2]))


#: The criteria of policies, those that count first.
RANKED = ({"User": "alice"}, {"User": ["bob", "carol"]}, {"Group": "viz", "Address": ["198.18.0.0/15", "!198.18.9.0/24"]}, {"Group": "viz"},
          {"Group": ["viz", "staff"]}, {"Address": "198.18.0.0/15"}, {})


@st.composite
def policy(draw):
    options = {"match": draw(st.sampled_from(RANKED))}
    for option in draw(st.sets(st.sampled_from(["allow_tcp_forwarding", "gateway_ports", "permit_listen", "stream_local_bind_unlink"]), min_size=1)):
        keyword = forwarding.KEYWORDS[option][0]
        value = draw(st.sampled_from(KEYWORDS[keyword]))
        options[option] = value.split() if option == "permit_listen" else value
    return options


def conflict(one, other):
    """Whether two policies cannot both hold."""
    return one["match"] == other["match"] and any(
        option in other and not forwarding.same(forwarding.KEYWORDS[option][0], str(value).lower(), str(other[option]).lower())
        for option, value in forwarding_values(one).items())


def forwarding_values(options):
    return {name: " ".join(value) if isinstance(value, list) else value for name, value in options.items() if name != "match"}


def check_effects(node, chosen, before):
    """Checks several policies: of those that apply the first one by rank counts, and everything else is as before."""
    for connection, now in everybody(node).items():
        expected = {}
        for options in sorted(chosen.values(), key=lambda one: RANKED.index(one["match"])):
            if applies(options, connection):
                for keyword, value in forwarding.policy({name: value for name, value in options.items() if name != "match"}).items():
                    expected.setdefault(keyword, (value, bool(options["match"])))
        old, found = before[connection], {keyword.lower() for keyword in expected}
        assert {name: value for name, value in now.values.items() if name not in found} == {
            name: value for name, value in old.values.items() if name not in found}, connection
        for keyword, (value, matched) in expected.items():
            kept = old.origin(keyword) is not None and old.origin(keyword).second and not matched
            assert forwarding.same(keyword, now.value(keyword), value) or (kept and now.value(keyword) == old.value(keyword)), (connection, keyword)


def try_a_generated_tree(data, directory):
    node = LoginNode(directory)
    include = data.draw(st.sampled_from(["Include /etc/ssh/sshd_config.d/*.conf", "Include sshd_config.d/*.conf", ""]), label="include")
    drop_ins = data.draw(st.dictionaries(st.sampled_from(["00-a", "0-a", "50-cloud-init", "99-z"]), file_text(), max_size=2), label="drop-ins")
    node.write(main=data.draw(file_text(include), label="main"), **drop_ins)
    names = data.draw(st.lists(st.sampled_from(["site", "a", "viz", "viz-2", "0"]), min_size=2, max_size=5, unique=True), label="names")
    bytes_before, before = node.files(), everybody(node)
    chosen = {}
    for name in names + [data.draw(st.sampled_from(names), label="changed")]:
        options = data.draw(policy(), label="policy")
        others = [one for other, one in chosen.items() if other != name]
        try:
            plan = node.plan(name, **options)
        except SessionError as error:
            # Only a global policy may find no place, if a Match of others that applies to everybody has precedence.
            assert "cannot both hold" in str(error) if any(conflict(options, one) for one in others) else (
                not options["match"] and "no place" in str(error)), str(error)
            continue
        node.apply(plan)
        chosen[name] = options
        check_effects(node, chosen, before)
    for name, options in chosen.items():
        assert not node.plan(name, **options).changes, "a second run changes nothing"
    order = data.draw(st.permutations(sorted(chosen)), label="order")
    for name in order:
        node.absent(name)
        del chosen[name]
        check_effects(node, chosen, before)
    assert node.files() == bytes_before


# To shrink a tree takes minutes and shows nothing more.
PHASES = (Phase.explicit, Phase.generate)


@settings(max_examples=20, phases=PHASES)
@given(data=st.data())
def test_generated_trees(data, tmp_path_factory):
    try_a_generated_tree(data, tmp_path_factory.mktemp("node"))


@pytest.mark.torture
@settings(max_examples=int(os.environ.get("EXAMPLES", "1500")), phases=PHASES)
@given(data=st.data())
def test_thousands_of_generated_trees(data, tmp_path_factory):
    try_a_generated_tree(data, tmp_path_factory.mktemp("node"))
