# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LSF. Sources: IBM's pages on bjobs and bsub."""

NAME, ORDER, KNOWN_AS = "lsf", 50, "LSF"
PARTICULAR = "``paraview_qos`` is a service class, ``paraview_account`` a project"

_GONE = r"is not found|No job found|No matching job"
_NAMES = "jobid stat exec_host pend_reason exit_code exit_reason kill_reason suspend_reason estimated_start_time"
TABLE = {
    "title": "LSF",
    "detect": {"argv": ["bsub", "-V"], "pattern": r"\bLSF\b"},
    # bsub reads directives only from standard input.
    "submit": {
        "argv": ["/bin/sh", "-c", 'exec bsub < "$1"', "sh", "{script}"],
        "job_id": r"(?i)^(?:[^\n]*[]:)-])?[ \t]*Job <(?P<job_id>[0-9]+)(?:\[[^\]>\n]*\])?> (?:is )?submitted\b",
    },
    "ask": {
        "json": {
            "argv": ["bjobs", "-a", "-json", "-o", _NAMES + " jobindex", "{job_id}"], "format": "json",
            "gone": _GONE, "complete": r'"RECORDS"\s*:\s*\[\s*\]',
            "like": r"\bbjobs\b.*-json",
            "jobs": "RECORDS",
            "fields": {
                "id": ["JOBID", "join('', [to_string(JOBID), '[', to_string(JOBINDEX), ']'])"],
                "native": "STAT", "detail": "EXIT_REASON || KILL_REASON", "nodes": "EXEC_HOST", "exit_status": "EXIT_CODE",
                "reason": ["PEND_REASON", "SUSPEND_REASON", "EXIT_REASON", "KILL_REASON"], "expected_start": "ESTIMATED_START_TIME",
            },
        },
        "text": {
            "argv": ["bjobs", "-a", "-noheader", "-o", _NAMES + " delimiter='|'", "{job_id}"], "when": "unreadable",
            "gone": _GONE, "record": r"^(?P<id>\d+(?:\[\d+\])?)(?P<body>\|.*)$",
            "fields": {
                "native": r"^\|(?P<value>[A-Z]+)", "nodes": r"^\|[^|]*\|(?P<value>[^|-][^|]*)",
                "reason": [r"^\|(?:[^|]*\|){2}(?P<value>[^|-][^|]*)", r"^\|(?:[^|]*\|){6}(?P<value>[^|-][^|]*)",
                           r"^\|(?:[^|]*\|){4}(?P<value>[^|-][^|]*)", r"^\|(?:[^|]*\|){5}(?P<value>[^|-][^|]*)"],
                "exit_status": r"^\|(?:[^|]*\|){3}(?P<value>\d{1,9})",
                "detail": [r"^\|(?:[^|]*\|){4}(?P<value>[^|-][^|]*)", r"^\|(?:[^|]*\|){5}(?P<value>[^|-][^|]*)"],
                "expected_start": r"^\|(?:[^|]*\|){7}(?P<value>[^|-][^|]*)",
            },
        },
    },
    "cancel": {"argv": ["bkill", "{job_id}"], "over": r"is not found|already finished|[Nn]o matching job", "force": ["bkill", "-r", "{job_id}"]},
    "first_node": {"argv": ["bhosts", "-w"], "pattern": r"^(?P<value>[A-Za-z0-9]\S*)\s+(?:ok|closed_Full|closed_Busy)\b"},
    # Its node copies the job's output at the end.
    "delivers_output": True,
    "states": {
        "PEND": "pending", "PSUSP": "pending", "PROV": "pending", "WAIT": "pending", "RUN": "running", "USUSP": "running", "SSUSP": "running",
        "UNKWN": "running", "ZOMBI": "running", "DONE": "ended", "EXIT": "failed", "EXIT/TERM_OWNER": "cancelled",
        "EXIT/TERM_ADMIN": "cancelled", "EXIT/TERM_BUCKET_KILL": "cancelled",
        "EXIT/TERM_FORCE_OWNER": "cancelled", "EXIT/TERM_FORCE_ADMIN": "cancelled",
    },
    "never": {
        ".*(?:[Dd]ependency condition (?:is )?invalid|[Dd]ependency.*never satisfied).*": "what it depends on can no longer happen: check paraview_directives",
    },
    "may_pass": {
        ".*[Nn]o suitable hosts.*|.*[Rr]equirements.*cannot be satisfied.*|.*not satisfy.*resource requirement.*": (
            "no node that is up now has what it requests: if it does not start, lower paraview_nodes, paraview_tasks_per_node or paraview_memory"),
        ".*[Qq]ueue (?:is |has been )?(?:inactivated|inactive|closed).*|.*[Qq]ueue's? .*inactiv.*": (
            "waits until its queue is active again: or choose another paraview_queue"),
    },
    "explanations": {
        "PSUSP": "held: release it with bresume {job_id}", "USUSP": "suspended by its owner or an administrator", "SSUSP": "suspended by the batch system",
        "UNKWN": "the batch system has lost contact with its node", "ZOMBI": "the batch system has lost contact with its node",
        "PROV": "its nodes are being started", "EXIT/TERM_RUNLIMIT": "its wall time was over", "EXIT/TERM_DEADLINE": "its deadline was over",
        "EXIT/TERM_MEMLIMIT": "it ran out of memory: raise paraview_memory", "EXIT/TERM_SWAP": "it ran out of memory: raise paraview_memory",
        "EXIT/TERM_PREEMPT": "another job took its place", "EXIT/TERM_CPULIMIT": "it used more processor time than it requested",
        "EXIT/TERM_PROCESSLIMIT": "it had more processes than it may have", "EXIT/TERM_THREADLIMIT": "it had more threads than it may have",
        "EXIT/TERM_WINDOW": "the hours in which its queue runs jobs were over", "EXIT/TERM_LOAD": "its node was too busy",
        "EXIT/TERM_CWD_NOTEXIST": "its directory does not exist on the node", "EXIT/TERM_ZOMBIE": "the batch system has lost contact with its node",
        "EXIT/TERM_REMOVE_HUNG_JOB": "the batch system has lost contact with its node", "EXIT/TERM_BUCKET_KILL": "it was cancelled",
        "EXIT/TERM_OWNER": "it was cancelled", "EXIT/TERM_ADMIN": "it was cancelled by an administrator",
        "EXIT/TERM_FORCE_OWNER": "it was cancelled", "EXIT/TERM_FORCE_ADMIN": "it was cancelled by an administrator",
        ".*(?:dependency condition).*": "waits for another job", ".*[Dd]ispatch window.*": "waits for the hours in which its queue runs jobs",
        ".*(?:slot|job|resource|host) limit.*reached.*|.*[Ll]imit defined.*": "waits until a limit allows it",
        ".*(?:[Nn]ot enough|not satisfied|slot limit).*": "waits for nodes to become free",
    },
    # What shows that a job could not write to the session's directory.
    "unwritable": ["EXIT/TERM_CWD_NOTEXIST"],
    "directives": {
        "prefix": "#BSUB ", "always": ["-J pvserver", "-rn"], "exclusive": "-x",
        "lines": {
            "description": "-Jd sciviz.paraview<-{version}>", "output": "-o {output}", "tasks": "-n {tasks}", "span": '-R "span[ptile={tasks_per_node}]"',
            "cpus_per_task": '-R "affinity[core({cpus_per_task})]"',
            "gpus_per_node": '-gpu "num={gpus_per_node}<:gmodel={gpu_type}>"',
            "memory": '-R "rusage[mem={memory_mb}MB]"', "walltime": "-W {walltime_hm}", "queue": "-q {queue}",
            "account": "-P {account}", "qos": "-sla {qos}", "reservation": "-U {reservation}", "constraint": '-R "select[{constraint}]"',
            "exclusive": "{exclusive}",
        },
        "options": {
            "style": "words", "resources": {"-R": "sections"},
            "same": {"-oo": "-o"},
            "instead": {"-nnodes": ["-n", "-R span", "-R affinity"]},
            "refused": {
                "-r": "a job that starts again would use connections that nobody has checked since",
                r"-J .*\[.*": "a session is one job, and this makes several", "-K": "bsub would return only when the job is over",
                "-I[SpsX]*": "the job would wait for a terminal",
            },
            "quantities": {
                "walltime": {"-W": "minutes"}, "queue": {"-q": "text"}, "nodes": {"-nnodes": "number", "-R span": "hosts"}, "tasks": {"-n": "number"},
                "tasks_per_node": {"-R span": "ptile"},
            },
        },
    },
    "details": {
        "argv": ["bjobs", "-noheader", "-o", "jobid stat user time_left delimiter='|'", "{job_id}"], "gone": _GONE,
        "record": r"^(?P<id>\d+(?:\[\d+\])?)(?P<body>\|.*)$",
        "fields": {
            "native": r"^\|(?P<value>[A-Z]+)", "owner": r"^\|[^|]*\|(?P<value>[^|\s]+)", "left": r"^\|(?:[^|]*\|){2}(?P<value>\d+:\d+ L)\s*$",
        },
    },
    # Unlike LSB_JOBID, it has the index of an element of an array.
    "job_variable": "LSB_BATCH_JID",
    "node_file": "LSB_DJOB_HOSTFILE",
    # If the list is long, LSF does not set LSB_HOSTS.
    "job_nodes": "{ cat \"$LSB_DJOB_HOSTFILE\" 2>/dev/null || printf '%s\\n' $LSB_HOSTS; } | awk '!seen[$0]++'",
    # A job that another cluster runs has host@cluster.
    "node": r"(?:^|[:\s])(?:\d+\*)?(?P<value>[^:*@\s]+)",
    "launcher": "mpiexec",
}
