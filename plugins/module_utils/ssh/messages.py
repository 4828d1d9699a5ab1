# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ssh's messages if a login fails, and their meaning."""

import re
import typing as t

from ..common.errors import SessionError
from ..common.text import clean, last_lines, one_line

_CAUSES = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "host_key",
     "its host key differs from the one in known_hosts",
     "ask the site whether the key was changed, then remove the old one: ssh-keygen -R {host}"),
    (r"Host key verification failed|No .* host key is known", "host_key",
     "its host key is not in known_hosts, and a new key is never accepted unchecked",
     "log in once by hand (ssh {host}), compare the fingerprint with the site's, and answer yes"),
    (r"Could not resolve hostname", "unreachable", "no such name", "check ansible_host of this inventory host"),
    (r"Permission denied|Too many authentication failures|No more authentication methods", "refused",
     "the login was refused",
     "try it by hand: ssh {host}; set ansible_user and ansible_ssh_private_key_file, or load the key with ssh-add"),
    (r"Connection refused", "unreachable", "nothing listens there", "check ansible_host and ansible_port, and that sshd runs there"),
    (r"timed out|No route to host|Network is unreachable|Operation timed out", "unreachable", "no answer",
     "check the network, the VPN and the firewall between here and {host}; if the site is slow, set ansible_timeout to more seconds"),
    (r"Connection (?:closed|reset)|kex_exchange_identification", "unreachable", "the other side closed the connection",
     "try it by hand: ssh -v {host}"),
)
_START_UP = "~/.bashrc, ~/.profile, ~/.zshenv, ~/.tcshrc or the like"
#: What may be wrong with a shell whose login succeeded: why, and what to do.
_SHELLS = {
    "ended": ("the login succeeded, but {host} then ended it without a shell",
              "if {host} offers this account no shell, ask the site, or use another login node; if your start-up files there (" + _START_UP + ") end "
              "the shell, let them do so for interactive shells only. To see it: ssh {host} /bin/sh </dev/null"),
    "silent": ("the login succeeded, but no shell answers there",
               "your start-up files on {host} (" + _START_UP + ") may read from standard input, start another shell or wait: let them do so for interactive "
               "shells only. To see it: ssh {host} /bin/sh </dev/null"),
    "no stderr": ("the login succeeded and a shell answers, but its standard error does not arrive",
                  "your start-up files on {host} (" + _START_UP + ") redirect standard error (exec 2>...): remove that, or do it for interactive shells only. "
                  "To see it: ssh {host} 'echo lost >&2'"),
}
_SILENT = r"Could not resolve hostname|Connection refused|timed out|No route to host|Network is unreachable|Operation timed out"


def explain(host: str, stderr: t.Union[str, bytes], kind_of_host: str = "login node") -> SessionError:
    """The error for a failed login.

    Args:
        host: the name that ssh connected to.
        stderr: ssh's output.
        kind_of_host: what the message calls the host.
    """
    output = clean(stderr)
    for pattern, kind, why, way_out in _CAUSES:
        match = re.search(r"^.*(?:" + pattern + r").*$", output, re.MULTILINE | re.IGNORECASE)
        if match:
            what = {"refused": "{0} refuses this login", "host_key": "cannot trust login node {0}"}.get(kind, "cannot reach login node {0}")
            what = what.replace("login node", kind_of_host).format(host)
            return SessionError(what, "{0} ({1})".format(why, one_line(match.group(0))), way_out.format(host=host))
    return SessionError("cannot log in to {0}".format(host), one_line(output) or "ssh ended without a message",
                        "try it by hand: ssh -v {0}".format(host))


def explain_shell(host: str, shell: str, output: t.Union[str, bytes]) -> SessionError:
    """The error for a login that succeeded, and whose shell is of no use.

    Args:
        host: the name that ssh connected to.
        shell: one of ``ended``, ``silent`` and ``no stderr``.
        output: what the far side printed, on standard output and standard error.
    """
    why, way_out = (text.format(host=host) for text in _SHELLS[shell])
    printed = last_lines(output)
    return SessionError("cannot log in to {0}".format(host), "{0} ({1})".format(why, "it printed: " + printed if printed else "it printed nothing"), way_out)


def unreachable(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login failed because the host could not be reached or closed the connection."""
    return _kind(stderr) == "unreachable"


def silent(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login failed because the host cannot be reached or does not answer."""
    return bool(re.search(_SILENT, clean(stderr), re.IGNORECASE))


def refuses(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login failed because of the credentials or the host key. If the user is prompted, it may succeed."""
    return _kind(stderr) in ("refused", "host_key")


def distrusts(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login failed because of the host key."""
    return _kind(stderr) == "host_key"


def _kind(stderr: t.Union[str, bytes]) -> str:
    return next((kind for pattern, kind, _why, _way_out in _CAUSES if re.search(pattern, clean(stderr), re.IGNORECASE)), "")
