# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session has made, field by field, so that it can always be undone. session/record.py reads and writes the file."""

import copy
import json
import typing as t

from ..common.errors import SessionError
from ..common.json_types import is_a

#: Of the record's form. A playbook may read the record of a session that an older version of the collection began. The daemon of that session keeps
#: writing the older form.
VERSION = 3
#: States in which only the record of a session is left to remove.
OVER = ("ended", "failed", "cancelled", "gone")
# Names that were different in an earlier form: settings and routes in form 1, fields and the keys of one of them in forms 1 and 2.
_SETTINGS = {"lifeline": "reconnect", "outage": "reconnect_timeout", "line_port": "reconnect_port", "deadline": "queue_timeout",
             "idle": "client_timeout", "launcher": "mpi_launcher"}
_ROUTES = {"forward": "forward_unencrypted", "reverse": "reverse_unencrypted", "reverse_relay": "reverse_relay_unencrypted"}
_FIELDS = {"watcher": "daemon", "route_known": "route_state", "client_host": "controller_host", "client_side": "remote_client_host",
           "client_there": "remote_client", "guest": "users_own_master", "looked_by": "facts_gathered_by", "asked": "was_prompted",
           "go": "go_file_written", "opened": "route_opened_by"}
# Keys of the field remote_client_host.
_CLIENT_SIDE = {"watcher": "daemon", "led": "forwarded"}

#: A process: its number, and what distinguishes it from a later process with that number (processes.identity()).
Identity = t.List[t.Any]


class SessionRecord:
    """The record of a session. It is false if there is no session.

    Each process is an identity, see processes.identity().
    """

    version: int = VERSION
    #: 16 hexadecimal digits that are its own; empty if there is no session.
    id: str = ""
    #: The inventory host.
    name: str = ""
    #: The name of the session on that host; empty for the session without a name.
    session: str = ""
    #: starting, pending, ready, connected, unknown, or one of OVER.
    state: str = ""
    #: The reason of the state, one sentence for the user.
    reason: str = ""
    #: Times in seconds since 1970: when the session began; when the job was submitted, began to run, and reaches its wall time.
    created: float = 0
    submitted_at: t.Optional[float] = None
    running_at: t.Optional[float] = None
    ends_at: t.Optional[float] = None
    #: The batch system's estimate of the job's start.
    expected_start: t.Optional[str] = None
    #: The user's settings, as settings.check() returns them.
    settings: t.Dict[str, t.Any] = {}
    #: What the site has changed among them: the user's own values, by name.
    changed_by_site: t.Dict[str, t.Any] = {}
    has_connect_id: bool = False
    #: Whether pvserver can have another connect-id than ParaView.
    has_pvserver_id: bool = False
    #: The session began in check mode, so it ends with the playbook.
    check: bool = False

    #: Processes on the controller: the playbook that works on the session, the daemon that holds it, the ParaView that waits for it, the client that
    #: was started, and paraview-lifeline next to ParaView.
    owner: t.Optional[Identity] = None
    daemon: t.Optional[Identity] = None
    waiting: t.Optional[Identity] = None
    client: t.Optional[Identity] = None
    stub: t.Optional[Identity] = None
    #: How the client was started (script, entry or command), and which ParaView it is.
    client_by: t.Optional[str] = None
    client_program: t.Optional[str] = None
    client_version: t.Optional[str] = None
    #: The host on which all of this runs.
    controller_host: t.Optional[str] = None
    #: Where ParaView runs, if that is another host (steps/client_host_login.py), and the client that was started there.
    remote_client_host: t.Optional[t.Dict[str, t.Any]] = None
    remote_client: t.Any = None
    #: The playbook's terminal, for lines about a lost connection.
    terminal: t.Optional[t.List[t.Any]] = None
    #: The job waits in the queue without a playbook; its client may connect later.
    detached: bool = False

    #: The connection: ssh's target and program, the daemon's socket, the control master's socket, whether the user was prompted, and the user's own master.
    target: t.Dict[str, t.Any] = {}
    ssh: str = "ssh"
    socket: str = ""
    control_path: str = ""
    was_prompted: bool = False
    users_own_master: t.Any = ""
    #: The process on the login node that serves the connection.
    server: t.Any = None
    #: When the connection was lost, in seconds since 1970.
    lost_at: t.Optional[float] = None

    #: The login node and its facts (facts.py), and the daemon that gathered them.
    login_node: t.Optional[str] = None
    facts: t.Dict[str, t.Any] = {}
    facts_gathered_by: t.Optional[Identity] = None
    scheduler: t.Optional[str] = None
    #: The batch system's table, if it is not one of the shipped tables.
    table: t.Optional[t.Dict[str, t.Any]] = None
    #: Shell lines that put the batch system's commands on the PATH.
    prelude: str = ""
    modules: t.List[str] = []
    #: When that was gathered, in seconds since 1970, and the lines that were shown.
    gathered_at: float = 0
    gathering_lines: t.List[str] = []
    server_version: t.Optional[str] = None

    #: The route and what it keeps (routes/base.py), the forwards that were opened, ParaView's end, and the daemon whose connection the route uses.
    route: t.Optional[str] = None
    route_state: t.Dict[str, t.Any] = {}
    forwards: t.List[t.List[str]] = []
    client_port: t.Optional[int] = None
    url: t.Optional[str] = None
    route_opened_by: t.Optional[Identity] = None

    #: The job: its directory, id and nodes, whether the go file is written (pvserver may start), and where pvserver listens.
    remote_directory: t.Optional[str] = None
    job_id: t.Optional[str] = None
    nodes: t.List[str] = []
    root_node: t.Optional[str] = None
    addresses: t.List[str] = []
    go_file_written: bool = False
    accepting: t.Optional[t.Sequence] = None
    #: Where paraview-lifeline listens next to pvserver.
    agent: t.Any = None
    #: Whether the session reconnects; None until the job reports whether it can.
    lifeline: t.Optional[bool] = False
    #: Whether paraview-lifeline stands next to ParaView without an agent, as a proxy that replaces the connect-id.
    proxy: bool = False
    was_connected: bool = False
    #: How often another pvserver was started in the job, why for the last time, until when it waits for ParaView, and when pvserver itself died.
    restarts: int = 0
    kept: str = ""
    kept_until: t.Optional[float] = None
    died_at: t.List[float] = []
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
        """Whether only the record of the session is left to remove."""
        return self.state in OVER

    @property
    def waits_because(self) -> str:
        """Why a job that is kept waits for ParaView; empty if it does not."""
        return self.kept if self.kept_until else ""

    @property
    def has_stub(self) -> bool:
        """Whether the route ends at paraview-lifeline, which connects to ParaView or accepts its connection."""
        return bool(self.lifeline) or self.proxy

    def with_(self, **fields: t.Any) -> "SessionRecord":
        """A copy of the record with other values in some fields."""
        return SessionRecord(**dict(self.as_dict(), **fields))

    def as_dict(self) -> t.Dict[str, t.Any]:
        """All fields by name."""
        return {name: getattr(self, name) for name in _DEFAULTS}

    def text(self) -> str:
        """The record as it is stored."""
        return json.dumps(self.as_dict(), indent=1) + "\n"


_TYPES = t.get_type_hints(SessionRecord)
_DEFAULTS = {name: getattr(SessionRecord, name) for name in _TYPES}
_PROCESSES = ("owner", "daemon", "waiting", "client", "stub", "facts_gathered_by", "route_opened_by")
# Of a time, in seconds since 1970; programs of the C library convert no later one.
_LATEST = 1e11


def read(text: str, path: str) -> t.Tuple[SessionRecord, t.Dict[str, t.Any]]:
    """A record, and the stored form of it.

    Args:
        text: of the file. path: of the file, for messages.
    Raises:
        ValueError: the text is not a record, or a field has a value of another type.
        SessionError: a newer version of the collection has written it.
    """
    try:
        stored = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply")
    if not isinstance(stored, dict):
        raise ValueError("it is no record")
    version = stored.get("version", 1)
    if not isinstance(version, int) or version > VERSION:
        raise SessionError("the session record {0} has form {1}".format(path, version), "this version of sciviz.paraview reads forms up to {0}".format(VERSION),
                           "use the version that began the session")
    try:
        fields = _current(stored, version)
    except (AttributeError, TypeError):
        raise ValueError("a field of it has a value of another type")
    fields = {name: value for name, value in fields.items() if name in _DEFAULTS}
    for name, value in fields.items():
        if not _fits(value, _TYPES[name]) or (name in _PROCESSES and value is not None and not _is_identity(value)):
            raise ValueError("its field {0} has a value of another type".format(name))
    return SessionRecord(**fields), stored


def _fits(value: t.Any, kind: t.Any) -> bool:
    """Whether a value of a record has the type that the field is declared with."""
    if kind is t.Any:
        return True
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LATEST
    if kind is str:
        return isinstance(value, str) and _can_be_a_path(value)
    if kind is bool and value is None:
        return True  # an earlier form may have that
    if kind in (int, bool, type(None)):
        return is_a(value, kind)
    kinds: t.Sequence[t.Any] = getattr(kind, "__args__", None) or ()
    origin = kind.__origin__
    if origin is t.Union:
        return any(_fits(value, one) for one in kinds)
    if origin in (dict, t.Dict):
        return isinstance(value, dict) and all(_fits(one, kinds[1]) for one in value.values())
    return isinstance(value, list) and (origin not in (list, t.List) or all(_fits(one, kinds[0]) for one in value))


def _can_be_a_path(text: str) -> bool:
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


def _is_identity(value: t.List[t.Any]) -> bool:
    """Whether this is a process, as processes.identity() describes it."""
    return len(value) == 2 and is_a(value[0], int) and 0 < value[0] < 1 << 31 and (value[1] is None or isinstance(value[1], str))


def changed(stored: t.Dict[str, t.Any], fields: t.Dict[str, t.Any]) -> str:
    """The text to store after a change, in the form that the record had.

    Args:
        stored: as read() returns it. fields: of a SessionRecord.
    """
    return json.dumps(dict(stored, **_earlier(fields, stored.get("version", 1))), indent=1) + "\n"


def _current(fields: t.Dict[str, t.Any], version: int) -> t.Dict[str, t.Any]:
    """Fields of a record of some form, under their current names."""
    renamed = _renamed(fields, _FIELDS, _CLIENT_SIDE) if version < 3 else fields
    return _renamed_options(renamed, _SETTINGS, _ROUTES) if version == 1 else renamed


def _earlier(fields: t.Dict[str, t.Any], version: int) -> t.Dict[str, t.Any]:
    """Current fields, under the names of some form."""
    renamed = _renamed(fields, _inverse(_FIELDS), _inverse(_CLIENT_SIDE)) if version < 3 else fields
    return _renamed_options(renamed, _inverse(_SETTINGS), _inverse(_ROUTES)) if version == 1 else renamed


def _inverse(names: t.Dict[str, str]) -> t.Dict[str, str]:
    return {new: old for old, new in names.items()}


def _renamed(fields: t.Dict[str, t.Any], names: t.Dict[str, str], of_client_side: t.Dict[str, str]) -> t.Dict[str, t.Any]:
    renamed = {names.get(name, name): value for name, value in fields.items()}
    # One of these names is an earlier form's.
    for field in ("client_side", "remote_client_host"):
        if renamed.get(field):
            renamed[field] = {of_client_side.get(name, name): value for name, value in renamed[field].items()}
    return renamed


def _renamed_options(fields: t.Dict[str, t.Any], names: t.Dict[str, str], routes: t.Dict[str, str]) -> t.Dict[str, t.Any]:
    renamed = dict(fields)
    if renamed.get("settings"):
        renamed["settings"] = {names.get(name, name): value for name, value in renamed["settings"].items()}
    for place in (renamed, renamed.get("settings") or {}):
        if place.get("route") in routes:
            place["route"] = routes[place["route"]]
    return renamed
