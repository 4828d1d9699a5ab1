#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The script that the batch system runs. It reports events, watches time limits, and ends the processes that it started.
# plugins/module_utils/cluster/job_scripts.py fills in the @NAMES@.
@DIRECTIVES@
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

# While pvserver runs, the last line may be incomplete, so it is left out.
status_lines() {
  { if [ -e rc ]; then cat log; else head -n "$(wc -l < log)" log; fi; } 2>/dev/null | grep -aE @STATUS_LINES@ | head -n 20
}

# Reports what pvserver.sh has left in files.
report_news() {
  for news in fault news.*; do
    if [ -e "$news" ]; then report "$(head -n 1 "$news")"; rm -f "$news"; quiet=0; fi
  done
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

signal_child() {
  [ -n "$child" ] && [ -e pid ] && kill "-$1" "-$(cat pid)" 2>/dev/null
}

finish() {
  trap '' HUP INT TERM USR1 USR2 XCPU
  : > over
  signal_child TERM
  n=0
  # Background processes of the set-up are in the same process group.
  while signal_child 0 && [ $n -lt 15 ]; do sleep 0.2 2>/dev/null || sleep 1; n=$((n + 1)); done
  signal_child KILL
  report "ended $1 $why"
  exit "$1"
}

# Batch systems send the same signals if a job is cancelled and if its wall time is over.
# shellcheck disable=SC2329 # trap calls it
on_signal() {
  why=cancelled
  [ "$late_s" -eq 0 ] || [ $(($(now) - began)) -lt "$late_s" ] || why=walltime
  finish 143
}

@JOB_SETUP@
idle_s=@IDLE@ limit_s=@LIMIT@ walltime_s=@WALLTIME@ late_s=@LATE@
began=$(now)
trap on_signal HUP INT TERM USR1 USR2 XCPU
if [ "$walltime_s" -gt 0 ]; then
  # shellcheck disable=SC2016 # the program that is written expands it
  printf '#!/bin/sh\nleft=$(((%s - $(date +%%s)) / 60))\n[ $left -gt 0 ] || left=0\necho $left\n' $((began + walltime_s)) > left && chmod 700 left
fi

# The nodes come before "running", so that a reader that finds "running" also finds them.
report "nodes $({ @JOB_NODES@
} 2>/dev/null | tr '\n' ' ')"
own_addresses() { PATH=$PATH:/usr/sbin:/sbin; ip -4 -o addr show scope global | sed 's/.* inet \([0-9.]*\).*/\1/' | grep . || hostname -I; }
report "addresses $(own_addresses 2>/dev/null | tr '\n' ' ')"
report "running $(hostname)"
rm -f rc pid over outage lost
{ setsid "$shell" pvserver.sh "$mask" > log 2>&1 < /dev/null; echo $? > rc.new; mv rc.new rc; } &
child=$!

reported=0
connected=
pause=0.1
beat=0
# A node may run the loops of many jobs, so that each process that a loop starts matters. While nothing happens, the rounds become longer. The clock and the log
# are looked at in each tenth round, and the log also if it is newer than what was read of it; some shells compare the seconds alone.
round=0
quiet=0
: > said
while [ ! -e rc ]; do
  if [ $((round % 10)) -eq 0 ] || [ $quiet -gt 40 ] || [ -n "$connected" ]; then clock=$(now); fi
  # Written in place and not renamed: if a reader opens the file, a network file system fetches its current content.
  if [ $((clock - beat)) -ge 2 ] || [ "$clock" -lt "$beat" ]; then beat=$clock; echo "$clock" > beat; fi
  report_news
  for why in outage lost; do [ ! -e $why ] || finish 0; done
  why=
  if [ -e stop ]; then why=cancelled; finish 143; fi
  if [ -z "$connected" ] && { [ $((round % 10)) -eq 0 ] || [ $quiet -gt 40 ] || [ log -nt said ]; }; then
    status_lines > said
    count=$(wc -l < said)
    if [ "$count" -gt "$reported" ]; then
      quiet=0
      while IFS= read -r line; do
        case $line in "Accepting connection(s): "*)
          listens_here "${line##*:}" || report "elsewhere ${line##*:}"
          echo "127.0.0.1:${line##*:}" > pvserver.new && mv pvserver.new pvserver;;
        esac
        report "said $line"
      done <<EOF
$(tail -n "+$((reported + 1))" said)
EOF
      reported=$count
    fi
    case $lines in *"said Client connected"*) connected=1; pause=1; continue;; esac
    waited=$((clock - began))
    [ $waited -lt "$idle_s" ] || { why=idle; finish 0; }
  fi
  round=$((round + 1)) quiet=$((quiet + 1))
  [ -n "$connected" ] || case $quiet in ? | 1?) pause=0.1;; 2? | 3?) pause=0.2;; *) pause=0.5;; esac
  if [ "$limit_s" -gt 0 ] && [ $((clock - began)) -ge "$limit_s" ]; then why=walltime; finish 1; fi
  sleep $pause 2>/dev/null || sleep 1
done

rc=$(cat rc)
status_lines | tail -n "+$((reported + 1))" > said
while IFS= read -r line; do report "said $line"; done < said
report_news
why=pvserver
[ ! -e outage ] || why=outage
finish "$rc"
