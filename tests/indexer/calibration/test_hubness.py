"""Hubness against the formula, spelled out item by item."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.calibration.hubness import hubness, with_alpha, with_hubness
from indexer.core.encoder import Vectors
from indexer.core.errors import UsageError
from indexer.core.types import Hubness, Kind


def _unit(seed: int, rows: int, dim: int = 12) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _by_hand(item: Vectors, bank: Vectors, k: int) -> float:
    """One item at a time, by Python's own sort."""
    cosines = sorted((sum(map(float, item * other)) for other in bank), reverse=True)
    return sum(cosines[:k]) / len(cosines[:k])


@pytest.mark.parametrize("k", [1, 4, 30, 99])
def test_it_is_the_mean_of_the_k_nearest_of_the_bank(k: int) -> None:
    items, bank = _unit(0, 7), _unit(1, 30)
    wanted = [_by_hand(item, bank, k) for item in items]
    np.testing.assert_allclose(hubness(items, bank, k), wanted, atol=1e-6)


def test_without_a_bank_nothing_is_corrected() -> None:
    assert hubness(_unit(0, 3), _unit(1, 0), 16).tolist() == [0, 0, 0]
    assert hubness(_unit(0, 0), _unit(1, 5), 16).shape == (0,)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    items, bank = _unit(0, 50), _unit(1, 40)
    whole = hubness(items, bank, 8)
    monkeypatch.setattr("indexer.calibration.hubness._BLOCK", 7)
    assert hubness(items, bank, 8).tolist() == whole.tolist()


def test_the_inner_product_is_the_corrected_score() -> None:
    queries, items, bank = _unit(0, 4), _unit(1, 9), _unit(2, 20)
    scores = with_alpha(queries, 0.75) @ with_hubness(items, bank, 5).T
    wanted = queries @ items.T - 0.75 * np.array([_by_hand(item, bank, 5) for item in items])
    np.testing.assert_allclose(scores, wanted, atol=1e-6)


def test_alpha_belongs_to_a_direction() -> None:
    settings = Hubness(text_to_image=0.25, image_to_text=0.75)
    assert settings.alpha(query=Kind.TEXT, item=Kind.PHOTO) == 0.25
    assert settings.alpha(query=Kind.PHOTO, item=Kind.TEXT) == 0.75
    assert [settings.alpha(query=kind, item=kind) for kind in Kind] == [0, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 0}, "k must be above 0, not 0"),
        ({"text_to_image": -0.5}, "an alpha must be 0 or above, not -0.5"),
        ({"image_to_text": float("nan")}, "an alpha must be 0 or above, not nan"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Hubness(**wrong)
