# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ParaViews that are installed where ParaView runs, and the one of them that a session takes.

A shell script finds them, the same one on this machine and on another client host, on Linux and on macOS, where there is no ldd,
no timeout and no /proc, and where a ParaView is a bundle (``/Applications/ParaView-5.13.2.app``).
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
# Where people unpack what they download, and where packages put it; behind them stands bin/paraview.
_PREFIXES = tuple(
    place + name for place in ("/opt/", "/opt/*/", "/usr/local/", "/usr/local/opt/", "~/", "~/opt/", "~/apps/", "~/software/", "~/programs/", "~/tools/",
                               "~/.local/", "~/.local/opt/", "~/Downloads/")
    for name in ("ParaView*", "paraview*")) + ("/opt/ParaView/*", "/opt/paraview/*", "/usr/local", "/usr", "/opt/homebrew", "/opt/local", "~/.local", "~")
_BUNDLES = ("/Applications/ParaView*.app", "/Applications/*/ParaView*.app", "~/Applications/ParaView*.app")
_IN_BUNDLE = "/Contents/MacOS/paraview"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z")


class Installed(t.NamedTuple):
    """A ParaView of a client host.

    Attributes:
        program: what starts it: ``paraview`` for the first one on the PATH, else its full path. Empty for a ParaView that runs already.
        version: empty where it is not known.
        why: why it is not known.
    """

    program: str
    version: str
    why: str


def script(program: str = "") -> str:
    """A shell script that looks for ParaViews and prints what read() understands.

    Args:
        program: the only one to look at, as check() takes it; empty for all.
    """
    return version_probe.shell_functions() + programs.filled("connect", "find_paraviews.sh", {"search": not program, "named": bool(program)}, {
        "SECONDS": str(version_probe.ANSWER_SECONDS), "PROGRAM": _quoted(program), "IN_BUNDLE": _IN_BUNDLE,
        "PLACES": _patterns(_PREFIXES, "/bin/paraview"), "BUNDLES": _patterns(_BUNDLES, _IN_BUNDLE)})


def _quoted(path: str) -> str:
    """A path for the shell; a ~ in front is the home of whoever runs it, and nothing else in it means anything."""
    return '"$HOME"/' + shlex.quote(path[2:]) if path.startswith("~/") else shlex.quote(path)


def _patterns(places: t.Iterable[str], program: str) -> str:
    """Patterns of paths, for the shell."""
    return " ".join(('"$HOME"' + one[1:] if one.startswith("~") else one) + program for one in places)


def shown(record: t.Any) -> str:
    """The ParaView of a session, as a shell takes it."""
    return shlex.quote(record.client_program or "paraview")


def read(text: str) -> t.List[Installed]:
    """What a search printed: the one on the PATH first, then the newest."""
    found = []
    for chunk in re.split(r"(?m)^==program ", text)[1:]:
        head, _newline, said = chunk.partition("\n")
        how, _blank, path = head.partition(" ")
        if not path.startswith("/") or clean(path) != path:
            continue
        version = versions.read(said)
        why = "" if version else "no answer from {0} --version".format(path)
        found.append((how != "other", Installed("paraview" if how == "path" else path, version, why)))
    return [one for _first, one in sorted(found, key=lambda pair: (pair[0], versions.numbers(pair[1].version)), reverse=True)]


def here(program: str = "") -> t.List[Installed]:
    """The ParaViews of this machine, or the one that is named, if it is there."""
    process = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        out = process.communicate(script(program).encode("utf-8", "surrogateescape"), SEARCH_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out = process.communicate()[0]
    return read(out.decode("utf-8", "surrogateescape"))


def clients(settings: t.Dict[str, t.Any], run: t.Optional[t.Callable[[str, int], t.Tuple[int, str, str]]] = None,
            where: str = "this machine") -> t.List[Installed]:
    """The ParaViews that a session may be for.

    Args:
        settings: a session's.
        where: the client host, for messages.
        run: ``run(text, seconds) -> (code, out, err)`` on the client host, where that is not this machine.
    Returns:
        The ParaView that asks, or the one that is named, else all, the one on the PATH first.
    Raises:
        SessionError: the one that is named is not there.
    """
    if settings["client_version"]:
        return [Installed("", settings["client_version"], "")]
    program = settings["client_program"] or _of_command(settings["start_client"])
    found = read(run(script(program), SEARCH_SECONDS)[1]) if run else here(program)
    if settings["client_program"] and not found:
        raise SessionError("paraview_client_program: {0!r} cannot be".format(program), "{0} has no such program".format(where),
                           "name ParaView's program by its full path, or leave paraview_client_program out, and those that are installed are looked for")
    if settings["start_client"] is True and not found:
        raise SessionError("paraview_start_client: {0} has no ParaView to start".format(where), "none is on the PATH, nor where ParaView is usually installed",
                           "name ParaView's program by its full path in paraview_client_program, or leave paraview_start_client out")
    return found


def check(program: str) -> str:
    """A program as a user names it; ValueError where it is neither a name on the PATH nor a full path.

    A path may begin with ``~/``, and may lead to a bundle of macOS or to a directory that holds ``bin/paraview``.
    """
    program = program.strip()
    if re.search(r"[\x00-\x1f\x7f]", program):
        raise ValueError("a program is named on one line")
    if program and not program.startswith(("/", "~/")) and not _NAME.match(program):
        raise ValueError("it is neither the name of a program on the PATH nor a full path, such as ~/ParaView-5.13.2/bin/paraview")
    return program


def to_start(record: t.Any) -> str:
    """The ParaView that a session starts; empty where its user named a command of another kind.

    Args:
        record: a session's.
    """
    wanted = record.settings["start_client"]
    return record.client_program or "paraview" if wanted in (True, ["paraview"]) else _of_command(wanted)


def _of_command(wanted: t.Any) -> str:
    """The path that paraview_start_client names, where that is a ParaView's and nothing else."""
    return wanted[0] if isinstance(wanted, list) and len(wanted) == 1 and re.search("/paraview$", wanted[0]) else ""
