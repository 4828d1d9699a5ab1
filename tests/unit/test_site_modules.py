# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listings of environment modules."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import site_modules
from hypothesis import given
from hypothesis import strategies as st

TERSE = """/sw/north/modulefiles/core:
paraview/
paraview/5.11.0-egl
paraview/5.11.0-osmesa(default)
paraview/new(@paraview/5.13.3-egl)
paraview/5.13.3-egl <H>
paraview/5.4.0 <F>
libparaview-tools/
/sw/paraview/modulefiles:
"""
COLUMNS = """
------------------------------ /sw/ex109/modulefiles ------------------------------
paraview/5.12.0-egl           paraview/5.12.0-mesa(default)   paraview/5.13.1 (L,D)

---------------- \x1b[1;34m/apps/easybuild/modules/paraview\x1b[0m ----------------
   ParaView/5.10.0-CrayGNU-21.09-EGL    ParaView/5.11.2-foss-2023a-mpi (\x1b[4;31mD\x1b[0m)
   paraview-osmesa/5.12 (g)   apps/paraview/6.0.1   [1m

  Where:
   D:  Default Module
"""
SPIDER = """
------------------------------------------------------------
  visualization/paraview:
------------------------------------------------------------
     Versions:
        visualization/paraview/paraview-5.12.0-EGL
        visualization/paraview/paraview-6.0.1-EGL

  For detailed information about a specific "visualization/paraview" package (including how to load the modules) use the module's full name.
"""
OVERVIEW = """  ParaView: ParaView/5.11.2-foss-2023a, ParaView/5.13.2-foss-2023b
    ParaView is a scientific parallel visualizer. https://www.paraview.org
"""


@pytest.mark.parametrize(("text", "names"), [
    (TERSE, ["paraview/5.11.0-egl", "paraview/5.11.0-osmesa", "paraview/new", "paraview/5.13.3-egl"]),
    (COLUMNS, ["paraview/5.12.0-egl", "paraview/5.12.0-mesa", "paraview/5.13.1", "ParaView/5.10.0-CrayGNU-21.09-EGL", "ParaView/5.11.2-foss-2023a-mpi",
               "paraview-osmesa/5.12", "apps/paraview/6.0.1"]),
    (SPIDER, ["visualization/paraview/paraview-5.12.0-EGL", "visualization/paraview/paraview-6.0.1-EGL"]),
    ("vis/ParaView/5.6.2-intel-2019a-mpi\nparaview/5.11.0/gcc-12.2(default:lts)\n", ["vis/ParaView/5.6.2-intel-2019a-mpi", "paraview/5.11.0/gcc-12.2"]),
    ("No module(s) or extension(s) found!\nUse \"module spider\" to find all possible modules\n", []), ("module: command not found\n", []), ("", [])])
def test_names(text, names):
    assert site_modules.names(text) == names


def test_an_overview_with_other_text():
    assert [name for name in site_modules.names(OVERVIEW) if "/" in name] == ["ParaView/5.11.2-foss-2023a", "ParaView/5.13.2-foss-2023b"]


@given(st.text())
def test_a_name_is_a_single_word_for_the_shell_and_no_option(text):
    for name in site_modules.names(text):
        assert not set(name) & set(" \n'\"$`;&|<>\\#()*?") and not name.startswith("-")


def test_the_listing_script(script):
    """Environment Modules print the list to standard error, and Lmod lists more modules with spider."""
    module = "module() { case \"$*\" in '-t avail') printf '%s\\n' gcc/12 paraview/5.11.0 >&2;; '-t spider paraview') echo ParaView/5.13.2-foss;; esac; }\n"
    assert site_modules.names(script(module + site_modules.listing())[1]) == ["paraview/5.11.0"]
    assert site_modules.names(script("LMOD_CMD=x\n" + module + site_modules.listing())[1]) == ["paraview/5.11.0", "ParaView/5.13.2-foss"]
    assert site_modules.names(script(site_modules.listing())[1]) == []


def test_modules_that_are_loaded_before_the_listing(script):
    module = "module() { case $1 in load) more=$2;; *) printf '%s\\n' paraview/5.9.1 $more/paraview/5.13.1;; esac; }\n"
    assert site_modules.names(script(module + site_modules.listing(["ums"]))[1]) == ["paraview/5.9.1", "ums/paraview/5.13.1"]
