# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slurm. Sources: sbatch(1), scontrol(1), sacct(1), Slurm's job reason codes, and recorded output of Slurm."""

from .. import own_script

NAME, ORDER, KNOWN_AS = "slurm", 10, "Slurm"
PARTICULAR = "queried with ``scontrol``; ``sacct``, where it is in use, reports a job that Slurm has already removed"

_PATTERNS = {
    "id": r"^[ \t]*JobId=(?P<value>\d+)",
    "native": r"\bJobState=(?P<value>[A-Z_]+)",
    # It may hold blanks and equals signs.
    "reason": r"\bJobState=[A-Z_]+\s+Reason=(?P<value>[^\n]{0,1000}?) (?:FailedNode|Dependency)=",
    "nodes": r"\sNodeList=(?P<value>\S+)",
    "root_node": r"\bBatchHost=(?P<value>\S+)",
    "exit_status": r"\bExitCode=(?P<value>[0-9]{1,9}):",
    "signal": r"\bExitCode=[0-9]+:(?P<value>[0-9]{1,9})",
    "expected_start": r"\bStartTime=(?P<value>\d{4}-\S+)",
    "elapsed": r"\bRunTime=(?P<value>[\d:-]+)",
    "limit": r"\bTimeLimit=(?P<value>[\d:-]+)",
    "owner": r"\bUserId=(?P<value>[^\s(]+)\(",
}
# An element of an array, a range of them, or a part of a heterogeneous job has more than a number.
_RECORD = r"^(?P<id>\d+(?:[_+]\d+|_\[[^|\]\n]*\])?)(?P<body>\|.*)$"
# At the beginning of a record, where no name of a job can stand.
_PARTS = [[r"^[ \t]*JobId=\S+ ArrayJobId=(\d+) ArrayTaskId=(\S+)", r"\1_[\2]"],
          [r"^[ \t]*JobId=\S+ (?:Het|Pack)JobId=(\d+) (?:Het|Pack)JobOffset=(\d+)", r"\1+\2"]]
_LEADER = [[r"^(\d+)\+0\|", r"\1"]]
_STATES = {
    "PENDING": "pending", "CONFIGURING": "pending", "REQUEUED": "pending", "REQUEUE_HOLD": "pending", "REQUEUE_FED": "pending",
    "SPECIAL_EXIT": "pending", "RESV_DEL_HOLD": "pending", "POWER_UP_NODE": "pending", "EXPEDITING": "pending",
    "RUNNING": "running", "SUSPENDED": "running", "STOPPED": "running", "RESIZING": "running", "SIGNALING": "running",
    "STAGE_OUT": "running", "COMPLETING": "running", "UPDATE_DB": "running",
    "COMPLETED": "ended", "CANCELLED": "cancelled", "REVOKED": "cancelled",
    "FAILED": "failed", "TIMEOUT": "failed", "NODE_FAIL": "failed", "OUT_OF_MEMORY": "failed", "BOOT_FAIL": "failed",
    "DEADLINE": "failed", "PREEMPTED": "failed", "LAUNCH_FAILED": "failed", "RECONFIG_FAIL": "failed",
}
_PER_JOB = "lower paraview_nodes, paraview_tasks_per_node, paraview_memory or paraview_walltime"
_NEVER = {
    "PartitionTimeLimit": "it requests more time than the partition allows: lower paraview_walltime or choose another paraview_queue",
    "PartitionConfig": "it requests more than the partition has: lower paraview_nodes, or choose another paraview_queue",
    "AccountNotAllowed": "the account may not use this partition: set paraview_account",
    "InvalidAccount": "there is no such account: set paraview_account",
    "InvalidQOS": "there is no such quality of service: check paraview_qos",
    "QOSNotAllowed": "the quality of service may not be used here: check paraview_qos",
    "QOSTimeLimit": "it requests more time than the quality of service allows: lower paraview_walltime",
    "AssocMaxWallDurationPerJobLimit": "it requests more time than the account allows: lower paraview_walltime",
    "QOSMaxWallDurationPerJobLimit": "it requests more time than the quality of service allows: lower paraview_walltime",
    "MaxMemPerLimit": "it requests more memory than allowed: lower paraview_memory",
    "ReservationDeleted": "the reservation is gone: check paraview_reservation",
    "(?:Assoc|QOS)Max\\w*PerJob(?:Limit)?": "it requests more than one job may have: " + _PER_JOB,
    "(?:Assoc|QOS)Max\\w*PerNode(?:Limit)?": "it requests more than a job may have on one node: lower paraview_gpus_per_node, paraview_cpus_per_task, "
                                             "paraview_tasks_per_node or paraview_memory",
    "QOSMin\\w*NotSatisfied": "it requests less than the quality of service requires: check paraview_qos",
    "DependencyNeverSatisfied": "what it depends on can no longer happen: check paraview_directives",
    # Slurm's own sentences have blanks in squeue, and underscores in scontrol.
    "Job's.account.not.permitted.to.use.this.partition.*": "the account may not use this partition: set paraview_account",
    "Job's.QOS.not.permitted.to.use.this.partition.*": "the quality of service may not be used here: check paraview_qos",
}
_MAY_PASS = {
    "PartitionNodeLimit": "it requests more nodes than the partition allows, or than are up now: if it does not start, lower paraview_nodes or choose another "
                          "paraview_queue",
    "PartitionDown": "waits until the partition is up again: or choose another paraview_queue",
    "PartitionInactive": "waits until the partition is active again: or choose another paraview_queue",
    "BadConstraints": "no node that is up now has what it requests: if it does not start, check paraview_constraint, paraview_gpus_per_node and "
                      "paraview_directives",
    "QOSMin(?!\\w*NotSatisfied)\\w*": "it requests less than the quality of service requires: if it does not start, check paraview_qos",
    "(?:FrontEndDown|NodeDown)": "waits until a node that it needs is up again",
}
_HELD = "held: release it with scontrol {cluster}release {job_id}"
TABLE = {
    "title": "Slurm",
    "detect": {"argv": ["sbatch", "--version"], "pattern": r"^slurm"},
    "submit": {
        "argv": ["sbatch", "--parsable", "{script}"],
        # Behind the words, or alone on its line.
        "job_id": r"(?i)^(?:(?:[^\n]*[]:>)-])?[ \t]*submitted batch job |(?=[ \t]*[0-9]+(?:;\S[^\n]*)?\.?[ \t]*$))[ \t]*(?P<job_id>[0-9]+)"
                  r"(?:(?:;| on cluster )(?P<cluster>[\w.-]+))?",
    },
    # If an id has a cluster, such as 123;inter, each command gets the number and this option.
    "cluster": ["-M", "{cluster}"],
    "ask": {
        "scontrol": {
            "argv": ["scontrol", "-o", "show", "job", "{job_id}"], "gone": r"Invalid job id specified", "fields": _PATTERNS,
            "like": r"\bscontrol\b(?!.*--json)",
            "record": r"^(?P<body>[ \t]*JobId=.*(?:\n(?![ \t]*JobId=).*)*)",
            "other_ids": _PARTS,
        },
        "squeue": {
            "argv": ["squeue", "-h", "-j", "{job_id}", "-o", "%i|%T|%r|%N|%B|%S"], "when": "unreadable",
            "like": r"\bsqueue\b(?!.*--json)",
            "gone": r"Invalid job id specified", "silence": "gone",
            "record": _RECORD, "other_ids": _LEADER,
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
            "record": _RECORD, "other_ids": _LEADER, "latest": True,
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
        "record": _RECORD, "other_ids": _LEADER,
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
    "may_pass": _MAY_PASS,
    "explanations": {
        "JobHeldUser": _HELD, "JobHeldAdmin": "held by an administrator, who has to release it", "JobHoldMaxRequeue": _HELD,
        ".*requeued.(?:in.)?held.*": _HELD, "Reservation.*was.deleted": _HELD, "RESV_DEL_HOLD": _HELD, "REQUEUE_HOLD": _HELD, "SPECIAL_EXIT": _HELD,
        "Priority": "other jobs come first", "Resources": "waits for nodes to become free",
        ".*[Rr]eserved.for.maintenance.*": "its nodes are reserved for maintenance: if it ends before that, it can start before that, so lower "
                                           "paraview_walltime",
        "Nodes.required.for.job.are.DOWN.*": "waits for nodes to become free: those it needs are down or reserved",
        "ReqNodeNotAvail.*": "waits for nodes to become free: those it needs are down or reserved",
        "BeginTime": "its begin time has not come", "Dependency": "waits for another job", "Reservation": "waits for its reservation",
        "Licenses": "waits for a license",
        "(?:Assoc|QOS)?(?:Max|Grp).*|Association\\w*Limit|QOS\\w*(?:Limit|Threshold)|AccountingPolicy|Job.is.at.or.exceeds.*|JobArrayTaskLimit":
            "waits until a limit of the account or quality of service allows it",
        "Cleaning": "waits until its last run is cleared away", "Prolog": "its nodes are being prepared",
        "BurstBuffer\\w*": "waits for its burst buffer", "SchedDefer": "the batch system starts no job at this moment",
        "Power(?:NotAvail|Reserved)": "waits for nodes to become free: they need more power than there is now",
        "CONFIGURING": "its nodes are being started", "SUSPENDED": "suspended by the batch system", "STOPPED": "suspended by the batch system",
        "TIMEOUT": "its wall time was over", "NODE_FAIL": "a node was lost", "OUT_OF_MEMORY": "it ran out of memory: raise paraview_memory",
        "PREEMPTED": "another job took its place", "CANCELLED": "it was cancelled",
        "REVOKED": "it was cancelled here: another cluster of the federation runs it", "BOOT_FAIL": "its nodes could not be started",
        "DEADLINE": "its deadline was over",
    },
    "exits": {"181": "its directory or its output file could not be opened on the node"},
    # What shows that a job could not write to the session's directory.
    "unwritable": ["181"],
    "directives": {
        "prefix": "#SBATCH ", "always": ["--no-requeue", "--job-name=pvserver"], "exclusive": "--exclusive",
        "lines": {
            "comment": "--comment=sciviz.paraview<-{version}>",
            "output": "--output={output}", "nodes": "--nodes={nodes}", "tasks_per_node": "--ntasks-per-node={tasks_per_node}",
            "cpus_per_task": "--cpus-per-task={cpus_per_task}", "gpus_per_node": "--gres=gpu<:{gpu_type}>:{gpus_per_node}",
            "gpus_per_task": "--gpus-per-task=<{gpu_type}:>{gpus_per_task}", "gpus": "--gpus=<{gpu_type}:>{gpus}", "memory": "--mem={memory_mb}M",
            "walltime": "--time={walltime}", "queue": "--partition={queue}", "account": "--account={account}", "qos": "--qos={qos}",
            "reservation": "--reservation={reservation}", "constraint": "--constraint={constraint}", "cluster": "--clusters={slurm_cluster}",
            "exclusive": "{exclusive}",
        },
        # srun and sbatch warn of a number for each node whose product with the nodes is not the number of all tasks.
        "uneven": {"tasks_per_node": "--ntasks={tasks}"},
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
            "quantities": {
                "walltime": {"--time": "slurm_time"}, "queue": {"--partition": "text"}, "nodes": {"--nodes": "number"}, "tasks": {"--ntasks": "number"},
                "tasks_per_node": {"--ntasks-per-node": "number"},
            },
        },
    },
    # For the time when scontrol does not answer.
    "details": {
        "argv": ["squeue", "-h", "-j", "{job_id}", "-o", "%i|%T|%u|%l|%M"], "gone": r"Invalid job id specified",
        "record": _RECORD, "other_ids": _LEADER,
        "fields": {
            "native": r"^\|(?P<value>[A-Z_]+)", "owner": r"^\|[^|]*\|(?P<value>[^|\s]+)", "limit": r"^\|(?:[^|]*\|){2}(?P<value>[\d:-]+)",
            "elapsed": r"^\|(?:[^|]*\|){3}(?P<value>[\d:-]+)",
        },
    },
    # With --overlap the step needs no cores of its own; SLURM_OVERLAP is for steps that it starts.
    "attach": ["env", "SLURM_OVERLAP=1", "srun", "{cluster}", "--jobid={job_id}", "--overlap", "--nodes=1", "--ntasks=1", "--nodelist={node}",
               "--input=none", "--export=ALL"] + own_script.WORDS,
    # srun describes this step of one process. What starts ranks has to see the whole job.
    "attach_setup": 'SLURM_NNODES=$all SLURM_JOB_NUM_NODES=$all SLURM_NTASKS=$((use * each)) SLURM_NPROCS=$((use * each)) SLURM_TASKS_PER_NODE="$each(x$all)"\n'
                    '[ -z "$SLURM_JOB_NODELIST" ] || SLURM_NODELIST=$SLURM_JOB_NODELIST\n'
                    'unset SLURM_NTASKS_PER_NODE SLURM_DISTRIBUTION',
    "job_nodes": 'scontrol show hostnames "$SLURM_JOB_NODELIST"',
    # srun no longer reads it from the job by itself (release notes of 22.05).
    "job_setup": '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
    "launcher": "srun",
}
