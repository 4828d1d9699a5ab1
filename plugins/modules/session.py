#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: session
short_description: Begin, take up or end a session of ParaView with a cluster
version_added: 0.1.0
description:
  - A session is what one connect makes. It has a job on the cluster, a route for the bytes, ssh forwards, and a record here by which
    all of it can be undone.
  - With O(state=present) the options are checked and a record is written. Nothing else happens yet. The steps that follow
    (see M(sciviz.paraview.pvserver_job)) read what they need from the record.
  - A session that was begun earlier and is not over is taken up where it stands. Of the options only O(start_client), O(queue_timeout),
    O(detach) and O(json) then count; the others stay as they were. One that is open already is left alone.
  - With O(state=absent) the job is cancelled, and the session's files on the cluster, its forwards, its connection and the client
    that was started for it are taken away. Where the connection is gone, it logs in anew to do so.
  - A value that cannot be is refused before anything is touched.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
  - sciviz.paraview.session.settings
attributes:
  check_mode:
    support: partial
    details:
      - With O(state=present) a record is written in check mode as well, since the steps that follow read it. Once
        M(sciviz.paraview.ssh_master) has logged in, record and connection are taken away when the playbook ends.
      - A session that is not over stays as it is in check mode, and so does one that O(state=absent) would end.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state=present) an open session is left alone, while taking up one that is not open yet counts as a change.
      - With O(state=absent) it is.
options:
  state:
    description:
      - Whether there shall be a session.
    type: str
    choices: [present, absent]
    default: present
author:
  - The sciviz.paraview developers (@sciviz)
notes:
  - The roles P(sciviz.paraview.connect#role) and P(sciviz.paraview.disconnect#role) take the same options as variables that begin with
    C(paraview_).
seealso:
  - module: sciviz.paraview.session_info
  - module: sciviz.paraview.pvserver_job
    description: The order of all steps is in its example.
"""

EXAMPLES = r"""
- name: Begin a session of two nodes with eight processes each
  sciviz.paraview.session:
    nodes: 2
    tasks_per_node: 8
    walltime: "2:00:00"   # with quotes
    queue: viz
    modules: [paraview]
  register: begun

- name: Log in
  sciviz.paraview.ssh_master:
  when: begun.todo

- name: Begin a session on a cluster whose MPI wants its own launcher
  sciviz.paraview.session:
    nodes: 4
    mpi_launcher: ibrun -n {tasks} -o 0
    pvserver: pvserver --mpi
    setup: |
      export MESA_GL_VERSION_OVERRIDE=3.3
      ulimit -c 0

- name: Begin a session on a visualization server without a batch system
  sciviz.paraview.session:
    scheduler: none
    pvserver: xvfb-run -a -s -noreset pvserver
    start_client: true

- name: End the session
  sciviz.paraview.session:
    state: absent
"""

RETURN = r"""
todo:
  description: Whether the steps of a connect are still to be done. It is false where a session is open already.
  returned: success, with O(state=present)
  type: bool
  sample: true
detach:
  description: The session's O(detach).
  returned: success, with O(state=present)
  type: bool
  sample: false
client_host:
  description: The session's O(client_host), to which M(sciviz.paraview.client_host) is to be delegated.
  returned: success, with O(state=present)
  type: str
  sample: ""
session:
  description: What is known of the session.
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

# The code is in plugins/action/session.py; it runs on the controller.
