# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are replaced in one step each, keep their owner and mode, and are restored whatever fails."""

import errno
import os
import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import files as changes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.files import Changes

CALLS = ("open", "fchown", "fchmod", "fsync", "rename", "unlink", "mkdir", "rmdir")


@pytest.fixture(name="etc")
def _etc(tmp_path):
    etc = tmp_path / "my etc"
    (etc / "d").mkdir(parents=True)
    for name in ("main", "d/gone", "d/kept"):
        (etc / name).write_bytes(b"old \xff " + name.encode())
    (etc / "main").chmod(0o640)
    return etc


def texts(etc):
    return {str(etc / "main"): "new main \udcff", str(etc / "d/gone"): None, str(etc / "d/kept"): "new kept", str(etc / "made/new"): "new drop-in"}


def files(etc):
    return {str(path): path.read_bytes() for path in etc.rglob("*") if path.is_file()}


def expected(etc):
    return {path: text.encode("utf-8", "surrogateescape") for path, text in texts(etc).items() if text is not None}


def test_all_files_are_written_and_restored(etc):
    before = files(etc)
    change = Changes(texts(etc), str(etc / "main"))
    change.put()
    assert files(etc) == expected(etc)
    change.restore()
    assert files(etc) == before
    assert not (etc / "made").exists(), "the directory that was made for it is removed"
    change.restore()
    assert files(etc) == before


def test_new_files_come_first_and_removals_last(etc):
    # If a policy moves to another file, it exists twice for a moment, and never not at all.
    assert [os.path.basename(path) for path in Changes(texts(etc), str(etc / "main")).texts] == ["new", "kept", "main", "gone"]


def test_owner_and_mode_stay(etc):
    os.chown(etc / "main", 1234, 2345)
    Changes({str(etc / "main"): "new", str(etc / "d/new"): "new"}, str(etc / "main")).put()
    for name in ("main", "d/new"):
        status = (etc / name).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 2345, 0o640), name


def test_attributes_stay(etc):
    try:
        os.setxattr(etc / "main", "user.note", b"\0mine")
    except OSError as error:
        pytest.skip("no extended attributes here: {0}".format(error.strerror))
    Changes({str(etc / "main"): "new", str(etc / "d/new"): "new"}, str(etc / "main")).put()
    assert os.getxattr(etc / "main", "user.note") == b"\0mine"
    assert os.listxattr(etc / "d/new") == [], "a new file gets only the SELinux context"


def test_new_files_get_the_context_of_the_main_file(etc, monkeypatch):
    monkeypatch.setattr(os, "listxattr", lambda path: ["security.selinux", "user.note"])
    monkeypatch.setattr(os, "getxattr", lambda path, name: b"value of " + name.encode())
    assigned = []
    monkeypatch.setattr(os, "setxattr", lambda path, name, value: assigned.append((name, value)))
    Changes({str(etc / "d/new"): "new"}, str(etc / "main")).put()
    assert assigned == [("security.selinux", b"value of security.selinux")]


def test_a_link_stays_if_its_target_is_replaced(etc):
    (etc / "link").symlink_to("main")
    Changes({os.path.realpath(etc / "link"): "new"}, str(etc / "main")).put()
    assert (etc / "link").is_symlink()
    assert (etc / "link").read_text() == (etc / "main").read_text() == "new"


def test_no_reader_gets_half_a_file(etc, monkeypatch):
    """A reader gets the old text or the new one, at any moment."""
    seen = set()
    for name in CALLS:
        real = getattr(os, name)

        def watched(*args, real=real, **options):
            seen.add((etc / "main").read_bytes())
            return real(*args, **options)

        monkeypatch.setattr(os, name, watched)
    Changes(texts(etc), str(etc / "main")).put()
    assert seen == {b"old \xff main", b"new main \xff"}


# --- faults ---

def failing(monkeypatch, name, number, fault, once=True):
    """Makes the Nth call from now fail; with once=False every later one too."""
    real, count = getattr(os, name), [0]

    def call(*args, **options):
        count[0] += 1
        if count[0] == number or (count[0] > number and not once):
            raise OSError(fault, os.strerror(fault), args[0] if isinstance(args[0], str) else None)
        return real(*args, **options)

    monkeypatch.setattr(os, name, call)
    return count


@pytest.mark.parametrize("name", ["open", "fchmod", "fsync", "rename", "unlink", "mkdir"])
@pytest.mark.parametrize(("fault", "message"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system"),
                                                (errno.EPERM, "immutable"), (errno.EIO, "Input/output error")])
def test_fault_is_reported_and_nothing_changed(etc, name, fault, message):
    before = files(etc)
    failed = 0
    for number in range(1, 30):
        with pytest.MonkeyPatch.context() as patch:
            change = Changes(texts(etc), str(etc / "main"))
            count = failing(patch, name, number, fault)
            try:
                change.put()
            except SessionError as error:
                failed += 1
                assert re.match("cannot write .*\n.*" + message + ".*\nnothing was changed", str(error))
                assert files(etc) == before, (name, number)
                assert not (etc / "made").exists()
            else:
                # If only a directory cannot be flushed (open, fsync), the change stays.
                assert files(etc) == expected(etc)
        change.restore()
        if count[0] < number:
            break
    assert failed


def test_disk_that_stays_full(etc, monkeypatch):
    """From some moment on, nothing can be written any more."""
    before = files(etc)
    for number in range(1, 10):
        with monkeypatch.context() as patch:
            change = Changes(texts(etc), str(etc / "main"))
            count = failing(patch, "fsync", number, errno.ENOSPC, once=False)
            try:
                change.put()
            except SessionError as error:
                assert "No space left on device" in str(error)
                assert files(etc) == before, number
                continue
        assert count[0] >= number or files(etc) == expected(etc)
        change.restore()


def killed(act, name, number):
    """Runs act in a child that ends at the Nth call of os.<name>, and returns whether it came to that call."""
    child = os.fork()
    if child == 0:
        real, count = getattr(os, name), [0]

        def call(*args, **options):
            count[0] += 1
            if count[0] == number:
                os._exit(77)
            return real(*args, **options)

        setattr(os, name, call)
        try:
            act()
        except BaseException:
            os._exit(78)
        os._exit(0)
    code = os.waitpid(child, 0)[1] >> 8
    assert code in (0, 77)
    return code == 77


@pytest.mark.parametrize("name", CALLS[:-1])
def test_killed_at_every_step(etc, name):
    before, after = files(etc), expected(etc)
    number = 0
    while True:
        number += 1
        change = Changes(texts(etc), str(etc / "main"))
        was_killed = killed(change.put, name, number)
        now = files(etc)
        left = [path for path in now if os.path.basename(path).startswith(".sciviz-paraview-")]
        assert len(left) <= 3
        changes.sweep({os.path.dirname(path) for path in after})
        now = files(etc)
        assert set(now) <= set(before) | set(after), "no other file is left"
        for path in set(before) | set(after):
            assert now.get(path) in (before.get(path), after.get(path)), (path, number)
        if not was_killed:
            assert now == after
            break
        # A second run succeeds as if nothing had happened.
        Changes(texts(etc) if (etc / "d/gone").exists() else {path: text for path, text in texts(etc).items() if text}, str(etc / "main")).put()
        assert files(etc) == after
        for path in set(after) - set(before):
            os.unlink(path)
        os.rmdir(etc / "made")
        for path, content in before.items():
            with open(path, "wb") as file:
                file.write(content)
    assert number > 1


def test_sweep_keeps_files_of_others(etc):
    for name in (".sciviz-paraview-12.tmp", ".sciviz-paraview-12.conf", "sciviz-paraview-12.tmp", "x.sciviz-paraview-12.tmp"):
        (etc / "d" / name).write_text("")
    changes.sweep([str(etc / "d"), str(etc / "none")])
    assert {path.name for path in (etc / "d").iterdir()} == {"gone", "kept", ".sciviz-paraview-12.conf", "sciviz-paraview-12.tmp", "x.sciviz-paraview-12.tmp"}


# --- lock and copies ---

def test_lock_admits_one_holder_and_leaves_no_file(etc):
    before = files(etc)
    with changes.lock(str(etc)):
        with pytest.raises(SessionError, match="another process is changing .*\n.*\ntry again"):
            with changes.lock(str(etc), 0.0):
                pytest.fail("two holders of the lock")
        with changes.lock(str(etc / "d"), 0.0):
            pass
    with changes.lock(str(etc), 0.0):
        assert files(etc) == before


def test_lock_of_a_killed_process_is_free(etc):
    def take():
        changes.lock(str(etc)).__enter__()
        os._exit(0)

    assert not killed(take, "open", 99)
    with changes.lock(str(etc), 0.0):
        pass


def test_lock_of_a_missing_directory(etc):
    with pytest.raises(SessionError, match="cannot open .*none\nNo such file or directory"):
        with changes.lock(str(etc / "none")):
            pass


def test_copies_are_kept_where_only_their_owner_reads(etc):
    os.chown(etc / "main", 1234, 2345)
    kept = etc / "kept" / "backups"
    copies = [changes.keep_copy(str(etc / "main"), str(kept), "/etc/main") for _time in range(3)]
    assert len(set(copies)) == 3, "one in the same second does not replace another one"
    for copy in copies:
        assert re.match(re.escape(str(kept / "etc/main")) + r"\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d(\.\d)?~\Z", copy)
        with open(copy, "rb") as file:
            assert file.read() == b"old \xff main"
        status = os.stat(copy)
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777, status.st_mtime) == (1234, 2345, 0o640, (etc / "main").stat().st_mtime)
    assert [os.stat(place).st_mode & 0o777 for place in (kept, kept / "etc")] == [0o700, 0o700]


def test_no_copy_of_a_missing_file(etc):
    before = files(etc)
    assert changes.keep_copy(str(etc / "none"), str(etc / "kept"), "none") == ""
    assert files(etc) == before
