# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forwarding policy of sshd: its values, its criteria, and both in the syntax of sshd_config."""

import collections
import ipaddress
import re
import typing as t

from ..common.errors import SessionError
from .config import Line, arguments, quote

_YES_NO = {"yes": "yes", "no": "no", "true": "yes", "false": "no"}
_SIDES = dict(_YES_NO, local="local", remote="remote", all="yes")

#: Option of the module, keyword of sshd, and sshd's spelling of each value.
KEYWORDS = collections.OrderedDict((
    ("allow_tcp_forwarding", ("AllowTcpForwarding", _SIDES)),
    ("gateway_ports", ("GatewayPorts", dict(_YES_NO, clientspecified="clientspecified"))),
    ("permit_listen", ("PermitListen", None)),
    ("permit_open", ("PermitOpen", None)),
    ("allow_stream_local_forwarding", ("AllowStreamLocalForwarding", _SIDES)),
    ("stream_local_bind_unlink", ("StreamLocalBindUnlink", _YES_NO)),
    ("stream_local_bind_mask", ("StreamLocalBindMask", None)),
    ("disable_forwarding", ("DisableForwarding", _YES_NO)),
))
#: The option of a keyword in lower case.
OPTIONS = {keyword.lower(): option for option, (keyword, _choices) in KEYWORDS.items()}
CRITERIA = ("User", "Group", "Host", "LocalAddress", "LocalPort", "Address", "RDomain")


def spelled(line: Line) -> t.Tuple[str, str]:
    """The keyword and the value of a line whose keyword is in OPTIONS, in sshd's spelling; a value that is not valid stays as it is."""
    keyword, choices = KEYWORDS[OPTIONS[line.keyword]]
    value = " ".join(arguments(line.rest))
    return keyword, (choices or {}).get(value.lower(), value)


class Policy(t.NamedTuple):
    """A policy: its name, its criteria (empty: everybody) and its values by keyword, as in sshd_config."""

    name: str
    match: t.Dict[str, t.List[str]]
    requested: t.Dict[str, str]


def policy(options: t.Dict[str, t.Any]) -> t.Dict[str, str]:
    """The policy that a module's options request.

    Args:
        options: values by option name; None leaves sshd's value as it is.
    Returns:
        Values by keyword, as in sshd_config.
    Raises:
        SessionError: a value is invalid; the error names the option and the value.
    """
    requested = collections.OrderedDict()
    for option, (keyword, choices) in KEYWORDS.items():
        value = options.get(option)
        if value is not None:
            requested[keyword] = _value(option, value, choices)
    return requested


def _value(option: str, value: t.Any, choices: t.Optional[t.Dict[str, str]]) -> str:
    if choices is not None:
        text = str(value).strip().lower()
        if text not in choices:
            raise SessionError("{0}: {1!r} is not a valid value".format(option, value), "", "use one of " + ", ".join(sorted(set(choices.values()))))
        return choices[text]
    if option == "stream_local_bind_mask":
        if not re.match(r"^0?[0-7]{3}\Z", str(value).strip()):
            raise SessionError("stream_local_bind_mask: {0!r} is no mask".format(value), "a mask has three octal digits", 'write it with quotes, as in "0177"')
        return "0" + str(value).strip()[-3:]
    return " ".join(_targets(option, value))


def _targets(option: str, value: t.Any) -> t.List[str]:
    items = [str(item).strip() for item in (value if isinstance(value, (list, tuple)) else str(value).replace(",", " ").split())]
    if not items:
        raise SessionError("{0} is empty".format(option), "", "list what is allowed, or use [none], or leave the option out")
    if len(items) > 1 and {"any", "none"} & set(items):
        raise SessionError("{0}: any and none allow no other entry".format(option), "got " + " ".join(items), "remove that word or the other entries")
    for item in items:
        pattern = r"^(any|none|\*|((\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.*_-]+):)?(\d{1,5}|\*))\Z"
        port = item.rpartition(":")[2]
        bare = option == "permit_open" and item not in ("any", "none") and ":" not in item
        if bare or not re.match(pattern, item) or (port.isdigit() and not 0 < int(port) < 65536):
            example = "127.0.0.1:8080, [::1]:8080, localhost:*" + ("" if option == "permit_open" else ", 8080")
            raise SessionError("{0}: {1!r} is no address and port".format(option, item), "", "write it as in {0}".format(example))
    return items


def criteria(match: t.Optional[t.Dict[str, t.Any]]) -> t.Dict[str, t.List[str]]:
    """The criteria of a Match.

    Args:
        match: value or list of values by criterion, in any case of letters.
    Returns:
        The values by criterion, in sshd's spelling and a fixed order.
    Raises:
        SessionError: a criterion is invalid; the error names it and its value.
    """
    spelled = {name.lower(): name for name in CRITERIA}
    requested = {}
    for name, value in (match or {}).items():
        if str(name).lower() not in spelled:
            raise SessionError("match: {0!r} is not a criterion".format(name), "", "use one of " + ", ".join(CRITERIA))
        values = [str(one).strip() for one in (value if isinstance(value, (list, tuple)) else str(value).split(","))]
        if not values or not all(values):
            raise SessionError("match: {0} is empty".format(name), "a criterion without a value matches nobody", "give it a value, or leave it out")
        _check_criterion(spelled[str(name).lower()], values)
        requested[spelled[str(name).lower()]] = values
    return collections.OrderedDict((name, requested[name]) for name in CRITERIA if name in requested)


def _check_criterion(name: str, values: t.List[str]) -> None:
    for value in values:
        if re.search(r"[\s,\"'\\#\x00-\x1f\x7f]", value):
            raise SessionError("match: {0} {1!r} cannot be written to sshd_config".format(name, value),
                               "it contains a blank, a comma, a quote or a backslash", "correct it")
        plain = value.lstrip("!")
        if name in ("Address", "LocalAddress") and "/" in plain:
            try:
                ipaddress.ip_network(plain)
            except ValueError as error:
                raise SessionError("match: {0} {1!r} is no network".format(name, value), str(error), "write it as in 198.18.0.0/15")
        if name == "LocalPort" and not (value.isdigit() and 0 < int(value) < 65536 and len(values) == 1):
            raise SessionError("match: LocalPort {0!r} is no port".format(",".join(values)), "sshd accepts a single number", "use a number from 1 to 65535")
    if all(value.startswith("!") for value in values):
        raise SessionError("match: {0} {1} matches nobody".format(name, ",".join(values)), "sshd requires a pattern that is not negated", 'add "*"')


def check_name(name: str) -> None:
    """Raises SessionError if a policy's name cannot be part of a file name."""
    if not re.match(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", name):
        raise SessionError("name: {0!r} cannot name a policy".format(name), "it becomes part of a file name", "use letters, digits, - and _")


def body(requested: t.Dict[str, str], match: t.Dict[str, t.List[str]]) -> t.List[str]:
    """The lines of a policy."""
    inner = ["{0} {1}".format(keyword, value) for keyword, value in requested.items()]
    if not match:
        return inner
    return [head(match)] + ["    " + line for line in inner]


def head(match: t.Dict[str, t.List[str]]) -> str:
    """The Match line of criteria; a criterion without values, such as all, has only its name."""
    return "Match " + " ".join(name + (" " + quote(",".join(values)) if values else "") for name, values in match.items())


def allows_forwarding(requested: t.Dict[str, str]) -> bool:
    """Whether a policy allows some forwarding, which DisableForwarding would override."""
    return any(requested.get(keyword, "no") != "no" for keyword in ("AllowTcpForwarding", "AllowStreamLocalForwarding")) or any(
        keyword in requested and requested[keyword] not in ("none", "no") for keyword in ("PermitListen", "PermitOpen", "GatewayPorts"))


def same(keyword: str, one: t.Optional[str], other: str) -> bool:
    """Whether two values mean the same to sshd."""
    if one is None:
        return False
    if keyword in ("PermitListen", "PermitOpen"):
        return _normal(keyword, one) == _normal(keyword, other)
    return one.lower() == other.lower()


def _normal(keyword: str, value: str) -> t.List[t.Tuple[str, str]]:
    found = []
    for word in value.lower().split():
        host, _colon, port = word.rpartition(":")
        if word not in ("any", "none") and keyword == "PermitListen" and not host:
            host = "*"
        found.append((host.strip("[]"), port))
    return sorted(found)
