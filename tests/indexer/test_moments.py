"""Moments against the full matrix of scores."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.moments import Moments, measure


def unit(rng: np.random.Generator, rows: int, dim: int) -> np.ndarray:
    vectors = rng.normal(size=(rows, dim)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_mean_and_spread_of_all_pairs(alpha: float) -> None:
    rng = np.random.default_rng(0)
    queries, vectors = unit(rng, 30, 8), unit(rng, 50, 8)
    hubs = rng.random((50, 1)).astype(np.float32)
    scores = queries @ vectors.T - alpha * hubs[:, 0]
    found = measure(queries, np.column_stack([vectors, hubs]), items=77)
    assert found.mean(alpha) == pytest.approx(scores.mean(), abs=1e-5)
    assert found.spread(alpha) == pytest.approx(scores.std(), abs=1e-5)
    assert Moments.loads(found.dumps()) == found
    assert found.items == 77


def test_without_hubness_alpha_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    queries, vectors = unit(rng, 5, 4), unit(rng, 6, 4)
    found = measure(queries, vectors, items=6)
    assert (found.mean(0.0), found.spread(0.0)) == (found.mean(0.5), found.spread(0.5))


@pytest.mark.parametrize(("items", "fits"), [(90, True), (110, True), (89, False), (111, False)])
def test_a_tenth_more_or_less_still_fits(items: int, fits: bool) -> None:
    rng = np.random.default_rng(2)
    assert measure(unit(rng, 3, 4), unit(rng, 3, 4), items=100).fits(items) is fits
