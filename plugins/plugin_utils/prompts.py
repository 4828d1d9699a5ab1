# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwards ssh's prompts during a login to the user.

ssh runs without a terminal, so it prompts through a program (SSH_ASKPASS). Our program forwards the prompt over a unix socket to
the action, which prompts in the playbook's terminal. No answer is ever stored.
"""

import json
import os
import re
import shlex
import socket
import sys
import time

from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.utils.display import Display

from ..module_utils.common.errors import SessionError
from ..module_utils.common.text import clean, one_line

_PROGRAM = """#!/bin/sh
exec {python} -I -S -c {code} {socket} "$1" "$SSH_ASKPASS_PROMPT"
"""
_CODE = """
import json, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(json.dumps(sys.argv[2:4]).encode() + b"\\n")
answer = b"".join(iter(lambda: line.recv(4096), b""))
if answer[:1] != b"+":
    sys.exit(1)
sys.stdout.buffer.write(answer[1:] + b"\\n")
"""
# ssh's own password prompts; a server's prompts follow "(user@host) ".
_PASSWORD = re.compile(r"^(?:\([^()\s@]+@(?P<there>\S+)\) password: ?|[^\s@']+@(?P<host>\S+)'s password: )\Z", re.IGNORECASE)
_OPENLY = re.compile(r"\(yes/no(?:/\[fingerprint\])?\)\? \Z|^Please type 'yes'")

display = Display()


class Prompts:
    """The prompts of one login.

    Args:
        name (str): the session's, for the user.
        directory (str): a private directory of the user, for the program.
        path (str): of the socket; short.
        password (str): the inventory's, given once, and only to the given hosts.
        hosts (callable): returns the names (set) that ssh's prompt may have for the host that the password is for.
    Attributes:
        environment (dict[str, str]): the variables with which ssh prompts through the program.
    """

    def __init__(self, name, directory, path, password="", hosts=set):
        self.name, self.path, self.hosts = name, path, hosts
        self.program = os.path.join(directory, "askpass")
        self.environment = {"SSH_ASKPASS": self.program, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": os.environ.get("DISPLAY") or "none:0"}
        self._password = password
        self._output = self._shown = ""
        #: The prompt that could not be shown for lack of a terminal.
        self.unanswered = ""
        #: Whether ssh prompted for anything.
        self.was_prompted = False

    def __enter__(self):
        self._remove()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self._listener.listen(4)
        text = _PROGRAM.format(python=shlex.quote(sys.executable), code=shlex.quote(_CODE), socket=shlex.quote(self.path))
        with os.fdopen(os.open(self.program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w") as stream:
            stream.write(text)
        return self

    def __exit__(self, *_why):
        self._listener.close()
        self._remove()

    def _remove(self):
        for path in (self.path, self.program):
            if os.path.lexists(path):
                os.unlink(path)

    def fileno(self):
        """int: readable if a prompt waits."""
        return self._listener.fileno()

    def received(self, output):
        """Stores all output of ssh so far; it is shown with the next prompt."""
        self._output = output

    def answer(self):
        """Answers one prompt; SessionError if the user interrupts it."""
        connection = self._listener.accept()[0]
        with connection:
            connection.settimeout(5)
            try:
                prompt, kind = json.loads(connection.makefile("rb").readline().decode())
            except (OSError, ValueError):
                return
            if kind == "none":
                # For example a key that the user has to touch: ssh waits for the key and not for an answer.
                self._show(prompt)
                return
            self.was_prompted = True
            answer = self._answer(str(prompt))
            if answer is not None:
                try:
                    connection.sendall(b"+" + answer)
                except OSError:
                    pass  # The login timed out, which ssh will report.

    def _answer(self, prompt):
        match = _PASSWORD.match(prompt)
        if match and self._password and (match.group("host") or match.group("there")) in self.hosts():
            password, self._password = self._password, ""
            return password.encode()
        if self.unanswered:
            return None
        unseen = self._output[len(self._shown):] if self._output.startswith(self._shown) else self._output
        self._shown = self._output
        if clean(unseen).strip():
            self._show(unseen)
        try:
            return display.prompt_until(self._lines(prompt), private=not _OPENLY.search(prompt))
        except AnsiblePromptNoninteractive:
            self.unanswered = prompt
            return None
        except AnsiblePromptInterrupt:
            raise SessionError("the login on {0} was cancelled".format(self.name), "its prompt was not answered", "connect again", cancelled=True)

    def _show(self, text):
        display.display(self._lines(text))

    def _lines(self, text):
        return "\n".join("{0}: {1}".format(clean(self.name, 100), line) for line in clean(text, 4000).strip("\n").splitlines() or [""])

    def no_terminal(self, host):
        """SessionError for a prompt that could not be shown."""
        return SessionError(
            "cannot log in to {0}".format(host), "{0}ssh prompts {1!r}, and there is no terminal to show the prompt".format(
                "no key was enough, " if _PASSWORD.match(self.unanswered) else "", one_line(self.unanswered, 200)),
            "run it in a terminal, or load the key (ssh-add) and check ansible_user; or first open a control master by hand (ssh -M {0}), which is then used"
            .format(host))


class AnswerTimeout:
    """A time limit for an answer, which starts again after each answer of the user.

    Args:
        seconds (float): how many.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.renew()

    def renew(self):
        """Starts the time limit again."""
        self._end = time.monotonic() + self.seconds

    @property
    def left(self):
        """float: seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())
