# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Defines the command `module`, if the host has it, and loads modules. If that fails, it prints why, and the script ends.
# plugins/module_utils/paraview/version_probe.py fills in the @NAMES@.

command -v module >/dev/null 2>&1 || { [ -r /etc/profile ] && . /etc/profile; } >/dev/null 2>&1 </dev/null
# BEGIN load
if module load @NAMES@ >/dev/null 2>&1 </dev/null; then :; else
  printf '==unloaded %s\n' "$(module load @NAMES@ 2>&1 </dev/null | tr -s '\n\r\t ' ' ' | head -c 600)"
  [ -z "$LMOD_CMD$LMOD_VERSION" ] || module spider @LAST@ 2>&1 </dev/null | sed -n '/need to load/,/^ *Help/s/^/==needs /p' | head -n 30
  exit 0
fi
# END load
