# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenPBS and PBS Pro. Sources: qsub(1B), qstat(1B), pbs_job_attributes(7B), and recorded output of OpenPBS."""

NAME, ORDER, KNOWN_AS = "pbs", 20, "PBS Pro, OpenPBS"
PARTICULAR = ("queried in JSON, or as text if its JSON is not valid; it reports how a job ended if the server keeps a history of jobs "
              "(``job_history_enable``); a reservation is a queue")

# A value may hold newlines, so the first match counts: state and substate come before any text of a user.
QSTAT_RECORD = r"^Job Id: (?P<id>\S+)[ \t]*\n(?P<body>(?:(?!^Job Id: ).*\n?)*)"
QSTAT_FIELDS = {
    "native": r"^    job_state = (?P<value>[A-Z])$", "detail": r"^    substate = (?P<value>\d+)$",
    "reason": r"^    comment = (?P<value>.*)$", "nodes": r"^    exec_host = (?P<value>\S+)$",
    "exit_status": r"^    Exit_status = (?P<value>-?\d{1,9})$", "expected_start": r"^    estimated\.start_time = (?P<value>.*)$",
    "limit": r"^    Resource_List\.walltime = (?P<value>[\d:]+)$", "elapsed": r"^    resources_used\.walltime = (?P<value>[\d:]+)$",
    "owner": r"^    Job_Owner = (?P<value>\S+)$",
}
_TEXT = {
    "gone": r"Unknown Job Id", "over": r"Job has finished", "unwrap": r"\n\t", "record": QSTAT_RECORD, "fields": QSTAT_FIELDS,
    "like": r"\bqstat(?!.*-F)(?!.*\s-\w*x)",
}
QSUB_REFUSED = {
    "-r y.*": "a job that starts again would use connections that nobody has checked since",
    "-[Jt] .*": "a session is one job, and this makes several", "-W block(?! false).*": "qsub would return only when the job is over",
    "-I": "the job would wait for a terminal", "-z": "qsub would not print the job's id",
}
_LIMIT = "waits until a limit on running jobs allows it"
NODE = r"(?:^|\+)\(?(?P<value>[^/+:()*\s]+)"
NODE_FILE = "awk '!seen[$0]++' \"$PBS_NODEFILE\""
# In a job that runs already: a login on a node has no PBS_NODEFILE, and an MPI that does not know PBS needs one in any case. pbs_attach lets the batch system
# end with the job what runs here; pbs_tmrsh starts ranks where a login from node to node is refused.
ATTACH_SETUP = """[ -r "$PBS_NODEFILE" ] || PBS_NODEFILE=$slots
PBS_JOBID=${PBS_JOBID:-$job_id}
export PBS_NODEFILE PBS_JOBID
name_hosts
if command -v pbs_attach; then limit 10 pbs_attach -j "$PBS_JOBID" -p $$; fi > /dev/null 2>&1
if [ -n "$second" ] && command -v pbs_tmrsh && ! limit 10 ssh -n -o BatchMode=yes -o ConnectTimeout=5 "$second" : && limit 10 pbs_tmrsh "$second" ':; :'; then
  OMPI_MCA_plm_rsh_agent=pbs_tmrsh PRTE_MCA_plm_ssh_agent=pbs_tmrsh
  export OMPI_MCA_plm_rsh_agent PRTE_MCA_plm_ssh_agent
fi > /dev/null 2>&1 < /dev/null"""
TABLE = {
    "title": "PBS",
    "detect": {"argv": ["qsub", "--version"], "pattern": r"\bpbs_version\b"},
    # Without -f, qsub stays in the background for minutes.
    "submit": {
        "argv": ["qsub", "-f", "{script}"], "older": ["qsub", "{script}"],
        "job_id": r"^[ \t]*(?P<job_id>[0-9]+(?:\[[0-9]*\])?(?:\.[A-Za-z0-9._-]+)?)[ \t]*$",
    },
    "ask": {
        # Without -x: a server that keeps no history of jobs (the default) refuses -x for every job, even for a running one.
        "json": {
            "argv": ["qstat", "-f", "-F", "json", "{job_id}"], "format": "json", "gone": _TEXT["gone"], "over": _TEXT["over"],
            "like": r"\bqstat\S*\s.*-F json",
            "jobs": "Jobs",
            "fields": {
                "native": "job_state", "detail": "substate", "reason": "comment", "nodes": "exec_host", "exit_status": "Exit_status",
                "expected_start": "estimated.start_time", "limit": "Resource_List.walltime", "elapsed": "resources_used.walltime",
                "owner": "Job_Owner",
            },
        },
        "text": dict(_TEXT, argv=["qstat", "-f", "-w", "{job_id}"], when="unreadable"),
        # Releases before 18 have no -F, and print a table for -w.
        "wrapped": dict(_TEXT, argv=["qstat", "-f", "{job_id}"], when="unreadable"),
        # How a job ended. If the server keeps no history, this has no result, and the previous answer counts.
        "history": dict(_TEXT, argv=["qstat", "-x", "-f", "{job_id}"], when="gone", like=r"\bqstat(?!.*-F)(?=.*\s-\w*x)"),
    },
    # A dead node cannot confirm: the owner may force the end.
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
        "Can Never Run: Not enough total nodes.*": "the batch system does not have as many nodes: lower paraview_nodes; if the site makes nodes once jobs wait "
                                                   "for them, set paraview_nodes_on_demand",
        "Can Never Run.*Insufficient amount of .*": "no node has as much: lower paraview_nodes, paraview_tasks_per_node, paraview_cpus_per_task, "
                                                    "paraview_gpus_per_node or paraview_memory",
        "Can Never Run.*": "the batch system will never start it as it is: change what its message names, or choose another paraview_queue",
    },
    "may_pass": {
        # Sites set such a resource to False while a file system or a license server is down.
        "Can Never Run: Insufficient amount of (?:server|queue) resource: .*\\(.* != .*\\)": (
            "waits until the site offers that resource again, since it is not there now: if it does not start, check paraview_directives"),
    },
    # Where the site makes nodes once jobs wait for them, these reasons pass.
    "on_demand": {
        "Can Never Run: (?:Not enough total nodes|Insufficient amount|No available resources|can't fit in the largest placement set|.* has too few).*": (
            "waits until the site has made its nodes: if it does not start, lower paraview_nodes or choose another paraview_queue"),
    },
    "explanations": {
        "Q/10": "it has to wait for its turn", "Not Running: .*(?:Queue|Server|Complex|complex|User|Group|Project).*[Ll]imit.*": _LIMIT,
        "Not Running: (?:Not enough|Insufficient amount|No available|.* has too few free|Node is in an ineligible state).*": "waits for nodes to become free",
        "Not Running: .*(?:exclusive node|Draining system|would conflict with reservation or top job|starving).*": "waits for nodes to become free",
        "Not Running: .*[Pp]rime-?time.*": "waits for the hours in which its queue runs jobs",
        "[Jj]ob held, too many failed attempts to run.*": "held: the batch system could not start it several times; the site has to release it",
        "Not Running: .*[Ll]imit.*": _LIMIT,
        "Not Running: Queue .*not (?:started|enabled|an execution queue).*": "waits until its queue is started: or choose another paraview_queue",
        "Not Running: .*(?:dedicated|reservation).*": "waits for the end of a reserved time", "H/20": "held: release it with qrls {job_id}",
        "H/22": "waits for another job", "H": "held: release it with qrls {job_id}", "W": "its begin time has not come", "T": "it is being moved",
        "M": "it was moved to another server", "S": "suspended by the batch system", "U": "suspended while the node's owner works",
        "R/41": "it is being started", "E": "it is ending", "F/91": "it was cancelled",
    },
    "exits": {
        "-29": "its wall time was over", "-28": "it used more processor time than it requested",
        "-27": "it used more memory than it requested: raise paraview_memory", "-26": "it used more memory than it requested: raise paraview_memory",
        "-25": "it used more cores than it requested: raise paraview_cpus_per_task",
        "-24": "it used more cores than it requested: raise paraview_cpus_per_task",
        "-1": "it could not be started on the node", "-2": "it could not be started on the node", "-3": "it could not be started on the node",
        "-10": "its user does not exist on the node", "-11": "a node was lost", "-30": "its nodes could not be joined",
        "254": "its shell does not exist on the node",
    },
    "exiting": ["E"],
    "leaving": ["E", "M"],
    # A job that is deleted has kill_delay (10 s) before its node confirms its end.
    "cancels_slowly": True,
    # Its node copies the job's output at the end. Without the directory, the job stays for half a minute, its output for ever.
    "delivers_output": True,
    "signals_from": 256,
    "directives": {
        # Old releases allow 15 characters in a name.
        "prefix": "#PBS ", "always": ["-N sciviz.paraview", "-S /bin/sh", "-j oe", "-r n"], "exclusive": "excl",
        "apart": [["queue", "reservation"]],
        "lines": {
            "output": "-o {output}",
            "select": "-l select={nodes}:ncpus={cores_per_node}:mpiprocs={tasks_per_node}<:ngpus={gpus_per_node}><:gpu_type={gpu_type}>"
                      "<:mem={memory_mb}mb><:{constraint}>",
            "place": "-l place=scatter<:{exclusive}>", "walltime": "-l walltime={walltime_hms}", "queue": "-q {queue}", "account": "-A {account}",
            # A reservation is a queue of its own.
            "reservation": "-q {reservation}",
        },
        "uneven": {
            "select": "-l select={more_nodes}:ncpus={more_cores}:mpiprocs={more_tasks}<:ngpus={more_gpus}><:gpu_type={gpu_type}><:mem={memory_mb}mb>"
                      "<:{constraint}>+{fewer_nodes}:ncpus={fewer_cores}:mpiprocs={fewer_tasks}<:ngpus={fewer_gpus}><:gpu_type={gpu_type}>"
                      "<:mem={memory_mb}mb><:{constraint}>",
        },
        "options": {
            "style": "letters", "repeated": {"-l": "first", "*": "last"}, "resources": {"-l": "list", "-W": "list"},
            "flags": ["-f", "-h", "-I", "-V", "-X", "-z"], "shell": "-S",
            # The server refuses select and place beside the older way to request chunks.
            "instead": {key: ["-l select", "-l place"] for key in ("-l nodes", "-l ncpus", "-l mppwidth")},
            "instead_on_one_core": {key: ["-l select", "-l place"] for key in ("-l mem", "-l vmem", "-l ngpus", "-l mpiprocs", "-l ompthreads")},
            "refused": QSUB_REFUSED,
            "quantities": {
                "walltime": {"-l walltime": "seconds"}, "queue": {"-q": "text"}, "nodes": {"-l select": "chunks", "-l nodes": "chunks"},
                "tasks_per_node": {"-l select": "mpiprocs", "-l nodes": "ppn"},
            },
            "spread": {"-l place": "scatter"},
        },
    },
    "job_nodes": NODE_FILE,
    "job_variable": "PBS_JOBID",
    "node_file": "PBS_NODEFILE",
    "attach_setup": ATTACH_SETUP,
    "node": NODE,
    "launcher": "mpiexec",
}
