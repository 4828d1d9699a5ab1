# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a client host other than this machine; the session's daemon holds it."""

from ..module_utils.common.errors import SessionError
from ..module_utils.session.record import Session
from ..module_utils.ssh import client
from ..module_utils.ssh.channel import Channel
from .login import answered, by_daemon


def log_in_on_client(session: Session, channel: Channel, target: client.Target, host: str, password: str = "") -> dict:
    """Lets the session's daemon log in on the client host.

    Args:
        session: its daemon already holds the connection to the login node.
        channel: to the daemon.
        target: the host to connect to.
        host: its name in the inventory.
        password: as for login.log_in().
    Returns:
        The record's field ``remote_client_host``.
    Raises:
        SessionError: the login failed; it contains ssh's message.
    """
    record = session.read()
    path = record.control_path + ".c"

    def attempt(command, prompts):
        return by_daemon(channel, "client", prompts, target.timeout + 35, command=command, environment=prompts.environment)

    _answer, error = answered(session, target, path, password, attempt, host)
    if error is not None:
        raise error
    uid = channel.client_script("id -u")[1].strip()
    if not uid.isdigit():
        raise SessionError("cannot determine your user id on {0}".format(host), "id -u printed no number", "{0} needs a POSIX shell with id".format(host))
    return {"name": host, "uid": int(uid), "control_path": path, "daemon": record.daemon}
