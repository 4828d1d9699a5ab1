# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvserver's OpenGL interface: the job's script runs under each shell, with test programs and libraries."""

import os
import shlex
import shutil
import socket
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_faults import error as fault_error
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.status_file import Progress
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import rendering
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview.pvserver import pvserver_program
from hypothesis import given
from hypothesis import strategies as st

SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]
TOOLS = ("awk", "bash", "cat", "dirname", "env", "grep", "head", "hostname", "ls", "mv", "readlink", "rm", "sed", "sh", "sleep", "sort", "timeout", "tr")
PVSERVER = '#!/bin/sh\nprintf "%s\\n" "DISPLAY=$DISPLAY" "window=$VTK_DEFAULT_OPENGL_WINDOW" "device=$VTK_DEFAULT_EGL_DEVICE_INDEX" "$0 $*" > "$HOME/seen"\n'
XVFB_RUN = '#!/bin/sh\n[ "$1 $2 $3" = "-a -s -noreset" ] || exit 3\nshift 3\nDISPLAY=:99 exec "$@"\n'
# RTTI names of classes, as a library contains them.
CLASSES = {"GLX": "22vtkXOpenGLRenderWindow", "EGL": "18vtkEGLRenderWindow", "OSMesa": "23vtkOSOpenGLRenderWindow"}
GLX, EGL, OSMESA, FAT, SIX = ("GLX",), ("EGL",), ("OSMesa",), ("GLX", "EGL"), ("GLX", "EGL", "OSMesa", "6")


class Node:
    """The environment of a node that the job's script sees.

    Args:
        top (pathlib.Path): a directory. shell (str): the one that runs the script.
    """

    def __init__(self, top, shell):
        self.top, self.shell = top, shell
        self.bin, self.job = top / "bin", top / "it's a job"
        self.bin.mkdir()
        self.job.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.program("pvserver", PVSERVER)
        self.program("ldconfig", "#!/bin/sh\necho 'libc.so.6 (libc6,x86-64) => /lib/libc.so.6'\n")
        self.program("xdpyinfo", '#!/bin/sh\n[ "$DISPLAY" = :0 ]\n')
        self.rank = rendering.rank_script()
        self.environment = {"HOME": str(top), "PATH": str(self.bin)}

    def program(self, name, text):
        # It may be a link to the machine's own program.
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def xvfb(self):
        self.program("xvfb-run", XVFB_RUN)
        self.program("Xvfb", "#!/bin/sh\n")
        self.program("xauth", "#!/bin/sh\n")

    def built_for(self, names, suffix="pv5.11"):
        """Gives pvserver a library as in a build for these interfaces."""
        library = self.top / "lib x" / "libvtkRenderingOpenGL2-{0}.so.1".format(suffix)
        library.parent.mkdir(exist_ok=True)
        text = "\0_ZTS".join(CLASSES[name] for name in names if name in CLASSES) + ("\0VTK_DEFAULT_OPENGL_WINDOW\0" if "6" in names else "\0")
        library.write_bytes(b"\x7fELF\0" + text.encode() + b"\0\xff")
        self.ldd("\tlibvtkRenderingVolumeOpenGL2-pv5.11.so.1 => /nowhere/libvtkRenderingVolumeOpenGL2-pv5.11.so.1 (0x00007f1)\n"
                 "\t{0} => {1} (0x00007f2)\n\tlibX11.so.6 => /lib/libX11.so.6 (0x00007f3)\n".format(library.name, library))
        return library

    def ldd(self, text, program="pvserver"):
        (self.top / ("ldd." + program)).write_text(text)
        self.program("ldd", '#!/bin/sh\ncat "$HOME/ldd.${1##*/}" 2>/dev/null || { echo "	not a dynamic executable" >&2; exit 1; }\n')

    def start(self, requested="auto", pvserver=("pvserver",), launcher=(), setup="", **environment):
        script = job_scripts.pvserver_script(str(self.job), {"pvserver": list(pvserver), "setup": setup, "rendering": requested}, list(launcher))
        (self.job / "pvserver.sh").write_text(script)
        (self.job / "rank.sh").write_text(self.rank)
        (self.job / "go").write_text(job_scripts.go_file(["--server-port=0"]))
        (self.top / "seen").unlink(missing_ok=True)
        done = subprocess.run([shutil.which(self.shell), "pvserver.sh", "022"], cwd=str(self.job), env=dict(self.environment, **environment),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        self.code, self.out = done.returncode, done.stdout.decode()
        return self

    @property
    def reported(self):
        """dict: the variables in pvserver's environment."""
        lines = (self.top / "seen").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines[:3])

    @property
    def progress(self):
        """The job script's report."""
        parts = [self.job / name for name in ("fault", "news.display")]
        return Progress("running c101\n" + "".join(part.read_text() for part in parts if part.exists()))


@pytest.fixture(name="node", params=SHELLS)
def _node(request, tmp_path):
    return Node(tmp_path, request.param)


@pytest.mark.parametrize(("build", "display", "xvfb"), [
    (GLX, "", True), (GLX, "localhost:10.0", True), (GLX, ":0", False), (EGL, "", False), (EGL, "localhost:10.0", False), (OSMESA, "", False), (FAT, "", False),
    (SIX, ":0", False), (("GLX", "6"), "", True)])
def test_a_virtual_display_is_the_last_resort(node, build, display, xvfb):
    node.xvfb()
    node.built_for(build)
    node.start(DISPLAY=display)
    assert node.code == 0, node.out
    assert node.reported == {"DISPLAY": ":99" if xvfb else display if display == ":0" else "", "window": "", "device": ""}
    assert node.progress.display == ("xvfb" if xvfb else "") and not node.progress.fault


@pytest.mark.parametrize(("libraries", "xvfb"), [(["libEGL.so.1"], False), (["libOSMesa.so.8"], False), (["libGL.so.1"], True), ([], True)])
def test_from_version_6_pvserver_chooses_if_it_has_a_library(node, libraries, xvfb):
    node.xvfb()
    node.built_for(SIX, "9.6")
    listing = "".join("\t{0} (libc6,x86-64) => /lib/{0}\n".format(name) for name in ["libc.so.6", *libraries])
    node.program("ldconfig", "#!/bin/sh\ncat <<E\n{0}E\n".format(listing))
    node.start(DISPLAY="login2:10.0")
    assert node.reported["DISPLAY"] == (":99" if xvfb else "")


@pytest.mark.parametrize("place", ["LD_LIBRARY_PATH", "beside", "built in", "linked", "no list"])
def test_a_library_is_searched_where_the_loader_searches(node, place):
    node.xvfb()
    library, mesa = node.built_for(SIX), node.top / "mesa" / "lib"
    mesa.mkdir(parents=True)
    (library.parent if place == "beside" else mesa).joinpath("libEGL.so.1").touch()
    if place == "built in":
        library.write_bytes(library.read_bytes() + b"\0" + str(mesa).encode() + b":/usr/lib\0")
    if place == "linked":
        node.ldd((node.top / "ldd.pvserver").read_text() + "\tlibGL.so.1 => {0}/libGL.so.1 (0x00007f4)\n".format(mesa))
    if place == "no list":
        node.program("ldconfig", "#!/bin/sh\nexit 127\n")
    node.start(**({"LD_LIBRARY_PATH": "/nowhere:" + str(mesa)} if place == "LD_LIBRARY_PATH" else {}))
    assert node.reported["DISPLAY"] == "" and not node.progress.display


@pytest.mark.parametrize(("linked", "xvfb"), [
    ("libGLX.so.0", True), ("libGL.so.1", True), ("libEGL.so.1", False), ("libOSMesa.so.8", False), ("libX11.so.6", False), ("libGLdispatch.so.0", False),
    ("libvtkRemotingCore-pv5.13.so.1 => /x (0x1)\n\tlibGL.so.1", True), ("libvtkRemotingCore-pv6.0.so.1 => /x (0x1)\n\tlibGL.so.1", False)])
def test_linked_libraries_count_if_the_rendering_library_is_missing(node, linked, xvfb):
    node.xvfb()
    node.program("ldconfig", "#!/bin/sh\necho libEGL.so.1\n")
    node.ldd("\t{0} => /usr/lib64/{0} (0x00007f2)\n".format(linked))
    node.start()
    assert node.reported["DISPLAY"] == (":99" if xvfb else "")


@pytest.mark.parametrize("name", ["pvserver-real", ".pvserver-wrapped"])
def test_a_script_with_the_program_next_to_it(node, name):
    node.xvfb()
    node.built_for(GLX)
    (node.top / "ldd.pvserver").rename(node.top / ("ldd." + name))
    (node.bin / name).touch()
    assert node.start().reported["DISPLAY"] == ":99"


@pytest.mark.parametrize(("build", "xvfb"), [(GLX, True), (EGL, False)])
def test_a_static_build(node, build, xvfb):
    node.xvfb()
    node.built_for(build).rename(node.bin / "classes")
    node.program("pvserver", PVSERVER + "exit\n" + "".join(CLASSES[name] for name in build))
    node.ldd("\tlinux-vdso.so.1 (0x00007ffd)\n")
    assert node.start().reported["DISPLAY"] == (":99" if xvfb else "")


def test_an_unknown_build_is_left_unchanged(node):
    node.xvfb()
    node.program("pvserver", "#!/bin/sh\n# VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow\n" + PVSERVER)
    node.start(DISPLAY="login2:10.0")
    assert node.reported["DISPLAY"] == "login2:10.0" and not node.progress.display


@pytest.mark.parametrize("pvserver", [
    ["xvfb-run", "-a", "-s", "-noreset", "pvserver"], ["env", "A=b", "pvserver"], ["sh", "-c", 'exec pvserver "$@"', "sh"],
    ["pvserver", "--displays=:0.0,:0.1"]])
def test_a_wrapper_of_the_users_own_is_left_unchanged(node, pvserver):
    node.xvfb()
    node.built_for(GLX)
    node.start(pvserver=pvserver, DISPLAY="login2:10.0")
    assert node.code == 0, node.out
    assert node.reported["DISPLAY"] == (":99" if pvserver[0] == "xvfb-run" else "login2:10.0") and not node.progress.display


def test_xvfb_run_in_the_mpi_launcher_is_enough(node):
    node.xvfb()
    node.built_for(GLX)
    node.start(launcher=["xvfb-run", "-a", "-s", "-noreset"])
    assert node.reported["DISPLAY"] == ":99" and not node.progress.display


@pytest.mark.parametrize("lacks", ["xvfb-run", "Xvfb", "xauth"])
def test_without_xvfb_pvserver_starts_with_a_warning(node, lacks):
    node.xvfb()
    (node.bin / lacks).unlink()
    node.built_for(GLX)
    node.start()
    assert node.code == 0 and node.reported["DISPLAY"] == ""
    line = rendering.display_message("c101", node.progress.display)
    assert "c101" in line and lacks in line and "EGL" in line


@pytest.mark.parametrize(("requested", "build", "window"), [
    ("egl", EGL, "vtkEGLRenderWindow"), ("egl", SIX, "vtkEGLRenderWindow"), ("osmesa", OSMESA, "vtkOSOpenGLRenderWindow"),
    ("osmesa", SIX, "vtkOSOpenGLRenderWindow"),
    ("glx", GLX, "vtkXOpenGLRenderWindow"), ("glx", SIX, "vtkXOpenGLRenderWindow")])
def test_a_requested_interface(node, requested, build, window):
    node.built_for(build)
    node.program("ldconfig", "#!/bin/sh\necho 'libEGL.so.1 => /lib/libEGL.so.1'\necho 'libOSMesa.so.8 => /lib/libOSMesa.so.8'\n")
    node.start(requested, DISPLAY=":0", launcher=["env", "FROM=launcher"])
    assert node.code == 0, node.out
    assert node.reported["window"] == window and node.reported["DISPLAY"] == ":0"


@pytest.mark.parametrize(("requested", "build", "display", "words"), [
    ("egl", GLX, "", ["built for GLX alone", "built for EGL"]), ("osmesa", EGL, "", ["built for EGL alone", "built for OSMesa"]),
    ("glx", EGL, ":0", ["built for EGL alone", "built for GLX"]), ("glx", FAT, ":0", ["built for EGL alone"]),
    ("egl", ("GLX", "OSMesa", "6"), "", ["built for OSMesa and GLX alone"]), ("glx", SIX, "localhost:10.0", ["DISPLAY=localhost:10.0", "xvfb"]),
    ("glx", GLX, "", ["DISPLAY is empty", "xvfb"]), ("osmesa", SIX, "", ["needs libOSMesa to draw", "module that has libOSMesa"]),
    ("xvfb", GLX, "", ["xvfb-run is not on the PATH of job 17", "ask the site"])])
def test_an_unavailable_interface_is_an_error_before_pvserver_starts(node, requested, build, display, words):
    node.built_for(build)
    node.start(requested, DISPLAY=display)
    assert node.code == 95 and not (node.top / "seen").exists()
    assert "paraview_rendering " + requested in node.out
    error = fault_error("17", "c101", node.progress.fault, ["pvserver"])
    assert len(error.lines()) == 3 and "c101" in error.what and "paraview_rendering: " + requested in error.what
    assert all(word in error.why + error.way_out for word in words)


@pytest.mark.parametrize("pvserver", [["pvserver"], ["env", "A=b", "pvserver"], ["xvfb-run", "-a", "-s", "-noreset", "pvserver"]])
@pytest.mark.parametrize("build", [GLX, EGL, SIX])
def test_a_requested_xvfb(node, build, pvserver):
    node.xvfb()
    node.built_for(build)
    node.start("xvfb", pvserver, DISPLAY=":0")
    assert node.code == 0, node.out
    assert node.reported["DISPLAY"] == ":99"


@pytest.mark.parametrize("display", [":7", "unix:7.0", "127.0.0.1:7.0", "/private/tmp/org.xquartz:0", "nonsense", ":", ":x", ":0x7", "localhost:08", "a:b", "",
                                     ":7.0.0"])
@pytest.mark.parametrize("program", [True, False])
def test_a_display_that_does_not_answer(node, display, program):
    node.xvfb()
    node.built_for(GLX)
    if not program:
        (node.bin / "xdpyinfo").unlink()
    assert node.start(DISPLAY=display).reported["DISPLAY"] == ":99", node.out


def test_a_display_that_answers_if_xdpyinfo_is_missing(node):
    node.xvfb()
    node.built_for(GLX)
    (node.bin / "xdpyinfo").unlink()
    with socket.socket() as listener:
        # Displays are ports from 6000 on.
        number = next(number for number in range(500, 600) if _bound(listener, 6000 + number))
        listener.listen(1)
        display = "127.0.0.1:{0}.0".format(number)
        assert node.start(DISPLAY=display).reported["DISPLAY"] == display
    (node.bin / "timeout").unlink()
    assert node.start(DISPLAY=display).reported["DISPLAY"] == display, "it cannot be queried, so DISPLAY is used as it is"


@pytest.mark.parametrize(("requested", "build"), [("auto", GLX), ("auto", SIX), ("glx", GLX)])
def test_a_display_of_the_setup_that_starts_slowly(node, requested, build):
    node.xvfb()
    node.built_for(build)
    node.program("sleep", "#!/bin/sh\n")
    node.program("xdpyinfo", '#!/bin/sh\necho >> "$HOME/asked"\n[ "$(grep -c "" "$HOME/asked")" -gt 3 ]\n')
    node.start(requested, setup="DISPLAY=:5; export DISPLAY")
    assert node.code == 0, node.out
    assert node.reported["DISPLAY"] == ":5" and not node.progress.display


def test_a_display_of_the_setup_that_does_not_start(node):
    node.xvfb()
    node.built_for(GLX)
    node.program("sleep", "#!/bin/sh\n")
    assert node.start(setup="export DISPLAY=:5").reported["DISPLAY"] == ":99"


def _bound(listener, port):
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("setup", ["set -eu", "IFS=:", "set -f", "unset DISPLAY", "set -e\nset -u\nIFS=/"])
def test_shell_options_of_a_setup_change_nothing(node, setup):
    node.xvfb()
    node.built_for(GLX)
    node.start(setup=setup, launcher=["env", "A=b c"])
    assert node.code == 0, node.out
    assert node.reported["DISPLAY"] == ":99"


def test_pvserver_gets_its_arguments_unchanged_through_all_wrappers(node):
    node.xvfb()
    node.built_for(GLX)
    node.program("pvserver", '#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/seen"\n')
    node.start("xvfb", ["pvserver", "--a=$HOME *", "it's"], ["env", "X=$(id)"])
    assert (node.top / "seen").read_text().splitlines() == ["--a=$HOME *", "it's", "--server-port=0"]


# -- a GPU for each rank

MPI = ("OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "MVP_COMM_WORLD_LOCAL_RANK", "JSM_NAMESPACE_LOCAL_RANK",
       "MPI_LOCALRANKID", "PMI_LOCAL_RANK", "PALS_LOCAL_RANKID",
       "FLUX_TASK_LOCAL_ID", "SLURM_LOCALID")


@pytest.fixture(name="device", params=SHELLS)
def _device(request, tmp_path):
    """The device that a rank draws with. GPUs are test files; one that cannot be opened is a dangling link."""
    def chosen(nvidia=(), dri=(), **environment):
        top = tmp_path / "dev"
        shutil.rmtree(str(top), ignore_errors=True)
        (top / "dri").mkdir(parents=True)
        for name in ("nvidiactl", "nvidia-uvm"):
            (top / name).touch()
        for start, ones in (("nvidia", nvidia), ("dri/renderD", dri)):
            for number, can_be_opened in enumerate(ones):
                path = top / "{0}{1}".format(start, number + (128 if "dri" in start else 0))
                if can_be_opened:
                    path.touch()
                else:
                    path.symlink_to("nowhere")
        (tmp_path / "rank.sh").write_text(rendering.rank_script().replace("/dev/", str(top) + "/"))
        words = [shutil.which(request.param), str(tmp_path / "rank.sh"), "sh", "-c", 'echo "${VTK_DEFAULT_EGL_DEVICE_INDEX-none} $*"', "sh", "a b", "*"]
        done = subprocess.run(words, env=dict(environment, PATH=os.environ["PATH"]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              cwd=str(tmp_path))
        number, _blank, rest = done.stdout.decode().strip().partition(" ")
        assert (rest, done.returncode) == ("a b *", 0), done.stdout
        return number

    return chosen


@pytest.mark.parametrize("variable", MPI)
def test_each_rank_of_a_node_has_its_own_gpu(device, variable):
    assert [device([1] * 4, **{variable: str(rank)}) for rank in range(6)] == ["0", "1", "2", "3", "0", "1"]


def test_mpis_rank_number_overrides_the_batch_systems(device):
    """A batch script has SLURM_LOCALID=0, and all processes of mpiexec inherit it."""
    for variable in MPI[:-1]:
        assert device([1] * 4, **{variable: "3", "SLURM_LOCALID": "0"}) == "3"


@pytest.mark.parametrize(("seen", "visible", "rank", "expected"), [
    ([1, 1, 1, 1], "2,3", 0, "2"), ([1, 1, 1, 1], "2,3", 1, "3"), ([1, 1, 1, 1], "3,1", 2, "3"), ([1, 1, 1, 1], "3", 5, "3"),
    ([0, 0, 1, 1], "0,1", 1, "1"), ([0, 0, 1, 1], "2,3", 1, "1"), ([0, 1, 1, 1], "2,3", 1, "none"),
    ([1, 1], "GPU-8932f937,GPU-45b1c8d2", 1, "1"), ([1, 1, 1], "GPU-8932f937", 1, "none"), ([1, 1], "MIG-GPU-1/1/0", 0, "none"),
    ([1, 1], "", 1, "none"), ([1, 1], "-1", 1, "none"), ([1, 1], "NoDevFiles", 1, "none"), ([1], "0", 3, "none"), ([0, 1], "0", 3, "none"),
    ([], "0,1", 1, "none"),
    ([1, 1], "0, 1", 1, "1"), ([1, 1], "$(id),*", 1, "1")])
def test_gpus_that_the_batch_system_assigned(device, seen, visible, rank, expected):
    assert device(seen, CUDA_VISIBLE_DEVICES=visible, SLURM_LOCALID=str(rank)) == expected


@pytest.mark.parametrize(("dri", "variables", "expected"), [
    ([1, 1, 1, 1], {}, "2"), ([1, 1, 1, 1], {"ROCR_VISIBLE_DEVICES": "1,3"}, "1"), ([1, 1, 1, 1], {"HIP_VISIBLE_DEVICES": "3"}, "3"),
    ([1, 1, 1, 1], {"ZE_AFFINITY_MASK": "0,3"}, "0"), ([1, 1, 1, 1], {"ZE_AFFINITY_MASK": "0.0,0.1,1.0,1.1"}, "2"),
    ([1, 0, 1], {}, "none"), ([1], {}, "none")])
def test_gpus_without_nvidias_driver(device, dri, variables, expected):
    assert device((), dri, SLURM_LOCALID="2", **variables) == expected


def test_a_device_that_the_user_set_stays(device):
    assert device([1] * 4, SLURM_LOCALID="2", VTK_DEFAULT_EGL_DEVICE_INDEX="1") == "1"


@pytest.mark.parametrize("rank", ["", "x", "-1", "$(id)"])
def test_an_invalid_rank_number(device, rank):
    assert device([1] * 2, SLURM_LOCALID=rank) == "0"


@pytest.mark.parametrize("launcher", [[], ["env", "SLURM_LOCALID=1"]])
def test_the_mpi_launcher_runs_the_rank_script_for_each_pvserver(node, launcher):
    node.built_for(EGL)
    dev = node.top / "dev"
    dev.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidia2"):
        (dev / name).touch()
    node.start(launcher=launcher, CUDA_VISIBLE_DEVICES="2,1")
    assert node.reported["device"] == ""
    node.rank = node.rank.replace("/dev/", str(dev) + "/")
    node.start(launcher=launcher, CUDA_VISIBLE_DEVICES="2,1")
    assert node.reported["device"] == ("1" if launcher else "2")


# -- the command

@pytest.mark.parametrize(("pvserver", "program"), [
    (["pvserver"], "pvserver"), (["/opt/pv/bin/pvserver-5.13", "--a"], "/opt/pv/bin/pvserver-5.13"), (["xvfb-run", "-a", "pvserver"], "pvserver"),
    (["sh", "-c", 'V=$SLURM_LOCALID exec /sw/pv/bin/pvserver "$@"', "sh"], "sh"), (["bash", "-lc", "module load pv; /sw/bin/pvserver"], "bash"),
    (["env", "A=b", "/bin/bash", "-o", "pipefail", "-ec", "--", "exec /sw/bin/pvserver"], "env"),
    (["sh", "-c", 'exec "$@"', "sh", "/sw/bin/pvserver"], "/sw/bin/pvserver"),
    (["taskset", "-c", "0-3", "pvserver"], "pvserver"), (["ssh", "-c", "pvserver"], "pvserver"), (["/opt/a b/pvserver"], "/opt/a b/pvserver")])
def test_the_word_that_is_pvserver(pvserver, program):
    assert pvserver_program(pvserver) == program


def test_a_wrapper_that_contains_the_path_of_pvserver(node):
    (node.top / "sw").mkdir()
    shutil.move(str(node.bin / "pvserver"), str(node.top / "sw" / "pvserver"))
    text = 'VTK_DEFAULT_EGL_DEVICE_INDEX=${SLURM_LOCALID:-0} exec ' + shlex.quote(str(node.top / "sw" / "pvserver")) + ' "$@"'
    node.start(pvserver=["sh", "-c", text, "sh"], SLURM_LOCALID="3")
    assert node.code == 0 and not node.progress.fault, node.out
    assert node.reported["device"] == "3"


@given(st.text())
def test_messages_from_a_status_file_are_single_lines(text):
    assert "\n" not in rendering.display_message("c101", text)
    assert len(rendering.error("17", "c101", text).lines()) == 3
