# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of ParaView, in what programs print and in names of modules."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import versions
from hypothesis import given
from hypothesis import strategies as st

NOISE = "\x1b[33mOpen MPI 4.1.4\x1b[0m\r\nLoading paraview/5.9 ...\nPython version 3.11.2\ngcc version 12.2.0\n3.11\n# paraview version 5.9 is the default\n"


@pytest.mark.parametrize(("text", "version"), [
    ("\tlibvtkRemotingCore-pv5.11.so.1 => /usr/lib/x86_64-linux-gnu/libvtkRemotingCore-pv5.11.so.1 (0x00007f)\n", "5.11"),
    ("\t@rpath/libpqApplicationComponents-pv5.13.1.dylib (compatibility version 1.0.0, current version 1.0.0)\n", "5.13"),
    ("paraview version 5.13.2\n", "5.13.2"), ("Warning: x\nparaview version 5.9.0-RC1\n", "5.9.0"), ("paraview version 6.1.1-123-gabc", "6.1.1"),
    ("pvserver version: 5.12.1\n", "5.12.1"), ("ParaView 6.0.1\n", "6.0.1"), ("5.13.0-RC1\n", "5.13.0"), ("donparaview version 5.10.0", "5.10.0"),
    ("\x1b[1mparaview\x1b[0m version \x1b[32m5.11.0\x1b[0m", "5.11.0"), (NOISE + "paraview version 5.11.0\n" + NOISE, "5.11.0"),
    ("Gtk-Message: 16:27:34.014: Failed to load module \"canberra-gtk-module\"\nparaview version 5.11.2\n", "5.11.2"),
    ("Loading modules ... paraview version 5.11.0", "5.11.0")])
def test_output_with_a_version(text, version):
    assert versions.read(text) == version


@pytest.mark.parametrize("text", [
    "", "command not found\n", "version five", "Open MPI 4.1.4\n", "Python version 3.11\n", "Loading paraview/5.9 ...\n", "Version: 5.11.0 of something\n",
    "apptainer version 1.3.4\n", "gcc version 12.2.0\nPython 3.11.2\n", "paraview version unknown\n", "3.11.4\n", "5.9\n", "5.13.0\n9.3.0\n",
    "paraview version 5.11.0.1.2\n", "no paraview 2024.1\n"])
def test_output_without_a_version(text):
    assert versions.read(text) == ""


@given(st.text())
def test_any_text_is_a_version_or_none(text):
    versions.read(text)
    versions.version_of(text)


@pytest.mark.parametrize(("client", "server", "compatible"), [
    ("5.11", "5.11.0", True), ("5.13.2", "5.13.0", True), ("5.1", "5.11", False), ("5.11", "6.11", False), ("", "5.11", True), ("5.11", "", True)])
def test_compatible_versions(client, server, compatible):
    assert versions.go_together(client, server) is compatible


@pytest.mark.parametrize(("name", "version"), [
    ("paraview/5.11.0", "5.11.0"), ("ParaView/5.13.2-foss-2023a-mpi", "5.13.2"), ("paraview-osmesa/5.12", "5.12"), ("apps/paraview/6.0.1", "6.0.1"),
    ("paraview/5.11.0/gcc-12.2", "5.11.0"), ("paraview/gcc-12.2/5.11.0", "5.11.0"), ("gcc/12.2/paraview/5.11", "5.11"), ("paraview/5.11.1-egl", "5.11.1"),
    ("visualization/paraview/paraview-5.12.1-EGL", "5.12.1"), ("vis/ParaView/5.6.2-intel-2019a-mpi", "5.6.2"), ("paraview@5.10.1", "5.10.1"),
    ("ParaView/5.9.1-CrayGNU-20.11-EGL-python3", "5.9.1"), ("paraview-5.11.0-gcc-11.3.0-k2h4", "5.11.0"), ("paraview_5.13", "5.13"),
    ("paraview/v6.1.0", "6.1.0"),
    ("paraview-python-3.9/5.10.0", "5.10.0"), ("paraview/6.0.0rc1", "6.0.0"), ("viz/5.13", "5.13"), ("paraview/openmpi-4.1.5/egl/5.11.2", "5.11.2"),
    ("paraview/latest", ""), ("2024/paraview", ""), ("paraview/2024.1", ""), ("paraview", ""), ("paraview/5", "")])
def test_the_version_in_the_name_of_a_module(name, version):
    assert versions.version_of(name) == version


@pytest.mark.parametrize(("version", "module"), [
    ("5.13.0", "paraview/5.13.2-gcc12"), ("5.12", "paraview/5.12.1"), ("5.11.0", ""), ("", "")])
def test_the_module_that_fits_the_client(version, module):
    offered = ["paraview/5.12.1", "paraview/5.13.1", "paraview/5.13.2-gcc12", "paraview/5.13.0", "paraview/latest", "2024/paraview"]
    assert versions.module_for(version, offered) == module


def test_a_build_for_gpus_is_for_jobs_with_gpus():
    offered = ["paraview/5.13.3-egl", "paraview/5.13.3-osmesa", "paraview/5.13.1-egl", "paraview/5.13.1-osmesa"]
    assert versions.module_for("5.13.0", offered) == "paraview/5.13.3-osmesa"
    assert versions.module_for("5.13.0", offered, gpus=1) == "paraview/5.13.3-egl"
    assert versions.module_for("5.13.0", offered[:1]) == "paraview/5.13.3-egl"


def test_the_error_for_different_versions():
    error = versions.differ("5.11", "5.13.2", "login2", ["paraview/5.12.1", "paraview/5.13.2"])
    assert "ParaView 5.11 here does not match pvserver 5.13.2 on login2" in error.what
    assert "ParaView 5.13" in error.way_out and "paraview/5.12.1" in error.way_out


def test_the_error_names_a_module_that_fits():
    error = versions.differ("6.1.1", "5.11", "login2", ["paraview/5.11", "paraview/6.1.0"], "paraview/6.1.0", "on bigscreen")
    assert error.what == "ParaView 6.1.1 on bigscreen does not match pvserver 5.11 on login2"
    assert error.way_out == "set paraview_modules to [paraview/6.1.0] or to auto, or start ParaView 5.11 on bigscreen"
