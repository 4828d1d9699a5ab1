# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cause that a log names: recorded logs of real ParaViews (tests/unit/logs), and lines in the form of batch systems and launchers."""

import re
import time
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import log_causes
from hypothesis import given
from hypothesis import strategies as st

LOGS = Path(__file__).parent / "logs"
VARIABLES = Path(__file__).parents[2] / "roles" / "connect" / "meta" / "argument_specs.yml"
READY = "Waiting for client...\nConnection URL: cs://c101:0\nAccepting connection(s): c101:40123\n"
CONNECTED = READY + "Client connected.\n"
CALLS = "Connecting to client (reverse connection requested)...\nConnection URL: csrc://login:40112\n"
NO_X = "(  11.557s) [pvserver        ]vtkXOpenGLRenderWindow.:1460  WARN| bad X server connection. DISPLAY=\n"
NO_OSMESA = "(  12.5s) [pvserver        ]vtkOSOpenGLRenderWindow:149   WARN| libOSMesa not found. It appears that OSMesa is not installed in your system.\n"
OOM = "slurmstepd: error: Detected 1 oom_kill event in StepId=77.0. Some of the step tasks have been OOM Killed.\n"

# Exit status, kind of the cause, and text that the message must contain.
RECORDED = {
    "5.11_no_display": (134, "display", "no display"), "5.13_no_display": (134, "display", "no display"), "6.1_no_display": (0, None, ""),
    "5.11_reverse_other_id": (0, "refused", "connect-id"), "5.11_forward_other_id": (0, "connect_id", "connect-id"),
    "5.11_reverse_other_version": (0, "versions", "version"), "5.11_data_file_missing": (0, None, ""),
    "5.11_segv": (139, "crash", "signal 11"), "5.11_mpi_segv": (139, "crash", "signal 11"), "5.13_mpi_segv": (139, "crash", "signal 11"),
    "6.1_mpi_segv": (139, "crash", "signal 11"), "5.13_mpi_kill": (137, "killed", "memory"), "5.11_mpi_ill": (132, "cpu", "processor"),
    "5.13_bad_alloc": (134, "memory", "memory"), "6.1_bad_alloc": (134, "memory", "memory"),
    "5.11_mpi_option": (1, "option", "--frob"), "6.1_mpi_option": (1, "option", "--frob"),
    "5.11_mpi_slots": (1, "slots", "processes"), "5.13_mpi_slots": (1, "slots", "processes"), "6.1_mpi_slots": (77, "slots", "processes"),
    "5.11_mpi_no_program": (132, "program", "/opt/pvserver"), "5.13_mpi_no_program": (183, "program", "/opt/pvserver"),
    "6.1_mpi_no_program": (75, "program", "/opt/pvserver"), "5.11_mpi_library": (127, "library", "libvtkRemotingLive-pv5.11.so.1"),
    "6.1_mpi_library": (127, "library", "libvtkRemotingLive-pv6.1.so.1"), "5.13_broken_library": (127, "library", "libvtkRemotingLive"),
    "5.13_port_taken": (0, "port", "port is in use"), "6.1_port_taken": (0, "port", "port is in use"),
    "6.1_bind_address": (0, "port", "Cannot assign requested address"), "6.1_hung_up": (0, "peer", "no client"),
    "6.1_no_osmesa": (139, "opengl", "OSMesa"), "6.1_no_opengl": (139, "opengl", "OpenGL"),
}

# Lines in the format of each source.
LINES_OF_SOURCES = [
    ("time", "slurmstepd: error: *** JOB 4711 ON c101 CANCELLED AT 2026-11-22T17:49:08 DUE TO TIME LIMIT ***"),
    ("time", "slurmstepd: error: *** STEP 4711.0 ON c101 CANCELLED AT 2026-11-22T17:49:08 DUE TO TIME LIMIT ***\nsrun: error: c101: task 0: Terminated"),
    ("time", "slurmstepd-c101: error: *** JOB 4711 ON c101 CANCELLED AT 2026-11-22T17:49:08 DUE TO TIME LIMIT ***"),
    ("preempted", "slurmstepd: error: *** JOB 4711 ON c101 CANCELLED AT 2026-11-22T17:49:08 DUE TO PREEMPTION ***"),
    ("node", "slurmstepd: error: *** JOB 4711 ON c101 CANCELLED AT 2026-11-22T17:49:08 DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***"),
    ("node", "srun: error: Node failure on c102"),
    ("cancelled", "slurmstepd: error: *** JOB 4711 ON c101 CANCELLED AT 2026-11-22T17:49:08 ***"),
    ("cancelled", "slurmstepd: error: *** JOB 4711 ON c101 CANCELLED AT 2026-11-22T17:49:08 DUE to SIGNAL Terminated ***"),
    ("memory", OOM), ("memory", "srun: error: c101: tasks 1-3: Out Of Memory"),
    ("memory", "slurmstepd: error: Detected 2 oom-kill event(s) in step 77.batch cgroup. Some of your processes may have been killed."),
    ("memory", "slurmstepd: error: Exceeded step memory limit at some point."),
    ("memory", "slurmstepd: error: Job 77 exceeded memory limit (4202932 > 4194304), being killed"),
    ("memory", OOM + "srun: error: c101: task 0: Out Of Memory\nsrun: Terminating StepId=77.0\n"
     "slurmstepd: error: *** STEP 77.0 ON c101 CANCELLED AT 2026-11-22T17:49:08 ***"),
    ("time", "=>> PBS: job killed: walltime 3629 exceeded limit 3600"),
    ("time", "reading step 7 of 9 ...=>> PBS: job killed: walltime 3629 exceeded limit 3600"),
    ("memory", "=>> PBS: job killed: mem 8391000kb exceeded limit 8388608kb"), ("memory", "=>> PBS: job killed: vmem 2147483649 exceeded limit 2147483648"),
    ("memory", "Cgroup memory limit exceeded: Killed process 4242, UID 1000, (pvserver)"), ("memory", "12.pbs Killed Cgroup mem limit exceeded"),
    ("time", "=>> PBS: job killed: cput 7210 exceeded limit 7200"), ("node", "=>> PBS: job killed: node 1 (c102) failed"),
    ("cancelled", "=>> PBS: job killed: ncpus 9.12 exceeded limit 4 (sum)"),
    ("memory", "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.\nExited with exit code 137."),
    ("time", "TERM_RUNLIMIT: job killed after reaching LSF run time limit.\nExited with exit code 140."),
    ("cancelled", "TERM_OWNER: job killed by owner."), ("preempted", "TERM_PREEMPT: job killed after preemption."),
    ("time", "11/30/2026 02:00:00|  main|c101|W|job 48.1 exceeded hard wallclock time - initiate terminate method"),
    ("memory", 'job 48 exceeds job hard limit "h_vmem" of queue "all.q@c101" (2100.00000 > limit:2048.00000) - sending SIGKILL'),
    ("time", "5.488s: job.exception type=timeout severity=0 resource allocation expired"),
    ("time", "5.488s: job.exception f2vJ4bP type=timeout severity=0 resource allocation expired"),
    ("cancelled", "9.1s: job.exception type=cancel severity=0"),
    ("memory", "29.475s: flux-shell[0]: ERROR: oom: Memory cgroup out of memory: killed 1 task on c101."),
    ("program", "0.778s: flux-shell[1]: FATAL: task 0: start failed: pvserver: No such file or directory"),
    ("memory", "[NID 00146] 2026-11-30 19:00:18 Apid 15379: OOM killer terminated this process."),
    ("crash", "_pmiu_daemon(SIGCHLD): [NID 00012] [c0-0c0s3n0] [Mon Nov 30 02:00:00 2026] PE RANK 0 exit signal Segmentation fault"),
    ("crash", "x1000c0s0b0n0: rank 3 died from signal 11 and dumped core\nx1000c0s0b0n1: rank 0 died from signal 15"),
    ("killed", "x1000c0s0b0n0.hsn: rank 3 died from signal 9"),
    ("node", "x1000c0s0b0n0.hsn: shepherd died from signal 9\nx1000c0s0b0n1: rank 0 died from signal 11"),
    ("crash", "[WARN] PLE 0610 plexec The process terminated with the signal.(rank=0)(nid=0x01010004)(sig=11)"),
    ("memory", "[ 1234.567890] Out of memory: Killed process 4242 (pvserver) total-vm:8391000kB, anon-rss:8388608kB"),
    ("memory", "Nov 30 02:00:00 c101 kernel: Memory cgroup out of memory: Killed process 4242 (pvserver) total-vm:8391000kB"),
    ("killed", "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   RANK 3 PID 4242 RUNNING AT c101\n=   KILLED BY SIGNAL: 9 (Killed)"),
    ("killed", "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 4242 RUNNING AT c101\n=   EXIT CODE: 9\n"
     "=   CLEANING UP REMAINING PROCESSES\n====================================\nYOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)"),
    ("crash", "=   EXIT CODE: 139\n"), ("crash", "YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Segmentation fault (signal 11)"),
    ("killed", "mpirun noticed that process rank 0 with PID 0 on node c101 exited on signal 9 (Killed)."),
    ("crash", "mpiexec noticed that process rank 1 with PID 42 on node c101 exited on \nsignal 6 (Aborted).\n-------------------------------------"),
    ("crash", "[c101:4242 :0:4242] Caught signal 11 (Segmentation fault: address not mapped to object at address 0x8)"),
    ("crash", "srun: error: c101: task 0: Segmentation fault (core dumped)\nsrun: error: c101: tasks 1-15: Killed"),
    ("cpu", "srun: error: c101: task 0: Illegal instruction"), ("cpu", "Fatal glibc error: CPU does not support x86-64-v3"),
    ("cpu", "Please verify that both the operating system and the processor support Intel(R) AVX512F instructions."),
    ("crash", "0: Loguru caught a signal: SIGSEGV"), ("crash", "[1,3]<stderr>:[c101:04242] Signal: Bus error (7)"),
    ("memory", "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc"),
    ("slots", "There are not enough slots available in the system to satisfy the 64\nslots that were requested by the application:\n\n  pvserver\n"),
    ("slots", "A request was made to bind to that would result in binding more\nprocesses than cpus on a resource:\n   Bind to:     CORE"),
    ("launcher", "srun: error: Unable to create step for job 77: More processors requested than permitted"),
    ("launcher", "srun: error: Couldn't find the specified plugin name for mpi/pmix looking at all files"),
    ("launcher", "srun: error: If munged is up, restart with --num-threads=10\n"
     "srun: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\""),
    ("node", "PRTE has lost communication with a remote daemon.\n\n  HNP daemon   : [prterun-c101-42@0,0] on node c101"),
    ("option", "srun: unrecognized option '--frobnicate'\nsrun: error: unrecognized option '--frobnicate'"),
    ("option", "The following arguments were not expected: --b=2 --a"), ("option", "Could not convert: --sp = abc"), ("option", "--sp: 1 required INT missing"),
    ("program", "/bin/sh: 1: pvserver: not found"), ("program", "pvserver.sh: line 33: exec: pvserver: not found"), ("program", "pvserver: Command not found."),
    ("program", "bash: line 1: /opt/pv/bin/pvserver: No such file or directory"), ("program", "zsh:1: command not found: pvserver"),
    ("program", "env: 'pvserver': No such file or directory"), ("program", "timeout: failed to run command 'pvserver': No such file or directory"),
    ("program", "/usr/bin/xvfb-run: 184: pvserver: not found"), ("program", "pvserver.sh: 45: exec: mpiexec: not found"),
    ("program", "slurmstepd: error: execve(): pvserver: No such file or directory\nsrun: error: c101: task 0: Exited with exit code 2"),
    ("program", "[proxy:0:0@c101] HYDU_create_process (utils/launch/launch.c:74): execvp error on file pvserver (No such file or directory)"),
    ("program", "pvserver.sh: 33: exec: /opt/pv/bin/pvserver: Permission denied"), ("program", 'FATAL:   "pvserver": executable file not found in $PATH'),
    ("program", "bash: /opt/pv/bin/pvserver: cannot execute binary file: Exec format error"),
    ("image", "FATAL:   could not open image /home/u/pv.sif: failed to retrieve path for /home/u/pv.sif: lstat /home/u/pv.sif: no such file or directory"),
    ("image", "FATAL:   could not open image /home/u/pv.sif: the image's architecture (arm64) could not run on the host's (amd64)"),
    ("image", "FATAL:   Unable to handle docker://site/pv:6 uri: failed to get checksum for docker://site/pv:6: reading manifest 6 in site/pv: denied"),
    ("image", "FAILED to find requested image."), ("image", "slurmstepd: error: Failed to lookup image.  Aborting."),
    ("image", "FAILED permission denied to image"),
    ("image", "ch-run[25750]: can't find image: pv: No such file or directory (ch-run.c:107 2)"),
    ("image", "ch-run[11290]: error: can't stat: /home/u/pv: No such file or directory (ch_core.c:255 2)"),
    ("launcher", "ch-run[11082]: error: can't mkdir: /var/tmp/pv/mnt: Read-only file system (ch_misc.c:409 30)"),
    ("image", "slurmstepd: error: pyxis: [ERROR] No such file or directory: /home/u/pv.sqsh\nslurmstepd: error: pyxis: couldn't start container"),
    ("image", "Error: initializing source docker://site/pv:6: reading manifest 6 in site/pv: manifest unknown"),
    ("image", "docker: Error response from daemon: pull access denied for site/pv, repository does not exist or may require 'docker login'."),
    ("launcher", "FATAL:   container creation failed: mount /x->/x error: while mounting /x: destination /x doesn't exist in container"),
    ("launcher", 'Error for command "exec": unknown flag: --nvx'), ("launcher", "the input device is not a TTY"),
    ("launcher", "Error: crun: cannot stat `/x/conf`: No such file or directory: OCI runtime attempted to invoke a command that was not found"),
    ("launcher", "bwrap: Can't find source path /scratch: No such file or directory"),
    ("program", "FATAL:   stat /opt/pv/bin/pvserver: no such file or directory"), ("program", "/.singularity.d/actions/exec: 9: exec: pvserver: not found"),
    ("program", "/.singularity.d/actions/exec: exec: line 9: start-pv: not found"), ("program", "shifter: pvserver: No such file or directory"),
    ("program", "Error: crun: executable file `pvserver` not found in $PATH: No such file or directory: "
     "OCI runtime attempted to invoke a command that was not found"),
    ("program", "docker: Error response from daemon: failed to create task for container: OCI runtime create failed: runc create failed: "
     'unable to start container process: exec: "pvserver": executable file not found in $PATH: unknown'),
    ("program", "ch-run[1184427]: error: can't execve(2): pvserver: No such file or directory (ch_core.c:400 2)"),
    ("program", "bwrap: execvp pvserver: No such file or directory"), ("program", "unshare: failed to execute pvserver: No such file or directory"),
    ("library", "pvserver: error while loading shared libraries: libmpi.so.40: cannot open shared object file: No such file or directory"),
    ("library", "/opt/pv/bin/pvserver: /lib64/libm.so.6: version `GLIBC_2.34' not found (required by /opt/pv/lib/libvtkCommonCore.so)"),
    ("library", "pvserver: symbol lookup error: /opt/pv/lib/libvtkIOHDF.so: undefined symbol: H5Pset_fapl_mpio"),
    ("library", "Error loading shared library libstdc++.so.6: No such file or directory (needed by /opt/pv/bin/pvserver)"),
    ("disk", "/var/spool/slurmd/job00077/slurm_script: line 12: printf: write error: No space left on device"),
    ("disk", "mv: error writing 'status': Disk quota exceeded"),
    ("display", "xvfb-run: error: Xvfb failed to start"),
    ("display", "ERROR: In vtkXOpenGLRenderWindow.cxx, line 1475\nvtkXOpenGLRenderWindow (0x7f29f000ff70): bad X server connection. DISPLAY=. Aborting."),
    ("mpi", "It looks like MPI_INIT failed for some reason; your parallel process is likely to abort."),
    ("mpi", "Abort(1091471) on node 0 (rank 0 in comm 0): Fatal error in PMPI_Init_thread: Other MPI error, error stack:"),
    ("killed", "/var/spool/slurmd/job00077/slurm_script: line 80:  4243 Killed    setsid \"$shell\" pvserver.sh \"$mask\" > log 2>&1 < /dev/null"),
    ("versions", CALLS + "( 11.0s) [pvserver        ]vtkSocketCommunicator.c:592    ERR| vtkSocketCommunicator (0x5): Client/server version hash mismatch."),
    ("peer", CALLS + "( 60.7s) [pvserver        ]vtkTCPNetworkAccessMana:402    ERR| vtkTCPNetworkAccessManager (0x5): Connect timeout.\nExiting..."),
    ("peer", CALLS + "( 0.6s) [pvserver        ]vtkSocket.cxx:418    ERR| vtkClientSocket (0x5): Unknown host: login9\n"
     "( 60.7s) [pvserver        ]vtkTCPNetworkAccessMana:402    ERR| vtkTCPNetworkAccessManager (0x5): Connect timeout.\nExiting..."),
]

# The source matters: none of these lines reports pvserver's end.
CHATTER = [
    "the model ran out of memory last time, so the reader is patched", "numpy.core._exceptions: nothing to do", "Loaded modules: oom/1.2 bind/9.18",
    "RuntimeWarning: invalid value encountered in divide", "cp: cannot stat 'pvserver.pvsc': No such file or directory",
    "ls: cannot access '/scratch/data': No such file or directory", "bash: nvidia-smi: command not found",
    "pvserver.sh: line 12: nvidia-smi: command not found",
    "pvserver.sh: line 3: cd: /opt/pvserver-5.11: No such file or directory", "/usr/bin/which: no pvserver in (/usr/bin:/bin)",
    "python3: error while loading shared libraries: libfoo.so: cannot open shared object file: No such file or directory",
    "[c101:42] pmix_mca_base_component_repository_open: unable to open mca_pnet_opa: libpsm2.so.2: cannot open shared object file: No such file (ignored)",
    "ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "cpu-bind=MASK - c101, task  0  0 [1234]: mask 0x1 set",
    "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.", "Address already in use", "OSError: [Errno 98] Address already in use",
    "[c101][[1,1],0][btl_tcp_component.c:985] bind() failed: Address already in use (98)", "bad X server connection. DISPLAY=",
    "[1234.5] Out of memory: Killed process 99 (python3) total-vm:1kB", "pvserver.sh: line 9:  4242 Segmentation fault      ./prepare_data",
    "DUE TO TIME LIMIT", "walltime 3629 exceeded limit 3600", "handshake with the licence server failed", "Traceback (most recent call last):", "MemoryError",
    "error: Disk quota exceeded, cleaning up", "cp: error writing '/scratch/a': No space left on device", "signal 11", "exit code 139", "unknown option --foo",
    "[1796015235.864294] [c101:13   :0]       tcp_iface.c:997  UCX  ERROR scandir(/sys/class/net) failed: No such file or directory",
    "WARNING: a request was made to bind a process.", "Killing old jobs", "Aborted attempts: 3", "0.5s: flux-shell[0]: DEBUG: 0: task_count=1",
    "=" * 80, "-" * 80,
    NO_X, NO_OSMESA, CONNECTED + NO_X + "Exiting...", READY + "Client connected.\nExiting...",
    "(  5.9s) [pvserver        ]       vtkXMLReader.cxx:306    ERR| vtkXMLReader (0x5): Error opening file /scratch/a.vtu",
    # A stray connection, which pvserver survives.
    READY + "( 5.0s) [pvserver        ]vtkSocketCommunicator.c:540    ERR| vtkSocketCommunicator (0x5): Endian handshake failed.\n"
    "Connection failed during handshake. vtkSocketCommunicator::GetVersion()\n returns different values on the two connecting processes\n",
]


def explain(log, status=None):
    cause = log_causes.explain(log, status)
    return cause.kind if cause else None


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_logs(name):
    status, kind, text = RECORDED[name]
    log = (LOGS / (name + ".txt")).read_text()
    cause = log_causes.explain(log, status)
    assert (cause.kind if cause else None) == kind
    assert text in (cause.what if cause else "")
    assert not cause or cause.way_out


def test_every_recording_has_an_expectation():
    assert {path.stem for path in LOGS.iterdir()} == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_the_log_alone_is_enough(name):
    """The batch system may lose the exit status."""
    _status, kind, _text = RECORDED[name]
    assert explain((LOGS / (name + ".txt")).read_text()) == kind


@pytest.mark.parametrize(("kind", "log"), LINES_OF_SOURCES)
def test_lines_of_sources_name_the_cause(kind, log):
    assert explain(log) == kind
    assert explain(CHATTER[0] + "\r\n" + "\x1b[31m" + log.replace("\n", "\x1b[0m\n") + "\n\n") == kind


@pytest.mark.parametrize("log", CHATTER)
def test_other_lines_are_ignored(log):
    assert explain(log) is None
    assert explain(log + "\n" + CONNECTED + log + "\n" + OOM) == "memory"


@pytest.mark.parametrize(("kind", "log"), [
    ("memory", CONNECTED + NO_X + OOM),
    ("time", CONNECTED + NO_X + "slurmstepd: error: *** STEP 77.0 ON c101 CANCELLED AT 2026-11-30T02:00:00 DUE TO TIME LIMIT ***"),
    # Errors of the setup are obsolete once pvserver prints a status line.
    ("crash", "pvserver.sh: line 3: exec: mpiexec: not found\n"
     "pvserver: error while loading shared libraries: libx.so: cannot open\n" + READY + "Caught signal 11"),
    (None, "Segmentation fault\n" + CONNECTED + "Exiting..."),
    # An event that was counted while the job ran.
    ("time", OOM + "slurmstepd: error: *** JOB 77 ON c101 CANCELLED AT 2026-11-30T02:00:00 DUE TO TIME LIMIT ***"),
    ("time", "slurmstepd: error: *** JOB 77 ON c101 CANCELLED AT 2026-11-30T02:00:00 DUE TO TIME LIMIT ***\n" + OOM),
    # The remaining ranks are ended after the one that failed.
    ("cpu", CONNECTED + "srun: error: c101: task 3: Illegal instruction\nsrun: error: c101: tasks 0-2: Killed\nLoguru caught a signal: SIGTERM"),
    ("library", "pvserver: error while loading shared libraries: libx.so: cannot open shared object file: No such file or directory\n"
     "srun: error: c101: task 0: Exited with exit code 127\nslurmstepd: error: *** STEP 77.0 ON c101 CANCELLED AT 2026-11-30T02:00:00 ***"),
])
def test_the_heaviest_line_counts(kind, log):
    assert explain(log) == kind


def test_an_error_before_a_crash_is_reported_with_it():
    crash = "[c101:00658] Signal: Segmentation fault (11)\n"
    cause = log_causes.explain(CONNECTED + NO_X + NO_OSMESA + crash)
    assert cause.kind == "opengl" and "libOSMesa" in cause.what and "signal 11" in cause.what and "paraview_rendering" in cause.way_out
    assert explain(CONNECTED + NO_OSMESA, 139) == "opengl"
    assert explain(CONNECTED + NO_OSMESA + "one of many lines of an hour's work\n" * 100 + crash) == "crash"
    cause = log_causes.explain(CONNECTED + "( 20.1s) [pvserver] vtkXMLReader.cxx:1 ERR| Error opening file /scratch/a.vtu: No such file or directory\n" + crash)
    assert "/scratch/a.vtu" in cause.what and "crashed" in cause.what
    assert explain(CONNECTED + "MemoryError\n" + crash) == "memory"


@pytest.mark.parametrize(("status", "kind"), [
    (0, None), (1, None),
    (126, "program"), (127, "program"), (128, None), (134, "crash"), (137, "killed"), (139, "crash"), (132, "cpu"), (143, None), (255, None)])
def test_causes_of_an_exit_status_alone(status, kind):
    assert explain("", status) == kind
    cause = log_causes.explain("", status)
    assert not cause or cause.what and cause.way_out


def test_a_client_that_closes_the_connection_silently():
    assert explain(CALLS + "Exiting...", 0) == "refused"
    assert explain(CALLS + "Client connected.\nExiting...", 0) is None
    assert explain(CALLS, 0) is None
    assert explain(READY + "Exiting...", 0) is None


def test_a_warning_of_a_launcher_that_started_something():
    """It is no cause if the process that it started has ended by itself."""
    log = "srun: error: spank: x11.so: could not be loaded\n"
    assert explain(log) == "launcher"
    assert explain(log + "srun: error: c101: task 0: Exited with exit code 1") is None
    assert explain(log + READY) is None


def test_an_unusable_egl():
    log = CONNECTED + "( 1.263s) [pvserver        ]vtkEGLRenderWindow.cxx:381    ERR| vtkEGLRenderWindow (0x4): Only EGL 1.4 and greater allows OpenGL\n"
    assert explain(log) is None
    assert explain(log, 139) == "opengl"


def test_values_of_options_are_not_shown():
    assert "1234" not in log_causes.explain("The following argument was not expected: --connect-id=1234").what


def test_names_are_made_safe():
    cause = log_causes.explain("pvserver: error while loading shared libraries: lib\x1b[31m{0}\u202e.so: cannot open shared object file")
    assert "\x1b" not in cause.what and "\u202e" not in cause.what and "{0}" in cause.what


@given(st.text())
def test_free_text_names_no_cause(text):
    assert log_causes.explain(text) is None


LINES = st.sampled_from([line for _kind, line in LINES_OF_SOURCES] + CHATTER + ["\x00", "x" * 5000, "{", "%s"])


@given(st.lists(LINES | st.text(), max_size=6), st.integers(0, 300) | st.none())
def test_any_mixture_of_lines_is_read(lines, status):
    cause = log_causes.explain("\n".join(lines), status)
    assert cause is None or (cause.kind and cause.what and cause.way_out)


@pytest.mark.parametrize("line", ["a" * 200000, ": " * 60000, "[" * 100000, "mv: " * 50000, "\n" * 100000, "0: " * 40000, "x: version `" * 10000])
def test_no_line_takes_long_to_read(line):
    began = time.process_time()
    log_causes.explain(line)
    assert time.process_time() - began < 5


def test_every_rule_has_a_source_and_a_cause():
    sources = {name for name, _format in log_causes.SOURCES}
    assert {source for source, _weight, _name, _pattern in log_causes.RULES} | {"pvserver"} == sources
    named = {name for _source, _weight, name, _pattern in log_causes.RULES if name}
    assert named | {"refused"} == set(log_causes.CAUSES)


def test_ways_out_name_existing_variables():
    variables = set(re.findall(r"^ *(paraview_\w+):", VARIABLES.read_text(), re.M)) | {"paraview_rendering"}
    named = {name for _kind, _what, way_out in log_causes.CAUSES.values() for name in re.findall(r"paraview_\w+", way_out)}
    assert named <= variables
