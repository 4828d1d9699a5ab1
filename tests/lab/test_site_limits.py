# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's site asks of sessions: nothing is submitted beyond a limit, during a maintenance or with an old version."""

import json

import pytest
from test_provision import administered

PLACE = "/etc/paraview-connect"


@pytest.fixture(name="publish")
def _publish(desk):
    """Writes the login node's site.yml."""
    yield lambda text: desk.lab.on("login", "sh", "-euc", f"mkdir -p {PLACE}; cat > {PLACE}/site.yml", input=text)
    desk.clean_up()
    desk.lab.on("login", "rm", "-rf", PLACE)


@pytest.mark.parametrize(("site", "settings", "words"), [
    ("closed: maintenance until 18:00\n", {}, ["accepts no new sessions", "maintenance until 18:00"]),
    ("minimum_version: \"99.0\"\n", {}, ["requires sciviz.paraview 99.0 or later", "ansible-galaxy collection install --upgrade"]),
    ("limits:\n  walltime: 10m\n", {"walltime": "20m"}, ["paraview_walltime: 0:20:00 is beyond the limit", "the site has set limits.walltime to 0:10:00"]),
    ("limits:\n  walltime: 10m\n", {"directives": ["--time=20"]}, ["paraview_walltime: 0:20:00 is beyond the limit", "paraview_directives"]),
    ("limits: {client_timeout: 5m}\n", {"client_timeout": "1h"}, ["paraview_client_timeout: 1:00:00 is beyond the limit"])])
def test_nothing_is_submitted(desk, publish, site, settings, words):
    publish(site)
    done = desk.connect(check=False, **settings)
    assert done.returncode == 2 and all(word in done.stdout for word in [*words, "nothing was submitted"]), done.stdout
    desk.nothing_left()


def test_a_maintenance_begins_while_a_session_is_open(desk, publish):
    publish("limits: {walltime: 10m}\nreconnect: false\n")
    lines = "\n".join(desk.lines(desk.connect(route="forward_tunnel")))
    assert "paraview_walltime is 0:10:00 on login" in lines and "0:10:00" in lines
    assert "no reconnection, since the site permits no logins without you" in lines
    publish("closed: maintenance until 18:00\n")
    desk.status()
    assert desk.report()["state"] == "ready" and desk.report()["lifeline"] is None and desk.report()["time_left_s"] <= 600
    assert "open already" in desk.connect().stdout
    desk.disconnect()
    desk.nothing_left()


def test_one_session_for_each_user(desk, publish):
    publish("limits: {sessions: 1}\n")
    desk.connect(route="forward_tunnel")
    name = "login.lab.example"
    done = desk.connect(name, check=False)
    assert done.returncode == 2 and "already: lab" in done.stdout and "disconnect -e host=lab" in done.stdout, done.stdout
    assert len(desk.jobs()) == 1
    desk.disconnect()
    desk.nothing_left()


def test_an_admin_closes_the_site_and_opens_it_again(desk, publish):
    """As the guide Provision login nodes shows it; the lines of others stay."""
    publish("# ours\nmessage: Welcome\n")

    def role(values, check=True):
        words = ["-e", json.dumps({"paraview_site_values": values})]
        return desk.lab.on("workstation", "ansible", "lab", "-b", "-m", "ansible.builtin.include_role", "-a", "name=sciviz.paraview.site", *words, check=check)

    role({"closed": "maintenance until 18:00", "limits": {"walltime": "8h"}})
    text = desk.lab.on("login", "cat", f"{PLACE}/site.yml", user="alice").stdout
    assert text == "# ours\nmessage: Welcome\nclosed: \"maintenance until 18:00\"\nlimits: {\"walltime\": \"8h\"}\n"
    assert "maintenance until 18:00" in desk.connect(check=False).stdout
    assert role({"limits": {"walltime": "8"}}, check=False).returncode != 0
    assert desk.lab.on("login", "cat", f"{PLACE}/site.yml").stdout == text
    role({"closed": None, "limits": None})
    assert desk.lab.on("login", "cat", f"{PLACE}/site.yml").stdout == "# ours\nmessage: Welcome\n"


def test_provision_publishes_the_values(lab):
    with administered(lab) as admin:
        done = admin.provision("--check", "--diff", site_values={"limits": {"walltime": "8h"}})
        assert '+limits: {"walltime": "8h"}' in done.stdout
        admin.provision(site_values={"limits": {"walltime": "8h"}})
        text = lab.on("login", "cat", f"{PLACE}/site.yml").stdout
        assert 'limits: {"walltime": "8h"}' in text and "forwarding_group" in text
        refused = admin.provision(site_values={"limits": {"walltme": "8h"}}, check=False)
        assert refused.returncode != 0 and "no login node was changed" in refused.stdout and "it is no limit" in refused.stdout
        assert lab.on("login", "cat", f"{PLACE}/site.yml").stdout == text
