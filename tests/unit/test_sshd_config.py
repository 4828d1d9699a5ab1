# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sshd_config is read as sshd reads it."""

import os

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import config, program
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.config import Tree, View
from hypothesis import given
from hypothesis import strategies as st
from login_node import LoginNode, real_sshd

MAIN = "/etc/ssh/sshd_config"


@pytest.fixture(name="node")
def _node(tmp_path):
    return LoginNode(tmp_path / "node root")


def tree_of(texts, path=MAIN):
    return Tree(View("/nonexistent", texts), path)


# --- lines and arguments ---

@pytest.mark.parametrize("spelled", [
    "GatewayPorts yes", "gatewayports\tyes", "GATEWAYPORTS=yes", "GatewayPorts = yes", "  \tGatewayPorts   yes  ", "GatewayPorts yes\r", "GatewayPorts yes\f",
    "GatewayPorts =yes", '"GatewayPorts" yes', 'Gateway"Ports" yes', 'GatewayPorts "yes"', "GatewayPorts yes # for all", "=GatewayPorts yes",
    "GatewayPorts 'yes'", 'GatewayPorts="yes"',
])
def test_line_is_read_as_sshd_reads_it(node, spelled):
    node.write(main="# first\n" + spelled + "\n")
    assert node.value("GatewayPorts") == "yes"
    [line] = config.lines("# first\n" + spelled + "\n")
    assert (line.number, line.keyword, config.arguments(line.rest)) == (2, "gatewayports", ["yes"])
    assert node.effective().origin("GatewayPorts").line == 2


@pytest.mark.parametrize("text", ["", "\n\n", "# GatewayPorts yes", "   \t# GatewayPorts yes\n", "\r\n", 'Gateway"Ports yes\n'])
def test_line_without_a_keyword(node, text):
    node.write(main=text)
    assert node.value("GatewayPorts") == "no"
    assert config.lines(text) == []


@given(rest=st.text(alphabet="ab# \t\"'\\,*\xe9", min_size=1, max_size=16))
def test_arguments_are_those_of_sshd(tmp_path_factory, rest):
    # sshd prints each argument of AcceptEnv on its own line.
    node = LoginNode(tmp_path_factory.mktemp("node"))
    node.write(main="AcceptEnv first " + rest + "\n")
    ours = ["first", *config.arguments(rest.rstrip())]
    try:
        effective = node.effective()
    except program.Refused as error:
        assert "" in ours or "quote" in error.why.lower() or "invalid" in error.why.lower()
        return
    assert list(effective.values["acceptenv"]) == [word.strip() for word in ours]


@given(word=st.text(alphabet="ab# \t'.:*/\xe9=", min_size=1, max_size=12).filter(lambda word: word.strip() and "=" not in word))
def test_quoted_word_comes_back_from_sshd(tmp_path_factory, word):
    if "\t" in word:
        with pytest.raises(SessionError, match="cannot be written to sshd_config"):
            config.quote(word)
        return
    node = LoginNode(tmp_path_factory.mktemp("node"))
    node.write(main="AcceptEnv {0}\n".format(config.quote(word)))
    assert node.effective().values["acceptenv"] == (word.strip(),)
    assert config.arguments(config.quote(word)) == [word]


@pytest.mark.parametrize("word", ['a"b', "a\\b", "a\nb", "a\x00b", "a\x7fb"])
def test_word_that_cannot_be_quoted(word):
    with pytest.raises(SessionError, match="remove that character"):
        config.quote(word)


@given(st.text())
def test_any_text_can_be_read(text):
    for line in config.lines(text):
        assert line.keyword == line.keyword.lower()
        assert line.keyword and not line.keyword.startswith("#")
        config.arguments(line.rest)
        assert line.number <= text.count("\n") + 1


# --- files ---

def test_changes_lie_over_the_files(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_bytes(b"old \xff\r\n")
    (tmp_path / "etc/b").write_text("b")
    view = View(str(tmp_path))
    assert view.read("/etc/a").encode("utf-8", "surrogateescape") == b"old \xff\r\n"
    assert view.read("/etc/none") is None
    changed = view.with_changes({"/etc/a": "new", "/etc/b": None, "/etc/c": "c"})
    assert (changed.read("/etc/a"), changed.read("/etc/b"), changed.read("/etc/c")) == ("new", None, "c")
    assert changed.matching("/etc/*") == ["/etc/a", "/etc/c"]
    assert view.matching("/etc/*") == ["/etc/a", "/etc/b"]
    assert changed.with_changes({"/etc/c": None}).matching("/etc/*") == ["/etc/a"]


def test_hidden_files_are_no_drop_ins(tmp_path):
    (tmp_path / "d").mkdir()
    for name in (".a.conf", "b.conf", "c.conf~"):
        (tmp_path / "d" / name).write_text("")
    assert View(str(tmp_path), {"/d/.x.conf": "", "/d/y.conf": ""}).matching("/d/*.conf") == ["/d/b.conf", "/d/y.conf"]


def test_drop_ins_are_in_order_of_their_bytes(tmp_path):
    (tmp_path / "d").mkdir()
    names = ["B.conf", "a.conf", "0!.conf", "00-.conf", "\xe9.conf", "zz.conf"]
    for name in names:
        (tmp_path / "d" / name).write_text("")
    assert View(str(tmp_path)).matching("/d/*") == ["/d/0!.conf", "/d/00-.conf", "/d/B.conf", "/d/a.conf", "/d/zz.conf", "/d/\xe9.conf"]


def test_links_stay_within_the_root(tmp_path):
    (tmp_path / "etc/ssh").mkdir(parents=True)
    (tmp_path / "srv/conf.d").mkdir(parents=True)
    (tmp_path / "srv/main").write_text("GatewayPorts yes\n")
    (tmp_path / "srv/conf.d/a.conf").write_text("a")
    (tmp_path / "etc/ssh/sshd_config").symlink_to("/srv/main")
    (tmp_path / "etc/ssh/relative").symlink_to("../../srv/main")
    (tmp_path / "etc/ssh/sshd_config.d").symlink_to("/srv/conf.d")
    view = View(str(tmp_path))
    assert view.real(MAIN) == view.real("/etc/ssh/relative") == str(tmp_path / "srv/main")
    assert view.read(MAIN) == "GatewayPorts yes\n"
    assert view.matching("/etc/ssh/sshd_config.d/*.conf") == ["/etc/ssh/sshd_config.d/a.conf"]
    assert view.read("/etc/ssh/sshd_config.d/a.conf") == "a"


def test_loop_of_links_is_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(SessionError, match="cannot read /[ab]\nits symbolic links form a loop"):
        View(str(tmp_path)).read("/a")


# --- trees ---

def test_files_in_the_order_of_sshd(node):
    node.write(main="Include /etc/ssh/sshd_config.d/*.conf /etc/ssh/more/?.conf\nInclude relative.conf\n",
               **{"b": "Include /etc/ssh/deep/*\n", "a": "GatewayPorts no\n"})
    for name, text in {"more/1.conf": "X11Forwarding no\n", "more/10.conf": "bad\n", "deep/x": "GatewayPorts yes\n",
                       "relative.conf": "MaxSessions 3\n"}.items():
        (node.root / "etc/ssh" / name).parent.mkdir(exist_ok=True)
        (node.root / "etc/ssh" / name).write_text(text)
    tree = Tree(node.view, MAIN)
    assert list(tree.files) == [MAIN, "/etc/ssh/sshd_config.d/a.conf", "/etc/ssh/sshd_config.d/b.conf", "/etc/ssh/deep/x", "/etc/ssh/more/1.conf",
                                "/etc/ssh/relative.conf"]
    assert [(file, line.keyword) for file, line, _matched in tree.reading() if line.keyword != "include"] == [
        ("/etc/ssh/sshd_config.d/a.conf", "gatewayports"), ("/etc/ssh/deep/x", "gatewayports"), ("/etc/ssh/more/1.conf", "x11forwarding"),
        ("/etc/ssh/relative.conf", "maxsessions")]
    effective = node.effective()
    assert [name for name, origin in effective.lines if not origin.second] == ["gatewayports", "gatewayports", "x11forwarding", "maxsessions"]
    assert effective.value("GatewayPorts") == "no"


def test_lines_under_a_match_are_marked():
    tree = tree_of({MAIN: "A 1\nInclude /d/*\nB 1\nMatch User x\nC 1\nMatch all\nD 1\n", "/d/1": "Match User y\nE 1\n"})
    assert [(line.keyword, under and under.line.rest) for _file, line, under in tree.reading() if line.keyword not in ("match", "include")] == [
        ("a", None), ("e", "User y"), ("b", None), ("c", "User x"), ("d", "all")]


def test_loop_of_includes_ends():
    tree = tree_of({MAIN: "Include /etc/ssh/a\n", "/etc/ssh/a": "Include {0}\nGatewayPorts yes\n".format(MAIN)})
    assert list(tree.files) == [MAIN, "/etc/ssh/a"]
    assert "gatewayports" in {line.keyword for _file, line, _matched in tree.reading()}


def test_too_many_includes_are_an_error():
    texts = {"/d/{0}".format(number): "Include /d/{0}\n".format(number + 1) for number in range(30)}
    with pytest.raises(SessionError, match="/d/17 is included too deeply"):
        tree_of(texts, "/d/0")


def test_include_that_matches_no_file():
    assert list(tree_of({MAIN: "Include /none/*.conf\nInclude /none\n"}).files) == [MAIN]
    assert not tree_of({}).files


@pytest.mark.parametrize(("main", "patterns"), [
    ("Include /etc/ssh/sshd_config.d/*.conf\n", ["/etc/ssh/sshd_config.d/*.conf"]),
    ("Include=sshd_config.d/*.conf\r\n", ["/etc/ssh/sshd_config.d/*.conf"]),
    ('include "/etc/my ssh/*.conf" /b/*  # both\n', ["/etc/my ssh/*.conf", "/b/*"]),
    ("Include /etc/ssh/one.conf\n", []),
    ("Match User x\nInclude /d/*.conf\n", []),
    ("Include /d*/x.conf\n# Include /d/*.conf\n", []),
    ("Include /d//./*.conf\n", ["/d/*.conf"]),
])
def test_directories_for_drop_ins(main, patterns):
    assert tree_of({MAIN: main}).drop_in_patterns() == patterns


def test_text_of_a_line():
    tree = tree_of({MAIN: "A 1\n\tMATCH user x \nMatch all"})
    assert [tree.line_text(MAIN, number) for number in (0, 1, 2, 3, 4)] == ["", "A 1", "MATCH user x", "Match all", ""]
    assert tree.line_text("/elsewhere", 1) == ""


def test_sshd_reads_the_same_through_the_mirror(node, tmp_path):
    """A tree that sshd can read in place too, since all its paths are absolute."""
    place = tmp_path / "in place"
    (place / "a b.d").mkdir(parents=True)
    (place / "main").write_bytes('Include "{0}/a b.d/*.conf"\r\nMaxSessions 4\r\nMatch User alice\r\n\tInclude "{0}/alice"\r\n'.format(place).encode())
    (place / "a b.d/1.conf").write_bytes(b"# \xff\nGatewayPorts=yes")
    (place / "a b.d/2.conf").write_text("GatewayPorts no\nMatch User bob\n  X11Forwarding yes\n")
    (place / "alice").write_text("AllowTcpForwarding local\nPermitTTY no\n")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    tree = Tree(View(), str(place / "main"))
    for user in ("alice", "bob"):
        code, out, _err = program.run([*real_sshd(), "-T", "-f", str(place / "main"), "-C", program.spec(program.Connection(user))])
        assert code == 0
        [effective] = node.program.effective(tree, [program.Connection(user)])
        mirrored = [keyword + (" " + value if value else "") for keyword, values in effective.values.items() for value in values]
        # With -ddd, sshd prints DEBUG3 as its log level.
        assert sorted(mirrored) == sorted(line.rstrip().replace("loglevel INFO", "loglevel DEBUG3") for line in out.splitlines())
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_mirror_keeps_every_other_line(tmp_path):
    main = "# \xe9\u2028\udcff\r\nInclude /d/*\r\n\r\nGatewayPorts\tyes"
    copy = tree_of({MAIN: main, "/d/a": "A 1"}).mirror(str(tmp_path))
    assert copy == str(tmp_path) + MAIN
    with open(copy, "rb") as file:
        assert file.read() == main.replace("Include /d/*\r", 'Include "{0}/d/*"'.format(tmp_path)).encode("utf-8", "surrogateescape")
    assert os.stat(copy).st_mode & 0o777 == 0o600
    assert (tmp_path / "d/a").read_text() == "A 1"
