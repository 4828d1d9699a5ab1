#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: session
short_description: Begin, continue or end a session of ParaView with a cluster
version_added: 0.1.0
description:
  - Each connect makes a session. A session has a job on the cluster, a route for the bytes, ssh forwards, and a local record from
    which all of them can be undone.
  - With O(state=started) the options are checked, a record is written, and a process on the controller begins to drive the session. It logs in, gathers the
    login node's facts, chooses the route, submits the job, waits for it, opens the route, and starts ParaView if O(start_client) requests it. The module
    does not wait for any of this; M(sciviz.paraview.session_wait) does, and shows what happens.
  - With O(state=present) the options are checked and a record is written; nothing else is changed. M(sciviz.paraview.ssh_master) then logs in.
  - If the job is submitted and the playbook is killed or its terminal is closed, the session continues by itself, as with O(detach). If the user
    interrupts the playbook (Ctrl-C), or the job is not submitted yet, the session ends. It also ends if O(client_process) is set.
  - If a session was begun earlier and is not over, it is continued. Only the options O(start_client), O(notify), O(queue_timeout), O(detach), O(json),
    O(client_process) and O(client_version) are then used; the others keep their earlier values. If the session is open already, it is not changed.
  - If another playbook follows the session, it is continued for both once its job is submitted. Before that, or with O(client_process), the task fails.
  - With O(state=absent) the job is cancelled. The session's files on the cluster, its forwards, its connection and the client
    that was started for it are removed. If the connection is lost, it logs in again first.
  - An invalid value is refused before anything is changed.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
  - sciviz.paraview.session.settings
attributes:
  check_mode:
    support: partial
    details:
      - With O(state=started) and O(state=present) a record is written in check mode as well. With O(state=started) the session really logs in, gathers
        facts and chooses a route, and stops before the job is submitted. Record and connection are removed by M(sciviz.paraview.session_wait) without
        its option C(names), or when the playbook ends.
      - In check mode a session that is not over is not changed, and O(state=absent) ends none.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state=started) an open session is not changed. To continue one that is not open yet counts as a change.
      - With O(state=absent) it is idempotent.
options:
  state:
    description:
      - V(started) begins or continues a session, which then makes itself ready.
      - V(present) begins or continues a session, and leaves the login to M(sciviz.paraview.ssh_master).
      - V(absent) ends the session.
    type: str
    choices: [present, started, absent]
    default: present
author:
  - The sciviz.paraview developers (@sciviz)
notes:
  - The roles P(sciviz.paraview.connect#role) and P(sciviz.paraview.disconnect#role) have the same options as variables that begin with
    C(paraview_).
seealso:
  - module: sciviz.paraview.session_wait
  - module: sciviz.paraview.session_info
"""

EXAMPLES = r"""
- name: Start a session of two nodes with eight processes each
  sciviz.paraview.session:
    state: started
    nodes: 2
    tasks_per_node: 8
    walltime: "2:00:00"   # with quotes
    queue: viz
    modules: [paraview]

- name: Wait until it is ready
  sciviz.paraview.session_wait:

- name: Start a session on a cluster whose MPI needs its own launcher
  sciviz.paraview.session:
    state: started
    nodes: 4
    mpi_launcher: ibrun -n {tasks} -o 0
    pvserver: pvserver --mpi
    setup: |
      export MESA_GL_VERSION_OVERRIDE=3.3
      ulimit -c 0

- name: Start a session on a visualization server without a batch system
  sciviz.paraview.session:
    state: started
    scheduler: none
    pvserver: xvfb-run -a -s -noreset pvserver
    start_client: true

- name: End the session
  sciviz.paraview.session:
    state: absent
"""

RETURN = r"""
todo:
  description: Whether the steps of a connect are still to be done. If the session is open already, it is false. In check mode it is also false for a
    session that was begun earlier.
  returned: success, with O(state=present) and O(state=started)
  type: bool
  sample: true
directory:
  description: The directory of the session's files on this machine.
  returned: success, with O(state=present) and O(state=started)
  type: str
  sample: /home/alice/.local/state/paraview-connect/frontera
error:
  description: The error for the user. C(host) is the session's name, C(lines) are the lines.
  returned: failure
  type: dict
  sample: {host: frontera, lines: ["no route works here", "node_tunnel: no ssh to nodes", "send this line to the site"]}
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
      description: The route; null before it is chosen.
      returned: always
      type: str
      sample: reverse_tunnel
    state:
      description:
        - One of V(pending), V(starting), V(ready), V(connected), V(ended), V(failed), V(cancelled), V(gone), V(unknown).
      returned: always
      type: str
      sample: starting
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

# The code is in plugins/action/session.py; it runs on the controller.
