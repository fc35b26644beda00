"""The installed command in a process of its own, over real photos."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import skimage

Twinlens: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

PHOTOS = Path(skimage.__file__).parent / "data"
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


def command() -> str:
    """Where the `twinlens` of this Python is."""
    beside = Path(sys.executable).parent / "twinlens"
    found = str(beside) if beside.is_file() else shutil.which("twinlens")
    assert found, "twinlens is not installed; run: bash scripts/test.sh"
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which the library is `tmp_path/library` and the hub is out of reach."""
    return {**os.environ, "TWINLENS_LIBRARY": str(tmp_path / "library"), "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def twinlens(environment: dict[str, str], tmp_path: Path) -> Twinlens:
    """Run the command away from the checkout."""

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command(), *map(str, args)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=120,
        )

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos and a list of captions."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(PHOTOS / name, folder)
    captions = (
        "A tabby cat.",
        "A cup of coffee.",
        "A rocket on the launch pad.",
        "A red motorcycle.",
    )
    (folder / "captions.txt").write_text("\n".join(captions), encoding="utf-8")
    return folder
