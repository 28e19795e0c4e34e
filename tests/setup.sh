# shellcheck shell=sh
# Sourced by the scripts beside it. They say first all that is missing (`want`, `meet`), and then make `.venv` (`venv`).
# Needs Debian 12 or newer, and root where a Debian package is missing.

note='' # said with what is missing, by the script that sourced this
PYTHONS='3.11 3.12 3.13' # those that gated was tested with: a lock file each

say() { printf '%s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }

# want WHAT_FOR PACKAGE...: these Debian packages are missing.
want() {
    what_for=$1
    shift
    packages="$packages $*"
    missing="$missing
  $* ($what_for)"
}

# find_python: have $python be one that gated was tested with, $version its version; wants one where there is none.
find_python() {
    version='' packages='' missing=''
    for python in "${PYTHON:-python3}" ${PYTHON:+none} python3.13 python3.12 python3.11; do
        [ "$python" != none ] || break
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case " $PYTHONS " in *" $version "*) break ;; esac
        version=''
    done
    if [ -n "$version" ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || want "a folder of its own for the libraries" "$(basename "$python")-venv"
    elif [ -n "${PYTHON:-}" ]; then
        say "PYTHON=$PYTHON is none of the Pythons that gated is tested with ($PYTHONS). Name another, or none."
        exit 3
    elif have python3; then
        say "This system has Python $(python3 -c 'import platform; print(platform.python_version())')," \
            "and gated is tested with $PYTHONS. Install one of these, and name it: PYTHON=/path/to/python3.13 sh $0"
        exit 3
    else
        want "runs gated" python3 python3-venv
    fi
}

# meet: say all that is missing, and then install the Debian packages of it; without root say how.
# `locks`, of the script that sourced this, names the lock files of the Python libraries, once $version is known.
meet() {
    # shellcheck disable=SC2046 # a list of names
    if [ -z "$version" ] || ! venv_is_whole $(locks); then
        missing="$missing
  gated, and the Python libraries that it was tested with (into $(pwd)/.venv)"
    fi
    if [ -z "$missing" ]; then
        [ -z "$note" ] || say "$note"
        return 0
    fi
    if [ "$(id -u)" != 0 ] && [ -n "$packages" ]; then
        say "Missing:$missing${note:+
$note}"
        say "Nothing was installed: Debian packages need root. Run this, and then the same again:"
        say "  sudo apt-get update && sudo apt-get install --no-install-recommends$packages"
        exit 3
    fi
    say "Missing, and installed now:$missing${note:+
$note}"
    [ -n "$packages" ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of names
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null; } || {
        say "The Debian packages could not be installed. Is there a network? Then run the same again, or by hand:"
        say "  apt-get update && apt-get install --no-install-recommends$packages"
        exit 3
    }
    [ -n "$version" ] || find_python
}

# locked PROGRAM LOCK...: install what lock files name into the venv of this Python: these files by their hashes, or none.
locked() {
    program=$1
    shift
    for lock; do set -- "$@" --requirement "$lock"; shift; done
    # Its hash is known only when a file has come: until then none is longer than 256 MiB, in blocks of 512 bytes.
    (ulimit -f 524288; ulimit -v 524288; exec "$program" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
        --only-binary :all: --require-hashes "$@") || {
        say "The Python libraries could not be installed. Is there a network? Then run the same again."
        exit 3
    }
}

# stamp LOCK...: what the venv was made from.
stamp() { cat pyproject.toml "$@" 2>/dev/null | cksum; pwd; printf '%s\n' "$*"; }

venv_is_whole() { [ -x .venv/bin/gated ] && [ "$(stamp "$@")" = "$(cat .venv/installed 2>/dev/null)" ]; }

# venv: `.venv` with gated from this folder and what the lock files name. What is there already is not asked for
# again, so that the second time needs no network.
venv() {
    # shellcheck disable=SC2046 # a list of names
    set -- $(locks)
    ! venv_is_whole "$@" || return 0
    case "$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" in
        "$version") ;;
        *) rm -rf .venv && "$python" -m venv .venv ;;
    esac
    rm -f .venv/installed
    locked .venv/bin/python "$@"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-index --no-build-isolation \
        --no-deps --editable . || { say "gated could not be installed into .venv"; exit 3; }
    stamp "$@" >.venv/installed
}
