# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a server configuration that runs the launcher of a login node, over plain ssh or PuTTY's plink.

How ParaView 5.11.0 processes a command, as observed:

- It replaces ``$NAME$`` by the value from the dialog or the environment, and an unknown name by itself. If the text between two ``$``
  contains a blank, it stays unchanged.
- It puts a word with a blank into double quotes. Then it splits the whole command as QProcess::splitCommand does: at blanks; three
  double quotes stand for a literal one; an empty word is lost.
- ``Set`` puts its value into the environment unchanged, without replacing ``$NAME$``.
- It puts every option into the environment under its own name, whatever its value.
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
#: The launcher's options that the dialog may offer.
OPTIONS = ("nodes", "tasks", "tasks_per_node", "cpus_per_task", "gpus_per_node", "gpus_per_task", "gpus", "gpu_type", "memory", "walltime", "queue", "account",
           "qos", "reservation", "constraint", "exclusive", "parallel_environment", "deadline", "idle", "scheduler", "server_ports", "modules", "setup",
           "launcher", "pvserver", "rendering", "directives", "scheduler_arguments")
#: In a forward connection without ``--leave``, seconds for the login, until the launcher holds the port.
DELAY = 15
_PROGRAMS = {
    ("linux", "ssh"): "/usr/bin/ssh", ("macos", "ssh"): "/usr/bin/ssh", ("windows", "ssh"): r"C:\Windows\System32\OpenSSH\ssh.exe",
    ("linux", "plink"): "/usr/bin/plink", ("macos", "plink"): "/opt/homebrew/bin/plink", ("windows", "plink"): r"C:\Program Files\PuTTY\plink.exe",
}
_USER = "PARAVIEW_USER"
_PORT = "$PV_SERVER_PORT$"
# Seconds for which a reverse connection checks whether the login fails; ParaView listens at the same time.
_CHECK_SECONDS = "5"
_SSH = ["-T", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15", "-o", "SendEnv=LC_PARAVIEW_*"]
# The shell gets the connect-id and the user's name by its environment only. ParaView does not replace a $ here, since a blank precedes the next one.
_EXPORT = "export LC_PARAVIEW_PORT=$PV_SERVER_PORT LC_PARAVIEW_CONNECT_ID=$PV_CONNECT_ID LC_PARAVIEW_VERSION=$PV_VERSION_FULL ; "
_EXEC = 'exec """$0""" {0}${{PARAVIEW_USER:+-l """$PARAVIEW_USER"""}} """$@"""'
# XDG_RUNTIME_DIR comes first, since a home on a network file system may not support sockets.
_DIRECTORY = "d=${XDG_RUNTIME_DIR:-~/.ssh} ; "
_SOCKET = '-S """$d/ParaView $PV_SERVER_PORT""" '
_MASTER = ["-o", "ControlMaster=yes", "-o", "ControlPersist=60"]
_WORD = re.compile(r"[A-Za-z0-9_.:@+,-]*\Z")


def entry(name: str, launcher: t.Dict[str, t.Any], reverse: bool, options: t.List[t.Dict[str, t.Any]], port: int = 0) -> str:
    """The XML of an entry.

    Args:
        name: as ParaView shows it.
        launcher: ``login`` (host name of the login node), ``user`` (what the dialog shows as its user at first), ``path`` (of the launcher there),
            ``bind`` (its address that pvserver connects to), ``ports`` (LOW-HIGH), ``system`` (of SYSTEMS: where ParaView runs), ``client`` (of CLIENTS),
            ``ssh_path`` (the client's), ``delay`` (seconds); only the first is required.
        reverse: pvserver connects to ParaView.
        options: as for connect_entry.entry(); ``name`` is of OPTIONS. With plink no free text.
        port: of the user's machine; 0 for a new one of ports each time.
    Raises:
        SessionError: a value would not arrive unchanged.
        ValueError: a value contains a character that XML does not allow.
    """
    launcher = _complete(launcher)
    ports = (port, port) if port else _ports(launcher["ports"])
    user = option(_USER, "User name on " + launcher["login"], "str", {"name": "user", "default": launcher["user"]}, True)
    dialog_options = [user] + own(ports) + _options(options, launcher["client"])
    holds = not reverse and (launcher["system"] == "windows" or launcher["client"] == "plink")
    delay = _CHECK_SECONDS if reverse else str(launcher["delay"]) if holds else "-1"
    remote = [launcher["path"], "reverse" if reverse else "forward"] + ([] if reverse or holds else ["--leave"])
    forward = ["-R", "{0}:{1}:127.0.0.1:{1}".format(launcher["bind"], _PORT)] if reverse else ["-L", "127.0.0.1:{0}:127.0.0.1:{0}".format(_PORT)]
    if launcher["client"] == "plink":
        words = _plink(launcher, forward, remote, [about["name"] for about in options])
    elif launcher["system"] == "windows":
        words = _windows_ssh(launcher, forward, remote)
    else:
        words = _ssh(launcher, forward, remote, not reverse)
    return server(name, reverse, dialog_options, words, delay)


def _ssh(launcher: t.Dict[str, t.Any], forward: t.List[str], remote: t.List[str], leaves: bool) -> t.List[str]:
    # ssh may use a master of the user's own. A master that outlives ParaView is needed only if the launcher detaches (--leave).
    script = _EXPORT + (_DIRECTORY if leaves else "") + _EXEC.format(_SOCKET if leaves else "")
    return ["/bin/sh", "-c", script, launcher["ssh_path"]] + _SSH + (_MASTER if leaves else ["-o", "ControlMaster=no"]) + forward + [launcher["login"]] + remote


def _windows_ssh(launcher: t.Dict[str, t.Any], forward: t.List[str], remote: t.List[str]) -> t.List[str]:
    # There is no shell to hide the arguments, but on Windows other users cannot see them.
    variables = "SetEnv=LC_PARAVIEW_PORT={0} LC_PARAVIEW_CONNECT_ID=$PV_CONNECT_ID$ LC_PARAVIEW_VERSION=$PV_VERSION_FULL$".format(_PORT)
    user = '-oUser="${0}$"'.format(_USER)
    return [_quoted(launcher["ssh_path"])] + _SSH + ["-o", variables, user] + forward + [launcher["login"]] + remote


def _plink(launcher: t.Dict[str, t.Any], forward: t.List[str], remote: t.List[str], options: t.List[str]) -> t.List[str]:
    arguments = ["--port=" + _PORT, "--connect-id=$PV_CONNECT_ID$", "--version=$PV_VERSION_FULL$"]
    arguments += ["--{0}=${1}$".format(name.replace("_", "-"), _environment(name)) for name in options]
    # If the user's name is empty, plink refuses this word. An empty word of its own would be lost instead.
    login = '"${0}$@{1}"'.format(_USER, launcher["login"])
    return [_quoted(launcher["ssh_path"]), "-ssh", "-batch", "-T"] + forward + [login] + remote + arguments


def _quoted(path: str) -> str:
    return '"{0}"'.format(path) if " " in path else path


def _environment(name: str) -> str:
    return "LC_PARAVIEW_" + name.upper()


def _options(options: t.List[t.Dict[str, t.Any]], client: str) -> t.List[Child]:
    dialog_options, seen = [], set()
    for about in options:
        name, kind = about["name"], about.get("type") or "str"
        if name not in OPTIONS or name in seen:
            raise wrong("options", name, "the launcher has no such option, or it is repeated", "name each once, of: " + ", ".join(OPTIONS))
        seen.add(name)
        if kind not in KINDS:
            raise wrong("options", "{0}: {1}".format(name, kind), "there is no such type", "use one of int, str, bool and choice")
        if kind == "file":
            raise wrong("options", name, "the user chooses a file of this machine, which the login node does not have", "make it a str or a choice")
        if client == "plink":
            _check_for_plink(about, kind)
        dialog_options.append(option(_environment(name), about.get("label") or name, kind, about, True))
    return dialog_options


def _check_for_plink(about: t.Dict[str, t.Any], kind: str) -> None:
    """Refuses values that the login node's shell may interpret, since plink passes them on its command line."""
    if kind == "str":
        raise wrong("options", about["name"], "plink passes typed text to the login node's shell", "make it an int, a bool or a choice, or use ssh")
    for value in [str(choice["value"]) for choice in about.get("choices") or []]:
        if not _WORD.match(value):
            raise wrong("options", value, "plink passes it to the login node's shell", "with plink, use only letters, digits and _ . : @ + , - in choices")


def _complete(launcher: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """Checks the launcher's settings, and adds defaults."""
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
            ("path", r"/[A-Za-z0-9_./+-]+\Z", "it is no full path, or the login node's shell would not read it as one word"),
            ("ssh_path", r"(?:[A-Za-z]:\\|/)[^\"\x00-\x1f]+\Z", "it is no full path, or ParaView would split it")):
        if not re.match(pattern, launcher[key]):
            raise wrong("launcher." + key, launcher[key], why, "correct it")
    if not _is_address(launcher["bind"]):
        raise wrong("launcher.bind", launcher["bind"], "it is no IPv4 address, and pvserver connects to no other", "correct it")
    if launcher["bind"] == "0.0.0.0":
        raise wrong("launcher.bind", launcher["bind"], "it stands for all addresses of the login node, so that any host could connect to ParaView",
                    "name the address by which the nodes reach the login node")
    if int(launcher["delay"]) < 0:
        raise wrong("launcher.delay", str(launcher["delay"]), "a number of seconds is not negative", "leave it out, or give a greater number")
    no_variable("launcher.ssh_path", launcher["ssh_path"])
    return launcher


def _is_address(text: str) -> bool:
    try:
        return bool(socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError):
        return False


def _ports(text: t.Union[str, int]) -> t.Tuple[int, int]:
    """The lowest and the highest port of LOW-HIGH, or of a single port."""
    try:
        low, high = listeners.parse_range(text)
    except ValueError as error:
        raise wrong("launcher.ports", text, str(error), "write it as 20000-32767")
    if low < 1024:
        raise wrong("launcher.ports", text, "only root may use ports below 1024", "write it as 20000-32767")
    return low, high
