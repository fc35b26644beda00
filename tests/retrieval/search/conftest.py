"""What tests of search share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import ColourEncoder


@pytest.fixture
def library(photos: Path, tmp_path: Path) -> Iterator[Library]:
    """A library of the three drawn photos and two captions."""
    with Library.create(tmp_path / "library", ColourEncoder()) as opened:
        index_folders(opened, ColourEncoder(), [photos])
        yield opened
