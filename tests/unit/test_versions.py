# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of ParaView on both sides."""

import os

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils import versions
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("text", "version"), [
    ("\tlibvtkRemotingCore-pv5.11.so.1 => /usr/lib/x86_64-linux-gnu/libvtkRemotingCore-pv5.11.so.1 (0x00007f)\n", "5.11"),
    ("paraview version 5.13.2\n", "5.13.2"),
    ("Warning: x\nparaview version 5.9.0-RC1\n", "5.9.0"), ("", ""), ("command not found\n", ""), ("version five", "")])
def test_what_tells_a_version(text, version):
    assert versions.read(text) == version


@given(st.text())
def test_any_text_is_a_version_or_none(text):
    versions.read(text)


@pytest.mark.parametrize(("one", "other", "agree"), [
    ("5.11", "5.11.0", True), ("5.13.2", "5.13.0", True), ("5.1", "5.11", False), ("5.11", "6.11", False), ("", "5.11", True), ("5.11", "", True)])
def test_what_goes_together(one, other, agree):
    assert versions.go_together(one, other) is agree


@pytest.mark.parametrize(("version", "module"), [
    ("5.13.0", "paraview/5.13.2-gcc12"), ("5.12", "paraview/5.12.1"), ("5.11.0", ""), ("", "")])
def test_a_module_that_fits_the_client_is_found(version, module):
    offered = ["paraview/5.12.1", "paraview/5.13.1", "paraview/5.13.2-gcc12", "paraview/5.13.0", "paraview/latest", "2024/paraview"]
    assert versions.module_for(version, offered) == module


def test_a_program_here(program, monkeypatch):
    path = program("paraview", "#!/bin/sh\necho 'paraview version 5.10.1'\n")
    assert versions.here(path) == "5.10.1"
    assert versions.here(program("broken", "#!/bin/sh\nexit 3\n")) == ""
    monkeypatch.setenv("PATH", os.path.dirname(path) + ":" + os.environ["PATH"])
    assert versions.here("paraview") == "5.10.1"
    assert versions.here("no such program") == ""


def test_the_probe(script, program):
    path = program("pvserver", "#!/bin/sh\necho \"paraview version ${PARAVIEW_TEST:-5.12.0}\"\n")
    assert versions.read(script(versions.probe([], path))[1]) == "5.12.0"
    assert versions.read(script("module() { PARAVIEW_TEST=5.13.$#; export PARAVIEW_TEST; }\n" + versions.probe(["paraview/5.13", "a b"], path))[1]) == "5.13.3"
    assert script(versions.probe([], "no such program")) == (0, "", "")


def test_versions_that_differ_are_told():
    error = versions.differ("5.11", "5.13.2", "login2", ["paraview/5.12.1", "paraview/5.13.2"])
    assert "ParaView 5.11 here does not go with pvserver 5.13.2 on login2" in error.what
    assert "ParaView 5.13" in error.way_out and "paraview/5.12.1" in error.way_out
