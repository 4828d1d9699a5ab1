# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a connect have in common."""

import typing as t

from ...cluster.job_flow import JobFlow
from ...cluster.session_record import SessionRecord
from ...routes.base import Route
from ...schedulers import answers, directives
from ...ssh.channel import Channel
from ..record import Session
from ..shared_queue import SharedQueue


class Step:
    """One step of a connect. It reads from the session's record what earlier steps have found, and does nothing that is done already.

    Args:
        session: the session.
        channel: to its daemon.
        show: shows the user a line.
    """

    def __init__(self, session: Session, channel: Channel, show: t.Callable[[str], t.Any]) -> None:
        self.session, self.channel, self.show = session, channel, show

    @property
    def record(self) -> SessionRecord:
        """The session's record."""
        return self.session.read()

    @staticmethod
    def granted(record: SessionRecord) -> t.Dict[str, t.Any]:
        """The session's settings with what the user's own directives set, see directives.granted()."""
        return directives.granted(answers.of(record), record.settings)

    def explain(self, route: Route) -> None:
        """Shows the user how the route reaches the job's node, if that is not what he expects."""
        if route.explanation:
            self.show(route.explanation)

    def flow(self, record: SessionRecord) -> JobFlow:
        """The flow of the session's job."""
        return JobFlow.of(record, self.channel.script, self.show, shared=lambda jobs: SharedQueue(jobs, record, self.session),
                          impatient=True)
