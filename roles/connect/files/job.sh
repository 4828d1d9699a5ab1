#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What a batch system runs: it reports, keeps the time and ends what it started. plugins/module_utils/cluster/job_scripts.py fills in the @NAMES@.
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

# If pvserver is just writing, the last line is not complete.
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
# shellcheck disable=SC2329 # trap calls it
stopped() {
  why=cancelled
  [ "$late_s" -eq 0 ] || [ $(($(now) - began)) -lt "$late_s" ] || why=walltime
  ended 143
}

@JOB_SETUP@
idle_s=@IDLE@ limit_s=@LIMIT@ walltime_s=@WALLTIME@ late_s=@LATE@
began=$(now)
trap stopped HUP INT TERM USR1 USR2 XCPU
if [ "$walltime_s" -gt 0 ]; then
  # shellcheck disable=SC2016 # the program that is written expands it
  printf '#!/bin/sh\nleft=$(((%s - $(date +%%s)) / 60))\n[ $left -gt 0 ] || left=0\necho $left\n' $((began + walltime_s)) > left && chmod 700 left
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
    [ $waited -lt "$idle_s" ] || { why=idle; ended 0; }
  fi
  if [ "$limit_s" -gt 0 ] && [ $((clock - began)) -ge "$limit_s" ]; then why=walltime; ended 1; fi
  sleep $pause 2>/dev/null || sleep 1
done

rc=$(cat rc)
tell | tail -n "+$((said + 1))" > said
while IFS= read -r line; do report "said $line"; done < said
hear
why=pvserver
[ ! -e outage ] || why=outage
ended "$rc"
