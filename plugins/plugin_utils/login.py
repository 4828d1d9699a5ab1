# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a session's daemon, which opens the one authenticated connection."""

import compileall
import functools
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import typing as t

import yaml

from ..module_utils.common import processes
from ..module_utils.common.errors import SessionError
from ..module_utils.common.text import clean
from ..module_utils.schedulers import answers
from ..module_utils.session import reconnection
from ..module_utils.session import record as sessions
from ..module_utils.session.record import Session
from ..module_utils.ssh import client, control_path, master, messages
from ..module_utils.ssh.channel import Channel
from .prompts import AnswerTimeout, Prompts

_DEFAULT_SSH_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s"
_PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Seconds; enough for a user who has to find a one-time code. The login node's own time limit is shorter.
_LONGEST_LOGIN = 3600
_IMPORT = "import sys; sys.path.insert(0, {0!r}); from module_utils.{1} import main"
_POLL_SECONDS = 0.1
# Variables that may have changed since the first login.
_CREDENTIALS = ("SSH_AUTH_SOCK", "KRB5CCNAME")


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


def password_of(connection) -> str:
    """The inventory's password for this host; it stays in memory."""
    return str(connection.get_option("password") or "")


def log_in(session: Session, target: client.Target, owner: list, password: str = "") -> None:
    """Logs in and leaves a daemon that holds the connection; ssh's prompts are forwarded to the user.

    If the user has a control master for the host, it is used without a prompt.

    Args:
        session: its record exists already.
        target: the host to connect to.
        owner: identity of the process with which the daemon ends until the session is handed over.
        password: the answer to ssh's password prompt for this host, given once.
    Raises:
        SessionError: the login failed; it contains ssh's message.
    """
    record = session.read()
    if not record:
        raise SessionError("the session of {0} was ended during the login".format(session.name), "", "connect again")
    if sessions.is_lost(record):
        _log_in_again(session, record, target, password)
        return
    if processes.alive(record.daemon):
        # It can no longer be reached (its socket is gone). SIGKILL ends it, and its ssh, without removing anything.
        os.kill(record.daemon[0], signal.SIGKILL)
    _cancel_leftover_forwards(session, record)
    session_id = record.id
    path = control_path.control_path(session_id)
    given = {"base": session.base, "name": session.name, "directory": session.directory, "session": session_id, "socket": path + ".w", "control_path": path,
             "owner": owner, "waiting": record.waiting, "seconds": _LONGEST_LOGIN, "libraries": _libraries(), "master": master.live_master(target),
             "restorer": _program("session.lifeline_route"),
             "leave_node": master.Master(path + ".n", target.executable).command("-O", "exit")}
    answer = {"error": ""}
    if given["master"]:
        cancel = master.Master(given["master"], target.executable).command("-O", "cancel")[:-2]
        answer = _start(session, dict(given, command=master.guest_command(target, given["master"]), cancel_forward=cancel), target)
    if "error" in answer:
        given["master"] = ""
        answer = _log_in_to_any(session, target, path, password, lambda command, prompts, candidate: _start(
            session, dict(given, command=command, environment=prompts.environment), candidate, prompts))
    fields = {"daemon": answer["daemon"], "socket": given["socket"], "control_path": path, "ssh": target.executable,
              "target": target._asdict(), "users_own_master": given["master"], "was_prompted": bool(answer.get("was_prompted")) or bool(given["master"])}
    _same_node(session, session.update(**fields))


def _cancel_leftover_forwards(session, record):
    """Removes the forwards that a killed daemon left in the user's own control master."""
    if record.users_own_master:
        for option, specification in record.forwards:
            master.Master(record.users_own_master, record.ssh).cancel(option, specification)
        session.update(forwards=[])


def _same_node(session, record):
    """Raises SessionError if pvserver is a process of one login node (without a batch system), and another login node answers."""
    if not record.job_id or not answers.of(record).get("on_login_node"):
        return
    node = Channel(record.socket, session.name).script("hostname")[1].strip()
    if node != record.login_node:
        os.kill(record.daemon[0], signal.SIGKILL)
        session.update(daemon=None)
        raise SessionError("pvserver runs on {0}, and {1} answered".format(record.login_node, clean(node, 100)),
                           "{0} is the name of both".format(record.target["host"]), "try again until {0} answers".format(record.login_node))


def _log_in_again(session, record, target, password):
    """Opens a new connection for a daemon that has lost its connection."""
    channel = Channel(record.socket, session.name)
    path = record.control_path + reconnection.SOCKETS[2]

    def attempt(command, prompts, candidate):
        environment = dict({name: os.environ[name] for name in _CREDENTIALS if name in os.environ}, **prompts.environment)
        return by_daemon(channel, "login", prompts, candidate.timeout + 35, command=command, environment=environment, path=path)

    answer = _log_in_to_any(session, target, path, password, attempt)
    session.update(target=target._asdict(), was_prompted=bool(answer.get("was_prompted")))


def by_daemon(channel: Channel, which: str, prompts: Prompts, seconds: float, **given) -> dict:
    """Lets the session's daemon log in, and answers ssh's prompts.

    Args:
        channel: to the daemon.
        which: ``login`` (to replace a lost connection) or ``client`` (on the client host).
        prompts: of this login.
        seconds: time limit without a prompt.
        given: arguments of the request.
    Returns:
        The daemon's report on the login, or an ``error``.
    """
    channel.request("begin_" + which, **given)
    try:
        answer = _awaited(channel, which + "_state", prompts, AnswerTimeout(seconds))
    except BaseException:
        channel.request("end_" + which)
        raise
    if "error" in answer:
        channel.request("end_" + which)
    return answer


def _awaited(channel, operation, prompts, timeout):
    while True:
        state = channel.request(operation)
        if "failed" in state:
            return {"error": state["failed"]}
        if state["begun"]:
            return state
        prompts.received(state["said"])
        if select.select([prompts], [], [], _POLL_SECONDS)[0]:
            prompts.answer()
            timeout.renew()
        elif not timeout.left:
            return {"error": "no answer within {0} s: Connection timed out".format(timeout.seconds)}


def _log_in_to_any(session, target, path, password, attempt):
    """Logs in to the session's earlier login node if it answers, else to any login node of that name."""
    pinned = client.pinned(target, session.read().facts.get("client_side", ""))
    # Behind network address translation, that address may belong to another host: then the name alone is tried.
    # Without a batch system, pvserver is a process of that one login node, and no other login node will do.
    fixed = pinned != target and sessions.is_lost(session.read()) and answers.of(session.read()).get("on_login_node")
    for candidate in [pinned] * (pinned != target) + [target] * (not fixed):
        answer, error = answered(session, candidate, path, password, lambda command, prompts, candidate=candidate: attempt(command, prompts, candidate))
        if error is None:
            return answer
        if not (messages.unreachable(answer["error"]) or messages.distrusts(answer["error"])):
            break
    raise error


def answered(session: Session, target: client.Target, control_path: str, password: str, attempt: t.Callable, host: str = "") -> tuple:
    """Attempts a login, and answers its prompts. If ssh does not support all options, it attempts another one with the options of an older ssh.

    Args:
        session: its directory gets the program that forwards prompts.
        target: the host to connect to.
        control_path: of the new master.
        password: as for log_in().
        attempt: ``attempt(command, prompts) -> dict``, with ``error`` if it failed.
        host: the client host's name for a login there; empty for the login node.
    Returns:
        The result of the last attempt, and its SessionError or None.
    """
    for old in (False, True):
        names = functools.partial(client.names, target)
        with Prompts(host or session.name, session.directory, control_path + ".a", password, names) as prompts:
            answer = attempt(client.master_command(target, control_path, old=old), prompts)
        output = answer.get("error")
        if output is None:
            return dict(answer, was_prompted=prompts.was_prompted), None
        if "Bad configuration option" not in output:
            break
    if prompts.unanswered and not messages.distrusts(output):
        return answer, prompts.no_terminal(target.host)
    return answer, messages.explain(target.host, output, "client host" if host else "login node")


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
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        sys.pycache_prefix = os.path.join(cache, "paraview-connect")
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


def _start(session, given, target, prompts=None):
    """Starts a daemon; returns its last line, which reports that it holds the connection, or why not."""
    log = os.open(os.path.join(session.directory, "daemon.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
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
        try:
            answer = _last_line(stdout, prompts, AnswerTimeout(target.timeout + 35))
        except BaseException:
            process.terminate()
            raise
    if "daemon" not in answer:
        process.terminate()
        process.wait()
    return answer


def _last_line(stdout, prompts, timeout):
    """The last line of a daemon's output; prompts that arrive before are answered."""
    text = b""
    while True:
        ready = select.select([stdout] + ([prompts] if prompts else []), [], [], timeout.left)[0]
        if stdout in ready:
            data = os.read(stdout.fileno(), 65536)
            text += data
            *lines, text = text.split(b"\n")
            for report in (json.loads(line.decode()) for line in lines):
                if "said" not in report:
                    return report
                if prompts:
                    prompts.received(report["said"])
            if not data:
                return {"error": "the process that holds the connection ended; its log is next to the session's record"}
        elif ready:
            prompts.answer()
            timeout.renew()
        else:
            return {"error": "no answer within {0} s".format(timeout.seconds)}
