# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stdout callback for a scientist: the lines of the sessions, and nothing else of Ansible."""

DOCUMENTATION = r"""
name: lines
type: stdout
author: The sciviz.paraview developers (@sciviz)
version_added: 0.1.0
short_description: Show nothing but the lines of the sessions
description:
  - This callback shows the lines of C(sciviz.paraview), without titles of plays and tasks, results and the recap. While a job waits, a terminal has one line
    for each host, which is rewritten in place. It shows the state, the reason, the expected start, and how long the job has waited. If there are more hosts
    than rows, the last row summarizes the others.
  - An error appears once, in three lines, which contain what failed, why, and what to do. The last line of a connect is the next command. A command that is
    longer than the terminal is wide is wrapped so that it can be copied.
  - In a pipe, in a file and on a dumb terminal each line appears once, and none is rewritten. The color settings of Ansible, such as E(NO_COLOR),
    apply.
  - A task that is not of this collection appears as in the callback P(ansible.builtin.default#callback), with its title.
  - With C(-v) everything appears as in the callback P(ansible.builtin.default#callback), and no line is rewritten.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - It is set as the stdout callback, by E(ANSIBLE_STDOUT_CALLBACK) or in C(ansible.cfg).
options:
  plain:
    description: Never rewrite a line, also on a terminal. A screen reader then reads each line once.
    type: bool
    default: false
    env:
      - name: PARAVIEW_PLAIN
    ini:
      - section: callback_paraview_lines
        key: plain
"""

EXAMPLES = r"""
ansible.cfg: >
  # Enable this callback for every playbook:
  [defaults]
  stdout_callback = sciviz.paraview.lines
"""

import os

from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean, one_line
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.plugin_utils.live_display import LiveDisplay

_COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
_PREFIX = "sciviz.paraview."
#: Actions whose message is all that the user needs.
_MESSAGES = ("ansible.builtin.fail", "ansible.builtin.assert")


class CallbackModule(Default):
    """Ansible's default callback, without what it shows of this collection's tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "sciviz.paraview.lines"

    def __init__(self):
        super().__init__()
        self._live = None
        self._titled = self._foreign = False

    def set_options(self, task_keys=None, var_options=None, direct=None):
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if self._live is None:
            live = not self.get_option("plain") and not self._display.verbosity
            self._live = LiveDisplay(self._display, live, processes.identity(os.getpid()))

    def _quiet(self, item):
        """bool: whether nothing is shown of a task or play but its lines and errors."""
        return not self._display.verbosity and _is_ours(item)

    def _print_task_banner(self, task):
        if self._quiet(task):
            self._last_task_banner = task._uuid
            return
        if not self._titled:
            self._titled = self._foreign = True
            super().v2_playbook_on_play_start(self._play)
        super()._print_task_banner(task)

    def v2_playbook_on_play_start(self, play):
        self._play = play
        # The title of a play appears with its first task that has one.
        self._titled = bool(self._display.verbosity)
        if self._titled:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self):
        if not self._quiet(self._play):
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self):
        if not self._quiet(self._play):
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_include(self, included_file):
        if not self._quiet(included_file._task):
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_stats(self, stats):
        self._live.catch_up()
        self._live.stop()
        if self._foreign or self._display.verbosity:
            super().v2_playbook_on_stats(stats)

    def v2_runner_on_start(self, host, task):
        if not self._quiet(task):
            super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result):
        self._follow(result)
        if self._quiet(result._task):
            self._handle_warnings(result._result)
            if _action(result._task) == "ansible.builtin.debug" and "msg" in result._result:
                self._live.line(result._host.get_name(), str(result._result["msg"]))
        else:
            super().v2_runner_on_ok(result)

    def v2_runner_on_skipped(self, result):
        if not self._quiet(result._task):
            super().v2_runner_on_skipped(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._follow(result)
        loop = result._task.loop and "results" in result._result
        passed_over = not _action(result._task).startswith(_PREFIX) and (ignore_errors or _is_rescued(result._task))
        if _is_ours(result._task) and not loop and not passed_over:
            self._show_error(result)
        if not self._quiet(result._task):
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result):
        if not self._quiet(result._task):
            super().v2_runner_on_unreachable(result)
            return
        name = result._host.get_name()
        self._live.error(name, ["this host cannot be reached", one_line(result._result.get("msg", "")), "log in once by hand: ssh {0}".format(name)])

    def v2_runner_item_on_ok(self, result):
        self._follow(result)
        if self._quiet(result._task):
            self._handle_warnings(result._result)
        else:
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_failed(self, result):
        self._follow(result)
        if _is_ours(result._task):
            self._show_error(result)
        if not self._quiet(result._task):
            super().v2_runner_item_on_failed(result)

    def v2_runner_item_on_skipped(self, result):
        if not self._quiet(result._task):
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result):
        if not self._quiet(result._task):
            super().v2_runner_retry(result)

    def _follow(self, result):
        """Shows a session from the task on that has begun it."""
        action = _action(result._task)
        if action == _PREFIX + "session" and result._result.get("directory"):
            directory, name = str(result._result["directory"]), str(result._result["session"]["host"])
            self._live.add(Session(os.path.dirname(directory), name, directory=directory))
        elif action == _PREFIX + "session_wait":
            self._live.catch_up(result._result.get("sessions") or [result._result.get("session", {}).get("host")])

    def _show_error(self, result):
        """Shows why a task failed, in place of its result."""
        self._handle_warnings(result._result)
        found = result._result.get("error")
        if isinstance(found, dict) and "lines" in found:
            if _action(result._task) == _PREFIX + "session_wait" and found["host"] in self._live.sessions.failed:
                return  # The event log had this error.
            self._live.error(str(found["host"]), [str(line) for line in found["lines"]])
        else:
            self._live.error(result._host.get_name(), _error_lines(result._task, result._result))


def _error_lines(task, result):
    """list[str]: the error of a task whose action has none in three lines."""
    message = clean(result.get("msg") or result.get("censored") or "").strip()
    if _action(task) in _MESSAGES or "\n" in message:
        return message.splitlines()
    why = one_line("; ".join(str(part) for part in (message, result.get("stderr"), result.get("module_stderr")) if part), 1000)
    lines = ["the task {0!r} failed".format(clean(task.get_name().strip(), 200)), why, "to see the task and its result, run the same command with -v"]
    return [line for line in lines if line]


def _action(task):
    """str: the full name of a task's action."""
    return str(getattr(task, "resolved_action", None) or getattr(task, "action", None) or "")


def _is_rescued(task):
    """bool: whether a block around the task has a rescue section, which reports the failure."""
    child, parent = task, getattr(task, "_parent", None)
    while parent is not None:
        if getattr(parent, "rescue", None) and any(one._uuid == child._uuid for one in parent.block):
            return True
        child, parent = parent, getattr(parent, "_parent", None)
    return False


def _is_ours(item):
    """bool: whether a task or play is of this collection."""
    if item is None or _action(item).startswith(_PREFIX):
        return item is not None
    # The task that checks a role's arguments has no file.
    role = getattr(item, "_role", None)
    paths = [(item.get_path() or "").rpartition(":")[0], getattr(role, "_role_path", None) or ""]
    return any(os.path.realpath(path).startswith(_COLLECTION + os.sep) for path in paths if path)
