# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the launcher: from its command line, from the environment that ssh sends, or from the site's defaults."""

import argparse
import os
import re
import typing as t

from ..common.errors import SessionError
from ..config import settings
from ..paraview import pvserver

#: sshd accepts only variables called LC_something in its shipped configurations.
PREFIX = "LC_PARAVIEW_"
DIRECTIONS = ("reverse", "forward")
#: The options of a job, and their help texts.
JOB_OPTIONS = {
    "nodes": "nodes", "tasks": "processes in all", "tasks_per_node": "processes on each node", "cpus_per_task": "cores of each process",
    "gpus_per_node": "GPUs on each node", "gpus_per_task": "GPUs of each process", "gpus": "GPUs in all", "gpu_type": "type of the GPUs",
    "memory": "memory on each node, as 4G", "walltime": "how long it may run, as 1:30:00 or 90m", "queue": "queue or partition",
    "account": "account or project", "qos": "quality of service", "reservation": "reservation", "constraint": "features of nodes",
    "exclusive": "nodes for this job alone (yes or no)", "parallel_environment": "parallel environment of Grid Engine",
    "deadline": "how long the job may wait in the queue, as 2h", "idle": "how long a running job waits for its client, as 20m",
    "slurm_cluster": "Slurm's cluster, if the login node serves several", "nodes_on_demand": "the site makes nodes once jobs wait for them (yes or no)",
    "poll_interval": "time between two questions to the batch system, as 30s",
    "scheduler_json": "whether the batch system is asked for JSON (yes or no)",
    "scheduler": "the batch system, if it is not detected", "server_ports": "ports for pvserver, as 11111-11120",
    "remote_dir": "directory for the session's files that the compute nodes can write to, as /scratch/$USER",
    "modules": "environment modules, separated by blanks; auto finds the one that fits",
    "setup": "shell lines that run before pvserver", "launcher": "the command that starts several processes",
    "pvserver": "pvserver's command", "rendering": "how pvserver draws: auto, glx, egl, osmesa or xvfb",
    "directives": "further directives for the batch system, one a line",
    "scheduler_arguments": "further options for the batch system, in one line, as --comment=viz --exclude=n1",
}
# An option has the name of its variable without paraview_, except for these.
_SETTINGS = {"deadline": "queue_timeout", "idle": "client_timeout", "launcher": "mpi_launcher"}
#: The options for which a site may set defaults: the same, and its own batch systems.
PRESET = tuple(JOB_OPTIONS) + ("schedulers", "node_name")
_CALLER_OPTIONS = {"port": "the port of the forward", "connect_id": "ParaView's connect-id", "version": "the client's version, as 5.11.0"}
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class Options:
    """The options of one run.

    Args:
        direction: of DIRECTIONS.
        port: of the forward.
        connect_id: 0 for none.
        version: of the client; may be empty.
        leave: whether the program returns as soon as pvserver accepts connections.
        job: settings as settings.check() returns them.
        given: names of the settings that the user has set.
    """

    def __init__(self, direction: str, port: int, connect_id: int, version: str, leave: bool, job: t.Dict[str, t.Any],
                 given: t.Sequence[str] = ()) -> None:
        self.direction, self.port, self.connect_id, self.version, self.leave, self.job = direction, port, connect_id, version, leave, job
        self.given = given


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> t.NoReturn:
        raise SessionError("the command line is not valid", message, "see paraview-launch --help")


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = _Parser(prog="paraview-launch", allow_abbrev=False, description="Starts pvserver as a job for the ParaView at the other end of an ssh connection.",
                  epilog="ssh may send the same options as {0}PORT, {0}NODES and so on; the command line overrides them. "
                         "When the ssh connection ends, this program and the job end.".format(PREFIX))
    commands = top.add_subparsers(dest="command", metavar="reverse | forward | about")
    commands.required = True
    for name, about in (("reverse", "pvserver connects to ParaView; for ssh -R"), ("forward", "ParaView connects to pvserver; for ssh -L")):
        command = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        for option, meaning in list(_CALLER_OPTIONS.items()) + list(JOB_OPTIONS.items()):
            command.add_argument("--" + option.replace("_", "-"), dest=option, default="", help=meaning, metavar=option.upper())
        if name == "forward":
            command.add_argument("--leave", action="store_true", help="return once pvserver accepts connections; a background process ends it with ssh")
    commands.add_parser("about", help="prints version and settings of this program")
    return top


def taken_from(environment: t.MutableMapping[str, str]) -> t.Dict[str, str]:
    """Removes the options from the environment, so that no job inherits them, and returns them."""
    return {name[len(PREFIX):].lower(): environment.pop(name) for name in list(environment) if name.startswith(PREFIX)}


def without_connect_id(arguments: t.Iterable[str]) -> t.Tuple[t.List[str], str]:
    """A command line without its connect-id, which every user on this host could read there.

    Returns:
        The command line, and the connect-id; it is empty if there was none.
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
    """The options of this run, from all sources.

    Args:
        options: the command line as parser() parsed it.
        environment: as taken_from() returns it.
        preset: the site's defaults, by names of PRESET.
    Raises:
        SessionError: an option is not valid.
    """
    given = {name: getattr(options, name) or environment.get(name, "") for name in list(_CALLER_OPTIONS) + list(JOB_OPTIONS)}
    job = {name: about["default"] for name, about in settings.SPEC.items()}
    job.update({_setting(name): value for name, value in preset.items() if name in PRESET and value not in ("", None)})
    job.update({_setting(name): given[name] for name in JOB_OPTIONS if given[name].strip()})
    for name in map(_setting, JOB_OPTIONS):
        job[name] = _typed(name, job[name])
    port = _port(given["port"], options.command)
    version = given["version"].strip()
    if version and not settings.fits("client_version", version):
        raise settings.wrong("version", version, "a version of ParaView is like 5.11.0")
    return Options(options.command, port, _connect_id(given["connect_id"], options.command), version, getattr(options, "leave", False), settings.check(job),
                   [_setting(name) for name in JOB_OPTIONS if given[name].strip()])


def preset(values: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """Checks the site's defaults for read(), and returns them; raises SessionError for a value that is not valid.

    Args:
        values: by names of PRESET.
    """
    for name in values:
        if name not in PRESET:
            raise SessionError("{0!r} is not an option of the launcher".format(name), "", "use one of " + ", ".join(sorted(PRESET)))
    job = {name: about["default"] for name, about in settings.SPEC.items()}
    job.update({_setting(name): _typed(_setting(name), value) for name, value in values.items()})
    settings.check(job)
    return dict(values)


def _setting(option: str) -> str:
    """The name of an option in settings.SPEC."""
    return _SETTINGS.get(option, option)


def _typed(name: str, value: t.Any) -> t.Any:
    """A value in the type that settings.check() requires."""
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
        raise SessionError("no port is given", "sshd here does not accept {0}PORT (AcceptEnv), or your ssh does not send it".format(PREFIX),
                           "ask the site for AcceptEnv LC_PARAVIEW_*, or give it on the command line: paraview-launch {0} --port N".format(direction))
    if not re.match(r"[0-9]{1,5}\Z", text.strip()) or not 1024 <= int(text) <= 65535:
        raise settings.wrong("port", text, "a port is a number from 1024 to 65535")
    return int(text)


def _connect_id(text: str, direction: str) -> int:
    try:
        number = pvserver.parse_connect_id(text) if text.strip() else 0
    except ValueError as error:
        # The value is secret even if it is wrong.
        raise settings.wrong("connect_id", "***", str(error).partition(": ")[2])
    if direction == "forward" and not number:
        raise SessionError("no connect-id is given", "without it, pvserver accepts any user who reaches its port",
                           "set {0}CONNECT_ID in the environment, and give ParaView the same connect-id".format(PREFIX))
    return number


def with_option_names(text: str) -> str:
    """An error message of the collection, with the options of this program instead of variables."""
    text = re.sub(r"correct it in the inventory or on the command line \(-e paraview_\w+=\.\.\.\)", "correct it", text)
    # This program does not have these settings.
    text = re.sub(r", or use paraview_detach and connect again later", "", text)
    text = re.sub(r"[;,] (?:another one is described|or describe (?:it|the site's own)) in paraview_schedulers", "", text)
    text = text.replace("change the variable named and connect again", "change the option named and try again")
    options = {_setting(name): "--" + name.replace("_", "-") for name in list(JOB_OPTIONS) + list(_CALLER_OPTIONS)}
    return re.sub(r"\bparaview_([a-z_]+)\b", lambda found: options.get(found.group(1), found.group(0)), text)


def own_environment() -> t.Dict[str, str]:
    """The options in the environment of this process, see taken_from()."""
    return taken_from(os.environ)
