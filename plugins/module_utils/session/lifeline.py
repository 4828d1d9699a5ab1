# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's lifeline: what a job and a client host need for it, and the stub next to ParaView.

The program is paraview-lifeline of the role connect, which describes how it transfers the bytes.
"""

import contextlib
import os
import sys
import time
import typing as t

from ..cluster.session_record import SessionRecord
from ..cluster.status_file import Progress
from ..common import listeners, ownership, processes, programs
from ..common.files import write_private
from ..config import route_names
from ..paraview import pvserver, wrappers
from . import stub_report
from .record import Session

if t.TYPE_CHECKING:
    # An import at run time would stay in the daemon's memory.
    from ..routes.base import Route

_PROGRAM = ("connect", "paraview-lifeline")
# Seconds that pvserver and the steps before it may take.
_START_SECONDS = 600


def files(key: str) -> t.Dict[str, str]:
    """The files that an agent needs in the job's directory.

    Args:
        key: from new_key().
    """
    return {"paraview-lifeline": programs.text(*_PROGRAM), "key": key + "\n"}


def new_key() -> str:
    """A fresh key of 256 bits, in hexadecimal."""
    return os.urandom(32).hex()


def why_not(options: t.Dict[str, t.Any], route: str) -> str:
    """Why a session cannot reconnect, as far as that is clear before the job runs; empty if it can.

    Args:
        options: from settings.check(), or from directives.granted(), in which 0 nodes is an unknown number.
        route: its name.
    """
    if takes_paraviews_port(options, route):
        return one_port_left(options)
    if options["job_id"]:
        return "processes started in job {0} end with the connection".format(options["job_id"])
    if options["mpi_launcher"] and options["nodes"] != 1 and route_names.is_reverse(route):
        # pvserver would connect to the loopback of a node on which another user may listen.
        return "the node on which your paraview_mpi_launcher starts the connecting process is unknown"
    if any(argument.startswith("--multi-clients") for argument in options["pvserver"]):
        return "pvserver serves several clients"
    return ""


def takes_paraviews_port(options: t.Dict[str, t.Any], route: str) -> bool:
    """Whether a stub would need the port that the network leaves open for ParaView. Arguments as of why_not()."""
    return bool(route_names.ALL[route].exposed and options["client_port"] and not options.get("reconnect_port"))


def one_port_left(options: t.Dict[str, t.Any]) -> str:
    """Why a stub has no port if takes_paraviews_port(); options are from settings.check()."""
    return "a firewall may leave only port {0} open, and ParaView uses it (set paraview_reconnect_port to another port)".format(options["client_port"])


def needs_proxy(record: SessionRecord) -> bool:
    """Whether a session that does not reconnect has a proxy: its connect-id is that of ParaView's dialog, or its job is kept."""
    needed = (record.has_pvserver_id and from_dialog(record)) or (record.has_connect_id and record.settings.get("keep"))
    return bool(needed) and not takes_paraviews_port(record.settings, record.route or "")


def from_dialog(record: SessionRecord) -> bool:
    """Whether a ParaView that runs already requests the session."""
    return bool(record.settings.get("client_version") or record.settings.get("client_process"))


def without(why: str) -> str:
    """The line for a session that cannot reconnect.

    Args:
        why: from why_not() or why_not_in_job().
    """
    return "no reconnection, since {0}: the session ends with its connection".format(why)


def line_port(options: t.Dict[str, t.Any], route: str) -> int:
    """The port on which the stub listens on a reverse route; it is free now.

    Args:
        options: from settings.check().
        route: its name.
    """
    return (options.get("reconnect_port") if route_names.ALL[route].exposed else 0) or listeners.free_port()


def why_not_in_job(progress: Progress, command: t.Sequence[str] = ()) -> str:
    """Why a job can have no lifeline, as far as its status file reports; empty if it can.

    Args:
        progress: read after the job has reported whether it can run an agent.
        command: of pvserver, and of its MPI launcher.
    """
    if not progress.lifeline:
        # The agent runs outside of the container: what ends with the container cannot outlive a lost connection.
        return "{0} has no Python 3.6 or newer{1}".format(progress.host, " outside of the container" if wrappers.contains(command) else "")
    if progress.nodes and progress.nodes[0].partition(".")[0] != progress.host.partition(".")[0]:
        return "the job's script runs on {0}, and pvserver on {1}".format(progress.host, progress.nodes[0])
    return ""


def pvserver_arguments(route: "Route", connect_id: int) -> t.List[str]:
    """Lines of the go file if an agent is between pvserver and the route.

    Args:
        route: of choice.ROUTES.
        connect_id: 0 for none.
    """
    if route.reverse:
        return ["@make", "--reverse-connection", "--client-host=127.0.0.1", "--server-port=@agent"] + pvserver.with_id([], connect_id)
    take_line = "@take {0} {1}".format(route.line_address, route.context.options["server_ports"] or 0)
    return [take_line] + pvserver.forward_arguments(0, connect_id) + [pvserver.where_known("--bind-address=127.0.0.1")]


def _place(end: str) -> str:
    """An end of a forward, ADDRESS:PORT or a path, in the program's notation."""
    return "unix:" + end if end.startswith("/") else end


class Stub:
    """The program next to ParaView. Its files are in the session's directory.

    Args:
        session: the session that the stub belongs to.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.line_path, self.client_path, self.status_path, self.log_path = (
            os.path.join(session.directory, name) for name in ("line", "client", stub_report.NAME, "stub.log"))

    def command(self, route: "Route", side: t.Any, port: int, record: SessionRecord) -> t.List[str]:
        """The command that starts the stub, or a proxy if the session does not reconnect.

        Args:
            route: of choice.ROUTES.
            side: where ParaView runs: host.LocalClientHost or RemoteClientHost.
            port: ParaView's port there; with 0 the stub chooses one.
            record: the session's.
        """
        options = record.settings
        # A stub that no session refers to any more ends when its job would stop waiting.
        patience = options["keep_timeout"] if record.restarts else options["client_timeout"]
        common = ["--status", self.status_path, "--wait", str(patience + _START_SECONDS)]
        common += ["--connect-ids", self.session.ids_path] * (record.has_pvserver_id or record.proxy)
        if record.lifeline:
            words = ["stub", "--key", self.session.key_path, "--outage", str(options["reconnect_timeout"])] + common
        else:
            words = ["proxy"] + common
        command = [sys.executable, "-I", "-S", programs.path(*_PROGRAM)] + words
        if route.reverse:
            line = "0.0.0.0:{0}".format(route.saved["client_port"]) if route_names.ALL[route.name].exposed else _place(route.target)
            return command + ["--line-listen" if record.lifeline else "--listen", line, "--to", "@" + self.client_path]
        return command + ["--line-to" if record.lifeline else "--to", "@" + self.line_path, "--listen", _place(side.entrance(port))]

    @property
    def done(self) -> bool:
        """Whether the last stub ended regularly: then the agent waits for no other."""
        status = self.status()
        return status.get("state") == "ended" and not status.get("reason", "").startswith("refused")

    def status(self) -> t.Dict[str, t.Any]:
        """What the stub reports about itself; empty if there is no report."""
        return stub_report.read(self.status_path)

    def forget_status(self) -> None:
        """Removes the report of an earlier stub, and the file that named ParaView's port to it."""
        for path in (self.status_path, self.client_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def listens(self, process: t.List[t.Any], seconds: float = 15.0) -> str:
        """Waits until a new stub listens, and returns its endpoint; empty if it does not listen in time.

        Args:
            process: its processes.identity().
            seconds: the time limit.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            place = self.status().get("listening") or self.status().get("line")
            if place:
                return place
            if not processes.alive(process):
                break
            time.sleep(0.02)
        return ""

    def connect_to(self, end: str) -> None:
        """Sets where the stub connects to for the line: ADDRESS:PORT, or the path of a socket."""
        write_private(self.line_path, _place(end) + "\n")

    def connect_at_once(self) -> None:
        """Ends the pause before the stub's next attempt to connect, since the way to the other end is open again."""
        with contextlib.suppress(OSError), open(self.line_path, encoding="ascii") as stream:
            write_private(self.line_path, stream.read())

    def forward_to_client(self, side: t.Any, port: int) -> None:
        """Sets ParaView's port. Call this only once ParaView expects the connection: before that, ssh would accept a connection to another host although
        no process listens there, and ParaView on this host would accept one before it has the session's connect-id.

        Args:
            side: where ParaView runs: host.LocalClientHost or RemoteClientHost.
            port: its port there.
        """
        write_private(self.client_path, _place(side.target(port)) + "\n")

    def keep_connect_ids(self, reverse: bool) -> None:
        """Writes the connect-ids that the stub replaces: the one that the connecting side sends, and the one that the accepting side expects."""
        ids = self.session.connect_id(), self.session.pvserver_id()
        write_private(self.session.ids_path, "{0} {1}\n".format(*(ids[::-1] if reverse else ids)))

    def keep_key(self, key: str) -> None:
        """Writes the session's key to its file."""
        write_private(self.session.key_path, key + "\n")

    def last_words(self) -> str:
        """The end of its log."""
        try:
            with os.fdopen(ownership.open_own(self.log_path), "rb") as stream:
                return stream.read()[-400:].decode("utf-8", "replace")
        except OSError:
            return ""
