# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role launcher finds out about a login node."""

import os
import shlex
import subprocess
import sys

import jinja2
import pytest
from conftest import TOP

ROLE = TOP / "roles/launcher"


@pytest.fixture(name="look")
def _look(tmp_path, program):
    environment = jinja2.Environment()
    environment.filters.update(quote=shlex.quote, dirname=os.path.dirname)
    template = environment.from_string((ROLE / "templates/look.sh.j2").read_text())

    def look(sshd="", python="", path="/usr/local/bin/paraview-launch"):
        program("sshd", "#!/bin/sh\n[ \"$*\" = -T ] || exit 1\ncat <<'END'\nport 22\n{0}\nEND\n".format(sshd))
        text = template.render(paraview_launcher_python=python, paraview_launcher_path=str(path))
        done = subprocess.run(["sh"], input=text.encode(), stdout=subprocess.PIPE, check=True, cwd=str(tmp_path),
                              env={"PATH": "{0}/bin:/usr/bin:/bin".format(tmp_path)})
        return dict(line.split("=", 1) for line in done.stdout.decode().splitlines())

    return look


@pytest.mark.parametrize(("said", "accepted"), [
    ("acceptenv LANG\nacceptenv LC_*", "yes"), ("acceptenv LC_PARAVIEW_*", "yes"), ("AcceptEnv *", "yes"), ("acceptenv LANG", "no"), ("", "no"),
    ("acceptenv LC_ALL\nacceptenv LC_CTYPE", "no"), ("acceptenv $(touch\nacceptenv pwned)", "no")])
def test_whether_sshd_takes_wishes_along(look, tmp_path, said, accepted):
    assert look(said)["accepted"] == accepted
    assert not (tmp_path / "pwned").exists()


def test_a_python_that_can(look):
    assert look(python=sys.executable)["python"] == sys.executable
    assert look(python="/bin/false")["python"] == ""
    assert look()["python"].startswith("/")


@pytest.mark.skipif(os.getuid() != 0, reason="only root's directories are safe")
def test_a_directory_that_others_may_write(look, tmp_path):
    for mode, found in ((0o755, "safe"), (0o775, "safe"), (0o777, "open"), (0o1777, "open")):
        place = tmp_path / "a place"
        place.mkdir(exist_ok=True)
        place.chmod(mode)
        assert look(path=place / "paraview-launch")["directory"] == found
    os.chown(str(place), 12345, 0)
    place.chmod(0o755)
    assert look(path=place / "paraview-launch")["directory"] == "open"
    assert look(path=tmp_path / "none/paraview-launch")["directory"] == ""
