# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What another account has planted, can replace, or can lock: it is refused before anything was touched, and never followed."""

import contextlib
import ctypes
import fcntl
import grp
import json
import os
import pwd
import signal
import subprocess
import sys
import types

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import files, ownership
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session import interruption
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.plugin_utils import login
from hypothesis import given
from hypothesis import strategies as st

MALLORY = 65533
PR_SET_DUMPABLE, CLONE_NEWUSER = 4, 0x10000000
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another account")


def as_mallory(action):
    """Whether an action succeeds under another account."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(MALLORY)
            os.setuid(MALLORY)
            action()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture(name="shared")
def _shared(short_path):
    """A directory like /tmp."""
    short_path.chmod(0o755)
    path = short_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    return path


@pytest.fixture(name="common_group")
def _common_group(monkeypatch):
    monkeypatch.setattr(ownership, "is_private_group", lambda *_arguments: False)


def tree(top):
    """Everything below a directory, with owners, modes and contents."""
    return {path: (os.lstat(path).st_uid, os.lstat(path).st_mode, path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
            for path in top.rglob("*")}


def refused(action, top, *words):
    """The error of an action, which has changed nothing below a directory."""
    before = tree(top)
    with pytest.raises(SessionError) as caught:
        action()
    assert tree(top) == before, "nothing was touched"
    assert len(caught.value.lines()) == 3, "what, why, way out"
    for word in words:
        assert word in str(caught.value)
    return caught.value


# --- the directory of records, and the directories above it


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o277, 0o777])
def test_the_directories_are_private_whatever_the_umask(tmp_path, umask):
    base = tmp_path / "home" / ".local" / "state" / "paraview-connect"
    before = os.umask(umask)
    try:
        Session(str(base), "lab").begin()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o7777 for path in (base / "lab", base, base.parent, base.parent.parent)} == {0o700}


@pytest.mark.usefixtures("common_group")
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o702, 0o1777])
def test_a_state_directory_that_others_can_write_to_is_refused(tmp_path, mode):
    base = tmp_path / "state"
    base.mkdir()
    base.chmod(mode)
    error = refused(lambda: sessions.state_directory(str(base)), tmp_path, str(base), "writable for", "{0:04o}".format(mode), "chmod go-w")
    assert "paraview_state_dir" in error.way_out
    refused(lambda: Session(str(base), "lab").begin(), tmp_path, "writable for")
    refused(lambda: sessions.write_report(str(base), str(tmp_path / "report.json"), [{"host": "a"}]), tmp_path, "writable for")


@needs_root
@pytest.mark.parametrize("make", [
    lambda base: base.mkdir(mode=0o700), lambda base: base.symlink_to("/tmp"), lambda base: (base.mkdir(), (base / "lab").mkdir())],
    ids=["directory", "link", "directory with a session"])
def test_a_state_directory_of_another_account_is_refused(shared, make):
    """In a directory like /tmp, another account was there first."""
    base = shared / "state"
    assert as_mallory(lambda: make(base))
    refused(lambda: sessions.state_directory(str(base)), shared, "uid {0}".format(MALLORY))
    refused(lambda: Session(str(base), "lab").begin(), shared, "uid {0}".format(MALLORY))


@pytest.mark.usefixtures("common_group")
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_directory_above_that_others_can_write_to_is_refused(tmp_path, mode):
    """They could replace the state directory by one of their own."""
    above = tmp_path / "project"
    (above / "state").mkdir(parents=True, mode=0o700)
    above.chmod(mode)
    refused(lambda: sessions.state_directory(str(above / "state")), tmp_path, str(above) + " is writable for")
    (above / "state").rmdir()
    refused(lambda: sessions.state_directory(str(above / "state")), tmp_path, str(above) + " is writable for")


@needs_root
def test_a_directory_above_of_another_account_is_refused(tmp_path):
    above = tmp_path / "theirs"
    (above / "state").mkdir(parents=True, mode=0o700)
    os.chown(above, MALLORY, MALLORY)
    refused(lambda: sessions.state_directory(str(above / "state")), tmp_path, "could replace what is in it")


def test_a_state_directory_in_a_sticky_directory_is_used(shared):
    Session(sessions.state_directory(str(shared / "state")), "lab").begin()
    assert (shared / "state" / "lab" / "session.json").exists()


def in_a_user_namespace():
    """From now on this process knows no account but its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    uid, gid = os.geteuid(), os.getegid()
    assert libc.unshare(CLONE_NEWUSER) == 0, os.strerror(ctypes.get_errno())
    for name, text in (("setgroups", "deny"), ("uid_map", "{0} {0} 1".format(uid)), ("gid_map", "{0} {0} 1".format(gid))):
        with open("/proc/self/" + name, "w") as stream:
            stream.write(text)


@needs_root
def test_in_a_container_that_knows_the_user_alone_root_owns_the_directories_above(short_path):
    """There, files of root and of all other accounts have the same owner."""
    short_path.chmod(0o755)
    home = short_path / "home"
    home.mkdir()
    os.chown(home, MALLORY, MALLORY)

    def look():
        in_a_user_namespace()
        assert ownership.fault(str(home)) == ""
        assert "belongs to" in ownership.fault(str(short_path))

    assert as_mallory(look)


def test_ones_own_links_are_followed_and_looked_at(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "good").symlink_to("real")
    (tmp_path / "bad").symlink_to("open/../real")
    assert sessions.state_directory(str(tmp_path / "good" / "state"))
    refused(lambda: sessions.state_directory(str(tmp_path / "bad" / "state")), tmp_path, "open is writable for any account")
    (tmp_path / "loop").symlink_to("loop")
    refused(lambda: sessions.state_directory(str(tmp_path / "loop" / "state")), tmp_path, "symbolic links")


def test_a_private_group_may_write(tmp_path, monkeypatch):
    """Some systems give each account a group of its own, and permit it to write."""
    base = tmp_path / "state"
    base.mkdir()
    base.chmod(0o770)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: types.SimpleNamespace(pw_name="alice", pw_gid=base.stat().st_gid))
    for name, members, usable in (("alice", [], True), ("alice", ["alice"], True), ("alice", ["bob"], False), ("users", [], False)):
        monkeypatch.setattr(grp, "getgrgid", lambda gid, name=name, members=members: types.SimpleNamespace(gr_name=name, gr_mem=members))
        assert bool(ownership.fault(str(base))) is not usable
    monkeypatch.setattr(grp, "getgrgid", lambda gid: types.SimpleNamespace(gr_name="alice", gr_mem=[]))
    monkeypatch.setattr(os, "listxattr", lambda path: ["system.posix_acl_access"])
    assert "its group" in ownership.fault(str(base)), "an access control list may name anybody"


@given(st.integers(0, 0o7777), st.booleans())
def test_any_mode_that_lets_others_write_has_a_writer(mode, private):
    assert bool(ownership.writers(mode, private)) is bool(mode & 0o002 or (mode & 0o020 and not private))


# --- what is in them


def plant(directory, name, kind, victim):
    path = directory / name
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(json.dumps({"id": "0123456789abcdef", "state": "ready", "daemon": [1, "1"]}))
        if kind == "foreign":
            os.chown(path, MALLORY, MALLORY)
        else:
            path.chmod(0o666)


@needs_root
@pytest.mark.parametrize("kind", ["link", "pipe", "foreign", "writable"])
@pytest.mark.parametrize("name", ["session.json", "connect_id", "events.jsonl", "stub.json", "interrupted"])
def test_a_file_that_was_planted_is_neither_read_nor_written(tmp_path, name, kind):
    victim = tmp_path / "authorized_keys"
    victim.write_text("[]")
    session = Session(str(tmp_path / "state"), "lab")
    session.begin(lifeline=True)
    session.keep_connect_id(17)
    session.events.append("line", text="a")
    plant(tmp_path / "state" / "lab", name, kind, victim)
    if name == "session.json":
        refused(session.read, tmp_path, str(session.path))
        return
    session.events.append("line", text="b")
    assert session.events.read()[0] == [] if name == "events.jsonl" else session.events.read()[0]
    assert not interruption.noted(session, [os.getpid(), "1"])
    if name == "connect_id":
        refused(session.connect_id, tmp_path, "cannot be read")
    else:
        assert session.report()["lifeline"]["state"] == "waiting"
    assert victim.read_text() == "[]"


@needs_root
@pytest.mark.parametrize("kind", ["link", "foreign", "writable"])
@pytest.mark.parametrize("name", ["daemon.log", "client.log", "line", "session.json"])
def test_a_session_does_not_begin_where_something_was_planted(tmp_path, name, kind):
    """For example while the directory was writable for everybody."""
    victim = tmp_path / "bashrc"
    victim.write_text("mine")
    (tmp_path / "state" / "lab").mkdir(parents=True, mode=0o700)
    plant(tmp_path / "state" / "lab", name, kind, victim)
    refused(Session(str(tmp_path / "state"), "lab").begin, tmp_path, str(tmp_path / "state" / "lab" / name))


@pytest.mark.parametrize("kind", ["link", "writable"])
def test_a_directory_of_a_session_that_was_planted(tmp_path, kind):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "session.json").write_text('{"id": "0123456789abcdef", "daemon": [1, "1"]}')
    (tmp_path / "state").mkdir(mode=0o700)
    if kind == "link":
        (tmp_path / "state" / "lab").symlink_to("../elsewhere")
        session = sessions.all_sessions(str(tmp_path / "state"))[0]
        refused(session.read, tmp_path, "is a link")
        assert sessions.readable_records(str(tmp_path / "state")) == ([], True)
    else:
        (tmp_path / "state" / "lab").mkdir()
        (tmp_path / "state" / "lab").chmod(0o777)
        refused(Session(str(tmp_path / "state"), "lab").begin, tmp_path, "writable for any account")


@contextlib.contextmanager
def locked_by_mallory(path):
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setuid(MALLORY)
            fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)
            os.write(theirs, b"locked")
            signal.pause()
        os._exit(1)
    os.close(theirs)
    try:
        assert os.read(ours, 6) == b"locked"
        yield
    finally:
        os.close(ours)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@needs_root
def test_nobody_else_can_hold_the_lock_of_the_records(shared):
    """Another account can lock each directory that it can open."""
    base = shared / "state"
    session = Session(str(base), "lab")
    session.begin()
    base.chmod(0o755)
    with locked_by_mallory(base):
        assert session.update(state="pending").state == "pending"
        report(base, shared / "report.json")
    assert not as_mallory(lambda: os.open(base / ".lock", os.O_RDONLY))
    assert [one.name for one in sessions.all_sessions(str(base))] == ["lab"], "a lock is no session"


# --- reports and pages


def report(base, path):
    sessions.write_report(str(base), str(path), [{"host": "lab", "connect_id": 17}])


@needs_root
@pytest.mark.parametrize("make", [
    lambda path: path.write_text('[{"host": "other", "url": "cs://evil:1"}]'), lambda path: path.symlink_to("/etc/passwd"), os.mkfifo,
    lambda path: path.mkdir()],
    ids=["file", "link", "pipe", "directory"])
def test_a_report_does_not_go_where_another_account_was_first(shared, tmp_path, make):
    path = shared / "report.json"
    assert as_mallory(lambda: make(path))
    error = refused(lambda: report(tmp_path / "state", path), shared, str(path), "uid {0}".format(MALLORY))
    assert "directory that only you can write to" in error.way_out
    with pytest.raises(SessionError, match="paraview_html"):
        files.write_output(str(path), "page", "paraview_html")


@needs_root
def test_a_report_in_a_shared_directory_is_for_its_owner_alone(shared, tmp_path):
    path = shared / "report.json"
    report(tmp_path / "state", path)
    assert json.loads(path.read_text())[0]["connect_id"] == 17 and path.stat().st_mode & 0o777 == 0o600
    for attack in (lambda: os.open(path, os.O_RDONLY), path.unlink, lambda: path.rename(shared / "x"), lambda: path.write_text("[]")):
        assert not as_mallory(attack)


@needs_root
def test_a_lock_of_the_shared_directory_holds_no_report_up(shared, tmp_path):
    with locked_by_mallory(shared):
        report(tmp_path / "state", shared / "report.json")


def test_a_report_is_not_written_where_others_can_replace_it(tmp_path):
    open_directory = tmp_path / "project"
    open_directory.mkdir()
    open_directory.chmod(0o777)
    refused(lambda: report(tmp_path / "state", open_directory / "report.json"), tmp_path, "writable for any account")
    assert files.output_path(str(tmp_path / "report.json"), "paraview_json") == str(tmp_path / "report.json")


def test_ones_own_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    victim = tmp_path / "bashrc"
    victim.write_text("[]")
    (tmp_path / "report.json").symlink_to(victim)
    report(tmp_path / "state", tmp_path / "report.json")
    assert victim.read_text() == "[]" and not (tmp_path / "report.json").is_symlink()


def test_a_device_is_no_file_for_a_report(tmp_path):
    with pytest.raises(SessionError, match="no regular file"):
        report(tmp_path / "state", "/dev/null")
    assert not os.path.isfile("/dev/null")


# --- compiled programs


@pytest.fixture(name="cache")
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "paraview-connect"


def test_the_cache_of_compiled_programs_is_private(cache):
    before = os.umask(0)
    try:
        assert login._cache() == str(cache)
        (cache / "usr").mkdir(mode=0o755)
    finally:
        os.umask(before)
    cache.chmod(0o755)
    assert login._cache() == str(cache) and cache.stat().st_mode & 0o777 == 0o700


@needs_root
@pytest.mark.parametrize("make", [
    lambda cache: cache.chmod(0o777), lambda cache: (cache / "usr").chmod(0o777), lambda cache: os.chown(cache / "usr" / "os.pyc", MALLORY, MALLORY),
    lambda cache: (cache / "usr" / "os.pyc").chmod(0o666), lambda cache: (cache / "lib").symlink_to("/tmp"), lambda cache: os.chown(cache, MALLORY, MALLORY)])
def test_a_compiled_program_that_others_could_have_written_is_not_run(cache, make):
    (cache / "usr").mkdir(parents=True, mode=0o755)
    (cache / "usr" / "os.pyc").write_bytes(b"")
    make(cache)
    error = refused(login._cache, cache, str(cache), "compiled programs")
    assert "remove that directory" in error.way_out


# --- the doors


@needs_root
def test_status_refuses_a_planted_directory_of_records(shared, tmp_path):
    base = shared / "state"
    assert as_mallory(lambda: (base.mkdir(), (base / "lab").mkdir(), (base / "lab" / "session.json").write_text('{"id": "x", "daemon": [1, "1"]}')))
    done = subprocess.run([os.path.join(os.path.dirname(sys.executable), "ansible"), "localhost", "-m", "sciviz.paraview.session_info",
                           "-a", "state_dir={0}".format(base)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and "cannot keep session records in {0}".format(base) in done.stdout and "Traceback" not in done.stdout + done.stderr
