# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a login node, gathered over a session's channel."""

import typing as t

import yaml

from ..module_utils.cluster import facts
from ..module_utils.ssh.channel import Channel


def facts_of(name: str, channel: Channel, tables: dict, show: t.Callable) -> dict:
    """cluster.facts.facts_of() with a YAML parser for site.yml."""
    return facts.facts_of(name, channel.script, tables, show, _load)


def _load(text):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError("it is no YAML")
