#!/usr/bin/env bash
# Sets up everything the checks need, then runs them: ./test.sh [all|lint|unit|playbooks|docker|e2e] [pytest options]
set -euo pipefail
cd "$(dirname "$0")"
. ./bootstrap.sh
bootstrap '.[test]'
export PATH="$PWD/.venv/bin:$PATH"
unset PYTHONDONTWRITEBYTECODE # the command is called hundreds of times, and would be compiled anew each time
part=${1:-all}
said=$(mktemp) early_said=$(mktemp) roots_said=$(mktemp)
trap 'rm -f "$said" "$early_said" "$roots_said"' EXIT
[ $# -gt 0 ] && shift

lint() {
    ruff check .
    ruff format --check .
    mypy
    ANSIBLE_LIBRARY=playbooks/library ANSIBLE_ACTION_PLUGINS=playbooks/action_plugins ANSIBLE_ROLES_PATH=playbooks/roles \
        ansible-lint --offline --strict --profile production playbooks
}
# The file systems of the lab's hosts, out of Debian's packages; nothing where they are there already.
roots() { python -m tests.lab roots; }
unit() { pytest --numprocesses auto --dist loadfile tests/unit "$@"; }
# Side by side: the playbooks have the lab, the engine has this machine's Docker. Both wait a lot: a few of the
# end-to-end tests begin beside them.
early=(tests/lab tests/e2e/test_tls.py tests/e2e/test_upkeep.py)
hosts() {
    local failed=0
    roots
    in_docker "$@" >"$said" 2>&1 &
    local docker=$!
    pytest "${early[@]}" "$@" >"$early_said" 2>&1 &
    local early_ones=$!
    playbooks "$@" || failed=1
    wait "$docker" || failed=1
    wait "$early_ones" || failed=1
    cat "$said" "$early_said"
    return "$failed"
}
playbooks() { pytest tests/playbooks "$@"; }
in_docker() { pytest tests/docker "$@"; }
# Two labs at a time: with three, two processors are too few. A file's tests stay together, they share a lab.
e2e() { pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/e2e "$@"; }

case $part in
    lint) lint ;;
    unit) unit "$@" ;;
    playbooks) pytest tests/playbooks tests/lab "$@" ;;
    docker) in_docker "$@" ;;
    e2e) e2e "$@" ;;
    all)
        python -m tests.programs # before anything else asks Debian's package manager
        roots >"$roots_said" 2>&1 & # on the network most of the time
        making=$!
        lint
        unit "$@"
        wait "$making" || { cat "$roots_said"; exit 1; }
        hosts "$@"
        e2e "${early[@]/#/--ignore=}" "$@" # what has run already is left out
        ;;
    *) echo "usage: ./test.sh [all|lint|unit|playbooks|docker|e2e] [pytest options]" >&2; exit 2 ;;
esac
