# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two scripts of a job, and the small files through which it talks.

job.sh is what the batch system runs: it reports, keeps the time and ends what it started. pvserver.sh is its child in a
process group of its own: it makes the environment, waits for the go file and becomes pvserver. All lie in a directory on
the cluster that only its owner may enter; a file is written beside its place, flushed and renamed, since homes are network
file systems.

Files: ``status`` (what happened, a line each), ``beat`` (a sign of life every two or three seconds),
``go`` (pvserver's arguments, a line each), ``log`` (pvserver's output),
``batch.log`` (the batch system's), ``rank.sh`` (rendering.py). With a lifeline (lifeline.py) also its program, ``key``, ``agent.log``, and what the agent is
told: ``pvserver`` (where pvserver waits) and ``line`` (where the line leads), an address and port each.
"""

import re
import shlex

from ..paraview import rendering
from ..paraview.pvserver import STATUS_LINES, pvserver_program
from ..schedulers import directives, hostlists, mpi

_JOB = r"""
mask=$(umask)
umask 077
cd @DIR@ || exit 1
lines=
report() {
  lines="$lines$*
"
  printf '%s' "$lines" > status.new && { sync status.new 2>/dev/null || :; } && mv status.new status
}
now() { date +%s; }
# The last line may be there by half only.
tell() {
  { if [ -e rc ]; then cat log; else head -n "$(wc -l < log)" log; fi; } 2>/dev/null | grep -aE @STATUS_LINES@ | head -n 20
}
# What pvserver.sh has to say.
hear() {
  for news in fault news.*; do
    if [ -e "$news" ]; then report "$(head -n 1 "$news")"; rm -f "$news"; fi
  done
}
# Whether somebody listens on a port here over IPv4; where that cannot be seen, it is taken for granted.
listens_here() {
  [ -r /proc/net/tcp ] || return 0
  grep -qE "^ *[0-9]+: [0-9A-F]{8}:$(printf %04X "$1" 2>/dev/null) [0-9A-F:]+ 0A " /proc/net/tcp
}
shell=/bin/sh
for s in /bin/bash /usr/bin/bash; do [ -x "$s" ] && shell=$s && break; done
child=
why=
over() {
  [ -n "$child" ] && [ -e pid ] && kill "-$1" "-$(cat pid)" 2>/dev/null
}
ended() {
  trap '' HUP INT TERM USR1 USR2 XCPU
  : > over
  over TERM
  n=0
  # What the set-up put into the background belongs to the same process group.
  while over 0 && [ $n -lt 15 ]; do sleep 0.2 2>/dev/null || sleep 1; n=$((n + 1)); done
  over KILL
  report "ended $1 $why"
  exit "$1"
}
# Batch systems say in the same way that a job was cancelled and that its time is over.
stopped() {
  why=cancelled
  [ @LATE@ -eq 0 ] || [ $(($(now) - began)) -lt @LATE@ ] || why=walltime
  ended 143
}
@JOB_SETUP@
began=$(now)
trap stopped HUP INT TERM USR1 USR2 XCPU
if [ @WALLTIME@ -gt 0 ]; then
  printf '#!/bin/sh\nleft=$(((%s - $(date +%%s)) / 60))\n[ $left -gt 0 ] || left=0\necho $left\n' $((began + @WALLTIME@)) > left && chmod 700 left
fi
# Whoever reads that the job runs finds its nodes there.
report "nodes $({ @JOB_NODES@
} 2>/dev/null | tr '\n' ' ')"
own_addresses() { PATH=$PATH:/usr/sbin:/sbin; ip -4 -o addr show scope global | sed 's/.* inet \([0-9.]*\).*/\1/' | grep . || hostname -I; }
report "addresses $(own_addresses 2>/dev/null | tr '\n' ' ')"
report "running $(hostname)"
rm -f rc pid over outage lost
{ setsid "$shell" pvserver.sh "$mask" > log 2>&1 < /dev/null; echo $? > rc.new; mv rc.new rc; } &
child=$!
said=0
connected=
pause=0.1
beat=0
while [ ! -e rc ]; do
  clock=$(now)
  # In its place: opening it makes a network file system look anew.
  if [ $((clock - beat)) -ge 2 ] || [ "$clock" -lt "$beat" ]; then beat=$clock; echo "$clock" > beat; fi
  hear
  for why in outage lost; do [ ! -e $why ] || ended 0; done
  why=
  if [ -e stop ]; then why=cancelled; ended 143; fi
  if [ -z "$connected" ]; then
    tell > said
    count=$(wc -l < said)
    if [ "$count" -gt "$said" ]; then
      while IFS= read -r line; do
        case $line in "Accepting connection(s): "*)
          listens_here "${line##*:}" || report "elsewhere ${line##*:}"
          echo "127.0.0.1:${line##*:}" > pvserver.new && mv pvserver.new pvserver;;
        esac
        report "said $line"
      done <<EOF
$(tail -n "+$((said + 1))" said)
EOF
      said=$count
    fi
    case $lines in *"said Client connected"*) connected=1; pause=1; continue;; esac
    waited=$((clock - began))
    [ $waited -lt 20 ] || pause=0.5
    [ $waited -lt @IDLE@ ] || { why=idle; ended 0; }
  fi
  if [ @LIMIT@ -gt 0 ] && [ $((clock - began)) -ge @LIMIT@ ]; then why=walltime; ended 1; fi
  sleep $pause 2>/dev/null || sleep 1
done
rc=$(cat rc)
tell | tail -n "+$((said + 1))" > said
while IFS= read -r line; do report "said $line"; done < said
hear
why=pvserver
[ ! -e outage ] || why=outage
ended "$rc"
"""

_PVSERVER = r"""
echo $$ > pid.new && mv pid.new pid
[ ! -e over ] || exit 143
fault() { (umask 077; printf '%s\n' "$*" > fault.new; mv fault.new fault); }
# What the user saves has the rights that the user's own umask gives.
umask "$1"
inherited=${DISPLAY-}
@MODULES@
@SETUP@
cd @DIR@ || exit 1
if ! command -v @PROGRAM@ > /dev/null 2>&1; then
  fault missing @PROGRAM@
  echo @PROGRAM@: not found on "$(hostname)", PATH is "$PATH"
  exit 127
fi
# Whether pvserver has an option. Its library tells a second sooner than itself.
knows() {
  case @PROGRAM@ in pvserver* | */pvserver*) ;; *) return 1;; esac
  [ -n "$library" ] || library=$(ldd "$(command -v @PROGRAM@)" 2>/dev/null | sed -n 's/.*=> \([^ ]*vtkRemotingCore[^ ]*\).*/\1/p' | head -n 1)
  if [ -n "$library" ]; then grep -qaFe "$1" "$library"; return; fi
  [ -n "$help" ] || help=$(timeout 20 @PROGRAM@ --help < /dev/null 2>&1)
  case $help in *"$1"*) ;; *) return 1;; esac
}
library= help=
@RENDERING@
@LOOK@
@FIND_AGENT@
# The client warns its user of the end of the wall time where pvserver can tell it (from 5.10).
if [ -x left ] && knows --timeout-command; then warning=--timeout-command=@DIR@/left; else warning=; fi
pause=0.1
tries=0
until [ -e go ]; do
  ls . > /dev/null
  sleep $pause 2>/dev/null || sleep 1
  tries=$((tries + 1))
  [ $tries -lt 300 ] || pause=1
done
set --
while IFS= read -r argument; do
  case $argument in
@AGENT@
    \?--*) argument=${argument#\?}; knows "${argument%%=*}" || continue;;
    --server-port=*-*)
      port=$(free_port "${argument#*=}") || { fault ports "${argument#*=}"; exit 98; }
      argument=--server-port=$port;;
  esac
  set -- "$@" "$argument"
done < go
rm -f go
[ -z "$warning" ] || set -- "$@" "$warning"
cd || :
start @PVSERVER@ "$@"
"""

# The agent needs a Python of 3.6 or newer; ParaView's own will do. From 3.13 it can encrypt.
_FIND_AGENT = r"""news() { (umask 077; printf '%s\n' "$2" > "new.$1"; mv "new.$1" "news.$1"); }
agent=
for python in python3.14 python3.13 python3 /usr/bin/python3 /usr/libexec/platform-python pvpython; do
  python=$(command -v "$python") || continue
  case $python in *pvpython) isolated=;; *) isolated=-IS;; esac
  case $(timeout 60 "$python" $isolated ./paraview-lifeline --version 2>/dev/null < /dev/null) in [0-9]*) agent=$python; break;; esac
done
if [ -n "$agent" ]; then news python "lifeline $agent"; else news python lifeline; fi
# One serves one connection of ParaView's. Where it came to its end because nobody was there any more, the job goes with it.
agent() {
  "$agent" $isolated ./paraview-lifeline agent --key key --wait 0 --outage @OUTAGE@ "$@" > agent.new 2>> agent.log < /dev/null
  case $? in 0) ;; 4) : > outage; exit;; *) news line "agent $(tail -n 1 agent.log)"; : > failed; exit;; esac
  [ ! -e over ] || exit
}
said() { sed -n "s/^$1 .*:\([0-9]*\)\$/\1/p" agent.new 2>/dev/null | grep .; }
await_agent() {
  tries=0
  until port=$(said "$1"); do
    [ ! -e failed ] || exit 97
    [ $tries -lt 300 ] || { news line "agent it says nothing"; exit 97; }
    sleep 0.1 2>/dev/null || sleep 1
    tries=$((tries + 1))
  done
  news line "agent $2 $port"
}
"""
# What the go file says of the agent, in its first line: @take ADDRESS PORT(S), where the line comes to it, or @make, where it makes the
# line. While pvserver waits for another connection, the next agent is where the first one was.
_AGENT = r"""    @take\ *)
      set -f; set -- ${argument#@take }; set +f
      address=$1 port=$2
      case $port in *-*) port=$(free_port "$2") || { fault ports "$2"; exit 98; };; esac
      (umask 077
       while :; do
         agent --to @pvserver --line-listen "$address:$port"
         [ "$port" != 0 ] || port=$(said line)
         sleep 0.2 2>/dev/null || sleep 1
       done) &
      (await_agent line "$address") &
      set --; continue;;
    @make)
      (umask 077; agent --listen 127.0.0.1:0 --line-to @line) &
      await_agent listening 127.0.0.1
      continue;;
    --server-port=@agent) set -- "$@" "--server-port=$port"; continue;;
"""

# Picks a port of a range that nobody listens on over IPv4 here.
_FREE_PORT = r"""free_port() {
  low=${1%-*} high=${1#*-}
  awk -v low="$low" -v high="$high" -v seed="$$" '
    function number(hex,  i, n) { n = 0; for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1; return n }
    $4 == "0A" { split($2, part, ":"); taken[number(part[2])] = 1 }
    END { srand(seed); n = high - low + 1; first = int(rand() * n)
          for (i = 0; i < n; i++) { port = low + (first + i) % n; if (!(port in taken)) { print port; exit 0 } }
          exit 1 }' /proc/net/tcp
}
"""

_MODULES = r"""command -v module > /dev/null 2>&1 || { [ -r /etc/profile ] && . /etc/profile; } > /dev/null 2>&1
for name in @NAMES@; do
  module load "$name" || { fault module "$name"; exit 96; }
done
"""


def files(about, directory, wishes, asked, modules, outage_s=0):
    """dict[str, str]: the files of a job by name, as they have to be there when it is submitted.

    Args:
        about (dict): the batch system's table.
        directory (str): the session's directory on the cluster, absolute.
        wishes (dict): a session's. asked (dict): what of them the batch system is asked for, by directives.asked().
        modules (list[str]): environment modules to load.
        outage_s (int): how long the lifeline may be away; 0 for no lifeline. Its own files come from lifeline.files().
    """
    launcher = mpi.command(mpi.chosen(about, wishes), wishes["nodes"], wishes["tasks_per_node"], wishes["cpus_per_task"])
    return {
        # Made beforehand, so that it is private whatever umask the batch system opens it with.
        "batch.log": "",
        "job.sh": job_script(about, directory, asked, wishes["client_timeout"], wishes["walltime"] if about.get("on_login_node") else 0),
        "pvserver.sh": pvserver_script(directory, launcher, wishes["pvserver"], modules, wishes["setup"], outage_s, wishes.get("rendering", "auto")),
        rendering.RANK_FILE: rendering.RANK,
    }


def job_script(about, directory, wishes, idle_s, limit_s=0):
    """Text of job.sh.

    Args:
        about (dict): the batch system's table.
        directory (str): the session's directory on the cluster, absolute.
        wishes (dict): for directives.head().
        idle_s (int): seconds a started job waits for its client.
        limit_s (int): seconds after which the job ends itself, where no batch system does; 0 for none.
    Returns:
        str
    """
    head = directives.head(about, wishes, directory + "/batch.log")
    walltime = int(wishes.get("walltime") or 0)
    body = _fill(_JOB, DIR=shlex.quote(directory), JOB_NODES=about["job_nodes"], JOB_SETUP=about.get("job_setup", ":"), STATUS_LINES=shlex.quote(STATUS_LINES),
                 IDLE=str(int(idle_s)), LIMIT=str(int(limit_s)), WALLTIME=str(walltime), LATE=str(walltime - min(30, walltime // 10)))
    return "\n".join(["#!/bin/sh"] + head) + body


def pvserver_script(directory, launcher, pvserver, modules=(), setup="", outage_s=0, draws_through="auto", look=""):
    """Text of pvserver.sh.

    Args:
        directory (str): the session's directory on the cluster, absolute.
        launcher (list[str]): the MPI launcher with its arguments; empty for none.
        pvserver (list[str]): pvserver with its arguments; its first word may be a wrapper.
        modules (list[str]): environment modules to load.
        setup (str): shell lines of the user's own, run before pvserver.
        outage_s (int): how long the lifeline may be away; 0 for no lifeline.
        draws_through (str): of rendering.CHOICES.
        look (str): shell lines that are run before the go file is waited for; ``start`` starts something there as pvserver is started.
    Returns:
        str
    """
    load = _fill(_MODULES, NAMES=" ".join(shlex.quote(name) for name in modules)) if modules else ""
    program = pvserver_program(pvserver)
    agent = {"FIND_AGENT": _fill(_FIND_AGENT, OUTAGE=str(int(outage_s))), "AGENT": _AGENT} if outage_s else {"FIND_AGENT": "", "AGENT": ""}
    return "#!/bin/sh\n" + _FREE_PORT + _fill(
        _PVSERVER, DIR=shlex.quote(directory), MODULES=load, SETUP=setup, PROGRAM=shlex.quote(program),
        RENDERING=rendering.lines(draws_through, program, pvserver, launcher, directory), LOOK=look,
        PVSERVER=" ".join(shlex.quote(word) for word in pvserver), **agent)


def go_file(arguments):
    """Text of the go file; a line each, so that no argument can be taken for two."""
    if any("\n" in argument for argument in arguments):
        raise ValueError("an argument of pvserver holds a newline")
    return "".join(argument + "\n" for argument in arguments)


def _fill(template, **blanks):
    return re.sub(r"@([A-Z_]+)@", lambda match: blanks[match.group(1)], template)


class Progress:
    """What the lines of the status file tell.

    Attributes:
        host (str): where the job script runs. nodes (list[str]). addresses (list[str]): IPv4 addresses of that host.
        said (list[str]): pvserver's status lines. connected (bool): a client was there. leaving (bool): pvserver goes.
        fault (tuple[str, str] or None): what kept pvserver from being started, and the thing it concerns.
        display (str): what the job found on displays, for rendering.told(); empty for nothing.
        ended (tuple[int, str] or None): exit status, and why: pvserver, idle, walltime, outage, lost or cancelled.
        elsewhere (bool): pvserver accepts connections, but not on this host.
        lifeline (bool or None): whether an agent can be there; None while that is not known.
        agent (tuple[str, int] or None): where the lifeline's agent listens.
    """

    def __init__(self, text=""):
        self.host, self.nodes, self.addresses, self.said, self.fault, self.ended = "", [], [], [], None, None
        self.lifeline, self.agent, self.elsewhere, self.display = None, None, False, ""
        for line in text.split("\n"):
            self._read(line)

    @property
    def connected(self):
        return any(line.startswith("Client connected") for line in self.said)

    @property
    def leaving(self):
        return any(line.startswith("Exiting") for line in self.said)

    def _read(self, line):
        word, _blank, rest = line.partition(" ")
        if word == "running":
            self.host = "".join(hostlists.expand(rest)[:1])
        elif word == "nodes":
            self.nodes = [name for part in rest.split() for name in hostlists.expand(part)]
        elif word == "addresses":
            self.addresses = re.findall(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])", rest)[:32]
        elif word == "said":
            self.said.append(rest)
        elif word in ("missing", "module", "ports", "rendering"):
            self.fault = (word, rest)
        elif word == "elsewhere":
            self.elsewhere = True
        elif word == "display":
            self.display = rest
        elif word == "lifeline":
            self.lifeline = bool(rest)
        elif word == "agent":
            self._read_agent(rest)
        elif word == "ended":
            code, _blank, why = rest.partition(" ")
            self.ended = (int(code) if re.match(r"^[0-9]{1,9}\Z", code) else 1, why)

    def _read_agent(self, rest):
        match = re.match(r"^([0-9.]{7,15}) ([0-9]{1,5})\Z", rest)
        if match:
            self.agent = (match.group(1), int(match.group(2)))
        else:
            self.fault = ("agent", rest)
