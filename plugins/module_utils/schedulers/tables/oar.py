# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OAR. Sources: oarsub(1), oarstat(1), oardel(1), oarsh(1), and public answers of OAR 2.5. It was tested on recordings only."""

NAME, ORDER, KNOWN_AS = "oar", 70, "OAR, tested on recordings only"
PARTICULAR = ("``paraview_account`` is a project, ``paraview_constraint`` an SQL condition on the properties of nodes; "
              "GPUs have a name that each site chooses")

# Jobs that are killed have several events, in no particular order: OAR deletes a job whose wall time is over, too.
_EVENTS = ("WALLTIME", "BESTEFFORT_KILL", "WORKING_DIRECTORY", "OUTPUT_FILES", "USER_SHELL", "CPUSET_ERROR", "PING_CHECKER_NODE_SUSPECTED", "FRAG_JOB_REQUEST")
# The message of a job repeats its request; R is the number of its resources.
_REQUEST = r"R=\d|FIFO scheduling OK"
_WALLTIME, _NODE = "its wall time was over", "a node did not respond"
TABLE = {
    "title": "OAR",
    "detect": {"argv": ["oarsub", "--version"], "pattern": r"(?i)^OAR version\b"},
    # A script has to be executable; without -S its directives are ignored.
    "submit": {"argv": ["/bin/sh", "-c", 'chmod u+x "$1" && exec oarsub -S "$1"', "sh", "{script}"], "job_id": r"^OAR_JOB_ID=(?P<job_id>\d+)$"},
    "ask": {
        "json": {
            "argv": ["oarstat", "-f", "-J", "-j", "{job_id}"], "format": "json", "jobs": "@", "gone": r"arrayref expected",
            "fields": {
                "native": "state", "nodes": "assigned_network_address", "wait_status": "exit_code",
                "detail": ["events[?type=='{0}'].type | [0]".format(event) for event in _EVENTS],
                "reason": "[message][?!starts_with(@, 'R=') && @ != 'FIFO scheduling OK'] | [0]", "expected_start": ["scheduled_start", "scheduledStart"],
                "owner": "owner", "started": ["start_time", "startTime"], "limit": "walltime",
            },
        },
        "text": {
            "argv": ["oarstat", "-f", "-j", "{job_id}"], "when": "unreadable",
            "record": r"^(?:Job_Id|id): *(?P<id>\d+)[ \t]*\n(?P<body>(?:(?!^(?:Job_Id|id): *\d).*\n?)*)",
            "fields": {
                "native": r"^    state = (?P<value>\w+)$", "nodes": r"^    assigned_hostnames = (?P<value>\S+)$",
                "wait_status": r"^    exit_code = (?P<value>\d+) \(",
                "detail": [r"^[\d-]+ [\d:]+> (?P<value>{0}): ".format(event) for event in _EVENTS],
                "reason": r"^    message = (?P<value>(?!{0}).*\S)$".format(_REQUEST),
                "expected_start": r"^    (?:scheduledStart|scheduled_start) = (?P<value>\d.*)$",
                "owner": r"^    owner = (?P<value>\S+)$",
            },
        },
        # About a job of which OAR has no record, the other questions print nothing at all; this one prints an empty list.
        "state": {
            "argv": ["oarstat", "-s", "-J", "-j", "{job_id}"], "when": "nothing", "complete": r"^\{\s*\}\s*\Z", "gone": r"arrayref expected",
            "record": r"\"(?P<id>\d+)\"\s*:\s*(?P<body>\"\w+\")", "fields": {"native": r"\"(?P<value>\w+)\""},
        },
    },
    "cancel": {"argv": ["oardel", "{job_id}"], "over": r"already killed|Job does not exist"},
    "first_node": {"argv": ["oarnodes", "-s"], "pattern": r"^(?P<value>[A-Za-z0-9][^:\s]*): *\n(?:[ \t].*\n)*?[ \t].*\bAlive\b"},
    "states": {
        "Waiting": "pending", "Hold": "pending", "toAckReservation": "pending", "toLaunch": "pending", "Launching": "pending", "Running": "running",
        "Suspended": "running", "Resuming": "running", "Finishing": "running", "Terminated": "ended", "toError": "failed", "Error": "failed",
        "toError/FRAG_JOB_REQUEST": "cancelled", "Error/FRAG_JOB_REQUEST": "cancelled",
    },
    "explanations": {
        "Hold": "held: release it with oarresume {job_id}", "toAckReservation": "waits until its reservation is confirmed", "toLaunch": "it is being started",
        "Launching": "it is being started", "Suspended": "suspended by the batch system", "Resuming": "it is being resumed", "Finishing": "it is ending",
        "(?i)cannot find enough resources.*": "waits for nodes to become free", "(?i).*dependency with the job.*": "waits for another job",
        "(?:to)?Error/FRAG_JOB_REQUEST": "it was cancelled", "(?:to)?Error/WALLTIME": _WALLTIME,
        "(?:to)?Error/BESTEFFORT_KILL": "it was stopped in favour of another job", "(?:to)?Error/WORKING_DIRECTORY": "its directory does not exist on the node",
        "(?:to)?Error/OUTPUT_FILES": "its output cannot be written on the node", "(?:to)?Error/USER_SHELL": "its shell does not exist on the node",
        "(?:to)?Error/CPUSET_ERROR": _NODE, "(?:to)?Error/PING_CHECKER_NODE_SUSPECTED": _NODE,
    },
    "exiting": ["Finishing"],
    "leaving": ["toError", "Finishing"],
    # What shows that a job could not write to the session's directory.
    "unwritable": ["(?:to)?Error/WORKING_DIRECTORY", "(?:to)?Error/OUTPUT_FILES"],
    "directives": {
        # OAR takes the rest of a line as it stands, so quotes would be part of the value.
        "prefix": "#OAR ", "quoting": "literal", "always": ["-n sciviz.paraview"],
        "lines": {
            "output": "-O {output}", "errors": "-E {output}", "resources": "-l /nodes={nodes}/core={cores_per_node}<,walltime={walltime_hms}>",
            "queue": "-q {queue}", "account": "--project {account}", "constraint": "-p {constraint}",
        },
        # A second -l would be an alternative to the first.
        "options": {
            "style": "long",
            "same": {"-l": "--resource", "-q": "--queue", "-n": "--name", "-O": "--stdout", "-E": "--stderr", "-p": "--property", "-t": "--type"},
            "flags": ["--hold"],
            "refused": {"--array": "a session is one job", "--array-param-file": "a session is one job", "-I": "a session's job is not interactive"},
            "quantities": {"queue": {"--queue": "text"}, "walltime": {"--resource": "unknown"}, "nodes": {"--resource": "unknown"}},
        },
    },
    "attach": ["env", "OAR_JOB_ID={job_id}", "oarsh", "{node}", "/bin/sh", "{script}"],
    "job_nodes": "awk '!seen[$0]++' \"$OAR_NODEFILE\"",
    # MPI libraries have no support for OAR: they need the list of nodes, and the program that reaches the nodes of a job.
    "job_setup": ': "${OMPI_MCA_orte_default_hostfile=$OAR_NODEFILE}" "${PRTE_MCA_prte_default_hostfile=$OAR_NODEFILE}" "${HYDRA_HOST_FILE=$OAR_NODEFILE}"\n'
                 "export OMPI_MCA_orte_default_hostfile PRTE_MCA_prte_default_hostfile HYDRA_HOST_FILE\n"
                 "if command -v oarsh >/dev/null; then\n"
                 '  : "${OMPI_MCA_plm_rsh_agent=oarsh}" "${PRTE_MCA_plm_ssh_agent=oarsh}" "${HYDRA_LAUNCHER_EXEC=oarsh}"\n'
                 "  export OMPI_MCA_plm_rsh_agent PRTE_MCA_plm_ssh_agent HYDRA_LAUNCHER_EXEC\n"
                 "fi",
    "node": r"(?:^|[+,])(?P<value>[^+,\s]+)",
    "launcher": ["mpiexec", "-n", "{tasks}", "--map-by", "ppr:{per_node}:node"],
}
