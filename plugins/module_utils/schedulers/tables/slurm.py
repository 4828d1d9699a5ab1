# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slurm. Sources: sbatch(1), scontrol(1), sacct(1), Slurm's job reason codes, and recorded output of Slurm."""

NAME, ORDER, KNOWN_AS = "slurm", 10, "Slurm"
PARTICULAR = "queried with ``scontrol``; ``sacct``, where it is in use, reports a job that Slurm has already removed"

_PATTERNS = {
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
_STATES = {
    "PENDING": "pending", "CONFIGURING": "pending", "REQUEUED": "pending", "REQUEUE_HOLD": "pending", "REQUEUE_FED": "pending",
    "SPECIAL_EXIT": "pending", "RESV_DEL_HOLD": "pending", "POWER_UP_NODE": "pending", "EXPEDITING": "pending",
    "RUNNING": "running", "SUSPENDED": "running", "STOPPED": "running", "RESIZING": "running", "SIGNALING": "running",
    "STAGE_OUT": "running", "COMPLETING": "running",
    "COMPLETED": "ended", "CANCELLED": "cancelled",
    "FAILED": "failed", "TIMEOUT": "failed", "NODE_FAIL": "failed", "OUT_OF_MEMORY": "failed", "BOOT_FAIL": "failed",
    "DEADLINE": "failed", "PREEMPTED": "failed", "LAUNCH_FAILED": "failed", "RECONFIG_FAIL": "failed",
}
_NEVER = {
    "PartitionTimeLimit": "it requests more time than the partition allows: lower paraview_walltime or choose another paraview_queue",
    "PartitionNodeLimit": "it requests more nodes than the partition allows: lower paraview_nodes or choose another paraview_queue",
    "PartitionConfig": "it requests more than the partition has: lower paraview_nodes, or choose another paraview_queue",
    "PartitionDown": "the partition is down: choose another paraview_queue",
    "PartitionInactive": "the partition is inactive: choose another paraview_queue",
    "BadConstraints": "no node has what it requests: check paraview_constraint and paraview_directives",
    "AccountNotAllowed": "the account may not use this partition: set paraview_account",
    "InvalidAccount": "there is no such account: set paraview_account",
    "InvalidQOS": "there is no such quality of service: check paraview_qos",
    "QOSNotAllowed": "the quality of service may not be used here: check paraview_qos",
    "QOSTimeLimit": "it requests more time than the quality of service allows: lower paraview_walltime",
    "AssocMaxWallDurationPerJobLimit": "it requests more time than the account allows: lower paraview_walltime",
    "QOSMaxWallDurationPerJobLimit": "it requests more time than the quality of service allows: lower paraview_walltime",
    "MaxMemPerLimit": "it requests more memory than allowed: lower paraview_memory",
    "ReservationDeleted": "the reservation is gone: check paraview_reservation",
    "(?:Assoc|QOS)Max\\w*PerJob(?:Limit)?": "it requests more than one job may have: lower paraview_nodes, paraview_tasks_per_node, paraview_memory or "
                                            "paraview_walltime",
    "QOSMin\\w*NotSatisfied": "it requests less than the quality of service requires: check paraview_qos",
    "DependencyNeverSatisfied": "what it depends on can no longer happen: check paraview_directives",
}
TABLE = {
    "title": "Slurm",
    "detect": {"argv": ["sbatch", "--version"], "pattern": r"^slurm"},
    "submit": {"argv": ["sbatch", "--parsable", "{script}"], "job_id": r"^(?:Submitted batch job )?(?P<job_id>\d+)(?:;\S+| on cluster \S+)?$"},
    "ask": {
        "scontrol": {
            "argv": ["scontrol", "-o", "show", "job", "{job_id}"], "gone": r"Invalid job id specified", "fields": _PATTERNS,
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
    # Of several ids, squeue leaves out those that it does not know; of a single one it reports an error.
    "ask_together": {
        "argv": ["squeue", "-h", "-j", "{job_ids}", "-o", "%i|%T|%r|%N|%B|%S|%l|%M"],
        "record": r"^(?P<id>\d+)(?P<body>\|.*)$",
        "fields": {
            "native": r"^\|(?P<value>[A-Z_]+)", "reason": r"^\|[A-Z_]+\|(?P<value>[^|]*)",
            "nodes": r"^\|(?:[^|]*\|){2}(?P<value>[^|]+)", "root_node": r"^\|(?:[^|]*\|){3}(?P<value>[^|]+)",
            "expected_start": r"^\|(?:[^|]*\|){4}(?P<value>\d{4}-[^|\s]+)",
            "limit": r"^\|(?:[^|]*\|){5}(?P<value>[\d:-]+)", "elapsed": r"^\|(?:[^|]*\|){6}(?P<value>[\d:-]+)",
        },
    },
    "would_take": ["sbatch", "--test-only", "{script}"],
    "cancel": {"argv": ["scancel", "{job_id}"]},
    "first_node": {"argv": ["sinfo", "-h", "-N", "-r", "-t", "idle,mix,alloc,comp", "-o", "%N"], "pattern": r"^(?P<value>\S+)$"},
    "states": _STATES,
    "leaving": ["COMPLETING"],
    "no_reason": ["None", ""],
    "never": _NEVER,
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
            "comment": "--comment=sciviz.paraview<-{version}>",
            "output": "--output={output}", "nodes": "--nodes={nodes}", "tasks_per_node": "--ntasks-per-node={tasks_per_node}",
            "cpus_per_task": "--cpus-per-task={cpus_per_task}", "gpus_per_node": "--gres=gpu:{gpus_per_node}", "memory": "--mem={memory_mb}M",
            "walltime": "--time={walltime}", "queue": "--partition={queue}", "account": "--account={account}", "qos": "--qos={qos}",
            "reservation": "--reservation={reservation}", "constraint": "--constraint={constraint}", "exclusive": "{exclusive}",
        },
        "options": {
            "style": "long", "repeated": {"*": "last"},
            "same": {
                "-t": "--time", "-N": "--nodes", "-n": "--ntasks", "-c": "--cpus-per-task", "-p": "--partition", "-A": "--account", "-q": "--qos",
                "-C": "--constraint", "-o": "--output", "-J": "--job-name", "-a": "--array", "-W": "--wait", "-G": "--gpus",
                "--tasks-per-node": "--ntasks-per-node",
            },
            "flags": ["-H", "-I", "-k", "-K", "-O", "-Q", "-s", "-v", "-V", "-W", "-h", "--no-requeue", "--requeue", "--wait", "--exclusive"],
            "instead": {
                "--ntasks": ["--ntasks-per-node"], "--mem-per-cpu": ["--mem"], "--mem-per-gpu": ["--mem"], "--gpus": ["--gres"],
                "--gpus-per-node": ["--gres"],
            },
            "refused": {
                "--requeue": "a job that starts again would use connections that nobody has checked since",
                "--array.*": "a session is one job, and this makes several", "--wait": "sbatch would return only when the job is over",
            },
            "says": {
                "walltime": {"--time": "slurm_time"}, "queue": {"--partition": "text"}, "nodes": {"--nodes": "number"}, "tasks": {"--ntasks": "number"},
                "tasks_per_node": {"--ntasks-per-node": "number"},
            },
        },
    },
    # With --overlap the step needs no cores of its own; SLURM_OVERLAP is for steps that it starts.
    "attach": ["env", "SLURM_OVERLAP=1", "srun", "--jobid={job_id}", "--overlap", "--nodes=1", "--ntasks=1", "--input=none", "--export=ALL",
               "/bin/sh", "{script}"],
    "job_nodes": 'scontrol show hostnames "$SLURM_JOB_NODELIST"',
    # srun no longer reads it from the job by itself (release notes of 22.05).
    "job_setup": '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
    "launcher": "srun",
}
