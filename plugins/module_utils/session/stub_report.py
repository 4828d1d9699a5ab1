# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What paraview-lifeline's stub next to ParaView reports about itself, in a file of the session's directory."""

import json
import typing as t

from ..common import ownership
from ..common.json_types import is_a

#: The name of the file.
NAME = "stub.json"
_TYPES = {"state": str, "reason": str, "listening": str, "line": str, "paraview": str, "left": str, "waiting_bytes": int, "losses": int, "encrypted": bool}


def read(path: str) -> t.Dict[str, t.Any]:
    """The report; empty if there is none. What has another type than it should have is left out."""
    try:
        report = json.loads(ownership.read_own(path))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(report, dict):
        return {}
    return {name: value for name, value in report.items() if name not in _TYPES or is_a(value, _TYPES[name])}
