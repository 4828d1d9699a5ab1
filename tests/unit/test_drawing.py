# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame that the doctor's job draws, and its checks."""

import os
import shutil
import subprocess
import sys

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import drawing, report
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import rendering
from hypothesis import given
from hypothesis import strategies as st

SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]
# The parts of a ParaView that the program needs; the test sets the window's class and the renderer.
PARAVIEW = {
    "paraview/__init__.py": "", "paraview/modules/__init__.py": "",
    "paraview/modules/vtkRemotingViews.py": """
import os

class Window:
    def __init__(self):
        self.name = os.environ["WINDOW"]

    def GetClassName(self):
        return self.name

    def GetDeviceIndex(self):
        return int(os.environ.get("VTK_DEFAULT_EGL_DEVICE_INDEX", "0"))

    def AddRenderer(self, renderer):
        assert renderer

    def SetSize(self, width, height):
        assert width and height

    def Render(self):
        if os.environ.get("CRASH"):
            os.write(2, b"\\x1b[31m( 0.7s) vtkXOpenGLRenderWindow.:465 ERR| bad X server connection. DISPLAY=\\x1b[0m\\n")
            os.abort()

    def ReportCapabilities(self):
        return "server glx vendor string:  SGI\\nOpenGL renderer string:  %s\\nOpenGL version string:  4.5\\n" % os.environ["RENDERER"]

class vtkPVRenderingCapabilitiesInformation:
    @staticmethod
    def NewOffscreenRenderWindow():
        return Window()
""",
    "vtkmodules/__init__.py": "", "vtkmodules/vtkRenderingCore.py": "class vtkRenderer: pass\n",
}
PVPYTHON = '#!/bin/sh\necho "$@" >> "$HOME/options"\nfor program; do :; done\nPYTHONPATH=$HOME/python exec {0} "$program"\n'


@pytest.fixture(name="draw", params=SHELLS)
def _draw(request, tmp_path):
    """Runs the job's script with a test pvpython; returns the result file's text."""
    for name, text in PARAVIEW.items():
        path = tmp_path / "python" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    place, job = tmp_path / "pv bin", tmp_path / "job"
    place.mkdir()
    job.mkdir()

    def run(pvserver=("pvserver",), launcher=(), pvpython="pvpython", gpus=0, **environment):
        for name, text in (("pvserver", "#!/bin/sh\n"), ("pvserver-5.13", "#!/bin/sh\n"), (pvpython, PVPYTHON.format(sys.executable))):
            if name:
                (place / name).write_text(text)
                (place / name).chmod(0o755)
        look = drawing.lines(list(pvserver), str(job))
        (job / "pvserver.sh").write_text(job_scripts.pvserver_script(str(job), {"pvserver": list(pvserver)}, list(launcher), look=look))
        (job / "go").write_text("")
        dev = tmp_path / "dev"
        dev.mkdir(exist_ok=True)
        for number in range(gpus):
            (dev / "nvidia{0}".format(number)).touch()
        (job / "draw.py").write_text(drawing.TEXT.replace('"/dev/', '"{0}/'.format(dev)).replace("path[5:]", "os.path.basename(path)"))
        (job / "rank.sh").write_text(rendering.rank_script().replace("/dev/", str(dev) + "/"))
        done = subprocess.run([shutil.which(request.param), "pvserver.sh", "022"], cwd=str(job), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False,
                              env=dict(environment, HOME=str(tmp_path), PATH=str(place) + ":" + os.environ["PATH"]))
        assert done.returncode == 0, done.stdout
        assert (job / "drawn").stat().st_mode & 0o077 == 0
        return (job / "drawn").read_text()

    run.options = lambda: (tmp_path / "options").read_text().split()
    return run


def only(found):
    (one,) = found
    return one


@pytest.mark.parametrize(("window", "renderer", "reported"), [
    ("vtkEGLRenderWindow", "NVIDIA A100-SXM4-40GB/PCIe/SSE2", "EGL, NVIDIA A100-SXM4-40GB"),
    ("vtkEGLRenderWindow", "llvmpipe (LLVM 21.1.8, 256 bits)", "EGL, llvmpipe (software)"),
    ("vtkOSOpenGLRenderWindow", "llvmpipe (LLVM 7.0, 256 bits)", "OSMesa, llvmpipe (software)"),
    ("vtkXOpenGLRenderWindow", "Quadro P6000/PCIe/SSE2", "GLX on :0.1, Quadro P6000"),
    ("vtkEGLRenderWindow", "AMD Instinct MI210 (radeonsi, gfx90a, LLVM 17.0.6, DRM 3.54, 6.6.8)", "EGL, AMD Instinct MI210")])
def test_the_renderer_is_reported(draw, window, renderer, reported):
    text = draw(WINDOW=window, RENDERER=renderer, DISPLAY=":0.1")
    one = only(drawing.read(text, "c101", 0))
    assert (one.hop, one.name, one.result, one.said) == ("node", "renderer", "ok", reported)


def test_a_crash_is_a_failure(draw):
    one = only(drawing.read(draw(WINDOW="vtkXOpenGLRenderWindow", RENDERER="", CRASH="1"), "c101", 0))
    assert (one.result, one.who) == ("failed", "you")
    assert "status 134" in one.cause and "GLX, without a display" in one.cause and "bad X server connection" in one.said
    assert "paraview_rendering to xvfb" in one.way_out or "ask the site for" in one.way_out


def test_each_rank_draws(draw):
    launcher = ["sh", "-c", 'for rank in 0 1 2 3; do SLURM_LOCALID=$rank "$@" & done; wait', "sh"]
    text = draw(launcher=launcher, gpus=4, WINDOW="vtkEGLRenderWindow", RENDERER="NVIDIA A100/PCIe/SSE2")
    renderer, ranks = drawing.read(text, "c101", 4)
    assert (renderer.result, renderer.said) == ("ok", "EGL, NVIDIA A100")
    assert ranks.result == "ok" and ranks.said.startswith("4 ranks on ") and ranks.said.endswith("draw with 4 GPUs")
    text = draw(launcher=launcher, gpus=4, WINDOW="vtkEGLRenderWindow", RENDERER="NVIDIA A100/PCIe/SSE2", VTK_DEFAULT_EGL_DEVICE_INDEX="1")
    shared = drawing.read(text, "c101", 4)[1]
    assert (shared.result, shared.who) == ("warning", "you") and "with 1 of its 4 GPUs" in shared.cause and "--gpus-per-task" in shared.way_out


@pytest.mark.parametrize(("pvserver", "pvpython", "options"), [
    (["pvserver"], "pvpython", ["--no-mpi", "--force-offscreen-rendering"]), (["pvserver-5.13"], "pvpython-5.13", ["--no-mpi", "--force-offscreen-rendering"]),
    (["pvserver-5.13"], "pvpython", ["--no-mpi", "--force-offscreen-rendering"]),
    (["pvserver", "--opengl-window-backend", "OSMesa", "--multi-clients", "--displays=1"], "pvpython",
     ["--opengl-window-backend", "OSMesa", "--displays=1", "--no-mpi", "--force-offscreen-rendering"]),
    (["pvserver", "--force-onscreen-rendering"], "pvpython", ["--force-onscreen-rendering", "--no-mpi"]),
    (["env", "A=b", "pvserver"], "pvpython", ["--no-mpi", "--force-offscreen-rendering"]),
    (["sh", "-c", 'A=b exec pvserver "$@"', "sh"], "pvpython", ["--no-mpi", "--force-offscreen-rendering"])])
def test_pvpython_is_started_in_the_same_way_as_pvserver(draw, pvserver, pvpython, options):
    assert "renderer llvmpipe" in draw(pvserver, pvpython=pvpython, WINDOW="vtkEGLRenderWindow", RENDERER="llvmpipe")
    assert draw.options()[:-1] == options


def test_without_pvpython_there_is_no_result(draw):
    one = only(drawing.read(draw(pvpython=""), "c101", 0))
    assert one.result == "cannot tell" and "no pvpython" in one.said


def test_a_pvpython_that_does_not_start_gives_no_result():
    one = only(drawing.read("drawn - status 127\ndrawn - said pvpython: error while loading shared libraries: libmpi.so.40\n", "c101", 0))
    assert one.result == "cannot tell" and "libmpi.so.40" in one.said
    late = only(drawing.read("drawn c101/7 window vtkEGLRenderWindow\ndrawn - status 124\n", "c101", 0))
    assert late.result == "cannot tell" and "60 s" in late.said


GPU = "drawn c101/7 gpus nvidia0 nvidia1\n"
NO_GPU = "drawn c101/7 gpus \n"


@pytest.mark.parametrize(("window", "xvfb", "gpus", "requested", "advice"), [
    ("vtkXOpenGLRenderWindow", True, GPU, 0, ["built for EGL", "no xvfb-run"]), ("vtkXOpenGLRenderWindow", True, GPU, 2, ["no xvfb-run"]),
    ("vtkOSOpenGLRenderWindow", False, GPU, 0, ["paraview_rendering: egl"]), ("vtkEGLRenderWindow", False, GPU, 0, ["egl_vendor.d", "--nv"]),
    ("vtkEGLRenderWindow", False, NO_GPU, 2, ["paraview_gpus_per_node"])])
def test_software_on_a_node_with_gpus_is_a_warning(window, xvfb, gpus, requested, advice):
    text = "{0}drawn c101/7 window {1}\ndrawn c101/7 renderer llvmpipe (LLVM 15)\n{2}drawn - status 0\n".format(gpus, window, "drawn - xvfb\n" if xvfb else "")
    one = only(drawing.read(text, "c101", requested))
    assert (one.result, one.who) == ("warning", "you") and "llvmpipe (software)" in one.said
    assert all(word in one.way_out for word in advice)
    assert report.table([one])[0].startswith("warning      renderer  ")


def test_software_without_gpus_is_no_warning():
    text = NO_GPU + "drawn c101/7 window vtkXOpenGLRenderWindow\ndrawn c101/7 display :99\ndrawn c101/7 renderer llvmpipe (LLVM 15)\ndrawn - status 0\n"
    assert only(drawing.read(text, "c101", 0, ["xvfb-run", "-a", "pvserver"]))[2:4] == ("ok", "GLX under Xvfb, llvmpipe (software)")
    assert only(drawing.read(text, "c101", 0, ["sh", "-c", "exec xvfb-run pvserver", "sh"])).said == "GLX under Xvfb, llvmpipe (software)"


@pytest.mark.parametrize(("renderer", "name"), [
    ("softpipe", "softpipe (software)"), ("Gallium 0.4 on llvmpipe (LLVM 3.9, 256 bits)", "llvmpipe (software)"),
    ("SWR (LLVM 6.0, 256 bits)", "SWR (software)"), ("Software Rasterizer", "Software Rasterizer (software)"),
    ("zink Vulkan 1.3(llvmpipe (LLVM 17))", "llvmpipe (software)"), ("Tesla P100-PCIE-12GB/PCIe/SSE2", "Tesla P100-PCIE-12GB"),
    ("Mesa Intel(R) Data Center GPU Max 1550 (PVC)", "Mesa Intel(R) Data Center GPU Max 1550"), ("", "")])
def test_names_of_renderers(renderer, name):
    assert drawing.short_name(renderer) == name


FIELDS = ["drawn c1/1 window", "drawn c1/2 renderer", "drawn - status", "drawn - xvfb", "drawn c1/1 gpus", "drawn - lacks"]


@given(st.one_of(st.text(), st.lists(st.tuples(st.sampled_from(FIELDS), st.text(max_size=20)).map(" ".join)).map("\n".join)), st.integers(0, 4))
def test_any_output_of_a_job_is_a_check(text, requested):
    found = drawing.read(text, "c101", requested)
    assert found and all(one.result in report.RESULTS for one in found)
    assert all(one.cause and one.way_out and one.who for one in found if one.result in ("failed", "warning"))
