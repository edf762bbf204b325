# shellcheck shell=bash
# Sourced by deploy.sh and test.sh: makes .venv and installs the package into it, once for each state of pyproject.toml.

bootstrap() { # bootstrap WHAT: `.` or `.[test]`
    local what=$1 stamp want
    stamp=.venv/.llmdeploy-$(printf '%s' "$what" | tr -dc 'a-z')
    want=$(cat pyproject.toml hatch_build.py probe/* | sha256sum)
    # What has the test tools has the rest as well.
    if [ -x .venv/bin/llmdeploy ] && grep -qs "^$want" "$stamp" .venv/.llmdeploy-test; then return 0; fi
    printf 'Setting up .venv (a minute, once)...\n' >&2
    local python
    python=$(find_python)
    if ! [ -x .venv/bin/pip ]; then
        rm -rf .venv
        if ! "$python" -m venv .venv >/dev/null 2>&1; then
            as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends python3-venv python3-pip >&2
            rm -rf .venv
            "$python" -m venv .venv
        fi
    fi
    command -v ssh >/dev/null || { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends openssh-client >&2; }
    .venv/bin/pip install --quiet --disable-pip-version-check -e "$what" 2> >(grep -v '^WARNING: Location' >&2)
    printf '%s' "$want" > "$stamp"
}

find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$candidate"; return; fi
    done
    echo "llmdeploy needs Python 3.11 or later on this machine (found: $(python3 --version 2>&1))." >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
