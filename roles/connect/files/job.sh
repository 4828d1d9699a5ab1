#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The script that the batch system runs. It reports events, watches time limits, and ends the processes that it started.
# plugins/module_utils/cluster/job_scripts.py fills in the @NAMES@.
@DIRECTIVES@
mask=$(umask)
umask 077
# On a full file system, a file can be made although nothing can be written.
# Another account may have made a directory of this name on the node.
# shellcheck disable=SC3067 # every shell in use has it
if ! cd @DIR@ || ! [ -O . ] || ! [ -O pvserver.sh ] || ! { printf '%4096s' '' > status.new; } 2>/dev/null; then
  echo "job.sh: $(hostname) cannot write to "@DIR@", where the login node and the job exchange files, or another account owns it" >&2
  exit 73
fi
lines=
# report EVENT...: appends events to the status file.
report() {
  for event; do lines="$lines$event
"; done
  printf '%s' "$lines" > status.new && { sync status.new 2>/dev/null || :; } && mv status.new status
}
# Sets $clock, in seconds. The kernel's clock needs no process, and nobody can set it.
look_at_clock() { { read -r clock _ < /proc/uptime && clock=${clock%.*}; } 2>/dev/null || clock=$(date +%s); }

# Reports the lines of pvserver's log that matter and that were not reported before. While pvserver runs, its last line may be incomplete, so it is left out.
report_output() {
  true > said
  [ "$(grep -acE -m 20 @STATUS_LINES@ log)" -gt "$reported" ] || return 0
  { if [ -e rc ]; then cat log; else head -n "$(wc -l < log)" log; fi; } 2>/dev/null | grep -aE -m 20 @STATUS_LINES@ | tail -n "+$((reported + 1))" > said
  set --
  while IFS= read -r line; do
    set -- "$@" "said $line"
    case $line in "Accepting connection(s): "*)
      listens_here "${line##*:}" || set -- "$@" "elsewhere ${line##*:}"
      echo "127.0.0.1:${line##*:}" > pvserver.new && mv pvserver.new pvserver;;
    esac
    case $hosts$line in "Accepting connection(s): "* | "Connecting to client"* | "Client connected"*)
      count_hosts
      [ "$hosts" -eq 0 ] || set -- "$@" "ranks $hosts";;
    esac
    quiet=0 reported=$((reported + 1))
  done < said
  [ $# -eq 0 ] || report "$@"
}

# Sets $hosts, the number of hosts on which rank.sh has run: all ranks have started before the first one prints these lines.
count_hosts() {
  hosts=0
  # If this host changes a directory on a network file system, it sees what other hosts have changed there.
  true > counted
  for file in host.*; do [ ! -e "$file" ] || hosts=$((hosts + 1)); done
}

# Reports what pvserver.sh has left in files.
report_news() {
  set --
  for news in fault news.*; do
    [ -e "$news" ] || continue
    IFS= read -r line < "$news"
    set -- "$@" "$line"
    rm -f "$news"
    quiet=0
  done
  [ $# -eq 0 ] || report "$@"
}

# Whether a process on this host listens on a port over IPv4; assumed to be true if /proc is not readable.
listens_here() {
  [ -r /proc/net/tcp ] || return 0
  grep -qE "^ *[0-9]+: [0-9A-F]{8}:$(printf %04X "$1" 2>/dev/null) [0-9A-F:]+ 0A " /proc/net/tcp
}

shell=/bin/sh
for s in /bin/bash /usr/bin/bash; do [ -x "$s" ] && shell=$s && break; done
child=
why=

# The process group of pvserver.sh, as soon as it is known. The file may vanish.
group=
find_group() { [ -n "$group" ] || { [ -s pid ] && read -r group < pid; } 2>/dev/null; }
signal_child() { [ -n "$child" ] && find_group && kill "-$1" "-$group" 2>/dev/null; }

# Ends what is left of pvserver.sh.
end_child() {
  true > over
  signal_child TERM
  n=0
  # Background processes of the set-up are in the same process group.
  while signal_child 0 && [ $n -lt 15 ]; do sleep 0.2 2>/dev/null || sleep 1; n=$((n + 1)); done
  signal_child KILL
  # Until a killed process has ended, it holds its files.
  while signal_child 0 && [ $n -lt 25 ]; do sleep 0.2 2>/dev/null || sleep 1; n=$((n + 1)); done
}

finish() {
  trap '' HUP INT TERM USR1 USR2 XCPU
  end_child
  report "ended $1 $why"
  exit "$1"
}

# BEGIN attached
# shellcheck disable=SC2154 # attach.sh sets these variables
# Whether the process of the job still runs from which attach.sh has the environment. No batch system ends what a login on a node has started.
job_runs() {
  [ -n "$job_process" ] || return 0
  { IFS= read -r stat < "/proc/$job_process/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086 # it is to be split
  set -- ${stat##*) }
  case $1 in Z | X) return 1;; esac
  [ "${20}" = "$job_began" ]
}
# END attached

# Batch systems send the same signals if a job is cancelled and if its wall time is over.
# shellcheck disable=SC2329 # trap calls it
on_signal() {
  why=cancelled
  look_at_clock
  [ "$late_s" -eq 0 ] || [ $((clock - began)) -lt "$late_s" ] || why=walltime
  finish 143
}

@JOB_SETUP@
idle_s=@IDLE@ keep_s=@KEEP@ limit_s=@LIMIT@ walltime_s=@WALLTIME@ late_s=@LATE@
# BEGIN attached
# shellcheck disable=SC2154 # attach.sh sets it
[ -z "$unwatched" ] || limit_s=$walltime_s
# END attached
look_at_clock
began=$clock idle_since=$clock
trap on_signal HUP INT TERM USR1 USR2 XCPU
if [ "$walltime_s" -gt 0 ]; then
  # shellcheck disable=SC2016 # the program that is written expands it
  printf '#!/bin/sh\nleft=$(((%s - $(date +%%s)) / 60))\n[ $left -gt 0 ] || left=0\necho $left\n' $(($(date +%s) + walltime_s)) > left && chmod 700 left
fi

own_addresses() { PATH=$PATH:/usr/sbin:/sbin; ip -4 -o addr show scope global | sed 's/.* inet \([0-9.]*\).*/\1/' | grep . || hostname -I; }
nodes=$({ @JOB_NODES@
} 2>/dev/null | tr '\n' ' ')
addresses=$(own_addresses 2>/dev/null | tr '\n' ' ')
report "nodes $nodes" "addresses $addresses" "running $(hostname)"
# What each pvserver of the job has in common.
common=$lines round_number=1
beat=-9
seen=$began

# A sign of life, and everything that ends the job while it waits.
look_after_job() {
  look_at_clock
  # If the directory is removed, nobody can end pvserver any more. A network file system may show that for a moment by mistake.
  if [ -e pvserver.sh ]; then seen=$clock; elif [ $((clock - seen)) -lt 10 ]; then sleep 1; return 1; else why=cancelled; finish 143; fi
  # Written in place and not renamed: if a reader opens the file, a network file system fetches its current content.
  if [ $((clock - beat)) -ge 2 ] || [ "$clock" -lt "$beat" ]; then beat=$clock; echo "$clock" > beat; fi
  if [ -e stop ]; then why=cancelled; finish 143; fi
  # BEGIN attached
  job_runs || { why=job; finish 143; }
  # END attached
  if [ "$limit_s" -gt 0 ] && [ $((clock - began)) -ge "$limit_s" ]; then why=walltime; finish 1; fi
}

# pvserver.sh has a process group of its own, but stays in the job's session if that is possible: some batch systems end a job by its session.
# shellcheck disable=SC2016 # the inner shell expands it
print_group='read -r stat < "/proc/$$/stat"; stat=${stat##*) }; stat=${stat#* }; stat=${stat#* }; echo "${stat%% *}"'
start=setsid
case $(timeout 0 sh -c "$print_group" 2>/dev/null) in '' | "$(sh -c "$print_group" 2>/dev/null)") ;; *) start='timeout 0';; esac

# Starts pvserver.sh, and sets $rc once it has ended.
serve() {
  rm -f rc pid over outage lost failed started counted pvserver agent.new host.*
  hosts='' group='' why='' reported=0 started='' connected=''
  true > log
  # Only this process has the pipe open for writing. Its end shows pvserver.sh that this process has ended, whatever ended it. Descriptor 8 is open before
  # pvserver.sh starts: without a writer, a pipe cannot be opened any more.
  rm -f alive
  if mkfifo alive 2>/dev/null; then exec 9<> alive; else : > alive; fi
  { $start "$shell" pvserver.sh "$mask" $$ > log 2>&1 < /dev/null; echo $? > rc.new; mv rc.new rc; } 8< alive 9>&- &
  child=$!
  # A node may run the loops of many jobs, and each process that a loop starts matters. While nothing happens, the rounds become longer. The log is read in
  # each tenth round, and if it is newer than what was read of it; some shells compare the seconds alone.
  round=0 quiet=0
  true > said
  while [ ! -e rc ]; do
    find_group
    look_after_job || continue
    report_news
    for why in outage lost; do [ ! -e $why ] || finish 0; done
    why=
    if [ -z "$started" ] && [ -e started ]; then started=1 quiet=0; fi
    if [ -z "$connected" ]; then
      if [ $((round % 10)) -eq 0 ] || [ $quiet -gt 20 ] || [ log -nt said ]; then report_output; fi
      case $lines in *"said Client connected"*) connected=1; continue;; esac
      [ $((clock - idle_since)) -lt "$idle_s" ] || { why=idle; finish 0; }
    fi
    round=$((round + 1)) quiet=$((quiet + 1))
    case $connected.$quiet in .?) pause=0.1;; .1?) pause=0.2;; .2?) pause=0.5;; *) pause=1;; esac
    sleep $pause 2>/dev/null || sleep 1
  done
  rc=$(cat rc)
  report_output
  report_news
  case $lines in *"said Client connected"*) connected=1;; esac
}

# Whether another pvserver follows: the client has left, and the host of the session decides, by the file "next". Until then the nodes are kept.
next_round() {
  if [ "$keep_s" -eq 0 ] || [ -z "$connected" ] || [ -e outage ]; then return 1; fi
  report "left $rc"
  look_at_clock
  idle_since=$clock idle_s=$keep_s quiet=0
  until [ -e next ]; do
    look_after_job || continue
    [ $((clock - idle_since)) -lt "$idle_s" ] || { why=idle; finish 0; }
    : ./*
    quiet=$((quiet + 1))
    if [ $quiet -lt 50 ]; then sleep 0.2 2>/dev/null || sleep 1; else sleep 1; fi
  done
  answer=
  IFS= read -r answer < next
  rm -f next
  [ "$answer" = again ] || return 1
  end_child
  mv log log.old
  rm -f fault news.*
  round_number=$((round_number + 1)) lines=$common
  report "round $round_number"
}

serve
while next_round; do serve; done
why=pvserver
[ ! -e outage ] || why=outage
finish "$rc"
