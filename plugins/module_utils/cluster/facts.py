# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login node reports about itself, gathered in one round trip."""

import ipaddress
import re
import shlex
import typing as t

from ..common import listeners, programs
from ..common.addresses import address
from ..common.errors import SessionError
from ..common.text import number, one_line
from ..schedulers import answers, hostlists, node_names
from ..schedulers.tables.registry import Table
from . import site_file
from .login_node import Run
from .site_file import KEYS, PATH

_DETECT = """if command -v {program} >/dev/null 2>&1; then
detect {name} {detect}
first_node {name} {first_node}
fi
"""
# The name of a system account, as useradd takes it.
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
_SOURCE = r"""PATH=$PATH:/usr/sbin:/sbin; address=$(getent ahostsv4 {node} | sed 's/ .*//' | head -n 1); echo "address $address"
[ -z "$address" ] || ip -4 route get "$address" 2>/dev/null
"""


def probe(tables: t.Dict[str, Table]) -> str:
    """The shell script whose output read() parses.

    Args:
        tables: batch systems to search for, by name.
    """
    detectable = {name: table for name, table in tables.items() if "detect" in table}
    detect = "".join(_DETECT.format(
        name=name, program=shlex.quote(table["detect"]["argv"][0]), detect=_command(table["detect"]["argv"]),
        first_node=_command(answers.command(table, table.get("first_node", {}).get("argv", ["true"])))) for name, table in detectable.items())
    values = {"COMMANDS": " ".join(shlex.quote(table["detect"]["argv"][0]) for table in detectable.values()), "DETECT": detect,
              "SITE_FILE": PATH, "SITE_DIRECTORY": PATH.rpartition("/")[0]}
    return programs.filled("connect", "login_node.sh", {}, values)


def _command(argv: t.List[str]) -> str:
    return " ".join(shlex.quote(word) for word in argv)


def read(text: str, tables: t.Dict[str, Table]) -> t.Dict[str, t.Any]:
    """The facts of a login node.

    Args:
        text: what the script of probe() printed there.
        tables: the argument of probe().
    Returns:
        login_node, uid, home, client_side (the IP address on which sshd accepted the connection, or empty) and client_side_port (its port),
        client_address (IPv4 address of the other end), addresses (list), prelude (shell lines that put the batch system's commands on the PATH),
        schedulers (list of those found), first_node (dict by scheduler), missing (list of tools),
        site_text (content of site.yml if it is trusted, else empty), site_untrusted (bool).
    """
    parts: t.Dict[str, str] = {}
    # site.yml comes last, so that nothing in it can be read as another part.
    before_site, _mark, site_text = text.partition("\n==site\n")
    for chunk in re.split(r"(?m)^==", before_site)[1:]:
        name, _newline, body = chunk.partition("\n")
        parts.setdefault(name.strip(), body)
    first = {name: parts.get(name, "").strip() for name in ("host", "uid", "home", "connection")}
    found = [name for name, table in tables.items() if "detect" in table
             and re.search(table["detect"]["pattern"], parts.get("detect_" + name, ""), re.MULTILINE)]
    connection = first["connection"].split()
    uid = number(first["uid"])
    if uid is None:
        raise ValueError("id printed no number")
    listing = parts.get("guard", "")
    return {
        "login_node": one_line(first["host"], 255), "uid": uid, "home": first["home"],
        "client_side": address(connection[2]) if len(connection) == 4 else "",
        "client_side_port": (number(connection[3]) if len(connection) == 4 else None) or 22,
        "client_address": client_address_of(first["connection"]),
        "addresses": addresses(parts.get("addresses", "")),
        "prelude": ". /etc/profile >/dev/null 2>&1 </dev/null" if "profile" in parts else "",
        "schedulers": found,
        "first_node": {name: _first_node(tables[name], parts.get("first_node_" + name, "")) for name in found},
        "missing": parts.get("tools", "").split(),
        "site_text": site_text if trusted(listing) else "",
        "site_untrusted": bool(site_text.strip()) and not trusted(listing),
    }


def client_address_of(connection: str) -> str:
    """The IPv4 address from which the user logged in; empty if there is none.

    Args:
        connection: SSH_CONNECTION as sshd set it.
    """
    words = connection.split()
    return "".join(addresses(words[0])) if len(words) == 4 else ""


def _first_node(table: Table, text: str) -> str:
    match = re.search(table["first_node"]["pattern"], text, re.MULTILINE) if "first_node" in table else None
    return "".join(hostlists.expand(match.group("value") or "")[:1]) if match else ""


def addresses(text: str) -> t.List[str]:
    """The IPv4 addresses in the output of ``ip -4 -o addr`` or ``hostname -I``, without loopback."""
    found = []
    for word in re.findall(r"\binet ([0-9.]+)", text) or text.split():
        try:
            if ipaddress.IPv4Address(word).is_loopback or word in found:
                continue
        except ValueError:
            continue
        found.append(word)
    return found


def trusted(listing: str) -> bool:
    """Whether ``ls -ldn`` of site.yml and its directory shows that root owns both and that no other account can write to them."""
    lines = [line.split(None, 3) for line in listing.splitlines() if line.strip()]
    return len(lines) == 2 and all(
        len(fields) > 2 and len(fields[0]) >= 10 and fields[2] == "0" and fields[0][0] in "d-" and "w" not in (fields[0][5], fields[0][8]) for fields in lines)


def settings(data: t.Any) -> t.Dict[str, t.Any]:
    """The valid part of a site.yml: keys of KEYS with a value of the right type. Text is made safe for a terminal, and durations are seconds."""
    kept = {}
    for key, value in _known(data).items():
        if site_file.has_type(key, value) and _valid(key, value):
            if key == "remote_dir":
                # place.py checks this one, and refuses it rather than change it.
                kept[key] = value
            elif key == "limits":
                kept[key] = site_file.limits(value)[0]
            else:
                kept[key] = node_names.check(value) if key == "node_name" else _printable(value)
    return kept


def faults(data: t.Any) -> t.List[str]:
    """Why values of a site.yml are ignored. A key that is not known may be a later version's."""
    found = []
    for key, value in _known(data).items():
        if not site_file.has_type(key, value):
            found.append("{0}: {1} is of the wrong type, it has to be a {2}".format(key, one_line(repr(value), 100), KEYS[key].__name__))
        elif not _valid(key, value) or site_file.fault(key, value):
            found.append("{0}: {1}".format(key, site_file.fault(key, value) or one_line(repr(value), 100) + " is not valid"))
    return found


def _known(data: t.Any) -> t.Dict[str, t.Any]:
    return {key: value for key, value in data.items() if isinstance(key, str) and key in KEYS} if isinstance(data, dict) else {}


def _valid(key: str, value: t.Any) -> bool:
    if key != "limits" and site_file.fault(key, value):
        return False
    try:
        if key in ("login_ports", "server_ports"):
            listeners.parse_range(value)
        if key == "cluster_address":
            ipaddress.IPv4Address(value)
        if key == "relay":
            ipaddress.IPv4Address(value["address"])
            listeners.parse_range(value["ports"])
            return "user" not in value or bool(_ACCOUNT.match(value["user"]))
        if key == "node_name":
            node_names.check(value)
    except (KeyError, TypeError):
        return False
    except ValueError:
        return False
    return True


def _printable(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return one_line(value, 500)
    if isinstance(value, dict):
        relay = {"address": str(value["address"]), "ports": str(value["ports"]), "owner_required": value.get("owner_required") is not False}
        return dict(relay, user=value["user"]) if "user" in value else relay
    return [one_line(item, 200) for item in value if isinstance(item, str)] if isinstance(value, list) else value


def source_probe(node: str) -> str:
    """A script that prints the address of a node, and the login node's route to it."""
    return _SOURCE.format(node=shlex.quote(node))


def read_source(text: str) -> t.Tuple[str, str]:
    """A node's address, and the login node's source address for it; each is empty if it is not known."""
    address = re.search(r"^address (\d+\.\d+\.\d+\.\d+)$", text, re.MULTILINE)
    source = re.search(r"\bsrc (\d+\.\d+\.\d+\.\d+)", text)
    return (address.group(1) if address else "", source.group(1) if source else "")


def facts_of(name: str, script: Run, tables: t.Dict[str, Table], show: t.Callable[[str], t.Any], load: t.Callable[[str], t.Any]) -> t.Dict[str, t.Any]:
    """The facts that read() returns, with the values of site.yml under ``site``, and why others are ignored under ``site_faults``.

    Args:
        name: of the host, for messages.
        script: ``script(text, seconds) -> (code, out, err)`` on the login node.
        tables: batch systems to search for.
        show: shows the user a line.
        load: parses the text of site.yml; raises ValueError if it is not valid.
    Raises:
        SessionError: the host cannot serve as a login node.
    """
    _code, out, err = script(probe(tables), 90)
    try:
        facts = read(out, tables)
    except (KeyError, ValueError):
        raise SessionError("cannot gather facts of {0}".format(name), one_line(err or out) or "it did not answer",
                           "it needs a POSIX shell with hostname and id; try: ssh {0} /bin/sh -c id".format(name))
    if "sed" in facts["missing"] or "grep" in facts["missing"]:
        raise SessionError("{0} lacks {1}".format(name, " ".join(facts["missing"])), "they are not on its PATH", "ask the site")
    content = _site(facts, show, load)
    facts["site"], facts["site_faults"] = settings(content), faults(content)
    if facts["site"].get("message"):
        show(facts["site"]["message"])
    facts["cluster_address"] = facts["site"].get("cluster_address", "")
    return facts


def _site(facts: t.Dict[str, t.Any], show: t.Callable[[str], t.Any], load: t.Callable[[str], t.Any]) -> t.Any:
    """The content of site.yml."""
    if facts.pop("site_untrusted"):
        show("{0} is ignored: only root may own and write it and its directory".format(site_file.PATH))
    try:
        return load(facts.pop("site_text"))
    except ValueError as error:
        show("{0} is ignored: {1}".format(site_file.PATH, one_line(str(error))))
        return None
