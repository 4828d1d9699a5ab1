# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's directory on the cluster."""

import os
import re
import shlex
import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from .login_node import Run

_PARENT = ".paraview-connect"
# So many, since stack traces of many ranks may follow the line that shows the cause.
_LOG_BYTES = 131072
# Outside of the home it has the user's number, since several accounts may use the directory above it.
_SAFE = re.compile(r"^/(?:[^/\0\n]+/)*" + re.escape(_PARENT) + r"(-[0-9]+)?/[0-9a-f]{16}\Z")


def directory(facts: t.Dict[str, t.Any], session_id: str) -> str:
    """The path of a session's directory on the cluster.

    Args:
        facts: of the login node; remote_dir as place.place() returns it, and home.
        session_id: of the session.
    """
    elsewhere = facts.get("remote_dir", "")
    return "{0}/{1}".format(parent(elsewhere, facts["uid"]) if elsewhere else facts["home"].rstrip("/") + "/" + _PARENT, session_id)


def parent(place: str, uid: int) -> str:
    """The directory of all sessions of one account in a place that is not the home."""
    return "{0}/{1}-{2:d}".format(place.rstrip("/"), _PARENT, uid)


# Other accounts may write to the directory above it, so they could have made a directory or a link of this name.
_OWN_PARENT = """own() { [ ! -L "$1" ] && [ -O "$1" ] || { echo "$1 is a link, or another account owns it" >&2; return 1; }; }
{ mkdir "${p%/*}" 2>/dev/null || [ -d "${p%/*}" ] || mkdir "${p%/*}"; } && own "${p%/*}" && chmod 700 "${p%/*}\""""


def _checked(path: str) -> str:
    if not _SAFE.match(path):
        raise ValueError("{0!r} is not the directory of a session".format(path))
    return shlex.quote(path)


# The owner of a directory above this one, or of a link to it, could have put another one in its place: what is not the user's own is neither read nor written.
_ENTER = "cd {0} 2>/dev/null && [ -O . ]"


class Directory:
    """Files of one session on the cluster, 0600 in a directory 0700.

    Args:
        script: ``script(text, seconds) -> (code, out, err)``.
        path: absolute.
    Attributes:
        elsewhere: it is not in the home.
        beat: the job's sign of life when its status was read last; empty before the first sign.
    """

    def __init__(self, script: Run, path: str) -> None:
        self.script = script
        self.path = path
        self.beat = ""
        self._quoted = _checked(path)
        self.elsewhere = bool(_SAFE.match(path).group(1))

    def _do(self, what: str, text: str, seconds: int = 30) -> str:
        code, out, err = self.script("umask 077\n" + text, seconds)
        if code != 0:
            raise SessionError("cannot {0} {1} on the cluster".format(what, self.path), one_line(err or out) or "exit code {0}".format(code),
                               "check the quota and the permissions there; paraview_remote_dir names another directory")
        return out

    def create(self, files: t.Dict[str, str]) -> None:
        """Creates the directory and its files.

        Args:
            files: text by name.
        """
        # Nobody reads a file before all exist.
        writes = " &&\n".join("printf %s {0} > {1}".format(shlex.quote(text), shlex.quote(name)) for name, text in files.items())
        self._do("create", "p={0}\n{1} && mkdir \"$p\" && cd \"$p\" &&\n{2} &&\n{{ sync ./* 2>/dev/null || :; }}".format(
            self._quoted, _OWN_PARENT if self.elsewhere else 'mkdir -p "${p%/*}"', writes))

    def put(self, name: str, text: str) -> None:
        """Writes a file under a temporary name, and renames it."""
        self._do("write " + name + " in", "cd {0} && [ -O . ] && {{\n{1}\n}}".format(self._quoted, self._write(name, text)))

    @staticmethod
    def _write(name: str, text: str) -> str:
        return "printf %s {0} > {1}.new && {{ sync {1}.new 2>/dev/null || :; }} && mv {1}.new {1} || exit 1".format(
            shlex.quote(text), shlex.quote(name))

    def status(self, seen: str, seconds: float, pause: float = 0.1) -> str:
        """Reads the status file as soon as it differs from the text that was seen.

        Args:
            seen: its text when it was read last.
            seconds: how long to wait for a change; 0 to read it once.
            pause: seconds between two reads.
        Returns:
            Its text; empty if there is no file yet.
        """
        # The directory is listed before each read, since a network file system may keep showing an old state. Both start no process.
        text = (_ENTER + " || exit 0\nnewline='\n'\nbeat=\nseen={1}\nn={2}\nwhile :; do\n : ./*\n now=\n"
                ' if [ -e status ]; then while IFS= read -r line; do now=$now$line$newline; done < status; now=$now$line; fi 2>/dev/null\n'
                ' while [ "$now" != "${{now%"$newline"}}" ]; do now=${{now%"$newline"}}; done\n'
                ' if [ "$now" != "$seen" ] || [ $n -le 0 ]; then break; fi\n'
                " sleep {3} 2>/dev/null || sleep 1\n n=$((n - 1))\ndone\n{{ IFS= read -r beat < beat; }} 2>/dev/null\nprintf '%s\\n%s' \"$now\" \"$beat\"\n")
        out = self._do("read", text.format(self._quoted, shlex.quote(seen.rstrip("\n")), int(seconds / pause), pause), int(seconds) + 15)
        now, _newline, self.beat = out.rpartition("\n")
        return now

    def read(self, name: str) -> str:
        """The text of a file; empty if there is none."""
        return self.script((_ENTER + " && cat {1} 2>/dev/null").format(self._quoted, shlex.quote(name)), 15)[1]

    def log(self) -> str:
        """The end of pvserver's log and of the batch system's; empty if there is none, or if it cannot be read now."""
        return self.script(self._log_script(), 15)[1]

    def read_log(self) -> str:
        """The same; SessionError if it cannot be read now, as in a home that hangs."""
        return self._do("read the log in", self._log_script(), 15)

    def _log_script(self) -> str:
        return (_ENTER + " || exit 0\ntail -c {1} batch.log log 2>/dev/null | sed '/^==> .* <==$/d'").format(self._quoted, _LOG_BYTES)

    def read_on(self, seen: t.Dict[str, int], limit: int) -> t.Dict[str, t.Tuple[str, int]]:
        """What files have behind the part that was read already.

        Args:
            seen: by name, how many bytes of a file were read; 0 for none.
            limit: bytes to read of each at most. The end is read.
        Returns:
            By name, the text and the number of bytes to pass as ``seen`` next time. A file that does not exist is left out.
        Raises:
            SessionError: it cannot be read now.
        """
        mark = os.urandom(8).hex()
        wanted = "\n".join("one {0} {1:d}".format(shlex.quote(name), count) for name, count in seen.items())
        # The size is read first, since the file may grow meanwhile.
        out = self._do("read the logs in", _ENTER.format(self._quoted) + " || exit 0\none() {{\n [ -f \"$1\" ] && [ -O \"$1\" ] || return 0\n"
                       " size=$(($(wc -c < \"$1\"))) from=$2\n [ $from -le $size ] || from=0\n [ $((size - from)) -le {0} ] || from=$((size - {0}))\n"
                       " printf '\\n%s %s %s\\n' {1} \"$1\" $size\n tail -c +$((from + 1)) \"$1\" | head -c $((size - from))\n}}\n{2}\n".format(
                           limit, mark, wanted), 15)
        found = {}
        for part in out.split("\n" + mark + " ")[1:]:
            head, _newline, text = part.partition("\n")
            name, size = head.rsplit(" ", 1)
            found[name] = (text, int(size))
        return found

    def remove(self) -> None:
        """Removes the directory, and its parent if that is empty then."""
        # It is tried several times: a job that is just ending may write a file meanwhile.
        self.script("p={0}; n=0; while [ -d \"$p\" ] && [ $n -lt 20 ]; do rm -rf -- \"$p\" && break; sleep 0.1; n=$((n + 1)); done; "
                    "rmdir -- \"${{p%/*}}\" 2>/dev/null || :".format(self._quoted), 20)
