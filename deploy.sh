#!/usr/bin/env bash
# Sets up everything llmdeploy needs in .venv (once), then runs it: ./deploy.sh ENV ACTION [options]
set -euo pipefail
cd "$(dirname "$0")"
. ./bootstrap.sh
bootstrap .
# The stack on this machine has secrets of its own: made here once, with a password that stays here.
if [ "${1:-} ${2:-}" = 'dev deploy' ] && ! [ -e environments/dev.secrets.yml ] && [[ " $* " != *' --project'* ]]; then
    if [ -z "${LLMDEPLOY_VAULT_PASSWORD:-}${LLMDEPLOY_VAULT_PASSWORD_FILE:-}" ] && ! [ -e .vault-password ]; then
        (umask 077 && .venv/bin/python -c 'import secrets; print(secrets.token_urlsafe(32))' > .vault-password)
    fi
    .venv/bin/llmdeploy dev secrets init --quiet
fi
exec .venv/bin/llmdeploy "$@"
