# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of actions and roles has the options that they accept."""

import importlib
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings

TOP = Path(__file__).resolve().parents[2]
PLUGINS = "ansible_collections.sciviz.paraview.plugins"
ACTIONS = sorted(path.stem for path in (TOP / "plugins/action").glob("*.py") if path.stem != "__init__")
ROLES = sorted(path.parent.parent.name for path in (TOP / "roles").glob("*/tasks/main.yml"))
COMMON = {"name": {"type": "str"}, "state_dir": {"type": "str", "default": ""}}
CHECKED = ("type", "elements", "choices", "default", "required")


def module(kind, name):
    return importlib.import_module(f"{PLUGINS}.{kind}.{name}")


def documentation(name):
    """A module's documentation with its fragments' options and attributes filled in."""
    text = yaml.safe_load(module("modules", name).DOCUMENTATION)
    options, attributes = text.get("options", {}), text.get("attributes", {})
    for fragment in (one for one in text.get("extends_documentation_fragment", []) if one.startswith("sciviz.")):
        file, _dot, part = fragment.removeprefix("sciviz.paraview.").partition(".")
        shared = yaml.safe_load(getattr(module("doc_fragments", file).ModuleDocFragment, part.upper() or "DOCUMENTATION"))
        for option, about in shared.get("options", {}).items():
            options[option] = {**about, **options.get(option, {})}
        for attribute, about in shared.get("attributes", {}).items():
            attributes[attribute] = {**about, **attributes.get(attribute, {})}
    return dict(text, options=options, attributes=attributes)


def comparable(options):
    return {name: {key: about[key] for key in CHECKED if key in about} for name, about in options.items()}


def spec_of_role(role):
    return yaml.safe_load((TOP / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


def defaults_of_role(role):
    return yaml.safe_load((TOP / "roles" / role / "defaults/main.yml").read_text())


def test_every_action_has_its_module_file():
    documented = {path.stem for path in (TOP / "plugins/modules").glob("*.py")}
    stubs = {name for name in documented if re.search(r"(?m)^# The code is in plugins/action/", (TOP / f"plugins/modules/{name}.py").read_text())}
    assert set(ACTIONS) <= documented
    assert stubs == set(ACTIONS)


@pytest.mark.parametrize("name", ACTIONS)
def test_options_of_an_action(name):
    spec = {**COMMON, **module("action", name).ActionModule.SPEC}
    assert comparable(documentation(name)["options"]) == comparable(spec)


@pytest.mark.parametrize("name", ACTIONS)
def test_documentation_of_an_action_is_complete(name):
    about = documentation(name)
    assert about["module"] == name
    assert {"short_description", "description", "version_added", "author"} <= set(about)
    assert all("support" in about["attributes"][attribute] for attribute in ("check_mode", "diff_mode", "idempotent"))
    assert yaml.safe_load(module("modules", name).EXAMPLES)
    assert yaml.safe_load(module("modules", name).RETURN)


def tasks_in(example):
    """Yields each module of ours in an example, with its arguments."""
    if isinstance(example, list):
        for one in example:
            yield from tasks_in(one)
    elif isinstance(example, dict):
        for key, value in example.items():
            name = key.removeprefix("sciviz.paraview.")
            if name != key and (TOP / f"plugins/modules/{name}.py").exists():
                yield name, value or {}
            yield from tasks_in(value)


@pytest.mark.parametrize("name", ACTIONS)
def test_examples_of_an_action_use_existing_options(name):
    for used, arguments in tasks_in(yaml.safe_load(module("modules", name).EXAMPLES)):
        assert set(arguments) <= set(documentation(used)["options"]), used


def test_group_of_actions_is_the_documented_one():
    groups = yaml.safe_load((TOP / "meta/runtime.yml").read_text())["action_groups"]
    documented = {name for name in ACTIONS if "sciviz.paraview.attributes.group" in documentation(name)["extends_documentation_fragment"]}
    assert {name.rpartition(".")[2] for name in groups["session"]} == documented


def test_role_connect_has_the_options_of_the_session():
    spec = {f"paraview_{name}": about for name, about in settings.SPEC.items()}
    spec["paraview_state_dir"] = COMMON["state_dir"]
    assert comparable(spec_of_role("connect")) == comparable(spec)


def test_role_connect_passes_every_variable_on():
    text = (TOP / "roles/connect/tasks/begin.yml").read_text()
    begin = yaml.safe_load(text)[0]["sciviz.paraview.session"]
    assert begin == {"state": "started", "state_dir": "{{ paraview_state_dir }}",
                     **{name: f"{{{{ paraview_{name} }}}}" for name in settings.SPEC}}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_of_a_role(role):
    options = spec_of_role(role)
    assert all("default" in about or about.get("required") for about in options.values())
    assert defaults_of_role(role) == {name: about["default"] for name, about in options.items() if "default" in about}


@pytest.mark.parametrize("role", ROLES)
def test_readme_of_a_role_names_its_variables(role):
    text = (TOP / "roles" / role / "README.md").read_text()
    assert re.findall(r"(?m)^\| `(\w+)` \|", text) == list(spec_of_role(role))
