# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the modules for sshd agrees with their options."""

import shlex

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import policy, samples
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import program as sshd
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd.rollback import Rollback
from ansible_collections.sciviz.paraview.plugins.modules import sshd_forwarding
from login_node import real_sshd
from test_documentation import CHECKED, TOP, documentation, module

MODULES = sorted(path.stem for path in (TOP / "plugins/modules").glob("sshd_forwarding*.py"))


def comparable(options, inner):
    """Options as both the documentation and the specification have them, down to suboptions."""
    return {name: {**{key: about[key] for key in CHECKED if key in about},
                   **({"options": comparable(about[inner], inner)} if about.get(inner) else {})} for name, about in options.items()}


def tasks(name):
    return [task["sciviz.paraview." + name] or {} for task in yaml.safe_load(module("modules", name).EXAMPLES) if "sciviz.paraview." + name in task]


def test_list_of_modules():
    assert MODULES == ["sshd_forwarding", "sshd_forwarding_confirm", "sshd_forwarding_info"]


@pytest.mark.parametrize("name", MODULES)
def test_options_are_the_documented_ones(name):
    assert comparable(documentation(name)["options"], "suboptions") == comparable(module("modules", name).SPEC, "options")


@pytest.mark.parametrize("name", MODULES)
def test_documentation_is_complete(name):
    about = documentation(name)
    assert about["module"] == name
    assert {"short_description", "description", "version_added", "author", "seealso"} <= set(about)
    assert all("support" in about["attributes"][attribute] for attribute in ("check_mode", "diff_mode", "idempotent", "platform"))
    assert yaml.safe_load(module("modules", name).RETURN)
    for options in [about["options"], *[option.get("suboptions", {}) for option in about["options"].values()]]:
        assert all(option.get("description") for option in options.values())


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_existing_options(name):
    assert tasks(name)
    for task in tasks(name):
        assert set(task) <= set(module("modules", name).SPEC)


def test_examples_are_policies():
    for task in tasks("sshd_forwarding"):
        policy.check_name(task.get("name", "forwarding"))
        match = policy.criteria(task.get("match"))
        assert task.get("state") == "absent" or "Match" in policy.body(policy.policy(task), match)[0]
        samples.named(task.get("verify", []))


def test_every_keyword_is_an_option():
    spec = module("modules", "sshd_forwarding").SPEC
    assert set(policy.KEYWORDS) < set(spec)
    assert all("default" not in spec[option] for option in policy.KEYWORDS), "an option that is not given changes nothing"


@pytest.mark.parametrize(("name", "option"), [("sshd_forwarding", "verify"), ("sshd_forwarding_info", "connections")])
def test_defaults_of_a_connection(name, option):
    fields = module("modules", name).SPEC[option]["options"]
    defaults = {field: about.get("default") for field, about in fields.items() if field in sshd.Connection._fields}
    assert samples.named([defaults])[0].connection == sshd.Connection()


def test_run_without_changes_warns_that_the_host_may_undo_the_policy(tmp_path, monkeypatch):
    """The host undoes an unconfirmed change together with every later one."""
    program = tmp_path / "sshd"
    program.write_text("#!/bin/sh\nexec {0} \"$@\"\n".format(" ".join(map(shlex.quote, real_sshd()))))
    program.chmod(0o755)
    main = tmp_path / "sshd_config"
    main.write_text("GatewayPorts no\n")
    timer = Rollback(str(tmp_path / "state" / "rollback"))
    monkeypatch.setattr(sshd_forwarding.rollback, "Rollback", lambda: timer)
    arguments = {option: about.get("default") for option, about in sshd_forwarding.SPEC.items()}
    arguments.update(name="viz", match={"User": "alice"}, allow_tcp_forwarding="local", path=str(main), sshd=str(program), reload=False)
    assert sshd_forwarding.perform(arguments, False, str(tmp_path))["changed"]
    timer.arm({}, 300, "ssh.service", lambda argv, seconds: (0, "", ""))
    again = sshd_forwarding.perform(arguments, False, str(tmp_path))
    assert not again["changed"] and any("waits for its confirmation" in note for note in again["notes"])
