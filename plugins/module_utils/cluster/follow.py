# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following one job: what its own status file and the batch system tell, as they tell it."""

import time
import typing as t

from ..common import durations
from ..common.errors import SessionError
from ..common.text import one_line
from ..paraview import pvserver as paraview
from ..paraview import rendering
from ..schedulers import answers, jobs
from ..ssh.channel import ChannelLost
from . import endings
from .heartbeat import Heartbeat
from .job_directory import Directory
from .job_scripts import Progress

# The status file is asked for in stretches, so that the batch system and deadlines get their turn.
_STRETCH = 1.0
# Seconds for which the login node may be silent.
_PATIENCE = 600
# Seconds that a batch system may take to know a job that it has just accepted.
_NOT_YET_KNOWN = 20
# Seconds that a network file system may take to show what a job wrote before it ended.
_LATE = 5
# Seconds between two looks at a log whose last words may be late.
_LOOK_AGAIN = 0.5
# Seconds between two questions once the job runs, until pvserver has its say; and when its sign of life is missing.
_WHILE_IT_RUNS = 10
_WHEN_OVERDUE = 3
# Seconds in which nothing tells that a client has left, and those that pvserver's processes may take to go once it said so.
_LEFT_UNSAID = 3
_LEAVING = 20
# From the go file to pvserver's first word: a file system, environment modules, MPI and a display may all be slow.
_START_SECONDS = 300


class Follower:
    """A job, followed until something is so.

    Args:
        job_id: the job.
        queue: its batch system.
        directory: its files.
        polling: when the batch system is asked.
        show: takes a line for the user.
    Attributes:
        progress: what the job told last.
        state: what the batch system told last.
    """

    def __init__(self, job_id: str, queue: jobs.Jobs, directory: Directory, polling: jobs.Polling, show: t.Callable[[str], t.Any]) -> None:
        self.job_id = job_id
        self.queue = queue
        self.directory = directory
        self.submitted_at = polling.submitted_at
        self.show = show
        self.text = ""
        self.progress = Progress()
        self.heartbeat = Heartbeat()
        self.state: t.Optional[answers.JobState] = None
        self._shown: t.Optional[str] = None
        self._silent_since: t.Optional[float] = None
        self._over_since: t.Optional[float] = None
        self._polling = polling
        self._polling.put_off(0.7)

    def events(self, deadline: t.Optional[float] = None) -> t.Iterator[None]:
        """Yields each time there may be news, until the caller has what it waited for.

        Args:
            deadline: on time.monotonic(); past it nothing more is yielded.
        Raises:
            SessionError: the job died, was cancelled, or can never run.
        """
        self._look(0)
        while True:
            yield
            if deadline is not None and time.monotonic() >= deadline:
                return
            self._look(_STRETCH)
            if not self.progress.ended and self._polling.due():
                self._ask()

    def _look(self, seconds: float) -> None:
        # A login node is not to be kept busy for as long as a queue may take.
        patient = not self.progress.host and time.time() - self.submitted_at > 20
        try:
            text = self.directory.status(self.text, 5 * seconds if patient else seconds, 1 if patient else 0.1)
        except ChannelLost:
            raise
        except SessionError as error:
            self._bear(error)
            return
        self._silent_since = None
        self.heartbeat.update(self.directory.beat)
        if self.heartbeat.just_overdue:
            self._polling.hurry(_WHEN_OVERDUE)
        if text != self.text:
            self.text, self.progress = text, Progress(text)

    def _bear(self, error: SessionError) -> None:
        """A home that hangs, or a login node that does not answer for a while, says nothing about the job."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self._tell("no news of job {0}: {1}; waiting on".format(self.job_id, one_line(error.why, 120)))
        elif now - self._silent_since > _PATIENCE:
            raise error

    def _ask(self) -> None:
        try:
            self.state = state = self.queue.ask(self.job_id)
        except ChannelLost:
            raise
        except SessionError as error:
            self._bear(error)
            return
        if self.progress.host:
            self._polling.put_off(_WHILE_IT_RUNS)
        if state.gone and not self.heartbeat.overdue and time.time() - self.submitted_at < _NOT_YET_KNOWN:
            return
        if state.gone or state.state in answers.OVER:
            self._look(0)
            # Files that cannot be read neither contradict it nor bear it out.
            if not self.progress.ended and self._silent_since is None:
                self._silently_over(state)
        elif self.progress.host:
            self._over_since = None
        elif state.never:
            raise jobs.never_error(self.job_id, state)
        else:
            self._over_since = None
            self._show(state)

    def _silently_over(self, state: answers.JobState) -> None:
        """The batch system says that it is over, and its files do not: they may only be late."""
        if self.heartbeat.fresh:
            self._over_since = None
            self._tell("{0} does not list job {1} any more, and the job gives signs of life; waiting on".format(self.queue.table["title"], self.job_id))
            return
        now = time.monotonic()
        self._over_since = self._over_since or now
        if max(now - self._over_since, self.heartbeat.missed) >= _LATE or (state.state == "cancelled" and not state.nodes):
            raise self.died()
        self._polling.soon(1)

    def _show(self, state: answers.JobState) -> None:
        if state.state == "unknown" and not state.native:
            line = "{0} does not answer about job {1}{2}; waiting on".format(
                self.queue.table["title"], self.job_id, ": " + one_line(state.reason, 120) if state.reason else "")
        elif state.state == "running" and not state.explanation:
            return
        else:
            line = "job {0} {1}".format(self.job_id, state.state if state.state in ("pending", "running") else "is in state " + state.native)
            for part in (one_line(state.reason, 120) if state.state != "running" else "",
                         "expected {0}".format(clock_time(state.expected_start)) if state.expected_start else ""):
                line += ", " + part if part else ""
            if state.explanation and state.reason not in ("Resources", "Priority"):
                line += " ({0})".format(state.explanation)
        self._tell(line)

    def _tell(self, line: str) -> None:
        """Says what is new."""
        if line != self._shown:
            self._shown = line
            self.show(line)

    def died(self, otherwise: str = "") -> SessionError:
        """SessionError: the job is over when it should not be; the end of its log is in it.

        Args:
            otherwise: the reason where neither the job nor its log names one.
        """
        state = self.queue.ask(self.job_id)
        ending, log = self.ending()
        why = ending.reason if ending.known or not otherwise else otherwise
        return jobs.ended_error(self.job_id, state, why, log, ending.state == "cancelled", ending.line, ending.way_out)

    def ending(self) -> t.Tuple[endings.Ending, str]:
        """Why the job ended, and its log; whoever killed it may say so a little later."""
        # One that noted nothing has been waited for.
        deadline = time.monotonic() + (_LATE if self.progress.ended else 0)
        while True:
            log = self.directory.log()
            ending = endings.of(self.progress, log)
            if not ending.late or time.monotonic() >= deadline:
                return ending, log
            time.sleep(_LOOK_AGAIN)


def submitted(job_id: str, options: t.Dict[str, t.Any]) -> str:
    """The line for a job that was handed in with these options."""
    tasks = options["nodes"] * options["tasks_per_node"]
    return "job {0} submitted{1}: {2}, {3}, {4}".format(
        job_id, " to " + options["queue"] if options["queue"] else "", count(options["nodes"], "node"), count(tasks, "task"),
        durations.clock(options["walltime"]))


def count(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return "{0} {1}{2}".format(number, noun, "" if number == 1 else "s")


def until_running(follower: Follower, seconds: int, wanted: int) -> t.List[str]:
    """Waits until the job's script runs on its node, and says so.

    Args:
        follower: of the job.
        seconds: how long the queue may take, from the submission on.
        wanted: nodes that were asked for.
    Returns:
        Its nodes, the root node first.
    Raises:
        SessionError: it did not start in time, died, or can never run.
    """
    deadline = time.monotonic() + follower.submitted_at + seconds - time.time()
    for _news in follower.events(deadline):
        progress = follower.progress
        if progress.host:
            break
        if progress.ended:
            raise follower.died("it could not be started in the job")
    else:
        raise SessionError("job {0} did not start within {1}".format(follower.job_id, durations.spoken(seconds)),
                           "it was pending: {0}".format((follower.state and (follower.state.reason or follower.state.native)) or "no reason given"),
                           "it was cancelled; raise paraview_queue_timeout, ask for less, or use paraview_detach and connect again later", cancelled=True,
                           hopeless=True)
    nodes = progress.nodes or [progress.host]
    follower.show("job {0} running on {1}".format(follower.job_id, " ".join(nodes)))
    if len(nodes) < wanted:
        follower.show("that is fewer than the {0} that were asked for".format(count(wanted, "node")))
    return nodes


def until_lifeline_is_known(follower: Follower, pvserver: t.List[str]) -> None:
    """Waits until the job has told whether a lifeline's agent can be there, which it does before it waits for its go.

    Args:
        follower: of the job.
        pvserver: the command that was asked for.
    Raises:
        SessionError: what comes before that failed.
    """
    for _news in follower.events(time.monotonic() + _START_SECONDS):
        progress = follower.progress
        if progress.fault:
            raise fault_error(follower.job_id, progress.host, progress.fault, pvserver)
        if progress.lifeline is not None:
            return
        if progress.ended:
            raise follower.died()
    raise SessionError("job {0} on {1} does not come as far as pvserver within {2}".format(
        follower.job_id, follower.progress.host, durations.spoken(_START_SECONDS)), "", "look at paraview_setup and paraview_modules")


def until_pvserver_speaks(follower: Follower, route: t.Any, pvserver: t.List[str], look: t.Callable[[], t.Any] = lambda: None,
                          lifeline: bool = False) -> paraview.Status:
    """Waits until pvserver waits for its client, has found it, or is held by a relay on its way there.

    Args:
        follower: of the job.
        route: of choice.ROUTES.
        pvserver: the command that was asked for.
        look: is called each time there may be news.
        lifeline: an agent stands between pvserver and the route.
    Raises:
        SessionError: it did not come up.
    """
    for _news in follower.events(time.monotonic() + _START_SECONDS):
        look()
        progress = follower.progress
        if progress.fault:
            raise fault_error(follower.job_id, progress.host, progress.fault, pvserver)
        status = paraview.Status()
        for line in progress.said:
            status.read(line)
        if status.accepting:
            status.accepting = _reachable(status.accepting, progress, lifeline)
        late = lifeline or route.client_may_be_late
        if status.connected or ((progress.agent or not lifeline) and (status.accepting if not route.reverse else status.connecting and late)):
            display = rendering.told(progress.host, progress.display)
            if display:
                follower.show(display)
            return status
        if progress.ended:
            raise follower.died()
    raise SessionError("pvserver on {0} did not come up within {1}".format(follower.progress.host, durations.spoken(_START_SECONDS)),
                       "its last words: {0}".format((follower.progress.said or ["none"])[-1]), "look at paraview_pvserver and paraview_setup")


def _reachable(accepting: t.Tuple[str, int], progress: Progress, lifeline: bool) -> t.Tuple[str, int]:
    """Host and port of a pvserver that accepts connections; SessionError where nothing of ours can come to it.

    Since 6.1 pvserver names the address that it is bound to; a loopback, or any address at all, is that of the job's host.
    """
    host, port = accepting
    nameless = paraview.is_nameless(host)
    if progress.elsewhere and (lifeline or nameless):
        where = "nothing of yours listens on port {0} of {1}, where the job's script runs{2}".format(
            port, progress.host, "" if nameless else ": pvserver runs on {0}".format(host))
        if lifeline:
            raise SessionError("the reconnecting connection does not reach pvserver", where, "set paraview_reconnect to false for this host", hopeless=True)
        raise SessionError("pvserver is not on the job's first node", where,
                           "let the MPI launcher start rank 0 on the node where the job's script runs (paraview_mpi_launcher)", hopeless=True)
    return (progress.host, port) if nameless else accepting


def comes_to_its_end(directory: Directory) -> bool:
    """Whether a job whose client may just have left is over, or is so within some seconds.

    Args:
        directory: its files.
    """
    text, begun = directory.status("", 0), time.monotonic()
    while not Progress(text).ended:
        seconds = _LEAVING if Progress(text).leaving else _LEFT_UNSAID
        if not Progress(text).connected or time.monotonic() - begun >= seconds:
            return False
        text = directory.status(text, 1)
    return True


def clock_time(text: str) -> str:
    """``14:32`` of an ISO 8601 time, with its date where that is not today."""
    date, _t, clock = text.partition("T")
    return clock[:5] if date == time.strftime("%Y-%m-%d") else "{0} {1}".format(date, clock[:5])


def fault_error(job_id: str, host: str, fault: t.Tuple[str, str], pvserver: t.List[str]) -> SessionError:
    """SessionError for what kept a job from starting pvserver.

    Args:
        job_id: the job. host: its node.
        fault: as job_scripts.Progress has it.
        pvserver: the command that was asked for.
    """
    kind, thing = fault
    if kind == "missing":
        return SessionError("pvserver was not found on {0}: {1!r}".format(host, " ".join(pvserver)),
                            "{0} is not on the PATH of job {1}".format(one_line(thing), job_id),
                            "set paraview_modules or paraview_setup so that it is, or give its full path in paraview_pvserver", hopeless=True)
    if kind == "module":
        return SessionError("module {0} cannot be loaded on {1}".format(one_line(thing), host), "module load failed in job {0}".format(job_id),
                            "see what there is by: module avail paraview; then set paraview_modules", hopeless=True)
    if kind == "rendering":
        return rendering.error(job_id, host, thing)
    if kind == "agent":
        return SessionError("paraview-lifeline ended on {0}".format(host), one_line(thing) or "it said nothing",
                            "set paraview_reconnect to false for this host", hopeless=True)
    return SessionError("no port is free on {0}".format(host), "{0} is used up".format(one_line(thing)), "widen paraview_server_ports",
                        hopeless=True)
