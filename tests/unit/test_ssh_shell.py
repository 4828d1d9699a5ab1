# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell that reads scripts from its standard input, as over ssh."""

import os
import shlex
import signal
import subprocess
import threading

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import shell as shell_module
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.shell import Shell, ShellLost
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(name="start", scope="module")
def _start():
    processes = []

    def start(*command):
        processes.append(subprocess.Popen(command or ("/bin/sh",), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          start_new_session=True))
        return Shell(processes[-1])

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


@pytest.fixture(name="shell")
def _shell(start):
    shell = start()
    shell.begin(10)
    return shell


@pytest.fixture(name="lasting", scope="module", params=["dash", "bash"])
def _lasting(start, request):
    shell = start(request.param)
    shell.begin(10)
    return shell


def test_output_of_a_login_is_discarded(start):
    shell = start("/bin/sh", "-c", "echo 'Welcome 0'; echo beware >&2; printf 'no newline'; exec /bin/sh")
    shell.begin(10)
    assert shell.run("echo yes; echo no >&2", 10) == (0, "yes\n", "no\n")


@pytest.mark.parametrize("code", [0, 1, 42, 127, 255])
def test_exit_codes(lasting, code):
    assert lasting.run("echo a; exit {0}; echo b".format(code), 10) == (code, "a\n", "")


def test_each_script_has_a_shell_of_its_own(shell):
    shell.run("x=1; cd /; exec >/dev/null 2>&1; set -e; trap '' TERM; umask 0", 10)
    assert shell.run("echo \"${x-unset}\"; pwd; false; echo on", 10)[1].splitlines()[::2] == ["unset", "on"]


@pytest.mark.parametrize("text", [
    "exit 3",
    "kill -9 $$", "kill -9 $PPID", "kill -9 0", "kill $PPID", "exec true", "if", "'", "cat <<EOF\nnever ended", "}", "echo a\\", "exec <&-", "return 2",
    "cat", "exec cat >/dev/null", "trap '' PIPE; yes | head -n 1"])
def test_no_script_ends_the_channel(shell, text):
    shell.run(text, 10)
    assert shell.run("echo on", 10) == (0, "on\n", "")


@pytest.mark.parametrize("text", ["", "\n", "#", "# only a comment"])
def test_an_empty_script(shell, text):
    assert shell.run(text, 10) == (0, "", "")


def test_big_outputs_on_both_streams(shell):
    code, out, err = shell.run("head -c 3000000 /dev/zero | tr '\\0' o; head -c 1000000 /dev/zero | tr '\\0' e >&2; exit 7", 30)
    assert (code, len(out), len(err), set(out), set(err)) == (7, 3000000, 1000000, {"o"}, {"e"})


def test_too_much_output_is_cut_off(shell):
    code, out, _err = shell.run("head -c 9000000 /dev/zero | tr '\\0' o; exit 7", 30)
    assert code == 7
    assert 1000000 < len(out) < 5000000
    assert shell.run("echo on", 10) == (0, "on\n", "")


def test_a_big_script(shell):
    assert shell.run("\n".join(["x=$((x + 1)) # {0}".format("." * 60)] * 10000) + "\necho $x", 30) == (0, "10000\n", "")


@settings(max_examples=60)
@given(st.one_of(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",))), st.text("'\"\\$`\n\r\t !#*~-%EOF")))
def test_any_text_arrives_unchanged(lasting, text):
    assert lasting.run("printf %s " + shlex.quote(text), 10) == (0, text, "")
    delimiter = shell_module._delimiter(text)
    assert lasting.run("cat <<'{1}'\n{0}\n{1}".format(text, delimiter), 10) == (0, text + "\n", "")


def test_a_line_that_begins_like_any_delimiter(lasting):
    """dash loses a byte behind the beginning of a delimiter."""
    text = "\n".join(first + "\x80\u00e9" for first in "0123456789abcdef_.:,+@%=")
    assert lasting.run("printf %s " + shlex.quote(text), 10) == (0, text, "")


def test_bytes_that_are_no_utf8(shell):
    assert shell.run("printf '\\377\\000caf\\351'; printf '\\n%s 0\\n' 0123456789abcdef01234567", 10)[1] == "\ufffd\0caf\ufffd\n0123456789abcdef01234567 0\n"


def test_a_late_answer_is_discarded(shell):
    """A connection that is silent for a while is not lost."""
    os.kill(shell.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SessionError, match="does not answer"):
            shell._exchange("echo late\n", 0.3)
        with pytest.raises(SessionError, match="does not answer"):
            shell._exchange("echo later\n", 0.3)
    finally:
        os.kill(shell.process.pid, signal.SIGCONT)
    assert shell.run("echo on", 10) == (0, "on\n", "")


def test_a_time_limit(shell):
    assert shell.run("echo before; sleep 1000; echo after", 1)[:2] == (124, "before\n")
    assert shell.run("echo on", 10) == (0, "on\n", "")


@pytest.mark.parametrize("command", ["echo 'ssh: no route' >&2; exit 255", "echo 'ssh: no route' >&2; exec <&-; kill -9 $$"])
def test_the_error_of_a_failed_login_has_sshs_message(start, command):
    with pytest.raises(ShellLost, match="ssh: no route"):
        start("/bin/sh", "-c", command).begin(10)


def test_a_failed_login_does_not_wait_for_processes_that_keep_stderr_open(start, tmp_path):
    """Such as a ProxyCommand, or the master of an older ssh's ControlPersist."""
    shell = start("/bin/sh", "-c", "while [ ! -e {0}/leave ]; do sleep 0.05; done >/dev/null & echo 'ssh: no route' >&2; exit 255".format(tmp_path))
    lost = []

    def begin():
        try:
            shell.begin(2)
        except ShellLost as error:
            lost.append(str(error))

    trying = threading.Thread(target=begin)
    trying.start()
    trying.join(5)
    (tmp_path / "leave").touch()
    hung = trying.is_alive()
    trying.join()
    assert not hung
    assert "ssh: no route" in lost[0]


def test_a_lost_shell(shell):
    assert shell.drain()
    shell.process.kill()
    shell.process.wait()
    with pytest.raises(ShellLost):
        shell.run("echo on", 10)
    assert not shell.drain()


def test_a_shell_that_does_not_answer(start):
    with pytest.raises(ShellLost, match="no answer within"):
        start("/bin/sh", "-c", "exec sleep 1000").begin(0.2)


# --- login nodes as people leave them ---


@pytest.fixture(name="log_in")
def _log_in(start, tmp_path):
    """Begins a login shell with this start-up file, as sshd begins it for a command; ssh keeps standard error open."""
    def log_in(start_up, **environment):
        (tmp_path / ".bashrc").write_text(start_up)
        variables = ["{0}={1}".format(*one) for one in dict(environment, HOME=tmp_path, SHLVL="0", SSH_CLIENT="198.18.1.9 50000 22").items()]
        return start("env", "-i", "PATH=" + os.environ["PATH"], *variables, "/bin/sh", "-c", "bash -c 'exec /bin/sh'; exit $?")

    return log_in


@pytest.mark.parametrize("start_up", [
    "", "case $- in *i*) ;; *) return;; esac\nread never", "echo Setting up databases; echo done >&2", "set -eu\n", "stty erase '^H'",
    "read -r -p 'Do you accept the rules of this site? ' answer", "read -r one\nread -r other", "read -r -s -n 1 key", "read -r -t 5 -n 40 word",
    "IFS= read -r -d ' ' word", "read -r -t 0.1 first; echo \"you typed: $first\"",
    "alias limit='echo never'; alias printf='echo never'", "limit() { return 1; }; export -f limit", "exec dash", "exec bash --login", "bash -l <<'E'\nE\n",
])
def test_start_up_files_that_read_a_little_or_start_another_shell(log_in, start_up):
    shell = log_in(start_up)
    shell.begin(10)
    assert shell.run("echo out; echo err >&2; exit 3", 10) == (3, "out\n", "err\n")
    assert shell.run("echo on", 10) == (0, "on\n", "")


@pytest.mark.parametrize("start_up", ["head -n 1", "timeout 1 cat", "for n in 1 2 3 4 5; do read -r line; done", "exec /bin/sh -c 'read -r line; exec sh'"])
def test_what_a_start_up_file_took_is_sent_again(log_in, monkeypatch, start_up):
    monkeypatch.setattr(shell_module, "_AGAIN", 0.3)
    shell = log_in(start_up)
    shell.begin(20)
    assert shell.run("echo out; echo err >&2; exit 3", 10) == (3, "out\n", "err\n")
    assert shell.run("echo on", 10) == (0, "on\n", ""), "a second answer does not get into that of a script"


def test_lines_that_arrive_late_are_answered_once(log_in, monkeypatch):
    """The login takes long, and the first lines were sent several times until then."""
    monkeypatch.setattr(shell_module, "_AGAIN", 0.05)
    shell = log_in("sleep 1")
    shell.begin(20)
    assert [shell.run("echo on", 10) for _attempt in range(5)] == [(0, "on\n", "")] * 5


def test_a_shell_of_another_kind_is_replaced(log_in, program, monkeypatch):
    """As csh does, this one has a variable $status, and understands simple commands."""
    monkeypatch.setattr(shell_module, "_AGAIN", 0.3)
    other = program("othersh", """#!/bin/sh
status=0
while read -r line; do
  case $line in *\\(\\)*) echo "Badly placed ()'s." >&2; exit 1;; esac
  eval "$line"
done
""")
    shell = log_in("exec " + other)
    shell.begin(20)
    assert shell.run("echo out; exit 3", 10) == (3, "out\n", "")


def test_a_variable_named_status_does_no_harm(log_in, monkeypatch):
    monkeypatch.setattr(shell_module, "_AGAIN", 0.3)
    shell = log_in("export status=0")
    shell.begin(20)
    assert shell.run("echo out; exit 3", 10) == (3, "out\n", "")


@settings(max_examples=15)
@given(taken=st.integers(0, 900))
def test_any_number_of_bytes_may_be_missing(start, monkeypatch, taken):
    """Whatever is left of the first lines, the shell answers, or it has ended."""
    monkeypatch.setattr(shell_module, "_AGAIN", 0.3)
    shell = start("/bin/sh", "-c", "head -c {0} >/dev/null; exec bash".format(taken))
    try:
        shell.begin(10)
    except ShellLost:
        return
    assert shell.run("echo out; exit 3", 10) == (3, "out\n", "")


@pytest.mark.parametrize("start_up", ["exec 2>/dev/null", "exec 2>>\"$HOME/startup.log\"", "exec 2>&1"])
def test_a_standard_error_that_goes_elsewhere(log_in, monkeypatch, start_up):
    monkeypatch.setattr(shell_module, "_STDERR_SECONDS", 0.5)
    with pytest.raises(ShellLost) as caught:
        log_in(start_up).begin(10)
    assert caught.value.without_stderr


def test_what_the_far_side_printed_before_it_ended_is_kept(log_in):
    with pytest.raises(ShellLost) as caught:
        log_in("echo 'This account is for file transfers.'; exit 1").begin(10)
    assert caught.value.printed == "This account is for file transfers.\n"
    assert not caught.value.without_stderr


def test_a_question_without_end_is_kept(log_in):
    with pytest.raises(ShellLost) as caught:
        log_in("until [ \"$answer\" = yes ]; do printf 'Agree (yes/no)? '; read -r answer; done").begin(1)
    assert "Agree (yes/no)?" in caught.value.printed


def test_messages_of_ssh_are_kept(start, until):
    shell = start("/bin/sh", "-c", "(while [ -e /proc/$PPID ]; do echo 'channel 3: open failed' >&2; sleep 0.05; done) & exec /bin/sh")
    shell.begin(10)
    until(lambda: shell.drain() and b"open failed" in shell.messages)
