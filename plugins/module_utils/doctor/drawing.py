# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame, drawn in the doctor's job as pvserver would draw it, and what that shows of the renderer.

pvpython draws it, which stands beside pvserver: a pvserver that is asked without a display aborts. So may pvpython; then that is what was found.
"""

import collections
import re
import shlex
import typing as t

from ..common import programs
from ..common.text import one_line
from ..paraview.rendering import is_pvserver
from .report import Check, failed, ok, unsure, warning

#: Seconds that the frame may take.
SECONDS = 60
#: Name of the file for what was seen, and of the program that draws.
SEEN, PROGRAM = "drawn", "draw.py"
_HOP, _NAME, _RANKS = "node", "renderer", "GPUs of the ranks"

#: The program: a line for each thing as soon as it is known, since the next step may be its last. It runs in every Python that ParaView has had.
TEXT = r"""import glob, os, socket

def say(field, text=""):
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
        made = vtkRenderWindow()
        made.SetOffScreenRendering(1)
        return made
    # pvserver's own way to its window.
    return vtkPVRenderingCapabilitiesInformation.NewOffscreenRenderWindow()

seen = gpus()
say("gpus", " ".join(seen))
say("display", os.environ.get("DISPLAY", ""))
made = window()
say("window", made.GetClassName())
try:
    from vtkmodules.vtkRenderingCore import vtkRenderer
except ImportError:
    from paraview.vtk import vtkRenderer
made.AddRenderer(vtkRenderer())
made.SetSize(64, 64)
made.Render()
say("window", made.GetClassName())
index = made.GetDeviceIndex() if hasattr(made, "GetDeviceIndex") else 0
say("device", seen[index] if 0 <= index < len(seen) else index)
for line in (made.ReportCapabilities() or "").splitlines():
    if line.startswith("OpenGL renderer string:"):
        say("renderer", line.partition(":")[2].strip())
# What ends a window may crash, and nothing is learnt of it.
os._exit(0)
"""

_WITH_VALUE = ("--opengl-window-backend", "--displays", "--displays-assignment-mode", "--egl-device-index")
_ALONE = ("--disable-xdisplay-test", "--force-offscreen-rendering", "--force-onscreen-rendering", "--mesa")


def lines(pvserver: t.List[str], program: str, directory: str) -> str:
    """Shell lines for job_scripts.pvserver_script(look=...), which leave what was seen in the file SEEN.

    Args:
        pvserver: the command, wrappers included.
        program: the word of it that is pvserver.
        directory: the session's on the cluster, which has the program.
    """
    place = pvserver.index(program)
    last = place if is_pvserver(program) else len(pvserver) - 1
    wrappers = [_python(word) for word in pvserver[:last + 1]]
    # A script may end in $0 and "$@".
    options = _options(pvserver[last + 1:]) if is_pvserver(program) else []
    options += ["--no-mpi"] + [word for word in ["--force-offscreen-rendering"] if not any(one.startswith("--force-") for one in options)]
    rest = " ".join(shlex.quote(word) for word in options + [directory + "/" + PROGRAM])
    plain = is_pvserver(pvserver[0])
    start = '"$python" ' if plain else " ".join(shlex.quote(word) for word in wrappers) + " "
    named = shlex.quote(_python(program).rpartition("/")[2])
    blanks = {"PVSERVER": shlex.quote(program), "PVPYTHON": named, "SECONDS": str(SECONDS), "WORDS": start + rest, "SEEN": shlex.quote(directory + "/" + SEEN)}
    return programs.filled("doctor", "frame.sh", {}, blanks)


def _python(word: str) -> str:
    """The same word with pvpython in pvserver's place."""
    return re.sub(r"(?<![A-Za-z0-9_])pvserver(?![A-Za-z0-9_])", "pvpython", word)


def _options(arguments: t.List[str]) -> t.List[str]:
    """Of pvserver's arguments those that say how it draws."""
    kept, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        if word.partition("=")[0] in _WITH_VALUE:
            kept += [word] if "=" in word or not rest else [word, rest.pop(0)]
        elif word in _ALONE:
            kept.append(word)
    return kept


class _Rank:
    """What one process told."""

    def __init__(self) -> None:
        self.window = self.renderer = self.display = self.device = ""
        self.gpus: t.List[str] = []

    def name(self, xvfb: bool) -> str:
        """What it draws through."""
        through = {"vtkXOpenGLRenderWindow": "GLX", "vtkEGLRenderWindow": "EGL", "vtkOSOpenGLRenderWindow": "OSMesa"}.get(self.window, self.window)
        if through == "GLX":
            through += " under Xvfb" if xvfb else " on {0}".format(self.display) if self.display else ""
        return through


def read(text: str, node: str, asked: int, command: t.Sequence[str] = ()) -> t.List[Check]:
    """What the frame shows.

    Args:
        text: of the file SEEN; empty where there is none.
        node: the job's root node.
        asked: GPUs that were asked for on each node.
        command: pvserver's, wrappers included.
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
    drawn = [one for one in ranks.values() if one.renderer]
    if len(drawn) < max(1, len(ranks)):
        return [_not_drawn(list(ranks.values()), job, node, xvfb, command)]
    return [_renderer(drawn, node, asked, xvfb)] + _shared(ranks)


def spoken(renderer: str) -> str:
    """``NVIDIA A100-SXM4-40GB``, ``llvmpipe (software)`` of what OpenGL calls its renderer."""
    software = re.search(r"llvmpipe|softpipe|swrast|\bSWR\b|lavapipe|software", renderer, re.IGNORECASE)
    if software:
        return "{0} (software)".format(software.group()) if software.group().lower() != "software" else renderer + " (software)"
    return re.sub(r" *\([^()]*\)$|/PCIe(?:/SSE2)?$|/SSE2$", "", renderer) or renderer


def _renderer(ranks: t.List[_Rank], node: str, asked: int, xvfb: bool) -> Check:
    """Check of what draws."""
    found = collections.OrderedDict.fromkeys("{0}, {1}".format(one.name(xvfb), spoken(one.renderer)) for one in ranks)
    said = "; ".join(found)
    soft = [one for one in ranks if spoken(one.renderer).endswith("(software)")]
    nvidia = any(name.startswith("nvidia") for one in ranks for name in one.gpus)
    if not soft or not (asked or nvidia):
        return ok(_HOP, _NAME, said)
    cause = "the job has GPUs on {0}, and pvserver does not draw with them".format(node)
    if not any(one.gpus for one in ranks):
        cause = "the job asks for GPUs, and no GPU is to be seen on {0}".format(node)
        return warning(_HOP, _NAME, cause, "you", "look at paraview_gpus_per_node, paraview_queue and paraview_directives", said)
    return warning(_HOP, _NAME, cause, "you", _to_the_gpu(soft[0], xvfb), said)


def _to_the_gpu(rank: _Rank, xvfb: bool) -> str:
    """The way out of drawing in software."""
    if rank.window == "vtkEGLRenderWindow":
        return ("ask the site whether the EGL of the GPU's driver is on its nodes (/usr/share/glvnd/egl_vendor.d); "
                "a container needs it as well (apptainer exec --nv, --rocm)")
    if xvfb:
        return "take a pvserver that was built for EGL, or ParaView 6 or newer (paraview_modules), and no xvfb-run: paraview_rendering: auto"
    return "take a pvserver that was built for EGL (paraview_modules, paraview_pvserver), or, from ParaView 6 on, paraview_rendering: egl"


def _not_drawn(ranks: t.List[_Rank], job: t.Dict[str, str], node: str, xvfb: bool, command: t.Sequence[str]) -> Check:
    """Check where at least one process drew nothing."""
    rank = next((one for one in ranks if not one.renderer), _Rank())
    status = job.get("status", "")
    if "missing" in job:
        return unsure(_HOP, _NAME, "there is no pvpython beside pvserver on {0}, which would draw one frame".format(node))
    if not rank.window or status in ("", "124", "137"):
        why = "it took more than {0} s".format(SECONDS) if status in ("124", "137") else job.get("said", "")
        return unsure(_HOP, _NAME, "pvpython could not be asked on {0}{1}".format(node, ": " + why if why else ""))
    display = ", without a display" if rank.window == "vtkXOpenGLRenderWindow" and not rank.display and not _names_displays(command) else ""
    lacks = " and ".join(job.get("lacks", "").split())
    other = "take a pvserver that was built for EGL or OSMesa (paraview_modules, paraview_pvserver)"
    way_out = {
        "vtkXOpenGLRenderWindow": "ask the site for {0} on its nodes, or {1}".format(lacks, other) if lacks else
                                  "set paraview_rendering to xvfb, which gives it a display of its own, or {0}".format(other),
        "vtkEGLRenderWindow": "ask the site whether an EGL driver is on its nodes, or set paraview_rendering to osmesa or xvfb",
        "vtkOSOpenGLRenderWindow": "load a module that has libOSMesa (paraview_modules, paraview_setup), or set paraview_rendering to egl or xvfb",
    }.get(rank.window, "look at paraview_rendering, paraview_pvserver and paraview_setup")
    cause = "pvpython on {0} ended with status {1} when it drew a frame through {2}{3}".format(node, status, rank.name(xvfb), display)
    return failed(_HOP, _NAME, cause, "you", way_out, job.get("said", ""))


def _names_displays(command: t.Sequence[str]) -> bool:
    return any(word.startswith("--displays") for word in command)


def _shared(ranks: t.Dict[str, _Rank]) -> t.List[Check]:
    """A check of whether the ranks of a host share GPUs of which there are several."""
    hosts: t.Dict[str, t.List[_Rank]] = collections.OrderedDict()
    for name, one in ranks.items():
        if one.gpus and not spoken(one.renderer).endswith("(software)"):
            hosts.setdefault(name.rpartition("/")[0], []).append(one)
    told = []
    for host, there in hosts.items():
        gpus = {name for one in there for name in one.gpus}
        used = {one.display if one.window == "vtkXOpenGLRenderWindow" else one.device for one in there}
        if len(there) < 2 or len(gpus) < 2:
            continue
        if len(used) < min(len(there), len(gpus)):
            return [warning(_HOP, _RANKS, "{0} ranks on {1} draw with {2} of its {3} GPUs".format(len(there), host, len(used), len(gpus)), "you",
                            "let each rank see a GPU of its own (such as paraview_directives: [--gpus-per-task=1]), "
                            "or set VTK_DEFAULT_EGL_DEVICE_INDEX for each in a wrapper in front of pvserver (paraview_pvserver)")]
        told.append("{0} ranks on {1} draw with {2} GPUs".format(len(there), host, len(used)))
    return [ok(_HOP, _RANKS, "; ".join(told))] if told else []
