#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: ssh_forward
short_description: Put up or take down an ssh forward on a session's connection
version_added: 0.1.0
description:
  - Puts up one port forwarding on the connection that M(sciviz.paraview.ssh_master) opened, and looks whether it listens where it was asked to.
    One that listens elsewhere, as with V(GatewayPorts no), is taken down again and is an error.
  - It stays for as long as the session's connection does.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - No forward is put up or taken down. RV(listen_port) is then what was asked for.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  direction:
    description:
      - V(local) listens on the controller and leads to the login node's side (C(ssh -L)).
      - V(remote) listens on the login node and leads to the controller's side (C(ssh -R)).
    type: str
    choices: [local, remote]
    required: true
  listen_address:
    description:
      - IPv4 address to listen on. Whoever can dial it can use the forward.
      - For V(remote) the sshd of the login node decides (GatewayPorts).
    type: str
    default: 127.0.0.1
  listen_port:
    description:
      - Port to listen on. V(0) takes a free one.
    type: int
    default: 0
  to_host:
    description:
      - Where the forward leads, as the other side knows it.
    type: str
    default: 127.0.0.1
  to_port:
    description:
      - The port there.
    type: int
    required: true
  state:
    description:
      - Whether there shall be such a forward.
      - With V(absent) and O(listen_port=0) the first forward with the same O(listen_address), O(to_host) and O(to_port) is taken down.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A failed task ends a session that the same playbook began.
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.ssh_master
    description: It has to come before, unless a session is open.
"""

EXAMPLES = r"""
- name: Read a page that only the login node can reach
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Begin a session
      sciviz.paraview.session:

    - name: Log in
      sciviz.paraview.ssh_master:

    - name: Lead a free local port there
      sciviz.paraview.ssh_forward:
        direction: local
        to_host: monitor.cluster.internal
        to_port: 8080
      register: forward

    - name: Read it
      ansible.builtin.uri:
        url: "http://127.0.0.1:{{ forward.listen_port }}/"
      delegate_to: localhost
      vars:
        ansible_connection: local

- name: Reach Catalyst Live in the job of a session that is open
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Look at the session
      sciviz.paraview.session_info:
        names: ["{{ inventory_hostname }}"]
      register: known

    - name: Lead local port 22222 to its root node until the session ends
      sciviz.paraview.ssh_forward:
        direction: local
        listen_port: 22222
        to_host: "{{ known.sessions[0].nodes[0] }}"
        to_port: 22222
"""

RETURN = r"""
listen_port:
  description:
    - The port that the forward listens on. In check mode V(0) stands for one that is not known yet.
  returned: success, with O(state=present)
  type: int
  sample: 40123
"""

# The code is in plugins/action/ssh_forward.py; it runs on the controller.
