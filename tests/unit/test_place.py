# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of sessions' files on the cluster, if it is not the home."""

import os
import re
import shutil
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_directory, place
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import remote_directory
from hypothesis import given
from hypothesis import strategies as st

KNOWN = {"USER": "alice", "HOME": "/home/alice", "SCRATCH": "/lustre/scratch/a/alice/", "PROJECT": "e05-surfin", "EMPTY": "", "UNSET": None,
         "RELATIVE": "work", "UP": "/lustre/..", "LINES": "/lustre\nx", "BLANK": "/lustre/my files", "CODE": "/$(touch ran)"}
WHERE = "your login shell on login1"


# --- the setting ---


@pytest.mark.parametrize(("value", "path"), [
    ("/lustre/$PROJECT/$USER", "/lustre/e05-surfin/alice"), ("/lustre/${PROJECT}/${PROJECT}/${USER}", "/lustre/e05-surfin/e05-surfin/alice"),
    ("$SCRATCH", "/lustre/scratch/a/alice"), ("${SCRATCH}/paraview", "/lustre/scratch/a/alice/paraview"), ("/scratch//./$USER/", "/scratch/alice"),
    ("$HOME/..d/x", "/home/alice/..d/x"), ("/g/data/ab12/first.last@example.org", "/g/data/ab12/first.last@example.org"), ("/p/s${USER}_1", "/p/salice_1"),
    (" /scratch ", "/scratch"), ("/", "/"),
])
def test_a_path(value, path):
    assert remote_directory.filled(remote_directory.check(value), KNOWN, WHERE) == path


@pytest.mark.parametrize("value", [
    "scratch", "./x", "~/x", "~alice", "/a/../b", "/a/..", "..", "/a\nb", "/a\n", "/a\0", "/a b", "/a;b", "/$(id)", "/`id`", "/a$", "/$1", "/$$", "/${USER",
    "/${USER:-x}", "/${!USER}", "/$USER$", "/a%j", "/h:/a", "/a,b", "/{{id}}", "/a'b", '/a"b', "/caf\u00e9", "/a\\b", "/a\u202eb", "/x" * 600, "-x"])
def test_a_value_that_is_not_valid(value):
    with pytest.raises(ValueError, match="[a-z]"):
        remote_directory.check(value)


@pytest.mark.parametrize(("value", "cause"), [
    ("/$NOWHERE/x", "$NOWHERE is not set"), ("/$UNSET", "$UNSET is not set"), ("$EMPTY/x", "$EMPTY is not set"), ("$RELATIVE/x", "begin with /"),
    ("$UP/x", "contains .."), ("$LINES", "newline"), ("$BLANK", "' '"), ("$CODE", "behind $"), ("/.${EMPTY}", "$EMPTY is not set"),
    ("/a$USER.$LINES", "newline")])
def test_a_name_whose_value_is_not_usable(value, cause):
    with pytest.raises(ValueError, match=re.escape(cause)) as caught:
        remote_directory.filled(remote_directory.check(value), KNOWN, WHERE)
    assert WHERE in str(caught.value)


PIECES = st.sampled_from(["$USER", "${HOME}", "$X", "${X}", "/", "..", ".", "a", "\n", " ", "$", "{", "}", "$(id)", "`", "%"])
VALUES = st.one_of(st.text(), st.none(), st.lists(PIECES).map("".join))


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)), VALUES, VALUES)
def test_any_other_value_is_refused(value, user, other):
    try:
        path = remote_directory.filled(remote_directory.check(value) or "/", {"USER": user, "HOME": "/home/alice", "X": other}, WHERE)
    except ValueError as error:
        assert str(error)
        return
    assert re.match(r"/[A-Za-z0-9_./+@-]*\Z", path) and ".." not in path.split("/") and "//" not in path


# --- the names, as the login shell has them ---


@pytest.fixture(name="ask")
def _ask(tmp_path, monkeypatch, script, program):
    """Asks a login shell with these start-up files; returns the values."""
    home = tmp_path / "home"
    home.mkdir()

    def ask(names, shell, **files):
        for name, text in files.items():
            (home / ("." + name)).write_text(text)
        path = shutil.which(shell)
        getent = program("getent", "#!/bin/sh\necho alice:x:1000:1000::/home/alice:{0}\n".format(path))
        monkeypatch.setenv("PATH", os.path.dirname(getent) + ":" + os.environ["PATH"])
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.chdir(tmp_path)
        return place.read_names(script(place.ask_names(names), 40)[1], names, WHERE)

    return ask


STARTS = {"dash": "profile", "bash": "bash_profile", "ksh": "profile", "mksh": "profile", "zsh": "zprofile", "tcsh": "login", "fish": "config/fish/config.fish"}
SHELLS = [pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason="no " + shell)) for shell in STARTS]
PLAIN = [one for one in SHELLS if one.values[0] not in ("tcsh", "fish")]


@pytest.mark.parametrize("shell", PLAIN)
def test_the_login_shell_has_the_names(ask, tmp_path, shell):
    """Its start-up files print text that looks like an answer, read from standard input, and define a name without exporting it."""
    text = ("echo 'SCRATCH=/evil'; printf '\\n==SCRATCH\\n/evil\\nparaview.1.2 SCRATCH\\n/evil\\nparaview.1.2 end\\n'; echo '$(touch ran)' >&2\n"
            "read answer\nexport SCRATCH='/lustre/$(touch ran)/`touch ran`\nx'\nWORK=/lustre/it\\'s\nexport EMPTY=\n")
    values = ask(["SCRATCH", "WORK", "EMPTY", "NOWHERE", "HOME"], shell, **{STARTS[shell]: text})
    assert values == {"SCRATCH": "/lustre/$(touch ran)/`touch ran`\nx", "WORK": "/lustre/it's", "EMPTY": "", "NOWHERE": "", "HOME": str(tmp_path / "home")}
    assert not (tmp_path / "ran").exists() and not (tmp_path / "home" / "ran").exists()


@pytest.mark.parametrize(("lines", "value"), [
    ("export PS1='$(whoami)@$(hostname):$(pwd)> '\nexport SCRATCH=/gpfs01/scratch/$(id -u)\nalias squ=\"squeue -u $(whoami)\"\n",
     "/gpfs01/scratch/{0}".format(os.getuid())),
    ("[ -n module ] && module purge\numask 002\nexport WORK2=/work2/05123/alice/north\nexport SCRATCH=${WORK2%/*}/south\nshopt -s expand_aliases\n",
     "/work2/05123/alice/south"),
    ("# Get the aliases and functions\nif [ -f ~/.bashrc ]; then\n. ~/.bashrc\nfi\nmodule load fortran/intel/20.0.0\n"
     "source /nowhere/setvars.sh > /dev/null 2>&1\nSCRATCH=/p/scratch/project/$LOGNAME\n", "/p/scratch/project/alice"),
    ("case $- in\n*i*) ;;\n*) export SCRATCH=/lustre/$USER; return;;\nesac\nexec zsh\n", "/lustre/alice"),
    ("echo '*** /scratch is 93 % full ***'\ncat <<'E'\nSCRATCH SCRATCH\nE\neval 'export SCRATCH=/scratch/\"$USER\"'\ntrap 'echo bye' EXIT\n", "/scratch/alice"),
])
def test_start_up_files_as_users_have_them(ask, monkeypatch, lines, value):
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("LOGNAME", "alice")
    assert ask(["SCRATCH"], "bash", bash_profile=lines) == {"SCRATCH": value}


@pytest.mark.parametrize("shell", ["tcsh", "csh"])
def test_a_c_shell_has_the_names(ask, shell):
    if not shutil.which(shell):
        pytest.skip("no " + shell)
    values = ask(["SCRATCH", "NOWHERE"], shell, login="echo SCRATCH=/evil\nset answer = $<\nsetenv SCRATCH /lustre/alice\n")
    assert values == {"SCRATCH": "/lustre/alice", "NOWHERE": ""}


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish_has_the_names(ask, tmp_path):
    (tmp_path / "home" / ".config" / "fish").mkdir(parents=True)
    values = ask(["SCRATCH", "NOWHERE"], "fish", **{STARTS["fish"]: "echo SCRATCH=/evil\nset -gx SCRATCH '/lustre/$(touch ran)'\n"})
    assert values == {"SCRATCH": "/lustre/$(touch ran)", "NOWHERE": ""}


@pytest.mark.parametrize("shell", PLAIN)
@pytest.mark.parametrize("text", ["exit 0\n", "exec /bin/true\n", "exec /bin/cat\n"])
def test_a_login_shell_that_does_not_answer(ask, shell, text):
    with pytest.raises(ValueError, match=r"does not print the value of \$SCRATCH: its start-up files .* write the path itself") as caught:
        ask(["SCRATCH"], shell, **{STARTS[shell]: text})
    assert WHERE in str(caught.value) and shell in str(caught.value)


def test_a_start_up_file_may_leave_a_process_behind(ask):
    """The answer does not wait for its end."""
    began = time.monotonic()
    assert ask(["SCRATCH"], "dash", profile="sleep 25 &\nexport SCRATCH=/s\n") == {"SCRATCH": "/s"}
    assert time.monotonic() - began < 15


@given(st.text())
def test_garbage_is_no_answer(text):
    try:
        assert set(place.read_names(text, ["A"], WHERE)) == {"A"}
    except ValueError as error:
        assert "write the path itself" in str(error)
    assert place.read_look(text) is None


# --- the directory ---


def listed(form, uid=0, gid=0):
    return "{0} 5 {1} {2} 4096 Nov 22 17:44 x\n".format(form, uid, gid)


ROOT = listed("drwxr-xr-x")
MINE = listed("drwxr-x---", 1000, 500)


def answer(last=MINE, above=ROOT, named=None, own="", kind="directory", writes="yes", group="project:x:500:alice,bob", over=True):
    real = last + above + ROOT
    return "".join("\n=={0}\n{1}\n".format(name, text) for name, text in [
        ("kind", kind), ("own", own), ("writes", writes), ("user", "1000\n500\nalice"), ("group", group), ("named", named or real), ("real", real)]) + (
            "\n==over\n" if over else "")


@pytest.mark.parametrize("changes", [
    {}, {"last": listed("drwxrwxrwt")}, {"last": listed("drwxrws--T", 0, 500)}, {"last": listed("drwxr-xr-x."), "own": listed("drwx------", 1000, 500)},
    {"above": listed("drwxrwxrwt")}, {"above": listed("drwxr-x---", 7, 500)}, {"last": listed("drwxrwxr-x", 1000, 500), "group": "alice:x:500:"},
    {"last": listed("drwxr-xr-x+", 1000, 500)},
    {"named": listed("lrwxrwxrwx") + ROOT}, {"named": listed("lrwxrwxrwx", 1000, 500) + ROOT}, {"own": listed("drwx--S---", 1000, 500), "writes": ""}])
def test_a_directory_that_nobody_else_can_replace(changes):
    assert place.read_look(answer(**changes)) == ""


@pytest.mark.parametrize(("changes", "cause"), [
    ({"last": listed("drwxrwxrwx")}, "writable for any account"), ({"last": listed("drwxrwx---", 0, 500)}, "writable for its group"),
    ({"last": listed("drwxrws---", 1000, 500)}, "chmod +t"), ({"above": listed("drwxrwsr-x", 0, 500)}, "a directory above {path} is writable for its group"),
    ({"above": listed("drwxr-xrwx")}, "a directory above {path} is writable for any account"),
    ({"last": listed("drwxrwxr-x", 1000, 500), "group": "alice:x:500:bob"}, "its group"),
    ({"last": listed("drwxrwxr-x", 1000, 7), "group": "alice:x:500:"}, "its group"),
    ({"last": listed("drwxrwxr-x+", 1000, 500), "group": "alice:x:500:"}, "its group"),
    ({"last": listed("drwxrwxrwt", 7)}, "uid 7"), ({"named": listed("lrwxrwxrwx", 7) + ROOT}, "link of another account (uid 7)"),
    ({"named": MINE + listed("drwxrwxrwx") + ROOT}, "writable for any account"),
    ({"own": listed("lrwxrwxrwx", 1000)}, "is a link"), ({"own": listed("drwx------", 7)}, "another account"),
    ({"own": listed("-rw-------", 1000)}, "exists already"),
    ({"kind": "other"}, "no directory"), ({"kind": "ls: cannot access '/x': No such file or directory"}, "No such file"), ({"writes": ""}, "cannot write")])
def test_a_directory_that_is_not_usable(changes, cause):
    assert cause in place.read_look(answer(**changes))


def test_an_answer_that_is_cut_off_proves_nothing():
    text = answer()
    assert all(place.read_look(text[:end]) != "" for end in range(len(text) - 1))


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
def test_the_shell_finds_the_same(script, tmp_path, mode):
    """In a directory of this host, through a link, and with a name that the shell could take apart."""
    shared = tmp_path / "work"
    shared.mkdir()
    shared.chmod(mode)
    (tmp_path / "link").symlink_to("work")
    for path in (shared, tmp_path / "link"):
        code, out, err = script(place.look(str(path), os.getuid()))
        assert (code, err, place.read_look(out)) == (0, "", "")


@pytest.mark.skipif(os.getuid() != 0, reason="another account's link is made by root")
def test_a_link_behind_a_link_is_looked_at(script, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "theirs").symlink_to("real")
    (tmp_path / "mine").symlink_to("theirs")
    os.chown(str(tmp_path / "theirs"), 65533, 65533, follow_symlinks=False)
    assert "link of another account (uid 65533)" in place.read_look(script(place.look(str(tmp_path / "mine"), 0))[1])


def test_a_loop_of_links_ends(script, tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert "cannot be found" in place.read_look(script(place.look(str(tmp_path / "one"), 0))[1])


FACTS = {"login_node": "login1", "home": "/home/alice", "site": {}}


def refused(script, value, site=None):
    with pytest.raises(SessionError) as caught:
        place.place(value, dict(FACTS, uid=os.getuid(), site=site or {}), script)
    assert len(caught.value.lines()) == 3 and "nothing was touched" in caught.value.way_out and "paraview_remote_dir" in caught.value.way_out
    return caught.value


def test_a_place_is_found_and_used(script, tmp_path):
    (tmp_path / "project").mkdir()
    facts = dict(FACTS, uid=os.getuid(), site={"remote_dir": "/nowhere"})
    facts["remote_dir"] = place.place(str(tmp_path / "project") + "/", facts, script)
    path = job_directory.directory(facts, "0123456789abcdef")
    assert path == str(tmp_path / "project" / ".paraview-connect-{0}".format(os.getuid()) / "0123456789abcdef")
    directory = job_directory.Directory(script, path)
    directory.create({"go": "x"})
    assert directory.read("go") == "x" and os.stat(os.path.dirname(path)).st_mode & 0o7777 == 0o700
    directory.remove()
    assert os.listdir(str(tmp_path / "project")) == []


def test_nothing_is_asked_without_a_value():
    assert place.place("", dict(FACTS), None) == ""


def test_a_place_that_is_refused(script, tmp_path):
    assert "'/nowhere/x' cannot be used" in refused(script, "/nowhere/x").what
    assert "remote_dir of this site, 'work', cannot be used" in refused(script, "", {"remote_dir": "work"}).what
    assert "login1" in refused(script, "/nowhere/$PATH").why
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    assert "chmod +t" in refused(script, str(tmp_path / "shared")).why
    assert "the answer is incomplete" in refused(lambda _text, _seconds: (0, "motd\n", ""), "/lustre").why
    assert "no answer within" in refused(lambda _text, _seconds: (124, "", ""), "/lustre").why
    for text in ("sh: {x}: not found", "{path.__class__}", "{path:>300000000}"):
        assert len(refused(lambda _text, _seconds, text=text: (1, "", text), "/lustre").why) < 200, "what a site prints is no format"


@pytest.mark.parametrize("kind", ["link", "foreign"])
def test_another_accounts_directory_is_not_taken_for_ours(script, tmp_path, kind):
    """It was made after the check."""
    if kind == "foreign" and os.getuid():
        pytest.skip("only root can make a directory of another account")
    own, other = tmp_path / ".paraview-connect-{0}".format(os.getuid()), tmp_path / "other"
    other.mkdir()
    if kind == "link":
        own.symlink_to("other")
    else:
        own.mkdir()
        os.chown(str(own), 65534, 65534)
    with pytest.raises(SessionError, match="cannot create") as caught:
        job_directory.Directory(script, str(own / "0123456789abcdef")).create({"key": "secret"})
    assert "is a link, or another account owns it" in caught.value.why
    assert os.listdir(str(other)) == [] and not [name for name in os.listdir(str(own)) if name]
