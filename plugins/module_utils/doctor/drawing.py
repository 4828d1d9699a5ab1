# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame, drawn in the doctor's job in the same way as pvserver would draw it, and checks of the renderer.

pvpython, which is installed next to pvserver, draws it. Without a display, pvserver may abort when it draws. If pvpython does, too, that is the result.
"""

import collections
import re
import shlex
import typing as t

from ..common import programs
from ..common.text import one_line
from ..paraview.wrappers import pvserver_index, quoted
from .report import Check, failed, ok, unsure, warning

#: Seconds that the frame may take.
SECONDS = 60
#: Names of the file for the result, and of the program that draws.
SEEN, PROGRAM = "drawn", "draw.py"
_HOP, _NAME, _RANKS = "node", "renderer", "GPUs of the ranks"

#: The program. It prints each result immediately, since the next step may crash. It runs in every version of Python that ParaView has used.
TEXT = r"""import glob, os, socket

def report(field, text=""):
    os.write(1, ("drawn %s/%d %s %s\n" % (socket.gethostname(), os.getpid(), field, text)).encode("utf-8", "replace"))

def gpus():
    found = []
    for path in sorted(glob.glob("/dev/nvidia[0-9]*")) or sorted(glob.glob("/dev/dri/renderD*")):
        try:
            os.close(os.open(path, os.O_RDONLY))
            found.append(path[5:])
        except OSError:
            pass
    return found

def window():
    try:
        from paraview.modules.vtkRemotingViews import vtkPVRenderingCapabilitiesInformation
    except ImportError:
        from paraview.vtk import vtkRenderWindow
        plain = vtkRenderWindow()
        plain.SetOffScreenRendering(1)
        return plain
    # pvserver opens its window in the same way.
    return vtkPVRenderingCapabilitiesInformation.NewOffscreenRenderWindow()

devices = gpus()
report("gpus", " ".join(devices))
report("display", os.environ.get("DISPLAY", ""))
frame = window()
report("window", frame.GetClassName())
try:
    from vtkmodules.vtkRenderingCore import vtkRenderer
except ImportError:
    from paraview.vtk import vtkRenderer
frame.AddRenderer(vtkRenderer())
frame.SetSize(64, 64)
frame.Render()
report("window", frame.GetClassName())
index = frame.GetDeviceIndex() if hasattr(frame, "GetDeviceIndex") else 0
report("device", devices[index] if 0 <= index < len(devices) else index)
for line in (frame.ReportCapabilities() or "").splitlines():
    if line.startswith("OpenGL renderer string:"):
        report("renderer", line.partition(":")[2].strip())
# Closing the window may crash, which would show nothing about drawing.
os._exit(0)
"""

_WITH_VALUE = ("--opengl-window-backend", "--displays", "--displays-assignment-mode", "--egl-device-index")
_ALONE = ("--disable-xdisplay-test", "--force-offscreen-rendering", "--force-onscreen-rendering", "--mesa")


def lines(pvserver: t.List[str], directory: str) -> str:
    """Shell lines for job_scripts.pvserver_script(look=...), which write the result into the file SEEN.

    Args:
        pvserver: the command, with its wrappers.
        directory: the session's directory on the cluster, which contains the program.
    """
    index = pvserver_index(pvserver)
    last = len(pvserver) - 1 if index is None else index
    wrappers = [_python(word) if place == last or index is None else word for place, word in enumerate(pvserver[:last + 1])]
    # If pvserver is in a script's text, the arguments after it are the script's $0 and "$@".
    options = [] if index is None else _options(pvserver[last + 1:])
    options += ["--no-mpi"] + [word for word in ["--force-offscreen-rendering"] if not any(one.startswith("--force-") for one in options)]
    rest = quoted(options + [directory + "/" + PROGRAM])
    start = '"$python" ' if index == 0 else quoted(wrappers) + " "
    python = _python(pvserver[0] if index is None else pvserver[index])
    blanks = {"PVPYTHON": shlex.quote(python.rpartition("/")[2]), "PYTHON": quoted([python]), "SECONDS": str(SECONDS), "WORDS": start + rest,
              "SEEN": shlex.quote(directory + "/" + SEEN)}
    return programs.filled("doctor", "frame.sh", {}, blanks)


def _python(word: str) -> str:
    """The word, with pvserver replaced by pvpython."""
    return re.sub(r"(?<![A-Za-z0-9_])pvserver(?![A-Za-z0-9_])", "pvpython", word)


def _options(arguments: t.List[str]) -> t.List[str]:
    """Those of pvserver's arguments that affect how it draws."""
    kept, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        if word.partition("=")[0] in _WITH_VALUE:
            kept += [word] if "=" in word or not rest else [word, rest.pop(0)]
        elif word in _ALONE:
            kept.append(word)
    return kept


class _Rank:
    """The output of one process."""

    def __init__(self) -> None:
        self.window = self.renderer = self.display = self.device = ""
        self.gpus: t.List[str] = []

    def name(self, xvfb: bool) -> str:
        """The interface that it draws through."""
        through = {"vtkXOpenGLRenderWindow": "GLX", "vtkEGLRenderWindow": "EGL", "vtkOSOpenGLRenderWindow": "OSMesa"}.get(self.window, self.window)
        if through == "GLX":
            through += " under Xvfb" if xvfb else " on {0}".format(self.display) if self.display else ""
        return through


def read(text: str, node: str, requested: int, command: t.Sequence[str] = ()) -> t.List[Check]:
    """Checks of the drawn frame.

    Args:
        text: of the file SEEN; empty if there is none.
        node: the job's root node.
        requested: number of GPUs that the job requests on each node.
        command: pvserver's, with its wrappers.
    """
    ranks: t.Dict[str, _Rank] = collections.OrderedDict()
    job = {}
    for line in text.splitlines():
        parts = one_line(line, 400).split(" ", 3)
        if parts[0] != "drawn" or len(parts) < 3:
            continue
        value = parts[3].strip() if len(parts) > 3 else ""
        if parts[1] == "-":
            job[parts[2]] = value
        elif parts[2] in ("window", "renderer", "display", "device", "gpus"):
            setattr(ranks.setdefault(parts[1], _Rank()), parts[2], value.split() if parts[2] == "gpus" else value)
    xvfb = "xvfb" in job or any("xvfb-run" in word for word in command)
    drawn = [rank for rank in ranks.values() if rank.renderer]
    if len(drawn) < max(1, len(ranks)):
        return [_not_drawn(list(ranks.values()), job, node, xvfb, command)]
    return [_renderer(drawn, node, requested, xvfb)] + _shared(ranks)


def short_name(renderer: str) -> str:
    """A readable name, such as ``NVIDIA A100-SXM4-40GB`` or ``llvmpipe (software)``, for OpenGL's renderer string."""
    software = re.search(r"llvmpipe|softpipe|swrast|\bSWR\b|lavapipe|software", renderer, re.IGNORECASE)
    if software:
        return "{0} (software)".format(software.group()) if software.group().lower() != "software" else renderer + " (software)"
    return re.sub(r" *\([^()]*\)$|/PCIe(?:/SSE2)?$|/SSE2$", "", renderer) or renderer


def _renderer(ranks: t.List[_Rank], node: str, requested: int, xvfb: bool) -> Check:
    """Check of the renderer."""
    found = collections.OrderedDict.fromkeys("{0}, {1}".format(rank.name(xvfb), short_name(rank.renderer)) for rank in ranks)
    renderers = "; ".join(found)
    software = [rank for rank in ranks if short_name(rank.renderer).endswith("(software)")]
    nvidia = any(name.startswith("nvidia") for rank in ranks for name in rank.gpus)
    if not software or not (requested or nvidia):
        return ok(_HOP, _NAME, renderers)
    cause = "the job has GPUs on {0}, and pvserver does not draw with them".format(node)
    if not any(rank.gpus for rank in ranks):
        cause = "the job requests GPUs, and there is no accessible GPU on {0}".format(node)
        return warning(_HOP, _NAME, cause, "you", "check paraview_gpus_per_node, paraview_queue and paraview_directives", renderers)
    return warning(_HOP, _NAME, cause, "you", _how_to_use_gpu(software[0], xvfb), renderers)


def _how_to_use_gpu(rank: _Rank, xvfb: bool) -> str:
    """The way out if pvserver draws in software."""
    if rank.window == "vtkEGLRenderWindow":
        return ("ask the site whether the EGL of the GPU's driver is on its nodes (/usr/share/glvnd/egl_vendor.d); "
                "a container needs it as well (apptainer exec --nv, --rocm)")
    if xvfb:
        return "use a pvserver that was built for EGL, or ParaView 6 or newer (paraview_modules), and no xvfb-run: paraview_rendering: auto"
    return "use a pvserver that was built for EGL (paraview_modules, paraview_pvserver), or, with ParaView 6 or newer, paraview_rendering: egl"


def _not_drawn(ranks: t.List[_Rank], job: t.Dict[str, str], node: str, xvfb: bool, command: t.Sequence[str]) -> Check:
    """Check if at least one process drew nothing."""
    rank = next((rank for rank in ranks if not rank.renderer), _Rank())
    status = job.get("status", "")
    if "missing" in job:
        return unsure(_HOP, _NAME, "one frame could not be drawn: there is no pvpython next to pvserver on {0}".format(node))
    if not rank.window or status in ("", "124", "137"):
        why = "it took more than {0} s".format(SECONDS) if status in ("124", "137") else job.get("said", "")
        return unsure(_HOP, _NAME, "pvpython could not draw a frame on {0}{1}".format(node, ": " + why if why else ""))
    display = ", without a display" if rank.window == "vtkXOpenGLRenderWindow" and not rank.display and not _names_displays(command) else ""
    lacks = " and ".join(job.get("lacks", "").split())
    other = "use a pvserver that was built for EGL or OSMesa (paraview_modules, paraview_pvserver)"
    way_out = {
        "vtkXOpenGLRenderWindow": "ask the site for {0} on its nodes, or {1}".format(lacks, other) if lacks else
                                  "set paraview_rendering to xvfb, which starts a virtual display, or {0}".format(other),
        "vtkEGLRenderWindow": "ask the site whether an EGL driver is on its nodes, or set paraview_rendering to osmesa or xvfb",
        "vtkOSOpenGLRenderWindow": "load a module that has libOSMesa (paraview_modules, paraview_setup), or set paraview_rendering to egl or xvfb",
    }.get(rank.window, "check paraview_rendering, paraview_pvserver and paraview_setup")
    cause = "pvpython on {0} ended with status {1} when it drew a frame through {2}{3}".format(node, status, rank.name(xvfb), display)
    return failed(_HOP, _NAME, cause, "you", way_out, job.get("said", ""))


def _names_displays(command: t.Sequence[str]) -> bool:
    return any(word.startswith("--displays") for word in command)


def _shared(ranks: t.Dict[str, _Rank]) -> t.List[Check]:
    """A check of whether ranks of a host share a GPU although it has several."""
    hosts: t.Dict[str, t.List[_Rank]] = collections.OrderedDict()
    for name, rank in ranks.items():
        if rank.gpus and not short_name(rank.renderer).endswith("(software)"):
            hosts.setdefault(name.rpartition("/")[0], []).append(rank)
    results = []
    for host, its_ranks in hosts.items():
        gpus = {name for rank in its_ranks for name in rank.gpus}
        used = {rank.display if rank.window == "vtkXOpenGLRenderWindow" else rank.device for rank in its_ranks}
        if len(its_ranks) < 2 or len(gpus) < 2:
            continue
        if len(used) < min(len(its_ranks), len(gpus)):
            return [warning(_HOP, _RANKS, "{0} ranks on {1} draw with {2} of its {3} GPUs".format(len(its_ranks), host, len(used), len(gpus)), "you",
                            "assign a GPU to each rank (paraview_gpus_per_task: 1, which is --gpus-per-task=1 in Slurm), "
                            "or set VTK_DEFAULT_EGL_DEVICE_INDEX for each rank in a wrapper of pvserver (paraview_pvserver)")]
        results.append("{0} ranks on {1} draw with {2} GPUs".format(len(its_ranks), host, len(used)))
    return [ok(_HOP, _RANKS, "; ".join(results))] if results else []
