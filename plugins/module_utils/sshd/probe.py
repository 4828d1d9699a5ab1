# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out what an sshd forwards for a user: it requests each forward and checks the result.

The protocol has one answer for every refusal. If its policy refuses a forward, OpenSSH's sshd adds a debug message; if it could not
listen, it adds none. If a server sends no debug messages, a request for a free port and the list of listeners show the reason. For a
local unix socket, a refusal by policy and a socket without a listener have the same answer too. Then a connection to another socket,
on which a process surely listens, shows the difference.
Sources: RFC 4254, OpenSSH's PROTOCOL, serverloop.c and channels.c; measured on 9.2p1.
"""

import collections
import contextlib
import os
import queue
import re
import shlex
import time
import typing as t

from ..common import listeners as endpoints
from ..common import timers
from ..common.errors import SessionError
from ..common.text import one_line
from . import paramiko_login
from .paramiko_login import paramiko
from .probe_report import table
from .probe_requests import Request, endpoint, ip, written
from .probe_shell import Shell

_LOOPBACK, _EVERYWHERE = ("127.0.0.1", "::1"), ("0.0.0.0", "::")
# Sockets of most Linux hosts to which everybody may connect. A connection that ends immediately disturbs nobody.
_SERVED = ("/run/dbus/system_bus_socket", "/run/systemd/journal/stdout")
# sshd's messages if it cannot reach the destination. If the destination is reachable and nothing listens there, the message is another.
_UNREACHABLE = re.compile("timed out|no route|unreachable|not known|resolution|no address|unknown host|nodename", re.IGNORECASE)
# sshd's message if it grants more than was requested.
_OVERRIDDEN = re.compile("overridden by server GatewayPorts")
_PUBLIC = "sshd opens it on every address (GatewayPorts yes)"
_PROHIBITED, _CONNECT_FAILED = 1, 2
# The result of a request: verdict, why, listens_on, as_asked and reached, as the documentation of the module describes them.
_Finding = t.Dict[str, t.Any]
# A channel, or None; the code of the refusal, or None if there was no answer; and sshd's message.
_Dialled = t.Tuple[t.Optional["paramiko.Channel"], t.Optional[int], str]


# --- all requests ---

def check(login: paramiko_login.Login, requests: t.List[Request]) -> t.Dict[str, t.Any]:
    """Requests forwards from an sshd, one after the other over one connection.

    Args:
        login: where and how to log in.
        requests: the forwards.
    Returns:
        ``forwards`` (list of dict), ``table`` (list of str), ``server``, ``user``, ``differences`` (int), ``warnings`` (list of str).
    Raises:
        SessionError: the login failed.
    """
    if not requests:
        raise SessionError("there is no forward to request from {0}".format(login.host), "remote and local are empty", "list a forward in one of them")
    connection, log = paramiko_login.connect(login)
    try:
        trial = _Trial(connection, log, login.timeout)
        forwards = [_with_expectation(request, trial.request(request)) for request in requests]
        warnings = trial.warnings + [
            "{0} forward {1} counts as allowed, but its listener could not be checked".format(one["kind"], one["request"])
            for one in forwards if one["as_expected"] and one["expect"] == ["allowed"] and one["kind"] == "remote" and one["as_asked"] is None]
        return {
            "forwards": forwards, "table": table(forwards), "server": one_line(connection.remote_version, 100), "user": login.user,
            "differences": len([one for one in forwards if one["as_expected"] is False]), "warnings": warnings,
        }
    finally:
        connection.close()


def _with_expectation(request: Request, finding: _Finding) -> _Finding:
    outcome = "elsewhere" if finding["verdict"] == "allowed" and finding["as_asked"] is False else finding["verdict"]
    return dict(finding, kind=request.kind, request=written(request), expect=list(request.expect),
                as_expected=outcome in request.expect if request.expect else None)


def _finding(verdict: str, why: str = "", listens_on: t.Sequence[str] = (), as_asked: t.Optional[bool] = None, reached: t.Optional[bool] = None) -> _Finding:
    return {"verdict": verdict, "why": why, "listens_on": list(listens_on), "as_asked": as_asked, "reached": reached}


class _Lost(Exception):
    """The connection is closed; the text is the reason."""


class _Trial:
    """One connection and the forwards that it requests."""

    def __init__(self, connection: paramiko_login.Connection, log: paramiko_login.LogCollector, timeout: float) -> None:
        self.connection = connection
        self.log = log
        self.timeout = timeout
        self.timed_out = False
        self.arrived: queue.Queue = queue.Queue()
        self.shell: t.Optional[Shell] = None
        self.sockets_served: t.Optional[bool] = None
        self.warnings: t.List[str] = []
        self.here = connection.getpeername()[0]
        version = re.search(r"OpenSSH_(?:for_Windows_)?([0-9]{1,3})\.([0-9]{1,3})", connection.remote_version or "")
        # Since 7.8 each refusal by policy comes with a debug message.
        self.gives_reasons = version is not None and (int(version.group(1)), int(version.group(2))) >= (7, 8)

    def request(self, request: Request) -> _Finding:
        """Requests one forward and checks the result."""
        method = {("remote", False): self._remote_port, ("remote", True): self._remote_socket,
                  ("local", False): self._local_port, ("local", True): self._local_socket}[request.kind, request.socket is not None]
        self.timed_out = False
        try:
            if not self.connection.is_active():
                raise _Lost("the connection is closed")
            return method(request)
        except (_Lost, paramiko.SSHException, EOFError, OSError) as error:
            if self.timed_out:
                return _finding("failed", "no answer within {0} s".format(self.timeout))
            if self.connection.is_active():
                return _finding("failed", one_line(str(error)))
            return _finding("failed", "the connection is closed" if isinstance(error, _Lost) else "the connection failed: " + one_line(str(error)))

    # --- the protocol ---

    @contextlib.contextmanager
    def _with_timeout(self) -> t.Iterator[None]:
        """Closes the connection if a request takes too long; a request cannot be cancelled otherwise."""
        with timers.after(self.timeout, self._abort):
            yield
        if not self.connection.is_active():
            raise _Lost("the connection is closed")

    def _abort(self) -> None:
        self.timed_out = True
        self.connection.close()

    def _request_port(self, bind: str, port: int) -> t.Tuple[t.Optional[int], str]:
        """Requests a remote forward; returns the port that sshd granted, or None, and sshd's message."""
        mark = len(self.log.messages)
        granted = None
        with self._with_timeout():
            try:
                granted = self.connection.request_port_forward(
                    "" if bind == "*" else bind, port, lambda channel, _origin, server: self.arrived.put((channel, server)))
            except paramiko.SSHException:
                pass
        return granted, self._message(mark)

    def _cancel(self, bind: str, port: int) -> None:
        with self._with_timeout():
            self.connection.cancel_port_forward("" if bind == "*" else bind, port)
        while not self.arrived.empty():
            self.arrived.get()[0].close()

    def _global(self, kind: str, path: str) -> t.Tuple[bool, str]:
        mark = len(self.log.messages)
        with self._with_timeout():
            answer = self.connection.global_request(kind, (path,), wait=True)
        return answer is not None, self._message(mark)

    def _message(self, mark: int) -> str:
        """The debug messages by which sshd explains a refusal, from message number ``mark`` on."""
        found = [re.match(r"Debug msg: (?:b(['\"]))?(.*?)(?(1)\1)\Z", line, re.DOTALL) for line in self.log.messages[mark:]]
        message = one_line("; ".join(one.group(2) for one in found if one and not _OVERRIDDEN.search(one.group(2))))
        self.gives_reasons = self.gives_reasons or bool(message)
        return message

    def _dial(self, opening: t.Callable[[float], "paramiko.Channel"]) -> _Dialled:
        """Opens a channel; returns it, or the code and the message of the refusal."""
        mark = len(self.log.messages)
        try:
            return opening(self.timeout), 0, ""
        except paramiko.ChannelException as error:
            texts = [re.match(r"Secsh channel \d+ open FAILED: (.*): .*?\Z", line, re.DOTALL) for line in self.log.messages[mark:]]
            return None, error.code, one_line("; ".join(one.group(1) for one in texts if one))
        except paramiko.SSHException:
            if not self.connection.is_active():
                raise
            return None, None, ""

    def _dial_port(self, address: str, port: int) -> _Dialled:
        return self._dial(lambda seconds: self.connection.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds))

    def _dial_socket(self, path: str) -> _Dialled:
        return self._dial(lambda seconds: self.connection.open_socket_channel(path, seconds))

    # --- commands on the server ---

    def _script(self, text: str) -> t.Optional[str]:
        """The output of a shell on the server, or None if the user may run no command."""
        if self.shell is None:
            self.shell = Shell(self.connection, self.timeout)
            self.shell.start(self._with_timeout)
        return self.shell.run(text)

    def _listeners(self) -> t.Optional[t.List[endpoints.Listener]]:
        """The listeners on the server, or None if they cannot be read."""
        text = self._script("cat /proc/net/tcp; cat /proc/net/tcp6")
        return None if text is None or "local_address" not in text else endpoints.parse(text) + endpoints.parse6(text)

    # --- remote forwards ---

    def _remote_port(self, request: Request) -> _Finding:
        before = self._listeners()
        mark = len(self.log.messages)
        port, message = self._request_port(request.address, request.port)
        if port is None:
            return self._not_granted(request, message, before)
        if port == 0:
            return _finding("failed", "sshd granted it but returned no port")
        try:
            after = self._listeners()
            if before is None or after is None:
                overridden = any(_OVERRIDDEN.search(line) for line in self.log.messages[mark:])
                return self._by_dialling(request.address, port, overridden)
            others = {one.address for one in before if one.port == port}
            mine = [one.address for one in after if one.port == port and one.address not in others]
            as_asked, why = judge(request.address, port, mine, others)
            listens_on = [endpoint(address, port) for address in mine]
            target = self._target(request.address, mine)
            reached = {"us": True, "other": False, "nobody": False}.get(self._who(target, port)) if target else None
            if as_asked and reached is False:
                why = "a connection to {0} does not arrive here".format(endpoint(target, port))
            return _finding("allowed", why, listens_on, as_asked, reached)
        finally:
            if self.connection.is_active():
                self._cancel(request.address, port)

    @staticmethod
    def _target(bind: str, mine: t.List[str]) -> t.Optional[str]:
        """The address to dial: the requested one, or another on which the forward listens."""
        if bind in mine and bind not in _EVERYWHERE:
            return bind
        for address in sorted(mine, key=lambda one: ":" in one):
            return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
        return None

    def _not_granted(self, request: Request, message: str, before: t.Optional[t.List[endpoints.Listener]]) -> _Finding:
        bind, port = request.address, request.port
        if message:
            return _finding("refused", "sshd: " + message)
        cannot_listen = "sshd's policy allows it, but sshd cannot listen there: "
        if port == 0:
            if self.gives_reasons:
                return _finding("failed", cannot_listen + "{0} is no address of that host".format(bind))
            return _finding("refused", "sshd gives no reason")
        taken = self._taken(bind, port, before)
        other_port, other_message = self._request_port(bind, 0)
        if other_port:
            self._cancel(bind, other_port)
        if taken and (other_port or self.gives_reasons):
            return _finding("failed", "port taken: something listens on {0} already".format(taken))
        if taken:
            return _finding("refused", "sshd gives no reason, and refuses another port too; besides, something listens on {0} already".format(taken))
        if self.gives_reasons and port < 1024:
            return _finding("refused", "only root may listen on a port below 1024")
        if self.gives_reasons and not other_port and not other_message:
            return _finding("failed", cannot_listen + "{0} is no address of that host".format(bind))
        if self.gives_reasons:
            return _finding("failed", cannot_listen + "the port is in use by a listener that cannot be seen, or {0} is no address of that host".format(bind))
        return _finding("refused", "sshd gives no reason, while another port is granted: its policy refuses this port, or it is in use" if other_port
                        else "sshd gives no reason, and refuses another port too")

    def _taken(self, bind: str, port: int, listeners: t.Optional[t.List[endpoints.Listener]]) -> str:
        """The listener that already uses the port, as text; empty if none is seen."""
        if listeners is None:
            for address in _LOOPBACK[:1] if bind in ("*", "localhost") + _EVERYWHERE else (bind,):
                channel = self._dial_port(address, port)[0]
                if channel is not None:
                    channel.close()
                    return endpoint(address, port)
            return ""
        requested = _addresses(bind) or {bind}
        for one in listeners:
            family = [address for address in requested if (":" in address) == (":" in one.address)]
            if one.port == port and family and (one.address in requested or one.address in _EVERYWHERE or set(family) & set(_EVERYWHERE)):
                return endpoint(one.address, port)
        return ""

    def _who(self, address: str, port: int) -> str:
        """What accepts a connection that sshd opens to its own host: ``us``, ``other``, ``nobody`` or ``unknown``."""
        channel, code, message = self._dial_port(address, port)
        if channel is None:
            return "nobody" if code == _CONNECT_FAILED and not _UNREACHABLE.search(message) else "unknown"
        nonce = os.urandom(16)
        end = time.monotonic() + min(self.timeout, 5.0)
        try:
            channel.settimeout(self.timeout)
            channel.sendall(nonce)
            while True:
                try:
                    back = self.arrived.get(timeout=max(0.0, end - time.monotonic()))[0]
                except queue.Empty:
                    return "other"
                try:
                    back.settimeout(max(0.1, end - time.monotonic()))
                    if _read(back, len(nonce)) == nonce:
                        return "us"
                finally:
                    back.close()
        except OSError:
            return "other"
        finally:
            channel.close()

    def _by_dialling(self, bind: str, port: int, overridden: bool) -> _Finding:
        """Finds the listener by connections through sshd, for a user who may run no command."""
        everywhere = {"*": _LOOPBACK[:1], "0.0.0.0": _LOOPBACK[:1], "::": _LOOPBACK[1:]}.get(bind)
        if everywhere:
            external = (self.here,) if bind == "*" or (":" in self.here) == (":" in bind) else ()
            requested, beyond = everywhere + external, tuple(one for one in _LOOPBACK if bind != "*" and one not in everywhere)
        else:
            requested = _LOOPBACK if bind == "localhost" else (bind,)
            # An sshd that gives reasons reports by itself that it listens on more addresses.
            beyond = () if self.gives_reasons else ("127.0.0.1", self.here)
        seen = collections.OrderedDict((address, "") for address in requested + beyond)
        for address in seen:
            seen[address] = self._who(address, port)
        ours = [address for address in seen if seen[address] == "us"]
        finding = _finding("allowed", listens_on=[endpoint(address, port) for address in ours],
                           reached=True if ours else None if "unknown" in seen.values() else False)
        unknown = "where it listens is unknown: the user may run no command there, and connections through sshd do not show it"
        if overridden:
            return dict(finding, as_asked=False, why=_PUBLIC)
        if [address for address in ours if address not in requested]:
            return dict(finding, as_asked=False, why="it listens on more addresses, or on others")
        if everywhere:
            outside = not _is_loopback(self.here) and seen.get(self.here) == "us" and "unknown" not in [seen[address] for address in beyond]
            return dict(finding, as_asked=True if outside else None, why="" if outside else unknown)
        if "other" in [seen[address] for address in requested]:
            return dict(finding, as_asked=False, why="another process listens there as well")
        if seen[requested[0]] == "nobody":
            return dict(finding, as_asked=False, why="nothing listens on {0}".format(endpoint(requested[0], port)))
        if "unknown" in [seen[address] for address in requested[:1] + beyond]:
            return dict(finding, why=unknown)
        return dict(finding, as_asked=True)

    def _remote_socket(self, request: Request) -> _Finding:
        path = request.socket
        quoted = shlex.quote(path)
        state = self._script("if [ -e {0} ] || [ -h {0} ]; then echo there; elif [ -w {1} ]; then echo free; else echo barred; fi".format(
            quoted, shlex.quote(os.path.dirname(path))))
        if state is None:
            channel, _code, _message = self._dial_socket(path)
            if channel is not None:
                channel.close()
                state = "there"
        if state is not None and state.strip() == "there":
            # With StreamLocalBindUnlink sshd would replace it.
            return _finding("failed", "path taken: something exists there already, and was not changed")
        granted, message = self._global("streamlocal-forward@openssh.com", path)
        if not granted:
            if message:
                return _finding("refused", "sshd: " + message)
            if self.gives_reasons:
                why = "its directory does not exist, or is not writable" if state is not None and state.strip() == "barred" else (
                    "a file exists there, or its directory does not exist, or is not writable")
                return _finding("failed", "sshd's policy allows it, but sshd cannot create the socket: " + why)
            return _finding("refused", "sshd gives no reason")
        try:
            found = None if state is None else self._script("if [ -S {0} ]; then echo there; fi".format(quoted))
            as_asked = None if found is None else found.strip() == "there"
            reached = self._socket_reaches_us(path)
            as_asked = True if reached else as_asked
            why = {True: "", False: "no socket exists there", None: "where it listens is unknown: the user may run no command there"}[as_asked]
        finally:
            if self.connection.is_active():
                self._global("cancel-streamlocal-forward@openssh.com", path)
                if state is None or self._script("if [ -S {0} ]; then rm -f -- {0}; fi; if [ -h {0} ] || [ -e {0} ]; then echo there; fi".format(
                        quoted)) != "":
                    self.warnings.append("the socket {0} is left behind: sshd does not remove it, and the user may run no command there".format(path))
        return _finding("allowed", why, [path] if as_asked else [], as_asked, reached)

    def _socket_reaches_us(self, path: str) -> t.Optional[bool]:
        mark = len(self.log.messages)
        channel, _code, _message = self._dial_socket(path)
        if channel is None:
            return None
        try:
            # paramiko declines the channel of that connection, and logs that.
            return self.log.wait_for("forwarded-streamlocal@openssh.com", mark, min(self.timeout, 5.0)) or None
        finally:
            channel.close()

    # --- local forwards ---

    def _local_port(self, request: Request) -> _Finding:
        channel, code, message = self._dial_port(request.address, request.port)
        if code != _CONNECT_FAILED:
            return self._dialled(channel, code, message)
        if _UNREACHABLE.search(message):
            return _finding("failed", "sshd's policy allows it, but sshd cannot connect to it: " + message)
        return _finding("allowed", "nothing listens there" + _in_brackets(message), reached=False)

    def _local_socket(self, request: Request) -> _Finding:
        channel, code, message = self._dial_socket(request.socket)
        if code != _CONNECT_FAILED:
            return self._dialled(channel, code, message)
        served = False if self._is_served(request.socket) else self._dials_sockets()
        if served:
            return _finding("allowed", "nothing listens there, or this user may not connect to it", reached=False)
        if served is False:
            return _finding("refused", "sshd does not connect to a socket on which a process listens")
        return _finding("failed", "sshd gives no reason: its policy refuses it, or nothing listens there")

    def _dialled(self, channel: t.Optional["paramiko.Channel"], code: t.Optional[int], message: str) -> _Finding:
        if channel is not None:
            channel.close()
            return _finding("allowed", reached=True)
        if code is None:
            return _finding("failed", "no answer within {0} s: something on the way there drops it".format(self.timeout))
        if code == _PROHIBITED:
            return _finding("refused", "sshd: administratively prohibited" + _in_brackets(message))
        return _finding("failed", message or "sshd answered with code {0}".format(code))

    def _is_served(self, path: str) -> bool:
        """Whether a process surely listens on a socket of the server, and this user may connect to it."""
        text = self._script("if [ -S {0} ] && [ -w {0} ]; then cat /proc/net/unix; fi".format(shlex.quote(path)))
        rows = [line.split(None, 7) for line in (text or "").splitlines()]
        return any(len(row) == 8 and row[7] == path and row[3] == "00010000" and row[4] == "0001" for row in rows)

    def _dials_sockets(self) -> t.Optional[bool]:
        """Whether sshd connects to sockets for this user at all; None if that is unknown."""
        if self.sockets_served is None:
            for path in _SERVED:
                channel, _code, _message = self._dial_socket(path)
                if channel is not None:
                    channel.close()
                    self.sockets_served = True
                    break
                if self._is_served(path):
                    self.sockets_served = False
        return self.sockets_served


# --- where a listener is ---

def judge(bind: str, port: int, mine: t.List[str], others: t.Set[str]) -> t.Tuple[t.Optional[bool], str]:
    """Whether a forward listens where it was requested.

    Args:
        bind: what was requested: an address, ``localhost``, ``*`` or a name.
        port: the port that sshd granted.
        mine: addresses on which the forward listens.
        others: addresses on which another process listens on that port.
    Returns:
        Whether it does, None if only sshd can resolve the name; and why it does not.
    """
    if not mine:
        return False, "nothing listens on port {0}".format(port)
    requested = _addresses(bind)
    loopback, everywhere = all(_is_loopback(one) for one in mine), any(one in _EVERYWHERE for one in mine)
    if requested is None and not loopback and not everywhere:
        return None, "{0} is a name, which only sshd can resolve".format(bind)
    reasons = []
    if requested is None or set(mine) - requested:
        reasons.append(_PUBLIC if everywhere else "sshd binds it to loopback (GatewayPorts no)" if loopback else "sshd binds it to another address")
    for family, name in ((False, "IPv4"), (True, "IPv6")):
        if not [one for one in mine if (":" in one) == family] and [one for one in requested or _EVERYWHERE if (":" in one) == family]:
            taken = sorted(one for one in others if (":" in one) == family)
            if taken:
                reasons.append("not over {0}: another process listens on {1}".format(name, " ".join(endpoint(one, port) for one in taken)))
            elif name == "IPv4" and not reasons:
                reasons.append("not over IPv4")
    return not reasons, "; ".join(reasons)


def _addresses(bind: str) -> t.Optional[t.Set[str]]:
    """The addresses that a bind address means; None for a name."""
    special = {"localhost": set(_LOOPBACK), "*": set(_EVERYWHERE)}
    return special.get(bind) or ({bind} if ip(bind) else None)


def _is_loopback(address: str) -> bool:
    parsed = ip(address)
    return parsed is not None and parsed.is_loopback


def _in_brackets(message: str) -> str:
    return " ({0})".format(message) if message and message.lower() != "open failed" else ""


def _read(channel: "paramiko.Channel", count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        if not more:
            break
        data += more
    return data
