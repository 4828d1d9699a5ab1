# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pvserver behind containers and wrappers. The containers of these tests enter another root, in a mount namespace, as the real ones do."""

import os
import shlex
import shutil
import subprocess

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import job_faults, job_scripts
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster.status_file import Progress
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import drawing
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import log_causes, version_probe, wrappers
from ansible_collections.sciviz.paraview.plugins.module_utils.session import lifeline
from hypothesis import given
from hypothesis import strategies as st

SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]
# Enters the root $root with the directories of the host that $binds names, and becomes the command in its arguments.
ENTER = r"""
here=$(pwd) PATH=/usr/sbin:$PATH
export root binds here PATH
exec unshare -r -m --propagation private sh -c '
  for place in usr proc dev $binds; do mkdir -p "$root/$place"; mount --rbind "/$place" "$root/$place" || exit 125; done
  for place in bin sbin lib lib64; do [ -e "$root/$place" ] || [ ! -L "/$place" ] || ln -s "usr/$place" "$root/$place"; done
  exec chroot "$root" sh -c "PATH=/opt/paraview/bin:/usr/bin:/bin; cd \"$here\" 2>/dev/null || cd /; exec \"\$@\"" sh "$@"' sh "$@"
"""
# exec OPTIONS IMAGE COMMAND..., run OPTIONS IMAGE ARGUMENTS...: the home is in the container unless --no-home is given.
APPTAINER = r"""#!/bin/sh
verb=$1 binds=${HOME#/} app=; shift
[ -z "$LIKE_SHIFTER" ] || { set -- "$verb" "$@"; verb=exec; }
while :; do
  case $1 in
    --no-home) binds=; shift;; --app) app=$2; shift 2;; -B | --bind) shift 2;; --image=*) image=${1#*=}; shift;; -*) shift;; *) break;;
  esac
done
if [ -z "$LIKE_SHIFTER" ]; then image=$1; shift; fi
if [ ! -d "$image" ]; then
  echo "FATAL:   could not open image $(pwd)/$image: failed to retrieve path for $(pwd)/$image: lstat $image: no such file or directory" >&2
  exit 255
fi
root=$(cd "$image" && pwd)
if [ "$verb" = run ]; then set -- "${app:-pvserver}" "$@"; fi
case $1 in
  /usr/* | /bin/* | sh | env | test | "$HOME"/*) ;;
  /*) [ -e "$root$1" ] || { echo "FATAL:   stat $1: no such file or directory" >&2; exit 255; };;
  *) [ -e "$root/opt/paraview/bin/$1" ] || { echo "FATAL:   \"$1\": executable file not found in \$PATH" >&2; exit 255; };;
esac
""" + ENTER
# What the pvserver of the container and that of the host print: which of them it is, its arguments, and what it sees of the session's files.
PVSERVER = r"""#!/bin/sh
case $* in
  *--version*) echo "paraview version {version}"; exit;;
  *--help*) echo "  --timeout-command TEXT  --bind-address TEXT"; exit;;
esac
echo "pvserver {version}"
for argument; do
  echo "argument $argument"
  case $argument in --timeout-command=*) echo "left $(${{argument#*=}})";; esac
done
echo "window $VTK_DEFAULT_OPENGL_WINDOW"
"""


def namespaces():
    """Whether this account may enter another root."""
    return subprocess.run(["unshare", "-r", "-m", "chroot", "/", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


entering = pytest.mark.skipif(not shutil.which("unshare") or not namespaces(), reason="the kernel allows no namespaces here")


class Cluster:
    """A home with the image of a container, a login node and a node, as one host.

    Args:
        top (pathlib.Path): a directory. shell (str): the one that runs the job's script.
    """

    def __init__(self, top, shell):
        self.shell = shell
        self.home, self.image = top / "home", top / "home" / "pv.sif"
        self.job, self.bin = self.home / "session", top / "bin"
        for place in (self.job, self.bin, self.image / "opt" / "paraview" / "bin", self.image / "home"):
            place.mkdir(parents=True)
        self.write(self.image / "opt" / "paraview" / "bin" / "pvserver", PVSERVER.format(version="9.8.7"))
        self.program("apptainer", APPTAINER)
        self.program("singularity", APPTAINER)
        self.program("shifter", APPTAINER.replace("verb=$1", "LIKE_SHIFTER=1 verb=$1"))
        self.environment = {"HOME": str(self.home), "PATH": str(self.bin) + ":/usr/bin:/bin"}

    @staticmethod
    def write(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def program(self, name, text):
        self.write(self.bin / name, text)

    def on_host(self):
        """Another pvserver on the host's PATH, which no container contains."""
        self.program("pvserver", PVSERVER.format(version="1.2.3"))
        return self

    def start(self, *pvserver, launcher=(), rendering="auto", setup="", arguments=("--server-port=0", "?--bind-address=127.0.0.1"), look=""):
        options = {"pvserver": list(pvserver), "setup": setup, "rendering": rendering}
        (self.job / "pvserver.sh").write_text(job_scripts.pvserver_script(str(self.job), options, list(launcher), look=look))
        (self.job / "rank.sh").write_text('exec "$@"\n')
        (self.job / "go").write_text(job_scripts.go_file(list(arguments)))
        self.write(self.job / "left", "#!/bin/sh\necho 42\n")
        done = subprocess.run([shutil.which(self.shell), "pvserver.sh", "022"], cwd=str(self.job), env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        self.code, self.out = done.returncode, done.stdout.decode()
        return self

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def fault(self):
        path = self.job / "fault"
        return path.read_text().strip() if path.exists() else ""

    def version(self, *pvserver):
        def script(text, seconds):
            done = subprocess.run([shutil.which(self.shell)], input=text.encode(), cwd=str(self.home), env=self.environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=seconds, check=False)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        return version_probe.ask(script, [], list(pvserver))


@pytest.fixture(name="cluster", params=SHELLS)
def _cluster(request, tmp_path):
    return Cluster(tmp_path, request.param)


IN_CONTAINER = ["apptainer exec --nv pv.sif pvserver", "apptainer exec pv.sif /opt/paraview/bin/pvserver", "singularity exec -B /x:/y ~/pv.sif pvserver",
                "shifter --image=pv.sif pvserver", "apptainer run pv.sif", "singularity run --app pvserver pv.sif",
                "env A=b nice -n 1 apptainer exec pv.sif pvserver"]


@entering
@pytest.mark.parametrize("command", IN_CONTAINER)
def test_a_pvserver_that_is_in_a_container_alone(cluster, command):
    cluster.start(*shlex.split(command))
    assert (cluster.code, cluster.fault) == (0, ""), cluster.out
    assert "pvserver 9.8.7" in cluster.lines and "argument --server-port=0" in cluster.lines
    assert "argument --bind-address=127.0.0.1" in cluster.lines, "the options are those of the container's pvserver"
    assert cluster.version(*shlex.split(command)).version == "9.8.7"


@entering
@pytest.mark.parametrize("command", IN_CONTAINER)
def test_the_pvserver_of_the_host_shows_nothing_about_that_of_a_container(cluster, command):
    """Neither its version, nor its options, nor what it draws with."""
    cluster.on_host().program("pvserver", PVSERVER.format(version="1.2.3").replace("--timeout-command TEXT  --bind-address TEXT", "nothing"))
    cluster.program("ldd", "#!/bin/sh\necho '	libGLX.so.0 => /x/libGLX.so.0 (0x1)'\n")
    cluster.start(*shlex.split(command), rendering="osmesa")
    assert (cluster.code, cluster.fault) == (0, ""), cluster.out
    assert "pvserver 9.8.7" in cluster.lines and "argument --bind-address=127.0.0.1" in cluster.lines
    assert "window vtkOSOpenGLRenderWindow" in cluster.lines
    assert cluster.version(*shlex.split(command)).version == "9.8.7"


def test_a_daemon_that_an_answer_leaves_is_not_waited_for(cluster):
    """An MPI library may start one, which keeps the output of the command open."""
    daemon = cluster.home / "daemon"
    cluster.program("wrapper", '#!/bin/sh\ncase $* in *--help*) setsid sleep 60 & echo $! > {0};; esac\nexec "$@"\n'.format(daemon))
    cluster.program("pvserver", PVSERVER.format(version="1.2.3"))
    try:
        cluster.start("wrapper", "pvserver")
        assert (cluster.code, cluster.fault) == (0, ""), cluster.out
        assert "argument --bind-address=127.0.0.1" in cluster.lines
        os.kill(int(daemon.read_text()), 0)
    finally:
        os.kill(int(daemon.read_text()), 9)
    assert not (cluster.job / "answer").exists()


@entering
@pytest.mark.parametrize(("command", "warned"), [
    ("apptainer exec pv.sif pvserver", True), ("apptainer exec --no-home {image} pvserver", False), ("apptainer run pv.sif", False),
    ("apptainer exec pv.sif /opt/paraview/bin/pvserver", True), ("pvserver", True), ("bind-gpu pvserver", True)])
def test_the_time_left_is_asked_only_where_the_session_s_directory_is_seen(cluster, command, warned):
    cluster.program("bind-gpu", '#!/bin/sh\nGPU=0 exec "$@"\n')
    if "apptainer" not in command:
        cluster.on_host()
    cluster.start(*command.format(image=cluster.image).split())
    assert cluster.code == 0, cluster.out
    assert ("left 42" in cluster.lines) is warned, cluster.out
    assert warned or "--timeout-command" not in cluster.out


@entering
def test_a_module_whose_pvserver_is_a_script_that_starts_a_container(cluster):
    cluster.program("pvserver", '#!/bin/sh\nexec apptainer exec --no-home {0} pvserver "$@"\n'.format(cluster.image))
    cluster.start("pvserver")
    assert cluster.code == 0 and "pvserver 9.8.7" in cluster.lines and "--timeout-command" not in cluster.out, cluster.out


@entering
def test_an_mpi_launcher_starts_the_container_for_each_rank(cluster):
    cluster.program("srun", '#!/bin/sh\nshift\n"$@"; exec "$@"\n')
    cluster.start("apptainer", "exec", "pv.sif", "pvserver", launcher=["srun", "-n2"])
    assert cluster.code == 0 and cluster.lines.count("pvserver 9.8.7") == 2, cluster.out
    cluster.start("pvserver", launcher=["srun", "-n2", "apptainer", "exec", "pv.sif"])
    assert cluster.code == 0 and cluster.lines.count("pvserver 9.8.7") == 2, cluster.out


def test_a_launcher_whose_option_chooses_the_pvserver(cluster):
    """No pvserver is on the PATH of the node outside of the step."""
    cluster.program("srun", '#!/bin/sh\necho "srun $1"\nshift\nexec "$@"\n'.replace('exec "$@"', 'echo "starts $*"'))
    cluster.start("pvserver", launcher=["srun", "--environment=viz"])
    assert (cluster.code, cluster.fault) == (0, ""), cluster.out
    assert cluster.lines == ["srun --environment=viz", "starts pvserver --server-port=0"]


@pytest.mark.parametrize("command", [
    ["sh", "-c", 'DEVICE=$((1 + 1)) exec {0}/pvserver "$@"', "sh"], ["bash", "-c", 'module() { :; }; module load pv; exec {0}/pvserver "$@"', "_"],
    ["bind-gpu", "{0}/pvserver"], ["env", "PATH={0}:/usr/bin:/bin", "pvserver"], ["timeout", "-k", "5", "60", "bind-gpu", "{0}/pvserver"],
    ["start-viz"], ["taskset", "-c", "0", "{0}/pvserver"], ["./session/../inside/pvserver"]])
def test_wrappers_that_start_a_pvserver_beside_the_path(cluster, command):
    place = cluster.home / "inside"
    place.mkdir()
    cluster.write(place / "pvserver", PVSERVER.format(version="4.5.6"))
    cluster.program("bind-gpu", '#!/bin/sh\nDEVICE=${SLURM_LOCALID:-0} exec "$@"\n')
    cluster.program("start-viz", '#!/bin/sh\nexec {0}/pvserver "$@"\n'.format(place))
    cluster.start(*(word.replace("{0}", str(place)) for word in command))
    assert (cluster.code, cluster.fault) == (0, ""), cluster.out
    assert "pvserver 4.5.6" in cluster.lines and "argument --bind-address=127.0.0.1" in cluster.lines, cluster.out


def test_a_wrapper_that_does_not_answer_delays_the_start_by_seconds(cluster):
    cluster.program("timeout", '#!/bin/sh\n[ "$3" = 20 ] || exit 125\nexec /usr/bin/timeout -k 1 1 "$4" "$5" "$6"\n')
    cluster.program("start-viz", '#!/bin/sh\ncase $* in *--help*) exec sleep 60;; esac\necho started "$@"\n')
    cluster.start("start-viz")
    assert (cluster.code, cluster.lines) == (0, ["started --server-port=0"])


def test_no_frame_is_drawn_with_the_pvpython_of_the_host_for_a_container(cluster):
    cluster.program("apptainer", '#!/bin/sh\necho "drawn - asked $*"\n')
    cluster.program("pvpython", "#!/bin/sh\necho drawn - host\n")
    cluster.start("apptainer", "exec", "--bind", "/data/pvserver:/data", "pvserver.sif", "pvserver",
                  look=drawing.lines(["apptainer", "exec", "--bind", "/data/pvserver:/data", "pvserver.sif", "pvserver"], str(cluster.job)))
    assert "asked exec --bind /data/pvserver:/data pvserver.sif pvpython --no-mpi" in (cluster.job / "drawn").read_text()


# -- what is missing

@pytest.mark.parametrize(("command", "missing"), [
    ("apptainer exec pv.sif pvserver", "apptainer"), ("podman-hpc run --rm x/paraview pvserver", "podman-hpc"),
    ("/sw/bin/bind-gpu pvserver", "/sw/bin/bind-gpu"),
    ("xvfb-run -a apptainer exec pv.sif pvserver", "apptainer"), ("no-such-srun -n 2 pvserver", "no-such-srun"), ("pvserver", "pvserver")])
def test_what_starts_pvserver_is_missing(cluster, command, missing):
    (cluster.bin / "apptainer").unlink()
    cluster.start(*command.split())
    assert (cluster.code, cluster.fault) == (127, "missing " + missing)
    error = job_faults.error("17", "c101", ("missing", missing), command.split())
    assert missing in error.why and command in error.what and "paraview_pvserver" in error.way_out


def test_an_mpi_launcher_in_the_command_does_not_hide_that_pvserver_is_missing(cluster):
    cluster.program("mpiexec", "#!/bin/sh\nexit 1\n")
    assert cluster.start("mpiexec", "-n", "4", "pvserver").fault == "missing pvserver"


@entering
@pytest.mark.parametrize(("command", "kind", "text"), [
    ("apptainer exec pv.sif pvserver-6.0", "program", "pvserver-6.0 could not be started: it was not found in the container"),
    ("apptainer exec pv.sif /sw/pv/bin/pvserver", "program", "/sw/pv/bin/pvserver could not be started: it was not found in the container"),
    ("apptainer exec other.sif pvserver", "image", "other.sif")])
def test_the_log_names_what_a_container_lacks(cluster, command, kind, text):
    cluster.start(*command.split())
    assert cluster.code == 255 and not cluster.fault
    cause = log_causes.explain(cluster.out, cluster.code)
    assert cause.kind == kind and text in cause.what and "paraview_pvserver" in cause.way_out


@pytest.mark.parametrize(("program", "code"), [("chroot", 127), ("unshare", 127)])
@entering
def test_a_program_that_enters_another_root_names_what_it_lacks(cluster, program, code):
    command = ["unshare", "-r", "/usr/sbin/chroot", "/", "pvserver"] if program == "chroot" else ["unshare", "-r", "pvserver"]
    cluster.start(*command)
    assert cluster.code == code
    assert log_causes.explain(cluster.out, code).what.startswith("pvserver could not be started")


def test_a_container_with_a_network_of_its_own():
    progress = Progress("running c101\nsaid Accepting connection(s): 3f2a91:40123\nelsewhere 40123\n")
    command = ["podman", "run", "--rm", "x/paraview:6", "pvserver"]
    with pytest.raises(SessionError) as raised:
        job_faults.reachable(("3f2a91", 40123), progress, False, command)
    assert "--network=host" in raised.value.way_out
    assert job_faults.reachable(("c102", 40123), progress, False, [*command[:3], "--net", "host", *command[3:]]) == ("c102", 40123)


def test_reconnection_needs_a_python_outside_of_the_container():
    assert lifeline.why_not_in_job(Progress("running c101\nlifeline\n"), ["apptainer", "exec", "pv.sif", "pvserver"]).endswith("outside of the container")
    assert lifeline.why_not_in_job(Progress("running c101\nlifeline\n"), ["pvserver"]).endswith("3.6 or newer")


# -- commands of public guides, with other names

@pytest.mark.parametrize(("command", "needed", "asked"), [
    ("apptainer exec -B /home topology.sif pvserver", ["apptainer"], "apptainer exec -B /home topology.sif pvserver"),
    ("apptainer exec /contrib/pv/paraview-egl.sif pvserver --displays=0", ["apptainer"], "apptainer exec /contrib/pv/paraview-egl.sif pvserver"),
    ("singularity run -B /home topology.sif pvserver", ["singularity"], "singularity run -B /home topology.sif pvserver"),
    ("srun -J viz --pty apptainer exec --bind /scratch:/scratch --bind /lustre:/lustre ~/images/v2.sif pvserver", ["srun"],
     "apptainer exec --bind /scratch:/scratch --bind /lustre:/lustre ~/images/v2.sif pvserver"),
    ("singularity exec /img/paraview--py27_2.simg pvserver", ["singularity"], "singularity exec /img/paraview--py27_2.simg pvserver"),
    ("srun -n 1 podman-hpc run --rm --net=host --env-file=/x/conf -v /x/scripts:/scripts site/pvserver:716 /opt/pv/bin/pvserver", ["srun"],
     "podman-hpc run --rm --net=host --env-file=/x/conf -v /x/scripts:/scripts site/pvserver:716 /opt/pv/bin/pvserver"),
    ("podman-hpc run --rm --gpu --ipc=host --entrypoint pvserver -e HF_HOME site/paraview:6", ["podman-hpc"],
     "podman-hpc run --rm --gpu --ipc=host --entrypoint pvserver -e HF_HOME site/paraview:6"),
    ("shifter --image=docker:site/pvserver:latest pvserver --mpi", ["shifter"], "shifter --image=docker:site/pvserver:latest pvserver"),
    ("time srun -N 1 -n 4 -c 8 shifter --image=docker:site/pv:latest pvserver", ["srun"], "shifter --image=docker:site/pv:latest pvserver"),
    ("apptainer exec pv.sif mpirun -np 4 pvserver", ["apptainer"], "apptainer exec pv.sif pvserver"),
    ("apptainer run --app pvserver /sw/pvserver.sif", ["apptainer"], "apptainer run --app pvserver /sw/pvserver.sif"),
    ("apptainer exec docker://site/pvserver xvfb-run -a pvserver", ["apptainer"], "apptainer exec docker://site/pvserver xvfb-run -a pvserver"),
    ("singularity-3.8 exec -e -u -w --net -B a:b pv.sif pvserver -x", ["singularity-3.8"], "singularity-3.8 exec -e -u -w --net -B a:b pv.sif pvserver"),
    ("podman run -i -u 1000 -e A --net host -v /x/pvserver:/x site/pvserver pvserver", ["podman"], ""),
    ("docker container run site/pvserver --mpi", ["docker"], ""),
    ("podman run --rm --name pv --net=host site/pv:6 pvserver", ["podman"], ""),
    ("docker run --rm site/pv:6 pvserver", ["docker"], "docker run --rm site/pv:6 pvserver"),
    ("ch-run -b /scratch /var/tmp/pvserver -- pvserver", ["ch-run"], None), ("/sw/images/pvserver.sif", ["/sw/images/pvserver.sif"], "/sw/images/pvserver.sif"),
    ("srun --uenv=paraview/6.0:v1 --view=default pvserver", ["srun"], ""),
    ("conda run -n pv --live-stream pvserver", ["conda"], "conda run -n pv --live-stream pvserver"),
    ("numactl -N 0 --membind 0 /sw/bind.sh pvserver", ["/sw/bind.sh"], "numactl -N 0 --membind 0 /sw/bind.sh pvserver"),
    ("env -u DISPLAY LD_PRELOAD= timeout --signal=INT 3h pvserver", ["pvserver"], "env -u DISPLAY LD_PRELOAD= timeout --signal=INT 3h pvserver"),
    ("env", ["env"], "env"), ("timeout 5", ["timeout"], "timeout 5"), ("vglrun -d egl +sync pvserver", ["pvserver"], "vglrun -d egl +sync pvserver")])
def test_commands_of_public_guides(command, needed, asked):
    words = command.split()
    assert version_probe.looked_for(words) == needed
    assert asked is None or version_probe.question(words) == asked.split()
    assert not wrappers.contains(words) or not version_probe.by_path(words), "no module of the host determines what a container has"


@pytest.mark.parametrize(("launcher", "asked"), [
    (None, "pvserver"), (["srun", "-n", "{tasks}"], "pvserver"), (["srun", "-n", "{tasks}", "apptainer", "exec", "pv.sif"], "apptainer exec pv.sif pvserver"),
    (["srun", "--uenv=paraview/6.0"], "")])
def test_an_mpi_launcher_may_bring_the_container(launcher, asked):
    assert version_probe.question_of(["pvserver"], launcher) == asked.split()


@pytest.mark.parametrize(("words", "direct"), [
    (["pvserver"], True), (["xvfb-run", "-a", "-s", "-noreset", "/sw/pvserver"], True), (["env", "A=1", "bind-gpu", "pvserver"], False),
    (["env", "PATH=/sw/bin", "pvserver"], False), (["apptainer", "exec", "a.sif", "pvserver"], False), (["sh", "-c", "pvserver"], False), ([], False)])
def test_whether_the_file_of_the_host_is_the_pvserver(words, direct):
    assert version_probe.is_direct(words) is direct


WORDS = st.sampled_from(["env", "timeout", "apptainer", "exec", "run", "-k", "--app", "A=b", "--", "pvserver", "/x/pvserver", "pv.sif", "srun", "sh", "-c",
                         "5", ""])


@given(st.lists(WORDS | st.text(), min_size=1))
def test_any_command_can_be_read(words):
    assert version_probe.looked_for(words)[0] in words
    place = wrappers.pvserver_index(words)
    assert place is None or wrappers.is_pvserver(words[place])
    version_probe.question(words)
    wrappers.has_own_network(words)


@given(st.lists(st.text(st.characters(blacklist_characters="\0\r\n", blacklist_categories=("Cs",))), min_size=1, max_size=4))
def test_words_reach_the_command_as_they_are(words):
    environment = dict(os.environ, HOME="/h o/$me")
    done = subprocess.run(["/bin/sh", "-c", 'printf "%s\\n" ' + wrappers.quoted(words)], stdout=subprocess.PIPE, env=environment, check=True)
    assert done.stdout.decode().split("\n")[:-1] == ["/h o/$me/" + word[2:] if word.startswith("~/") else word for word in words]


@pytest.mark.parametrize("own", ["--timeout=5", "--timeout-command=echo 3"])
def test_the_users_own_limit_stays(cluster, own):
    cluster.on_host().start("pvserver", own)
    assert cluster.code == 0 and "argument " + own in cluster.lines and "left 42" not in cluster.lines, cluster.out
