#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints environment variables as the user's login shell has them. plugins/module_utils/cluster/place.py fills in the @NAMES@ and reads the answer.

limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 2 "$@"; else shift; "$@"; fi; }
shell=$(getent passwd "$(id -un)" 2>/dev/null | cut -d: -f7)
shell=${shell:-${SHELL:-/bin/sh}}
# Start-up files of the shell may print anything. Only what comes behind this word is the answer.
PARAVIEW_MARK=paraview.$$.$(date +%s)
# shellcheck disable=SC2016,SC2089 # the shell that the login shell becomes expands it
PARAVIEW_ASK='for name in @VARIABLES@; do
eval "value=\${$name-}"
printf "\n%s %s\n%s\n%s end\n" "$PARAVIEW_MARK" "$name" "$value" "$PARAVIEW_MARK"
done
printf "\n%s over\n" "$PARAVIEW_MARK"'
# shellcheck disable=SC2090
export PARAVIEW_MARK PARAVIEW_ASK
# shellcheck disable=SC2016 # the same
command='exec /bin/sh -c '\''eval "$PARAVIEW_ASK"'\'
printf '%s\n%s\n' "$PARAVIEW_MARK" "$shell"
case ${shell##*/} in
  # A C shell is a login shell only without further options. Its start-up files may read from standard input: empty lines are for them.
  *csh) printf '\n\n\n\n\n%s\n' "$command" | limit 20 "$shell" -l 2>/dev/null;;
  fish) limit 20 "$shell" -l -c "$command" </dev/null 2>/dev/null;;
  # A variable that the start-up files set without export counts too.
  *) limit 20 "$shell" -l -c "export @VARIABLES@; $command" </dev/null 2>/dev/null;;
esac | sed -n "/^$PARAVIEW_MARK over/q; /^$PARAVIEW_MARK /,/^$PARAVIEW_MARK over/p"
