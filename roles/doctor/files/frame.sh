# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Draws one frame in the same way as pvserver. It runs inside pvserver.sh, and uses its function `start` and its variables.
# plugins/module_utils/doctor/drawing.py fills in the @NAMES@.

draw_frame() {
  python=@PYTHON@
  if [ -n "$own" ]; then
    python=
    # shellcheck disable=SC2154 # pvserver.sh sets it
    name=$own_file
    for candidate in "${name%/*}"/@PVPYTHON@ "${name%/*}/pvpython" "$(readlink -f "$name" | sed "s,/[^/]*\$,,")/pvpython" "$(command -v @PVPYTHON@)" \
      "$(command -v pvpython)"; do
      if [ -n "$candidate" ] && [ -x "$candidate" ]; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then echo drawn - missing; return; fi
  fi
  [ -z "$xvfb" ] || echo drawn - xvfb
  code=0
  # shellcheck disable=SC2034 # start uses it
  (limit=@SECONDS@; start @WORDS@) > drawn.out 2> drawn.err < /dev/null || code=$?
  grep -a '^drawn ' drawn.out | head -n 5000
  echo "drawn - status $code"
  echo "drawn - lacks $(for tool in xvfb-run Xvfb xauth; do command -v "$tool" > /dev/null || echo "$tool"; done)"
  echo "drawn - said $(grep -aE 'ERR\||[Ee]rror|[Cc]annot|[Nn]ot found|[Nn]o such' drawn.err | head -n 1)"
}
(umask 077; draw_frame > drawn.new 2> /dev/null; mv drawn.new @SEEN@) || :
