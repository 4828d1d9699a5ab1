# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide for the relay agrees with the program and the role in configuration keys, defaults and errors."""

import re

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations
from conftest import TOP
from relay import module

GUIDE = (TOP / "docs/docsite/rst/guide_relay.rst").read_text()
ROLE = TOP / "roles/relay"


def table(head):
    """The rows of the table with this head, as name and rest."""
    (body,) = re.findall(r"(?ms)^{0} .*?^====.*?\n(.*?)^====".format(re.escape(head)), GUIDE)
    return re.findall(r"(?m)^``(\w+)``  +(.*)$", body)


@pytest.mark.parametrize(("head", "keys"), [("in ``[route NAME]``", "ROUTE_KEYS"), ("in ``[relay]``", "RELAY_KEYS")])
def test_every_key(head, keys):
    rows, definitions = table(head), getattr(module(), keys)
    assert [name for name, _rest in rows] == list(definitions)
    for name, rest in rows:
        default = re.match(r"(\d+|off) ", rest)
        if default:
            assert definitions[name].default == (0 if default.group(1) == "off" else int(default.group(1))), name


def test_the_example_is_valid():
    (example,) = re.findall(r"code-block:: ini\n\n((?:   .*\n|\n)+)", GUIDE)
    read = module().parse_configuration(re.sub(r"(?m)^   ", "", example).encode())
    assert [route.name for route in read.routes] == ["site", "licences"]
    assert read.routes[0].owner.restricted


def test_the_role_has_the_errors_of_the_guide():
    text = "".join(path.read_text() for folder in ("tasks", "vars") for path in (ROLE / folder).glob("*.yml"))
    rows = re.findall(r"(?m)^``([^`]+)``  +\S", GUIDE.split("\nit says ")[1])
    assert len(rows) >= 10
    for row in rows:
        for part in re.split(r"[A-Z]{3,}(?![a-z])", row) if "PBS" not in row else [row]:
            assert part.strip() in re.sub(r"\s+", " ", text), row


def test_the_role_and_the_program_have_the_same_defaults():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    relay = module()
    assert durations.parse(defaults["paraview_relay_wait"]) == relay.ROUTE_KEYS["wait_s"].default
    assert defaults["paraview_relay_max_sessions"] == relay.RELAY_KEYS["max_sessions"].default
    assert defaults["paraview_relay_max_sessions_per_source"] == relay.ROUTE_KEYS["max_sessions_per_source"].default
    assert "status': '{0}'".format(relay.STATUS_SOCKET) in (ROLE / "vars/main.yml").read_text()
