#!/usr/bin/env bash
# Sets up everything the checks need, then runs them: ./test.sh [all|lint|unit|playbooks|docker|e2e] [pytest options]
set -euo pipefail
cd "$(dirname "$0")"
. ./bootstrap.sh
bootstrap '.[test]'
export PATH="$PWD/.venv/bin:$PATH"
part=${1:-all}
[ $# -gt 0 ] && shift

lint() {
    ruff check .
    ruff format --check .
    mypy
    ANSIBLE_LIBRARY=playbooks/library ANSIBLE_ACTION_PLUGINS=playbooks/action_plugins ANSIBLE_ROLES_PATH=playbooks/roles \
        ansible-lint --offline --strict --profile production playbooks
}
unit() { pytest --numprocesses auto --dist loadfile tests/unit "$@"; }
playbooks() { pytest tests/playbooks "$@"; }
in_docker() { pytest tests/docker "$@"; }
e2e() { pytest tests/lab tests/e2e "$@"; }

case $part in
    lint) lint ;;
    unit) unit "$@" ;;
    playbooks) playbooks "$@" ;;
    docker) in_docker "$@" ;;
    e2e) e2e "$@" ;;
    all) lint; unit "$@"; playbooks "$@"; in_docker "$@"; e2e "$@" ;;
    *) echo "usage: ./test.sh [all|lint|unit|playbooks|docker|e2e] [pytest options]" >&2; exit 2 ;;
esac
