# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client host, as routes use it: this machine, or another host with a connection of its own.

Forwards end on this machine, where ssh runs. On the way to another host they pass through a unix socket in a private directory
of the user, so that no port of this machine is open to its other users.
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

# The range from which Linux allocates ports.
_ANY_PORT = (32768, 60999)


class LocalClientHost:
    """ParaView runs on this machine."""

    name = ""
    #: Seconds between two checks of a listener.
    pause = 0.05

    @property
    def uid(self) -> int:
        """The user id of our listeners."""
        return os.getuid()

    def owner(self, port: int) -> t.Optional[int]:
        """The user id of the listener on a port over IPv4; None for no listener, -1 if it is unknown."""
        return listeners.local_owner(port)

    def free_port(self) -> int:
        """A port without a listener."""
        return listeners.free_port()

    def target(self, port: int) -> str:
        """The target of a remote forward that ends at a port of ParaView's."""
        return "127.0.0.1:{0}".format(port)

    def entrance(self, port: int) -> str:
        """The endpoint on which a local forward must listen, so that ParaView can connect to a port."""
        return "127.0.0.1:{0}".format(port)

    def forward(self, port: int) -> None:
        """Forwards that port to the entrance; on this machine they are the same."""

    def keep(self, path: str, _session: str, text: str) -> str:
        """Writes a file for the client that will be started, readable by its owner only; returns its path."""
        write_private(path, text)
        return path

    def start(self, words: t.List[str], environment: t.Dict[str, str], log: str, _session: str) -> t.Dict[str, t.Any]:
        """Starts a client on this machine, and returns its field of the record; its output goes to a log (its path)."""
        return {"client": local.start(words, environment, log)}

    def lives(self, record: t.Any) -> bool:
        """Whether the client that was started still runs; True if none was started."""
        return not record.client or processes.alive(record.client)

    def end(self, record: t.Any) -> None:
        """Ends the client that was started, if any."""
        if record.client:
            processes.end(record.client)

    def last_words(self, log: str, _session: str) -> str:
        """The end of its output."""
        return local.last_words(log)


class StubEndpoint(LocalClientHost):
    """The route ends at a lifeline's stub, by a socket that no other user of this machine can open.

    If a route has no tunnel, nodes connect to this machine directly. The endpoint is then a port instead of a socket.

    Args:
        prefix: the beginning of the paths of sockets. A number follows, which is used like a port.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix + socket_names.STUB

    def _path(self, port: int) -> str:
        return self.prefix + str(port)

    def owner(self, port: int) -> t.Optional[int]:
        """The user id of the socket's owner or, if there is no such socket, of the listener on a port."""
        try:
            status = os.lstat(self._path(port))
        except FileNotFoundError:
            return super().owner(port)
        return status.st_uid if stat.S_ISSOCK(status.st_mode) else None

    def target(self, port: int) -> str:
        """The socket on which the stub accepts the connection of its agent."""
        return self._path(port)

    def entrance(self, port: int) -> str:
        """The socket on which a local forward must listen, for the stub to connect to. Sockets of an earlier forward are removed."""
        directory, prefix = os.path.split(self.prefix)
        for name in os.listdir(directory):
            if name.startswith(prefix):
                os.unlink(os.path.join(directory, name))
        return self._path(port)


class RemoteClientHost:
    """ParaView runs on another host.

    Args:
        name: the host, for messages.
        uid: our user id there.
        master: the connection to it.
        script: ``script(text, seconds) -> (code, out, err)`` there.
        prefix: the beginning of the paths of sockets. A port there follows.
    """

    pause = 0.5

    def __init__(self, name: str, uid: int, master: Master, script: t.Callable[[str, int], t.Tuple[int, str, str]], prefix: str) -> None:
        self.name, self.uid, self.master, self.script, self.prefix = name, uid, master, script, prefix

    def _listeners(self) -> t.List[listeners.Listener]:
        return listeners.parse(self.script(listeners.SCRIPT, 15)[1])

    def owner(self, port: int) -> t.Optional[int]:
        """The user id of the listener on a port there over IPv4; None for no listener."""
        hits = listeners.covering(self._listeners(), "127.0.0.1", port)
        return hits[0].uid if hits else None

    def free_port(self) -> int:
        """A port there without a listener."""
        taken = {listener.port for listener in self._listeners()}
        return random.choice([port for port in range(*_ANY_PORT) if port not in taken])

    def target(self, port: int) -> str:
        """A socket on this machine that is forwarded to a port there; SessionError if sshd there forbids the forward."""
        path = self.prefix + socket_names.TO_CLIENT + str(port)
        if not os.path.exists(path):
            self._forward("-L", "{0}:127.0.0.1:{1}".format(path, port))
        return path

    def entrance(self, port: int) -> str:
        """The socket on this machine to which forward() will forward."""
        path = self.prefix + socket_names.FROM_CLIENT + str(port)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return path

    def forward(self, port: int) -> None:
        """Forwards a port of the loopback there to the entrance; SessionError if sshd there forbids the forward."""
        forward = "-R", "127.0.0.1:{0}:{1}{2}{0}".format(port, self.prefix, socket_names.FROM_CLIENT)
        self._forward(*forward)
        if any(listener.port == port and listener.address != "127.0.0.1" for listener in self._listeners()):
            self.master.cancel(*forward)
            raise SessionError("port {0} of {1} would be open to the network".format(port, self.name), "its sshd opens every forward on all addresses",
                               "set GatewayPorts to no or clientspecified in its sshd_config, or run the playbook on {0}".format(self.name))

    def _forward(self, option: str, specification: str) -> None:
        try:
            self.master.forward(option, specification)
        except ForwardRefused as refused:
            raise SessionError("cannot set up a tunnel to {0}".format(self.name), str(refused),
                               "set AllowTcpForwarding yes in its sshd_config, choose another paraview_client_port, or run the playbook on {0}".format(
                                   self.name))

    def keep(self, path: str, session: str, text: str) -> str:
        """Writes a file there, with the extension of a path here; returns its path."""
        code, out, err = self.script(remote.file_script(session + os.path.splitext(path)[1], text), 15)
        if code != 0 or not out.startswith("/"):
            raise SessionError("cannot write a file for ParaView on {0}".format(self.name), one_line(err or out), "make ~/.local/state writable for you there")
        return out.strip()

    def start(self, words: t.List[str], environment: t.Dict[str, str], _log: str, session: str) -> t.Dict[str, t.Any]:
        """Starts a client there for a session (its file name), and returns its field of the record."""
        code, out, err = self.script(remote.start_script(session, words, environment), 20)
        process = remote.read_identity(out)
        if code != 0 or process is None:
            raise SessionError("cannot start the client {0!r} on {1}".format(words[0], self.name), one_line(err or out), "check paraview_start_client")
        return {"remote_client": process}

    def lives(self, record: t.Any) -> bool:
        """Whether the client that was started there still runs; True if none was started."""
        process = record.remote_client
        return not process or bool(self.script(remote.alive_script(process), 15)[1])

    def end(self, record: t.Any) -> None:
        """Ends the client that was started there, if any."""
        if record.remote_client:
            self.script(remote.end_script(record.remote_client), 15)

    def last_words(self, _log: str, session: str) -> str:
        """The end of its output."""
        return self.script(remote.words_script(session), 15)[1]
