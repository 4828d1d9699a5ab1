# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's daemon and its login, with the settings of Ansible's own connection."""

import compileall
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import typing as t

import yaml
from ansible import constants
from ansible.plugins.loader import connection_loader

from ..module_utils.common import ownership, processes
from ..module_utils.common.errors import SessionError
from ..module_utils.common.files import locked
from ..module_utils.session import record as sessions
from ..module_utils.session.login import Login
from ..module_utils.session.record import Session
from ..module_utils.ssh import client, control_path, master
from ..module_utils.ssh.channel import Channel
from .terminal_asker import TerminalAsker

_DEFAULT_SSH_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s"
_PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Seconds in which a daemon has to start.
_START_SECONDS = 60
_IMPORT = "import sys; sys.path.insert(0, {0!r}); from module_utils.{1} import main"


def target_of(connection, name: str) -> client.Target:
    """The host that ssh connects to, with the settings of Ansible's own connection; SessionError if that connection is not ssh."""
    if getattr(connection, "transport", "") != "ssh":
        raise SessionError("cannot log in to {0} by connection {1}".format(name, getattr(connection, "transport", "unknown")),
                           "tunnels need ssh", "leave ansible_connection out for this host, or set it to ssh")
    option = connection.get_option
    arguments = []
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        value = option(name) or ""
        # Ansible's default is for its own masters, and enables compression.
        arguments += shlex.split(value) if value != _DEFAULT_SSH_ARGS else []
    if option("host_key_checking") is False:
        arguments += ["-o", "StrictHostKeyChecking=no"]
    return client.Target(executable=option("ssh_executable"), host=str(option("host")), user=_text(option("remote_user")),
                         port=option("port") or None, key=_text(option("private_key_file")), arguments=arguments, timeout=int(option("timeout") or 10))


def _text(value):
    return str(value) if value else None


def connection_of(host: str, play_context: t.Any, variables: dict) -> t.Any:
    """Ansible's connection to another inventory host, with that host's variables, as a task that is delegated to it would have it.

    Args:
        host: its name.
        play_context: of the task.
        variables: of the task.
    """
    own = variables["hostvars"][host]
    connection = connection_loader.get(str(own.get("ansible_connection") or "ssh"), play_context)
    names = constants.config.get_plugin_vars("connection", connection._load_name)
    options = {name: own[name] for name in names if name in own}
    connection.set_options(task_keys={"timeout": play_context.timeout, "password": play_context.password or None}, var_options=options)
    return connection


def password_of(connection) -> str:
    """The inventory's password for this host; it stays in memory."""
    return str(connection.get_option("password") or "")


def log_in(session: Session, target: client.Target, owner: list, password: str = "") -> None:
    """Logs in and leaves a daemon that holds the connection; ssh's prompts are shown in the playbook's terminal.

    Args:
        session: its record exists already.
        target: the host to connect to.
        owner: identity of the process with which the daemon ends until the session is handed over.
        password: the answer to ssh's password prompt for this host, given once.
    Raises:
        SessionError: the login failed; it contains ssh's message.
    """
    start_daemon(session, target.executable, owner)
    try:
        Login(session, TerminalAsker(session.name)).to_login_node(target, password)
    except BaseException:
        record = session.read()
        if not sessions.is_lost(record):
            end_daemon(session)
        raise


def start_daemon(session: Session, executable: str, owner: list) -> None:
    """Starts the session's daemon, unless it runs.

    Args:
        session: its record exists already.
        executable: ssh's.
        owner: as for log_in().
    Raises:
        SessionError: it does not start.
    """
    try:
        # Two playbooks may continue a session at the same moment.
        with locked(session.directory):
            _start_missing_daemon(session, executable, owner)
    except FileNotFoundError:
        raise SessionError("the session of {0} was ended during the login".format(session.name), "", "connect again")


def _start_missing_daemon(session: Session, executable: str, owner: list) -> None:
    record = session.read()
    if not record:
        raise SessionError("the session of {0} was ended during the login".format(session.name), "", "connect again")
    if sessions.has_daemon(record):
        return
    if processes.alive(record.daemon):
        # It can no longer be reached (its socket is gone). SIGKILL ends it, and its ssh, without removing anything.
        os.kill(record.daemon[0], signal.SIGKILL)
    path = control_path.control_path(record.id)
    given = {"base": session.base, "name": session.name, "directory": session.directory, "session": record.id, "socket": path + ".w", "control_path": path,
             "owner": owner, "waiting": record.waiting, "libraries": _libraries(),
             "driver": _program("session.driver"), "restorer": _program("session.lifeline_route"),
             "cancel_own_forward": master.Master(path, executable).command("-O", "cancel")[:-2],
             "leave_node": master.Master(path + ".n", executable).command("-O", "exit")}
    session.update(daemon=_start(session, given), socket=given["socket"], control_path=path, ssh=executable)


def end_daemon(session: Session) -> None:
    """Ends a daemon whose login failed; nothing on the login node is undone."""
    record = session.read()
    try:
        Channel(record.socket, session.name).request("leave")
    except SessionError:
        pass  # It has ended by itself.
    processes.wait_gone(record.daemon, 10)
    session.update(daemon=None)


def _libraries():
    """Directories of jmespath (for batch systems that answer in JSON) and of PyYAML (for site.yml), since the daemon runs without site-packages."""
    found = [os.path.dirname(os.path.dirname(yaml.__file__))]
    try:
        import jmespath
    except ImportError:
        return found
    return list(dict.fromkeys([os.path.dirname(os.path.dirname(jmespath.__file__))] + found))


def _program(module):
    """list[str]: the command of one of our modules that has a main()."""
    code = _IMPORT.format(_PLUGINS, module)
    return _interpreter(code) + ["-c", code + "; main()"]


def _interpreter(code):
    """A Python command with compiled modules: if the daemon compiled them itself, it would use 2.5 MB more memory all the time."""
    helpers = os.path.join(_PLUGINS, "module_utils")
    before = sys.pycache_prefix
    if not os.access(helpers, os.W_OK):
        sys.pycache_prefix = _cache()
    try:
        compileall.compile_dir(helpers, maxlevels=2, quiet=2)
        words = [sys.executable, "-I", "-S"]
        if sys.pycache_prefix:
            words += ["-X", "pycache_prefix=" + sys.pycache_prefix]
            # The prefix applies to Python's own modules, too: another process compiles those.
            if not os.path.isdir(sys.pycache_prefix + os.path.dirname(os.__file__)):
                subprocess.run(words + ["-c", code], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return words
    finally:
        sys.pycache_prefix = before


def _cache():
    """The directory of compiled modules; SessionError if another account could have written them, since the daemon runs them."""
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "paraview-connect")
    what, way_out = "cannot use the compiled programs in {0}".format(path), "remove that directory, or set XDG_CACHE_HOME to a directory of yours"
    ownership.make_private(path, what, way_out)
    planted = ownership.fault_below(path)
    if planted:
        raise SessionError(what, planted, way_out)
    # Python makes the directories in it with the permissions that the umask leaves.
    os.chmod(path, 0o700)
    return path


def _start(session, given):
    """Starts a daemon and returns its identity."""
    log_path = os.path.join(session.directory, "daemon.log")
    try:
        log = ownership.open_own(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError as error:
        raise SessionError("cannot write the log {0}".format(log_path), error.strerror, "disconnect, and connect again")
    try:
        process = subprocess.Popen(_program("session.daemon"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=log, start_new_session=True, cwd="/")
    except OSError as error:
        raise SessionError("cannot start {0}".format(sys.executable), str(error), "check the Python that runs Ansible")
    finally:
        os.close(log)
    with process.stdin as stdin:
        stdin.write(json.dumps(given).encode())
    with process.stdout as stdout:
        line = stdout.readline() if select.select([stdout], [], [], _START_SECONDS)[0] else b""
    if not line:
        process.terminate()
        process.wait()
        raise SessionError("the process that holds the connection of {0} does not start".format(session.name),
                           "its log is {0}".format(log_path), "check the Python that runs Ansible")
    return json.loads(line.decode())["daemon"]
