#!/usr/bin/env bash
# Show what twinlens does: makes .venv if there is none, installs, runs `twinlens demo`. Without
# PyTorch, which the demo does not need.
# Usage: bash scripts/demo.sh [options of `twinlens demo`, such as --out DIR]
set -euo pipefail
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
. scripts/venv.sh

make_venv
install demo --no-compile
say "twinlens demo"
cd "$from"
exec "$root/.venv/bin/twinlens" demo "$@"
