# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins, resumes, hands over and ends a session; documented in plugins/modules/session.py."""

import copy
import os
import socket
import time
import typing as t

from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_directory import Directory
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_watch import ends_soon
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.session_record import SessionRecord
from ansible_collections.sciviz.paraview.plugins.module_utils.common import files, processes, terminals
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names, settings
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import installed, pvserver, versions
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session.sockets import remove_session
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh import client as openssh
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel, ChannelLost
from ansible_collections.sciviz.paraview.plugins.plugin_utils.login import connection_of, end_daemon, log_in, password_of, start_daemon, target_of
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    NEEDS_SESSION = False
    #: Whether the client host could not be reached, so that files may be left there.
    client_host_unreached = False
    #: After disconnect, whether the user's own job in which pvserver was started continues; None if it was submitted, or if that is unknown.
    own_job_continues = None
    #: Whether the session's daemon drives it, and a later task follows it.
    driven = False

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        #: Lines for the task that follows the session.
        self.lines = []

    SPEC = {"state": {"type": "str", "default": "present", "choices": ["present", "started", "absent"]}, **copy.deepcopy(settings.SPEC)}

    def act(self, arguments):
        if arguments["state"] == "absent":
            return self._end(arguments)
        options = settings.check({name: arguments[name] for name in settings.SPEC})
        if options["json"]:
            # The daemon writes it, too, and has another working directory.
            options["json"] = files.output_path(options["json"], "paraview_json")
        self.check_names(self.task_vars)
        self.driven = arguments["state"] == "started"
        if not self.driven:
            return self._present(options)
        logins = self._logins(options)
        result = self._present(options)
        self._note_follower(result["todo"])
        if result["todo"]:
            self._drive(logins)
        return result

    def show(self, line, limit=2000):
        if self.driven:
            # The task that follows the session shows it.
            self.lines.append(line)
        else:
            super().show(line, limit)

    def _present(self, options):
        if options["client_host"]:
            self._check_client_host(options["client_host"])
        if options["client_program"] and not options["client_host"]:
            installed.clients(options)
        record = self.session.read()
        self._refuse_other_host(record)
        if record and not sessions.has_daemon(record) and not record.remote_directory and not processes.alive(record.owner):
            # A playbook ended before it submitted a job: there is nothing to resume.
            remove_session(self.session)
            record = SessionRecord()
        if record and not record.over:
            return self._resume(record, options)
        return self._begin(options)

    def _note_follower(self, todo):
        """From here on, the events of the session are for this playbook."""
        self.session.events.append("begun", owner=self.owner)
        for line in self.lines:
            self.session.events.append("line", text=line, owner=self.owner)
        if not todo:
            self.session.events.append("open", owner=self.owner)

    def _logins(self, options):
        """dict: how to log in to the login node and, if ParaView runs on another host, to that host."""
        there = options["client_host"]
        connections = {"login_node": (self._connection, self.name)}
        if there:
            self._check_client_host(there)
            connections["client_host"] = (connection_of(there, self._play_context, self.task_vars), there)
        return {place: {"target": target_of(connection, name)._asdict(), "password": password_of(connection)}
                for place, (connection, name) in connections.items()}

    def _check_client_host(self, name):
        if name not in self.task_vars.get("hostvars", {}):
            raise settings.wrong("client_host", name, "the inventory has no such host")

    def _drive(self, logins):
        """Lets the session's daemon drive the session; the playbook then only follows it."""
        start_daemon(self.session, logins["login_node"]["target"]["executable"], self.owner)
        record = self.session.read()
        Channel(record.socket, self.name).request("drive", owner=self.owner, waiting=record.waiting, given={
            "logins": logins, "environment": dict(os.environ), "working_directory": os.getcwd()})

    @staticmethod
    def _refuse_other_host(record):
        """Refuses a session of another client host. A home may be shared, and that host's processes cannot be checked from here."""
        here = socket.gethostname()
        if record and not record.over and record.controller_host != here:
            raise SessionError("the session of {0} is held by {1}".format(record.name, record.controller_host), "this is " + here,
                               "connect, check and disconnect there; if that host does not exist any more, remove the record")

    def _begin(self, options):
        record = self.session.begin(
            owner=self.owner, settings=dict(options, connect_id=None), check=self._task.check_mode, controller_host=socket.gethostname(), job_id=None,
            daemon=None, waiting=self._waiting(options), terminal=terminals.of_process(self.owner[0]))
        self._keep_connect_id(options["connect_id"])
        return self._result(record, todo=True, changed=True)

    def _keep_connect_id(self, given):
        """Keeps a connect-id that was given, or a random one. A given one may be easy to guess: that of ParaView's dialog is one of 2041."""
        self.session.keep_connect_id(pvserver.new_connect_id() if given is None else given, pvserver.new_connect_id() if given else 0)

    @staticmethod
    def _waiting(options):
        """list or None: identity of the ParaView that waits for the session."""
        number = options["client_process"]
        process = processes.identity(number) if number else None
        if process and not processes.alive(process):
            raise settings.wrong("client_process", number, "there is no such process")
        return process

    def _resume(self, record, options):
        other = record.owner and record.owner != self.owner and processes.alive(record.owner)
        if other and (options["client_process"] or record.waiting or not record.job_id):
            raise SessionError("another connect to {0} is under way".format(self.name), "process {0} started it".format(record.owner[0]),
                               "wait for it, or end it: ansible-playbook sciviz.paraview.disconnect -e host={0}".format(self.name))
        self._refuse_older(record)
        if sessions.is_lost(record):
            self._refuse_another(record, options)
            since = time.strftime("%H:%M", time.localtime(record.lost_at))
            self.show("the connection to {0} has been lost since {1}; connecting again".format(record.login_node, since))
            return self._result(record, todo=not self._task.check_mode, changed=True)
        if sessions.has_daemon(record) and record.state in ("ready", "connected") and not sessions.lacks_client_host(record):
            if self._just_ended(record):
                return self._begin(options)
            if sessions.is_lost(self.session.read()):
                return self._resume(self.session.read(), options)
            if not self._takes_over(record, options):
                self._refuse_another(record, options)
            if not record.detached:
                return self._open_already(record, options)
        return self._continue(record, options)

    def _refuse_older(self, record):
        """Refuses a session whose daemon is of an older version, which does not drive it."""
        if not sessions.has_daemon(record) or (record.state in ("ready", "connected") and not sessions.is_lost(record)):
            return
        try:
            Channel(record.socket, self.name).request("connected")
        except ChannelLost:
            pass
        except SessionError as error:
            raise SessionError("the session of {0} was begun by an older version of sciviz.paraview".format(self.name), error.why,
                               "connect with that version, or end the session: ansible-playbook sciviz.paraview.disconnect -e host={0}".format(self.name))

    def _open_already(self, record, options):
        line = "a session is open already: job {job_id} on {0}, {state} by {route}; nothing was changed. End it with: {1}"
        end = "ansible-playbook sciviz.paraview.disconnect -e host=" + self.name
        self.show(line.format(" ".join(record.nodes), end, **record.as_dict()))
        sessions.write_report(self.base, options["json"], [self.session.report()])
        return self._result(record, todo=False, changed=False)

    def _continue(self, record, options):
        waiting = self._waiting(options)
        self._refuse_version(record, options)
        if self._task.check_mode:
            return self._result(record, todo=False, changed=True)
        if record.go_file_written:
            self._refuse_another(record, options)
        elif record.job_id and self._is_for_another(record, options) and sessions.has_daemon(record):
            record = self._halted(record, options)
        if record.job_id:
            self.show("resuming the session of {0}, job {1}".format(
                time.strftime("%d %b %H:%M", time.localtime(record.created)), record.job_id))
        settings_now = dict(record.settings, **{name: options[name] for name in (
            "client_process", "client_version", "start_client", "notify", "queue_timeout", "detach", "json")})
        # The record of an older version may lack settings.
        own = dict(settings_now, **record.changed_by_site)
        ignored = sorted(name for name in options if options[name] != own.get(name, options[name]) and name != "connect_id")
        if record.job_id and ignored:
            self.show("the job keeps the settings that it was submitted with; disconnect first to change {0}".format(
                ", ".join("paraview_" + name for name in ignored)))
        record = self.session.update(owner=self.owner, settings=settings_now, waiting=waiting, terminal=terminals.of_process(self.owner[0]))
        return self._result(self._adopt(record, options), todo=True, changed=True)

    def _halted(self, record, options):
        """SessionRecord: the record of a session whose driver is ended, so that another ParaView can have the session."""
        channel = Channel(record.socket, self.name)
        channel.request("halt")
        record = self.session.read()
        if record.go_file_written:
            channel.request("go_on")
            self._refuse_another(record, options)
        return record

    def _is_for_another(self, record, options):
        """Whether the request comes from a ParaView with another port or connect-id than those of the session."""
        return bool(options["client_process"]) and (
            options["client_port"] not in (0, record.client_port or record.settings["client_port"])
            or options["connect_id"] not in (None, self.session.connect_id()))

    def _takes_over(self, record, options):
        """bool: whether another ParaView takes over a session whose job is kept for one. The stub exchanges its connect-id for that of pvserver."""
        expected = record.waits_because and record.state == "ready" and record.has_stub and record.has_pvserver_id
        if not expected or route_names.is_reverse(record.route) or options["connect_id"] is None or options["client_port"] not in (0, record.client_port):
            return False
        self._refuse_version(record, options)
        if not self._task.check_mode:
            self.session.keep_connect_id(options["connect_id"], self.session.pvserver_id())
            lifeline.Stub(self.session).keep_connect_ids(reverse=False)
            self.session.update(waiting=self._waiting(options))
        return True

    def _refuse_another(self, record, options):
        if self._is_for_another(record, options):
            raise SessionError("a session of {0} is open already, and not for this ParaView".format(self.name), "job {0} on {1} is {2}".format(
                record.job_id, " ".join(record.nodes), record.state), "disconnect the ParaView that uses it, or end the session, then connect again: "
                "ansible-playbook sciviz.paraview.disconnect -e host={0}".format(self.name))

    @staticmethod
    def _refuse_version(record, options):
        """Refuses a ParaView whose version does not go with the pvserver of a job that has waited in the queue."""
        client, server = options["client_version"], record.server_version or ""
        if not versions.go_together(client, server):
            raise versions.differ(client, server, record.login_node)

    def _adopt(self, record, options):
        """Gives the session to another ParaView, with its own port and connect-id. That is possible until pvserver has its arguments."""
        if not self._is_for_another(record, options):
            return record
        if options["connect_id"] is not None:
            self._keep_connect_id(options["connect_id"])
        port = options["client_port"]
        if not port:
            return self.session.read()
        changed: t.Dict[str, t.Any] = {"settings": dict(record.settings, client_port=port)}
        if record.route and route_names.is_reverse(record.route):
            changed.update(client_port=port, url=pvserver.url(True, port))
            if not record.has_stub:
                # The forward to the old port is replaced when the route is confirmed.
                changed["route_state"] = dict(record.route_state, client_port=port, port=None)
        return self.session.update(**changed)

    def _just_ended(self, record):
        """Whether pvserver has ended and the daemon is about to notice it. If so, waits until the daemon has ended."""
        try:
            script = Channel(record.socket, record.name).script
            if not ends_soon(Directory(script, record.remote_directory)):
                return False
        except SessionError:
            if record.lifeline:
                # The session does not end: the daemon reconnects.
                return False
        return sessions.wait_left(self.session.base, record, 40)

    def _result(self, record, todo, changed):
        report = dict(self.session.report(), connect_id=None)
        return {"changed": changed, "todo": todo, "directory": self.session.directory, "session": report}

    def _end(self, arguments):
        record = self.session.read()
        self._refuse_other_host(record)
        over = not record or record.over
        if self._task.check_mode:
            return {"changed": bool(record), "session": dict(self.session.report(), connect_id=None)}
        report = self.session.report(state="gone", connect_id=None, url=None, reason="there is no session" if not record else "the session was over already")
        if not over:
            report.update(state="cancelled", reason="disconnected")
            self._undo(record)
        remove_session(self.session)
        self.show("nothing to disconnect" if not record else "{0}; {1}".format(
            "the session was over" if over else "disconnected" + _end_of_job(record, self.own_job_continues),
            _left_on_client_host(record) if self.client_host_unreached else "nothing is left on either side"))
        sessions.write_report(self.base, arguments["json"], [report])
        return {"changed": bool(record), "session": report}

    def _undo(self, record, last=False):
        if self._is_logging_in(record):
            end_daemon(self.session)
            record = self.session.read()
        if not sessions.has_daemon(record) or sessions.is_lost(record):
            if not record.target or record.over:
                return
            if not sessions.is_lost(record):
                self.session.update(owner=self.owner)
            log_in(self.session, openssh.Target(**record.target), self.owner, self._password())
            record = self.session.read()
        table = answers.of(record) if record.job_id and record.scheduler and not last else {}
        if table.get("delivers_output") and not record.settings.get("job_id"):
            self.show("ending job {0}; {1} releases it once its output is delivered".format(record.job_id, table["title"]))
        try:
            answer = Channel(record.socket, self.name).request("stop", wait=90)
        except ChannelLost:
            # The session may just have ended by itself.
            if last or not sessions.wait_left(self.session.base, record, 15):
                raise
            self._undo(self.session.read(), last=True)
            return
        sessions.wait_left(self.session.base, record, 15)
        self.client_host_unreached = bool(answer.get("far_left"))
        self.own_job_continues = answer.get("job_continues")
        if answer.get("objection"):
            raise SessionError("cannot end the session on {0}".format(self.name), answer["objection"],
                               "the record is kept: run disconnect again, or {0} job {1} there".format(
                                   "end pvserver in" if record.settings.get("job_id") else "cancel", record.job_id))

    def _is_logging_in(self, record):
        """bool: whether a job exists, and its daemon has no connection yet to end it."""
        if not record.remote_directory or not sessions.has_daemon(record) or sessions.is_lost(record):
            return False
        try:
            return not Channel(record.socket, self.name).request("connected")["connected"]
        except SessionError:
            # The daemon of an older version does not have this operation; it always has a connection.
            return False

    def _password(self):
        """The password in the inventory, if this host is in it."""
        return password_of(self._connection) if self._connection.transport == "ssh" else ""

    def undo_own(self, end_detached):
        # A disconnect that failed keeps the record, so that it can be run again.
        return "" if self._task.args.get("state") == "absent" else super().undo_own(end_detached)


def _end_of_job(record, own_job_continues):
    """The part of disconnect's line about the job. A job of the user's own does not end with the session."""
    if not record.job_id or not record.settings.get("job_id"):
        return ", job {0} has left the queue".format(record.job_id) if record.job_id else ""
    return ", pvserver in job {0} has ended{1}".format(record.job_id, {True: "; the job continues", False: "; the job is over"}.get(own_job_continues, ""))


def _left_on_client_host(record):
    """A sentence on what may be left on a client host that could not be reached."""
    host = record.remote_client_host or {}
    return "{0} was not reached: {1}, and the client that was started there, may still exist".format(host.get("name"), host.get("connect_id_path"))
