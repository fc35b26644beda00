"""What tests of the command line and of search share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import draw


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three drawn photos and a list of two captions."""
    folder = tmp_path / "photos"
    draw(folder / "red.png", "red")
    draw(folder / "half.png", "red", "blue")
    draw(folder / "blue.png", "blue")
    (folder / "list.txt").write_text("a red door\na blue door\n", encoding="utf-8")
    return folder
