# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvserver's version, queried from the session's command."""

import os
import subprocess
import time

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import version_probe

# Seconds that a program of this test process sleeps; they identify it in the process list.
LONG = "9{0}".format(os.getpid())
SAYS = "#!/bin/sh\necho \"paraview version ${PARAVIEW_TEST:-5.12.0}\"\n"
# Prints its arguments.
WRAPPER = "#!/bin/sh\necho \"wrapper $*\"\ncase $* in *--version) echo paraview version 6.0.1;; esac\n"


@pytest.fixture(name="ask")
def _ask(script, tmp_path):
    """The answer of a command. The test's own programs come first on the PATH."""
    def ask(*command, modules=(), before="", path="", home=None):
        lines = "PATH={0}{1}; export PATH\n".format(tmp_path / "bin", ":$PATH" if not path else ":" + path)
        return version_probe.ask(lambda text, seconds: script(lines + before + text, seconds), list(modules), list(command))

    return ask


@pytest.fixture(name="shells", params=["/bin/sh", "/bin/bash"])
def _shells(request, monkeypatch, script):
    return lambda text, seconds=30: script(text, seconds, request.param)


def left_over(word):
    return [line for line in subprocess.run(["ps", "axww", "-o", "pid,stat,args"], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
            if word in line and " Z" not in line]


def test_a_program(ask, program):
    path = program("pvserver", SAYS)
    assert ask(path).version == ask("pvserver").version == "5.12.0"


def test_modules_are_loaded_before(ask, program):
    program("pvserver", SAYS)
    module = "module() { PARAVIEW_TEST=5.13.$#; export PARAVIEW_TEST; }\n"
    assert ask("pvserver", modules=["paraview/5.13", "a b"], before=module).version == "5.13.3"


def test_modules_that_cannot_be_loaded_leave_the_version_unknown(ask, program):
    """The job would not start the pvserver that is on the PATH without them."""
    program("pvserver", SAYS)
    module = "module() { echo \"ERROR: Unable to locate a modulefile for '$2'\" >&2; return 1; }\n"
    answer = ask("pvserver", modules=["paraview/5.13"], before=module)
    assert (answer.version, answer.fault) == ("", "unloaded")
    assert answer.why == "module paraview/5.13 cannot be loaded there: ERROR: Unable to locate a modulefile for 'paraview/5.13'"


def test_lmod_lists_required_modules(ask):
    module = r"""LMOD_CMD=/lmod
module() {
  [ "$1" = spider ] || { echo 'Lmod has detected the following error: These module(s) exist but cannot be loaded' >&2; return 1; }
  printf '\n%s\n  paraview: %s\n%s\n' --- "$2" --- >&2
  printf '    Description:\n      A viewer\n\n    You will need to load all module(s) on any one of the lines below ' >&2
  printf 'before the "%s" module is available to load.\n' "$2" >&2
  printf '\n      env/2023  gcc/12.3\n      env/2020  gcc/9.3.0  openmpi/4.0.3\n \n    Help:\n      A viewer of data\n' >&2
}
"""
    answer = ask("pvserver", modules=["paraview/5.11.0"], before=module)
    assert (answer.fault, answer.needs) == ("unloaded", [["env/2023", "gcc/12.3"], ["env/2020", "gcc/9.3.0", "openmpi/4.0.3"]])


def test_no_program(ask, script):
    assert script(version_probe.probe([], "no such program")) == (0, "", "")
    assert ask("no-such-pvserver") == ("", "no-such-pvserver is not found there", "missing", [])


NOISY = {
    "before": "for n in 1 2 3 4 5 6 7 8 9; do echo \"Open MPI 4.1.$n\"; done; echo paraview version 5.11.0",
    "on standard error": "echo 'Loading paraview/5.9 ...' >&2; echo 'Python version 3.11' >&2; echo paraview version 5.11.0 >&2",
    "in colours": "printf '\\033[1;32mparaview\\033[0m version \\033[1m5.11.0\\033[0m\\n'",
    "without a newline": "printf 'loading paraview/5.9 ... done\\nparaview version 5.11.0'",
    "as a progress bar": "printf ' 10%%\\r100%%\\rparaview version 5.11.0\\r'",
    "with zeros": "printf 'a\\000b\\nparaview version 5.11.0\\n\\000'",
    "very long": "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo paraview version 5.11.0; yes 'module version 9.9.9' | head -n 60000",
    "with a failure": "echo paraview version 5.11.0; exit 3",
}


@pytest.mark.parametrize("noise", NOISY)
def test_a_version_among_other_output(shells, program, noise):
    path = program("pvserver", "#!/bin/sh\n{0}\n".format(NOISY[noise]))
    assert version_probe.ask(shells, [], [path]).version == "5.11.0"


def test_the_name_of_a_library_is_enough(ask, program):
    program("pvserver", "#!/bin/sh\nexit 7\n")
    program("ldd", "#!/bin/sh\ncase $1 in *-real) printf '\\tlibvtkRemotingCore-pv5.13.so.1 => not found\\n';; *) echo 'not a dynamic executable';; esac\n")
    assert ask("pvserver").version == "5.13"


def test_a_program_that_prints_no_version(ask, program):
    path = program("pvserver", "#!/bin/sh\necho 'Open MPI 4.1.4'\necho 'MPI_Init failed: PMI_Init returned 1'\nexit 14\n")
    answer = ask(path)
    assert answer == ("", "no answer from {0} --version: MPI_Init failed: PMI_Init returned 1".format(path), "", [])


@pytest.mark.parametrize("lacks", [(), ("timeout",)])
def test_a_program_that_hangs_is_ended(shells, program, tmp_path, monkeypatch, lacks):
    """Also if there is no timeout, as on macOS."""
    monkeypatch.setattr(version_probe, "ANSWER_SECONDS", 1)
    path = program("pvserver", "#!/bin/sh\ntrap '' TERM\necho hello\nsleep {0}\nsleep {0}\n".format(LONG))
    began = time.monotonic()
    answer = version_probe.ask(lambda text, seconds: shells(without(tmp_path, lacks) + text, 60), [], [path])
    assert answer.why == "no answer from {0} --version within 1 s".format(path)
    assert time.monotonic() - began < 15
    assert not left_over("sleep " + LONG)


def without(tmp_path, names):
    """str: a shell line that sets a PATH without some programs."""
    if not names:
        return ""
    place = tmp_path / "few"
    place.mkdir()
    for name in ("sh", "env", "date", "grep", "tail", "head", "tr", "fold", "sed", "cat", "sleep", "ls", "readlink", "uname", "setsid"):
        for directory in ("/usr/bin", "/bin"):
            if not (place / name).exists() and subprocess.run(["test", "-x", directory + "/" + name], check=False).returncode == 0:
                (place / name).symlink_to(directory + "/" + name)
    return "PATH={0}\n".format(place)


@pytest.mark.parametrize("lacks", [(), ("timeout",)])
@pytest.mark.parametrize("leaves", ["sleep {0} &", "setsid sleep {0} &", "(trap '' HUP TERM; sleep {0}) &"])
def test_nothing_is_left_running(shells, program, tmp_path, leaves, lacks):
    path = program("pvserver", "#!/bin/sh\n{0}\necho paraview version 5.11.0\n".format(leaves.format(LONG)))
    answer = version_probe.ask(lambda text, seconds: shells(without(tmp_path, lacks) + text, seconds), [], [path])
    assert answer.version == "5.11.0"
    assert not left_over("sleep " + LONG)


def test_processes_that_are_ended_may_remove_their_files(shells, program, tmp_path):
    """Such as xvfb-run, whose display ends a moment later."""
    lock = tmp_path / "lock"
    path = program("pvserver", "#!/bin/sh\n(trap 'rm -f {0}; exit' TERM; : > {0}; while :; do sleep 0.02; done) &\nuntil [ -e {0} ]; do sleep 0.01; done\n"
                               "echo paraview version 5.11.0\n".format(lock))
    assert version_probe.ask(shells, [], [path]).version == "5.11.0"
    assert not lock.exists()


@pytest.mark.parametrize("command", [
    "apptainer exec --nv pv.sif pvserver", "singularity run pv.sif", "shifter --image=x/paraview:6.0 pvserver --force-offscreen-rendering",
    "apptainer exec pv.sif xvfb-run -a pvserver", "uenv run paraview/6.0 -- pvserver", "/sw/start-pv --fast"])
def test_a_command_is_run_with_its_wrappers(ask, program, command):
    """The pvserver on the PATH has another version."""
    program("pvserver", SAYS)
    for name in ("apptainer", "singularity", "shifter", "uenv"):
        program(name, WRAPPER)
    words = command.split()
    if words[0].startswith("/"):
        words[0] = program("start-pv", WRAPPER)
    assert ask(*words).version == "6.0.1"


def test_a_wrapper_that_exists_on_nodes_only(ask, program):
    program("pvserver", SAYS)
    program("env", "#!/bin/sh\nexec /usr/bin/env \"$@\"\n")
    assert ask("xvfb-run-not-here", "-a", "pvserver").fault == "missing"
    assert ask("vglrun", "pvserver").version == "5.12.0"
    assert ask("env", "A=1", "pvserver").version == "5.12.0"


@pytest.mark.parametrize(("command", "asked"), [
    ("mpiexec -n 4 pvserver --mpi", "pvserver"), ("srun -N2 apptainer exec pv.sif pvserver", "apptainer exec pv.sif pvserver"),
    ("env A=1 mpirun.openmpi -np 2 xvfb-run -a /opt/pv/bin/pvserver", "xvfb-run -a /opt/pv/bin/pvserver"), ("flux run -n 2 pvserver", "pvserver"),
    ("ibrun start-pv", ""), ("srun --uenv=paraview/6.0 pvserver", ""), ("srun --container-image pv.sqsh pvserver", ""), ("ssh viz pvserver", ""),
    ("xvfb-run -a pvserver", "xvfb-run -a pvserver"), ("pvserver", "pvserver"), ("/sw/start-pvserver 6.0", "/sw/start-pvserver 6.0"),
    ("apptainer run /sw/pv.sif", "apptainer run /sw/pv.sif")])
def test_an_mpi_launcher_is_never_started(ask, program, command, asked):
    for name in ("mpiexec", "srun", "mpirun.openmpi", "flux", "ibrun", "ssh"):
        program(name, "#!/bin/sh\necho paraview version 9.9.9\n")
    assert version_probe.question(command.split()) == asked.split()
    assert ask(*command.split()).version != "9.9.9"


def test_a_shell_line_may_hide_a_launcher(ask):
    answer = ask("bash", "-c", "module load x; exec mpiexec -n 4 pvserver")
    assert answer.why == "an MPI launcher is not started to query it"


@pytest.mark.parametrize(("command", "by_path"), [
    ("pvserver", True), ("xvfb-run -a pvserver", True), ("mpiexec -n 2 pvserver", True), ("/opt/pv/bin/pvserver", False),
    ("apptainer exec pv.sif pvserver", False), ("xvfb-run -a apptainer exec pv.sif pvserver", False), ("srun --uenv=x pvserver", False)])
def test_whether_a_module_determines_pvserver(command, by_path):
    assert version_probe.by_path(command.split()) is by_path
