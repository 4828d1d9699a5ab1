# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session has made, field by field, so that whatever happens it can be undone. Where the record lies is session/record.py's."""

import copy
import json
import typing as t

from ..common.errors import SessionError

#: Of the record's form. A playbook reads the record of a session that an older version began; that session's daemon goes on writing the older form.
VERSION = 3
#: States in which nothing of a session is left to undo but its record.
OVER = ("ended", "failed", "cancelled", "gone")
# What was called otherwise in an earlier form: settings and routes in form 1, fields and those of client_side in forms 1 and 2.
_SETTINGS = {"lifeline": "reconnect", "outage": "reconnect_timeout", "line_port": "reconnect_port", "deadline": "queue_timeout",
             "idle": "client_timeout", "launcher": "mpi_launcher"}
_ROUTES = {"forward": "forward_unencrypted", "reverse": "reverse_unencrypted", "reverse_relay": "reverse_relay_unencrypted"}
_FIELDS = {"watcher": "daemon", "route_known": "route_state"}
_CLIENT_SIDE = {"watcher": "daemon", "led": "forwarded"}

#: A process: its number and what tells it from a later one of that number (processes.identity()).
Identity = t.List[t.Any]


class SessionRecord:
    """The record of a session; one that is false is the record of none.

    A process is given by its identity, see processes.identity().
    """

    version: int = VERSION
    #: A name of its own, 16 hexadecimal digits; empty where there is no session.
    id: str = ""
    #: The inventory host.
    name: str = ""
    #: Which of the host's sessions; empty for the one that has no name.
    session: str = ""
    #: starting, pending, ready, connected, unknown, or one of OVER.
    state: str = ""
    #: Why it is so, one sentence for the user.
    reason: str = ""
    #: When it was begun, in seconds since 1970; when the job was submitted, began to run, and reaches its wall time.
    created: float = 0
    submitted_at: t.Optional[float] = None
    running_at: t.Optional[float] = None
    ends_at: t.Optional[float] = None
    #: The batch system's own guess of the job's start.
    expected_start: t.Optional[str] = None
    #: What the user asked for, as settings.check() gives it.
    settings: t.Dict[str, t.Any] = {}
    has_connect_id: bool = False
    #: Begun in check mode: it ends with the playbook.
    check: bool = False

    #: Processes on the client host: the playbook that works on it, the daemon that holds it, the ParaView that it is for, the client that was
    #: started, and paraview-lifeline beside ParaView.
    owner: t.Optional[Identity] = None
    daemon: t.Optional[Identity] = None
    waiting: t.Optional[Identity] = None
    client: t.Optional[Identity] = None
    stub: t.Optional[Identity] = None
    #: How the client was started: script, entry or command; and which ParaView it is.
    client_by: t.Optional[str] = None
    client_program: t.Optional[str] = None
    client_version: t.Optional[str] = None
    #: The host on which all of this runs.
    client_host: t.Optional[str] = None
    #: Where ParaView runs, if that is another host (client_host.py of the actions), and the client that was started there.
    client_side: t.Optional[t.Dict[str, t.Any]] = None
    client_there: t.Any = None
    #: Of the playbook, for lines about a lost connection.
    terminal: t.Optional[t.List[t.Any]] = None
    #: Left to the queue; the job's client may come later.
    detached: bool = False

    #: The connection: ssh's target and program, the daemon's socket, the control master's, whether the user was asked something, and the user's own master.
    target: t.Dict[str, t.Any] = {}
    ssh: str = "ssh"
    socket: str = ""
    control_path: str = ""
    asked: bool = False
    guest: t.Any = ""
    #: The process on the login node that serves the connection.
    server: t.Any = None
    #: Since when the connection is lost, in seconds since 1970.
    lost_at: t.Optional[float] = None

    #: The login node and what it answered (facts.py), and the daemon that had asked it.
    login_node: t.Optional[str] = None
    facts: t.Dict[str, t.Any] = {}
    looked_by: t.Optional[Identity] = None
    scheduler: t.Optional[str] = None
    #: The batch system's table, if it is none of the shipped ones.
    table: t.Optional[t.Dict[str, t.Any]] = None
    #: Shell lines that make the batch system's commands found.
    prelude: str = ""
    modules: t.List[str] = []
    server_version: t.Optional[str] = None

    #: The route and what it keeps (routes/base.py), the forwards that were put up, ParaView's end, and the daemon whose connection the route stands on.
    route: t.Optional[str] = None
    route_state: t.Dict[str, t.Any] = {}
    forwards: t.List[t.List[str]] = []
    client_port: t.Optional[int] = None
    url: t.Optional[str] = None
    opened: t.Optional[Identity] = None

    #: The job: its directory, number, nodes, whether pvserver may start, and what it listens on.
    remote_directory: t.Optional[str] = None
    job_id: t.Optional[str] = None
    nodes: t.List[str] = []
    root_node: t.Optional[str] = None
    addresses: t.List[str] = []
    go: bool = False
    accepting: t.Optional[t.Sequence] = None
    #: Where paraview-lifeline listens beside pvserver.
    agent: t.Any = None
    #: Whether the session reconnects; None until the job shows whether it can.
    lifeline: t.Optional[bool] = False
    was_connected: bool = False
    job_over: bool = False
    undone: bool = False

    def __init__(self, **fields: t.Any) -> None:
        for name, default in _DEFAULTS.items():
            setattr(self, name, fields.pop(name) if name in fields else copy.deepcopy(default))
        if fields:
            raise TypeError("a session's record has no field {0}".format(", ".join(sorted(fields))))

    def __bool__(self) -> bool:
        return bool(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionRecord) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def over(self) -> bool:
        """Whether nothing of the session is left to undo but its record."""
        return self.state in OVER

    def with_(self, **fields: t.Any) -> "SessionRecord":
        """The same record with other values of some fields."""
        return SessionRecord(**dict(self.as_dict(), **fields))

    def as_dict(self) -> t.Dict[str, t.Any]:
        """All fields by name."""
        return {name: getattr(self, name) for name in _DEFAULTS}

    def text(self) -> str:
        """The record as it is kept."""
        return json.dumps(self.as_dict(), indent=1) + "\n"


_DEFAULTS = {name: getattr(SessionRecord, name) for name in t.get_type_hints(SessionRecord)}


def read(text: str, path: str) -> t.Tuple[SessionRecord, t.Dict[str, t.Any]]:
    """A record, and the same as it is kept.

    Args:
        text: what was kept. path: where, for messages.
    Raises:
        ValueError: it is no record.
        SessionError: a newer version of the collection has written it.
    """
    kept = json.loads(text)
    if not isinstance(kept, dict):
        return SessionRecord(), {}
    version = kept.get("version", 1)
    if not isinstance(version, int) or version > VERSION:
        raise SessionError("the session record {0} has form {1}".format(path, version), "this version of sciviz.paraview knows forms up to {0}".format(VERSION),
                           "use the version with which the session was begun")
    fields = _current(kept, version)
    return SessionRecord(**{name: value for name, value in fields.items() if name in _DEFAULTS}), kept


def changed(kept: t.Dict[str, t.Any], fields: t.Dict[str, t.Any]) -> str:
    """What is to be kept after a change, in the form in which it was.

    Args:
        kept: as read() gives it. fields: of a SessionRecord.
    """
    return json.dumps(dict(kept, **_earlier(fields, kept.get("version", 1))), indent=1) + "\n"


def _current(fields: t.Dict[str, t.Any], version: int) -> t.Dict[str, t.Any]:
    """Fields of some form under the names of this one."""
    found = _renamed(fields, _FIELDS, _CLIENT_SIDE) if version < 3 else fields
    return _renamed_options(found, _SETTINGS, _ROUTES) if version == 1 else found


def _earlier(fields: t.Dict[str, t.Any], version: int) -> t.Dict[str, t.Any]:
    """Fields under the names of some form."""
    found = _renamed(fields, _inverse(_FIELDS), _inverse(_CLIENT_SIDE)) if version < 3 else fields
    return _renamed_options(found, _inverse(_SETTINGS), _inverse(_ROUTES)) if version == 1 else found


def _inverse(names: t.Dict[str, str]) -> t.Dict[str, str]:
    return {new: old for old, new in names.items()}


def _renamed(fields: t.Dict[str, t.Any], names: t.Dict[str, str], of_client_side: t.Dict[str, str]) -> t.Dict[str, t.Any]:
    found = {names.get(name, name): value for name, value in fields.items()}
    if found.get("client_side"):
        found["client_side"] = {of_client_side.get(name, name): value for name, value in found["client_side"].items()}
    return found


def _renamed_options(fields: t.Dict[str, t.Any], names: t.Dict[str, str], routes: t.Dict[str, str]) -> t.Dict[str, t.Any]:
    found = dict(fields)
    if found.get("settings"):
        found["settings"] = {names.get(name, name): value for name, value in found["settings"].items()}
    for place in (found, found.get("settings") or {}):
        if place.get("route") in routes:
            place["route"] = routes[place["route"]]
    return found
