# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as text."""

import ipaddress


def address(text: str) -> str:
    """An IP address, or an empty text if it is not one. Host names are refused: ssh may pass one to a shell (ProxyCommand)."""
    try:
        # A scope (after %) may be any text.
        return "" if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return ""
