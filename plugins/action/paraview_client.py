# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for the client or starts it, and hands the session over; documented in plugins/modules/paraview_client.py."""

import os
import shlex
import time

from ansible_collections.sciviz.paraview.plugins.module_utils.client import start_script
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import endings
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.job_flow import JobFlow
from ansible_collections.sciviz.paraview.plugins.module_utils.common import durations, processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import tail
from ansible_collections.sciviz.paraview.plugins.module_utils.config import route_names
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import connect_entry
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import installed, pvserver, servers_file
from ansible_collections.sciviz.paraview.plugins.module_utils.routes import choice
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.context import port_taken
from ansible_collections.sciviz.paraview.plugins.module_utils.routes.unavailable import RouteUnavailable
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline
from ansible_collections.sciviz.paraview.plugins.module_utils.session import record as sessions
from ansible_collections.sciviz.paraview.plugins.module_utils.session import route as routing
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction, no_job

# A ParaView client ends the attempt at a forward connection after 60 s.
_CONNECT_SECONDS = 75
# Seconds between two reads of the client's output.
_READ_EVERY = 1
# Seconds by which the job's report may be late after a client has connected and ended.
_LATE_REPORT = 10


class ActionModule(SessionAction):
    SPEC = {"state": {"type": "str", "default": "served", "choices": ["listening", "served", "detached"]}}

    def act(self, arguments):
        record = self.session.read()
        if self._task.check_mode:
            return {"changed": True, "session": dict(self.session.report(), connect_id=None)}
        if not record.job_id:
            raise no_job(self.name)
        self.log, self.ended_at, self.read_at = os.path.join(self.session.directory, "client.log"), None, 0.0
        changed = getattr(self, "_" + arguments["state"])(record, self.channel())
        report = self.session.report()
        sessions.write_report(record.settings["json"], [report])
        return {"changed": changed, "session": dict(report, connect_id=None)}

    def _listening(self, record, channel):
        """On a reverse route the user's client has to listen before pvserver may start."""
        port = record.client_port
        if not route_names.is_reverse(record.route) or record.was_connected:
            return False
        if not record.go_file_written and (record.lifeline or routing.load(record, channel).client_may_be_late):
            return False
        client = routing.client_of(record, channel)
        if self._ready(record, client) or self._reached_stub(record):
            return False
        if record.settings["start_client"]:
            if not self._listens(client, port):
                record = self._start(record, client)
        else:
            self.session.update(reason="waiting for a client")
            sessions.write_report(record.settings["json"], [self.session.report()])
            self.show("start the client now, pvserver waits for it: {0}".format(self._advice(record)))
        flow = JobFlow.of(record, channel.script, self.show)
        deadline = time.monotonic() + record.settings["client_timeout"]
        next_step = time.monotonic() + 2
        while not self._ready(record, client):
            record = self._check_client(record, client, before_pvserver=True)
            if time.monotonic() > deadline:
                raise SessionError("no client listened on port {0} within {1}".format(port, durations.in_words(record.settings["client_timeout"])), "",
                                   "set paraview_start_client, or start the client sooner: {0}".format(self._advice(record)))
            if time.monotonic() > next_step:
                next_step = time.monotonic() + 2
                flow.watch.step()
                if flow.watch.vanished:
                    raise flow.died()
                if flow.watch.over:
                    ending = flow.watch.wait_for_ending()[0]
                    raise SessionError("job {0} ended before a client listened".format(record.job_id), ending.reason, ending.way_out or "connect again")
            time.sleep(client.pause)
        return True

    def _ready(self, record, client):
        """bool: whether ParaView accepts pvserver. If a script connects it, the script reports that: before this report ParaView may listen already, but would
        refuse pvserver, since it has no connect-id yet."""
        if not self._listens(client, record.client_port):
            return False
        return record.client_by != "script" or start_script.state(client.last_words(self.log, self.file_name))[0] in ("listening", "connected")

    @staticmethod
    def _listens(client, port):
        owner = client.owner(port)
        if owner not in (None, -1, client.uid):
            raise port_taken(port, owner, client)
        return owner is not None

    def _reached_stub(self, record):
        """bool: whether ParaView is, or was, connected to the stub."""
        return bool(record.lifeline) and lifeline.Stub(self.session).status().get("paraview") in ("connected", "closed")

    def _served(self, record, channel):
        """The route is open: starts the client if that was requested, and informs the user."""
        flow = JobFlow.of(record, channel.script, self.show)
        flow.watch.step()
        route, client = routing.load(record, channel), routing.client_of(record, channel)
        if route.reverse and not record.was_connected:
            self._let_through(record, channel, route, client, flow)
        elif record.settings["start_client"] and not (record.client or record.remote_client):
            record = self._start(record, client)
            self._wait_connected(record, flow, client)
        ended, connected = bool(flow.progress.ended), flow.progress.connected or record.was_connected
        if ended:
            self._check_ending(record, flow)
        state = "ended" if ended else "connected" if connected else "ready"
        took = durations.in_words(time.time() - record.created)
        self.session.update(state=state, was_connected=connected, owner=None, detached=False, reason="")
        channel.request("hand_over")
        if state == "ended":
            processes.wait_gone(record.daemon, 30)
            self.show("the client connected and ended after {0}; nothing is left on either side".format(took))
        else:
            self.show("ready after {0}: {1}. Ends with the job at {2}, or by: ansible-playbook sciviz.paraview.disconnect -e host={3}".format(
                took, "ParaView is connected" if connected else self._advice(record),
                time.strftime("%H:%M", time.localtime(record.ends_at)), shlex.quote(self.name)))
        return True

    @staticmethod
    def _check_ending(record, flow):
        """SessionError if the job ended for another reason than the end of its client."""
        ending, log = flow.watch.wait_for_ending()
        if ending.reason != endings.CLIENT_LEFT:
            when = "while the client was connected" if flow.progress.connected else "before the client connected"
            raise SessionError("job {0} ended {1}".format(record.job_id, when), ending.reason + "; the end of its log:\n" + (tail(log) or "    (none)"),
                               ending.way_out or "check the log above, and connect again", end_detached=True)

    def _let_through(self, record, channel, route, client, flow):
        """A relay or a lifeline holds pvserver back until the client listens."""
        self._listening(record, channel)
        record = self.session.read()
        try:
            if record.lifeline:
                lifeline.Stub(self.session).forward_to_client(client, record.client_port)
            else:
                route.let_through(record.root_node)
        except RouteUnavailable as unavailable:
            raise choice.none_works([(route.name, str(unavailable))], route.name)
        self._wait_connected(record, flow, client)
        self.show(routing.connected_line(record, route))

    def _detached(self, record, channel):
        self.session.update(owner=None, detached=True)
        channel.request("hand_over")
        self.show("detached; once the job runs, it waits {0} for you to connect again: ansible-playbook sciviz.paraview.connect -e host={1}".format(
            durations.in_words(record.settings["client_timeout"]), shlex.quote(self.name)))
        return True

    def _wait_connected(self, record, flow, client):
        """Waits until the client is connected; it may even have ended by then."""
        # A client that connect has started may start slowly, or show its user a welcome window first.
        seconds = record.settings["client_timeout"] if record.client or record.remote_client else _CONNECT_SECONDS
        if not flow.wait_for_client(seconds, lambda: self._check_client(self.session.read(), client, before_pvserver=False)):
            raise SessionError("the client did not connect within {0}".format(durations.in_words(seconds)),
                               "its last output:\n" + self._last_output(client), "check paraview_start_client")
        if not flow.progress.connected:
            raise SessionError("job {0} ended before the client connected".format(record.job_id), endings.sentence(flow.watch.wait_for_ending()[0]),
                               "the client's last output:\n" + self._last_output(client))

    def _last_output(self, client):
        return tail(client.last_words(self.log, self.file_name)) or "    (none)"

    def _check_client(self, record, client, before_pvserver):
        """SessionRecord: the record, after a check of the client that was started; SessionError if that has ended or failed to connect."""
        alive = client.lives(record)
        if record.client_by == "script" and (not alive or time.monotonic() > self.read_at):
            self.read_at = time.monotonic() + _READ_EVERY
            state, why = start_script.state(client.last_words(self.log, self.file_name))
            if state == "unable":
                self.show("this ParaView cannot run a script at its start ({0}): press OK in its window".format(why))
                client.end(record)
                return self._start(record, client, by="entry")
            if state == "refused":
                raise SessionError("ParaView did not connect to {0}".format(record.url), why,
                                   "connect again; if that fails too, leave out paraview_start_client and run the command that connect shows then")
        if not alive:
            self._check_ended_client(record, client, before_pvserver)
        return record

    def _check_ended_client(self, record, client, before_pvserver):
        """SessionError if a client that has ended cannot have been connected."""
        self.ended_at = self.ended_at or time.monotonic()
        possible = self._reached_stub(record) if record.lifeline else not before_pvserver
        if not possible or time.monotonic() - self.ended_at > _LATE_REPORT:
            raise SessionError("the client ended before it was connected", "its last output:\n" + self._last_output(client),
                               "check paraview_start_client: {0!r}".format(record.settings["start_client"]))

    def _start(self, record, client, by="script"):
        connect_id = self.session.connect_id()
        own_command = record.settings["start_client"]
        program = installed.to_start(record)
        command = getattr(self, "_by_" + by)(record, client, connect_id, program) if program else own_command
        environment = pvserver.client_environment(record.url, record.client_port, connect_id)
        return self.session.update(client_by=by if program else "command", **client.start(command, environment, self.log, self.file_name))

    def _by_script(self, record, client, connect_id, program):
        """list[str]: the command of ParaView, with a script that connects it without a prompt."""
        text = start_script.text(record.url, connect_id)
        return pvserver.script_command(client.keep(self.session.script_path, self.file_name, text), program)

    def _by_entry(self, record, client, connect_id, program):
        """list[str]: the command of ParaView, with an entry for this session. Its name is unique, since ParaView would prefer an entry of the user
        with the same name."""
        name = "{0} (session {1})".format(self.name, record.id)
        text = servers_file.Configuration(b"", "").put(name, connect_entry.ready_entry(name, record.url, connect_id))
        return pvserver.client_command(client.keep(self.session.entry_path, self.file_name, text.decode("ascii")), name, program)

    @property
    def file_name(self):
        """str: the session's name as a file name."""
        return os.path.basename(self.session.directory)

    def _advice(self, record):
        remote_client_host = record.remote_client_host
        path = remote_client_host["connect_id_path"] if remote_client_host else self.session.connect_id_path
        reference = ' --connect-id="$(cat {0})"'.format(shlex.quote(path)) if self.session.connect_id() else ""
        place = "on {0}, ".format(remote_client_host["name"]) if remote_client_host else ""
        return "{2}{3} --server-url={0}{1}".format(record.url, reference, place, installed.shown(record))
