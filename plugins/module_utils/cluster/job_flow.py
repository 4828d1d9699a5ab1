# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of one job, in their order: submit, wait, start pvserver on its endpoints, wait for the client, end."""

import re
import shlex
import time
import typing as t

from ..common import durations
from ..common.errors import SessionError
from ..common.text import one_line, tail
from ..paraview import pvserver as paraview
from ..paraview import rendering
from ..schedulers import amounts, answers, directives, jobs
from ..ssh.channel import ChannelLost
from . import heartbeat, job_faults, job_scripts, status_file
from .job_directory import Directory
from .job_watch import JobWatch
from .login_node import Run
from .session_record import SessionRecord

# A busy batch system is slow, and a submission that was interrupted may have made a job all the same.
_SUBMIT_SECONDS = 180
# Each wait for the status file is short, so that the batch system and deadlines are checked in between.
_STRETCH = 1.0
# After so many seconds in the queue the status file is read less often, to spare the login node.
_SHORT_QUEUE = 20
# Seconds for which neither the job's files nor the batch system may be readable.
_PATIENCE = 600
# Seconds after which a job that is reported to run and has written nothing is shown, and those after which it is given up: the preparation of its nodes
# (prologue) may take minutes.
_SILENT = 15
_SILENT_TOO_LONG = 900
# From the go file to pvserver's first line: a file system, environment modules, MPI and a display may all be slow.
_START_SECONDS = 300
# Seconds within which a job must end once its file "stop" exists.
_ENDING_SECONDS = 20
# Seconds that a job may take to end by itself before it is cancelled: pvserver has three, and the job looks once a second.
_ENDING_SOON = 8
# Seconds that its batch system may take to release it then.
_RELEASE_SOON = 10
# The user's own job does not end with its step. A step that is killed notes no end, so this shell does.
_ATTACH = "(cd {0} || exit\n{1}\n{2} </dev/null >batch.log 2>&1; code=$?\ngrep -q ^ended status 2>/dev/null || echo ended $code attach >>status) &"

# The lines of _waiting().
_WAITS = re.compile(r"^job \S+ (?:pending\b|is in state )")


class JobFlow:
    """One job, from its submission to its end.

    Args:
        run: ``run(text, seconds) -> (code, out, err)`` on the login node.
        table: the batch system's table.
        prelude: shell lines that put the batch system's commands on the PATH.
        directory: the path of the job's files.
        poll_floor: the least seconds between two queries of the batch system that the site allows.
        show: shows the user a line.
        impatient: shows a line, from another thread, while the batch system does not answer.
        poll_interval: the user's own number of seconds between two queries; 0 for none.
    Attributes:
        watch: the state of the job; None before its submission.
        attached: the job is the user's own.
    """

    def __init__(self, run: Run, table: t.Dict[str, t.Any], prelude: str, directory: str, poll_floor: float = 0,
                 show: t.Callable[[str], t.Any] = lambda _line: None, impatient: bool = False, poll_interval: float = 0) -> None:
        self.poll_interval = poll_interval
        self.run, self.table, self.prelude, self.poll_floor, self.show = run, table, prelude, poll_floor, show
        self.directory = Directory(run, directory)
        self.slow = self._show_slow if impatient else None
        self.queue = jobs.Jobs(jobs.over(run, prelude, slow=self.slow), table)
        self.watch: t.Optional[JobWatch] = None
        self.attached = False
        #: The line that was shown last.
        self.shown = ""
        self._seen, self._changed_at = "", time.monotonic()

    @classmethod
    def of(cls, record: SessionRecord, run: Run, show: t.Callable[[str], t.Any] = lambda _line: None, while_running: float = 10,
           shared: t.Optional[t.Callable[[jobs.Jobs], t.Any]] = None, impatient: bool = False) -> "JobFlow":
        """The flow of the job that a session's record names.

        Args:
            record: the session's.
            run, show, impatient: as of the class.
            while_running: the least seconds between two queries of the batch system once the job runs.
            shared: returns the batch system as this session shares it with others, for its state while the flow follows the job.
        """
        flow = cls(run, answers.of(record), record.prelude, record.remote_directory, record.facts.get("site", {}).get("poll_floor_s", 0), show,
                   impatient, record.settings.get("poll_interval") or 0)
        flow.attached = bool(record.settings.get("job_id"))
        if record.job_id:
            flow.follow(record.job_id, record.submitted_at or time.time(), while_running, shared and shared(flow.queue))
        return flow

    @property
    def progress(self) -> status_file.Progress:
        """The contents of the job's status file."""
        return self.watch.progress

    def follow(self, job_id: str, submitted_at: float, while_running: float = 10, shared: t.Any = None) -> None:
        """Follows a job that was submitted at a time in seconds since 1970; the other arguments as of of()."""
        # A shared batch system itself keeps to the site's minimum, for all sessions together.
        polling = jobs.Polling(submitted_at, 0 if shared else self.poll_floor, self.poll_interval)
        polling.put_off(0.7)
        self.watch = JobWatch(job_id, shared or self.queue, self.directory, polling, while_running)

    # -- submit

    def submit(self, files: t.Dict[str, str], options: t.Dict[str, t.Any], while_running: float = 10) -> str:
        """Creates the job's files, and submits job.sh.

        Args:
            files: text by name.
            options: what is requested in them, as for directives.head().
            while_running: the least seconds between two queries of the batch system once the job runs.
        Returns:
            The job id.
        Raises:
            SessionError: the files cannot be created, or the batch system refuses the job.
        """
        self.directory.create(files)
        # A file keeps the job id, in case the connection is lost at this moment.
        # Where jobs do not see the home, some batch systems refuse a job that is submitted there.
        prelude = "{0}\ncd {1} || exit".format(self.prelude, shlex.quote(self.directory.path)) if self.directory.elsewhere else self.prelude
        kept = jobs.over(self.run, prelude, self.directory.path + "/submitted", _SUBMIT_SECONDS, self.slow)
        job_id = jobs.Jobs(kept, self.table).submit(self.directory.path + "/job.sh", directives.variables(options))
        self.follow(job_id, time.time(), while_running)
        return job_id

    def attach(self, job_id: str, node: str, files: t.Dict[str, str], hold: Run) -> None:
        """Creates the job's files, and starts job.sh inside a running job.

        Args:
            job_id: the job. node: its root node.
            files: text by name, from own_job.files().
            hold: runs lines in the connection's own shell, whose children end with the connection.
        """
        self.directory.create(files)
        command = " ".join(shlex.quote(word) for word in self.queue.attach(job_id, node, self.directory.path + "/attach.sh"))
        code, _out, err = hold(_ATTACH.format(shlex.quote(self.directory.path), self.prelude or ":", command), 15)
        if code != 0:
            raise SessionError("pvserver cannot be started in job {0}".format(job_id), one_line(err), "try it by hand: {0}".format(command))
        self.attached = True
        self.follow(job_id, time.time())

    # -- wait

    def events(self, deadline: t.Optional[float] = None) -> t.Iterator[None]:
        """Yields each time the job's state may have changed. It shows the user what the batch system reports.

        Args:
            deadline: on time.monotonic(); the iteration ends there.
        Raises:
            SessionError: the job died, was cancelled, or can never run.
        """
        self.step(0)
        while True:
            yield
            if deadline is not None and time.monotonic() >= deadline:
                return
            self.step(_STRETCH)

    def step(self, seconds: float) -> None:
        """Updates the state of the job, as events() does.

        Args:
            seconds: how long to wait for a change.
        Raises:
            SessionError: the job died, was cancelled, or can never run.
        """
        watch = self.watch
        waits_long = not watch.progress.host and time.time() - watch.polling.submitted_at > _SHORT_QUEUE
        pause = self._pause()
        # Each exchange starts processes, too.
        answered = watch.step(5 * seconds, 1) if waits_long else watch.step(seconds * max(1, min(3, int(10 * pause))), pause)
        if watch.unread_for > _PATIENCE:
            raise watch.unread
        if watch.vanished and not watch.progress.ended:
            raise self.died()
        self.end_with_job()
        waits = answered and watch.state and not watch.progress.host and not watch.progress.ended
        if waits and watch.state.never:
            raise jobs.never_error(watch.job_id, watch.state)
        if waits:
            self._check_silence()
        line = watch.no_answer() or (watch.contradiction() if watch.contradicted and not watch.is_new else "")
        if line:
            self._show_once(line + "; still waiting")
        elif waits and watch.silent_for < _SILENT:
            self._show_once(_waiting(watch.job_id, watch.state))

    def end_with_job(self) -> None:
        """Ends pvserver in the user's own job if the batch system has reported the end of that job twice: one answer may be wrong."""
        if self.attached and self.watch.over_reports > 1 and not self.watch.progress.ended:
            self.directory.put("stop", "")

    def _check_silence(self) -> None:
        """Shows that a job which is reported to run has written nothing; SessionError if it cannot, or if that lasts too long."""
        watch = self.watch
        where = " ".join(watch.state.nodes[:1]) or "its node"
        if watch.state.exit_status == job_faults.CANNOT_WRITE:
            raise self.died()
        if watch.silent_for >= _SILENT_TOO_LONG:
            raise job_faults.silent(watch.job_id, where, self.directory.path, watch.silent_for, self.directory.log())
        if watch.silent_for >= _SILENT:
            self._show_once("{0} reports that job {1} runs on {2}, but the job has written nothing to {3} yet: {2} may still be prepared; if it has no such "
                            "directory, set paraview_remote_dir; still waiting".format(self.table["title"], watch.job_id, where, self.directory.path))

    def _pause(self) -> float:
        """Seconds between two reads of the status file: the longer it has not changed, the more. Each read starts a process on the login node."""
        if self.watch.text != self._seen:
            self._seen, self._changed_at = self.watch.text, time.monotonic()
        quiet = time.monotonic() - self._changed_at
        return round(min(0.5, max(0.1, quiet / 10)), 2)

    def _show_slow(self) -> None:
        self.show("{0} has not answered for {1} s; still waiting".format(self.table["title"], jobs.SLOW))

    def _show_once(self, line: str) -> None:
        if line and line != self.shown:
            self.shown = line
            self.show(line)

    def died(self, otherwise: str = "") -> SessionError:
        """The SessionError for a job that ended too early, with the end of its log.

        Args:
            otherwise: the reason if neither the job nor its log names one.
        """
        ending, log = self.watch.wait_for_ending()
        state = self.queue.ask(self.watch.job_id)
        way_out = ending.way_out
        if not self.progress.host:
            error = job_faults.unwritable(self.watch.job_id, self.table, state, self.progress.ended, self.directory.path, log)
            if error:
                return error
            if not log.strip() and state.state != "cancelled" and not self.watch.waited:
                way_out = way_out or job_faults.may_be_unwritable(self.directory.path)
        why = ending.reason if ending.known or not otherwise else otherwise
        if self.attached:
            shown = "; the end of its log:\n" + tail(log) if tail(log) else "; its log is empty"
            return SessionError("pvserver in job {0} has ended".format(self.watch.job_id), why + shown,
                                ending.way_out or "read the log above; the job itself was not touched", cancelled=ending.state == "cancelled")
        return jobs.ended_error(self.watch.job_id, state, why, log, ending.state == "cancelled", ending.line, way_out)

    @property
    def nodes(self) -> t.List[str]:
        """The nodes of a job that runs, the root node first."""
        return self.progress.nodes or [self.progress.host]

    def wait_until_running(self, seconds: int, requested: int, at_most: t.Optional[float] = None) -> bool:
        """Waits until the job's script runs, and shows its nodes.

        Args:
            seconds: how long the job may wait in the queue, counted from its submission.
            requested: number of nodes that were requested; 0 if it is unknown.
            at_most: seconds after which this wait ends; None for no limit.
        Returns:
            False if the job still waits in the queue.
        Raises:
            SessionError: it did not start in time, died, or can never run.
        """
        return any(self.runs(seconds, requested) for _news in self.events(None if at_most is None else time.monotonic() + at_most))

    def runs(self, seconds: int, requested: int) -> bool:
        """Whether the job's script runs, as far as the last step has found; if so, shows its nodes. Arguments and errors as of wait_until_running()."""
        if self.progress.host:
            self.show("job {0} running on {1}".format(self.watch.job_id, " ".join(self.nodes)))
            if len(self.nodes) < requested and not self.attached:
                self.show("that is fewer than the {0} that were requested".format(count(requested, "node")))
            return True
        if self.progress.ended:
            raise self.died("it could not be started in the job")
        if self.attached and time.time() - self.watch.polling.submitted_at > min(seconds, _START_SECONDS):
            raise SessionError("the session's script does not start in job {0}".format(self.watch.job_id), one_line(self.directory.log()) or "its log is empty",
                               "log in on the job's first node by hand, from the login node, and see what is missing")
        state = self.watch.state
        # A job that is reported to run is being prepared; _check_silence() limits that.
        runs = state is not None and state.state == "running" and not state.explanation
        if time.time() - self.watch.polling.submitted_at > seconds and not runs:
            sentence = " ({0})".format(state.explanation) if state and state.warning else ""
            raise SessionError("job {0} did not start within {1}".format(self.watch.job_id, durations.in_words(seconds)),
                               "it was {0}: {1}{2}".format(state.state if state else "pending", (state and (state.reason or state.native)) or "no reason given",
                                                           sentence),
                               "it was cancelled; raise paraview_queue_timeout, ask for less, or use paraview_detach and connect again later",
                               cancelled=True, end_detached=True)
        return False

    def wait_until_prepared(self, pvserver: t.List[str]) -> None:
        """Waits until the job reports whether an agent can run on its node. The job does so before it waits for its go file.

        Args:
            pvserver: the command that was requested.
        Raises:
            SessionError: the job failed before that, or did not report it in time.
        """
        for _news in self.events(time.monotonic() + _START_SECONDS):
            if self.progress.fault:
                raise job_faults.error(self.watch.job_id, self.progress.host, self.progress.fault, pvserver)
            if self.progress.lifeline is not None:
                return
            if self.progress.ended:
                raise self.died()
        raise SessionError("job {0} on {1} is not ready to start pvserver within {2}".format(
            self.watch.job_id, self.progress.host, durations.in_words(_START_SECONDS)), "", "check paraview_setup and paraview_modules")

    # -- start pvserver

    def start(self, endpoints: t.Callable[[], t.List[str]]) -> None:
        """Writes the go file, for which the job waits.

        Args:
            endpoints: opens or checks pvserver's endpoints at this moment, and returns pvserver's arguments.
        """
        self.directory.put("go", job_scripts.go_file(endpoints()))

    def wait_for_pvserver(self, route: t.Any, pvserver: t.List[str], check: t.Callable[[], t.Any] = lambda: None, lifeline: bool = False,
                          held: bool = False) -> paraview.Status:
        """Waits until pvserver accepts connections, is connected to its client, or is held by a relay on the way to the client.

        Args:
            route: of choice.ROUTES.
            pvserver: the command that was requested.
            check: is called each time the job's state may have changed.
            lifeline: an agent runs between pvserver and the route.
            held: a program at the end of the route holds pvserver's connection until the client listens.
        Raises:
            SessionError: it did not start.
        """
        for _news in self.events(time.monotonic() + _START_SECONDS):
            check()
            if self.progress.fault:
                raise job_faults.error(self.watch.job_id, self.progress.host, self.progress.fault, pvserver)
            status = paraview.Status.of(self.progress.output)
            job_faults.refuse_separate_servers(self.watch.job_id, status)
            if status.accepting:
                status.accepting = job_faults.reachable(status.accepting, self.progress, lifeline, pvserver)
            late = lifeline or held or route.client_may_be_late
            if status.connected or ((self.progress.agent or not lifeline) and (status.accepting if not route.reverse else status.connecting and late)):
                self._show_display()
                return status
            if self.progress.ended:
                raise self.died()
        raise SessionError("pvserver on {0} did not start within {1}".format(self.progress.host, durations.in_words(_START_SECONDS)),
                           "its last output: {0}".format((self.progress.output or ["none"])[-1]), "check paraview_pvserver and paraview_setup")

    def _show_display(self) -> None:
        line = rendering.display_message(self.progress.host, self.progress.display)
        if line:
            self.show(line)

    def show_ranks(self, options: t.Dict[str, t.Any]) -> None:
        """Shows whether ranks of pvserver, which has started, are missing on nodes of the job.

        Args:
            options: of the session, as directives.granted() returns them.
        """
        line = job_faults.few_hosts(self.table, options, self.nodes, self.progress, self.attached)
        if line:
            self.show(line)
        if self.progress.unwatched:
            self.show("none of job {0}'s own processes on {1} is readable: pvserver has the environment of a login there".format(
                self.watch.job_id, self.progress.host))

    # -- the client

    def wait_for_client(self, seconds: t.Optional[float], check: t.Callable[[], t.Any] = lambda: None) -> bool:
        """Waits until a client is connected, or the job has ended.

        Args:
            seconds: how long; None for as long as the job runs.
            check: is called after each check that found neither.
        Returns:
            False if neither happened in time.
        Raises:
            SessionError: the job was killed.
        """
        for _news in self.events(None if seconds is None else time.monotonic() + seconds):
            job_faults.refuse_separate_servers(self.watch.job_id, paraview.Status.of(self.progress.output))
            if self.progress.connected or self.progress.ended:
                return True
            check()
        return False

    # -- the end

    def end(self, attached: bool = False) -> str:
        """Ends the job, and waits until the batch system has released it.

        Args:
            attached: the job is the user's own. Only the processes that were started in it end; the job continues.
        Returns:
            Empty, or why the job still exists.
        """
        # If connect was killed between the submission and its record, only the file on the cluster has the job id.
        job_id = self.watch.job_id if self.watch else answers.read_submission(self.table, self.directory.read("submitted"))
        if not job_id:
            return ""
        if attached:
            return self._end_step()
        if self.table.get("cancels_slowly") and self._end_by_itself() and not self.queue.wait_until_gone(job_id, seconds=_RELEASE_SOON):
            return ""
        return self.queue.cancel_and_wait(job_id) or self._end_unlisted(job_id)

    def _end_by_itself(self) -> bool:
        """Ends a job that runs by its file "stop", and returns whether it has noted its end."""
        text = self.directory.read("status")
        progress = status_file.Progress(text)
        if not progress.host:
            return False
        deadline = time.monotonic() + _ENDING_SOON
        try:
            if not progress.ended:
                self.directory.put("stop", "")
            while not status_file.Progress(text).ended:
                if time.monotonic() > deadline:
                    return False
                text = self.directory.status(text, 1)
        except ChannelLost:
            raise
        except SessionError:
            # The job is cancelled then. A directory may be full or read-only.
            return False
        return True

    def _end_step(self) -> str:
        text = self.directory.read("status")
        if not text or status_file.Progress(text).ended:
            return ""
        self.directory.put("stop", "")
        deadline = time.monotonic() + _ENDING_SECONDS
        while not status_file.Progress(text).ended:
            if time.monotonic() > deadline:
                # If it was killed, it has noted no end.
                return "pvserver in job {0} does not end".format(self.watch.job_id) if heartbeat.lives(self.directory) else ""
            text = self.directory.status(text, 2)
        return ""

    def _end_unlisted(self, job_id: str) -> str:
        """Ends a job by its file "stop" if the batch system does not list it any more and it still gives signs of life."""
        deadline = time.monotonic() + _ENDING_SECONDS
        while heartbeat.lives(self.directory):
            if time.monotonic() > deadline:
                return "{0} does not list job {1} any more, and the job gives signs of life".format(self.table["title"], job_id)
            self.directory.put("stop", "")
        return ""

    def released(self) -> bool:
        """Whether the batch system has let go of a job that has ended. Where it delivers the job's output at the end, it needs the job's files until then."""
        if not self.table.get("delivers_output"):
            return True
        state = self.queue.ask(self.watch.job_id)
        return answers.has_left(self.table, state)

    def wait_until_released(self, seconds: float) -> bool:
        """Waits until the batch system has released a job that ends by itself. Returns False if the seconds are over before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if answers.has_left(self.table, self.queue.ask(self.watch.job_id)):
                return True
            time.sleep(max(1, self.poll_floor))
        return False


def submitted(job_id: str, options: t.Dict[str, t.Any]) -> str:
    """The line for a job that was submitted with these options, as directives.granted() returns them. What is unknown is left out."""
    nodes, tasks = options["nodes"], amounts.tasks(options)
    known = [count(nodes, "node") if nodes else "", count(tasks, "task") if tasks else "",
             durations.clock(options["walltime"]) if options["walltime"] else ""]
    shown = ", ".join(amount for amount in known if amount)
    return "job {0} submitted{1}{2}".format(job_id, " to " + options["queue"] if options["queue"] else "", shown and ": " + shown)


def count(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return "{0} {1}{2}".format(number, noun, "" if number == 1 else "s")


def clock_time(text: str) -> str:
    """``14:32`` of an ISO 8601 time, with its date if that is not today."""
    date, _t, clock = text.partition("T")
    return clock[:5] if date == time.strftime("%Y-%m-%d") else "{0} {1}".format(date, clock[:5])


def is_waiting(line: str) -> bool:
    """Whether a line that a job flow shows reports a job that still waits, so that a later line replaces it."""
    return bool(_WAITS.match(line))


def _waiting(job_id: str, state: answers.JobState) -> str:
    """One line on what the batch system reports of a waiting job; empty if the job runs or is over."""
    if state.gone or state.state in answers.OVER or (state.state == "running" and not state.explanation):
        return ""
    line = "job {0} {1}".format(job_id, state.state if state.state in ("pending", "running") else "is in state " + state.native)
    for part in (one_line(state.reason, 120) if state.state != "running" else "",
                 "expected {0}".format(clock_time(state.expected_start)) if state.expected_start else ""):
        line += ", " + part if part else ""
    if state.explanation and state.reason not in ("Resources", "Priority"):
        line += " ({0}{1})".format("warning: " if state.warning else "", state.explanation)
    return line
