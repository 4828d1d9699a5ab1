# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in: the session's daemon holds the connection, and ssh's prompts reach the user."""

import functools
import os
import select
import time
import typing as t

from ..cluster.session_record import SessionRecord
from ..common.errors import SessionError
from ..common.text import clean, number
from ..schedulers import answers
from ..ssh import client, login_turns, master, messages
from ..ssh.channel import Channel
from ..ssh.prompts import AnswerTimeout, Asker, Prompts
from . import reconnection
from .record import Session, has_daemon, is_lost, readable_records

# Seconds between two questions on a login: at its beginning, and later, when it waits for the user.
_POLL_SECONDS, _POLL_SECONDS_LATER = 0.02, 0.2
# Seconds in which a login has to answer beyond ssh's own time limit.
_LONGER = 35
# Seconds in which the shell has to answer once ssh is logged in.
_SHELL_SECONDS = 30
# How many masters of other sessions a session tries at a time, and how often it waits for another one. Where sshd allows few sessions over a connection,
# all are full.
_MOST_TRIED = 2
_MOST_ROUNDS = 4
_MOST_ATTEMPTS = 25
# Variables that may have changed since the first login.
_CREDENTIALS = ("SSH_AUTH_SOCK", "KRB5CCNAME")


class Login:
    """The logins of one session.

    Args:
        session: its daemon runs.
        asker: the way to the user.
    """

    def __init__(self, session: Session, asker: Asker) -> None:
        self.session, self.asker = session, asker
        record = session.read()
        if not record:
            raise SessionError("the session of {0} was ended during the login".format(session.name), "", "connect again")
        self.channel = Channel(record.socket, session.name)
        self._turn: t.Optional[login_turns.Turn] = None

    # -- the login node

    def to_login_node(self, target: client.Target, password: str = "") -> None:
        """Logs in to the login node. If the user has a control master for it, that is used without a prompt.

        Args:
            target: the host to connect to.
            password: the answer to ssh's password prompt for this host, given once.
        Raises:
            SessionError: the login failed; it contains ssh's message.
        """
        record, target = self.session.read(), client.patient(target)
        lost = is_lost(record)
        path = record.control_path + (reconnection.SOCKETS[2] if lost else "")
        if not lost:
            self._cancel_leftover_forwards(record)
        self._turn = login_turns.Turn(os.path.dirname(path), repr(target._replace(timeout=0)))
        try:
            own, answer = self._as_guest_in_turn(target, path)
            if not own:
                answer = self._to_any(target, path, password, {name: os.environ[name] for name in _CREDENTIALS if lost and name in os.environ})
        finally:
            self._turn.over()
        self.session.update(target=target._asdict(), was_prompted=bool(answer.get("was_prompted")))
        if not lost:
            self.session.update(ssh=target.executable, users_own_master=own)
            self._check_same_node()

    def _of_other_sessions(self, target: client.Target) -> t.Dict[str, SessionRecord]:
        """Sockets of the control masters of other sessions with the same target, with a record of one such session each. Those with few sessions come first."""
        found: t.Dict[str, t.List[SessionRecord]] = {}
        for session, record in readable_records(self.session.base)[0]:
            same = record.target and client.Target(**record.target)._replace(timeout=0) == target._replace(timeout=0)
            path = record.users_own_master or record.control_path
            if same and session.directory != self.session.directory and has_daemon(record) and not is_lost(record) and os.path.exists(path):
                found.setdefault(path, []).append(record)
        return {path: found[path][0] for path in sorted(found, key=lambda path: len(found[path]))}

    def _as_guest_in_turn(self, target: client.Target, path: str) -> t.Tuple[str, t.Dict[str, t.Any]]:
        """Logs in as _as_guest() does. While another session logs in, this one waits for the new master, since the masters that exist may be full."""
        refused: t.Set[str] = set()
        users_own = master.live_master(target)
        for _round in range(_MOST_ROUNDS):
            others = self._masters_in_turn(target, users_own, refused)
            own, answer = self._as_guest(target, path, users_own if users_own not in refused else "", others)
            if own or not others:
                return own, answer
            refused |= set(others) | {users_own}
        return "", {}

    def _masters_in_turn(self, target: client.Target, users_own: str, refused: t.Set[str]) -> t.Dict[str, SessionRecord]:
        """Of _of_other_sessions(), those that accept guests and have not refused; none if it is this session's turn to log in."""
        for _attempt in range(_MOST_ATTEMPTS):
            self._turn.wait(lambda: bool(set(self._of_other_sessions(target)) - refused))
            fresh = {own: record for own, record in self._of_other_sessions(target).items() if own not in refused}
            ready = {own: record for own, record in fresh.items() if own == users_own or _holds_for_guests(record)}
            if ready or not fresh or self._turn.taken:
                return ready
            # Such a session has just logged in, and its daemon is about to notice that.
            time.sleep(_POLL_SECONDS_LATER)
        return {}

    def _as_guest(self, target: client.Target, path: str, users_own: str, others: t.Dict[str, SessionRecord]) -> t.Tuple[str, t.Dict[str, t.Any]]:
        """Logs in over a control master that exists, which needs no authentication.

        Args:
            target: the host to connect to.
            path: of the new master.
            users_own: the socket of the user's own control master; empty for none.
            others: of _masters_in_turn().
        Returns:
            Its socket, or an empty text if there is none or each refused; and the daemon's report on the login.
        """
        for own in ([users_own] if users_own else []) + [path for path in others if path != users_own][:_MOST_TRIED]:
            cancel = master.Master(own, target.executable).command("-O", "cancel")[:-2]
            # sshd refuses more sessions over one connection than MaxSessions.
            answer = self._attempt("login", None, target, command=master.guest_command(target, own), path=path, master=own,
                                   cancel_forward=cancel, environment={})
            if "error" not in answer:
                return own, dict(answer, was_prompted=own == users_own or others[own].was_prompted)
        return "", {}

    def _to_any(self, target: client.Target, path: str, password: str, environment: t.Dict[str, str]) -> t.Dict[str, t.Any]:
        """Logs in to the session's earlier login node if it answers, else to any login node of that name."""
        record = self.session.read()
        pinned = client.pinned(target, record.facts.get("client_side", ""))
        # Behind network address translation, that address may belong to another host: then the name alone is tried.
        # Without a batch system, pvserver is a process of that one login node, and no other login node will do.
        fixed = pinned != target and is_lost(record) and answers.of(record).get("on_login_node")
        error: t.Optional[SessionError] = None
        for candidate in [pinned] * (pinned != target) + [target] * (not fixed):
            answer, error = self._answered("login", candidate, path, password, environment)
            if error is None:
                return answer
            if not (messages.unreachable(answer["error"]) or messages.distrusts(answer["error"])):
                break
        raise t.cast(SessionError, error)

    def _cancel_leftover_forwards(self, record: SessionRecord) -> None:
        """Removes the forwards that a killed daemon left in the user's own control master."""
        if record.users_own_master:
            for option, specification in record.forwards:
                master.Master(record.users_own_master, record.ssh).cancel(option, specification)
            self.session.update(forwards=[])

    def _check_same_node(self) -> None:
        """SessionError if pvserver is a process of one login node (without a batch system), and another login node answers."""
        record = self.session.read()
        if not record.job_id or not answers.of(record).get("on_login_node"):
            return
        node = self.channel.script("hostname")[1].strip()
        if node != record.login_node:
            raise OtherLoginNode("pvserver runs on {0}, and {1} answered".format(record.login_node, clean(node, 100)),
                                 "{0} is the name of both".format(record.target["host"]), "try again until {0} answers".format(record.login_node))

    # -- the client host

    def to_client_host(self, target: client.Target, host: str, password: str = "") -> t.Dict[str, t.Any]:
        """Logs in to the host on which ParaView runs.

        Args:
            target: the host to connect to.
            host: its name in the inventory.
            password: as for to_login_node().
        Returns:
            The record's field ``remote_client_host``.
        Raises:
            SessionError: the login failed; it contains ssh's message.
        """
        record, target = self.session.read(), client.patient(target)
        path = record.control_path + ".c"
        _answer, error = self._answered("client", target, path, password, {}, host)
        if error is not None:
            raise error
        uid = number(self.channel.client_script("id -u")[1])
        if uid is None:
            raise SessionError("cannot determine your user id on {0}".format(host), "id -u printed no number", "{0} needs a POSIX shell with id".format(host))
        return {"name": host, "uid": uid, "control_path": path, "daemon": record.daemon}

    # -- one login

    def _answered(self, which: str, target: client.Target, path: str, password: str, environment: t.Dict[str, str],
                  host: str = "") -> t.Tuple[t.Dict[str, t.Any], t.Optional[SessionError]]:
        """Attempts a login, and answers its prompts. If ssh does not support all options, it attempts another one with the options of an older ssh.

        Args:
            which: ``login`` (node) or ``client`` (host).
            target: the host to connect to.
            path: of the new master.
            password: as for to_login_node().
            environment: variables for ssh.
            host: the client host's name for a login there; empty for the login node.
        Returns:
            The result of the last attempt, and its SessionError or None.
        """
        for old in (False, True):
            names = functools.partial(client.names, target)
            with Prompts(self.session.directory, path + ".a", self.asker, password, names) as prompts:
                answer = self._attempt(which, prompts, target, command=client.master_command(target, path, old=old), path=path,
                                       environment=dict(environment, **prompts.environment))
            output = answer.get("error")
            if output is None:
                return dict(answer, was_prompted=prompts.was_prompted), None
            if "Bad configuration option" not in output:
                break
        if prompts.unanswered and not messages.distrusts(output):
            return answer, prompts.no_terminal(target.host)
        if answer.get("shell"):
            return answer, messages.explain_shell(target.host, answer["shell"], answer.get("printed", "") + "\n" + output)
        return answer, messages.explain(target.host, output, "client host" if host else "login node")

    def _attempt(self, which: str, prompts: t.Optional[Prompts], target: client.Target, **given: t.Any) -> t.Dict[str, t.Any]:
        """Lets the daemon log in, and answers ssh's prompts. Returns the daemon's report on the login, or an ``error``."""
        # The socket's directory is private, and all sessions share it.
        with login_turns.slot(os.path.dirname(given["path"]), "{0}:{1}".format(target.host, target.port or "")):
            self.channel.request("begin_" + which, **given)
            try:
                answer = self._awaited(which + "_state", prompts, AnswerTimeout(target.timeout + _LONGER))
            except Exception:
                # If this process is being ended instead, the daemon ends the login itself.
                self.channel.request("end_" + which)
                raise
            if "error" in answer:
                self.channel.request("end_" + which)
            return answer

    def _awaited(self, operation: str, prompts: t.Optional[Prompts], timeout: AnswerTimeout) -> t.Dict[str, t.Any]:
        begun, shell_timeout = time.monotonic(), None
        while True:
            state = self.channel.request(operation)
            if "failed" in state:
                return dict(state, error=state["failed"])
            if state["begun"]:
                return state
            shell_timeout = shell_timeout or (AnswerTimeout(_SHELL_SECONDS) if state.get("logged_in") else None)
            if prompts:
                prompts.received(state["said"])
            pause = min(_POLL_SECONDS_LATER, max(_POLL_SECONDS, (time.monotonic() - begun) / 20))
            if select.select([prompts] if prompts else [], [], [], pause)[0]:
                if self._turn:
                    self._turn.note_prompt()
                t.cast(Prompts, prompts).answer()
                timeout.renew()
            elif shell_timeout and not (shell_timeout.left and timeout.left):
                return {"error": state["said"], "shell": "silent", "printed": state["printed"]}
            elif not timeout.left:
                return {"error": "no answer within {0} s: Connection timed out".format(timeout.seconds)}


def _holds_for_guests(record: SessionRecord) -> bool:
    """Whether a session's daemon is connected, and keeps its connection for others when the session ends. That of an older version does not."""
    try:
        return Channel(record.socket, record.name).request("connected", wait=5)["connected"]
    except SessionError:
        return False


class OtherLoginNode(SessionError):
    """Another login node answered than the one on which pvserver runs: nothing there may be touched."""
