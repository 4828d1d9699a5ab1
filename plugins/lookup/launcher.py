# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher for login nodes, packed into one file on the controller."""

DOCUMENTATION = r"""
name: launcher
author: The sciviz.paraview developers (@sciviz)
version_added: 0.1.0
short_description: Pack the launcher for login nodes
description:
  - Packs C(paraview-launch), which runs on a login node and starts pvserver for users of plain ssh, into one file. It is the same code
    that connect runs, and it includes the relay's program.
  - The same collection packs the same bytes each time. If the controller has C(jmespath), it is included.
  - Returns the path of the file on the controller. It is removed when the run ends.
options:
  _terms:
    description: The absolute path of the Python, 3.6 or newer, that runs it on the login node.
    required: true
  defaults:
    description:
      - Defaults of the program's options, by name, such as C(walltime) or C(pvserver).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Install the launcher
  ansible.builtin.copy:
    src: "{{ lookup('sciviz.paraview.launcher', '/usr/bin/python3', defaults={'walltime': '30m'}) }}"
    dest: /usr/local/bin/paraview-launch
    owner: root
    group: root
    mode: "0755"
    validate: /usr/bin/python3 -IS %s about
"""

RETURN = r"""
_raw:
  description: Paths on the controller.
  type: list
  elements: path
"""

import hashlib
import os

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils.common.errors import SessionError
from ..module_utils.launcher.options import with_option_names
from ..plugin_utils.launcher_archive import build


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [_written(build(str(term), self.get_option("defaults"))) for term in terms]
        except SessionError as error:
            raise AnsibleError("the launcher cannot be packed\n" + with_option_names(str(error)))


def _written(program):
    # Ansible creates this private directory for each run, and removes it afterwards.
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, "paraview-launch-" + hashlib.sha256(program).hexdigest()[:16])
    temporary = "{0}.{1}".format(path, os.getpid())
    with open(temporary, "wb") as stream:
        stream.write(program)
    os.rename(temporary, path)
    return path
