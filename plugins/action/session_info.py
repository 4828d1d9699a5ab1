# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports every session; documented in plugins/modules/session_info.py."""

import time

from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_directory, status_file
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import one_line
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs, over
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session import table
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel, ChannelLost
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction
from ansible_collections.sciviz.paraview.plugins.plugin_utils.worker_display import OUTPUT, show

# Seconds between two reads of the records. The daemons keep them up to date: within 2 s as to the job's files, within 20 s as to the batch system.
_EVERY = 1.0


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = {"names": {"type": "list", "elements": "str", "default": []}, "json": {"type": "str", "default": ""},
            "table": {"type": "bool", "default": False}, "watch": {"type": "bool", "default": False}}

    def act(self, arguments):
        if arguments["watch"]:
            reports = self._watch(arguments)
        else:
            reports = [_readable(session, self._current) for session in self._requested(arguments)]
            sessions.write_report(self.base, arguments["json"], reports, fresh=True)
            if arguments["table"]:
                show("\n".join(table.lines(reports)))
        return {"changed": False, "sessions": [dict(report, connect_id=None) for report in reports]}

    def _requested(self, arguments):
        return [sessions.Session(self.base, name) for name in arguments["names"]] or sessions.all_sessions(self.base)

    def _watch(self, arguments):
        """Shows the records until Ctrl-C, which ends this process, or until nothing can be shown any more; returns the last reports."""
        owner, rewriter, earlier, reports = self.owner, table.Rewriter(), None, []
        while not OUTPUT.closed(0):
            reports = [_readable(session, _recorded) for session in self._requested(arguments)]
            content, size = table.content(reports), OUTPUT.size()
            shown = table.frame(reports, time.time())
            if content != earlier:
                sessions.write_report(self.base, arguments["json"], reports, fresh=True)
            if size:
                show(rewriter.text(shown, size), screen_only=True, newline=False)
            elif content != earlier:
                show("\n".join(shown))
            earlier = content
            if OUTPUT.closed(_EVERY) or self.owner != owner:
                break
        return reports

    def _current(self, session):
        """The session's report, after its daemon has queried the cluster."""
        record = session.read()
        if record.job_id and record.remote_directory and not record.over and sessions.has_daemon(record):
            try:
                self._refresh(session, record)
            except (ChannelLost, KeyError):
                # The session is ending: the record is reported as it is.
                return session.report()
            except SessionError as error:
                return session.report(reason=one_line(str(error)))
        return _recorded(session)

    @staticmethod
    def _refresh(session, record):
        script = Channel(record.socket, session.name).script
        progress = status_file.Progress(job_directory.Directory(script, record.remote_directory).status("", 0))
        if record.state == "ready" and progress.connected:
            session.update(state="connected", was_connected=True, reason="", kept_until=None)
        job = Jobs(over(script, record.prelude), answers.of(record)).ask(record.job_id)
        if job.time_left_s is not None:
            session.update(ends_at=time.time() + job.time_left_s)
        if (answers.waits(job) or job.state == "running") and not session.read().lost_at:
            # While a connect is under way, the daemon notes what it waits for.
            own = answers.in_words(job) if answers.waits(job) else record.reason if record.state == "starting" else record.waits_because
            session.update(reason=job.explanation or own, expected_start=job.expected_start)


def _recorded(session):
    """The report of what the record has."""
    record = session.read()
    # The playbook writes the record before it starts the daemon.
    begins = record.state == "starting" and record.daemon is None and processes.alive(record.owner)
    if not record or record.over or begins or sessions.has_daemon(record):
        return session.report()
    return session.report(state="unknown", time_left_s=None, waited_s=None, expected_start=None, reason=record.reason or (
        "the connection is lost; connect resumes what still exists, disconnect ends it"))


def _readable(session, report_of):
    """A session's report, with the error in place of a record that cannot be read."""
    try:
        return report_of(session)
    except SessionError as error:
        return dict(dict.fromkeys(sessions.REPORT), host=session.name, state="unknown", nodes=[], reason=one_line(str(error)))
