# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux. Sources: flux-jobs(1), flux-batch(1)."""

from .. import own_script

NAME, ORDER, KNOWN_AS = "flux", 60, "Flux"
PARTICULAR = "``paraview_account`` is a bank; memory cannot be requested"

_GONE = r"[Uu]nknown job|JobID \S+ unknown|No such job|invalid job ?id"
_HELD = "held: release it with flux job urgency {job_id} default"
TABLE = {
    "title": "Flux",
    "detect": {"argv": ["flux", "version"], "pattern": r"^(?:commands|libflux-core):"},
    "submit": {
        # A decimal id is the same in every locale.
        "argv": ["/bin/sh", "-c", 'id=$(flux batch "$1") || exit; flux job id --to=dec "$id" 2>/dev/null || echo "$id"', "sh", "{script}"],
        "job_id": r"^[ \t]*(?P<job_id>[0-9]+|[\u0192f]\w+)[ \t]*$",
    },
    "ask": {
        "json": {
            "argv": ["flux", "jobs", "-a", "--json", "{job_id}"], "format": "json", "gone": _GONE,
            "like": r"\bflux jobs\b.*--json",
            "jobs": "jobs || [@]", "single": True,
            "fields": {
                "id": "id", "native": "status || state", "detail": "urgency", "nodes": "nodelist", "exit_status": "returncode",
                "reason": ["exception.note", "annotations.sched.reason_pending"], "expected_start": "annotations.sched.t_estimate",
                "owner": "username", "ends": "expiration",
            },
        },
        "text": {
            "argv": ["flux", "jobs", "-a", "-n", "-o",
                     "{id.dec}|{status}|{urgency}|{nodelist}|{returncode}|{exception.note}|{annotations.sched.reason_pending}|"
                     "{annotations.sched.t_estimate}", "{job_id}"],
            "like": r"\bflux jobs\b", "when": "unreadable", "gone": _GONE, "single": True,
            "record": r"^(?P<id>\S+?)(?P<body>\|.*)$",
            "fields": {
                "native": r"^\|(?P<value>[A-Z]+)", "detail": r"^\|[^|]*\|(?P<value>\d+)", "nodes": r"^\|(?:[^|]*\|){2}(?P<value>[^|\s]+)",
                "exit_status": r"^\|(?:[^|]*\|){3}(?P<value>-?\d{1,9})",
                "reason": [r"^\|(?:[^|]*\|){4}(?P<value>[^|]*[^|\s])", r"^\|(?:[^|]*\|){5}(?P<value>[^|]*[^|\s])"],
                "expected_start": r"^\|(?:[^|]*\|){6}(?P<value>\d+(?:\.\d+)?)",
            },
        },
    },
    "cancel": {"argv": ["flux", "cancel", "{job_id}"], "over": r"inactive|[Uu]nknown job|No such job", "force": ["flux", "job", "cancel", "{job_id}"]},
    "first_node": {"argv": ["flux", "resource", "list", "-n", "-s", "free,allocated", "-o", "{nodelist}"], "pattern": r"^(?P<value>\S+)$"},
    "states": {
        "NEW": "pending", "INACTIVE": "ended",
        "DEPEND": "pending", "PRIORITY": "pending", "SCHED": "pending", "RUN": "running", "CLEANUP": "running", "COMPLETED": "ended", "FAILED": "failed",
        "CANCELED": "cancelled", "TIMEOUT": "failed",
    },
    # A return code below 0 is the number of a signal.
    "negative_signals": True,
    "leaving": ["CLEANUP"],
    "explanations": {
        "DEPEND": "waits for another job", "PRIORITY/0": _HELD, "SCHED/0": _HELD,
        "PRIORITY": "it has to wait for its turn", "SCHED": "waits for nodes to become free", "CLEANUP": "it is ending",
        "CANCELED": "it was cancelled", "TIMEOUT": "its wall time was over",
    },
    "directives": {
        "prefix": "#FLUX: ", "always": ["--job-name=pvserver"], "exclusive": "--exclusive",
        "lines": {
            "comment": "--setattr=user.comment=sciviz.paraview<-{version}>",
            "output": "--output={output}", "nodes": "--nodes={nodes}", "tasks": "--nslots={tasks}", "cpus_per_task": "--cores-per-slot={cpus_per_task}",
            "gpus_per_node": "--gpus-per-slot={gpus_per_task}", "walltime": "--time-limit={walltime_s}s", "queue": "--queue={queue}",
            "account": "--bank={account}", "constraint": "--requires={constraint}", "exclusive": "{exclusive}",
        },
        "options": {
            "style": "long", "repeated": {"*": "last"}, "resources": {"--setattr": "name"},
            # RFC 36 of Flux allows these, but not several in one script.
            "prefix": r"#\s*(?:FLUX|flux):",
            "same": {
                "-t": "--time-limit", "-N": "--nodes", "-n": "--nslots", "-c": "--cores-per-slot", "-g": "--gpus-per-slot", "-q": "--queue", "-B": "--bank",
                "-x": "--exclusive", "-S": "--setattr",
            },
            "flags": ["-x", "-v", "--exclusive", "--wrap"],
            "refused": {
                "--wrap": "flux would take the script for a command",
                "--gpus-per-slot .*": "pvserver's ranks get GPUs by the option of flux run that paraview_gpus_per_task sets too",
            },
            "quantities": {
                "walltime": {"--time-limit": "flux_time"}, "queue": {"--queue": "text"}, "nodes": {"--nodes": "number"}, "tasks": {"--nslots": "number"},
            },
        },
    },
    "details": {
        "argv": ["flux", "jobs", "-a", "-n", "-o", "{id.dec}|{status}|{username}|{expiration}", "{job_id}"], "gone": _GONE, "single": True,
        "record": r"^(?P<id>\S+?)(?P<body>\|.*)$",
        "fields": {
            "native": r"^\|(?P<value>[A-Z]+)", "owner": r"^\|[^|]*\|(?P<value>[^|\s]+)", "ends": r"^\|(?:[^|]*\|){2}(?P<value>\d+(?:\.\d+)?)",
        },
    },
    # A job of flux alloc or flux batch is a Flux of its own, whose brokers end with it.
    "attach": ["flux", "proxy", "{job_id}", "flux", "exec", "--rank=0"] + own_script.WORDS,
    "job_nodes": "flux getattr hostlist",
    # Names in Flux's own formats.
    "verbatim": ["status", "urgency", "nodelist", "returncode", "username", "expiration"],
    "launcher": "flux",
}
