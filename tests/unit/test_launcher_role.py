# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that the role launcher collects about a login node."""

import os
import shlex
import subprocess
import sys

import jinja2
import pytest
from conftest import TOP

ROLE = TOP / "roles/launcher"


@pytest.fixture(name="probe")
def _probe(tmp_path, program):
    environment = jinja2.Environment()
    environment.filters.update(quote=shlex.quote, dirname=os.path.dirname)
    template = environment.from_string((ROLE / "templates/probe.sh.j2").read_text())

    def probe(sshd="", python="", path="/usr/local/bin/paraview-launch"):
        program("sshd", "#!/bin/sh\n[ \"$*\" = -T ] || exit 1\ncat <<'END'\nport 22\n{0}\nEND\n".format(sshd))
        text = template.render(paraview_launcher_python=python, paraview_launcher_path=str(path))
        done = subprocess.run(["sh"], input=text.encode(), stdout=subprocess.PIPE, check=True, cwd=str(tmp_path),
                              env={"PATH": "{0}/bin:/usr/bin:/bin".format(tmp_path)})
        return dict(line.split("=", 1) for line in done.stdout.decode().splitlines())

    return probe


@pytest.mark.parametrize(("accept_env", "accepted"), [
    ("acceptenv LANG\nacceptenv LC_*", "yes"), ("acceptenv LC_PARAVIEW_*", "yes"), ("AcceptEnv *", "yes"), ("acceptenv LANG", "no"), ("", "no"),
    ("acceptenv LC_ALL\nacceptenv LC_CTYPE", "no"), ("acceptenv $(touch\nacceptenv pwned)", "no")])
def test_whether_sshd_accepts_the_users_options(probe, tmp_path, accept_env, accepted):
    assert probe(accept_env)["accepted"] == accepted
    assert not (tmp_path / "pwned").exists()


def test_a_python_that_can_run_the_launcher(probe):
    assert probe(python=sys.executable)["python"] == sys.executable
    assert probe(python="/bin/false")["python"] == ""
    assert probe()["python"].startswith("/")


@pytest.mark.skipif(os.getuid() != 0, reason="only root's directories are safe")
def test_a_directory_that_others_can_write_to(probe, tmp_path):
    for mode, found in ((0o755, "safe"), (0o775, "safe"), (0o777, "open"), (0o1777, "open")):
        directory = tmp_path / "a directory"
        directory.mkdir(exist_ok=True)
        directory.chmod(mode)
        assert probe(path=directory / "paraview-launch")["directory"] == found
    os.chown(str(directory), 12345, 0)
    directory.chmod(0o755)
    assert probe(path=directory / "paraview-launch")["directory"] == "open"
    assert probe(path=tmp_path / "none/paraview-launch")["directory"] == ""
