# shellcheck shell=sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Lists the ParaViews that are installed on this host (Linux or macOS), with the functions of answer.sh.
# plugins/module_utils/paraview/installed.py fills in the @NAMES@ and reads the answer.

LC_ALL=C; export LC_ALL
newline='
'
seen='' calls=0

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

version() {
  file=$(real "$1") output=
  case $file in */Contents/MacOS/*) output=$(bundle "${file%/MacOS/*}/Info.plist");; esac
  for binary in "$file" "$file-real"; do
    [ -n "$output" ] || output=$({ ldd "$binary" || otool -L "$binary"; } 2>/dev/null | library)
  done
  prefix=${file%/*}/..
  # shellcheck disable=SC2012 # only the library's name is searched for in it
  case $file in *[pP]ara[vV]iew*/bin/*) [ -n "$output" ] || output=$(ls "$prefix/lib" "$prefix/lib64" 2>/dev/null | library);; esac
  if [ -z "$output" ] && [ $calls -lt 4 ]; then
    calls=$((calls + 1))
    output=$(answer @SECONDS@ "$1" --version)
    # Without a display, paraview may fail before it prints its version. The programs next to it need no display.
    for tool in pvpython pvbatch pvserver; do
      if printf '%s' "$output" | grep -qiE '(paraview|pvserver)[^0-9]*[0-9]+\.[0-9]'; then break; fi
      if [ -x "${file%/*}/$tool" ]; then output=$(answer @SECONDS@ "${file%/*}/$tool" --version); fi
    done
  fi
  printf '%s\n' "$output"
}

report() {
  if [ ! -f "$1" ] || [ ! -x "$1" ]; then return; fi
  case $1 in *[[:cntrl:]]*) return;; esac
  set -f; IFS=$newline
  for file in $seen; do [ "$file" -ef "$1" ] && { set +f; unset IFS; return; }; done
  set +f; unset IFS
  seen=$seen$newline$1
  printf '\n==program %s %s\n' "$2" "$1"
  version "$1"
}

# BEGIN search
set -f; IFS=:
# shellcheck disable=SC2086 # it is to be split
set -- $PATH
set +f; unset IFS
for directory in "$@"; do
  if [ -n "$seen" ]; then how=other; else how=path; fi
  case $directory in /*) report "$directory/paraview" $how;; esac
done
# On macOS, access to some of the other directories would prompt the user.
if [ "$(uname)" = Darwin ]; then set -- @BUNDLES@; else set -- @BUNDLES@ @PLACES@; fi
for program in "$@"; do report "$program" other; done
# END search

# BEGIN named
program=@PROGRAM@
if [ -d "$program" ]; then
  for file in "$program@IN_BUNDLE@" "$program/bin/paraview"; do [ -f "$file" ] && program=$file && break; done
fi
case $program in /*) ;; *) program=$(command -v -- "$program") || program=;; esac
case $program in /*) report "$program" named;; esac
# END named
