# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ParaView installations on the client host, and the one that a session uses.

One shell script finds them, on this machine and on another client host, on Linux and on macOS. macOS has no ldd, no timeout and no
/proc, and installs ParaView as a bundle (``/Applications/ParaView-5.13.2.app``).
"""

import os
import re
import shlex
import signal
import subprocess
import typing as t

from ..common import programs
from ..common.errors import SessionError
from ..common.text import clean
from . import version_probe, versions

#: Seconds that the search may take.
SEARCH_SECONDS = 90
# Directories where users unpack downloads and where packages install; bin/paraview is below them.
_PREFIXES = tuple(
    parent + name for parent in ("/opt/", "/opt/*/", "/usr/local/", "/usr/local/opt/", "~/", "~/opt/", "~/apps/", "~/software/", "~/programs/", "~/tools/",
                                 "~/.local/", "~/.local/opt/", "~/Downloads/")
    for name in ("ParaView*", "paraview*")) + ("/opt/ParaView/*", "/opt/paraview/*", "/usr/local", "/usr", "/opt/homebrew", "/opt/local", "~/.local", "~")
_BUNDLES = ("/Applications/ParaView*.app", "/Applications/*/ParaView*.app", "~/Applications/ParaView*.app")
_IN_BUNDLE = "/Contents/MacOS/paraview"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z")


class Installed(t.NamedTuple):
    """A ParaView installation on a client host.

    Attributes:
        program: its command: ``paraview`` for the first one on the PATH, else its full path. Empty for a ParaView that is already running.
        version: empty if it is unknown.
        why: why the version is unknown.
    """

    program: str
    version: str
    why: str


def script(program: str = "") -> str:
    """A shell script that searches for ParaViews and prints what read() parses.

    Args:
        program: the only one to check, as check() accepts it; empty for all.
    """
    return version_probe.shell_functions() + programs.filled("connect", "find_paraviews.sh", {"search": not program, "named": bool(program)}, {
        "SECONDS": str(version_probe.ANSWER_SECONDS), "PROGRAM": _quoted(program), "IN_BUNDLE": _IN_BUNDLE,
        "PLACES": _patterns(_PREFIXES, "/bin/paraview"), "BUNDLES": _patterns(_BUNDLES, _IN_BUNDLE)})


def _quoted(path: str) -> str:
    """A path quoted for the shell, except that a leading ~ is expanded."""
    return '"$HOME"/' + shlex.quote(path[2:]) if path.startswith("~/") else shlex.quote(path)


def _patterns(directories: t.Iterable[str], program: str) -> str:
    """Patterns of paths, for the shell."""
    return " ".join(('"$HOME"' + directory[1:] if directory.startswith("~") else directory) + program for directory in directories)


def shown(record: t.Any) -> str:
    """The ParaView of a session, quoted for a shell."""
    return shlex.quote(record.client_program or "paraview")


def read(text: str) -> t.List[Installed]:
    """Parses a search's output: the ParaView on the PATH comes first, then the newest."""
    found = []
    for chunk in re.split(r"(?m)^==program ", text)[1:]:
        head, _newline, output = chunk.partition("\n")
        how, _blank, path = head.partition(" ")
        if not path.startswith("/") or clean(path) != path:
            continue
        version = versions.read(output)
        why = "" if version else "no answer from {0} --version".format(path)
        found.append((how != "other", Installed("paraview" if how == "path" else path, version, why)))
    return [installed for _first, installed in sorted(found, key=lambda pair: (pair[0], versions.numbers(pair[1].version)), reverse=True)]


def here(program: str = "") -> t.List[Installed]:
    """The ParaViews of this machine; if a program is given, only this one, if it exists."""
    process = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        out = process.communicate(script(program).encode("utf-8", "surrogateescape"), SEARCH_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out = process.communicate()[0]
    return read(out.decode("utf-8", "surrogateescape"))


def clients(settings: t.Dict[str, t.Any], run: t.Optional[t.Callable[[str, int], t.Tuple[int, str, str]]] = None,
            where: str = "this machine") -> t.List[Installed]:
    """The ParaViews that a session may use.

    Args:
        settings: a session's.
        where: the client host, for messages.
        run: ``run(text, seconds) -> (code, out, err)`` on the client host, if that is not this machine.
    Returns:
        The ParaView that started connect, or the one that the user named, else all, the one on the PATH first.
    Raises:
        SessionError: the one that the user named does not exist.
    """
    if settings["client_version"]:
        return [Installed("", settings["client_version"], "")]
    program = settings["client_program"] or _of_command(settings["start_client"])
    found = read(run(script(program), SEARCH_SECONDS)[1]) if run else here(program)
    if settings["client_program"] and not found:
        raise SessionError("paraview_client_program: {0!r} cannot be used".format(program), "{0} has no such program".format(where),
                           "give the full path of ParaView's program, or leave paraview_client_program out to have the installed ones searched")
    if settings["start_client"] is True and not found:
        raise SessionError("paraview_start_client: {0} has no ParaView to start".format(where), "none is on the PATH, nor where ParaView is usually installed",
                           "give the full path of ParaView's program in paraview_client_program, or leave paraview_start_client out")
    return found


def check(program: str) -> str:
    """Checks a program that a user named; ValueError if it is neither a name on the PATH nor a full path.

    A path may begin with ``~/``, and may point to a bundle of macOS or to a directory that contains ``bin/paraview``.
    """
    program = program.strip()
    if re.search(r"[\x00-\x1f\x7f]", program):
        raise ValueError("it must be on one line")
    if program and not program.startswith(("/", "~/")) and not _NAME.match(program):
        raise ValueError("it is neither the name of a program on the PATH nor a full path, such as ~/ParaView-5.13.2/bin/paraview")
    return program


def to_start(record: t.Any) -> str:
    """The ParaView that a session starts; empty if its user requested another command.

    Args:
        record: a session's.
    """
    requested = record.settings["start_client"]
    return record.client_program or "paraview" if requested in (True, ["paraview"]) else _of_command(requested)


def _of_command(requested: t.Any) -> str:
    """The path in paraview_start_client, if the command is a path of ParaView without arguments."""
    return requested[0] if isinstance(requested, list) and len(requested) == 1 and re.search("/paraview$", requested[0]) else ""
