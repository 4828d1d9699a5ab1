# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ParaViews of a client host."""

import os
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import installed, version_probe

DEFAULTS = settings.check({name: about["default"] for name, about in settings.SPEC.items()})
PLIST = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
  <key>CFBundleVersion</key>
  <string>1.2.3</string>
  <key>CFBundleShortVersionString</key>
  <string>{0}</string>
</dict></plist>"""


def paraview(path, version, text=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or "#!/bin/sh\n[ \"$1\" = --version ] && echo 'paraview version {0}'\n".format(version))
    path.chmod(0o755)
    return str(path)


def bundle(path, version):
    """An .app, whose program must not be started to query its version."""
    program = paraview(path / "Contents/MacOS/paraview", "", "#!/bin/sh\necho paraview version 9.9.9\n")
    (path / "Contents/Info.plist").write_text(PLIST.format(version))
    return program


@pytest.fixture(name="host")
def _host(tmp_path, monkeypatch):
    """A home and directories for programs, all below the test's own directory, and a PATH without a ParaView."""
    root = tmp_path / "a root"
    (root / "home").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(root / "home"))
    monkeypatch.setenv("PATH", "{0}:relative:/usr/bin:/bin".format(root / "bin"))
    monkeypatch.setattr(installed, "_PREFIXES", tuple(one for one in installed._PREFIXES if one.startswith("~") and one != "~"))
    monkeypatch.setattr(installed, "_BUNDLES", ("~/Applications/ParaView*.app",))
    return root


def found(program=""):
    return [(one.program, one.version) for one in installed.here(program) if not one.program.startswith("/usr")]


def test_nothing_is_installed(host):
    assert found() == []


def test_the_path_comes_first_then_the_newest(host):
    old = paraview(host / "home/ParaView-5.9.1/bin/paraview", "5.9.1")
    new = paraview(host / "home/opt/ParaView-6.1.0-MPI-Linux/bin/paraview", "6.1.0")
    paraview(host / "bin/paraview", "5.11.0")
    assert found() == [("paraview", "5.11.0"), (new, "6.1.0"), (old, "5.9.1")]


def test_an_installation_with_two_names_is_listed_once(host):
    path = paraview(host / "home/ParaView-5.13.2/bin/paraview", "5.13.2")
    (host / "bin").mkdir()
    (host / "bin/paraview").symlink_to(path)
    assert found() == [("paraview", "5.13.2")]


def test_a_bundle_of_macos(host):
    path = bundle(host / "home/Applications/ParaView-5.13.2.app", "5.13.2")
    assert found() == [(path, "5.13.2")]


def test_a_bundle_with_a_binary_property_list(host, program, monkeypatch):
    path = bundle(host / "home/Applications/ParaView-6.0.app", "?")
    (host / "home/Applications/ParaView-6.0.app/Contents/Info.plist").write_bytes(b"bplist00\x00\xff")
    place = os.path.dirname(program("plutil", "#!/bin/sh\ncat <<'E'\n{0}\nE\n".format(PLIST.format("6.0.1"))))
    monkeypatch.setenv("PATH", "{0}:{1}".format(place, os.environ["PATH"]))
    assert found() == [(path, "6.0.1")]


def test_the_libraries_show_the_version_of_a_bundle(host, program, monkeypatch):
    path = bundle(host / "home/Applications/ParaView.app", "")
    place = os.path.dirname(program("otool", "#!/bin/sh\necho '\t@rpath/libvtkRemotingCore-pv5.12.dylib (compatibility version 1.0.0)'\n"))
    program("ldd", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", "{0}:{1}".format(place, os.environ["PATH"]))
    assert found() == [(path, "5.12")]


def test_the_libraries_show_the_version_of_a_linux_archive(host):
    """Its programs are wrappers, and none of them is started."""
    path = paraview(host / "home/ParaView-5.13.2-MPI-Linux-Python3.10-x86_64/bin/paraview", "", "#!/bin/sh\necho paraview version 9.9.9\n")
    library = host / "home/ParaView-5.13.2-MPI-Linux-Python3.10-x86_64/lib/libvtkRemotingCore-pv5.13.so.1"
    library.parent.mkdir()
    library.touch()
    assert found() == [(path, "5.13")]


def test_pvserver_shows_the_version_if_paraview_needs_a_display(host):
    paraview(host / "bin/paraview", "", "#!/bin/sh\necho 'qt.qpa.xcb: could not connect to display' >&2\nkill -ABRT $$\n")
    paraview(host / "bin/pvserver", "5.11.0")
    assert found() == [("paraview", "5.11.0")]


def test_a_paraview_that_does_not_answer(host, monkeypatch):
    monkeypatch.setattr(version_probe, "ANSWER_SECONDS", 1)
    path = paraview(host / "bin/paraview", "", "#!/bin/sh\nexec sleep 9{0}\n".format(os.getpid()))
    (one,) = [one for one in installed.here() if not one.program.startswith("/usr")]
    assert one == ("paraview", "", "no answer from {0} --version".format(path))
    assert "sleep 9{0}".format(os.getpid()) not in subprocess.run(["ps", "axww", "-o", "args"], stdout=subprocess.PIPE, check=True).stdout.decode()


@pytest.mark.parametrize("name", ["ParaView-5.13.2/bin/paraview", "ParaView-5.13.2", "Applications/ParaView-5.13.2.app"])
def test_a_path_that_the_user_names(host, name):
    paraview(host / "bin/paraview", "5.11.0")
    if name.endswith(".app"):
        path = bundle(host / "home" / name, "5.13.2")
    else:
        path = paraview(host / "home/ParaView-5.13.2/bin/paraview", "5.13.2")
    assert found("~/" + name) == found(str(host / "home" / name)) == [(path, "5.13.2")]


def test_a_name_on_the_path(host):
    path = paraview(host / "bin/paraview-6", "6.0.1")
    assert found("paraview-6") == [(path, "6.0.1")]


@pytest.mark.parametrize("name", ["~/$(touch x)/paraview", "~/a'b\"c `id`/paraview", "~/*/paraview", "~/$HOME/paraview"])
def test_the_shell_does_not_interpret_a_path(host, name):
    path = paraview(host / "home" / name[2:], "5.13.2")
    paraview(host / "home/other/paraview", "5.9.0")
    assert found(installed.check(name)) == [(path, "5.13.2")]
    assert not (host / "home/x").exists() and not os.path.exists("x")


@pytest.mark.parametrize("name", ["bin/paraview", "./paraview", "$HOME/paraview", "~alice/paraview", "para view", "-x", "a\nb", "/opt/a\0b"])
def test_invalid_programs_are_refused(name):
    with pytest.raises(SessionError, match="paraview_client_program") as caught:
        settings.check(dict({name: about["default"] for name, about in settings.SPEC.items()}, client_program=name))
    assert len(caught.value.lines()) == 3


def test_the_clients_of_a_session(host):
    with pytest.raises(SessionError) as caught:
        installed.clients(dict(DEFAULTS, client_program="/no/such/paraview"))
    assert caught.value.what == "paraview_client_program: '/no/such/paraview' cannot be used" and caught.value.why == "this machine has no such program"
    paraview(host / "bin/paraview", "5.11.0")
    named = paraview(host / "home/pv/paraview", "6.1.1")
    assert installed.clients(dict(DEFAULTS, client_program=named)) == installed.clients(dict(DEFAULTS, start_client=[named])) == [(named, "6.1.1", "")]
    assert installed.clients(dict(DEFAULTS, client_version="5.13.2")) == [("", "5.13.2", "")]
    assert installed.clients(dict(DEFAULTS, start_client=["paraview"]))[0] == ("paraview", "5.11.0", "")


def test_another_host_runs_the_same_script(host, script):
    paraview(host / "bin/paraview", "5.11.0")
    calls = []

    def run(text, seconds):
        calls.append(seconds)
        return script(text, seconds)

    assert installed.clients(DEFAULTS, run, "bigscreen")[0] == ("paraview", "5.11.0", "")
    with pytest.raises(SessionError, match="/no/such") as caught:
        installed.clients(dict(DEFAULTS, client_program="/no/such"), run, "bigscreen")
    assert "bigscreen has no such program" in caught.value.why and len(calls) == 2


def test_the_program_that_a_session_starts():
    def record(start_client, program=""):
        return SessionRecord(settings={"start_client": start_client}, client_program=program)

    assert installed.to_start(record(True)) == installed.to_start(record(["paraview"])) == "paraview"
    assert installed.to_start(record(True, "/opt/pv/bin/paraview")) == "/opt/pv/bin/paraview"
    assert installed.to_start(record(["/usr/bin/paraview"], "/opt/pv/bin/paraview")) == "/usr/bin/paraview"
    assert installed.to_start(record(["xterm", "-e", "paraview"])) == installed.to_start(record(["pvpython"])) == ""
    assert installed.shown(record(True, "/Applications/ParaView 5.app/Contents/MacOS/paraview")) == "'/Applications/ParaView 5.app/Contents/MacOS/paraview'"
    assert installed.shown(SessionRecord()) == "paraview"


def test_malformed_output_of_another_host_is_ignored():
    text = "==program path relative/paraview\nparaview version 5.9\n==program other /opt/\x1b[31mx\n==program\n==program path\n"
    assert installed.read(text) == []
