# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh connection to the root node, through the login node's own connection.

It uses a channel of the session's control master, so it ends with the master. Host keys of nodes are read from the known_hosts files on the
login node, which root or the user wrote. An unknown host key is never accepted.
"""

import os
import re
import shlex
import subprocess
import sys
import typing as t

from ..common import listeners
from ..common.text import clean, one_line
from ..ssh import client, messages
from ..ssh.master import ForwardRefused, Master
from .context import RouteContext
from .unavailable import RouteUnavailable

_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2", "$HOME/.ssh/known_hosts")
_KEYS = r"""PATH=$PATH:/usr/sbin:/sbin
for file in {files}; do
  [ -r "$file" ] || continue
  for name in {names}; do ssh-keygen -F "$name" -f "$file" 2>/dev/null; done
done
"""
_KEY = re.compile(r"^(?:(@cert-authority|@revoked) )?\S+ ((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+)")
# Of the ssh options for the login node, those that identify the user are also used for the nodes. Options on how to reach the host are not.
_IDENTITY = ("identityfile", "identityagent", "certificatefile", "identitiesonly", "pkcs11provider")
_SECONDS = 20
# Passes a connection to a unix socket to ssh, and ends: no further process copies the bytes (ProxyUseFdpass in ssh_config(5)).
_PASS = ("import array, socket, sys; connection = socket.socket(socket.AF_UNIX); connection.connect(sys.argv[1]); "
         "socket.socket(fileno=1).sendmsg([b'.'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [connection.fileno()]))])")


# The master's message if the login node cannot connect to the node.
_OPEN_FAILED = re.compile(r"open failed: ([^\r\n]+)")


class KeysRefused(RouteUnavailable):
    """The node's sshd accepts none of the user's own keys; the text is ssh's message."""


class NodeLogin:
    """The connection to one node.

    Args:
        context: its master, its login node, and in options ``target`` (client.Target as a dict: the login node's).
        node: its name on the login node.
    """

    def __init__(self, context: RouteContext, node: str) -> None:
        self.context = context
        self.node = node
        self.path = context.master.control_path + ".n"
        self.log = context.master.control_path + ".l"
        #: The unix socket that is forwarded to the node's sshd until the login is over.
        self.entrance = context.master.control_path + ".e"
        self.keys = context.master.control_path + ".k"
        self.master = Master(self.path, context.master.executable)

    def can_be_tried(self, address: str) -> None:
        """Checks, before there is a job, that the login node reaches the node's sshd and has its host key; raises RouteUnavailable."""
        login = self.context.login_node.name
        answer = self.context.reach(address, 22)
        if answer == "forbidden":
            raise RouteUnavailable("sshd on {0} forbids local forwarding".format(login))
        if answer == "no IPv4":
            raise RouteUnavailable(self.context.no_ipv4())
        if answer != "open":
            raise RouteUnavailable("no sshd on {0} answers {1}".format(self.node, login))
        if not self._host_keys(address):
            raise RouteUnavailable("{0} has no host key of {1}".format(login, self.node))

    def open(self, address: str) -> None:
        """Logs in on the node unless a connection exists; raises RouteUnavailable with ssh's message."""
        if os.path.exists(self.path) and self.master.check():
            return
        self.close()
        keys = self._host_keys(address)
        if not keys:
            raise RouteUnavailable("{0} has no host key of {1}".format(self.context.login_node.name, self.node))
        for path, text in ((self.keys, keys), (self.log, "")):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(text)
        self.context.login_node.messages()
        try:
            with self.context.forwarded("-L", "{0}:{1}:22".format(self.entrance, address)):
                code = self._run()
                refusal = _OPEN_FAILED.search(self.context.login_node.messages()) if code else None
        except ForwardRefused as refused:
            raise RouteUnavailable("ssh to {0} fails ({1})".format(self.node, refused))
        finally:
            if os.path.lexists(self.entrance):
                os.unlink(self.entrance)
        if code != 0:
            output = self.messages()
            self.close()
            about_keys = not refusal and messages.refuses(output) and not messages.distrusts(output)
            raise (KeysRefused if about_keys else RouteUnavailable)("ssh to {0} fails ({1})".format(
                self.node, refusal.group(1) if refusal else one_line(_last(output)) or "no answer within {0} s".format(_SECONDS)))

    def _run(self) -> int:
        """Logs in, and returns ssh's exit status."""
        try:
            with open(self.log, "ab") as log:
                return subprocess.run(self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, timeout=_SECONDS,
                                      check=False, start_new_session=True).returncode
        except subprocess.TimeoutExpired:
            return 255

    def close(self) -> None:
        """Ends the connection; its forwards end with it."""
        if os.path.exists(self.path):
            self.master.exit()
        for path in (self.path, self.keys, self.log, self.entrance):
            if os.path.lexists(path):
                os.unlink(path)

    def messages(self) -> str:
        """ssh's messages so far."""
        try:
            with open(self.log, "rb") as stream:
                return clean(stream.read())
        except OSError:
            return ""

    def check_target_is_loopback(self) -> None:
        """Checks that the node's sshd forwards to its own loopback; raises RouteUnavailable."""
        length = [len(self.messages())]

        def new_messages() -> str:
            output = self.messages()
            new, length[0] = output[length[0]:], len(output)
            return new

        if self.master.reach("127.0.0.1", 1, new_messages) == "forbidden":
            raise RouteUnavailable("sshd on {0} forbids local forwarding".format(self.node))

    def forward_to(self, entrance: str, port: int) -> None:
        """Forwards an endpoint here to a port of the node's loopback; raises ForwardRefused."""
        self.master.forward("-L", "{0}:127.0.0.1:{1}".format(entrance, port))

    def listen(self, target: str) -> int:
        """Forwards a port of the node's loopback to a target here; returns the port. Raises RouteUnavailable."""
        try:
            port = self.master.forward("-R", "127.0.0.1:0:" + target)
        except ForwardRefused as refused:
            raise RouteUnavailable("sshd on {0} refuses a remote forward on its loopback ({1})".format(self.node, refused))
        self.check_listener(port)
        return port

    def check_listener(self, port: int) -> None:
        """Checks that the listener on a port of the node's loopback belongs to the user; raises RouteUnavailable."""
        fault = listeners.fault(self._listeners(), "127.0.0.1", port, self.context.login_node.uid, self.node)
        if fault:
            raise RouteUnavailable(fault)

    def _listeners(self) -> t.List[listeners.Listener]:
        # Without the connection, ssh must not connect to a host of that name.
        command = self.master.command("-T", "-o", "ProxyCommand=false", remote="exec /bin/sh -s")
        try:
            done = subprocess.run(command, input=listeners.SCRIPT.encode() + b"\n", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_SECONDS,
                                  check=False)
        except subprocess.TimeoutExpired:
            return []
        return listeners.parse(done.stdout.decode("utf-8", "replace"))

    def _host_keys(self, address: str) -> str:
        """Lines of a known_hosts file for this node only."""
        reached = self.context.reached_by(self.node)
        names = [self.node, self.node.partition(".")[0], reached, reached.partition(".")[0], address]
        out = self.context.login_node.run(_KEYS.format(files=" ".join('"{0}"'.format(path) for path in _KNOWN_HOSTS),
                                                       names=" ".join(shlex.quote(name) for name in dict.fromkeys(names) if name)), 15)[1]
        keys = [_KEY.match(line) for line in out.splitlines()]
        return "".join("{0}{1} {2}\n".format(key.group(1) + " " if key.group(1) else "", self.node, key.group(2)) for key in keys if key)

    def _command(self) -> t.List[str]:
        target = client.Target(**self.context.options["target"])
        proxy = " ".join(shlex.quote(word.replace("%", "%%")) for word in (sys.executable, "-I", "-S", "-c", _PASS, self.entrance))
        options = [
            "ControlMaster=yes", "ControlPersist=no", "ControlPath=" + self.path.replace("%", "%%"), "ProxyCommand=" + proxy, "ProxyUseFdpass=yes",
            "BatchMode=yes",
            "StrictHostKeyChecking=yes", "UserKnownHostsFile=" + self.keys, "GlobalKnownHostsFile=" + os.devnull, "HostKeyAlias=" + self.node, "CheckHostIP=no",
            "ForwardAgent=no", "ForwardX11=no", "PermitLocalCommand=no", "LogLevel=INFO", "ServerAliveInterval=15", "ServerAliveCountMax=4",
            "ConnectTimeout=10", "StreamLocalBindUnlink=no", "UpdateHostKeys=no",
        ] + client.identity(target, _IDENTITY)
        # In the background ssh prints nothing, but still writes its messages to a log file.
        command = [target.executable, "-F", os.devnull, "-f", "-N", "-T", "-E", self.log]
        for option in options:
            command += ["-o", option]
        return command + ["--", self.node]


def _last(text: str) -> str:
    """The last line that is not blank."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
