# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an sshd forwards for a user, found out by asking it for each forward and looking what comes of it.

The protocol has one word for a refusal, whatever its cause. OpenSSH's sshd adds a debug message when its policy refuses, and none when
it could not listen; where no such message can be expected, a free port and the listeners that are there tell. A unix socket that
may not be dialled and one that nobody serves have one answer, too: another socket that is surely served tells.
Sources: RFC 4254, OpenSSH's PROTOCOL, serverloop.c and channels.c; what is relied on was measured on 9.2p1.
"""

import collections
import contextlib
import os
import queue
import re
import shlex
import threading
import time
import typing as t

from ..common import listeners as endpoints
from ..common.errors import SessionError
from ..common.text import one_line
from . import paramiko_login
from .paramiko_login import paramiko
from .probe_report import table
from .probe_requests import Request, endpoint, ip, written
from .probe_shell import Shell

_LOOPBACK, _EVERYWHERE = ("127.0.0.1", "::1"), ("0.0.0.0", "::")
# Sockets of most Linux hosts that everybody may dial; a dial that ends at once disturbs nobody.
_SERVED = ("/run/dbus/system_bus_socket", "/run/systemd/journal/stdout")
# What sshd says at a dial that failed because of the way there, and not because nobody listens.
_NO_WAY = re.compile("timed out|no route|unreachable|not known|resolution|no address|unknown host|nodename", re.IGNORECASE)
# What it says where it grants more than was asked for.
_OVERRIDDEN = re.compile("overridden by server GatewayPorts")
_PUBLIC = "sshd opens it on every address (GatewayPorts yes)"
_PROHIBITED, _CONNECT_FAILED = 1, 2
# What came of a request: its verdict, why, where it listens, whether that is as asked, and whether a dial reached us.
_Finding = t.Dict[str, t.Any]
# A channel, or None; the code of its refusal, None where there was no answer; and sshd's words.
_Dialled = t.Tuple[t.Optional["paramiko.Channel"], t.Optional[int], str]


# --- all of it ---

def check(login: paramiko_login.Login, requests: t.List[Request]) -> t.Dict[str, t.Any]:
    """Asks an sshd for forwards, one after the other over one connection.

    Args:
        login: whom to call and how.
        requests: the forwards.
    Returns:
        ``forwards`` (list of dict), ``table`` (list of str), ``server``, ``user``, ``differences`` (int), ``warnings`` (list of str).
    Raises:
        SessionError: no login.
    """
    if not requests:
        raise SessionError("there is nothing to ask {0} for".format(login.host), "remote and local are empty", "name a forward in one of them")
    connection, ear = paramiko_login.connect(login)
    try:
        trial = _Trial(connection, ear, login.timeout)
        forwards = [_judged(request, trial.ask(request)) for request in requests]
        warnings = trial.warnings + [
            "{0} forward {1} counts as allowed, but where it listens could not be seen".format(one["kind"], one["request"])
            for one in forwards if one["as_expected"] and one["expect"] == ["allowed"] and one["kind"] == "remote" and one["as_asked"] is None]
        return {
            "forwards": forwards, "table": table(forwards), "server": one_line(connection.remote_version, 100), "user": login.user,
            "differences": len([one for one in forwards if one["as_expected"] is False]), "warnings": warnings,
        }
    finally:
        connection.close()


def _judged(request: Request, finding: _Finding) -> _Finding:
    seen = "elsewhere" if finding["verdict"] == "allowed" and finding["as_asked"] is False else finding["verdict"]
    return dict(finding, kind=request.kind, request=written(request), expect=list(request.expect),
                as_expected=seen in request.expect if request.expect else None)


def _finding(verdict: str, why: str = "", listens_on: t.Sequence[str] = (), as_asked: t.Optional[bool] = None, reached: t.Optional[bool] = None) -> _Finding:
    return {"verdict": verdict, "why": why, "listens_on": list(listens_on), "as_asked": as_asked, "reached": reached}


class _Lost(Exception):
    """There is no connection any more; the text says why."""


class _Trial:
    """One connection and what it was granted."""

    def __init__(self, connection: paramiko_login.Connection, ear: paramiko_login.Ear, timeout: float) -> None:
        self.connection = connection
        self.ear = ear
        self.timeout = timeout
        self.silent = False
        self.arrived: queue.Queue = queue.Queue()
        self.shell: t.Optional[Shell] = None
        self.sockets_served: t.Optional[bool] = None
        self.warnings: t.List[str] = []
        self.here = connection.getpeername()[0]
        version = re.search(r"OpenSSH_(?:for_Windows_)?([0-9]{1,3})\.([0-9]{1,3})", connection.remote_version or "")
        # From 7.8 on a refusal by policy never comes without a debug message.
        self.tells = version is not None and (int(version.group(1)), int(version.group(2))) >= (7, 8)

    def ask(self, request: Request) -> _Finding:
        """The finding."""
        way = {("remote", False): self._remote_port, ("remote", True): self._remote_socket,
               ("local", False): self._local_port, ("local", True): self._local_socket}[request.kind, request.socket is not None]
        self.silent = False
        try:
            if not self.connection.is_active():
                raise _Lost("the connection is gone")
            return way(request)
        except (_Lost, paramiko.SSHException, EOFError, OSError) as error:
            if self.silent:
                return _finding("failed", "no answer within {0} s".format(self.timeout))
            if self.connection.is_active():
                return _finding("failed", one_line(str(error)))
            return _finding("failed", "the connection is gone" if isinstance(error, _Lost) else "the connection broke: " + one_line(str(error)))

    # --- the protocol ---

    @contextlib.contextmanager
    def _in_time(self) -> t.Iterator[None]:
        """A request has no other way of being given up than the end of its connection."""
        timer = threading.Timer(self.timeout, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if not self.connection.is_active():
            raise _Lost("the connection is gone")

    def _give_up(self) -> None:
        self.silent = True
        self.connection.close()

    def _granted(self, bind: str, port: int) -> t.Tuple[t.Optional[int], str]:
        """The port that listens, or None; and sshd's own words."""
        mark = len(self.ear.heard)
        port_or_none = None
        with self._in_time():
            try:
                port_or_none = self.connection.request_port_forward(
                    "" if bind == "*" else bind, port, lambda channel, _origin, server: self.arrived.put((channel, server)))
            except paramiko.SSHException:
                pass
        return port_or_none, self._words(mark)

    def _cancel(self, bind: str, port: int) -> None:
        with self._in_time():
            self.connection.cancel_port_forward("" if bind == "*" else bind, port)
        while not self.arrived.empty():
            self.arrived.get()[0].close()

    def _global(self, kind: str, path: str) -> t.Tuple[bool, str]:
        mark = len(self.ear.heard)
        with self._in_time():
            answer = self.connection.global_request(kind, (path,), wait=True)
        return answer is not None, self._words(mark)

    def _words(self, mark: int) -> str:
        """What sshd said in debug messages since the mark, by which it means a refusal."""
        found = [re.match(r"Debug msg: (?:b(['\"]))?(.*?)(?(1)\1)\Z", line, re.DOTALL) for line in self.ear.heard[mark:]]
        words = one_line("; ".join(one.group(2) for one in found if one and not _OVERRIDDEN.search(one.group(2))))
        self.tells = self.tells or bool(words)
        return words

    def _dial(self, opening: t.Callable[[float], "paramiko.Channel"]) -> _Dialled:
        """What came of opening a channel."""
        mark = len(self.ear.heard)
        try:
            return opening(self.timeout), 0, ""
        except paramiko.ChannelException as error:
            said = [re.match(r"Secsh channel \d+ open FAILED: (.*): .*?\Z", line, re.DOTALL) for line in self.ear.heard[mark:]]
            return None, error.code, one_line("; ".join(one.group(1) for one in said if one))
        except paramiko.SSHException:
            if not self.connection.is_active():
                raise
            return None, None, ""

    def _dial_port(self, address: str, port: int) -> _Dialled:
        return self._dial(lambda seconds: self.connection.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds))

    def _dial_socket(self, path: str) -> _Dialled:
        return self._dial(lambda seconds: self.connection.open_socket_channel(path, seconds))

    # --- commands over there ---

    def _script(self, text: str) -> t.Optional[str]:
        """What a shell over there prints, or None where no command may be run."""
        if self.shell is None:
            self.shell = Shell(self.connection, self.timeout)
            self.shell.start(self._in_time)
        return self.shell.run(text)

    def _listeners(self) -> t.Optional[t.List[endpoints.Listener]]:
        """list[Listener] over there, or None where they cannot be seen."""
        text = self._script("cat /proc/net/tcp; cat /proc/net/tcp6")
        return None if text is None or "local_address" not in text else endpoints.parse(text) + endpoints.parse6(text)

    # --- remote forwards ---

    def _remote_port(self, request: Request) -> _Finding:
        before = self._listeners()
        mark = len(self.ear.heard)
        port, words = self._granted(request.address, request.port)
        if port is None:
            return self._not_granted(request, words, before)
        if port == 0:
            return _finding("failed", "sshd granted it and named no port")
        try:
            after = self._listeners()
            if before is None or after is None:
                overridden = any(_OVERRIDDEN.search(line) for line in self.ear.heard[mark:])
                return self._by_dialling(request.address, port, overridden)
            others = {one.address for one in before if one.port == port}
            mine = [one.address for one in after if one.port == port and one.address not in others]
            as_asked, why = judge(request.address, port, mine, others)
            listens_on = [endpoint(address, port) for address in mine]
            target = self._target(request.address, mine)
            reached = {"us": True, "other": False, "nobody": False}.get(self._who(target, port)) if target else None
            if as_asked and reached is False:
                why = "a dial of {0} does not come here".format(endpoint(target, port))
            return _finding("allowed", why, listens_on, as_asked, reached)
        finally:
            if self.connection.is_active():
                self._cancel(request.address, port)

    @staticmethod
    def _target(bind: str, mine: t.List[str]) -> t.Optional[str]:
        """The address to dial: the one asked for, or one that the listener covers."""
        if bind in mine and bind not in _EVERYWHERE:
            return bind
        for address in sorted(mine, key=lambda one: ":" in one):
            return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
        return None

    def _not_granted(self, request: Request, words: str, before: t.Optional[t.List[endpoints.Listener]]) -> _Finding:
        bind, port = request.address, request.port
        if words:
            return _finding("refused", "sshd: " + words)
        place = "sshd's policy allows it, and sshd cannot listen there: "
        if port == 0:
            if self.tells:
                return _finding("failed", place + "{0} is no address of that host".format(bind))
            return _finding("refused", "without a reason")
        taken = self._taken(bind, port, before)
        other_port, other_words = self._granted(bind, 0)
        if other_port:
            self._cancel(bind, other_port)
        if taken and (other_port or self.tells):
            return _finding("failed", "port taken: {0} listens there already".format(taken))
        if taken:
            return _finding("refused", "without a reason, another port as well; besides, {0} listens there already".format(taken))
        if self.tells and port < 1024:
            return _finding("refused", "a port below 1024 is for root alone")
        if self.tells and not other_port and not other_words:
            return _finding("failed", place + "{0} is no address of that host".format(bind))
        if self.tells:
            return _finding("failed", place + "the port is in use out of sight, or {0} is no address of that host".format(bind))
        return _finding("refused", "this port without a reason, while another is granted: by policy, or it is in use" if other_port
                        else "without a reason, another port as well")

    def _taken(self, bind: str, port: int, listeners: t.Optional[t.List[endpoints.Listener]]) -> str:
        """The listener that is in the way, as text; empty where none is seen."""
        if listeners is None:
            for address in _LOOPBACK[:1] if bind in ("*", "localhost") + _EVERYWHERE else (bind,):
                channel = self._dial_port(address, port)[0]
                if channel is not None:
                    channel.close()
                    return endpoint(address, port)
            return ""
        wanted = _wanted(bind) or {bind}
        for one in listeners:
            family = [address for address in wanted if (":" in address) == (":" in one.address)]
            if one.port == port and family and (one.address in wanted or one.address in _EVERYWHERE or set(family) & set(_EVERYWHERE)):
                return endpoint(one.address, port)
        return ""

    def _who(self, address: str, port: int) -> str:
        """Who is there when sshd dials its own host: ``us``, ``other``, ``nobody`` or ``unknown``."""
        channel, code, words = self._dial_port(address, port)
        if channel is None:
            return "nobody" if code == _CONNECT_FAILED and not _NO_WAY.search(words) else "unknown"
        word = os.urandom(16)
        end = time.monotonic() + min(self.timeout, 5.0)
        try:
            channel.settimeout(self.timeout)
            channel.sendall(word)
            while True:
                try:
                    back = self.arrived.get(timeout=max(0.0, end - time.monotonic()))[0]
                except queue.Empty:
                    return "other"
                try:
                    back.settimeout(max(0.1, end - time.monotonic()))
                    if _read(back, len(word)) == word:
                        return "us"
                finally:
                    back.close()
        except OSError:
            return "other"
        finally:
            channel.close()

    def _by_dialling(self, bind: str, port: int, overridden: bool) -> _Finding:
        """Where no command may be run, sshd's own dials tell where the listener stands."""
        everywhere = {"*": _LOOPBACK[:1], "0.0.0.0": _LOOPBACK[:1], "::": _LOOPBACK[1:]}.get(bind)
        if everywhere:
            outward = (self.here,) if bind == "*" or (":" in self.here) == (":" in bind) else ()
            asked, beyond = everywhere + outward, tuple(one for one in _LOOPBACK if bind != "*" and one not in everywhere)
        else:
            asked = _LOOPBACK if bind == "localhost" else (bind,)
            # An sshd that tells says so by itself where it opens more than was asked for.
            beyond = () if self.tells else ("127.0.0.1", self.here)
        seen = collections.OrderedDict((address, "") for address in asked + beyond)
        for address in seen:
            seen[address] = self._who(address, port)
        ours = [address for address in seen if seen[address] == "us"]
        finding = _finding("allowed", listens_on=[endpoint(address, port) for address in ours],
                           reached=True if ours else None if "unknown" in seen.values() else False)
        unknown = "where it listens is unknown: no command may be run there, and sshd's own dials do not tell"
        if overridden:
            return dict(finding, as_asked=False, why=_PUBLIC)
        if [address for address in ours if address not in asked]:
            return dict(finding, as_asked=False, why="it listens on more than that, or elsewhere")
        if everywhere:
            outside = not _is_loopback(self.here) and seen.get(self.here) == "us" and "unknown" not in [seen[address] for address in beyond]
            return dict(finding, as_asked=True if outside else None, why="" if outside else unknown)
        if "other" in [seen[address] for address in asked]:
            return dict(finding, as_asked=False, why="somebody else listens there as well")
        if seen[asked[0]] == "nobody":
            return dict(finding, as_asked=False, why="a dial of {0} finds nobody".format(endpoint(asked[0], port)))
        if "unknown" in [seen[address] for address in asked[:1] + beyond]:
            return dict(finding, why=unknown)
        return dict(finding, as_asked=True)

    def _remote_socket(self, request: Request) -> _Finding:
        path = request.socket
        quoted = shlex.quote(path)
        state = self._script("if [ -e {0} ] || [ -h {0} ]; then echo there; elif [ -w {1} ]; then echo free; else echo barred; fi".format(
            quoted, shlex.quote(os.path.dirname(path))))
        if state is None:
            channel, _code, _said = self._dial_socket(path)
            if channel is not None:
                channel.close()
                state = "there"
        if state is not None and state.strip() == "there":
            # With StreamLocalBindUnlink sshd would take its place.
            return _finding("failed", "path taken: there is something already, and it was left alone")
        granted, words = self._global("streamlocal-forward@openssh.com", path)
        if not granted:
            if words:
                return _finding("refused", "sshd: " + words)
            if self.tells:
                why = "its directory is not there, or may not be written" if state is not None and state.strip() == "barred" else (
                    "a file is there, or its directory is not there, or may not be written")
                return _finding("failed", "sshd's policy allows it, and sshd cannot make the socket: " + why)
            return _finding("refused", "without a reason")
        try:
            stands = None if state is None else self._script("if [ -S {0} ]; then echo there; fi".format(quoted))
            as_asked = None if stands is None else stands.strip() == "there"
            reached = self._socket_comes_back(path)
            as_asked = True if reached else as_asked
            why = {True: "", False: "no socket is there", None: "where it listens is unknown: no command may be run there"}[as_asked]
        finally:
            if self.connection.is_active():
                self._global("cancel-streamlocal-forward@openssh.com", path)
                if state is None or self._script("if [ -S {0} ]; then rm -f -- {0}; fi; if [ -h {0} ] || [ -e {0} ]; then echo there; fi".format(
                        quoted)) != "":
                    self.warnings.append("the socket {0} is left behind: sshd does not remove it, and no command may be run there".format(path))
        return _finding("allowed", why, [path] if as_asked else [], as_asked, reached)

    def _socket_comes_back(self, path: str) -> t.Optional[bool]:
        mark = len(self.ear.heard)
        channel, _code, _said = self._dial_socket(path)
        if channel is None:
            return None
        try:
            # paramiko declines the channel by which it comes back, and says so in its log.
            return self.ear.hears("forwarded-streamlocal@openssh.com", mark, min(self.timeout, 5.0)) or None
        finally:
            channel.close()

    # --- local forwards ---

    def _local_port(self, request: Request) -> _Finding:
        channel, code, words = self._dial_port(request.address, request.port)
        if code != _CONNECT_FAILED:
            return self._dialled(channel, code, words)
        if _NO_WAY.search(words):
            return _finding("failed", "sshd's policy allows it, and sshd cannot dial it: " + words)
        return _finding("allowed", "nothing listens there" + _in_brackets(words), reached=False)

    def _local_socket(self, request: Request) -> _Finding:
        channel, code, words = self._dial_socket(request.socket)
        if code != _CONNECT_FAILED:
            return self._dialled(channel, code, words)
        served = False if self._is_served(request.socket) else self._dials_sockets()
        if served:
            return _finding("allowed", "nothing listens there, or not for this user", reached=False)
        if served is False:
            return _finding("refused", "a socket that is served cannot be dialled")
        return _finding("failed", "sshd gives no reason: its policy, or nothing listens there")

    def _dialled(self, channel: t.Optional["paramiko.Channel"], code: t.Optional[int], words: str) -> _Finding:
        if channel is not None:
            channel.close()
            return _finding("allowed", reached=True)
        if code is None:
            return _finding("failed", "no answer within {0} s: something on the way there drops it".format(self.timeout))
        if code == _PROHIBITED:
            return _finding("refused", "sshd: administratively prohibited" + _in_brackets(words))
        return _finding("failed", words or "sshd answered with code {0}".format(code))

    def _is_served(self, path: str) -> bool:
        """Whether somebody surely listens on a socket over there, and this user may dial it."""
        text = self._script("if [ -S {0} ] && [ -w {0} ]; then cat /proc/net/unix; fi".format(shlex.quote(path)))
        rows = [line.split(None, 7) for line in (text or "").splitlines()]
        return any(len(row) == 8 and row[7] == path and row[3] == "00010000" and row[4] == "0001" for row in rows)

    def _dials_sockets(self) -> t.Optional[bool]:
        """Whether sshd dials sockets for this user at all; None where that cannot be told."""
        if self.sockets_served is None:
            for path in _SERVED:
                channel, _code, _said = self._dial_socket(path)
                if channel is not None:
                    channel.close()
                    self.sockets_served = True
                    break
                if self._is_served(path):
                    self.sockets_served = False
        return self.sockets_served


# --- where a listener stands ---

def judge(bind: str, port: int, mine: t.List[str], others: t.Set[str]) -> t.Tuple[t.Optional[bool], str]:
    """Whether a listener stands where it was asked for.

    Args:
        bind: what was asked for: an address, ``localhost``, ``*`` or a name.
        port: the port that sshd named.
        mine: addresses that listen on that port since.
        others: addresses on which somebody else listens on that port.
    Returns:
        Whether it does, None where only sshd can know; and why it does not.
    """
    if not mine:
        return False, "nothing listens on port {0}".format(port)
    wanted = _wanted(bind)
    loopback, everywhere = all(_is_loopback(one) for one in mine), any(one in _EVERYWHERE for one in mine)
    if wanted is None and not loopback and not everywhere:
        return None, "{0} is a name: only sshd knows its addresses".format(bind)
    reasons = []
    if wanted is None or set(mine) - wanted:
        reasons.append(_PUBLIC if everywhere else "sshd puts it on loopback (GatewayPorts no)" if loopback else "sshd puts it elsewhere")
    for family, name in ((False, "IPv4"), (True, "IPv6")):
        if not [one for one in mine if (":" in one) == family] and [one for one in wanted or _EVERYWHERE if (":" in one) == family]:
            there = sorted(one for one in others if (":" in one) == family)
            if there:
                reasons.append("not over {0}: somebody else listens on {1}".format(name, " ".join(endpoint(one, port) for one in there)))
            elif name == "IPv4" and not reasons:
                reasons.append("not over IPv4")
    return not reasons, "; ".join(reasons)


def _wanted(bind: str) -> t.Optional[t.Set[str]]:
    """The addresses that a bind address stands for; None for a name."""
    known = {"localhost": set(_LOOPBACK), "*": set(_EVERYWHERE)}
    return known.get(bind) or ({bind} if ip(bind) else None)


def _is_loopback(address: str) -> bool:
    known = ip(address)
    return known is not None and known.is_loopback


def _in_brackets(words: str) -> str:
    return " ({0})".format(words) if words and words.lower() != "open failed" else ""


def _read(channel: "paramiko.Channel", count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        if not more:
            break
        data += more
    return data
