# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the hosts of a run; documented in plugins/modules/site_hosts.py."""

import difflib
import re
import socket
import subprocess

from ansible.inventory.manager import InventoryManager
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction

_ADDRESS = re.compile(r"^(?:(?P<user>[A-Za-z0-9._][A-Za-z0-9._@-]*)@)?(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[?[0-9a-fA-F:]+\]?)$")
_WILD = re.compile(r"[*?\[\]~!&:]")


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = {"pattern": {"type": "str", "default": ""}, "records": {"type": "bool", "default": False}, "json": {"type": "str", "default": ""}}

    def act(self, arguments):
        pattern = arguments["pattern"].strip()
        record.write_report(self.base, arguments["json"], [], fresh=True)
        self.check_names([])
        if not pattern:
            raise SessionError("no host was named", "", "name it: -e host=NAME, an inventory host or group, or [user@]login.site.edu")
        found = {}
        recorded = {session.name for session in record.all_sessions(self.base)} if arguments["records"] else set()
        manager = self._inventory()
        if any(sign in pattern for sign in "&!"):
            for name in self._matches(manager, pattern):
                found[name] = {"name": name}
        else:
            for part in [part.strip() for part in pattern.split(",") if part.strip()]:
                for host in self._hosts(manager, part, recorded):
                    found[host["name"]] = host
        if not found:
            raise self._unknown(pattern, manager)
        return {"changed": False, "hosts": list(found.values())}

    def fail(self, error, arguments):
        self.name = str(arguments.get("pattern") or self.name)
        self.session = record.Session(self.base, self.name)
        return super().fail(error, arguments)

    def undo_own(self, end_detached):
        return ""

    def _inventory(self):
        manager = InventoryManager(loader=self._loader, parse=False)
        for group, hosts in self.task_vars.get("groups", {}).items():
            manager.add_group(group)
            for host in hosts:
                manager.add_host(host, group=group)
        return manager

    @staticmethod
    def _matches(manager, pattern):
        return [host.name for host in manager.get_hosts(pattern=pattern) if host.name != "localhost"]

    def _hosts(self, manager, part, recorded):
        inventory = [name for names in self.task_vars.get("groups", {}).values() for name in names]
        if part in recorded and part not in inventory:
            return [{"name": part}]
        if "@" not in part or _WILD.search(part):
            names = self._matches(manager, part) if part in inventory or part in manager.groups or _WILD.search(part) or part == "all" else []
            if names:
                return [{"name": name} for name in names]
        address = _ADDRESS.match(part)
        if address and ("@" in part or _ssh_can_resolve(address.group("host"))):
            host = {"name": part, "address": address.group("host").strip("[]")}
            return [dict(host, user=address.group("user")) if address.group("user") else host]
        raise self._unknown(part, manager)

    @staticmethod
    def _unknown(name, manager):
        choices = sorted(set(manager.hosts) | set(manager.groups) - {"all", "ungrouped"} - {"localhost"})
        near = difflib.get_close_matches(name, choices, 3, 0.5)
        hint = "is {0} meant?".format(" or ".join(near)) if near else "the inventory has: {0}".format(", ".join(choices[:20]) or "no host")
        return SessionError("no host is called {0!r}".format(clean(name, 200)), "it is neither in the inventory nor in the name service; " + hint,
                            "name an inventory host or group (ansible-inventory --graph lists them), or [user@]login.site.edu")


def _ssh_can_resolve(host):
    """Whether ssh could connect to it: the name resolves, or ssh's own configuration translates it."""
    try:
        socket.getaddrinfo(host, None)
        return True
    except (OSError, UnicodeError):
        pass
    try:
        answer = subprocess.run(["ssh", "-G", "--", host], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    options = dict(line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").lower().splitlines())
    return options.get("hostname", host.lower()) != host.lower() or options.get("proxycommand", "none") != "none" or "proxyjump" in options
