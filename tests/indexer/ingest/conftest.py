"""What tests of the index line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import draw


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos and a text of two lines."""
    folder = tmp_path / "photos"
    for colour in ("red", "green", "blue"):
        draw(folder / f"{colour}.png", colour)
    (folder / "notes.txt").write_text("a red car\na yellow sun\n")
    return folder
