# Sourced by the scripts in this directory: paths, and a clean copy of the collection for tools that require its path.
# shellcheck shell=bash
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$top/.cache
# shellcheck disable=SC2034  # for the scripts
bin=$top/.venv/bin
export LC_ALL=C.UTF-8 NO_COLOR=1 PYTHONDONTWRITEBYTECODE=1 ANSIBLE_NOCOWS=1
cd "$top" || exit
mkdir -p "$cache"

die() { printf '%s\n' "$*" >&2; exit 1; }

# need COMMAND PACKAGE...: install Debian packages if COMMAND fails
need() {
    if eval "$1" >/dev/null 2>&1; then return; fi
    shift
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then die "Please install: $*"; fi
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@" >/dev/null
}

# fresh_tree NAME: enter .cache/NAME/ansible_collections/sciviz/paraview, a new git repository with the files of this one
# that git does not ignore. It is locked: a second run of the same tool waits.
fresh_tree() {
    exec {lock}>"$cache/$1.lock"
    flock "$lock"
    local tree=$cache/$1/ansible_collections/sciviz/paraview
    rm -rf "$tree"
    mkdir -p "$tree"
    git ls-files -z --cached --others --exclude-standard --deduplicate |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar -cf - --null --no-recursion -T - | tar -xf - -C "$tree"
    cd "$tree" || exit
    git init -q
    export ANSIBLE_COLLECTIONS_PATH=$cache/$1
}
