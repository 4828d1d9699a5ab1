# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role relay finds out whether the batch system answers the relay, or root for the table, and changes nothing if not."""

import json
import os
import re
import shlex
import subprocess
import sys

import jinja2
import pytest
import yaml
from conftest import TOP

NODE = {"account": "", "accounts": "", "uid": "0", "systemd": "252", "python": sys.executable, "batch": "none", "settings": "", "address": "eth1", "busy": ""}
# Runs the command, and writes down with which properties it would have run.
SYSTEMD_RUN = """#!/bin/sh
while :; do
    case $1 in
        --*) shift ;;
        -p) echo "$2" >> {0}/properties; shift 2 ;;
        -E) export "$2"; shift 2 ;;
        *) exec "$@" ;;
    esac
done
"""


@pytest.fixture(name="role")
def _role(tmp_path, program):
    """Runs the role with stand-ins for the batch system's commands; returns exit status and output."""
    program("systemd-run", SYSTEMD_RUN.format(tmp_path))
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "roles": ["sciviz.paraview.relay"]}]))

    def run(commands, **variables):
        for name, text in commands.items():
            program(name, "#!/bin/sh\n" + text)
        given = {"paraview_cluster_address": "198.18.2.1", "paraview_relay_networks": ["198.18.2.0/24"], "paraview_render_to": str(tmp_path / "files"),
                 "paraview__relay_node": dict(NODE, commands=str(tmp_path / "bin")), "ansible_python_interpreter": sys.executable,
                 "paraview__relay_site_file": {"path": "/etc/paraview-connect/site.yml", "diff": {"after": ""}}, **variables}
        command = [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", "localhost,", "-c", "local", str(play), "-e", json.dumps(given)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=dict(
            os.environ, ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default", ANSIBLE_NOCOLOR="1", HOME=str(tmp_path),
            PATH="{0}/bin:{1}".format(tmp_path, os.environ["PATH"])))
        return done.returncode, re.sub(r"\\n|\s+", " ", done.stdout.decode())
    return run


def properties(tmp_path):
    return (tmp_path / "properties").read_text().split("\n")


def test_a_batch_system_that_does_not_answer(role, tmp_path):
    code, text = role({"qselect": "echo 'qselect: cannot connect to server pbs9 (errno=0)' >&2\n", "qstat": "exit 1\n"}, paraview_relay_authorize="pbs")
    assert code
    for words in ("pbs does not answer the relay", "cannot connect to server pbs9 (errno=0)", "/etc/nsswitch.conf", "libmunge-dev", "nothing was changed",
                  "or set paraview_relay_authorize to table"):
        assert words in text
    assert {"DynamicUser=yes", "User=pvrelay", "NoNewPrivileges=yes"} <= set(properties(tmp_path)), "the service's own account and sandbox"
    assert not (tmp_path / "files").exists()


def test_a_batch_system_that_does_not_answer_root(role, tmp_path):
    code, text = role({"squeue": "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1\n"},
                      paraview_relay_authorize="table", paraview_relay_table_system="slurm")
    assert code
    for words in ("slurm does not show root the nodes of all users", "Unable to contact slurm controller", "nothing was changed"):
        assert words in text
    assert not (tmp_path / "files").exists()


def test_the_files_of_a_table(role, tmp_path):
    code, text = role({"squeue": "echo '3001|RUNNING|n1'\n", "scontrol": "echo NodeName=n1 NodeAddr=n1\n"}, paraview_relay_authorize="table",
                      paraview_relay_table_system="slurm", paraview_relay_table_period="1m")
    assert not code, text
    found = properties(tmp_path)
    assert [line for line in found if line.startswith(("DynamicUser=", "User="))] == [], "root writes the table"
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE"} <= set(found)
    files = tmp_path / "files/localhost"
    unit = (files / "etc/systemd/system/paraview-relay-nodes.service").read_text()
    assert " write slurm 60 /run/paraview-relay-nodes/table\n" in unit
    assert [line for line in found if line and line not in unit.split("\n")] == [], "it was checked with what it will run with"
    assert "OnUnitActiveSec=60\n" in (files / "etc/systemd/system/paraview-relay-nodes.timer").read_text()
    assert "\nUser=pvrelay\n" in (files / "etc/systemd/system/paraview-relay.service").read_text()
    assert (files / "etc/sysusers.d/paraview-relay.conf").read_text().endswith('\nu pvrelay - "sciviz.paraview relay"\n')
    configuration = (files / "etc/paraview-relay.conf").read_text()
    assert re.search(r"(?m)^authorize = .*/paraview-relay-authorize table$", configuration)
    assert "max_sessions_per_owner = 250\n" in configuration
    assert "hold_s = 100\n" in configuration, "a job that just started is not refused before the next table"


@pytest.mark.parametrize(("name", "value"), [
    ("user", "root"), ("user", "a b"), ("table_period", "5s"), ("table_system", "none of these"), ("authorize", "tables")])
def test_wrong_values(role, name, value):
    code, text = role({}, **{"paraview_relay_authorize": "table", "paraview_relay_table_system": "none", "paraview_relay_" + name: value})
    assert code
    assert "paraview_relay_{0} is not valid".format(name) in text or "value of paraview_relay_{0} must be one of".format(name) in text


@pytest.mark.parametrize(("wanted", "batch", "place"), [
    ("auto", "slurm", "one"), ("slurm", "slurm", "one"), ("pbs", "pbs", "two"), ("sge", "pbs", "two"), ("none", "slurm", "one"),
    ("/opt/ask it", "slurm", "one")])
def test_a_host_with_commands_of_two_batch_systems(tmp_path, wanted, batch, place):
    for folder, name, text in (("one", "squeue", "echo slurm 24.05.2"), ("two", "qstat", "echo pbs_version = 22.05.11")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("#!/bin/sh\n" + text + "\n")
        (tmp_path / folder / name).chmod(0o755)
    host = jinja2.Environment(autoescape=False)  # noqa: S701 (a shell script)
    host.filters["quote"] = shlex.quote
    script = host.from_string((TOP / "roles/relay/templates/inspect.sh.j2").read_text()).render(
        paraview__relay_wanted=wanted, paraview_relay_python=sys.executable, paraview_cluster_address="192.0.2.1", paraview__relay_host="192.0.2.1",
        paraview__relay_low=11111, paraview__relay_high=11112, paraview__relay_unit="paraview-relay-of-a-test.service", paraview__relay_units=str(tmp_path),
        paraview_relay_firewall="none", paraview_relay_user="root", paraview__relay_account_comment="no such comment")
    done = subprocess.run(["/bin/sh", "-c", script], stdout=subprocess.PIPE, check=True, env={"PATH": "{0}/one:{0}/two:/usr/bin:/bin".format(tmp_path)})
    found = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert (found["batch"], found["commands"]) == (batch, str(tmp_path / place))
    assert (found["account"], found["accounts"]) == ("0", "")
