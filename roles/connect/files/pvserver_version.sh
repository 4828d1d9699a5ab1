# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints output that contains the version of a pvserver, with the functions of answer.sh. plugins/module_utils/paraview/version_probe.py fills in the @NAMES@.

output=
has_version() { printf '%s' "$output" | grep -qiE -e '-pv[0-9]' -e '(paraview|pvserver)[^0-9]*[0-9]+\.[0-9]'; }
# Runs a command with --version unless the version was already found.
ask() {
  if ! has_version && command -v "$1" >/dev/null 2>&1; then output=$(answer @SECONDS@ "$@" --version); fi
}

# BEGIN library
program=$(command -v @PROGRAM@ 2>/dev/null)
if [ -n "$program" ]; then
  for binary in "$program" "$program-real"; do
    output=$(ldd "$binary" 2>/dev/null | grep -m 1 -e 'vtkRemotingCore-pv' -e 'libvtk.*-pv[0-9]') && break
  done
fi
# END library
@ASK@
[ -z "$output" ] || printf '%s\n' "$output"
