# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ssh's prompts during a login, which the user answers.

ssh runs without a terminal, so it prompts through a program (SSH_ASKPASS). Our program forwards the prompt over a unix socket to the process that logs in,
which lets the user answer it. No answer is ever stored.
"""

import json
import os
import re
import shlex
import socket
import sys
import time
import typing as t

from ..common.errors import SessionError
from ..common.text import clean, one_line

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


class Asker:
    """The way to the user."""

    def ask(self, text: str, private: bool) -> t.Optional[bytes]:
        """Shows a prompt and returns the answer; None if there is no terminal to show it.

        Args:
            text: the prompt.
            private: the terminal does not show what is typed.
        Raises:
            SessionError: the user interrupted it.
        """
        raise NotImplementedError

    def show(self, text: str) -> None:
        """Shows lines."""
        raise NotImplementedError


class Prompts:
    """The prompts of one login.

    Args:
        directory: a private directory of the user, for the program.
        path: of the socket; short.
        asker: the way to the user.
        password: the inventory's, given once, and only to the given hosts.
        hosts: returns the names that ssh's prompt may have for the host that the password is for.
    Attributes:
        environment: the variables with which ssh prompts through the program.
    """

    def __init__(self, directory: str, path: str, asker: Asker, password: str = "", hosts: t.Callable[[], t.Set[str]] = set) -> None:
        self.path, self.asker, self.hosts = path, asker, hosts
        self.program = os.path.join(directory, "askpass")
        self.environment = {"SSH_ASKPASS": self.program, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": os.environ.get("DISPLAY") or "none:0"}
        self._password = password
        self._output = self._shown = ""
        #: The prompt that could not be shown for lack of a terminal.
        self.unanswered = ""
        #: Whether ssh prompted for anything.
        self.was_prompted = False

    def __enter__(self) -> "Prompts":
        self._remove()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self._listener.listen(4)
        text = _PROGRAM.format(python=shlex.quote(sys.executable), code=shlex.quote(_CODE), socket=shlex.quote(self.path))
        with os.fdopen(os.open(self.program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w") as stream:
            stream.write(text)
        return self

    def __exit__(self, *_why: t.Any) -> None:
        self._listener.close()
        self._remove()

    def _remove(self) -> None:
        for path in (self.path, self.program):
            if os.path.lexists(path):
                os.unlink(path)

    def fileno(self) -> int:
        """Readable if a prompt waits."""
        return self._listener.fileno()

    def received(self, output: str) -> None:
        """Stores all output of ssh so far; it is shown with the next prompt."""
        self._output = output

    def answer(self) -> None:
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
                self.asker.show(_lines(prompt))
                return
            self.was_prompted = True
            answer = self._answer(str(prompt))
            if answer is not None:
                try:
                    connection.sendall(b"+" + answer)
                except OSError:
                    pass  # The login timed out, which ssh will report.

    def _answer(self, prompt: str) -> t.Optional[bytes]:
        match = _PASSWORD.match(prompt)
        if match and self._password and (match.group("host") or match.group("there")) in self.hosts():
            password, self._password = self._password, ""
            return password.encode()
        if self.unanswered:
            return None
        unseen = self._output[len(self._shown):] if self._output.startswith(self._shown) else self._output
        self._shown = self._output
        if clean(unseen).strip():
            self.asker.show(_lines(unseen))
        answer = self.asker.ask(_lines(prompt), private=not _OPENLY.search(prompt))
        if answer is None:
            self.unanswered = prompt
        return answer

    def no_terminal(self, host: str) -> SessionError:
        """SessionError for a prompt that could not be shown."""
        return SessionError(
            "cannot log in to {0}".format(host), "{0}ssh prompts {1!r}, and there is no terminal to show the prompt".format(
                "no key was enough, " if _PASSWORD.match(self.unanswered) else "", one_line(self.unanswered, 200)),
            "run it in a terminal, or load the key (ssh-add) and check ansible_user; or first open a control master by hand (ssh -M {0}), which is then used"
            .format(host))


def _lines(text: str) -> str:
    return clean(text, 4000).strip("\n")


class AnswerTimeout:
    """A time limit for an answer, which starts again after each answer of the user.

    Args:
        seconds: how many.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Starts the time limit again."""
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())
