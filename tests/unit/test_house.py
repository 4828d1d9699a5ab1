# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of plugins/module_utils: each imports only from lower floors. `pytest -s tests/unit/test_house.py` prints the graph."""

import ast
import collections

import pytest
from conftest import TOP

HELPERS = TOP / "plugins/module_utils"
#: From the bottom up; packages on the same floor do not import each other.
FLOORS = (
    ("common",),
    ("schedulers", "ssh", "sshd", "paraview"),
    ("config",),
    ("cluster", "client"),
    ("routes", "dialog"),
    ("session", "launcher", "doctor"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(HELPERS.rglob("*.py"))


def imports(path):
    """list[tuple[str, str]]: the imports of a file: our package and the module, or ``("-", name)`` for any other module."""
    package = path.relative_to(HELPERS).parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            inner = package[:len(package) - node.level + 1] + tuple((node.module or "").split(".") if node.module else ())
            for name in [inner] if HELPERS.joinpath(*inner).with_suffix(".py").exists() else [(*inner, one.name) for one in node.names]:
                found.append((name[0], ".".join(name)))
        elif isinstance(node, ast.ImportFrom):
            found.append(("-", node.module))
        elif isinstance(node, ast.Import):
            found += [("-", one.name) for one in node.names]
    return found


def test_every_file_is_in_a_package_and_every_package_has_a_floor():
    assert {path.relative_to(HELPERS).parts[0] for path in FILES if path.name != "__init__.py"} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HELPERS)))
def test_a_package_imports_only_from_lower_floors(path):
    package = path.relative_to(HELPERS).parts[0]
    for other, name in imports(path):
        if other == "-":
            assert name.split(".")[0] not in ("ansible", "ansible_collections"), f"{name}: helpers do not import Ansible"
        else:
            assert HELPERS.joinpath(*name.split(".")).with_suffix(".py").exists(), f"there is no {name}"
            assert other == package or FLOOR[other] < FLOOR[package], f"{package} is on floor {FLOOR[package]}, {name} on floor {FLOOR[other]}"


def test_no_circular_imports():
    graph = {".".join(path.relative_to(HELPERS).with_suffix("").parts): {name for other, name in imports(path) if other != "-"} for path in FILES}
    done = []
    while len(done) < len(graph):
        free = [name for name, needs in graph.items() if name not in done and needs <= set(done)]
        assert free, f"circular imports: {sorted(set(graph) - set(done))}"
        done += free


def test_the_graph_of_the_packages():
    graph = collections.defaultdict(set)
    for path in FILES:
        package = path.relative_to(HELPERS).parts[0]
        graph[package] |= {other for other, _name in imports(path) if other not in ("-", package)}
    for number, names in reversed(list(enumerate(FLOORS))):
        for name in names:
            print(f"{number}  {name:10}  {' '.join(sorted(graph[name], key=lambda one: (-FLOOR[one], one)))}")
    assert not graph["common"]
