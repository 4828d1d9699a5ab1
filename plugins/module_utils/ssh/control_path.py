# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of control sockets."""

import getpass
import hashlib
import os
import tempfile

from ..common import ownership
from ..common.errors import SessionError

# A socket's path may have 107 bytes, and ssh appends a dot and 16 characters while it creates the socket.
_LONGEST_CONTROL_PATH = 90


def control_directory() -> str:
    """A private directory of this user with a short path on a local file system.

    Returns:
        Below XDG_RUNTIME_DIR if that outlives a logout, else in /tmp.
    Raises:
        SessionError: the path exists, and is no private directory of this user.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK) and len(runtime) < 40 and _outlives_logout(runtime):
        path = os.path.join(runtime, "paraview-connect")
    else:
        path = os.path.join("/tmp", "paraview-connect-{0:d}".format(os.getuid()))
    what, way_out = "cannot keep the connection's socket in {0}".format(path), "remove it, or set XDG_RUNTIME_DIR"
    ownership.make_private(path, what, way_out)
    why = ownership.fault_of_entry(path)
    if why:
        raise SessionError(what, why, way_out)
    return path


def _outlives_logout(runtime: str) -> bool:
    # logind removes /run/user/UID with the last login, unless the account lingers.
    return not runtime.startswith("/run/user/") or os.path.exists("/var/lib/systemd/linger/" + getpass.getuser())


def control_path(session_id: str) -> str:
    """The path of a session's control socket; SessionError if it is too long."""
    path = os.path.join(control_directory(), hashlib.sha256(session_id.encode()).hexdigest()[:12])
    if len(path) > _LONGEST_CONTROL_PATH:
        raise SessionError("cannot create the socket {0}".format(path), "its path is too long for a unix socket",
                           "set XDG_RUNTIME_DIR to a shorter directory, such as {0}".format(tempfile.gettempdir()))
    return path
