# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that drives a session: it takes the steps of a connect, one after the other, and writes the event log.

The daemon starts it, and again whenever there is something to do. It ends when the session is handed over to the daemon, when the job has to wait in the queue,
or when a step fails.
"""

import json
import os
import shlex
import sys
import time
import typing as t

from ..common import durations, processes
from ..common.errors import SessionError
from ..routes.unavailable import RouteUnavailable
from ..ssh.channel import Channel
from ..ssh.client import Target
from ..ssh.master import ForwardRefused
from ..ssh.prompts import Asker
from .login import Login, OtherLoginNode
from .record import Session
from .steps.base import Step
from .steps.client_host_login import ClientHostLogin
from .steps.client_start import ClientStart
from .steps.gathering import Gathering
from .steps.pvserver_start import PvserverStart
from .steps.route_choice import RouteChoice
from .steps.route_opening import RouteOpening
from .steps.submission import Submission

# After so many seconds in the queue, the daemon waits in place of this process, which takes more memory.
_SHORT_QUEUE = 15
# Seconds between two questions for an answer of the user.
_POLL_SECONDS = 0.05
S = t.TypeVar("S", bound=Step)


class EventAsker(Asker):
    """Prompts the user through the event log: a program that follows it shows the prompt, and sends the answer to the daemon.

    Args:
        session: the session.
        channel: to its daemon.
    """

    def __init__(self, session: Session, channel: Channel) -> None:
        self.session, self.channel = session, channel

    def ask(self, text: str, private: bool) -> t.Optional[bytes]:
        number = os.urandom(8).hex()
        self.session.events.append("prompt", id=number, text=text, private=private)
        while True:
            answer = self.channel.request("take_answer", id=number)
            if answer.get("cancelled"):
                raise SessionError("the login on {0} was cancelled".format(self.session.name), "its prompt was not answered", "connect again", cancelled=True)
            if "text" in answer:
                return None if answer["text"] is None else answer["text"].encode("utf-8", "surrogateescape")
            time.sleep(_POLL_SECONDS)

    def show(self, text: str) -> None:
        self.session.events.append("line", text=text)


class Driver:
    """Drives one session.

    Args:
        session: the session.
        given: logins (by login_node and client_host, target and password of each; empty if a connection is expected).
    """

    def __init__(self, session: Session, given: t.Dict[str, t.Any]) -> None:
        self.session, self.given = session, given
        self.channel = Channel(session.read().socket, session.name)

    def show(self, line: str) -> None:
        """Shows the user a line."""
        self.session.events.append("line", text=line)

    def _step(self, kind: t.Type[S]) -> S:
        return kind(self.session, self.channel, self.show)

    def drive(self) -> t.Dict[str, t.Any]:
        """Takes the steps.

        Returns:
            The outcome: ``waiting`` (in the queue), ``ready`` or ``ended``, each with the line for the user; or ``checked`` with the difference.
        """
        gathering = self._step(Gathering)
        try:
            gathering.begin()
            self._log_in()
            gathering.run()
        finally:
            gathering.end()
        self._step(RouteChoice).run()
        submission = self._step(Submission)
        record = self.session.read()
        if record.check:
            self.show("would {0} now".format("start pvserver in job " + record.settings["job_id"] if record.settings["job_id"] else "submit the job"))
            return {"outcome": "checked", "diff": submission.diff()}
        submission.run()
        self.session.events.append("submitted")
        if not self.session.read().root_node:
            start = self._step(PvserverStart)
            record = self.session.read()
            flow = start.flow(record)
            if not flow.wait_until_running(record.settings["queue_timeout"], start.granted(record)["nodes"], at_most=_SHORT_QUEUE):
                return {"outcome": "waiting"}
            start.job_runs(flow)
        return self._start()

    def _log_in(self) -> None:
        logins = self.given["logins"]
        if not logins:
            return
        login = Login(self.session, EventAsker(self.session, self.channel))
        if not self.channel.request("connected")["connected"]:
            login.to_login_node(Target(**logins["login_node"]["target"]), logins["login_node"]["password"])
        step = self._step(ClientHostLogin)
        if step.needed:
            step.run(login, Target(**logins["client_host"]["target"]), logins["client_host"]["password"])

    def _start(self) -> t.Dict[str, t.Any]:
        client = self._step(ClientStart)
        self._step(RouteOpening).close_of_earlier_pvserver()
        self._step(PvserverStart).decide_proxy()
        self._step(RouteChoice).confirm()
        client.wait_until_it_listens()
        self._step(PvserverStart).run()
        self._step(RouteOpening).run()
        state = client.connect()
        record = self.session.read()
        took = durations.in_words(time.time() - record.created)
        self.session.update(state=state, was_connected=state != "ready", reason=record.waits_because if state == "ready" else "")
        if state == "ended":
            return {"outcome": "ended", "text": "the client connected and ended after {0}; nothing is left on either side".format(took)}
        place, command = client.command(record)
        connected = state == "connected"
        # A job of the user's own may have no limit.
        at = " at " + time.strftime("%H:%M", time.localtime(record.ends_at)) if record.ends_at else ""
        end = "Ends with the job{0}, or by".format(at)
        disconnect = "ansible-playbook sciviz.paraview.disconnect -e host={0}".format(shlex.quote(self.session.name))
        text = "ready after {0}: {1}. {2}: {3}".format(took, "ParaView is connected" if connected else place + command, end, disconnect)
        advice = [["ready after {0}{1}. {2}".format(took, ": ParaView is connected" if connected else "", end), disconnect]]
        if not connected:
            advice.append(["start ParaView {0}with".format(place.replace(",", "")), command])
        return {"outcome": "ready", "text": text, "advice": advice}


def main() -> None:
    """Reads what is given from standard input, drives the session, and prints the outcome as one line of JSON."""
    # If this process is terminated, the steps still write their forwards to the record.
    processes.exit_on_sigterm()
    given = json.load(sys.stdin)
    sys.path.extend(given.get("libraries", ()))
    os.environ.clear()
    os.environ.update(given["environment"])
    try:
        os.chdir(given["working_directory"])
    except OSError:
        pass  # It was removed, or is on a file system that is not mounted any more.
    session = Session(given["base"], given["name"], directory=given["directory"], only=given["session"])
    try:
        outcome = Driver(session, given).drive()
    except SessionError as error:
        outcome = {"outcome": "failed", "error": error.__dict__, "other_login_node": isinstance(error, OtherLoginNode)}
    except (RouteUnavailable, ForwardRefused) as error:
        outcome = {"outcome": "failed", "error": SessionError("the session of {0} failed".format(session.name), str(error), "connect again").__dict__}
    sys.stdout.write(json.dumps(outcome))
