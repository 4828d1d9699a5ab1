# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ParaView's interface: command lines of pvserver and of the client, and the lines that pvserver prints.

Sources: Remoting/Core/vtkTCPNetworkAccessManager.cxx, vtkRemotingCoreConfiguration.cxx, and the observed behaviour of 5.11.
"""

import re
import typing as t

from ..common.errors import SessionError
from . import wrappers

#: The lines of pvserver's output that the job forwards, as one extended regular expression for grep.
STATUS_LINES = (r"^(Waiting for client|Connecting to client|Connection URL: |Accepting connection\(s\): |Client connected|Exiting)")

_ACCEPTING = re.compile(r"^Accepting connection\(s\): (?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?):(?P<port>\d{1,5})$")
_HIGHEST_ID = 2 ** 31 - 1


def new_connect_id() -> int:
    """A new random connect-id; ParaView accepts 31 bits, and 0 means none."""
    from random import SystemRandom

    return SystemRandom().randint(1, _HIGHEST_ID)


def parse_connect_id(value: t.Union[str, int]) -> int:
    """Parses a connect-id that the user gave; ValueError if ParaView would not accept it."""
    text = str(value).strip()
    if not re.match(r"^[0-9]{1,10}\Z", text) or int(text) > _HIGHEST_ID:
        raise ValueError("{0!r} is no connect-id: it is a whole number from 0 (none) to {1}".format(value, _HIGHEST_ID))
    return int(text)


def with_id(arguments: t.List[str], connect_id: int) -> t.List[str]:
    """pvserver's arguments, followed by a connect-id (0 for none)."""
    return arguments + ["--connect-id={0:d}".format(connect_id)] if connect_id else arguments


def forward_arguments(port: t.Union[int, str], connect_id: int) -> t.List[str]:
    """pvserver's arguments if it waits for the client.

    Args:
        port: 0 lets the kernel choose; ``LOW-HIGH`` lets the job choose a free one on the node.
        connect_id: 0 for none.
    """
    return with_id(["--server-port={0}".format(port)], connect_id)


def reverse_arguments(host: str, port: int, connect_id: int) -> t.List[str]:
    """pvserver's arguments if it connects to the client at host and port."""
    return with_id(["--reverse-connection", "--client-host={0}".format(host), "--server-port={0:d}".format(port)], connect_id)


def is_nameless(host: str) -> bool:
    """Whether the host in pvserver's output is an address that every host has: a loopback address, or 0.0.0.0."""
    return host == "0.0.0.0" or re.match(r"^127(?:\.\d{1,3}){3}\Z", host) is not None


def where_known(argument: str) -> str:
    """An argument for the go file that the job gives to pvserver only if its version supports the option."""
    return "?" + argument


def url(reverse: bool, port: int, host: str = "127.0.0.1") -> str:
    """The URL that the client opens; a URL cannot contain a connect-id."""
    return "{0}://{1}:{2:d}".format("csrc" if reverse else "cs", host, port)


def client_command(path: str, name: str, program: str = "paraview") -> t.List[str]:
    """The command for a ParaView that opens an entry of a server configuration file when it starts. SessionError if ParaView would not accept the path."""
    return [program, "--servers-file={0}".format(_without_comma(path)), "--server={0}".format(name)]


def script_command(path: str, program: str = "paraview") -> t.List[str]:
    """The command for a ParaView that runs a Python script when it starts. SessionError if ParaView would not accept the path."""
    return [program, "--script={0}".format(_without_comma(path))]


def _without_comma(path: str) -> str:
    """Returns the path; SessionError if it contains a comma, at which ParaView would split it."""
    if "," in path:
        raise SessionError("ParaView cannot be started with the file {0}".format(path), "ParaView splits an argument at commas",
                           "set paraview_state_dir to a directory without a comma, or leave out paraview_start_client")
    return path


def client_environment(url_: str, port: int, connect_id: int) -> t.Dict[str, str]:
    """Environment variables for a client command of the user's own."""
    return {"PV_CONNECTION_URI": url_, "PV_SERVER_PORT": str(port), "PV_CONNECT_ID": str(connect_id)}


class Status:
    """The state that pvserver's lines have reported so far.

    Attributes:
        accepting: host and port where it waits for the client.
        connecting: it connects to the client.
        connected: a client connected.
    """

    def __init__(self) -> None:
        self.accepting: t.Optional[t.Tuple[str, int]] = None
        self.connecting = False
        self.connected = False
        self._waiting: t.Set[t.Tuple[str, int]] = set()
        self._connecting = 0

    @classmethod
    def of(cls, lines: t.Iterable[str]) -> "Status":
        """What some lines of pvserver's output say."""
        status = cls()
        for line in lines:
            status.read(line)
        return status

    @property
    def servers(self) -> int:
        """How many pvservers wait for a client or connect to one; a pvserver may print its address again."""
        return len(self._waiting) + self._connecting

    def read(self, line: str) -> None:
        """Reads one line of pvserver's output; a line that is no status line changes nothing."""
        line = line.strip()
        match = _ACCEPTING.match(line)
        if match and 0 < int(match.group("port")) < 65536:
            self.accepting = (match.group("host"), int(match.group("port")))
            self._waiting.add(self.accepting)
        elif line.startswith("Connecting to client"):
            self.connecting = True
            self._connecting += 1
        elif line.startswith("Client connected"):
            self.connected = True


def pvserver_program(pvserver: t.List[str]) -> str:
    """The word of a pvserver command that is pvserver; wrappers may precede it. If no word is, it is the first one."""
    return pvserver[wrappers.pvserver_index(pvserver) or 0]
