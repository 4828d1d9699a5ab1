# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Facts that only the node itself can report. It runs in the job's set-up, and writes the file `doctor` in the session's directory.
# plugins/module_utils/doctor/probes.py fills in the @NAMES@.

doctor() {
  p=$(command -v @PROGRAM@ 2>/dev/null)
  [ -n "$p" ] && echo "pvserver $p" || echo "pvserver"
  [ -z "$p" ] || ldd "$p" 2>/dev/null | sed -n 's/^[[:space:]]*\(.*\) => not found.*/missing \1/p'
  if [ -n "$DISPLAY" ] || command -v xvfb-run >/dev/null 2>&1; then echo "display yes"; else echo "display no"; fi
  # shellcheck disable=SC2043 # there may be several
  for end in @ENDS@; do
    # shellcheck disable=SC2016 # the inner shell expands it
    if timeout 5 /bin/bash -c 'exec 3<>"/dev/tcp/${1%:*}/${1##*:}"' bash "$end" 2>/dev/null; then echo "dial $end yes"; else echo "dial $end no"; fi
  done
}
(umask 077; doctor > @DIRECTORY@/doctor.new 2>/dev/null; mv @DIRECTORY@/doctor.new @DIRECTORY@/doctor)
