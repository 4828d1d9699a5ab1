# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints what tells the version of a pvserver, by the functions of answer.sh. plugins/module_utils/paraview/version_probe.py fills in the @NAMES@.

said=
known() { printf '%s' "$said" | grep -qiE -e '-pv[0-9]' -e '(paraview|pvserver)[^0-9]*[0-9]+\.[0-9]'; }
# Asks a command, where nothing is known yet.
ask() {
  if ! known && command -v "$1" >/dev/null 2>&1; then said=$(answer @SECONDS@ "$@" --version); fi
}

# BEGIN library
program=$(command -v @PROGRAM@ 2>/dev/null)
if [ -n "$program" ]; then
  for one in "$program" "$program-real"; do
    said=$(ldd "$one" 2>/dev/null | grep -m 1 -e 'vtkRemotingCore-pv' -e 'libvtk.*-pv[0-9]') && break
  done
fi
# END library
@ASK@
[ -z "$said" ] || printf '%s\n' "$said"
