# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a recorded answer of a batch system; documented in plugins/modules/scheduler_answer.py."""

import json

from ansible_collections.sciviz.paraview.plugins.module_utils.common import files
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers, recordings, validation
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction

_FIELDS = ("state", "native", "reason", "explanation", "never", "warning", "nodes", "root_node", "exit_status", "expected_start")


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    SPEC = {
        "scheduler": {"type": "str", "required": True}, "schedulers": {"type": "dict", "default": {}}, "job_id": {"type": "str", "required": True},
        "answer": {"type": "str", "required": True}, "json": {"type": "str", "default": ""},
    }

    def act(self, arguments):
        table = answers.table(arguments["scheduler"], validation.tables(arguments["schedulers"]))
        job = recordings.read(table, arguments["scheduler"], arguments["job_id"], self._recordings(arguments["answer"]))
        reported = {name: getattr(job, name) for name in _FIELDS}
        line = json.dumps(reported)
        self.show(line, len(line))
        if arguments["json"]:
            files.write_output(arguments["json"], line + "\n", "paraview_json")
        return {"changed": False, "job": reported}

    @staticmethod
    def _recordings(path):
        try:
            with open(path, "rb") as stream:
                return recordings.parse(stream.read())
        except OSError as error:
            raise SessionError("cannot read the recorded answer {0}".format(path), error.strerror, "name a file that exists")
        except ValueError as error:
            raise SessionError("{0} is not a recorded answer".format(path), str(error), "record it as the guide Batch systems shows")

    def fail(self, error, arguments):
        return super().fail(error, dict(arguments, json=""))

    def undo_own(self, end_detached):
        return ""
