# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's lifeline: what a job and a client host need for it, and the stub beside ParaView.

The program is paraview-lifeline of the role connect; what it does with the bytes stands there.
"""

import contextlib
import json
import os
import sys
import time
import typing as t

from ..cluster.job_scripts import Progress
from ..common import listeners, processes, programs
from ..common.files import write_private
from ..config import route_names
from ..paraview import pvserver
from .record import Session

if t.TYPE_CHECKING:
    # It would stay in the daemon's memory.
    from ..routes.base import Route

_PROGRAM = ("connect", "paraview-lifeline")
# Seconds that pvserver and what comes before it may take.
_LATE = 600


def files(key: str) -> t.Dict[str, str]:
    """What an agent needs in the job's directory.

    Args:
        key: as new_key() makes it.
    """
    return {"paraview-lifeline": programs.text(*_PROGRAM), "key": key + "\n"}


def new_key() -> str:
    """A fresh key of 256 bits, in hexadecimal."""
    return os.urandom(32).hex()


def why_not(options: t.Dict[str, t.Any], route: str) -> str:
    """Why a session that is to reconnect cannot, before its job is seen; empty for no reason.

    Args:
        options: as settings.check() gives them.
        route: its name.
    """
    if route_names.ALL[route].exposed and options["client_port"] and not options.get("reconnect_port"):
        return "the network may leave port {0} alone open, which is ParaView's (paraview_reconnect_port names another one)".format(options["client_port"])
    if options["job_id"]:
        return "what is started in job {0} ends with the connection".format(options["job_id"])
    if options["mpi_launcher"] and options["nodes"] > 1 and route_names.is_reverse(route):
        # pvserver would call the loopback of a node on which somebody else may listen.
        return "nobody knows on which node your paraview_mpi_launcher starts the process that calls"
    if any(word.startswith("--multi-clients") for word in options["pvserver"]):
        return "pvserver serves several clients"
    return ""


def line_port(options: t.Dict[str, t.Any], route: str) -> int:
    """Where the stub is to listen on a reverse route, free at this moment.

    Args:
        options: as settings.check() gives them.
        route: its name.
    """
    return (options.get("reconnect_port") if route_names.ALL[route].exposed else 0) or listeners.free_port()


def why_not_in_job(progress: Progress) -> str:
    """Why a job can have none, as far as it has told; empty for no reason.

    Args:
        progress: after it has said whether an agent can be there.
    """
    if not progress.lifeline:
        return "{0} has no Python 3.6 or newer".format(progress.host)
    if progress.nodes and progress.nodes[0].partition(".")[0] != progress.host.partition(".")[0]:
        return "the job's script runs on {0}, and pvserver on {1}".format(progress.host, progress.nodes[0])
    return ""


def pvserver_arguments(route: "Route", connect_id: int) -> t.List[str]:
    """Lines of the go file, where an agent stands between pvserver and the route.

    Args:
        route: of choice.ROUTES.
        connect_id: 0 for none.
    """
    if route.reverse:
        return ["@make", "--reverse-connection", "--client-host=127.0.0.1", "--server-port=@agent"] + pvserver.with_id([], connect_id)
    taken = "@take {0} {1}".format(route.line_address, route.context.options["server_ports"] or 0)
    return [taken] + pvserver.forward_arguments(0, connect_id) + [pvserver.where_known("--bind-address=127.0.0.1")]


def _place(end: str) -> str:
    """An end of a forward, ADDRESS:PORT or a path, as the program wants it."""
    return "unix:" + end if end.startswith("/") else end


class Stub:
    """The end beside ParaView. Its files lie in the session's directory.

    Args:
        session: whose stub it is.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.line_path, self.client_path, self.status_path, self.log_path = (
            os.path.join(session.directory, name) for name in ("line", "client", "stub.json", "stub.log"))

    def command(self, route: "Route", side: t.Any, port: int, options: t.Dict[str, t.Any]) -> t.List[str]:
        """How it is started.

        Args:
            route: of choice.ROUTES.
            side: where ParaView runs: host.Here or There.
            port: ParaView's port there; 0 for any one that the stub takes.
            options: the session's: outage and idle, in seconds.
        """
        words = [sys.executable, "-I", "-S", programs.path(*_PROGRAM), "stub", "--key", self.session.key_path, "--status", self.status_path]
        # One that nobody knows of any more ends with the job's own patience.
        words += ["--wait", str(options["client_timeout"] + _LATE), "--outage", str(options["reconnect_timeout"])]
        if route.reverse:
            line = "0.0.0.0:{0}".format(route.saved["client_port"]) if route_names.ALL[route.name].exposed else _place(route.target)
            return words + ["--line-listen", line, "--to", "@" + self.client_path]
        return words + ["--line-to", "@" + self.line_path, "--listen", _place(side.entrance(port))]

    @property
    def done(self) -> bool:
        """Whether the last one came to its end as it should: it need not be missed by the agent."""
        told = self.status()
        return told.get("state") == "ended" and not told.get("reason", "").startswith("refused")

    def status(self) -> t.Dict[str, t.Any]:
        """What it reports about itself; empty where there is none."""
        try:
            with open(self.status_path, encoding="utf-8") as stream:
                told = json.load(stream)
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def forget_status(self) -> None:
        """Takes away what an earlier one told, and what it was told of ParaView."""
        for path in (self.status_path, self.client_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def listens(self, process: t.List[t.Any], seconds: float = 15.0) -> str:
        """Where one that was just started listens; empty if it does not come to it.

        Args:
            process: its processes.identity().
            seconds: how long that may take.
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
        """Tells it where the line leads now: to ADDRESS:PORT, or the path of a socket."""
        write_private(self.line_path, _place(end) + "\n")

    def forward_to_client(self, side: t.Any, port: int) -> None:
        """Names ParaView's port, once ParaView expects a call there: ssh takes one to another host before anybody listens, and ParaView on this host before
        it knows the session's connect-id.

        Args:
            side: where ParaView runs: host.Here or There.
            port: its port there.
        """
        write_private(self.client_path, _place(side.target(port)) + "\n")

    def keep_key(self, key: str) -> None:
        """Writes the session's key down."""
        write_private(self.session.key_path, key + "\n")

    def last_words(self) -> str:
        """The end of its log."""
        try:
            with open(self.log_path, "rb") as stream:
                return stream.read()[-400:].decode("utf-8", "replace")
        except OSError:
            return ""
