# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH's client: command lines, requests to a control master, and what its messages mean.

Sources: ssh(1), ssh_config(5), clientloop.c, mux.c, and what was measured on 9.2p1.
"""

import re
import shlex
import subprocess
import typing as t

from ..common.addresses import address

#: What the one authenticated connection needs whatever the user's own configuration says: the first value wins in ssh.
_MASTER_OPTIONS = (
    "ControlMaster=yes", "ControlPersist=no", "ClearAllForwardings=yes", "RemoteCommand=none", "RequestTTY=no",
    "PermitLocalCommand=no", "ForkAfterAuthentication=no", "SessionType=default", "ForwardX11=no", "ForwardAgent=no", "Tunnel=no",
    "LogLevel=INFO", "ServerAliveInterval=15", "ServerAliveCountMax=4", "StreamLocalBindUnlink=no",
)
# Options that ssh learnt in 8.7; an older one refuses to start on a name it does not know.
_NEWER = ("ForkAfterAuthentication=no", "SessionType=default")


class Target(t.NamedTuple):
    """Whom ssh calls, in the words of the inventory; arguments are extra command-line arguments."""

    executable: str
    host: str
    user: t.Optional[str]
    port: t.Optional[int]
    key: t.Optional[str]
    arguments: t.List[str]
    timeout: int


def destination_arguments(target: Target) -> t.List[str]:
    """Options and host for the end of an ssh command line."""
    arguments = list(target.arguments)
    if target.key:
        arguments += ["-i", target.key]
    if target.port:
        arguments += ["-p", str(target.port)]
    if target.user:
        arguments += ["-l", target.user]
    return arguments + ["--", target.host]


def master_command(target: Target, control_path: str, old: bool = False, asks: bool = True) -> t.List[str]:
    """The command of a control master whose own session is a remote shell.

    The master has a session of its own for a reason: one that never had a session does not set TCP_NODELAY, which costs
    its forwards 43 ms at every turn.

    Args:
        target: whom to call.
        control_path: the socket to make.
        old: leave out what ssh before 8.7 does not know.
        asks: whether ssh may ask for anything.
    """
    options = [one for one in _MASTER_OPTIONS if not (old and one in _NEWER)]
    options += [] if asks else ["BatchMode=yes"]
    options += ["ControlPath=" + control_path.replace("%", "%%"), "ConnectTimeout={0:d}".format(target.timeout)]
    command = [target.executable, "-T"]
    for option in options:
        command += ["-o", option]
    return command + destination_arguments(target) + ["exec /bin/sh"]


def configuration(target: Target) -> t.Dict[str, str]:
    """The options of ssh for a target, by their names in lower case; of one that comes several times the last."""
    command = [target.executable, "-G"] + destination_arguments(target)
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").splitlines())


def names(target: Target) -> t.Set[str]:
    """The names under which ssh asks for the password of a target's host; empty where a host on the way there could ask in its name."""
    settings = configuration(target)
    # It is since 8.5 that ssh says who asks.
    if version(target.executable) < (8, 5) and {settings.get(one, "none") for one in ("proxyjump", "proxycommand")} != {"none"}:
        return set()
    return {target.host} | {settings[one] for one in ("hostname", "hostkeyalias") if one in settings}


def pinned(target: Target, place: str) -> Target:
    """The same target, but at one address of those that its name may stand for; the host key is looked up by the name still.

    Args:
        target: whom to call.
        place: where; what is no IP address changes nothing.
    """
    place = address(place)
    if not place:
        return target
    settings = configuration(target)
    name, port = settings.get("hostname", target.host), settings.get("port", "22")
    alias = settings.get("hostkeyalias") or (name if port == "22" else "[{0}]:{1}".format(name, port))
    # The first value wins, before that of any configuration.
    return target._replace(arguments=["-o", "HostName=" + place, "-o", "HostKeyAlias=" + alias] + list(target.arguments))


def asks_nobody(target: Target) -> bool:
    """Whether BatchMode holds for every host on the way to a target: ssh does not hand it on to those in between."""
    settings = configuration(target)
    return settings.get("proxycommand", "none") == "none" and "," not in settings.get("proxyjump", "")


def asking_nobody(target: Target) -> Target:
    """The same target, with a single host on the way called so that it is not asked to answer anything either."""
    settings = configuration(target)
    match = re.match(r"^(?:(?P<user>[^@,]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:,]+)(?::(?P<port>[0-9]+))?\Z", settings.get("proxyjump", "none"))
    if not match or match.group("host") == "none":
        return target
    words = [target.executable, "-o", "BatchMode=yes"]
    for option, name in (("-l", "user"), ("-p", "port")):
        words += [option, match.group(name)] if match.group(name) else []
    words += ["-W", "[%h]:%p", "--", match.group("host").strip("[]")]
    command = " ".join(word if word == "[%h]:%p" else shlex.quote(word.replace("%", "%%")) for word in words)
    # ssh takes the first of ProxyCommand and ProxyJump, and refuses -J beside either.
    return target._replace(arguments=["-o", "ProxyCommand=" + command] + _without_jump(target.arguments))


def _without_jump(arguments: t.List[str]) -> t.List[str]:
    left, words = [], iter(arguments)
    for word in words:
        if word == "-J":
            next(words, None)
        elif not word.startswith("-J"):
            left.append(word)
    return left


def identity(target: Target, keywords: t.Tuple[str, ...]) -> t.List[str]:
    """Who one is to a login node, for another host behind it.

    Args:
        target: the login node.
        keywords: of ssh_config(5), in lower case.
    Returns:
        Options ``Keyword=value``, User among them, as ssh has them for the login node.
    """
    command = [target.executable, "-G"] + destination_arguments(target)
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    said = [line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").splitlines()]
    return ["{0}={1}".format(keyword, value) for keyword, value in said if keyword in keywords + ("user",) and value and value != "none"]


def version(executable: str) -> t.Tuple[int, int]:
    """OpenSSH's version, (0, 0) if it cannot be told."""
    answer = subprocess.run([executable, "-V"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=10, check=False)
    match = re.search(rb"OpenSSH\D*(\d+)\.(\d+)", answer.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)
