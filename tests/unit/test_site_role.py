# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role site, which publishes what a site offers and asks, run on this machine with a file of the test."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts, site_file
from conftest import TOP

KEYS = yaml.safe_load((TOP / "roles/site/vars/main.yml").read_text())["paraview__site_keys"]


@pytest.fixture(name="rendered")
def _rendered(tmp_path):
    """Renders the site's values below a directory; returns the run, and the file's text."""
    def rendered(values):
        play = tmp_path / "play.yml"
        play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "connection": "local", "roles": ["sciviz.paraview.site"]}]))
        done = subprocess.run([os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(
            {"paraview_site_values": values, "paraview_render_to": str(tmp_path / "out"), "ansible_python_interpreter": sys.executable}), str(play)],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=dict(os.environ, ANSIBLE_LOCALHOST_WARNING="false"))
        place = tmp_path / "out/localhost/etc/paraview-connect/site.yml"
        return done, place.read_text() if place.exists() else ""

    return rendered


def test_values_are_published_and_read(rendered):
    values = {"limits": {"walltime": "8h", "sessions": 2}, "reconnect": False, "closed": "maintenance until 18:00", "minimum_version": "0.1",
              "reconnect_floor": 30, "queue": None}
    done, text = rendered(values)
    assert done.returncode == 0, done.stdout
    values.pop("queue")
    assert yaml.safe_load(text) == values == site_file.read(text)[0] and facts.faults(values) == []
    done, _text = rendered({**values, "closed": None})
    assert done.returncode == 0 and "closed" not in yaml.safe_load(_text)


@pytest.mark.parametrize(("values", "message"), [
    ({"relay": {"address": "10.0.0.1", "ports": "1-2"}}, "relay cannot be set"), ({"limits": {"walltime": "8"}}, "has no unit"),
    ({"reconnect": "no"}, "wrong type"), ({"walltime": "8h"}, "walltime cannot be set")])
def test_what_is_not_valid_is_refused(rendered, values, message):
    done, text = rendered(values)
    assert done.returncode == 2 and message in done.stdout and text == ""


def test_every_key_belongs_to_one_role():
    others = {"version", "cluster_address", "gateway_ports", "forwarding_group", "login_ports", "relay", "launcher", "forwarding_policy"}
    assert set(KEYS) | others == set(site_file.KEYS) and not set(KEYS) & others
    described = (TOP / "roles/site/meta/argument_specs.yml").read_text()
    assert all("V({0})".format(key) in described for key in KEYS)
