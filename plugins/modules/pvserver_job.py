#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: pvserver_job
short_description: Submit the job of a session, wait for it, and start pvserver in it
version_added: 0.1.0
description:
  - O(state=submitted) writes the job's scripts into a directory of the user on the cluster and submits them to the batch system. If
    the session already has a job, that job is kept.
  - O(state=running) waits until the job runs, and shows the state that the batch system reports whenever it changes. If the job can
    never run, or waits longer than O(sciviz.paraview.session#module:queue_timeout), it is an error.
  - O(state=started) checks that the route's endpoint on the login node is up and belongs to the user. Only then does it let the job
    start pvserver. It returns when pvserver accepts connections or has connected to its client.
  - The job ends by itself when its client disconnects, when no client connects within
    O(sciviz.paraview.session#module:client_timeout), or at the end of its wall time.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: partial
    details:
      - O(state=submitted) writes and submits nothing. The diff shows the scripts.
      - The other states need a job. Leave them out in check mode, as the role P(sciviz.paraview.connect#role) does.
  diff_mode:
    support: full
    details:
      - O(state=submitted) shows the job's scripts. The other states change no file of the user.
  idempotent:
    support: full
options:
  state:
    description:
      - The state that the job has to reach.
    type: str
    choices: [submitted, running, started]
    default: submitted
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
    description: Its options describe the job and the session.
  - module: sciviz.paraview.route
  - module: sciviz.paraview.paraview_client
"""

EXAMPLES = r"""
# All steps of a session in their order, as in the role sciviz.paraview.connect
- name: Connect ParaView
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin the session
      sciviz.paraview.session:
        nodes: 2
        tasks_per_node: 8
        modules: [paraview]

    - name: Log in
      sciviz.paraview.ssh_master:

    - name: Gather the login node's facts
      sciviz.paraview.site_facts:

    - name: Choose the route
      sciviz.paraview.route:
        state: chosen

    - name: Submit the job
      sciviz.paraview.pvserver_job:
        state: submitted

    - name: Follow the job
      when: not ansible_check_mode
      block:
        - name: Wait for the job
          sciviz.paraview.pvserver_job:
            state: running

        - name: Confirm the route
          sciviz.paraview.route:
            state: confirmed

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
"""

RETURN = r"""
job_id:
  description: The job's id; null in check mode.
  returned: success
  type: str
  sample: "4711"
nodes:
  description: The job's nodes, the root node first; empty before it runs.
  returned: success
  type: list
  elements: str
  sample: [c101, c102]
root_node:
  description: The first node of the job; null before it runs.
  returned: success
  type: str
  sample: c101
diff:
  description: The job's scripts.
  returned: success, with O(state=submitted), when a job is or would be submitted
  type: dict
  contains:
    before:
      description: Always empty.
      returned: always
      type: str
      sample: ""
    after:
      description: The scripts, one after the other.
      returned: always
      type: str
      sample: |
        #!/bin/sh
        #SBATCH --no-requeue
        #SBATCH --job-name=pvserver
    after_header:
      description: Their paths on the cluster.
      returned: always
      type: str
      sample: /home/alice/.paraview-connect/5d0c1a4f9be27c36/job.sh, pvserver.sh
"""

# The code is in plugins/action/pvserver_job.py; it runs on the controller.
