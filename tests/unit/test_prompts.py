# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of a login, with a test program that prompts in the same way as ssh."""

import os
import select
import stat
import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.prompts import Prompts
from ansible_collections.sciviz.paraview.plugins.plugin_utils.terminal_asker import TerminalAsker


class User:
    """The user at the terminal: gives the answers in turn, and records all output."""

    def __init__(self):
        self.answers, self.seen = [], []

    def prompt_until(self, message, private=False):
        self.seen.append(("secret" if private else "open", message))
        if not self.answers:
            raise AnsiblePromptNoninteractive("stdin is not interactive")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def display(self, message):
        self.seen.append(("shown", message))


@pytest.fixture(name="user")
def _user(monkeypatch):
    user = User()
    monkeypatch.setattr("ansible_collections.sciviz.paraview.plugins.plugin_utils.terminal_asker.display", user)
    return user


@pytest.fixture(name="prompts")
def _prompts(tmp_path, short_path, user):
    assert user
    with Prompts(str(tmp_path), str(short_path / "a"), TerminalAsker("lab"), "tell-nobody", lambda: {"login.site.edu", "198.18.3.10"}) as prompts:
        yield prompts


def answered(prompts, text, hint=None):
    """Runs the askpass program for one prompt; returns its exit code and its output."""
    environment = dict(os.environ, **prompts.environment)
    environment.update({"SSH_ASKPASS_PROMPT": hint} if hint else {})
    program = subprocess.Popen([environment["SSH_ASKPASS"], text], stdout=subprocess.PIPE, env=environment)
    assert select.select([prompts], [], [], 20)[0]
    prompts.answer()
    out = program.communicate(timeout=20)[0]
    return program.returncode, out


def test_any_number_of_prompts(prompts, user):
    user.answers = [b"open sesame", b"", b"it's \xc3\xa9 \\ $x"]
    assert answered(prompts, "Enter passphrase for key '/home/alice/.ssh/id_ed25519': ") == (0, b"open sesame\n")
    assert answered(prompts, "(alice@login.site.edu) Verification code: ") == (0, b"\n")
    prompts.received("Only for members.\n\x1b]0;evil\x07What is \x1b[1m3 + 4?\n")
    assert answered(prompts, "(alice@login.site.edu) Answer:\nin words: ") == (0, b"it's \xc3\xa9 \\ $x\n")
    assert user.seen == [
        ("secret", "lab: Enter passphrase for key '/home/alice/.ssh/id_ed25519': "), ("secret", "lab: (alice@login.site.edu) Verification code: "),
        ("shown", "lab: Only for members.\nlab: What is 3 + 4?"), ("secret", "lab: (alice@login.site.edu) Answer:\nlab: in words: ")]


def test_output_of_ssh_is_shown_once(prompts, user):
    user.answers = [b"1", b"2"]
    prompts.received("welcome\n")
    answered(prompts, "Code: ")
    prompts.received("welcome\nPermission denied, please try again.\n")
    answered(prompts, "Code: ")
    assert [text for kind, text in user.seen if kind == "shown"] == ["lab: welcome", "lab: Permission denied, please try again."]


def test_the_user_accepts_a_host_key(prompts, user):
    user.answers = [b"yes"]
    text = "The authenticity of host 'login' can't be established.\nED25519 key fingerprint is SHA256:abc.\nAre you sure (yes/no/[fingerprint])? "
    assert answered(prompts, text) == (0, b"yes\n")
    assert user.seen[0][0] == "open" and "lab: ED25519 key fingerprint is SHA256:abc." in user.seen[0][1]


@pytest.mark.parametrize("prompt", ["alice@login.site.edu's password: ", "alice@198.18.3.10's password: ", "(alice@login.site.edu) Password: "])
def test_the_inventorys_password_is_given_once(prompts, user, prompt):
    assert answered(prompts, prompt) == (0, b"tell-nobody\n")
    user.answers = [b"another"]
    assert answered(prompts, prompt) == (0, b"another\n")


@pytest.mark.parametrize("prompt", [
    "alice@bastion's password: ", "(alice@login.site.edu) Verification code: ", "Enter passphrase for key '/k': ", "(alice@login.site.edu) New password: ",
    "(alice@login.site.edu) for bob@bastion's password: "])
def test_the_inventorys_password_is_for_one_host_and_one_prompt(prompts, user, prompt):
    user.answers = [b"mine"]
    assert answered(prompts, prompt) == (0, b"mine\n")
    assert answered(prompts, "alice@login.site.edu's password: ") == (0, b"tell-nobody\n")


def test_without_a_terminal_nothing_is_answered(prompts, user):
    assert answered(prompts, "Enter passphrase for key '/k': ") == (1, b"")
    assert answered(prompts, "(alice@login.site.edu) Code: ") == (1, b"")
    assert len(user.seen) == 1, "without a terminal there is only one attempt to prompt"
    error = prompts.no_terminal("login")
    assert "Enter passphrase for key" in error.why and "no terminal" in error.why and "ssh-add" in error.way_out


def test_a_user_who_interrupts_a_prompt(prompts, user):
    user.answers = [AnsiblePromptInterrupt("user interrupt")]
    with pytest.raises(SessionError, match="was cancelled") as caught:
        answered(prompts, "Code: ")
    assert caught.value.cancelled


def test_a_key_that_the_user_has_to_touch(prompts, user):
    assert answered(prompts, "Confirm user presence for key ED25519-SK", hint="none")[0] == 1
    assert user.seen == [("shown", "lab: Confirm user presence for key ED25519-SK")]


def test_other_users_cannot_prompt_or_read(tmp_path, short_path, user):
    assert user
    with Prompts(str(tmp_path), str(short_path / "a"), TerminalAsker("lab"), "tell-nobody") as prompts:
        assert stat.S_IMODE(os.stat(prompts.path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(prompts.program).st_mode) == 0o700
        assert "tell-nobody" not in Path(prompts.program).read_text()
    assert not os.listdir(tmp_path) and not os.listdir(short_path)


def test_leftovers_of_a_killed_login_are_replaced(tmp_path, short_path, user):
    assert user
    for path in (tmp_path / "askpass", short_path / "a"):
        path.write_text("")
    with Prompts(str(tmp_path), str(short_path / "a"), TerminalAsker("lab")) as prompts:
        user.answers = [b"1"]
        assert answered(prompts, "Code: ") == (0, b"1\n")
