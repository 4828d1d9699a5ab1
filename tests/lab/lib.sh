# shellcheck shell=bash disable=SC2034
# What the lab's commands share: its names, its lock, its cgroup, waiting. Sourced, not run.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=${PARAVIEW_LAB_DIR:-/var/lib/sciviz-paraview-lab}
SUITES=(bookworm trixie forky)  # the lab's generations; the first one is the main one
SUITE=${PARAVIEW_LAB_SUITE:-${SUITES[0]}}
IMAGE=$LAB/$SUITE               # root, workstation, data, stamp: made by base
NAME=sciviz-paraview-lab${PARAVIEW_LAB_NAME:+.$PARAVIEW_LAB_NAME}   # of the cgroup, the tmpfs and the namespaces
RUN=/run/$NAME                  # a tmpfs: everything of the lab that runs
LOCK=/run/$NAME.lock
# What boots with the lab; oldlogin joins where a test asks for it.
HOSTS=(workstation firewall login login2 compute1 compute2)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

say() { printf 'lab: %s\n' "$*"; }
die() { printf 'lab: %s\n' "$*" >&2; exit 1; }
on() { "$HERE/on" "$@"; }
netns() { echo "$NAME-$1"; }

need_suite() {
    [[ $NAME =~ ^[a-z-]+(\.[a-z0-9]{1,16})?$ ]] || die "PARAVIEW_LAB_NAME is '$PARAVIEW_LAB_NAME': take up to 16 small letters and digits"
    [[ " ${SUITES[*]} " == *" $SUITE "* ]] || die "PARAVIEW_LAB_SUITE is '$SUITE': there are ${SUITES[*]}"
}

need_root() {
    [ "$(uname -s)" = Linux ] || die "the lab needs Linux"
    [ "$(id -u)" = 0 ] || die "the lab needs root: it makes namespaces, mounts and cgroups"
    CGROUP=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$CGROUP" ] || die "no cgroup2 hierarchy is mounted"
    CGROUP=$CGROUP/$NAME
}

# until_true SECONDS CMD...: run CMD again and again until it succeeds; false after SECONDS
until_true() {
    local end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@"; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# One up or down at a time. The holder's children inherit the lock (hosts do not), so that what a killed
# holder left running is noticed, and ended, before anything else starts.
take_lock() {
    local holder
    [ "${LAB_LOCKED:-}" != 1 ] || return 0
    exec 9>>"$LOCK"
    if ! flock -n 9; then
        holder=$(cat "$LOCK")
        if [ -n "$holder" ] && [ /proc/"$holder"/fd/9 -ef "$LOCK" ]; then
            say "waiting for another up or down (pid $holder)"
            flock -w 600 9 || die "pid $holder has held $LOCK for 10 minutes: end it, then try again"
        else
            end_processes
            flock -w 10 9 || die "something still holds $LOCK, and it is not of the lab's cgroup"
        fi
    fi
    echo $$ >"$LOCK"
    export LAB_LOCKED=1
}

# Be of the lab's cgroup, so that down finds whatever this process starts, at whatever moment it is killed.
join_cgroup() {
    rmdir "$CGROUP"/up-* 2>/dev/null || true   # of those before
    mkdir -p "$CGROUP/$1"
    echo $$ >"$CGROUP/$1/cgroup.procs"
}

# End every process of the lab but an up that asked for it.
end_processes() {
    local own
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    [ -d "$CGROUP" ] || return 0
    with_freezer thaw
    until_true 20 nothing_left "${own##*/}" || die "processes of $CGROUP do not end"
}

nothing_left() {
    local group left=0
    for group in "$CGROUP"/*/; do
        group=${group%/}
        if [ "${group##*/}" = "$1" ] || ! grep -qs 'populated 1' "$group/cgroup.events"; then
            continue
        fi
        left=1
        echo 1 >"$group/cgroup.kill" 2>/dev/null || true
    done
    [ $left = 0 ]
}

# with_freezer thaw|remove: the nodes' jobs have cgroups in the (v1) freezer hierarchy, wherever it is mounted
with_freezer() {
    grep -q '^freezer' /proc/cgroups || return 0
    # shellcheck disable=SC2016
    unshare -m bash -c '
        mount -t tmpfs tmpfs /mnt && mkdir /mnt/f && mount -t cgroup -o freezer none /mnt/f 2>/dev/null || exit 0
        for top in /mnt/f/"$1"-compute*; do
            [ -d "$top" ] || continue
            case $2 in
                thaw) find "$top" -name freezer.state -exec sh -c "echo THAWED > {}" \; ;;
                remove) find "$top" -depth -type d -exec rmdir {} \; 2>/dev/null ;;
            esac
        done' with_freezer "$NAME" "$1" || true
}

# Debian packages that this machine lacks, a line each
missing_packages() {
    local pair
    for pair in mmdebstrap:mmdebstrap systemd-nspawn:systemd-container nft:nftables ip:iproute2 sysctl:procps \
        python3:python3 git:git pip:python3-pip /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring; do
        command -v "${pair%%:*}" >/dev/null || [ -e "${pair%%:*}" ] || echo "${pair#*:}"
    done
    [ -x /usr/bin/python3 ] || echo python3
}

host_packages() {
    local missing lock apt=(apt-get -qq -o DPkg::Lock::Timeout=600)
    [ -n "$(missing_packages)" ] || return 0
    exec {lock}>>/run/sciviz-paraview-lab.packages   # apt-get update does not wait for another one
    flock "$lock"
    mapfile -t missing < <(missing_packages | sort -u)
    if [ ${#missing[@]} -gt 0 ]; then
        command -v apt-get >/dev/null || die "missing here: ${missing[*]}"
        say "installing ${missing[*]}"
        { "${apt[@]}" update && DEBIAN_FRONTEND=noninteractive \
            "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } </dev/null >/dev/null ||
            die "apt-get cannot install ${missing[*]}"
    fi
    exec {lock}>&-
}

# build_image SUITE: what hosts of this suite start from, made anew where the recipe has changed
build_image() {
    local recipe image=$LAB/$1 lock
    mkdir -p "$LAB"
    exec {lock}>>"$LAB/$1.lock"   # of two labs that want it one builds
    flock "$lock"
    recipe=$(grep -v '^ *#' "$HERE/base" | sha256sum)
    if [ "$(cat "$image/stamp" 2>/dev/null)" = "$recipe" ]; then
        exec {lock}>&-
        return
    fi
    say "building $1"
    rm -rf --one-file-system "$image.new" "$LAB/image"   # image: where earlier labs had theirs
    mkdir -p "$image.new"
    unshare -m "$HERE/base" "$1" "$image.new"   # its mounts go with it, however it ends
    echo "$recipe" >"$image.new/stamp"
    rm -rf --one-file-system "$image"
    mv "$image.new" "$image"
    exec {lock}>&-
}

# The first process of a host, or nothing
leader() {
    local pid
    [ -e "$CGROUP/$1/payload/init.scope/cgroup.procs" ] || return 1
    while read -r pid; do
        if [ "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status" 2>/dev/null)" = 1 ]; then
            echo "$pid"
            return 0
        fi
    done <"$CGROUP/$1/payload/init.scope/cgroup.procs"
    return 1
}

# write_site ROOT UPPER SCRIPT...: run SCRIPTs one behind the other in ROOT, with RUN/UPPER laid over it to take what they write
write_site() {
    # shellcheck disable=SC2016
    unshare -m bash -euc '
        run=$1 root=$1/mnt
        mount -t overlay overlay -o "lowerdir=$2,upperdir=$run/$3,workdir=$run/work" "$root"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"
        mkdir "$root/tmp/over"
        mount --bind "$run" "$root/tmp/over"
        shift 3
        cat "$@" | chroot "$root" bash -s /tmp/over' write_site "$RUN" "$@" || die "${*:3} failed"
}

boot() { setsid unshare -m "$HERE/host" "$1" >"$RUN/log/$1" 2>&1 </dev/null 9>&- & }

booted() {
    local state
    state=$(on "$1" systemctl is-system-running 2>/dev/null) || true
    [ "$state" = running ] || [ "$state" = degraded ]
}

serves_ssh() { on "$1" ss -Hltn 'sport = :22' 2>/dev/null | grep -q 0.0.0.0; }

host_failures() {
    local failed
    failed=$(on "$1" systemctl list-units --failed --plain --no-legend)
    [ -z "$failed" ] || die "$1: failed: $failed"
}

# Wait until a host that was booted serves.
host_ready() {
    until_true 60 booted "$1" || { tail -n 20 "$RUN/log/$1" >&2; die "$1 does not boot"; }
    until_true 20 serves_ssh "$1" || die "no sshd on $1"
    host_failures "$1"
}
