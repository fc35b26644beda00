#!/usr/bin/env bash
# Check everything on the installed package: format, lint, types, import contracts, tests.
# Usage: bash scripts/test.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/venv.sh
. scripts/browser.sh

# Run one check and stop with its name if it fails.
check() {
  local name=$1
  shift
  say "$name"
  "$@" || fail "$name failed; see above"
}

make_venv
install test
bring_browser
bin=.venv/bin
check "format" $bin/ruff format --check .
check "lint" $bin/ruff check .
check "types" $bin/mypy
check "import contracts" $bin/lint-imports
check "tests" $bin/pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
say "all checks passed"
