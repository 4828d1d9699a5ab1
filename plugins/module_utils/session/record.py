# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Session records: each lists what one connect has made, so that it can be undone whatever happens.

A session has a directory of its own, named after its host, with ``session.json`` (the record), ``connect_id``, and the logs
of its processes on this host. All files have mode 0600, in a directory with mode 0700.
"""

import contextlib
import errno
import json
import os
import re
import stat
import time
import typing as t

from ..cluster import session_record
from ..cluster.session_record import SessionRecord
from ..common import ownership, processes
from ..common.errors import SessionError
from ..common.files import locked, output_path, write_output, write_private
from . import stub_report
from .event_log import EventLog

#: Fields of a report, in order; every report has them all.
REPORT = ("host", "route", "state", "job_id", "nodes", "url", "client_port", "connect_id", "login_node", "time_left_s", "waited_s",
          "expected_start", "reason", "lifeline", "preset")

#: Suffix, to the control path, of a file that exists while a daemon whose session is over holds the connection for others. It contains the daemon's identity.
HELD = ".h"


_WAY_OUT = ("check that what is in it is yours, and make it writable for you alone (chmod go-w), or set paraview_state_dir to a directory of yours; "
            "nothing was touched")


def state_directory(requested: str = "") -> str:
    """The directory of session records: the requested one, else one below XDG_STATE_HOME, else one below ~/.local/state.

    Raises:
        SessionError: another account could have written the records. They name processes to end and commands to start.
    """
    if requested:
        path = os.path.abspath(os.path.expanduser(requested))
    else:
        path = os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "paraview-connect")
    ownership.check(path, _unsafe(path), _WAY_OUT)
    return path


def _unsafe(path: str) -> str:
    return "cannot keep session records in {0}".format(path)


# This import and the next are rarely needed, and without them the daemon uses less memory.
def _file_name(name: str) -> str:
    from urllib.parse import quote

    if not name:
        raise SessionError("a session needs a name", "", "name an inventory host")
    # A name that begins with a dot would be the directory itself, or the one above.
    return re.sub(r"^\.", "%2E", quote(name, safe="@:+,"))


def _remove_tree(path: str) -> None:
    from shutil import rmtree

    rmtree(path, ignore_errors=True)


class Session:
    """The files of one session, in its directory.

    Args:
        base: the directory of all records, from state_directory().
        name: the inventory host's name.
        session: the session's own name, if the host has several.
        directory: its directory, if that is already computed.
        only: the id of a session; then the record of a later session of that host is not touched.
    """

    def __init__(self, base: str, name: str, session: str = "", directory: str = "", only: str = "") -> None:
        self.base, self.name, self.session, self.only = base, name, session, only
        self.directory = directory or os.path.join(base, _file_name(name) + ("=" + _file_name(session) if session else ""))
        self.path = os.path.join(self.directory, "session.json")
        self.connect_id_path = os.path.join(self.directory, "connect_id")
        self.pvserver_id_path = os.path.join(self.directory, "pvserver_id")
        self.ids_path = os.path.join(self.directory, "connect_ids")
        self.entry_path = os.path.join(self.directory, "client.pvsc")
        self.script_path = os.path.join(self.directory, "client.py")
        self.key_path = os.path.join(self.directory, "lifeline.key")
        self.events = EventLog(os.path.join(self.directory, "events.jsonl"))

    def read(self) -> SessionRecord:
        """The record; a false one if there is none.

        Raises:
            SessionError: the file is damaged, or a newer version has written it.
        """
        return self._read()[0]

    def _read(self) -> t.Tuple[SessionRecord, t.Dict[str, t.Any]]:
        """The record, and the content of its file."""
        try:
            if stat.S_ISLNK(os.lstat(self.directory).st_mode):
                raise PermissionError(errno.EPERM, "{0} is a link".format(self.directory))
            record, content = session_record.read(ownership.read_own(self.path), self.path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return SessionRecord(), {}
            raise SessionError("cannot read {0}".format(self.path), error.strerror, "check its permissions; if it is not yours, remove " + self.directory)
        except ValueError as error:
            raise SessionError("the session record {0} is damaged".format(self.path), str(error),
                               "check whether a job of yours is left on {0}, then remove {1}".format(self.name, self.directory))
        if self.only and record.id != self.only:
            return SessionRecord(), {}
        return record, content

    def begin(self, **fields: t.Any) -> SessionRecord:
        """Makes a new record, which replaces one that is over.

        Raises:
            SessionError: a directory cannot be made, or another connect has begun first.
        """
        ownership.make_private(self.base, _unsafe(self.base), _WAY_OUT)
        ownership.make_private(self.directory, _unsafe(self.directory), _WAY_OUT)
        planted = ownership.fault_below(self.directory)
        if planted:
            raise SessionError(_unsafe(self.directory), planted, "remove that directory, or set paraview_state_dir; nothing was touched")
        with locked(self.base):
            earlier = self.read()
            if earlier and not earlier.over:
                raise SessionError("another connect to {0} has just begun".format(self.name), "", "wait for it, or disconnect")
            fields = dict({"id": os.urandom(8).hex(), "name": self.name, "session": self.session, "state": "starting", "created": time.time()}, **fields)
            record = SessionRecord(**fields)
            self.events.clear()
            write_private(self.path, record.text())
        return record

    def update(self, **fields: t.Any) -> SessionRecord:
        """Changes some fields and returns the record; a removed record stays removed. The file keeps its format: the daemon of an older version may read it."""
        with locked(self.base):
            record, content = self._read()
            if not record:
                return record
            record = record.with_(**fields)
            write_private(self.path, session_record.changed(content, fields))
            return record

    def remove(self) -> None:
        """Removes the record and everything else in its directory."""
        with contextlib.suppress(FileNotFoundError):
            with locked(self.base):
                if self._mine():
                    _remove_tree(self.directory)

    def keep_connect_id(self, connect_id: int, pvserver_id: int = 0) -> None:
        """Writes the connect-id into a file of its own, by which messages refer to it.

        Args:
            connect_id: that ParaView has; 0 for none.
            pvserver_id: that pvserver has if a stub can replace it on the way; 0 for the same one.
        """
        self.update(has_connect_id=bool(connect_id), has_pvserver_id=bool(pvserver_id))
        if pvserver_id:
            write_private(self.pvserver_id_path, "{0:d}\n".format(pvserver_id))
        write_private(self.connect_id_path, "{0:d}\n".format(connect_id))

    def connect_id(self) -> int:
        """The connect-id that ParaView has, 0 for none.

        Raises:
            SessionError: the session has one, but it cannot be read. A pvserver without connect-id would accept every client.
        """
        return self._number(self.connect_id_path) if self.read().has_connect_id else 0

    def pvserver_id(self) -> int:
        """The connect-id that pvserver has, 0 for none. It is ParaView's, unless a stub replaces that; raises SessionError as connect_id()."""
        record = self.read()
        return self._number(self.pvserver_id_path) if record.has_pvserver_id and record.has_stub else self.connect_id()

    def _number(self, path: str) -> int:
        try:
            return int(ownership.read_own(path))
        except (OSError, ValueError):
            raise SessionError("the connect-id of {0} cannot be read".format(self.name), "{0} is gone or damaged".format(path),
                               "disconnect, and connect again")

    def forget_secrets(self) -> None:
        """Removes the connect-ids and the lifeline's key of a session that is over."""
        with contextlib.suppress(OSError):
            with locked(self.base):
                paths = (self.connect_id_path, self.pvserver_id_path, self.ids_path, self.entry_path, self.script_path, self.key_path)
                for path in paths if self._mine() else ():
                    with contextlib.suppress(OSError):
                        os.unlink(path)

    def _mine(self) -> bool:
        return not self.only or bool(self.read())

    def _lifeline(self, record: SessionRecord) -> t.Optional[t.Dict[str, t.Any]]:
        """The state of the line between agent and stub (lifeline.Stub.status()); None for a session without one."""
        if not record.lifeline or record.over or not record:
            return None
        status = stub_report.read(os.path.join(self.directory, stub_report.NAME))
        return {"state": "outage" if record.lost_at else status.get("state", "waiting"), "lost_at": record.lost_at,
                "waiting_bytes": status.get("waiting_bytes", 0), "losses": status.get("losses", 0), "encrypted": bool(status.get("encrypted"))}

    def report(self, **changes: t.Any) -> t.Dict[str, t.Any]:
        """The session's entry in paraview_json."""
        record = self.read()
        try:
            connect_id = self.connect_id() if record and not record.over else None
        except SessionError:
            # The session is just ending.
            connect_id = None
        values = {
            "host": self.name, "route": record.route, "state": record.state or "gone",
            "job_id": record.job_id, "nodes": record.nodes, "url": record.url,
            "client_port": record.client_port, "connect_id": connect_id,
            "login_node": record.login_node, "time_left_s": time_left(record), "waited_s": waited(record),
            "expected_start": record.expected_start if record.state == "pending" else None, "reason": record.reason,
            "lifeline": self._lifeline(record), "preset": record.settings.get("preset", ""),
        }
        values.update(changes)
        return {name: values[name] for name in REPORT}


def time_left(record: SessionRecord) -> t.Optional[int]:
    """Seconds until the job's wall time is over."""
    if record.over or not record.ends_at:
        return None
    return max(0, int(record.ends_at - time.time()))


def waited(record: SessionRecord) -> t.Optional[int]:
    """Seconds that the job has waited in the queue; None if it does not wait there."""
    if record.state != "pending" or not record.submitted_at:
        return None
    return max(0, int(time.time() - record.submitted_at))


def all_sessions(base: str) -> t.List[Session]:
    """Every session that has a record, by name."""
    try:
        names = sorted(os.listdir(base))
    except OSError:
        return []
    from urllib.parse import unquote

    # The separator occurs nowhere else in our file names: quote() replaces it.
    found = [Session(base, *[unquote(part) for part in name.partition("=")[::2]]) for name in names]
    return [one for one in found if os.path.exists(one.path)]


def readable_records(base: str) -> t.Tuple[t.List[t.Tuple[Session, SessionRecord]], bool]:
    """The sessions with their records, without those that cannot be read, and whether there are such."""
    found, unreadable = [], False
    for session in all_sessions(base):
        try:
            found.append((session, session.read()))
        except SessionError:
            unreadable = True
    return found, unreadable


def has_daemon(record: SessionRecord) -> bool:
    """Whether the session's daemon runs and can be reached."""
    return processes.alive(record.daemon) and os.path.exists(record.socket)


def has_guests(base: str, control_path: str) -> bool:
    """Whether sessions use the control master of another session; assumed to be true if a record cannot be read."""
    found, unreadable = readable_records(base)
    return unreadable or any(record.users_own_master == control_path and has_daemon(record) for _session, record in found)


def holder_of(control_path: str) -> t.Any:
    """The identity of the daemon that holds this connection for other sessions; None if there is none."""
    try:
        return json.loads(ownership.read_own(control_path + HELD))
    except (OSError, ValueError):
        return None


def wait_left(base: str, record: SessionRecord, seconds: float) -> bool:
    """Waits until the session's daemon has ended, or only holds its connection for other sessions. If a daemon whose own session is over has held its
    connection for this session alone, it ends too, and that is waited for.

    Args:
        base: the directory of all records.
        record: the session's record.
        seconds: the longest time that this may take.
    Returns:
        Whether that happened in time.
    """
    deadline = time.monotonic() + seconds
    holder = None
    while True:
        holder = holder_of(record.users_own_master) or holder if record.users_own_master else None
        own_ended = not processes.alive(record.daemon) or (os.path.exists(record.control_path + HELD) and has_guests(base, record.control_path))
        if own_ended and not (processes.alive(holder) and not has_guests(base, record.users_own_master)):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def holds_work(record: SessionRecord) -> bool:
    """Whether ParaView is connected to the stub, even if the connection to the login node is lost."""
    return bool(record.lifeline and record.was_connected) and processes.alive(record.stub)


def is_lost(record: SessionRecord) -> bool:
    """Whether the connection of a session with a lifeline is lost, and its daemon restores it."""
    return bool(record.lost_at) and has_daemon(record)


def lacks_client_host(record: SessionRecord) -> bool:
    """Whether ParaView runs on another host, and the connection to that host is lost."""
    remote_client_host = record.remote_client_host
    return bool(remote_client_host) and remote_client_host.get("daemon") != record.daemon


def write_report(base: str, path: str, reports: t.List[t.Dict[str, t.Any]], fresh: bool = False) -> None:
    """Writes reports to the file that paraview_json names, one entry for each host.

    Args:
        base: the directory of all records, which is locked: another account could lock that of the file.
        path: the file; empty for none.
        reports: entries; each replaces an earlier one of its host.
        fresh: drop earlier entries of other hosts too.
    Raises:
        SessionError: the file cannot be written, or another account could replace it.
    """
    if not path:
        return
    path = output_path(path, "paraview_json")
    ownership.make_private(base, _unsafe(base), _WAY_OUT)
    with locked(base):
        earlier = [] if fresh else _read_reports(path)
        new = {one["host"]: one for one in reports}
        merged = [new.pop(one["host"], one) for one in earlier] + [one for one in reports if one["host"] in new]
        write_output(path, json.dumps(merged, indent=1) + "\n", "paraview_json")


def _read_reports(path: str) -> t.List[t.Dict[str, t.Any]]:
    """The entries of an earlier report; none if the file is not the user's own, or is none of ours."""
    try:
        reports = json.loads(ownership.read_own(path))
    except (OSError, ValueError, RecursionError):
        return []
    return [one for one in reports if isinstance(one, dict) and isinstance(one.get("host"), str)] if isinstance(reports, list) else []
