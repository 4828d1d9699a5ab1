# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pvserver draws through: GLX with a display, EGL, or OSMesa. The job's script decides it on the node, by what pvserver was built for.

Before version 6 a ParaView draws through one of them, which was chosen when it was built: EGL where it has that, else OSMesa, else GLX. From 6 on it has
several, tries GLX, EGL and OSMesa in this order when it draws first, and heeds VTK_DEFAULT_OPENGL_WINDOW. Sources: vtkPVRenderingCapabilitiesInformation.cxx,
VTK's guide on run-time settings, and what 5.11, 5.13 and 6.1 were seen to do.
"""

import re
import shlex
import typing as t

from ..common import programs
from ..common.errors import SessionError
from ..common.text import one_line

#: Values of paraview_rendering.
CHOICES = ("auto", "glx", "egl", "osmesa", "xvfb")
_NAMES = {"glx": "GLX", "egl": "EGL", "osmesa": "OSMesa", "xvfb": "GLX"}
_PVSERVER = re.compile(r"(^|/)pvserver[^/]*$")
# pvserver names its displays itself.
_OWN_DISPLAYS = re.compile(r"^--displays(?:=|\Z)")
_CLASSES = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow"}

#: Name of the file that the MPI launcher starts in front of each of pvserver's processes.
RANK_FILE = "rank.sh"
# Parts of pvserver.sh, one of which chooses.
_CHOOSING = ("auto", "glx", "headless", "xvfb")


def is_pvserver(word: str) -> bool:
    """Whether a word of a command names pvserver."""
    return bool(_PVSERVER.search(word))


def rank_script() -> str:
    """Text of RANK_FILE."""
    return programs.filled("connect", RANK_FILE, {}, {})


def choice(wanted: str, program: str, pvserver: t.List[str], launcher: t.List[str], directory: str) -> t.Tuple[t.Dict[str, bool], t.Dict[str, str]]:
    """The parts of pvserver.sh that choose what pvserver draws through, and the blanks in them, for programs.filled().

    Args:
        wanted: of CHOICES.
        program: the word of the command that is pvserver.
        pvserver: the whole command.
        launcher: the MPI launcher; may be empty.
        directory: the session's, which has RANK_FILE.
    """
    plain = is_pvserver(pvserver[0])
    blanks = {"RANK": shlex.quote(directory + "/" + RANK_FILE), "LAUNCHER": " ".join(shlex.quote(word) for word in launcher), "OWN": "1" if plain else "",
              "RENDERING": wanted, "BACKEND": _NAMES.get(wanted, ""), "WINDOW": _CLASSES.get(wanted, "")}
    has_one = any(word.rpartition("/")[2] == "xvfb-run" for word in list(launcher) + list(pvserver))
    # Whoever puts something in front of pvserver, or names its displays, has chosen.
    chosen = wanted == "auto" and (not plain or has_one or any(_OWN_DISPLAYS.match(word) for word in pvserver))
    name = "" if chosen or (wanted == "xvfb" and has_one) else "headless" if wanted in _CLASSES else wanted
    return dict({one: one == name for one in _CHOOSING}, look=not chosen), blanks


def error(job_id: str, host: str, said: str) -> SessionError:
    """SessionError for a choice that the job could not fulfil.

    Args:
        job_id: the job.
        host: its node.
        said: ``NAME build|display|library|program WORDS``, as the job's status file has it.
    """
    wanted, _blank, rest = one_line(said).partition(" ")
    kind, _blank, thing = rest.partition(" ")
    name = _NAMES.get(wanted, wanted)
    auto = "leave paraview_rendering at auto"
    why, way_out = {
        "build": ("it was built for {0} alone".format(thing.replace(" ", " and ")),
                  "{0}, or take a pvserver that was built for {1} (paraview_modules, paraview_pvserver)".format(auto, name)),
        "display": ("no X server answers there{0}".format(" at DISPLAY={0}".format(thing) if thing else ": DISPLAY is empty"),
                    "set paraview_rendering to xvfb, which gives it a display of its own, or leave it at auto"),
        "library": ("{0} is not found there, which pvserver loads to draw".format(thing),
                    "{0}, or load a module that has {1} (paraview_modules, paraview_setup)".format(auto, thing)),
        "program": ("{0} is not on the PATH of job {1}".format(thing, job_id),
                    "{0}, load a module that has {1}, or ask the site to install it on its nodes".format(auto, thing)),
    }.get(kind, (rest or "the job does not say why", auto))
    return SessionError("pvserver on {0} cannot draw as paraview_rendering: {1} asks".format(host, wanted), why, way_out, hopeless=True)


def told(host: str, display: str) -> str:
    """The line for the user on the display that pvserver has; empty where there is nothing to tell.

    Args:
        host: its node.
        display: ``xvfb``, or ``none PROGRAM``, as the job's status file has it.
    """
    kind, _blank, thing = one_line(display).partition(" ")
    if kind == "xvfb":
        return "pvserver draws through a display, and {0} has none: it gets one of its own (xvfb-run), and draws in software".format(host)
    if kind == "none":
        return ("pvserver draws through a display, and {0} has neither one nor {1}: ParaView may draw on your machine alone; ask the site for {1} on its "
                "nodes, or take a pvserver that was built for EGL or OSMesa").format(host, thing)
    return ""
