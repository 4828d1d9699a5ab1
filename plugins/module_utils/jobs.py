# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of a batch system: submit, ask, wait, cancel, over any ``run(argv) -> (code, out, err)``."""

import os
import shlex
import time

from . import schedulers
from .errors import SessionError
from .text import one_line, tail


def over(script, prelude="", kept="", seconds=30):
    """A ``run(argv)`` for Jobs.

    Args:
        script (callable): ``script(text, seconds) -> (code, out, err)`` where the batch system's commands are.
        prelude (str): shell lines that make them found.
        seconds (int): how long a command may take.
        kept (str): a file there that keeps what a command prints, so that a job id survives whoever asked for it.
    Returns:
        callable
    """
    def run(argv):
        command = " ".join(shlex.quote(word) for word in argv)
        if kept:
            command = "(umask 077; : > {0})\n{1} > {0}; code=$?; cat {0}; exit $code".format(shlex.quote(kept), command)
            # A job inherits what it is submitted with, a language too.
            return script("{0}\n{1}".format(prelude, command), seconds)
        return script("{0}\nLC_ALL=C; export LC_ALL\n{1}".format(prelude, command), seconds)

    return run


class Jobs:
    """The jobs of one batch system, asked one at a time.

    Args:
        run (callable): takes argv (list) and returns exit code, stdout and stderr.
        about (dict): the system's table.
    """

    def __init__(self, run, about):
        self.run = run
        self.about = about

    def submit(self, script):
        """Hands in a job script.

        Args:
            script (str): its path where the command runs.
        Returns:
            str: the job id.
        Raises:
            SessionError: refused, with the system's own words.
        """
        argv = schedulers.fill(self.about["submit"]["argv"], script=script)
        code, out, err = self.run(argv)
        job_id = schedulers.read_job_id(self.about, out) if code == 0 else None
        if job_id is None:
            raise SessionError("{0} refused the job".format(self.about["title"]), one_line(err or out) or "exit code {0}".format(code),
                               "change what the message names (paraview_queue, paraview_account, paraview_walltime, paraview_nodes, ...)")
        return job_id

    def ask(self, job_id):
        """schedulers.JobState, or None where the job is no longer known."""
        return schedulers.read_job(self.about, *self.run(schedulers.fill(self.about["ask"]["argv"], job_id=job_id)))

    def cancel(self, job_id):
        """Cancels a job; one that is over is no error.

        Returns:
            str: empty, or what the batch system objected.
        """
        code, out, err = self.run(schedulers.fill(self.about["cancel"]["argv"], job_id=job_id))
        return "" if code == 0 else one_line(err or out)

    def cancel_and_wait(self, job_id, seconds=30.0, pause=time.sleep):
        """Cancels a job and waits until the queue has let it go.

        Returns:
            str: empty, or why it is still there.
        """
        objection = self.cancel(job_id)
        deadline = time.monotonic() + seconds
        while True:
            state = self.ask(job_id)
            if state is None or (state.state in ("ended", "failed", "cancelled")):
                return ""
            if time.monotonic() > deadline:
                return objection or "job {0} is still {1}".format(job_id, state.native or state.reason)
            pause(0.2)


def poll_pause(waited):
    """Seconds until a batch system is asked again: 1 s at first, 10 s after two minutes, 60 s after half an hour.

    Args:
        waited (float): seconds since the job was submitted.
    """
    if waited < 120:
        pause = 1 + 9 * waited / 120
    else:
        pause = min(60.0, 10 + 50 * (waited - 120) / 1680)
    # Jitter; the random module would stay in the watcher's memory.
    return pause * (0.9 + 0.2 * os.urandom(1)[0] / 255)


def never_error(job_id, state):
    """SessionError for a job that the batch system will never start."""
    return SessionError("job {0} can never run".format(job_id), "{0}: {1}".format(state.reason, state.explanation),
                        "it was cancelled; change the variable named and connect again", hopeless=True)


def ended_error(job_id, state, why, log, cancelled=False):
    """SessionError for a job that ended when it should have run.

    Args:
        job_id (str): its id.
        state (JobState or None): what the batch system says now.
        why (str): what is known from the job itself; may be empty.
        log (str): the end of its log.
        cancelled (bool): the job was told to end.
    """
    reasons = [why]
    if state is not None and state.state in ("failed", "cancelled"):
        reasons.append(state.explanation or "{0} {1}".format(state.native, state.reason).strip())
    if state is not None and state.exit_status:
        reasons.append("exit status {0}".format(state.exit_status))
    shown = tail(log)
    text = "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "no reason is known"
    return SessionError("job {0} died".format(job_id), text + ("; the end of its log:\n" + shown if shown else "; its log is empty"),
                        "look at the log's words above; paraview_pvserver, paraview_modules and paraview_setup say what is run",
                        cancelled=cancelled or (state is not None and state.state == "cancelled"), hopeless=True)
