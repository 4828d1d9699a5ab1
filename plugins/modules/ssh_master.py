#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: ssh_master
short_description: Open the one authenticated connection of a session
version_added: 0.1.0
description:
  - Opens the connection of a session that was begun with O(sciviz.paraview.session#module:state=present), for playbooks that need only the connection.
    A session with O(sciviz.paraview.session#module:state=started) logs in by itself; this task then changes nothing.
  - Logs in to the login node once, with the inventory's settings (C(ansible_host), C(ansible_user), C(ansible_port),
    C(ansible_ssh_private_key_file), C(ansible_ssh_common_args) and so on), and leaves an ssh control master.
  - All later steps, forwards and checks of the session use this connection. Other tasks of a playbook can use it, too.
  - A process of this collection on the controller holds the connection. It ends with the playbook.
  - If the connection of an open session is lost and its user has to log in again, it logs in for that session.
  - If ssh's configuration names a control socket for the login node, and a control master answers there, that master is used. It stays
    when the session ends.
  - ssh's prompts (for a passphrase, a password, a one-time code, or to confirm a host key) appear in the terminal in which the playbook runs,
    after the name of the host.
    Without a terminal the login fails, and the error contains the prompt. C(ansible_password) answers the prompt for this host's password, once.
  - The host must use the connection plugin V(ssh). A host key is never accepted without the user's confirmation.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: partial
    details:
      - It really logs in, since later tasks run their checks over this connection. The connection ends with the playbook.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - OpenSSH's client on the controller
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session
  - module: sciviz.paraview.site_facts
  - module: sciviz.paraview.ssh_forward
"""

EXAMPLES = r"""
- name: Query a batch system over a session's connection
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin the session
      sciviz.paraview.session:

    - name: Log in
      sciviz.paraview.ssh_master:
      register: login

    - name: List the user's own jobs, without logging in again
      ansible.builtin.raw: squeue -h -u "$(id -un)"
      changed_when: false
      check_mode: false
      vars:
        # Ansible and ssh each read two % as one.
        ansible_control_path: "{{ login.control_path | replace('%', '%%%%') }}"
      register: jobs

    - name: Show them
      ansible.builtin.debug:
        var: jobs.stdout_lines
"""

RETURN = r"""
control_path:
  description:
    - The control master's socket, for C(ansible_control_path) of other tasks, or for C(ssh -S).
  returned: success
  type: str
  sample: /run/user/1000/paraview-connect/0f343b093112
"""

# The code is in plugins/action/ssh_master.py; it runs on the controller.
