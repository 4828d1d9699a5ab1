# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One asker of the batch system for all sessions of a user on one login node: they take turns, and share the answers."""

import fcntl
import json
import os
import time
import typing as t
import zlib

from ..schedulers import answers
from ..schedulers.jobs import Jobs
from .record import Session, has_daemon, readable_records

if t.TYPE_CHECKING:
    from ..cluster.session_record import SessionRecord

_FILE = "queue-{0:08x}.json"
# An answer to another session is as good as one's own if it is not older than this part of the time since the last one.
_FRESH = 0.5
# Seconds after which a job is included in the question of another session.
_DUE = 1.0


class SharedQueue:
    """The batch system of one session.

    Args:
        jobs: the batch system.
        record: the session's.
        session: the session.
    """

    def __init__(self, jobs: Jobs, record: "SessionRecord", session: Session) -> None:
        self.jobs, self.table = jobs, jobs.table
        self.base, self.key = session.base, _key(record)
        self.path = os.path.join(session.base, _FILE.format(zlib.crc32(self.key.encode())))
        self.floor = float(record.facts.get("site", {}).get("poll_floor_s", 0))
        self.answered_at = time.time()

    def ask(self, job_id: str) -> t.Optional[answers.JobState]:
        """The state of a job: the answer to another session if that is new enough, or an own one, which the others get too.

        Returns:
            None if another session asks at this moment, or the site's minimum of seconds since the last question is not over.
        """
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "r+", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return None
            known = _content(stream.read())
            state = self._shared(job_id, known)
            if state is None and time.time() >= max((one["at"] for one in known.values()), default=0) + self.floor:
                state = self._ask(job_id, known)
                stream.seek(0)
                stream.truncate()
                stream.write(json.dumps(known))
        if state is not None:
            self.answered_at = time.time()
        return state

    def _shared(self, job_id: str, known: t.Dict[str, t.Any]) -> t.Optional[answers.JobState]:
        one, now = known.get(job_id), time.time()
        if not one or not 0 <= now - one["at"] <= _FRESH * (now - self.answered_at):
            return None
        return answers.JobState(**one["state"])

    def _ask(self, job_id: str, known: t.Dict[str, t.Any]) -> answers.JobState:
        """Asks, and replaces the known answers."""
        others = self._others(job_id) if "ask_together" in self.table else []
        due = [other for other in others if time.time() - known.get(other, {}).get("at", 0) > _DUE]
        # An end, a job that is not listed and a wait without a reason need the further questions of each job alone.
        together = {one: state for one, state in self.jobs.ask_together([job_id] + due).items()
                    if state.state == "running" or (state.state == "pending" and state.reason)}
        state = together.get(job_id) or self.jobs.ask(job_id)
        for gone in set(known) - set(others):
            del known[gone]
        now = time.time()
        known.update({one: {"at": now, "state": found._asdict()} for one, found in dict(together, **{job_id: state}).items()})
        return state

    def _others(self, job_id: str) -> t.List[str]:
        """The jobs of the other sessions."""
        return [record.job_id for _session, record in readable_records(self.base)[0]
                if record.job_id and record.job_id != job_id and not record.over and has_daemon(record) and _key(record) == self.key]


def _key(record: "SessionRecord") -> str:
    """What sessions that share answers have in common."""
    # The target is the user's own description of the login node; the rest is the site's output.
    return json.dumps([record.target, record.login_node, record.facts.get("uid"), record.scheduler, record.table, record.prelude], sort_keys=True)


def _content(text: str) -> t.Dict[str, t.Any]:
    """The answers by job id, each with its time; none if the file is damaged."""
    try:
        known = json.loads(text)
        read = {str(one): (float(about["at"]), answers.JobState(**about["state"])) for one, about in known.items()}
        # The clock may have been set back.
        return {one: {"at": at, "state": state._asdict()} for one, (at, state) in read.items() if at <= time.time()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def forget(base: str) -> None:
    """Removes the shared answers if no session needs them.

    Args:
        base: the directory of all records.
    """
    found, unreadable = readable_records(base)
    if unreadable or any(has_daemon(record) for _session, record in found):
        return
    try:
        names = [name for name in os.listdir(base) if name.startswith(_FILE.partition("{")[0])]
    except OSError:
        return
    for name in names:
        os.unlink(os.path.join(base, name))
