# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a server configuration that runs the launcher of a login node, over plain ssh or PuTTY's plink.

What ParaView 5.11.0 was seen to do with a command:

- ``$NAME$`` is what the dialog or the environment says; an unknown name becomes itself. Between two ``$`` with a blank nothing is put.
- A word with a blank is put into double quotes, and the whole is taken apart as QProcess::splitCommand does: at blanks, three
  double quotes are a real one, an empty word is lost.
- ``Set`` puts its value into the environment as it stands, ``$NAME$`` and all.
- The environment gets every option under its own name, whatever it holds.
"""

import re
import socket
import typing as t

from ..common import listeners
from ..paraview.entry_options import KINDS, PORTS, no_variable, option, own, server, wrong
from ..paraview.servers_file import Child

SYSTEMS = ("linux", "macos", "windows")
CLIENTS = ("ssh", "plink")
PATH = "/usr/local/bin/paraview-launch"
#: What the launcher may be asked for.
OPTIONS = ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "memory", "walltime", "queue", "account", "qos", "reservation", "constraint",
           "exclusive", "parallel_environment", "deadline", "idle", "scheduler", "server_ports", "modules", "setup", "launcher", "pvserver", "rendering",
           "directives")
#: Seconds that a forward connection without ``--leave`` gives the login, until the launcher holds the port.
DELAY = 15
_PROGRAMS = {
    ("linux", "ssh"): "/usr/bin/ssh", ("macos", "ssh"): "/usr/bin/ssh", ("windows", "ssh"): r"C:\Windows\System32\OpenSSH\ssh.exe",
    ("linux", "plink"): "/usr/bin/plink", ("macos", "plink"): "/opt/homebrew/bin/plink", ("windows", "plink"): r"C:\Program Files\PuTTY\plink.exe",
}
_USER = "PARAVIEW_USER"
_PORT = "$PV_SERVER_PORT$"
# So long a reverse connection looks whether the login fails; ParaView listens meanwhile.
_LOOK = "5"
_SSH = ["-T", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15", "-o", "SendEnv=LC_PARAVIEW_*"]
# The shell sees the connect-id and the user's name in its environment alone. ParaView leaves the $ alone, as a blank stands before the next.
_EXPORT = "export LC_PARAVIEW_PORT=$PV_SERVER_PORT LC_PARAVIEW_CONNECT_ID=$PV_CONNECT_ID LC_PARAVIEW_VERSION=$PV_VERSION_FULL ; "
_EXEC = 'exec """$0""" {0}${{PARAVIEW_USER:+-l """$PARAVIEW_USER"""}} """$@"""'
# Network homes have no sockets.
_DIRECTORY = "d=${XDG_RUNTIME_DIR:-~/.ssh} ; "
_SOCKET = '-S """$d/ParaView $PV_SERVER_PORT""" '
_MASTER = ["-o", "ControlMaster=yes", "-o", "ControlPersist=60"]
_WORD = re.compile(r"[A-Za-z0-9_.:@+,-]*\Z")


def entry(name: str, launcher: t.Dict[str, t.Any], reverse: bool, options: t.List[t.Dict[str, t.Any]], port: int = 0) -> str:
    """The XML of an entry.

    Args:
        name: as ParaView shows it.
        launcher: ``login`` (host name of the login node), ``user`` (what the dialog shows as its user at first), ``path`` (of the launcher there),
            ``bind`` (its address that pvserver calls), ``ports`` (LOW-HIGH), ``system`` (of SYSTEMS: where ParaView runs), ``client`` (of CLIENTS),
            ``ssh_path`` (the client's), ``delay`` (seconds); but for the first all may be left out.
        reverse: pvserver calls ParaView.
        options: as connect_entry.entry() takes them; ``name`` is of OPTIONS. With plink no free text.
        port: of the user's machine; 0 for another one of ports each time.
    Raises:
        SessionError: what would not arrive as it is.
        ValueError: what XML cannot hold.
    """
    launcher = _complete(launcher)
    ports = (port, port) if port else _ports(launcher["ports"])
    user = option(_USER, "User name on " + launcher["login"], "str", {"name": "user", "default": launcher["user"]}, True)
    asked = [user] + own(ports) + _asked(options, launcher["client"])
    holds = not reverse and (launcher["system"] == "windows" or launcher["client"] == "plink")
    delay = _LOOK if reverse else str(launcher["delay"]) if holds else "-1"
    remote = [launcher["path"], "reverse" if reverse else "forward"] + ([] if reverse or holds else ["--leave"])
    forward = ["-R", "{0}:{1}:127.0.0.1:{1}".format(launcher["bind"], _PORT)] if reverse else ["-L", "127.0.0.1:{0}:127.0.0.1:{0}".format(_PORT)]
    if launcher["client"] == "plink":
        words = _plink(launcher, forward, remote, [one["name"] for one in options])
    elif launcher["system"] == "windows":
        words = _windows_ssh(launcher, forward, remote)
    else:
        words = _ssh(launcher, forward, remote, not reverse)
    return server(name, reverse, asked, words, delay)


def _ssh(launcher: t.Dict[str, t.Any], forward: t.List[str], remote: t.List[str], leaves: bool) -> t.List[str]:
    # A master of the user's own may be used; one that outlives ParaView is made only where the launcher leaves something.
    script = _EXPORT + (_DIRECTORY if leaves else "") + _EXEC.format(_SOCKET if leaves else "")
    return ["/bin/sh", "-c", script, launcher["ssh_path"]] + _SSH + (_MASTER if leaves else ["-o", "ControlMaster=no"]) + forward + [launcher["login"]] + remote


def _windows_ssh(launcher: t.Dict[str, t.Any], forward: t.List[str], remote: t.List[str]) -> t.List[str]:
    # There is no shell; but nobody else sees the words of a user's programs.
    variables = "SetEnv=LC_PARAVIEW_PORT={0} LC_PARAVIEW_CONNECT_ID=$PV_CONNECT_ID$ LC_PARAVIEW_VERSION=$PV_VERSION_FULL$".format(_PORT)
    user = '-oUser="${0}$"'.format(_USER)
    return [_quoted(launcher["ssh_path"])] + _SSH + ["-o", variables, user] + forward + [launcher["login"]] + remote


def _plink(launcher: t.Dict[str, t.Any], forward: t.List[str], remote: t.List[str], options: t.List[str]) -> t.List[str]:
    said = ["--port=" + _PORT, "--connect-id=$PV_CONNECT_ID$", "--version=$PV_VERSION_FULL$"]
    said += ["--{0}=${1}$".format(wanted.replace("_", "-"), _environment(wanted)) for wanted in options]
    # Without a user's name plink refuses this, where an empty word of its own would be lost.
    login = '"${0}$@{1}"'.format(_USER, launcher["login"])
    return [_quoted(launcher["ssh_path"]), "-ssh", "-batch", "-T"] + forward + [login] + remote + said


def _quoted(path: str) -> str:
    return '"{0}"'.format(path) if " " in path else path


def _environment(wanted: str) -> str:
    return "LC_PARAVIEW_" + wanted.upper()


def _asked(options: t.List[t.Dict[str, t.Any]], client: str) -> t.List[Child]:
    asked, seen = [], set()
    for one in options:
        wanted, kind = one["name"], one.get("type") or "str"
        if wanted not in OPTIONS or wanted in seen:
            raise wrong("options", wanted, "the launcher has no such option, or it comes twice", "name each once, of: " + ", ".join(OPTIONS))
        seen.add(wanted)
        if kind not in KINDS:
            raise wrong("options", "{0}: {1}".format(wanted, kind), "there is no such type", "take one of int, str, bool and choice")
        if kind == "file":
            raise wrong("options", wanted, "the login node has other files", "make it a str or a choice")
        if client == "plink":
            _check_for_plink(one, kind)
        asked.append(option(_environment(wanted), one.get("label") or wanted, kind, one, True))
    return asked


def _check_for_plink(one: t.Dict[str, t.Any], kind: str) -> None:
    """Words of plink's get to the login node's shell."""
    if kind == "str":
        raise wrong("options", one["name"], "plink gives the login node's shell what is typed", "make it an int, a bool or a choice, or use ssh")
    for value in [str(choice["value"]) for choice in one.get("choices") or []]:
        if not _WORD.match(value):
            raise wrong("options", value, "plink gives it to the login node's shell", "letters, digits and _ . : @ + , - alone can be chosen with plink")


def _complete(launcher: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """All that there is to know, checked."""
    given = {key: value for key, value in launcher.items() if value not in (None, "")}
    launcher = dict({"login": "", "user": "", "path": PATH, "bind": "127.0.0.1", "ports": "{0}-{1}".format(*PORTS), "system": "linux", "client": "ssh",
                  "delay": DELAY}, **given)
    if launcher["system"] not in SYSTEMS or launcher["client"] not in CLIENTS:
        raise wrong("launcher", "{0}, {1}".format(launcher["system"], launcher["client"]), "there is no such system or client",
                    "systems are {0}; clients are {1}".format(", ".join(SYSTEMS), ", ".join(CLIENTS)))
    launcher.setdefault("ssh_path", _PROGRAMS[launcher["system"], launcher["client"]])
    for key, pattern, why in (
            ("login", r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z", "it is no host name"),
            ("user", r"(?:[A-Za-z0-9_][A-Za-z0-9_.@+-]*)?\Z", "it is no user name"),
            ("path", r"/[A-Za-z0-9_./+-]+\Z", "the login node's shell would not take it as one word, or it is no full path"),
            ("ssh_path", r"(?:[A-Za-z]:\\|/)[^\"\x00-\x1f]+\Z", "it is no full path, or ParaView would take it apart")):
        if not re.match(pattern, launcher[key]):
            raise wrong("launcher." + key, launcher[key], why, "correct it")
    if not _is_address(launcher["bind"]):
        raise wrong("launcher.bind", launcher["bind"], "it is no IPv4 address, and pvserver calls no other", "correct it")
    if launcher["bind"] == "0.0.0.0":
        raise wrong("launcher.bind", launcher["bind"], "it is every address of the login node, and anybody might call ParaView",
                    "name the address by which the nodes reach the login node")
    if int(launcher["delay"]) < 0:
        raise wrong("launcher.delay", str(launcher["delay"]), "it is a number of seconds", "leave it out, or give more of them")
    no_variable("launcher.ssh_path", launcher["ssh_path"])
    return launcher


def _is_address(text: str) -> bool:
    try:
        return bool(socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError):
        return False


def _ports(text: t.Union[str, int]) -> t.Tuple[int, int]:
    """The first and the last of LOW-HIGH, or of one port."""
    try:
        low, high = listeners.parse_range(text)
    except ValueError as error:
        raise wrong("launcher.ports", text, str(error), "write it as 20000-32767")
    if low < 1024:
        raise wrong("launcher.ports", text, "ports below 1024 are root's", "write it as 20000-32767")
    return low, high
