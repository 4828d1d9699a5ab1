# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets: who listens where, and ports that are free.

/proc/net/tcp has address, port, state and owner of every socket. It needs no tool and no rights, neither on the client host nor on a
login node. Source: proc(5), net/ipv4/tcp_ipv4.c (get_tcp4_sock).
"""

import errno
import random
import re
import socket
import struct
import typing as t

LISTEN = "0A"
#: A POSIX shell line that prints the IPv4 listeners of a Linux host, in the form that parse() reads.
SCRIPT = "grep -E '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 0A ' /proc/net/tcp || :"


class Listener(t.NamedTuple):
    """A listening socket and the uid of its owner. An IPv4 address has four numbers with dots."""

    address: str
    port: int
    uid: int


def parse(text: str) -> t.List[Listener]:
    """IPv4 listeners in the text of /proc/net/tcp.

    Args:
        text: lines of /proc/net/tcp; a heading, IPv6 and other states are ignored.
    """
    return [Listener(socket.inet_ntoa(struct.pack("<I", int(address, 16))), port, uid) for address, port, uid in _rows(text, 8)]


def parse6(text: str) -> t.List[Listener]:
    """IPv6 listeners in the text of /proc/net/tcp6, as parse() reads those of IPv4."""
    words = ((struct.pack("<4I", *(int(address[start:start + 8], 16) for start in (0, 8, 16, 24))), port, uid) for address, port, uid in _rows(text, 32))
    return [Listener(socket.inet_ntop(socket.AF_INET6, packed), port, uid) for packed, port, uid in words]


def _rows(text: str, digits: int) -> t.Iterator[t.Tuple[str, int, int]]:
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 7 and fields[3] == LISTEN and re.match(r"^[0-9A-F]+:[0-9A-F]{4}\Z", fields[1]) and re.match(r"^[0-9]{1,10}\Z", fields[7]):
            address, port = fields[1].split(":")
            if len(address) != digits:
                continue
            yield address, int(port, 16), int(fields[7])


def covering(listeners: t.List[Listener], address: str, port: int) -> t.List[Listener]:
    """The listeners that a connection to address and port may reach, the most specific first."""
    hits = [listener for listener in listeners if listener.port == port and listener.address in (address, "0.0.0.0")]
    return sorted(hits, key=lambda listener: listener.address == "0.0.0.0")


def fault(listeners: t.List[Listener], address: str, port: int, uid: int, host: str) -> str:
    """Why a connection to address and port would not reach a listener of an account; empty if it would.

    Args:
        listeners: those of the host.
        address: the target, IPv4.
        port: its port.
        uid: the account.
        host: the host's name, for the message.
    """
    hits = covering(listeners, address, port)
    if not hits:
        elsewhere = sorted({listener.address for listener in listeners if listener.port == port})
        return "sshd on {0} put the forward on {1} instead of {2} (GatewayPorts no)".format(
            host, " and ".join(elsewhere) or "nothing that listens over IPv4", address)
    if hits[0].uid != uid:
        return "port {0} of {1} belongs to another account (uid {2})".format(port, host, hits[0].uid)
    return ""


def local() -> t.Optional[t.List[Listener]]:
    """The listeners of this host, or None if it has no /proc/net/tcp (macOS)."""
    try:
        with open("/proc/net/tcp", encoding="ascii") as stream:
            return parse(stream.read())
    except OSError:
        return None


def local_owner(port: int) -> t.Optional[int]:
    """Who listens on a port of this host over IPv4.

    Returns:
        The uid; None if nobody listens; -1 if somebody does and this system does not show who.
    """
    listeners = local()
    if listeners is not None:
        hits = covering(listeners, "127.0.0.1", port)
        return hits[0].uid if hits else None
    return -1 if _in_use(port) else None


def _in_use(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def free_port() -> int:
    """A TCP port of this host on which nothing listens at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


def parse_range(text: t.Union[str, int]) -> t.Tuple[int, int]:
    """Ports of ``LOW-HIGH`` or of a single number.

    Returns:
        Lowest and highest.
    Raises:
        ValueError: it is not a range of ports from 1 to 65535.
    """
    match = re.match(r"^\s*(\d{1,5})\s*(?:-\s*(\d{1,5}))?\s*$", str(text))
    if match:
        low, high = int(match.group(1)), int(match.group(2) or match.group(1))
        if 1 <= low <= high <= 65535:
            return low, high
    raise ValueError("{0!r} is not a range of ports: write it as 11111-11120".format(text))


def shuffled(ports: t.Tuple[int, int], most: int = 20) -> t.List[int]:
    """Ports of a range in random order, so that two users seldom try the same port first."""
    low, high = ports
    return random.sample(range(low, high + 1), min(most, high - low + 1))
