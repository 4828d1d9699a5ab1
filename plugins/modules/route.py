#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: route
short_description: Choose, confirm and open the route of a session
version_added: 0.1.0
description:
  - A route is one way for the bytes between ParaView and pvserver. Each route is tried over the session's connection.
  - O(state=chosen) chooses the first route that works, before a job is queued, and reports why the earlier ones do not. For a reverse
    route it requests the remote forward and checks the listener on the login node.
  - O(state=confirmed) checks, once the job runs, whether the route reaches the job's own node. If it does not, V(auto) chooses
    another one.
  - O(state=opened) opens the client's end once pvserver accepts connections.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: partial
    details:
      - O(state=chosen) tries the routes in check mode as well, including a remote forward. The forward ends with the connection when
        the playbook ends.
      - The other states need a job, and there is none in check mode.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - O(state=opened) opens a forward each time.
options:
  state:
    description:
      - The state that the route has to reach.
    type: str
    choices: [chosen, confirmed, opened]
    default: chosen
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
    description: Its options O(sciviz.paraview.session#module:route) and O(sciviz.paraview.session#module:route_order) determine which routes are tried.
  - module: sciviz.paraview.site_facts
    description: It has to run before.
  - module: sciviz.paraview.pvserver_job
    description: The order of all steps is in its example.
"""

EXAMPLES = r"""
- name: Show which route works with a cluster, without a job
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin a session
      sciviz.paraview.session:

    - name: Log in
      sciviz.paraview.ssh_master:

    - name: Gather the login node's facts
      sciviz.paraview.site_facts:

    - name: Choose the route
      sciviz.paraview.route:
        state: chosen
      register: chosen

    - name: Show the route
      ansible.builtin.debug:
        msg: "{{ chosen.route }}: {{ chosen.reverse | ternary('pvserver calls ParaView', 'ParaView calls pvserver') }}"
"""

RETURN = r"""
route:
  description: The route's name.
  returned: success
  type: str
  sample: reverse_tunnel
reverse:
  description: Whether pvserver calls ParaView. If true, ParaView has to listen before pvserver starts.
  returned: success
  type: bool
  sample: true
client_port:
  description: The port of this machine that ParaView uses; null on a forward route before it is opened.
  returned: success
  type: int
  sample: 40123
url:
  description: The URL that ParaView opens; null on a forward route before it is opened. It has no connect-id.
  returned: success
  type: str
  sample: csrc://127.0.0.1:40123
"""

# The code is in plugins/action/route.py; it runs on the controller.
