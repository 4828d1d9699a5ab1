# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows sessions until they are ready; documented in plugins/modules/session_wait.py."""

import contextlib
import os
import shlex
import time

from ansible import constants
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session.follower import Follower, Nowhere, Screen
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel
from ansible_collections.sciviz.paraview.plugins.plugin_utils import lines_callback, worker_display
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction, failure
from ansible_collections.sciviz.paraview.plugins.plugin_utils.terminal_asker import TerminalAsker
from ansible_collections.sciviz.paraview.plugins.plugin_utils.worker_display import show

# Seconds between two reads of the event logs.
_EVERY = 0.05
_HINT = "to see nothing but these lines: export ANSIBLE_STDOUT_CALLBACK=sciviz.paraview.lines"


class Lines(Screen):
    """Lines of the playbook's output, each after the session's name."""

    def line(self, name, text):
        for line in text.splitlines() or [""]:
            show("{0}: {1}".format(clean(name, 100), clean(line, 2000)))

    def error(self, name, lines):
        for line in [] if lines_callback.active() else lines:
            show("{0}: {1}".format(clean(name, 100), clean(line)), color="red")


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = {"names": {"type": "list", "elements": "str"}, "followed": {"type": "dict"}}

    def act(self, arguments):
        if arguments["followed"] is not None:
            return arguments["followed"].get("sessions", {}).get(self.name) or {"changed": False, "session": self._report(self.session)}
        names = arguments["names"]
        followers = [self._follower(name) for name in ([self.name] if names is None else names)]
        followers = [follower for follower in followers if follower.begun]
        self._follow(followers)
        results = {follower.session.name: self._result(follower) for follower in followers}
        if names is None:
            return results.get(self.name) or {"changed": False, "session": self._report(self.session)}
        if followers and not any(follower.error or self._for_a_program(follower) for follower in followers):
            self._hint()
        return {"changed": False, "sessions": results}

    def _follower(self, name):
        session = sessions.Session(self.base, name)
        return Follower(session, self.owner, Nowhere() if lines_callback.shows(session.directory) else Lines(), TerminalAsker(name))

    @staticmethod
    def _for_a_program(follower):
        """bool: whether a program reads the report, or ParaView's dialog has started this playbook."""
        options = follower.session.read().settings
        return bool(options.get("json") or options.get("client_process"))

    def _hint(self):
        """Shows once for each user that there is a callback for our lines alone."""
        if constants.DEFAULT_STDOUT_CALLBACK not in ("default", "ansible.builtin.default") or worker_display.display.verbosity:
            return
        with contextlib.suppress(OSError):
            os.close(os.open(os.path.join(self.base, ".hint_shown"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            show(_HINT)

    def _follow(self, followers):
        """Shows what happens in the sessions until all are ready or have failed."""
        left, owner = list(followers), self.owner
        while left and self.owner == owner:
            happened = [self._step(follower) for follower in left]
            left = [follower for follower in left if follower.over is None]
            if left and not any(happened):
                time.sleep(max(_EVERY, len(left) / 200))

    def _step(self, follower):
        """bool: whether something has happened. An error ends following this session alone."""
        try:
            happened = follower.step()
            if follower.over is None and follower.submitted and follower.session.read().settings.get("detach"):
                self._detach(follower)
        except SessionError as error:
            follower.fail(error)
            return True
        return happened

    @staticmethod
    def _detach(follower):
        record, name = follower.session.read(), follower.session.name
        Channel(record.socket, name).request("release")
        line = "detached; once the job runs, it waits {0} for ParaView. To follow it: ansible-playbook sciviz.paraview.connect -e host={1}".format(
            durations.in_words(record.settings["client_timeout"]), shlex.quote(name))
        follower.session.events.append("detached", owner=follower.owner, text=line)
        follower.step()
        if follower.over is None:
            follower.fail(SessionError("cannot write to the event log of {0}".format(name), "its session is detached, and continues",
                                       "check whether the disk is full: {0}".format(follower.session.directory)))
        sessions.write_report(follower.session.base, record.settings["json"], [follower.session.report()])

    @staticmethod
    def _report(session, **changes):
        return dict(session.report(**changes), connect_id=None)

    def _result(self, follower):
        """dict: the result of a task on the session's host alone."""
        session, kind = follower.session, follower.over["kind"] if follower.over else "failed"
        failed = kind == "failed" and not session.read().over
        result = {"changed": False, "session": self._report(session, **({"state": "failed"} if failed else {}))}
        if kind == "checked":
            # The task that started the session cannot show the difference.
            result.update(changed=True, diff=follower.over["diff"])
            self._end_check(session)
        if follower.error is None:
            return dict(result, control_path=session.read().control_path)
        if not lines_callback.shows(session.directory):
            # The callback may not have shown the last events yet.
            follower.clear_up()
        return dict(result, **failure(session.name, follower.error, follower.error.lines()))

    @staticmethod
    def _end_check(session):
        """Ends a session that was begun in check mode."""
        try:
            Channel(session.read().socket, session.name).request("stop", wait=90)
        except SessionError:
            pass  # It has ended with an error that was shown.

    def undo_own(self, end_detached):
        return ""
