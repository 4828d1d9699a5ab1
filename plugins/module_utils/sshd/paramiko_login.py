# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login by paramiko: the host key is known, the user is who he says, and an error is three lines.

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
    #: Why paramiko is not there, or None.
    MISSING = traceback.format_exc()
else:
    MISSING = None

#: Files of private keys that are tried where none is named, as ssh does.
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_KEY_CLASSES = ("Ed25519Key", "ECDSAKey", "RSAKey")
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
# Marker (``@revoked``, ``@cert-authority`` or empty), type, key in base64, ``file:line``.
_Entry = t.Tuple[str, str, str, str]


class Login(t.NamedTuple):
    """Whom to call and how: known_hosts are files, timeout is in seconds for each answer."""

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


class _Way(t.NamedTuple):
    """A way to log in; attempt returns the methods that the server goes on with."""

    method: str
    label: str
    attempt: t.Callable[[], t.List[str]]


class Ear(logging.Handler):
    """What paramiko only logs: a server's SSH_MSG_DEBUG, its words at a refused channel, kinds of channels that were declined."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: t.List[str] = []
        self._news = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._news:
            self.heard.append(record.getMessage())
            self._news.notify_all()

    def hears(self, words: str, mark: int, seconds: float) -> bool:
        """Whether a line beyond the first ``mark`` holds the words, or does so within some seconds."""
        with self._news:
            return self._news.wait_for(lambda: any(words in line for line in self.heard[mark:]), seconds)


class Connection(Transport):
    """paramiko's transport, which here also opens channels to unix sockets (OpenSSH's PROTOCOL, section 2.4)."""

    _path = None

    def open_socket_channel(self, path: str, timeout: float) -> "paramiko.Channel":
        """Channel to a unix socket on the server's side; errors as those of open_channel()."""
        self._path = path
        return self.open_channel("direct-streamlocal@openssh.com", timeout=timeout)

    def _send_user_message(self, data: "paramiko.Message") -> None:
        # open_channel() has no fields for kinds that it does not know.
        if self._path is not None and b"direct-streamlocal@openssh.com" in data.asbytes():
            path, self._path = self._path, None
            data.add_string(path)
            data.add_string("")
            data.add_int(0)
        super()._send_user_message(data)


def connect(login: Login) -> t.Tuple[Connection, Ear]:
    """Logs in.

    Args:
        login: whom to call and how.
    Returns:
        The authenticated connection, which the caller closes, and what it hears.
    Raises:
        SessionError: not reached, not trusted, or refused.
    """
    known = _entries(login.known_hosts, login.host, login.port) if login.host_key_checking else []
    try:
        sock = socket.create_connection((login.host, login.port), login.timeout)
    except (OSError, UnicodeError) as error:
        raise _unreachable(login, *_cause(error))
    connection, ear = None, Ear()
    try:
        connection = Connection(sock)
        _listen(connection, ear)
        connection.banner_timeout = connection.handshake_timeout = connection.auth_timeout = login.timeout
        _prefer(connection, known)
        key = _greet(connection, login, ear)
        if login.host_key_checking:
            _trust(key, known, login)
        _authenticate(connection, login, ear)
    except BaseException:
        if connection is not None:
            connection.close()
        # close() leaves it open where the connection never came about.
        sock.close()
        raise
    return connection, ear


def _listen(connection: Connection, ear: Ear) -> None:
    name = "{0}.{1}".format(__name__, id(ear))
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(ear)
    connection.set_log_channel(name)


# --- reaching it ---

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


def _greet(connection: Connection, login: Login, ear: Ear) -> "paramiko.PKey":
    try:
        connection.start_client(timeout=login.timeout)
        # Time that ran out shows here alone.
        return connection.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError) as error:
        spoke = connection.remote_version or ""
        if not spoke:
            raise _unreachable(login, "it takes connections and does not answer as an ssh server ({0})".format(_said(error, ear)),
                               "check port; a server that is overloaded, or that bars this address, looks the same")
        raise _unreachable(login, "no agreement with {0} on how to talk: {1}".format(one_line(spoke, 80), _said(error, ear)),
                           "an older or newer paramiko may speak what this server speaks")


def _said(error: t.Union[Exception, str], ear: Ear) -> str:
    # Where the other side hung up with a reason, paramiko has logged it.
    for line in reversed(ear.heard):
        found = re.match(r"Disconnect \(code \d+\): (.*)", line, re.DOTALL)
        if found:
            return one_line(found.group(1))
    return one_line(str(error)) or "the other side hung up"


# --- host keys ---

def _entries(paths: t.List[str], host: str, port: int) -> t.List[_Entry]:
    """Lines of known_hosts files that are about a host."""
    found = [entry for path in paths for entry in _entries_of(path, host.lower() if port == 22 else "[{0}]:{1}".format(host.lower(), port))]
    # ssh, too, falls back on what is known of the host's usual port.
    return found if found or port == 22 else _entries(paths, host, 22)


def _entries_of(path: str, name: str) -> t.Iterator[_Entry]:
    # OpenSSH's own reading of hashed names, patterns and marks.
    try:
        done = subprocess.run(["ssh-keygen", "-F", name, "-f", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise SessionError("cannot look up {0} in {1}".format(name, path), "ssh-keygen: {0}".format(error.strerror), "install OpenSSH's client")
    where = ""
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        told = re.match(r"# Host .* found: line (\d+)", line)
        fields = line.split()
        if told:
            where = "{0}:{1}".format(path, told.group(1))
        elif where and fields:
            marker = fields.pop(0) if fields[0].startswith("@") else ""
            if len(fields) >= 3:
                yield marker, fields[1], fields[2], where


def _prefer(connection: Connection, known: t.List[_Entry]) -> None:
    """A server with several keys shall show one that is known."""
    options = connection.get_security_options()
    kinds = {kind for marker, kind, _key, _where in known if not marker}
    if "ssh-rsa" in kinds:
        kinds.update(_RSA)
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in kinds)


def _trust(key: "paramiko.PKey", known: t.List[_Entry], login: Login) -> None:
    kind, text = key.get_name(), key.get_base64()
    shown = "{0} SHA256:{1}".format(kind, base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("="))
    what = "cannot trust {0}, port {1}".format(login.host, login.port)
    revoked = [where for marker, _kind, other, where in known if marker == "@revoked" and other == text]
    if revoked:
        raise SessionError(what, "its host key is revoked ({0}; {1})".format(shown, revoked[0]), "ask the site for what has happened")
    own = [(other, where) for marker, its_kind, other, where in known if not marker and its_kind == kind]
    if any(other == text for other, _where in own):
        return
    if own:
        raise SessionError(what, "its host key is not the one that is known here ({0}; {1} has another)".format(shown, own[0][1]),
                           "find out from the site whether the key was changed, then remove the old one: ssh-keygen -R {0}".format(_bracketed(login)))
    why = "its host key is not known here ({0}; it is not in {1})".format(shown, " nor in ".join(login.known_hosts) or "any file")
    if any(marker == "@cert-authority" for marker, _kind, _key, _where in known):
        why += "; an authority that signs its keys is known, but paramiko does not read host certificates"
    raise SessionError(what, why, "log in once by hand (ssh -p {0} {1}), compare the fingerprint with the site's, and answer yes; or name another file "
                       "in known_hosts".format(login.port, login.host))


def _bracketed(login: Login) -> str:
    return login.host if login.port == 22 else "'[{0}]:{1}'".format(login.host, login.port)


# --- authentication ---

def _authenticate(connection: Connection, login: Login, ear: Ear) -> None:
    tried: t.List[str] = []
    ways: t.List[_Way] = []
    agent = None
    try:
        allowed = _none(connection, login)
        if not connection.is_authenticated():
            agent, keys = _agent_keys() if login.agent else (None, [])
            ways = _ways(connection, login, keys)
        while not connection.is_authenticated():
            way = next((one for one in ways if one.method in allowed), None)
            if way is None:
                raise _refused(login, "no way that was tried is accepted", tried, allowed)
            ways.remove(way)
            tried.append(way.label)
            try:
                allowed = way.attempt() or allowed
            except paramiko.BadAuthenticationType as error:
                allowed = error.allowed_types
            except paramiko.AuthenticationException as error:
                if "timeout" in str(error).lower():
                    raise _refused(login, "no answer within {0} s".format(login.timeout), tried, allowed)
                if way.method == "password" and not login.answers:
                    # The same password once more is a failure more on the account.
                    ways = [one for one in ways if one.method != "keyboard-interactive"]
            if not connection.is_active():
                raise _refused(login, _said("", ear), tried, allowed)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _refused(login, _said(error, ear), tried, [])
    finally:
        if agent is not None:
            agent.close()


def _refused(login: Login, why: str, tried: t.List[str], allowed: t.List[str]) -> SessionError:
    details = ["tried: " + (", ".join(tried) or "nothing")]
    if allowed:
        details.append("the server takes: " + one_line(", ".join(allowed)))
    return SessionError("{0} refuses the login of {1}".format(login.host, login.user), "{0} ({1})".format(why, "; ".join(details)),
                        "try it by hand: ssh -p {0} -l {1} {2}; set private_key, or password, or load the key with ssh-add".format(
                            login.port, login.user, login.host))


def _none(connection: Connection, login: Login) -> t.List[str]:
    try:
        connection.auth_none(login.user)
    except paramiko.BadAuthenticationType as error:
        return error.allowed_types
    return []


def _ways(connection: Connection, login: Login, agent_keys: t.List["paramiko.PKey"]) -> t.List[_Way]:
    """What is tried, what was named explicitly first: servers do not listen for long."""
    ways: t.List[_Way] = []

    def key(label: str, loaded: "paramiko.PKey") -> None:
        ways.append(_Way("publickey", label, lambda: connection.auth_publickey(login.user, loaded)))

    if login.private_key:
        key("key " + login.private_key, _load(login.private_key, login.passphrase))
    interactive = _Way("keyboard-interactive", "keyboard-interactive",
                       lambda: connection.auth_interactive(login.user, _answering(login)))
    password = _Way("password", "password", lambda: connection.auth_password(login.user, login.password, fallback=False))
    if login.answers:
        ways.append(interactive)
    if login.password:
        ways.append(password)
        if not login.answers:
            ways.append(interactive)
    for one in agent_keys:
        key("a key of the agent", one)
    if not login.private_key:
        for path in map(os.path.expanduser, _DEFAULT_KEYS):
            try:
                key("key " + path, _load(path, login.passphrase))
            except SessionError:
                pass
    return ways


def _answering(login: Login) -> t.Callable[..., t.List[str]]:
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
            # paramiko and what it builds on fail in many ways on a key of another kind.
            continue
    if passphrase:
        raise SessionError(what, "the passphrase is wrong, or it is no private key that paramiko reads", "check passphrase and private_key")
    raise SessionError(what, "it is no private key that paramiko reads", "check private_key: Ed25519, ECDSA and RSA are read")
