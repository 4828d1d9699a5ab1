# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that waits for ParaView or starts it."""

import os
import shlex
import time
import typing as t

from ...client import start_script
from ...client.host import LocalClientHost, RemoteClientHost
from ...cluster import endings
from ...cluster.job_flow import JobFlow
from ...cluster.session_record import SessionRecord
from ...common import durations, processes
from ...common.errors import SessionError
from ...common.text import tail
from ...config import route_names
from ...dialog import connect_entry
from ...paraview import installed, pvserver, servers_file
from ...routes import choice
from ...routes.base import Route
from ...routes.context import port_taken
from ...routes.unavailable import RouteUnavailable
from ...ssh.channel import Channel
from .. import keeping, lifeline
from .. import record as sessions
from .. import route as routing
from ..record import Session
from .base import Step

# A ParaView client ends the attempt at a forward connection after 60 s.
_CONNECT_SECONDS = 75
# Seconds between two reads of the client's output.
_READ_EVERY = 1
# Seconds by which the job's report may be late after a client has connected and ended.
_LATE_REPORT = 10
# Seconds between two checks of the job while no client listens.
_CHECK_JOB_EVERY = 2

ClientHost = t.Union[LocalClientHost, RemoteClientHost]


class ClientStart(Step):
    """ParaView, which the session waits for or starts."""

    def __init__(self, session: Session, channel: Channel, show: t.Callable[[str], t.Any]) -> None:
        super().__init__(session, channel, show)
        self.log, self.ended_at, self.read_at = os.path.join(session.directory, "client.log"), 0.0, 0.0

    def wait_until_it_listens(self) -> None:
        """On a reverse route ParaView has to listen before pvserver may start; raises SessionError if it does not in time."""
        record = self.record
        if not route_names.is_reverse(record.route) or record.was_connected:
            return
        if not record.go_file_written and (record.has_stub or routing.load(record, self.channel).client_may_be_late):
            return
        self._wait_until_it_listens(record)

    def _wait_until_it_listens(self, record: SessionRecord) -> None:
        client, port = routing.client_of(record, self.channel), record.client_port
        if self._ready(record, client) or self._reached_stub(record):
            return
        if record.settings["start_client"] and not record.restarts:
            if not self._listens(client, port):
                record = self._start(record, client)
        else:
            self.session.update(reason="waiting for a client")
            sessions.write_report(self.session.base, record.settings["json"], [self.session.report()])
            self.show("start the client now, pvserver waits for it: {0}".format(self.advice(record)))
        flow = self.flow(record)
        deadline = time.monotonic() + record.settings["client_timeout"]
        next_check = time.monotonic() + _CHECK_JOB_EVERY
        while not self._ready(record, client):
            record = self._check_client(record, client, before_pvserver=True)
            if time.monotonic() > deadline:
                raise SessionError("no client listened on port {0} within {1}".format(port, durations.in_words(record.settings["client_timeout"])), "",
                                   "set paraview_start_client, or start the client sooner: {0}".format(self.advice(record)))
            if time.monotonic() > next_check:
                next_check = time.monotonic() + _CHECK_JOB_EVERY
                self._check_job(flow)
            time.sleep(client.pause)

    @staticmethod
    def _check_job(flow: JobFlow) -> None:
        """SessionError if the job is over."""
        flow.watch.step()
        if flow.watch.vanished:
            raise flow.died()
        if flow.watch.over:
            ending = flow.watch.wait_for_ending()[0]
            raise SessionError("job {0} ended before a client listened".format(flow.watch.job_id), ending.reason, ending.way_out or "connect again")

    def _ready(self, record: SessionRecord, client: ClientHost) -> bool:
        """Whether ParaView accepts pvserver. If a script connects it, the script reports that: before this report ParaView may listen already, but would
        refuse pvserver, since it has no connect-id yet."""
        if not self._listens(client, record.client_port):
            return False
        return record.client_by != "script" or start_script.state(client.last_words(self.log, self.file_name))[0] in ("listening", "connected")

    @staticmethod
    def _listens(client: ClientHost, port: int) -> bool:
        owner = client.owner(port)
        if owner not in (None, -1, client.uid):
            raise port_taken(port, owner, client)
        return owner is not None

    def _reached_stub(self, record: SessionRecord) -> bool:
        """Whether ParaView is, or was, connected to the stub."""
        return record.has_stub and lifeline.Stub(self.session).status().get("paraview") in ("connected", "closed")

    def connect(self) -> str:
        """The route is open: starts ParaView if that was requested, and waits until it is connected where the route needs that.

        Returns:
            ready, connected, or ended if it has left again.
        Raises:
            SessionError: it did not connect, or its job ended for another reason.
        """
        record = self.record
        flow = self.flow(record)
        flow.watch.step()
        route, client = routing.load(record, self.channel), routing.client_of(record, self.channel)
        if route.reverse and record.restarts and record.has_stub and not client.name:
            # The stub waits until ParaView listens, and checks whose port it is.
            lifeline.Stub(self.session).forward_to_client(client, record.client_port)
        elif route.reverse and not record.was_connected:
            self._let_through(record, route, client, flow)
        elif record.settings["start_client"] and not (record.restarts or record.client or record.remote_client):
            record = self._start(record, client)
            self._wait_connected(record, flow, client)
        if flow.progress.ended:
            self._check_ending(record, flow)
        return "ended" if flow.progress.ended else "connected" if flow.progress.connected or record.was_connected else "ready"

    @staticmethod
    def _check_ending(record: SessionRecord, flow: JobFlow) -> None:
        """SessionError if the job ended for another reason than the end of its client."""
        ending, log = flow.watch.wait_for_ending()
        if ending.reason != endings.CLIENT_LEFT:
            when = "while the client was connected" if flow.progress.connected else "before the client connected"
            raise SessionError("job {0} ended {1}".format(record.job_id, when), ending.reason + "; the end of its log:\n" + (tail(log) or "    (none)"),
                               ending.way_out or "check the log above, and connect again", end_detached=True)

    def _let_through(self, record: SessionRecord, route: Route, client: ClientHost, flow: JobFlow) -> None:
        """A relay or a stub holds pvserver back until the client listens."""
        self._wait_until_it_listens(record)
        record = self.record
        try:
            if record.has_stub:
                lifeline.Stub(self.session).forward_to_client(client, record.client_port)
            else:
                route.let_through(record.root_node)
        except RouteUnavailable as unavailable:
            raise choice.none_works([(route.name, str(unavailable))], route.name)
        self._wait_connected(record, flow, client)
        self.show(routing.connected_line(record, route))

    def _wait_connected(self, record: SessionRecord, flow: JobFlow, client: ClientHost) -> None:
        """Waits until the client is connected; it may even have ended by then."""
        # A client that connect has started may start slowly, or show its user a welcome window first.
        seconds = record.settings["client_timeout"] if record.client or record.remote_client else _CONNECT_SECONDS
        if not flow.wait_for_client(seconds, lambda: self._check_client(self.record, client, before_pvserver=False)):
            raise SessionError("the client did not connect within {0}".format(durations.in_words(seconds)),
                               "its last output:\n" + self._last_output(client), "check paraview_start_client")
        if not flow.progress.connected:
            raise SessionError("job {0} ended before the client connected".format(record.job_id), endings.sentence(flow.watch.wait_for_ending()[0]),
                               "the client's last output:\n" + self._last_output(client))

    def _last_output(self, client: ClientHost) -> str:
        return tail(client.last_words(self.log, self.file_name)) or "    (none)"

    def _check_client(self, record: SessionRecord, client: ClientHost, before_pvserver: bool) -> SessionRecord:
        """The record, after a check of the client that was started; SessionError if that has ended or failed to connect."""
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

    def _check_ended_client(self, record: SessionRecord, client: ClientHost, before_pvserver: bool) -> None:
        """SessionError if a client that has ended cannot have been connected."""
        self.ended_at = self.ended_at or time.monotonic()
        possible = self._reached_stub(record) if record.has_stub else not before_pvserver
        if not possible or time.monotonic() - self.ended_at > _LATE_REPORT:
            raise SessionError("the client ended before it was connected", "its last output:\n" + self._last_output(client),
                               "check paraview_start_client: {0!r}".format(record.settings["start_client"]))

    def _start(self, record: SessionRecord, client: ClientHost, by: str = "script") -> SessionRecord:
        connect_id = self.session.connect_id()
        own_command = record.settings["start_client"]
        program = installed.to_start(record)
        command = getattr(self, "_by_" + by)(record, client, connect_id, program) if program else own_command
        if record.settings.get("keep") == "crash":
            command = keeping.with_status(command)
        environment = pvserver.client_environment(record.url, record.client_port, connect_id)
        with processes.unterminated():
            return self.session.update(client_by=by if program else "command", **client.start(command, environment, self.log, self.file_name))

    def _by_script(self, record: SessionRecord, client: ClientHost, connect_id: int, program: t.Any) -> t.List[str]:
        """The command of ParaView, with a script that connects it without a prompt."""
        text = start_script.text(record.url, connect_id)
        return pvserver.script_command(client.keep(self.session.script_path, self.file_name, text), program)

    def _by_entry(self, record: SessionRecord, client: ClientHost, connect_id: int, program: t.Any) -> t.List[str]:
        """The command of ParaView, with an entry for this session. Its name is unique, since ParaView would prefer an entry of the user with the same name."""
        name = "{0} (session {1})".format(self.session.name, record.id)
        text = servers_file.Configuration(b"", "").put(name, connect_entry.ready_entry(name, record.url, connect_id))
        return pvserver.client_command(client.keep(self.session.entry_path, self.file_name, text.decode("ascii")), name, program)

    @property
    def file_name(self) -> str:
        """The session's name as a file name."""
        return os.path.basename(self.session.directory)

    def advice(self, record: SessionRecord) -> str:
        """What the user runs to connect ParaView."""
        return "".join(self.command(record))

    def command(self, record: SessionRecord) -> t.Tuple[str, str]:
        """Where the user starts ParaView (empty for this machine, else with a comma and a blank behind it), and the command that connects it."""
        remote_client_host = record.remote_client_host
        path = remote_client_host["connect_id_path"] if remote_client_host else self.session.connect_id_path
        reference = ' --connect-id="$(cat {0})"'.format(shlex.quote(path)) if self.session.connect_id() else ""
        place = "on {0}, ".format(remote_client_host["name"]) if remote_client_host else ""
        return place, "{2} --server-url={0}{1}".format(record.url, reference, installed.shown(record))
