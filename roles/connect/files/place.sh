#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Reports who could replace a directory: it lists the directory and all above it, once as the path names them, once without symbolic links.
# plugins/module_utils/cluster/place.py fills in the @NAMES@ and reads the answer.

LC_ALL=C; export LC_ALL
part() { printf '\n==%s\n' "$1"; }
# Lists a path and all above it, and the same for the target of each link among them.
look() {
  links=0
  list "$1"
}
list() {
  set -- "$1" "$1"
  while :; do
    ls -ldn "$2"
    if [ -L "$2" ] && [ $links -lt 20 ]; then
      links=$((links + 1))
      target=$(readlink "$2")
      case $target in /*) ;; *) target=${2%/*}/$target;; esac
      list "$target"
    fi
    [ "$2" != / ] || break
    case $2 in */*) ;; *) break;; esac
    directory=${2%/*}
    set -- "$1" "${directory:-/}"
  done
}
part kind
if [ -d @PATH@ ]; then echo directory; elif [ -e @PATH@ ]; then echo other; else ls -ld @PATH@ 2>&1; fi
part own; ls -ldn @OWN@ 2>/dev/null
part writes; if [ -w @PATH@ ] && [ -x @PATH@ ]; then echo yes; fi
part user; id -u; id -g; id -un
part group; getent group "$(id -g)" 2>/dev/null
part named; look @PATH@
part real; real=$(cd -P @PATH@ && pwd -P) && look "$real"
part over
