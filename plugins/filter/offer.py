# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters on the variables of clusters, for the role workstation."""

import json

from ansible.errors import AnsibleFilterError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import choices


def _plain(value):
    """The value in Python's own types, without Ansible's tags."""
    return json.loads(json.dumps(value, default=lambda one: dict(one) if hasattr(one, "keys") else str(one)))


def _variables(names, hostvars):
    clusters = {}
    for name in names:
        if name not in hostvars:
            raise AnsibleFilterError("{0!r} is no host of the inventory".format(name))
        variables = hostvars[name]
        keys = [key for key in variables if key == choices.VARIABLE or key in choices.known_names()]
        clusters[str(name)] = {str(key): _public(str(name), str(key), variables[key]) for key in keys}
    return clusters


def _public(name, key, value):
    """A variable's value; AnsibleFilterError for a value from a vault, which all users could read."""
    if type(value).__name__ in ("EncryptedString", "AnsibleVaultEncryptedUnicode") or "VaultedValue" in str(getattr(value, "_ansible_tags_mapping", "")):
        raise AnsibleFilterError("{0}: {1} is kept in a vault, and all users of the workstation could read it. Leave it to each user".format(name, key))
    return _plain(value)


def cluster_entries(names, hostvars, directions=("forward", "reverse")):
    """list[dict]: name, host, reverse, routes and options of each entry."""
    found = []
    for name, variables in _variables(names, hostvars).items():
        available = [direction for direction in directions if direction in choices.directions(variables)]
        try:
            for direction in available:
                shown = name if direction == available[0] else "{0} ({1})".format(name, direction)
                reverse = direction == "reverse"
                found.append({"name": shown, "host": name, "reverse": reverse, "routes": choices.ways(variables, reverse),
                              "options": choices.options(variables, reverse)})
        except SessionError as error:
            raise _named(name, error)
    return found


def _named(name, error):
    return AnsibleFilterError("{0}: {1}".format(name, ". ".join(str(error).splitlines())))


def cluster_inventory(names, hostvars):
    """str: an inventory of these hosts for connect."""
    clusters = _variables(names, hostvars)
    for name, variables in clusters.items():
        try:
            choices.kept(variables)
        except SessionError as error:
            raise _named(name, error)
    return choices.inventory(clusters)


class FilterModule:
    """The filters, by name."""

    def filters(self):
        return {"cluster_entries": cluster_entries, "cluster_inventory": cluster_inventory}
