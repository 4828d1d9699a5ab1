# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where ParaView runs, as a route sees it: this machine, or another host behind a connection of its own.

Forwards end where ssh runs, which is here. On the way to another host they pass a unix socket in a directory of the user's
alone, so that no port of this machine is open to its other users.
"""

import contextlib
import os
import random
import stat
import typing as t

from ..common import listeners, processes
from ..common.errors import SessionError
from ..common.files import write_private
from ..common.text import one_line
from ..ssh.master import ForwardRefused, Master
from . import local, remote, socket_names

# Where Linux takes ports from for those who want any.
_ANY_PORT = (32768, 60999)


class Here:
    """ParaView runs on this machine."""

    name = ""
    #: Seconds between two looks at who listens.
    pause = 0.05

    @property
    def uid(self) -> int:
        """Whose listeners are ours."""
        return os.getuid()

    def owner(self, port: int) -> t.Optional[int]:
        """Who listens on a port over IPv4; -1 where that cannot be told."""
        return listeners.local_owner(port)

    def free_port(self) -> int:
        """A port on which nobody listens."""
        return listeners.free_port()

    def target(self, port: int) -> str:
        """Where a remote forward has to lead, to come to a port of ParaView's."""
        return "127.0.0.1:{0}".format(port)

    def entrance(self, port: int) -> str:
        """Where a local forward has to begin, which ParaView is to find on a port."""
        return "127.0.0.1:{0}".format(port)

    def forward(self, port: int) -> None:
        """Leads that port to the entrance; here it is the same."""

    def keep(self, path: str, _session: str, text: str) -> str:
        """The path of a file, written for the client that is to be started. Its owner alone may read it."""
        write_private(path, text)
        return path

    def start(self, words: t.List[str], environment: t.Dict[str, str], log: str, _session: str) -> t.Dict[str, t.Any]:
        """The record's field of a client that is started here; what it prints goes into a log (its path)."""
        return {"client": local.start(words, environment, log)}

    def lives(self, record: t.Any) -> bool:
        """Whether the client that was started still runs, if one was."""
        return not record.client or processes.alive(record.client)

    def end(self, record: t.Any) -> None:
        """Ends the client that was started, if one was."""
        if record.client:
            processes.end(record.client)

    def last_words(self, log: str, _session: str) -> str:
        """The end of what it printed."""
        return local.last_words(log)


class AtStub(Here):
    """A lifeline's stub is what a route ends at, by a socket that no other user of this machine can open.

    Where the network calls this machine without a tunnel, it is a port.

    Args:
        place: how paths of sockets begin. A number follows, which stands for a port.
    """

    def __init__(self, place: str) -> None:
        self.place = place + socket_names.STUB

    def _path(self, port: int) -> str:
        return self.place + str(port)

    def owner(self, port: int) -> t.Optional[int]:
        """Whose socket that is, or who listens on a port."""
        try:
            status = os.lstat(self._path(port))
        except FileNotFoundError:
            return super().owner(port)
        return status.st_uid if stat.S_ISSOCK(status.st_mode) else None

    def target(self, port: int) -> str:
        """Where the stub takes the line."""
        return self._path(port)

    def entrance(self, port: int) -> str:
        """Where a local forward has to begin, which the stub is told of. What an earlier one has left goes."""
        directory, name = os.path.split(self.place)
        for one in os.listdir(directory):
            if one.startswith(name):
                os.unlink(os.path.join(directory, one))
        return self._path(port)


class There:
    """ParaView runs on another host.

    Args:
        name: the host, for messages.
        uid: who we are there.
        master: the connection to it.
        script: ``script(text, seconds) -> (code, out, err)`` there.
        place: how paths of sockets begin. A port there follows.
    """

    pause = 0.5

    def __init__(self, name: str, uid: int, master: Master, script: t.Callable[[str, int], t.Tuple[int, str, str]], place: str) -> None:
        self.name, self.uid, self.master, self.script, self.place = name, uid, master, script, place

    def _listeners(self) -> t.List[listeners.Listener]:
        return listeners.parse(self.script(listeners.SCRIPT, 15)[1])

    def owner(self, port: int) -> t.Optional[int]:
        """Who listens on a port there over IPv4."""
        hits = listeners.covering(self._listeners(), "127.0.0.1", port)
        return hits[0].uid if hits else None

    def free_port(self) -> int:
        """A port there on which nobody listens."""
        taken = {one.port for one in self._listeners()}
        return random.choice([port for port in range(*_ANY_PORT) if port not in taken])

    def target(self, port: int) -> str:
        """A socket here that leads to a port there; SessionError where sshd there forbids it."""
        path = self.place + socket_names.TO_CLIENT + str(port)
        if not os.path.exists(path):
            self._forward("-L", "{0}:127.0.0.1:{1}".format(path, port))
        return path

    def entrance(self, port: int) -> str:
        """A socket here, to which forward() will forward."""
        path = self.place + socket_names.FROM_CLIENT + str(port)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return path

    def forward(self, port: int) -> None:
        """Leads a port of the loopback there to the entrance; SessionError where sshd there forbids it."""
        forward = "-R", "127.0.0.1:{0}:{1}{2}{0}".format(port, self.place, socket_names.FROM_CLIENT)
        self._forward(*forward)
        if any(one.port == port and one.address != "127.0.0.1" for one in self._listeners()):
            self.master.cancel(*forward)
            raise SessionError("port {0} of {1} would be open to the network".format(port, self.name), "its sshd puts every forward on all addresses",
                               "GatewayPorts no or clientspecified in its sshd_config, or run the playbook on {0}".format(self.name))

    def _forward(self, option: str, specification: str) -> None:
        try:
            self.master.forward(option, specification)
        except ForwardRefused as refused:
            raise SessionError("no tunnel leads to {0}".format(self.name), str(refused),
                               "AllowTcpForwarding yes in its sshd_config, another paraview_client_port, or run the playbook on {0}".format(self.name))

    def keep(self, path: str, session: str, text: str) -> str:
        """The path of a file there, with the ending of the path that it would have here."""
        code, out, err = self.script(remote.file_script(session + os.path.splitext(path)[1], text), 15)
        if code != 0 or not out.startswith("/"):
            raise SessionError("cannot write a file for ParaView on {0}".format(self.name), one_line(err or out), "make ~/.local/state there writable for you")
        return out.strip()

    def start(self, words: t.List[str], environment: t.Dict[str, str], _log: str, session: str) -> t.Dict[str, t.Any]:
        """The record's field of a client that is started there, for a session (its file name)."""
        code, out, err = self.script(remote.start_script(session, words, environment), 20)
        process = remote.read_identity(out)
        if code != 0 or process is None:
            raise SessionError("cannot start the client {0!r} on {1}".format(words[0], self.name), one_line(err or out), "look at paraview_start_client")
        return {"client_there": process}

    def lives(self, record: t.Any) -> bool:
        """Whether the client that was started there still runs, if one was."""
        process = record.client_there
        return not process or bool(self.script(remote.alive_script(process), 15)[1])

    def end(self, record: t.Any) -> None:
        """Ends the client that was started there, if one was."""
        if record.client_there:
            self.script(remote.end_script(record.client_there), 15)

    def last_words(self, _log: str, session: str) -> str:
        """The end of what it printed."""
        return self.script(remote.words_script(session), 15)[1]
