# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the logs of a session; documented in plugins/modules/session_logs.py."""

import collections
import typing as t

from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.session.logs import Line, Logs
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction
from ansible_collections.sciviz.paraview.plugins.plugin_utils.worker_display import OUTPUT

# Seconds between two reads while the session is followed.
_EVERY = 1.0
_MOST = 10000


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = {"lines": {"type": "int", "default": 200}, "follow": {"type": "bool", "default": False}}

    def act(self, arguments):
        if not 1 <= arguments["lines"] <= _MOST:
            raise settings.wrong("lines", arguments["lines"], "it is a number from 1 to {0}".format(_MOST))
        begun = self.session.read()
        if not begun:
            raise SessionError("there are no logs of {0}".format(self.name), "no session of it has a record. The files of a session are removed when it ends; "
                               "only those on this machine of one that failed while no playbook followed it stay until the next connect",
                               "follow the next session from its start: ansible-playbook sciviz.paraview.logs -e host={0} -e paraview_follow=true".format(
                                   self.name))
        logs = Logs(self.session)
        kept: t.Deque[Line] = collections.deque(maxlen=arguments["lines"])
        fresh, missing = logs.read(final=not arguments["follow"])[-arguments["lines"]:], logs.missing
        for sentence in missing:
            self.show(sentence)
        owner = self.owner
        while True:
            for line in fresh:
                self.show("{0}: {1}".format(line.source, line.text))
            kept.extend(fresh)
            record = self.session.read()
            if not arguments["follow"] or record.over or record.id != begun.id or OUTPUT.closed(_EVERY) or self.owner != owner:
                break
            fresh = logs.read(final=False)
        return {"changed": False, "lines": [line._asdict() for line in kept], "missing": missing}

    def undo_own(self, end_detached):
        return ""
