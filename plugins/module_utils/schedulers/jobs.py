# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of a batch system: submit, query, wait, cancel, over any ``run(argv) -> (code, out, err)``."""

import os
import re
import shlex
import time
import typing as t

from ..common import timers
from ..common.errors import SessionError
from ..common.text import last_lines, one_line, tail
from . import answers, own_script
from .tables.registry import Table

#: Seconds after which a batch system that does not answer is reported.
SLOW = 12
#: Runs a command, and returns its exit code, stdout and stderr.
Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


def over(script: t.Callable[[str, int], t.Tuple[int, str, str]], prelude: str = "", kept: str = "", seconds: int = 30,
         slow: t.Optional[t.Callable[[], t.Any]] = None) -> Run:
    """A ``run(argv)`` for Jobs.

    Args:
        script: ``script(text, seconds) -> (code, out, err)`` on the host that has the batch system's commands.
        prelude: shell lines that put them on the PATH.
        seconds: how long a command may take.
        slow: called in another thread if a command has not ended after SLOW seconds.
        kept: a file on that host for the output of a command, so that a job id survives the process that submitted the job.
    """
    def run(argv: t.List[str]) -> t.Tuple[int, str, str]:
        command = " ".join(shlex.quote(word) for word in argv)
        if kept:
            command = "(umask 077; : > {0})\n{1} > {0}; code=$?; cat {0}; exit $code".format(shlex.quote(kept), command)
            # A job inherits the environment of its submission, the locale included.
            return script("{0}\n{1}".format(prelude, command), seconds)
        return script("{0}\nLC_ALL=C; export LC_ALL\n{1}".format(prelude, command), seconds)

    def run_noisily(argv: t.List[str]) -> t.Tuple[int, str, str]:
        with timers.after(SLOW, t.cast(t.Callable[[], t.Any], slow)):
            return run(argv)

    return run_noisily if slow else run


class Jobs:
    """The jobs of one batch system, queried one at a time.

    Args:
        run: runs the system's commands.
        table: the system's table.
    """

    def __init__(self, run: Run, table: Table) -> None:
        self.run = run
        self.table = table

    def submit(self, script: str, requested: t.Sequence[str] = ()) -> str:
        """Submits a job script.

        Args:
            script: its path where the command runs.
            requested: the variables whose values are in it, for the message about a refusal.
        Returns:
            The job id.
        Raises:
            SessionError: the system refused it; the text has the system's own message.
        """
        code, out, err = self.run(answers.fill(self.table["submit"]["argv"], script=script))
        if code != 0 and "older" in self.table["submit"] and answers.no_such_option(err):
            code, out, err = self.run(answers.fill(self.table["submit"]["older"], script=script))
        pattern = self.table["submit"].get("refused")
        refused = code != 0 or bool(pattern and re.search(pattern, out + err))
        # Some wrappers print everything on stderr.
        job_id = None if refused else answers.read_submission(self.table, out) or answers.read_submission(self.table, err)
        if code in answers.TIME_LIMIT:
            raise SessionError("{0} does not answer".format(self.table["title"]), "it did not accept the job within the time limit",
                               "try again later; if it accepted the job all the same, the job ends as soon as it starts")
        said = refusal(out, err)
        if not job_id and not refused:
            raise SessionError("{0} refused the job, or printed its id in an unknown format".format(self.table["title"]), said or "exit code 0, and no output",
                               "change what the message names; or check whether it has the job all the same, and correct submit.job_id in paraview_schedulers")
        if not job_id:
            raise SessionError("{0} refused the job".format(self.table["title"]), said or "exit code {0}".format(code),
                               "change what the message names; the job requests {0}".format(", ".join(requested)) if requested else
                               "change what the message names (paraview_queue, paraview_account, paraview_walltime, paraview_nodes, ...)")
        return job_id

    def attach(self, job_id: str, node: str, script: str) -> t.List[str]:
        """The command that runs a script inside an existing job; it uses ssh if the batch system has no command for that."""
        # The shell of the login on the node reads the last word once more.
        argv = self.table.get("attach") or [
            "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "{node}",
            "exec " + " ".join(shlex.quote(word) for word in answers.fill(own_script.WORDS, script=script))]
        return answers.command(self.table if "attach" in self.table else {}, argv, job_id=job_id, node=node, script=script)

    def about(self, job_id: str) -> answers.JobState:
        """The state of a job with its owner and the time that it has left, for which the batch system may need a further question."""
        job = self.ask(job_id)
        question = self.table.get("details")
        if question and job.state == "running" and not (job.owner and job.time_left_s is not None):
            more = answers.read(self.table, question, job_id, *self.run(answers.command(self.table, question["argv"], job_id=job_id))).job
            job = job._replace(owner=job.owner or more.owner, time_left_s=more.time_left_s if job.time_left_s is None else job.time_left_s)
        return job

    def ask(self, job_id: str) -> answers.JobState:
        """The state of a job. The table's questions are asked in their order, each only if it is needed."""
        result = answer = None
        for question in self.table["ask"].values():
            if result is None or _needed(question.get("when", "first"), result, answer):
                answer = answers.read(self.table, question, job_id, *self.run(answers.command(self.table, question["argv"], job_id=job_id)))
                result = answer if result is None else _joined(result, answer, question.get("when"))
        return result.job

    def ask_together(self, job_ids: t.List[str]) -> t.Dict[str, answers.JobState]:
        """The states of several jobs by one question, if the batch system has a safe one for that. Jobs that it does not answer about are missing."""
        question = self.table.get("ask_together")
        # One question is about one cluster.
        clusters = [answers.number_and_cluster(self.table, job_id)[1] for job_id in job_ids]
        job_ids = [job_id for job_id, cluster in zip(job_ids, clusters) if cluster == clusters[0]]
        if not question or len(job_ids) < 2:
            return {}
        code, out, err = self.run(answers.command(self.table, question["argv"], job_ids=",".join(job_ids)))
        read = {job_id: answers.read(self.table, question, job_id, code, out, err) for job_id in job_ids} if code == 0 else {}
        return {job_id: answer.job for job_id, answer in read.items() if answer.kind == "state"}

    def cancel(self, job_id: str) -> str:
        """Cancels a job. If the job is already over, that is not an error.

        Returns:
            Empty, or the batch system's objection.
        """
        table = self.table["cancel"]
        objection = ""
        for argv in filter(None, (table["argv"], table.get("force"))):
            code, out, err = self.run(answers.command(self.table, argv, job_id=job_id))
            if code == 0 or (table.get("over") and re.search(table["over"], out + err)):
                return ""
            objection = objection or one_line(err + "\n" + out) or "exit code {0}".format(code)
            if code in answers.TIME_LIMIT:
                break
        return objection

    def cancel_and_wait(self, job_id: str, seconds: float = 30.0, pause: t.Callable[[float], t.Any] = time.sleep) -> str:
        """Cancels a job and waits until the queue has released it.

        Returns:
            Empty, or why the job still exists.
        """
        return self.wait_until_gone(job_id, self.cancel(job_id), seconds, pause)

    def wait_until_gone(self, job_id: str, objection: str = "", seconds: float = 30.0, pause: t.Callable[[float], t.Any] = time.sleep) -> str:
        """Waits until the queue has released a job that ends.

        Args:
            job_id: the job.
            objection: of the batch system to its cancellation.
            seconds: how long to wait.
            pause: waits for some seconds.
        Returns:
            Empty, or why the job still exists.
        """
        deadline = time.monotonic() + seconds
        while True:
            state = self.ask(job_id)
            leaving = answers.is_one_of(state.native, self.table.get("leaving", ()))
            if answers.has_left(self.table, state):
                return ""
            if time.monotonic() > deadline:
                if leaving and not objection and self.table.get("delivers_output"):
                    return "{0} has not released job {1} yet, and needs its files for that: it is in state {2}".format(
                        self.table["title"], job_id, state.native)
                # A lost node confirms nothing, but the batch system has accepted the cancellation.
                return "" if leaving and not objection else objection or "job {0} is still {1}".format(job_id, state.native or state.reason)
            pause(0.2)


def refusal(out: str, err: str) -> str:
    """What a submit command printed last, on either stream. A banner may come first; the cause is at the end."""
    return "; ".join(dict.fromkeys(text for text in (last_lines(out), last_lines(err)) if text))


def _needed(when: str, result: answers.Answer, answer: answers.Answer) -> bool:
    """Whether a further question has to be asked, given the result so far and the answer to the question before."""
    if when == "unexplained":
        return result.kind == "state" and result.job.state in ("pending", "failed") and not result.job.reason
    if when == "gone":
        return result.kind in ("gone", "over")
    return answer.kind == when


def _joined(result: answers.Answer, answer: answers.Answer, when: t.Optional[str]) -> answers.Answer:
    """The result so far and a further answer, combined."""
    if answer.kind == "state" and when == "unexplained":
        # The answers are from different moments: the state of the first counts.
        more = answer.job
        return result._replace(job=result.job._replace(
            reason=more.reason, explanation=more.explanation or result.job.explanation, never=more.never or result.job.never,
            warning=more.warning or result.job.warning))
    if answer.kind == "gone" and result.kind == "over":
        return result
    return answer if answer.kind in ("state", "over", "gone") else result


class Polling:
    """When to query a batch system about a job: often at first, then less and less often.

    Args:
        submitted_at: seconds since 1970.
        floor: the site's minimum of seconds between two queries.
        interval: the user's own number of seconds between two queries; the site's minimum counts if that is longer.
    """

    def __init__(self, submitted_at: float, floor: float = 0.0, interval: float = 0.0) -> None:
        self.submitted_at = submitted_at
        self.floor = max(floor, interval)
        self.interval = interval
        self._next, self._queried = 0.0, time.monotonic()

    def due(self) -> bool:
        """Whether to query now. If True, the caller has to query."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._queried = now
        self.put_off(self.interval or poll_pause(time.time() - self.submitted_at))
        return True

    def put_off(self, seconds: float) -> None:
        """Makes the next query wait at least this long from now, or the site's minimum if that is longer."""
        self._next = max(self._next, time.monotonic() + max(seconds, self.floor))

    def soon(self, seconds: float) -> None:
        """Sets the next query to this long from now, or the site's minimum if that is longer."""
        self._next = time.monotonic() + max(seconds, self.floor)

    def hurry(self, seconds: float) -> None:
        """Makes the next query come at most this long after the last one, or the site's minimum if that is longer."""
        self._next = min(self._next, self._queried + max(seconds, self.floor))


def poll_pause(waited: float) -> float:
    """Seconds until a batch system is queried again: 1 s at first, 10 s after two minutes, 60 s after half an hour.

    Args:
        waited: seconds since the job was submitted.
    """
    waited = max(0.0, waited)
    if waited < 120:
        pause = 1 + 9 * waited / 120
    else:
        pause = min(60.0, 10 + 50 * (waited - 120) / 1680)
    # Jitter; the random module would stay in the daemon's memory.
    return pause * (0.9 + 0.2 * os.urandom(1)[0] / 255)


def never_error(job_id: str, state: answers.JobState) -> SessionError:
    """SessionError for a job that the batch system will never start."""
    return SessionError("job {0} can never run".format(job_id), "{0}: {1}".format(state.reason, state.explanation),
                        "it was cancelled; change the variable named and connect again", end_detached=True)


def ended_error(job_id: str, state: answers.JobState, why: str, log: str, cancelled: bool = False, line: str = "", way_out: str = "") -> SessionError:
    """SessionError for a job that ended when it should have run.

    Args:
        job_id: its id.
        state: what the batch system reports now.
        why: the cause as the job itself reported it; may be empty.
        log: the end of its log.
        cancelled: somebody ended the job on purpose.
        line: the log's line that names the cause; it is shown even if it is not near the end.
        way_out: what to do about that cause.
    """
    reasons = [why]
    if state.state == "failed" or state.state == "cancelled" and not (why and cancelled):
        reasons.append(state.explanation or "{0} {1}".format(state.native, state.reason).strip())
    if state.exit_status:
        reasons.append("exit status {0}".format(state.exit_status))
    shown = tail(log)
    if line and tail(line) not in shown:
        shown = tail(line) + "\n    ...\n" + shown
    text = "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "no reason is known"
    # A job that never ran has no log.
    shown_log = "; the end of its log:\n" + shown if shown else "" if state.state == "cancelled" and not state.nodes else "; its log is empty"
    return SessionError("job {0} died".format(job_id), text + shown_log,
                        way_out or ("read the log above; paraview_pvserver, paraview_modules and paraview_setup determine what the job runs" if shown
                                    else "connect again, or ask your site about job {0}".format(job_id)),
                        cancelled=cancelled or state.state == "cancelled", end_detached=True)
