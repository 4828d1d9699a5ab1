# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of ParaView on both sides: the first two numbers have to be equal, and that is better known before a job is queued."""

import re
import shlex
import shutil
import subprocess

from .errors import SessionError
from .text import clean

# A library's name tells the version in a hundredth of the time that the program takes to say it.
_LIBRARY = r"vtkRemotingCore-pv(\d+\.\d+)"
_SAID = r"(?:^|\s)[Vv]ersion:?\s+(\d+\.\d+(?:\.\d+)?)"
_PROBE = r"""{modules}
program=$(command -v {program} 2>/dev/null) || exit 0
said=$(ldd "$program" 2>/dev/null | grep -m 1 -e 'vtkRemotingCore-pv')
[ -n "$said" ] || said=$(timeout 20 "$program" --version </dev/null 2>&1 | head -n 5)
printf '%s\n' "$said"
"""


def probe(modules, program):
    """str: a shell script that prints what read() understands, where pvserver is.

    Args:
        modules (list[str]): environment modules to load first.
        program (str): pvserver.
    """
    load = ""
    if modules:
        load = "command -v module >/dev/null 2>&1 || {{ [ -r /etc/profile ] && . /etc/profile; }} >/dev/null 2>&1\nmodule load {0} >/dev/null 2>&1".format(
            " ".join(shlex.quote(name) for name in modules))
    return _PROBE.format(modules=load, program=shlex.quote(program))


def read(text):
    """str: ``5.11`` or ``5.11.0`` of what a program or ldd printed; empty where nothing tells."""
    match = re.search(_LIBRARY, text) or re.search(_SAID, clean(text, 4000))
    return match.group(1) if match else ""


def here(program):
    """str: the version of a ParaView client on this host; empty where it is not there or does not tell."""
    path = shutil.which(program)
    for command in ([["ldd", path], [path, "--version"]] if path else []):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found = read(done.stdout.decode("utf-8", "replace"))
        if found:
            return found
    return ""


def go_together(one, other):
    """bool: whether client and pvserver of these versions agree; True where one of them is not known."""
    return not one or not other or one.split(".")[:2] == other.split(".")[:2]


def module_for(version, offered):
    """str: the newest of the modules that a site offers which goes with a client's version; empty for none."""
    fitting = [name for name in offered if _of(name) and go_together(version, _of(name))]
    return max(fitting, key=lambda name: [int(part) for part in _of(name).split(".")]) if version and fitting else ""


def modules_for(client, wishes, site_values, program):
    """list[str]: the environment modules that a job loads: the user's own, else the site's, with the pvserver among them that goes with the client.

    Args:
        client (str): the client's version; may be empty. wishes (dict): a session's.
        site_values (dict): the site's own. program (str): pvserver.
    """
    offered = site_values.get("pvserver_versions", [])
    modules = wishes["modules"] or site_values.get("modules", [])
    fitting = module_for(client, offered) if not wishes["modules"] and program == "pvserver" else ""
    return [name for name in modules if name not in offered] + [fitting] if fitting else modules


def _of(name):
    match = re.search(r"(?<![\d.])(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)(?![\d.])", name)
    return match.group(1) if match else ""


def differ(client, server, login, offered=()):
    """SessionError for versions that do not go together."""
    return SessionError(
        "ParaView {0} here does not go with pvserver {1} on {2}".format(client, server, login), "the first two numbers have to be equal",
        "start ParaView {0} here, or choose another pvserver by paraview_modules or paraview_pvserver{1}".format(
            ".".join(server.split(".")[:2]), " (the site offers {0})".format(", ".join(offered)) if offered else ""))
