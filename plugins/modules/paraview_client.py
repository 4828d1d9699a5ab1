#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: paraview_client
short_description: Start ParaView or wait for it, and hand the session over
version_added: 0.1.0
description:
  - O(state=listening) is for the time before pvserver starts. On a reverse route it starts the client, or shows what to start, and
    waits until the client listens. If another account holds the port, it is an error. On a forward route it does nothing.
  - O(state=served) is the last step. On a forward route, if O(sciviz.paraview.session#module:start_client) requests it, it starts the
    client and waits until the client is connected. Then it shows the state of the session and hands the session over.
  - O(state=detached) hands over a session whose job is still in the queue. The next connect continues it.
  - After the hand-over the session ends with its job, and no longer with the playbook.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: none
    details:
      - It needs a job, and there is none in check mode. Skip it there, as the role P(sciviz.paraview.connect#role) does.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - V(served) and V(detached) always count as a change.
options:
  state:
    description:
      - What to wait for.
    type: str
    choices: [listening, served, detached]
    default: served
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.pvserver_job
    description: The order of all steps is in its example.
"""

EXAMPLES = r"""
# After sciviz.paraview.route has confirmed the route
- name: Wait for the client
  sciviz.paraview.paraview_client:
    state: listening

- name: Start pvserver
  sciviz.paraview.pvserver_job:
    state: started

- name: Open the route
  sciviz.paraview.route:
    state: opened

- name: Hand the session over
  sciviz.paraview.paraview_client:
    state: served
  register: served

- name: Show what to open
  ansible.builtin.debug:
    msg: "ParaView opens {{ served.session.url }}"

# After sciviz.paraview.pvserver_job has submitted the job
- name: Detach from the job
  sciviz.paraview.paraview_client:
    state: detached
"""

RETURN = r"""
session:
  description: The report on the session.
  returned: always
  type: dict
  contains:
    host:
      description: The session's name.
      returned: always
      type: str
      sample: frontera
    route:
      description: The route.
      returned: always
      type: str
      sample: reverse_tunnel
    state:
      description:
        - One of V(pending), V(starting), V(ready), V(connected), V(ended), V(failed), V(cancelled), V(gone), V(unknown).
        - With O(state=served), V(ended) means that the client connected and has already disconnected.
      returned: always
      type: str
      sample: connected
    job_id:
      description: The job's id.
      returned: always
      type: str
      sample: "4711"
    nodes:
      description: The job's nodes, the root node first; empty before it runs.
      returned: always
      type: list
      elements: str
      sample: [c101, c102]
    url:
      description: The URL that ParaView opens; null on a forward route before it is opened.
      returned: always
      type: str
      sample: csrc://127.0.0.1:40123
    client_port:
      description: The port of this machine that ParaView uses; null on a forward route before it is opened.
      returned: always
      type: int
      sample: 40123
    connect_id:
      description: Always null here. The file that O(sciviz.paraview.session#module:json) names has it.
      returned: always
      type: int
    login_node:
      description: The login node's own name.
      returned: always
      type: str
      sample: login2
    time_left_s:
      description: Seconds until the job's wall time is over; null if no job runs.
      returned: always
      type: int
      sample: 3130
    reason:
      description: Why the session is in this state; may be empty.
      returned: always
      type: str
      sample: ""
"""

# The code is in plugins/action/paraview_client.py; it runs on the controller.
