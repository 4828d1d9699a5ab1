# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml, in which a login node publishes the site's values. It has several writers, each with keys of its own."""

import json
import re
import typing as t

from ..common import durations
from ..common.errors import SessionError
from ..common.json_types import is_a
from ..common.text import one_line
from ..config import remote_directory

PATH = "/etc/paraview-connect/site.yml"

#: The keys of site.yml, and the types of their values. None of them decides what runs on the client host.
KEYS = {
    "version": int, "name": str, "message": str, "cluster_address": str, "gateway_ports": str, "forwarding_group": str,
    "login_ports": str, "relay": dict, "scheduler": str, "queue": str, "account_required": bool, "modules": list,
    "pvserver_versions": list, "server_ports": str, "remote_dir": str, "poll_floor_s": int, "routes_forbidden": list,
    "nodes_on_demand": bool, "scheduler_json": bool, "pvserver_on_login_node": bool, "launcher": str, "node_name": dict,
    "forwarding_policy": str, "limits": dict, "reconnect": bool, "closed": str, "minimum_version": str, "reconnect_floor": int,
}
#: Limits that are durations, and settings of the same name; the limit SESSIONS is a number.
DURATIONS, SESSIONS = ("walltime", "client_timeout", "reconnect_timeout"), "sessions"
_MOST_SESSIONS = 10000
_LONGEST_FLOOR = 86400
_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}\Z")
#: The key for the name of the caller that wrote keys which several callers own, and the name of the caller that wrote them if the key is missing.
WRITER, FIRST_WRITER = "forwarding_policy", "forwarding"
# Words that YAML does not read as text.
_OTHER_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
_PLAIN = re.compile("[A-Za-z0-9/_$][ -~\u00a1-\u2027\u202a-\ud7ff]*\\Z")
_OTHER_NUMBERS = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?\Z|0[xob]?[0-9a-fA-F_]+\Z"
                            r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9][0-9_]*(?::[0-5]?[0-9])+")
_PAIR = re.compile(r"( +)([A-Za-z_][A-Za-z0-9_]*):[ \t]+(\S.*)\Z")
_HEADER = "# What this site offers to sciviz.paraview. Each of its roles writes its own keys here and leaves the others alone.\n"


def merge(text: t.Optional[str], owned: t.List[str], values: t.Dict[str, t.Any]) -> t.Optional[str]:
    """The new text of the file, with the values of one writer's keys.

    Args:
        text: of the file now. owned: the writer's keys. values: of some of them; the others are removed.
    Returns:
        None if no key is left.
    Raises:
        SessionError: a key or a value is not valid.
    """
    _check(owned, values)
    kept, found = [], set()
    for key, block in _blocks(text or ""):
        if key not in owned:
            kept.append(block)
        elif key in values and key not in found:
            found.add(key)
            kept.append(block if block == _line(key, values[key]) else _line(key, values[key]))
    if kept and not kept[-1].endswith("\n") and set(values) - found:
        kept[-1] += "\n"
    kept += [_line(key, values[key]) for key in owned if key in values and key not in found]
    body = "".join(kept)
    if not re.search(r"(?m)^\s*[^#\s]", body.replace("---", "")) and body.replace(_HEADER, "").strip() in ("", "---"):
        return None
    return body if text is not None else _HEADER + body


def is_others(text: t.Optional[str], owned: t.List[str], writer: str, writers: t.List[str]) -> bool:
    """Whether another one of several callers that own the same keys has written them.

    Args:
        text: of the file now. owned: the keys. writer: the caller; empty if it alone owns its keys. writers: all callers that there are.
    """
    values = read(text or "")[0]
    if not writer or not set(owned + [WRITER]) & set(values):
        return False
    other = values.get(WRITER, FIRST_WRITER)
    return other != writer and other in writers


def read(text: str) -> t.Tuple[t.Dict[str, t.Any], t.List[str]]:
    """The values of a file, read without a YAML library: lines as merge() writes them, and simple lines that people write.

    Returns:
        Values by key, and the keys whose value could not be read.
    """
    values, unread = {}, []
    for key, block in _blocks(text):
        if key:
            try:
                values[key] = _value(block.partition(":")[2])
            except (ValueError, RecursionError):
                unread.append(key)
                values.pop(key, None)
    return values, unread


def has_type(key: str, value: t.Any) -> bool:
    """Whether a value has the type of its key."""
    return isinstance(value, KEYS[key]) and not (KEYS[key] is int and isinstance(value, bool))


def fault(key: str, value: t.Any) -> str:
    """Why a value of the right type is not valid; empty if it is, and for a key whose values are checked where they are used."""
    if key == "closed" and not one_line(value):
        return "it is the reason that users see, and has to be a text that is not empty"
    if key == "minimum_version" and not _VERSION.match(value):
        return "it has to be a version such as \"1.2.0\", in quotes"
    if key == "reconnect_floor" and not 0 <= value <= _LONGEST_FLOOR:
        return "it has to be a number of seconds from 0 to {0}".format(_LONGEST_FLOOR)
    if key == "limits":
        return "; ".join(limits(value)[1])
    return ""


def limits(values: t.Dict[t.Any, t.Any]) -> t.Tuple[t.Dict[str, int], t.List[str]]:
    """The valid ones of the site's limits, in seconds, and why others are not valid."""
    valid: t.Dict[str, int] = {}
    faults = []
    for name, value in values.items():
        try:
            valid[name] = _limit(name, value)
        except ValueError as error:
            faults.append("limits.{0}: {1}".format(one_line(name, 100), one_line(error)))
    return valid, faults


def _limit(name: t.Any, value: t.Any) -> int:
    if name in DURATIONS:
        if not isinstance(value, str):
            raise ValueError("{0!r} is not a duration such as \"8h\"".format(value))
        return durations.parse(value)
    if name != SESSIONS:
        raise ValueError("it is no limit; the limits are " + ", ".join(DURATIONS + (SESSIONS,)))
    if not is_a(value, int) or not 0 < value <= _MOST_SESSIONS:
        raise ValueError("{0!r} is not a number from 1 to {1}".format(value, _MOST_SESSIONS))
    return value


def _value(text: str) -> t.Any:
    """The value in the text after a key's colon; ValueError if it is not simple."""
    lines = [line for line in (re.sub(r"(^|\s)#.*", "", line).rstrip() if '"' not in line and "'" not in line else line.rstrip()
                               for line in text.split("\n")) if line.strip() not in ("", "---", "...")]
    if lines and text.partition("\n")[0].strip() and len(lines) == 1:
        return _scalar(lines[0].strip())
    pairs = [_PAIR.match(line) for line in lines]
    if pairs and not text.partition("\n")[0].partition("#")[0].strip() and all(pair and pair.group(1) == pairs[0].group(1) for pair in pairs):
        return {_name(pair.group(2)): _scalar(pair.group(3).strip()) for pair in pairs}
    items = [re.match(r"\s*-\s+(.*)\Z", line) for line in lines]
    if not items or None in items:
        raise ValueError("this is not a simple value")
    return [_scalar(item.group(1).strip()) for item in items]


def _name(text: str) -> str:
    """A name in a mapping; ValueError if YAML reads it as something else."""
    if text.lower() in _OTHER_WORDS:
        raise ValueError("this is not a simple value")
    return text


def _scalar(text: str) -> t.Any:
    if re.match(r"\[[A-Za-z0-9/_., +-]*\]\Z", text) and text[1:-1].strip():
        return [_plain(item.strip()) for item in text[1:-1].split(",")]
    if text[:1] in ('"', "[", "{"):
        # JSON does not have YAML's escapes of eight digits.
        return json.loads(re.sub(r"\\(?:U([0-9a-f]{8})|(.))", lambda found: json.dumps(chr(int(found.group(1), 16)))[1:-1] if found.group(1)
                                 else found.group(0), text, flags=re.DOTALL))
    if re.match(r"'(?:[^']|'')*'\Z", text):
        return text[1:-1].replace("''", "'")
    return _plain(text)


def _plain(text: str) -> t.Union[bool, int, str]:
    """A value without quotes; ValueError if YAML reads it in another way."""
    if text in ("true", "false"):
        return text == "true"
    if re.match(r"-?(?:0|[1-9][0-9]{0,17})\Z", text):
        return int(text)
    if _PLAIN.match(text) and not re.search(r":(?:\s|\Z)|\s#", text) and text.lower() not in _OTHER_WORDS and not _OTHER_NUMBERS.match(text):
        return text
    raise ValueError("this is not a simple value")


def _check(owned: t.List[str], values: t.Dict[str, t.Any]) -> None:
    for key in list(owned) + list(values):
        if key not in KEYS:
            raise SessionError("{0!r} is not a key of site.yml".format(key), "", "use one of " + ", ".join(sorted(KEYS)))
    for key, value in values.items():
        if key not in owned:
            raise SessionError("{0} is not among the owned keys".format(key), "", "add it to owned")
        if not has_type(key, value):
            raise SessionError("{0}: {1!r} is of the wrong type".format(key, value), "it has to be a {0}".format(KEYS[key].__name__), "correct it")
        why = fault(key, value)
        if why:
            raise SessionError("{0}: {1!r} is not valid".format(key, value), why, "correct it; nothing was changed")
    try:
        remote_directory.check(values.get("remote_dir", ""))
    except ValueError as error:
        raise SessionError("remote_dir: {0!r} is not valid".format(values["remote_dir"]), str(error), "correct it")


def _line(key: str, value: t.Any) -> str:
    # JSON is YAML, except for its escapes of characters above U+FFFF.
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "{0}: {1}\n".format(key, re.sub(r"[^\x20-\x7e]", lambda char: "\\U{0:08x}".format(ord(char.group(0))), text))


def _blocks(text: str) -> t.Iterator[t.Tuple[str, str]]:
    """Yields ("", lines) for the lines before the first top-level key, and (key, lines) for each key."""
    key = ""
    block: t.List[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        start = re.match(r"([A-Za-z_][A-Za-z0-9_]*)\s*:", line)
        if start:
            if block:
                yield key, "".join(block)
            key, block = start.group(1), []
        block.append(line)
    if block:
        yield key, "".join(block)
