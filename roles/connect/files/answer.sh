# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# answer SECONDS COMMAND...: those lines of a command's output that may tell a version or what is wrong, at last how it ended. The command has
# no input, no terminal and a process group of its own; whatever it leaves behind is ended. Where there is no timeout (macOS), a clock ends it.
# plugins/module_utils/paraview/version_probe.py fills in the @NAMES@.

bounded() (
  mark=@MARK@.$$.$(date +%s) seconds=$1 clock=; shift
  # shellcheck disable=SC3045 # each shell that is met has it
  ulimit -c 0
  if command -v timeout >/dev/null; then
    env PARAVIEW_ASKED="$mark" timeout -k 2 "$seconds" "$@" </dev/null 2>&1 & asked=$!
  else
    set -m
    env PARAVIEW_ASKED="$mark" "$@" </dev/null 2>&1 & asked=$!
    {
      sleep "$seconds"; kill -TERM "-$asked" || kill -TERM "$asked"
      sleep 2; kill -KILL "-$asked" || kill -KILL "$asked"
    } </dev/null >/dev/null 2>&1 & clock=$!
    set +m
  fi
  wait "$asked"; code=$?
  [ -z "$clock" ] || kill -KILL "-$clock" || kill -KILL "$clock"
  # Such as a display, which takes its files away if it may.
  for pause in 0.1 0.2 0.3 0.5; do kill -TERM "-$asked" || break; sleep $pause; done
  kill -KILL "-$asked"
  # A process that is just becoming another program has no environment for a moment.
  for pause in 0.05 0.1 0.2; do
    left=$(grep -lsa "PARAVIEW_ASKED=$mark" /proc/[0-9]*/environ)
    for one in $left; do one=${one#/proc/}; kill -KILL "${one%/*}"; done
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
