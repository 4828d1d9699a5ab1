# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The steps on the client host, if it is not the controller. Each call consists of the parts that it needs; a part comes after those it depends on.
# plugins/module_utils/client/remote.py fills in the @NAMES@.

# BEGIN where
mask=$(umask)
umask 077
state=${XDG_STATE_HOME:-$HOME/.local/state}/paraview-connect
# END where

# BEGIN started
# The start time of a process, in clock ticks, or as a date on a host without /proc. A later process with the same pid has another one.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 | grep . || ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _; }
# END started

# BEGIN keep
mkdir -p "$state" && cd "$state" || exit
# Who can write there can replace the script that ParaView runs at its start.
about=$(ls -ldn .)
case $about,$(echo "$about" | tr -s ' ' | cut -d' ' -f3) in
  d????-??-*,"$(id -u)") ;;
  *) echo "$state belongs to another account, or others can write to it: $about" >&2; exit 1 ;;
esac
rm -f @NAME@.connect_id && printf '%s\n' @CONNECT_ID@ > @NAME@.connect_id && pwd
# END keep

# BEGIN file
cd "$state" && rm -f @NAME@ && printf %s @TEXT@ > @NAME@ && printf '%s\n' "$(pwd)"/@NAME@
# END file

# BEGIN start
cd "$state" || exit
@EXPORTS@
rm -f @NAME@.client.log
if command -v setsid >/dev/null 2>&1; then leader='setsid'; else leader='nohup'; fi
(cd && umask "$mask" && exec $leader @COMMAND@) </dev/null >@NAME@.client.log 2>&1 9>&- &
printf '%s %s\n' $! "$(started $!)"
# END start

# BEGIN alive
[ "$(started @PID@)" = @START@ ] && echo alive
# END alive

# BEGIN end
alive() { [ "$(started @PID@)" = @START@ ]; }
for number in TERM KILL; do
  alive || break
  kill -$number -@PID@ 2>/dev/null || kill -$number @PID@
  n=0
  while alive && [ $n -lt 15 ]; do sleep 0.2 2>/dev/null || sleep 1; n=$((n + 1)); done
done
# END end

# BEGIN forget
cd "$state" && rm -f @NAME@.connect_id @NAME@.pvsc @NAME@.py @NAME@.client.log && cd .. && rmdir paraview-connect 2>/dev/null
# END forget

# BEGIN words
tail -c 4000 "$state"/@NAME@.client.log 2>/dev/null
# END words
