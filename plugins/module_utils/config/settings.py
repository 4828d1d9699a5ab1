# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may wish of a session: one table, and the checks that types alone do not make."""

import json
import re
import shlex

from ..common import durations, listeners
from ..common.errors import SessionError
from ..paraview import installed, pvserver, rendering
from ..schedulers import directives, mpi, validation
from ..schedulers.directives import asked
from . import route_names

#: The options of the session action, in the form of Ansible's argument specs; a variable is its name behind paraview_.
SPEC = {
    "client_host": {"type": "str", "default": ""},
    "client_port": {"type": "int", "default": 0},
    "reconnect_port": {"type": "int", "default": 0},
    "client_process": {"type": "int", "default": 0},
    "client_program": {"type": "str", "default": ""},
    "client_version": {"type": "str", "default": ""},
    "login_ports": {"type": "str", "default": ""},
    "server_ports": {"type": "str", "default": ""},
    "route": {"type": "str", "default": "auto", "choices": ["auto"] + list(route_names.ALL)},
    "route_order": {"type": "list", "elements": "str", "choices": list(route_names.ORDER), "default": list(route_names.ORDER)},
    "user_relay": {"type": "bool", "default": False},
    "reconnect": {"type": "bool", "default": True},
    "reconnect_timeout": {"type": "raw", "default": "1h"},
    "scheduler": {"type": "str", "default": "auto"},
    "schedulers": {"type": "dict", "default": {}},
    "job_id": {"type": "str", "default": ""},
    "nodes": {"type": "int", "default": 1},
    "tasks_per_node": {"type": "int", "default": 1},
    "cpus_per_task": {"type": "int", "default": 0},
    "gpus_per_node": {"type": "int", "default": 0},
    "memory": {"type": "str", "default": ""},
    "walltime": {"type": "raw", "default": "1:00:00"},
    "queue": {"type": "str", "default": ""},
    "account": {"type": "str", "default": ""},
    "qos": {"type": "str", "default": ""},
    "reservation": {"type": "str", "default": ""},
    "constraint": {"type": "str", "default": ""},
    "exclusive": {"type": "bool", "default": False},
    "parallel_environment": {"type": "str", "default": ""},
    "directives": {"type": "list", "elements": "str", "default": []},
    "modules": {"type": "list", "elements": "str", "default": []},
    "setup": {"type": "str", "default": ""},
    "mpi_launcher": {"type": "raw", "default": ""},
    "pvserver": {"type": "raw", "default": "pvserver"},
    "rendering": {"type": "str", "default": "auto", "choices": list(rendering.CHOICES)},
    "queue_timeout": {"type": "raw", "default": "24h"},
    "client_timeout": {"type": "raw", "default": "20m"},
    "detach": {"type": "bool", "default": False},
    "connect_id": {"type": "raw", "default": "random"},
    "start_client": {"type": "raw", "default": False},
    "json": {"type": "str", "default": ""},
}
#: The word of modules, in their last place, that has a module searched for.
AUTO = "auto"
_LOWEST = {"nodes": 1, "tasks_per_node": 1, "cpus_per_task": 0, "gpus_per_node": 0}
_WORD = dict.fromkeys(("queue", "account", "qos", "reservation", "parallel_environment"), r"[A-Za-z0-9_.,@:+-]+")
_WORD["job_id"] = r"[A-Za-z0-9_.\u0192\[\]-]+"
_WORD["client_version"] = r"[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9A-Za-z.+-]{1,40})?"
_WORD.update(memory=r"[0-9]+(?:\.[0-9]+)?[KMGT]?B?", constraint=r"[A-Za-z0-9_.,@:+=&|*()!<>/\[\]-]+")
_MAY_HOLD = {"memory": "write it as 4G or 500M", "constraint": "it may hold letters, digits and . , _ @ : + - = & | * ( ) [ ] ! < > / only",
             "client_version": "a version of ParaView is like 5.11.0"}
_WORDS_FOR_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "": False}


def check(wishes):
    """Wishes with every value in its final form.

    Args:
        wishes (dict): names and types of SPEC.
    Returns:
        dict: walltime, queue_timeout, client_timeout and reconnect_timeout in seconds; mpi_launcher (None: the batch system's), pvserver and start_client
        (False, True or a list) as lists of words; connect_id an int, None for a random one.
    Raises:
        SessionError: a value that cannot be; it names the variable, the value and the way out.
    """
    known = dict(wishes)
    for name, reader in (("walltime", durations.parse), ("queue_timeout", durations.parse), ("client_timeout", durations.parse),
                         ("reconnect_timeout", durations.parse), ("mpi_launcher", _launcher), ("pvserver", _command), ("start_client", _start_client),
                         ("connect_id", _connect_id), ("modules", _modules), ("client_program", installed.check),
                         ("login_ports", _ports), ("server_ports", _ports)):
        try:
            known[name] = reader(known[name])
        except ValueError as error:
            raise wrong(name, wishes[name], str(error))
    for name, lowest in _LOWEST.items():
        if known[name] < lowest:
            raise wrong(name, known[name], "it has to be at least {0}".format(lowest))
    for name in ("client_port", "reconnect_port"):
        if not 0 <= known[name] <= 65535:
            raise wrong(name, known[name], "a port is a number from 1 to 65535; 0 takes a free one")
    if known["reconnect_port"] and known["reconnect_port"] == known["client_port"]:
        raise wrong("reconnect_port", known["reconnect_port"], "ParaView has that port (paraview_client_port)")
    if known["client_process"] < 0 or (known["client_process"] and known["client_host"]):
        raise wrong("client_process", known["client_process"], "it is the number of a process of this machine; 0 is none")
    for name, pattern in _WORD.items():
        if known[name] and not re.match("^(?:" + pattern + r")\Z", known[name]):
            raise wrong(name, known[name], _MAY_HOLD.get(name, "it may hold letters, digits and . , _ @ : + - only"))
    for name in ("directives", "modules"):
        for value in known[name]:
            if re.search(r"[\n\r\0]", value) or not value.strip():
                raise wrong(name, value, "each entry is one line that says something")
    if not known["route_order"]:
        raise wrong("route_order", known["route_order"], "it names no route; known are " + ", ".join(route_names.ORDER))
    if known["rendering"] not in rendering.CHOICES:
        raise wrong("rendering", known["rendering"], "it is one of " + ", ".join(rendering.CHOICES))
    if not known["pvserver"]:
        raise wrong("pvserver", wishes["pvserver"], "it names no command")
    if known["mpi_launcher"] == [] and known["nodes"] * known["tasks_per_node"] > 1:
        raise wrong("mpi_launcher", wishes["mpi_launcher"], "{0} processes need one".format(known["nodes"] * known["tasks_per_node"]))
    if known["job_id"] and known["scheduler"] == "none":
        raise wrong("job_id", known["job_id"], "without a batch system there are no jobs")
    tables = validation.tables(known["schedulers"])
    # As the session's record gives it back.
    known["schedulers"] = json.loads(json.dumps(known["schedulers"]))
    if known["scheduler"] in tables:
        directives.check(tables[known["scheduler"]], asked(known, {}))
    elif known["scheduler"] != "auto":
        raise wrong("scheduler", known["scheduler"], "known are auto, {0}; another one is described in paraview_schedulers".format(", ".join(sorted(tables))))
    return known


def wrong(name, value, why):
    """SessionError for a variable's value."""
    return SessionError("paraview_{0}: {1!r} cannot be".format(name, value), why,
                        "correct it in the inventory or on the command line (-e paraview_{0}=...); nothing was touched".format(name))


def _ports(value):
    if value:
        listeners.parse_range(value)
    return str(value).replace(" ", "")


def _command(value):
    if isinstance(value, (list, tuple)) and all(isinstance(word, (str, int, float)) for word in value):
        words = [str(word) for word in value]
    elif isinstance(value, str):
        words = shlex.split(value)
    else:
        raise ValueError("a command is a text or a list of words")
    if any(re.search(r"[\n\r\0]", word) for word in words):
        raise ValueError("a word of a command holds a newline")
    return words


def _modules(value):
    words = [word.strip().lower() if word.strip().lower() == AUTO else word for word in value]
    if AUTO in words[:-1]:
        raise ValueError("auto stands behind the modules that are loaded before the search, once")
    return words


def _launcher(value):
    if value in ("", None):
        return None
    return mpi.words(_command(value))


def _start_client(value):
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _WORDS_FOR_BOOL:
        return _WORDS_FOR_BOOL[value.strip().lower()]
    return _command(value)


def _connect_id(value):
    return None if str(value).strip().lower() == "random" else pvserver.parse_connect_id(value)
