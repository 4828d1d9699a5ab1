#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: scheduler_answer
short_description: Tell what a batch system's table makes of a recorded answer
version_added: 0.1.0
description:
  - Reads what a batch system's command was recorded to print, as M(sciviz.paraview.pvserver_job) would read it, and shows it as one line of JSON.
    So a site can try a table of its own without a cluster.
  - The playbook C(sciviz.paraview.try_scheduler) runs it.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - It looks only. O(json) is written in check mode as well.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - What the line begins with.
      - By default the name of the inventory host.
  scheduler:
    description:
      - The batch system whose table is tried; one that is shipped, or one of O(schedulers).
    type: str
    required: true
  schedulers:
    description:
      - Tables of your own, as O(sciviz.paraview.session#module:schedulers) takes them.
    type: dict
    default: {}
  job_id:
    description:
      - The job that the answer is about.
    type: str
    required: true
  answer:
    description:
      - A file with the recorded answer in four parts, each below a line of its own, which are C(=== command), C(=== exit code), C(=== stdout) and
        C(=== stderr). What is not UTF-8 in it does no harm.
      - The command shows which of the table's questions was asked. Several answers may follow one another in one file. The further questions
        that the table has then find theirs.
    type: str
    required: true
  json:
    description:
      - File for the line, readable by its owner alone.
    type: str
    default: ""
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
"""

EXAMPLES = r"""
- name: See what PBS says of job 14
  sciviz.paraview.scheduler_answer:
    scheduler: pbs
    job_id: 14.login1
    answer: answers/held.txt

- name: Try a table of one's own
  sciviz.paraview.scheduler_answer:
    scheduler: night
    schedulers:
      night:
        based_on: pbs
        states:
          N: pending
    job_id: "14"
    answer: answers/night.txt
"""

RETURN = r"""
job:
  description: What is told of the job.
  returned: success
  type: dict
  contains:
    state:
      description:
        - One of V(pending), V(running), V(ended), V(failed), V(cancelled), V(unknown). It is V(unknown) where the answer says nothing of the job, and
          where the batch system knows no such job.
      returned: always
      type: str
      sample: pending
    native:
      description: The batch system's own word for it.
      returned: always
      type: str
      sample: Q
    reason:
      description: The batch system's own words on why.
      returned: always
      type: str
      sample: "Not Running: Not enough free nodes available"
    explanation:
      description: Our sentence for it.
      returned: always
      type: str
      sample: waits for nodes to become free
    never:
      description: Whether the job can never run as it is.
      returned: always
      type: bool
      sample: false
    nodes:
      description: The job's nodes, the root node first.
      returned: always
      type: list
      elements: str
      sample: []
    root_node:
      description: The first of them; empty where there is none yet.
      returned: always
      type: str
      sample: ""
    exit_status:
      description: The job's exit status; null where there is none.
      returned: always
      type: int
      sample: 3
    expected_start:
      description: When a pending job is expected to start, in the site's own time; null where that is not told.
      returned: always
      type: str
      sample: "2026-11-22T17:35:12"
"""

# The code is in plugins/action/scheduler_answer.py; it runs on the controller.
