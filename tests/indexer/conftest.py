"""What tests of several packages of the indexer share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.library.library import Library
from tests.fakes import ColourEncoder


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library of drawn colours."""
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        yield library


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock that is five hours behind Greenwich, four in summer."""
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
