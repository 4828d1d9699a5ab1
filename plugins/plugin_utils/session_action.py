# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of a session share: arguments, the record, lines for the user, and the end of a failed session."""

import os
import re
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils import processes, sessions
from ..module_utils.channel import Channel
from ..module_utils.errors import SessionError
from ..module_utils.openssh import Master
from ..module_utils.text import clean, one_line

display = Display()


class SessionAction(ActionBase):
    """An action on one session; a subclass has SPEC and act().

    A SessionError becomes three lines and a failed task, and undoes the session if this playbook began it.
    """

    SPEC: t.ClassVar[dict] = {}
    BYPASS_HOST_LOOP = False
    TRANSFERS_FILES = False

    def act(self, arguments: dict) -> dict:
        """Does the work; returns the task's result."""
        raise NotImplementedError

    def run(self, tmp=None, task_vars=None):
        self._supports_check_mode = True
        result = super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        spec = {"name": {"type": "str"}, "state_dir": {"type": "str", "default": ""}, **self.SPEC}
        arguments = self.validate_argument_spec(argument_spec=spec)[1]
        self.name = arguments["name"] or self.task_vars.get("inventory_hostname", "localhost")
        self.base = sessions.state_directory(arguments["state_dir"])
        self.session = sessions.Session(self.base, self.name)
        try:
            result.update(self.act(arguments))
        except SessionError as error:
            result.update(self.fail(error, arguments))
        return result

    def say(self, line: str) -> None:
        """Shows a line at once, behind the host's name."""
        display.display("{0}: {1}".format(clean(self.name, 100), clean(line)))

    @property
    def owner(self) -> list:
        """The playbook's own process: a worker is forked from it for each task."""
        return processes.identity(os.getppid())

    def channel(self) -> Channel:
        """The way to the login node; raises SessionError where no session has one."""
        record = self.session.read()
        if not sessions.watched(record):
            raise SessionError("there is no connection to {0}".format(self.name), record.get("reason", "") or "no session is open",
                               "connect first: ansible-playbook sciviz.paraview.connect -e host={0}".format(self.name))
        return Channel(record["socket"], self.name)

    def master(self) -> Master:
        """The session's control master."""
        record = self.session.read()
        return Master(record["control_path"], record["ssh"])

    def fail(self, error: SessionError, arguments: dict) -> dict:
        """Tells the error, undoes what this playbook began, and reports it."""
        for line in error.lines():
            display.display("{0}: {1}".format(clean(self.name, 100), clean(line)), color="red")
        left = self.undo_own()
        if left:
            display.display("{0}: could not be undone: {1}".format(self.name, left), color="red")
        path = arguments.get("json") or self.task_vars.get("paraview_json", "")
        state = "cancelled" if getattr(error, "cancelled", False) else "failed"
        report = self.session.report(state=state, reason=one_line(str(error), 2000))
        try:
            sessions.write_report(self._templar.template(path) if isinstance(path, str) else "", [report])
        except SessionError as unwritten:
            display.display("{0}: {1}".format(self.name, unwritten.what), color="red")
        return {"failed": True, "msg": re.sub(r"\s*\n\s*", ". ", str(error)), "session": dict(report, connect_id=None)}

    def undo_own(self) -> str:
        """Undoes the session that this playbook began; returns what could not be undone."""
        record = self.session.read()
        if not record or record.get("owner") != self.owner:
            return ""
        if not sessions.watched(record):
            if record.get("job_id") and not record.get("job_over"):
                self.session.update(state="unknown", owner=None)
                return "the connection is gone; job {0} may be left. Try: ansible-playbook sciviz.paraview.disconnect -e host={1}".format(
                    record["job_id"], self.name)
            self.session.remove()
            return ""
        answer = Channel(record["socket"], self.name).request("stop", wait=90)
        processes.wait_gone(record["watcher"], 10)
        return answer.get("objection", "")
