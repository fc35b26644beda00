"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from tests.retrieval.server.colours import Running, drawn, index, running

COLOURED = ("red", "red-blue", "blue", "green", "yellow-black")


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of five drawn photos and two texts."""
    home = tmp_path_factory.mktemp("coloured")
    drawn(home / "photos", COLOURED)
    (home / "photos" / "list.txt").write_text("a red door\na blue door\n", encoding="utf-8")
    index(home / "library", home / "photos")
    return home / "library"


@pytest.fixture(scope="module")
def site(coloured: Path) -> Iterator[Running]:
    """A server over the library of colours, for tests that change nothing."""
    with running(coloured) as server:
        yield server
