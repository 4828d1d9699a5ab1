# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No batch system: a detached process on the login node."""

NAME, ORDER, KNOWN_AS = "none", 1000, "none"
PARTICULAR = "pvserver runs on the login node itself; never chosen by ``auto``"

# In a shell: "$1" is the script. The id of the job is PID.START: if the system uses a PID again, that process is not the job.
_DETACH = ('setsid /bin/sh "$1" </dev/null >/dev/null 2>&1 & p=$!; '
           'set -- $(sed "s/.*) //" "/proc/$p/stat"); echo "$p.${20}"')
_ASK_PROCESS = ('p=${1%%.*}; [ -r "/proc/$p/stat" ] || { echo GONE; exit 0; }; set -- "$1" $(sed "s/.*) //" "/proc/$p/stat"); '
                '[ "${1#*.}" = "${21}" ] && [ "$2" != Z ] && echo RUNNING || echo GONE')
_END_PROCESS = ('p=${1%%.*}; set -- "$1" $(sed "s/.*) //" "/proc/$p/stat" 2>/dev/null); '
                '[ "${1#*.}" = "${21}" ] || exit 0; kill -TERM "$p"')
TABLE = {
    "title": "no batch system",
    "submit": {"argv": ["/bin/sh", "-c", _DETACH, "sh", "{script}"], "job_id": r"^(?P<job_id>\d+\.\d+)$"},
    "ask": {"process": {"argv": ["/bin/sh", "-c", _ASK_PROCESS, "sh", "{job_id}"], "gone": r"\bGONE\b", "fields": {"native": r"^(?P<value>RUNNING)"}}},
    "cancel": {"argv": ["/bin/sh", "-c", _END_PROCESS, "sh", "{job_id}"]},
    "states": {"RUNNING": "running"},
    "directives": {
        "prefix": "# ", "quoting": "literal", "always": [],
        "lines": {"tasks": "tasks={tasks}", "cpus_per_task": "cpus_per_task={cpus_per_task}", "walltime": "walltime={walltime}", "output": "output={output}"},
    },
    "job_nodes": "hostname",
    "launcher": "mpiexec",
    "on_login_node": True,
}
