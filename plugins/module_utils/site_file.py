# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml, in which a login node publishes the site's own values; several writers own keys of it, each its own."""

import json
import re

from .errors import SessionError

PATH = "/etc/paraview-connect/site.yml"

#: What site.yml may say, and of which type; nothing in it can set what runs on the client host.
KEYS = {
    "version": int, "name": str, "message": str, "cluster_address": str, "gateway_ports": str, "forwarding_group": str,
    "login_ports": str, "relay": dict, "scheduler": str, "queue": str, "account_required": bool, "modules": list,
    "pvserver_versions": list, "server_ports": str, "poll_floor_s": int, "routes_forbidden": list,
    "pvserver_on_login_node": bool, "launcher": str,
}
_HEADER = "# What this site offers to sciviz.paraview. Each of its roles writes its own keys here and leaves the others alone.\n"


def merge(text, owned, values):
    """The file's text with one writer's keys as wanted.

    Args:
        text (str or None): what is there. owned (list[str]): the writer's keys. values (dict): of some of them; the others go.
    Returns:
        str or None: None where nothing is left to say.
    Raises:
        SessionError: names the key and the value.
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


def _check(owned, values):
    for key in list(owned) + list(values):
        if key not in KEYS:
            raise SessionError("{0!r} is no key of site.yml".format(key), "", "take one of " + ", ".join(sorted(KEYS)))
    for key, value in values.items():
        if key not in owned:
            raise SessionError("{0} is not among the keys that are owned".format(key), "", "add it to owned")
        if not isinstance(value, KEYS[key]) or (KEYS[key] is int and isinstance(value, bool)):
            raise SessionError("{0}: {1!r} is of the wrong type".format(key, value), "it has to be a {0}".format(KEYS[key].__name__), "correct it")


def _line(key, value):
    # JSON is YAML, but for how it escapes what is beyond the first plane.
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "{0}: {1}\n".format(key, re.sub(r"[^\x20-\x7e]", lambda char: "\\U{0:08x}".format(ord(char.group(0))), text))


def _blocks(text):
    """Yields (key, lines) for each top-level key, and ("", lines) for what stands before the first."""
    key, held = "", []
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        begun = re.match(r"([A-Za-z_][A-Za-z0-9_]*)\s*:", line)
        if begun:
            if held:
                yield key, "".join(held)
            key, held = begun.group(1), []
        held.append(line)
    if held:
        yield key, "".join(held)
