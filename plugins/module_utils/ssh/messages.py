# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ssh prints where it fails, and what that means."""

import re
import typing as t

from ..common.errors import SessionError
from ..common.text import clean, one_line

_CAUSES = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "host_key",
     "its host key is not the one that is known here",
     "find out from the site whether the key was changed, then remove the old one: ssh-keygen -R {host}"),
    (r"Host key verification failed|No .* host key is known", "host_key",
     "its host key is not known here, and keys are never accepted blindly",
     "log in once by hand (ssh {host}), compare the fingerprint with the site's, and answer yes"),
    (r"Could not resolve hostname", "unreachable", "no such name", "check ansible_host of this inventory host"),
    (r"Permission denied|Too many authentication failures|No more authentication methods", "refused",
     "the login was refused",
     "try it by hand: ssh {host}; set ansible_user and ansible_ssh_private_key_file, or load the key with ssh-add"),
    (r"Connection refused", "unreachable", "nothing listens there", "check ansible_host and ansible_port, and that sshd runs there"),
    (r"timed out|No route to host|Network is unreachable|Operation timed out", "unreachable", "no answer",
     "check the network, the VPN and the firewall between here and {host}"),
    (r"Connection (?:closed|reset)|kex_exchange_identification", "unreachable", "the other side hung up",
     "try it by hand: ssh -v {host}"),
)
_SILENT = r"Could not resolve hostname|Connection refused|timed out|No route to host|Network is unreachable|Operation timed out"


def explain(host: str, stderr: t.Union[str, bytes], kind_of_host: str = "login node") -> SessionError:
    """The error of a login that did not come about.

    Args:
        host: the name that was called.
        stderr: what ssh said.
        kind_of_host: what it is to the user.
    """
    said = clean(stderr)
    for pattern, kind, why, way_out in _CAUSES:
        match = re.search(r"^.*(?:" + pattern + r").*$", said, re.MULTILINE | re.IGNORECASE)
        if match:
            what = {"refused": "{0} refuses this login", "host_key": "cannot trust login node {0}"}.get(kind, "cannot reach login node {0}")
            what = what.replace("login node", kind_of_host).format(host)
            return SessionError(what, "{0} ({1})".format(why, one_line(match.group(0))), way_out.format(host=host))
    return SessionError("cannot log in to {0}".format(host), one_line(said) or "ssh ended without a word",
                        "try it by hand: ssh -v {0}".format(host))


def unreachable(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login did not come about because nobody answered there."""
    return _kind(stderr) == "unreachable"


def silent(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login did not come about because there is no way there, or nobody who answers."""
    return bool(re.search(_SILENT, clean(stderr), re.IGNORECASE))


def refuses(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login did not come about because of who called, or what was answered there: it may do so for the user."""
    return _kind(stderr) in ("refused", "host_key")


def distrusts(stderr: t.Union[str, bytes]) -> bool:
    """Whether a login did not come about because of the host key."""
    return _kind(stderr) == "host_key"


def _kind(stderr: t.Union[str, bytes]) -> str:
    return next((kind for pattern, kind, _why, _way_out in _CAUSES if re.search(pattern, clean(stderr), re.IGNORECASE)), "")
