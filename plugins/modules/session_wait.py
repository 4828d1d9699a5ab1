#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: session_wait
short_description: Follow sessions until they are ready
version_added: 0.1.0
description:
  - A session that M(sciviz.paraview.session) has started with O(sciviz.paraview.session#module:state=started) makes itself ready. This module follows
    sessions, shows what happens in each of them, and returns once each of them is ready or has failed. With
    O(sciviz.paraview.session#module:detach) it returns once the job is submitted.
  - ssh's prompts (for a passphrase, a password, a one-time code, or to confirm a host key) appear in the terminal in which the playbook runs, after
    the name of the session, one at a time. Ctrl-C at a prompt ends that session alone. Without a terminal the login fails, and the error contains the prompt.
  - If the playbook is interrupted (Ctrl-C), the sessions end. If it is killed, or its terminal is closed, sessions whose jobs are submitted continue, as with
    O(sciviz.paraview.session#module:detach). Those whose jobs are not submitted, and those with O(sciviz.paraview.session#module:client_process), end.
  - Only sessions that this playbook has started are followed.
  - If P(sciviz.paraview.lines#callback) is the stdout callback, it shows the sessions in place of this module.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - It follows what a session does in check mode. The session ends with the task without O(names).
  diff_mode:
    support: full
    details:
      - In check mode, the job's scripts are the difference.
  idempotent:
    support: full
options:
  names:
    description:
      - Sessions to follow at the same time. The task then does not fail if a session fails; a task with O(followed), in a play on each host, does.
      - Without this option the session of this host is followed, and the task fails if the session fails.
    type: list
    elements: str
  followed:
    description:
      - The result of an earlier task with O(names). Nothing is followed then; the task has the result of this host's session, and fails if that failed.
    type: dict
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
  - module: sciviz.paraview.session_info
  - plugin: sciviz.paraview.lines
    plugin_type: callback
"""

EXAMPLES = r"""
- name: Connect to all clusters at the same time
  hosts: clusters
  gather_facts: false
  tasks:
    - name: Start a session
      sciviz.paraview.session:
        state: started

- name: Wait for all of them
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Follow the sessions
      sciviz.paraview.session_wait:
        names: "{{ groups['clusters'] }}"
      register: followed

- name: Check each of them
  hosts: clusters
  gather_facts: false
  tasks:
    - name: Fail if the session failed
      sciviz.paraview.session_wait:
        followed: "{{ hostvars['localhost']['followed'] }}"
"""

RETURN = r"""
session:
  description: The report on this host's session, as M(sciviz.paraview.session) returns it.
  returned: without O(names)
  type: dict
sessions:
  description: The results of the sessions that were followed, by their names. Each has C(session), and C(failed) and C(msg) if it failed.
  returned: with O(names)
  type: dict
error:
  description: The error for the user. C(host) is the session's name, C(lines) are the lines.
  returned: failure
  type: dict
  sample: {host: frontera, lines: ["no route works here", "node_tunnel: no ssh to nodes", "send this line to the site"]}
control_path:
  description:
    - The control master's socket of the session's connection, for C(ansible_control_path) of other tasks, or for C(ssh -S).
  returned: success, without O(names)
  type: str
  sample: /run/user/1000/paraview-connect/0f343b093112
"""

# The code is in plugins/action/session_wait.py; it runs on the controller.
