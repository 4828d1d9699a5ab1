#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the environment, waits for the go file and becomes pvserver. plugins/module_utils/cluster/job_scripts.py fills in the @NAMES@, and leaves out the
# parts between BEGIN and END that a job does without.

# Picks a port of a range that nobody listens on over IPv4 here.
free_port() {
  low=${1%-*} high=${1#*-}
  awk -v low="$low" -v high="$high" -v seed="$$" '
    function number(hex,  i, n) { n = 0; for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1; return n }
    $4 == "0A" { split($2, part, ":"); taken[number(part[2])] = 1 }
    END { srand(seed); n = high - low + 1; first = int(rand() * n)
          for (i = 0; i < n; i++) { port = low + (first + i) % n; if (!(port in taken)) { print port; exit 0 } }
          exit 1 }' /proc/net/tcp
}

echo $$ > pid.new && mv pid.new pid
[ ! -e over ] || exit 143
fault() { (umask 077; printf '%s\n' "$*" > fault.new; mv fault.new fault); }
# What the user saves has the rights that the user's own umask gives.
umask "$1"
inherited=${DISPLAY-}

# BEGIN modules
command -v module > /dev/null 2>&1 || { [ -r /etc/profile ] && . /etc/profile; } > /dev/null 2>&1
# shellcheck disable=SC2043 # there may be several
for name in @MODULES@; do
  module load "$name" || { fault module "$name"; exit 96; }
done
# END modules

@SETUP@
cd @DIR@ || exit 1
if ! command -v @PROGRAM@ > /dev/null 2>&1; then
  fault missing @PROGRAM@
  echo @PROGRAM@: not found on "$(hostname)", PATH is "$PATH"
  exit 127
fi

# Whether pvserver has an option. Its library tells a second sooner than itself.
knows() {
  # shellcheck disable=SC2194 # it is filled in
  case @PROGRAM@ in pvserver* | */pvserver*) ;; *) return 1;; esac
  [ -n "$library" ] || library=$(ldd "$(command -v @PROGRAM@)" 2>/dev/null | sed -n 's/.*=> \([^ ]*vtkRemotingCore[^ ]*\).*/\1/p' | head -n 1)
  if [ -n "$library" ]; then grep -qaFe "$1" "$library"; return; fi
  [ -n "$help" ] || help=$(timeout 20 @PROGRAM@ --help < /dev/null 2>&1)
  case $help in *"$1"*) ;; *) return 1;; esac
}
library='' help=''

# Becomes what stands behind it, started as pvserver is started; with $limit for so many seconds.
# The words are put together from behind, whatever a set-up has made of IFS.
start() {
  if [ -n "$own" ] && [ -e @RANK@ ]; then set -- sh @RANK@ "$@"; fi
  if [ -n "$window" ]; then set -- env "VTK_DEFAULT_OPENGL_WINDOW=$window" "$@"; fi
  if [ -n "$xvfb" ]; then set -- xvfb-run -a -s -noreset "$@"; fi
  set -- @LAUNCHER@ "$@"
  if [ -n "$limit" ]; then set -- timeout --foreground -k 5 "$limit" "$@"; fi
  exec "$@"
}
xvfb='' window='' limit='' own=@OWN@

# BEGIN look
backends='' chooses='' opengl='' linked=''

# A class's name with its length before it is in the one library that has the class, and in no script.
# What pvserver was built for, of EGL, OSMesa and GLX; nothing where that cannot be seen. A script may have the program proper beside it.
look_at_build() {
  name=$(command -v @PROGRAM@) || return 0
  for one in "$name" "$name-real" "${name%/*}/.${name##*/}-wrapped"; do
    [ -f "$one" ] || continue
    linked=$(ldd "$one" 2>/dev/null) || :
    opengl=$(printf '%s\n' "$linked" | sed -n 's/.*=> \(.*libvtkRenderingOpenGL2[-.][^ ]*\).*/\1/p' | head -n 1) || :
    # So that it is not asked for twice.
    [ -n "$library" ] || library=$(printf '%s\n' "$linked" | sed -n 's/.*=> \([^ ]*vtkRemotingCore[^ ]*\).*/\1/p' | head -n 1) || :
    [ -n "$opengl" ] || opengl=$one
    for class in EGL:18vtkEGLRenderWindow OSMesa:23vtkOSOpenGLRenderWindow GLX:22vtkXOpenGLRenderWindow; do
      if grep -qaFe "${class#*:}" "$opengl" 2>/dev/null; then backends="$backends ${class%%:*}"; fi
    done
    if [ -z "$backends" ]; then
      case $linked in
        *-pv[6-9].* | *-pv[1-9][0-9].*) backends=" EGL OSMesa GLX";;
        *libOSMesa*) backends=" OSMesa";;
        *libEGL.so*) backends=" EGL";;
        *libGLX.so* | *libGL.so*) backends=" GLX";;
      esac
    fi
    [ -z "$backends" ] || break
  done
  [ -n "$backends" ] || return 0
  if grep -qaFe VTK_DEFAULT_OPENGL_WINDOW "$opengl" 2>/dev/null; then chooses=1; fi
  case $linked in *-pv[6-9].* | *-pv[1-9][0-9].*) chooses=1;; esac
  if [ -z "$chooses" ]; then backends=${backends# } backends=" ${backends%% *}"; fi
}

has() { case "$backends " in *" $1 "*) ;; *) return 1;; esac; }

# Whether an X server answers at DISPLAY. Where that cannot be asked, whoever set it is believed.
answers() {
  case ${DISPLAY-} in *:[0-9]*) ;; *) return 1;; esac
  code=127
  if command -v xdpyinfo > /dev/null 2>&1; then code=0; timeout 10 xdpyinfo > /dev/null 2>&1 < /dev/null || code=$?; fi
  case $code in 126 | 127) ;; *) return $code;; esac
  screen=${DISPLAY##*:} screen=${screen%%.*}
  case $screen in *[!0-9]* | 0?*) return 1;; esac
  # shellcheck disable=SC2016 # the inner shell expands it
  case ${DISPLAY%:*} in
    '' | unix) grep -q "/tmp/\.X11-unix/X$screen\$" /proc/net/unix;;
    */*) [ -S "$DISPLAY" ];;
    *) code=0; timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1"' "${DISPLAY%:*}" $((6000 + screen)) 2>/dev/null || code=$?
       case $code in 0 | 126 | 127) ;; *) return 1;; esac;;
  esac
}

# The same of a server that the set-up has started, which may take some seconds.
answers_soon() {
  if answers; then return; fi
  case ${DISPLAY-} in "$inherited") return 1;; :*) ;; *) return 1;; esac
  tries=0
  while [ $tries -lt 20 ]; do
    sleep 0.5 2>/dev/null || sleep 1
    if answers; then return; fi
    tries=$((tries + 1))
  done
  return 1
}

# Whether a library that pvserver loads as it draws can be found here: where the loader looks, and what was built into pvserver's own libraries looks.
found() {
  while IFS= read -r place; do
    for file in "$place/$1".so*; do [ ! -e "$file" ] || return 0; done
  done <<EOF
$(printf '%s' "${LD_LIBRARY_PATH-}" | tr : '\n')
${opengl%/*}
$(printf '%s\n' "$linked" | sed -n 's,.*=> \(/.*\)/[^/]*,\1,p' | sort -u)
$(LC_ALL=C grep -aohE '(/[[:alnum:]_.+@=-]+)*/lib[[:alnum:]_.+@=/-]*' "$opengl" "${opengl%/*}"/libvtkglad* 2>/dev/null | sort -u)
EOF
  # Only a list that does not have it is a no.
  listed=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null) || return 0
  case $listed in *"$1.so"* | '') ;; *) return 1;; esac
}

# What an Xvfb of one's own needs and is not here.
missing_for_xvfb() { for one in xvfb-run Xvfb xauth; do command -v "$one" > /dev/null 2>&1 || { echo "$one"; return; }; done; }
tell_display() { (umask 077; printf 'display %s\n' "$*" > new.display; mv new.display news.display); }
cannot() { fault rendering @WISH@ "$@"; echo "paraview_rendering @WISH@: $*"; exit 95; }
# END look

# BEGIN auto
look_at_build
if [ -n "$backends" ] && ! answers_soon; then
  # A display of the login node's is of no use here, and waiting for it is none either.
  unset DISPLAY
  if [ "$backends" = " GLX" ] || { has GLX && ! { has EGL && found libEGL; } && ! { has OSMesa && found libOSMesa; }; }; then
    lacks=$(missing_for_xvfb)
    if [ -z "$lacks" ]; then xvfb=1; tell_display xvfb; else tell_display none "$lacks"; fi
  fi
fi
# END auto

# BEGIN glx
look_at_build
# shellcheck disable=SC2086 # each is a word
[ -z "$backends" ] || has GLX || cannot build $backends
answers_soon || cannot display "${DISPLAY-}"
window=vtkXOpenGLRenderWindow
# END glx

# BEGIN headless
look_at_build
# shellcheck disable=SC2086 # each is a word
[ -z "$backends" ] || has @BACKEND@ || cannot build $backends
[ -z "$chooses" ] || found lib@BACKEND@ || cannot library lib@BACKEND@
answers_soon || unset DISPLAY
window=@WINDOW@
# END headless

# BEGIN xvfb
lacks=$(missing_for_xvfb)
[ -z "$lacks" ] || cannot program "$lacks"
xvfb=1
# END xvfb

@LOOK@

# BEGIN lifeline
# The agent needs a Python of 3.6 or newer; ParaView's own will do. From 3.13 it can encrypt.
news() { (umask 077; printf '%s\n' "$2" > "new.$1"; mv "new.$1" "news.$1"); }
agent=
for python in python3.14 python3.13 python3 /usr/bin/python3 /usr/libexec/platform-python pvpython; do
  python=$(command -v "$python") || continue
  case $python in *pvpython) isolated=;; *) isolated=-IS;; esac
  # shellcheck disable=SC2086 # it may be none
  case $(timeout 60 "$python" $isolated ./paraview-lifeline --version 2>/dev/null < /dev/null) in [0-9]*) agent=$python; break;; esac
done
if [ -n "$agent" ]; then news python "lifeline $agent"; else news python lifeline; fi

# One serves one connection of ParaView's. Where it came to its end because nobody was there any more, the job goes with it.
agent() {
  # shellcheck disable=SC2086 # it may be none
  "$agent" $isolated ./paraview-lifeline agent --key key --wait 0 --outage @OUTAGE@ "$@" > agent.new 2>> agent.log < /dev/null
  case $? in 0) ;; 4) : > outage; exit;; *) news line "agent $(tail -n 1 agent.log)"; : > failed; exit;; esac
  [ ! -e over ] || exit
}

said() { sed -n "s/^$1 .*:\([0-9]*\)\$/\1/p" agent.new 2>/dev/null | grep .; }
await_agent() {
  tries=0
  until port=$(said "$1"); do
    [ ! -e failed ] || exit 97
    [ $tries -lt 300 ] || { news line "agent it says nothing"; exit 97; }
    sleep 0.1 2>/dev/null || sleep 1
    tries=$((tries + 1))
  done
  news line "agent $2 $port"
}
# END lifeline

# The client warns its user of the end of the wall time where pvserver can tell it (from 5.10).
if [ -x left ] && knows --timeout-command; then warning=--timeout-command=@DIR@/left; else warning=; fi

pause=0.1
tries=0
until [ -e go ]; do
  ls . > /dev/null
  sleep $pause 2>/dev/null || sleep 1
  tries=$((tries + 1))
  [ $tries -lt 300 ] || pause=1
done
set --
# shellcheck disable=SC2030,SC2031 # the port of @take stays in its own process
while IFS= read -r argument; do
  case $argument in
    # BEGIN lifeline
    # The first line may be of the agent: @take ADDRESS PORT(S), where the line comes to it, or @make, where it makes the line.
    # While pvserver waits for another connection, the next agent is where the first one was.
    @take\ *)
      set -f
      # shellcheck disable=SC2086 # it is to be split
      set -- ${argument#@take }
      set +f
      address=$1 port=$2
      case $port in *-*) port=$(free_port "$2") || { fault ports "$2"; exit 98; };; esac
      (umask 077
       while :; do
         agent --to @pvserver --line-listen "$address:$port"
         [ "$port" != 0 ] || port=$(said line)
         sleep 0.2 2>/dev/null || sleep 1
       done) &
      (await_agent line "$address") &
      set --; continue;;
    @make)
      (umask 077; agent --listen 127.0.0.1:0 --line-to @line) &
      await_agent listening 127.0.0.1
      continue;;
    --server-port=@agent) set -- "$@" "--server-port=$port"; continue;;
    # END lifeline
    \?--*) argument=${argument#\?}; knows "${argument%%=*}" || continue;;
    --server-port=*-*)
      port=$(free_port "${argument#*=}") || { fault ports "${argument#*=}"; exit 98; }
      argument=--server-port=$port;;
  esac
  set -- "$@" "$argument"
done < go
rm -f go
[ -z "$warning" ] || set -- "$@" "$warning"
cd || :
start @PVSERVER@ "$@"
