# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a host: ssh's process, whose own session is a shell there."""

import typing as t

from ..common import processes
from ..ssh.shell import Shell


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
