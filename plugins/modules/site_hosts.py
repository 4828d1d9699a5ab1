#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: site_hosts
short_description: Find the hosts of a run
version_added: 0.1.0
description:
  - Turns what a user typed into hosts. It may be an inventory host, a group, a pattern, or C([user@]login.site.edu) without any inventory.
  - If a name is neither in the inventory nor in the name service nor in ssh's own configuration, it is refused before anything is touched,
    with the names that are similar to it.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - It writes nothing but O(json), in check mode as well.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - The beginning of the lines shown.
      - By default the name of the inventory host.
  pattern:
    description:
      - The hosts, as names, groups, patterns and addresses, separated by commas.
      - A pattern with C(&) or C(!) is read as a whole by the rules of the inventory.
      - C(localhost) is never one of the hosts of a group or a pattern.
      - An empty value is refused.
    type: str
    default: ""
  records:
    description:
      - Whether names of session records are accepted as well. A session can then be ended even if its host is no longer in the inventory.
    type: bool
    default: false
  json:
    description:
      - File for a report. It begins as an empty list, so that nothing of an earlier run is left in it.
      - If the hosts cannot be found, it has one entry with the error.
    type: str
    default: ""
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
"""

EXAMPLES = r"""
- name: Find the hosts
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Find them
      sciviz.paraview.site_hosts:
        pattern: "{{ host | default('') }}"
      register: found

    - name: Add them to a group
      ansible.builtin.add_host:
        name: "{{ item.name }}"
        groups: [clusters_selected]
        ansible_host: "{{ item.address | default(omit) }}"
        ansible_user: "{{ item.user | default(omit) }}"
      loop: "{{ found.hosts }}"
      loop_control:
        label: "{{ item.name }}"

- name: Connect ParaView
  hosts: clusters_selected
  gather_facts: false
  roles:
    - role: sciviz.paraview.connect
"""

RETURN = r"""
hosts:
  description: The hosts found, each once, in the order of O(pattern).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the inventory host, or the address as it was typed.
      returned: always
      type: str
      sample: alice@login.site.edu
    address:
      description: The address alone.
      returned: for a host that is not in the inventory
      type: str
      sample: login.site.edu
    user:
      description: The user in front of the address.
      returned: for a host that is not in the inventory, if a user was named
      type: str
      sample: alice
  sample:
    - name: frontera
    - name: alice@login.site.edu
      address: login.site.edu
      user: alice
"""

# The code is in plugins/action/site_hosts.py; it runs on the controller.
