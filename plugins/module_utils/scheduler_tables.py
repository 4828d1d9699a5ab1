# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch systems as data: one table each. The guide "Batch systems" tells what the entries mean; schedulers.py reads them.

Sources: sbatch(1), scontrol(1), sacct(1) and Slurm's job reason codes; qsub(1B), qstat(1B), pbs_job_attributes(7B) of OpenPBS;
qstat(1), qacct(1), submit(1) of Grid Engine; Torque's administrator guide; IBM's pages on bjobs and bsub; flux-jobs(1),
flux-batch(1); and what Slurm, OpenPBS and Grid Engine were recorded to say.
"""

# In a shell: "$1" is the script. The start time behind the process id keeps a number used again from being taken for the job.
_DETACH = ('setsid /bin/sh "$1" </dev/null >/dev/null 2>&1 & p=$!; '
           'set -- $(sed "s/.*) //" "/proc/$p/stat"); echo "$p.${20}"')
_ASK_PROCESS = ('p=${1%%.*}; [ -r "/proc/$p/stat" ] || { echo GONE; exit 0; }; set -- "$1" $(sed "s/.*) //" "/proc/$p/stat"); '
                '[ "${1#*.}" = "${21}" ] && [ "$2" != Z ] && echo RUNNING || echo GONE')
_END_PROCESS = ('p=${1%%.*}; set -- "$1" $(sed "s/.*) //" "/proc/$p/stat" 2>/dev/null); '
                '[ "${1#*.}" = "${21}" ] || exit 0; kill -TERM "$p"')

_SLURM_PATTERNS = {
    "id": r"\bJobId=(?P<value>\d+)",
    "native": r"\bJobState=(?P<value>[A-Z_]+)",
    "reason": r"\bReason=(?P<value>[^=]*) Dependency=",
    "nodes": r"\sNodeList=(?P<value>\S+)",
    "root_node": r"\bBatchHost=(?P<value>\S+)",
    "exit_status": r"\bExitCode=(?P<value>[0-9]{1,9}):",
    "signal": r"\bExitCode=[0-9]+:(?P<value>[0-9]{1,9})",
    "expected_start": r"\bStartTime=(?P<value>\d{4}-\S+)",
    "elapsed": r"\bRunTime=(?P<value>[\d:-]+)",
    "limit": r"\bTimeLimit=(?P<value>[\d:-]+)",
}
_SLURM_STATES = {
    "PENDING": "pending", "CONFIGURING": "pending", "REQUEUED": "pending", "REQUEUE_HOLD": "pending", "REQUEUE_FED": "pending",
    "SPECIAL_EXIT": "pending", "RESV_DEL_HOLD": "pending", "POWER_UP_NODE": "pending", "EXPEDITING": "pending",
    "RUNNING": "running", "SUSPENDED": "running", "STOPPED": "running", "RESIZING": "running", "SIGNALING": "running",
    "STAGE_OUT": "running", "COMPLETING": "running",
    "COMPLETED": "ended", "CANCELLED": "cancelled",
    "FAILED": "failed", "TIMEOUT": "failed", "NODE_FAIL": "failed", "OUT_OF_MEMORY": "failed", "BOOT_FAIL": "failed",
    "DEADLINE": "failed", "PREEMPTED": "failed", "LAUNCH_FAILED": "failed", "RECONFIG_FAIL": "failed",
}
_SLURM_NEVER = {
    "PartitionTimeLimit": "it asks for more time than the partition allows: lower paraview_walltime or choose another paraview_queue",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows: lower paraview_nodes or choose another paraview_queue",
    "PartitionConfig": "it asks for more than the partition has: lower paraview_nodes, or choose another paraview_queue",
    "PartitionDown": "the partition is down: choose another paraview_queue",
    "PartitionInactive": "the partition is inactive: choose another paraview_queue",
    "BadConstraints": "no node has what it asks for: look at paraview_constraint and paraview_directives",
    "AccountNotAllowed": "the account may not use this partition: set paraview_account",
    "InvalidAccount": "there is no such account: set paraview_account",
    "InvalidQOS": "there is no such quality of service: look at paraview_qos",
    "QOSNotAllowed": "the quality of service may not be used here: look at paraview_qos",
    "QOSTimeLimit": "it asks for more time than the quality of service allows: lower paraview_walltime",
    "AssocMaxWallDurationPerJobLimit": "it asks for more time than the account allows: lower paraview_walltime",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than the quality of service allows: lower paraview_walltime",
    "MaxMemPerLimit": "it asks for more memory than allowed: lower paraview_memory",
    "ReservationDeleted": "the reservation is gone: look at paraview_reservation",
    "(?:Assoc|QOS)Max\\w*PerJob(?:Limit)?": "it asks for more than one job may have: lower paraview_nodes, paraview_tasks_per_node, paraview_memory or "
                                            "paraview_walltime",
    "QOSMin\\w*NotSatisfied": "it asks for less than the quality of service wants: look at paraview_qos",
    "DependencyNeverSatisfied": "what it depends on can no longer happen: look at paraview_directives",
}

SLURM = {
    "title": "Slurm",
    "detect": {"argv": ["sbatch", "--version"], "pattern": r"^slurm"},
    "submit": {"argv": ["sbatch", "--parsable", "{script}"], "job_id": r"^(?:Submitted batch job )?(?P<job_id>\d+)(?:;\S+| on cluster \S+)?$"},
    "ask": {
        "scontrol": {
            "argv": ["scontrol", "-o", "show", "job", "{job_id}"], "gone": r"Invalid job id specified", "fields": _SLURM_PATTERNS,
            "like": r"\bscontrol\b(?!.*--json)",
        },
        "squeue": {
            "argv": ["squeue", "-h", "-j", "{job_id}", "-o", "%i|%T|%r|%N|%B|%S"], "when": "unreadable",
            "like": r"\bsqueue\b(?!.*--json)",
            "gone": r"Invalid job id specified", "silence": "gone",
            "record": r"^(?P<id>\d+)(?P<body>\|.*)$",
            "fields": {
                "native": r"^\|(?P<value>[A-Z_]+)", "reason": r"^\|[A-Z_]+\|(?P<value>[^|]*)",
                "nodes": r"^\|(?:[^|]*\|){2}(?P<value>[^|]+)", "root_node": r"^\|(?:[^|]*\|){3}(?P<value>[^|]+)",
                "expected_start": r"^\|(?:[^|]*\|){4}(?P<value>\d{4}-[^|\s]+)",
            },
        },
        "sacct": {
            "argv": ["sacct", "-n", "-P", "-X", "-j", "{job_id}", "-o", "JobID,State,ExitCode,DerivedExitCode,NodeList,Reason"],
            "when": "gone", "silence": "gone",
            "like": r"\bsacct\b(?!.*--json)",
            "record": r"^(?P<id>\d+)(?P<body>\|.*)$", "latest": True,
            "fields": {
                "native": r"^\|(?P<value>[A-Z_]+)", "exit_status": r"^\|[^|]*\|(?P<value>[0-9]{1,9}):",
                "signal": r"^\|[^|]*\|[0-9]+:(?P<value>[0-9]{1,9})", "nodes": r"^\|(?:[^|]*\|){3}(?P<value>[^|]+)",
                "reason": r"^\|(?:[^|]*\|){4}(?P<value>[^|]*)",
            },
        },
    },
    "would_take": ["sbatch", "--test-only", "{script}"],
    "cancel": {"argv": ["scancel", "{job_id}"]},
    "first_node": {"argv": ["sinfo", "-h", "-N", "-r", "-t", "idle,mix,alloc,comp", "-o", "%N"], "pattern": r"^(?P<value>\S+)$"},
    "states": _SLURM_STATES,
    "leaving": ["COMPLETING"],
    "no_reason": ["None", ""],
    "never": _SLURM_NEVER,
    "explanations": {
        "JobHeldUser": "held by its owner", "JobHeldAdmin": "held by an administrator", "JobHoldMaxRequeue": "held after too many tries",
        "Priority": "other jobs come first", "Resources": "waits for nodes to become free",
        "Nodes.required.for.job.are.DOWN.*": "waits for nodes to become free: those it needs are down or reserved",
        "ReqNodeNotAvail.*": "waits for nodes to become free: those it needs are down or reserved",
        "BeginTime": "its begin time has not come", "Dependency": "waits for another job", "Reservation": "waits for its reservation",
        "Licenses": "waits for a license", "(?:Assoc|QOS)?(?:Max|Grp).*": "waits until a limit of the account or quality of service allows it",
        "CONFIGURING": "its nodes are being started", "SUSPENDED": "suspended by the batch system", "STOPPED": "suspended by the batch system",
        "TIMEOUT": "its wall time was over", "NODE_FAIL": "a node was lost", "OUT_OF_MEMORY": "it ran out of memory: raise paraview_memory",
        "PREEMPTED": "another job took its place", "CANCELLED": "it was cancelled", "BOOT_FAIL": "its nodes could not be started",
        "DEADLINE": "its deadline was over",
    },
    "exits": {"181": "its directory or its output file could not be opened on the node"},
    "directives": {
        "prefix": "#SBATCH ", "always": ["--no-requeue", "--job-name=pvserver"], "exclusive": "--exclusive",
        "lines": {
            "output": "--output={output}", "nodes": "--nodes={nodes}", "tasks_per_node": "--ntasks-per-node={tasks_per_node}",
            "cpus_per_task": "--cpus-per-task={cpus_per_task}", "gpus_per_node": "--gres=gpu:{gpus_per_node}", "memory": "--mem={memory_mb}M",
            "walltime": "--time={walltime}", "queue": "--partition={queue}", "account": "--account={account}", "qos": "--qos={qos}",
            "reservation": "--reservation={reservation}", "constraint": "--constraint={constraint}", "exclusive": "{exclusive}",
        },
    },
    # A step of one's own needs no core of its own, nor do its children.
    "attach": ["env", "SLURM_OVERLAP=1", "srun", "--jobid={job_id}", "--overlap", "--nodes=1", "--ntasks=1", "--input=none", "--export=ALL",
               "/bin/sh", "{script}"],
    "job_nodes": 'scontrol show hostnames "$SLURM_JOB_NODELIST"',
    # srun no longer takes it from the job by itself (release notes of 22.05).
    "job_setup": '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
    "launcher": "srun",
}

# A value may hold newlines, so what stands first counts: state and substate come before what a user may put in.
_QSTAT_RECORD = r"^Job Id: (?P<id>\S+)[ \t]*\n(?P<body>(?:(?!^Job Id: ).*\n?)*)"
_QSTAT_FIELDS = {
    "native": r"^    job_state = (?P<value>[A-Z])$", "detail": r"^    substate = (?P<value>\d+)$",
    "reason": r"^    comment = (?P<value>.*)$", "nodes": r"^    exec_host = (?P<value>\S+)$",
    "exit_status": r"^    Exit_status = (?P<value>-?\d{1,9})$", "expected_start": r"^    estimated\.start_time = (?P<value>.*)$",
    "limit": r"^    Resource_List\.walltime = (?P<value>[\d:]+)$", "elapsed": r"^    resources_used\.walltime = (?P<value>[\d:]+)$",
}
_PBS_TEXT = {
    "gone": r"Unknown Job Id", "over": r"Job has finished", "unwrap": r"\n\t", "record": _QSTAT_RECORD, "fields": _QSTAT_FIELDS,
    "like": r"\bqstat(?!.*-F)(?!.*\s-\w*x)",
}
_NODE = r"(?:^|\+)\(?(?P<value>[^/+:()*\s]+)"
_NODE_FILE = "awk '!seen[$0]++' \"$PBS_NODEFILE\""

PBS = {
    "title": "PBS",
    "detect": {"argv": ["qsub", "--version"], "pattern": r"\bpbs_version\b"},
    "submit": {"argv": ["qsub", "{script}"], "job_id": r"^(?P<job_id>\d+(?:\[\])?\.[A-Za-z0-9._-]+)$"},
    "ask": {
        # Without -x: a server that keeps no history of jobs, as it is installed, refuses -x for every job, also for one that runs.
        "json": {
            "argv": ["qstat", "-f", "-F", "json", "{job_id}"], "format": "json", "gone": _PBS_TEXT["gone"], "over": _PBS_TEXT["over"],
            "like": r"\bqstat\S*\s.*-F json",
            "jobs": "Jobs",
            "fields": {
                "native": "job_state", "detail": "substate", "reason": "comment", "nodes": "exec_host", "exit_status": "Exit_status",
                "expected_start": "estimated.start_time", "limit": "Resource_List.walltime", "elapsed": "resources_used.walltime",
            },
        },
        "text": dict(_PBS_TEXT, argv=["qstat", "-f", "-w", "{job_id}"], when="unreadable"),
        # Releases before 18 know no -F, and print a table for -w.
        "wrapped": dict(_PBS_TEXT, argv=["qstat", "-f", "{job_id}"], when="unreadable"),
        # How a job ended. Where no history is kept this answers nothing, and the answer before stands.
        "history": dict(_PBS_TEXT, argv=["qstat", "-x", "-f", "{job_id}"], when="gone", like=r"\bqstat(?!.*-F)(?=.*\s-\w*x)"),
    },
    # A node that died cannot confirm: the owner may insist.
    "cancel": {"argv": ["qdel", "{job_id}"], "over": r"Unknown Job Id|Job has finished", "force": ["qdel", "-W", "force", "{job_id}"]},
    "first_node": {
        "argv": ["/bin/sh", "-c", "pbsnodes -a | head -n 2000"],
        "pattern": r"^(?P<value>[A-Za-z0-9]\S*)\n(?:[ \t].*\n)*?[ \t]+state = (?:free|job-busy|job-exclusive|resv-exclusive)\b",
    },
    "states": {
        "Q": "pending", "H": "pending", "W": "pending", "T": "pending", "R": "running", "S": "running", "U": "running", "B": "running",
        "E": "running", "M": "pending", "F": "ended", "F/91": "cancelled", "F/93": "failed", "X": "ended",
    },
    "never": {
        "Can Never Run.*Insufficient amount of .*": "no node has as much: lower paraview_nodes, paraview_tasks_per_node, paraview_cpus_per_task, "
                                                    "paraview_gpus_per_node or paraview_memory",
        "Can Never Run.*": "the batch system will never start it as it is: change what its words name, or choose another paraview_queue",
    },
    "explanations": {
        "Q/10": "it has to wait for its turn", "Not Running: (?:Not enough free|Insufficient amount|No available).*": "waits for nodes to become free",
        "Not Running: .*limit.*": "waits until a limit on running jobs allows it", "Not Running: Queue not started.*": "waits until its queue is started",
        "Not Running: .*(?:dedicated|reservation).*": "waits for the end of a reserved time", "H/20": "held: release it with qrls",
        "H/22": "waits for another job", "H": "held: release it with qrls", "W": "its begin time has not come", "T": "it is being moved",
        "M": "it was moved to another server", "S": "suspended by the batch system", "U": "suspended while the node's owner works",
        "R/41": "it is being started", "E": "it is ending", "F/91": "it was cancelled",
    },
    "exits": {
        "-29": "its wall time was over", "-28": "it used more memory than it asked for: raise paraview_memory",
        "-27": "it used more memory than it asked for: raise paraview_memory", "-1": "it could not be started on the node",
        "-2": "it could not be started on the node", "-3": "it could not be started on the node", "-11": "a node was lost",
        "254": "its shell is not there on the node",
    },
    "exiting": ["E"],
    "leaving": ["E", "M"],
    "signals_from": 256,
    "directives": {
        "prefix": "#PBS ", "always": ["-N pvserver", "-S /bin/sh", "-j oe", "-r n"], "exclusive": "excl",
        "apart": [["queue", "reservation"]],
        "lines": {
            "output": "-o {output}",
            "select": "-l select={nodes}:ncpus={cores_per_node}:mpiprocs={tasks_per_node}<:ngpus={gpus_per_node}><:mem={memory_mb}mb><:{constraint}>",
            "place": "-l place=scatter<:{exclusive}>", "walltime": "-l walltime={walltime_hms}", "queue": "-q {queue}", "account": "-A {account}",
            # A reservation is a queue of its own.
            "reservation": "-q {reservation}",
        },
    },
    "job_nodes": _NODE_FILE,
    "node": _NODE,
    "launcher": "mpiexec",
}

_TORQUE_GONE = r"Unknown Job Id"
_TORQUE_ASK = {
    "gone": _TORQUE_GONE, "unwrap": r"\n(?:\t|  (?=\S))", "record": _QSTAT_RECORD, "may_be_walltime": True,
    "fields": dict(_QSTAT_FIELDS, detail=r"^    exit_status = (?P<value>-?\d{1,9})$", exit_status=r"^    exit_status = (?P<value>-?\d{1,9})$",
                   reason=[r"^    comment = (?P<value>.*)$", r"^    sched_hint = (?P<value>.*)$"]),
}

TORQUE = {
    "title": "Torque",
    "detect": {"argv": ["qstat", "--version"], "pattern": r"^[Vv]ersion:?\s*v?[2-9]\."},
    "submit": {"argv": ["qsub", "{script}"], "job_id": r"^(?P<job_id>\d+(?:\.[A-Za-z0-9._-]+)?)$"},
    "ask": {
        "text": dict(_TORQUE_ASK, argv=["qstat", "-f", "-1", "{job_id}"], like=r"\bqstat\b.*\s-1\b"),
        # Before 2.4 there was no -1.
        "wrapped": dict(_TORQUE_ASK, argv=["qstat", "-f", "{job_id}"], when="unreadable"),
    },
    "cancel": {"argv": ["qdel", "{job_id}"], "over": r"Unknown Job Id|invalid state for job - COMPLETE", "force": ["qdel", "-p", "{job_id}"]},
    "first_node": {
        "argv": ["/bin/sh", "-c", "pbsnodes -a | head -n 2000"],
        "pattern": r"^(?P<value>[A-Za-z0-9]\S*)\n(?:[ \t].*\n)*?[ \t]+state = (?:free|job-exclusive)\b",
    },
    "states": {
        "Q": "pending", "H": "pending", "W": "pending", "T": "pending", "R": "running", "S": "running", "E": "running", "C": "ended",
        # 256 + SIGTERM
        "C/271": "cancelled",
    },
    "explanations": {
        "H": "held: release it with qrls", "W": "its begin time has not come", "T": "it is being moved", "S": "suspended by the batch system",
        "E": "it is ending", "C/271": "it was cancelled",
    },
    "exits": {
        "-1": "it could not be started on the node", "-2": "it could not be started on the node", "-3": "it could not be started on the node",
        "-10": "it used more memory than it asked for: raise paraview_memory", "-11": "its wall time was over",
    },
    "exiting": ["E"],
    "leaving": ["E"],
    "signals_from": 256,
    "directives": {
        "prefix": "#PBS ", "always": ["-N pvserver", "-S /bin/sh", "-j oe", "-r n"], "exclusive": "-n",
        "lines": {
            "output": "-o {output}", "nodes": "-l nodes={nodes}:ppn={cores_per_node}<:gpus={gpus_per_node}><:{constraint}>",
            "memory": "-l pmem={memory_mb_per_task}mb", "walltime": "-l walltime={walltime_hms}", "queue": "-q {queue}", "account": "-A {account}",
            "qos": "-l qos={qos}", "reservation": "-W x=FLAGS:ADVRES:{reservation}", "exclusive": "{exclusive}",
        },
    },
    "job_nodes": _NODE_FILE,
    "node": _NODE,
    "launcher": "mpiexec",
}

_SGE_PENDING = ("qw", "hqw", "hRwq", "hRqw", "Rqw", "Rwq", "Rq", "w", "hw")
_SGE_HELD = ("hqw", "hRwq", "hRqw", "hw")
_SGE_RUNNING = ("r", "t", "hr", "ht", "Rr", "Rt", "hRr", "hRt")
_SGE_SUSPENDED = ("s", "ts", "S", "tS", "T", "tT", "Rs", "Rts", "RS", "RtS", "RT", "RtT")
_SGE_FAILED = ("Eqw", "Ehqw", "EhRqw", "ERqw")
_SGE_LEAVING = ("dr", "dt", "dRr", "dRt", "ds", "dS", "dT", "dRs", "dRS", "dRT", "dts", "dtS", "dqw", "dhqw")


SGE = {
    "title": "Grid Engine",
    "detect": {"argv": ["qstat", "-help"], "pattern": r"^(?:SGE|UGE|GE|AGE|OGS|OCS|GCS)\b"},
    "submit": {"argv": ["qsub", "-terse", "{script}"], "job_id": r"^(?:Your job )?(?P<job_id>\d+)(?: \(.*\) has been submitted)?$"},
    "ask": {
        # There is no way to ask for one job that tells its state too. Only the user's own are listed.
        "listing": {
            "argv": ["/bin/sh", "-c", 'exec qstat -u "$(id -un)" -g t -xml'], "format": "xml", "every": ["nodes"],
            # Both ends: what is too long loses its beginning.
            "complete": r"<job_info\s+xmlns[\s\S]*</job_info>\s*\Z",
            "like": r"\bqstat(?!.*\s-(?:j|f|explain)\b)",
            "record": r"<job_list\b[^<>]*>(?P<body>(?:(?!</?job_list\b).)*)</job_list>",
            "fields": {
                "id": r"<JB_job_number>(?P<value>\d+)</JB_job_number>", "native": r"<state>(?P<value>[A-Za-z]+)</state>",
                "nodes": r"<queue_name>[^<@]*@(?P<value>[^<]+)</queue_name>",
                "root_node": r"<queue_name>[^<@]*@(?P<value>[^<]+)</queue_name>\s*<master>MASTER</master>",
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
        **dict.fromkeys(_SGE_PENDING, "pending"), **dict.fromkeys(_SGE_RUNNING + _SGE_SUSPENDED, "running"), "z": "ended",
        **dict.fromkeys(_SGE_FAILED, "failed"), **dict.fromkeys(_SGE_LEAVING, "cancelled"),
    },
    # qdel was heard, but the job is there until its node has confirmed.
    "leaving": list(_SGE_LEAVING),
    "explanations": {
        "Job is in hold state.*": "held: release it with qrls", "execution time not reached.*": "its begin time has not come",
        "cannot run in PE .*only offers \\d+ slots.*": "waits for free slots; where its parallel environment never offers as many, lower paraview_nodes or "
                                                       "paraview_tasks_per_node",
        ".*dropped because it is full.*": "waits for nodes to become free", ".*dropped because it is disabled.*": "its queue is disabled",
        "100": "it was cancelled", "0/32": "it could not be started on the node",
        **dict.fromkeys(_SGE_HELD, "held: release it with qrls"), **dict.fromkeys(_SGE_SUSPENDED, "suspended by the batch system"),
        **dict.fromkeys(_SGE_FAILED, "it could not be started on the node"), **dict.fromkeys(_SGE_LEAVING, "it was cancelled"),
    },
    "directives": {
        # Without -notify a deleted job is killed before it can say so.
        "prefix": "#$ ", "always": ["-N pvserver", "-S /bin/sh", "-j y", "-r n", "-notify"],
        "needs": {"parallel_environment": ["cores", "qconf -spl lists them; it decides how many slots each node gives"]},
        "lines": {
            "output": "-o {output}", "slots": "-pe {parallel_environment} {cores}", "memory": "-l mem_free={memory_mb_per_core}M",
            "walltime": "-l h_rt={walltime_hms}", "queue": "-q {queue}", "account": "-P {account}", "reservation": "-ar {reservation}",
            "constraint": "-l {constraint}",
        },
    },
    "job_nodes": 'if [ -r "$PE_HOSTFILE" ]; then awk \'!seen[$1]++ { print $1 }\' "$PE_HOSTFILE"; else hostname; fi',
    "launcher": "mpiexec",
}

_LSF_GONE = r"is not found|No job found|No matching job"
_LSF_NAMES = "jobid stat exec_host pend_reason exit_code exit_reason kill_reason suspend_reason estimated_start_time"

LSF = {
    "title": "LSF",
    "detect": {"argv": ["bsub", "-V"], "pattern": r"\bLSF\b"},
    # The directives are read from standard input alone.
    "submit": {"argv": ["/bin/sh", "-c", 'exec bsub < "$1"', "sh", "{script}"], "job_id": r"^Job <(?P<job_id>\d+)> is submitted"},
    "ask": {
        "json": {
            "argv": ["bjobs", "-a", "-json", "-o", _LSF_NAMES, "{job_id}"], "format": "json",
            "gone": _LSF_GONE, "complete": r'"RECORDS"\s*:\s*\[\s*\]',
            "like": r"\bbjobs\b.*-json",
            "jobs": "RECORDS",
            "fields": {
                "id": "JOBID", "native": "STAT", "detail": "EXIT_REASON || KILL_REASON", "nodes": "EXEC_HOST", "exit_status": "EXIT_CODE",
                "reason": ["PEND_REASON", "SUSPEND_REASON", "EXIT_REASON", "KILL_REASON"], "expected_start": "ESTIMATED_START_TIME",
            },
        },
        "text": {
            "argv": ["bjobs", "-a", "-noheader", "-o", _LSF_NAMES + " delimiter='|'", "{job_id}"], "when": "unreadable",
            "gone": _LSF_GONE, "record": r"^(?P<id>\d+)(?P<body>\|.*)$",
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
    "states": {
        "PEND": "pending", "PSUSP": "pending", "PROV": "pending", "WAIT": "pending", "RUN": "running", "USUSP": "running", "SSUSP": "running",
        "UNKWN": "running", "ZOMBI": "running", "DONE": "ended", "EXIT": "failed", "EXIT/TERM_OWNER": "cancelled", "EXIT/TERM_ADMIN": "cancelled",
        "EXIT/TERM_FORCE_OWNER": "cancelled", "EXIT/TERM_FORCE_ADMIN": "cancelled",
    },
    "explanations": {
        "PSUSP": "held: release it with bresume", "USUSP": "suspended by its owner or an administrator", "SSUSP": "suspended by the batch system",
        "UNKWN": "the batch system has lost contact with its node", "ZOMBI": "the batch system has lost contact with its node",
        "PROV": "its nodes are being started", "EXIT/TERM_RUNLIMIT": "its wall time was over", "EXIT/TERM_DEADLINE": "its deadline was over",
        "EXIT/TERM_MEMLIMIT": "it ran out of memory: raise paraview_memory", "EXIT/TERM_SWAP": "it ran out of memory: raise paraview_memory",
        "EXIT/TERM_PREEMPT": "another job took its place", "EXIT/TERM_OWNER": "it was cancelled", "EXIT/TERM_ADMIN": "it was cancelled by an administrator",
        "EXIT/TERM_FORCE_OWNER": "it was cancelled", "EXIT/TERM_FORCE_ADMIN": "it was cancelled by an administrator",
        ".*(?:dependency condition).*": "waits for another job", ".*(?:[Nn]ot enough|not satisfied|slot limit).*": "waits for nodes to become free",
    },
    "directives": {
        "prefix": "#BSUB ", "always": ["-J pvserver", "-rn"], "exclusive": "-x",
        "lines": {
            "output": "-o {output}", "tasks": "-n {tasks}", "span": '-R "span[ptile={tasks_per_node}]"',
            "cpus_per_task": '-R "affinity[core({cpus_per_task})]"',
            "gpus_per_node": '-gpu "num={gpus_per_node}"', "memory": '-R "rusage[mem={memory_mb}MB]"', "walltime": "-W {walltime_hm}", "queue": "-q {queue}",
            "account": "-P {account}", "qos": "-sla {qos}", "reservation": "-U {reservation}", "constraint": '-R "select[{constraint}]"',
            "exclusive": "{exclusive}",
        },
    },
    # LSB_HOSTS is left out where the list is long.
    "job_nodes": "{ cat \"$LSB_DJOB_HOSTFILE\" 2>/dev/null || printf '%s\\n' $LSB_HOSTS; } | awk '!seen[$0]++'",
    "node": r"(?:^|[:\s])(?:\d+\*)?(?P<value>[^:*\s]+)",
    "launcher": "mpiexec",
}

_FLUX_GONE = r"[Uu]nknown job|JobID \S+ unknown|No such job|invalid job ?id"

FLUX = {
    "title": "Flux",
    "detect": {"argv": ["flux", "version"], "pattern": r"^(?:commands|libflux-core):"},
    "submit": {
        # A decimal id is one in every locale.
        "argv": ["/bin/sh", "-c", 'id=$(flux batch "$1") || exit; flux job id --to=dec "$id" 2>/dev/null || echo "$id"', "sh", "{script}"],
        "job_id": r"^(?P<job_id>\d+|[\u0192f]\w+)$",
    },
    "ask": {
        "json": {
            "argv": ["flux", "jobs", "-a", "--json", "{job_id}"], "format": "json", "gone": _FLUX_GONE,
            "like": r"\bflux jobs\b.*--json",
            "jobs": "jobs || [@]", "single": True,
            "fields": {
                "id": "id", "native": "status || state", "detail": "urgency", "nodes": "nodelist", "exit_status": "returncode",
                "reason": ["exception.note", "annotations.sched.reason_pending"], "expected_start": "annotations.sched.t_estimate",
            },
        },
        "text": {
            "argv": ["flux", "jobs", "-a", "-n", "-o",
                     "{id.dec}|{status}|{urgency}|{nodelist}|{returncode}|{exception.note}|{annotations.sched.reason_pending}|"
                     "{annotations.sched.t_estimate}", "{job_id}"],
            "like": r"\bflux jobs\b", "when": "unreadable", "gone": _FLUX_GONE, "single": True,
            "record": r"^(?P<id>\S+?)(?P<body>\|.*)$",
            "fields": {
                "native": r"^\|(?P<value>[A-Z]+)", "detail": r"^\|[^|]*\|(?P<value>\d+)", "nodes": r"^\|(?:[^|]*\|){2}(?P<value>[^|\s]+)",
                "exit_status": r"^\|(?:[^|]*\|){3}(?P<value>-?\d{1,9})",
                "reason": [r"^\|(?:[^|]*\|){4}(?P<value>[^|]*\S)", r"^\|(?:[^|]*\|){5}(?P<value>[^|]*\S)"],
                "expected_start": r"^\|(?:[^|]*\|){6}(?P<value>\d+(?:\.\d+)?)",
            },
        },
    },
    "cancel": {"argv": ["flux", "cancel", "{job_id}"], "over": r"inactive|[Uu]nknown job|No such job", "force": ["flux", "job", "cancel", "{job_id}"]},
    "first_node": {"argv": ["flux", "resource", "list", "-n", "-s", "free,allocated", "-o", "{nodelist}"], "pattern": r"^(?P<value>\S+)$"},
    "states": {
        "DEPEND": "pending", "PRIORITY": "pending", "SCHED": "pending", "RUN": "running", "CLEANUP": "running", "COMPLETED": "ended", "FAILED": "failed",
        "CANCELED": "cancelled", "TIMEOUT": "failed",
    },
    "leaving": ["CLEANUP"],
    "explanations": {
        "DEPEND": "waits for another job", "PRIORITY/0": "held: release it with flux job urgency", "SCHED/0": "held: release it with flux job urgency",
        "PRIORITY": "it has to wait for its turn", "SCHED": "waits for nodes to become free", "CLEANUP": "it is ending",
        "CANCELED": "it was cancelled", "TIMEOUT": "its wall time was over",
    },
    "directives": {
        "prefix": "#FLUX: ", "always": ["--job-name=pvserver"], "exclusive": "--exclusive",
        "lines": {
            "output": "--output={output}", "nodes": "--nodes={nodes}", "tasks": "--nslots={tasks}", "cpus_per_task": "--cores-per-slot={cpus_per_task}",
            "gpus_per_node": "--gpus-per-slot={gpus_per_task}", "walltime": "--time-limit={walltime_s}s", "queue": "--queue={queue}",
            "account": "--bank={account}", "constraint": "--requires={constraint}", "exclusive": "{exclusive}",
        },
    },
    "job_nodes": "flux getattr hostlist",
    "launcher": "flux",
}

NONE = {
    "title": "no batch system",
    "submit": {"argv": ["/bin/sh", "-c", _DETACH, "sh", "{script}"], "job_id": r"^(?P<job_id>\d+\.\d+)$"},
    "ask": {"process": {"argv": ["/bin/sh", "-c", _ASK_PROCESS, "sh", "{job_id}"], "gone": r"\bGONE\b", "fields": {"native": r"^(?P<value>RUNNING)"}}},
    "cancel": {"argv": ["/bin/sh", "-c", _END_PROCESS, "sh", "{job_id}"]},
    "states": {"RUNNING": "running"},
    "directives": {
        "prefix": "# ", "always": [],
        "lines": {"tasks": "tasks={tasks}", "cpus_per_task": "cpus_per_task={cpus_per_task}", "walltime": "walltime={walltime}", "output": "output={output}"},
    },
    "job_nodes": "hostname",
    "launcher": "mpiexec",
    "on_login_node": True,
}

#: The tables by name, in the order in which they are looked for: wrappers of another system's commands come after that system.
TABLES = {"slurm": SLURM, "pbs": PBS, "sge": SGE, "torque": TORQUE, "lsf": LSF, "flux": FLUX, "none": NONE}
