#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: ssh_master
short_description: Open the one authenticated connection of a session
version_added: 0.1.0
description:
  - Logs in to the login node once, as the inventory says (C(ansible_host), C(ansible_user), C(ansible_port),
    C(ansible_ssh_private_key_file), C(ansible_ssh_common_args) and so on), and leaves an ssh control master.
  - Every later step, forward and look of the session uses this connection. So can other tasks of a playbook.
  - The connection is held by a process of this collection on the controller. It ends with the playbook, or with the job once the
    session is handed over.
  - Where ssh's configuration names a control socket for the login node, and a control master answers there, that one is used. It stays
    when the session ends.
  - What ssh asks (a passphrase, a password, a one-time code, whether a host key is right) is asked at the terminal in which the playbook runs,
    behind the name of the host.
    Without a terminal the login fails, and the error names the question. C(ansible_password) answers for the password of this host, once.
  - It has to be a host with the connection plugin V(ssh). A host key is never accepted unasked.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: partial
    details:
      - It really logs in, since the steps that follow only look by this connection. It ends with the playbook.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - OpenSSH's client on the controller
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.ssh_forward
"""

EXAMPLES = r"""
- name: Ask a batch system by a session's connection
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin the session
      sciviz.paraview.session:

    - name: Log in
      sciviz.paraview.ssh_master:
      register: login

    - name: List one's own jobs, without logging in again
      ansible.builtin.raw: squeue -h -u "$(id -un)"
      changed_when: false
      check_mode: false
      vars:
        # Ansible and ssh each take two % for one.
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
