# shellcheck shell=sh
# Sourced by the rehearsals beside it: what they share. GATED_REHEARSAL names the folder that everything is made in, 3 GB.

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

# A machine in systemd-nspawn. The script sets `root`, the machine's root folder, and `outside`, which it sees as /srv.
inside() { # run it in the machine
    nsenter -t "$(leader)" -m -u -i -p -n -C -r -w env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}
leader() { pgrep -P "$(cat "$outside/nspawn.pid")" | head -n 1; }
is_booted() { case $(inside systemctl is-system-running) in running | degraded) ;; *) return 1 ;; esac; }
start_machine() { # start_machine OPTIONS OF systemd-nspawn
    systemd-nspawn -q -D "$root" --register=no --keep-unit --bind-ro="$outside":/srv "$@" -b >>"$outside/console" 2>&1 &
    echo $! >"$outside/nspawn.pid"
    until_true 60 "the machine boots" is_booted
}
stop_machine() {
    [ -e "$outside/nspawn.pid" ] || return 0
    inside systemctl poweroff 2>/dev/null || :
    wait "$(cat "$outside/nspawn.pid")" 2>/dev/null || :
}

# fresh_card: an empty system in `root`, made new.
fresh_card() {
    system base-amd64 amd64 systemd-sysv,dbus,iproute2,procps,python3,ca-certificates
    step "a fresh card"
    rm -rf "$root"
    cp -a "$place/base-amd64" "$root"
    cp /etc/resolv.conf "$root/etc/"
}

# fifth_step: copy b.tar and answers.toml of `outside` to the card, and run the commands in the fifth step of
# systemd/README.md as they are.
fifth_step() {
    inside sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends sudo openssh-client' \
        >/dev/null 2>&1 # a Pi has them
    echo "127.0.1.1 $(uname -n)" >>"$root/etc/hosts"
    cp "$outside/b.tar" "$root/root/gate.tar"
    cp "$outside/answers.toml" "$root/root/"
    sed -n '/^5\. /,/^6\. /{/^```sh$/,/^```$/{/^```/d;p}}' "$checkout/systemd/README.md" >"$outside/fifth.sh"
    grep -q '^sudo sh install --offline' "$outside/fifth.sh" || fail "the fifth step of systemd/README.md is another"
    inside sh -ec 'cd /root && . /srv/fifth.sh'
}
