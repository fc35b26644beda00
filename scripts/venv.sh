# Sourced by the other scripts: a virtual environment in .venv, and the project in it.

# Print what is going on, so that minutes of installing are no mystery.
say() { printf '\n== %s\n' "$*"; }

# Print one line and stop.
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Make .venv unless there is one that works: an interrupted run may have left half of it.
make_venv() {
  if .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
  command -v python3 >/dev/null || fail "no python3 on the PATH; install Python 3.11 or newer"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$(python3 --version) is too old; Python 3.11 or newer is needed"
  say "making .venv with $(python3 --version)"
  rm -rf .venv
  python3 -m venv .venv || fail "python3 cannot make a virtual environment; install its venv module"
}

# Install this project, not editable: what runs is what a user gets. A second argument is an option of
# pip: --no-compile is quicker where few modules are used, and slower where many processes start.
install() {
  say "installing twinlens[$1] into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check ${2:+"$2"} ".[$1]" ||
    fail "pip could not install; its message is above"
}
