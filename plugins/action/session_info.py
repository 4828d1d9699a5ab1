# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports every session; documented in plugins/modules/session_info.py."""

import time

from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_directory, status_file
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean, one_line
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers.jobs import Jobs, over
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel, ChannelLost
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction, display

_COLUMNS = ("host", "route", "job", "state", "nodes", "left", "open")


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = {"names": {"type": "list", "elements": "str", "default": []}, "json": {"type": "str", "default": ""},
            "table": {"type": "bool", "default": False}}

    def act(self, arguments):
        requested = [sessions.Session(self.base, name) for name in arguments["names"]] or sessions.all_sessions(self.base)
        reports = [self._report(session) for session in requested]
        sessions.write_report(arguments["json"], reports, fresh=True)
        if arguments["table"]:
            for line in _table(reports):
                display.display(line)
        return {"changed": False, "sessions": [dict(report, connect_id=None) for report in reports]}

    def _report(self, session):
        record = session.read()
        if not record or record.over:
            return session.report()
        if not sessions.has_daemon(record):
            return session.report(state="unknown", time_left_s=None, reason=record.reason or (
                "the connection is lost; connect resumes what still exists, disconnect ends it"))
        try:
            self._refresh(session, record)
        except (ChannelLost, KeyError):
            # The session is ending, or has no job yet: the record is reported as it is.
            pass
        except SessionError as error:
            return session.report(reason=one_line(str(error)))
        return session.report()

    @staticmethod
    def _refresh(session, record):
        script = Channel(record.socket, session.name).script
        progress = status_file.Progress(job_directory.Directory(script, record.remote_directory).status("", 0))
        if record.state == "ready" and progress.connected:
            session.update(state="connected", was_connected=True)
        job = Jobs(over(script, record.prelude), answers.of(record)).ask(record.job_id)
        if job.time_left_s is not None:
            session.update(ends_at=time.time() + job.time_left_s)
        if job.state in ("pending", "running") and not session.read().lost_at:
            # While a connect is under way, the daemon notes what it waits for.
            own = job.reason if job.state == "pending" else record.reason if record.state == "starting" else ""
            session.update(reason=job.explanation or own)


def _open(report):
    """str: the URL for ParaView, or why there is none."""
    line = report.get("lifeline") or {}
    if line.get("state") == "outage":
        return "{0}{1}".format(report["reason"], "; {0} kept".format(_size(line["waiting_bytes"])) if line["waiting_bytes"] else "")
    losses = line.get("losses", 0)
    return "{0}{1}".format(report["url"] or report["reason"] or "-", " (connection lost {0})".format(
        "once" if losses == 1 else "{0} times".format(losses)) if losses and report["url"] else "")


def _size(count):
    return "{0} bytes".format(count) if count < 10000 else "{0:.1f} MB".format(count / 1e6)


def _table(reports):
    """Lines of a table with aligned columns."""
    if not reports:
        return ["no session"]
    rows = [_COLUMNS] + [(report["host"], report["route"] or "-", report["job_id"] or "-", report["state"], " ".join(report["nodes"]) or "-",
                          durations.short(report["time_left_s"]), _open(report)) for report in reports]
    rows = [[clean(cell, 200).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
