# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sshd program and its daemon: the values that sshd has with a configuration; whether the daemon runs and answers; its reload."""

import collections
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from .config import Tree, lines

_PATH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin"
_SETTING = re.compile(r"^debug3: (?P<file>.*):(?P<line>\d+) setting (?P<keyword>\S+)")
_SECOND_PASS = re.compile(r"^debug[23]: (parse_server_config_depth: config reprocess config |parse_server_match_config|checking match for )")
_NOTICE = re.compile(r"(?i)\b(?:deprecated|unsupported) option\b|^(?:could not|unable to) load host |^warning:|^ignoring |: ignoring ")
_MASK = "streamlocalbindmask"
_DEBUG = re.compile(r"^debug\d: ")


class Connection(t.NamedTuple):
    """A connection for which sshd is queried; the fields are those of its option -C."""

    user: str = "nobody"
    host: str = "host.example"
    addr: str = "192.0.2.1"
    laddr: str = "127.0.0.1"
    lport: str = "22"
    rdomain: str = ""


#: The file name in an Origin for sshd's -o options.
COMMAND_LINE = "command-line"


class Origin(t.NamedTuple):
    """The line that a value comes from; sshd reads Match blocks in a second pass."""

    file: str
    line: int
    second: bool


#: Runs a command within some seconds, and returns its exit status, output and errors.
Run = t.Callable[[t.List[str], float], t.Tuple[int, str, str]]


def run(argv: t.List[str], seconds: float = 30) -> t.Tuple[int, str, str]:
    """Runs a command.

    Returns:
        Exit status, output, errors; 127 if there is no such command, 124 if it took too long.
    """
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, check=False,
                              env=dict(os.environ, LC_ALL="C"))
    except subprocess.TimeoutExpired:
        return 124, "", "{0} took longer than {1} s".format(argv[0], seconds)
    except OSError as error:
        return 127, "", "{0}: {1}".format(argv[0], error.strerror or error)
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "surrogateescape")


def spec(connection: Connection) -> str:
    """A connection in the form that ``sshd -T -C`` accepts."""
    fields = [(name, str(value)) for name, value in zip(Connection._fields, connection) if str(value)]
    for name, value in fields:
        if re.search(r"[,\s\x00-\x1f]", value):
            raise SessionError("{0}={1!r} is not valid in a connection".format(name, value), "it contains a comma or a blank", "correct verify")
    return ",".join("{0}={1}".format(*field) for field in fields)


class Effective:
    """The configuration of sshd for one connection.

    Attributes:
        values: by keyword in lower case, as ``sshd -T`` prints them.
        lines: keyword and origin of each line that applied, in order.
        last: keywords of which the last line counts.
    """

    def __init__(self, values: t.Dict[str, t.Tuple[str, ...]], lines: t.List[t.Tuple[str, Origin]], last: t.Sequence[str] = ()) -> None:
        self.values, self.lines, self.last = values, lines, last

    def value(self, keyword: str) -> t.Optional[str]:
        """A keyword's value; None if this sshd has no such keyword."""
        found = self.values.get(keyword.lower())
        return None if found is None else " ".join(found)

    def origin(self, keyword: str) -> t.Optional[Origin]:
        """The line that the value comes from; None for sshd's default. Match has precedence over global lines, and the first line counts."""
        own = [origin for name, origin in self.lines if name == keyword.lower()]
        own = [origin for origin in own if origin.second] or own
        return own[-1 if keyword.lower() in self.last else 0] if own else None


class Program:
    """The sshd program.

    Args:
        command: its path, after the words of a wrapper if there is one; empty to search for it.
        options: options of the daemon's command line.
        scratch: directory for copies of the configuration; None for the system's default.
    """

    def __init__(self, command: t.Iterable[str] = (), options: t.Iterable[str] = (), scratch: t.Optional[str] = None) -> None:
        self.command, self.options, self.scratch = list(command), list(options), scratch
        self._last: t.Optional[t.List[str]] = None
        if not self.command:
            found = shutil.which("sshd", path=_PATH)
            if not found:
                raise SessionError("sshd is not installed on this host", "it is not in {0}".format(_PATH), "install OpenSSH's server; nothing was changed")
            self.command = [found]

    def effective(self, tree: Tree, connections: t.List[Connection]) -> t.List[Effective]:
        """The values that sshd has with a configuration, which the daemon need not have read yet.

        Args:
            tree: the configuration.
            connections: the connections.
        Returns:
            One object for each connection.
        Raises:
            SessionError: sshd rejects the configuration; the error has sshd's message.
        """
        directory = tempfile.mkdtemp(prefix="sshd-", dir=self.scratch)
        try:
            main = tree.mirror(directory)
            self._run(["-t"], main, directory)
            return [self._parse(self._run(["-ddd", "-T", "-C", spec(one)], main, directory), tree, directory) for one in connections]
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _run(self, arguments: t.List[str], main: str, directory: str) -> t.Tuple[str, str]:
        argv = self.command + arguments + ["-f", main] + self.options
        code, out, err = run(argv)
        if code and "no hostkeys available" in err:
            key = os.path.join(directory, "key")
            if not os.path.exists(key):
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
            code, out, err = run(argv + ["-h", key])
        if code and "privilege separation directory" in err.lower():
            # The unit of sshd creates the directory. With socket activation the unit may not have run yet.
            made = re.search(r"directory:? (/\S+)", err)
            if made and not os.path.exists(made.group(1)):
                os.mkdir(made.group(1), 0o755)
                try:
                    return self._run(arguments, main, directory)
                finally:
                    os.rmdir(made.group(1))
        if code:
            raise Refused("sshd rejects the configuration", one_line(_complaint(err).replace(directory, "")) or "exit status {0}".format(code), "")
        # The path of a key that was created for this copy must not look like a difference.
        return out.replace(directory, ""), err

    def _parse(self, printed: t.Tuple[str, str], tree: Tree, directory: str) -> Effective:
        out, err = printed
        values: t.Dict[str, t.List[str]] = collections.OrderedDict()
        for line in out.splitlines():
            keyword, _blank, value = line.partition(" ")
            values.setdefault(keyword.lower(), []).append(value.strip())
        # sshd reads its command line before the debug output starts.
        given = [value for flag, value in zip(self.options[::2], self.options[1::2]) if flag == "-o"]
        found, second = [(line.keyword, Origin(COMMAND_LINE, 0, False)) for value in given for line in lines(value)], False
        for line in err.splitlines():
            second = second or bool(_SECOND_PASS.match(line))
            match = _SETTING.match(line)
            if match:
                file = match.group("file")
                file = tree.path if file == "reprocess config" else file[len(directory):] if file.startswith(directory) else file
                found.append((match.group("keyword").lower(), Origin(file, int(match.group("line")), second)))
        several = sum(1 for keyword, _origin in found if keyword == _MASK) > 1
        return Effective({name: tuple(value) for name, value in values.items()}, found, self._those_of_which_the_last_counts(directory) if several else ())

    def _those_of_which_the_last_counts(self, directory: str) -> t.List[str]:
        """StreamLocalBindMask in versions up to 10.0, where sshd takes it whenever it reads it (servconf.c); sshd itself shows it."""
        if self._last is None:
            main = os.path.join(directory, "mask")
            with open(main, "w") as file:
                file.write("{0} 0111\n{0} 0117\n".format(_MASK))
            out = self._run(["-T"], main, directory)[0].lower().split("\n")
            self._last = [_MASK] if _MASK + " 0117" in out else []
        return self._last


def _complaint(err: str) -> str:
    """The lines that name the reason; notices, which sshd prints for a configuration that it accepts too, only if there is nothing else."""
    said = [line for line in err.splitlines() if not _DEBUG.match(line)]
    return "\n".join([line for line in said if not _NOTICE.search(line)] or said)


class Refused(SessionError):
    """sshd rejects a configuration."""


# --- the daemon ---

def _systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


class Daemon:
    """The running sshd of this host, under systemd or by its pid file.

    Args:
        run_: runs commands, as run() does.
    """

    def __init__(self, run_: Run = run) -> None:
        self.run = run_
        self.unit = self._unit() if _systemd() else ""

    def _unit(self) -> str:
        found = ""
        for name in ("sshd.service", "ssh.service"):
            shown = self._show(name)
            if shown.get("LoadState") == "loaded":
                if shown.get("ActiveState") in ("active", "reloading"):
                    return name
                found = found or name
        return found

    def _show(self, unit: str) -> t.Dict[str, str]:
        _code, out, _err = self.run(["systemctl", "show", "-p", "LoadState,ActiveState,MainPID,UnitFileState", unit], 30)
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def pid(self) -> int:
        """The process id of the listening daemon; 0 if none runs."""
        if self.unit:
            shown = self._show(self.unit)
            return int(shown.get("MainPID") or 0) if shown.get("ActiveState") in ("active", "reloading") else 0
        for path in ("/run/sshd.pid", "/var/run/sshd.pid"):
            try:
                with open(path) as file:
                    pid = int(file.read().split()[0])
                os.kill(pid, 0)
                with open("/proc/{0}/comm".format(pid)) as file:
                    if "sshd" in file.read():
                        return pid
            except (OSError, ValueError, IndexError):
                continue
        return 0

    def waits_for_a_socket(self) -> bool:
        """Whether systemd listens for sshd and starts it for each connection."""
        return bool(self.unit) and any(self._show(name).get("ActiveState") == "active" for name in ("ssh.socket", "sshd.socket"))

    def options(self) -> t.List[str]:
        """The -o options of its command line, which override every file, and -f."""
        pid = self.pid()
        if not pid:
            return []
        try:
            with open("/proc/{0}/cmdline".format(pid), "rb") as file:
                words = file.read().decode("utf-8", "replace").replace("\0", " ").split()
        except OSError:
            return []
        found = []
        for number, word in enumerate(words[1:], 1):
            if word in ("-o", "-f") and number + 1 < len(words):
                found += [word, words[number + 1]]
            elif re.match(r"-[of].", word):
                found += [word[:2], word[2:]]
        return found

    def reload(self) -> None:
        """Reloads the daemon and waits until it has read its files; raises SessionError if it does not. Open sessions continue."""
        pid = self.pid()
        if not pid:
            return
        before = _incarnation(pid)
        if self.unit:
            code, out, err = self.run(["systemctl", "reload", self.unit], 60)
            if code:
                raise SessionError("{0} could not be reloaded".format(self.unit), one_line(err or out), "see: systemctl status {0}".format(self.unit))
        else:
            os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while _incarnation(pid) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.pid() != pid:
            raise SessionError("sshd ended when it was reloaded", "its process {0} has ended".format(pid), "see: journalctl -u {0}".format(self.unit or "ssh"))

    def answers(self, addresses: t.Iterable[t.Tuple[str, int]], seconds: float = 15) -> bool:
        """Whether the daemon greets a new connection.

        Args:
            addresses: where it listens; one address that answers is enough.
            seconds: how long to try.
        """
        deadline = time.monotonic() + seconds
        while True:
            if any(_greets(*address) for address in addresses):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)


def _incarnation(pid: int) -> str:
    """The address of the stack, which changes when the process executes itself again."""
    try:
        with open("/proc/{0}/stat".format(pid)) as file:
            return file.read().rpartition(")")[2].split()[25]
    except (OSError, IndexError):
        return ""


def addresses(effective: Effective) -> t.List[t.Tuple[str, int]]:
    """The addresses by which this host reaches its own sshd, from ``sshd -T``."""
    found = []
    for value in effective.values.get("listenaddress", ()):
        match = re.match(r"\[?(?P<host>[^\]\s]*?)\]?:(?P<port>\d+)(\s|$)", value)
        if match and "rdomain" not in value:
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(match.group("host"), match.group("host"))
            found.append((host, int(match.group("port"))))
    return found


def _greets(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 3) as connection:
            connection.settimeout(3)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
