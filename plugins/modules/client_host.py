#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: client_host
short_description: Open the connection to the host on which ParaView runs
version_added: 0.1.0
description:
  - Where a session has a client host of its own (the option O(sciviz.paraview.session#module:client_host)), this logs in there, as the inventory says. The
    task has to be delegated to that host.
  - The tunnel goes on over this connection, to the loopback there. It is held by the same process as the connection to the login node, and ends with it.
  - The connect-id is put into a file there that its owner alone may read, and taken away when the session ends.
  - For a session without such a host it does nothing.
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
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.ssh_master
"""

EXAMPLES = r"""
- name: Begin the session
  sciviz.paraview.session:
    client_host: bigscreen
  register: begun

- name: Log in on the login node
  sciviz.paraview.ssh_master:

- name: Log in where ParaView runs
  sciviz.paraview.client_host:
    name: "{{ inventory_hostname }}"
  delegate_to: "{{ begun.client_host }}"
"""

RETURN = r"""
control_path:
  description:
    - The control master's socket of the connection to the client host, empty where the session has none.
  returned: success
  type: str
"""

# The code is in plugins/action/client_host.py; it runs on the controller.
