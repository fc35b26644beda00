"""What tests of training share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import tiny_model


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """The folder of a tiny model to start from."""
    tiny_model(tmp_path / "start")
    return tmp_path / "start"
