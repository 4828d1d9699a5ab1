# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH's client: command lines and configuration.

Sources: ssh(1), ssh_config(5), clientloop.c, mux.c, and measurements on 9.2p1.
"""

import re
import shlex
import subprocess
import typing as t

from ..common.addresses import address

#: Options that the one authenticated connection needs. They override the user's configuration, since ssh uses the first value of an option.
_MASTER_OPTIONS = (
    "ControlMaster=yes", "ControlPersist=no", "ClearAllForwardings=yes", "RemoteCommand=none", "RequestTTY=no",
    "PermitLocalCommand=no", "ForkAfterAuthentication=no", "SessionType=default", "StdinNull=no", "ForwardX11=no", "ForwardAgent=no", "Tunnel=no",
    "LogLevel=INFO", "ServerAliveInterval=15", "ServerAliveCountMax=4", "StreamLocalBindUnlink=no",
)
# Options that ssh has since 8.7. An older ssh refuses to start with an unknown option.
_SINCE_8_7 = ("ForkAfterAuthentication=no", "SessionType=default", "StdinNull=no")


class Target(t.NamedTuple):
    """The host that ssh connects to, as the inventory describes it; arguments are extra command-line arguments."""

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

    A master without a session of its own would not set TCP_NODELAY, which delays its forwards by 43 ms at every turn.

    Args:
        target: the host to connect to.
        control_path: the socket to create.
        old: leave out the options that ssh before 8.7 does not have.
        asks: whether ssh may prompt the user.
    """
    options = [option for option in _MASTER_OPTIONS if not (old and option in _SINCE_8_7)]
    options += [] if asks else ["BatchMode=yes"]
    options += ["ControlPath=" + control_path.replace("%", "%%"), "ConnectTimeout={0:d}".format(target.timeout)]
    command = [target.executable, "-T"]
    for option in options:
        command += ["-o", option]
    return command + destination_arguments(target) + ["exec /bin/sh"]


def configuration(target: Target) -> t.Dict[str, str]:
    """ssh's options for a target, by their names in lower case; if an option is repeated, its last value."""
    command = [target.executable, "-G"] + destination_arguments(target)
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").splitlines())


def patient(target: Target) -> Target:
    """The same target; if ssh's own configuration has a longer ConnectTimeout for it, with that."""
    seconds = configuration(target).get("connecttimeout", "")
    return target._replace(timeout=max(target.timeout, int(seconds))) if re.match(r"^[0-9]{1,5}\Z", seconds) else target


def names(target: Target) -> t.Set[str]:
    """The names that ssh's password prompt may have for a target's host; empty if a host on the way could prompt under such a name."""
    settings = configuration(target)
    # Only since 8.5, ssh's prompt names the host.
    if version(target.executable) < (8, 5) and {settings.get(keyword, "none") for keyword in ("proxyjump", "proxycommand")} != {"none"}:
        return set()
    return {target.host} | {settings[keyword] for keyword in ("hostname", "hostkeyalias") if keyword in settings}


def pinned(target: Target, ip_address: str) -> Target:
    """The same target, fixed to one of the addresses of its name; the host key is still looked up by the name.

    Args:
        target: the host to connect to.
        ip_address: the address; if it is no IP address, the target stays unchanged.
    """
    ip_address = address(ip_address)
    if not ip_address:
        return target
    settings = configuration(target)
    name, port = settings.get("hostname", target.host), settings.get("port", "22")
    alias = settings.get("hostkeyalias") or (name if port == "22" else "[{0}]:{1}".format(name, port))
    # ssh uses the first value of an option, so these override the user's configuration.
    return target._replace(arguments=["-o", "HostName=" + ip_address, "-o", "HostKeyAlias=" + alias] + list(target.arguments))


def asks_nobody(target: Target) -> bool:
    """Whether BatchMode applies to every host on the way to a target: ssh does not pass it on to jump hosts."""
    settings = configuration(target)
    return settings.get("proxycommand", "none") == "none" and "," not in settings.get("proxyjump", "")


def asking_nobody(target: Target) -> Target:
    """The same target; if there is a single jump host, ssh connects to it in BatchMode, too."""
    settings = configuration(target)
    match = re.match(r"^(?:(?P<user>[^@,]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:,]+)(?::(?P<port>[0-9]+))?\Z", settings.get("proxyjump", "none"))
    if not match or match.group("host") == "none":
        return target
    words = [target.executable, "-o", "BatchMode=yes"]
    for option, name in (("-l", "user"), ("-p", "port")):
        words += [option, match.group(name)] if match.group(name) else []
    words += ["-W", "[%h]:%p", "--", match.group("host").strip("[]")]
    command = " ".join(word if word == "[%h]:%p" else shlex.quote(word.replace("%", "%%")) for word in words)
    # ssh uses the first of ProxyCommand and ProxyJump, and refuses -J together with either.
    return target._replace(arguments=["-o", "ProxyCommand=" + command] + _without_jump(target.arguments))


def _without_jump(arguments: t.List[str]) -> t.List[str]:
    kept, words = [], iter(arguments)
    for word in words:
        if word == "-J":
            next(words, None)
        elif not word.startswith("-J"):
            kept.append(word)
    return kept


def identity(target: Target, keywords: t.Tuple[str, ...]) -> t.List[str]:
    """The options that identify the user to a login node, for use with a host behind it.

    Args:
        target: the login node.
        keywords: of ssh_config(5), in lower case.
    Returns:
        Options ``Keyword=value``, User among them, as ssh has them for the login node.
    """
    command = [target.executable, "-G"] + destination_arguments(target)
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    settings = [line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").splitlines()]
    return ["{0}={1}".format(keyword, value) for keyword, value in settings if keyword in keywords + ("user",) and value and value != "none"]


def version(executable: str) -> t.Tuple[int, int]:
    """OpenSSH's version, (0, 0) if it is unknown."""
    answer = subprocess.run([executable, "-V"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=10, check=False)
    match = re.search(rb"OpenSSH\D*(\d+)\.(\d+)", answer.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)
