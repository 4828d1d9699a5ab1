# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login by paramiko, with a check of the host key; every error has three lines.

~/.ssh/config is not read. Sources: sshd(8) (SSH_KNOWN_HOSTS FILE FORMAT), ssh(1), paramiko 2.4 to 5.
"""

import base64
import hashlib
import logging
import os
import re
import socket
import subprocess
import threading
import traceback
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line

try:
    import paramiko
    from paramiko import Transport
except ImportError:
    paramiko, Transport = None, object
    #: The traceback of the failed import of paramiko, or None.
    MISSING = traceback.format_exc()
else:
    MISSING = None

#: Private keys that are tried if the user names none, as ssh does.
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_KEY_CLASSES = ("Ed25519Key", "ECDSAKey", "RSAKey")
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
# Marker (``@revoked``, ``@cert-authority`` or empty), type, key in base64, ``file:line``.
_Entry = t.Tuple[str, str, str, str]


class Login(t.NamedTuple):
    """Where and how to log in. known_hosts are files; timeout is in seconds, for each answer."""

    host: str
    port: int
    user: str
    password: t.Optional[str]
    private_key: t.Optional[str]
    passphrase: t.Optional[str]
    agent: bool
    answers: t.List[str]
    known_hosts: t.List[str]
    host_key_checking: bool
    timeout: int


class _Method(t.NamedTuple):
    """A way to log in; attempt() returns the methods that the server requires next."""

    name: str
    label: str
    attempt: t.Callable[[], t.List[str]]


class LogCollector(logging.Handler):
    """Collects what paramiko only logs: SSH_MSG_DEBUG of a server, its message for a refused channel, kinds of channels that paramiko declined."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: t.List[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.messages.append(record.getMessage())
            self._changed.notify_all()

    def wait_for(self, text: str, start: int, seconds: float) -> bool:
        """Whether one of the messages from number ``start`` on contains the text; waits for it for some seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: any(text in message for message in self.messages[start:]), seconds)


class Connection(Transport):
    """paramiko's transport, extended by channels to unix sockets (OpenSSH's PROTOCOL, section 2.4)."""

    _path = None

    def open_socket_channel(self, path: str, timeout: float) -> "paramiko.Channel":
        """Opens a channel to a unix socket of the server; raises the errors of open_channel()."""
        self._path = path
        return self.open_channel("direct-streamlocal@openssh.com", timeout=timeout)

    def _send_user_message(self, data: "paramiko.Message") -> None:
        # open_channel() cannot add the fields of this kind of channel.
        if self._path is not None and b"direct-streamlocal@openssh.com" in data.asbytes():
            path, self._path = self._path, None
            data.add_string(path)
            data.add_string("")
            data.add_int(0)
        super()._send_user_message(data)


def connect(login: Login) -> t.Tuple[Connection, LogCollector]:
    """Logs in.

    Args:
        login: where and how.
    Returns:
        The authenticated connection, which the caller closes, and the collector of its log messages.
    Raises:
        SessionError: the server cannot be reached, its host key is not trusted, or it refuses the login.
    """
    entries = _entries(login.known_hosts, login.host, login.port) if login.host_key_checking else []
    try:
        sock = socket.create_connection((login.host, login.port), login.timeout)
    except (OSError, UnicodeError) as error:
        raise _unreachable(login, *_cause(error))
    connection, log = None, LogCollector()
    try:
        connection = Connection(sock)
        _collect_log(connection, log)
        connection.banner_timeout = connection.handshake_timeout = connection.auth_timeout = login.timeout
        _prefer_known_keys(connection, entries)
        key = _handshake(connection, login, log)
        if login.host_key_checking:
            _check_host_key(key, entries, login)
        _authenticate(connection, login, log)
    except BaseException:
        if connection is not None:
            connection.close()
        # Transport.close() does not close the socket if the connection was never established.
        sock.close()
        raise
    return connection, log


def _collect_log(connection: Connection, log: LogCollector) -> None:
    name = "{0}.{1}".format(__name__, id(log))
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(log)
    connection.set_log_channel(name)


# --- the connection ---

def _cause(error: t.Union[OSError, UnicodeError]) -> t.Tuple[str, str]:
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "no such name", "check host"
    if isinstance(error, socket.timeout):
        return "no answer", "check the network, the VPN and the firewall between here and there"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there", "check host and port, and that sshd runs there"
    return one_line(error.strerror or str(error)), "check the network, the VPN and the firewall between here and there"


def _unreachable(login: Login, why: str, way_out: str) -> SessionError:
    return SessionError("cannot reach {0}, port {1}".format(login.host, login.port), why, way_out)


def _handshake(connection: Connection, login: Login, log: LogCollector) -> "paramiko.PKey":
    try:
        connection.start_client(timeout=login.timeout)
        # A timeout of start_client() raises an error only here.
        return connection.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError) as error:
        version = connection.remote_version or ""
        if not version:
            raise _unreachable(login, "it accepts connections but does not answer as an ssh server ({0})".format(_reason(error, log)),
                               "check port; an overloaded server, or one that blocks this address, looks the same")
        raise _unreachable(login, "the ssh handshake with {0} failed: {1}".format(one_line(version, 80), _reason(error, log)),
                           "try an older or a newer paramiko, which may support other algorithms")


def _reason(error: t.Union[Exception, str], log: LogCollector) -> str:
    # If the server gave a reason when it closed the connection, paramiko has logged it.
    for line in reversed(log.messages):
        found = re.match(r"Disconnect \(code \d+\): (.*)", line, re.DOTALL)
        if found:
            return one_line(found.group(1))
    return one_line(str(error)) or "the server closed the connection"


# --- host keys ---

def _entries(paths: t.List[str], host: str, port: int) -> t.List[_Entry]:
    """The entries of known_hosts files for a host."""
    found = [entry for path in paths for entry in _entries_of(path, host.lower() if port == 22 else "[{0}]:{1}".format(host.lower(), port))]
    # As ssh does: without an entry for this port, the entries for port 22 count.
    return found if found or port == 22 else _entries(paths, host, 22)


def _entries_of(path: str, name: str) -> t.Iterator[_Entry]:
    # ssh-keygen reads hashed names, patterns and markers as ssh does.
    try:
        done = subprocess.run(["ssh-keygen", "-F", name, "-f", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise SessionError("cannot look up {0} in {1}".format(name, path), "ssh-keygen: {0}".format(error.strerror), "install OpenSSH's client")
    where = ""
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        header = re.match(r"# Host .* found: line (\d+)", line)
        fields = line.split()
        if header:
            where = "{0}:{1}".format(path, header.group(1))
        elif where and fields:
            marker = fields.pop(0) if fields[0].startswith("@") else ""
            if len(fields) >= 3:
                yield marker, fields[1], fields[2], where


def _prefer_known_keys(connection: Connection, entries: t.List[_Entry]) -> None:
    """Asks a server with several host keys for one that is in known_hosts."""
    options = connection.get_security_options()
    kinds = {kind for marker, kind, _key, _where in entries if not marker}
    if "ssh-rsa" in kinds:
        kinds.update(_RSA)
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in kinds)


def _check_host_key(key: "paramiko.PKey", entries: t.List[_Entry], login: Login) -> None:
    kind, text = key.get_name(), key.get_base64()
    shown = "{0} SHA256:{1}".format(kind, base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("="))
    what = "cannot trust {0}, port {1}".format(login.host, login.port)
    revoked = [where for marker, _kind, other, where in entries if marker == "@revoked" and other == text]
    if revoked:
        raise SessionError(what, "its host key is revoked ({0}; {1})".format(shown, revoked[0]), "ask the site what happened")
    own = [(other, where) for marker, its_kind, other, where in entries if not marker and its_kind == kind]
    if any(other == text for other, _where in own):
        return
    if own:
        raise SessionError(what, "its host key is not the known one ({0}; {1} has another)".format(shown, own[0][1]),
                           "ask the site whether the key was changed; if it was, remove the old one: ssh-keygen -R {0}".format(_bracketed(login)))
    why = "its host key is not known here ({0}; it is not in {1})".format(shown, " nor in ".join(login.known_hosts) or "any file")
    if any(marker == "@cert-authority" for marker, _kind, _key, _where in entries):
        why += "; a certificate authority for it is known, but paramiko does not support host certificates"
    raise SessionError(what, why, "log in once by hand (ssh -p {0} {1}), compare the fingerprint with the site's, and answer yes; or set another file "
                       "in known_hosts".format(login.port, login.host))


def _bracketed(login: Login) -> str:
    return login.host if login.port == 22 else "'[{0}]:{1}'".format(login.host, login.port)


# --- authentication ---

def _authenticate(connection: Connection, login: Login, log: LogCollector) -> None:
    tried: t.List[str] = []
    methods: t.List[_Method] = []
    agent = None
    try:
        allowed = _none(connection, login)
        if not connection.is_authenticated():
            agent, keys = _agent_keys() if login.agent else (None, [])
            methods = _methods(connection, login, keys)
        while not connection.is_authenticated():
            method = next((candidate for candidate in methods if candidate.name in allowed), None)
            if method is None:
                raise _refused(login, "the server accepts none of the methods that were tried", tried, allowed)
            methods.remove(method)
            tried.append(method.label)
            try:
                allowed = method.attempt() or allowed
            except paramiko.BadAuthenticationType as error:
                allowed = error.allowed_types
            except paramiko.AuthenticationException as error:
                if "timeout" in str(error).lower():
                    raise _refused(login, "no answer within {0} s".format(login.timeout), tried, allowed)
                if method.name == "password" and not login.answers:
                    # A second try of the same password would count as another failed login of the account.
                    methods = [other for other in methods if other.name != "keyboard-interactive"]
            if not connection.is_active():
                raise _refused(login, _reason("", log), tried, allowed)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _refused(login, _reason(error, log), tried, [])
    finally:
        if agent is not None:
            agent.close()


def _refused(login: Login, why: str, tried: t.List[str], allowed: t.List[str]) -> SessionError:
    details = ["tried: " + (", ".join(tried) or "nothing")]
    if allowed:
        details.append("the server accepts: " + one_line(", ".join(allowed)))
    return SessionError("{0} refuses the login of {1}".format(login.host, login.user), "{0} ({1})".format(why, "; ".join(details)),
                        "try to log in by hand: ssh -p {0} -l {1} {2}; set private_key, or password, or load the key with ssh-add".format(
                            login.port, login.user, login.host))


def _none(connection: Connection, login: Login) -> t.List[str]:
    try:
        connection.auth_none(login.user)
    except paramiko.BadAuthenticationType as error:
        return error.allowed_types
    return []


def _methods(connection: Connection, login: Login, agent_keys: t.List["paramiko.PKey"]) -> t.List[_Method]:
    """The methods to try, those that the user names first, since servers allow few attempts."""
    methods: t.List[_Method] = []

    def add_key(label: str, loaded: "paramiko.PKey") -> None:
        methods.append(_Method("publickey", label, lambda: connection.auth_publickey(login.user, loaded)))

    if login.private_key:
        add_key("key " + login.private_key, _load(login.private_key, login.passphrase))
    interactive = _Method("keyboard-interactive", "keyboard-interactive",
                          lambda: connection.auth_interactive(login.user, _responder(login)))
    password = _Method("password", "password", lambda: connection.auth_password(login.user, login.password, fallback=False))
    if login.answers:
        methods.append(interactive)
    if login.password:
        methods.append(password)
        if not login.answers:
            methods.append(interactive)
    for one in agent_keys:
        add_key("a key of the agent", one)
    if not login.private_key:
        for path in map(os.path.expanduser, _DEFAULT_KEYS):
            try:
                add_key("key " + path, _load(path, login.passphrase))
            except SessionError:
                pass
    return methods


def _responder(login: Login) -> t.Callable[..., t.List[str]]:
    answers = list(login.answers)

    def answer(_title: str, _instructions: str, prompts: t.List[t.Tuple[str, bool]]) -> t.List[str]:
        return [(answers.pop(0) if answers else "") or login.password for _prompt in prompts]

    return answer


def _agent_keys() -> t.Tuple[t.Optional["paramiko.Agent"], t.List["paramiko.PKey"]]:
    try:
        agent = paramiko.Agent()
        return agent, list(agent.get_keys())
    except (paramiko.SSHException, OSError):
        return None, []


def _load(path: str, passphrase: t.Optional[str]) -> "paramiko.PKey":
    what = "cannot read the key {0}".format(path)
    try:
        with open(path, "rb") as stream:
            stream.read(1)
    except OSError as error:
        raise SessionError(what, error.strerror, "check private_key")
    for name in _KEY_CLASSES:
        try:
            return getattr(paramiko, name).from_private_key_file(path, passphrase or None)
        except paramiko.PasswordRequiredException:
            raise SessionError(what, "it needs a passphrase", "set passphrase; or load it with ssh-add and leave private_key out")
        except Exception:  # pylint: disable=broad-except
            # paramiko and its libraries raise many kinds of errors for a key of another kind.
            continue
    if passphrase:
        raise SessionError(what, "the passphrase is wrong, or it is no private key that paramiko can read", "check passphrase and private_key")
    raise SessionError(what, "it is no private key that paramiko can read", "check private_key: Ed25519, ECDSA and RSA are supported")
