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

from ..common.errors import SessionError
from ..common.text import one_line

#: Values of paraview_rendering.
CHOICES = ("auto", "glx", "egl", "osmesa", "xvfb")
_NAMES = {"glx": "GLX", "egl": "EGL", "osmesa": "OSMesa", "xvfb": "GLX"}
_PVSERVER = re.compile(r"(^|/)pvserver[^/]*$")
# pvserver names its displays itself.
_OWN_DISPLAYS = re.compile(r"^--displays(?:=|\Z)")

# A class's name with its length before it is in the one library that has the class, and in no script.
_LOOK = r"""
backends= chooses= opengl= linked=
# What pvserver was built for, of EGL, OSMesa and GLX; nothing where that cannot be seen. A script may have the program proper beside it.
look_at_build() {
  name=$(command -v @PROGRAM@) || return 0
  for one in "$name" "$name-real" "${name%/*}/.${name##*/}-wrapped"; do
    [ -f "$one" ] || continue
    linked=$(ldd "$one" 2>/dev/null) || :
    opengl=$(printf '%s\n' "$linked" | sed -n 's/.*=> \(.*libvtkRenderingOpenGL2[-.][^ ]*\).*/\1/p' | head -n 1) || :
    # So that it is not asked for twice.
    [ -n "$library" ] || library=$(printf '%s\n' "$linked" | sed -n 's/.*=> \([^ ]*vtkRemotingCore[^ ]*\).*/\1/p' | head -n 1) || :
    [ -n "$opengl" ] || opengl=$one
    for class in EGL:18vtkEGLRenderWindow OSMesa:23vtkOSOpenGLRenderWindow GLX:22vtkXOpenGLRenderWindow; do
      if grep -qaFe "${class#*:}" "$opengl" 2>/dev/null; then backends="$backends ${class%%:*}"; fi
    done
    if [ -z "$backends" ]; then
      case $linked in
        *-pv[6-9].* | *-pv[1-9][0-9].*) backends=" EGL OSMesa GLX";;
        *libOSMesa*) backends=" OSMesa";;
        *libEGL.so*) backends=" EGL";;
        *libGLX.so* | *libGL.so*) backends=" GLX";;
      esac
    fi
    [ -z "$backends" ] || break
  done
  [ -n "$backends" ] || return 0
  if grep -qaFe VTK_DEFAULT_OPENGL_WINDOW "$opengl" 2>/dev/null; then chooses=1; fi
  case $linked in *-pv[6-9].* | *-pv[1-9][0-9].*) chooses=1;; esac
  if [ -z "$chooses" ]; then backends=${backends# } backends=" ${backends%% *}"; fi
}
has() { case "$backends " in *" $1 "*) ;; *) return 1;; esac; }
# Whether an X server answers at DISPLAY. Where that cannot be asked, whoever set it is believed.
answers() {
  case ${DISPLAY-} in *:[0-9]*) ;; *) return 1;; esac
  code=127
  if command -v xdpyinfo > /dev/null 2>&1; then code=0; timeout 10 xdpyinfo > /dev/null 2>&1 < /dev/null || code=$?; fi
  case $code in 126 | 127) ;; *) return $code;; esac
  screen=${DISPLAY##*:} screen=${screen%%.*}
  case $screen in *[!0-9]* | 0?*) return 1;; esac
  case ${DISPLAY%:*} in
    '' | unix) grep -q "/tmp/\.X11-unix/X$screen\$" /proc/net/unix;;
    */*) [ -S "$DISPLAY" ];;
    *) code=0; timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1"' "${DISPLAY%:*}" $((6000 + screen)) 2>/dev/null || code=$?
       case $code in 0 | 126 | 127) ;; *) return 1;; esac;;
  esac
}
# The same of a server that the set-up has started, which may take some seconds.
answers_soon() {
  if answers; then return; fi
  case ${DISPLAY-} in "$inherited") return 1;; :*) ;; *) return 1;; esac
  tries=0
  while [ $tries -lt 20 ]; do
    sleep 0.5 2>/dev/null || sleep 1
    if answers; then return; fi
    tries=$((tries + 1))
  done
  return 1
}
# Whether a library that pvserver loads as it draws can be found here: where the loader looks, and what was built into pvserver's own libraries looks.
found() {
  while IFS= read -r place; do
    for file in "$place/$1".so*; do [ ! -e "$file" ] || return 0; done
  done <<EOF
$(printf '%s' "${LD_LIBRARY_PATH-}" | tr : '\n')
${opengl%/*}
$(printf '%s\n' "$linked" | sed -n 's,.*=> \(/.*\)/[^/]*,\1,p' | sort -u)
$(LC_ALL=C grep -aohE '(/[[:alnum:]_.+@=-]+)*/lib[[:alnum:]_.+@=/-]*' "$opengl" "${opengl%/*}"/libvtkglad* 2>/dev/null | sort -u)
EOF
  # Only a list that does not have it is a no.
  listed=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null) || return 0
  case $listed in *"$1.so"* | '') ;; *) return 1;; esac
}
# What an Xvfb of one's own needs and is not here.
missing_for_xvfb() { for one in xvfb-run Xvfb xauth; do command -v "$one" > /dev/null 2>&1 || { echo "$one"; return; }; done; }
tell_display() { (umask 077; printf 'display %s\n' "$*" > new.display; mv new.display news.display); }
cannot() { fault rendering @WISH@ "$@"; echo "paraview_rendering @WISH@: $*"; exit 95; }
"""

_AUTO = r"""
look_at_build
if [ -n "$backends" ] && ! answers_soon; then
  # A display of the login node's is of no use here, and waiting for it is none either.
  unset DISPLAY
  if [ "$backends" = " GLX" ] || { has GLX && ! { has EGL && found libEGL; } && ! { has OSMesa && found libOSMesa; }; }; then
    lacks=$(missing_for_xvfb)
    if [ -z "$lacks" ]; then xvfb=1; tell_display xvfb; else tell_display none "$lacks"; fi
  fi
fi
"""
_GLX = r"""
look_at_build
[ -z "$backends" ] || has GLX || cannot build $backends
answers_soon || cannot display "${DISPLAY-}"
window=vtkXOpenGLRenderWindow
"""
_HEADLESS = r"""
look_at_build
[ -z "$backends" ] || has @NAME@ || cannot build $backends
[ -z "$chooses" ] || found lib@NAME@ || cannot library lib@NAME@
answers_soon || unset DISPLAY
window=@CLASS@
"""
_XVFB = r"""
lacks=$(missing_for_xvfb)
[ -z "$lacks" ] || cannot program "$lacks"
xvfb=1
"""
_CLASSES = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow"}

#: Name of the file that the MPI launcher starts in front of each of pvserver's processes, and its text.
RANK_FILE = "rank.sh"
RANK = r"""#!/bin/sh
# Gives a process of pvserver's a GPU of its own where it sees several, and becomes what stands behind it on the command line.
count() { n=0; for file in "$@"; do if (true < "$file") 2>/dev/null; then n=$((n + 1)); fi; done; echo $n; }
# What a batch system's cgroup shuts off is there and cannot be opened, and EGL of NVIDIA's driver does not count it.
gpus() {
  seen=$(count /dev/nvidia[0-9]*) wish=${CUDA_VISIBLE_DEVICES-all}
  [ "$seen" -eq 0 ] || return 0
  seen=$(count /dev/dri/renderD*) wish=${ROCR_VISIBLE_DEVICES-${HIP_VISIBLE_DEVICES-all}}
  # Mesa counts those as well that cannot be opened.
  set -- /dev/dri/renderD*
  [ "$seen" -eq $# ] || seen=0
}
# An MPI's own number comes first: a batch script has the batch system's, and hands it on to all that it starts.
rank() {
  for number in "${OMPI_COMM_WORLD_LOCAL_RANK-}" "${MV2_COMM_WORLD_LOCAL_RANK-}" "${MPI_LOCALRANKID-}" "${PMI_LOCAL_RANK-}" "${PALS_LOCAL_RANKID-}" \
    "${FLUX_TASK_LOCAL_ID-}" "${SLURM_LOCALID-}"; do
    case $number in '' | *[!0-9]*) ;; *) echo "$number"; return;; esac
  done
  echo 0
}
# device RANK SEEN WISH: the rank's GPU, counted as EGL counts; nothing where that is not known.
device() {
  rank=$1 seen=$2 plain=1
  if [ "$3" = all ]; then echo $((rank % seen)); return; fi
  set -f; IFS=', '; set -- $3; unset IFS
  for one; do
    case $one in -1 | NoDevFiles) return;; *[!0-9]*) plain=; continue;; esac
    [ "$one" -lt "$seen" ] || plain=
  done
  [ $# -gt 0 ] || return
  # Names, and numbers of a whole node where a cgroup shows a part of it, are in their order where all of them are seen.
  if [ -n "$plain" ]; then
    shift $((rank % $#))
    echo "$1"
  elif [ $# -eq "$seen" ]; then
    echo $((rank % seen))
  fi
}
if [ -z "${VTK_DEFAULT_EGL_DEVICE_INDEX+set}" ]; then
  gpus
  if [ "$seen" -gt 1 ]; then
    index=$(device "$(rank)" "$seen" "$wish")
    if [ -n "$index" ]; then VTK_DEFAULT_EGL_DEVICE_INDEX=$index; export VTK_DEFAULT_EGL_DEVICE_INDEX; fi
  fi
fi
exec "$@"
"""

# The words are put together from behind, whatever a set-up has made of IFS.
_START = r"""
# Becomes what stands behind it, started as pvserver is started; with $limit for so many seconds.
start() {
  if [ -n "$own" ] && [ -e @RANK@ ]; then set -- sh @RANK@ "$@"; fi
  if [ -n "$window" ]; then set -- env "VTK_DEFAULT_OPENGL_WINDOW=$window" "$@"; fi
  if [ -n "$xvfb" ]; then set -- xvfb-run -a -s -noreset "$@"; fi
  set -- @LAUNCHER@"$@"
  if [ -n "$limit" ]; then set -- timeout --foreground -k 5 "$limit" "$@"; fi
  exec "$@"
}
xvfb= window= limit= own=@OWN@
"""


def is_pvserver(word):
    """bool: whether a word of a command names pvserver."""
    return bool(_PVSERVER.search(word))


def lines(wish, program, pvserver, launcher, directory):
    """Shell lines of the job that choose what pvserver draws through, and define ``start``, which becomes the words given to it.

    Args:
        wish (str): of CHOICES.
        program (str): the word of the command that is pvserver.
        pvserver (list[str]): the whole command.
        launcher (list[str]): the MPI launcher; may be empty.
        directory (str): the session's, which has RANK_FILE.
    Returns:
        str
    """
    plain = is_pvserver(pvserver[0])
    words = "".join(shlex.quote(word) + " " for word in launcher)
    start = _fill(_START, RANK=shlex.quote(directory + "/" + RANK_FILE), LAUNCHER=words, OWN="1" if plain else "")
    has_one = any(word.rpartition("/")[2] == "xvfb-run" for word in list(launcher) + list(pvserver))
    # Whoever puts something in front of pvserver, or names its displays, has chosen.
    if wish == "auto" and (not plain or has_one or any(_OWN_DISPLAYS.match(word) for word in pvserver)):
        return start
    choice = {"auto": _AUTO, "glx": _GLX, "xvfb": "" if has_one else _XVFB}.get(wish, _HEADLESS)
    return start + _fill(_LOOK + choice, PROGRAM=shlex.quote(program), WISH=wish, NAME=_NAMES.get(wish, ""), CLASS=_CLASSES.get(wish, ""))


def _fill(template, **blanks):
    return re.sub(r"@([A-Z]+)@", lambda match: blanks[match.group(1)], template)


def error(job_id, host, said):
    """SessionError for a wish that the job could not fulfil.

    Args:
        job_id (str): the job. host (str): its node.
        said (str): ``WISH build|display|library|program WORDS``, as the job's status file has it.
    """
    wish, _blank, rest = one_line(said).partition(" ")
    kind, _blank, thing = rest.partition(" ")
    name = _NAMES.get(wish, wish)
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
    return SessionError("pvserver on {0} cannot draw as paraview_rendering: {1} asks".format(host, wish), why, way_out, hopeless=True)


def told(host, display):
    """str: the line for the user on the display that pvserver has; empty where there is nothing to tell.

    Args:
        host (str): its node.
        display (str): ``xvfb``, or ``none PROGRAM``, as the job's status file has it.
    """
    kind, _blank, thing = one_line(display).partition(" ")
    if kind == "xvfb":
        return "pvserver draws through a display, and {0} has none: it gets one of its own (xvfb-run), and draws in software".format(host)
    if kind == "none":
        return ("pvserver draws through a display, and {0} has neither one nor {1}: ParaView may draw on your machine alone; ask the site for {1} on its "
                "nodes, or take a pvserver that was built for EGL or OSMesa").format(host, thing)
    return ""
