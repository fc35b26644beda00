# Sourced by test.sh: what the tests of the page need beside Python. Where something cannot be had, one
# line says so, and the tests that need it are skipped.

bring_browser() {
  bring_chromium || say "no chromium: the tests of the page are skipped; install Debian's package chromium"
  bring_node_packages || say "no axe-core and typescript: two kinds of checks of the page are skipped; install npm"
}

# Install Chromium where the system's packages can be.
bring_chromium() {
  if command -v chromium >/dev/null; then return; fi
  command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ] || return 1
  say "installing chromium"
  apt-get update -qq >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null 2>&1
}

# Install the packages of tests/browser/package.json beside it; no code of theirs is run by that.
bring_node_packages() {
  if [ -f tests/browser/node_modules/axe-core/axe.min.js ] && [ -e tests/browser/node_modules/.bin/tsc ]; then return; fi
  command -v npm >/dev/null || return 1
  say "installing what tests/browser/package.json lists"
  npm install --prefix tests/browser --silent --no-audit --no-fund --no-package-lock --ignore-scripts
}
