# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions on a session have in common."""

from __future__ import annotations


class ModuleDocFragment:
    # The options that every action of the collection takes
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the session. Its record is found by it, and the lines shown begin with it.
      - By default the name of the inventory host.
    type: str
  state_dir:
    description:
      - Directory of the session records. Only its owner may enter it.
      - By default C(paraview-connect) below E(XDG_STATE_HOME), and where that is not set, below C(~/.local/state).
    type: str
    default: ""
"""

    # What is true of every step of a session
    STEP = r"""
options: {}
notes:
  - This is one step of a session that M(sciviz.paraview.session) began. The role P(sciviz.paraview.connect#role) has all of them in their order.
  - A session that is not handed over by M(sciviz.paraview.paraview_client) is undone when the playbook that began it ends,
    and at once when one of its steps fails.
"""
