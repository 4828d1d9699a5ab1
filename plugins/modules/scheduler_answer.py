#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: scheduler_answer
short_description: Show how a batch system's table reads a recorded answer
version_added: 0.1.0
description:
  - Reads the recorded output of a batch system's command as a session would read it, and shows the result as one line of JSON. With it, a site can try
    a table of its own without a cluster.
  - The playbook C(sciviz.paraview.try_scheduler) runs it.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing but O(json), which is written in check mode as well.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - The beginning of the line.
      - By default the name of the inventory host.
  scheduler:
    description:
      - The batch system whose table is tried, a shipped one or one of O(schedulers).
    type: str
    required: true
  schedulers:
    description:
      - Tables of your own, in the form of O(sciviz.paraview.session#module:schedulers).
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
        C(=== stderr). Bytes that are not UTF-8 are replaced.
      - The command shows which of the table's questions was asked. One file may have several answers, one after another, for further questions
        of the table.
    type: str
    required: true
  json:
    description:
      - File for the line. Only its owner can read it.
    type: str
    default: ""
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
"""

EXAMPLES = r"""
- name: See what PBS reports about job 14
  sciviz.paraview.scheduler_answer:
    scheduler: pbs
    job_id: 14.login1
    answer: answers/held.txt

- name: Try a table of your own
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
  description: What the answer contains about the job.
  returned: success
  type: dict
  contains:
    state:
      description:
        - One of V(pending), V(running), V(ended), V(failed), V(cancelled), V(unknown). It is V(unknown) if the answer has nothing about the job, or if
          the batch system has no record of it.
      returned: always
      type: str
      sample: pending
    native:
      description: The batch system's own name for the state.
      returned: always
      type: str
      sample: Q
    reason:
      description: The batch system's own text on the reason.
      returned: always
      type: str
      sample: "Not Running: Not enough free nodes available"
    explanation:
      description: The same in a sentence.
      returned: always
      type: str
      sample: waits for nodes to become free
    never:
      description: Whether the job can never run as it is.
      returned: always
      type: bool
      sample: false
    warning:
      description: Whether the job waits for a reason that may last, so that it may wait in vain. O(schedulers) may change that for every reason.
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
      description: The first of them; empty if there is none yet.
      returned: always
      type: str
      sample: ""
    exit_status:
      description: The job's exit status; null if there is none.
      returned: always
      type: int
      sample: 3
    expected_start:
      description: When a pending job is expected to start, in the site's own time; null if that is unknown.
      returned: always
      type: str
      sample: "2026-11-22T17:35:12"
"""

# The code is in plugins/action/scheduler_answer.py; it runs on the controller.
