# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The ParaViews that are installed where this runs, on Linux or macOS, by the functions of answer.sh.
# plugins/module_utils/paraview/installed.py fills in the @NAMES@ and reads the answer.

LC_ALL=C; export LC_ALL
newline='
'
seen='' asked=0

real() {
  file=$1 n=0
  while [ -L "$file" ] && [ $n -lt 20 ]; do
    to=$(readlink "$file") || break
    case $to in /*) file=$to;; *) file=${file%/*}/$to;; esac
    n=$((n + 1))
  done
  printf '%s\n' "$file"
}

library() { sed -n 's/.*\(lib[a-z][A-Za-z]*-pv[0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1; }

bundle() {
  { plutil -convert xml1 -o - "$1" || cat "$1"; } 2>/dev/null | tr '\n\r\t' '   ' |
    sed -n 's/.*<key>CFBundleShortVersionString<\/key> *<string> *\([0-9][^< ]*\).*/paraview version \1/p'
}

ask() {
  file=$(real "$1") said=
  case $file in */Contents/MacOS/*) said=$(bundle "${file%/MacOS/*}/Info.plist");; esac
  for one in "$file" "$file-real"; do
    [ -n "$said" ] || said=$({ ldd "$one" || otool -L "$one"; } 2>/dev/null | library)
  done
  prefix=${file%/*}/..
  # shellcheck disable=SC2012 # the library's name is looked for in it
  case $file in *[pP]ara[vV]iew*/bin/*) [ -n "$said" ] || said=$(ls "$prefix/lib" "$prefix/lib64" 2>/dev/null | library);; esac
  if [ -z "$said" ] && [ $asked -lt 4 ]; then
    asked=$((asked + 1))
    said=$(answer @SECONDS@ "$1" --version)
    # Without a display a ParaView may not get as far as that; what stands beside it needs none.
    for one in pvpython pvbatch pvserver; do
      if printf '%s' "$said" | grep -qiE '(paraview|pvserver)[^0-9]*[0-9]+\.[0-9]'; then break; fi
      if [ -x "${file%/*}/$one" ]; then said=$(answer @SECONDS@ "${file%/*}/$one" --version); fi
    done
  fi
  printf '%s\n' "$said"
}

found() {
  if [ ! -f "$1" ] || [ ! -x "$1" ]; then return; fi
  case $1 in *[[:cntrl:]]*) return;; esac
  set -f; IFS=$newline
  for one in $seen; do [ "$one" -ef "$1" ] && { set +f; unset IFS; return; }; done
  set +f; unset IFS
  seen=$seen$newline$1
  printf '\n==program %s %s\n' "$2" "$1"
  ask "$1"
}

# BEGIN search
set -f; IFS=:
# shellcheck disable=SC2086 # it is to be split
set -- $PATH
set +f; unset IFS
for directory in "$@"; do
  if [ -n "$seen" ]; then how=other; else how=path; fi
  case $directory in /*) found "$directory/paraview" $how;; esac
done
# macOS asks its user before a program may look into some of the others.
if [ "$(uname)" = Darwin ]; then set -- @BUNDLES@; else set -- @BUNDLES@ @PLACES@; fi
for one in "$@"; do found "$one" other; done
# END search

# BEGIN named
program=@PROGRAM@
if [ -d "$program" ]; then
  for one in "$program@IN_BUNDLE@" "$program/bin/paraview"; do [ -f "$one" ] && program=$one && break; done
fi
case $program in /*) ;; *) program=$(command -v -- "$program") || program=;; esac
case $program in /*) found "$program" named;; esac
# END named
