"""An encoder is believed only after a look at its vectors."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.core.encoder import Encoder, checked
from indexer.core.errors import TwinlensError
from tests.fakes import ColourEncoder


def test_the_fake_is_an_encoder() -> None:
    assert isinstance(ColourEncoder(), Encoder)


def test_unit_vectors_pass() -> None:
    encoder = ColourEncoder()
    vectors = encoder.encode_texts(["a red car", "nothing"])
    assert checked(vectors, encoder=encoder, rows=2) is vectors


@pytest.mark.parametrize(
    ("vectors", "fault"),
    [
        (np.full((1, 9), np.nan), "vectors with NaN or infinity in them"),
        (np.full((1, 9), np.inf), "vectors with NaN or infinity in them"),
        (np.zeros((1, 9)), "vectors that are not of unit length"),
        (np.ones((1, 9)), "vectors that are not of unit length"),
        (np.ones((1, 8)), r"vectors of shape \(1, 8\), not \(1, 9\)"),
        (np.ones((2, 9)), r"vectors of shape \(2, 9\), not \(1, 9\)"),
        (np.ones(9), r"vectors of shape \(9,\), not \(1, 9\)"),
    ],
)
def test_anything_else_is_an_error_that_names_the_encoder(vectors: np.ndarray, fault: str) -> None:
    with pytest.raises(TwinlensError, match=f"^the encoder 'colours' gave {fault}"):
        checked(vectors.astype(np.float32), encoder=ColourEncoder(), rows=1)
