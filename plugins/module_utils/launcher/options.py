# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the launcher's caller: on its command line, in the environment that ssh sends along, or left to the site."""

import argparse
import os
import re
import typing as t

from ..common.errors import SessionError
from ..config import settings
from ..paraview import pvserver

#: What sshd lets through in its shipped configurations is called LC_something.
PREFIX = "LC_PARAVIEW_"
DIRECTIONS = ("reverse", "forward")
#: What may be asked for of a job, and what it is.
JOB_OPTIONS = {
    "nodes": "nodes", "tasks_per_node": "processes on each node", "cpus_per_task": "cores of each process", "gpus_per_node": "GPUs on each node",
    "memory": "memory on each node, as 4G", "walltime": "how long it may run, as 1:30:00 or 90m", "queue": "queue or partition",
    "account": "account or project", "qos": "quality of service", "reservation": "reservation", "constraint": "features of nodes",
    "exclusive": "nodes for this job alone (yes or no)", "parallel_environment": "of Grid Engine",
    "deadline": "how long the queue may take, as 2h", "idle": "how long a job which runs waits for its client, as 20m",
    "scheduler": "the batch system, where it is not found by itself", "server_ports": "ports for pvserver, as 11111-11120",
    "modules": "environment modules, with blanks between them; auto finds the one that fits",
    "setup": "shell lines before pvserver", "launcher": "what starts several processes",
    "pvserver": "pvserver's command", "rendering": "what pvserver draws through: auto, glx, egl, osmesa or xvfb",
    "directives": "further lines for the batch system, each a line",
}
# An option is named as the variable behind paraview_, except for these.
_SETTINGS = {"deadline": "queue_timeout", "idle": "client_timeout", "launcher": "mpi_launcher"}
#: What a site may say for its users: the same, and batch systems of its own.
PRESET = tuple(JOB_OPTIONS) + ("schedulers",)
_BESIDE = {"port": "the port of the forward", "connect_id": "ParaView's connect-id", "version": "the client's version, as 5.11.0"}
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class Options:
    """What the caller asks for.

    Args:
        direction: of DIRECTIONS.
        port: of the forward.
        connect_id: 0 for none.
        version: the client's; may be empty.
        leave: return as soon as pvserver accepts connections.
        job: as settings.check() gives it.
    """

    def __init__(self, direction: str, port: int, connect_id: int, version: str, leave: bool, job: t.Dict[str, t.Any]) -> None:
        self.direction, self.port, self.connect_id, self.version, self.leave, self.job = direction, port, connect_id, version, leave, job


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> t.NoReturn:
        raise SessionError("the command line is not right", message, "paraview-launch --help tells what there is")


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = _Parser(prog="paraview-launch", allow_abbrev=False, description="Starts pvserver as a job for the ParaView at the other end of an ssh connection.",
                   epilog="ssh may send the same along as {0}PORT, {0}NODES and so on; what the command line says goes before that. "
                          "It ends, and with it the job, when the ssh connection does.".format(PREFIX))
    commands = made.add_subparsers(dest="command", metavar="reverse | forward | about")
    commands.required = True
    for name, about in (("reverse", "pvserver calls; for ssh -R"), ("forward", "pvserver is called; for ssh -L")):
        one = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        for option, meaning in list(_BESIDE.items()) + list(JOB_OPTIONS.items()):
            one.add_argument("--" + option.replace("_", "-"), dest=option, default="", help=meaning, metavar=option.upper())
        if name == "forward":
            one.add_argument("--leave", action="store_true", help="return once pvserver waits, and look after it for as long as the ssh connection lives")
    commands.add_parser("about", help="tells what this program is")
    return made


def taken_from(environment: t.MutableMapping[str, str]) -> t.Dict[str, str]:
    """What the environment says, taken out of it, so that no job inherits it."""
    return {name[len(PREFIX):].lower(): environment.pop(name) for name in list(environment) if name.startswith(PREFIX)}


def hidden(arguments: t.Iterable[str]) -> t.Tuple[t.List[str], str]:
    """A command line without its connect-id, which everybody on this host could read there.

    Returns:
        The command line, and the connect-id; empty where there was none.
    """
    left, found, rest = [], "", list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--connect-id" and rest:
            found = rest.pop(0)
        elif word.startswith("--connect-id="):
            found = word.partition("=")[2]
        else:
            left.append(word)
    return left, found


def read(options: argparse.Namespace, environment: t.Dict[str, str], preset: t.Dict[str, t.Any]) -> Options:
    """What is asked for, from all sides.

    Args:
        options: what parser() made of the command line.
        environment: as taken_from() gives it.
        preset: the site's own, by names of PRESET.
    Raises:
        SessionError: something that cannot be.
    """
    said = {name: getattr(options, name) or environment.get(name, "") for name in list(_BESIDE) + list(JOB_OPTIONS)}
    job = {name: about["default"] for name, about in settings.SPEC.items()}
    job.update({_setting(name): value for name, value in preset.items() if name in PRESET and value not in ("", None)})
    job.update({_setting(name): said[name] for name in JOB_OPTIONS if said[name].strip()})
    for name in map(_setting, JOB_OPTIONS):
        job[name] = _typed(name, job[name])
    port = _port(said["port"], options.command)
    version = said["version"].strip()
    if version and not settings.fits("client_version", version):
        raise settings.wrong("version", version, "a version of ParaView is like 5.11.0")
    return Options(options.command, port, _connect_id(said["connect_id"], options.command), version, getattr(options, "leave", False), settings.check(job))


def preset(values: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The site's own, as read() takes them; SessionError for what no user could ask for.

    Args:
        values: by names of PRESET.
    """
    for name in values:
        if name not in PRESET:
            raise SessionError("{0!r} is no option of the launcher".format(name), "", "take one of " + ", ".join(sorted(PRESET)))
    job = {name: about["default"] for name, about in settings.SPEC.items()}
    job.update({_setting(name): _typed(_setting(name), value) for name, value in values.items()})
    settings.check(job)
    return dict(values)


def _setting(option: str) -> str:
    """The name in settings.SPEC."""
    return _SETTINGS.get(option, option)


def _typed(name: str, value: t.Any) -> t.Any:
    """A value as settings.check() wants it."""
    kind, text = settings.SPEC[name]["type"], value.strip() if isinstance(value, str) else value
    if not isinstance(text, str):
        return value
    if kind == "int":
        if not re.match(r"[0-9]{1,9}\Z", text):
            raise settings.wrong(name, value, "it is a whole number")
        return int(text)
    if kind == "bool":
        if text.lower() not in _YES + _NO:
            raise settings.wrong(name, value, "it is yes or no")
        return text.lower() in _YES
    if kind == "list":
        return text.split() if name == "modules" else [line for line in text.splitlines() if line.strip()]
    return value if name == "setup" else text


def _port(text: str, direction: str) -> int:
    if not text.strip():
        raise SessionError("no port is given", "sshd here does not take {0}PORT along (AcceptEnv), or your ssh does not send it".format(PREFIX),
                           "ask the site for AcceptEnv LC_PARAVIEW_*, or give it on the command line: paraview-launch {0} --port N".format(direction))
    if not re.match(r"[0-9]{1,5}\Z", text.strip()) or not 1024 <= int(text) <= 65535:
        raise settings.wrong("port", text, "a port is a number from 1024 to 65535")
    return int(text)


def _connect_id(text: str, direction: str) -> int:
    try:
        number = pvserver.parse_connect_id(text) if text.strip() else 0
    except ValueError as error:
        # It is a secret even where it is wrong.
        raise settings.wrong("connect_id", "***", str(error).partition(": ")[2])
    if direction == "forward" and not number:
        raise SessionError("no connect-id is given", "whoever else reaches the port of a pvserver that waits would be let in",
                           "give one: {0}CONNECT_ID in the environment, and the same to ParaView".format(PREFIX))
    return number


def spoken(text: str) -> str:
    """An error of the collection's in the words of this program: options instead of variables."""
    text = re.sub(r"correct it in the inventory or on the command line \(-e paraview_\w+=\.\.\.\)", "correct it", text)
    # What this program does not offer.
    text = re.sub(r", or use paraview_detach and connect again later", "", text)
    text = re.sub(r"[;,] (?:another one is described|or describe (?:it|the site's own)) in paraview_schedulers", "", text)
    text = text.replace("change the variable named and connect again", "change the option named and try again")
    known = {_setting(name): "--" + name.replace("_", "-") for name in list(JOB_OPTIONS) + list(_BESIDE)}
    return re.sub(r"\bparaview_([a-z_]+)\b", lambda found: known.get(found.group(1), found.group(0)), text)


def own_environment() -> t.Dict[str, str]:
    """What taken_from() gives of this process."""
    return taken_from(os.environ)
