# Sourced by the two scripts beside it: makes `.venv` with gated in it, and installs what is missing.
# Needs Debian 12 or newer with Python 3.11 or newer, and root where a Debian package is missing.

say() { printf '%s\n' "$*" >&2; }

# debian PACKAGE...: install Debian packages, or say how to.
debian() {
    if [ "$(id -u)" != 0 ]; then
        say "missing: $*. Install it: sudo apt-get install $*"
        exit 3
    fi
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# venv EXTRAS PACKAGE...: gated from this folder with its extras (such as "[dev]"), and more Python packages. What is
# there already is not asked for again, so that the second time needs no network.
venv() {
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null || debian python3 python3-venv
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "gated needs Python 3.11 or newer"; exit 3; }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
    wanted="$(cksum <pyproject.toml) $(pwd)"
    case "$(cat .venv/installed 2>/dev/null)" in "$wanted $1" | "$wanted ${1:-[dev]}") return ;; esac
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    say "installing gated$1 into .venv"
    extras=$1
    shift
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$extras" "$@"
    printf '%s\n' "$wanted $extras" >.venv/installed
}
