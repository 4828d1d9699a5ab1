# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs of a session have written, in one stream: its events, the logs on this machine, and those in its directory on the cluster."""

import calendar
import os
import re
import time
import typing as t

from ..cluster.job_directory import Directory
from ..common import ownership
from ..common.errors import SessionError
from ..common.text import clean, one_line
from ..ssh.channel import Channel
from .record import Session, has_daemon

#: Bytes of each file that are read at a time. More than these is not shown.
LIMIT = 262144
_REMOTE = {"batch.log": "job", "log": "pvserver", "agent.log": "agent"}
_LOCAL = {"daemon.log": "daemon", "stub.log": "stub", "client.log": "client"}
_WIDEST = 1000
_TIME = re.compile(r"\b((?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9])[T ]([0-2][0-9]:[0-5][0-9]:[0-5][0-9])(?:[.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?")
# Such as --connect-id=17, "connect-id": 17, and paraview-5.11.connect_id.17.
_CONNECT_ID = re.compile(r"(?i)(connect[-_]?id\W{1,4})[0-9]+")
# A shorter number of the user's own is no secret, and occurs in other places.
_SECRET_DIGITS = 5


class Line(t.NamedTuple):
    """A line: when it was written, in seconds since 1970 (a line without a time has that of the line before), which program wrote it, and its text."""

    at: float
    source: str
    text: str


class Logs:
    """The logs of one session. Each call of read() returns what is new.

    Args:
        session: the session. It has a record.
    Attributes:
        missing: a sentence for each part that cannot be read, and why.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.missing: t.List[str] = []
        self._seen: t.Dict[str, int] = dict.fromkeys(list(_REMOTE) + list(_LOCAL), 0)
        self._rest: t.Dict[str, str] = {}
        self._last: t.Dict[str, float] = {}
        self._events = 0
        self._secrets: t.Set[str] = set()

    def read(self, final: bool = True) -> t.List[Line]:
        """The new lines, in the order of their times.

        Args:
            final: whether a line without its end counts.
        """
        self._note_secrets()
        found = self._of_events()
        for name, source in _LOCAL.items():
            found += self._lines(name, source, self._local(name), final)
        remote = self._remote()
        for name, source in _REMOTE.items():
            found += self._lines(name, source, remote.get(name, ""), final)
        return sorted(found, key=lambda line: line.at)

    def _of_events(self) -> t.List[Line]:
        events, self._events = self.session.events.read(self._events)
        found = []
        for event in events:
            at = event.get("at")
            text = "; ".join(event[name] for name in ("text", "what", "why", "way_out") if event.get(name) and event["kind"] != "prompt")
            shown = "{0}: {1}".format(event["kind"], text) if text and event["kind"] != "line" else text or event["kind"]
            found += [Line(float(at) if isinstance(at, (int, float)) else 0.0, "session", self._safe(line)) for line in shown.splitlines()]
        return found

    def _local(self, name: str) -> str:
        try:
            with os.fdopen(ownership.open_own(os.path.join(self.session.directory, name)), "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                seen = self._seen[name] if self._seen[name] <= size else 0
                stream.seek(max(seen, size - LIMIT))
                data = stream.read(LIMIT)
                self._seen[name] = stream.tell()
        except OSError:
            return ""  # That program was not started, or the session is ending.
        return data.decode("utf-8", "replace")

    def _remote(self) -> t.Dict[str, str]:
        self.missing = []
        record = self.session.read()
        where = "{0} on {1}".format(record.remote_directory, record.login_node or "the cluster")
        if not record.remote_directory:
            self.missing.append("the job, pvserver and the agent have written nothing: no job was submitted")
        elif record.undone or record.over:
            self.missing.append("the logs of the job, pvserver and the agent were removed with {0} when the session ended".format(where))
        elif not has_daemon(record):
            self.missing.append("the logs of the job, pvserver and the agent cannot be read: the connection is lost. While the job exists, they are in {0}, "
                                "and connect continues the session".format(where))
        else:
            try:
                read = Directory(Channel(record.socket, self.session.name).script, record.remote_directory).read_on(
                    {name: self._seen[name] for name in _REMOTE}, LIMIT)
            except SessionError as error:
                self.missing.append("the logs of the job, pvserver and the agent cannot be read now: {0}".format(one_line(error.why or error.what)))
                return {}
            self._seen.update({name: size for name, (_text, size) in read.items()})
            return {name: text for name, (text, _size) in read.items()}
        return {}

    def _lines(self, name: str, source: str, text: str, final: bool) -> t.List[Line]:
        text = self._rest.pop(name, "") + text
        whole, _newline, rest = text.rpartition("\n")
        if rest and not final and len(rest) < LIMIT:
            self._rest[name] = rest
            text = whole
        found = []
        for line in re.split(r"[\r\n]+", text):
            shown = self._safe(line)
            if shown.strip():
                self._last[name] = _time(shown) or self._last.get(name) or self.session.read().created
                found.append(Line(self._last[name], source, shown))
        return found

    def _note_secrets(self) -> None:
        for secret in (self.session.connect_id, self.session.pvserver_id):
            try:
                self._secrets.add(str(secret()))
            except SessionError:
                pass  # The session is ending, and its secrets are removed.

    def _safe(self, line: str) -> str:
        """A line without controls and connect-ids."""
        shown = clean(line, _WIDEST)
        for secret in self._secrets:
            if len(secret) >= _SECRET_DIGITS:
                shown = shown.replace(secret, "***")
        return _CONNECT_ID.sub(r"\1***", shown)


def _time(text: str) -> float:
    """The time that a line has, in seconds since 1970; 0 if it has none. Without a zone, it is taken for that of this machine."""
    found = _TIME.search(text[:200])
    if not found:
        return 0.0
    try:
        parts = time.strptime(" ".join(found.group(1, 2)), "%Y-%m-%d %H:%M:%S")
        zone = found.group(3)
        if not zone:
            return time.mktime(parts)
        digits = re.sub("[^0-9]", "", zone)
        shift = int(digits[:2]) * 3600 + int(digits[2:]) * 60 if digits else 0
        return calendar.timegm(parts) - (-shift if zone.startswith("-") else shift)
    except (ValueError, OverflowError):
        return 0.0
