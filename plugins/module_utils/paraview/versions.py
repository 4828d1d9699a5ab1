# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of ParaView on both sides. The first two numbers must be equal, which is checked before a job is queued."""

import re
import typing as t

from ..common.errors import SessionError
from ..common.text import clean

_NUMBER = r"v?(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)(?![\d.]*\d)"
_SUFFIX = r"(?:[-+.~][A-Za-z0-9.+~-]*)?"
_PROGRAMS = r"(?:paraview|pv(?:server|dataserver|renderserver|batch|python))"
# The most reliable first: text in the middle of a line may be another program's message about ParaView.
_PRINTED = (
    re.compile(r"^[ \t]*{0}(?:[ \t]+version)?[ \t:=]+{1}{2}[ \t]*$".format(_PROGRAMS, _NUMBER, _SUFFIX), re.IGNORECASE | re.MULTILINE),
    re.compile(r"{0}\s+version\s*[:=]?\s*{1}".format(_PROGRAMS, _NUMBER), re.IGNORECASE),
)
# A library's name has the version in it, and ldd takes a tenth of the time that the program takes.
_LIBRARY = re.compile(r"\blib(?:vtk|pq)\w+-pv(\d+\.\d+)")
_BARE = re.compile(r"^[ \t]*v?([5-9]\.\d{{1,3}}\.\d{{1,3}}){0}[ \t]*$".format(_SUFFIX), re.MULTILINE)

_MODULE_VERSION = re.compile(r"v?(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)(?:[A-Za-z+.~][A-Za-z0-9+.~]*)?\Z")
# A number that follows one of these is not ParaView's.
_OTHER_NAMES = ("gcc", "gnu", "intel", "icc", "oneapi", "llvm", "clang", "aocc", "nvhpc", "pgi", "cce", "cray", "foss", "python", "py", "openmpi", "ompi",
                "mpich", "mpich2", "mvapich", "mvapich2", "impi", "mpi", "intelmpi", "cuda", "rocm", "qt", "vtk", "hdf5", "ospray", "tbb", "boost", "netcdf",
                "adios2")


def read(text: str) -> str:
    """Finds the version (``5.11`` or ``5.11.0``) in the output of a program or of ldd, among other output; empty for none."""
    text = clean(text, len(text) + 1)
    for pattern in _PRINTED:
        found = pattern.findall(text)
        if found:
            return found[-1]
    library = _LIBRARY.search(text)
    if library:
        return library.group(1)
    bare = _BARE.findall(text)
    return bare[0] if len(bare) == 1 else ""


def numbers(version: str) -> t.Tuple[int, ...]:
    """A version's numbers, for comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def go_together(client: str, server: str) -> bool:
    """Whether client and pvserver of these versions are compatible; True if one version is unknown."""
    return not client or not server or client.split(".")[:2] == server.split(".")[:2]


def version_of(module: str) -> str:
    """ParaView's version in the name of an environment module; empty if the name does not contain it.

    ``ParaView/5.13.2-foss-2023a``, ``gcc-12.2/paraview/5.13.2`` and ``viz/paraview/gcc-12.2/5.13.2`` contain 5.13.2.
    """
    parts = re.split(r"[-_/@]", re.sub(r"(?i)^.*?paraview", "", module, flags=re.DOTALL))
    for before, part in zip([""] + parts, parts):
        match = _MODULE_VERSION.match(part)
        if match and before.lower() not in _OTHER_NAMES:
            return match.group(1)
    return ""


def modules_fitting(version: str, offered: t.Iterable[str], gpus: t.Optional[int] = 0) -> t.List[str]:
    """The modules that are compatible with a client's version, the best first, of equal ones the newest.

    A build for EGL needs a GPU. If the job requests a GPU, it comes before other builds, else after them. A build for Catalyst, which may have no
    pvserver, comes last.

    Args:
        version: the client's; may be empty.
        offered: modules.
        gpus: GPUs on each node.
    """
    def rank(name: str) -> t.Tuple[bool, bool, t.Tuple[int, ...]]:
        egl = bool(re.search(r"(?i)(?<![a-z])(?:egl|gpu|cuda)(?![a-z])", name))
        return "catalyst" not in name.lower(), egl == bool(gpus), numbers(version_of(name))

    return sorted([name for name in offered if version and version_of(name) and go_together(version, version_of(name))], key=rank, reverse=True)


def module_for(version: str, offered: t.Iterable[str], gpus: t.Optional[int] = 0) -> str:
    """The first of modules_fitting(); empty for none."""
    return "".join(modules_fitting(version, offered, gpus)[:1])


def differ(client: str, server: str, login: str, offered: t.Iterable[str] = (), fitting: str = "", where: str = "here") -> SessionError:
    """SessionError for versions that are not compatible.

    Args:
        client, server: versions.
        login: the login node.
        where: where the client is.
        offered: modules of the site with ParaView.
        fitting: one of them that is compatible with the client; empty for none.
    """
    ways = ["set paraview_modules to [{0}] or to auto".format(fitting)] if fitting else []
    ways.append("start ParaView {0} {1}".format(".".join(server.split(".")[:2]), where))
    if not fitting:
        ways.append("choose another pvserver by paraview_modules or paraview_pvserver" + (" (the site offers {0})".format(listed(offered)) if offered else ""))
    return SessionError("ParaView {0} {1} does not match pvserver {2} on {3}".format(client, where, server, login),
                        "the first two numbers of the versions must be equal", ", or ".join(ways))


def listed(names: t.Iterable[str], most: int = 12) -> str:
    """Names for a message; of many, only the first ones."""
    names = list(names)
    return ", ".join(names[:most]) + (" and {0} more".format(len(names) - most) if len(names) > most else "")
