#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: site_facts
short_description: Query a login node
version_added: 0.1.0
description:
  - Queries, in one round trip, the login node's name and addresses, its batch system, and the values that the site publishes in
    C(/etc/paraview-connect/site.yml). That file is used only if root owns it and its directory, and nobody else may write to them.
  - Chooses the batch system, and a ParaView and modules whose versions match.
  - The login node only needs a POSIX shell. The answer is stored in the session's record, and the login node is queried once.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing, and also runs in check mode.
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.ssh_master
    description: It has to run before, unless a session is open.
  - module: sciviz.paraview.session
"""

EXAMPLES = r"""
- name: Query a cluster
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin a session
      sciviz.paraview.session:

    - name: Log in
      sciviz.paraview.ssh_master:

    - name: Gather the login node's facts
      sciviz.paraview.site_facts:
      register: result

    - name: Show the batch system
      ansible.builtin.debug:
        msg: "{{ result.site.login_node }} has {{ result.scheduler }}"
"""

RETURN = r"""
scheduler:
  description: The batch system that the session uses.
  returned: success
  type: str
  sample: slurm
site:
  description: The answer of the login node. Trust it no more than the login node.
  returned: success
  type: dict
  contains:
    login_node:
      description: Its own name.
      returned: always
      type: str
      sample: login2
    uid:
      description: The user's uid there.
      returned: always
      type: int
      sample: 20817
    home:
      description: The user's home directory there.
      returned: always
      type: str
      sample: /home/alice
    client_side:
      description: The address at which the login node was reached; empty if sshd does not report it.
      returned: always
      type: str
      sample: 192.0.2.10
    addresses:
      description: Its IPv4 addresses, without loopback.
      returned: always
      type: list
      elements: str
      sample: [192.0.2.10, 10.0.0.2]
    cluster_address:
      description: The address that, according to the site, nodes can connect to; empty if the site publishes none.
      returned: always
      type: str
      sample: 10.0.0.2
    prelude:
      description: Shell lines after which the batch system's commands are found; empty if they are not necessary.
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
      description: A node of each batch system found. Routes are tried with it before there is a job. Empty if no node is listed.
      returned: always
      type: dict
      sample: {"slurm": "c101"}
    missing:
      description: Tools that a login node should have and that this one lacks.
      returned: always
      type: list
      elements: str
      sample: []
    site:
      description: The values of C(/etc/paraview-connect/site.yml). Unknown keys and values of a wrong type are dropped.
      returned: always
      type: dict
      sample: {"name": "Frontera", "queue": "development", "modules": ["paraview"], "server_ports": "11111-11120"}
"""

# The code is in plugins/action/site_facts.py; it runs on the controller.
