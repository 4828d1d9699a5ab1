# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client that connect starts on the client host."""

import os
import subprocess
import typing as t

from ..common import ownership, processes
from ..common.errors import SessionError


def start(words: t.List[str], environment: t.Dict[str, str], log_path: str, directory: t.Optional[str] = None) -> list:
    """Starts a client in a session of its own, so that it outlives the playbook.

    Args:
        words: command and arguments; no shell is involved.
        environment: added to the current one.
        log_path: the log for its output.
        directory: its working directory; by default the current one.
    Returns:
        Its identity (processes.identity).
    Raises:
        SessionError: the command cannot be started.
    """
    try:
        log = ownership.open_own(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError as error:
        raise SessionError("cannot write the client's log {0}".format(log_path), error.strerror, "disconnect, and connect again")
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=directory,
                                   env=dict(os.environ, **environment))
    except OSError as error:
        raise SessionError("cannot start the client {0!r}".format(words[0]), error.strerror,
                           "put it on the PATH, or give its full path in paraview_start_client")
    finally:
        os.close(log)
    return processes.identity(process.pid)


def last_words(log_path: str) -> str:
    """The end of a client's log."""
    try:
        with os.fdopen(ownership.open_own(log_path), "rb") as stream:
            stream.seek(max(0, os.path.getsize(log_path) - 4000))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
