# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# answer SECONDS COMMAND...: prints the lines of a command's output that may contain a version or an error, then the command's exit status. The command
# has no input, no terminal and its own process group. Processes that it leaves behind are ended. On a host without timeout (macOS), a timer ends it.
# plugins/module_utils/paraview/version_probe.py fills in the @NAMES@.

bounded() (
  mark=@MARK@.$$.$(date +%s) seconds=$1 timer=; shift
  # shellcheck disable=SC3045 # every shell in use has it
  ulimit -c 0
  if command -v timeout >/dev/null; then
    env PARAVIEW_ASKED="$mark" timeout -k 2 "$seconds" "$@" </dev/null 2>&1 & command_pid=$!
  else
    set -m
    env PARAVIEW_ASKED="$mark" "$@" </dev/null 2>&1 & command_pid=$!
    {
      sleep "$seconds"; kill -TERM "-$command_pid" || kill -TERM "$command_pid"
      sleep 2; kill -KILL "-$command_pid" || kill -KILL "$command_pid"
    } </dev/null >/dev/null 2>&1 & timer=$!
    set +m
  fi
  wait "$command_pid"; code=$?
  [ -z "$timer" ] || kill -KILL "-$timer" || kill -KILL "$timer"
  # SIGTERM first, so that a process such as an X server can remove its files.
  for pause in 0.1 0.2 0.3 0.5; do kill -TERM "-$command_pid" || break; sleep $pause; done
  kill -KILL "-$command_pid"
  # During exec a process has no readable environment for a moment.
  for pause in 0.05 0.1 0.2; do
    left=$(grep -lsa "PARAVIEW_ASKED=$mark" /proc/[0-9]*/environ)
    for file in $left; do file=${file#/proc/}; kill -KILL "${file%/*}"; done
    if [ -z "$left" ] && [ $pause != 0.05 ]; then break; fi
    sleep $pause
  done
  printf '\n==ended %s\n' "$code"
) 2>/dev/null

answer() {
  # shellcheck disable=SC2020 # both become newlines
  bounded "$@" | head -c 50000000 | tr '\000\r' '\n\n' | { fold -b -w 4000 2>/dev/null || cat; } |
    grep -aiE '@LINES@' | tail -n 40
}
