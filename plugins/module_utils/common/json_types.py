# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of values that come from JSON or YAML, in which true is no number."""

import typing as t


def is_a(value: t.Any, kind: type) -> bool:
    """Whether a value has this type. In Python, True is a number too; here it is none."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
