#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: sshd_forwarding_confirm
short_description: Confirm a change of sshd over a new login
version_added: 0.1.0
description:
  - Keeps a change that M(sciviz.paraview.sshd_forwarding) made with O(sciviz.paraview.sshd_forwarding#module:confirm). Without this
    confirmation the host undoes the change by itself.
  - It must run over a login that is younger than the change, since an older login does not prove that a new one works. Put
    C(meta=reset_connection) before it.
extends_documentation_fragment:
  - sciviz.paraview.attributes.host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  new_login:
    description:
      - Whether the login must be younger than the change. With V(false) the change is kept without that test, for hosts that are not
        reached over ssh.
    type: bool
    default: true
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.sshd_forwarding
"""

EXAMPLES = r"""
- name: Change the policy, for two minutes
  sciviz.paraview.sshd_forwarding:
    name: viz
    match:
      Group: viz
    allow_tcp_forwarding: local
    confirm: 120

- name: Log in again
  ansible.builtin.meta: reset_connection

- name: Keep the change
  sciviz.paraview.sshd_forwarding_confirm:
"""

RETURN = r"""
confirmed:
  description: Whether a change was waiting for its confirmation.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import program, rollback

SPEC = {"new_login": {"type": "bool", "default": True}}


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    timer = rollback.Rollback()
    try:
        changed = timer.armed if module.check_mode else timer.confirm(program.run, module.params["new_login"])
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    except OSError as error:
        module.fail_json(msg="cannot confirm the change\n{0}\nrun it as root".format(clean(str(error))))
    module.exit_json(changed=changed, confirmed=changed)


if __name__ == "__main__":
    main()
