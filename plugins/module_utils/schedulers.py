# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch systems as data: one table each, and the engine that reads them.

A table says how to submit, ask and cancel, how the answers are read, and what the native states mean. Sources: sbatch(1),
scontrol(1), scancel(1), Slurm's job reason codes, and recorded outputs.
"""

import collections
import itertools
import re

from .errors import SessionError
from .text import clean, one_line

STATES = ("pending", "running", "ended", "failed", "cancelled", "unknown")

JobState = collections.namedtuple(
    "JobState", "state native reason explanation never nodes root_node exit_status expected_start time_left_s")
JobState.__doc__ = """What a batch system says of one job.

state is one of STATES; native and reason are its own words, explanation is ours; never is true where the job can never
run; nodes (list) and root_node; exit_status (int or None); expected_start (ISO 8601 without zone, or None); time_left_s.
"""

# In a shell: "$1" is the script. The start time behind the process id keeps a number used again from being taken for the job.
_DETACH = ('setsid /bin/sh "$1" </dev/null >/dev/null 2>&1 & p=$!; '
           'set -- $(sed "s/.*) //" "/proc/$p/stat"); echo "$p.${20}"')
_ASK_PROCESS = ('p=${1%%.*}; [ -r "/proc/$p/stat" ] || { echo GONE; exit 0; }; set -- "$1" $(sed "s/.*) //" "/proc/$p/stat"); '
                '[ "${1#*.}" = "${21}" ] && [ "$2" != Z ] && echo RUNNING || echo GONE')
_END_PROCESS = ('p=${1%%.*}; set -- "$1" $(sed "s/.*) //" "/proc/$p/stat" 2>/dev/null); '
                '[ "${1#*.}" = "${21}" ] || exit 0; kill -TERM "$p"')

TABLES = {
    "slurm": {
        "title": "Slurm",
        "detect": {"argv": ["sbatch", "--version"], "pattern": r"^slurm"},
        "submit": {"argv": ["sbatch", "--parsable", "{script}"], "job_id": r"^(?P<job_id>\d+)(?:;\S+)?$"},
        "ask": {
            "argv": ["scontrol", "-o", "show", "job", "{job_id}"],
            "gone": r"Invalid job id specified",
            "fields": {
                "native": r"\bJobState=(?P<value>[A-Z_]+)",
                "reason": r"\bReason=(?P<value>.*?) Dependency=",
                "nodes": r" NodeList=(?P<value>\S+)",
                "root_node": r"\bBatchHost=(?P<value>\S+)",
                "exit_status": r"\bExitCode=(?P<value>[0-9]{1,9}):",
                "signal": r"\bExitCode=[0-9]+:(?P<value>[0-9]{1,9})",
                "expected_start": r"\bStartTime=(?P<value>\d{4}-\S+)",
                "elapsed": r"\bRunTime=(?P<value>[\d:-]+)",
                "limit": r"\bTimeLimit=(?P<value>[\d:-]+)",
            },
        },
        "cancel": {"argv": ["scancel", "{job_id}"]},
        "first_node": {"argv": ["sinfo", "-h", "-N", "-r", "-t", "idle,mix,alloc,comp", "-o", "%N"]},
        "states": {
            "PENDING": "pending", "CONFIGURING": "pending", "REQUEUED": "pending", "REQUEUE_HOLD": "pending",
            "REQUEUE_FED": "pending", "SPECIAL_EXIT": "pending", "RESV_DEL_HOLD": "pending",
            "RUNNING": "running", "SUSPENDED": "running", "STOPPED": "running", "RESIZING": "running",
            "SIGNALING": "running", "STAGE_OUT": "running", "COMPLETING": "running",
            "COMPLETED": "ended", "CANCELLED": "cancelled", "REVOKED": "cancelled",
            "FAILED": "failed", "TIMEOUT": "failed", "NODE_FAIL": "failed", "OUT_OF_MEMORY": "failed",
            "BOOT_FAIL": "failed", "DEADLINE": "failed", "PREEMPTED": "failed", "LAUNCH_FAILED": "failed",
            "RECONFIG_FAIL": "failed",
        },
        "no_reason": ["None", ""],
        "never": {
            "PartitionTimeLimit": "it asks for more time than the partition allows: lower paraview_walltime or choose another paraview_queue",
            "PartitionNodeLimit": "it asks for more nodes than the partition allows: lower paraview_nodes or choose another paraview_queue",
            "PartitionConfig": "it asks for more than the partition has: lower paraview_nodes, or choose another paraview_queue",
            "PartitionDown": "the partition is down: choose another paraview_queue",
            "PartitionInactive": "the partition is inactive: choose another paraview_queue",
            "BadConstraints": "no node has what it asks for: look at paraview_directives",
            "AccountNotAllowed": "the account may not use this partition: set paraview_account",
            "InvalidAccount": "there is no such account: set paraview_account",
            "InvalidQOS": "there is no such quality of service: look at paraview_directives",
            "QOSNotAllowed": "the quality of service may not be used here: look at paraview_directives",
            "QOSTimeLimit": "it asks for more time than the quality of service allows: lower paraview_walltime",
            "AssocMaxWallDurationPerJobLimit": "it asks for more time than the account allows: lower paraview_walltime",
            "QOSMaxWallDurationPerJobLimit": "it asks for more time than the quality of service allows: lower paraview_walltime",
            "MaxMemPerLimit": "it asks for more memory than allowed: lower paraview_memory",
            "DependencyNeverSatisfied": "what it depends on can no longer happen: look at paraview_directives",
        },
        "explanations": {
            "JobHeldUser": "held by its owner", "JobHeldAdmin": "held by an administrator",
            "Priority": "other jobs come first", "Resources": "waits for nodes to become free",
            "BeginTime": "its begin time has not come", "Dependency": "waits for another job",
            "CONFIGURING": "its nodes are being started", "SUSPENDED": "suspended by the batch system",
            "TIMEOUT": "its wall time was over", "NODE_FAIL": "a node was lost", "OUT_OF_MEMORY": "it ran out of memory",
            "PREEMPTED": "another job took its place", "CANCELLED": "it was cancelled",
        },
        "directives": {
            "prefix": "#SBATCH ", "always": ["--no-requeue", "--job-name=pvserver"], "output": "--output={value}",
            "nodes": "--nodes={value}", "tasks_per_node": "--ntasks-per-node={value}",
            "cpus_per_task": "--cpus-per-task={value}", "gpus_per_node": "--gres=gpu:{value}", "memory": "--mem={value}",
            "walltime": "--time={value}", "queue": "--partition={value}", "account": "--account={value}",
        },
        "job_nodes": 'scontrol show hostnames "$SLURM_JOB_NODELIST"',
        # srun no longer takes it from the job by itself (release notes of 22.05).
        "job_setup": '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        "launcher": "srun",
    },
    "none": {
        "title": "no batch system",
        "submit": {"argv": ["/bin/sh", "-c", _DETACH, "sh", "{script}"], "job_id": r"^(?P<job_id>\d+\.\d+)$"},
        "ask": {"argv": ["/bin/sh", "-c", _ASK_PROCESS, "sh", "{job_id}"], "gone": r"\bGONE\b",
                "fields": {"native": r"^(?P<value>RUNNING)"}},
        "cancel": {"argv": ["/bin/sh", "-c", _END_PROCESS, "sh", "{job_id}"]},
        "states": {"RUNNING": "running"},
        "directives": {"prefix": "# ", "always": [], "walltime": "walltime={value}"},
        "job_nodes": "hostname",
        "launcher": "mpiexec",
        "on_login_node": True,
    },
}

#: Launchers by name; {nodes}, {tasks} and {per_node} are numbers. A batch system's own knows its nodes by itself.
LAUNCHERS = {
    "none": [],
    "srun": ["srun", "--unbuffered", "--nodes={nodes}", "--ntasks={tasks}", "--ntasks-per-node={per_node}"],
    "mpiexec": ["mpiexec", "-n", "{tasks}"],
}


def table(name):
    """dict: the table of a batch system; SessionError if there is none of that name."""
    if name not in TABLES:
        raise SessionError("there is no batch system {0!r}".format(name), "known are " + ", ".join(sorted(TABLES)),
                           "set paraview_scheduler to one of them, or to auto")
    return TABLES[name]


def fill(argv, **values):
    """list[str]: a command of a table with its blanks filled in."""
    return [re.sub(r"\{(script|job_id)\}", lambda match: values[match.group(1)], word) for word in argv]


def launcher_command(words, nodes, tasks_per_node):
    """list[str]: an MPI launcher's command line with its numbers filled in."""
    numbers = {"nodes": nodes, "tasks": nodes * tasks_per_node, "per_node": tasks_per_node}
    return [re.sub(r"\{(nodes|tasks|per_node)\}", lambda match: str(numbers[match.group(1)]), word) for word in words]


def read_job_id(about, out):
    """str or None: the job id in what a submit command printed; warnings may stand around it."""
    match = re.search(about["submit"]["job_id"], clean(out, 20000), re.MULTILINE)
    return match.group("job_id") if match else None


def read_job(about, code, out, err):
    """What an answer to the table's question means.

    Args:
        about (dict): the table.
        code (int): exit code. out (str), err (str): what the command printed.
    Returns:
        JobState or None: None where the batch system no longer knows the job; state unknown where it did not answer.
    """
    if re.search(about["ask"]["gone"], out + err):
        return None
    fields = {}
    for name, pattern in about["ask"]["fields"].items():
        match = re.search(pattern, clean(out, 20000), re.MULTILINE)
        fields[name] = match.group("value").strip() if match else ""
    if not fields["native"]:
        return JobState("unknown", "", one_line(err or out) or "no answer (exit code {0})".format(code), "", False, [], "", None, None, None)
    return _interpret(about, fields)


def _interpret(about, fields):
    native = fields["native"]
    state = about["states"].get(native, "unknown")
    reason = fields.get("reason", "")
    if reason in about.get("no_reason", ()):
        reason = ""
    never = about.get("never", {})
    known = about.get("explanations", {})
    # A job that is over keeps the reason for which it once waited.
    explanation = never.get(reason) or known.get(reason) or known.get(native, "") if state == "pending" else known.get(native, "")
    return JobState(
        state=state, native=native, reason=reason, explanation=explanation,
        never=state == "pending" and reason in never,
        nodes=expand_nodes(fields.get("nodes", "")), root_node=_named(fields.get("root_node", "")),
        exit_status=_exit_status(state, fields),
        expected_start=fields.get("expected_start") or None if state == "pending" else None,
        time_left_s=_time_left(fields) if state == "running" else None)


def _named(value):
    return value if re.match(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", value) and value != "n/a" else ""


def _exit_status(state, fields):
    if state not in ("ended", "failed", "cancelled") or not fields.get("exit_status"):
        return None
    number = int(fields.get("signal") or 0)
    return 128 + number if number else int(fields["exit_status"])


def _time_left(fields):
    spans = [_span(fields.get(name, "")) for name in ("limit", "elapsed")]
    return None if None in spans else max(0, spans[0] - spans[1])


def _span(text):
    match = re.match(r"^(?:([0-9]{1,6})-)?([0-9]{1,6}):([0-9]{1,6}):([0-9]{1,6})\Z", text)
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def expand_nodes(text, most=10000):
    """Node names of a compressed list such as ``node[01-02,07],gpu1``.

    Returns:
        list[str]: in order; empty for ``(null)`` or what is no list.
    """
    names = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text.strip()[:100000]):
        names.extend(itertools.islice(_expand(part), max(0, most - len(names))))
    return [name for name in names if _named(name)]


def _expand(part):
    """Names of one entry; lazily, since what a site says may stand for more of them than memory holds."""
    pieces = re.split(r"(\[[^\]]*\])", part, maxsplit=4)
    choices = [_choices(piece) for piece in pieces]
    if any(next(iter(one()), None) is None for one in choices):
        return iter(())
    return ("".join(words) for words in _product(choices))


def _product(choices):
    if not choices:
        yield ()
        return
    for first in choices[0]():
        for rest in _product(choices[1:]):
            yield (first,) + rest


def _choices(piece):
    if not piece.startswith("["):
        return lambda: (piece,)

    def numbers():
        for low, high in re.findall(r"(?<![^,\[])([0-9]{1,9})(?:-([0-9]{1,9}))?(?=[,\]])", piece):
            for number in range(int(low), int(high or low) + 1):
                yield str(number).zfill(len(low))

    return numbers


def directives(about, wishes):
    """Lines for the head of a job script.

    Args:
        about (dict): the table.
        wishes (dict): of nodes, tasks_per_node, cpus_per_task, gpus_per_node, memory, walltime, queue, account (None or
            empty: not asked for) and extra (list of lines, with or without the system's own prefix).
    Returns:
        list[str]
    Raises:
        SessionError: a wish that this system has no word for.
    """
    words = about["directives"]
    lines = [words["prefix"] + line for line in words["always"]]
    for name in ("output", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "memory", "walltime", "queue", "account"):
        value = wishes.get(name)
        if value in (None, "", 0):
            continue
        if name in words:
            lines.append(words["prefix"] + words[name].format(value=value))
        elif name in ("queue", "account", "gpus_per_node", "memory"):
            raise SessionError("paraview_{0}: {1!r} cannot be had".format(name, value),
                               "with {0} there is no such thing".format(about["title"]), "leave it out for this host")
    for line in wishes.get("extra") or []:
        lines.append(line if line.startswith(words["prefix"].strip()) else words["prefix"] + line)
    return lines
