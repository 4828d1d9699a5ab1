# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ssh asks while it logs in, passed on to the user.

ssh runs without a terminal, so it asks through a program (SSH_ASKPASS). Ours passes the question over a unix socket to the
action, which asks where the playbook was started. No answer is ever written down.
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
# ssh's own words; a server's questions come after "(user@host) ".
_PASSWORD = re.compile(r"^(?:\([^()\s@]+@(?P<there>\S+)\) password: ?|[^\s@']+@(?P<host>\S+)'s password: )\Z", re.IGNORECASE)
_OPENLY = re.compile(r"\(yes/no(?:/\[fingerprint\])?\)\? \Z|^Please type 'yes'")

display = Display()


class Questions:
    """The questions of one login.

    Args:
        name (str): the session's, for the user.
        directory (str): where the program may lie; a directory of the user's alone.
        path (str): of the socket; short.
        password (str): the inventory's, given once, and to nobody but the hosts named.
        hosts (callable): returns the names (set) under which ssh knows the host that the password is for.
    Attributes:
        environment (dict[str, str]): what ssh needs to ask here.
    """

    def __init__(self, name, directory, path, password="", hosts=set):
        self.name, self.path, self.hosts = name, path, hosts
        self.program = os.path.join(directory, "askpass")
        self.environment = {"SSH_ASKPASS": self.program, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": os.environ.get("DISPLAY") or "none:0"}
        self._password = password
        self._said = self._shown = ""
        #: The question that nobody was there to answer.
        self.unanswered = ""
        #: Whether anything was asked.
        self.asked = False

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
        """int: readable where a question waits."""
        return self._listener.fileno()

    def heard(self, said):
        """Takes note of all that ssh said so far; it is shown with the next question."""
        self._said = said

    def answer(self):
        """Answers one question; SessionError where the user breaks off."""
        connection = self._listener.accept()[0]
        with connection:
            connection.settimeout(5)
            try:
                prompt, kind = json.loads(connection.makefile("rb").readline().decode())
            except (OSError, ValueError):
                return
            if kind == "none":
                # Such as a key that wants to be touched: ssh waits for the key and not for an answer.
                self._show(prompt)
                return
            self.asked = True
            answer = self._answer(str(prompt))
            if answer is not None:
                try:
                    connection.sendall(b"+" + answer)
                except OSError:
                    # The login node had no patience; ssh will say so.
                    pass

    def _answer(self, prompt):
        match = _PASSWORD.match(prompt)
        if match and self._password and (match.group("host") or match.group("there")) in self.hosts():
            password, self._password = self._password, ""
            return password.encode()
        if self.unanswered:
            return None
        news = self._said[len(self._shown):] if self._said.startswith(self._shown) else self._said
        self._shown = self._said
        if clean(news).strip():
            self._show(news)
        try:
            return display.prompt_until(self._lines(prompt), private=not _OPENLY.search(prompt))
        except AnsiblePromptNoninteractive:
            self.unanswered = prompt
            return None
        except AnsiblePromptInterrupt:
            raise SessionError("the login on {0} was broken off".format(self.name), "its question was not answered", "connect again", cancelled=True)

    def _show(self, text):
        display.display(self._lines(text))

    def _lines(self, text):
        return "\n".join("{0}: {1}".format(clean(self.name, 100), line) for line in clean(text, 4000).strip("\n").splitlines() or [""])

    def nobody_there(self, host):
        """SessionError for a question that could not be asked."""
        return SessionError(
            "cannot log in to {0}".format(host), "{0}ssh asks {1!r}, and there is no terminal to ask you at".format(
                "no key was enough, " if _PASSWORD.match(self.unanswered) else "", one_line(self.unanswered, 200)),
            "run it in a terminal, or load the key (ssh-add) and look at ansible_user; or open a control master by hand first (ssh -M {0}), which is then used"
            .format(host))


class Patience:
    """Seconds until an answer must be there; those in which the user thinks do not count.

    Args:
        seconds (float): how many.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.renew()

    def renew(self):
        """Begins anew."""
        self._end = time.monotonic() + self.seconds

    @property
    def left(self):
        """float: seconds left, 0 where none are."""
        return max(0.0, self._end - time.monotonic())
