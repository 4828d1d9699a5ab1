# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grid Engine. Sources: qstat(1), qacct(1), submit(1), and recorded output of Grid Engine."""

NAME, ORDER, KNOWN_AS = "sge", 30, "Grid Engine"
PARTICULAR = "more than one core needs a parallel environment: ``paraview_parallel_environment``"

# A state is a set of letters: d deleted, E error, S T s P N suspended, h held, R restarted, q queued, w waiting, r running, t transferred, x exiting.
_LETTERS = "[dEShTRqrstwxPN]+"
_DELETED, _ERROR, _WAITS = "(?=.*d)" + _LETTERS, "(?=.*E)" + _LETTERS, "(?=.*[qw])" + _LETTERS
_HELD, _SUSPENDED, _RUNS = "(?=.*h)" + _WAITS, "(?=.*[sSTPN])(?!.*[qw])" + _LETTERS, "(?=.*[rtx])" + _LETTERS
TABLE = {
    "title": "Grid Engine",
    "detect": {"argv": ["qstat", "-help"], "pattern": r"^(?:SGE|UGE|GE|AGE|OGS|OCS|GCS)\b"},
    "submit": {"argv": ["qsub", "-terse", "{script}"], "job_id": (
        r"(?i)^[ \t]*(?:Your job(?:-array)? )?(?P<job_id>[0-9]+)(?:\.[0-9]+-[0-9]+:[0-9]+)?(?: \(.*\) has been submitted)?[ \t]*$")},
    "ask": {
        # No command for a single job shows its state. Only the user's own jobs are listed.
        "listing": {
            "argv": ["/bin/sh", "-c", 'exec qstat -u "$(id -un)" -g t -xml'], "format": "xml", "every": ["nodes"],
            # Both ends: output that is too long loses its beginning.
            "complete": r"<job_info\s+xmlns[\s\S]*</job_info>\s*\Z",
            "like": r"\bqstat(?!.*\s-(?:j|f|explain)\b)",
            "other_ids": [[r"<JB_job_number>(\d+)</JB_job_number>[\s\S]{0,5000}?<tasks>(\d+)</tasks>", r"\1.\2"]],
            "record": r"<job_list\b[^<>]*>(?P<body>(?:(?!</?job_list\b).)*)</job_list>",
            "fields": {
                "id": r"<JB_job_number>(?P<value>\d+)</JB_job_number>", "native": r"<state>(?P<value>[A-Za-z]+)</state>",
                "nodes": r"<queue_name>[^<@]*@(?P<value>[^<]+)</queue_name>",
                "root_node": r"<queue_name>[^<@]*@(?P<value>[^<]+)</queue_name>\s*<master>MASTER</master>",
                "owner": r"<JB_owner>(?P<value>[^<]+)</JB_owner>",
            },
        },
        "details": {
            "argv": ["qstat", "-j", "{job_id}", "-xml"], "format": "xml", "when": "unexplained", "gone": r"<unknown_jobs|do not exist",
            "like": r"\bqstat\b.*\s-j\b",
            "every": ["reason"],
            "fields": {
                "id": r"<JB_job_number>(?P<value>\d+)</JB_job_number>", "native": r"<JAT_status>(?P<value>\d+)</JAT_status>",
                "detail": r"<MES_message_number>(?P<value>32)</MES_message_number>",
                "reason": [r"<QIM_message>(?P<value>[^<]*)</QIM_message>", r"<MES_message>(?P<value>[^<]*)</MES_message>"],
            },
            "otherwise": {"native": "qw"},
            "states": {"qw": "pending", "0": "pending", "0/32": "failed", "64": "running", "128": "running", "256": "running", "384": "running"},
        },
        "accounting": {
            "argv": ["qacct", "-j", "{job_id}"], "when": "gone", "gone": r"job id \S+ not found",
            "record": r"^=+\n(?P<body>(?:(?!^====).*\n?)*)", "latest": True, "may_be_walltime": True,
            "fields": {
                "id": r"^jobnumber\s+(?P<value>\d+)", "native": r"^failed\s+(?P<value>\d+)", "reason": r"^failed\s+\d+\s*:\s*(?P<value>.*\S)",
                "nodes": r"^hostname\s+(?P<value>\S+)", "exit_status": r"^exit_status\s+(?P<value>\d{1,9})",
                "limit": r"^category\s.*\bh_rt=(?P<value>[\d:]+)", "elapsed": r"^ru_wallclock\s+(?P<value>\d+)",
            },
            "states": {"0": "ended", "100": "cancelled", "*": "failed"},
        },
    },
    "would_take": ["qsub", "-w", "v", "{script}"],
    "cancel": {"argv": ["qdel", "{job_id}"], "over": r"job \"?\d+\"? does not exist"},
    "first_node": {"argv": ["qhost"], "pattern": r"^(?P<value>(?!HOSTNAME\b|global\b)[A-Za-z0-9]\S*)(?:\s+\S+){2,6}?\s+[0-9]+\.[0-9]+\s"},
    "states": {
        "z": "ended", _DELETED: "cancelled", _ERROR: "failed", _WAITS: "pending", _SUSPENDED: "running", _RUNS: "running", "[hR]+": "pending",
    },
    # qdel was accepted, but the job exists until its node has confirmed.
    "leaving": [_DELETED],
    "explanations": {
        "Job is in hold state.*": "held: release it with qrls {job_id}", "execution time not reached.*": "its begin time has not come",
        "cannot run in PE .*only offers \\d+ slots.*": "waits for free slots; if its parallel environment never offers as many, lower paraview_nodes or "
                                                       "paraview_tasks_per_node",
        ".*dropped because it is full.*": "waits for nodes to become free", ".*dropped because it is disabled.*": "its queue is disabled",
        "100": "it was cancelled", "37": "it used more time or memory than it requested", "26": "its output file could not be opened on the node",
        "27": "its shell does not exist on the node", "0/32": "it could not be started on the node",
        _DELETED: "it was cancelled", _ERROR: "it could not be started on the node", _HELD: "held: release it with qrls {job_id}",
        _SUSPENDED: "suspended by the batch system", "[hR]*h[hR]*": "held: release it with qrls {job_id}",
    },
    # What shows that a job could not write to the session's directory.
    "unwritable": ["26"],
    "directives": {
        # Without -notify a deleted job is killed before it can report that.
        "prefix": "#$ ", "always": ["-S /bin/sh", "-j y", "-r n", "-notify"],
        "needs": {"parallel_environment": ["cores", "qconf -spl lists them; it decides how many slots each node gives"]},
        "lines": {
            "name": "-N sciviz.paraview<-{version}>",
            "output": "-o {output}", "slots": "-pe {parallel_environment} {cores}", "memory": "-l mem_free={memory_mb_per_core}M",
            "walltime": "-l h_rt={walltime_hms}", "queue": "-q {queue}", "account": "-P {account}", "reservation": "-ar {reservation}",
            "constraint": "-l {constraint}",
        },
        "options": {
            "style": "words", "resources": {"-l": "list"}, "shell": "-S",
            "same": {"-l mf": "-l mem_free"},
            "refused": {
                "-r y.*": "a job that starts again would use connections that nobody has checked since",
                "-t .*": "a session is one job, and this makes several", "-sync y.*": "qsub would return only when the job is over",
            },
            # How many slots each node gives is the parallel environment's rule.
            "quantities": {"walltime": {"-l h_rt": "grid_engine_time"}, "queue": {"-q": "text"}, "tasks": {"-pe": "slots"}, "nodes": {"-pe": "unknown"}},
        },
    },
    "details": {
        "argv": ["qstat", "-j", "{job_id}", "-xml"], "format": "xml", "gone": r"<unknown_jobs|do not exist",
        "fields": {
            "id": r"<JB_job_number>(?P<value>\d+)</JB_job_number>", "native": r"<JAT_status>(?P<value>\d+)</JAT_status>",
            "owner": r"<JB_owner>(?P<value>[^<]+)</JB_owner>", "started": r"<JAT_start_time>(?P<value>\d+)</JAT_start_time>",
            "limit": r"<CE_name>h_rt</CE_name>(?:\s*<(?!CE_name\b)(\w+)>[^<]*</\1>)*?\s*<CE_stringval>(?P<value>[\d:]+)</CE_stringval>",
        },
        "states": {"*": "running"},
    },
    "job_variable": "JOB_ID",
    "job_nodes": 'if [ -r "$PE_HOSTFILE" ]; then awk \'!seen[$1]++ { print $1 }\' "$PE_HOSTFILE"; else hostname; fi',
    "launcher": "mpiexec",
}
