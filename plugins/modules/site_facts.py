#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: site_facts
short_description: Look at what a login node has
version_added: 0.1.0
description:
  - Asks the login node in one round trip for its name and addresses, its batch system, and the values that the site publishes in
    C(/etc/paraview-connect/site.yml). That file counts only if root alone owns and may write it and its directory.
  - Decides on the batch system.
  - A POSIX shell is enough there. The answer is kept in the session's record and asked for once.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: full
    details:
      - It only looks, and does so in check mode as well.
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.ssh_master
    description: It has to come before.
  - module: sciviz.paraview.route
"""

EXAMPLES = r"""
- name: Look at a cluster
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin a session
      sciviz.paraview.session:

    - name: Log in
      sciviz.paraview.ssh_master:

    - name: Look at the site
      sciviz.paraview.site_facts:
      register: seen

    - name: Tell
      ansible.builtin.debug:
        msg: "{{ seen.site.login_node }} has {{ seen.scheduler }}"
"""

RETURN = r"""
scheduler:
  description: The batch system that the session uses.
  returned: success
  type: str
  sample: slurm
site:
  description: What the login node answered. It is data from there and no more to be trusted than the login node is.
  returned: success
  type: dict
  contains:
    login_node:
      description: Its own name.
      returned: always
      type: str
      sample: login2
    uid:
      description: The user's number there.
      returned: always
      type: int
      sample: 20817
    home:
      description: The user's home there.
      returned: always
      type: str
      sample: /home/alice
    client_side:
      description: The address at which the login node was reached; empty where sshd does not tell.
      returned: always
      type: str
      sample: 192.0.2.10
    addresses:
      description: Its IPv4 addresses, loopback left out.
      returned: always
      type: list
      elements: str
      sample: [192.0.2.10, 10.0.0.2]
    cluster_address:
      description: The address that the site publishes as the one nodes can dial; empty where it publishes none.
      returned: always
      type: str
      sample: 10.0.0.2
    prelude:
      description: Shell lines that make the batch system's commands found; empty where they are found without.
      returned: always
      type: str
      sample: ""
    schedulers:
      description: The batch systems found.
      returned: always
      type: list
      elements: str
      sample: [slurm]
    first_node:
      description: A node of each batch system found, by which routes are tried before there is a job; empty where none is known.
      returned: always
      type: dict
      sample: {"slurm": "c101"}
    missing:
      description: Tools that a login node should have and this one has not.
      returned: always
      type: list
      elements: str
      sample: []
    site:
      description: What C(/etc/paraview-connect/site.yml) says, known keys of the right type only.
      returned: always
      type: dict
      sample: {"name": "Frontera", "queue": "development", "modules": ["paraview"], "server_ports": "11111-11120"}
"""

# The code is in plugins/action/site_facts.py; it runs on the controller.
