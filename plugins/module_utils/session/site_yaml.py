# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads site.yml with PyYAML. The daemon's processes run without site-packages, so the playbook passes PyYAML's directory to them."""

import typing as t


def load(text: str) -> t.Any:
    """The text's content; ValueError if it is not valid YAML."""
    try:
        import yaml
    except ImportError:
        raise ValueError("PyYAML is not installed")
    try:
        return yaml.safe_load(text)
    # A tag with a value that does not go with it raises other errors.
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, OverflowError, RecursionError):
        raise ValueError("it is not valid YAML")
