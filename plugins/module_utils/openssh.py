# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH's client: command lines, requests to a control master, and what its messages mean.

Sources: ssh(1), ssh_config(5), clientloop.c, mux.c, and what was measured on 9.2p1.
"""

import collections
import getpass
import hashlib
import ipaddress
import os
import re
import shlex
import stat
import subprocess
import tempfile
import time

from .errors import SessionError
from .text import clean, one_line

# A path of a socket may have 107 bytes, and ssh appends a dot and 16 characters while it makes one.
_LONGEST_CONTROL_PATH = 90

#: What the one authenticated connection needs whatever the user's own configuration says: the first value wins in ssh.
_MASTER_OPTIONS = (
    "ControlMaster=yes", "ControlPersist=no", "ClearAllForwardings=yes", "RemoteCommand=none", "RequestTTY=no",
    "PermitLocalCommand=no", "ForkAfterAuthentication=no", "SessionType=default", "ForwardX11=no", "ForwardAgent=no", "Tunnel=no",
    "LogLevel=INFO", "ServerAliveInterval=15", "ServerAliveCountMax=4", "StreamLocalBindUnlink=no",
)
# Options that ssh learnt in 8.7; an older one refuses to start on a name it does not know.
_NEWER = ("ForkAfterAuthentication=no", "SessionType=default")

Target = collections.namedtuple("Target", "executable host user port key arguments timeout")
Target.__doc__ = """Whom ssh calls, in the words of the inventory; arguments are extra command-line arguments (list)."""

_CAUSES = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "host_key",
     "its host key is not the one that is known here",
     "find out from the site whether the key was changed, then remove the old one: ssh-keygen -R {host}"),
    (r"Host key verification failed|No .* host key is known", "host_key",
     "its host key is not known here, and keys are never accepted blindly",
     "log in once by hand (ssh {host}), compare the fingerprint with the site's, and answer yes"),
    (r"Could not resolve hostname", "unreachable", "no such name", "check ansible_host of this inventory host"),
    (r"Permission denied|Too many authentication failures|No more authentication methods", "refused",
     "the login was refused",
     "try it by hand: ssh {host}; set ansible_user and ansible_ssh_private_key_file, or load the key with ssh-add"),
    (r"Connection refused", "unreachable", "nothing listens there", "check ansible_host and ansible_port, and that sshd runs there"),
    (r"timed out|No route to host|Network is unreachable|Operation timed out", "unreachable", "no answer",
     "check the network, the VPN and the firewall between here and {host}"),
    (r"Connection (?:closed|reset)|kex_exchange_identification", "unreachable", "the other side hung up",
     "try it by hand: ssh -v {host}"),
)


_SILENT = r"Could not resolve hostname|Connection refused|timed out|No route to host|Network is unreachable|Operation timed out"


def destination_arguments(target):
    """list[str]: options and host for the end of an ssh command line."""
    arguments = list(target.arguments)
    if target.key:
        arguments += ["-i", target.key]
    if target.port:
        arguments += ["-p", str(target.port)]
    if target.user:
        arguments += ["-l", target.user]
    return arguments + ["--", target.host]


def master_command(target, control_path, old=False, asks=True):
    """The command of a control master whose own session is a remote shell.

    The master has a session of its own for a reason: one that never had a session does not set TCP_NODELAY, which costs
    its forwards 43 ms at every turn.

    Args:
        target (Target): whom to call.
        control_path (str): the socket to make.
        old (bool): leave out what ssh before 8.7 does not know.
        asks (bool): whether ssh may ask for anything.
    Returns:
        list[str]
    """
    options = [one for one in _MASTER_OPTIONS if not (old and one in _NEWER)]
    options += [] if asks else ["BatchMode=yes"]
    options += ["ControlPath=" + control_path.replace("%", "%%"), "ConnectTimeout={0:d}".format(target.timeout)]
    command = [target.executable, "-T"]
    for option in options:
        command += ["-o", option]
    return command + destination_arguments(target) + ["exec /bin/sh"]


def guest_command(target, control_path):
    """The command of a remote shell over a control master that is there.

    Args:
        target (Target): whom the master called.
        control_path (str): its socket.
    Returns:
        list[str]
    """
    return Master(control_path, target.executable).command("-T", "-o", "ProxyCommand=false", remote="exec /bin/sh")


def configuration(target):
    """dict[str, str]: ssh's options for a target, by their names in lower case; of one that comes several times the last."""
    command = [target.executable, "-G"] + destination_arguments(target)
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").splitlines())


def names(target):
    """set[str]: under which ssh asks for the password of a target's host; empty where a host on the way there could ask in its name."""
    known = configuration(target)
    # It is since 8.5 that ssh says who asks.
    if version(target.executable) < (8, 5) and {known.get(one, "none") for one in ("proxyjump", "proxycommand")} != {"none"}:
        return set()
    return {target.host} | {known[one] for one in ("hostname", "hostkeyalias") if one in known}


def address(text):
    """str: an IP address, empty where it is none; a host name of ssh's may end up in a shell (ProxyCommand)."""
    try:
        # A scope may be any text.
        return "" if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def pinned(target, place):
    """Target: the same, but at one address of those that its name may stand for; the host key is looked up by the name still.

    Args:
        target (Target): whom to call.
        place (str): where; what is no IP address changes nothing.
    """
    place = address(place)
    if not place:
        return target
    known = configuration(target)
    name, port = known.get("hostname", target.host), known.get("port", "22")
    alias = known.get("hostkeyalias") or (name if port == "22" else "[{0}]:{1}".format(name, port))
    # The first value wins, before that of any configuration.
    return target._replace(arguments=["-o", "HostName=" + place, "-o", "HostKeyAlias=" + alias] + list(target.arguments))


def asks_nobody(target):
    """bool: whether BatchMode holds for every host on the way to a target: ssh does not hand it on to those in between."""
    known = configuration(target)
    return known.get("proxycommand", "none") == "none" and "," not in known.get("proxyjump", "")


def asking_nobody(target):
    """Target: the same, with a single host on the way called so that it is not asked to answer anything either."""
    known = configuration(target)
    match = re.match(r"^(?:(?P<user>[^@,]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:,]+)(?::(?P<port>[0-9]+))?\Z", known.get("proxyjump", "none"))
    if not match or match.group("host") == "none":
        return target
    words = [target.executable, "-o", "BatchMode=yes"]
    for option, name in (("-l", "user"), ("-p", "port")):
        words += [option, match.group(name)] if match.group(name) else []
    words += ["-W", "[%h]:%p", "--", match.group("host").strip("[]")]
    command = " ".join(word if word == "[%h]:%p" else shlex.quote(word.replace("%", "%%")) for word in words)
    # The first of ProxyCommand and ProxyJump wins, but for -J, which stands no other beside it.
    return target._replace(arguments=["-o", "ProxyCommand=" + command] + _without_jump(target.arguments))


def _without_jump(arguments):
    left, words = [], iter(arguments)
    for word in words:
        if word == "-J":
            next(words, None)
        elif not word.startswith("-J"):
            left.append(word)
    return left


def live_master(target):
    """str: the socket of a control master of the user's own that leads to a target, empty where none answers."""
    path = os.path.expanduser(configuration(target).get("controlpath", "none"))
    if not os.path.isabs(path) or not os.path.exists(path) or os.stat(path).st_uid != os.getuid():
        return ""
    return path if Master(path, target.executable).check(5) else ""


def identity(target, keywords):
    """Who one is to a login node, for another host behind it.

    Args:
        target (Target): the login node.
        keywords (tuple[str]): of ssh_config(5), in lower case.
    Returns:
        list[str]: options ``Keyword=value``, User among them, as ssh has them for the login node.
    """
    command = [target.executable, "-G"] + destination_arguments(target)
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    said = [line.partition(" ")[::2] for line in answer.stdout.decode("utf-8", "replace").splitlines()]
    return ["{0}={1}".format(keyword, value) for keyword, value in said if keyword in keywords + ("user",) and value and value != "none"]


def version(executable):
    """tuple[int, int]: OpenSSH's version, (0, 0) if it cannot be told."""
    answer = subprocess.run([executable, "-V"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=10, check=False)
    match = re.search(rb"OpenSSH\D*(\d+)\.(\d+)", answer.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def explain(host, stderr, kind_of_host="login node"):
    """The error of a login that did not come about.

    Args:
        host (str): the name that was called.
        stderr (str): what ssh said.
        kind_of_host (str): what it is to the user.
    Returns:
        SessionError
    """
    said = clean(stderr)
    for pattern, kind, why, way_out in _CAUSES:
        match = re.search(r"^.*(?:" + pattern + r").*$", said, re.MULTILINE | re.IGNORECASE)
        if match:
            what = {"refused": "{0} refuses this login", "host_key": "cannot trust login node {0}"}.get(kind, "cannot reach login node {0}")
            what = what.replace("login node", kind_of_host).format(host)
            return SessionError(what, "{0} ({1})".format(why, one_line(match.group(0))), way_out.format(host=host))
    return SessionError("cannot log in to {0}".format(host), one_line(said) or "ssh ended without a word",
                        "try it by hand: ssh -v {0}".format(host))


def unreachable(stderr):
    """bool: whether a login did not come about because nobody answered there."""
    return _kind(stderr) == "unreachable"


def silent(stderr):
    """bool: whether a login did not come about because there is no way there, or nobody who answers."""
    return bool(re.search(_SILENT, clean(stderr), re.IGNORECASE))


def refuses(stderr):
    """bool: whether a login did not come about because of who called, or what was answered there: it may do so for the user."""
    return _kind(stderr) in ("refused", "host_key")


def distrusts(stderr):
    """bool: whether a login did not come about because of the host key."""
    return _kind(stderr) == "host_key"


def _kind(stderr):
    return next((kind for pattern, kind, _why, _way_out in _CAUSES if re.search(pattern, clean(stderr), re.IGNORECASE)), "")


class Master:
    """A control master's socket, and the requests one may make of it.

    Args:
        control_path (str): the socket.
        executable (str): ssh.
    """

    def __init__(self, control_path, executable="ssh"):
        self.control_path = control_path
        self.executable = executable

    def command(self, *arguments, **more):
        """list[str]: a command line for this master, with the remote command (str) as ``remote``."""
        # The user's configuration has been heard when the master was made; its own forwards or names have no place in a request.
        path = self.control_path.replace("%", "%%")
        words = [self.executable, "-F", os.devnull, "-o", "LogLevel=INFO", "-S", path] + list(arguments) + ["--", "master"]
        return words + [more["remote"]] if "remote" in more else words

    def _request(self, *arguments, **keywords):
        command = self.command(*arguments)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=keywords.get("timeout", 20), check=False)
        except subprocess.TimeoutExpired:
            return 255, "", "no answer within {0} s".format(keywords.get("timeout", 20))
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def check(self, seconds=20):
        """bool: whether the master is there and answers within some seconds."""
        return self._request("-O", "check", timeout=seconds)[0] == 0

    def exit(self):
        """Asks the master to end, with all its forwards."""
        self._request("-O", "exit")

    def forward(self, option, specification):
        """Asks for a forward.

        Args:
            option (str): ``-L`` or ``-R``.
            specification (str): as on ssh's command line, with a bind address.
        Returns:
            int or None: the port that the server allocated for ``-R ADDRESS:0:...``.
        Raises:
            ForwardRefused: with ssh's words.
        """
        code, out, err = self._request("-O", "forward", option, specification)
        if code != 0:
            raise ForwardRefused(one_line(err) or "ssh ended with {0}".format(code))
        return int(out) if out.strip().isdigit() else None

    def cancel(self, option, specification):
        """Takes a forward back; one that is not there is no error."""
        self._request("-O", "cancel", option, specification)

    def reach(self, address, port, messages, seconds=3.0):
        """Whether the login node reaches a port: a refused connection is an answer, too.

        Args:
            address (str): a host as the login node knows it.
            port (int): a port; that nobody listens on it does not matter.
            messages (callable): returns what the master said since the last call; it alone is told the cause of a refusal.
            seconds (float): how long an answer may take.
        Returns:
            str: ``open``, ``refused``, ``filtered`` (no answer) or ``forbidden`` (sshd forwards nothing for this user).
        """
        command = self.command("-o", "ProxyCommand=false", "-W", "{0}:{1}".format(address, port))
        messages()
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            return "filtered"
        if code == 0:
            return "open"
        said = _first_word(messages)
        if "prohibited" in said:
            return "forbidden"
        return "refused" if "refused" in said else "filtered"


def _first_word(messages):
    # The client may end a moment before the master's message is there.
    for _attempt in range(20):
        said = messages()
        if "open failed" in said:
            break
        time.sleep(0.02)
    return said


class ForwardRefused(Exception):
    """The server did not grant a forward; the text is ssh's."""


def control_directory():
    """A directory of this user's alone that is short and on no network file system.

    Returns:
        str: below XDG_RUNTIME_DIR where that outlives a logout, else in /tmp.
    Raises:
        SessionError: somebody else made it first, or it would be too long a name.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK) and len(runtime) < 40 and _outlives_logout(runtime):
        path = os.path.join(runtime, "paraview-connect")
    else:
        path = os.path.join("/tmp", "paraview-connect-{0:d}".format(os.getuid()))
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    about = os.lstat(path)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise SessionError("cannot keep the connection's socket in {0}".format(path),
                           "it is not a directory of yours alone", "remove it, or set XDG_RUNTIME_DIR")
    return path


def _outlives_logout(runtime):
    # logind removes /run/user/UID with the last login, unless the account lingers.
    return not runtime.startswith("/run/user/") or os.path.exists("/var/lib/systemd/linger/" + getpass.getuser())


def control_path(session_id):
    """str: where the control socket of a session lies."""
    path = os.path.join(control_directory(), hashlib.sha256(session_id.encode()).hexdigest()[:12])
    if len(path) > _LONGEST_CONTROL_PATH:
        raise SessionError("cannot make the socket {0}".format(path), "its name is too long for a unix socket",
                           "set XDG_RUNTIME_DIR to a shorter directory; {0} would do".format(tempfile.gettempdir()))
    return path
