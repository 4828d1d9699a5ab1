# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login node's own ssh connection to the root node.

Some sites admit nobody to a node with the keys that he uses from outside, but by host-based authentication or by a key in the cluster's home. Then ssh on
the login node logs in there, as a control master. Each of its forwards meets one of the session's own control master at a unix socket in a directory on the
login node that only the user may enter, so no other account there can connect to it. It ends with the session's connection: its standard input is a fifo
that only the shell of that connection holds open for writing.
"""

import contextlib
import os
import re
import shlex
import socket
import time
import typing as t

from ..common import listeners
from ..common.text import clean, number, one_line
from ..ssh.master import ForwardRefused
from .context import RouteContext
from .unavailable import RouteUnavailable

_SECONDS = 20
# Options that an older ssh does not have are ignored, whatever they are. What the site's configuration says on how to log in to the node holds.
_OPTIONS = (
    "IgnoreUnknown=*", "BatchMode=yes", "StrictHostKeyChecking=yes", "ControlPersist=no", "ClearAllForwardings=yes", "PermitLocalCommand=no", "Tunnel=no",
    "RemoteCommand=none", "RequestTTY=no", "SessionType=default", "ForkAfterAuthentication=no", "StdinNull=no", "LogLevel=INFO", "ConnectTimeout=10",
    "ServerAliveInterval=15", "ServerAliveCountMax=4", "UpdateHostKeys=no", "StreamLocalBindUnlink=no", "StreamLocalBindMask=0177",
)
# These run in the connection's own shell, so nothing in them may end the shell. A directory into which a process still writes could not be removed.
_BEGIN = r"""paraview_node=$(mktemp -d /tmp/paraview-node.XXXXXXXXXX) && mkfifo -m 600 "$paraview_node/life" && command exec 9<>"$paraview_node/life" &&
printf 'directory %s\n' "$paraview_node"
"""
_RUN = """( command exec 8< {directory}/life 9>&-; cd /
( /bin/sh -c {command} <&8 8<&- > {directory}/said 2>&1; rm -f {directory}/pid; echo ended >> {directory}/said ) &
cat <&8 > /dev/null; [ ! -s {directory}/pid ] || kill "$(cat {directory}/pid)"; wait; rm -rf {directory} ) < /dev/null > /dev/null 2>&1 &
"""
#: Lines for the connection's own shell that end the connection to the node.
STOP = "command exec 9>&-\n"
_WAIT = """n=0
until grep -E '^({mark}|ended)$' {directory}/said 2>/dev/null || [ $n -ge {tenths} ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n + 1)); done
cat {directory}/said
"""
_GONE = """n=0
while [ -d {directory} ] && [ $n -lt 50 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n + 1)); done
rm -rf {directory}
"""
_OPEN_FAILED = re.compile(r"open failed: ([^\r\n]*)")


class InnerLogin:
    """The connection from the login node to one node.

    Args:
        context: its login node, its control master and its forwards.
        node: its name in the batch system.
        saved: the connection's state in the record: directory.
    """

    def __init__(self, context: RouteContext, node: str, saved: t.Dict[str, t.Any]) -> None:
        self.context, self.node, self.saved = context, context.reached_by(node) if node else "", saved
        self.login = context.login_node.name

    @property
    def directory(self) -> str:
        """Its directory on the login node."""
        return self.saved["directory"]

    def open(self, _address: str = "") -> None:
        """Logs in on the node unless a connection exists; raises RouteUnavailable with ssh's message."""
        if self._exists():
            return
        self.saved.pop("directory", None)
        _code, out, err = self.context.login_node.hold(_BEGIN, 30)
        found = re.search(r"^directory (/tmp/paraview-node\.[A-Za-z0-9]{10})$", out, re.MULTILINE)
        if not found:
            raise RouteUnavailable("no directory can be created in /tmp of {0} ({1})".format(self.login, one_line(err) or "no reason given"))
        self.saved["directory"], mark = found.group(1), os.urandom(12).hex()
        command = "echo $$ > {0}/pid; exec {1}".format(self.directory, " ".join(shlex.quote(word) for word in self._command(mark)))
        self.context.login_node.hold(_RUN.format(directory=self.directory, command=shlex.quote(command)), 15)
        said = clean(self.context.login_node.run(_WAIT.format(directory=self.directory, mark=mark, tenths=10 * _SECONDS), _SECONDS + 15)[1])
        if not re.search("^{0}$".format(mark), said, re.MULTILINE):
            self.close()
            raise RouteUnavailable("ssh from {0} to {1} fails ({2})".format(
                self.login, self.node, one_line(_last(said)) or "no answer within {0} s".format(_SECONDS)))

    def _command(self, mark: str) -> t.List[str]:
        """ssh's command; the node's shell prints the mark, and ends with ssh's standard input."""
        command = ["ssh", "-T", "-a", "-x", "-M", "-S", self.directory + "/c"]
        for option in _OPTIONS:
            command += ["-o", option]
        # A forward is faster if the connection has a session of its own.
        return command + ["--", self.node, "exec /bin/sh -c 'echo; echo {0}; exec cat > /dev/null'".format(mark)]

    def _exists(self) -> bool:
        """Whether this connection's shell holds it, and it answers."""
        if "directory" not in self.saved:
            return False
        check = '[ "${{paraview_node-}}" = {0} ] && {1}\n'.format(self.directory, self._request("-O", "check"))
        return self.context.login_node.hold(check, 15)[0] == 0

    def _request(self, *arguments: str) -> str:
        """A command line for the login node that sends a request to the control master there."""
        words = ["ssh", "-F", os.devnull, "-o", "LogLevel=INFO", "-S", self.directory + "/c", *arguments, "--", "master"]
        return " ".join(shlex.quote(word) for word in words) + " < /dev/null"

    def close(self) -> None:
        """Ends the connection; its forwards end with it."""
        if self.saved.get("directory"):
            self.context.login_node.hold(STOP, 15)
            self.context.login_node.run(_GONE.format(directory=self.saved.pop("directory")), 30)

    def _forward(self, option: str, specification: str) -> t.Optional[int]:
        """Sets up a forward between login node and node; returns its port if the node's sshd allocated one. Raises ForwardRefused."""
        code, out, err = self.context.login_node.run(self._request("-O", "forward", option, specification), 20)
        if code != 0:
            raise ForwardRefused(one_line(err) or "ssh ended with {0}".format(code))
        return number(out)

    def forward_to(self, entrance: str, port: int) -> None:
        """Forwards an endpoint here to a port of the node's loopback; raises ForwardRefused."""
        path = "{0}/{1:d}".format(self.directory, port)
        self._forward("-L", "{0}:127.0.0.1:{1:d}".format(path, port))
        self.context.forward("-L", "{0}:{1}".format(entrance, path))

    def check_target_is_loopback(self) -> None:
        """Checks, with a port on which nothing listens, that connections get as far as the node's loopback; raises RouteUnavailable."""
        entrance = self.context.master.control_path + ".e"
        path = self.directory + "/1"
        try:
            self._forward("-L", path + ":127.0.0.1:1")
            with self.context.forwarded("-L", "{0}:{1}".format(entrance, path)):
                answer = self._answer(entrance)
            self.context.login_node.run(self._request("-O", "cancel", "-L", path + ":127.0.0.1:1"), 15)
        except ForwardRefused as refused:
            raise RouteUnavailable("ssh on {0} cannot forward to {1} ({2})".format(self.login, self.node, refused))
        finally:
            if os.path.lexists(entrance):
                os.unlink(entrance)
        if not answer:
            raise RouteUnavailable("sshd on {0} does not forward to unix sockets (AllowStreamLocalForwarding)".format(self.login))
        if "prohibited" in answer:
            raise RouteUnavailable("sshd on {0} forbids local forwarding".format(self.node))

    def _answer(self, entrance: str) -> str:
        """What ssh on the login node prints if something connects to the entrance: why it cannot connect to the port. Empty if nothing arrives there."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(3)
            with contextlib.suppress(OSError):
                connection.connect(entrance)
                connection.recv(1)
            deadline = time.monotonic() + 3
            while True:
                found = _OPEN_FAILED.search(clean(self.context.login_node.run("cat {0}/said".format(self.directory), 15)[1]))
                if found or time.monotonic() > deadline:
                    return found.group(1) if found else ""
                time.sleep(0.1)

    def listen(self, target: str) -> int:
        """Forwards a port of the node's loopback to a target here; returns the port. Raises RouteUnavailable."""
        path = "{0}/{1}".format(self.directory, os.urandom(6).hex())
        try:
            self.context.forward("-R", "{0}:{1}".format(path, target))
        except ForwardRefused as refused:
            raise RouteUnavailable("sshd on {0} refuses a remote forward on a unix socket ({1})".format(self.login, refused))
        try:
            port = self._forward("-R", "127.0.0.1:0:" + path)
        except ForwardRefused as refused:
            raise RouteUnavailable("sshd on {0} refuses a remote forward on its loopback ({1})".format(self.node, refused))
        if not port:
            raise RouteUnavailable("sshd on {0} reports no port for a remote forward on its loopback".format(self.node))
        self.check_listener(port)
        return port

    def check_listener(self, port: int) -> None:
        """Checks that the listener on a port of the node's loopback belongs to the user; raises RouteUnavailable."""
        words = ["ssh", "-F", os.devnull, "-S", self.directory + "/c", "-T", "-o", "ProxyCommand=false", "--", "master", "exec /bin/sh -s"]
        script = "{0} <<'{2}'\n{1}\n{2}\n".format(" ".join(shlex.quote(word) for word in words), listeners.SCRIPT, os.urandom(12).hex())
        found = listeners.parse(self.context.login_node.run(script, 20)[1])
        fault = listeners.fault(found, "127.0.0.1", port, self.context.login_node.uid, self.node)
        if fault:
            raise RouteUnavailable(fault)


def _last(said: str) -> str:
    """ssh's last line."""
    lines = [line for line in said.splitlines() if line.strip() and line != "ended"]
    return lines[-1] if lines else ""
