# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that is used for its effect: a playbook's lines appear immediately, also in a pipe."""

DOCUMENTATION = r"""
name: live
author: The sciviz.paraview developers (@sciviz)
version_added: 0.1.0
short_description: Show a playbook's output line by line
description:
  - Ansible never flushes its standard output, so that in a pipe or a file the lines of a long task appear long after they were
    printed. If the main process evaluates this filter, as in O(ignore:hosts) of a play, standard output becomes
    line-buffered from then on.
options:
  _input:
    description: Any value.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Connect ParaView
  hosts: "{{ 'clusters' | sciviz.paraview.live }}"
  gather_facts: false
  roles:
    - sciviz.paraview.connect
"""

RETURN = r"""
_value:
  description: The value, unchanged.
  type: raw
"""

import sys


def live(value):
    """The value itself."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)
    return value


class FilterModule:
    """The filter, by name."""

    def filters(self):
        return {"live": live}
