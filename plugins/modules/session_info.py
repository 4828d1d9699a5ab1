#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: session_info
short_description: Tell of the sessions there are
version_added: 0.1.0
description:
  - Tells of every session that has a record, or of those named.
  - Where a session's connection stands, it asks the job and the batch system over it. It never logs in anew.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - It looks, and keeps what it saw in the session's record. O(json) is written in check mode as well.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - What the lines of an error begin with. O(names) says which sessions to tell of.
      - By default the name of the inventory host.
  names:
    description:
      - The sessions to tell of, by name. One that has no record is told of as V(gone).
      - By default all that have a record.
    type: list
    elements: str
    default: []
  json:
    description:
      - File for the report in JSON, a list with one entry for each session. It is begun anew. It is readable by its owner alone, since it
        holds the connect-ids. Its directory has to exist.
    type: str
    default: ""
  table:
    description:
      - Whether to show the sessions as a table.
    type: bool
    default: false
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
"""

EXAMPLES = r"""
- name: Tell of the sessions
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Show all of them
      sciviz.paraview.session_info:
        table: true

    - name: Look at one
      sciviz.paraview.session_info:
        names: [frontera]
      register: known

    - name: Insist that ParaView is connected
      ansible.builtin.assert:
        that: known.sessions[0].state == 'connected'
        fail_msg: "frontera is {{ known.sessions[0].state }}: {{ known.sessions[0].reason }}"
"""

RETURN = r"""
sessions:
  description: The sessions, in the order of O(names), else by name.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The session's name.
      returned: always
      type: str
      sample: frontera
    route:
      description: The route; null before it is chosen.
      returned: always
      type: str
      sample: reverse_tunnel
    state:
      description:
        - One of V(pending), V(starting), V(ready), V(connected), V(ended), V(failed), V(cancelled), V(gone), V(unknown).
        - V(gone) is a session that has no record, V(unknown) one whose connection is gone.
      returned: always
      type: str
      sample: connected
    job_id:
      description: The job's id; null before it is submitted.
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
      description: What ParaView opens; null before it is known.
      returned: always
      type: str
      sample: csrc://127.0.0.1:40123
    client_port:
      description: The port of this machine that ParaView uses; null before it is known.
      returned: always
      type: int
      sample: 40123
    connect_id:
      description: Always null here. The file that O(json) names has it.
      returned: always
      type: int
    login_node:
      description: The login node's own name; null before it was asked.
      returned: always
      type: str
      sample: login2
    time_left_s:
      description: Seconds until the job's wall time is over; null where no job runs.
      returned: always
      type: int
      sample: 3130
    reason:
      description: Why the session is in this state, where there is something to say.
      returned: always
      type: str
      sample: ""
    lifeline:
      description:
        - How the line is that outlives its connection. C(state) is C(waiting), C(connected) or C(outage); C(lost_at) is when it was lost, in seconds
          since 1970; C(losses) counts; C(waiting_bytes) are kept on this side; C(encrypted) shows whether it is so from end to end.
        - Null where the session has none, or is over.
      returned: always
      type: dict
      sample: {state: connected, lost_at: null, waiting_bytes: 0, losses: 1, encrypted: false}
"""

# The code is in plugins/action/session_info.py; it runs on the controller.
