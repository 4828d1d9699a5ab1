# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to the host on which ParaView runs, where that is another one; the session's daemon holds it."""

from ..module_utils.common.errors import SessionError
from ..module_utils.session.record import Session
from ..module_utils.ssh import client
from ..module_utils.ssh.channel import Channel
from .login import answered, by_watcher


def log_in_on_client(session: Session, channel: Channel, target: client.Target, host: str, password: str = "") -> dict:
    """Has the session's daemon log in on the client host.

    Args:
        session: its daemon holds the connection to the login node already.
        channel: to the daemon.
        target: whom to call.
        host: the inventory's name of it.
        password: as for login.log_in().
    Returns:
        What the record is to know of it.
    Raises:
        SessionError: with ssh's own words.
    """
    record = session.read()
    path = record.control_path + ".c"

    def attempt(command, questions):
        return by_watcher(channel, "client", questions, target.timeout + 35, command=command, environment=questions.environment)

    _answer, error = answered(session, target, path, password, attempt, host)
    if error is not None:
        raise error
    uid = channel.client_script("id -u")[1].strip()
    if not uid.isdigit():
        raise SessionError("cannot make out what {0} is".format(host), "it does not tell who you are there", "a POSIX shell with id is needed there")
    return {"name": host, "uid": int(uid), "control_path": path, "daemon": record.daemon}
