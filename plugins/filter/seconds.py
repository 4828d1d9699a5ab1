# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that reads a duration."""

DOCUMENTATION = r"""
name: seconds
author: The sciviz.paraview developers (@sciviz)
version_added: 0.1.0
short_description: Seconds of a duration such as 90s, 15m or 2h
description:
  - Parses durations in the format of this collection's variables.
  - A number without a unit is refused, since it may mean seconds or minutes.
options:
  _input:
    description: V(90s), V(15m), V(2h), V(1d), V(1:30:00) or V(2-00:00:00).
    type: str
    required: true
  zero:
    description: Whether V(0s) is allowed.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Wait as long as a user may
  ansible.builtin.wait_for:
    port: 11111
    timeout: "{{ paraview_client_timeout | sciviz.paraview.seconds }}"
"""

RETURN = r"""
_value:
  description: The seconds.
  type: int
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations


def seconds(value, zero=False):
    """int: the seconds of a duration; AnsibleFilterError if it is not valid."""
    try:
        return durations.parse(value, zero)
    except ValueError as error:
        raise AnsibleFilterError(str(error))


class FilterModule:
    """The filter, by name."""

    def filters(self):
        return {"seconds": seconds}
