# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client that connect starts on another host: scripts for a shell there.

It lives on when the connection ends, since somebody's work may be in it. Its environment is in no process list.
"""

import re
import shlex

_WHERE = "mask=$(umask)\numask 077\nstate=${XDG_STATE_HOME:-$HOME/.local/state}/paraview-connect\n"
_KEEP = """mkdir -p "$state" && cd "$state" && printf '%s\\n' {connect_id} > {name}.connect_id && pwd
"""
# The start of a process, by which its number used again is not taken for it; where there is no /proc, by its date.
_STARTED = """started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 | grep . || ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _; }
"""
_START = """cd "$state" || exit
{exports}
if command -v setsid >/dev/null 2>&1; then leader=setsid; else leader=nohup; fi
(cd && umask "$mask" && exec $leader {command}) </dev/null >{name}.client.log 2>&1 9>&- &
printf '%s %s\\n' $! "$(started $!)"
"""
_ALIVE = '[ "$(started {pid})" = {start} ] && echo alive\n'
_END = """alive() {{ [ "$(started {pid})" = {start} ]; }}
for number in TERM KILL; do
  alive || break
  kill -$number -{pid} 2>/dev/null || kill -$number {pid}
  n=0
  while alive && [ $n -lt 15 ]; do sleep 0.2 2>/dev/null || sleep 1; n=$((n + 1)); done
done
"""
_FILE = """cd "$state" && printf %s {text} > {name} && printf '%s\\n' "$(pwd)"/{name}
"""
_FORGET = """cd "$state" && rm -f {name}.connect_id {name}.pvsc {name}.py {name}.client.log && cd .. && rmdir paraview-connect 2>/dev/null
"""
_WORDS = 'tail -c 4000 "$state"/{name}.client.log 2>/dev/null\n'


def keep_script(name, connect_id):
    """str: writes the connect-id where its owner alone may read it, and prints the directory.

    Args:
        name (str): the session's, as a file name.
        connect_id (int): 0 for none.
    """
    return _WHERE + _KEEP.format(name=shlex.quote(name), connect_id=int(connect_id))


def file_script(name, text):
    """str: writes a file that its owner alone may read, and prints its path.

    Args:
        name (str): the session's, as a file name, with the ending ``.pvsc`` or ``.py``.
        text (str): what is in it.
    """
    return _WHERE + _FILE.format(name=shlex.quote(name), text=shlex.quote(text))


def start_script(name, words, environment):
    """str: starts a client, and prints what read_identity() reads."""
    exports = "\n".join("export {0}={1}".format(key, shlex.quote(str(value))) for key, value in environment.items())
    return _WHERE + _STARTED + _START.format(exports=exports, command=" ".join(shlex.quote(word) for word in words), name=shlex.quote(name))


def read_identity(text):
    """list or None: process id and start of a client that was started."""
    match = re.match(r"^([0-9]{1,10}) (\S+)\s*\Z", text)
    return [int(match.group(1)), match.group(2)] if match else None


def alive_script(known):
    """str: prints something if the client of a read_identity() still runs."""
    return _STARTED + _ALIVE.format(pid=int(known[0]), start=shlex.quote(known[1]))


def end_script(known):
    """str: ends it."""
    return _STARTED + _END.format(pid=int(known[0]), start=shlex.quote(known[1]))


def forget_script(name):
    """str: takes away what lies there of a session."""
    return _WHERE + _FORGET.format(name=shlex.quote(name))


def words_script(name):
    """str: prints the end of the client's log."""
    return _WHERE + _WORDS.format(name=shlex.quote(name))
