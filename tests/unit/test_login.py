# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in on login nodes as people leave them: the daemon's ssh is a stand-in, whose far side is a real shell with a start-up file."""

import contextlib
import os
import signal

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session import login as login_module
from ansible_collections.sciviz.paraview.plugins.module_utils.session.login import Login
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import client
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.prompts import Asker

# Like ssh, it creates the control socket once it is logged in, passes the exit status on, and keeps standard error open.
SSH = """#!/bin/sh
for word; do
  case $word in
  -G) printf 'hostname hpc\\nport 22\\n{configuration}'; exit 0;;
  -V) echo OpenSSH_9.2p1 >&2; exit 0;;
  ControlPath=*) : > "${{word#ControlPath=}}";;
  ConnectTimeout=*) echo "${{word#ConnectTimeout=}}" > {home}/timeout;;
  esac
done
{before}
setsid -w sh -c 'echo $$ > "$0"; exec "$@"' {home}/far env -i HOME={home} SHLVL=0 PATH="$PATH" SSH_CLIENT='198.18.1.9 50000 22' {shell}
exit $?
"""


@pytest.fixture(name="log_in")
def _log_in(held, program, tmp_path):
    """Logs in; returns the session's channel."""
    def log_in(start_up="", before="", configuration="", shell="bash -c 'exec /bin/sh'"):
        (tmp_path / ".bashrc").write_text(start_up)
        ssh = program("ssh", SSH.format(home=tmp_path, before=before, configuration=configuration, shell=shell))
        held.begin()
        held.session.update(control_path=str(held.control), settings={"route": "auto"})
        login = Login(held.session, Asker())
        login.to_login_node(client.Target(ssh, "hpc", None, None, None, [], 10))
        return held.channel

    yield log_in
    # sshd would end these processes with the connection.
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.killpg(int((tmp_path / "far").read_text()), signal.SIGKILL)


def refusal(log_in, **given):
    """The three lines of a login that fails."""
    with pytest.raises(SessionError) as caught:
        log_in(**given)
    lines = caught.value.lines()
    assert len(lines) == 3 and len(str(caught.value).splitlines()) == 3
    assert lines[0] == "cannot log in to hpc"
    return lines[1:]


@pytest.mark.parametrize("start_up", ["read -r -p 'Press return to accept the policy ' ok", "echo Welcome", "exec bash -l"])
def test_scripts_run_whole(log_in, start_up):
    assert log_in(start_up).script("echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")


@pytest.mark.parametrize(("given", "printed"), [
    ({"shell": "sh -c 'echo This account is locked until Monday.; exit 1'"}, "This account is locked until Monday."),
    ({"start_up": "echo Maintenance, come back later >&2; exit 0"}, "Maintenance, come back later"),
    ({"start_up": "printf '\\033[31mno shells here\\033[0m\\n'; exit 254"}, "no shells here"),
    ({"start_up": "echo gone; kill -9 $$"}, "gone")])
def test_what_the_far_side_printed_is_shown(log_in, given, printed):
    why, way_out = refusal(log_in, **given)
    assert "the login succeeded" in why and "it printed: " + printed in why and "\x1b" not in why
    assert "ask the site" in way_out and ".bashrc" in way_out and "ssh hpc /bin/sh </dev/null" in way_out


def test_a_start_up_file_that_exits_silently(log_in):
    why, way_out = refusal(log_in, start_up="[ -t 0 ] || exit 0")
    assert "the login succeeded" in why and "it printed nothing" in why
    assert "interactive shells only" in way_out


def test_ssh_that_fails_itself_is_no_shell_that_ended(log_in):
    why, _way_out = refusal(log_in, before="echo 'Bad owner or permissions on /home/alice/.ssh/config' >&2; exit 255")
    assert "Bad owner or permissions" in why and "succeeded" not in why


@pytest.mark.parametrize(("start_up", "printed"), [
    ("while :; do printf 'Menu: 1) shell 2) quit '; read -r choice; [ \"$choice\" = 1 ] && break; done", "Menu: 1) shell 2) quit"),
    ("exec cat >/dev/null", "nothing"), ("sleep 1000", "nothing")])
def test_a_shell_that_does_not_answer(log_in, monkeypatch, start_up, printed):
    monkeypatch.setattr(login_module, "_SHELL_SECONDS", 1.0)
    why, way_out = refusal(log_in, start_up=start_up)
    assert "the login succeeded, but no shell answers" in why and printed in why
    assert "standard input" in way_out and "start another shell" in way_out and ".bashrc" in way_out and "ssh hpc /bin/sh </dev/null" in way_out


def test_a_start_up_file_that_sends_standard_error_away(log_in):
    why, way_out = refusal(log_in, start_up="exec 2>\"$HOME/log\"")
    assert "standard error does not arrive" in why
    assert "redirect standard error" in way_out and ".bashrc" in way_out


@pytest.mark.parametrize(("configuration", "seconds"), [
    ("connecttimeout 60\\n", 60), ("connecttimeout none\\n", 10), ("connecttimeout 3\\n", 10), ("", 10), ("connecttimeout 10m\\n", 10)])
def test_the_users_own_connect_timeout_counts_if_it_is_longer(log_in, held, tmp_path, configuration, seconds):
    log_in(configuration=configuration)
    assert (tmp_path / "timeout").read_text() == "{0}\n".format(seconds)
    assert held.session.read().target["timeout"] == seconds
