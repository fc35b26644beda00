"""The types of the page's modules, as TypeScript reads them out of their comments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import retrieval
from tests.browser.tab import NODE_MODULES

PAGE = Path(retrieval.__file__).parent / "server" / "page"
TSC = NODE_MODULES / ".bin" / "tsc"
STRICT = (
    "--noEmit",
    "--allowJs",
    "--checkJs",
    "--strict",
    "--noUnusedLocals",
    "--noUnusedParameters",
    "--noFallthroughCasesInSwitch",
    "--target",
    "es2022",
    "--module",
    "es2022",
    "--moduleResolution",
    "bundler",
    "--lib",
    "es2023,dom,dom.iterable",
    "--types",
    "",
)


def test_typescript_finds_no_error() -> None:
    if not TSC.is_file():
        pytest.skip("typescript is not installed; run: bash scripts/test.sh")
    modules = sorted(map(str, PAGE.rglob("*.js")))
    assert modules
    done = subprocess.run([TSC, *STRICT, *modules], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
