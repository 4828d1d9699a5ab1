# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated files are up to date, and each setting has the bounds in meta/settings.yml."""

import importlib.util
import re

import pytest
import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names, settings
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import rendering
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.tables.registry import TABLES
from conftest import TOP

_PLACE = importlib.util.spec_from_file_location("generate", TOP / "tests/tools/generate.py")
generate = importlib.util.module_from_spec(_PLACE)
_PLACE.loader.exec_module(generate)
SETTINGS, _ROLES = generate.source()
GENERATED = generate.generated()
DEFAULTS = {name: about["default"] for name, about in settings.SPEC.items()}
# Any text is valid, or another part of the code checks it.
FREE = {"client_host", "preset", "scheduler", "setup", "json", "note", "directives"}


def check(**values):
    return settings.check(dict(DEFAULTS, **values))


def refused(**values):
    with pytest.raises(SessionError) as caught:
        check(**values)
    return caught.value


@pytest.mark.parametrize("path", list(GENERATED))
def test_a_generated_file_is_up_to_date(path):
    assert (TOP / path).read_text() == GENERATED[path], "make generate writes something else"


def test_a_file_that_is_out_of_date_is_named(monkeypatch):
    monkeypatch.setattr(generate.sys, "argv", ["generate", "--check"])
    assert generate.main() == 0
    monkeypatch.setattr(generate, "generated", lambda: {"README.md": "x", "LICENSE": (TOP / "LICENSE").read_text()})
    assert generate.main() == "README.md: it differs from what make generate writes"


def test_a_description_that_yaml_misreads_is_refused():
    for text in ("Two words: one", "A number #1"):
        with pytest.raises(generate.Wrong, match="x: YAML does not read"):
            generate.options({"x": {"description": [text], "type": "str", "default": ""}}, "  ", True)


def test_variables_of_the_role_connect_have_a_full_name():
    (entry,) = generate.of_role({"test_job": {"option": "job", "description": ["O(job) with O(route=auto)"]}}).values()
    assert entry["description"] == ["O(paraview_test_job) with O(sciviz.paraview.connect#role:main:paraview_route=auto)"]


def test_names_are_the_ones_in_the_code():
    assert settings.SPEC["route"]["choices"] == ["auto", *route_names.ALL]
    assert settings.SPEC["route_order"]["choices"] == settings.SPEC["route_order"]["default"] == list(route_names.ORDER)
    assert settings.SPEC["rendering"]["choices"] == list(rendering.CHOICES)
    assert {system.NAME: system.TABLE["title"] for system in generate.batch_systems()} == {name: about["title"] for name, about in TABLES.items()}
    assert len({system.ORDER for system in generate.batch_systems()}) == len(TABLES)


def test_every_route_is_in_the_tables_of_the_documentation():
    assert re.findall(r"(?m)^\| `(\w+)` \| [^|]*\| [^|]*\|$", (TOP / "README.md").read_text()) == ["paraview_route", *route_names.ALL]
    table = (TOP / "docs/docsite/rst/guide_security.rst").read_text().partition("\nroute   ")[2]
    assert re.findall(r"(?m)^``(\w+)``  +\S", table) == list(route_names.ALL)


def test_every_setting_is_documented_and_bounded():
    for name, about in SETTINGS.items():
        assert about["short"] and about["description"] and "connect" in about["roles"], name
        assert about["type"] in ("bool", "dict") or name in FREE or {"choices", "minimum", "pattern", "form"} & set(about), f"{name} accepts anything"


@pytest.mark.parametrize("name", [name for name, about in SETTINGS.items() if "minimum" in about])
def test_a_number_is_bounded(name):
    about = SETTINGS[name]
    assert check(**{name: about["minimum"]})[name] == about["minimum"]
    wrong = [about["minimum"] - 1]
    if "maximum" in about:
        assert check(**{name: about["maximum"]})[name] == about["maximum"]
        wrong.append(about["maximum"] + 1)
    for value in wrong:
        error = refused(**{name: value})
        assert error.what == f"paraview_{name}: {value} is not valid" and error.why == about.get("hint", f"it has to be at least {about['minimum']}")


@pytest.mark.parametrize("name", [name for name, about in SETTINGS.items() if "pattern" in about])
def test_a_text_has_its_form(name):
    assert check(**{name: ""})[name] == ""
    for value in (" ", "a b", "a\n", "$(id)", "'"):
        assert refused(**{name: value}).why == SETTINGS[name].get("hint", generate.HINTS["pattern"])


def examples():
    for name, about in SETTINGS.items():
        for value in re.findall(r"\bV\(([^)]*)\)", " ".join(about["description"])):
            if value not in route_names.ALL and about["type"] != "bool":
                yield name, value


@pytest.mark.parametrize(("name", "text"), list(examples()))
def test_every_value_in_the_documentation_is_valid(name, text):
    kind, form = SETTINGS[name]["type"], SETTINGS[name].get("form")
    value = text if kind == "str" or kind == "raw" and form != "bool_or_command" else yaml.safe_load(text)
    check(**{name: [value] if kind == "list" and not isinstance(value, list) else value})
