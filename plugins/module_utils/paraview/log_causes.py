# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cause of a job's end, read from its log.

A log mixes messages of many programs: modules, the user's own commands, libraries, pvserver, its loader, MPI, the batch system. Only a line in the
format of a reliable source names a cause: SOURCES recognises the source of a line, RULES its message, and CAUSES has the text for the user.

Sources: recorded output of pvserver 5.11, 5.13 and 6.1, OpenMPI 4 and 5, Debian's shells and Slurm (tests/unit/logs), and manuals and public
logs of the other batch systems and MPI launchers.
"""

import collections
import re
import typing as t

from ..common import text

#: The weight of a line; of two lines the heavier one names the cause.
#: VERDICT: the program that ended the job gives the reason. FATAL: the program that failed gives the reason. CRASH: a process was killed, without a reason.
#: REFUSED: a launcher started nothing. ENDED: an end without a reason. HINT: no end in itself, but the likely cause of a crash that follows.
#: STRAY: pvserver rejected a connection, and continued to wait.
VERDICT, FATAL, CRASH, REFUSED, ENDED, HINT, STRAY = 6, 5, 4, 3, 2, 1, 0


class Cause(t.NamedTuple):
    """A cause: its kind (a word), what happened, the way out (both without a capital or a full stop), and the log's own line."""

    kind: str
    what: str
    way_out: str
    line: str


_MORE_MEMORY = "raise paraview_memory, use more nodes (paraview_nodes), or load less data"
_CPU_TIME = "request more processor time in paraview_directives"
_ON_PATH = "set paraview_modules or paraview_setup so that it is found on the node, or give its full path in paraview_pvserver"
_ENVIRONMENT = "load what it needs with paraview_modules or paraview_setup, or name another pvserver in paraview_pvserver"
_NUMBERS = "make paraview_nodes, paraview_tasks_per_node and paraview_cpus_per_task fit the job's allocation"
_LAUNCHER = _NUMBERS + "; paraview_mpi_launcher names what starts the ranks"
_SPACE = "free some space: check the quota of your home and of the job's directories"
_PORT = "leave paraview_server_ports out, or give another range"
_AGAIN = "connect again"
_LISTEN = "let ParaView listen before pvserver connects, and let no other program use its port"
_OPENGL = "set paraview_rendering: xvfb, use nodes that have it, or ask the site to install it"
_CPU = "use a pvserver that was built for these nodes (paraview_modules, paraview_pvserver), or other nodes (paraview_queue)"
_CRASHED = "connect again; if it happens again at the same step, try another version of ParaView or less data"
_SAME_ID = "give the client this session's connect-id (--connect-id)"

#: name: (kind, what happened, way out). Groups of a rule's pattern and of its source's format fill the blanks.
CAUSES = {
    "memory": ("memory", "the job ran out of memory", _MORE_MEMORY),
    "own_memory": ("memory", "pvserver ran out of memory", _MORE_MEMORY),
    "time": ("time", "its wall time was over", "raise paraview_walltime"),
    "cpu_time": ("time", "its limit of processor time was over", _CPU_TIME),
    "preempted": ("preempted", "another job took its place", "connect again, or use another queue (paraview_queue)"),
    "node": ("node", "a node of the job failed", _AGAIN),
    "limit": ("limit", "it had more processes than the batch system allows", _NUMBERS),
    "cancelled": ("cancelled", "it was cancelled", _AGAIN),
    "requeued": ("cancelled", "the batch system put the job back into the queue", _AGAIN),
    "ended": ("cancelled", "the batch system ended the job: {message}", "request the resources that the job needs, then connect again"),
    "step": ("cancelled", "the job step was cancelled", _AGAIN),
    "disk": ("disk", "there is no room left on a disk that the job writes to", _SPACE),
    "program": ("program", "{program} could not be started: {why}", _ON_PATH),
    "program_somehow": ("program", "{program} could not be started: it was not found, or may not be executed", _ON_PATH),
    "contained_program": ("program", "{program} could not be started: it was not found in the container",
                          "give its full path in the container in paraview_pvserver, or use an image that has it"),
    "image": ("image", "the container's image cannot be used: {message}",
              "name an image in paraview_pvserver that the nodes can read, by its full path; of variables in it only a ~ at its beginning is replaced"),
    "terminal": ("launcher", "the container needs a terminal, and a job has none", "leave the option -t (--tty) out of paraview_pvserver"),
    "container": ("launcher", "the container did not start: {message}", "correct paraview_pvserver"),
    "srun": ("launcher", "srun did not start pvserver: {message}", _LAUNCHER),
    "slots": ("slots", "MPI was to start more processes than the job has slots for", _NUMBERS),
    "root": ("launcher", "the MPI launcher does not run as root", "connect as another user"),
    "mpi": ("mpi", "MPI could not start: {message}", "load the MPI that this pvserver was built with (paraview_modules), or set paraview_mpi_launcher"),
    "port": ("port", "pvserver's port is in use on its node", _PORT),
    "port_refused": ("port", "pvserver may not listen on its port: {message}", _PORT),
    "port_somehow": ("port", "pvserver could not listen on its port", _PORT),
    "host": ("peer", "pvserver's node cannot resolve the host name {host}", "ask the site by which address its nodes reach the login node"),
    "nobody": ("peer", "nothing listened where pvserver connects to, for 60 s", _LISTEN),
    "hung_up": ("peer", "pvserver's connection was accepted and closed immediately: no client was behind it", _LISTEN),
    "versions": ("versions", "client and pvserver did not agree: their versions differ", "use the same version of ParaView on both sides"),
    "connect_id": ("connect_id", "client and pvserver did not agree: the client has another connect-id", _SAME_ID),
    "refused": ("refused", "the client closed the connection to pvserver: its connect-id or its version of ParaView differs",
                _SAME_ID + ", and use the same version of ParaView on both sides"),
    "option": ("option", "pvserver does not have the option {option}", "correct paraview_pvserver: pvserver --help lists the options of this version"),
    "value": ("option", "pvserver does not accept this value: {message}", "correct paraview_pvserver: pvserver --help lists the options of this version"),
    "launcher_option": ("option", "{launcher} does not have the option {option}", "correct paraview_mpi_launcher or paraview_pvserver"),
    "display": ("display", "pvserver has no display, and this pvserver cannot render without one",
                "set paraview_rendering: xvfb, or load a ParaView that renders without a display (EGL or OSMesa)"),
    "xvfb": ("display", "xvfb-run could not start a display: {message}", "check whether Xvfb is installed on the nodes, or set another paraview_rendering"),
    "opengl": ("opengl", "pvserver found no OpenGL to render with: {library} is missing on the node", _OPENGL),
    "opengl_somehow": ("opengl", "pvserver could not use OpenGL on the node", _OPENGL),
    "driver": ("opengl", "pvserver found no OpenGL driver on the node: {library}", _OPENGL),
    "file": ("file", "pvserver could not open {file}", "check whether that file exists on the nodes and is readable there"),
    "library": ("library", "a library of {program} is missing or broken on the node: {library}", _ENVIRONMENT),
    "old_library": ("library", "a library on the node is too old for {program}: {version} is missing", _ENVIRONMENT),
    "other_library": ("library", "{program} loaded another version of a library than it was built with: {library}", _ENVIRONMENT),
    "cpu": ("cpu", "pvserver was built for another processor than the node's", _CPU),
    "exception": ("exception", "pvserver ended with an unhandled error ({exception})", _CRASHED),
    "python": ("python", "pvserver's Python could not start: {message}",
               "unset PYTHONHOME and PYTHONPATH in paraview_setup, or load the Python that this pvserver was built with"),
    "heap": ("heap", "pvserver's memory was corrupted", _CRASHED),
}

_LAUNCHERS = (r"(?:srun|aprun|jsrun|ibrun|mpirun|mpiexec(?:\.\w+)?|orterun|prterun|prun|prte|orted|prted|hydra_\w+|pmi_proxy|xvfb-run|Xvfb|apptainer"
              r"|singularity|shifter|podman(?:-hpc)?|docker|sarus|enroot|ch-run|bwrap)")
# The prefix of a shell's message: "sh: 1: ", "/bin/x.sh: line 3: ", or the shell's name.
_SHELL = r"(?:[^\s:]+: (?:line )?\d+: |-?\w{0,3}sh: (?:(?:line )?\d+: )?)?"
_WRAPPER = (r"(?:env: |execve\(\): |(?:timeout|nohup|nice|stdbuf|taskset|numactl): failed to (?:run command|execute):? |setsid: failed to execute )?"
            r"['\"\u2018`]?")
_WHY = (r"(?P<why>[Cc]ommand not found|not found|No such file or directory|Permission denied|[Cc]annot execute[\w :]*|[Ee]xec format error"
        r"|Is a directory)\.?")
_NO_SPACE = r"(?:No space left on device|Disk quota exceeded)"
_IMAGE = (r"could not open image|Unable to handle \S+ uri|While making image|[Ii]mage path .* doesn't exist|invalid image|image not known|[Nn]o such image"
          r"|manifest unknown|reading manifest|pull access denied|initializing source|short-name|find requested image|denied to image|setup image"
          r"|find image|can't stat: |[Ii]mage \S+ is not available|No such file or directory: \S+\.sqsh|failed to import docker image")
_DIED = r"(?:Segmentation fault|Aborted|Killed|Illegal instruction|Bus error|Floating point exception)"

#: Sources of lines: a name, and the format of its lines. The message is the group "words", or the whole line if the format has no such group.
SOURCES = (
    ("slurm", r"(?:^|[^\w/.'\"])slurm(?:step)?d(?:-[\w.-]+)?: (?:error: |fatal: )?(?P<words>.*)"),
    ("srun", r"^srun: (?:error: |fatal: )(?P<words>.*)"),
    ("pbs", r"=>> PBS: (?P<words>job killed.*)"),
    ("pbs", r"^(?:\S+ )?(?:Killed )?(?P<words>Cgroup \w+ limit exceeded.*)"),
    ("lsf", r"^TERM_(?P<words>[A-Z]\w*(?::.*)?$)"),
    ("gridengine", r"(?:^|\|)job \d+(?:\.\d+)? (?P<words>exceed(?:ed|s) .*)"),
    ("flux", r"^(?:[\d.]+s: )?job\.exception (?:\S+ )??(?P<words>type=.*)"),
    ("flux", r"^(?:[\d.]+s: )?flux-shell\[\d+\]: +(?:ERROR|FATAL): (?P<words>.*)"),
    ("alps", r"^\[NID \S+\] .*\bApid \d+: (?P<words>.*)"),
    ("alps", r"^_pmiu_daemon\(SIGCHLD\): .*(?P<words>PE RANK \d+ exit signal .*)"),
    ("pals", r"^[\w.-]+: (?P<words>(?:rank \d+|shepherd) (?:died from signal \d+|exited with code \d+).*)"),
    ("plexec", r"^\[(?:ERR|WARN)\.?\] PLE \d{4} plexec (?P<words>.*)"),
    ("kernel", r"^(?:\[[ \d.]+\] |(?:.{0,60} )?kernel: (?:\[[ \d.]+\] )?)?(?P<words>(?:Memory cgroup out|Out) of memory: .*|oom-kill:.*)"),
    ("kernel", r"^(?:Out of memory|oom-kill)\.?$"),
    ("vtk", r"^(?:[\d-]+ [\d:.]+ )?(?:\( *[\d.]+s\) *)?(?:\[[^\]]{1,40}\] *)?[\w.]*:\d+ +(?P<level>ERR|FATL|WARN)\| ?(?P<words>.*)"),
    ("vtk", r"^(?P<object>vtk\w+ \(0x[0-9a-f]+\)): (?P<words>.*)"),
    ("options", r"^(?:The following arguments? (?:was|were) not expected: |Could not convert: |Got unknown argument: ?|--[\w-]+: ).*"),
    ("loguru", r"^Loguru caught a signal: .*"),
    ("cxx", r"^terminate called (?:after throwing an instance of|without) .*"),
    ("glibc", r"^(?:double free or corruption|free\(\): |malloc\w*\(\): |realloc\(\): |munmap_chunk\(\): |corrupted size vs\. |Fatal glibc error: ).*"),
    ("glibc", r"^(?P<words>\*\*\* (?:stack smashing|buffer overflow) detected.*)"),
    ("intel", r"^(?:Please verify that both the operating system and the processor support"
              r"|This program was not built to run on the processor in your system).*"),
    ("python", r"^(?:MemoryError\b|numpy\.\S*MemoryError: |Fatal Python error: ).*"),
    ("libgl", r"^(?:(?:libGL|libEGL) (?:error|fatal): |MESA-LOADER: failed to ).*"),
    ("loader", r"(?:^|\s)(?P<program>[^\s:]+): (?P<words>error while loading shared libraries: .*|(?:symbol lookup|relocation) error: .*"
               r"|\S+: version `[^']+' not found \(required by .*)"),
    ("loader", r"^Error (?P<words>loading shared library .*)"),
    ("signals", r"^\[[\w.-]+:\d+ ?(?::\d+:\d+)?\] (?P<words>Signal: .*\(\d+\)|Caught signal \d+.*)"),
    ("signals", r"^Caught signal \d+.*"),
    ("mpi", r"^" + _LAUNCHERS + r" (?:noticed that|was unable to|detected that|has detected|has exited due to) .*"),
    ("mpi", r"^" + _LAUNCHERS + r": (?:[Ee]rror: )?(?:unknown|unrecognized|invalid) option.*"),
    ("mpi", r"^(?:There are not enough slots available |All nodes which are allocated for this job are already filled"
            r"|A request was made to bind to that would result in binding more|Your job has requested more (?:processes|resources|cpus) ).*"),
    ("mpi", r"^(?:(?:ORTE|PRTE|PRRTE) (?:was unable to reliably start|has lost communication with)|An (?:ORTE|PRTE) daemon has unexpectedly failed"
            r"|It looks like MPI_I(?:NIT|nit) failed|(?:Abort\(\d+\) on node \d+.*: )?Fatal error in (?:internal_|P?)MPI_Init).*"),
    ("mpi", r"^(?:= +(?:KILLED BY SIGNAL|EXIT CODE): \d+|YOUR APPLICATION TERMINATED WITH THE EXIT STRING: |Primary job +terminated normally).*"),
    ("mpi", r"(?P<words>execvp error on file .*)"),
    # Apptainer and Singularity; Podman and Docker; Shifter; Charliecloud; Pyxis and Enroot; Sarus; programs that enter another root.
    ("container", r"^FATAL: +(?P<words>\S.*)"),
    ("container", r"^/\.singularity\.d/\S+: (?:(?:exec|line \d+|\d+): )*(?P<words>.*)"),
    ("container", r"^Error for command \"\w+\": (?P<words>.*)"),
    ("container", r"^(?:docker: )?Error(?: response from daemon)?: (?P<words>.*(?:OCI runtime|\b(?:crun|runc|youki): |" + _IMAGE + r").*)"),
    ("container", r"^(?P<words>the input device is not a TTY)"),
    ("container", r"^(?:shifter: |FAILED (?=(?:to find|to setup|permission denied to) (?:requested )?image))(?P<words>.*)"),
    ("container", r"^(?:ch-run\[\d+\]: (?:error: )?|bwrap: |(?:\S*/)?(?:unshare|nsenter|chroot|proot): )(?P<words>.*)"),
    ("container", r"\berror: pyxis: +(?:\[ERROR\] )?(?P<words>(?!\[|printing ).*)"),
    ("container", r"^\[\d+\.\d+\] (?:\[[^\]]+\] ){2}\[ERROR\] (?P<words>.*)"),
    ("xvfb", r"^xvfb-run: error: (?P<words>.*)"),
    # Our own script, which the batch system runs.
    ("job", r"^\S*(?:job\.sh|slurm_script|\.SC|/job_scripts/\d+): (?:line )?\d+: (?P<words>.*)"),
    ("job", r"^(?P<words>(?:mv|cat|cp|sync|tail|head|sed|tr|printf|tee): .*\b(?:status|beat|said|rc|pid|log|go|agent|news)\b.*: " + _NO_SPACE + r")$"),
    ("shell", r"^" + _SHELL + r"(?:exec: )?" + _WRAPPER + r"(?P<program>[^\s:'\"\u2019]+)['\"\u2019]?: "
              r"(?P<words>(?:cannot execute: |\S+: bad interpreter: )?" + _WHY + r")$"),
    ("shell", r"^(?:zsh|[^\s:]*\.sh):(?:\d+:)? (?P<words>(?P<why>command not found)): (?P<program>\S+)$"),
    ("shell", r"^(?:[^\s:]+: line \d+: +)?(?:\d+ +)?(?P<words>" + _DIED + r")(?: +\(core dumped\))?(?: {2,}(?P<command>.*))?$"),
    ("pvserver", r"^(?:Waiting for client\.\.\.|Connecting to client |Client connected\.|Exiting\.\.\.).*"),
)

#: Source, weight, name of the cause (None: a signal, whose number or name is in the group "signal"; "": an end without a reason), pattern of the
#: message. The first match counts.
RULES = (
    ("slurm", VERDICT, "time", r"DUE TO TIME LIMIT"),
    ("slurm", VERDICT, "preempted", r"DUE TO (?:JOB )?PREEMPTION"),
    ("slurm", VERDICT, "node", r"DUE TO NODE FAILURE|UNCORRECTABLE MEMORY ERROR"),
    ("slurm", VERDICT, "requeued", r"DUE TO JOB REQUEUE"),
    ("slurm", VERDICT, "memory", r"oom[-_]kill|[Ee]xceeded (?:\w+ )*memory limit|Out Of Memory"),
    ("slurm", VERDICT, "cancelled", r"\bJOB \S+ (?:ON \S+ )?CANCELLED"),
    ("slurm", ENDED, "step", r"\bSTEP \S+ (?:ON \S+ )?CANCELLED"),
    ("slurm", FATAL, "disk", _NO_SPACE),
    ("slurm", FATAL, "image", r"(?P<message>Failed to lookup image)"),
    ("slurm", FATAL, "program", r"execve\(\): (?P<program>\S+): " + _WHY),
    ("srun", VERDICT, "memory", r"task.*: Out Of Memory"),
    ("srun", VERDICT, "node", r"Node failure on \S+"),
    ("srun", ENDED, "", r"tasks? [\d,-]+: Exited with exit code"),
    ("srun", CRASH, None, r"tasks? [\d,-]+: (?P<signal>[A-Z][a-z]+(?: \w+)*?)(?: \(core dumped\))?$"),
    ("srun", FATAL, "launcher_option", r"(?:unrecognized|unknown|invalid) option (?:-- )?'?(?P<option>[^\s']+)"),
    ("srun", FATAL, "image", r"(?P<message>Failed to lookup image)"),
    ("srun", REFUSED, "srun", r"(?P<message>.*)"),
    ("pbs", VERDICT, "time", r"job killed: walltime"),
    ("pbs", VERDICT, "memory", r"job killed: \w*mem\w* |Cgroup \w*mem\w* limit exceeded"),
    ("pbs", VERDICT, "cpu_time", r"job killed: cput"),
    ("pbs", VERDICT, "node", r"job killed: .*(?:node|down|fail)"),
    ("pbs", VERDICT, "ended", r"(?:job killed:? ?)?(?P<message>.*)"),
    ("lsf", VERDICT, "memory", r"^(?:MEMLIMIT|SWAP\w*)\b"),
    ("lsf", VERDICT, "time", r"^(?:RUNLIMIT|DEADLINE|WINDOW\w*)\b"),
    ("lsf", VERDICT, "cpu_time", r"^CPULIMIT\b"),
    ("lsf", VERDICT, "preempted", r"^PREEMPT\b"),
    ("lsf", VERDICT, "node", r"^(?:ZOMBIE|LOAD)\b"),
    ("lsf", VERDICT, "cancelled", r"^(?:FORCE_)?(?:OWNER|ADMIN)\b"),
    ("lsf", VERDICT, "limit", r"^(?:PROCESSLIMIT|THREADLIMIT)\b"),
    ("gridengine", VERDICT, "time", r"(?:hard|soft) wallclock time|limit \"?[hs]_rt"),
    ("gridengine", VERDICT, "memory", r"limit \"?[hs]_(?:vmem|rss|data|stack)"),
    ("gridengine", VERDICT, "cpu_time", r"limit \"?[hs]_cpu"),
    ("flux", VERDICT, "time", r"type=timeout"),
    ("flux", VERDICT, "cancelled", r"type=cancel"),
    ("flux", VERDICT, "preempted", r"type=preempt"),
    ("flux", VERDICT, "node", r"type=node-fail|lost contact|node failure"),
    ("flux", VERDICT, "memory", r"\boom: |out of memory"),
    ("flux", FATAL, "program", r"start failed: (?P<program>\S+): " + _WHY),
    ("alps", VERDICT, "memory", r"OOM killer terminated"),
    ("alps", CRASH, None, r"exit signal (?P<signal>\w[\w ]*)"),
    ("pals", FATAL, "node", r"^shepherd died"),
    ("pals", CRASH, None, r"died from signal (?P<signal>\d+)"),
    ("pals", ENDED, "", r"exited with code"),
    ("plexec", CRASH, None, r"\(sig=(?P<signal>\d+)\)"),
    ("kernel", VERDICT, "memory", r"of memory: Kill\w* process \d+,? \(pvserver|^oom-kill:.*task=pvserver|^(?:Out of memory|oom-kill)\.?$"),
    ("vtk", FATAL, "port", r"Socket error in call to bind\. Address already in use"),
    ("vtk", FATAL, "port_refused", r"Socket error in call to bind\. (?P<message>[^.]+)"),
    ("vtk", FATAL, "port_somehow", r"Failed to set up server socket"),
    ("vtk", FATAL, "host", r"Unknown host: (?P<host>\S+)"),
    ("vtk", FATAL, "nobody", r"Connect timeout"),
    ("vtk", FATAL, "hung_up", r"Endian handshake failed|Could not (?:receive|send) (?:tag|length)"),
    ("vtk", FATAL, "versions", r"version hash mismatch"),
    ("vtk", FATAL, "connect_id", r"connection ids do not match"),
    ("vtk", FATAL, "display", r"bad X server connection"),
    ("vtk", HINT, "opengl", r"(?P<library>lib\w*(?:GL|Mesa)\w*) not found|Failed to load (?P<missing>EGL|GLX|OSMesa|OpenGL)"),
    ("vtk", HINT, "opengl_somehow", r"EGL.*(?:[Ff]ailed|[Cc]ould not|[Uu]nable|No )|^vtkEGLRenderWindow \("
                                    r"|Unable to find a valid OpenGL|GLEW could not be initialized"
                                    r"|[Uu]nable to create (?:a|an) .*(?:context|OpenGL)"),
    ("vtk", HINT, "own_memory", r"Unable to allocate \d+ elements|std::bad_alloc"),
    ("vtk", HINT, "disk", _NO_SPACE),
    ("vtk", HINT, "file", r"(?:Error opening|[Cc]ould ?n[o']t open|[Uu]nable to open|[Ff]ailed to open|[Cc]annot open)(?: the)? file:? *\"?(?P<file>[^\s\"]+?)"
                          r"[:.,]?(?:\"|\s|$)|File (?P<named>\S+) (?:does not exist|not found|doesn't exist)"),
    ("vtk", CRASH, None, r"^Signal: (?P<signal>SIG\w+)"),
    ("options", FATAL, "option", r"(?:not expected|unknown argument): ?(?P<option>.*)"),
    ("options", FATAL, "value", r"^(?:Could not convert: )?(?P<message>--[\w-]+(?: = |: (?:\d+ required|.*not in |Not a |Value )).*)"),
    ("loguru", CRASH, None, r"signal: (?P<signal>SIG\w+)"),
    ("cxx", FATAL, "own_memory", r"std::bad_alloc"),
    ("cxx", HINT, "exception", r"instance of '(?P<exception>[^']+)'"),
    ("glibc", FATAL, "cpu", r"CPU does not support|CPU ISA level"),
    ("glibc", HINT, "heap", r""),
    ("intel", FATAL, "cpu", r""),
    ("python", HINT, "own_memory", r"MemoryError"),
    ("python", HINT, "python", r"error: (?P<message>(?:py)?init\w*: .*)"),
    ("libgl", HINT, "driver", r"(?:driver|open|load).*?(?P<library>[\w./-]+)$"),
    ("loader", FATAL, "library", r"libraries: (?P<library>[^\s:]+):|shared library (?P<missing>[^\s:]+):.*needed by (?P<needs>[^\s)]+)"),
    ("loader", FATAL, "old_library", r"version `(?P<version>[^']+)' not found"),
    ("loader", FATAL, "other_library", r"error: (?P<library>[^\s:]+):"),
    ("signals", CRASH, None, r"(?:Signal: .*\(|Caught signal )(?P<signal>\d+)"),
    ("mpi", FATAL, "program", r"execvp error on file (?P<program>\S+) \((?P<why>[^)]+)\)"),
    ("mpi", FATAL, "program_somehow", r"was unable to (?:launch|find|start) the specified .*Executable: *(?P<program>\S+)"),
    ("mpi", FATAL, "slots", r"not enough slots|already filled|requested more|binding more"),
    ("mpi", FATAL, "root", r"detected an attempt to run as root"),
    ("mpi", FATAL, "node", r"lost communication with"),
    ("mpi", FATAL, "mpi", r"(?P<message>unable to reliably start one or more daemons|daemon has unexpectedly failed|MPI_I(?:NIT|nit) failed"
                          r"|Fatal error in \w*MPI_Init\w*)"),
    ("mpi", FATAL, "launcher_option", r"^(?P<launcher>[\w.-]+): .*option:? *[\"']?(?P<option>-[^\s\"']*)"),
    ("mpi", CRASH, None, r"exited on signal (?P<signal>\d+)|KILLED BY SIGNAL: (?P<number>\d+)|EXIT STRING: .*\(signal (?P<exit>\d+)\)"),
    ("mpi", CRASH, None, r"EXIT CODE: (?P<signal>4|6|7|8|9|11|13[24-9])\b"),
    ("mpi", ENDED, "", r""),
    ("container", FATAL, "terminal", r"input device is not a TTY"),
    ("container", FATAL, "contained_program", r"\"?(?P<program>[^\s\"]*)\"?: (?:stat \S+: )?executable file not found"
                                              r"|executable file [`'\"](?P<named_program>[^`'\"]+)[`'\"] not found"
                                              r"|exec: \"(?P<executed>[^\"]+)\": (?:stat \S+: )?(?:no such file|permission denied)"),
    ("container", FATAL, "contained_program", r"^(?:stat |can't execve\(2\): |execvp )?(?P<program>[^\s:]+): "
                                              r"(?:[Nn]ot found|[Nn]o such file or directory|[Pp]ermission denied)"
                                              r"|failed to (?:run command|execute):? ['\"`\u2018]?(?P<executed>[^\s:'\"`\u2019]+)"),
    ("container", FATAL, "image", r"^(?P<message>.*(?:" + _IMAGE + r").*)"),
    ("container", REFUSED, "container", r"(?P<message>.*)"),
    ("xvfb", FATAL, "xvfb", r"(?P<message>.*)"),
    ("job", FATAL, "disk", _NO_SPACE),
    ("job", CRASH, None, r"^ *(?:\d+ +)?(?P<signal>" + _DIED + r")\b.*pvserver"),
    ("shell", CRASH, None, r"^(?P<signal>" + _DIED + r")"),
    ("shell", FATAL, "program", _WHY + r"$"),
)

_SIGNALS = {"illegal instruction": 4, "aborted": 6, "bus error": 7, "floating point exception": 8, "killed": 9, "segmentation fault": 11,
            "SIGILL": 4, "SIGABRT": 6, "SIGBUS": 7, "SIGFPE": 8, "SIGKILL": 9, "SIGSEGV": 11}
_NAMES = {4: "illegal instruction", 6: "aborted", 7: "bus error", 8: "floating point exception", 9: "killed", 11: "segmentation fault"}

# Sources that end jobs: their messages always count. Messages of other sources no longer count once pvserver has made progress.
_LASTING = ("slurm", "pbs", "lsf", "gridengine", "flux", "alps", "pals", "plexec", "kernel", "job")
# Kinds that cannot be the cause once a client was connected.
_PASSED = ("peer", "port", "option", "versions", "connect_id")
# If pvserver connects to the client, it ends after these; if it waits for the client, it continues.
_WHILE_CALLING = ("peer", "versions", "connect_id")
# Order of several verdicts: an event that is counted while the job runs ranks below one that ends the job.
_RANKS = {"time": 3, "node": 3, "preempted": 3, "memory": 2, "limit": 2}
# A hint counts only if the crash follows within this number of lines.
_NEAR = 60
# Most lines in a block of OpenMPI's. A block ends with a line of dashes; OpenMPI breaks its lines anywhere.
_BLOCK = 8
# Groups in different branches of a pattern that mean the same.
_ALIASES = {"missing": "library", "needs": "program", "named": "file", "number": "signal", "exit": "signal",
            "named_program": "program", "executed": "program"}
# Only the beginning and the end of a longer line are read.
_LONGEST = 4000
_RANK_LABEL = re.compile(r"^(?:\d{1,5}: (?=\S)|\[\d+,\d+\](?:<std\w+>)?: ?|\[\d{1,5}\] )")
_RULED = re.compile(r"^[-=]{20,}$")
_KNOWN_PROGRAM = re.compile(r"(?:^|/)(?:pvserver[\w.-]*|" + _LAUNCHERS + r")$")
_compiled: t.List[t.Tuple[str, t.Pattern]] = []


def explain(log: str, exit_status: t.Optional[int] = None) -> t.Optional[Cause]:
    """Reads the cause of a job's end.

    Args:
        log: the end of the job's log, unchanged.
        exit_status: pvserver's, if it is known.
    Returns:
        The cause; None if no reliable source names one.
    """
    found = _Found()
    lines = [_RANK_LABEL.sub("", _shortened(line.rstrip())) for line in text.clean(log, len(log)).split("\n")]
    for number, line in enumerate(lines):
        for source, message, groups in _sources(line):
            found.read(source, message, groups, number, lines)
    return found.cause(exit_status, len(lines))


def of_status(exit_status: int) -> t.Optional[Cause]:
    """The cause that an exit status alone shows; None if it shows none."""
    signal = exit_status - 128 if 128 < exit_status < 192 else None
    if signal in _NAMES:
        return _killed(signal, "")
    if exit_status in (126, 127):
        why = "could not be started" if exit_status == 126 else "or a library of it was not found"
        return Cause("program", "pvserver, or what starts it, {0} (exit status {1})".format(why, exit_status), _ON_PATH, "")
    return None


def _sources(line: str) -> t.Iterator[t.Tuple[str, str, t.Dict[str, str]]]:
    """Yields each possible source of a line, its message, and the groups of the line's format."""
    if not _compiled:
        # Compiling is expensive, and only a log that has to be explained needs it.
        _compiled.extend((name, re.compile(line_format)) for name, line_format in SOURCES)
    for name, line_format in _compiled:
        match = line_format.search(line)
        if match:
            groups = {group: value for group, value in match.groupdict().items() if value}
            yield name, groups.get("words", line), groups


def _shortened(line: str) -> str:
    """The line; of a very long one, its beginning and its end."""
    return line if len(line) <= _LONGEST else line[:_LONGEST // 2] + " " + line[-_LONGEST // 2:]


def _killed(signal: int, line: str) -> Cause:
    """Cause of a process that was ended by a signal."""
    if signal == 9:
        return Cause("killed", "pvserver was killed (signal 9), as a batch system or the kernel does if memory runs out", _MORE_MEMORY, line)
    if signal == 4:
        return Cause("cpu", "pvserver used an instruction that the node's processor does not have (signal 4)", _CPU, line)
    return Cause("crash", "pvserver crashed (signal {0}, {1})".format(signal, _NAMES[signal]), _CRASHED, line)


class _Found:
    """What the lines of a log have shown so far."""

    def __init__(self) -> None:
        # Weight, number of the line, source, and the cause.
        self.causes: t.List[t.Tuple[int, int, str, Cause]] = []
        self.dials = self.connected = self.exits = False

    def read(self, source: str, message: str, groups: t.Dict[str, str], number: int, lines: t.List[str]) -> None:
        """Reads one line of a source; number is its index."""
        if source == "pvserver":
            self._read_status(message)
        elif source == "mpi":
            message = _block(message, lines[number + 1:number + _BLOCK])
        for rule_source, weight, name, pattern in RULES:
            match = re.search(pattern, message) if rule_source == source else None
            if match:
                values = dict(groups, **{_ALIASES.get(group, group): value for group, value in match.groupdict().items() if value})
                self._note(source, weight, name, values, number, lines)
                return

    def _read_status(self, message: str) -> None:
        """Reads a status line of pvserver, which makes earlier messages obsolete."""
        if message.startswith(("Waiting", "Connecting", "Client connected")):
            self.causes = [found for found in self.causes if found[2] in _LASTING]
            self.dials = self.dials or message.startswith("Connecting")
            self.connected = self.connected or message.startswith("Client")
        self.exits = self.exits or message.startswith("Exiting")

    def _note(self, source: str, weight: int, name: t.Optional[str], values: t.Dict[str, str], number: int, lines: t.List[str]) -> None:
        line = lines[number].strip()
        if weight > HINT and source == "vtk" and _is_warning(values, lines[number - 1] if number else ""):
            return
        if source == "shell" and "pvserver" not in values.get("command", "pvserver"):
            return  # a command of the user's own
        if name is None:
            word = values["signal"]
            status = text.number(word)
            signal = status % 128 if status is not None else _SIGNALS.get(word, _SIGNALS.get(word.strip().lower()))
            # Other signals, such as TERM, end a rank that did not fail itself.
            weight, cause = (CRASH, _killed(signal, line)) if signal in _NAMES else (ENDED, Cause("ended", "", "", line))
        else:
            cause = self._filled(name, values, line) if name else Cause("ended", "", "", line)
            if cause and cause.kind in _WHILE_CALLING and not self.dials:
                weight = STRAY
        if cause:
            self.causes.append((weight, number, source, cause))

    def _filled(self, name: str, values: t.Dict[str, str], line: str) -> t.Optional[Cause]:
        """Cause with its blanks filled; None if it cannot be the cause."""
        kind, what, way_out = CAUSES[name]
        if kind in ("program", "library") and name != "contained_program" and not (_KNOWN_PROGRAM.search(values.get("program", "")) or "exec: " in line):
            return None
        if kind in _PASSED and self.connected:
            return None
        if "option" in values:
            # Values may be secrets.
            values["option"] = " ".join(word.partition("=")[0] for word in values["option"].split() if word.startswith("-")) or values["option"]
        blanks = collections.defaultdict(str, launcher="srun")
        blanks.update((group, text.one_line(value, 160)) for group, value in values.items())
        return Cause(kind, what.format_map(blanks), way_out, line)

    def cause(self, exit_status: t.Optional[int], end: int) -> t.Optional[Cause]:
        """The cause that all lines together show, if any; end is the number of lines."""
        verdicts = self._of_weight(VERDICT)
        if verdicts:
            highest = max(_RANKS.get(cause.kind, 1) for cause in verdicts)
            return next(cause for cause in verdicts if _RANKS.get(cause.kind, 1) == highest)
        fatal = self._of_weight(FATAL)
        if fatal:
            # The last kind counts; of several lines of that kind the first has the most information.
            last = len(fatal) - 1
            while last and fatal[last - 1].kind == fatal[-1].kind:
                last -= 1
            return fatal[last]
        ended = self._of_weight(ENDED)
        # A process that ended was started.
        refused = [] if ended else self._of_weight(REFUSED)
        return self._crash(exit_status, end) or next(iter(refused[-1:]), None) or self._quiet_end(exit_status) or next(
            (cause for cause in ended if cause.what), None)

    def _of_weight(self, weight: int) -> t.List[Cause]:
        return [cause for its_weight, _number, _source, cause in self.causes if its_weight == weight]

    def _crash(self, exit_status: t.Optional[int], end: int) -> t.Optional[Cause]:
        """The first process that was killed, together with pvserver's last error message before that."""
        number, crash = next(((number, cause) for weight, number, _source, cause in self.causes if weight == CRASH), (end, None))
        crash = crash or (of_status(exit_status) if exit_status else None)
        if crash is None:
            return None
        hints = [cause for weight, place, _source, cause in self.causes if weight == HINT and number - _NEAR <= place < number]
        if not hints or crash.kind == "program":
            return crash
        hint = hints[-1]
        return Cause(hint.kind, "{0}; then {1}".format(hint.what, crash.what.partition(", as ")[0]), hint.way_out, hint.line)

    def _quiet_end(self, exit_status: t.Optional[int]) -> t.Optional[Cause]:
        """If a client has another connect-id, it closes the connection, and pvserver ends with status 0."""
        if self.dials and self.exits and not self.connected and not exit_status:
            return Cause(*CAUSES["refused"], line="")
        strays = [cause for cause in self._of_weight(STRAY) if cause.kind != "peer"]
        return strays[-1] if strays and not exit_status and not self.connected else None


def _block(message: str, following: t.List[str]) -> str:
    """A line of MPI's together with the lines that belong to it."""
    for line in following:
        if _RULED.match(line.strip()):
            break
        message += " " + line.strip()
    return message


def _is_warning(values: t.Dict[str, str], before: str) -> bool:
    if values.get("object"):
        return "Warning: In" in before
    return values.get("level") == "WARN"
