# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that submits a session's job."""

import time
import typing as t

from ...client.host import LocalClientHost
from ...cluster import heartbeat, job_directory, job_scripts, own_job, status_file, teardown
from ...cluster.job_flow import JobFlow, submitted
from ...cluster.session_record import SessionRecord
from ...config import route_names
from ...routes.context import port_taken
from ...schedulers import answers, directives
from .. import lifeline
from .base import Step


class Submission(Step):
    """The job's scripts and their submission."""

    def run(self) -> None:
        """Submits the job unless it exists; raises SessionError if the batch system refuses it."""
        record = self.record
        if record.job_id and self.job_exists(record):
            return
        options = record.settings
        path = job_directory.directory(record.facts, record.id)
        why_not = lifeline.why_not(self.granted(record), record.route)
        reconnects = bool(options.get("reconnect")) and not why_not
        flow = JobFlow.of(record.with_(remote_directory=path), self.channel.script, self.show, impatient=True)
        own = self._own_job(flow) if options["job_id"] else None
        files = self.files(record, own)
        if reconnects:
            self._check_line_port(options, record.route)
            key = lifeline.new_key()
            lifeline.Stub(self.session).keep_key(key)
            files.update(lifeline.files(key))
        elif options.get("reconnect"):
            self.show(lifeline.without(why_not))
        # None: the job reports it when it runs.
        self.session.update(remote_directory=path, lifeline=None if reconnects else False)
        if own:
            self.session.update(ends_at=None if own.time_left_s is None else time.time() + own.time_left_s)
            node = own_job.dialled(answers.of(record), options["job_id"], own.root_node, options, record.facts["site"])
            flow.attach(options["job_id"], node, files, self.channel.hold)
        else:
            flow.submit(files, directives.requested(options, record.facts["site"]))
        job_id = flow.watch.job_id
        self.session.update(job_id=job_id, submitted_at=flow.watch.polling.submitted_at, state="pending")
        self.show("job {0} is yours: pvserver is started in it".format(job_id) if options["job_id"] else submitted(job_id, self.granted(record)))

    def _own_job(self, flow: JobFlow) -> answers.JobState:
        """The state of the user's own job in which pvserver is to be started."""
        return own_job.find(flow.queue, self.channel.script, self.record.settings["job_id"])

    def files(self, record: SessionRecord, own: t.Optional[answers.JobState] = None) -> t.Dict[str, str]:
        """The text of the job's files, by name.

        Args:
            record: the session's.
            own: the state of the user's own job; None if the job is to be submitted.
        """
        options = record.settings
        if own:
            return own_job.files(answers.of(record), job_directory.directory(record.facts, record.id), options, own, record.modules)
        reconnects = options.get("reconnect") and not lifeline.why_not(self.granted(record), record.route)
        return job_scripts.files(answers.of(record), job_directory.directory(record.facts, record.id), options,
                                 directives.requested(options, record.facts["site"]), record.modules, options["reconnect_timeout"] if reconnects else 0)

    def diff(self) -> t.Dict[str, str]:
        """The job's scripts as a difference, for check mode."""
        record = self.record
        path = job_directory.directory(record.facts, record.id)
        own = self._own_job(JobFlow.of(record.with_(remote_directory=path), self.channel.script)) if record.settings["job_id"] else None
        files = self.files(record, own)
        names = [name for name in (own_job.SCRIPT, "job.sh", "pvserver.sh") if name in files]
        return {"before": "", "after": "\n".join(files[name] for name in names), "after_header": path + "/" + ", ".join(names)}

    @staticmethod
    def _check_line_port(options: t.Dict[str, t.Any], route: str) -> None:
        """Raises SessionError if the port for the line is in use."""
        port = options.get("reconnect_port")
        owner = LocalClientHost().owner(port) if port and route_names.ALL[route].exposed else None
        if owner is not None:
            raise port_taken(port, owner, variable="paraview_reconnect_port")

    def job_exists(self, record: SessionRecord) -> bool:
        """Whether the job of an earlier connect still exists. If not, its remains are removed."""
        flow = self.flow(record)
        job = flow.queue.ask(record.job_id)
        # A job of the user's own goes on when pvserver in it has ended.
        ended = record.settings.get("job_id") and status_file.Progress(flow.directory.read("status")).ended
        if not ended and ((not job.gone and job.state not in answers.OVER) or heartbeat.lives(flow.directory)):
            return True
        self.show("job {0} of the earlier session is over; starting a new one".format(record.job_id))
        flow.directory.remove()
        teardown.end_stub(record)
        self.session.update(client=None, stub=None, created=time.time(), detached=False, job_id=None, nodes=[], root_node=None, accepting=None,
                            go_file_written=False, agent=None, route_opened_by=None, lost_at=None, was_connected=False, job_over=False, undone=False)
        return False
