#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Sets up the environment, waits for the go file and becomes pvserver. plugins/module_utils/cluster/job_scripts.py fills in the @NAMES@, and leaves out
# the parts between BEGIN and END that a job does not need.

# Prints a port of a range on which no process of this host listens over IPv4.
free_port() {
  low=${1%-*} high=${1#*-}
  awk -v low="$low" -v high="$high" -v seed="$$" '
    function number(hex,  i, n) { n = 0; for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1; return n }
    $4 == "0A" { split($2, part, ":"); taken[number(part[2])] = 1 }
    END { srand(seed); n = high - low + 1; first = int(rand() * n)
          for (i = 0; i < n; i++) { port = low + (first + i) % n; if (!(port in taken)) { print port; exit 0 } }
          exit 1 }' /proc/net/tcp
}

# The process group, which is not led by this process if timeout started it.
{ read -r group < "/proc/$$/stat" && group=${group##*) } && group=${group#* } && group=${group#* } && group=${group%% *}; } 2>/dev/null
echo "${group:-$$}" > pid.new && mv pid.new pid
[ ! -e over ] || exit 143
# If job.sh ends in any way, so does this process group: the batch system may not know these processes.
[ -z "${2-}" ] || {
  if [ -p alive ]; then read -r _ <&8; else while kill -0 "$2"; do sleep 5; done; fi
  trap '' TERM
  kill -TERM 0
  sleep 3
  kill -KILL 0
} > /dev/null 2>&1 &
exec 8<&-
fault() { (umask 077; printf '%s\n' "$*" > fault.new; mv fault.new fault); }
# Files that the user saves get their mode from the user's own umask.
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
# pvserver starts in the home directory, so a relative path refers to that.
where() { (cd || :; command -v "$1") 2>/dev/null; }
# shellcheck disable=SC2043 # there may be several
for program in @NEEDED@; do
  if where "$program" > /dev/null; then continue; fi
  fault missing "$program"
  echo "$program: not found on $(hostname), PATH is $PATH"
  exit 127
done

# pvserver on this host. It is empty if pvserver is in a container, or behind a wrapper that may start any pvserver: no file of this host shows anything then.
own_file=@OWN_FILE@
[ -z "$own_file" ] || own_file=$(where "$own_file") || :
case $own_file in /* | '') ;; *) own_file=$HOME/$own_file;; esac

# Runs a command from the home directory for at most 20 s, and keeps its output in $answer. A daemon that it starts may keep the output open for ever
# (OpenMPI's does), so the output goes to a file.
ask() {
  (umask 077; : > answer)
  code=0
  { (cd || :; exec timeout -k 5 20 "$@") < /dev/null; } > answer 2>&1 || code=$?
  answer=$(cat answer)
  rm -f answer
  return $code
}
answer=''

# Whether pvserver has an option. A search in its library is a second faster than pvserver --help, which is asked of the command as it is.
has_option() {
  [ -n "$own_file" ] && [ -z "$library" ] && library=$(ldd "$own_file" 2>/dev/null | sed -n 's/.*=> \([^ ]*vtkRemotingCore[^ ]*\).*/\1/p' | head -n 1)
  if [ -n "$library" ]; then grep -qaFe "$1" "$library"; return; fi
  if [ -z "$asked" ]; then
    asked=1
    set -- "$1" @ASKED@
    option=$1
    shift
    [ $# -eq 0 ] || { ask "$@" --help || :; help=$answer; }
    set -- "$option"
  fi
  case $help in *"$1"*) ;; *) return 1;; esac
}
library='' help='' asked=''

# Whether pvserver can run the program that prints the minutes left. A container need not have the session's directory, so the program runs there once.
can_run_left() {
  if [ -n "$own_file" ]; then
    # The pvserver of a module may be a script that starts a container.
    case $(head -c 2 "$own_file" 2>/dev/null) in '#!') ;; *) return 0;; esac
    ! grep -qawE '@OTHER_ROOTS@' "$own_file"
    return
  fi
  set -- @INSIDE@
  [ $# -gt 0 ] || return 1
  ask "$@" || :
  case $(printf '%s\n' "$answer" | tail -n 1) in '' | *[!0-9]*) return 1;; esac
}

# Becomes the command in its arguments, started in the same way as pvserver; if $limit is set, for at most so many seconds.
# The command is built from its end to its beginning, so that IFS, which a set-up may have changed, does not matter.
start() {
  if [ -n "$own" ] && [ -e @RANK@ ]; then set -- sh @RANK@ "$@"; fi
  if [ -n "$window" ]; then set -- env "VTK_DEFAULT_OPENGL_WINDOW=$window" "$@"; fi
  # If a signal ends xvfb-run, its directory stays, so that is in the session's directory.
  if [ -n "$xvfb" ]; then set -- env TMPDIR=@DIR@ xvfb-run -a -s -noreset env "TMPDIR=${TMPDIR-/tmp}" "$@"; fi
  set -- @LAUNCHER@ "$@"
  if [ -n "$limit" ]; then set -- timeout --foreground -k 5 "$limit" "$@"; fi
  exec "$@"
}
xvfb='' window='' limit='' own=@OWN@

# BEGIN look
backends='' selectable='' opengl='' linked=''

# Finds out which of EGL, OSMesa and GLX pvserver was built for; $backends stays empty if that cannot be determined. Only the library that defines a class
# contains the name of the class with its length in front. If the program is a wrapper script, the binary may be next to it.
check_build() {
  name=$own_file
  [ -n "$name" ] || return 0
  for file in "$name" "$name-real" "${name%/*}/.${name##*/}-wrapped"; do
    [ -f "$file" ] || continue
    linked=$(ldd "$file" 2>/dev/null) || :
    opengl=$(printf '%s\n' "$linked" | sed -n 's/.*=> \(.*libvtkRenderingOpenGL2[-.][^ ]*\).*/\1/p' | head -n 1) || :
    # has_option() then need not run ldd again.
    [ -n "$library" ] || library=$(printf '%s\n' "$linked" | sed -n 's/.*=> \([^ ]*vtkRemotingCore[^ ]*\).*/\1/p' | head -n 1) || :
    [ -n "$opengl" ] || opengl=$file
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
  if grep -qaFe VTK_DEFAULT_OPENGL_WINDOW "$opengl" 2>/dev/null; then selectable=1; fi
  case $linked in *-pv[6-9].* | *-pv[1-9][0-9].*) selectable=1;; esac
  if [ -z "$selectable" ]; then backends=${backends# } backends=" ${backends%% *}"; fi
}

built_for() { case "$backends " in *" $1 "*) ;; *) return 1;; esac; }

# Whether an X server answers at DISPLAY. If no tool can check it, the answer is yes.
display_answers() {
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

# The same, but waits some seconds for a server that the set-up has started.
display_answers_soon() {
  if display_answers; then return; fi
  case ${DISPLAY-} in "$inherited") return 1;; :*) ;; *) return 1;; esac
  tries=0
  while [ $tries -lt 20 ]; do
    sleep 0.5 2>/dev/null || sleep 1
    if display_answers; then return; fi
    tries=$((tries + 1))
  done
  return 1
}

# Whether a library that pvserver loads when it draws is installed here: in the loader's directories, and in those built into pvserver's own libraries.
library_found() {
  while IFS= read -r directory; do
    for file in "$directory/$1".so*; do [ ! -e "$file" ] || return 0; done
  done <<EOF
$(printf '%s' "${LD_LIBRARY_PATH-}" | tr : '\n')
${opengl%/*}
$(printf '%s\n' "$linked" | sed -n 's,.*=> \(/.*\)/[^/]*,\1,p' | sort -u)
$(LC_ALL=C grep -aohE '(/[[:alnum:]_.+@=-]+)*/lib[[:alnum:]_.+@=/-]*' "$opengl" "${opengl%/*}"/libvtkglad* 2>/dev/null | sort -u)
EOF
  # Only a list without the library proves that it is missing.
  listed=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null) || return 0
  case $listed in *"$1.so"* | '') ;; *) return 1;; esac
}

# The first program that is missing here for an own Xvfb.
missing_for_xvfb() { for tool in xvfb-run Xvfb xauth; do command -v "$tool" > /dev/null 2>&1 || { echo "$tool"; return; }; done; }
report_display() { (umask 077; printf 'display %s\n' "$*" > new.display; mv new.display news.display); }
refuse() { fault rendering @RENDERING@ "$@"; echo "paraview_rendering @RENDERING@: $*"; exit 95; }
# END look

# BEGIN auto
check_build
if [ -n "$backends" ] && ! display_answers_soon; then
  # DISPLAY may come from the login node. It does not work here, and waiting for it does not help.
  unset DISPLAY
  if [ "$backends" = " GLX" ] || { built_for GLX && ! { built_for EGL && library_found libEGL; } && ! { built_for OSMesa && library_found libOSMesa; }; }; then
    missing=$(missing_for_xvfb)
    if [ -z "$missing" ]; then xvfb=1; report_display xvfb; else report_display none "$missing"; fi
  fi
fi
# END auto

# BEGIN glx
check_build
# shellcheck disable=SC2086 # each is a word
[ -z "$backends" ] || built_for GLX || refuse build $backends
display_answers_soon || refuse display "${DISPLAY-}"
window=vtkXOpenGLRenderWindow
# END glx

# BEGIN headless
check_build
# shellcheck disable=SC2086 # each is a word
[ -z "$backends" ] || built_for @BACKEND@ || refuse build $backends
[ -z "$selectable" ] || library_found lib@BACKEND@ || refuse library lib@BACKEND@
display_answers_soon || unset DISPLAY
window=@WINDOW@
# END headless

# BEGIN xvfb
missing=$(missing_for_xvfb)
[ -z "$missing" ] || refuse program "$missing"
xvfb=1
# END xvfb

@LOOK@

# BEGIN lifeline
# The agent needs Python 3.6 or newer, which may be ParaView's own. With 3.13 or newer it can encrypt.
news() { (umask 077; printf '%s\n' "$2" > "new.$1"; mv "new.$1" "news.$1"); }
agent_python=
for python in python3.14 python3.13 python3 /usr/bin/python3 /usr/libexec/platform-python pvpython; do
  python=$(command -v "$python") || continue
  case $python in *pvpython) isolated=;; *) isolated=-IS;; esac
  # shellcheck disable=SC2086 # it may be none
  case $(timeout 60 "$python" $isolated ./paraview-lifeline --version 2>/dev/null < /dev/null) in [0-9]*) agent_python=$python; break;; esac
done
if [ -n "$agent_python" ]; then news python "lifeline $agent_python"; else news python lifeline; fi

# Runs an agent, which serves one connection of ParaView's. Exit status 4: the outage lasted too long, and the job ends too.
run_agent() {
  # shellcheck disable=SC2086 # it may be none
  "$agent_python" $isolated ./paraview-lifeline agent --key key --wait 0 --outage @OUTAGE@ "$@" > agent.new 2>> agent.log < /dev/null
  case $? in 0) ;; 4) : > outage; exit;; *) news line "agent $(tail -n 1 agent.log)"; : > failed; exit;; esac
  [ ! -e over ] || exit
}

agent_port() { sed -n "s/^$1 .*:\([0-9]*\)\$/\1/p" agent.new 2>/dev/null | grep .; }
await_agent() {
  tries=0
  until [ -s agent.new ] && port=$(agent_port "$1"); do
    [ ! -e failed ] || exit 97
    [ $tries -lt 300 ] || { news line "agent it does not report a port"; exit 97; }
    sleep 0.1 2>/dev/null || sleep 1
    tries=$((tries + 1))
  done
  news line "agent $2 $port"
}
# END lifeline

# If pvserver has this option (5.10 or newer), the client warns its user before the wall time ends. The user's own limit stays.
own_limit=@OWN_LIMIT@
if [ -x left ] && [ -z "$own_limit" ] && has_option --timeout-command && can_run_left; then warning=--timeout-command=@DIR@/left; else warning=; fi

pause=0.1
tries=0
set +f
until [ -e go ]; do
  # A list of the directory, without a process: a network file system may not look for a new file otherwise.
  : ./*
  sleep $pause 2>/dev/null || sleep 1
  tries=$((tries + 1))
  case $tries in 10) pause=0.2;; 20) pause=0.5;; 40) pause=1;; esac
done
set --
# shellcheck disable=SC2030,SC2031 # the port of @take stays in its own process
while IFS= read -r argument; do
  case $argument in
    # BEGIN lifeline
    # The first line may be for the agent. @take ADDRESS PORT(S): the agent listens there for the stub. @make: the agent connects to the stub.
    # While pvserver waits for another connection, the next agent listens on the same address and port.
    @take\ *)
      set -f
      # shellcheck disable=SC2086 # it is to be split
      set -- ${argument#@take }
      set +f
      address=$1 port=$2
      case $port in *-*) port=$(free_port "$2") || { fault ports "$2"; exit 98; };; esac
      (umask 077
       while :; do
         run_agent --to @pvserver --line-listen "$address:$port"
         [ "$port" != 0 ] || port=$(agent_port line)
         sleep 0.2 2>/dev/null || sleep 1
       done) &
      (await_agent line "$address") &
      set --; continue;;
    @make)
      (umask 077; run_agent --listen 127.0.0.1:0 --line-to @line) &
      await_agent listening 127.0.0.1
      continue;;
    --server-port=@agent) set -- "$@" "--server-port=$port"; continue;;
    # END lifeline
    \?--*) argument=${argument#\?}; has_option "${argument%%=*}" || continue;;
    --server-port=*-*)
      port=$(free_port "${argument#*=}") || { fault ports "${argument#*=}"; exit 98; }
      argument=--server-port=$port;;
  esac
  set -- "$@" "$argument"
done < go
rm -f go
(umask 077; : > started)
[ -z "$warning" ] || set -- "$@" "$warning"
cd || :
start @PVSERVER@ "$@"
