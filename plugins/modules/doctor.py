#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: doctor
short_description: Look at every hop between ParaView and a cluster
version_added: 0.1.0
description:
  - Looks at this machine, the way to the login node, the login node, the ways to the nodes, and with O(job) at a node, and says of each thing whether it is
    as a session needs it. For each failure it names the cause, who can mend it, and how.
  - It logs in anew and leaves a session that may be open alone. What it puts up to see whether it stands is taken down again.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
  - sciviz.paraview.session.settings
attributes:
  check_mode:
    support: full
    details:
      - It looks only, and does so in check mode as well, a job included where O(job) asks for one.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  job:
    description:
      - Whether to submit a small job, which tells what only a node can, such as whether pvserver starts there, what it draws with, and whether it reaches the
        login node.
    type: bool
    default: false
  html:
    description:
      - File for one self-contained page in HTML, with a picture of the hops coloured by result, for a help desk.
    type: str
    default: ""
  blank:
    description:
      - Whether names and addresses are left out of what is told, in the lines, in O(json) and in O(html).
    type: bool
    default: false
author:
  - The sciviz.paraview developers (@sciviz)
notes:
  - The options that it shares with M(sciviz.paraview.session) describe the job and the route as there.
seealso:
  - module: sciviz.paraview.session
  - module: sciviz.paraview.forwarding_check
    description: Asks a running sshd what a user may really forward.
"""

EXAMPLES = r"""
- name: Look at a cluster, with a small job
  sciviz.paraview.doctor:
    job: true
    modules: [paraview]
    html: ~/frontera.html
  register: seen

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ seen.checks | selectattr('result', 'equalto', 'failed') | map(attribute='cause') | list }}"
"""

RETURN = r"""
checks:
  description: What was looked at, in order.
  returned: success
  type: list
  elements: dict
  contains:
    hop:
      description: Where. One of C(client), C(client to login node), C(login node), C(login node to nodes), C(node).
      returned: always
      type: str
      sample: login node
    name:
      description: What of it.
      returned: always
      type: str
      sample: remote forwarding to the cluster
    result:
      description: One of C(ok), C(warning), C(failed), C(cannot tell).
      returned: always
      type: str
      sample: failed
    said:
      description: What was seen.
      returned: always
      type: str
      sample: ""
    cause:
      description: Why it failed, or why there is a warning.
      returned: always
      type: str
      sample: sshd on login2 put the forward on 127.0.0.1 instead of 10.0.0.2 (GatewayPorts no)
    who:
      description: Who can mend it, V(you) or V(site), empty where there is nothing to mend.
      returned: always
      type: str
      sample: site
    way_out:
      description: How.
      returned: always
      type: str
      sample: GatewayPorts clientspecified
"""

# The code is in plugins/action/doctor.py; it runs on the controller.
