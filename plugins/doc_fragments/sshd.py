# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules for sshd's configuration share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The main configuration file of sshd. If it does not exist and the vendor's C(/usr/etc/ssh/sshd_config) does, that one is read,
        and is not changed.
    type: path
    default: /etc/ssh/sshd_config
  sshd:
    description:
      - The sshd program. By default it is searched on the C(PATH) and in C(/usr/sbin).
    type: path
requirements:
  - OpenSSH's sshd, 7.4 or later, on the host
  - Python 3.6 or later on the host
notes:
  - Needs root, since C(sshd -T) reads the host keys.
"""
