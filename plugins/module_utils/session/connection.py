# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a host: ssh's process, whose own session is a shell there."""

import typing as t

from ..common import processes
from ..ssh.shell import Shell, ShellLost

# Seconds in which ssh ends once its output has ended.
_END_SECONDS = 1.0


def failure(process: processes.Child, lost: ShellLost) -> t.Dict[str, t.Any]:
    """Why a login failed, for messages.explain().

    Args:
        process: ssh.
        lost: what the shell over it raised.
    Returns:
        failed (ssh's messages), printed (the far side's standard output) and shell: ``no stderr`` or ``ended`` if the login succeeded and the shell is of no
        use, else empty.
    """
    shell = "no stderr" if lost.without_stderr else ""
    if not shell:
        process.wait(_END_SECONDS)
        status = process.ended()
        # If ssh itself fails, its status is 255; if it is killed, 128 and the signal. Any other one is that of the far side's shell.
        shell = "ended" if lost.printed.strip() or (status is not None and status < 128) else ""
    return {"failed": str(lost), "printed": lost.printed[-4000:], "shell": shell}


class Connection:
    """One connection.

    Args:
        process: ssh.
        shell: the shell over it.
    """

    def __init__(self, process: processes.Child, shell: t.Optional[Shell] = None) -> None:
        self.process, self.shell = process, shell or Shell(process)

    @property
    def streams(self) -> list:
        """Streams that become readable if ssh or the shell prints something."""
        return [self.process.stdout, self.process.stderr]

    @property
    def output(self) -> str:
        """What ssh and the host's sshd have printed so far."""
        return self.shell.messages.decode("utf-8", "replace")

    def end(self, seconds: float) -> None:
        """Ends ssh, and with it every forward. A master waits for open channels, but no longer than these seconds."""
        self.process.stdin.close()
        self.process.end(seconds)
