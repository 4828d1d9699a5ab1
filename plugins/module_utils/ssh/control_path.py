# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where control sockets lie."""

import getpass
import hashlib
import os
import stat
import tempfile

from ..common.errors import SessionError

# A path of a socket may have 107 bytes, and ssh appends a dot and 16 characters while it makes one.
_LONGEST_CONTROL_PATH = 90


def control_directory() -> str:
    """A directory of this user's alone that is short and on no network file system.

    Returns:
        Below XDG_RUNTIME_DIR where that outlives a logout, else in /tmp.
    Raises:
        SessionError: somebody else made it first, or it would be too long a name.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK) and len(runtime) < 40 and _outlives_logout(runtime):
        path = os.path.join(runtime, "paraview-connect")
    else:
        path = os.path.join("/tmp", "paraview-connect-{0:d}".format(os.getuid()))
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    about = os.lstat(path)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise SessionError("cannot keep the connection's socket in {0}".format(path),
                           "it is not a directory of yours alone", "remove it, or set XDG_RUNTIME_DIR")
    return path


def _outlives_logout(runtime: str) -> bool:
    # logind removes /run/user/UID with the last login, unless the account lingers.
    return not runtime.startswith("/run/user/") or os.path.exists("/var/lib/systemd/linger/" + getpass.getuser())


def control_path(session_id: str) -> str:
    """Where the control socket of a session lies."""
    path = os.path.join(control_directory(), hashlib.sha256(session_id.encode()).hexdigest()[:12])
    if len(path) > _LONGEST_CONTROL_PATH:
        raise SessionError("cannot make the socket {0}".format(path), "its name is too long for a unix socket",
                           "set XDG_RUNTIME_DIR to a shorter directory; {0} would do".format(tempfile.gettempdir()))
    return path
