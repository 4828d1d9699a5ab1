# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in front of pvserver in its command: wrappers that start a program of the same host, containers, and programs that nobody here knows.

Sources: the manual pages of coreutils, util-linux, xvfb-run, numactl and VirtualGL; the command lines of Apptainer, Podman, Shifter, Charliecloud and Sarus.
"""

import os
import re
import shlex
import typing as t

# Wrappers that run a program of the same host, which they find on the PATH. By name: the options whose value is the next word, and the number of
# words that precede the program.
_TRANSPARENT: t.Dict[str, t.Tuple[t.Tuple[str, ...], int]] = {
    "xvfb-run": (("-e", "--error-file", "-f", "--auth-file", "-n", "--server-num", "-s", "--server-args", "-p", "--xauth-protocol", "-w", "--wait"), 0),
    "env": (("-u", "--unset"), 0),
    "nice": (("-n", "--adjustment"), 0),
    "ionice": (("-c", "--class", "-n", "--classdata"), 0),
    "chrt": (("-T", "--sched-runtime", "-P", "--sched-period", "-D", "--sched-deadline"), 1),
    "taskset": ((), 1),
    "numactl": (("-i", "--interleave", "-p", "--preferred", "-N", "--cpunodebind", "-C", "--physcpubind", "-m", "--membind", "-P", "--preferred-many"), 0),
    "stdbuf": (("-i", "--input", "-o", "--output", "-e", "--error"), 0),
    "nohup": ((), 0),
    "setsid": ((), 0),
    "time": (("-f", "--format", "-o", "--output"), 0),
    "timeout": (("-k", "--kill-after", "-s", "--signal"), 1),
    "vglrun": (("-c", "-d", "-fps", "-gamma", "-ld", "-ms", "-q", "-samp", "-st", "-subsamp", "-trans"), 0),
    "dbus-run-session": (("--config-file", "--dbus-daemon"), 0),
}
# With these options, or an assignment to PATH, env starts a program that this host's PATH need not have.
_ENV_ELSEWHERE = re.compile(r"^(?:PATH=|-i\Z|-\Z|--ignore-environment\Z|-S|--split-string|-C\Z|--chdir)")

# The first word after the options and the subcommand is the image.
_IMAGE_FIRST = ("apptainer", "singularity", "docker", "podman", "podman-hpc", "nerdctl", "sarus", "enroot")
# These start a program of another root, and those of another environment, which have the same directories.
_ROOTS = ("shifter", "ch-run", "pcocc-rs", "udocker", "flatpak", "bwrap", "unshare", "nsenter", "chroot", "proot", "fakechroot", "systemd-nspawn")
_ENVIRONMENTS = ("uenv", "squashfs-mount", "nix", "nix-shell", "guix", "conda", "mamba", "micromamba", "pixi")
#: The names of programs whose own program need not have the directories of the host: an extended regular expression for words.
OTHER_ROOTS = "|".join(_IMAGE_FIRST + _ROOTS)
_IMAGES, _CONTAINER = (re.compile(r"^(?:{0})(?:-?\d[\d.]*)?\Z".format("|".join(re.escape(name) for name in names)))
                       for names in (_IMAGE_FIRST, _IMAGE_FIRST + _ROOTS + _ENVIRONMENTS))
# A container of these has a network of its own, and stays after its end, unless an option changes that.
_ENGINE = re.compile(r"^(?:docker|podman|podman-hpc|nerdctl)\Z")
_HOST_NETWORK = re.compile(r"^--net(?:work)?=host\Z")
# Options of containers whose value is the next word: in both families, in that of Apptainer, and in that of Docker. The same letter may be a flag in the other.
_WITH_VALUE = ("--add-host", "--cap-add", "--cap-drop", "--cpus", "--cpu-shares", "--cpuset-cpus", "--cpuset-mems", "--device", "--dns", "--entrypoint",
               "--env", "--env-file", "--gpus", "--hostname", "--memory", "--memory-swap", "--mount", "--name", "--network", "--pids-limit",
               "--shm-size", "--workdir")
_WITH_VALUE_APPTAINER = _WITH_VALUE + (
    "--add-caps", "--app", "--apply-cgroups", "-B", "--bind", "--cwd", "--docker-password", "--docker-username", "--drop-caps", "--fusemount", "-H", "--home",
    "--network-args", "--no-mount", "-o", "--overlay", "--pem-path", "--pwd", "-S", "--scratch", "--security", "-W")
_WITH_VALUE_DOCKER = _WITH_VALUE + (
    "--annotation", "-a", "--attach", "--cgroup-parent", "--cgroups", "--cidfile", "-e", "--group-add", "-h", "--ipc", "-l", "--label", "--log-driver",
    "--log-opt", "-m", "--net", "-p", "--pid", "--platform", "--publish", "--pull", "--restart", "--security-opt", "--stop-signal", "--tmpfs", "-u", "--ulimit",
    "--user", "--userns", "--uts", "-v", "--volume", "--volumes-from", "-w")
_SUBCOMMANDS = ("exec", "run", "start", "shell", "container")

_PVSERVER = re.compile(r"(?:^|/)pvserver[^/:]*$")
_NOT_PVSERVER = re.compile(r"^-|^[A-Za-z_]\w*=|[;&|<>$`\"'\n]|\.(?:sif|simg|img|sqsh|sqfs|squashfs)$|://")
# With these options an MPI launcher does not use the pvserver on the PATH.
_ELSEWHERE = re.compile(r"^--(?:uenv|container[a-z-]*|environment|image)(?:=.*)?\Z")


def is_pvserver(word: str) -> bool:
    """Whether a word of a command names pvserver. An option, an assignment, an image and text for a shell do not, whatever they contain."""
    return bool(_PVSERVER.search(word)) and not _NOT_PVSERVER.search(word)


def is_transparent(word: str) -> bool:
    """Whether a word names a wrapper that runs a program of the same host."""
    return os.path.basename(word) in _TRANSPARENT


def is_container(word: str) -> bool:
    """Whether a word names a program that starts another program in a container or in another environment."""
    return bool(_CONTAINER.match(os.path.basename(word)))


def first_word(words: t.Sequence[str]) -> int:
    """The index of the program that a command starts on this host: of the first word that is no transparent wrapper.

    If the command ends before that, or a wrapper sets the PATH of its program, it is the index of that wrapper.

    Args:
        words: the command, not empty.
    """
    place = 0
    while is_transparent(words[place]):
        following = _after(words, place)
        if following is None:
            return place
        place = following
    return place


def _after(words: t.Sequence[str], wrapper: int) -> t.Optional[int]:
    """The index of the word that a transparent wrapper starts; None if it cannot be found."""
    name = os.path.basename(words[wrapper])
    with_value, operands = _TRANSPARENT[name]
    place = wrapper + 1
    while place < len(words):
        word = words[place]
        if name == "env" and _ENV_ELSEWHERE.match(word):
            return None
        if word in with_value:
            place += 1
        elif word.startswith(("-", "+")) and word != "--" or name == "env" and re.match(r"[A-Za-z_]\w*=", word):
            pass
        elif operands and word != "--":
            operands -= 1
        elif word != "--":
            return place
        place += 1
    return None


def pvserver_index(words: t.Sequence[str]) -> t.Optional[int]:
    """The index of the word that is pvserver, whatever precedes it; None if no word is, as in the text of a shell, or if an image starts pvserver itself.

    Args:
        words: the command.
    """
    place = 0
    while place < len(words):
        word = words[place]
        if _IMAGES.match(os.path.basename(word)):
            place = _after_image(words, place)
            continue
        if is_pvserver(word) and not (place and words[place - 1] in ("--app", "--entrypoint", "--name")) and not _is_text(words[:place]):
            return place
        place += 1
    return None


def _after_image(words: t.Sequence[str], container: int) -> int:
    """The index of the word that follows a container's image."""
    with_value = _WITH_VALUE_APPTAINER if os.path.basename(words[container]).startswith(("apptainer", "singularity")) else _WITH_VALUE_DOCKER
    place = container + 1
    while place < len(words):
        word = words[place]
        if word in with_value:
            place += 1
        elif not word.startswith("-") and word not in _SUBCOMMANDS:
            return place + 1
        place += 1
    return place


def _is_text(before: t.Sequence[str]) -> bool:
    """Whether the word that follows these words is text for a shell."""
    before = before[:-1] if before[-1:] == ["--"] else before
    shells = [word for word in before if re.match(r"(?:ba|da|k|z|tc|c|fi)?sh\Z", word.rpartition("/")[2])]
    return bool(shells) and bool(re.match(r"-[a-z]*c\Z", before[-1]))


def chooses_pvserver(launcher: t.Optional[t.Sequence[str]]) -> bool:
    """Whether an MPI launcher starts pvserver in a container or in another environment.

    Args:
        launcher: its command; may be None.
    """
    return any(_ELSEWHERE.match(word) or is_container(word) for word in launcher or [])


def contains(words: t.Sequence[str]) -> bool:
    """Whether a command starts a container or another environment, as far as its words show."""
    return any(is_container(word) for word in words) or chooses_pvserver(words)


def leaves_container(words: t.Sequence[str]) -> bool:
    """Whether each start of a command makes a container that stays, or one whose name the next start needs."""
    return (any(_ENGINE.match(os.path.basename(word)) for word in words) and "run" in words
            and ("--rm" not in words or any(re.match(r"--(?:name|cidfile)(?:=|\Z)", word) for word in words)))


def has_own_network(words: t.Sequence[str]) -> bool:
    """Whether a command starts pvserver in a container with a network of its own, which nothing outside can reach.

    Args:
        words: the command.
    """
    joined = ["{0}={1}".format(word, words[place + 1]) if word in ("--net", "--network") and place + 1 < len(words) else word
              for place, word in enumerate(words)]
    return any(_ENGINE.match(os.path.basename(word)) for word in words) and not any(_HOST_NETWORK.match(word) for word in joined)


def quoted(words: t.Iterable[str]) -> str:
    """Words for a shell, as they are; of a word that begins with ``~/``, the shell replaces the tilde by the home directory."""
    return " ".join('"$HOME"/' + (shlex.quote(word[2:]) if word[2:] else "") if word.startswith("~/") else shlex.quote(word) for word in words)
