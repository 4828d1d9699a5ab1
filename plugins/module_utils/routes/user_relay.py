# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay under the user's own account on a login node, for one session.

It ends with the session's connection: it reads from a fifo that only the shell of that connection holds open for writing,
and ends at the fifo's end of file. If the login node has no Python, socat or ncat is used instead, with fewer features.
"""

import os
import re
import shlex
import time
import typing as t

from ..common import listeners, programs
from ..common.text import one_line
from .context import RouteContext
from .unavailable import RouteUnavailable

_FIND = r"""PATH=$PATH:/usr/sbin:/sbin
for p in python3 /usr/libexec/platform-python python3.13 python3.12 python3.11 python3.9 python3.8 python3.6; do
  if command -v "$p" >/dev/null 2>&1 && "$p" -ISc 'import select, sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then
    printf 'python %s\n' "$(command -v "$p")"; exit 0
  fi
done
for p in socat ncat; do command -v "$p" >/dev/null 2>&1 && printf '%s %s\n' "$p" "$(command -v "$p")"; done
:
"""
# These run in the connection's own shell, so nothing in them may end the shell.
_BEGIN = r"""paraview_relay=$(mktemp -d /tmp/paraview-relay.XXXXXXXXXX) && mkfifo -m 600 "$paraview_relay/life" && command exec 9<>"$paraview_relay/life" &&
: > "$paraview_relay/allow" && cat > "$paraview_relay/{name}" <<'{mark}' && printf 'directory %s\n' "$paraview_relay"
{program}
{mark}
"""
_RUN = """( command exec 8< {directory}/life 9>&-; cd /; {command} <&8 8<&- > {directory}/said 2>&1; echo ended >> {directory}/said
cat <&8 > /dev/null; rm -rf {directory} ) < /dev/null > /dev/null 2>&1 &
"""
# socat and ncat do not read the fifo. Two watchers do, so that the relay ends even if one watcher is killed.
_RUN_GUARDED = """( command exec 8< {directory}/life 9>&-; cd /; {command} < /dev/null 8<&- > {directory}/said 2>&1 & p=$!
( cat <&8 > /dev/null; kill $p ) & cat <&8 > /dev/null; kill $p; rm -rf {directory} ) < /dev/null > /dev/null 2>&1 &
"""
_STOP = "command exec 9>&-\n"
_WAIT = """n=0
until grep -E '^(listening|ended)' {directory}/said 2>/dev/null || [ $n -ge 150 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n + 1)); done
cat {directory}/said
"""
_GONE = """n=0
while [ -d {directory} ] && [ $n -lt 50 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n + 1)); done
rm -rf {directory}
"""
#: Restrictions if the relay's own program cannot run.
LOST = {
    "socat": "one connection from one address, the owner of its target is not checked, and the client has to listen before pvserver starts",
    "ncat": "the owner of its target is not checked, the end of one direction ends the other, and the client has to listen before pvserver starts",
}


class UserRelay:
    """The user's own relay.

    Args:
        context: the RouteContext of the session's route.
        saved: the relay's state in the record: kind (python, socat or ncat), program, directory, sources.
    """

    #: The file of the program that Python runs.
    FILE = "paraview-relay"

    def __init__(self, context: RouteContext, saved: t.Dict[str, t.Any]) -> None:
        self.context = context
        self.saved = saved

    @property
    def holds(self) -> bool:
        """Whether it holds pvserver's connection until allow() is called."""
        return self.saved.get("kind") == "python"

    def find(self) -> None:
        """Finds a program on the login node that can serve as the relay; raises RouteUnavailable."""
        if "kind" not in self.saved:
            kind, _blank, path = self.context.login_node.run(_FIND, 20)[1].partition("\n")[0].partition(" ")
            if kind not in ("python", "socat", "ncat") or not re.match(r"^/[\x21-\x7e]+\Z", path):
                raise RouteUnavailable("{0} has neither Python 3.6 or newer nor socat nor ncat for your own relay".format(self.context.login_node.name))
            self.saved.update(kind=kind, program=path)

    def begin(self) -> str:
        """Creates a directory on the login node for this relay only, and returns its path; raises RouteUnavailable."""
        self.find()
        mark = os.urandom(12).hex()
        text = self._program().rstrip("\n") if self.holds else ""
        _code, out, err = self.context.login_node.hold(_BEGIN.format(mark=mark, name=self.FILE, program=text), 30)
        found = re.search(r"^directory (/tmp/paraview-relay\.[A-Za-z0-9]{10})$", out, re.MULTILINE)
        if not found:
            raise RouteUnavailable("no directory can be created in /tmp of {0} ({1})".format(self.context.login_node.name, one_line(err) or "no reason given"))
        self.saved["directory"] = found.group(1)
        return found.group(1)

    @staticmethod
    def _program() -> str:
        return programs.text("relay", "paraview-relay")

    def start(self, address: str, ports: str, target: str, sources: t.List[str]) -> int:
        """Starts the relay, and waits until it listens.

        Args:
            address: the address to listen on.
            ports: a range, or empty for any port.
            target: ``HOST:PORT`` or ``unix:PATH``.
            sources: addresses from which socat or ncat accepts connections.
        Returns:
            The port.
        Raises:
            RouteUnavailable: with the relay's output.
        """
        self.saved["sources"] = sources
        if self.holds:
            return self._start_own(address, ports, target)
        for port in self._free_ports(address, ports):
            command = self._substitute_command(address, port, target, sources)
            self.context.login_node.hold(_RUN_GUARDED.format(command=command, directory=self.saved["directory"]), 15)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                if listeners.covering(self.context.login_node.listeners(), address, port):
                    return port
                time.sleep(0.1)
        raise RouteUnavailable("{0} on {1} does not listen on {2}".format(self.saved["kind"], self.context.login_node.name, address))

    def _start_own(self, address: str, ports: str, target: str) -> int:
        idle = str(max(60, int(self.context.options["client_timeout"])))
        argv = [self.saved["program"], "-IS", self.saved["directory"] + "/paraview-relay", "--listen", "{0}:{1}".format(address, ports or 0), "--first-free",
                "--to", target, "--allow-file", self.saved["directory"] + "/allow", "--hold", idle, "--wait", idle, "--max-sessions", "128", "--exit-on-eof"]
        if target.startswith(("unix:", "127.")):
            argv += ["--owner", str(self.context.login_node.uid)]
        output = self._run(argv)
        found = re.search(r"^listening [0-9.]+:([0-9]{1,5})$", output, re.MULTILINE)
        if not found:
            raise RouteUnavailable("your own relay on {0} does not start ({1})".format(
                self.context.login_node.name, one_line(re.sub(r"(?m)^ended$", "", output)) or "no output"))
        return int(found.group(1))

    def _run(self, argv: t.List[str]) -> str:
        """Starts a program of ours, and returns its output once it listens or has ended."""
        command = " ".join(shlex.quote(word) for word in argv)
        self.context.login_node.hold(_RUN.format(command=command, directory=self.saved["directory"]), 15)
        return self.context.login_node.run(_WAIT.format(directory=self.saved["directory"]), 30)[1]

    def _substitute_command(self, address: str, port: int, target: str, sources: t.List[str]) -> str:
        unix, path = target.startswith("unix:"), target.partition(":")[2]
        if self.saved["kind"] == "socat":
            to: t.Union[str, t.List[str]] = "UNIX-CONNECT:" + path if unix else "TCP4:{0},nodelay,keepalive".format(target)
            argv = [self.saved["program"], "-t", "86400",
                    "TCP4-LISTEN:{0},bind={1},range={2}/32,reuseaddr,nodelay,keepalive".format(port, address, (sources or ["127.0.0.2"])[0]), to]
        else:
            to = ["-U", path] if unix else target.split(":")
            inner = " ".join(shlex.quote(word) for word in ["exec", self.saved["program"]] + to)
            argv = [self.saved["program"], "-4", "-l", address, str(port), "--allow", ",".join(sources or ["127.0.0.2"]), "-m", "8", "-k", "--sh-exec", inner]
        return " ".join(shlex.quote(word) for word in argv)

    def _free_ports(self, address: str, ports: str) -> t.List[int]:
        taken = {listener.port for listener in self.context.login_node.listeners() if listener.address in (address, "0.0.0.0")}
        candidates = listeners.shuffled(listeners.parse_range(ports) if ports else (20000, 32000))
        return [port for port in candidates if port not in taken][:5]

    def allow(self, sources: t.List[str]) -> None:
        """Lets connections from these addresses through, including one that the relay already holds; raises RouteUnavailable."""
        path = self.saved["directory"] + "/allow"
        lines = " ".join(shlex.quote(source) for source in sources)
        code, _out, err = self.context.login_node.run("umask 077; printf '%s\\n' {0} > {1}.new && mv {1}.new {1}".format(lines, path), 15)
        if code != 0:
            raise RouteUnavailable("the allowed addresses of your own relay on {0} cannot be written ({1})".format(
                self.context.login_node.name, one_line(err) or "no reason given"))
        self.saved["sources"] = sources

    def stop(self) -> None:
        """Ends the relay, and removes its directory."""
        directory = self.saved.pop("directory", "")
        if directory:
            self.context.login_node.hold(_STOP, 15)
            self.context.login_node.run(_GONE.format(directory=directory), 30)
