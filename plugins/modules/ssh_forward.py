#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: ssh_forward
short_description: Set up or remove an ssh forward on a session's connection
version_added: 0.1.0
description:
  - Sets up one port forwarding on the connection of a session, and checks whether it listens on the requested address.
    If it listens elsewhere, as with V(GatewayPorts no), it is removed, and the task fails.
  - It exists as long as the session's connection.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
attributes:
  check_mode:
    support: full
    details:
      - No forward is set up or removed. RV(listen_port) is then the requested port.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  direction:
    description:
      - V(local) listens on the controller and connects from the login node (C(ssh -L)).
      - V(remote) listens on the login node and connects from the controller (C(ssh -R)).
    type: str
    choices: [local, remote]
    required: true
  listen_address:
    description:
      - IPv4 address to listen on. Every process that can connect to it can use the forward.
      - For V(remote), the login node's sshd decides whether this address is allowed (GatewayPorts).
    type: str
    default: 127.0.0.1
  listen_port:
    description:
      - Port to listen on. V(0) chooses a free one.
    type: int
    default: 0
  to_host:
    description:
      - Host to which the forward connects, by its name or address on the other side.
    type: str
    default: 127.0.0.1
  to_port:
    description:
      - Port of that host.
    type: int
    required: true
  state:
    description:
      - Whether the forward should exist.
      - With V(absent) and O(listen_port=0), the first forward with the same O(listen_address), O(to_host) and O(to_port) is removed.
    type: str
    choices: [present, absent]
    default: present
notes:
  - The session needs a connection, which it has once M(sciviz.paraview.session_wait) has returned, or after M(sciviz.paraview.ssh_master).
  - If the task fails, a session that M(sciviz.paraview.session_wait) has reported as ready continues. A session that the same playbook began with
    O(sciviz.paraview.session#module:state=present) ends.
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.session_wait
  - module: sciviz.paraview.ssh_master
    description: For a session without a job.
"""

EXAMPLES = r"""
- name: Connect, and read a page that only the login node can reach
  hosts: frontera
  gather_facts: false
  tasks:
    - name: Start a session
      sciviz.paraview.session:
        state: started

    - name: Wait until it is ready
      sciviz.paraview.session_wait:

    - name: Forward a free local port to that page
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
    - name: Query the session
      sciviz.paraview.session_info:
        names: ["{{ inventory_hostname }}"]
      register: info

    - name: Forward local port 22222 to its root node until the session ends
      sciviz.paraview.ssh_forward:
        direction: local
        listen_port: 22222
        to_host: "{{ info.sessions[0].nodes[0] }}"
        to_port: 22222
"""

RETURN = r"""
listen_port:
  description:
    - The port that the forward listens on. In check mode, V(0) stands for a port that is still to be chosen.
  returned: success, with O(state=present)
  type: int
  sample: 40123
"""

# The code is in plugins/action/ssh_forward.py; it runs on the controller.
