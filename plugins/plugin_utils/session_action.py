# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of a session share: arguments, the record, lines for the user, and the end of a failed session."""

import os
import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ..module_utils.common import processes
from ..module_utils.common.errors import SessionError
from ..module_utils.common.text import clean, one_line
from ..module_utils.config import presets, settings
from ..module_utils.session import interruption
from ..module_utils.session import record as sessions
from ..module_utils.session.sockets import remove_session
from ..module_utils.ssh.channel import Channel
from ..module_utils.ssh.master import Master
from . import lines_callback, variables, worker_display


class SessionAction(ActionBase):
    """An action on one session; a subclass has SPEC and act().

    A SessionError becomes three lines and a failed task, and undoes the session if this playbook began it.
    """

    SPEC: t.ClassVar[dict] = {}
    BYPASS_HOST_LOOP = False
    TRANSFERS_FILES = False
    NEEDS_SESSION = True

    def act(self, arguments: dict) -> dict:
        """Does the work; returns the task's result."""
        raise NotImplementedError

    def run(self, tmp=None, task_vars=None):
        self._supports_check_mode = True
        result = super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        spec = {"name": {"type": "str"}, "state_dir": {"type": "str", "default": ""}, **self.SPEC}
        given = self._task.args
        self.name = str(given.get("name") or self.task_vars.get("inventory_hostname", "localhost"))
        try:
            self.base = sessions.state_directory(str(given.get("state_dir") or ""))
        except SessionError as error:
            result.update(failure(self.name, error, self._shown_error(error.lines())))
            return result
        self.session = sessions.Session(self.base, self.name)
        interruption.note_on_sigint(self.base, os.getppid())
        try:
            if self.NEEDS_SESSION and not self.session.read():
                raise SessionError("there is no session of {0}".format(self.name), "it was not started, or it has ended",
                                   "start it first: sciviz.paraview.session")
            if "presets" in spec:
                given = presets.applied(given, load_extra_vars(self._loader))
            result.update(self.act(_validated(spec, given)))
        except SessionError as error:
            result.update(self.fail(error, given))
        finally:
            worker_display.finish()
        return result

    def show(self, line: str, limit: int = 2000) -> None:
        """Shows a line immediately, after the host's name."""
        worker_display.show("{0}: {1}".format(clean(self.name, 100), clean(line, limit)))

    def check_names(self, names: t.Iterable[str]) -> None:
        """Checks the names of a host's variables and of those on the command line; raises SessionError for a misspelled one."""
        for line in variables.check(names, load_extra_vars(self._loader)):
            with worker_display.uninterrupted():
                worker_display.display.warning(line)

    @property
    def owner(self) -> list:
        """The process of the playbook, which forks a worker for each task."""
        return processes.identity(os.getppid())

    def channel(self) -> Channel:
        """The channel to the login node; raises SessionError if the session has no connection."""
        record = self.session.read()
        if not sessions.has_daemon(record):
            raise SessionError("there is no connection to {0}".format(self.name), record.reason or "no session is open",
                               "connect first: ansible-playbook sciviz.paraview.connect -e host={0}".format(self.name))
        return Channel(record.socket, self.name)

    def master(self) -> Master:
        """The session's control master."""
        record = self.session.read()
        return Master(record.control_path, record.ssh)

    def fail(self, error: SessionError, arguments: dict) -> dict:
        """Shows the error, undoes the session if this playbook began it, and writes the report."""
        lines = self._shown_error(error.lines())
        path = arguments.get("json") or (self.session.read().settings.get("json", "") if self.NEEDS_SESSION else "")
        state = "cancelled" if error.cancelled else "failed"
        report = self.session.report(state=state, reason=one_line(str(error), 2000))
        left = self.undo_own(error.end_detached)
        if left:
            lines += self._shown_error(["could not be undone: {0}".format(left)])
        try:
            sessions.write_report(self.base, path, [report])
        except SessionError as unwritten:
            lines += self._shown_error([unwritten.what])
        return failure(self.name, error, lines)

    def _shown_error(self, lines: t.List[str]) -> t.List[str]:
        """The lines of an error, which are shown unless the callback shows the result."""
        if not lines_callback.active():
            for line in lines:
                worker_display.show("{0}: {1}".format(clean(self.name, 100), clean(line)), color="red")
        return lines

    def undo_own(self, end_detached: bool) -> str:
        """Undoes the session that this playbook began; returns what could not be undone."""
        record = self.session.read()
        if not record or record.owner != self.owner:
            return ""
        if not sessions.has_daemon(record):
            if record.remote_directory and not record.job_over:
                self.session.update(state="unknown", owner=None)
                return "the connection is lost; job {0} may still exist. Try: ansible-playbook sciviz.paraview.disconnect -e host={1}".format(
                    record.job_id or "(unknown id)", self.name)
            remove_session(self.session)
            return ""
        channel = Channel(record.socket, self.name)
        try:
            if sessions.holds_work(record) or (record.detached and not end_detached):
                channel.request("release")
                return ""
            answer = channel.request("stop", wait=90)
        except SessionError as error:
            return str(error)
        sessions.wait_left(self.session.base, record, 10)
        return answer.get("objection", "")


def failure(name: str, error: SessionError, lines: t.List[str]) -> dict:
    """What the result of a failed task contains.

    Args:
        name: the session's.
        error: why the task failed.
        lines: for the user.
    """
    return {"failed": True, "msg": re.sub(r"\s*\n\s*", ". ", clean(str(error), 4000)), "error": {"host": name, "lines": lines}}


def _validated(spec: dict, given: dict) -> dict:
    """Arguments in their types. Each is checked alone, so that an error can name its variable and value."""
    valid = {}
    for name, about in spec.items():
        checked = ArgumentSpecValidator({name: about}).validate({name: given[name]} if name in given else {})
        if checked.error_messages:
            raise settings.wrong(name, given.get(name), checked.error_messages[0])
        valid.update(checked.validated_parameters)
    unknown = sorted(set(given) - set(spec))
    if unknown:
        raise SessionError("{0} is not an option of this action".format(unknown[0]), "the options are " + ", ".join(sorted(spec)), "see ansible-doc")
    return valid
