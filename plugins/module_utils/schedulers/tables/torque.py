# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Torque. Source: its administrator guide."""

from .pbs import ATTACH_SETUP, NODE, NODE_FILE, QSTAT_FIELDS, QSTAT_RECORD, QSUB_REFUSED

NAME, ORDER, KNOWN_AS = "torque", 40, "Torque"
PARTICULAR = "memory is requested by process"

_GONE = r"Unknown Job Id"
_ASK = {
    "gone": _GONE, "unwrap": r"\n(?:\t|  (?=\S))", "record": QSTAT_RECORD, "may_be_walltime": True,
    "fields": dict(QSTAT_FIELDS, detail=r"^    exit_status = (?P<value>-?\d{1,9})$", exit_status=r"^    exit_status = (?P<value>-?\d{1,9})$",
                   reason=[r"^    comment = (?P<value>.*)$", r"^    sched_hint = (?P<value>.*)$"]),
}
TABLE = {
    "title": "Torque",
    "detect": {"argv": ["qstat", "--version"], "pattern": r"^[Vv]ersion:?\s*v?[2-9]\."},
    "submit": {"argv": ["qsub", "{script}"], "job_id": r"^[ \t]*(?P<job_id>(?:Moab\.)?[0-9]+(?:\[[0-9]*\])?(?:\.[A-Za-z0-9._-]+)?)[ \t]*$"},
    "ask": {
        "text": dict(_ASK, argv=["qstat", "-f", "-1", "{job_id}"], like=r"\bqstat\b.*\s-1\b"),
        # Releases before 2.4 have no -1.
        "wrapped": dict(_ASK, argv=["qstat", "-f", "{job_id}"], when="unreadable"),
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
    "may_pass": {
        ".*[Nn]ever run with the resources currently available.*": (
            "the nodes that are up now do not have what it requests: if it does not start, lower paraview_nodes, paraview_tasks_per_node or paraview_memory"),
    },
    "explanations": {
        "Not Running: .*(?:[Nn]ot enough|No available).*": "waits for nodes to become free",
        "Not Running: .*[Ll]imit.*": "waits until a limit on running jobs allows it",
        "H": "held: release it with qrls {job_id}", "W": "its begin time has not come", "T": "it is being moved", "S": "suspended by the batch system",
        "E": "it is ending", "C/271": "it was cancelled",
    },
    "exits": {
        "-1": "it could not be started on the node", "-2": "it could not be started on the node", "-3": "it could not be started on the node",
        "-4": "a node was lost", "-5": "a node was lost", "-6": "a node was lost", "-8": "it could not be started on the node",
        "-9": "its output file could not be opened on the node",
        "-10": "it used more memory than it requested: raise paraview_memory", "-11": "its wall time was over",
        "-12": "it used more processor time than it requested", "-13": "it could not be started on the node", "-14": "it could not be started on the node",
    },
    "exiting": ["E"],
    "leaving": ["E"],
    "cancels_slowly": True,
    "delivers_output": True,
    "signals_from": 256,
    # What shows that a job could not write to the session's directory.
    "unwritable": ["-9"],
    "directives": {
        # A name may have 15 characters.
        "prefix": "#PBS ", "always": ["-N sciviz.paraview", "-S /bin/sh", "-j oe", "-r n"], "exclusive": "-n",
        "lines": {
            "output": "-o {output}", "nodes": "-l nodes={nodes}:ppn={cores_per_node}<:gpus={gpus_per_node}><:{gpu_type}><:{constraint}>",
            "memory": "-l pmem={memory_mb_per_task}mb", "walltime": "-l walltime={walltime_hms}", "queue": "-q {queue}", "account": "-A {account}",
            "qos": "-l qos={qos}", "reservation": "-W x=FLAGS:ADVRES:{reservation}", "exclusive": "{exclusive}",
        },
        "uneven": {
            "nodes": "-l nodes={more_nodes}:ppn={more_cores}<:gpus={more_gpus}><:{gpu_type}><:{constraint}>"
                     "+{fewer_nodes}:ppn={fewer_cores}<:gpus={fewer_gpus}><:{gpu_type}><:{constraint}>",
        },
        "options": {
            "style": "letters", "resources": {"-l": "list", "-W": "list"}, "flags": ["-E", "-f", "-h", "-I", "-n", "-V", "-X", "-z"], "shell": "-S",
            "instead": {key: ["-l nodes"] for key in ("-l procs", "-l ncpus", "-l mppwidth")},
            "refused": QSUB_REFUSED,
            "quantities": {
                "walltime": {"-l walltime": "seconds"}, "queue": {"-q": "text"}, "nodes": {"-l nodes": "chunks"}, "tasks_per_node": {"-l nodes": "ppn"},
            },
        },
    },
    "job_nodes": NODE_FILE,
    "job_variable": "PBS_JOBID",
    "node_file": "PBS_NODEFILE",
    "attach_setup": ATTACH_SETUP,
    "node": NODE,
    "launcher": "mpiexec",
}
