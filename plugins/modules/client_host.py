#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: client_host
short_description: Open the connection to the host on which ParaView runs
version_added: 0.1.0
description:
  - If a session has a client host (the option O(sciviz.paraview.session#module:client_host)), this module logs in there with the inventory's settings. The
    task must be delegated to that host.
  - The tunnel continues over this connection, to the loopback there. The process that holds the connection to the login node also holds this one, and
    both end together.
  - The connect-id is written into a file there that only its owner may read. It is removed when the session ends.
  - For a session without a client host it does nothing.
extends_documentation_fragment:
  - sciviz.paraview.attributes
  - sciviz.paraview.attributes.group
  - sciviz.paraview.session
  - sciviz.paraview.session.step
attributes:
  check_mode:
    support: partial
    details:
      - It really logs in, since the following steps run their checks over this connection. The connection ends with the playbook.
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
    - The control master's socket of the connection to the client host; empty if the session has none.
  returned: success
  type: str
"""

# The code is in plugins/action/client_host.py; it runs on the controller.
