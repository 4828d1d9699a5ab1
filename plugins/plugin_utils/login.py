# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a session's watcher, and with it the one authenticated connection."""

import compileall
import functools
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import threading

from ..module_utils import openssh, processes
from ..module_utils.channel import Channel
from ..module_utils.errors import SessionError
from ..module_utils.sessions import Session
from .asking import Patience, Questions

_DEFAULT_SSH_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s"
_PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Seconds, for whoever looks for the one-time code; the login node gives up sooner.
_LONGEST_LOGIN = 3600
_IMPORT = "import sys; sys.path.insert(0, {0!r}); from module_utils.watcher import main".format(_PLUGINS)


def target_of(connection, name: str) -> openssh.Target:
    """Whom ssh calls, as Ansible's own connection to this host would; SessionError where that is no ssh."""
    if getattr(connection, "transport", "") != "ssh":
        raise SessionError("cannot log in to {0} by connection {1}".format(name, getattr(connection, "transport", "unknown")),
                           "a tunnel is made of ssh", "leave ansible_connection out for this host, or set it to ssh")
    option = connection.get_option
    arguments = []
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        value = option(name) or ""
        # Ansible's own default is about its own masters, and compresses.
        arguments += shlex.split(value) if value != _DEFAULT_SSH_ARGS else []
    if option("host_key_checking") is False:
        arguments += ["-o", "StrictHostKeyChecking=no"]
    return openssh.Target(executable=option("ssh_executable"), host=str(option("host")), user=_text(option("remote_user")),
                          port=option("port") or None, key=_text(option("private_key_file")), arguments=arguments, timeout=int(option("timeout") or 10))


def _text(value):
    return str(value) if value else None


def password_of(connection) -> str:
    """The inventory's password for this host; it stays in memory."""
    return str(connection.get_option("password") or "")


def log_in(session: Session, target: openssh.Target, owner: list, password: str = "") -> dict:
    """Logs in and leaves a watcher that holds the connection; what ssh asks is passed on to the user.

    Where the user has a control master that leads there, it is used, and nothing is asked.

    Args:
        session: its record is there already.
        target: whom to call.
        owner: identity of the process with which the watcher ends until the session is handed over.
        password: answers ssh's question for the password of this host, once.
    Returns:
        The record's new fields.
    Raises:
        SessionError: with ssh's own words.
    """
    record = session.read()
    if not record:
        raise SessionError("the session of {0} was ended meanwhile".format(session.name), "", "connect again")
    if processes.alive(record.get("watcher")):
        # It cannot be reached any more (its socket is gone): it goes without undoing anything, and its ssh with it.
        os.kill(record["watcher"][0], signal.SIGKILL)
    session_id = record["id"]
    path = openssh.control_path(session_id)
    wish = {"base": session.base, "name": session.name, "directory": session.directory, "session": session_id, "socket": path + ".w", "control_path": path,
            "owner": owner, "seconds": _LONGEST_LOGIN, "libraries": _libraries(), "master": openssh.live_master(target)}
    answer = {"error": ""}
    if wish["master"]:
        cancel = openssh.Master(wish["master"], target.executable).command("-O", "cancel")[:-2]
        answer = _start(session, dict(wish, command=openssh.guest_command(target, wish["master"]), take_back=cancel), target)
    if "error" in answer:
        wish["master"] = ""
        answer = _log_in_anew(session, wish, target, password)
    fields = {"watcher": answer["watcher"], "socket": wish["socket"], "control_path": path, "ssh": target.executable,
              "target": target._asdict(), "guest": bool(wish["master"])}
    session.update(**fields)
    return fields


def _log_in_anew(session, wish, target, password):
    """A name may stand for several login nodes: a session that has been on one goes back to it, if it is there."""
    before = session.read().get("facts", {}).get("client_side", "")
    old = False
    for one in ([openssh.pinned(target, before)] if before else []) + [target]:
        while True:
            command = openssh.master_command(one, wish["control_path"], old=old)
            with Questions(session.name, session.directory, wish["control_path"] + ".a", password, functools.partial(openssh.names, one)) as questions:
                answer = _start(session, dict(wish, command=command, environment=questions.environment), one, questions)
            if "error" not in answer:
                return answer
            if questions.unanswered and not openssh.distrusts(answer["error"]):
                raise questions.nobody_there(target.host)
            if old or "Bad configuration option" not in answer["error"]:
                break
            old = True
        if not openssh.unreachable(answer["error"]):
            break
    raise openssh.explain(target.host, answer["error"])


def log_in_on_client(session: Session, channel: Channel, target: openssh.Target, name: str, password: str = "") -> dict:
    """Has the session's watcher log in on the client host, where that is another one than this; returns the record's new field.

    Args:
        session: its watcher holds the connection to the login node already.
        channel: to the watcher.
        target: whom to call.
        name: the host's, for the user.
        password: as for log_in().
    Raises:
        SessionError: with ssh's own words.
    """
    record = session.read()
    path = record["control_path"] + ".c"
    with Questions(name, session.directory, record["control_path"] + ".a", password, functools.partial(openssh.names, target)) as questions:
        answer = _meanwhile(questions, functools.partial(
            channel.request, "begin_client", wait=_LONGEST_LOGIN + 60, command=openssh.master_command(target, path), environment=questions.environment,
            seconds=_LONGEST_LOGIN))
    if "failed" in answer:
        if questions.unanswered and not openssh.distrusts(answer["failed"]):
            raise questions.nobody_there(target.host)
        raise openssh.explain(target.host, answer["failed"])
    uid = channel.client_script("id -u")[1].strip()
    if not uid.isdigit():
        raise SessionError("cannot make out what {0} is".format(name), "it does not tell who you are there", "a POSIX shell with id is needed there")
    known = {"name": name, "uid": int(uid), "control_path": path, "watcher": record["watcher"]}
    session.update(client_side=known)
    return known


def _meanwhile(questions, ask):
    """What a request gives, which is answered only when the questions are."""
    told = {}

    def run():
        try:
            told["answer"] = ask()
        except SessionError as error:
            told["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        if select.select([questions], [], [], 0.05)[0]:
            questions.answer()
    if "error" in told:
        raise told["error"]
    return told["answer"]


def _libraries():
    """Where the watcher finds jmespath, for batch systems that answer in JSON: it is started without site-packages."""
    try:
        import jmespath
    except ImportError:
        return []
    return [os.path.dirname(os.path.dirname(jmespath.__file__))]


def _interpreter():
    """A Python that finds compiled modules: compiling them itself would cost the watcher 2.5 MB for as long as it lives."""
    helpers = os.path.join(_PLUGINS, "module_utils")
    before = sys.pycache_prefix
    if not os.access(helpers, os.W_OK):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        sys.pycache_prefix = os.path.join(cache, "paraview-connect")
    try:
        compileall.compile_dir(helpers, maxlevels=0, quiet=2)
        words = [sys.executable, "-I", "-S"]
        if sys.pycache_prefix:
            words += ["-X", "pycache_prefix=" + sys.pycache_prefix]
            # The prefix holds for Python's own modules too: let another process compile those.
            if not os.path.isdir(sys.pycache_prefix + os.path.dirname(os.__file__)):
                subprocess.run(words + ["-c", _IMPORT], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return words
    finally:
        sys.pycache_prefix = before


def _start(session, wish, target, questions=None):
    """Starts a watcher; returns its last line, which says that it holds the connection, or why not."""
    log = os.open(os.path.join(session.directory, "watcher.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(_interpreter() + ["-c", _IMPORT + "; main()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=log, start_new_session=True, cwd="/")
    except OSError as error:
        raise SessionError("cannot start {0}".format(sys.executable), str(error), "check the Python that runs Ansible")
    finally:
        os.close(log)
    with process.stdin as stdin:
        stdin.write(json.dumps(wish).encode())
    with process.stdout as stdout:
        try:
            answer = _listen(stdout, questions, Patience(target.timeout + 35))
        except BaseException:
            process.terminate()
            raise
    if "watcher" not in answer:
        process.terminate()
        process.wait()
    return answer


def _listen(stdout, questions, patience):
    """What a watcher says last; questions that come up meanwhile are answered."""
    text = b""
    while True:
        ready = select.select([stdout] + ([questions] if questions else []), [], [], patience.left)[0]
        if stdout in ready:
            data = os.read(stdout.fileno(), 65536)
            text += data
            *lines, text = text.split(b"\n")
            for said in (json.loads(line.decode()) for line in lines):
                if "said" not in said:
                    return said
                if questions:
                    questions.heard(said["said"])
            if not data:
                return {"error": "the process that holds the connection ended; its log is beside the session's record"}
        elif ready:
            questions.answer()
            patience.renew()
        else:
            return {"error": "no answer within {0} s".format(patience.seconds)}
