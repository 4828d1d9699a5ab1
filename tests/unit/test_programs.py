# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of roles: their paths, and their placeholders."""

import ast

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import programs
from ansible_collections.sciviz.paraview.plugins.plugin_utils import launcher_archive
from conftest import TOP

TEXT = """#!/bin/sh
# Who wrote it, and what @IT@ is for.

# BEGIN one
one() { echo "# no comment"; }  # a comment
  # a comment
# END one
@SETUP@
case $1 in
  # BEGIN one
  1) one;;
  # END one
  # BEGIN two
  2) two;;
  # END two
esac
"""


@pytest.fixture(name="filled")
def _filled(monkeypatch):
    monkeypatch.setattr(programs, "text", lambda role, name: TEXT)

    def filled(one, two, **values):
        return programs.filled("connect", "some.sh", {"one": one, "two": two}, values)
    return filled


def test_parts_are_kept_or_left_out(filled):
    assert filled(False, False, SETUP=":") == "#!/bin/sh\n:\ncase $1 in\nesac\n"
    assert filled(True, False, SETUP=":") == '#!/bin/sh\none() { echo "# no comment"; }  # a comment\n:\ncase $1 in\n  1) one;;\nesac\n'
    assert "2) two" in filled(True, True, SETUP=":")


def test_a_value_that_is_filled_in_does_not_change(filled):
    own = "#!/bin/bash\n\n# of mine\n# BEGIN one\necho @SETUP@ '\\1'\n# END one"
    assert filled(False, False, SETUP=own) == "#!/bin/sh\n" + own + "\ncase $1 in\nesac\n"


def test_an_unknown_placeholder_or_part(filled):
    with pytest.raises(KeyError, match="SETUP"):
        filled(True, True)
    with pytest.raises(KeyError, match="one"):
        programs.filled("connect", "some.sh", {"two": True}, {"SETUP": ""})


@pytest.mark.parametrize(("role", "name"), programs.OF_THE_LAUNCHER)
def test_programs_of_the_launcher_exist(role, name):
    assert programs.text(role, name).startswith(("#!/", "# shellcheck shell=sh\n"))
    assert (TOP / "roles" / role / "files" / name).samefile(programs.path(role, name))


def test_modules_do_not_need_programs():
    """Ansible sends a module's imports to another host, but no file of a role."""
    for path in sorted((TOP / "plugins/modules").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and "plugins.module_utils" in (node.module or ""):
                start = node.module.partition("plugins.module_utils.")[2]
                for name in [start] if (TOP / "plugins/module_utils").joinpath(*start.split(".")).with_suffix(".py").exists() else [
                        start + "." + one.name for one in node.names]:
                    assert "common.programs" not in launcher_archive.modules(TOP / "plugins/module_utils", name), path


def test_every_program_that_the_launcher_uses_is_packed():
    helpers = TOP / "plugins/module_utils"
    used = set()
    for name in launcher_archive.modules(helpers, launcher_archive.ENTRY):
        for node in ast.walk(ast.parse(helpers.joinpath(*name.split(".")).with_suffix(".py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "programs" and node.args:
                used.add(tuple(one.value if isinstance(one, ast.Constant) else "?" for one in node.args[:2]))
    # The launcher neither searches for ParaView nor starts it; "?" is rank.sh, which a constant names.
    used -= {("connect", "find_paraviews.sh"), ("connect", "client_host.sh"), ("connect", "?")}
    assert used == set(programs.OF_THE_LAUNCHER) - {("connect", "rank.sh")}
