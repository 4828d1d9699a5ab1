#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: session_info
short_description: Report the existing sessions
version_added: 0.1.0
description:
  - Reports every session that has a record, or the named ones.
  - If a session's connection is up, it queries the job and the batch system over it. It never logs in again.
  - Sessions that no playbook follows are reported as well, such as one that waits in the queue. A session that failed while no playbook followed it is
    reported as V(failed) until the next connect.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - It queries the sessions, and stores the results in their records. O(json) is written in check mode as well.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - The name at the start of error lines. O(names) selects the sessions.
      - By default the name of the inventory host.
  names:
    description:
      - Names of the sessions to report. A session without a record is reported as V(gone).
      - By default all that have a record.
    type: list
    elements: str
    default: []
  json:
    description:
      - File for the report in JSON, a list with one entry for each session. An existing file is replaced. Only its owner can read it,
        since it has the connect-ids. Its directory has to exist.
    type: str
    default: ""
  table:
    description:
      - Whether to show the sessions as a table.
    type: bool
    default: false
  watch:
    description:
      - Whether to show the table until Ctrl-C. On a terminal it is updated in place every second. In a pipe, in a file and on a dumb terminal a new table
        appears each time something has changed. O(json) is written each time as well.
      - The table has what the session records have. The daemon of each session keeps its record up to date, so the clusters are not queried.
      - Ctrl-C ends C(ansible-playbook) with exit status 99. It does not affect the sessions. The task also ends if the process that reads a pipe has closed it.
    type: bool
    default: false
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
  - module: sciviz.paraview.session_wait
"""

EXAMPLES = r"""
- name: Report the sessions
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Show all of them
      sciviz.paraview.session_info:
        table: true

    - name: Query one of them
      sciviz.paraview.session_info:
        names: [frontera]
      register: report

    - name: Check that ParaView is connected
      ansible.builtin.assert:
        that: report.sessions[0].state == 'connected'
        fail_msg: "frontera is {{ report.sessions[0].state }}: {{ report.sessions[0].reason }}"
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
        - V(gone) means that the session has no record, V(unknown) that its connection is lost.
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
      description: The URL that ParaView opens; null before it is determined.
      returned: always
      type: str
      sample: csrc://127.0.0.1:40123
    client_port:
      description: The port of this machine that ParaView uses; null before it is determined.
      returned: always
      type: int
      sample: 40123
    connect_id:
      description: Always null here. The file that O(json) names has it.
      returned: always
      type: int
    login_node:
      description: The login node's own name; null before the login node was queried.
      returned: always
      type: str
      sample: login2
    time_left_s:
      description: Seconds until the job's wall time is over; null if no job runs.
      returned: always
      type: int
      sample: 3130
    waited_s:
      description: Seconds that the job has waited in the queue; null if it does not wait there.
      returned: always
      type: int
      sample: null
    expected_start:
      description: When the batch system expects to start the job that waits, in ISO 8601 and the time zone of the cluster; null if it gives no time.
      returned: always
      type: str
      sample: null
    reason:
      description: Why the session is in this state; may be empty.
      returned: always
      type: str
      sample: ""
    lifeline:
      description:
        - The connection that is restored after a loss. C(state) is C(waiting), C(connected) or C(outage); C(lost_at) is the time of the loss, in seconds
          since 1970; C(losses) is the number of losses; C(waiting_bytes) is the number of bytes kept on this side; C(encrypted) shows whether the
          connection is encrypted from end to end.
        - Null if the session cannot reconnect, or is over.
      returned: always
      type: dict
      sample: {state: connected, lost_at: null, waiting_bytes: 0, losses: 1, encrypted: false}
    preset:
      description: The preset that the session uses; empty if it uses none.
      returned: always
      type: str
      sample: gpu
"""

# The code is in plugins/action/session_info.py; it runs on the controller.
