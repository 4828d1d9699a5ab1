# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that generates a complete server configuration from a list of clusters."""

DOCUMENTATION = r"""
name: launcher_servers
author: The sciviz.paraview developers (@sciviz)
version_added: 0.1.0
short_description: A server configuration of ParaView's, with an entry for each cluster
description:
  - The content of a C(.pvsc) file whose entries run the launcher of a login node over ssh or plink, as with O(sciviz.paraview.server_config#module:launcher).
  - The name of an entry that uses plink ends in C((PuTTY\)). Such an entry has no options of the type V(str).
options:
  _input:
    description:
      - Clusters, in the format of O(sciviz.paraview.publish#role:main:paraview_publish_clusters).
    type: list
    elements: dict
    required: true
  system:
    description:
      - Where ParaView runs.
    type: str
    choices: [linux, macos, windows]
    required: true
"""

EXAMPLES = r"""
- name: Write the file for Windows
  ansible.builtin.copy:
    content: "{{ clusters | sciviz.paraview.launcher_servers('windows') }}"
    dest: /srv/www/paraview/v5_13/win32/servers.pvsc
    mode: "0644"
  vars:
    clusters:
      - name: frontera
        login: login1.frontera.example.edu
        windows_clients: [ssh, plink]
"""

RETURN = r"""
_value:
  description: The file's content.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import launcher_entry
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import servers_file


def launcher_servers(clusters, system):
    """str: the content of a server configuration."""
    configuration, names = servers_file.Configuration(b"", "the configuration"), set()
    for cluster in clusters:
        if cluster["name"] in names:
            raise AnsibleFilterError("the cluster {0!r} is listed twice".format(cluster["name"]))
        names.add(cluster["name"])
        for client in cluster.get("windows_clients", ["ssh"]) if system == "windows" else ["ssh"]:
            try:
                configuration = servers_file.Configuration(configuration.put(*_entry(cluster, system, client)), "the configuration")
            except (SessionError, ValueError) as error:
                raise AnsibleFilterError("{0}: {1}".format(cluster["name"], error))
            except (KeyError, TypeError, AttributeError) as error:
                raise AnsibleFilterError("{0}: options must be a list of mappings with a name, and each choice needs a value ({1})".format(
                    cluster["name"], error))
    return configuration.data.decode("ascii")


def _entry(cluster, system, client):
    """tuple[str, str]: an entry's name and its XML."""
    name, options = cluster["name"], cluster.get("options") or []
    if client == "plink":
        name, options = name + " (PuTTY)", [one for one in options if one.get("type", "str") != "str"]
    launcher = {key: cluster[key] for key in ("login", "user", "path", "bind", "ports", "delay") if key in cluster}
    return name, launcher_entry.entry(name, dict(launcher, system=system, client=client), cluster.get("reverse", True), options)


class FilterModule:
    """The filter, by name."""

    def filters(self):
        return {"launcher_servers": launcher_servers}
