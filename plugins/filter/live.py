# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that is used for its effect: a playbook's lines appear immediately, also in a pipe, and Ctrl-C is noticed."""

DOCUMENTATION = r"""
name: live
author: The sciviz.paraview developers (@sciviz)
version_added: 0.1.0
short_description: Show a playbook's output line by line, and notice Ctrl-C
positional: state_dir
description:
  - Ansible never flushes its standard output, so that in a pipe or a file the lines of a long task appear long after they were
    printed. If the main process evaluates this filter, as in O(ignore:hosts) of a play, standard output becomes
    line-buffered from then on.
  - Ctrl-C then also ends sessions whose tasks do not run at that moment. A playbook that is killed leaves its sessions running.
options:
  state_dir:
    description: The directory of session records, as in O(sciviz.paraview.session#module:state_dir).
    type: str
    default: ""
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

import contextlib
import os
import sys
import threading

from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.session import interruption, record

# Seconds that a playbook may take to end after Ctrl-C.
_LIMIT = 20.0


def live(value, state_dir=""):
    """The value itself."""
    if threading.current_thread() is threading.main_thread():
        # A directory that is refused is reported by the tasks.
        with contextlib.suppress(SessionError):
            interruption.note_on_sigint(record.state_directory(str(state_dir)), os.getpid(), _LIMIT)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)
    return value


class FilterModule:
    """The filter, by name."""

    def filters(self):
        return {"live": live}
