#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: session_logs
short_description: Show the logs of a session
version_added: 0.1.0
description:
  - Shows what the programs of a session have written, in one stream. Each line begins with the name of its source. V(session) is the session itself,
    V(job) the batch system's output file, V(pvserver) pvserver, V(agent) and V(stub) the programs that keep the bytes of a connection that is lost,
    V(daemon) the process that holds the connection, and V(client) the ParaView that connect started on this machine.
  - The lines are in the order of their times. A line without a time follows the line before it in its source. A time without a zone is taken for that of
    this machine.
  - Files on the cluster are read over the session's open connection. It never logs in.
  - The files of a session are removed when it ends. If a session has failed while no playbook followed it, the files on this machine stay until the next
    connect. A line reports what cannot be read, and why.
  - Control characters are removed, and connect-ids are replaced by three asterisks. Of each file the last 256 KiB are read, and of each line the last
    1000 characters are shown.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  lines:
    description:
      - How many lines are shown at most, and returned. With O(follow) it is the number of lines at the start.
    type: int
    default: 200
  follow:
    description:
      - Whether new lines are shown until the session ends, or until Ctrl-C. Ctrl-C does not affect the session.
    type: bool
    default: false
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session_info
"""

EXAMPLES = r"""
- name: Show the last lines of a session
  hosts: cluster
  gather_facts: false
  tasks:
    - name: Show them
      sciviz.paraview.session_logs:
        lines: 50
"""

RETURN = r"""
lines:
  description: The lines that were shown last.
  returned: success
  type: list
  elements: dict
  contains:
    at:
      description: Its time, or that of the line before it, in seconds since 1970.
      returned: always
      type: float
      sample: 1796110000.5
    source:
      description: The program that wrote it.
      returned: always
      type: str
      sample: pvserver
    text:
      description: Its text.
      returned: always
      type: str
      sample: Client connected.
missing:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: str
  sample: []
"""

# The code is in plugins/action/session_logs.py; it runs on the controller.
