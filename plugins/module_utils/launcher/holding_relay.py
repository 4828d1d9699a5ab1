# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay that holds a client on the login node until pvserver accepts connections.

ParaView connects as soon as its ssh runs, and gives up after a minute. A job may wait longer than that. So the relay accepts
the connection immediately, and gets its target later. It accepts only connections from the user's own sshd.
"""

import os
import re
import shlex
import signal
import sys
import time

from ..cluster.login_node import ThisHost
from ..common.errors import SessionError
from ..common.text import one_line
from ..routes.context import RouteContext
from ..routes.unavailable import RouteUnavailable
from ..routes.user_relay import UserRelay
from .shells import Shells

# A day in seconds, which is the relay's maximum.
_DAY = 86400
_CONFIGURATION = """[relay]
status = {directory}/status
[route paraview]
listen = 127.0.0.1:{port:d}
owner = any
source_owner = {uid:d}
hold_s = {seconds}
wait_s = {seconds}
{target}
"""
_NO_TARGET = "to = unix:{directory}/nobody\nallow_file = {directory}/allow"
# The relay keeps its process id when it reads its configuration again.
_RUN = """( command exec 8< {directory}/life 9>&-; cd /; sh -c 'echo $$ > "$1/pid"; exec "$2" -IS "$1/paraview-relay" --config "$1/conf" --exit-on-eof' \
sh {directory} {python} <&8 8<&- > {directory}/said 2>&1; echo ended >> {directory}/said
cat <&8 > /dev/null; rm -rf {directory} ) < /dev/null > /dev/null 2>&1 &
"""
_WAIT = """n=0
until [ -S {directory}/status ] || grep -q '^ended' {directory}/said 2>/dev/null || [ $n -ge 300 ]; do sleep 0.05 2>/dev/null || sleep 1; n=$((n + 1)); done
[ -S {directory}/status ] && echo up; cat {directory}/said {directory}/pid
"""


class HoldingRelay(UserRelay):
    """A relay on loopback that holds each connection until connect_to().

    Args:
        shells: of this host.
        name: of this host.
        port: on which it listens.
    """

    def __init__(self, shells: Shells, name: str, port: int) -> None:
        super().__init__(RouteContext(None, ThisHost(name, os.getuid(), shells.script, shells.hold), {}, {}), {"kind": "python", "program": sys.executable})
        self.port = port
        self.pid = 0

    def listen(self) -> None:
        """Starts it; raises SessionError if it does not listen."""
        try:
            directory = self.begin()
        except RouteUnavailable as unavailable:
            raise SessionError("your client cannot be held on this login node", str(unavailable), "ask the site")
        self._configure(_NO_TARGET.format(directory=directory))
        self.context.login_node.hold(_RUN.format(directory=directory, python=shlex.quote(self.saved["program"])), 15)
        output = self.context.login_node.run(_WAIT.format(directory=directory), 30)[1]
        found = re.match(r"up\n(?:.*\n)*([0-9]{1,9})\n\Z", output)
        if not found:
            why = one_line(re.sub(r"(?m)^(ended|[0-9]+)$|^paraview-relay: ", "", output))
            raise SessionError("port {0} of {1} is not available".format(self.port, self.context.login_node.name), why or "the relay on it does not start",
                               "use another port; no job was submitted")
        self.pid = int(found.group(1))

    def _configure(self, target: str) -> None:
        directory = self.saved["directory"]
        text = _CONFIGURATION.format(directory=directory, port=self.port, uid=os.getuid(), seconds=_DAY, target=target)
        with open(os.open(directory + "/conf.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
        os.rename(directory + "/conf.new", directory + "/conf")

    def check(self, context: RouteContext) -> None:
        """Checks that it still listens, and belongs to the user; raises RouteUnavailable."""
        if re.search(r"(?m)^ended", self._output()):
            raise RouteUnavailable("the relay that holds your client ended ({0})".format(one_line(self._output()[-400:], 200)))
        context.check_listener("127.0.0.1", self.port)

    def _output(self) -> str:
        try:
            with open(self.saved["directory"] + "/said", encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return "ended\nits directory is gone"

    def connect_to(self, host: str, port: int, seconds: float = 15) -> None:
        """From now on it forwards to this address; raises RouteUnavailable.

        Args:
            host: an IPv4 address.
            port: of that host.
            seconds: how long the relay may take to confirm it.
        """
        seen = len(self._output())
        self._configure("to = {0}:{1:d}\nallow = 127.0.0.1".format(host, port))
        os.kill(self.pid, signal.SIGHUP)
        until = time.monotonic() + seconds
        while "reloaded, " not in self._output()[seen:] and time.monotonic() < until:
            time.sleep(0.05)
        output = self._output()[seen:]
        if not re.search(r"(?<!not )reloaded, ", output):
            raise RouteUnavailable("the relay that holds your client cannot forward to {0}:{1} ({2})".format(host, port, one_line(output, 200) or "no answer"))
