#!/usr/bin/env bash
# Sets up everything llmdeploy needs in .venv (once), then runs it: ./deploy.sh ENV ACTION [options]
set -euo pipefail
cd "$(dirname "$0")"
. ./bootstrap.sh
bootstrap .
exec .venv/bin/llmdeploy "$@"
