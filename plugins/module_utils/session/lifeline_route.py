# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What carries a session's lifeline: its route, between agent and stub instead of pvserver and ParaView."""

import json
import shlex
import signal
import sys
import time
import typing as t

from ..client import local
from ..cluster import job_directory, teardown
from ..cluster.facts import client_address_of, facts_of
from ..cluster.session_record import SessionRecord
from ..common import processes
from ..common.errors import SessionError
from ..common.text import one_line
from ..routes.base import Route
from ..routes.context import port_taken
from ..routes.unavailable import RouteUnavailable
from ..schedulers import answers, validation
from ..ssh.channel import Channel
from ..ssh.master import ForwardRefused
from . import lifeline
from . import route as routing
from .record import Session
from .recovery import ELSEWHERE

# The line is there at once, or not at all; a job's directory may be shown late on the other side.
_SECONDS = 30.0
# Who serves this connection on the login node: sshd's process for it, else the shell. One that was lost would hold its ports for hours.
_WHO = """for paraview_pid in {asked}; do
printf '%s %s %s\\n' "$(hostname)" "$paraview_pid" "$(sed 's/.*) //' "/proc/$paraview_pid/stat" 2>/dev/null | cut -d' ' -f20)"
done
"""
_END = """[ "$(hostname)" = {host} ] && [ "$(sed 's/.*) //' /proc/{pid}/stat 2>/dev/null | cut -d' ' -f20)" = {start} ] && kill {pid}
:
"""


def begin(session: Session, record: SessionRecord, route: Route, side: t.Any) -> SessionRecord:
    """The record; starts the stub. On a reverse route it is where the route ends.

    Args:
        session: whose stub it is.
        record: its record.
        route: of choice.ROUTES.
        side: where ParaView runs: host.Here or There.
    Raises:
        SessionError: it does not come up.
    """
    teardown.end_stub(record)
    stub = lifeline.Stub(session)
    stub.forget_status()
    port = _client_port(record, side)
    process = local.start(stub.command(route, side, port, record.settings), {}, stub.log_path, "/")
    # Before it is waited for: whatever happens next, it is ended.
    record = session.update(stub=process)
    found = stub.listens(process)
    if not found:
        processes.end(process)
        raise SessionError("paraview-lifeline does not start on this machine", one_line(stub.last_words(), 300) or "it said nothing",
                           "choose another {0}, or set paraview_reconnect to false".format(
                               "paraview_reconnect_port" if route.reverse else "paraview_client_port"))
    if not route.reverse:
        record = session.update(client_port=port or int(found.rpartition(":")[2]))
        forward_from_client(session, record, side)
    return record


def _client_port(record: SessionRecord, side: t.Any) -> int:
    """ParaView's port; 0 for one that the stub takes."""
    return record.client_port or record.settings["client_port"] or (side.free_port() if side.name else 0)


def forward_from_client(session: Session, record: SessionRecord, side: t.Any) -> None:
    """Leads ParaView's port on another host to the stub; on this host they find each other.

    Args:
        session: whose stub it is.
        record: its record.
        side: where ParaView runs: host.Here or There.
    Raises:
        SessionError: that cannot be.
    """
    # A login there makes that anew.
    there, port = record.client_side, record.client_port
    if not side.name or there.get("forwarded") == port:
        return
    owner = side.owner(port)
    if owner is not None:
        raise port_taken(port, owner, side)
    side.forward(port)
    session.update(client_side=dict(there, forwarded=port))


def put_up(route: Route, record: SessionRecord, directory: job_directory.Directory) -> None:
    """Makes what the agent calls, and tells it; raises RouteUnavailable. A route that the agent waits at needs nothing yet.

    Args:
        route: the session's.
        record: the session's.
        directory: the job's.
    """
    if not route.reverse:
        return
    route.before_start(record.root_node)
    if route.client_may_be_late:
        # The line proves itself; nothing has to be held back.
        route.let_through(record.root_node)
    directory.put("line", "{0}:{1}\n".format(route.address, route.port))


def connect_stub(route: Route, record: SessionRecord, stub: lifeline.Stub) -> None:
    """Leads the stub to the agent; raises RouteUnavailable. One that the agent calls needs nothing more.

    Args:
        route: the session's.
        record: the session's.
        stub: the session's.
    """
    if not route.reverse:
        port = route.after_start((record.root_node, record.agent[1]), record.root_node)
        host = route.saved.get("host")
        stub.connect_to("{0}:{1}".format(host, port) if host else route.context.client.target(port))


def await_line(stub: lifeline.Stub, record: SessionRecord) -> None:
    """Waits until agent and stub have found each other; SessionError where they do not."""
    deadline = time.monotonic() + _SECONDS
    while True:
        told = stub.status()
        if told.get("state") == "connected" or (told.get("state") == "ended" and stub.done):
            return
        if not processes.alive(record.stub) or time.monotonic() > deadline:
            raise SessionError("no connection between this machine and {0}".format(record.root_node),
                               one_line(told.get("reason") or stub.last_words(), 300) or "no answer",
                               "if a firewall or proxy between them changes or delays data, ask the site; or set paraview_reconnect to false")
        time.sleep(0.05)


def server_of(record: SessionRecord, channel: Channel) -> t.Optional[t.List[str]]:
    """Who serves the connection on the login node; None where it does not tell.

    Args:
        record: the session's.
        channel: the connection.
    """
    # A connection of the user's own serves others, too.
    words = channel.hold(_WHO.format(asked="$$" if record.guest else "$PPID"), 15)[1].split()
    return words if len(words) == 3 and words[1].isdigit() and words[2].isdigit() else None


def _end_server(record: SessionRecord, channel: Channel) -> None:
    """Ends what served the connection that was lost."""
    if record.server:
        host, pid, start = record.server
        channel.script(_END.format(host=shlex.quote(host), pid=int(pid), start=shlex.quote(start)), 15)


def restore(session: Session, record: SessionRecord, channel: Channel) -> None:
    """Makes the way for the line anew, after the connection was lost or the stub came to its end.

    Args:
        session: whose way it is.
        record: its record.
        channel: to the login node.
    Raises:
        SessionError, RouteUnavailable: with the reason.
    """
    record, ended = look_around(session, record, channel), not processes.alive(record.stub)
    server = server_of(record, channel)
    same = server is not None and server == record.server
    if not same:
        _end_server(record, channel)
        # What listens there may be what is left of the lost connection.
        record = session.update(server=server, forwards=[], route_state=dict(record.route_state, port=None))
    stub, directory = lifeline.Stub(session), job_directory.Directory(channel.script, record.remote_directory)
    if ended and record.was_connected and not stub.done:
        # What it had for ParaView went with it; the agent would wait for it until the outage is over.
        directory.put("lost", "")
        raise SessionError("the session on {0} cannot go on".format(record.root_node), "what was kept beside ParaView is gone, as by a restart of its host",
                           "its job ends now; connect again")
    route = routing.load(record, channel, session)
    if ended:
        record = begin(session, record, route, routing.client_of(record, channel))
        if same:
            return
    elif same:
        route.remove()
    try:
        put_up(route, record, directory)
        connect_stub(route, record, stub)
    finally:
        session.update(**route.kept())


def look_around(session: Session, record: SessionRecord, channel: Channel) -> SessionRecord:
    """The record; it may be another login node by now, and this machine may have another address. Arguments as of restore()."""
    there, _newline, connection = channel.script('hostname; echo "$SSH_CONNECTION"')[1].partition("\n")
    if there.strip() == record.login_node:
        return session.update(facts=dict(record.facts, client_address=client_address_of(connection) or record.facts.get("client_address", "")))
    if answers.of(record).get("on_login_node"):
        raise Elsewhere("pvserver runs on {0}, and {1} answered".format(record.login_node, one_line(there, 100)))
    facts = facts_of(session.name, channel.script, validation.tables(record.settings["schedulers"]), lambda _line: None, _load)
    return session.update(facts=facts, login_node=facts["login_node"])


class Elsewhere(Exception):
    """Another login node answered than pvserver runs on."""


def _load(text: str) -> t.Any:
    try:
        import yaml
    except ImportError:
        raise ValueError("there is no PyYAML")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError("it is no YAML")


def _stop(_number: int, _frame: t.Any) -> t.NoReturn:
    raise SystemExit(1)


def main() -> None:
    """Reads from standard input which session is meant, and restores its way; says why not where it cannot."""
    # So that what was put up gets on record even where this takes too long.
    signal.signal(signal.SIGTERM, _stop)
    given = json.load(sys.stdin)
    sys.path.extend(given.get("libraries", ()))
    session = Session(given["base"], given["name"], directory=given["directory"], only=given["session"])
    try:
        record = session.read()
        if record:
            restore(session, record, Channel(record.socket, session.name))
    except Elsewhere as elsewhere:
        sys.stdout.write(str(elsewhere))
        raise SystemExit(ELSEWHERE)
    except (SessionError, RouteUnavailable, ForwardRefused) as error:
        sys.stdout.write(" ".join(str(error).split()))
        raise SystemExit(1)
