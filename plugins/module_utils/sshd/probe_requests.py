# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for forwards, and the forms in which users write them."""

import ipaddress
import os
import re
import typing as t

from ..common.errors import SessionError


class Request(t.NamedTuple):
    """A forward to request.

    Attributes:
        kind: ``remote`` or ``local``.
        address: where to listen or what to dial; empty for a socket.
        port: the port of that; 0 for a socket, and for a listener on any free port.
        socket: the path of a unix socket, instead of address and port; or None.
        expect: the accepted results, out of EXPECTATIONS; empty if any result is accepted.
    """

    kind: str
    address: str
    port: int
    socket: t.Optional[str]
    expect: t.Tuple[str, ...]


#: ``elsewhere``: sshd grants it, but does not listen where requested.
EXPECTATIONS = ("allowed", "refused", "failed", "elsewhere")
_FIELDS = {"remote": ("bind", "port", "socket", "expect"), "local": ("host", "port", "socket", "expect")}
_LONGEST_PATH = 107


def parse(kind: str, options: t.Iterable[t.Any]) -> t.List[Request]:
    """Requests as users write them.

    Args:
        kind: ``remote`` or ``local``.
        options: dicts, or texts: ``ADDRESS:PORT``, ``[IPV6]:PORT``, ``/path``.
    Raises:
        SessionError: a request is invalid.
    """
    return [_parse(kind, option) for option in options]


def _invalid(kind: str, option: t.Any, why: str) -> SessionError:
    fields = ", ".join(_FIELDS[kind])
    return SessionError("{0}: {1!r} is no forward".format(kind, option), why, "write ADDRESS:PORT, [IPV6]:PORT, /path, or a dict of {0}".format(fields))


def _parse(kind: str, option: t.Any) -> Request:
    if isinstance(option, dict):
        given = option
    else:
        given = _parse_text(kind, str(option))
        if given is None:
            raise _invalid(kind, option, "its form is unknown")
    unknown = sorted(str(name) for name in set(given) - set(_FIELDS[kind]))
    if unknown:
        raise _invalid(kind, option, "{0} is not one of its fields".format(unknown[0]))
    expect = _expectations(kind, option, given.get("expect"))
    where = _FIELDS[kind][0]
    path = given.get("socket")
    if path is not None:
        if given.get(where) is not None or given.get("port") is not None:
            raise _invalid(kind, option, "a socket has neither {0} nor port".format(where))
        path = str(path)
        if not path.startswith("/") or re.search("[\0-\x1f\x7f]", path) or len(os.fsencode(path)) > _LONGEST_PATH:
            raise _invalid(kind, option, "a socket is an absolute path of at most {0} bytes without control characters".format(_LONGEST_PATH))
        return Request(kind, "", 0, path, expect)
    return Request(kind, _address(kind, option, given), _port(kind, option, given), None, expect)


def _parse_text(kind: str, text: str) -> t.Optional[t.Dict[str, t.Any]]:
    if text.startswith("/"):
        return {"socket": text}
    found = re.match(r"^(?:\[([^\[\]]*)\]|([^:\[\]]*)):([0-9]{1,5})\Z", text)
    if not found:
        return None
    return {_FIELDS[kind][0]: found.group(1) or found.group(2) or "", "port": found.group(3)}


def _address(kind: str, option: t.Any, given: t.Dict[str, t.Any]) -> str:
    if kind == "local":
        address = str(given.get("host") or "")
        if not address:
            raise _invalid(kind, option, "it names no host")
    else:
        address = given.get("bind")
        address = "127.0.0.1" if address is None else str(address) or "*"
    address = address.strip("[]")
    if not re.match(r"^[\w.:%*-]+\Z", address):
        raise _invalid(kind, option, "{0!r} is no address".format(address))
    return str(ip(address) or address)


def _port(kind: str, option: t.Any, given: t.Dict[str, t.Any]) -> int:
    lowest = 0 if kind == "remote" else 1
    text = str(given.get("port", "0" if kind == "remote" else ""))
    if not re.match(r"^[0-9]{1,5}\Z", text) or not lowest <= int(text) <= 65535:
        raise _invalid(kind, option, "its port is no number from {0} to 65535".format(lowest))
    return int(text)


def _expectations(kind: str, option: t.Any, value: t.Any) -> t.Tuple[str, ...]:
    values = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)) or [one for one in values if one not in EXPECTATIONS]:
        raise _invalid(kind, option, "expect is one or more of " + ", ".join(EXPECTATIONS))
    return tuple(values)


def ip(address: str) -> t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def endpoint(address: str, port: int) -> str:
    """Address and port as text, IPv6 in brackets."""
    return "{0}:{1}".format("[{0}]".format(address) if ":" in address else address, port)


def written(request: Request) -> str:
    """A request in its short form."""
    return request.socket or endpoint(request.address, request.port)
