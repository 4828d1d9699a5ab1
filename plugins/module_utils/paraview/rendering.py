# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pvserver's OpenGL interface: GLX with a display, EGL, or OSMesa. The job's script chooses it on the node, from those that pvserver was built for.

Before version 6, a ParaView was built for one of them: EGL if available, else OSMesa, else GLX. Since version 6, it contains several. When it first draws,
it tries GLX, EGL and OSMesa in this order; VTK_DEFAULT_OPENGL_WINDOW overrides that. Sources: vtkPVRenderingCapabilitiesInformation.cxx,
VTK's guide on run-time settings, and the observed behaviour of 5.11, 5.13 and 6.1.
"""

import re
import shlex
import typing as t

from ..common import programs
from ..common.errors import SessionError
from ..common.text import one_line
from .wrappers import chooses_pvserver, is_pvserver

#: Values of paraview_rendering.
CHOICES = ("auto", "glx", "egl", "osmesa", "xvfb")
_NAMES = {"glx": "GLX", "egl": "EGL", "osmesa": "OSMesa", "xvfb": "GLX"}
# The option by which the user names pvserver's displays.
_OWN_DISPLAYS = re.compile(r"^--displays(?:=|\Z)")
_CLASSES = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow"}

#: Name of the script that the MPI launcher starts for each rank; the script then starts pvserver.
RANK_FILE = "rank.sh"
# Parts of pvserver.sh that choose the interface; at most one of them is used.
_CHOOSING = ("auto", "glx", "headless", "xvfb")


def rank_script() -> str:
    """Text of RANK_FILE."""
    return programs.filled("connect", RANK_FILE, {}, {})


def choice(requested: str, pvserver: t.List[str], launcher: t.List[str], directory: str) -> t.Tuple[t.Dict[str, bool], t.Dict[str, str]]:
    """The parts of pvserver.sh that choose the OpenGL interface, and values for their blanks, for programs.filled().

    Args:
        requested: of CHOICES.
        pvserver: its command.
        launcher: the MPI launcher; may be empty.
        directory: the session's, which has RANK_FILE.
    """
    plain = is_pvserver(pvserver[0]) and not chooses_pvserver(launcher)
    blanks = {"RANK": shlex.quote(directory + "/" + RANK_FILE), "OWN": "1" if plain else "",
              "RENDERING": requested, "BACKEND": _NAMES.get(requested, ""), "WINDOW": _CLASSES.get(requested, "")}
    has_xvfb = any(word.rpartition("/")[2] == "xvfb-run" for word in list(launcher) + list(pvserver))
    # A user who puts a wrapper in front of pvserver, or names its displays, has already chosen.
    by_user = requested == "auto" and (not plain or has_xvfb or any(_OWN_DISPLAYS.match(word) for word in pvserver))
    name = "" if by_user or (requested == "xvfb" and has_xvfb) else "headless" if requested in _CLASSES else requested
    return dict({part: part == name for part in _CHOOSING}, look=not by_user), blanks


def error(job_id: str, host: str, reported: str) -> SessionError:
    """SessionError for a requested interface that the job cannot provide.

    Args:
        job_id: the job.
        host: its node.
        reported: ``REQUESTED build|display|library|program DETAILS``, as the job's status file has it.
    """
    requested, _blank, rest = one_line(reported).partition(" ")
    kind, _blank, detail = rest.partition(" ")
    name = _NAMES.get(requested, requested)
    auto = "leave paraview_rendering at auto"
    why, way_out = {
        "build": ("it was built for {0} alone".format(detail.replace(" ", " and ")),
                  "{0}, or use a pvserver that was built for {1} (paraview_modules, paraview_pvserver)".format(auto, name)),
        "display": ("no X server answers there{0}".format(" at DISPLAY={0}".format(detail) if detail else ": DISPLAY is empty"),
                    "set paraview_rendering to xvfb, which starts a virtual display, or leave it at auto"),
        "library": ("pvserver needs {0} to draw, and it is not found there".format(detail),
                    "{0}, or load a module that has {1} (paraview_modules, paraview_setup)".format(auto, detail)),
        "program": ("{0} is not on the PATH of job {1}".format(detail, job_id),
                    "{0}, load a module that has {1}, or ask the site to install it on its nodes".format(auto, detail)),
    }.get(kind, (rest or "the job reports no reason", auto))
    return SessionError("pvserver on {0} cannot draw with paraview_rendering: {1}".format(host, requested), why, way_out, end_detached=True)


def display_message(host: str, display: str) -> str:
    """The line for the user about pvserver's display; empty if there is none to print.

    Args:
        host: its node.
        display: ``xvfb``, or ``none PROGRAM``, as the job's status file has it.
    """
    kind, _blank, program = one_line(display).partition(" ")
    if kind == "xvfb":
        return "pvserver needs a display, and {0} has none: it gets a virtual one (xvfb-run), and draws in software".format(host)
    if kind == "none":
        return ("pvserver needs a display to draw, and {0} has neither a display nor {1}: only your machine may be able to draw; ask the site for {1} on its "
                "nodes, or use a pvserver that was built for EGL or OSMesa").format(host, program)
    return ""
