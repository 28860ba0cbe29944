# SPDX-License-Identifier: MIT
# Shared by the commands in this folder: source it, it runs nothing.
# shellcheck shell=bash

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/wr-nvidia-k8s
export PYTHONPATH=$TOP/scripts${PYTHONPATH:+:$PYTHONPATH}

# The interpreter everything on the host runs on: Debian's own where there is one, so that a developer's
# pyenv or conda neither helps nor hurts.
host_python() {
    local candidate
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    if [ ! -e /usr/bin/python3 ]; then
        ensure_apt python3 || return
        host_python
        return
    fi
    echo "error: expected Python 3.10 or later as /usr/bin/python3 or on PATH, found none; install python3" >&2
    return 69
}

# ensure_apt PACKAGE...: install the Debian packages that are missing. Exit 69 (EX_UNAVAILABLE) names them where that cannot be done.
ensure_apt() {
    local missing=() package
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "error: these Debian packages are missing: ${missing[*]}" >&2
            echo "       install them with: sudo apt-get install ${missing[*]}" >&2
            return 69
        fi
    fi
    echo "installing Debian packages: ${missing[*]}" >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# as_root COMMAND...: with sudo where we are not root. One at a time: apt-get, for one, fails where another one runs.
as_root() {
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
    mkdir -p "$CACHE"
    flock "$CACHE/system.lock" "${sudo[@]}" "$@"
}

# Install what BitBake asks of any machine: packages, a locale, and a user, as it refuses root.
# Exit 69 says what is missing where that cannot be done.
ensure_bitbake() {
    local wanted user=wr-nvidia-k8s-build
    readarray -t wanted < <(sed -n 's/ \+bitbake$//p' "$TOP/tests/debian-packages.txt")
    ensure_apt "${wanted[@]}" || return
    if ! locale -a | grep -qix 'en_US\.utf-\?8'; then
        as_root localedef -i en_US -f UTF-8 en_US.UTF-8 || {
            echo "error: expected the locale en_US.UTF-8, which BitBake needs" >&2
            echo "       make it with: sudo localedef -i en_US -f UTF-8 en_US.UTF-8" >&2
            return 69
        }
    fi
    # wr_nvidia_k8s/build/build_user.py runs BitBake as this user.
    if [ "$(id -u)" -eq 0 ] && ! getent passwd "$user" >/dev/null; then
        as_root useradd --system --user-group --shell /usr/sbin/nologin --no-create-home --home-dir /nonexistent "$user"
    fi
}

# Install what the tests need: all packages of the list, and ensure_bitbake. What cannot be had is said, and not fatal:
# each test that needs it says so and is skipped.
ensure_tests() {
    local wanted
    readarray -t wanted < <(sed '/^#/d; s/ .*//' "$TOP/tests/debian-packages.txt")
    ensure_apt "${wanted[@]}" && ensure_bitbake && return
    echo "going on without; the tests that need it are skipped" >&2
}

# Create or refresh the cached virtual environment of the tests and tools, and set VENV to it.
# It is keyed by what it holds: a changed requirement makes a new one, and two checkouts can share one.
ensure_venv() {
    local python key
    python=$(host_python)
    "$python" -c 'import ensurepip' 2>/dev/null || ensure_apt python3-venv
    key=$({ "$python" --version; cat "$TOP/tests/requirements.txt"; } | sha256sum | cut -c1-16)
    VENV=$CACHE/venv/$key
    [ -e "$VENV/.complete" ] && return
    mkdir -p "$CACHE/venv"
    (
        flock -n 9 || { echo "waiting for another process that makes a virtual environment" >&2; flock 9; }
        [ -e "$VENV/.complete" ] && exit
        echo "making a virtual environment for the tests and tools" >&2
        rm -rf "$VENV"
        "$python" -m venv "$VENV"
        "$VENV/bin/pip" install --quiet --disable-pip-version-check --use-pep517 \
            -r "$TOP/tests/requirements.txt"
        touch "$VENV/.complete"
    ) 9>"$CACHE/venv/.lock"
}
