# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Session records: what one connect has made, so that whatever happens it can be undone.

A session has a directory of its own, named after its host, with ``session.json`` (the record), ``connect_id``, and the logs
of what runs here. All are 0600 in a directory 0700.
"""

import contextlib
import errno
import json
import os
import re
import time
import typing as t

from ..cluster import session_record
from ..cluster.session_record import SessionRecord
from ..common import processes
from ..common.errors import SessionError
from ..common.files import locked, write_private

#: Fields of a report, in order; every report has them all.
REPORT = ("host", "route", "state", "job_id", "nodes", "url", "client_port", "connect_id", "login_node", "time_left_s", "reason",
          "lifeline")


def state_directory(wanted: str = "") -> str:
    """Where session records lie: the wanted directory, else below XDG_STATE_HOME, else below ~/.local/state."""
    if wanted:
        return os.path.abspath(os.path.expanduser(wanted))
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "paraview-connect")


# Both are wanted now and then only, and the daemon stays small without them.
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
    """One session, by the files that lie in its directory.

    Args:
        base: the directory of all records, as state_directory() gives it.
        name: the inventory host's name.
        session: the session's own name, where the host has several.
        directory: its directory, where that is known already.
        only: the id of the one session that is meant; the record of a later one of that host is not touched.
    """

    def __init__(self, base: str, name: str, session: str = "", directory: str = "", only: str = "") -> None:
        self.base, self.name, self.session, self.only = base, name, session, only
        self.directory = directory or os.path.join(base, _file_name(name) + ("=" + _file_name(session) if session else ""))
        self.path = os.path.join(self.directory, "session.json")
        self.connect_id_path = os.path.join(self.directory, "connect_id")
        self.entry_path = os.path.join(self.directory, "client.pvsc")
        self.script_path = os.path.join(self.directory, "client.py")
        self.key_path = os.path.join(self.directory, "lifeline.key")

    def read(self) -> SessionRecord:
        """The record; a false one where there is none.

        Raises:
            SessionError: the file is damaged, or a newer version has written it.
        """
        return self._read()[0]

    def _read(self) -> t.Tuple[SessionRecord, t.Dict[str, t.Any]]:
        """The record, and as it is kept."""
        try:
            with open(self.path, encoding="utf-8") as stream:
                record, kept = session_record.read(stream.read(), self.path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return SessionRecord(), {}
            raise SessionError("cannot read {0}".format(self.path), error.strerror, "check its rights")
        except ValueError as error:
            raise SessionError("the session record {0} is damaged".format(self.path), str(error),
                               "look whether a job of yours is left at {0}, then remove {1}".format(self.name, self.directory))
        if self.only and record.id != self.only:
            return SessionRecord(), {}
        return record, kept

    def begin(self, **fields: t.Any) -> SessionRecord:
        """Makes a new record in place of one that is over.

        Raises:
            SessionError: a directory cannot be made, or another connect was quicker.
        """
        try:
            os.makedirs(self.base, mode=0o700, exist_ok=True)
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise SessionError("cannot keep a session record in {0}".format(self.directory), error.strerror,
                               "set paraview_state_dir to a directory of yours")
        with locked(self.base):
            old = self.read()
            if old and not old.over:
                raise SessionError("another connect to {0} has just begun".format(self.name), "", "wait for it, or disconnect")
            fields = dict({"id": os.urandom(8).hex(), "name": self.name, "session": self.session, "state": "starting", "created": time.time()}, **fields)
            record = SessionRecord(**fields)
            write_private(self.path, record.text())
        return record

    def update(self, **fields: t.Any) -> SessionRecord:
        """The record with some fields changed; a record that is gone stays gone. Its form stays what it is: the daemon of an older version may read it."""
        with locked(self.base):
            record, kept = self._read()
            if not record:
                return record
            record = record.with_(**fields)
            write_private(self.path, session_record.changed(kept, fields))
            return record

    def remove(self) -> None:
        """Takes the record and all that lies with it away."""
        with contextlib.suppress(FileNotFoundError):
            with locked(self.base):
                if self._mine():
                    _remove_tree(self.directory)

    def keep_connect_id(self, connect_id: int) -> None:
        """Writes the connect-id into a file of its own, by which messages refer to it."""
        self.update(has_connect_id=bool(connect_id))
        write_private(self.connect_id_path, "{0:d}\n".format(connect_id))

    def connect_id(self) -> int:
        """The session's connect-id, 0 for none.

        Raises:
            SessionError: it should have one, and it cannot be read: a pvserver without would be open to everybody.
        """
        if not self.read().has_connect_id:
            return 0
        try:
            with open(self.connect_id_path, encoding="ascii") as stream:
                return int(stream.read())
        except (OSError, ValueError):
            raise SessionError("the connect-id of {0} cannot be read".format(self.name), "{0} is gone or damaged".format(self.connect_id_path),
                               "disconnect, and connect again")

    def forget_secrets(self) -> None:
        """Takes away the connect-id and the lifeline's key of a session that is over."""
        with contextlib.suppress(OSError):
            with locked(self.base):
                for path in (self.connect_id_path, self.entry_path, self.script_path, self.key_path) if self._mine() else ():
                    with contextlib.suppress(OSError):
                        os.unlink(path)

    def _mine(self) -> bool:
        return not self.only or bool(self.read())

    def _lifeline(self, record: SessionRecord) -> t.Optional[t.Dict[str, t.Any]]:
        """How the line between agent and stub is (lifeline.Stub.status()); None for a session without one."""
        if not record.lifeline or record.over or not record:
            return None
        try:
            with open(os.path.join(self.directory, "stub.json"), encoding="utf-8") as stream:
                told = json.load(stream)
        except (OSError, ValueError):
            told = {}
        return {"state": "outage" if record.lost_at else told.get("state", "waiting"), "lost_at": record.lost_at,
                "waiting_bytes": told.get("waiting_bytes", 0), "losses": told.get("losses", 0), "encrypted": bool(told.get("encrypted"))}

    def report(self, **changes: t.Any) -> t.Dict[str, t.Any]:
        """What paraview_json reports on this session."""
        record = self.read()
        try:
            connect_id = self.connect_id() if record and not record.over else None
        except SessionError:
            # It is just ending.
            connect_id = None
        values = {
            "host": self.name, "route": record.route, "state": record.state or "gone",
            "job_id": record.job_id, "nodes": record.nodes, "url": record.url,
            "client_port": record.client_port, "connect_id": connect_id,
            "login_node": record.login_node, "time_left_s": time_left(record), "reason": record.reason,
            "lifeline": self._lifeline(record),
        }
        values.update(changes)
        return {name: values[name] for name in REPORT}


def time_left(record: SessionRecord) -> t.Optional[int]:
    """Seconds until the job's wall time is over."""
    if record.over or not record.ends_at:
        return None
    return max(0, int(record.ends_at - time.time()))


def all_sessions(base: str) -> t.List[Session]:
    """Every session that has a record, by name."""
    try:
        names = sorted(os.listdir(base))
    except OSError:
        return []
    from urllib.parse import unquote

    # A sign that no file name of ours has otherwise: quote() takes it away.
    found = [Session(base, *[unquote(part) for part in name.partition("=")[::2]]) for name in names]
    return [one for one in found if os.path.exists(one.path)]


def watched(record: SessionRecord) -> bool:
    """Whether the session's daemon runs and can be reached, and with it the connection."""
    return processes.alive(record.daemon) and os.path.exists(record.socket)


def holds_work(record: SessionRecord) -> bool:
    """Whether ParaView is connected and waits, whatever has become of its connection."""
    return bool(record.lifeline and record.was_connected) and processes.alive(record.stub)


def away(record: SessionRecord) -> bool:
    """Whether the session has a lifeline, and its daemon seeks the connection that was lost."""
    return bool(record.lost_at) and watched(record)


def lacks_client_host(record: SessionRecord) -> bool:
    """Whether ParaView runs on another host, and the connection to it is gone."""
    there = record.client_side
    return bool(there) and there.get("daemon") != record.daemon


def write_report(path: str, reports: t.List[t.Dict[str, t.Any]], fresh: bool = False) -> None:
    """Puts reports into the file that paraview_json names, one entry a host.

    Args:
        path: the file; empty for none.
        reports: entries that replace those of the same host.
        fresh: forget what the file held.
    """
    if not path:
        return
    path = os.path.abspath(os.path.expanduser(path))
    try:
        with locked(os.path.dirname(path)):
            earlier = [] if fresh else _read_reports(path)
            new = {one["host"]: one for one in reports}
            merged = [new.pop(one["host"], one) for one in earlier] + [one for one in reports if one["host"] in new]
            write_private(path, json.dumps(merged, indent=1) + "\n")
    except OSError as error:
        raise SessionError("cannot write paraview_json: {0}".format(path), error.strerror, "name a file in a directory of yours")


def _read_reports(path: str) -> t.List[t.Dict[str, t.Any]]:
    try:
        with open(path, encoding="utf-8") as stream:
            return [one for one in json.load(stream) if isinstance(one, dict) and "host" in one]
    except (OSError, ValueError, TypeError):
        return []
