# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client that connect starts on another host: scripts for a shell there.

It continues to run if the connection ends, since it may hold the user's unsaved work. No process list shows its environment.
"""

import re
import shlex
import typing as t

from ..common import programs

_PARTS = ("where", "started", "keep", "file", "start", "alive", "end", "forget", "words")


def load() -> None:
    """Reads the template of these scripts into memory, since a process that keeps running may outlive this version of the collection."""
    programs.text("connect", "client_host.sh")


def _script(*parts: str, **blanks: str) -> str:
    return programs.filled("connect", "client_host.sh", {one: one in parts for one in _PARTS}, blanks)


def keep_script(name: str, connect_id: int) -> str:
    """A script that writes the connect-id into a file that only its owner may read, and prints the directory.

    Args:
        name: the session's, as a file name.
        connect_id: 0 for none.
    """
    return _script("where", "keep", NAME=shlex.quote(name), CONNECT_ID=str(int(connect_id)))


def file_script(name: str, text: str) -> str:
    """A script that writes a file that only its owner may read, and prints its path.

    Args:
        name: the session's, as a file name, with the extension ``.pvsc`` or ``.py``.
        text: its content.
    """
    return _script("where", "file", NAME=shlex.quote(name), TEXT=shlex.quote(text))


def start_script(name: str, words: t.List[str], environment: t.Dict[str, str]) -> str:
    """A script that starts a client, and prints what read_identity() parses."""
    exports = "\n".join("export {0}={1}".format(key, shlex.quote(str(value))) for key, value in environment.items())
    return _script("where", "started", "start", EXPORTS=exports, COMMAND=" ".join(shlex.quote(word) for word in words), NAME=shlex.quote(name))


def read_identity(text: str) -> t.Optional[list]:
    """Process id and start time of a client that was started; None if none was."""
    match = re.match(r"^([0-9]{1,10}) (\S+)\s*\Z", text)
    return [int(match.group(1)), match.group(2)] if match else None


def alive_script(process: t.Sequence[t.Any]) -> str:
    """A script that prints something if the client of a read_identity() still runs."""
    return _script("started", "alive", PID=str(int(process[0])), START=shlex.quote(process[1]))


def end_script(process: t.Sequence[t.Any]) -> str:
    """A script that ends that client."""
    return _script("started", "end", PID=str(int(process[0])), START=shlex.quote(process[1]))


def forget_script(name: str) -> str:
    """A script that removes a session's files there."""
    return _script("where", "forget", NAME=shlex.quote(name))


def words_script(name: str) -> str:
    """A script that prints the end of the client's log."""
    return _script("where", "words", NAME=shlex.quote(name))
