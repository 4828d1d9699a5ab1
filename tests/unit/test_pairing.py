# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ParaView here and a compatible pvserver there, or the reason why there is none."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.pairing import Pairing
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview.installed import Installed

DEFAULTS = {name: about["default"] for name, about in settings.SPEC.items()}
# Modules of a site: a name, and the version that pvserver has once it is loaded; - for no pvserver, ! for one that cannot be loaded.
SITE = """paraview/5.9.1-osmesa 5.9.1
paraview/5.11.0-egl 5.11.0
ParaView/5.13.2-foss-2023a 5.13.2
paraview/5.13.3 5.12.0
paraview-catalyst/6.1.9 -
paraview/6.1.2 !
paraview/6.1.0 6.1.1
gcc/12.2 -
"""
MODULE = r"""LMOD_CMD=%(lmod)s
module() {
  case "$1 $2" in
    '-t avail') cut -d' ' -f1 %(list)s >&2;;
    '-t spider') ;;
    'spider '*) printf 'You will need to load all\n\n   env/1  gcc/12.2\n\nHelp:\n';;
    'load '*)
      shift
      for one in "$@"; do
        case $one in env/1) env=1; continue;; esac
        known=$(sed -n "s|^$one ||p" %(list)s)
        case $known in '') echo "no module $one" >&2; return 1;; !) [ -n "$env" ] || { echo "$one cannot be loaded" >&2; return 1; }; known=6.1.2;; esac
        [ "$known" = - ] || { PV=$known; export PV; }
      done;;
  esac
}
PATH=%(bin)s:$PATH; export PATH
"""


@pytest.fixture(name="pair")
def _pair(script, program, tmp_path):
    """The pair for clients, given as versions or as (program, version), and options."""
    (tmp_path / "list").write_text(SITE)
    program("pvserver", "#!/bin/sh\n[ -n \"$PV\" ] || { echo 'error: no libraries' >&2; exit 3; }\necho paraview version $PV\n")

    def pair(*clients, site=None, lmod="", plain="", where="here", scripts=None, **options):
        lines = MODULE % {"lmod": lmod, "list": tmp_path / "list", "bin": tmp_path / "bin"} + (f"PV={plain}; export PV\n" if plain else "")

        def run(text, seconds=30):
            if scripts is not None:
                scripts.append(text)
            return script(lines + text, seconds)

        found = [Installed("paraview", one, "" if one else "no answer from /usr/bin/paraview --version") if isinstance(one, str) else Installed(*one, "")
                 for one in clients]
        return Pairing(run, found, settings.check(dict(DEFAULTS, **options)), site or {}, "login2", where).pair()

    return pair


def test_both_versions_are_known(pair):
    assert pair("5.11.0", plain="5.11.2").line == "ParaView 5.11.0 here, 5.11.2 there"
    assert pair("5.11.0", modules=["paraview/5.11.0-egl"]).line == "ParaView 5.11.0 here, 5.11.0 there (module paraview/5.11.0-egl)"
    assert pair("5.11", plain="5.11.2", where="on bigscreen").line == "ParaView 5.11 on bigscreen, 5.11.2 there"


@pytest.mark.parametrize(("clients", "plain", "line"), [
    (["5.11.0"], "", "ParaView 5.11.0 here, pvserver's version there is not known (no answer from pvserver --version: error: no libraries)"),
    ([""], "5.11.0", "ParaView's version here is not known (no answer from /usr/bin/paraview --version), pvserver 5.11.0 there"),
    ([], "5.11.0", "ParaView's version here is not known (no paraview is found), pvserver 5.11.0 there"),
    ([], "", "ParaView's version here is not known (no paraview is found), "
             "pvserver's version there is not known (no answer from pvserver --version: error: no libraries)")])
def test_an_unknown_version_is_shown(pair, clients, plain, line):
    assert pair(*clients, plain=plain).line == line


def test_an_unknown_version_with_a_module(pair):
    line = pair("5.11.0", modules=["gcc/12.2"]).line
    assert line.endswith("pvserver's version there is not known (module gcc/12.2; no answer from pvserver --version: error: no libraries)")
    assert "module nosuch cannot be loaded there: no module nosuch" in pair("5.11.0", modules=["nosuch"]).line
    assert "no-pvserver is not found there" in pair("5.11.0", pvserver="no-pvserver").line
    assert "srun --uenv=x chooses pvserver itself" in pair("5.11.0", mpi_launcher="srun --uenv=x").line


@pytest.mark.parametrize(("client", "plain"), [("6.1.1", "5.11.0"), ("5.11.0", "6.1.1")])
def test_an_incompatible_version_is_refused_and_a_compatible_module_is_named(pair, client, plain):
    with pytest.raises(SessionError) as caught:
        pair(client, plain=plain)
    module = {"5.11.0": "paraview/5.11.0-egl", "6.1.1": "paraview/6.1.2"}[client]
    assert caught.value.lines() == [
        "ParaView {0} here does not match pvserver {1} on login2".format(client, plain), "the first two numbers of the versions must be equal",
        "set paraview_modules to [{0}] or to auto, or start ParaView {1} here".format(module, plain.rpartition(".")[0])]


def test_if_no_module_fits_the_existing_ones_are_listed(pair):
    with pytest.raises(SessionError) as caught:
        pair("5.10.1", plain="5.12.0")
    assert "start ParaView 5.12 here, or choose another pvserver" in caught.value.way_out and "the site offers paraview/5.9.1-osmesa, " in caught.value.way_out


def test_a_pvserver_with_a_path_is_not_changed_by_a_module(pair, program):
    scripts = []
    with pytest.raises(SessionError) as caught:
        pair("6.1.1", pvserver=program("pvserver-5.9", "#!/bin/sh\necho paraview version 5.9.0\n"), scripts=scripts)
    assert "paraview_pvserver" in caught.value.way_out and "auto" not in caught.value.way_out and len(scripts) == 1


def test_paraview_setup_may_choose_another(pair):
    assert pair("6.1.1", plain="5.11.0", setup="export PV=6.1.1").line == "ParaView 6.1.1 here, 5.11.0 there (paraview_setup may change it)"


# --- several here ---


SEVERAL = [("paraview", "5.11.0"), ("/opt/ParaView-6.1.1/bin/paraview", "6.1.1"), ("/opt/ParaView-5.13.3/bin/paraview", "5.13.3"),
           ("/opt/ParaView-5.13.2/bin/paraview", "5.13.2")]


@pytest.mark.parametrize(("plain", "taken"), [
    ("5.11.2", "paraview"), ("6.1.0", "/opt/ParaView-6.1.1/bin/paraview"), ("5.13.2", "/opt/ParaView-5.13.2/bin/paraview"),
    ("5.13.0", "/opt/ParaView-5.13.3/bin/paraview"), ("", "paraview")])
def test_of_several_clients_the_one_that_fits_is_used(pair, plain, taken):
    found = pair(*SEVERAL, plain=plain)
    assert found.client.program == taken
    assert ("({0})".format(taken) in found.line) is ("/" in taken)


def test_none_of_several_fits(pair):
    with pytest.raises(SessionError) as caught:
        pair(*SEVERAL, plain="5.9.1")
    assert caught.value.why == ("the first two numbers of the versions must be equal; the same holds for /opt/ParaView-6.1.1/bin/paraview (6.1.1), "
                                "/opt/ParaView-5.13.3/bin/paraview (5.13.3), /opt/ParaView-5.13.2/bin/paraview (5.13.2)")


def test_a_client_of_unknown_version_is_not_refused(pair):
    assert pair(("/opt/a/paraview", "6.1.1"), ("/opt/b/paraview", ""), plain="5.9.1").client.program == "/opt/b/paraview"


# --- modules that the site publishes ---


def test_of_several_published_modules_the_one_that_fits_is_loaded(pair):
    site = {"modules": ["gcc/12.2", "paraview/5.9.1-osmesa"], "pvserver_versions": ["paraview/5.9.1-osmesa", "paraview/5.11.0-egl"]}
    assert pair("5.11.0", site=site).modules == ["gcc/12.2", "paraview/5.11.0-egl"]
    assert pair("6.1.1", ("/opt/pv/paraview", "5.9.0"), site=site).modules == ["gcc/12.2", "paraview/5.9.1-osmesa"]
    assert pair("5.11.0", site=dict(site, pvserver_versions=[]), modules=["paraview/5.11.0-egl"]).modules == ["paraview/5.11.0-egl"]


# --- auto ---


def test_auto_uses_a_module_that_fits(pair):
    found = pair("5.11.2", modules=["auto"])
    assert found.modules == ["paraview/5.11.0-egl"]
    assert found.line == "ParaView 5.11.2 here, 5.11.0 there (module paraview/5.11.0-egl)"


def test_auto_trusts_the_answer_of_pvserver_and_not_the_name(pair):
    """The newest module by its name contains another version."""
    assert pair("5.13.0", modules=["Auto"]).modules == ["ParaView/5.13.2-foss-2023a"]


def test_auto_skips_modules_that_cannot_be_loaded_or_have_no_pvserver(pair):
    assert pair("6.1.0", modules=["auto"]).modules == ["paraview/6.1.0"]


def test_auto_loads_the_modules_that_lmod_requires_before(pair):
    assert pair("6.1.0", modules=["auto"], lmod="/lmod").modules == ["env/1", "gcc/12.2", "paraview/6.1.2"]


def test_auto_after_other_modules(pair):
    assert pair("5.11.0", modules=["gcc/12.2", "auto"]).modules == ["gcc/12.2", "paraview/5.11.0-egl"]
    assert pair("5.11.0", modules=["auto"], site={"modules": ["gcc/12.2", "paraview/5.9.1-osmesa"]}).modules == ["gcc/12.2", "paraview/5.11.0-egl"]


def test_auto_tries_published_modules_first(pair):
    site = {"pvserver_versions": ["paraview/6.1.0"]}
    assert pair("6.1.0", modules=["auto"], site=site).modules == ["paraview/6.1.0"]


def test_auto_uses_another_client_if_no_module_fits_the_first(pair):
    found = pair("5.10.0", ("/opt/pv/bin/paraview", "5.11.1"), modules=["auto"])
    assert (found.client.program, found.modules) == ("/opt/pv/bin/paraview", ["paraview/5.11.0-egl"])


def test_auto_needs_no_module_if_pvserver_fits_without_one(pair):
    assert pair("5.10.1", modules=["auto"], plain="5.10.0").modules == []


def test_auto_finds_none(pair):
    with pytest.raises(SessionError) as caught:
        pair("5.10.1", modules=["auto"])
    what, why, way_out = caught.value.lines()
    assert what == "no module of login2 goes with ParaView 5.10.1 here"
    assert "paraview/5.9.1-osmesa" in why and "ParaView/5.13.2-foss-2023a" in why and "start ParaView" in way_out


def test_auto_reports_what_was_tried(pair, tmp_path):
    (tmp_path / "list").write_text("paraview/5.10.0 5.9.0\nparaview/5.10.1 !\n")
    with pytest.raises(SessionError) as caught:
        pair("5.10.1", modules=["auto"])
    assert caught.value.why == ("tried: paraview/5.10.1: module paraview/5.10.1 cannot be loaded there: paraview/5.10.1 cannot be loaded; "
                                "paraview/5.10.0 has 5.9.0")


def test_auto_on_a_site_without_modules(pair, tmp_path):
    (tmp_path / "list").write_text("")
    with pytest.raises(SessionError, match="lists no module with ParaView"):
        pair("5.10.1", modules=["auto"])


def test_auto_cannot_choose_without_a_known_client(pair):
    with pytest.raises(SessionError) as caught:
        pair("", modules=["auto"])
    assert "is not known (no answer from /usr/bin/paraview --version)" in caught.value.why and "paraview_client_program" in caught.value.way_out


def test_auto_is_not_valid_for_a_pvserver_with_a_path(pair):
    with pytest.raises(SessionError, match="no module decides"):
        pair("5.11.0", modules=["auto"], pvserver="apptainer exec pv.sif pvserver")


def test_a_module_that_pvserver_does_not_confirm_is_used_and_shown(pair, tmp_path):
    """On many login nodes pvserver does not start."""
    (tmp_path / "list").write_text("paraview/5.10.0 -\n")
    found = pair("5.10.1", modules=["auto"])
    assert found.modules == ["paraview/5.10.0"]
    assert "not known (module paraview/5.10.0; no answer from pvserver --version" in found.line


def test_module_names_of_a_site_are_never_run(pair, tmp_path):
    (tmp_path / "list").write_text("paraview/5.10.0;touch_x 5.10.0\n-paraview/5.10.1 5.10.1\n")
    with pytest.raises(SessionError):
        pair("5.10.1", modules=["auto"])
