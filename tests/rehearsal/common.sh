# shellcheck shell=sh
# Sourced by the rehearsals beside it: what both need. GATED_REHEARSAL names the folder that everything is made in, 3 GB.

checkout=$(cd "$(dirname "$0")/../.." && pwd)
shared=$checkout/../shared
place=${GATED_REHEARSAL:-/var/tmp/gated-rehearsal}
mkdir -p "$place"

step() { printf '\n== %s\n' "$*"; }
good() { printf '   good: %s\n' "$*"; }
fail() {
    printf '   BAD: %s\n' "$*" >&2
    exit 1
}
need() { # need PROGRAM PACKAGE
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || fail "$1 is missing: apt-get install $2"
}
until_true() { # until_true SECONDS WHAT COMMAND...
    left=$1 what=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "in vain: $what"
        sleep 1
    done
}

# system NAME ARCH PACKAGES: an empty Debian 12, made once and kept.
system() {
    base=$place/$1
    [ -e "$base/made" ] && return
    step "an empty Debian 12 ($2), made once"
    rm -rf "$base"
    debootstrap --arch="$2" --variant=minbase --include="$3" bookworm "$base" >"$place/$1.log" 2>&1 ||
        fail "debootstrap; see $place/$1.log"
    echo '127.0.0.1 localhost' >"$base/etc/hosts"
    touch "$base/made"
}

# bundle TARGET FILE: gated, its libraries, the evaluation models.
bundle() {
    step "a bundle for $1"
    "$checkout/.venv/bin/gated" --models "$shared/models" bundle "$2" --target "$1" --models evaluation
}
