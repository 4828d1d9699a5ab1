# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host restores the old files by itself, unless a new login confirms the change."""

import json
import os
import signal
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.files import Changes
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import rollback


class Host:
    """Two configuration files that change, one new file, and commands that are only recorded."""

    def __init__(self, path):
        self.path, self.commands, self.answer = path, [], (0, "", "")
        self.main, self.drop_in, self.new = (path / name for name in ("my 'main'", 'drop "in"$HOME.conf', "a new.conf"))
        self.main.write_bytes(b"old main \xff\r\n")
        self.drop_in.write_text("old drop-in")
        os.chown(self.main, 1234, 2345)
        self.main.chmod(0o640)
        self.rollback = rollback.Rollback(str(path / "var lib" / "sshd rollback"))

    def run(self, argv, _seconds):
        self.commands.append(argv)
        return self.answer

    def change(self, text="new", seconds=120, unit="ssh.service", paths=()):
        files = Changes({str(path): text for path in paths or (self.main, self.drop_in, self.new)}, str(self.main))
        self.rollback.arm(files.old, seconds, unit, self.run)
        files.put()

    def files(self):
        return {path.name: path.read_bytes() for path in self.path.iterdir() if path.is_file()}

    def times_out(self):
        """Runs the command of the timer; returns the commands that it called."""
        [*_others, start] = [argv for argv in self.commands if argv[0] == "systemd-run"]
        fakes = self.path / "bin"
        fakes.mkdir(exist_ok=True)
        for name in ("systemctl", "logger"):
            (fakes / name).write_text('#!/bin/sh\necho "{0} $*" >>"{1}/called"\n'.format(name, fakes))
            (fakes / name).chmod(0o755)
        subprocess.run(start[start.index("/bin/sh"):], env={"PATH": "{0}:{1}".format(fakes, os.environ["PATH"]), "HOME": "/nowhere"}, check=True, cwd="/")
        return (fakes / "called").read_text()


@pytest.fixture(name="host")
def _host(tmp_path, monkeypatch):
    monkeypatch.setattr(rollback, "_RELOAD_PLAIN", "true")
    return Host(tmp_path)


def test_old_files_are_restored_if_nobody_confirms(host):
    before = host.files()
    host.change()
    assert host.rollback.armed
    assert set(host.files().values()) == {b"new"}
    assert "systemctl reload ssh.service\n" in host.times_out()
    assert host.files() == before
    about = host.main.stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (1234, 2345, 0o640)
    assert not host.rollback.armed
    assert not (host.path / "var lib").exists(), "nothing is left"


def test_timer_is_a_systemd_timer(host):
    host.change(seconds=90)
    start = host.commands[-1]
    assert start[0] == "systemd-run" and "--on-active=90s" in start
    assert host.commands[:-1] == [] or host.commands[:-1] == [["systemctl", "stop", "paraview-sshd-rollback.timer"]]
    assert os.stat(host.rollback.directory).st_mode & 0o777 == 0o700


def test_a_new_login_confirms(host, monkeypatch):
    host.change()
    monkeypatch.setattr(rollback, "_login_start", lambda: rollback._uptime() + 1)
    assert host.rollback.confirm(host.run)
    assert set(host.files().values()) == {b"new"}
    assert not host.rollback.armed and not (host.path / "var lib").exists()
    assert not host.rollback.confirm(host.run), "there is nothing left to confirm"


def test_an_old_login_does_not_confirm(host, monkeypatch):
    host.change()
    for start, message in (
            (0.5, "this login is older than the change\n.*\nlog in again"),
            (None, "this process does not run in an ssh login\n.*\nconfirm over ssh")):
        monkeypatch.setattr(rollback, "_login_start", lambda start=start: start)
        with pytest.raises(SessionError, match=message):
            host.rollback.confirm(host.run)
        assert host.rollback.armed
    assert host.rollback.confirm(host.run, need_login=False)


def test_any_login_after_a_boot_is_a_new_one(host, monkeypatch):
    host.change()
    monkeypatch.setattr(rollback, "_login_start", lambda: 0.5)
    monkeypatch.setattr(rollback, "_boot", lambda: "another boot")
    assert host.rollback.confirm(host.run)


def test_this_process_is_not_in_a_new_login(host):
    host.change()
    start = rollback._login_start()
    assert start is None or start < rollback._uptime()
    with pytest.raises(SessionError):
        host.rollback.confirm(host.run)


def test_timer_after_a_second_change_undoes_both(host):
    before = host.files()
    host.change("first", paths=(host.main,))
    host.change("second")
    assert set(host.files().values()) == {b"second"}
    host.times_out()
    assert host.files() == before


def test_timer_keeps_a_confirmed_change(host):
    host.change("first")
    host.rollback.confirm(host.run, need_login=False)
    after = host.files()
    host.change("second")
    host.times_out()
    assert host.files() == after


def test_a_timer_that_cannot_start_is_an_error(host):
    before = host.files()
    host.answer = (1, "", "Failed to start transient timer unit: \x1b[31mno bus\n")
    with pytest.raises(SessionError, match="the timer that would restore the old files cannot be started\n.*no bus\n.*nothing was changed"):
        host.change()
    assert not host.rollback.armed
    assert host.files() == before and not (host.path / "var lib").exists()


def test_a_killed_arm_arms_nothing(host):
    """If arm() was killed before it wrote its last file, no configuration has changed, and the rollback is not armed."""
    os.makedirs(host.rollback.directory)
    with open(os.path.join(host.rollback.directory, "kept"), "w") as file:
        json.dump({str(host.main): "7"}, file)
    assert not host.rollback.armed
    before = host.files()
    host.change()
    host.times_out()
    assert host.files() == before


def test_timer_is_a_process_without_systemd(host, until, program, monkeypatch):
    # sleep ends when the test writes to the pipe.
    passed = host.path / "passed"
    os.mkfifo(passed)
    monkeypatch.setenv("PATH", os.path.dirname(program("sleep", '#!/bin/sh\necho "$1" >>{0}.log\nread x <{0}\n'.format(passed))), prepend=os.pathsep)
    before = host.files()
    host.change(unit="", seconds=90, paths=(host.main,))
    assert not [argv for argv in host.commands if argv[0] == "systemd-run"]
    assert host.main.read_text() == "new" and host.rollback.armed
    passed.write_text("over\n")
    until(lambda: not (host.path / "var lib").exists())
    assert (host.path / "passed.log").read_text() == "90\n"
    assert {**host.files(), "passed.log": b""} == {**before, "passed.log": b""}


def test_process_ends_when_the_change_is_confirmed(host):
    host.change(unit="", seconds=3600)
    with open(os.path.join(host.rollback.directory, "process")) as file:
        timer = json.load(file)
    assert processes.alive(timer)
    assert os.getpgid(timer[0]) == timer[0] != os.getpgid(0), "it continues after the login that made the change"
    assert host.rollback.confirm(host.run, need_login=False)
    assert not processes.alive(timer)
    assert set(host.files().values()) == {b"new"}


def test_one_process_at_a_time(host):
    timers = []
    for text in ("first", "second"):
        host.change(text, unit="", seconds=3600)
        with open(os.path.join(host.rollback.directory, "process")) as file:
            timers.append(json.load(file))
    assert [processes.alive(timer) for timer in timers] == [False, True]
    os.killpg(timers[1][0], signal.SIGKILL)
