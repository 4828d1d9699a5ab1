# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites in docs/sites: what their jobs request, and how they start pvserver.

If a change of a text in tests/unit/sites is meant, RENEW_SITES=1 python -m pytest tests/unit/test_sites.py writes it again.
"""

import os
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_directory, job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import remote_directory, settings, settings_table
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import adaptation, answers, directives, node_names

TOP = Path(__file__).resolve().parents[2]
SITES = sorted(path.stem for path in (TOP / "docs/sites").glob("*.yml"))
GUIDE = (TOP / "docs/docsite/rst/guide_my_cluster.rst").read_text()


def text_of(name):
    return (TOP / "docs/sites" / f"{name}.yml").read_text()


def variables(name):
    """The variables of the only host of a site's file."""
    inventory = yaml.safe_load(text_of(name))
    assert list(inventory) == ["all"] and list(inventory["all"]["hosts"]) == [name]
    return inventory["all"]["hosts"][name]


def checked(name, **more):
    """The settings of a session with that site."""
    options = {option: about["default"] for option, about in settings.SPEC.items()}
    options.update({variable.removeprefix("paraview_"): value for variable, value in variables(name).items() if variable.startswith("paraview_")})
    return settings.check({**options, **more})


def table_of(options):
    return adaptation.tables(options)[options["scheduler"]]


def directory_of(options):
    """The directory of a session's files there, for an account alice."""
    place = options["remote_dir"]
    elsewhere = remote_directory.filled(place, {"USER": "alice"}, "the login node") if place else ""
    return job_directory.directory({"home": "/home/alice", "uid": 1001, "remote_dir": elsewhere}, "7")


def shown(name):
    """What is kept of a site's scripts: the directives, the modules, the shell lines of the site, the MPI launcher, and pvserver."""
    options = checked(name)
    table, directory = table_of(options), directory_of(options)
    files = job_scripts.files(table, directory, options, directives.requested(options, {}), options["modules"])
    prefix = table["directives"]["prefix"]
    head = [line for line in files["job.sh"].splitlines() if line.startswith(prefix)]
    script = files["pvserver.sh"]
    modules = re.findall(r"(?m)^for name in (.*); do$", script)
    launcher = re.search(r'(?m)^  set -- (.*) ?"\$@"$(?=\n  if \[ -n "\$limit")', script).group(1).strip()
    pvserver = re.search(r'(?m)^start (.*) "\$@"$', script.split("\ncd || :\n")[-1]).group(1)
    ranks = [f"sh {directory}/rank.sh"] if re.search(r"(?m)^xvfb='' .* own=1$", script) else []
    command = " ".join(filter(None, ["exec", launcher, *ranks, pvserver, '"$@"']))
    lines = [*head, *(f"module load {words}" for words in modules), *options["setup"].splitlines(), command]
    return "\n".join(re.sub(r"(sciviz\.paraview)-[0-9].*", r"\1", line) for line in lines) + "\n"


def test_there_is_a_site_for_each_kept_text():
    assert len(SITES) == 8
    assert sorted(path.stem for path in (TOP / "tests/unit/sites").glob("*.txt")) == SITES or os.environ.get("RENEW_SITES")


@pytest.mark.parametrize("name", SITES)
def test_the_job_of_a_site_is_the_kept_one(name):
    kept = TOP / "tests/unit/sites" / f"{name}.txt"
    if os.environ.get("RENEW_SITES"):
        kept.write_text(shown(name))
    assert shown(name) == kept.read_text(), "if this is meant: RENEW_SITES=1 python -m pytest tests/unit/test_sites.py"


@pytest.mark.parametrize("name", SITES)
def test_a_site_has_its_sources_their_date_and_what_is_unknown(name):
    text, values = text_of(name), variables(name)
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert re.search(r"Read on 20[0-9]{2}-[01][0-9]-[0-3][0-9]", comments) and "https://" in comments and "Unknown: " in comments
    assert values["paraview_note"].startswith("not tried there") and values["ansible_host"].count(".") > 1
    assert f"``{name}.yml``" in GUIDE


@pytest.mark.parametrize("name", SITES)
def test_a_site_sets_only_variables_that_exist(name):
    others = {variable for variable in variables(name) if variable.removeprefix("paraview_") not in settings_table.SPEC}
    assert others == {"ansible_host"}
    assert "{{" not in text_of(name), "a copied file is data"


def test_frontera_requests_no_memory():
    with pytest.raises(SessionError, match="paraview_memory"):
        checked("frontera", memory="64G")


@pytest.mark.parametrize(("printed", "reached"), [("jwb0007.juwels", "jwb0007i.juwels"), ("jwb1234", "jwb1234i"), ("jwlogin21.juwels", "jwlogin21.juwels")])
def test_juwels_reaches_nodes_by_their_other_name(printed, reached):
    assert node_names.reached(printed, checked("juwels-booster")["node_name"]) == reached


def test_archer2_keeps_the_files_of_a_session_outside_the_home():
    assert directory_of(checked("archer2")).startswith("/WORK_DIRECTORY/alice/")
    assert directory_of(checked("archer2", remote_dir="")).startswith("/home/alice/")


def test_every_later_command_about_a_job_at_lrz_names_the_cluster():
    table = table_of(checked("coolmuc4"))
    argv = answers.command(table, table["cancel"]["argv"], job_id="4711;inter")
    assert "inter" in argv and "4711" in argv


@pytest.mark.parametrize(("nodes", "memory", "gpus"), [(1, "389120mb", "4"), (3, "1167360mb", "12")])
def test_gadi_counts_memory_and_gpus_of_the_whole_job(nodes, memory, gpus):
    options = checked("gadi", nodes=nodes)
    head = directives.head(table_of(options), directives.requested(options, {}), "/o")
    assert {f"#PBS -l mem={memory}", f"#PBS -l ngpus={gpus}", f"#PBS -l ncpus={48 * nodes}"} <= set(head)
