"""Scores as probabilities; the formula is written out by hand, in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.types import Kind
from retrieval.search import default_threshold
from retrieval.search.asking import Unit
from retrieval.search.matching import LARGEST, Matching


def matching(items: int = 1000, own: Unit | None = None) -> Matching:
    unit = Unit(mean=-0.3, spread=0.15)
    return Matching(unit=unit, own=own, query=Kind.TEXT, item=Kind.PHOTO, items=items)


@pytest.mark.parametrize("score", [-5.0, 0.0, 0.27, 0.3, 1.0])
def test_the_logistic_of_spreads_above_both_means(score: float) -> None:
    z, y = (score + 0.3) / 0.15, (score + 0.2) / 0.1
    expected = 1 / (1 + np.exp(14.233 + 0.836 * np.log(500 / 1000) - 2.29 * z - 1.36 * y))
    found = matching(500, own=Unit(mean=-0.2, spread=0.1)).probability(score)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("score", [-5.0, 0.0, 0.27, 0.3, 1.0])
def test_without_generic_items_the_library_alone_tells(score: float) -> None:
    z = (score + 0.3) / 0.15
    expected = 1 / (1 + np.exp(14.416 + 0.755 * np.log(500 / 1000) - 4.025 * z))
    assert matching(500).probability(score) == pytest.approx(expected)


def test_the_blunter_question_needs_the_lower_score() -> None:
    sharp, blunt = (matching(own=Unit(mean=-0.3, spread=s)) for s in (0.15, 0.1))
    assert blunt.probability(0.2) > sharp.probability(0.2)


def test_a_library_of_another_scale_gives_the_same_probabilities() -> None:
    narrow = Matching(
        unit=Unit(mean=0.2, spread=0.03), own=None, query=Kind.TEXT, item=Kind.PHOTO, items=1000
    )
    for z in (0.0, 3.0, 4.0):
        assert narrow.probability(0.2 + 0.03 * z) == pytest.approx(
            matching().probability(-0.3 + 0.15 * z)
        )


def test_size_costs_up_to_the_largest() -> None:
    sizes = [matching(items).probability(0.3) for items in (10, 1000, LARGEST, 100 * LARGEST)]
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3]


def test_far_below_the_mean_is_nothing() -> None:
    assert matching().probability(-1e9) == pytest.approx(0.0, abs=1e-100)
    assert matching().probability(1e9) == pytest.approx(1.0)


def test_every_direction_has_a_threshold() -> None:
    for query in Kind:
        for item in Kind:
            assert 0 < default_threshold(query, item) <= 0.5


@pytest.mark.parametrize("own", [None, Unit(mean=-0.2, spread=0.1)])
def test_the_even_score_is_a_match_as_likely_as_not(own: Unit | None) -> None:
    found = matching(own=own)
    assert found.probability(found.even) == pytest.approx(0.5)
