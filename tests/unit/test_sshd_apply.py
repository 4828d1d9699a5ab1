# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan is applied to the files first, then to the daemon. If a step fails, both are restored."""

import errno
import os
import shutil

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import apply as sshd_change
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import config, reports
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import planner as sshd_plan
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import program as sshd
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.apply import Change, Pending, main_file, program_for
from login_node import LoginNode

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-sciviz-paraview-viz.conf"
VIZ = {"match": {"Group": "viz"}, "allow_tcp_forwarding": "local"}


class Daemon:
    """A daemon that keeps the configuration that it read last."""

    unit = "ssh.service"

    def __init__(self, node, pid=77, socket=False):
        self.node, self.number, self.socket = node, pid, socket
        self.read = node.files()
        self.reloads, self.silent, self.refuse = 0, set(), set()

    def pid(self):
        return self.number

    def waits_for_a_socket(self):
        return self.socket

    def reload(self):
        self.reloads += 1
        if self.reloads in self.refuse:
            raise SessionError("ssh.service could not be reloaded", "Job failed", "see: systemctl status ssh.service")
        self.read = self.node.files()

    def answers(self, _addresses, _seconds=15):
        return self.reloads not in self.silent


class Timer:
    """A rollback that records its calls."""

    def __init__(self, armed=False):
        self.armed, self.calls = armed, []

    def arm(self, old, seconds, unit, _run):
        self.calls.append(("arm", sorted(os.path.basename(path) for path in old), seconds, unit))

    def confirm(self, _run, need_login=True):
        self.calls.append(("confirm", need_login))


class Site:
    """A node, its daemon and a change of its configuration."""

    def __init__(self, path, **daemon):
        self.node = LoginNode(path / "root").write(main="Include /etc/ssh/sshd_config.d/*.conf\nGatewayPorts no\n", other="X11Forwarding no\n")
        self.before = self.node.files()
        self.daemon = Daemon(self.node, **daemon)
        (path / "run").mkdir()
        self.pending = Pending(MAIN, str(path / "run"))
        self.change = Change(self.node.program, self.node.view, MAIN, self.daemon, self.pending)

    def apply(self, plan=None, **options):
        plan = plan or self.node.plan(**VIZ)
        self.change.apply(plan, **options)
        return plan

    def fails(self, *texts, **options):
        with pytest.raises(SessionError) as error:
            self.apply(**options)
        for text in texts:
            assert text in str(error.value)
        assert self.node.files() == self.before
        assert self.daemon.read == self.before, "the daemon has its old configuration"
        assert not self.pending.exists()


@pytest.fixture(name="site")
def _site(tmp_path):
    return Site(tmp_path)


def test_files_then_daemon(site):
    site.apply()
    assert site.node.value("AllowTcpForwarding") == "local"
    assert site.daemon.reloads == 1 and site.daemon.read == site.node.files()
    assert not site.pending.exists() and not site.change.warnings
    assert not site.node.plan(**VIZ).changes


def test_reload_that_fails(site):
    site.daemon.refuse = {1}
    site.fails("ssh.service could not be reloaded\nJob failed\nthe old configuration was restored. see: systemctl status")
    assert site.daemon.reloads == 2


def test_reload_that_fails_again_is_not_called_a_success(site):
    site.daemon.refuse = {1, 2}
    timer = Timer()
    with pytest.raises(SessionError, match="ssh.service could not be reloaded\nJob failed\nthe old files were restored, but sshd may not have read them"):
        site.apply(rollback=timer, seconds=120)
    assert site.node.files() == site.before
    assert site.pending.exists(), "the next run reloads it"
    assert timer.calls[1:] == [("confirm", False)]


def test_daemon_that_does_not_answer(site):
    site.daemon.silent = {1}
    site.fails("sshd does not answer any more\nno ssh greeting on ", "127.0.0.1:22", "the old configuration was restored. see the log of sshd")
    assert site.daemon.reloads == 2


def test_daemon_that_never_answered_need_not_answer_later(site):
    # It listens where this host cannot reach it, so its silence proves nothing.
    site.daemon.silent = {0, 1}
    site.apply()
    assert site.daemon.read == site.node.files() != site.before


def test_files_that_cannot_be_written(site, monkeypatch):
    def rename(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)

    monkeypatch.setattr(os, "rename", rename)
    site.fails("cannot write {0}{1}\n".format(site.node.root, DROP_IN), "immutable (lsattr)?", "the old configuration was restored. nothing was changed")


def test_somebody_else_writes_at_the_same_time(site, monkeypatch):
    plan = site.node.plan(**VIZ)
    put = sshd_change.changes.Changes.put

    def disturbed(files):
        put(files)
        site.node.write(**{"00-a": "AllowTcpForwarding no\nMatch Group viz\nAllowTcpForwarding no\n"})

    monkeypatch.setattr(sshd_change.changes.Changes, "put", disturbed)
    with pytest.raises(SessionError, match="sshd's configuration is not what was written\nit differs for alice"):
        site.apply(plan)
    assert not os.path.exists(str(site.node.root) + DROP_IN)


def test_interrupt_restores_files_and_daemon(site, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(site.change, "_reload", interrupted)
    with pytest.raises(KeyboardInterrupt):
        site.apply()
    assert site.node.files() == site.daemon.read == site.before


def test_directory_that_was_created_for_the_policy_is_removed(tmp_path):
    site = Site(tmp_path)
    site.node.write(main="Include /etc/ssh/sshd_config.d/*.conf\n")
    shutil.rmtree(site.node.root / "etc/ssh/sshd_config.d")
    site.before = site.daemon.read = site.node.files()
    site.daemon.refuse = {1}
    site.fails("the old configuration was restored")
    assert not (site.node.root / "etc/ssh/sshd_config.d").exists()
    site.apply()
    planner = site.node.planner()
    assert planner.made_directories() == ["/etc/ssh/sshd_config.d"]
    site.change = Change(site.node.program, site.node.view, MAIN, site.daemon, site.pending)
    site.apply(planner.absent([]), tidy=[str(site.node.root) + one for one in planner.made_directories()])
    assert not (site.node.root / "etc/ssh/sshd_config.d").exists()
    assert site.node.files() == site.before


def test_missing_daemon_is_a_warning(tmp_path):
    site = Site(tmp_path, pid=0)
    site.apply()
    assert site.change.warnings == ["sshd does not run on this host: it was not reloaded"]
    assert site.daemon.reloads == 0


def test_daemon_with_socket_activation_needs_no_reload(tmp_path):
    site = Site(tmp_path, pid=0, socket=True)
    site.apply()
    assert not site.change.warnings and site.daemon.reloads == 0


def test_without_reload(site):
    site.change.daemon = None
    site.apply()
    assert site.daemon.reloads == 0
    assert site.node.value("AllowTcpForwarding") == "local"


def test_next_run_does_the_reload_of_a_killed_run(site):
    """The mark exists from before the first change until the daemon has read the files."""
    seen = []
    reload = site.daemon.reload
    site.daemon.reload = lambda: (seen.append(site.pending.exists()), reload())
    site.apply()
    assert seen == [True]
    assert not site.pending.exists()
    site.pending.set()
    again = sshd_plan.Plan({}, "", [], [], [], [], [])
    Change(site.node.program, site.node.view, MAIN, site.daemon, site.pending).apply(again)
    assert site.daemon.reloads == 2 and not site.pending.exists()


def test_mark_is_one_per_main_file(tmp_path):
    one, other = Pending(MAIN, str(tmp_path)), Pending("/etc/other", str(tmp_path))
    one.set()
    one.set()
    assert one.exists() and not other.exists()
    assert Pending(MAIN, str(tmp_path)).exists()
    one.clear()
    one.clear()
    assert not one.exists() and not list(tmp_path.iterdir())
    lost = Pending(MAIN, str(tmp_path / "none"))
    lost.set()
    assert not lost.exists()


def test_backup_copies_if_requested(site):
    site.node.write(main="GatewayPorts no\n")
    plan = site.apply(site.node.plan(gateway_ports="yes"), backup=True)
    assert list(plan.changes) == list(site.change.backups) == [MAIN]
    copy = site.change.backups[MAIN]
    assert copy.startswith(str(site.node.root) + "/var/lib/sciviz-paraview/sshd-backups/etc/ssh/sshd_config.")
    with open(copy) as file:
        assert file.read() == "GatewayPorts no\n"
    assert os.stat(os.path.dirname(copy)).st_mode & 0o777 == 0o700


# --- with a timer ---

def test_timer_runs_before_anything_changes(site):
    timer = Timer()
    site.apply(rollback=timer, seconds=120)
    assert timer.calls == [("arm", [os.path.basename(DROP_IN)], 120, "ssh.service")]


def test_no_timer_unless_requested(site):
    timer = Timer()
    site.apply(rollback=timer)
    assert timer.calls == []


def test_failed_change_stops_its_timer(site):
    site.daemon.refuse = {1}
    timer = Timer()
    site.fails("the old configuration was restored", rollback=timer, seconds=120)
    assert timer.calls[1:] == [("confirm", False)]


def test_failed_change_leaves_the_timer_of_an_earlier_one(site):
    site.daemon.refuse = {1}
    timer = Timer(armed=True)
    site.fails("the old configuration was restored", rollback=timer, seconds=120)
    assert [call[0] for call in timer.calls] == ["arm"]


def test_timer_that_cannot_start_changes_nothing(site):
    def arm(*_arguments):
        raise SessionError("the timer cannot be started", "no bus", "nothing was changed")

    timer = Timer()
    timer.arm = arm
    site.fails("the timer cannot be started", rollback=timer, seconds=120)
    assert site.daemon.reloads == 0


# --- which file, and which sshd ---

def test_main_file_of_the_vendor(tmp_path):
    assert main_file(MAIN, str(tmp_path)) == (MAIN, True)
    (tmp_path / "usr/etc/ssh").mkdir(parents=True)
    (tmp_path / "usr/etc/ssh/sshd_config").write_text("")
    assert main_file(MAIN, str(tmp_path)) == ("/usr" + MAIN, False)
    assert main_file("/etc/ssh/other", str(tmp_path)) == ("/etc/ssh/other", True)
    (tmp_path / "etc/ssh").mkdir(parents=True)
    (tmp_path / "etc/ssh/sshd_config").write_text("")
    assert main_file(MAIN, str(tmp_path)) == (MAIN, True), "the admin's file has precedence"


class CommandLine:
    def __init__(self, *arguments):
        self.arguments = list(arguments)

    def options(self):
        return self.arguments


def test_daemon_of_another_file_is_a_warning(tmp_path):
    program, warnings = program_for(MAIN, "/bin/true", CommandLine("-f", "/etc/other", "-o", "Port=22"))
    assert warnings == ["the running sshd reads /etc/other, not {0}".format(MAIN)]
    assert (program.command, program.options) == (["/bin/true"], []), "its other options are for another file"
    (tmp_path / "link").symlink_to("main")
    assert program_for(str(tmp_path / "main"), "/bin/true", CommandLine("-f", str(tmp_path / "link")))[1] == []


def test_options_of_the_daemon_are_passed_on(site):
    program, warnings = program_for(MAIN, "/bin/true", CommandLine("-f", MAIN, "-o", "AllowTcpForwarding=no", "-o", "MaxSessions=3"))
    assert not warnings
    assert program.options == ["-o", "AllowTcpForwarding=no", "-o", "MaxSessions=3"]
    program.command = site.node.program.command
    [effective] = program.effective(config.Tree(site.node.view, MAIN), [sshd.Connection("alice")])
    assert (effective.value("AllowTcpForwarding"), effective.value("MaxSessions")) == ("no", "3")
    assert reports.origins(effective)["allow_tcp_forwarding"] == "command-line:0"


def test_command_line_that_wins_over_a_policy_is_named(site):
    site.node.program.options = ["-o", "GatewayPorts=yes"]
    plan = site.node.plan(match={"Group": "viz"}, gateway_ports="clientspecified")
    assert [(one["file"], one["value"]) for one in plan.overrides] == [("command-line", "yes")], "a Match wins over it"
    site.node.program.options = ["-o", "AllowTcpForwarding=no"]
    with pytest.raises(SessionError, match="AllowTcpForwarding no, from command-line"):
        site.node.plan(allow_tcp_forwarding="yes")
