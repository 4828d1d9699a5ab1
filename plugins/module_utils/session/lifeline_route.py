# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The route of a session with a lifeline: it connects agent and stub instead of pvserver and ParaView."""

import json
import shlex
import sys
import time
import typing as t

from ..client import local
from ..cluster import job_directory, teardown
from ..cluster.facts import client_address_of, facts_of
from ..cluster.session_record import SessionRecord
from ..common import processes
from ..common.errors import SessionError
from ..common.text import number, one_line
from ..routes.base import Route
from ..routes.context import port_taken
from ..routes.unavailable import RouteUnavailable
from ..schedulers import adaptation, answers
from ..ssh.channel import Channel
from ..ssh.master import ForwardRefused
from . import lifeline
from . import route as routing
from .record import Session
from .recovery import OTHER_LOGIN_NODE
from .site_yaml import load

# The line comes up immediately or never, but a network file system may show files of the job's directory late.
_SECONDS = 30.0
# The process that serves this connection on the login node: sshd's process for it, else the shell. After a loss it would hold its ports for hours.
_SERVER_SCRIPT = """for paraview_pid in {pid}; do
printf '%s %s %s\\n' "$(hostname)" "$paraview_pid" "$(sed 's/.*) //' "/proc/$paraview_pid/stat" 2>/dev/null | cut -d' ' -f20)"
done
"""
_END_SCRIPT = """[ "$(hostname)" = {host} ] && [ "$(sed 's/.*) //' /proc/{pid}/stat 2>/dev/null | cut -d' ' -f20)" = {start} ] && kill {pid}
:
"""


def begin(session: Session, record: SessionRecord, route: Route, side: t.Any) -> SessionRecord:
    """Starts the stub and returns the record. On a reverse route the stub is the endpoint of the route.

    Args:
        session: the session that the stub belongs to.
        record: the session's.
        route: of choice.ROUTES.
        side: where ParaView runs: host.LocalClientHost or RemoteClientHost.
    Raises:
        SessionError: the stub does not start.
    """
    teardown.end_stub(record)
    stub = lifeline.Stub(session)
    stub.forget_status()
    if record.has_pvserver_id or record.proxy:
        stub.keep_connect_ids(route.reverse)
    port = _client_port(record, side)
    with processes.unterminated():
        process = local.start(stub.command(route, side, port, record), {}, stub.log_path, "/")
        # The record names the stub before it listens, so that the stub is ended whatever happens next.
        record = session.update(stub=process)
    found = stub.listens(process)
    if not found:
        processes.end(process)
        raise SessionError("paraview-lifeline does not start on this machine", one_line(stub.last_words(), 300) or "it printed nothing",
                           "choose another {0}{1}".format("paraview_reconnect_port" if route.reverse else "paraview_client_port",
                                                          ", or set paraview_reconnect to false" if record.lifeline else ""))
    if not route.reverse:
        record = session.update(client_port=port or int(found.rpartition(":")[2]))
        forward_from_client(session, record, side)
    return record


def _client_port(record: SessionRecord, side: t.Any) -> int:
    """ParaView's port; with 0 the stub chooses one."""
    return record.client_port or record.settings["client_port"] or (side.free_port() if side.name else 0)


def forward_from_client(session: Session, record: SessionRecord, side: t.Any) -> None:
    """Forwards ParaView's port on another host to the stub; on this host they need no forward.

    Args:
        session: the session that the stub belongs to.
        record: the session's.
        side: where ParaView runs: host.LocalClientHost or RemoteClientHost.
    Raises:
        SessionError: the port cannot be forwarded.
    """
    # A new login there replaces remote_client_host, so "forwarded" is missing again.
    remote_client_host, port = record.remote_client_host, record.client_port
    if not side.name or remote_client_host.get("forwarded") == port:
        return
    owner = side.owner(port)
    if owner is not None:
        raise port_taken(port, owner, side)
    side.forward(port)
    session.update(remote_client_host=dict(remote_client_host, forwarded=port))


def set_up(route: Route, record: SessionRecord, directory: job_directory.Directory) -> None:
    """Opens the endpoint that the agent connects to, and writes its address for the agent; raises RouteUnavailable. If the agent listens, nothing is done yet.

    Args:
        route: the session's.
        record: the session's.
        directory: the job's.
    """
    if not route.reverse:
        return
    route.before_start(record.root_node)
    if route.client_may_be_late:
        # Agent and stub authenticate each other, and a proxy checks pvserver's connect-id, so the relay need not wait.
        route.let_through(record.root_node)
    if record.lifeline:
        directory.put("line", "{0}:{1}\n".format(route.address, route.port))


def connect_stub(route: Route, record: SessionRecord, stub: lifeline.Stub) -> None:
    """Connects the stub to the agent, or to pvserver; raises RouteUnavailable. If these connect to the stub, nothing is left to do.

    Args:
        route: the session's.
        record: the session's.
        stub: the session's.
    """
    if not route.reverse:
        accepting = (record.root_node, record.agent[1]) if record.lifeline else tuple(record.accepting)
        port = route.after_start(accepting, record.root_node)
        host = route.saved.get("host")
        stub.connect_to("{0}:{1}".format(host, port) if host else route.context.client.target(port))


def await_line(stub: lifeline.Stub, record: SessionRecord) -> None:
    """Waits until agent and stub are connected; SessionError if that takes too long."""
    deadline = time.monotonic() + _SECONDS
    while True:
        status = stub.status()
        if status.get("state") == "connected" or (status.get("state") == "ended" and stub.done):
            return
        if not processes.alive(record.stub) or time.monotonic() > deadline:
            raise SessionError("no connection between this machine and {0}".format(record.root_node),
                               one_line(status.get("reason") or stub.last_words(), 300) or "no answer",
                               "if a firewall or proxy between them changes or delays data, ask the site; or set paraview_reconnect to false")
        time.sleep(0.05)


def server_of(record: SessionRecord, channel: Channel) -> t.Optional[t.List[str]]:
    """The process that serves the connection on the login node: host, pid and start time; None if that is unknown.

    Args:
        record: the session's.
        channel: the connection.
    """
    # If the control master is the user's own, sshd's process serves other sessions too. Then it is the shell.
    fields = channel.hold(_SERVER_SCRIPT.format(pid="$$" if record.users_own_master else "$PPID"), 15)[1].split()
    return fields if len(fields) == 3 and None not in [number(field) for field in fields[1:]] else None


def _end_server(record: SessionRecord, channel: Channel) -> None:
    """Ends the process that served the lost connection."""
    if record.server:
        host, pid, start = record.server
        channel.script(_END_SCRIPT.format(host=shlex.quote(host), pid=int(pid), start=shlex.quote(start)), 15)


def restore(session: Session, record: SessionRecord, channel: Channel) -> None:
    """Sets up the route again, after the connection was lost or the stub ended.

    Args:
        session: the session whose route is restored.
        record: its record.
        channel: to the login node.
    Raises:
        SessionError, RouteUnavailable: with the reason.
    """
    record, ended = check_login_node(session, record, channel), not processes.alive(record.stub)
    server = server_of(record, channel)
    same_connection = server is not None and server == record.server
    if not same_connection:
        _end_server(record, channel)
        # The old port is not used again: a listener of the lost connection may still hold it.
        record = session.update(server=server, forwards=[], route_state=dict(record.route_state, port=None))
    stub, directory = lifeline.Stub(session), job_directory.Directory(channel.script, record.remote_directory)
    if ended and record.was_connected and not stub.done:
        # The data that the stub held for ParaView is lost. Without this file the agent would wait for the whole paraview_reconnect_timeout.
        directory.put("lost", "")
        raise SessionError("the session on {0} cannot continue".format(record.root_node),
                           "the data held for ParaView is lost, for example because its host restarted",
                           "its job ends now; connect again")
    route = routing.load(record, channel, session)
    if ended:
        record = begin(session, record, route, routing.client_of(record, channel))
        if same_connection:
            return
    elif same_connection:
        route.remove()
    try:
        set_up(route, record, directory)
        connect_stub(route, record, stub)
    finally:
        session.update(**route.kept())


def check_login_node(session: Session, record: SessionRecord, channel: Channel) -> SessionRecord:
    """Updates the record: the login node or this machine's address may have changed. Arguments as of restore()."""
    login_node, _newline, connection = channel.script('hostname; echo "$SSH_CONNECTION"')[1].partition("\n")
    if login_node.strip() == record.login_node:
        return session.update(facts=dict(record.facts, client_address=client_address_of(connection) or record.facts.get("client_address", "")))
    if answers.of(record).get("on_login_node"):
        raise OtherLoginNode("pvserver runs on {0}, and {1} answered".format(record.login_node, one_line(login_node, 100)))
    facts = facts_of(session.name, channel.script, adaptation.tables(record.settings), lambda _line: None, load)
    facts["remote_dir"] = record.facts.get("remote_dir", "")
    return session.update(facts=facts, login_node=facts["login_node"])


class OtherLoginNode(Exception):
    """Another login node answered than the one on which pvserver runs."""


def main() -> None:
    """Reads the session's name and directory from standard input, and restores its route; if that fails, prints why."""
    # If this takes too long and is terminated, restore() still writes its forwards to the record.
    processes.exit_on_sigterm()
    given = json.load(sys.stdin)
    sys.path.extend(given.get("libraries", ()))
    session = Session(given["base"], given["name"], directory=given["directory"], only=given["session"])
    try:
        record = session.read()
        if record:
            restore(session, record, Channel(record.socket, session.name))
    except OtherLoginNode as error:
        sys.stdout.write(str(error))
        raise SystemExit(OTHER_LOGIN_NODE)
    except (SessionError, RouteUnavailable, ForwardRefused) as error:
        sys.stdout.write(" ".join(str(error).split()))
        raise SystemExit(1)
