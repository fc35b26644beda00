"""What tests of learned names share."""

from __future__ import annotations

import pytest

from retrieval.models import TorchEncoder, load_encoder


@pytest.fixture(scope="session")
def builtin() -> TorchEncoder:
    """The built-in model."""
    return load_encoder("builtin", "cpu")
