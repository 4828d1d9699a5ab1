# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job's scripts, run with a pvserver of the test, in a directory of the test, under each shell of this host."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.status_file import Progress
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import rendering
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import answers
from hypothesis import given
from hypothesis import strategies as st

NONE, SLURM = answers.TABLES["none"], answers.TABLES["slurm"]
BASHES = "/bin/bash /usr/bin/bash"
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]

FORWARD = r"""#!/bin/sh
echo 'Some library: a warning'
echo 'Waiting for client...'
echo 'Connection URL: cs://c101:0'
echo 'Accepting connection(s): c101:40123'
while [ ! -e client ]; do sleep 0.02; done
echo 'Client connected.'
while [ ! -e leave ]; do sleep 0.02; done
echo 'Exiting...'
exit $(cat leave)
"""
PRINT_ARGUMENTS = '#!/bin/sh\nfor argument; do printf "%s\\n" "$argument"; done > arguments\n'


class Job:
    """The scripts of a job of the batch system `none`."""

    def __init__(self, directory, home, shell):
        self.directory, self.home, self.shell = directory, home, shell
        self.process = None

    def start(self, pvserver, launcher=(), modules=(), setup="", idle=60, limit=0, path="", outage=0, files=None, keep=0):
        self.directory.mkdir(parents=True)
        for name, content in (files or {}).items():
            (self.directory / name).write_text(content)
            (self.directory / name).chmod(0o600)
        script = job_scripts.pvserver_script(str(self.directory), {"pvserver": pvserver, "setup": setup}, list(launcher), modules, outage)
        (self.directory / "pvserver.sh").write_text(script)
        text = job_scripts.job_script(NONE, str(self.directory), {}, idle, limit, keep_s=keep)
        # pvserver.sh uses bash if there is one; here each shell gets its turn.
        assert BASHES in text
        (self.directory / "job.sh").write_text(text.replace(BASHES, shutil.which(self.shell)))
        # With these, the scripts only check more often, and do not wait for a disk.
        (self.home / "bin").mkdir()
        (self.home / "bin" / "sync").symlink_to("/bin/true")
        (self.home / "bin" / "sleep").write_text('#!/bin/sh\ncase $1 in 0.*|1) set -- 0.01;; esac\nexec /bin/sleep "$@"\n')
        (self.home / "bin" / "sleep").chmod(0o755)
        environment = {"HOME": str(self.home), "PATH": path + str(self.home / "bin") + ":/usr/local/bin:/usr/bin:/bin"}
        self.process = subprocess.Popen([self.shell, str(self.directory / "job.sh")], env=environment, start_new_session=True,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def go(self, arguments=("--server-port=0",)):
        (self.directory / "go.new").write_text(job_scripts.go_file(arguments))
        (self.directory / "go.new").rename(self.directory / "go")

    def follow_up(self, word):
        (self.directory / "next").write_text(word + "\n")

    def progress(self):
        path = self.directory / "status"
        return Progress(path.read_text() if path.exists() else "")

    def log(self):
        path = self.directory / "log"
        return path.read_text() if path.exists() else ""

    def wait(self):
        """Its exit status, which has to be the same in the status file."""
        code = self.process.wait(30)
        assert self.progress().ended[0] == code
        errors = self.process.stderr.read()
        assert not re.search(rb"rror|not found|No such|unexpected", errors), errors
        return code

    def left(self):
        """Processes of pvserver's process group that still run."""
        path = self.directory / "pid"
        group = path.read_text().strip() if path.exists() else "none"
        listing = subprocess.run(["ps", "-wweo", "pgid=,stat=,args="], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        return [line for line in listing if line.split()[0] == group and not line.split()[1].startswith("Z")]

    def processes(self):
        """Processes whose current directory is the job's."""
        found = []
        for pid in (name for name in os.listdir("/proc") if name.isdigit()):
            try:
                if os.readlink("/proc/{0}/cwd".format(pid)) == str(self.directory):
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def clean(self):
        if self.process is None:
            return
        for kill, found in ((os.kill, self.processes()), (os.killpg, {int(line.split()[0]) for line in self.left()})):
            for number in found:
                with contextlib.suppress(ProcessLookupError):
                    kill(number, signal.SIGKILL)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(name="home")
def _home(session_directory):
    path = session_directory.parents[1]
    path.mkdir()
    return path


@pytest.fixture(name="job", params=SHELLS)
def _job(request, session_directory, home):
    job = Job(session_directory, home, request.param)
    yield job
    job.clean()


def test_a_whole_forward_session(job, program, home, until):
    job.start([program("pvserver", FORWARD)])
    until(lambda: job.progress().host)
    until(lambda: (job.directory / "beat").exists() and (job.directory / "beat").read_text().strip())
    assert job.progress().host == job.progress().nodes[0] == socket.gethostname()
    status = (job.directory / "status").read_text()
    assert status.index("nodes ") < status.index("running "), "a reader that finds running finds the nodes too"
    assert not job.log() and not job.progress().output
    job.go()
    until(lambda: len(job.progress().output) == 3)
    assert job.progress().output == ["Waiting for client...", "Connection URL: cs://c101:0", "Accepting connection(s): c101:40123"]
    (home / "client").touch()
    until(lambda: "Client connected." in job.progress().output)
    beat = (job.directory / "beat").read_text()
    until(lambda: (job.directory / "beat").read_text().strip() not in ("", beat.strip()))
    assert job.progress().ended is None
    (home / "leave").write_text("0")
    assert job.wait() == 0
    assert job.progress().ended == (0, "pvserver")
    assert job.progress().output[-1] == "Exiting..."
    assert "a warning" in job.log()
    assert not job.left()
    assert {path.stat().st_mode & 0o077 for path in job.directory.iterdir() if path.name in ("status", "log", "pid", "beat")} == {0}
    assert not (job.directory / "go").exists()


@pytest.mark.parametrize("code", [1, 42])
def test_the_exit_status_is_passed_on(job, program, home, code):
    (home / "client").touch()
    (home / "leave").write_text(str(code))
    job.start([program("pvserver", FORWARD)])
    job.go()
    assert job.wait() == code
    assert job.progress().ended == (code, "pvserver")


def test_a_job_that_is_kept_starts_pvserver_again(job, program, home, until):
    job.start([program("pvserver", FORWARD)], keep=60, setup="sleep 1000 &")
    for number in (1, 2, 3):
        until(lambda count=number: job.progress().round == count)
        assert job.progress().left is None and job.progress().output == []
        (home / "leave").unlink(missing_ok=True)
        job.go()
        (home / "client").touch()
        until(lambda: job.progress().connected)
        (home / "leave").write_text(str(number))
        until(lambda: job.progress().left is not None)
        assert job.progress().left == number and job.progress().ended is None
        (home / "client").unlink()
        if number < 3:
            job.follow_up("again")
    job.follow_up("end")
    assert job.wait() == 3
    assert job.progress().ended == (3, "pvserver") and job.progress().host
    until(lambda: not job.left(), 5)


def test_a_job_that_is_kept_ends_if_nothing_follows(job, program, home):
    (home / "client").touch()
    (home / "leave").write_text("0")
    job.start([program("pvserver", FORWARD)], keep=1)
    job.go()
    assert job.wait() == 0
    assert job.progress().ended == (0, "idle")


@pytest.mark.parametrize("by", ["stop", "signal"])
def test_a_job_that_is_kept_can_be_ended(job, program, home, until, by):
    (home / "client").touch()
    (home / "leave").write_text("0")
    job.start([program("pvserver", FORWARD)], keep=60)
    job.go()
    until(lambda: job.progress().left is not None)
    if by == "stop":
        (job.directory / "stop").touch()
    else:
        job.process.terminate()
    assert job.wait() == 143
    assert job.progress().ended == (143, "cancelled")


def test_no_client_comes_to_the_next_pvserver(job, program, home, until):
    (home / "client").touch()
    (home / "leave").write_text("0")
    job.start([program("pvserver", FORWARD)], keep=2)
    job.go()
    until(lambda: job.progress().left is not None)
    (home / "client").unlink()
    job.follow_up("again")
    until(lambda: job.progress().round == 2)
    job.go()
    assert job.wait() == 0
    assert job.progress().ended == (0, "idle")


def test_a_pvserver_without_a_client_is_not_followed_by_another_one(job, program):
    job.start([program("pvserver", "#!/bin/sh\nexit 5\n")], keep=60)
    job.go()
    assert job.wait() == 5
    assert job.progress().ended == (5, "pvserver")


def test_pvservers_arguments_arrive_as_they_are(job, program, home):
    odd = ["--a b", "it's \"quoted\"", "$HOME `id` \\n \\", "", " blanks ", "*", "--server-port=0", "-n", "caf\u00e9"]
    job.start([program("pvserver", PRINT_ARGUMENTS), "--first word"])
    job.go(odd)
    assert job.wait() == 0
    assert (home / "arguments").read_text().splitlines() == ["--first word", *odd]


ODD_ARGUMENTS = ["a b", "it's", '"', "$(touch ran)", "`touch ran`", "; touch ran", "$HOME", "\\", "*", "-e", "&touch ran&", "@DIR@", "!!", "#", "~"]


def test_arguments_of_the_command_are_never_run(job, program, home):
    wrapper = program("it's a wrapper", '#!/bin/sh\n"$@"\n')
    pvserver = program("pvserver" + " ".join(ODD_ARGUMENTS).replace("/", ""), PRINT_ARGUMENTS)
    job.start([wrapper, pvserver, *ODD_ARGUMENTS], launcher=["env", *["X=" + word for word in ODD_ARGUMENTS]])
    job.go([])
    assert job.wait() == 0, job.log()
    assert (home / "arguments").read_text().splitlines() == ODD_ARGUMENTS
    assert not list(home.rglob("ran"))


def test_names_of_modules_are_never_run(job, program, home):
    module = program("module", '#!/bin/sh\nprintf "%s\\n" "$@" >> {0}\n'.format(shlex.quote(str(home / "loaded"))))
    job.start([program("pvserver", PRINT_ARGUMENTS)], modules=ODD_ARGUMENTS, path=os.path.dirname(module) + ":")
    job.go([])
    assert job.wait() == 0, job.log()
    assert (home / "loaded").read_text().splitlines() == [line for word in ODD_ARGUMENTS for line in ("load", word)]
    assert not list(home.rglob("ran"))


def test_a_module_that_cannot_be_loaded(job, program, home):
    module = program("module", '#!/bin/sh\necho "no such module: $2" >&2\n[ "$2" = good ]\n')
    job.start([program("pvserver", PRINT_ARGUMENTS)], modules=["good", "paraview/9 9", "never"], path=os.path.dirname(module) + ":")
    assert job.wait() == 96
    assert job.progress().fault == ("module", "paraview/9 9")
    assert job.progress().ended == (96, "pvserver")
    assert "no such module: paraview/9 9" in job.log()


def test_without_a_module_command_there_is_a_fault(job, program):
    job.start([program("pvserver", PRINT_ARGUMENTS)], modules=["paraview"])
    assert job.wait() == 96
    assert job.progress().fault == ("module", "paraview")


def test_a_missing_program(job):
    job.start(["xvfb-run", "-a", "/opt/it's $(not) here/pvserver-5.13"])
    assert job.wait() == 127
    assert job.progress().fault == ("missing", "/opt/it's $(not) here/pvserver-5.13")
    assert "not found" in job.log()


def test_setup_is_the_users_own_shell(job, program, home):
    pvserver = program("pvserver", '#!/bin/sh\nprintf "%s\\n" "$GREETING" > greeting\n')
    setup = "PATH={0}:$PATH\nGREETING=\"it's \\\"$(echo fine)\\\"\"; export GREETING\ncd /\nset -u\necho done with 'setup'".format(os.path.dirname(pvserver))
    job.start(["pvserver"], setup=setup)
    job.go([])
    assert job.wait() == 0, job.log()
    assert (home / "greeting").read_text() == "it's \"fine\"\n"
    assert job.log() == "done with setup\n"


def test_setup_that_ends_the_shell_ends_the_job(job, program):
    job.start([program("pvserver", PRINT_ARGUMENTS)], setup="echo no licence >&2; exit 7")
    assert job.wait() == 7
    assert "no licence" in job.log()


def test_what_setup_started_ends_with_the_job(job, program, until):
    job.start([program("pvserver", PRINT_ARGUMENTS)], setup="sleep 1000 &")
    job.go([])
    assert job.wait() == 0
    until(lambda: not job.left(), 5)


def test_a_port_of_a_range(job, program, home):
    with socket.socket() as taken:
        low = _two_ports(taken)
        job.start([program("pvserver", PRINT_ARGUMENTS)])
        job.go(["--server-port={0}-{1}".format(low, low + 1), "--connect-id=17"])
        assert job.wait() == 0
    assert (home / "arguments").read_text().splitlines() == ["--server-port={0}".format(low + 1), "--connect-id=17"]


def test_no_port_of_a_range(job, program):
    with socket.socket() as taken:
        low = _two_ports(taken)
        job.start([program("pvserver", PRINT_ARGUMENTS)])
        job.go(["--server-port={0}-{0}".format(low)])
        assert job.wait() == 98
    kind, thing = job.progress().fault
    assert kind == "ports"
    assert "{0}-{0}".format(low) in thing


def _two_ports(taken):
    """Occupies the lower of two neighbouring ports of which the higher is free."""
    for port in range(23000, 30000, 2):
        with socket.socket() as upper:
            try:
                taken.bind(("127.0.0.1", port))
                upper.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            taken.listen(1)
            return port
    raise AssertionError("no two ports are free")


def test_a_client_that_does_not_connect(job, program):
    job.start([program("pvserver", FORWARD)], idle=1)
    job.go()
    assert job.wait() == 0
    assert job.progress().ended == (0, "idle")
    assert not job.left()


def test_a_job_without_a_go_file(job, program):
    job.start([program("pvserver", FORWARD)], idle=1)
    assert job.wait() == 0
    assert job.progress().ended == (0, "idle")
    assert not job.left()


def test_the_wall_time_is_over(job, program, home):
    (home / "client").touch()
    job.start([program("pvserver", FORWARD)], limit=1)
    job.go()
    assert job.wait() == 1
    assert job.progress().ended == (1, "walltime")
    assert not job.left()


@pytest.mark.parametrize("moment", ["waiting", "connected"])
def test_a_cancelled_job_leaves_nothing(job, program, home, until, moment):
    job.start([program("pvserver", FORWARD)])
    until((job.directory / "pid").exists)
    if moment == "connected":
        job.go()
        (home / "client").touch()
        until(lambda: "Client connected." in job.progress().output)
    job.process.terminate()
    assert job.wait() == 143
    assert job.progress().ended == (143, "cancelled")
    assert not job.left()


def test_a_job_that_is_cancelled_before_pvservers_shell_began(job, program, until):
    slow = "#!/bin/sh\n[ \"$2\" != sh ] || exec /usr/bin/timeout \"$@\"\ntouch began\nwhile [ ! -e go_on ]; do sleep 0.02; done\nexec /usr/bin/timeout \"$@\"\n"
    path = os.path.dirname(program("timeout", slow)) + ":"
    job.start([program("pvserver", FORWARD)], path=path)
    until((job.directory / "began").exists)
    job.process.terminate()
    try:
        until(lambda: job.process.poll() is not None)
    finally:
        (job.directory / "go_on").touch()
    # A process that is still being started has to find that the job is over.
    until(lambda: not job.processes(), 5)
    assert job.wait() == 143


STUBBORN = "#!/bin/sh\ntrap '' TERM HUP INT\necho 'Waiting for client...'\nwhile :; do sleep 0.05; done\n"


@pytest.fixture(name="poor", params=["", "mkfifo", "timeout"])
def _poor(request, program):
    """A node that lacks one of the programs by which the job ends what it started."""
    return os.path.dirname(program(request.param, "#!/bin/sh\nexit 1\n")) + ":" if request.param else ""


def _runs(job, program, until, path):
    job.start([program("pvserver", STUBBORN)], path=path)
    job.go()
    until(lambda: job.progress().output)
    assert job.left()


def test_if_the_job_is_killed_nothing_of_it_is_left(job, program, until, poor):
    """A batch system that is out of patience kills the job's script alone."""
    _runs(job, program, until, poor)
    job.process.kill()
    job.process.wait()
    until(lambda: not job.left() and not job.processes(), 60)


def test_if_the_session_is_killed_nothing_of_it_is_left(job, program, until, poor):
    """PBS ends a job by its session id."""
    _runs(job, program, until, poor)
    subprocess.run(["pkill", "-KILL", "-s", str(job.process.pid)], check=True)
    job.process.wait()
    until(lambda: not job.left() and not job.processes(), 60)


def test_pvserver_is_in_the_session_of_its_job(job, program, until):
    _runs(job, program, until, "")
    ours = subprocess.run(["ps", "-o", "pid=", "-s", str(job.process.pid)], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    assert {line.split()[0] for line in job.left()} <= set(ours) | {(job.directory / "pid").read_text().strip()}
    assert (job.directory / "pid").read_text().strip() in ours
    assert os.getsid(int((job.directory / "pid").read_text())) == job.process.pid
    assert os.getpgid(int((job.directory / "pid").read_text())) != os.getpgid(job.process.pid)


def test_if_the_directory_is_removed_the_job_ends(job, program, until):
    _runs(job, program, until, "")
    group = (job.directory / "pid").read_text().strip()
    shutil.rmtree(str(job.directory))
    assert job.process.wait(60) == 143
    listing = subprocess.run(["ps", "-wweo", "pgid=,stat="], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    assert not [line for line in listing if line.split()[0] == group and not line.split()[1].startswith("Z")]


def test_pvserver_sh_ends_if_the_job_was_killed_before_it_looked(job, program, until):
    """Nobody writes to the pipe any more when it starts."""
    job.start([program("pvserver", FORWARD)])
    until(lambda: job.progress().host)
    job.process.kill()
    job.process.wait()
    until(lambda: not job.processes(), 60)
    late = "rm -f alive pid go; mkfifo alive; exec 9<> alive; exec 8< alive 9>&-; exec {0} pvserver.sh 022 $$".format(shutil.which(job.shell))
    done = subprocess.run([job.shell, "-c", late], cwd=str(job.directory), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True, timeout=60, check=False)
    assert done.returncode in (-15, -9)


@pytest.mark.parametrize("kind", ["gone", "no directory", pytest.param(
    "another account's", marks=pytest.mark.skipif(os.getuid() != 0, reason="root alone can give a directory away"))])
def test_a_job_that_cannot_write_its_files_ends_at_once(job, program, until, kind):
    job.start([program("pvserver", FORWARD)])
    until(lambda: job.progress().host)
    job.process.kill()
    job.process.wait()
    until(lambda: not job.processes(), 60)
    script = (job.directory / "job.sh").read_text()
    shutil.rmtree(str(job.directory))
    if kind == "no directory":
        job.directory.write_text("")
    elif kind == "another account's":
        job.directory.mkdir()
        (job.directory / "pvserver.sh").write_text("touch ../../ran\n")
        os.chown(str(job.directory), 65533, 65533)
    done = subprocess.run([job.shell, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 73
    assert "{0} cannot write to {1}".format(socket.gethostname(), job.directory) in done.stderr.decode()
    assert not (job.home / "ran").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_job_on_a_full_file_system_ends_at_once(job, program):
    """A file can be made there, and nothing can be written to it."""
    script = job_scripts.job_script(NONE, str(job.directory), {}, 60)
    job.directory.mkdir(parents=True)
    (job.directory / "status.new").symlink_to("/dev/full")
    done = subprocess.run([job.shell, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 73
    assert "cannot write to {0}".format(job.directory) in done.stderr.decode()


def test_a_pvserver_that_ignores_the_signal_is_killed(job, program, until):
    job.start([program("pvserver", "#!/bin/sh\ntrap '' TERM\necho 'Waiting for client...'\nwhile :; do sleep 0.05; done\n")])
    job.go()
    until(lambda: job.progress().output)
    job.process.terminate()
    assert job.wait() == 143
    until(lambda: not job.left())


def test_a_line_that_arrives_in_halves_is_reported_whole(job, program, home, until):
    job.start([program("pvserver", "#!/bin/sh\nprintf 'Accepting connection(s): c101:4'\nwhile [ ! -e more ]; do sleep 0.02; done\necho 0123\n"
                                   "while [ ! -e leave ]; do sleep 0.02; done\n")])
    job.go()
    until(job.log)
    stamps = [0]
    until(lambda: _reads_since(job, stamps) >= 3)
    (home / "more").touch()
    until(lambda: job.progress().output)
    assert job.progress().output == ["Accepting connection(s): c101:40123"]
    (home / "leave").touch()
    job.wait()


def _reads_since(job, stamps):
    """How often the job has read pvserver's log since; it writes the lines into a file each time."""
    try:
        stamp = (job.directory / "said").stat().st_mtime_ns
    except FileNotFoundError:
        return 0
    if stamp not in stamps:
        stamps.append(stamp)
    return len(stamps) - 1


def test_endless_output_does_not_stop_the_job(job, program, home):
    job.start([program("pvserver", "#!/bin/sh\nyes 'Waiting for client...' | head -n 20000\nprintf 'x%.0s' $(seq 20000)\nprintf '\\000\\377\\n'\n")])
    job.go()
    assert job.wait() == 0
    assert 1 <= len(job.progress().output) <= 100


def test_the_head_of_a_slurm_job():
    text = job_scripts.job_script(SLURM, "/h/.paraview-connect/0123456789abcdef", {"nodes": 2, "walltime": 3600, "extra": ["--qos=x"]}, 1200)
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh"
    comment = lines.pop(3)
    assert comment.startswith("#SBATCH --comment=sciviz.paraview-")
    assert lines[1:7] == ["#SBATCH --no-requeue", "#SBATCH --job-name=pvserver", "#SBATCH --output=/h/.paraview-connect/0123456789abcdef/batch.log",
                          "#SBATCH --nodes=2", "#SBATCH --time=1:00:00", "#SBATCH --qos=x"]
    assert 'scontrol show hostnames "$SLURM_JOB_NODELIST"' in text


@pytest.mark.parametrize("shell", SHELLS)
@given(arguments=st.lists(st.text(st.characters(blacklist_characters="\0\n", blacklist_categories=("Cs",))), max_size=5))
def test_go_file_round_trip(shell, arguments, tmp_path):
    """The job's own reading loop gives back what was written."""
    loop = job_scripts.pvserver_script("/", {"pvserver": ["pvserver"]}, []).partition("set --\n")[2].partition("rm -f go")[0]
    (tmp_path / "go").write_bytes(job_scripts.go_file(arguments).encode())
    expected = [argument for argument in arguments if not (argument.startswith("--server-port=") and "-" in argument[14:]) and not argument.startswith("?--")]
    done = subprocess.run([shell, "-c", "set --\n" + loop + 'for word; do printf "%s\\0" "$word"; done'], cwd=str(tmp_path), stdout=subprocess.PIPE,
                          check=True)
    assert done.stdout.decode().split("\0")[:-1] == expected


def test_a_newline_in_an_argument_is_refused():
    with pytest.raises(ValueError, match="newline"):
        job_scripts.go_file(["--a\n--b"])


@given(st.one_of(st.text(), st.lists(st.tuples(st.sampled_from(["running", "nodes", "said", "missing", "ended", "ports", ""]), st.one_of(
    st.text(), st.text("0123456789-\u00b2[], "))).map(" ".join)).map("\n".join)))
def test_no_status_is_an_error(text):
    progress = Progress(text)
    assert progress.ended is None or isinstance(progress.ended[0], int)
    assert all(name and "/" not in name for name in progress.nodes)


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\r"])
def test_a_line_of_pvserver_stays_one_line(char):
    progress = Progress("running c101\nsaid Waiting for client{0}ended 0 pvserver\n".format(char))
    assert progress.ended is None
    assert len(progress.output) == 1


def test_progress():
    progress = Progress("running c101.site.edu\nnodes c101 c102 \nsaid Waiting for client...\nmodule paraview/5.13 x\nended 96 pvserver\n")
    assert (progress.host, progress.nodes, progress.output) == ("c101.site.edu", ["c101", "c102"], ["Waiting for client..."])
    assert (progress.fault, progress.ended) == (("module", "paraview/5.13 x"), (96, "pvserver"))
    assert Progress("ended").ended == (1, "")
    assert Progress("running -oProxyCommand=x").host == ""


def test_the_job_writes_its_process_id(job, program, until):
    job.start([program("pvserver", FORWARD)])
    pid = int(until(lambda: (job.directory / "pid").exists() and (job.directory / "pid").read_text()))
    job.go()
    until(lambda: job.progress().output)
    assert processes.started(pid)
    assert "pvserver" in "".join(job.left())


# Starts three ranks on each host of the file `hosts`, and rank 0 prints pvserver's lines. Each finds its host's name where the kernel has it.
LAUNCHER = """#!/bin/sh
for host in $(cat "$HOME/hosts"); do
  for rank in 1 2 3; do echo "$host" > "$HOME/kernel.$host"; KERNEL="$HOME/kernel.$host" "$@" > /dev/null & done
done
wait
exec "$HOME/pvserver"
"""


@pytest.mark.parametrize("line", ["Accepting connection(s): c101:40123", "Connecting to client (reverse connection requested)..."])
@pytest.mark.parametrize(("hosts", "number"), [("c101", 1), ("c101 c101 c102", 2), ("c101 c102 c103.site", 3), ("localhost", None)])
def test_hosts_with_ranks_are_counted(job, program, home, line, hosts, number):
    (home / "hosts").write_text(hosts + "\n")
    (home / "pvserver").write_text("#!/bin/sh\necho '{0}'\nsleep 0.3\n".format(line))
    (home / "pvserver").chmod(0o755)
    rank = rendering.rank_script().replace("/proc/sys/kernel/hostname", '"$KERNEL"')
    job.start([program("pvserver", "#!/bin/sh\n")], launcher=["sh", program("launcher", LAUNCHER)], files={rendering.RANK_FILE: rank})
    job.go([])
    assert job.wait() == 0, job.log()
    assert job.progress().ranks == number
    assert not re.search("rror|not found", job.log())


def test_ranks_of_an_earlier_run_are_not_counted(job, program, home):
    """The batch system may start a job once more."""
    job.start([program("pvserver", "#!/bin/sh\necho 'Accepting connection(s): c101:40123'\n")], files={"host.c102": ""})
    job.go([])
    assert job.wait() == 0
    assert job.progress().ranks is None


@pytest.mark.parametrize(("host", "nodes", "first"), [
    ("dahu-7.site.edu", "dahu-10 dahu-3 dahu-7", ["dahu-7", "dahu-10", "dahu-3"]), ("c2", "c1.site.edu c2.site.edu", ["c2.site.edu", "c1.site.edu"]),
    ("c1", "c1 c2", ["c1", "c2"]), ("batch7", "nid1 nid2", ["nid1", "nid2"]), ("c1", "", [])])
def test_the_root_node_is_the_first_in_a_list_that_is_sorted_by_name(host, nodes, first):
    assert Progress("nodes {0}\naddresses\nrunning {1}\n".format(nodes, host)).nodes == first
