#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: sshd_forwarding_info
short_description: Show what sshd lets connections forward, and which lines set it
version_added: 0.1.0
description:
  - Queries sshd for the forwarding policy of the given connections, and returns the file and line that each value comes from.
  - sshd reads the files as they are now. If the daemon was not reloaded since they changed, its values may differ.
extends_documentation_fragment:
  - sciviz.paraview.attributes.host
  - sciviz.paraview.sshd
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing.
  diff_mode:
    support: none
options:
  connections:
    description:
      - The connections to query. By default one of an ordinary user.
    type: list
    elements: dict
    default: []
    suboptions:
      user:
        description: The user.
        type: str
        default: nobody
      host:
        description: The name that the client's address resolves to.
        type: str
        default: host.example
      addr:
        description: The client's address.
        type: str
        default: 192.0.2.1
      laddr:
        description: The address that the client connects to.
        type: str
        default: 127.0.0.1
      lport:
        description: The port that the client connects to.
        type: int
        default: 22
      rdomain:
        description: The routing domain of the connection.
        type: str
        default: ""
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.sshd_forwarding
  - module: sciviz.paraview.forwarding_check
"""

EXAMPLES = r"""
- name: What may alice and bob forward?
  sciviz.paraview.sshd_forwarding_info:
    connections:
      - user: alice
      - user: bob
        addr: 198.18.1.10
  register: policy

- name: Show alice's policy
  ansible.builtin.debug:
    var: policy.connections[0].policy
"""

RETURN = r"""
main_file:
  description: The main file that was read.
  returned: success
  type: str
  sample: /etc/ssh/sshd_config
files:
  description: All files that sshd reads, in order.
  returned: success
  type: list
  elements: str
  sample: [/etc/ssh/sshd_config, /etc/ssh/sshd_config.d/50-site.conf]
connections:
  description: One entry for each connection.
  returned: success
  type: list
  elements: dict
  contains:
    connection:
      description: The connection, in the form that C(sshd -T -C) accepts.
      type: str
      sample: user=alice,host=host.example,addr=192.0.2.1,laddr=127.0.0.1,lport=22
    policy:
      description: The values, by the names of the options of M(sciviz.paraview.sshd_forwarding).
      type: dict
      sample: {allow_tcp_forwarding: local, gateway_ports: "no"}
    origins:
      description:
        - File, line and text of each value's origin, and the name of the policy of M(sciviz.paraview.sshd_forwarding) that the line
          belongs to, by the same names. A default of sshd has no entry.
      type: dict
      sample: {allow_tcp_forwarding: {file: /etc/ssh/sshd_config.d/50-site.conf, line: 3, text: AllowTcpForwarding local, policy: ""}}
    policies:
      description: Names of the policies of M(sciviz.paraview.sshd_forwarding) that apply. Of two that set the same value the first one counts.
      type: list
      elements: str
      sample: [viz, site]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import apply, config, own_policies, reports, samples
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import program as sshd

SPEC = {
    "connections": {"type": "list", "elements": "dict", "default": [], "options": samples.FIELDS},
    "path": {"type": "path", "default": "/etc/ssh/sshd_config"}, "sshd": {"type": "path"},
}


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        path = apply.main_file(module.params["path"])[0]
        program, warnings = apply.program_for(path, module.params["sshd"] or "", sshd.Daemon(), module.tmpdir)
        connections = samples.named(module.params["connections"] or [{}])
        tree = config.Tree(config.View(), path)
        if path not in tree.files:
            raise SessionError("there is no {0}".format(path), "", "correct path")
        found = program.effective(tree, [sample.connection for sample in connections])
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    except OSError as error:
        module.fail_json(msg="cannot query sshd\n{0}\nrun it as root".format(clean(str(error))))
    for warning in warnings:
        module.warn(warning)
    results = [{"connection": sample.label, "policy": reports.values(effective), "origins": reports.sources(effective, tree),
                "policies": own_policies.applied(tree, effective)} for sample, effective in zip(connections, found)]
    module.exit_json(changed=False, main_file=path, files=list(tree.files), connections=results)


if __name__ == "__main__":
    main()
